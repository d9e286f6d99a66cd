//! A whole world in one process: a management cluster and two edges on loopback ports, three git repositories, the
//! reconciler. Its state is a directory; a world that is started there again is the same world.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::functions::Functions;
use super::{Running, StartError, examples, install, start};
use crate::adapters::git;
use crate::apiserver::{ApiServer, OpenError, Options, ServeError};
use crate::cluster::{Apply, Cluster, ClusterError};
use crate::config::Config;
use crate::domain::hex::hex;
use crate::domain::krm::Object;
use crate::domain::source::{File, FileTree};
use crate::domain::time::Timestamp;
use crate::ports::git::{GitError, NewCommit, Person, RefUpdate};

/// The targets, in the order of their waves.
pub const EDGES: [&str; 2] = ["edge-1", "edge-2"];
/// The repositories.
pub const REPOSITORIES: [&str; 3] = ["intents", "blueprints", "deployments"];
/// What the world calls itself as a field manager and as the author of first commits.
const BUILDER: &str = "loggia-up";
/// Marks a directory as a world, so that nothing else is ever taken for one.
const MARK: &str = "loggia-world";

/// Why a world could not be made or kept.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// A file could not be read or written.
    #[error("cannot {act} {}: {source}", path.display())]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The directory holds something else.
    #[error("{} is not empty and not a world of Loggia; name another directory with --data-dir", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
    /// An API server did not start.
    #[error("cannot start the API server {name}: {source}")]
    Open {
        /// Which.
        name: String,
        /// Why.
        source: OpenError,
    },
    /// An API server stopped.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A repository could not be made.
    #[error(transparent)]
    Git(#[from] GitError),
    /// An object could not be written.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The reconciler did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// One of our own files is damaged.
    #[error("the example {0} cannot be used: {1}")]
    Example(String, String),
}

fn io(act: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> WorldError {
    let path = path.to_owned();
    move |source| WorldError::Io { act, path, source }
}

/// One API server on its port.
pub struct Served {
    /// Its name: `management`, or that of a target.
    pub name: String,
    /// Where its kubeconfig is.
    pub kubeconfig: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
    /// The server, for who wants to talk to it without a socket.
    pub server: ApiServer,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    /// A connection without a socket.
    #[must_use]
    pub fn connect(&self) -> Cluster {
        Cluster::from_service(&self.name, self.server.service())
    }
}

/// A running world.
pub struct World {
    /// Where its state is.
    pub directory: PathBuf,
    /// Management cluster first, then the edges.
    pub servers: Vec<Served>,
    /// The reconciler.
    pub running: Running,
    stop: CancellationToken,
}

impl World {
    /// Starts the world of a directory; makes it when there is none.
    ///
    /// # Guarantees
    /// Everything listens on loopback only. Ports are the same as before unless somebody took them in between. What was
    /// made before is never made again.
    ///
    /// # Errors
    /// [`WorldError`]; a directory with other content is refused and left as it is.
    pub async fn start(directory: &Path, config: Config, functions: Functions) -> Result<Self, WorldError> {
        claim_directory(directory)?;
        let directory = directory.canonicalize().map_err(io("find", directory))?;
        for name in REPOSITORIES {
            make_repository(&directory, name)?;
        }
        let stop = CancellationToken::new();
        let mut servers = Vec::new();
        for name in std::iter::once("management").chain(EDGES) {
            servers.push(serve(&directory, name, stop.clone()).await?);
        }
        let management = servers[0].connect();
        install(&management).await?;
        for edge in &servers[1..] {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "core"}});
            put(&edge.connect(), namespace).await?;
        }
        register(&management, &directory, &servers).await?;
        let config = Config { data_dir: directory.clone(), ..config };
        let running = start(management, &config, functions)?;
        Ok(Self { directory, servers, running, stop })
    }

    /// Where a repository is.
    #[must_use]
    pub fn repository(&self, name: &str) -> PathBuf {
        repository(&self.directory, name)
    }

    /// Stops in order: the reconciler, then the API servers.
    ///
    /// # Errors
    /// [`WorldError::Serve`] when a server had failed.
    pub async fn stop(self) -> Result<(), WorldError> {
        self.running.stop().await;
        self.stop.cancel();
        for served in self.servers {
            // A server that panicked has said so.
            if let Ok(ended) = served.task.await {
                ended?;
            }
        }
        Ok(())
    }
}

/// Removes the world of a directory; anything else in its place is refused.
///
/// # Errors
/// [`WorldError::Foreign`], [`WorldError::Io`].
pub fn remove(directory: &Path) -> Result<(), WorldError> {
    if !directory.exists() {
        return Ok(());
    }
    if !directory.join(MARK).is_file() {
        return Err(WorldError::Foreign { path: directory.to_owned() });
    }
    std::fs::remove_dir_all(directory).map_err(io("remove", directory))
}

/// Takes a directory for a world: it is one, is empty, or holds nothing that a world would touch.
fn claim_directory(directory: &Path) -> Result<(), WorldError> {
    std::fs::create_dir_all(directory).map_err(io("make", directory))?;
    let mark = directory.join(MARK);
    if mark.is_file() {
        return Ok(());
    }
    let ours = ["kubeconfig", "repositories", "state"];
    if ours.iter().any(|name| directory.join(name).exists()) {
        return Err(WorldError::Foreign { path: directory.to_owned() });
    }
    std::fs::write(&mark, "A world of `loggia up`: API servers' state, git repositories, kubeconfigs.\n")
        .map_err(io("write", &mark))
}

fn repository(directory: &Path, name: &str) -> PathBuf {
    directory.join("repositories").join(format!("{name}.git"))
}

/// Makes a bare repository from the examples, unless it is there. It appears whole or not at all.
fn make_repository(directory: &Path, name: &str) -> Result<(), WorldError> {
    let path = repository(directory, name);
    if path.exists() {
        return Ok(());
    }
    let new = path.with_extension("new");
    if new.exists() {
        std::fs::remove_dir_all(&new).map_err(io("remove", &new))?;
    }
    let git = git::init(&new)?;
    let mut tree = FileTree::new();
    for (file, text) in examples::below(name) {
        tree.insert(file, File::regular(text.as_bytes().to_vec()))
            .map_err(|error| WorldError::Example(file.to_owned(), error.to_string()))?;
    }
    let person = Person { name: BUILDER.to_owned(), email: "loggia-up@localhost".to_owned() };
    let commit = git.write_commit(&NewCommit {
        tree: git.write_tree(&tree)?,
        parents: Vec::new(),
        author: person.clone(),
        committer: person,
        at: Timestamp::now(),
        message: "Initial commit\n".to_owned(),
    })?;
    let mut names = vec!["refs/heads/main".to_owned()];
    if name == "blueprints" {
        names.extend(examples::blueprints().iter().map(|package| format!("refs/tags/{package}/v1")));
    }
    let update = |name: String| RefUpdate { name, expected: None, new: Some(commit.clone()) };
    git.push(None, &names.into_iter().map(update).collect::<Vec<_>>())?;
    std::fs::rename(&new, &path).map_err(io("move", &new))
}

/// Starts an API server on the port it had before, or on any.
async fn serve(directory: &Path, name: &str, stop: CancellationToken) -> Result<Served, WorldError> {
    let state = directory.join("state").join(name);
    std::fs::create_dir_all(&state).map_err(io("make", &state))?;
    let server = ApiServer::open(Options {
        name: name.to_owned(),
        data_dir: Some(state.clone()),
        token: Some(token(&directory.join("state").join("token"))?),
        now: Arc::new(Timestamp::now),
        simulate_workloads: name != "management",
    })
    .map_err(|source| WorldError::Open { name: name.to_owned(), source })?;
    let listener = listen(&state.join("port")).await?;
    let address = listener.local_addr().map_err(io("read", &state))?;
    let file = if name == "management" { "kubeconfig".to_owned() } else { format!("{name}.kubeconfig") };
    let kubeconfig = directory.join(file);
    write_private(&kubeconfig, &server.kubeconfig(address))?;
    let serving = server.clone();
    let task = tokio::spawn(async move { serving.serve(listener, stop).await });
    Ok(Served { name: name.to_owned(), kubeconfig, address, server, task })
}

async fn listen(file: &Path) -> Result<TcpListener, WorldError> {
    let before = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u16>().ok()).unwrap_or(0);
    let listener = match TcpListener::bind(("127.0.0.1", before)).await {
        Ok(listener) => listener,
        // Somebody took the port in between; any other will do.
        Err(_) => TcpListener::bind(("127.0.0.1", 0)).await.map_err(io("listen for", file))?,
    };
    let port = listener.local_addr().map_err(io("read", file))?.port();
    std::fs::write(file, format!("{port}\n")).map_err(io("write", file))?;
    Ok(listener)
}

/// The token of all servers of a world, made once from the system's randomness.
fn token(file: &Path) -> Result<String, WorldError> {
    if let Ok(text) = std::fs::read_to_string(file) {
        return Ok(text.trim().to_owned());
    }
    let mut bytes = [0; 16];
    let source = Path::new("/dev/urandom");
    let mut random = std::fs::File::open(source).map_err(io("open", source))?;
    std::io::Read::read_exact(&mut random, &mut bytes).map_err(io("read", source))?;
    let text = hex(&bytes);
    write_private(file, &text)?;
    Ok(text)
}

/// Writes a file that only its owner may read.
fn write_private(path: &Path, text: &str) -> Result<(), WorldError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).map_err(io("write", path))?;
    file.write_all(text.as_bytes()).map_err(io("write", path))
}

async fn put(cluster: &Cluster, value: Value) -> Result<(), WorldError> {
    let object = Object::new(value).map_err(|error| WorldError::Example("object".to_owned(), error.to_string()))?;
    cluster.apply(None, &object, &Apply::new(BUILDER).forced()).await?;
    Ok(())
}

/// Tells the management cluster of repositories and targets.
async fn register(management: &Cluster, directory: &Path, servers: &[Served]) -> Result<(), WorldError> {
    for name in REPOSITORIES {
        let annotations = if name == "intents" { json!({"loggia.dev/content": "intents"}) } else { json!({}) };
        let repo = repository(directory, name);
        put(
            management,
            json!({
                "apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository",
                "metadata": {"name": name, "namespace": "default", "annotations": annotations},
                "spec": {"type": "git", "deployment": name == "deployments", "git": {"repo": repo}}
            }),
        )
        .await?;
    }
    for (index, served) in servers.iter().filter(|served| served.name != "management").enumerate() {
        let kubeconfig = served.server.kubeconfig(served.address);
        let labels = if index == 0 { json!({"canary": "true"}) } else { json!({}) };
        let metadata = json!({"name": served.name, "namespace": "default"});
        put(
            management,
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"kubeconfig": kubeconfig}}),
        )
        .await?;
        put(
            management,
            json!({
                "apiVersion": "loggia.dev/v1alpha1", "kind": "Target",
                "metadata": {"name": served.name, "namespace": "default", "labels": labels},
                "spec": {"kubeconfigSecret": {"name": served.name}}
            }),
        )
        .await?;
    }
    Ok(())
}
