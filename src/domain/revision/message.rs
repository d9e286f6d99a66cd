//! Commit messages of package revisions: a subject, one `kpt:` line with JSON, git trailers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Subject of the commit that takes a package off the registered branch, as Porch words it.
#[must_use]
pub fn deletion(path: &str) -> String {
    format!("Delete {path}\n")
}

/// Subject of an approval, as Porch words it; `path` is the package's path in the repository.
#[must_use]
pub fn approval_subject(path: &str, number: i64) -> String {
    format!("Approving package revision {path}/{number}")
}

/// What the `kpt:` line of a commit says. Fields are written in this order, and not when they are empty, as Porch does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Annotation {
    /// Path of the package in the repository.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub package: String,
    /// Workspace.
    #[serde(rename = "workspaceName", skip_serializing_if = "String::is_empty")]
    pub workspace: String,
    /// Number as text; `0` for drafts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub revision: String,
    /// The task that the commit performed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Value>,
}

/// A whole message: subject, annotation, trailers, each set off by a blank line. Subject and values become one line
/// each, so that nothing in them can pass for an annotation; trailers whose key is no git trailer token are left out.
#[must_use]
pub fn compose(subject: &str, annotation: &Annotation, trailers: &[(String, String)]) -> String {
    // These are strings and a JSON value: they always have a JSON form.
    let line = serde_json::to_string(annotation).unwrap_or_default();
    let mut block = String::new();
    for (key, value) in trailers.iter().filter(|(key, _)| is_token(key) && key != "kpt") {
        block.extend([key, ": ", &one_line(value), "\n"]);
    }
    let gap = if block.is_empty() { "" } else { "\n" };
    format!("{}\n\nkpt:{line}\n{gap}{block}", one_line(subject))
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every annotation of a message, in order; lines that cannot be read are passed over.
#[must_use]
pub fn annotations(message: &str) -> Vec<Annotation> {
    let lines = message.lines().filter_map(|line| line.trim().strip_prefix("kpt:"));
    lines.filter_map(|text| serde_json::from_str(text).ok()).collect()
}

/// The trailers of a message, as `git interpret-trailers --parse` finds them: the last paragraph, when it is not the
/// title and every line of it is `Token: value` or goes on with the line before. The last of equal keys wins.
#[must_use]
pub fn trailers(message: &str) -> BTreeMap<String, String> {
    let lines: Vec<&str> = message.trim_end().lines().map(str::trim_end).collect();
    let Some(gap) = lines.iter().rposition(|line| line.is_empty()) else { return BTreeMap::new() };
    let mut found: Vec<(String, String)> = Vec::new();
    for line in &lines[gap + 1..] {
        let continued = line.starts_with([' ', '\t']);
        match (line.split_once(':').filter(|(key, _)| !continued && is_token(key)), found.last_mut()) {
            (Some((key, value)), _) => found.push((key.to_owned(), value.trim().to_owned())),
            (None, Some((_, value))) if continued => {
                value.push(' ');
                value.push_str(line.trim());
            }
            (None, _) => return BTreeMap::new(),
        }
    }
    // The annotation of a commit without trailers stands where trailers would.
    found.into_iter().filter(|(key, _)| key != "kpt").collect()
}

fn is_token(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn annotation() -> Annotation {
        Annotation { package: "net/upf".into(), workspace: "w1".into(), revision: "2".into(), task: None }
    }

    #[test]
    fn what_is_composed_is_read_again() {
        let text = compose(&approval_subject("net/upf", 2), &annotation(), &[("Loggia-Plan".into(), "ab\ncd".into())]);
        assert_eq!(
            text,
            "Approving package revision net/upf/2\n\n\
             kpt:{\"package\":\"net/upf\",\"workspaceName\":\"w1\",\"revision\":\"2\"}\n\n\
             Loggia-Plan: ab cd\n"
        );
        assert_eq!(annotations(&text), [annotation()]);
        assert_eq!(trailers(&text), BTreeMap::from([("Loggia-Plan".to_owned(), "ab cd".to_owned())]));
    }

    #[test]
    fn a_task_stands_last() {
        let text = compose("s", &Annotation { task: Some(json!({"type": "init"})), ..annotation() }, &[]);
        assert!(text.ends_with("\"revision\":\"2\",\"task\":{\"type\":\"init\"}}\n"), "{text}");
        assert!(trailers(&text).is_empty());
    }

    #[test]
    fn rubbish_is_passed_over_and_several_are_read() {
        let text = "x\n\nkpt:{broken\n\nkpt:[1]\nkpt:{\"package\":3}\nkpt:{\"package\":\"a\"}\r\n    kpt:{\"package\":\"b\",\"new\":1}\n";
        assert_eq!(annotations(text).iter().map(|a| a.package.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn only_a_block_of_trailers_is_one() {
        let none =
            ["", "subject: not a trailer block", "one\n\nplain words", "one\n\nKey: value\nplain words", "one\n\n a"];
        for text in none {
            assert!(trailers(text).is_empty(), "{text}");
        }
        let folded = trailers("one\r\n\r\nA: 1\r\n  2\r\nB-c:x\r\nA: 3\r\n");
        assert_eq!(folded, BTreeMap::from([("A".into(), "3".into()), ("B-c".into(), "x".into())]));
    }

    proptest! {
        /// Whatever stands in subject, trailers and fields, exactly our annotation and the allowed trailers come back.
        #[test]
        fn nothing_passes_for_an_annotation(
            subject in "(kpt:|a|\n|:| |\\{\\}){0,8}",
            package in "\\PC{0,6}",
            key in "(kpt|Key|a b|K:|\n|x-y)",
            value in "(kpt:|a|\n|\r|:| |\\{\\}){0,8}",
        ) {
            let annotation = Annotation { package, ..annotation() };
            let text = compose(&format!("s {subject}"), &annotation, &[(key.clone(), value.clone())]);
            prop_assert_eq!(annotations(&text), [annotation]);
            let allowed = ["Key", "x-y"].contains(&key.as_str());
            prop_assert_eq!(trailers(&text).len(), usize::from(allowed), "{}", text);
        }
    }
}
