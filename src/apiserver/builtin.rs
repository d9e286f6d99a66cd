//! The built-in kinds as one table. Facts: the discovery documents of Kubernetes v1.36.

use crate::apiserver::kinds::{Conversion, Kind, Resource, ScalePaths, Serving, Subresources};
use crate::domain::krm::Gvk;

/// What the rows below say with letters: namespaced, status, scale, category `all`, create only.
#[derive(Clone, Copy)]
struct Flags(&'static str);

impl Flags {
    fn has(self, letter: char) -> bool {
        self.0.contains(letter)
    }
}

/// Group, version, kind, plural, short names, flags (`n` namespaced, `s` status, `r` scale, `a` in `all`, `q` a
/// question).
type Row = (&'static str, &'static str, &'static str, &'static str, &'static [&'static str], &'static str);

const ROWS: &[Row] = &[
    ("", "v1", "ConfigMap", "configmaps", &["cm"], "n"),
    ("", "v1", "Endpoints", "endpoints", &["ep"], "n"),
    ("", "v1", "Event", "events", &["ev"], "n"),
    ("", "v1", "LimitRange", "limitranges", &["limits"], "n"),
    ("", "v1", "Namespace", "namespaces", &["ns"], "s"),
    ("", "v1", "Node", "nodes", &["no"], "s"),
    ("", "v1", "PersistentVolume", "persistentvolumes", &["pv"], "s"),
    ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", &["pvc"], "ns"),
    ("", "v1", "Pod", "pods", &["po"], "nsa"),
    ("", "v1", "PodTemplate", "podtemplates", &[], "n"),
    ("", "v1", "ReplicationController", "replicationcontrollers", &["rc"], "nsra"),
    ("", "v1", "ResourceQuota", "resourcequotas", &["quota"], "ns"),
    ("", "v1", "Secret", "secrets", &[], "n"),
    ("", "v1", "Service", "services", &["svc"], "nsa"),
    ("", "v1", "ServiceAccount", "serviceaccounts", &["sa"], "n"),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", &["crd", "crds"], "s"),
    ("apps", "v1", "ControllerRevision", "controllerrevisions", &[], "n"),
    ("apps", "v1", "DaemonSet", "daemonsets", &["ds"], "nsa"),
    ("apps", "v1", "Deployment", "deployments", &["deploy"], "nsra"),
    ("apps", "v1", "ReplicaSet", "replicasets", &["rs"], "nsra"),
    ("apps", "v1", "StatefulSet", "statefulsets", &["sts"], "nsra"),
    ("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", &[], "q"),
    ("authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", &[], "q"),
    ("authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", &[], "q"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", &["hpa"], "nsa"),
    ("batch", "v1", "CronJob", "cronjobs", &["cj"], "nsa"),
    ("batch", "v1", "Job", "jobs", &[], "nsa"),
    ("coordination.k8s.io", "v1", "Lease", "leases", &[], "n"),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", &[], "n"),
    ("events.k8s.io", "v1", "Event", "events", &["ev"], "n"),
    ("networking.k8s.io", "v1", "Ingress", "ingresses", &["ing"], "ns"),
    ("networking.k8s.io", "v1", "IngressClass", "ingressclasses", &[], ""),
    ("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", &["netpol"], "n"),
    ("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", &["pdb"], "ns"),
    ("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", &[], ""),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", &[], ""),
    ("rbac.authorization.k8s.io", "v1", "Role", "roles", &[], "n"),
    ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", &[], "n"),
    ("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", &["pc"], ""),
    ("storage.k8s.io", "v1", "StorageClass", "storageclasses", &["sc"], ""),
];

/// Field selectors beside `metadata.name` and `metadata.namespace`.
const SELECTABLE: &[(&str, &[&str])] = &[
    (
        "Event",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
    ("Job", &["status.successful"]),
    ("Namespace", &["status.phase"]),
    ("Node", &["spec.unschedulable"]),
    (
        "Pod",
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
    ),
    ("ReplicationController", &["status.replicas"]),
    ("Secret", &["type"]),
    ("Service", &["spec.clusterIP", "spec.type"]),
];

/// Every built-in kind.
pub fn kinds() -> impl Iterator<Item = Kind> {
    ROWS.iter().map(kind)
}

fn kind(&(group, version, kind, plural, short_names, flags): &Row) -> Kind {
    let flags = Flags(flags);
    let second_name = (group, kind) == ("events.k8s.io", "Event");
    let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let categories: &[&str] = match (flags.has('a'), group) {
        (true, _) => &["all"],
        (false, "apiextensions.k8s.io") => &["api-extensions"],
        _ => &[],
    };
    let selectable = SELECTABLE.iter().find(|(name, _)| *name == kind).map(|(_, fields)| *fields);
    Kind {
        gvk: Gvk::new(group, version, kind),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        short_names: owned(short_names),
        categories: owned(categories),
        namespaced: flags.has('n'),
        serving: if flags.has('q') { Serving::CreateOnly } else { Serving::Stored },
        subresources: Subresources { status: flags.has('s'), scale: flags.has('r').then(scale) },
        storage: !second_name,
        stored_as: Resource::new(if second_name { "" } else { group }, plural),
        conversion: if second_name { Conversion::Event } else { Conversion::Same },
        columns: Vec::new(),
        schema: None,
        rules: None,
        deprecation: None,
        selectable: owned(selectable.unwrap_or_default()),
        crd: None,
    }
}

fn scale() -> ScalePaths {
    ScalePaths {
        spec_replicas: ".spec.replicas".to_owned(),
        status_replicas: ".status.replicas".to_owned(),
        selector: ".spec.selector".to_owned(),
    }
}
