//! Whether a configuration fits its schema, in the words of the API server's typed conversion.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::domain::krm::cause::Cause;
use crate::domain::krm::merge::{element_of, elements};
use crate::domain::krm::path::{Path, PathElement};
use crate::domain::krm::quantity::Quantity;
use crate::domain::krm::scalar;
use crate::domain::krm::schema::{Format, ListKind, ListShape, Node, Schema, Shape};

/// The message of a field that the schema does not have.
pub const UNDECLARED: &str = "field not declared in schema";

/// How a misspelt quantity is told by [`validate`], up to the value.
const NO_QUANTITY: &str = "expected quantity, got ";

const DUPLICATE: &str = "duplicate entries for key";

/// One way in which a value does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// Where.
    pub path: Path,
    /// What is wrong, such as `field not declared in schema`.
    pub message: String,
}

impl Violation {
    /// A cause as what is wrong at a place of an object.
    #[must_use]
    pub fn of(cause: Cause, object: &Value) -> Self {
        Self { path: cause.path(object), message: cause.message }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// All the ways in which `value` does not fit: undeclared fields, wrong types, list items without or with the same
/// keys.
#[must_use]
pub fn validate(value: &Value, schema: &Schema) -> Vec<Violation> {
    let mut check = Check { path: Path::default(), found: Vec::new() };
    check.value(value, schema.node());
    check.found
}

/// What the server says of a configuration before it looks at the object that comes of it: all that [`validate`] says,
/// and of a built-in kind the scalars that are not written as their format asks, in the words of its decoder.
#[must_use]
pub fn misfits(config: &Value, schema: &Schema) -> Vec<Violation> {
    if schema.is_custom() {
        return validate(config, schema);
    }
    let misspelt = scalar::faults(config, schema).into_iter().filter(|(_, error)| error.holds_for_configurations());
    let mut found: Vec<Violation> =
        misspelt.map(|(path, error)| Violation { path, message: error.to_string() }).collect();
    // Of a quantity that its decoder refuses nothing else is said.
    let is_list_or_map =
        |message: &str| message.strip_prefix(NO_QUANTITY).is_some_and(|got| got.starts_with(['[', '{']));
    let rest = validate(config, schema).into_iter();
    found.extend(rest.filter(|one| !one.message.starts_with(NO_QUANTITY) || is_list_or_map(&one.message)));
    found
}

/// What [`validate`] says of an object of a custom kind where its structural schema is silent: of undeclared fields and
/// of metadata. The rest is told by [`structural`](crate::domain::krm::structural).
#[must_use]
pub fn around(object: &Value, schema: &Schema) -> Vec<Violation> {
    let metadata = Path::fields(&["metadata"]);
    let is_ours = |one: &Violation| one.message == UNDECLARED || one.path.starts_with(&metadata);
    validate(object, schema).into_iter().filter(is_ours).collect()
}

/// Whether a stored value fits, in which lists may hold several items of one key.
#[must_use]
pub fn fits(value: &Value, schema: &Schema) -> bool {
    validate(value, schema).iter().all(|violation| violation.message.starts_with(DUPLICATE))
}

/// A value without the fields that its schema does not declare.
#[must_use]
pub fn declared_only(value: &Value, schema: &Schema) -> Value {
    kept(value, schema.node())
}

fn kept(value: &Value, node: Node<'_>) -> Value {
    match (node.shape(), value) {
        (Shape::Map(map), Value::Object(fields)) => {
            let shape = |name: &String| map.field(name);
            let fields =
                fields.iter().filter_map(|(name, value)| Some((name.clone(), kept(value, node.at(shape(name)?)))));
            Value::Object(fields.collect())
        }
        (Shape::List(list), Value::Array(items)) => {
            items.iter().map(|item| kept(item, node.at(&list.element))).collect()
        }
        _ => value.clone(),
    }
}

struct Check {
    path: Path,
    found: Vec<Violation>,
}

impl Check {
    fn refuse(&mut self, message: String) {
        self.found.push(Violation { path: self.path.clone(), message });
    }

    fn part(&mut self, element: PathElement, value: &Value, node: Node<'_>) {
        self.path.push(element);
        self.value(value, node);
        self.path.pop();
    }

    fn value(&mut self, value: &Value, node: Node<'_>) {
        match (node.shape(), value) {
            (_, Value::Null) | (Shape::Any | Shape::Opaque | Shape::Named(_), _) => {}
            (Shape::Scalar(format), value) => self.scalar(*format, value),
            (Shape::Map(map), Value::Object(fields)) => {
                for (name, value) in fields {
                    match map.field(name) {
                        Some(shape) => self.part(PathElement::field(name), value, node.at(shape)),
                        None => self.undeclared(name),
                    }
                }
            }
            (Shape::List(list), Value::Array(items)) => self.items(list, items, node.at(&list.element)),
            (Shape::Map(_), value) => self.refuse(format!("expected map, got {value}")),
            (Shape::List(_), value) => self.refuse(format!("expected list, got {value}")),
        }
    }

    fn undeclared(&mut self, name: &str) {
        self.path.push(PathElement::field(name));
        self.refuse(UNDECLARED.to_owned());
        self.path.pop();
    }

    fn scalar(&mut self, format: Format, value: &Value) {
        let (fits, name) = match format {
            Format::Text | Format::Bytes | Format::Time => (value.is_string(), "string"),
            Format::Duration | Format::Formatted => (!value.is_array() && !value.is_object(), "scalar"),
            Format::Number | Format::Int32 | Format::Int64 => (value.is_number(), "numeric (int or float)"),
            Format::Bool => (value.is_boolean(), "boolean"),
            Format::Quantity => (Quantity::of(value).is_some(), "quantity"),
            Format::IntOrString => (value.is_string() || value.is_number(), "integer or string"),
        };
        if !fits {
            self.refuse(format!("expected {name}, got {value}"));
        }
    }

    fn items(&mut self, list: &ListShape, items: &[Value], node: Node<'_>) {
        if list.kind == ListKind::Atomic {
            for (index, item) in items.iter().enumerate() {
                self.part(PathElement::Index(index), item, node);
            }
            return;
        }
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let element = element_of(list, index, item);
            if element == PathElement::Index(index) {
                self.refuse(format!("element {index}: {}", nameless(list, item)));
            } else if !seen.insert(element.clone()) {
                self.refuse(format!("{DUPLICATE} {element}"));
            }
        }
        for (element, item) in elements(list, Some(&Value::Array(items.to_vec()))) {
            self.part(element, item, node);
        }
    }
}

/// Why an item cannot be told from the others.
fn nameless(list: &ListShape, item: &Value) -> String {
    match (&list.kind, item) {
        (ListKind::Keyed(_), Value::Null) => "associative list with keys may not have a null element".to_owned(),
        (ListKind::Keyed(keys), Value::Object(_)) => {
            let keys: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
            format!(
                "associative list with keys has an element that omits all key fields {keys:?} (and doesn't have \
                 default values for any key fields)"
            )
        }
        (ListKind::Keyed(_), _) => "associative list with keys may not have non-map elements".to_owned(),
        _ => "a set may only have scalar elements".to_owned(),
    }
}
