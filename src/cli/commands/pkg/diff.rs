//! `pkg diff`: fetches what is to be compared and lets a program show it, as kpt does.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::{Local, fetched, origin, progress, refuse_links, upstream};
use crate::cli::Done;
use crate::cli::args::{DiffType, Global, PkgDiff};
use crate::cli::files;
use crate::domain::package::upgrade::{OnConflict, Strategy, Trees, mark, upgrade};
use crate::domain::source::FileTree;

pub(super) fn diff(global: &Global, args: &PkgDiff) -> anyhow::Result<Done> {
    let local = Local::read(&args.package)?;
    let Some(lock) = &local.source.lock else {
        bail!("{}/Kptfile has no upstreamLock; update the package first", local.root.display());
    };
    let own = |tree: &FileTree| own(tree, &local.tree);
    let fetch_target = || match &local.reference {
        Some(reference) => fetched(global, &upstream(&local.source, Some(reference))),
        None => fetched(global, &origin(lock)),
    };
    let stage = Stage::new(global, args)?;
    let shown = stage.write("local", &mark(&local.tree))?;
    let pairs = match args.diff_type {
        DiffType::Local => {
            let from = stage.write("origin", &own(&fetched(global, &origin(lock))?.tree)?)?;
            vec![vec![from, shown]]
        }
        DiffType::Remote => {
            let from = stage.write("origin", &own(&fetched(global, &origin(lock))?.tree)?)?;
            vec![vec![from, stage.write("target", &own(&fetch_target()?.tree)?)?]]
        }
        DiffType::Combined => vec![vec![stage.write("target", &own(&fetch_target()?.tree)?)?, shown]],
        DiffType::ThreeWay => {
            let from = stage.write("origin", &own(&fetched(global, &origin(lock))?.tree)?)?;
            let target = stage.write("target", &own(&fetch_target()?.tree)?)?;
            match args.diff_tool.as_str() {
                "diff" => vec![vec![from.clone(), shown], vec![from, target]],
                _ => vec![vec![shown, from, target]],
            }
        }
    };
    let mut differs = false;
    for directories in pairs {
        differs |= run(&stage.root, args, &directories)?;
    }
    Ok(if differs { Done::Differs } else { Done::Fine })
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
struct Stage {
    root: PathBuf,
    keep: bool,
}

impl Stage {
    fn new(global: &Global, args: &PkgDiff) -> anyhow::Result<Self> {
        let root = std::env::temp_dir().join(format!("loggia-diff-{}", std::process::id()));
        std::fs::create_dir(&root).with_context(|| format!("cannot make {}", root.display()))?;
        if args.debug {
            progress(global, &format!("The directories are in {}", root.display()));
        }
        Ok(Self { root, keep: args.debug })
    }

    fn write(&self, name: &str, tree: &FileTree) -> anyhow::Result<String> {
        files::write_all(&self.root.join(name), tree)?;
        Ok(name.to_owned())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.keep {
            // It lies in the folder for temporary files.
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}
