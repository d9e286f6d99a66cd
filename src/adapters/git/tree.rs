//! Trees as files and back, within budgets.

use std::collections::{BTreeMap, BTreeSet};

use gix::ObjectId;
use gix::bstr::ByteSlice as _;
use gix::objs::tree::{Entry, EntryKind};

use crate::domain::source::{File, FileMode, FileTree, InvalidPath, check_path};
use crate::ports::git::TreeBudget;

/// Deepest directory that is read; git itself has no limit.
const MAX_DEPTH: usize = 64;

/// Why a tree was not read.
pub(super) enum Failure {
    /// A rule or a limit forbids it.
    Refused { path: String, reason: String },
    /// An object is not there or damaged.
    Missing(String),
}

fn entries(repo: &gix::Repository, id: ObjectId) -> Result<Vec<Entry>, String> {
    if id.is_empty_tree() {
        return Ok(Vec::new());
    }
    let tree = repo.find_tree(id).map_err(|error| error.to_string())?;
    let decoded = tree.decode().map_err(|error| error.to_string())?;
    let own = |entry: &gix::objs::tree::EntryRef<'_>| Entry {
        mode: entry.mode,
        filename: entry.filename.to_owned(),
        oid: entry.oid.to_owned(),
    };
    let entries: Vec<Entry> = decoded.entries.iter().map(own).collect();
    if is_well_formed(&entries) {
        return Ok(entries);
    }
    Err(format!("the entries of tree {id} are not in order, or one is there twice [git.tree_malformed]"))
}

/// Whether a tree is as git writes it. Others are read by each program in its own way.
fn is_well_formed(entries: &[Entry]) -> bool {
    let names: BTreeSet<_> = entries.iter().map(|entry| &entry.filename).collect();
    names.len() == entries.len() && entries.is_sorted()
}

/// The tree at `path` below `root`.
pub(super) fn at(repo: &gix::Repository, root: ObjectId, path: &str) -> Result<Option<ObjectId>, String> {
    let mut id = root;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let next = entries(repo, id)?.into_iter().find(|entry| entry.filename == part && entry.mode.is_tree());
        match next {
            Some(entry) => id = entry.oid,
            None => return Ok(None),
        }
    }
    Ok(Some(id))
}

/// Directories that hold a regular `file`, not descending into those.
pub(super) fn directories_with(
    repo: &gix::Repository,
    id: ObjectId,
    path: &str,
    file: &str,
    found: &mut Vec<(String, ObjectId)>,
) -> Result<(), String> {
    if path.split('/').count() > MAX_DEPTH {
        return Ok(());
    }
    let entries = entries(repo, id)?;
    if entries.iter().any(|entry| entry.filename == file && entry.mode.is_blob()) {
        found.push((path.to_owned(), id));
        return Ok(());
    }
    for entry in entries.iter().filter(|entry| entry.mode.is_tree()) {
        let name = entry.filename.to_str_lossy();
        let below = if path.is_empty() { name.into_owned() } else { format!("{path}/{name}") };
        directories_with(repo, entry.oid, &below, file, found)?;
    }
    Ok(())
}

/// Reads a whole tree.
pub(super) fn read(repo: &gix::Repository, id: ObjectId, budget: &TreeBudget) -> Result<FileTree, Failure> {
    let mut reader = Reader { repo, budget, files: FileTree::new(), total: 0 };
    reader.directory(id, "", 0)?;
    Ok(reader.files)
}

struct Reader<'a> {
    repo: &'a gix::Repository,
    budget: &'a TreeBudget,
    files: FileTree,
    total: u64,
}

impl Reader<'_> {
    fn directory(&mut self, id: ObjectId, path: &str, depth: usize) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return refuse(path, &format!("it is deeper than {MAX_DEPTH} directories [git.object_limit]"));
        }
        for entry in entries(self.repo, id).map_err(Failure::Missing)? {
            let Ok(name) = entry.filename.to_str() else {
                return refuse(&format!("{path}/{:?}", entry.filename), "its name is not UTF-8 [git.entry_forbidden]");
            };
            let below = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            if let Err(error) = check_path(name) {
                return refuse(&below, &format!("{} [git.entry_forbidden]", error.why));
            }
            match entry.mode.kind() {
                EntryKind::Tree => self.directory(entry.oid, &below, depth + 1)?,
                EntryKind::Blob => self.file(entry.oid, &below, FileMode::Regular)?,
                EntryKind::BlobExecutable => self.file(entry.oid, &below, FileMode::Executable)?,
                EntryKind::Link => self.file(entry.oid, &below, FileMode::Symlink)?,
                EntryKind::Commit => return refuse(&below, "submodules are not read [git.submodule_denied]"),
            }
        }
        Ok(())
    }

    fn file(&mut self, id: ObjectId, path: &str, mode: FileMode) -> Result<(), Failure> {
        let size = self.repo.find_header(id).map_err(|error| Failure::Missing(error.to_string()))?.size();
        self.total = self.total.saturating_add(size);
        if size > self.budget.file_bytes {
            let limit = self.budget.file_bytes;
            return refuse(path, &format!("it has {size} bytes; the limit is {limit} a file [git.object_limit]"));
        }
        if self.total > self.budget.total_bytes {
            let limit = self.budget.total_bytes;
            return refuse(path, &format!("all files together exceed {limit} bytes [git.object_limit]"));
        }
        if self.files.len() >= self.budget.files {
            return refuse(path, &format!("there are more than {} files [git.object_limit]", self.budget.files));
        }
        let mut blob = self.repo.find_object(id).map_err(|error| Failure::Missing(error.to_string()))?;
        let bytes = std::mem::take(&mut blob.data);
        if bytes.starts_with(LFS) {
            let why = "it is a pointer of git LFS instead of the file; commit the file itself [git.lfs_unsupported]";
            return refuse(path, why);
        }
        let refused = |error: InvalidPath| Failure::Refused { path: shown(path), reason: error.why.to_owned() };
        self.files.insert(path, File { mode, bytes: bytes.into() }).map_err(refused)
    }
}

/// How a pointer of git LFS begins.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

fn refuse<T>(path: &str, reason: &str) -> Result<T, Failure> {
    Err(Failure::Refused { path: shown(path), reason: reason.to_owned() })
}

/// A path with what a terminal would not show written out.
fn shown(path: &str) -> String {
    path.escape_debug().to_string()
}

/// One directory while a tree is put together.
#[derive(Default)]
struct Directory {
    files: BTreeMap<String, (EntryKind, ObjectId)>,
    directories: BTreeMap<String, Directory>,
}

/// Writes files as blobs and trees; gives the root tree.
pub(super) fn write(repo: &gix::Repository, files: &FileTree) -> Result<ObjectId, String> {
    let mut root = Directory::default();
    for (path, file) in files.iter() {
        let id = repo.write_blob(&file.bytes).map_err(|error| error.to_string())?.detach();
        let kind = match file.mode {
            FileMode::Regular => EntryKind::Blob,
            FileMode::Executable => EntryKind::BlobExecutable,
            FileMode::Symlink => EntryKind::Link,
        };
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut at = &mut root;
        for part in dir.split('/').filter(|part| !part.is_empty()) {
            at = at.directories.entry(part.to_owned()).or_default();
        }
        at.files.insert(name.to_owned(), (kind, id));
    }
    write_directory(repo, &root)
}

fn write_directory(repo: &gix::Repository, directory: &Directory) -> Result<ObjectId, String> {
    let mut entries = Vec::new();
    for (name, (kind, id)) in &directory.files {
        entries.push(Entry { mode: (*kind).into(), filename: name.as_str().into(), oid: *id });
    }
    for (name, below) in &directory.directories {
        let oid = write_directory(repo, below)?;
        entries.push(Entry { mode: EntryKind::Tree.into(), filename: name.as_str().into(), oid });
    }
    write_entries(repo, entries)
}

fn write_entries(repo: &gix::Repository, mut entries: Vec<Entry>) -> Result<ObjectId, String> {
    // git sorts a directory as if its name ended in a slash; `Entry` compares that way.
    entries.sort();
    let tree = gix::objs::Tree { entries };
    repo.write_object(&tree).map(gix::Id::detach).map_err(|error| error.to_string())
}

/// `base` with `subtree` at `path`; directories that are left empty vanish, as in git.
pub(super) fn graft(
    repo: &gix::Repository,
    base: Option<ObjectId>,
    path: &[&str],
    subtree: Option<ObjectId>,
) -> Result<Option<ObjectId>, String> {
    let Some((first, rest)) = path.split_first() else { return Ok(subtree) };
    let mut entries = base.map_or_else(|| Ok(Vec::new()), |id| entries(repo, id))?;
    let below = entries.iter().find(|entry| entry.filename == *first && entry.mode.is_tree()).map(|entry| entry.oid);
    let new = graft(repo, below, rest, subtree)?;
    entries.retain(|entry| entry.filename != *first);
    if let Some(oid) = new {
        entries.push(Entry { mode: EntryKind::Tree.into(), filename: (*first).into(), oid });
    }
    if entries.is_empty() { Ok(None) } else { write_entries(repo, entries).map(Some) }
}
