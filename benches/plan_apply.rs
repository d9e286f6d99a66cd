//! What planning and applying cost beside a bare loop that only sends the same patches, on an embedded API server.
//!
//! `cargo bench --bench plan_apply` prints, for 1, 100 and 1,000 packages of three objects: seconds of both and their
//! ratio, requests by verb, what planning everything again costs, and the peak memory of the whole process (both
//! API servers and the client are in it).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints, and stops at the first surprise"
)]

mod support;

use std::time::{Duration, Instant};

use loggia::apiserver::{ApiServer, Options};
use loggia::cluster::{Apply, Cluster};
use loggia::config::Config;
use loggia::domain::approval::{Bind, Gate, Mode, gate_unit};
use loggia::domain::id::{NamespacedName, TargetName, UnitId};
use loggia::domain::krm::Object;
use loggia::domain::plan::{Declared, DeclaredObject, PlanPolicy, declare};
use loggia::domain::rollout::SyncState;
use loggia::engine::MANAGER;
use loggia::engine::apply::apply;
use loggia::engine::planning::{Planned, plan_target};
use serde_json::json;
use support::{claim, target};

fn cluster(name: &str) -> Cluster {
    Cluster::from_service(name, ApiServer::open(Options::in_memory(name)).unwrap().service())
}

/// A package as it is declared on the target: a configuration, a service, a workload.
fn package(number: usize) -> Declared {
    let name = format!("p{number}");
    let labels = json!({"app": name});
    let metadata = json!({"name": name, "namespace": "default", "labels": labels});
    let objects = [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"level": "info"}}),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "registry.example/main:1"}]}
            }}
        }),
    ];
    let declared =
        |object| DeclaredObject { object: Object::new(object).unwrap(), origin: "package.yaml:1".to_owned() };
    let unit = UnitId {
        sync: NamespacedName { namespace: "default".to_owned(), name },
        target: TargetName::new("bench").unwrap(),
    };
    declare(unit, 0, &objects.map(declared))
}

struct Cost {
    planned_and_applied: Duration,
    planned_again: Duration,
    requests: String,
    requests_again: u64,
}

async fn ours(packages: &[Declared]) -> Cost {
    let management = cluster("bench");
    let claim = claim();
    let (_, claims) = tokio::sync::watch::channel(Some(claim.clone()));
    let (engine, _changes) = loggia::app::engine(
        management.clone(),
        &Config::new("bench"),
        &loggia::app::functions::Functions::default(),
        claims,
    )
    .unwrap();
    let target = target();
    let session = engine.targets.session(&management, &target).await.unwrap();
    let policy = PlanPolicy { manager: MANAGER.to_owned(), ..PlanPolicy::default() };

    let began = Instant::now();
    for declared in packages {
        let Planned { declared, observed, plan } =
            plan_target(&engine, &session, declared.clone(), &policy).await.unwrap();
        let Gate::Open(approved) = gate_unit(plan, None, &SyncState::default(), Mode::Automatic, Bind::Plan) else {
            panic!("the gate is not open");
        };
        let report = apply(&session, &claim, &approved, &declared, &observed, &engine.metrics).await.unwrap();
        assert!(report.failures.is_empty() && report.written == 3, "{report:?}");
    }
    let planned_and_applied = began.elapsed();
    let requests = format!("{:?}", management.requests().snapshot());
    let before = management.requests().active();
    let began = Instant::now();
    for declared in packages {
        let planned = plan_target(&engine, &session, declared.clone(), &policy).await.unwrap();
        assert!(planned.plan.is_empty(), "the second plan is not empty");
    }
    let requests_again = management.requests().active() - before;
    Cost { planned_and_applied, planned_again: began.elapsed(), requests, requests_again }
}

async fn bare(packages: &[Declared]) -> Duration {
    let cluster = cluster("bare");
    let began = Instant::now();
    for wanted in packages.iter().flat_map(|package| &package.objects) {
        cluster.apply(None, &wanted.object, &Apply::new(MANAGER)).await.unwrap();
    }
    began.elapsed()
}

/// Most memory that this process has had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024
}

#[tokio::main]
async fn main() {
    println!("packages   ours      bare      ratio   again     requests again   peak      requests");
    for count in [1, 100, 1000] {
        let packages: Vec<Declared> = (0..count).map(package).collect();
        let bare = bare(&packages).await;
        let cost = ours(&packages).await;
        let (ours, again) = (cost.planned_and_applied.as_secs_f64(), cost.planned_again.as_secs_f64());
        println!(
            "{count:<10} {ours:<9.3} {:<9.3} {:<7.1} {again:<9.3} {:<16} {:<5} MiB {}",
            bare.as_secs_f64(),
            ours / bare.as_secs_f64(),
            cost.requests_again,
            peak(),
            cost.requests
        );
    }
}
