//! Between the version in which objects are stored and the one in which a client speaks.
//!
//! Versions of a CRD differ in `apiVersion` and in what their schemas declare: what one does not know is left out of it
//! (strategy `None`); `events.k8s.io/v1` renames fields of the core event, as
//! `pkg/apis/events/v1/conversion.go` of Kubernetes does.

use std::borrow::Cow;

use serde_json::Value;

use crate::apiserver::kinds::{Conversion, Kind};
use crate::domain::krm::defaults::fill_structural;
use crate::domain::krm::structural;

/// Field of `events.k8s.io/v1`, field of the core event.
const EVENT_FIELDS: [(&str, &str); 6] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];
/// Likewise.
const EVENT_REPORTERS: [(&str, &str); 1] = [("reportingController", "reportingComponent")];

/// A stored object as clients of `kind` see it.
#[must_use]
pub(super) fn shown<'a>(kind: &Kind, stored: &'a Value) -> Cow<'a, Value> {
    let version = kind.gvk.api_version();
    if stored.get("apiVersion").and_then(Value::as_str) == Some(&version) {
        return Cow::Borrowed(stored);
    }
    let mut object = stored.clone();
    if kind.conversion == Conversion::Event {
        rename(&mut object, |(new, core)| (core, new));
    }
    object["apiVersion"] = Value::String(version);
    leave_undeclared(kind, &mut object);
    Cow::Owned(object)
}

/// An object of `kind` as it is stored in the version of `storage`.
#[must_use]
pub(super) fn stored(kind: &Kind, storage: &Kind, mut object: Value) -> Value {
    if kind.conversion == Conversion::Event {
        rename(&mut object, |(new, core)| (new, core));
    }
    object["apiVersion"] = Value::String(storage.gvk.api_version());
    if kind.gvk.version != storage.gvk.version {
        leave_undeclared(storage, &mut object);
        if let Some(schema) = storage.schema.as_deref() {
            fill_structural(&mut object, schema);
        }
    }
    object
}

/// Leaves out what a version does not declare.
fn leave_undeclared(kind: &Kind, object: &mut Value) {
    if let Some(schema) = kind.schema.as_deref() {
        drop(structural::prune(object, schema));
    }
}

fn rename(object: &mut Value, direction: fn((&'static str, &'static str)) -> (&'static str, &'static str)) {
    let Some(fields) = object.as_object_mut() else { return };
    for (from, to) in EVENT_FIELDS.into_iter().chain(EVENT_REPORTERS).map(direction) {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::kinds::Kinds;
    use serde_json::json;

    #[test]
    fn events_are_the_same_in_both_groups() {
        let kinds = Kinds::builtin();
        let (core, new) =
            (kinds.find("", "v1", "events").unwrap(), kinds.find("events.k8s.io", "v1", "events").unwrap());
        let event = json!({"apiVersion": "events.k8s.io/v1", "regarding": {"name": "a"}, "note": "n", "reportingController": "c", "reason": "R"});
        let kept = stored(new, core, event.clone());
        assert_eq!(
            kept,
            json!({"apiVersion": "v1", "involvedObject": {"name": "a"}, "message": "n", "reportingComponent": "c", "reason": "R"})
        );
        assert_eq!(*shown(new, &kept), event);
        assert_eq!(*shown(core, &kept), kept);
    }

    #[test]
    fn a_version_shows_and_keeps_what_it_declares() {
        let version = |name: &str, storage: bool, field: &str| {
            let spec = json!({"type": "object", "properties": {"both": {"type": "string"}, field: {"type": "string", "default": "d"}}});
            json!({"name": name, "served": true, "storage": storage, "deprecated": !storage,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}})
        };
        let crd = json!({"metadata": {"name": "things.x.y"}, "spec": {"group": "x.y", "scope": "Cluster",
            "names": {"kind": "Thing", "plural": "things"}, "versions": [version("v1", true, "old"), version("v1beta1", false, "new")]}});
        let mut kinds = Kinds::builtin();
        kinds.add_crd(&crd).unwrap();
        let kind = |version| kinds.find("x.y", version, "things").unwrap();
        let sent = json!({"apiVersion": "x.y/v1beta1", "kind": "Thing", "spec": {"both": "b", "new": "n"}});
        let kept = stored(kind("v1beta1"), kind("v1"), sent);
        assert_eq!(kept, json!({"apiVersion": "x.y/v1", "kind": "Thing", "spec": {"both": "b", "old": "d"}}));
        let seen = json!({"apiVersion": "x.y/v1beta1", "kind": "Thing", "spec": {"both": "b"}});
        assert_eq!(*shown(kind("v1beta1"), &kept), seen);
        let warning = "x.y/v1beta1 Thing is deprecated; use x.y/v1 Thing";
        assert_eq!((kind("v1beta1").deprecation.as_deref(), &kind("v1").deprecation), (Some(warning), &None));
    }
}
