//! The golden path, end to end, against embedded and real API servers: a person commits an intent, approves the plan,
//! ships a bad image, sees the rollback, deletes the intent. The steps and assertions are the same on both.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise and says what it did not run"
)]

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use loggia::app::functions::Functions;
use loggia::app::{self, Running};
use loggia::cluster::{Apply, Cluster};
use loggia::config::Config;
use loggia::domain::id::RepositoryName;
use loggia::domain::krm::{Gvk, Object};
use loggia::domain::time::SignedDuration;
use loggia::engine::Engine;
use loggia::ports::forge::{Decision, Proposal, ProposalKind};
use loggia::ports::repositories::Location;
use serde_json::{Value, json};
use support::embedded::{Tap, Write};
use support::git_server::{GitServer, Moment, Witness};
use support::kube::assets;
use support::person::{Repositories, git};
use support::servers::{Server, Servers};

struct World {
    management: Cluster,
    edges: [Cluster; 2],
    repositories: Repositories,
    running: Option<Running>,
    looking: Engine,
    servers: [Server; 2],
}

fn object(value: Value) -> Object {
    Object::new(value).unwrap()
}

async fn put(cluster: &Cluster, value: Value) {
    cluster.apply(None, &object(value), &Apply::new("person").forced()).await.unwrap();
}

fn config() -> Config {
    Config {
        stable_for: SignedDuration::from_secs(1),
        health_timeout: SignedDuration::from_secs(60),
        ..Config::new("test")
    }
}

impl World {
    async fn start(servers: &Servers) -> Self {
        let mut world = Self::without_reconciler(servers).await;
        world.running = Some(app::start(world.management.clone(), &config(), Functions::default()).unwrap());
        world
    }

    /// The world as a person set it up, with nobody who reconciles it.
    async fn without_reconciler(servers: &Servers) -> Self {
        let repositories = Repositories::from_examples();
        let deployments = repositories.bare("deployments").display().to_string();
        Self::of(servers, repositories, &deployments).await
    }

    /// The same, with the repository of deployments at a URL of its own.
    async fn of(servers: &Servers, repositories: Repositories, deployments: &str) -> Self {
        // The first server is management cluster and edge-1 at once, the second is edge-2.
        let servers = [servers.start("edge-1").await, servers.start("edge-2").await];
        let [one, two] = [servers[0].cluster.clone(), servers[1].cluster.clone()];
        let management = Cluster::from_kubeconfig("management", &servers[0].kubeconfig, None, false).await.unwrap();
        for edge in [&one, &two] {
            put(edge, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "core"}})).await;
        }
        app::install(&management).await.unwrap();
        register(&management, &repositories, deployments, &servers).await;
        let (_, claims) = tokio::sync::watch::channel(None);
        let (looking, _) = app::engine(management.clone(), &config(), &Functions::default(), claims).unwrap();
        Self { management, edges: [one, two], repositories, running: None, looking, servers }
    }

    fn deployments(&self) -> Location {
        let url = self.repositories.bare("deployments").display().to_string();
        Location::git(RepositoryName::new("deployments").unwrap(), &url, "main", "")
    }

    async fn proposals(&self) -> Vec<Proposal> {
        let location = self.deployments();
        self.looking.repositories.forge(&location).unwrap().list().await.unwrap()
    }

    async fn open_proposal(&self, number: u64) -> Proposal {
        let found = async || {
            let proposals = self.proposals().await;
            proposals.into_iter().find(|p| p.number == number).filter(|p| p.verdict.word() == "Open")
        };
        let told = format!("proposal {number} opens");
        eventually(&told, async || found().await.is_some(), async || self.story().await).await;
        found().await.unwrap()
    }

    async fn approve(&self, proposal: &Proposal) {
        let location = self.deployments();
        let forge = self.looking.repositories.forge(&location).unwrap();
        let decision = Decision::Approve { plan: proposal.content.plan.clone(), head: proposal.content.head.clone() };
        let now = loggia::domain::time::Timestamp::now();
        forge.decide(proposal.number, decision, "An Approver", "approver@example.com", now).await.unwrap();
    }

    async fn sync(&self) -> Value {
        let sync =
            self.management.get(&Gvk::new("loggia.dev", "v1alpha1", "Sync"), "default", "upf-edge").await.unwrap();
        sync.map_or(Value::Null, Object::into_value)
    }

    async fn intent(&self) -> Value {
        let kind = Gvk::new("nephoran.com", "v1", "CNFDeployment");
        let intent = self.management.get(&kind, "default", "upf-edge").await.unwrap();
        intent.map_or(Value::Null, Object::into_value)
    }

    async fn summary(&self) -> String {
        self.sync().await["status"]["summary"].as_str().unwrap_or_default().to_owned()
    }

    async fn deployment(&self, edge: usize) -> Option<Value> {
        let kind = Gvk::new("apps", "v1", "Deployment");
        self.edges[edge].get(&kind, "core", "upf-edge").await.unwrap().map(Object::into_value)
    }

    async fn image(&self, edge: usize) -> String {
        let found = self.deployment(edge).await.unwrap_or(Value::Null);
        found["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned()
    }

    /// Everything that helps to see why a step did not hold.
    async fn story(&self) -> String {
        let proposals: Vec<String> = self
            .proposals()
            .await
            .iter()
            .map(|p| format!("#{} {} {}", p.number, p.verdict.word(), p.content.title))
            .collect();
        format!(
            "sync: {:#}\nintent: {:#}\nproposals: {proposals:#?}\n{}\nrefs:\n{}",
            self.sync().await["status"],
            self.intent().await["status"],
            git(&self.repositories.bare("deployments"), &["log", "--glob=refs/loggia", "--format=%h %ar %s%n%b"]),
            git(&self.repositories.bare("deployments"), &["for-each-ref", "--format=%(refname)"])
        )
    }

    /// Runs our own command line as a person would.
    fn loggia(&self, args: &[&str]) -> String {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_loggia"))
            .arg("--kubeconfig")
            .arg(self.servers[0].kubeconfig_file())
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "loggia {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    async fn settles(&self, step: &str) {
        eventually(step, async || self.summary().await == "settled", async || self.story().await).await;
    }
}

async fn register(management: &Cluster, repositories: &Repositories, deployments: &str, servers: &[Server]) {
    let local = |name: &str| repositories.bare(name).display().to_string();
    for (name, url, annotations) in [
        ("intents", local("intents"), json!({"loggia.dev/content": "intents"})),
        ("blueprints", local("blueprints"), json!({})),
        ("deployments", deployments.to_owned(), json!({})),
    ] {
        let deployment = name == "deployments";
        put(
            management,
            json!({
                "apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository",
                "metadata": {"name": name, "namespace": "default", "annotations": annotations},
                "spec": {"type": "git", "deployment": deployment, "git": {"repo": url}}
            }),
        )
        .await;
    }
    for (index, (name, labels)) in
        [("edge-1", json!({"canary": "true"})), ("edge-2", json!({}))].into_iter().enumerate()
    {
        put(
            management,
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "default"},
                "stringData": {"kubeconfig": servers[index].kubeconfig}
            }),
        )
        .await;
        put(
            management,
            json!({
                "apiVersion": "loggia.dev/v1alpha1", "kind": "Target",
                "metadata": {"name": name, "namespace": "default", "labels": labels},
                "spec": {"kubeconfigSecret": {"name": name}}
            }),
        )
        .await;
    }
}

async fn eventually(step: &str, mut holds: impl AsyncFnMut() -> bool, story: impl AsyncFn() -> String) {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if holds().await {
            println!("ok: {step}");
            return;
        }
        assert!(Instant::now() < deadline, "did not hold: {step}\n{}", story().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_golden_path_holds_on_embedded_api_servers() {
    golden_path(&Servers::embedded()).await;
}

/// The same on real API servers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_golden_path_holds_on_real_api_servers() {
    let Some(assets) = assets("the_golden_path_holds_on_real_api_servers") else { return };
    golden_path(&Servers::Real(assets)).await;
}

async fn golden_path(servers: &Servers) {
    loggia::telemetry::init_logs("loggia=debug,kube_client=off,warn");
    let mut world = World::start(servers).await;

    world.repositories.commit_intent("upf-edge.yaml", "A UPF on every edge");
    let first = world.open_proposal(1).await;
    assert_eq!(first.content.kind, ProposalKind::Publish);
    assert!(first.content.body.contains("edge-1") && first.content.body.contains("Deployment.apps/core/upf-edge"));
    let refs = git(&world.repositories.bare("deployments"), &["for-each-ref", "--format=%(refname)"]);
    assert!(refs.contains("refs/heads/proposed/core/upf-edge/intent-1"), "{refs}");

    let laptop = world.loggia(&["plan", world.repositories.work("intents").to_str().unwrap(), "-o", "name"]);
    assert_eq!(laptop.trim(), first.content.plan.as_str(), "the laptop plans what the proposal shows");

    let approved = world.loggia(&["approve", "1", "--as", "An Approver <approver@example.com>"]);
    assert!(approved.starts_with("approved: proposal 1"), "{approved}");
    world.settles("both waves are healthy").await;
    assert_eq!(world.image(0).await, "registry.example/upf:1.4.2");
    assert_eq!(world.image(1).await, "registry.example/upf:1.4.2");
    let refs = git(&world.repositories.bare("deployments"), &["for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs, "refs/heads/main\nrefs/loggia/proposals/1\nrefs/tags/core/upf-edge/v1");
    let message = git(&world.repositories.bare("deployments"), &["log", "-1", "--format=%an%n%B", "main"]);
    assert!(
        message.contains("An Approver") && message.contains("kpt:{") && message.contains("Loggia-Plan: "),
        "{message}"
    );
    let revisions =
        world.management.list(&Gvk::new("porch.kpt.dev", "v1alpha2", "PackageRevision"), "default", "").await.unwrap();
    assert!(revisions.objects.iter().any(|r| r.name() == "deployments.core.upf-edge.intent-1"), "{revisions:?}");

    quiet(&world).await;
    drift(&world).await;
    bad_image(&world).await;
    deletion(&world).await;
    world.running.take().unwrap().stop().await;
}

/// The forge is git: a person merges the proposed branch and pushes, and the rest follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_git_merge_publishes_too_on_embedded_api_servers() {
    plain_git_merge(&Servers::embedded()).await;
}

/// The same on real API servers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_git_merge_publishes_too() {
    let Some(assets) = assets("a_plain_git_merge_publishes_too") else { return };
    plain_git_merge(&Servers::Real(assets)).await;
}

async fn plain_git_merge(servers: &Servers) {
    let mut world = World::start(servers).await;
    world.repositories.commit_intent("upf-edge.yaml", "A UPF on every edge");
    world.open_proposal(1).await;
    let work = world.repositories.work("deployments");
    git(&work, &["fetch", "-q", "origin"]);
    git(&work, &["merge", "-q", "-m", "Merge it", "origin/proposed/core/upf-edge/intent-1"]);
    git(&work, &["push", "-q", "origin", "HEAD:main"]);
    world.settles("what was merged is published and applied").await;
    let bare = world.repositories.bare("deployments");
    let refs = git(&bare, &["for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs, "refs/heads/main\nrefs/loggia/proposals/1\nrefs/tags/core/upf-edge/v1");
    assert!(git(&bare, &["log", "-1", "--format=%B", "main"]).contains("kpt:{"), "the approval carries Porch's line");
    assert!(world.proposals().await[0].verdict.word() == "Done");
    assert_eq!(world.image(1).await, "registry.example/upf:1.4.2");
    eventually(
        "the intent says that it runs",
        async || world.intent().await["status"]["phase"] == "Running",
        async || world.story().await,
    )
    .await;
    let table = world.servers[0]
        .table(&[
            ("loggia.dev/v1alpha1", "syncs"),
            ("porch.kpt.dev/v1alpha2", "packagerevisions"),
            ("nephoran.com/v1", "cnfdeployments"),
        ])
        .await;
    for words in ["settled", "Published", "Running", "upf-edge", "true"] {
        assert!(table.contains(words), "{words} is not in:\n{table}");
    }
    let status = world.loggia(&["status", "upf-edge"]);
    assert!(status.contains("edge-2") && status.contains("Healthy"), "{status}");
    world.running.take().unwrap().stop().await;
}

/// A reconciler of its own process, killed without warning.
struct Victim(std::process::Child);

impl Victim {
    fn start(world: &World) -> Self {
        let config = world.repositories.dir.path().join("loggia.yaml");
        std::fs::write(&config, "apiVersion: loggia.dev/v1alpha1\nkind: Configuration\npoll: 1s\n").unwrap();
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_loggia"))
            .args(["controller", "--identity", "victim", "--listen", "127.0.0.1:0", "--verbose", "--kubeconfig"])
            .arg(world.servers[0].kubeconfig_file())
            .arg("--data-dir")
            .arg(world.repositories.dir.path())
            .arg("--config")
            .arg(config)
            .env("RUST_LOG", "loggia=debug,warn")
            .stdin(std::process::Stdio::null())
            .stderr(std::fs::File::create(world.repositories.dir.path().join("victim.log")).unwrap())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // SIGKILL: nothing is flushed, released or finished.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Traces of single writes: the reconciler is killed as soon as each can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Milestone {
    Finalizer,
    Draft,
    Proposed,
    Proposal,
    Published,
    Inventory,
    FirstObject,
    LastObject,
    SecondWave,
}

impl Milestone {
    const ALL: [Self; 9] = [
        Self::Finalizer,
        Self::Draft,
        Self::Proposed,
        Self::Proposal,
        Self::Published,
        Self::Inventory,
        Self::FirstObject,
        Self::LastObject,
        Self::SecondWave,
    ];

    async fn reached(self, world: &World) -> bool {
        let refs = git(&world.repositories.bare("deployments"), &["for-each-ref", "--format=%(refname)"]);
        // Drafts are proposed and proposals published soon after; what came later counts as well.
        let any = |parts: &[&str]| parts.iter().any(|part| refs.contains(part));
        let on = async |edge: usize, group: &str, kind: &str, namespace: &str, name: &str| {
            world.edges[edge].get(&Gvk::new(group, "v1", kind), namespace, name).await.unwrap().is_some()
        };
        match self {
            Self::Finalizer => !world.intent().await["metadata"]["finalizers"].is_null(),
            Self::Draft => any(&["/drafts/", "/proposed/"]),
            Self::Proposed => any(&["/proposed/"]),
            Self::Proposal => any(&["/proposals/1"]),
            Self::Published => any(&["/tags/"]),
            Self::Inventory => on(0, "", "Namespace", "", "loggia-system").await,
            Self::FirstObject => on(0, "networking.k8s.io", "NetworkPolicy", "core", "upf-edge").await,
            Self::LastObject => on(0, "apps", "Deployment", "core", "upf-edge").await,
            Self::SecondWave => on(1, "networking.k8s.io", "NetworkPolicy", "core", "upf-edge").await,
        }
    }
}

/// Kills the reconciler again and again while it proposes, publishes and applies; what is left is what an undisturbed
/// run leaves: one proposal, one revision, each object once, in the inventory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_leave_no_orphan_on_embedded_api_servers() {
    kills(&Servers::embedded()).await;
}

/// The same on real API servers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_leave_no_orphan_and_no_second_proposal() {
    let Some(assets) = assets("kills_leave_no_orphan_and_no_second_proposal") else { return };
    kills(&Servers::Real(assets)).await;
}

async fn kills(servers: &Servers) {
    let world = World::without_reconciler(servers).await;
    world.repositories.commit_quick_intent("upf-edge.yaml", "A UPF on every edge");
    for milestone in Milestone::ALL {
        let victim = Victim::start(&world);
        eventually(
            &format!("killed at {milestone:?}"),
            async || milestone.reached(&world).await,
            async || world.story().await,
        )
        .await;
        drop(victim);
        if milestone == Milestone::Proposal {
            let open = world.open_proposal(1).await;
            world.approve(&open).await;
        }
    }
    let _last = Victim::start(&world);
    world.settles("settled after all kills").await;
    let proposals = world.proposals().await;
    assert_eq!(proposals.iter().map(|p| p.verdict.word()).collect::<Vec<_>>(), ["Done"]);
    let refs = git(&world.repositories.bare("deployments"), &["for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs, "refs/heads/main\nrefs/loggia/proposals/1\nrefs/tags/core/upf-edge/v1");
    assert_eq!(inventories(&world).await, [EVERYTHING, EVERYTHING]);
}

/// The objects of the example, as inventories list them, sorted.
const EVERYTHING: &str = "apps|v1|Deployment|core|upf-edge\nnetworking.k8s.io|v1|NetworkPolicy|core|upf-edge\n\
                          |v1|ConfigMap|core|upf-edge-config\n|v1|Service|core|upf-edge";

/// What the one inventory of the example's unit lists on each target.
async fn inventories(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    for edge in &world.edges {
        let all =
            edge.list(&Gvk::new("", "v1", "ConfigMap"), "loggia-system", "loggia.dev/inventory").await.unwrap().objects;
        let ours: Vec<&Object> = all
            .iter()
            .filter(|o| o.annotation("loggia.dev/unit").is_some_and(|u| u.starts_with("default/upf-edge@")))
            .collect();
        assert_eq!(ours.len(), 1, "each unit has one inventory: {all:?}");
        let mut lines: Vec<&str> = ours[0].value()["data"]["objects"].as_str().unwrap().lines().collect();
        lines.sort_unstable();
        found.push(lines.join("\n"));
    }
    found
}

/// A reconciler that is killed at each external write that it was not killed at before: the write has landed, its
/// answer is lost. A write is known by verb, path and body without its digits (times, versions).
#[derive(Clone, Default)]
struct Killer {
    victim: Arc<Mutex<Option<Victim>>>,
    seen: Arc<Mutex<BTreeSet<(String, String, String)>>>,
}

impl Killer {
    fn tap(&self) -> Tap {
        let killer = self.clone();
        Arc::new(move |write: &Write| {
            if write.path.contains("/leases/") {
                return;
            }
            let body: String = String::from_utf8_lossy(&write.body).chars().filter(|c| !c.is_ascii_digit()).collect();
            let mut victim = killer.victim.lock().unwrap();
            if victim.is_some() && killer.seen.lock().unwrap().insert((write.verb.clone(), write.path.clone(), body)) {
                *victim = None;
            }
        })
    }

    /// Kills at each push that landed, also at one like another before: none is to be repeated.
    fn witness(&self) -> Witness {
        let killer = self.clone();
        Arc::new(move |moment, request: &str, body: &[u8]| {
            let mut victim = killer.victim.lock().unwrap();
            if moment == Moment::Landed
                && request.starts_with("POST")
                && request.ends_with("git-receive-pack")
                && victim.is_some()
            {
                let mut seen = killer.seen.lock().unwrap();
                let number = seen.len();
                seen.insert((format!("push {number}"), request.to_owned(), commands(body)));
                *victim = None;
            }
        })
    }

    fn kills(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Keeps a reconciler running, through all its deaths, until a state is reached.
    async fn until(&self, step: &str, world: &World, mut holds: impl AsyncFnMut() -> bool) {
        let told = |kills| format!("{step}, after {kills} kills");
        for _ in 0..3000 {
            if self.victim.lock().unwrap().is_none() {
                assert!(self.kills() < 400, "no end of new writes: {:#?}", self.seen.lock().unwrap());
                *self.victim.lock().unwrap() = Some(Victim::start(world));
            }
            if holds().await {
                println!("ok: {}", told(self.kills()));
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = std::fs::read_to_string(world.repositories.dir.path().join("victim.log")).unwrap_or_default();
        let url = log.split_whitespace().find(|word| word.starts_with("http://")).unwrap_or_default();
        let metrics = match reqwest::get(format!("{url}/metrics")).await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        let story = world.story().await;
        panic!("did not hold: {}\n{story}\nthe reconciler said:\n{log}\n{metrics}", told(self.kills()));
    }

    async fn proposal(&self, world: &World, number: u64) -> Proposal {
        let found = async || world.proposals().await.into_iter().find(|p| p.number == number);
        let open = async || found().await.is_some_and(|p| p.verdict.word() == "Open");
        self.until(&format!("proposal {number} opens"), world, open).await;
        found().await.unwrap()
    }

    async fn settles(&self, world: &World, revision: &str) {
        let settled =
            async || world.sync().await["status"]["revision"] == revision && world.summary().await == "settled";
        self.until(&format!("{revision} is settled"), world, settled).await;
    }
}

/// What a push does to which refs, from its pkt-lines.
fn commands(mut body: &[u8]) -> String {
    let mut told = Vec::new();
    while let Some((length, rest)) = body.split_at_checked(4) {
        let length = usize::from_str_radix(std::str::from_utf8(length).unwrap(), 16).unwrap();
        if length == 0 {
            break;
        }
        let line = String::from_utf8_lossy(&rest[..length - 4]);
        let words: Vec<&str> = line.split(['\0', '\n']).next().unwrap().split(' ').collect();
        let absent = |id: &str| id.chars().all(|c| c == '0');
        let verb = match (absent(words[0]), absent(words[1])) {
            (true, _) => "create",
            (_, true) => "delete",
            _ => "move",
        };
        told.push(format!("{verb} {}", words[2]));
        body = &rest[length - 4..];
    }
    told.join(", ")
}

/// Killed at every external write of the golden path, each time at a new one: the end is that of an undisturbed run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_every_write_changes_nothing() {
    let killer = Killer::default();
    let world = World::without_reconciler(&Servers::Embedded(killer.tap())).await;
    killed_all_along(&world, &killer).await;
    assert!(killer.kills() > 40, "{} kills are too few to be all writes", killer.kills());
}

/// The same with deployments on a git server: killed at every push.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_every_push_changes_nothing() {
    let killer = Killer::default();
    let repositories = Repositories::from_examples();
    git(&repositories.bare("deployments"), &["config", "http.receivepack", "true"]);
    let Some(server) = GitServer::start(repositories.dir.path(), killer.witness()) else { return };
    let world = World::of(&Servers::embedded(), repositories, &server.url("deployments.git")).await;
    killed_all_along(&world, &killer).await;
    // Four revisions are drafted, proposed, published or deleted, and four proposals opened and concluded.
    assert!(killer.kills() >= 20, "too few pushes: {:#?}", killer.seen.lock().unwrap());
}

/// The whole story with a reconciler that is killed all the time.
async fn killed_all_along(world: &World, killer: &Killer) {
    world.repositories.commit_quick_intent("upf-edge.yaml", "A UPF on every edge");
    let first = killer.proposal(world, 1).await;
    world.approve(&first).await;
    killer.settles(world, "v1").await;
    assert_eq!(inventories(world).await, [EVERYTHING, EVERYTHING]);

    world.repositories.commit_quick_intent("upf-edge-broken.yaml", "A new image");
    let second = killer.proposal(world, 2).await;
    world.approve(&second).await;
    let third = killer.proposal(world, 3).await;
    assert_eq!(third.content.kind, ProposalKind::Revert);
    let back = async || world.image(0).await == "registry.example/upf:1.4.2";
    killer.until("edge-1 is back on the good image", world, back).await;
    assert_eq!(world.image(1).await, "registry.example/upf:1.4.2", "edge-2 was never touched");
    world.approve(&third).await;
    killer.settles(world, "v3").await;
    assert_eq!(inventories(world).await, [EVERYTHING, EVERYTHING]);

    git(&world.repositories.work("intents"), &["rm", "-q", "intents/upf-edge.yaml"]);
    world.repositories.push_intents("No UPF any more");
    let fourth = killer.proposal(world, 4).await;
    world.approve(&fourth).await;
    killer.until("the intent is gone", world, async || world.intent().await.is_null()).await;
    for edge in 0..2 {
        assert_eq!(world.deployment(edge).await, None, "edge {edge}\n{}", world.story().await);
    }
    let verdicts: Vec<&str> = world.proposals().await.iter().map(|p| p.verdict.word()).collect();
    assert_eq!(verdicts, ["Done"; 4]);
    let kept = world.management.list(&Gvk::new("", "v1", "ConfigMap"), "", "loggia.dev/state").await.unwrap().objects;
    assert!(kept.is_empty(), "history outlived its Sync: {kept:?}");
    let refs = git(&world.repositories.bare("deployments"), &["for-each-ref", "--format=%(refname)"]);
    let numbers = (1..=4).map(|n| format!("refs/loggia/proposals/{n}")).collect::<Vec<_>>().join("\n");
    assert_eq!(refs, format!("refs/heads/main\n{numbers}"));
}

/// Of two reconcilers on one world only the holder of the lease writes; when it stops, the other goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_lease_holder_writes_on_embedded_api_servers() {
    one_writer(&Servers::embedded()).await;
}

/// The same on real API servers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_lease_holder_writes() {
    let Some(assets) = assets("only_the_lease_holder_writes") else { return };
    one_writer(&Servers::Real(assets)).await;
}

async fn one_writer(servers: &Servers) {
    let mut world = World::start(servers).await;
    let engine = world.running.as_ref().unwrap().engine.clone();
    eventually("the first one leads", async || engine.claim().is_ok(), async || world.story().await).await;
    let second = Cluster::from_kubeconfig("second", &world.servers[0].kubeconfig, None, false).await.unwrap();
    let other =
        app::start(second.clone(), &Config { identity: "second".into(), ..config() }, Functions::default()).unwrap();

    world.repositories.commit_intent("upf-edge.yaml", "A UPF on every edge");
    let first = world.open_proposal(1).await;
    world.approve(&first).await;
    world.settles("settled with two reconcilers").await;
    let writes = |counts: &std::collections::BTreeMap<&'static str, u64>| -> u64 {
        ["create", "update", "patch", "apply", "delete"].iter().filter_map(|verb| counts.get(verb)).sum()
    };
    assert!(writes(&engine.management.requests().snapshot()) > 0);
    let counts = second.requests().snapshot();
    assert_eq!(writes(&counts), 0, "{counts:?}");
    assert!(other.engine.claim().is_err());

    world.running.take().unwrap().stop().await;
    eventually("the second one leads", async || other.engine.claim().is_ok(), async || world.story().await).await;
    world.servers[0].scale("core", "upf-edge", 5).await;
    eventually(
        "the second one corrects drift",
        async || world.deployment(0).await.is_some_and(|d| d["spec"]["replicas"] == 2),
        async || world.story().await,
    )
    .await;
    other.stop().await;
}

/// Nothing moves, nothing is asked.
async fn quiet(world: &World) {
    let engine = &world.running.as_ref().unwrap().engine;
    let count = async || {
        let mut sum = engine.management.requests().active();
        for session in engine.targets.all() {
            sum += session.cluster.requests().active();
        }
        sum
    };
    let mut before = count().await;
    eventually(
        "a quiet period has no requests but watches and the lease",
        async || {
            tokio::time::sleep(Duration::from_secs(5)).await;
            let now = count().await;
            std::mem::replace(&mut before, now) == now
        },
        async || format!("{:?}", engine.management.requests().snapshot()),
    )
    .await;
}

/// Somebody scales by hand.
async fn drift(world: &World) {
    world.servers[0].scale("core", "upf-edge", 5).await;
    eventually(
        "drift is corrected",
        async || world.deployment(0).await.is_some_and(|d| d["spec"]["replicas"] == 2),
        async || world.story().await,
    )
    .await;
    let told = async || {
        let events = world.management.list(&Gvk::new("", "v1", "Event"), "default", "").await.unwrap().objects;
        let messages = events.iter().filter_map(|event| event.value()["message"].as_str());
        messages.filter(|m| m.contains(".spec.replicas: 5 -> 2")).any(|m| m.contains("kubectl"))
    };
    eventually("an event says who drifted from what", told, async || world.story().await).await;
    world.settles("settled after drift").await;
}

async fn bad_image(world: &World) {
    world.repositories.commit_intent("upf-edge-broken.yaml", "A new image");
    let second = world.open_proposal(2).await;
    assert!(second.content.body.contains("upf:broken"), "{}", second.content.body);
    world.approve(&second).await;
    let third = world.open_proposal(3).await;
    assert_eq!(third.content.kind, ProposalKind::Revert);
    assert!(third.content.body.contains("ImagePullBackOff"), "{}", third.content.body);
    eventually(
        "edge-1 is back on the good image",
        async || world.image(0).await == "registry.example/upf:1.4.2",
        async || world.story().await,
    )
    .await;
    assert_eq!(world.image(1).await, "registry.example/upf:1.4.2", "edge-2 was never touched");
    assert_eq!(world.deployment(1).await.unwrap()["metadata"]["generation"], 1, "edge-2 was never touched");
    eventually(
        "the intent says why it is held",
        async || {
            let message = world.intent().await["status"]["message"].as_str().unwrap_or_default().to_owned();
            message.contains("held") && message.contains("ImagePullBackOff")
        },
        async || world.story().await,
    )
    .await;

    world.repositories.push_intents("The same again");
    world.approve(&third).await;
    eventually(
        "the revert is published as v3",
        async || world.sync().await["status"]["revision"] == "v3",
        async || world.story().await,
    )
    .await;
    world.settles("settled on the reverted content").await;
    assert_eq!(world.proposals().await.len(), 3, "the held content is not proposed again");
}

async fn deletion(world: &World) {
    let work = world.repositories.work("intents");
    git(&work, &["rm", "-q", "intents/upf-edge.yaml"]);
    world.repositories.push_intents("No UPF any more");
    let fourth = world.open_proposal(4).await;
    assert_eq!(fourth.content.kind, ProposalKind::Delete);
    assert!(!fourth.content.body.contains("merge"), "there is no branch to merge: {}", fourth.content.body);
    assert!(world.deployment(0).await.is_some(), "nothing goes before it is approved");
    world.approve(&fourth).await;
    eventually("the intent is gone", async || world.intent().await.is_null(), async || world.story().await).await;
    for edge in 0..2 {
        assert_eq!(world.deployment(edge).await, None);
        let namespace = world.edges[edge].get(&Gvk::new("", "v1", "Namespace"), "", "core").await.unwrap();
        assert!(namespace.is_some(), "nothing else is touched");
    }
    let refs = git(&world.repositories.bare("deployments"), &["for-each-ref", "--format=%(refname)"]);
    assert!(!refs.contains("tags") && !refs.contains("proposed"), "{refs}");
}
