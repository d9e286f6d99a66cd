//! Syncs: one round each, its outcome as status, what happened as events.

use std::sync::{Arc, PoisonError};

use kube::Resource as _;
use serde_json::json;

use super::super::gather::key;
use super::super::reconcile::{Round, is_stale_state};
use super::super::status::sync_status;
use super::super::{Engine, EngineError, MANAGER, Outcome};
use super::{Context, intents, write_status};
use crate::domain::intent::Sync;
use crate::domain::intent::condition::{Condition, Says, amended};
use crate::domain::intent::sync::{SyncSpec, SyncStatus, violations};
use crate::domain::krm::Object;
use crate::domain::rollout::Record;
use crate::domain::time::{SignedDuration, rfc3339_micros};

/// Reason of conditions that say that the spec cannot be used.
const INVALID: &str = "Invalid";
/// A person who wrote the state by hand changes this, so that it is read again.
const REQUESTED: &str = "loggia.dev/requested-at";

pub(super) async fn reconcile(context: Arc<Context>, sync: Arc<Sync>) -> Result<Outcome, EngineError> {
    let engine = &context.engine;
    let key = key(sync.as_ref());
    let request = |sync: &Sync| sync.metadata.annotations.as_ref().and_then(|a| a.get(REQUESTED)).cloned();
    let old =
        context.statuses.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), sync.as_ref().clone());
    let mut told = engine.last_record(&key);
    if old.is_some_and(|old| request(&old) != request(&sync)) {
        engine.states.forget(&key);
    }
    let wrong = violations(&sync.spec);
    if !wrong.is_empty() {
        return invalid(engine, &sync, &wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")).await;
    }
    let spec = |sync: &Sync| SyncSpec { suspend: false, ..sync.spec.clone() };
    if sync.metadata.deletion_timestamp.is_none()
        && let Some(reason) = intents::overruled(&context, sync.as_ref(), spec).await?
    {
        return Ok(Outcome::Waiting { reason: reason.to_owned(), after: None });
    }
    // Who does not lead keeps nothing in mind: the other one goes on writing it.
    engine.claim()?;
    if told.is_none() {
        told = Some(engine.state_of(&key).await?.history.last().cloned());
    }
    let round = match engine.round(&sync, &context.world().await?).await {
        Ok(round) => round,
        Err(error) if is_stale_state(&error) => {
            engine.states.forget(&key);
            return Ok(Outcome::Waiting { reason: error.to_string(), after: Some(SignedDuration::ZERO) });
        }
        Err(EngineError::NotLeader) => return Err(EngineError::NotLeader),
        Err(error) => {
            unknown(engine, &sync, &error).await?;
            return Err(error);
        }
    };
    let status = sync_status(&sync, &round, engine.now());
    if round.gone && sync.metadata.deletion_timestamp.is_none() && sync.metadata.owner_references.is_none() {
        return Ok(round.outcome);
    }
    write_status(engine, sync.as_ref(), sync.status.as_ref(), &status).await?;
    for record in since(&round.state.history, told.flatten().as_ref()) {
        event(engine, &sync, record).await;
    }
    let news = sync.status.as_ref() != Some(&status);
    let mut latest = sync.as_ref().clone();
    latest.status = Some(status);
    context.statuses.lock().unwrap_or_else(PoisonError::into_inner).insert(key, latest);
    if news {
        // Nobody listening is fine.
        let _ = context.told.send(());
    }
    Ok(looked_at_again(round))
}

/// The records after the one that was told last. It is looked for, not counted to: a history drops its oldest.
fn since<'h>(history: &'h [Record], told: Option<&Record>) -> &'h [Record] {
    let from = history.iter().rposition(|record| Some(record) == told).map_or(0, |at| at + 1);
    history.get(from..).unwrap_or_default()
}

/// How often something that blocks a target is looked at again: not all of it tells when it goes away.
const RECHECK: SignedDuration = SignedDuration::from_secs(30);

fn looked_at_again(round: Round) -> Outcome {
    match round.outcome {
        Outcome::Blocked { reason } | Outcome::Waiting { reason, after: None } if !round.rollout.blocked.is_empty() => {
            Outcome::Waiting { reason, after: Some(RECHECK) }
        }
        outcome => outcome,
    }
}

async fn invalid(engine: &Engine, sync: &Sync, reason: &str) -> Result<Outcome, EngineError> {
    let old = sync.status.clone().unwrap_or_default();
    let generation = sync.metadata.generation.unwrap_or_default();
    let says = refusal(reason);
    let status = SyncStatus {
        conditions: amended(&old.conditions, &says, generation, engine.now()),
        observed_generation: Some(generation),
        summary: Some(reason.to_owned()),
        ..old
    };
    write_status(engine, sync, sync.status.as_ref(), &status).await?;
    Ok(Outcome::Blocked { reason: reason.to_owned() })
}

/// What a spec that cannot be used means: nothing goes on until a person changes it.
fn refusal(reason: &str) -> Vec<Says> {
    vec![
        Says::new("Ready", false, INVALID, reason),
        Says::new("Reconciling", false, INVALID, ""),
        Says::new("Stalled", true, INVALID, reason),
    ]
}

/// What a round that broke off means for the conditions it was about. A spec that was refused before is none any more,
/// or there had been no round.
fn failure(old: &[Condition], error: &str) -> Vec<Says> {
    let refused = old.iter().any(|old| old.kind == "Stalled" && old.reason == INVALID);
    let kinds = ["Ready", "Reconciling", "Healthy"].into_iter().chain(refused.then_some("Stalled"));
    kinds.map(|kind| Says::unknown(kind, "RoundFailed", error)).collect()
}

/// What could not be compared is unknown, never settled.
async fn unknown(engine: &Engine, sync: &Sync, error: &EngineError) -> Result<(), EngineError> {
    let old = sync.status.clone().unwrap_or_default();
    let generation = sync.metadata.generation.unwrap_or_default();
    let says = failure(&old.conditions, &error.to_string());
    let status = SyncStatus {
        conditions: amended(&old.conditions, &says, generation, engine.now()),
        summary: Some(error.to_string().chars().take(200).collect()),
        ..old
    };
    write_status(engine, sync, sync.status.as_ref(), &status).await
}

/// An event for kubectl; one that cannot be written is only logged, because history holds the same.
async fn event(engine: &Engine, sync: &Sync, record: &Record) {
    let Ok(claim) = engine.claim() else { return };
    let key = key(sync);
    let warns = matches!(record.event.as_str(), "rollback" | "failed");
    let reason: String = record.event.split(' ').map(capitalised).collect();
    let on = record.target.as_ref().map(|target| format!("{target}: ")).unwrap_or_default();
    let value = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"name": format!("{}.{:x}", key.name, record.at.as_nanosecond()), "namespace": key.namespace},
        "involvedObject": {
            "apiVersion": Sync::api_version(&()), "kind": "Sync", "name": key.name, "namespace": key.namespace,
            "uid": sync.metadata.uid
        },
        "reason": reason, "message": format!("{on}{}", record.message), "type": if warns { "Warning" } else { "Normal" },
        "reportingComponent": MANAGER, "reportingInstance": claim.holder(), "action": "Reconcile",
        "eventTime": rfc3339_micros(record.at), "source": {"component": MANAGER}
    });
    let Ok(object) = Object::new(value) else { return };
    if let Err(error) = engine.management.create(Some(&claim), &object).await {
        tracing::debug!(%error, "event not written");
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::intent::condition::folded;
    use crate::domain::time::Timestamp;

    /// Each condition as `Kind=Status`, in order of kind.
    fn told(conditions: &[Condition]) -> Vec<String> {
        let mut told: Vec<String> = conditions.iter().map(|c| format!("{}={}", c.kind, c.status)).collect();
        told.sort();
        told
    }

    #[test]
    fn a_round_that_broke_off_takes_back_only_what_it_was_about() {
        let whole = ["Approved", "Drifted", "Healthy", "Ready", "Reconciling", "RolledBack", "Stalled"];
        let whole: Vec<Says> = whole.into_iter().map(|kind| Says::new(kind, true, "Blocked", "")).collect();
        let before = folded(&[], &whole, 1, Timestamp::UNIX_EPOCH);
        let after = amended(&before, &failure(&before, "no answer"), 1, Timestamp::UNIX_EPOCH);
        let expected = [
            "Approved=True",
            "Drifted=True",
            "Healthy=Unknown",
            "Ready=Unknown",
            "Reconciling=Unknown",
            "RolledBack=True",
            "Stalled=True",
        ];
        assert_eq!(told(&after), expected);
    }

    #[test]
    fn a_spec_that_was_refused_is_not_stalled_by_that_once_there_is_a_round() {
        let refused = folded(&[], &refusal("no duration"), 1, Timestamp::UNIX_EPOCH);
        assert_eq!(told(&refused), ["Ready=False", "Reconciling=False", "Stalled=True"]);
        let after = amended(&refused, &failure(&refused, "no answer"), 2, Timestamp::UNIX_EPOCH);
        assert_eq!(told(&after), ["Healthy=Unknown", "Ready=Unknown", "Reconciling=Unknown", "Stalled=Unknown"]);
    }
}
