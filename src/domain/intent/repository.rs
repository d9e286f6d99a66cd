//! `config.porch.kpt.dev/v1alpha1` Repository: a git repository of packages, or of intents.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;

/// Annotation that tells what a repository holds; `intents` makes it a repository of intents.
pub const CONTENT: &str = "loggia.dev/content";

/// A repository, in the form that Porch defines.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "config.porch.kpt.dev",
    version = "v1alpha1",
    kind = "Repository",
    plural = "repositories",
    shortname = "repo",
    namespaced,
    status = "RepositoryStatus",
    derive = "PartialEq",
    doc = "A git repository of packages, or of intents.",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Deployment", type_ = "boolean", json_path = ".spec.deployment"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Packages", type_ = "integer", json_path = ".status.packageCount"),
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.git.repo"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct RepositorySpec {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether its packages run somewhere; blueprints do not.
    #[serde(default)]
    pub deployment: bool,
    /// `git`.
    #[serde(rename = "type", default = "git")]
    pub kind: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSpec>,
}

fn git() -> String {
    "git".to_owned()
}

/// A git repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitSpec {
    /// URL or path.
    pub repo: String,
    /// Branch. Default `main`.
    #[serde(default = "main")]
    pub branch: String,
    /// Directory that holds the packages. Default: the root.
    #[serde(default)]
    pub directory: String,
}

fn main() -> String {
    "main".to_owned()
}

/// What is known of a Repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RepositoryStatus {
    /// Ready: it was read whole; its message lists what could not be read.
    pub conditions: Vec<Condition>,
    /// Generation that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Packages in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_count: Option<i64>,
    /// Commit of its branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_commit_hash: Option<String>,
}
