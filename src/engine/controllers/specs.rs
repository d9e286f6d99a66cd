//! What the watch of a kind tells of what people did to what Git declares.

use std::collections::BTreeMap;

use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt as _};

use crate::domain::intent::SOURCE_REPOSITORY;

/// The generations of the objects of one kind, by uid: a generation is counted up by the server when a spec changes.
#[derive(Debug, Default)]
pub(super) struct Specs {
    known: BTreeMap<String, i64>,
    /// What a list that is being read showed so far.
    listed: BTreeMap<String, i64>,
}

impl Specs {
    /// Whether an object is gone, or one that comes from Git has another spec than before. What went while the watch
    /// was down counts when the list is read again.
    pub(super) fn moved<K: Resource>(&mut self, event: &Event<K>) -> bool {
        match event {
            Event::Apply(object) => {
                let (uid, generation) = identity(object);
                let before = self.known.insert(uid, generation);
                from_git(object) && before.is_some_and(|before| before != generation)
            }
            Event::Delete(object) => {
                self.known.remove(&identity(object).0);
                true
            }
            Event::Init => {
                self.listed.clear();
                false
            }
            Event::InitApply(object) => {
                let (uid, generation) = identity(object);
                let before = self.known.get(&uid).copied();
                self.listed.insert(uid, generation);
                from_git(object) && before.is_some_and(|before| before != generation)
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let gone = self.known.keys().any(|uid| !listed.contains_key(uid));
                self.known = listed;
                gone
            }
        }
    }
}

fn identity<K: Resource>(object: &K) -> (String, i64) {
    (object.uid().unwrap_or_default(), object.meta().generation.unwrap_or_default())
}

fn from_git<K: Resource>(object: &K) -> bool {
    object.labels().contains_key(SOURCE_REPOSITORY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::intent::Target;

    fn one(uid: &str, generation: i64, from_git: bool) -> Target {
        let mut one = Target::new("s", serde_json::from_value(serde_json::json!({})).unwrap());
        one.metadata.uid = Some(uid.to_owned());
        one.metadata.generation = Some(generation);
        one.metadata.labels = from_git.then(|| [(SOURCE_REPOSITORY.to_owned(), "r".to_owned())].into());
        one
    }

    #[test]
    fn deletions_and_new_specs_count() {
        let rows = [
            (Event::Init, false),
            (Event::InitApply(one("a", 1, true)), false),
            (Event::InitApply(one("b", 1, false)), false),
            (Event::InitApply(one("c", 1, true)), false),
            (Event::InitDone, false),
            (Event::Apply(one("a", 1, true)), false),
            (Event::Apply(one("a", 2, true)), true),
            (Event::Apply(one("b", 2, false)), false),
            (Event::Apply(one("d", 1, true)), false),
            (Event::Delete(one("b", 2, false)), true),
            // The watch was down: `c` went, `a` changed, `e` came.
            (Event::Init, false),
            (Event::InitApply(one("a", 3, true)), true),
            (Event::InitApply(one("d", 1, true)), false),
            (Event::InitApply(one("e", 1, true)), false),
            (Event::InitDone, true),
            // A list that breaks off is begun again, and what it had shown by then is not forgotten.
            (Event::Init, false),
            (Event::InitApply(one("a", 3, true)), false),
            (Event::InitApply(one("d", 1, true)), false),
            (Event::Init, false),
            (Event::InitApply(one("a", 4, true)), true),
            (Event::InitApply(one("e", 1, true)), false),
            (Event::InitDone, true),
            (Event::Init, false),
            (Event::InitApply(one("a", 4, true)), false),
            (Event::InitApply(one("e", 1, true)), false),
            (Event::InitDone, false),
        ];
        let mut specs = Specs::default();
        for (index, (event, moved)) in rows.into_iter().enumerate() {
            assert_eq!(specs.moved(&event), moved, "row {index}: {event:?}");
        }
    }
}
