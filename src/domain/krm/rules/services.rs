//! The rules of services.
//!
//! Source: `ValidateService` of `pkg/apis/core/validation`, and the registry of services.

use core::net::IpAddr;
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::containers::{PROTOCOLS, port_or_name};
use super::kinds::{at, unsupported, word};
use super::pod_spec::no_address;
use super::{get, items, port_fault, text};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::value::is_void;
use crate::domain::krm::{formats, metadata};

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const TRAFFIC: [&str; 2] = ["Cluster", "Local"];
const DISTRIBUTIONS: [&str; 3] = ["PreferClose", "PreferSameZone", "PreferSameNode"];
const AFFINITIES: [&str; 2] = ["ClientIP", "None"];

/// What is wrong with a service.
pub(super) fn faults(object: &Value) -> Vec<Cause> {
    let kind = get(object, "spec.type").and_then(Value::as_str).unwrap_or_default();
    if kind == "ExternalName" {
        let missing = get(object, "spec.externalName").is_none_or(is_void);
        return missing
            .then(|| Cause::required("spec.externalName", ""))
            .or_else(|| no_host(object))
            .into_iter()
            .collect();
    }
    let mut found = address(object).into_iter().collect::<Vec<_>>();
    found.extend(ports(object));
    let selector = at(object, "spec.selector").as_object().into_iter().flatten();
    for (key, value) in selector {
        let keys = metadata::key_faults(key);
        found.extend(keys.iter().map(|detail| Cause::invalid("spec.selector", &json!(key), detail)));
        let fault = value.as_str().and_then(metadata::label_value_fault);
        found.extend(fault.map(|detail| Cause::invalid("spec.selector", value, detail)));
    }
    found.extend(one_of(object, "spec.sessionAffinity", &AFFINITIES));
    found.extend(patience(object));
    found.extend(outside(object));
    found.extend(one_of(object, "spec.type", &TYPES));
    if kind == "ClusterIP" {
        found.extend(useless_node_ports(object));
    }
    found.extend(balancer(object, kind));
    found.extend(one_of(object, "spec.internalTrafficPolicy", &TRAFFIC));
    found.extend(from_outside(object, kind));
    found.extend(one_of(object, "spec.trafficDistribution", &DISTRIBUTIONS));
    if found.is_empty() { foreign_node_ports(object) } else { found }
}

fn one_of(object: &Value, path: &str, known: &[&str]) -> Option<Cause> {
    let value = get(object, path)?;
    (!known.contains(&value.as_str()?)).then(|| unsupported(path, value, known))
}

/// What is wrong with the host that a service stands for.
fn no_host(object: &Value) -> Option<Cause> {
    let name = word(object, "spec.externalName");
    let fault = metadata::subdomain_fault(name.strip_suffix('.').unwrap_or(name))?;
    Some(Cause::invalid("spec.externalName", &json!(name), fault))
}

/// How long a client stays with one pod.
fn patience(object: &Value) -> Option<Cause> {
    let path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
    let seconds = get(object, path).filter(|_| word(object, "spec.sessionAffinity") == "ClientIP")?;
    let fits = seconds.as_i64().is_none_or(|seconds| (1..=86_400).contains(&seconds));
    (!fits).then(|| Cause::invalid(path, seconds, "must be greater than 0 and less than 86400"))
}

/// Addresses at which others bring what is meant for a service.
fn outside(object: &Value) -> Vec<Cause> {
    let all = items(object, "spec.externalIPs").iter().enumerate();
    let faults = all.filter_map(|(at, one)| Some((at, one, no_address(one.as_str()?)?)));
    faults.map(|(at, one, detail)| Cause::invalid(format!("spec.externalIPs[{at}]"), one, detail)).collect()
}

/// What only a load balancer has.
fn balancer(object: &Value, kind: &str) -> Vec<Cause> {
    let detail = "may only be used when `type` is 'LoadBalancer'";
    let parts = [
        ("loadBalancerSourceRanges", "LoadBalancerSourceRanges"),
        ("allocateLoadBalancerNodePorts", "allocateLoadBalancerNodePorts"),
        ("loadBalancerClass", "loadBalancerClass"),
    ];
    let is_set = |name: &str| !is_void(at(object, &format!("spec.{name}")));
    let parts = parts.into_iter().filter(|(name, _)| kind != "LoadBalancer" && is_set(name));
    let mut found: Vec<Cause> = parts.map(|(_, shown)| Cause::forbidden(format!("spec.{shown}"), detail)).collect();
    let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    for (index, one) in items(object, "spec.loadBalancerSourceRanges").iter().enumerate() {
        let odd = one.as_str().is_some_and(|text| formats::fits("cidr", text.trim()) == Some(false));
        found.extend(odd.then(|| Cause::invalid(format!("spec.LoadBalancerSourceRanges[{index}]"), one, detail)));
    }
    found
}

/// What only a service has that is reached from outside.
fn from_outside(object: &Value, kind: &str) -> Vec<Cause> {
    let (policy, health) = ("spec.externalTrafficPolicy", "spec.healthCheckNodePort");
    let way = word(object, policy);
    let is_reached = matches!(kind, "NodePort" | "LoadBalancer") || !items(object, "spec.externalIPs").is_empty();
    let mut found = Vec::new();
    if !is_reached && !way.is_empty() {
        let detail = "may only be set for externally-accessible services";
        found.push(Cause::invalid(policy, &json!(way), detail));
    } else if is_reached && !way.is_empty() {
        found.extend(one_of(object, policy, &TRAFFIC));
    }
    let port = at(object, health);
    if port.as_i64().is_some_and(|port| port != 0) && !(kind == "LoadBalancer" && way == "Local") {
        let detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        found.push(Cause::invalid(health, port, detail));
    }
    found
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
        let number = port.get("port").cloned().unwrap_or_else(|| json!(0));
        found.extend(port_fault(Some(&number), &format!("{path}.port")));
        found.extend(one_of(port, "protocol", &PROTOCOLS).map(|cause| below(&path, cause)));
        // A port that leads nowhere else leads to itself.
        let target = port.get("targetPort").filter(|target| !is_void(target) && **target != 0).unwrap_or(&number);
        found.extend(port_or_name(Some(target), &format!("{path}.targetPort")));
        if let Some(protocol) = port.get("appProtocol").and_then(Value::as_str) {
            let faults = metadata::key_faults(protocol);
            let field = format!("{path}.appProtocol");
            found.extend(faults.iter().map(|detail| Cause::invalid(field.as_str(), &json!(protocol), detail)));
        }
    }
    found.extend(twice(ports));
    found
}

/// Ports that a service has under two names; the server shows the structure as it is inside.
fn twice(ports: &[Value]) -> Vec<Cause> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let (protocol, number) = (text(port, "protocol"), at(port, "port").as_i64().unwrap_or_default());
        if !seen.insert((protocol, number)) {
            let shown = format!(
                "{{\"Name\":\"\",\"Protocol\":{protocol:?},\"AppProtocol\":null,\"Port\":{number},\"TargetPort\":0,\"NodePort\":0}}"
            );
            let cause = Cause::duplicate(format!("spec.ports[{index}]"), &Value::Null);
            found.push(Cause { message: cause.message.replacen("null", &shown, 1), ..cause });
        }
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
