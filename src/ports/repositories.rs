//! Opening repositories: where a Repository object becomes a git repository, a package store and a forge.

use std::sync::Arc;

use tokio::sync::mpsc;

use crate::domain::id::RepositoryName;
use crate::ports::forge::Forge;
use crate::ports::git::{GitError, GitRepository};
use crate::ports::revisions::PackageStore;

/// Where a repository is and which part of it counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Name of the Repository object.
    pub name: RepositoryName,
    /// URL or local path.
    pub url: String,
    /// Registered branch. Default `main`.
    pub branch: String,
    /// Directory that holds the packages; empty: the root.
    pub directory: String,
}

/// Opens repositories. Opening the same location twice gives views of the same repository.
pub trait Repositories: Send + Sync {
    /// The git repository.
    ///
    /// # Errors
    /// [`GitError::Url`] for refused URLs, [`GitError::Open`] when it is not there.
    fn git(&self, location: &Location) -> Result<Arc<dyn GitRepository>, GitError>;

    /// Its package revisions.
    ///
    /// # Errors
    /// As [`Repositories::git`].
    fn packages(&self, location: &Location) -> Result<Arc<dyn PackageStore>, GitError>;

    /// Where its proposals are.
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
