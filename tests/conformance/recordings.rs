//! What the real server said to a chosen set of programs and requests: `cargo test` alone judges by it.
//!
//! `LOGGIA_RECORD=1 cargo test --test conformance` with the real server at hand writes them anew.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::FOUND;
use crate::judge::compare_recorded;
use crate::kinds::Kinds;
use crate::programs::{Step, program};
use crate::run::{Court, Play, thing};
use crate::servers::Embedded;

/// Seeds among which programs are chosen.
const SEEDS: u64 = 700;
/// Most bytes of all recorded programs.
const MOST: usize = 1_500_000;
/// How much that was not seen before a program must show to be recorded.
const NEWS: usize = 3;

/// A program with the answers of the real server, normalised.
#[derive(Debug, Serialize, Deserialize)]
struct Recorded {
    seed: u64,
    steps: Vec<Step>,
    answers: Vec<Value>,
}

fn place() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/recordings/programs.jsonl")
}

pub(crate) fn is_wanted() -> bool {
    std::env::var_os("LOGGIA_RECORD").is_some()
}

fn recorded() -> Vec<Recorded> {
    let text = std::fs::read_to_string(place()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What an answer shows: the kind of request, the outcome and what is wrong.
fn shown(step: &Step, answer: &Value) -> Vec<String> {
    let resource = step.path.split('/').find(|part| part.ends_with('s') && *part != "apis" && *part != "namespaces");
    let names = step.query.iter().map(|query| query.split('=').next().unwrap()).collect::<Vec<_>>().join("&");
    let way = format!("{} {}?{names}", step.method, step.part);
    let reason = answer.pointer("/body/reason").and_then(Value::as_str).unwrap_or_default();
    let resource = resource.unwrap_or_default();
    let causes = answer.pointer("/body/details/causes").and_then(Value::as_array).into_iter().flatten();
    let causes = causes.map(|cause| format!("{resource} {} {}", cause["field"], cause["reason"]));
    let outcome = [format!("{resource} {} {} {reason}", step.method, step.part), format!("{way} {}", answer["code"])];
    outcome.into_iter().chain(causes).collect()
}

/// Writes the recordings anew. Programs that the servers answer differently are left to the test that compares them.
pub(crate) async fn write(court: &mut Court, kinds: &Kinds) {
    let (mut seen, mut text) = (BTreeSet::new(), String::new());
    for seed in FOUND.iter().copied().chain(0..SEEDS) {
        let steps = program(seed, kinds);
        let namespace = court.namespace();
        let mut ours = Play::on_ours(&court.ours, &namespace).await;
        let mut real = Play::on_real(&court.real, &namespace).await;
        let (mut answers, mut same) = (Vec::new(), true);
        for step in &steps {
            let expected = ours.record(step, 0).await;
            let events = expected["body"].as_array().map_or(0, Vec::len);
            let answer = real.record(step, events).await;
            same &= compare_recorded(&answer, &expected).is_empty();
            answers.push(answer);
        }
        let news: BTreeSet<String> =
            steps.iter().zip(&answers).flat_map(|(step, answer)| shown(step, answer)).collect();
        if !same || (!FOUND.contains(&seed) && news.difference(&seen).count() < NEWS) {
            continue;
        }
        let line = serde_json::to_string(&Recorded { seed, steps, answers }).unwrap();
        if text.len() + line.len() < MOST {
            seen.extend(news);
            text.push_str(&line);
            text.push('\n');
        }
    }
    std::fs::create_dir_all(place().parent().unwrap()).unwrap();
    std::fs::write(place(), text).unwrap();
}

async fn differences_of(mut play: Play<'_>, recorded: &Recorded) -> Option<String> {
    for (step, answer) in recorded.steps.iter().zip(&recorded.answers) {
        let events = answer["body"].as_array().map_or(0, Vec::len);
        let lines = compare_recorded(answer, &play.record(step, events).await);
        if !lines.is_empty() {
            return Some(format!("recorded seed {}\n{step:?}\n{}", recorded.seed, lines.join("\n")));
        }
    }
    None
}

/// Where our answers differ from the recorded ones.
pub(crate) async fn replay() -> Vec<String> {
    let ours = Embedded::start();
    assert_eq!(ours.ask(&thing()).await.code, 201);
    let mut found = Vec::new();
    for (index, recorded) in recorded().iter().enumerate() {
        let play = Play::on_ours(&ours, &format!("run-{index:05}")).await;
        found.extend(differences_of(play, recorded).await);
    }
    found
}

/// Where the real server's answers differ from the recorded ones.
pub(crate) async fn stale(court: &mut Court) -> Vec<String> {
    let mut found = Vec::new();
    for recorded in recorded() {
        let namespace = court.namespace();
        let play = Play::on_real(&court.real, &namespace).await;
        found.extend(differences_of(play, &recorded).await);
    }
    found
}
