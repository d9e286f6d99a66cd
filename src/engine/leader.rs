//! Leader election on a Lease: every replica thinks, only the holder writes.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, ClusterError};
use crate::domain::krm::{Gvk, Object};
use crate::domain::lease::{Act, Claim, LeaseRecord, Observed, Timing, decide};
use crate::domain::time::{Timestamp, rfc3339_micros};
use crate::ports::clock::Clock;

/// Takes part in an election until it is stopped.
///
/// # Flow
/// Looks at the Lease every `timing.retry`; takes or renews it by compare-and-swap; publishes a [`Claim`] whose
/// deadline counts from before the request. [`Elector::run`] ends when `stop` is cancelled, after releasing the Lease.
///
/// # Guarantees
/// A claim ends before anybody else can take the Lease, even when this process stands still in between.
pub struct Elector {
    /// Where the Lease is.
    pub cluster: Cluster,
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Name of this process in it.
    pub identity: String,
    /// Timing.
    pub timing: Timing,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// When the Lease was looked at last: as long as that goes on, this process makes progress.
    pub looked: watch::Sender<Option<Timestamp>>,
}

fn kind() -> Gvk {
    Gvk::new("coordination.k8s.io", "v1", "Lease")
}

impl Elector {
    /// Runs until `stop`; the claim of the moment is in `claims`.
    pub async fn run(self, claims: watch::Sender<Option<Claim>>, stop: CancellationToken) {
        let retry = Duration::try_from(self.timing.retry).unwrap_or(Duration::from_secs(2));
        let mut observed = None;
        loop {
            match self.attempt(&mut observed).await {
                Ok(claim) => {
                    self.looked.send_replace(Some(self.clock.now()));
                    claims.send_replace(claim);
                }
                Err(error) => {
                    tracing::debug!(%error, "the lease could not be looked at");
                    let now = self.clock.now();
                    claims.send_if_modified(|claim| {
                        let expired = claim.as_ref().is_some_and(|claim| claim.check(now).is_err());
                        if expired {
                            *claim = None;
                        }
                        expired
                    });
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(retry) => {}
            }
        }
        claims.send_replace(None);
        self.release(observed).await;
    }

    async fn attempt(&self, observed: &mut Option<Observed>) -> Result<Option<Claim>, ClusterError> {
        let found = self.cluster.get(&kind(), &self.namespace, &self.name).await?;
        let now = self.clock.now();
        *observed = found.as_ref().map(|lease| Observed::after(observed.take(), record(lease), now));
        match decide(observed.as_ref(), &self.identity, now, &self.timing) {
            Act::Wait => Ok(None),
            Act::Write(wanted) => match self.write(&wanted).await {
                Ok(lease) => {
                    let record = record(&lease);
                    *observed = Some(Observed::after(observed.take(), record.clone(), self.clock.now()));
                    Ok(Claim::after_renewal(&record, &self.identity, now, &self.timing))
                }
                // Somebody else was faster; look again.
                Err(ClusterError::Changed { .. }) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    async fn write(&self, record: &LeaseRecord) -> Result<Object, ClusterError> {
        let time = |at: Option<Timestamp>| at.map_or(Value::Null, |at| json!(rfc3339_micros(at)));
        let mut lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "holderIdentity": record.holder, "leaseTransitions": record.transitions,
                "leaseDurationSeconds": record.duration_seconds,
                "renewTime": time(record.renewed), "acquireTime": time(record.acquired)
            }
        });
        let create = record.resource_version.is_empty();
        if !create {
            lease["metadata"]["resourceVersion"] = json!(record.resource_version);
        }
        let lease = Object::new(lease).map_err(|wrong| ClusterError::Connect {
            cluster: self.cluster.name().to_owned(),
            reason: format!("the lease {}/{} has no valid name: {wrong}", self.namespace, self.name),
        })?;
        if create { self.cluster.create(None, &lease).await } else { self.cluster.replace(None, &lease).await }
    }

    /// Lets go at once, so that nobody has to wait for the lease to expire.
    async fn release(&self, observed: Option<Observed>) {
        let Some(observed) = observed.filter(|o| o.record.holder.as_deref() == Some(self.identity.as_str())) else {
            return;
        };
        let freed = LeaseRecord { holder: Some(String::new()), duration_seconds: 1, ..observed.record };
        if let Err(error) = self.write(&freed).await {
            tracing::debug!(%error, "the lease was not released; it expires by itself");
        }
    }
}

fn record(lease: &Object) -> LeaseRecord {
    let spec = |field: &str| lease.value().pointer(&format!("/spec/{field}"));
    let time = |field: &str| spec(field).and_then(Value::as_str).and_then(|text| text.parse().ok());
    LeaseRecord {
        holder: spec("holderIdentity").and_then(Value::as_str).map(str::to_owned),
        transitions: spec("leaseTransitions").and_then(Value::as_u64).unwrap_or_default(),
        renewed: time("renewTime"),
        acquired: time("acquireTime"),
        duration_seconds: spec("leaseDurationSeconds").and_then(Value::as_i64).unwrap_or(15),
        resource_version: lease.resource_version().to_owned(),
    }
}
