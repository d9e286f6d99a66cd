//! Where people approve: proposals with a plan, a verdict and comments.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::domain::error::{Class, Classify};
use crate::domain::id::{CommitId, PackageName, PlanId, RepositoryName};
use crate::domain::lease::Claim;
use crate::domain::time::Timestamp;
use crate::ports::git::GitError;

/// What a proposal would do when approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProposalKind {
    /// Publish new content of a package and apply it.
    Publish,
    /// Publish an older content again because the newer one failed.
    Revert,
    /// Delete the package and prune its objects.
    Delete,
}

/// What makes a proposal one and the same: at most one is open per key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProposalKey {
    /// Repository that would change.
    pub repository: RepositoryName,
    /// Branch that would receive the change, such as `main`.
    pub base: String,
    /// Package that would change.
    pub package: PackageName,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProposalContent {
    /// Identity.
    pub key: ProposalKey,
    /// What it would do.
    pub kind: ProposalKind,
    /// One line for lists.
    pub title: String,
    /// Markdown: everything a reviewer needs.
    pub body: String,
    /// Branch that holds the proposed content.
    pub head_ref: String,
    /// Commit of that branch.
    pub head: CommitId,
    /// Commit of the base branch the plan was made on.
    pub base_commit: CommitId,
    /// The plan an approval is bound to.
    pub plan: PlanId,
    /// The plan as JSON, for machines and for comparing it later.
    pub plan_json: serde_json::Value,
}

/// Where a proposal stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum ProposalState {
    /// Waits for a person.
    Open,
    /// A person approved exactly this plan of exactly this head.
    #[serde(rename_all = "camelCase")]
    Approved {
        /// Who.
        by: String,
        /// Their e-mail.
        email: String,
        /// When.
        at: Timestamp,
        /// Which plan they saw.
        plan: PlanId,
        /// Which head they saw.
        head: CommitId,
    },
    /// A person said no; it holds until the content changes.
    #[serde(rename_all = "camelCase")]
    Rejected {
        /// Who.
        by: String,
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// Carried out.
    #[serde(rename_all = "camelCase")]
    Done {
        /// What happened, such as `published as v2`.
        outcome: String,
        /// When.
        at: Timestamp,
    },
    /// No longer wanted: the content is gone or another took its place.
    #[serde(rename_all = "camelCase")]
    Withdrawn {
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
}

impl ProposalState {
    /// Whether it is still on the table (open or approved but not carried out).
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self, Self::Open | Self::Approved { .. })
    }

    /// One word for tables.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Open => "Open",
            Self::Approved { .. } => "Approved",
            Self::Rejected { .. } => "Rejected",
            Self::Done { .. } => "Done",
            Self::Withdrawn { .. } => "Withdrawn",
        }
    }
}

/// One remark under a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comment {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Markdown.
    pub text: String,
}

/// A proposal as the forge holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// Its number on the forge, from 1.
    pub number: u64,
    /// What is asked for.
    #[serde(flatten)]
    pub content: ProposalContent,
    /// Where it stands.
    pub verdict: ProposalState,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Remarks, oldest first.
    pub comments: Vec<Comment>,
}

/// What a person decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Yes, to this plan and head.
    Approve {
        /// The plan the person read.
        plan: PlanId,
        /// The head the person read.
        head: CommitId,
    },
    /// No, and why.
    Reject {
        /// Why.
        reason: String,
    },
}

/// What a forge refuses or fails to do.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// No proposal of that number.
    #[error("proposal {0} does not exist")]
    NotFound(u64),
    /// The proposal is not open any more.
    #[error("cannot {act} proposal {number}: it is {state}")]
    NotOpen {
        /// What was asked.
        act: &'static str,
        /// Which proposal.
        number: u64,
        /// Where it stands.
        state: &'static str,
    },
    /// The proposal was refreshed since the person read it.
    #[error("proposal {number} changed since it was read: plan {read} became {now}; read it again")]
    Stale {
        /// Which proposal.
        number: u64,
        /// What the person read.
        read: String,
        /// What it says now.
        now: String,
    },
    /// What is stored cannot be read.
    #[error("proposal {number} is damaged: {reason}")]
    Damaged {
        /// Which proposal.
        number: u64,
        /// Why.
        reason: String,
    },
    /// The repository failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl Classify for ForgeError {
    fn class(&self) -> Class {
        match self {
            Self::NotFound(_) => Class::NotFound,
            Self::NotOpen { .. } => Class::Invalid,
            Self::Stale { .. } => Class::Conflict,
            Self::Damaged { .. } => Class::Bug,
            Self::Git(error) => error.class(),
        }
    }
}

/// A forge for one repository.
///
/// Guarantees: at most one pending proposal per [`ProposalKey`]; [`Forge::open_or_update`] adopts it; a call that lost
/// its answer may be repeated. A refreshed plan or head takes back an approval.
#[async_trait]
pub trait Forge: Send + Sync {
    /// All proposals, by number.
    async fn list(&self) -> Result<Vec<Proposal>, ForgeError>;

    /// One proposal.
    async fn get(&self, number: u64) -> Result<Proposal, ForgeError>;

    /// Opens a proposal or refreshes the pending one of the same key; unchanged content writes nothing. When the plan
    /// or the head changed, an approval falls back to open and `what_changed` is added as a comment.
    async fn open_or_update(
        &self,
        claim: &Claim,
        content: &ProposalContent,
        what_changed: Option<&str>,
        now: Timestamp,
    ) -> Result<Proposal, ForgeError>;

    /// Records what a person decided.
    async fn decide(
        &self,
        number: u64,
        decision: Decision,
        by: &str,
        email: &str,
        now: Timestamp,
    ) -> Result<Proposal, ForgeError>;

    /// Adds a remark.
    async fn comment(&self, number: u64, by: &str, text: &str, now: Timestamp) -> Result<Proposal, ForgeError>;

    /// Ends a pending proposal as [`ProposalState::Done`] or [`ProposalState::Withdrawn`].
    async fn conclude(&self, claim: &Claim, number: u64, state: ProposalState) -> Result<Proposal, ForgeError>;
}
