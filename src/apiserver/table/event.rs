//! Cells of events, in the spelling of `v1` and of `events.k8s.io/v1`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;
use super::read::{number, text};

/// The first of two spellings that holds a text.
fn either<'v>(event: &'v Value, core: &str, group: &str) -> &'v str {
    match text(event, core) {
        "" => text(event, group),
        found => found,
    }
}

fn first_at(event: &Value) -> &str {
    match either(event, "/firstTimestamp", "/deprecatedFirstTimestamp") {
        "" => text(event, "/eventTime"),
        at => at,
    }
}

pub(super) fn first_seen(event: &Value, now: Timestamp) -> Value {
    json!(age::since(first_at(event), now))
}

pub(super) fn last_seen(event: &Value, now: Timestamp) -> Value {
    let series = text(event, "/series/lastObservedTime");
    let last = either(event, "/lastTimestamp", "/deprecatedLastTimestamp");
    let at = [series, last, first_at(event)].into_iter().find(|at| !at.is_empty()).unwrap_or_default();
    json!(age::since(at, now))
}

fn involved<'v>(event: &'v Value, field: &str) -> &'v str {
    either(event, &format!("/involvedObject/{field}"), &format!("/regarding/{field}"))
}

pub(super) fn object(event: &Value, _: Timestamp) -> Value {
    json!(format!("{}/{}", involved(event, "kind").to_lowercase(), involved(event, "name")))
}

pub(super) fn subobject(event: &Value, _: Timestamp) -> Value {
    json!(involved(event, "fieldPath"))
}

pub(super) fn source(event: &Value, _: Timestamp) -> Value {
    let component = either(event, "/source/component", "/deprecatedSource/component");
    let (who, instance) = if component.is_empty() {
        let who = either(event, "/reportingComponent", "/reportingController");
        (who, text(event, "/reportingInstance"))
    } else {
        (component, either(event, "/source/host", "/deprecatedSource/host"))
    };
    json!(if instance.is_empty() { who.to_owned() } else { format!("{who}, {instance}") })
}

pub(super) fn message(event: &Value, _: Timestamp) -> Value {
    json!(either(event, "/message", "/note").trim())
}

pub(super) fn count(event: &Value, _: Timestamp) -> Value {
    let counts = ["/series/count", "/count", "/deprecatedCount"].map(|pointer| number(event, pointer));
    json!(counts.into_iter().find(|count| *count > 0).unwrap_or(1))
}
