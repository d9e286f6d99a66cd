//! What a new object is compared with to tell what its creator owns.
//!
//! The API server compares with the zero value of the kind's Go type, in which structs that cannot be absent are already
//! there: nobody comes to own `spec` itself by creating a Deployment, only what is in it.

use serde_json::{Value, json};

use crate::domain::krm::Gvk;

/// The zero value of a built-in kind, as far as it has structs and lists that are always written; status is left out, for
/// it is never created. Other kinds have an empty one.
pub(super) fn blank(gvk: &Gvk) -> Value {
    let template = || json!({"metadata": {}, "spec": {"containers": null}});
    let spec = match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("apps", "Deployment") => json!({"selector": null, "strategy": {}, "template": template()}),
        ("apps", "ReplicaSet") => json!({"selector": null, "template": template()}),
        ("apps", "StatefulSet" | "DaemonSet") => {
            json!({"selector": null, "template": template(), "updateStrategy": {}})
        }
        ("batch", "Job") => json!({"template": template()}),
        ("batch", "CronJob") => json!({"jobTemplate": {"metadata": {}, "spec": {"template": template()}}}),
        ("", "Pod") => json!({"containers": null}),
        ("", "PersistentVolumeClaim") => json!({"resources": {}}),
        ("autoscaling", "HorizontalPodAutoscaler") => json!({"scaleTargetRef": {}}),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => json!({"names": {}, "versions": null}),
        ("", "Namespace" | "Node" | "Service" | "PersistentVolume" | "ResourceQuota")
        | ("networking.k8s.io", "Ingress" | "IngressClass" | "NetworkPolicy")
        | ("policy", "PodDisruptionBudget")
        | ("coordination.k8s.io", "Lease") => json!({}),
        _ => return json!({}),
    };
    json!({"metadata": {}, "spec": spec})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::krm::{ApplyOptions, Schemas, update};
    use crate::domain::time::Timestamp;

    #[test]
    fn the_creator_does_not_own_structs_that_are_always_there() {
        let gvk = Gvk::new("apps", "v1", "Deployment");
        let schemas = Schemas::builtin();
        let now = Timestamp::from_second(0).unwrap();
        let options = ApplyOptions { manager: "one", force: false, subresource: "", now, reset: &[] };
        let new = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "a"}]}}}});
        let stored = update(Some(&blank(&gvk)), &new, &options, schemas.lookup(&gvk).0);
        let owned = stored.pointer("/metadata/managedFields/0/fieldsV1").unwrap();
        let container = json!({"k:{\"name\":\"a\"}": {".": {}, "f:name": {}}});
        let template = json!({"f:spec": {"f:containers": container}});
        assert_eq!(*owned, json!({"f:spec": {"f:replicas": {}, "f:template": template}}));
    }
}
