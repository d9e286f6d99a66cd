//! Strategic merge patches: lists of things with names are merged by name.
//!
//! Source: "Strategic Merge Patch" of the Kubernetes API conventions (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList`,
//! `$setElementOrder`). The merge key of a list is the first of its server-side apply keys, which is the patch merge key of
//! the built-in kinds; lists that apply treats as atomic are replaced.

use serde_json::{Map, Value};

use crate::domain::krm::schema::{ListKind, ListShape, Node, Shape};

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE_ITEMS: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// Applies `patch` to an object.
#[must_use]
pub(super) fn merge(object: &Value, patch: &Value, node: Node<'_>) -> Value {
    match (object, patch) {
        (_, Value::Object(patch)) => Value::Object(merge_fields(object, patch, node)),
        _ => patch.clone(),
    }
}

fn directive(patch: &Map<String, Value>) -> &str {
    patch.get(PATCH).and_then(Value::as_str).unwrap_or_default()
}

fn merge_fields(object: &Value, patch: &Map<String, Value>, node: Node<'_>) -> Map<String, Value> {
    let mut fields = match directive(patch) {
        "replace" | "delete" => Map::new(),
        _ => object.as_object().cloned().unwrap_or_default(),
    };
    if directive(patch) == "delete" {
        return fields;
    }
    if let Some(kept) = patch.get(RETAIN).and_then(Value::as_array) {
        fields.retain(|name, _| kept.iter().any(|one| one == name));
    }
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix(DELETE_ITEMS) {
            delete_items(fields.get_mut(list), value);
        } else if !name.starts_with('$') {
            merge_field(&mut fields, name, value, below(node, name));
        }
    }
    for (name, order) in patch {
        if let Some(list) = name.strip_prefix(ORDER)
            && let Some(items) = fields.get_mut(list).and_then(Value::as_array_mut)
        {
            let old = object.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let order = order.as_array().map(Vec::as_slice).unwrap_or_default();
            sort_items(items, order, old, key_of(below(node, list)));
        }
    }
    fields
}

fn merge_field(fields: &mut Map<String, Value>, name: &str, value: &Value, node: Node<'_>) {
    if value.is_null() {
        fields.remove(name);
        return;
    }
    let old = fields.get(name).unwrap_or(&Value::Null);
    let merged = match (value, node.shape()) {
        // What is not there is not made by a patch with a directive.
        (Value::Object(patch), _) if !directive(patch).is_empty() && old.is_null() => None,
        (Value::Object(patch), _) if directive(patch) == "delete" => None,
        (Value::Object(_), _) => Some(merge(old, value, node)),
        (Value::Array(items), Shape::List(list)) => Some(merge_list(old, items, list, node)),
        _ => Some(value.clone()),
    };
    match merged {
        Some(merged) => fields.insert(name.to_owned(), merged),
        None => fields.remove(name),
    };
}

fn merge_list(old: &Value, patch: &[Value], list: &ListShape, node: Node<'_>) -> Value {
    let is_directive =
        |item: &&Value| item.get(PATCH).is_some() && item.as_object().is_some_and(|item| item.len() == 1);
    let replaces = patch.iter().any(|item| is_directive(&item) && item.get(PATCH) == Some(&Value::from("replace")));
    let old = if replaces { &[] } else { old.as_array().map(Vec::as_slice).unwrap_or_default() };
    let patch = patch.iter().filter(|item| !is_directive(item));
    match &list.kind {
        ListKind::Atomic => patch.cloned().collect(),
        ListKind::Set => {
            let order: Vec<Value> = patch.cloned().collect();
            let added = order.iter().filter(|item| !old.contains(item));
            let mut items: Vec<Value> = old.iter().chain(added).cloned().collect();
            sort_items(&mut items, &order, old, None);
            items.into()
        }
        ListKind::Keyed(keys) => {
            let Some(key) = keys.first() else { return patch.cloned().collect() };
            let order: Vec<Value> = patch.cloned().collect();
            let element = node.at(&list.element);
            // What goes, goes before anything comes.
            let (gone, kept): (Vec<&Value>, Vec<&Value>) = order.iter().partition(|item| deletes(item));
            let patches = gone.into_iter().chain(kept);
            let mut items = patches.fold(old.to_vec(), |items, patch| merge_item(items, patch, &key.name, element));
            sort_items(&mut items, &order, old, Some(&key.name));
            items.into()
        }
    }
}

fn deletes(item: &Value) -> bool {
    item.get(PATCH).and_then(Value::as_str) == Some("delete")
}

fn merge_item(mut items: Vec<Value>, patch: &Value, key: &str, node: Node<'_>) -> Vec<Value> {
    let place = items.iter().position(|item| item.get(key) == patch.get(key));
    match (place, patch.get(PATCH).and_then(Value::as_str)) {
        (Some(place), Some("delete")) => drop(items.remove(place)),
        (None, Some("delete")) => {}
        (Some(place), _) => items[place] = merge(&items[place], patch, node),
        (None, _) => items.push(merge(&Value::Null, patch, node)),
    }
    items
}

fn delete_items(list: Option<&mut Value>, gone: &Value) {
    let Some(items) = list.and_then(Value::as_array_mut) else { return };
    let gone = gone.as_array().map(Vec::as_slice).unwrap_or_default();
    items.retain(|item| !gone.contains(item));
}

fn key_of(node: Node<'_>) -> Option<&str> {
    match node.shape() {
        Shape::List(ListShape { kind: ListKind::Keyed(keys), .. }) => keys.first().map(|key| key.name.as_str()),
        _ => None,
    }
}

/// Items that the order names come in its order. Each of the others comes before the first of them that it was before on
/// the server; otherwise behind them.
fn sort_items(items: &mut Vec<Value>, order: &[Value], old: &[Value], key: Option<&str>) {
    let identity = |item: &Value| key.map_or_else(|| Some(item.clone()), |key| item.get(key).cloned());
    let place = |list: &[Value], item: &Value| list.iter().position(|one| identity(one) == identity(item));
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        items.drain(..).partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    others.sort_by_key(|item| place(old, item));
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    while let (Some(name), Some(other)) = (named.peek(), others.peek()) {
        let earlier = matches!((place(old, other), place(old, name)), (Some(other), Some(name)) if other < name);
        items.extend(if earlier { others.next() } else { named.next() });
    }
    items.extend(named.chain(others));
}

fn below<'a>(node: Node<'a>, name: &str) -> Node<'a> {
    static ANY: Shape = Shape::Any;
    match node.shape() {
        Shape::Map(map) => node.at(map.fields.get(name).or(map.element.as_deref()).unwrap_or(&ANY)),
        _ => node.at(&ANY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::kinds::Kinds;
    use crate::domain::krm::Gvk;
    use serde_json::json;

    fn patched(spec: &Value, patch: &Value) -> Value {
        let kinds = Kinds::builtin();
        let schema = kinds.merge_schema(&Gvk::new("", "v1", "Pod"));
        merge(&json!({"spec": spec}), &json!({"spec": patch}), schema.node())["spec"].clone()
    }

    #[test]
    fn lists_merge_by_their_keys_and_obey_directives() {
        let spec = json!({"nodeSelector": {"a": "1"}, "containers": [{"name": "a", "image": "x", "args": ["1"]}, {"name": "b", "image": "y"}]});
        let table = [
            (
                json!({"containers": [{"name": "b", "image": "z"}, {"name": "c", "image": "w"}]}),
                json!([{"name": "a", "image": "x", "args": ["1"]}, {"name": "b", "image": "z"}, {"name": "c", "image": "w"}]),
            ),
            (json!({"containers": [{"name": "a", "$patch": "delete"}]}), json!([{"name": "b", "image": "y"}])),
            (json!({"containers": [{"$patch": "replace"}, {"name": "c"}]}), json!([{"name": "c"}])),
            (
                json!({"containers": [{"name": "a", "args": ["2"], "image": null}]}),
                json!([{"name": "a", "args": ["2"]}, {"name": "b", "image": "y"}]),
            ),
            (
                json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "a", "image": "q"}]}),
                json!([{"name": "b", "image": "y"}, {"name": "a", "image": "q", "args": ["1"]}]),
            ),
        ];
        for (patch, containers) in table {
            assert_eq!(patched(&spec, &patch)["containers"], containers, "{patch}");
        }
        let replaced = patched(&spec, &json!({"nodeSelector": {"$patch": "replace", "b": "2"}}));
        assert_eq!(replaced["nodeSelector"], json!({"b": "2"}));
        let retained = patched(&spec, &json!({"$retainKeys": ["containers"]}));
        assert_eq!(retained.get("nodeSelector"), None);
    }
}
