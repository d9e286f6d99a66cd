//! `CNFDeployment`s: expanded to a Sync and a draft; taken away by proposing to delete their package.

use std::iter::once;
use std::sync::{Arc, PoisonError};

use kube::{Resource as _, ResourceExt};
use serde_json::{Value, json};

use super::super::agenda::{Agenda, Wanted};
use super::super::candidate::{Candidate, Existing};
use super::super::gather::{key, taken};
use super::super::propose::{CONFLICT, CONFLICTS};
use super::super::{EngineError, MANAGER, Outcome};
use super::{Context, intents, write_status};
use crate::cluster::{Apply, ClusterError};
use crate::domain::id::{NamespacedName, PackageName, WorkspaceName};
use crate::domain::intent::cnf_deployment::{CnfDeploymentStatus, violations};
use crate::domain::intent::condition::{Says, folded};
use crate::domain::intent::expand::ExpandError;
use crate::domain::intent::sync::SyncSpec;
use crate::domain::intent::violation::joined;
use crate::domain::intent::{CNFDeployment, Demand, FINALIZER, SOURCE, Sync, annotation_violations, expand};
use crate::domain::krm::Object;
use crate::domain::plan::declared_digest;
use crate::domain::revision::Lifecycle;
use crate::domain::time::SignedDuration;
use crate::ports::repositories::Location;
use crate::ports::revisions::{DraftContent, PackageStore};

pub(super) async fn reconcile(context: Arc<Context>, intent: Arc<CNFDeployment>) -> Result<Outcome, EngineError> {
    if intent.metadata.deletion_timestamp.is_some() {
        return retire(&context, &intent).await;
    }
    if let Some(reason) = intents::overruled(&context, intent.as_ref(), |intent| intent.spec.clone()).await? {
        return Ok(Outcome::Waiting { reason: reason.to_owned(), after: None });
    }
    let mut wrong = violations(&intent.spec);
    wrong.extend(intent.metadata.annotations.as_ref().map(annotation_violations).unwrap_or_default());
    if !wrong.is_empty() {
        return tell(&context, &intent, "Failed", "Invalid", &joined(&wrong), None).await;
    }
    let who = who(&intent);
    let world = context.world().await?;
    let namespace = key(intent.as_ref()).namespace;
    let expand_context = context.engine.expand_context(&who, &world, &namespace).await?;
    let demand = match expand(&intent, &expand_context) {
        Ok(demand) => demand,
        Err(error) => {
            let outcome = tell(&context, &intent, "Failed", "NotExpanded", &error.to_string(), None).await?;
            return Ok(if passes(&error) { later(&error) } else { outcome });
        }
    };
    guard(&context, &intent).await?;
    let sync = ensure_sync(&context, &intent, &demand).await?;
    if let Some(other) = world.taken_by(&known(&context, &demand)) {
        let reason = taken(demand.package.as_str(), &other);
        tell(&context, &intent, "Failed", "PackageTaken", &reason, None).await?;
        // The other Sync may go.
        return Ok(Outcome::Waiting { reason, after: Some(SignedDuration::from_secs(30)) });
    }
    let drafted = match draft(&context, &intent, &demand).await {
        // Another round changes nothing about it; what is published goes on as it is.
        Err(error) if error.concerns_blueprint() => {
            follow(&context, &intent, &sync, &Drafted::refused(&error)).await?;
            return Ok(Outcome::Waiting { reason: error.to_string(), after: Some(SignedDuration::from_secs(30)) });
        }
        other => other?,
    };
    follow(&context, &intent, &sync, &drafted).await
}

/// The Sync of a demand as the watch shows it; before that, as it will be.
fn known(context: &Context, demand: &Demand) -> Sync {
    let new = || {
        let mut sync = Sync::new(&demand.unit.name, demand.sync.clone());
        sync.metadata.namespace = Some(demand.unit.namespace.clone());
        sync
    };
    context.sync(&demand.unit).unwrap_or_else(new)
}

/// Whether it may expand when a repository can be read again.
const fn passes(error: &ExpandError) -> bool {
    matches!(error, ExpandError::NotSeen { .. })
}

fn later(error: &ExpandError) -> Outcome {
    Outcome::Waiting { reason: error.to_string(), after: Some(SignedDuration::from_secs(30)) }
}

fn who(intent: &CNFDeployment) -> String {
    format!("CNFDeployment {}", key(intent))
}

/// Adds the finalizer before anything is made that would have to be taken away.
async fn guard(context: &Context, intent: &CNFDeployment) -> Result<(), EngineError> {
    if intent.finalizers().iter().any(|name| name == FINALIZER) {
        return Ok(());
    }
    let mut finalizers = intent.finalizers().to_vec();
    finalizers.push(FINALIZER.to_owned());
    patch(context, intent, &json!({"metadata": {"finalizers": finalizers}})).await
}

async fn patch(context: &Context, intent: &CNFDeployment, patch: &Value) -> Result<(), EngineError> {
    let claim = context.engine.claim()?;
    let kind = crate::domain::krm::Gvk::new("nephoran.com", "v1", "CNFDeployment");
    let NamespacedName { namespace, name } = key(intent);
    let id = crate::domain::krm::ObjectId { group: kind.group.clone(), kind: kind.kind.clone(), namespace, name };
    context.engine.management.merge(Some(&claim), &kind, &id, "", patch).await?;
    Ok(())
}

/// The Sync of an intent, applied when it differs.
async fn ensure_sync(
    context: &Context,
    intent: &CNFDeployment,
    demand: &Demand,
) -> Result<NamespacedName, EngineError> {
    let claim = context.engine.claim()?;
    let ours =
        |sync: &Sync| sync.owner_references().iter().any(|owner| Some(&owner.uid) == intent.metadata.uid.as_ref());
    // Suspending is left to people: the intent does not say it.
    let same = |sync: &Sync| SyncSpec { suspend: false, ..sync.spec.clone() } == demand.sync;
    if context.sync(&demand.unit).is_some_and(|sync| ours(&sync) && same(&sync)) {
        return Ok(demand.unit.clone());
    }
    let mut spec = serde_json::to_value(&demand.sync)
        .map_err(|error| EngineError::Object { what: who(intent), reason: error.to_string() })?;
    if let Some(fields) = spec.as_object_mut() {
        fields.remove("suspend");
    }
    let value = json!({
        "apiVersion": Sync::api_version(&()), "kind": Sync::kind(&()),
        "metadata": {
            "name": demand.unit.name, "namespace": demand.unit.namespace,
            "ownerReferences": [{
                "apiVersion": CNFDeployment::api_version(&()), "kind": CNFDeployment::kind(&()), "name": intent.name_any(),
                "uid": intent.uid().unwrap_or_default(), "controller": true, "blockOwnerDeletion": false
            }]
        },
        "spec": spec
    });
    let object =
        Object::new(value).map_err(|wrong| EngineError::Object { what: who(intent), reason: wrong.to_string() })?;
    context.engine.management.apply(Some(&claim), &object, &Apply::new(MANAGER).forced()).await?;
    Ok(demand.unit.clone())
}

/// What became of an intent's content.
#[derive(Default)]
struct Drafted {
    /// Why it is held.
    held: Option<String>,
    /// Why nothing is made from its blueprint.
    refused: Option<String>,
    /// What in it does nothing.
    remarks: Vec<String>,
}

impl Drafted {
    fn fine(remarks: Vec<String>) -> Self {
        Self { remarks, ..Self::default() }
    }

    fn refused(error: &EngineError) -> Self {
        Self { refused: Some(error.to_string()), ..Self::default() }
    }
}

/// Drafts what the intent asks for, unless it is published, proposed or held already.
async fn draft(context: &Context, intent: &CNFDeployment, demand: &Demand) -> Result<Drafted, EngineError> {
    let engine = &context.engine;
    let claim = engine.claim()?;
    let world = context.world().await?;
    let place: Location = world.location(&who(intent), &demand.unit.namespace, demand.repository.as_str())?;
    let store = engine.repositories.packages(&place)?;
    let agenda = Agenda::of(&store.list().await?, &demand.package, &Wanted::Latest);
    let existing = Existing::read(store.as_ref(), &agenda).await?;
    let Candidate { rendered, mut remarks, conflicts } =
        engine.candidate(&who(intent), &world, &demand.unit.namespace, demand, &existing).await?;
    remarks.extend(conflicts.iter().map(|conflict| format!("{CONFLICT} {conflict}")));
    let digest = declared_digest(&rendered.objects);
    let state = engine.state_of(&demand.unit).await?;
    if let Some(hold) = state.holds.get(&digest) {
        let held = format!("digest {} is {}", digest.short(), hold.told());
        return Ok(Drafted { held: Some(held), ..Drafted::fine(remarks) });
    }
    if existing.published.as_ref() == Some(&rendered.tree) {
        withdraw(store.as_ref(), &claim, &agenda).await?;
        return Ok(Drafted::fine(remarks));
    }
    let content = |subject: &str| DraftContent {
        files: rendered.tree.clone(),
        subject: subject.to_owned(),
        task: Some(
            json!({"type": "clone", "clone": {"upstreamRef": {"upstreamRef": {"name": demand.blueprint.package.as_str()}}}}),
        ),
        trailers: trailers(intent, &conflicts),
    };
    if let Some(candidate) = agenda.candidate.clone() {
        if store.content(&candidate).await? == rendered.tree {
            return Ok(Drafted::fine(remarks));
        }
        if !candidate.workspace.as_str().starts_with("revert-") {
            let draft = match candidate.lifecycle {
                Lifecycle::Proposed => store.reject(Some(&claim), &candidate).await?,
                _ => candidate,
            };
            store.update(Some(&claim), &draft, content("Rendering package")).await?;
            return Ok(Drafted::fine(remarks));
        }
        store.delete(Some(&claim), &candidate, false).await?;
    }
    let workspace = workspace(&agenda.all_published)?;
    store.create(Some(&claim), &demand.package, &workspace, content("Creating new revision by cloning")).await?;
    Ok(Drafted::fine(remarks))
}

/// A draft that nobody wants any more, because the published content is what the intent says again.
async fn withdraw(
    store: &dyn PackageStore,
    claim: &crate::domain::lease::Claim,
    agenda: &Agenda,
) -> Result<(), EngineError> {
    match &agenda.candidate {
        Some(candidate) if candidate.workspace.as_str().starts_with("intent-") => {
            Ok(store.delete(Some(claim), candidate, false).await?)
        }
        _ => Ok(()),
    }
}

/// Workspaces are numbered like the revision they hope to become.
fn workspace(published: &[crate::ports::revisions::PackageRevision]) -> Result<WorkspaceName, EngineError> {
    let next = published.iter().map(|revision| revision.revision).max().unwrap_or(0) + 1;
    Ok(WorkspaceName::new(format!("intent-{next}"))?)
}

fn trailers(intent: &CNFDeployment, conflicts: &[String]) -> Vec<(String, String)> {
    let source = intent.annotations().get(SOURCE).cloned().unwrap_or_else(|| who(intent));
    let mut trailers = vec![("Loggia-Intent".to_owned(), source)];
    if !conflicts.is_empty() {
        trailers.push((CONFLICTS.to_owned(), conflicts.join("; ")));
    }
    trailers
}

/// The intent's status follows its Sync's.
async fn follow(
    context: &Context,
    intent: &CNFDeployment,
    sync: &NamespacedName,
    drafted: &Drafted,
) -> Result<Outcome, EngineError> {
    let known = context.sync(sync);
    let status = known.as_ref().and_then(|sync| sync.status.clone());
    let ready = status
        .as_ref()
        .and_then(|s| s.conditions.iter().find(|c| c.kind == "Ready"))
        .is_some_and(|c| c.status == "True");
    let summary = status.as_ref().and_then(|s| s.summary.clone()).unwrap_or_else(|| "planning".to_owned());
    let summary = once(summary).chain(drafted.remarks.iter().cloned()).collect::<Vec<_>>().join("; ");
    if let Some(refused) = &drafted.refused {
        let phase = if known.as_ref().is_some_and(runs) { "Running" } else { "Failed" };
        let message = format!("{refused}; what runs stays as it is: {summary}");
        return tell_ready(context, intent, phase, false, "NotDerived", &message, known.as_ref()).await;
    }
    match &drafted.held {
        Some(held) => {
            let message = format!("{held}; commit other content, or loggia resume {}; {summary}", sync.name);
            tell(context, intent, "Failed", "Held", &message, known.as_ref()).await
        }
        None if ready => tell(context, intent, "Running", "Settled", &summary, known.as_ref()).await,
        None => tell(context, intent, "Deploying", "Waiting", &summary, known.as_ref()).await,
    }
}

/// Whether something of a Sync is published.
fn runs(sync: &Sync) -> bool {
    sync.status.as_ref().is_some_and(|status| status.revision.is_some())
}

async fn tell(
    context: &Context,
    intent: &CNFDeployment,
    phase: &str,
    reason: &str,
    message: &str,
    sync: Option<&Sync>,
) -> Result<Outcome, EngineError> {
    tell_ready(context, intent, phase, phase == "Running", reason, message, sync).await
}

async fn tell_ready(
    context: &Context,
    intent: &CNFDeployment,
    phase: &str,
    ready: bool,
    reason: &str,
    message: &str,
    sync: Option<&Sync>,
) -> Result<Outcome, EngineError> {
    let old = intent.status.clone().unwrap_or_default();
    let generation = intent.metadata.generation.unwrap_or_default();
    let says = [Says::new("Ready", ready, reason, message)];
    let sync_status = sync.and_then(|sync| sync.status.as_ref());
    let status = CnfDeploymentStatus {
        conditions: folded(&old.conditions, &says, generation, context.engine.now()),
        phase: Some(phase.to_owned()),
        ready_replicas: old.ready_replicas,
        observed_generation: Some(generation),
        sync: sync.map(ResourceExt::name_any).or(old.sync.clone()),
        package_revision: sync_status.and_then(|status| status.revision.clone()),
        proposal: sync_status.and_then(|status| status.proposal),
        message: Some(message.to_owned()),
    };
    write_status(&context.engine, intent, intent.status.as_ref(), &status).await?;
    Ok(if ready {
        Outcome::Settled
    } else if phase == "Failed" {
        Outcome::Blocked { reason: message.to_owned() }
    } else {
        Outcome::Waiting { reason: message.to_owned(), after: None }
    })
}

/// Proposes to delete the package; lets the intent go when nothing is left of it. One that somebody deleted past Git
/// goes alone: it comes back from there, to all that it has.
async fn retire(context: &Arc<Context>, intent: &CNFDeployment) -> Result<Outcome, EngineError> {
    if !intent.finalizers().iter().any(|name| name == FINALIZER) {
        return Ok(Outcome::Settled);
    }
    match intents::wish(context, intent).await? {
        intents::Wish::Declared => return release(context, intent).await,
        intents::Wish::Unread => {
            let reason = "whether Git declares it still is not known: its repository was not read since it moved";
            tell(context, intent, "Terminating", "Waiting", reason, None).await?;
            return Ok(Outcome::Waiting { reason: reason.to_owned(), after: Some(SignedDuration::from_secs(30)) });
        }
        intents::Wish::Withdrawn => {}
    }
    let engine = &context.engine;
    let claim = engine.claim()?;
    let unit = key(intent);
    // Asked of the server: what this process remembers says nothing just after a start.
    let Some(sync) = engine.sync(&unit).await? else { return without_sync(context, intent).await };
    let world = context.world().await?;
    if world.taken_by(&sync).is_some() {
        // Nothing was made for it, and the package is not its own to delete.
        return release(context, intent).await;
    }
    let place = world.location(&who(intent), &unit.namespace, &sync.spec.package.repository)?;
    let store = engine.repositories.packages(&place)?;
    let package = PackageName::new(sync.spec.package.name.clone())?;
    let agenda = Agenda::of(&store.list().await?, &package, &Wanted::Latest);
    if let Some(candidate) = &agenda.candidate {
        store.delete(Some(&claim), candidate, false).await?;
    }
    let mut proposed = false;
    for revision in agenda.all_published.iter().filter(|r| r.lifecycle == Lifecycle::Published) {
        store.propose_deletion(Some(&claim), revision).await?;
        proposed = true;
    }
    if agenda.all_published.is_empty() && agenda.candidate.is_none() {
        engine.forget(&claim, &place, &package, &unit).await?;
        return release(context, intent).await;
    }
    if proposed {
        context.wake_all();
    }
    let summary = sync.status.as_ref().and_then(|status| status.summary.clone()).unwrap_or_default();
    tell(context, intent, "Terminating", "Deleting", &summary, Some(&sync)).await?;
    Ok(Outcome::Waiting { reason: summary, after: Some(SignedDuration::from_secs(30)) })
}

/// An intent whose Sync somebody took away: it is made again as long as there is a package that would be left behind.
async fn without_sync(context: &Arc<Context>, intent: &CNFDeployment) -> Result<Outcome, EngineError> {
    let (engine, who, world) = (&context.engine, who(intent), context.world().await?);
    let namespace = key(intent).namespace;
    // Without a blueprint nothing was ever made of it.
    let demand = match expand(intent, &engine.expand_context(&who, &world, &namespace).await?) {
        Ok(demand) => demand,
        Err(error) if passes(&error) => return Ok(later(&error)),
        Err(_) => return release(context, intent).await,
    };
    let place = world.location(&who, &namespace, demand.repository.as_str())?;
    let revisions = engine.repositories.packages(&place)?.list().await?;
    if !revisions.iter().any(|revision| revision.package == demand.package) {
        return release(context, intent).await;
    }
    ensure_sync(context, intent, &demand).await?;
    Ok(Outcome::Waiting { reason: "its Sync is made again".to_owned(), after: Some(SignedDuration::ZERO) })
}

async fn release(context: &Context, intent: &CNFDeployment) -> Result<Outcome, EngineError> {
    context.statuses.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(intent));
    match patch(context, intent, &intents::without_finalizer(intent.finalizers())).await {
        // An earlier round let it go already; the watch has not shown it yet.
        Ok(()) | Err(EngineError::Cluster(ClusterError::NotFound { .. })) => Ok(Outcome::Settled),
        Err(error) => Err(error),
    }
}
