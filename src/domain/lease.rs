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

/// A Lease as this process saw it, and since when it has looked like that. Remote clocks are never compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The lease.
    pub record: LeaseRecord,
    /// When this process first saw it like this.
    pub since: Timestamp,
}

impl Observed {
    /// Takes a new look: the instant moves only when the lease changed.
    #[must_use]
    pub fn after(previous: Option<Self>, record: LeaseRecord, now: Timestamp) -> Self {
        match previous {
            Some(previous) if previous.record == record => previous,
            _ => Self { record, since: now },
        }
    }
}

/// What an elector does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Write this lease: it is free, expired or ours.
    Write(LeaseRecord),
    /// Somebody else holds it.
    Wait,
}

/// Decides as client-go does: a lease is taken when nobody holds it or when it did not change for its whole duration.
#[must_use]
pub fn decide(observed: Option<&Observed>, identity: &str, now: Timestamp, timing: &Timing) -> Act {
    let fresh = LeaseRecord {
        holder: Some(identity.to_owned()),
        transitions: 0,
        renewed: Some(now),
        acquired: Some(now),
        duration_seconds: timing.lease.as_secs(),
        resource_version: String::new(),
    };
    let Some(observed) = observed else { return Act::Write(fresh) };
    let record = &observed.record;
    let holder = record.holder.as_deref().filter(|holder| !holder.is_empty());
    let expired = now >= observed.since + SignedDuration::from_secs(record.duration_seconds);
    match holder {
        Some(holder) if holder == identity => {
            Act::Write(LeaseRecord { renewed: Some(now), duration_seconds: fresh.duration_seconds, ..record.clone() })
        }
        Some(_) if !expired => Act::Wait,
        _ => Act::Write(LeaseRecord {
            transitions: record.transitions + 1,
            resource_version: record.resource_version.clone(),
            ..fresh
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn held(by: &str) -> LeaseRecord {
        LeaseRecord { holder: Some(by.into()), duration_seconds: 15, transitions: 3, ..LeaseRecord::default() }
    }

    #[test]
    fn a_lease_is_taken_only_when_it_stood_still_for_its_duration() {
        let seen = Observed::after(None, held("other"), at(100));
        assert_eq!(decide(Some(&seen), "me", at(114), &Timing::default()), Act::Wait);
        let Act::Write(taken) = decide(Some(&seen), "me", at(115), &Timing::default()) else { panic!("not taken") };
        assert_eq!((taken.holder.as_deref(), taken.transitions), (Some("me"), 4));
        let renewed = LeaseRecord { renewed: Some(at(114)), ..held("other") };
        let seen = Observed::after(Some(seen), renewed, at(114));
        assert_eq!(decide(Some(&seen), "me", at(120), &Timing::default()), Act::Wait);
    }

    #[test]
    fn ours_is_renewed_without_a_transition_and_a_free_one_is_taken() {
        let seen = Observed::after(None, held("me"), at(100));
        let Act::Write(renewed) = decide(Some(&seen), "me", at(101), &Timing::default()) else { panic!("not renewed") };
        assert_eq!((renewed.transitions, renewed.renewed), (3, Some(at(101))));
        assert!(matches!(decide(None, "me", at(0), &Timing::default()), Act::Write(_)));
        let released = Observed::after(None, LeaseRecord { holder: None, ..held("x") }, at(100));
        assert!(matches!(decide(Some(&released), "me", at(100), &Timing::default()), Act::Write(_)));
    }

    #[test]
    fn a_claim_ends_before_the_lease_can_be_taken() {
        let timing = Timing::default();
        let claim = Claim::after_renewal(&held("me"), "me", at(100), &timing).unwrap();
        assert!(claim.check(at(109)).is_ok() && claim.check(at(110)).is_err());
        assert!(Claim::after_renewal(&held("other"), "me", at(100), &timing).is_none());
        assert!(timing.renew_deadline < timing.lease);
    }
}
