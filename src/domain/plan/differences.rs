//! What a plan changes, whole objects beside each other, for people who read `kubectl diff`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::confirm::answered_secrets;
use super::{Answer, Declared, Observed, Step, UnitPlan};
use crate::domain::krm::{Object, ObjectDiff, ObjectId, Schemas, predict};

/// The difference that every writing step makes, in the plan's order: what is there beside what the target said it
/// would store, or beside what is foretold where it was not asked. Values of Secrets are hidden.
#[must_use]
pub fn differences(
    plan: &UnitPlan,
    declared: &Declared,
    observed: &Observed,
    schemas: &Schemas,
    manager: &str,
    answers: &BTreeMap<ObjectId, Answer>,
) -> Vec<ObjectDiff> {
    let mask = answered_secrets(declared, observed, answers);
    let declared = declared.by_id();
    let difference = |step: &Step| {
        let live = observed.objects.get(&step.object).map(Object::value);
        let new = match (answers.get(&step.object), declared.get(&step.object)) {
            (Some(Answer::Stored(stored)), _) => stored.value().clone(),
            (_, Some(wanted)) => predict(live, wanted.object.value(), manager, schemas).ok()?.object,
            (_, None) => Value::Null,
        };
        let (schema, _) = schemas.lookup(&step.kind);
        Some(ObjectDiff::new(live.unwrap_or(&Value::Null), &new, schema, &mask))
    };
    plan.steps().filter(|step| step.writes()).filter_map(difference).collect()
}
