//! Edits of YAML files change what they say and nothing else: every file of this repository and generated ones, edited
//! at every place, with another decoder as the judge of what stands there afterwards.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test stops at the first surprise")]

#[path = "support/dice.rs"]
mod dice;

use std::path::{Path, PathBuf};

use dice::Dice;
use loggia::domain::krm::document::{EditError, Limits, YamlFile, to_yaml};
use serde_json::{Map, Value, json};

fn parse(text: &str) -> YamlFile {
    YamlFile::parse(text.as_bytes(), &Limits::default()).unwrap()
}

/// The documents as another decoder reads them.
fn oracle(text: &str) -> Vec<Value> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    let documents: Vec<Value> =
        serde_saphyr::from_multiple_with_options(text, options).unwrap_or_else(|e| panic!("{e}\n{text}"));
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml") || path.ends_with("Kptfile") {
            found.push(path);
        }
    }
}

/// Every YAML file of the examples, the test packages and the schemas that can be read.
fn corpus() -> Vec<(String, String)> {
    // Kubernetes reads a bare key `n` as `false`, this oracle as a text.
    let is_common = |path: &PathBuf| !path.display().to_string().contains("keys-like-booleans");
    let mut found = Vec::new();
    for dir in ["examples-repo", "tests/packages", "schemas"] {
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut found);
    }
    let read = |path: PathBuf| (path.display().to_string(), std::fs::read_to_string(path).unwrap());
    let all = found.into_iter().filter(is_common).map(read);
    all.filter(|(_, text)| YamlFile::parse(text.as_bytes(), &Limits::default()).is_ok_and(|file| file.values().is_ok()))
        .collect()
}

/// Every place of a value, with its depth first.
fn places(value: &Value, at: &[String], found: &mut Vec<Vec<String>>) {
    let mut below = |step: String, value: &Value| {
        let path: Vec<String> = at.iter().cloned().chain([step]).collect();
        found.push(path.clone());
        places(value, &path, found);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| below(key.clone(), value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| below(index.to_string(), item)),
        _ => {}
    }
}

fn at<'v>(value: &'v mut Value, path: &[&str]) -> &'v mut Value {
    path.iter().fold(value, |value, step| match value {
        Value::Array(items) => &mut items[step.parse::<usize>().unwrap()],
        other => &mut other[*step],
    })
}

#[derive(Debug, Clone)]
enum Edit {
    Set(Value),
    Insert(String, Value),
    Remove,
    Rename(String),
    MoveKey(usize),
    MoveItem(usize),
    InsertItem(Value),
}

impl Edit {
    /// The edit on a plain value: the model. `None` when the edit makes no sense there.
    fn on_value(&self, value: &mut Value, path: &[&str]) -> Option<()> {
        let (last, parents) = path.split_last()?;
        match self {
            Self::Set(new) => *at(value, path) = new.clone(),
            Self::Insert(key, new) => {
                let map = at(value, path).as_object_mut()?;
                if map.contains_key(key) {
                    return None;
                }
                map.insert(key.clone(), new.clone());
            }
            Self::Remove => match at(value, parents) {
                Value::Object(map) => drop(map.remove(*last)?),
                Value::Array(items) => drop(items.remove(last.parse().ok()?)),
                _ => return None,
            },
            Self::Rename(name) => {
                let map = at(value, parents).as_object_mut()?;
                let held = map.remove(*last)?;
                if map.contains_key(name) {
                    return None;
                }
                map.insert(name.clone(), held);
            }
            Self::MoveKey(to) => (*to < at(value, parents).as_object()?.len()).then_some(())?,
            Self::MoveItem(to) => {
                let items = at(value, parents).as_array_mut()?;
                (*to < items.len()).then_some(())?;
                let item = items.remove(last.parse().ok()?);
                items.insert(*to, item);
            }
            Self::InsertItem(new) => at(value, parents).as_array_mut()?.insert(last.parse().ok()?, new.clone()),
        }
        Some(())
    }

    fn on_file(&self, file: &mut YamlFile, document: usize, path: &[&str]) -> Result<(), EditError> {
        let (last, parents) = path.split_last().unwrap();
        let index = || last.parse::<usize>().unwrap();
        match self {
            Self::Set(new) => file.set(document, path, new).map(drop),
            Self::Insert(key, new) => file.set(document, &[path, &[key.as_str()]].concat(), new).map(drop),
            Self::Remove => file.remove(document, path).map(drop),
            Self::Rename(name) => file.rename(document, path, name).map(drop),
            Self::MoveKey(to) => file.move_key(document, path, *to).map(drop),
            Self::MoveItem(to) => file.move_item(document, parents, index(), *to).map(drop),
            Self::InsertItem(new) => file.insert_item(document, parents, index(), new),
        }
    }

    /// Whether everything stays, in whatever order.
    fn keeps_letters(&self) -> bool {
        matches!(self, Self::MoveKey(_) | Self::MoveItem(_))
    }

    /// Whether all comments stay.
    fn keeps_comments(&self) -> bool {
        !matches!(self, Self::Remove | Self::Set(_))
    }
}

fn some_edit(dice: &mut Dice) -> Edit {
    let value = dice
        .pick(&[
            json!("yes"),
            json!(7),
            json!("a: b # c"),
            json!("1\n2\n"),
            json!(null),
            json!({"x": [1]}),
            json!([]),
            json!(["p", "q"]),
        ])
        .clone();
    match dice.below(7) {
        0 => Edit::Set(value),
        1 => Edit::Insert("new key".to_owned(), value),
        2 => Edit::Remove,
        3 => Edit::Rename((*dice.pick(&["other", "on", "a,b", "x y: z"])).to_owned()),
        4 => Edit::MoveKey(dice.below(4)),
        5 => Edit::MoveItem(dice.below(3)),
        _ => Edit::InsertItem(value),
    }
}

/// What a file is made of, in whatever order.
fn letters(text: &str) -> Vec<char> {
    let mut letters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    letters.sort_unstable();
    letters
}

#[derive(Default)]
struct Count {
    made: usize,
    refused: Vec<String>,
}

/// Makes the edit on a copy, and judges it.
fn try_edit(text: &str, document: usize, path: &[String], edit: &Edit, count: &mut Count) {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let mut expected = oracle(text);
    if edit.on_value(&mut expected[document], &path).is_none() {
        return;
    }
    let mut file = parse(text);
    if let Err(error) = edit.on_file(&mut file, document, &path) {
        assert_eq!(file.text(), text, "a refused edit changes nothing");
        count.refused.push(format!("{edit:?} at {path:?}: {error}\n{text}"));
        return;
    }
    count.made += 1;
    let told = format!("{edit:?} at {path:?} of\n{text}\nmade\n{}", file.text());
    let expected: Vec<Value> = expected.into_iter().filter(|document| !document.is_null()).collect();
    assert_eq!(oracle(file.text()), expected, "{told}");
    if edit.keeps_letters() {
        assert_eq!(letters(file.text()), letters(text), "{told}");
    }
    if edit.keeps_comments() {
        let comments = |text: &str| text.matches("# ~").count();
        assert_eq!(comments(file.text()), comments(text), "{told}");
    }
}

#[test]
fn files_of_this_repository_come_back_byte_for_byte() {
    let corpus = corpus();
    assert!(corpus.len() > 150, "{} files", corpus.len());
    for (name, text) in corpus {
        let file = parse(&text);
        assert_eq!(file.text(), text, "{name}");
        assert_eq!(file.values().unwrap(), oracle(&text), "{name}");
        let pieces: String = file.clone().into_pieces().iter().map(YamlFile::text).collect();
        assert_eq!(pieces, text, "{name}");
    }
}

#[test]
fn every_place_of_every_file_can_be_edited() {
    let mut dice = Dice::new(1);
    let mut count = Count::default();
    for (_, text) in corpus().into_iter().filter(|(_, text)| text.len() < 2500) {
        for (document, value) in parse(&text).values().unwrap().iter().enumerate() {
            let mut found = Vec::new();
            places(value, &[], &mut found);
            for path in found {
                let edit = some_edit(&mut dice);
                try_edit(&text, document, &path, &edit, &mut count);
            }
        }
    }
    assert!(count.made > 800, "{} edits", count.made);
    assert!(
        count.refused.len() * 20 < count.made,
        "{} of {}:\n{}",
        count.refused.len(),
        count.made,
        count.refused.join("\n")
    );
}

/// A document in the hand of many people: comments everywhere, lists indented or not, brackets, texts of several lines.
struct Hand<'d> {
    dice: &'d mut Dice,
    comments: usize,
}

impl Hand<'_> {
    fn chance(&mut self, of: usize) -> bool {
        self.dice.below(of) == 0
    }

    fn comment(&mut self) -> String {
        self.comments += 1;
        format!("# ~{}", self.comments)
    }

    fn tail(&mut self) -> String {
        if self.chance(4) { format!(" {}", self.comment()) } else { String::new() }
    }

    fn above(&mut self, out: &mut String, pad: &str) {
        if self.chance(6) {
            *out += &format!("{pad}{}\n", self.comment());
        }
        if self.chance(12) {
            *out += "\n";
        }
    }

    fn scalar(&mut self) -> &'static str {
        self.dice
            .pick(&[
                "a",
                "yes",
                "\"quoted # no comment\"",
                "'it''s'",
                "1",
                "0755",
                "1.5",
                "~",
                "x: y",
                "a b",
                "{}",
                "[]",
                "2001-12-14",
                "\"a\\nb\"",
            ])
            .to_owned()
    }

    fn flow(&mut self, depth: usize) -> String {
        match self.dice.below(if depth > 1 { 1 } else { 3 }) {
            0 => self.scalar().replace("x: y", "xy"),
            1 => format!("[{}]", (0..self.dice.below(4)).map(|_| self.flow(depth + 1)).collect::<Vec<_>>().join(", ")),
            _ => format!(
                "{{{}}}",
                (0..self.dice.below(4))
                    .map(|n| format!("k{n}: {}", self.flow(depth + 1)))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        }
    }

    /// What stands behind `key:` or `-`; ends its line.
    fn behind(&mut self, out: &mut String, indent: usize, depth: usize, is_item: bool) {
        let pad = " ".repeat(indent + 2);
        match self.dice.below(if depth > 3 { 4 } else { 8 }) {
            0 => *out += &format!(" |{}\n{pad}one\n\n{pad}  two\n", self.dice.pick(&["", "-"])),
            1 => *out += &format!(" >-\n{pad}folded\n{pad}text\n"),
            2 => *out += &format!(" {}{}\n", self.flow(0), self.tail()),
            3 => *out += &format!(" {}{}\n", self.scalar().replace("x: y", "xy"), self.tail()),
            4 | 5 => {
                *out += &format!("{}\n", self.tail());
                self.map(out, indent + 2, depth + 1);
            }
            _ => {
                *out += &format!("{}\n", self.tail());
                let deeper = if is_item || self.chance(2) { 2 } else { 0 };
                self.list(out, indent + deeper, depth + 1);
            }
        }
    }

    fn map(&mut self, out: &mut String, indent: usize, depth: usize) {
        let pad = " ".repeat(indent);
        for number in 0..=self.dice.below(3) {
            self.above(out, &pad);
            *out += &format!("{pad}key{number}:");
            self.behind(out, indent, depth, false);
        }
    }

    fn list(&mut self, out: &mut String, indent: usize, depth: usize) {
        let pad = " ".repeat(indent);
        for _ in 0..=self.dice.below(2) {
            self.above(out, &pad);
            if self.chance(2) {
                let mut map = String::new();
                self.map(&mut map, indent + 2, depth + 1);
                let first = map.trim_start_matches('\n');
                // A comment cannot stand between the dash and the first key.
                if first.trim_start().starts_with('#') {
                    *out += &format!("{pad}-\n{map}");
                } else {
                    *out += &format!("{pad}- {}", first.trim_start());
                }
            } else {
                *out += &format!("{pad}-");
                self.behind(out, indent, depth, true);
            }
        }
    }
}

fn generated(seed: u64) -> String {
    let mut dice = Dice::new(seed);
    let mut hand = Hand { dice: &mut dice, comments: 0 };
    let mut text = String::new();
    for number in 0..=hand.dice.below(2) {
        if number > 0 {
            text += "---\n";
        }
        hand.map(&mut text, 0, 0);
    }
    // Decoders differ about texts that the end of the file cuts off; the recorded texts are about those.
    if hand.chance(8) { text + "last: x" } else { text }
}

fn cases(usual: u64) -> u64 {
    std::env::var("LOGGIA_CASES").map_or(usual, |cases| cases.parse().unwrap())
}

#[test]
fn generated_documents_are_read_as_others_read_them() {
    for seed in 0..cases(150) {
        let text = generated(seed);
        let file = parse(&text);
        assert_eq!(file.text(), text);
        assert_eq!(file.values().unwrap(), oracle(&text), "seed {seed}\n{text}");
    }
}

#[test]
fn edits_of_generated_documents_are_those_of_the_value_or_refused() {
    let mut count = Count::default();
    for seed in 0..cases(150) {
        let text = generated(seed);
        let mut dice = Dice::new(seed + 1_000_000);
        for (document, value) in parse(&text).values().unwrap().iter().enumerate() {
            let mut found = Vec::new();
            places(value, &[], &mut found);
            for _ in 0..6 {
                let path = dice.pick(&found).clone();
                let edit = some_edit(&mut dice);
                try_edit(&text, document, &path, &edit, &mut count);
            }
        }
    }
    println!("{} edits made, {} refused", count.made, count.refused.len());
    assert!(
        count.refused.len() * 10 < count.made,
        "{} of {}:\n{}",
        count.refused.len(),
        count.made,
        count.refused[..10].join("\n")
    );
}

/// A map in the order that it is given, as emitters sort it otherwise.
#[test]
fn what_is_emitted_is_read_back_by_others() {
    for seed in 0..cases(100) {
        let values = oracle(&generated(seed));
        for value in values {
            assert_eq!(oracle(&to_yaml(&value)), std::slice::from_ref(&value));
        }
    }
    assert_eq!(oracle(&to_yaml(&Value::Object(Map::new()))), [json!({})]);
}
