//! Health of objects: kstatus rules, stricter where they would hide a fault, and the roll-up to the real fault.

mod kinds;
mod roll_up;
mod watchfulness;

pub use kinds::status_of;
pub use roll_up::roll_up;
pub use watchfulness::{Verdict, Watchfulness};

/// How an object is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It failed and will not get better by itself.
    Failed,
    /// It is going away.
    Terminating,
    /// It is on its way.
    Progressing,
    /// It does what it should.
    Healthy,
}

/// How an object is doing, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// How.
    pub state: State,
    /// Why, for people.
    pub message: String,
}

impl Health {
    pub(super) fn new(state: State, message: impl Into<String>) -> Self {
        Self { state, message: message.into() }
    }

    pub(super) fn healthy() -> Self {
        Self::new(State::Healthy, "")
    }
}

#[cfg(test)]
mod tests;
