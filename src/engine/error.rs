//! What a round can fail with.

use crate::cluster::ClusterError;
use crate::domain::error::{Class, Classify};
use crate::domain::id::InvalidId;
use crate::domain::package::RenderError;
use crate::domain::package::upgrade::UpgradeError;
use crate::ports::forge::ForgeError;
use crate::ports::git::GitError;
use crate::ports::revisions::RevisionError;
use crate::ports::state::StateError;

/// What a round can fail with; waiting and "nothing to do" are not among it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Another replica holds the lease.
    #[error("this replica does not hold the lease, so it does not write")]
    NotLeader,
    /// An object in the management cluster refers to something that is not there.
    #[error("{what} refers to {kind} {name}, which does not exist")]
    Reference {
        /// What refers, such as `Sync core/upf`.
        what: String,
        /// The kind that is missing.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A name does not follow its rule.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// An object in the management cluster is not what its kind says.
    #[error("{what} cannot be read: {reason}")]
    Object {
        /// Which object.
        what: String,
        /// Why.
        reason: String,
    },
    /// What was asked for is not possible as things are.
    #[error("{what} is not possible: {reason}")]
    Refused {
        /// What was asked for.
        what: String,
        /// Why, and what to do.
        reason: String,
    },
    /// A package does not render.
    #[error("cannot render {package}: {source}")]
    Render {
        /// Which package.
        package: String,
        /// Why.
        source: RenderError,
    },
    /// What was changed in a package cannot be kept.
    #[error("cannot bring what was changed in {package} to {to}: {source}")]
    Upgrade {
        /// Which package.
        package: String,
        /// The revision of its blueprint.
        to: String,
        /// Why.
        source: UpgradeError,
    },
    /// A package revision could not be read or moved.
    #[error(transparent)]
    Revision(#[from] RevisionError),
    /// A proposal could not be read or moved.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// A repository failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A cluster failed or refused.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// History could not be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

impl EngineError {
    /// Whether it is for want of credentials that a repository cannot be read.
    #[must_use]
    pub fn is_sign_in(&self) -> bool {
        let is_git = |error: &GitError| matches!(error, GitError::SignIn { .. } | GitError::Denied { .. });
        match self {
            Self::Git(error) | Self::Revision(RevisionError::Git(error)) => is_git(error),
            Self::Revision(RevisionError::Registry { class, .. }) => matches!(class, Class::Denied),
            _ => false,
        }
    }

    /// Why nothing is made from a blueprint, when that is what failed: what was made from it before goes on as it is.
    #[must_use]
    pub const fn concerns_blueprint(&self) -> bool {
        match self {
            Self::Render { .. } | Self::Upgrade { .. } => true,
            Self::Revision(error) => error.concerns_source(),
            _ => false,
        }
    }
}

impl Classify for EngineError {
    fn class(&self) -> Class {
        match self {
            Self::NotLeader => Class::Transient,
            Self::Reference { .. } => Class::NotFound,
            Self::Id(_) | Self::Object { .. } | Self::Refused { .. } | Self::Render { .. } | Self::Upgrade { .. } => {
                Class::Invalid
            }
            Self::Revision(error) => error.class(),
            Self::Forge(error) => error.class(),
            Self::Git(error) => error.class(),
            Self::Cluster(error) => error.class(),
            Self::State(error) => error.class(),
        }
    }
}
