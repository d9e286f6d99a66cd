//! The same requests to the real API server and to ours; the answers must be the same but for identities and times.
//!
//! Looks for etcd and kube-apiserver in the directory that `LOGGIA_KUBE_ASSETS` names.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise and says what it did not run"
)]

#[path = "../support/dice.rs"]
mod dice;
mod judge;
mod kinds;
mod programs;
mod recordings;
mod run;
mod servers;

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use judge::differences;
use kinds::Kinds;
use programs::program;
use run::Court;
use servers::{Embedded, Real, Request};

/// How many programs of fixed seeds run without being asked for more by `LOGGIA_PROGRAMS`.
const PROGRAMS: u64 = 250;
/// Seeds that fail are told up to this many; more of them would say the same.
const TOLD: usize = 12;

/// Requests are paragraphs: `METHOD path`, then the body.
fn requests() -> Vec<Request> {
    let paragraphs = include_str!("requests.txt").split("\n\n").map(str::trim);
    let paragraphs = paragraphs.filter(|paragraph| !paragraph.is_empty() && !paragraph.starts_with('#'));
    let request = |paragraph: &'static str| {
        let (line, body) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let (method, path) = line.split_once(' ').unwrap();
        Request { method: method.to_owned(), path: path.to_owned(), body: body.to_owned() }
    };
    paragraphs.map(request).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_server_answers_the_same() {
    let Some(real) = Real::start().await else { return };
    let ours = Embedded::start();
    let mut found = Vec::new();
    for request in requests() {
        let lines = differences(&request, &real.ask(&request).await, &ours.ask(&request).await);
        if !lines.is_empty() {
            found.push(format!("{request}\n{}", lines.join("\n")));
        }
        // CRDs of the real server are served a moment later.
        if request.path.contains("customresourcedefinitions") {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    }
    assert!(found.is_empty(), "{} of {} answers differ:\n{}", found.len(), requests().len(), found.join("\n\n"));
}

/// `LOGGIA_SEED=N cargo test --test conformance` runs one program again, `LOGGIA_PROGRAMS=5000` many, `LOGGIA_FRESH=100` so
/// many whose seeds nobody saw before. They are looked for by hand as long as some of them find differences.
fn seeds() -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(fresh) = number("LOGGIA_FRESH") {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        println!("fresh programs: LOGGIA_SEED={now} LOGGIA_PROGRAMS={fresh}");
        return now..now + fresh;
    }
    match (number("LOGGIA_SEED"), number("LOGGIA_PROGRAMS")) {
        (Some(seed), count) => seed..seed + count.unwrap_or(1),
        (None, count) => 0..count.unwrap_or(PROGRAMS),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn random_programs_are_answered_the_same() {
    let Some(real) = Real::start().await else { return };
    let mut court = Court::open(real, Embedded::start()).await;
    let kinds = Kinds::read();
    if recordings::is_wanted() {
        recordings::write(&mut court, &kinds).await;
        return;
    }
    let mut failed = Vec::new();
    for seed in seeds() {
        let program = program(seed, &kinds);
        if let Some(found) = court.run(&program).await {
            let (small, found) = court.shrink(program, found).await;
            let steps = small.iter().map(|step| format!("{step:?}")).collect::<Vec<_>>().join("\n");
            let (request, lines) = (&found.request, found.lines.join("\n"));
            failed.push(format!("LOGGIA_SEED={seed}\n{steps}\nlast: {request}\n{lines}"));
        }
        if failed.len() >= TOLD {
            break;
        }
    }
    assert!(failed.is_empty(), "{} programs are answered differently:\n\n{}", failed.len(), failed.join("\n\n"));
    let stale = recordings::stale(&mut court).await;
    assert!(stale.is_empty(), "{} recordings are out of date:\n\n{}", stale.len(), stale.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_programs_are_answered_the_same() {
    if recordings::is_wanted() {
        return;
    }
    let found = recordings::replay().await;
    assert!(found.is_empty(), "{} recordings are answered differently:\n\n{}", found.len(), found.join("\n\n"));
}
