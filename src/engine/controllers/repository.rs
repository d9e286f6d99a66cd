//! Repositories: refs are looked at when they may have moved; revisions are mirrored, intents are read.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, Weak};

use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::super::gather::{holds_intents, key, location};
use super::super::{EngineError, MANAGER, Outcome};
use super::{Context, intents, write_status};
use crate::cluster::{Apply, Delete};
use crate::domain::id::NamespacedName;
use crate::domain::intent::Repository;
use crate::domain::intent::condition::{Says, folded};
use crate::domain::intent::package_revision::{LATEST, REPOSITORY};
use crate::domain::intent::repository::RepositoryStatus;
use crate::domain::krm::{Gvk, Object};
use crate::domain::time::{SignedDuration, Timestamp, rfc3339_seconds};
use crate::ports::git::{GitError, Person, Refs};
use crate::ports::repositories::Location;
use crate::ports::revisions::{PackageRevision, PackageStore};

/// Reason of Ready when it is for want of credentials, as Flux calls it.
const SIGN_IN: &str = "AuthenticationFailed";

/// How often a repository that cannot wake us is looked at.
const POLL: SignedDuration = SignedDuration::from_secs(30);

pub(super) async fn reconcile(context: Arc<Context>, repository: Arc<Repository>) -> Result<Outcome, EngineError> {
    let known = remember(&context, &repository);
    let place = match location(&repository) {
        Ok(place) => place,
        Err(error) => {
            let reason = error.to_string();
            context.followed.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(repository.as_ref()));
            intents::unreadable(&context, &key(repository.as_ref()));
            tell(&context, &repository, vec![Says::new("Ready", false, "Invalid", reason.clone())], None).await?;
            return Ok(Outcome::Blocked { reason });
        }
    };
    if !known {
        follow(&context, &key(repository.as_ref()), &place);
    }
    match look(&context, &repository, &place).await {
        Ok(None) => Ok(Outcome::Settled),
        Ok(Some(seen)) => {
            tell(&context, &repository, seen.says(), Some(&seen)).await?;
            Ok(Outcome::Settled)
        }
        Err(EngineError::NotLeader) => Err(EngineError::NotLeader),
        Err(error) => {
            // When it answers again, that is news, whether its refs moved or not.
            context.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(repository.as_ref()));
            intents::unreadable(&context, &key(repository.as_ref()));
            let reason = error.to_string();
            let why = if error.is_sign_in() { SIGN_IN } else { "Error" };
            tell(&context, &repository, vec![Says::new("Ready", false, why, reason.clone())], None).await?;
            Ok(Outcome::Waiting { reason, after: Some(POLL) })
        }
    }
}

/// Writes what is known of a repository; what was not seen stays as it was.
async fn tell(
    context: &Context,
    repository: &Repository,
    says: Vec<Says>,
    seen: Option<&Seen>,
) -> Result<(), EngineError> {
    let engine = &context.engine;
    let old = repository.status.clone().unwrap_or_default();
    let generation = repository.metadata.generation.unwrap_or_default();
    let status = RepositoryStatus {
        conditions: folded(&old.conditions, &says, generation, engine.now()),
        observed_generation: Some(generation),
        package_count: seen.map(|seen| seen.packages).or(old.package_count),
        git_commit_hash: seen.and_then(|seen| seen.commit.clone()).or(old.git_commit_hash),
    };
    write_status(engine, repository, repository.status.as_ref(), &status).await
}

fn remember(context: &Context, repository: &Repository) -> bool {
    let mut world = context.dealt_with.lock().unwrap_or_else(PoisonError::into_inner);
    let old = world.repositories.insert(key(repository), repository.clone());
    let known = old.is_some_and(|old| old.metadata.uid == repository.metadata.uid && old.spec == repository.spec);
    drop(world);
    if !known {
        context.seen.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(repository));
    }
    known
}

/// Wake-ups from the repository reach everything; unchanged refs end the round at once. One that cannot be watched yet
/// is tried again. Ends when the repository is followed elsewhere, or gone.
fn follow(context: &Arc<Context>, name: &NamespacedName, place: &Location) {
    let task = tokio::spawn(wake_on_moves(Arc::downgrade(context), place.clone()));
    let mut followed = context.followed.lock().unwrap_or_else(PoisonError::into_inner);
    followed.insert(name.clone(), AbortOnDropHandle::new(task));
}

async fn wake_on_moves(context: Weak<Context>, place: Location) {
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
}

/// What was found in a repository.
struct Seen {
    /// Head of its branch; a registry has none.
    commit: Option<String>,
    packages: i64,
    revisions: usize,
    problems: Vec<String>,
    /// Revisions that are not signed; `None` when nobody asks.
    unsigned: Option<Vec<String>>,
}

impl Seen {
    fn says(&self) -> Vec<Says> {
        let ready = match (&self.commit, self.problems.is_empty()) {
            (_, false) => Says::new("Ready", false, "Invalid", self.problems.join("; ")),
            (Some(commit), true) => Says::new("Ready", true, "Ready", format!("read at {commit}")),
            (None, true) => {
                let told = format!("{} revisions of {} packages are there", self.revisions, self.packages);
                Says::new("Ready", true, "Ready", told)
            }
        };
        let verified = self.unsigned.as_ref().map(|unsigned| match unsigned.as_slice() {
            [] => Says::new("Verified", true, "Signed", "the newest revision of each package is signed"),
            _ => Says::new("Verified", false, "Unsigned", format!("{}; {SIGN}", unsigned.join("; "))),
        });
        std::iter::once(ready).chain(verified).collect()
    }
}

/// What to do about what is not signed.
const SIGN: &str =
    "nothing is made from it, and what was made before stays; sign it, or add the key to spec.verify.keys";

/// What a repository has now.
pub(super) async fn refs(context: &Context, place: &Location) -> Result<Refs, EngineError> {
    let (repositories, there) = (context.engine.repositories.clone(), place.clone());
    let refs = tokio::task::spawn_blocking(move || repositories.refs(&there)).await.unwrap_or_else(|error| {
        let (url, reason) = (place.url.clone(), error.to_string());
        Err(GitError::Io { url, act: "listing refs", reason }.into())
    });
    Ok(refs?)
}

/// Looks at a repository; `None` when its refs did not move since they were dealt with.
async fn look(context: &Arc<Context>, repository: &Repository, place: &Location) -> Result<Option<Seen>, EngineError> {
    let refs = refs(context, place).await?;
    let name = key(repository);
    let known = context.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
    let meddled = context.meddled();
    if let Some(known) = known.filter(|known| known.refs == refs && known.meddled == meddled)
        && (known.unsigned.is_empty() || unsigned(context, place).await? == known.unsigned)
    {
        return Ok(None);
    }
    let commit = refs.get(&place.head()).map(ToString::to_string).unwrap_or_default();
    let commit = Some(commit).filter(|_| !place.is_registry());
    let seen = if holds_intents(repository) {
        let git = context.engine.repositories.git(place)?;
        let problems = intents::take_in(context, &name, &git, &refs, place).await?;
        Seen { commit, packages: 0, revisions: 0, problems, unsigned: None }
    } else {
        packages(context, &name.namespace, place, commit).await?
    };
    let now = super::Glance { refs, meddled, unsigned: seen.unsigned.clone().unwrap_or_default() };
    context.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name, now);
    context.wake_all();
    Ok(Some(seen))
}

/// The newest revisions that are not signed. A signature may follow without any ref that moves.
async fn unsigned(context: &Context, place: &Location) -> Result<Vec<String>, EngineError> {
    let store = context.engine.repositories.packages(place)?;
    Ok(doubts(store.as_ref(), &store.list().await?).await.0)
}

/// What nobody vouches for among the newest revisions: those that are not signed, and what else is wrong.
async fn doubts(store: &dyn PackageStore, revisions: &[PackageRevision]) -> (Vec<String>, Vec<String>) {
    let (mut unsigned, mut problems) = (Vec::new(), Vec::new());
    for revision in revisions.iter().filter(|revision| revision.latest) {
        match store.vouch(revision).await {
            Err(error) if error.is_unsigned() => unsigned.push(error.to_string()),
            Err(error) => problems.push(error.to_string()),
            Ok(()) => {}
        }
    }
    (unsigned, problems)
}

/// Mirrors the revisions of a repository of packages, and asks who vouches for the newest ones.
async fn packages(
    context: &Context,
    namespace: &str,
    place: &Location,
    commit: Option<String>,
) -> Result<Seen, EngineError> {
    let store = context.engine.repositories.packages(place)?;
    let revisions = store.list().await?;
    mirror(context, namespace, place, &revisions).await?;
    let packages: BTreeSet<_> = revisions.iter().map(|r| &r.package).collect();
    let asked = place.is_registry() || !place.keys.is_empty();
    let (unsigned, problems) = if asked { doubts(store.as_ref(), &revisions).await } else { (Vec::new(), Vec::new()) };
    Ok(Seen {
        commit,
        packages: i64::try_from(packages.len()).unwrap_or(i64::MAX),
        revisions: revisions.len(),
        problems,
        unsigned: (!place.keys.is_empty()).then_some(unsigned),
    })
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
    let selector = format!("{REPOSITORY}={}", place.name);
    let kind = mirrored();
    let present = engine.management.list(&kind, namespace, &selector).await?.objects;
    let store = engine.repositories.packages(place)?;
    for revision in revisions {
        let published = store.published(revision).await?;
        let wanted = wanted(namespace, place, revision);
        let old = present.iter().find(|object| object.name() == revision.name.as_str());
        let has = |pointer: &str, new: &Value| old.and_then(|old| old.value().pointer(pointer)) == Some(new);
        let object = |value| {
            Object::new(value)
                .map_err(|wrong| EngineError::Object { what: revision.name.to_string(), reason: wrong.to_string() })
        };
        let forced = Apply::new(MANAGER).forced();
        if !has("/spec", &wanted["spec"]) || !has("/metadata/labels", &wanted["metadata"]["labels"]) {
            engine.management.apply(Some(&claim), &object(wanted.clone())?, &forced).await?;
        }
        let status = status(place, revision, published.as_ref());
        if !has("/status", &status) {
            let told = json!({
                "apiVersion": wanted["apiVersion"], "kind": wanted["kind"], "metadata": wanted["metadata"], "status": status
            });
            engine.management.apply(Some(&claim), &object(told)?, &forced.clone().status()).await?;
        }
    }
    let is_gone = |object: &&Object| !revisions.iter().any(|revision| revision.name.as_str() == object.name());
    for gone in present.iter().filter(is_gone) {
        engine.management.delete(Some(&claim), &kind, &gone.id(), &Delete::default()).await?;
    }
    Ok(())
}

/// The kind that revisions are mirrored as.
fn mirrored() -> Gvk {
    Gvk::new("porch.kpt.dev", "v1alpha2", "PackageRevision")
}

/// A revision as an object, without its status.
fn wanted(namespace: &str, place: &Location, revision: &PackageRevision) -> Value {
    let kind = mirrored();
    json!({
        "apiVersion": kind.api_version(), "kind": kind.kind,
        "metadata": {
            "name": revision.name.as_str(), "namespace": namespace,
            "labels": {REPOSITORY: place.name.as_str(), LATEST: revision.latest.to_string()}
        },
        "spec": {
            "packageName": revision.package.as_str(), "repository": place.name.as_str(),
            "workspaceName": revision.workspace.as_str(), "lifecycle": revision.lifecycle.to_string()
        }
    })
}

/// What is known of a revision; a registry has digests where git has commits.
fn status(place: &Location, revision: &PackageRevision, published: Option<&(Person, Timestamp)>) -> Value {
    let registry = place.is_registry();
    let mut status = json!({
        "revision": revision.revision,
        "commit": (!registry).then_some(revision.commit.as_str()),
        "tree": (!registry).then_some(revision.tree.as_str()),
        "digest": registry.then(|| place.locked(revision)),
        "publishedBy": published.map(|(person, _)| person.email.clone()),
        "publishedAt": published.map(|(_, at)| rfc3339_seconds(*at)),
    });
    if let Some(fields) = status.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    status
}
