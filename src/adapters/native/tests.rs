//! The real git program makes what we read and judges what we write. Adapters do not import each other; the tests may.

mod layout;
mod lifecycle;
mod meddler;
mod merged;
mod races;
mod tags;

use std::path::{Path, PathBuf};

use super::*;
use crate::adapters::git::LocalRepository;
use crate::adapters::person::git;
use crate::domain::error::{Class, Classify as _};
use crate::domain::revision::Lifecycle;
use crate::domain::source::File;

struct At(i64);

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0).unwrap()
    }
}

struct World {
    _dir: tempfile::TempDir,
    bare: PathBuf,
    work: PathBuf,
    store: NativeStore,
}

fn world(directory: &str) -> World {
    let dir = tempfile::tempdir().unwrap();
    let bare = dir.path().join("r.git");
    git(dir.path(), &["init", "-q", "--bare", "r.git"]);
    git(dir.path(), &["clone", "-q", "r.git", "work"]);
    let work = dir.path().join("work");
    std::fs::write(work.join("README.md"), "x").unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "-qm", "Initial commit"]);
    git(&work, &["push", "-q", "origin", "HEAD:main"]);
    let store = open(&bare, directory);
    World { _dir: dir, bare, work, store }
}

fn open(bare: &Path, directory: &str) -> NativeStore {
    over(Arc::new(LocalRepository::open(bare).unwrap()), directory)
}

fn over(git: Arc<dyn GitRepository>, directory: &str) -> NativeStore {
    NativeStore::new(RepositoryName::new("r").unwrap(), git, directory, "main", Arc::new(At(1_700_000_000)), None)
}

async fn published(world: &World, name: &str, text: &str, ws: &str) -> PackageRevision {
    let proposed = proposed(world, name, text, ws).await;
    world.store.approve(None, &proposed, &note()).await.unwrap()
}

/// Every ref with its id: equal before and after means that nothing was changed.
fn state(world: &World) -> String {
    git(&world.bare, &["for-each-ref"])
}

/// A person commits `text` as `file` to the registered branch.
fn person_commits(world: &World, file: &str, text: &str) {
    git(&world.work, &["fetch", "-q", "--tags", "-f", "origin"]);
    git(&world.work, &["reset", "-q", "--hard", "origin/main"]);
    let path = world.work.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    git(&world.work, &["add", "."]);
    git(&world.work, &["commit", "-qm", "By a person"]);
    git(&world.work, &["push", "-q", "origin", "HEAD:main"]);
}

fn parents(world: &World, of: &str) -> Vec<String> {
    git(&world.bare, &["rev-list", "--parents", "-1", of]).split(' ').skip(1).map(str::to_owned).collect()
}

fn package(name: &str) -> PackageName {
    PackageName::new(name).unwrap()
}

fn workspace(name: &str) -> WorkspaceName {
    WorkspaceName::new(name).unwrap()
}

fn content(text: &str) -> DraftContent {
    let mut files = FileTree::new();
    files.insert("Kptfile", File::regular(format!("# {text}\n").into_bytes())).unwrap();
    let task = Some(serde_json::json!({"type": "init"}));
    DraftContent { files, subject: "Creating new empty revision".into(), task, trailers: vec![] }
}

fn note() -> ApprovalNote {
    let approver = Person { name: "An Approver".into(), email: "approver@example.com".into() };
    ApprovalNote { approver, trailers: vec![("Loggia-Plan".into(), "abc".into())] }
}

async fn proposed(world: &World, name: &str, text: &str, ws: &str) -> PackageRevision {
    let draft = world.store.create(None, &package(name), &workspace(ws), content(text)).await.unwrap();
    world.store.propose(None, &draft).await.unwrap()
}

fn refs(world: &World) -> Vec<String> {
    git(&world.bare, &["for-each-ref", "--format=%(refname)"]).lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_revision_lives_in_porchs_layout() {
    let world = world("");
    let draft = world.store.create(None, &package("net/upf"), &workspace("w1"), content("one")).await.unwrap();
    assert_eq!((draft.lifecycle, draft.revision), (Lifecycle::Draft, 0));
    assert_eq!(refs(&world), ["refs/heads/drafts/net/upf/w1", "refs/heads/main"]);
    let message = git(&world.bare, &["log", "-1", "--format=%B", "drafts/net/upf/w1"]);
    assert!(message.starts_with("Creating new empty revision\n\nkpt:{"), "{message}");
    assert!(message.contains("\"revision\":\"0\"") && message.contains("\"task\":{\"type\":\"init\"}"), "{message}");

    let proposed = world.store.propose(None, &draft).await.unwrap();
    assert_eq!(refs(&world), ["refs/heads/main", "refs/heads/proposed/net/upf/w1"]);
    let published = world.store.approve(None, &proposed, &note()).await.unwrap();
    assert_eq!((published.lifecycle, published.revision, published.latest), (Lifecycle::Published, 1, true));
    assert_eq!(refs(&world), ["refs/heads/main", "refs/tags/net/upf/v1"]);
    let log = git(&world.bare, &["log", "-1", "--format=%an|%cn|%P|%B", "main"]);
    assert!(log.starts_with("An Approver|Package Orchestration Service|"), "{log}");
    assert!(
        log.contains("Approving package revision net/upf/1\n\nkpt:{\"package\":\"net/upf\",\"workspaceName\":\"w1\",\"revision\":\"1\"}"),
        "{log}"
    );
    assert!(log.trim_end().ends_with("Loggia-Plan: abc"), "{log}");
    assert_eq!(git(&world.bare, &["rev-list", "--parents", "-1", "main"]).split(' ').count(), 3, "two parents");
    assert_eq!(git(&world.bare, &["cat-file", "-t", "net/upf/v1"]), "commit", "a lightweight tag");
    assert_eq!(git(&world.bare, &["fsck", "--strict", "--no-dangling"]), "");

    let listed = world.store.list().await.unwrap();
    let told: Vec<(i64, String)> = listed.iter().map(|r| (r.revision, r.name.to_string())).collect();
    assert_eq!(told, [(-1, "r.net.upf.main".into()), (1, "r.net.upf.w1".into())]);
    assert_eq!(world.store.trailers(&published).await.unwrap()["Loggia-Plan"], "abc");
}

#[tokio::test]
async fn numbers_go_up_and_latest_moves() {
    let world = world("pk");
    for (n, ws) in ["a", "b"].iter().enumerate() {
        let proposed = proposed(&world, "upf", ws, ws).await;
        let published = world.store.approve(None, &proposed, &note()).await.unwrap();
        assert_eq!(published.revision, i64::try_from(n).unwrap() + 1);
    }
    let latest: Vec<(i64, bool)> = world.store.list().await.unwrap().iter().map(|r| (r.revision, r.latest)).collect();
    assert_eq!(latest, [(-1, false), (1, false), (2, true)]);
    assert!(refs(&world).contains(&"refs/tags/pk/upf/v2".to_owned()));
    assert_eq!(git(&world.bare, &["show", "main:pk/upf/Kptfile"]), "# b");
    assert_eq!(git(&world.bare, &["show", "main:README.md"]), "x");
}

/// A person's merge, squash or rebase of the proposed branch is recognised; the rest of publishing follows.
#[tokio::test]
async fn what_a_person_merged_is_published() {
    for how in ["merge", "squash", "rebase"] {
        let world = world("");
        let proposed = proposed(&world, "upf", how, "w1").await;
        assert_eq!(world.store.merged_by(&proposed).await.unwrap(), None, "{how}");
        git(&world.work, &["fetch", "-q", "origin"]);
        std::fs::write(world.work.join("other"), how).unwrap();
        git(&world.work, &["add", "."]);
        git(&world.work, &["commit", "-qm", "Meanwhile"]);
        match how {
            "merge" => drop(git(&world.work, &["merge", "-q", "-m", "Merge it", "origin/proposed/upf/w1"])),
            "squash" => {
                git(&world.work, &["merge", "-q", "--squash", "origin/proposed/upf/w1"]);
                git(&world.work, &["commit", "-qm", "Squash it"]);
            }
            _ => drop(git(&world.work, &["cherry-pick", "origin/proposed/upf/w1"])),
        }
        git(&world.work, &["push", "-q", "origin", "HEAD:main"]);
        let (who, _) = world.store.merged_by(&proposed).await.unwrap().unwrap();
        let expected = if how == "rebase" { "Package Orchestration Service" } else { "A Person" };
        assert_eq!(who.name, expected, "{how}");
        let published = world.store.approve(None, &proposed, &note()).await.unwrap();
        assert_eq!((published.revision, published.workspace.as_str()), (1, "w1"), "{how}");
        assert_eq!(git(&world.bare, &["rev-list", "--parents", "-1", "main"]).split(' ').count(), 2, "{how}");
        assert_eq!(refs(&world), ["refs/heads/main", "refs/tags/upf/v1"], "{how}");
        assert_eq!(git(&world.bare, &["show", "main:other"]), how);
    }
}

#[tokio::test]
async fn deletion_is_proposed_undone_and_carried_out() {
    let world = world("");
    let one = proposed(&world, "upf", "one", "w1").await;
    let one = world.store.approve(None, &one, &note()).await.unwrap();
    let leaving = world.store.propose_deletion(None, &one).await.unwrap();
    assert_eq!(leaving.lifecycle, Lifecycle::DeletionProposed);
    let back = world.store.restore(None, &leaving).await.unwrap();
    assert_eq!(back.lifecycle, Lifecycle::Published);
    let error = world.store.delete(None, &back, true).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot delete package revision r.upf.w1: it is Published");
    let leaving = world.store.propose_deletion(None, &back).await.unwrap();
    world.store.delete(None, &leaving, true).await.unwrap();
    assert_eq!(refs(&world), ["refs/heads/main"]);
    assert_eq!(git(&world.bare, &["ls-tree", "--name-only", "main"]), "README.md");
    assert_eq!(git(&world.bare, &["log", "-1", "--format=%s", "main"]), "Delete upf");
    assert_eq!(world.store.list().await.unwrap(), []);
}

#[tokio::test]
async fn what_the_matrix_forbids_is_refused() {
    let world = world("");
    let draft = world.store.create(None, &package("upf"), &workspace("w1"), content("one")).await.unwrap();
    assert_eq!(world.store.approve(None, &draft, &note()).await.unwrap_err().class(), Class::Invalid);
    assert_eq!(world.store.reject(None, &draft).await.unwrap_err().class(), Class::Invalid);
    let again = world.store.create(None, &package("upf"), &workspace("w1"), content("two")).await.unwrap_err();
    assert_eq!(again.to_string(), "package revision r.upf.w1 exists already");
    let proposed = world.store.propose(None, &draft).await.unwrap();
    assert_eq!(world.store.update(None, &proposed, content("x")).await.unwrap_err().class(), Class::Invalid);
    let again = world.store.propose(None, &draft).await.unwrap_err();
    assert_eq!(again.to_string(), "cannot propose package revision r.upf.w1: it is Proposed");
    let draft = world.store.reject(None, &proposed).await.unwrap();
    let newer = world.store.update(None, &draft, content("newer")).await.unwrap();
    let stale = world.store.update(None, &draft, content("stale")).await.unwrap_err();
    assert_eq!(stale.class(), Class::Conflict, "{stale}");
    world.store.delete(None, &newer, false).await.unwrap();
    assert_eq!(refs(&world), ["refs/heads/main"]);
}

#[tokio::test]
async fn of_two_stores_one_approves() {
    let world = world("");
    let proposed = proposed(&world, "upf", "one", "w1").await;
    let other = open(&world.bare, "");
    let (a, b) = (note(), note());
    let (a, b) = tokio::join!(world.store.approve(None, &proposed, &a), other.approve(None, &proposed, &b));
    assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1, "{a:?} {b:?}");
    assert_eq!(refs(&world), ["refs/heads/main", "refs/tags/upf/v1"]);
}

#[tokio::test]
async fn a_tag_that_moved_is_refused() {
    let world = world("");
    let proposed = proposed(&world, "upf", "one", "w1").await;
    let published = world.store.approve(None, &proposed, &note()).await.unwrap();
    world.store.content(&published).await.unwrap();
    git(&world.work, &["pull", "-q", "origin", "main"]);
    std::fs::write(world.work.join("upf/Kptfile"), "# evil\n").unwrap();
    git(&world.work, &["commit", "-qam", "Evil"]);
    git(&world.work, &["tag", "-f", "upf/v1"]);
    git(&world.work, &["push", "-q", "-f", "origin", "upf/v1"]);
    let listed = world.store.list().await.unwrap();
    let moved = listed.iter().find(|r| r.revision == 1).unwrap();
    let error = world.store.content(moved).await.unwrap_err().to_string();
    assert!(error.contains("refs/tags/upf/v1") && error.contains("moved") && error.contains("never change"), "{error}");
}

#[tokio::test]
async fn what_porch_wrote_is_read() {
    let world = world("");
    std::fs::create_dir_all(world.work.join("a/b")).unwrap();
    std::fs::write(world.work.join("a/b/Kptfile"), "x").unwrap();
    git(&world.work, &["add", "."]);
    let annotation = "kpt:{\"package\":\"a/b\",\"workspaceName\":\"from-porch\",\"revision\":\"1\"}";
    git(&world.work, &["commit", "-qm", &format!("Approve a/b/v1\n\n{annotation}\n")]);
    git(&world.work, &["tag", "a/b/v1"]);
    git(&world.work, &["tag", "a/b/v2.0.0"]);
    git(&world.work, &["tag", "unrelated"]);
    git(&world.work, &["push", "-q", "--tags", "origin", "HEAD:main", "HEAD:drafts/a/b/next"]);
    let told: Vec<(i64, String, Lifecycle)> = world
        .store
        .list()
        .await
        .unwrap()
        .into_iter()
        .map(|r| (r.revision, r.workspace.to_string(), r.lifecycle))
        .collect();
    let expected = [
        (-1, "main", Lifecycle::Published),
        (-1, "v2.0.0", Lifecycle::Published),
        (0, "next", Lifecycle::Draft),
        (1, "from-porch", Lifecycle::Published),
    ];
    assert_eq!(told, expected.map(|(n, w, l)| (n, w.to_owned(), l)));
}
