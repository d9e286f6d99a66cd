//! The contract of every transition: what is allowed, what is refused, what a repetition and a stale caller get.

use super::*;

const ACTS: [&str; 7] = ["update", "propose", "reject", "approve", "propose deletion", "restore", "delete"];

async fn act(store: &NativeStore, act: &str, on: &PackageRevision) -> Result<Option<PackageRevision>, RevisionError> {
    Ok(Some(match act {
        "update" => store.update(None, on, content("updated")).await?,
        "propose" => store.propose(None, on).await?,
        "reject" => store.reject(None, on).await?,
        "approve" => store.approve(None, on, &note()).await?,
        "propose deletion" => store.propose_deletion(None, on).await?,
        "restore" => store.restore(None, on).await?,
        _ => {
            store.delete(None, on, false).await?;
            return Ok(None);
        }
    }))
}

/// A revision in the wanted state; `placeholder` stands for what the registered branch holds.
async fn in_state(world: &World, state: &str) -> PackageRevision {
    let draft = world.store.create(None, &package("net/upf"), &workspace("w1"), content("one")).await.unwrap();
    if state == "Draft" {
        return draft;
    }
    let proposed = world.store.propose(None, &draft).await.unwrap();
    if state == "Proposed" {
        return proposed;
    }
    let published = world.store.approve(None, &proposed, &note()).await.unwrap();
    let placeholder = || async { world.store.list().await.unwrap().into_iter().find(|r| r.revision == -1).unwrap() };
    match state {
        "Published" => published,
        "DeletionProposed" => world.store.propose_deletion(None, &published).await.unwrap(),
        "placeholder" => placeholder().await,
        _ => world.store.propose_deletion(None, &placeholder().await).await.unwrap(),
    }
}

/// One row a state, one column an act, in the order of [`ACTS`]; the word is the state that follows, `-` is refused.
const TABLE: [(&str, [&str; 7]); 6] = [
    ("Draft", ["Draft", "Proposed", "-", "-", "-", "-", "gone"]),
    ("Proposed", ["-", "-", "Draft", "Published", "-", "-", "gone"]),
    ("Published", ["-", "-", "-", "-", "DeletionProposed", "-", "-"]),
    ("DeletionProposed", ["-", "-", "-", "-", "-", "Published", "gone"]),
    ("placeholder", ["-", "-", "-", "-", "DeletionProposed", "-", "-"]),
    ("placeholder that shall go", ["-", "-", "-", "-", "-", "Published", "gone"]),
];

#[tokio::test]
async fn every_transition_is_allowed_or_refused_as_the_table_says() {
    for (from, row) in TABLE {
        let untouched = world("pk");
        let revision = in_state(&untouched, from).await;
        let before = state(&untouched);
        for (name, _) in ACTS.into_iter().zip(row).filter(|(_, expected)| *expected == "-") {
            let error = act(&untouched.store, name, &revision).await.expect_err(name);
            assert!(matches!(error, RevisionError::Lifecycle { .. }), "{name} of {from}: {error}");
            assert_eq!(state(&untouched), before, "{name} of {from} changed nothing");
        }
        for (name, expected) in ACTS.into_iter().zip(row).filter(|(_, expected)| *expected != "-") {
            let world = world("pk");
            let revision = in_state(&world, from).await;
            let case = format!("{name} of {from}");
            let result = act(&world.store, name, &revision).await;
            let after = result.unwrap_or_else(|error| panic!("{case}: {error}"));
            let listed = world.store.list().await.unwrap().into_iter().find(|r| r.name == revision.name);
            assert_eq!(after, listed, "{case}: what is told is what is listed");
            assert_eq!(after.map_or("gone".to_owned(), |r| r.lifecycle.to_string()), expected, "{case}");
            git(&world.bare, &["fsck", "--strict", "--no-dangling"]);
        }
    }
}

#[tokio::test]
async fn a_repetition_has_no_second_effect() {
    for (from, row) in TABLE {
        for (name, expected) in ACTS.into_iter().zip(row) {
            if expected == "-" {
                continue;
            }
            let world = world("");
            let revision = in_state(&world, from).await;
            act(&world.store, name, &revision).await.unwrap();
            let after = state(&world);
            let error = act(&world.store, name, &revision).await.expect_err(name);
            let fits = match &error {
                RevisionError::Stale { .. } => name == "update",
                RevisionError::Lifecycle { .. } => expected != "gone" && name != "update",
                RevisionError::NotFound(_) => expected == "gone",
                _ => false,
            };
            // A branch's package that was removed leaves nothing; a published one leaves its placeholder.
            assert!(fits, "{name} of {from}: {error}");
            assert_eq!(state(&world), after, "{name} of {from}");
        }
    }
}

#[tokio::test]
async fn who_saw_an_older_draft_changes_nothing() {
    for name in ["update", "propose", "delete"] {
        let world = world("");
        let seen = in_state(&world, "Draft").await;
        let newer = open(&world.bare, "").update(None, &seen, content("newer")).await.unwrap();
        let before = state(&world);
        let error = act(&world.store, name, &seen).await.expect_err(name);
        match &error {
            RevisionError::Stale { expected, found, .. } => {
                assert_eq!((expected, found), (&seen.commit, &newer.commit), "{name}");
            }
            other => panic!("{name}: {other}"),
        }
        assert_eq!((error.class(), state(&world)), (Class::Conflict, before), "{name}");
    }
}

#[tokio::test]
async fn a_proposal_that_moved_is_not_approved() {
    let world = world("");
    let seen = in_state(&world, "Proposed").await;
    git(&world.work, &["fetch", "-q", "origin"]);
    git(&world.work, &["checkout", "-q", "origin/proposed/net/upf/w1"]);
    std::fs::write(world.work.join("net/upf/Kptfile"), "# sneaked in\n").unwrap();
    git(&world.work, &["commit", "-qam", "Sneak"]);
    git(&world.work, &["push", "-q", "origin", "HEAD:proposed/net/upf/w1"]);
    let before = state(&world);
    for name in ["approve", "reject", "delete"] {
        let error = act(&world.store, name, &seen).await.expect_err(name);
        assert!(matches!(error, RevisionError::Stale { .. }), "{name}: {error}");
        assert_eq!(state(&world), before, "{name}");
    }
}

#[tokio::test]
async fn names_that_cannot_be_told_apart_are_not_created() {
    let world = world("");
    published(&world, "net/upf", "one", "w1").await;
    let refused = [
        ("net/upf", "a.b", "does not read back"),
        ("net/v2", "3", "does not read back"),
        ("net/upf", "main", "placeholder"),
        ("fresh", "main", "placeholder"),
        ("net", "w", "net/upf overlaps"),
        ("net/upf/inner", "w", "net/upf overlaps"),
    ];
    let before = state(&world);
    for (name, ws, why) in refused {
        let error = world.store.create(None, &package(name), &workspace(ws), content("x")).await.unwrap_err();
        let exists = matches!(error, RevisionError::Exists(_));
        assert!(exists || error.to_string().contains(why) && error.class() == Class::Invalid, "{name} {ws}: {error}");
    }
    let taken = world.store.create(None, &package("net/upf"), &workspace("w1"), content("x")).await.unwrap_err();
    assert!(matches!(taken, RevisionError::Exists(_)), "published workspaces stay taken: {taken}");
    assert_eq!(state(&world), before);
    world.store.create(None, &package("net/upf"), &workspace("v2.0.0"), content("x")).await.unwrap();
    world.store.create(None, &package("net/upf2"), &workspace("w1"), content("x")).await.unwrap();
}

#[tokio::test]
async fn only_the_last_published_revision_takes_the_directory_along() {
    let world = world("pk");
    let one = published(&world, "upf", "one", "w1").await;
    let two = published(&world, "upf", "two", "w2").await;
    let leaving = world.store.propose_deletion(None, &two).await.unwrap();
    let main = git(&world.bare, &["rev-parse", "main"]);
    world.store.delete(None, &leaving, true).await.unwrap();
    assert_eq!(git(&world.bare, &["rev-parse", "main"]), main, "v1 is left");
    assert!(world.store.list().await.unwrap().iter().any(|r| r.revision == 1 && r.latest), "latest passes down");

    let again = published(&world, "upf", "again", "w3").await;
    assert_eq!(again.revision, 2, "the number is given again");
    assert_eq!(world.store.content(&again).await.unwrap(), content("again").files, "and its tag has not moved");

    for revision in [&again, &one] {
        let leaving = world.store.propose_deletion(None, revision).await.unwrap();
        person_commits(&world, "elsewhere", revision.name.as_str());
        world.store.delete(None, &leaving, true).await.unwrap();
    }
    assert_eq!(
        git(&world.bare, &["log", "-1", "--format=%s|%cn|%an", "main"]),
        "Delete pk/upf|Package Orchestration Service|Package Orchestration Service"
    );
    assert_eq!(git(&world.bare, &["ls-tree", "-r", "--name-only", "main"]), "README.md\nelsewhere");
    assert_eq!(refs(&world), ["refs/heads/main"]);
}
