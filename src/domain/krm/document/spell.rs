//! Documents written otherwise that mean the same: plain scalars spelled anew, and texts ended so that another document
//! may follow.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use super::edit::{EditError, Splice};
use super::emit::to_yaml;
use super::node::{Node, NodeKind};
use super::{Limits, YamlFile, resolve};

/// What a plain scalar is that only YAML 1.1 takes for a boolean: `y`, `no`, `on` and their like. Kubernetes reads 1.1;
/// to most libraries, kyaml among them, it is a text.
#[must_use]
pub fn disputed_boolean(text: &str) -> Option<bool> {
    let agreed = text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false");
    if agreed { None } else { resolve::plain(text).as_bool() }
}

/// Whether a text would be a number or boolean without its quotes, and not one that a program spells so: `1e3`, `08`
/// and `0644`, not `5` and `true`.
#[must_use]
pub fn is_typed_by_chance(text: &str) -> bool {
    match resolve::plain(text) {
        Value::Bool(_) => !matches!(text, "true" | "false"),
        Value::Number(number) => number.to_string() != text,
        _ => false,
    }
}

/// A scalar of a file, or a key.
#[derive(Debug, Clone, Copy)]
pub struct Scalar<'a> {
    /// What it says.
    pub text: &'a str,
    /// Whether its type follows from its form: it has neither quotes nor a tag.
    pub is_plain: bool,
    /// Whether it is a key.
    pub is_key: bool,
}

impl YamlFile {
    /// Every scalar and key, as it is written; what aliases stand for is told once.
    #[must_use]
    pub fn scalars(&self) -> Vec<Scalar<'_>> {
        self.spanned().into_iter().map(|(scalar, _)| scalar).collect()
    }

    fn spanned(&self) -> Vec<(Scalar<'_>, Range<usize>)> {
        let mut found = Vec::new();
        self.documents.iter().for_each(|root| collect(root, false, &mut found));
        found
    }

    /// The text with those plain scalars written otherwise for which `spell` gives something else.
    #[must_use]
    pub fn respelled(&self, spell: impl Fn(&Scalar<'_>) -> Option<String>) -> Cow<'_, str> {
        let mut text = Cow::Borrowed(self.text.as_str());
        for (scalar, span) in self.spanned().into_iter().rev().filter(|(scalar, _)| scalar.is_plain) {
            let is_there = self.text.get(span.clone()) == Some(scalar.text);
            if let Some(new) = is_there.then(|| spell(&scalar)).flatten() {
                text.to_mut().replace_range(span, &new);
            }
        }
        text
    }
}

impl YamlFile {
    /// Spells what stands at `path` as `source` does, which means the same: `1.10` and `0644` where only the numbers were
    /// told. Says whether anything changed.
    ///
    /// # Errors
    /// [`EditError`] when there is nothing, or it means something else; the file is then unchanged.
    pub fn spell_like(&mut self, document: usize, path: &[&str], source: &Node) -> Result<bool, EditError> {
        let expected = self.values()?;
        let mut spellings = Vec::new();
        pair(source, self.find(document, path)?, &mut spellings);
        spellings.retain(|(span, spelled)| self.text.get(span.clone()).is_some_and(|text| text != spelled));
        spellings.sort_by_key(|(span, _)| span.start);
        let mut text = self.text.clone();
        for (span, spelled) in spellings.iter().rev() {
            text.replace_range(span.clone(), spelled);
        }
        self.commit(Splice { range: 0..self.text.len(), text }, &expected, path)?;
        Ok(!spellings.is_empty())
    }
}

/// Where a scalar stands that is spelled otherwise, and how.
fn pair(source: &Node, target: &Node, found: &mut Vec<(Range<usize>, String)>) {
    match (&source.kind, &target.kind) {
        (NodeKind::Alias(source), _) => pair(source, target, found),
        (NodeKind::Scalar { text, plain: true, tag: None, .. }, NodeKind::Scalar { block: false, .. })
            if is_typed_by_chance(text) =>
        {
            found.push((target.span.clone(), text.clone()));
        }
        (NodeKind::Sequence { items, .. }, NodeKind::Sequence { items: targets, .. }) => {
            items.iter().zip(targets).for_each(|(item, target)| pair(item, target, found));
        }
        (NodeKind::Mapping { .. }, NodeKind::Mapping { entries, .. }) => {
            for entry in entries {
                if let Some(like) = source.entry(&entry.key) {
                    pair(&like.key_node, &entry.key_node, found);
                    pair(&like.value, &entry.value, found);
                }
            }
        }
        _ => {}
    }
}

fn collect<'a>(node: &'a Node, is_key: bool, found: &mut Vec<(Scalar<'a>, Range<usize>)>) {
    match &node.kind {
        NodeKind::Scalar { text, plain, tag, .. } => {
            found.push((Scalar { text, is_plain: *plain && tag.is_none(), is_key }, node.span.clone()));
        }
        NodeKind::Sequence { items, .. } => items.iter().for_each(|item| collect(item, false, found)),
        NodeKind::Mapping { entries, .. } => {
            for entry in entries {
                collect(&entry.key_node, true, found);
                collect(&entry.value, false, found);
            }
        }
        NodeKind::Alias(_) => {}
    }
}

/// The text of a document so that another one, or a line that is indented less, may follow: without `...` and blank
/// lines at its end, which has one line break. Line breaks that belong to a value, as those behind `|+` do, stay.
#[must_use]
pub fn closed<'t>(text: &'t str, limits: &Limits) -> Cow<'t, str> {
    let bare = without_end_marks(text);
    let usual = format!("{}\n", bare.trim_end());
    if usual == text {
        return Cow::Borrowed(text);
    }
    let read = |text: &str| YamlFile::parse(text.as_bytes(), limits).and_then(|file| file.values()).ok();
    let Some(wanted) = read(text) else { return Cow::Owned(usual) };
    let means_it = |text: &String| read(text).as_ref() == Some(&wanted);
    if means_it(&usual) {
        return Cow::Owned(usual);
    }
    let kept = format!("{bare}{}", if bare.ends_with('\n') { "" } else { "\n" });
    let anew = || wanted.first().filter(|_| wanted.len() == 1).map(to_yaml);
    let same = Some(kept).filter(means_it).or_else(|| stripped(&bare, limits).filter(means_it)).or_else(anew);
    Cow::Owned(same.unwrap_or(usual))
}

/// The text without the lines `...` that end its documents, and the directives behind them.
fn without_end_marks(text: &str) -> Cow<'_, str> {
    let is_mark = |line: &str| {
        line.strip_prefix("...").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
    };
    let mut is_behind = false;
    let stays = |line: &&str| {
        let mark = is_mark(line);
        is_behind |= mark;
        !(mark || is_behind && line.starts_with('%'))
    };
    if text.lines().any(is_mark) {
        Cow::Owned(text.split_inclusive('\n').filter(stays).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// The text with `-` in the header of the text of several lines that it ends with: it has no line break at its end.
fn stripped(text: &str, limits: &Limits) -> Option<String> {
    let file = YamlFile::parse(text.as_bytes(), limits).ok()?;
    let mut node = file.documents.last()?;
    loop {
        node = match &node.kind {
            NodeKind::Mapping { entries, flow: false } => &entries.last()?.value,
            NodeKind::Sequence { items, flow: false } => items.last()?,
            NodeKind::Scalar { block: true, .. } => break,
            _ => return None,
        };
    }
    let (before, scalar) = text.split_at_checked(node.span.start)?;
    let (header, lines) = scalar.split_once('\n')?;
    let header = header.replacen('+', "", 1);
    let (style, rest) = header.split_at_checked(1)?;
    Some(format!("{before}{style}-{rest}\n{lines}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<Value> {
        YamlFile::parse(text.as_bytes(), &Limits::default()).unwrap().values().unwrap()
    }

    #[test]
    fn what_is_closed_means_the_same() {
        let table = [
            ("a: 1\n", "a: 1\n"),
            ("a: 1", "a: 1\n"),
            ("a: 1\r\n", "a: 1\n"),
            ("a: 1\n\n\n", "a: 1\n"),
            ("a: 1\n...\n", "a: 1\n"),
            ("a: 1\n... # end\n# behind\n%YAML 1.2\n", "a: 1\n# behind\n"),
            ("a: |\n  x\n\n\n", "a: |\n  x\n"),
            ("a: |+\n  x\n\n\n", "a: |+\n  x\n\n\n"),
            ("a:\n- >+ # c\n  x\n\n...\n", "a:\n- >+ # c\n  x\n\n"),
            ("a: |+\n  x\n\n# behind\n\n", "a: |+\n  x\n\n# behind\n"),
            ("a: |\n  x\n  y", "a: |-\n  x\n  y\n"),
            ("a: \"x\n\n  y\"\n\n", "a: \"x\n\n  y\"\n"),
            ("- |+\n\n\n", "- |+\n\n\n"),
            ("# nothing\n\n", "# nothing\n"),
        ];
        for (text, expected) in table {
            assert_eq!(closed(text, &Limits::default()), expected, "{text:?}");
            if !text.contains('%') {
                assert_eq!(values(expected), values(text), "{text:?}");
            }
            assert_eq!(closed(expected, &Limits::default()), expected, "{text:?}");
        }
    }

    #[test]
    fn plain_scalars_are_spelled_anew() {
        let text = "a: y # y\ny: [y, 'y', !!str y, &x n, *x]\nb: |\n  y\nc: true\nd: yes no\n";
        let file = YamlFile::parse(text.as_bytes(), &Limits::default()).unwrap();
        let spelled = file.respelled(|scalar| disputed_boolean(scalar.text).map(|_| format!("\"{}\"", scalar.text)));
        assert_eq!(
            spelled,
            "a: \"y\" # y\n\"y\": [\"y\", 'y', !!str y, &x \"n\", *x]\nb: |\n  y\nc: true\nd: yes no\n"
        );
        assert!(matches!(file.respelled(|_| None), Cow::Borrowed(_)));
    }

    #[test]
    fn what_was_set_is_spelled_as_it_was_given() {
        let source = "[1.10, 012, {0644: on, b: \"1.10\"}, &x 1e3, *x, !!int \"7\", 5]";
        let source = YamlFile::parse(source.as_bytes(), &Limits::default()).unwrap();
        for text in ["z: 1 # z\nv: {}\n---\nw: 1\n", "z: 1\nv:\n- a # a\nw: 1\n"] {
            let mut file = YamlFile::parse(text.as_bytes(), &Limits::default()).unwrap();
            file.set(0, &["v"], &source.value(0).unwrap()).unwrap();
            let before = file.values().unwrap();
            let node = source.documents()[0].clone();
            assert!(file.spell_like(0, &["v"], &node).unwrap());
            assert_eq!(file.values().unwrap(), before);
            assert!(!file.spell_like(0, &["v"], &node).unwrap());
            for spelled in ["1.10", "012", "0644: on", "b: \"1.10\"", "1e3"] {
                assert!(file.text().contains(spelled), "{spelled}: {}", file.text());
            }
            assert!(file.spell_like(0, &["x"], &node).is_err());
        }
    }

    #[test]
    fn what_is_typed_by_chance_is_told() {
        for text in ["1e3", "08", "0644", "y", "True", "1.10", "1_000"] {
            assert!(is_typed_by_chance(text), "{text}");
        }
        for text in ["5", "1.5", "true", "null", "", "a", "-1"] {
            assert!(!is_typed_by_chance(text), "{text}");
        }
        assert_eq!(
            ["y", "No", "off", "True", "false", "x"].map(disputed_boolean),
            [Some(true), Some(false), Some(false), None, None, None]
        );
    }
}
