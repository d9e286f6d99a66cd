//! Taking a package away: prune everywhere, then delete its revisions, then forget it.

use super::apply::apply;
use super::planning::{Planned, declared, plan_target, teardown_policy};
use super::propose::{Asked, Asking};
use super::{Engine, EngineError};
use crate::domain::approval::{Gate, gate_teardown};
use crate::domain::id::{NamespacedName, PackageName};
use crate::domain::lease::Claim;
use crate::domain::plan::Plan;
use crate::ports::forge::{ProposalKey, ProposalKind, ProposalState};
use crate::ports::repositories::Location;

/// How far a deletion is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retired {
    /// It waits for a person.
    Asked(Asked),
    /// Something stands in the way.
    Blocked(Vec<String>),
    /// Nothing is left: neither objects nor revisions.
    Gone,
}

impl Asking<'_> {
    /// Deletes a package that waits for it.
    ///
    /// # Guarantees
    /// Nothing is pruned before a person agreed to the plan of deletions; revisions are deleted only after every target
    /// proved to be empty, so a kill in between is found and finished.
    pub(super) async fn retire(&mut self) -> Result<Retired, EngineError> {
        let Some(published) = self.situation.agenda.published.clone() else { return Ok(Retired::Gone) };
        let plan = match self.deletion(&published).await? {
            Ok(plan) => plan,
            Err(asked) => return Ok(Retired::Asked(asked)),
        };
        let blocked = self.prune(&plan).await?;
        if !blocked.is_empty() {
            return Ok(Retired::Blocked(blocked));
        }
        for revision in self.situation.agenda.all_published.iter().rev() {
            self.situation.packages.delete(Some(self.claim), revision, true).await?;
        }
        let situation = self.situation;
        self.engine.forget(self.claim, &situation.location, &situation.package, &situation.key).await?;
        Ok(Retired::Gone)
    }

    /// Prunes on every target, last wave first; gives what stands in the way.
    async fn prune(&self, agreed: &Plan) -> Result<Vec<String>, EngineError> {
        let mut blocked = Vec::new();
        for seat in self.situation.seats.iter().chain(&self.situation.leaving).rev() {
            let session = match &seat.session {
                Ok(session) => session,
                Err(error) => {
                    blocked.push(format!("{}: {error}", seat.name));
                    continue;
                }
            };
            let declared = declared(&self.situation.key, seat, None);
            let policy = teardown_policy(&self.situation.sync.spec);
            let Planned { declared, observed, plan } = plan_target(self.engine, session, declared, &policy).await?;
            match gate_teardown(plan, agreed) {
                Gate::Open(approved) => {
                    let report =
                        apply(session, self.claim, &approved, &declared, &observed, &self.engine.metrics).await?;
                    blocked.extend(report.failures);
                }
                Gate::Blocked(walls) | Gate::Stale(walls) => {
                    blocked.extend(walls.into_iter().map(|wall| format!("{}: {wall}", seat.name)));
                }
                Gate::NeedsApproval => blocked.push(format!("{}: waits for approval", seat.name)),
            }
        }
        Ok(blocked)
    }
}

impl Engine {
    /// Ends what is kept about a package of which no revision is left: what is pending on its forge, then the history
    /// of its Sync. Whoever lets go of an intent calls it before, because nobody looks at the package afterwards.
    ///
    /// # Guarantees
    /// May be repeated, and by several callers at once: what has ended stays as it ended.
    ///
    /// # Errors
    /// [`EngineError`] when the forge or the state store does not answer.
    pub(super) async fn forget(
        &self,
        claim: &Claim,
        place: &Location,
        package: &PackageName,
        unit: &NamespacedName,
    ) -> Result<(), EngineError> {
        let forge = self.repositories.forge(place)?;
        let key = ProposalKey { repository: place.name.clone(), base: place.branch.clone(), package: package.clone() };
        for proposal in forge.list().await?.iter().filter(|p| p.verdict.is_pending() && p.content.key == key) {
            let at = self.now();
            let end = match proposal.content.kind {
                ProposalKind::Delete => ProposalState::Done { outcome: "deleted".to_owned(), at },
                _ => ProposalState::Withdrawn { reason: "its revision is gone".to_owned(), at },
            };
            forge.conclude(claim, proposal.number, end).await?;
        }
        self.state.delete(claim, unit).await?;
        self.states.forget(unit);
        Ok(())
    }
}
