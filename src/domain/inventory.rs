//! Inventory arithmetic: what a unit owns. It is widened before the first write and narrowed after proof, so a kill at
//! any point leaves no orphan.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::domain::id::{Digest, UnitId};
use crate::domain::krm::{Gvk, Object, ObjectId};

/// Label on every member that names its set (KEP-3659).
pub const PART_OF: &str = "applyset.kubernetes.io/part-of";
/// Label on the inventory object that names the set it describes (KEP-3659).
pub const APPLYSET_ID: &str = "applyset.kubernetes.io/id";
/// Namespace on each target that holds the inventories.
pub const NAMESPACE: &str = "loggia-system";
/// Label that marks inventory objects.
pub const MARK: &str = "loggia.dev/inventory";

/// What a unit owns on its target: identity and the API version that each object was last written in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    entries: BTreeMap<ObjectId, String>,
}

impl Inventory {
    /// The inventory that owns exactly `objects`.
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Self {
        Self { entries: objects.into_iter().map(|object| (object.id(), object.gvk().version)).collect() }
    }

    /// Whether `id` is owned.
    #[must_use]
    pub fn owns(&self, id: &ObjectId) -> bool {
        self.entries.contains_key(id)
    }

    /// Owned objects with their kinds, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectId, Gvk)> {
        self.entries.iter().map(|(id, version)| (id, Gvk::new(&id.group, version, &id.kind)))
    }

    /// Number of owned objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is owned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Everything owned by either: what is written before the first change.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut entries = self.entries.clone();
        entries.extend(other.entries.iter().map(|(id, version)| (id.clone(), version.clone())));
        Self { entries }
    }

    /// What is owned here and not in `kept`: what pruning looks at.
    #[must_use]
    pub fn without(&self, kept: &Self) -> Self {
        let left = self.entries.iter().filter(|(id, _)| !kept.owns(id));
        Self { entries: left.map(|(id, version)| (id.clone(), version.clone())).collect() }
    }

    /// Notes that what was written in one version of a kind is looked at in another one.
    pub fn read_in(&mut self, kind: &Gvk, version: &str) {
        let is = |id: &ObjectId, known: &str| id.group == kind.group && id.kind == kind.kind && known == kind.version;
        for (_, known) in self.entries.iter_mut().filter(|(id, known)| is(id, known)) {
            version.clone_into(known);
        }
    }

    /// Forgets one object after its absence was observed.
    pub fn forget(&mut self, id: &ObjectId) {
        self.entries.remove(id);
    }

    /// The lines stored in the inventory object: `group|version|kind|namespace|name`, sorted.
    #[must_use]
    pub fn lines(&self) -> String {
        let line = |(id, version): (&ObjectId, &String)| {
            format!("{}|{}|{}|{}|{}", id.group, version, id.kind, id.namespace, id.name)
        };
        self.entries.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Reads [`Inventory::lines`].
    ///
    /// # Errors
    /// The number of the first line that does not have five parts.
    pub fn parse(lines: &str) -> Result<Self, DamagedInventory> {
        let mut entries = BTreeMap::new();
        for (number, line) in lines.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let parts: Vec<&str> = line.split('|').collect();
            let [group, version, kind, namespace, name] = parts[..] else {
                return Err(DamagedInventory { line: number + 1 });
            };
            let id = ObjectId {
                group: group.to_owned(),
                kind: kind.to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            };
            entries.insert(id, version.to_owned());
        }
        Ok(Self { entries })
    }
}

/// A stored inventory that cannot be read. It must never be taken for an empty one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the inventory is not group|version|kind|namespace|name")]
pub struct DamagedInventory {
    /// Which line, from 1.
    pub line: usize,
}

/// Name of the inventory object of a unit: readable, unique by a digest over the unit's id.
#[must_use]
pub fn object_name(unit: &UnitId) -> String {
    let readable: String = unit.sync.name.chars().take(40).collect();
    format!("loggia-{}-{}", readable.trim_end_matches(['-', '.']), Digest::of(unit.to_string().as_bytes()).short())
}

/// The set's id as KEP-3659 computes it from the parent object: here the inventory `ConfigMap`.
#[must_use]
pub fn applyset_id(unit: &UnitId) -> String {
    let parent = format!("{}.{NAMESPACE}.ConfigMap.", object_name(unit));
    format!("applyset-{}-v1", URL_SAFE_NO_PAD.encode(Sha256::digest(parent.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{NamespacedName, TargetName};
    use serde_json::json;

    fn config_map(name: &str) -> Object {
        Object::new(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "core"}}))
            .unwrap()
    }

    #[test]
    fn union_holds_both_and_without_leaves_the_orphans() {
        let old = Inventory::of([&config_map("a"), &config_map("b")]);
        let new = Inventory::of([&config_map("b"), &config_map("c")]);
        assert_eq!(old.union(&new).len(), 3);
        let orphans = old.without(&new);
        assert_eq!(orphans.iter().map(|(id, _)| id.name.clone()).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn lines_round_trip_and_damage_is_told() {
        let inventory = Inventory::of([&config_map("a"), &config_map("b")]);
        assert_eq!(Inventory::parse(&inventory.lines()).unwrap(), inventory);
        assert_eq!(Inventory::parse("|v1|ConfigMap|core|a\nrubbish"), Err(DamagedInventory { line: 2 }));
    }

    #[test]
    fn the_id_is_a_label_value() {
        let unit = UnitId {
            sync: NamespacedName { namespace: "core".into(), name: "upf".into() },
            target: TargetName::new("edge-1").unwrap(),
        };
        let id = applyset_id(&unit);
        assert!(id.len() <= 63 && id.starts_with("applyset-") && id.ends_with("-v1"), "{id}");
    }
}
