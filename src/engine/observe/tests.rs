//! Owned objects of kinds that come, change and go.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::apiserver::ApiServer;
use crate::cluster::{Cluster, Delete};
use crate::domain::approval::{Bind, Gate, Mode, gate_teardown, gate_unit};
use crate::domain::id::{NamespacedName, TargetName, UnitId};
use crate::domain::plan::{DeclaredObject, Plan, PlanPolicy, UnitPlan, declare};
use crate::domain::rollout::SyncState;
use crate::engine::apply::apply;
use crate::engine::planning::{Planned, plan_target};
use crate::engine::targets::testing::{Clock, claim, engine_over, put, server, session};
use crate::engine::{Engine, MANAGER};

/// The definition of a kind of `example.com`, with its versions and whether they are served; the last one is stored.
fn definition(kind: &str, versions: &[(&str, bool)]) -> Value {
    let plural = format!("{}s", kind.to_lowercase());
    let schema = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let last = versions.len() - 1;
    let versions: Vec<Value> = versions
        .iter()
        .enumerate()
        .map(|(index, (name, served))| {
            json!({"name": name, "served": served, "storage": index == last, "schema": schema})
        })
        .collect();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.example.com")},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "versions": versions,
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")}
        }
    })
}

fn thing(version: &str) -> Gvk {
    Gvk::new("example.com", version, "Thing")
}

/// A connection that knows nothing of the server yet.
fn fresh(server: &ApiServer) -> Cluster {
    Cluster::from_service("management", server.service())
}

async fn engine(server: &ApiServer) -> Arc<Engine> {
    engine_over(fresh(server), Clock::new()).await
}

async fn until_served(server: &ApiServer, kind: &Gvk, served: bool) {
    let waiting = async {
        while fresh(server).resource(kind).await.unwrap().is_some() != served {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting).await.unwrap();
}

fn unit() -> UnitId {
    let sync = NamespacedName { namespace: "two".to_owned(), name: "things".to_owned() };
    UnitId { sync, target: TargetName::new("edge").unwrap() }
}

fn nothing() -> Declared {
    Declared { teardown: true, ..declare(unit(), 0, &[]) }
}

async fn plan(engine: &Engine, declared: Declared) -> Planned {
    let policy = PlanPolicy { manager: MANAGER.to_owned(), prune: true, ..PlanPolicy::default() };
    let session = session(engine).await;
    plan_target(engine, &session, declared, &policy).await.unwrap()
}

/// What people have seen and agreed to.
fn agreed(plan: &UnitPlan) -> Plan {
    Plan::new(plan.declared.clone(), vec![plan.clone()])
}

/// Plans, and does it.
async fn bring(engine: &Engine, declared: Declared) {
    let Planned { declared, observed, plan } = plan(engine, declared).await;
    let gate = if declared.teardown {
        gate_teardown(plan.clone(), &agreed(&plan))
    } else {
        gate_unit(plan, None, &SyncState::default(), Mode::Automatic, Bind::Plan)
    };
    let Gate::Open(approved) = gate else { panic!("{gate:?}") };
    let session = session(engine).await;
    let report = apply(&session, &claim(), &approved, &declared, &observed, &engine.metrics).await.unwrap();
    assert_eq!(report.failures, Vec::<String>::new());
}

/// A server on which a unit owns one Thing that it wrote as `v1beta1`.
async fn owning() -> ApiServer {
    let server = server("management");
    let engine = engine(&server).await;
    put(&engine.management, definition("Other", &[("v1", true)])).await;
    put(&engine.management, definition("Thing", &[("v1beta1", true), ("v1", true)])).await;
    until_served(&server, &thing("v1beta1"), true).await;
    let object = json!({
        "apiVersion": "example.com/v1beta1", "kind": "Thing", "metadata": {"name": "t", "namespace": "one"}
    });
    let object = DeclaredObject { object: Object::new(object).unwrap(), origin: "f.yaml:1".to_owned() };
    bring(&engine, declare(unit(), 0, &[object])).await;
    assert_eq!(session(&engine).await.inventory(&unit()).await.unwrap().len(), 1);
    server
}

async fn owned(engine: &Engine) -> usize {
    session(engine).await.inventory(&unit()).await.unwrap().len()
}

#[tokio::test]
async fn an_owned_object_is_found_in_whatever_version_it_is_served() {
    let server = owning().await;
    put(&fresh(&server), definition("Thing", &[("v1beta1", false), ("v1", true)])).await;
    until_served(&server, &thing("v1beta1"), false).await;
    let engine = engine(&server).await;
    let planned = plan(&engine, nothing()).await;
    assert_eq!(planned.plan.steps().filter(|step| step.writes()).count(), 1, "{:?}", planned.plan);
    bring(&engine, nothing()).await;
    assert_eq!(fresh(&server).get(&thing("v1"), "one", "t").await.unwrap(), None);
    assert_eq!(owned(&engine).await, 0);
}

#[tokio::test]
async fn what_may_be_there_but_cannot_be_looked_at_stands_in_the_way() {
    let server = owning().await;
    put(&fresh(&server), definition("Thing", &[("v1beta1", false), ("v1", false)])).await;
    until_served(&server, &thing("v1"), false).await;
    let engine = engine(&server).await;
    let planned = plan(&engine, nothing()).await;
    let Gate::Blocked(walls) = gate_teardown(planned.plan.clone(), &agreed(&planned.plan)) else {
        panic!("{:?}", planned.plan);
    };
    assert!(walls[0].contains("Thing.example.com is served in no version"), "{walls:?}");
    assert_eq!(owned(&engine).await, 1);

    put(&fresh(&server), definition("Thing", &[("v1beta1", false), ("v1", true)])).await;
    until_served(&server, &thing("v1"), true).await;
    bring(&engine, nothing()).await;
    assert_eq!(fresh(&server).get(&thing("v1"), "one", "t").await.unwrap(), None, "it was there all along");
    assert_eq!(owned(&engine).await, 0);
}

#[tokio::test]
async fn what_went_with_its_definition_is_gone() {
    for others_stay in [true, false] {
        let server = owning().await;
        let crd = Gvk::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
        for name in ["things.example.com", "others.example.com"].iter().take(if others_stay { 1 } else { 2 }) {
            let found = fresh(&server).get(&crd, "", name).await.unwrap().unwrap();
            fresh(&server).delete(None, &crd, &found.id(), &Delete::default()).await.unwrap();
        }
        until_served(&server, &thing("v1"), false).await;
        if !others_stay {
            until_served(&server, &Gvk::new("example.com", "v1", "Other"), false).await;
        }
        let engine = engine(&server).await;
        bring(&engine, nothing()).await;
        assert_eq!(owned(&engine).await, 0);
    }
}
