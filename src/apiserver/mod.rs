//! The embedded Kubernetes API server.

pub mod builtin;
pub mod kinds;
pub mod persist;
pub mod store;
