//! From an intent to a demand. Nothing past this point matches on the intent's kind.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::CNFDeployment;
use super::cnf_deployment::CnfDeploymentSpec;
use super::sync::{
    ApplySpec, ApprovalMode, ApprovalSpec, HealthSpec, IgnoreSpec, PackageRef, SyncSpec, TargetsSpec, Wave, duration,
};
use super::violation::Violation;
use crate::domain::id::{InvalidId, NamespacedName, PackageName, RepositoryName};
use crate::domain::krm::JsonPath;
use crate::domain::revision::refs::number;

/// Annotation on an intent: `automatic` needs no approval.
pub const APPROVAL: &str = "loggia.dev/approval";
/// Annotation on an intent: how long a target must stay healthy, such as `30s`.
pub const STABLE_FOR: &str = "loggia.dev/stable-for";
/// Annotation on an intent: how long a target may take to become healthy, such as `5m`.
pub const HEALTH_TIMEOUT: &str = "loggia.dev/health-timeout";
/// Annotation on an intent: fields that are left to others, such as `/spec/replicas`, with commas between them.
pub const IGNORE_FIELDS: &str = "loggia.dev/ignore-fields";

/// Annotation on an intent: which revision of its blueprint it is made from, `vN` or `latest`. Without it a deployment
/// keeps the revision that it was made from first.
pub const BLUEPRINT: &str = "loggia.dev/blueprint";

/// Which revision of a blueprint is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// The one that the deployment was made from; the newest one for a new deployment.
    Same,
    /// The newest one, always.
    Latest,
    /// This one.
    Number(i64),
}

impl Follow {
    /// Reads `vN` or `latest`.
    fn parse(text: &str) -> Option<Self> {
        if text == "latest" { Some(Self::Latest) } else { number(text).map(Self::Number) }
    }
}

/// What an intent asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// The Sync that carries it out; it has the intent's name and namespace.
    pub unit: NamespacedName,
    /// Where the package is kept, and its name there.
    pub repository: RepositoryName,
    /// Path of the package.
    pub package: PackageName,
    /// Blueprint that the package is made from.
    pub blueprint: Blueprint,
    /// Which revision of it.
    pub follow: Follow,
    /// Setters.
    pub params: BTreeMap<String, String>,
    /// What the intent's `configuration` names itself; a person expects it to be used.
    pub named: BTreeSet<String>,
    /// Namespace on the targets.
    pub namespace: String,
    /// Labels on every object.
    pub labels: BTreeMap<String, String>,
    /// Targets and policy.
    pub sync: SyncSpec,
}

/// A package that others are made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blueprint {
    /// Its repository.
    pub repository: RepositoryName,
    /// Its path there.
    pub package: PackageName,
}

/// What expanding needs to know of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpandContext {
    /// Blueprints that have a published revision.
    pub blueprints: Vec<Blueprint>,
    /// Repository that holds deployments.
    pub deployments: RepositoryName,
    /// Repositories of blueprints that cannot be read now, and why.
    pub unreadable: Vec<String>,
}

/// Why an intent could not be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// There is no blueprint for the function.
    #[error("no blueprint {wanted} for function {function}; published blueprints: {known}")]
    UnknownBlueprint {
        /// The function.
        function: String,
        /// The package that was looked for.
        wanted: String,
        /// What there is.
        known: String,
    },
    /// There is none, as far as it can be seen now.
    #[error("no blueprint {wanted} for function {function} is in sight: {unreadable}")]
    NotSeen {
        /// The function.
        function: String,
        /// The package that was looked for.
        wanted: String,
        /// Which repositories cannot be read, and why.
        unreadable: String,
    },
    /// A name that follows from the intent is not valid.
    #[error(transparent)]
    Name(#[from] InvalidId),
}

/// Expands a `CNFDeployment`: function `UPF` uses blueprint `upf`; replicas, resources and scalar settings become
/// setters; without `targetCluster` it goes to every Target, those labelled `canary: "true"` first.
///
/// # Errors
/// [`ExpandError`] naming the blueprints there are.
pub fn expand(intent: &CNFDeployment, context: &ExpandContext) -> Result<Demand, ExpandError> {
    let name = intent.metadata.name.clone().unwrap_or_default();
    let namespace = intent.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
    let spec = &intent.spec;
    let blueprint = find_blueprint(spec, context)?;
    let target_namespace = spec.target_namespace.clone().unwrap_or_else(|| namespace.clone());
    let package = PackageName::new(format!("{target_namespace}/{name}"))?;
    let sync = SyncSpec {
        package: PackageRef {
            repository: context.deployments.to_string(),
            name: package.to_string(),
            revision: "latest".to_owned(),
        },
        targets: targets(spec),
        approval: approval(intent),
        apply: ApplySpec::default(),
        drift: super::sync::Drift::Correct,
        health: HealthSpec { timeout: annotation(intent, HEALTH_TIMEOUT), stable_for: annotation(intent, STABLE_FOR) },
        rollback: super::sync::RollbackSpec::default(),
        ignore: ignored(annotation(intent, IGNORE_FIELDS).as_deref()),
        suspend: false,
    };
    Ok(Demand {
        unit: NamespacedName { namespace, name: name.clone() },
        repository: context.deployments.clone(),
        package,
        blueprint,
        follow: annotation(intent, BLUEPRINT).and_then(|text| Follow::parse(&text)).unwrap_or(Follow::Same),
        params: params(&name, spec),
        named: configuration(spec).map(|(key, _)| key.clone()).collect(),
        namespace: target_namespace,
        labels: BTreeMap::from([
            ("app.kubernetes.io/instance".to_owned(), name),
            ("app.kubernetes.io/managed-by".to_owned(), "loggia".to_owned()),
        ]),
        sync,
    })
}

fn find_blueprint(spec: &CnfDeploymentSpec, context: &ExpandContext) -> Result<Blueprint, ExpandError> {
    let wanted = spec.function.to_lowercase();
    let found = context.blueprints.iter().find(|blueprint| blueprint.package.leaf() == wanted);
    if found.is_none() && !context.unreadable.is_empty() {
        let unreadable = context.unreadable.join("; ");
        return Err(ExpandError::NotSeen { function: spec.function.clone(), wanted, unreadable });
    }
    found.cloned().ok_or_else(|| ExpandError::UnknownBlueprint {
        function: spec.function.clone(),
        wanted,
        known: context.blueprints.iter().map(|b| b.package.to_string()).collect::<Vec<_>>().join(", "),
    })
}

fn annotation(intent: &CNFDeployment, key: &str) -> Option<String> {
    intent.metadata.annotations.as_ref()?.get(key).cloned()
}

fn approval(intent: &CNFDeployment) -> ApprovalSpec {
    let automatic = annotation(intent, APPROVAL).as_deref() == Some("automatic");
    let mode = if automatic { ApprovalMode::Automatic } else { ApprovalMode::Required };
    ApprovalSpec { mode, ..ApprovalSpec::default() }
}

/// One rule for all objects, when any field is named.
fn ignored(fields: Option<&str>) -> Vec<IgnoreSpec> {
    let fields: Vec<String> =
        fields.into_iter().flat_map(|text| text.split(',')).map(|path| path.trim().to_owned()).collect();
    if fields.is_empty() { Vec::new() } else { vec![IgnoreSpec { fields, ..IgnoreSpec::default() }] }
}

/// What is wrong with the annotations by which an intent sets policy.
#[must_use]
pub fn annotation_violations(annotations: &BTreeMap<String, String>) -> Vec<Violation> {
    let mut found = Vec::new();
    let of = |key: &str| annotations.get(key).map(String::as_str);
    let mut told = |key: &str, violation: Violation| {
        let Violation { message, hint, .. } = violation;
        found.push(Violation { field: "metadata.annotations".to_owned(), message: format!("{key}: {message}"), hint });
    };
    for key in [STABLE_FOR, HEALTH_TIMEOUT] {
        if let Some(Err(wrong)) = of(key).map(|text| duration(key, text)) {
            told(key, wrong);
        }
    }
    if let Some(other) = of(APPROVAL).filter(|mode| !["automatic", "required"].contains(mode)) {
        let wrong = Violation::new(APPROVAL, format!("{other:?} is no way of approval"));
        told(APPROVAL, wrong.hint("write automatic or required"));
    }
    if let Some(other) = of(BLUEPRINT).filter(|text| Follow::parse(text).is_none()) {
        let wrong = Violation::new(BLUEPRINT, format!("{other:?} is no revision of a blueprint"));
        told(BLUEPRINT, wrong.hint("write latest, or vN such as v2"));
    }
    for path in ignored(of(IGNORE_FIELDS)).iter().flat_map(|rule| &rule.fields) {
        if let Err(error) = JsonPath::parse_any(path) {
            let wrong = Violation::new(IGNORE_FIELDS, error.to_string());
            told(IGNORE_FIELDS, wrong.hint("write /spec/replicas or .spec.replicas, with commas between them"));
        }
    }
    found
}

fn targets(spec: &CnfDeploymentSpec) -> TargetsSpec {
    if let Some(name) = &spec.target_cluster {
        return TargetsSpec { names: vec![name.clone()], ..TargetsSpec::default() };
    }
    let canary =
        Wave { match_labels: BTreeMap::from([("canary".to_owned(), "true".to_owned())]), max_unavailable: None };
    TargetsSpec { waves: vec![canary, Wave::default()], ..TargetsSpec::default() }
}

/// The fields of `configuration`.
fn configuration(spec: &CnfDeploymentSpec) -> impl Iterator<Item = (&String, &Value)> {
    spec.configuration.iter().filter_map(Value::as_object).flatten()
}

/// Setters, from least to most specific: resources, replicas, then every scalar and list of `configuration`. A list is
/// written as JSON, which is a YAML sequence too, as `apply-setters` wants it.
fn params(name: &str, spec: &CnfDeploymentSpec) -> BTreeMap<String, String> {
    let mut params = BTreeMap::from([
        ("name".to_owned(), name.to_owned()),
        ("replicas".to_owned(), spec.replicas.to_string()),
        ("cpu".to_owned(), spec.resources.cpu.clone()),
        ("memory".to_owned(), spec.resources.memory.clone()),
        ("max-cpu".to_owned(), spec.resources.max_cpu.clone().unwrap_or_else(|| spec.resources.cpu.clone())),
        ("max-memory".to_owned(), spec.resources.max_memory.clone().unwrap_or_else(|| spec.resources.memory.clone())),
    ]);
    if let Some(slice) = &spec.network_slice {
        params.insert("network-slice".to_owned(), slice.clone());
    }
    for (key, value) in configuration(spec) {
        match value {
            Value::String(text) => params.insert(key.clone(), text.clone()),
            Value::Number(_) | Value::Bool(_) | Value::Array(_) => params.insert(key.clone(), value.to_string()),
            _ => None,
        };
    }
    params
}
