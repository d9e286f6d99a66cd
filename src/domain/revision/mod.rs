//! Package revisions as data: names, lifecycle, and how a revision maps to refs, trees and commit messages.

pub mod classify;
mod lifecycle;
pub mod message;
pub mod names;
pub mod number;
pub mod refs;

pub use lifecycle::Lifecycle;
