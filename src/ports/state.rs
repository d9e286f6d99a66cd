//! What neither Git nor a cluster can tell: history and holds. It can be rebuilt, so losing it is safe.

use async_trait::async_trait;

use crate::domain::error::{Class, Classify};
use crate::domain::id::NamespacedName;
use crate::domain::lease::{Claim, ClaimExpired};
use crate::domain::rollout::SyncState;

/// A versioned value: `version` goes back into [`StateStore::put`].
#[derive(Debug, Clone, PartialEq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Opaque version; empty when nothing is stored yet.
    pub version: String,
}

/// What a store fails to do.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Somebody else wrote since it was read.
    #[error("state of {0} changed since it was read")]
    Conflict(NamespacedName),
    /// What is stored cannot be read.
    #[error("state of {sync} cannot be read: {reason}")]
    Damaged {
        /// Whose state.
        sync: NamespacedName,
        /// Why.
        reason: String,
    },
    /// Our claim to write ran out.
    #[error(transparent)]
    Claim(#[from] ClaimExpired),
    /// The store did not answer.
    #[error("{act} state of {sync} failed: {reason}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// Whose state.
        sync: NamespacedName,
        /// Why.
        reason: String,
    },
}

impl Classify for StateError {
    fn class(&self) -> Class {
        match self {
            Self::Conflict(_) => Class::Conflict,
            Self::Damaged { .. } => Class::Bug,
            Self::Claim(_) | Self::Io { .. } => Class::Transient,
        }
    }
}

/// History and holds of Syncs. Writes are compare-and-swap.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// The state of a Sync; default when nothing is stored.
    async fn get(&self, sync: &NamespacedName) -> Result<Versioned<SyncState>, StateError>;

    /// Stores the state when it is still at `state.version`; returns the new version.
    async fn put(
        &self,
        claim: Option<&Claim>,
        sync: &NamespacedName,
        state: &Versioned<SyncState>,
    ) -> Result<String, StateError>;

    /// Forgets a Sync.
    async fn delete(&self, claim: &Claim, sync: &NamespacedName) -> Result<(), StateError>;
}
