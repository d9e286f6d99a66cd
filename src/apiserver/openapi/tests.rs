use std::collections::BTreeSet;

use super::*;

fn crd() -> Value {
    json!({
        "metadata": {"name": "things.ex.io"},
        "spec": {
            "group": "ex.io", "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object", "description": "A thing.",
                    "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "description": "How big."}}}},
                }},
            }],
        },
    })
}

fn kinds() -> Kinds {
    let mut kinds = Kinds::builtin();
    kinds.add_crd(&crd()).unwrap();
    kinds
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_document_of_the_index_is_there_and_whole() {
    let kinds = kinds();
    let index = index(&kinds);
    let paths = index["paths"].as_object().unwrap();
    assert!(paths.len() > 10 && paths.contains_key("api/v1") && paths.contains_key("apis/ex.io/v1"));
    for path in paths.keys() {
        let parts: Vec<&str> = path.split('/').collect();
        let (group, version) = if parts.len() == 2 { ("", parts[1]) } else { (parts[1], parts[2]) };
        let document = document(&kinds, group, version).unwrap();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for reference in found {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{path}: {reference}");
        }
        for kind in kinds.in_version(group, version) {
            let all = document["components"]["schemas"].as_object().unwrap();
            let own = json!([gvk_json(&kind.gvk)]);
            assert_eq!(all.values().filter(|s| s["x-kubernetes-group-version-kind"] == own).count(), 1, "{}", kind.gvk);
        }
    }
    assert!(document(&kinds, "no", "v1").is_none());
}

#[test]
fn a_hash_changes_when_the_schema_does() {
    let before = hash(&kinds(), "ex.io", "v1");
    let mut changed = crd();
    changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = json!("Another thing.");
    let mut other = kinds();
    other.add_crd(&changed).unwrap();
    assert_ne!(before, hash(&other, "ex.io", "v1"));
    assert_eq!(hash(&kinds(), "apps", "v1"), hash(&other, "apps", "v1"));
}

#[test]
fn lists_merge_by_the_keys_that_kubectl_knows() {
    let document = document(&kinds(), "apps", "v1").unwrap();
    let field =
        |component: &str, field: &str| document["components"]["schemas"][component]["properties"][field].clone();
    let containers = field("io.k8s.PodSpec", "containers");
    assert_eq!(
        (&containers["x-kubernetes-patch-merge-key"], &containers["x-kubernetes-list-map-keys"]),
        (&json!("name"), &json!(["name"]))
    );
    let ports = field("io.k8s.Container", "ports");
    assert_eq!(ports["x-kubernetes-patch-merge-key"], "containerPort");
    assert_eq!(field("io.k8s.PodSpec", "volumes")["x-kubernetes-patch-strategy"], "merge,retainKeys");
    assert_eq!(field("io.k8s.DeploymentSpec", "strategy")["x-kubernetes-patch-strategy"], "retainKeys");
    assert!(field("io.k8s.ResourceRequirements", "claims").get("x-kubernetes-patch-strategy").is_none());
    assert!(field("io.k8s.Container", "args").get("x-kubernetes-patch-strategy").is_none());
}

#[test]
fn a_custom_kind_says_what_its_definition_says() {
    let document = document(&kinds(), "ex.io", "v1").unwrap();
    let thing = &document["components"]["schemas"]["io.ex.v1.Thing"];
    assert_eq!(thing["description"], "A thing.");
    assert_eq!(thing["properties"]["spec"]["properties"]["size"]["description"], "How big.");
    let patch = &document["paths"]["/apis/ex.io/v1/namespaces/{namespace}/things/{name}"]["patch"];
    assert!(patch["requestBody"]["content"].get("application/strategic-merge-patch+json").is_none());
    assert!(patch["parameters"].as_array().unwrap().iter().any(|p| p["name"] == "fieldValidation"));
}

#[test]
fn protobuf_alone_is_not_acceptable() {
    assert!(!accepts_json("application/com.github.proto-openapi.spec.v2@v1.0+protobuf"));
    assert!(accepts_json("application/com.github.proto-openapi.spec.v2@v1.0+protobuf, application/json"));
    assert!(accepts_json("") && accepts_json("*/*") && accepts_json("application/json;as=x"));
}
