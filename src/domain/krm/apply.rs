//! The two writes of an API server and what they do to ownership: server-side apply, and everything else.
//!
//! Source: KEP-555, the Kubernetes documentation of server-side apply, and the behaviour of apimachinery's
//! `managedfields`, held by recorded vectors in `testdata`. Entries written in another API version are read as if they
//! were written in this one: there is no conversion here.

mod owners;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::error::{Class, Classify};
use crate::domain::krm::fieldset::FieldSet;
use crate::domain::krm::managed::{self, ManagedFieldsError, Operation, Owner};
use crate::domain::krm::merge::{Comparison, compare, ensure_named, fields_of, merge, remove};
use crate::domain::krm::normal::{is_settled, normalise, settle};
use crate::domain::krm::path::{Path, PathElement};
use crate::domain::krm::schema::Schema;
use crate::domain::krm::validate::{Violation, fits, validate};
use crate::domain::krm::value::same;
use crate::domain::time::Timestamp;

use owners::{Held, Owners};

/// The annotation in which `kubectl apply` keeps what it sent.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Metadata that nobody owns.
const UNOWNED: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// Metadata that an applied configuration cannot change.
const SERVER_OWNED: [&str; 7] = [
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// How a write is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ApplyOptions<'a> {
    /// Field manager; the empty one is recorded as `unknown`.
    pub manager: &'a str,
    /// Take fields over from other managers instead of failing. Only [`apply`] reads it.
    pub force: bool,
    /// Subresource written to, such as `status`; empty for the object itself.
    pub subresource: &'a str,
    /// The time recorded for changed entries.
    pub now: Timestamp,
    /// Fields that this write may not change and does not come to own, such as `.status` in a write to the object
    /// itself of a kind with a status subresource. Map fields only.
    pub reset: &'a [Path],
    /// What every object of the kind has, whoever wrote it: nobody owned it before the first apply. `None` is nothing.
    pub blank: Option<&'a Value>,
}

/// A field that another manager owns with another value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// The other manager.
    pub manager: String,
    /// How it came to own the field.
    pub operation: Operation,
    /// Version it wrote in; empty for appliers.
    pub api_version: String,
    /// Subresource it wrote to; empty for the object itself.
    pub subresource: String,
    /// The field.
    pub field: Path,
}

impl Conflict {
    /// The cause as the API server words it: `conflict with "kubectl-client-side-apply" using apps/v1`.
    #[must_use]
    pub fn message(&self) -> String {
        format!("conflict with {}", self.with_whom())
    }

    /// The text by which the API server sorts the owners in its message.
    fn identifier(&self) -> String {
        let mut text = format!("{{\"manager\":{:?},\"operation\":{:?}", self.manager, self.operation.as_str());
        for (name, part) in [("apiVersion", &self.api_version), ("subresource", &self.subresource)] {
            if !part.is_empty() {
                text = format!("{text},{name:?}:{part:?}");
            }
        }
        text + "}"
    }

    fn with_whom(&self) -> String {
        let mut text = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            text = format!("{text} with subresource {:?}", self.subresource);
        }
        if self.operation == Operation::Update {
            text = format!("{text} using {}", self.api_version);
        }
        text
    }
}

/// An apply that the server refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Others own fields with other values; worded as the API server does.
    #[error("Apply failed with {}", show_conflicts(.0))]
    Conflicts(Vec<Conflict>),
    /// The configuration brings its own `managedFields`.
    #[error("metadata.managedFields must be nil")]
    ManagedFieldsSet,
    /// The configuration does not fit the schema.
    #[error("failed to create typed patch object ({object}): {}", show_violations(.violations))]
    NotTyped {
        /// Namespace, name, version and kind.
        object: String,
        /// What does not fit.
        violations: Vec<Violation>,
    },
    /// The live object's `managedFields` cannot be read.
    #[error("failed to decode managed fields: {0}")]
    ManagedFields(#[from] ManagedFieldsError),
}

impl ApplyError {
    /// A configuration that does not fit its schema, and why.
    #[must_use]
    pub fn not_typed(config: &Value, violations: Vec<Violation>) -> Self {
        Self::NotTyped { object: describe(config), violations }
    }
}

impl Classify for ApplyError {
    fn class(&self) -> Class {
        match self {
            Self::Conflicts(_) => Class::Conflict,
            Self::ManagedFieldsSet | Self::NotTyped { .. } => Class::Invalid,
            Self::ManagedFields(_) => Class::Bug,
        }
    }
}

fn show_conflicts(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!("1 conflict: {}: {}", only.message(), only.field);
    }
    let mut by_owner: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for conflict in conflicts {
        let owner = (conflict.identifier(), conflict.with_whom());
        by_owner.entry(owner).or_default().push(format!("- {}", conflict.field));
    }
    let lines = by_owner.into_iter().flat_map(|((_, who), fields)| {
        std::iter::once(format!("conflicts with {who}:")).chain(fields).collect::<Vec<_>>()
    });
    format!("{} conflicts: {}", conflicts.len(), lines.collect::<Vec<_>>().join("\n"))
}

fn show_violations(violations: &[Violation]) -> String {
    match violations {
        [only] => only.to_string(),
        all => all.iter().fold("errors:".to_owned(), |text, violation| format!("{text}\n  {violation}")),
    }
}

/// What an apply leads to when it takes over every field that it conflicts about.
pub(super) struct Applied {
    pub(super) object: Value,
    pub(super) conflicts: Vec<Conflict>,
}

/// Applies `config` to `live` (`None` when there is no such object): merges it, takes away what this manager gave up
/// and nobody else owns, and records ownership. Applying the same again gives an equal object with unchanged times.
///
/// # Errors
/// [`ApplyError`] naming every conflict, or every way in which `config` does not fit the schema.
pub fn apply(
    live: Option<&Value>,
    config: &Value,
    options: &ApplyOptions<'_>,
    schema: &Schema,
) -> Result<Value, ApplyError> {
    if config.pointer("/metadata/managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(ApplyError::ManagedFieldsSet);
    }
    let violations = validate(config, schema);
    if !violations.is_empty() {
        return Err(ApplyError::not_typed(config, violations));
    }
    let mut applied = take_over(live, config, options, schema)?;
    if options.manager == "kubectl" {
        forgive_client_side(live, schema, &mut applied.conflicts);
    }
    if options.force || applied.conflicts.is_empty() {
        return Ok(applied.object);
    }
    Err(ApplyError::Conflicts(applied.conflicts))
}

/// `namespace/name; group/version, Kind=Kind`, as the API server names an object in its errors.
fn describe(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let api_version = text("/apiVersion");
    let slash = if api_version.contains('/') { "" } else { "/" };
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    format!("{namespace}/{name}; {slash}{api_version}, Kind={}", text("/kind"))
}

/// [`apply`] with force and without checks of the configuration.
pub(super) fn take_over(
    live: Option<&Value>,
    config: &Value,
    options: &ApplyOptions<'_>,
    schema: &Schema,
) -> Result<Applied, ApplyError> {
    let empty = Value::Object(Map::new());
    let old = live.map_or(empty, managed::stripped);
    let mut owners = Owners::read(live.unwrap_or(&Value::Null))?;
    if owners.0.is_empty() {
        owners = Owners::before_first_apply(&old, config, options, schema);
    }
    let wanted = settled(&old, config, live.is_some(), options.reset);
    let owner = owner_of(options, Operation::Apply, &wanted);
    let last = owners.0.remove(&owner);
    let declared = fields_of(&wanted, schema);
    let mut new = merge(&old, &wanted, schema);
    if let Some(last) = &last {
        // Most applies declare all that the last one did: then nothing goes.
        if !last.fields.is_subset(&declared) {
            let pruned = prune(&new, &last.fields, &owners.all().union(&declared), schema);
            new = if schema.keeps_nulls() { pruned } else { declared_empty(&pruned, &wanted, schema) };
        }
    }
    let conflicts = owners.give_way(&compare(&old, &new, schema).without(&options.reset.iter().collect()));
    settle(&mut new, schema);
    // What the server writes as null is nothing.
    let unchanged = if is_settled(&old, schema) { same(&old, &new) } else { same(&normalise(&old, schema), &new) };
    // The server dates an entry anew when the configuration says anything else than the object: another spelling of a
    // quantity, or a field that this write may not change.
    let repeats = unchanged && same(&old, &merge(&old, config, schema));
    let time = if repeats { last.and_then(|last| last.time) } else { Some(options.now) };
    owners.put(owner, Held { api_version: api_version(&wanted), time, fields: declared.without(&unowned()) });
    let mut object = if unchanged { old } else { new };
    if options.manager == "kubectl" {
        refresh_last_applied(&mut object, config);
    }
    managed::write(&mut object, owners.into_entries());
    // A write that changes nothing but times is none.
    let may_be_none = unchanged || options.manager == "kubectl";
    let is_none = |live: &&Value| may_be_none && same(&timeless(live, schema), &timeless(&object, schema));
    let object = live.filter(is_none).cloned().unwrap_or(object);
    Ok(Applied { object, conflicts })
}

/// An object without the times of its owners, which are in an order that does not follow them.
fn timeless(object: &Value, schema: &Schema) -> Value {
    let mut object = normalise(object, schema);
    let Some(owners) = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) else {
        return object;
    };
    for owner in owners.iter_mut().filter_map(Value::as_object_mut) {
        owner.remove("time");
    }
    owners.sort_by_cached_key(ToString::to_string);
    object
}

/// Records who owns what after a write that is not an apply: create, replace, or patch. `old` is the stored object,
/// `new` the one to store; the result is `new` with `managedFields`. Entries that cannot be read are forgotten, and so
/// are all of an object that does not fit the schema, be it only in what the write then resets.
#[must_use]
pub fn update(old: Option<&Value>, new: &Value, options: &ApplyOptions<'_>, schema: &Schema) -> Value {
    let empty = Value::Object(Map::new());
    let before = old.map_or(empty, managed::stripped);
    let mut object = managed::stripped(new);
    let is_typed = fits(&object, schema);
    for path in options.reset {
        restore(&mut object, Some(&before), path.elements());
    }
    if !is_typed {
        return object;
    }
    let mut owners = Owners::of_update(old, new, !options.subresource.is_empty());
    let is_stored = before.pointer("/metadata/uid").and_then(Value::as_str).is_some_and(|uid| !uid.is_empty());
    // An object that was stored without owners has none until its first apply.
    if !(owners.0.is_empty() && is_stored) {
        owners.record_update(&before, &object, options, schema);
        owners.cap_updaters();
    }
    managed::write(&mut object, owners.into_entries());
    object
}

/// `config` without what it cannot change: fields that the write resets, and the server's own metadata.
fn settled(old: &Value, config: &Value, exists: bool, reset: &[Path]) -> Value {
    let mut config = config.clone();
    for path in reset {
        restore(&mut config, None, path.elements());
    }
    if exists {
        let given = |field: &&str| config.pointer(&format!("/metadata/{field}")).is_some();
        let given: Vec<&str> = SERVER_OWNED.into_iter().filter(given).collect();
        for field in given {
            let path = Path::fields(&["metadata", field]);
            restore(&mut config, Some(old), path.elements());
        }
    }
    config
}

/// Sets the field at `path` of `target` to what `source` has there; removes it when `source` has nothing.
fn restore(target: &mut Value, source: Option<&Value>, path: &[PathElement]) {
    let [PathElement::Field(name), rest @ ..] = path else { return };
    let Some(fields) = target.as_object_mut() else { return };
    let source = source.and_then(|source| source.get(name));
    match (rest.is_empty(), source) {
        (true, Some(value)) => {
            fields.insert(name.clone(), value.clone());
        }
        (true, None) => {
            fields.remove(name);
        }
        (false, None) => {
            if let Some(below) = fields.get_mut(name) {
                restore(below, None, rest);
            }
        }
        (false, Some(_)) => {
            let below = fields.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            restore(below, source, rest);
        }
    }
}

fn owner_of(options: &ApplyOptions<'_>, operation: Operation, object: &Value) -> Owner {
    let manager = if options.manager.is_empty() { "unknown" } else { options.manager };
    Owner {
        manager: manager.to_owned(),
        operation,
        api_version: if operation == Operation::Apply { String::new() } else { api_version(object) },
        subresource: options.subresource.to_owned(),
    }
}

fn api_version(object: &Value) -> String {
    object.get("apiVersion").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn unowned() -> FieldSet {
    let top = ["apiVersion", "kind", "metadata"].map(|field| Path::fields(&[field]));
    let metadata = UNOWNED.map(|field| Path::fields(&["metadata", field]));
    top.iter().chain(&metadata).collect()
}

/// Takes out of `merged` what is in `last` (owned by the applier before) and in nothing that is owned now.
fn prune(merged: &Value, last: &FieldSet, owned: &FieldSet, schema: &Schema) -> Value {
    let node = schema.node();
    let (last, owned) = (ensure_named(last, node), ensure_named(owned, node));
    let before = ensure_named(&fields_of(merged, schema), node);
    let bare = ensure_named(&fields_of(&remove(merged, &last, schema), schema), node);
    // Removing a whole item took along what others own in it: put that back.
    let pruned = remove(merged, &before.difference(&bare.union(&owned)), schema);
    // And what nobody owned, unless the applier did.
    let kept = ensure_named(&fields_of(&pruned, schema), node);
    remove(merged, &before.difference(&kept).intersection(&last), schema)
}

/// What pruning emptied is null, which the server drops; what `config` declares to be empty is empty.
fn declared_empty(pruned: &Value, config: &Value, schema: &Schema) -> Value {
    merge(&normalise(pruned, schema), config, schema)
}

/// Drops the conflicts about fields that `kubectl apply` set on the client side and that still have that value:
/// `kubectl apply --server-side` takes them over, as the API server lets it.
fn forgive_client_side(live: Option<&Value>, schema: &Schema, conflicts: &mut Vec<Conflict>) {
    let Some(live) = live else { return };
    let text = live.pointer("/metadata/annotations").and_then(|all| all.get(LAST_APPLIED)).and_then(Value::as_str);
    let Some(sent) = text.and_then(|text| serde_json::from_str::<Value>(text).ok()) else { return };
    if api_version(&sent) != api_version(live) {
        return;
    }
    let Comparison { added, modified, removed } = compare(&sent, &managed::stripped(live), schema);
    let same = fields_of(&sent, schema).difference(&modified).difference(&added).difference(&removed);
    conflicts.retain(|conflict| !same.contains(conflict.field.elements()));
}

/// Keeps the annotation of client-side apply up to date where it exists, so that both ways can be mixed.
fn refresh_last_applied(object: &mut Value, config: &Value) {
    let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else { return };
    let Some(Value::String(text)) = annotations.get_mut(LAST_APPLIED) else { return };
    if text.is_empty() {
        return;
    }
    let mut sent = config.clone();
    if let Some(annotations) = sent.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    *text = format!("{sent}\n");
}

#[cfg(test)]
mod tests;
