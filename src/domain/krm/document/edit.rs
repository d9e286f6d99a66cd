//! Edits that change only what they mean to. Each is a splice into the text, after which the file is read again: if any
//! document is not exactly what the edit meant, the edit is refused.

use std::ops::Range;

use serde_json::Value;

use super::emit::{scalar_text, to_yaml};
use super::lines::{line_end, line_start};
use super::node::{Entry, Node, NodeKind};
use super::{DocumentError, YamlFile};
use crate::domain::krm::value::at;

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
    /// Each edit is made sure of by reading the document again.
    #[error(
        "too much is edited: documents would be read again for more than {limit} bytes; divide the largest of them"
    )]
    TooMuch {
        /// Most bytes that are read.
        limit: usize,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

pub(super) struct Splice {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

/// A path that leads to no place that could be edited.
pub(super) fn refuse(path: &[&str], reason: &'static str) -> EditError {
    EditError::NoSuchPlace { path: path.join("."), reason }
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
            return Err(refuse(path, "there is no such document"));
        };
        if at(target, path) == Some(new) {
            return Ok(false);
        }
        put(target, path, new).map_err(|reason| refuse(path, reason))?;
        let first = self.set_splice(document, path, new).and_then(|splice| self.commit(splice, &expected, path));
        let Err(refused) = first else { return Ok(true) };
        // Tags, anchors and whatever else stands between a key or dash and its value go too; comments that stand deeper
        // would be lines of a text of several lines.
        let (place, whole) = self.nearest(document, path, new);
        for in_lines in [true, false] {
            let splice = self.whole_splice(document, place, &whole, in_lines);
            if splice.is_some_and(|splice| self.commit(splice, &expected, path).is_ok()) {
                return Ok(true);
            }
        }
        Err(refused)
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
            put(target, path, meaning).map_err(|reason| refuse(path, reason))?;
        }
        let node = self.find(document, path)?;
        let text = if node.is_absent() { format!(" {raw}") } else { raw.to_owned() };
        let splice = Splice { range: self.value_range(document, path)?, text };
        self.commit(splice, &expected, path)?;
        Ok(true)
    }

    /// Removes a key, or an item of a list, with the lines it stands on; returns whether it was there.
    ///
    /// # Errors
    /// [`EditError`]; the file is then unchanged.
    pub fn remove(&mut self, document: usize, path: &[&str]) -> Result<bool, EditError> {
        let mut expected = self.values()?;
        let Some((last, parents)) = path.split_last() else { return Ok(false) };
        let map = match expected.get_mut(document).and_then(|target| at_mut(target, parents)) {
            Some(Value::Object(map)) => map,
            Some(Value::Array(_)) => {
                return last.parse().map_or(Ok(false), |item| self.remove_item(document, parents, item));
            }
            _ => return Ok(false),
        };
        if map.remove(*last).is_none() {
            return Ok(false);
        }
        let parent = self.find(document, parents)?;
        let NodeKind::Mapping { entries, flow } = &parent.kind else {
            return Err(refuse(path, "it is not a map"));
        };
        let Some(index) = entries.iter().position(|entry| entry.key == *last) else { return Ok(false) };
        let entry = &entries[index];
        let splice = if *flow {
            let spans = entries.iter().map(|entry| entry.key_node.span.start..entry.end()).collect::<Vec<_>>();
            Splice { range: self.range_in_braces(&spans, index), text: String::new() }
        } else if entries.len() == 1 {
            Splice { range: entry.key_node.span.start..self.end_of_text(parent), text: "{}".to_owned() }
        } else {
            let line = self.lines_of(entry);
            if !matches!(self.text[line.start..entry.key_node.span.start].trim(), "" | "?") {
                return self.remove_piece(document, path, (parents, index), &expected);
            }
            Splice { range: line, text: String::new() }
        };
        self.commit(splice, &expected, path)?;
        Ok(true)
    }

    pub(super) fn find(&self, document: usize, path: &[&str]) -> Result<&Node, EditError> {
        let node = self.documents.get(document).and_then(|root| root.at(path));
        node.ok_or_else(|| refuse(path, "there is nothing"))
    }

    fn set_splice(&self, document: usize, path: &[&str], new: &Value) -> Result<Splice, EditError> {
        if self.find(document, path).is_ok() {
            return self.replace_splice(document, path, new);
        }
        let root = &self.documents[document];
        let depth = (0..path.len()).rev().find(|depth| root.at(&path[..*depth]).is_some()).unwrap_or(0);
        let parent = self.find(document, &path[..depth])?;
        let inner = nested(&path[depth + 1..], new);
        self.insert_splice(document, &path[..depth], parent, path[depth], &inner)
    }

    /// The place nearest to `path` that there is, when nothing is in it, and what has to stand there for `new` to be at
    /// `path`; else `path` itself.
    fn nearest<'p>(&self, document: usize, path: &'p [&'p str], new: &Value) -> (&'p [&'p str], Value) {
        let above = (1..path.len()).rev().find(|depth| self.find(document, &path[..*depth]).is_ok());
        let is_there = self.find(document, path).is_ok();
        let is_scalar = |depth: &usize| {
            self.find(document, &path[..*depth]).is_ok_and(|node| matches!(node.kind, NodeKind::Scalar { .. }))
        };
        match above.filter(|depth| !is_there && is_scalar(depth)) {
            Some(depth) => (&path[..depth], nested(&path[depth..], new)),
            None => (path, new.clone()),
        }
    }

    /// The bytes to replace for the value at `path`; for an absent value the place behind its colon.
    fn value_range(&self, document: usize, path: &[&str]) -> Result<Range<usize>, EditError> {
        let node = self.find(document, path)?;
        if !node.is_absent() {
            return Ok(node.span.clone());
        }
        let colon = self.behind_colon(document, path)?;
        Ok(colon..colon)
    }

    /// The byte behind the colon of the key that `path` ends with.
    pub(super) fn behind_colon(&self, document: usize, path: &[&str]) -> Result<usize, EditError> {
        let (last, parents) = path.split_last().unwrap_or((&"", &[]));
        let entry = self.find(document, parents)?.entry(last);
        let colon = entry.and_then(|entry| {
            let after = entry.key_node.span.end;
            self.text[after..].find(':').map(|offset| after + offset + 1)
        });
        colon.ok_or(refuse(path, "its key was not found"))
    }

    fn replace_splice(&self, document: usize, path: &[&str], new: &Value) -> Result<Splice, EditError> {
        let node = self.find(document, path)?;
        match &node.kind {
            NodeKind::Alias(_) => {
                return Err(refuse(path, "it is an alias"));
            }
            NodeKind::Scalar { block: true, .. } => return self.block_splice(document, path, node, new),
            _ => {}
        }
        let range = self.value_range(document, path)?;
        let collection =
            matches!(new, Value::Object(m) if !m.is_empty()) || matches!(new, Value::Array(a) if !a.is_empty());
        if collection {
            let flow = Splice { range: range.clone(), text: flow_text(new, node.is_absent()) };
            let same = matches!(
                (&node.kind, new),
                (NodeKind::Mapping { flow: false, .. }, Value::Object(_))
                    | (NodeKind::Sequence { flow: false, .. }, Value::Array(_))
            );
            if !same {
                return if is_block(node) { self.block_splice(document, path, node, new) } else { Ok(flow) };
            }
            let start = self.block_start(node);
            let indent = start - line_start(&self.text, start);
            let text = to_yaml(new).trim_end().replace('\n', &format!("\n{}", " ".repeat(indent)));
            return Ok(Splice { range: start..self.end_of_text(node), text });
        }
        if is_block(node)
            && path.last().is_some_and(|last| {
                self.find(document, &path[..path.len() - 1]).is_ok_and(|holder| holder.entry(last).is_some())
            })
        {
            return self.block_splice(document, path, node, new);
        }
        let text = scalar_text(new);
        let range = if is_block(node) { self.block_start(node)..self.end_of_text(node) } else { range };
        Ok(Splice { range, text: if node.is_absent() { format!(" {text}") } else { text } })
    }

    /// Puts a value in the place of one that begins below its key or dash.
    fn block_splice(&self, document: usize, path: &[&str], node: &Node, new: &Value) -> Result<Splice, EditError> {
        let (start, indent) = self.behind_mark(document, path)?;
        Ok(self.behind(start, indent, node, new, true))
    }

    /// Puts a value, and all that belongs to it, in the place of one behind a key or dash; `None` for what stands
    /// neither behind the one nor the other.
    fn whole_splice(&self, document: usize, path: &[&str], new: &Value, in_lines: bool) -> Option<Splice> {
        let node = self.find(document, path).ok().filter(|node| !matches!(node.kind, NodeKind::Alias(_)))?;
        let (start, indent) = self.behind_mark(document, path).ok()?;
        Some(self.behind(start, indent, node, new, in_lines))
    }

    /// The value behind the byte `start`, whose key or dash stands at column `indent` (from 0). With `in_lines` a text
    /// of several lines is written as such; the comment at the end of the line stays.
    fn behind(&self, start: usize, indent: usize, node: &Node, new: &Value, in_lines: bool) -> Splice {
        let end = start.max(self.end_of_text(node));
        let ending = line_end(&self.text, start);
        // Of a value that begins below, or that is one line, the comment is its own; else it is that of a part of it.
        let own = end <= ending || self.text[start..ending].trim_start().starts_with(['#', '|', '>', '!', '&']);
        let line = self.text[..start].matches('\n').count() + 1;
        let note = self.comment(line).filter(|_| own).map(|note| format!(" # {note}")).unwrap_or_default();
        let whole = to_yaml(&Value::Object(std::iter::once(("k".to_owned(), new.clone())).collect()));
        match whole.strip_prefix("k: |").filter(|_| in_lines).and_then(|rest| rest.split_once('\n')) {
            Some((chomp, lines)) => {
                let range = start..line_end(&self.text, end);
                let last = if chomp.is_empty() && range.end == self.text.len() { "\n" } else { "" };
                Splice { text: format!(" |{chomp}{note}\n{}{last}", indented(lines, indent).trim_end()), range }
            }
            None if end <= ending => Splice { range: start..end, text: flow_text(new, true) },
            None => Splice { range: start..end, text: format!("{}{note}", flow_text(new, true)) },
        }
    }

    /// The byte behind the colon of the key or behind the dash that `path` ends with, and the column (from 0) of the
    /// key or dash.
    fn behind_mark(&self, document: usize, path: &[&str]) -> Result<(usize, usize), EditError> {
        let (last, parents) = path.split_last().unwrap_or((&"", &[]));
        let parent = self.find(document, parents)?;
        let NodeKind::Sequence { items, flow: false } = &parent.kind else {
            let colon = self.behind_colon(document, path)?;
            return Ok((colon, parent.entry(last).map_or(0, |entry| entry.key_node.column - 1)));
        };
        let missing = refuse(path, "its dash was not found");
        let dashes = self.dashes(parent, items).ok_or_else(|| missing.clone())?;
        let dash = last.parse::<usize>().ok().and_then(|index| dashes.get(index)).ok_or(missing)?.start;
        Ok((dash + 1, dash - line_start(&self.text, dash)))
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
                let at = line_end(&self.text, self.end_of(parent));
                let block = indented(&to_yaml(&entry), indent);
                Ok(Splice { range: at..at, text: format!("\n{}", block.trim_end()) })
            }
            NodeKind::Mapping { entries, flow: true } => {
                let at = entries.last().map_or(parent.span.end - 1, Entry::end);
                let separator = if entries.is_empty() { "" } else { ", " };
                let inner = flow_text(&entry, false);
                Ok(Splice { range: at..at, text: format!("{separator}{}", &inner[1..inner.len() - 1]) })
            }
            NodeKind::Scalar { .. } if parent.is_absent() && !path.is_empty() => {
                let (last, above) = path.split_last().unwrap_or((&"", &[]));
                let holder = self.find(document, above)?.entry(last);
                let indent = holder.map_or(2, |holder| holder.key_node.column + 1);
                let at = line_end(&self.text, self.value_range(document, path)?.start);
                let block = indented(&to_yaml(&entry), indent);
                Ok(Splice { range: at..at, text: format!("\n{}", block.trim_end()) })
            }
            _ => Err(refuse(path, "it is not a map")),
        }
    }

    /// Where a collection begins; a block list with the dash of its first item.
    pub(super) fn block_start(&self, node: &Node) -> usize {
        match &node.kind {
            NodeKind::Sequence { items, flow: false } => {
                let first = items.first().map_or(node.span.start, |item| item.span.start);
                self.text[..first].rfind('-').unwrap_or(first)
            }
            _ => node.span.start,
        }
    }

    /// [`Node::end`], and no further than the text goes: a key that is written `? key` may have no colon.
    fn end_of(&self, node: &Node) -> usize {
        self.text.floor_char_boundary(node.end())
    }

    /// The same without what is blank behind it.
    fn end_of_text(&self, node: &Node) -> usize {
        self.text[..self.end_of(node)].trim_end().len().max(node.span.start.min(self.end_of(node)))
    }

    /// The bytes of an entry or item of braces with the comma that goes with it. One that has its lines for itself goes
    /// with them, another with the comma that divides it from its neighbour.
    pub(super) fn range_in_braces(&self, spans: &[Range<usize>], index: usize) -> Range<usize> {
        let span = spans[index].clone();
        let line = line_start(&self.text, span.start);
        let ending = line_end(&self.text, span.end);
        let behind = self.text[span.end..ending].trim_start();
        let behind = behind.strip_prefix(',').unwrap_or(behind).trim_start();
        let alone = self.text[line..span.start].trim().is_empty() && (behind.is_empty() || behind.starts_with('#'));
        if alone && line > 0 {
            return line..(ending + 1).min(self.text.len());
        }
        match (spans.get(index + 1), index.checked_sub(1)) {
            (Some(next), _) if !self.text[span.end..next.start].contains('#') => span.start..next.start,
            (None, Some(before)) if !self.text[spans[before].end..span.start].contains('#') => {
                spans[before].end..span.end
            }
            (Some(_), _) => span.start..span.end + self.text[span.end..].find(',').map_or(0, |at| at + 1),
            (None, _) => span,
        }
    }

    fn lines_of(&self, entry: &Entry) -> Range<usize> {
        let start = line_start(&self.text, entry.key_node.span.start);
        let end = line_end(&self.text, entry.end());
        start..(end + 1).min(self.text.len())
    }

    pub(super) fn commit(&mut self, splice: Splice, expected: &[Value], path: &[&str]) -> Result<(), EditError> {
        let unsafe_for = |reason: String| EditError::Unsafe { path: path.join("."), reason };
        let Splice { range, text: new } = splice;
        if self.text.get(range.clone()).is_none() {
            return Err(unsafe_for("it cannot be told where it stands".to_owned()));
        }
        let line = self.text[..range.start].matches('\n').count() + 1;
        let mut text = self.text.clone();
        text.replace_range(range, &new);
        let edited = Self::parse(text.as_bytes(), &self.limits).map_err(|error| unsafe_for(error.to_string()))?;
        if edited.values().map_err(|error| unsafe_for(error.to_string()))? != expected {
            // The text itself is not told: it may be a secret.
            return Err(unsafe_for(format!("replacing what stands on line {line} would change something else")));
        }
        *self = edited;
        Ok(())
    }
}

/// Maps around a value, so that it is at a path.
fn nested(path: &[&str], new: &Value) -> Value {
    let around = |inner, key: &&str| Value::Object(std::iter::once(((*key).to_owned(), inner)).collect());
    path.iter().rev().fold(new.clone(), around)
}

/// Whether a map or list is written without braces.
const fn is_block(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Mapping { flow: false, .. } | NodeKind::Sequence { flow: false, .. })
}

/// Puts `new` where something stands already; says whether that was something else.
pub(super) fn exchange(value: &mut Value, path: &[&str], new: &Value) -> bool {
    match at_mut(value, path) {
        Some(old) if old != new => {
            *old = new.clone();
            true
        }
        _ => false,
    }
}

fn indented(block: &str, indent: usize) -> String {
    let pad = " ".repeat(indent);
    block.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{pad}{line}\n") }).collect()
}

/// A collection on one line; JSON is YAML.
pub(super) fn flow_text(value: &Value, after_colon: bool) -> String {
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

pub(super) fn at_mut<'v>(value: &'v mut Value, path: &[&str]) -> Option<&'v mut Value> {
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
