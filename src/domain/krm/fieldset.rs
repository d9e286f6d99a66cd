//! Sets of field paths: what a manager owns. Reads and writes the `FieldsV1` form of `metadata.managedFields`.
//!
//! A set is a tree. A path can be a member while paths below it are members too: owning an item of a list is not
//! owning its fields. The operations follow structured merge diff (KEP-555).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::domain::krm::path::{InvalidElement, Path, PathElement};

/// A set of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    members: BTreeSet<PathElement>,
    children: BTreeMap<PathElement, FieldSet>,
}

/// Text that is no `FieldsV1`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// A level is not a JSON object.
    #[error("reading a field set: {0} is not a map")]
    NotAMap(String),
    /// A key names no path element.
    #[error(transparent)]
    Element(#[from] InvalidElement),
}

impl FieldSet {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `FieldsV1`: a map whose keys are path elements; `.` says that the level itself is a member, and so does an
    /// empty map.
    ///
    /// # Errors
    /// [`FieldsError`] naming the level or the key.
    pub fn from_fields_v1(value: &Value) -> Result<Self, FieldsError> {
        let Value::Object(fields) = value else { return Err(FieldsError::NotAMap(value.to_string())) };
        let mut set = Self::new();
        for (key, below) in fields.iter().filter(|(key, _)| *key != ".") {
            let element = PathElement::parse(key)?;
            let child = Self::from_fields_v1(below)?;
            set.add(element, child.is_empty() || below.get(".").is_some(), child);
        }
        Ok(set)
    }

    /// Writes `FieldsV1`.
    #[must_use]
    pub fn to_fields_v1(&self) -> Value {
        let mut fields = Map::new();
        for member in &self.members {
            fields.insert(member.fields_v1(), Value::Object(Map::new()));
        }
        for (element, child) in &self.children {
            let mut below = child.to_fields_v1();
            if let (true, Value::Object(below)) = (self.members.contains(element), &mut below) {
                below.insert(".".to_owned(), Value::Object(Map::new()));
            }
            fields.insert(element.fields_v1(), below);
        }
        Value::Object(fields)
    }

    /// Whether no path is a member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.is_empty()
    }

    /// Number of member paths.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len() + self.children.values().map(Self::len).sum::<usize>()
    }

    /// Adds a path; the empty path is no member of any set.
    pub fn insert(&mut self, path: &[PathElement]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Whether this very path is a member.
    #[must_use]
    pub fn contains(&self, path: &[PathElement]) -> bool {
        match path {
            [] => false,
            [last] => self.members.contains(last),
            [first, rest @ ..] => self.children.get(first).is_some_and(|child| child.contains(rest)),
        }
    }

    /// Whether `element` is a member at the top level.
    #[must_use]
    pub fn has(&self, element: &PathElement) -> bool {
        self.members.contains(element)
    }

    /// The paths below `element`, without their first step.
    #[must_use]
    pub fn below(&self, element: &PathElement) -> Option<&Self> {
        self.children.get(element)
    }

    /// Members of the top level.
    pub fn members(&self) -> impl Iterator<Item = &PathElement> {
        self.members.iter()
    }

    /// First steps of the paths that have more than one, with what is below them.
    pub fn children(&self) -> impl Iterator<Item = (&PathElement, &Self)> {
        self.children.iter()
    }

    /// Adds `element` at the top level.
    pub fn add_member(&mut self, element: PathElement) {
        self.members.insert(element);
    }

    /// Puts a set below `element`; an empty one is not kept.
    pub fn put_child(&mut self, element: PathElement, child: Self) {
        if !child.is_empty() {
            self.children.insert(element, child);
        }
    }

    /// Adds `element` at the top level when it is a member, and what is below it.
    pub fn add(&mut self, element: PathElement, is_member: bool, below: Self) {
        match (is_member, below.is_empty()) {
            (true, true) => drop(self.members.insert(element)),
            (true, false) => {
                self.members.insert(element.clone());
                self.children.insert(element, below);
            }
            (false, _) => self.put_child(element, below),
        }
    }

    /// Whether every path of this set is in the other.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        let below = |(element, child): (&PathElement, &Self)| {
            child.is_empty() || other.children.get(element).is_some_and(|theirs| child.is_subset(theirs))
        };
        self.members.is_subset(&other.members) && self.children.iter().all(below)
    }

    /// As [`FieldSet::difference`], without a copy of what stays.
    #[must_use]
    pub fn without(mut self, other: &Self) -> Self {
        if other.is_empty() {
            return self;
        }
        self.members.retain(|member| !other.members.contains(member));
        for (element, theirs) in &other.children {
            if let Some(own) = self.children.remove(element) {
                self.put_child(element.clone(), own.without(theirs));
            }
        }
        self
    }

    /// Paths that are in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.members.extend(other.members.iter().cloned());
        for (element, child) in &other.children {
            let merged = out.children.get(element).map_or_else(|| child.clone(), |own| own.union(child));
            out.children.insert(element.clone(), merged);
        }
        out
    }

    /// Paths that are in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut out = Self { members: self.members.intersection(&other.members).cloned().collect(), ..Self::new() };
        for (element, child) in &self.children {
            if let Some(theirs) = other.children.get(element) {
                out.put_child(element.clone(), child.intersection(theirs));
            }
        }
        out
    }

    /// Paths that are in `self` and not in `other`; a member of `other` does not take what is below it.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = Self { members: self.members.difference(&other.members).cloned().collect(), ..Self::new() };
        for (element, child) in &self.children {
            let left = other.children.get(element).map_or_else(|| child.clone(), |theirs| child.difference(theirs));
            out.put_child(element.clone(), left);
        }
        out
    }

    /// Paths that are in `self` and neither in `other` nor below a member of it.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        let mut out = Self { members: self.members.difference(&other.members).cloned().collect(), ..Self::new() };
        for (element, child) in self.children.iter().filter(|(element, _)| !other.members.contains(*element)) {
            let left =
                other.children.get(element).map_or_else(|| child.clone(), |theirs| child.recursive_difference(theirs));
            out.put_child(element.clone(), left);
        }
        out
    }

    /// Members that have no path below them.
    #[must_use]
    pub fn leaves(&self) -> Self {
        let members = self.members.iter().filter(|member| !self.children.contains_key(*member)).cloned().collect();
        let children = self.children.iter().map(|(element, child)| (element.clone(), child.leaves())).collect();
        Self { members, children }
    }

    /// All member paths; those of a level come before those below it.
    #[must_use]
    pub fn paths(&self) -> Vec<Path> {
        let mut out = Vec::new();
        self.collect(&mut Path::default(), &mut out);
        out
    }

    fn collect(&self, prefix: &mut Path, out: &mut Vec<Path>) {
        for member in &self.members {
            let mut path = prefix.clone();
            path.push(member.clone());
            out.push(path);
        }
        for (element, child) in &self.children {
            prefix.push(element.clone());
            child.collect(prefix, out);
            prefix.pop();
        }
    }
}

impl<'a> FromIterator<&'a Path> for FieldSet {
    fn from_iter<I: IntoIterator<Item = &'a Path>>(paths: I) -> Self {
        let mut set = Self::new();
        for path in paths {
            set.insert(path.elements());
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn fields() -> impl Strategy<Value = Value> {
        let leaf = Just(json!({})).boxed();
        leaf.prop_recursive(3, 24, 4, |below| {
            proptest::collection::btree_map("f:[a-c]|\\.", below, 0..4).prop_map(|map| json!(map))
        })
    }

    proptest! {
        #[test]
        fn subsets_and_what_is_left_follow_from_the_difference(a in fields(), b in fields()) {
            let (a, b) = (FieldSet::from_fields_v1(&a).unwrap(), FieldSet::from_fields_v1(&b).unwrap());
            prop_assert_eq!(a.clone().without(&b), a.difference(&b));
            prop_assert_eq!(a.is_subset(&b), a.difference(&b).is_empty());
            prop_assert!(a.intersection(&b).is_subset(&a) && a.is_subset(&a.union(&b)));
        }
    }
}
