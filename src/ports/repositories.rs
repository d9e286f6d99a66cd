//! Opening repositories: where a Repository object becomes a git repository or a registry, a package store and a forge.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::domain::id::{NamespacedName, PackageName, RepositoryName};
use crate::domain::package::artifact::SCHEME;
use crate::ports::forge::Forge;
use crate::ports::git::{GitError, GitRepository, Refs};
use crate::ports::revisions::{PackageRevision, PackageStore, RevisionError};

/// Where a repository is and which part of it counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Name of the Repository object.
    pub name: RepositoryName,
    /// URL or local path; `oci://HOST[/PATH]` for a registry.
    pub url: String,
    /// Registered branch. Default `main`; empty for a registry.
    pub branch: String,
    /// Directory that holds the packages; empty: the root.
    pub directory: String,
    /// The packages of a registry; empty: all that it lists.
    pub packages: Vec<PackageName>,
    /// Public keys of which one must have signed what is read; empty: nothing has to be signed.
    pub keys: Vec<String>,
    /// The Secret that lets us in; none: registries are asked as the user of this process, git servers as nobody.
    pub secret: Option<NamespacedName>,
}

impl Location {
    /// A git repository of which nothing has to be signed.
    #[must_use]
    pub fn git(name: RepositoryName, url: &str, branch: &str, directory: &str) -> Self {
        let (url, branch, directory) = (url.to_owned(), branch.to_owned(), directory.to_owned());
        Self { name, url, branch, directory, packages: Vec::new(), keys: Vec::new(), secret: None }
    }

    /// Whether it is a registry, not a git repository.
    #[must_use]
    pub fn is_registry(&self) -> bool {
        self.url.starts_with(SCHEME)
    }

    /// The full name of its branch.
    #[must_use]
    pub fn head(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    /// What a revision is for ever: its commit, or the digest of its manifest as `sha256:HEX`.
    #[must_use]
    pub fn locked(&self, revision: &PackageRevision) -> String {
        if self.is_registry() { format!("sha256:{}", revision.commit) } else { revision.commit.to_string() }
    }
}

/// Opens repositories. Opening the same location twice gives views of the same repository.
pub trait Repositories: Send + Sync {
    /// The git repository.
    ///
    /// # Errors
    /// [`GitError::Url`] for refused URLs and registries, [`GitError::Open`] when it is not there.
    fn git(&self, location: &Location) -> Result<Arc<dyn GitRepository>, GitError>;

    /// Its package revisions.
    ///
    /// # Errors
    /// As [`Repositories::git`]; [`RevisionError::Registry`] when a key of a registry cannot be used.
    fn packages(&self, location: &Location) -> Result<Arc<dyn PackageStore>, RevisionError>;

    /// What is there now, by name; transfers no content. Versions in a registry are told as tags:
    /// `refs/tags/PACKAGE/vN` and the digest of the manifest. Blocks.
    ///
    /// # Errors
    /// [`RevisionError::Git`], [`RevisionError::Registry`] when it cannot be read.
    fn refs(&self, location: &Location) -> Result<Refs, RevisionError>;

    /// Where its proposals are. A registry has none, and takes none.
    ///
    /// # Errors
    /// As [`Repositories::git`].
    fn forge(&self, location: &Location) -> Result<Arc<dyn Forge>, GitError>;

    /// Wakes up when its refs may have moved; at most one wake-up is pending.
    ///
    /// # Errors
    /// As [`Repositories::git`].
    fn wake_ups(&self, location: &Location) -> Result<mpsc::Receiver<()>, GitError>;
}
