//! Asking the targets of a plan whether they would do what was foretold.

use std::collections::BTreeMap;

use futures::{StreamExt as _, stream};

use super::gather::Seat;
use super::planning::{Planned, schemas};
use super::targets::Session;
use super::{Engine, EngineError, MANAGER};
use crate::cluster::{Apply, ClusterError};
use crate::domain::krm::ObjectId;
use crate::domain::plan::{Action, Answer, Declared, DeclaredObject, UnitPlan, confirm};

/// How many dry runs a target is asked at once.
const AT_ONCE: usize = 8;

/// What a target was asked, and what it answered.
pub type Answers = BTreeMap<ObjectId, Answer>;

impl Engine {
    /// The same plans, confirmed by a dry run of every creation and patch on its target, with the answers of each.
    ///
    /// # Guarantees
    /// Nothing is stored anywhere: every request says `dryRun=All`. A plan that was foretold right keeps its id.
    ///
    /// # Errors
    /// [`EngineError::Cluster`] when a target stops answering.
    pub async fn confirm(&self, seats: &[Seat], planned: Vec<Planned>) -> Result<Vec<(Planned, Answers)>, EngineError> {
        let mut all = Vec::new();
        for mut planned in planned {
            let seat = seats.iter().find(|seat| seat.name == planned.plan.unit.target);
            let mut said = Answers::new();
            if let Some(Ok(session)) = seat.map(|seat| &seat.session) {
                said = answers(session, &planned.declared, &planned.plan).await?;
                let schemas = schemas(&self.schemas, &planned.declared, &planned.observed);
                planned.plan = confirm(planned.plan, &planned.declared, &planned.observed, &schemas, MANAGER, &said);
            }
            all.push((planned, said));
        }
        Ok(all)
    }
}

async fn answers(session: &Session, declared: &Declared, unit: &UnitPlan) -> Result<Answers, EngineError> {
    let wanted = declared.by_id();
    let writes = unit.steps().filter(|step| matches!(step.action, Action::Create { .. } | Action::Patch { .. }));
    let asked: Vec<&DeclaredObject> = writes.filter_map(|step| wanted.get(&step.object).copied()).collect();
    // As the real thing goes: without force, so that a conflict is one here too.
    let how = Apply { dry_run: true, ..Apply::new(MANAGER) };
    let answers = stream::iter(asked).map(|wanted| answer(session, wanted, &how)).buffered(AT_ONCE);
    let answers: Vec<Result<_, EngineError>> = answers.collect().await;
    answers.into_iter().collect()
}

async fn answer(session: &Session, wanted: &DeclaredObject, how: &Apply) -> Result<(ObjectId, Answer), EngineError> {
    let answer = match session.cluster.apply(None, &wanted.object, how).await {
        Ok(stored) => Answer::Stored(Box::new(stored)),
        Err(ClusterError::Invalid { reason, .. } | ClusterError::Forbidden { reason, .. }) => Answer::Refused(reason),
        // What is missing may come with an earlier step; a conflict is a guard of the plan already.
        Err(ClusterError::NotFound { .. } | ClusterError::Conflict { .. }) => Answer::Silent,
        Err(error) => return Err(error.into()),
    };
    Ok((wanted.object.id(), answer))
}
