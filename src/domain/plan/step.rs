//! One object's part in a plan.

use serde::{Deserialize, Serialize};

use crate::domain::id::Digest;
use crate::domain::krm::predict::Grade;
use crate::domain::krm::{Change, Gvk, ObjectId};

/// What happens to an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "action")]
pub enum Action {
    /// It does not exist and will.
    Create {
        /// Digest over what will be created.
        content: Digest,
    },
    /// Some fields change.
    Patch {
        /// Which, and how. Secret values are masked.
        changes: Vec<Change>,
    },
    /// It goes.
    Delete,
    /// It is as declared.
    Keep,
    /// It is left alone.
    Skip {
        /// Why.
        reason: String,
    },
}

/// One object, what happens to it, and how that was found out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Which object.
    pub object: ObjectId,
    /// Its kind and version.
    pub kind: Gvk,
    /// What happens.
    #[serde(flatten)]
    pub action: Action,
    /// How the prediction was made.
    pub grade: Grade,
    /// `file:line` in the package; none for deletions.
    pub origin: Option<String>,
}

impl Step {
    /// Whether the step writes to the target.
    #[must_use]
    pub const fn writes(&self) -> bool {
        matches!(self.action, Action::Create { .. } | Action::Patch { .. } | Action::Delete)
    }

    /// What an approval of this step is bound to: identity and action with its field changes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        // Serialising plain data to JSON cannot fail.
        let text = serde_json::to_string(&(&self.object, &self.action)).unwrap_or_default();
        Digest::of(text.as_bytes())
    }

    /// The symbol in front of its line: `+ ~ - = !`.
    #[must_use]
    pub const fn symbol(&self) -> char {
        match self.action {
            Action::Create { .. } => '+',
            Action::Patch { .. } => '~',
            Action::Delete => '-',
            Action::Keep => '=',
            Action::Skip { .. } => '!',
        }
    }
}
