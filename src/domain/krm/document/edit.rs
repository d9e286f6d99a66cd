//! Edits that change only what they mean to. Each is a splice into the text, after which the file is read again: if any
//! document is not exactly what the edit meant, the edit is refused.

use std::ops::Range;

use serde_json::Value;

use super::emit::{scalar_text, to_yaml};
use super::node::{Entry, Node, NodeKind};
use super::{DocumentError, YamlFile};

/// Why an edit was not made; the file is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The path leads through a scalar, an alias or past the end of a list.
    #[error("cannot edit {path}: {reason}")]
    NoSuchPlace {
        /// The path, joined by dots.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// The text could not be edited without changing something else.
    #[error("cannot edit {path} safely: {reason}")]
    Unsafe {
        /// The path, joined by dots.
        path: String,
        /// What the check found.
        reason: String,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

struct Splice {
    range: Range<usize>,
    text: String,
}

impl YamlFile {
    /// Sets the value at `path` (map keys, list indices as digits) of a document, making maps on the way; returns
    /// whether anything changed. Comments, order and all other bytes stay.
    ///
    /// # Errors
    /// [`EditError`]; the file is then unchanged.
    pub fn set(&mut self, document: usize, path: &[&str], new: &Value) -> Result<bool, EditError> {
        let mut expected = self.values()?;
        let Some(target) = expected.get_mut(document) else {
            return Err(EditError::NoSuchPlace { path: path.join("."), reason: "there is no such document" });
        };
        if at(target, path) == Some(new) {
            return Ok(false);
        }
        put(target, path, new).map_err(|reason| EditError::NoSuchPlace { path: path.join("."), reason })?;
        let splice = self.set_splice(document, path, new)?;
        self.commit(splice, &expected, path)?;
        Ok(true)
    }

    /// Replaces a scalar by text that is written as given, such as `"5"` with its quotes.
    ///
    /// # Errors
    /// [`EditError`] when the node is not a scalar on one line, or the text would not read as `meaning`.
    pub fn set_raw(&mut self, document: usize, path: &[&str], raw: &str, meaning: &Value) -> Result<bool, EditError> {
        let mut expected = self.values()?;
        let target = expected.get_mut(document);
        if target.as_ref().and_then(|target| at(target, path)) == Some(meaning) {
            return Ok(false);
        }
        if let Some(target) = target {
            put(target, path, meaning).map_err(|reason| EditError::NoSuchPlace { path: path.join("."), reason })?;
        }
        let node = self.find(document, path)?;
        let text = if node.is_absent() { format!(" {raw}") } else { raw.to_owned() };
        let splice = Splice { range: self.value_range(document, path)?, text };
        self.commit(splice, &expected, path)?;
        Ok(true)
    }

    /// Removes a key with the lines it stands on; returns whether it was there.
    ///
    /// # Errors
    /// [`EditError`]; the file is then unchanged.
    pub fn remove(&mut self, document: usize, path: &[&str]) -> Result<bool, EditError> {
        let mut expected = self.values()?;
        let Some((last, parents)) = path.split_last() else { return Ok(false) };
        let Some(Value::Object(map)) = expected.get_mut(document).and_then(|target| at_mut(target, parents)) else {
            return Ok(false);
        };
        if map.remove(*last).is_none() {
            return Ok(false);
        }
        let parent = self.find(document, parents)?;
        let NodeKind::Mapping { entries, flow: false } = &parent.kind else {
            return Err(EditError::NoSuchPlace { path: path.join("."), reason: "the map is written in braces" });
        };
        let only = entries.len() == 1;
        let Some(entry) = entries.iter().find(|entry| entry.key == *last) else { return Ok(false) };
        let splice = if only {
            Splice {
                range: entry.key_node.span.start..entry.value.end().max(entry.key_node.span.end + 1),
                text: "{}".to_owned(),
            }
        } else {
            Splice { range: self.lines_of(entry), text: String::new() }
        };
        self.commit(splice, &expected, path)?;
        Ok(true)
    }

    fn find(&self, document: usize, path: &[&str]) -> Result<&Node, EditError> {
        let node = self.documents.get(document).and_then(|root| root.at(path));
        node.ok_or_else(|| EditError::NoSuchPlace { path: path.join("."), reason: "there is nothing" })
    }

    fn set_splice(&self, document: usize, path: &[&str], new: &Value) -> Result<Splice, EditError> {
        if self.find(document, path).is_ok() {
            return self.replace_splice(document, path, new);
        }
        let root = &self.documents[document];
        let depth = (0..path.len()).rev().find(|depth| root.at(&path[..*depth]).is_some()).unwrap_or(0);
        let parent = self.find(document, &path[..depth])?;
        let nested = path[depth + 1..]
            .iter()
            .rev()
            .fold(new.clone(), |inner, key| Value::Object(std::iter::once(((*key).to_owned(), inner)).collect()));
        self.insert_splice(document, &path[..depth], parent, path[depth], &nested)
    }

    /// The bytes to replace for the value at `path`; for an absent value the place behind its colon.
    fn value_range(&self, document: usize, path: &[&str]) -> Result<Range<usize>, EditError> {
        let node = self.find(document, path)?;
        if !node.is_absent() {
            return Ok(node.span.clone());
        }
        let (last, parents) = path.split_last().unwrap_or((&"", &[]));
        let entry = self.find(document, parents)?.entry(last);
        let colon = entry.and_then(|entry| {
            let after = entry.key_node.span.end;
            self.text[after..].find(':').map(|offset| after + offset + 1)
        });
        let colon = colon.ok_or(EditError::NoSuchPlace { path: path.join("."), reason: "its key was not found" })?;
        Ok(colon..colon)
    }

    fn replace_splice(&self, document: usize, path: &[&str], new: &Value) -> Result<Splice, EditError> {
        let node = self.find(document, path)?;
        if let NodeKind::Scalar { block: true, .. } | NodeKind::Alias(_) = &node.kind {
            return Err(EditError::NoSuchPlace { path: path.join("."), reason: "it is a block scalar or an alias" });
        }
        let range = self.value_range(document, path)?;
        let collection =
            matches!(new, Value::Object(m) if !m.is_empty()) || matches!(new, Value::Array(a) if !a.is_empty());
        if collection {
            let flow = Splice { range: range.clone(), text: flow_text(new, node.is_absent()) };
            let block =
                matches!(node.kind, NodeKind::Mapping { flow: false, .. } | NodeKind::Sequence { flow: false, .. });
            if !block {
                return Ok(flow);
            }
            let start = self.block_start(node);
            let indent = start - self.text[..start].rfind('\n').map_or(0, |at| at + 1);
            let text = to_yaml(new).trim_end().replace('\n', &format!("\n{}", " ".repeat(indent)));
            return Ok(Splice { range: start..node.end(), text });
        }
        let text = scalar_text(new);
        let block = !matches!(node.kind, NodeKind::Scalar { .. });
        let range = if block { self.block_start(node)..node.end() } else { range };
        Ok(Splice { range, text: if node.is_absent() { format!(" {text}") } else { text } })
    }

    fn insert_splice(
        &self,
        document: usize,
        path: &[&str],
        parent: &Node,
        key: &str,
        value: &Value,
    ) -> Result<Splice, EditError> {
        let entry = Value::Object(std::iter::once((key.to_owned(), value.clone())).collect());
        match &parent.kind {
            NodeKind::Mapping { entries, flow: false } if !entries.is_empty() => {
                let indent = entries[0].key_node.column - 1;
                let at = self.end_of_line(parent.end());
                let block = indented(&to_yaml(&entry), indent);
                Ok(Splice { range: at..at, text: format!("\n{}", block.trim_end()) })
            }
            NodeKind::Mapping { entries, flow: true } => {
                let at = parent.span.end - 1;
                let separator = if entries.is_empty() { "" } else { ", " };
                let inner = flow_text(&entry, false);
                Ok(Splice { range: at..at, text: format!("{separator}{}", &inner[1..inner.len() - 1]) })
            }
            NodeKind::Scalar { .. } if parent.is_absent() && !path.is_empty() => {
                let (last, above) = path.split_last().unwrap_or((&"", &[]));
                let holder = self.find(document, above)?.entry(last);
                let indent = holder.map_or(2, |holder| holder.key_node.column + 1);
                let at = self.end_of_line(self.value_range(document, path)?.start);
                let block = indented(&to_yaml(&entry), indent);
                Ok(Splice { range: at..at, text: format!("\n{}", block.trim_end()) })
            }
            _ => Err(EditError::NoSuchPlace { path: path.join("."), reason: "it is not a map" }),
        }
    }

    /// Where a collection begins; a block list with the dash of its first item.
    fn block_start(&self, node: &Node) -> usize {
        match &node.kind {
            NodeKind::Sequence { items, flow: false } => {
                let first = items.first().map_or(node.span.start, |item| item.span.start);
                self.text[..first].rfind('-').unwrap_or(first)
            }
            _ => node.span.start,
        }
    }

    fn end_of_line(&self, from: usize) -> usize {
        let from = from.min(self.text.len());
        // A block scalar ends behind its last line break.
        let from = if from > 0 && self.text.as_bytes()[from - 1] == b'\n' { from - 1 } else { from };
        self.text[from..].find('\n').map_or(self.text.len(), |offset| from + offset)
    }

    fn lines_of(&self, entry: &Entry) -> Range<usize> {
        let start = self.text[..entry.key_node.span.start].rfind('\n').map_or(0, |at| at + 1);
        let end = self.end_of_line(entry.value.end().max(entry.key_node.span.end));
        start..(end + 1).min(self.text.len())
    }

    fn commit(&mut self, splice: Splice, expected: &[Value], path: &[&str]) -> Result<(), EditError> {
        let refuse = |reason: String| EditError::Unsafe { path: path.join("."), reason };
        let mut text = self.text.clone();
        text.replace_range(splice.range.clone(), &splice.text);
        let edited = Self::parse(text.as_bytes(), &self.limits).map_err(|error| refuse(error.to_string()))?;
        if edited.values().map_err(|error| refuse(error.to_string()))? != expected {
            let around = self.slice(splice.range).to_owned();
            return Err(refuse(format!("replacing {around:?} would change something else")));
        }
        *self = edited;
        Ok(())
    }
}

fn indented(block: &str, indent: usize) -> String {
    let pad = " ".repeat(indent);
    block.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{pad}{line}\n") }).collect()
}

/// A collection on one line; JSON is YAML.
fn flow_text(value: &Value, after_colon: bool) -> String {
    fn write(value: &Value) -> String {
        match value {
            Value::Object(map) => {
                let inner: Vec<String> = map
                    .iter()
                    .map(|(key, value)| format!("{}: {}", flow_scalar(&Value::String(key.clone())), write(value)))
                    .collect();
                format!("{{{}}}", inner.join(", "))
            }
            Value::Array(items) => format!("[{}]", items.iter().map(write).collect::<Vec<_>>().join(", ")),
            other => flow_scalar(other),
        }
    }
    let text = write(value);
    if after_colon { format!(" {text}") } else { text }
}

/// In flow style more characters end a plain scalar.
fn flow_scalar(value: &Value) -> String {
    let text = scalar_text(value);
    if text.starts_with('"') || !text.contains([',', '[', ']', '{', '}']) {
        text
    } else {
        Value::from(text).to_string()
    }
}

fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, part| match value {
        Value::Object(map) => map.get(*part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

fn at_mut<'v>(value: &'v mut Value, path: &[&str]) -> Option<&'v mut Value> {
    path.iter().try_fold(value, |value, part| match value {
        Value::Object(map) => map.get_mut(*part),
        Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    })
}

fn put(value: &mut Value, path: &[&str], new: &Value) -> Result<(), &'static str> {
    let Some((first, rest)) = path.split_first() else {
        *value = new.clone();
        return Ok(());
    };
    if value.is_null() {
        *value = Value::Object(serde_json::Map::new());
    }
    match value {
        Value::Object(map) => put(map.entry((*first).to_owned()).or_insert(Value::Null), rest, new),
        Value::Array(items) => {
            let item = first.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            put(item.ok_or("the list has no such item")?, rest, new)
        }
        _ => Err("it leads through a scalar"),
    }
}
