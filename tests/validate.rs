//! `loggia validate` and `loggia render` as an editor's save hook uses them.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/program.rs"]
mod program;

use std::io::{BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};

use program::{Folder, Said};

fn validate(folder: &Folder, package: &Path, more: &[&str]) -> Said {
    Said::of(folder.loggia().arg("validate").arg(package).args(more).output().unwrap())
}

#[test]
fn examples_have_neither_problems_nor_warnings() {
    for name in ["web", "upf", "amf"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo/blueprints").join(name);
        let said = validate(&Folder::new(), &path, &[]).fine();
        assert!(said.err.is_empty(), "{name}: {}", said.err);
    }
}

#[test]
fn schemas_are_errors_and_references_are_warnings() {
    let folder = Folder::new();
    let package = folder.example("web");
    folder.edit("web/service.yaml", "  selector:\n", "  selector:\n    nobody: has-this\n");
    let said = validate(&folder, &package, &["-o", "json"]).fine();
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&told[0]["severity"], &told[0]["code"]), (&"warning".into(), &"ref.no_pods".into()), "{told}");
    folder.edit("web/deployment.yaml", "  replicas:", "  replica:");
    validate(&folder, &package, &[]).failed(&[
        "deployment.yaml:",
        "field not declared in schema",
        "warning: ",
        "service.yaml:",
    ]);
}

#[test]
fn a_folder_with_nothing_to_check_is_told() {
    let folder = Folder::new();
    folder.write("notes.txt", "nothing\n");
    let said = validate(&folder, folder.root(), &[]).fine();
    assert!(said.err.contains("neither a Kptfile nor an intent"), "{}", said.err);
}

#[test]
fn a_full_disk_under_the_output_is_an_error() {
    // Only Linux has such a disk.
    let Ok(full) = std::fs::File::options().write(true).open("/dev/full") else { return };
    let folder = Folder::new();
    let package = folder.example("web");
    let said = folder.loggia().arg("render").arg(&package).stdout(full).stderr(Stdio::piped()).output().unwrap();
    Said::of(said).failed(&["standard output", "No space left"]);
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
        let folder = Folder::new();
        let package = folder.example("web");
        let child =
            folder.loggia().arg(verb).arg("--watch").arg(&package).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut watching = Watching(child.unwrap());
        let mut lines = BufReader::new(watching.0.stderr.take().unwrap()).lines();
        until(&mut lines, "watching");
        std::fs::write(package.join("service.yaml"), "kind: Service\nkind: Service\n").unwrap();
        let seen = until(&mut lines, "kind");
        assert!(seen.iter().any(|line| line.contains("service.yaml:2")), "{verb}: {seen:?}");
        until(&mut lines, "watching");
    }
}

#[test]
fn every_stage_tells_what_it_finds() {
    let folder = Folder::new();
    let package = folder.example("web");
    folder.edit("web/deployment.yaml", "  replicas:", "  replica:");
    folder.edit("web/Kptfile", "  mutators:\n", "  mutators:\n  - image: nosuchfn:v1\n  - image: set-labels:v0.9\n  - exec: ./p\n  - image: kustomize\n  - image: set-labels\n    configPath: gone.yaml\n");
    folder.write("web/broken.yaml", "a: [\n");
    folder.write("web/twice.yaml", &"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: twice\n".repeat(2));
    let words = [
        "Kptfile:",
        "nosuchfn:v1",
        "set-labels:v0.9",
        "--allow-exec",
        "`loggia fn render` runs it",
        "gone.yaml",
        "broken.yaml:",
        "declared twice",
        "field not declared in schema",
    ];
    validate(&folder, &package, &[]).failed(&words);
}
