//! The defaults of custom kinds, which their own schemas say.

use serde_json::{Map, Value};

/// Fills in the defaults that the structural schema of a custom resource declares, inside objects that are there, and
/// writes whole numbers as the server writes them, `1.0` as `1`.
pub fn fill_structural(value: &mut Value, schema: &Value) {
    write_whole(value);
    fill_part(value, schema);
}

/// The greatest float that has no neighbour of the same whole number.
const MOST_WHOLE: f64 = 9_007_199_254_740_991.0;

fn write_whole(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(write_whole),
        Value::Array(items) => items.iter_mut().for_each(write_whole),
        Value::Number(number) if number.is_f64() => {
            let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() <= MOST_WHOLE);
            if let Some(whole) = float.and_then(|float| format!("{float:.0}").parse::<i64>().ok()) {
                *number = whole.into();
            }
        }
        _ => {}
    }
}

fn fill_part(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(fields) => fill_fields(fields, schema),
        Value::Array(items) => {
            if let Some(of_items) = schema.get("items") {
                for item in items {
                    fill_value(item, of_items);
                }
            }
        }
        _ => {}
    }
}

/// An item or an entry of a map; a null that may not be null counts as missing.
fn fill_value(value: &mut Value, schema: &Value) {
    if value.is_null()
        && schema.get("nullable") != Some(&Value::Bool(true))
        && let Some(default) = schema.get("default")
    {
        value.clone_from(default);
    }
    fill_part(value, schema);
}

fn fill_fields(fields: &mut Map<String, Value>, schema: &Value) {
    for (name, below) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let nothing = match fields.get(name) {
            None => true,
            // A null that may not be null counts as missing.
            Some(Value::Null) => below.get("nullable") != Some(&Value::Bool(true)),
            Some(_) => false,
        };
        if nothing && let Some(default) = below.get("default") {
            fields.insert(name.clone(), default.clone());
        }
        if let Some(value) = fields.get_mut(name) {
            fill_part(value, below);
        }
    }
    if let Some(others @ Value::Object(_)) = schema.get("additionalProperties") {
        fields.values_mut().for_each(|value| fill_value(value, others));
    }
}
