//! The rules of what containers and their pods hold: volumes, resources, probes, hooks, environments.
//!
//! Source: `ValidateVolumes`, `validateContainerCommon` and `validateProbe` of `pkg/apis/core/validation`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::kinds::{at, unsupported};
use super::{get, items, port_fault, text};
use crate::domain::krm::Quantity;
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata;

const HANDLER: &str = "must specify a handler type";
const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
pub(super) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const PULLS: [&str; 3] = ["Always", "IfNotPresent", "Never"];

/// What volumes come from, in the order in which the server looks for it; those of single clouds are left out.
const SOURCES: [&str; 13] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "secret",
    "nfs",
    "iscsi",
    "persistentVolumeClaim",
    "downwardAPI",
    "configMap",
    "projected",
    "csi",
    "ephemeral",
    "image",
];

/// What is wrong with the names and sources of volumes.
pub(super) fn volumes(pod: &Value, path: &str) -> Vec<Cause> {
    let path = format!("{path}.volumes");
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for (index, volume) in items(pod, &path).iter().enumerate() {
        let (field, name) = (format!("{path}[{index}].name"), text(volume, "name"));
        if name.is_empty() {
            found.push(Cause::required(field, ""));
        } else if let Some(detail) = metadata::label_fault(name) {
            found.push(Cause::invalid(field, &json!(name), detail));
        } else if !names.insert(name) {
            found.push(Cause::duplicate(field, &json!(name)));
        }
        let sources = SOURCES.into_iter().filter(|source| given(volume, source).is_some()).skip(1);
        let detail = "may not specify more than 1 volume type";
        found.extend(sources.map(|source| Cause::forbidden(format!("{path}[{index}].{source}"), detail)));
    }
    found
}

/// What is wrong with the labels of nodes that a pod asks for, and with the name of its service account.
pub(super) fn nodes(pod: &Value, path: &str) -> Vec<Cause> {
    let selector = get(pod, &format!("{path}.nodeSelector")).and_then(Value::as_object).into_iter().flatten();
    let field = format!("{path}.nodeSelector");
    let mut found = Vec::new();
    for (key, value) in selector {
        found.extend(metadata::key_fault(key).map(|detail| Cause::invalid(field.as_str(), &json!(key), &detail)));
        let fault = value.as_str().and_then(metadata::label_value_fault);
        found.extend(fault.map(|detail| Cause::invalid(field.as_str(), value, detail)));
    }
    let field = format!("{path}.serviceAccountName");
    let account = get(pod, &field).and_then(Value::as_str).filter(|name| !name.is_empty());
    let fault = account.and_then(|name| Some((name, metadata::subdomain_fault(name)?)));
    found.extend(fault.map(|(name, detail)| Cause::invalid(field.as_str(), &json!(name), detail)));
    found
}

/// What is wrong with a container beside its name, image, ports and mounts, in the order of the server, which looks at
/// probes last.
pub(super) fn environment(container: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    for (index, variable) in items(container, "env").iter().enumerate() {
        let (path, name) = (format!("{path}.env[{index}]"), text(variable, "name"));
        let printable = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
        if name.is_empty() {
            found.push(Cause::required(format!("{path}.name"), ""));
        } else if !name.bytes().all(printable) {
            let detail =
                "a valid environment variable name must consist only of printable ASCII characters other than '='";
            found.push(Cause::invalid(format!("{path}.name"), &json!(name), detail));
        }
        if !at(variable, "valueFrom").is_null() && !text(variable, "value").is_empty() {
            let detail = "may not be specified when `value` is not empty";
            found.push(Cause::invalid(format!("{path}.valueFrom"), &json!(""), detail));
        }
    }
    found
}

/// What is wrong with how the image of a container is pulled.
pub(super) fn pull_policy(container: &Value, path: &str) -> Option<Cause> {
    let value = get(container, "imagePullPolicy")?;
    (!PULLS.contains(&value.as_str()?)).then(|| unsupported(&format!("{path}.imagePullPolicy"), value, &PULLS))
}

/// What is wrong with what a container asks for and may have at most.
pub(super) fn resources(container: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    for part in ["limits", "requests"] {
        let amounts = at(container, &format!("resources.{part}")).as_object().into_iter().flatten();
        for (name, value) in amounts {
            let field = format!("{path}.resources.{part}");
            found.extend(resource_name(name).into_iter().map(|detail| entry(&field, name, &json!(name), &detail)));
            let Some(amount) = Quantity::of(value) else { continue };
            if amount.nanos() < 0 {
                found.push(entry(&field, name, value, NOT_NEGATIVE));
            }
            let limit = (part == "requests").then(|| at(container, "resources.limits").get(name)).flatten();
            if let Some(limit) = limit.and_then(Quantity::of).filter(|limit| amount > *limit) {
                let detail = format!("must be less than or equal to {name} limit of {limit}");
                found.push(Cause::invalid(field, value, &detail));
            }
        }
    }
    found
}

fn entry(field: &str, name: &str, value: &Value, detail: &str) -> Cause {
    Cause::invalid(format!("{field}[{name}]"), value, detail)
}

fn resource_name(name: &str) -> Vec<String> {
    const STANDARD: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
    if let Some(fault) = metadata::key_fault(name) {
        return vec![fault];
    }
    if name.contains('/') || STANDARD.contains(&name) || name.starts_with("hugepages-") {
        return Vec::new();
    }
    let details = ["must be a standard resource type or fully qualified", "must be a standard resource for containers"];
    details.map(str::to_owned).to_vec()
}

/// What is wrong with the hooks and probes of a container.
pub(super) fn probes(container: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    for name in ["postStart", "preStop"] {
        if let Some(hook) = given(container, &format!("lifecycle.{name}")) {
            found.extend(handler(
                hook,
                &["exec", "httpGet", "tcpSocket", "sleep"],
                &format!("{path}.lifecycle.{name}"),
            ));
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(one) = given(container, name) {
            found.extend(probe(one, name != "readinessProbe", &format!("{path}.{name}")));
        }
    }
    found
}

fn given<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    get(object, path).filter(|value| !value.is_null())
}

fn probe(probe: &Value, succeeds_once: bool, path: &str) -> Vec<Cause> {
    const COUNTS: [&str; 5] =
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];
    let mut found = handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], path);
    for name in COUNTS {
        let value = at(probe, name);
        if value.as_i64().is_some_and(|number| number < 0) {
            found.push(Cause::invalid(format!("{path}.{name}"), value, NOT_NEGATIVE));
        }
    }
    let times = at(probe, "successThreshold");
    if succeeds_once && times.as_i64().is_some_and(|times| times != 1) {
        found.push(Cause::invalid(format!("{path}.successThreshold"), times, "must be 1"));
    }
    found
}

/// Something is done in exactly one of some ways.
fn handler(hook: &Value, ways: &[&str], path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    let given: Vec<&str> = ways.iter().copied().filter(|way| given(hook, way).is_some()).collect();
    for (count, way) in given.iter().enumerate() {
        let path = format!("{path}.{way}");
        if count > 0 {
            found.push(Cause::forbidden(path, "may not specify more than 1 handler type"));
            continue;
        }
        match *way {
            "exec" if items(hook, "exec.command").is_empty() => {
                found.push(Cause::required(format!("{path}.command"), ""));
            }
            "httpGet" | "tcpSocket" | "grpc" => {
                found.extend(port_or_name(at(hook, way).get("port"), &format!("{path}.port")));
            }
            _ => {}
        }
    }
    if given.is_empty() {
        found.push(Cause::required(path, HANDLER));
    }
    found
}

/// What is wrong with a port that is a number or the name of one.
pub(super) fn port_or_name(port: Option<&Value>, path: &str) -> Vec<Cause> {
    match port.and_then(Value::as_str) {
        None => port_fault(Some(port.unwrap_or(&json!(0))), path).into_iter().collect(),
        Some(name) => name_faults(name).into_iter().map(|detail| Cause::invalid(path, &json!(name), detail)).collect(),
    }
}

/// What is wrong with the name of a port (`IsValidPortName`).
pub(super) fn name_faults(name: &str) -> Vec<&'static str> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let rules = [
        (name.len() > 15, "must be no more than 15 characters"),
        (
            !name.bytes().all(plain) || name.is_empty(),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (!name.bytes().any(|byte| byte.is_ascii_lowercase()), "must contain at least one letter (a-z)"),
        (name.contains("--"), "must not contain consecutive hyphens"),
        (name.starts_with('-') || name.ends_with('-'), "must not begin or end with a hyphen"),
    ];
    rules.into_iter().filter(|(is_broken, _)| *is_broken).map(|(_, detail)| detail).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(faults: &[Cause]) -> Vec<String> {
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nobody_asks_for_more_than_is_allowed() {
        let container = json!({"resources": {"limits": {"cpu": "1", "a.io/b": "1"}, "requests": {"cpu": "1500m", "memory": "1Gi"}}});
        assert_eq!(
            told(&resources(&container, "c")),
            [r#"c.resources.requests: Invalid value: "1500m": must be less than or equal to cpu limit of 1"#]
        );
        let container = json!({"resources": {"limits": {"cpu": "-1", "nope": "1"}}});
        assert_eq!(resources(&container, "c").len(), 3);
        assert!(
            resources(&json!({"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1000m"}}}), "c").is_empty()
        );
    }

    #[test]
    fn a_probe_has_one_way() {
        let container = json!({"livenessProbe": {}, "readinessProbe": {"exec": {}, "httpGet": {"port": 80}, "periodSeconds": -1},
            "startupProbe": {"tcpSocket": {"port": "X_"}, "successThreshold": 2}, "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}});
        assert_eq!(
            told(&probes(&container, "c")),
            [
                "c.livenessProbe: Required value: must specify a handler type",
                "c.readinessProbe.exec.command: Required value",
                "c.readinessProbe.httpGet: Forbidden: may not specify more than 1 handler type",
                "c.readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
                r#"c.startupProbe.tcpSocket.port: Invalid value: "X_": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"#,
                r#"c.startupProbe.tcpSocket.port: Invalid value: "X_": must contain at least one letter (a-z)"#,
                "c.startupProbe.successThreshold: Invalid value: 2: must be 1",
            ]
        );
    }

    #[test]
    fn volumes_and_variables_have_names() {
        let pod = json!({"spec": {"volumes": [{"name": "v"}, {"name": "v"}, {"name": "X"}, {}]}});
        assert_eq!(volumes(&pod, "spec").len(), 3);
        let pod = json!({"spec": {"volumes": [{"name": "v", "configMap": {}, "emptyDir": {}, "secret": null}]}});
        assert_eq!(
            told(&volumes(&pod, "spec")),
            ["spec.volumes[0].configMap: Forbidden: may not specify more than 1 volume type"]
        );
        let container = json!({"env": [{"name": "A", "value": "1"}, {"name": "B=C"}, {}, {"name": "D", "value": "x", "valueFrom": {}}]});
        assert_eq!(environment(&container, "c").len(), 3);
        assert_eq!(pull_policy(&json!({"imagePullPolicy": "X"}), "c").into_iter().count(), 1);
    }
}
