//! Columns of custom kinds: `additionalPrinterColumns`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::jsonpath::JsonPath;
use super::read::{list, text};
use super::{age, definition, read};

/// A column of a CRD.
#[derive(Debug, Clone)]
pub(super) struct Column {
    definition: Value,
    kind: String,
    path: Option<JsonPath>,
}

/// The columns of one version: the name, then what the CRD declares, or the age when it declares none.
pub(super) fn columns(version: &Value) -> Vec<Column> {
    let age = json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"});
    let name = json!({"name": "Name", "type": "string", "jsonPath": ".metadata.name"});
    let declared = list(version, "/additionalPrinterColumns");
    let declared = if declared.is_empty() { std::slice::from_ref(&age) } else { declared };
    std::iter::once(&name).chain(declared).map(Column::read).collect()
}

impl Column {
    fn read(column: &Value) -> Self {
        let (name, kind, path) = (text(column, "/name"), text(column, "/type"), text(column, "/jsonPath"));
        let described = text(column, "/description");
        let described = if described.is_empty() { path } else { described };
        let priority = read::number(column, "/priority");
        Self {
            definition: definition(name, kind, text(column, "/format"), described, priority),
            kind: kind.to_owned(),
            path: JsonPath::parse(path).ok(),
        }
    }

    pub(super) fn definition(&self) -> Value {
        self.definition.clone()
    }

    /// The first value at the path in the form of the column's type; null when there is none or it does not fit.
    pub(super) fn cell(&self, object: &Value, now: Timestamp) -> Value {
        let found = self.path.as_ref().and_then(|path| path.find(object).first().copied());
        found.map_or(Value::Null, |value| form(&self.kind, value, now))
    }
}

fn form(kind: &str, value: &Value, now: Timestamp) -> Value {
    match (kind, value) {
        (_, Value::Null) => Value::Null,
        ("integer", Value::Number(number)) => integer(number),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) | ("string", Value::String(_)) => value.clone(),
        ("string", other) => json!(other.to_string()),
        ("date", Value::String(instant)) => json!(age::since(instant, now)),
        _ => Value::Null,
    }
}

fn integer(number: &serde_json::Number) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "a fraction in an integer column is cut, as upstream does")]
    let whole = number.as_i64().or_else(|| number.as_f64().map(|float| float as i64));
    json!(whole)
}
