//! Proving that a unit is healthy: its objects and what they own, followed by watch while the proof is pending.

use std::collections::BTreeSet;

use serde_json::Value;

use super::targets::{PATIENCE, Session};
use super::{Engine, EngineError};
use crate::cluster::Scope;
use crate::domain::health::{Health, State, Verdict, Watchfulness, roll_up};
use crate::domain::id::UnitId;
use crate::domain::intent::sync::{SyncSpec, duration};
use crate::domain::krm::Gvk;
use crate::domain::plan::{Declared, Observed};
use crate::domain::rollout::Proof;
use crate::domain::time::{SignedDuration, Timestamp};

/// Kinds that own pods: their pods are looked at while health is pending.
const WORKLOADS: &[&str] = &["Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"];

/// Copies of pods and their owners in the namespaces of a unit's workloads.
fn below(declared: &Declared) -> BTreeSet<Scope> {
    let workloads = declared.objects.iter().filter(|wanted| WORKLOADS.contains(&wanted.object.kind()));
    let namespaces: BTreeSet<String> = workloads.map(|wanted| wanted.object.namespace().to_owned()).collect();
    let scope = |kind: Gvk, namespace: &String| Scope { kind, namespace: namespace.clone(), selector: String::new() };
    namespaces
        .iter()
        .flat_map(|namespace| {
            [scope(Gvk::new("", "v1", "Pod"), namespace), scope(Gvk::new("apps", "v1", "ReplicaSet"), namespace)]
        })
        .collect()
}

/// How a unit is doing: its worst object, with the real fault below it when `deep`.
///
/// # Errors
/// [`EngineError::Cluster`] when the target does not answer.
pub async fn health(
    session: &Session,
    declared: &Declared,
    observed: &Observed,
    deep: bool,
) -> Result<Health, EngineError> {
    let mut others: Vec<Value> = Vec::new();
    if deep {
        let scopes = below(declared);
        session.want(&declared.unit, scopes.clone());
        for scope in scopes {
            if session.mirror.ensure(&scope).await? {
                session.mirror.synced(&scope, PATIENCE).await?;
            }
            others.extend(session.mirror.list(&scope).into_iter().map(crate::domain::krm::Object::into_value));
        }
    }
    let mut worst = Health { state: State::Healthy, message: String::new() };
    for wanted in &declared.objects {
        let id = wanted.object.id();
        let found = match observed.objects.get(&id) {
            Some(live) => roll_up(live.value(), &others),
            None => Health { state: State::Progressing, message: "it does not exist".to_owned() },
        };
        if found.state < worst.state {
            worst = Health { state: found.state, message: format!("{id}: {}", found.message) };
        }
    }
    Ok(worst)
}

/// Stops following the pods of a unit whose proof is not pending any more, unless another unit's proof needs them.
pub fn rest(session: &Session, unit: &UnitId) {
    session.want(unit, BTreeSet::new());
}

/// The windows of a Sync.
#[must_use]
pub fn windows(
    engine: &Engine,
    spec: &SyncSpec,
    began_at: Timestamp,
    healthy_since: Option<Timestamp>,
) -> Watchfulness {
    let read = |text: &Option<String>, default: SignedDuration| {
        text.as_ref().and_then(|text| duration("spec.health", text).ok()).unwrap_or(default)
    };
    Watchfulness {
        stable_for: read(&spec.health.stable_for, engine.settings.stable_for),
        timeout: read(&spec.health.timeout, engine.settings.health_timeout),
        began_at,
        healthy_since,
    }
}

/// A proof and when to look again.
#[must_use]
pub fn proof(verdict: Verdict, health: &Health, stable_for: SignedDuration) -> (Proof, Option<SignedDuration>) {
    match verdict {
        Verdict::Healthy => (Proof::Healthy, None),
        Verdict::Failed(message) => (Proof::Failed { message }, None),
        Verdict::Waiting(after) => {
            let message = if health.message.is_empty() {
                format!("it must stay healthy for {stable_for:#}")
            } else {
                health.message.clone()
            };
            (Proof::Waiting { message }, Some(after))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::domain::id::{NamespacedName, TargetName};
    use crate::domain::inventory::Inventory;
    use crate::domain::krm::Object;
    use crate::domain::plan::{DeclaredObject, declare};
    use crate::engine::targets::testing::{engine, session};

    /// A Deployment of a Sync of this name in the namespace `one` of the target.
    fn declared(sync: &str) -> Declared {
        let sync = NamespacedName { namespace: "two".to_owned(), name: sync.to_owned() };
        let unit = UnitId { sync: sync.clone(), target: TargetName::new("edge").unwrap() };
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": sync.name, "namespace": "one"}
        });
        let object = Object::new(deployment).unwrap();
        declare(unit, 0, &[DeclaredObject { object, origin: "f.yaml:1".to_owned() }])
    }

    #[tokio::test]
    async fn a_proof_that_ends_takes_nothing_from_another_one() {
        let engine = engine().await;
        let session = session(&engine).await;
        let (first, second) = (declared("first"), declared("second"));
        let observed = Observed::whole([], Inventory::default(), Timestamp::UNIX_EPOCH);
        health(&session, &first, &observed, true).await.unwrap();
        health(&session, &second, &observed, true).await.unwrap();
        let pods = Scope { kind: Gvk::new("", "v1", "Pod"), namespace: "one".to_owned(), selector: String::new() };
        let kept = async || session.mirror.synced(&pods, Duration::ZERO).await.is_ok();
        assert!(kept().await);
        rest(&session, &first.unit);
        assert!(kept().await, "the second one waits still");
        rest(&session, &second.unit);
        assert!(!kept().await, "nobody waits");
    }
}
