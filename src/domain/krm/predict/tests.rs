use super::*;
use crate::domain::krm::apply::{apply, update};
use crate::domain::krm::diff::render;
use crate::domain::krm::managed::{Operation, field_owners};
use proptest::prelude::*;

const NOW: &str = "2026-11-21T10:00:00Z";

fn options(manager: &str) -> ApplyOptions<'_> {
    ApplyOptions { manager, force: false, subresource: "", now: NOW.parse().unwrap(), reset: &[], blank: None }
}

fn deployment(replicas: i64, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "upf", "namespace": "core", "labels": {"app": "upf"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "upf"}},
            "template": {
                "metadata": {"labels": {"app": "upf"}},
                "spec": {"containers": [{
                    "name": "upf", "image": image,
                    "ports": [{"containerPort": 80}],
                    "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}},
                }]}
            }
        }
    })
}

/// What a server holds after an apply: defaults filled in, quantities canonical, status set by a controller.
fn live(config: &Value, manager: &str) -> Value {
    let schemas = Schemas::builtin();
    let (schema, _) = schemas.lookup(&gvk(config));
    let mut object = apply(None, config, &options(manager), schema).unwrap();
    object["metadata"]["uid"] = json!("u-1");
    object["metadata"]["resourceVersion"] = json!("7");
    object["metadata"]["creationTimestamp"] = json!(NOW);
    object["spec"]["progressDeadlineSeconds"] = json!(600);
    object["spec"]["template"]["spec"]["restartPolicy"] = json!("Always");
    object["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] = json!("IfNotPresent");
    object["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"] = json!("TCP");
    object["status"] = json!({"replicas": 2});
    object
}

fn foretold(live: Option<&Value>, config: &Value) -> String {
    render(&predict(live, config, "loggia", &Schemas::builtin()).unwrap().changes)
}

#[test]
fn applying_what_is_there_changes_nothing() {
    let mut config = deployment(2, "upf:1");
    let live = live(&config, "loggia");
    assert_eq!(foretold(Some(&live), &config), "");
    // Spellings that the server does not keep, and fields that it ignores.
    config["metadata"]["creationTimestamp"] = Value::Null;
    config["status"] = json!({});
    config["spec"]["template"]["spec"]["containers"][0]["env"] = json!([]);
    config["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] = json!({"cpu": 1, "memory": "1Gi"});
    config["metadata"]["annotations"] = json!({});
    assert_eq!(foretold(Some(&live), &config), "");
}

#[test]
fn changes_name_the_item_by_its_keys() {
    let live = live(&deployment(2, "upf:1"), "loggia");
    let mut config = deployment(3, "upf:2");
    config["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "A", "value": "1"}]);
    assert_eq!(
        foretold(Some(&live), &config),
        "~ .spec.replicas: 2 -> 3\n\
         + .spec.template.spec.containers[name=\"upf\"].env: [{\"name\":\"A\",\"value\":\"1\"}]\n\
         ~ .spec.template.spec.containers[name=\"upf\"].image: \"upf:1\" -> \"upf:2\"\n"
    );
}

#[test]
fn what_is_no_longer_declared_goes_or_falls_back_and_what_was_never_declared_stays() {
    let live = live(&deployment(2, "upf:1"), "loggia");
    let mut config = deployment(2, "upf:1");
    config["spec"].as_object_mut().unwrap().remove("replicas");
    config["metadata"].as_object_mut().unwrap().remove("labels");
    assert_eq!(foretold(Some(&live), &config), "- .metadata.labels: {\"app\":\"upf\"}\n~ .spec.replicas: 2 -> 1\n");
}

#[test]
fn fields_of_others_are_conflicts_and_shared_fields_are_not() {
    let schemas = Schemas::builtin();
    let (schema, _) = schemas.lookup(&Gvk::new("apps", "v1", "Deployment"));
    let before = live(&deployment(2, "upf:1"), "loggia");
    let mut scaled = before.clone();
    scaled["spec"]["replicas"] = json!(5);
    let scaled = update(Some(&before), &scaled, &options("kubectl-scale"), schema);
    let replicas = Path::fields(&["spec", "replicas"]);
    assert_eq!(field_owners(&scaled, &replicas), [("kubectl-scale".to_owned(), Operation::Update)]);

    let predicted = predict(Some(&scaled), &deployment(2, "upf:1"), "loggia", &schemas).unwrap();
    assert_eq!(predicted.conflicts.len(), 1);
    assert_eq!(predicted.conflicts[0].field, replicas);
    assert_eq!(render(&predicted.changes), "~ .spec.replicas: 5 -> 2\n");
    let refused = apply(Some(&scaled), &deployment(2, "upf:1"), &options("loggia"), schema).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Apply failed with 1 conflict: conflict with \"kubectl-scale\" using apps/v1: .spec.replicas"
    );
    let shared = predict(Some(&scaled), &deployment(5, "upf:1"), "loggia", &schemas).unwrap();
    assert!(shared.conflicts.is_empty() && shared.changes.is_empty());
}

#[test]
fn a_new_object_adds_all_its_fields() {
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}});
    assert_eq!(foretold(None, &config), "+ .data: {\"a\":\"1\"}\n");
}

#[test]
fn string_data_is_stored_as_data() {
    let config = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "1"}});
    let live = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "MQ=="}});
    assert_eq!(foretold(Some(&live), &config), "");
}

/// The server knows an item without its key by what it holds instead: an empty text or zero.
#[test]
fn items_without_their_key_have_the_empty_one() {
    const SECRETS: &str = "/spec/template/spec/imagePullSecrets";
    let pulling = |secrets: Value| {
        let mut config = deployment(2, "upf:1");
        config["spec"]["template"]["spec"]["imagePullSecrets"] = secrets;
        config
    };
    let schemas = Schemas::builtin();
    let (schema, _) = schemas.lookup(&Gvk::new("apps", "v1", "Deployment"));
    for config in [pulling(json!([{"name": ""}])), pulling(json!([{}]))] {
        let mut live = live(&config, "loggia");
        drop_zeros(&mut live, schema.node());
        assert_eq!(live.pointer(SECRETS), Some(&json!([{}])));
        let predicted = predict(Some(&live), &config, "loggia", &schemas).unwrap();
        assert_eq!((render(&predicted.changes).as_str(), predicted.conflicts.as_slice()), ("", [].as_slice()));
        assert_eq!(predicted.object.pointer(SECRETS), Some(&json!([{}])));
    }
    let twice = apply(None, &pulling(json!([{}, {"name": ""}])), &options("loggia"), schema).unwrap_err();
    assert!(twice.to_string().ends_with(".imagePullSecrets: duplicate entries for key [name=\"\"]"), "{twice}");
}

/// What is no whole number of bytes the server holds in thousandths.
#[test]
fn a_fraction_of_bytes_is_what_the_server_holds() {
    let mut config = deployment(2, "upf:1");
    let container = "/spec/template/spec/containers/0/resources";
    *config.pointer_mut(container).unwrap() =
        json!({"limits": {"memory": "1.1Gi"}, "requests": {"memory": "1.0001Gi"}});
    let mut held = live(&config, "loggia");
    assert_eq!(held.pointer(container).unwrap()["limits"]["memory"], "1181116006400m");
    *held.pointer_mut(container).unwrap() =
        json!({"limits": {"memory": "1181116006400m"}, "requests": {"memory": "1073849198183m"}});
    assert_eq!(foretold(Some(&held), &config), "");
}

#[test]
fn grades_tell_what_is_known() {
    let thing = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"a": [1]}});
    let grade = |config: &Value| predict(None, config, "loggia", &Schemas::builtin()).unwrap().grade;
    assert_eq!(grade(&thing), Grade::None);
    assert_eq!(grade(&deployment(1, "a")), Grade::Schema);
}

#[test]
fn status_is_kept_by_a_write_to_the_object_itself() {
    let schemas = Schemas::builtin();
    let (schema, _) = schemas.lookup(&Gvk::new("apps", "v1", "Deployment"));
    let status = [Path::fields(&["status"])];
    let options = ApplyOptions { reset: &status, ..options("loggia") };
    let before = live(&deployment(2, "upf:1"), "loggia");
    let mut config = deployment(2, "upf:1");
    config["status"] = json!({"replicas": 9});
    let after = apply(Some(&before), &config, &options, schema).unwrap();
    assert_eq!(after["status"], before["status"]);
    assert_eq!(after, before);
    let mut replaced = before.clone();
    replaced["status"] = json!({"replicas": 9});
    assert_eq!(update(Some(&before), &replaced, &options, schema), before);
}

/// Never empty: the server leaves empty maps out but takes them for a change each time that they are applied.
fn labels() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map("[a-c]", "[xy]", 1..3).prop_map(|map| json!(map))
}

fn container() -> impl Strategy<Value = Value> {
    let env = proptest::collection::btree_map("[A-C]", "[12]", 0..3).prop_shuffle_values();
    ("[a-c]", proptest::option::of("i:[12]"), env, proptest::option::of(80..82_u16), any::<bool>()).prop_map(
        |(name, image, env, port, tcp)| {
            let mut out = json!({"name": name});
            if let Some(image) = image {
                out["image"] = json!(image);
            }
            if !env.is_empty() {
                out["env"] = env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
            }
            if let Some(port) = port {
                out["ports"] = if tcp {
                    json!([{"containerPort": port, "protocol": "TCP"}])
                } else {
                    json!([{"containerPort": port}])
                };
            }
            out
        },
    )
}

trait Shuffled: Strategy<Value = std::collections::BTreeMap<String, String>> + Sized {
    fn prop_shuffle_values(self) -> impl Strategy<Value = Vec<(String, String)>> {
        self.prop_map(|map| map.into_iter().collect::<Vec<_>>()).prop_shuffle()
    }
}

impl<S: Strategy<Value = std::collections::BTreeMap<String, String>>> Shuffled for S {}

prop_compose! {
    fn config()(
        labels in proptest::option::of(labels()),
        replicas in proptest::option::of(0..3_i64),
        selector in proptest::option::of(labels()),
        containers in proptest::collection::vec(container(), 0..3),
        finalizers in proptest::collection::btree_set("f/[a-c]", 0..3),
    ) -> Value {
        let mut names = std::collections::BTreeSet::new();
        let containers: Vec<Value> =
            containers.into_iter().filter(|c| names.insert(c["name"].to_string())).collect();
        let mut out = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {}});
        if let Some(labels) = labels {
            out["metadata"]["labels"] = labels;
        }
        if !finalizers.is_empty() {
            out["metadata"]["finalizers"] = json!(finalizers);
        }
        if let Some(replicas) = replicas {
            out["spec"]["replicas"] = json!(replicas);
        }
        if let Some(selector) = selector {
            out["spec"]["selector"] = json!({"matchLabels": selector});
        }
        if !containers.is_empty() {
            out["spec"]["template"] = json!({"spec": {"containers": containers}});
        }
        out
    }
}

/// The same value with the keys of its items in `FieldsV1` turned around.
fn backwards(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(backwards).collect(),
        Value::Object(fields) => fields.iter().rev().map(|(name, value)| (turned(name), backwards(value))).collect(),
        other => other.clone(),
    }
}

/// `k:{"a":1,"b":2}` as `k:{"b":2,"a":1}`.
fn turned(name: &str) -> String {
    let keys =
        name.strip_prefix("k:").and_then(|keys| serde_json::from_str::<serde_json::Map<String, Value>>(keys).ok());
    let Some(keys) = keys else { return name.to_owned() };
    let pairs: Vec<String> = keys.iter().rev().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    format!("k:{{{}}}", pairs.join(", "))
}

#[test]
fn durations_of_custom_kinds_are_compared_by_meaning() {
    let crd = json!({"spec": {"group": "example.com", "names": {"kind": "Probe"}, "versions": [{"name": "v1", "served": true,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "every": {"type": "string", "format": "duration"}, "word": {"type": "string"}}}}}}}]}});
    let schemas = Schemas::builtin().with_crd(&crd).unwrap();
    let (schema, _) = schemas.lookup(&Gvk::new("example.com", "v1", "Probe"));
    let probe = |every: &str, word: &str| json!({"apiVersion": "example.com/v1", "kind": "Probe", "metadata": {"name": "p"}, "spec": {"every": every, "word": word}});
    let told = |every: &str, word: &str| -> Vec<String> {
        let found = changes(&probe("60s", "60s"), &probe(every, word), schema);
        found.iter().map(|change| change.path.to_string()).collect()
    };
    for same in ["60s", "1m", "1m0s", "60000ms", "1 minute"] {
        assert!(told(same, "60s").is_empty(), "{same}");
    }
    assert_eq!(told("61s", "60s"), [".spec.every"]);
    assert_eq!(told("soon", "60s"), [".spec.every"]);
    assert_eq!(told("1m", "1m"), [".spec.word"], "only where the schema says so");
}

proptest! {
    #[test]
    fn applying_twice_is_applying_once(configs in proptest::collection::vec((config(), "[mn]"), 1..5)) {
        let schemas = Schemas::builtin();
        let (schema, _) = schemas.lookup(&Gvk::new("apps", "v1", "Deployment"));
        let mut live: Option<Value> = None;
        for (config, manager) in &configs {
            let force = ApplyOptions { force: true, ..options(manager) };
            let once = apply(live.as_ref(), config, &force, schema).unwrap();
            let later = ApplyOptions { now: "2027-01-01T00:00:00Z".parse().unwrap(), ..force };
            prop_assert_eq!(&apply(Some(&once), config, &later, schema).unwrap(), &once);
            let again = predict(Some(&once), config, manager, &schemas).unwrap();
            prop_assert_eq!(again.changes, vec![]);
            prop_assert_eq!(again.conflicts, vec![]);
            live = Some(once);
        }
    }

    #[test]
    fn applying_what_one_owns_is_no_change(configs in proptest::collection::vec((config(), "[mn]"), 1..5)) {
        let schemas = Schemas::builtin();
        let (schema, _) = schemas.lookup(&Gvk::new("apps", "v1", "Deployment"));
        let mut live: Option<Value> = None;
        for (config, manager) in &configs {
            live = Some(apply(live.as_ref(), config, &ApplyOptions { force: true, ..options(manager) }, schema).unwrap());
        }
        let live = live.unwrap();
        for entry in managed::read(&live).unwrap() {
            let mut own = crate::domain::krm::merge::extract(&managed::stripped(&live), &entry.fields, schema);
            own["apiVersion"] = json!("apps/v1");
            own["kind"] = json!("Deployment");
            own["metadata"]["name"] = json!("d");
            let predicted = predict(Some(&live), &own, &entry.manager, &schemas).unwrap();
            prop_assert_eq!(render(&predicted.changes), "", "{} applied {}", entry.manager, own);
            let again = apply(Some(&live), &own, &ApplyOptions { force: true, ..options(&entry.manager) }, schema).unwrap();
            prop_assert_eq!(managed::stripped(&again), managed::stripped(&live), "{} applied {}", entry.manager, own);
            let entries = managed::read(&again).unwrap();
            // The keys of items are declared with them; nothing is lost, and nobody else loses anything.
            let kept = |before: &managed::Entry| {
                entries.iter().any(|after| after.owner() == before.owner() && before.fields.difference(&after.fields).is_empty())
            };
            prop_assert!(managed::read(&live).unwrap().iter().all(kept), "{} applied {}", entry.manager, own);
        }
    }

    /// Neither the order of keys in a document, nor of the keys of an item in `FieldsV1`, nor of owners is told from
    /// another.
    #[test]
    fn merging_does_not_depend_on_the_order_of_keys(configs in proptest::collection::vec((config(), "[mn]"), 1..4), new in config()) {
        let schemas = Schemas::builtin();
        let (schema, _) = schemas.lookup(&Gvk::new("apps", "v1", "Deployment"));
        let force = |manager| ApplyOptions { force: true, ..options(manager) };
        let live = configs.iter().fold(None, |live: Option<Value>, (config, manager)| {
            Some(apply(live.as_ref(), config, &force(manager), schema).unwrap())
        });
        let live = live.unwrap();
        let mut turned = backwards(&live);
        if let Some(owners) = turned.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) {
            owners.reverse();
        }
        let read: Value = serde_json::from_str(&backwards(&new).to_string()).unwrap();
        prop_assert_eq!(&read, &new);
        prop_assert_eq!(managed::read(&turned).unwrap().len(), managed::read(&live).unwrap().len());
        let foretold = |live: &Value, config: &Value| {
            let mut foretold = predict(Some(live), config, "m", &schemas).unwrap();
            // What changes nothing leaves the owners in the order in which they are.
            if let Some(owners) = foretold.object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) {
                owners.sort_by_key(ToString::to_string);
            }
            foretold
        };
        prop_assert_eq!(foretold(&turned, &read), foretold(&live, &new));
    }

    #[test]
    fn prediction_is_what_apply_does(old in config(), other in config(), new in config()) {
        let schemas = Schemas::builtin();
        let (schema, _) = schemas.lookup(&Gvk::new("apps", "v1", "Deployment"));
        let force = |manager| ApplyOptions { force: true, ..options(manager) };
        let live = apply(None, &old, &force("m"), schema).unwrap();
        let mut live = apply(Some(&live), &other, &force("n"), schema).unwrap();
        schemas.fill(&gvk(&live), &mut live);
        let predicted = predict(Some(&live), &new, "m", &schemas).unwrap();
        let mut applied = apply(Some(&live), &new, &force("m"), schema).unwrap();
        schemas.fill(&gvk(&applied), &mut applied);
        prop_assert_eq!(managed::stripped(&predicted.object), managed::stripped(&applied));
        prop_assert_eq!(predicted.changes.is_empty(), managed::stripped(&applied) == managed::stripped(&live)
            || changes(&live, &applied, schema).is_empty());
        let refused = apply(Some(&live), &new, &options("m"), schema).is_err();
        prop_assert_eq!(refused, !predicted.conflicts.is_empty());
    }
}

/// A live object that one manager applied, with these parts as the server stores them.
fn stored(config: &Value, parts: &[(&str, Value)]) -> Value {
    let schemas = Schemas::builtin();
    let (schema, _) = schemas.lookup(&gvk(config));
    let mut object = apply(None, config, &options("loggia"), schema).unwrap();
    for (pointer, part) in parts {
        *object.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}")) = part.clone();
    }
    object
}

fn pod_of(spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "core"}, "spec": spec})
}

fn of_kind(api: &str, kind: &str, field: &str, value: &Value) -> Value {
    json!({"apiVersion": api, "kind": kind, "metadata": {"name": "p"}, field: value})
}

/// What is sent, where in it the server fills something in, and what is there then. Recorded from Kubernetes v1.36.3.
fn filled_in_by_the_server() -> Vec<(Value, &'static str, Value)> {
    let resource = json!({"containerName": "a", "resource": "limits.cpu"});
    let exact = json!({"containerName": "a", "resource": "limits.cpu", "divisor": "0"});
    let file =
        json!([{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}, {"path": "b", "resourceFieldRef": resource}]);
    let files = json!([{"path": "a", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
        {"path": "b", "resourceFieldRef": exact}]);
    let env =
        json!({"containers": [{"name": "a", "env": [{"name": "A", "valueFrom": {"resourceFieldRef": resource}}]}]});
    let down = json!({"volumes": [{"name": "v", "downwardAPI": {"items": file}}]});
    let sources = json!([{"downwardAPI": {"items": file}}, {"serviceAccountToken": {"path": "t"}}]);
    let projected = json!({"volumes": [{"name": "v", "projected": {"sources": sources}}]});
    let all_sources =
        json!([{"downwardAPI": {"items": files}}, {"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}]);
    let rule = json!({"apiGroups": ["x"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["ys"]});
    let scoped =
        json!({"apiGroups": ["x"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["ys"], "scope": "*"});
    let hooks = json!([{"name": "a.b.c", "rules": [rule]}]);
    let matching =
        json!({"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}, "resourceRules": [scoped]});
    let failures = |condition: Value| json!({"rules": [{"action": "Ignore", "onPodConditions": [condition]}]});
    let job = json!({"podFailurePolicy": failures(json!({"type": "X"}))});
    let jobs = json!({"schedule": "* * * * *", "jobTemplate": {"spec": job}});
    let told = failures(json!({"type": "X", "status": "True"}));
    let limits = json!({"limits": [{"type": "Container", "default": {"memory": "1"}, "max": {"cpu": "1"}, "min": {"ephemeral-storage": "1"}}]});
    let limited = json!([{"type": "Container", "default": {"memory": "1", "cpu": "1"}, "max": {"cpu": "1"}, "min": {"ephemeral-storage": "1"},
        "defaultRequest": {"memory": "1", "cpu": "1", "ephemeral-storage": "1"}}]);
    let policies = "admissionregistration.k8s.io/v1";
    vec![
        (pod_of(&env), "/spec/containers/0/env/0/valueFrom/resourceFieldRef", exact),
        (pod_of(&down), "/spec/volumes/0/downwardAPI/items", files.clone()),
        (pod_of(&projected), "/spec/volumes/0/projected/sources", all_sources),
        (of_kind(policies, "ValidatingWebhookConfiguration", "webhooks", &hooks), "/webhooks/0/rules", json!([scoped])),
        (of_kind(policies, "MutatingWebhookConfiguration", "webhooks", &hooks), "/webhooks/0/rules", json!([scoped])),
        (
            of_kind(
                policies,
                "ValidatingAdmissionPolicy",
                "spec",
                &json!({"matchConstraints": {"resourceRules": [rule]}}),
            ),
            "/spec/matchConstraints",
            matching.clone(),
        ),
        (
            of_kind(
                policies,
                "ValidatingAdmissionPolicyBinding",
                "spec",
                &json!({"matchResources": {"resourceRules": [rule]}}),
            ),
            "/spec/matchResources",
            matching,
        ),
        (of_kind("batch/v1", "Job", "spec", &job), "/spec/podFailurePolicy", told.clone()),
        (of_kind("batch/v1", "CronJob", "spec", &jobs), "/spec/jobTemplate/spec/podFailurePolicy", told),
        (of_kind("v1", "LimitRange", "spec", &limits), "/spec/limits", limited),
    ]
}

#[test]
fn what_the_server_fills_in_is_no_difference() {
    for (config, place, part) in filled_in_by_the_server() {
        let live = stored(&config, &[(place, part.clone())]);
        assert_eq!(foretold(Some(&live), &config), "", "{config}");
        let mut filled = config.clone();
        Schemas::builtin().fill(&gvk(&config), &mut filled);
        assert_eq!(filled.pointer(place), Some(&part), "{config}");
    }
}

/// Devices are asked for in lists that are replaced as a whole.
#[test]
fn devices_that_are_asked_for_are_no_difference() {
    let claim = |request: Value| {
        let spec = json!({"spec": {"devices": {"requests": [request]}}});
        of_kind("resource.k8s.io/v1", "ResourceClaimTemplate", "spec", &spec)
    };
    let config = claim(json!({"name": "a", "exactly": {"deviceClassName": "p", "tolerations": [{"key": "k"}]}}));
    let exact = json!({"name": "a", "exactly": {"deviceClassName": "p", "allocationMode": "ExactCount", "count": 1,
        "tolerations": [{"key": "k", "operator": "Equal"}]}});
    let live = stored(&config, &[("/spec/spec/devices/requests/0", exact)]);
    let predicted = predict(Some(&live), &config, "loggia", &Schemas::builtin()).unwrap();
    assert_eq!((render(&predicted.changes).as_str(), predicted.grade), ("", Grade::Schema));
}

#[test]
fn what_a_service_was_given_it_keeps() {
    let service = |spec: &Value| of_kind("v1", "Service", "spec", spec);
    let given = json!({"type": "NodePort", "clusterIP": "10.96.47.176", "clusterIPs": ["10.96.47.176"], "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack", "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster",
        "sessionAffinity": "None",
        "ports": [{"name": "a", "port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30515}]});
    let sent = json!({"type": "NodePort", "clusterIP": "", "clusterIPs": [], "ports": [{"name": "a", "port": 80, "targetPort": 0, "nodePort": 0}]});
    let live = stored(&service(&sent), &[("/spec", given)]);
    assert_eq!(foretold(Some(&live), &service(&sent)), "");
    // Another port of the same name keeps the port of the nodes; one of another name is given its own.
    let port_of_nodes = |sent: &Value| {
        let object = predict(Some(&live), &service(sent), "loggia", &Schemas::builtin()).unwrap().object;
        object.pointer("/spec/ports/0/nodePort").cloned()
    };
    let mut moved = sent.clone();
    moved["ports"][0]["port"] = json!(81);
    assert_eq!(port_of_nodes(&moved), Some(json!(30515)));
    moved["ports"][0]["name"] = json!("b");
    assert_eq!(port_of_nodes(&moved), None);
    // Without its type what only that type has goes.
    let inner = json!({"ports": [{"name": "a", "port": 80}], "type": "ClusterIP"});
    assert_eq!(
        foretold(Some(&live), &service(&inner)),
        "- .spec.externalTrafficPolicy: \"Cluster\"\n\
         - .spec.ports[port=80,protocol=\"TCP\"].nodePort: 30515\n~ .spec.type: \"NodePort\" -> \"ClusterIP\"\n"
    );
}

#[test]
fn an_empty_path_of_a_hook_is_the_root() {
    let hook = |path: &str| json!({"preStop": {"httpGet": {"port": 5, "path": path}}});
    let mut config = deployment(2, "upf:1");
    config["spec"]["template"]["spec"]["containers"][0]["lifecycle"] = hook("");
    let mut root = hook("/");
    root["preStop"]["httpGet"]["scheme"] = json!("HTTP");
    let mut held = live(&config, "loggia");
    held["spec"]["template"]["spec"]["containers"][0]["lifecycle"] = root;
    assert_eq!(foretold(Some(&held), &config), "");
}

/// The binder of volumes adds to the reference that an administrator made.
#[test]
fn a_reference_to_a_claim_is_shared() {
    let volume = json!({"capacity": {"storage": "1Gi"}, "claimRef": {"name": "x", "namespace": "default"}});
    let config = of_kind("v1", "PersistentVolume", "spec", &volume);
    let schemas = Schemas::builtin();
    let (schema, _) = schemas.lookup(&gvk(&config));
    let before = stored(&config, &[]);
    let mut bound = before.clone();
    bound["spec"]["claimRef"]["uid"] = json!("8f3b2a52");
    let bound = update(Some(&before), &bound, &options("binder"), schema);
    let predicted = predict(Some(&bound), &config, "loggia", &schemas).unwrap();
    assert_eq!((render(&predicted.changes).as_str(), predicted.conflicts.as_slice()), ("", [].as_slice()));
}
