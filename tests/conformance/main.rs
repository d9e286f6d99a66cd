//! The same requests to the real API server and to ours; the answers must be the same but for identities and times.
//!
//! Looks for etcd and kube-apiserver in the directory that `LOGGIA_KUBE_ASSETS` names.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise and says what it did not run"
)]

mod judge;
mod servers;

use std::time::Duration;

use judge::differences;
use servers::{Embedded, Real, Request};

/// Requests are paragraphs: `METHOD path`, then the body.
fn requests() -> Vec<Request> {
    let paragraphs = include_str!("requests.txt").split("\n\n").map(str::trim);
    let paragraphs = paragraphs.filter(|paragraph| !paragraph.is_empty() && !paragraph.starts_with('#'));
    let request = |paragraph: &'static str| {
        let (line, body) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let (method, path) = line.split_once(' ').unwrap();
        Request { method, path: path.to_owned(), body: body.to_owned() }
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
