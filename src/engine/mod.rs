//! One round: gather, plan, gate, propose, publish, apply, record. The engine carries out what the domain decided; it
//! names no adapter.

pub mod agenda;
pub mod apply;
pub mod candidate;
pub mod confirm;
mod contest;
pub mod controllers;
mod definitions;
mod drift;
mod error;
pub mod gather;
pub mod handle;
pub mod leader;
mod leave;
pub mod observe;
pub mod planning;
pub mod propose;
pub mod reconcile;
pub mod renders;
pub mod retire;
mod rollback;
pub mod rollout;
mod status;
pub mod targets;
pub mod verify;

use std::sync::Arc;

use tokio::sync::watch;

pub use error::EngineError;

use crate::cluster::Cluster;
use crate::domain::krm::Schemas;
use crate::domain::lease::Claim;
use crate::domain::time::{SignedDuration, Timestamp};
use crate::ports::clock::Clock;
use crate::ports::repositories::Repositories;
use crate::ports::state::StateStore;
use crate::telemetry::Metrics;
use targets::Targets;

/// Field manager of everything that Loggia applies.
pub const MANAGER: &str = "loggia";

/// What every round needs. Built once, by the composition root.
pub struct Engine {
    /// The cluster that holds Syncs, Targets, Repositories and intents.
    pub management: Cluster,
    /// Opens git repositories, package stores and forges.
    pub repositories: Arc<dyn Repositories>,
    /// History and holds.
    pub state: Arc<dyn StateStore>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Proof of leadership, when there is one.
    pub claims: watch::Receiver<Option<Claim>>,
    /// Clusters that packages are applied to.
    pub targets: Targets,
    /// What renders packages.
    pub renderer: Arc<renders::Renderer>,
    /// Schemas of built-in kinds.
    pub schemas: Schemas,
    /// States that were read already.
    pub states: reconcile::StateCache,
    /// What is counted.
    pub metrics: Metrics,
    /// Timing that a Sync does not set itself.
    pub settings: Settings,
}

/// Timing that a Sync does not set itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a unit has to stay healthy. Default 30 s.
    pub stable_for: SignedDuration,
    /// How long a unit may take to become healthy. Default 5 min.
    pub health_timeout: SignedDuration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { stable_for: SignedDuration::from_secs(30), health_timeout: SignedDuration::from_mins(5) }
    }
}

/// How a round ended; errors are only errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is left to do until something changes.
    Settled,
    /// Something is under way; look again after this time at the latest.
    Waiting {
        /// For what, or for whom.
        reason: String,
        /// When to look again; none: only when something changes.
        after: Option<SignedDuration>,
    },
    /// It cannot go on; only a change by somebody helps.
    Blocked {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// One word for metrics and logs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Waiting { .. } => "waiting",
            Self::Blocked { .. } => "blocked",
        }
    }
}

impl Engine {
    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The present proof of leadership.
    ///
    /// # Errors
    /// [`EngineError::NotLeader`] when this process holds no lease.
    pub fn claim(&self) -> Result<Claim, EngineError> {
        self.claims.borrow().clone().ok_or(EngineError::NotLeader)
    }
}
