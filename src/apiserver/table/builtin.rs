//! Columns of the built-in kinds, as Kubernetes v1.36 prints them (recorded from a real API server, see the tests).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::read::{age, containers, created_at, images, labels, name, selector};
use super::{event, network, pod, workload};
use crate::domain::krm::Gvk;

/// What a cell is made from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// Computed.
    Show(fn(&Value, Timestamp) -> Value),
    /// A text at a JSON pointer; empty when there is none.
    Text(&'static str),
    /// An integer at a JSON pointer; 0 when there is none.
    Number(&'static str),
    /// A boolean at a JSON pointer; false when there is none.
    Flag(&'static str),
}

impl Source {
    pub(super) fn cell(self, object: &Value, now: Timestamp) -> Value {
        match self {
            Self::Show(show) => show(object, now),
            Self::Text(pointer) => json!(super::read::text(object, pointer)),
            Self::Number(pointer) => json!(super::read::number(object, pointer)),
            Self::Flag(pointer) => json!(object.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()),
        }
    }
}

/// Name, type, whether only `-o wide` shows it, and where it comes from.
pub(super) type Builtin = (&'static str, &'static str, bool, Source);

use Source::{Flag, Number, Show, Text};

const NAME: Builtin = ("Name", "string", false, Show(name));
const AGE: Builtin = ("Age", "string", false, Show(age));
const CREATED: Builtin = ("Created At", "date", false, Show(created_at));
const CONTAINERS: Builtin = ("Containers", "string", true, Show(containers));
const IMAGES: Builtin = ("Images", "string", true, Show(images));
const SELECTOR: Builtin = ("Selector", "string", true, Show(selector));

const fn col(name: &'static str, show: fn(&Value, Timestamp) -> Value) -> Builtin {
    (name, "string", false, Show(show))
}

const fn wide(name: &'static str, show: fn(&Value, Timestamp) -> Value) -> Builtin {
    (name, "string", true, Show(show))
}

const fn at(name: &'static str, pointer: &'static str) -> Builtin {
    (name, "string", false, Text(pointer))
}

const fn wide_at(name: &'static str, pointer: &'static str) -> Builtin {
    (name, "string", true, Text(pointer))
}

const fn int(name: &'static str, pointer: &'static str) -> Builtin {
    (name, "integer", false, Number(pointer))
}

/// A number in a column of type string.
const fn count(name: &'static str, pointer: &'static str) -> Builtin {
    (name, "string", false, Number(pointer))
}

/// The columns of a kind; a kind without a table of its own has its name and when it was created.
/// `autoscaling/v1` `Scale`.
pub(super) const SCALE: &[Builtin] = &[
    NAME,
    ("Desired", "integer", false, Number("/spec/replicas")),
    ("Available", "integer", false, Number("/status/replicas")),
    AGE,
];

pub(super) fn columns(gvk: &Gvk) -> &'static [Builtin] {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", kind) => core(kind),
        ("apps", kind) => apps(kind),
        ("batch", "Job") => JOB,
        ("batch", "CronJob") => CRON_JOB,
        ("networking.k8s.io", "NetworkPolicy") => const { &[NAME, col("Pod-Selector", network::pod_selector), AGE] },
        ("networking.k8s.io", "Ingress") => INGRESS,
        ("networking.k8s.io", "IngressClass") => {
            const { &[NAME, at("Controller", "/spec/controller"), col("Parameters", network::class_parameters), AGE] }
        }
        ("policy", "PodDisruptionBudget") => BUDGET,
        ("autoscaling", "HorizontalPodAutoscaler") => SCALER,
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => BINDING,
        ("coordination.k8s.io", "Lease") => const { &[NAME, at("Holder", "/spec/holderIdentity"), AGE] },
        ("events.k8s.io", "Event") => EVENT,
        ("discovery.k8s.io", "EndpointSlice") => SLICE,
        ("scheduling.k8s.io", "PriorityClass") => PRIORITY,
        ("storage.k8s.io", "StorageClass") => STORAGE_CLASS,
        _ => const { &[NAME, CREATED] },
    }
}

fn core(kind: &str) -> &'static [Builtin] {
    match kind {
        "Pod" => POD,
        "Service" => SERVICE,
        "ConfigMap" => const { &[NAME, col("Data", workload::key_count), AGE] },
        "Secret" => const { &[NAME, at("Type", "/type"), col("Data", workload::key_count), AGE] },
        "Namespace" => const { &[NAME, at("Status", "/status/phase"), AGE] },
        "ServiceAccount" => const { &[NAME, AGE] },
        "Event" => EVENT,
        "Endpoints" => const { &[NAME, col("Endpoints", network::endpoints), AGE] },
        "PersistentVolumeClaim" => CLAIM,
        "PersistentVolume" => VOLUME,
        "ReplicationController" => CONTROLLER,
        "Node" => NODE,
        "ResourceQuota" => {
            const { &[NAME, col("Request", workload::quota_requests), col("Limit", workload::quota_limits), AGE] }
        }
        _ => const { &[NAME, CREATED] },
    }
}

fn apps(kind: &str) -> &'static [Builtin] {
    match kind {
        "Deployment" => DEPLOYMENT,
        "ReplicaSet" => REPLICA_SET,
        "StatefulSet" => const { &[NAME, col("Ready", workload::ready_of_replicas), AGE, CONTAINERS, IMAGES] },
        "DaemonSet" => DAEMON_SET,
        "ControllerRevision" => {
            const {
                &[
                    NAME,
                    col("Controller", workload::revision_controller),
                    ("Revision", "string", false, Number("/revision")),
                    AGE,
                ]
            }
        }
        _ => const { &[NAME, CREATED] },
    }
}

const POD: &[Builtin] = &[
    NAME,
    col("Ready", pod::ready),
    col("Status", pod::status),
    col("Restarts", pod::restarts),
    AGE,
    wide("IP", pod::ip),
    wide("Node", pod::node),
    wide("Nominated Node", pod::nominated_node),
    wide("Readiness Gates", pod::readiness_gates),
];

const SERVICE: &[Builtin] = &[
    NAME,
    at("Type", "/spec/type"),
    col("Cluster-IP", network::cluster_ip),
    col("External-IP", network::external_ip),
    col("Port(s)", network::service_ports),
    AGE,
    wide("Selector", network::service_selector),
];

const EVENT: &[Builtin] = &[
    col("Last Seen", event::last_seen),
    at("Type", "/type"),
    at("Reason", "/reason"),
    col("Object", event::object),
    wide("Subobject", event::subobject),
    wide("Source", event::source),
    col("Message", event::message),
    wide("First Seen", event::first_seen),
    wide("Count", event::count),
    wide("Name", name),
];

const CLAIM: &[Builtin] = &[
    NAME,
    col("Status", workload::claim_status),
    at("Volume", "/spec/volumeName"),
    col("Capacity", workload::claim_capacity),
    col("Access Modes", workload::claim_modes),
    at("StorageClass", "/spec/storageClassName"),
    col("VolumeAttributesClass", workload::attributes_class),
    AGE,
    wide_at("VolumeMode", "/spec/volumeMode"),
];

const VOLUME: &[Builtin] = &[
    NAME,
    at("Capacity", "/spec/capacity/storage"),
    col("Access Modes", workload::volume_modes),
    at("Reclaim Policy", "/spec/persistentVolumeReclaimPolicy"),
    col("Status", workload::claim_status),
    col("Claim", workload::volume_claim),
    at("StorageClass", "/spec/storageClassName"),
    col("VolumeAttributesClass", workload::attributes_class),
    at("Reason", "/status/reason"),
    AGE,
    wide_at("VolumeMode", "/spec/volumeMode"),
];

const STORAGE_CLASS: &[Builtin] = &[
    col("Name", workload::storage_class_name),
    at("Provisioner", "/provisioner"),
    at("ReclaimPolicy", "/reclaimPolicy"),
    at("VolumeBindingMode", "/volumeBindingMode"),
    ("AllowVolumeExpansion", "string", false, Flag("/allowVolumeExpansion")),
    AGE,
];

const NODE: &[Builtin] = &[
    NAME,
    col("Status", workload::node_status),
    col("Roles", workload::node_roles),
    AGE,
    at("Version", "/status/nodeInfo/kubeletVersion"),
    wide("Internal-IP", workload::node_internal_ip),
    wide("External-IP", workload::node_external_ip),
    wide("OS-Image", |node, _| workload::node_info(node, "osImage")),
    wide("Kernel-Version", |node, _| workload::node_info(node, "kernelVersion")),
    wide("Container-Runtime", |node, _| workload::node_info(node, "containerRuntimeVersion")),
];

const DEPLOYMENT: &[Builtin] = &[
    NAME,
    col("Ready", workload::ready_of_replicas),
    count("Up-to-date", "/status/updatedReplicas"),
    count("Available", "/status/availableReplicas"),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const REPLICA_SET: &[Builtin] = &replicas(SELECTOR);

const CONTROLLER: &[Builtin] = &replicas(wide("Selector", |controller, _| labels(controller, "/spec/selector")));

/// The columns of what keeps a number of pods; its kinds write their selectors in two ways.
const fn replicas(selector: Builtin) -> [Builtin; 8] {
    [
        NAME,
        int("Desired", "/spec/replicas"),
        int("Current", "/status/replicas"),
        int("Ready", "/status/readyReplicas"),
        AGE,
        CONTAINERS,
        IMAGES,
        selector,
    ]
}

const DAEMON_SET: &[Builtin] = &[
    NAME,
    int("Desired", "/status/desiredNumberScheduled"),
    int("Current", "/status/currentNumberScheduled"),
    int("Ready", "/status/numberReady"),
    int("Up-to-date", "/status/updatedNumberScheduled"),
    int("Available", "/status/numberAvailable"),
    col("Node Selector", workload::node_selector),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const JOB: &[Builtin] = &[
    NAME,
    col("Status", workload::job_status),
    col("Completions", workload::job_completions),
    col("Duration", workload::job_duration),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const CRON_JOB: &[Builtin] = &[
    NAME,
    at("Schedule", "/spec/schedule"),
    col("Timezone", workload::cron_time_zone),
    ("Suspend", "boolean", false, Show(workload::cron_suspend)),
    ("Active", "integer", false, Show(workload::cron_active)),
    col("Last Schedule", workload::cron_last),
    AGE,
    wide("Containers", workload::cron_containers),
    wide("Images", workload::cron_images),
    wide("Selector", workload::cron_selector),
];

const INGRESS: &[Builtin] = &[
    NAME,
    col("Class", network::ingress_class),
    col("Hosts", network::ingress_hosts),
    col("Address", network::ingress_address),
    col("Ports", network::ingress_ports),
    AGE,
];

const BUDGET: &[Builtin] = &[
    NAME,
    col("Min Available", workload::min_available),
    col("Max Unavailable", workload::max_unavailable),
    int("Allowed Disruptions", "/status/disruptionsAllowed"),
    AGE,
];

const SCALER: &[Builtin] = &[
    NAME,
    col("Reference", workload::scaler_reference),
    col("Targets", workload::scaler_targets),
    col("MinPods", workload::scaler_min),
    count("MaxPods", "/spec/maxReplicas"),
    count("Replicas", "/status/currentReplicas"),
    AGE,
];

const BINDING: &[Builtin] = &[
    NAME,
    col("Role", workload::role),
    AGE,
    wide("Users", workload::users),
    wide("Groups", workload::groups),
    wide("ServiceAccounts", workload::service_accounts),
];

const SLICE: &[Builtin] = &[
    NAME,
    at("AddressType", "/addressType"),
    col("Ports", network::slice_ports),
    col("Endpoints", network::slice_endpoints),
    AGE,
];

const PRIORITY: &[Builtin] = &[
    NAME,
    int("Value", "/value"),
    ("Global-Default", "boolean", false, Flag("/globalDefault")),
    AGE,
    at("PreemptionPolicy", "/preemptionPolicy"),
];
