//! kube-runtime wiring: which events lead to which rounds. No decision is made here.

mod cnf_deployment;
mod intents;
mod repository;
mod specs;
mod sync;
mod target;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::Api;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{broadcast, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::gather::{World, key};
use super::{Engine, EngineError, MANAGER, Outcome};
use crate::cluster::{Apply, ClusterError};
use crate::domain::error::Classify as _;
use crate::domain::id::{NamespacedName, TargetName};
use crate::domain::intent::{CNFDeployment, Repository, Sync, Target};
use crate::domain::krm::Object;
use crate::domain::time::SignedDuration;

/// What all controllers share.
pub(super) struct Context {
    pub(super) engine: Arc<Engine>,
    /// Repositories and Targets as the watches show them.
    repositories: Kept<Repository>,
    targets: Kept<Target>,
    /// Repositories and Targets as they were when they were last dealt with, to tell what is new.
    pub(super) dealt_with: Mutex<World>,
    /// Syncs as the watch shows them.
    syncs: Kept<Sync>,
    /// Syncs with the status that was written last, which the watch may show a little later.
    pub(super) statuses: Mutex<BTreeMap<NamespacedName, Sync>>,
    /// How often intents and Syncs were deleted, or had another spec, so far. What Git declares has to be there, as it
    /// says: each time is a reason to take it in again.
    meddled: Arc<AtomicU64>,
    /// Something changed that every intent and Sync may care about.
    pub(super) wake: broadcast::Sender<()>,
    /// A Sync has something new to say, which its intent repeats.
    pub(super) told: broadcast::Sender<()>,
    /// What was dealt with of repositories, so that unchanged refs do no work.
    pub(super) seen: Mutex<BTreeMap<NamespacedName, Glance>>,
    /// What the repositories of intents declare, as they were read last.
    declarations: Mutex<intents::Declarations>,
    /// Who wakes us when the refs of a repository move.
    followed: Mutex<BTreeMap<NamespacedName, AbortOnDropHandle<()>>>,
}

/// A repository at one moment: its refs, how often objects had been meddled with by then, and what was not signed as it
/// has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glance {
    pub(super) refs: crate::ports::git::Refs,
    pub(super) meddled: u64,
    pub(super) unsigned: Vec<String>,
}

impl Context {
    /// The world, once it was read whole: half a world would be planned for, and deleted from, as if it were all.
    ///
    /// # Errors
    /// [`EngineError::NotLeader`] when the process stops before.
    pub(super) async fn world(&self) -> Result<World, EngineError> {
        let repositories = self.repositories.all().await?.into_iter().map(|object| (key(&object), object)).collect();
        let targets = self.targets.all().await?.into_iter().map(|object| (key(&object), object)).collect();
        let syncs = self.syncs.shared().await?;
        Ok(World { repositories, targets, syncs })
    }

    /// A Sync as it is now; never one that is gone, nor one of the same name before it.
    pub(super) fn sync(&self, name: &NamespacedName) -> Option<Sync> {
        let kept = self.syncs.store.get(&ObjectRef::new(&name.name).within(&name.namespace))?;
        let statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        let told = statuses.get(name).filter(|told| told.metadata.uid == kept.metadata.uid);
        let status = told.map_or_else(|| kept.status.clone(), |told| told.status.clone());
        Some(Sync { status, ..kept.as_ref().clone() })
    }

    pub(super) fn meddled(&self) -> u64 {
        self.meddled.load(Ordering::Acquire)
    }

    /// Ends what is kept for objects that are gone. Who comes back under the same name begins anew.
    fn prune(&self) {
        let repository = |name: &NamespacedName| self.repositories.may_have(name);
        let target = |name: &NamespacedName| self.targets.may_have(name);
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| repository(name));
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| repository(name));
        self.declarations.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| repository(name));
        let mut world = self.dealt_with.lock().unwrap_or_else(PoisonError::into_inner);
        world.repositories.retain(|name, _| repository(name));
        world.targets.retain(|name, _| target(name));
        drop(world);
        let sync = |name: &NamespacedName| self.syncs.may_have(name);
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| sync(name));
        self.engine.targets.retain(target, sync);
    }

    pub(super) fn wake_all(&self) {
        // Nobody listening is fine.
        let _ = self.wake.send(());
    }
}

/// Objects of a kind as a controller's watch shows them.
struct Kept<K: Resource<DynamicType = ()> + Clone + 'static> {
    store: Store<K>,
    /// Whether they were read whole once. The store's own signal wakes only one of several who wait for it.
    whole: watch::Receiver<bool>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Kept<K> {
    /// All of them, once they were read whole.
    async fn all(&self) -> Result<Vec<K>, EngineError> {
        Ok(self.shared().await?.iter().map(|object| object.as_ref().clone()).collect())
    }

    /// The same, as they are kept.
    async fn shared(&self) -> Result<Vec<Arc<K>>, EngineError> {
        self.whole.clone().wait_for(|whole| *whole).await.map_err(|_| EngineError::NotLeader)?;
        Ok(self.store.state())
    }

    /// Whether one of this name is there, or was not looked for yet.
    fn may_have(&self, name: &NamespacedName) -> bool {
        !*self.whole.borrow() || self.store.get(&ObjectRef::new(&name.name).within(&name.namespace)).is_some()
    }
}

/// Runs all controllers until `stop`; returns when their last rounds have ended.
pub async fn run(engine: Arc<Engine>, target_changes: mpsc::Receiver<TargetName>, stop: CancellationToken) {
    let (wake, _) = broadcast::channel(16);
    let (told, _) = broadcast::channel(16);
    let meddled = Arc::new(AtomicU64::new(0));
    let (count, tell) = (meddled.clone(), wake.clone());
    let moved = move || {
        count.fetch_add(1, Ordering::AcqRel);
        // Nobody listening is fine.
        let _ = tell.send(());
    };
    let gone = |wake: &broadcast::Sender<()>| {
        let wake = wake.clone();
        move || {
            // Nobody listening is fine.
            let _ = wake.send(());
        }
    };
    let (repositories, kept_repositories) = keeping::<Repository>(&engine, gone(&wake));
    let (targets, kept_targets) = keeping::<Target>(&engine, gone(&wake));
    let (syncs, kept_syncs) = keeping::<Sync>(&engine, moved.clone());
    let (deployments, _) = keeping::<CNFDeployment>(&engine, moved);
    let context = Arc::new(Context {
        engine: engine.clone(),
        repositories: kept_repositories,
        targets: kept_targets,
        dealt_with: Mutex::new(World::default()),
        syncs: kept_syncs,
        statuses: Mutex::new(BTreeMap::new()),
        meddled,
        wake,
        told,
        seen: Mutex::new(BTreeMap::new()),
        declarations: Mutex::new(BTreeMap::new()),
        followed: Mutex::new(BTreeMap::new()),
    });
    let changes = tokio::spawn(relay(context.clone(), target_changes, stop.clone()));
    let leading = tokio::spawn(lead(context.clone(), stop.clone()));
    tokio::join!(
        control(repositories, &context, &stop, "repository", vec![context.wake.subscribe()], repository::reconcile),
        control(targets, &context, &stop, "target", vec![context.wake.subscribe()], target::reconcile),
        control(syncs, &context, &stop, "sync", vec![context.wake.subscribe()], sync::reconcile),
        control(
            deployments,
            &context,
            &stop,
            "cnfdeployment",
            vec![context.wake.subscribe(), context.told.subscribe()],
            cnf_deployment::reconcile
        ),
    );
    changes.abort();
    leading.abort();
}

/// Wakes everybody when something changed on a target; clears away, whenever anybody is woken, what is of no use any
/// more.
async fn relay(context: Arc<Context>, mut target_changes: mpsc::Receiver<TargetName>, stop: CancellationToken) {
    let mut wakes = context.wake.subscribe();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            change = target_changes.recv() => match change {
                Some(_) => context.wake_all(),
                None => return,
            },
            // Having missed some is one reason more.
            _ = wakes.recv() => context.prune(),
        }
    }
}

/// Wakes everybody when this replica begins to lead.
async fn lead(context: Arc<Context>, stop: CancellationToken) {
    let mut leadership = context.engine.claims.clone();
    let mut led = false;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = leadership.changed() => if changed.is_err() { return },
        }
        let leads = leadership.borrow().is_some();
        context.engine.metrics.leader.set(i64::from(leads));
        if leads && !led {
            context.wake_all();
        }
        led = leads;
    }
}

/// A kind that a controller follows by watch.
trait Watched:
    Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + std::marker::Sync + 'static
{
}

impl<K> Watched for K where
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + std::marker::Sync
        + 'static
{
}

/// A controller of a kind, by watch on all namespaces, and its objects for others to look at; `moved` is told of each
/// deletion, and of each new spec of what comes from Git.
fn keeping<K: Watched>(engine: &Engine, moved: impl Fn() + Send + 'static) -> (Controller<K>, Kept<K>) {
    let (store, writer) = reflector::store();
    let (told, whole) = watch::channel(false);
    let mut specs = specs::Specs::default();
    let objects = watcher(Api::<K>::all(engine.management.client()), watcher::Config::default())
        .default_backoff()
        .reflect(writer)
        .inspect_ok(move |event| {
            if matches!(event, watcher::Event::InitDone) {
                told.send_replace(true);
            }
            if specs.moved(event) {
                moved();
            }
        })
        .applied_objects();
    (Controller::for_stream(objects, store.clone()), Kept { store, whole })
}

/// Runs one controller: its own kind by watch, everything again when the world changed.
async fn control<K: Watched, F, R>(
    controller: Controller<K>,
    context: &Arc<Context>,
    stop: &CancellationToken,
    name: &'static str,
    wakes: Vec<broadcast::Receiver<()>>,
    reconcile: F,
) where
    F: Fn(Arc<Context>, Arc<K>) -> R + Clone + Send + std::marker::Sync + 'static,
    R: Future<Output = Result<Outcome, EngineError>> + Send + 'static,
{
    let wakes = futures::stream::select_all(wakes.into_iter().map(|wake| wake_ups(wake).boxed()));
    let halt = stop.clone().cancelled_owned();
    let run = move |object: Arc<K>, context: Arc<Context>| {
        let reconcile = reconcile.clone();
        async move {
            let result = reconcile(context.clone(), object.clone()).await;
            Ok::<Action, std::convert::Infallible>(next(&context, name, &object.name_any(), result))
        }
    };
    controller
        .with_config(kube::runtime::controller::Config::default().concurrency(4))
        .reconcile_all_on(wakes)
        .graceful_shutdown_on(halt)
        .run(run, |_, error, _| match *error {}, context.clone())
        .for_each(|_| std::future::ready(()))
        .await;
}

fn wake_ups(receiver: broadcast::Receiver<()>) -> impl futures::Stream<Item = ()> {
    futures::stream::unfold(receiver, |mut receiver| async move {
        match receiver.recv().await {
            Err(broadcast::error::RecvError::Closed) => None,
            _ => Some(((), receiver)),
        }
    })
}

/// How long a transient failure waits before it is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// From the end of a round to when the next one begins.
fn next(context: &Context, controller: &str, name: &str, result: Result<Outcome, EngineError>) -> Action {
    let (word, action) = match result {
        Ok(outcome) => {
            let action = match &outcome {
                Outcome::Waiting { after: Some(after), .. } => Action::requeue(pause(*after)),
                _ => Action::await_change(),
            };
            (outcome.word(), action)
        }
        Err(EngineError::NotLeader) => ("not_leader", Action::await_change()),
        Err(error) => {
            tracing::warn!(controller, name, %error, "round failed");
            (error.class().label(), Action::requeue(RETRY))
        }
    };
    context.engine.metrics.rounds.with_label_values(&[controller, word]).inc();
    action
}

/// A short pause at least: whatever woke us up often comes in twos.
fn pause(after: SignedDuration) -> Duration {
    Duration::try_from(after).unwrap_or_default().max(Duration::from_millis(50))
}

/// Writes a status when it differs from what the object has.
pub(super) async fn write_status<K, S>(engine: &Engine, object: &K, old: Option<&S>, new: &S) -> Result<(), EngineError>
where
    K: Resource<DynamicType = ()>,
    S: Serialize + PartialEq,
{
    if old == Some(new) {
        return Ok(());
    }
    let claim = engine.claim()?;
    let NamespacedName { namespace, name } = key(object);
    let status = json!({
        "apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": {"name": name, "namespace": namespace},
        "status": serde_json::to_value(new).unwrap_or(Value::Null)
    });
    let object = Object::new(status).map_err(|wrong| EngineError::Object { what: name, reason: wrong.to_string() })?;
    match engine.management.apply(Some(&claim), &object, &Apply::new(MANAGER).forced().status()).await {
        // It went away in between: there is nobody left to tell.
        Ok(_) | Err(ClusterError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
