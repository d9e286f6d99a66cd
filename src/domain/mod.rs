//! Decisions: pure functions over plain values. Nothing here reads a clock, the environment, files or the network.

pub mod approval;
pub mod credentials;
pub mod error;
pub mod health;
pub mod hex;
pub mod host;
pub mod id;
pub mod intent;
pub mod inventory;
pub mod krm;
pub mod lease;
pub mod package;
pub mod placement;
pub mod plan;
pub mod revision;
pub mod rollout;
pub mod source;
pub mod time;
