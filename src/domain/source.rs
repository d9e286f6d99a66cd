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

/// Most files of a package.
pub const PACKAGE_FILES: usize = 20_000;
/// Most bytes of all files of a package together, and so of one. What is YAML has narrower limits, those of its reader.
pub const PACKAGE_BYTES: u64 = 64 << 20;

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
    /// `path.escape` when it leads out of the package, else `path.name_invalid`.
    pub code: &'static str,
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
/// Every system that may hold the files has a say: what macOS and Windows read as `.git`, names that Windows has for
/// devices, and parts whose end it drops are refused too (see `core.protectHFS` and `core.protectNTFS` of git).
///
/// # Errors
/// [`InvalidPath`] naming the rule.
pub fn check_path(path: &str) -> Result<(), InvalidPath> {
    let refuse = |code, why| Err(InvalidPath { path: path.chars().take(300).collect(), why, code });
    if path.is_empty() {
        return refuse(NAME, "it is empty");
    }
    if path.len() > 4096 {
        return refuse(NAME, "it is longer than 4096 bytes");
    }
    if path.starts_with('/') {
        return refuse(ESCAPE, "it is absolute");
    }
    if path.chars().any(|c| c.is_control() || c == '\\') {
        return refuse(NAME, "it holds a control character or a backslash");
    }
    match path.split('/').find_map(wrong_part) {
        Some((code, why)) => refuse(code, why),
        None => Ok(()),
    }
}

const ESCAPE: &str = "path.escape";
const NAME: &str = "path.name_invalid";

/// Longest part of a path, in bytes.
const PART_BYTES: usize = 255;

/// What is wrong with one part of a path: code and rule.
fn wrong_part(part: &str) -> Option<(&'static str, &'static str)> {
    match part {
        "" => Some((NAME, "it has an empty part")),
        "." | ".." => Some((ESCAPE, "it leaves the package")),
        part if is_git(part) => Some((NAME, "it names .git")),
        part if part.len() > PART_BYTES => Some((NAME, "a part is longer than 255 bytes")),
        part if part.ends_with(['.', ' ']) => Some((NAME, "a part ends with a dot or a space")),
        part if DEVICES.iter().any(|name| part.eq_ignore_ascii_case(name)) => {
            Some((NAME, "a part is the name of a device on Windows"))
        }
        _ => None,
    }
}

/// Names that Windows has for devices.
const DEVICES: [&str; 10] = ["CON", "PRN", "AUX", "NUL", "COM1", "COM2", "COM3", "COM4", "LPT1", "LPT2"];

/// Whether a system may read a name as `.git`: case does not count, macOS leaves out characters that are not seen,
/// Windows has a short name for it, drops dots and spaces at the end, and takes what is behind a colon for a stream.
fn is_git(part: &str) -> bool {
    let seen: String = part.chars().filter(|c| !is_unseen(*c)).collect::<String>().to_ascii_lowercase();
    let name = seen.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    matches!(name, ".git" | "git~1")
}

/// Characters that HFS+ leaves out of comparisons.
const fn is_unseen(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of git's own tests for `verify_path`, and what Windows makes of names.
    #[test]
    fn paths_that_some_system_reads_as_something_else_are_refused() {
        let long = "x".repeat(256);
        let table = [
            ("/etc/x", ESCAPE, "it is absolute"),
            ("../x", ESCAPE, "it leaves the package"),
            ("a/./b", ESCAPE, "it leaves the package"),
            ("", NAME, "it is empty"),
            ("a//b", NAME, "it has an empty part"),
            ("a\nb", NAME, "it holds a control character or a backslash"),
            ("a\u{1b}[31m", NAME, "it holds a control character or a backslash"),
            ("a\0b", NAME, "it holds a control character or a backslash"),
            ("a\\b", NAME, "it holds a control character or a backslash"),
            (&long, NAME, "a part is longer than 255 bytes"),
            (".git/config", NAME, "it names .git"),
            ("sub/.GIT", NAME, "it names .git"),
            ("git~1/config", NAME, "it names .git"),
            ("GIT~1", NAME, "it names .git"),
            (".git::$INDEX_ALLOCATION/config", NAME, "it names .git"),
            (".git /config", NAME, "it names .git"),
            (".git...", NAME, "it names .git"),
            (".g\u{200c}it/config", NAME, "it names .git"),
            ("\u{feff}.git", NAME, "it names .git"),
            ("a. /b", NAME, "a part ends with a dot or a space"),
            ("end.", NAME, "a part ends with a dot or a space"),
            ("con", NAME, "a part is the name of a device on Windows"),
            ("a/NUL/b", NAME, "a part is the name of a device on Windows"),
        ];
        for (path, code, why) in table {
            let told = InvalidPath { path: path.to_owned(), why, code };
            assert_eq!(check_path(path), Err(told), "{path:?}");
        }
        for path in [".gitignore", ".github/x", "git~10", "a b", "...a", "console", "con.yaml", "\u{200c}a", "ü"] {
            assert_eq!(check_path(path), Ok(()), "{path:?}");
        }
    }
}
