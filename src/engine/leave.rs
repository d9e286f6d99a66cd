//! Targets that hold a package and are none of its targets any more.

use super::EngineError;
use super::apply::apply;
use super::gather::Seat;
use super::planning::{Planned, declared, plan_target, teardown_policy};
use super::rollout::Rollout;
use super::targets::Session;
use crate::domain::approval::{Gate, gate_teardown};
use crate::domain::id::{Digest, TargetName};
use crate::domain::plan::{Declared, Plan};
use crate::domain::rollout::Proof;
use crate::ports::forge::ProposalState;

impl Rollout<'_> {
    /// Prunes what is held by targets that are none of the Sync's targets any more, when all others are settled and a
    /// person agreed.
    pub(super) async fn leave(&mut self, settled: bool) -> Result<(), EngineError> {
        for seat in &self.situation.leaving {
            self.silent(seat, Proof::NotApplied, "is none of its targets any more");
            let declared = declared(&self.situation.key, seat, None);
            match self.emptying(seat, declared).await {
                Ok((session, planned)) => {
                    self.noticed(&seat.name, planned.observed.objects.len());
                    self.prune(session, planned, settled).await?;
                }
                Err(error) => {
                    self.say(&seat.name, &format!("is none of its targets any more, and keeps what it has: {error}"));
                }
            }
        }
        Ok(())
    }

    /// What it takes to empty a target.
    async fn emptying<'s>(&self, seat: &'s Seat, declared: Declared) -> Result<(&'s Session, Planned), String> {
        let session = seat.session.as_ref().map_err(ToString::to_string)?;
        let policy = teardown_policy(&self.situation.sync.spec);
        let planned = plan_target(self.engine, session, declared, &policy).await;
        Ok((session, planned.map_err(|error| error.to_string())?))
    }

    fn noticed(&mut self, target: &TargetName, objects: usize) {
        if let Some(row) = self.report.targets.iter_mut().find(|row| row.target == *target) {
            (row.reachable, row.objects) = (true, objects);
        }
    }

    async fn prune(&mut self, session: &Session, planned: Planned, settled: bool) -> Result<(), EngineError> {
        let Planned { declared, observed, plan } = planned;
        let target = &declared.unit.target;
        if plan.is_empty() {
            self.part(target, &declared.digest);
            return Ok(());
        }
        let agreed = self.farewell(target, &declared.digest).filter(|_| settled);
        match agreed.map(|agreed| gate_teardown(plan.clone(), &agreed)) {
            Some(Gate::Open(approved)) => {
                let metrics = &self.engine.metrics;
                let report = apply(session, self.claim, &approved, &declared, &observed, metrics).await?;
                if report.failures.is_empty() {
                    self.part(target, &declared.digest);
                } else {
                    self.fail(target, &report.failures);
                }
            }
            Some(Gate::Blocked(walls)) => {
                self.say(target, &walls.join("; "));
                self.report.blocked.extend(walls.into_iter().map(|wall| format!("{target}: {wall}")));
            }
            _ if settled => {
                self.say(target, "is none of its targets any more; pruning it waits for approval");
                self.report.unapproved.push(plan);
            }
            _ => self.say(target, "is none of its targets any more; it is pruned when the others are settled"),
        }
        Ok(())
    }

    /// Forgets a target that holds nothing any more.
    fn part(&mut self, target: &TargetName, digest: &Digest) {
        let revision = self.running(target);
        self.state.value.units.remove(target);
        self.report.targets.retain(|row| row.target != *target);
        self.record(target, "pruned", revision, digest, None, "it is none of the Sync's targets any more");
    }

    /// The plan by which people agreed to take everything of the Sync from a target, since it got what it has.
    fn farewell(&self, target: &TargetName, digest: &Digest) -> Option<Plan> {
        let since = self.state.value.units.get(target)?.current.as_ref()?.at;
        let agreed = self.proposals.iter().rev().filter(|proposal| match &proposal.verdict {
            ProposalState::Done { at, .. } | ProposalState::Approved { at, .. } => *at >= since,
            _ => false,
        });
        let asked = self.unit(target);
        let shows = |plan: &Plan| plan.units.iter().any(|unit| unit.unit == asked);
        let newest = agreed
            .filter_map(|proposal| serde_json::from_value::<Plan>(proposal.content.plan_json.clone()).ok())
            .find(shows)?;
        let ends = newest.units.iter().any(|unit| unit.unit == asked && unit.declared == *digest);
        ends.then_some(newest)
    }
}
