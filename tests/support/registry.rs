//! A real OCI registry (CNCF distribution) on loopback, and what pushes to it. It stops when it is dropped.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "each test uses its own part of this, stops at the first surprise, and says what it did not run"
)]

#[path = "certificate.rs"]
mod certificate;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use certificate::Certificate;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A program of `tests/tools/build`; `None`, and a line that says so, when it is not there.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let found = std::env::var_os("LOGGIA_KUBE_ASSETS").map(|folder| PathBuf::from(folder).join(name));
    let found = found.filter(|path| path.exists());
    if found.is_none() {
        println!("not run: there is no {name}; set LOGGIA_KUBE_ASSETS to what tests/tools/build prints");
    }
    found
}

/// The registry.
pub(crate) struct Registry {
    program: PathBuf,
    child: Child,
    port: u16,
    home: PathBuf,
    crane: PathBuf,
}

/// `someone` with the password `secret`, as `htpasswd -B` writes it.
const USERS: &str = "someone:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n";

impl Registry {
    /// Starts one with its files in a folder; `locked`, it lets only `someone` in.
    pub(crate) fn start(home: &Path, locked: bool) -> Option<Self> {
        let (registry, crane) = (tool("registry")?, tool("crane")?);
        fs::create_dir_all(home).unwrap();
        fs::write(home.join("users"), USERS).unwrap();
        let mut config = json!({
            "version": 0.1, "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": home.join("store")}, "delete": {"enabled": true}},
            "http": {"addr": "127.0.0.1:0"}
        });
        if locked {
            config["auth"] = json!({"htpasswd": {"realm": "loggia", "path": home.join("users")}});
        }
        fs::write(home.join("config.yml"), config.to_string()).unwrap();
        let (child, port) = launch(&registry, home, "127.0.0.1:0");
        Some(Self { program: registry, child, port, home: home.to_owned(), crane })
    }

    /// Ends it.
    pub(crate) fn down(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, at the same place with the same content.
    pub(crate) fn up(&mut self) {
        self.child = launch(&self.program, &self.home, &format!("127.0.0.1:{}", self.port)).0;
    }

    /// Speaks https from now on, under an authority of its own; gives the authority's certificate.
    pub(crate) fn secure(&mut self) -> PathBuf {
        self.down();
        let made = Certificate::new(&self.home);
        let path = self.home.join("config.yml");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let tls = json!({"certificate": made.chain, "key": made.key});
        config["http"]["tls"] = tls;
        fs::write(path, config.to_string()).unwrap();
        self.up();
        made.authority
    }

    /// Where a repository is, without a scheme.
    pub(crate) fn name(&self, repository: &str) -> String {
        format!("127.0.0.1:{}/{repository}", self.port)
    }

    /// Where a repository is, for Loggia.
    pub(crate) fn place(&self, repository: &str) -> String {
        format!("oci://{}", self.name(repository))
    }

    /// The folder with the credentials that `crane` and Loggia use.
    pub(crate) fn credentials(&self) -> PathBuf {
        self.home.join("docker")
    }

    /// Runs crane; gives what it printed.
    pub(crate) fn crane(&self, args: &[&str]) -> String {
        let output = Command::new(&self.crane).args(args).env("DOCKER_CONFIG", self.credentials()).output().unwrap();
        checked("crane", args, &output)
    }

    /// Signs in as `someone`.
    pub(crate) fn sign_in(&self) {
        let host = format!("127.0.0.1:{}", self.port);
        self.crane(&["auth", "login", &host, "-u", "someone", "-p", "secret"]);
    }

    /// Pushes a folder as an image of one layer, with the `tar` program and crane; gives its digest.
    pub(crate) fn push(&self, folder: &Path, image: &str) -> String {
        let layer = self.home.join("layer.tar.gz");
        let args = ["--owner=0", "--group=0", "-C", folder.to_str().unwrap(), "-czf", layer.to_str().unwrap(), "."];
        checked("tar", &args, &Command::new("tar").args(args).output().unwrap());
        let pushed =
            self.crane(&["append", "--oci-empty-base", "-f", layer.to_str().unwrap(), "-t", &self.name(image)]);
        pushed.trim().rsplit('@').next().unwrap().to_owned()
    }

    /// Uploads content; gives its descriptor.
    pub(crate) fn blob(&self, repository: &str, media_type: &str, content: &[u8]) -> Value {
        aside(|| self.upload(repository, media_type, content))
    }

    fn upload(&self, repository: &str, media_type: &str, content: &[u8]) -> Value {
        let digest = format!("sha256:{}", hex(content));
        let client = client();
        let base = format!("http://127.0.0.1:{}", self.port);
        let begun = client.post(format!("{base}/v2/{repository}/blobs/uploads/")).send().unwrap();
        let place = begun.headers()["location"].to_str().unwrap();
        let place = if place.starts_with('/') { format!("{base}{place}") } else { place.to_owned() };
        let done = client.put(format!("{place}&digest={digest}")).body(content.to_vec()).send().unwrap();
        assert!(done.status().is_success(), "{done:?}");
        json!({"mediaType": media_type, "digest": digest, "size": content.len()})
    }

    /// Uploads a manifest of these layers; gives its digest.
    pub(crate) fn manifest(&self, repository: &str, tag: &str, config: &str, layers: &[Value]) -> String {
        aside(|| self.describe(repository, tag, config, layers))
    }

    fn describe(&self, repository: &str, tag: &str, config: &str, layers: &[Value]) -> String {
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let config = self.blob(repository, config, b"{}");
        self.put(repository, tag, &json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers}))
    }

    /// Uploads a manifest as it is, under a tag or its own digest; gives its digest.
    pub(crate) fn document(&self, repository: &str, tag: Option<&str>, manifest: &Value) -> String {
        let digest = format!("sha256:{}", hex(manifest.to_string().as_bytes()));
        aside(|| self.put(repository, tag.unwrap_or(&digest), manifest))
    }

    fn put(&self, repository: &str, reference: &str, manifest: &Value) -> String {
        let (kind, body) = (manifest["mediaType"].as_str().unwrap(), manifest.to_string());
        let url = format!("http://127.0.0.1:{}/v2/{repository}/manifests/{reference}", self.port);
        let done = client().put(url).header("content-type", kind).body(body.clone()).send().unwrap();
        assert!(done.status().is_success(), "{done:?}");
        format!("sha256:{}", hex(body.as_bytes()))
    }
}

/// Starts the program with its files in a folder; gives the port where it listens.
fn launch(program: &Path, home: &Path, address: &str) -> (Child, u16) {
    let mut child = Command::new(program)
        .args(["serve", "config.yml"])
        .current_dir(home)
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("REGISTRY_HTTP_ADDR", address)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("listening on 127.0.0.1:")).expect("the registry listens");
    let port = line.split("listening on 127.0.0.1:").nth(1).unwrap();
    let port = port.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap();
    // What it says later is read too, or it would wait for ever.
    std::thread::spawn(move || lines.for_each(drop));
    (child, port)
}

/// Does something that blocks, for tests that are async and for those that are not.
fn aside<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(act).join().unwrap())
}

fn client() -> reqwest::blocking::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::blocking::Client::new()
}

fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a program printed, when it succeeded.
pub(crate) fn checked(program: &str, args: &[&str], output: &Output) -> String {
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
