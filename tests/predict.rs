//! What is foretold of an apply is what the server then does: random configurations, applied one after the other, on
//! embedded and on real API servers.
//!
//! `LOGGIA_PAIRS=10000 cargo test --test predict` runs more of them; `LOGGIA_SEED=N` one of them alone, and says all.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise and says what it did not run; it uses part of what tests share"
)]

#[path = "support/dice.rs"]
mod dice;
mod support;

use dice::Dice;
use loggia::apiserver::{ApiServer, Options};
use loggia::cluster::{Apply, Cluster, ClusterError};
use loggia::config::Config;
use loggia::domain::id::{NamespacedName, TargetName, UnitId};
use loggia::domain::intent::target::{Target, TargetSpec};
use loggia::domain::inventory::Inventory;
use loggia::domain::krm::document::{Limits, read};
use loggia::domain::krm::schema::Grade;
use loggia::domain::krm::{Change, Conflict, Gvk, Object, Predicted, Schemas, changes, predict, render};
use loggia::domain::plan::{DeclaredObject, Guard, Observed, PlanPolicy, declare, plan_unit};
use loggia::domain::time::Timestamp;
use loggia::engine::planning::plan_target;
use serde_json::{Map, Value, json};
use support::kube::{Control, assets};

/// What configurations need beyond numbers.
impl Dice {
    fn chance(&mut self) -> bool {
        self.below(2) == 0
    }

    /// Sets a field to one of the values, or leaves it out.
    fn maybe(&mut self, object: &mut Value, pointer: &str, values: &[Value]) {
        if self.chance() {
            let value = self.pick(values).clone();
            put(object, pointer, value);
        }
    }
}

fn put(object: &mut Value, pointer: &str, value: Value) {
    let mut here = object;
    for step in pointer.trim_start_matches('/').split('/') {
        if here.is_null() {
            *here = Value::Object(Map::new());
        }
        here = match step.parse::<usize>() {
            Ok(index) if here.is_array() => &mut here[index],
            _ => &mut here[step.replace("~1", "/").as_str()],
        };
    }
    *here = value;
}

fn base(api: &str, kind: &str) -> Value {
    json!({"apiVersion": api, "kind": kind, "metadata": {"name": "x", "namespace": "default"}})
}

fn metadata(dice: &mut Dice, object: &mut Value) {
    dice.maybe(object, "/metadata/labels/a", &[json!("1"), json!("2")]);
    dice.maybe(object, "/metadata/labels/b", &[json!("3"), json!("4")]);
    dice.maybe(object, "/metadata/annotations/note", &[json!("n"), json!("m"), json!("")]);
}

fn container(dice: &mut Dice, name: &str) -> Value {
    let mut c = json!({"name": name, "image": "reg/a:1"});
    dice.maybe(&mut c, "/image", &[json!("reg/a"), json!("reg/a:2"), json!("reg/a:latest")]);
    dice.maybe(&mut c, "/imagePullPolicy", &[json!("Always"), json!("IfNotPresent")]);
    dice.maybe(&mut c, "/command", &[json!(["a"]), json!(["a", "b"]), json!([])]);
    dice.maybe(&mut c, "/resources/limits/cpu", &[json!("1000m"), json!("1"), json!("2")]);
    dice.maybe(
        &mut c,
        "/resources/requests/memory",
        &[json!("1Gi"), json!("1024Mi"), json!("64Mi"), json!("1.1Gi"), json!("1.0001Gi"), json!("1n")],
    );
    dice.maybe(
        &mut c,
        "/lifecycle/preStop/httpGet",
        &[json!({"port": 80, "path": ""}), json!({"port": 80}), json!({"port": 80, "path": "/stop", "scheme": ""})],
    );
    dice.maybe(&mut c, "/terminationMessagePath", &[json!("/dev/x")]);
    dice.maybe(&mut c, "/tty", &[json!(true), json!(false)]);
    dice.maybe(&mut c, "/workingDir", &[json!("/w"), json!("")]);
    if dice.chance() {
        let mut ports = vec![json!({"containerPort": 80})];
        dice.maybe(&mut ports[0], "/name", &[json!("http"), json!("web")]);
        dice.maybe(&mut ports[0], "/protocol", &[json!("TCP"), json!("UDP")]);
        if dice.chance() {
            ports.push(json!({"containerPort": 53, "protocol": "UDP"}));
        }
        c["ports"] = json!(ports);
    }
    if dice.chance() {
        let mut env = Vec::new();
        for name in ["A", "B", "C"] {
            if dice.chance() {
                env.push(match dice.below(6) {
                    4 => json!({"name": name, "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}),
                    5 => {
                        json!({"name": name, "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Ki"}}})
                    }
                    3 => json!({"name": name, "value": ""}),
                    0 => json!({"name": name, "value": "1"}),
                    1 => json!({"name": name, "value": "2"}),
                    _ => json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
                });
            }
        }
        if dice.chance() {
            env.reverse();
        }
        c["env"] = json!(env);
    }
    for probe in ["readinessProbe", "livenessProbe"] {
        if dice.chance() {
            c[probe] = json!({"httpGet": {"port": 80}});
            dice.maybe(&mut c, &format!("/{probe}/httpGet/path"), &[json!("/"), json!("/ready")]);
            dice.maybe(&mut c, &format!("/{probe}/periodSeconds"), &[json!(10), json!(5), json!(0)]);
            dice.maybe(&mut c, &format!("/{probe}/initialDelaySeconds"), &[json!(3), json!(0)]);
            dice.maybe(&mut c, &format!("/{probe}/failureThreshold"), &[json!(3), json!(1)]);
        }
    }
    c
}

fn pod_spec(dice: &mut Dice) -> Value {
    let mut containers = vec![container(dice, "main")];
    if dice.chance() {
        containers.push(container(dice, "side"));
        if dice.chance() {
            containers.reverse();
        }
    }
    let mut spec = json!({"containers": containers});
    dice.maybe(&mut spec, "/terminationGracePeriodSeconds", &[json!(30), json!(5)]);
    dice.maybe(&mut spec, "/hostNetwork", &[json!(true), json!(false)]);
    dice.maybe(&mut spec, "/schedulerName", &[json!(""), json!("other")]);
    dice.maybe(&mut spec, "/dnsPolicy", &[json!("ClusterFirst"), json!("Default")]);
    dice.maybe(&mut spec, "/serviceAccountName", &[json!("one"), json!("two")]);
    dice.maybe(&mut spec, "/securityContext/runAsNonRoot", &[json!(true), json!(false)]);
    dice.maybe(&mut spec, "/nodeSelector/zone", &[json!("a"), json!("b")]);
    dice.maybe(
        &mut spec,
        "/imagePullSecrets",
        &[json!([{"name": ""}]), json!([{}]), json!([{"name": "a"}]), json!([{"name": "a"}, {"name": ""}])],
    );
    dice.maybe(
        &mut spec,
        "/tolerations",
        &[json!([{"key": "k", "operator": "Exists"}]), json!([{"key": "l", "value": "v"}])],
    );
    if dice.chance() {
        let mut volumes = Vec::new();
        for (name, source) in [
            ("v", json!({"configMap": {"name": "c"}})),
            ("w", json!({"emptyDir": {}})),
            ("s", json!({"secret": {"secretName": "s", "defaultMode": 256}})),
            ("n", json!({})),
            ("d", json!({"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]}})),
            (
                "p",
                json!({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}},
                    {"downwardAPI": {"items": [{"path": "b", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu"}}]}}]}}),
            ),
        ] {
            if dice.chance() {
                let mut volume = source;
                volume["name"] = json!(name);
                volumes.push(volume);
            }
        }
        spec["volumes"] = json!(volumes);
    }
    spec
}

fn workload(dice: &mut Dice, kind: &str) -> Value {
    let mut object = base("apps/v1", kind);
    object["spec"] = json!({
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": pod_spec(dice)}
    });
    dice.maybe(&mut object, "/spec/template/metadata/annotations/seen", &[json!("1"), json!("2")]);
    if kind != "ReplicaSet" {
        dice.maybe(&mut object, "/spec/revisionHistoryLimit", &[json!(10), json!(2)]);
    }
    if kind != "DaemonSet" {
        dice.maybe(&mut object, "/spec/replicas", &[json!(1), json!(3), json!(0)]);
    }
    match kind {
        "Deployment" => {
            dice.maybe(&mut object, "/spec/paused", &[json!(true), json!(false)]);
            dice.maybe(&mut object, "/spec/progressDeadlineSeconds", &[json!(600), json!(60)]);
            dice.maybe(
                &mut object,
                "/spec/strategy",
                &[
                    json!({"type": "RollingUpdate"}),
                    json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}),
                    json!({"type": "Recreate"}),
                    json!({"rollingUpdate": {"maxUnavailable": "10%"}}),
                ],
            );
        }
        "StatefulSet" => {
            object["spec"]["serviceName"] = json!("x");
            dice.maybe(&mut object, "/spec/minReadySeconds", &[json!(0), json!(5)]);
            dice.maybe(
                &mut object,
                "/spec/updateStrategy",
                &[json!({"type": "OnDelete"}), json!({"rollingUpdate": {"partition": 1}})],
            );
        }
        "ReplicaSet" => {}
        _ => dice.maybe(
            &mut object,
            "/spec/updateStrategy",
            &[json!({"type": "OnDelete"}), json!({"rollingUpdate": {"maxUnavailable": 2}})],
        ),
    }
    object
}

/// Whether the type of a service opens its ports on every node.
fn wants_ports(service: &Value) -> bool {
    matches!(service["spec"]["type"].as_str(), Some("NodePort" | "LoadBalancer"))
}

fn service(dice: &mut Dice) -> Value {
    let mut object = base("v1", "Service");
    let mut ports = vec![json!({"name": "http", "port": 80})];
    dice.maybe(&mut ports[0], "/targetPort", &[json!(80), json!(8080), json!("web")]);
    dice.maybe(&mut ports[0], "/protocol", &[json!("TCP")]);
    if dice.chance() {
        ports.push(json!({"name": "dns", "port": 53, "protocol": "UDP"}));
    }
    object["spec"] = json!({"ports": ports});
    dice.maybe(&mut object, "/spec/selector", &[json!({"app": "x"}), json!({"app": "y", "b": "c"})]);
    dice.maybe(&mut object, "/spec/sessionAffinity", &[json!("None")]);
    dice.maybe(&mut object, "/spec/type", &[json!("ClusterIP"), json!("NodePort"), json!("LoadBalancer"), json!("")]);
    dice.maybe(&mut object, "/spec/clusterIP", &[json!("")]);
    if wants_ports(&object) {
        dice.maybe(&mut object, "/spec/ports/0/nodePort", &[json!(0)]);
    }
    dice.maybe(&mut object, "/spec/publishNotReadyAddresses", &[json!(true), json!(false)]);
    object
}

fn ingress(dice: &mut Dice) -> Value {
    let mut object = base("networking.k8s.io/v1", "Ingress");
    let rule = |host: &str| {
        json!({"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix",
            "backend": {"service": {"name": "x", "port": {"number": 80}}}}]}})
    };
    object["spec"] = json!({"rules": [rule("a.example")]});
    dice.maybe(
        &mut object,
        "/spec/rules",
        &[json!([rule("a.example"), rule("b.example")]), json!([rule("c.example")])],
    );
    dice.maybe(&mut object, "/spec/ingressClassName", &[json!("one"), json!("two")]);
    dice.maybe(&mut object, "/spec/tls", &[json!([{"hosts": ["a.example"], "secretName": "t"}])]);
    object
}

fn network_policy(dice: &mut Dice) -> Value {
    let mut object = base("networking.k8s.io/v1", "NetworkPolicy");
    object["spec"] = json!({"podSelector": {}});
    dice.maybe(&mut object, "/spec/podSelector/matchLabels/app", &[json!("x"), json!("y")]);
    dice.maybe(
        &mut object,
        "/spec/ingress",
        &[
            json!([{"ports": [{"port": 80}]}]),
            json!([{"from": [{"podSelector": {}}], "ports": [{"port": "http", "protocol": "UDP"}]}]),
            json!([]),
        ],
    );
    dice.maybe(&mut object, "/spec/egress", &[json!([{}]), json!([{"ports": [{"port": 53}]}])]);
    dice.maybe(&mut object, "/spec/policyTypes", &[json!(["Ingress"]), json!(["Ingress", "Egress"])]);
    object
}

fn thing(dice: &mut Dice) -> Value {
    let mut object = base("example.com/v1", "Thing");
    object["spec"] = json!({});
    dice.maybe(&mut object, "/spec/tags", &[json!(["a"]), json!(["a", "b"]), json!(["b", "c", "a"])]);
    dice.maybe(
        &mut object,
        "/spec/ports",
        &[json!([{"port": 80}]), json!([{"port": 80, "protocol": "UDP"}, {"port": 80, "weight": 2}]), json!([])],
    );
    dice.maybe(&mut object, "/spec/free", &[json!({"a": [1, 2], "b": null}), json!({"c": {"d": 1}})]);
    dice.maybe(&mut object, "/spec/groups/one", &[json!({"size": 1}), json!({"size": 2, "labels": {"k": "v"}})]);
    dice.maybe(&mut object, "/spec/groups/two", &[json!({"labels": {"k": "w"}})]);
    dice.maybe(&mut object, "/spec/selector", &[json!({"a": "b"}), json!({"c": "d"})]);
    dice.maybe(&mut object, "/spec/limit", &[json!(1), json!("1"), json!("10%")]);
    object
}

/// Objects of which little may change once they are there.
fn single(dice: &mut Dice, kind: &str) -> Value {
    let steady = json!({"containers": [{"name": "main", "image": "reg/a:1"}]});
    match kind {
        "Pod" => {
            let mut object = base("v1", kind);
            object["spec"] = steady;
            dice.maybe(&mut object, "/spec/containers/0/image", &[json!("reg/a:2")]);
            dice.maybe(&mut object, "/spec/activeDeadlineSeconds", &[json!(100), json!(50)]);
            if dice.below(4) == 0 {
                object["spec"]["containers"][0]["command"] = json!(["other"]);
            }
            object
        }
        "Job" => {
            let mut object = base("batch/v1", kind);
            object["spec"] = json!({"template": {"spec": steady}});
            object["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
            dice.maybe(&mut object, "/spec/suspend", &[json!(true), json!(false)]);
            dice.maybe(&mut object, "/spec/parallelism", &[json!(1), json!(3), json!(0)]);
            dice.maybe(&mut object, "/spec/ttlSecondsAfterFinished", &[json!(100)]);
            dice.maybe(&mut object, "/spec/template/metadata/labels/kind", &[json!("batch")]);
            if dice.below(4) == 0 {
                object["spec"]["completions"] = json!(2);
            }
            object
        }
        _ => {
            let mut object = base("v1", kind);
            object["spec"] = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
            dice.maybe(&mut object, "/spec/storageClassName", &[json!("fast"), json!("")]);
            dice.maybe(&mut object, "/spec/resources/requests/storage", &[json!("2Gi"), json!("1024Mi")]);
            object
        }
    }
}

fn small(dice: &mut Dice, which: usize) -> Value {
    match which {
        0 => {
            let mut object = base("v1", "ConfigMap");
            for key in ["a", "b", "c"] {
                dice.maybe(&mut object, &format!("/data/{key}"), &[json!("1"), json!("2\n"), json!("")]);
            }
            object
        }
        1 => {
            let mut object = base("v1", "Secret");
            dice.maybe(&mut object, "/stringData/a", &[json!("1"), json!("2")]);
            dice.maybe(&mut object, "/data/b", &[json!("MQ=="), json!("Mg==")]);
            object
        }
        2 => {
            let mut object = base("batch/v1", "CronJob");
            object["spec"] =
                json!({"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": pod_spec(dice)}}}});
            object["spec"]["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
            dice.maybe(&mut object, "/spec/schedule", &[json!("0 * * * *")]);
            dice.maybe(&mut object, "/spec/suspend", &[json!(true), json!(false)]);
            dice.maybe(&mut object, "/spec/concurrencyPolicy", &[json!("Forbid"), json!("Allow")]);
            dice.maybe(&mut object, "/spec/jobTemplate/spec/backoffLimit", &[json!(6), json!(1)]);
            object
        }
        3 => {
            let mut object = base("policy/v1", "PodDisruptionBudget");
            object["spec"] = json!({"selector": {"matchLabels": {"app": "x"}}});
            let (field, value) =
                if dice.chance() { ("minAvailable", json!(1)) } else { ("maxUnavailable", json!("10%")) };
            object["spec"][field] = value;
            object
        }
        4 => {
            let mut object = base("autoscaling/v2", "HorizontalPodAutoscaler");
            object["spec"] = json!({"maxReplicas": 5, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}});
            dice.maybe(&mut object, "/spec/minReplicas", &[json!(1), json!(2)]);
            dice.maybe(&mut object, "/spec/maxReplicas", &[json!(7)]);
            dice.maybe(
                &mut object,
                "/spec/metrics",
                &[json!([{"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 50}}}])],
            );
            object
        }
        5 => {
            let mut object = base("rbac.authorization.k8s.io/v1", "Role");
            dice.maybe(
                &mut object,
                "/rules",
                &[json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]), json!([])],
            );
            object
        }
        6 => {
            let mut object = base("rbac.authorization.k8s.io/v1", "RoleBinding");
            object["roleRef"] = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "x"});
            dice.maybe(
                &mut object,
                "/subjects",
                &[
                    json!([{"kind": "User", "name": "u"}]),
                    json!([{"kind": "ServiceAccount", "name": "s", "namespace": "default"}]),
                ],
            );
            object
        }
        _ => {
            let mut object = base("v1", "ServiceAccount");
            dice.maybe(&mut object, "/automountServiceAccountToken", &[json!(true), json!(false)]);
            dice.maybe(
                &mut object,
                "/imagePullSecrets",
                &[json!([{"name": "a"}]), json!([{"name": "b"}, {"name": "a"}])],
            );
            object
        }
    }
}

fn configuration(dice: &mut Dice, which: usize) -> Value {
    let mut object = match which {
        0 | 1 => workload(dice, "Deployment"),
        2 => workload(dice, "StatefulSet"),
        3 => workload(dice, "DaemonSet"),
        4 => service(dice),
        5 => ingress(dice),
        6 => network_policy(dice),
        7 => thing(dice),
        8 => single(dice, "Pod"),
        9 => single(dice, "Job"),
        10 => single(dice, "PersistentVolumeClaim"),
        11 => workload(dice, "ReplicaSet"),
        other => small(dice, other - 12),
    };
    metadata(dice, &mut object);
    object
}

/// What another manager does in between, by merge patch: fields that we may own or not.
fn interference(dice: &mut Dice, kind: &str) -> Option<Value> {
    if dice.below(3) > 0 {
        return None;
    }
    let mut patch = json!({});
    dice.maybe(&mut patch, "/metadata/labels/a", &[json!("9"), Value::Null]);
    dice.maybe(&mut patch, "/metadata/annotations/theirs", &[json!("t")]);
    if matches!(kind, "Deployment" | "StatefulSet") {
        dice.maybe(&mut patch, "/spec/replicas", &[json!(2)]);
    }
    if kind == "ConfigMap" {
        dice.maybe(&mut patch, "/data/b", &[json!("theirs"), Value::Null]);
    }
    Some(patch)
}

/// Ways to break a rule of what makes pods.
fn pod_spoilers() -> Vec<(&'static str, Value)> {
    vec![
        ("/spec/template/spec/containers/0/image", json!(" reg/a")),
        ("/spec/template/spec/containers/0/imagePullPolicy", json!("Sometimes")),
        ("/spec/template/spec/containers/0/ports", json!([{"containerPort": 70000}])),
        ("/spec/template/spec/containers/0/ports", json!([{"containerPort": 1, "name": "Bad_Name"}])),
        ("/spec/template/spec/containers/0/volumeMounts", json!([{"name": "nowhere", "mountPath": "/x"}])),
        ("/spec/template/spec/containers/0/resources", json!({"requests": {"cpu": "3"}, "limits": {"cpu": "1"}})),
        ("/spec/template/spec/containers/0/readinessProbe", json!({"httpGet": {"port": 80}, "periodSeconds": -1})),
        ("/spec/template/spec/containers/0/livenessProbe", json!({})),
        ("/spec/template/spec/containers/0/env", json!([{"name": "A=B", "value": "1"}])),
        ("/spec/template/spec/containers/0/env", json!([{"value": "1"}])),
        ("/spec/template/spec/containers/0/env", json!([{"name": "", "value": "1"}])),
        ("/spec/template/spec/containers/0/ports", json!([{"protocol": "UDP"}])),
        ("/spec/template/spec/volumes", json!([{"emptyDir": {}}])),
        ("/spec/template/spec/containers/0/name", json!("Main")),
        ("/spec/template/spec/restartPolicy", json!("Never")),
        ("/spec/template/spec/dnsPolicy", json!("Any")),
        ("/spec/template/metadata/labels", json!({"app": "other"})),
        ("/spec/selector/matchLabels", json!({"app": "other"})),
        ("/spec/selector", json!({})),
        ("/spec/minReadySeconds", json!(-1)),
        ("/spec/revisionHistoryLimit", json!(-2)),
        ("/metadata/labels/c", json!("not a value")),
        ("/metadata/annotations/bad key", json!("x")),
    ]
}

/// Ways to break a rule of a kind: a field, and a value that the server refuses there, for some at least of the
/// configurations of this kind.
fn spoilers(kind: &str) -> Vec<(&'static str, Value)> {
    let pods = pod_spoilers();
    let replicas = ("/spec/replicas", json!(-1));
    match kind {
        "Deployment" => pods
            .into_iter()
            .chain([replicas, ("/spec/strategy", json!({"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}))])
            .chain([("/spec/strategy", json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}))])
            .collect(),
        "StatefulSet" => pods.into_iter().chain([replicas, ("/spec/serviceName", json!("other"))]).collect(),
        "DaemonSet" => pods.into_iter().collect(),
        "ReplicaSet" => pods.into_iter().filter(|(field, _)| *field != "/spec/revisionHistoryLimit").collect(),
        "Pod" => vec![
            ("/spec/containers/0/image", json!("")),
            ("/spec/nodeSelector", json!({"a": "b"})),
            ("/metadata/labels/c", json!("not a value")),
        ],
        "Job" => vec![
            ("/spec/backoffLimit", json!(-1)),
            ("/spec/template/spec/restartPolicy", json!("Always")),
            ("/spec/completionMode", json!("Indexed")),
        ],
        "PersistentVolumeClaim" => vec![
            ("/spec/accessModes", json!(["ReadWriteMany"])),
            ("/spec/accessModes", json!(["Any"])),
            ("/spec/volumeMode", json!("Block")),
        ],
        "Service" => vec![
            ("/spec/ports", json!([{"name": "a", "port": 0}])),
            ("/spec/ports", json!([{"port": 80}, {"port": 81}])),
            ("/spec/ports", json!([])),
            ("/spec/type", json!("Any")),
            ("/spec/clusterIP", json!("10.0.0.300")),
            ("/spec/sessionAffinity", json!("Any")),
            ("/spec/type", json!("ExternalName")),
        ],
        "Ingress" => vec![
            ("/spec/rules/0/host", json!("Big.Example")),
            ("/spec/rules/0/http/paths/0/pathType", json!("Any")),
            ("/spec/rules/0/http/paths/0/path", json!("x")),
            ("/spec/rules/0/http/paths/0/backend", json!({})),
            ("/spec/rules/0/http/paths/0/backend/service/port", json!({"number": 0})),
        ],
        "NetworkPolicy" => vec![
            ("/spec/policyTypes", json!(["Any"])),
            ("/spec/ingress", json!([{"ports": [{"port": 0}]}])),
            ("/spec/podSelector/matchLabels", json!({"a": "not a value"})),
        ],
        "ConfigMap" => vec![("/data/bad key", json!("x")), ("/data", json!({"..": "x"}))],
        "Secret" => vec![("/type", json!("other")), ("/data", json!({"bad key": "MQ=="}))],
        "CronJob" => vec![
            ("/spec/schedule", json!("every day")),
            ("/spec/concurrencyPolicy", json!("Any")),
            ("/spec/jobTemplate/spec/template/spec/restartPolicy", json!("Always")),
            ("/spec/jobTemplate/spec/backoffLimit", json!(-1)),
            ("/spec/successfulJobsHistoryLimit", json!(-1)),
        ],
        "PodDisruptionBudget" => vec![
            ("/spec/minAvailable", json!("110%")),
            ("/spec/maxUnavailable", json!(-1)),
            ("/spec/minAvailable", json!("many")),
        ],
        "HorizontalPodAutoscaler" => vec![
            ("/spec/maxReplicas", json!(0)),
            ("/spec/minReplicas", json!(9)),
            ("/spec/minReplicas", json!(-1)),
            ("/spec/scaleTargetRef", json!({"kind": "", "name": "x"})),
        ],
        "Role" => vec![("/rules", json!([{"apiGroups": [""], "resources": ["pods"]}]))],
        "RoleBinding" => vec![
            ("/roleRef/name", json!("other")),
            ("/subjects", json!([{"kind": "Nobody", "name": "u"}])),
            ("/subjects", json!([{"kind": "ServiceAccount", "name": "s"}])),
        ],
        _ => Vec::new(),
    }
}

/// What the plan of an object says that the server would refuse.
fn refusals(live: Option<&Value>, config: &Object, schemas: &Schemas) -> Vec<String> {
    let sync = NamespacedName { namespace: "default".to_owned(), name: "test".to_owned() };
    let unit = UnitId { sync, target: TargetName::new("here").unwrap() };
    let declared = declare(unit, 0, &[DeclaredObject { object: config.clone(), origin: "test.yaml:1".to_owned() }]);
    let live = live.map(|live| Object::new(live.clone()).unwrap());
    let observed = Observed::whole(live, Inventory::default(), Timestamp::UNIX_EPOCH);
    let plan = plan_unit(&declared, &observed, schemas, &PlanPolicy { take_back: true, ..PlanPolicy::default() });
    let refused = plan.guards.iter().filter_map(|guard| match guard {
        Guard::Refused { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    refused.collect()
}

/// What of a reason the server says as it was foretold: of what may not change it shows the structure as it is inside.
fn shown_otherwise(reason: &str) -> Vec<&str> {
    if let Some(at) = reason.find("pod updates may not change fields") {
        return vec![&reason[..at]];
    }
    match (reason.split_once(": Invalid value: {"), reason.strip_suffix(": field is immutable")) {
        (Some((field, _)), Some(_)) => vec![field, "field is immutable"],
        _ => vec![reason],
    }
}

/// What was foretold to be refused beside what the server answers.
fn misjudged(foretold: &[String], answer: Result<(), &ClusterError>) -> Option<String> {
    let told = match answer {
        Ok(()) => String::new(),
        Err(error) => error.to_string(),
    };
    let is_told = |reason: &String| shown_otherwise(reason).iter().all(|part| told.contains(part));
    let is_right = foretold.is_empty() == answer.is_ok() && foretold.iter().all(is_told);
    (!is_right).then(|| format!("foretold {foretold:#?}\nthe server says {told}"))
}

/// One pair of configurations on one server; a line for each surprise.
async fn surprises(cluster: &Cluster, schemas: &Schemas, seed: u64) -> Vec<String> {
    let mut dice = Dice::new(seed);
    let which = dice.below(20);
    let (first, second) = (configuration(&mut dice, which), configuration(&mut dice, which));
    let name = format!("x{seed}");
    let named = |mut object: Value| {
        object["metadata"]["name"] = json!(name);
        Object::new(object).unwrap()
    };
    let (first, mut second) = (named(first), named(second));
    let kind = first.gvk();
    let spoilers = spoilers(first.kind());
    if !spoilers.is_empty() && dice.below(3) == 0 {
        let (field, value) = dice.pick(&spoilers).clone();
        put(second.value_mut(), field, value);
    }
    let ours = Apply::new("loggia");
    if let Err(error) = cluster.apply(None, &first, &ours).await {
        return vec![format!("seed {seed}: the first configuration is refused: {error}")];
    }
    let wrong = refusals(None, &first, schemas);
    if !wrong.is_empty() {
        return vec![format!("seed {seed}: the first configuration was foretold to be refused: {wrong:#?}")];
    }
    if let Some(patch) = interference(&mut dice, first.kind()) {
        cluster.merge(None, &kind, &first.id(), "", &patch).await.unwrap();
    }
    let live = cluster.get(&kind, "default", &name).await.unwrap().unwrap().into_value();
    let foretold = predict(Some(&live), second.value(), "loggia", schemas).unwrap();
    let told = compare(cluster, schemas, (&live, &second), &foretold, seed).await;
    let _ = cluster.delete(None, &kind, &first.id(), &loggia::cluster::Delete::default()).await;
    told
}

/// Nobody can foretell which port of the nodes a new port of a service is given.
fn is_given_by_chance(object: &Object, change: &Change) -> bool {
    object.kind() == "Service" && change.before.is_none() && change.path.to_string().ends_with(".nodePort")
}

async fn compare(
    cluster: &Cluster,
    schemas: &Schemas,
    (live, second): (&Value, &Object),
    foretold: &Predicted,
    seed: u64,
) -> Vec<String> {
    let mut told = Vec::new();
    let mut say = |what: &str, text: String| told.push(format!("seed {seed}, {}: {what}\n{text}", second.kind()));
    let refusals = refusals(Some(live), second, schemas);
    let forced = Apply { dry_run: true, ..Apply::new("loggia").forced() };
    let answer = cluster.apply(None, second, &forced).await;
    if let Some(wrong) = misjudged(&refusals, answer.as_ref().map(|_| ())) {
        say("refusals", wrong);
    }
    if answer.is_err() {
        return told;
    }
    let polite = cluster.apply(None, second, &Apply { dry_run: true, ..Apply::new("loggia") }).await;
    let conflicts = matches!(polite, Err(ClusterError::Conflict { .. }));
    if conflicts == foretold.conflicts.is_empty() {
        say("conflicts", format!("foretold {:?}, the server says {polite:?}", foretold.conflicts));
    }
    let stored = match cluster.apply(None, second, &Apply::new("loggia").forced()).await {
        Ok(stored) => stored.into_value(),
        Err(error) => {
            say("refused", error.to_string());
            return told;
        }
    };
    let (schema, _) = schemas.lookup(&second.gvk());
    let mut differs = changes(&foretold.object, &stored, schema);
    differs.retain(|change| !is_given_by_chance(second, change));
    if !differs.is_empty() {
        say("foretold, then stored", render(&differs));
    }
    // A change that was told took place, and nothing else that was asked for did.
    let after = changes(live, &stored, schema);
    for change in &foretold.changes {
        if !after.iter().any(|real| real.path == change.path) {
            say("told, but it did not happen", format!("{}\nwhat happened:\n{}", change.path, render(&after)));
        }
    }
    for change in after.iter().filter(|change| change.before.is_some()) {
        if !foretold.changes.iter().any(|told| told.path == change.path) {
            say("it happened, but was not told", format!("{}\n{}", change.path, render(&after)));
        }
    }
    told
}

async fn foretells(cluster: &Cluster, pairs: u64) {
    let crd: Value = serde_json::from_str(include_str!("../src/domain/krm/testdata/thing_crd.json")).unwrap();
    cluster.apply(None, &Object::new(crd.clone()).unwrap(), &Apply::new("setup").forced()).await.unwrap();
    let served = Gvk::new("example.com", "v1", "Thing");
    for _ in 0..100 {
        if cluster.resource(&served).await.unwrap().is_some() && cluster.list(&served, "default", "").await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let schemas = Schemas::builtin().with_crd(&crd).unwrap();
    let seeds = match std::env::var("LOGGIA_SEED") {
        Ok(seed) => seed.parse().map(|seed: u64| seed..seed + 1).unwrap(),
        Err(_) => 0..pairs,
    };
    let mut found = Vec::new();
    for seed in seeds {
        found.extend(surprises(cluster, &schemas, seed).await);
        assert!(found.len() < 20, "too many surprises:\n{}", found.join("\n"));
    }
    assert!(found.is_empty(), "{} surprises:\n{}", found.len(), found.join("\n"));
}

/// Objects in odd spellings, one of each kind at least.
const OBJECTS: &str = include_str!("predict/objects.yaml");

/// Applies each of the objects that a server knows, and says what the plan would then still do to it.
async fn settles(cluster: &Cluster) -> usize {
    let schemas = Schemas::builtin();
    let (mut found, mut applied) = (Vec::new(), 0);
    let objects = read(OBJECTS.as_bytes(), &Limits::default()).unwrap().into_iter();
    let objects = objects.map(|(line, object)| (format!("objects.yaml:{line}"), object));
    // Definitions as people write them, whole schemas in an atomic list.
    let definitions = loggia::domain::intent::crds().into_iter().map(|(file, crd)| (file.to_owned(), crd));
    for (place, object) in definitions.chain(objects) {
        let object = Object::new(object).unwrap();
        if cluster.resource(&object.gvk()).await.unwrap().is_some() {
            applied += 1;
            let left = left_to_do(cluster, &schemas, &object).await;
            found.extend(left.into_iter().map(|what| format!("{place}: {}: {what}", object.kind())));
        }
    }
    assert!(found.is_empty(), "{} surprises:\n{}", found.len(), found.join("\n"));
    applied
}

async fn left_to_do(cluster: &Cluster, schemas: &Schemas, object: &Object) -> Vec<String> {
    let (kind, ours) = (object.gvk(), Apply::new("loggia"));
    let mut found = Vec::new();
    let mut say = |what: &str, text: String| {
        if !text.is_empty() {
            found.push(format!("{what}\n{text}"));
        }
    };
    say("foretold to be refused", refusals(None, object, schemas).join("\n"));
    if let Err(error) = cluster.apply(None, object, &ours).await {
        say("refused", error.to_string());
        return found;
    }
    let live = cluster.get(&kind, object.namespace(), object.name()).await.unwrap().unwrap().into_value();
    say("foretold to be refused as it is", refusals(Some(&live), object, schemas).join("\n"));
    let foretold = predict(Some(&live), object.value(), "loggia", schemas).unwrap();
    say("left to do", render(&foretold.changes));
    say("conflicts", foretold.conflicts.iter().map(Conflict::message).collect());
    say("grade", if foretold.grade == Grade::Schema { String::new() } else { format!("{:?}", foretold.grade) });
    let again = cluster.apply(None, object, &ours).await.unwrap().into_value();
    let (schema, _) = schemas.lookup(&kind);
    say("the server changes it again", render(&changes(&live, &again, schema)));
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_objects_are_settled_on_the_embedded_server() {
    assert!(settles(&embedded()).await > 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_objects_are_settled_on_the_real_server() {
    let Some(assets) = assets("odd_objects_are_settled_on_the_real_server") else { return };
    let control = Control::alone(&assets);
    let cluster = Cluster::from_kubeconfig("real", &control.kubeconfig(), None, false).await.unwrap();
    assert!(settles(&cluster).await > 60);
}

fn pairs() -> u64 {
    std::env::var("LOGGIA_PAIRS").map_or(600, |pairs| pairs.parse().unwrap())
}

/// An embedded API server to which nobody but the test writes.
fn embedded() -> Cluster {
    Cluster::from_service("embedded", ApiServer::open(Options::in_memory("embedded")).unwrap().service())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_server_does_what_is_foretold() {
    let cluster = embedded();
    foretells(&cluster, pairs()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_server_does_what_is_foretold() {
    let Some(assets) = assets("the_real_server_does_what_is_foretold") else { return };
    let control = Control::alone(&assets);
    let cluster = Cluster::from_kubeconfig("real", &control.kubeconfig(), None, false).await.unwrap();
    foretells(&cluster, pairs()).await;
}

/// The grades of the steps that plan one object on a target.
async fn grades(cluster: &Cluster, object: Value) -> Vec<Grade> {
    let (_, claims) = tokio::sync::watch::channel(None);
    let (engine, _changes) = loggia::app::engine(
        cluster.clone(),
        &Config::new("test"),
        &loggia::app::functions::Functions::default(),
        claims,
    )
    .unwrap();
    let mut target = Target::new("here", TargetSpec { kubeconfig_secret: None });
    target.metadata.namespace = Some("default".to_owned());
    let session = engine.targets.session(cluster, &target).await.unwrap();
    let sync = NamespacedName { namespace: "default".to_owned(), name: "test".to_owned() };
    let unit = UnitId { sync, target: TargetName::new("here").unwrap() };
    let declared = DeclaredObject { object: Object::new(object).unwrap(), origin: "test.yaml:1".to_owned() };
    let declared = declare(unit, 0, &[declared]);
    let planned = plan_target(&engine, &session, declared, &PlanPolicy::default()).await.unwrap();
    planned.plan.steps().map(|step| step.grade).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_only_the_target_has_is_used() {
    let cluster = embedded();
    let thing =
        json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "default"}});
    assert_eq!(grades(&cluster, thing.clone()).await, [Grade::None]);
    let crd: Value = serde_json::from_str(include_str!("../src/domain/krm/testdata/thing_crd.json")).unwrap();
    cluster.apply(None, &Object::new(crd).unwrap(), &Apply::new("setup").forced()).await.unwrap();
    let served = Gvk::new("example.com", "v1", "Thing");
    while cluster.resource(&served).await.unwrap().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(grades(&cluster, thing).await, [Grade::Schema]);
}
