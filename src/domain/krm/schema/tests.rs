use super::*;
use serde_json::json;

fn at<'a>(schema: &'a Schema, path: &[&str]) -> Node<'a> {
    path.iter().fold(schema.node(), |node, name| match node.shape() {
        Shape::Map(map) => node.at(map.field(name).unwrap()),
        Shape::List(list) => node.at(&list.element),
        other => panic!("{name} below {other:?}"),
    })
}

fn keys(node: Node<'_>) -> String {
    match node.shape() {
        Shape::List(ListShape { kind: ListKind::Atomic, .. }) => "atomic".to_owned(),
        Shape::List(ListShape { kind: ListKind::Set, .. }) => "set".to_owned(),
        Shape::List(ListShape { kind: ListKind::Keyed(keys), .. }) => {
            keys.iter().map(|key| key.name.clone()).collect::<Vec<_>>().join(",")
        }
        Shape::Map(map) if map.atomic => "atomic map".to_owned(),
        Shape::Map(_) => "map".to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn documented_merge_rules_of_built_in_kinds() {
    let schemas = Schemas::builtin();
    let pod = ["spec", "template", "spec"];
    let table: [(&str, &str, &[&str], &str); 20] = [
        ("apps/v1", "Deployment", &["spec", "selector"], "atomic map"),
        ("apps/v1", "Deployment", &["metadata", "finalizers"], "set"),
        ("apps/v1", "Deployment", &["metadata", "ownerReferences"], "uid"),
        ("apps/v1", "Deployment", &["metadata", "labels"], "map"),
        ("apps/v1", "Deployment", &["status", "conditions"], "type"),
        ("apps/v1", "Deployment", &[pod[0], pod[1], pod[2], "containers"], "name"),
        ("apps/v1", "StatefulSet", &[pod[0], pod[1], pod[2], "nodeSelector"], "atomic map"),
        ("apps/v1", "DaemonSet", &[pod[0], pod[1], pod[2], "tolerations"], "atomic"),
        ("v1", "Pod", &["spec", "containers", "", "ports"], "containerPort,protocol"),
        ("v1", "Pod", &["spec", "containers", "", "env"], "name"),
        ("v1", "Pod", &["spec", "containers", "", "volumeMounts"], "mountPath"),
        ("v1", "Pod", &["spec", "containers", "", "args"], "atomic"),
        ("v1", "Pod", &["spec", "containers", "", "resources", "limits", "cpu"], "Scalar(Quantity)"),
        ("v1", "Service", &["spec", "ports"], "port,protocol"),
        ("v1", "Service", &["spec", "selector"], "atomic map"),
        ("v1", "Service", &["spec", "ports", "", "targetPort"], "Scalar(IntOrString)"),
        ("v1", "ConfigMap", &["data"], "map"),
        ("rbac.authorization.k8s.io/v1", "Role", &["rules"], "atomic"),
        ("networking.k8s.io/v1", "Ingress", &["spec", "rules"], "atomic"),
        ("autoscaling/v2", "HorizontalPodAutoscaler", &["spec", "metrics"], "atomic"),
    ];
    for (api_version, kind, path, expected) in table {
        let (schema, grade) = schemas.lookup(&Gvk::parse(api_version, kind));
        assert_eq!(grade, Grade::Schema, "{kind}");
        assert_eq!(keys(at(schema, path)), expected, "{kind} {path:?}");
    }
}

#[test]
fn every_kind_that_people_apply_is_known() {
    let schemas = Schemas::builtin();
    let known: Vec<&str> = schemas.kinds().map(|gvk| gvk.kind.as_str()).collect();
    for kind in [
        "Namespace",
        "ConfigMap",
        "Secret",
        "ServiceAccount",
        "Service",
        "Pod",
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "ReplicaSet",
        "Job",
        "CronJob",
        "Ingress",
        "NetworkPolicy",
        "HorizontalPodAutoscaler",
        "PodDisruptionBudget",
        "PersistentVolumeClaim",
        "Role",
        "ClusterRole",
        "RoleBinding",
        "ClusterRoleBinding",
        "PriorityClass",
        "Lease",
        "Event",
        "CustomResourceDefinition",
        "Endpoints",
        "EndpointSlice",
    ] {
        assert!(known.contains(&kind), "{kind}");
    }
}

#[test]
fn unknown_kinds_have_known_metadata_only() {
    let schemas = Schemas::builtin();
    let (schema, grade) = schemas.lookup(&Gvk::new("example.com", "v1", "Thing"));
    assert_eq!(grade, Grade::None);
    assert_eq!(keys(at(schema, &["metadata", "finalizers"])), "set");
    assert_eq!(at(schema, &["spec"]).shape(), &Shape::Any);
}

#[test]
fn grades_order_from_worst_to_best_and_serialise() {
    assert!(Grade::None < Grade::Schema && Grade::Schema < Grade::Server);
    assert_eq!(serde_json::to_value(Grade::Server).unwrap(), json!("server"));
}

fn crd() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {"group": "example.com", "names": {"kind": "Thing", "plural": "things"}, "scope": "Namespaced",
            "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {
                "type": "object",
                "properties": {
                    "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                        "items": {"type": "object", "properties": {
                            "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}}}},
                    "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                    "args": {"type": "array", "items": {"type": "string"}},
                    "selector": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "template": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
                    "limit": {"x-kubernetes-int-or-string": true},
                    "open": {"type": "object", "additionalProperties": true}
                }}}}}}]}
    })
}

#[test]
fn structural_schemas_of_crds_are_read() {
    let schemas = Schemas::builtin().with_crd(&crd()).unwrap();
    let (schema, grade) = schemas.lookup(&Gvk::new("example.com", "v1", "Thing"));
    assert_eq!(grade, Grade::Schema);
    let table = [
        (vec!["spec", "ports"], "port,protocol"),
        (vec!["spec", "tags"], "set"),
        (vec!["spec", "args"], "atomic"),
        (vec!["spec", "selector"], "atomic map"),
        (vec!["spec", "free", "x"], "Any"),
        (vec!["spec", "template", "metadata", "finalizers"], "set"),
        (vec!["spec", "template", "spec"], "Any"),
        (vec!["spec", "limit"], "Scalar(IntOrString)"),
        (vec!["spec", "open", "x"], "Any"),
        (vec!["metadata", "ownerReferences"], "uid"),
    ];
    for (path, expected) in table {
        assert_eq!(keys(at(schema, &path)), expected, "{path:?}");
    }
    let Shape::List(ListShape { kind: ListKind::Keyed(keys), .. }) = at(schema, &["spec", "ports"]).shape() else {
        panic!("not keyed")
    };
    assert_eq!(keys[1].default, Some(json!("TCP")));
}

#[test]
fn broken_crds_are_refused_by_name() {
    let mut no_kind = crd();
    no_kind["spec"]["names"] = json!({});
    assert!(Schemas::builtin().with_crd(&no_kind).unwrap_err().to_string().contains("spec.names.kind"));
    let mut deep = json!({"type": "object"});
    for _ in 0..100 {
        deep = json!({"type": "object", "properties": {"a": deep}});
    }
    let mut too_deep = crd();
    too_deep["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = deep;
    assert!(matches!(Schemas::builtin().with_crd(&too_deep), Err(CrdError::TooDeep { .. })));
}
