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

impl Lifecycle {
    /// Whether a plain update may move a revision from here to `to`; staying is always allowed.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        use Lifecycle::{DeletionProposed, Draft, Proposed, Published};
        matches!(
            (self, to),
            (Draft | Proposed, Draft | Proposed) | (Published | DeletionProposed, Published | DeletionProposed)
        )
    }

    /// Whether an approver's decision may move a revision from here to `to`.
    #[must_use]
    pub const fn may_be_decided(self, to: Self) -> bool {
        use Lifecycle::{DeletionProposed, Draft, Proposed, Published};
        matches!(
            (self, to),
            (Proposed, Published | Draft) | (Published, DeletionProposed) | (DeletionProposed, Published)
        )
    }

    /// Whether a revision in this state may be deleted.
    #[must_use]
    pub const fn may_be_deleted(self) -> bool {
        !matches!(self, Self::Published)
    }
}

#[cfg(test)]
mod tests {
    use super::Lifecycle::{self, DeletionProposed, Draft, Proposed, Published};

    /// Rows and columns as in Porch's matrix: m = plain update, a = approval, b = both, . = refused.
    #[test]
    fn the_matrix_is_porchs() {
        let order = [Draft, Proposed, Published, DeletionProposed];
        let table = ["mm..", "bma.", "..mb", "..bm"];
        for (from, row) in order.iter().zip(table) {
            for (to, cell) in order.iter().zip(row.chars()) {
                let expected = (matches!(cell, 'm' | 'b'), matches!(cell, 'a' | 'b'));
                assert_eq!((from.may_become(*to), from.may_be_decided(*to)), expected, "{from} -> {to}");
            }
        }
        let deletable: Vec<Lifecycle> = order.into_iter().filter(|state| state.may_be_deleted()).collect();
        assert_eq!(deletable, [Draft, Proposed, DeletionProposed]);
    }
}
