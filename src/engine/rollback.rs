//! Returning a target to what was proved healthy on it.

use super::rollout::{Look, Rollout};
use super::{EngineError, MANAGER};
use crate::domain::approval::{Gate, gate_rollback};
use crate::domain::id::{Digest, TargetName};
use crate::domain::intent::sync::RollbackMode;
use crate::domain::rollout::{Applied, Hold};
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
        self.hold(&digest, revision, &format!("{target}: {reason}"), now);
        let unit = self.state.value.unit(target);
        let good = unit.known_good.clone().filter(|good| good.declared != digest);
        let automatic = self.situation.sync.spec.rollback.mode == RollbackMode::Automatic;
        let Some(good) = good.filter(|_| automatic) else {
            self.record(target, "failed", revision.revision, &digest, None, &reason);
            self.report.blocked.push(format!("{target}: {reason}; there is nothing to roll back to"));
            return self.save().await;
        };
        let unit = self.state.value.unit(target);
        unit.current = Some(Applied { at: now, ..good.clone() });
        unit.rolled_back = true;
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

    fn hold(&mut self, digest: &Digest, revision: &PackageRevision, reason: &str, at: Timestamp) {
        let hold =
            Hold { reason: reason.to_owned(), by: MANAGER.to_owned(), at, revision: format!("v{}", revision.revision) };
        self.state.value.holds.entry(digest.clone()).or_insert(hold);
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
        match gate_rollback(look.plan.clone(), &self.state.value, true) {
            Gate::Open(approved) => {
                self.carry_out(target, &revision, &look, &approved, "rolled back").await?;
                Ok(())
            }
            Gate::Blocked(walls) | Gate::Stale(walls) => {
                self.report.blocked.extend(walls.into_iter().map(|wall| format!("{target}: {wall}")));
                Ok(())
            }
            Gate::NeedsApproval => Ok(()),
        }
    }
}
