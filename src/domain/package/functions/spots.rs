//! The scalars and lists of a document, in order, as functions look at them that search by value or by comment.

use crate::domain::krm::document::{Node, NodeKind, YamlFile};
use crate::domain::package::parts::Document;

/// One scalar or list.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    /// Map keys and list indices.
    pub(super) path: Vec<String>,
    /// The same as people write it: `spec.containers[0].image`.
    pub(super) shown: String,
    pub(super) what: What,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    /// A scalar: its text, and the comment at its line's end.
    Scalar { text: String, comment: Option<String> },
    /// A list below a key: the texts of its items, and whether it is written in brackets.
    List { items: Vec<String>, flow: bool },
}

/// All of a document.
pub(super) fn spots(document: Document<'_>) -> Vec<Spot> {
    let mut found = Vec::new();
    if let Some(root) = document.root() {
        let mut walk =
            Walk { file: document.file, path: Vec::new(), shown: String::new(), enclosed: false, found: &mut found };
        walk.node(root);
    }
    found
}

struct Walk<'a> {
    file: &'a YamlFile,
    path: Vec<String>,
    shown: String,
    /// Whether this is inside of brackets or braces, where nothing has a comment of its own.
    enclosed: bool,
    found: &'a mut Vec<Spot>,
}

impl Walk<'_> {
    fn record(&mut self, what: What) {
        self.found.push(Spot { path: self.path.clone(), shown: self.shown.clone(), what });
    }

    fn below(&mut self, part: &str, shown: &str, node: &Node) {
        let length = self.shown.len();
        self.path.push(part.to_owned());
        self.shown.push_str(shown);
        if let NodeKind::Sequence { items, flow } = &node.kind
            && !shown.ends_with(']')
        {
            self.record(What::List { items: items.iter().map(text_of).collect(), flow: *flow });
        }
        self.node(node);
        self.shown.truncate(length);
        self.path.pop();
    }

    fn node(&mut self, node: &Node) {
        let outer = self.enclosed;
        self.enclosed |=
            matches!(node.kind, NodeKind::Sequence { flow: true, .. } | NodeKind::Mapping { flow: true, .. });
        self.inside(node);
        self.enclosed = outer;
    }

    fn inside(&mut self, node: &Node) {
        match &node.kind {
            NodeKind::Scalar { text, .. } => {
                let comment = self.file.comment(node.last_line).filter(|_| !self.enclosed).map(str::to_owned);
                self.record(What::Scalar { text: text.clone(), comment });
            }
            NodeKind::Sequence { items, .. } => {
                for (index, item) in items.iter().enumerate() {
                    self.below(&index.to_string(), &format!("[{index}]"), item);
                }
            }
            NodeKind::Mapping { entries, .. } => {
                for entry in entries {
                    let dot = if self.shown.is_empty() { "" } else { "." };
                    let written = entry.key_node.scalar().unwrap_or(&entry.key);
                    self.below(&entry.key, &format!("{dot}{written}"), &entry.value);
                }
            }
            NodeKind::Alias(_) => {}
        }
    }
}

fn text_of(node: &Node) -> String {
    match &node.kind {
        NodeKind::Scalar { text, .. } => text.clone(),
        _ => String::new(),
    }
}
