//! The other side is the real git program as a server on loopback.

use std::sync::Arc;

use super::*;
use crate::adapters::person::git;
use crate::adapters::script::script;
use crate::domain::credentials::Door;
use crate::domain::error::{Class, Classify as _};
use crate::domain::lease::{LeaseRecord, Timing};
use crate::domain::source::File;
use crate::ports::git::Person;
use crate::ports::sign_in::{SignInError, SignIns};

#[path = "../../../../tests/support/git_server.rs"]
mod git_server;
mod packs;

use git_server::{GitServer, Moment};

type Hook = Box<dyn Fn(&Path) + Send>;

/// A git server that remembers what it was asked. It asks for a password at `/locked.git`.
struct Server {
    dir: tempfile::TempDir,
    serving: GitServer,
    seen: Arc<Mutex<Vec<String>>>,
    /// Runs once, before the next push is carried out.
    before_push: Arc<Mutex<Option<Hook>>>,
}

impl Server {
    /// `None`, and a line that says so, where git has no http-backend.
    fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q", "--bare", "r.git"]);
        git(&dir.path().join("r.git"), &["config", "http.receivepack", "true"]);
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let before_push: Arc<Mutex<Option<Hook>>> = Arc::default();
        let (noted, hooks, path) = (Arc::clone(&seen), Arc::clone(&before_push), dir.path().join("r.git"));
        let witness = move |moment: Moment, request: &str, _: &[u8]| {
            if moment == Moment::Landed {
                return;
            }
            noted.lock().unwrap().push(request.to_owned());
            let is_push = request.starts_with("POST") && request.ends_with("git-receive-pack");
            if let Some(hook) = is_push.then(|| hooks.lock().unwrap().take()).flatten() {
                hook(&path);
            }
        };
        let serving = GitServer::start(dir.path(), Arc::new(witness))?;
        Some(Self { dir, serving, seen, before_push })
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("r.git")
    }

    fn url(&self) -> String {
        self.serving.url("r.git")
    }

    fn open(&self) -> RemoteRepository {
        RemoteRepository::open(&self.url(), &self.dir.path().join("cache")).unwrap()
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.path(), args)
    }

    /// A person pushes a commit with one file to `branch`.
    fn person_commits(&self, branch: &str, path: &str, text: &str) -> CommitId {
        let work = self.dir.path().join("work");
        if !work.exists() {
            git(self.dir.path(), &["clone", "-q", "r.git", "work"]);
        }
        std::fs::create_dir_all(work.join(path).parent().unwrap()).unwrap();
        std::fs::write(work.join(path), text).unwrap();
        git(&work, &["add", "-A"]);
        git(&work, &["commit", "-qm", &format!("Change {path}")]);
        git(&work, &["push", "-qf", "origin", &format!("HEAD:refs/heads/{branch}")]);
        CommitId::new(git(&work, &["rev-parse", "HEAD"])).unwrap()
    }

    /// Fetch commands since the last call; each ls-refs is a POST of its own.
    fn posts(&self) -> usize {
        let mut seen = self.seen.lock().unwrap();
        let posts = seen.iter().filter(|line| line.starts_with("POST")).count();
        seen.clear();
        posts
    }
}

fn commit(repo: &dyn GitRepository, text: &str, parents: Vec<CommitId>) -> CommitId {
    let mut files = FileTree::new();
    files.insert("net/upf/Kptfile", File::regular(text.as_bytes().to_vec())).unwrap();
    let person = Person { name: "A Person".into(), email: "person@example.com".into() };
    let at = Timestamp::from_second(1_700_000_000).unwrap();
    let tree = repo.write_tree(&files).unwrap();
    let new =
        NewCommit { tree, parents, author: person.clone(), committer: person, at, message: format!("Write {text}\n") };
    repo.write_commit(&new).unwrap()
}

fn update(name: &str, expected: Option<&CommitId>, new: Option<&CommitId>) -> RefUpdate {
    RefUpdate { name: name.to_owned(), expected: expected.cloned(), new: new.cloned() }
}

/// A process that was killed in the middle of a fetch leaves lock files; they stop nobody.
#[test]
fn locks_that_were_left_in_the_mirror_are_no_obstacle() {
    let Some(server) = Server::start() else { return };
    server.person_commits("main", "net/upf/Kptfile", "one");
    let repo = server.open();
    repo.fetch().unwrap();
    for left in ["refs/heads/main.lock", "refs/heads/gone.lock", "packed-refs.lock"] {
        std::fs::write(repo.dir.join(left), "").unwrap();
    }
    let two = server.person_commits("main", "net/upf/Kptfile", "two");
    server.git(&["branch", "-q", "other", "main"]);
    let found = repo.fetch().unwrap();
    assert_eq!((&found["refs/heads/main"], &found["refs/heads/other"]), (&two, &two));
}

#[test]
fn an_empty_repository_has_no_refs() {
    let Some(server) = Server::start() else { return };
    let repo = server.open();
    assert_eq!((repo.refs().unwrap(), repo.fetch().unwrap()), (Refs::new(), Refs::new()));
}

#[test]
fn what_a_person_pushed_is_read() {
    let Some(server) = Server::start() else { return };
    let one = server.person_commits("main", "net/upf/Kptfile", "one");
    server.git(&["tag", "-a", "-m", "annotated", "net/upf/v1", "main"]);
    let blob = server.git(&["rev-parse", "main:net/upf/Kptfile"]);
    server.git(&["update-ref", "refs/tags/a-file", &blob]);
    server.git(&["update-ref", "refs/pull/7/head", "main"]);
    let repo = server.open();
    assert_eq!(repo.refs().unwrap()["refs/tags/net/upf/v1"], one, "an annotated tag is peeled by ls-refs alone");
    let refs = repo.fetch().unwrap();
    assert_eq!(refs.keys().collect::<Vec<_>>(), ["refs/heads/main", "refs/tags/net/upf/v1"]);
    assert_eq!(refs["refs/tags/net/upf/v1"], one);
    assert_eq!(repo.refs().unwrap(), refs);
    assert_eq!(repo.directories_with(&one, "", "Kptfile").unwrap()[0].0, "net/upf");
    let tree = repo.commit(&one).unwrap().tree;
    let files = repo.read_tree(&tree, &TreeBudget::default()).unwrap();
    assert_eq!(&*files.get("net/upf/Kptfile").unwrap().bytes, b"one");

    let two = server.person_commits("main", "net/upf/Kptfile", "two");
    assert!(repo.commit(&two).is_err(), "not before it is fetched");
    assert_eq!(repo.refs().unwrap()["refs/heads/main"], two);
    assert_eq!(repo.fetch().unwrap()["refs/heads/main"], two);
    assert_eq!(repo.log(&two, 9).unwrap().len(), 2);
    assert!(repo.is_ancestor(&one, &two).unwrap());
}

/// Whatever is changed in a pack on the way, nothing of it becomes a ref.
#[test]
fn a_pack_that_was_changed_on_the_way_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    git(dir.path(), &["init", "-q", "--bare", "r.git"]);
    git(dir.path(), &["clone", "-q", "r.git", "work"]);
    let work = dir.path().join("work");
    std::fs::write(work.join("Kptfile"), "kind: Kptfile\n".repeat(40)).unwrap();
    git(&work, &["add", "-A"]);
    git(&work, &["commit", "-qm", "One"]);
    git(&work, &["push", "-q", "origin", "HEAD:refs/heads/main"]);
    let place = Arc::new(std::sync::atomic::AtomicUsize::new(usize::MAX));
    let at = place.clone();
    let tamper = move |request: &str, output: &mut Vec<u8>| {
        let pack = output.windows(4).position(|four| four == b"PACK").filter(|_| request.starts_with("POST"));
        let byte = pack.and_then(|pack| output.get_mut(pack.checked_add(at.load(Ordering::Relaxed))?));
        if let Some(byte) = byte {
            *byte ^= 0x21;
        }
    };
    let Some(server) = GitServer::tampering(dir.path(), Arc::new(|_, _, _| {}), Arc::new(tamper)) else { return };
    let fetched = |cache: &str| {
        let repo = RemoteRepository::open(&server.url("r.git"), &dir.path().join(cache)).unwrap();
        (repo.fetch().map_err(|error| error.to_string()), repo.mirror.refs().unwrap().len())
    };
    // Version, number of objects, headers, contents.
    for changed in (4..120).step_by(5) {
        place.store(changed, Ordering::Relaxed);
        let (outcome, refs) = fetched(&format!("cache-{changed}"));
        let error = outcome.unwrap_err();
        assert!(error.starts_with(&format!("{}: fetching failed: ", server.url("r.git"))), "{changed}: {error}");
        assert_eq!(refs, 0, "{changed}");
    }
    place.store(usize::MAX, Ordering::Relaxed);
    assert_eq!(fetched("cache").0.unwrap().len(), 1);
}

#[test]
fn nothing_is_transferred_when_no_id_moved() {
    let Some(server) = Server::start() else { return };
    server.person_commits("main", "a", "one");
    let repo = server.open();
    repo.fetch().unwrap();
    assert!(server.posts() > 1, "ls-refs and fetch");
    let before = git(&repo.dir, &["count-objects", "-v"]);
    repo.fetch().unwrap();
    assert_eq!(server.posts(), 1, "ls-refs alone");
    server.open().fetch().unwrap();
    assert_eq!(server.posts(), 1, "the mirror outlives the process");
    assert_eq!(git(&repo.dir, &["count-objects", "-v"]), before);
}

#[test]
fn the_mirror_follows_deletions_and_rewrites() {
    let Some(server) = Server::start() else { return };
    let repo = server.open();
    server.person_commits("main", "a", "one");
    server.git(&["update-ref", "refs/heads/topic", "main"]);
    server.git(&["update-ref", "refs/tags/v1", "main"]);
    repo.fetch().unwrap();
    server.git(&["update-ref", "-d", "refs/heads/topic"]);
    server.git(&["update-ref", "refs/heads/topic/deeper", "main"]);
    server.git(&["update-ref", "-d", "refs/tags/v1"]);
    let rewritten = git(&server.dir.path().join("work"), &["commit-tree", "HEAD^{tree}", "-m", "Rewritten"]);
    git(&server.dir.path().join("work"), &["push", "-qf", "origin", &format!("{rewritten}:refs/heads/main")]);
    let refs = repo.fetch().unwrap();
    assert_eq!(refs.keys().collect::<Vec<_>>(), ["refs/heads/main", "refs/heads/topic/deeper"]);
    assert_eq!(refs["refs/heads/main"].as_str(), rewritten);
    let mirrored = git(&repo.dir, &["for-each-ref", "--format=%(refname) %(objectname)"]);
    assert_eq!(mirrored, server.git(&["for-each-ref", "--format=%(refname) %(objectname)"]));
    assert_eq!(git(&repo.dir, &["fsck", "--strict", "--no-dangling"]), "");
}

#[test]
fn git_reads_what_we_push() {
    let Some(server) = Server::start() else { return };
    let repo = server.open();
    let one = commit(&repo, "one", vec![]);
    repo.push(None, &[update("refs/heads/main", None, Some(&one))]).unwrap();
    let two = commit(&repo, "two", vec![one.clone()]);
    let both = [update("refs/heads/main", Some(&one), Some(&two)), update("refs/tags/net/upf/v1", None, Some(&two))];
    repo.push(None, &both).unwrap();
    assert_eq!(server.git(&["fsck", "--strict"]), "");
    assert_eq!(server.git(&["log", "--format=%s", "main"]), "Write two\nWrite one");
    assert_eq!(server.git(&["show", "net/upf/v1:net/upf/Kptfile"]), "two");
    assert_eq!(repo.fetch().unwrap().len(), 2);

    let three = server.person_commits("main", "theirs", "three");
    repo.fetch().unwrap();
    let four = commit(&repo, "four", vec![three.clone()]);
    repo.push(None, &[update("refs/heads/main", Some(&three), Some(&four))]).unwrap();
    assert_eq!(server.git(&["fsck", "--strict"]), "");
    // No new object, a step back, and a deletion.
    repo.push(None, &[update("refs/heads/old", None, Some(&one))]).unwrap();
    repo.push(None, &[update("refs/heads/main", Some(&four), Some(&one))]).unwrap();
    repo.push(None, &[update("refs/heads/old", Some(&one), None)]).unwrap();
    repo.push(None, &[]).unwrap();
    assert_eq!(server.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main\nrefs/tags/net/upf/v1");
    assert_eq!(server.git(&["rev-parse", "main"]), one.to_string());
}

#[test]
fn only_what_is_new_is_sent() {
    let Some(server) = Server::start() else { return };
    let repo = server.open();
    let mut parents = Vec::new();
    for n in 0..20 {
        parents = vec![commit(&repo, &format!("version {n}"), parents)];
    }
    repo.push(None, &[update("refs/heads/main", None, parents.first())]).unwrap();
    let new = commit(&repo, "one more", parents.clone());
    let offer = Receiver::new(&server.url(), None).unwrap().offer().unwrap();
    let present: Vec<ObjectId> = offer.refs.values().copied().collect();
    let pack = pack(&repo.shared.to_thread_local(), &[object_id(new.as_str()).unwrap()], &present).unwrap();
    let count = u32::from_be_bytes(pack[8..12].try_into().unwrap());
    assert_eq!(count, 5, "a commit, three trees and a file");
}

#[test]
fn a_ref_that_moved_stops_the_push() {
    let Some(server) = Server::start() else { return };
    let repo = server.open();
    let one = commit(&repo, "one", vec![]);
    repo.push(None, &[update("refs/heads/main", None, Some(&one))]).unwrap();
    let theirs = server.person_commits("main", "theirs", "x");
    let mine = commit(&repo, "mine", vec![one.clone()]);
    let error = repo
        .push(None, &[update("refs/heads/new", None, Some(&mine)), update("refs/heads/main", Some(&one), Some(&mine))])
        .unwrap_err();
    let GitError::RefMoved { name, expected, found, .. } = &error else { panic!("{error}") };
    assert_eq!((name.as_str(), expected, found), ("refs/heads/main", &one.to_string(), &theirs.to_string()));
    let exists = repo.push(None, &[update("refs/heads/main", None, Some(&mine))]).unwrap_err();
    assert_eq!(exists.class(), Class::Conflict);
    let gone = repo.push(None, &[update("refs/heads/nowhere", Some(&one), None)]).unwrap_err();
    assert!(gone.to_string().ends_with("found nothing"), "{gone}");
    assert_eq!(server.git(&["for-each-ref", "--format=%(refname)"]), "refs/heads/main");
}

#[test]
fn who_moves_a_ref_between_our_look_and_our_push_wins() {
    let Some(server) = Server::start() else { return };
    let repo = server.open();
    let one = commit(&repo, "one", vec![]);
    let two = commit(&repo, "two", vec![one.clone()]);
    repo.push(None, &[update("refs/heads/main", None, Some(&one)), update("refs/heads/theirs", None, Some(&two))])
        .unwrap();
    *server.before_push.lock().unwrap() = Some(Box::new(|path| {
        git(path, &["update-ref", "refs/heads/main", "refs/heads/theirs"]);
    }));
    let three = commit(&repo, "three", vec![one.clone()]);
    let error = repo
        .push(
            None,
            &[update("refs/heads/fine", None, Some(&three)), update("refs/heads/main", Some(&one), Some(&three))],
        )
        .unwrap_err();
    let GitError::RefMoved { name, found, .. } = &error else { panic!("{error}") };
    assert_eq!((name.as_str(), found), ("refs/heads/main", &two.to_string()));
    let names = server.git(&["for-each-ref", "--format=%(refname)"]);
    assert_eq!(names, "refs/heads/main\nrefs/heads/theirs", "the other ref did not move either");
}

#[test]
fn an_annotated_tag_is_expected_by_its_commit() {
    let Some(server) = Server::start() else { return };
    let one = server.person_commits("main", "a", "one");
    server.git(&["tag", "-a", "-m", "annotated", "v1", "main"]);
    let repo = server.open();
    assert_eq!(repo.fetch().unwrap()["refs/tags/v1"], one);
    repo.push(None, &[update("refs/tags/v1", Some(&one), None)]).unwrap();
    assert_eq!(server.git(&["tag"]), "");
}

#[cfg(unix)]
#[test]
fn what_a_hook_refuses_is_said() {
    let Some(server) = Server::start() else { return };
    let hook = server.path().join("hooks/update");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    script(&hook, "test \"$1\" != refs/heads/main");
    let repo = server.open();
    let one = commit(&repo, "one", vec![]);
    let both = [update("refs/heads/main", None, Some(&one)), update("refs/heads/topic", None, Some(&one))];
    let error = repo.push(None, &both).unwrap_err();
    assert!(error.to_string().contains("refs/heads/main: hook declined"), "{error}");
    assert_eq!(error.class(), Class::Invalid, "the same push fails again");
    assert_eq!(server.git(&["for-each-ref"]), "", "all or none");
    repo.push(None, &both[1..]).unwrap();
}

#[test]
fn without_a_claim_nothing_is_sent() {
    let Some(server) = Server::start() else { return };
    let repo = server.open();
    let one = commit(&repo, "one", vec![]);
    let lease = LeaseRecord { holder: Some("me".into()), ..LeaseRecord::default() };
    let old = Claim::after_renewal(&lease, "me", Timestamp::UNIX_EPOCH, &Timing::default()).unwrap();
    let refused = repo.push(Some(&old), &[update("refs/heads/main", None, Some(&one))]).unwrap_err();
    assert!(matches!(refused, GitError::Claim(_)), "{refused}");
    assert_eq!(server.seen.lock().unwrap().len(), 0);
}

#[test]
fn who_asks_for_a_password_gets_none_from_anybody() {
    let Some(server) = Server::start() else { return };
    let url = server.serving.url("locked.git");
    let repo = RemoteRepository::open(&url, &server.dir.path().join("cache")).unwrap();
    let one = commit(&repo, "one", vec![]);
    for error in [repo.refs().unwrap_err(), repo.fetch().unwrap_err()] {
        assert!(error.to_string().contains("redentials"), "{error}");
    }
    let error = repo.push(None, &[update("refs/heads/main", None, Some(&one))]).unwrap_err().to_string();
    assert!(error.contains("401 Unauthorized; check that the user may push there"), "{error}");
}

#[test]
fn a_password_is_in_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let repo = RemoteRepository::open("https://robot:s3cr3t@127.0.0.1:1/r.git", dir.path()).unwrap();
    let one = commit(&repo, "one", vec![]);
    let push = repo.push(None, &[update("refs/heads/main", None, Some(&one))]);
    for error in [repo.refs().unwrap_err(), repo.fetch().unwrap_err(), push.unwrap_err()] {
        let text = format!("{error} {error:?}");
        assert!(text.contains("127.0.0.1") && !text.contains("s3cr3t"), "{text}");
    }
    assert_eq!(repo.scrubbed("at https://robot:s3cr3t@127.0.0.1:1/r.git: s3cr3t"), "at https://127.0.0.1:1/r.git: ***");
}

#[test]
fn who_does_not_answer_is_an_error_that_may_pass() {
    let dir = tempfile::tempdir().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let repo = RemoteRepository::open(&format!("http://{closed}/r.git"), dir.path()).unwrap();
    let one = commit(&repo, "one", vec![]);
    let push = repo.push(None, &[update("refs/heads/main", None, Some(&one))]);
    for error in [repo.refs().unwrap_err(), repo.fetch().unwrap_err(), push.unwrap_err()] {
        assert_eq!(error.class(), Class::Transient, "{error}");
        assert!(error.to_string().contains("refused"), "the cause is told: {error}");
    }
}

#[test]
fn what_takes_too_long_is_asked_to_stop() {
    let stopped = within(Duration::ZERO, |stop| {
        while !stop.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        true
    });
    assert!(stopped);
    assert!(!within(Duration::MAX, |stop| stop.load(Ordering::Relaxed)), "and what is done in time is not");
}

#[test]
fn urls_are_checked_before_anything_is_made() {
    let dir = tempfile::tempdir().unwrap();
    for url in [
        "ftp://h/x",
        "http://",
        "https://u:p/w@h/x",
        "http://h/x?q",
        "http://h/x#f",
        "HTTP://h/x",
        "h",
        "http://h/\n",
        "http://u:p@h/x",
    ] {
        let error = RemoteRepository::open(url, dir.path()).err().unwrap();
        assert!(matches!(error, GitError::Url { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("p/w"), "{error}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let a = RemoteRepository::open("https://a:1@h/x", dir.path()).unwrap();
    let b = RemoteRepository::open("https://a:2@h/x", dir.path()).unwrap();
    assert_eq!((a.url(), a.dir.clone()), ("https://h/x", b.dir), "a new password keeps the mirror");
    let opened = crate::adapters::git::open_cached("https://h/x", dir.path(), None).unwrap();
    assert_eq!(opened.url(), "https://h/x");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// Async callers go through `spawn_blocking`, as the forge over refs does; its proposals live at the remote.
#[tokio::test]
async fn proposals_live_in_a_remote_too() {
    use crate::domain::id::PlanId;
    use crate::ports::forge::{Decision, Forge as _, ProposalContent, ProposalKey, ProposalKind};
    let Some(server) = Server::start() else { return };
    let open = || crate::adapters::forge::LocalForge::new(Arc::new(server.open()));
    let id = CommitId::new("a".repeat(40)).unwrap();
    let plan = PlanId::from_digest(Digest::of(b"plan"));
    let content = ProposalContent {
        key: ProposalKey {
            repository: "deployments".to_owned().try_into().unwrap(),
            base: "main".into(),
            package: "upf".to_owned().try_into().unwrap(),
        },
        kind: ProposalKind::Publish,
        title: "Publish upf".into(),
        body: "It would do that.".into(),
        head_ref: "proposed/upf".into(),
        head: id.clone(),
        base_commit: id.clone(),
        plan: plan.clone(),
        plan_json: serde_json::json!({}),
    };
    let now = Timestamp::from_second(1_790_000_000).unwrap();
    let lease = LeaseRecord { holder: Some("me".into()), ..LeaseRecord::default() };
    let claim = Claim::after_renewal(&lease, "me", Timestamp::now(), &Timing::default()).unwrap();
    for _ in 0..2 {
        assert_eq!(open().open_or_update(&claim, &content, None, now).await.unwrap().number, 1);
    }
    let yes = Decision::Approve { plan, head: id };
    let approved = open().decide(1, yes, "eve", "eve@example.com", now).await.unwrap();
    assert_eq!(open().list().await.unwrap(), [approved]);
    let subjects = server.git(&["log", "--format=%s", "refs/loggia/proposals/1"]);
    assert_eq!(subjects, "Approve proposal 1\nOpen proposal 1");
}

/// Credentials as a Secret has them: old ones that are remembered, and those that stand there now.
struct Kept(SignIn, SignIn);

impl SignIns for Kept {
    fn sign_in(&self, _: Door<'_>) -> Result<Option<SignIn>, SignInError> {
        Ok(Some(self.0.clone()))
    }

    fn instead_of(&self, refused: &SignIn, _: Door<'_>) -> Result<Option<SignIn>, SignInError> {
        Ok(Some(self.1.clone()).filter(|new| new != refused))
    }
}

fn password(password: &str) -> SignIn {
    SignIn::Password { user: "robot".to_owned(), password: password.to_owned() }
}

fn kept(old: &SignIn, new: &SignIn) -> Arc<dyn SignIns> {
    Arc::new(Kept(old.clone(), new.clone()))
}

#[test]
fn who_has_credentials_is_let_in() {
    let Some(server) = Server::start() else { return };
    let one = server.person_commits("main", "net/upf/Kptfile", "one");
    let (wrong, right, token) = (password("0ld"), password("s3cr3t"), SignIn::Token("t0ken".to_owned()));
    for (wanted, kept) in
        [(&right, kept(&right, &right)), (&right, kept(&wrong, &right)), (&token, kept(&token, &token))]
    {
        std::fs::write(server.path().join("authorization"), wanted.authorization().unwrap()).unwrap();
        let repo = server.open().with_sign_ins(kept).unwrap();
        assert_eq!(repo.refs().unwrap()["refs/heads/main"], one);
        assert_eq!(repo.fetch().unwrap()["refs/heads/main"], one);
        let two = commit(&repo, "two", vec![one.clone()]);
        repo.push(None, &[update("refs/heads/two", None, Some(&two))]).unwrap();
        repo.push(None, &[update("refs/heads/two", Some(&two), None)]).unwrap();
    }
    let repo = server.open().with_sign_ins(kept(&wrong, &wrong)).unwrap();
    let push = repo.push(None, &[update("refs/heads/two", None, Some(&one))]);
    for error in [repo.refs().unwrap_err(), repo.fetch().unwrap_err(), push.unwrap_err()] {
        assert!(matches!(error, GitError::Denied { .. }), "{error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains("into the Secret") && text.contains("[git.auth]") && !text.contains("0ld"), "{text}");
    }
    let error = server.open().refs().unwrap_err();
    assert!(error.to_string().contains("spec.git.secretRef"), "{error}");
}

#[test]
fn credentials_go_nowhere_in_clear_text() {
    let dir = tempfile::tempdir().unwrap();
    let one = password("s3cr3t");
    for (url, words) in [("http://git.example/r.git", "clear text"), ("https://u:p@git.example/r.git", "holds a user")]
    {
        let repo = RemoteRepository::open(url, dir.path());
        let error = repo.unwrap().with_sign_ins(kept(&one, &one)).err().unwrap().to_string();
        assert!(error.contains(words) && error.contains("[git.url_credentials]") && !error.contains("u:p"), "{error}");
    }
}

/// A server that sends everybody elsewhere, and remembers what they told it.
fn redirecting(to: impl Fn(&str) -> String + Send + 'static) -> (String, Arc<Mutex<Vec<String>>>) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = seen.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head: Vec<String> = BufReader::new(stream.try_clone().unwrap())
                .lines()
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .collect();
            let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)) else { continue };
            let location = to(path);
            log.lock().unwrap().extend(head);
            let answer =
                format!("HTTP/1.1 302 X\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            // Who has heard enough may be gone.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (url, seen)
}

#[test]
fn credentials_do_not_follow_a_redirect() {
    let Some(server) = Server::start() else { return };
    let one = server.person_commits("main", "net/upf/Kptfile", "one");
    let (there, elsewhere) = (server.url(), redirecting(str::to_owned));
    let base = there.trim_end_matches("/r.git").to_owned();
    // Without credentials a repository that moved is found, as git finds it.
    let (moved, _) = redirecting(move |path| format!("{base}{path}"));
    let dir = tempfile::tempdir().unwrap();
    let repo = RemoteRepository::open(&format!("{moved}/r.git"), dir.path()).unwrap();
    assert_eq!(repo.refs().unwrap()["refs/heads/main"], one);
    let (other, heard) = elsewhere;
    let (away, asked) = redirecting(move |path| format!("{other}{path}"));
    let secret = password("s3cr3t");
    for sign_in in [&secret, &SignIn::Token("t0ken".to_owned())] {
        let repo = RemoteRepository::open(&format!("{away}/r.git"), dir.path()).unwrap();
        let repo = repo.with_sign_ins(kept(sign_in, sign_in)).unwrap();
        let push = repo.push(None, &[update("refs/heads/two", None, Some(&one))]);
        let push = push.unwrap_err().to_string();
        assert!(push.contains("from 127.0.0.1 to 127.0.0.1;") && push.ends_with("[net.redirect_denied]"), "{push}");
        for error in [repo.refs().unwrap_err(), repo.fetch().unwrap_err()] {
            let error = error.to_string();
            assert!(
                error.contains("from 127.0.0.1 to 127.0.0.1;") && error.ends_with("[net.redirect_denied]"),
                "{error}"
            );
        }
    }
    let told = asked.lock().unwrap().join("\n");
    assert!(told.contains(&secret.authorization().unwrap()) && told.contains("Bearer t0ken"), "{told}");
    assert!(heard.lock().unwrap().is_empty(), "{heard:?}");
}

/// As git itself: only the first request may lead elsewhere, and nobody else hears what is asked later.
#[test]
fn later_requests_lead_nowhere() {
    let Some(server) = Server::start() else { return };
    server.person_commits("main", "net/upf/Kptfile", "one");
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = heard.clone();
    let note = Arc::new(move |_: Moment, request: &str, _: &[u8]| log.lock().unwrap().push(request.to_owned()));
    let Some(other) = GitServer::start(server.dir.path(), note) else { return };
    let elsewhere = other.url("r.git");
    let lead_away = move |request: &str, output: &mut Vec<u8>| {
        if let Some((_, service)) = request.strip_prefix("POST ").and_then(|path| path.rsplit_once('/')) {
            *output = format!("Status: 302 Found\r\nLocation: {elsewhere}/{service}\r\n\r\n").into_bytes();
        }
    };
    let quiet = Arc::new(|_: Moment, _: &str, _: &[u8]| {});
    let Some(first) = GitServer::tampering(server.dir.path(), quiet, Arc::new(lead_away)) else { return };
    let url = first.url("r.git");
    let asked = std::process::Command::new("git").args(["ls-remote", &url]).output().unwrap();
    assert!(!asked.status.success(), "git follows it: {}", String::from_utf8_lossy(&asked.stdout));
    let dir = tempfile::tempdir().unwrap();
    let repo = RemoteRepository::open(&url, dir.path()).unwrap();
    let one = commit(&repo, "one", vec![]);
    let push = repo.push(None, &[update("refs/heads/two", None, Some(&one))]).unwrap_err();
    for error in [repo.refs().unwrap_err(), repo.fetch().unwrap_err(), push] {
        assert!(error.to_string().starts_with(&url), "{error}");
    }
    assert!(heard.lock().unwrap().is_empty(), "{heard:?}");
}

#[test]
fn redirects_lead_to_http_only() {
    let Some(server) = Server::start() else { return };
    server.person_commits("main", "net/upf/Kptfile", "one");
    let (path, dir) = (server.path().display().to_string(), tempfile::tempdir().unwrap());
    for place in [format!("file://{path}"), "ssh://127.0.0.1/r.git".to_owned(), format!("ext::cat {path}")] {
        let (url, asked) = redirecting(move |asked| format!("{place}{}", asked.trim_start_matches("/r.git")));
        let repo = RemoteRepository::open(&format!("{url}/r.git"), dir.path()).unwrap();
        for error in [repo.refs().unwrap_err(), repo.fetch().unwrap_err()] {
            let error = error.to_string();
            assert!(error.contains("from 127.0.0.1 to ") && error.ends_with(" [net.redirect_denied]"), "{error}");
        }
        assert!(!asked.lock().unwrap().is_empty());
    }
}
