//! The form in which the API server stores what it was sent: quantities in canonical form, base64 in one line, no
//! explicit nulls, no zeros where it leaves them out, no empty lists and maps of entries (structs may be empty). The
//! entry of a map and the item of a list are there all the same when they are null: as what is zero of their type.

use serde_json::{Map, Value};

use crate::domain::krm::duration;
use crate::domain::krm::quantity::Quantity;
use crate::domain::krm::schema::{Format, MapShape, Node, Schema, Shape};

/// `value` as the server stores it. Custom resources are stored as they are sent.
#[must_use]
pub fn normalise(value: &Value, schema: &Schema) -> Value {
    if schema.keeps_nulls() { value.clone() } else { walk(value, schema.node(), true) }
}

/// As [`normalise`], in place.
pub fn settle(value: &mut Value, schema: &Schema) {
    if !schema.keeps_nulls() && !is_settled(value, schema) {
        *value = normalise(value, schema);
    }
}

/// Whether `value` is as the server stores it already, which what a server answered mostly is.
#[must_use]
pub fn is_settled(value: &Value, schema: &Schema) -> bool {
    schema.keeps_nulls() || is_walked(value, schema.node())
}

/// Whether [`walk`] would change nothing.
fn is_walked(value: &Value, node: Node<'_>) -> bool {
    match (node.shape(), value) {
        (Shape::Map(map), Value::Object(fields)) => fields.iter().all(|(name, field)| {
            let declared = map.fields.get(name);
            let Some(below) = declared.or(map.element.as_deref()).map(|shape| node.at(shape)) else { return true };
            let is_empty = declared.is_some() && is_left_out(field, below);
            !field.is_null() && !is_empty && is_walked(field, below)
        }),
        (Shape::List(list), Value::Array(items)) => {
            let element = node.at(&list.element);
            items.iter().all(|item| is_walked(item, element) && !(item.is_null() && zero_of(element).is_some()))
        }
        (Shape::Scalar(Format::Quantity), value) => {
            Quantity::of(value).is_none_or(|quantity| value.as_str().is_some_and(|text| quantity.kept(text) == text))
        }
        (Shape::Scalar(Format::Bytes), Value::String(text)) => !text.contains(['\n', '\r']),
        _ => true,
    }
}

/// `value` in canonical form with what is empty in it: what an owner declares by it.
#[must_use]
pub fn canonical(value: &Value, schema: &Schema) -> Value {
    if schema.keeps_nulls() { value.clone() } else { walk(value, schema.node(), false) }
}

/// Removes the fields that the server leaves out of its own kinds while they are empty, zero or false.
pub fn drop_zeros(value: &mut Value, node: Node<'_>) {
    each_map(value, node, &|map, fields| {
        fields.retain(|name, field| !(is_zero(field) && map.marks.get(name).is_some_and(|mark| mark.terse)));
    });
}

/// Changes every map whose shape is declared; each before what is in it.
pub(super) fn each_map(value: &mut Value, node: Node<'_>, change: &impl Fn(&MapShape, &mut Map<String, Value>)) {
    match (node.shape(), value) {
        (Shape::Map(map), Value::Object(fields)) => {
            change(map, fields);
            for (name, field) in fields {
                if let Some(shape) = map.field(name) {
                    each_map(field, node.at(shape), change);
                }
            }
        }
        (Shape::List(list), Value::Array(items)) => {
            for item in items {
                each_map(item, node.at(&list.element), change);
            }
        }
        _ => {}
    }
}

/// Whether a scalar is the empty one of its type.
pub(super) fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(set) => !set,
        _ => false,
    }
}

/// Whether two scalars mean the same at a place of a schema.
#[must_use]
pub fn same_meaning(old: &Value, new: &Value, node: Node<'_>) -> bool {
    if let Shape::Scalar(Format::Quantity) = node.shape()
        && let (Some(old), Some(new)) = (Quantity::of(old), Quantity::of(new))
    {
        return old == new;
    }
    if let (Shape::Scalar(Format::Duration), Some(old), Some(new)) = (node.shape(), old.as_str(), new.as_str())
        && let (Some(old), Some(new)) = (duration::parse_loose(old), duration::parse_loose(new))
    {
        return old == new;
    }
    super::value::same(old, new)
}

/// Whether the server leaves a field out that it has as an empty list or an empty map of entries.
fn is_left_out(value: &Value, node: Node<'_>) -> bool {
    match (node.shape(), value) {
        (Shape::List(_), Value::Array(items)) => items.is_empty(),
        (Shape::Map(map), Value::Object(fields)) => fields.is_empty() && map.element.is_some(),
        _ => false,
    }
}

/// What a null stands for where something must stand; `None` where null is as good.
fn zero_of(node: Node<'_>) -> Option<Value> {
    match node.shape() {
        Shape::Scalar(Format::Text | Format::Bytes | Format::Formatted) => Some(Value::from("")),
        Shape::Scalar(Format::Quantity) => Some(Value::from("0")),
        Shape::Scalar(Format::Bool) => Some(Value::from(false)),
        Shape::Scalar(Format::Int32 | Format::Int64 | Format::Number | Format::IntOrString) => Some(Value::from(0)),
        Shape::Map(map) if map.element.is_none() => Some(Value::Object(Map::new())),
        _ => None,
    }
}

fn walk(value: &Value, node: Node<'_>, drops_empty: bool) -> Value {
    match (node.shape(), value) {
        (Shape::Map(map), Value::Object(fields)) => {
            let kept = fields.iter().filter_map(|(name, field)| {
                let shape = map.field(name);
                let Some(below) = shape.map(|shape| node.at(shape)) else { return Some((name.clone(), field.clone())) };
                if let (false, Value::Null, Some(zero)) = (map.fields.contains_key(name), field, zero_of(below)) {
                    return Some((name.clone(), zero));
                }
                let is_empty = drops_empty && map.fields.contains_key(name) && is_left_out(field, below);
                let is_kept = !(field.is_null() || is_empty);
                is_kept.then(|| (name.clone(), walk(field, below, drops_empty)))
            });
            Value::Object(kept.collect::<Map<_, _>>())
        }
        (Shape::List(list), Value::Array(items)) => {
            let element = node.at(&list.element);
            let item = |item: &Value| zero_of(element).filter(|_| item.is_null());
            items.iter().map(|one| item(one).unwrap_or_else(|| walk(one, element, drops_empty))).collect()
        }
        (Shape::Scalar(Format::Quantity), value) => {
            let kept =
                |quantity: Quantity| value.as_str().map_or_else(|| quantity.to_string(), |text| quantity.kept(text));
            Quantity::of(value).map_or_else(|| value.clone(), |quantity| Value::String(kept(quantity)))
        }
        (Shape::Scalar(Format::Bytes), Value::String(text)) => Value::String(text.replace(['\n', '\r'], "")),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::krm::{Gvk, Schemas};
    use serde_json::json;

    #[test]
    fn nothing_is_left_out_but_empty_structs_stay() {
        let schemas = Schemas::builtin();
        let (schema, _) = schemas.lookup(&Gvk::new("apps", "v1", "Deployment"));
        let sent = json!({"metadata": {"labels": {}, "annotations": null, "finalizers": []},
            "spec": {"strategy": {}, "paused": null, "template": {"spec": {"containers": [], "securityContext": {}}}}});
        let stored = json!({"metadata": {}, "spec": {"strategy": {}, "template": {"spec": {"securityContext": {}}}}});
        assert_eq!(normalise(&sent, schema), stored);
    }

    #[test]
    fn a_null_entry_is_a_zero_one() {
        let schemas = Schemas::builtin();
        let (schema, _) = schemas.lookup(&Gvk::new("", "v1", "Pod"));
        let sent = json!({"metadata": {"annotations": {"a": null}, "labels": null}, "spec": {"nodeSelector": {"b": null},
            "containers": [{"args": [null, "x"], "command": null, "resources": {"limits": {"cpu": null}}}]}});
        let stored = json!({"metadata": {"annotations": {"a": ""}}, "spec": {"nodeSelector": {"b": ""},
            "containers": [{"args": ["", "x"], "resources": {"limits": {"cpu": "0"}}}]}});
        assert!(!is_settled(&sent, schema));
        assert_eq!(normalise(&sent, schema), stored);
        assert!(is_settled(&stored, schema));
        let (secret, _) = schemas.lookup(&Gvk::new("", "v1", "Secret"));
        let broken = json!({"data": {"a": "YW\nJj\n", "b": null}});
        assert!(!is_settled(&broken, secret));
        assert_eq!(normalise(&broken, secret), json!({"data": {"a": "YWJj", "b": ""}}));
        let listed = json!({"spec": {"containers": [{"args": [null]}]}});
        assert!(!is_settled(&listed, schema));
    }

    #[test]
    fn what_is_settled_is_what_does_not_change() {
        let schemas = Schemas::builtin();
        let (schema, _) = schemas.lookup(&Gvk::new("apps", "v1", "Deployment"));
        for spec in [
            json!({"strategy": {}, "replicas": 0, "unknown": null}),
            json!({"paused": null}),
            json!({"template": {"spec": {"containers": []}}}),
            json!({"template": {"metadata": {"labels": {}}}}),
            json!({"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": "1000m"}}}]}}}),
            json!({"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": "1", "memory": 5}}}]}}}),
            json!({"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": "1", "memory": "x"}}}]}}}),
        ] {
            let object = json!({"spec": spec});
            let mut settled = object.clone();
            settle(&mut settled, schema);
            assert_eq!(settled, normalise(&object, schema), "{object}");
            assert_eq!(is_settled(&object, schema), settled == object, "{object}");
        }
    }

    #[test]
    fn custom_resources_are_stored_as_they_are_sent() {
        let schemas = Schemas::builtin();
        let (schema, _) = schemas.lookup(&Gvk::new("example.com", "v1", "Thing"));
        let sent = json!({"spec": {"a": null, "b": [], "c": {}}});
        assert_eq!(normalise(&sent, schema), sent);
    }
}
