//! What the controllers share: reading objects, owner references, hashes, conditions.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::apiserver::metadata;
pub(super) use crate::apiserver::metadata::is_terminating;
use crate::domain::id::Digest;
use crate::domain::time::rfc3339_seconds;

/// Most pods that one object gets, and that one step creates.
pub(super) const MAX_PODS: i64 = 10_000;

pub(super) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn number(value: &Value, pointer: &str) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

pub(super) fn number_or(value: &Value, pointer: &str, default: i64) -> i64 {
    value.pointer(pointer).and_then(Value::as_i64).unwrap_or(default)
}

pub(super) fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// How many pods an object wishes (one when it does not say), between none and [`MAX_PODS`].
pub(super) fn wished(object: &Value) -> i64 {
    number_or(object, "/spec/replicas", 1).clamp(0, MAX_PODS)
}

pub(super) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

pub(super) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

pub(super) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

pub(super) fn instant(value: &Value, pointer: &str) -> Option<Timestamp> {
    text(value, pointer).parse().ok()
}

/// `at` plus whole seconds; the far end of time when that is out of range.
pub(super) fn plus(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

/// The reference of a controlled object to its controller.
pub(super) fn controller_of(owner: &Value) -> Value {
    json!([{
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    }])
}

fn spell(bytes: impl Iterator<Item = u8>) -> String {
    bytes.map(metadata::suffix_letter).collect()
}

/// A short hash of a pod template for names and labels, such as `6d55f5887`; stable for equal JSON.
pub(super) fn template_hash(template: &Value) -> String {
    let digest = Digest::of(template.to_string().as_bytes());
    let head = u32::from_str_radix(digest.as_str().get(..8).unwrap_or_default(), 16).unwrap_or_default();
    spell(head.to_string().bytes())
}

/// Five letters for a generated name: the same for the same seed.
pub(super) fn suffix(seed: &str) -> String {
    spell(
        Digest::of(seed.as_bytes())
            .as_str()
            .bytes()
            .zip(0u8..5)
            .map(|(byte, at)| byte.wrapping_mul(7).wrapping_add(at)),
    )
}

/// A number below `modulus` from a seed.
pub(super) fn pick(seed: &str, modulus: u32) -> u32 {
    let digest = Digest::of(seed.as_bytes());
    u32::from_str_radix(digest.as_str().get(..8).unwrap_or_default(), 16).unwrap_or_default() % modulus.max(1)
}

pub(super) fn condition<'v>(object: &'v Value, kind: &str) -> Option<&'v Value> {
    list(object, "/status/conditions").iter().find(|c| text(c, "/type") == kind)
}

pub(super) fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|c| text(c, "/status") == "True")
}

/// A condition that keeps the time of its last transition while its status stays.
pub(super) fn transition(
    object: &Value,
    kind: &str,
    status: bool,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> Value {
    let status = if status { "True" } else { "False" };
    let before = condition(object, kind).filter(|c| text(c, "/status") == status);
    let since = before.map_or_else(|| rfc3339_seconds(now), |c| text(c, "/lastTransitionTime").to_owned());
    json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
}

/// A status without its zero counts: Kubernetes leaves them out.
pub(super) fn without_zeros(status: Value) -> Value {
    match status {
        Value::Object(map) => Value::Object(map.into_iter().filter(|(_, value)| *value != json!(0)).collect()),
        other => other,
    }
}

/// Sets a field; what is on the way to it and is not a map becomes one.
pub(super) fn put(value: &mut Value, path: &[&str], new: Value) {
    let Some((first, rest)) = path.split_first() else {
        *value = new;
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    if let Value::Object(map) = value {
        put(map.entry((*first).to_owned()).or_insert(Value::Null), rest, new);
    }
}

/// The object with another status.
pub(super) fn with_status(object: &Value, status: Value) -> Value {
    let mut next = object.clone();
    put(&mut next, &["status"], status);
    next
}

/// A pod template as the metadata and spec of a pod that `owner` controls.
pub(super) fn pod_from(template: &Value, owner: &Value, name: &str, labels: &[(&str, &str)]) -> Value {
    let mut metadata = template.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    metadata.remove("creationTimestamp");
    metadata.insert("name".to_owned(), json!(name));
    metadata.insert("namespace".to_owned(), json!(namespace(owner)));
    metadata.insert("ownerReferences".to_owned(), controller_of(owner));
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template.get("spec")});
    for (key, value) in labels {
        put(&mut pod, &["metadata", "labels", key], json!(value));
    }
    pod
}

/// Whether a pod still counts for its controller.
pub(super) fn is_active(pod: &Value) -> bool {
    !is_terminating(pod) && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
}

/// Since when a pod is ready; none when it is not.
pub(super) fn ready_since(pod: &Value) -> Option<Timestamp> {
    condition(pod, "Ready").filter(|c| text(c, "/status") == "True").and_then(|c| instant(c, "/lastTransitionTime"))
}

/// Whether a pod has been ready for `min_ready` seconds, and if it will be, when.
pub(super) fn availability(pod: &Value, min_ready: i64, now: Timestamp) -> (bool, Option<Timestamp>) {
    let Some(since) = ready_since(pod) else { return (false, None) };
    let at = plus(since, min_ready);
    if at <= now || min_ready == 0 { (true, None) } else { (false, Some(at)) }
}
