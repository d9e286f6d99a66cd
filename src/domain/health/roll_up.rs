//! From an object to the real fault below it: Deployment, the `ReplicaSet` of its present template, Pods, container.

use serde_json::Value;

use super::kinds::status_of;
use super::{Health, State};

/// Annotation by which Deployment and `ReplicaSet` tell which revision they are.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// How an object is doing, with what it owns among `others` taken into account: a hopeless pod of the present template
/// makes its Deployment failed long before the progress deadline, and its reason is the message.
#[must_use]
pub fn roll_up(object: &Value, others: &[Value]) -> Health {
    let own = status_of(object);
    if matches!(own.state, State::Healthy | State::Terminating) {
        return own;
    }
    let mut pods = Vec::new();
    for child in owned_by(object, others) {
        match child.get("kind").and_then(Value::as_str) {
            Some("ReplicaSet") if is_present(object, child) => pods.extend(owned_by(child, others)),
            Some("Pod") => pods.push(child),
            _ => {}
        }
    }
    let faults = pods.iter().map(|pod| (*pod, status_of(pod))).filter(|(_, health)| health.state == State::Failed);
    match faults.min_by(|(a, _), (b, _)| name(a).cmp(name(b))) {
        Some((pod, fault)) => Health::new(State::Failed, format!("Pod {}: {}", name(pod), fault.message)),
        None => own,
    }
}

fn name(object: &Value) -> &str {
    object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default()
}

fn owned_by<'v>(owner: &Value, others: &'v [Value]) -> Vec<&'v Value> {
    let Some(uid) = owner.pointer("/metadata/uid").and_then(Value::as_str) else { return Vec::new() };
    let owned = |object: &&Value| {
        let references = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        references.into_iter().flatten().any(|reference| reference.get("uid").and_then(Value::as_str) == Some(uid))
    };
    others.iter().filter(owned).collect()
}

/// Whether a `ReplicaSet` belongs to the Deployment's present template; old ones may fail without harm.
fn is_present(deployment: &Value, replica_set: &Value) -> bool {
    let revision = |object: &Value| {
        let annotations = object.pointer("/metadata/annotations")?;
        annotations.get(REVISION)?.as_str().map(str::to_owned)
    };
    match (revision(deployment), revision(replica_set)) {
        (Some(wanted), Some(found)) => wanted == found,
        _ => true,
    }
}
