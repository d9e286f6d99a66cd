//! `pkg get`.

use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};

use super::update::{Step, with_below};
use super::{name_of, progress, trusted};
use crate::app::packages::{absolute, is_repository};
use crate::cli::Done;
use crate::cli::args::{Global, PkgGet};
use crate::cli::files;
use crate::domain::package::context::for_deployment;
use crate::domain::package::kptfile::FILE;
use crate::domain::package::reference::Location;
use crate::domain::package::upgrade::{Lock, OnConflict, Source, Strategy, mark, record, source};
use crate::domain::source::FileTree;

/// Most packages that one `get` fetches.
const SUBPACKAGES: usize = 100;

pub(super) fn get(global: &Global, args: &PkgGet) -> anyhow::Result<Done> {
    let mut location = Location::parse(&args.package, is_repository)?;
    location.repo = absolute(&location.repo);
    let destination = destination(args, &location);
    files::present(&destination)?;
    let is_here = is_here(&destination);
    if is_here && !is_empty(&destination)? {
        bail!("the present directory is not empty; name another directory");
    }
    if !is_here && std::fs::symlink_metadata(&destination).is_ok() {
        return Err(anyhow!("{} is there already; name another directory", destination.display()));
    }
    let name = name_of(&destination);
    progress(global, &format!("Package \"{name}\":"));
    let version = location.reference.as_deref().unwrap_or("its default branch");
    progress(global, &format!("Fetching {} at {version}", shown(&location.repo)));
    let fetched = trusted(global, &location, args.signed_by.as_deref())?;
    let mut tree = mark(&fetched.tree);
    let source = Source {
        repo: location.repo.clone(),
        directory: location.directory.clone(),
        reference: location.reference.clone().unwrap_or_else(|| fetched.resolved.clone()),
        strategy: args.strategy.into(),
        lock: Some(Lock {
            repo: location.repo,
            directory: location.directory,
            reference: fetched.resolved,
            revision: fetched.revision,
        }),
    };
    record(&mut tree, &source, Some(&name)).map_err(|problem| anyhow!("{}: {problem}", args.package))?;
    let (tree, count) = with_subpackages(global, tree, args.signed_by.as_deref())?;
    let tree = if args.for_deployment { deployable(global, &tree)? } else { tree };
    let added = if source.directory.is_empty() { &name } else { &source.directory };
    progress(global, &format!("Adding package \"{added}\"."));
    let written = if is_here {
        files::replace(&destination, &FileTree::new(), &tree)
    } else {
        files::create(&destination, &tree)
    };
    written.with_context(|| format!("writing package {}", destination.display()))?;
    progress(global, &format!("\nFetched {count} package(s)."));
    Ok(Done::Fine)
}

/// Whether the present directory itself is named.
fn is_here(path: &Path) -> bool {
    path.components().all(|part| part == Component::CurDir)
}

fn is_empty(directory: &Path) -> anyhow::Result<bool> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    Ok(entries.filter_map(Result::ok).all(|entry| entry.file_name() == ".git"))
}

fn deployable(global: &Global, tree: &FileTree) -> anyhow::Result<FileTree> {
    progress(global, "\nCustomizing package for deployment.");
    let tree = for_deployment(tree)?;
    progress(global, "\nCustomized package for deployment.");
    Ok(tree)
}

/// Fetches every subpackage that says where it comes from and was never fetched, and what is in it in turn; gives the
/// tree and how many packages it was.
fn with_subpackages(
    global: &Global,
    mut tree: FileTree,
    signed_by: Option<&Path>,
) -> anyhow::Result<(FileTree, usize)> {
    for count in 1..=SUBPACKAGES {
        let Some((directory, from)) = unfetched(&tree)? else { return Ok((tree, count)) };
        let step = Step {
            name: &directory,
            place: Path::new(&directory),
            from: &from,
            reference: None,
            strategy: Strategy::ResourceMerge,
            on_conflict: OnConflict::Local,
            signed_by,
        };
        let mut done = step.take(global, &tree.below(&directory))?;
        let kept = Source { strategy: from.strategy, ..recorded(&done.tree)?.unwrap_or(from) };
        record(&mut done.tree, &kept, None).map_err(|problem| anyhow!("{directory}: {problem}"))?;
        tree = with_below(&tree, &directory, &mark(&done.tree));
    }
    bail!("there are more than {SUBPACKAGES} subpackages; does one of them include itself? [package.cycle]")
}

fn recorded(tree: &FileTree) -> anyhow::Result<Option<Source>> {
    source(tree).map_err(|problem| anyhow!("{problem}"))
}

/// The first subpackage with an upstream and no lock.
fn unfetched(tree: &FileTree) -> anyhow::Result<Option<(String, Source)>> {
    for directory in tree.iter().filter_map(|(path, _)| path.strip_suffix(FILE)?.strip_suffix('/')) {
        let found = recorded(&tree.below(directory)).with_context(|| format!("reading subpackage {directory}"))?;
        if let Some(from) = found.filter(|from| from.lock.is_none()) {
            return Ok(Some((directory.to_owned(), from)));
        }
    }
    Ok(None)
}

/// A URL without user and password.
pub(super) fn shown(repo: &str) -> String {
    crate::app::packages::printable(repo)
}

/// The directory that was named, or one in it, or one with the name of the package here.
fn destination(args: &PkgGet, location: &Location) -> PathBuf {
    let last = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    let repo = last(&location.repo);
    let name = match last(&location.directory) {
        name if name.is_empty() => repo.strip_suffix(".git").unwrap_or(&repo).to_owned(),
        name => name,
    };
    match &args.destination {
        None => PathBuf::from(name),
        Some(directory) if is_here(directory) => PathBuf::from("."),
        Some(directory) if directory.is_dir() => directory.join(name),
        Some(directory) => directory.clone(),
    }
}
