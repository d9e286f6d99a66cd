//! The `DaemonSet` controller: one pod on the one node.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::parts::{
    availability, is_active, is_terminating, name, number, pod_from, put, ready_since, suffix, template_hash, text, uid,
};
use super::pod::NODE;
use super::write::{Steps, Write};

const REVISION: &str = "controller-revision-hash";

/// Creates the pod, renews it when the template changed, and counts. A node selector that names a label other than the
/// host name or the operating system finds no node.
#[must_use]
pub fn step(set: &Value, pods: &[&Value], now: Timestamp) -> Steps {
    if is_terminating(set) {
        return Steps::default();
    }
    let revision = template_hash(&set["spec"]["template"]);
    let wished = usize::from(fits(set));
    let active: Vec<&Value> = pods.iter().copied().filter(|pod| is_active(pod)).collect();
    let current = |pod: &&Value| pod["metadata"]["labels"][REVISION] == revision.as_str();
    let on_delete = text(set, "/spec/updateStrategy/type") == "OnDelete";
    let mut writes: Vec<Write> = match active.as_slice() {
        [] if wished == 1 => vec![Write::Create(pod(set, &revision))],
        [one] if wished == 1 && (on_delete || current(one)) => Vec::new(),
        others => others.iter().map(|pod| Write::delete(pod)).collect(),
    };
    let judged: Vec<_> =
        active.iter().map(|pod| availability(pod, number(set, "/spec/minReadySeconds"), now)).collect();
    let available = judged.iter().filter(|(available, _)| *available).count();
    let mut status = json!({
        "observedGeneration": number(set, "/metadata/generation"),
        "desiredNumberScheduled": wished,
        "currentNumberScheduled": active.len().min(wished),
        "numberMisscheduled": active.len().saturating_sub(wished),
        "numberReady": active.iter().filter(|pod| ready_since(pod).is_some()).count(),
    });
    let updated = active.iter().filter(|pod| current(pod)).count();
    let optional = [
        ("updatedNumberScheduled", updated),
        ("numberAvailable", available),
        ("numberUnavailable", wished.saturating_sub(available)),
    ];
    optional.into_iter().filter(|(_, count)| *count > 0).for_each(|(field, count)| status[field] = json!(count));
    writes.extend(Write::status_of(set, status));
    Steps { writes, again: judged.into_iter().filter_map(|(_, at)| at).min() }
}

fn fits(set: &Value) -> bool {
    let selector = set.pointer("/spec/template/spec/nodeSelector").and_then(Value::as_object);
    selector.into_iter().flatten().all(|(key, value)| match key.as_str() {
        "kubernetes.io/hostname" => value == NODE,
        "kubernetes.io/os" => value == "linux",
        _ => false,
    })
}

fn pod(set: &Value, revision: &str) -> Value {
    let seed = format!("{}/{}", uid(set), text(set, "/metadata/resourceVersion"));
    let generation = number(set, "/metadata/generation").max(1).to_string();
    let labels = [(REVISION, revision), ("pod-template-generation", generation.as_str())];
    let mut pod = pod_from(&set["spec"]["template"], set, &format!("{}-{}", name(set), suffix(&seed)), &labels);
    put(&mut pod, &["spec", "nodeName"], json!(NODE));
    pod
}
