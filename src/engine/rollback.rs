//! Returning a target to what was proved healthy on it.

use std::collections::btree_map::Entry;

use super::rollout::{Look, Rollout};
use super::{EngineError, MANAGER};
use crate::domain::approval::{Gate, gate_rollback};
use crate::domain::id::{Digest, TargetName};
use crate::domain::intent::sync::RollbackMode;
use crate::domain::plan::{Seen, Step};
use crate::domain::rollout::{Applied, Hold, Proof};
use crate::domain::time::Timestamp;
use crate::ports::revisions::PackageRevision;

impl Rollout<'_> {
    /// Sets the hold, then returns the target to what was proved on it. The hold comes first: after a kill the next
    /// round finds it and goes on.
    pub(super) async fn roll_back(
        &mut self,
        target: &TargetName,
        revision: &PackageRevision,
        look: &Look,
    ) -> Result<(), EngineError> {
        let digest = look.declared.digest.clone();
        let reason = self
            .report
            .targets
            .iter()
            .find(|row| row.target == *target)
            .map_or_else(String::new, |row| row.message.clone());
        let now = self.engine.now();
        let is_new = self.hold(&digest, revision, &format!("{target}: {reason}"), now);
        let good = self.state.value.unit(target).known_good.clone().filter(|good| good.declared != digest);
        let Some(good) = good else {
            return self.stay(target, revision, &digest, is_new, &reason, "there is nothing to roll back to").await;
        };
        if !self.rolls_back() {
            return self.stay(target, revision, &digest, is_new, &reason, "spec.rollback.mode says manual").await;
        }
        let unit = self.state.value.unit(target);
        unit.current = Some(Applied { at: now, ..good.clone() });
        unit.rolled_back = true;
        unit.returning = true;
        self.record(
            target,
            "rollback",
            revision.revision,
            &digest,
            None,
            &format!("back to v{}: {reason}", good.revision),
        );
        self.save().await?;
        self.engine.metrics.rollbacks.with_label_values(&[&self.situation.key.to_string()]).inc();
        self.return_to(target, &good).await
    }

    /// Whether targets go back, and Git is asked to, without a person.
    pub(super) fn rolls_back(&self) -> bool {
        self.situation.sync.spec.rollback.mode == RollbackMode::Automatic
    }

    /// Leaves a failed set where it is. Every round finds it there; history tells it once.
    async fn stay(
        &mut self,
        target: &TargetName,
        revision: &PackageRevision,
        digest: &Digest,
        is_new: bool,
        reason: &str,
        why: &str,
    ) -> Result<(), EngineError> {
        self.report.blocked.push(format!("{target}: {reason}; {why}"));
        let last = self.state.value.history.iter().rev().find(|record| record.target.as_ref() == Some(target));
        let is_told = last.is_some_and(|last| last.event == "failed" && last.declared.as_ref() == Some(digest));
        if is_told && !is_new {
            return Ok(());
        }
        self.record(target, "failed", revision.revision, digest, None, reason);
        self.save().await
    }

    /// Holds a digest; whether it was not held before.
    fn hold(&mut self, digest: &Digest, revision: &PackageRevision, reason: &str, at: Timestamp) -> bool {
        let Entry::Vacant(free) = self.state.value.holds.entry(digest.clone()) else { return false };
        let (reason, by) = (reason.to_owned(), MANAGER.to_owned());
        free.insert(Hold { reason, by, at, revision: format!("v{}", revision.revision), reverted: false });
        true
    }

    /// Re-applies the rendered objects that were proved healthy, and prunes what the failed set added.
    async fn return_to(&mut self, target: &TargetName, good: &Applied) -> Result<(), EngineError> {
        let Some(revision) = self.situation.agenda.numbered(good.revision).cloned() else {
            self.report.blocked.push(format!("{target}: revision v{} to return to is gone", good.revision));
            return Ok(());
        };
        let Some(seat) = self.situation.seats.iter().find(|seat| seat.name == *target) else { return Ok(()) };
        let objects = self.objects(&revision).await?;
        let look = match self.look(seat, &objects).await {
            Ok(look) => look,
            Err(reason) => {
                self.say(target, &reason);
                return Ok(());
            }
        };
        self.go_back(target, &revision, &look).await
    }

    /// Whether a target was told to go back to this very set and has not arrived there.
    pub(super) fn goes_back(&self, target: &TargetName, digest: &Digest) -> bool {
        self.state.value.units.get(target).is_some_and(|unit| unit.returning) && self.begun(target, digest)
    }

    /// The proof of a target that holds what was proved on it: one that goes back has to arrive first, whatever the
    /// Sync says about drift.
    pub(super) fn arrive(&mut self, target: &TargetName, look: &Look) -> Proof {
        let is_left = look.plan.steps().any(Step::writes) || look.observed.seen != Seen::Complete;
        let unit = self.state.value.unit(target);
        unit.returning = unit.returning && is_left;
        if unit.returning { Proof::Waiting { message: "going back".to_owned() } } else { Proof::Healthy }
    }

    /// Writes what is left of the way back; repeated until nothing is.
    pub(super) async fn go_back(
        &mut self,
        target: &TargetName,
        revision: &PackageRevision,
        look: &Look,
    ) -> Result<(), EngineError> {
        let walls = match gate_rollback(look.plan.clone(), &self.state.value, self.rolls_back()) {
            Gate::Open(approved) => {
                return self.carry_out(target, revision, look, &approved, "rolled back").await.map(drop);
            }
            Gate::Blocked(walls) | Gate::Stale(walls) => walls,
            Gate::NeedsApproval => vec!["going back waits; spec.rollback.mode says manual".to_owned()],
        };
        self.say(target, &walls.join("; "));
        self.report.blocked.extend(walls.into_iter().map(|wall| format!("{target}: {wall}")));
        Ok(())
    }
}
