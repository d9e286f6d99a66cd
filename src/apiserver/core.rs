//! The state of one server, and what every write of it shares.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use serde_json::Value;

use crate::apiserver::decode::FieldValidation;
use crate::apiserver::kinds::{Kind, Kinds, Resource};
use crate::apiserver::lines::Lines;
use crate::apiserver::metadata;
use crate::apiserver::persist::{Journal, JournalError};
use crate::apiserver::remarks::Sent;
use crate::apiserver::status::ApiError;
use crate::apiserver::store::{DEFAULT_HISTORY, Key, Store};
use crate::domain::krm::schema::CrdError;
use crate::domain::krm::{Gvk, Path as FieldPath};
use crate::domain::time::Timestamp;

/// Where the time comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Who writes, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// Field manager.
    pub manager: String,
    /// Say what would be, change nothing.
    pub dry_run: bool,
    /// What to do about unknown fields.
    pub validation: FieldValidation,
    /// Take over fields of other managers; for applies only.
    pub force: bool,
    /// What is to be said about what is written beside what a reader of it finds: fields that it has twice.
    pub remarks: Vec<String>,
    /// What was sent, where the order of remarks about it is that of its fields.
    pub(super) sent: Option<Sent>,
}

impl Writer {
    /// A writer of this name that really writes.
    #[must_use]
    pub fn named(manager: &str) -> Self {
        let (manager, remarks) = (manager.to_owned(), Vec::new());
        Self { manager, dry_run: false, validation: FieldValidation::Ignore, force: false, remarks, sent: None }
    }

    /// The same writer, whose remarks have been made already.
    pub(super) fn once_told(&self) -> Self {
        Self { remarks: Vec::new(), sent: None, ..self.clone() }
    }
}

/// The outcome of a write.
#[derive(Debug, Clone)]
pub struct Written {
    /// The object as it is stored now (or would be).
    pub object: Arc<Value>,
    /// Whether it is new.
    pub created: bool,
    /// What the client should be warned of.
    pub warnings: Vec<String>,
}

impl Written {
    /// The same outcome, with something said before.
    pub(super) fn told(mut self, before: &[String]) -> Self {
        self.warnings.splice(..0, before.iter().cloned());
        self
    }
}

/// A data directory from which a server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal cannot be opened or read.
    #[error("opening the journal of the embedded API server: {0}")]
    Journal(#[from] JournalError),
    /// A stored CRD cannot be read.
    #[error("reading the stored kinds of the embedded API server: {0}")]
    Crd(#[from] CrdError),
    /// The first namespaces cannot be made.
    #[error("creating the default namespaces of the embedded API server: {0}")]
    Namespaces(#[from] ApiError),
}

/// The server without HTTP: objects, kinds and the rules by which they change. All methods are synchronous.
pub struct Core {
    name: String,
    store: Store,
    kinds: RwLock<Arc<Kinds>>,
    clock: Clock,
    serial: AtomicU64,
    lines: Lines,
    /// Namespaces and CRDs whose content is being deleted.
    emptying: Mutex<BTreeSet<Key>>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("name", &self.name).field("store", &self.store).finish_non_exhaustive()
    }
}

const FIRST_NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

impl Core {
    /// A server with the default namespaces, in memory or over a data directory.
    ///
    /// # Errors
    /// [`OpenError`] when the data directory cannot be used.
    pub fn open(name: &str, data_dir: Option<&Path>, clock: Clock) -> Result<Self, OpenError> {
        let store = match data_dir {
            Some(directory) => Store::restore(Journal::open(directory)?, DEFAULT_HISTORY)?,
            None => Store::new(DEFAULT_HISTORY),
        };
        let mut kinds = Kinds::builtin();
        for crd in store.list(&crds(), None).objects {
            kinds.add_crd(&crd)?;
        }
        let kinds = RwLock::new(Arc::new(kinds));
        let core = Self {
            name: name.to_owned(),
            store,
            kinds,
            clock,
            serial: AtomicU64::new(0),
            lines: Lines::default(),
            emptying: Mutex::default(),
        };
        core.create_namespaces()?;
        Ok(core)
    }

    fn create_namespaces(&self) -> Result<(), ApiError> {
        for name in FIRST_NAMESPACES {
            if self.store.get(&Key::of_namespace(name)).is_none() {
                let namespace =
                    serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
                self.create(namespace, &Writer::named("kube-apiserver"))?;
            }
        }
        Ok(())
    }

    /// The server's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The objects. Reading is free; write through the methods of [`Core`], which keep the rules.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The lines of events that watches share.
    pub(super) const fn lines(&self) -> &Lines {
        &self.lines
    }

    /// Namespaces and CRDs whose content is being deleted.
    pub(super) fn emptying(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.emptying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kinds as they are now.
    #[must_use]
    pub fn kinds(&self) -> Arc<Kinds> {
        Arc::clone(&self.kinds.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the kinds as a whole.
    pub(super) fn change_kinds<E>(&self, change: impl FnOnce(&mut Kinds) -> Result<(), E>) -> Result<(), E> {
        let mut kinds = self.kinds.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = kinds.as_ref().clone();
        change(&mut next)?;
        *kinds = Arc::new(next);
        drop(kinds);
        self.lines.clear();
        Ok(())
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// A seed that no other call on this server gets.
    pub(super) fn seed(&self, about: &str) -> String {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        format!("{}/{about}/{}/{serial}/{}", self.name, self.store.revision(), self.now().as_nanosecond())
    }

    /// The kind of an object.
    ///
    /// # Errors
    /// 404 when it is not known.
    pub fn kind_of(&self, object: &Value) -> Result<Arc<Kind>, ApiError> {
        let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
        let gvk = Gvk::parse(text("apiVersion"), text("kind"));
        self.kinds().by_gvk(&gvk).cloned().ok_or_else(ApiError::no_such_path)
    }

    /// The storage version of a kind.
    pub(super) fn storage_of(&self, kind: &Arc<Kind>) -> Arc<Kind> {
        if kind.storage {
            return Arc::clone(kind);
        }
        self.kinds().stored(&kind.stored_as).map_or_else(|| Arc::clone(kind), Arc::clone)
    }

    /// The key of an object of a kind.
    #[must_use]
    pub fn key_of(kind: &Kind, object: &Value) -> Key {
        let namespace = if kind.namespaced { metadata::text(object, "namespace") } else { "" };
        Key::new(&kind.stored_as, namespace, metadata::text(object, "name"))
    }
}

/// Where CRDs are stored.
#[must_use]
pub fn crds() -> Resource {
    Resource::new("apiextensions.k8s.io", "customresourcedefinitions")
}

/// The path of a top-level field.
pub(super) fn top(field: &str) -> FieldPath {
    FieldPath::fields(&[field])
}
