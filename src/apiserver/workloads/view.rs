//! All objects as a controller sees them: by uid, by owner, by place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::parts::{list, text, uid};
use crate::apiserver::kinds::Resource;
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
    places: BTreeMap<(Resource, String), BTreeSet<String>>,
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

    /// The objects of a resource in a namespace, in order of their uids.
    pub fn at<'a>(&'a self, resource: &Resource, namespace: &str) -> impl Iterator<Item = &'a Seen> + use<'a> {
        let place = (resource.clone(), namespace.to_owned());
        self.places.get(&place).into_iter().flatten().filter_map(|uid| self.objects.get(uid))
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
        self.places.entry((key.resource.clone(), key.namespace.clone())).or_default().insert(id.clone());
        self.objects.insert(id, Seen { key: key.clone(), object: Arc::clone(object) });
    }

    fn forget(&mut self, id: &str) {
        let Some(gone) = self.objects.remove(id) else { return };
        for owner in owners(&gone.object) {
            remove(&mut self.dependents, &owner.to_owned(), id);
        }
        remove(&mut self.places, &(gone.key.resource, gone.key.namespace), id);
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
