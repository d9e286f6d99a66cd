//! The same requests to the real API server and to ours; the answers must be the same but for identities and times.
//!
//! Looks for etcd and kube-apiserver in the directory that `LOGGIA_KUBE_ASSETS` names.

use std::net::TcpListener as StdListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::*;

/// A real API server with its etcd; both end with it.
struct Real {
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
    StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(program: &Path, directory: &Path, arguments: &[String]) -> Child {
    let name = program.file_name().unwrap().to_str().unwrap();
    let log = std::fs::File::create(directory.join(format!("{name}.log"))).unwrap();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

impl Real {
    async fn start() -> Option<Self> {
        let Some(assets) = std::env::var_os("LOGGIA_KUBE_ASSETS").map(PathBuf::from) else {
            println!("not run: LOGGIA_KUBE_ASSETS does not name a directory with etcd and kube-apiserver");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        std::fs::write(here.join("tokens.csv"), "secret,admin,admin,system:masters\n").unwrap();
        let key = |name: &str, arguments: &[&str]| {
            let made = Command::new("openssl").args(arguments).current_dir(here).output().unwrap();
            assert!(made.status.success(), "{name}: {made:?}");
        };
        key("sa.key", &["genrsa", "-out", "sa.key", "2048"]);
        key("sa.pub", &["rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"]);
        let (etcd, peers, port) = (free_port(), free_port(), free_port());
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let database = words(format!(
            "--data-dir data --unsafe-no-fsync --listen-client-urls {0} --advertise-client-urls {0} --listen-peer-urls {1}",
            url(etcd),
            url(peers)
        ));
        let server = words(format!(
            "--etcd-servers {} --secure-port {port} --bind-address 127.0.0.1 --advertise-address 127.0.0.1 --token-auth-file \
             tokens.csv --authorization-mode=RBAC --disable-admission-plugins=ServiceAccount --service-account-issuer=https://x \
             --service-account-key-file=sa.pub --service-account-signing-key-file=sa.key --endpoint-reconciler-type=none --cert-dir \
             certs --service-cluster-ip-range=10.96.0.0/16",
            url(etcd)
        ));
        let children =
            vec![start(&assets.join("etcd"), here, &database), start(&assets.join("kube-apiserver"), here, &server)];
        let _known = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().danger_accept_invalid_certs(true).no_proxy().build().unwrap();
        let real = Self { children, url: format!("https://127.0.0.1:{port}"), client, _directory: directory };
        real.wait().await;
        Some(real)
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

    async fn send(&self, case: &Case) -> (u16, Value) {
        let method = reqwest::Method::from_bytes(case.method.as_bytes()).unwrap();
        let request = self.client.request(method, format!("{}{}", self.url, case.path)).bearer_auth("secret");
        let request = request.header("content-type", case.content_type()).header("user-agent", "conform/1");
        let reply = request.body(case.body.to_owned()).send().await.unwrap();
        (reply.status().as_u16(), serde_json::from_slice(&reply.bytes().await.unwrap()).unwrap())
    }
}

async fn ours(server: &ApiServer, case: &Case) -> (u16, Value) {
    let request = http::Request::builder().method(case.method).uri(case.path).header("user-agent", "conform/1");
    let request = request.header("content-type", case.content_type());
    raw(server, request.body(kube::client::Body::from(case.body.as_bytes().to_vec())).unwrap()).await
}

/// One request.
struct Case {
    method: &'static str,
    path: &'static str,
    body: &'static str,
}

impl Case {
    /// The kind of patch is the word in front of `PATCH`.
    fn content_type(&self) -> &'static str {
        match self.path.split_once("patch=").map(|(_, kind)| kind.split('&').next().unwrap()) {
            Some("json") => "application/json-patch+json",
            Some("merge") => "application/merge-patch+json",
            Some("strategic") => "application/strategic-merge-patch+json",
            Some("apply") => "application/apply-patch+yaml",
            _ => "application/json",
        }
    }
}

/// Cases are paragraphs: `METHOD path`, then the body.
fn cases() -> Vec<Case> {
    let paragraphs = include_str!("conformance.txt").split("\n\n").map(str::trim);
    let paragraphs = paragraphs.filter(|paragraph| !paragraph.is_empty() && !paragraph.starts_with('#'));
    let case = |paragraph: &'static str| {
        let (line, body) = paragraph.split_once('\n').unwrap_or((paragraph, ""));
        let (method, path) = line.split_once(' ').unwrap();
        Case { method, path, body }
    };
    paragraphs.map(case).collect()
}

/// What two servers may tell differently.
fn blurred(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for name in [
                    "uid",
                    "resourceVersion",
                    "creationTimestamp",
                    "deletionTimestamp",
                    "time",
                    "lastTransitionTime",
                    "continue",
                ] {
                    if let Some(found) = fields.get_mut(name).filter(|found| found.is_string()) {
                        *found = json!("some");
                    }
                }
                for name in ["clusterIP", "clusterIPs", "nodePort"] {
                    if let Some(found) = fields.get_mut(name).filter(|found| **found != "None") {
                        *found = json!("some");
                    }
                }
                fields.values_mut().for_each(walk);
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut value);
    value
}

/// Where two values differ, as lines.
fn differences(path: &str, real: &Value, ours: &Value, found: &mut Vec<String>) {
    match (real, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                let null = Value::Null;
                differences(
                    &format!("{path}.{name}"),
                    a.get(name).unwrap_or(&null),
                    b.get(name).unwrap_or(&null),
                    found,
                );
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}[{index}]"), a, b, found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => found.push(format!("    {path}:\n      real {a}\n      ours {b}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_server_answers_the_same() {
    let Some(real) = Real::start().await else { return };
    let server = server();
    let mut found = Vec::new();
    for case in cases() {
        let (code, value) = real.send(&case).await;
        let (our_code, our_value) = ours(&server, &case).await;
        let mut lines = Vec::new();
        differences(
            "",
            &json!({"http": code, "body": blurred(value)}),
            &json!({"http": our_code, "body": blurred(our_value)}),
            &mut lines,
        );
        if !lines.is_empty() {
            found.push(format!("{} {}\n{}\n{}", case.method, case.path, case.body, lines.join("\n")));
        }
        // CRDs of the real server are served a moment later.
        if case.path.contains("customresourcedefinitions") {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    }
    assert!(found.is_empty(), "{} of {} answers differ:\n{}", found.len(), cases().len(), found.join("\n\n"));
}
