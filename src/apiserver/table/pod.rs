//! What `kubectl get pods` says of a pod: the worst news first.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;
use super::read::{has, is_true, list, number, or_none, plain, text};

/// The story of a pod in one line.
#[derive(Debug, Default)]
struct Summary {
    ready: usize,
    total: usize,
    status: String,
    restarts: i64,
    last_restart: String,
}

pub(super) fn ready(pod: &Value, _: Timestamp) -> Value {
    let summary = summary(pod);
    json!(format!("{}/{}", summary.ready, summary.total))
}

pub(super) fn status(pod: &Value, _: Timestamp) -> Value {
    json!(summary(pod).status)
}

pub(super) fn restarts(pod: &Value, now: Timestamp) -> Value {
    let Summary { restarts, last_restart, .. } = summary(pod);
    if restarts == 0 || last_restart.is_empty() {
        return json!(restarts.to_string());
    }
    json!(format!("{restarts} ({} ago)", age::since(&last_restart, now)))
}

pub(super) fn ip(pod: &Value, _: Timestamp) -> Value {
    let first = list(pod, "/status/podIPs").first().map_or("", |ip| text(ip, "/ip"));
    or_none(if first.is_empty() { text(pod, "/status/podIP") } else { first })
}

pub(super) fn node(pod: &Value, _: Timestamp) -> Value {
    or_none(text(pod, "/spec/nodeName"))
}

pub(super) fn nominated_node(pod: &Value, _: Timestamp) -> Value {
    or_none(text(pod, "/status/nominatedNodeName"))
}

pub(super) fn readiness_gates(pod: &Value, _: Timestamp) -> Value {
    let gates = list(pod, "/spec/readinessGates");
    let open = gates.iter().filter(|gate| is_true(pod, text(gate, "/conditionType"))).count();
    or_none(&if gates.is_empty() { String::new() } else { format!("{open}/{}", gates.len()) })
}

/// The row condition of a pod that ran to its end.
pub(super) fn row_condition(pod: &Value) -> Option<Value> {
    let (reason, message) = match text(pod, "/status/phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!({"type": "Completed", "status": "True", "reason": reason, "message": message}))
}

fn summary(pod: &Value) -> Summary {
    let mut summary = Summary { status: phase(pod), ..Summary::default() };
    let sidecars = list(pod, "/spec/initContainers").iter().filter(|c| is_sidecar(c)).count();
    summary.total = list(pod, "/spec/containers").len() + sidecars;
    let (initializing, sidecar_restarts) = summary.read_init(pod);
    if !initializing || is_true(pod, "Initialized") {
        (summary.restarts, summary.last_restart) = sidecar_restarts;
        summary.read_containers(pod);
    }
    if has(pod, "/metadata/deletionTimestamp") {
        summary.status = ending(pod, summary.status);
    }
    summary
}

fn phase(pod: &Value) -> String {
    let gated = list(pod, "/status/conditions").iter().any(|c| text(c, "/reason") == "SchedulingGated");
    let reason = text(pod, "/status/reason");
    let phase = if reason.is_empty() { text(pod, "/status/phase") } else { reason };
    if gated { "SchedulingGated".to_owned() } else { phase.to_owned() }
}

fn ending(pod: &Value, status: String) -> String {
    match (text(pod, "/status/reason"), text(pod, "/status/phase")) {
        ("NodeLost", _) => "Unknown".to_owned(),
        (_, "Succeeded" | "Failed") => status,
        _ => "Terminating".to_owned(),
    }
}

fn is_sidecar(container: &Value) -> bool {
    text(container, "/restartPolicy") == "Always"
}

/// `Signal:N` or `ExitCode:N` of a container that ended without a reason.
fn exit(terminated: &Value) -> String {
    match number(terminated, "/signal") {
        0 => format!("ExitCode:{}", number(terminated, "/exitCode")),
        signal => format!("Signal:{signal}"),
    }
}

fn later(known: &mut String, status: &Value) {
    let finished = text(status, "/lastState/terminated/finishedAt");
    if finished > known.as_str() {
        finished.clone_into(known);
    }
}

impl Summary {
    /// Init containers in order, up to the first that is not done. Says whether there is one, and the restarts of
    /// sidecars alone.
    fn read_init(&mut self, pod: &Value) -> (bool, (i64, String)) {
        let specs = list(pod, "/spec/initContainers");
        let mut sidecars = (0, String::new());
        for (index, status) in list(pod, "/status/initContainerStatuses").iter().enumerate() {
            let sidecar = specs.iter().any(|c| is_sidecar(c) && text(c, "/name") == text(status, "/name"));
            self.restarts += number(status, "/restartCount");
            later(&mut self.last_restart, status);
            if sidecar {
                sidecars.0 += number(status, "/restartCount");
                later(&mut sidecars.1, status);
            }
            match init_state(status, sidecar, index, specs.len()) {
                Some(state) => {
                    self.status = state;
                    return (true, sidecars);
                }
                None => self.ready += usize::from(sidecar && status["ready"] == true),
            }
        }
        (false, sidecars)
    }

    /// From the last container to the first: the first in order has the last word, but `Completed` never hides a
    /// failure.
    fn read_containers(&mut self, pod: &Value) {
        let (mut running, mut failed) = (false, None);
        for status in list(pod, "/status/containerStatuses").iter().rev() {
            self.restarts += number(status, "/restartCount");
            later(&mut self.last_restart, status);
            if let Some(state) = trouble(status) {
                if number(status, "/state/terminated/exitCode") != 0 {
                    failed = Some(state.clone());
                }
                self.status = state;
            } else if status["ready"] == true && has(status, "/state/running") {
                running = true;
                self.ready += 1;
            }
        }
        match (self.status.as_str(), failed) {
            ("Completed", Some(failed)) => self.status = failed,
            ("Completed", None) if running && is_true(pod, "Ready") => "Running".clone_into(&mut self.status),
            ("Completed", None) if running => "NotReady".clone_into(&mut self.status),
            _ => {}
        }
    }
}

/// Why a container does not run; none when it does.
fn trouble(status: &Value) -> Option<String> {
    let waiting = text(status, "/state/waiting/reason");
    let ended = text(status, "/state/terminated/reason");
    match (waiting, ended, status.pointer("/state/terminated")) {
        ("", "", Some(terminated)) if !terminated.is_null() => Some(exit(terminated)),
        ("", "", _) => None,
        ("", ended, _) => Some(ended.to_owned()),
        (waiting, _, _) => Some(waiting.to_owned()),
    }
}

/// What an init container that is not done says; none when it is done or is a sidecar that started.
fn init_state(status: &Value, sidecar: bool, index: usize, count: usize) -> Option<String> {
    let terminated = status.pointer("/state/terminated").filter(|state| !state.is_null());
    if terminated.is_some_and(|state| number(state, "/exitCode") == 0) || (sidecar && status["started"] == true) {
        return None;
    }
    if let Some(state) = terminated {
        let reason = plain(state.get("reason")).filter(|reason| !reason.is_empty());
        return Some(format!("Init:{}", reason.unwrap_or_else(|| exit(state))));
    }
    match text(status, "/state/waiting/reason") {
        "" | "PodInitializing" => Some(format!("Init:{index}/{count}")),
        reason => Some(format!("Init:{reason}")),
    }
}
