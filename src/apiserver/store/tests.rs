use proptest::prelude::*;
use serde_json::json;

use super::*;

fn things() -> Resource {
    Resource::new("", "things")
}

fn key(name: &str) -> Key {
    Key::new(&things(), "", name)
}

fn thing(name: &str, value: u32) -> Value {
    json!({"metadata": {"name": name}, "value": value})
}

#[test]
fn writes_are_numbered_and_checked() {
    let store = Store::new(10);
    let made = store.create(&key("a"), thing("a", 1)).unwrap();
    assert_eq!(revision_of(&made), 1);
    assert!(matches!(store.create(&key("a"), thing("a", 1)), Err(StoreError::Exists(_))));
    assert!(matches!(store.update(&key("a"), thing("a", 2), 7), Err(StoreError::Stale { found: 1, .. })));
    assert_eq!(revision_of(&store.update(&key("a"), thing("a", 2), 1).unwrap()), 2);
    let gone = store.delete(&key("a"), 2).unwrap();
    assert_eq!((revision_of(&gone), &gone["value"]), (3, &json!(2)));
    assert!(store.get(&key("a")).is_none());
    assert!(matches!(store.delete(&key("a"), 3), Err(StoreError::NotFound(_))));
}

#[test]
fn a_namespace_must_be_there_and_stay() {
    let store = Store::new(10);
    let inside = Key::new(&things(), "core", "a");
    assert!(matches!(store.create(&inside, thing("a", 1)), Err(StoreError::NoNamespace(_))));
    let namespace = store.create(&Key::of_namespace("core"), json!({"metadata": {"name": "core"}})).unwrap();
    store.create(&inside, thing("a", 1)).unwrap();
    let mut going = namespace.as_ref().clone();
    going["metadata"]["deletionTimestamp"] = json!("2026-11-21T00:00:00Z");
    store.update(&Key::of_namespace("core"), going, revision_of(&namespace)).unwrap();
    let second = Key::new(&things(), "core", "b");
    assert!(matches!(store.create(&second, thing("b", 1)), Err(StoreError::NamespaceTerminating(_))));
}

#[tokio::test(start_paused = true)]
async fn followers_wait_see_all_and_are_told_when_they_are_late() {
    let store = Store::new(2);
    let mut changes = store.changes(Some(things()), 0);
    let early = tokio::time::timeout(std::time::Duration::from_mins(1), changes.next()).await;
    assert!(early.is_err(), "nothing has happened yet");
    store.create(&key("a"), thing("a", 1)).unwrap();
    store.create(&Key::new(&Resource::new("", "others"), "", "x"), thing("x", 1)).unwrap();
    let seen = changes.next().await.unwrap();
    assert_eq!(seen.iter().map(|c| (c.revision, c.kind)).collect::<Vec<_>>(), [(1, ChangeKind::Added)]);
    assert_eq!(changes.seen(), 2);
    for name in ["b", "c", "d"] {
        store.create(&key(name), thing(name, 1)).unwrap();
    }
    let late = changes.next().await.unwrap_err();
    assert!(matches!(late, StoreError::TooOld { asked: 2, oldest: 3 }));
}

#[derive(Debug, Clone)]
enum Act {
    Put(u8, u32),
    Drop(u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![(0..4u8, any::<u32>()).prop_map(|(n, v)| Act::Put(n, v)), (0..4u8).prop_map(Act::Drop)]
}

proptest! {
    /// The oracle: a copy of the whole map after every step.
    #[test]
    fn old_lists_and_replayed_changes_agree_with_copies(acts in prop::collection::vec(act(), 0..40)) {
        let store = Store::new(16);
        let mut model: BTreeMap<String, Value> = BTreeMap::new();
        let mut copies = vec![model.clone()];
        for act in acts {
            let (Act::Put(n, _) | Act::Drop(n)) = act;
            let (name, found) = (n.to_string(), store.get(&key(&n.to_string())));
            let at = found.as_deref().map(revision_of);
            match (act, at) {
                (Act::Put(_, v), None) => drop(store.create(&key(&name), thing(&name, v)).unwrap()),
                (Act::Put(_, v), Some(at)) => drop(store.update(&key(&name), thing(&name, v), at).unwrap()),
                (Act::Drop(_), Some(at)) => drop(store.delete(&key(&name), at).unwrap()),
                (Act::Drop(_), None) => continue,
            }
            match store.get(&key(&name)) {
                Some(object) => model.insert(name, object.as_ref().clone()),
                None => model.remove(&name),
            };
            copies.push(model.clone());
        }
        let newest = copies.len() - 1;
        for (revision, copy) in copies.iter().enumerate() {
            let listed = store.list_at(&things(), None, revision as u64);
            if newest - revision > 16 {
                let too_old = matches!(listed, Err(StoreError::TooOld { .. }));
                prop_assert!(too_old);
                continue;
            }
            let listed: Vec<Value> = listed.unwrap().objects.iter().map(|o| o.as_ref().clone()).collect();
            prop_assert_eq!(&listed, &copy.values().cloned().collect::<Vec<_>>());
            let mut replayed = copy.clone();
            for change in store.since(None, revision as u64).unwrap().0 {
                match change.kind {
                    ChangeKind::Deleted => replayed.remove(&change.key.name),
                    _ => replayed.insert(change.key.name.clone(), change.object.as_ref().clone()),
                };
            }
            prop_assert_eq!(&replayed, &model);
        }
    }
}

#[test]
fn a_reopened_journal_holds_the_same_objects_at_the_same_revision() {
    let dir = tempfile::tempdir().unwrap();
    let (revision, objects) = {
        let store = Store::restore(Journal::open(dir.path()).unwrap(), 10).unwrap();
        store.create(&key("a"), thing("a", 1)).unwrap();
        store.create(&key("b"), thing("b", 1)).unwrap();
        store.update(&key("a"), thing("a", 2), 1).unwrap();
        store.delete(&key("b"), 2).unwrap();
        (store.revision(), store.list(&things(), None).objects)
    };
    let store = Store::restore(Journal::open(dir.path()).unwrap(), 10).unwrap();
    assert_eq!((store.revision(), store.list(&things(), None).objects), (revision, objects));
    assert!(matches!(store.since(None, 3), Err(StoreError::TooOld { .. })));
    assert_eq!(revision_of(&store.create(&key("c"), thing("c", 1)).unwrap()), 5);
}

#[test]
fn objects_of_older_journals_are_read_however_deep_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let nested =
        (0..200).fold(json!("\u{1f600} \u{1} \"yes\" \\"), |inner, _| json!({"a": inner, "n": [1, -2.5, 1e300, null]}));
    let object = json!({"metadata": {"name": "a", "resourceVersion": "1"}, "any": nested});
    Journal::open(dir.path()).unwrap().write(1, &key("a"), Some(&object)).unwrap();
    let (revision, objects) = Journal::open(dir.path()).unwrap().read().unwrap();
    assert_eq!((revision, objects), (1, vec![(key("a"), object)]));
}

#[test]
fn a_journal_has_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Journal::open(dir.path()).unwrap();
    assert!(matches!(Journal::open(dir.path()), Err(JournalError::Open { .. })));
}
