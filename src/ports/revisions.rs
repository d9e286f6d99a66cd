//! Package revisions: one port, several stores.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::domain::error::{Class, Classify};
use crate::domain::id::{CommitId, PackageName, RepositoryName, RevisionName, TreeId, WorkspaceName};
use crate::domain::lease::Claim;
use crate::domain::revision::Lifecycle;
use crate::domain::source::FileTree;
use crate::domain::time::Timestamp;
use crate::ports::git::{GitError, Person};

/// One package revision as its refs tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageRevision {
    /// Object name.
    pub name: RevisionName,
    /// Repository object.
    pub repository: RepositoryName,
    /// Package path below the repository's directory.
    pub package: PackageName,
    /// Workspace.
    pub workspace: WorkspaceName,
    /// 0 for Draft and Proposed, N >= 1 published, -1 the placeholder on the registered branch.
    pub revision: i64,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// Whether it is the highest published number of its package.
    pub latest: bool,
    /// The commit it lives at: the draft's head or the tagged commit. In a registry, the digest of its manifest.
    pub commit: CommitId,
    /// The package's tree at that commit; in a registry, the same digest: one digest, one content.
    pub tree: TreeId,
}

/// Who approved what, for the approval commit and its trailers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalNote {
    /// The approver.
    pub approver: Person,
    /// Git trailers under the message, in order, such as `("Loggia-Plan", "<plan id>")`.
    pub trailers: Vec<(String, String)>,
}

/// A draft to create or new content for one.
#[derive(Debug, Clone)]
pub struct DraftContent {
    /// The whole package: files relative to the package's directory.
    pub files: FileTree,
    /// First line of the commit message, such as `Creating new revision by cloning`.
    pub subject: String,
    /// The Porch task recorded in the commit's `kpt:` line, as JSON; `None` for intermediate commits.
    pub task: Option<serde_json::Value>,
    /// Git trailers under the message, such as the intent's commit.
    pub trailers: Vec<(String, String)>,
}

/// What a store refuses or fails to do.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// No such revision, package or repository.
    #[error("package revision {0} does not exist")]
    NotFound(String),
    /// It is there already.
    #[error("package revision {0} exists already")]
    Exists(String),
    /// The lifecycle does not allow it (reference: the lifecycle matrix of Porch).
    #[error("cannot {act} package revision {name}: it is {lifecycle}")]
    Lifecycle {
        /// What was asked.
        act: &'static str,
        /// Of which revision.
        name: String,
        /// What it is.
        lifecycle: Lifecycle,
    },
    /// It changed since the caller looked.
    #[error("package revision {name} changed: expected commit {expected}, found {found}")]
    Stale {
        /// Which revision.
        name: String,
        /// What the caller saw.
        expected: CommitId,
        /// What is there.
        found: CommitId,
    },
    /// A published tag does not point where the branch's history says it was approved.
    #[error("tag {tag} of {repository} moved from {was} to {now}: published revisions never change")]
    TagMoved {
        /// Repository URL.
        repository: String,
        /// Ref name.
        tag: String,
        /// Where it was when it was first seen.
        was: CommitId,
        /// Where it is now.
        now: CommitId,
    },
    /// The tag of an artifact does not lead where it did.
    #[error(
        "the tag {image} moved from {was} to {now}: published revisions never change; push the new content under the next tag          and set this one back [oci.moved]"
    )]
    ArtifactMoved {
        /// Registry, repository and tag.
        image: String,
        /// The digest that was first seen, or that a package is locked to.
        was: String,
        /// The digest that it leads to now.
        now: String,
    },
    /// The revision that a package was made from is not there any more.
    #[error(
        "{name}, which the package was made from, is gone from repository {repository}; publish it there again, or another          revision that the package is upgraded to"
    )]
    BlueprintGone {
        /// Which revision of which blueprint.
        name: String,
        /// Where it was.
        repository: RepositoryName,
    },
    /// An artifact is not signed by anybody who counts.
    #[error("{image} is not signed as spec.verify of its Repository demands: {reason}")]
    Unsigned {
        /// Registry, repository and tag.
        image: String,
        /// What is wrong with its signatures.
        reason: String,
    },
    /// The registry does not answer, or gives no package.
    #[error("{reason}")]
    Registry {
        /// What failed on what, and why.
        reason: String,
        /// Whether it may pass.
        class: Class,
    },
    /// Registries are only read.
    #[error("cannot {act} in repository {repository}: it is a registry, which is only read; keep deployments in git")]
    ReadOnly {
        /// What was asked.
        act: &'static str,
        /// Of which repository.
        repository: RepositoryName,
    },
    /// The repository failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl RevisionError {
    /// Whether a signature is missing that is demanded.
    #[must_use]
    pub const fn is_unsigned(&self) -> bool {
        matches!(self, Self::Unsigned { .. } | Self::Git(GitError::Unsigned { .. }))
    }

    /// Whether somebody has to do something about a blueprint, or a registry has to answer again: what was made from
    /// the blueprint goes on as it is until then.
    #[must_use]
    pub const fn concerns_source(&self) -> bool {
        matches!(
            self,
            Self::NotFound(_)
                | Self::TagMoved { .. }
                | Self::ArtifactMoved { .. }
                | Self::BlueprintGone { .. }
                | Self::Unsigned { .. }
                | Self::Registry { .. }
                | Self::Git(
                    GitError::Unsigned { .. }
                        | GitError::Open { .. }
                        | GitError::Refused { .. }
                        | GitError::SignIn { .. }
                        | GitError::Denied { .. }
                )
        )
    }
}

impl Classify for RevisionError {
    fn class(&self) -> Class {
        match self {
            Self::NotFound(_) | Self::BlueprintGone { .. } => Class::NotFound,
            Self::Exists(_) | Self::Stale { .. } => Class::Conflict,
            Self::Lifecycle { .. }
            | Self::TagMoved { .. }
            | Self::ArtifactMoved { .. }
            | Self::Unsigned { .. }
            | Self::ReadOnly { .. } => Class::Invalid,
            Self::Registry { class, .. } => *class,
            Self::Git(error) => error.class(),
        }
    }
}

/// A store of package revisions for one repository.
///
/// Guarantees: transitions are compare-and-swap on the revision's commit; a failed call changed nothing; repeating a
/// call that succeeded gives [`RevisionError::Stale`], [`RevisionError::Lifecycle`] or the same result, never a
/// second effect. Published content never changes.
#[async_trait]
pub trait PackageStore: Send + Sync {
    /// Every revision, ordered by package, number, workspace. Reads refs, not content.
    async fn list(&self) -> Result<Vec<PackageRevision>, RevisionError>;

    /// Whether a revision may be taken: it stands where it was first seen, and is signed when that is demanded.
    /// [`PackageStore::content`] refuses it with the same error otherwise.
    async fn vouch(&self, revision: &PackageRevision) -> Result<(), RevisionError>;

    /// The files of a revision.
    async fn content(&self, revision: &PackageRevision) -> Result<FileTree, RevisionError>;

    /// The git trailers of the commit a revision lives at; last one wins when a key repeats.
    async fn trailers(&self, revision: &PackageRevision) -> Result<BTreeMap<String, String>, RevisionError>;

    /// Author, e-mail and time of the approval of a published revision.
    async fn published(&self, revision: &PackageRevision) -> Result<Option<(Person, Timestamp)>, RevisionError>;

    /// Creates a draft on the head of the registered branch.
    async fn create(
        &self,
        claim: Option<&Claim>,
        package: &PackageName,
        workspace: &WorkspaceName,
        content: DraftContent,
    ) -> Result<PackageRevision, RevisionError>;

    /// Replaces the content of a draft.
    async fn update(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        content: DraftContent,
    ) -> Result<PackageRevision, RevisionError>;

    /// Draft to Proposed.
    async fn propose(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
    ) -> Result<PackageRevision, RevisionError>;

    /// Proposed to Draft.
    async fn reject(&self, claim: Option<&Claim>, revision: &PackageRevision)
    -> Result<PackageRevision, RevisionError>;

    /// Proposed to Published under the next number: commit on the registered branch, tag, branches gone, in one push.
    ///
    /// Recognises by content that a person has merged the proposed branch already (merge, squash or rebase) and then
    /// only adds the approval commit and the tag.
    async fn approve(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        note: &ApprovalNote,
    ) -> Result<PackageRevision, RevisionError>;

    /// Who merged the proposed content into the registered branch with plain git, when somebody did: the newest
    /// commit of the branch whose tree holds exactly the proposed package while its first parent does not.
    async fn merged_by(&self, revision: &PackageRevision) -> Result<Option<(Person, CommitId)>, RevisionError>;

    /// Published to `DeletionProposed`.
    async fn propose_deletion(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
    ) -> Result<PackageRevision, RevisionError>;

    /// `DeletionProposed` back to Published.
    async fn restore(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
    ) -> Result<PackageRevision, RevisionError>;

    /// Deletes a Draft, a Proposed or a `DeletionProposed` revision. With `remove_from_branch`, deleting the last
    /// published revision of a package also removes its directory from the registered branch in the same push.
    async fn delete(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        remove_from_branch: bool,
    ) -> Result<(), RevisionError>;
}
