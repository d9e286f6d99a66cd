//! A structural schema as CEL sees it: how its values are read, and of which types they are.
//!
//! Source: `SchemaDeclType` and `UnstructuredToVal` of `k8s.io/apiserver/pkg/cel/common` (Kubernetes v1.36).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::escape::escape;
use super::types::{ObjectType, Type};

/// Deepest nesting of schemas that is read; deeper ones are not seen by rules.
pub(super) const MAX_DEPTH: usize = 64;

/// A place in a schema.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) shape: Shape,
    pub(super) nullable: bool,
    /// The `type` of the schema; empty when it has none.
    pub(super) word: String,
}

/// How values of a place are read.
#[derive(Debug)]
pub(super) enum Shape {
    /// Declared fields, by their names in JSON.
    Object(BTreeMap<String, Arc<Node>>),
    /// Any keys, values of one schema.
    Map(Arc<Node>),
    /// An object of which nothing is declared.
    Bare,
    List(Arc<Node>, ListKind),
    Text(TextFormat),
    Number,
    Integer,
    Bool,
    IntOrString,
    /// Anything, which rules can only compare.
    Preserved,
    /// Not readable by rules.
    Hidden,
}

/// What makes two items of a list the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ListKind {
    Atomic,
    Set,
    Map(Vec<String>),
}

/// Texts that mean something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextFormat {
    Plain,
    Duration,
    Date,
    DateTime,
    Byte,
}

pub(super) fn word<'a>(schema: &'a Value, name: &str) -> &'a str {
    schema.get(name).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or_default()
}

/// The fields of a schema, if it declares any.
pub(super) fn properties(schema: &Value) -> Option<&serde_json::Map<String, Value>> {
    schema.get("properties").and_then(Value::as_object)
}

impl Node {
    fn of(shape: Shape, word: &str, nullable: bool) -> Self {
        Self { shape, nullable, word: word.to_owned() }
    }

    /// Reads a schema; `resource` ones know `apiVersion`, `kind`, `metadata.name` and `metadata.generateName`.
    pub(super) fn read(schema: &Value, resource: bool, depth: usize) -> Self {
        let kind = word(schema, "type");
        let shape = match depth.checked_sub(1) {
            Some(depth) => shape(schema, resource, depth),
            None => Shape::Hidden,
        };
        Self::of(shape, kind, flag(schema, "nullable"))
    }

    /// The type of its values; `None` when rules cannot see them.
    pub(super) fn decl(&self) -> Option<Type> {
        Some(match &self.shape {
            Shape::IntOrString => Type::Dyn,
            Shape::List(element, _) => Type::List(Box::new(element.decl()?)),
            Shape::Map(element) => Type::Map(Box::new(Type::Text), Box::new(element.decl()?)),
            Shape::Bare => Type::Object(Arc::new(ObjectType::default())),
            Shape::Object(fields) => {
                let field = |(name, node): (&String, &Arc<Self>)| Some((escape(name)?, node.decl()?));
                Type::Object(Arc::new(ObjectType { fields: fields.iter().filter_map(field).collect() }))
            }
            Shape::Text(TextFormat::Plain) => Type::Text,
            Shape::Text(TextFormat::Byte) => Type::Bytes,
            Shape::Text(TextFormat::Duration) => Type::Duration,
            Shape::Text(TextFormat::Date | TextFormat::DateTime) => Type::Timestamp,
            Shape::Number => Type::Double,
            Shape::Integer => Type::Int,
            Shape::Bool => Type::Bool,
            Shape::Preserved | Shape::Hidden => return None,
        })
    }
}

fn shape(schema: &Value, resource: bool, depth: usize) -> Shape {
    if flag(schema, "x-kubernetes-int-or-string") {
        return Shape::IntOrString;
    }
    let child = |schema: &Value| Arc::new(Node::read(schema, flag(schema, "x-kubernetes-embedded-resource"), depth));
    match word(schema, "type") {
        "object" if resource || properties(schema).is_some_and(|fields| !fields.is_empty()) => {
            let fields = properties(schema).into_iter().flatten();
            let mut fields: BTreeMap<_, _> = fields.map(|(name, field)| (name.clone(), child(field))).collect();
            if resource {
                fields.extend(resource_fields());
            }
            Shape::Object(fields)
        }
        "object" => match schema.get("additionalProperties") {
            Some(element @ Value::Object(_)) => Shape::Map(child(element)),
            _ => Shape::Bare,
        },
        "array" => match schema.get("items") {
            Some(items @ Value::Object(_)) => Shape::List(child(items), list_kind(schema)),
            _ => Shape::Hidden,
        },
        "string" => Shape::Text(match word(schema, "format") {
            "duration" => TextFormat::Duration,
            "date" => TextFormat::Date,
            "date-time" => TextFormat::DateTime,
            "byte" => TextFormat::Byte,
            _ => TextFormat::Plain,
        }),
        "number" => Shape::Number,
        "integer" => Shape::Integer,
        "boolean" => Shape::Bool,
        _ if flag(schema, "x-kubernetes-preserve-unknown-fields") => Shape::Preserved,
        _ => Shape::Hidden,
    }
}

fn list_kind(schema: &Value) -> ListKind {
    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten();
    match word(schema, "x-kubernetes-list-type") {
        "set" => ListKind::Set,
        "map" => ListKind::Map(keys.filter_map(Value::as_str).map(str::to_owned).collect()),
        _ => ListKind::Atomic,
    }
}

fn resource_fields() -> BTreeMap<String, Arc<Node>> {
    let text = || Arc::new(Node::of(Shape::Text(TextFormat::Plain), "string", false));
    let metadata = BTreeMap::from([("name".to_owned(), text()), ("generateName".to_owned(), text())]);
    let metadata = Arc::new(Node::of(Shape::Object(metadata), "object", false));
    BTreeMap::from([("apiVersion".to_owned(), text()), ("kind".to_owned(), text()), ("metadata".to_owned(), metadata)])
}
