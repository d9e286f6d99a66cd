//! One object's part in a plan.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::id::Digest;
use crate::domain::krm::diff::line_of;
use crate::domain::krm::{Change, Grade, Gvk, ObjectId};

/// One field of a patch, as it is printed, stored and compared; secret values are hidden before it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// Where, such as `.spec.template.spec.containers[name="upf"].image`.
    pub path: String,
    /// What is there now; none when nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What will be there; none when nothing will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl From<Change> for FieldChange {
    fn from(change: Change) -> Self {
        Self { path: change.path.to_string(), before: change.before, after: change.after }
    }
}

impl std::fmt::Display for FieldChange {
    /// `~ .spec.replicas: 2 -> 3`, `+ path: value`, `- path: value`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&line_of(&self.path, self.before.as_ref(), self.after.as_ref()).unwrap_or_default())
    }
}

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
        changes: Vec<FieldChange>,
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
