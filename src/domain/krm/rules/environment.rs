//! The rules of the variables of containers, and of what they and files take from their pod.
//!
//! Source: the answers of the API server; `ValidateEnv` of `pkg/apis/core/validation`.

use serde_json::{Value, json};

use super::containers::given;
use super::kinds::{at, unsupported};
use super::{config_key_faults, items, text};
use crate::domain::krm::Quantity;
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata;

/// What a variable may hold of its pod.
const SHOWN: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// What else has a name in a pod, and can be neither in a variable nor, but for the first two, in a file.
const NAMED: [&str; 6] = [
    "metadata.annotations",
    "metadata.labels",
    "spec.host",
    "spec.restartPolicy",
    "spec.schedulerName",
    "status.phase",
];
const AMOUNTS: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const BYTES: [&str; 13] = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
const PRINTABLE: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";
const NO_SOURCE: &str =
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
const SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
const TOO_MANY: &str = "may not have more than one field specified at a time";

fn is_printable(name: &str) -> bool {
    name.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
}

/// What is wrong with the variables of a container.
pub(super) fn faults(container: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    for (index, variable) in items(container, "env").iter().enumerate() {
        let (path, name) = (format!("{path}.env[{index}]"), text(variable, "name"));
        if name.is_empty() {
            found.push(Cause::required(format!("{path}.name"), ""));
        } else if !is_printable(name) {
            found.push(Cause::invalid(format!("{path}.name"), &json!(name), PRINTABLE));
        }
        if let Some(source) = given(variable, "valueFrom") {
            found.extend(value_from(source, text(variable, "value"), &format!("{path}.valueFrom")));
        }
    }
    found.extend(many(container, path));
    found
}

fn value_from(source: &Value, value: &str, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    let present: Vec<(&str, &Value)> =
        SOURCES.into_iter().filter_map(|name| Some((name, given(source, name)?))).collect();
    for (name, one) in &present {
        let path = format!("{path}.{name}");
        match *name {
            "fieldRef" => found.extend(field_ref(one, &SHOWN, &path)),
            "resourceFieldRef" => found.extend(resource_ref(one, false, &path)),
            "fileKeyRef" => {}
            _ => found.extend(key_ref(one, &path)),
        }
    }
    let detail = match present.len() {
        0 => NO_SOURCE,
        _ if !value.is_empty() => "may not be specified when `value` is not empty",
        1 => return found,
        _ => TOO_MANY,
    };
    found.push(Cause::invalid(path, &json!(""), detail));
    found
}

fn key_ref(one: &Value, path: &str) -> Vec<Cause> {
    let (name, key) = (text(one, "name"), text(one, "key"));
    let fault = metadata::subdomain_fault(name);
    let mut found: Vec<Cause> =
        fault.map(|detail| Cause::invalid(format!("{path}.name"), &json!(name), detail)).into_iter().collect();
    if key.is_empty() {
        found.push(Cause::required(format!("{path}.key"), ""));
        return found;
    }
    found.extend(config_key_faults(key).map(|detail| Cause::invalid(format!("{path}.key"), &json!(key), detail)));
    found
}

/// Whole config maps and secrets as variables. The server leaves the position out where it counts sources.
fn many(container: &Value, path: &str) -> Vec<Cause> {
    let path = format!("{path}.envFrom");
    let mut found = Vec::new();
    for (index, one) in items(container, "envFrom").iter().enumerate() {
        let prefix = text(one, "prefix");
        if !is_printable(prefix) {
            found.push(Cause::invalid(format!("{path}[{index}].prefix"), &json!(prefix), PRINTABLE));
        }
        let present = ["configMapRef", "secretRef"].into_iter().filter_map(|name| Some((name, given(one, name)?)));
        let mut count = 0;
        for (kind, source) in present {
            count += 1;
            let (field, name) = (format!("{path}[{index}].{kind}.name"), text(source, "name"));
            if name.is_empty() {
                found.push(Cause::required(field, ""));
            } else if let Some(detail) = metadata::subdomain_fault(name) {
                found.push(Cause::invalid(field, &json!(name), detail));
            }
        }
        let detail = match count {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => TOO_MANY,
        };
        found.push(Cause::invalid(path.as_str(), &json!(""), detail));
    }
    found
}

/// What is wrong with a reference to a field of the pod itself.
pub(super) fn field_ref(one: &Value, known: &[&str], path: &str) -> Vec<Cause> {
    let (field, version) = (text(one, "fieldPath"), text(one, "apiVersion"));
    let at = format!("{path}.fieldPath");
    if field.is_empty() {
        return vec![Cause::required(at, "")];
    }
    let refused =
        |why: String| vec![Cause::invalid(at.as_str(), &json!(field), &format!("error converting fieldPath: {why}"))];
    if !matches!(version, "" | "v1") {
        return refused(format!("unsupported pod version: {version}"));
    }
    if let Some((map, key)) = field.strip_suffix("']").and_then(|field| field.split_once("['")) {
        let key = match map {
            "metadata.annotations" => key.to_lowercase(),
            "metadata.labels" => key.to_owned(),
            _ => return refused(format!("field label does not support subscript: {field}")),
        };
        return metadata::key_faults(&key).iter().map(|detail| Cause::invalid(path, &json!(key), detail)).collect();
    }
    if !SHOWN.contains(&field) && !NAMED.contains(&field) {
        return refused(format!("field label not supported: {field}"));
    }
    let is_known = known.contains(&field) || (field == "spec.host" && known.contains(&"spec.nodeName"));
    if is_known { Vec::new() } else { vec![unsupported(&at, &json!(field), known)] }
}

/// What is wrong with a reference to an amount of a container.
pub(super) fn resource_ref(one: &Value, in_volume: bool, path: &str) -> Vec<Cause> {
    let resource = text(one, "resource");
    let mut found = Vec::new();
    let field = format!("{path}.resource");
    let is_huge = resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-");
    if in_volume && text(one, "containerName").is_empty() {
        found.push(Cause::required(format!("{path}.containerName"), ""));
    } else if resource.is_empty() {
        found.push(Cause::required(field, ""));
    } else if !AMOUNTS.contains(&resource) && !is_huge {
        found.push(unsupported(&field, &json!(resource), &AMOUNTS));
    }
    found.extend(divisor(one, resource, path));
    found
}

fn divisor(one: &Value, resource: &str, path: &str) -> Option<Cause> {
    let divisor = Quantity::of(at(one, "divisor")).filter(|divisor| divisor.nanos() != 0)?;
    let among =
        |known: &[&str]| known.iter().filter_map(|text| text.parse().ok()).any(|known: Quantity| known == divisor);
    let (known, what): (&[&str], _) = match resource.split_once('.')?.1 {
        "cpu" => (&["1m", "1"], "cpu"),
        "memory" => (&BYTES, "memory"),
        "ephemeral-storage" => (&BYTES, "local ephemeral storage"),
        _ => return None,
    };
    let words = if what == "cpu" { "1m and 1".to_owned() } else { known.join(", ") };
    let detail = format!("only divisor's values {words} are supported with the {what} resource");
    (!among(known)).then(|| Cause::invalid(format!("{path}.divisor"), &json!(resource), &detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_have_names_and_one_source() {
        let container = json!({"env": [{"name": "A", "value": "1"}, {"name": "B=C"}, {}, {"name": "D", "value": "x",
            "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}, {"name": "E", "valueFrom": {}}]});
        assert_eq!(faults(&container, "c").len(), 4);
    }

    #[test]
    fn a_reference_is_to_what_there_is() {
        let count = |field: &str| field_ref(&json!({"fieldPath": field}), &SHOWN, "f").len();
        let fields =
            ["metadata.name", "spec.host", "metadata.labels['a']", "metadata.labels['a b']", "status.phase", "x", ""];
        assert_eq!(fields.map(count), [0, 0, 0, 1, 1, 1, 1]);
        let count = |resource: &str, divisor: &str| {
            resource_ref(&json!({"resource": resource, "divisor": divisor}), false, "r").len()
        };
        assert_eq!((count("limits.cpu", "1000m"), count("limits.cpu", "2"), count("limits.gpu", "0")), (0, 1, 1));
        assert_eq!((count("limits.memory", "1024"), count("limits.memory", "3Mi")), (0, 1));
    }
}
