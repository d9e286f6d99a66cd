//! Garbage collection by owner references: in the background, in the foreground, or leaving orphans.
//!
//! The API server marks an object for foreground deletion with the finalizer `foregroundDeletion`, and for orphaning
//! with `orphan`; both are taken off here. An owner is present when an object with its uid exists in the same namespace
//! or in none.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::core::Core;
use super::delete::{FOREGROUND, ORPHAN};
use super::metadata::is_terminating;
use super::store::{Change, ChangeKind};
use super::workloads;
use super::workloads::view::{Seen, View, owners};
use super::workloads::write::{Steps, Write};

/// How a dependent's owner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// It lives.
    Solid,
    /// It waits for its dependents to go.
    Waiting,
    /// It is gone, or never was.
    Absent,
}

/// Collects the garbage of a server until `stop`.
pub async fn run(core: Arc<Core>, stop: CancellationToken) {
    workloads::drive(Collector, core, stop).await;
}

/// What to do about all objects, in order of their uids.
#[must_use]
pub fn decide(view: &View) -> Vec<Write> {
    view.uids().flat_map(|uid| decide_one(view, uid)).collect()
}

/// What to do about one object, and about its dependents when it is on its way out.
#[must_use]
pub fn decide_one(view: &View, uid: &str) -> Vec<Write> {
    let Some(seen) = view.get(uid) else { return Vec::new() };
    let object = seen.object.as_ref();
    match (is_terminating(object), has_finalizer(object, ORPHAN), has_finalizer(object, FOREGROUND)) {
        (true, true, _) => orphaned(view, uid, object),
        (true, false, true) => awaited(view, uid, object),
        (true, false, false) => Vec::new(),
        (false, _, _) => dependent(view, seen),
    }
}

fn items<'v>(object: &'v Value, pointer: &str) -> &'v [Value] {
    object.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn has_finalizer(object: &Value, name: &str) -> bool {
    items(object, "/metadata/finalizers").iter().any(|finalizer| finalizer == name)
}

fn owner_of(view: &View, dependent: &Seen, uid: &str) -> Owner {
    // Only a malformed reference has no uid: it proves nothing.
    if uid.is_empty() {
        return Owner::Solid;
    }
    let Some(owner) = view.get(uid) else { return Owner::Absent };
    let reachable = owner.key.namespace.is_empty() || owner.key.namespace == dependent.key.namespace;
    let waiting = reachable && is_terminating(&owner.object) && has_finalizer(&owner.object, FOREGROUND);
    // A cluster-scoped object with a namespaced owner is never collected: upstream cannot look such an owner up.
    let absent = !reachable && !dependent.key.namespace.is_empty();
    match (absent, waiting) {
        (true, _) => Owner::Absent,
        (false, true) => Owner::Waiting,
        (false, false) => Owner::Solid,
    }
}

/// An object with owners goes when none of them lives; references to others that do not live are dropped.
fn dependent(view: &View, seen: &Seen) -> Vec<Write> {
    let judged: Vec<(&str, Owner)> = owners(&seen.object).map(|uid| (uid, owner_of(view, seen, uid))).collect();
    let is = |wanted| judged.iter().any(|(_, owner)| *owner == wanted);
    if judged.is_empty() || !(is(Owner::Waiting) || is(Owner::Absent)) {
        return Vec::new();
    }
    if is(Owner::Solid) {
        let lost: Vec<&str> = judged.iter().filter(|(_, owner)| *owner != Owner::Solid).map(|(uid, _)| *uid).collect();
        return vec![without_owners(&seen.object, &lost)];
    }
    let own = seen.object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default();
    let foreground = is(Owner::Waiting) && view.dependents(own).any(|inner| blocks(&inner.object, own));
    vec![Write::Delete { object: seen.object.as_ref().clone(), foreground }]
}

/// Whether a dependent holds its owner's foreground deletion up.
fn blocks(dependent: &Value, owner: &str) -> bool {
    let mut references = items(dependent, "/metadata/ownerReferences").iter();
    references.any(|reference| reference["uid"] == owner && reference["blockOwnerDeletion"] == true)
}

fn awaited(view: &View, uid: &str, object: &Value) -> Vec<Write> {
    if !view.dependents(uid).any(|inner| blocks(&inner.object, uid)) {
        return vec![without_finalizer(object, FOREGROUND)];
    }
    let live = view.dependents(uid).filter(|inner| !is_terminating(&inner.object));
    live.flat_map(|inner| dependent(view, inner)).collect()
}

fn orphaned(view: &View, uid: &str, object: &Value) -> Vec<Write> {
    let freed: Vec<Write> = view.dependents(uid).map(|inner| without_owners(&inner.object, &[uid])).collect();
    if freed.is_empty() { vec![without_finalizer(object, ORPHAN)] } else { freed }
}

fn without_owners(object: &Arc<Value>, gone: &[&str]) -> Write {
    let mut next = object.as_ref().clone();
    let is_gone = |reference: &Value| reference["uid"].as_str().is_some_and(|uid| gone.contains(&uid));
    let mut left = items(object, "/metadata/ownerReferences").to_vec();
    left.retain(|reference| !is_gone(reference));
    set_or_remove(&mut next, "ownerReferences", &left);
    Write::Update(next)
}

fn without_finalizer(object: &Value, name: &str) -> Write {
    let mut next = object.clone();
    let mut left = items(object, "/metadata/finalizers").to_vec();
    left.retain(|finalizer| finalizer != name);
    set_or_remove(&mut next, "finalizers", &left);
    Write::Update(next)
}

fn set_or_remove(object: &mut Value, field: &str, left: &[Value]) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    if left.is_empty() {
        metadata.remove(field);
    } else {
        metadata.insert(field.to_owned(), json!(left));
    }
}

pub(crate) struct Collector;

impl workloads::Controller for Collector {
    /// The object itself, its owners, and its dependents when it is new, gone or on its way out.
    fn concerns(&self, change: &Change, view: &View) -> Vec<String> {
        let uid =
            |object: &Value| object.pointer("/metadata/uid").and_then(Value::as_str).unwrap_or_default().to_owned();
        let own = uid(&change.object);
        let before = change.previous.iter().flat_map(|object| owners(object)).map(str::to_owned);
        let mut concerned: Vec<String> = owners(&change.object).map(str::to_owned).chain(before).collect();
        if change.kind == ChangeKind::Deleted || is_terminating(&change.object) {
            concerned.extend(view.dependents(&own).map(|inner| uid(&inner.object)));
        }
        concerned.push(own);
        concerned
    }

    fn step(&self, uid: &str, view: &View, _: Timestamp) -> Steps {
        decide_one(view, uid).into()
    }
}

#[cfg(test)]
mod tests;
