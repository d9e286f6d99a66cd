//! The rules of containers, their ports, probes and hooks.
//!
//! Source: the answers of the API server; `validateContainerCommon` and `validateProbe` of
//! `pkg/apis/core/validation`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::kinds::{at, unsupported};
use super::{environment, get, items, mounts, port_fault, resources, security, text};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata;

const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
const MESSAGES: [&str; 2] = ["File", "FallbackToLogsOnError"];
const RESTARTS: [&str; 3] = ["Always", "Never", "OnFailure"];
const RESIZED: [&str; 2] = ["cpu", "memory"];
const RESIZES: [&str; 2] = ["NotRequired", "RestartContainer"];
const HANDLER: &str = "must specify a handler type";
const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
pub(super) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
pub(super) const PULLS: [&str; 3] = ["Always", "IfNotPresent", "Never"];

/// What of a pod matters to its containers.
pub(super) struct Around<'a> {
    /// The volumes that they may mount.
    pub volumes: BTreeSet<&'a str>,
    /// Those of them that they may have as devices.
    pub blocks: BTreeSet<&'a str>,
    /// The claims of resources that they may use.
    pub claims: BTreeSet<&'a str>,
    /// Whether users of the pod are those of its node.
    pub host_users: bool,
    /// How many seconds the pod has to end.
    pub grace: i64,
}

/// What is wrong with a container beside its hooks and probes.
pub(super) fn faults(container: &Value, around: &Around<'_>, path: &str) -> Vec<Cause> {
    let missing = |name: &str| text(container, name).is_empty().then(|| Cause::required(format!("{path}.{name}"), ""));
    let name = missing("name").or_else(|| container_name(container, path));
    let mut found: Vec<Cause> = name.into_iter().chain(missing("image")).collect();
    found.extend(one_of(container, "terminationMessagePolicy", &MESSAGES, path));
    found.extend(ports(container, path));
    found.extend(environment::faults(container, path));
    found.extend(mounts::faults(container, around, path));
    found.extend(one_of(container, "imagePullPolicy", &PULLS, path));
    found.extend(resources::faults(container, &around.claims, path));
    found.extend(resize(container, path));
    found.extend(security::of_container(container, around.host_users, path));
    found
}

/// A word that is none of those that are known.
fn one_of(object: &Value, name: &str, known: &[&str], path: &str) -> Option<Cause> {
    let value = object.get(name)?;
    (!known.contains(&value.as_str()?)).then(|| unsupported(&format!("{path}.{name}"), value, known))
}

/// A container has a name that can be part of a host name.
fn container_name(container: &Value, path: &str) -> Option<Cause> {
    let name = text(container, "name");
    if name.is_empty() {
        return None;
    }
    metadata::label_fault(name).map(|detail| Cause::invalid(format!("{path}.name"), &json!(name), detail))
}

fn ports(container: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for (index, port) in items(container, "ports").iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        let name = text(port, "name");
        let odd = name_faults(name).into_iter().filter(|_| !name.is_empty());
        let odd: Vec<Cause> = odd.map(|detail| Cause::invalid(format!("{path}.name"), &json!(name), detail)).collect();
        if odd.is_empty() && !name.is_empty() && !names.insert(name) {
            found.push(Cause::duplicate(format!("{path}.name"), &json!(name)));
        }
        found.extend(odd);
        let number = |name: &str| port.get(name).filter(|number| **number != json!(0));
        found.extend(port_fault(number("containerPort"), &format!("{path}.containerPort")));
        let outside = number("hostPort").filter(|number| !number.is_null());
        found.extend(outside.and_then(|number| port_fault(Some(number), &format!("{path}.hostPort"))));
        found.extend(one_of(port, "protocol", &PROTOCOLS, &path));
    }
    found
}

/// Ports of the node that several containers ask for.
pub(super) fn host_ports(containers: &[Value], path: &str) -> Vec<Cause> {
    let mut taken = BTreeSet::new();
    let mut found = Vec::new();
    for (at, container) in containers.iter().enumerate() {
        for (index, port) in items(container, "ports").iter().enumerate() {
            let number = port.get("hostPort").and_then(Value::as_i64).unwrap_or_default();
            let shown = format!("{}/{}/{number}", text(port, "protocol"), text(port, "hostIP"));
            if number != 0 && !taken.insert(shown.clone()) {
                found.push(Cause::duplicate(format!("{path}[{at}].ports[{index}].hostPort"), &json!(shown)));
            }
        }
    }
    found
}

fn resize(container: &Value, path: &str) -> Vec<Cause> {
    let path = format!("{path}.resizePolicy");
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (index, one) in items(container, "resizePolicy").iter().enumerate() {
        let (name, policy) = (text(one, "resourceName"), text(one, "restartPolicy"));
        if !seen.insert(name) {
            found.push(Cause::duplicate(format!("{path}[{index}]"), &json!(name)));
        }
        if !RESIZED.contains(&name) {
            found.push(unsupported(&path, &json!(name), &RESIZED));
        }
        match policy {
            "" => found.push(Cause::required(path.as_str(), "")),
            known if RESIZES.contains(&known) => {}
            other => found.push(unsupported(&path, &json!(other), &RESIZES)),
        }
    }
    found
}

/// What is wrong with the hooks and probes of a container.
pub(super) fn probes(container: &Value, around: &Around<'_>, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    for name in ["postStart", "preStop"] {
        if let Some(hook) = given(container, &format!("lifecycle.{name}")) {
            let path = format!("{path}.lifecycle.{name}");
            found.extend(handler(hook, &["exec", "httpGet", "tcpSocket", "sleep"], around.grace, &path));
        }
    }
    for name in PROBES {
        if let Some(one) = given(container, name) {
            found.extend(probe(one, name != "readinessProbe", &format!("{path}.{name}")));
        }
    }
    found.extend(one_of(container, "restartPolicy", &RESTARTS, path));
    found
}

/// What a container has that must end before others begin.
pub(super) fn too_early(container: &Value, path: &str) -> Vec<Cause> {
    let detail = "may not be set for init containers without restartPolicy=Always";
    let parts = ["lifecycle"].into_iter().chain(PROBES).filter(|name| given(container, name).is_some());
    let parts = parts.map(|name| Cause::forbidden(format!("{path}.{name}"), detail));
    parts.chain(one_of(container, "restartPolicy", &RESTARTS, path)).collect()
}

pub(super) fn given<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    get(object, path).filter(|value| !value.is_null())
}

fn probe(probe: &Value, succeeds_once: bool, path: &str) -> Vec<Cause> {
    const COUNTS: [&str; 5] =
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];
    let mut found = handler(probe, &["exec", "httpGet", "tcpSocket", "grpc"], i64::MAX, path);
    for name in COUNTS {
        let value = at(probe, name);
        if value.as_i64().is_some_and(|number| number < 0) {
            found.push(Cause::invalid(format!("{path}.{name}"), value, NOT_NEGATIVE));
        }
    }
    let (grace, field) =
        (given(probe, "terminationGracePeriodSeconds"), format!("{path}.terminationGracePeriodSeconds"));
    if let Some(grace) = grace.filter(|grace| grace.as_i64().is_some_and(|seconds| seconds < 1)) {
        found.push(Cause::invalid(field.as_str(), grace, "must be greater than 0"));
    }
    if let Some(grace) = grace.filter(|_| !succeeds_once) {
        found.push(Cause::invalid(field, grace, "must not be set for readinessProbes"));
    }
    let times = at(probe, "successThreshold");
    if succeeds_once && times.as_i64().is_some_and(|times| times != 1) {
        found.push(Cause::invalid(format!("{path}.successThreshold"), times, "must be 1"));
    }
    found
}

/// Something is done in exactly one of some ways, within so many seconds.
fn handler(hook: &Value, ways: &[&str], grace: i64, path: &str) -> Vec<Cause> {
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
                found.extend(header(at(hook, way), &path));
            }
            "sleep" => found.extend(nap(at(hook, "sleep.seconds"), grace, path)),
            _ => {}
        }
    }
    if given.is_empty() {
        found.push(Cause::required(path, HANDLER));
    }
    found
}

/// What is wrong with how a container is asked over HTTP, beside the port.
fn header(get: &Value, path: &str) -> Vec<Cause> {
    let detail = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used \
                  for validation is '[-A-Za-z0-9]+')";
    let fits = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let names = items(get, "httpHeaders").iter().map(|header| text(header, "name")).filter(|name| !fits(name));
    let names = names.map(|name| Cause::invalid(format!("{path}.httpHeaders"), &json!(name), detail));
    one_of(get, "scheme", &["HTTP", "HTTPS"], path).into_iter().chain(names).collect()
}

fn nap(seconds: &Value, grace: i64, path: String) -> Option<Cause> {
    let length = seconds.as_i64().unwrap_or_default();
    let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
    (!(0..=grace).contains(&length)).then(|| Cause::invalid(path, &json!(length), &detail))
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
    fn a_probe_has_one_way() {
        let around = Around {
            volumes: BTreeSet::new(),
            blocks: BTreeSet::new(),
            claims: BTreeSet::new(),
            host_users: true,
            grace: 30,
        };
        let container = json!({"livenessProbe": {}, "readinessProbe": {"exec": {}, "httpGet": {"port": 80}, "periodSeconds": -1},
            "startupProbe": {"tcpSocket": {"port": "X_"}, "successThreshold": 2}, "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}});
        assert_eq!(
            told(&probes(&container, &around, "c")),
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
}
