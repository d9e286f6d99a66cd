//! The plan of a Sync over its targets. The controller, the proposal and `loggia diff` all come here.

use crate::domain::id::{NamespacedName, UnitId};
use crate::domain::intent::sync::{ApprovalBind, ApprovalMode, SyncSpec, ignore_rules};
use crate::domain::intent::violation::Violation;
use crate::domain::plan::{
    Declared, DeclaredObject, Observed, Plan, PlanPolicy, UnitPlan, declare, declared_digest, plan_unit,
};
use crate::domain::{approval, krm::Schemas};

use super::gather::{Seat, Situation};
use super::observe::observe;
use super::targets::Session;
use super::{Engine, EngineError, MANAGER};

/// What the policy of a Sync says about planning.
///
/// # Errors
/// [`EngineError::Object`] when its ignore rules cannot be read.
pub fn policy(sync: &NamespacedName, spec: &SyncSpec) -> Result<PlanPolicy, EngineError> {
    let wrong = |found: Vec<Violation>| {
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        EngineError::Object { what: format!("Sync {sync}"), reason: told.join("; ") }
    };
    Ok(PlanPolicy { ignore: ignore_rules(spec).map_err(wrong)?, ..teardown_policy(spec) })
}

/// The same for taking everything away, where no field is left to anybody.
#[must_use]
pub fn teardown_policy(spec: &SyncSpec) -> PlanPolicy {
    PlanPolicy {
        manager: MANAGER.to_owned(),
        prune: spec.apply.prune,
        prune_limit: spec.apply.prune_limit.clone(),
        ..PlanPolicy::default()
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

/// What shall be on a target, what is there, and what to do about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What shall be there, as it is applied: fields that are left to others are as they are there.
    pub declared: Declared,
    /// What is there.
    pub observed: Observed,
    /// What to do.
    pub plan: UnitPlan,
}

/// Plans one target.
///
/// # Errors
/// [`EngineError`] when the target does not answer.
pub async fn plan_target(
    engine: &Engine,
    session: &Session,
    declared: Declared,
    policy: &PlanPolicy,
) -> Result<Planned, EngineError> {
    let observed = observe(session, &declared, &engine.schemas, engine.now()).await?;
    let schemas = schemas(&engine.schemas, &declared, &observed);
    let declared = declared.sparing(&observed.objects, &policy.ignore, &policy.manager, &schemas);
    let plan = plan_unit(&declared, &observed, &schemas, policy);
    Ok(Planned { declared, observed, plan })
}

/// Built-in schemas, those of CRDs that the target has, and those of CRDs that the package brings: they are what will
/// be there, so they win.
pub(super) fn schemas(builtin: &Schemas, declared: &Declared, observed: &Observed) -> Schemas {
    let mut schemas = builtin.clone();
    let brought = declared.objects.iter().map(|wanted| &wanted.object);
    let brought = brought.filter(|object| object.kind() == "CustomResourceDefinition");
    for definition in observed.definitions.iter().chain(brought) {
        // A CRD that cannot be read only lowers the grade of its resources.
        let _ = schemas.add_crd(definition.value());
    }
    schemas
}

impl Engine {
    /// Plans a set of objects over all targets that answer, and nothing at all for those that are `leaving`. Those that
    /// do not answer are told by name: they are not part of the plan and need one of their own when they are back.
    ///
    /// # Errors
    /// [`EngineError::Object`] when the Sync's own rules cannot be read.
    pub async fn plan(
        &self,
        situation: &Situation,
        objects: Option<&[DeclaredObject]>,
    ) -> Result<(Plan, Vec<String>), EngineError> {
        let (planned, silent) = self.survey(situation, objects).await?;
        let units = planned.into_iter().map(|planned| planned.plan).collect();
        Ok((Plan::new(declared_digest(objects.unwrap_or_default()), units), silent))
    }

    /// As [`Engine::plan`], with what every target holds.
    ///
    /// # Errors
    /// As [`Engine::plan`].
    pub async fn survey(
        &self,
        situation: &Situation,
        objects: Option<&[DeclaredObject]>,
    ) -> Result<(Vec<Planned>, Vec<String>), EngineError> {
        let spec = &situation.sync.spec;
        let policy = if objects.is_some() { policy(&situation.key, spec)? } else { teardown_policy(spec) };
        let mut all = Vec::new();
        let mut silent = Vec::new();
        let leaving = situation.leaving.iter().map(|seat| (seat, None));
        for (seat, objects) in situation.seats.iter().map(|seat| (seat, objects)).chain(leaving) {
            let planned = match &seat.session {
                Ok(session) => plan_target(self, session, declared(&situation.key, seat, objects), &policy).await,
                Err(error) => {
                    silent.push(format!("{} does not answer: {error}", seat.name));
                    continue;
                }
            };
            match planned {
                Ok(planned) => all.push(planned),
                Err(error) => silent.push(format!("{} does not answer: {error}", seat.name)),
            }
        }
        Ok((all, silent))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::id::TargetName;
    use crate::domain::krm::merge::merge;
    use crate::domain::krm::schema::Grade;
    use crate::domain::krm::{Gvk, Object};
    use crate::domain::time::Timestamp;

    fn definition(list_type: &str) -> Object {
        Object::new(json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.x.y"},
            "spec": {"group": "x.y", "names": {"kind": "Thing", "plural": "things"}, "versions": [{"name": "v1", "schema": {
                "openAPIV3Schema": {"type": "object", "properties": {"tags": {
                    "type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": list_type}}}}}]}
        }))
        .unwrap()
    }

    fn declared(objects: &[Object]) -> Declared {
        let sync = NamespacedName { namespace: "d".to_owned(), name: "s".to_owned() };
        let unit = UnitId { sync, target: TargetName::new("t").unwrap() };
        let declared = |object: &Object| DeclaredObject { object: object.clone(), origin: "f.yaml:1".to_owned() };
        declare(unit, 0, &objects.iter().map(declared).collect::<Vec<_>>())
    }

    fn observed(definitions: Vec<Object>) -> Observed {
        let inventory = crate::domain::inventory::Inventory::default();
        Observed { definitions, ..Observed::whole([], inventory, Timestamp::UNIX_EPOCH) }
    }

    /// The grade of a thing, and what its tags are after an apply.
    fn tags(brought: &[Object], there: Vec<Object>) -> (Grade, Value) {
        let schemas = schemas(&Schemas::builtin(), &declared(brought), &observed(there));
        let (schema, grade) = schemas.lookup(&Gvk::new("x.y", "v1", "Thing"));
        (grade, merge(&json!({"tags": ["a"]}), &json!({"tags": ["b"]}), schema)["tags"].clone())
    }

    #[test]
    fn the_definition_that_will_be_there_wins() {
        let (set, atomic) = (definition("set"), definition("atomic"));
        assert_eq!(tags(&[], vec![]), (Grade::None, json!(["b"])));
        assert_eq!(tags(&[], vec![set.clone()]), (Grade::Schema, json!(["a", "b"])));
        assert_eq!(tags(std::slice::from_ref(&set), vec![]), (Grade::Schema, json!(["a", "b"])));
        assert_eq!(tags(&[atomic], vec![set]), (Grade::Schema, json!(["b"])));
    }
}
