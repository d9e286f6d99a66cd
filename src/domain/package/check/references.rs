//! What an object names: other objects that it does nothing without.

use serde_json::Value;

use super::list;
use crate::domain::krm::value::{at, text};

/// Another object that an object names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) kind: String,
    pub(super) name: String,
    /// The namespace that is named with it; else it is in the object's own.
    pub(super) namespace: Option<String>,
    /// What has to be in it.
    pub(super) part: Option<Part>,
    /// Where it is named.
    pub(super) path: Vec<String>,
}

/// What has to be in an object that is named.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A key of its data.
    Key(String),
    /// A port of a Service, by name or by number.
    Port(Value),
}

impl Part {
    /// Whether the object has it.
    pub(super) fn is_in(&self, object: &Value) -> bool {
        match self {
            Self::Key(key) => ["data", "stringData", "binaryData"]
                .iter()
                .any(|field| object.get(field).is_some_and(|map| map.get(key).is_some())),
            Self::Port(port) => {
                let field = if port.is_string() { "name" } else { "port" };
                list(object, "/spec/ports").iter().any(|own| own.get(field) == Some(port))
            }
        }
    }

    /// What is told of an object without it.
    pub(super) fn missing(&self) -> (&'static str, String) {
        match self {
            Self::Key(key) => ("ref.key_missing", format!("no key {key}")),
            Self::Port(port) => ("ref.port_missing", format!("no port {}", super::plain(port))),
        }
    }
}

/// Below which path a pod names what, in which field, and in which field a key of it.
const POD: [(&str, &str, &str, &str); 6] = [
    ("spec/volumes/*/configMap", "ConfigMap", "name", ""),
    ("spec/volumes/*/secret", "Secret", "secretName", ""),
    ("spec/volumes/*/persistentVolumeClaim", "PersistentVolumeClaim", "claimName", ""),
    ("spec/volumes/*/projected/sources/*/configMap", "ConfigMap", "name", ""),
    ("spec/volumes/*/projected/sources/*/secret", "Secret", "name", ""),
    ("spec/imagePullSecrets/*", "Secret", "name", ""),
];

/// The same, below a container.
const CONTAINER: [(&str, &str, &str, &str); 4] = [
    ("envFrom/*/configMapRef", "ConfigMap", "name", ""),
    ("envFrom/*/secretRef", "Secret", "name", ""),
    ("env/*/valueFrom/configMapKeyRef", "ConfigMap", "name", "key"),
    ("env/*/valueFrom/secretKeyRef", "Secret", "name", "key"),
];

/// Roles that every cluster has.
const OWN_ROLES: [&str; 4] = ["admin", "cluster-admin", "edit", "view"];

/// Everything that an object needs; `template` is where its pods are described.
pub(super) fn of(object: &Value, template: Option<&[&str]>) -> Vec<Reference> {
    let mut found = match template.and_then(|path| Some((path, at(object, path)?))) {
        Some((path, pod)) => of_pod(&owned(path), pod),
        None => Vec::new(),
    };
    found.extend(match (group(object), text(object, "/kind")) {
        ("apps", "StatefulSet") => of_one(object, "spec", "Service", "serviceName"),
        ("autoscaling", "HorizontalPodAutoscaler") => {
            of_one(object, "spec/scaleTargetRef", text(object, "/spec/scaleTargetRef/kind"), "name")
        }
        ("networking.k8s.io", "Ingress") => of_ingress(object),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => of_binding(object),
        _ => Vec::new(),
    });
    found
}

fn group(object: &Value) -> &str {
    text(object, "/apiVersion").split_once('/').map_or("", |(group, _)| group)
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|part| (*part).to_owned()).collect()
}

/// What is named in `field` of every map at a path, unless it is optional.
fn named<'v>(object: &'v Value, path: &str, kind: &str, field: &str) -> Vec<(Reference, &'v Value)> {
    let is_optional = |holder: &Value| holder.get("optional") == Some(&Value::Bool(true));
    expanded(object, path)
        .into_iter()
        .filter(|(_, holder)| !is_optional(holder))
        .filter_map(|(mut path, holder)| {
            let name = holder.get(field).and_then(Value::as_str).filter(|name| !name.is_empty())?.to_owned();
            path.push(field.to_owned());
            Some((Reference { kind: kind.to_owned(), name, namespace: None, part: None, path }, holder))
        })
        .collect()
}

fn of_one(object: &Value, path: &str, kind: &str, field: &str) -> Vec<Reference> {
    named(object, path, kind, field).into_iter().map(|(reference, _)| reference).collect()
}

fn of_pod(base: &[String], pod: &Value) -> Vec<Reference> {
    let mut found = Vec::new();
    let mut add = |path: &str, (below, kind, field, key): (&str, &str, &str, &str)| {
        for (reference, holder) in named(pod, &format!("{path}{below}"), kind, field) {
            let key = holder.get(key).and_then(Value::as_str).map(|key| Part::Key(key.to_owned()));
            let path = base.iter().cloned().chain(reference.path).collect();
            found.push(Reference { part: key, path, ..reference });
        }
    };
    for row in POD {
        add("", row);
    }
    for containers in ["spec/containers/*/", "spec/initContainers/*/"] {
        for row in CONTAINER {
            add(containers, row);
        }
    }
    if text(pod, "/spec/serviceAccountName") != "default" {
        add("", ("spec", "ServiceAccount", "serviceAccountName", ""));
    }
    found
}

fn of_ingress(object: &Value) -> Vec<Reference> {
    let backends = ["spec/defaultBackend/service", "spec/rules/*/http/paths/*/backend/service"];
    let services = backends.into_iter().flat_map(|path| named(object, path, "Service", "name"));
    let port = |service: &Value| ["name", "number"].iter().find_map(|field| service.get("port")?.get(field).cloned());
    services.map(|(reference, holder)| Reference { part: port(holder).map(Part::Port), ..reference }).collect()
}

/// A role that the cluster has by itself is not looked for, nor are accounts that every namespace has.
fn of_binding(object: &Value) -> Vec<Reference> {
    let kind = text(object, "/roleRef/kind");
    let is_own = |name: &str| kind == "ClusterRole" && (OWN_ROLES.contains(&name) || name.starts_with("system:"));
    let role = of_one(object, "roleRef", kind, "name").into_iter().filter(|role| !is_own(&role.name));
    let accounts = named(object, "subjects/*", "ServiceAccount", "name").into_iter();
    let accounts = accounts.filter(|(account, subject)| {
        subject.get("kind").and_then(Value::as_str) == Some("ServiceAccount") && account.name != "default"
    });
    let placed = accounts.map(|(account, subject)| {
        let namespace = subject.get("namespace").and_then(Value::as_str).map(str::to_owned);
        Reference { namespace, ..account }
    });
    role.chain(placed).collect()
}

/// The values at a path in which `*` stands for every item of a list.
fn expanded<'v>(value: &'v Value, path: &str) -> Vec<(Vec<String>, &'v Value)> {
    path.split('/').fold(vec![(Vec::new(), value)], |found, part| {
        let below = |(path, value): (Vec<String>, &'v Value)| -> Vec<(Vec<String>, &'v Value)> {
            let with = |step: String| path.iter().cloned().chain([step]).collect();
            if part == "*" {
                return list(value, "")
                    .iter()
                    .enumerate()
                    .map(|(index, item)| (with(index.to_string()), item))
                    .collect();
            }
            value.get(part).map(|value| (with(part.to_owned()), value)).into_iter().collect()
        };
        found.into_iter().flat_map(below).collect()
    })
}
