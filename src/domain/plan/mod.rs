//! Plans: declared against observed, as ordered stages of steps with guards. The same value is printed, hashed, put on
//! the proposal, approved and executed.

mod confirm;
mod declared;
mod differences;
mod guard;
mod observed;
mod show;
mod step;
mod unit;

pub use confirm::{Answer, confirm};
pub use declared::{Declared, DeclaredObject, declare, declared_digest};
pub use differences::differences;
pub use guard::Guard;
pub use observed::{Observed, Seen};
pub use show::{irreversible, markdown, text};
pub use step::{Action, FieldChange, Step};
pub use unit::{PlanPolicy, Stage, UnitPlan, brings_kind, plan_unit, secrets};

use serde::{Deserialize, Serialize};

use crate::domain::id::{Digest, PlanId};

/// What one rollout will do on all its targets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Digest over what is declared and what will be done; see [`Plan::new`].
    pub id: PlanId,
    /// Digest over the declared objects, the same on every target.
    pub declared: Digest,
    /// One plan per target, in wave order, then by name.
    pub units: Vec<UnitPlan>,
    /// What happens, in numbers.
    pub summary: Summary,
}

/// Steps in numbers over all targets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Objects to create.
    pub create: usize,
    /// Objects to change.
    pub change: usize,
    /// Objects to delete.
    pub delete: usize,
    /// Objects that stay as they are.
    pub unchanged: usize,
    /// Objects left alone for a stated reason.
    pub skipped: usize,
    /// Reasons not to go on without a person.
    pub guards: usize,
}

impl Plan {
    /// Puts unit plans together under one id.
    ///
    /// The id covers the declared digest and, per target, every step that writes (identity, action, field changes) and
    /// every guard. It does not cover objects that stay as they are, resource versions, status, grades or the clock,
    /// so noise on a cluster does not void an approval.
    #[must_use]
    pub fn new(declared: Digest, units: Vec<UnitPlan>) -> Self {
        let content: Vec<_> =
            units.iter().map(|unit| (&unit.unit.target, unit.wave, unit.step_digests(), &unit.guards)).collect();
        // Serialising plain data to JSON cannot fail; an empty text would only make the id less specific.
        let text = serde_json::to_string(&(&declared, content)).unwrap_or_default();
        let summary = units.iter().fold(Summary::default(), Summary::plus);
        Self { id: PlanId::from_digest(Digest::of(text.as_bytes())), declared, units, summary }
    }

    /// Whether nothing would be written on any target.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.units.iter().all(UnitPlan::is_empty)
    }

    /// Every guard with its target.
    pub fn guards(&self) -> impl Iterator<Item = (&UnitPlan, &Guard)> {
        self.units.iter().flat_map(|unit| unit.guards.iter().map(move |guard| (unit, guard)))
    }
}

impl Summary {
    fn plus(mut self, unit: &UnitPlan) -> Self {
        for step in unit.steps() {
            match &step.action {
                Action::Create { .. } => self.create += 1,
                Action::Patch { .. } => self.change += 1,
                Action::Delete => self.delete += 1,
                Action::Keep => self.unchanged += 1,
                Action::Skip { .. } => self.skipped += 1,
            }
        }
        self.guards += unit.guards.len();
        self
    }
}

#[cfg(test)]
mod tests;
