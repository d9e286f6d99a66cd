//! Forges: where proposals live and people decide.
//!
//! [`LocalForge`] needs nothing but the git repository itself: with no forge at all, Git is the forge.

mod body;
mod local;
mod none;
mod rules;
mod stored;

pub use local::LocalForge;
pub use none::NoForge;

#[cfg(test)]
mod tests;
