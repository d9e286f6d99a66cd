//! Setters in comments: where they are used, and what the present text says of their values.

use std::collections::BTreeMap;

use regex::Regex;

use super::Call;
use crate::domain::krm::document::{Node, NodeKind};
use crate::domain::package::parts::Document;
use crate::domain::package::resources::Place;

/// What marks a comment as a setter's.
pub(super) const MARK: &str = "kpt-set:";

/// One place that refers to setters.
pub(super) struct Use {
    pub(super) place: Place,
    pub(super) path: Vec<String>,
    pub(super) pattern: String,
    pub(super) line: usize,
    pub(super) kind: Kind,
}

/// What stands there.
pub(super) enum Kind {
    /// A scalar, with its present text.
    Scalar(String),
    /// A list.
    List,
}

/// Every use in the resources of a call, in order.
pub(super) fn uses(call: &Call<'_>) -> Vec<Use> {
    let mut found = Vec::new();
    for place in &call.places {
        let Some(document) = call.resources.document(place) else { continue };
        if let Some(root) = document.root() {
            Search { document, place, found: &mut found }.walk(root, &mut Vec::new());
        }
    }
    found
}

/// The pattern in a comment.
fn pattern(comment: &str) -> Option<String> {
    comment.trim().strip_prefix(MARK).map(|pattern| pattern.trim().to_owned())
}

struct Search<'a> {
    document: Document<'a>,
    place: &'a Place,
    found: &'a mut Vec<Use>,
}

impl Search<'_> {
    fn pattern(&self, line: usize) -> Option<String> {
        self.document.file.comment(line).and_then(pattern)
    }

    fn record(&mut self, path: &[String], pattern: Option<String>, line: usize, kind: Kind) {
        if let Some(pattern) = pattern {
            let line = self.document.lines_before + line;
            self.found.push(Use { place: self.place.clone(), path: path.to_vec(), pattern, line, kind });
        }
    }

    fn walk(&mut self, node: &Node, path: &mut Vec<String>) {
        match &node.kind {
            NodeKind::Scalar { text, .. } => {
                let pattern = self.document.file.comment_of(node).and_then(pattern);
                self.record(path, pattern, node.line, Kind::Scalar(text.clone()));
            }
            // A list in brackets has its comment behind it; what is in brackets or braces shares the line and has none.
            NodeKind::Sequence { flow: true, .. } => {
                self.record(path, self.pattern(node.last_line), node.line, Kind::List);
            }
            NodeKind::Sequence { items, .. } => {
                for (index, item) in items.iter().enumerate() {
                    path.push(index.to_string());
                    self.walk(item, path);
                    path.pop();
                }
            }
            NodeKind::Mapping { entries, flow: false } => {
                for entry in entries {
                    path.push(entry.key.clone());
                    if matches!(entry.value.kind, NodeKind::Sequence { flow: false, .. }) {
                        let line = entry.key_node.line;
                        self.record(path, self.pattern(entry.key_node.last_line), line, Kind::List);
                    }
                    self.walk(&entry.value, path);
                    path.pop();
                }
            }
            _ => {}
        }
    }
}

/// Names in `${...}`, in order.
pub(super) fn names(pattern: &str) -> Vec<&str> {
    pattern.split("${").skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name)).collect()
}

/// Values that the present text gives to setters: the pattern's fixed parts split it, each setter taking as much as it
/// can. Nothing when any of them would be empty.
pub(super) fn derived(pattern: &str, current: &str) -> BTreeMap<String, String> {
    let mut expression = String::new();
    let mut names = Vec::new();
    let mut rest = pattern;
    while let Some((fixed, (name, after))) =
        rest.split_once("${").and_then(|(fixed, after)| Some((fixed, after.split_once('}')?)))
    {
        expression.push_str(&regex::escape(fixed));
        expression.push_str("(.*)");
        names.push(name);
        rest = after;
    }
    expression.push_str(&regex::escape(rest));
    let captures = Regex::new(&expression).ok().and_then(|regex| regex.captures(current));
    let Some(captures) = captures else { return BTreeMap::new() };
    let values = names.iter().enumerate().map(|(index, name)| {
        let text = captures.get(index + 1).map_or("", |found| found.as_str());
        ((*name).to_owned(), text.to_owned())
    });
    let values: BTreeMap<String, String> = values.collect();
    if values.values().any(String::is_empty) { BTreeMap::new() } else { values }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_from_the_present_text() {
        type Row<'t> = (&'t str, &'t str, &'t [(&'t str, &'t str)]);
        let table: &[Row<'_>] = &[
            ("${image}:${tag}", "nginx:1.0", &[("image", "nginx"), ("tag", "1.0")]),
            (
                "app.${stage}.${domain}.${tld}",
                "app.dev.example.com",
                &[("stage", "dev"), ("domain", "example"), ("tld", "com")],
            ),
            ("${a}-${b}", "x-y-z", &[("a", "x-y"), ("b", "z")]),
            ("${a}${b}", "fixed", &[]),
            ("v${a}", "w1", &[]),
            ("${a}", "", &[]),
        ];
        for (pattern, current, expected) in table {
            let expected = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            assert_eq!(derived(pattern, current), expected, "{pattern} in {current}");
        }
    }
}
