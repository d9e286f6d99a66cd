//! Blueprints from a real registry, and signatures that the reconciler demands of blueprints.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says what it did not run"
)]

#[path = "support/desk.rs"]
mod desk;
#[path = "support/git.rs"]
mod git;
#[path = "support/git_server.rs"]
mod git_server;
#[path = "support/registry.rs"]
mod registry;
#[path = "support/signing.rs"]
mod signing;

use std::path::{Path, PathBuf};

use desk::{Desk, example};
use git::git;
use loggia::app::functions::{Functions, LocalRunner};
use loggia::cluster::{Apply, Delete};
use loggia::domain::krm::{Gvk, Object, ObjectId};
use registry::Registry;
use serde_json::{Value, json};
use signing::{cosign, cosign_key, is_there, ssh_key};

const REPOSITORY: (&str, &str, &str) = ("config.porch.kpt.dev", "v1alpha1", "Repository");

/// A desk whose blueprints are in a registry, where `team/upf:v1` is the example.
struct World {
    desk: Desk,
    registry: Registry,
}

impl World {
    async fn new(spec: Value) -> Option<Self> {
        Self::with(spec, false).await
    }

    /// `locked`, it lets in only who has the Secret `pull`.
    async fn with(spec: Value, locked: bool) -> Option<Self> {
        let desk = Desk::new().await;
        let registry = Registry::start(&desk.dir.path().join("registry"), locked)?;
        if locked {
            registry.sign_in();
        }
        let world = Self { desk, registry };
        world.push("v1", "");
        let (group, version, kind) = REPOSITORY;
        let id = ObjectId {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: "default".to_owned(),
            name: "blueprints".to_owned(),
        };
        let gone = world.desk.management.delete(None, &Gvk::new(group, version, kind), &id, &Delete::default()).await;
        gone.unwrap();
        let mut all = json!({"type": "oci", "oci": {"registry": world.registry.name("team")}});
        if locked {
            all["oci"]["secretRef"] = json!({"name": "pull"});
        }
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        world.register("artifacts", all).await;
        Some(world)
    }

    async fn register(&self, name: &str, spec: Value) {
        self.apply(name, spec).await.unwrap();
    }

    async fn apply(&self, name: &str, spec: Value) -> Result<(), String> {
        repository(&self.desk, name, spec).await
    }

    /// Pushes the example with a line added to its Service; gives the digest.
    fn push(&self, tag: &str, line: &str) -> String {
        let folder = self.desk.dir.path().join("package");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo/blueprints/upf"), &folder);
        let service = folder.join("service.yaml");
        let text = std::fs::read_to_string(&service).unwrap();
        std::fs::write(service, format!("{text}{line}")).unwrap();
        self.registry.push(&folder, &format!("team/upf:{tag}"))
    }

    /// What the intent says: its message, and whether it is Ready.
    async fn intent(&self) -> (String, bool) {
        told(&self.desk).await
    }

    async fn says(&self, words: &str) {
        self.desk.eventually(&format!("the intent says {words}"), async || self.intent().await.0.contains(words)).await;
    }

    async fn repository_says(&self, kind: &str, status: &str, words: &str) {
        let says = async || {
            let (found, message) = self.desk.condition("artifacts", kind).await;
            found == status && message.contains(words)
        };
        self.desk.eventually(&format!("the repository says {kind} {status} {words}"), says).await;
    }

    async fn settles(&self) {
        self.desk.eventually("it is settled", async || self.desk.summary().await == "settled").await;
    }
}

async fn repository(desk: &Desk, name: &str, spec: Value) -> Result<(), String> {
    let (group, version, kind) = REPOSITORY;
    let object = json!({
        "apiVersion": format!("{group}/{version}"), "kind": kind, "metadata": {"name": name, "namespace": "default"},
        "spec": spec
    });
    let applied = desk.management.apply(None, &Object::new(object).unwrap(), &Apply::new("person").forced()).await;
    applied.map(drop).map_err(|error| error.to_string())
}

async fn told(desk: &Desk) -> (String, bool) {
    let intent = desk.get("nephoran.com", "v1", "CNFDeployment", "upf-edge").await;
    let message = intent["status"]["message"].as_str().unwrap_or_default().to_owned();
    (message, intent["status"]["conditions"][0]["status"] == "True")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

fn kptfile(desk: &Desk) -> String {
    git(&desk.world.repository("deployments"), &["show", "main:core/upf-edge/Kptfile"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_is_made_from_an_artifact_and_a_moved_tag_is_told() {
    let Some(world) = World::new(json!({})).await else { return };
    let desk = &world.desk;
    world.repository_says("Ready", "True", "1 revisions of 1 packages").await;
    let name = world.registry.name("team/upf:v1");
    let digest = world.registry.crane(&["digest", &name]).trim().to_owned();
    let revision = desk.get("porch.kpt.dev", "v1alpha2", "PackageRevision", "artifacts.upf.v1").await;
    assert_eq!(revision["status"]["digest"], digest.as_str(), "{revision}");

    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    let open = async || desk.loggia(&["get", "proposals", "1"]).0 == 0;
    desk.eventually("a proposal opens", open).await;
    let body = desk.loggia(&["get", "proposals", "1"]).1;
    assert!(body.contains(&digest), "the proposal says what it is made from: {body}");
    let checkout = desk.checkout.to_str().unwrap().to_owned();
    let (code, plan) = desk.loggia(&["plan", &checkout, "-o", "name"]);
    assert_eq!(code, 0, "{plan}");
    assert!(desk.loggia(&["get", "proposals", "1", "-o", "json"]).1.contains(plan.trim()), "a laptop plans the same");
    desk.approve("1").await;
    world.settles().await;
    let text = kptfile(desk);
    let lock = text.split("upstreamLock:").nth(1).unwrap().replace('"', "");
    for line in ["type: oci".to_owned(), format!("digest: {digest}"), format!("image: {name}")] {
        assert!(lock.lines().any(|l| l.trim() == line), "{line} is not in {text}");
    }
    let (_, table) = desk.loggia(&["get", "repositories"]);
    assert!(table.contains(&world.registry.name("team")), "{table}");

    // The tag moves: nothing is made from it, nothing that runs changes.
    let running = desk.running().await;
    let other = world.push("v1", "# moved\n");
    world.repository_says("Ready", "False", &other).await;
    let (_, message) = desk.repository("artifacts").await;
    assert!(message.contains(&digest) && message.contains("[oci.moved]"), "{message}");
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml").replace("replicas: 2", "replicas: 3"));
    world.says("[oci.moved]").await;
    assert!(!world.intent().await.1, "it is not Ready");
    desk.stays("nothing is proposed", running.clone(), &["settled"]).await;
    assert_ne!(desk.loggia(&["get", "proposals", "2"]).0, 0);

    // Who sees the tag for the first time knows by the lock of the deployment.
    let (code, plan) = desk.loggia(&["plan", &checkout]);
    assert!(code == 2 && plan.contains("[oci.moved]") && plan.contains(&digest), "{plan}");

    // It is set back: the same revision is what it was, and the intent is followed.
    world.registry.crane(&["tag", &format!("{}@{digest}", world.registry.name("team/upf")), "v1"]);
    world.repository_says("Ready", "True", "1 revisions").await;
    desk.approve("2").await;
    world.says("settled").await;
    assert_eq!(desk.running().await, running);
    assert!(kptfile(desk).contains(&digest));

    // What was newest goes.
    world.registry.crane(&["delete", &format!("{}@{digest}", world.registry.name("team/upf"))]);
    world.repository_says("Ready", "True", "0 revisions").await;
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    world.says("no blueprint upf").await;
    desk.stays("what runs stays", running, &["settled"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_down_changes_nothing_that_runs() {
    let Some(mut world) = World::new(json!({})).await else { return };
    world.desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    world.desk.approve("1").await;
    world.settles().await;
    let running = world.desk.running().await;
    world.registry.down();
    world.repository_says("Ready", "False", "[oci.unreachable]").await;
    world.desk.stays("it goes on", running.clone(), &["settled"]).await;
    world.registry.up();
    world.repository_says("Ready", "True", "1 revisions").await;
    assert_eq!(world.desk.running().await, running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn artifacts_have_to_be_signed() {
    if !is_there("openssl") {
        return;
    }
    let keys = tempfile::tempdir().unwrap();
    let ours = cosign_key(keys.path(), "ours");
    cosign_key(keys.path(), "theirs");
    let Some(world) = World::new(json!({"verify": {"keys": [ours]}})).await else { return };
    let desk = &world.desk;
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    world.repository_says("Verified", "False", "team/upf:v1 is not signed").await;
    world.says("there is no tag sha256-").await;
    let digest = world.registry.crane(&["digest", &world.registry.name("team/upf:v1")]).trim().to_owned();
    cosign(keys.path(), "theirs", &world.registry, "team/upf", &digest);
    world.repository_says("Verified", "False", "is by another key").await;
    assert_ne!(desk.loggia(&["get", "proposals", "1"]).0, 0, "nothing is made from it");
    cosign(keys.path(), "ours", &world.registry, "team/upf", &digest);
    world.repository_says("Verified", "True", "is signed").await;
    desk.approve("1").await;
    world.settles().await;
    // The next version is not signed: it is told, and what runs is untouched, as is the wish for more of it.
    let running = desk.running().await;
    world.push("v2", "# second\n");
    world.repository_says("Verified", "False", "team/upf:v2 is not signed").await;
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml").replace("replicas: 2", "replicas: 3"));
    desk.approve("2").await;
    world.says("settled").await;
    assert_eq!(desk.running().await, running);
    assert!(kptfile(desk).contains(&digest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_in_git_have_to_be_signed() {
    if !is_there("ssh-keygen") {
        return;
    }
    let desk = Desk::new().await;
    let keys = tempfile::tempdir().unwrap();
    let ours = ssh_key(keys.path(), "ours");
    ssh_key(keys.path(), "theirs");
    let place = desk.world.repository("blueprints").display().to_string();
    repository(&desk, "blueprints", json!({"type": "git", "git": {"repo": place}, "verify": {"keys": [ours]}}))
        .await
        .unwrap();
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    let says = async |words: &str| {
        let verified = async || {
            let (status, message) = desk.condition("blueprints", "Verified").await;
            status == "False" && message.contains("upf/v1 at ") && message.contains(words)
        };
        desk.eventually(&format!("the repository says {words}"), verified).await;
        let told = async || told(&desk).await.0.contains("[git.signature]");
        desk.eventually("the intent says it", told).await;
        assert_ne!(desk.loggia(&["get", "proposals", "1"]).0, 0, "nothing is made from it");
    };
    says("is no annotated tag").await;
    let work = clone(&desk, "blueprints", "work");
    let sign = |name: &str| {
        let key = format!("user.signingkey={}", keys.path().join(name).display());
        git(&work, &["-c", "gpg.format=ssh", "-c", &key, "tag", "-f", "-s", "-m", "first", "upf/v1"]);
        git(&work, &["push", "-q", "-f", "origin", "upf/v1"]);
    };
    sign("theirs");
    says("the tag upf/v1: ").await;
    sign("ours");
    desk.approve("1").await;
    desk.eventually("it is settled", async || desk.summary().await == "settled").await;
    // amf and web are not signed still, and that is told.
    let (status, message) = desk.condition("blueprints", "Verified").await;
    assert!(status == "False" && message.contains("amf/v1") && !message.contains("upf/v1"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_registry_cannot_be_is_told() {
    let Some(world) = World::new(json!({})).await else { return };
    let place = world.registry.name("team");
    let oci = json!({"registry": place});
    world.register("wrong", json!({"type": "oci", "deployment": true, "oci": oci})).await;
    let says = async |words: &str| {
        let told = async || {
            let (status, message) = world.desk.repository("wrong").await;
            status == "False" && message.contains(words)
        };
        world.desk.eventually(&format!("the repository says {words}"), told).await;
    };
    says("a registry is only read; deployments are kept in git").await;
    world.register("wrong", json!({"type": "oci", "deployment": false, "oci": oci, "verify": {"keys": ["x"]}})).await;
    says("key 0 is no key that signs in oci").await;
    let moved = world.apply("wrong", json!({"type": "oci", "oci": {"registry": "127.0.0.1:1/other"}})).await;
    assert!(moved.unwrap_err().contains("never changes"));
    // The invalid one stands in nobody's way.
    world.desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    world.desk.approve("1").await;
    world.settles().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_that_is_too_large_is_refused() {
    let Some(world) = World::new(json!({})).await else { return };
    let kind = "application/vnd.oci.image.layer.v1.tar";
    let mut layer = world.registry.blob("team/upf", kind, &[0; 1024]);
    layer["size"] = json!(70 << 20);
    world.registry.manifest("team/upf", "v2", "application/vnd.oci.image.config.v1+json", &[layer]);
    world.repository_says("Ready", "True", "2 revisions").await;
    world.desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    world.says("exceeds the limit of 67108864").await;
    assert_ne!(world.desk.loggia(&["get", "proposals", "1"]).0, 0);
}

/// Makes a Secret, or makes it another.
async fn secret(desk: &Desk, name: &str, kind: &str, data: Value) {
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"}, "type": kind,
        "stringData": data
    });
    desk.management.apply(None, &Object::new(object).unwrap(), &Apply::new("person").forced()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_registry_is_entered_with_a_secret() {
    let Some(world) = World::with(json!({}), true).await else { return };
    let desk = &world.desk;
    let host = world.registry.name("team").trim_end_matches("/team").to_owned();
    let docker = async |host: &str, password: &str| {
        let config = json!({"auths": {host: {"username": "someone", "password": password}}}).to_string();
        secret(desk, "pull", "kubernetes.io/dockerconfigjson", json!({".dockerconfigjson": config})).await;
    };
    let refused = async |words: &str| {
        world.repository_says("Ready", "False", words).await;
        let (reason, message) = desk.reason("artifacts", "Ready").await;
        assert_eq!(reason, "AuthenticationFailed", "{message}");
        assert!(!message.contains("0ther"), "{message}");
    };
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    refused("there is no Secret default/pull").await;
    docker("elsewhere.example", "0ther").await;
    refused(&format!("holds no credentials for {host}")).await;
    docker(&host, "0ther").await;
    refused("[oci.auth]").await;
    docker(&host, "secret").await;
    world.repository_says("Ready", "True", "1 revisions").await;
    desk.approve("1").await;
    world.settles().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_git_repository_is_entered_with_a_secret() {
    let desk = Desk::new().await;
    let place = desk.world.repository("blueprints");
    let Some(server) = git_server::GitServer::start(place.parent().unwrap(), std::sync::Arc::new(|_, _, _| {})) else {
        return;
    };
    let locked = |authorization: &str| std::fs::write(place.join("authorization"), authorization).unwrap();
    // base64 of robot:f1rst
    locked("Basic cm9ib3Q6ZjFyc3Q=");
    let git = json!({"repo": server.url("blueprints.git"), "secretRef": {"name": "git"}});
    repository(&desk, "blueprints", json!({"type": "git", "git": git})).await.unwrap();
    let says = async |status: &str, words: &str| {
        let told = async || {
            let (found, message) = desk.repository("blueprints").await;
            found == status && message.contains(words)
        };
        desk.eventually(&format!("the repository says {status} {words}"), told).await;
    };
    says("False", "there is no Secret default/git").await;
    secret(&desk, "git", "kubernetes.io/basic-auth", json!({"username": "robot"})).await;
    says("False", "no key password").await;
    secret(&desk, "git", "kubernetes.io/basic-auth", json!({"username": "robot", "password": "f1rst"})).await;
    says("True", "read at").await;
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    desk.approve("1").await;
    desk.eventually("it is settled", async || desk.summary().await == "settled").await;
    // The password changes, first there and then in the Secret. base64 of robot:s3cond
    let running = desk.running().await;
    locked("Basic cm9ib3Q6czNjb25k");
    says("False", "[git.auth]").await;
    let (reason, message) = desk.reason("blueprints", "Ready").await;
    assert!(reason == "AuthenticationFailed" && !message.contains("f1rst"), "{reason}: {message}");
    desk.stays("what runs stays", running, &["settled"]).await;
    secret(&desk, "git", "kubernetes.io/basic-auth", json!({"username": "robot", "password": "s3cond"})).await;
    says("True", "read at").await;
}

/// A package may run straight from a registry, when nobody has to be asked: a registry takes no proposals.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_follows_an_artifact() {
    let Some(world) = World::new(json!({})).await else { return };
    let folder = world.desk.dir.path().join("plain");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("Kptfile"), "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: plain\n")
        .unwrap();
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: plain\n  namespace: core\ndata:\n  a: b\n";
    std::fs::write(folder.join("map.yaml"), map).unwrap();
    world.registry.push(&folder, "team/plain:v1");
    let sync = |mode: &str| {
        json!({
            "apiVersion": "loggia.dev/v1alpha1", "kind": "Sync", "metadata": {"name": "upf-edge", "namespace": "default"},
            "spec": {
                "package": {"repository": "artifacts", "name": "plain"}, "approval": {"mode": mode}
            }
        })
    };
    let put = async |mode: &str| {
        let object = Object::new(sync(mode)).unwrap();
        world.desk.management.apply(None, &object, &Apply::new("person").forced()).await.unwrap();
    };
    put("required").await;
    let says = async || world.desk.summary().await.contains("a registry takes no proposals");
    world.desk.eventually("the Sync says that nobody can be asked", says).await;
    put("automatic").await;
    world.settles().await;
    for edge in &world.desk.edges {
        assert!(edge.get(&Gvk::new("", "v1", "ConfigMap"), "core", "plain").await.unwrap().is_some());
    }
}

/// A checkout of a repository of the desk, in a folder of its own.
fn clone(desk: &Desk, name: &str, folder: &str) -> PathBuf {
    git(desk.dir.path(), &["clone", "-q", desk.world.repository(name).to_str().unwrap(), folder]);
    desk.dir.path().join(folder)
}

/// Replaces what a file must hold, once, and commits it.
fn edit(work: &Path, file: &str, changes: &[(&str, &str)]) {
    let path = work.join(file);
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (old, new) in changes {
        assert!(text.contains(old), "{old:?} is not in {text}");
        text = text.replacen(old, new, 1);
    }
    std::fs::write(&path, text).unwrap();
    git(work, &["commit", "-qam", "By hand"]);
}

fn published(desk: &Desk, file: &str) -> String {
    git(&desk.world.repository("deployments"), &["show", &format!("main:core/upf-edge/{file}")])
}

async fn revision(desk: &Desk, number: &str) {
    let is = async || {
        let sync = desk.get("loggia.dev", "v1alpha1", "Sync", "upf-edge").await;
        sync["status"]["revision"] == number && desk.summary().await == "settled"
    };
    desk.eventually(&format!("{number} is settled"), is).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_changed_in_a_deployment_survives() {
    let desk = Desk::settled().await;
    // Somebody drafts a change of the deployment itself, with plain git.
    let work = clone(&desk, "deployments", "by-hand");
    let map = "core/upf-edge/configmap.yaml";
    edit(
        &work,
        map,
        &[("gtpu.address: 0.0.0.0:2152", "gtpu.address: 10.0.0.1:2152 # ours"), ("0.0.0.0:8805", "10.0.0.1:8805")],
    );
    git(&work, &["push", "-q", "origin", "HEAD:drafts/core/upf-edge/by-hand"]);
    desk.approve("2").await;
    revision(&desk, "v2").await;
    assert!(published(&desk, "configmap.yaml").contains("gtpu.address: 10.0.0.1:2152 # ours"));
    desk.stays("nobody takes it back", desk.running().await, &["settled"]).await;
    assert_ne!(desk.loggia(&["get", "proposals", "3"]).0, 0);

    // The intent asks for more; somebody adds to what is proposed before it is approved.
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml").replace("replicas: 2", "replicas: 3"));
    let open = async || desk.loggia(&["get", "proposals", "3"]).0 == 0;
    desk.eventually("a proposal opens", open).await;
    git(&work, &["fetch", "-q", "origin"]);
    git(&work, &["checkout", "-q", "origin/proposed/core/upf-edge/intent-3"]);
    edit(&work, "core/upf-edge/service.yaml", &[("port: 2152", "port: 2153")]);
    git(&work, &["push", "-q", "origin", "HEAD:proposed/core/upf-edge/intent-3"]);
    let refreshed = async || desk.loggia(&["get", "proposals", "3"]).1.contains("2153");
    desk.eventually("the proposal holds both", refreshed).await;
    desk.approve("3").await;
    revision(&desk, "v3").await;
    assert!(published(&desk, "deployment.yaml").contains("replicas: 3"));
    assert!(published(&desk, "service.yaml").contains("port: 2153"));

    // The blueprint goes on. Nothing follows it until the intent says so; then what only one side changed is kept, and
    // what both changed is told.
    let blueprints = clone(&desk, "blueprints", "blueprint-work");
    edit(
        &blueprints,
        "upf/configmap.yaml",
        &[("0.0.0.0:8805", "0.0.0.0:8806"), ("\ndata:\n", "\ndata:\n  added: here\n")],
    );
    git(&blueprints, &["tag", "upf/v2"]);
    git(&blueprints, &["push", "-q", "origin", "HEAD:main", "upf/v2"]);
    desk.stays("nothing follows by itself", desk.running().await, &["settled"]).await;
    assert_ne!(desk.loggia(&["get", "proposals", "4"]).0, 0);
    let wish = example("upf-edge.yaml")
        .replace("replicas: 2", "replicas: 3")
        .replace("  name: upf-edge\n", "  name: upf-edge\n  annotations: {loggia.dev/blueprint: v2}\n");
    desk.commit("intents/upf-edge.yaml", &wish);
    let told = async || {
        let (_, body) = desk.loggia(&["get", "proposals", "4"]);
        body.contains("10.0.0.1:8805") && body.contains("0.0.0.0:8806") && body.contains("whose value is taken")
    };
    desk.eventually("the proposal tells the conflict", told).await;
    desk.approve("4").await;
    revision(&desk, "v4").await;
    let map = published(&desk, "configmap.yaml");
    for words in ["gtpu.address: 10.0.0.1:2152 # ours", "0.0.0.0:8806", "added: here"] {
        assert!(map.contains(words), "{words} is not in {map}");
    }
    assert!(published(&desk, "service.yaml").contains("port: 2153"));
    assert!(kptfile(&desk).contains("ref: upf/v2"), "{}", kptfile(&desk));
    // Without the wish it stays where it is.
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml").replace("replicas: 2", "replicas: 3"));
    let plain = async || {
        let intent = desk.get("nephoran.com", "v1", "CNFDeployment", "upf-edge").await;
        intent["metadata"]["annotations"]["loggia.dev/blueprint"].is_null()
    };
    desk.eventually("the annotation is gone", plain).await;
    desk.stays("and that is all", desk.running().await, &["settled"]).await;
    assert_ne!(desk.loggia(&["get", "proposals", "5"]).0, 0);
}

/// A second revision of the example, whose pipeline ends with a program.
fn with_a_program(desk: &Desk, program: &str) {
    let clone = desk.dir.path().join("blueprints");
    git(desk.dir.path(), &["clone", "-q", desk.world.repository("blueprints").to_str().unwrap(), "blueprints"]);
    let kptfile = clone.join("upf/Kptfile");
    let text = std::fs::read_to_string(&kptfile).unwrap();
    std::fs::write(kptfile, format!("{}\n  - exec: {program}\n", text.trim_end())).unwrap();
    git(&clone, &["commit", "-qam", "A program"]);
    git(&clone, &["tag", "upf/v2"]);
    git(&clone, &["push", "-q", "origin", "HEAD:main", "upf/v2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_of_a_blueprint_are_run_where_it_is_allowed() {
    let local = LocalRunner { programs: true, ..LocalRunner::default() };
    let desk = Desk::with(Functions::new(local, "")).await;
    with_a_program(&desk, "sed s/2152/2153/");
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    let checkout = desk.checkout.to_str().unwrap().to_owned();
    let (code, plan) = desk.loggia(&["plan", &checkout]);
    assert!(code == 2 && plan.contains("[fn.exec_denied]") && plan.contains("--allow-exec"), "{plan}");
    let open = async || desk.loggia(&["get", "proposals", "1"]).0 == 0;
    desk.eventually("a proposal opens", open).await;
    let (code, plan) = desk.loggia(&["plan", &checkout, "--allow-exec", "-o", "name"]);
    assert_eq!(code, 0, "{plan}");
    let shown = desk.loggia(&["get", "proposals", "1", "-o", "json"]).1;
    assert!(shown.contains(plan.trim()), "a laptop plans the same: {plan} {shown}");
    desk.approve("1").await;
    desk.eventually("it is settled", async || desk.summary().await == "settled").await;
    let service = git(&desk.world.repository("deployments"), &["show", "main:core/upf-edge/service.yaml"]);
    assert!(service.contains("port: 2153") && !service.contains("2152"), "{service}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_of_a_blueprint_are_refused_otherwise() {
    let desk = Desk::new().await;
    with_a_program(&desk, "sed s/2152/2153/");
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    let says = async || told(&desk).await.0.contains("[fn.exec_denied]");
    desk.eventually("the intent says that programs are not run", says).await;
    assert!(!told(&desk).await.1, "it is not Ready");
    assert_ne!(desk.loggia(&["get", "proposals", "1"]).0, 0, "nothing is made from it");
}
