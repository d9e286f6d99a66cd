//! The gate: an approval is bound to a plan, and only this module can say that one holds.

use std::collections::BTreeSet;

use crate::domain::id::{Digest, PlanId};
use crate::domain::plan::{Plan, UnitPlan};
use crate::domain::rollout::SyncState;

/// Something that a person, or a policy, agreed to. Only this module makes one, so a writer that asks for it cannot
/// be reached without passing the gate.
#[derive(Debug, Clone, PartialEq)]
pub struct Approved<T>(T);

impl<T> Approved<T> {
    /// What was approved.
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// Gives it away.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// How strictly an approval is tied to what it saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bind {
    /// To the declared objects and to every step.
    #[default]
    Plan,
    /// To the declared objects; steps may differ as long as no new guard appears.
    Declared,
}

/// Who has to agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// A person.
    #[default]
    Required,
    /// Nobody, as long as no guard asks for a person.
    Automatic,
}

/// What the gate answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate<T> {
    /// Go on.
    Open(Approved<T>),
    /// A person has to agree first.
    NeedsApproval,
    /// A person agreed to something else; what is new since then, one line each.
    Stale(Vec<String>),
    /// No approval helps: these lines say what stands in the way.
    Blocked(Vec<String>),
}

/// What a person agreed to.
#[derive(Debug, Clone, PartialEq)]
pub struct Consent {
    /// The plan they read.
    pub plan: Plan,
}

/// Guards of a plan that no approval takes away, with the target of each.
#[must_use]
pub fn walls(plan: &Plan) -> Vec<String> {
    let walls = plan.guards().filter(|(_, guard)| !guard.yields_to_approval());
    walls.map(|(unit, guard)| format!("{}: {guard}", unit.unit.target)).collect()
}

/// Whether a plan as a whole may be carried out: the question before publishing.
#[must_use]
pub fn gate_plan(plan: Plan, consent: Option<&Consent>, mode: Mode, bind: Bind) -> Gate<Plan> {
    let walls = walls(&plan);
    if !walls.is_empty() {
        return Gate::Blocked(walls);
    }
    match consent {
        Some(consent) if same(&consent.plan, &plan, bind) => Gate::Open(Approved(plan)),
        Some(consent) => Gate::Stale(what_changed(&consent.plan, &plan)),
        None if mode == Mode::Automatic && plan.guards().next().is_none() => Gate::Open(Approved(plan)),
        None => Gate::NeedsApproval,
    }
}

fn same(agreed: &Plan, now: &Plan, bind: Bind) -> bool {
    match bind {
        Bind::Plan => agreed.id == now.id,
        Bind::Declared => agreed.declared == now.declared && new_guards(agreed, now).is_empty(),
    }
}

fn new_guards(agreed: &Plan, now: &Plan) -> Vec<String> {
    let known: BTreeSet<String> =
        agreed.guards().map(|(unit, guard)| format!("{}: {guard}", unit.unit.target)).collect();
    let found = now.guards().map(|(unit, guard)| format!("{}: {guard}", unit.unit.target));
    found.filter(|guard| !known.contains(guard)).collect()
}

/// What is different between two plans, one line each, for people: new and vanished steps and guards per target.
#[must_use]
pub fn what_changed(before: &Plan, now: &Plan) -> Vec<String> {
    let lines = |plan: &Plan| -> BTreeSet<(String, Digest)> {
        let steps = plan.units.iter().flat_map(|unit| {
            unit.steps()
                .filter(|step| step.writes())
                .map(move |step| (format!("{}: {} {}", unit.unit.target, step.symbol(), step.object), step.digest()))
        });
        steps.collect()
    };
    let (old, new) = (lines(before), lines(now));
    let mut told: Vec<String> = Vec::new();
    for (line, _) in new.difference(&old) {
        let verb = if old.iter().any(|(known, _)| known == line) { "does something else now" } else { "is new" };
        told.push(format!("{line} {verb}"));
    }
    for (line, _) in old.difference(&new) {
        if !new.iter().any(|(known, _)| known == line) {
            told.push(format!("{line} is not needed any more"));
        }
    }
    told.extend(new_guards(before, now).into_iter().map(|guard| format!("{guard} (new guard)")));
    if told.is_empty() && before.declared != now.declared {
        told.push("the declared objects changed without changing a step".to_owned());
    }
    told
}

/// Whether one target's plan may be carried out now: the question before applying.
///
/// - A held digest never goes on.
/// - A set that this target has begun to get already (drift, or an interrupted apply) needs no new approval.
/// - Otherwise every step that writes must be one that the approved plan showed for this target: some may be done
///   already, none may be new (`bind: plan`); or the declared set must be the approved one (`bind: declared`).
#[must_use]
pub fn gate_unit(
    plan: UnitPlan,
    consent: Option<&Consent>,
    state: &SyncState,
    mode: Mode,
    bind: Bind,
) -> Gate<UnitPlan> {
    if let Some(hold) = state.holds.get(&plan.declared) {
        return Gate::Blocked(vec![format!("digest {} is held: {}", plan.declared.short(), hold.reason)]);
    }
    let walls: Vec<String> =
        plan.guards.iter().filter(|guard| !guard.yields_to_approval()).map(ToString::to_string).collect();
    if !walls.is_empty() {
        return Gate::Blocked(walls);
    }
    let begun = state
        .units
        .get(&plan.unit.target)
        .is_some_and(|unit| unit.current.as_ref().is_some_and(|current| current.declared == plan.declared));
    let agreed = consent.and_then(|c| c.plan.units.iter().find(|unit| unit.unit == plan.unit));
    let new_guards: Vec<String> = plan
        .guards
        .iter()
        .filter(|guard| !agreed.is_some_and(|unit| unit.guards.contains(guard)))
        .map(ToString::to_string)
        .collect();
    if (begun || mode == Mode::Automatic) && new_guards.is_empty() {
        return Gate::Open(Approved(plan));
    }
    let Some(agreed) = agreed else { return Gate::NeedsApproval };
    let known: BTreeSet<Digest> = agreed.step_digests().into_iter().collect();
    let mut news: Vec<String> = new_guards;
    if bind == Bind::Plan {
        let unseen = plan.steps().filter(|step| step.writes() && !known.contains(&step.digest()));
        news.extend(unseen.map(|step| format!("{} {} was not in the approved plan", step.symbol(), step.object)));
    } else if agreed.declared != plan.declared {
        news.push("the declared objects are not the approved ones".to_owned());
    }
    if news.is_empty() { Gate::Open(Approved(plan)) } else { Gate::Stale(news) }
}

/// A rollback goes through the same gate: it needs no person when the policy says `automatic` and the set to return to
/// was proved healthy on this very target.
#[must_use]
pub fn gate_rollback(plan: UnitPlan, state: &SyncState, automatic: bool) -> Gate<UnitPlan> {
    let unit = state.units.get(&plan.unit.target);
    let good = unit.and_then(|unit| unit.known_good.as_ref());
    if good.is_none_or(|good| good.declared != plan.declared) {
        return Gate::Blocked(vec!["the set to return to was never proved healthy on this target".to_owned()]);
    }
    let walls: Vec<String> =
        plan.guards.iter().filter(|guard| !guard.yields_to_approval()).map(ToString::to_string).collect();
    if !walls.is_empty() {
        return Gate::Blocked(walls);
    }
    if automatic { Gate::Open(Approved(plan)) } else { Gate::NeedsApproval }
}

/// The id a person approves, shortened or whole: whether `typed` names `plan`.
#[must_use]
pub fn names_plan(typed: &str, plan: &PlanId) -> bool {
    typed.len() >= 8 && plan.as_str().starts_with(typed)
}

/// The part of an agreed plan that one target still needs: every step that writes must be in what was agreed to.
#[must_use]
pub fn gate_teardown(plan: UnitPlan, agreed: &Plan) -> Gate<UnitPlan> {
    let walls: Vec<String> =
        plan.guards.iter().filter(|guard| !guard.yields_to_approval()).map(ToString::to_string).collect();
    if !walls.is_empty() {
        return Gate::Blocked(walls);
    }
    let known: BTreeSet<Digest> =
        agreed.units.iter().filter(|unit| unit.unit == plan.unit).flat_map(UnitPlan::step_digests).collect();
    let news: Vec<String> = plan
        .steps()
        .filter(|step| step.writes() && !known.contains(&step.digest()))
        .map(|step| format!("{} {} was not in the approved plan", step.symbol(), step.object))
        .collect();
    if news.is_empty() { Gate::Open(Approved(plan)) } else { Gate::Stale(news) }
}
