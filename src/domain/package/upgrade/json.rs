//! Writing JSON that was merged: every value that is as it was keeps its bytes.

use serde_json::{Map, Value};

use crate::domain::krm::document::{Entry, Node, NodeKind};
use crate::domain::krm::value::same;

/// A document of JSON, or a part of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    text: &'a str,
    node: &'a Node,
    value: &'a Value,
    /// What a level is indented by; none where all stands on one line.
    indent: Option<&'a str>,
}

/// An entry or item, and what divides it from the one before it.
struct Piece<'a> {
    gap: Option<&'a str>,
    text: String,
}

/// Whether a document is a map in braces.
pub(super) fn is_braces(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Mapping { flow: true, .. })
}

impl<'a> Part<'a> {
    /// A whole document.
    pub(super) fn root(text: &'a str, node: &'a Node, value: &'a Value) -> Option<Self> {
        let NodeKind::Mapping { entries, flow: true } = &node.kind else { return None };
        let gap = text.get(node.span.start + 1..entries.first()?.key_node.span.start)?;
        Some(Self { text, node, value, indent: gap.rsplit_once('\n').map(|(_, indent)| indent) })
    }

    /// The text with another value in the place of the document.
    pub(super) fn with(self, new: &Value) -> String {
        let span = &self.node.span;
        format!("{}{}{}", &self.text[..span.start], self.written(new, 0), &self.text[span.end..])
    }

    fn below(self, node: &'a Node, value: &'a Value) -> Self {
        Self { node, value, ..self }
    }

    fn written(self, new: &Value, depth: usize) -> String {
        if same(self.value, new) {
            return self.text[self.node.span.clone()].to_owned();
        }
        let braces = match (&self.node.kind, self.value, new) {
            (NodeKind::Mapping { entries, flow: true }, Value::Object(_), Value::Object(map)) => {
                self.map(entries, map, depth).map(|pieces| ("{", pieces, "}"))
            }
            (NodeKind::Sequence { items, flow: true }, Value::Array(_), Value::Array(list)) => {
                Some(("[", self.list(items, list, depth), "]"))
            }
            _ => None,
        };
        match braces {
            Some((open, pieces, close)) if !pieces.is_empty() => self.joined(open, &pieces, close, depth),
            _ => self.fresh(new, depth),
        }
    }

    /// The entries that a map is to have: those that stay in their order, then the new ones. None where a key is
    /// written in a way that says something else.
    fn map(self, entries: &'a [Entry], new: &Map<String, Value>, depth: usize) -> Option<Vec<Piece<'a>>> {
        let mut pieces = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let old = self.value.get(&entry.key)?;
            let Some(value) = new.get(&entry.key) else { continue };
            let start = entry.key_node.span.start;
            let key = self.text.get(start..entry.value.span.start)?;
            let before = index.checked_sub(1).map(|before| entries[before].value.span.end);
            let text = format!("{key}{}", self.below(&entry.value, old).written(value, depth + 1));
            pieces.push(Piece { gap: before.and_then(|before| self.blank(before, start)), text });
        }
        for (key, value) in new.iter().filter(|(key, _)| entries.iter().all(|entry| entry.key != **key)) {
            let colon = if self.indent.is_some() || self.text.contains("\": ") { ": " } else { ":" };
            let text = format!("{}{colon}{}", Value::from(key.as_str()), self.fresh(value, depth + 1));
            pieces.push(Piece { gap: None, text });
        }
        Some(pieces)
    }

    /// The items that a list is to have: one that was there keeps its bytes, wherever it was.
    fn list(self, nodes: &'a [Node], new: &[Value], depth: usize) -> Vec<Piece<'a>> {
        let old = self.value.as_array().map_or(&[][..], Vec::as_slice);
        let near = |index: usize, value: &Value| {
            let named = value.get("name").and_then(|name| old.iter().position(|old| old.get("name") == Some(name)));
            named.or_else(|| old.get(index).map(|_| index))
        };
        let piece = |(index, value): (usize, &Value)| {
            let found = old.iter().position(|old| same(old, value)).or_else(|| near(index, value));
            let Some((found, node, old)) = found.and_then(|found| Some((found, nodes.get(found)?, old.get(found)?)))
            else {
                return Piece { gap: None, text: self.fresh(value, depth + 1) };
            };
            let before = found.checked_sub(1).and_then(|before| nodes.get(before));
            let gap = before.and_then(|before| self.blank(before.span.end, node.span.start));
            Piece { gap, text: self.below(node, old).written(value, depth + 1) }
        };
        new.iter().enumerate().map(piece).collect()
    }

    /// What divides two values, when it does nothing else.
    fn blank(self, from: usize, to: usize) -> Option<&'a str> {
        self.text.get(from..to).filter(|gap| gap.trim_matches([' ', '\n', '\t', '\r', ',']).is_empty())
    }

    /// Where the first value of this part begins, and where the last ends.
    fn edges(self) -> Option<(usize, usize)> {
        match &self.node.kind {
            NodeKind::Mapping { entries, .. } => {
                Some((entries.first()?.key_node.span.start, entries.last()?.value.span.end))
            }
            NodeKind::Sequence { items, .. } => Some((items.first()?.span.start, items.last()?.span.end)),
            NodeKind::Scalar { .. } | NodeKind::Alias(_) => None,
        }
    }

    /// Pieces in braces, with as much room between them as there was.
    fn joined(self, open: &str, pieces: &[Piece<'_>], close: &str, depth: usize) -> String {
        let whole = &self.node.span;
        let room = self.edges().and_then(|(first, last)| {
            Some((
                self.blank(whole.start + 1, first)?.to_owned(),
                self.blank(last, whole.end.checked_sub(1)?)?.to_owned(),
            ))
        });
        let (first, last) = room.unwrap_or_else(|| match self.indent {
            Some(indent) => (format!("\n{}", indent.repeat(depth + 1)), format!("\n{}", indent.repeat(depth))),
            None => (String::new(), String::new()),
        });
        // As between two others, else as before the first.
        let known = pieces.iter().find_map(|piece| piece.gap).map(str::to_owned);
        let between = known.unwrap_or_else(|| match self.indent {
            Some(_) if first.is_empty() => ", ".to_owned(),
            _ => format!(",{first}"),
        });
        let mut text = format!("{open}{first}");
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                text.push_str(piece.gap.unwrap_or(&between));
            }
            text.push_str(&piece.text);
        }
        format!("{text}{last}{close}")
    }

    /// A value that was not there, in the manner of the document.
    fn fresh(self, value: &Value, depth: usize) -> String {
        let Some(indent) = self.indent else { return value.to_string() };
        let text = format!("{value:#}");
        let mut lines = text.lines();
        let mut written = lines.next().unwrap_or_default().to_owned();
        for line in lines {
            let inner = line.trim_start_matches(' ');
            let levels = depth + (line.len() - inner.len()) / 2;
            written.push_str(&format!("\n{}{inner}", indent.repeat(levels)));
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::krm::document::{Limits, YamlFile};

    fn changed(text: &str, change: impl FnOnce(&mut Value)) -> String {
        let file = YamlFile::parse(text.as_bytes(), &Limits::default()).unwrap();
        let old = file.value(0).unwrap();
        let mut new = old.clone();
        change(&mut new);
        let written = Part::root(text, &file.documents()[0], &old).unwrap().with(&new);
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), new, "{written}");
        written
    }

    #[test]
    fn what_is_as_it_was_keeps_its_bytes() {
        let text = "{\n    \"a\": {\"n\": 1.10, \"b\" : [1,2 ,  3]},\n    \"c\": 1,   \"d\": [\n        {\"name\": \"x\"},\n        {\"name\": \"y\", \"v\": 1}\n    ]\n}\n";
        assert_eq!(changed(text, |_| {}), text);
        assert_eq!(changed(text, |new| new["c"] = json!(2)), text.replace("\"c\": 1", "\"c\": 2"));
        let text = text.replace("1,   \"d\"", "1,\n    \"d\"");
        assert_eq!(changed(&text, |new| new["a"]["b"][1] = json!(7)), text.replace("[1,2 ,  3]", "[1,7 ,  3]"));
        assert_eq!(
            changed(&text, |new| new["d"][1]["v"] = json!({"z": []})),
            text.replace("\"v\": 1", "\"v\": {\n                \"z\": []\n            }")
        );
        let gone = text.replace("    \"c\": 1,\n", "");
        assert_eq!(changed(&text, |new| drop(new.as_object_mut().unwrap().remove("c"))), gone);
        let more = text.replace("    ]\n}", "    ],\n    \"e\": {\n        \"f\": true\n    }\n}");
        assert_eq!(changed(&text, |new| new["e"] = json!({"f": true})), more);
        let fewer = text.replace("{\"name\": \"x\"},\n        ", "");
        assert_eq!(changed(&text, |new| drop(new["d"].as_array_mut().unwrap().remove(0))), fewer);
    }

    #[test]
    fn one_line_stays_one_line() {
        let text = "{\"a\":1,\"b\":[]}";
        assert_eq!(changed(text, |new| new["c"] = json!({"d": [1]})), "{\"a\":1,\"b\":[],\"c\":{\"d\":[1]}}");
        assert_eq!(changed(text, |new| new["b"] = json!([1, 2])), "{\"a\":1,\"b\":[1,2]}");
        assert_eq!(changed(text, |new| *new = json!({})), "{}");
    }
}
