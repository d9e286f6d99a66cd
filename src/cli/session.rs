//! What verbs that talk to a cluster need: a runtime, a connection, the world.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::signal::unix::{SignalKind, signal};

use super::args::{self, Global};
use crate::app;
use crate::app::functions::{Ending, Functions};
use crate::cluster::Cluster;
use crate::config::{self, Config, ConfigFile, Given, Setting, kubeconfig};
use crate::engine::Engine;
use crate::engine::gather::World;

/// Runs a verb to its end.
pub(super) fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?.block_on(work)
}

/// Waits for an interrupt or a termination.
pub(super) async fn stopped() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        biased;
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}

/// What ends a process that a person or a terminal wants to end.
const SIGNALS: [SignalKind; 4] =
    [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate()];
/// How long what holds may take to clear away, after the word came.
const GRACE: Duration = Duration::from_secs(5);

/// The exit code of a process that a signal ended, as a shell has it.
pub(super) const fn code(signal: u8) -> u8 {
    128_u8.saturating_add(signal)
}

/// From now on, a signal that ends this process is told to `ending` first. When nobody holds, and in any case after
/// five seconds or another signal, the process ends; those who hold come to an end by themselves.
pub(super) fn end_with(ending: &Ending) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let (say, mut heard) = tokio::sync::mpsc::channel(1);
    let ignored = ignored();
    for kind in SIGNALS.into_iter().filter(|kind| ignored >> (kind.as_raw_value() - 1) & 1 == 0) {
        let mut came = {
            let _in_runtime = runtime.enter();
            signal(kind).context("cannot wait for signals")?
        };
        let (say, number) = (say.clone(), u8::try_from(kind.as_raw_value()).unwrap_or(u8::MAX));
        runtime.spawn(async move { while came.recv().await.is_some() && say.send(number).await.is_ok() {} });
    }
    let ending = ending.clone();
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let Some(signal) = heard.recv().await else { return };
            ending.tell(signal);
            if ending.is_held() {
                let _ = tokio::time::timeout(GRACE, heard.recv()).await;
            }
            std::process::exit(i32::from(code(signal)));
        });
    });
    Ok(())
}

/// Signals that this process was started to ignore, such as by `nohup`; the lowest bit is signal 1. None where there is
/// no `/proc`.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
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
pub(super) fn settings(global: &Global, args: &args::Settings) -> anyhow::Result<(Config, Vec<Setting>)> {
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
    look_with(global, &Functions::default()).await
}

/// An engine that only looks, with functions that are not built in.
pub(super) async fn look_with(global: &Global, functions: &Functions) -> anyhow::Result<(Engine, World)> {
    let management = connect(global, &global.data_dir()).await?;
    let (_, claims) = tokio::sync::watch::channel(None);
    let (engine, _) = app::engine(management, &own_config(global, "loggia-cli"), functions, claims)?;
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
