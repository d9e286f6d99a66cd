//! Health of one object by its own status. The order is kstatus': deletion, generation, Reconciling and Stalled, then
//! rules by kind, then the Ready condition. Stricter than kstatus: a failed Pod is failed, a running Job is not done,
//! and a bare claim is not bound.

use serde_json::Value;

use super::{Health, State};

fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// Status and reason and message of a condition.
fn condition<'v>(object: &'v Value, kind: &str) -> Option<(&'v str, &'v str, &'v str)> {
    let list = object.pointer("/status/conditions")?.as_array()?;
    let found = list.iter().find(|entry| entry.get("type").and_then(Value::as_str) == Some(kind))?;
    let text = |field: &str| found.get(field).and_then(Value::as_str).unwrap_or_default();
    Some((text("status"), text("reason"), text("message")))
}

fn progressing(message: impl Into<String>) -> Health {
    Health::new(State::Progressing, message)
}

fn failed(message: impl Into<String>) -> Health {
    Health::new(State::Failed, message)
}

/// How an object is doing by its own status alone.
#[must_use]
pub fn status_of(object: &Value) -> Health {
    if object.pointer("/metadata/deletionTimestamp").is_some_and(|at| !at.is_null()) {
        return Health::new(State::Terminating, "it is being deleted");
    }
    let observed = object.pointer("/status/observedGeneration").and_then(Value::as_i64);
    if observed.is_some_and(|observed| observed != number(object, "/metadata/generation")) {
        return progressing("its controller has not seen the change yet");
    }
    if let Some(("True", reason, message)) = condition(object, "Stalled") {
        return failed(format!("{reason}: {message}"));
    }
    if let Some(("True", reason, message)) = condition(object, "Reconciling") {
        return progressing(format!("{reason}: {message}"));
    }
    by_kind(object)
}

fn by_kind(object: &Value) -> Health {
    match object.get("kind").and_then(Value::as_str).unwrap_or_default() {
        "Deployment" => deployment(object),
        "ReplicaSet" => replicas(object, "readyReplicas"),
        "StatefulSet" => stateful_set(object),
        "DaemonSet" => daemon_set(object),
        "Pod" => pod(object),
        "Job" => job(object),
        "PersistentVolumeClaim" => claim(object),
        "CustomResourceDefinition" => definition(object),
        "Service" => service(object),
        _ => ready(object),
    }
}

fn deployment(object: &Value) -> Health {
    if let Some((_, "ProgressDeadlineExceeded", message)) = condition(object, "Progressing") {
        return failed(format!("ProgressDeadlineExceeded: {message}"));
    }
    if object.pointer("/status/observedGeneration").is_none() {
        return progressing("its controller has not seen it yet");
    }
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let status = |field: &str| number(object, &format!("/status/{field}"));
    if status("updatedReplicas") < wanted {
        return progressing(format!("{} of {wanted} replicas updated", status("updatedReplicas")));
    }
    if status("replicas") > status("updatedReplicas") {
        return progressing(format!("{} old replicas are still there", status("replicas") - status("updatedReplicas")));
    }
    if status("availableReplicas") < wanted {
        return progressing(format!("{} of {wanted} replicas available", status("availableReplicas")));
    }
    if status("readyReplicas") < wanted {
        return progressing(format!("{} of {wanted} replicas ready", status("readyReplicas")));
    }
    Health::healthy()
}

fn replicas(object: &Value, ready: &str) -> Health {
    if let Some(("True", reason, message)) = condition(object, "ReplicaFailure") {
        return failed(format!("{reason}: {message}"));
    }
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    let count = number(object, &format!("/status/{ready}"));
    if count < wanted { progressing(format!("{count} of {wanted} replicas ready")) } else { Health::healthy() }
}

fn stateful_set(object: &Value) -> Health {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let ready = replicas(object, "readyReplicas");
    let partition = number(object, "/spec/updateStrategy/rollingUpdate/partition");
    let revisions = (text("/status/currentRevision"), text("/status/updateRevision"));
    let on_delete = text("/spec/updateStrategy/type") == "OnDelete";
    if ready == Health::healthy() && partition == 0 && !on_delete && revisions.0 != revisions.1 {
        return progressing("the new revision is not everywhere yet");
    }
    ready
}

fn daemon_set(object: &Value) -> Health {
    if object.pointer("/status/observedGeneration").is_none() {
        return progressing("its controller has not seen it yet");
    }
    let status = |field: &str| number(object, &format!("/status/{field}"));
    let wanted = status("desiredNumberScheduled");
    for field in ["updatedNumberScheduled", "numberAvailable", "numberReady"] {
        if status(field) < wanted {
            return progressing(format!("{field} is {} of {wanted}", status(field)));
        }
    }
    Health::healthy()
}

/// Reasons of a waiting container that do not pass by themselves.
const HOPELESS: &[&str] = &[
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
];

fn pod(object: &Value) -> Health {
    for list in ["initContainerStatuses", "containerStatuses"] {
        for container in object.pointer(&format!("/status/{list}")).and_then(Value::as_array).into_iter().flatten() {
            let text = |pointer: &str| container.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let reason = text("/state/waiting/reason");
            if HOPELESS.contains(&reason) {
                return failed(format!("container {}: {reason}: {}", text("/name"), text("/state/waiting/message")));
            }
        }
    }
    match object.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default() {
        "Succeeded" => Health::healthy(),
        "Failed" => {
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            failed(format!("the pod failed: {} {}", text("/status/reason"), text("/status/message")).trim().to_owned())
        }
        "Running" if matches!(condition(object, "Ready"), Some(("True", ..))) => Health::healthy(),
        "Running" => progressing("it runs but is not ready"),
        _ => match condition(object, "PodScheduled") {
            Some(("False", reason, message)) => progressing(format!("{reason}: {message}")),
            _ => progressing("it has not started yet"),
        },
    }
}

fn job(object: &Value) -> Health {
    match (condition(object, "Complete"), condition(object, "Failed")) {
        (Some(("True", ..)), _) => Health::healthy(),
        (_, Some(("True", reason, message))) => failed(format!("{reason}: {message}")),
        _ if object.pointer("/spec/suspend") == Some(&Value::Bool(true)) => Health::healthy(),
        _ => progressing("it has not finished yet"),
    }
}

fn claim(object: &Value) -> Health {
    match object.pointer("/status/phase").and_then(Value::as_str) {
        Some("Bound") => Health::healthy(),
        Some("Lost") => failed("its volume is lost"),
        _ => progressing("it is not bound yet"),
    }
}

fn definition(object: &Value) -> Health {
    match (condition(object, "NamesAccepted"), condition(object, "Established")) {
        (Some(("False", reason, message)), _) => failed(format!("{reason}: {message}")),
        (_, Some(("True", ..))) => Health::healthy(),
        _ => progressing("it is not established yet"),
    }
}

/// Only a load balancer has something to wait for.
fn service(object: &Value) -> Health {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if text("/spec/type") == "LoadBalancer" && text("/spec/clusterIP").is_empty() {
        return progressing("it has no address yet");
    }
    Health::healthy()
}

fn ready(object: &Value) -> Health {
    match condition(object, "Ready") {
        Some(("True", ..)) | None => Health::healthy(),
        Some((_, reason, message)) => progressing(format!("{reason}: {message}")),
    }
}
