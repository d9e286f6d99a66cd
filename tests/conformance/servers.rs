//! The real API server and ours, asked the same.

#![allow(dead_code, reason = "each test uses its own part of this")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http_body_util::BodyExt as _;
use loggia::apiserver::{ApiServer, Options, Service};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};
use tower::ServiceExt as _;

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With query; `patch=KIND` in it says how the body patches or is written, `accept=FORM` how the answer looks.
    pub(crate) path: String,
    pub(crate) body: String,
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}\n{}", self.method, self.path, self.body)
    }
}

impl Request {
    fn content_type(&self) -> &'static str {
        match self.path.split_once("patch=").map(|(_, kind)| kind.split('&').next().unwrap()) {
            Some("json") => "application/json-patch+json",
            Some("merge") => "application/merge-patch+json",
            Some("strategic") => "application/strategic-merge-patch+json",
            Some("apply") => "application/apply-patch+yaml",
            Some("yaml") => "application/yaml",
            _ => "application/json",
        }
    }

    fn accept(&self) -> &'static str {
        match self.path.split_once("accept=").map(|(_, form)| form) {
            Some("old-table") => "application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
            Some("old-metadata") if self.path.contains("/judged") => {
                "application/json;as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io"
            }
            Some("old-metadata") => "application/json;as=PartialObjectMetadataList;v=v1beta1;g=meta.k8s.io",
            _ => "*/*",
        }
    }

    fn to_http(&self, base: &str) -> http::Request<String> {
        let request = http::Request::builder().method(self.method.as_str()).uri(format!("{base}{}", self.path));
        let request = request.header("user-agent", "conform/1").header("authorization", "Bearer secret");
        let request = request.header("accept", self.accept());
        request.header("content-type", self.content_type()).body(self.body.clone()).unwrap()
    }
}

/// What a server says to it.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) warnings: Vec<String>,
    pub(crate) body: Value,
}

impl Answer {
    fn of(head: &http::response::Parts, body: &[u8]) -> Self {
        let warnings = head.headers.get_all("warning").iter().map(|text| text.to_str().unwrap().to_owned()).collect();
        // What is not served at all is told as plain text.
        let body = serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into());
        Self { code: head.status.as_u16(), warnings, body }
    }
}

/// How long an event that is missing is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long an event is waited for that should not come.
const PAUSE: Duration = Duration::from_millis(15);

/// The events of an open watch, as an answer: those that are expected are waited for, others only for a moment.
async fn events<B>(mut body: B, expected: usize) -> Answer
where
    B: http_body::Body<Data = bytes::Bytes> + Unpin,
    B::Error: std::fmt::Debug,
{
    let (mut text, mut found) = (Vec::new(), Vec::new());
    loop {
        let patience = if found.len() < expected && expected < usize::MAX { PATIENCE } else { PAUSE };
        let Ok(Some(frame)) = timeout_at(Instant::now() + patience, body.frame()).await else { break };
        text.extend_from_slice(frame.unwrap().data_ref().map_or(&[][..], AsRef::as_ref));
        while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            found.push(serde_json::from_slice::<Value>(&line).unwrap());
        }
    }
    Answer { code: 200, warnings: Vec::new(), body: Value::Array(found) }
}

/// Ours, without sockets.
pub(crate) struct Embedded(Service);

impl Embedded {
    pub(crate) fn start() -> Self {
        Self(ApiServer::open(Options::in_memory("embedded")).unwrap().bare_service())
    }

    /// The events of a watch until none comes for a moment: they all are there already.
    pub(crate) async fn watch(&self, request: &Request) -> Answer {
        let reply = self.0.clone().oneshot(request.to_http("")).await.unwrap();
        let (head, body) = reply.into_parts();
        if !head.status.is_success() {
            return Answer::of(&head, &body.collect().await.unwrap().to_bytes());
        }
        events(body, usize::MAX).await
    }

    pub(crate) async fn ask(&self, request: &Request) -> Answer {
        let (head, body) = self.0.clone().oneshot(request.to_http("")).await.unwrap().into_parts();
        Answer::of(&head, &body.collect().await.unwrap().to_bytes())
    }
}

/// A real API server with its etcd; both end with it.
pub(crate) struct Real {
    children: Vec<Child>,
    url: String,
    client: reqwest::Client,
    _directory: tempfile::TempDir,
}

impl Drop for Real {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(program: &Path, directory: &Path, arguments: &str) -> Child {
    let name = program.file_name().unwrap().to_str().unwrap();
    let log = std::fs::File::create(directory.join(format!("{name}.log"))).unwrap();
    let mut command = Command::new(program);
    command.args(arguments.split_whitespace()).current_dir(directory).stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

impl Real {
    /// Starts it; `None`, with one line said, where it is absent.
    pub(crate) async fn start() -> Option<Self> {
        let Some(assets) = std::env::var_os("LOGGIA_KUBE_ASSETS").map(PathBuf::from) else {
            println!("not run: LOGGIA_KUBE_ASSETS does not name a directory with etcd and kube-apiserver");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        std::fs::write(here.join("tokens.csv"), "secret,admin,admin,system:masters\n").unwrap();
        for arguments in ["genrsa -out sa.key 2048", "rsa -in sa.key -pubout -out sa.pub"] {
            let made = Command::new("openssl").args(arguments.split(' ')).current_dir(here).output().unwrap();
            assert!(made.status.success(), "openssl {arguments}: {made:?}");
        }
        let (etcd, peers, port) = (free_port(), free_port(), free_port());
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let database = format!(
            "--data-dir data --unsafe-no-fsync --listen-client-urls {0} --advertise-client-urls {0} --listen-peer-urls {1}",
            url(etcd),
            url(peers)
        );
        let server = format!(
            "--etcd-servers {} --secure-port {port} --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --token-auth-file \
             tokens.csv --authorization-mode=RBAC --disable-admission-plugins=ServiceAccount --service-account-issuer=https://x \
             --service-account-key-file=sa.pub --service-account-signing-key-file=sa.key --endpoint-reconciler-type=none --cert-dir \
             certs --service-cluster-ip-range=10.96.0.0/16",
            url(etcd)
        );
        let children =
            vec![start(&assets.join("etcd"), here, &database), start(&assets.join("kube-apiserver"), here, &server)];
        let _known = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().danger_accept_invalid_certs(true).no_proxy().build().unwrap();
        let real = Self { children, url: format!("https://127.0.0.1:{port}"), client, _directory: directory };
        real.wait().await;
        Some(real)
    }

    /// Waits until the server did what follows from a written CRD: it accepts names, serves, cleans up.
    pub(crate) async fn settle(&self, request: &Request, answer: &Answer) {
        let Some(name) = answer.body.pointer("/metadata/name").and_then(Value::as_str) else { return };
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        let look = Request { method: "GET".to_owned(), path, body: String::new() };
        let is_leaving = request.method == "DELETE";
        let mut last = Value::Null;
        for _ in 0..60 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let seen = self.ask(&look).await;
            let conditions = seen.body.pointer("/status/conditions").and_then(Value::as_array);
            let is_served = conditions.is_some_and(|all| all.iter().any(|one| one["type"] == "Established"));
            if seen.code == 404 || (seen.body == last && is_served && !is_leaving) {
                return;
            }
            last = seen.body;
        }
    }

    async fn wait(&self) {
        for _ in 0..300 {
            let ready = self.client.get(format!("{}/readyz", self.url)).bearer_auth("secret").send().await;
            if ready.is_ok_and(|reply| reply.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        panic!("the real API server does not get ready");
    }

    /// The events of a watch, so many and perhaps one more.
    pub(crate) async fn watch(&self, request: &Request, expected: usize) -> Answer {
        let request = request.to_http(&self.url).try_into().unwrap();
        let reply: http::Response<reqwest::Body> = self.client.execute(request).await.unwrap().into();
        let (head, body) = reply.into_parts();
        if !head.status.is_success() {
            return Answer::of(&head, &body.collect().await.unwrap().to_bytes());
        }
        events(body, expected).await
    }

    pub(crate) async fn ask(&self, request: &Request) -> Answer {
        let request = request.to_http(&self.url).try_into().unwrap();
        let reply: http::Response<reqwest::Body> = self.client.execute(request).await.unwrap().into();
        let (head, body) = reply.into_parts();
        Answer::of(&head, &body.collect().await.unwrap().to_bytes())
    }
}
