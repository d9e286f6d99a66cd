//! The plan of a Sync over its targets. The controller, the proposal and `loggia diff` all come here.

use crate::domain::id::{NamespacedName, UnitId};
use crate::domain::intent::sync::{ApprovalBind, ApprovalMode, SyncSpec};
use crate::domain::plan::{
    Declared, DeclaredObject, Observed, Plan, PlanPolicy, UnitPlan, declare, declared_digest, plan_unit,
};
use crate::domain::{approval, krm::Schemas};

use super::gather::Seat;
use super::observe::observe;
use super::targets::Session;
use super::{Engine, EngineError, MANAGER};

/// What the policy of a Sync says about planning.
#[must_use]
pub fn policy(spec: &SyncSpec) -> PlanPolicy {
    PlanPolicy {
        manager: MANAGER.to_owned(),
        prune: spec.apply.prune,
        prune_limit: spec.apply.prune_limit.clone(),
        take_back: false,
    }
}

/// Who has to agree.
#[must_use]
pub const fn mode(spec: &SyncSpec) -> approval::Mode {
    match spec.approval.mode {
        ApprovalMode::Required => approval::Mode::Required,
        ApprovalMode::Automatic => approval::Mode::Automatic,
    }
}

/// What an approval is bound to.
#[must_use]
pub const fn bind(spec: &SyncSpec) -> approval::Bind {
    match spec.approval.bind {
        ApprovalBind::Plan => approval::Bind::Plan,
        ApprovalBind::Declared => approval::Bind::Declared,
    }
}

/// What shall be on one target of a Sync; `None`: nothing any more.
#[must_use]
pub fn declared(sync: &NamespacedName, seat: &Seat, objects: Option<&[DeclaredObject]>) -> Declared {
    let unit = UnitId { sync: sync.clone(), target: seat.name.clone() };
    Declared { teardown: objects.is_none(), ..declare(unit, seat.wave, objects.unwrap_or_default()) }
}

/// Plans one target.
///
/// # Errors
/// [`EngineError`] when the target does not answer.
pub async fn plan_target(
    engine: &Engine,
    session: &Session,
    declared: &Declared,
    policy: &PlanPolicy,
) -> Result<(UnitPlan, Observed), EngineError> {
    let observed = observe(session, declared, engine.now()).await?;
    let schemas = schemas(&engine.schemas, declared);
    Ok((plan_unit(declared, &observed, &schemas, policy), observed))
}

/// Built-in schemas and those of CRDs that the package brings.
pub(super) fn schemas(builtin: &Schemas, declared: &Declared) -> Schemas {
    let mut schemas = builtin.clone();
    for wanted in declared.objects.iter().filter(|wanted| wanted.object.kind() == "CustomResourceDefinition") {
        // A CRD that cannot be read only lowers the grade of its resources.
        let _ = schemas.add_crd(wanted.object.value());
    }
    schemas
}

impl Engine {
    /// Plans a set of objects over all targets that answer, and nothing at all for those that are `leaving`. Those that
    /// do not answer are told by name: they are not part of the plan and need one of their own when they are back.
    ///
    /// # Errors
    /// None for single targets; reserved for what concerns all of them.
    pub async fn plan(
        &self,
        sync: &NamespacedName,
        spec: &SyncSpec,
        seats: &[Seat],
        leaving: &[Seat],
        objects: Option<&[DeclaredObject]>,
    ) -> Result<(Plan, Vec<String>), EngineError> {
        let policy = policy(spec);
        let mut units = Vec::new();
        let mut silent = Vec::new();
        let wanted = seats.iter().map(|seat| (seat, objects)).chain(leaving.iter().map(|seat| (seat, None)));
        for (seat, objects) in wanted {
            let planned = match &seat.session {
                Ok(session) => plan_target(self, session, &declared(sync, seat, objects), &policy).await,
                Err(error) => {
                    silent.push(format!("{} does not answer: {error}", seat.name));
                    continue;
                }
            };
            match planned {
                Ok((unit, _)) => units.push(unit),
                Err(error) => silent.push(format!("{} does not answer: {error}", seat.name)),
            }
        }
        Ok((Plan::new(declared_digest(objects.unwrap_or_default()), units), silent))
    }
}
