//! The plan of one target.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, Declared, DeclaredObject, FieldChange, Guard, Observed, Seen, Step};
use crate::domain::id::{Digest, UnitId};
use crate::domain::inventory::{Inventory, PART_OF, applyset_id};
use crate::domain::krm::validate::{UNDECLARED, Violation, misfits};
use crate::domain::krm::{
    Cause, Grade, Gvk, IgnoreRule, Mask, Object, ObjectId, Predicted, Schemas, delete_order, metadata, predict, rules,
    stage, structural, without_value,
};

/// Annotation on an object that keeps it when it is no longer declared.
const PRUNE: &str = "loggia.dev/prune";
/// Names of the stages of `krm::order`.
const STAGES: [&str; 7] = ["definitions", "access", "configuration", "services", "workloads", "the rest", "hooks"];

/// What the Sync's policy says about planning.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanPolicy {
    /// Field manager that applies.
    pub manager: String,
    /// Whether objects that are no longer declared are deleted.
    pub prune: bool,
    /// Largest share (`50%`) or number (`20`) of owned objects that may go without a person.
    pub prune_limit: String,
    /// Whether fields of this very set that others took are taken back: the correction of drift.
    pub take_back: bool,
    /// Fields that are left to others.
    pub ignore: Vec<IgnoreRule>,
}

impl Default for PlanPolicy {
    fn default() -> Self {
        Self {
            manager: "loggia".to_owned(),
            prune: true,
            prune_limit: "50%".to_owned(),
            take_back: false,
            ignore: Vec::new(),
        }
    }
}

/// Steps that may run together; the next stage starts when these are done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// What it does, such as `apply workloads` or `prune`.
    pub name: String,
    /// Its steps, in order of kind and name.
    pub steps: Vec<Step>,
}

/// What will happen on one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnitPlan {
    /// Which Sync on which target.
    pub unit: UnitId,
    /// Which wave, from 0.
    pub wave: usize,
    /// Digest over the declared objects.
    pub declared: Digest,
    /// Applies in order, then prunes in reverse order.
    pub stages: Vec<Stage>,
    /// Reasons not to go on without a person.
    pub guards: Vec<Guard>,
    /// Whether fields that others took are taken back.
    #[serde(default)]
    pub take_back: bool,
}

impl UnitPlan {
    /// Every step in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }

    /// Whether nothing would be written and nothing stands in the way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.guards.is_empty() && !self.steps().any(Step::writes)
    }

    /// Digests of the steps that write, in order.
    #[must_use]
    pub fn step_digests(&self) -> Vec<Digest> {
        self.steps().filter(|step| step.writes()).map(Step::digest).collect()
    }
}

/// Plans one target: a total function, where bad circumstances are guards.
#[must_use]
pub fn plan_unit(declared: &Declared, observed: &Observed, schemas: &Schemas, policy: &PlanPolicy) -> UnitPlan {
    let view = View { declared, observed, schemas, policy, mask: secrets(declared, observed) };
    let mut guards = view_guards(declared, observed);
    let mut stages = apply_stages(&view, &mut guards);
    let deletes = prune_steps(declared, observed, policy, &mut guards);
    if !deletes.is_empty() {
        stages.push(Stage { name: "prune".to_owned(), steps: deletes });
    }
    let guards = guards.into_iter().map(|guard| guard.masked(&view.mask)).collect();
    UnitPlan {
        unit: declared.unit.clone(),
        wave: declared.wave,
        declared: declared.digest.clone(),
        stages,
        guards,
        take_back: policy.take_back,
    }
}

/// What one target is planned from.
struct View<'v> {
    declared: &'v Declared,
    observed: &'v Observed,
    schemas: &'v Schemas,
    policy: &'v PlanPolicy,
    mask: Mask,
}

/// Hides what any Secret holds that is declared or seen, in whatever object it turns up.
#[must_use]
pub fn secrets(declared: &Declared, observed: &Observed) -> Mask {
    let wanted = declared.objects.iter().map(|wanted| wanted.object.value());
    Mask::of(wanted.chain(observed.objects.values().map(Object::value)))
}

fn view_guards(declared: &Declared, observed: &Observed) -> Vec<Guard> {
    let mut guards = Vec::new();
    if let Seen::Partial(reason) = &observed.seen {
        guards.push(Guard::PartialView { reason: reason.clone() });
    }
    if declared.objects.is_empty() && !declared.teardown && !observed.inventory.is_empty() {
        guards.push(Guard::EmptySet { owned: observed.inventory.len() });
    }
    let brought = |namespace: &str| {
        declared.objects.iter().any(|d| d.object.kind() == "Namespace" && d.object.name() == namespace)
    };
    for namespace in observed.missing_namespaces.iter().filter(|namespace| !brought(namespace)) {
        guards.push(Guard::NamespaceMissing { namespace: namespace.clone() });
    }
    guards.extend(observed.without_namespace.iter().map(|id| Guard::NoNamespace { object: id.to_string() }));
    guards
}

fn apply_stages(view: &View<'_>, guards: &mut Vec<Guard>) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    for wanted in &view.declared.objects {
        let kind = wanted.object.gvk();
        let number = usize::from(stage(&kind.group, &kind.kind).number());
        let name = format!("apply {}", STAGES.get(number).unwrap_or(&"the rest"));
        let step = apply_step(view, wanted, guards);
        match stages.last_mut() {
            Some(stage) if stage.name == name => stage.steps.push(step),
            _ => stages.push(Stage { name, steps: vec![step] }),
        }
    }
    stages
}

fn apply_step(view: &View<'_>, wanted: &DeclaredObject, guards: &mut Vec<Guard>) -> Step {
    let View { declared, observed, schemas, policy, mask } = view;
    let id = wanted.object.id();
    let kind = wanted.object.gvk();
    let step = |action, grade| Step {
        object: id.clone(),
        kind: kind.clone(),
        action,
        grade,
        origin: Some(wanted.origin.clone()),
    };
    if observed.unknown_kinds.contains(&kind) && !brings_kind(declared, &kind) {
        guards.push(Guard::UnknownKind { object: id.to_string(), kind: kind.to_string() });
        return step(Action::Skip { reason: "the target does not know this kind".to_owned() }, Grade::None);
    }
    let live = observed.objects.get(&id);
    if let Some(owner) = live.and_then(|live| foreign_owner(live, &declared.unit)) {
        guards.push(Guard::ForeignOwner { object: id.to_string(), owner });
        return step(Action::Skip { reason: "it belongs to somebody else".to_owned() }, Grade::None);
    }
    let predicted = match predict(live.map(Object::value), wanted.object.value(), &policy.manager, schemas) {
        Ok(predicted) => predicted,
        Err(error) => {
            guards.push(Guard::Unpredictable { object: id.to_string(), reason: error.to_string() });
            return step(Action::Skip { reason: "its change cannot be foretold".to_owned() }, Grade::None);
        }
    };
    guards.extend(refusals(&wanted.object, live, &predicted, schemas));
    for conflict in predicted.conflicts.iter().filter(|_| !policy.take_back) {
        guards.push(Guard::FieldConflict {
            object: id.to_string(),
            manager: conflict.manager.clone(),
            field: conflict.field.to_string(),
        });
    }
    let action = match live {
        None => Action::Create { content: wanted.object.digest() },
        Some(_) if predicted.changes.is_empty() => Action::Keep,
        Some(_) => {
            let changes = mask.changes(wanted.object.value(), &predicted.changes);
            Action::Patch { changes: changes.into_iter().map(FieldChange::from).collect() }
        }
    };
    step(action, predicted.grade)
}

/// What the target would refuse; nothing is said of kinds without a schema. As the server does, the object that comes
/// of a configuration is looked at when nothing is wrong with the configuration, and when it is written at all.
fn refusals(wanted: &Object, live: Option<&Object>, predicted: &Predicted, schemas: &Schemas) -> Vec<Guard> {
    let (schema, grade) = schemas.lookup(&wanted.gvk());
    if grade == Grade::None {
        return Vec::new();
    }
    let object = wanted.id().to_string();
    let found = misfits(wanted.value(), schema);
    let is_written = live.is_none() || !predicted.changes.is_empty();
    let is_readable = found.iter().all(|found| found.message == UNDECLARED);
    let mut causes = Vec::new();
    if is_written && is_readable {
        if live.is_none() {
            causes.extend(metadata::naming_faults(&wanted.gvk(), schema.is_custom(), &predicted.object));
            causes.extend(metadata::own_naming_faults(&wanted.gvk(), &predicted.object));
        }
        causes.extend(metadata::validate_entries(&predicted.object));
        let old = live.map(Object::value);
        causes.extend(if schema.is_custom() {
            structural::refused(&predicted.object, old, schema)
        } else {
            rules::refused(&wanted.gvk(), old, &predicted.object, schema)
        });
    }
    let guard = |found: Violation| {
        if found.message == UNDECLARED {
            return Guard::UnknownField { object: object.clone(), field: found.path.to_string() };
        }
        let reason = format!("{}: {}", found.path, without_value(wanted.value(), &found.message));
        Guard::Refused { object: object.clone(), reason }
    };
    let refused = |cause: Cause| Guard::Refused { object: object.clone(), reason: cause.to_string() };
    found.into_iter().map(guard).chain(causes.into_iter().map(refused)).collect()
}

/// Whether the definition of a kind is declared.
#[must_use]
pub fn brings_kind(declared: &Declared, kind: &Gvk) -> bool {
    declared.objects.iter().any(|other| {
        let text = |pointer| other.object.value().pointer(pointer).and_then(Value::as_str);
        other.object.kind() == "CustomResourceDefinition"
            && text("/spec/group") == Some(kind.group.as_str())
            && text("/spec/names/kind") == Some(kind.kind.as_str())
    })
}

fn foreign_owner(live: &Object, unit: &UnitId) -> Option<String> {
    let set = live.label(PART_OF)?;
    (set != applyset_id(unit)).then(|| format!("the set {set}"))
}

fn prune_steps(declared: &Declared, observed: &Observed, policy: &PlanPolicy, guards: &mut Vec<Guard>) -> Vec<Step> {
    let refused = observed.seen != Seen::Complete || (declared.objects.is_empty() && !declared.teardown);
    let kept = Inventory::of(declared.objects.iter().map(|wanted| &wanted.object));
    let orphans = observed.inventory.without(&kept);
    let mut steps: Vec<Step> = orphans
        .iter()
        .filter_map(|(id, kind)| Some(prune_step(observed.objects.get(id)?, id, kind, declared, policy)))
        .map(|mut step| {
            if refused && step.writes() {
                step.action = Action::Skip { reason: "nothing is pruned while a guard forbids it".to_owned() };
            }
            step
        })
        .collect();
    steps.sort_by_cached_key(|step| delete_order(&step.object));
    prune_guards(&steps, observed.inventory.len(), policy, declared.teardown, guards);
    steps
}

fn prune_step(live: &Object, id: &ObjectId, kind: Gvk, declared: &Declared, policy: &PlanPolicy) -> Step {
    let skip = |reason: &str| Action::Skip { reason: reason.to_owned() };
    let action = if foreign_owner(live, &declared.unit).is_some() {
        skip("it belongs to somebody else now")
    } else if live.label(PART_OF).is_none() {
        skip("its owner label was removed")
    } else if live.annotation(PRUNE) == Some("disabled") {
        skip("loggia.dev/prune: disabled")
    } else if policy.prune || declared.teardown {
        Action::Delete
    } else {
        skip("spec.apply.prune is false")
    };
    Step { object: id.clone(), kind, action, grade: Grade::Schema, origin: None }
}

fn prune_guards(steps: &[Step], owned: usize, policy: &PlanPolicy, teardown: bool, guards: &mut Vec<Guard>) {
    let deletes: Vec<&Step> = steps.iter().filter(|step| step.action == Action::Delete).collect();
    let data = ["PersistentVolumeClaim", "Namespace", "CustomResourceDefinition"];
    for step in deletes.iter().filter(|step| data.contains(&step.kind.kind.as_str())) {
        guards.push(Guard::DestroysData { object: step.object.to_string() });
    }
    if !teardown && deletes.len() > allowed_deletes(&policy.prune_limit, owned) {
        guards.push(Guard::PruneLimit { deletes: deletes.len(), owned, limit: policy.prune_limit.clone() });
    }
}

/// How many of `owned` objects a limit allows to go: a percentage is rounded down, at least one; nonsense allows none.
fn allowed_deletes(limit: &str, owned: usize) -> usize {
    match limit.strip_suffix('%') {
        Some(percent) => {
            percent.trim().parse::<usize>().map_or(0, |p| (owned.saturating_mul(p) / 100).max(usize::from(p > 0)))
        }
        None => limit.trim().parse().unwrap_or(0),
    }
}
