//! Bringing a published revision to its targets, wave by wave, and holding it there.

use std::collections::BTreeMap;

use super::apply::apply;
use super::gather::{Seat, Situation};
use super::planning::{Planned, bind, declared, mode, plan_target, policy};
use super::targets::Session;
use super::verify::{health, proof, rest, windows};
use super::{Engine, EngineError, MANAGER};
use crate::domain::approval::{Consent, Gate, gate_unit};
use crate::domain::health::{Health, State};
use crate::domain::id::{Digest, PlanId, TargetName, UnitId};
use crate::domain::intent::sync::Drift;
use crate::domain::lease::Claim;
use crate::domain::plan::{Declared, DeclaredObject, Observed, Plan, PlanPolicy, Step, UnitPlan, declared_digest};
use crate::domain::rollout::SyncState;
use crate::domain::rollout::{Applied, Contest, Move, Proof, Record, UnitView, advance};
use crate::domain::time::SignedDuration;
use crate::ports::forge::{Proposal, ProposalState};
use crate::ports::revisions::PackageRevision;
use crate::ports::state::Versioned;

/// How long what failed rests before it is tried again.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);

/// One target after a round.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetReport {
    /// Which target.
    pub target: TargetName,
    /// Its wave, from 0.
    pub wave: usize,
    /// Revision that runs there; 0 when none.
    pub revision: i64,
    /// Where its proof stands.
    pub proof: Proof,
    /// Whether it answers.
    pub reachable: bool,
    /// Objects it owns.
    pub objects: usize,
    /// Fields that differ from what is declared, when drift is only reported.
    pub drifted: bool,
    /// Whether everything that is declared is there and does what it should, now.
    pub sound: bool,
    /// What is going on.
    pub message: String,
}

/// What a rollout came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RolloutReport {
    /// One row a target.
    pub targets: Vec<TargetReport>,
    /// When to look again; none: when something changes.
    pub again: Option<SignedDuration>,
    /// Lines that say what only a person can solve.
    pub blocked: Vec<String>,
    /// Targets whose plan needs an approval of its own.
    pub unapproved: Vec<UnitPlan>,
    /// Digest over the objects of the published revision.
    pub declared: Option<Digest>,
}

/// One target as seen in this round.
pub(super) struct Look {
    pub(super) declared: Declared,
    pub(super) observed: Observed,
    pub(super) plan: UnitPlan,
    health: Health,
}

/// A rollout in progress.
pub(super) struct Rollout<'a> {
    pub(super) engine: &'a Engine,
    pub(super) claim: &'a Claim,
    pub(super) situation: &'a Situation,
    pub(super) state: &'a mut Versioned<SyncState>,
    pub(super) proposals: &'a [Proposal],
    pub(super) report: RolloutReport,
}

impl Rollout<'_> {
    /// Deals with the published revision on every target.
    pub(super) async fn run(&mut self, published: &PackageRevision) -> Result<(), EngineError> {
        let objects = self.objects(published).await?;
        let digest = declared_digest(&objects);
        self.report.declared = Some(digest.clone());
        let held = self.state.value.holds.contains_key(&digest);
        let mut views = Vec::new();
        let mut looks = BTreeMap::new();
        for seat in &self.situation.seats {
            let (revision, wanted) = if held {
                self.fallback(seat, published, &objects).await?
            } else {
                (published.clone(), objects.clone())
            };
            let view = match self.look(seat, &wanted).await {
                Ok(look) => {
                    let view = self.view(seat, &look, &revision);
                    looks.insert(seat.name.clone(), (revision, look));
                    view
                }
                Err(error) => {
                    self.soon(PAUSE);
                    // What has begun is not proved because nobody can look.
                    let begun = self.pending(&seat.name, &declared_digest(&wanted));
                    let waiting = Proof::Waiting { message: error.clone() };
                    self.silent(seat, if begun { waiting } else { Proof::NotApplied }, &error)
                }
            };
            views.push(view);
        }
        let moves = advance(&views);
        let settled = !moves.is_empty() && moves.iter().all(|step| matches!(step, Move::Settled(_)));
        for step in moves {
            self.step(step, &looks).await?;
        }
        self.leave(settled).await?;
        self.rest();
        Ok(())
    }

    /// Stops following what no proof waits for any more.
    fn rest(&self) {
        let waits = |row: &TargetReport| matches!(row.proof, Proof::Waiting { .. });
        for seat in self.situation.seats.iter().chain(&self.situation.leaving) {
            if let Ok(session) = &seat.session
                && !self.report.targets.iter().any(|row| row.target == seat.name && waits(row))
            {
                rest(session, &UnitId { sync: self.situation.key.clone(), target: seat.name.clone() });
            }
        }
    }

    pub(super) async fn objects(&self, revision: &PackageRevision) -> Result<Vec<DeclaredObject>, EngineError> {
        let tree = self.situation.packages.content(revision).await?;
        // What was published is what was rendered when it was proposed; it is not rendered again.
        crate::domain::package::objects(&tree)
            .map_err(|source| EngineError::Render { package: revision.name.to_string(), source })
    }

    /// While the published set is held, a target keeps what was proved on it, and goes back to it unless that is left to
    /// people; one that got nothing keeps nothing.
    async fn fallback(
        &self,
        seat: &Seat,
        published: &PackageRevision,
        objects: &[DeclaredObject],
    ) -> Result<(PackageRevision, Vec<DeclaredObject>), EngineError> {
        let good = self.state.value.units.get(&seat.name).and_then(|unit| unit.known_good.as_ref());
        let good = good.filter(|good| self.rolls_back() || self.begun(&seat.name, &good.declared));
        let revision = good.and_then(|good| self.situation.agenda.numbered(good.revision));
        match revision {
            Some(revision) => Ok((revision.clone(), self.objects(revision).await?)),
            None => Ok((published.clone(), objects.to_vec())),
        }
    }

    pub(super) async fn look(&self, seat: &Seat, objects: &[DeclaredObject]) -> Result<Look, String> {
        let session = seat.session.as_ref().map_err(ToString::to_string)?;
        let declared = declared(&self.situation.key, seat, Some(objects));
        let policy = policy(&self.situation.key, &self.situation.sync.spec).map_err(|error| error.to_string())?;
        let policy = PlanPolicy { take_back: self.begun(&seat.name, &declared.digest), ..policy };
        let planned = plan_target(self.engine, session, declared, &policy).await;
        let Planned { declared, observed, plan } = planned.map_err(|error| error.to_string())?;
        let pending = self.pending(&seat.name, &declared.digest);
        let health = health(session, &declared, &observed, pending).await.map_err(|error| error.to_string())?;
        Ok(Look { declared, observed, plan, health })
    }

    /// Whether a target got this very set already: then what others changed since is drift.
    pub(super) fn begun(&self, target: &TargetName, digest: &Digest) -> bool {
        let unit = self.state.value.units.get(target);
        unit.and_then(|unit| unit.current.as_ref()).is_some_and(|current| current.declared == *digest)
    }

    /// Whether a set was applied to a target and waits for its proof.
    fn pending(&self, target: &TargetName, digest: &Digest) -> bool {
        let Some(unit) = self.state.value.units.get(target) else { return false };
        let is = |applied: &Option<Applied>| applied.as_ref().is_some_and(|applied| applied.declared == *digest);
        is(&unit.current) && !is(&unit.known_good)
    }

    /// Notes a target that does not answer, with what is known of its proof all the same.
    pub(super) fn silent(&mut self, seat: &Seat, proof: Proof, reason: &str) -> UnitView {
        self.report.targets.push(TargetReport {
            target: seat.name.clone(),
            wave: seat.wave,
            revision: self.running(&seat.name),
            proof: proof.clone(),
            reachable: false,
            objects: 0,
            drifted: false,
            sound: false,
            message: reason.to_owned(),
        });
        UnitView { target: seat.name.clone(), wave: seat.wave, reachable: false, in_sync: false, health: proof }
    }

    pub(super) fn running(&self, target: &TargetName) -> i64 {
        let unit = self.state.value.units.get(target);
        unit.and_then(|unit| unit.current.as_ref()).map_or(0, |current| current.revision)
    }

    pub(super) fn soon(&mut self, after: SignedDuration) {
        self.report.again = Some(self.report.again.map_or(after, |known| known.min(after)));
    }

    fn view(&mut self, seat: &Seat, look: &Look, revision: &PackageRevision) -> UnitView {
        let proof = self.prove(&seat.name, look, revision);
        let writes = look.plan.steps().any(Step::writes);
        let row = TargetReport {
            target: seat.name.clone(),
            wave: seat.wave,
            revision: self.running(&seat.name),
            proof: proof.clone(),
            reachable: true,
            objects: look.observed.inventory.iter().filter(|(id, _)| look.observed.objects.contains_key(id)).count(),
            sound: look.health.state == State::Healthy,
            drifted: writes && proof == Proof::Healthy,
            message: match &proof {
                Proof::Waiting { message } | Proof::Failed { message } => message.clone(),
                Proof::Healthy if look.health.state != State::Healthy => look.health.message.clone(),
                _ => String::new(),
            },
        };
        self.report.targets.push(row);
        let in_sync = (!writes || self.rests(&seat.name, look)) && !self.goes_back(&seat.name, &look.declared.digest);
        UnitView { target: seat.name.clone(), wave: seat.wave, reachable: true, in_sync, health: proof }
    }

    fn prove(&mut self, target: &TargetName, look: &Look, revision: &PackageRevision) -> Proof {
        let digest = &look.declared.digest;
        let Some(unit) = self.state.value.units.get(target).cloned() else { return Proof::NotApplied };
        let Some(current) = unit.current.filter(|current| current.declared == *digest) else {
            return Proof::NotApplied;
        };
        if let Some(good) = unit.known_good.filter(|good| good.declared == *digest) {
            if good.revision != revision.revision || current.revision != revision.revision {
                self.renumber(target, revision, &good, &current);
            }
            return self.arrive(target, look);
        }
        if look.plan.steps().any(Step::writes) && !self.contest(target, look).is_some_and(Contest::is_lasting) {
            // An interrupted apply: finish it before its health means anything.
            return Proof::Waiting { message: "applying".to_owned() };
        }
        let now = self.engine.now();
        let mut watch = windows(self.engine, &self.situation.sync.spec, current.at, unit.healthy_since);
        let verdict = watch.advance(now, &look.health);
        self.state.value.unit(target).healthy_since = watch.healthy_since;
        let (proof, again) = proof(verdict, &look.health, watch.stable_for);
        if let Some(again) = again {
            self.soon(again);
        }
        if proof == Proof::Healthy {
            self.state.value.unit(target).known_good = Some(Applied { at: now, ..current.clone() });
            self.record(target, "healthy", revision.revision, digest, Some(&current.plan), "stayed healthy");
        }
        proof
    }

    /// The same objects under another number, as after a revert: what was proved stays proved.
    fn renumber(&mut self, target: &TargetName, revision: &PackageRevision, good: &Applied, current: &Applied) {
        let number = revision.revision;
        let unit = self.state.value.unit(target);
        unit.known_good = Some(Applied { revision: number, ..good.clone() });
        unit.current = Some(Applied { revision: number, ..current.clone() });
        unit.rolled_back = false;
        let message = format!("v{number} holds the same objects as v{}", good.revision);
        self.record(target, "healthy", number, &good.declared, Some(&good.plan), &message);
    }

    pub(super) fn record(
        &mut self,
        target: &TargetName,
        event: &str,
        revision: i64,
        digest: &Digest,
        plan: Option<&PlanId>,
        message: &str,
    ) {
        self.state.value.record(Record {
            at: self.engine.now(),
            event: event.to_owned(),
            target: Some(target.clone()),
            revision,
            declared: Some(digest.clone()),
            plan: plan.cloned(),
            by: MANAGER.to_owned(),
            message: message.to_owned(),
        });
    }

    async fn step(
        &mut self,
        step: Move,
        looks: &BTreeMap<TargetName, (PackageRevision, Look)>,
    ) -> Result<(), EngineError> {
        match step {
            Move::Apply(target) => {
                let Some((revision, look)) = looks.get(&target) else { return Ok(()) };
                if self.goes_back(&target, &look.declared.digest) {
                    return self.go_back(&target, revision, look).await;
                }
                self.apply_or_say(&target, revision, look).await
            }
            Move::RollBack(target) => {
                let Some((revision, look)) = looks.get(&target) else { return Ok(()) };
                self.roll_back(&target, revision, look).await
            }
            Move::Behind(target) => {
                self.say(&target, "waits for an earlier wave");
                Ok(())
            }
            Move::Wait(_) | Move::Settled(_) | Move::Unreachable(_) => Ok(()),
        }
    }

    pub(super) fn say(&mut self, target: &TargetName, message: &str) {
        if let Some(row) = self.report.targets.iter_mut().find(|row| row.target == *target) {
            message.clone_into(&mut row.message);
        }
    }

    /// The Sync on one target.
    pub(super) fn unit(&self, target: &TargetName) -> UnitId {
        UnitId { sync: self.situation.key.clone(), target: target.clone() }
    }

    /// What people agreed to for this set: the newest approved proposal that shows the Sync on this target.
    fn consent(&self, target: &TargetName, digest: &Digest) -> Option<Consent> {
        let asked = self.unit(target);
        let agreed =
            self.proposals.iter().rev().filter(|proposal| {
                matches!(proposal.verdict, ProposalState::Done { .. } | ProposalState::Approved { .. })
            });
        agreed
            .filter_map(|proposal| serde_json::from_value::<Plan>(proposal.content.plan_json.clone()).ok())
            .find(|plan| plan.declared == *digest && plan.units.iter().any(|unit| unit.unit == asked))
            .map(|plan| Consent { plan })
    }

    async fn apply_or_say(
        &mut self,
        target: &TargetName,
        revision: &PackageRevision,
        look: &Look,
    ) -> Result<(), EngineError> {
        let spec = &self.situation.sync.spec;
        let healthy = self.report.targets.iter().any(|row| row.target == *target && row.proof == Proof::Healthy);
        if healthy && spec.drift == Drift::Report {
            self.say(target, "differs from what is declared; spec.drift says report");
            return Ok(());
        }
        if self.waits_for_its_turn(target, look) {
            return Ok(());
        }
        let consent = self.consent(target, &look.declared.digest);
        match gate_unit(look.plan.clone(), consent.as_ref(), &self.state.value, mode(spec), bind(spec)) {
            Gate::Open(approved) => {
                let event = if healthy { "drift corrected" } else { "applied" };
                let refusal = self.carry_out(target, revision, look, &approved, event).await?;
                match refusal.filter(|_| !healthy) {
                    // Asking again would not help: it failed as if it had never become healthy.
                    Some(refusal) => {
                        self.say(target, &refusal);
                        self.roll_back(target, revision, look).await
                    }
                    None => Ok(()),
                }
            }
            Gate::NeedsApproval => {
                self.report.unapproved.push(look.plan.clone());
                self.say(target, "this plan waits for approval");
                Ok(())
            }
            Gate::Stale(news) => {
                self.report.unapproved.push(look.plan.clone());
                self.say(target, &format!("the plan changed since it was approved: {}", news.join("; ")));
                Ok(())
            }
            Gate::Blocked(walls) => {
                self.say(target, &walls.join("; "));
                self.report.blocked.extend(walls.into_iter().map(|wall| format!("{target}: {wall}")));
                Ok(())
            }
        }
    }

    /// Writes a plan to its target. Gives what the target will never take, if there is any.
    pub(super) async fn carry_out(
        &mut self,
        target: &TargetName,
        revision: &PackageRevision,
        look: &Look,
        plan: &crate::domain::approval::Approved<UnitPlan>,
        event: &str,
    ) -> Result<Option<String>, EngineError> {
        let seat = self.situation.seats.iter().find(|seat| seat.name == *target);
        let Some(Ok(session)) = seat.map(|seat| &seat.session) else { return Ok(None) };
        let id = Plan::new(look.declared.digest.clone(), vec![look.plan.clone()]).id;
        self.begin(target, revision, look, &id).await?;
        let report = apply(session, self.claim, plan, &look.declared, &look.observed, &self.engine.metrics).await?;
        if report.failures.is_empty() {
            let message = Self::told(session, look, report.written, report.deleted, event);
            self.record(target, event, revision.revision, &look.declared.digest, Some(&id), &message);
            self.say(target, &message);
            self.note_contest(target, look);
            // The next look sees what this one did.
            self.soon(SignedDuration::ZERO);
        } else {
            self.fail(target, &report.failures);
        }
        Ok((!report.refused.is_empty()).then(|| report.refused.join("; ")))
    }

    pub(super) fn fail(&mut self, target: &TargetName, failures: &[String]) {
        self.say(target, &failures.join("; "));
        self.report.blocked.extend(failures.iter().cloned());
        self.soon(PAUSE);
    }

    /// Who had changed what, when drift was corrected.
    fn told(session: &Session, look: &Look, written: usize, deleted: usize, event: &str) -> String {
        let mut message = format!("{written} written, {deleted} deleted on {}", session.name);
        if event == "drift corrected" {
            for step in look.plan.steps().filter(|step| step.writes()) {
                let live = look.observed.objects.get(&step.object);
                message = format!("{message}; {}", super::drift::blame(step, live));
            }
        }
        message
    }

    /// Notes what is about to be on a target before the first write.
    async fn begin(
        &mut self,
        target: &TargetName,
        revision: &PackageRevision,
        look: &Look,
        plan: &PlanId,
    ) -> Result<(), EngineError> {
        let now = self.engine.now();
        let digest = &look.declared.digest;
        let unit = self.state.value.unit(target);
        if unit.current.as_ref().is_none_or(|current| current.declared != *digest) {
            unit.current =
                Some(Applied { revision: revision.revision, declared: digest.clone(), plan: plan.clone(), at: now });
            unit.healthy_since = None;
            unit.rolled_back = false;
            unit.returning = false;
            unit.contest = None;
            self.save().await?;
        }
        Ok(())
    }

    pub(super) async fn save(&mut self) -> Result<(), EngineError> {
        self.state.version = self.engine.state.put(Some(self.claim), &self.situation.key, self.state).await?;
        Ok(())
    }
}
