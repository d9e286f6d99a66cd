//! The life of a package revision, as Porch defines it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a package revision is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lifecycle {
    /// May be edited.
    Draft,
    /// Waits for approval.
    Proposed,
    /// Never changes again.
    Published,
    /// Published, and waits for approval to be deleted.
    DeletionProposed,
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Draft => "Draft",
            Self::Proposed => "Proposed",
            Self::Published => "Published",
            Self::DeletionProposed => "DeletionProposed",
        })
    }
}
