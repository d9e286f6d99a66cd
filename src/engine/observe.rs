//! Looking at a target: from live copies where they are kept, by asking where they are not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::EngineError;
use super::definitions::definitions;
use super::targets::{PATIENCE, Session};
use crate::cluster::ClusterError;
use crate::domain::inventory::Inventory;
use crate::domain::krm::{Gvk, Object, ObjectId, Schemas};
use crate::domain::plan::{Declared, Observed, Seen};
use crate::domain::time::Timestamp;

/// What is on a target, as far as a unit is concerned.
///
/// # Flow
/// Every kind that is declared or owned is kept by a watch on members; a declared object that is no member is asked
/// for, because it may exist and belong to somebody else. So is all of a kind whose watch is broken. Owned objects are
/// looked for in whatever version their kind is served.
///
/// # Guarantees
/// A settled unit costs no request, but one in ten minutes for each custom kind that it does not define, and a few for
/// each kind that went while objects of it are owned. What could not be seen makes the view partial, never empty: an
/// owned object is absent only when it was looked for, or when its kind is proved not to be there.
///
/// # Errors
/// [`EngineError::Cluster`] when the target does not answer at all.
pub async fn observe(
    session: &Session,
    declared: &Declared,
    builtin: &Schemas,
    now: Timestamp,
) -> Result<Observed, EngineError> {
    let Kinds { inventory, unknown, mut seen } = kinds(session, declared).await?;
    let wanted = wanted(declared, &inventory, &unknown);
    let mut patience = PATIENCE;
    let mut current = BTreeSet::new();
    for kind in wanted.values().collect::<BTreeSet<_>>() {
        match session.mirror.synced(&Session::members(kind), patience).await {
            Ok(()) => drop(current.insert(kind)),
            Err(error) => {
                seen = Seen::Partial(error.to_string());
                // Whoever does not answer for one kind has had its time.
                patience = Duration::ZERO;
            }
        }
    }
    let mut objects: BTreeMap<ObjectId, Object> = BTreeMap::new();
    for (id, kind) in &wanted {
        let kept = session.mirror.get(&Session::members(kind), id).filter(|_| current.contains(kind));
        let found = match kept {
            Some(object) => Some(object),
            None => session.cluster.get(kind, &id.namespace, &id.name).await?,
        };
        objects.extend(found.map(|object| (id.clone(), object)));
    }
    let missing_namespaces = missing_namespaces(session, declared, &objects).await?;
    let definitions = definitions(session, declared, builtin, now).await?;
    let without_namespace = without_namespace(session, declared).await?;
    Ok(Observed {
        objects,
        inventory,
        unknown_kinds: unknown,
        missing_namespaces,
        without_namespace,
        definitions,
        seen,
        at: now,
    })
}

/// The kinds that a unit is about.
struct Kinds {
    /// What the unit owns, in the versions in which it can be looked at.
    inventory: Inventory,
    /// Declared and owned kinds that are not served.
    unknown: BTreeSet<Gvk>,
    /// Whether all that may be there can be looked at.
    seen: Seen,
}

/// Finds where the kinds of a unit are served, and begins to keep their members.
async fn kinds(session: &Session, declared: &Declared) -> Result<Kinds, EngineError> {
    let mut inventory = session.inventory(&declared.unit).await?;
    let mut unknown = BTreeSet::new();
    let mut seen = Seen::Complete;
    let wanted: BTreeMap<ObjectId, Gvk> =
        declared.objects.iter().map(|wanted| (wanted.object.id(), wanted.object.gvk())).collect();
    for kind in wanted.values().collect::<BTreeSet<_>>() {
        if !session.mirror.ensure(&Session::members(kind)).await? {
            unknown.insert(kind.clone());
        }
    }
    let owned = inventory.iter().filter(|(id, _)| !wanted.contains_key(id));
    for kind in owned.map(|(_, kind)| kind).collect::<BTreeSet<_>>() {
        match whereabouts(session, &kind).await? {
            Whereabouts::Served(version) => inventory.read_in(&kind, &version),
            Whereabouts::Gone => drop(unknown.insert(kind)),
            Whereabouts::Hidden => {
                seen = Seen::Partial(format!("{}.{} is served in no version", kind.kind, kind.group));
                unknown.insert(kind);
            }
        }
    }
    Ok(Kinds { inventory, unknown, seen })
}

/// Where objects of a kind are that were written in some version of it.
enum Whereabouts {
    /// In this version, and followed from now on.
    Served(String),
    /// Nowhere: with the kind its objects went.
    Gone,
    /// They may be there all the same.
    Hidden,
}

async fn whereabouts(session: &Session, kind: &Gvk) -> Result<Whereabouts, EngineError> {
    if session.mirror.ensure(&Session::members(kind)).await? {
        return Ok(Whereabouts::Served(kind.version.clone()));
    }
    let versions = session.cluster.versions(&kind.group).await?;
    for version in &versions {
        if session.mirror.ensure(&Session::members(&Gvk::new(&kind.group, version, &kind.kind))).await? {
            return Ok(Whereabouts::Served(version.clone()));
        }
    }
    let gone = versions.is_empty() || !may_be_defined(session, kind).await?;
    Ok(if gone { Whereabouts::Gone } else { Whereabouts::Hidden })
}

/// Whether a definition of a kind is there, or may be: the objects of one that serves no version stay.
async fn may_be_defined(session: &Session, kind: &Gvk) -> Result<bool, EngineError> {
    let definition = Gvk::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    match session.cluster.list(&definition, "", "").await {
        Ok(found) => Ok(found.objects.iter().any(|object| defines(object, kind))),
        Err(ClusterError::Forbidden { .. }) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn defines(definition: &Object, kind: &Gvk) -> bool {
    let text = |pointer: &str| definition.value().pointer(pointer).and_then(Value::as_str);
    text("/spec/group") == Some(&kind.group) && text("/spec/names/kind") == Some(&kind.kind)
}

/// What is declared or owned and can be looked at.
fn wanted(declared: &Declared, inventory: &Inventory, unknown: &BTreeSet<Gvk>) -> BTreeMap<ObjectId, Gvk> {
    let mut wanted: BTreeMap<ObjectId, Gvk> = inventory.iter().map(|(id, kind)| (id.clone(), kind)).collect();
    wanted.extend(declared.objects.iter().map(|declared| (declared.object.id(), declared.object.gvk())));
    wanted.retain(|_, kind| !unknown.contains(kind));
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

#[cfg(test)]
mod tests;
