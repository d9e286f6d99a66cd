//! `up` and `demo` as a person runs them: the executable, git, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn loggia(directory: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loggia")).arg("--data-dir").arg(directory).args(args).output().unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn the_demo_holds_by_approval_and_by_git_merge() {
    let runs: Vec<_> = [&["demo"][..], &["demo", "--merge-with-git"]]
        .into_iter()
        .map(|args| {
            std::thread::spawn(move || {
                let dir = tempfile::tempdir().unwrap();
                loggia(dir.path(), args)
            })
        })
        .collect();
    for run in runs {
        let output = run.join().unwrap();
        let told = text(&output);
        assert!(output.status.success() && told.contains("demo: 10 steps held, 0 failed"), "{told}");
    }
}

#[test]
fn a_world_is_the_same_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let up = || {
        let output = loggia(dir.path(), &["up", "--once", "-o", "json"]);
        assert!(output.status.success(), "{}", text(&output));
        assert!(text(&output).contains("settled"), "{}", text(&output));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let first = up();
    let refs = |name: &str| {
        let path = first["repositories"][name].as_str().unwrap();
        let output = Command::new("git").args(["for-each-ref"]).current_dir(path).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let before: Vec<String> = ["intents", "blueprints", "deployments"].map(refs).to_vec();
    assert!(before[1].contains("refs/tags/upf/v1"), "{before:?}");
    assert_eq!(up(), first, "the same ports, the same places");
    assert_eq!(["intents", "blueprints", "deployments"].map(refs).to_vec(), before);
}

#[test]
fn a_directory_that_is_no_world_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("repositories")).unwrap();
    let output = loggia(dir.path(), &["up", "--once"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).contains("is not empty and not a world of Loggia"), "{}", text(&output));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

/// A process of ours that is killed when the test ends.
struct Child(std::process::Child);

impl Child {
    /// Starts it, and gives the first URL that it prints.
    fn start(args: &[&str]) -> (Self, String) {
        use std::io::{BufRead as _, BufReader};
        let mut command = Command::new(env!("CARGO_BIN_EXE_loggia"));
        let mut child = command.args(args).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = |line: String| line.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned);
        let found = lines.map_while(Result::ok).find_map(url).unwrap();
        (Self(child), found)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_controller_is_ready_while_its_api_server_answers() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let (api, _) = Child::start(&["apiserver", "--token", "secret", "--kubeconfig-out", &at("kubeconfig")]);
    let (_controller, url) = Child::start(&[
        "controller",
        "--listen",
        "127.0.0.1:0",
        "--kubeconfig",
        &at("kubeconfig"),
        "--data-dir",
        &at("d"),
    ]);
    // Plain HTTP, but the client wants to know who would do TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let becomes = |code: u16| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        while reqwest::blocking::get(format!("{url}/readyz")).unwrap().status() != code {
            assert!(std::time::Instant::now() < deadline, "/readyz never says {code}");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    };
    becomes(200);
    drop(api);
    becomes(503);
}
