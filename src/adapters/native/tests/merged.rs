//! People merge proposed branches with plain git; the store finishes what they began.

use super::*;

/// Fetches, goes to the branch's head, and says what is proposed.
fn ready(world: &World) -> &'static str {
    git(&world.work, &["fetch", "-q", "origin"]);
    git(&world.work, &["reset", "-q", "--hard", "origin/main"]);
    "origin/proposed/upf/w1"
}

fn push(world: &World) {
    git(&world.work, &["push", "-q", "origin", "HEAD:main"]);
}

async fn finish(world: &World, proposed: &PackageRevision, how: &str) {
    let head = git(&world.bare, &["rev-parse", "main"]);
    let tree = git(&world.bare, &["rev-parse", "main^{tree}"]);
    assert!(world.store.merged_by(proposed).await.unwrap().is_some(), "{how}");
    let done = world.store.approve(None, proposed, &note()).await.unwrap();
    assert_eq!((done.workspace.as_str(), done.tree.clone()), ("w1", proposed.tree.clone()), "{how}");
    assert_eq!(parents(world, "main"), [head], "{how}: one parent, the branch");
    assert_eq!(git(&world.bare, &["rev-parse", "main^{tree}"]), tree, "{how}: the tree stays");
    assert_eq!(git(&world.bare, &["rev-parse", &format!("upf/v{}", done.revision)]), done.commit.as_str(), "{how}");
    let message = git(&world.bare, &["log", "-1", "--format=%B", "main"]);
    let line = format!("kpt:{{\"package\":\"upf\",\"workspaceName\":\"w1\",\"revision\":\"{}\"}}", done.revision);
    assert!(message.contains(&line), "{how}: {message}");
    assert!(!refs(world).iter().any(|name| name.contains("proposed")), "{how}");
    assert_eq!(open(&world.bare, "").content(&done).await.unwrap(), content("new").files, "{how}");
}

#[tokio::test]
async fn a_rebase_of_several_commits_is_recognised() {
    let world = world("");
    published(&world, "upf", "old", "w0").await;
    let draft = world.store.create(None, &package("upf"), &workspace("w1"), content("first try")).await.unwrap();
    let draft = world.store.update(None, &draft, content("new")).await.unwrap();
    let proposed = world.store.propose(None, &draft).await.unwrap();
    person_commits(&world, "other", "meanwhile");
    let branch = ready(&world);
    git(&world.work, &["checkout", "-q", "-B", "mine", branch]);
    git(&world.work, &["rebase", "-q", "origin/main"]);
    push(&world);
    finish(&world, &proposed, "rebase").await;
    assert!(refs(&world).contains(&"refs/tags/upf/v2".to_owned()));
}

#[tokio::test]
async fn a_fast_forward_is_recognised_even_when_the_last_commit_changed_nothing() {
    let world = world("");
    let draft = world.store.create(None, &package("upf"), &workspace("w1"), content("new")).await.unwrap();
    let draft = world.store.update(None, &draft, content("new")).await.unwrap();
    let proposed = world.store.propose(None, &draft).await.unwrap();
    let branch = ready(&world);
    git(&world.work, &["merge", "-q", "--ff-only", branch]);
    push(&world);
    finish(&world, &proposed, "fast-forward").await;
}

#[tokio::test]
async fn a_merge_with_commits_after_it_is_recognised() {
    for squash in [false, true] {
        let world = world("");
        let proposed = proposed(&world, "upf", "new", "w1").await;
        person_commits(&world, "other", "before");
        let branch = ready(&world);
        if squash {
            git(&world.work, &["merge", "-q", "--squash", branch]);
            git(&world.work, &["commit", "-q", "--no-edit"]);
        } else {
            git(&world.work, &["merge", "-q", "--no-ff", "-m", "Merge", branch]);
        }
        let merge = git(&world.work, &["rev-parse", "HEAD"]);
        push(&world);
        person_commits(&world, "other", "after");
        let (who, commit) = world.store.merged_by(&proposed).await.unwrap().unwrap();
        assert_eq!((who.name.as_str(), who.email.as_str()), ("A Person", "person@example.com"));
        assert_eq!(commit.as_str(), merge, "the merge, not what came later");
        finish(&world, &proposed, if squash { "squash" } else { "merge" }).await;
    }
}

#[tokio::test]
async fn content_that_was_there_before_is_nobodys_merge() {
    let world = world("");
    published(&world, "upf", "same", "w0").await;
    let proposed = proposed(&world, "upf", "same", "w1").await;
    person_commits(&world, "other", "unrelated");
    assert_eq!(world.store.merged_by(&proposed).await.unwrap(), None);
    let published = world.store.approve(None, &proposed, &note()).await.unwrap();
    assert_eq!(parents(&world, published.commit.as_str()).len(), 2);
}

#[tokio::test]
async fn a_merge_that_was_changed_or_undone_is_none() {
    let world = world("");
    let proposed = proposed(&world, "upf", "new", "w1").await;
    let branch = ready(&world);
    git(&world.work, &["merge", "-q", "--no-ff", "-m", "Merge", branch]);
    push(&world);
    assert!(world.store.merged_by(&proposed).await.unwrap().is_some());
    person_commits(&world, "upf/Kptfile", "# changed since\n");
    assert_eq!(world.store.merged_by(&proposed).await.unwrap(), None);
    let published = world.store.approve(None, &proposed, &note()).await.unwrap();
    assert_eq!(parents(&world, "main").len(), 1, "the draft is part of the branch already");
    assert_eq!(
        world.store.content(&published).await.unwrap(),
        content("new").files,
        "an approval holds what was proposed"
    );
}
