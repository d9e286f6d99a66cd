//! The `ReplicaSet` controller: as many pods as are wished, and their count as status.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::parts::{
    availability, is_active, is_terminating, list, name, number, pod_from, ready_since, suffix, text, uid, wished,
    without_zeros,
};
use super::write::{Steps, Write};

/// Most pods that one step creates or deletes, as upstream's burst.
const BURST: usize = 500;

/// Creates missing pods, deletes those too many (not ready ones first, then the youngest), and counts.
#[must_use]
pub fn step(set: &Value, pods: &[&Value], now: Timestamp) -> Steps {
    if is_terminating(set) {
        return Steps::default();
    }
    let active: Vec<&Value> = pods.iter().copied().filter(|pod| is_active(pod)).collect();
    let wished = usize::try_from(wished(set)).unwrap_or_default();
    let mut writes = if active.len() < wished {
        created(set, pods, (wished - active.len()).min(BURST))
    } else {
        deleted(&active, (active.len() - wished).min(BURST))
    };
    let (status, again) = status(set, &active, now);
    writes.extend(Write::status_of(set, status));
    Steps { writes, again }
}

fn created(set: &Value, pods: &[&Value], count: usize) -> Vec<Write> {
    let version = text(set, "/metadata/resourceVersion");
    let taken = |name_: &str| pods.iter().any(|pod| name(pod) == name_);
    let names =
        (0..).map(|index: usize| format!("{}-{}", name(set), suffix(&format!("{}/{version}/{index}", uid(set)))));
    let template = set.pointer("/spec/template").unwrap_or(&Value::Null);
    let fresh = names.filter(|name| !taken(name)).take(count);
    fresh.map(|name| Write::Create(pod_from(template, set, &name, &[]))).collect()
}

fn deleted(active: &[&Value], count: usize) -> Vec<Write> {
    let mut ranked = active.to_vec();
    ranked.sort_by_key(|pod| {
        let youngest_first = std::cmp::Reverse(text(pod, "/metadata/creationTimestamp").to_owned());
        (ready_since(pod).is_some(), youngest_first, name(pod).to_owned())
    });
    ranked.into_iter().take(count).map(Write::delete).collect()
}

fn status(set: &Value, active: &[&Value], now: Timestamp) -> (Value, Option<Timestamp>) {
    let min_ready = number(set, "/spec/minReadySeconds");
    let judged: Vec<_> = active.iter().map(|pod| availability(pod, min_ready, now)).collect();
    let template = set.pointer("/spec/template/metadata/labels").and_then(Value::as_object);
    let labelled = |pod: &&&Value| {
        template.is_none_or(|labels| labels.iter().all(|(k, v)| pod["metadata"]["labels"].get(k) == Some(v)))
    };
    let mut status = without_zeros(json!({
        "fullyLabeledReplicas": active.iter().filter(labelled).count(),
        "readyReplicas": active.iter().filter(|pod| ready_since(pod).is_some()).count(),
        "availableReplicas": judged.iter().filter(|(available, _)| *available).count(),
        "observedGeneration": number(set, "/metadata/generation"),
    }));
    status["replicas"] = json!(active.len());
    let conditions = list(set, "/status/conditions");
    if !conditions.is_empty() {
        status["conditions"] = json!(conditions);
    }
    (status, judged.into_iter().filter_map(|(_, at)| at).min())
}
