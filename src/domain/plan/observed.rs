//! What is on a target, and how much of it was seen.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::domain::inventory::Inventory;
use crate::domain::krm::{Gvk, Object, ObjectId};
use crate::domain::time::Timestamp;

/// Whether the view is whole. Nothing is pruned on a partial one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// Every kind that matters was read.
    Complete,
    /// Something could not be read, and why.
    Partial(String),
}

/// One target as it was seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// Live objects that are declared or owned; absent ones are not in the map.
    pub objects: BTreeMap<ObjectId, Object>,
    /// What the unit owns.
    pub inventory: Inventory,
    /// Kinds that the target does not serve.
    pub unknown_kinds: BTreeSet<Gvk>,
    /// Namespaces that declared objects need and that do not exist.
    pub missing_namespaces: BTreeSet<String>,
    /// Definitions on the target of the custom kinds that are declared without theirs.
    pub definitions: Vec<Object>,
    /// How much was seen.
    pub seen: Seen,
    /// When.
    pub at: Timestamp,
}
