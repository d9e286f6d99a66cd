//! `loggia validate` and `loggia render` as an editor's save hook uses them.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

/// A copy of the example `web`.
fn package(dir: &Path) -> PathBuf {
    let package = dir.join("web");
    std::fs::create_dir(&package).unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo/blueprints/web");
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, package.join(path.file_name().unwrap())).unwrap();
    }
    package
}

fn replace(path: &Path, old: &str, new: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(old), "{old:?} is not in {text}");
    std::fs::write(path, text.replacen(old, new, 1)).unwrap();
}

fn validate(package: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_loggia")).arg("validate").arg(package).args(more).output().unwrap()
}

#[test]
fn examples_have_neither_problems_nor_warnings() {
    for name in ["web", "upf", "amf"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo/blueprints").join(name);
        let output = validate(&path, &[]);
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{name}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn schemas_are_errors_and_references_are_warnings() {
    let dir = tempfile::tempdir().unwrap();
    let package = package(dir.path());
    replace(&package.join("service.yaml"), "  selector:\n", "  selector:\n    nobody: has-this\n");
    let output = validate(&package, &["-o", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told[0]["severity"], &told[0]["code"]), (&"warning".into(), &"ref.no_pods".into()), "{told}");
    replace(&package.join("deployment.yaml"), "  replicas:", "  replica:");
    let output = validate(&package, &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("deployment.yaml:") && text.contains("field not declared in schema"), "{text}");
    assert!(text.contains("warning: ") && text.contains("service.yaml:"), "{text}");
}

/// Stops what it watches when the test ends.
struct Watching(Child);

impl Drop for Watching {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(lines: &mut Lines<BufReader<ChildStderr>>, word: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        let line = lines.next().unwrap_or_else(|| unreachable!("it ended after {seen:?}")).unwrap();
        seen.push(line);
        if seen.last().unwrap().contains(word) {
            return seen;
        }
    }
}

#[test]
fn watching_checks_again_after_a_change() {
    for verb in ["validate", "render"] {
        let dir = tempfile::tempdir().unwrap();
        let package = package(dir.path());
        let mut command = Command::new(env!("CARGO_BIN_EXE_loggia"));
        let child = command.arg(verb).arg("--watch").arg(&package).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut watching = Watching(child.unwrap());
        let mut lines = BufReader::new(watching.0.stderr.take().unwrap()).lines();
        until(&mut lines, "watching");
        std::fs::write(package.join("service.yaml"), "kind: Service\nkind: Service\n").unwrap();
        let seen = until(&mut lines, "kind");
        assert!(seen.iter().any(|line| line.contains("service.yaml:2")), "{verb}: {seen:?}");
        until(&mut lines, "watching");
    }
}
