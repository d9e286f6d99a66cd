//! Which rules an object is held to, and in which order its writer is told what it breaks.
//!
//! Source: `BeforeCreate` and `BeforeUpdate` of the generic registry, and the validation functions of each kind: most
//! of them look at the metadata again, some more than once, so one fault is told as often as it is found.

use serde_json::Value;

use crate::apiserver::kinds::Kind;
use crate::apiserver::route::Part;
use crate::apiserver::status::{ApiError, Cause};
use crate::apiserver::{metadata, scale};
use crate::domain::krm::metadata::own_naming_faults;
use crate::domain::krm::{rules, structural};

/// One look at an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// At its metadata.
    Metadata,
    /// At its metadata beside those of its predecessor.
    Succession,
    /// At the labels that a job gives its pods.
    Labels,
    /// At the rest of it.
    Object,
    /// At the rest of it beside its predecessor.
    Change,
}

use Look::{Change, Labels, Metadata, Object, Succession};

/// How a successor is looked at after the registry did.
const UPDATES: &[(&str, &[&str], &[Look])] = &[
    ("", &["ConfigMap", "Secret"], &[Succession, Change, Metadata, Object]),
    ("", &["Namespace"], &[Metadata, Succession]),
    ("", &["Service"], &[Succession, Change, Object]),
    ("apps", &["DaemonSet"], &[Succession, Change, Object]),
    ("apps", &["Deployment", "ReplicaSet", "StatefulSet"], &[Succession, Object, Change]),
    ("autoscaling", &["HorizontalPodAutoscaler"], &[Succession, Object]),
    ("batch", &["CronJob"], &[Succession, Object]),
    ("batch", &["Job"], &[Metadata, Labels, Object, Succession, Object, Change]),
    ("networking.k8s.io", &["NetworkPolicy"], &[Succession, Object]),
    ("policy", &["PodDisruptionBudget"], &[Object]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "Role"], &[Metadata, Object, Succession]),
    ("rbac.authorization.k8s.io", &["ClusterRoleBinding", "RoleBinding"], &[Metadata, Object, Succession, Change]),
    ("scheduling.k8s.io", &["PriorityClass"], &[Succession, Change]),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"], &[Succession, Object, Change]),
];
/// How a successor of any other kind is looked at.
const UPDATE: &[Look] = &[Succession, Metadata, Object, Change];
/// Kinds with a status that nobody looks at.
const FREE_STATUS: &[&str] = &["CronJob", "PodDisruptionBudget"];

fn looks_at_update(kind: &Kind, part: &Part) -> &'static [Look] {
    if kind.is_custom() {
        return &[Succession, Object];
    }
    if *part == Part::Status {
        return if FREE_STATUS.contains(&kind.gvk.kind.as_str()) { &[] } else { &[Succession, Change] };
    }
    let here = |row: &&(&str, &[&str], &[Look])| row.0 == kind.gvk.group && row.1.contains(&kind.gvk.kind.as_str());
    UPDATES.iter().find(here).map_or(UPDATE, |row| row.2)
}

fn looks_at_new(kind: &Kind) -> &'static [Look] {
    match kind.gvk.kind.as_str() {
        "Job" if !kind.is_custom() => &[Metadata, Labels, Object],
        "PodDisruptionBudget" if !kind.is_custom() => &[Object],
        _ => &[Metadata, Object],
    }
}

fn see(look: Look, kind: &Kind, part: &Part, old: Option<&Value>, new: &Value) -> Vec<Cause> {
    match (look, old) {
        (Metadata, _) => metadata::validate(kind, new),
        (Succession, Some(old)) => {
            let mut found = metadata::validate_update(old, new);
            found.extend(metadata::plain_finalizers(kind, new));
            found
        }
        (Labels, _) => rules::labels_of_pods(new),
        (Object, _) if kind.is_custom() => custom(kind, part, old, new),
        (Object, None) if kind.gvk.kind == "CronJob" => {
            [rules::validate(&kind.gvk, new), own_naming_faults(&kind.gvk, new)].concat()
        }
        (Object, None) if kind.gvk.kind == "CustomResourceDefinition" => {
            let approval = rules::approval(None, new).into_iter().collect();
            [rules::validate(&kind.gvk, new), rules::stored_versions(new), approval].concat()
        }
        (Object, _) => rules::validate(&kind.gvk, new),
        (Change, Some(old)) => rules::validate_update(&kind.gvk, old, new),
        (Succession | Change, None) => Vec::new(),
    }
}

/// A status is looked at alone, and the embedded resources of an object whatever they were.
fn custom(kind: &Kind, part: &Part, old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let Some(schema) = kind.schema.as_deref() else { return scale::faults(kind, object) };
    let mut found = match old.filter(|_| *part == Part::Status) {
        Some(old) => structural::validate_status(object, old, schema),
        None => structural::validate(object, old, schema),
    };
    found.extend(scale::faults(kind, object));
    if *part != Part::Status {
        found.extend(structural::embedded_faults(object, schema));
    }
    found.extend(structural::duplicates(object, old, schema));
    if let Some(rules) = kind.rules.as_deref() {
        found.extend(structural::broken(rules, old, object, &found));
    }
    found
}

/// Refuses an object that breaks the rules of its kind.
///
/// # Errors
/// 422 with every fault.
pub(super) fn judge(kind: &Kind, part: &Part, old: Option<&Value>, new: &Value) -> Result<(), ApiError> {
    let mut causes = Vec::new();
    if let Some(old) = old {
        causes.extend(metadata::validate_entries(new));
        causes.extend(metadata::validate_update(old, new));
    }
    let looks = if old.is_some() { looks_at_update(kind, part) } else { looks_at_new(kind) };
    causes.extend(looks.iter().flat_map(|&look| see(look, kind, part, old, new)));
    if causes.is_empty() && old.is_none() {
        causes = metadata::validate_entries(new);
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(kind, metadata::text(new, "name"), causes))
}
