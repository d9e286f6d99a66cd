use super::*;
use crate::domain::krm::{Gvk, Schemas};
use proptest::prelude::*;
use serde_json::json;

#[test]
fn json_patches_do_what_the_api_server_does() {
    let object = json!({"a": {"b": 1}, "l": [1, 2]});
    let table = [
        (json!({"op": "add", "path": "/a/c", "value": 2}), Some(json!({"a": {"b": 1, "c": 2}, "l": [1, 2]}))),
        (json!({"op": "add", "path": "/l/-", "value": 3}), Some(json!({"a": {"b": 1}, "l": [1, 2, 3]}))),
        (json!({"op": "add", "path": "/l/0", "value": 3}), Some(json!({"a": {"b": 1}, "l": [3, 1, 2]}))),
        (json!({"op": "add", "path": "/l/3", "value": 3}), None),
        (json!({"op": "add", "path": "/x/y", "value": 3}), None),
        (json!({"op": "replace", "path": "/a/c", "value": 2}), Some(json!({"a": {"b": 1, "c": 2}, "l": [1, 2]}))),
        (json!({"op": "replace", "path": "/l/-1", "value": 9}), Some(json!({"a": {"b": 1}, "l": [1, 9]}))),
        (json!({"op": "remove", "path": "/a/c"}), None),
        (json!({"op": "remove", "path": "/l/0"}), Some(json!({"a": {"b": 1}, "l": [2]}))),
        (json!({"op": "move", "from": "/a/b", "path": "/b"}), Some(json!({"a": {}, "b": 1, "l": [1, 2]}))),
        (json!({"op": "copy", "from": "/a/b", "path": "/b"}), Some(json!({"a": {"b": 1}, "b": 1, "l": [1, 2]}))),
        (json!({"op": "test", "path": "/a/b", "value": 1}), Some(object.clone())),
        (json!({"op": "test", "path": "/a/c", "value": null}), Some(object.clone())),
        (json!({"op": "test", "path": "/a/b", "value": 2}), None),
        (json!({"op": "replace", "path": "", "value": {"b": 1}}), Some(json!({"b": 1}))),
        (json!({"op": "replace", "path": "", "value": null}), None),
        (json!({"op": "add", "path": "", "value": {"b": 1}}), None),
        (json!({"op": "remove", "path": ""}), None),
        (json!({"op": "jump", "path": "/a/b"}), None),
    ];
    for (operation, expected) in table {
        let patch = JsonPatch::read(json!([operation])).unwrap();
        assert_eq!(patch.apply(&object).ok(), expected, "{operation}");
    }
}

#[test]
fn what_is_no_list_of_operations_is_refused() {
    let wrong = |value| JsonPatch::read(value).unwrap_err();
    assert_eq!(wrong(json!({"no": "list"})), JsonPatchError::NotAList { found: "object" });
    assert_eq!(wrong(json!([{}, 1])), JsonPatchError::NotAnOperation { index: 1, found: "number" });
    let many = vec![json!({}); MAX_OPERATIONS + 1];
    assert_eq!(wrong(many.into()), JsonPatchError::TooMany { given: MAX_OPERATIONS + 1 });
}

#[test]
fn copies_of_copies_end() {
    let double = json!({"op": "copy", "from": "/a", "path": "/a/-"});
    let patch = JsonPatch::read(vec![double; 64].into()).unwrap();
    let error = patch.apply(&json!({"a": ["text"]})).unwrap_err();
    assert!(matches!(error, JsonPatchError::TooMuchCopied { index } if index < 25), "{error}");
}

fn pod() -> Value {
    json!({"spec": {
        "nodeSelector": {"a": "1"}, "tolerations": [{"key": "a"}],
        "containers": [{"name": "a", "image": "x", "args": ["1"]}, {"name": "b", "image": "y"}, {"name": "c", "image": "z"}]},
        "metadata": {"finalizers": ["one", "two"]}})
}

fn patched(patch: &Value) -> Result<Value, StrategicError> {
    let schemas = Schemas::builtin();
    strategic(&pod(), patch, schemas.lookup(&Gvk::new("", "v1", "Pod")).0.node())
}

fn names(pod: &Value) -> Vec<&str> {
    pod["spec"]["containers"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[test]
fn lists_merge_by_their_keys_in_the_order_of_the_patch() {
    let table = [
        (json!([{"name": "b", "image": "q"}, {"name": "d"}]), vec!["a", "b", "d", "c"]),
        (json!([{"name": "c"}, {"name": "a"}]), vec!["b", "c", "a"]),
        (json!([{"name": "a", "$patch": "delete"}]), vec!["b", "c"]),
        (json!([{"$patch": "replace"}, {"name": "c"}]), vec!["c"]),
        (json!([]), vec!["a", "b", "c"]),
    ];
    for (containers, expected) in table {
        let patch = json!({"spec": {"containers": containers}});
        assert_eq!(names(&patched(&patch).unwrap()), expected, "{patch}");
    }
    let order = json!({"spec": {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}], "containers": [{"name": "a", "image": "q"}]}});
    let ordered = patched(&order).unwrap();
    assert_eq!(names(&ordered), ["b", "c", "a"]);
    assert_eq!(ordered["spec"]["containers"][2], json!({"name": "a", "image": "q", "args": ["1"]}));
}

#[test]
fn fields_merge_as_their_rules_say() {
    let table = [
        (json!({"metadata": {"finalizers": ["two", "three"]}}), "/metadata/finalizers", json!(["one", "two", "three"])),
        (json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["one"]}}), "/metadata/finalizers", json!(["two"])),
        (json!({"spec": {"tolerations": [{"key": "b"}]}}), "/spec/tolerations", json!([{"key": "b"}])),
        (json!({"spec": {"nodeSelector": {"b": "2"}}}), "/spec/nodeSelector", json!({"a": "1", "b": "2"})),
        (json!({"spec": {"nodeSelector": {"$patch": "replace", "b": "2"}}}), "/spec/nodeSelector", json!({"b": "2"})),
        (json!({"spec": {"nodeSelector": {"$patch": "delete"}}}), "/spec/nodeSelector", json!({})),
        (json!({"spec": {"nodeSelector": {"a": null}}}), "/spec/nodeSelector", json!({})),
        (
            json!({"spec": {"affinity": {"nodeAffinity": null, "podAffinity": {"$patch": "delete"}}}}),
            "/spec/affinity",
            json!({}),
        ),
    ];
    for (patch, pointer, expected) in table {
        assert_eq!(patched(&patch).unwrap().pointer(pointer), Some(&expected), "{patch}");
    }
    let retained = patched(&json!({"spec": {"$retainKeys": ["containers"]}})).unwrap();
    assert_eq!(retained["spec"].as_object().unwrap().keys().collect::<Vec<_>>(), ["containers"]);
    // Apply owns the selector of a disruption budget as a whole; a patch replaces it, too.
    let schemas = Schemas::builtin();
    let budget = json!({"spec": {"selector": {"matchLabels": {"a": "1"}}}});
    let patch = json!({"spec": {"selector": {"matchLabels": {"b": "1"}}}});
    let node = schemas.lookup(&Gvk::new("policy", "v1", "PodDisruptionBudget")).0.node();
    assert_eq!(strategic(&budget, &patch, node), Ok(patch));
}

#[test]
fn patches_that_contradict_themselves_are_refused() {
    let table = [
        (json!({"$retainKeys": "a"}), "invalid patch format of retainKeys"),
        (json!({"$retainKeys": [], "volumes": []}), "invalid patch format of retainKeys"),
        (json!({"$deleteFromPrimitiveList": []}), "invalid patch format of primitive list"),
        (json!({"$setElementOrder": []}), "invalid patch format of setElementOrder list"),
        (json!({"$setElementOrder/containers": 1}), "expected a []interface {}, but received a int64"),
        (json!({"$setElementOrder/containers": ["a"]}), "value for key 0 is not a map"),
        (json!({"$setElementOrder/nope": ["a"]}), "unable to find api field in struct for the json field \"nope\""),
        (json!({"$patch": "melt"}), "unknown patch type: \"melt\""),
        (json!({"containers": [{"image": "x"}]}), "an item of containers does not contain declared merge key: name"),
        (json!({"containers": [[]]}), "list element types are not identical: containers"),
        (
            json!({"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "a"}, {"name": "b"}]}),
            "the order in the patch of containers doesn't match $setElementOrder",
        ),
    ];
    for (spec, message) in table {
        assert_eq!(patched(&json!({"spec": spec})).unwrap_err().to_string(), message, "{spec}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), Just(json!(1)), Just(json!("a")), Just(json!({})), Just(json!([]))];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn merge_patches_are_those_of_another_reader_of_the_rfc(old in any_value(), patch in any_value()) {
        let mut theirs = old.clone();
        json_patch::merge(&mut theirs, &patch);
        prop_assert_eq!(merge(&old, &patch), theirs);
    }

    #[test]
    fn json_patches_are_those_of_another_reader_of_the_rfc(old in any_value(), at in "(/[a-c0-2]){1,3}", value in any_value()) {
        let add = json!([{"op": "add", "path": at, "value": value}]);
        let mut theirs = old.clone();
        let done = json_patch::patch(&mut theirs, &serde_json::from_value::<json_patch::Patch>(add.clone()).unwrap());
        prop_assert_eq!(JsonPatch::read(add).unwrap().apply(&old).ok(), done.is_ok().then_some(theirs));
    }
}
