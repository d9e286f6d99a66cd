use super::*;
use crate::domain::krm::{Gvk, Schemas};
use proptest::prelude::*;
use serde_json::json;

fn pod() -> Schema {
    Schemas::builtin().lookup(&Gvk::new("", "v1", "Pod")).0.clone()
}

fn containers(items: &Value) -> Value {
    json!({"spec": {"containers": items}})
}

fn names_of(value: &Value) -> Vec<&str> {
    value["spec"]["containers"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

fn list(names: &[&str]) -> Value {
    containers(&names.iter().map(|name| json!({"name": name})).collect())
}

/// Source: `EnsureNamedFieldsAreMembers` of structured-merge-diff: fields of structs, never entries of maps.
#[test]
fn declared_fields_with_something_below_are_named_and_entries_are_not() {
    let crd = json!({"spec": {"group": "example.com", "names": {"kind": "Thing"}, "versions": [{"name": "v1", "served": true,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {"map": {
            "type": "object", "additionalProperties": {"type": "object", "properties": {"x": {"type": "string"}}}}}}}}}}]}});
    let schemas = Schemas::builtin().with_crd(&crd).unwrap();
    let (schema, _) = schemas.lookup(&Gvk::new("example.com", "v1", "Thing"));
    let path: Vec<PathElement> = ["spec", "map", "a", "x"].map(PathElement::field).to_vec();
    let mut set = FieldSet::new();
    set.insert(&path);
    let named = ensure_named(&set, schema.node());
    let is_named: Vec<bool> = (1..=4).map(|length| named.contains(&path[..length])).collect();
    assert_eq!(is_named, [true, true, false, true]);
}

#[test]
fn merged_lists_keep_the_order_of_the_configuration_and_the_place_of_the_rest() {
    let table: [(&[&str], &[&str], &[&str]); 6] = [
        (&["a", "b", "c"], &["c", "a"], &["b", "c", "a"]),
        (&["a", "b"], &["b", "c"], &["a", "b", "c"]),
        (&["a", "x", "b"], &["a", "b"], &["a", "x", "b"]),
        (&["a", "b"], &["x", "a"], &["x", "a", "b"]),
        (&[], &["a"], &["a"]),
        (&["a"], &[], &["a"]),
    ];
    for (live, config, expected) in table {
        let merged = merge(&list(live), &list(config), &pod());
        let mut sorted = names_of(&merged);
        assert_eq!(sorted.len(), expected.len());
        let shared: Vec<&str> = sorted.iter().copied().filter(|name| config.contains(name)).collect();
        assert_eq!(shared, config, "{live:?} {config:?}");
        sorted.sort_unstable();
        let mut all = expected.to_vec();
        all.sort_unstable();
        assert_eq!(sorted, all);
    }
}

#[test]
fn ports_are_told_apart_by_number_and_protocol_and_tcp_is_the_default() {
    let live = containers(
        &json!([{"name": "a", "ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]}]),
    );
    let config = containers(&json!([{"name": "a", "ports": [{"containerPort": 53, "name": "dns"}]}]));
    let merged = merge(&live, &config, &pod());
    let ports = &merged["spec"]["containers"][0]["ports"];
    assert_eq!(ports.as_array().unwrap().len(), 2);
    assert!(ports.as_array().unwrap().contains(&json!({"containerPort": 53, "protocol": "TCP", "name": "dns"})));
}

#[test]
fn atomic_values_are_replaced_and_owned_as_a_whole() {
    let live = json!({"spec": {"nodeSelector": {"a": "1"}, "containers": [{"name": "a", "args": ["x"]}]}});
    let config = json!({"spec": {"nodeSelector": {"b": "2"}, "containers": [{"name": "a", "args": []}]}});
    let merged = merge(&live, &config, &pod());
    assert_eq!(merged, config);
    let fields = fields_of(&config, &pod());
    assert!(fields.contains(Path::fields(&["spec", "nodeSelector"]).elements()));
    assert!(!fields.contains(Path::fields(&["spec", "nodeSelector", "b"]).elements()));
}

#[test]
fn comparison_tells_added_modified_and_removed() {
    let old = json!({"metadata": {"labels": {"a": "1", "b": "1"}}, "spec": {"containers": [{"name": "x"}]}});
    let new = json!({"metadata": {"labels": {"a": "2", "c": "1"}}, "spec": {"containers": [{"name": "y"}]}});
    let found = compare(&old, &new, &pod());
    let show = |set: &FieldSet| set.leaves().paths().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(show(&found.added), [".metadata.labels.c", ".spec.containers[name=\"y\"].name"]);
    assert_eq!(show(&found.modified), [".metadata.labels.a"]);
    assert_eq!(show(&found.removed), [".metadata.labels.b", ".spec.containers[name=\"x\"].name"]);
}

#[test]
fn items_with_the_same_keys_are_one_thing() {
    let twice = containers(&json!([{"name": "a", "image": "1"}, {"name": "a", "image": "2"}]));
    let fields = fields_of(&twice, &pod());
    assert_eq!(fields.len(), 1, "{fields:?}");
    let once = containers(&json!([{"name": "a", "image": "1"}]));
    let found = compare(&twice, &once, &pod());
    assert_eq!(found.removed.paths()[0].to_string(), ".spec.containers[name=\"a\"]");
}

#[test]
fn twins_of_both_sides_are_compared_in_order_and_number() {
    let item = |names: &[&str]| list(names);
    let pod = pod();
    let twice = item(&["a", "a"]);
    assert_eq!(compare(&twice, &twice, &pod), Comparison::default());
    let thrice = compare(&twice, &item(&["a", "a", "a"]), &pod);
    assert_eq!(
        thrice.modified.paths().iter().map(ToString::to_string).collect::<Vec<_>>(),
        [".spec.containers[name=\"a\"]"]
    );
    let (mut left, mut right) = (twice.clone(), twice);
    left["spec"]["containers"][0]["image"] = json!("x");
    right["spec"]["containers"][1]["image"] = json!("x");
    assert_eq!(compare(&left, &right, &pod).modified.len(), 1);
}

#[test]
fn items_without_keys_are_told_apart_by_position() {
    let live = containers(&json!([{"image": "a"}, {"image": "b"}]));
    let item = json!({"type": "object", "properties": {"name": {"type": "string"}, "image": {"type": "string"}}});
    let list = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": item});
    let spec = json!({"type": "object", "properties": {"containers": list}});
    let crd = json!({"metadata": {"name": "x"}, "spec": {"group": "x", "names": {"kind": "X"}, "versions": [{"name": "v1",
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}]}});
    let schemas = Schemas::builtin().with_crd(&crd).unwrap();
    let (schema, _) = schemas.lookup(&Gvk::new("x", "v1", "X"));
    let shown =
        |schema: &Schema| -> Vec<String> { fields_of(&live, schema).paths().iter().map(ToString::to_string).collect() };
    // Where the key has a default, be it the empty text, they are all of that key.
    assert!(shown(&pod()).contains(&".spec.containers[name=\"\"]".to_owned()));
    let shown = shown(schema);
    assert!(
        shown.contains(&".spec.containers[0]".to_owned()) && shown.contains(&".spec.containers[1]".to_owned()),
        "{shown:?}"
    );
}

/// What structured merge diff itself makes of two objects; `testdata/merge` records it. `LOGGIA_MERGE_VECTORS` names a
/// file of more.
#[test]
fn objects_merge_compare_and_shrink_as_recorded() {
    let recorded = include_str!("../testdata/merge_vectors.json").to_owned();
    let text = std::env::var("LOGGIA_MERGE_VECTORS").map_or(recorded, |file| std::fs::read_to_string(file).unwrap());
    let item = json!({"type": "object", "properties": {
        "name": {"type": "string"}, "v": {"type": "integer"}, "w": {"type": "integer"}}});
    let crd = json!({"metadata": {"name": "x"}, "spec": {"group": "x", "names": {"kind": "X"}, "versions": [{"name": "v1",
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": item},
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "atomic": {"type": "array", "items": {"type": "string"}},
            "map": {"type": "object", "additionalProperties": {"type": "integer"}},
            "item": item}}}}]}});
    let schemas = Schemas::builtin().with_crd(&crd).unwrap();
    let (schema, _) = schemas.lookup(&Gvk::new("x", "v1", "X"));
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(rows.len() > 100);
    for row in rows {
        let (old, new) = (&row["old"], &row["new"]);
        let set = |name: &str| FieldSet::from_fields_v1(&row[name]).unwrap();
        assert_eq!(merge(old, new, schema), row["merged"], "merged {row:#}");
        let found = compare(old, new, schema);
        for (name, ours) in [("added", &found.added), ("removed", &found.removed), ("modified", &found.modified)] {
            assert_eq!(*ours, set(name), "{name} {row:#}");
        }
        assert_eq!(fields_of(new, schema), set("owned"), "owned {row:#}");
        assert_eq!(remove(new, &set("some"), schema), row["without"], "without {row:#}");
        // Of nothing there is an object without fields.
        let only = if row["only"].is_null() { json!({}) } else { row["only"].clone() };
        assert_eq!(extract(new, &set("some"), schema), only, "only {row:#}");
    }
}

fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3).prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::btree_map("[a-d]", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map(
        prop_oneof![Just("spec".to_owned()), Just("metadata".to_owned()), "[a-d]".prop_map(String::from)],
        tree(),
        0..4,
    )
    .prop_map(|map| json!(map))
}

proptest! {
    #[test]
    fn field_sets_survive_fields_v1(value in object()) {
        for gvk in [Gvk::new("", "v1", "Pod"), Gvk::new("example.com", "v1", "Thing")] {
            let set = fields_of(&value, Schemas::builtin().lookup(&gvk).0);
            prop_assert_eq!(FieldSet::from_fields_v1(&set.to_fields_v1()).unwrap(), set);
        }
    }

    #[test]
    fn set_algebra(a in object(), b in object()) {
        let schemas = Schemas::builtin();
        let (schema, _) = schemas.lookup(&Gvk::new("example.com", "v1", "Thing"));
        let (a, b) = (fields_of(&a, schema), fields_of(&b, schema));
        prop_assert_eq!(a.union(&b), b.union(&a));
        prop_assert_eq!(a.intersection(&b).union(&a.difference(&b)), a.clone());
        prop_assert!(a.difference(&b).intersection(&b).is_empty());
        prop_assert_eq!(a.union(&b).len() + a.intersection(&b).len(), a.len() + b.len());
        prop_assert!(a.paths().iter().all(|path| a.contains(path.elements())));
        prop_assert_eq!(a.paths().iter().collect::<FieldSet>(), a);
    }

    /// No value of any shape makes a walk fail, and merging a value into itself changes nothing.
    #[test]
    fn walks_are_total(a in object(), b in object()) {
        for gvk in [Gvk::new("", "v1", "Pod"), Gvk::new("example.com", "v1", "Thing")] {
            let schemas = Schemas::builtin();
            let (schema, _) = schemas.lookup(&gvk);
            let merged = merge(&a, &b, schema);
            prop_assert!(compare(&merged, &merge(&merged, &b, schema), schema) == Comparison::default());
            let _ = remove(&a, &fields_of(&b, schema), schema);
            let _ = extract(&a, &fields_of(&b, schema), schema);
            prop_assert!(compare(&a, &a, schema) == Comparison::default());
        }
    }
}
