//! What an API server answers when it does not do what was asked.

use kube::core::Status;

use crate::domain::error::{Class, Classify};
use crate::domain::lease::ClaimExpired;

/// One field that another manager owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldConflict {
    /// Field, such as `.spec.replicas`.
    pub field: String,
    /// The API server's words, which name the manager.
    pub message: String,
}

/// Why a request did not succeed; each variant says which act failed, on what, where.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClusterError {
    /// The connection cannot be made from what was given.
    #[error("cannot connect to cluster {cluster}: {reason}")]
    Connect {
        /// Which cluster.
        cluster: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The server does not answer.
    #[error("{cluster} does not answer: {act} {what}: {reason}")]
    Unreachable {
        /// Which cluster.
        cluster: String,
        /// What was tried.
        act: &'static str,
        /// On what.
        what: String,
        /// Why.
        reason: String,
    },
    /// Other managers own fields that would change.
    #[error("{cluster}: cannot apply {what}: {}", conflicts.iter().map(|c| format!("{} ({})", c.message, c.field)).collect::<Vec<_>>().join("; "))]
    Conflict {
        /// Which cluster.
        cluster: String,
        /// Which object.
        what: String,
        /// Every field.
        conflicts: Vec<FieldConflict>,
    },
    /// The object changed since it was read, or exists already.
    #[error("{cluster}: cannot {act} {what}: {reason}")]
    Changed {
        /// Which cluster.
        cluster: String,
        /// What was tried.
        act: &'static str,
        /// On what.
        what: String,
        /// The server's words.
        reason: String,
    },
    /// The server refuses the content.
    #[error("{cluster}: cannot {act} {what}: {reason}")]
    Invalid {
        /// Which cluster.
        cluster: String,
        /// What was tried.
        act: &'static str,
        /// On what.
        what: String,
        /// The server's words.
        reason: String,
        /// Fields that the server names.
        fields: Vec<String>,
    },
    /// The account may not do it.
    #[error("{cluster}: not allowed to {act} {what}: {reason}")]
    Forbidden {
        /// Which cluster.
        cluster: String,
        /// What was tried.
        act: &'static str,
        /// On what.
        what: String,
        /// The server's words.
        reason: String,
    },
    /// The kind, namespace or object is not there.
    #[error("{cluster}: cannot {act} {what}: {reason}")]
    NotFound {
        /// Which cluster.
        cluster: String,
        /// What was tried.
        act: &'static str,
        /// On what.
        what: String,
        /// The server's words.
        reason: String,
    },
    /// The server asks to be left alone for a while, or fails in itself.
    #[error("{cluster}: {act} {what} failed, but may succeed later: {reason}")]
    Busy {
        /// Which cluster.
        cluster: String,
        /// What was tried.
        act: &'static str,
        /// On what.
        what: String,
        /// The server's words.
        reason: String,
        /// How long to wait, when the server says so.
        retry_after_seconds: Option<u32>,
    },
    /// Our claim to write ran out; nothing was sent.
    #[error(transparent)]
    Claim(#[from] ClaimExpired),
}

impl Classify for ClusterError {
    fn class(&self) -> Class {
        match self {
            Self::Connect { .. } | Self::Invalid { .. } => Class::Invalid,
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Claim(_) => Class::Transient,
            Self::Conflict { .. } | Self::Changed { .. } => Class::Conflict,
            Self::Forbidden { .. } => Class::Denied,
            Self::NotFound { .. } => Class::NotFound,
        }
    }
}

impl ClusterError {
    /// Whether the cluster as a whole is out of reach.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Connect { .. })
    }
}

/// Who asked for what, to put in front of the server's answer.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) cluster: String,
    pub(super) act: &'static str,
    pub(super) what: String,
}

impl Asked {
    pub(super) fn failed(self, error: kube::Error) -> ClusterError {
        match error {
            kube::Error::Api(status) => self.answered(&status),
            other => {
                let reason = chain(&other);
                ClusterError::Unreachable { cluster: self.cluster, act: self.act, what: self.what, reason }
            }
        }
    }

    fn answered(self, status: &Status) -> ClusterError {
        let Self { cluster, act, what } = self;
        let reason = status.message.clone();
        let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
        match status.code {
            409 if causes.iter().any(|cause| cause.reason == "FieldManagerConflict") => {
                let conflict = |cause: &kube::core::response::StatusCause| FieldConflict {
                    field: cause.field.clone(),
                    message: cause.message.clone(),
                };
                ClusterError::Conflict { cluster, what, conflicts: causes.iter().map(conflict).collect() }
            }
            409 => ClusterError::Changed { cluster, act, what, reason },
            401 | 403 => ClusterError::Forbidden { cluster, act, what, reason },
            404 | 410 => ClusterError::NotFound { cluster, act, what, reason },
            // What does not fit the schema is told by apply as if the server had failed.
            500 if reason.contains("failed to create typed patch object") => {
                ClusterError::Invalid { cluster, act, what, reason, fields: Vec::new() }
            }
            429 | 500.. => {
                let after = status.details.as_ref().map(|details| details.retry_after_seconds).filter(|s| *s > 0);
                ClusterError::Busy { cluster, act, what, reason, retry_after_seconds: after }
            }
            _ => {
                let fields = causes.iter().map(|cause| cause.field.clone()).collect();
                ClusterError::Invalid { cluster, act, what, reason, fields }
            }
        }
    }

    pub(super) fn timed_out(self, seconds: u64) -> ClusterError {
        let reason = format!("no answer within {seconds} s");
        ClusterError::Unreachable { cluster: self.cluster, act: self.act, what: self.what, reason }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = inner.source();
    }
    text
}
