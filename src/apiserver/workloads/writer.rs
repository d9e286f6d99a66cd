//! Writes of controllers to the store, with what the API server adds to objects.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::parts::{is_ending, list, name, namespace, number, pick, put, text, uid};
use super::view::View;
use super::write::Write;
use crate::apiserver::kinds::Kinds;
use crate::apiserver::store::{Key, Store, StoreError, revision_of};
use crate::domain::krm::{ApplyOptions, Gvk, update};
use crate::domain::time::rfc3339_seconds;

/// The finalizer that holds an object until what it owns is gone.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";

/// Writes for one controller, under its field manager.
pub(crate) struct Writer {
    pub(crate) store: Store,
    pub(crate) kinds: Arc<Kinds>,
    pub(crate) manager: &'static str,
}

impl Writer {
    /// Carries a write out. What lost a race did nothing: its cause is on its way as a change.
    ///
    /// # Errors
    /// [`StoreError::Journal`] when the disk failed.
    pub(crate) fn write(&self, write: Write, view: &View, now: Timestamp) -> Result<(), StoreError> {
        let key = |object: &Value| view.get(uid(object)).map(|seen| seen.key.clone());
        let done = match write {
            Write::Create(object) => self.create(object, now),
            Write::Update(object) => key(&object).map_or(Ok(()), |key| self.update(&key, object, now)),
            Write::Status(object) => key(&object).map_or(Ok(()), |key| self.status(&key, &object, now)),
            Write::Delete { object, foreground } => {
                key(&object).map_or(Ok(()), |key| self.delete(&key, uid(&object), foreground, now))
            }
        };
        match done {
            Err(error @ StoreError::Journal { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    fn owned(&self, old: Option<&Value>, new: &Value, subresource: &str, now: Timestamp) -> Value {
        let options = ApplyOptions { manager: self.manager, force: false, subresource, now, reset: &[] };
        let gvk = Gvk::parse(text(new, "/apiVersion"), text(new, "/kind"));
        update(old, new, &options, self.kinds.merge_schema(&gvk))
    }

    fn create(&self, mut object: Value, now: Timestamp) -> Result<(), StoreError> {
        let gvk = Gvk::parse(text(&object, "/apiVersion"), text(&object, "/kind"));
        let Some(kind) = self.kinds.by_gvk(&gvk) else { return Ok(()) };
        let key = Key::new(&kind.stored_as, namespace(&object), name(&object));
        let seed = format!("{key}/{}", self.store.revision());
        put(&mut object, &["metadata", "uid"], json!(new_uid(&seed)));
        put(&mut object, &["metadata", "creationTimestamp"], json!(rfc3339_seconds(now)));
        if gvk.kind != "Event" {
            put(&mut object, &["metadata", "generation"], json!(1));
        }
        let object = self.owned(None, &object, "", now);
        self.store.create(&key, object).map(drop)
    }

    fn update(&self, key: &Key, mut object: Value, now: Timestamp) -> Result<(), StoreError> {
        let Some(live) = self.store.get(key) else { return Ok(()) };
        if is_ending(&object) && list(&object, "/metadata/finalizers").is_empty() {
            return self.store.delete(key, revision_of(&object)).map(drop);
        }
        if live.get("spec") != object.get("spec") {
            put(&mut object, &["metadata", "generation"], json!(number(&live, "/metadata/generation") + 1));
        }
        let expected = revision_of(&object);
        // A step that changes nothing must not be a change: it would be looked at again for ever.
        if *live == object {
            return Ok(());
        }
        self.store.update(key, self.owned(Some(&live), &object, "", now), expected).map(drop)
    }

    fn status(&self, key: &Key, object: &Value, now: Timestamp) -> Result<(), StoreError> {
        let Some(live) = self.store.get(key).filter(|live| uid(live) == uid(object)) else { return Ok(()) };
        let mut next = live.as_ref().clone();
        put(&mut next, &["status"], object["status"].clone());
        let next = self.owned(Some(&live), &next, "status", now);
        self.store.update(key, next, revision_of(&live)).map(drop)
    }

    fn delete(&self, key: &Key, wanted: &str, foreground: bool, now: Timestamp) -> Result<(), StoreError> {
        let Some(live) = self.store.get(key).filter(|live| uid(live) == wanted && !is_ending(live)) else {
            return Ok(());
        };
        let mut next = live.as_ref().clone();
        if foreground {
            let mut finalizers = list(&live, "/metadata/finalizers").to_vec();
            finalizers.push(json!(FOREGROUND));
            put(&mut next, &["metadata", "finalizers"], json!(finalizers));
        }
        if list(&next, "/metadata/finalizers").is_empty() {
            return self.store.delete(key, revision_of(&live)).map(drop);
        }
        put(&mut next, &["metadata", "deletionTimestamp"], json!(rfc3339_seconds(now)));
        put(&mut next, &["metadata", "deletionGracePeriodSeconds"], json!(0));
        self.store.update(key, next, revision_of(&live)).map(drop)
    }
}

/// A uid in the form of a random UUID; the same for the same seed. Keys and revisions never repeat, so seeds do not.
fn new_uid(seed: &str) -> String {
    let part = |salt: &str| pick(&format!("{salt}{seed}"), u32::MAX);
    let (a, b, c, d) = (part("a"), part("b"), part("c"), part("d"));
    format!("{a:08x}-{:04x}-4{:03x}-8{:03x}-{c:08x}{:04x}", b >> 16, b & 0xfff, d >> 20, d & 0xffff)
}
