//! `pkg get`.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow};

use super::{fetched, name_of, progress};
use crate::app::packages::{absolute, is_repository};
use crate::cli::Done;
use crate::cli::args::{Global, PkgGet};
use crate::cli::files;
use crate::domain::package::reference::Location;
use crate::domain::package::upgrade::{Lock, Source, mark, record};

pub(super) fn get(global: &Global, args: &PkgGet) -> anyhow::Result<Done> {
    let mut location = Location::parse(&args.package, is_repository)?;
    location.repo = absolute(&location.repo);
    let destination = destination(args, &location);
    if std::fs::symlink_metadata(&destination).is_ok() {
        return Err(anyhow!("{} is there already; name another directory", destination.display()));
    }
    let name = name_of(&destination);
    progress(global, &format!("Package \"{name}\":"));
    let version = location.reference.as_deref().unwrap_or("its default branch");
    progress(global, &format!("Fetching {} at {version}", shown(&location.repo)));
    let fetched = fetched(global, &location)?;
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
            commit: fetched.commit.to_string(),
        }),
    };
    record(&mut tree, &source, Some(&name)).map_err(|problem| anyhow!("{}: {problem}", args.package))?;
    progress(global, &format!("Adding package \"{}\".", source.directory));
    files::create(&destination, &tree).with_context(|| format!("writing package {}", destination.display()))?;
    progress(global, "\nFetched 1 package(s).");
    Ok(Done::Fine)
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
        Some(directory) if directory.is_dir() => directory.join(name),
        Some(directory) => directory.clone(),
    }
}
