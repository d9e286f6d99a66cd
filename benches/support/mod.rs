//! What benches share: the right to write, for as long as a bench runs, and a target to write to.

#![allow(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

use loggia::domain::intent::target::{Target, TargetSpec};
use loggia::domain::lease::{Claim, LeaseRecord, Timing};
use loggia::domain::time::{SignedDuration, Timestamp};

/// A claim that lasts an hour.
pub(crate) fn claim() -> Claim {
    let lease = LeaseRecord {
        holder: Some("bench".to_owned()),
        transitions: 0,
        renewed: None,
        acquired: None,
        duration_seconds: 3600,
        resource_version: String::new(),
    };
    let timing = Timing { renew_deadline: SignedDuration::from_hours(1), ..Timing::default() };
    Claim::after_renewal(&lease, "bench", Timestamp::now(), &timing).unwrap()
}

/// The management cluster as a target.
pub(crate) fn target() -> Target {
    let mut target = Target::new("bench", TargetSpec { kubeconfig_secret: None });
    target.metadata.namespace = Some("default".to_owned());
    target
}
