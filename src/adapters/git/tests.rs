//! The real git program judges what we write and makes what we read.

use super::*;
use crate::adapters::person::git;
use crate::domain::id::CommitId;
use crate::domain::source::{File, FileMode, FileTree};
use crate::domain::time::Timestamp;
use crate::ports::git::{NewCommit, Person, RefUpdate, TreeBudget};

fn person() -> Person {
    Person { name: "A Person".into(), email: "person@example.com".into() }
}

fn files(pairs: &[(&str, &str)]) -> FileTree {
    let mut tree = FileTree::new();
    for (path, text) in pairs {
        tree.insert(*path, File::regular(text.as_bytes().to_vec())).unwrap();
    }
    tree
}

fn commit(repo: &dyn GitRepository, tree: &FileTree, parents: Vec<CommitId>, message: &str) -> CommitId {
    let tree = repo.write_tree(tree).unwrap();
    let at = Timestamp::from_second(1_700_000_000).unwrap();
    let new = NewCommit { tree, parents, author: person(), committer: person(), at, message: message.to_owned() };
    repo.write_commit(&new).unwrap()
}

fn update(name: &str, expected: Option<&CommitId>, new: Option<&CommitId>) -> RefUpdate {
    RefUpdate { name: name.to_owned(), expected: expected.cloned(), new: new.cloned() }
}

#[test]
fn git_reads_what_we_write() {
    let dir = tempfile::tempdir().unwrap();
    let repo = LocalRepository::init(&dir.path().join("r.git")).unwrap();
    let mut tree = files(&[("b/x.yaml", "x\n"), ("b.txt", "between\n"), ("a", "first\n")]);
    tree.insert("bin/run", File { mode: FileMode::Executable, bytes: b"#!/bin/sh\n"[..].into() }).unwrap();
    tree.insert("link", File { mode: FileMode::Symlink, bytes: b"a"[..].into() }).unwrap();
    let id = commit(&repo, &tree, vec![], "First\n\nbody\n");
    repo.push(None, &[update("refs/heads/main", None, Some(&id)), update("refs/tags/p/v1", None, Some(&id))]).unwrap();

    let path = dir.path().join("r.git");
    assert_eq!(git(&path, &["fsck", "--strict"]), "");
    assert_eq!(
        git(&path, &["log", "-1", "--format=%s|%an|%ae|%ct", "main"]),
        "First|A Person|person@example.com|1700000000"
    );
    let listing = git(&path, &["ls-tree", "-r", "--format=%(objectmode) %(path)", "main"]);
    assert_eq!(listing, "100644 a\n100644 b.txt\n100644 b/x.yaml\n100755 bin/run\n120000 link");
    git(dir.path(), &["clone", "-q", "r.git", "work"]);
    assert_eq!(std::fs::read_to_string(dir.path().join("work/b/x.yaml")).unwrap(), "x\n");
    let read = repo.read_tree(&repo.commit(&id).unwrap().tree, &TreeBudget::default()).unwrap();
    assert_eq!(read, tree);
}

#[test]
fn we_read_what_git_writes_also_after_it_packed() {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "--bare", "r.git"]);
    let repo = open(&format!("file://{}", dir.path().join("r.git").display())).unwrap();
    assert_eq!(repo.refs().unwrap().len(), 0);
    git(dir.path(), &["clone", "-q", "r.git", "work"]);
    let work = dir.path().join("work");
    std::fs::create_dir_all(work.join("net/upf/sub")).unwrap();
    for path in ["net/upf/Kptfile", "net/upf/sub/Kptfile", "readme"] {
        std::fs::write(work.join(path), path).unwrap();
    }
    git(&work, &["add", "."]);
    git(&work, &["commit", "-qm", "One"]);
    git(&work, &["tag", "-a", "-m", "annotated", "net/upf/v1"]);
    git(&work, &["push", "-q", "--tags", "origin", "main"]);

    let refs = repo.refs().unwrap();
    assert_eq!(refs["refs/heads/main"], refs["refs/tags/net/upf/v1"], "an annotated tag is peeled");
    let head = &refs["refs/heads/main"];
    git(&dir.path().join("r.git"), &["gc", "-q", "--prune=now"]);
    git(&dir.path().join("r.git"), &["pack-refs", "--all"]);
    assert_eq!(repo.refs().unwrap(), refs);
    let packages = repo.directories_with(head, "", "Kptfile").unwrap();
    assert_eq!(packages.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["net/upf"]);
    assert_eq!(repo.subtree(head, "net/upf").unwrap().as_ref(), Some(&packages[0].1));
    assert_eq!(repo.subtree(head, "net/nothing").unwrap(), None);

    let second = git(&work, &["commit", "-q", "--allow-empty", "-m", "Two"]);
    assert_eq!(second, "");
    git(&work, &["push", "-q", "origin", "main"]);
    let tip = repo.refs().unwrap()["refs/heads/main"].clone();
    let log: Vec<String> = repo.log(&tip, 10).unwrap().into_iter().map(|c| c.message.trim().to_owned()).collect();
    assert_eq!(log, ["Two", "One"]);
    assert!(repo.is_ancestor(head, &tip).unwrap() && !repo.is_ancestor(&tip, head).unwrap());
}

#[test]
fn a_push_moves_all_refs_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let repo = LocalRepository::init(&dir.path().join("r.git")).unwrap();
    let one = commit(&repo, &files(&[("a", "1")]), vec![], "one");
    let two = commit(&repo, &files(&[("a", "2")]), vec![one.clone()], "two");
    repo.push(None, &[update("refs/heads/main", None, Some(&one))]).unwrap();

    let stale = [update("refs/tags/x/v1", None, Some(&two)), update("refs/heads/main", Some(&two), Some(&one))];
    let error = repo.push(None, &stale).unwrap_err();
    assert!(matches!(&error, GitError::RefMoved { name, .. } if name == "refs/heads/main"), "{error}");
    assert_eq!(repo.refs().unwrap().len(), 1);

    let create_again = repo.push(None, &[update("refs/heads/main", None, Some(&two))]).unwrap_err();
    assert!(matches!(create_again, GitError::RefMoved { .. }), "{create_again}");
    repo.push(None, &[update("refs/heads/main", Some(&one), None), update("refs/heads/b", None, Some(&two))]).unwrap();
    assert_eq!(repo.refs().unwrap().into_iter().collect::<Vec<_>>(), [("refs/heads/b".to_owned(), two)]);
}

#[test]
fn of_two_writers_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.git");
    let repo = LocalRepository::init(&path).unwrap();
    let base = commit(&repo, &files(&[("a", "0")]), vec![], "base");
    repo.push(None, &[update("refs/heads/main", None, Some(&base))]).unwrap();
    let wins: usize = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|n| {
                let (path, base) = (&path, &base);
                scope.spawn(move || {
                    let repo = LocalRepository::open(path).unwrap();
                    let mine = commit(&repo, &files(&[("a", &n.to_string())]), vec![base.clone()], "mine");
                    usize::from(repo.push(None, &[update("refs/heads/main", Some(base), Some(&mine))]).is_ok())
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    assert_eq!(wins, 1);
}

#[test]
fn graft_replaces_one_package_and_leaves_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let repo = LocalRepository::init(&dir.path().join("r.git")).unwrap();
    let base = repo.write_tree(&files(&[("a/x", "1"), ("b/c/y", "2"), ("z", "3")])).unwrap();
    let package = repo.write_tree(&files(&[("new", "4")])).unwrap();
    let read = |id| repo.read_tree(id, &TreeBudget::default()).unwrap();

    let replaced = repo.graft(Some(&base), "b/c", Some(&package)).unwrap();
    assert_eq!(read(&replaced), files(&[("a/x", "1"), ("b/c/new", "4"), ("z", "3")]));
    let removed = repo.graft(Some(&base), "b/c", None).unwrap();
    assert_eq!(read(&removed), files(&[("a/x", "1"), ("z", "3")]));
    let fresh = repo.graft(None, "deep/er", Some(&package)).unwrap();
    assert_eq!(read(&fresh), files(&[("deep/er/new", "4")]));
}

#[test]
fn what_a_tree_may_not_hold_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "work"]);
    let work = dir.path().join("work");
    std::fs::write(work.join("big"), vec![b'x'; 2000]).unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "-qm", "big"]);
    let repo = open(work.join(".git").to_str().unwrap()).unwrap();
    let head = repo.refs().unwrap()["refs/heads/main"].clone();
    let tree = repo.commit(&head).unwrap().tree;
    let budget = TreeBudget { file_bytes: 1000, ..TreeBudget::default() };
    let error = repo.read_tree(&tree, &budget).unwrap_err().to_string();
    assert!(error.contains("big") && error.contains("2000 bytes") && error.contains("1000"), "{error}");

    git(&work, &["update-index", "--add", "--cacheinfo", &format!("160000,{head},vendor/sub")]);
    git(&work, &["commit", "-qm", "submodule"]);
    let head = repo.refs().unwrap()["refs/heads/main"].clone();
    let error = repo.read_tree(&repo.commit(&head).unwrap().tree, &TreeBudget::default()).unwrap_err().to_string();
    assert!(error.contains("vendor/sub") && error.contains("submodule"), "{error}");
}

#[test]
fn urls_that_could_run_something_are_refused() {
    for url in ["ext::sh -c x", "--upload-pack=x", "", "ssh://host/x", "host:path", "https://u:hunter2@host/x", "a\nb"]
    {
        let error = local_path(url).unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert_eq!(without_credentials("https://u:hunter2@host/x"), "https://host/x");
}

#[test]
fn a_repository_that_vanishes_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.git");
    let repo = LocalRepository::init(&path).unwrap();
    std::fs::remove_dir_all(&path).unwrap();
    let error = repo.refs().unwrap_err().to_string();
    assert!(error.contains("r.git") && error.contains("gone"), "{error}");
}

#[test]
fn a_reference_to_what_cannot_be_read_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let repo = LocalRepository::init(dir.path()).unwrap();
    let first = commit(&repo, &files(&[("a", "1")]), Vec::new(), "one");
    repo.push(None, &[update("refs/heads/main", None, Some(&first))]).unwrap();
    let tree = git(dir.path(), &["rev-parse", "main^{tree}"]);
    git(dir.path(), &["tag", "of-a-tree", tree.trim()]);
    git(dir.path(), &["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/none"]);
    let known = repo.refs().unwrap();
    assert_eq!(known.keys().collect::<Vec<_>>(), ["refs/heads/main"], "what is no commit is no revision");
    let gone = "b".repeat(40);
    std::fs::write(dir.path().join("refs/heads/lost"), format!("{gone}\n")).unwrap();
    let error = repo.refs().unwrap_err().to_string();
    assert!(error.contains("refs/heads/lost") && error.contains(&gone), "{error}");
}

#[test]
fn refs_can_be_listed_while_others_come_and_go() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.git");
    let repo = LocalRepository::init(&path).unwrap();
    let id = commit(&repo, &files(&[("a", "1")]), vec![], "one");
    repo.push(None, &[update("refs/heads/main", None, Some(&id))]).unwrap();
    std::thread::scope(|scope| {
        let moving = scope.spawn(|| {
            for round in 0..300 {
                let name = format!("refs/heads/drafts/{}", round % 7);
                repo.push(None, &[update(&name, None, Some(&id))]).unwrap();
                repo.push(None, &[update(&name, Some(&id), None)]).unwrap();
            }
        });
        while !moving.is_finished() {
            assert_eq!(repo.refs().unwrap()["refs/heads/main"], id);
        }
    });
}

#[test]
fn a_lock_that_a_killed_process_left_is_removed_and_a_fresh_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.git");
    let repo = LocalRepository::init(&path).unwrap();
    let id = commit(&repo, &files(&[("a", "1")]), vec![], "one");
    let lock = path.join("refs/heads/main.lock");
    std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let file = std::fs::File::create(&lock).unwrap();
    let error = repo.push(None, &[update("refs/heads/main", None, Some(&id))]).unwrap_err().to_string();
    assert!(error.contains("main.lock"), "{error}");
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_mins(1)).unwrap();
    repo.push(None, &[update("refs/heads/main", None, Some(&id))]).unwrap();
    assert_eq!(repo.refs().unwrap()["refs/heads/main"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_wakes_the_watcher() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.git");
    let repo = LocalRepository::init(&path).unwrap();
    let mut wakes = watch_path(&path).unwrap();
    let id = commit(&repo, &files(&[("a", "1")]), vec![], "one");
    repo.push(None, &[update("refs/heads/deep/er/branch", None, Some(&id))]).unwrap();
    let woken = tokio::time::timeout(std::time::Duration::from_secs(10), wakes.recv()).await;
    assert_eq!(woken.unwrap(), Some(()));
}

/// The first of two messages with the same SHA-1 (Leurent and Peyrin, "SHA-1 is a Shambles", 2020). An object cannot
/// hold them: its header comes before, and the attack does not survive that. What is held to it is the hash that names
/// objects.
const COLLIDING: &str = "99040d047fe81780012000ff4b65792069732070617274206f66206120636f6c6c6973696f6e212049742773206120747261702179c6\
     1af0afcc054515d9274e7307624b1dc7fb23988bb8de8b575dba7b9eab31c1674b6d974378a827732ff5851c76a2e60772b5a47ce1ea\
     c40bb993c12d8c70e24a4f8d5fcdedc1b32c9cf19e31af2429759d42e4dfdb31719f587623ee552939b6dcdc459fca53553b70f87ede\
     30a247ea3af6c759a2f20b320d760db64ff479084fd3ccb3cdd48362d96a9c430617caff6c36c637e53fde28417f626fec54ed7943a4\
     6e5f5730f2bb38fb1df6e0090010d00e24ad78bf92641993608e8d158a789f34c46fe1e6027f35a4cbfb827076c50eca0e8b7cca69bb\
     2c2b790259f9bf9570dd8d4437a3115faff7c3cac09ad25266055c27104755178eaeff825a2caa2acfb5de64ce7641dc59a541a9fc9c\
     756756e2e23dc713c8c24c9790aa6b0e38a7f55f14452a1ca2850ddd9562fd9a18ad42496aa97008f74672f68ef461eb88b09933d626\
     b4f918749cc027fddd6c425fc4216835d0134d15285bab2cb784a4f7cbb4fb514d4bf0f6237cf00a9e9f132b9a066e6fd17f6c429874\
     78586ff651af96747fb426b9872b9a88e4063f59bb334cc00650f83a80c42751b71974d300fc2819a2e8f1e32c1b51cb18e6bfc4db9b\
     aef675d4aaf5b1574a047f8f6dd2ec153a93412293974d928f88ced9363cfef97ce2e742bf34c96b8ef3875676fea5cca8e5f7dea0ba\
     b2413d4de00ee71ee01f162bdb6d1eafd925e6aebaae6a354ef17cf205a404fbdb12fc454d41fdd95cf2459664a2ad032d1da60a7326\
     4075d7f1e0d6c1403ae7a0d861df3fe5707188dd5e07d1589b9f8b6630553f8fc352b3e0c27da80bddba4c64020d";

#[test]
fn bytes_made_to_collide_get_no_id() {
    let byte = |at: usize| u8::from_str_radix(&COLLIDING[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..COLLIDING.len()).step_by(2).map(byte).collect();
    let id = |bytes: &[u8]| {
        let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
        hasher.update(bytes);
        hasher.try_finalize().map_err(|error| error.to_string())
    };
    let error = id(&bytes).unwrap_err();
    assert!(error.contains("collision attack with digest 8ac60ba76f1999a1ab70223f225aefdc78d4ddc0"), "{error}");
    assert!(id(&bytes[..512]).is_ok(), "the prefix alone is harmless");
    let said = with_code(error);
    assert!(said.ends_with(" [git.collision]") && with_code(said.clone()) == said, "{said}");
    assert_eq!(with_code("a disk is full".to_owned()), "a disk is full");
}
