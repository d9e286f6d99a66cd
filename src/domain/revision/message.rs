//! Commit messages of package revisions: a subject, one `kpt:` line with JSON, git trailers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What the `kpt:` line of a commit says.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// Path of the package.
    pub package: String,
    /// Workspace.
    pub workspace: String,
    /// Number as text; `0` for drafts.
    pub revision: String,
    /// The task that the commit performed.
    pub task: Option<Value>,
}

/// A whole message: subject, annotation, trailers, each set off by a blank line. Values of trailers become one line.
#[must_use]
pub fn compose(subject: &str, annotation: &Annotation, trailers: &[(String, String)]) -> String {
    let mut line = json!({
        "package": annotation.package, "workspaceName": annotation.workspace, "revision": annotation.revision
    });
    if let Some(task) = &annotation.task {
        line["task"] = task.clone();
    }
    let mut message = format!("{subject}\n\nkpt:{line}\n");
    if !trailers.is_empty() {
        message.push('\n');
        for (key, value) in trailers {
            let value: String = value.split_whitespace().collect::<Vec<_>>().join(" ");
            message.push_str(&format!("{key}: {value}\n"));
        }
    }
    message
}

/// Every annotation of a message; lines that cannot be read are passed over.
#[must_use]
pub fn annotations(message: &str) -> Vec<Annotation> {
    let lines = message.lines().filter_map(|line| line.trim().strip_prefix("kpt:"));
    lines
        .filter_map(|text| {
            let value: Value = serde_json::from_str(text).ok()?;
            let field = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            Some(Annotation {
                package: field("package"),
                workspace: field("workspaceName"),
                revision: field("revision"),
                task: value.get("task").cloned(),
            })
        })
        .collect()
}

/// The trailers in the last paragraph of a message.
#[must_use]
pub fn trailers(message: &str) -> BTreeMap<String, String> {
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or_default();
    let lines = last.lines().filter_map(|line| line.split_once(": "));
    lines
        .filter(|(key, _)| !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_composed_is_read_again() {
        let annotation =
            Annotation { package: "net/upf".into(), workspace: "w1".into(), revision: "2".into(), task: None };
        let text =
            compose("Approving package revision net/upf/2", &annotation, &[("Loggia-Plan".into(), "ab\ncd".into())]);
        assert_eq!(
            text,
            "Approving package revision net/upf/2\n\nkpt:{\"package\":\"net/upf\",\"revision\":\"2\",\"workspaceName\":\"w1\"}\n\nLoggia-Plan: ab cd\n"
        );
        assert_eq!(annotations(&text), [annotation]);
        assert_eq!(trailers(&text), BTreeMap::from([("Loggia-Plan".to_owned(), "ab cd".to_owned())]));
    }

    #[test]
    fn rubbish_is_passed_over_and_several_are_read() {
        let text = "x\n\nkpt:{broken\n\nkpt:{\"package\":\"a\"}\nkpt:{\"package\":\"b\"}\n";
        assert_eq!(annotations(text).iter().map(|a| a.package.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(trailers("subject: not a trailer block").contains_key("subject"));
        assert!(trailers("one\n\nplain words").is_empty());
    }
}
