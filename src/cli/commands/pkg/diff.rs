//! `pkg diff`: fetches what is to be compared and lets a program show it, as kpt does.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::{Local, origin, progress, refuse_links, trusted, upstream};
use crate::app::packages::{Fetched, Scratch};
use crate::cli::Done;
use crate::cli::args::{DiffType, Global, PkgDiff};
use crate::cli::files;
use crate::domain::package::reference::Location;
use crate::domain::package::upgrade::{Lock, OnConflict, Strategy, Trees, mark, upgrade};
use crate::domain::source::FileTree;

pub(super) fn diff(global: &Global, args: &PkgDiff) -> anyhow::Result<Done> {
    let local = Local::read(&args.package)?;
    let Some(lock) = &local.source.lock else {
        bail!("{}/Kptfile has no upstreamLock; update the package first", local.root.display());
    };
    let own = |tree: &FileTree| own(tree, &local.tree);
    let signed_by = args.signed_by.as_deref();
    let fetch_origin = || made_from(global, lock, signed_by);
    // A version that is named has to be there, also when it is not shown.
    let named = |reference: &String| trusted(global, &upstream(&local.source, Some(reference)), signed_by);
    let target = local.reference.as_ref().map(named).transpose()?;
    let fetch_target = || target.clone().map_or_else(fetch_origin, Ok);
    let kind = args.diff_type.unwrap_or(match local.reference {
        Some(_) => DiffType::Combined,
        None => DiffType::Local,
    });
    let stage = Stage::new(global, args)?;
    let shown = stage.write("local", &mark(&local.tree))?;
    let pairs = match kind {
        DiffType::Local => {
            let from = stage.write("origin", &own(&fetch_origin()?.tree)?)?;
            vec![vec![from, shown]]
        }
        DiffType::Remote => {
            let from = stage.write("origin", &own(&fetch_origin()?.tree)?)?;
            vec![vec![from, stage.write("target", &own(&fetch_target()?.tree)?)?]]
        }
        DiffType::Combined => vec![vec![stage.write("target", &own(&fetch_target()?.tree)?)?, shown]],
        DiffType::ThreeWay => {
            let from = stage.write("origin", &own(&fetch_origin()?.tree)?)?;
            let target = stage.write("target", &own(&fetch_target()?.tree)?)?;
            match args.diff_tool.as_str() {
                "diff" => vec![vec![from.clone(), shown], vec![from, target]],
                _ => vec![vec![shown, from, target]],
            }
        }
    };
    let mut differs = false;
    for directories in pairs {
        differs |= run(stage.0.path(), args, &directories)?;
    }
    Ok(if differs { Done::Differs } else { Done::Fine })
}

/// The version that a package was made from. It may be signed by its tag alone: then the tag has to lead there still.
fn made_from(global: &Global, lock: &Lock, signed_by: Option<&Path>) -> anyhow::Result<Fetched> {
    if signed_by.is_some() {
        let named = Location { reference: Some(lock.reference.clone()), ..origin(lock) };
        let found = trusted(global, &named, signed_by).ok();
        if let Some(found) = found.filter(|found| found.revision == lock.revision) {
            return Ok(found);
        }
    }
    trusted(global, &origin(lock), signed_by)
}

/// A version under the name of the local package: what belongs to the package alone is no difference.
fn own(tree: &FileTree, local: &FileTree) -> anyhow::Result<FileTree> {
    refuse_links(tree)?;
    let trees = Trees { origin: tree, updated: tree, local };
    Ok(mark(&upgrade(&trees, Strategy::ForceDeleteReplace, OnConflict::Upstream)?.tree))
}

/// Runs the program; says whether it found differences.
fn run(root: &Path, args: &PkgDiff, directories: &[String]) -> anyhow::Result<bool> {
    let mut command = Command::new(&args.diff_tool);
    let command = command.args(args.diff_tool_opts.split_whitespace()).args(directories).current_dir(root);
    let status = command
        .status()
        .with_context(|| format!("running {}; install it, or name another program with --diff-tool", args.diff_tool))?;
    match status.code() {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => bail!("{} {} failed: {status}", args.diff_tool, args.diff_tool_opts),
    }
}

/// Where the versions are written for the program; removed in the end, unless somebody wants to look.
struct Stage(Scratch);

impl Stage {
    fn new(global: &Global, args: &PkgDiff) -> anyhow::Result<Self> {
        let mut scratch = Scratch::new(&std::env::temp_dir(), "loggia-diff-")?;
        if args.debug {
            progress(global, &format!("The directories are in {}", scratch.path().display()));
            scratch.keep();
        }
        Ok(Self(scratch))
    }

    fn write(&self, name: &str, tree: &FileTree) -> anyhow::Result<String> {
        files::write_all(&self.0.path().join(name), tree)?;
        Ok(name.to_owned())
    }
}
