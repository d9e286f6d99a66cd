//! When a proof of health is complete: healthy for long enough, before the deadline.

use super::{Health, State};
use crate::domain::time::{SignedDuration, Timestamp};

/// The windows of one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watchfulness {
    /// How long it must stay healthy.
    pub stable_for: SignedDuration,
    /// How long it may take in all.
    pub timeout: SignedDuration,
    /// When applying began.
    pub began_at: Timestamp,
    /// Since when it is healthy without a break, as far as was seen.
    pub healthy_since: Option<Timestamp>,
}

/// What the windows say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Look again after this time at the latest.
    Waiting(SignedDuration),
    /// It was healthy for long enough.
    Healthy,
    /// It failed, or took too long.
    Failed(String),
}

impl Watchfulness {
    /// Takes a look into account.
    pub fn advance(&mut self, now: Timestamp, health: &Health) -> Verdict {
        if health.state == State::Failed {
            return Verdict::Failed(health.message.clone());
        }
        if health.state == State::Healthy {
            let since = *self.healthy_since.get_or_insert(now);
            let left = self.stable_for - now.duration_since(since);
            return if left <= SignedDuration::ZERO { Verdict::Healthy } else { Verdict::Waiting(left) };
        }
        self.healthy_since = None;
        let left = self.timeout - now.duration_since(self.began_at);
        if left <= SignedDuration::ZERO {
            let seconds = self.timeout.as_secs();
            return Verdict::Failed(format!("not healthy within {seconds} s: {}", health.message));
        }
        Verdict::Waiting(left)
    }
}
