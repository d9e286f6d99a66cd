//! What follows from a Service and from a claim for storage: endpoints, addresses, a volume.

use serde_json::{Value, json};

use super::parts::{controller_of, is_active, is_terminating, list, name, namespace, number, pick, put, text, uid};
use super::write::Write;

/// Endpoints and `EndpointSlice` of a Service from the pods that its selector selects, and an address (192.0.2.0/24, for
/// documentation) for a load balancer. `pods` are those of its namespace that it may select, `known` its endpoints and
/// slices.
#[must_use]
pub fn step(service: &Value, pods: &[&Value], known: &[&Value]) -> Vec<Write> {
    if is_terminating(service) {
        return Vec::new();
    }
    let mut writes: Vec<Write> = load_balancer(service).into_iter().collect();
    if selector(service).is_none() {
        return writes;
    }
    let selected = |pod: &&&Value| selects(service, pod);
    let mut members: Vec<&Value> = pods
        .iter()
        .filter(selected)
        .filter(|pod| is_active(pod) && !text(pod, "/status/podIP").is_empty())
        .copied()
        .collect();
    members.sort_by_key(|pod| name(pod));
    writes.extend(kept(endpoints(service, &members), known));
    writes.extend(kept(slice(service, &members), known));
    writes
}

fn selector(service: &Value) -> Option<&serde_json::Map<String, Value>> {
    service.pointer("/spec/selector").and_then(Value::as_object).filter(|selector| !selector.is_empty())
}

/// Whether a Service selects a pod of its namespace.
fn selects(service: &Value, pod: &Value) -> bool {
    let labels = pod.pointer("/metadata/labels");
    let has = |(key, value): (&String, &Value)| labels.and_then(|labels| labels.get(key)) == Some(value);
    selector(service).is_some_and(|selector| selector.iter().all(has))
}

fn load_balancer(service: &Value) -> Option<Write> {
    if text(service, "/spec/type") != "LoadBalancer" {
        return None;
    }
    let ip = format!("192.0.2.{}", pick(uid(service), 250) + 1);
    Write::status_of(service, json!({"loadBalancer": {"ingress": [{"ip": ip, "ipMode": "VIP"}]}}))
}

fn is_ready(pod: &Value) -> bool {
    super::parts::is_true(pod, "Ready")
}

/// The number of a target port: as given, or the container port of that name.
fn target(port: &Value, pod: Option<&&Value>) -> Option<i64> {
    match port.get("targetPort") {
        Some(Value::String(wanted)) => {
            let containers = list(pod?, "/spec/containers").iter();
            let mut ports = containers.flat_map(|c| list(c, "/ports"));
            ports.find(|p| text(p, "/name") == wanted).map(|p| number(p, "/containerPort"))
        }
        Some(Value::Number(number)) if number.as_i64() != Some(0) => number.as_i64(),
        _ => Some(number(port, "/port")),
    }
}

fn ports(service: &Value, members: &[&Value]) -> Vec<Value> {
    let port = |port: &Value| {
        let protocol = Some(text(port, "/protocol")).filter(|p| !p.is_empty()).unwrap_or("TCP");
        let mut shown = json!({"port": target(port, members.first())?, "protocol": protocol});
        if let Some(name) = port.get("name") {
            shown["name"] = name.clone();
        }
        Some(shown)
    };
    list(service, "/spec/ports").iter().filter_map(port).collect()
}

fn pod_ref(pod: &Value) -> Value {
    json!({"kind": "Pod", "name": name(pod), "namespace": namespace(pod), "uid": uid(pod)})
}

fn endpoints(service: &Value, members: &[&Value]) -> Value {
    let address = |pod: &&Value| json!({"ip": text(pod, "/status/podIP"), "nodeName": text(pod, "/spec/nodeName"), "targetRef": pod_ref(pod)});
    let (ready, waiting): (Vec<&Value>, Vec<&Value>) = members.iter().copied().partition(|pod| is_ready(pod));
    let mut subset = json!({"ports": ports(service, members)});
    for (field, pods) in [("addresses", &ready), ("notReadyAddresses", &waiting)] {
        if !pods.is_empty() {
            subset[field] = pods.iter().map(address).collect();
        }
    }
    let mut endpoints = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": name(service), "namespace": namespace(service),
            "labels": {"endpoints.kubernetes.io/managed-by": "endpoint-controller"},
            "ownerReferences": controller_of(service),
        },
    });
    if !members.is_empty() {
        endpoints["subsets"] = json!([subset]);
    }
    endpoints
}

fn slice(service: &Value, members: &[&Value]) -> Value {
    let endpoint = |pod: &&Value| {
        let ready = is_ready(pod);
        json!({
            "addresses": [text(pod, "/status/podIP")], "nodeName": text(pod, "/spec/nodeName"), "targetRef": pod_ref(pod),
            "conditions": {"ready": ready, "serving": ready, "terminating": false},
        })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": format!("{}-{}", name(service), super::parts::suffix(uid(service))), "namespace": namespace(service),
            "labels": {
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": name(service),
            },
            "ownerReferences": controller_of(service),
        },
        "endpoints": members.iter().map(endpoint).collect::<Vec<_>>(),
        "ports": ports(service, members),
    })
}

/// Creates the object, or updates the known one when its content differs.
fn kept(wanted: Value, known: &[&Value]) -> Option<Write> {
    let same =
        |o: &&&Value| o["kind"] == wanted["kind"] && name(o) == name(&wanted) && namespace(o) == namespace(&wanted);
    let Some(found) = known.iter().find(same) else { return Some(Write::Create(wanted)) };
    let content = ["subsets", "endpoints", "ports"];
    if content.iter().all(|field| found.get(*field) == wanted.get(*field)) {
        return None;
    }
    let mut next = (*found).clone();
    if let Some(map) = next.as_object_mut() {
        for field in content {
            map.remove(field);
            map.extend(wanted.get(field).map(|value| (field.to_owned(), value.clone())));
        }
    }
    Some(Write::Update(next))
}

/// Binds a claim to a volume of its own, with what it asked for.
#[must_use]
pub fn claim(claim: &Value) -> Vec<Write> {
    if is_terminating(claim) || text(claim, "/status/phase") == "Bound" {
        return Vec::new();
    }
    let mut bound = claim.clone();
    if text(claim, "/spec/volumeName").is_empty() {
        put(&mut bound, &["spec", "volumeName"], json!(format!("pvc-{}", uid(claim))));
    }
    let status = json!({
        "phase": "Bound",
        "accessModes": claim.pointer("/spec/accessModes"),
        "capacity": claim.pointer("/spec/resources/requests"),
    });
    vec![Write::Update(bound)].into_iter().chain(Write::status_of(claim, status)).collect()
}
