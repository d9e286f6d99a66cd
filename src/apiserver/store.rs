//! Versioned objects in memory: one writer lock, one revision for all, a bounded history from which watches read.
//!
//! The store is synchronous; its lock is never held across an await. Watches have no queues: each one is a position in
//! the history, so a slow one costs nothing and is told that it is too late when the history has moved on.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::watch;

use crate::apiserver::kinds::Resource;
use crate::apiserver::persist::{Journal, JournalError};

/// Changes that are remembered for watches, unless told otherwise.
pub const DEFAULT_HISTORY: usize = 8192;

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The resource under which it is stored.
    pub resource: Resource,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Key {
    /// A key from its parts.
    #[must_use]
    pub fn new(resource: &Resource, namespace: &str, name: &str) -> Self {
        Self { resource: resource.clone(), namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// The key of a namespace.
    #[must_use]
    pub fn of_namespace(name: &str) -> Self {
        Self::new(&Resource::new("", "namespaces"), "", name)
    }
}

impl fmt::Display for Key {
    /// `deployments.apps "core/upf"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.namespace.is_empty() { "" } else { "/" };
        write!(f, "{} \"{}{slash}{}\"", self.resource, self.namespace, self.name)
    }
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is another one than before.
    Modified,
    /// It is gone.
    Deleted,
}

/// One committed change.
#[derive(Debug, Clone)]
pub struct Change {
    /// The revision it led to.
    pub revision: u64,
    /// What happened.
    pub kind: ChangeKind,
    /// To which object.
    pub key: Key,
    /// The object after the change; of a deleted one its last state. `metadata.resourceVersion` is `revision`.
    pub object: Arc<Value>,
    /// The object before the change; none when it is new.
    pub previous: Option<Arc<Value>>,
}

/// Objects as they were at one revision, by namespace and name.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The revision.
    pub revision: u64,
    /// The objects.
    pub objects: Vec<Arc<Value>>,
}

/// What the store refuses.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing has this key.
    #[error("{0} not found")]
    NotFound(Key),
    /// The key is taken.
    #[error("{0} already exists")]
    Exists(Key),
    /// The object is not at the expected revision.
    #[error("{key} is at revision {found}, not at {expected}: read it again")]
    Stale {
        /// Which object.
        key: Key,
        /// The revision that the writer has seen.
        expected: u64,
        /// The revision that it is at.
        found: u64,
    },
    /// The namespace of a new object does not exist.
    #[error("namespaces \"{0}\" not found")]
    NoNamespace(String),
    /// The namespace of a new object is being deleted.
    #[error("namespace {0} is being terminated")]
    NamespaceTerminating(String),
    /// The history does not reach back that far.
    #[error("too old resource version: {asked} ({oldest})")]
    TooOld {
        /// The revision asked for.
        asked: u64,
        /// The oldest one that can be answered.
        oldest: u64,
    },
    /// The change could not be written to disk; nothing changed.
    #[error("writing the change of {key} to the journal: {source}")]
    Journal {
        /// Which object.
        key: Key,
        /// Why.
        source: Box<JournalError>,
    },
}

type Objects = BTreeMap<Resource, BTreeMap<String, BTreeMap<String, Arc<Value>>>>;

struct State {
    revision: u64,
    objects: Objects,
    history: VecDeque<Arc<Change>>,
    /// The revision before the first change in the history.
    floor: u64,
    capacity: usize,
    journal: Option<Journal>,
}

struct Shared {
    state: Mutex<State>,
    moved: watch::Sender<u64>,
}

/// The objects of one server; clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

impl Store {
    /// An empty store that remembers `history` changes (at least one).
    #[must_use]
    pub fn new(history: usize) -> Self {
        Self::with(0, Objects::new(), history, None)
    }

    /// A store that goes on where its journal ends. The history starts empty: watches from before are told so.
    ///
    /// # Errors
    /// [`JournalError`] when the journal cannot be read.
    pub fn restore(journal: Journal, history: usize) -> Result<Self, JournalError> {
        let (revision, entries) = journal.read()?;
        let mut objects = Objects::new();
        for (key, object) in entries {
            place(&mut objects, &key, Some(Arc::new(object)));
        }
        Ok(Self::with(revision, objects, history, Some(journal)))
    }

    fn with(revision: u64, objects: Objects, history: usize, journal: Option<Journal>) -> Self {
        let capacity = history.max(1);
        let state = State { revision, objects, history: VecDeque::new(), floor: revision, capacity, journal };
        Self(Arc::new(Shared { state: Mutex::new(state), moved: watch::Sender::new(revision) }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held cannot leave half a change: the state is written last, in one go.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The current revision.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.state().revision
    }

    /// The object at a key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Value>> {
        self.state().get(key).cloned()
    }

    /// All objects of a resource, in one namespace or in all.
    #[must_use]
    pub fn list(&self, resource: &Resource, namespace: Option<&str>) -> Snapshot {
        let state = self.state();
        Snapshot { revision: state.revision, objects: state.select(resource, namespace).map(|(_, o)| o).collect() }
    }

    /// All objects of a resource as they were at an older revision.
    ///
    /// # Errors
    /// [`StoreError::TooOld`] when the history does not reach back that far.
    pub fn list_at(&self, resource: &Resource, namespace: Option<&str>, revision: u64) -> Result<Snapshot, StoreError> {
        let state = self.state();
        state.check_age(revision)?;
        let mut objects: BTreeMap<(String, String), Arc<Value>> = state.select(resource, namespace).collect();
        let concerns = |key: &Key| key.resource == *resource && namespace.is_none_or(|n| n == key.namespace);
        for change in state.history.iter().rev().take_while(|change| change.revision > revision) {
            let place = (change.key.namespace.clone(), change.key.name.clone());
            match &change.previous {
                _ if !concerns(&change.key) => None,
                Some(previous) => objects.insert(place, Arc::clone(previous)),
                None => objects.remove(&place),
            };
        }
        Ok(Snapshot { revision: revision.min(state.revision), objects: objects.into_values().collect() })
    }

    /// Whether a resource has objects in a namespace.
    #[must_use]
    pub fn holds(&self, resource: &Resource, namespace: &str) -> bool {
        self.state().select(resource, Some(namespace)).next().is_some()
    }

    /// The resources that have objects.
    #[must_use]
    pub fn resources(&self) -> Vec<Resource> {
        self.state().objects.keys().cloned().collect()
    }

    /// Stores a new object. Its namespace, if it has one, must exist and not be on its way out.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::NoNamespace`], [`StoreError::NamespaceTerminating`],
    /// [`StoreError::Journal`].
    pub fn create(&self, key: &Key, object: Value) -> Result<Arc<Value>, StoreError> {
        self.commit(|state| {
            state.check_namespace(&key.namespace)?;
            match state.get(key) {
                Some(_) => Err(StoreError::Exists(key.clone())),
                None => state.put(ChangeKind::Added, key, object, None),
            }
        })
    }

    /// Replaces an object that is at revision `expected`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Stale`], [`StoreError::Journal`].
    pub fn update(&self, key: &Key, object: Value, expected: u64) -> Result<Arc<Value>, StoreError> {
        self.commit(|state| {
            let previous = state.expect(key, expected)?;
            state.put(ChangeKind::Modified, key, object, Some(previous))
        })
    }

    /// Removes an object that is at revision `expected`; gives its last state, at the new revision.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Stale`], [`StoreError::Journal`].
    pub fn delete(&self, key: &Key, expected: u64) -> Result<Arc<Value>, StoreError> {
        self.commit(|state| {
            let previous = state.expect(key, expected)?;
            state.put(ChangeKind::Deleted, key, previous.as_ref().clone(), Some(previous))
        })
    }

    fn commit<T>(&self, act: impl FnOnce(&mut State) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut state = self.state();
        let done = act(&mut state)?;
        self.0.moved.send_replace(state.revision);
        Ok(done)
    }

    /// The changes after `revision`, of one resource or of all, and the revision that they reach up to.
    ///
    /// # Errors
    /// [`StoreError::TooOld`] when the history does not reach back that far.
    pub fn since(&self, resource: Option<&Resource>, revision: u64) -> Result<(Vec<Arc<Change>>, u64), StoreError> {
        self.next_since(resource, revision, usize::MAX)
    }

    /// The first changes after `revision`, at most so many.
    fn next_since(
        &self,
        resource: Option<&Resource>,
        revision: u64,
        most: usize,
    ) -> Result<(Vec<Arc<Change>>, u64), StoreError> {
        let state = self.state();
        state.check_age(revision)?;
        let start = state.history.partition_point(|change| change.revision <= revision);
        let wanted = |change: &&Arc<Change>| resource.is_none_or(|resource| change.key.resource == *resource);
        let found: Vec<Arc<Change>> = state.history.range(start..).filter(wanted).take(most).cloned().collect();
        let seen = found.last().filter(|_| found.len() == most).map(|last| last.revision);
        Ok((found, seen.unwrap_or_else(|| state.revision.max(revision))))
    }

    /// Follows the changes after `revision`, of one resource or of all.
    #[must_use]
    pub fn changes(&self, resource: Option<Resource>, revision: u64) -> Changes {
        Changes { moved: self.0.moved.subscribe(), store: self.clone(), resource, seen: revision }
    }

    /// Forgets the history, as a compaction of etcd does: older watches and continued lists are told that they are too
    /// old.
    pub fn compact(&self) {
        let mut state = self.state();
        state.history.clear();
        state.floor = state.revision;
    }
}

impl State {
    fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.objects.get(&key.resource)?.get(&key.namespace)?.get(&key.name)
    }

    fn select<'a>(
        &'a self,
        resource: &Resource,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = ((String, String), Arc<Value>)> {
        let namespaces = self.objects.get(resource).into_iter().flatten();
        let namespaces = namespaces.filter(move |(found, _)| namespace.is_none_or(|wanted| wanted == **found));
        namespaces.flat_map(|(namespace, objects)| {
            objects.iter().map(|(name, object)| ((namespace.clone(), name.clone()), Arc::clone(object)))
        })
    }

    fn expect(&self, key: &Key, expected: u64) -> Result<Arc<Value>, StoreError> {
        let object = self.get(key).ok_or_else(|| StoreError::NotFound(key.clone()))?;
        let found = revision_of(object);
        if found == expected {
            return Ok(Arc::clone(object));
        }
        Err(StoreError::Stale { key: key.clone(), expected, found })
    }

    fn check_namespace(&self, namespace: &str) -> Result<(), StoreError> {
        if namespace.is_empty() {
            return Ok(());
        }
        let found = self.get(&Key::of_namespace(namespace));
        let found = found.ok_or_else(|| StoreError::NoNamespace(namespace.to_owned()))?;
        match found.pointer("/metadata/deletionTimestamp") {
            None => Ok(()),
            Some(_) => Err(StoreError::NamespaceTerminating(namespace.to_owned())),
        }
    }

    fn check_age(&self, asked: u64) -> Result<(), StoreError> {
        let oldest = self.floor;
        if asked >= oldest { Ok(()) } else { Err(StoreError::TooOld { asked, oldest }) }
    }

    fn put(
        &mut self,
        kind: ChangeKind,
        key: &Key,
        mut object: Value,
        previous: Option<Arc<Value>>,
    ) -> Result<Arc<Value>, StoreError> {
        let revision = self.revision + 1;
        object["metadata"]["resourceVersion"] = Value::String(revision.to_string());
        let object = Arc::new(object);
        let kept = (kind != ChangeKind::Deleted).then(|| Arc::clone(&object));
        if let Some(journal) = &self.journal {
            let written = journal.write(revision, key, kept.as_deref());
            written.map_err(|source| StoreError::Journal { key: key.clone(), source: Box::new(source) })?;
        }
        place(&mut self.objects, key, kept);
        self.revision = revision;
        self.remember(Change { revision, kind, key: key.clone(), object: Arc::clone(&object), previous });
        Ok(object)
    }

    fn remember(&mut self, change: Change) {
        if self.history.len() == self.capacity
            && let Some(forgotten) = self.history.pop_front()
        {
            self.floor = forgotten.revision;
        }
        self.history.push_back(Arc::new(change));
    }
}

/// Puts an object at a key, or nothing; empty maps go.
fn place(objects: &mut Objects, key: &Key, object: Option<Arc<Value>>) {
    if let Some(object) = object {
        let namespaces = objects.entry(key.resource.clone()).or_default();
        namespaces.entry(key.namespace.clone()).or_default().insert(key.name.clone(), object);
        return;
    }
    let Some(namespaces) = objects.get_mut(&key.resource) else { return };
    let Some(names) = namespaces.get_mut(&key.namespace) else { return };
    names.remove(&key.name);
    if names.is_empty() {
        namespaces.remove(&key.namespace);
    }
    if namespaces.is_empty() {
        objects.remove(&key.resource);
    }
}

/// The `metadata.resourceVersion` of a stored object.
#[must_use]
pub fn revision_of(object: &Value) -> u64 {
    let text = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// A position in the history that moves on as it is read. Dropping it costs nothing.
#[derive(Debug)]
pub struct Changes {
    store: Store,
    resource: Option<Resource>,
    seen: u64,
    moved: watch::Receiver<u64>,
}

impl Changes {
    /// The revision up to which everything was given out.
    #[must_use]
    pub const fn seen(&self) -> u64 {
        self.seen
    }

    /// Waits until there are changes and gives all of them, oldest first. Safe to cancel: nothing is lost.
    ///
    /// # Errors
    /// [`StoreError::TooOld`] when it came too late: list again and follow from there ([`Store::changes`]).
    pub async fn next(&mut self) -> Result<Vec<Arc<Change>>, StoreError> {
        self.next_few(usize::MAX).await
    }

    /// As [`Changes::next`], but gives at most so many (one or more).
    ///
    /// # Errors
    /// [`StoreError::TooOld`].
    pub async fn next_few(&mut self, most: usize) -> Result<Vec<Arc<Change>>, StoreError> {
        loop {
            self.moved.mark_unchanged();
            let (changes, seen) = self.store.next_since(self.resource.as_ref(), self.seen, most)?;
            self.seen = seen;
            if !changes.is_empty() {
                return Ok(changes);
            }
            // The sender lives as long as the store that we hold.
            let _closed = self.moved.changed().await;
        }
    }
}

#[cfg(test)]
mod tests;
