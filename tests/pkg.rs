//! The life of a package with the real program and real git: get, update, diff, tree, init.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says what it did not run"
)]

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use git::git;
use program::{Folder, Said};

#[path = "support/certificate.rs"]
mod certificate;
#[path = "support/git.rs"]
mod git;
#[path = "support/git_server.rs"]
mod git_server;
#[path = "support/program.rs"]
mod program;
#[path = "support/tls.rs"]
mod tls;

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 1
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      containers:
      - name: web
        image: web:1 # the program
";

/// A blueprint repository with a checkout of it, and a place to work in.
struct World(Folder);

impl Deref for World {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.0
    }
}

impl World {
    /// `web` is published as `v1.0.0` and `web/v1`; `v1.1.0` and `web/v2` bring a new image and a file.
    fn new() -> Self {
        let world = Self(Folder::new());
        let root = world.root();
        git(root, &["init", "-q", "--bare", "blueprints.git"]);
        git(root, &["clone", "-q", "blueprints.git", "blueprints"]);
        let web = root.join("blueprints/web");
        fs::create_dir_all(&web).unwrap();
        fs::write(web.join("Kptfile"), "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: web\n").unwrap();
        fs::write(web.join("web.yaml"), DEPLOYMENT).unwrap();
        fs::write(web.join("run.sh"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(web.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("run.sh", web.join("start")).unwrap();
        world.publish("first", &["v1.0.0", "web/v1"]);
        fs::write(web.join("web.yaml"), DEPLOYMENT.replace("web:1", "web:2")).unwrap();
        fs::write(web.join("notes.txt"), "second\n").unwrap();
        world.publish("second", &["v1.1.0", "web/v2"]);
        world
    }

    fn publish(&self, message: &str, tags: &[&str]) {
        let work = self.root().join("blueprints");
        git(&work, &["add", "-A"]);
        git(&work, &["commit", "-qm", message]);
        for tag in tags {
            git(&work, &["tag", tag]);
        }
        git(&work, &["push", "-q", "origin", "HEAD:main", "--tags"]);
    }

    fn run(&self, args: &[&str]) -> Said {
        Said::of(self.loggia().arg("pkg").args(args).output().unwrap())
    }

    /// Runs what has to succeed; gives what it printed.
    fn done(&self, args: &[&str]) -> String {
        self.run(args).fine().out
    }

    /// Runs what has to fail with these words; nothing in `mine` may change.
    fn fails(&self, args: &[&str], words: &[&str]) {
        let before = snapshot(&self.path("mine"));
        self.run(args).failed(words);
        assert_eq!(snapshot(&self.path("mine")), before, "{args:?} changed something");
    }
}

/// Every file below a directory: path, mode, content or target.
fn snapshot(root: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                open.push(path);
                continue;
            }
            let content = match fs::read_link(&path) {
                Ok(target) => target.to_str().unwrap().as_bytes().to_vec(),
                Err(_) => fs::read(&path).unwrap(),
            };
            found.push((path, meta.permissions().mode(), content));
        }
    }
    found.sort();
    found
}

#[test]
fn a_package_is_got_with_modes_links_and_where_it_comes_from() {
    let world = World::new();
    let said = world.run(&["get", "blueprints.git/web@v1", "mine"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("Package \"mine\":") && said.err.contains("Fetched 1 package(s)."), "{}", said.err);
    let commit = git(&world.path("blueprints"), &["rev-parse", "web/v1"]);
    let repo = fs::canonicalize(world.path("blueprints.git")).unwrap();
    let place = format!("  type: git\n  git:\n    repo: {}\n    directory: /web\n", repo.display());
    let kptfile = format!(
        "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: mine\nupstream:\n{place}    ref: v1\n  \
         updateStrategy: resource-merge\nupstreamLock:\n{place}    ref: web/v1\n    commit: {commit}\n"
    );
    assert_eq!(world.read("mine/Kptfile"), kptfile);
    let marked = DEPLOYMENT.replace(
        "metadata:\n  name: web\n",
        "metadata: # kpt-merge: /web\n  name: web\n  annotations:\n    internal.kpt.dev/upstream-identifier: \
         apps|Deployment|default|web\n",
    );
    assert_eq!(world.read("mine/web.yaml").replace('"', ""), marked);
    assert_eq!(fs::metadata(world.path("mine/run.sh")).unwrap().permissions().mode() & 0o111, 0o111);
    assert_eq!(fs::read_link(world.path("mine/start")).unwrap(), Path::new("run.sh"));
    assert!(!world.path("mine/notes.txt").exists());
}

/// An `ssh` that reaches this machine, whatever host is named: git's own tests have such a one. `-G` only asks whether
/// it is one.
const SSH: &str = r#"case "$*" in *-G*) exit 0;; esac; echo "$*" >> "$LOG"; while [ "$1" != git-upload-pack ]; do shift; done; exec sh -c "$*""#;

#[test]
fn repositories_behind_ssh_are_read_by_the_users_ssh() {
    let world = World::new();
    world.program("bin/ssh", SSH);
    world.program("bin/own", SSH);
    let path = format!("{}:/usr/bin:/bin", world.path("bin").display());
    let run = |args: &[&str], variables: &[(&str, &str)]| {
        let mut loggia = world.loggia();
        loggia.arg("pkg").args(args).env("PATH", &path).env("LOG", world.path("log")).env("HOME", world.root());
        loggia.env_remove("GIT_SSH_COMMAND").env_remove("GIT_SSH").envs(variables.iter().copied());
        Said::of(loggia.output().unwrap())
    };
    let repo = fs::canonicalize(world.path("blueprints.git")).unwrap();
    let (scp, url) =
        (format!("git@example.org:{}", repo.display()), format!("ssh://git@example.org:2222{}", repo.display()));
    run(&["get", &format!("{scp}/web@v1"), "mine"], &[]).fine();
    assert!(world.read("mine/Kptfile").contains(&format!("repo: {scp}\n")), "{}", world.read("mine/Kptfile"));
    world.edit("mine/web.yaml", "replicas: 1", "replicas: 5");
    run(&["update", "mine@v2"], &[]).fine();
    let text = world.read("mine/web.yaml");
    assert!(text.contains("web:2") && text.contains("replicas: 5"), "{text}");
    assert!(world.read("log").lines().all(|line| line.contains("git@example.org") && line.contains("git-upload-pack")));

    // As for git, the environment comes before its configuration.
    world.write(".gitconfig", &format!("[core]\n\tsshCommand = {} -x\n", world.path("bin/own").display()));
    fs::remove_file(world.path("log")).unwrap();
    run(&["get", &format!("{url}/web@v1"), "second"], &[]).fine();
    assert!(world.read("second/Kptfile").contains(&format!("repo: {url}\n")));
    assert!(world.read("log").lines().any(|line| line.starts_with("-x ")), "{}", world.read("log"));
    fs::remove_file(world.path("log")).unwrap();
    run(&["get", &format!("{url}/web@v2"), "third"], &[("GIT_SSH_COMMAND", "ssh -i key")]).fine();
    let calls = world.read("log");
    assert!(calls.lines().all(|line| line.starts_with("-i key ") && line.contains("-p")), "{calls}");
    run(&["get", &format!("{url}/web@v2"), "fourth"], &[("GIT_SSH", world.path("bin/ssh").to_str().unwrap())]).fine();
}

#[test]
fn what_ssh_says_is_told_with_what_helps() {
    let world = World::new();
    let run = |program: &str, words: &[&str]| {
        if !program.is_empty() {
            world.program("bin/ssh", program);
        }
        let mut loggia = world.loggia();
        loggia.args(["pkg", "get", "git@example.org:r.git", "mine"]).env("PATH", world.path("bin"));
        loggia.env_remove("GIT_SSH_COMMAND").env_remove("GIT_SSH").env("HOME", world.root());
        Said::of(loggia.output().unwrap()).failed(words);
        assert!(!world.path("mine").exists());
    };
    run("", &["Failed to invoke program ssh", "install ssh", "[git.no_ssh]"]);
    // What is said is read for some milliseconds only once ssh has ended.
    let denied = "echo 'git@example.org: Permission denied (publickey).' >&2; sleep 2; exit 255";
    run(denied, &["the server does not let us in: is your key known there", "[git.auth]"]);
    let refused = "echo 'ssh: connect to host example.org port 22: Connection refused' >&2; sleep 2; exit 255";
    run(refused, &["connect to host example.org port 22: Connection refused", "[git.unreachable]"]);
    run("exit 1", &["ssh ended without an answer; is there such a repository", "[git.missing]"]);
}

#[test]
fn versions_are_branches_tags_commits_and_ranges() {
    let world = World::new();
    let first = git(&world.path("blueprints"), &["rev-parse", "v1.0.0"]);
    let short = &first[..9];
    for (reference, image) in [
        ("main", "web:2"),
        ("v1", "web:1"),
        ("web/v2", "web:2"),
        ("v1.0.0", "web:1"),
        // The package's own tags, web/v1 and web/v2, are the versions that its ranges are about.
        ("~1.0", "web:1"),
        (">=1 <2", "web:1"),
        (first.as_str(), "web:1"),
        (short, "web:1"),
        ("refs/heads/main", "web:2"),
    ] {
        world.done(&["get", &format!("file://{}/web@{reference}", world.path("blueprints.git").display()), "p"]);
        assert!(world.read("p/web.yaml").contains(image), "{reference}: {}", world.read("p/web.yaml"));
        fs::remove_dir_all(world.path("p")).unwrap();
    }
    world.done(&["get", "blueprints/web"]);
    assert!(world.read("web/web.yaml").contains("web:2"), "a checkout is a repository; the default is main");
    fs::create_dir(world.path("in")).unwrap();
    world.done(&["get", "blueprints.git/web", "in"]);
    assert!(world.path("in/web/Kptfile").exists());
}

#[test]
fn an_update_merges_and_is_idempotent() {
    let world = World::new();
    world.done(&["get", "blueprints.git/web@v1", "mine"]);
    world.edit("mine/web.yaml", "replicas: 1", "replicas: 5 # ours");
    fs::write(world.path("mine/own.txt"), "ours\n").unwrap();
    let dry = world.run(&["update", "mine@v2", "--dry-run"]);
    let planned = "changed Kptfile\nadded notes.txt\nchanged web.yaml\n";
    assert_eq!((dry.code, dry.out.as_str()), (1, planned), "{}", dry.err);
    assert!(world.read("mine/web.yaml").contains("web:1"));
    let said = world.done(&["update", "mine@v2"]);
    assert_eq!(said, "", "no conflict is told, because there is none");
    let text = world.read("mine/web.yaml");
    assert!(text.contains("replicas: 5 # ours\n") && text.contains("image: web:2 # the program\n"), "{text}");
    assert_eq!(world.read("mine/notes.txt"), "second\n");
    assert_eq!(world.read("mine/own.txt"), "ours\n");
    let kptfile = world.read("mine/Kptfile");
    let commit = git(&world.path("blueprints"), &["rev-parse", "web/v2"]);
    assert!(kptfile.contains("    ref: v2\n") && kptfile.contains(&format!("    commit: {commit}\n")), "{kptfile}");
    let before = snapshot(&world.path("mine"));
    let again = world.run(&["update", "mine", "--dry-run"]);
    assert_eq!((again.code, again.out.as_str()), (0, ""), "{}", again.err);
    world.done(&["update", "mine"]);
    assert_eq!(snapshot(&world.path("mine")), before);
}

#[test]
fn conflicts_are_told_and_decided() {
    let world = World::new();
    world.done(&["get", "blueprints.git/web@v1", "mine"]);
    world.edit("mine/web.yaml", "web:1", "web:ours");
    let told = "Deployment.apps/web .spec.template.spec.containers[name=\"web\"].image: local has \"web:ours\" \
                (web.yaml:19), upstream has \"web:2\" (web.yaml:17)";
    world.fails(&["update", "mine@v2", "--on-conflict", "fail"], &["both sides changed", told]);
    let json = world.run(&["update", "mine@v2", "--dry-run", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(report["conflicts"][0]["local"]["held"]["value"], "web:ours", "{}", json.out);
    assert_eq!(world.done(&["update", "mine@v2", "--on-conflict", "local"]), format!("conflict: {told}; kept local\n"));
    assert!(world.read("mine/web.yaml").contains("web:ours # the program"));
    fs::remove_dir_all(world.path("mine")).unwrap();
    world.done(&["get", "blueprints.git/web@v1", "mine"]);
    world.edit("mine/web.yaml", "web:1", "web:ours");
    assert_eq!(world.done(&["update", "mine@v2"]), format!("conflict: {told}; took upstream\n"));
    assert!(world.read("mine/web.yaml").contains("web:2 # the program"));
}

/// Conflicts that go another way than --on-conflict has it say why.
#[test]
fn what_is_taken_as_a_whole_stays() {
    let world = World::new();
    let notes = world.path("blueprints/web/notes.txt");
    fs::write(&notes, "one\n").unwrap();
    world.publish("notes", &["web/v3"]);
    fs::write(&notes, "two\n").unwrap();
    world.publish("other notes", &["web/v4"]);
    world.done(&["get", "blueprints.git/web@v3", "mine"]);
    world.write("mine/notes.txt", "ours\n");
    let said = world.done(&["update", "mine@v4"]);
    assert!(said.contains("kept local (--on-conflict decides about fields; what is taken as a whole stays)"), "{said}");
    assert_eq!(world.read("mine/notes.txt"), "ours\n");
    world.done(&["get", "blueprints.git/web@v3", "other"]);
    world.write("other/notes.txt", "ours\n");
    world.fails(
        &["update", "other@v4", "--strategy", "copy-merge", "--on-conflict", "fail"],
        &["notes.txt: local changed"],
    );
    let lost = ["update", "other@v4", "--strategy", "force-delete-replace", "--on-conflict", "local"];
    world.fails(&lost, &["local changes are lost"]);
    let said = world.done(&["update", "other@v4", "--strategy", "copy-merge"]);
    assert!(said.contains("notes.txt: local changed it") && said.contains("; took upstream"), "{said}");
}

#[test]
fn formats_that_do_not_fit_are_refused() {
    let world = World::new();
    world.done(&["get", "blueprints.git/web@v1", "mine"]);
    for arguments in [["diff", "mine"], ["tree", "mine"], ["init", "mine"], ["get", "blueprints.git/web"]] {
        for format in ["json", "yaml"] {
            world.fails(&[&arguments[..], &["-o", format]].concat(), &["prints text only", format]);
        }
    }
}

#[test]
fn strategies_are_kept_in_the_kptfile() {
    let world = World::new();
    world.done(&["get", "blueprints.git/web@v1", "mine", "--strategy", "fast-forward"]);
    world.edit("mine/web.yaml", "replicas: 1", "replicas: 5");
    world.fails(&["update", "mine@v2"], &["fast-forwarding the package", "web.yaml", "--strategy"]);
    world.edit("mine/web.yaml", "replicas: 5", "replicas: 1");
    world.done(&["update", "mine@v2"]);
    assert!(world.read("mine/web.yaml").contains("web:2"));
    world.edit("mine/web.yaml", "replicas: 1", "replicas: 5");
    world.done(&["update", "mine@v1", "--strategy", "force-delete-replace"]);
    assert!(world.read("mine/Kptfile").contains("updateStrategy: force-delete-replace\n"));
    assert!(world.read("mine/web.yaml").contains("replicas: 1\n") && !world.path("mine/notes.txt").exists());
    fs::write(world.path("mine/own.txt"), "ours\n").unwrap();
    world.done(&["update", "mine@v2", "--strategy", "copy-merge"]);
    assert!(world.path("mine/own.txt").exists() && world.path("mine/notes.txt").exists());
}

#[test]
fn subpackages_follow_upstreams_of_their_own() {
    let world = World::new();
    world.done(&["get", "blueprints.git/web@v1", "mine"]);
    world.done(&["get", "blueprints.git/web@v1", "mine/sub"]);
    world.edit("mine/sub/web.yaml", "replicas: 1", "replicas: 7");
    let said = world.run(&["update", "mine@v2"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("Updated 2 package(s)."), "{}", said.err);
    let sub = world.read("mine/sub/web.yaml");
    assert!(sub.contains("replicas: 7\n") && sub.contains("web:2 # the program"), "{sub}");
    assert!(world.read("mine/sub/Kptfile").contains("  name: sub\n"));
}

#[test]
fn subpackages_that_were_never_fetched_are_fetched_too() {
    let world = World::new();
    let group = world.path("blueprints/group");
    fs::create_dir_all(group.join("web")).unwrap();
    let kptfile = |name: &str| format!("apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: {name}\n");
    fs::write(group.join("Kptfile"), kptfile("group")).unwrap();
    let repo = fs::canonicalize(world.path("blueprints.git")).unwrap();
    let from = format!(
        "upstream:\n  type: git\n  git:\n    repo: {}\n    directory: /web\n    ref: v1\n  updateStrategy: fast-forward\n",
        repo.display()
    );
    fs::write(group.join("web/Kptfile"), format!("{}{from}", kptfile("part"))).unwrap();
    world.publish("a group", &[]);
    let said = world.run(&["get", "blueprints.git/group", "mine"]);
    assert!(said.code == 0 && said.err.contains("Fetched 2 package(s)."), "{}", said.err);
    assert!(world.read("mine/web/web.yaml").contains("web:1"));
    let text = world.read("mine/web/Kptfile");
    assert!(text.contains("  name: part\n") && text.contains("ref: web/v1\n"), "{text}");
    assert!(text.contains("updateStrategy: fast-forward\n"), "{text}");
    // A package that includes itself has no end.
    let endless = from.replace("/web", "/endless").replace("ref: v1", "ref: main");
    fs::create_dir_all(world.path("blueprints/endless/sub")).unwrap();
    fs::write(world.path("blueprints/endless/Kptfile"), kptfile("endless")).unwrap();
    fs::write(world.path("blueprints/endless/sub/Kptfile"), format!("{}{endless}", kptfile("sub"))).unwrap();
    world.publish("endless", &[]);
    let limit = "there are more than 100 subpackages; does one of them include itself? [package.cycle]";
    world.fails(&["get", "blueprints.git/endless", "p"], &[limit]);
    assert!(!world.path("p").exists());
}

#[test]
fn differences_are_shown_by_diff() {
    let world = World::new();
    world.done(&["get", "blueprints.git/web@v1", "mine"]);
    let none = world.run(&["diff", "mine"]);
    assert_eq!((none.code, none.out.as_str()), (0, ""), "{}", none.err);
    world.edit("mine/web.yaml", "replicas: 1", "replicas: 5");
    let table: [(&[&str], &[&str], &[&str]); 6] = [
        (&["diff", "mine"], &["-  replicas: 1", "+  replicas: 5"], &["web:2"]),
        (&["diff", "mine@v2", "--diff-type", "remote"], &["+        image: web:2", "+second"], &["replicas: 5"]),
        (&["diff", "mine@v2", "--diff-type", "combined"], &["+  replicas: 5", "-        image: web:2"], &[]),
        // As in kpt, a version that is named is what the package is compared with.
        (&["diff", "mine@v2"], &["+  replicas: 5", "-        image: web:2"], &[]),
        (&["diff", "mine@v2", "--diff-type", "local"], &["+  replicas: 5"], &["web:2"]),
        (&["diff", "mine@v2", "--diff-type", "3way"], &["+  replicas: 5", "+        image: web:2"], &[]),
    ];
    for (args, there, not) in table {
        let said = world.run(args);
        assert_eq!(said.code, 1, "{args:?}: {}", said.err);
        assert!(there.iter().all(|line| said.out.contains(line)), "{args:?}: {}", said.out);
        assert!(!not.iter().any(|line| said.out.contains(line)), "{args:?}: {}", said.out);
    }
    // A version that is not there is told, whatever is shown.
    for kind in ["local", "remote", "combined", "3way"] {
        let words = ["there is no branch, tag or commit v9", "blueprints.git"];
        world.fails(&["diff", "mine@v9", "--diff-type", kind], &words);
    }
    world.fails(&["diff", "mine", "--diff-tool", "no-such-program"], &["running no-such-program", "--diff-tool"]);
}

#[test]
fn a_new_package_is_a_package() {
    let world = World::new();
    world.fails(&["init", "mine"], &["mine does not exist"]);
    assert!(!world.path("mine").exists());
    fs::create_dir(world.path("mine")).unwrap();
    let made =
        world.run(&["init", "mine", "--description", "what it is", "--keywords", "a,b", "--site", "https://e.com"]);
    let told = "writing mine/Kptfile\nwriting mine/README.md\nwriting mine/package-context.yaml\n";
    assert_eq!(made.fine().err, told);
    let kptfile = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: mine\n  annotations:\n    config.kubernetes.io/local-config: \"true\"\ninfo:\n  site: https://e.com\n  description: what it is\n  keywords:\n  - a\n  - b\n";
    assert_eq!(world.read("mine/Kptfile"), kptfile);
    assert_eq!(world.read("mine/package-context.yaml"), CONTEXT.replace("NAME", "example"));
    fs::write(world.path("mine/.krmignore"), "x\n").unwrap();
    let tree = world.done(&["tree", "mine"]);
    let drawn = "Package \"mine\"\n├── [Kptfile]  Kptfile mine\n├── [package-context.yaml]  ConfigMap kptfile.kpt.dev\n└── README.md\n";
    assert_eq!(tree, drawn);
    // What is there already stays, as in kpt.
    fs::remove_file(world.path("mine/README.md")).unwrap();
    assert_eq!(world.run(&["init", "mine"]).fine().err, "writing mine/README.md\n");
    assert_eq!(world.read("mine/Kptfile"), kptfile);
    world.fails(&["init", "mine/Kptfile"], &["mine/Kptfile is not a directory"]);
    world.fails(&["update", "mine"], &["mine/Kptfile has no upstream"]);
    let valid = world.loggia().arg("validate").arg(world.path("mine")).output().unwrap();
    assert!(valid.status.success(), "{}", String::from_utf8_lossy(&valid.stderr));
}

/// Upstream took a file away that was changed here: the dry run and the real one tell which.
#[test]
fn what_an_update_removes_is_told_by_name() {
    let world = World::new();
    git(&world.path("blueprints"), &["rm", "-q", "web/notes.txt"]);
    world.publish("third", &["v1.2.0", "web/v3"]);
    world.done(&["get", "blueprints.git/web@v2", "mine"]);
    world.write("mine/notes.txt", "mine\n");
    world.write("mine/own.txt", "mine\n");
    let args = ["update", "mine@v3", "--strategy", "copy-merge"];
    let told = Said::of(world.loggia().arg("pkg").args(args).arg("--dry-run").output().unwrap());
    let conflict =
        "conflict: notes.txt: local changed it (notes.txt:1), upstream removed it (notes.txt:1); took upstream\n";
    let planned = format!("{conflict}changed Kptfile\nremoved notes.txt\n");
    assert_eq!((told.code, told.out), (1, planned), "{}", told.err);
    assert_eq!(world.done(&args), format!("{conflict}removed notes.txt\n"));
    assert!(!world.path("mine/notes.txt").exists() && world.path("mine/own.txt").exists());
}

#[test]
fn a_broken_file_is_told_by_its_own_path() {
    let world = World::new();
    world.write("blueprints/web/broken.yaml", "a: [\n");
    world.publish("third", &["v1.2.0", "web/v3"]);
    world.done(&["get", "blueprints.git/web@v1", "mine"]);
    let repo = world.path("blueprints.git").canonicalize().unwrap();
    world.write("mine/broken.yaml", "a: 1\n");
    world.fails(&["update", "mine@v3"], &[&format!(": {}/web/broken.yaml@web/v3:1: ", repo.display()), "[yaml."]);
    world.write("mine/web.yaml", "a: [\n");
    world.fails(&["update", "mine@v2"], &[": mine/web.yaml:1: ", "[yaml."]);
}

#[test]
fn what_cannot_be_fetched_changes_nothing() {
    let world = World::new();
    world.done(&["get", "blueprints.git/web@v1", "mine"]);
    world.fails(&["get", "blueprints.git/web@v1", "mine/web.yaml"], &["is there already"]);
    world.fails(
        &["get", "blueprints.git/nothing", "p"],
        &["there is no directory nothing in main", "packages there: web"],
    );
    world.fails(&["get", "blueprints.git/web@nothing", "p"], &["git.ref_not_found", "web/v2"]);
    world.fails(&["get", "blueprints.git/web@^7", "p"], &["no tag is in the range ^7"]);
    world.fails(&["get", "blueprints.git/../web", "p"], &["path.escape"]);
    world.fails(&["get", "blueprints.git/web@--output=x", "p"], &["git.ref_invalid"]);
    world.fails(&["get", "ext::sh -c touch% x.git", "p"], &["remote helpers are not run"]);
    let schemes = "allowed are paths, file://, http://, https://, ssh:// and oci:// [git.url_scheme]";
    world.fails(&["get", "git://example.com/a.git/web", "p"], &[schemes]);
    world.fails(&["get", "nowhere.git/web", "p"], &["cannot open git repository", "nowhere.git"]);
    world.fails(&["update", "mine@nothing"], &["git.ref_not_found"]);
    for verb in ["update", "diff", "tree"] {
        world.fails(&[verb, "no where"], &["there is no directory no where; is the path right", "[package.missing]"]);
    }
    world.fails(&["init", "no where"], &["mkdir -p \"no where\""]);
    world.fails(&["update", "mine@fffffff"], &["git.commit_missing"]);
    world.edit("mine/Kptfile", "commit: ", "commit: f00");
    world.fails(&["update", "mine"], &["mine/Kptfile:", "upstreamLock.git.commit", "kptfile.lock_invalid"]);
    assert!(!world.path("p").exists());
}

#[test]
fn links_out_of_a_package_are_refused() {
    let world = World::new();
    std::os::unix::fs::symlink("../../../etc/passwd", world.path("blueprints/web/out")).unwrap();
    world.publish("a link", &["web/v3"]);
    world.fails(&["get", "blueprints.git/web@v3", "p"], &["path.symlink", "out:1", "../../../etc/passwd"]);
    assert!(!world.path("p").exists());
    world.done(&["get", "blueprints.git/web@v1", "mine"]);
    world.fails(&["update", "mine@v3"], &["path.symlink"]);
    std::os::unix::fs::symlink("/etc", world.path("mine/etc")).unwrap();
    world.fails(&["update", "mine@v2"], &["path.symlink", "etc:1"]);
}

/// A package's context, as kpt's documents show it.
const CONTEXT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: kptfile.kpt.dev\n  annotations:\n    config.kubernetes.io/local-config: \"true\"\ndata:\n  name: NAME\n";

/// What kpt's `gen-pkg-context` does, and why: `set-namespace` reads the package's name from its context.
#[test]
fn a_deployment_has_a_context_of_its_own() {
    let world = World::new();
    let web = world.path("blueprints/web");
    let pipeline = "pipeline:\n  mutators:\n  - image: set-namespace:v0.4.1\n    configPath: package-context.yaml\n";
    fs::write(
        web.join("Kptfile"),
        format!("apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: web\n{pipeline}"),
    )
    .unwrap();
    let context = CONTEXT.replace("NAME", "example");
    fs::write(web.join("package-context.yaml"), &context).unwrap();
    fs::create_dir(web.join("db")).unwrap();
    fs::write(web.join("db/Kptfile"), "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: db\n").unwrap();
    fs::write(web.join("db/package-context.yaml"), &context).unwrap();
    world.publish("with a context", &["web/v3"]);
    let said = world.run(&["get", "blueprints.git/web@v3", "prod", "--for-deployment"]).fine();
    for line in ["Customizing package for deployment.", "Customized package for deployment."] {
        assert!(said.err.lines().any(|told| told == line), "{}", said.err);
    }
    assert_eq!(world.read("prod/package-context.yaml"), CONTEXT.replace("NAME", "prod"));
    assert_eq!(world.read("prod/db/package-context.yaml"), CONTEXT.replace("NAME", "db"), "as in kpt");
    assert!(world.read("prod/Kptfile").contains("\n  name: prod\n"));
    assert!(world.read("prod/db/Kptfile").contains("\n  name: db\n"), "subpackages keep their names");
    Said::of(world.loggia().args(["fn", "render", "prod"]).output().unwrap()).fine();
    assert!(world.read("prod/web.yaml").contains("  namespace: prod\n"));
    // A blueprint keeps what it has, and its name in it is no package's.
    world.done(&["get", "blueprints.git/web@v3", "copy"]);
    assert!(world.read("copy/package-context.yaml").contains("name: example"));
    assert!(world.path("copy/db/package-context.yaml").exists());
    // An update to a version with another context does not take the name away.
    fs::write(web.join("notes.txt"), "third\n").unwrap();
    world.publish("more", &["web/v4"]);
    world.done(&["update", "prod@v4"]);
    assert!(world.read("prod/package-context.yaml").contains("  name: prod\n"));
    assert!(world.read("prod/notes.txt").contains("third"));
}

#[test]
fn the_present_directory_becomes_the_package_when_it_is_empty() {
    let world = World::new();
    fs::create_dir(world.path("mine")).unwrap();
    let get = || {
        let mut command = world.loggia();
        command.current_dir(world.path("mine")).args(["pkg", "get", "../blueprints.git/web@v1", "."]);
        Said::of(command.env("KPT_CACHE_DIR", world.path("kpt")).output().unwrap())
    };
    get().fine();
    assert!(world.read("mine/Kptfile").contains("\n  name: mine\n"));
    get().failed(&["the present directory is not empty"]);
}

#[test]
fn packages_come_over_http_too() {
    let world = World::new();
    let Some(server) = git_server::GitServer::start(world.root(), std::sync::Arc::new(|_, _, _| {})) else {
        return;
    };
    let url = server.url("blueprints.git");
    world.done(&["get", &format!("{url}/web@v1"), "mine"]);
    assert!(world.read("mine/Kptfile").contains(&format!("repo: {url}\n")));
    world.done(&["update", "mine@^2"]);
    let kptfile = world.read("mine/Kptfile");
    assert!(kptfile.contains("ref: \"^2\"\n") && kptfile.contains("ref: web/v2\n"), "{kptfile}");
    assert!(world.read("mine/web.yaml").contains("web:2"));
    assert!(!world.path("mine/.loggia").exists() && world.path("cache/loggia/cache").exists());
    let mut elsewhere = world.loggia();
    elsewhere.args(["pkg", "diff", "mine@v1"]).env("KPT_CACHE_DIR", world.path("kpt"));
    assert_eq!(Said::of(elsewhere.output().unwrap()).code, 1);
    assert_eq!(fs::read_dir(world.path("kpt")).unwrap().count(), 1, "kpt's setting is ours");
}

/// Which one it is, only the repository knows; both a local one and one behind a server tell.
#[test]
fn the_default_branch_is_the_one_that_head_names() {
    let world = World::new();
    let Some(server) = git_server::GitServer::start(world.root(), std::sync::Arc::new(|_, _, _| {})) else {
        return;
    };
    git(&world.path("blueprints.git"), &["branch", "develop", "v1.0.0"]);
    let url = server.url("blueprints.git");
    for (head, image) in [("develop", "web:1"), ("main", "web:2"), ("develop", "web:1")] {
        git(&world.path("blueprints.git"), &["symbolic-ref", "HEAD", &format!("refs/heads/{head}")]);
        for place in ["blueprints.git", &url] {
            world.done(&["get", &format!("{place}/web"), "mine"]);
            assert!(world.read("mine/web.yaml").contains(image), "{place} {head}");
            assert!(world.read("mine/Kptfile").contains(&format!("ref: {head}\n")), "{}", world.read("mine/Kptfile"));
            fs::remove_dir_all(world.path("mine")).unwrap();
        }
    }
    world.done(&["get", "blueprints.git/web@HEAD", "mine"]);
    let kptfile = world.read("mine/Kptfile");
    assert!(kptfile.contains("    ref: HEAD\n") && kptfile.contains("    ref: develop\n"), "{kptfile}");
    world.done(&["update", "mine"]);
    fs::remove_dir_all(world.path("mine")).unwrap();
    // One that names nothing that is there.
    git(&world.path("blueprints.git"), &["symbolic-ref", "HEAD", "refs/heads/gone"]);
    for place in ["blueprints.git", &url] {
        world.done(&["get", &format!("{place}/web"), "mine"]);
        assert!(world.read("mine/web.yaml").contains("web:2"), "{place}");
        fs::remove_dir_all(world.path("mine")).unwrap();
    }
}

/// git behind TLS, whose certificate is of an authority that nobody here knows by itself.
#[test]
fn packages_come_over_https_from_who_is_trusted() {
    let world = World::new();
    if std::process::Command::new("openssl").arg("version").output().is_err() {
        println!("not run: there is no openssl");
        return;
    }
    let Some(server) = git_server::GitServer::start(world.root(), std::sync::Arc::new(|_, _, _| {})) else {
        return;
    };
    fs::create_dir(world.path("tls")).unwrap();
    let certificate = certificate::Certificate::new(&world.path("tls"));
    let front = tls::Front::start(server.port(), &certificate);
    let run = |args: &[&str], authority: &Path| {
        Said::of(world.loggia().arg("pkg").args(args).env("SSL_CERT_FILE", authority).output().unwrap())
    };
    let place = format!("https://127.0.0.1:{}/blueprints.git/web", front.port);
    run(&["get", &format!("{place}@v1"), "mine"], &certificate.authority).fine();
    world.edit("mine/web.yaml", "replicas: 1", "replicas: 5");
    run(&["update", "mine@v2"], &certificate.authority).fine();
    let text = world.read("mine/web.yaml");
    assert!(text.contains("web:2") && text.contains("replicas: 5"), "{text}");

    let words = ["invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE names a file", "[git.unreachable]"];
    world.fails(&["get", &format!("{place}@v1"), "other"], &words);
    // The certificate is for the address, and not for the name that leads to it.
    let by_name = format!("https://localhost:{}/blueprints.git/web@v1", front.port);
    run(&["get", &by_name, "other"], &certificate.authority).failed(&["invalid peer certificate", "[git.unreachable]"]);
    let plain = format!("https://127.0.0.1:{}/blueprints.git/web@v1", server.port());
    run(&["get", &plain, "other"], &certificate.authority)
        .failed(&["does the server speak https", "[git.unreachable]"]);
    assert!(!world.path("other").exists());
}

/// Credentials come from where git has them, only when they are asked for, and wrong ones are forgotten there.
#[test]
fn git_says_who_we_are() {
    let world = World::new();
    let Some(server) = git_server::GitServer::start(world.root(), std::sync::Arc::new(|_, _, _| {})) else {
        return;
    };
    let url = server.url("blueprints.git");
    let get = |helper: &str, name: &str| {
        let mut loggia = world.loggia();
        loggia.args(["pkg", "get", &format!("{url}/web@v1"), name]);
        loggia.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_COUNT", "1");
        Said::of(
            loggia.env("GIT_CONFIG_KEY_0", "credential.helper").env("GIT_CONFIG_VALUE_0", helper).output().unwrap(),
        )
    };
    let helper = |password: &str| {
        format!("!f() {{ echo $1 >> verbs; cat > asked; echo username=robot; echo password={password}; }}; f")
    };
    get(&helper("s3cret"), "open").fine();
    assert!(!world.path("verbs").exists(), "nobody asked for credentials");
    // base64 of robot:s3cret
    fs::write(world.path("blueprints.git/authorization"), "Basic cm9ib3Q6czNjcmV0").unwrap();
    get("", "mine").failed(&["git's credential helper", "[git.auth]"]);
    get(&helper("s3cret"), "mine").fine();
    assert!(world.read("mine/web.yaml").contains("web:1"), "{}", world.read("mine/web.yaml"));
    assert_eq!(world.read("verbs"), "get\n");
    let host = url.trim_start_matches("http://").split('/').next().unwrap();
    assert!(world.read("asked").contains(&format!("host={host}\n")), "{}", world.read("asked"));
    let said = get(&helper("wr0ng"), "other").failed(&["[git.auth]"]);
    assert!(!said.err.contains("wr0ng"), "{}", said.err);
    assert_eq!(world.read("verbs"), "get\nget\nerase\n");
}
