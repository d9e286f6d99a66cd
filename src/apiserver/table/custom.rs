//! Columns of custom kinds: `additionalPrinterColumns`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{age, definition};
use crate::apiserver::kinds;
use crate::domain::krm::JsonPath;

/// A column of a CRD.
#[derive(Debug, Clone)]
pub(super) struct Column {
    definition: Value,
    kind: String,
    path: Option<JsonPath>,
}

/// The columns of a kind: the name, then what its CRD declares, or the age when it declares none.
pub(super) fn columns(declared: &[kinds::Column]) -> Vec<Column> {
    let simple = |name: &str, type_: &str, path: &str| kinds::Column {
        name: name.to_owned(),
        type_: type_.to_owned(),
        format: String::new(),
        description: String::new(),
        priority: 0,
        json_path: path.to_owned(),
    };
    let name = simple("Name", "string", ".metadata.name");
    let age = simple("Age", "date", ".metadata.creationTimestamp");
    let declared = if declared.is_empty() { std::slice::from_ref(&age) } else { declared };
    std::iter::once(&name).chain(declared).map(Column::of).collect()
}

impl Column {
    fn of(column: &kinds::Column) -> Self {
        let by_path = || format!("Custom resource definition column (in JSONPath format): {}", column.json_path);
        let described = if column.description.is_empty() { by_path() } else { column.description.clone() };
        let priority = i64::from(column.priority);
        Self {
            definition: definition(&column.name, &column.type_, &column.format, &described, priority),
            kind: column.type_.clone(),
            path: JsonPath::parse(&column.json_path).ok(),
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
