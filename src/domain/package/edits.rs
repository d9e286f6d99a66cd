//! Bringing a document to a value by edits, so that comments, order and every other byte stay where nothing changed.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::{Map, Value};

use super::kin::kin;
use crate::domain::krm::document::{EditError, YamlFile};

/// Most places of a document that are written anew with what is around them.
const WIDENINGS: usize = 20;
/// Most edits of one list; one of which more changed is written anew.
const MOST: usize = 1_000;

/// One place of a document that changes.
#[derive(Debug, Clone, PartialEq)]
struct Edit<'v> {
    /// The place: keys and indices; of items that come and go, their list.
    path: Vec<String>,
    change: Change<'v>,
}

#[derive(Debug, Clone, PartialEq)]
enum Change<'v> {
    Set(&'v Value),
    Remove,
    InsertItem(usize, &'v Value),
    RemoveItem(usize),
}

/// Edits a document until `of` makes `new` of its value; says whether it does. What cannot be edited where it stands is
/// written anew with what is around it, and no more. If it cannot be done, some of the document may have been edited.
#[must_use]
pub(super) fn bring(file: &mut YamlFile, document: usize, new: &Value, of: impl Fn(&Value) -> Value) -> bool {
    let mut coarse = BTreeSet::new();
    for _ in 0..WIDENINGS {
        let Ok(now) = file.value(document) else { return false };
        let edits = edits(&of(&now), new, &coarse);
        if edits.is_empty() {
            return true;
        }
        let Err(refused) = apply(file, document, &edits) else { break };
        widen(&mut coarse, refused);
    }
    file.value(document).is_ok_and(|now| of(&now) == *new)
}

/// Applies edits up to the first that is refused, whose path is then given back.
fn apply(file: &mut YamlFile, document: usize, edits: &[Edit<'_>]) -> Result<(), Vec<String>> {
    edits.iter().try_for_each(|edit| edit.apply(file, document).map_err(|_| edit.path.clone()))
}

/// Adds a place to those that are written anew, or what is around it when it is among them.
fn widen(coarse: &mut BTreeSet<Vec<String>>, mut path: Vec<String>) {
    while coarse.contains(&path) && !path.is_empty() {
        path.pop();
    }
    coarse.insert(path);
}

impl Edit<'_> {
    fn apply(&self, file: &mut YamlFile, document: usize) -> Result<(), EditError> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        match self.change {
            Change::Set(value) => file.set(document, &path, value).map(drop),
            Change::Remove => file.remove(document, &path).map(drop),
            Change::InsertItem(index, value) => file.insert_item(document, &path, index, value),
            Change::RemoveItem(index) => file.remove_item(document, &path, index).map(drop),
        }
    }
}

/// What to do so that `old` becomes `new`, in an order in which no edit moves what a later one means. At the `coarse`
/// places, values are set as wholes.
fn edits<'v>(old: &Value, new: &'v Value, coarse: &BTreeSet<Vec<String>>) -> Vec<Edit<'v>> {
    let mut comparison = Comparison { coarse, path: Vec::new(), edits: Vec::new() };
    comparison.values(old, new);
    comparison.edits
}

/// Two values that are being compared.
struct Comparison<'c, 'v> {
    coarse: &'c BTreeSet<Vec<String>>,
    /// The place that is looked at.
    path: Vec<String>,
    edits: Vec<Edit<'v>>,
}

impl<'v> Comparison<'_, 'v> {
    fn push(&mut self, change: Change<'v>) {
        self.edits.push(Edit { path: self.path.clone(), change });
    }

    /// Looks at what is one step below.
    fn below(&mut self, step: String, look: impl FnOnce(&mut Self)) {
        self.path.push(step);
        look(self);
        self.path.pop();
    }

    fn values(&mut self, old: &Value, new: &'v Value) {
        match (old, new) {
            (old, new) if old == new => {}
            (_, new) if self.coarse.contains(&self.path) => self.push(Change::Set(new)),
            (Value::Object(old), Value::Object(new)) if !new.is_empty() => self.maps(old, new),
            (Value::Array(before), Value::Array(after)) if !before.is_empty() && !after.is_empty() => {
                let start = self.edits.len();
                self.lists(before, after);
                if self.edits.len() - start > MOST {
                    self.edits.truncate(start);
                    self.push(Change::Set(new));
                }
            }
            (_, new) => self.push(Change::Set(new)),
        }
    }

    fn maps(&mut self, old: &Map<String, Value>, new: &'v Map<String, Value>) {
        for (key, value) in new {
            self.below(key.clone(), |comparison| match old.get(key) {
                Some(old) => comparison.values(old, value),
                None => comparison.push(Change::Set(value)),
            });
        }
        for key in old.keys().filter(|key| !new.contains_key(*key)) {
            self.below(key.clone(), |comparison| comparison.push(Change::Remove));
        }
    }

    /// The last item first.
    fn lists(&mut self, old: &[Value], new: &'v [Value]) {
        let (mut old_end, mut new_end) = (old.len(), new.len());
        for (at, to) in kin(old, new).into_iter().rev() {
            self.between(at + 1..old_end, &new[to + 1..new_end]);
            self.below(at.to_string(), |comparison| comparison.values(&old[at], &new[to]));
            (old_end, new_end) = (at, to);
        }
        self.between(0..old_end, &new[..new_end]);
    }

    /// Items that only one of two lists has, between those that both have.
    fn between(&mut self, gone: Range<usize>, come: &'v [Value]) {
        let first = gone.start;
        gone.rev().for_each(|index| self.push(Change::RemoveItem(index)));
        come.iter().rev().for_each(|value| self.push(Change::InsertItem(first, value)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::krm::document::{Limits, to_yaml};

    fn file(text: &str) -> YamlFile {
        YamlFile::parse(text.as_bytes(), &Limits::default()).unwrap()
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            (0..4).prop_map(Value::from),
            "[ab]\n?[ab]?".prop_map(Value::from),
            Just(json!("- x: # no")),
        ];
        leaf.prop_recursive(4, 30, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("name|[a-d]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_becomes_any_other(old in value(), new in value(), braces: bool) {
            let (old, new) = (json!({"v": old, "kept": 1}), json!({"v": new, "kept": 1}));
            let text = if braces { old.to_string() } else { to_yaml(&old) };
            let mut file = file(&format!("z: 1\n---\n# head\n{text}"));
            prop_assert!(bring(&mut file, 1, &new, Value::clone), "{text}");
            prop_assert_eq!(file.values().unwrap(), [json!({"z": 1}), new.clone()]);
            let once = file.text().to_owned();
            prop_assert!(bring(&mut file, 1, &new, Value::clone));
            prop_assert_eq!(file.text(), once);
        }

        #[test]
        fn what_is_not_looked_at_stays(old in value(), new in value()) {
            let visible = |value: &Value| json!({"v": value["v"]});
            let mut file = file(&to_yaml(&json!({"hidden": 1, "v": old})));
            let brought = bring(&mut file, 0, &json!({"v": new}), visible);
            prop_assert!(brought);
            prop_assert_eq!(file.value(0).unwrap(), json!({"hidden": 1, "v": new}));
        }
    }

    #[test]
    fn aliases_and_what_is_around_them_are_written_anew() {
        let text = "a: &x {k: 1} # a\nb: # b\n  c: *x # c\n  d: 2 # d\ne: 3 # e\n";
        let mut file = file(text);
        let new = json!({"a": {"k": 1}, "b": {"c": {"k": 2}, "d": 2}, "e": 3});
        assert!(bring(&mut file, 0, &new, Value::clone));
        assert_eq!(file.value(0).unwrap(), new);
        assert!(
            file.text().starts_with("a: &x {k: 1} # a\n") && file.text().ends_with("e: 3 # e\n"),
            "{}",
            file.text()
        );
    }

    #[test]
    fn a_long_list_is_edited_or_written_anew() {
        let old: Vec<Value> = (0..3_000).map(Value::from).collect();
        let mut longer = old.clone();
        longer.insert(2_000, json!("new"));
        let reversed: Vec<Value> = old.iter().rev().cloned().collect();
        let [old, longer, reversed] = [old, longer, reversed].map(|list| json!({"v": list}));
        let change = |new| {
            let edits = edits(&old, new, &BTreeSet::new());
            assert_eq!(edits.len(), 1);
            (edits[0].path.clone(), edits[0].change.clone())
        };
        let path = vec!["v".to_owned()];
        assert_eq!(change(&longer), (path.clone(), Change::InsertItem(2_000, &json!("new"))));
        assert_eq!(change(&reversed), (path, Change::Set(&reversed["v"])));
    }
}
