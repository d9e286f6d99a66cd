//! Events that controllers and the simulated kubelet tell.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::parts::{name, namespace, pick, uid};
use super::write::Write;
use crate::domain::time::rfc3339_seconds;

pub(super) const NORMAL: &str = "Normal";
pub(super) const WARNING: &str = "Warning";

/// An event about an object. The same event about the same object has the same name, so that it is told once.
pub(super) fn of(about: &Value, kind: &str, reason: &str, message: &str, source: &str, now: Timestamp) -> Write {
    at(about, "", kind, reason, message, source, now)
}

/// An event about a container of a pod.
pub(super) fn at(
    about: &Value,
    field: &str,
    kind: &str,
    reason: &str,
    message: &str,
    source: &str,
    now: Timestamp,
) -> Write {
    let instant = rfc3339_seconds(now);
    let seed = format!("{}/{field}/{reason}/{message}", uid(about));
    let (low, high) = (pick(&seed, u32::MAX), pick(&format!("{seed}/"), u32::MAX));
    Write::Create(json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": format!("{}.{high:08x}{low:08x}", name(about)), "namespace": namespace(about)},
        "involvedObject": {
            "apiVersion": about["apiVersion"], "kind": about["kind"], "name": name(about), "namespace": namespace(about),
            "uid": uid(about), "resourceVersion": about["metadata"]["resourceVersion"], "fieldPath": field,
        },
        "type": kind, "reason": reason, "message": message,
        "source": {"component": source}, "reportingComponent": source, "reportingInstance": "",
        "firstTimestamp": instant, "lastTimestamp": instant, "count": 1,
    }))
}
