//! The owners of an object while a write changes who owns what.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{ApplyOptions, Conflict, api_version, owner_of, unowned};
use crate::domain::krm::fieldset::FieldSet;
use crate::domain::krm::managed::{self, Entry, ManagedFieldsError, Operation, Owner};
use crate::domain::krm::merge::{Comparison, compare};
use crate::domain::krm::normal::normalise;
use crate::domain::krm::schema::Schema;
use crate::domain::time::Timestamp;

/// Who owns what was there before the first apply of an object without `managedFields`.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";
/// The bucket for the oldest updaters of an object that has more than [`MAX_UPDATERS`].
const ANCIENT_CHANGES: &str = "ancient-changes";
const MAX_UPDATERS: usize = 10;

/// What an owner holds.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) api_version: String,
    pub(super) time: Option<Timestamp>,
    pub(super) fields: FieldSet,
}

/// The owners of an object.
#[derive(Debug, Clone, Default)]
pub(super) struct Owners(pub(super) BTreeMap<Owner, Held>);

impl Owners {
    pub(super) fn read(object: &Value) -> Result<Self, ManagedFieldsError> {
        let held = |entry: Entry| {
            let owner = entry.owner();
            (owner, Held { api_version: entry.api_version, time: entry.time, fields: entry.fields })
        };
        Ok(Self(managed::read(object)?.into_iter().map(held).collect()))
    }

    /// The owners that an update starts from: those that the request carries, else the stored ones. A request with an
    /// empty list, or a list of one empty entry, resets them. Writes to a subresource cannot set them.
    pub(super) fn of_update(old: Option<&Value>, new: &Value, is_subresource: bool) -> Self {
        let stored = || old.and_then(|old| Self::read(old).ok()).unwrap_or_default();
        if is_subresource {
            return stored();
        }
        match new.pointer("/metadata/managedFields").and_then(Value::as_array).map(Vec::as_slice) {
            None => stored(),
            Some([]) => Self::default(),
            Some([Value::Object(entry)]) if entry.is_empty() => Self::default(),
            Some(_) => Self::read(new).unwrap_or_else(|_| stored()),
        }
    }

    /// Everything that is there belongs to one updater.
    pub(super) fn before_first_apply(old: &Value, config: &Value, options: &ApplyOptions<'_>, schema: &Schema) -> Self {
        let mut owners = Self::default();
        // Nulls are how the server writes fields that nobody set.
        let mut stored = normalise(old, schema);
        if let (Some(stored), Some(version)) = (stored.as_object_mut(), config.get("apiVersion")) {
            stored.insert("apiVersion".to_owned(), version.clone());
        }
        let options = ApplyOptions { manager: BEFORE_FIRST_APPLY, ..*options };
        let nothing = Value::Object(Map::new());
        owners.record_update(options.blank.unwrap_or(&nothing), &stored, &options, schema);
        owners
    }

    pub(super) fn all(&self) -> FieldSet {
        self.0.values().fold(FieldSet::new(), |all, held| all.union(&held.fields))
    }

    pub(super) fn put(&mut self, owner: Owner, held: Held) {
        if !held.fields.is_empty() {
            self.0.insert(owner, held);
        }
    }

    /// Takes changed and vanished fields from every owner; returns what that takes from whom.
    pub(super) fn give_way(&mut self, changes: &Comparison) -> Vec<Conflict> {
        let written = changes.modified.union(&changes.added);
        let mut conflicts = Vec::new();
        for (owner, held) in &mut self.0 {
            let taken = held.fields.intersection(&written);
            conflicts.extend(taken.paths().into_iter().map(|field| Conflict {
                manager: owner.manager.clone(),
                operation: owner.operation,
                api_version: owner.api_version.clone(),
                subresource: owner.subresource.clone(),
                field,
            }));
            let left = std::mem::take(&mut held.fields);
            held.fields = left.without(&taken).without(&changes.removed);
        }
        self.0.retain(|_, held| !held.fields.is_empty());
        conflicts
    }

    pub(super) fn record_update(&mut self, old: &Value, new: &Value, options: &ApplyOptions<'_>, schema: &Schema) {
        let changes = compare(old, new, schema).without(&options.reset.iter().collect());
        self.give_way(&changes);
        let written = changes.modified.union(&changes.added).difference(&unowned());
        if written.is_empty() {
            return;
        }
        let owner = owner_of(options, Operation::Update, new);
        let fields = self.0.remove(&owner).map_or_else(|| written.clone(), |held| held.fields.union(&written));
        self.put(owner, Held { api_version: api_version(new), time: Some(options.now), fields });
    }

    /// Merges the oldest updaters of one version into a bucket until there are at most [`MAX_UPDATERS`].
    pub(super) fn cap_updaters(&mut self) {
        let mut updaters: Vec<(i64, Owner)> = self
            .0
            .iter()
            .filter(|(owner, _)| owner.operation == Operation::Update)
            .map(|(owner, held)| (held.time.map_or(0, Timestamp::as_second), owner.clone()))
            .collect();
        updaters.sort();
        let mut count = updaters.len();
        let mut first: BTreeMap<String, Owner> = BTreeMap::new();
        for (_, owner) in updaters {
            if count <= MAX_UPDATERS {
                return;
            }
            let Some(oldest) = first.get(&owner.api_version).cloned() else {
                first.insert(owner.api_version.clone(), owner);
                continue;
            };
            let bucket = Owner {
                manager: ANCIENT_CHANGES.to_owned(),
                operation: Operation::Update,
                api_version: owner.api_version.clone(),
                subresource: String::new(),
            };
            if let Some(held) = self.0.remove(&oldest) {
                self.0.insert(bucket.clone(), held);
                first.insert(owner.api_version.clone(), bucket.clone());
            }
            if let Some(held) = self.0.remove(&owner) {
                let earlier = self.0.remove(&bucket).map(|held| held.fields).unwrap_or_default();
                self.0.insert(bucket, Held { fields: held.fields.union(&earlier), ..held });
            }
            count -= 1;
        }
    }

    pub(super) fn into_entries(self) -> Vec<Entry> {
        let entry = |(owner, held): (Owner, Held)| Entry {
            manager: owner.manager,
            operation: owner.operation,
            api_version: held.api_version,
            time: held.time,
            subresource: owner.subresource,
            fields: held.fields,
        };
        self.0.into_iter().map(entry).collect()
    }
}
