//! Live copies of chosen kinds, kept by watches. A settled unit is looked after from here and costs no request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::watcher;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinHandle;

use super::{Cluster, ClusterError};
use crate::domain::krm::{Gvk, Object, ObjectId};

/// Changes that a slow reader may miss before it is told to look at everything.
const PENDING: usize = 1024;
/// Waits between attempts to reconnect: doubled up to a limit, without jitter, so that tests repeat.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Which objects of a kind are kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// The kind.
    pub kind: Gvk,
    /// Namespace; empty: all.
    pub namespace: String,
    /// Label selector; empty: everything.
    pub selector: String,
}

/// How a view came to be what it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Reading {
    /// It was not read whole yet.
    #[default]
    Begun,
    /// It was read whole, and is followed since.
    Current,
    /// What changed since is not known.
    Broken,
}

#[derive(Default)]
struct View {
    objects: BTreeMap<ObjectId, Object>,
    reading: Reading,
}

struct Watch {
    view: Arc<RwLock<View>>,
    task: JoinHandle<()>,
}

/// Live copies of objects on one cluster.
pub struct Mirror {
    cluster: Cluster,
    watches: Mutex<BTreeMap<Scope, Watch>>,
    changes: broadcast::Sender<ObjectId>,
    progress: Arc<Notify>,
}

impl Mirror {
    /// A mirror that keeps nothing yet.
    #[must_use]
    pub fn new(cluster: Cluster) -> Self {
        let (changes, _) = broadcast::channel(PENDING);
        Self { cluster, watches: Mutex::new(BTreeMap::new()), changes, progress: Arc::new(Notify::new()) }
    }

    /// Ids of objects that change from now on; a reader that lags is told so and must look at everything.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<ObjectId> {
        self.changes.subscribe()
    }

    /// Starts keeping a scope, unless it is kept already. Returns whether the kind is served; that of a scope whose watch
    /// is broken is asked for anew, and a kind that went is not kept any more.
    ///
    /// # Errors
    /// [`ClusterError`] when the server cannot be asked for the kind.
    pub async fn ensure(&self, scope: &Scope) -> Result<bool, ClusterError> {
        match self.view(scope, |view| view.reading) {
            Some(Reading::Begun | Reading::Current) => return Ok(true),
            Some(Reading::Broken) => self.cluster.forget(&scope.kind).await,
            None => {}
        }
        let Some(resource) = self.cluster.resource(&scope.kind).await? else {
            self.retain(|kept| kept != scope);
            return Ok(false);
        };
        let resource = ApiResource {
            group: scope.kind.group.clone(),
            version: scope.kind.version.clone(),
            api_version: scope.kind.api_version(),
            kind: scope.kind.kind.clone(),
            plural: resource.plural,
        };
        let view = Arc::new(RwLock::new(View::default()));
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.entry(scope.clone()).or_insert_with(|| {
            let task = keep(&self.cluster, scope, &resource, view.clone(), self.changes.clone(), self.progress.clone());
            Watch { view, task: tokio::spawn(task) }
        });
        Ok(true)
    }

    /// Waits until a scope was read whole and is followed since; while its watch is broken it is not.
    ///
    /// # Errors
    /// [`ClusterError::Unreachable`] when that takes longer than `patience`.
    pub async fn synced(&self, scope: &Scope, patience: Duration) -> Result<(), ClusterError> {
        self.wait_until(patience, scope, |view| view.reading == Reading::Current).await
    }

    /// Waits until the copy of an object is at least as new as `resource_version`, so that what follows sees our own
    /// write.
    ///
    /// # Errors
    /// As [`Mirror::synced`].
    pub async fn seen(&self, scope: &Scope, object: &Object, patience: Duration) -> Result<(), ClusterError> {
        let version = |object: &Object| object.resource_version().parse::<u64>().unwrap_or(0);
        let (id, wanted) = (object.id(), version(object));
        self.wait_until(patience, scope, |view| view.objects.get(&id).is_some_and(|seen| version(seen) >= wanted)).await
    }

    /// Waits until the copy holds no such object.
    ///
    /// # Errors
    /// As [`Mirror::synced`].
    pub async fn gone(&self, scope: &Scope, id: &ObjectId, patience: Duration) -> Result<(), ClusterError> {
        self.wait_until(patience, scope, |view| view.reading == Reading::Current && !view.objects.contains_key(id))
            .await
    }

    async fn wait_until(
        &self,
        patience: Duration,
        scope: &Scope,
        holds: impl Fn(&View) -> bool,
    ) -> Result<(), ClusterError> {
        let waiting = async {
            loop {
                let progress = self.progress.notified();
                tokio::pin!(progress);
                progress.as_mut().enable();
                if self.view(scope, &holds).unwrap_or(false) {
                    return;
                }
                progress.await;
            }
        };
        tokio::time::timeout(patience, waiting).await.map_err(|_| ClusterError::Unreachable {
            cluster: self.cluster.name().to_owned(),
            act: "watch",
            what: scope.kind.to_string(),
            reason: format!("nothing was seen within {} s", patience.as_secs()),
        })
    }

    fn view<T>(&self, scope: &Scope, read: impl Fn(&View) -> T) -> Option<T> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let view = &watches.get(scope)?.view;
        Some(read(&view.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// One object of a scope; `None` when it is not there or the scope is not kept.
    #[must_use]
    pub fn get(&self, scope: &Scope, id: &ObjectId) -> Option<Object> {
        self.view(scope, |view| view.objects.get(id).cloned()).flatten()
    }

    /// All objects of a scope, sorted.
    #[must_use]
    pub fn list(&self, scope: &Scope) -> Vec<Object> {
        self.view(scope, |view| view.objects.values().cloned().collect()).unwrap_or_default()
    }

    /// Stops keeping scopes that are not wanted any more.
    pub fn retain(&self, wanted: impl Fn(&Scope) -> bool) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.retain(|scope, watch| {
            let keep = wanted(scope);
            if !keep {
                watch.task.abort();
            }
            keep
        });
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.retain(|_| false);
    }
}

/// Follows one watch for ever. When it breaks, the view is not current until it was read whole again: a watch that goes
/// on says nothing when nothing happens, so nobody could tell. Waits grow in between.
fn keep(
    cluster: &Cluster,
    scope: &Scope,
    resource: &ApiResource,
    view: Arc<RwLock<View>>,
    changes: broadcast::Sender<ObjectId>,
    progress: Arc<Notify>,
) -> impl Future<Output = ()> + Send + 'static {
    let api: Api<DynamicObject> = if scope.namespace.is_empty() {
        Api::all_with(cluster.client(), resource)
    } else {
        Api::namespaced_with(cluster.client(), &scope.namespace, resource)
    };
    let config = watcher::Config::default().labels(&scope.selector);
    let kind = scope.kind.clone();
    async move {
        let follow = || watcher(api.clone(), config.clone()).boxed();
        let (mut wait, mut events, mut fresh) = (FIRST_WAIT, follow(), None);
        loop {
            match events.try_next().await {
                Ok(Some(event)) => {
                    // That a list is begun does not say that anybody answers.
                    if !matches!(event, watcher::Event::Init) {
                        wait = FIRST_WAIT;
                    }
                    for id in take_in(event, &kind, &view, &mut fresh) {
                        // Nobody listening is fine.
                        let _ = changes.send(id);
                    }
                    progress.notify_waiters();
                }
                broken => {
                    tracing::debug!(error = ?broken.err(), %kind, "watch interrupted");
                    view.write().unwrap_or_else(PoisonError::into_inner).reading = Reading::Broken;
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                    events = follow();
                }
            }
        }
    }
}

/// Takes an event into the view; gives the ids that changed.
fn take_in(
    event: watcher::Event<DynamicObject>,
    kind: &Gvk,
    view: &RwLock<View>,
    fresh: &mut Option<BTreeMap<ObjectId, Object>>,
) -> Vec<ObjectId> {
    let mut view = view.write().unwrap_or_else(PoisonError::into_inner);
    match event {
        watcher::Event::Init => {
            *fresh = Some(BTreeMap::new());
            Vec::new()
        }
        watcher::Event::InitApply(object) => {
            if let (Some(object), Some(fresh)) = (json(&object, kind), fresh.as_mut()) {
                fresh.insert(object.id(), object);
            }
            Vec::new()
        }
        watcher::Event::InitDone => {
            let new = fresh.take().unwrap_or_default();
            let old = std::mem::replace(&mut view.objects, new);
            view.reading = Reading::Current;
            let changed =
                view.objects.iter().filter(|(id, object)| old.get(*id) != Some(*object)).map(|(id, _)| id.clone());
            let gone = old.keys().filter(|id| !view.objects.contains_key(*id)).cloned();
            changed.chain(gone).collect()
        }
        watcher::Event::Apply(object) => {
            let Some(object) = json(&object, kind) else { return Vec::new() };
            let id = object.id();
            view.objects.insert(id.clone(), object);
            vec![id]
        }
        watcher::Event::Delete(object) => {
            let Some(object) = json(&object, kind) else { return Vec::new() };
            let id = object.id();
            view.objects.remove(&id);
            vec![id]
        }
    }
}

/// Items of a list do not repeat their kind.
fn json(object: &DynamicObject, kind: &Gvk) -> Option<Object> {
    let mut value = serde_json::to_value(object).ok()?;
    let map = value.as_object_mut()?;
    map.insert("apiVersion".to_owned(), kind.api_version().into());
    map.insert("kind".to_owned(), kind.kind.clone().into());
    Object::new(value).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use axum::body::Body;
    use bytes::Bytes;
    use http::{Request, Response};
    use serde_json::json;
    use tokio::sync::watch;
    use tower::{BoxError, service_fn};

    use super::*;

    /// An API server with one `ConfigMap`, of which the open watches can be broken, and which may be down.
    struct Server {
        down: AtomicBool,
        broken: watch::Sender<()>,
        /// Whether it does not serve them any more.
        unserved: AtomicBool,
        /// How often it was listed, or asked to in vain.
        listed: AtomicU64,
    }

    impl Server {
        fn answer(&self, request: &Request<kube::client::Body>) -> Result<Response<Body>, BoxError> {
            let query = request.uri().query().unwrap_or_default();
            if request.uri().path() == "/api/v1" {
                if self.unserved.load(Ordering::Acquire) {
                    return Ok(Response::new(Body::from(json!({"resources": []}).to_string())));
                }
                let resource = json!({"name": "configmaps", "kind": "ConfigMap", "namespaced": true});
                return Ok(Response::new(Body::from(json!({"resources": [resource]}).to_string())));
            }
            if query.contains("watch=true") {
                let mut broken = self.broken.subscribe();
                broken.mark_unchanged();
                let breaks = futures::stream::once(async move {
                    // Until then it is open, and nothing happens.
                    let _ = broken.changed().await;
                    Err::<Bytes, BoxError>("it broke".into())
                });
                return Ok(Response::new(Body::from_stream(breaks)));
            }
            self.listed.fetch_add(1, Ordering::AcqRel);
            if self.unserved.load(Ordering::Acquire) {
                return Ok(Response::builder().status(404).body(Body::from("404 page not found"))?);
            }
            if self.down.load(Ordering::Acquire) {
                return Err("it is down".into());
            }
            let item = json!({"metadata": {"name": "a", "namespace": "b", "resourceVersion": "6"}});
            let list = json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": [item]});
            Ok(Response::new(Body::from(list.to_string())))
        }
    }

    async fn eventually(told: &str, mut holds: impl AsyncFnMut() -> bool) {
        let waiting = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_mins(2), waiting).await;
        waited.unwrap_or_else(|_| panic!("did not hold: {told}"));
    }

    /// A server that is down or not, a mirror of it, and the scope of its one object.
    fn mirrored(down: bool) -> (Arc<Server>, Mirror, Scope) {
        let server = Arc::new(Server {
            down: AtomicBool::new(down),
            broken: watch::channel(()).0,
            unserved: AtomicBool::new(false),
            listed: AtomicU64::new(0),
        });
        let answering = server.clone();
        let answer = move |request: Request<kube::client::Body>| std::future::ready(answering.answer(&request));
        let mirror = Mirror::new(Cluster::from_service("edge", service_fn(answer)));
        (
            server,
            mirror,
            Scope { kind: Gvk::new("", "v1", "ConfigMap"), namespace: String::new(), selector: String::new() },
        )
    }

    #[tokio::test]
    async fn a_scope_is_not_current_while_its_watch_is_broken() {
        let (server, mirror, scope) = mirrored(false);
        assert!(mirror.ensure(&scope).await.unwrap());
        mirror.synced(&scope, Duration::from_mins(1)).await.unwrap();
        eventually("it is watched", async || server.broken.receiver_count() == 1).await;
        server.down.store(true, Ordering::Release);
        server.broken.send_replace(());
        let current = async || mirror.synced(&scope, Duration::ZERO).await.is_ok();
        eventually("it is not current any more", async || !current().await).await;
        assert_eq!(mirror.list(&scope).len(), 1, "what was known last can be looked at");
        server.down.store(false, Ordering::Release);
        eventually("it is current again", current).await;
    }

    #[tokio::test]
    async fn a_kind_that_is_not_served_any_more_is_noticed() {
        let (server, mirror, scope) = mirrored(false);
        assert!(mirror.ensure(&scope).await.unwrap());
        mirror.synced(&scope, Duration::from_mins(1)).await.unwrap();
        eventually("it is watched", async || server.broken.receiver_count() == 1).await;
        server.unserved.store(true, Ordering::Release);
        server.broken.send_replace(());
        eventually("it is told not to be there", async || !mirror.ensure(&scope).await.unwrap()).await;
        server.unserved.store(false, Ordering::Release);
        assert!(mirror.ensure(&scope).await.unwrap());
        mirror.synced(&scope, Duration::from_mins(1)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_left_alone_for_longer_and_longer() {
        let (server, mirror, scope) = mirrored(true);
        assert!(mirror.ensure(&scope).await.unwrap());
        tokio::time::sleep(Duration::from_mins(10)).await;
        let listed = server.listed.load(Ordering::Acquire);
        assert!((20..40).contains(&listed), "{listed}");
    }
}
