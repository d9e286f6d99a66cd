//! The rules that built-in kinds must keep: the obvious ones, in the API server's words.
//!
//! Source: `pkg/apis/*/validation` of Kubernetes v1.36. What is not checked here is accepted.

mod kinds;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::apiserver::selector::LabelSelector;
use crate::apiserver::status::Cause;
use crate::domain::krm::Gvk;
use crate::domain::krm::value::{is_void, same};

const IMMUTABLE: &str = "field is immutable";

/// Fields without which an object of a kind is none.
const REQUIRED: &[(&str, &str, &[&str])] = &[
    ("apps", "Deployment", &["spec.selector"]),
    ("apps", "ReplicaSet", &["spec.selector"]),
    ("apps", "StatefulSet", &["spec.selector"]),
    ("autoscaling", "HorizontalPodAutoscaler", &["spec.scaleTargetRef.kind", "spec.scaleTargetRef.name"]),
    ("batch", "CronJob", &["spec.schedule"]),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", &["roleRef.name"]),
    ("rbac.authorization.k8s.io", "RoleBinding", &["roleRef.name"]),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        &["spec.group", "spec.names.plural", "spec.names.kind", "spec.scope", "spec.versions"],
    ),
];

/// Fields that never change.
const FIXED: &[(&str, &str, &[&str])] = &[
    ("", "Secret", &["type"]),
    ("apps", "DaemonSet", &["spec.selector"]),
    ("apps", "Deployment", &["spec.selector"]),
    ("apps", "ReplicaSet", &["spec.selector"]),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        &["spec.group", "spec.names.plural", "spec.names.kind", "spec.scope"],
    ),
];

/// Where the pod template of a kind is.
const TEMPLATES: &[(&str, &str, &str)] = &[
    ("", "Pod", ""),
    ("", "ReplicationController", "spec.template."),
    ("apps", "DaemonSet", "spec.template."),
    ("apps", "Deployment", "spec.template."),
    ("apps", "ReplicaSet", "spec.template."),
    ("apps", "StatefulSet", "spec.template."),
    ("batch", "CronJob", "spec.jobTemplate.spec.template."),
    ("batch", "Job", "spec.template."),
];

/// What is wrong with an object.
#[must_use]
pub(super) fn validate(gvk: &Gvk, object: &Value) -> Vec<Cause> {
    let here = |row: &&(&str, &str, &[&str])| row.0 == gvk.group && row.1 == gvk.kind;
    let required = REQUIRED.iter().find(here).map(|row| row.2).unwrap_or_default();
    // An empty selector is refused for what it is.
    let says_nothing = |path: &str, value: &Value| {
        if path == "spec.selector" { value.is_null() } else { kinds::is_missing(value) }
    };
    let missing = required.iter().filter(|path| get(object, path).is_none_or(|value| says_nothing(path, value)));
    let mut found: Vec<Cause> = missing.map(|path| Cause::required(*path, "")).collect();
    found.extend(negative(object, "spec.replicas"));
    if let Some((.., prefix)) = TEMPLATES.iter().find(|row| row.0 == gvk.group && row.1 == gvk.kind) {
        if gvk.group == "apps" {
            found.extend(selected(object));
            found.extend(kinds::empty_selector(gvk, object));
        }
        found.extend(pod_spec(object, &format!("{prefix}spec")));
    }
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Service") => found.extend(service(object)),
        ("", "ConfigMap" | "Secret") => found.extend(data_keys(object)),
        ("batch", "Job") => found.extend(restarts(object, "spec.template.spec.restartPolicy")),
        ("batch", "CronJob") => found.extend(restarts(object, "spec.jobTemplate.spec.template.spec.restartPolicy")),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => found.extend(definition(object)),
        _ => {}
    }
    found.extend(kinds::faults(gvk, object));
    found
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

fn negative(object: &Value, path: &str) -> Option<Cause> {
    let value = get(object, path)?;
    let detail = "must be greater than or equal to 0";
    value.as_i64().filter(|&number| number < 0).map(|_| Cause::invalid(path, value, detail))
}

/// The labels of a template must be what the selector selects.
fn selected(object: &Value) -> Option<Cause> {
    let selector = get(object, "spec.selector");
    let template = get(object, "spec.template").cloned().unwrap_or_default();
    // No selector selects nothing, an empty one everything.
    if selector.is_some_and(|selector| !selector.is_null() && LabelSelector::of(selector).matches(&template)) {
        return None;
    }
    let labels = template.pointer("/metadata/labels").cloned().unwrap_or(Value::Null);
    Some(Cause::invalid("spec.template.metadata.labels", &labels, "`selector` does not match template `labels`"))
}

fn pod_spec(object: &Value, path: &str) -> Vec<Cause> {
    let containers = format!("{path}.containers");
    let mut found = Vec::new();
    if items(object, &containers).is_empty() {
        found.push(Cause::required(containers.clone(), ""));
    }
    for list in [containers, format!("{path}.initContainers")] {
        let mut names = BTreeSet::new();
        for (index, container) in items(object, &list).iter().enumerate() {
            found.extend(container_faults(container, &format!("{list}[{index}]")));
            if !text(container, "name").is_empty() && !names.insert(text(container, "name")) {
                found.push(Cause::duplicate(format!("{list}[{index}].name"), &json!(text(container, "name"))));
            }
        }
    }
    found.extend(mounts(object, path));
    found.extend(kinds::pod_spec(object, path));
    found
}

fn container_faults(container: &Value, path: &str) -> Vec<Cause> {
    let missing = ["name", "image"].into_iter().filter(|name| text(container, name).is_empty());
    let mut found: Vec<Cause> = missing.map(|name| Cause::required(format!("{path}.{name}"), "")).collect();
    found.extend(kinds::container_name(container, path));
    for (index, port) in items(container, "ports").iter().enumerate() {
        found.extend(port_fault(port.get("containerPort"), &format!("{path}.ports[{index}].containerPort")));
    }
    found
}

/// A mount needs a volume of its name.
fn mounts(object: &Value, path: &str) -> Vec<Cause> {
    let volumes: BTreeSet<&str> = items(object, &format!("{path}.volumes"))
        .iter()
        .map(|volume| text(volume, "name"))
        .chain(
            items(object, "spec.volumeClaimTemplates")
                .iter()
                .map(|claim| claim.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()),
        )
        .collect();
    let mut found = Vec::new();
    for list in ["containers", "initContainers"] {
        for (index, container) in items(object, &format!("{path}.{list}")).iter().enumerate() {
            for (at, mount) in items(container, "volumeMounts").iter().enumerate() {
                if !volumes.contains(text(mount, "name")) {
                    let field = format!("{path}.{list}[{index}].volumeMounts[{at}].name");
                    let message = format!("Not found: {:?}", text(mount, "name"));
                    found.push(Cause { reason: "FieldValueNotFound", message, field });
                }
            }
        }
    }
    found
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

/// A job ends, so its pods do not restart for ever. `Always` is what a template has that says nothing.
fn restarts(object: &Value, path: &str) -> Option<Cause> {
    let forever = get(object, path)?.as_str() == Some("Always");
    forever.then(|| Cause::required(path, "valid values: \"OnFailure\", \"Never\""))
}

fn definition(object: &Value) -> Vec<Cause> {
    let text = |path: &str| get(object, path).and_then(Value::as_str).unwrap_or_default();
    let wanted = format!("{}.{}", text("spec.names.plural"), text("spec.group"));
    let mut found = Vec::new();
    if text("metadata.name") != wanted {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        found.push(Cause::invalid("metadata.name", &json!(text("metadata.name")), detail));
    }
    if !matches!(text("spec.scope"), "Cluster" | "Namespaced" | "") {
        let allowed = ["\"Cluster\"".to_owned(), "\"Namespaced\"".to_owned()];
        found.push(Cause::not_supported("spec.scope", &json!(text("spec.scope")), &allowed));
    }
    let versions = items(object, "spec.versions");
    let stored = versions.iter().filter(|version| version.get("storage") == Some(&Value::Bool(true))).count();
    if !versions.is_empty() && stored != 1 {
        let detail = "must have exactly one version marked as storage version";
        found.push(Cause::invalid("spec.versions", &json!(null), detail));
    }
    for (index, version) in versions.iter().enumerate() {
        if version.pointer("/schema/openAPIV3Schema").is_none() {
            let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
            found.push(Cause::required(field, "schemas are required"));
        }
    }
    found
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
                "spec.containers[1].name: Duplicate value: \"a\"",
                "spec.containers[1].volumeMounts[0].name: Not found: \"v\"",
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
