//! `loggia.dev/v1alpha1` Target: a cluster that packages are applied to.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;

/// A cluster. Its labels are what selectors and waves look at.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "loggia.dev",
    version = "v1alpha1",
    kind = "Target",
    namespaced,
    status = "TargetStatus",
    derive = "PartialEq",
    doc = "A cluster that packages are applied to.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetSpec {
    /// A Secret in the same namespace that holds a kubeconfig; absent: the management cluster itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig_secret: Option<SecretKey>,
}

/// One key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecretKey {
    /// Name of the Secret.
    pub name: String,
    /// Key in it. Default `kubeconfig`.
    #[serde(default = "kubeconfig")]
    pub key: String,
}

fn kubeconfig() -> String {
    "kubeconfig".to_owned()
}

/// What is known of a Target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TargetStatus {
    /// Ready: it answers.
    pub conditions: Vec<Condition>,
    /// Version of its API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}
