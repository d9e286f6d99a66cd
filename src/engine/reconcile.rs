//! One round over a Sync.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::agenda::Wanted;
use super::gather::{Situation, World, taken};
use super::propose::{Asked, Asking, REVERTS};
use super::retire::Retired;
use super::rollout::{Rollout, RolloutReport, TargetReport};
use super::{Engine, EngineError, Outcome};
use crate::domain::error::Classify as _;
use crate::domain::id::{NamespacedName, WorkspaceName};
use crate::domain::intent::Sync;
use crate::domain::intent::sync::RollbackMode;
use crate::domain::lease::Claim;
use crate::domain::revision::Lifecycle;
use crate::domain::rollout::{Proof, Record, SyncState};
use crate::domain::time::SignedDuration;
use crate::ports::revisions::DraftContent;
use crate::ports::state::{StateError, Versioned};

/// What a round came to: how it ended, and what the status tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// How it ended.
    pub outcome: Outcome,
    /// The published revision that shall run; 0 when none.
    pub revision: i64,
    /// The rollout of what is published.
    pub rollout: RolloutReport,
    /// The candidate or deletion.
    pub asked: Asked,
    /// Whether the branch holds what was neither published nor proposed.
    pub astray: bool,
    /// Whether the package is gone.
    pub gone: bool,
    /// State after the round.
    pub state: SyncState,
}

/// States that were read; the lease makes us their only regular writer, so they need not be read again.
#[derive(Default)]
pub struct StateCache(Mutex<BTreeMap<NamespacedName, Versioned<SyncState>>>);

impl StateCache {
    fn get(&self, key: &NamespacedName) -> Option<Versioned<SyncState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, key: &NamespacedName, state: Option<Versioned<SyncState>>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state {
            Some(state) => drop(known.insert(key.clone(), state)),
            None => drop(known.remove(key)),
        }
    }

    /// Forgets a state, because somebody else wrote it.
    pub fn forget(&self, key: &NamespacedName) {
        self.put(key, None);
    }
}

impl Engine {
    /// One round over a Sync: rolls out what is published, asks about what wants to follow it, retires what shall go.
    ///
    /// # Flow
    /// gather, then for a leaving package: ask, prune, delete; else: roll out the published revision, propose the
    /// reverting draft when it failed, ask about the candidate. History is stored when it changed.
    ///
    /// # Guarantees
    /// Writes only with a live claim and only what the gate let through. A settled Sync costs no request. A round that
    /// is killed anywhere is finished by the next one.
    ///
    /// # Errors
    /// [`EngineError`] when something does not answer; waiting and being blocked are outcomes.
    pub async fn round(&self, sync: &Sync, world: &World) -> Result<Round, EngineError> {
        let claim = self.claim()?;
        let situation = self.gather(sync, world).await?;
        let mut state = self.known(&situation.key).await?;
        let before = state.clone();
        let round = self.round_over(&claim, &situation, &mut state).await;
        match self.keep(&claim, &situation.key, &before, state, &round).await {
            Ok(()) => round,
            Err(error) => round.and(Err(error)),
        }
    }

    async fn keep(
        &self,
        claim: &Claim,
        key: &NamespacedName,
        before: &Versioned<SyncState>,
        mut state: Versioned<SyncState>,
        round: &Result<Round, EngineError>,
    ) -> Result<(), EngineError> {
        if matches!(round, Ok(round) if round.gone) {
            self.states.forget(key);
            return Ok(());
        }
        if state.value != before.value {
            match self.state.put(Some(claim), key, &state).await {
                Ok(version) => state.version = version,
                Err(error) => {
                    self.states.forget(key);
                    return Err(error.into());
                }
            }
        }
        self.states.put(key, Some(state));
        Ok(())
    }

    async fn round_over(
        &self,
        claim: &Claim,
        situation: &Situation,
        state: &mut Versioned<SyncState>,
    ) -> Result<Round, EngineError> {
        if let Some(other) = &situation.taken_by {
            return Ok(refused(situation, taken(situation.package.as_str(), other), state.value.clone()));
        }
        let proposals = situation.forge.list().await?;
        let suspended = situation.sync.spec.suspend;
        if situation.agenda.is_leaving() && !suspended {
            let mut asking = Asking { engine: self, claim, situation, state, proposals: &proposals };
            let retired = asking.retire().await?;
            return Ok(leaving(situation, retired, state.value.clone()));
        }
        let mut rollout =
            Rollout { engine: self, claim, situation, state, proposals: &proposals, report: RolloutReport::default() };
        if let Some(published) = situation.agenda.published.as_ref().filter(|_| !suspended) {
            rollout.run(published).await?;
        }
        let report = rollout.report;
        let mut asking = Asking { engine: self, claim, situation, state, proposals: &proposals };
        let asked = match (&situation.agenda.candidate, &situation.agenda.published) {
            _ if suspended => Asked::Nothing,
            (Some(candidate), _) => asking.candidate(candidate).await?,
            (None, Some(published)) if !report.unapproved.is_empty() => {
                asking.unapproved(published, &report.unapproved).await?
            }
            (None, _) => {
                asking.tidy(&report).await?;
                Asked::Nothing
            }
        };
        let reverting = self.revert(claim, situation, state, &report).await?;
        let revision = situation.agenda.published.as_ref().map_or(0, |published| published.revision);
        let outcome = outcome(situation, &report, &asked, reverting);
        Ok(Round {
            outcome,
            revision,
            rollout: report,
            asked,
            astray: situation.agenda.is_astray(),
            gone: false,
            state: state.value.clone(),
        })
    }

    /// Drafts the known-good content again when the latest revision is held after a rollback and nothing follows it:
    /// once for each hold, so that a draft which a person turned down and deleted stays away.
    async fn revert(
        &self,
        claim: &Claim,
        situation: &Situation,
        state: &mut Versioned<SyncState>,
        report: &RolloutReport,
    ) -> Result<bool, EngineError> {
        let (Some(published), Some(digest)) = (&situation.agenda.published, &report.declared) else { return Ok(false) };
        let SyncState { holds, units, .. } = &mut state.value;
        let Some(hold) = holds.get_mut(digest).filter(|_| reverts(situation)) else { return Ok(false) };
        let workspace = WorkspaceName::new(format!("revert-v{}", published.revision))?;
        let drafted = situation.agenda.candidate.iter().chain(&situation.agenda.all_published);
        hold.reverted |= drafted.into_iter().any(|revision| revision.workspace == workspace);
        let good = units.values().filter_map(|unit| unit.known_good.as_ref()).filter(|good| good.declared != *digest);
        let good = good.max_by_key(|good| good.revision).and_then(|good| situation.agenda.numbered(good.revision));
        let (Some(good), None, false) = (good, &situation.agenda.candidate, hold.reverted) else { return Ok(false) };
        let content = DraftContent {
            files: situation.packages.content(good).await?,
            subject: "Creating new revision by copying previous revision".to_owned(),
            task: Some(serde_json::json!({"type": "edit", "edit": {"sourceRef": {"name": good.name.as_str()}}})),
            trailers: vec![(
                REVERTS.to_owned(),
                format!("v{} failed on {}; back to v{}", published.revision, hold.reason, good.revision),
            )],
        };
        situation.packages.create(Some(claim), &situation.package, &workspace, content).await?;
        hold.reverted = true;
        Ok(true)
    }
}

/// Whether Git is asked to go back with the targets: it can be written, and the Sync follows what is the latest there.
fn reverts(situation: &Situation) -> bool {
    let spec = &situation.sync.spec;
    let follows = Wanted::parse(&spec.package.revision) == Wanted::Latest;
    spec.rollback.mode == RollbackMode::Automatic && follows && !situation.location.is_registry()
}

/// A round that only tells why it does nothing; it is looked at again, because the other Sync may go.
fn refused(situation: &Situation, reason: String, state: SyncState) -> Round {
    let revision = situation.agenda.published.as_ref().map_or(0, |published| published.revision);
    let rollout = RolloutReport { blocked: vec![reason.clone()], ..RolloutReport::default() };
    let outcome = Outcome::Blocked { reason };
    Round { outcome, revision, rollout, asked: Asked::Nothing, astray: false, gone: false, state }
}

fn leaving(situation: &Situation, retired: Retired, state: SyncState) -> Round {
    let revision = situation.agenda.published.as_ref().map_or(0, |published| published.revision);
    let (outcome, asked, gone) = match retired {
        Retired::Gone => (Outcome::Settled, Asked::Nothing, true),
        Retired::Blocked(walls) => {
            let after = Some(SignedDuration::from_secs(10));
            (Outcome::Waiting { reason: walls.join("; "), after }, Asked::Nothing, false)
        }
        Retired::Asked(asked) => (waiting_for(&asked).unwrap_or(Outcome::Settled), asked, false),
    };
    Round { outcome, revision, rollout: RolloutReport::default(), asked, astray: false, gone, state }
}

fn waiting_for(asked: &Asked) -> Option<Outcome> {
    match asked {
        Asked::Nothing => None,
        Asked::Waiting { number, plan } => Some(Outcome::Waiting {
            reason: format!("proposal {number} waits for approval of plan {plan}"),
            after: None,
        }),
        Asked::Published { .. } => {
            Some(Outcome::Waiting { reason: "rolling out".to_owned(), after: Some(SignedDuration::ZERO) })
        }
        Asked::Rejected { number, reason } => {
            Some(Outcome::Blocked { reason: format!("proposal {number} was rejected: {reason}") })
        }
        Asked::Stopped { reason } => Some(Outcome::Blocked { reason: reason.clone() }),
    }
}

fn outcome(situation: &Situation, report: &RolloutReport, asked: &Asked, reverting: bool) -> Outcome {
    if situation.sync.spec.suspend {
        return Outcome::Blocked { reason: "suspended".to_owned() };
    }
    if reverting {
        return Outcome::Waiting { reason: "drafting a revert".to_owned(), after: Some(SignedDuration::ZERO) };
    }
    if let Some(after) = report.again {
        let waits = |row: &&TargetReport| !row.reachable || matches!(row.proof, Proof::Waiting { .. });
        let told = |row: &&TargetReport| !row.message.is_empty();
        let waiting = report.targets.iter().find(waits).or_else(|| report.targets.iter().find(told));
        let reason = waiting.map_or_else(|| "rolling out".to_owned(), |row| format!("{}: {}", row.target, row.message));
        return Outcome::Waiting { reason, after: Some(after) };
    }
    // What a person refused leaves nothing to do, as long as something is published.
    let refused = matches!(asked, Asked::Rejected { .. }) && situation.agenda.published.is_some();
    if let Some(outcome) = waiting_for(asked).filter(|_| !refused) {
        return outcome;
    }
    if let Some(wall) = report.blocked.first() {
        return Outcome::Blocked { reason: wall.clone() };
    }
    if situation.agenda.published.is_none() {
        let reason = match situation.agenda.candidate.as_ref().map(|candidate| candidate.lifecycle) {
            Some(Lifecycle::Draft) => "the draft is not proposed yet",
            _ => "the package has no published revision",
        };
        return Outcome::Waiting { reason: reason.to_owned(), after: None };
    }
    if let Some(reason) = situation.reasons.first().filter(|_| situation.seats.is_empty()) {
        return Outcome::Blocked { reason: reason.clone() };
    }
    Outcome::Settled
}

/// Whether an error says that somebody else wrote our state: read it again.
#[must_use]
pub fn is_stale_state(error: &EngineError) -> bool {
    matches!(error, EngineError::State(StateError::Conflict(_)))
        && error.class() == crate::domain::error::Class::Conflict
}

impl Engine {
    /// The last record of a Sync's history that was seen here; `None` before it was read.
    #[must_use]
    pub fn last_record(&self, key: &NamespacedName) -> Option<Option<Record>> {
        self.states.get(key).map(|state| state.value.history.last().cloned())
    }

    /// History and holds of a Sync, read once and kept since.
    ///
    /// # Errors
    /// [`EngineError::State`].
    pub async fn state_of(&self, key: &NamespacedName) -> Result<SyncState, EngineError> {
        Ok(self.known(key).await?.value)
    }

    async fn known(&self, key: &NamespacedName) -> Result<Versioned<SyncState>, EngineError> {
        if let Some(known) = self.states.get(key) {
            return Ok(known);
        }
        let state = self.state.get(key).await?;
        self.states.put(key, Some(state.clone()));
        Ok(state)
    }
}
