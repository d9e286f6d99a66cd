//! Several writers at once.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::meddler::Meddler;
use super::*;

fn meddling(world: &World, times: usize) -> Arc<Meddler> {
    let work = world.work.clone();
    Meddler::new(&world.bare, move |before| {
        if before < times {
            git(&work, &["fetch", "-q", "origin"]);
            git(&work, &["reset", "-q", "--hard", "origin/main"]);
            std::fs::write(work.join(format!("other-{before}")), "x").unwrap();
            git(&work, &["add", "."]);
            git(&work, &["commit", "-qm", "Meanwhile"]);
            git(&work, &["push", "-q", "origin", "HEAD:main"]);
        }
    })
}

#[tokio::test]
async fn an_approval_is_built_anew_three_times() {
    for (times, fits) in [(1, true), (3, true), (4, false)] {
        let world = world("pk");
        let proposed = proposed(&world, "upf", "one", "w1").await;
        let git_ = meddling(&world, times);
        let result = over(git_.clone(), "pk").approve(None, &proposed, &note()).await;
        assert_eq!(git_.pushes.load(Ordering::SeqCst), times.min(3) + 1, "{times}");
        if fits {
            result.unwrap();
            let listed = git(&world.bare, &["ls-tree", "--name-only", "main"]);
            assert_eq!(listed.lines().filter(|name| name.starts_with("other-")).count(), times, "nothing is lost");
            assert_eq!(git(&world.bare, &["show", "main:pk/upf/Kptfile"]), "# one");
            assert_eq!(parents(&world, "main").len(), 2);
        } else {
            assert_eq!(result.unwrap_err().class(), Class::Conflict);
            assert!(refs(&world).contains(&"refs/heads/proposed/pk/upf/w1".to_owned()), "it still waits");
        }
        git(&world.bare, &["fsck", "--strict", "--no-dangling"]);
    }
}

#[tokio::test]
async fn a_removal_is_built_anew_too() {
    let world = world("");
    let published = published(&world, "upf", "one", "w1").await;
    let leaving = world.store.propose_deletion(None, &published).await.unwrap();
    over(meddling(&world, 2), "").delete(None, &leaving, true).await.unwrap();
    assert_eq!(git(&world.bare, &["ls-tree", "--name-only", "main"]), "README.md\nother-0\nother-1");
    assert_eq!(refs(&world), ["refs/heads/main"]);
}

#[tokio::test]
async fn a_proposal_rejected_before_the_push_is_not_approved() {
    let world = world("");
    let proposed = proposed(&world, "upf", "one", "w1").await;
    let bare = world.bare.clone();
    let git_ = Meddler::new(&world.bare, move |_| {
        git(&bare, &["branch", "-m", "proposed/upf/w1", "drafts/upf/w1"]);
    });
    let error = over(git_, "").approve(None, &proposed, &note()).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot approve package revision r.upf.w1: it is Draft");
    assert_eq!(refs(&world), ["refs/heads/drafts/upf/w1", "refs/heads/main"]);
}

/// Both approve; who is told that the repository was busy or moved asks again, as the engine does.
async fn insist(store: NativeStore, revision: PackageRevision) -> Result<PackageRevision, RevisionError> {
    for _ in 0..50 {
        match store.approve(None, &revision, &note()).await {
            Err(RevisionError::Git(error)) if matches!(error.class(), Class::Transient | Class::Conflict) => {}
            other => return other,
        }
    }
    panic!("fifty approvals did not get through");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_proposal_is_published_once() {
    for round in 0..5 {
        let world = world("");
        let proposed = proposed(&world, "upf", "one", "w1").await;
        let (a, b) = (insist(open(&world.bare, ""), proposed.clone()), insist(open(&world.bare, ""), proposed));
        let (a, b) = (tokio::spawn(a), tokio::spawn(b));
        let results = [a.await.unwrap(), b.await.unwrap()];
        assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "round {round}: {results:?}");
        let lost = results.into_iter().find_map(Result::err).unwrap();
        assert!(matches!(lost, RevisionError::Lifecycle { .. }), "round {round}: {lost}");
        assert_eq!(refs(&world), ["refs/heads/main", "refs/tags/upf/v1"], "round {round}");
        assert_eq!(git(&world.bare, &["rev-list", "--count", "main"]), "3", "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_proposals_get_several_numbers() {
    let world = world("pk");
    let mut waiting = Vec::new();
    for ws in ["a", "b", "c", "d"] {
        waiting.push(proposed(&world, "upf", ws, ws).await);
    }
    let tasks: Vec<_> = waiting.into_iter().map(|p| tokio::spawn(insist(open(&world.bare, "pk"), p))).collect();
    let mut numbers = BTreeSet::new();
    for task in tasks {
        numbers.insert(task.await.unwrap().unwrap().revision);
    }
    assert_eq!(numbers, BTreeSet::from([1, 2, 3, 4]));
    for number in numbers {
        let tag = format!("pk/upf/v{number}");
        git(&world.bare, &["merge-base", "--is-ancestor", &tag, "main"]);
    }
    git(&world.bare, &["fsck", "--strict", "--no-dangling"]);
}

#[tokio::test]
async fn what_was_listed_once_is_not_read_again() {
    let world = world("pk");
    for name in ["net/a", "net/b", "c"] {
        published(&world, name, "one", "w1").await;
        proposed(&world, name, "two", "w2").await;
    }
    let git_ = Meddler::new(&world.bare, |_| {});
    let store = over(git_.clone(), "pk");
    let first = store.list().await.unwrap();
    assert_eq!(first.len(), 9);
    let reads = git_.reads.load(Ordering::SeqCst);
    assert!(reads > 0);
    assert_eq!(store.list().await.unwrap(), first);
    assert_eq!(git_.reads.load(Ordering::SeqCst), reads, "refs told everything");
    let draft = world.store.create(None, &package("d"), &workspace("w"), content("x")).await.unwrap();
    assert!(store.list().await.unwrap().contains(&draft));
    assert_eq!(git_.reads.load(Ordering::SeqCst), reads + 1, "one new commit, one look at its tree");
}
