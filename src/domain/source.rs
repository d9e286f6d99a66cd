//! Where content comes from and what it is: a precise revision and the files in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::id::{CommitId, Digest, TreeId};

/// How git stores a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FileMode {
    /// `100644`.
    Regular,
    /// `100755`.
    Executable,
    /// `120000`; the content is the link's target.
    Symlink,
}

/// One file: its mode and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// How git stores it.
    pub mode: FileMode,
    /// The bytes, shared so that a tree can be copied cheaply.
    pub bytes: Arc<[u8]>,
}

impl File {
    /// A plain file.
    #[must_use]
    pub fn regular(bytes: impl Into<Arc<[u8]>>) -> Self {
        Self { mode: FileMode::Regular, bytes: bytes.into() }
    }
}

/// A directory as sorted paths to files. Paths are relative, `/`-separated, without `.`, `..` or empty parts;
/// directories exist only through the files in them, as in git.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileTree {
    files: BTreeMap<String, File>,
}

/// A path that may not name a file in a package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("path {path:?} is not allowed: {why}")]
pub struct InvalidPath {
    /// The path, escaped by its `Debug` form.
    pub path: String,
    /// The rule it breaks.
    pub why: &'static str,
}

impl FileTree {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces a file.
    ///
    /// # Errors
    /// [`InvalidPath`] for absolute paths, `.`/`..`/empty parts, `.git` parts, control characters and backslashes.
    pub fn insert(&mut self, path: impl Into<String>, file: File) -> Result<(), InvalidPath> {
        let path = path.into();
        check_path(&path)?;
        self.files.insert(path, file);
        Ok(())
    }

    /// Removes a file; returns whether it was there.
    pub fn remove(&mut self, path: &str) -> bool {
        self.files.remove(path).is_some()
    }

    /// The file at `path`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// Files in path order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &File)> {
        self.files.iter().map(|(path, file)| (path.as_str(), file))
    }

    /// Number of files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is no file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The files below directory `dir`, with `dir/` removed from their paths; `dir` empty gives a copy.
    #[must_use]
    pub fn below(&self, dir: &str) -> Self {
        if dir.is_empty() {
            return self.clone();
        }
        let prefix = format!("{dir}/");
        let files = self
            .files
            .iter()
            .filter_map(|(path, file)| Some((path.strip_prefix(&prefix)?.to_owned(), file.clone())))
            .collect();
        Self { files }
    }

    /// Digest over paths, modes and bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut text = Vec::new();
        for (path, file) in &self.files {
            let mode = match file.mode {
                FileMode::Regular => "100644",
                FileMode::Executable => "100755",
                FileMode::Symlink => "120000",
            };
            text.extend_from_slice(format!("{mode} {path}\0{}\0", Digest::of(&file.bytes)).as_bytes());
        }
        Digest::of(&text)
    }
}

/// Checks one relative path against the rules of [`FileTree`].
///
/// # Errors
/// [`InvalidPath`] naming the rule.
pub fn check_path(path: &str) -> Result<(), InvalidPath> {
    let refuse = |why| Err(InvalidPath { path: path.chars().take(300).collect(), why });
    if path.is_empty() {
        return refuse("it is empty");
    }
    if path.len() > 4096 {
        return refuse("it is longer than 4096 bytes");
    }
    if path.starts_with('/') {
        return refuse("it is absolute");
    }
    if path.chars().any(|c| c.is_control() || c == '\\') {
        return refuse("it holds a control character or a backslash");
    }
    for part in path.split('/') {
        match part {
            "" => return refuse("it has an empty part"),
            "." | ".." => return refuse("it leaves the package"),
            part if part.eq_ignore_ascii_case(".git") => return refuse("it names .git"),
            part if part.len() > 255 => return refuse("a part is longer than 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}

/// A precise version of a source: never a branch or a tag name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Revision {
    /// A package's tree at a commit.
    #[serde(rename_all = "camelCase")]
    Git {
        /// The commit it was read from.
        commit: CommitId,
        /// The package's own tree: what makes it dirty.
        tree: TreeId,
    },
    /// Plain files without history.
    #[serde(rename_all = "camelCase")]
    Files {
        /// [`FileTree::digest`].
        digest: Digest,
    },
}

/// Files at a precise revision: what crosses from sources to packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Where it came from, for people: a URL or a path.
    pub source: String,
    /// Which version.
    pub revision: Revision,
    /// The files.
    pub tree: FileTree,
}
