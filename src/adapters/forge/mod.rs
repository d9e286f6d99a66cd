//! Forges: where people approve.

mod local;

pub use local::LocalForge;
