//! Merge comments: under which name a resource came from upstream, so that it is found again after it was renamed.
//!
//! Source: kpt's `# kpt-merge: namespace/name` on the line of `metadata`, and its annotation
//! `internal.kpt.dev/upstream-identifier: group|kind|namespace|name`.

use serde_json::{Value, json};

use super::super::ignore::Ignored;
use super::super::medium::is_yaml_file;
use super::super::parts::{Parts, rewrite};
use super::resources::{IDENTIFIER, remembered};
use crate::domain::krm::Gvk;
use crate::domain::krm::document::{EditError, YamlFile};
use crate::domain::package::kptfile::FILE;
use crate::domain::source::{File, FileMode, FileTree};

/// The package with a merge comment on each resource that has none, and its annotation. A file that cannot be read or
/// edited stays as it is, as in kpt.
#[must_use]
pub fn mark(tree: &FileTree) -> FileTree {
    let mut marked = tree.clone();
    let ignored = Ignored::read(tree);
    for (path, file) in tree.iter() {
        if is_resources(path, file)
            && !ignored.holds(path)
            && let Some(text) = marked_file(&file.bytes)
        {
            rewrite(&mut marked, path, file, &text);
        }
    }
    marked
}

/// The line of a file that became line `line` (from 1) when its resources were marked.
#[must_use]
pub fn line_before_mark(before: &[u8], marked: &[u8], line: usize) -> usize {
    let lines = |bytes: &[u8]| -> Vec<String> { String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect() };
    let (before, marked) = (lines(before), lines(marked));
    let mut at = 0;
    for text in marked.iter().take(line) {
        let is_old = before.get(at).is_some_and(|old| {
            text == old || text.strip_prefix(old.as_str()).is_some_and(|rest| rest.starts_with(" # kpt-merge:"))
        });
        at += usize::from(is_old);
    }
    at.max(1)
}

fn is_resources(path: &str, file: &File) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    file.mode != FileMode::Symlink && name != FILE && is_yaml_file(path)
}

fn marked_file(bytes: &[u8]) -> Option<String> {
    let mut parts = Parts::read(bytes).ok()?;
    for index in 0..parts.len() {
        let value = parts.value(index);
        parts.edit(index, |file, index| mark_resource(file, index, &value)).ok()?;
    }
    Some(parts.text())
}

fn mark_resource(file: &mut YamlFile, index: usize, value: &Value) -> Result<(), EditError> {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (kind, name, namespace) = (text("/kind"), text("/metadata/name"), text("/metadata/namespace"));
    if kind.is_empty() || text("/apiVersion").is_empty() || name.is_empty() {
        return Ok(());
    }
    let line = file.documents().get(index).and_then(|root| root.entry("metadata")).map(|entry| entry.key_node.line);
    let comment = line.and_then(|line| file.comment(line)).map(str::to_owned);
    // Another comment there is kept: it may mean something to somebody.
    if comment.is_none() {
        file.set_comment(index, &["metadata"], &format!("kpt-merge: {namespace}/{name}"))?;
    }
    let remembered = remembered(value, comment.as_deref());
    let (namespace, name) = remembered.unwrap_or_else(|| (namespace.to_owned(), name.to_owned()));
    let namespace = if namespace.is_empty() { "default" } else { &namespace };
    let group = Gvk::parse(text("/apiVersion"), kind).group;
    let identifier = format!("{group}|{kind}|{namespace}|{name}");
    file.set(index, &["metadata", "annotations", IDENTIFIER], &json!(identifier)).map(drop)
}
