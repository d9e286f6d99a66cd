//! Targets: whether they answer.

use std::sync::{Arc, PoisonError};

use super::super::gather::key;
use super::super::{EngineError, Outcome};
use super::{Context, write_status};
use crate::domain::intent::Target;
use crate::domain::intent::condition::{Says, folded};
use crate::domain::intent::target::TargetStatus;
use crate::domain::time::SignedDuration;

pub(super) async fn reconcile(context: Arc<Context>, target: Arc<Target>) -> Result<Outcome, EngineError> {
    let known = remember(&context, &target);
    let engine = &context.engine;
    let session = engine.targets.session(&engine.management, &target).await;
    let old = target.status.clone().unwrap_or_default();
    let (says, version) = match &session {
        Ok(session) => {
            let version = match &old.version {
                Some(version) if known => version.clone(),
                _ => session.cluster.version().await?,
            };
            (Says::new("Ready", true, "Answers", "it answers"), Some(version))
        }
        Err(error) => {
            engine.targets.forget(&key(target.as_ref()));
            (Says::new("Ready", false, "Unreachable", error.to_string()), old.version.clone())
        }
    };
    let generation = target.metadata.generation.unwrap_or_default();
    let status = TargetStatus { conditions: folded(&old.conditions, &[says], generation, engine.now()), version };
    write_status(engine, target.as_ref(), target.status.as_ref(), &status).await?;
    match session {
        Ok(_) => Ok(Outcome::Settled),
        Err(error) => Ok(Outcome::Waiting { reason: error.to_string(), after: Some(SignedDuration::from_secs(10)) }),
    }
}

/// Remembers the object; wakes everybody when its spec or labels are new.
fn remember(context: &Context, target: &Target) -> bool {
    let mut world = context.dealt_with.lock().unwrap_or_else(PoisonError::into_inner);
    let old = world.targets.insert(key(target), target.clone());
    let same = |old: &Target| old.spec == target.spec && old.metadata.labels == target.metadata.labels;
    let known = old.is_some_and(|old| old.metadata.uid == target.metadata.uid && same(&old));
    drop(world);
    if !known {
        context.wake_all();
    }
    known
}
