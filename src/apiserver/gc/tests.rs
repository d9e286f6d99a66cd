use proptest::prelude::*;

use super::*;
use crate::apiserver::kinds::Resource;
use crate::apiserver::store::Key;

/// An object `uid` with owners (uid, blocking), finalizers and whether it is on its way out.
fn object(uid: &str, owners: &[(&str, bool)], finalizers: &[&str], ending: bool) -> Value {
    let reference = |(uid, blocking): &(&str, bool)| json!({"uid": uid, "name": uid, "blockOwnerDeletion": blocking});
    let mut object = json!({"kind": "Thing", "metadata": {"name": uid, "namespace": "d", "uid": uid}});
    let references: Vec<Value> = owners.iter().map(reference).collect();
    set_or_remove(&mut object, "ownerReferences", &references);
    set_or_remove(&mut object, "finalizers", &finalizers.iter().map(|f| json!(f)).collect::<Vec<_>>());
    if ending {
        object["metadata"]["deletionTimestamp"] = json!("2026-11-21T06:00:00Z");
    }
    object
}

fn view(objects: &[Value]) -> View {
    let mut view = View::default();
    for object in objects {
        let uid = object["metadata"]["uid"].as_str().unwrap();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        view.insert(&Key::new(&Resource::new("", "things"), namespace, uid), &Arc::new(object.clone()));
    }
    view
}

/// The decision in short: `-uid` deletes, `-uid!` in the foreground, `uid~` updates.
fn short(writes: &[Write]) -> Vec<String> {
    let one = |write: &Write| match write {
        Write::Delete { object, foreground } => {
            format!("-{}{}", object["metadata"]["uid"].as_str().unwrap(), if *foreground { "!" } else { "" })
        }
        Write::Update(object) => format!("{}~", object["metadata"]["uid"].as_str().unwrap()),
        other => format!("{other:?}"),
    };
    writes.iter().map(one).collect()
}

#[test]
fn what_lost_all_its_owners_goes_and_what_lost_one_forgets_it() {
    let objects = [
        object("a", &[], &[], false),
        object("b", &[("a", true)], &[], false),
        object("c", &[("gone", true)], &[], false),
        object("d", &[("gone", true), ("a", true)], &[], false),
    ];
    let writes = decide(&view(&objects));
    assert_eq!(short(&writes), ["-c", "d~"]);
    let Write::Update(kept) = &writes[1] else { panic!() };
    assert_eq!(kept["metadata"]["ownerReferences"].as_array().unwrap().len(), 1);
}

#[test]
fn an_owner_elsewhere_is_no_owner() {
    let mut far = object("far", &[], &[], false);
    far["metadata"]["namespace"] = json!("other");
    let mut wide = object("wide", &[], &[], false);
    wide["metadata"].as_object_mut().unwrap().remove("namespace");
    let mut cluster = object("cluster", &[("far", true)], &[], false);
    cluster["metadata"].as_object_mut().unwrap().remove("namespace");
    let objects =
        [far, wide, cluster, object("a", &[("far", true)], &[], false), object("b", &[("wide", true)], &[], false)];
    assert_eq!(short(&decide(&view(&objects))), ["-a"]);
}

#[test]
fn the_foreground_waits_for_what_blocks() {
    let owner = object("a", &[], &[FOREGROUND], true);
    let objects = [
        owner.clone(),
        object("b", &[("a", true)], &[], false),
        object("c", &[("b", true)], &[], false),
        object("e", &[("a", false)], &[], false),
    ];
    assert_eq!(short(&decide_one(&view(&objects), "a")), ["-b!", "-e"]);
    let left = [owner.clone(), object("e", &[("a", false)], &[], false)];
    let writes = decide_one(&view(&left), "a");
    assert_eq!(short(&writes), ["a~"]);
    let Write::Update(freed) = &writes[0] else { panic!() };
    assert!(freed["metadata"].get("finalizers").is_none());
    let kept = [owner, object("b", &[("a", true), ("x", true)], &[], false), object("x", &[], &[], false)];
    assert_eq!(short(&decide_one(&view(&kept), "a")), ["b~"], "another owner keeps it");
}

#[test]
fn orphans_are_freed_before_their_owner_goes() {
    let owner = object("a", &[], &[ORPHAN], true);
    let objects = [owner.clone(), object("b", &[("a", true)], &[], false)];
    let writes = decide_one(&view(&objects), "a");
    assert_eq!(short(&writes), ["b~"]);
    let Write::Update(freed) = &writes[0] else { panic!() };
    assert!(freed["metadata"].get("ownerReferences").is_none());
    assert_eq!(short(&decide_one(&view(&[owner]), "a")), ["a~"]);
}

/// What a person would do by hand: take away whatever has owners of which none is there, until nothing changes.
fn slow(mut objects: Vec<(usize, Vec<usize>)>) -> Vec<usize> {
    loop {
        let present: Vec<usize> = objects.iter().map(|(id, _)| *id).collect();
        let before = objects.len();
        objects.retain(|(_, owners)| owners.is_empty() || owners.iter().any(|owner| present.contains(owner)));
        if objects.len() == before {
            return present;
        }
    }
}

proptest! {
    #[test]
    fn collecting_leaves_what_a_slow_model_leaves(
        graph in prop::collection::vec(prop::collection::vec(0usize..12, 0..3), 1..10),
    ) {
        let objects: Vec<(usize, Vec<usize>)> = graph.into_iter().enumerate().collect();
        let expected = slow(objects.clone());
        let name = |id: usize| format!("{id:02}");
        let mut live: std::collections::BTreeMap<String, Value> = objects
            .iter()
            .map(|(id, owners)| {
                let names: Vec<String> = owners.iter().map(|o| name(*o)).collect();
                let owners: Vec<(&str, bool)> = names.iter().map(|n| (n.as_str(), true)).collect();
                (name(*id), object(&name(*id), &owners, &[], false))
            })
            .collect();
        for _ in 0..40 {
            let writes = decide(&view(&live.values().cloned().collect::<Vec<_>>()));
            if writes.is_empty() {
                break;
            }
            for write in writes {
                match write {
                    Write::Delete { object, .. } => drop(live.remove(object["metadata"]["uid"].as_str().unwrap())),
                    Write::Update(object) => {
                        let uid = object["metadata"]["uid"].as_str().unwrap().to_owned();
                        live.entry(uid).and_modify(|o| *o = object);
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        prop_assert_eq!(live.into_keys().collect::<Vec<_>>(), expected.into_iter().map(name).collect::<Vec<_>>());
    }
}
