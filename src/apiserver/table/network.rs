//! Cells of services, endpoints, ingresses and policies.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::read::{NONE, has, label_selector, labels, list, number, or_none, plain, text, texts, three};

pub(super) fn cluster_ip(service: &Value, _: Timestamp) -> Value {
    or_none(text(service, "/spec/clusterIP"))
}

pub(super) fn external_ip(service: &Value, _: Timestamp) -> Value {
    let mut ips = texts(service, "/spec/externalIPs").join(",");
    match text(service, "/spec/type") {
        "ExternalName" => json!(text(service, "/spec/externalName")),
        "LoadBalancer" => {
            let mut all = load_balancer(service);
            all.extend(texts(service, "/spec/externalIPs").into_iter().map(str::to_owned));
            json!(if all.is_empty() { "<pending>".to_owned() } else { all.join(",") })
        }
        _ => {
            if ips.is_empty() {
                NONE.clone_into(&mut ips);
            }
            json!(ips)
        }
    }
}

fn load_balancer(object: &Value) -> Vec<String> {
    let address = |entry: &Value| match text(entry, "/ip") {
        "" => text(entry, "/hostname").to_owned(),
        ip => ip.to_owned(),
    };
    list(object, "/status/loadBalancer/ingress").iter().map(address).collect()
}

pub(super) fn service_ports(service: &Value, _: Timestamp) -> Value {
    let port = |port: &Value| {
        let (number_, node, protocol) = (number(port, "/port"), number(port, "/nodePort"), text(port, "/protocol"));
        if node > 0 { format!("{number_}:{node}/{protocol}") } else { format!("{number_}/{protocol}") }
    };
    or_none(&list(service, "/spec/ports").iter().map(port).collect::<Vec<_>>().join(","))
}

pub(super) fn service_selector(service: &Value, _: Timestamp) -> Value {
    labels(service, "/spec/selector")
}

pub(super) fn endpoints(endpoints: &Value, _: Timestamp) -> Value {
    let mut all = Vec::new();
    for subset in list(endpoints, "/subsets") {
        let ips: Vec<&str> = list(subset, "/addresses").iter().map(|a| text(a, "/ip")).collect();
        let ports = list(subset, "/ports");
        if ports.is_empty() {
            all.extend(ips.iter().map(|ip| (*ip).to_owned()));
        }
        for port in ports {
            all.extend(ips.iter().map(|ip| format!("{}:{}", bracketed(ip), number(port, "/port"))));
        }
    }
    or_none(&three(&all))
}

fn bracketed(ip: &str) -> String {
    if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() }
}

pub(super) fn slice_ports(slice: &Value, _: Timestamp) -> Value {
    let ports: Vec<String> =
        list(slice, "/ports").iter().map(|p| plain(p.get("port")).unwrap_or_else(|| "*".to_owned())).collect();
    or_unset(&ports)
}

pub(super) fn slice_endpoints(slice: &Value, _: Timestamp) -> Value {
    let all: Vec<String> = list(slice, "/endpoints")
        .iter()
        .flat_map(|endpoint| texts(endpoint, "/addresses"))
        .map(str::to_owned)
        .collect();
    or_unset(&all)
}

fn or_unset(all: &[String]) -> Value {
    json!(if all.is_empty() { "<unset>".to_owned() } else { three(all) })
}

pub(super) fn pod_selector(policy: &Value, _: Timestamp) -> Value {
    or_none(&label_selector(policy.pointer("/spec/podSelector")))
}

pub(super) fn ingress_class(ingress: &Value, _: Timestamp) -> Value {
    let class = text(ingress, "/spec/ingressClassName");
    let annotation = text(ingress, "/metadata/annotations/kubernetes.io~1ingress.class");
    or_none(if class.is_empty() { annotation } else { class })
}

pub(super) fn ingress_hosts(ingress: &Value, _: Timestamp) -> Value {
    let host = |rule: &Value| match text(rule, "/host") {
        "" => "*".to_owned(),
        host => host.to_owned(),
    };
    let hosts: Vec<String> = list(ingress, "/spec/rules").iter().map(host).collect();
    json!(if hosts.is_empty() { "*".to_owned() } else { three(&hosts) })
}

pub(super) fn ingress_address(ingress: &Value, _: Timestamp) -> Value {
    json!(load_balancer(ingress).join(","))
}

pub(super) fn ingress_ports(ingress: &Value, _: Timestamp) -> Value {
    json!(if has(ingress, "/spec/tls") { "80, 443" } else { "80" })
}

/// `kind.group/name` of the parameters of an ingress class.
pub(super) fn class_parameters(class: &Value, _: Timestamp) -> Value {
    let part = |field: &str| text(class, &format!("/spec/parameters/{field}")).to_owned();
    let (kind, group, name) = (part("kind"), part("apiGroup"), part("name"));
    let dot = if group.is_empty() { "" } else { "." };
    or_none(&if kind.is_empty() { String::new() } else { format!("{kind}{dot}{group}/{name}") })
}
