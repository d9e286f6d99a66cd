//! Implementations of the ports. Adapters never import each other.

pub mod git;
pub mod native;
