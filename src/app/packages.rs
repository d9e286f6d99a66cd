//! Packages out of git repositories, for what a person does with them on a laptop.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::adapters::git;
use crate::domain::id::CommitId;
use crate::domain::package::reference::{Location, ReferenceError, Resolved, resolve};
use crate::domain::source::FileTree;
use crate::ports::git::{GitError, GitRepository, Refs, TreeBudget};

/// Commits that are looked through for the beginning of an id.
const SEARCHED: usize = 100_000;

/// A package as it was fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// Its files.
    pub tree: FileTree,
    /// The branch, tag or commit that was meant.
    pub resolved: String,
    /// The commit it led to.
    pub commit: CommitId,
}

/// Why a package was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The repository cannot be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The version means nothing there.
    #[error("{repo}: {source}")]
    Reference {
        /// The repository.
        repo: String,
        /// Why.
        source: ReferenceError,
    },
    /// Several commits begin like this, or none does.
    #[error("{repo}: {found} commits begin with {prefix}; give the whole id [git.commit_missing]")]
    Commit {
        /// The repository.
        repo: String,
        /// What was given.
        prefix: String,
        /// How many there are.
        found: usize,
    },
    /// The directory is not in that version.
    #[error("{repo}: there is no directory {directory} in {resolved}{known} [package.missing]")]
    NoDirectory {
        /// The repository.
        repo: String,
        /// The directory.
        directory: String,
        /// The version.
        resolved: String,
        /// Packages that are there.
        known: String,
    },
}

/// Whether a path on this machine is a git repository, bare or with a work tree.
#[must_use]
pub fn is_repository(path: &str) -> bool {
    let path = Path::new(path);
    [path.to_owned(), path.join(".git")].iter().any(|root| root.join("refs").is_dir() && root.join("HEAD").is_file())
}

/// The same place by an absolute path, when it is one on this machine, so that it means the same everywhere.
#[must_use]
pub fn absolute(repo: &str) -> String {
    if repo.contains("://") {
        return repo.to_owned();
    }
    std::fs::canonicalize(repo).map_or_else(|_| repo.to_owned(), |path| path.display().to_string())
}

/// Fetches a package.
///
/// *Flow*: asks the repository for its refs, resolves the version, reads the directory's tree at that commit.
/// Repositories behind http(s) are mirrored below `cache`; others are read in place.
///
/// *Assumptions*: called outside async code.
///
/// # Errors
/// [`FetchError`]; URLs are told without user and password.
pub fn fetch(location: &Location, cache: &Path) -> Result<Fetched, FetchError> {
    let repository = git::open_cached(&opened(&location.repo), cache)?;
    let url = repository.url().to_owned();
    let refs = repository.fetch()?;
    let found = resolve(&refs, &location.directory, location.reference.as_deref());
    let (resolved, commit) = match found.map_err(|source| FetchError::Reference { repo: url.clone(), source })? {
        Resolved::Ref { name, commit } => (name, commit),
        Resolved::Commit(prefix) => {
            let commit = commit(repository.as_ref(), &refs, &prefix)?;
            (commit.to_string(), commit)
        }
    };
    let Some(tree) = repository.subtree(&commit, &location.directory)? else {
        let known = packages(repository.as_ref(), &commit)?;
        return Err(FetchError::NoDirectory { repo: url, directory: location.directory.clone(), resolved, known });
    };
    Ok(Fetched { tree: repository.read_tree(&tree, &TreeBudget::default())?, resolved, commit })
}

/// A checkout is opened at its `.git`.
fn opened(repo: &str) -> String {
    let path = PathBuf::from(repo.strip_prefix("file://").unwrap_or(repo));
    let inner = path.join(".git");
    if !repo.contains("http") && inner.join("refs").is_dir() { inner.display().to_string() } else { repo.to_owned() }
}

fn commit(repository: &dyn GitRepository, refs: &Refs, prefix: &str) -> Result<CommitId, FetchError> {
    if let Ok(whole) = CommitId::new(prefix) {
        return Ok(repository.commit(&whole)?.id);
    }
    let mut found = BTreeSet::new();
    for tip in refs.values().collect::<BTreeSet<_>>() {
        let log = repository.log(tip, SEARCHED)?;
        found.extend(log.into_iter().map(|commit| commit.id).filter(|id| id.as_str().starts_with(prefix)));
    }
    match found.len() {
        1 => found.pop_first().ok_or_else(|| missing(repository, prefix, 0)),
        count => Err(missing(repository, prefix, count)),
    }
}

fn missing(repository: &dyn GitRepository, prefix: &str, found: usize) -> FetchError {
    FetchError::Commit { repo: repository.url().to_owned(), prefix: prefix.to_owned(), found }
}

fn packages(repository: &dyn GitRepository, commit: &CommitId) -> Result<String, GitError> {
    let found = repository.directories_with(commit, "", "Kptfile")?;
    let names: Vec<String> = found.into_iter().map(|(path, _)| path).take(10).collect();
    Ok(if names.is_empty() { String::new() } else { format!("; packages there: {}", names.join(", ")) })
}

/// A repository's URL without user and password, fit to be printed.
#[must_use]
pub fn printable(repo: &str) -> String {
    git::without_credentials(repo)
}
