//! The composition root: the only module that names adapters and engine together. It owns the order of shutdown.

pub mod examples;
pub mod functions;
pub mod packages;
pub mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::adapters::clock::SystemClock;
use crate::adapters::forge::{LocalForge, NoForge};
use crate::adapters::git;
use crate::adapters::native::NativeStore;
use crate::adapters::oci::{ArtifactStore, Keychain};
use crate::adapters::secret::SecretSignIns;
use crate::adapters::state::ConfigMapState;
use crate::apiserver;
use crate::cluster::{Apply, Cluster, ClusterError};
use crate::config::Config;
use crate::domain::intent::crds;
use crate::domain::krm::{Object, Schemas};
use crate::domain::lease::Claim;
use crate::domain::time::{SignedDuration, Timestamp};
use crate::engine::leader::Elector;
use crate::engine::reconcile::StateCache;
use crate::engine::renders::Renderer;
use crate::engine::targets::Targets;
use crate::engine::{Engine, MANAGER, Settings, controllers};
use crate::ports::forge::Forge;
use crate::ports::git::{GitError, GitRepository, Refs, Signatures};
use crate::ports::repositories::{Location, Repositories};
use crate::ports::revisions::{PackageStore, RevisionError};
use crate::ports::sign_in::SignIns;
use crate::telemetry::Metrics;
use functions::Functions;

/// Targets that may wait to be looked at; more wake-ups change nothing.
const WAKES: usize = 64;

/// Opens repositories by their URL; each location has one store, so that what it remembers is remembered.
struct Opened {
    cache: PathBuf,
    poll: std::time::Duration,
    management: Cluster,
    runtime: Handle,
    stores: Mutex<BTreeMap<Location, Store>>,
    /// What was read of Secrets, by who reads it.
    secrets: Mutex<BTreeMap<Location, Arc<SecretSignIns>>>,
}

/// The store of one location.
#[derive(Clone)]
enum Store {
    Native(NativeStore),
    Artifacts(ArtifactStore),
}

impl Opened {
    fn store(&self, location: &Location) -> Result<Store, RevisionError> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(location) {
            return Ok(store.clone());
        }
        let store = if location.is_registry() {
            Store::Artifacts(ArtifactStore::new(
                location,
                self.sign_ins(location).unwrap_or_else(|| Arc::new(Keychain::of_user())),
            )?)
        } else {
            Store::Native(self.native(location)?)
        };
        stores.insert(location.clone(), store.clone());
        Ok(store)
    }

    /// The credentials that the Secret of a location holds; what was read of it is remembered with the location.
    fn sign_ins(&self, location: &Location) -> Option<Arc<dyn SignIns>> {
        let secret = location.secret.clone()?;
        let mut secrets = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(SecretSignIns::new(self.management.clone(), self.runtime.clone(), secret));
        Some(secrets.entry(location.clone()).or_insert_with(new).clone())
    }

    fn native(&self, location: &Location) -> Result<NativeStore, GitError> {
        let git = self.git(location)?;
        let signatures: Option<Arc<dyn Signatures>> = if location.keys.is_empty() {
            None
        } else {
            let directory = git::directory(&location.url, &self.cache)?;
            Some(Arc::new(git::TrustedKeys::new(git.url(), &directory, &location.keys)?))
        };
        let (name, directory, branch) = (location.name.clone(), &location.directory, &location.branch);
        Ok(NativeStore::new(name, git, directory, branch, Arc::new(SystemClock), signatures))
    }
}

impl Repositories for Opened {
    fn git(&self, location: &Location) -> Result<Arc<dyn GitRepository>, GitError> {
        if location.is_registry() {
            let reason = "it is a registry, not a git repository".to_owned();
            return Err(GitError::Url { url: location.url.clone(), reason });
        }
        git::open_cached(&location.url, &self.cache, self.sign_ins(location))
    }

    fn packages(&self, location: &Location) -> Result<Arc<dyn PackageStore>, RevisionError> {
        Ok(match self.store(location)? {
            Store::Native(store) => Arc::new(store),
            Store::Artifacts(store) => Arc::new(store),
        })
    }

    fn refs(&self, location: &Location) -> Result<Refs, RevisionError> {
        match self.store(location)? {
            Store::Native(_) => Ok(self.git(location)?.refs()?),
            Store::Artifacts(store) => store.look(),
        }
    }

    fn forge(&self, location: &Location) -> Result<Arc<dyn Forge>, GitError> {
        if location.is_registry() {
            return Ok(Arc::new(NoForge::new(&location.url)));
        }
        Ok(Arc::new(LocalForge::new(self.git(location)?)))
    }

    fn wake_ups(&self, location: &Location) -> Result<mpsc::Receiver<()>, GitError> {
        match git::local_path(&location.url) {
            Ok(path) => git::watch_path(&path),
            Err(_) => Ok(git::poll(self.poll)),
        }
    }
}

/// Why the reconciler could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The management cluster refused or did not answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// Metrics could not be set up.
    #[error("cannot set up metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// One of our own definitions is not an object.
    #[error("the definition {0} is not an object")]
    Definition(&'static str),
}

/// Installs our kinds in the management cluster.
///
/// # Errors
/// [`StartError::Cluster`] when the server refuses.
pub async fn install(management: &Cluster) -> Result<(), StartError> {
    for (file, crd) in crds() {
        let object = Object::new(crd).map_err(|_| StartError::Definition(file))?;
        management.apply(None, &object, &Apply::new(MANAGER).forced()).await?;
    }
    established(management).await
}

/// Waits, for a bounded time, until every kind is served.
async fn established(management: &Cluster) -> Result<(), StartError> {
    for (_, crd) in crds() {
        let text = |pointer: &str| crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let kind = crate::domain::krm::Gvk::new(
            &text("/spec/group"),
            &text("/spec/versions/0/name"),
            &text("/spec/names/kind"),
        );
        for _ in 0..100 {
            if management.resource(&kind).await?.is_some() && management.list(&kind, "default", "").await.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

/// An engine with its parts; it writes only while `claims` holds a claim.
///
/// *Assumptions*: called inside the runtime of `management`.
///
/// # Errors
/// [`StartError::Metrics`].
pub fn engine(
    management: Cluster,
    config: &Config,
    functions: &Functions,
    claims: watch::Receiver<Option<Claim>>,
) -> Result<(Engine, mpsc::Receiver<crate::domain::id::TargetName>), StartError> {
    let (wake, changes) = mpsc::channel(WAKES);
    let engine = Engine {
        state: Arc::new(ConfigMapState::new(management.clone())),
        management: management.clone(),
        repositories: Arc::new(Opened {
            cache: config.data_dir.join("cache"),
            poll: config.poll.unsigned_abs(),
            management,
            runtime: Handle::current(),
            stores: Mutex::new(BTreeMap::new()),
            secrets: Mutex::new(BTreeMap::new()),
        }),
        clock: Arc::new(SystemClock),
        claims,
        targets: Targets::new(wake),
        renderer: Arc::new(Renderer::new(functions.others())),
        schemas: Schemas::builtin(),
        states: StateCache::default(),
        metrics: Metrics::new()?,
        settings: Settings { stable_for: config.stable_for, health_timeout: config.health_timeout },
    };
    Ok((engine, changes))
}

/// An embedded API server that is served alone.
pub struct ServedApi {
    /// Where it listens.
    pub address: std::net::SocketAddr,
    /// A kubeconfig for it.
    pub kubeconfig: String,
    /// Ends when the server has stopped.
    pub task: JoinHandle<Result<(), apiserver::ServeError>>,
}

/// Why the embedded API server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeApiError {
    /// Its objects cannot be read.
    #[error(transparent)]
    Open(#[from] apiserver::OpenError),
    /// Its address cannot be had.
    #[error("cannot listen on {0}: {1}")]
    Listen(std::net::SocketAddr, std::io::Error),
}

/// Serves the embedded API until `stop`.
///
/// # Errors
/// [`ServeApiError`].
pub async fn serve_api(
    listen: std::net::SocketAddr,
    state: Option<&std::path::Path>,
    token: Option<String>,
    simulate_workloads: bool,
    stop: CancellationToken,
) -> Result<ServedApi, ServeApiError> {
    let server = apiserver::ApiServer::open(apiserver::Options {
        name: "loggia".to_owned(),
        data_dir: state.map(std::path::Path::to_owned),
        token,
        now: Arc::new(crate::domain::time::Timestamp::now),
        simulate_workloads,
    })?;
    let failed = |error| ServeApiError::Listen(listen, error);
    let listener = tokio::net::TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let kubeconfig = server.kubeconfig(address);
    let task = tokio::spawn(async move { server.serve(listener, stop).await });
    Ok(ServedApi { address, kubeconfig, task })
}

/// A running reconciler.
pub struct Running {
    /// What it works with.
    pub engine: Arc<Engine>,
    workers: CancellationToken,
    election: CancellationToken,
    controllers: JoinHandle<()>,
    elector: JoinHandle<()>,
    progress: watch::Receiver<Option<Timestamp>>,
    patience: SignedDuration,
    functions: Functions,
}

/// Starts the reconciler: election first, then the controllers.
///
/// # Errors
/// [`StartError`].
pub fn start(management: Cluster, config: &Config, functions: Functions) -> Result<Running, StartError> {
    let (claims, receiver) = watch::channel(None);
    let (engine, changes) = engine(management.clone(), config, &functions, receiver)?;
    let engine = Arc::new(engine);
    let (looked, progress) = watch::channel(None);
    let elector = Elector {
        looked,
        cluster: management,
        namespace: config.namespace.clone(),
        name: "loggia".to_owned(),
        identity: config.identity.clone(),
        timing: config.election,
        clock: Arc::new(SystemClock),
    };
    let (workers, election) = (CancellationToken::new(), CancellationToken::new());
    let elector = tokio::spawn(elector.run(claims, election.clone()));
    let controllers = ending(election.clone(), controllers::run(engine.clone(), changes, workers.clone()));
    let patience = config.election.lease;
    Ok(Running { engine, workers, election, controllers, elector, progress, patience, functions })
}

/// Does work and ends the election with it, however it ends: who does nothing must not keep the lease.
fn ending(election: CancellationToken, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(async move {
        let _end = election.drop_guard();
        work.await;
    })
}

impl Running {
    /// Until the controllers have ended, which they do unasked only when something is broken.
    pub async fn ended(&self) {
        self.election.cancelled().await;
    }

    /// Tells, whenever it is asked, whether this replica makes progress: it leads or knows who does, as of no longer
    /// ago than a lease lasts.
    pub fn progress(&self) -> impl Fn() -> bool + Clone + Send + Sync + use<> {
        let (progress, patience) = (self.progress.clone(), self.patience);
        move || progress.borrow().is_some_and(|at| Timestamp::now().duration_since(at) <= patience)
    }

    /// Stops in order: functions that are not built in end, controllers finish their rounds, then the lease is
    /// released.
    pub async fn stop(self) {
        self.functions.end();
        self.workers.cancel();
        // A task that panicked has said so; stopping goes on. The election ends with the controllers.
        let _ = self.controllers.await;
        let _ = self.elector.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_election_ends_with_the_work_whether_it_was_asked_to_end_or_not() {
        let election = CancellationToken::new();
        let asked = CancellationToken::new();
        let work = ending(election.clone(), asked.clone().cancelled_owned());
        assert!(!election.is_cancelled());
        asked.cancel();
        work.await.unwrap();
        assert!(election.is_cancelled());
        let election = CancellationToken::new();
        let broken = ending(election.clone(), async { unreachable!("a round that panics") });
        assert!(broken.await.unwrap_err().is_panic());
        assert!(election.is_cancelled());
    }
}
