//! What tests of the engine share: API servers without sockets, and an engine that may write.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::watch;
use tower::{BoxError, Service as _, service_fn};

use crate::apiserver::{ApiServer, Options};
use crate::app::functions::Functions;
use crate::cluster::{Apply, Cluster};
use crate::config::Config;
use crate::domain::intent::target::{Target, TargetSpec};
use crate::domain::krm::Object;
use crate::domain::lease::{Claim, LeaseRecord, Timing};
use crate::domain::time::{SignedDuration, Timestamp};
use crate::engine::Engine;
use crate::engine::targets::Session;
use crate::ports::clock;

/// An API server to which nobody but the test writes.
pub(crate) fn server(name: &str) -> ApiServer {
    ApiServer::open(Options::in_memory(name)).unwrap()
}

/// A connection to a server that does not answer, while it is down, when a path with this part is asked for.
pub(crate) fn faltering(server: &ApiServer, part: &'static str, down: &Arc<AtomicBool>) -> Cluster {
    let (server, down) = (server.service(), down.clone());
    let answer = move |request: http::Request<kube::client::Body>| {
        let (mut server, is_down) = (server.clone(), down.load(Ordering::Acquire));
        async move {
            if is_down && request.uri().path().contains(part) {
                return Err(BoxError::from("it is down"));
            }
            server.call(request).await.map_err(BoxError::from)
        }
    };
    Cluster::from_service("management", service_fn(answer))
}

/// A claim that lasts an hour.
pub(crate) fn claim() -> Claim {
    let lease = LeaseRecord { holder: Some("test".to_owned()), ..LeaseRecord::default() };
    let timing = Timing { renew_deadline: SignedDuration::from_hours(1), ..Timing::default() };
    Claim::after_renewal(&lease, "test", Timestamp::now(), &timing).unwrap()
}

/// A clock that goes when it is told to.
pub(crate) struct Clock(Mutex<Timestamp>);

impl Clock {
    /// A clock that stands at some time.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Timestamp::UNIX_EPOCH)))
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: SignedDuration) {
        *self.0.lock().unwrap() += time;
    }
}

impl clock::Clock for Clock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// An engine over a management cluster that gets our kinds, and the namespaces `one` and `two`.
pub(crate) async fn engine_over(management: Cluster, clock: Arc<Clock>) -> Arc<Engine> {
    crate::app::install(&management).await.unwrap();
    for name in ["one", "two"] {
        put(&management, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await;
    }
    let (_, claims) = watch::channel(Some(claim()));
    let (mut engine, _) = crate::app::engine(management, &Config::new("test"), &Functions::default(), claims).unwrap();
    engine.clock = clock;
    Arc::new(engine)
}

/// An engine over a management cluster of its own.
pub(crate) async fn engine() -> Arc<Engine> {
    engine_over(Cluster::from_service("management", server("management").service()), Clock::new()).await
}

/// Writes an object as a person would; gives it as it is then.
pub(crate) async fn put(cluster: &Cluster, object: Value) -> Object {
    cluster.apply(None, &Object::new(object).unwrap(), &Apply::new("person").forced()).await.unwrap()
}

/// A Target of the namespace `two` that is the management cluster itself.
pub(crate) fn target(name: &str) -> Target {
    let mut target = Target::new(name, TargetSpec { kubeconfig_secret: None });
    target.metadata.namespace = Some("two".to_owned());
    target
}

/// The session with the management cluster as the target `edge`.
pub(crate) async fn session(engine: &Engine) -> Arc<Session> {
    engine.targets.session(&engine.management, &target("edge")).await.unwrap()
}
