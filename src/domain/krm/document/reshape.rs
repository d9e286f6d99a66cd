//! Edits of order and number: keys renamed and moved, items found by their keys, put in, taken out and moved.
//!
//! A map or list is cut into pieces, one an entry, each with the comment lines that stand right above it. The pieces
//! are put together again in another order or number; nothing inside of them changes.

use std::ops::Range;

use serde_json::Value;

use super::YamlFile;
use super::edit::{EditError, Splice, at_mut, flow_text, refuse};
use super::emit::to_yaml;
use super::lines::{line_end, line_start};
use super::node::{Node, NodeKind};

/// A map or list in pieces.
struct Pieces {
    /// What they cover together.
    range: Range<usize>,
    texts: Vec<String>,
    /// What stands between them: one fewer than the pieces.
    between: Vec<String>,
    /// What stands in front of a new piece.
    usual: String,
    flow: bool,
}

impl Pieces {
    fn joined(self) -> Splice {
        let mut between = self.between.into_iter();
        let mut text = String::new();
        for (number, piece) in self.texts.iter().enumerate() {
            if number > 0 {
                text.push_str(between.next().as_ref().unwrap_or(&self.usual));
            }
            text.push_str(piece);
        }
        Splice { range: self.range, text }
    }
}

/// The list at `path` of the expected values.
fn list<'v>(expected: &'v mut [Value], document: usize, path: &[&str]) -> Result<&'v mut Vec<Value>, EditError> {
    let list = expected.get_mut(document).and_then(|value| at_mut(value, path)).and_then(Value::as_array_mut);
    list.ok_or_else(|| refuse(path, "it is not a list"))
}

impl YamlFile {
    /// Position of the first item of the list at `path` that is a map with these fields; `None` when there is none.
    ///
    /// # Errors
    /// [`EditError`] when the document cannot be read or there is no list.
    pub fn item(&self, document: usize, path: &[&str], fields: &[(&str, &Value)]) -> Result<Option<usize>, EditError> {
        let mut values = self.values()?;
        let items = list(&mut values, document, path)?;
        Ok(items.iter().position(|item| fields.iter().all(|(name, value)| item.get(*name) == Some(*value))))
    }

    /// Gives the key at the end of `path` another name; order, value and comments stay. Says whether anything changed.
    ///
    /// # Errors
    /// [`EditError`] when there is no such key, or one of that name; the file is then unchanged.
    pub fn rename(&mut self, document: usize, path: &[&str], name: &str) -> Result<bool, EditError> {
        let (last, parents) = path.split_last().ok_or_else(|| refuse(path, "it is the whole document"))?;
        if *last == name {
            return Ok(false);
        }
        let mut expected = self.values()?;
        let map = expected.get_mut(document).and_then(|value| at_mut(value, parents)).and_then(Value::as_object_mut);
        let map = map.ok_or_else(|| refuse(path, "it is not in a map"))?;
        if map.contains_key(name) {
            return Err(refuse(path, "there is a key of that name already"));
        }
        let value = map.remove(*last).ok_or_else(|| refuse(path, "there is no such key"))?;
        map.insert(name.to_owned(), value);
        let entry = self.find(document, parents)?.entry(last);
        let range = entry.ok_or_else(|| refuse(path, "it comes from a merge key"))?.key_node.span.clone();
        let text = flow_text(&Value::from(name), false);
        self.commit(Splice { range, text }, &expected, path)?;
        Ok(true)
    }

    /// Moves the key at the end of `path` to a position (from 0) among the keys of its map, with its comments. Says
    /// whether anything changed.
    ///
    /// # Errors
    /// [`EditError`] when there is no such key or place, or the keys share lines; the file is then unchanged.
    pub fn move_key(&mut self, document: usize, path: &[&str], to: usize) -> Result<bool, EditError> {
        let (last, parents) = path.split_last().ok_or_else(|| refuse(path, "it is the whole document"))?;
        let expected = self.values()?;
        let NodeKind::Mapping { entries, .. } = &self.find(document, parents)?.kind else {
            return Err(refuse(path, "it is not in a map"));
        };
        let from = entries.iter().position(|entry| entry.key == *last);
        let from = from.ok_or_else(|| refuse(path, "there is no such key"))?;
        self.shift(document, parents, (from, to), &expected)
    }

    /// Moves an item of the list at `path` to another position, with its comments. Says whether anything changed.
    ///
    /// # Errors
    /// [`EditError`] when there is no such item or place, or the items share lines; the file is then unchanged.
    pub fn move_item(&mut self, document: usize, path: &[&str], from: usize, to: usize) -> Result<bool, EditError> {
        let mut expected = self.values()?;
        let items = list(&mut expected, document, path)?;
        if from >= items.len() || to >= items.len() {
            return Err(refuse(path, "the list has no such item"));
        }
        let item = items.remove(from);
        items.insert(to, item);
        self.shift(document, path, (from, to), &expected)
    }

    fn shift(
        &mut self,
        document: usize,
        path: &[&str],
        (from, to): (usize, usize),
        expected: &[Value],
    ) -> Result<bool, EditError> {
        let mut pieces = self.pieces(document, path)?;
        if from >= pieces.texts.len() || to >= pieces.texts.len() {
            return Err(refuse(path, "there is no such position"));
        }
        let piece = pieces.texts.remove(from);
        pieces.texts.insert(to, piece);
        self.commit(pieces.joined(), expected, path)?;
        Ok(from != to)
    }

    /// Puts an item into the list at `path`, in front of the one at `index`, or behind the last.
    ///
    /// # Errors
    /// [`EditError`] when there is no such list or place; the file is then unchanged.
    pub fn insert_item(&mut self, document: usize, path: &[&str], index: usize, item: &Value) -> Result<(), EditError> {
        let mut expected = self.values()?;
        let items = list(&mut expected, document, path)?;
        if index > items.len() {
            return Err(refuse(path, "the list has no such position"));
        }
        items.insert(index, item.clone());
        if items.len() == 1 {
            let only = Value::Array(items.clone());
            return self.set(document, path, &only).map(|_| ());
        }
        let mut pieces = self.pieces(document, path)?;
        let text = if pieces.flow {
            flow_text(item, false)
        } else {
            let block = to_yaml(&Value::Array(vec![item.clone()]));
            let line_break = |line: &str| if line.is_empty() { "\n" } else { pieces.usual.as_str() };
            block
                .trim_end()
                .split('\n')
                .map(|line| line_break(line).to_owned() + line)
                .collect::<String>()
                .trim_start()
                .to_owned()
        };
        pieces.texts.insert(index, text);
        // What stands behind the new piece is as usual; the rest keeps what it had.
        let usual = pieces.usual.clone();
        pieces.between.insert(index.min(pieces.between.len()), usual);
        self.commit(pieces.joined(), &expected, path)
    }

    /// Adds an item behind those of the list at `path`, which is made when there is none.
    ///
    /// # Errors
    /// [`EditError`] when there is no such place; the file is then unchanged.
    pub fn push_item(&mut self, document: usize, path: &[&str], item: &Value) -> Result<(), EditError> {
        let value = self.value(document)?;
        let list = path.iter().try_fold(&value, |value, key| value.get(key)).and_then(Value::as_array);
        match list.map_or(0, Vec::len) {
            0 => self.set(document, path, &Value::Array(vec![item.clone()])).map(|_| ()),
            count => self.insert_item(document, path, count, item),
        }
    }

    /// Takes an item out of the list at `path`, with its lines; a list that has no other becomes `[]`.
    ///
    /// # Errors
    /// [`EditError`]; the file is then unchanged.
    pub fn remove_item(&mut self, document: usize, path: &[&str], index: usize) -> Result<bool, EditError> {
        let mut expected = self.values()?;
        let items = list(&mut expected, document, path)?;
        if index >= items.len() {
            return Ok(false);
        }
        if items.len() == 1 {
            return self.set(document, path, &Value::Array(Vec::new()));
        }
        items.remove(index);
        if let NodeKind::Sequence { items, flow: true } = &self.find(document, path)?.kind {
            let spans: Vec<Range<usize>> = items.iter().map(|item| item.span.start..item.end()).collect();
            let range = self.range_in_braces(&spans, index);
            self.commit(Splice { range, text: String::new() }, &expected, path)?;
            return Ok(true);
        }
        self.remove_piece(document, path, (path, index), &expected)
    }

    /// Takes one of several entries out.
    pub(super) fn remove_piece(
        &mut self,
        document: usize,
        path: &[&str],
        (holder, index): (&[&str], usize),
        expected: &[Value],
    ) -> Result<bool, EditError> {
        let mut pieces = self.pieces(document, holder)?;
        if index >= pieces.texts.len() || pieces.between.is_empty() {
            return Err(refuse(path, "there is no such entry"));
        }
        pieces.texts.remove(index);
        pieces.between.remove(index.min(pieces.between.len() - 1));
        self.commit(pieces.joined(), expected, path)?;
        Ok(true)
    }

    fn pieces(&self, document: usize, path: &[&str]) -> Result<Pieces, EditError> {
        let node = self.find(document, path)?;
        let pieces = match &node.kind {
            NodeKind::Mapping { entries, flow } => {
                let spans = entries.iter().map(|e| e.key_node.span.start..e.end());
                self.cut(spans.collect(), *flow)
            }
            NodeKind::Sequence { items, flow: true } => {
                self.cut(items.iter().map(|i| i.span.start..i.end()).collect(), true)
            }
            NodeKind::Sequence { items, flow: false } => {
                self.dashes(node, items).and_then(|spans| self.cut(spans, false))
            }
            _ => None,
        };
        pieces.ok_or_else(|| refuse(path, "its entries share lines"))
    }

    /// Where the items of a block list begin: at the dashes, which stand below each other.
    pub(super) fn dashes(&self, list: &Node, items: &[Node]) -> Option<Vec<Range<usize>>> {
        let first = self.block_start(list);
        let column = first - line_start(&self.text, first);
        let mut spans: Vec<Range<usize>> = Vec::new();
        for item in items {
            let floor = spans.last().map_or(first, |span| span.end);
            let mut line = line_start(&self.text, item.span.start);
            let dash = loop {
                let dash = line + column;
                if dash < floor || self.text.as_bytes().get(dash) == Some(&b'-') {
                    break dash;
                }
                line = line_start(&self.text, line.checked_sub(1)?);
            };
            if dash < floor || self.text.as_bytes().get(dash) != Some(&b'-') {
                return None;
            }
            spans.push(dash..item.end().max(dash + 1));
        }
        Some(spans)
    }

    fn cut(&self, mut spans: Vec<Range<usize>>, flow: bool) -> Option<Pieces> {
        let first = spans.first()?.clone();
        let usual = if flow {
            ", ".to_owned()
        } else {
            format!("\n{}", " ".repeat(first.start - line_start(&self.text, first.start)))
        };
        if !flow {
            for span in &mut spans {
                // Texts of several lines end where the next key begins.
                let end = self.text.get(..span.end)?.trim_end().len().max(span.start);
                span.end = line_end(&self.text, end);
            }
            for number in 1..spans.len() {
                spans[number].start = self.with_comments(&usual, spans[number - 1].end, spans[number].start)?;
                // Blank lines and other comments stay with what is above them.
                spans[number - 1].end = spans[number].start.checked_sub(usual.len())?;
            }
        }
        let texts = spans.iter().map(|span| self.text.get(span.clone()).map(str::to_owned)).collect::<Option<_>>()?;
        let between = spans.windows(2).map(|pair| self.text.get(pair[0].end..pair[1].start).map(str::to_owned));
        let between = between.collect::<Option<_>>()?;
        Some(Pieces { range: first.start..spans.last()?.end, texts, between, usual, flow })
    }

    /// Where a piece begins that holds the comment lines right above `start`; `None` when it shares its line.
    fn with_comments(&self, line_break: &str, floor: usize, start: usize) -> Option<usize> {
        let mut start = start;
        if !self.text.get(..start)?.ends_with(line_break) || start < floor + line_break.len() {
            return None;
        }
        loop {
            let above = start - line_break.len();
            if above <= floor {
                return Some(start);
            }
            let line = line_start(&self.text, above);
            let is_comment =
                self.text[line..above].strip_prefix(&line_break[1..]).is_some_and(|rest| rest.starts_with('#'));
            if !is_comment || line <= floor {
                return Some(start);
            }
            start = line + line_break.len() - 1;
        }
    }
}
