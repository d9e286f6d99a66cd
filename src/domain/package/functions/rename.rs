//! Renaming resources together with what refers to them by name.
//!
//! Which fields refer to what is taken from kustomize's name references.

use serde_json::Value;

use super::fields::expand;
use super::set_namespace::{DEPENDS_ON, is_namespaced};
use super::{Call, FunctionError, at, group_of, kind_of, namespace_of, pod_template, refs, text_at};
use crate::domain::package::resources::Place;

/// A resource that gets another name.
pub(super) struct Rename {
    pub(super) place: Place,
    group: String,
    kind: String,
    namespace: String,
    from: String,
    pub(super) to: String,
}

/// A kind that is referred to; `*` is any group.
type Kind = (&'static str, &'static str);

/// References in pod templates.
const IN_PODS: &[(Kind, &str)] = &[
    (("", "ConfigMap"), "spec/volumes/configMap/name"),
    (("", "ConfigMap"), "spec/volumes/projected/sources/configMap/name"),
    (("", "ConfigMap"), "spec/containers/env/valueFrom/configMapKeyRef/name"),
    (("", "ConfigMap"), "spec/containers/envFrom/configMapRef/name"),
    (("", "ConfigMap"), "spec/initContainers/env/valueFrom/configMapKeyRef/name"),
    (("", "ConfigMap"), "spec/initContainers/envFrom/configMapRef/name"),
    (("", "Secret"), "spec/volumes/secret/secretName"),
    (("", "Secret"), "spec/volumes/projected/sources/secret/name"),
    (("", "Secret"), "spec/containers/env/valueFrom/secretKeyRef/name"),
    (("", "Secret"), "spec/containers/envFrom/secretRef/name"),
    (("", "Secret"), "spec/initContainers/env/valueFrom/secretKeyRef/name"),
    (("", "Secret"), "spec/initContainers/envFrom/secretRef/name"),
    (("", "Secret"), "spec/imagePullSecrets/name"),
    (("", "ServiceAccount"), "spec/serviceAccountName"),
    (("", "PersistentVolumeClaim"), "spec/volumes/persistentVolumeClaim/claimName"),
    (("scheduling.k8s.io", "PriorityClass"), "spec/priorityClassName"),
];

/// Other references: what is meant, kind that refers to it, path.
const OTHERS: &[(Kind, &str, &str)] = &[
    (("*", "Deployment"), "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"),
    (("*", "ReplicaSet"), "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"),
    (("*", "StatefulSet"), "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"),
    (("*", "ReplicationController"), "HorizontalPodAutoscaler", "spec/scaleTargetRef/name"),
    (("", "ConfigMap"), "Node", "spec/configSource/configMap/name"),
    (("", "ConfigMap"), "Role", "rules/resourceNames"),
    (("", "ConfigMap"), "ClusterRole", "rules/resourceNames"),
    (("", "Secret"), "Role", "rules/resourceNames"),
    (("", "Secret"), "ClusterRole", "rules/resourceNames"),
    (("", "Secret"), "Ingress", "spec/tls/secretName"),
    (("", "Secret"), "ServiceAccount", "imagePullSecrets/name"),
    (("", "Secret"), "PersistentVolume", "spec/azureFile/secretName"),
    (("", "Secret"), "StorageClass", "parameters/secretName"),
    (("", "Secret"), "StorageClass", "parameters/adminSecretName"),
    (("", "Secret"), "StorageClass", "parameters/userSecretName"),
    (("", "Secret"), "StorageClass", "parameters/secretRef"),
    (("", "Secret"), "Ingress", "metadata/annotations/ingress.kubernetes.io\\/auth-secret"),
    (("", "Secret"), "Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-secret"),
    (("", "Secret"), "Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/auth-tls-secret"),
    (("", "ConfigMap"), "Ingress", "metadata/annotations/nginx.ingress.kubernetes.io\\/fastcgi-params-configmap"),
    (("", "Service"), "StatefulSet", "spec/serviceName"),
    (("", "Service"), "Ingress", "spec/rules/http/paths/backend/service/name"),
    (("", "Service"), "Ingress", "spec/rules/http/paths/backend/serviceName"),
    (("", "Service"), "Ingress", "spec/defaultBackend/service/name"),
    (("", "Service"), "Ingress", "spec/backend/serviceName"),
    (("", "Service"), "APIService", "spec/service/name"),
    (("", "Service"), "ValidatingWebhookConfiguration", "webhooks/clientConfig/service/name"),
    (("", "Service"), "MutatingWebhookConfiguration", "webhooks/clientConfig/service/name"),
    (("rbac.authorization.k8s.io", "Role"), "RoleBinding", "roleRef/name"),
    (("rbac.authorization.k8s.io", "ClusterRole"), "RoleBinding", "roleRef/name"),
    (("rbac.authorization.k8s.io", "ClusterRole"), "ClusterRoleBinding", "roleRef/name"),
    (("", "ServiceAccount"), "RoleBinding", "subjects/name"),
    (("", "ServiceAccount"), "ClusterRoleBinding", "subjects/name"),
    (("", "PersistentVolume"), "PersistentVolumeClaim", "spec/volumeName"),
    (("", "PersistentVolume"), "ClusterRole", "rules/resourceNames"),
    (("storage.k8s.io", "StorageClass"), "PersistentVolume", "spec/storageClassName"),
    (("storage.k8s.io", "StorageClass"), "PersistentVolumeClaim", "spec/storageClassName"),
    (("storage.k8s.io", "StorageClass"), "StatefulSet", "spec/volumeClaimTemplates/spec/storageClassName"),
    (("networking.k8s.io", "IngressClass"), "Ingress", "spec/ingressClassName"),
];

impl Rename {
    /// `value` at `place` shall be called `to`.
    pub(super) fn new(place: &Place, value: &Value, to: String) -> Self {
        let own = |text: &str| text.to_owned();
        Self {
            place: place.clone(),
            group: own(group_of(value)),
            kind: own(kind_of(value)),
            namespace: if is_namespaced(value) { own(namespace_of(value)) } else { String::new() },
            from: own(super::name_of(value)),
            to,
        }
    }

    /// Whether a reference to `name` of that kind, from or to that namespace, means this resource.
    fn is(&self, (group, kind): Kind, namespace: &str, name: &str) -> bool {
        let near = self.namespace.is_empty() || namespace.is_empty() || self.namespace == namespace;
        near && self.from == name && self.kind == kind && (group == "*" || self.group == group)
    }
}

/// Gives resources their new names, there and wherever they are referred to.
pub(super) fn rename(call: &mut Call<'_>, renames: &[Rename]) -> Result<(), FunctionError> {
    for rename in renames {
        call.write(&rename.place, &["metadata", "name"], &rename.to)?;
        call.remark(&rename.place, &["metadata", "name"], format!("renamed {} to {}", rename.from, rename.to));
    }
    for (place, value) in call.values() {
        for (kind, path) in references(&value) {
            let Some(name) = at(&value, &refs(&path)).and_then(Value::as_str) else { continue };
            let namespace = namespace_of_reference(&value, &path);
            if !kind_agrees(&value, &path, kind.1) {
                continue;
            }
            if let Some(rename) = renames.iter().find(|rename| rename.is(kind, namespace, name)) {
                call.write(&place, &refs(&path), &rename.to)?;
            }
        }
        depends_on(call, &place, &value, renames)?;
    }
    Ok(())
}

/// Places that refer to something by name.
fn references(value: &Value) -> Vec<(Kind, Vec<String>)> {
    let mut found = Vec::new();
    if let Some(template) = pod_template(value) {
        for (kind, path) in IN_PODS {
            let whole = [template.join("/"), (*path).to_owned()].join("/");
            found.extend(expand(value, &whole, false).into_iter().map(|path| (*kind, path)));
        }
    }
    for (kind, _, path) in OTHERS.iter().filter(|(_, referrer, _)| *referrer == kind_of(value)) {
        found.extend(expand(value, path, false).into_iter().map(|path| (*kind, path)));
    }
    found
}

/// A reference that says its kind must say this one.
fn kind_agrees(value: &Value, path: &[String], kind: &str) -> bool {
    let beside = path.split_last().and_then(|(_, parent)| at(value, &refs(parent)));
    let said = beside.filter(|beside| beside.is_object()).map_or("", |beside| text_at(beside, &["kind"]));
    said.is_empty() || path.len() == 1 || said == kind
}

fn namespace_of_reference<'v>(value: &'v Value, path: &[String]) -> &'v str {
    let beside = path.split_last().and_then(|(_, parent)| at(value, &refs(parent)));
    let said = beside.map_or("", |beside| text_at(beside, &["namespace"]));
    if said.is_empty() { namespace_of(value) } else { said }
}

fn depends_on(call: &mut Call<'_>, place: &Place, value: &Value, renames: &[Rename]) -> Result<(), FunctionError> {
    let path = ["metadata", "annotations", DEPENDS_ON];
    let old = text_at(value, &path);
    let new: Vec<String> = old.split(',').map(|entry| renamed_entry(entry, renames)).collect();
    if new.join(",") != old {
        call.write(place, &path, &new.join(","))?;
    }
    Ok(())
}

/// `group/namespaces/namespace/Kind/name` or `group/Kind/name` with the new name.
fn renamed_entry(entry: &str, renames: &[Rename]) -> String {
    let parts: Vec<&str> = entry.trim().split('/').collect();
    let (group, namespace, kind, name) = match parts[..] {
        [group, "namespaces", namespace, kind, name] => (group, namespace, kind, name),
        [group, kind, name] => (group, "", kind, name),
        _ => return entry.to_owned(),
    };
    let meant = |rename: &&Rename| {
        let near = rename.namespace.is_empty() || namespace.is_empty() || rename.namespace == namespace;
        near && rename.group == group && rename.kind == kind && rename.from == name
    };
    match renames.iter().find(meant) {
        Some(rename) => format!("{}{}", &entry[..entry.trim_end().len() - name.len()], rename.to),
        None => entry.to_owned(),
    }
}
