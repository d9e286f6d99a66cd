//! Package revisions in a git repository, laid out exactly as Porch lays them out, so that Porch can take the
//! repository over and back at any time.
//!
//! State is read from refs; what refs do not tell (a package's tree, the workspace of a number) is read once for each
//! commit and remembered, within bounds. Every transition is one push from the ids that were read.

mod approve;
mod list;
mod memory;
mod transitions;
mod verify;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use self::memory::Memory;
use crate::domain::id::{CommitId, PackageName, RepositoryName, WorkspaceName};
use crate::domain::lease::Claim;
use crate::domain::revision::{Lifecycle, message, refs};
use crate::domain::source::FileTree;
use crate::domain::time::Timestamp;
use crate::ports::clock::Clock;
use crate::ports::git::{GitError, GitRepository, Person, Signatures, TreeBudget};
use crate::ports::revisions::{ApprovalNote, DraftContent, PackageRevision, PackageStore, RevisionError};

/// Committer of everything that a package server commits.
const COMMITTER: (&str, &str) = ("Package Orchestration Service", "porch@kpt.dev");
/// Commits looked at when a workspace, an approval or a merge is searched.
const HISTORY: usize = 2_000;

/// A store over one repository.
#[derive(Clone)]
pub struct NativeStore {
    inner: Arc<Inner>,
}

struct Inner {
    repository: RepositoryName,
    git: Arc<dyn GitRepository>,
    directory: String,
    branch: String,
    clock: Arc<dyn Clock>,
    signatures: Option<Arc<dyn Signatures>>,
    memory: Mutex<Memory>,
}

impl NativeStore {
    /// A store of the packages below `directory` on `branch`; with `signatures`, content is read only when it is
    /// signed.
    #[must_use]
    pub fn new(
        repository: RepositoryName,
        git: Arc<dyn GitRepository>,
        directory: &str,
        branch: &str,
        clock: Arc<dyn Clock>,
        signatures: Option<Arc<dyn Signatures>>,
    ) -> Self {
        let inner = Inner {
            repository,
            git,
            directory: directory.trim_matches('/').to_owned(),
            branch: format!("refs/heads/{branch}"),
            clock,
            signatures,
            memory: Mutex::new(Memory::default()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Git blocks; it runs where blocking does no harm.
    async fn run<T: Send + 'static>(
        &self,
        act: &'static str,
        work: impl FnOnce(&Inner) -> Result<T, RevisionError> + Send + 'static,
    ) -> Result<T, RevisionError> {
        let inner = self.inner.clone();
        let url = inner.git.url().to_owned();
        tokio::task::spawn_blocking(move || work(&inner)).await.unwrap_or_else(|error| {
            Err(RevisionError::Git(GitError::Io { url, act, reason: format!("the task ended: {error}") }))
        })
    }
}

impl Inner {
    fn path(&self, package: &PackageName) -> String {
        refs::path(&self.directory, package)
    }

    /// Locked for single look-ups, never over a call to git.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn committer() -> Person {
        Person { name: COMMITTER.0.to_owned(), email: COMMITTER.1.to_owned() }
    }
}

#[async_trait]
impl PackageStore for NativeStore {
    async fn list(&self) -> Result<Vec<PackageRevision>, RevisionError> {
        self.run("listing revisions", Inner::list).await
    }

    async fn vouch(&self, revision: &PackageRevision) -> Result<(), RevisionError> {
        let revision = revision.clone();
        self.run("checking a revision", move |inner| inner.vouch(&revision)).await
    }

    async fn content(&self, revision: &PackageRevision) -> Result<FileTree, RevisionError> {
        let revision = revision.clone();
        self.run("reading a package", move |inner| {
            inner.vouch(&revision)?;
            Ok(inner.git.read_tree(&revision.tree, &TreeBudget::default())?)
        })
        .await
    }

    async fn trailers(&self, revision: &PackageRevision) -> Result<BTreeMap<String, String>, RevisionError> {
        let commit = revision.commit.clone();
        self.run("reading a commit", move |inner| Ok(message::trailers(&inner.git.commit(&commit)?.message))).await
    }

    async fn published(&self, revision: &PackageRevision) -> Result<Option<(Person, Timestamp)>, RevisionError> {
        if revision.revision < 1 {
            return Ok(None);
        }
        let commit = revision.commit.clone();
        self.run("reading a commit", move |inner| {
            let commit = inner.git.commit(&commit)?;
            Ok(Some((commit.author, commit.committed_at)))
        })
        .await
    }

    async fn create(
        &self,
        claim: Option<&Claim>,
        package: &PackageName,
        workspace: &WorkspaceName,
        content: DraftContent,
    ) -> Result<PackageRevision, RevisionError> {
        let (claim, package, workspace) = (claim.cloned(), package.clone(), workspace.clone());
        self.run("creating a draft", move |inner| inner.create(claim.as_ref(), &package, &workspace, &content)).await
    }

    async fn update(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        content: DraftContent,
    ) -> Result<PackageRevision, RevisionError> {
        let (claim, revision) = (claim.cloned(), revision.clone());
        self.run("updating a draft", move |inner| inner.update(claim.as_ref(), &revision, &content)).await
    }

    async fn propose(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
    ) -> Result<PackageRevision, RevisionError> {
        let (claim, revision) = (claim.cloned(), revision.clone());
        self.run("proposing a revision", move |inner| inner.rename(claim.as_ref(), &revision, Lifecycle::Proposed))
            .await
    }

    async fn reject(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
    ) -> Result<PackageRevision, RevisionError> {
        let (claim, revision) = (claim.cloned(), revision.clone());
        self.run("rejecting a revision", move |inner| inner.rename(claim.as_ref(), &revision, Lifecycle::Draft)).await
    }

    async fn approve(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        note: &ApprovalNote,
    ) -> Result<PackageRevision, RevisionError> {
        let (claim, revision, note) = (claim.cloned(), revision.clone(), note.clone());
        self.run("approving a revision", move |inner| inner.approve(claim.as_ref(), &revision, &note)).await
    }

    async fn merged_by(&self, revision: &PackageRevision) -> Result<Option<(Person, CommitId)>, RevisionError> {
        let revision = revision.clone();
        self.run("looking for a merge", move |inner| inner.merged_by(&revision)).await
    }

    async fn propose_deletion(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
    ) -> Result<PackageRevision, RevisionError> {
        let (claim, revision) = (claim.cloned(), revision.clone());
        self.run("proposing a deletion", move |inner| inner.propose_deletion(claim.as_ref(), &revision)).await
    }

    async fn restore(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
    ) -> Result<PackageRevision, RevisionError> {
        let (claim, revision) = (claim.cloned(), revision.clone());
        self.run("restoring a revision", move |inner| inner.restore(claim.as_ref(), &revision)).await
    }

    async fn delete(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        remove_from_branch: bool,
    ) -> Result<(), RevisionError> {
        let (claim, revision) = (claim.cloned(), revision.clone());
        self.run("deleting a revision", move |inner| inner.delete(claim.as_ref(), &revision, remove_from_branch)).await
    }
}

#[cfg(test)]
mod tests;
