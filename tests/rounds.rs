//! Rounds one by one: what a Sync may do on which target, whoever agreed to what, and whatever does not answer.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/bench.rs"]
mod bench;
#[path = "support/git.rs"]
mod git;

use bench::{Bench, DEPLOYMENT, config, sync};
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
