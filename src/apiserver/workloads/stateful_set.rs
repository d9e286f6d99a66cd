//! The `StatefulSet` controller: numbered pods, one after the other.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::parts::{
    availability, is_terminating, name, number, pod_from, put, ready_since, template_hash, text, wished, without_zeros,
};
use super::write::{Steps, Write};

/// Most pods that one step creates.
const BURST: usize = 500;
const REVISION: &str = "controller-revision-hash";

/// Creates the next missing pod when all before it are ready, deletes the last one too many, and renews outdated pods
/// from the last to the partition, one at a time.
#[must_use]
pub fn step(set: &Value, pods: &[&Value], now: Timestamp) -> Steps {
    if is_terminating(set) {
        return Steps::default();
    }
    let revision = format!("{}-{}", name(set), template_hash(&set["spec"]["template"]));
    let (status, again) = status(set, pods, &revision, now);
    let mut writes = moves(set, pods, &revision);
    writes.extend(Write::status_of(set, status));
    Steps { writes, again }
}

fn first(set: &Value) -> i64 {
    number(set, "/spec/ordinals/start").clamp(0, i64::from(i32::MAX))
}

fn ordinal(pod: &Value) -> Option<i64> {
    name(pod).rsplit_once('-')?.1.parse().ok()
}

fn at<'a>(pods: &[&'a Value], wanted: i64) -> Option<&'a Value> {
    pods.iter().copied().find(|pod| ordinal(pod) == Some(wanted))
}

fn is_current(pod: &Value, revision: &str) -> bool {
    pod["metadata"]["labels"][REVISION] == revision
}

fn moves(set: &Value, pods: &[&Value], revision: &str) -> Vec<Write> {
    let parallel = text(set, "/spec/podManagementPolicy") == "Parallel";
    let end = first(set) + wished(set);
    let mut writes = Vec::new();
    for number_ in first(set)..end {
        match at(pods, number_) {
            None => writes.push(Write::Create(pod(set, number_, revision))),
            Some(pod) if ready_since(pod).is_some() && !is_terminating(pod) => continue,
            Some(_) => {}
        }
        if !parallel || writes.len() >= BURST {
            return writes;
        }
    }
    let too_many =
        pods.iter().filter(|pod| !is_terminating(pod) && ordinal(pod).is_none_or(|o| o < first(set) || o >= end));
    match too_many.max_by_key(|pod| ordinal(pod)) {
        Some(last) => vec![Write::delete(last)],
        None if writes.is_empty() => renewal(set, pods, revision, end).into_iter().collect(),
        None => writes,
    }
}

fn renewal(set: &Value, pods: &[&Value], revision: &str, end: i64) -> Option<Write> {
    if text(set, "/spec/updateStrategy/type") == "OnDelete" {
        return None;
    }
    let partition = number(set, "/spec/updateStrategy/rollingUpdate/partition");
    let from = first(set).max(partition);
    let outdated = (from..end).rev().filter_map(|o| at(pods, o)).find(|pod| !is_current(pod, revision));
    outdated.filter(|pod| !is_terminating(pod)).map(Write::delete)
}

fn pod(set: &Value, ordinal: i64, revision: &str) -> Value {
    let (pod_name, index) = (format!("{}-{ordinal}", name(set)), ordinal.to_string());
    let labels = [
        ("apps.kubernetes.io/pod-index", index.as_str()),
        (REVISION, revision),
        ("statefulset.kubernetes.io/pod-name", pod_name.as_str()),
    ];
    let mut pod = pod_from(&set["spec"]["template"], set, &pod_name, &labels);
    put(&mut pod, &["spec", "hostname"], json!(pod_name));
    if let Some(service) = set.pointer("/spec/serviceName") {
        put(&mut pod, &["spec", "subdomain"], service.clone());
    }
    pod
}

fn status(set: &Value, pods: &[&Value], revision: &str, now: Timestamp) -> (Value, Option<Timestamp>) {
    let wished = wished(set);
    let live: Vec<&Value> = pods.iter().copied().filter(|pod| !is_terminating(pod)).collect();
    let count = |test: &dyn Fn(&Value) -> bool| live.iter().filter(|pod| test(pod)).count();
    let judged: Vec<_> = live.iter().map(|pod| availability(pod, number(set, "/spec/minReadySeconds"), now)).collect();
    let updated = count(&|pod| is_current(pod, revision));
    let ready = count(&|pod| ready_since(pod).is_some());
    let done = i64::try_from(updated).is_ok_and(|n| n == wished) && ready == updated && live.len() == updated;
    let before = text(set, "/status/currentRevision");
    let current = if done || before.is_empty() { revision } else { before };
    let mut status = without_zeros(json!({
        "observedGeneration": number(set, "/metadata/generation"),
        "readyReplicas": ready,
        "updatedReplicas": updated,
        "currentReplicas": count(&|pod| is_current(pod, current)),
    }));
    status["replicas"] = json!(live.len());
    status["availableReplicas"] = json!(judged.iter().filter(|(available, _)| *available).count());
    status["collisionCount"] = json!(0);
    status["currentRevision"] = json!(current);
    status["updateRevision"] = json!(revision);
    (status, judged.into_iter().filter_map(|(_, at)| at).min())
}
