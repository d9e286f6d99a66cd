//! Repositories that are wrong, made with real git: what `pkg get` says of each, whole, and nothing is written.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use git::git;
use program::{Folder, Said};

#[path = "support/git.rs"]
mod git;
#[path = "support/program.rs"]
mod program;

const KPTFILE: &str = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: web\n";
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// A bare repository `r.git`.
struct World(Folder);

impl World {
    fn new() -> Self {
        let world = Self(Folder::new());
        git(world.0.root(), &["init", "-q", "--bare", "r.git"]);
        world.object("tree", b"");
        world
    }

    fn path(&self) -> PathBuf {
        self.0.path("r.git").canonicalize().unwrap()
    }

    fn git(&self, args: &[&str]) -> String {
        git(&self.path(), args)
    }

    /// Writes an object as it is, whatever git thinks of it.
    fn object(&self, kind: &str, bytes: &[u8]) -> String {
        let mut command = Command::new("git");
        command.args(["hash-object", "-t", kind, "-w", "--stdin", "--literally"]).current_dir(self.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A tree of these entries, in this order.
    fn tree(&self, entries: &[(&str, &str, &str)]) -> String {
        let mut bytes = Vec::new();
        for (mode, name, id) in entries {
            bytes.extend(format!("{mode} {name}\0").into_bytes());
            bytes.extend((0..20).map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).unwrap()));
        }
        self.object("tree", &bytes)
    }

    fn commit(&self, tree: &str, message: &str) -> String {
        let who = "A Person <person@example.com> 1700000000 +0000";
        self.object("commit", format!("tree {tree}\nauthor {who}\ncommitter {who}\n\n{message}\n").as_bytes())
    }

    fn branch(&self, name: &str, commit: &str) {
        self.git(&["update-ref", &format!("refs/heads/{name}"), commit]);
    }

    /// What `pkg get` says of something that it has to refuse.
    fn refused(&self, package: &str) -> String {
        let said = Said::of(self.0.loggia().args(["pkg", "get", "-q", "--", package, "p"]).output().unwrap());
        let said = said.failed(&[]);
        assert!(said.out.is_empty() && !self.0.path("p").exists(), "{package}");
        said.err
    }

    /// The words in front of the reason.
    fn front(&self) -> String {
        format!("loggia: fetching the root of {}: ", self.path().display())
    }

    /// The same of the repository's root, without the words in front of the reason.
    fn reason(&self) -> String {
        let said = self.refused("r.git");
        let front = self.front();
        said.strip_prefix(&front).map(str::to_owned).unwrap_or(said)
    }
}

#[test]
fn names_of_versions_are_refused_as_git_refuses_them() {
    let world = World::new();
    world.branch("main", &world.commit(EMPTY_TREE, "empty"));
    let table = [
        ("--output=x", "it begins with a dash or a slash, or ends with a slash or a dot"),
        ("-q", "it begins with a dash or a slash, or ends with a slash or a dot"),
        ("a/", "it begins with a dash or a slash, or ends with a slash or a dot"),
        ("refs/heads/../../x", "it holds .., @{ or //"),
        ("a..b", "it holds .., @{ or //"),
        ("a.lock", "a part begins with a dot or ends with .lock"),
        ("a b", "it holds a space, a control character or one of ~^?*[\\"),
        ("a~1", "it holds a space, a control character or one of ~^?*[\\"),
        ("a\nb", "it holds a space, a control character or one of ~^?*[\\"),
    ];
    for (reference, why) in table {
        let expected = format!(
            "loggia: fetching the root of {}: {reference:?} names no branch, tag, commit or range of versions: \
             {why} [git.ref_invalid]\n",
            world.path().display()
        );
        assert_eq!(world.refused(&format!("r.git@{reference}")), expected);
    }
    for refspec in [":main", "+main:other", "main:other", "+main"] {
        let expected = format!(
            "loggia: fetching the root of {}: {refspec:?} is a refspec, which moves or deletes refs; name one \
             branch, tag, commit or range of versions [git.refspec_denied]\n",
            world.path().display()
        );
        assert_eq!(world.refused(&format!("r.git@{refspec}")), expected);
    }
}

#[test]
fn names_that_mean_two_things_are_refused_with_both() {
    let world = World::new();
    // Two commits whose ids begin with the same seven digits.
    let [one, other] = ["2369", "3407"].map(|message| world.commit(EMPTY_TREE, message));
    assert_eq!((&one[..7], &other[..7]), ("265bac6", "265bac6"));
    world.branch("both", &one);
    world.git(&["update-ref", "refs/tags/both", &other]);
    let front = world.front();
    let expected = format!(
        "{front}both is both a branch ({one}) and a tag ({other}); name one: refs/heads/both or refs/tags/both \
         [git.ref_ambiguous]\n"
    );
    assert_eq!(world.refused("r.git@both"), expected);
    let expected = format!(
        "{front}several commits begin with 265bac6; give more of the one that is meant: {other}, {one} \
         [git.ref_ambiguous]\n"
    );
    assert_eq!(world.refused("r.git@265bac6"), expected);
    let unknown = "there is no commit fffffff; is it pushed, and is it in a branch or a tag? [git.commit_missing]\n";
    assert_eq!(world.refused("r.git@fffffff"), format!("{front}{unknown}"));
    let whole = "f".repeat(40);
    assert_eq!(world.refused(&format!("r.git@{whole}")), format!("{front}{}", unknown.replace("fffffff", &whole)));
}

#[test]
fn entries_that_another_system_reads_as_git_are_refused() {
    let world = World::new();
    let kptfile = world.object("blob", KPTFILE.as_bytes());
    let table = [
        (".git", ".git", "it names .git"),
        (".GIT", ".GIT", "it names .git"),
        ("git~1", "git~1", "it names .git"),
        (".git::$INDEX_ALLOCATION", ".git::$INDEX_ALLOCATION", "it names .git"),
        (".g\u{200c}it", ".g\\u{200c}it", "it names .git"),
        ("a\\b", "a\\\\b", "it holds a control character or a backslash"),
        ("a\u{1b}[2Jb", "a\\u{1b}[2Jb", "it holds a control character or a backslash"),
        ("..", "..", "it leaves the package"),
    ];
    for (name, shown, why) in table {
        for mode in ["100644", "40000"] {
            let id = if mode == "40000" { world.tree(&[("100644", "config", &kptfile)]) } else { kptfile.clone() };
            let tree = world.tree(&[(mode, name, &id)]);
            world.branch("main", &world.commit(&tree, "bad"));
            assert_eq!(world.reason(), format!("{shown} in {tree} is refused: {why} [git.entry_forbidden]\n"));
        }
    }
}

#[test]
fn trees_that_are_none_are_refused() {
    let world = World::new();
    let kptfile = world.object("blob", KPTFILE.as_bytes());
    let commit = world.commit(EMPTY_TREE, "empty");
    let bad = [
        vec![("100644", "Kptfile", kptfile.as_str()), ("100644", "Kptfile", kptfile.as_str())],
        vec![("100644", "b", kptfile.as_str()), ("100644", "Kptfile", kptfile.as_str())],
        vec![("100644", "a", kptfile.as_str()), ("40000", "a", EMPTY_TREE)],
    ];
    for entries in bad {
        let tree = world.tree(&entries);
        world.branch("main", &world.commit(&tree, "bad"));
        let expected = format!(
            "object {tree} cannot be read: the entries of tree {tree} are not in order, or one is there twice \
             [git.tree_malformed]\n"
        );
        assert_eq!(world.reason(), expected);
    }
    let tree = world.tree(&[("100644", "Kptfile", &kptfile), ("160000", "vendor", &commit)]);
    world.branch("main", &world.commit(&tree, "a submodule"));
    let expected = format!("vendor in {tree} is refused: submodules are not read [git.submodule_denied]\n");
    assert_eq!(world.reason(), expected);
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n";
    let pointer = world.object("blob", pointer.as_bytes());
    let tree = world.tree(&[("100644", "Kptfile", &kptfile), ("100644", "logo.png", &pointer)]);
    world.branch("main", &world.commit(&tree, "a pointer"));
    let expected = format!(
        "logo.png in {tree} is refused: it is a pointer of git LFS instead of the file; commit the file itself \
         [git.lfs_unsupported]\n"
    );
    assert_eq!(world.reason(), expected);
}

/// `.gitattributes` may name filters, that is, programs: none is run, and what is stored is what one gets.
#[test]
fn filters_are_not_run() {
    let world = World::new();
    let ids = [KPTFILE, "* filter=evil\n", "as it is\r\n"].map(|text| world.object("blob", text.as_bytes()));
    let tree = world.tree(&[
        ("100644", ".gitattributes", &ids[1]),
        ("100644", "Kptfile", &ids[0]),
        ("100644", "notes.txt", &ids[2]),
    ]);
    world.branch("main", &world.commit(&tree, "a filter"));
    let evil = world.0.path("evil");
    world.git(&["config", "filter.evil.smudge", &format!("touch {}", evil.display())]);
    Said::of(world.0.loggia().args(["pkg", "get", "r.git", "p"]).output().unwrap()).fine();
    assert_eq!(world.0.read("p/notes.txt"), "as it is\r\n");
    assert!(!evil.exists());
}

#[test]
fn commits_that_are_none_or_too_large_are_refused() {
    let world = World::new();
    let commit = world.commit(EMPTY_TREE, &"x".repeat(2 << 20));
    world.branch("main", &commit);
    let size = (2 << 20) + 1 + world.git(&["cat-file", "commit", &commit]).find("\n\n").unwrap() + 2;
    let expected =
        format!("the commit in {commit} is refused: it has {size} bytes; the limit is 1048576 [git.object_limit]\n");
    assert_eq!(world.reason(), expected);
    let who = "A Person <person@example.com>";
    for author in [
        "A Person person@example.com".to_owned(),
        String::new(),
        format!("{who} tomorrow +0000"),
        format!("{who} 99999999999999999999999 +0000"),
        "A\0Person <person@example.com> 1700000000 +0000".to_owned(),
    ] {
        let text = format!("tree {EMPTY_TREE}\nauthor {author}\ncommitter {author}\n\nx\n");
        let commit = world.object("commit", text.as_bytes());
        world.branch("main", &commit);
        let reason = world.reason();
        let front = format!("object {commit} cannot be read: it is no proper commit: ");
        assert!(reason.starts_with(&front) && reason.ends_with(" [git.object_malformed]\n"), "{author:?}: {reason}");
    }
    let parents = format!("parent {}\n", "a".repeat(40)).repeat(30_000);
    let text = format!("tree {EMPTY_TREE}\n{parents}author {who} 1 +0000\ncommitter {who} 1 +0000\n\nx\n");
    let commit = world.object("commit", text.as_bytes());
    world.branch("main", &commit);
    let front = format!("the commit in {commit} is refused: it has {} bytes; the limit is 1048576 ", text.len());
    assert_eq!(world.reason(), format!("{front}[git.object_limit]\n"));
}

#[test]
fn a_damaged_pack_is_an_error() {
    let world = World::new();
    let kptfile = world.object("blob", KPTFILE.repeat(50).as_bytes());
    let tree = world.tree(&[("100644", "Kptfile", &kptfile)]);
    world.branch("main", &world.commit(&tree, "good"));
    world.git(&["gc", "-q", "--prune=now"]);
    let packs = fs::read_dir(world.path().join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    let pack = packs.into_iter().find(|path| path.extension().is_some_and(|end| end == "pack")).unwrap();
    let good = fs::read(&pack).unwrap();
    fs::remove_file(&pack).unwrap();
    for at in (12..good.len() - 20).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        fs::write(&pack, bad).unwrap();
        let said = Said::of(world.0.loggia().args(["pkg", "get", "-q", "r.git", "p"]).output().unwrap());
        assert_eq!(said.code, 2, "{at}: {}", said.err);
        assert!(said.err.starts_with("loggia: fetching the root of ") && !said.err.contains("panicked"));
        assert!(!world.0.path("p").exists());
    }
}

#[test]
fn places_that_could_run_or_tell_something_are_refused() {
    let world = World::new();
    let allowed = "allowed are paths, file://, http:// and https:// [git.url_scheme]";
    let local = "allowed are paths, file://, http://, https://, ssh:// and oci:// [git.url_scheme]";
    let port = |port: &str| format!("its port is {port}; a port is a number from 1 to 65535 [git.url_invalid]");
    let option = "a part of it begins with a dash, or it holds a control character [git.url_invalid]";
    let percent = "it holds a control character that is percent-encoded [git.url_invalid]";
    let user = "its user begins with a dash [git.url_invalid]";
    let dash = "it is empty, starts with a dash or holds a control character [git.url_invalid]";
    let table = [
        ("ext::sh -c touch% x.git", "ext::sh -c touch% x.git", format!("remote helpers are not run; {allowed}")),
        ("--upload-pack=x.git", "--upload-pack=x.git", dash.to_owned()),
        ("a\r\nb.git", "a\\r\\nb.git", dash.to_owned()),
        ("git://127.0.0.1/r.git", "git://127.0.0.1/r.git", local.to_owned()),
        ("ssh://-oProxyCommand=x/r.git", "ssh://-oProxyCommand=x/r.git", option.to_owned()),
        ("ssh://-l@host/r.git", "ssh://host/r.git", option.to_owned()),
        ("git@host:-x.git", "git@host:-x.git", option.to_owned()),
        ("ssh://host:99999/r.git", "ssh://host:99999/r.git", port("\"99999\"")),
        (
            "ssh://u:hunter2@host/r.git",
            "ssh://host/r.git",
            "ssh is given no password; it asks for it, or uses a key [git.url_credentials]".to_owned(),
        ),
        (
            "ssh:///r.git",
            "ssh:///r.git",
            "it names no host or no path; write ssh://USER@HOST/PATH or USER@HOST:PATH [git.url_invalid]".to_owned(),
        ),
        (
            "ssh://169.254.169.254/r.git",
            "ssh://169.254.169.254/r.git",
            "link-local addresses are those of a machine's own services [net.denied]".to_owned(),
        ),
        ("https://u:hunter2@host:70000/r.git", "https://host:70000/r.git", port("\"70000\"")),
        ("http://host:abc/r.git", "http://host:abc/r.git", port("\"abc\"")),
        (
            "https://host:/r.git",
            "https://host:/r.git",
            "the port behind its colon is missing; a port is a number from 1 to 65535 [git.url_invalid]".to_owned(),
        ),
        (
            "http://u:hunter2@h/r.git",
            "http://h/r.git",
            "user and password are not sent in clear text; use https [git.url_credentials]".to_owned(),
        ),
        ("https:///r.git", "https:///r.git", "it names no host [git.url_invalid]".to_owned()),
        ("https://host/a%0ab/r.git", "https://host/a%0ab/r.git", percent.to_owned()),
        ("https://-x@host/r.git", "https://host/r.git", user.to_owned()),
        ("https://u%0d:p@host/r.git", "https://host/r.git", percent.to_owned()),
        (
            "https://[fe80::1%25eth0]/r.git",
            "(not shown)",
            "it is no URL; special characters in a password are percent-encoded [git.url_invalid]".to_owned(),
        ),
        (
            "http://169.254.169.254/latest/r.git",
            "http://169.254.169.254/latest/r.git",
            "link-local addresses are those of a machine's own services [net.denied]".to_owned(),
        ),
        (
            "http://[fe80::1]/r.git",
            "http://[fe80::1]/r.git",
            "link-local addresses are those of a machine's own services [net.denied]".to_owned(),
        ),
    ];
    for (place, shown, why) in table {
        let said = world.refused(place);
        let expected = format!(": git repository URL \"{shown}\" is refused: {why}\n");
        assert!(said.starts_with("loggia: fetching the root of ") && said.ends_with(&expected), "{said}");
        assert!(!said.contains("hunter2") && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn names_in_registries_are_read_strictly() {
    let world = World::new();
    let name = "a repository is lowercase letters, digits and . _ - between them, with / between its parts";
    let port = "its port is \"99999\"; a port is a number from 1 to 65535";
    let user = "user and password do not belong into the name of a registry's repository, and were left out here; sign in \
                with `docker login` or another tool that writes Docker's config.json, or for a Repository name a Secret in \
                spec.oci.secretRef [oci.credentials]";
    let short = "a sha256 digest has 64 lowercase hex digits; give all of them";
    let table = [
        ("oci://127.0.0.1:1/Web:v1", format!("reading \"oci://127.0.0.1:1/Web\": {name} [oci.reference]")),
        ("oci://127.0.0.1:1/web@sha256:abc", format!("reading \"sha256:abc\": {short} [oci.reference]")),
        (
            "oci://127.0.0.1:1/web@md5:d41d8cd98f00b204e9800998ecf8427e",
            "reading the digest \"md5:d41d8cd98f00b204e9800998ecf8427e\": only sha256 digests are supported \
             [oci.digest_algorithm]"
                .to_owned(),
        ),
        (
            "oci://127.0.0.1:1/web",
            "fetching the root of oci://127.0.0.1:1/web: reading \"oci://127.0.0.1:1/web\": which version? Name a \
             tag (:v1), a range (:^1.2) or a digest (@sha256:...) [oci.reference]"
                .to_owned(),
        ),
        ("oci://host:99999/r:1", format!("reading \"oci://host:99999/r\": {port} [oci.reference]")),
        ("oci://user:secret@host:5000/r:1", format!("reading \"oci://host:5000/r:1\": {user}")),
        ("oci://user:se/cret@host/r:1", format!("reading \"oci://host/r:1\": {user}")),
        ("oci://secret@host/r@sha256:abc", format!("reading \"oci://host/r@sha256:abc\": {user}")),
        (
            "oci://127.0.0.1:1/web:v1//sub",
            "reading \"oci://127.0.0.1:1/web:v1//sub\": the version stands behind the directory: \
             oci://127.0.0.1:1/web//sub:v1 [oci.reference]"
                .to_owned(),
        ),
        (
            "oci://127.0.0.1:1/web@sha256:abc//sub",
            "reading \"oci://127.0.0.1:1/web@sha256:abc//sub\": the version stands behind the directory: \
             oci://127.0.0.1:1/web//sub@sha256:abc [oci.reference]"
                .to_owned(),
        ),
        (
            "oci://127.0.0.1:1/web//../x:v1",
            "reading \"oci://127.0.0.1:1/web//../x:v1\": path \"../x\" is not allowed: it leaves the package [path.escape]"
                .to_owned(),
        ),
    ];
    for (place, expected) in table {
        assert_eq!(world.refused(place), format!("loggia: {expected}\n"));
    }
}

#[test]
fn what_is_not_there_is_told_with_what_to_do() {
    let world = World::new();
    fs::create_dir(world.0.path("folder.git")).unwrap();
    let table = [
        ("missing.git", "there is no such directory; is its path right? [git.missing]"),
        ("folder.git", "; name the directory of a repository, or make one with `git init` [git.missing]"),
        (
            "missing/web",
            " A repository elsewhere is named by its URL and ends with .git, as in https://example.com/repo.git/dir@v1 [git.missing]",
        ),
        (
            "http://127.0.0.1:1/r.git",
            ": fetching failed: Connection refused (os error 111); does the server run, and is the port right? [git.unreachable]",
        ),
        (
            "https://nosuch.invalid/r.git",
            "; is the host's name right, and does this machine know it? [git.unreachable]",
        ),
        (
            "oci://127.0.0.1:1/r:v1",
            ": the registry cannot be reached: Connection refused (os error 111); does the server run, and is the port right? [oci.unreachable]",
        ),
        ("oci://nosuch.invalid/r:v1", "; is the host's name right, and does this machine know it? [oci.unreachable]"),
    ];
    for (place, why) in table {
        let said = world.refused(place);
        assert!(said.ends_with(&format!("{why}\n")), "{said}");
    }
    assert!(world.refused("https://user:secret@host/r").contains("reading \"https://host/r\": "));
    // Whoever listens there speaks no TLS.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("https://{}/r.git", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let said = world.refused(&place);
    assert!(said.contains("does the server speak https on this port? [git.unreachable]"), "{said}");
}

/// Servers that are none of git.
#[test]
fn answers_that_are_none_are_told_with_what_to_do() {
    let world = World::new();
    for (status, why) in [
        ("404 Not Found", "is there a repository at this URL, and may everybody read it? [git.missing]"),
        ("503 Service Unavailable", "try again later, or ask who runs the server [git.answer]"),
        ("200 OK", "is this the URL that `git clone` takes? [git.answer]"),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = format!("http://{}/r.git", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
                let head = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
                let _ = stream.write_all(head.as_bytes());
            }
        });
        let said = world.refused(&place);
        assert!(said.ends_with(&format!("; {why}\n")), "{status}: {said}");
    }
}

#[test]
fn what_is_not_in_a_repository_is_told() {
    let world = World::new();
    assert_eq!(
        world.reason(),
        "the repository is empty: it has no branch and no tag; push a commit to it first [git.empty]\n"
    );
    let commit = world.commit(EMPTY_TREE, "one");
    world.branch("a", &commit);
    world.branch("b", &commit);
    assert_eq!(
        world.reason(),
        "the repository has no branch main or master and not exactly one other; name a version with @REF \
         [git.ref_not_found]\n"
    );
    let front = world.front();
    let expected = format!("{front}there is no branch, tag or commit c; there are a, b [git.ref_not_found]\n");
    assert_eq!(world.refused("r.git@c"), expected);
    world.git(&["symbolic-ref", "HEAD", "refs/heads/a"]);
    world.branch("a", &world.commit(EMPTY_TREE, "no child"));
    let shallow = world.0.path("shallow");
    git(world.0.root(), &["clone", "-q", "--depth=1", &format!("file://{}", world.path().display()), "shallow"]);
    assert!(shallow.join(".git/shallow").is_file());
    let front = format!(
        "loggia: fetching the root of {}: {}: ",
        shallow.canonicalize().unwrap().display(),
        shallow.join(".git").canonicalize().unwrap().display()
    );
    let expected = format!(
        "{front}there is no commit {}: the repository is a shallow one; deepen it with `git fetch --unshallow` \
         [git.shallow]\n",
        &commit[..10]
    );
    assert_eq!(world.refused(&format!("shallow@{}", &commit[..10])), expected);
}
