//! Addresses of services: given once, kept over updates.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::apiserver::core::Core;
use crate::apiserver::kinds::Resource;
use crate::apiserver::metadata;
use crate::domain::krm::Gvk;
use crate::domain::krm::defaults::{
    keep_given, node_ports, wants_health_check_port, wants_node_ports, without_node_port,
};

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
    let (families, policy) = families(object);
    for (name, value) in [("ipFamilies", families), ("ipFamilyPolicy", policy)] {
        if object["spec"].get(name).is_none() {
            object["spec"][name] = value;
        }
    }
    if wants_node_ports(object) {
        let taken = services.iter().flat_map(|service| node_ports(service).collect::<Vec<_>>()).collect();
        assign_node_ports(object, taken);
    }
}

/// The address families of a service that names none, and how many it has to have: without an address and without pods
/// of its own it may be about both.
fn families(service: &Value) -> (Value, Value) {
    let is_bare = service.pointer("/spec/selector").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty);
    let is_headless = service.pointer("/spec/clusterIP") == Some(&json!("None"));
    if is_bare && is_headless && service.pointer("/spec/ipFamilyPolicy") != Some(&json!("SingleStack")) {
        return (json!(["IPv4", "IPv6"]), json!("RequireDualStack"));
    }
    (json!(["IPv4"]), json!("SingleStack"))
}

fn address(seed: &str, attempt: u32) -> String {
    let bytes = metadata::bytes_of(&format!("{seed}/{attempt}"));
    format!("10.96.{}.{}", bytes[0], bytes[1].clamp(1, 254))
}

fn assign_node_ports(object: &mut Value, mut taken: BTreeSet<u64>) {
    let (first, count) = NODE_PORTS;
    taken.extend(node_ports(object));
    let health = object.pointer("/spec/healthCheckNodePort").and_then(Value::as_u64).unwrap_or_default();
    let free = (first..first + count).rev().find(|number| !taken.contains(number));
    if let Some(free) = free.filter(|_| health == 0 && wants_health_check_port(object)) {
        taken.insert(free);
        object["spec"]["healthCheckNodePort"] = json!(free);
    }
    for port in without_node_port(object) {
        if let Some(free) = (first..first + count).find(|number| !taken.contains(number)) {
            taken.insert(free);
            port["nodePort"] = json!(free);
        }
    }
}

/// Carries over to a new form of a service what it was given and does not name.
pub(super) fn keep(gvk: &Gvk, old: &Value, new: &mut Value) {
    if is_service(gvk) {
        keep_given(old, new);
    }
}
