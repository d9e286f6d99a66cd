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

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use judge::differences;
use kinds::Kinds;
use programs::program;
use run::Court;
use servers::{Embedded, Real, Request};

/// Seeds whose programs once were answered differently: what was wrong then is found again.
const FOUND: &[u64] = &[
    498, 613, 726, 949, 1015, 1551, 1647, 1660, 1924, 2321, 2408, 2540, 2543, 2758, 3027, 4251, 4434, 4437, 4846, 4864,
    1_000_336, 3_000_441, 3_001_575, 3_001_694,
];
/// How many programs from the first seed on run without being asked for more.
const PROGRAMS: u64 = 200;
/// How many programs of new seeds run each time.
const FRESH: u64 = 10;
/// Servers judge so many programs before others take their place: what they remember of the past is not for ever.
const TERM: usize = 300;
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

/// Which programs run. `LOGGIA_SEED=N cargo test --test conformance` runs one again (`N,M` several),
/// `LOGGIA_PROGRAMS=5000` so many from the first (or from `LOGGIA_SEED`) on; without either it is [`FOUND`], the first
/// [`PROGRAMS`], and `LOGGIA_FRESH` (or [`FRESH`]) whose seeds nobody saw before.
fn seeds() -> Vec<u64> {
    let numbers = |name: &str| -> Option<Vec<u64>> {
        Some(std::env::var(name).ok()?.split(',').map(|text| text.parse().unwrap()).collect())
    };
    let number = |name: &str| numbers(name).map(|all| all[0]);
    match (numbers("LOGGIA_SEED"), number("LOGGIA_PROGRAMS")) {
        (Some(seeds), None) => seeds,
        (seeds, Some(count)) => {
            let first = seeds.map_or(0, |seeds| seeds[0]);
            (first..first + count).collect()
        }
        (None, None) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let fresh = number("LOGGIA_FRESH").unwrap_or(FRESH);
            println!("fresh programs: LOGGIA_SEED={now} LOGGIA_PROGRAMS={fresh} cargo test --test conformance");
            FOUND.iter().copied().chain(0..PROGRAMS).chain(now..now + fresh).collect()
        }
    }
}

/// Runs the programs of some seeds on new servers; tells those that are answered differently, small, and how to run
/// each again.
async fn judged(seeds: &[u64], kinds: &Kinds, told: &mut Vec<String>) -> Option<Court> {
    let mut court = Court::open(Real::start().await?, Embedded::start()).await;
    for &seed in seeds {
        let program = program(seed, kinds);
        if let Some(found) = court.run(&program).await {
            println!("answered differently: LOGGIA_SEED={seed} cargo test --test conformance");
            let (small, found) = court.shrink(program, found).await;
            let steps = small.iter().map(|step| format!("{step:?}")).collect::<Vec<_>>().join("\n");
            let (request, lines) = (&found.request, found.lines.join("\n"));
            told.push(format!("LOGGIA_SEED={seed}\n{steps}\nlast: {request}\n{lines}"));
        }
        if told.len() >= TOLD {
            break;
        }
    }
    Some(court)
}

#[tokio::test(flavor = "multi_thread")]
async fn random_programs_are_answered_the_same() {
    let kinds = Kinds::read();
    if recordings::is_wanted() {
        let Some(real) = Real::start().await else { return };
        recordings::write(&mut Court::open(real, Embedded::start()).await, &kinds).await;
        return;
    }
    let (mut failed, mut last) = (Vec::new(), None);
    for seeds in seeds().chunks(TERM) {
        drop(last.take());
        last = judged(seeds, &kinds, &mut failed).await;
    }
    let Some(mut court) = last else { return };
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
