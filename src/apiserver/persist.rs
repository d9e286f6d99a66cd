//! The journal: every object in one redb file, written in a transaction before a change is acknowledged.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use serde_json::Value;

use crate::apiserver::kinds::Resource;
use crate::apiserver::store::Key;
use crate::domain::krm::document::{self, Limits};

/// Objects as JSON by group, plural, namespace, name.
const OBJECTS: TableDefinition<'_, (&str, &str, &str, &str), &[u8]> = TableDefinition::new("objects");
/// One row: the revision of the last change.
const REVISION: TableDefinition<'_, (), u64> = TableDefinition::new("revision");

/// How deep objects of older journals are read.
const OLD_DEPTH: usize = 400;
/// The stack that this takes, in bytes.
const OLD_STACK: usize = 64 << 20;

/// Name of the file within the data directory.
pub const FILE: &str = "apiserver.redb";

/// What to do about a file that cannot be opened.
fn hint(error: &redb::DatabaseError) -> &'static str {
    match error {
        redb::DatabaseError::DatabaseAlreadyOpen => {
            " Another process uses this directory; stop it, or name another one."
        }
        _ => "",
    }
}

/// A journal that cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The data directory cannot be made.
    #[error("creating data directory {}: {source}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be opened, for one because another process has it open.
    #[error("opening {}: {source}{}", .path.display(), hint(source))]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::DatabaseError>,
    },
    /// The file can be opened and not be read or written.
    #[error("{act} the journal: {source}")]
    Access {
        /// `reading` or `writing`.
        act: &'static str,
        /// Why.
        source: Box<redb::Error>,
    },
    /// A stored object is not JSON.
    #[error("reading {key} from the journal: {source}")]
    Object {
        /// Which object.
        key: Key,
        /// Why.
        source: serde_json::Error,
    },
}

/// The open file.
#[derive(Debug)]
pub struct Journal {
    database: Database,
}

fn reading(error: impl Into<redb::Error>) -> JournalError {
    JournalError::Access { act: "reading", source: Box::new(error.into()) }
}

fn writing(error: impl Into<redb::Error>) -> JournalError {
    JournalError::Access { act: "writing", source: Box::new(error.into()) }
}

/// Reads an object. Before writes had a limit of depth, some were stored that the reader of JSON does not go down to;
/// the reader of YAML, which JSON is, does.
fn stored(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(bytes).or_else(|error| {
        let limits = Limits { depth: OLD_DEPTH, ..Limits::DEFINITIONS };
        let deep = || document::read(bytes, &limits).ok()?.into_iter().next().map(|(_, value)| value);
        // Each level takes some stack of that reader.
        let read = thread::scope(|scope| {
            let reader = thread::Builder::new().stack_size(OLD_STACK).spawn_scoped(scope, deep);
            reader.ok()?.join().ok().flatten()
        });
        read.ok_or(error)
    })
}

impl Journal {
    /// Opens [`FILE`] in a directory; makes both when they are missing.
    ///
    /// # Errors
    /// [`JournalError::Directory`], [`JournalError::Open`], [`JournalError::Access`].
    pub fn open(directory: &Path) -> Result<Self, JournalError> {
        let failed = |source| JournalError::Directory { path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(failed)?;
        let path = directory.join(FILE);
        let database = Database::create(&path);
        let database = database.map_err(|source| JournalError::Open { path, source: Box::new(source) })?;
        let journal = Self { database };
        journal.create_tables()?;
        Ok(journal)
    }

    fn create_tables(&self) -> Result<(), JournalError> {
        let write = self.database.begin_write().map_err(writing)?;
        write.open_table(OBJECTS).map_err(writing)?;
        write.open_table(REVISION).map_err(writing)?;
        write.commit().map_err(writing)
    }

    /// The last revision and every object.
    ///
    /// # Errors
    /// [`JournalError::Access`], [`JournalError::Object`].
    pub fn read(&self) -> Result<(u64, Vec<(Key, Value)>), JournalError> {
        let read = self.database.begin_read().map_err(reading)?;
        let revision = read.open_table(REVISION).map_err(reading)?.get(()).map_err(reading)?;
        let objects = read.open_table(OBJECTS).map_err(reading)?;
        let mut found = Vec::new();
        for entry in objects.iter().map_err(reading)? {
            let (key, bytes) = entry.map_err(reading)?;
            let (group, plural, namespace, name) = key.value();
            let key = Key::new(&Resource::new(group, plural), namespace, name);
            let object = stored(bytes.value());
            found.push((key.clone(), object.map_err(|source| JournalError::Object { key, source })?));
        }
        Ok((revision.map_or(0, |revision| revision.value()), found))
    }

    /// Records that `key` holds `object` (or nothing any more) since `revision`. It is on disk when this returns.
    ///
    /// # Errors
    /// [`JournalError::Access`]; nothing is recorded then.
    pub fn write(&self, revision: u64, key: &Key, object: Option<&Value>) -> Result<(), JournalError> {
        let write = self.database.begin_write().map_err(writing)?;
        {
            let place = (key.resource.group.as_str(), key.resource.plural.as_str(), &*key.namespace, &*key.name);
            let mut objects = write.open_table(OBJECTS).map_err(writing)?;
            match object {
                Some(object) => objects.insert(place, object.to_string().as_bytes()).map_err(writing)?,
                None => objects.remove(place).map_err(writing)?,
            };
            write.open_table(REVISION).map_err(writing)?.insert((), revision).map_err(writing)?;
        }
        write.commit().map_err(writing)
    }
}
