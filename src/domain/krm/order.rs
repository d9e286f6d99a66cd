//! In which order objects are applied and deleted: what others need comes first.

use std::cmp::Reverse;

use crate::domain::krm::ObjectId;

/// Kinds by stage; within a stage in this order. An empty group stands for the core group.
const STAGES: [&[(&str, &str)]; 7] = [
    &[
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("", "Namespace"),
        ("scheduling.k8s.io", "PriorityClass"),
        ("storage.k8s.io", "StorageClass"),
        ("storage.k8s.io", "CSIDriver"),
        ("node.k8s.io", "RuntimeClass"),
        ("networking.k8s.io", "IngressClass"),
        ("gateway.networking.k8s.io", "GatewayClass"),
    ],
    &[
        ("", "ResourceQuota"),
        ("", "LimitRange"),
        ("", "ServiceAccount"),
        ("rbac.authorization.k8s.io", "ClusterRole"),
        ("rbac.authorization.k8s.io", "Role"),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
        ("rbac.authorization.k8s.io", "RoleBinding"),
        ("networking.k8s.io", "NetworkPolicy"),
    ],
    &[("", "Secret"), ("", "ConfigMap"), ("", "PersistentVolume"), ("", "PersistentVolumeClaim")],
    &[("", "Service"), ("", "Endpoints"), ("discovery.k8s.io", "EndpointSlice")],
    &[
        ("policy", "PodDisruptionBudget"),
        ("apps", "DaemonSet"),
        ("apps", "StatefulSet"),
        ("apps", "Deployment"),
        ("apps", "ReplicaSet"),
        ("", "ReplicationController"),
        ("", "Pod"),
        ("batch", "Job"),
        ("batch", "CronJob"),
        ("autoscaling", "HorizontalPodAutoscaler"),
    ],
    OTHERS,
    &[
        ("apiregistration.k8s.io", "APIService"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ],
];

/// The stage of every kind that the table does not name, custom resources among them.
const OTHERS: &[(&str, &str)] = &[("networking.k8s.io", "Ingress")];
const OTHERS_STAGE: u8 = 5;

/// A step of the apply order, from 0; objects of one stage do not need each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct Stage(u8);

impl Stage {
    /// The number, from 0.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}

/// The total order of applying: stage, place in the stage, then group, kind, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApplyOrder {
    stage: Stage,
    place: usize,
    id: ObjectId,
}

/// The stage in which a kind is applied.
#[must_use]
pub fn stage(group: &str, kind: &str) -> Stage {
    find(group, kind).0
}

/// The key to sort objects by before they are applied.
#[must_use]
pub fn apply_order(id: &ObjectId) -> ApplyOrder {
    let (stage, place) = find(&id.group, &id.kind);
    ApplyOrder { stage, place, id: id.clone() }
}

/// The key to sort objects by before they are deleted: the reverse of applying.
#[must_use]
pub fn delete_order(id: &ObjectId) -> Reverse<ApplyOrder> {
    Reverse(apply_order(id))
}

fn find(group: &str, kind: &str) -> (Stage, usize) {
    (0..)
        .zip(STAGES)
        .find_map(|(number, kinds)| {
            let place = kinds.iter().position(|known| *known == (group, kind))?;
            Some((Stage(number), place))
        })
        .unwrap_or((Stage(OTHERS_STAGE), OTHERS.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(group: &str, kind: &str, name: &str) -> ObjectId {
        ObjectId { group: group.into(), kind: kind.into(), namespace: "n".into(), name: name.into() }
    }

    #[test]
    fn what_others_need_comes_first() {
        let mut ids = [
            id("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", "w"),
            id("example.com", "Thing", "t"),
            id("networking.k8s.io", "Ingress", "i"),
            id("apps", "Deployment", "b"),
            id("apps", "Deployment", "a"),
            id("", "Service", "s"),
            id("serving.example.com", "Service", "s"),
            id("", "ConfigMap", "c"),
            id("rbac.authorization.k8s.io", "RoleBinding", "r"),
            id("", "ServiceAccount", "s"),
            id("", "Namespace", "n"),
            id("apiextensions.k8s.io", "CustomResourceDefinition", "d"),
        ];
        ids.sort_by_key(apply_order);
        let kinds: Vec<String> = ids.iter().map(|id| format!("{} {}", id.kind, id.name)).collect();
        assert_eq!(
            kinds,
            [
                "CustomResourceDefinition d",
                "Namespace n",
                "ServiceAccount s",
                "RoleBinding r",
                "ConfigMap c",
                "Service s",
                "Deployment a",
                "Deployment b",
                "Ingress i",
                "Thing t",
                "Service s",
                "ValidatingWebhookConfiguration w"
            ]
        );
        assert_eq!(stage("example.com", "Thing"), stage("networking.k8s.io", "Ingress"));
    }

    #[test]
    fn no_kind_is_in_the_table_twice() {
        let all: Vec<_> = STAGES.iter().flat_map(|stage| stage.iter()).collect();
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(all.len(), distinct.len());
        assert_eq!(STAGES[usize::from(OTHERS_STAGE)], OTHERS);
    }

    proptest! {
        #[test]
        fn deleting_is_applying_in_reverse(picks in proptest::collection::vec((0..7_usize, 0..12_usize, "[a-c]"), 0..20)) {
            let pick = |(stage, place, name): &(usize, usize, String)| {
                let (group, kind) = STAGES[*stage][*place % STAGES[*stage].len()];
                id(group, kind, name)
            };
            let mut apply: Vec<ObjectId> = picks.iter().map(pick).collect();
            let mut delete = apply.clone();
            apply.sort_by_key(apply_order);
            delete.sort_by_key(delete_order);
            delete.reverse();
            prop_assert_eq!(apply, delete);
        }
    }
}
