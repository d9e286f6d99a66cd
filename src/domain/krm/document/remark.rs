//! Comments at line ends, and lists together with their comment.

use serde_json::Value;

use super::YamlFile;
use super::edit::{EditError, Splice, refuse};
use super::emit::to_yaml;
use super::lines::{line_end, line_start};
use super::node::{Node, NodeKind};
use crate::domain::krm::value::at;

impl YamlFile {
    /// Column (from 1) of the first byte of a node; of a block list, that of its first dash.
    #[must_use]
    pub fn column_of(&self, node: &Node) -> usize {
        let start = self.block_start(node);
        start - line_start(&self.text, start) + 1
    }

    /// Spaces between a key and the dashes of its list, as the first block list below has them; 0 when there is none.
    fn list_indent(&self, node: &Node) -> usize {
        self.first_indent(node).unwrap_or(0)
    }

    fn first_indent(&self, node: &Node) -> Option<usize> {
        match &node.kind {
            NodeKind::Mapping { entries, flow: false } => entries.iter().find_map(|entry| match &entry.value.kind {
                NodeKind::Sequence { flow: false, .. } => {
                    Some(self.column_of(&entry.value).saturating_sub(entry.key_node.column))
                }
                _ => self.first_indent(&entry.value),
            }),
            NodeKind::Sequence { items, flow: false } => items.iter().find_map(|item| self.first_indent(item)),
            _ => None,
        }
    }

    /// Sets the comment at the end of the line of a value; of a block list or map, at the end of its key's line. Says
    /// whether anything changed.
    ///
    /// # Errors
    /// [`EditError`] when the value shares its line with others or has several lines; the file is then unchanged.
    pub fn set_comment(&mut self, document: usize, path: &[&str], comment: &str) -> Result<bool, EditError> {
        if comment.contains(['\n', '\r']) {
            return Err(refuse(path, "a comment has one line"));
        }
        let expected = self.values()?;
        let from = self.comment_place(document, path)?;
        let ending = self.text[from..].find('\n').map_or(self.text.len(), |offset| from + offset);
        let tail = &self.text[from..ending];
        let rest = tail.trim_start();
        if !(rest.is_empty() || (rest.starts_with('#') && tail.starts_with([' ', '\t']))) {
            return Err(refuse(path, "it shares its line with other values"));
        }
        if rest.strip_prefix('#').is_some_and(|old| old.trim() == comment.trim()) {
            return Ok(false);
        }
        let gap = if rest.is_empty() { " " } else { &tail[..tail.len() - rest.len()] };
        let text = format!("{gap}# {comment}");
        self.commit(Splice { range: from..ending, text }, &expected, path)?;
        Ok(true)
    }

    /// Byte behind which a comment on the value stands.
    fn comment_place(&self, document: usize, path: &[&str]) -> Result<usize, EditError> {
        let node = self.find(document, path)?;
        match &node.kind {
            NodeKind::Scalar { block: true, .. } => Err(refuse(path, "it has several lines")),
            NodeKind::Sequence { flow: false, .. } | NodeKind::Mapping { flow: false, .. } => {
                self.behind_colon(document, path)
            }
            _ if node.is_absent() => self.behind_colon(document, path),
            _ => Ok(node.span.end),
        }
    }

    /// Sets a list and keeps its comment: behind the key for a list with items, behind `[]` for one without. Items that
    /// stay keep their comments. A list in brackets gets a line for each item.
    ///
    /// # Errors
    /// [`EditError`]; the file is then unchanged.
    pub fn set_list(
        &mut self,
        document: usize,
        path: &[&str],
        items: &[Value],
        comment: &str,
    ) -> Result<bool, EditError> {
        let mut expected = self.values()?;
        let new = Value::Array(items.to_vec());
        let changed = expected.get_mut(document).is_some_and(|target| super::edit::exchange(target, path, &new));
        let node = self.find(document, path)?;
        let flow = matches!(node.kind, NodeKind::Sequence { flow: true, .. });
        if !changed && (!flow || items.is_empty()) {
            return Ok(false);
        }
        let (last, parents) = path.split_last().ok_or_else(|| refuse(path, "it is the whole document"))?;
        let entry = self.find(document, parents)?.entry(last).ok_or_else(|| refuse(path, "it has no key"))?;
        let key_column = entry.key_node.column - 1;
        let start = self.behind_colon(document, path)?;
        let end = line_end(&self.text, node.end());
        let indent =
            if flow { key_column + self.list_indent(&self.documents[document]) } else { self.column_of(node) - 1 };
        let note = if comment.is_empty() { String::new() } else { format!(" # {comment}") };
        let pad = format!("\n{}", " ".repeat(indent));
        let lines = |value: &Value| format!("{pad}{}", to_yaml(value).trim_end().replace('\n', &pad));
        if let Some(known) = self.commented_items(document, path, start) {
            let text = format!("{note}{}", with_comments(known, items, lines));
            if self.commit(Splice { range: start..end, text }, &expected, path).is_ok() {
                return Ok(true);
            }
        }
        let text = if items.is_empty() { format!(" []{note}") } else { format!("{note}{}", lines(&new)) };
        self.commit(Splice { range: start..end, text }, &expected, path)?;
        Ok(true)
    }

    /// The items of a block list behind `start`, each with its lines and the comments above and behind it; none when
    /// there is no comment.
    fn commented_items(&self, document: usize, path: &[&str], start: usize) -> Option<Vec<(Value, String)>> {
        let NodeKind::Sequence { items, flow: false } = &self.find(document, path).ok()?.kind else { return None };
        let values = self.value(document).ok()?;
        let mut from = line_end(&self.text, start);
        let mut known = Vec::new();
        for (item, value) in items.iter().zip(at(&values, path)?.as_array()?) {
            let end = line_end(&self.text, item.end());
            known.push((value.clone(), self.text.get(from..end)?.to_owned()));
            from = end;
        }
        known.iter().any(|(_, lines)| lines.contains('#')).then_some(known)
    }
}

/// The lines of items, those of `known` ones as they are.
fn with_comments(mut known: Vec<(Value, String)>, items: &[Value], lines: impl Fn(&Value) -> String) -> String {
    let written = |item: &Value| match known.iter().position(|(value, _)| value == item) {
        Some(index) => known.remove(index).1,
        None => lines(&Value::Array(vec![item.clone()])),
    };
    items.iter().map(written).collect()
}
