//! Targets: whether they answer.

use std::sync::{Arc, PoisonError};

use super::super::gather::key;
use super::super::{EngineError, Outcome};
use super::{Context, write_status};
use crate::domain::intent::Target;
use crate::domain::intent::condition::{Says, folded};
use crate::domain::intent::target::TargetStatus;
use crate::domain::time::SignedDuration;

/// How soon one that does not answer is asked again.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

pub(super) async fn reconcile(context: Arc<Context>, target: Arc<Target>) -> Result<Outcome, EngineError> {
    remember(&context, &target);
    let engine = &context.engine;
    let name = key(target.as_ref());
    let before = engine.targets.known(&name);
    let answer = engine.targets.check(&engine.management, &target, engine.now()).await;
    let after = engine.targets.known(&name);
    if before.as_ref().map(Arc::as_ptr) != after.as_ref().map(Arc::as_ptr) {
        context.wake_all();
    }
    let old = target.status.clone().unwrap_or_default();
    let (says, version) = match &answer {
        Ok(answer) => (Says::new("Ready", true, "Answers", "it answers"), Some(answer.version.clone())),
        Err(error) if after.is_some() => (Says::unknown("Ready", "NotAsked", error.to_string()), old.version.clone()),
        Err(error) => (Says::new("Ready", false, "Unreachable", error.to_string()), old.version.clone()),
    };
    let generation = target.metadata.generation.unwrap_or_default();
    let status = TargetStatus { conditions: folded(&old.conditions, &[says], generation, engine.now()), version };
    write_status(engine, target.as_ref(), target.status.as_ref(), &status).await?;
    Ok(match answer {
        Ok(answer) => Outcome::Waiting { reason: "it is asked again".to_owned(), after: Some(answer.again) },
        Err(error) => Outcome::Waiting { reason: error.to_string(), after: Some(PAUSE) },
    })
}

/// Remembers the object; wakes everybody when its spec or labels are new.
fn remember(context: &Context, target: &Target) {
    let mut world = context.dealt_with.lock().unwrap_or_else(PoisonError::into_inner);
    let old = world.targets.insert(key(target), target.clone());
    let same = |old: &Target| old.spec == target.spec && old.metadata.labels == target.metadata.labels;
    let known = old.is_some_and(|old| old.metadata.uid == target.metadata.uid && same(&old));
    drop(world);
    if !known {
        context.wake_all();
    }
}
