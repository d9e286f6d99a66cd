//! `set-namespace`: every namespaced resource, and what refers to one, moves to a namespace.

use serde_json::Value;

use super::{Call, FunctionError, at, kind_of};
use crate::domain::package::resources::is_local;

/// Built-in kinds without a namespace; custom resources are taken for namespaced, as upstream does.
const CLUSTER_SCOPED: &[&str] = &[
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "ComponentStatus",
    "CustomResourceDefinition",
    "FlowSchema",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
];

pub(super) fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let namespace = namespace(call)?;
    let new = Value::from(namespace.as_str());
    let mut changed = 0;
    for place in call.places.clone() {
        let value = call.resources.value(&place);
        if is_local(&value) {
            continue;
        }
        let kind = kind_of(&value);
        if kind == "Namespace" {
            changed += usize::from(call.set(&place, &["metadata", "name"], &new)?);
        } else if !CLUSTER_SCOPED.contains(&kind) {
            changed += usize::from(call.set(&place, &["metadata", "namespace"], &new)?);
        }
        if matches!(kind, "RoleBinding" | "ClusterRoleBinding") {
            let subjects = at(&value, &["subjects"]).and_then(Value::as_array).map_or(0, Vec::len);
            for index in (0..subjects).map(|index| index.to_string()) {
                if at(&value, &["subjects", &index, "namespace"]).is_some() {
                    changed += usize::from(call.set(&place, &["subjects", &index, "namespace"], &new)?);
                }
            }
        }
    }
    call.info(format!("namespace {namespace} set on {changed} fields"));
    Ok(())
}

/// `data.namespace`, `data.name` of the package context, or `namespace` of the function's own kind.
fn namespace(call: &Call<'_>) -> Result<String, FunctionError> {
    let data = call.config.get("data");
    let context = call.config.pointer("/metadata/name").and_then(Value::as_str) == Some("kptfile.kpt.dev");
    let key = if context { "name" } else { "namespace" };
    let found = data.and_then(|data| data.get(key)).or_else(|| call.config.get("namespace"));
    let namespace = found.and_then(Value::as_str).unwrap_or_default();
    if crate::domain::id::is_dns_label(namespace) {
        Ok(namespace.to_owned())
    } else {
        Err(FunctionError::Config(format!("namespace {namespace:?} is not a DNS label")))
    }
}
