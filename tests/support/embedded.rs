//! The embedded API server on a loopback port, with a tap on its line. It stops when it is dropped.

#![allow(dead_code, reason = "each test uses its own part of this")]

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::Request;
use loggia::apiserver::{ApiServer, Options};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt as _;

/// A write as it arrives: verb, path, body.
pub(crate) struct Write {
    pub(crate) verb: String,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
}

/// Sees each write after it landed and before it is answered.
pub(crate) type Tap = Arc<dyn Fn(&Write) + Send + Sync>;

/// An embedded API server with simulated workloads.
pub(crate) struct Embedded {
    dir: tempfile::TempDir,
    server: ApiServer,
    address: std::net::SocketAddr,
    _stop: DropGuard,
}

impl Embedded {
    pub(crate) async fn start(tap: Tap) -> Self {
        let server = ApiServer::open(Options { simulate_workloads: true, ..Options::in_memory("embedded") }).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (service, stopped) = (server.service(), stop.clone());
        let app = axum::Router::new().fallback(move |request: Request| {
            let (service, tap) = (service.clone(), tap.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 16 << 20).await.unwrap();
                let write = (head.method != http::Method::GET).then(|| Write {
                    verb: head.method.to_string(),
                    path: head.uri.path().to_owned(),
                    body: body.to_vec(),
                });
                let request = http::Request::from_parts(head, axum::body::Body::from(body));
                let answer = service.oneshot(request).await.unwrap();
                if let Some(write) = write {
                    tap(&write);
                }
                answer
            }
        });
        tokio::spawn(async move {
            tokio::select! {
                served = axum::serve(listener, app).into_future() => served.unwrap(),
                () = stopped.cancelled() => {}
            }
        });
        let embedded = Self { dir: tempfile::tempdir().unwrap(), server, address, _stop: stop.drop_guard() };
        std::fs::write(embedded.kubeconfig_file(), embedded.kubeconfig()).unwrap();
        embedded
    }

    pub(crate) fn kubeconfig(&self) -> String {
        self.server.kubeconfig(self.address)
    }

    pub(crate) fn kubeconfig_file(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}
