//! The engine without its controllers: a test plays each round itself, tells the time, and says which targets answer.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses its own part of this, and stops at the first surprise"
)]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use loggia::apiserver::{ApiServer, Options};
use loggia::app;
use loggia::app::functions::Functions;
use loggia::cluster::{Apply, Cluster};
use loggia::config::Config;
use loggia::domain::id::{CommitId, NamespacedName, RepositoryName};
use loggia::domain::intent::{Repository, Sync, Target};
use loggia::domain::krm::{Gvk, Object};
use loggia::domain::lease::{Claim, LeaseRecord, Timing};
use loggia::domain::rollout::SyncState;
use loggia::domain::time::{SignedDuration, Timestamp};
use loggia::engine::gather::World;
use loggia::engine::reconcile::Round;
use loggia::engine::targets::Session;
use loggia::engine::{Engine, EngineError, Outcome};
use loggia::ports::clock::Clock;
use loggia::ports::forge::{Decision, Forge, Proposal};
use loggia::ports::repositories::Location;
use loggia::ports::revisions::{PackageRevision, PackageStore};
use loggia::ports::state::{StateError, StateStore, Versioned};
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::git::git;

/// The package that all rounds are about.
pub(crate) const PACKAGE: &str = "upf";

/// A clock that a test moves.
struct Hands(Mutex<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// State in memory, which can lose its answer once: as if the process had been killed right after it was stored.
#[derive(Default)]
pub(crate) struct Memory {
    kept: Mutex<BTreeMap<NamespacedName, (SyncState, u64)>>,
    loses_answer: AtomicBool,
    /// How often somebody else writes between a person's reading and writing.
    contended: AtomicU32,
}

#[async_trait]
impl StateStore for Memory {
    async fn get(&self, sync: &NamespacedName) -> Result<Versioned<SyncState>, StateError> {
        let (value, version) = self.kept.lock().unwrap().get(sync).cloned().unwrap_or_default();
        Ok(Versioned { value, version: if version == 0 { String::new() } else { version.to_string() } })
    }

    async fn put(
        &self,
        claim: Option<&Claim>,
        sync: &NamespacedName,
        state: &Versioned<SyncState>,
    ) -> Result<String, StateError> {
        let mut kept = self.kept.lock().unwrap();
        let (value, version) = kept.entry(sync.clone()).or_default();
        let left = self.contended.load(Ordering::Acquire);
        if claim.is_none() && left > 0 {
            self.contended.store(left - 1, Ordering::Release);
            *version += 1;
        }
        if state.version != if *version == 0 { String::new() } else { version.to_string() } {
            return Err(StateError::Conflict(sync.clone()));
        }
        (*value, *version) = (state.value.clone(), *version + 1);
        let rolls_back = value.units.values().any(|unit| unit.rolled_back);
        if rolls_back && self.loses_answer.swap(false, Ordering::AcqRel) {
            return Err(StateError::Io { act: "writing", sync: sync.clone(), reason: "killed".to_owned() });
        }
        Ok(version.to_string())
    }

    async fn delete(&self, _: &Claim, sync: &NamespacedName) -> Result<(), StateError> {
        self.kept.lock().unwrap().remove(sync);
        Ok(())
    }
}

/// An API server on a loopback port that simulates nothing: a Deployment never gets ready.
struct Served {
    server: ApiServer,
    address: std::net::SocketAddr,
    _stop: DropGuard,
}

impl Served {
    async fn start(name: &str) -> Self {
        let server = ApiServer::open(Options::in_memory(name)).unwrap();
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (serving, stopped) = (server.clone(), stop.clone());
        tokio::spawn(async move { serving.serve(listener, stopped).await });
        Self { server, address, _stop: stop.drop_guard() }
    }

    fn connect(&self) -> Cluster {
        Cluster::from_service("a person's", self.server.service())
    }
}

/// Two targets, a repository of deployments, and an engine that leads.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
    pub(crate) engine: Engine,
    pub(crate) world: World,
    hands: Arc<Hands>,
    memory: Arc<Memory>,
    served: BTreeMap<&'static str, Served>,
}

fn named(name: &str) -> NamespacedName {
    NamespacedName { namespace: "default".to_owned(), name: name.to_owned() }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn target(name: &str, secret: &str, generation: i64) -> Target {
    read(json!({
        "apiVersion": "loggia.dev/v1alpha1", "kind": "Target",
        "metadata": {
            "name": name, "namespace": "default", "uid": name, "generation": generation, "labels": {"name": name}
        },
        "spec": {"kubeconfigSecret": {"name": secret}}
    }))
}

/// A Sync of the package onto all targets, `a` first, with nobody who has to agree.
pub(crate) fn sync(name: &str, spec: &Value) -> Sync {
    let mut all = json!({
        "package": {"repository": "deployments", "name": PACKAGE}, "approval": {"mode": "automatic"},
        "targets": {"waves": [{"matchLabels": {"name": "a"}}, {}]},
        "health": {"stableFor": "1s", "timeout": "60s"}
    });
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    read(json!({
        "apiVersion": "loggia.dev/v1alpha1", "kind": "Sync",
        "metadata": {"name": name, "namespace": "default", "uid": name}, "spec": all
    }))
}

/// A `ConfigMap` that says which version it is.
pub(crate) fn config(version: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: upf, namespace: default}}\ndata: {{is: {version}}}\n")
}

/// A Deployment, which never gets ready here.
pub(crate) const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: upf, namespace: default}\n\
    spec:\n  selector: {matchLabels: {app: upf}}\n  template:\n    metadata: {labels: {app: upf}}\n    \
    spec: {containers: [{name: upf, image: registry.example/upf:1}]}\n";

impl Bench {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q", "--bare", "deployments.git"]);
        git(dir.path(), &["clone", "-q", "deployments.git", "deployments"]);
        let management = Served::start("management").await;
        let mut served = BTreeMap::new();
        let mut world = World::default();
        for name in ["a", "b"] {
            let edge = Served::start(name).await;
            let kubeconfig = edge.server.kubeconfig(edge.address);
            let secret = json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"},
                "stringData": {"kubeconfig": kubeconfig}
            });
            let secret = Object::new(secret).unwrap();
            management.connect().apply(None, &secret, &Apply::new("person")).await.unwrap();
            world.targets.insert(named(name), target(name, name, 1));
            served.insert(name, edge);
        }
        let repository: Repository = read(json!({
            "apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository",
            "metadata": {"name": "deployments", "namespace": "default"},
            "spec": {"type": "git", "deployment": true, "git": {"repo": dir.path().join("deployments.git")}}
        }));
        world.repositories.insert(named("deployments"), repository);
        let start = Timestamp::now();
        let lease = LeaseRecord { holder: Some("test".to_owned()), ..LeaseRecord::default() };
        let timing = Timing { renew_deadline: SignedDuration::from_hours(24), ..Timing::default() };
        let claim = Claim::after_renewal(&lease, "test", start, &timing);
        let config = Config { data_dir: dir.path().to_owned(), ..Config::new("test") };
        let claims = tokio::sync::watch::channel(claim).1;
        let (mut engine, changes) = app::engine(management.connect(), &config, &Functions::default(), claims).unwrap();
        // Nobody waits to be woken: the test plays the rounds.
        drop(changes);
        let (hands, memory) = (Arc::new(Hands(Mutex::new(start))), Arc::new(Memory::default()));
        (engine.clock, engine.state) = (hands.clone(), memory.clone());
        served.insert("management", management);
        Self { dir, engine, world, hands, memory, served }
    }

    fn bare(&self) -> PathBuf {
        self.dir.path().join("deployments.git")
    }

    pub(crate) fn refs(&self) -> String {
        git(&self.bare(), &["for-each-ref", "--format=%(refname)"])
    }

    fn content(&self, name: &str, files: &[&str]) -> PathBuf {
        let work = self.dir.path().join("deployments");
        let package = work.join(name);
        if package.exists() {
            std::fs::remove_dir_all(&package).unwrap();
        }
        std::fs::create_dir_all(&package).unwrap();
        let kptfile = format!("apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata: {{name: {name}}}\n");
        std::fs::write(package.join("Kptfile"), kptfile).unwrap();
        for (index, text) in files.iter().enumerate() {
            std::fs::write(package.join(format!("{index}.yaml")), text).unwrap();
        }
        git(&work, &["add", "-A"]);
        git(&work, &["commit", "-qm", "Another version"]);
        work
    }

    /// Publishes a version of the package, as a person does with plain git.
    pub(crate) fn publish(&self, number: u32, files: &[&str]) {
        self.publish_as(PACKAGE, number, files);
    }

    /// The same of another package.
    pub(crate) fn publish_as(&self, package: &str, number: u32, files: &[&str]) {
        let work = self.content(package, files);
        let tag = format!("{package}/v{number}");
        git(&work, &["tag", &tag]);
        git(&work, &["push", "-q", "origin", "HEAD:main", &tag]);
    }

    pub(crate) fn pass(&self, seconds: i64) {
        let mut now = self.hands.0.lock().unwrap();
        *now += SignedDuration::from_secs(seconds);
    }

    /// The next state with a rollback is stored, and its answer is lost.
    pub(crate) fn loses_rollback(&self) {
        self.memory.loses_answer.store(true, Ordering::Release);
    }

    /// So often somebody else writes the state while a person does.
    pub(crate) fn contends(&self, times: u32) {
        self.memory.contended.store(times, Ordering::Release);
    }

    pub(crate) async fn state(&self, sync: &str) -> SyncState {
        self.memory.get(&named(sync)).await.unwrap().value
    }

    /// A target answers no more, or again.
    pub(crate) fn answers(&mut self, name: &'static str, answers: bool) {
        let new = if answers { target(name, name, 1) } else { target(name, "gone", 2) };
        self.world.targets.insert(named(name), new);
    }

    pub(crate) async fn round(&self, sync: &Sync) -> Result<Round, EngineError> {
        self.engine.round(sync, &self.world).await
    }

    /// The cluster has these Syncs.
    pub(crate) fn has(&mut self, syncs: &[&Sync]) {
        self.world.syncs = syncs.iter().map(|sync| Arc::new((*sync).clone())).collect();
    }

    /// Rounds until there is nothing to do at once.
    pub(crate) async fn rounds(&self, sync: &Sync) -> Round {
        for _ in 0..20 {
            let round = self.round(sync).await.unwrap();
            if !matches!(&round.outcome, Outcome::Waiting { after: Some(after), .. } if after.is_zero()) {
                return round;
            }
        }
        unreachable!("a round that always wants another one");
    }

    /// Rounds until everything stayed healthy for long enough.
    pub(crate) async fn settled(&self, sync: &Sync) {
        for _ in 0..10 {
            if self.rounds(sync).await.outcome == Outcome::Settled {
                return;
            }
            self.pass(2);
        }
        let round = self.round(sync).await.unwrap();
        assert_eq!(round.outcome, Outcome::Settled, "{round:#?}");
    }

    /// What the `ConfigMap` on a target says; empty when there is none.
    pub(crate) async fn says(&self, target: &str) -> String {
        let found = self.there(target, &Gvk::new("", "v1", "ConfigMap")).await;
        found.map_or_else(String::new, |object| object.value()["data"]["is"].as_str().unwrap().to_owned())
    }

    /// Something on a target makes other of the `ConfigMap`, as a webhook or another controller does.
    pub(crate) async fn meddles(&self, target: &str, version: &str) {
        let kind = Gvk::new("", "v1", "ConfigMap");
        let found = self.there(target, &kind).await.unwrap();
        let patch = json!({"data": {"is": version}});
        let changed = self.served[target].connect().merge(None, &kind, &found.id(), "", &patch).await.unwrap();
        // The next round is to know of it.
        let session = self.engine.targets.known(&named(target)).unwrap();
        session.mirror.seen(&Session::members(&kind), &changed, Duration::from_mins(1)).await.unwrap();
    }

    pub(crate) async fn has_deployment(&self, target: &str) -> bool {
        self.there(target, &Gvk::new("apps", "v1", "Deployment")).await.is_some()
    }

    async fn there(&self, target: &str, kind: &Gvk) -> Option<Object> {
        self.served[target].connect().get(kind, "default", "upf").await.unwrap()
    }

    fn location(&self) -> Location {
        let url = self.bare().display().to_string();
        Location::git(RepositoryName::new("deployments").unwrap(), &url, "main", "")
    }

    fn forge(&self) -> Arc<dyn Forge> {
        self.engine.repositories.forge(&self.location()).unwrap()
    }

    pub(crate) fn packages(&self) -> Arc<dyn PackageStore> {
        self.engine.repositories.packages(&self.location()).unwrap()
    }

    pub(crate) async fn revisions(&self) -> Vec<PackageRevision> {
        self.packages().list().await.unwrap()
    }

    pub(crate) async fn proposals(&self) -> Vec<Proposal> {
        self.forge().list().await.unwrap()
    }

    pub(crate) async fn approve(&self, number: u64) {
        let proposal = self.forge().get(number).await.unwrap();
        let (plan, head): (_, CommitId) = (proposal.content.plan, proposal.content.head);
        self.decide(number, Decision::Approve { plan, head }).await;
    }

    pub(crate) async fn reject(&self, number: u64) {
        self.decide(number, Decision::Reject { reason: "no".to_owned() }).await;
    }

    async fn decide(&self, number: u64, decision: Decision) {
        let now = *self.hands.0.lock().unwrap();
        self.forge().decide(number, decision, "A Person", "person@example.com", now).await.unwrap();
    }
}
