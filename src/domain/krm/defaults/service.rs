//! The defaults of services, and what a service is given once and keeps.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Row, all};
use crate::domain::krm::normal::is_zero;
use crate::domain::krm::value::text;

pub(super) const SERVICE: &[Row<'_>] = &[
    ("spec.type", r#""ClusterIP""#),
    ("spec.sessionAffinity", r#""None""#),
    ("?status.?loadBalancer.?ingress.*.ipMode", r#""VIP""#),
];

/// What every type has that has a cluster address.
const ADDRESSES: [&str; 5] = ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"];

pub(super) fn service(object: &mut Value) {
    all(object, SERVICE);
    if kind_of(object) != "ExternalName" {
        all(object, &[("spec.internalTrafficPolicy", r#""Cluster""#)]);
    }
    if text(object, "/spec/sessionAffinity") == "ClientIP" {
        all(object, &[("spec.sessionAffinityConfig.clientIP.timeoutSeconds", "10800")]);
    } else if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("sessionAffinityConfig");
    }
    let has_outside = object.pointer("/spec/externalIPs").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    if wants_node_ports(object) || (has_outside && kind_of(object) != "ExternalName") {
        all(object, &[("spec.externalTrafficPolicy", r#""Cluster""#)]);
    }
    if kind_of(object) == "LoadBalancer" {
        all(object, &[("spec.allocateLoadBalancerNodePorts", "true")]);
    }
    for port in ports_mut(object) {
        let is_said = port.get("targetPort").is_some_and(|target| !target.is_null() && !is_zero(target));
        let Some(number) = port.get("port").filter(|_| !is_said).cloned() else { continue };
        port["targetPort"] = number;
    }
}

fn kind_of(service: &Value) -> &str {
    text(service, "/spec/type")
}

/// Whether the ports of a service are open on every node.
#[must_use]
pub fn wants_node_ports(service: &Value) -> bool {
    matches!(kind_of(service), "NodePort" | "LoadBalancer")
}

/// Whether every node tells whether it has pods of a service.
#[must_use]
pub fn wants_health_check_port(service: &Value) -> bool {
    kind_of(service) == "LoadBalancer" && text(service, "/spec/externalTrafficPolicy") == "Local"
}

fn ports(service: &Value) -> &[Value] {
    service.pointer("/spec/ports").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn ports_mut(service: &mut Value) -> impl Iterator<Item = &mut Value> {
    let ports = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut);
    ports.into_iter().flatten().filter(|port| port.is_object())
}

/// The port of every node at which a port of a service is open; none while it is to be given.
fn node_port(port: &Value) -> Option<u64> {
    port.get("nodePort")?.as_u64().filter(|number| *number > 0)
}

/// The ports of every node that a service has.
pub fn node_ports(service: &Value) -> impl Iterator<Item = u64> {
    let health = service.pointer("/spec/healthCheckNodePort").and_then(Value::as_u64).filter(|number| *number > 0);
    ports(service).iter().filter_map(node_port).chain(health)
}

/// The ports of a service that are still to be given one of every node.
pub fn without_node_port(service: &mut Value) -> impl Iterator<Item = &mut Value> {
    ports_mut(service).filter(|port| node_port(port).is_none())
}

/// Carries over to a new form of a service, with its defaults, what it was given and does not name: addresses, ports of
/// nodes by the names of its ports. What only its old type has goes, unless it was changed along with the type.
pub fn keep_given(old: &Value, new: &mut Value) {
    release(old, new);
    if kind_of(old) == "ExternalName" || kind_of(new) == "ExternalName" {
        return;
    }
    for name in ADDRESSES {
        keep(old, new, name);
    }
    if wants_health_check_port(old) && wants_health_check_port(new) {
        keep(old, new, "healthCheckNodePort");
    }
    if wants_node_ports(old) && wants_node_ports(new) {
        keep_node_ports(old, new);
    }
}

fn keep(old: &Value, new: &mut Value, name: &str) {
    let Some(given) = old.get("spec").and_then(|spec| spec.get(name)) else { return };
    let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let is_said = spec.get(name).is_some_and(|value| !value.is_null() && !is_zero(value) && *value != json!([]));
    if !is_said {
        spec.insert(name.to_owned(), given.clone());
    }
}

fn release(old: &Value, new: &mut Value) {
    let (before, after) = (kind_of(old), kind_of(new).to_owned());
    let mut gone: Vec<&str> = Vec::new();
    if before != "ExternalName" && after == "ExternalName" {
        gone.extend(ADDRESSES);
    }
    if wants_node_ports(old) && !wants_node_ports(new) {
        if new.pointer("/spec/externalIPs").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            gone.push("externalTrafficPolicy");
        }
        release_node_ports(old, new);
    }
    if wants_health_check_port(old) && !wants_health_check_port(new) {
        gone.push("healthCheckNodePort");
    }
    if before == "LoadBalancer" && after != "LoadBalancer" {
        gone.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    for name in gone {
        let same = old.pointer(&format!("/spec/{name}")) == new.pointer(&format!("/spec/{name}"));
        if let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut).filter(|_| same) {
            spec.remove(name);
        }
    }
}

fn release_node_ports(old: &Value, new: &mut Value) {
    let known: BTreeSet<u64> = node_ports(old).collect();
    for port in ports_mut(new).filter_map(Value::as_object_mut) {
        if port.get("nodePort").and_then(Value::as_u64).is_some_and(|number| known.contains(&number)) {
            port.remove("nodePort");
        }
    }
}

/// A number that another port has taken over is not carried over.
fn keep_node_ports(old: &Value, new: &mut Value) {
    let now: BTreeSet<u64> = node_ports(new).collect();
    let name = |port: &Value| text(port, "/name").to_owned();
    let given: BTreeMap<String, u64> =
        ports(old).iter().filter_map(|port| Some((name(port), node_port(port)?))).collect();
    for port in without_node_port(new) {
        if let Some(number) = given.get(&name(port)).filter(|number| !now.contains(number)) {
            port["nodePort"] = json!(number);
        }
    }
}
