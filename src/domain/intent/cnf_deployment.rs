//! `nephoran.com/v1` `CNFDeployment`: a cloud-native network function that somebody wants to run.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::condition::Condition;
use super::violation::Violation;
use crate::domain::krm::quantity::Quantity;

/// A cloud-native network function: what it is, how large, and where.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "nephoran.com",
    version = "v1",
    kind = "CNFDeployment",
    namespaced,
    status = "CnfDeploymentStatus",
    shortname = "cnfd",
    shortname = "cnf",
    derive = "PartialEq",
    doc = "A cloud-native network function that shall run.",
    scale(spec_replicas_path = ".spec.replicas", status_replicas_path = ".status.readyReplicas"),
    printcolumn(name = "Function", type_ = "string", json_path = ".spec.function"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".spec.replicas"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.packageRevision"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CnfDeploymentSpec {
    /// Family of the function.
    pub cnf_type: CnfType,
    /// The function, such as `UPF`; it must belong to the family (`Custom` takes any).
    pub function: String,
    /// How it is brought out. Loggia itself always goes through a package; the field is kept for its other readers.
    #[serde(default)]
    pub deployment_strategy: DeploymentStrategy,
    /// How many replicas, 1 to 100.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100))]
    pub replicas: i32,
    /// What each replica needs.
    pub resources: Resources,
    /// Chart for strategy `Helm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helm: Option<Helm>,
    /// Operator for strategy `Operator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<Operator>,
    /// Service mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub service_mesh: Option<Value>,
    /// Horizontal scaling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_scaling: Option<AutoScaling>,
    /// Slice as `SST-SD` in hex, such as `010203-abcdef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9A-Fa-f]{6}-[0-9A-Fa-f]{6}$"))]
    pub network_slice: Option<String>,
    /// Name of the one Target it shall run on; absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_cluster: Option<String>,
    /// Namespace on the targets; absent: the intent's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub target_namespace: Option<String>,
    /// Free settings of the function; scalars become setters of the package, `image` among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub configuration: Option<Value>,
    /// Names of security policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_policies: Vec<String>,
    /// Monitoring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitoring: Option<Monitoring>,
    /// Backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
}

const fn one() -> i32 {
    1
}

fn free_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Family of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CnfType {
    /// 5G core.
    #[serde(rename = "5G-Core")]
    Core,
    /// Open RAN.
    #[serde(rename = "O-RAN")]
    ORan,
    /// Edge tools.
    Edge,
    /// Anything.
    Custom,
}

impl CnfType {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Core => "5G-Core",
            Self::ORan => "O-RAN",
            Self::Edge => "Edge",
            Self::Custom => "Custom",
        }
    }

    /// The functions of this family; `None`: any.
    #[must_use]
    pub const fn functions(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Core => Some(&[
                "AMF", "SMF", "UPF", "NRF", "AUSF", "UDM", "PCF", "NSSF", "NEF", "SMSF", "BSF", "UDR", "UDSF", "CHF",
                "N3IWF", "TNGF", "TWIF", "NWDAF", "SCP", "SEPP",
            ]),
            Self::ORan => Some(&[
                "O-DU",
                "O-CU-CP",
                "O-CU-UP",
                "Near-RT-RIC",
                "Non-RT-RIC",
                "O-eNB",
                "SMO",
                "rApp",
                "xApp",
                "O-FH",
                "O-M-P",
            ]),
            Self::Edge => Some(&["UE-Simulator", "Traffic-Generator"]),
            Self::Custom => None,
        }
    }
}

/// How a function is brought out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeploymentStrategy {
    /// A chart.
    #[default]
    Helm,
    /// An operator's custom resource.
    Operator,
    /// Plain objects.
    Direct,
    /// A package in Git.
    GitOps,
}

/// What each replica needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resources {
    /// CPU, such as `2` or `2000m`.
    pub cpu: String,
    /// Memory, such as `4Gi`.
    pub memory: String,
    /// Storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<String>,
    /// CPU limit; not below `cpu`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cpu: Option<String>,
    /// Memory limit; not below `memory`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_memory: Option<String>,
    /// GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<i32>,
    /// Huge pages by size.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hugepages: BTreeMap<String, String>,
    /// Data plane development kit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpdk: Option<Dpdk>,
}

/// Data plane development kit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dpdk {
    /// Whether it is used.
    pub enabled: bool,
    /// Cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cores: Option<i32>,
    /// Memory in MB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<i32>,
    /// Driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
}

/// A chart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Helm {
    /// Repository URL.
    #[schemars(regex(pattern = "^https?://.*"))]
    pub repository: String,
    /// Chart.
    pub chart_name: String,
    /// Version.
    pub chart_version: String,
    /// Values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub values: Option<Value>,
    /// Release name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_name: Option<String>,
}

/// An operator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Operator {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// The custom resource it acts on.
    #[schemars(schema_with = "free_object")]
    pub custom_resource: Value,
}

/// Horizontal scaling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AutoScaling {
    /// Whether it is on.
    pub enabled: bool,
    /// Least replicas.
    #[schemars(range(min = 1))]
    pub min_replicas: i32,
    /// Most replicas.
    #[schemars(range(min = 1))]
    pub max_replicas: i32,
    /// CPU goal in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub cpu_utilization: Option<i32>,
    /// Memory goal in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub memory_utilization: Option<i32>,
    /// Further metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub custom_metrics: Vec<CustomMetric>,
}

/// A metric to scale by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CustomMetric {
    /// Name.
    pub name: String,
    /// `pods`, `object` or `external`.
    #[serde(rename = "type")]
    #[schemars(regex(pattern = "^(pods|object|external)$"))]
    pub kind: String,
    /// Goal.
    pub target_value: String,
}

/// Monitoring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Monitoring {
    /// Whether it is on.
    pub enabled: bool,
    /// Scraping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub prometheus: Option<Value>,
    /// Further metrics.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub custom_metrics: Vec<String>,
    /// Alerting rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerting_rules: Vec<String>,
}

/// Backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backup {
    /// Whether it is on.
    pub enabled: bool,
    /// Cron schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Days to keep, 1 to 365.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 365))]
    pub retention_days: Option<i32>,
    /// Where to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_location: Option<String>,
}

/// Where a `CNFDeployment` stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CnfDeploymentStatus {
    /// `Ready` with its reason.
    pub conditions: Vec<Condition>,
    /// Pending, Deploying, Running, Scaling, Upgrading, Failed or Terminating.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Ready replicas on the target that has fewest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Generation that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The Sync that carries it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// Revision that runs, or is on its way, such as `v1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_revision: Option<String>,
    /// Number of the proposal that waits for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposal: Option<u64>,
    /// Where it stands, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Everything that is wrong with a spec, at once.
#[must_use]
pub fn violations(spec: &CnfDeploymentSpec) -> Vec<Violation> {
    let mut found = Vec::new();
    check_function(spec, &mut found);
    check_strategy(spec, &mut found);
    check_resources(spec, &mut found);
    check_scaling(spec, &mut found);
    check_forms(spec, &mut found);
    found
}

fn check_function(spec: &CnfDeploymentSpec, found: &mut Vec<Violation>) {
    let family = spec.cnf_type;
    if let Some(functions) = family.functions()
        && !functions.contains(&spec.function.as_str())
    {
        found.push(
            Violation::new(
                "spec.function",
                format!("function {} is not compatible with CNF type {}", spec.function, family.as_str()),
            )
            .hint(format!("use one of {}", functions.join(", "))),
        );
    }
}

fn check_strategy(spec: &CnfDeploymentSpec, found: &mut Vec<Violation>) {
    let helm = spec.helm.as_ref().is_some_and(|helm| !helm.repository.is_empty() && !helm.chart_name.is_empty());
    if spec.deployment_strategy == DeploymentStrategy::Helm && !helm {
        found.push(
            Violation::new("spec.helm", "helm configuration is required for Helm deployment strategy")
                .hint("set spec.deploymentStrategy to GitOps to use the blueprint of the function"),
        );
    }
    let operator = spec.operator.as_ref().is_some_and(|o| !o.name.is_empty() && !o.namespace.is_empty());
    if spec.deployment_strategy == DeploymentStrategy::Operator && !operator {
        found.push(Violation::new(
            "spec.operator",
            "operator configuration is required for Operator deployment strategy",
        ));
    }
    if let Some(helm) = &spec.helm
        && !helm.repository.starts_with("http://")
        && !helm.repository.starts_with("https://")
    {
        found.push(Violation::new("spec.helm.repository", "the repository must begin with http:// or https://"));
    }
}

fn check_resources(spec: &CnfDeploymentSpec, found: &mut Vec<Violation>) {
    let mut read = |field: &str, text: Option<&String>| -> Option<Quantity> {
        let parsed: Result<Quantity, _> = text?.parse();
        if parsed.is_err() {
            found.push(
                Violation::new(format!("spec.resources.{field}"), format!("{:?} is not a quantity", text?))
                    .hint("write it as 500m, 2 or 4Gi"),
            );
        }
        parsed.ok()
    };
    let resources = &spec.resources;
    let cpu = read("cpu", Some(&resources.cpu));
    let memory = read("memory", Some(&resources.memory));
    let max_cpu = read("maxCpu", resources.max_cpu.as_ref());
    let max_memory = read("maxMemory", resources.max_memory.as_ref());
    read("storage", resources.storage.as_ref());
    if let (Some(cpu), Some(max)) = (&cpu, &max_cpu)
        && max < cpu
    {
        found.push(Violation::new("spec.resources.maxCpu", "maxCpu must be greater than or equal to cpu"));
    }
    if let (Some(memory), Some(max)) = (&memory, &max_memory)
        && max < memory
    {
        found.push(Violation::new("spec.resources.maxMemory", "maxMemory must be greater than or equal to memory"));
    }
    check_floor(&spec.function, cpu.as_ref(), memory.as_ref(), found);
}

/// Least resources of the functions that are known to need them.
fn check_floor(function: &str, cpu: Option<&Quantity>, memory: Option<&Quantity>, found: &mut Vec<Violation>) {
    let (least_cpu, least_memory, words) = match function {
        "UPF" => ("2000m", "4000000000", "4GB"),
        "AMF" | "SMF" => ("1000m", "2000000000", "2GB"),
        _ => return,
    };
    let below = |value: Option<&Quantity>, least: &str| {
        value.zip(least.parse::<Quantity>().ok()).is_some_and(|(value, least)| *value < least)
    };
    if below(cpu, least_cpu) {
        found.push(Violation::new(
            "spec.resources.cpu",
            format!("function {function} requires minimum {least_cpu} CPU"),
        ));
    }
    if below(memory, least_memory) {
        found.push(Violation::new(
            "spec.resources.memory",
            format!("function {function} requires minimum {words} memory"),
        ));
    }
}

fn check_scaling(spec: &CnfDeploymentSpec, found: &mut Vec<Violation>) {
    if !(1..=100).contains(&spec.replicas) {
        found.push(Violation::new("spec.replicas", format!("{} is not between 1 and 100", spec.replicas)));
    }
    let Some(scaling) = spec.auto_scaling.as_ref().filter(|scaling| scaling.enabled) else { return };
    if scaling.max_replicas <= scaling.min_replicas {
        found.push(Violation::new("spec.autoScaling.maxReplicas", "maxReplicas must be greater than minReplicas"));
    }
    if !(scaling.min_replicas..=scaling.max_replicas).contains(&spec.replicas) {
        found.push(Violation::new("spec.replicas", "replicas must be between minReplicas and maxReplicas"));
    }
    let measured = scaling.cpu_utilization.is_some() || scaling.memory_utilization.is_some();
    if !measured && scaling.custom_metrics.is_empty() {
        found.push(Violation::new("spec.autoScaling", "at least one scaling metric must be configured"));
    }
    for (field, value) in
        [("cpuUtilization", scaling.cpu_utilization), ("memoryUtilization", scaling.memory_utilization)]
    {
        if value.is_some_and(|value| !(1..=100).contains(&value)) {
            found.push(Violation::new(format!("spec.autoScaling.{field}"), "it must be between 1 and 100"));
        }
    }
}

fn check_forms(spec: &CnfDeploymentSpec, found: &mut Vec<Violation>) {
    if let Some(slice) = &spec.network_slice {
        let hex = |part: &str| part.len() == 6 && part.bytes().all(|b| b.is_ascii_hexdigit());
        if !slice.split_once('-').is_some_and(|(sst, sd)| hex(sst) && hex(sd)) {
            found.push(Violation::new(
                "spec.networkSlice",
                format!("{slice:?} is not six hex digits, -, six hex digits"),
            ));
        }
    }
    if let Some(namespace) = &spec.target_namespace
        && !crate::domain::id::is_dns_label(namespace)
    {
        found.push(Violation::new("spec.targetNamespace", format!("{namespace:?} is not a DNS label")));
    }
    if let Some(days) = spec.backup.as_ref().and_then(|backup| backup.retention_days)
        && !(1..=365).contains(&days)
    {
        found.push(Violation::new("spec.backup.retentionDays", format!("{days} is not between 1 and 365")));
    }
}
