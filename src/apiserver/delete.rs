//! Deleting objects: preconditions, propagation, finalizers.
//!
//! Source: `DeleteOptions` of the Kubernetes API reference and the generic registry's `Delete`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::apiserver::core::{Core, Writer, crds};
use crate::apiserver::kinds::Resource;
use crate::apiserver::life::CRD_CLEANUP;
use crate::apiserver::metadata;
use crate::apiserver::route::{Part, Target};
use crate::apiserver::status::ApiError;
use crate::apiserver::store::{Key, revision_of};
use crate::apiserver::write::may_go;
use crate::domain::time::rfc3339_seconds;

/// The finalizer that leaves dependants alone.
pub const ORPHAN: &str = "orphan";
/// The finalizer that waits for dependants to go.
pub const FOREGROUND: &str = "foregroundDeletion";

/// Namespaces that stay.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// How often a deletion is tried again after somebody else changed the object.
const ATTEMPTS: usize = 10;

/// What happens to the dependants of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// They go after it.
    #[default]
    Background,
    /// They go before it.
    Foreground,
    /// They stay.
    Orphan,
}

/// How to delete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Only the object with this uid.
    pub uid: Option<String>,
    /// Only at this revision.
    pub resource_version: Option<String>,
    /// What happens to dependants; none means in background, and that finalizers that are there stay.
    pub propagation: Option<Propagation>,
    /// What happens to them when neither the request nor a finalizer of the object says it; none means in background.
    pub by_default: Option<Propagation>,
    /// Say what would be, change nothing.
    pub dry_run: bool,
}

/// The outcome of a deletion.
#[derive(Debug, Clone)]
pub struct Deleted {
    /// The last state of the object, or the present one when it is still there.
    pub object: Arc<Value>,
    /// Whether it is gone; otherwise finalizers hold it.
    pub gone: bool,
}

impl Core {
    /// Deletes an object, or marks it when finalizers hold it.
    ///
    /// # Errors
    /// 404 when it is not there, 409 when a precondition fails.
    pub fn delete(&self, target: &Target, name: &str, options: &DeleteOptions) -> Result<Deleted, ApiError> {
        if target.kind.stored_as == Key::of_namespace("").resource && IMMORTAL.contains(&name) {
            return Err(ApiError::forbidden(&target.resource(), name, "this namespace may not be deleted"));
        }
        let mut last = ApiError::modified(&target.resource(), name);
        for _ in 0..ATTEMPTS {
            match self.delete_once(target, name, options) {
                Err(error) if error.is_stale_write() => last = error,
                done => return done,
            }
        }
        Err(last)
    }

    fn delete_once(&self, target: &Target, name: &str, options: &DeleteOptions) -> Result<Deleted, ApiError> {
        let key = target.key(name);
        let found = self.store().get(&key).ok_or_else(|| ApiError::not_found(&target.resource(), name))?;
        check_preconditions(target, name, &found, options)?;
        let mut object = found.as_ref().clone();
        if target.kind.stored_as == crds() && !metadata::is_terminating(&object) {
            mark_crd(&mut object, &rfc3339_seconds(self.now()));
        } else {
            let by_default = options.by_default.filter(|_| !says_propagation(&object));
            propagate(&mut object, options.propagation.or(by_default));
        }
        if !metadata::is_terminating(&object) {
            metadata::mark_terminating(&mut object, self.now());
            if target.kind.stored_as == Key::of_namespace("").resource {
                object["status"]["phase"] = Value::from("Terminating");
            }
        }
        let gone = may_go(&object);
        if options.dry_run {
            let is_marked = !gone || target.kind.resource() == Resource::new("", "pods");
            return Ok(Deleted { object: if is_marked { Arc::new(object) } else { found }, gone });
        }
        let refuse = |error| ApiError::from_store(error, &target.resource(), name);
        let marks = target.kind.resource() == Resource::new("", "pods") && !metadata::is_terminating(&found);
        let object = if gone && marks {
            // Pods go by way of a mark, even when at once.
            let marked = self.store().update(&key, object, revision_of(&found)).map_err(refuse)?;
            self.store().delete(&key, revision_of(&marked)).map_err(refuse)?
        } else if gone {
            self.store().delete(&key, revision_of(&found)).map_err(refuse)?
        } else if object == *found {
            found
        } else {
            self.store().update(&key, object, revision_of(&found)).map_err(refuse)?
        };
        self.follow(&key);
        Ok(Deleted { object, gone })
    }

    /// Deletes an object of the kind that it names; a [`Core::delete`] for the server's own controllers.
    ///
    /// # Errors
    /// As [`Core::delete`].
    pub fn delete_object(&self, object: &Value, options: &DeleteOptions) -> Result<Deleted, ApiError> {
        let kind = self.kind_of(object)?;
        let namespace = kind.namespaced.then(|| metadata::text(object, "namespace").to_owned());
        let name = metadata::text(object, "name");
        self.delete(&Target { kind, namespace, name: None, part: Part::Whole }, name, options)
    }

    /// Takes a finalizer off an object of the kind that it names; the object goes when that was the last one.
    ///
    /// # Errors
    /// 404 when it is not there.
    pub fn remove_finalizer(&self, object: &Value, finalizer: &str, writer: &Writer) -> Result<(), ApiError> {
        let kind = self.kind_of(object)?;
        let namespace = kind.namespaced.then(|| metadata::text(object, "namespace").to_owned());
        let target = Target { kind, namespace, name: None, part: Part::Whole };
        let edit = |old: &Value| {
            let mut new = old.clone();
            metadata::remove_finalizer(&mut new, finalizer);
            Ok(new)
        };
        self.edit(&target, metadata::text(object, "name"), writer, edit).map(drop)
    }
}

/// As `BeforeDelete` of the generic registry words it: by kind, not by resource. Namespaces and CRDs have their own
/// words.
fn check_preconditions(target: &Target, name: &str, found: &Value, options: &DeleteOptions) -> Result<(), ApiError> {
    let has_own_words = target.kind.gvk.kind == "Namespace" && target.kind.gvk.group.is_empty();
    let has_own_words = has_own_words || target.kind.stored_as == crds();
    let about =
        if has_own_words { target.resource() } else { Resource::new(&target.kind.gvk.group, &target.kind.gvk.kind) };
    let differs = |wanted: Option<&String>, field: &str, word: &str, since: &str| {
        let has = metadata::text(found, field);
        let wanted = wanted.filter(|wanted| *wanted != has)?;
        if has_own_words {
            let why = format!("Precondition failed: {word} in precondition: {wanted}, {word} in object meta: {has}");
            return Some(ApiError::conflict(&about, name, &why));
        }
        let why = format!(
            "the {word} in the precondition ({wanted}) does not match the {word} in record ({has}). The object might have been {since}"
        );
        Some(ApiError::conflict(&about, name, &why))
    };
    let uid = differs(options.uid.as_ref(), "uid", "UID", "deleted and then recreated");
    let version = || differs(options.resource_version.as_ref(), "resourceVersion", "ResourceVersion", "modified");
    uid.or_else(version).map_or(Ok(()), Err)
}

/// A definition on its way out says so in its status; its objects go first.
fn mark_crd(crd: &mut Value, at: &str) {
    metadata::set(crd, "deletionTimestamp", json!(at));
    metadata::add_finalizer(crd, CRD_CLEANUP);
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    let condition = json!({
        "type": "Terminating", "status": "True", "reason": "InstanceDeletionPending", "message": message,
        "lastTransitionTime": at,
    });
    if let Some(conditions) = crd.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        conditions.push(condition);
    }
}

/// Whether a finalizer says what happens to dependants.
fn says_propagation(object: &Value) -> bool {
    metadata::finalizers(object).iter().any(|name| [ORPHAN, FOREGROUND].contains(name))
}

fn propagate(object: &mut Value, propagation: Option<Propagation>) {
    let (add, remove): (&[&str], &[&str]) = match propagation {
        None => return,
        Some(Propagation::Background) => (&[], &[ORPHAN, FOREGROUND]),
        Some(Propagation::Foreground) => (&[FOREGROUND], &[ORPHAN]),
        Some(Propagation::Orphan) => (&[ORPHAN], &[FOREGROUND]),
    };
    for name in remove {
        metadata::remove_finalizer(object, name);
    }
    for name in add {
        metadata::add_finalizer(object, name);
    }
}
