//! Implementations of the ports. Adapters never import each other.

pub mod clock;
mod family;
pub mod forge;
pub mod functions;
pub mod git;
mod keeper;
pub mod native;
pub mod oci;
mod program;
mod reach;
pub mod scratch;
pub mod secret;
pub mod state;

/// Git as a person runs it, for the tests of several adapters.
#[cfg(test)]
#[path = "../../tests/support/git.rs"]
mod person;

#[cfg(test)]
#[path = "../../tests/support/script.rs"]
mod script;
