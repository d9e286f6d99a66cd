//! The embedded Kubernetes API server: a `tower` service under a `kube::Client`, without sockets, or HTTP on a loopback
//! port.
//!
//! It serves what our users' tools call and is compared with the real one by tests. It is not a production cluster:
//! there is no authorization, no admission by webhooks, no conversion between versions of a CRD, and nothing runs.
//!
//! | module | what it knows |
//! |---|---|
//! | [`kinds`], `builtin` | kinds and resources |
//! | [`store`], [`persist`] | objects, revisions, history, disk |
//! | [`core`] with `write`, `patch`, `delete`, `list`, `scale`, `life` | the rules by which objects change |
//! | `decode`, `zero`, `admit`, `metadata`, `structural`, `judge`, `addresses` | what a single object must be like |
//! | `request`, `remarks`, `syntax`, `route`, `negotiate`, `view`, `watch`, `handle` | HTTP |
//! | [`discovery`], [`openapi`], [`table`] | what clients ask about kinds, and rows for people |
//! | [`gc`], [`workloads`] | controllers that run beside it |

mod addresses;
mod admit;
pub mod builtin;
mod convert;
pub mod core;
pub mod counts;
pub mod decode;
pub mod delete;
pub mod discovery;
pub mod gc;
mod handle;
mod judge;
pub mod kinds;
mod life;
mod lines;
pub mod list;
mod metadata;
pub mod negotiate;
pub mod openapi;
mod parameters;
mod patch;
pub mod persist;
mod protobuf;
mod remarks;
pub mod request;
pub mod route;
mod scale;
pub mod selector;
pub mod status;
pub mod store;
mod syntax;
pub mod table;
mod view;
mod watch;
pub mod workloads;
mod write;
mod zero;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Once};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http::{Response, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::core::{Clock, Core, OpenError, Writer, Written};
use self::counts::Counted;
use self::handle::{Handler, failed};
use self::request::{MAX_BODY, Request};
use self::status::ApiError;
use crate::domain::time::Timestamp;

/// How a server starts.
#[derive(Clone)]
pub struct Options {
    /// Its name: in the kubeconfig, and part of what makes its uids its own.
    pub name: String,
    /// Where objects are kept; `None` keeps them in memory only.
    pub data_dir: Option<PathBuf>,
    /// The token that clients of the port must show, as a bearer token or in front of the path ([`TOKEN_PATH`]); `None`
    /// lets everybody in. The service without sockets asks for none.
    pub token: Option<String>,
    /// Where the time comes from.
    pub now: Clock,
    /// Whether deployments get pods, pods get ready, and so on.
    pub simulate_workloads: bool,
}

impl Options {
    /// In memory, with the time of this machine; everybody is let in, and nothing is simulated.
    #[must_use]
    pub fn in_memory(name: impl Into<String>) -> Self {
        let now = Arc::new(Timestamp::now);
        Self { name: name.into(), data_dir: None, token: None, now, simulate_workloads: false }
    }
}

impl std::fmt::Debug for Options {
    /// Everything but the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, data_dir, simulate) = (&self.name, &self.data_dir, &self.simulate_workloads);
        write!(f, "Options {{ name: {name:?}, data_dir: {data_dir:?}, simulate_workloads: {simulate} }}")
    }
}

/// What stands before the token in the paths of clients that cannot send it otherwise: `/token/SECRET/api/v1/...`.
pub const TOKEN_PATH: &str = "/token/";

/// A port that stopped serving for reasons of the machine.
#[derive(Debug, thiserror::Error)]
#[error("serving the embedded API server: {0}")]
pub struct ServeError(#[from] std::io::Error);

struct Inner {
    handler: Handler,
    token: Option<String>,
    simulate_workloads: bool,
    started: Once,
    _close: DropGuard,
}

/// An embedded API server; clones are the same one. It closes when the last clone and the last service are gone:
/// watches end, controllers stop.
#[derive(Clone)]
pub struct ApiServer(Arc<Inner>);

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ApiServer").field(&self.0.handler.core).finish()
    }
}

impl ApiServer {
    /// Opens a server, over its data directory when it has one.
    ///
    /// # Errors
    /// [`OpenError`] when the data directory cannot be used, for one because another process uses it.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let core = Core::open(&options.name, options.data_dir.as_deref(), options.now)?;
        let closing = CancellationToken::new();
        let handler = Handler { core: Arc::new(core), counts: counts::Counts::default(), closing: closing.clone() };
        let (token, simulate_workloads) = (options.token, options.simulate_workloads);
        let started = Once::new();
        Ok(Self(Arc::new(Inner { handler, token, simulate_workloads, started, _close: closing.drop_guard() })))
    }

    /// The server without HTTP, for controllers and tests beside it.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.0.handler.core
    }

    /// The server as a service for `kube::Client::new`. Call it within a tokio runtime: the controllers start there.
    #[must_use]
    pub fn service(&self) -> Service {
        self.start();
        Service(self.clone())
    }

    /// The server as a service without its controllers: nothing is collected, nothing runs. What an API server does
    /// alone.
    #[must_use]
    pub fn bare_service(&self) -> Service {
        Service(self.clone())
    }

    /// A client without sockets whose default namespace is `default`. Call it within a tokio runtime.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.service(), "default")
    }

    /// Serves HTTP on a listener until `shutdown`, then lets requests finish; open watches end at once.
    ///
    /// # Errors
    /// [`ServeError`] when the listener fails.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), ServeError> {
        self.start();
        let server = self.clone();
        let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
            let server = server.clone();
            async move { server.answer_port(request).await }
        });
        let closing = self.0.handler.closing.clone();
        let stop = async move {
            shutdown.cancelled().await;
            // Watches would hold their connections open for ever.
            closing.cancel();
        };
        axum::serve(listener, app).with_graceful_shutdown(stop).await.map_err(ServeError)
    }

    async fn answer_port(&self, mut request: axum::extract::Request) -> Response<Body> {
        let is_probe = matches!(request.uri().path(), "/healthz" | "/livez" | "/readyz");
        match &self.0.token {
            Some(token) if !is_probe && !shows_token(&mut request, token) => failed(&ApiError::unauthorized()),
            _ => self.answer(request).await,
        }
    }

    async fn answer<B>(&self, request: http::Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        match Limited::new(body, MAX_BODY).collect().await {
            Ok(body) => {
                let request = Request::new(&head, body.to_bytes());
                negotiate::encoded(&request.accept, self.0.handler.answer(&request)).await
            }
            Err(error) if error.is::<LengthLimitError>() => failed(&ApiError::too_large(MAX_BODY)),
            Err(error) => failed(&ApiError::bad_request(format!("reading the body: {error}"))),
        }
    }

    /// Starts the controllers, once.
    fn start(&self) {
        self.0.started.call_once(|| {
            let (core, stop) = (self.core(), &self.0.handler.closing);
            tokio::spawn(gc::run(Arc::clone(core), stop.clone()));
            if self.0.simulate_workloads {
                tokio::spawn(workloads::run(Arc::clone(core), workloads::Latency::default(), stop.clone()));
            }
        });
    }

    /// How many requests came, by Kubernetes' verb: `get list watch create update patch apply delete deletecollection
    /// other`; requests about Leases are counted under `lease/VERB`.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<String, u64> {
        let mut sums = BTreeMap::new();
        for (Counted { lease, verb, .. }, count) in self.requests_by_client() {
            let name = if lease { format!("lease/{verb}") } else { verb.to_owned() };
            *sums.entry(name).or_default() += count;
        }
        sums
    }

    /// How many requests came, by client, verb, and whether they were about Leases.
    #[must_use]
    pub fn requests_by_client(&self) -> BTreeMap<Counted, u64> {
        self.0.handler.counts.all()
    }

    /// A kubeconfig for this server on a port. A token is part of the server's address (see [`TOKEN_PATH`]): clients of
    /// the Go library send no `Authorization` header without TLS.
    #[must_use]
    pub fn kubeconfig(&self, address: SocketAddr) -> String {
        let name = self.core().name();
        let path = self.0.token.as_ref().map_or_else(String::new, |token| format!("{TOKEN_PATH}{token}"));
        format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster: {{server: \"http://{address}{path}\"}}\nusers:\n- \
             name: {name}\n  user: {{}}\ncontexts:\n- name: {name}\n  context: {{cluster: {name}, user: {name}, namespace: \
             default}}\ncurrent-context: {name}\n"
        )
    }
}

/// Whether a request shows the token: as a bearer token, or in front of its path. The latter is taken off.
fn shows_token(request: &mut axum::extract::Request, token: &str) -> bool {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    // The name of a scheme is written in any case (RFC 9110, section 11.1).
    let bearer =
        given.and_then(|given| given.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if bearer.is_some_and(|(_, given)| same_secret(given, token)) {
        return true;
    }
    let whole = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let Some(below) = whole.strip_prefix(TOKEN_PATH) else { return false };
    let (given, rest) = below.split_at(below.find('/').unwrap_or(below.len()));
    let rest = if rest.is_empty() { "/" } else { rest };
    match rest.parse() {
        Ok(uri) if same_secret(given, token) => {
            *request.uri_mut() = uri;
            true
        }
        _ => false,
    }
}

/// Compares without telling by its time how much was right.
fn same_secret(given: &str, wanted: &str) -> bool {
    let difference = given.bytes().zip(wanted.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == wanted.len() && difference == 0
}

/// An [`ApiServer`] as a `tower` service.
#[derive(Debug, Clone)]
pub struct Service(ApiServer);

impl<B> tower::Service<http::Request<B>> for Service
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let server = self.0.clone();
        Box::pin(async move { Ok(server.answer(request).await) })
    }
}

#[cfg(test)]
mod tests;
