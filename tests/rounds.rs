//! Rounds one by one: what a Sync may do on which target, whoever agreed to what, and whatever does not answer.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/bench.rs"]
mod bench;
#[path = "support/git.rs"]
mod git;

use bench::{Bench, DEPLOYMENT, config, sync};
use loggia::domain::id::{Digest, NamespacedName};
use loggia::domain::intent::Sync;
use loggia::engine::Outcome;
use loggia::engine::propose::Asked;
use loggia::ports::forge::ProposalState;
use serde_json::json;

async fn waits(bench: &Bench, sync: &Sync) -> u64 {
    let round = bench.rounds(sync).await;
    let Asked::Waiting { number, .. } = round.asked else { unreachable!("nobody is asked: {round:#?}") };
    number
}

async fn leaves(bench: &Bench) {
    for revision in bench.revisions().await.iter().filter(|revision| revision.revision > 0) {
        bench.packages().propose_deletion(None, revision).await.unwrap();
    }
}

/// Who agreed to a deletion on the targets that answered has not seen what goes on the one that did not.
#[tokio::test]
async fn a_deletion_that_was_agreed_to_on_one_target_is_asked_for_again_on_another() {
    let mut bench = Bench::new().await;
    let sync = sync("upf", &json!({}));
    bench.publish(1, &[&config("one")]);
    bench.settled(&sync).await;
    leaves(&bench).await;
    bench.answers("b", false);
    let number = waits(&bench, &sync).await;
    bench.approve(number).await;
    bench.answers("b", true);
    let again = waits(&bench, &sync).await;
    assert_eq!(bench.says("b").await, "one", "nobody saw that it goes");
    bench.approve(again).await;
    assert!(bench.round(&sync).await.unwrap().gone);
    assert_eq!((bench.says("a").await, bench.says("b").await), (String::new(), String::new()));
}

/// What was agreed to goes on while another target is silent; the package stays until that one is dealt with.
#[tokio::test]
async fn a_deletion_that_was_agreed_to_goes_on_where_it_can() {
    let mut bench = Bench::new().await;
    let sync = sync("upf", &json!({}));
    bench.publish(1, &[&config("one")]);
    bench.settled(&sync).await;
    leaves(&bench).await;
    let number = waits(&bench, &sync).await;
    bench.approve(number).await;
    bench.answers("b", false);
    let round = bench.round(&sync).await.unwrap();
    assert!(!round.gone, "{round:#?}");
    assert_eq!((bench.says("a").await, bench.says("b").await), (String::new(), "one".to_owned()));
    bench.answers("b", true);
    assert!(bench.round(&sync).await.unwrap().gone, "the rest of what was agreed to needs no new approval");
    assert_eq!(bench.says("b").await, "");
}

/// A look that fails is no proof: the next wave waits for the target that has begun.
#[tokio::test]
async fn a_silent_canary_keeps_the_next_wave_closed() {
    let mut bench = Bench::new().await;
    let sync = sync("upf", &json!({}));
    bench.publish(1, &[&config("one")]);
    bench.settled(&sync).await;
    bench.publish(2, &[&config("two")]);
    bench.round(&sync).await.unwrap();
    assert_eq!((bench.says("a").await, bench.says("b").await), ("two".to_owned(), "one".to_owned()));
    bench.answers("a", false);
    let round = bench.rounds(&sync).await;
    assert_eq!(bench.says("b").await, "one", "{round:#?}");
    bench.answers("a", true);
    bench.settled(&sync).await;
    assert_eq!(bench.says("b").await, "two");
}

/// A target that never began holds nobody up.
#[tokio::test]
async fn a_canary_that_was_never_there_is_left_out() {
    let mut bench = Bench::new().await;
    let sync = sync("upf", &json!({}));
    bench.answers("a", false);
    bench.publish(1, &[&config("one")]);
    bench.rounds(&sync).await;
    assert_eq!((bench.says("a").await, bench.says("b").await), (String::new(), "one".to_owned()));
}

/// What has nothing to go back to is told once, not each time it is looked at.
#[tokio::test]
async fn a_failure_without_a_way_back_is_recorded_once() {
    let bench = Bench::new().await;
    let sync = sync("upf", &json!({}));
    bench.publish(1, &[DEPLOYMENT]);
    bench.rounds(&sync).await;
    for _ in 0..5 {
        bench.pass(61);
        let round = bench.rounds(&sync).await;
        assert!(round.rollout.blocked.iter().any(|line| line.contains("a: not healthy")), "{round:#?}");
    }
    let failed: Vec<_> =
        bench.state("upf").await.history.into_iter().filter(|record| record.event == "failed").collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
}

/// A rollback that broke off after it was noted is carried out, also where drift is only told.
#[tokio::test]
async fn a_rollback_that_broke_off_is_finished_although_drift_is_only_reported() {
    let bench = Bench::new().await;
    let sync = sync("upf", &json!({"drift": "report"}));
    bench.publish(1, &[&config("one")]);
    bench.settled(&sync).await;
    bench.publish(2, &[&config("two"), DEPLOYMENT]);
    bench.rounds(&sync).await;
    assert_eq!((bench.says("a").await, bench.has_deployment("a").await), ("two".to_owned(), true));
    bench.pass(61);
    bench.loses_rollback();
    assert!(bench.round(&sync).await.is_err());
    assert_eq!(bench.says("a").await, "two", "it was killed before it wrote");
    let round = bench.rounds(&sync).await;
    assert_eq!((bench.says("a").await, bench.has_deployment("a").await), ("one".to_owned(), false), "{round:#?}");
    let events: Vec<_> = bench.state("upf").await.history.into_iter().map(|record| record.event).collect();
    assert!(events.contains(&"rolled back".to_owned()), "{events:?}");
}

/// `rollback: manual` means that nothing moves: neither what is on the targets nor a draft.
#[tokio::test]
async fn a_manual_rollback_is_left_to_people() {
    let bench = Bench::new().await;
    let sync = sync("upf", &json!({"rollback": {"mode": "manual"}}));
    bench.publish(1, &[&config("one")]);
    bench.settled(&sync).await;
    bench.publish(2, &[&config("two"), DEPLOYMENT]);
    bench.rounds(&sync).await;
    bench.pass(61);
    for _ in 0..3 {
        let round = bench.rounds(&sync).await;
        assert_eq!(bench.says("a").await, "two", "{round:#?}");
        assert!(matches!(&round.outcome, Outcome::Blocked { reason } if reason.contains("manual")), "{round:#?}");
    }
    assert_eq!(bench.says("b").await, "one");
    assert!(!bench.refs().contains("revert"), "{}", bench.refs());
    // What others change where the good set runs is still set back.
    let good = bench.state("upf").await.units;
    let b = &good.iter().find(|(name, _)| name.as_str() == "b").unwrap().1;
    assert_eq!(b.current.as_ref().map(|current| current.revision), Some(1));
}

/// Who asked for a revision by its number gets no draft of another one.
#[tokio::test]
async fn a_pinned_revision_that_fails_is_not_reverted_in_git() {
    let bench = Bench::new().await;
    bench.publish(1, &[&config("one")]);
    let pinned = |revision: &str| {
        sync("upf", &json!({"package": {"repository": "deployments", "name": "upf", "revision": revision}}))
    };
    bench.settled(&pinned("v1")).await;
    bench.publish(2, &[&config("two"), DEPLOYMENT]);
    bench.rounds(&pinned("v2")).await;
    bench.pass(61);
    for _ in 0..3 {
        bench.rounds(&pinned("v2")).await;
        assert_eq!(bench.says("a").await, "one");
    }
    assert!(!bench.refs().contains("revert"), "{}", bench.refs());
}

/// A revert that a person turned down and deleted stays away.
#[tokio::test]
async fn a_revert_that_was_turned_down_does_not_come_back() {
    let bench = Bench::new().await;
    let asking = sync("upf", &json!({"approval": {"mode": "required"}}));
    let automatic = sync("upf", &json!({}));
    bench.publish(1, &[&config("one")]);
    bench.settled(&automatic).await;
    bench.publish(2, &[&config("two"), DEPLOYMENT]);
    bench.rounds(&automatic).await;
    bench.pass(61);
    let number = waits(&bench, &asking).await;
    assert!(bench.refs().contains("proposed/upf/revert-v2"), "{}", bench.refs());
    bench.reject(number).await;
    bench.rounds(&asking).await;
    let draft = bench.revisions().await.into_iter().find(|revision| revision.workspace.as_str() == "revert-v2");
    bench.packages().delete(None, &draft.unwrap(), false).await.unwrap();
    for _ in 0..3 {
        bench.rounds(&asking).await;
        assert!(!bench.refs().contains("revert"), "{}", bench.refs());
    }
    assert_eq!(bench.says("a").await, "one");
}

/// While a Sync is suspended, nobody is asked about its deletion, and nothing goes.
#[tokio::test]
async fn a_suspended_sync_neither_asks_for_its_deletion_nor_prunes() {
    let bench = Bench::new().await;
    let (active, suspended) = (sync("upf", &json!({})), sync("upf", &json!({"suspend": true})));
    bench.publish(1, &[&config("one")]);
    bench.settled(&active).await;
    leaves(&bench).await;
    let round = bench.round(&suspended).await.unwrap();
    assert_eq!(round.outcome, Outcome::Blocked { reason: "suspended".to_owned() });
    assert_eq!(bench.proposals().await.len(), 0);
    let number = waits(&bench, &active).await;
    bench.approve(number).await;
    let round = bench.round(&suspended).await.unwrap();
    assert!(!round.gone);
    assert_eq!((bench.says("a").await, bench.says("b").await), ("one".to_owned(), "one".to_owned()));
    assert!(bench.round(&active).await.unwrap().gone);
}

/// What people agreed to for one Sync neither counts for another nor hides what they agreed to for that one.
#[tokio::test]
async fn an_approval_of_another_sync_on_the_same_target_hides_nothing() {
    let bench = Bench::new().await;
    bench.publish(1, &[&config("one")]);
    bench.settled(&sync("upf", &json!({}))).await;
    let shrunk = sync("upf", &json!({"targets": {"names": ["a"]}}));
    let number = waits(&bench, &shrunk).await;
    bench.approve(number).await;
    let package = json!({"repository": "deployments", "name": "amf"});
    let other = sync("amf", &json!({"package": package, "approval": {"mode": "required"}, "targets": {}}));
    bench.publish_as("amf", 1, &[&config("other").replace("name: upf", "name: amf")]);
    let number = waits(&bench, &other).await;
    bench.approve(number).await;
    bench.settled(&other).await;
    bench.settled(&shrunk).await;
    assert_eq!((bench.says("a").await, bench.says("b").await), ("one".to_owned(), String::new()));
    assert_eq!(bench.proposals().await.len(), 2, "nobody is asked again");
}

/// Of two Syncs of one package the younger one is refused: there is one proposal, and nobody takes it from the other.
#[tokio::test]
async fn a_second_sync_of_a_package_is_refused_and_leaves_the_proposal_alone() {
    let mut bench = Bench::new().await;
    let of = |name: &str, target: &str, created: &str| {
        let mut sync = sync(name, &json!({"approval": {"mode": "required"}, "targets": {"names": [target]}}));
        sync.metadata.creation_timestamp = Some(serde_json::from_value(json!(created)).unwrap());
        sync
    };
    let (first, second) = (of("z", "a", "2026-01-01T00:00:00Z"), of("b", "b", "2026-01-02T00:00:00Z"));
    bench.has(&[&second, &first]);
    bench.publish(1, &[&config("one")]);
    let number = waits(&bench, &first).await;
    let plan = bench.proposals().await[0].content.plan.clone();
    let round = bench.round(&second).await.unwrap();
    assert!(matches!(&round.outcome, Outcome::Blocked { reason } if reason.contains("Sync default/z")), "{round:#?}");
    bench.round(&first).await.unwrap();
    let proposals = bench.proposals().await;
    assert_eq!((proposals.len(), &proposals[0].content.plan), (1, &plan));
    assert_eq!(proposals[0].verdict, ProposalState::Open);
    bench.approve(number).await;
    bench.settled(&first).await;
    assert_eq!((bench.says("a").await, bench.says("b").await), ("one".to_owned(), String::new()));
    // When the first one goes, the package is free.
    bench.has(&[&second]);
    waits(&bench, &second).await;
}

/// The same package name in another repository, or in another directory of it, is another package.
#[tokio::test]
async fn a_package_of_the_same_name_elsewhere_is_another_one() {
    let mut bench = Bench::new().await;
    let key = bench.world.repositories.keys().next().unwrap().clone();
    let mut elsewhere = bench.world.repositories[&key].clone();
    elsewhere.metadata.name = Some("others".to_owned());
    elsewhere.spec.git.as_mut().unwrap().directory = "others".to_owned();
    bench.world.repositories.insert(NamespacedName { name: "others".to_owned(), ..key }, elsewhere);
    let mine = sync("b", &json!({}));
    let other = sync("a", &json!({"package": {"repository": "others", "name": "upf"}}));
    bench.has(&[&mine, &other]);
    assert_eq!(bench.world.taken_by(&mine), None);
    let same = sync("a", &json!({}));
    bench.has(&[&mine, &same]);
    assert_eq!(bench.world.taken_by(&mine).map(|by| by.name), Some("a".to_owned()));
}

/// How often something was written to a target, by the history.
async fn written(bench: &Bench, target: &str) -> usize {
    let history = bench.state("upf").await.history;
    let is_write = |event: &str| matches!(event, "applied" | "drift corrected");
    history
        .iter()
        .filter(|record| is_write(&record.event) && record.target.as_ref().is_some_and(|t| t.as_str() == target))
        .count()
}

/// A target on which something changes each time what was applied is written ever more rarely, is told of, and holds
/// nobody up.
#[tokio::test]
async fn a_target_that_does_not_stay_as_it_was_made_is_written_ever_more_rarely() {
    let bench = Bench::new().await;
    let sync = sync("upf", &json!({}));
    bench.publish(1, &[&config("one")]);
    for _ in 0..600 {
        bench.round(&sync).await.unwrap();
        if bench.says("a").await == "one" {
            bench.meddles("a", "other").await;
        }
        bench.pass(1);
    }
    let times = written(&bench, "a").await;
    assert!((7..=11).contains(&times), "{times} times in ten minutes");
    assert_eq!(bench.says("b").await, "one", "the next wave came");
    let round = bench.rounds(&sync).await;
    let row = round.rollout.targets.iter().find(|row| row.target.as_str() == "a").unwrap();
    assert!(row.message.contains("does not stay so") && row.message.contains("spec.ignore"), "{round:#?}");

    bench.pass(400);
    bench.settled(&sync).await;
    assert_eq!(bench.says("a").await, "one", "when it is left alone it is as it was declared");
}

/// A person's change is taken back within a second, however often they try.
#[tokio::test]
async fn a_change_by_hand_is_taken_back_soon() {
    let bench = Bench::new().await;
    let sync = sync("upf", &json!({}));
    bench.publish(1, &[&config("one")]);
    bench.settled(&sync).await;
    for _ in 0..5 {
        bench.pass(120);
        bench.meddles("a", "other").await;
        bench.rounds(&sync).await;
        assert_eq!(bench.says("a").await, "one");
    }
}

/// What a person wants is not lost because the controller writes much, and is told when it cannot be written.
#[tokio::test]
async fn a_hold_is_written_although_others_write_too() {
    let bench = Bench::new().await;
    let sync = sync("upf", &json!({}));
    bench.publish(1, &[&config("one")]);
    bench.settled(&sync).await;
    let name = NamespacedName { namespace: "default".to_owned(), name: "upf".to_owned() };
    for (times, held) in [(5, true), (50, false)] {
        let digest = Digest::of(format!("{times}").as_bytes());
        bench.contends(times);
        let done = bench.engine.hold(&name, &digest, "no", "a person").await;
        let error = done.map_err(|error| error.to_string()).err();
        assert_eq!(error, (!held).then(|| "state of default/upf changed since it was read".to_owned()));
        bench.contends(0);
        assert_eq!(bench.state("upf").await.holds.contains_key(&digest), held, "{times}");
    }
}
