//! The simulated scheduler and kubelet: what becomes of a pod, told by the tags of its images.
//!
//! `:broken` and `:missing` cannot be pulled, `:crash` starts and ends at once, everything else runs. Pods of Jobs run
//! to their end.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Latency;
use super::event;
use super::parts::{instant, is_terminating, list, name, namespace, number, pick, plus, put, text, transition, uid};
use super::write::{Steps, Write};
use crate::apiserver::admit;
use crate::domain::time::rfc3339_seconds;

/// The one node.
pub const NODE: &str = "node-1";

/// Longest pause between two restarts of a crashing container, in seconds.
const MAX_BACKOFF: i64 = 300;

/// What an image does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Runs,
    Crashes,
    NeverPulled,
}

impl Fate {
    fn of(image: &str) -> Self {
        let last = image.rsplit('/').next().unwrap_or(image);
        match last.split('@').next().and_then(|name| name.split_once(':')).map_or("", |(_, tag)| tag) {
            "broken" | "missing" => Self::NeverPulled,
            "crash" => Self::Crashes,
            _ => Self::Runs,
        }
    }
}

/// Binds the pod to the node, then starts, fails or finishes its containers after `latency.start`.
#[must_use]
pub fn step(pod: &Value, latency: &Latency, now: Timestamp) -> Steps {
    if is_terminating(pod) || matches!(text(pod, "/status/phase"), "Succeeded" | "Failed") {
        return Steps::default();
    }
    let bound = (text(pod, "/spec/nodeName").is_empty()).then(|| {
        let mut next = pod.clone();
        put(&mut next, &["spec", "nodeName"], json!(NODE));
        Write::Update(next)
    });
    let begun = instant(pod, "/status/startTime").unwrap_or(now);
    let start = begun.checked_add(latency.start).unwrap_or(Timestamp::MAX);
    let (status, events, again) = if start > now {
        (waiting_to_start(pod, begun, now), Vec::new(), Some(start))
    } else {
        started(pod, begun, start, now)
    };
    let mut writes: Vec<Write> = bound.into_iter().collect();
    if let Some(write) = Write::status_of(pod, status) {
        writes.push(write);
        writes.extend(events);
    }
    Steps { writes, again }
}

fn waiting_to_start(pod: &Value, begun: Timestamp, now: Timestamp) -> Value {
    let waiting = json!({"waiting": {"reason": "ContainerCreating"}});
    let statuses: Vec<Value> =
        list(pod, "/spec/containers").iter().map(|c| container(c, pod, &waiting, false, 0)).collect();
    status(pod, "Pending", false, &statuses, begun, now)
}

fn started(pod: &Value, begun: Timestamp, start: Timestamp, now: Timestamp) -> (Value, Vec<Write>, Option<Timestamp>) {
    let containers = list(pod, "/spec/containers");
    let fates: Vec<Fate> = containers.iter().map(|c| Fate::of(text(c, "/image"))).collect();
    let finishes = runs_to_its_end(pod) && !fates.contains(&Fate::NeverPulled);
    let (restarts, next_restart) = restarts(start, now);
    let mut statuses = Vec::new();
    let mut events = Vec::new();
    for (spec, fate) in containers.iter().zip(&fates) {
        let (state, ready, count) = state(spec, pod, *fate, finishes, restarts, start);
        statuses.push(container(spec, pod, &state, ready, count));
        events.extend(complaints(spec, pod, *fate, finishes, now));
    }
    let phase = match (finishes, fates.contains(&Fate::Crashes), fates.contains(&Fate::NeverPulled)) {
        (true, false, _) => "Succeeded",
        (true, true, _) => "Failed",
        (_, _, true) => "Pending",
        _ => "Running",
    };
    let ready = !finishes && fates.iter().all(|fate| *fate == Fate::Runs);
    let again = (!finishes && fates.contains(&Fate::Crashes)).then_some(next_restart);
    (status(pod, phase, ready, &statuses, begun, now), events, again)
}

fn runs_to_its_end(pod: &Value) -> bool {
    matches!(text(pod, "/spec/restartPolicy"), "Never" | "OnFailure")
        || list(pod, "/metadata/ownerReferences").iter().any(|owner| text(owner, "/kind") == "Job")
}

/// How often a container that ends at once was restarted by `now`, with pauses of 10, 20, 40 ... 300 s, and when it is
/// next.
fn restarts(start: Timestamp, now: Timestamp) -> (i64, Timestamp) {
    let elapsed = now.duration_since(start).as_secs();
    let (mut count, mut pause, mut at) = (1, 10, 10);
    while at <= elapsed && pause < MAX_BACKOFF {
        count += 1;
        pause = (pause * 2).min(MAX_BACKOFF);
        at += pause;
    }
    if at <= elapsed {
        let more = (elapsed - at) / MAX_BACKOFF + 1;
        count += more;
        at += more * MAX_BACKOFF;
    }
    (count, plus(start, at))
}

/// State, readiness and restart count of one container.
fn state(spec: &Value, pod: &Value, fate: Fate, finishes: bool, restarts: i64, start: Timestamp) -> (Value, bool, i64) {
    let image = text(spec, "/image");
    let at = rfc3339_seconds(start);
    match (fate, finishes) {
        (Fate::NeverPulled, _) => {
            let message = format!("Back-off pulling image \"{image}\"");
            (json!({"waiting": {"reason": "ImagePullBackOff", "message": message}}), false, 0)
        }
        (Fate::Crashes, false) => {
            let message = crash_message(spec, pod);
            (json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}}), false, restarts)
        }
        (Fate::Crashes, true) => {
            (json!({"terminated": {"exitCode": 1, "reason": "Error", "startedAt": at, "finishedAt": at}}), false, 0)
        }
        (Fate::Runs, true) => {
            (json!({"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": at, "finishedAt": at}}), false, 0)
        }
        (Fate::Runs, false) => (json!({"running": {"startedAt": at}}), true, 0),
    }
}

fn crash_message(spec: &Value, pod: &Value) -> String {
    let (container, pod_name, namespace) = (text(spec, "/name"), name(pod), namespace(pod));
    format!("back-off restarting failed container={container} pod={pod_name}_{namespace}({})", uid(pod))
}

fn container(spec: &Value, pod: &Value, state: &Value, ready: bool, restarts: i64) -> Value {
    let container = text(spec, "/name");
    let image = text(spec, "/image");
    let begun = state.get("waiting").is_none() || restarts > 0;
    let id = format!("{}/{container}/{restarts}", uid(pod));
    let digest = |text: &str| crate::domain::id::Digest::of(text.as_bytes());
    let mut status = json!({
        "name": container, "image": image, "ready": ready, "started": ready, "restartCount": restarts, "state": state,
        "lastState": {}, "imageID": if begun { format!("{image}@sha256:{}", digest(image)) } else { String::new() },
    });
    if begun {
        status["containerID"] = json!(format!("containerd://{}", digest(&id)));
    }
    if restarts > 0 {
        status["lastState"] = json!({"terminated": {"exitCode": 1, "reason": "Error"}});
    }
    status
}

fn status(pod: &Value, phase: &str, ready: bool, containers: &[Value], begun: Timestamp, now: Timestamp) -> Value {
    let unready: Vec<&str> = containers.iter().filter(|c| c["ready"] != true).map(|c| text(c, "/name")).collect();
    let (reason, message) = match (phase, ready) {
        ("Succeeded", _) => ("PodCompleted", String::new()),
        (_, true) => ("", String::new()),
        _ => ("ContainersNotReady", format!("containers with unready status: [{}]", unready.join(" "))),
    };
    let told = |kind: &str, ok: bool| {
        let judged = matches!(kind, "Ready" | "ContainersReady");
        let (reason, message) = if judged { (reason, message.as_str()) } else { ("", "") };
        let mut condition = transition(pod, kind, ok, reason, message, now);
        if let Some(map) = condition.as_object_mut() {
            map.retain(|_, value| *value != json!(""));
        }
        condition
    };
    let scheduling = ["PodReadyToStartContainers", "Initialized", "PodScheduled"].map(|kind| told(kind, true));
    let conditions: Vec<Value> =
        scheduling.into_iter().chain([told("Ready", ready), told("ContainersReady", ready)]).collect();
    let ip = address(uid(pod));
    json!({
        "phase": phase, "conditions": conditions, "containerStatuses": containers, "startTime": rfc3339_seconds(begun),
        "hostIP": "192.168.0.1", "hostIPs": [{"ip": "192.168.0.1"}], "podIP": ip, "podIPs": [{"ip": ip}], "qosClass": admit::quality(pod),
        "observedGeneration": number(pod, "/metadata/generation"),
    })
}

/// An address in 10.244.0.0/16 for a uid.
fn address(uid: &str) -> String {
    let host = pick(uid, 65_000) + 2;
    format!("10.244.{}.{}", host / 256, host % 256)
}

fn complaints(spec: &Value, pod: &Value, fate: Fate, finishes: bool, now: Timestamp) -> Vec<Write> {
    let field = format!("spec.containers{{{}}}", text(spec, "/name"));
    let image = text(spec, "/image");
    let tell = |kind, reason, message: &str| event::at(pod, &field, kind, reason, message, "kubelet", now);
    match fate {
        Fate::NeverPulled => vec![
            tell(event::WARNING, "Failed", &format!("Failed to pull image \"{image}\": {image}: not found")),
            tell(event::WARNING, "Failed", "Error: ErrImagePull"),
            tell(event::NORMAL, "BackOff", &format!("Back-off pulling image \"{image}\"")),
            tell(event::WARNING, "Failed", "Error: ImagePullBackOff"),
        ],
        Fate::Crashes if !finishes => vec![tell(event::WARNING, "BackOff", &crash_message(spec, pod))],
        _ => Vec::new(),
    }
}

/// The node that the pods run on, as a controller creates it once.
#[must_use]
pub fn node(now: Timestamp) -> Value {
    let at = rfc3339_seconds(now);
    let room = json!({"cpu": "64", "memory": "256Gi", "pods": "100000"});
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux"}},
        "spec": {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "192.168.0.1"}, {"type": "Hostname", "address": NODE}],
            "allocatable": room, "capacity": room,
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "simulated",
                "lastHeartbeatTime": at, "lastTransitionTime": at,
            }],
            "nodeInfo": {
                "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "simulated://1", "kernelVersion": "simulated",
                "kubeProxyVersion": "", "kubeletVersion": "v1.36.0", "machineID": "", "operatingSystem": "linux",
                "osImage": "simulated", "systemUUID": "",
            },
        },
    })
}

/// The default: pods start at once.
impl Default for Latency {
    fn default() -> Self {
        Self { start: SignedDuration::ZERO }
    }
}
