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

/// Conditions after `says`, which is all there is to say: a transition time moves only when its status does.
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

/// The same for a part of what an object says: every other condition stays as it was, with its time.
#[must_use]
pub fn amended(old: &[Condition], says: &[Says], generation: i64, now: Timestamp) -> Vec<Condition> {
    let kept = old.iter().filter(|old| says.iter().all(|new| new.kind != old.kind));
    let mut conditions = folded(old, says, generation, now);
    conditions.extend(kept.cloned());
    conditions
}

fn cut(message: &str) -> String {
    let mut end = message.len().min(1024);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_spoken_of_stays_with_its_time() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let whole = [Says::new("Ready", true, "Settled", ""), Says::new("Drifted", true, "Compared", "")];
        let before = folded(&[], &whole, 1, at(10));
        let failed = amended(&before, &[Says::unknown("Ready", "RoundFailed", "no answer")], 2, at(20));
        let told: Vec<(&str, &str)> = failed.iter().map(|c| (c.kind.as_str(), c.status.as_str())).collect();
        assert_eq!(told, [("Ready", "Unknown"), ("Drifted", "True")]);
        assert_eq!(failed[1], before[1]);
        let after = folded(&failed, &whole, 2, at(30));
        assert_eq!(after[1].last_transition_time, before[1].last_transition_time, "it never changed");
        assert_eq!(after[0].last_transition_time, rfc3339_seconds(at(30)));
    }
}
