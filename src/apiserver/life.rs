//! What follows from a change: CRDs bring and take kinds, namespaces and CRDs on their way out take their content
//! along.
//!
//! It happens within the request that caused it, so a client that saw the answer sees its consequences.

use serde_json::{Value, json};

use crate::apiserver::core::{Core, Writer, crds};
use crate::apiserver::delete::DeleteOptions;
use crate::apiserver::kinds::Resource;
use crate::apiserver::metadata;
use crate::apiserver::route::{Part, Target};
use crate::apiserver::status::ApiError;
use crate::apiserver::store::Key;
use crate::domain::time::rfc3339_seconds;

/// The finalizer by which a CRD waits for its objects to go.
pub(super) const CRD_CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
const SYSTEM: &str = "kube-apiserver";

impl Core {
    /// Does what follows from a change of the object at `key`. Nothing of it can fail for reasons of the caller: what
    /// could not be done now is done with the next change in the same place.
    pub(super) fn follow(&self, key: &Key) {
        let object = self.store().get(key);
        if key.resource == crds() {
            self.follow_crd(key, object.as_deref());
        } else if key.resource == Key::of_namespace("").resource {
            if object.as_deref().is_some_and(metadata::is_terminating) {
                self.empty_namespace(&key.name);
            }
        } else if object.is_none() {
            self.follow_deletion(key);
        }
    }

    fn follow_deletion(&self, key: &Key) {
        let waits = |owner: &Key| {
            let terminating = self.store().get(owner).as_deref().is_some_and(metadata::is_terminating);
            terminating && !self.emptying().contains(owner)
        };
        if !key.namespace.is_empty() && waits(&Key::of_namespace(&key.namespace)) {
            self.finish_namespace(&key.namespace);
        }
        let crd = Key::new(&crds(), "", &key.resource.to_string());
        if waits(&crd) {
            self.finish_crd(&crd);
        }
    }

    fn empty_namespace(&self, namespace: &str) {
        let all = || self.store().resources().iter().for_each(|resource| self.delete_all(resource, Some(namespace)));
        if self.empty(&Key::of_namespace(namespace), all) {
            self.finish_namespace(namespace);
        }
    }

    /// Takes the content of a namespace or CRD away. What follows of each object that goes is left to the caller, once,
    /// after the last; so it says whether it was done: not while it is under way.
    fn empty(&self, owner: &Key, delete: impl FnOnce()) -> bool {
        if !self.emptying().insert(owner.clone()) {
            return false;
        }
        delete();
        self.emptying().remove(owner);
        true
    }

    fn delete_all(&self, resource: &Resource, namespace: Option<&str>) {
        for object in self.store().list(resource, namespace).objects {
            if !metadata::is_terminating(&object) {
                // Gone already, by another request: what was wanted.
                let _done = self.delete_object(&object, &DeleteOptions::default());
            }
        }
    }

    fn finish_namespace(&self, name: &str) {
        let held = self.store().resources().into_iter().filter(|resource| self.store().holds(resource, name)).count();
        let edit = |old: &Value| {
            let mut new = old.clone();
            if held == 0 {
                new["spec"]["finalizers"] = json!([]);
            }
            Ok(new)
        };
        if held == 0 {
            let target = self.target(&Key::of_namespace(name), Part::Finalize);
            let _gone = target.and_then(|target| self.edit(&target, name, &Writer::named(SYSTEM), edit));
        } else {
            self.tell_what_holds(name);
        }
    }

    /// Sets the condition by which people see what keeps a namespace.
    fn tell_what_holds(&self, name: &str) {
        let mut held: Vec<String> = Vec::new();
        for resource in self.store().resources() {
            let count = self.store().list(&resource, Some(name)).objects.len();
            if count > 0 {
                held.push(format!("{resource} has {count} resource instances"));
            }
        }
        let at = rfc3339_seconds(self.now());
        let condition = json!({
            "type": "NamespaceContentRemaining", "status": "True", "reason": "SomeResourcesRemain", "lastTransitionTime": at,
            "message": format!("Some resources are remaining: {}", held.join(", ")),
        });
        let edit = |old: &Value| {
            let mut new = old.clone();
            let message = new.pointer("/status/conditions/0/message");
            if message != condition.get("message") {
                new["status"]["conditions"] = json!([condition]);
            }
            Ok(new)
        };
        let target = self.target(&Key::of_namespace(name), Part::Status);
        let _gone = target.and_then(|target| self.edit(&target, name, &Writer::named(SYSTEM), edit));
    }

    fn target(&self, key: &Key, part: Part) -> Result<Target, ApiError> {
        let kind = self.kinds().stored(&key.resource).cloned().ok_or_else(ApiError::no_such_path)?;
        let namespace = kind.namespaced.then(|| key.namespace.clone());
        Ok(Target { kind, namespace, name: Some(key.name.clone()), part })
    }

    fn follow_crd(&self, key: &Key, crd: Option<&Value>) {
        match crd {
            None => drop(self.change_kinds(|kinds| {
                kinds.remove_crd(&key.name);
                Ok::<(), ApiError>(())
            })),
            Some(crd) if metadata::is_terminating(crd) => {
                if self.empty(key, || self.delete_all(&served(crd), None)) {
                    self.finish_crd(key);
                }
            }
            Some(crd) => self.establish(key, crd),
        }
    }

    fn finish_crd(&self, key: &Key) {
        let Some(crd) = self.store().get(key) else { return };
        if self.store().list(&served(&crd), None).objects.is_empty() {
            let _gone = self.remove_finalizer(&crd, CRD_CLEANUP, &Writer::named(SYSTEM));
        }
    }

    /// Serves what a CRD declares, and says so in its status.
    fn establish(&self, key: &Key, crd: &Value) {
        let read = self.change_kinds(|kinds| kinds.add_crd(crd));
        let status = crd_status(crd, read.err().map(|error| error.to_string()), &rfc3339_seconds(self.now()));
        let writer = Writer::named(SYSTEM);
        if let Ok(target) = self.target(key, Part::Status) {
            let _gone = self.edit(&target, &key.name, &writer, |old| {
                let mut new = old.clone();
                new["status"] = status.clone();
                Ok(new)
            });
        }
    }
}

fn served(crd: &Value) -> Resource {
    let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    Resource::new(text("/spec/group"), text("/spec/names/plural"))
}

/// The status of a CRD; a condition that was there with the same status keeps its time.
fn crd_status(crd: &Value, fault: Option<String>, at: &str) -> Value {
    let before = crd.pointer("/status/conditions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        let old = before.iter().find(|old| old["type"] == kind && old["status"] == status);
        let since = old.and_then(|old| old.get("lastTransitionTime")).cloned().unwrap_or_else(|| json!(at));
        json!({"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since})
    };
    let accepted = condition("NamesAccepted", "True", "NoConflicts", "no conflicts found");
    let conditions = match fault {
        None => {
            let established = "the initial names have been accepted";
            json!([accepted, condition("Established", "True", "InitialNamesAccepted", established)])
        }
        Some(fault) => json!([
            accepted,
            condition("Established", "False", "Installing", "the schema cannot be read"),
            condition("NonStructuralSchema", "True", "Violations", &fault)
        ]),
    };
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let storing = versions.filter(|version| version["storage"] == true).map(|version| version["name"].clone());
    let mut stored: Vec<Value> =
        crd.pointer("/status/storedVersions").and_then(Value::as_array).cloned().unwrap_or_default();
    storing.for_each(|version| {
        if !stored.contains(&version) {
            stored.push(version);
        }
    });
    let names = crd.pointer("/spec/names").cloned().unwrap_or_default();
    json!({"acceptedNames": names, "conditions": conditions, "storedVersions": stored})
}
