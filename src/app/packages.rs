//! Packages out of git repositories and OCI registries, for what a person does with them on a laptop.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::adapters::git;
use crate::adapters::oci::{self, Keychain, OciError, PublicKey, Registry};
pub use crate::adapters::scratch::Scratch;
use crate::domain::host::without_credentials;
use crate::domain::id::CommitId;
use crate::domain::package::archive::Budget;
use crate::domain::package::artifact::{ArtifactError, ImageName, SCHEME, Wanted};
use crate::domain::package::reference::{Location, ReferenceError, Resolved, resolve};
use crate::domain::source::FileTree;
use crate::ports::git::{GitError, GitRepository, Refs, TreeBudget};
use crate::ports::sign_in::SignIns;

/// Newest commits that are looked through for the beginning of an id.
const SEARCHED: usize = 100_000;

/// Packages that are named when the one that is wanted is not there.
const SHOWN: usize = 10;

/// A package as it was fetched.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// Its files.
    pub tree: FileTree,
    /// The branch, tag, commit or digest that was meant.
    pub resolved: String,
    /// The commit it led to, or the digest of its manifest: what gives the same files for ever.
    pub revision: String,
}

/// Why a package was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The repository cannot be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The registry gives no package.
    #[error(transparent)]
    Oci(#[from] OciError),
    /// The commit is not signed as it has to be.
    #[error("{repo}: {source}")]
    Signature {
        /// The repository.
        repo: String,
        /// Why.
        source: git::SignatureError,
    },
    /// The key cannot be used.
    #[error("reading the key {file}: {reason}")]
    Key {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// The name or the version means nothing.
    #[error("{repo}: {source}")]
    Artifact {
        /// The repository.
        repo: String,
        /// Why.
        source: ArtifactError,
    },
    /// The version means nothing there.
    #[error("{repo}: {source}")]
    Reference {
        /// The repository.
        repo: String,
        /// Why.
        source: ReferenceError,
    },
    /// No commit has this id, or begins like it.
    #[error("{repo}: there is no commit {id}{hint}")]
    NoCommit {
        /// The repository.
        repo: String,
        /// What was given.
        id: String,
        /// What to do, and a code: a shallow repository may only not have it yet.
        hint: &'static str,
    },
    /// Several commits begin like this.
    #[error("{repo}: several commits begin with {prefix}; give more of the one that is meant: {} [git.ref_ambiguous]", candidates.join(", "))]
    Commits {
        /// The repository.
        repo: String,
        /// What was given.
        prefix: String,
        /// Some of them.
        candidates: Vec<String>,
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
/// *Flow*: a registry is asked for the manifest and its layers; of git, asks the repository for its refs, resolves the
/// version, reads the directory's tree at that commit. Repositories behind http(s) or ssh are mirrored below `cache`;
/// others are read in place.
///
/// `signed_by`, when given, is a file with who must have signed the version: a public key as `cosign.pub` for a
/// registry, a PGP key or allowed signers of ssh for git. Nothing that is not signed is read further.
///
/// *Assumptions*: called outside async code.
///
/// # Errors
/// [`FetchError`]; URLs are told without user and password.
pub fn fetch(location: &Location, cache: &Path, signed_by: Option<&Path>) -> Result<Fetched, FetchError> {
    if location.repo.starts_with(SCHEME) { pull(location, signed_by) } else { clone(location, cache, signed_by) }
}

fn key(file: &Path) -> Result<PublicKey, FetchError> {
    let wrong = |reason: String| FetchError::Key { file: file.display().to_string(), reason };
    let pem = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    PublicKey::parse(&pem).map_err(|error: oci::SignatureError| wrong(error.to_string()))
}

fn pull(location: &Location, signed_by: Option<&Path>) -> Result<Fetched, FetchError> {
    let wrong = |source| FetchError::Artifact { repo: location.repo.clone(), source };
    let image = ImageName::parse(&location.repo).map_err(wrong)?;
    let Some(reference) = &location.reference else {
        let why = "which version? Name a tag (:v1), a range (:^1.2) or a digest (@sha256:...)";
        return Err(wrong(ArtifactError::Reference { text: location.repo.clone(), why: why.to_owned() }));
    };
    let wanted = Wanted::parse(reference).map_err(wrong)?;
    let as_user: Arc<dyn SignIns> = Arc::new(Keychain::of_user());
    let keys: Vec<PublicKey> = signed_by.map(key).transpose()?.into_iter().collect();
    let pulled = Registry::open(&image, &as_user)?.pull(&wanted, &Budget::default(), &keys)?;
    let tree = pulled.tree.below(&location.directory);
    if tree.is_empty() {
        let known = packages(&pulled.tree);
        return Err(no_directory(location, &location.repo, &pulled.resolved, &known));
    }
    Ok(Fetched { tree, resolved: pulled.resolved, revision: pulled.digest.to_string() })
}

fn no_directory(location: &Location, repo: &str, resolved: &str, known: &[String]) -> FetchError {
    let known = if known.is_empty() { String::new() } else { format!("; packages there: {}", known.join(", ")) };
    let (repo, resolved) = (repo.to_owned(), resolved.to_owned());
    FetchError::NoDirectory { repo, directory: location.directory.clone(), resolved, known }
}

/// Directories with a Kptfile.
fn packages(tree: &FileTree) -> Vec<String> {
    tree.iter().filter_map(|(path, _)| path.strip_suffix("/Kptfile").map(str::to_owned)).take(SHOWN).collect()
}

/// How repositories may be reached, by the beginnings of their URLs.
const SCHEMES: [&str; 4] = ["file://", "http://", "https://", "ssh://"];

/// Refuses a scheme that nothing here speaks, in words about packages.
fn check_scheme(repo: &str) -> Result<(), GitError> {
    let is_spoken = SCHEMES.iter().any(|scheme| repo.starts_with(scheme)) || repo.contains("::");
    if is_spoken || !repo.contains("://") || git::is_behind_ssh(repo) {
        return Ok(());
    }
    let reason = format!("allowed are paths, {} and {SCHEME} [git.url_scheme]", SCHEMES.join(", "));
    Err(GitError::Url { url: without_credentials(repo), reason })
}

fn clone(location: &Location, cache: &Path, signed_by: Option<&Path>) -> Result<Fetched, FetchError> {
    check_scheme(&location.repo)?;
    let place = opened(&location.repo);
    let (repository, refs) = fetched(&place, cache)?;
    let url = repository.url().to_owned();
    let head = repository.head()?;
    let found = resolve(&refs, head.as_deref(), &location.directory, location.reference.as_deref());
    let (resolved, commit) = match found.map_err(|source| FetchError::Reference { repo: url.clone(), source })? {
        Resolved::Ref { name, commit } => (name, commit),
        Resolved::Commit(prefix) => {
            let shallow = git::directory(&place, cache)?.join("shallow").is_file();
            let commit = commit(repository.as_ref(), &refs, &prefix, shallow)?;
            (commit.to_string(), commit)
        }
    };
    if let Some(file) = signed_by {
        let directory = git::directory(&place, cache)?;
        let signers = git::Signers::read(file);
        let verdict = signers.and_then(|signers| signers.verify(&directory, &commit, &resolved));
        verdict.map_err(|source| FetchError::Signature { repo: url.clone(), source })?;
    }
    let Some(tree) = repository.subtree(&commit, &location.directory)? else {
        let found = repository.directories_with(&commit, "", "Kptfile")?;
        let known: Vec<String> = found.into_iter().map(|(path, _)| path).take(SHOWN).collect();
        return Err(no_directory(location, &url, &resolved, &known));
    };
    let tree = repository.read_tree(&tree, &TreeBudget::default())?;
    Ok(Fetched { tree, resolved, revision: commit.to_string() })
}

/// Opens and fetches a repository; when nobody is let in without credentials, with those that git's own configuration
/// has for it.
fn fetched(place: &str, cache: &Path) -> Result<(Arc<dyn GitRepository>, Refs), GitError> {
    if git::is_behind_ssh(place) {
        let repository = git::open_over_ssh(place, cache, git::Ssh::of_user())?;
        let refs = repository.fetch()?;
        return Ok((repository, refs));
    }
    let repository = git::open_cached(place, cache, None)?;
    match repository.fetch() {
        Err(denied @ GitError::Denied { .. }) => {
            let helpers: Arc<dyn SignIns> = Arc::new(git::Helpers::of(place));
            // Where credentials may not be sent, the answer stays as it was.
            let Ok(repository) = git::open_cached(place, cache, Some(helpers)) else { return Err(denied) };
            let refs = repository.fetch()?;
            Ok((repository, refs))
        }
        other => other.map(|refs| (repository, refs)),
    }
}

/// A checkout is opened at its `.git`.
fn opened(repo: &str) -> String {
    let path = repo.strip_prefix("file://").unwrap_or(repo);
    if path.contains("://") {
        return repo.to_owned();
    }
    let path = PathBuf::from(path);
    let inner = path.join(".git");
    if inner.join("refs").is_dir() { inner.display().to_string() } else { repo.to_owned() }
}

fn commit(repository: &dyn GitRepository, refs: &Refs, prefix: &str, is_shallow: bool) -> Result<CommitId, FetchError> {
    let repo = repository.url().to_owned();
    let hint = if is_shallow {
        ": the repository is a shallow one; deepen it with `git fetch --unshallow` [git.shallow]"
    } else {
        "; is it pushed, and is it in a branch or a tag? [git.commit_missing]"
    };
    let missing = || FetchError::NoCommit { repo: repo.clone(), id: prefix.to_owned(), hint };
    if let Ok(whole) = CommitId::new(prefix) {
        return match repository.commit(&whole) {
            Err(GitError::Missing { .. }) => Err(missing()),
            found => Ok(found?.id),
        };
    }
    let all = repository.reachable(&refs.values().collect(), SEARCHED)?;
    let mut found: BTreeSet<CommitId> = all.into_iter().filter(|id| id.as_str().starts_with(prefix)).collect();
    if found.len() > 1 {
        let candidates = found.iter().take(SHOWN).map(ToString::to_string).collect();
        return Err(FetchError::Commits { repo, prefix: prefix.to_owned(), candidates });
    }
    found.pop_first().ok_or_else(missing)
}

/// A repository's URL without user and password, fit to be printed.
#[must_use]
pub fn printable(repo: &str) -> String {
    without_credentials(repo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_opened_at_its_git_whatever_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let checkout = dir.path().join("http-server");
        std::fs::create_dir_all(checkout.join(".git/refs")).unwrap();
        let (path, inner) = (checkout.display().to_string(), checkout.join(".git").display().to_string());
        assert_eq!(opened(&path), inner);
        assert_eq!(opened(&format!("file://{path}")), inner);
        for url in ["https://example.com/a.git", "http://127.0.0.1/a", "ssh://git@example.com/a"] {
            assert_eq!(opened(url), url);
        }
    }
}
