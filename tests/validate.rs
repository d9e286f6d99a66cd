//! `loggia validate` and `loggia render` as an editor's save hook uses them.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/program.rs"]
mod program;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use loggia::app::packages::fetch;
use loggia::domain::package::reference::Location;
use loggia::domain::package::{Catalog, RenderError, Rendered, render};
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
fn a_folder_without_a_kptfile_says_how_it_is_read() {
    let folder = Folder::new();
    folder.write("map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\n");
    validate(&folder, folder.root(), &[]).failed(&["without a Kptfile it is read as a folder of intents"]);
}

#[test]
fn a_package_has_one_inventory_and_one_kptfile() {
    let folder = Folder::new();
    let kptfile = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: p\n";
    folder.write("p/Kptfile", kptfile);
    let group = "apiVersion: kpt.dev/v1alpha1\nkind: ResourceGroup\nmetadata:\n  name: g\n  namespace: n\n  labels:\n    \
                 cli-utils.sigs.k8s.io/inventory-id: one\n";
    folder.write("p/resourcegroup.yaml", group);
    let said = validate(&folder, &folder.path("p"), &[]).fine();
    assert_eq!(said.err, "", "an inventory has no schema to be checked by");
    folder.write("p/Kptfile", &format!("{kptfile}inventory:\n  namespace: n\n  name: i\n  inventoryID: two\n"));
    validate(&folder, &folder.path("p"), &[]).failed(&["resourcegroup.yaml:7", "has an inventory in Kptfile:8, too"]);
    folder.write("q/Kptfile", &format!("{kptfile}---\n{kptfile}"));
    validate(&folder, &folder.path("q"), &[]).failed(&["Kptfile:6: the Kptfile holds more than one document"]);
    let said = Said::of(folder.loggia().args(["fn", "render", "q"]).output().unwrap());
    said.failed(&["the Kptfile holds more than one document"]);
}

fn git(folder: &Folder, place: &str, args: &[&str]) {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]).args(args);
    git.current_dir(folder.path(place)).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    let said = git.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

/// What is rendered of a commit, as the controller reads it.
fn of_commit(folder: &Folder, place: &str) -> Result<Rendered, RenderError> {
    git(folder, place, &["add", "-A"]);
    git(folder, place, &["commit", "-qm", "one"]);
    let repo = format!("file://{}", folder.path(place).display());
    let location = Location { repo, directory: String::new(), reference: Some("main".to_owned()) };
    render(&fetch(&location, &folder.path("cache"), None).unwrap().tree, &Catalog)
}

#[test]
fn hidden_folders_are_read_as_the_controller_reads_them() {
    let folder = Folder::new();
    let package = folder.example("web");
    git(&folder, "web", &["init", "-q"]);
    folder.write("web/.github/ci.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ci\ndata: {a: b}\n");
    let rendered = of_commit(&folder, "web").unwrap();
    let names: String = rendered.objects.iter().map(|object| format!("{}\n", object.object.id())).collect();
    assert!(names.contains("ci"), "{names}");
    let loggia = |args: &[&str]| Said::of(folder.loggia().args(args).output().unwrap());
    let place = package.to_str().unwrap();
    assert_eq!(loggia(&["render", place, "-o", "name"]).fine().out, names);
    let said = validate(&folder, &package, &[]).fine();
    assert!(said.out.contains(&format!("{} objects", rendered.objects.len())), "{}", said.out);
    loggia(&["fn", "render", place, "-o", "rendered"]).fine();
    let written = rendered.tree.get(".github/ci.yaml").unwrap();
    assert_eq!(folder.read("rendered/.github/ci.yaml").as_bytes(), &*written.bytes);
    assert!(!folder.path("rendered/.git").exists());

    folder.write("web/.github/ci.yaml", "on: push\n");
    let told = of_commit(&folder, "web").unwrap_err().to_string();
    assert!(told.contains(".github/ci.yaml:1") && told.contains("[k8s."), "{told}");
    let code = told.rsplit('[').next().unwrap();
    for args in [&["render", place][..], &["validate", place], &["fn", "render", place]] {
        loggia(args).failed(&[".github/ci.yaml:1", code.trim_end()]);
    }
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

fn until(lines: &Receiver<String>, word: &str) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut seen = Vec::new();
    loop {
        let line = lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        seen.push(line.unwrap_or_else(|error| unreachable!("{error}: no {word:?} after {seen:?}")));
        if seen.last().unwrap().contains(word) {
            return seen;
        }
    }
}

/// What somebody says, line by line, as it comes.
fn lines(said: ChildStderr) -> Receiver<String> {
    let (tell, told) = channel();
    std::thread::spawn(move || BufReader::new(said).lines().map_while(Result::ok).all(|line| tell.send(line).is_ok()));
    told
}

#[test]
fn watching_checks_again_after_a_change() {
    for verb in ["validate", "render"] {
        let folder = Folder::new();
        let package = folder.example("web");
        let child =
            folder.loggia().arg(verb).arg("--watch").arg(&package).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut watching = Watching(child.unwrap());
        let lines = lines(watching.0.stderr.take().unwrap());
        until(&lines, "watching");
        std::fs::write(package.join("service.yaml"), "kind: Service\nkind: Service\n").unwrap();
        let seen = until(&lines, "kind");
        assert!(seen.iter().any(|line| line.contains("service.yaml:2")), "{verb}: {seen:?}");
        until(&lines, "watching");
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
