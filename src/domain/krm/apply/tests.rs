use super::*;
use crate::domain::krm::managed::Entry;
use crate::domain::krm::{Gvk, Schemas};
use serde_json::json;

/// Sequences of writes with the objects and errors that apimachinery v0.36.3's own field manager answered, over the
/// published OpenAPI v3 documents and the CRD beside them; `testdata/record` records them. Times are constant.
const VECTORS: &str = include_str!("../testdata/apply_vectors.json");

fn options(manager: &str) -> ApplyOptions<'_> {
    ApplyOptions {
        manager,
        force: false,
        subresource: "",
        now: "2026-11-21T10:00:00Z".parse().unwrap(),
        reset: &[],
        blank: None,
    }
}

fn schema_of(schemas: &Schemas, object: &Value) -> Schema {
    let gvk = Gvk::parse(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    schemas.lookup(&gvk).0.clone().keeping_nulls()
}

/// The schema as it is used: of a server that drops nulls of its own kinds.
fn real_schema(object: &Value) -> Schema {
    let gvk = Gvk::parse(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    Schemas::builtin().lookup(&gvk).0.clone()
}

/// Ownership without times and with a field set in place of its JSON.
fn shown(object: &Value) -> (Value, Vec<Entry>) {
    let mut entries = managed::read(object).unwrap();
    for entry in &mut entries {
        entry.time = None;
    }
    entries.sort_by_key(Entry::owner);
    (managed::stripped(object), entries)
}

fn has_times(object: &Value) -> Vec<(String, bool)> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut times: Vec<_> = entries
        .iter()
        .map(|entry| (format!("{} {}", entry["manager"], entry["operation"]), entry.get("time").is_some()))
        .collect();
    times.sort();
    times
}

fn reset_paths(paths: &Value) -> Vec<Path> {
    let names =
        |path: &Value| path.as_array().unwrap().iter().map(|n| PathElement::field(n.as_str().unwrap())).collect();
    paths.as_array().unwrap().iter().map(names).collect()
}

#[test]
fn writes_lead_to_what_the_api_server_answers() {
    let crd = serde_json::from_str(include_str!("../testdata/thing_crd.json")).unwrap();
    let schemas = Schemas::builtin().with_crd(&crd).unwrap();
    let cases: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    for (number, case) in cases.iter().enumerate() {
        let mut live = case.get("start").filter(|start| !start.is_null()).cloned();
        let case_has_no_reset = case["steps"].as_array().unwrap().iter().all(|step| step.get("reset").is_none());
        for (step, record) in case["steps"].as_array().unwrap().iter().enumerate() {
            let input = &record["input"];
            let schema = schema_of(&schemas, input);
            let force = record["force"].as_bool().unwrap_or_default();
            let reset: Vec<Path> = record.get("reset").map(reset_paths).unwrap_or_default();
            let subresource = record["subresource"].as_str().unwrap_or_default();
            let options =
                ApplyOptions { force, subresource, reset: &reset, ..options(record["manager"].as_str().unwrap()) };
            let outcome = match record["op"].as_str().unwrap() {
                "apply" => apply(live.as_ref(), input, &options, &schema).map_err(|error| error.to_string()),
                _ => Ok(update(live.as_ref(), input, &options, &schema)),
            };
            let place = format!("case {number} step {step}: {record}\nlive: {live:?}");
            match (outcome, record.get("error").and_then(Value::as_str)) {
                (Ok(object), None) => {
                    assert_eq!(shown(&object), shown(&record["output"]), "{place}");
                    // The recorder notes a time for what the reset undoes later; nothing changed, so we do not.
                    if case_has_no_reset {
                        assert_eq!(has_times(&object), has_times(&record["output"]), "{place}");
                    }
                    live = Some(object);
                }
                (Err(error), Some(expected)) => assert_eq!(error, expected, "{place}"),
                (outcome, expected) => panic!("{outcome:?} in place of {expected:?} in {place}"),
            }
        }
    }
}

fn config_map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": data})
}

#[test]
fn configurations_that_do_not_fit_are_refused_in_the_servers_words() {
    let schemas = Schemas::builtin();
    let mut config = config_map(&json!({"a": 1}));
    config["bogus"] = json!("x");
    let error = apply(None, &config, &options("m"), &schema_of(&schemas, &config)).unwrap_err();
    assert_eq!(error.class(), Class::Invalid);
    assert_eq!(
        error.to_string(),
        "failed to create typed patch object (n/c; /v1, Kind=ConfigMap): errors:\n  \
         .bogus: field not declared in schema\n  .data.a: expected string, got 1"
    );
    let mut config = config_map(&json!({}));
    config["metadata"]["managedFields"] = json!([]);
    assert_eq!(apply(None, &config, &options("m"), &schema_of(&schemas, &config)), Err(ApplyError::ManagedFieldsSet));
}

#[test]
fn twin_items_are_refused() {
    let schemas = Schemas::builtin();
    let config = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
        "spec": {"ports": [{"port": 80}, {"port": 80, "protocol": "TCP"}]}});
    let error = apply(None, &config, &options("m"), &schema_of(&schemas, &config)).unwrap_err();
    assert!(
        error.to_string().ends_with(".spec.ports: duplicate entries for key [port=80,protocol=\"TCP\"]"),
        "{error}"
    );
}

#[test]
fn the_oldest_updaters_share_a_bucket() {
    let schemas = Schemas::builtin();
    let mut live: Option<Value> = None;
    for number in 0..14_i64 {
        let mut object = live.clone().unwrap_or_else(|| config_map(&json!({})));
        object["metadata"]["uid"] = json!("u");
        object["data"][format!("k{number}")] = json!("x");
        let name = format!("updater-{number:02}");
        let now = options("").now + crate::domain::time::SignedDuration::from_secs(number);
        let schema = schema_of(&schemas, &object);
        live = Some(update(live.as_ref(), &object, &ApplyOptions { now, ..options(&name) }, &schema));
    }
    let entries = managed::read(&live.unwrap()).unwrap();
    assert_eq!(entries.len(), 10);
    assert_eq!(entries[0].manager, "ancient-changes");
    assert!((0..5).all(|n| entries[0].fields.contains(Path::fields(&["data", &format!("k{n}")]).elements())));
}

#[test]
fn an_empty_list_of_managed_fields_resets_ownership() {
    let schemas = Schemas::builtin();
    let config = config_map(&json!({"a": "1"}));
    let schema = schema_of(&schemas, &config);
    let mut live = apply(None, &config, &options("m"), &schema).unwrap();
    live["metadata"]["uid"] = json!("u");
    for reset in [json!([]), json!([{}])] {
        let mut object = live.clone();
        object["metadata"]["managedFields"] = reset;
        let object = update(Some(&live), &object, &options("n"), &schema);
        assert_eq!(object["metadata"].get("managedFields"), None);
    }
}

#[test]
fn broken_ownership_records_stop_an_apply_and_not_an_update() {
    let schemas = Schemas::builtin();
    let mut live = config_map(&json!({"a": "1"}));
    live["metadata"]["managedFields"] = json!([{"manager": "m", "operation": "Steal"}]);
    let schema = schema_of(&schemas, &live);
    let config = config_map(&json!({"a": "2"}));
    let error = apply(Some(&live), &config, &options("m"), &schema).unwrap_err();
    assert!(error.to_string().contains("managedFields entry 0: operation"), "{error}");
    assert_eq!(managed::read(&update(Some(&live), &config, &options("m"), &schema)).unwrap()[0].manager, "m");
}

/// A record may name a field that is not there; writing it is a conflict all the same.
#[test]
fn fields_that_are_owned_and_absent_conflict_when_they_come() {
    let schemas = Schemas::builtin();
    let config = config_map(&json!({"a": "1"}));
    let schema = schema_of(&schemas, &config);
    let mut live = apply(None, &config, &options("other"), &schema).unwrap();
    live["data"] = json!({"b": "2"});
    let refused = apply(Some(&live), &config, &options("me"), &schema).unwrap_err();
    assert!(matches!(&refused, ApplyError::Conflicts(conflicts) if conflicts.len() == 1), "{refused}");
}

fn deployment(cpu: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"app": "d"}}, "template": {"metadata": {"labels": {"app": "d"}}, "spec": {
            "containers": [{"name": "main", "image": "x", "resources": {"limits": {"cpu": cpu}}}]}}}})
}

fn later(manager: &str) -> ApplyOptions<'_> {
    ApplyOptions { now: "2027-01-01T00:00:00Z".parse().unwrap(), ..options(manager) }
}

fn owner<'e>(entries: &'e [Entry], manager: &str) -> &'e Entry {
    entries.iter().find(|entry| entry.manager == manager).unwrap()
}

#[test]
fn quantities_are_stored_in_their_canonical_form_and_another_spelling_is_no_write() {
    let schema = real_schema(&deployment("1"));
    let live = apply(None, &deployment("1000m"), &options("m"), &schema).unwrap();
    assert_eq!(live.pointer("/spec/template/spec/containers/0/resources/limits/cpu"), Some(&json!("1")));
    assert_eq!(apply(Some(&live), &deployment("1000m"), &later("m"), &schema).unwrap(), live);
    let changed = apply(Some(&live), &deployment("2000m"), &later("m"), &schema).unwrap();
    assert_eq!(changed.pointer("/spec/template/spec/containers/0/resources/limits/cpu"), Some(&json!("2")));
    assert_eq!(managed::read(&changed).unwrap()[0].time, Some(later("").now));
}

#[test]
fn giving_a_field_up_is_a_write_and_dated() {
    let schemas = Schemas::builtin();
    let schema = schema_of(&schemas, &config_map(&json!({})));
    let live = apply(None, &config_map(&json!({"a": "1", "b": "2"})), &options("m"), &schema).unwrap();
    let less = apply(Some(&live), &config_map(&json!({"a": "1"})), &later("m"), &schema).unwrap();
    assert_eq!(less["data"], json!({"a": "1"}));
    assert_eq!(managed::read(&less).unwrap()[0].time, Some(later("").now));
}

#[test]
fn what_the_server_keeps_for_itself_is_not_taken_from_a_configuration() {
    let schemas = Schemas::builtin();
    let mut config = config_map(&json!({"a": "1"}));
    let schema = schema_of(&schemas, &config);
    let mut live = apply(None, &config, &options("m"), &schema).unwrap();
    live["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
    config["metadata"]["creationTimestamp"] = json!("2001-01-01T00:00:00Z");
    let applied = apply(Some(&live), &config, &options("m"), &schema).unwrap();
    assert_eq!(applied["metadata"]["creationTimestamp"], json!("2026-01-01T00:00:00Z"));
}

#[test]
fn writes_to_a_subresource_cannot_set_owners() {
    let schemas = Schemas::builtin();
    let config = config_map(&json!({"a": "1"}));
    let schema = schema_of(&schemas, &config);
    let live = apply(None, &config, &options("m"), &schema).unwrap();
    let mut status = live.clone();
    status["metadata"]["managedFields"] = json!([]);
    status["metadata"]["labels"] = json!({"l": "1"});
    let written = update(Some(&live), &status, &ApplyOptions { subresource: "status", ..options("s") }, &schema);
    let entries = managed::read(&written).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.manager.as_str()).collect::<Vec<_>>(), ["m", "s"]);
}

/// Apimachinery builds the entry from the object as the configuration's version has it, where nulls are nothing.
#[test]
fn what_was_there_before_the_first_apply_has_an_owner_without_nulls() {
    let config = config_map(&json!({"a": "1"}));
    let schema = real_schema(&config);
    let mut live = config_map(&json!({"a": "1", "b": "2"}));
    live["apiVersion"] = json!("v0");
    live["immutable"] = Value::Null;
    let entries = managed::read(&apply(Some(&live), &config, &options("m"), &schema).unwrap()).unwrap();
    let before = owner(&entries, "before-first-apply");
    assert_eq!(before.api_version, "v1");
    assert!(before.fields.contains(Path::fields(&["data", "b"]).elements()));
    assert!(!before.fields.contains(Path::fields(&["immutable"]).elements()));
}

/// An object as client-side `kubectl apply` left it: the annotation says what was sent.
fn client_side(sent: &Value, schema: &Schema) -> Value {
    let mut object = config_map(&sent["data"]);
    object["metadata"]["uid"] = json!("u");
    object["metadata"]["annotations"] = json!({ LAST_APPLIED: format!("{sent}\n") });
    let options = ApplyOptions { now: "2026-01-01T00:00:00Z".parse().unwrap(), ..options("kubectl-client-side-apply") };
    update(None, &object, &options, schema)
}

/// Source: the `lastApplied` managers of apimachinery: `kubectl apply --server-side` takes over what `kubectl apply`
/// sent.
#[test]
fn what_kubectl_applied_on_the_client_side_is_taken_over_by_kubectl_alone() {
    let schemas = Schemas::builtin();
    let (old, new) = (config_map(&json!({"a": "1"})), config_map(&json!({"a": "2"})));
    let schema = schema_of(&schemas, &old);
    let live = client_side(&old, &schema);
    assert!(matches!(apply(Some(&live), &new, &options("m"), &schema), Err(ApplyError::Conflicts(_))));
    let applied = apply(Some(&live), &new, &options("kubectl"), &schema).unwrap();
    assert_eq!(applied["data"]["a"], "2");
    // The annotation follows, so that client-side apply still knows what was sent.
    let told: Value = serde_json::from_str(applied["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap()).unwrap();
    assert_eq!(told, new);
}

#[test]
fn what_others_changed_since_is_not_forgiven() {
    let schemas = Schemas::builtin();
    let (old, new) = (config_map(&json!({"a": "1"})), config_map(&json!({"a": "2"})));
    let schema = schema_of(&schemas, &old);
    let live = client_side(&old, &schema);
    let mut changed = live.clone();
    changed["data"]["a"] = json!("9");
    let changed = update(Some(&live), &changed, &options("editor"), &schema);
    assert!(matches!(apply(Some(&changed), &new, &options("kubectl"), &schema), Err(ApplyError::Conflicts(_))));
    // Nor what was sent in another version.
    let mut other = old.clone();
    other["apiVersion"] = json!("v0");
    let live = client_side(&other, &schema);
    assert!(matches!(apply(Some(&live), &new, &options("kubectl"), &schema), Err(ApplyError::Conflicts(_))));
}

#[test]
fn the_annotation_of_client_side_apply_is_kept_up_without_itself_in_it() {
    let schemas = Schemas::builtin();
    let mut config = config_map(&json!({"a": "1"}));
    let schema = schema_of(&schemas, &config);
    let live = client_side(&config, &schema);
    config["metadata"]["annotations"] = json!({LAST_APPLIED: "mine", "other": "x"});
    let force = |manager| ApplyOptions { force: true, ..options(manager) };
    let applied = apply(Some(&live), &config, &force("kubectl"), &schema).unwrap();
    let told: Value = serde_json::from_str(applied["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap()).unwrap();
    assert_eq!(told["metadata"]["annotations"], json!({"other": "x"}));
    // An empty one was emptied on purpose.
    let mut emptied = live;
    emptied["metadata"]["annotations"][LAST_APPLIED] = json!("");
    config["metadata"]["annotations"] = json!({"other": "x"});
    let applied = apply(Some(&emptied), &config, &force("kubectl"), &schema).unwrap();
    assert_eq!(applied["metadata"]["annotations"][LAST_APPLIED], "");
}

#[test]
fn another_spelling_dates_an_entry_anew_when_owners_change() {
    let schemas = Schemas::builtin();
    let (schema, _) = schemas.lookup(&Gvk::new("", "v1", "Pod"));
    let pod = |cpu: &str, labels: Value| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": labels}, "spec": {"containers": [
            {"name": "a", "resources": {"limits": {"cpu": cpu}}}]}})
    };
    let label = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "b"}}});
    let at = |manager, now: &str| ApplyOptions { force: true, now: now.parse().unwrap(), ..options(manager) };
    let live = apply(None, &pod("1", json!({})), &at("m", "2026-01-01T00:00:00Z"), schema).unwrap();
    let live = apply(Some(&live), &label, &at("n", "2026-01-01T00:00:00Z"), schema).unwrap();
    let later = "2027-01-01T00:00:00Z";
    let again = apply(Some(&live), &pod("1000m", json!({"a": "b"})), &at("m", later), schema).unwrap();
    let owners = again["metadata"]["managedFields"].as_array().unwrap();
    let time = |manager: &str| owners.iter().find(|owner| owner["manager"] == manager).map(|owner| &owner["time"]);
    assert_eq!((time("m"), time("n")), (Some(&json!(later)), Some(&json!("2026-01-01T00:00:00Z"))));
}

/// Managers and what they own, in the order of the object.
fn owners(object: &Value) -> Vec<(String, String)> {
    let entries = crate::domain::krm::managed::read(object).unwrap();
    entries.into_iter().map(|entry| (entry.manager, entry.fields.to_fields_v1().to_string())).collect()
}

#[test]
fn an_update_that_changes_nothing_keeps_its_time() {
    let schemas = Schemas::builtin();
    let config = config_map(&json!({"a": "1"}));
    let schema = schema_of(&schemas, &config);
    let old = update(None, &config, &options("m"), &schema);
    let later = ApplyOptions { now: "2027-01-01T00:00:00Z".parse().unwrap(), ..options("m") };
    assert_eq!(update(Some(&old), &old, &later, &schema), old);
}

#[test]
fn the_oldest_updaters_share_an_entry() {
    let schemas = Schemas::builtin();
    let mut live = config_map(&json!({}));
    let schema = schema_of(&schemas, &live);
    for day in 0..12 {
        let (manager, now) = (format!("m{:02}", 11 - day), format!("2026-01-{:02}T00:00:00Z", day + 1));
        let mut new = live.clone();
        new["data"][format!("k{day}")] = json!("1");
        let options = ApplyOptions { now: now.parse().unwrap(), ..options(&manager) };
        live = update(Some(&live), &new, &options, &schema);
    }
    let names: Vec<String> = owners(&live).into_iter().map(|(manager, _)| manager).collect();
    assert_eq!(names.len(), 10, "{names:?}");
    assert!(names.contains(&"m00".to_owned()) && names.contains(&"ancient-changes".to_owned()), "{names:?}");
    assert!(!names.contains(&"m11".to_owned()) && !names.contains(&"m10".to_owned()), "{names:?}");
}

#[test]
fn nobody_owned_what_every_object_has() {
    let schemas = Schemas::builtin();
    let live = config_map(&json!({"a": "1", "b": "2"}));
    let schema = schema_of(&schemas, &live);
    let blank = json!({"data": {"a": "1"}});
    let options = ApplyOptions { blank: Some(&blank), ..options("m") };
    let applied = apply(Some(&live), &config_map(&json!({"c": "3"})), &options, &schema).unwrap();
    let before: Vec<_> = owners(&applied).into_iter().filter(|(manager, _)| manager == "before-first-apply").collect();
    assert_eq!(before.len(), 1);
    assert!(before[0].1.contains("f:b") && !before[0].1.contains("f:a"), "{before:?}");
}

#[test]
fn no_entry_leaves_no_managed_fields() {
    let mut object = json!({"metadata": {"name": "a", "managedFields": [{"manager": "gone"}]}});
    managed::write(&mut object, Vec::new());
    assert_eq!(object, json!({"metadata": {"name": "a"}}));
}

#[test]
fn an_object_that_does_not_fit_its_schema_loses_its_owners() {
    let (fitting, schema) = (deployment("1"), real_schema(&deployment("1")));
    let owned = update(None, &fitting, &options("one"), &schema);
    assert!(!managed::read(&owned).unwrap().is_empty());
    let mut broken = owned.clone();
    broken["spec"]["template"]["spec"]["containers"] = json!("none");
    let updated = update(Some(&owned), &broken, &options("two"), &schema);
    assert_eq!(updated, managed::stripped(&broken));
}
