//! Reasons not to go on without a person.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::krm::Mask;

/// A reason not to go on. Some can be agreed to by approving the plan that shows them, others must be removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "guard")]
pub enum Guard {
    /// More deletions than the policy allows.
    #[serde(rename_all = "camelCase")]
    PruneLimit {
        /// How many objects would go.
        deletes: usize,
        /// How many the unit owns.
        owned: usize,
        /// The policy, such as `50%`.
        limit: String,
    },
    /// Deleting it takes data or other objects with it: `PersistentVolumeClaim`, Namespace, CRD.
    #[serde(rename_all = "camelCase")]
    DestroysData {
        /// Which object.
        object: String,
    },
    /// Nothing is declared although the unit owns objects; an empty render never prunes.
    #[serde(rename_all = "camelCase")]
    EmptySet {
        /// How many objects the unit owns.
        owned: usize,
    },
    /// The target was not seen whole.
    #[serde(rename_all = "camelCase")]
    PartialView {
        /// Why.
        reason: String,
    },
    /// The object belongs to another set or another Sync.
    #[serde(rename_all = "camelCase")]
    ForeignOwner {
        /// Which object.
        object: String,
        /// Who owns it.
        owner: String,
    },
    /// Another field manager owns a field with another value, and the policy is `stop`.
    #[serde(rename_all = "camelCase")]
    FieldConflict {
        /// Which object.
        object: String,
        /// Who owns the field.
        manager: String,
        /// Which field.
        field: String,
    },
    /// The target does not serve this kind and the package brings no CRD for it.
    #[serde(rename_all = "camelCase")]
    UnknownKind {
        /// Which object.
        object: String,
        /// Its kind.
        kind: String,
    },
    /// What an apply would do cannot be foretold.
    #[serde(rename_all = "camelCase")]
    Unpredictable {
        /// Which object.
        object: String,
        /// Why.
        reason: String,
    },
    /// The object does not fit its schema, or the target said in a dry run that it would refuse: validation, admission,
    /// or a field that may not change.
    #[serde(rename_all = "camelCase")]
    Refused {
        /// Which object.
        object: String,
        /// The server's words.
        reason: String,
    },
    /// A field that the schema does not have. A target of another version may have it.
    #[serde(rename_all = "camelCase")]
    UnknownField {
        /// Which object.
        object: String,
        /// Which field.
        field: String,
    },
    /// The object says no namespace although those of its kind are in one.
    #[serde(rename_all = "camelCase")]
    NoNamespace {
        /// Which object.
        object: String,
    },
    /// The namespace does not exist on the target and the package does not bring it.
    #[serde(rename_all = "camelCase")]
    NamespaceMissing {
        /// Which namespace.
        namespace: String,
    },
}

impl Guard {
    /// The guard with what Secrets hold hidden in the words of others.
    #[must_use]
    pub(super) fn masked(self, mask: &Mask) -> Self {
        match self {
            Self::Refused { object, reason } => Self::Refused { object, reason: mask.text(&reason) },
            Self::Unpredictable { object, reason } => Self::Unpredictable { object, reason: mask.text(&reason) },
            Self::FieldConflict { object, manager, field } => {
                Self::FieldConflict { object, manager, field: mask.text(&field) }
            }
            Self::UnknownField { object, field } => Self::UnknownField { object, field: mask.text(&field) },
            other => other,
        }
    }

    /// Whether approving a plan that shows this guard is enough to go on.
    #[must_use]
    pub const fn yields_to_approval(&self) -> bool {
        matches!(self, Self::PruneLimit { .. } | Self::DestroysData { .. } | Self::UnknownField { .. })
    }

    /// What a person can do about it.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        match self {
            Self::PruneLimit { .. } => "approve the plan that shows it, or raise spec.apply.pruneLimit",
            Self::DestroysData { .. } => {
                "approve the plan that shows it, or annotate the object loggia.dev/prune: disabled"
            }
            Self::EmptySet { .. } => "delete the intent to remove everything, or repair the package",
            Self::PartialView { .. } => "make the target readable; it is tried again",
            Self::ForeignOwner { .. } => "rename the object, or remove the other owner's label",
            Self::FieldConflict { .. } => "agree on one owner, set spec.apply.conflicts, or ignore the field",
            Self::UnknownKind { .. } => "install the CRD on the target, or add it to the package",
            Self::Unpredictable { .. } => "repair the object's managedFields on the target",
            Self::Refused { .. } => "change what is named, or delete the object so that it is created anew",
            Self::UnknownField { .. } => {
                "correct its name; if the target's version has it, approve the plan that shows it"
            }
            Self::NoNamespace { .. } => "say its namespace in the package, for example by the function set-namespace",
            Self::NamespaceMissing { .. } => "create the namespace on the target, or add it to the package",
        }
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PruneLimit { deletes, owned, limit } => {
                write!(f, "{deletes} of {owned} objects would be deleted; the limit is {limit}")
            }
            Self::DestroysData { object } => write!(f, "deleting {object} destroys what is in it"),
            Self::EmptySet { owned } => {
                write!(f, "nothing is declared but {owned} objects are owned; nothing is pruned")
            }
            Self::PartialView { reason } => write!(f, "the target was not seen whole: {reason}"),
            Self::ForeignOwner { object, owner } => write!(f, "{object} belongs to {owner}"),
            Self::FieldConflict { object, manager, field } => write!(f, "{manager} owns {field} of {object}"),
            Self::UnknownKind { object, kind } => write!(f, "{object}: the target does not know kind {kind}"),
            Self::Unpredictable { object, reason } => write!(f, "{object}: {reason}"),
            Self::Refused { object, reason } => write!(f, "the target would refuse {object}: {reason}"),
            Self::UnknownField { object, field } => write!(f, "{object} has no field {field} in its schema"),
            Self::NoNamespace { object } => write!(f, "{object} says no namespace, and objects of its kind are in one"),
            Self::NamespaceMissing { namespace } => write!(f, "namespace {namespace} does not exist on the target"),
        }
    }
}
