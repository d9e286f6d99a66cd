//! All objects as a controller sees them: by uid, by owner, and pods by what may select them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::parts::{list, text, uid};
use crate::apiserver::store::{Change, ChangeKind, Key};

/// An object and where it is stored.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Where.
    pub key: Key,
    /// What.
    pub object: Arc<Value>,
}

/// The objects of a store, indexed. Objects without a uid are not in it.
#[derive(Debug, Clone, Default)]
pub struct View {
    objects: BTreeMap<String, Seen>,
    dependents: BTreeMap<String, BTreeSet<String>>,
    marks: BTreeMap<Mark, BTreeSet<String>>,
}

/// By what pods and Services find each other: namespace, and one label with its value. A pod is under each of its
/// labels, a Service under the first of its selector.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    plural: &'static str,
    namespace: String,
    label: String,
    value: String,
}

const PODS: &str = "pods";
const SERVICES: &str = "services";

fn marks(plural: &'static str, key: &Key, object: &Value) -> Vec<Mark> {
    let labels = |pointer: &str| object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
    let mark = |(label, value): (&String, &Value)| Mark {
        plural,
        namespace: key.namespace.clone(),
        label: label.clone(),
        value: value.as_str().unwrap_or_default().to_owned(),
    };
    match plural {
        PODS => labels("/metadata/labels").map(mark).collect(),
        _ => labels("/spec/selector").map(mark).take(1).collect(),
    }
}

fn own_marks(key: &Key, object: &Value) -> Vec<Mark> {
    match (key.resource.group.as_str(), key.resource.plural.as_str()) {
        ("", PODS) => marks(PODS, key, object),
        ("", SERVICES) => marks(SERVICES, key, object),
        _ => Vec::new(),
    }
}

impl View {
    /// The object with this uid.
    #[must_use]
    pub fn get(&self, uid: &str) -> Option<&Seen> {
        self.objects.get(uid)
    }

    /// The uids of all objects, in order.
    pub fn uids(&self) -> impl Iterator<Item = &String> {
        self.objects.keys()
    }

    /// The objects that name this uid as an owner, in order of their uids.
    pub fn dependents(&self, owner: &str) -> impl Iterator<Item = &Seen> {
        self.dependents.get(owner).into_iter().flatten().filter_map(|uid| self.objects.get(uid))
    }

    /// The objects of a kind that this uid controls.
    pub fn controlled<'a>(&'a self, owner: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        let controls = move |object: &Value| controller(object) == Some(owner) && text(object, "/kind") == kind;
        self.dependents(owner).map(|seen| seen.object.as_ref()).filter(move |object| controls(object))
    }

    /// The pods that may be selected by a Service: they have the first label of its selector.
    #[must_use]
    pub fn candidates(&self, service: &Seen) -> Vec<&Value> {
        let wanted =
            marks(SERVICES, &service.key, &service.object).into_iter().map(|mark| Mark { plural: PODS, ..mark });
        self.under(wanted)
    }

    /// The Services that may select a pod: the first label of their selector is one of its labels.
    #[must_use]
    pub fn selectors(&self, key: &Key, pod: &Value) -> Vec<&Value> {
        self.under(marks(PODS, key, pod).into_iter().map(|mark| Mark { plural: SERVICES, ..mark }))
    }

    fn under(&self, marks: impl Iterator<Item = Mark>) -> Vec<&Value> {
        let uids = marks.filter_map(|mark| self.marks.get(&mark)).flatten();
        uids.filter_map(|uid| self.objects.get(uid)).map(|seen| seen.object.as_ref()).collect()
    }

    /// Takes a change in.
    pub fn absorb(&mut self, change: &Change) {
        if let Some(previous) = &change.previous {
            self.forget(uid(previous));
        }
        if change.kind != ChangeKind::Deleted {
            self.insert(&change.key, &change.object);
        }
    }

    /// Adds an object, or replaces the one with its uid.
    pub fn insert(&mut self, key: &Key, object: &Arc<Value>) {
        let id = uid(object).to_owned();
        if id.is_empty() {
            return;
        }
        self.forget(&id);
        for owner in owners(object) {
            self.dependents.entry(owner.to_owned()).or_default().insert(id.clone());
        }
        for mark in own_marks(key, object) {
            self.marks.entry(mark).or_default().insert(id.clone());
        }
        self.objects.insert(id, Seen { key: key.clone(), object: Arc::clone(object) });
    }

    fn forget(&mut self, id: &str) {
        let Some(gone) = self.objects.remove(id) else { return };
        for owner in owners(&gone.object) {
            remove(&mut self.dependents, &owner.to_owned(), id);
        }
        for mark in own_marks(&gone.key, &gone.object) {
            remove(&mut self.marks, &mark, id);
        }
    }
}

/// Removes a member of a set, and the set when it is left empty.
fn remove<K: Ord>(sets: &mut BTreeMap<K, BTreeSet<String>>, key: &K, member: &str) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(member);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

/// The uids that an object names as its owners.
pub(crate) fn owners(object: &Value) -> impl Iterator<Item = &str> {
    list(object, "/metadata/ownerReferences").iter().map(|owner| text(owner, "/uid"))
}

/// The uid of the owner that controls an object.
pub(crate) fn controller(object: &Value) -> Option<&str> {
    let owner = list(object, "/metadata/ownerReferences").iter().find(|owner| owner["controller"] == true)?;
    Some(text(owner, "/uid"))
}
