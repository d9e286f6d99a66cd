//! The rules that built-in kinds must keep: the obvious ones, in the API server's words.
//!
//! Source: `pkg/apis/*/validation` of Kubernetes v1.36. What is not checked here is accepted.

mod amounts;
mod containers;
mod definition;
mod environment;
mod ingress;
mod jobs;
mod kinds;
mod mounts;
mod network;
mod placement;
mod pod_spec;
mod pod_update;
mod pods;
mod resources;
mod scales;
mod scaling;
mod schedule;
mod schemas;
mod security;
mod selectors;
mod services;
mod stateful;
mod storage;
mod volumes;
mod warnings;

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::domain::krm::cause::Cause;
use crate::domain::krm::defaults::select_by_uid;
use crate::domain::krm::path::PathElement;
use crate::domain::krm::schema::unlisted;
use crate::domain::krm::validate::Violation;
use crate::domain::krm::value::{is_void, same};
use crate::domain::krm::{Gvk, Schema};

pub use self::definition::{approval, stored_versions, warnings as definition_warnings};
pub use self::pods::labels_of_pods;
pub use self::warnings::warnings;

const IMMUTABLE: &str = "field is immutable";

/// Fields that never change.
const FIXED: &[(&str, &str, &[&str])] = &[
    ("", "Secret", &["type"]),
    ("apps", "DaemonSet", &["spec.selector"]),
    ("apps", "Deployment", &["spec.selector"]),
    ("apps", "ReplicaSet", &["spec.selector"]),
    ("storage.k8s.io", "StorageClass", &["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"]),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        &["spec.scope", "spec.names.kind", "spec.group", "spec.names.plural"],
    ),
];

/// What is wrong with an object, in the order in which the server looks at it.
#[must_use]
pub fn validate(gvk: &Gvk, object: &Value) -> Vec<Cause> {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => pods::pod(object),
        ("", "PodTemplate") => pods::pod_template(object),
        ("", "ReplicationController") => pod_spec::faults(object, "spec.template.spec"),
        ("", "Service") => services::faults(object),
        ("", "ConfigMap" | "Secret") => data_keys(object).into_iter().chain(kinds::faults(gvk, object)).collect(),
        ("apps", "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet") => pods::workload(&gvk.kind, object),
        ("batch", "Job") => pods::job(object),
        ("batch", "CronJob") => pods::cron_job(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition::faults(object),
        _ => kinds::faults(gvk, object),
    }
}

/// Why the server would refuse an object of a built-in kind that comes of an apply, beside what it was. Fields that
/// only a server fills in need not be there.
#[must_use]
pub fn refused(gvk: &Gvk, old: Option<&Value>, new: &Value, schema: &Schema) -> Vec<Cause> {
    let is = |group: &str, kind: &str| gvk.group == group && gvk.kind == kind;
    let mut new = Cow::Borrowed(new);
    if old.is_none() && is("batch", "Job") {
        select_by_uid(new.to_mut());
    }
    let new = new.as_ref();
    let mut found = validate(gvk, new);
    match old {
        Some(old) => found.extend(validate_update(gvk, old, new)),
        None if is("apiextensions.k8s.io", "CustomResourceDefinition") => found.extend(approval(None, new)),
        None => {}
    }
    if is("batch", "Job") {
        found.extend(labels_of_pods(new));
    }
    let listed = unlisted(new, schema).into_iter().map(|violation| unsupported_at(violation, new));
    let is_new = |cause: &Cause| found.iter().all(|known| !is_told(cause, known));
    let listed: Vec<Cause> = listed.filter(is_new).collect();
    found.extend(listed);
    found
}

/// Whether what is told of a field says the same as what is known of it, or of the list that it is in. The server leaves
/// positions out of some fields; then it tells every one of them.
fn is_told(cause: &Cause, known: &Cause) -> bool {
    let is_item = cause.field.strip_prefix(&known.field).is_some_and(|rest| rest.is_empty() || rest.starts_with('['));
    is_item || (known.reason == cause.reason && without_positions(&cause.field) == without_positions(&known.field))
}

fn without_positions(field: &str) -> String {
    let parts = field.split('[').enumerate();
    parts.map(|(at, part)| if at == 0 { part } else { part.split_once(']').map_or(part, |(_, rest)| rest) }).collect()
}

/// A text that is none of those that the schema lists for its place, as the server names the place.
fn unsupported_at(violation: Violation, object: &Value) -> Cause {
    let steps = violation.path.steps(object);
    let mut field = String::new();
    for (element, step) in violation.path.elements().iter().zip(steps) {
        match element {
            PathElement::Field(_) if field.is_empty() => field.push_str(&step),
            PathElement::Field(_) => field.push_str(&format!(".{step}")),
            _ => field.push_str(&format!("[{step}]")),
        }
    }
    Cause { reason: "FieldValueNotSupported", message: violation.message, field }
}

/// What is wrong with an object as a successor of another.
#[must_use]
pub fn validate_update(gvk: &Gvk, old: &Value, new: &Value) -> Vec<Cause> {
    let here = |row: &&(&str, &str, &[&str])| row.0 == gvk.group && row.1 == gvk.kind;
    let fixed = FIXED.iter().find(here).map(|row| row.2).unwrap_or_default();
    let null = Value::Null;
    let value = |object: &'_ Value, path: &str| get(object, path).cloned().unwrap_or_default();
    let changed = fixed.iter().filter(|path| !same(&value(old, path), &value(new, path)));
    let mut found: Vec<Cause> =
        changed.map(|path| Cause::invalid(*path, get(new, path).unwrap_or(&null), IMMUTABLE)).collect();
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "ConfigMap" | "Secret") => found.extend(frozen(old, new)),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            found.extend(stored_versions(new));
            found.extend(definition::approval(Some(old), new));
        }
        ("", "Service") => found.extend(service_update(old, new)),
        ("apps", "StatefulSet") => found.extend(stateful_set_update(old, new)),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            let same_role = same(&value(old, "roleRef"), &value(new, "roleRef"));
            // The server shows the structure as it is inside.
            let part = |name: &str| value(new, &format!("roleRef.{name}"));
            let shown = json!({"APIGroup": part("apiGroup"), "Kind": part("kind"), "Name": part("name")});
            found.extend((!same_role).then(|| Cause::invalid("roleRef", &shown, "cannot change roleRef")));
        }
        _ => {}
    }
    found.extend(kinds::update_faults(gvk, old, new));
    found
}

fn get<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, step| value.get(step))
}

fn items<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    get(object, path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn port_fault(port: Option<&Value>, path: &str) -> Option<Cause> {
    let Some(port) = port else { return Some(Cause::required(path, "")) };
    let fits = port.as_i64().is_some_and(|port| (1..=65535).contains(&port));
    (!fits).then(|| Cause::invalid(path, port, "must be between 1 and 65535, inclusive"))
}

/// Most bytes of data in a config map or a secret.
const MAX_DATA: usize = 1024 * 1024;

/// Data over the limit, told at the field where the server tells it.
fn too_much_data(object: &Value, field: &str) -> Option<Cause> {
    let plain = |value: &Value| value.as_str().map_or(0, str::len);
    let coded = |value: &Value| value.as_str().map_or(0, |text| 3 * letters(text) / 4);
    let sum = |part: &str, size: &dyn Fn(&Value) -> usize| -> usize {
        get(object, part).and_then(Value::as_object).into_iter().flatten().map(|(_, value)| size(value)).sum()
    };
    let total = if field == "data" { sum("data", &coded) } else { sum("data", &plain) + sum("binaryData", &coded) };
    (total > MAX_DATA).then(|| Cause::too_long(field, MAX_DATA))
}

/// How many letters of a text in base64 stand for something.
fn letters(text: &str) -> usize {
    text.bytes().filter(|byte| !matches!(byte, b'=' | b'\n' | b'\r')).count()
}

/// Longest key of a config map or a secret, in bytes.
const MAX_KEY: usize = 253;

/// What is wrong with the key of a config map or a secret.
fn config_key_faults(key: &str) -> impl Iterator<Item = &'static str> {
    let detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
                  'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let long = (key.len() > MAX_KEY).then_some("must be no more than 253 characters");
    let dots = match key {
        "." => Some("must not be '.'"),
        ".." => Some("must not be '..'"),
        _ => key.starts_with("..").then_some("must not start with '..'"),
    };
    long.into_iter().chain((!plain).then_some(detail)).chain(dots)
}

fn data_keys(object: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    for part in ["data", "binaryData"] {
        for (key, _) in get(object, part).and_then(Value::as_object).into_iter().flatten() {
            let faults = config_key_faults(key);
            found.extend(faults.map(|fault| Cause::invalid(format!("{part}[{key}]"), &json!(key), fault)));
        }
    }
    found
}

fn required(object: &Value, path: &str) -> Option<Cause> {
    get(object, path).is_none_or(kinds::is_missing).then(|| Cause::required(path, ""))
}

/// Puts empty maps back that an update was sent with. The server leaves them out of what it stores, but its rules tell
/// them from none: a frozen map of bytes (not one of texts) that was not there has changed, a claim still asks for
/// resources. No such object is ever stored.
pub fn keep_empties(gvk: &Gvk, old: &Value, sent: &Value, new: &mut Value) {
    let is_empty = |value: Option<&Value>| value == Some(&json!({}));
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "ConfigMap" | "Secret") if old.get("immutable") == Some(&Value::Bool(true)) => {
            let name = if gvk.kind == "Secret" { "data" } else { "binaryData" };
            if is_empty(sent.get(name)) && new.get(name).is_none() {
                new[name] = json!({});
            }
        }
        ("", "PersistentVolumeClaim") if is_empty(get(sent, "spec.resources.requests")) => {
            new["spec"]["resources"]["requests"] = json!({});
        }
        _ => {}
    }
}

/// What `immutable: true` says stays.
fn frozen(old: &Value, new: &Value) -> Vec<Cause> {
    if old.get("immutable") != Some(&Value::Bool(true)) {
        return Vec::new();
    }
    let detail = "field is immutable when `immutable` is set";
    let changed = ["immutable", "data", "binaryData"].into_iter().filter(|name| old.get(name) != new.get(name));
    changed.map(|name| Cause::forbidden(name, detail)).collect()
}

fn service_update(old: &Value, new: &Value) -> Option<Cause> {
    let (before, after) = (get(old, "spec.clusterIP")?, get(new, "spec.clusterIP")?);
    let typed = |object: &Value| get(object, "spec.type") == Some(&json!("ExternalName"));
    // What is no address is told as such.
    let is_address = services::address(new).is_none();
    let changed = before != after && !is_void(before) && !typed(old) && !typed(new) && is_address;
    changed.then(|| Cause::invalid("spec.clusterIPs[0]", &json!([after]), "may not change once set"))
}

fn stateful_set_update(old: &Value, new: &Value) -> Option<Cause> {
    let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
                  'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
    let free = [
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ];
    let fixed = |object: &Value| {
        let mut spec = object.get("spec").cloned().unwrap_or_default();
        for name in free {
            spec[name] = Value::Null;
        }
        spec
    };
    (!same(&fixed(old), &fixed(new))).then(|| Cause::forbidden("spec", detail))
}

/// Where faults are, for tests of rules.
#[cfg(test)]
fn fields(faults: Vec<Cause>) -> Vec<String> {
    faults.into_iter().map(|cause| cause.field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(group: &str, kind: &str, object: &Value) -> Vec<String> {
        validate(&Gvk::new(group, "v1", kind), object).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            faults("apps", "Deployment", &json!({"spec": {}})),
            [
                "spec.selector: Required value",
                "spec.template.metadata.labels: Invalid value: null: `selector` does not match template `labels`",
                "spec.template.spec.containers: Required value"
            ]
        );
        let pod = json!({"spec": {"containers": [{"name": "a"}, {"name": "a", "image": "x", "ports": [{"containerPort": 0}],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}});
        assert_eq!(
            faults("", "Pod", &pod),
            [
                "spec.containers[0].image: Required value",
                "spec.containers[1].ports[0].containerPort: Required value",
                "spec.containers[1].volumeMounts[0].name: Not found: \"v\"",
                "spec.containers[1].name: Duplicate value: \"a\"",
            ]
        );
        assert_eq!(faults("", "Service", &json!({"spec": {}})), ["spec.ports: Required value"]);
        assert!(faults("", "Service", &json!({"spec": {"clusterIP": "None"}})).is_empty());
    }

    #[test]
    fn counts_of_replica_sets_and_indexed_jobs_can_be() {
        let template =
            json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
        let mut set =
            json!({"spec": {"minReadySeconds": -1, "selector": {"matchLabels": {"app": "a"}}, "template": template}});
        let negative = "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0";
        assert_eq!(faults("apps", "ReplicaSet", &set), [negative]);
        set["spec"]["completionMode"] = json!("Indexed");
        assert_eq!(faults("batch", "Job", &set), ["spec.completions: Required value: when completion mode is Indexed"]);
        let changed = |completions: Value| {
            let job =
                |completions: Value, mode: &str| json!({"spec": {"completions": completions, "completionMode": mode}});
            let old = job(json!(1), "NonIndexed");
            let found = validate_update(&Gvk::new("batch", "v1", "Job"), &old, &job(completions, "Indexed"));
            found.into_iter().map(|cause| cause.field).collect::<Vec<_>>()
        };
        assert_eq!(changed(Value::Null), ["spec.completionMode"], "that there are none is told by itself");
        assert_eq!(changed(json!(2)), ["spec.completions", "spec.completionMode"]);
    }

    #[test]
    fn a_selector_selects_its_template() {
        let object = json!({"spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {"metadata": {"labels": {"app": "b"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}}}});
        assert_eq!(
            faults("apps", "ReplicaSet", &object),
            [
                "spec.template.metadata.labels: Invalid value: {\"app\":\"b\"}: `selector` does not match template `labels`"
            ]
        );
    }

    #[test]
    fn fixed_fields_stay() {
        let selector = |app: &str| json!({"spec": {"selector": {"matchLabels": {"app": app}}}});
        let causes = validate_update(&Gvk::new("apps", "v1", "Deployment"), &selector("a"), &selector("b"));
        assert_eq!(
            causes[0].to_string(),
            "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is immutable"
        );
        let map = |data: &str| json!({"immutable": true, "data": {"a": data}});
        let causes = validate_update(&Gvk::new("", "v1", "ConfigMap"), &map("1"), &map("2"));
        assert_eq!(causes[0].to_string(), "data: Forbidden: field is immutable when `immutable` is set");
    }
}
