//! Packages in a real OCI registry, pushed by the programs that people push with: tar, crane, helm.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says what it did not run"
)]

use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::process::Command;

use program::{Folder, Said};
use registry::{Registry, checked, tool};

#[path = "support/program.rs"]
mod program;
#[path = "support/registry.rs"]
mod registry;
#[path = "support/wasm.rs"]
mod wasm;

const KPTFILE: &str = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: web\n";
const CONFIG: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\ndata:\n  color: blue\n  size: small # ours to choose\n";

struct World {
    folder: Folder,
    registry: Registry,
}

impl Deref for World {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.folder
    }
}

impl World {
    /// `packages/web` is there as `v1.0.0` and `v1.1.0`, which is red; `None` where the programs are not.
    fn new(locked: bool) -> Option<Self> {
        let folder = Folder::new();
        let registry = Registry::start(&folder.path("registry"), locked)?;
        let world = Self { folder, registry };
        if locked {
            world.registry.sign_in();
        }
        world.write("web/Kptfile", KPTFILE);
        world.write("web/web.yaml", CONFIG);
        world.write("web/sub/Kptfile", &KPTFILE.replace("name: web", "name: sub"));
        world.registry.push(&world.path("web"), "packages/web:v1.0.0");
        world.write("web/web.yaml", &CONFIG.replace("blue", "red"));
        world.write("web/notes.txt", "second\n");
        world.registry.push(&world.path("web"), "packages/web:v1.1.0");
        Some(world)
    }

    /// What is said with the certificates of a file as those of the system.
    fn trusting(&self, certificates: &Path, args: &[&str]) -> Said {
        let mut loggia = self.loggia();
        let loggia = loggia.arg("pkg").args(args).env("DOCKER_CONFIG", self.registry.credentials());
        Said::of(loggia.env("SSL_CERT_FILE", certificates).output().unwrap())
    }

    fn run(&self, args: &[&str]) -> Said {
        let mut loggia = self.loggia();
        Said::of(loggia.arg("pkg").args(args).env("DOCKER_CONFIG", self.registry.credentials()).output().unwrap())
    }

    /// Runs what has to succeed; gives what it printed.
    fn done(&self, args: &[&str]) -> String {
        self.run(args).fine().out
    }

    /// Runs what has to fail with these words.
    fn fails(&self, args: &[&str], words: &[&str]) {
        self.run(args).failed(words);
    }
}

/// As Docker has them: a folder with certificates for each registry.
#[test]
fn a_registry_may_have_an_authority_of_its_own() {
    let Some(mut world) = World::new(false) else { return };
    if Command::new("openssl").arg("version").output().is_err() {
        println!("not run: there is no openssl");
        return;
    }
    let authority = world.registry.secure();
    let place = world.registry.place("packages/web:v1.0.0");
    let name = world.registry.name("");
    let folder = world.registry.credentials().join("certs.d").join(name.trim_end_matches('/'));
    world.fails(&["get", &place, "mine"], &["the registry answered 400", "[oci.answer]"]);
    fs::create_dir_all(&folder).unwrap();
    world.fails(&["get", &place, "mine"], &["UnknownIssuer", "SSL_CERT_FILE names a file", "[oci.unreachable]"]);
    world.trusting(&authority, &["get", &place, "mine"]).fine();
    assert!(world.read("mine/web.yaml").contains("color: blue"));
    fs::copy(&authority, folder.join("ca.crt")).unwrap();
    world.done(&["get", &place, "other"]);
    assert_eq!(world.read("other/web.yaml"), world.read("mine/web.yaml"));
    fs::write(folder.join("ca.crt"), "none").unwrap();
    world.fails(&["get", &place, "third"], &["ca.crt: it holds no certificate in PEM [oci.unreachable]"]);
}

#[test]
fn a_package_is_got_compared_and_updated() {
    let Some(world) = World::new(false) else { return };
    let place = world.registry.place("packages/web");
    let name = world.registry.name("packages/web");
    world.done(&["get", &format!("{place}:v1.0.0"), "mine"]);
    let digest = world.registry.crane(&["digest", &format!("{name}:v1.0.0")]);
    let expected = format!(
        "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: mine\nupstream:\n  type: oci\n  oci:\n    image: {name}:v1.0.0\n  \
         updateStrategy: resource-merge\nupstreamLock:\n  type: oci\n  oci:\n    image: {name}:v1.0.0\n    digest: {}\n",
        digest.trim()
    );
    assert_eq!(world.read("mine/Kptfile").replace('"', ""), expected);
    assert!(world.read("mine/web.yaml").contains("color: blue"));
    assert_eq!(world.done(&["diff", "mine"]), "");
    let text = world.read("mine/web.yaml").replace("size: small", "size: large");
    fs::write(world.path("mine/web.yaml"), text).unwrap();
    let said = world.run(&["diff", "mine@v1.1.0", "--diff-type", "3way"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.out.contains("+  color: red") && said.out.contains("+  size: large"), "{}", said.out);
    // The tag moves; what was fetched does not.
    world.registry.crane(&["tag", &format!("{name}:v1.1.0"), "v1.0.0"]);
    assert!(world.run(&["diff", "mine"]).out.contains("-  size: small"), "the origin is known by its digest");
    world.done(&["update", "mine@^1"]);
    let merged = world.read("mine/web.yaml");
    assert!(merged.contains("color: red") && merged.contains("size: large # ours to choose"), "{merged}");
    assert_eq!(world.read("mine/notes.txt"), "second\n");
    let kptfile = world.read("mine/Kptfile");
    assert!(
        kptfile.contains(&format!("image: {name}:^1\n")) && kptfile.contains(&format!("image: {name}:v1.1.0\n")),
        "{kptfile}"
    );
    world.done(&["update", "mine"]);
    assert_eq!(world.read("mine/Kptfile"), kptfile);
    let valid = world.loggia().arg("validate").arg(world.path("mine")).output().unwrap();
    assert!(valid.status.success(), "{}", String::from_utf8_lossy(&valid.stderr));
}

#[test]
fn versions_are_tags_digests_and_ranges() {
    let Some(world) = World::new(false) else { return };
    let place = world.registry.place("packages/web");
    let first = world.registry.crane(&["digest", &world.registry.name("packages/web:v1.0.0")]);
    let first = first.trim();
    for (reference, color) in [
        (":v1.0.0".to_owned(), "blue"),
        (":~1.0".to_owned(), "blue"),
        ("@^1".to_owned(), "red"),
        (":>=1 <2".to_owned(), "red"),
        (format!("@{first}"), "blue"),
        (format!(":v1.1.0@{first}"), "blue"),
    ] {
        world.done(&["get", &format!("{place}{reference}"), "p"]);
        assert!(world.read("p/web.yaml").contains(color), "{reference}");
        world.done(&["update", "p"]);
        fs::remove_dir_all(world.path("p")).unwrap();
    }
    world.done(&["get", &format!("{place}//sub:v1.0.0")]);
    assert!(world.read("sub/Kptfile").contains("directory: /sub\n"), "{}", world.read("sub/Kptfile"));
    let table: [(&str, &[&str]); 7] = [
        ("", &["oci.reference", "which version?"]),
        (":v9", &["oci.not_found", "MANIFEST_UNKNOWN"]),
        (":^9", &["oci.not_found", "no tag is in the range ^9", "v1.1.0"]),
        ("@sha256:abc", &["oci.reference"]),
        ("@md5:abc", &["oci.digest_algorithm"]),
        ("//none:v1.0.0", &["there is no directory none in v1.0.0; packages there: sub", "package.missing"]),
        ("//../x:v1.0.0", &["path.escape"]),
    ];
    for (reference, words) in table {
        world.fails(&["get", &format!("{place}{reference}"), "p"], words);
    }
    world.fails(&["get", &world.registry.place("packages/none:v1"), "p"], &["oci.not_found", "packages/none"]);
    world.fails(&["get", "oci://127.0.0.1:1/a:v1", "p"], &["oci.unreachable"]);
    assert!(!world.path("p").exists());
}

#[test]
fn a_locked_registry_wants_a_password() {
    let Some(world) = World::new(true) else { return };
    let place = format!("{}:v1.0.0", world.registry.place("packages/web"));
    world.done(&["get", &place, "mine"]);
    let config = world.registry.credentials().join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::remove_file(&config).unwrap();
    world.fails(&["get", &place, "p"], &["wants a user and a password", "docker login", "oci.auth"]);
    let wrong: serde_json::Value = serde_json::from_str(&text).unwrap();
    let host = wrong["auths"].as_object().unwrap().keys().next().unwrap().clone();
    // base64 of someone:wrong
    fs::write(&config, serde_json::json!({"auths": {host: {"auth": "c29tZW9uZTp3cm9uZw=="}}}).to_string()).unwrap();
    world.fails(&["get", &place, "p"], &["oci.auth"]);
}

/// A folder as a gzipped tar, by the real program.
fn packed(folder: &Path) -> Vec<u8> {
    Command::new("tar").args(["-C", folder.to_str().unwrap(), "-czf", "-", "."]).output().unwrap().stdout
}

#[test]
fn artifacts_of_flux_and_layers_over_one_another_are_read() {
    let Some(world) = World::new(false) else { return };
    let layer = packed(&world.path("web"));
    let flux = world.registry.blob("flux/web", "application/vnd.cncf.flux.content.v1.tar+gzip", &layer);
    let digest = world.registry.manifest("flux/web", "v1", "application/vnd.cncf.flux.config.v1+json", &[flux]);
    world.done(&["get", &format!("{}:v1", world.registry.place("flux/web")), "flux"]);
    assert!(world.read("flux/web.yaml").contains("red") && world.read("flux/Kptfile").contains(&digest));
    let upper = world.path("upper");
    fs::create_dir(&upper).unwrap();
    fs::write(upper.join(".wh.notes.txt"), "").unwrap();
    fs::write(upper.join("web.yaml"), CONFIG.replace("blue", "green")).unwrap();
    let kind = "application/vnd.oci.image.layer.v1.tar+gzip";
    let layers = [&layer, &packed(&upper)].map(|layer| world.registry.blob("two/web", kind, layer));
    world.registry.manifest("two/web", "v1", "application/vnd.oci.image.config.v1+json", &layers);
    world.done(&["get", &format!("{}:v1", world.registry.place("two/web")), "two"]);
    assert!(world.read("two/web.yaml").contains("green") && !world.path("two/notes.txt").exists());
    let other = world.registry.blob("other/web", "text/plain", b"hello");
    world.registry.manifest("other/web", "v1", "application/vnd.oci.empty.v1+json", &[other]);
    world.fails(&["get", &format!("{}:v1", world.registry.place("other/web")), "p"], &["text/plain", "oci.media_type"]);
}

#[test]
fn an_artifact_that_leaves_the_package_changes_nothing() {
    let Some(world) = World::new(false) else { return };
    std::os::unix::fs::symlink("../../../etc/passwd", world.path("web/out")).unwrap();
    world.registry.push(&world.path("web"), "packages/web:v2");
    let place = world.registry.place("packages/web");
    world.fails(&["get", &format!("{place}:v2"), "p"], &["path.symlink", "../../../etc/passwd", "layer sha256:"]);
    assert!(!world.path("p").exists());
    world.done(&["get", &format!("{place}:v1.0.0"), "mine"]);
    world.fails(&["update", "mine@v2"], &["path.symlink"]);
    assert!(world.read("mine/web.yaml").contains("blue"));
}

#[test]
fn charts_that_helm_pushed_are_packages() {
    let Some(world) = World::new(false) else { return };
    let Some(helm) = tool("helm") else { return };
    let helm = |args: &[&str]| {
        let output = Command::new(&helm).args(args).current_dir(world.root()).env("HOME", world.path("home")).output();
        checked("helm", args, &output.unwrap())
    };
    let chart = world.path("chart");
    fs::create_dir_all(chart.join("templates")).unwrap();
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: chart\nversion: 1.2.3+build.4\n").unwrap();
    fs::write(chart.join("values.yaml"), "color: blue\n").unwrap();
    fs::write(chart.join("templates/web.yaml"), "{{ if .Values.color }}\n# {{ .Values.color }}\n{{ end }}\n").unwrap();
    helm(&["package", "chart"]);
    helm(&["push", "chart-1.2.3+build.4.tgz", &world.registry.place("charts"), "--plain-http"]);
    world.done(&["get", &format!("{}:^1.2", world.registry.place("charts/chart")), "mine"]);
    assert_eq!(world.read("mine/values.yaml"), "color: blue\n");
    assert!(world.read("mine/templates/web.yaml").contains("{{ .Values.color }}"));
    assert!(world.read("mine/Kptfile").contains("chart:1.2.3_build.4\n"), "{}", world.read("mine/Kptfile"));
}

/// A module that answers with what it is given, and says a word of five letters.
fn module(word: &str) -> Vec<u8> {
    wat::parse_str(wasm::command(word, wasm::COPY)).unwrap()
}

impl World {
    /// Pushes a file of this name as the only one of an image; gives its digest.
    fn push_file(&self, image: &str, name: &str, bytes: &[u8]) -> String {
        let folder = self.path(&format!("pushed-{}", image.replace(['/', ':'], "-")));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
        self.registry.push(&folder, image)
    }

    /// Renders a package whose only function is this image.
    fn renders(&self, image: &str) -> Said {
        let pipeline = format!("{KPTFILE}pipeline:\n  mutators:\n  - image: {image}\n");
        self.write("calls/Kptfile", &pipeline);
        self.write("calls/map.yaml", CONFIG);
        let mut loggia = self.loggia();
        loggia.args(["fn", "render", "calls", "--allow-alpha-wasm"]).env("PATH", "/usr/bin:/bin");
        Said::of(loggia.env("DOCKER_CONFIG", self.registry.credentials()).output().unwrap())
    }
}

#[test]
fn functions_are_modules_out_of_a_registry() {
    let Some(mut world) = World::new(false) else { return };
    let name = world.registry.name("fn/copy");
    let first = world.push_file("fn/copy:v1.0.0", "copy.wasm", &module("first"));
    world.push_file("fn/copy:v1.1.0", "other.wasm", &module("other"));
    for (version, word) in
        [(":v1.0.0".to_owned(), "first"), (":v1.1.0".to_owned(), "other"), (format!("@{first}"), "first")]
    {
        let said = world.renders(&format!("{name}{version}")).fine();
        assert!(said.err.contains(&format!("Stderr: {word}")), "{version}: {}", said.err);
        assert_eq!(world.read("calls/map.yaml"), CONFIG);
    }
    // As kpt pushes them: beside the container's image, for a platform of its own.
    let described = |os: &str, machine: &str, digest: &str| {
        let manifest = world.registry.crane(&["manifest", &format!("{name}@{digest}")]);
        serde_json::json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest,
            "size": manifest.trim_end_matches('\n').len(), "platform": {"os": os, "architecture": machine}})
    };
    let container = world.push_file("fn/copy:container", "copy", b"\x7fELF");
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [described("linux", "amd64", &container), described("js", "wasm", &first)]});
    world.registry.document("fn/copy", Some("v2.0.0"), &index);
    assert!(world.renders(&format!("{name}:v2.0.0")).fine().err.contains("Stderr: first"));

    world.renders(&format!("{name}:container")).failed(&["its file copy is no WASM module", "fn.no_runner"]);
    world.renders(&format!("{name}:v9")).failed(&["oci.not_found", "fn.no_runner"]);
    let pair = world.registry.push(&world.path("web"), "fn/two:v1");
    let two = world.registry.name("fn/two");
    world.renders(&format!("{two}@{pair}")).failed(&["the image of a WASM module has one", "fn.no_runner"]);

    // What is named by its digest is pulled once; a tag may have moved.
    world.registry.down();
    assert!(world.renders(&format!("{name}@{first}")).fine().err.contains("Stderr: first"));
    world.renders(&format!("{name}:v1.0.0")).failed(&["oci.unreachable"]);
    world.registry.up();
    let kept = world.path("cache/loggia/cache/wasm").join(format!("{}.module", first.trim_start_matches("sha256:")));
    fs::write(&kept, "0".repeat(100)).unwrap();
    assert!(
        world.renders(&format!("{name}@{first}")).fine().err.contains("Stderr: first"),
        "a damaged one is pulled again"
    );
}

/// As `docker login` leaves them where a program keeps them.
#[test]
fn a_program_keeps_the_credentials() {
    let Some(world) = World::new(true) else { return };
    let place = format!("{}:v1.0.0", world.registry.place("packages/web"));
    fs::write(world.registry.credentials().join("config.json"), r#"{"auths": {}, "credsStore": "ours"}"#).unwrap();
    world.fails(&["get", &place, "p"], &["docker-credential-ours keeps them and cannot be run", "oci.auth"]);
    let answer = "cat > asked; echo '{\"ServerURL\":\"x\",\"Username\":\"someone\",\"Secret\":\"secret\"}'";
    world.program("bin/docker-credential-ours", answer);
    let path = format!("{}:/usr/bin:/bin", world.path("bin").display());
    let mut loggia = world.loggia();
    loggia.args(["pkg", "get", &place, "p"]).env("DOCKER_CONFIG", world.registry.credentials()).env("PATH", path);
    Said::of(loggia.output().unwrap()).fine();
    assert!(world.read("p/web.yaml").contains("blue"));
    assert!(place.contains(&world.read("asked")));
}
