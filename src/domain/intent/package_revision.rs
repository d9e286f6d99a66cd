//! `porch.kpt.dev/v1alpha2` `PackageRevision`: what Git holds, mirrored so that kubectl can show it.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Label that is `true` on the highest published revision of a package.
pub const LATEST: &str = "porch.kpt.dev/latest-revision";
/// Label that names the repository.
pub const REPOSITORY: &str = "porch.kpt.dev/repository";

/// One version of a package, in the form that Porch defines.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "porch.kpt.dev",
    version = "v1alpha2",
    kind = "PackageRevision",
    shortname = "rpkg",
    namespaced,
    status = "PackageRevisionStatus",
    derive = "PartialEq",
    doc = "One version of a package.",
    printcolumn(name = "Package", type_ = "string", json_path = ".spec.packageName"),
    printcolumn(name = "WorkspaceName", type_ = "string", json_path = ".spec.workspaceName"),
    printcolumn(name = "Revision", type_ = "integer", json_path = ".status.revision"),
    printcolumn(
        name = "Latest",
        type_ = "string",
        json_path = ".metadata.labels['porch\\.kpt\\.dev/latest-revision']"
    ),
    printcolumn(name = "Lifecycle", type_ = "string", json_path = ".spec.lifecycle"),
    printcolumn(name = "Repository", type_ = "string", json_path = ".spec.repository"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct PackageRevisionSpec {
    /// Path of the package.
    pub package_name: String,
    /// Name of the Repository.
    pub repository: String,
    /// Workspace.
    pub workspace_name: String,
    /// Draft, Proposed, Published or `DeletionProposed`.
    pub lifecycle: String,
}

/// What Git tells of a revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PackageRevisionStatus {
    /// 0 for Draft and Proposed, from 1 when published, -1 for what is on the branch.
    pub revision: i64,
    /// Commit it lives at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Tree of the package.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// Digest of its manifest, `sha256:HEX`, when it is in a registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Who approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_at: Option<String>,
}
