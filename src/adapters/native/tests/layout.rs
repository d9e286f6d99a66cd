//! Repositories that other hands laid out, read by the store; what the store lays out, read by git.

use super::*;
use crate::domain::source::FileMode;

fn told(all: &[PackageRevision]) -> Vec<String> {
    let line = |r: &PackageRevision| {
        let latest = if r.latest { " latest" } else { "" };
        format!("{} {} {}{latest}", r.name, r.revision, r.lifecycle)
    };
    all.iter().map(line).collect()
}

fn commit(world: &World, file: &str, text: &str, message: &str) -> String {
    let path = world.work.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    git(&world.work, &["add", "."]);
    git(&world.work, &["commit", "-qm", message]);
    git(&world.work, &["rev-parse", "HEAD"])
}

/// Two packages with equal last parts, one with all kinds of refs, below a directory, with annotations old and new.
fn by_hand(world: &World) {
    let note = |package: &str, ws: &str, n: &str| {
        format!("Approve\n\nkpt:{{\"package\":\"{package}\",\"workspaceName\":\"{ws}\",\"revision\":\"{n}\"}}\n")
    };
    let one = commit(world, "d/net/upf/Kptfile", "1", &note("d/net/upf", "first", "1"));
    let two = commit(world, "d/net/upf/Kptfile", "2", &note("net/upf", "second", "v2"));
    let other = commit(world, "d/edge/upf/Kptfile", "1", &note("d/edge/upf", "first", "1"));
    commit(world, "d/net/upf/inner/Kptfile", "part of the outer package", "Nested");
    commit(world, "elsewhere/Kptfile", "outside", "Outside of the directory");
    for (name, at) in [("d/net/upf/v1", &one), ("d/edge/upf/v1", &other), ("d/net/v9", &two), ("plain", &one)] {
        git(&world.work, &["tag", name, at]);
    }
    git(&world.work, &["tag", "-a", "-m", "annotated", "d/net/upf/v2", &two]);
    git(&world.work, &["tag", "d/net/upf/v2.0.0", &two]);
    git(&world.work, &["tag", "elsewhere/v1"]);
    let ends = [
        "HEAD:refs/heads/main",
        "HEAD:refs/heads/drafts/d/net/upf/w3",
        "HEAD:refs/heads/proposed/d/edge/upf/w2",
        "HEAD:refs/heads/feature/d/x",
        &format!("{one}:refs/heads/deletionProposed/d/net/upf/v1"),
    ];
    git(&world.work, &[&["push", "-q", "--tags", "origin"], ends.as_slice()].concat());
}

#[tokio::test]
async fn a_repository_laid_out_by_hand_is_read() {
    let world = world("/d/");
    by_hand(&world);
    let all = world.store.list().await.unwrap();
    assert_eq!(
        told(&all),
        [
            "r.edge.upf.main -1 Published",
            "r.edge.upf.w2 0 Proposed",
            "r.edge.upf.first 1 Published latest",
            "r.net.upf.main -1 Published",
            "r.net.upf.v2.0.0 -1 Published",
            "r.net.upf.w3 0 Draft",
            "r.net.upf.first 1 DeletionProposed",
            "r.net.upf.second 2 Published latest",
        ]
    );
    let two = all.last().unwrap();
    assert_eq!(two.commit.as_str(), git(&world.bare, &["rev-parse", "d/net/upf/v2^{commit}"]));
    assert_eq!(two.tree.as_str(), git(&world.bare, &["rev-parse", "d/net/upf/v2:d/net/upf"]));
    assert_eq!(&*world.store.content(two).await.unwrap().get("Kptfile").unwrap().bytes, b"2");
    let (who, _) = world.store.published(two).await.unwrap().unwrap();
    assert_eq!(who.email, "person@example.com");
}

#[tokio::test]
async fn what_was_laid_out_by_hand_lives_on() {
    let world = world("d");
    by_hand(&world);
    let all = world.store.list().await.unwrap();
    let named = |name: &str| all.iter().find(|r| r.name.as_str() == name).unwrap();
    let edge = world.store.approve(None, named("r.edge.upf.w2"), &note()).await.unwrap();
    assert_eq!(edge.revision, 2, "numbers of the other upf do not count");
    let annotated = world.store.propose_deletion(None, named("r.net.upf.second")).await.unwrap();
    world.store.delete(None, &annotated, true).await.unwrap();
    world.store.delete(None, named("r.net.upf.first"), false).await.unwrap();
    let left: Vec<String> = refs(&world).into_iter().filter(|name| name.contains("net/upf")).collect();
    assert_eq!(left, ["refs/heads/drafts/d/net/upf/w3", "refs/tags/d/net/upf/v2.0.0"]);
    assert_eq!(git(&world.bare, &["show", "main:d/net/upf/Kptfile"]), "2", "another revision was left");
}

#[tokio::test]
async fn a_rename_that_broke_off_can_go_both_ways() {
    for back in [true, false] {
        let world = world("");
        let draft = world.store.create(None, &package("upf"), &workspace("w1"), content("one")).await.unwrap();
        git(&world.bare, &["branch", "proposed/upf/w1", draft.commit.as_str()]);
        let all = world.store.list().await.unwrap();
        assert_eq!(told(&all), ["r.upf.w1 0 Proposed"]);
        if back {
            world.store.reject(None, &all[0]).await.unwrap();
            assert_eq!(refs(&world), ["refs/heads/drafts/upf/w1", "refs/heads/main"]);
        } else {
            world.store.approve(None, &all[0], &note()).await.unwrap();
            let all = world.store.list().await.unwrap();
            assert_eq!(
                told(&all),
                ["r.upf.main -1 Published", "r.upf.w1 1 Published latest"],
                "the branch left is hidden"
            );
        }
    }
}

#[tokio::test]
async fn modes_and_bytes_are_kept() {
    let world = world("d");
    let mut files = content("x").files;
    let bytes = vec![0, 159, 146, 150, b'\r', b'\n'];
    files.insert("bin/run", File { mode: FileMode::Executable, bytes: bytes.clone().into() }).unwrap();
    files.insert("link", File { mode: FileMode::Symlink, bytes: b"bin/run".to_vec().into() }).unwrap();
    let draft = DraftContent { files: files.clone(), ..content("x") };
    let draft = world.store.create(None, &package("net/upf"), &workspace("w1"), draft).await.unwrap();
    let proposed = world.store.propose(None, &draft).await.unwrap();
    let published = world.store.approve(None, &proposed, &note()).await.unwrap();
    assert_eq!(world.store.content(&published).await.unwrap(), files);
    let modes = git(&world.bare, &["ls-tree", "-r", "--format=%(objectmode) %(path)", "main:d/net/upf"]);
    assert_eq!(modes, "100644 Kptfile\n100755 bin/run\n120000 link");
}

#[tokio::test]
async fn a_draft_replaces_the_whole_package_and_nothing_else() {
    let world = world("");
    published(&world, "net/upf", "one", "w1").await;
    published(&world, "net/smf", "one", "w1").await;
    person_commits(&world, "net/upf/extra", "to be replaced");
    let head = git(&world.bare, &["rev-parse", "main"]);
    let draft = world.store.create(None, &package("net/upf"), &workspace("w2"), content("two")).await.unwrap();
    assert_eq!(parents(&world, "drafts/net/upf/w2"), [head.as_str()], "on the branch's head");
    let changed = git(&world.bare, &["diff", "--name-status", "main", draft.commit.as_str()]);
    assert_eq!(changed, "M\tnet/upf/Kptfile\nD\tnet/upf/extra");
    let proposed = world.store.propose(None, &draft).await.unwrap();
    person_commits(&world, "net/smf/Kptfile", "# meanwhile\n");
    let head = git(&world.bare, &["rev-parse", "main"]);
    world.store.approve(None, &proposed, &note()).await.unwrap();
    assert_eq!(parents(&world, "main"), [head.as_str(), draft.commit.as_str()], "branch first, draft second");
    assert_eq!(git(&world.bare, &["diff", "--name-status", &head, "main"]), "M\tnet/upf/Kptfile\nD\tnet/upf/extra");
}

#[tokio::test]
async fn a_branch_that_is_not_there_begins_with_the_first_approval() {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "--bare", "r.git"]);
    let store = open(&dir.path().join("r.git"), "");
    assert_eq!(store.list().await.unwrap(), []);
    let draft = store.create(None, &package("upf"), &workspace("w1"), content("one")).await.unwrap();
    let proposed = store.propose(None, &draft).await.unwrap();
    assert_eq!(store.merged_by(&proposed).await.unwrap(), None);
    let published = store.approve(None, &proposed, &note()).await.unwrap();
    assert_eq!(store.content(&published).await.unwrap(), content("one").files);
}

#[tokio::test]
async fn a_claim_that_ran_out_writes_nothing() {
    use crate::domain::lease::{LeaseRecord, Timing};
    let lease = LeaseRecord { holder: Some("me".into()), ..LeaseRecord::default() };
    let claim = Claim::after_renewal(&lease, "me", Timestamp::from_second(1_000).unwrap(), &Timing::default()).unwrap();
    let world = world("");
    let proposed = proposed(&world, "upf", "one", "w1").await;
    let before = state(&world);
    let error = world.store.approve(Some(&claim), &proposed, &note()).await.unwrap_err();
    assert!(matches!(error, RevisionError::Git(GitError::Claim(_))), "{error}");
    assert_eq!(state(&world), before);
}

/// Our reading of trailers against git's.
#[test]
fn trailers_are_what_git_says() {
    let dir = tempfile::tempdir().unwrap();
    let annotation = message::Annotation { package: "upf".into(), ..message::Annotation::default() };
    let pairs = [("Loggia-Plan".to_owned(), "a: b".to_owned()), ("Reviewed-by".to_owned(), "A <a@b>".to_owned())];
    let texts = [
        message::compose("subject: with colon", &annotation, &pairs),
        "only: a title\n".to_owned(),
        "t\n\nwords\n\nA: 1\n  folded\nB-c:x\n".to_owned(),
        "t\n\nA: 1\n\nwords\n".to_owned(),
    ];
    for text in texts {
        std::fs::write(dir.path().join("m"), &text).unwrap();
        let judged = git(dir.path(), &["interpret-trailers", "--parse", "m"]);
        let ours: Vec<String> = message::trailers(&text).iter().map(|(k, v)| format!("{k}: {v}")).collect();
        assert_eq!(ours.join("\n"), judged, "{text}");
    }
}
