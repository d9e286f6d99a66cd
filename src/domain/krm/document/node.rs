//! The tree of a document: what stands where.

use std::ops::Range;
use std::sync::Arc;

use super::resolve;

/// One node with its place in the text.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Bytes it covers; empty for an absent value.
    pub span: Range<usize>,
    /// Line of its first byte, from 1.
    pub line: usize,
    /// Column of its first byte, from 1.
    pub column: usize,
    /// Line of its last byte, from 1.
    pub last_line: usize,
}

/// The kinds of nodes.
#[derive(Debug, Clone)]
pub enum NodeKind {
    /// A scalar: its decoded text, whether it was plain (so that its type follows from its form), and its tag.
    Scalar {
        /// Decoded text.
        text: String,
        /// Written without quotes.
        plain: bool,
        /// Written as `|` or `>`.
        block: bool,
        /// Core tag (`str`, `int`, ...), when there is one.
        tag: Option<String>,
    },
    /// A list.
    Sequence {
        /// Its items.
        items: Vec<Node>,
        /// Written as `[...]`.
        flow: bool,
    },
    /// A map; keys are unique.
    Mapping {
        /// Its entries in order.
        entries: Vec<Entry>,
        /// Written as `{...}`.
        flow: bool,
    },
    /// `*name`: the same value as another node.
    Alias(Arc<Node>),
}

/// One key and its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key as JSON spells it: `yes` is `true`, `1` is `1`.
    pub key: String,
    /// Where the key stands.
    pub key_node: Node,
    /// The value.
    pub value: Node,
}

impl Entry {
    /// The key as kpt reads it: `yes` is `yes`.
    #[must_use]
    pub fn key_of_kpt(&self) -> &str {
        resolve::text_to_kpt(&self.key_node).unwrap_or(&self.key)
    }

    /// Byte after the last one that belongs to the key or the value.
    #[must_use]
    pub fn end(&self) -> usize {
        self.value.end().max(self.key_node.span.end)
    }
}

impl Node {
    /// The node at `path`: map keys, or list indices as digits.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        match &self.kind {
            NodeKind::Mapping { entries, .. } => entries.iter().find(|entry| entry.key == *first)?.value.at(rest),
            NodeKind::Sequence { items, .. } => items.get(first.parse::<usize>().ok()?)?.at(rest),
            NodeKind::Alias(target) => target.at(path),
            NodeKind::Scalar { .. } => None,
        }
    }

    /// Whether this is the root of a Kptfile, which is kpt's alone to read.
    #[must_use]
    pub fn is_kptfile(&self) -> bool {
        let text = |field: &str| self.at(&[field]).and_then(Self::scalar).unwrap_or_default();
        text("kind") == "Kptfile" && text("apiVersion").starts_with("kpt.dev/")
    }

    /// The decoded text of a scalar, whatever its type.
    #[must_use]
    pub fn scalar(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Scalar { text, .. } => Some(text),
            NodeKind::Alias(target) => target.scalar(),
            NodeKind::Sequence { .. } | NodeKind::Mapping { .. } => None,
        }
    }

    /// The entry of a map.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            NodeKind::Mapping { entries, .. } => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The deepest node that exists on `path`: for saying where something is missing.
    #[must_use]
    pub fn nearest(&self, path: &[&str]) -> &Self {
        (0..=path.len()).rev().find_map(|length| self.at(&path[..length])).unwrap_or(self)
    }

    /// Line to name for `path`: of the deepest key on it that exists.
    #[must_use]
    pub fn line_of(&self, path: &[&str]) -> usize {
        let Some((first, rest)) = path.split_first() else { return self.line };
        match &self.kind {
            NodeKind::Mapping { entries, .. } => match entries.iter().find(|entry| entry.key == *first) {
                Some(entry) if rest.is_empty() => entry.key_node.line,
                Some(entry) => entry.value.at(&rest[..1]).map_or(entry.key_node.line, |_| entry.value.line_of(rest)),
                None => self.line,
            },
            NodeKind::Sequence { .. } => self.at(&path[..1]).map_or(self.line, |item| item.line_of(rest)),
            _ => self.line,
        }
    }

    /// Whether nothing is written here: `key:` without a value.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.span.is_empty()
    }

    /// Byte after the last one that belongs to the node or to anything in it.
    #[must_use]
    pub fn end(&self) -> usize {
        match &self.kind {
            NodeKind::Mapping { entries, flow: false } => {
                entries.last().map_or(self.span.end, |entry| entry.value.end().max(entry.key_node.span.end + 1))
            }
            NodeKind::Sequence { items, flow: false } => items.last().map_or(self.span.end, Self::end),
            _ => self.span.end,
        }
    }

    /// Line of [`Node::end`].
    #[must_use]
    pub fn end_line(&self) -> usize {
        match &self.kind {
            NodeKind::Mapping { entries, flow: false } => {
                entries.last().map_or(self.last_line, |entry| entry.value.end_line().max(entry.key_node.last_line))
            }
            NodeKind::Sequence { items, flow: false } => items.last().map_or(self.last_line, Self::end_line),
            _ => self.last_line,
        }
    }
}
