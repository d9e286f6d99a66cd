//! The real kubectl says the same about our API server as about the real one.
//!
//! `script.txt` holds what is typed, one line of a shell each; both servers are told the whole script, and what kubectl
//! prints, its errors and its exit codes are compared. The real server has the controllers that collect garbage and
//! empty namespaces; there is no kubelet, and ours runs without workloads.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise and says what it did not run"
)]

#[path = "../support/kube.rs"]
mod kube;
mod same;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use loggia::apiserver::{ApiServer, Options};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use same::Told;

const SCRIPT: &str = include_str!("script.txt");

/// What is typed.
fn lines() -> impl Iterator<Item = &'static str> {
    SCRIPT.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// A shell with kubectl, in a directory of its own that holds the files.
struct Desk {
    directory: tempfile::TempDir,
    assets: PathBuf,
}

impl Desk {
    fn new(assets: &Path, server: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubectl/files");
        for file in std::fs::read_dir(files).unwrap() {
            let file = file.unwrap().path();
            std::fs::copy(&file, directory.path().join(file.file_name().unwrap())).unwrap();
        }
        let config = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster: {server}\ncontexts:\n- name: c\n  \
             context: {{cluster: c, user: u, namespace: desk}}\nusers:\n- name: u\n  user: {{token: t0ken}}\n"
        );
        std::fs::write(directory.path().join("config"), config).unwrap();
        Self { directory, assets: assets.to_owned() }
    }

    fn says(&self, line: &str) -> Told {
        let here = self.directory.path();
        let path = format!("{}:/usr/bin:/bin", self.assets.display());
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(here).stdin(Stdio::null()).env_clear();
        shell.env("PATH", path).env("HOME", here).env("KUBECONFIG", here.join("config")).env("TMPDIR", here);
        let output = shell.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(here.to_str().unwrap(), "HERE");
        Told { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    fn play(&self) -> Vec<Told> {
        lines().map(|line| self.says(line)).collect()
    }
}

/// Ours, on a loopback port.
async fn ours(shutdown: CancellationToken) -> std::net::SocketAddr {
    let server = ApiServer::open(Options::in_memory("desk")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { server.serve(listener, shutdown).await.unwrap() });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_says_the_same_of_both_servers() {
    let Some(assets) = kube::assets("kubectl") else { return };
    let shutdown = CancellationToken::new();
    let address = ours(shutdown.clone()).await;
    let own = Desk::new(&assets, &format!("{{server: \"http://{address}\"}}"));
    let found = tokio::task::spawn_blocking(move || {
        let real = kube::Control::alone(&assets)
            .with_controllers(&assets, "garbage-collector-controller,namespace-controller");
        let desk = Desk::new(&assets, &format!("{{server: \"{}\", insecure-skip-tls-verify: true}}", real.url()));
        std::thread::scope(|scope| {
            let real = scope.spawn(|| desk.play());
            let own = own.play();
            lines().zip(real.join().unwrap().iter().zip(&own)).filter_map(same::differs).collect::<Vec<_>>()
        })
    })
    .await
    .unwrap();
    shutdown.cancel();
    assert!(found.is_empty(), "{} of {} lines differ:\n\n{}", found.len(), lines().count(), found.join("\n\n"));
}
