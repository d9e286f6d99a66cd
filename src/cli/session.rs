//! What verbs that talk to a cluster need: a runtime, a connection, the world.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::args::{self, Global};
use crate::app;
use crate::cluster::Cluster;
use crate::config::{self, Config, ConfigFile, Given, Setting, kubeconfig};
use crate::domain::source::{File, FileMode, FileTree};
use crate::engine::Engine;
use crate::engine::gather::World;

/// Runs a verb to its end.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?.block_on(work)
}

/// Waits for an interrupt or a termination.
pub(super) async fn stopped() -> std::io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        biased;
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

/// Connects to the management cluster.
pub(super) async fn connect(global: &Global, data_dir: &Path) -> anyhow::Result<Cluster> {
    let environment = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let found = kubeconfig(global.kubeconfig.clone(), data_dir, environment, home, Path::exists);
    let Some(source) = found else {
        return Cluster::in_cluster("management").context("there is no kubeconfig; give one with --kubeconfig");
    };
    let connected = Cluster::from_kubeconfig_file("management", &source.path, global.context.as_deref()).await;
    connected.with_context(|| format!("using {} from {}", source.path.display(), source.from))
}

/// The settings of a reconciler: flags, then the configuration file, then defaults.
pub(super) fn settings(global: &Global, args: &args::Controller) -> anyhow::Result<(Config, Vec<Setting>)> {
    let told = |problems: Vec<String>| anyhow::anyhow!("the configuration cannot be used:\n{}", problems.join("\n"));
    let (name, file) = match &args.config {
        Some(path) => {
            let name = path.display().to_string();
            let bytes = std::fs::read(path).with_context(|| format!("cannot read the configuration {name}"))?;
            let read = config::read(&name, &bytes);
            let file = read.map_err(|found| told(found.iter().map(ToString::to_string).collect()))?;
            (format!("{name}: "), file)
        }
        None => (String::new(), ConfigFile::default()),
    };
    let given = Given {
        identity: args.identity.clone(),
        namespace: global.namespace.clone(),
        data_dir: global.data_dir.clone(),
        listen: args.listen,
    };
    let defaults =
        Config { data_dir: PathBuf::from(args::DATA_DIR), ..Config::new(format!("loggia-{}", std::process::id())) };
    config::resolve(given, &file, defaults)
        .map_err(|found| told(found.iter().map(|violation| format!("{name}{violation}")).collect()))
}

/// The settings of this process.
pub(super) fn own_config(global: &Global, identity: &str) -> Config {
    Config { namespace: global.namespace().to_owned(), data_dir: global.data_dir(), ..Config::new(identity) }
}

/// An engine that only looks, and the world it looks at.
pub(super) async fn look(global: &Global) -> anyhow::Result<(Engine, World)> {
    let management = connect(global, &global.data_dir()).await?;
    let (_, claims) = tokio::sync::watch::channel(None);
    let (engine, _) = app::engine(management, &own_config(global, "loggia-cli"), claims)?;
    let world = World::read(&engine.management, global.namespace())
        .await
        .context("Loggia's kinds cannot be read; is `loggia up` or a controller running there?")?;
    Ok((engine, world))
}

/// Who acts: `--as`, else git's configuration.
pub(super) fn person(given: Option<&str>) -> anyhow::Result<(String, String)> {
    if let Some(text) = given {
        let parsed = text.trim_end().strip_suffix('>').and_then(|text| text.split_once('<'));
        let Some((name, email)) = parsed else { bail!("--as {text:?} is not NAME <EMAIL>") };
        return Ok((name.trim().to_owned(), email.trim().to_owned()));
    }
    let ask = |key: &str| {
        let output = Command::new("git").args(["config", "--get", key]).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (!text.is_empty()).then_some(text)
    };
    match (ask("user.name"), ask("user.email")) {
        (Some(name), Some(email)) => Ok((name, email)),
        _ => bail!("nobody is named: set git's user.name and user.email, or give --as 'NAME <EMAIL>'"),
    }
}

/// Largest file that is read from a checkout; a larger one is reported, not read.
const FILE_LIMIT: u64 = 4 << 20;
/// Most files of a checkout.
const FILES_LIMIT: usize = 20_000;

/// Reads a directory as a tree; hidden folders such as `.git` are left out.
pub(super) fn tree(root: &Path) -> anyhow::Result<FileTree> {
    let mut tree = FileTree::new();
    if !root.is_dir() {
        bail!("{} is not a directory", root.display());
    }
    walk(root, root, &mut tree)?;
    Ok(tree)
}

fn walk(root: &Path, directory: &Path, tree: &mut FileTree) -> anyhow::Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(directory)
        .with_context(|| format!("cannot read {}", directory.display()))?
        .collect::<Result<_, _>>()
        .with_context(|| format!("cannot read {}", directory.display()))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let told = || format!("cannot read {}", path.display());
        let relative = path.strip_prefix(root).unwrap_or(&path);
        let Some(name) = relative.to_str() else { bail!("{} has a name that is not UTF-8", path.display()) };
        let meta = std::fs::symlink_metadata(&path).with_context(told)?;
        if meta.is_dir() {
            if !name.split('/').any(|part| part.starts_with('.')) {
                walk(root, &path, tree)?;
            }
            continue;
        }
        if !meta.is_file() && !meta.is_symlink() {
            bail!("{} is neither a file nor a directory nor a link", path.display());
        }
        if meta.len() > FILE_LIMIT {
            bail!("{} has {} bytes; the limit is {FILE_LIMIT} a file", path.display(), meta.len());
        }
        if tree.len() >= FILES_LIMIT {
            bail!("{} holds more than {FILES_LIMIT} files", root.display());
        }
        let file = if meta.is_symlink() {
            let target = std::fs::read_link(&path).with_context(told)?;
            File { mode: FileMode::Symlink, bytes: target.to_string_lossy().as_bytes().into() }
        } else {
            File::regular(std::fs::read(&path).with_context(told)?)
        };
        tree.insert(name, file)?;
    }
    Ok(())
}
