//! How long a person waits for the first line of `loggia diff` on the example, beside the start of the program alone.
//!
//! `cargo bench --bench first_line` prints medians of 15 runs in milliseconds and their ratio; the goal is under 300
//! ms.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints, and stops at the first surprise"
)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use loggia::app::functions::Functions;
use loggia::app::world::World;
use loggia::config::Config;

/// Milliseconds to the first line that a command prints.
fn first_line(args: &[&str]) -> f64 {
    let start = Instant::now();
    let mut child =
        Command::new(env!("CARGO_BIN_EXE_loggia")).args(args).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
    let child = child.as_mut().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let waited = start.elapsed().as_secs_f64() * 1000.0;
    child.wait().unwrap();
    assert!(!line.is_empty(), "{args:?} printed nothing");
    waited
}

fn median(args: &[&str]) -> f64 {
    let mut all: Vec<f64> = (0..15).map(|_| first_line(args)).collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::start(&dir.path().join("world"), Config::new("bench"), Functions::default()).await.unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo/walkthrough");
    let checkout = dir.path().join("checkout");
    std::fs::create_dir_all(checkout.join("intents")).unwrap();
    std::fs::copy(examples.join("upf-edge.yaml"), checkout.join("intents/upf-edge.yaml")).unwrap();
    let (directory, checkout) = (world.directory.to_str().unwrap().to_owned(), checkout.to_str().unwrap().to_owned());
    let (diff, start) = tokio::task::spawn_blocking(move || {
        (median(&["--data-dir", &directory, "diff", &checkout]), median(&["version"]))
    })
    .await
    .unwrap();
    println!("diff {diff:.0} ms, version {start:.0} ms, ratio {:.1}", diff / start);
    world.stop().await.unwrap();
}
