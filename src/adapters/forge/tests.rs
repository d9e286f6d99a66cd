//! The contract of a forge, which any implementation can be held to, and what git itself sees of the local one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::LocalForge;
use crate::adapters::git::LocalRepository;
use crate::adapters::person::git;
use crate::domain::error::{Class, Classify as _};
use crate::domain::id::{CommitId, Digest, PlanId};
use crate::domain::lease::{Claim, LeaseRecord, Timing};
use crate::domain::time::{SignedDuration, Timestamp};
use crate::ports::forge::{
    Decision, Forge, ForgeError, Proposal, ProposalContent, ProposalKey, ProposalKind, ProposalState,
};
use crate::ports::git::{GitError, GitRepository};

fn claim_from(at: Timestamp) -> Claim {
    let lease = LeaseRecord { holder: Some("me".into()), ..LeaseRecord::default() };
    Claim::after_renewal(&lease, "me", at, &Timing { renew_deadline: hour(), ..Timing::default() }).unwrap()
}

fn hour() -> SignedDuration {
    SignedDuration::from_hours(1)
}

fn claim() -> Claim {
    claim_from(Timestamp::now())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

fn plan(text: &str) -> PlanId {
    PlanId::from_digest(Digest::of(text.as_bytes()))
}

fn commit_id(digit: char) -> CommitId {
    CommitId::new(digit.to_string().repeat(40)).unwrap()
}

fn content(package: &str, plan_text: &str) -> ProposalContent {
    ProposalContent {
        key: ProposalKey {
            repository: "deployments".to_owned().try_into().unwrap(),
            base: "main".into(),
            package: package.to_owned().try_into().unwrap(),
        },
        kind: ProposalKind::Publish,
        title: format!("Publish {package}"),
        body: format!("It would do {plan_text}."),
        head_ref: format!("loggia/{package}"),
        head: commit_id('a'),
        base_commit: commit_id('b'),
        plan: plan(plan_text),
        plan_json: serde_json::json!({"steps": [plan_text], "ratio": 0.1_f64 + 0.2, "n": 18_446_744_073_709_551_615_u64}),
    }
}

fn yes(proposal: &Proposal) -> Decision {
    Decision::Approve { plan: proposal.content.plan.clone(), head: proposal.content.head.clone() }
}

fn no(reason: &str) -> Decision {
    Decision::Reject { reason: reason.into() }
}

async fn open(forge: &dyn Forge, content: &ProposalContent, second: i64) -> Proposal {
    forge.open_or_update(&claim(), content, None, at(second)).await.unwrap()
}

async fn approve(forge: &dyn Forge, proposal: &Proposal, by: &str, second: i64) -> Result<Proposal, ForgeError> {
    forge.decide(proposal.number, yes(proposal), by, &format!("{by}@example.com"), at(second)).await
}

struct World {
    dir: tempfile::TempDir,
    forge: LocalForge,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        LocalRepository::init(&dir.path().join("r.git")).unwrap();
        let forge = forge_at(&dir.path().join("r.git"));
        Self { dir, forge }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("r.git")
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.path(), args)
    }

    fn refs(&self) -> String {
        self.git(&["for-each-ref", "--format=%(refname) %(objectname)"])
    }

    fn subjects(&self, number: u64) -> String {
        self.git(&["log", "--reverse", "--format=%s|%an|%ae", &format!("refs/loggia/proposals/{number}")])
    }

    /// A person checks a proposal out, edits files, commits and pushes.
    fn edit(&self, number: u64, edit: impl Fn(&Path)) {
        let work = self.dir.path().join("work");
        let name = format!("refs/loggia/proposals/{number}");
        git(self.dir.path(), &["clone", "-q", "r.git", "work"]);
        git(&work, &["fetch", "-q", "origin", &name]);
        git(&work, &["checkout", "-q", "--detach", "FETCH_HEAD"]);
        edit(&work);
        git(&work, &["add", "-A"]);
        git(&work, &["commit", "-qm", "Edit by hand"]);
        git(&work, &["push", "-q", "origin", &format!("HEAD:{name}")]);
        std::fs::remove_dir_all(work).unwrap();
    }
}

fn forge_at(path: &Path) -> LocalForge {
    LocalForge::new(Arc::new(LocalRepository::open(path).unwrap()))
}

// ---- the contract of any forge ----

async fn one_pending_per_key(forge: &dyn Forge) {
    let upf = open(forge, &content("edge/upf", "one"), 0).await;
    let amf = open(forge, &content("edge/amf", "one"), 1).await;
    assert_eq!((upf.number, amf.number), (1, 2));
    let again = open(forge, &content("edge/upf", "two"), 2).await;
    assert_eq!((again.number, again.content.plan.clone(), again.opened_at), (1, plan("two"), at(0)));
    let mut elsewhere = content("edge/upf", "one");
    elsewhere.key.base = "release".into();
    assert_eq!(open(forge, &elsewhere, 3).await.number, 3, "another base is another key");
    let listed = forge.list().await.unwrap();
    assert_eq!(listed.iter().map(|p| p.number).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((&listed[0], &listed[1]), (&again, &amf));
    assert_eq!(forge.get(2).await.unwrap(), amf);
    assert_eq!(amf.content.plan_json, content("edge/amf", "one").plan_json);
    assert!(matches!(forge.get(4).await, Err(ForgeError::NotFound(4))));
    let missing = forge.decide(4, no("x"), "eve", "e@example.com", at(4)).await.unwrap_err();
    assert_eq!(missing.class(), Class::NotFound);
}

async fn an_approval_is_of_what_was_read(forge: &dyn Forge) {
    let read = open(forge, &content("upf", "one"), 0).await;
    let now = open(forge, &content("upf", "two"), 1).await;
    let stale = approve(forge, &read, "eve", 2).await.unwrap_err();
    assert!(matches!(stale, ForgeError::Stale { number: 1, .. }), "{stale}");
    assert_eq!(stale.class(), Class::Conflict);
    let mut other_head = now.clone();
    other_head.content.head = commit_id('c');
    assert!(matches!(approve(forge, &other_head, "eve", 3).await, Err(ForgeError::Stale { .. })));
    assert_eq!(forge.get(1).await.unwrap(), now, "nothing was written");

    let approved = approve(forge, &now, "eve", 4).await.unwrap();
    let ProposalState::Approved { by, email, at: when, plan: seen, head } = &approved.verdict else {
        panic!("{:?}", approved.verdict)
    };
    assert_eq!((by.as_str(), email.as_str(), *when), ("eve", "eve@example.com", at(4)));
    assert_eq!((seen, head), (&plan("two"), &commit_id('a')));
    assert_eq!(approve(forge, &now, "eve", 5).await.unwrap(), approved, "the same person, the same plan");
    let second = approve(forge, &now, "mallory", 6).await.unwrap_err();
    assert_eq!(second.to_string(), "cannot approve proposal 1: it is Approved");
}

async fn a_refresh_takes_the_approval_back(forge: &dyn Forge) {
    let first = open(forge, &content("upf", "one"), 0).await;
    let approved = approve(forge, &first, "eve", 1).await.unwrap();
    assert_eq!(open(forge, &content("upf", "one"), 2).await, approved, "unchanged content keeps it");
    let mut new_text = content("upf", "one");
    new_text.body = "The same plan, told better.".into();
    assert_eq!(open(forge, &new_text, 3).await.verdict, approved.verdict, "text alone keeps it");

    let what = Some("replicas 2 became 3");
    let refreshed = forge.open_or_update(&claim(), &content("upf", "two"), what, at(4)).await.unwrap();
    assert_eq!((refreshed.number, &refreshed.verdict), (1, &ProposalState::Open));
    let [comment] = refreshed.comments.as_slice() else { panic!("{:?}", refreshed.comments) };
    assert!(comment.text.contains("since you approved, eve"), "{}", comment.text);
    assert!(comment.text.contains("replicas 2 became 3"), "{}", comment.text);
    assert_eq!(comment.at, at(4));

    let approved = approve(forge, &refreshed, "eve", 5).await.unwrap();
    let mut new_head = content("upf", "two");
    new_head.head = commit_id('d');
    let again = open(forge, &new_head, 6).await;
    assert_eq!(again.verdict, ProposalState::Open, "a new head takes it back too: {:?}", approved.verdict);
    assert_eq!(again.comments.len(), 2);
}

async fn a_rejection_holds_until_the_content_changes(forge: &dyn Forge) {
    open(forge, &content("upf", "one"), 0).await;
    let rejected = forge.decide(1, no("too early"), "eve", "eve@example.com", at(1)).await.unwrap();
    assert_eq!(rejected.verdict, ProposalState::Rejected { by: "eve".into(), at: at(1), reason: "too early".into() });
    let repeated = forge.decide(1, no("too early"), "eve", "eve@example.com", at(2)).await.unwrap();
    assert_eq!(repeated, rejected);
    assert_eq!(open(forge, &content("upf", "one"), 4).await, rejected, "the same is not asked twice");
    let next = open(forge, &content("upf", "two"), 5).await;
    assert_eq!((next.number, &next.verdict), (2, &ProposalState::Open));
    approve(forge, &next, "eve", 6).await.unwrap();
    let regretted = forge.decide(2, no("on second thought"), "adam", "adam@example.com", at(7)).await.unwrap();
    assert_eq!(regretted.verdict.word(), "Rejected", "what is not carried out can be stopped");
}

async fn a_rejection_may_be_taken_back(forge: &dyn Forge) {
    let first = open(forge, &content("upf", "one"), 0).await;
    forge.decide(1, no("too early"), "eve", "eve@example.com", at(1)).await.unwrap();
    let approved = approve(forge, &first, "eve", 2).await.unwrap();
    assert_eq!(approved.verdict.word(), "Approved");
}

async fn an_end_is_an_end(forge: &dyn Forge) {
    let first = open(forge, &content("upf", "one"), 0).await;
    approve(forge, &first, "eve", 1).await.unwrap();
    let done = ProposalState::Done { outcome: "published as v1".into(), at: at(2) };
    let ended = forge.conclude(&claim(), 1, done.clone()).await.unwrap();
    assert_eq!(ended.verdict, done);
    let withdrawn = ProposalState::Withdrawn { reason: "gone".into(), at: at(4) };
    assert_eq!(forge.conclude(&claim(), 1, withdrawn.clone()).await.unwrap(), ended, "it stays as it ended");
    assert!(matches!(forge.decide(1, no("x"), "eve", "", at(4)).await, Err(ForgeError::NotOpen { .. })));
    assert!(matches!(approve(forge, &first, "eve", 5).await, Err(ForgeError::NotOpen { .. })));

    assert_eq!(open(forge, &content("upf", "two"), 6).await.number, 2);
    assert!(matches!(forge.conclude(&claim(), 2, ProposalState::Open).await, Err(ForgeError::NotOpen { .. })));
    assert_eq!(forge.conclude(&claim(), 2, withdrawn.clone()).await.unwrap().verdict, withdrawn);
    assert_eq!(open(forge, &content("upf", "two"), 7).await.number, 3, "what was withdrawn may come back");
}

async fn remarks_stay_in_order(forge: &dyn Forge) {
    open(forge, &content("upf", "one"), 0).await;
    forge.comment(1, "eve", "Why now?", at(1)).await.unwrap();
    let proposal = forge.comment(1, "adam", "Because.", at(2)).await.unwrap();
    let said: Vec<_> = proposal.comments.iter().map(|c| (c.by.as_str(), c.text.as_str(), c.at)).collect();
    assert_eq!(said, [("eve", "Why now?", at(1)), ("adam", "Because.", at(2))]);
    assert_eq!(forge.get(1).await.unwrap(), proposal);
    let huge = forge.comment(1, "eve", &"x".repeat(70_000), at(3)).await.unwrap_err();
    assert_eq!(huge.class(), Class::Invalid, "{huge}");
}

async fn without_a_claim_nothing_is_written(forge: &dyn Forge) {
    let expired = claim_from(Timestamp::now() - hour() - hour());
    let refused = forge.open_or_update(&expired, &content("upf", "one"), None, at(0)).await.unwrap_err();
    assert!(matches!(refused, ForgeError::Git(GitError::Claim(_))), "{refused}");
    assert_eq!(forge.list().await.unwrap(), []);
}

macro_rules! contract {
    ($($case:ident)*) => {
        mod local {
            $(#[tokio::test]
            async fn $case() {
                let world = super::World::new();
                super::$case(&world.forge).await;
                assert_eq!(world.git(&["fsck", "--strict", "--no-dangling"]), "");
            })*
        }
    };
}

contract! {
    one_pending_per_key
    an_approval_is_of_what_was_read
    a_refresh_takes_the_approval_back
    a_rejection_holds_until_the_content_changes
    a_rejection_may_be_taken_back
    an_end_is_an_end
    remarks_stay_in_order
    without_a_claim_nothing_is_written
}

// ---- what is special to proposals as refs ----

#[tokio::test]
async fn git_log_tells_the_story() {
    let world = World::new();
    let forge = &world.forge;
    let mut asked = content("edge/upf", "one");
    asked.title = "Publish\nedge/upf\tnow".into();
    let first = open(forge, &asked, 0).await;
    forge.comment(1, "Eve <x>\nTab", "Looks good", at(1)).await.unwrap();
    approve(forge, &first, "eve", 2).await.unwrap();
    open(forge, &content("edge/upf", "two"), 3).await;
    let end = ProposalState::Withdrawn { reason: "gone".into(), at: at(4) };
    forge.conclude(&claim(), 1, end).await.unwrap();
    let expected = "Open proposal 1|Loggia|loggia@localhost\nComment on proposal 1|Eve x Tab|\n\
                    Approve proposal 1|eve|eve@example.com\nRefresh proposal 1|Loggia|loggia@localhost\n\
                    Withdraw proposal 1|Loggia|loggia@localhost";
    assert_eq!(world.subjects(1), expected);
    let opened = "refs/loggia/proposals/1~4";
    assert_eq!(world.git(&["log", "-1", "--format=%ct", opened]), at(0).as_second().to_string());
    let trailers = world.git(&["log", "-1", "--format=%(trailers:key=Loggia-Plan,valueonly)", opened]);
    assert_eq!(trailers, plan("one").to_string());
    assert_eq!(world.git(&["log", "-1", "--format=%b", opened]).lines().next(), Some("Publish edge/upf now"));
    assert_eq!(world.git(&["ls-tree", "--name-only", opened]), "body.md\nplan.json\nproposal.json");
    let facts: serde_json::Value =
        serde_json::from_str(&world.git(&["show", &format!("{opened}:proposal.json")])).unwrap();
    assert_eq!(facts["verdict"]["state"], "open");
    assert_eq!((facts.get("body"), facts.get("planJson")), (None, None));
    let shown: serde_json::Value = serde_json::from_str(&world.git(&["show", &format!("{opened}:plan.json")])).unwrap();
    assert_eq!(shown, asked.plan_json);
}

#[tokio::test]
async fn unchanged_content_moves_no_ref_and_writes_no_object() {
    let world = World::new();
    open(&world.forge, &content("upf", "one"), 0).await;
    let before = (world.refs(), world.git(&["count-objects"]));
    for second in 1..4 {
        open(&world.forge, &content("upf", "one"), second).await;
        open(&forge_at(&world.path()), &content("upf", "one"), second).await;
    }
    assert_eq!((world.refs(), world.git(&["count-objects"])), before);
}

#[tokio::test]
async fn what_people_write_around_our_part_stays() {
    let world = World::new();
    open(&world.forge, &content("upf", "one"), 0).await;
    world.edit(1, |work| {
        let body = std::fs::read_to_string(work.join("body.md")).unwrap();
        std::fs::write(work.join("body.md"), format!("For the launch.\n\n{body}\n- [x] told support\n")).unwrap();
        std::fs::write(work.join("screenshot.txt"), "kept").unwrap();
    });
    let edited = world.forge.get(1).await.unwrap();
    assert_eq!(open(&world.forge, &content("upf", "one"), 1).await, edited, "the edit alone is no reason to write");
    let refreshed = open(&world.forge, &content("upf", "two"), 2).await;
    approve(&world.forge, &refreshed, "eve", 3).await.unwrap();
    assert_eq!(
        world.git(&["show", "refs/loggia/proposals/1:body.md"]),
        "For the launch.\n\n<!-- loggia:begin -->\nIt would do two.\n<!-- loggia:end -->\n\n- [x] told support"
    );
    assert_eq!(world.git(&["show", "refs/loggia/proposals/1:screenshot.txt"]), "kept");
}

#[test]
fn many_at_once_open_one_proposal() {
    let world = World::new();
    let path = world.path();
    for round in 0..5_u32 {
        let package = format!("upf-{round}");
        let numbers = at_once(4, |_| {
            let forge = forge_at(&path);
            let asked = content(&package, "one");
            block_on(async move { open(&forge, &asked, 0).await.number })
        });
        assert!(numbers.iter().all(|number| *number == u64::from(round) + 1), "{numbers:?}");
        assert_eq!(world.refs().lines().count(), round as usize + 1);
        assert_eq!(world.subjects(u64::from(round) + 1).lines().count(), 1, "the losers had nothing to add");
    }
}

#[test]
fn different_packages_at_once_take_different_numbers() {
    let world = World::new();
    let path = world.path();
    let mut numbers = at_once(6, |thread| {
        let forge = forge_at(&path);
        let asked = content(&format!("upf-{thread}"), "one");
        block_on(async move { open(&forge, &asked, 0).await.number })
    });
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn an_approval_never_survives_a_refresh_that_it_raced_with() {
    for _ in 0..8 {
        let world = World::new();
        let path = world.path();
        let read = block_on(open(&world.forge, &content("upf", "one"), 0));
        at_once(2, |thread| {
            let forge = forge_at(&path);
            let read = read.clone();
            block_on(async move {
                if thread == 0 {
                    // Either order is right; what counts is the end.
                    let _ = approve(&forge, &read, "eve", 1).await;
                } else {
                    open(&forge, &content("upf", "two"), 2).await;
                }
            });
        });
        let end = block_on(world.forge.get(1)).unwrap();
        assert_eq!((end.content.plan, end.verdict), (plan("two"), ProposalState::Open));
    }
}

#[tokio::test]
async fn of_two_pending_the_lower_number_wins() {
    let world = World::new();
    open(&world.forge, &content("upf", "one"), 0).await;
    world.edit(1, |work| {
        let facts = std::fs::read_to_string(work.join("proposal.json")).unwrap();
        std::fs::write(work.join("proposal.json"), facts.replace("\"number\": 1", "\"number\": 2")).unwrap();
    });
    // The edited one becomes number 2, and number 1 goes back to what it was.
    world.git(&["update-ref", "refs/loggia/proposals/2", "refs/loggia/proposals/1"]);
    world.git(&["update-ref", "refs/loggia/proposals/1", "refs/loggia/proposals/1~1"]);
    assert_eq!(open(&world.forge, &content("upf", "one"), 1).await.number, 1);
    let double = world.forge.get(2).await.unwrap();
    let reason = "proposal 1 is about the same package".to_owned();
    assert_eq!(double.verdict, ProposalState::Withdrawn { reason, at: at(1) });
}

#[tokio::test]
async fn damage_is_named_and_stops() {
    let world = World::new();
    open(&world.forge, &content("upf", "one"), 0).await;
    world.edit(1, |work| std::fs::write(work.join("proposal.json"), "{").unwrap());
    let damaged = world.forge.get(1).await.unwrap_err().to_string();
    assert!(damaged.starts_with("proposal 1 is damaged: proposal.json: EOF"), "{damaged}");
    let refused = world.forge.open_or_update(&claim(), &content("upf", "one"), None, at(1)).await;
    assert!(matches!(refused, Err(ForgeError::Damaged { number: 1, .. })), "a second one must not be opened");
    assert_eq!(world.refs().lines().count(), 1);
}

#[tokio::test]
async fn other_refs_are_nobodys_proposal() {
    let world = World::new();
    open(&world.forge, &content("upf", "one"), 0).await;
    for name in ["0", "01", "x", "1x", "7/deep", "+3"] {
        world.git(&["update-ref", &format!("refs/loggia/proposals/{name}"), "refs/loggia/proposals/1"]);
    }
    assert_eq!(world.forge.list().await.unwrap().len(), 1);
    assert_eq!(open(&world.forge, &content("amf", "one"), 1).await.number, 2);
    world.git(&["pack-refs", "--all"]);
    assert_eq!(world.forge.list().await.unwrap().len(), 2, "also after git packed the refs");
}

#[tokio::test]
async fn old_remarks_make_room() {
    let world = World::new();
    open(&world.forge, &content("upf", "one"), 0).await;
    let mut last = world.forge.get(1).await.unwrap();
    for n in 0..203 {
        last = world.forge.comment(1, "eve", &format!("remark {n}"), at(n)).await.unwrap();
    }
    assert_eq!(last.comments.len(), 200);
    assert_eq!(last.comments[0].text, "remark 3");
}

#[tokio::test]
async fn remarks_have_a_size_together() {
    let world = World::new();
    open(&world.forge, &content("upf", "one"), 0).await;
    for n in 0..10 {
        let text = format!("{n}{}", "x".repeat(60 << 10));
        world.forge.comment(1, "eve", &text, at(n)).await.unwrap();
    }
    let held = world.forge.get(1).await.unwrap();
    let bytes: usize = held.comments.iter().map(|comment| comment.text.len()).sum();
    assert!(bytes <= 256 << 10 && held.comments.len() == 4, "{bytes} bytes, {} remarks", held.comments.len());
    assert!(held.comments[3].text.starts_with('9'));
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Runs `act` in `count` threads that start together.
fn at_once<T: Send>(count: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = std::sync::Barrier::new(count);
    std::thread::scope(|scope| {
        let run = |thread| {
            let (start, act) = (&start, &act);
            scope.spawn(move || {
                start.wait();
                act(thread)
            })
        };
        let running: Vec<_> = (0..count).map(run).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_repository_that_is_gone_says_so() {
    let world = World::new();
    let forge = forge_at(&world.path());
    std::fs::remove_dir_all(world.path()).unwrap();
    let error = block_on(forge.list()).unwrap_err();
    assert!(matches!(error, ForgeError::Git(GitError::Open { .. })), "{error}");
    let shown = LocalRepository::open(&world.path()).err().unwrap();
    assert_eq!(shown.class(), Class::Transient);
}

#[test]
fn the_port_is_an_object() {
    let world = World::new();
    let repo: Arc<dyn GitRepository> = Arc::new(LocalRepository::open(&world.path()).unwrap());
    let _: Arc<dyn Forge> = Arc::new(LocalForge::new(repo));
}
