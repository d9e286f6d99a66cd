//! What every object of a built-in kind has, whatever its creator wrote.
//!
//! The API server reads objects into structs of Go and writes them out again: fields that are not marked `omitempty`
//! are always there, with the zero value of their type. Nobody comes to own them as long as they have it, so they are
//! what a new object is compared with to tell what its creator owns.

use serde_json::{Value, json};

use crate::domain::krm::Gvk;
use crate::domain::krm::defaults::{Row, all};

/// Below a pod template.
const TEMPLATE: &[Row<'_>] = &[
    ("metadata", "{}"),
    ("spec.containers", "null"),
    ("?spec.?volumes.*.?ephemeral.?volumeClaimTemplate.metadata", "{}"),
];
const CLAIM: &[Row<'_>] = &[("metadata", "{}"), ("spec.resources", "{}"), ("status", "{}")];

/// Where the pod templates of a kind are.
const TEMPLATES: &[(&str, &str, &[&str])] = &[
    ("", "PodTemplate", &["template"]),
    ("apps", "Deployment", &["spec", "template"]),
    ("apps", "ReplicaSet", &["spec", "template"]),
    ("apps", "StatefulSet", &["spec", "template"]),
    ("apps", "DaemonSet", &["spec", "template"]),
    ("batch", "Job", &["spec", "template"]),
    ("batch", "CronJob", &["spec", "jobTemplate", "spec", "template"]),
];

/// Conditions whose times are always written.
const CONDITIONS: &[(&str, &str, &[Row<'_>])] = &[
    ("apps", "Deployment", &[("lastTransitionTime", "null"), ("lastUpdateTime", "null")]),
    ("apps", "ReplicaSet", &[("lastTransitionTime", "null")]),
    ("apps", "StatefulSet", &[("lastTransitionTime", "null")]),
    ("apps", "DaemonSet", &[("lastTransitionTime", "null")]),
    ("", "Pod", &[("lastTransitionTime", "null"), ("lastProbeTime", "null")]),
    ("", "PersistentVolumeClaim", &[("lastTransitionTime", "null"), ("lastProbeTime", "null")]),
    ("batch", "Job", &[("lastTransitionTime", "null"), ("lastProbeTime", "null")]),
    ("autoscaling", "HorizontalPodAutoscaler", &[("lastTransitionTime", "null")]),
];

/// Group, kind, fields.
const ROWS: &[(&str, &str, &[Row<'_>])] = &[
    (
        "",
        "Pod",
        &[
            ("spec.containers", "null"),
            ("?spec.?volumes.*.?ephemeral.?volumeClaimTemplate.metadata", "{}"),
            ("status", "{}"),
        ],
    ),
    ("", "PersistentVolumeClaim", &[("spec.resources", "{}"), ("status", "{}")]),
    ("", "Namespace", &[("spec", "{}"), ("status", "{}")]),
    ("", "Node", NODE),
    ("", "PersistentVolume", &[("spec", "{}"), ("status", "{}")]),
    ("", "ResourceQuota", &[("spec", "{}"), ("status", "{}")]),
    ("", "LimitRange", &[("spec.limits", "null")]),
    ("", "ReplicationController", &[("spec", "{}"), ("status.replicas", "0")]),
    ("", "Service", &[("spec", "{}"), ("status.loadBalancer", "{}")]),
    ("apps", "Deployment", &[("spec.selector", "null"), ("spec.strategy", "{}"), ("status", "{}")]),
    ("apps", "ReplicaSet", &[("spec.selector", "null"), ("status.replicas", "0")]),
    (
        "apps",
        "StatefulSet",
        &[
            ("spec.selector", "null"),
            ("spec.updateStrategy", "{}"),
            ("?spec.?ordinals.start", "0"),
            ("status.replicas", "0"),
            ("status.availableReplicas", "0"),
        ],
    ),
    (
        "apps",
        "DaemonSet",
        &[
            ("spec.selector", "null"),
            ("spec.updateStrategy", "{}"),
            ("?spec.?updateStrategy.?rollingUpdate.maxSurge", "0"),
            ("status.currentNumberScheduled", "0"),
            ("status.desiredNumberScheduled", "0"),
            ("status.numberMisscheduled", "0"),
            ("status.numberReady", "0"),
        ],
    ),
    ("batch", "Job", &[("status", "{}")]),
    ("batch", "CronJob", &[("spec.schedule", r#""""#), ("spec.jobTemplate.metadata", "{}"), ("status", "{}")]),
    (
        "autoscaling",
        "HorizontalPodAutoscaler",
        &[
            ("spec.scaleTargetRef.kind", r#""""#),
            ("spec.scaleTargetRef.name", r#""""#),
            ("spec.maxReplicas", "0"),
            ("status.desiredReplicas", "0"),
            ("status.currentMetrics", "null"),
        ],
    ),
    ("networking.k8s.io", "Ingress", &[("spec", "{}"), ("status.loadBalancer", "{}")]),
    ("networking.k8s.io", "IngressClass", &[("spec", "{}")]),
    ("networking.k8s.io", "NetworkPolicy", &[("spec.podSelector", "{}")]),
    (
        "policy",
        "PodDisruptionBudget",
        &[
            ("spec", "{}"),
            ("status.currentHealthy", "0"),
            ("status.desiredHealthy", "0"),
            ("status.disruptionsAllowed", "0"),
            ("status.expectedPods", "0"),
        ],
    ),
    ("coordination.k8s.io", "Lease", &[("spec", "{}")]),
    ("authorization.k8s.io", "SelfSubjectAccessReview", &[("spec", "{}"), ("status.allowed", "false")]),
    ("authorization.k8s.io", "SelfSubjectRulesReview", &[("spec", "{}")]),
    ("authentication.k8s.io", "SelfSubjectReview", &[("status.userInfo", "{}")]),
    ("rbac.authorization.k8s.io", "Role", &[("rules", "null"), ("?rules.*.verbs", "null")]),
    ("rbac.authorization.k8s.io", "ClusterRole", &[("rules", "null"), ("?rules.*.verbs", "null")]),
    ("rbac.authorization.k8s.io", "RoleBinding", ROLE_REF),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", ROLE_REF),
    ("scheduling.k8s.io", "PriorityClass", &[("value", "0")]),
    ("storage.k8s.io", "StorageClass", &[("provisioner", r#""""#)]),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        &[
            ("spec.group", r#""""#),
            ("spec.scope", r#""""#),
            ("spec.names.plural", r#""""#),
            ("spec.names.kind", r#""""#),
            ("spec.versions", "null"),
            ("status.acceptedNames.plural", r#""""#),
            ("status.acceptedNames.kind", r#""""#),
            ("status.conditions", "null"),
            ("status.storedVersions", "null"),
        ],
    ),
];

const NODE: &[Row<'_>] = &[
    ("spec", "{}"),
    ("status.daemonEndpoints.kubeletEndpoint.Port", "0"),
    ("status.nodeInfo.architecture", r#""""#),
    ("status.nodeInfo.bootID", r#""""#),
    ("status.nodeInfo.containerRuntimeVersion", r#""""#),
    ("status.nodeInfo.kernelVersion", r#""""#),
    ("status.nodeInfo.kubeProxyVersion", r#""""#),
    ("status.nodeInfo.kubeletVersion", r#""""#),
    ("status.nodeInfo.machineID", r#""""#),
    ("status.nodeInfo.operatingSystem", r#""""#),
    ("status.nodeInfo.osImage", r#""""#),
    ("status.nodeInfo.systemUUID", r#""""#),
];
const ROLE_REF: &[Row<'_>] = &[("roleRef.apiGroup", r#""""#), ("roleRef.kind", r#""""#), ("roleRef.name", r#""""#)];

/// Fills in what is always there.
pub(super) fn fill(gvk: &Gvk, object: &mut Value) {
    let here = |group: &str, kind: &str| group == gvk.group && kind == gvk.kind;
    for (.., rows) in ROWS.iter().filter(|(group, kind, _)| here(group, kind)) {
        all(object, rows);
    }
    for (.., path) in TEMPLATES.iter().filter(|(group, kind, _)| here(group, kind)) {
        all(open(object, path), TEMPLATE);
    }
    for (.., rows) in CONDITIONS.iter().filter(|(group, kind, _)| here(group, kind)) {
        let conditions = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
        conditions.into_iter().flatten().for_each(|condition| all(condition, rows));
    }
    if here("apps", "StatefulSet") {
        let claims = object.pointer_mut("/spec/volumeClaimTemplates").and_then(Value::as_array_mut);
        claims.into_iter().flatten().for_each(|claim| all(claim, CLAIM));
    }
}

/// The map at a path, made when it is missing; the object itself where something else is in the way.
fn open<'a>(object: &'a mut Value, path: &[&str]) -> &'a mut Value {
    let [step, rest @ ..] = path else { return object };
    match object {
        Value::Object(fields) => {
            let below = fields.entry(*step).or_insert(Value::Null);
            if below.is_null() {
                *below = json!({});
            }
            open(below, rest)
        }
        other => other,
    }
}

/// The zero value of a built-in kind.
pub(super) fn of(gvk: &Gvk) -> Value {
    let mut object = json!({"metadata": {}});
    fill(gvk, &mut object);
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::krm::{ApplyOptions, Schemas, update};
    use crate::domain::time::Timestamp;

    #[test]
    fn every_zero_is_json() {
        let rows = ROWS.iter().flat_map(|(.., rows)| rows.iter()).chain(TEMPLATE).chain(CLAIM);
        for (path, zero) in rows {
            assert!(serde_json::from_str::<Value>(zero).is_ok(), "{path}");
        }
    }

    #[test]
    fn the_creator_does_not_own_structs_that_are_always_there() {
        let gvk = Gvk::new("apps", "v1", "Deployment");
        let schemas = Schemas::builtin();
        let now = Timestamp::from_second(0).unwrap();
        let options = ApplyOptions { manager: "one", force: false, subresource: "", now, reset: &[], blank: None };
        let mut new = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "a"}]}}}});
        fill(&gvk, &mut new);
        let stored = update(Some(&of(&gvk)), &new, &options, schemas.lookup(&gvk).0);
        let owned = stored.pointer("/metadata/managedFields/0/fieldsV1").unwrap();
        let container = json!({"k:{\"name\":\"a\"}": {".": {}, "f:name": {}}});
        let template = json!({"f:spec": {"f:containers": container}});
        assert_eq!(*owned, json!({"f:spec": {"f:replicas": {}, "f:template": template}}));
    }
}
