//! What the server itself adds to objects that are written: first status, admission, finalizers, counters.

use serde_json::{Value, json};

use crate::apiserver::metadata;
use crate::domain::krm::defaults::{Row, TEMPLATE_GENERATION, all, namespace, select_by_uid, set};
use crate::domain::krm::value::same;
use crate::domain::krm::{Gvk, Quantity};

const NAMESPACE: &[Row<'_>] = &[("spec.finalizers", r#"["kubernetes"]"#), ("status.phase", r#""Active""#)];
const RUNNING_POD: &[Row<'_>] = &[
    ("spec.serviceAccountName", r#""default""#),
    ("spec.serviceAccount", r#""default""#),
    ("spec.preemptionPolicy", r#""PreemptLowerPriority""#),
    ("spec.priority", "0"),
    ("status.phase", r#""Pending""#),
];

/// Sets what the server keeps itself in a changed object, whatever its writer wrote.
pub(super) fn prepare_update(gvk: &Gvk, old: &Value, new: &mut Value) {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => tolerations(new),
        ("", "Service") => {
            let balanced = |service: &Value| text(service, "/spec/type") == "LoadBalancer";
            if balanced(old) && !balanced(new) {
                new["status"]["loadBalancer"] = json!({});
            }
        }
        ("", "Namespace") => {
            if let (Some(old), Some(new)) = (old.get("spec"), new.get_mut("spec")) {
                new.clone_from(old);
            }
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => remember_stored(new),
        ("apps", "DaemonSet") => {
            let changed = !same(&old["spec"]["template"], &new["spec"]["template"]);
            set_template_generation(new, template_generation(old) + i64::from(changed));
        }
        _ => {}
    }
}

/// Fills in what belongs to a new object and to nobody: first status, admission, finalizers.
pub(super) fn prepare(gvk: &Gvk, object: &mut Value) {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => {
            all(object, RUNNING_POD);
            tolerations(object);
            let class = json!(quality(object)).to_string();
            all(object, &[("status.qosClass", &class)]);
        }
        ("", "Namespace") => {
            all(object, NAMESPACE);
            namespace(object);
            let finalizers = object.pointer_mut("/spec/finalizers").and_then(Value::as_array_mut);
            if let Some(finalizers) = finalizers.filter(|list| !list.contains(&json!("kubernetes"))) {
                finalizers.push(json!("kubernetes"));
            }
        }
        ("apps", "DaemonSet") => set_template_generation(object, 1),
        ("batch", "Job") => select_by_uid(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => stored_versions(object),
        ("", "Node") => wait_for_kubelet(object),
        ("", "PersistentVolume") => {
            let made = json!(metadata::text(object, "creationTimestamp"));
            all(object, &[("status.phase", r#""Pending""#)]);
            set(object, &["status", "lastPhaseTransitionTime"], &made);
            metadata::add_finalizer(object, "kubernetes.io/pv-protection");
        }
        ("", "PersistentVolumeClaim") => {
            all(object, &[("status.phase", r#""Pending""#)]);
            metadata::add_finalizer(object, "kubernetes.io/pvc-protection");
        }
        _ => {}
    }
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn template_generation(object: &Value) -> i64 {
    let text = object.pointer("/metadata/annotations").and_then(|all| all.get(TEMPLATE_GENERATION));
    text.and_then(Value::as_str).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn set_template_generation(object: &mut Value, generation: i64) {
    if object.pointer("/metadata/annotations").is_none_or(Value::is_null) {
        metadata::set(object, "annotations", json!({}));
    }
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.insert(TEMPLATE_GENERATION.to_owned(), json!(generation.to_string()));
    }
}

/// Nothing is scheduled to a new node until it is ready.
fn wait_for_kubelet(node: &mut Value) {
    let taint = json!({"effect": "NoSchedule", "key": "node.kubernetes.io/not-ready"});
    set(node, &["spec", "taints"], &json!([]));
    let taints = node.pointer_mut("/spec/taints").and_then(Value::as_array_mut);
    if let Some(taints) = taints.filter(|taints| !taints.contains(&taint)) {
        taints.push(taint);
    }
}

/// A pod stays for five minutes on a node that is lost, unless it says otherwise.
fn tolerations(pod: &mut Value) {
    all(pod, &[("spec.tolerations", "[]")]);
    let Some(list) = pod.pointer_mut("/spec/tolerations").and_then(Value::as_array_mut) else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let tolerated = list.iter().any(|toleration| {
            matches!(text(toleration, "/effect"), "" | "NoExecute")
                && (text(toleration, "/key").is_empty() || text(toleration, "/key") == key)
        });
        if !tolerated {
            list.push(json!({"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300}));
        }
    }
}

/// The quality of service class of a pod.
pub(super) fn quality(pod: &Value) -> &'static str {
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let has = |container: &Value, part: &str| {
        let part = container.pointer(&format!("/resources/{part}")).and_then(Value::as_object);
        let counts = |amount: &Value| Quantity::of(amount).is_some_and(|amount| amount.nanos() > 0);
        part.is_some_and(|amounts| ["cpu", "memory"].iter().any(|name| amounts.get(*name).is_some_and(counts)))
    };
    let guaranteed = |container: &Value| {
        let equal = |name: &str| {
            let limit = container.pointer(&format!("/resources/limits/{name}"));
            limit.is_some() && limit == container.pointer(&format!("/resources/requests/{name}"))
        };
        equal("cpu") && equal("memory")
    };
    if !containers.is_empty() && containers.iter().all(guaranteed) {
        return "Guaranteed";
    }
    let any = containers.iter().any(|container| has(container, "limits") || has(container, "requests"));
    if any { "Burstable" } else { "BestEffort" }
}

/// Adds the version in which objects are stored to those in which they were.
fn remember_stored(crd: &mut Value) {
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let stored = versions.filter(|version| version["storage"] == true).map(|version| version["name"].clone()).next();
    let known = crd.pointer_mut("/status/storedVersions").and_then(Value::as_array_mut);
    if let (Some(stored), Some(known)) = (stored, known)
        && !known.contains(&stored)
    {
        known.push(stored);
    }
}

/// The first version in which objects are stored.
fn stored_versions(crd: &mut Value) {
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let stored: Vec<Value> = versions.filter(|v| v["storage"] == true).map(|v| v["name"].clone()).take(1).collect();
    set(crd, &["status", "storedVersions"], &Value::Array(stored));
}
