//! The rules that built-in kinds must keep: the obvious ones, in the API server's words.
//!
//! Source: `pkg/apis/*/validation` of Kubernetes v1.36. What is not checked here is accepted.

mod ingress;
mod kinds;
mod pod_update;
mod pods;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::apiserver::schemas;
use crate::apiserver::status::Cause;
use crate::domain::krm::Gvk;
use crate::domain::krm::value::{is_void, same};

pub(super) use self::pods::labels_of_pods;

const IMMUTABLE: &str = "field is immutable";

/// Fields that never change.
const FIXED: &[(&str, &str, &[&str])] = &[
    ("", "Secret", &["type"]),
    ("apps", "DaemonSet", &["spec.selector"]),
    ("apps", "Deployment", &["spec.selector"]),
    ("apps", "ReplicaSet", &["spec.selector"]),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        &["spec.scope", "spec.names.kind", "spec.group", "spec.names.plural"],
    ),
];

/// What is wrong with an object, in the order in which the server looks at it.
#[must_use]
pub(super) fn validate(gvk: &Gvk, object: &Value) -> Vec<Cause> {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => pods::pod_spec(object, "spec"),
        ("", "ReplicationController") => pods::pod_spec(object, "spec.template.spec"),
        ("", "Service") => service(object).into_iter().chain(kinds::service_type(object)).collect(),
        ("", "ConfigMap" | "Secret") => data_keys(object).into_iter().chain(kinds::faults(gvk, object)).collect(),
        ("apps", "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet") => pods::workload(&gvk.kind, object),
        ("batch", "Job") => pods::job(object),
        ("batch", "CronJob") => pods::cron_job(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        _ => kinds::faults(gvk, object),
    }
}

/// What is wrong with an object as a successor of another.
#[must_use]
pub(super) fn validate_update(gvk: &Gvk, old: &Value, new: &Value) -> Vec<Cause> {
    let here = |row: &&(&str, &str, &[&str])| row.0 == gvk.group && row.1 == gvk.kind;
    let fixed = FIXED.iter().find(here).map(|row| row.2).unwrap_or_default();
    let null = Value::Null;
    let value = |object: &'_ Value, path: &str| get(object, path).cloned().unwrap_or_default();
    let changed = fixed.iter().filter(|path| !same(&value(old, path), &value(new, path)));
    let mut found: Vec<Cause> =
        changed.map(|path| Cause::invalid(*path, get(new, path).unwrap_or(&null), IMMUTABLE)).collect();
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "ConfigMap" | "Secret") => found.extend(frozen(old, new)),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => found.extend(stored_versions(new)),
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

fn service(object: &Value) -> Vec<Cause> {
    let kind = get(object, "spec.type").and_then(Value::as_str).unwrap_or_default();
    let headless = get(object, "spec.clusterIP") == Some(&json!("None"));
    if kind == "ExternalName" {
        let missing = get(object, "spec.externalName").is_none_or(is_void);
        return missing.then(|| Cause::required("spec.externalName", "")).into_iter().collect();
    }
    let ports = items(object, "spec.ports");
    let mut found = Vec::new();
    if ports.is_empty() && !headless {
        found.push(Cause::required("spec.ports", ""));
    }
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        let name = text(port, "name");
        if ports.len() > 1 && name.is_empty() {
            found.push(Cause::required(format!("{path}.name"), ""));
        } else if !name.is_empty() && !names.insert(name) {
            found.push(Cause::duplicate(format!("{path}.name"), &json!(name)));
        }
        found.extend(port_fault(port.get("port"), &format!("{path}.port")));
        let target = port.get("targetPort").filter(|target| target.is_number());
        found.extend(target.and_then(|target| port_fault(Some(target), &format!("{path}.targetPort"))));
    }
    found
}

fn data_keys(object: &Value) -> Vec<Cause> {
    let detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
                  'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    let plain = |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let mut found = Vec::new();
    for part in ["data", "binaryData"] {
        let keys = get(object, part).and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key);
        let faulty = keys.filter(|key| !plain(key));
        found.extend(faulty.map(|key| Cause::invalid(format!("{part}[{key}]"), &json!(key), detail)));
    }
    found
}

fn required(object: &Value, path: &str) -> Option<Cause> {
    get(object, path).is_none_or(kinds::is_missing).then(|| Cause::required(path, ""))
}

fn definition(object: &Value) -> Vec<Cause> {
    let text = |path: &str| get(object, path).and_then(Value::as_str).unwrap_or_default();
    let mut found = Vec::new();
    found.extend(required(object, "spec.group"));
    found.extend(required(object, "spec.scope"));
    if !matches!(text("spec.scope"), "Cluster" | "Namespaced" | "") {
        let allowed = ["\"Cluster\"".to_owned(), "\"Namespaced\"".to_owned()];
        found.push(Cause::not_supported("spec.scope", &json!(text("spec.scope")), &allowed));
    }
    found.extend(definition_versions(object));
    found.extend(schemas::faults(object));
    found.extend(
        ["plural", "singular", "kind", "listKind"]
            .iter()
            .filter_map(|name| required(object, &format!("spec.names.{name}"))),
    );
    if get(object, "spec.conversion").is_some_and(|conversion| !conversion.is_null()) {
        found.extend(required(object, "spec.conversion.strategy"));
    }
    found
}

/// Versions in which objects may still be stored, though the definition does not have them any more.
pub(super) fn stored_versions(object: &Value) -> Vec<Cause> {
    if items(object, "status.storedVersions").is_empty() {
        let detail = "must have at least one stored version";
        return vec![Cause::invalid("status.storedVersions", &Value::Null, detail)];
    }
    let versions = items(object, "spec.versions");
    let stored = items(object, "status.storedVersions").iter().enumerate();
    let lost = stored.filter(|(_, stored)| versions.iter().all(|version| version.get("name") != Some(stored)));
    let cause = |(at, stored): (usize, &Value)| {
        let name = stored.as_str().unwrap_or_default();
        let detail = format!(
            "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a \
             storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
        );
        Cause::invalid(format!("status.storedVersions[{at}]"), stored, &detail)
    };
    lost.map(cause).collect()
}

fn definition_versions(object: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    let versions = items(object, "spec.versions");
    for (index, version) in versions.iter().enumerate() {
        if version.pointer("/schema/openAPIV3Schema").is_none() {
            let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
            found.push(Cause::required(field, "schemas are required"));
        }
    }
    let stored = versions.iter().filter(|version| version.get("storage") == Some(&Value::Bool(true))).count();
    if stored != 1 {
        let detail = "must have exactly one version marked as storage version";
        found.push(Cause::invalid("spec.versions", &json!(null), detail));
    }
    found
}

/// Puts empty maps back that an update was sent with. The server leaves them out of what it stores, but its rules tell them
/// from none: a frozen map that was not there has changed, a claim still asks for resources. No such object is ever stored.
pub(super) fn keep_empties(gvk: &Gvk, old: &Value, sent: &Value, new: &mut Value) {
    let is_empty = |value: Option<&Value>| value == Some(&json!({}));
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "ConfigMap" | "Secret") if old.get("immutable") == Some(&Value::Bool(true)) => {
            for name in ["data", "binaryData"] {
                if is_empty(sent.get(name)) && new.get(name).is_none() {
                    new[name] = json!({});
                }
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
    let changed = before != after && !is_void(before) && !typed(old) && !typed(new);
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
            "volumeMounts": [{"name": "v"}]}]}});
        assert_eq!(
            faults("", "Pod", &pod),
            [
                "spec.containers[0].image: Required value",
                "spec.containers[1].ports[0].containerPort: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.containers[1].volumeMounts[0].name: Not found: \"v\"",
                "spec.containers[1].name: Duplicate value: \"a\"",
            ]
        );
        assert_eq!(faults("", "Service", &json!({"spec": {}})), ["spec.ports: Required value"]);
        assert!(faults("", "Service", &json!({"spec": {"clusterIP": "None"}})).is_empty());
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
