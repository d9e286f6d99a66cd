//! What can be typed. Parsing does nothing else.

mod functions;
mod kpt;
mod pkg;

use std::path::PathBuf;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub(crate) use functions::*;
pub(crate) use pkg::{DiffType, OnConflict, Pkg, PkgDiff, PkgGet, PkgInit, PkgTree, PkgUpdate, PkgVerb};

/// Git-native GitOps for KRM packages: intents in Git, plans you approve, clusters that follow.
#[derive(Debug, Parser)]
#[command(name = "loggia", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: Verb,
    /// Where to look and how to print.
    #[command(flatten)]
    pub(crate) global: Global,
}

impl Cli {
    /// The command line of this process.
    ///
    /// # Errors
    /// What is wrong with it, or the help that it asks for.
    pub(crate) fn of_process() -> Result<Self, clap::Error> {
        Self::try_parse_from(kpt::understood(std::env::args_os()))
    }
}

/// The data directory when none is named.
pub(crate) const DATA_DIR: &str = ".loggia";

/// Flags of every verb.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Kubeconfig of the management cluster [default: kubeconfig in the data directory, then KUBECONFIG, then
    /// ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig [default: its current context]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Namespace of Loggia's objects [default: default]
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Where mirrors of remote repositories, a kubeconfig, and the world of `up` are kept [default: .loggia]
    #[arg(long, global = true, env = "LOGGIA_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Output format; for `fn` also stdout, unwrap or a new folder
    #[arg(short, long, global = true, value_parser = Output, default_value = "text", value_name = "FORMAT")]
    pub(crate) output: Format,
    /// Say more about what is going on
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Say only what was asked for
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

impl Global {
    /// The namespace, named or not.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }

    /// The data directory, named or not.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| PathBuf::from(DATA_DIR))
    }
}

/// Output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For people and programs.
    Yaml,
    /// For pull requests.
    Markdown,
    /// Only names, one a line.
    Name,
    /// Whole objects beside each other, as `kubectl diff` and `patch` have it.
    Unified,
    /// No format: where `fn` writes to. The command line lives as long as the process.
    #[value(skip)]
    Place(&'static str),
}

impl Format {
    /// The word that was given; none when none was.
    pub(crate) fn word(self) -> Option<&'static str> {
        match self {
            Self::Text => None,
            Self::Json => Some("json"),
            Self::Yaml => Some("yaml"),
            Self::Markdown => Some("markdown"),
            Self::Name => Some("name"),
            Self::Unified => Some("unified"),
            Self::Place(place) => Some(place),
        }
    }
}

/// Reads a [`Format`]: one of the known words, or a place.
#[derive(Debug, Clone, Copy)]
struct Output;

impl TypedValueParser for Output {
    type Value = Format;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<Format, clap::Error> {
        let text = value.to_str().ok_or_else(|| clap::Error::new(ErrorKind::InvalidUtf8).with_cmd(command))?;
        Ok(Format::from_str(text, false).unwrap_or_else(|_| Format::Place(String::leak(text.to_owned()))))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Format::value_variants().iter().filter_map(Format::to_possible_value)))
    }
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Play the whole story in a world of its own: three API servers, three repositories, one reconciler
    Demo(Demo),
    /// Start a world to play in, and keep it running: three API servers, three repositories, one reconciler
    Up(Up),
    /// Serve the embedded Kubernetes API alone, for anybody's tests; in memory without `--data-dir`
    Apiserver(Apiserver),
    /// Run the reconciler against the cluster of the kubeconfig (or the one it runs in)
    Controller(Controller),
    /// Show the settings that `controller` would run with, and where each comes from
    Config(Settings),
    /// Show what would change; exit 0 without, 1 with differences, 2 on error
    Diff(Plan),
    /// Show the plan; exit 0 when it could be made
    Plan(Plan),
    /// Hand intents to the management cluster without Git; what they change waits for approval all the same
    Apply(Apply),
    /// Run a package's pipeline and print the objects
    Render(Render),
    /// Check a package or a folder of intents; every problem at once, with file and line
    ///
    /// Of a package: its Kptfile and pipeline, the schema of every object, and what objects refer to. A Service without
    /// pods, or a `ConfigMap` that a pod names and the package does not have, is a warning: it may come from elsewhere.
    /// Exit 0 without problems (warnings are none), 2 with problems.
    Validate(Validate),
    /// Get, make, update and compare packages, as kpt does
    Pkg(Pkg),
    /// Run functions on packages and resources; see what is built in, and what each takes
    #[command(name = "fn", alias = "functions")]
    Function(Function),
    /// List syncs, proposals, revisions, targets, repositories or intents
    Get(Get),
    /// Say where a sync stands on every target, and what it waits for
    Status(Sync),
    /// Tell what happened to a sync
    History(Sync),
    /// Approve a proposal: exactly the plan that it shows
    Approve(Approve),
    /// Reject a proposal; it holds until the content changes
    Reject(Reject),
    /// Do not deploy a digest (again) with a sync; where it runs, it stays as it is, drift included
    Hold(Hold),
    /// Let a sync rest: nothing is proposed, applied or corrected until it is resumed
    Suspend(Suspend),
    /// Lift holds of a sync, and let a suspended one go on
    Resume(Resume),
    /// Propose to publish an older revision again
    Rollback(Rollback),
    /// Write the generated schemas (CRDs, the configuration file's) to a folder
    Schema(Schema),
    /// Print the version
    Version,
    /// Print shell completions
    Completions(Completions),
}

/// `demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Approve by `git merge` and `git push` instead of `loggia approve`
    #[arg(long)]
    pub(crate) merge_with_git: bool,
}

/// `up`.
#[derive(Debug, Args)]
pub(crate) struct Up {
    /// End when everything is settled or waits for a person
    #[arg(long)]
    pub(crate) once: bool,
    /// What is run that is not built in.
    #[command(flatten)]
    pub(crate) others: NotBuiltIn,
}

/// `apiserver`.
#[derive(Debug, Args)]
pub(crate) struct Apiserver {
    /// Where to listen; loopback only
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub(crate) listen: std::net::SocketAddr,
    /// Token that clients must show [default: none]
    #[arg(long, env = "LOGGIA_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// Write a kubeconfig for it to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig_out: Option<PathBuf>,
    /// Whether deployments get pods, pods get ready, and so on
    #[arg(long, value_enum, default_value_t = Workloads::Simulate, value_name = "HOW")]
    pub(crate) workloads: Workloads,
}

/// What happens to workloads of `apiserver`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workloads {
    /// They run, as far as anybody can see by the API.
    Simulate,
    /// Nothing happens.
    Off,
}

/// `controller`.
#[derive(Debug, Args)]
pub(crate) struct Controller {
    /// How it is set up.
    #[command(flatten)]
    pub(crate) settings: Settings,
    /// What is run that is not built in.
    #[command(flatten)]
    pub(crate) others: NotBuiltIn,
}

/// Settings of a reconciler, beside those that every command has.
#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Settings that are not given as flags; `loggia schema` writes what may stand in it [default: none]
    #[arg(long, env = "LOGGIA_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where metrics and probes listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<std::net::SocketAddr>,
    /// Name of this replica in the Lease [default: loggia and the process id]
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub(crate) identity: Option<String>,
}

/// `diff` and `plan`.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// A checkout of intents, or the name of a sync
    #[arg(default_value = ".", value_name = "PATH|SYNC")]
    pub(crate) what: String,
    /// Let the targets confirm it by dry runs: admission, validation, fields that may not change
    #[arg(long)]
    pub(crate) server_side: bool,
    /// What is run that is not built in; as the controller runs it, for its plans.
    #[command(flatten)]
    pub(crate) others: NotBuiltIn,
}

/// `apply`.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// A folder of intents
    #[arg(default_value = ".", value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Only say what would be handed over
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `render`.
#[derive(Debug, Args)]
pub(crate) struct Render {
    /// The package
    #[arg(default_value = ".", value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Render again whenever a file changes, until stopped
    #[arg(long)]
    pub(crate) watch: bool,
    /// What is run that is not built in.
    #[command(flatten)]
    pub(crate) others: NotBuiltIn,
}

/// `validate`.
#[derive(Debug, Args)]
pub(crate) struct Validate {
    /// A package or a folder of intents
    #[arg(default_value = ".", value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Check again whenever a file changes, until stopped
    #[arg(long)]
    pub(crate) watch: bool,
    /// What is run that is not built in.
    #[command(flatten)]
    pub(crate) others: NotBuiltIn,
}

/// `get`.
#[derive(Debug, Args)]
pub(crate) struct Get {
    /// What to list
    #[arg(value_enum)]
    pub(crate) kind: Kind,
    /// Only this one
    pub(crate) name: Option<String>,
}

/// What `get` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Syncs and where they stand.
    #[value(alias = "sync")]
    Syncs,
    /// Proposals and their verdicts.
    #[value(aliases = ["proposal", "pr", "prs"])]
    Proposals,
    /// Package revisions of every repository.
    #[value(aliases = ["revision", "packagerevisions", "rpkg"])]
    Revisions,
    /// Targets.
    #[value(alias = "target")]
    Targets,
    /// Repositories.
    #[value(aliases = ["repository", "repo", "repos"])]
    Repositories,
    /// Intents.
    #[value(aliases = ["intent", "cnfdeployments", "cnf"])]
    Intents,
}

/// A sync by name.
#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// The sync
    pub(crate) name: String,
}

/// `approve`.
#[derive(Debug, Args)]
pub(crate) struct Approve {
    /// Number of the proposal
    pub(crate) number: u64,
    /// Repository it is on, when several have that number
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: Option<String>,
    /// Plan id that you read (at least 8 digits) [default: the one the proposal shows now]
    #[arg(long, value_name = "ID")]
    pub(crate) plan: Option<String>,
    /// Who approves [default: git's user.name and user.email]
    #[arg(long = "as", value_name = "NAME <EMAIL>")]
    pub(crate) person: Option<String>,
}

/// `reject`.
#[derive(Debug, Args)]
pub(crate) struct Reject {
    /// Number of the proposal
    pub(crate) number: u64,
    /// Repository it is on, when several have that number
    #[arg(long, value_name = "NAME")]
    pub(crate) repository: Option<String>,
    /// Why
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: String,
    /// Who rejects [default: git's user.name and user.email]
    #[arg(long = "as", value_name = "NAME <EMAIL>")]
    pub(crate) person: Option<String>,
}

/// `hold`.
#[derive(Debug, Args)]
pub(crate) struct Hold {
    /// The sync
    pub(crate) name: String,
    /// Digest to hold (at least 8 digits) [default: what the sync applies now]
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<String>,
    /// Why
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: String,
}

/// `suspend`.
#[derive(Debug, Args)]
pub(crate) struct Suspend {
    /// The sync
    pub(crate) name: String,
    /// Why
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) message: String,
}

/// `resume`.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The sync
    pub(crate) name: String,
    /// Digest to release (at least 8 digits) [default: all]
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<String>,
}

/// `rollback`.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// The sync
    pub(crate) name: String,
    /// Revision to return to, such as v1 [default: the newest one that was healthy before the present one]
    #[arg(long, value_name = "REVISION")]
    pub(crate) to: Option<String>,
}

/// `schema`.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Folder to write to
    #[arg(default_value = "schemas", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Write the table of Kubernetes' own kinds instead, from what the API server of the kubeconfig says of them
    #[arg(long)]
    pub(crate) kubernetes: bool,
}

/// `completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
