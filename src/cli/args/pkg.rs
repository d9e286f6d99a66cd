//! `pkg`: kpt's arguments and flags; of a flag that is given twice the last counts, as in kpt.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::domain::package::upgrade;

/// `pkg`.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub(crate) struct Pkg {
    /// What to do.
    #[command(subcommand)]
    pub(crate) verb: PkgVerb,
    /// How long kpt may keep lines of its log, of which there are none here
    #[arg(long, global = true, hide = true, value_parser = super::functions::time, value_name = "DURATION")]
    pub(crate) log_flush_frequency: Option<std::time::Duration>,
}

/// What `pkg` does.
#[derive(Debug, Subcommand)]
pub(crate) enum PkgVerb {
    /// Fetch a package from a git repository or an OCI registry into a new directory
    Get(PkgGet),
    /// Make a directory a package: a Kptfile, a README.md and a package-context.yaml
    Init(PkgInit),
    /// Bring a package to another version of its upstream
    ///
    /// Nothing is changed when it fails. As in kpt, changes that are not committed are no reason to refuse: they are
    /// merged like all others, and lost with force-delete-replace. What both sides changed is reported, with both
    /// values and their lines. Exit 0 when updated; with --dry-run 1 when something would change; 2 on error.
    Update(PkgUpdate),
    /// Show how a package differs from its upstream; exit 0 without, 1 with differences, 2 on error
    Diff(PkgDiff),
    /// Show packages, files and resources as a tree, without links, and of hidden files those with resources
    Tree(PkgTree),
}

/// `pkg get`.
#[derive(Debug, Args)]
pub(crate) struct PkgGet {
    /// Repository (a path, file://, http:// or https://, ended by .git where that is not clear), directory in it, and a
    /// branch, tag, commit or range of versions such as ^1.2 [default REF: the branch main or master]; or an OCI
    /// artifact: `oci://HOST/REPO[//DIR]` with :TAG, :RANGE or @DIGEST
    #[arg(value_name = "REPO[/DIR][@REF]")]
    pub(crate) package: String,
    /// Directory to write to; in it, when it is there already, but for `.`, which has to be empty [default: the name of
    /// the package]
    #[arg(value_name = "LOCAL_DEST")]
    pub(crate) destination: Option<PathBuf>,
    /// How later updates treat local changes
    #[arg(long, value_enum, default_value_t = Strategy::ResourceMerge, value_name = "STRATEGY")]
    pub(crate) strategy: Strategy,
    /// Make it a package that is deployed: write its name to package-context.yaml, for functions such as set-namespace
    #[arg(long)]
    pub(crate) for_deployment: bool,
    /// Take only what is signed by somebody in this file: cosign's public key for OCI, a PGP key or allowed signers of
    /// ssh for git
    #[arg(long, value_name = "FILE")]
    pub(crate) signed_by: Option<PathBuf>,
}

/// `pkg init`.
#[derive(Debug, Args)]
pub(crate) struct PkgInit {
    /// The directory, which must be there
    #[arg(default_value = ".", value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// What the package is
    #[arg(long, default_value = "sample description", value_name = "TEXT")]
    pub(crate) description: String,
    /// Words to find it by, with commas between them
    #[arg(long, value_delimiter = ',', value_name = "WORDS")]
    pub(crate) keywords: Vec<String>,
    /// Page about it
    #[arg(long, value_name = "URL")]
    pub(crate) site: Option<String>,
}

/// `pkg update`.
#[derive(Debug, Args)]
pub(crate) struct PkgUpdate {
    /// The package, and the branch, tag, commit or range to update to [default REF: what the Kptfile follows]
    #[arg(default_value = ".", value_name = "DIR[@REF]")]
    pub(crate) package: String,
    /// How to treat local changes, now and later [default: what the Kptfile says, then resource-merge]
    #[arg(long, value_enum, value_name = "STRATEGY")]
    pub(crate) strategy: Option<Strategy>,
    /// Who wins where both sides changed the same field; with copy-merge, the same file
    #[arg(long, value_enum, default_value_t = OnConflict::Upstream, value_name = "WHO")]
    pub(crate) on_conflict: OnConflict,
    /// Only say what would change
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Take only a new version that is signed by somebody in this file: cosign's public key for OCI, a PGP key or
    /// allowed signers of ssh for git. The version that the package was made from is only compared with, by its commit
    /// or digest
    #[arg(long, value_name = "FILE")]
    pub(crate) signed_by: Option<PathBuf>,
}

/// `pkg diff`.
#[derive(Debug, Args)]
pub(crate) struct PkgDiff {
    /// The package, and the version to compare with [default REF: the version that was fetched last]
    #[arg(default_value = ".", value_name = "DIR[@REF]")]
    pub(crate) package: String,
    /// What to compare [default: combined when a REF is named, else local]
    #[arg(long, value_enum, value_name = "TYPE")]
    pub(crate) diff_type: Option<DiffType>,
    /// Program that shows differences of directories
    #[arg(long, env = "KPT_EXTERNAL_DIFF", default_value = "diff", value_name = "PROGRAM")]
    pub(crate) diff_tool: String,
    /// Its options
    #[arg(
        long,
        env = "KPT_EXTERNAL_DIFF_OPTS",
        default_value = "-r -u -N",
        allow_hyphen_values = true,
        value_name = "OPTIONS"
    )]
    pub(crate) diff_tool_opts: String,
    /// Keep the directories that were compared, and say where they are
    #[arg(long)]
    pub(crate) debug: bool,
    /// Compare only with what is signed by somebody in this file: cosign's public key for OCI, a PGP key or allowed
    /// signers of ssh for git
    #[arg(long, value_name = "FILE")]
    pub(crate) signed_by: Option<PathBuf>,
}

/// `pkg tree`.
#[derive(Debug, Args)]
pub(crate) struct PkgTree {
    /// The directory
    #[arg(default_value = ".", value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

/// How an update treats local changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Strategy {
    /// Resource by resource, field by field.
    ResourceMerge,
    /// Only when nothing was changed locally.
    FastForward,
    /// Local changes are lost.
    ForceDeleteReplace,
    /// New files are copied over, others stay.
    CopyMerge,
}

impl From<Strategy> for upgrade::Strategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::ResourceMerge => Self::ResourceMerge,
            Strategy::FastForward => Self::FastForward,
            Strategy::ForceDeleteReplace => Self::ForceDeleteReplace,
            Strategy::CopyMerge => Self::CopyMerge,
        }
    }
}

/// Who wins a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnConflict {
    /// The new version, as in kpt.
    Upstream,
    /// The local package.
    Local,
    /// Nobody: nothing is updated.
    Fail,
}

impl From<OnConflict> for upgrade::OnConflict {
    fn from(on_conflict: OnConflict) -> Self {
        match on_conflict {
            OnConflict::Upstream => Self::Upstream,
            OnConflict::Local => Self::Local,
            OnConflict::Fail => Self::Fail,
        }
    }
}

/// What `pkg diff` compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffType {
    /// What was changed locally: the package against the version it was made from.
    Local,
    /// What was changed upstream: that version against REF.
    Remote,
    /// The package against REF.
    Combined,
    /// All three; a program that takes no three directories is run twice.
    #[value(name = "3way")]
    ThreeWay,
}
