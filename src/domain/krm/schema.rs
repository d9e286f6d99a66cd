//! What is known of the shape of a kind: which maps are granular, which lists are keyed by what, which scalars are
//! quantities; which fields are required, have a default or few values; how strategic merge patches treat them.
//!
//! Sources: the published OpenAPI documents of Kubernetes v1.36 (`type`, `format`, `required`, `enum`, `default`,
//! `x-kubernetes-list-type`, `x-kubernetes-list-map-keys`, `x-kubernetes-map-type`, `x-kubernetes-patch-*`), and the
//! structural schemas of CRDs.

mod bounds;
mod crd;
mod distil;
mod notation;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::krm::Gvk;
use crate::domain::krm::cel::Rules;
use crate::domain::krm::defaults;

pub use bounds::{missing, unlisted};
pub use crd::CrdError;
pub use distil::{DistilError, distil};
pub use notation::{Column, Line, lines};
pub use table::TABLE;

/// How good a prediction is; ordered from the worst to the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Grade {
    /// The kind is not known: maps are merged, lists replaced. It may be wrong about lists.
    None,
    /// Computed with the kind's schema and defaults, without admission by the server.
    Schema,
    /// Answered by the server itself in a dry run.
    Server,
}

/// What a scalar means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A string.
    Text,
    /// Bytes in base64.
    Bytes,
    /// A time as RFC 3339 writes it.
    Time,
    /// A duration as custom kinds have it: `60s` is `1m`.
    Duration,
    /// A string of another format, in custom kinds. A configuration may have any scalar there; what comes of it may
    /// not.
    Formatted,
    /// An integer of 32 bits.
    Int32,
    /// An integer of 64 bits, or of no said size.
    Int64,
    /// An integer or a float.
    Number,
    /// A boolean.
    Bool,
    /// A resource quantity: `1000m` is `1`.
    Quantity,
    /// An integer or a string; `80` and `"80"` differ.
    IntOrString,
}

/// The shape of a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A leaf.
    Scalar(Format),
    /// A map or a struct.
    Map(MapShape),
    /// A list.
    List(ListShape),
    /// Anything: maps are granular, lists atomic (structured merge diff's deduced type).
    Any,
    /// Anything, owned as a whole.
    Opaque,
    /// Another shape of the same [`Schema`], by number.
    Named(usize),
}

/// A map: declared fields, and the shape of all others when others are allowed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MapShape {
    /// Declared fields.
    pub fields: BTreeMap<String, Shape>,
    /// Shape of the fields that are not declared; `None` forbids them.
    pub element: Option<Box<Shape>>,
    /// Owned as a whole.
    pub atomic: bool,
    /// What else is known of declared fields; nothing of those that are not here.
    pub marks: BTreeMap<String, Mark>,
}

impl MapShape {
    /// The shape of a field: its own, else that of all others; `None` when there can be no such field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Shape> {
        self.fields.get(name).or(self.element.as_deref())
    }
}

/// What is known of a field beyond its shape.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mark {
    /// The server leaves it out while it is empty, zero or false.
    pub terse: bool,
    /// An object must have it once defaults are filled in.
    pub required: bool,
    /// The values that it, its items or its entries may have; any when there are none.
    pub values: Vec<String>,
    /// How strategic merge patches treat it; `None`: maps are merged, everything else is replaced.
    pub patch: Option<PatchRule>,
    /// What it is when it is left out.
    pub default: Option<Value>,
}

/// How strategic merge patches treat a field (`x-kubernetes-patch-strategy`, `x-kubernetes-patch-merge-key`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchRule {
    /// What happens to the old value; `None` is what happens to fields without a rule.
    pub way: Option<PatchWay>,
    /// Whether clients say in `$retainKeys` which fields stay.
    pub retain_keys: bool,
    /// The field that identifies an item of a list of maps.
    pub key: Option<String>,
}

/// What a strategic merge patch does to the old value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchWay {
    /// It merges into it.
    Merge,
    /// It takes its place.
    Replace,
}

/// A list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListShape {
    /// Shape of the items.
    pub element: Box<Shape>,
    /// What identifies an item.
    pub kind: ListKind,
}

/// What identifies an item of a list.
#[derive(Debug, Clone, PartialEq)]
pub enum ListKind {
    /// Nothing: the list is owned as a whole.
    Atomic,
    /// Its value.
    Set,
    /// Its key fields.
    Keyed(Vec<ListKey>),
}

/// One key field of a list, with the value that an item without it counts as having.
#[derive(Debug, Clone, PartialEq)]
pub struct ListKey {
    /// Field name.
    pub name: String,
    /// Default of the field.
    pub default: Option<Value>,
}

/// The schema of a kind.
#[derive(Debug, Clone)]
pub struct Schema {
    types: Arc<[Shape]>,
    root: Shape,
    /// Whether the server keeps explicit nulls: it does for custom resources, and drops them for its own types.
    keeps_nulls: bool,
    /// The schema that a CRD declares, for its defaults.
    structural: Option<Arc<Value>>,
    /// The rules of that schema.
    rules: Option<Arc<Rules>>,
}

impl Schema {
    /// Whether the server keeps explicit nulls in objects of this kind.
    #[must_use]
    pub const fn keeps_nulls(&self) -> bool {
        self.keeps_nulls
    }

    /// Whether a CRD declares the kind.
    #[must_use]
    pub const fn is_custom(&self) -> bool {
        self.structural.is_some()
    }

    /// The schema as the CRD of the kind declares it; `None` for built-in kinds.
    #[must_use]
    pub fn structural(&self) -> Option<&Value> {
        self.structural.as_deref()
    }

    /// The same schema for a server that stores what it is sent, byte for byte.
    #[cfg(test)]
    pub(super) fn keeping_nulls(mut self) -> Self {
        self.keeps_nulls = true;
        self
    }

    /// The rules in CEL that a CRD holds its objects to; `None` for built-in kinds and CRDs without a schema.
    #[must_use]
    pub fn rules(&self) -> Option<&Rules> {
        self.rules.as_deref()
    }

    /// Where a walk over an object of this kind begins.
    #[must_use]
    pub fn node(&self) -> Node<'_> {
        Node { types: &self.types, shape: &self.root }
    }
}

/// A place in a schema, reached by a walk over a value.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    types: &'a [Shape],
    shape: &'a Shape,
}

/// How a walk treats a value.
#[derive(Debug, Clone, Copy)]
pub enum View<'a> {
    /// As a whole.
    Leaf,
    /// Field by field.
    Map(Fields<'a>),
    /// Item by item; never an atomic list.
    List(&'a ListShape),
}

/// The fields of a granular map; without a shape all fields are [`Shape::Any`].
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    node: Node<'a>,
    shape: Option<&'a MapShape>,
}

static ANY: Shape = Shape::Any;
static OPAQUE: Shape = Shape::Opaque;

impl<'a> Node<'a> {
    /// The shape here, never [`Shape::Named`] (a reference that leads nowhere is [`Shape::Any`]).
    #[must_use]
    pub fn shape(self) -> &'a Shape {
        match self.shape {
            Shape::Named(number) => match self.types.get(*number) {
                Some(Shape::Named(_)) | None => &ANY,
                Some(shape) => shape,
            },
            shape => shape,
        }
    }

    /// The same schema at another shape.
    #[must_use]
    pub const fn at(self, shape: &'a Shape) -> Self {
        Self { types: self.types, shape }
    }

    /// How to walk `value` here. A value whose JSON type is not the declared one is a leaf; null goes with maps and
    /// lists.
    #[must_use]
    pub fn view(self, value: &Value) -> View<'a> {
        match (self.shape(), value) {
            (Shape::Any, Value::Object(_) | Value::Null) => View::Map(Fields { node: self, shape: None }),
            (Shape::Map(map), Value::Object(_) | Value::Null) if !map.atomic => {
                View::Map(Fields { node: self, shape: Some(map) })
            }
            (Shape::List(list), Value::Array(_) | Value::Null) if list.kind != ListKind::Atomic => View::List(list),
            _ => View::Leaf,
        }
    }

    /// How to walk two values here together: as a whole unless both can be walked the same way.
    #[must_use]
    pub fn view_both(self, old: Option<&Value>, new: Option<&Value>) -> View<'a> {
        match (old.map(|value| self.view(value)), new.map(|value| self.view(value))) {
            (Some(view), None) | (None, Some(view)) => view,
            (Some(View::Map(fields)), Some(View::Map(_))) => View::Map(fields),
            (Some(View::List(list)), Some(View::List(_))) => View::List(list),
            _ => View::Leaf,
        }
    }
}

impl<'a> Fields<'a> {
    /// The place of a field; one that is not allowed is read as [`Shape::Any`].
    #[must_use]
    pub fn get(self, name: &str) -> Node<'a> {
        let shape = self.shape.and_then(|map| map.field(name));
        self.node.at(shape.unwrap_or(&ANY))
    }

    /// Whether the field is one of a struct, not an entry of a map.
    #[must_use]
    pub fn is_declared(self, name: &str) -> bool {
        self.shape.is_some_and(|map| map.fields.contains_key(name))
    }

    /// Whether a value may have the field.
    #[must_use]
    pub fn allows(self, name: &str) -> bool {
        self.shape.is_none_or(|map| map.element.is_some() || map.fields.contains_key(name))
    }
}

/// Schemas by kind. A copy shares its kinds until one of the two changes.
#[derive(Debug, Clone)]
pub struct Schemas {
    kinds: Arc<BTreeMap<Gvk, Schema>>,
    unknown: Schema,
    metadata: Schema,
}

impl Schemas {
    /// The stable built-in kinds of Kubernetes v1.36; a constant table, read once.
    #[must_use]
    pub fn builtin() -> Self {
        table::builtin()
    }

    /// Adds the kinds of a `CustomResourceDefinition` (v1), one for each of its versions.
    ///
    /// # Errors
    /// [`CrdError`] when group, kind or versions are missing, or a schema is nested too deeply.
    pub fn with_crd(mut self, crd: &Value) -> Result<Self, CrdError> {
        self.add_crd(crd)?;
        Ok(self)
    }

    /// As [`Schemas::with_crd`], in place. Nothing is added when it fails.
    ///
    /// # Errors
    /// As [`Schemas::with_crd`].
    pub fn add_crd(&mut self, crd: &Value) -> Result<(), CrdError> {
        for (gvk, root, structural) in crd::read(crd, &self.metadata.root)? {
            let types = Arc::clone(&self.unknown.types);
            let rules = structural.clone().map(|schema| Arc::new(Rules::of(schema)));
            Arc::make_mut(&mut self.kinds).insert(gvk, Schema { types, root, keeps_nulls: true, structural, rules });
        }
        Ok(())
    }

    /// Forgets a kind; the next [`Schemas::lookup`] of it is graded [`Grade::None`].
    pub fn remove(&mut self, gvk: &Gvk) {
        Arc::make_mut(&mut self.kinds).remove(gvk);
    }

    /// The schema of a kind, and how good predictions with it are. An unknown kind has known metadata, granular maps
    /// and atomic lists, and [`Grade::None`].
    #[must_use]
    pub fn lookup(&self, gvk: &Gvk) -> (&Schema, Grade) {
        self.kinds.get(gvk).map_or((&self.unknown, Grade::None), |schema| (schema, Grade::Schema))
    }

    /// The schema of `metadata` of any object.
    #[must_use]
    pub const fn metadata(&self) -> &Schema {
        &self.metadata
    }

    /// Fills in the defaults of a kind, as the server does with what it stores. Those of an unknown kind are not known.
    pub fn fill(&self, gvk: &Gvk, object: &mut Value) {
        let Some(schema) = self.kinds.get(gvk) else { return };
        match &schema.structural {
            Some(structural) => defaults::fill_structural(object, structural),
            None => defaults::fill(gvk, object, schema.node()),
        }
    }

    /// The known kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &Gvk> {
        self.kinds.keys()
    }
}

#[cfg(test)]
mod tests;
