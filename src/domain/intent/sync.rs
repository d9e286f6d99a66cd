//! `loggia.dev/v1alpha1` Sync: this package, onto these targets, under this policy.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::violation::Violation;
use crate::domain::krm::{IgnoreRule, JsonPath};
use crate::domain::time::SignedDuration;

/// A package, its targets and the policy between them.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "loggia.dev",
    version = "v1alpha1",
    kind = "Sync",
    namespaced,
    status = "SyncStatus",
    derive = "PartialEq",
    doc = "A package that shall run on targets.",
    printcolumn(name = "Package", type_ = "string", json_path = ".spec.package.name"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Healthy", type_ = "string", json_path = ".status.conditions[?(@.type==\"Healthy\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.summary"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncSpec {
    /// Which package. One in git has one Sync: a younger one of the same package is refused.
    pub package: PackageRef,
    /// Where to. Default: every Target of the namespace, all in one wave.
    #[serde(default)]
    pub targets: TargetsSpec,
    /// Who has to agree.
    #[serde(default)]
    pub approval: ApprovalSpec,
    /// How objects are written and removed.
    #[serde(default)]
    pub apply: ApplySpec,
    /// What happens when somebody changes an applied field.
    #[serde(default)]
    pub drift: Drift,
    /// When a target counts as healthy.
    #[serde(default)]
    pub health: HealthSpec,
    /// What happens when it does not get healthy.
    #[serde(default)]
    pub rollback: RollbackSpec,
    /// Fields that are left to others once their object exists: never set back, never told as a difference.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<IgnoreSpec>,
    /// Stops all writing; nothing is deleted.
    #[serde(default)]
    pub suspend: bool,
}

/// Which revision of which package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PackageRef {
    /// Name of the Repository.
    pub repository: String,
    /// Path of the package in it.
    pub name: String,
    /// `latest`, `v3`, or a workspace.
    #[serde(default = "latest")]
    pub revision: String,
}

fn latest() -> String {
    "latest".to_owned()
}

/// Which targets, in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetsSpec {
    /// Targets by label; absent, with `names` empty: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// Targets by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// One wave after the other; a target joins the first wave that matches it, the rest come last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<Wave>,
}

/// A label selector.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selector {
    /// Labels that must have these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
}

/// One wave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wave {
    /// Labels that must have these values; empty: every target that is left.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// At most this many at a time, as a number or a percentage of the wave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<String>,
}

/// Who has to agree, and to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApprovalSpec {
    /// `required` (default) or `automatic`.
    pub mode: ApprovalMode,
    /// `plan` (default) or `declared`.
    pub bind: ApprovalBind,
}

/// Who has to agree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ApprovalMode {
    /// A person.
    #[default]
    Required,
    /// Nobody, unless a guard asks for a person.
    Automatic,
}

/// What an approval is bound to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ApprovalBind {
    /// The declared objects and every step.
    #[default]
    Plan,
    /// The declared objects only.
    Declared,
}

/// How objects are written and removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApplySpec {
    /// What to do about a field that another manager owns: `stop` (default).
    pub conflicts: Conflicts,
    /// Whether objects that are no longer declared are deleted. Default true.
    pub prune: bool,
    /// Largest share (`50%`, the default) or number of owned objects that may go without a person.
    pub prune_limit: String,
}

impl Default for ApplySpec {
    fn default() -> Self {
        Self { conflicts: Conflicts::Stop, prune: true, prune_limit: "50%".to_owned() }
    }
}

/// What to do about a field that another manager owns with another value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Conflicts {
    /// Write nothing and say who owns it.
    #[default]
    Stop,
}

/// What happens when somebody changes an applied field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Drift {
    /// It is set back.
    #[default]
    Correct,
    /// It is only told.
    Report,
}

/// When a target counts as healthy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HealthSpec {
    /// How long it may take, such as `5m` (the default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// How long it must last, such as `30s` (the default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_for: Option<String>,
}

/// What happens when a target does not get healthy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RollbackSpec {
    /// `automatic` (default) or `manual`.
    pub mode: RollbackMode,
}

/// Whether a rollback needs a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RollbackMode {
    /// The cluster goes back at once, Git by proposal.
    #[default]
    Automatic,
    /// Nothing moves until a person says so.
    Manual,
}

/// Fields of the objects that match; a part that is absent matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct IgnoreSpec {
    /// API group, such as `apps`; the empty text is the core group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Kind, such as `Deployment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// These fields and what is below them: JSON pointers such as `/spec/replicas`, or paths as kubectl takes them,
    /// such as `.spec.template.spec.containers[?(@.name=="upf")].image`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// Whatever these field managers own, such as `kube-controller-manager`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub managers: Vec<String>,
}

/// The rules of a spec.
///
/// # Errors
/// A [`Violation`] for every path that cannot be read and every rule that ignores nothing.
pub fn ignore_rules(spec: &SyncSpec) -> Result<Vec<IgnoreRule>, Vec<Violation>> {
    let mut rules = Vec::new();
    let mut wrong = Vec::new();
    for (number, rule) in spec.ignore.iter().enumerate() {
        if rule.fields.is_empty() && rule.managers.is_empty() {
            let hint = "give fields, such as /spec/replicas, or managers";
            wrong.push(Violation::new(format!("spec.ignore[{number}]"), "it ignores nothing".to_owned()).hint(hint));
        }
        let mut fields = Vec::new();
        for (at, path) in rule.fields.iter().enumerate() {
            match JsonPath::parse_any(path) {
                Ok(path) => fields.push(path),
                Err(error) => {
                    wrong.push(Violation::new(format!("spec.ignore[{number}].fields[{at}]"), error.to_string()));
                }
            }
        }
        let IgnoreSpec { group, kind, namespace, name, managers, .. } = rule.clone();
        rules.push(IgnoreRule { group, kind, namespace, name, fields, managers });
    }
    if wrong.is_empty() { Ok(rules) } else { Err(wrong) }
}

/// Where a Sync stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SyncStatus {
    /// Ready, Reconciling, Stalled, Approved, Healthy, Drifted, `RolledBack`.
    pub conditions: Vec<Condition>,
    /// Generation that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Published revision that shall run, such as `v2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Digest over its objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<String>,
    /// The plan that waits, or the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Newest revision that was proved healthy everywhere it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_good: Option<String>,
    /// Digests that are not deployed again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// Proposal that waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposal: Option<u64>,
    /// Where it stands, in one short sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// One row a target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetRow>,
}

/// One target of a Sync.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetRow {
    /// Its name.
    pub name: String,
    /// Its wave, from 1.
    pub wave: usize,
    /// Revision that runs there, such as `v1`; empty when none.
    pub revision: String,
    /// `NotApplied`, `Waiting`, `Healthy`, `Failed`, `Unreachable` or `Degraded`.
    pub health: String,
    /// How many objects it owns there.
    pub objects: usize,
    /// What is going on.
    pub message: String,
    /// When this was learned.
    pub observed_at: String,
}

/// Largest duration that is taken.
const LONGEST_HOURS: i64 = 24;

/// Reads a duration such as `30s`, `5m`, `1h30m`: positive, at most a day.
///
/// # Errors
/// A [`Violation`] naming the field and the allowed range.
pub fn duration(field: &str, text: &str) -> Result<SignedDuration, Violation> {
    let wrong = || {
        Violation::new(field, format!("{text:?} is not a duration between 1s and {LONGEST_HOURS}h"))
            .hint("write it as 30s, 5m or 1h")
    };
    if !text.chars().all(|c| c.is_ascii_digit() || matches!(c, 'h' | 'm' | 's')) {
        return Err(wrong());
    }
    let parsed: SignedDuration = text.parse().map_err(|_| wrong())?;
    let allowed = SignedDuration::from_secs(1)..=SignedDuration::from_hours(LONGEST_HOURS);
    if allowed.contains(&parsed) { Ok(parsed) } else { Err(wrong()) }
}

/// Everything that is wrong with a spec beyond its schema, at once.
#[must_use]
pub fn violations(spec: &SyncSpec) -> Vec<Violation> {
    let mut found = Vec::new();
    if let Err(error) = crate::domain::id::PackageName::new(spec.package.name.clone()) {
        found.push(Violation::new("spec.package.name", error.to_string()));
    }
    if let Err(error) = crate::domain::id::RepositoryName::new(spec.package.repository.clone()) {
        found.push(Violation::new("spec.package.repository", error.to_string()));
    }
    for (field, text) in [("timeout", &spec.health.timeout), ("stableFor", &spec.health.stable_for)] {
        if let Some(Err(violation)) = text.as_ref().map(|text| duration(&format!("spec.health.{field}"), text)) {
            found.push(violation);
        }
    }
    let limit = spec.apply.prune_limit.strip_suffix('%').unwrap_or(&spec.apply.prune_limit);
    if limit.parse::<u32>().is_err() {
        found.push(
            Violation::new("spec.apply.pruneLimit", format!("{:?} is not a limit", spec.apply.prune_limit))
                .hint("write a number or a percentage"),
        );
    }
    found.extend(ignore_rules(spec).err().into_iter().flatten());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_bounded_and_plain() {
        assert_eq!(duration("f", "1h30m").unwrap(), SignedDuration::from_mins(90));
        for wrong in ["0s", "-5s", "1y", "9999999h", "5", "", "PT5M", "5 m"] {
            let error = duration("spec.health.timeout", wrong).unwrap_err().to_string();
            assert!(error.contains("spec.health.timeout") && error.contains("24h"), "{wrong}: {error}");
        }
    }

    #[test]
    fn ignore_rules_that_cannot_be_read_are_told_by_their_place() {
        let spec = |ignore: serde_json::Value| -> SyncSpec {
            let package = serde_json::json!({"repository": "deployments", "name": "edge/upf"});
            serde_json::from_value(serde_json::json!({"package": package, "ignore": ignore})).unwrap()
        };
        let wrong = spec(serde_json::json!([{"fields": ["/spec/replicas", "spec"]}, {"kind": "Deployment"}]));
        let told: Vec<String> = violations(&wrong).iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("spec.ignore[0].fields[1]") && told[0].contains("expected . or ["), "{told:?}");
        assert!(told[1].contains("spec.ignore[1]") && told[1].contains("managers"), "{told:?}");
        assert!(violations(&spec(serde_json::json!([{"managers": ["hpa"]}]))).is_empty());
    }

    #[test]
    fn the_shortest_sync_gets_the_documented_defaults() {
        let spec: SyncSpec =
            serde_json::from_value(serde_json::json!({"package": {"repository": "deployments", "name": "edge/upf"}}))
                .unwrap();
        assert_eq!(spec.package.revision, "latest");
        assert_eq!((spec.apply.prune, spec.apply.prune_limit.as_str()), (true, "50%"));
        assert_eq!(spec.approval.mode, ApprovalMode::Required);
        assert!(violations(&spec).is_empty());
    }
}
