//! What reading, writing, foretelling and comparing objects costs, each beside what people use today.
//!
//! `cargo bench --bench krm` prints decoding and encoding of 5 MB of manifests beside `serde_yaml`, and predictions of
//! 1,000 Deployments. With `LOGGIA_KUBE_ASSETS` (`tests/tools/build` makes them) it also plans 1,000 unchanged and
//! 1,000 changed objects on a real API server, beside `kubectl diff --server-side` of the same objects on the same
//! server, and counts false differences.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench prints, and stops at the first surprise; it uses part of what tests share"
)]

#[path = "../tests/support/kube.rs"]
mod control;
mod support;

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use control::{Control, assets};
use loggia::cluster::Cluster;
use loggia::config::Config;
use loggia::domain::approval::{Bind, Gate, Mode, gate_unit};
use loggia::domain::id::{NamespacedName, TargetName, UnitId};
use loggia::domain::intent::target::Target;
use loggia::domain::krm::document::{Limits, YamlFile, to_yaml};
use loggia::domain::krm::{ApplyOptions, Object, Schemas, apply as merge_in, predict};
use loggia::domain::plan::{Declared, DeclaredObject, PlanPolicy, declare};
use loggia::domain::rollout::SyncState;
use loggia::domain::time::Timestamp;
use loggia::engine::apply::apply;
use loggia::engine::planning::{Planned, plan_target};
use loggia::engine::{Engine, MANAGER};
use serde::Deserialize as _;
use serde_json::{Value, json};
use support::{claim, target};

/// One object of the kinds that people have most of.
fn object(number: usize, level: &str) -> Value {
    let name = format!("w{number}");
    let metadata = json!({"name": name, "namespace": "default", "labels": {"app": name, "tier": "edge"}});
    if number.is_multiple_of(2) {
        return json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata,
            "data": {"level": level, "settings": "one: 1\ntwo: \"2\"\nthree: [a, b]\n", "enabled": "true", "time": "12:30:45"}});
    }
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {
        "replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}}, "spec": {
            "containers": [
                {"name": "main", "image": "registry.example/main:1.4.2", "ports": [{"name": "http", "containerPort": 8080}],
                    "env": [{"name": "LEVEL", "value": level}, {"name": "ENABLED", "value": "yes"}],
                    "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 5}},
                {"name": "side", "image": "registry.example/side:2", "args": ["--listen", ":9090"]}],
            "volumes": [{"name": "settings", "configMap": {"name": name}}]}}}})
}

/// Median of five runs, in milliseconds.
fn median<T>(mut work: impl FnMut() -> T) -> f64 {
    let mut runs: Vec<f64> = (0..5)
        .map(|_| {
            let began = Instant::now();
            black_box(work());
            began.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    runs.sort_by(f64::total_cmp);
    runs[2]
}

fn line(what: &str, ours: f64, other: f64, whose: &str) {
    println!("{what:<42} {ours:>9.1} ms   {whose} {other:>9.1} ms   ratio {:.2}", ours / other);
}

fn documents() {
    let mut text = String::new();
    for number in 0.. {
        text += &format!("---\n{}", to_yaml(&object(number, "info")));
        if text.len() > 5_000_000 {
            break;
        }
    }
    let ours = || YamlFile::parse(text.as_bytes(), &Limits::DEFINITIONS).unwrap().values().unwrap();
    let theirs = || -> Vec<Value> {
        serde_yaml::Deserializer::from_str(&text).map(|d| Value::deserialize(d).unwrap()).collect()
    };
    let values = ours();
    println!("{} documents, {} bytes", values.len(), text.len());
    line("decode", median(ours), median(theirs), "serde_yaml");
    let encode = || values.iter().map(|value| to_yaml(value).len()).sum::<usize>();
    let other = || values.iter().map(|value| serde_yaml::to_string(value).unwrap().len()).sum::<usize>();
    line("encode", median(encode), median(other), "serde_yaml");
    // Its texts are not what they were: Kubernetes reads some as another type.
    let lost = values.iter().filter(|value| {
        let text = serde_yaml::to_string(value).unwrap();
        YamlFile::parse(text.as_bytes(), &Limits::default()).unwrap().value(0).ok().as_ref() != Some(value)
    });
    println!("objects that serde_yaml writes so that Kubernetes reads another type: {}", lost.count());
}

fn predictions() {
    let schemas = Schemas::builtin();
    let options = ApplyOptions {
        manager: MANAGER,
        force: true,
        subresource: "",
        now: Timestamp::UNIX_EPOCH,
        reset: &[],
        blank: None,
    };
    let lives: Vec<Value> = (0..1000)
        .map(|number| {
            let config = object(number * 2 + 1, "info");
            let mut stored = config.clone();
            schemas.fill(&Object::new(config.clone()).unwrap().gvk(), &mut stored);
            let (schema, _) = schemas.lookup(&Object::new(config.clone()).unwrap().gvk());
            merge_in(Some(&stored), &config, &options, schema).unwrap()
        })
        .collect();
    let wanted: Vec<Value> = (0..1000).map(|number| object(number * 2 + 1, "debug")).collect();
    let foretell = || {
        lives
            .iter()
            .zip(&wanted)
            .map(|(live, config)| predict(Some(live), config, MANAGER, &schemas).unwrap().changes.len())
            .sum::<usize>()
    };
    assert_eq!(foretell(), 1000);
    let text: Vec<String> = lives.iter().map(ToString::to_string).collect();
    let read = || text.iter().map(|text| serde_json::from_str::<Value>(text).unwrap().to_string().len()).sum::<usize>();
    line("predict 1,000 Deployments", median(foretell), median(read), "reading and writing them as JSON");
}

/// The objects as they are declared for the target.
fn declared(level: &str) -> Declared {
    let declared = |number| DeclaredObject {
        object: Object::new(object(number, level)).unwrap(),
        origin: "bench.yaml:1".to_owned(),
    };
    let unit = UnitId {
        sync: NamespacedName { namespace: "default".to_owned(), name: "bench".to_owned() },
        target: TargetName::new("bench").unwrap(),
    };
    declare(unit, 0, &(0..1000).map(declared).collect::<Vec<_>>())
}

/// Seconds of `kubectl diff --server-side`, and how many objects it says differ.
fn kubectl(control: &Control, assets: &std::path::Path, declared: &Declared) -> (f64, usize) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.yaml");
    let text: String =
        declared.objects.iter().map(|wanted| format!("---\n{}", to_yaml(wanted.object.value()))).collect();
    std::fs::write(&file, text).unwrap();
    let began = Instant::now();
    let output = Command::new(assets.join("kubectl"))
        .arg(format!("--kubeconfig={}", control.kubeconfig_file().display()))
        .args(["diff", "--server-side", "--force-conflicts", "--field-manager", MANAGER, "-f"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stdout);
    (began.elapsed().as_secs_f64(), told.lines().filter(|line| line.starts_with("diff -")).count())
}

async fn planned(engine: &Engine, management: &Cluster, target: &Target, declared: &Declared) -> (Duration, usize) {
    let policy = PlanPolicy { manager: MANAGER.to_owned(), ..PlanPolicy::default() };
    let session = engine.targets.session(management, target).await.unwrap();
    let began = Instant::now();
    let plan = plan_target(engine, &session, declared.clone(), &policy).await.unwrap().plan;
    (began.elapsed(), plan.steps().filter(|step| step.writes()).count())
}

async fn differences(assets: &std::path::Path) {
    let control = Control::alone(assets);
    let management = Cluster::from_kubeconfig("bench", &control.kubeconfig(), None, false).await.unwrap();
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
    let before = declared("info");
    let Planned { observed, plan, .. } = plan_target(&engine, &session, before.clone(), &policy).await.unwrap();
    let Gate::Open(approved) = gate_unit(plan, None, &SyncState::default(), Mode::Automatic, Bind::Plan) else {
        panic!("the gate is not open");
    };
    let report = apply(&session, &claim, &approved, &before, &observed, &engine.metrics).await.unwrap();
    assert!(report.failures.is_empty() && report.written == 1000, "{report:?}");
    for (what, wanted, differ) in [("unchanged", before, 0), ("changed", declared("debug"), 1000)] {
        // Another engine, so that nothing is remembered: what a command line starts with.
        let (_, claims) = tokio::sync::watch::channel(Some(claim.clone()));
        let (fresh, _changes) = loggia::app::engine(
            management.clone(),
            &Config::new("bench"),
            &loggia::app::functions::Functions::default(),
            claims,
        )
        .unwrap();
        let (ours, found) = planned(&fresh, &management, &target, &wanted).await;
        let (theirs, told) = kubectl(&control, assets, &wanted);
        line(
            &format!("diff of 1,000 {what} objects"),
            ours.as_secs_f64() * 1000.0,
            theirs * 1000.0,
            "kubectl diff --server-side",
        );
        println!(
            "  differences: {found} of {differ}; kubectl tells {told}; {:.1} times faster",
            theirs / ours.as_secs_f64()
        );
        assert_eq!(found, differ, "false differences");
    }
}

#[tokio::main]
async fn main() {
    documents();
    predictions();
    if let Some(assets) = assets("diff beside kubectl") {
        differences(&assets).await;
    }
}
