//! Images, run by the program of a container engine: no network, a read-only root, nobody's rights.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::process::{self, Limits, want};
use super::{Ending, IT};
use crate::adapters::family::Rest;
use crate::domain::package::external::{Answer, Failure};

/// Programs of container engines, the first that is found is used.
const ENGINES: [&str; 3] = ["docker", "podman", "nerdctl"];

/// How long an engine may take to remove a container.
const REMOVAL: Duration = Duration::from_secs(10);

/// When an image is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pull {
    /// Before every run.
    Always,
    /// When it is not there.
    #[default]
    IfNotPresent,
    /// Never.
    Never,
}

/// How images are run.
#[derive(Debug, Clone, Default)]
pub struct Containers {
    /// `docker`, `podman` or `nerdctl` [default: the first of them on the `PATH`].
    pub engine: Option<String>,
    /// Where programs are looked for: a `PATH`.
    pub path: std::ffi::OsString,
    /// When images are fetched.
    pub pull: Pull,
    /// Whether functions may use the network.
    pub network: bool,
    /// What of the host they see, as `type=bind,source=...,target=...`.
    pub mounts: Vec<String>,
    /// Their environment, as `KEY=value`, or `KEY` for that of this process.
    pub env: Vec<String>,
    /// Whether they run as the user of this process and not as nobody.
    pub as_current_user: bool,
}

/// With this code docker, podman and nerdctl say that they failed themselves, before the function ran.
const ENGINES_OWN: i32 = 125;
/// With this code they say that the function was killed, as the system does with one that takes more memory than it
/// may.
const KILLED: i32 = 137;

fn without_service(engine: &Path, image: &str, failure: Failure) -> Failure {
    let mut said = failure.stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    // Before its error an engine tells what it tries, and docker tells behind it how to get help.
    let why = said.clone().rfind(|line| line.contains("rror")).or_else(|| said.next()).unwrap_or("it did not say why");
    let message = format!(
        "{} could not run {image} (exit code {ENGINES_OWN}): {why}; see that there is such an image and that the engine's \
         service runs, name another engine with KRM_FN_RUNTIME, or use a function that is built in (`loggia fn list`)",
        engine.display()
    );
    Failure { code: "fn.no_runner", message, ..failure }
}

/// Who has no rights. By number: an image of one program has no file that knows the name.
const NOBODY: &str = "65534:65534";

/// Tells containers of one process apart.
static STARTED: AtomicUsize = AtomicUsize::new(0);

/// The repository of an image: what is between its host and its tag.
fn repository(image: &str) -> &str {
    let name = image.split('@').next().unwrap_or(image);
    let path = name.split_once('/').filter(|(host, _)| host.contains(['.', ':'])).map_or(name, |(_, path)| path);
    path.split(':').next().unwrap_or(path)
}

impl Containers {
    /// Runs an image on a list.
    pub(super) fn run(&self, image: &str, list: &str, limits: &Limits, ending: &Ending) -> Result<Answer, Failure> {
        let _hold = ending.hold();
        if image.starts_with('-') || image.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(Failure::new("fn.failed", format!("{image:?} is no name of an image")));
        }
        if repository(image).contains(char::is_uppercase) {
            let message =
                format!("{image:?} is no name of an image: only its host and its tag may have capital letters");
            return Err(Failure::new("fn.failed", message));
        }
        if image.contains(['<', '>', '=', '~', '^', '*', '|', ',']) {
            let message = format!(
                "{image} names a range of versions, which is resolved only for functions that are built in; name one version"
            );
            return Err(Failure::new("fn.failed", message));
        }
        let engine = self.engine(image)?;
        let name = format!("loggia-fn-{}-{}", std::process::id(), STARTED.fetch_add(1, Ordering::Relaxed));
        let mut command = Command::new(&engine);
        command.args(self.arguments(&name, limits.program_memory)).arg(image);
        let answer = process::run(command, IT, list, (limits, ending), Rest::Left);
        if answer.as_ref().is_err_and(|failure| failure.exit_code.is_none()) {
            // The engine's client is gone; the container may not be. It goes also when this process was told to end.
            let mut remove = Command::new(&engine);
            remove.args(["rm", "-f", &name]);
            let limits = Limits { time: REMOVAL, ..*limits };
            drop(process::run(remove, "rm", "", (&limits, &Ending::default()), Rest::Left));
        }
        answer.map_err(|failure| match failure.exit_code {
            Some(ENGINES_OWN) => without_service(&engine, image, failure),
            Some(KILLED) if limits.program_memory > 0 => {
                let ended = format!("{IT} ended with exit code {KILLED}");
                let Failure { code, message, .. } = want(&ended, limits.program_memory, "its container was killed");
                Failure { code, message, ..failure }
            }
            _ => failure,
        })
    }

    /// The engine's program.
    fn engine(&self, image: &str) -> Result<PathBuf, Failure> {
        let wanted: Vec<&str> = match &self.engine {
            None => ENGINES.to_vec(),
            Some(engine) if ENGINES.contains(&engine.as_str()) => vec![engine],
            Some(engine) => {
                let message =
                    format!("KRM_FN_RUNTIME or KPT_FN_RUNTIME is {engine:?}; it may be {}", ENGINES.join(", "));
                return Err(Failure::new("fn.no_runner", message));
            }
        };
        let folders: Vec<PathBuf> = std::env::split_paths(&self.path).collect();
        let found = wanted.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        found.into_iter().find(|path| is_program(path)).ok_or_else(|| {
            let unpin = if image.contains('@') { ", without a digest" } else { "" };
            let message = format!(
                "{image} is not built in, and {} is not on the PATH: install it to run functions in containers, use a \
                 function that is built in (`loggia fn list`){unpin}, or give the function as a program with `exec`",
                wanted.join(", ")
            );
            Failure::new("fn.no_runner", message)
        })
    }

    fn arguments(&self, name: &str, memory: u64) -> Vec<String> {
        let network = if self.network { "host" } else { "none" };
        let pull = match self.pull {
            Pull::Always => "always",
            Pull::IfNotPresent => "missing",
            Pull::Never => "never",
        };
        let mut arguments: Vec<String> =
            ["run", "--rm", "-i", "--name", name, "--network", network, "--user", &self.user()]
                .map(str::to_owned)
                .to_vec();
        if memory > 0 {
            arguments.extend(["--memory".to_owned(), memory.to_string()]);
        }
        arguments.extend(
            ["--security-opt=no-new-privileges", "--read-only", "--tmpfs", "/tmp", "--pull", pull].map(str::to_owned),
        );
        for mount in &self.mounts {
            arguments.extend(["--mount".to_owned(), mount.clone()]);
        }
        for variable in &self.env {
            arguments.extend(["--env".to_owned(), variable.clone()]);
        }
        arguments
    }

    fn user(&self) -> String {
        let own = self.as_current_user.then(|| std::fs::metadata("/proc/self").ok()).flatten();
        own.map_or_else(|| NOBODY.to_owned(), |own| format!("{}:{}", own.uid(), own.gid()))
    }
}

pub(super) fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0)
}
