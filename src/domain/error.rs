//! The one classification of failures that crosses every edge: requeue, HTTP status, exit code and metric label
//! are derived from it and from nothing else.

use std::fmt;

/// What kind of failure this is, and so who can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The input is wrong; the same input fails again.
    Invalid,
    /// A named thing does not exist.
    NotFound,
    /// Somebody else changed it first; read again, decide again.
    Conflict,
    /// The caller may not do this.
    Denied,
    /// The outside did not answer properly; the same act may succeed later.
    Transient,
    /// Our own defect.
    Bug,
}

impl Class {
    /// The label used in metrics and machine-readable output.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Denied => "denied",
            Self::Transient => "transient",
            Self::Bug => "bug",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// An error that knows its [`Class`].
pub trait Classify {
    /// The class that decides what happens next.
    fn class(&self) -> Class;
}
