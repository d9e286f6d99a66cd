//! The defaults that the API server fills into built-in kinds: those that its OpenAPI declares, which are in the table
//! of [`schema`](crate::domain::krm::schema), and those that it fills in by code, which are here.
//!
//! Source: the defaulting functions of Kubernetes v1.36 (`pkg/apis/*/v1/defaults.go`), as documented in the API
//! reference.

mod structural;

use serde_json::{Map, Value, json};

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

const POD: &[Row<'_>] = &[
    ("restartPolicy", r#""Always""#),
    ("dnsPolicy", r#""ClusterFirst""#),
    ("schedulerName", r#""default-scheduler""#),
    ("securityContext", "{}"),
    ("terminationGracePeriodSeconds", "30"),
    ("?volumes.*.?secret.defaultMode", "420"),
    ("?volumes.*.?configMap.defaultMode", "420"),
    ("?volumes.*.?projected.defaultMode", "420"),
    ("?volumes.*.?downwardAPI.defaultMode", "420"),
    ("?volumes.*.?hostPath.type", r#""""#),
];

const CONTAINER: &[Row<'_>] = &[
    ("terminationMessagePath", r#""/dev/termination-log""#),
    ("terminationMessagePolicy", r#""File""#),
    ("resources", "{}"),
    ("?env.*.?valueFrom.?fieldRef.apiVersion", r#""v1""#),
];

const PROBE: &[Row<'_>] = &[
    ("timeoutSeconds", "1"),
    ("periodSeconds", "10"),
    ("successThreshold", "1"),
    ("failureThreshold", "3"),
    ("?httpGet.path", r#""/""#),
    ("?httpGet.scheme", r#""HTTP""#),
];

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

const SERVICE: &[Row<'_>] = &[
    ("spec.type", r#""ClusterIP""#),
    ("spec.sessionAffinity", r#""None""#),
    ("?status.?loadBalancer.?ingress.*.ipMode", r#""VIP""#),
];

const JOB: &[Row<'_>] = &[
    ("completions", "1"),
    ("parallelism", "1"),
    ("backoffLimit", "6"),
    ("completionMode", r#""NonIndexed""#),
    ("suspend", "false"),
    ("podReplacementPolicy", r#""TerminatingOrFailed""#),
    ("manualSelector", "false"),
];

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
];
const STORAGE_CLASS: &[Row<'_>] = &[("reclaimPolicy", r#""Delete""#), ("volumeBindingMode", r#""Immediate""#)];
const CRD: &[Row<'_>] = &[("spec.conversion.strategy", r#""None""#)];

/// Fills in what is missing, as part of reading an object: whoever writes the object comes to own it. `root` is where
/// the schema of the kind begins.
pub fn fill(gvk: &Gvk, object: &mut Value, root: Node<'_>) {
    fill_declared(object, root);
    if gvk.kind != "RuntimeClass" && gvk.group != "resource.k8s.io" {
        round_up(object, root);
    }
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => pod(object),
        ("", "Service") => service(object),
        ("", "Namespace") => namespace(object),
        ("", "Secret") => secret(object),
        ("", "PersistentVolumeClaim") => all(object, PVC),
        ("", "PersistentVolume") => all(object, VOLUME),
        ("", "Endpoints") => all(object, &[("?subsets.*.?ports.*.protocol", r#""TCP""#)]),
        ("", "Node") => node(object),
        ("storage.k8s.io", "StorageClass") => all(object, STORAGE_CLASS),
        ("discovery.k8s.io", "EndpointSlice") => {
            all(object, &[("?ports.*.name", r#""""#), ("?ports.*.protocol", r#""TCP""#)]);
        }
        ("apps", "Deployment") => deployment(object),
        ("", "ReplicationController") => controller(object),
        ("apps", "ReplicaSet") => replicated(object, &[("spec.replicas", "1")]),
        ("apps", "StatefulSet") => stateful_set(object),
        ("apps", "DaemonSet") => daemon_set(object),
        ("batch", "Job") => job(object),
        ("batch", "CronJob") => {
            all(object, CRON_JOB);
            template(object.pointer_mut("/spec/jobTemplate/spec/template"));
        }
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(object),
        ("networking.k8s.io", "NetworkPolicy") => network_policy(object),
        ("scheduling.k8s.io", "PriorityClass") => all(object, &[("preemptionPolicy", r#""PreemptLowerPriority""#)]),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => binding(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => crd(object),
        _ => {}
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
        // The defaults are constants of this file; one that did not parse would be no default, and a test would see it.
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

fn template(template: Option<&mut Value>) {
    let Some(spec) = template.and_then(|template| template.get_mut("spec")) else { return };
    pod_spec(spec);
}

fn pod(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    pod_spec(spec);
    all(spec, &[("enableServiceLinks", "true")]);
    containers(spec).for_each(requests_of_limits);
}

fn containers(spec: &mut Value) -> impl Iterator<Item = &mut Value> {
    let lists = spec.as_object_mut().into_iter().flatten();
    let lists = lists.filter(|(name, _)| matches!(name.as_str(), "containers" | "initContainers"));
    lists.filter_map(|(_, list)| list.as_array_mut()).flatten()
}

fn pod_spec(spec: &mut Value) {
    all(spec, POD);
    // The old name of the field follows the new one.
    if let Some(account) = spec.get("serviceAccountName").filter(|name| name.as_str().is_some_and(|n| !n.is_empty())) {
        spec["serviceAccount"] = account.clone();
    } else if let Some(account) = spec.get("serviceAccount").cloned() {
        spec["serviceAccountName"] = account;
    }
    for container in containers(spec) {
        all(container, CONTAINER);
        pull_policy(container);
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            if let Some(probe) = container.get_mut(probe) {
                all(probe, PROBE);
            }
        }
    }
}

/// `Always` for the tag `latest` and for none, unless there is a digest. What is no name of an image has no tag to go
/// by.
fn pull_policy(container: &mut Value) {
    let image = text(container, "/image");
    let last = image.rsplit('/').next().unwrap_or_default();
    let latest = !image.contains('@') && (!last.contains(':') || last.ends_with(":latest")) && is_image(image);
    let policy = if latest { r#""Always""# } else { r#""IfNotPresent""# };
    all(container, &[("imagePullPolicy", policy)]);
}

/// Whether a text may name an image: no spaces, and lower case but for the registry and the tag.
fn is_image(text: &str) -> bool {
    let path = text.split_once('/').filter(|(host, _)| host.contains(['.', ':', '[']) || *host == "localhost");
    let path = path.map_or(text, |(_, path)| path);
    let name = path.rsplit_once(':').map_or(path, |(name, _)| name);
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/".contains(&byte);
    !name.is_empty() && name.bytes().all(plain)
}

/// A limit without a request is the request, too.
fn requests_of_limits(container: &mut Value) {
    let Some(Value::Object(limits)) = container.pointer("/resources/limits").cloned() else { return };
    for (name, limit) in limits {
        let Some(resources) = container.get_mut("resources") else { return };
        set(resources, &["requests", &name], &limit);
    }
}

fn service(object: &mut Value) {
    all(object, SERVICE);
    if text(object, "/spec/type") != "ExternalName" {
        all(object, &[("spec.internalTrafficPolicy", r#""Cluster""#)]);
    }
    if text(object, "/spec/sessionAffinity") == "ClientIP" {
        all(object, &[("spec.sessionAffinityConfig.clientIP.timeoutSeconds", "10800")]);
    } else if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("sessionAffinityConfig");
    }
    if matches!(text(object, "/spec/type"), "NodePort" | "LoadBalancer") {
        all(object, &[("spec.externalTrafficPolicy", r#""Cluster""#)]);
    }
    if text(object, "/spec/type") == "LoadBalancer" {
        all(object, &[("spec.allocateLoadBalancerNodePorts", "true")]);
    }
    let ports = object.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in ports {
        let Some(number) = port.get("port").cloned() else { continue };
        set(port, &["targetPort"], &number);
    }
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
    all(spec, JOB);
    if queue && let Some(fields) = spec.as_object_mut() {
        fields.remove("completions");
    }
    template(spec.get_mut("template"));
    labels_of_template(object);
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
        assert_eq!(volumes[1]["azureDisk"]["readOnly"], Value::Null);
    }

    #[test]
    fn every_default_is_json() {
        let tables = [POD, CONTAINER, PROBE, DEPLOYMENT, STATEFUL_SET, DAEMON_SET, SERVICE, JOB, CRON_JOB, PVC, CRD];
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
