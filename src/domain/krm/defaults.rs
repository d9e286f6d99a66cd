//! The defaults that the API server fills into built-in kinds: those that its OpenAPI declares, which are in the table
//! of [`schema`](crate::domain::krm::schema), and those that it fills in by code, which are here.
//!
//! Source: the defaulting functions of Kubernetes v1.36 (`pkg/apis/*/v1/defaults.go`), as documented in the API
//! reference.

mod admission;
mod pod;
mod service;
mod structural;

use serde_json::{Map, Value, json};

use admission::admission;
use pod::{pod, template};
use service::service;
pub use service::{keep_given, node_ports, wants_health_check_port, wants_node_ports, without_node_port};
pub use structural::fill_structural;

use crate::domain::krm::Gvk;
use crate::domain::krm::metadata;
use crate::domain::krm::normal::{each_map, is_zero};
use crate::domain::krm::quantity::Quantity;
use crate::domain::krm::schema::{Format, Node, Shape};
use crate::domain::krm::value::{is_void, text};

/// Path (steps by dots, `*` for every item, `?` before a step that must be there already), and the default as JSON.
/// Steps but the last create missing objects unless a `?` guards them.
pub type Row<'a> = (&'a str, &'a str);

const DEPLOYMENT: &[Row<'_>] = &[
    ("spec.replicas", "1"),
    ("spec.revisionHistoryLimit", "10"),
    ("spec.progressDeadlineSeconds", "600"),
    ("spec.strategy.type", r#""RollingUpdate""#),
];

const STATEFUL_SET: &[Row<'_>] = &[
    ("spec.replicas", "1"),
    ("spec.revisionHistoryLimit", "10"),
    ("spec.podManagementPolicy", r#""OrderedReady""#),
    ("spec.persistentVolumeClaimRetentionPolicy.whenDeleted", r#""Retain""#),
    ("spec.persistentVolumeClaimRetentionPolicy.whenScaled", r#""Retain""#),
    ("?spec.?volumeClaimTemplates.*.status.phase", r#""Pending""#),
    ("?spec.?volumeClaimTemplates.*.spec.volumeMode", r#""Filesystem""#),
    ("?spec.?volumeClaimTemplates.*.apiVersion", r#""v1""#),
    ("?spec.?volumeClaimTemplates.*.kind", r#""PersistentVolumeClaim""#),
];

const DAEMON_SET: &[Row<'_>] =
    &[("spec.revisionHistoryLimit", "10"), ("spec.updateStrategy.type", r#""RollingUpdate""#)];

const JOB: &[Row<'_>] = &[
    ("completions", "1"),
    ("parallelism", "1"),
    ("completionMode", r#""NonIndexed""#),
    ("suspend", "false"),
    ("manualSelector", "false"),
];

/// Of the jobs that a cron job makes, too.
const FAILURES: &[Row<'_>] = &[("?podFailurePolicy.?rules.*.?onPodConditions.*.status", r#""True""#)];

const CRON_JOB: &[Row<'_>] = &[
    ("spec.concurrencyPolicy", r#""Allow""#),
    ("spec.suspend", "false"),
    ("spec.successfulJobsHistoryLimit", "3"),
    ("spec.failedJobsHistoryLimit", "1"),
];

/// How fast an autoscaler acts that says something about it.
const BEHAVIOR: &[Row<'_>] = &[
    ("spec.behavior.scaleUp.stabilizationWindowSeconds", "0"),
    ("spec.behavior.scaleUp.selectPolicy", r#""Max""#),
    (
        "spec.behavior.scaleUp.policies",
        r#"[{"type":"Pods","value":4,"periodSeconds":15},{"type":"Percent","value":100,"periodSeconds":15}]"#,
    ),
    ("spec.behavior.scaleDown.selectPolicy", r#""Max""#),
    ("spec.behavior.scaleDown.policies", r#"[{"type":"Percent","value":100,"periodSeconds":15}]"#),
];
const PVC: &[Row<'_>] = &[("spec.volumeMode", r#""Filesystem""#)];
const VOLUME: &[Row<'_>] = &[
    ("spec.persistentVolumeReclaimPolicy", r#""Retain""#),
    ("spec.volumeMode", r#""Filesystem""#),
    ("?spec.?hostPath.type", r#""""#),
    ("?spec.?azureDisk.readOnly", "false"),
];
const STORAGE_CLASS: &[Row<'_>] = &[("reclaimPolicy", r#""Delete""#), ("volumeBindingMode", r#""Immediate""#)];
const STORAGE_DRIVER: &[Row<'_>] = &[
    ("spec.attachRequired", "true"),
    ("spec.podInfoOnMount", "false"),
    ("spec.storageCapacity", "false"),
    ("spec.requiresRepublish", "false"),
    ("spec.seLinuxMount", "false"),
    ("spec.fsGroupPolicy", r#""ReadWriteOnceWithFSType""#),
    ("spec.volumeLifecycleModes", r#"["Persistent"]"#),
];
const PRIORITY_LEVEL: &[Row<'_>] = &[
    ("?spec.?limited.nominalConcurrencyShares", "30"),
    ("?spec.?limited.lendablePercent", "0"),
    ("?spec.?limited.?limitResponse.?queuing.queues", "64"),
    ("?spec.?limited.?limitResponse.?queuing.handSize", "8"),
    ("?spec.?limited.?limitResponse.?queuing.queueLengthLimit", "50"),
];
const CRD: &[Row<'_>] = &[("spec.conversion.strategy", r#""None""#)];
const CONVERSION: &[Row<'_>] = &[("?spec.?conversion.?webhook.?clientConfig.?service.port", "443")];

/// Fills in what is missing, as part of reading an object: whoever writes the object comes to own it. `root` is where
/// the schema of the kind begins.
pub fn fill(gvk: &Gvk, object: &mut Value, root: Node<'_>) {
    fill_declared(object, root);
    if gvk.kind != "RuntimeClass" && gvk.group != "resource.k8s.io" {
        round_up(object, root);
    }
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", kind) => core(kind, object),
        ("storage.k8s.io", "StorageClass") => all(object, STORAGE_CLASS),
        ("storage.k8s.io", "CSIDriver") => all(object, STORAGE_DRIVER),
        ("discovery.k8s.io", "EndpointSlice") => {
            all(object, &[("?ports.*.name", r#""""#), ("?ports.*.protocol", r#""TCP""#)]);
        }
        ("apps", "Deployment") => deployment(object),
        ("apps", "ReplicaSet") => replicated(object, &[("spec.replicas", "1")]),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("batch", "Job") => job(object),
        ("batch", "CronJob") => cron_job(object),
        ("autoscaling", "HorizontalPodAutoscaler") if gvk.version == "v1" => all(object, &[("spec.minReplicas", "1")]),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(object),
        ("networking.k8s.io", "NetworkPolicy") => network_policy(object),
        ("networking.k8s.io", "IngressClass") => all(object, &[("?spec.?parameters.scope", r#""Cluster""#)]),
        ("scheduling.k8s.io", "PriorityClass") => all(object, &[("preemptionPolicy", r#""PreemptLowerPriority""#)]),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => crd(object),
        ("apiregistration.k8s.io", "APIService") => all(object, &[("?spec.?service.port", "443")]),
        ("admissionregistration.k8s.io", kind) => admission(kind, object),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => flow_schema(object),
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => all(object, PRIORITY_LEVEL),
        ("resource.k8s.io", "ResourceClaim") => devices(object.pointer_mut("/spec")),
        ("resource.k8s.io", "ResourceClaimTemplate") => devices(object.pointer_mut("/spec/spec")),
        _ => {}
    }
}

/// Of the group without a name.
fn core(kind: &str, object: &mut Value) {
    match kind {
        "Pod" => {
            pod(object);
            soon(object);
        }
        "PodTemplate" => template(object.get_mut("template")),
        "Service" => service(object),
        "Namespace" => namespace(object),
        "Secret" => secret(object),
        "PersistentVolumeClaim" => claim(object),
        "PersistentVolume" => all(object, VOLUME),
        "LimitRange" => limit_range(object),
        "Endpoints" => all(object, &[("?subsets.*.?ports.*.protocol", r#""TCP""#)]),
        "Node" => node(object),
        "ReplicationController" => controller(object),
        _ => {}
    }
}

/// Nobody ends before now: what is negative is as little as there is. Templates keep what they say.
fn soon(pod: &mut Value) {
    let grace = pod.pointer_mut("/spec/terminationGracePeriodSeconds");
    if let Some(grace) = grace.filter(|grace| grace.as_i64().is_some_and(|seconds| seconds < 0)) {
        *grace = json!(1);
    }
}

/// Fills in the defaults that the table declares, inside objects that are there.
fn fill_declared(value: &mut Value, node: Node<'_>) {
    each_map(value, node, &|map, fields| {
        for (name, default) in map.marks.iter().filter_map(|(name, mark)| Some((name, mark.default.as_ref()?))) {
            // Zeros are what is written when nothing is there, not what is filled in.
            if !is_zero(default) && !is_void(default) && fields.get(name).is_none_or(Value::is_null) {
                fields.insert(name.clone(), default.clone());
            }
        }
    });
}

/// Rounds amounts of resources up to thousandths: every map of quantities is one, but for a few kinds.
fn round_up(value: &mut Value, node: Node<'_>) {
    each_map(value, node, &|map, fields| {
        if map.element.as_deref() != Some(&Shape::Scalar(Format::Quantity)) {
            return;
        }
        for amount in fields.values_mut() {
            let exact = Quantity::of(amount).filter(|quantity| *quantity != quantity.in_thousandths());
            if let Some(exact) = exact {
                *amount = Value::String(exact.in_thousandths().to_string());
            }
        }
    });
}

/// Fills in what is missing, row by row.
pub fn all(object: &mut Value, rows: &[Row<'_>]) {
    for (path, default) in rows {
        // The defaults are constants of these files; one that did not parse would be no default, and a test would see it.
        lay(object, path.split('.'), &|| serde_json::from_str(default).unwrap_or_default());
    }
}

/// Sets one default at a path of steps, unless something is there.
pub fn set(value: &mut Value, steps: &[&str], default: &Value) {
    lay(value, steps.iter().copied(), &|| default.clone());
}

/// As [`set`]; the default is made only where it is missing, which it seldom is.
fn lay<'s>(value: &mut Value, mut steps: impl Iterator<Item = &'s str> + Clone, default: &impl Fn() -> Value) {
    let Some(step) = steps.next() else { return };
    if step == "*" {
        value.as_array_mut().into_iter().flatten().for_each(|item| lay(item, steps.clone(), default));
        return;
    }
    let (name, guarded) = step.strip_prefix('?').map_or((step, false), |name| (name, true));
    let Some(fields) = value.as_object_mut() else { return };
    let is_last = steps.clone().next().is_none();
    match fields.get_mut(name).filter(|below| !below.is_null()) {
        Some(below) => lay(below, steps, default),
        None if is_last => drop(fields.insert(name.to_owned(), default())),
        None if guarded => {}
        None => {
            let mut below = Value::Object(Map::new());
            lay(&mut below, steps, default);
            fields.insert(name.to_owned(), below);
        }
    }
}

fn deployment(object: &mut Value) {
    replicated(object, DEPLOYMENT);
    if text(object, "/spec/strategy/type") == "RollingUpdate" {
        all(
            object,
            &[
                ("spec.strategy.rollingUpdate.maxSurge", r#""25%""#),
                ("spec.strategy.rollingUpdate.maxUnavailable", r#""25%""#),
            ],
        );
    }
}

fn stateful_set(object: &mut Value) {
    replicated(object, STATEFUL_SET);
    if text(object, "/spec/updateStrategy/type").is_empty() {
        all(
            object,
            &[("spec.updateStrategy.type", r#""RollingUpdate""#), ("spec.updateStrategy.rollingUpdate.partition", "0")],
        );
    } else if text(object, "/spec/updateStrategy/type") == "RollingUpdate" {
        all(object, &[("?spec.?updateStrategy.?rollingUpdate.partition", "0")]);
    }
}

/// Annotation that counts the templates that a `DaemonSet` had.
pub const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn daemon_set(object: &mut Value) {
    replicated(object, DAEMON_SET);
    set(object, &["metadata", "annotations", TEMPLATE_GENERATION], &json!("0"));
    if text(object, "/spec/updateStrategy/type") == "RollingUpdate" {
        all(
            object,
            &[
                ("spec.updateStrategy.rollingUpdate.maxSurge", "0"),
                ("spec.updateStrategy.rollingUpdate.maxUnavailable", "1"),
            ],
        );
    } else {
        // A number that is there has no default: it is zero.
        all(object, &[("?spec.?updateStrategy.?rollingUpdate.maxUnavailable", "0")]);
    }
}

fn replicated(object: &mut Value, rows: &[Row<'_>]) {
    if object.get("spec").is_none_or(Value::is_null) {
        return;
    }
    all(object, rows);
    template(object.pointer_mut("/spec/template"));
}

/// A controller without a selector or labels has those of its pods.
fn controller(object: &mut Value) {
    let labels = object.pointer("/spec/template/metadata/labels").filter(|labels| !labels.is_null()).cloned();
    if let Some(labels) = labels {
        set(object, &["spec", "selector"], &labels);
    }
    replicated(object, &[("spec.replicas", "1")]);
    labels_of_template(object);
}

/// One range of addresses is the first of several.
fn node(object: &mut Value) {
    if let Some(range) = object.pointer("/spec/podCIDR").filter(|range| !range.is_null()).cloned() {
        set(object, &["spec", "podCIDRs"], &json!([range]));
    }
}

/// The label that names a namespace.
pub fn namespace(object: &mut Value) {
    // A generated name is not known before the object is prepared.
    let Some(name) = object.pointer("/metadata/name").cloned() else { return };
    set(object, &["metadata", "labels"], &json!({}));
    if let Some(labels) = object.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name);
    }
}

fn secret(object: &mut Value) {
    all(object, &[("type", r#""Opaque""#)]);
    let Some(Value::Object(texts)) = object.as_object_mut().and_then(|fields| fields.remove("stringData")) else {
        return;
    };
    set(object, &["data"], &json!({}));
    let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) else { return };
    let encode = |text: &Value| Some(crate::domain::krm::base64::encode(text.as_str()?.as_bytes()));
    data.extend(texts.into_iter().filter_map(|(name, text)| Some((name, Value::String(encode(&text)?)))));
}

fn job(object: &mut Value) {
    let Some(spec) = object.pointer_mut("/spec").filter(|spec| spec.is_object()) else { return };
    // A job with parallelism alone is a work queue: it has no number of completions.
    let queue = spec.get("completions").is_none() && spec.get("parallelism").is_some();
    let has = |name: &str| spec.get(name).is_some_and(|value| !value.is_null());
    let retries = if has("backoffLimitPerIndex") { "2147483647" } else { "6" };
    let replaced = if has("podFailurePolicy") { r#""Failed""# } else { r#""TerminatingOrFailed""# };
    all(spec, JOB);
    all(spec, &[("backoffLimit", retries), ("podReplacementPolicy", replaced)]);
    all(spec, FAILURES);
    if queue && let Some(fields) = spec.as_object_mut() {
        fields.remove("completions");
    }
    template(spec.get_mut("template"));
    labels_of_template(object);
}

fn cron_job(object: &mut Value) {
    all(object, CRON_JOB);
    let Some(jobs) = object.pointer_mut("/spec/jobTemplate/spec") else { return };
    all(jobs, FAILURES);
    template(jobs.get_mut("template"));
}

/// A claim says twice what it is filled from, in an old field and in a new one; the old one takes only what the server
/// knows itself.
fn claim(object: &mut Value) {
    all(object, PVC);
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let given = |name: &str| spec.get(name).filter(|source| !source.is_null()).cloned();
    match (given("dataSource"), given("dataSourceRef")) {
        (Some(source), None) if is_known_source(&source) => drop(spec.insert("dataSourceRef".to_owned(), source)),
        (Some(_), None) => drop(spec.remove("dataSource")),
        (None, Some(reference)) if text(&reference, "/namespace").is_empty() => {
            spec.insert("dataSource".to_owned(), reference);
        }
        (None, Some(_)) => drop(spec.remove("dataSourceRef")),
        _ => {}
    }
    // The group is written, also when there is none.
    for source in ["dataSource", "dataSourceRef"] {
        if let Some(source) = spec.get_mut(source).and_then(Value::as_object_mut) {
            source.entry("apiGroup").or_insert(Value::Null);
        }
    }
}

fn is_known_source(source: &Value) -> bool {
    let known = [("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot")];
    known.contains(&(text(source, "/apiGroup"), text(source, "/kind")))
}

/// Of containers: no limit is the most that there may be, no request is the limit, or the least.
fn limit_range(object: &mut Value) {
    let limits = object.pointer_mut("/spec/limits").and_then(Value::as_array_mut).into_iter().flatten();
    for limit in limits.filter(|limit| text(limit, "/type") == "Container") {
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            let amounts = limit.get(from).and_then(Value::as_object).cloned().unwrap_or_default();
            amounts.iter().for_each(|(name, amount)| set(limit, &[to, name], amount));
        }
    }
}

/// No precedence is one, too: the middle.
fn flow_schema(object: &mut Value) {
    if object.pointer("/spec/matchingPrecedence").is_some_and(is_zero) {
        object["spec"]["matchingPrecedence"] = Value::Null;
    }
    all(object, &[("spec.matchingPrecedence", "1000")]);
}

/// Of the devices that a claim asks for.
fn devices(spec: Option<&mut Value>) {
    let requests = spec.and_then(|spec| spec.pointer_mut("/devices/requests")).and_then(Value::as_array_mut);
    for request in requests.into_iter().flatten().filter_map(Value::as_object_mut) {
        for (name, asked) in request {
            match (name.as_str(), asked) {
                ("exactly", asked @ Value::Object(_)) => device(asked),
                ("firstAvailable", Value::Array(asked)) => asked.iter_mut().for_each(device),
                _ => {}
            }
        }
    }
}

fn device(asked: &mut Value) {
    all(asked, &[("allocationMode", r#""ExactCount""#), ("?tolerations.*.operator", r#""Equal""#)]);
    if text(asked, "/allocationMode") == "ExactCount" {
        all(asked, &[("count", "1")]);
    }
}

/// Has a new job find its pods by its own uid, unless it says how: what the server does before it looks at it.
pub fn select_by_uid(job: &mut Value) {
    if job.pointer("/spec/manualSelector") == Some(&Value::Bool(true)) {
        return;
    }
    let (uid, name) = (metadata::text(job, "uid").to_owned(), metadata::text(job, "name").to_owned());
    let own = [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ];
    for (label, value) in own {
        set(job, &["spec", "template", "metadata", "labels", label], &json!(value));
    }
    set(job, &["spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid"], &json!(uid));
    labels_of_template(job);
}

/// A job without labels has those of its pods.
pub fn labels_of_template(job: &mut Value) {
    let labels = job.pointer("/spec/template/metadata/labels").filter(|labels| !labels.is_null()).cloned();
    let bare = job.pointer("/metadata/labels").and_then(Value::as_object).is_none_or(Map::is_empty);
    if let Some(labels) = labels.filter(|_| bare) {
        job["metadata"]["labels"] = labels;
    }
}

/// Without metrics it goes by the processor, at 80 percent.
fn autoscaler(object: &mut Value) {
    const METRICS: &str =
        r#"[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":80}}}]"#;
    if object.pointer("/spec/metrics").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        object["spec"]["metrics"] = Value::Null;
    }
    all(object, &[("spec.minReplicas", "1"), ("spec.metrics", METRICS)]);
    if object.pointer("/spec/behavior").is_some_and(Value::is_object) {
        all(object, BEHAVIOR);
    }
}

fn network_policy(object: &mut Value) {
    all(
        object,
        &[("?spec.?ingress.*.?ports.*.protocol", r#""TCP""#), ("?spec.?egress.*.?ports.*.protocol", r#""TCP""#)],
    );
    let egress = object.pointer("/spec/egress").is_some();
    let types = if egress { r#"["Ingress","Egress"]"# } else { r#"["Ingress"]"# };
    all(object, &[("?spec.policyTypes", types)]);
}

fn binding(object: &mut Value) {
    const GROUP: &str = r#""rbac.authorization.k8s.io""#;
    if text(object, "/roleRef/apiGroup").is_empty() {
        set(object, &["roleRef"], &json!({}));
        object["roleRef"]["apiGroup"] = json!("rbac.authorization.k8s.io");
    }
    for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
        if matches!(text(subject, "/kind"), "User" | "Group") {
            all(subject, &[("apiGroup", GROUP)]);
        }
    }
}

fn crd(object: &mut Value) {
    all(object, CONVERSION);
    if object.pointer("/spec/conversion").is_none_or(Value::is_null) {
        all(object, CRD);
    }
    let kind = text(object, "/spec/names/kind").to_owned();
    if kind.is_empty() {
        return;
    }
    set(object, &["spec", "names", "singular"], &json!(kind.to_lowercase()));
    set(object, &["spec", "names", "listKind"], &json!(format!("{kind}List")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::krm::Schemas;

    fn filled(gvk: &Gvk, object: &mut Value) {
        Schemas::builtin().fill(gvk, object);
    }

    #[test]
    fn defaults_of_the_table_are_filled_in_where_something_is() {
        let mut object = json!({"spec": {"volumes": [
            {"name": "a", "rbd": {"image": "x", "pool": "mine"}}, {"name": "b", "azureDisk": {"diskName": "d", "cachingMode": null}}]}});
        filled(&Gvk::new("", "v1", "Pod"), &mut object);
        let volumes = &object["spec"]["volumes"];
        assert_eq!(
            volumes[0]["rbd"],
            json!({"image": "x", "pool": "mine", "keyring": "/etc/ceph/keyring", "user": "admin"})
        );
        assert_eq!(volumes[1]["azureDisk"]["cachingMode"], "ReadWrite");
        assert_eq!(volumes[1]["azureDisk"]["readOnly"], false);
    }

    #[test]
    fn every_default_is_json() {
        let tables = [
            pod::POD,
            pod::CONTAINER,
            pod::PROBE,
            DEPLOYMENT,
            STATEFUL_SET,
            DAEMON_SET,
            service::SERVICE,
            JOB,
            FAILURES,
            CRON_JOB,
            BEHAVIOR,
            PVC,
            VOLUME,
            STORAGE_CLASS,
            STORAGE_DRIVER,
            PRIORITY_LEVEL,
            CRD,
            CONVERSION,
            admission::WEBHOOKS,
            admission::MATCHES,
        ];
        for (path, default) in tables.into_iter().flatten() {
            assert!(serde_json::from_str::<Value>(default).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_small_deployment_becomes_a_full_one() {
        let mut object = json!({"spec": {
            "selector": {"matchLabels": {"app": "a"}},
            "template": {"spec": {"containers": [
                {"name": "a", "image": "reg:5000/a", "ports": [{"containerPort": 80}], "readinessProbe": {"httpGet": {"port": 80}}},
                {"name": "b", "image": "b:v1"}]}}
        }});
        filled(&Gvk::new("apps", "v1", "Deployment"), &mut object);
        let spec = &object["spec"];
        assert_eq!((&spec["replicas"], &spec["strategy"]["rollingUpdate"]["maxSurge"]), (&json!(1), &json!("25%")));
        let containers = &spec["template"]["spec"]["containers"];
        assert_eq!(containers[0]["imagePullPolicy"], "Always");
        assert_eq!(containers[0]["ports"][0]["protocol"], "TCP");
        assert_eq!(containers[0]["readinessProbe"]["httpGet"], json!({"port": 80, "path": "/", "scheme": "HTTP"}));
        assert_eq!(containers[1]["imagePullPolicy"], "IfNotPresent");
        assert_eq!(spec["template"]["spec"]["volumes"], Value::Null);
        let before = object.clone();
        filled(&Gvk::new("apps", "v1", "Deployment"), &mut object);
        assert_eq!(object, before, "defaults are filled in once");
    }

    #[test]
    fn secrets_keep_their_texts_as_data() {
        let mut object = json!({"data": {"a": "eA=="}, "stringData": {"b": "hello"}});
        filled(&Gvk::new("", "v1", "Secret"), &mut object);
        assert_eq!(object, json!({"data": {"a": "eA==", "b": "aGVsbG8="}, "type": "Opaque"}));
    }

    #[test]
    fn amounts_of_resources_are_rounded_up() {
        let container = |cpu: &str, memory: &str| {
            let mut object = json!({"spec": {"template": {"spec": {"containers": [{"resources": {"limits": {"cpu": cpu, "memory": memory}}}]}}}});
            filled(&Gvk::new("apps", "v1", "Deployment"), &mut object);
            object.pointer("/spec/template/spec/containers/0/resources/limits").cloned().unwrap()
        };
        assert_eq!(container("1n", "1.0001Gi"), json!({"cpu": "1m", "memory": "1073849198183m"}));
        assert_eq!(container("1500u", "1Gi"), json!({"cpu": "2m", "memory": "1Gi"}));
        // Other quantities, and those of a kind without such defaults, are as exact as they are sent.
        let mut pod = json!({"spec": {"volumes": [{"emptyDir": {"sizeLimit": "1n"}}]}});
        filled(&Gvk::new("", "v1", "Pod"), &mut pod);
        assert_eq!(pod.pointer("/spec/volumes/0/emptyDir/sizeLimit"), Some(&json!("1n")));
        let mut class = json!({"overhead": {"podFixed": {"cpu": "1n"}}});
        filled(&Gvk::new("node.k8s.io", "v1", "RuntimeClass"), &mut class);
        assert_eq!(class, json!({"overhead": {"podFixed": {"cpu": "1n"}}}));
    }
}
