//! A plan that the target itself has looked at: what it answered to a dry run of every creation and patch.

use std::collections::BTreeMap;

use super::unit::secrets;
use super::{Action, Declared, FieldChange, Guard, Observed, Step, UnitPlan};
use crate::domain::krm::{Grade, Mask, Object, ObjectId, Schemas, changes, predict};

/// What a target answers to a dry run.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// What it would store.
    Stored(Box<Object>),
    /// It would refuse, and why: validation, admission, an immutable field.
    Refused(String),
    /// It cannot tell before other steps are done: a namespace or a kind that is not there yet.
    Silent,
}

/// Replaces what was foretold by what the target answered. A step that was foretold right keeps its wording, so that
/// its digest and the plan's id stay; a refusal becomes a guard.
#[must_use]
pub fn confirm(
    mut plan: UnitPlan,
    declared: &Declared,
    observed: &Observed,
    schemas: &Schemas,
    manager: &str,
    answers: &BTreeMap<ObjectId, Answer>,
) -> UnitPlan {
    let mask = answered_secrets(declared, observed, answers);
    let wanted = declared.by_id();
    let mut refused = Vec::new();
    for step in plan.stages.iter_mut().flat_map(|stage| &mut stage.steps) {
        match answers.get(&step.object) {
            Some(Answer::Stored(stored)) => {
                step.grade = Grade::Server;
                if let (Some(wanted), Some(live)) = (wanted.get(&step.object), observed.objects.get(&step.object)) {
                    settle(step, [live, &wanted.object, stored], schemas, manager, &mask);
                }
            }
            Some(Answer::Refused(reason)) => {
                let guard = Guard::Refused { object: step.object.to_string(), reason: reason.clone() };
                refused.push(guard.masked(&mask));
            }
            Some(Answer::Silent) | None => {}
        }
    }
    plan.guards.extend(refused);
    plan
}

/// Hides what any Secret holds that is declared, seen, or part of an answer.
pub(super) fn answered_secrets(declared: &Declared, observed: &Observed, answers: &BTreeMap<ObjectId, Answer>) -> Mask {
    let mut mask = secrets(declared, observed);
    for answer in answers.values() {
        if let Answer::Stored(object) = answer {
            mask.learn(object.value());
        }
    }
    mask
}

fn settle(step: &mut Step, [live, wanted, stored]: [&Object; 3], schemas: &Schemas, manager: &str, mask: &Mask) {
    let (schema, _) = schemas.lookup(&step.kind);
    let foretold = predict(Some(live.value()), wanted.value(), manager, schemas);
    if foretold.is_ok_and(|foretold| changes(&foretold.object, stored.value(), schema).is_empty()) {
        return;
    }
    let real = mask.changes(stored.value(), &changes(live.value(), stored.value(), schema));
    step.action = if real.is_empty() {
        Action::Keep
    } else {
        Action::Patch { changes: real.into_iter().map(FieldChange::from).collect() }
    };
}
