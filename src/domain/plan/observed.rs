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
    /// Declared objects that say no namespace although those of their kind are in one.
    pub without_namespace: BTreeSet<ObjectId>,
    /// Definitions on the target of the custom kinds that are declared without theirs.
    pub definitions: Vec<Object>,
    /// How much was seen.
    pub seen: Seen,
    /// When.
    pub at: Timestamp,
}

impl Observed {
    /// A target that was seen whole and lacks nothing that is declared for it: neither kinds nor namespaces.
    #[must_use]
    pub fn whole(objects: impl IntoIterator<Item = Object>, inventory: Inventory, at: Timestamp) -> Self {
        Self {
            objects: objects.into_iter().map(|object| (object.id(), object)).collect(),
            inventory,
            unknown_kinds: BTreeSet::new(),
            missing_namespaces: BTreeSet::new(),
            without_namespace: BTreeSet::new(),
            definitions: Vec::new(),
            seen: Seen::Complete,
            at,
        }
    }
}
