//! Leadership as arithmetic over a Lease: who may write, until when. The proof is a [`Claim`].

use crate::domain::time::{SignedDuration, Timestamp};

/// Timing of the leader election, as client-go names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How long a lease that is not renewed stays with its holder. Default 15 s.
    pub lease: SignedDuration,
    /// How long the holder may go on writing after its last renewal. Default 10 s; shorter than `lease`.
    pub renew_deadline: SignedDuration,
    /// How often to renew or to look. Default 2 s.
    pub retry: SignedDuration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: SignedDuration::from_secs(15),
            renew_deadline: SignedDuration::from_secs(10),
            retry: SignedDuration::from_secs(2),
        }
    }
}

/// Proof that this process held the Lease when it last looked, and the instant after which the proof is void.
/// Every external write asks for one; only [`Claim::after_renewal`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    holder: String,
    epoch: u64,
    deadline: Timestamp,
}

/// The claim ran out before the write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{holder} held the lease until {deadline} and may not write at {now}")]
pub struct ClaimExpired {
    /// Who held it.
    pub holder: String,
    /// Until when.
    pub deadline: Timestamp,
    /// When the write was tried.
    pub now: Timestamp,
}

impl Claim {
    /// The claim that follows from a Lease which the API server has just confirmed as ours.
    ///
    /// `requested_at` is the instant *before* the renewal was sent, so that a slow answer shortens the claim.
    #[must_use]
    pub fn after_renewal(
        lease: &LeaseRecord,
        identity: &str,
        requested_at: Timestamp,
        timing: &Timing,
    ) -> Option<Self> {
        (lease.holder.as_deref() == Some(identity)).then(|| Self {
            holder: identity.to_owned(),
            epoch: lease.transitions,
            deadline: requested_at + timing.renew_deadline,
        })
    }

    /// Whether a write may start at `now`.
    ///
    /// # Errors
    /// [`ClaimExpired`] when the deadline has passed.
    pub fn check(&self, now: Timestamp) -> Result<(), ClaimExpired> {
        if now < self.deadline {
            Ok(())
        } else {
            Err(ClaimExpired { holder: self.holder.clone(), deadline: self.deadline, now })
        }
    }

    /// Who holds it.
    #[must_use]
    pub fn holder(&self) -> &str {
        &self.holder
    }

    /// How often the Lease changed hands; never decreases.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// The fields of a `coordination.k8s.io/v1` Lease that the election reads and writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaseRecord {
    /// `spec.holderIdentity`.
    pub holder: Option<String>,
    /// `spec.leaseTransitions`.
    pub transitions: u64,
    /// `spec.renewTime`.
    pub renewed: Option<Timestamp>,
    /// `spec.acquireTime`.
    pub acquired: Option<Timestamp>,
    /// `spec.leaseDurationSeconds`.
    pub duration_seconds: i64,
    /// `metadata.resourceVersion`.
    pub resource_version: String,
}
