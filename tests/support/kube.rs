//! A real etcd, kube-apiserver and controller-manager on loopback, stopped when dropped. The test plays the kubelet.

#![allow(dead_code, reason = "each test uses its own part of this")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use loggia::cluster::Cluster;
use loggia::domain::krm::{Gvk, Object};
use serde_json::{Value, json};

/// Where the components are; `None`, with one line said, when they are not there.
pub(crate) fn assets(test: &str) -> Option<PathBuf> {
    let found = ["LOGGIA_KUBE_ASSETS", "KUBEBUILDER_ASSETS"]
        .iter()
        .filter_map(std::env::var_os)
        .map(PathBuf::from)
        .find(|dir| dir.join("kube-apiserver").exists());
    if found.is_none() {
        println!("{test}: not run: no real kube-apiserver (tests/tools/build makes one; set LOGGIA_KUBE_ASSETS)");
    }
    found
}

/// A real control plane.
pub(crate) struct Control {
    dir: tempfile::TempDir,
    children: Vec<Child>,
    port: u16,
    kubectl: PathBuf,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn run(command: &mut Command, log: &Path) -> Child {
    let out = std::fs::File::create(log).unwrap();
    command.stdout(out.try_clone().unwrap()).stderr(out).stdin(Stdio::null()).spawn().unwrap()
}

impl Control {
    /// Starts everything and waits until the server is ready.
    pub(crate) fn start(assets: &Path) -> Self {
        let controllers =
            "deployment-controller,replicaset-controller,garbage-collector-controller,namespace-controller";
        Self::alone(assets).with_controllers(assets, controllers)
    }

    /// The API server without controllers: nobody but the test writes.
    pub(crate) fn alone(assets: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let (etcd, peer, port) = (free_port(), free_port(), free_port());
        let url = format!("http://127.0.0.1:{etcd}");
        let mut children = vec![run(
            Command::new(assets.join("etcd")).args([
                "--data-dir",
                at("etcd").to_str().unwrap(),
                "--unsafe-no-fsync",
                "--listen-client-urls",
                &url,
                "--advertise-client-urls",
                &url,
                "--listen-peer-urls",
                &format!("http://127.0.0.1:{peer}"),
            ]),
            &at("etcd.log"),
        )];
        let key = at("sa.key");
        let made = Command::new("openssl").args(["genrsa", "-out", key.to_str().unwrap(), "2048"]).output();
        assert!(made.is_ok_and(|made| made.status.success()), "openssl makes the service account key");
        std::fs::write(at("tokens"), "t0ken,admin,admin,system:masters\n").unwrap();
        let key = key.to_str().unwrap();
        children.push(run(
            Command::new(assets.join("kube-apiserver")).args([
                &format!("--etcd-servers={url}"),
                &format!("--secure-port={port}"),
                "--bind-address=127.0.0.1",
                &format!("--cert-dir={}", at("certs").display()),
                &format!("--token-auth-file={}", at("tokens").display()),
                "--authorization-mode=RBAC",
                "--disable-admission-plugins=ServiceAccount",
                "--service-account-issuer=https://loggia.test",
                &format!("--service-account-key-file={key}"),
                &format!("--service-account-signing-key-file={key}"),
                "--endpoint-reconciler-type=none",
                "--service-cluster-ip-range=10.96.0.0/16",
            ]),
            &at("apiserver.log"),
        ));
        let control = Self { dir, children, port, kubectl: assets.join("kubectl") };
        std::fs::write(control.path("kubeconfig"), control.kubeconfig()).unwrap();
        control.wait_ready();
        control
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts these controllers, too; names separated by commas.
    pub(crate) fn with_controllers(mut self, assets: &Path, controllers: &str) -> Self {
        let kubeconfig = self.path("kubeconfig");
        let child = run(
            Command::new(assets.join("kube-controller-manager")).args([
                &format!("--kubeconfig={}", kubeconfig.display()),
                "--leader-elect=false",
                "--secure-port=0",
                &format!("--controllers={controllers}"),
            ]),
            &self.path("controllers.log"),
        );
        self.children.push(child);
        self
    }

    /// A kubeconfig with a token. The server's certificate is self-signed and on loopback.
    pub(crate) fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster:\n    server: https://127.0.0.1:{}\n    insecure-skip-tls-verify: true\ncontexts:\n- name: c\n  context: {{cluster: c, user: u}}\nusers:\n- name: u\n  user: {{token: t0ken}}\n",
            self.port
        )
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Where the kubeconfig is.
    pub(crate) fn kubeconfig_file(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    /// Runs the real kubectl; gives what it prints.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        let output = Command::new(&self.kubectl)
            .arg(format!("--kubeconfig={}", self.path("kubeconfig").display()))
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "kubectl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn wait_ready(&self) {
        let deadline = Instant::now() + Duration::from_mins(1);
        // Lists are answered before the server serves all of its groups.
        let ready = || {
            let mut kubectl = Command::new(&self.kubectl);
            let file = format!("--kubeconfig={}", self.path("kubeconfig").display());
            kubectl.args([&file, "get", "--raw", "/readyz"]).output().is_ok_and(|output| output.status.success())
        };
        while Instant::now() < deadline {
            if ready() {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let log = std::fs::read_to_string(self.path("apiserver.log")).unwrap_or_default();
        panic!("the API server did not get ready:\n{log}");
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Plays the kubelet until it is dropped: pods get ready, unless their image is tagged `broken`.
pub(crate) struct Kubelet(tokio::task::JoinHandle<()>);

impl Kubelet {
    pub(crate) fn start(cluster: Cluster) -> Self {
        Self(tokio::spawn(async move {
            let kind = Gvk::new("", "v1", "Pod");
            // Bounded: a test never takes this long.
            for _ in 0..6000 {
                if let Ok(pods) = cluster.list(&kind, "", "").await {
                    for pod in pods.objects {
                        tend(&cluster, &kind, &pod).await;
                    }
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }))
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn tend(cluster: &Cluster, kind: &Gvk, pod: &Object) {
    if pod.is_terminating() {
        let patch = json!({"metadata": {"finalizers": null}});
        let _ = cluster.merge(None, kind, &pod.id(), "", &patch).await;
        let path = loggia::cluster::Delete { uid: Some(pod.uid().to_owned()), resource_version: None };
        let _ = cluster.delete(None, kind, &pod.id(), &path).await;
        return;
    }
    if pod.value().pointer("/status/containerStatuses").is_some() {
        return;
    }
    let containers = pod.value().pointer("/spec/containers").and_then(Value::as_array).cloned().unwrap_or_default();
    let broken = containers.iter().any(|c| c["image"].as_str().is_some_and(|image| image.ends_with(":broken")));
    let status = |c: &Value| {
        let state = if broken {
            json!({"waiting": {"reason": "ImagePullBackOff", "message": format!("Back-off pulling image {}", c["image"])}})
        } else {
            json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}})
        };
        json!({"name": c["name"], "image": c["image"], "imageID": "", "ready": !broken, "restartCount": 0, "state": state})
    };
    let statuses: Vec<Value> = containers.iter().map(status).collect();
    let ready = if broken { "False" } else { "True" };
    let condition = |kind: &str| json!({"type": kind, "status": ready, "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let patch = json!({"status": {
        "phase": if broken { "Pending" } else { "Running" }, "podIP": "10.0.0.1",
        "conditions": [condition("Ready"), condition("ContainersReady")], "containerStatuses": statuses
    }});
    let _ = cluster.merge(None, kind, &pod.id(), "/status", &patch).await;
}
