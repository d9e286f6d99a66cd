//! The real git program as a server: `git http-backend` behind a small CGI gateway on loopback. It stops when it is
//! dropped.

#![allow(dead_code, reason = "each test uses its own part of this")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};

/// When a witness is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The request came in, nothing happened yet.
    Asked,
    /// It was carried out, the answer is not sent yet.
    Landed,
}

/// Sees each request twice: method and path as `POST /r.git/git-receive-pack`, and its body.
pub(crate) type Witness = Arc<dyn Fn(Moment, &str, &[u8]) + Send + Sync>;

/// Changes an answer of the real git, headers and all, before it is sent.
pub(crate) type Tamper = Arc<dyn Fn(&str, &mut Vec<u8>) + Send + Sync>;

/// Serves the repositories of a folder to anybody; it asks for a password at `/locked.git`. A repository with a file
/// `authorization` is served only to who sends that header.
pub(crate) struct GitServer {
    port: u16,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl GitServer {
    /// `None`, and a line that says so, where git has no http-backend.
    pub(crate) fn start(root: &Path, witness: Witness) -> Option<Self> {
        Self::tampering(root, witness, Arc::new(|_, _| {}))
    }

    /// The same, with answers that somebody changes on the way.
    pub(crate) fn tampering(root: &Path, witness: Witness, tamper: Tamper) -> Option<Self> {
        let output = Command::new("git").arg("--exec-path").output().unwrap().stdout;
        let backend = Path::new(String::from_utf8(output).unwrap().trim()).join("git-http-backend");
        if !backend.exists() {
            println!("not run: there is no {}", backend.display());
            return None;
        }
        let gateway = Gateway { backend, root: root.to_owned(), witness, tamper };
        let (tell_port, port) = std::sync::mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || serve(gateway, &tell_port, stopped));
        Some(Self { port: port.recv().unwrap(), _stop: stop })
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where a repository is, such as `r.git`.
    pub(crate) fn url(&self, repository: &str) -> String {
        format!("http://127.0.0.1:{}/{repository}", self.port)
    }
}

#[derive(Clone)]
struct Gateway {
    backend: PathBuf,
    root: PathBuf,
    witness: Witness,
    tamper: Tamper,
}

fn serve(gateway: Gateway, port: &std::sync::mpsc::Sender<u16>, stopped: tokio::sync::oneshot::Receiver<()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        port.send(listener.local_addr().unwrap().port()).unwrap();
        let app =
            axum::Router::new().fallback(move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let gateway = gateway.clone();
                async move {
                    tokio::task::spawn_blocking(move || gateway.answer(&method, &uri, &headers, &body)).await.unwrap()
                }
            });
        tokio::select! {
            result = axum::serve(listener, app.layer(axum::extract::DefaultBodyLimit::disable())) => result.unwrap(),
            _ = stopped => {}
        }
    });
}

impl Gateway {
    fn answer(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response<Body> {
        let request = format!("{method} {}", uri.path());
        (self.witness)(Moment::Asked, &request, body);
        if uri.path().starts_with("/locked.git/") || self.keeps_out(uri, headers) {
            let asked = Response::builder().status(StatusCode::UNAUTHORIZED);
            return asked.header("www-authenticate", "Basic realm=\"git\"").body(Body::empty()).unwrap();
        }
        let mut output = self.run(method, uri, headers, body);
        (self.tamper)(&request, &mut output);
        let answer = from_cgi(&output);
        (self.witness)(Moment::Landed, &request, body);
        answer
    }

    fn keeps_out(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let name = uri.path().split('/').nth(1).unwrap_or_default();
        let wanted = std::fs::read_to_string(self.root.join(name).join("authorization"));
        let told = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        wanted.is_ok_and(|wanted| wanted != told)
    }

    fn run(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
        let mut child = Command::new(&self.backend)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("REQUEST_METHOD", method.as_str())
            .env("PATH_INFO", uri.path())
            .env("QUERY_STRING", uri.query().unwrap_or(""))
            .env("CONTENT_TYPE", header("content-type"))
            .env("CONTENT_LENGTH", body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("GIT_PROTOCOL", header("git-protocol"))
            .env("REMOTE_USER", "robot")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let body = body.to_vec();
        let writing = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &body));
        let output = child.wait_with_output().unwrap().stdout;
        // The backend may answer before it read everything.
        let _ = writing.join().unwrap();
        output
    }
}

fn from_cgi(output: &[u8]) -> Response<Body> {
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in std::str::from_utf8(&output[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            response = response.status(value[..3].parse::<u16>().unwrap());
        } else {
            response = response.header(name, value);
        }
    }
    response.body(Body::from(output[end + 4..].to_vec())).unwrap()
}
