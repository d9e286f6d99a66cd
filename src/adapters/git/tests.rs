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
    for url in ["ext::sh -c x", "--upload-pack=x", "", "ssh://host/x", "host:path", "https://u:secret@host/x", "a\nb"] {
        let error = local_path(url).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    assert_eq!(without_credentials("https://u:secret@host/x"), "https://host/x");
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
