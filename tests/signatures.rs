//! Versions that somebody signed: commits and tags with the real ssh-keygen and gpg, artifacts with openssl in cosign's
//! form.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says what it did not run"
)]

use std::path::PathBuf;
use std::process::Command;

use program::{Folder, Said};
use registry::{Registry, checked};
use signing::{attach, cosign, cosign_key, is_there, message, ssh_key, statement};

#[path = "support/program.rs"]
mod program;
#[path = "support/registry.rs"]
mod registry;
#[path = "support/signing.rs"]
mod signing;

/// Runs a program in a folder, with a home of its own.
fn run(folder: &Folder, place: &str, program: &str, args: &[&str]) -> String {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(folder.path(place))
        .env("HOME", folder.path("home"))
        .env("GNUPGHOME", folder.path("home"));
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", folder.path("home/gitconfig"));
    checked(program, args, &command.output().unwrap()).trim().to_owned()
}

/// A repository with a package, and nobody's settings but these.
fn repository(folder: &Folder, settings: &str) {
    let who = "[user]\n\tname = A Person\n\temail = person@example.com\n[init]\n\tdefaultBranch = main\n";
    folder.write("home/gitconfig", &format!("{who}{settings}"));
    folder.write("repo/Kptfile", "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: web\n");
    run(folder, "repo", "git", &["init", "-q"]);
    run(folder, "repo", "git", &["add", "-A"]);
}

/// Commits a change; gives the commit.
fn commit(folder: &Folder, text: &str, args: &[&str]) -> String {
    folder.write("repo/notes.txt", text);
    run(folder, "repo", "git", &["add", "-A"]);
    run(folder, "repo", "git", &[&["commit", "-qm", text], args].concat());
    run(folder, "repo", "git", &["rev-parse", "HEAD"])
}

fn get(folder: &Folder, reference: &str, signers: &str) -> Said {
    let place = format!("file://{}@{reference}", folder.path("repo").display());
    let _ = std::fs::remove_dir_all(folder.path("p"));
    Said::of(folder.loggia().args(["pkg", "get", &place, "p", "--signed-by", signers]).output().unwrap())
}

/// A folder with a repository in which git signs with ssh, keys of `ours` and `theirs`, and files of signers by their
/// names; `None` where there is no ssh-keygen.
fn signable() -> Option<Folder> {
    if !is_there("ssh-keygen") {
        return None;
    }
    let folder = Folder::new();
    folder.write("home/x", "");
    let home = folder.path("home");
    let (ours, theirs) = (ssh_key(&home, "ours"), ssh_key(&home, "theirs"));
    repository(&folder, "[gpg]\n\tformat = ssh\n");
    folder.write("ours", &format!("# who may sign\nperson@example.com namespaces=\"git\" {ours}\n"));
    folder.write("theirs", &format!("person@example.com {theirs}\n"));
    Some(folder)
}

/// The setting that makes git sign with a key.
fn key(folder: &Folder, name: &str) -> String {
    format!("user.signingkey={}", folder.path(&format!("home/{name}")).display())
}

#[test]
fn commits_and_tags_are_signed_with_ssh() {
    let Some(folder) = signable() else { return };
    let git = |args: &[&str]| run(&folder, "repo", "git", args);
    let none = commit(&folder, "none", &["--no-gpg-sign"]);
    git(&["-c", &key(&folder, "ours"), "tag", "-s", "-m", "signed", "v1"]);
    git(&["tag", "-m", "annotated", "v2"]);
    git(&["tag", "light"]);
    folder.write("repo/notes.txt", "signed");
    git(&["add", "-A"]);
    git(&["-c", &key(&folder, "ours"), "commit", "-q", "-S", "-m", "signed"]);
    let signed = git(&["rev-parse", "HEAD"]);
    for reference in ["main", signed.as_str(), "v1"] {
        get(&folder, reference, "ours").fine();
    }
    for (reference, signers, words) in [
        (none.as_str(), "ours", "it has no signature"),
        ("v2", "ours", "the tag v2: "),
        ("light", "ours", "light is no annotated tag"),
        ("main", "theirs", "main is no annotated tag"),
        ("v1", "theirs", "the tag v1: Good \"git\" signature with ED25519 key SHA256:"),
        ("main", "nowhere", "reading who may sign"),
        ("main", "repo/Kptfile", "neither an armoured OpenPGP key nor lines"),
    ] {
        get(&folder, reference, signers).failed(&[words, "[git.signature]"]);
        assert!(!folder.path("p").exists());
    }
    // A tag that was signed for another version is not taken for this one.
    let object = git(&["rev-parse", "v1"]);
    git(&["update-ref", "refs/tags/v9", &object]);
    get(&folder, "v9", "ours").failed(&["was signed under another name", "[git.signature]"]);
    // The repository's own settings decide nothing.
    git(&["config", "gpg.ssh.program", "true"]);
    git(&["config", "gpg.ssh.allowedSignersFile", folder.path("ours").to_str().unwrap()]);
    get(&folder, "main", "theirs").failed(&["[git.signature]"]);
    // An update wants what get wants.
    get(&folder, "v1", "ours").fine();
    let update = |reference: &str, signers: &str| {
        let place = format!("p@{reference}");
        Said::of(folder.loggia().args(["pkg", "update", &place, "--signed-by", signers]).output().unwrap())
    };
    update("main", "theirs").failed(&["[git.signature]"]);
    // What is compared is checked too: the new version, and the one that was fetched, here by its tag.
    let diff = |package: &str, signers: &str| {
        Said::of(folder.loggia().args(["pkg", "diff", package, "--signed-by", signers]).output().unwrap())
    };
    assert_eq!(diff("p", "ours").code, 0);
    let differs = diff("p@main", "ours");
    assert!(differs.code == 1 && differs.out.contains("-signed"), "{}{}", differs.out, differs.err);
    diff("p", "theirs").failed(&["it has no signature", "[git.signature]"]);
    diff("p@main", "theirs").failed(&["main is no annotated tag", "[git.signature]"]);
    diff("p@v2", "ours").failed(&["the tag v2: ", "[git.signature]"]);
    update("main", "ours").fine();
    assert_eq!(folder.read("p/notes.txt"), "signed");
    // What a package was made from before anybody signed is left behind by an update: nothing of it is taken.
    std::fs::remove_dir_all(folder.path("p")).unwrap();
    Said::of(
        folder
            .loggia()
            .args(["pkg", "get", &format!("file://{}@{none}", folder.path("repo").display()), "p"])
            .output()
            .unwrap(),
    )
    .fine();
    update(&none, "ours").failed(&["it has no signature", "[git.signature]"]);
    update("main", "ours").fine();
    assert_eq!(folder.read("p/notes.txt"), "signed");
}

/// Each look at a tag goes by what the first one found.
#[test]
fn a_tag_that_moves_meanwhile_signs_nothing() {
    let Some(folder) = signable() else { return };
    let git = |args: &[&str]| run(&folder, "repo", "git", args);
    commit(&folder, "good", &[]);
    git(&["-c", &key(&folder, "ours"), "tag", "-s", "-m", "signed", "v1"]);
    let signed = git(&["rev-parse", "v1"]);
    commit(&folder, "evil", &[]);
    git(&["tag", "-f", "-m", "not signed", "v1"]);
    let evil = git(&["rev-parse", "v1"]);
    let real = run(&folder, "repo", "sh", &["-c", "command -v git"]);
    let directory = folder.path("repo/.git");
    // Somebody moves the tag before, and moves it back after, each of the programs that git is asked by.
    for moment in ["rev-parse", "cat-file", "verify-tag"] {
        folder.program(
            "bin/git",
            &format!(
                "to() {{ GIT_DIR={} {real} -c 'safe.directory=*' update-ref refs/tags/v1 $1; }}\n\
                 case \" $* \" in *' {moment} '*) to {signed};; esac\n{real} \"$@\"; code=$?\nto {evil}; exit $code",
                directory.display()
            ),
        );
        let path = format!("{}:{}", folder.path("bin").display(), std::env::var("PATH").unwrap());
        let place = format!("file://{}@v1", folder.path("repo").display());
        let mut loggia = folder.loggia();
        let get = loggia.env("PATH", path).args(["pkg", "get", &place, "p", "--signed-by", "ours"]);
        Said::of(get.output().unwrap()).failed(&["[git.signature]"]);
        assert!(!folder.path("p").exists(), "{moment}");
    }
    git(&["update-ref", "refs/tags/v1", &signed]);
    get(&folder, "v1", "ours").fine();
}

#[test]
fn a_tag_has_a_limit() {
    let Some(folder) = signable() else { return };
    commit(&folder, "one", &[]);
    folder.write("message", &"x".repeat(1 << 20));
    run(&folder, "repo", "git", &["-c", &key(&folder, "ours"), "tag", "-s", "-F", "../message", "v1"]);
    get(&folder, "v1", "ours").failed(&["the tag v1 has ", "the limit is 1048576", "[git.signature]"]);
}

#[test]
fn commits_are_signed_with_gpg() {
    if !is_there("gpg") {
        return;
    }
    let folder = Folder::new();
    folder.write("home/x", "");
    // Sockets of gpg-agent have short names only.
    let home = PathBuf::from(format!("/tmp/loggia-gpg-{}", std::process::id()));
    std::fs::create_dir_all(&home).unwrap();
    let gpg = |args: &[&str]| {
        let output =
            Command::new("gpg").args(["--batch", "--quiet"]).args(args).env("GNUPGHOME", &home).output().unwrap();
        checked("gpg", args, &output)
    };
    for person in ["ours@example.com", "theirs@example.com"] {
        gpg(&[
            "--passphrase",
            "",
            "--pinentry-mode",
            "loopback",
            "--quick-generate-key",
            person,
            "ed25519",
            "sign",
            "never",
        ]);
        let name = person.split('@').next().unwrap();
        folder.write(&format!("{name}.asc"), &gpg(&["--armor", "--export", person]));
    }
    repository(&folder, "");
    let signing = |args: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.signingkey=ours@example.com"]).args(args).current_dir(folder.path("repo"));
        command.env("GNUPGHOME", &home).env("GIT_CONFIG_GLOBAL", folder.path("home/gitconfig"));
        checked("git", args, &command.output().unwrap())
    };
    signing(&["commit", "-q", "-S", "-m", "signed"]);
    let signed = run(&folder, "repo", "git", &["rev-parse", "HEAD"]);
    commit(&folder, "none", &[]);
    signing(&["tag", "-s", "-m", "signed", "v1"]);
    get(&folder, &signed, "ours.asc").fine();
    get(&folder, "v1", "ours.asc").fine();
    get(&folder, "main", "ours.asc").failed(&["[git.signature]"]);
    get(&folder, &signed, "theirs.asc").failed(&["[git.signature]"]);
    let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", &home).status();
    std::fs::remove_dir_all(&home).unwrap();
}

#[test]
fn artifacts_are_signed_with_a_key() {
    if !is_there("openssl") {
        return;
    }
    let folder = Folder::new();
    let Some(registry) = Registry::start(&folder.path("registry"), false) else { return };
    folder.write("web/Kptfile", "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: web\n");
    let digest = registry.push(&folder.path("web"), "packages/web:v1");
    for name in ["ours", "theirs"] {
        cosign_key(folder.root(), name);
    }
    let get = |signers: &str| {
        let _ = std::fs::remove_dir_all(folder.path("p"));
        let place = format!("{}:v1", registry.place("packages/web"));
        Said::of(folder.loggia().args(["pkg", "get", &place, "p", "--signed-by", signers]).output().unwrap())
    };
    get("ours.pub").failed(&["is not signed: there is no tag sha256-", "[oci.signature]"]);
    cosign(folder.root(), "ours", &registry, "packages/web", &digest);
    get("ours.pub").fine();
    get("theirs.pub").failed(&["is by another key", "[oci.signature]"]);
    get("web/Kptfile").failed(&["no public key of ECDSA P-256"]);
    // The tag moves on to what nobody signed.
    folder.write("web/notes.txt", "second\n");
    registry.push(&folder.path("web"), "packages/web:v1");
    get("ours.pub").failed(&["is not signed: there is no tag sha256-", "[oci.signature]"]);
    assert!(!folder.path("p").exists());
}

#[test]
fn bundles_of_sigstore_sign_too() {
    let folder = Folder::new();
    let Some(registry) = Registry::start(&folder.path("registry"), false) else { return };
    if !is_there("openssl") {
        return;
    }
    folder.write("web/Kptfile", "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: web\n");
    let digest = registry.push(&folder.path("web"), "packages/web:v1");
    let manifest = registry.crane(&["manifest", &registry.name("packages/web:v1")]);
    for name in ["ours", "theirs"] {
        cosign_key(folder.root(), name);
    }
    let get = || {
        let _ = std::fs::remove_dir_all(folder.path("p"));
        let place = format!("{}:v1", registry.place("packages/web"));
        Said::of(folder.loggia().args(["pkg", "get", &place, "p", "--signed-by", "ours.pub"]).output().unwrap())
    };
    let sign = "https://sigstore.dev/cosign/sign/v1";
    let other = format!("sha256:{}", "0".repeat(64));
    let ours = |digest: &str, says: &str| statement(folder.root(), "ours", digest, says);
    let mut changed = ours(&other, sign);
    changed["dsseEnvelope"]["payload"] = ours(&digest, sign)["dsseEnvelope"]["payload"].clone();
    let mut retyped = ours(&digest, sign);
    retyped["dsseEnvelope"]["payloadType"] = serde_json::json!("text/plain");
    let refused = [
        (statement(folder.root(), "theirs", &digest, sign), "by another key"),
        (message(folder.root(), "theirs", &manifest), "by another key"),
        (ours(&other, sign), "of something else"),
        (ours(&digest, "https://slsa.dev/provenance/v1"), "which is no signature"),
        (changed, "by another key"),
        (retyped, "by another key"),
        (message(folder.root(), "ours", "something else"), "it is of SHA2_256"),
        (serde_json::json!({"mediaType": "text/plain"}), "does not say that it is a bundle"),
    ];
    for (bundle, words) in &refused {
        attach(&registry, "packages/web", &digest, std::slice::from_ref(bundle));
        get().failed(&[words, "[oci.signature]"]);
        assert!(!folder.path("p").exists());
    }
    let wrong: Vec<_> = refused.into_iter().map(|(bundle, _)| bundle).collect();
    for right in [ours(&digest, sign), message(folder.root(), "ours", &manifest)] {
        attach(&registry, "packages/web", &digest, &[wrong.as_slice(), &[right]].concat());
        get().fine();
    }
}
