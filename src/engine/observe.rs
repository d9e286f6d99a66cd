//! Looking at a target: from live copies where they are kept, by asking where they are not.

use std::collections::{BTreeMap, BTreeSet};

use super::EngineError;
use super::definitions::definitions;
use super::targets::{PATIENCE, Session};
use crate::domain::krm::{Gvk, Object, ObjectId, Schemas};
use crate::domain::plan::{Declared, Observed, Seen};
use crate::domain::time::Timestamp;

/// What is on a target, as far as a unit is concerned.
///
/// # Flow
/// Every kind that is declared or owned is kept by a watch on members; a declared object that is no member is asked
/// for, because it may exist and belong to somebody else.
///
/// # Guarantees
/// A settled unit costs no request, but one in ten minutes for each custom kind that it does not define. What could not
/// be seen makes the view partial, never empty.
///
/// # Errors
/// [`EngineError::Cluster`] when the target does not answer at all.
pub async fn observe(
    session: &Session,
    declared: &Declared,
    builtin: &Schemas,
    now: Timestamp,
) -> Result<Observed, EngineError> {
    let inventory = session.inventory(&declared.unit).await?;
    let mut kinds: BTreeSet<Gvk> = declared.objects.iter().map(|wanted| wanted.object.gvk()).collect();
    kinds.extend(inventory.iter().map(|(_, kind)| kind));
    let mut unknown_kinds = BTreeSet::new();
    let mut seen = Seen::Complete;
    for kind in &kinds {
        let scope = Session::members(kind);
        if !session.mirror.ensure(&scope).await? {
            unknown_kinds.insert(kind.clone());
        } else if let Err(error) = session.mirror.synced(&scope, PATIENCE).await {
            seen = Seen::Partial(error.to_string());
        }
    }
    let mut objects: BTreeMap<ObjectId, Object> = BTreeMap::new();
    let mut absent = Vec::new();
    for (id, kind) in wanted(declared, &inventory) {
        if unknown_kinds.contains(&kind) {
            continue;
        }
        match session.mirror.get(&Session::members(&kind), &id) {
            Some(object) => drop(objects.insert(id, object)),
            None => absent.push((id, kind)),
        }
    }
    for (id, kind) in absent {
        if let Some(object) = session.cluster.get(&kind, &id.namespace, &id.name).await? {
            objects.insert(id, object);
        }
    }
    let missing_namespaces = missing_namespaces(session, declared, &objects).await?;
    let definitions = definitions(session, declared, builtin, now).await?;
    let without_namespace = without_namespace(session, declared).await?;
    Ok(Observed {
        objects,
        inventory,
        unknown_kinds,
        missing_namespaces,
        without_namespace,
        definitions,
        seen,
        at: now,
    })
}

fn wanted(declared: &Declared, inventory: &crate::domain::inventory::Inventory) -> BTreeMap<ObjectId, Gvk> {
    let mut wanted: BTreeMap<ObjectId, Gvk> = inventory.iter().map(|(id, kind)| (id.clone(), kind)).collect();
    wanted.extend(declared.objects.iter().map(|declared| (declared.object.id(), declared.object.gvk())));
    wanted
}

/// Which scope a kind has is known since its objects were looked for.
async fn without_namespace(session: &Session, declared: &Declared) -> Result<BTreeSet<ObjectId>, EngineError> {
    let mut found = BTreeSet::new();
    for wanted in declared.objects.iter().filter(|wanted| wanted.object.id().namespace.is_empty()) {
        let resource = session.cluster.resource(&wanted.object.gvk()).await?;
        if resource.is_some_and(|resource| resource.namespaced) {
            found.insert(wanted.object.id());
        }
    }
    Ok(found)
}

/// Namespaces are only asked for when something would be created in them.
async fn missing_namespaces(
    session: &Session,
    declared: &Declared,
    objects: &BTreeMap<ObjectId, Object>,
) -> Result<BTreeSet<String>, EngineError> {
    let new = declared.objects.iter().map(|declared| declared.object.id()).filter(|id| !objects.contains_key(id));
    let namespaces: BTreeSet<String> = new.map(|id| id.namespace).filter(|namespace| !namespace.is_empty()).collect();
    let mut missing = BTreeSet::new();
    for namespace in namespaces {
        if session.cluster.get(&Gvk::new("", "v1", "Namespace"), "", &namespace).await?.is_none() {
            missing.insert(namespace);
        }
    }
    Ok(missing)
}
