//! What a schema asks of a value beyond its shape: fields that must be there, and values that are none of a few.
//!
//! The API server reads Go structs: of the fields that OpenAPI calls required it takes a few as empty when they are
//! missing (`HTTPHeader.value`, `LimitRangeSpec.limits`, ...). So [`missing`] is what a reader of the schema says of a
//! built-in kind, and what the server says of a custom one. [`unlisted`] is what the server says of both.

use serde_json::{Map, Value};

use super::{MapShape, Mark, Node, Schema, Shape};
use crate::domain::krm::merge::elements;
use crate::domain::krm::normal::is_zero;
use crate::domain::krm::path::{Path, PathElement};
use crate::domain::krm::validate::Violation;

/// The required fields that `value` does not have; defaults have to be filled in before.
#[must_use]
pub fn missing(value: &Value, schema: &Schema) -> Vec<Violation> {
    let keeps_nulls = schema.keeps_nulls();
    let judge = move |walk: &mut Walk<'_>, map: &MapShape, fields: &Map<String, Value>| {
        let is_there = |name: &String| fields.get(name).is_some_and(|value| keeps_nulls || !value.is_null());
        for (name, _) in map.marks.iter().filter(|(name, mark)| mark.required && !is_there(name)) {
            walk.refuse(PathElement::field(name), "Required value".to_owned());
        }
    };
    walked(value, schema, &judge)
}

/// The texts of `value` that are none of those that the schema lists for their place. The empty text is none at all.
#[must_use]
pub fn unlisted(value: &Value, schema: &Schema) -> Vec<Violation> {
    walked(value, schema, &|walk, map, fields| {
        for (name, value) in fields {
            if let Some(mark) = map.marks.get(name).filter(|mark| !mark.values.is_empty()) {
                walk.listed(PathElement::field(name), value, mark);
            }
        }
    })
}

/// Where people find an item of a list: by the keys that it has, or that its defaults give it; by its position when
/// there are none.
fn place(element: PathElement, index: usize, item: &Value) -> PathElement {
    let PathElement::Key(mut keys) = element else { return element };
    keys.retain(|name, key| item.get(name).is_some() || !is_zero(&key.0));
    if keys.is_empty() { PathElement::Index(index) } else { PathElement::Key(keys) }
}

type Judge<'a> = &'a dyn Fn(&mut Walk<'_>, &MapShape, &Map<String, Value>);

fn walked(value: &Value, schema: &Schema, judge: Judge<'_>) -> Vec<Violation> {
    let mut walk = Walk { judge, path: Path::default(), found: Vec::new() };
    walk.value(value, schema.node());
    walk.found
}

struct Walk<'a> {
    judge: Judge<'a>,
    path: Path,
    found: Vec<Violation>,
}

impl Walk<'_> {
    fn refuse(&mut self, element: PathElement, message: String) {
        self.path.push(element);
        self.found.push(Violation { path: self.path.clone(), message });
        self.path.pop();
    }

    fn value(&mut self, value: &Value, node: Node<'_>) {
        match (node.shape(), value) {
            (Shape::Map(map), Value::Object(fields)) => {
                (self.judge)(self, map, fields);
                for (name, field) in fields {
                    if let Some(shape) = map.field(name) {
                        self.part(PathElement::field(name), field, node.at(shape));
                    }
                }
            }
            (Shape::List(list), Value::Array(_)) => {
                for (index, (element, item)) in elements(list, Some(value)).into_iter().enumerate() {
                    self.part(place(element, index, item), item, node.at(&list.element));
                }
            }
            _ => {}
        }
    }

    fn part(&mut self, element: PathElement, value: &Value, node: Node<'_>) {
        self.path.push(element);
        self.value(value, node);
        self.path.pop();
    }

    /// Judges a text, or the texts in a list or map.
    fn listed(&mut self, element: PathElement, value: &Value, mark: &Mark) {
        match value {
            Value::String(text) if !text.is_empty() && !mark.values.contains(text) => {
                let allowed: Vec<String> = mark.values.iter().map(|value| format!("{value:?}")).collect();
                let message = format!("Unsupported value: {text:?}: supported values: {}", allowed.join(", "));
                self.refuse(element, message);
            }
            Value::Array(items) => {
                self.path.push(element);
                for (index, item) in items.iter().enumerate().filter(|(_, item)| item.is_string()) {
                    self.listed(PathElement::Index(index), item, mark);
                }
                self.path.pop();
            }
            Value::Object(entries) => {
                self.path.push(element);
                for (name, entry) in entries.iter().filter(|(_, entry)| entry.is_string()) {
                    self.listed(PathElement::field(name), entry, mark);
                }
                self.path.pop();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::krm::{Gvk, Schemas};
    use serde_json::json;

    fn told(found: &[Violation]) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn built_in_kinds_are_judged_by_their_published_schema() {
        let schemas = Schemas::builtin();
        let pod = json!({"metadata": {"name": "p"}, "spec": {"restartPolicy": "Sometimes", "dnsPolicy": "",
            "containers": [{"image": "x", "ports": [{"protocol": "ICMP"}, {"containerPort": 1, "protocol": "TCP"}]}]}});
        let (schema, _) = schemas.lookup(&Gvk::new("", "v1", "Pod"));
        assert_eq!(
            told(&missing(&pod, schema)),
            [
                ".spec.containers[0].name: Required value",
                r#".spec.containers[0].ports[protocol="ICMP"].containerPort: Required value"#
            ]
        );
        assert_eq!(
            told(&unlisted(&pod, schema)),
            [
                r#".spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure""#,
                r#".spec.containers[0].ports[protocol="ICMP"].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP""#,
            ]
        );
        let claim = json!({"spec": {"accessModes": ["ReadWriteOnce", "Never"]}});
        let (schema, _) = schemas.lookup(&Gvk::new("", "v1", "PersistentVolumeClaim"));
        let [found] = unlisted(&claim, schema).try_into().unwrap();
        assert_eq!(found.path.to_string(), ".spec.accessModes[1]");
    }

    #[test]
    fn custom_kinds_are_judged_by_their_definition() {
        let crd = json!({
            "metadata": {"name": "things.x.y"},
            "spec": {"group": "x.y", "names": {"kind": "Thing"}, "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {
                "type": "object", "required": ["spec"], "properties": {"spec": {"type": "object", "required": ["size", "mode"],
                    "properties": {
                        "size": {"type": "integer", "nullable": true}, "mode": {"type": "string", "enum": ["fast", "slow"]},
                        "level": {"type": "integer", "enum": [1, 2]}}}}}}}]}
        });
        let schemas = Schemas::builtin().with_crd(&crd).unwrap();
        let (schema, _) = schemas.lookup(&Gvk::new("x.y", "v1", "Thing"));
        let judged = |value: Value| (told(&missing(&value, schema)), told(&unlisted(&value, schema)));
        assert_eq!(judged(json!({})).0, [".spec: Required value"]);
        assert_eq!(judged(json!({"spec": {"size": null}})).0, [".spec.mode: Required value"]);
        let (missing, unlisted) = judged(json!({"spec": {"size": 1, "mode": "idle", "level": 9}}));
        assert!(missing.is_empty());
        assert_eq!(unlisted, [r#".spec.mode: Unsupported value: "idle": supported values: "fast", "slow""#]);
        assert_eq!(judged(json!({"spec": {"size": 1, "mode": "fast"}})), (vec![], vec![]));
    }
}
