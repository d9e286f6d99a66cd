//! Published revisions never change: tags that do not stand where they were approved.

use super::*;

fn tag(world: &World, name: &str, at: &str) {
    git(&world.bare, &["tag", "-f", name, at]);
}

async fn read(store: &NativeStore, number: i64) -> Result<FileTree, RevisionError> {
    let listed = store.list().await.unwrap();
    store.content(listed.iter().find(|r| r.revision == number).unwrap()).await
}

#[tokio::test]
async fn a_fresh_store_knows_from_the_history_where_a_tag_was() {
    let world = world("pk");
    let one = published(&world, "upf", "one", "w1").await;
    let two = published(&world, "upf", "two", "w2").await;
    person_commits(&world, "pk/upf/Kptfile", "# not approved\n");
    for (at, what) in [("main", "on the branch"), (two.commit.as_str(), "another approval")] {
        tag(&world, "pk/upf/v1", at);
        let listed = open(&world.bare, "pk").list().await.unwrap();
        assert!(listed.iter().any(|r| r.revision == 1 && r.workspace.as_str() == "w1"), "{what}: its name stays");
        match read(&open(&world.bare, "pk"), 1).await {
            Err(RevisionError::TagMoved { tag, was, now, .. }) => {
                assert_eq!((tag.as_str(), &was), ("refs/tags/pk/upf/v1", &one.commit), "{what}");
                assert_eq!(now.as_str(), git(&world.bare, &["rev-parse", at]), "{what}");
            }
            other => panic!("{what}: {other:?}"),
        }
    }
    let good = read(&open(&world.bare, "pk"), 2).await.unwrap();
    assert_eq!(good, content("two").files, "others are still read");
}

#[tokio::test]
async fn an_approval_forged_beside_the_branch_is_refused() {
    let world = world("");
    let one = published(&world, "upf", "one", "w1").await;
    git(&world.work, &["fetch", "-q", "origin"]);
    git(&world.work, &["checkout", "-q", one.commit.as_str()]);
    std::fs::write(world.work.join("upf/Kptfile"), "# evil\n").unwrap();
    let message = git(&world.bare, &["log", "-1", "--format=%B", one.commit.as_str()]);
    git(&world.work, &["commit", "-qam", &message]);
    git(&world.work, &["push", "-q", "-f", "origin", "HEAD:refs/tags/upf/v1"]);
    let error = read(&open(&world.bare, ""), 1).await.unwrap_err();
    assert!(matches!(&error, RevisionError::TagMoved { was, .. } if *was == one.commit), "{error}");
    assert_eq!(error.class(), Class::Invalid);
}

#[tokio::test]
async fn a_tag_set_by_hand_is_read_on_the_branch_and_refused_beside_it() {
    let world = world("");
    person_commits(&world, "upf/Kptfile", "# by hand\n");
    tag(&world, "upf/v1", "main");
    let store = open(&world.bare, "");
    read(&store, 1).await.unwrap();
    assert_eq!(store.list().await.unwrap()[1].workspace.as_str(), "v1", "nobody told a workspace");

    std::fs::write(world.work.join("upf/Kptfile"), "# beside\n").unwrap();
    git(&world.work, &["commit", "-qam", "Beside"]);
    git(&world.work, &["push", "-q", "origin", "HEAD:refs/tags/upf/v7"]);
    let error = read(&store, 7).await.unwrap_err();
    assert!(error.to_string().contains("no part of refs/heads/main"), "{error}");
    assert_eq!(error.class(), Class::Invalid);
}

#[tokio::test]
async fn a_number_given_again_by_somebody_else_is_read_once_its_going_was_seen() {
    let world = world("");
    let one = published(&world, "upf", "one", "w1").await;
    let reader = open(&world.bare, "");
    read(&reader, 1).await.unwrap();
    let leaving = world.store.propose_deletion(None, &one).await.unwrap();
    world.store.delete(None, &leaving, false).await.unwrap();
    reader.list().await.unwrap();
    published(&world, "upf", "again", "w2").await;
    assert_eq!(read(&reader, 1).await.unwrap(), content("again").files);
}

#[tokio::test]
async fn an_approval_picked_again_by_a_person_does_not_block_the_tag() {
    let world = world("");
    let one = published(&world, "upf", "one", "w1").await;
    published(&world, "upf", "two", "w2").await;
    git(&world.work, &["fetch", "-q", "origin"]);
    git(&world.work, &["reset", "-q", "--hard", "origin/main"]);
    git(&world.work, &["checkout", "-q", one.commit.as_str(), "--", "upf"]);
    git(&world.work, &["commit", "-q", "-C", one.commit.as_str()]);
    git(&world.work, &["push", "-q", "origin", "HEAD:main"]);
    assert_eq!(read(&open(&world.bare, ""), 1).await.unwrap(), content("one").files);
}

#[tokio::test]
async fn a_tag_set_by_hand_stays_where_it_was_first_seen() {
    let world = world("");
    person_commits(&world, "upf/Kptfile", "# one\n");
    tag(&world, "upf/v1", "main");
    let was = git(&world.bare, &["rev-parse", "main"]);
    let store = open(&world.bare, "");
    read(&store, 1).await.unwrap();
    person_commits(&world, "upf/Kptfile", "# two\n");
    tag(&world, "upf/v1", "main");
    let error = read(&store, 1).await.unwrap_err();
    assert!(matches!(&error, RevisionError::TagMoved { was: first, .. } if first.as_str() == was), "{error}");
    tag(&world, "upf/v1", &was);
    read(&store, 1).await.unwrap();
}

#[tokio::test]
async fn a_number_that_this_store_deleted_is_free_for_others() {
    let world = world("");
    let one = published(&world, "upf", "one", "w1").await;
    let leaving = world.store.propose_deletion(None, &one).await.unwrap();
    world.store.list().await.unwrap();
    world.store.delete(None, &leaving, false).await.unwrap();
    let other = open(&world.bare, "");
    let draft = other.create(None, &package("upf"), &workspace("w2"), content("again")).await.unwrap();
    let proposed = other.propose(None, &draft).await.unwrap();
    let again = other.approve(None, &proposed, &note()).await.unwrap();
    assert_eq!(again.revision, 1);
    assert_eq!(world.store.content(&again).await.unwrap(), content("again").files);
}
