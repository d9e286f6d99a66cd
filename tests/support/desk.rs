//! The whole product in one process, and a person who works with it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses its own part of this, and stops at the first surprise"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use loggia::app::functions::Functions;
use loggia::app::world::World;
use loggia::cluster::Cluster;
use loggia::config::Config;
use loggia::domain::krm::{Gvk, Object};
use loggia::domain::time::SignedDuration;
use serde_json::Value;

use super::git::git;

/// A world in which v1 of the example may be settled, and a person's checkout of the intents.
pub(crate) struct Desk {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) world: World,
    pub(crate) management: Cluster,
    pub(crate) edges: Vec<Cluster>,
    pub(crate) checkout: PathBuf,
}

impl Desk {
    pub(crate) async fn new() -> Self {
        Self::with(Functions::default()).await
    }

    /// Controllers run these functions that are not built in.
    pub(crate) async fn with(functions: Functions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let second = SignedDuration::from_secs(1);
        let config = Config { stable_for: second, poll: second, ..Config::new("test") };
        let world = World::start(&dir.path().join("world"), config, functions).await.unwrap();
        let management = world.servers[0].connect();
        let edges = world.servers[1..].iter().map(loggia::app::world::Served::connect).collect();
        git(dir.path(), &["clone", "-q", world.repository("intents").to_str().unwrap(), "intents"]);
        let checkout = dir.path().join("intents");
        Self { dir, world, management, edges, checkout }
    }

    pub(crate) async fn settled() -> Self {
        let desk = Self::new().await;
        desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
        desk.approve("1").await;
        desk.eventually("v1 is settled", async || desk.summary().await == "settled").await;
        desk
    }

    pub(crate) fn commit(&self, file: &str, text: &str) {
        std::fs::create_dir_all(self.checkout.join("intents")).unwrap();
        std::fs::write(self.checkout.join(file), text).unwrap();
        git(&self.checkout, &["add", "."]);
        git(&self.checkout, &["commit", "-qm", "A change"]);
        git(&self.checkout, &["push", "-q", "origin", "HEAD:main"]);
    }

    /// Our own command line, as a person would use it: exit code and what it said.
    pub(crate) fn loggia(&self, args: &[&str]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_loggia"))
            .arg("--data-dir")
            .arg(&self.world.directory)
            .args(args)
            .envs([("GIT_CONFIG_COUNT", "2"), ("GIT_CONFIG_KEY_0", "user.name"), ("GIT_CONFIG_VALUE_0", "A Person")])
            .envs([("GIT_CONFIG_KEY_1", "user.email"), ("GIT_CONFIG_VALUE_1", "person@example.com")])
            .output()
            .unwrap();
        let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), told)
    }

    pub(crate) async fn approve(&self, number: &str) {
        let open = async || self.loggia(&["get", "proposals", number]).0 == 0;
        self.eventually("a proposal opens", open).await;
        let (code, told) = self.loggia(&["approve", number, "--as", "A Person <person@example.com>"]);
        assert_eq!(code, 0, "{told}");
    }

    pub(crate) async fn get(&self, group: &str, version: &str, kind: &str, name: &str) -> Value {
        let found = self.management.get(&Gvk::new(group, version, kind), "default", name).await.unwrap();
        found.map_or(Value::Null, Object::into_value)
    }

    pub(crate) async fn summary(&self) -> String {
        let sync = self.get("loggia.dev", "v1alpha1", "Sync", "upf-edge").await;
        sync["status"]["summary"].as_str().unwrap_or_default().to_owned()
    }

    /// Status and message of the condition Ready of a Repository.
    pub(crate) async fn repository(&self, name: &str) -> (String, String) {
        self.condition(name, "Ready").await
    }

    /// Reason and message of a condition of a Repository.
    pub(crate) async fn reason(&self, name: &str, kind: &str) -> (String, String) {
        let found = self.found(name, kind).await;
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        (text("reason"), text("message"))
    }

    async fn found(&self, name: &str, kind: &str) -> Value {
        let repository = self.get("config.porch.kpt.dev", "v1alpha1", "Repository", name).await;
        let conditions = repository["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|c| c["type"] == kind).unwrap_or_default()
    }

    /// Status and message of a condition of a Repository.
    pub(crate) async fn condition(&self, name: &str, kind: &str) -> (String, String) {
        let found = self.found(name, kind).await;
        let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("message"))
    }

    /// uids of the example's Deployment on both edges: the very same objects, or others.
    pub(crate) async fn running(&self) -> Vec<String> {
        let mut found = Vec::new();
        for edge in &self.edges {
            let live = edge.get(&Gvk::new("apps", "v1", "Deployment"), "core", "upf-edge").await.unwrap();
            found.push(live.map_or_else(String::new, |live| live.uid().to_owned()));
        }
        found
    }

    /// Until the Sync's summary has one of the words; what runs is the same all along, and a while after.
    pub(crate) async fn stays(&self, told: &str, running: Vec<String>, words: &[&str]) {
        self.eventually(told, async || {
            let summary = self.summary().await;
            words.iter().any(|word| summary.contains(word))
        })
        .await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(self.running().await, running, "{}", self.summary().await);
    }

    pub(crate) async fn eventually(&self, told: &str, mut holds: impl AsyncFnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !holds().await {
            let intents = self.repository("intents").await;
            let deployments = self.repository("deployments").await;
            let summary = self.summary().await;
            assert!(Instant::now() < deadline, "did not hold: {told}: {summary:?} {intents:?} {deployments:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// An intent of the walkthrough.
pub(crate) fn example(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo/walkthrough").join(name);
    std::fs::read_to_string(path).unwrap()
}
