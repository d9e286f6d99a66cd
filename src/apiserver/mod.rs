//! The embedded Kubernetes API server.

pub mod builtin;
pub mod discovery;
pub mod gc;
pub mod kinds;
pub mod openapi;
pub mod persist;
pub mod store;
pub mod table;
pub mod workloads;
