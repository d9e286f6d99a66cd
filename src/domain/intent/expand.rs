//! From an intent to a demand. Nothing past this point matches on the intent's kind.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::CNFDeployment;
use super::cnf_deployment::CnfDeploymentSpec;
use super::sync::{ApplySpec, ApprovalMode, ApprovalSpec, HealthSpec, PackageRef, SyncSpec, TargetsSpec, Wave};
use crate::domain::id::{InvalidId, NamespacedName, PackageName, RepositoryName};

/// Annotation on an intent: `automatic` needs no approval.
pub const APPROVAL: &str = "loggia.dev/approval";
/// Annotation on an intent: how long a target must stay healthy, such as `30s`.
pub const STABLE_FOR: &str = "loggia.dev/stable-for";
/// Annotation on an intent: how long a target may take to become healthy, such as `5m`.
pub const HEALTH_TIMEOUT: &str = "loggia.dev/health-timeout";

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
        suspend: false,
    };
    Ok(Demand {
        unit: NamespacedName { namespace, name: name.clone() },
        repository: context.deployments.clone(),
        package,
        blueprint,
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
