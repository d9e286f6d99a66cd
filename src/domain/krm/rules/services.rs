//! The rules of services.
//!
//! Source: `ValidateService` of `pkg/apis/core/validation`, and the registry of services.

use core::net::IpAddr;
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::containers::{PROTOCOLS, port_or_name};
use super::kinds::{at, unsupported};
use super::{get, items, port_fault, text};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata;
use crate::domain::krm::value::is_void;

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const AFFINITIES: [&str; 2] = ["ClientIP", "None"];

/// What is wrong with a service.
pub(super) fn faults(object: &Value) -> Vec<Cause> {
    let kind = get(object, "spec.type").and_then(Value::as_str).unwrap_or_default();
    if kind == "ExternalName" {
        let missing = get(object, "spec.externalName").is_none_or(is_void);
        return missing.then(|| Cause::required("spec.externalName", "")).into_iter().collect();
    }
    let mut found = address(object).into_iter().collect::<Vec<_>>();
    found.extend(ports(object));
    let selector = at(object, "spec.selector").as_object().into_iter().flatten();
    let keys = selector.filter_map(|(key, _)| Some((key, metadata::key_fault(key)?)));
    found.extend(keys.map(|(key, detail)| Cause::invalid("spec.selector", &json!(key), &detail)));
    found.extend(one_of(object, "spec.sessionAffinity", &AFFINITIES));
    found.extend(one_of(object, "spec.type", &TYPES));
    if kind == "ClusterIP" {
        found.extend(useless_node_ports(object));
    }
    if found.is_empty() { foreign_node_ports(object) } else { found }
}

fn one_of(object: &Value, path: &str, known: &[&str]) -> Option<Cause> {
    let value = get(object, path)?;
    (!known.contains(&value.as_str()?)).then(|| unsupported(path, value, known))
}

/// Whether the address that a service asks for is one.
pub(super) fn address(object: &Value) -> Option<Cause> {
    let address = get(object, "spec.clusterIP").filter(|address| **address != "" && **address != "None")?;
    let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    let is_address = address.as_str()?.parse::<IpAddr>().is_ok();
    (!is_address).then(|| Cause::invalid("spec.clusterIPs[0]", address, detail))
}

fn ports(object: &Value) -> Vec<Cause> {
    let headless = get(object, "spec.clusterIP") == Some(&json!("None"));
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
        } else if !name.is_empty() {
            let fault = metadata::label_fault(name);
            found.extend(fault.map(|detail| Cause::invalid(format!("{path}.name"), &json!(name), detail)));
            let is_new = names.insert(name);
            found.extend((!is_new).then(|| Cause::duplicate(format!("{path}.name"), &json!(name))));
        }
        found.extend(port_fault(port.get("port"), &format!("{path}.port")));
        found.extend(one_of(port, "protocol", &PROTOCOLS).map(|cause| below(&path, cause)));
        let target = port.get("targetPort").filter(|target| !target.is_null());
        found.extend(target.into_iter().flat_map(|target| port_or_name(Some(target), &format!("{path}.targetPort"))));
    }
    found
}

fn below(path: &str, cause: Cause) -> Cause {
    Cause { field: format!("{path}.{}", cause.field), ..cause }
}

fn node_ports(object: &Value) -> impl Iterator<Item = (String, &Value)> {
    let ports = items(object, "spec.ports").iter().enumerate();
    let wanted = ports.filter_map(|(index, port)| Some((index, port.get("nodePort")?)));
    wanted.filter(|(_, port)| port.as_i64() != Some(0)).map(|(i, port)| (format!("spec.ports[{i}].nodePort"), port))
}

fn useless_node_ports(object: &Value) -> Vec<Cause> {
    let detail = "may not be used when `type` is 'ClusterIP'";
    node_ports(object).map(|(path, _)| Cause::forbidden(path, detail)).collect()
}

/// Ports that are not given to services. The server tells them when all else is well: as it gives them.
fn foreign_node_ports(object: &Value) -> Vec<Cause> {
    let detail = "provided port is not in the valid range. The range of valid ports is 30000-32767";
    let foreign = node_ports(object).filter(|(_, port)| !port.as_i64().is_some_and(|n| (30_000..=32_767).contains(&n)));
    foreign.map(|(path, port)| Cause::invalid(path, port, detail)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(spec: &Value) -> Vec<String> {
        faults(&json!({"spec": spec})).iter().map(|cause| cause.field.clone()).collect()
    }

    #[test]
    fn a_service_is_reachable_as_it_says() {
        assert!(told(&json!({"type": "NodePort", "clusterIP": "10.96.0.7", "ports": [{"port": 80, "nodePort": 30001, "protocol": "UDP"}]})).is_empty());
        assert_eq!(
            told(&json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]})),
            ["spec.ports[0].nodePort"]
        );
        assert_eq!(
            told(&json!({"type": "ClusterIP", "ports": [{"port": 80, "nodePort": 30001}]})),
            ["spec.ports[0].nodePort"]
        );
        assert_eq!(told(&json!({"clusterIP": "abc", "ports": [{"port": 80}]})), ["spec.clusterIPs[0]"]);
        let spec = json!({"ports": [{"port": 80, "name": "A_", "protocol": "X", "targetPort": "7"}], "selector": {"a b": "c"}, "sessionAffinity": "X"});
        let expected = [
            "spec.ports[0].name",
            "spec.ports[0].protocol",
            "spec.ports[0].targetPort",
            "spec.selector",
            "spec.sessionAffinity",
        ];
        assert_eq!(told(&spec), expected);
    }
}
