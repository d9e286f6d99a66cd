//! Carrying out an approved plan on one target, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::targets::{PATIENCE, Session};
use super::{EngineError, MANAGER};
use crate::cluster::{Apply, ClusterError, Delete};
use crate::domain::approval::Approved;
use crate::domain::inventory::Inventory;
use crate::domain::krm::{Mask, Object, ObjectId};
use crate::domain::lease::Claim;
use crate::domain::plan::{Action, Declared, DeclaredObject, Observed, Seen, Stage, Step, UnitPlan, secrets};
use crate::telemetry::Metrics;

/// What applying a plan came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplyReport {
    /// Objects created or changed.
    pub written: usize,
    /// Objects deleted.
    pub deleted: usize,
    /// What failed, one line each; what needs it was not tried.
    pub failures: Vec<String>,
    /// Those of the failures that trying again does not help: the target says that the object is wrong.
    pub refused: Vec<String>,
}

/// Carries out a plan.
///
/// # Flow
/// The inventory is widened to everything old and new; stages run in order, a failed stage ends the run; deletions
/// carry uid and resourceVersion and are waited for; then the inventory is narrowed to what is declared or still there.
///
/// # Guarantees
/// Only [`Approved`] plans are carried out. A kill at any point leaves every object in the inventory. Repeating it
/// after a kill does only what is left.
///
/// # Errors
/// [`EngineError`] when the target stops answering or the claim ran out; refusals of single objects are in the report.
pub async fn apply(
    session: &Session,
    claim: &Claim,
    plan: &Approved<UnitPlan>,
    declared: &Declared,
    observed: &Observed,
    metrics: &Metrics,
) -> Result<ApplyReport, EngineError> {
    let plan = plan.get();
    let new = Inventory::of(declared.objects.iter().map(|wanted| &wanted.object));
    let mut run = Run {
        session,
        claim,
        declared,
        wanted: declared.by_id(),
        mask: OnceLock::new(),
        observed,
        metrics,
        take_back: plan.take_back,
        report: ApplyReport::default(),
        gone: BTreeSet::new(),
    };
    session.store_inventory(claim, &plan.unit, &observed.inventory.union(&new)).await?;
    for stage in &plan.stages {
        run.stage(stage).await?;
        if !run.report.failures.is_empty() {
            return Ok(run.report);
        }
    }
    let mut owned = observed.inventory.union(&new);
    // What was not seen is absent only in a view that is whole.
    let whole = observed.seen == Seen::Complete;
    let absent = observed.inventory.iter().map(|(id, _)| id);
    let absent = absent.filter(|id| whole && !new.owns(id) && !observed.objects.contains_key(id));
    for id in absent.chain(&run.gone) {
        owned.forget(id);
    }
    session.store_inventory(claim, &plan.unit, &owned).await?;
    Ok(run.report)
}

struct Run<'a> {
    take_back: bool,
    session: &'a Session,
    claim: &'a Claim,
    declared: &'a Declared,
    wanted: BTreeMap<ObjectId, &'a DeclaredObject>,
    /// What Secrets hold; gathered when something failed.
    mask: OnceLock<Mask>,
    observed: &'a Observed,
    metrics: &'a Metrics,
    report: ApplyReport,
    gone: BTreeSet<ObjectId>,
}

impl Run<'_> {
    async fn stage(&mut self, stage: &Stage) -> Result<(), EngineError> {
        for step in stage.steps.iter().filter(|step| step.writes()) {
            let done = match step.action {
                Action::Delete => self.delete(step).await,
                _ => self.write(step).await,
            };
            match done {
                Ok(()) => self.metrics.steps.with_label_values(&[&step.symbol().to_string()]).inc(),
                Err(error @ (ClusterError::Claim(_) | ClusterError::Unreachable { .. })) => return Err(error.into()),
                Err(error) => {
                    let mask = self.mask.get_or_init(|| secrets(self.declared, self.observed));
                    let told = mask.text(&error.to_string());
                    if matches!(error, ClusterError::Invalid { .. }) {
                        self.report.refused.push(told.clone());
                    }
                    self.report.failures.push(told);
                }
            }
        }
        Ok(())
    }

    async fn write(&mut self, step: &Step) -> Result<(), ClusterError> {
        let Some(wanted) = self.wanted.get(&step.object) else { return Ok(()) };
        let how = Apply { force: self.take_back, ..Apply::new(MANAGER) };
        let stored = self.session.cluster.apply(Some(self.claim), &wanted.object, &how).await?;
        self.report.written += 1;
        // What follows must see our own write.
        self.session.mirror.seen(&Session::members(&step.kind), &stored, PATIENCE).await
    }

    async fn delete(&mut self, step: &Step) -> Result<(), ClusterError> {
        let Some(live) = self.observed.objects.get(&step.object) else { return Ok(()) };
        let when =
            Delete { uid: Some(live.uid().to_owned()), resource_version: fresh_version(self.session, step, live) };
        self.session.cluster.delete(Some(self.claim), &step.kind, &step.object, &when).await?;
        self.session.mirror.gone(&Session::members(&step.kind), &step.object, PATIENCE).await?;
        self.report.deleted += 1;
        self.gone.insert(step.object.clone());
        Ok(())
    }
}

/// Kinds that destroy more than themselves are deleted only as they were seen; for others status noise must not stop
/// it.
fn fresh_version(session: &Session, step: &Step, live: &Object) -> Option<String> {
    let disruptive =
        matches!(step.kind.kind.as_str(), "Namespace" | "PersistentVolumeClaim" | "CustomResourceDefinition");
    let seen = session.mirror.get(&Session::members(&step.kind), &step.object);
    disruptive.then(|| seen.as_ref().unwrap_or(live).resource_version().to_owned())
}
