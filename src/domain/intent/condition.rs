//! Conditions as `metav1.Condition` defines them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::time::{Timestamp, rfc3339_seconds};

/// One aspect of an object's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Which aspect, such as `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// One word in `CamelCase`.
    pub reason: String,
    /// A sentence for people, at most 1,024 bytes.
    pub message: String,
    /// When `status` changed last.
    pub last_transition_time: String,
    /// Generation that this is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// What a condition says, before it is known when it began to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Says {
    /// Which aspect.
    pub kind: &'static str,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// One word in `CamelCase`.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

impl Says {
    /// A condition that holds or does not.
    #[must_use]
    pub fn new(kind: &'static str, holds: bool, reason: &str, message: impl Into<String>) -> Self {
        Self { kind, status: if holds { "True" } else { "False" }, reason: reason.to_owned(), message: message.into() }
    }

    /// A condition nobody knows about right now.
    #[must_use]
    pub fn unknown(kind: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self { kind, status: "Unknown", reason: reason.to_owned(), message: message.into() }
    }
}

/// Conditions after `says`: a transition time moves only when its status does.
#[must_use]
pub fn folded(old: &[Condition], says: &[Says], generation: i64, now: Timestamp) -> Vec<Condition> {
    says.iter()
        .map(|new| {
            let same = old.iter().find(|old| old.kind == new.kind && old.status == new.status);
            Condition {
                kind: new.kind.to_owned(),
                status: new.status.to_owned(),
                reason: new.reason.clone(),
                message: cut(&new.message),
                last_transition_time: same.map_or_else(|| rfc3339_seconds(now), |old| old.last_transition_time.clone()),
                observed_generation: Some(generation),
            }
        })
        .collect()
}

fn cut(message: &str) -> String {
    let mut end = message.len().min(1024);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}
