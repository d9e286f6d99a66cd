//! The life of a rollout on its targets, what is remembered of it, and what a failed one leads to.

mod contest;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::id::{Digest, PlanId, TargetName};
use crate::domain::time::Timestamp;

pub use self::contest::Contest;

/// What is remembered of a Sync: holds, per-target known-good, history.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncState {
    /// Declared digests that must not be deployed again, with the reason.
    pub holds: BTreeMap<Digest, Hold>,
    /// What is known of each target.
    pub units: BTreeMap<TargetName, UnitState>,
    /// What happened, oldest first; only ever appended to, the oldest beyond 200 records are dropped.
    pub history: Vec<Record>,
}

/// "Do not deploy this digest again."
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Why.
    pub reason: String,
    /// Who set it: a person, or `loggia` after a rollback.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Revision that failed, such as `v2`; empty when a person said so.
    pub revision: String,
    /// Whether a revert was drafted for it: what people made of that is their answer.
    #[serde(default)]
    pub reverted: bool,
}

impl Hold {
    /// Since when and why, for people: a rollback says what failed, a person why they hold it.
    #[must_use]
    pub fn told(&self) -> String {
        if self.revision.is_empty() {
            format!("held by {}: {}", self.by, self.reason)
        } else {
            format!("held since {} failed: {}", self.revision, self.reason)
        }
    }
}

/// What is known of one target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UnitState {
    /// The set that was applied and proved healthy last.
    pub known_good: Option<Applied>,
    /// The set that is being applied or was applied last.
    pub current: Option<Applied>,
    /// Since when `current` is healthy without a break.
    pub healthy_since: Option<Timestamp>,
    /// Whether `current` was reached by a rollback.
    pub rolled_back: bool,
    /// Whether that rollback is not carried out to its end yet.
    pub returning: bool,
    /// The objects that were written last.
    pub contest: Option<Contest>,
}

/// A rendered set on a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Revision of the package, such as 2 for `v2`.
    pub revision: i64,
    /// Digest over the declared objects.
    pub declared: Digest,
    /// The plan that brought it there.
    pub plan: PlanId,
    /// When it was proved healthy, or when applying began.
    pub at: Timestamp,
}

/// One line of history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: String,
    /// On which target; none for things that concern the whole Sync.
    pub target: Option<TargetName>,
    /// Revision, such as 2 for `v2`; 0 when none.
    pub revision: i64,
    /// Digest over the declared objects.
    pub declared: Option<Digest>,
    /// The plan.
    pub plan: Option<PlanId>,
    /// Who caused it.
    pub by: String,
    /// More, for people.
    pub message: String,
}

/// Most records kept in a history.
const HISTORY: usize = 200;

impl SyncState {
    /// Appends a record; the oldest beyond 200 are dropped.
    pub fn record(&mut self, record: Record) {
        self.history.push(record);
        let excess = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..excess);
    }

    /// Targets that got a set, in order of name.
    #[must_use]
    pub fn holders(&self) -> Vec<TargetName> {
        self.units.iter().filter(|(_, unit)| unit.current.is_some()).map(|(name, _)| name.clone()).collect()
    }

    /// The newest number below `present` that was proved healthy on some target and is not held.
    #[must_use]
    pub fn healthy_before(&self, present: i64) -> Option<i64> {
        let held = |record: &Record| record.declared.as_ref().is_some_and(|digest| self.holds.contains_key(digest));
        let proved = self.history.iter().filter(|record| record.event == "healthy" && !held(record));
        proved.map(|record| record.revision).filter(|number| *number < present).max()
    }

    /// The state of a target, made when absent.
    pub fn unit(&mut self, target: &TargetName) -> &mut UnitState {
        self.units.entry(target.clone()).or_default()
    }
}

/// One target of a rollout as the round sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitView {
    /// Which target.
    pub target: TargetName,
    /// Which wave, from 0.
    pub wave: usize,
    /// Whether the target answers.
    pub reachable: bool,
    /// Whether the plan against the wanted set is empty.
    pub in_sync: bool,
    /// Where the proof of health stands.
    pub health: Proof,
}

/// Where the proof of a unit's health stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "proof")]
pub enum Proof {
    /// The wanted set was not applied yet.
    NotApplied,
    /// Applied; not yet healthy for long enough.
    Waiting {
        /// What is waited for.
        message: String,
    },
    /// Healthy for long enough with the wanted set.
    Healthy,
    /// It failed.
    Failed {
        /// The real fault.
        message: String,
    },
}

/// What a rollout does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Bring the wanted set to this target (first time, or again because it drifted).
    Apply(TargetName),
    /// Wait for proof.
    Wait(TargetName),
    /// Return this target to its known-good set.
    RollBack(TargetName),
    /// This target has to wait for an earlier wave.
    Behind(TargetName),
    /// This target does not answer; the others go on.
    Unreachable(TargetName),
    /// Nothing to do here.
    Settled(TargetName),
}

/// Decides what happens on each target now. A wave starts when every target of the earlier waves is healthy and none
/// failed; one that does not answer is left out only as long as it has not begun. A failure stops everything that is
/// not yet begun.
#[must_use]
pub fn advance(units: &[UnitView]) -> Vec<Move> {
    let failed = units.iter().any(|unit| matches!(unit.health, Proof::Failed { .. }));
    let counts = |unit: &UnitView| unit.reachable || matches!(unit.health, Proof::Waiting { .. });
    let open_wave = units
        .iter()
        .filter(|unit| counts(unit) && unit.health != Proof::Healthy)
        .map(|unit| unit.wave)
        .min()
        .unwrap_or(usize::MAX);
    units.iter().map(|unit| next(unit, failed, open_wave)).collect()
}

fn next(unit: &UnitView, failed: bool, open_wave: usize) -> Move {
    let target = unit.target.clone();
    match &unit.health {
        _ if !unit.reachable => Move::Unreachable(target),
        Proof::Failed { .. } => Move::RollBack(target),
        Proof::Waiting { .. } if unit.in_sync => Move::Wait(target),
        Proof::Healthy if unit.in_sync => Move::Settled(target),
        Proof::NotApplied if failed || unit.wave > open_wave => Move::Behind(target),
        Proof::NotApplied | Proof::Healthy | Proof::Waiting { .. } => Move::Apply(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, wave: usize, health: Proof, in_sync: bool) -> UnitView {
        UnitView { target: TargetName::new(name).unwrap(), wave, reachable: true, in_sync, health }
    }

    fn failed() -> Proof {
        Proof::Failed { message: "ImagePullBackOff".into() }
    }

    #[test]
    fn going_back_goes_to_what_was_healthy_and_is_not_held() {
        let digest = |text: &str| Digest::of(text.as_bytes());
        let mut state = SyncState::default();
        for (event, revision) in [("healthy", 1), ("healthy", 2), ("applied", 3), ("healthy", 4), ("healthy", 5)] {
            let declared = Some(digest(&revision.to_string()));
            let (by, message) = (String::new(), String::new());
            let at = Timestamp::UNIX_EPOCH;
            state.record(Record {
                at,
                event: event.to_owned(),
                target: None,
                revision,
                declared,
                plan: None,
                by,
                message,
            });
        }
        let (reason, by) = (String::new(), String::new());
        let hold = Hold { reason, by, at: Timestamp::UNIX_EPOCH, revision: "v4".to_owned(), reverted: false };
        state.holds.insert(digest("4"), hold);
        let found: Vec<Option<i64>> =
            [6, 5, 4, 2, 1].into_iter().map(|present| state.healthy_before(present)).collect();
        assert_eq!(found, [Some(5), Some(2), Some(2), Some(1), None]);
    }

    #[test]
    fn the_second_wave_waits_for_the_first() {
        let units = [unit("a", 0, Proof::NotApplied, false), unit("b", 1, Proof::NotApplied, false)];
        assert_eq!(advance(&units), [Move::Apply(units[0].target.clone()), Move::Behind(units[1].target.clone())]);
        let units = [unit("a", 0, Proof::Healthy, true), unit("b", 1, Proof::NotApplied, false)];
        assert_eq!(advance(&units), [Move::Settled(units[0].target.clone()), Move::Apply(units[1].target.clone())]);
    }

    #[test]
    fn a_failure_stops_what_is_not_begun_and_rolls_back_only_itself() {
        let units =
            [unit("a", 0, failed(), true), unit("b", 0, Proof::NotApplied, false), unit("c", 0, Proof::Healthy, true)];
        assert_eq!(
            advance(&units),
            [
                Move::RollBack(units[0].target.clone()),
                Move::Behind(units[1].target.clone()),
                Move::Settled(units[2].target.clone())
            ]
        );
    }

    #[test]
    fn a_target_that_is_down_does_not_hold_the_others() {
        let mut down = unit("a", 0, Proof::NotApplied, false);
        down.reachable = false;
        let units = [down, unit("b", 1, Proof::NotApplied, false)];
        assert_eq!(advance(&units), [Move::Unreachable(units[0].target.clone()), Move::Apply(units[1].target.clone())]);
    }

    #[test]
    fn a_target_that_began_and_is_down_keeps_the_next_wave_closed() {
        let mut down = unit("a", 0, Proof::Waiting { message: "no answer".into() }, false);
        down.reachable = false;
        let units = [down, unit("b", 0, Proof::NotApplied, false), unit("c", 1, Proof::NotApplied, false)];
        let [a, b, c] = units.each_ref().map(|unit| unit.target.clone());
        assert_eq!(advance(&units), [Move::Unreachable(a), Move::Apply(b), Move::Behind(c)]);
    }

    #[test]
    fn drift_on_a_healthy_target_is_applied_again() {
        let units = [unit("a", 0, Proof::Healthy, false)];
        assert_eq!(advance(&units), [Move::Apply(units[0].target.clone())]);
    }

    #[test]
    fn history_is_bounded() {
        let mut state = SyncState::default();
        for n in 0..205 {
            state.record(Record {
                at: Timestamp::UNIX_EPOCH,
                event: "applied".into(),
                target: None,
                revision: n,
                declared: None,
                plan: None,
                by: "loggia".into(),
                message: String::new(),
            });
        }
        assert_eq!((state.history.len(), state.history[0].revision), (HISTORY, 5));
    }
}
