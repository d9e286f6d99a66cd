//! The one gateway to Kubernetes APIs. Objects are JSON values, never typed structs; nothing is retried behind the
//! caller's back; every request is counted.

mod connect;
mod counts;
mod discover;
mod error;
mod mirror;
mod openapi;
mod read;
mod write;

use std::sync::Arc;

use tokio::sync::Mutex;

pub use counts::RequestCounts;
pub use error::{ClusterError, FieldConflict};
pub use mirror::{Mirror, Scope};
pub use read::{Listing, Resource};
pub use write::{Apply, Delete};

/// A connection to one Kubernetes API server.
#[derive(Clone)]
pub struct Cluster {
    name: String,
    client: kube::Client,
    counts: RequestCounts,
    resources: Arc<Mutex<discover::Resources>>,
}

impl Cluster {
    /// What this cluster is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The client, for controllers of kube-runtime.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        self.client.clone()
    }

    /// Requests sent so far.
    #[must_use]
    pub const fn requests(&self) -> &RequestCounts {
        &self.counts
    }
}
