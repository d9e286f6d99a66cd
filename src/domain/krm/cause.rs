//! Why the API server refuses an object, field by field.
//!
//! Source: apimachinery `util/validation/field`, whose words these are.

use std::fmt;

use serde_json::{Value, json};

use crate::domain::krm::path::{Path, PathElement};

/// How the server names the object itself, in the place of a field.
pub(crate) const ITSELF: &str = "<nil>";

/// One reason among several, tied to a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable, such as `FieldValueInvalid`.
    pub reason: &'static str,
    /// For people, without the field.
    pub message: String,
    /// The field, such as `spec.ports[0].port`; empty when it is none.
    pub field: String,
}

impl Cause {
    /// A field that must be there.
    #[must_use]
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        Self::of("FieldValueRequired", "Required value", field.into(), detail)
    }

    /// A field with a value that is not allowed.
    #[must_use]
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::of("FieldValueInvalid", &format!("Invalid value: {value}"), field.into(), detail)
    }

    /// A field that must not be there, or not with this value.
    #[must_use]
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::of("FieldValueForbidden", "Forbidden", field.into(), detail)
    }

    /// A value that must be unique and is not.
    #[must_use]
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::of("FieldValueDuplicate", &format!("Duplicate value: {value}"), field.into(), "")
    }

    /// A value that is none of the supported ones.
    #[must_use]
    pub fn not_supported(field: impl Into<String>, value: &Value, supported: &[String]) -> Self {
        let detail = format!("supported values: {}", supported.join(", "));
        Self::of("FieldValueNotSupported", &format!("Unsupported value: {value}"), field.into(), &detail)
    }

    /// A text over the limit, in bytes.
    #[must_use]
    pub fn too_long(field: impl Into<String>, most: usize) -> Self {
        let unit = if most == 1 { "byte" } else { "bytes" };
        let message = format!("Too long: may not be more than {most} {unit}");
        Self { reason: "FieldValueTooLong", message, field: field.into() }
    }

    /// A list or a map of more entries than there may be.
    #[must_use]
    pub fn too_many(field: impl Into<String>, count: usize, most: u64) -> Self {
        let unit = if most == 1 { "item" } else { "items" };
        let message = format!("Too many: {count}: must have at most {most} {unit}");
        Self { reason: "FieldValueTooMany", message, field: field.into() }
    }

    /// A value of a wrong type.
    #[must_use]
    pub fn wrong_type(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self::of("FieldValueTypeInvalid", &format!("Invalid value: {value}"), field.into(), detail)
    }

    /// The place of the field in an object; the object itself when no field is told. A name that the object does not
    /// have is one up to the next dot.
    #[must_use]
    pub fn path(&self, object: &Value) -> Path {
        let mut path = Path::default();
        let mut here = Some(object);
        let mut rest = if self.field == ITSELF { "" } else { self.field.as_str() };
        while let Some((element, after)) = step(rest, here) {
            here = here.and_then(|value| match &element {
                PathElement::Index(index) => value.get(*index),
                PathElement::Field(name) => value.get(name),
                _ => None,
            });
            path.push(element);
            rest = after;
        }
        path
    }

    fn of(reason: &'static str, what: &str, field: String, detail: &str) -> Self {
        let message = if detail.is_empty() { what.to_owned() } else { format!("{what}: {detail}") };
        Self { reason, message, field }
    }

    /// As an entry of `details.causes` of a `Status`; empty parts are left out.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = json!({"message": self.message});
        if !self.reason.is_empty() {
            out["reason"] = json!(self.reason);
        }
        if !self.field.is_empty() {
            out["field"] = json!(self.field);
        }
        out
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// The first step of a path as the server writes it, such as `spec.ports[0].name` or `data[a.b]`, and what follows it.
fn step<'p>(path: &'p str, here: Option<&Value>) -> Option<(PathElement, &'p str)> {
    let path = path.strip_prefix('.').unwrap_or(path);
    if path.is_empty() {
        return None;
    }
    if let Some((inner, after)) = path.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let index = inner.parse().ok().filter(|_| here.is_some_and(Value::is_array));
        return Some((index.map_or_else(|| PathElement::field(inner), PathElement::Index), after));
    }
    // Names may have dots themselves: the longest that is there is meant.
    let is_it =
        |name: &&str| path.strip_prefix(*name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    let names = here.and_then(Value::as_object).into_iter().flat_map(|fields| fields.keys().map(String::as_str));
    let known = names.filter(is_it).max_by_key(|name| name.len()).map(str::len);
    let length = known.unwrap_or_else(|| path.find(['.', '[']).unwrap_or(path.len())).max(1);
    let (name, rest) = path.split_at_checked(length)?;
    Some((PathElement::field(name), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_places_in_the_object() {
        let object = json!({"spec": {"ports": [{"name": "a"}], "a.b/c": {"d": 1}, "a": 1, "keys": {"x.y": 2}}});
        let table = [
            ("spec.ports[0].name", ".spec.ports[0].name"),
            ("spec.ports[0].number.least", ".spec.ports[0].number.least"),
            ("spec.a.b/c.d", ".spec.a.b/c.d"),
            ("spec.keys[x.y]", ".spec.keys.x.y"),
            ("<nil>", ""),
            ("", ""),
            ("spec.missing[2]", ".spec.missing.2"),
        ];
        for (field, expected) in table {
            let path = Cause::required(field, "").path(&object);
            assert_eq!(path.to_string(), expected);
            if field == "spec.a.b/c.d" {
                assert_eq!(path.elements().len(), 3);
            }
        }
    }
}
