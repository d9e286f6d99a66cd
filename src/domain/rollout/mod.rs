//! The life of a rollout on its targets, what is remembered of it, and what a failed one leads to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::id::{Digest, PlanId, TargetName};
use crate::domain::time::Timestamp;

/// What is remembered of a Sync: holds, per-target known-good, history.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncState {
    /// Declared digests that must not be deployed again, with the reason.
    pub holds: BTreeMap<Digest, Hold>,
    /// What is known of each target.
    pub units: BTreeMap<TargetName, UnitState>,
    /// What happened, oldest first; only ever appended to, the oldest beyond 200 records are dropped.
    pub history: Vec<Record>,
}

/// "Do not deploy this digest again."
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Why.
    pub reason: String,
    /// Who set it: a person, or `loggia` after a rollback.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Revision that carried the digest, such as `v2`.
    pub revision: String,
}

/// What is known of one target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UnitState {
    /// The set that was applied and proved healthy last.
    pub known_good: Option<Applied>,
    /// The set that is being applied or was applied last.
    pub current: Option<Applied>,
    /// Whether `current` was reached by a rollback.
    pub rolled_back: bool,
}

/// A rendered set on a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Revision of the package, such as 2 for `v2`.
    pub revision: i64,
    /// Digest over the declared objects.
    pub declared: Digest,
    /// The plan that brought it there.
    pub plan: PlanId,
    /// When it was proved healthy, or when applying began.
    pub at: Timestamp,
}

/// One line of history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: String,
    /// On which target; none for things that concern the whole Sync.
    pub target: Option<TargetName>,
    /// Revision, such as 2 for `v2`; 0 when none.
    pub revision: i64,
    /// Digest over the declared objects.
    pub declared: Option<Digest>,
    /// The plan.
    pub plan: Option<PlanId>,
    /// Who caused it.
    pub by: String,
    /// More, for people.
    pub message: String,
}
