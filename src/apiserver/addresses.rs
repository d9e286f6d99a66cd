//! Addresses of services: given once, kept over updates.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::apiserver::core::Core;
use crate::apiserver::kinds::Resource;
use crate::apiserver::metadata;
use crate::domain::krm::Gvk;

/// How many addresses are tried before a service stays without one.
const ATTEMPTS: u32 = 1000;
/// First node port, and how many there are.
const NODE_PORTS: (u64, u64) = (30_000, 2768);

fn is_service(gvk: &Gvk) -> bool {
    gvk.group.is_empty() && gvk.kind == "Service"
}

fn service_type(object: &Value) -> &str {
    object.pointer("/spec/type").and_then(Value::as_str).unwrap_or_default()
}

fn wants_node_ports(object: &Value) -> bool {
    matches!(service_type(object), "NodePort" | "LoadBalancer")
}

fn has_text(object: &Value, pointer: &str) -> bool {
    object.pointer(pointer).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

/// Gives a new service its cluster address (from 10.96.0.0/16) and node ports where it needs them.
pub(super) fn assign(core: &Core, gvk: &Gvk, object: &mut Value) {
    if !is_service(gvk) || service_type(object) == "ExternalName" || !object.get("spec").is_some_and(Value::is_object) {
        return;
    }
    let services = core.store().list(&Resource::new("", "services"), None).objects;
    if !has_text(object, "/spec/clusterIP") {
        let taken: BTreeSet<&str> =
            services.iter().filter_map(|service| service.pointer("/spec/clusterIP")?.as_str()).collect();
        let seed = metadata::text(object, "uid").to_owned();
        let free =
            (0..ATTEMPTS).map(|attempt| address(&seed, attempt)).find(|address| !taken.contains(address.as_str()));
        object["spec"]["clusterIP"] = json!(free.unwrap_or_default());
    }
    let address = object.pointer("/spec/clusterIP").cloned().unwrap_or_default();
    object["spec"]["clusterIPs"] = json!([address]);
    for (name, value) in [("ipFamilies", json!(["IPv4"])), ("ipFamilyPolicy", json!("SingleStack"))] {
        if object["spec"].get(name).is_none() {
            object["spec"][name] = value;
        }
    }
    if wants_node_ports(object) {
        let taken = services.iter().flat_map(|service| node_ports(service)).collect();
        assign_node_ports(object, taken);
    }
}

fn address(seed: &str, attempt: u32) -> String {
    let bytes = metadata::bytes_of(&format!("{seed}/{attempt}"));
    format!("10.96.{}.{}", bytes[0], bytes[1].clamp(1, 254))
}

fn node_ports(service: &Value) -> Vec<u64> {
    let ports = service.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    ports.filter_map(|port| port.get("nodePort")?.as_u64()).collect()
}

fn assign_node_ports(object: &mut Value, mut taken: BTreeSet<u64>) {
    let (first, count) = NODE_PORTS;
    taken.extend(node_ports(object));
    let ports = object.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in ports.filter(|port| port.get("nodePort").is_none()) {
        if let Some(free) = (first..first + count).find(|number| !taken.contains(number)) {
            taken.insert(free);
            port["nodePort"] = json!(free);
        }
    }
}

/// Carries addresses over to a new form of a service that does not name them.
pub(super) fn keep(gvk: &Gvk, old: &Value, new: &mut Value) {
    if is_service(gvk) {
        release(old, new);
    }
    if !is_service(gvk) || service_type(new) == "ExternalName" || service_type(old) == "ExternalName" {
        return;
    }
    for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
        let pointer = format!("/spec/{name}");
        if let (None, Some(value)) = (new.pointer(&pointer), old.pointer(&pointer)) {
            let value = value.clone();
            if let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut) {
                spec.insert(name.to_owned(), value);
            }
        }
    }
    if wants_node_ports(new) {
        keep_node_ports(old, new);
    }
}

/// Takes away what only the old type of a service has, unless it was changed along with the type.
fn release(old: &Value, new: &mut Value) {
    let (before, after) = (service_type(old), service_type(new).to_owned());
    let mut gone: Vec<&str> = Vec::new();
    if before != "ExternalName" && after == "ExternalName" {
        gone.extend(["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"]);
    }
    if wants_node_ports(old) && !wants_node_ports(new) {
        gone.push("externalTrafficPolicy");
        release_node_ports(old, new);
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
    let known = node_ports(old);
    let ports = new.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in ports.filter_map(Value::as_object_mut) {
        if port.get("nodePort").and_then(Value::as_u64).is_some_and(|number| known.contains(&number)) {
            port.remove("nodePort");
        }
    }
}

fn keep_node_ports(old: &Value, new: &mut Value) {
    let before = old.pointer("/spec/ports").and_then(Value::as_array).cloned().unwrap_or_default();
    let identity = |port: &Value| (port.get("port").cloned(), port.get("protocol").cloned());
    let ports = new.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in ports.filter(|port| port.get("nodePort").is_none()) {
        let known = before.iter().find(|old| identity(old) == identity(port));
        if let Some(number) = known.and_then(|port| port.get("nodePort")) {
            port["nodePort"] = number.clone();
        }
    }
    assign_node_ports(new, BTreeSet::new());
}
