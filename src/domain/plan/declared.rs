//! What shall be on a target.

use std::collections::BTreeMap;

use crate::domain::id::{Digest, UnitId};
use crate::domain::inventory::{PART_OF, applyset_id};
use crate::domain::krm::{IgnoreRule, Object, ObjectId, Schemas, apply_order, spared};

/// One object that shall exist, and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct DeclaredObject {
    /// The object as it will be applied.
    pub object: Object,
    /// `file:line` in the package.
    pub origin: String,
}

/// Everything that shall exist on one target.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// Which Sync on which target.
    pub unit: UnitId,
    /// Which wave the target is in, from 0.
    pub wave: usize,
    /// Digest over the objects as rendered, the same on every target.
    pub digest: Digest,
    /// The objects in apply order.
    pub objects: Vec<DeclaredObject>,
    /// Whether nothing shall be left: a deletion that was asked for. Without it an empty set is refused.
    pub teardown: bool,
}

/// Digest over rendered objects, independent of their order and of the files they are in.
#[must_use]
pub fn declared_digest(objects: &[DeclaredObject]) -> Digest {
    let sorted: BTreeMap<ObjectId, Digest> =
        objects.iter().map(|declared| (declared.object.id(), declared.object.digest())).collect();
    let text: String = sorted.iter().map(|(id, digest)| format!("{id} {digest}\n")).collect();
    Digest::of(text.as_bytes())
}

/// Puts rendered objects on a target: marks each as a member of the unit's set and sorts them for applying.
#[must_use]
pub fn declare(unit: UnitId, wave: usize, rendered: &[DeclaredObject]) -> Declared {
    let digest = declared_digest(rendered);
    let set = applyset_id(&unit);
    let mut objects = rendered.to_vec();
    for declared in &mut objects {
        declared.object.set_label(PART_OF, &set);
    }
    objects.sort_by_cached_key(|declared| apply_order(&declared.object.id()));
    Declared { unit, wave, digest, objects, teardown: false }
}

impl Declared {
    /// The objects by what they are called.
    #[must_use]
    pub fn by_id(&self) -> BTreeMap<ObjectId, &DeclaredObject> {
        self.objects.iter().map(|wanted| (wanted.object.id(), wanted)).collect()
    }

    /// The same, as it is applied to a target that holds `live`: what the rules ignore is left as it is there. The
    /// digest stays that of what was rendered. An object whose ownership records cannot be read is not changed;
    /// planning tells.
    #[must_use]
    pub fn sparing(
        mut self,
        live: &BTreeMap<ObjectId, Object>,
        rules: &[IgnoreRule],
        manager: &str,
        schemas: &Schemas,
    ) -> Self {
        let set = applyset_id(&self.unit);
        for declared in &mut self.objects {
            let rules: Vec<&IgnoreRule> = rules.iter().filter(|rule| rule.matches(&declared.object)).collect();
            let Some(live) = live.get(&declared.object.id()).filter(|_| !rules.is_empty()) else { continue };
            let (schema, _) = schemas.lookup(&declared.object.gvk());
            let left = spared(declared.object.value(), live.value(), &rules, manager, schema);
            if let Some(Ok(object)) = left.ok().map(Object::new) {
                declared.object = object;
                declared.object.set_label(PART_OF, &set);
            }
        }
        self
    }
}
