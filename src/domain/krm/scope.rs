//! Which kinds live in namespaces.

use std::collections::BTreeMap;

use serde_json::Value;

use super::value::text;

/// Built-in kinds without a namespace.
const CLUSTER_SCOPED: &[&str] = &[
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterTrustBundle",
    "ComponentStatus",
    "CustomResourceDefinition",
    "DeviceClass",
    "FlowSchema",
    "IPAddress",
    "IngressClass",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PodSecurityPolicy",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "ResourceSlice",
    "RuntimeClass",
    "ServiceCIDR",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
    "VolumeAttributesClass",
];

/// Groups of built-in kinds that end like custom ones may.
const BUILT_IN: &[&str] = &[
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "flowcontrol.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Whether a group is one of Kubernetes itself.
#[must_use]
pub fn is_builtin_group(group: &str) -> bool {
    BUILT_IN.contains(&group)
}

/// Whether a built-in kind has no namespace.
#[must_use]
pub fn is_cluster_scoped(kind: &str) -> bool {
    CLUSTER_SCOPED.contains(&kind)
}

/// What is known of the scopes of kinds without asking a server: those that are built in, and those that definitions
/// declare.
#[derive(Debug, Clone, Default)]
pub struct Scopes {
    /// Whether a group's kind is namespaced.
    declared: BTreeMap<(String, String), bool>,
}

impl Scopes {
    /// With the kinds of those objects that are `CustomResourceDefinition`s.
    pub fn of<'v>(objects: impl IntoIterator<Item = &'v Value>) -> Self {
        let definitions = objects.into_iter().filter(|object| text(object, "/kind") == "CustomResourceDefinition");
        let scope = |definition: &Value| {
            let part = |pointer: &str| text(definition, pointer).to_owned();
            let name = (part("/spec/group"), part("/spec/names/kind"));
            match text(definition, "/spec/scope") {
                "Namespaced" => Some((name, true)),
                "Cluster" => Some((name, false)),
                _ => None,
            }
        };
        Self { declared: definitions.filter_map(scope).collect() }
    }

    /// Whether objects of a kind have no namespace; not so where that is not known.
    #[must_use]
    pub fn is_cluster_scoped(&self, group: &str, kind: &str) -> bool {
        match self.declared.get(&(group.to_owned(), kind.to_owned())) {
            Some(namespaced) => !namespaced,
            None => is_builtin_group(group) && is_cluster_scoped(kind),
        }
    }
}
