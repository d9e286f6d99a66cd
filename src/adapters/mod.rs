//! Implementations of the ports. Adapters never import each other.

pub mod clock;
pub mod forge;
pub mod git;
pub mod native;
pub mod state;
