//! Repositories: refs are looked at when they may have moved; revisions are mirrored, intents are read.

use std::sync::{Arc, PoisonError};

use serde_json::json;

use super::super::gather::{key, location};
use super::super::{EngineError, MANAGER, Outcome};
use super::{Context, intents, write_status};
use crate::cluster::{Apply, Delete};
use crate::domain::intent::Repository;
use crate::domain::intent::condition::{Says, folded};
use crate::domain::intent::package_revision::{LATEST, REPOSITORY};
use crate::domain::intent::repository::{CONTENT, RepositoryStatus};
use crate::domain::krm::{Gvk, Object};
use crate::domain::time::{SignedDuration, rfc3339_seconds};
use crate::ports::git::Refs;
use crate::ports::repositories::Location;
use crate::ports::revisions::PackageRevision;

/// How often a repository that cannot wake us is looked at.
const POLL: SignedDuration = SignedDuration::from_secs(30);

pub(super) async fn reconcile(context: Arc<Context>, repository: Arc<Repository>) -> Result<Outcome, EngineError> {
    let known = remember(&context, &repository);
    let engine = &context.engine;
    let place = location(&repository)?;
    if !known {
        follow(&context, &place);
    }
    let result = look(&context, &repository, &place).await;
    let (says, commit, count) = match &result {
        Ok(None) => return Ok(Outcome::Settled),
        Ok(Some(seen)) => {
            let says = if seen.problems.is_empty() {
                Says::new("Ready", true, "Ready", format!("read at {}", seen.commit))
            } else {
                Says::new("Ready", false, "Invalid", seen.problems.join("; "))
            };
            (says, Some(seen.commit.clone()), Some(seen.packages))
        }
        Err(EngineError::NotLeader) => return Err(EngineError::NotLeader),
        Err(error) => (Says::new("Ready", false, "Error", error.to_string()), None, None),
    };
    let old = repository.status.clone().unwrap_or_default();
    let generation = repository.metadata.generation.unwrap_or_default();
    let status = RepositoryStatus {
        conditions: folded(&old.conditions, &[says], generation, engine.now()),
        observed_generation: Some(generation),
        package_count: count.or(old.package_count),
        git_commit_hash: commit.or(old.git_commit_hash),
    };
    write_status(engine, repository.as_ref(), repository.status.as_ref(), &status).await?;
    match result {
        Ok(_) => Ok(Outcome::Settled),
        Err(error) => Ok(Outcome::Waiting { reason: error.to_string(), after: Some(POLL) }),
    }
}

fn remember(context: &Context, repository: &Repository) -> bool {
    let mut world = context.dealt_with.lock().unwrap_or_else(PoisonError::into_inner);
    let old = world.repositories.insert(key(repository), repository.clone());
    let known = old.is_some_and(|old| old.spec == repository.spec);
    drop(world);
    if !known {
        context.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(repository));
    }
    known
}

/// Wake-ups from the repository reach everything; unchanged refs end the round at once. One that cannot be watched yet is
/// tried again.
fn follow(context: &Arc<Context>, place: &Location) {
    let (context, place) = (Arc::downgrade(context), place.clone());
    tokio::spawn(async move {
        while let Some(known) = context.upgrade() {
            match known.engine.repositories.wake_ups(&place) {
                Ok(mut wakes) => {
                    known.wake_all();
                    drop(known);
                    while wakes.recv().await.is_some() {
                        match context.upgrade() {
                            Some(context) => context.wake_all(),
                            None => return,
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, repository = %place.name, "no wake-ups; it is looked at now and then");
                    drop(known);
                }
            }
            tokio::time::sleep(POLL.unsigned_abs()).await;
        }
    });
}

/// What was found in a repository.
struct Seen {
    commit: String,
    packages: i64,
    problems: Vec<String>,
}

/// Looks at a repository; `None` when its refs did not move since they were dealt with.
async fn look(context: &Arc<Context>, repository: &Repository, place: &Location) -> Result<Option<Seen>, EngineError> {
    let git = context.engine.repositories.git(place)?;
    let reader = git.clone();
    let refs: Refs = tokio::task::spawn_blocking(move || reader.refs()).await.unwrap_or_else(|error| {
        Err(crate::ports::git::GitError::Io { url: place.url.clone(), act: "listing refs", reason: error.to_string() })
    })?;
    let name = key(repository);
    let now = super::Glance { refs, departed: context.departed() };
    if context.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&name) == Some(&now) {
        return Ok(None);
    }
    let refs = &now.refs;
    let commit = refs.get(&format!("refs/heads/{}", place.branch)).map(ToString::to_string).unwrap_or_default();
    let holds_intents =
        repository.metadata.annotations.as_ref().and_then(|a| a.get(CONTENT)).is_some_and(|c| c == "intents");
    let seen = if holds_intents {
        let problems = intents::take_in(context, &name, &git, refs, place).await?;
        Seen { commit, packages: 0, problems }
    } else {
        let revisions = context.engine.repositories.packages(place)?.list().await?;
        mirror(context, &name.namespace, place, &revisions).await?;
        let packages = revisions.iter().map(|r| &r.package).collect::<std::collections::BTreeSet<_>>().len();
        Seen { commit, packages: i64::try_from(packages).unwrap_or(i64::MAX), problems: Vec::new() }
    };
    context.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name, now);
    context.wake_all();
    Ok(Some(seen))
}

/// Mirrors revisions as objects, so that kubectl shows them; only what differs is written.
async fn mirror(
    context: &Context,
    namespace: &str,
    place: &Location,
    revisions: &[PackageRevision],
) -> Result<(), EngineError> {
    let engine = &context.engine;
    let claim = engine.claim()?;
    let kind = Gvk::new("porch.kpt.dev", "v1alpha2", "PackageRevision");
    let selector = format!("{REPOSITORY}={}", place.name);
    let present = engine.management.list(&kind, namespace, &selector).await?.objects;
    let store = engine.repositories.packages(place)?;
    for revision in revisions {
        let published = store.published(revision).await?;
        let status = json!({
            "revision": revision.revision, "commit": revision.commit.as_str(), "tree": revision.tree.as_str(),
            "publishedBy": published.as_ref().map(|(person, _)| person.email.clone()),
            "publishedAt": published.as_ref().map(|(_, at)| rfc3339_seconds(*at)),
        });
        let status = without_nulls(status);
        let wanted = json!({
            "apiVersion": kind.api_version(), "kind": kind.kind,
            "metadata": {
                "name": revision.name.as_str(), "namespace": namespace,
                "labels": {REPOSITORY: place.name.as_str(), LATEST: revision.latest.to_string()}
            },
            "spec": {
                "packageName": revision.package.as_str(), "repository": place.name.as_str(),
                "workspaceName": revision.workspace.as_str(), "lifecycle": revision.lifecycle.to_string()
            }
        });
        let old = present.iter().find(|object| object.name() == revision.name.as_str());
        let same =
            |pointer: &str, new: &serde_json::Value| old.and_then(|old| old.value().pointer(pointer)) == Some(new);
        let object = |value| {
            Object::new(value)
                .map_err(|wrong| EngineError::Object { what: revision.name.to_string(), reason: wrong.to_string() })
        };
        if !same("/spec", &wanted["spec"]) || !same("/metadata/labels", &wanted["metadata"]["labels"]) {
            engine.management.apply(Some(&claim), &object(wanted.clone())?, &Apply::new(MANAGER).forced()).await?;
        }
        if !same("/status", &status) {
            let mut with_status = wanted;
            if let Some(map) = with_status.as_object_mut() {
                map.remove("spec");
                map.insert("status".to_owned(), status);
            }
            engine
                .management
                .apply(Some(&claim), &object(with_status)?, &Apply::new(MANAGER).forced().status())
                .await?;
        }
    }
    for gone in
        present.iter().filter(|object| !revisions.iter().any(|revision| revision.name.as_str() == object.name()))
    {
        engine.management.delete(Some(&claim), &kind, &gone.id(), &Delete::default()).await?;
    }
    Ok(())
}

fn without_nulls(mut value: serde_json::Value) -> serde_json::Value {
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    value
}
