//! Implementations of the ports. Adapters never import each other.

pub mod forge;
pub mod git;
