//! What a manifest says of itself: its kind, its place, and what only a server may say.

use serde_json::Value;

use crate::domain::krm::metadata::label_fault;
use crate::domain::krm::scope::{Scopes, is_builtin_group};
use crate::domain::krm::value::{is_void, text};
use crate::domain::krm::{Gvk, Schemas};

/// Something about a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) code: &'static str,
    /// The field that it is about.
    pub(super) path: Vec<String>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// Whether it cannot be applied so; else it is doubtful.
    pub(super) is_error: bool,
}

impl Remark {
    fn doubt(code: &'static str, path: &[&str], message: impl Into<String>) -> Self {
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Self { code, path, message: message.into(), hint: None, is_error: false }
    }

    fn error(code: &'static str, path: &[&str], message: impl Into<String>) -> Self {
        Self { is_error: true, ..Self::doubt(code, path, message) }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// What is to be said of a manifest whose kind is known by `schemas` and `scopes`.
pub(super) fn remarks(object: &Value, schemas: &Schemas, scopes: &Scopes) -> Vec<Remark> {
    let api_version = text(object, "/apiVersion");
    let gvk = Gvk::parse(api_version, text(object, "/kind"));
    let mut found: Vec<Remark> = Vec::new();
    match malformed(api_version) {
        Some(wrong) => found.push(wrong),
        None => found.extend(unknown(&gvk, schemas)),
    }
    found.extend(namespace(object, &gvk, scopes));
    found.extend(generated(object));
    found.extend(told_by_servers(object));
    found.extend(keys_twice(object, &gvk));
    found
}

fn malformed(api_version: &str) -> Option<Remark> {
    let parts: Vec<&str> = api_version.split('/').collect();
    (parts.len() > 2 || parts.contains(&"")).then(|| {
        let message = format!("{api_version:?} is neither GROUP/VERSION nor, for the core group, VERSION");
        Remark::error("k8s.api_version", &["apiVersion"], message)
    })
}

/// A kind without a schema may be one that the target knows.
fn unknown(gvk: &Gvk, schemas: &Schemas) -> Option<Remark> {
    if schemas.kinds().any(|known| known == gvk) {
        return None;
    }
    let same: Vec<String> = schemas.kinds().filter(|known| known.kind == gvk.kind).map(Gvk::api_version).collect();
    let hint = match same.first() {
        Some(_) => format!("did you mean {}?", same.join(" or ")),
        None if is_builtin_group(&gvk.group) => "is the kind written as in the documentation of Kubernetes?".to_owned(),
        None => "put its CustomResourceDefinition into the package to have it checked".to_owned(),
    };
    let message = format!("there is no schema for {} {}: it was not checked", gvk.api_version(), gvk.kind);
    Some(Remark::doubt("k8s.kind_unknown", &["kind"], message).hint(hint))
}

fn namespace(object: &Value, gvk: &Gvk, scopes: &Scopes) -> Option<Remark> {
    let (namespace, path) = (text(object, "/metadata/namespace"), ["metadata", "namespace"]);
    if namespace.is_empty() {
        return None;
    }
    if let Some(fault) = label_fault(namespace) {
        let remark = Remark::error("k8s.name_invalid", &path, format!("{namespace:?} is no namespace: {fault}"));
        let is_template = ["{{", "${", "$("].iter().any(|mark| namespace.contains(mark));
        return Some(if is_template { remark.hint("a template was left as it is; render it first") } else { remark });
    }
    scopes.is_cluster_scoped(&gvk.group, &gvk.kind).then(|| {
        let message = format!("a {} is in no namespace; {namespace} is left out of what is applied", gvk.kind);
        Remark::doubt("k8s.scope", &path, message)
    })
}

fn generated(object: &Value) -> Option<Remark> {
    let both = !text(object, "/metadata/generateName").is_empty() && !text(object, "/metadata/name").is_empty();
    let message = "metadata.generateName is not used where there is a name; take it away";
    both.then(|| Remark::doubt("k8s.generate_name", &["metadata", "generateName"], message))
}

/// What a dump of a live object brings along. Fields that make an apply fail are errors of the rendering already.
fn told_by_servers(object: &Value) -> Vec<Remark> {
    let fields: [&[&str]; 7] = [
        &["metadata", "creationTimestamp"],
        &["metadata", "deletionGracePeriodSeconds"],
        &["metadata", "deletionTimestamp"],
        &["metadata", "generation"],
        &["metadata", "ownerReferences"],
        &["metadata", "selfLink"],
        &["status"],
    ];
    let is_there =
        |path: &&[&str]| object.pointer(&format!("/{}", path.join("/"))).is_some_and(|value| !is_void(value));
    let remark = |path: &[&str]| {
        let message = format!("{} is for the server to say; take it away", path.join("."));
        Remark::doubt("k8s.server_field", path, message)
    };
    fields.into_iter().filter(is_there).map(remark).collect()
}

fn keys_twice(object: &Value, gvk: &Gvk) -> Vec<Remark> {
    if !gvk.group.is_empty() || gvk.kind != "Secret" {
        return Vec::new();
    }
    let texts = object.get("stringData").and_then(Value::as_object).into_iter().flatten();
    let twice = texts.map(|(key, _)| key).filter(|key| object.get("data").is_some_and(|data| data.get(*key).is_some()));
    let remark = |key: &String| {
        let message = format!("{key:?} is in data, too; what stringData says is stored");
        Remark::doubt("k8s.secret_encoding", &["stringData", key], message)
    };
    twice.map(remark).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(object: &Value) -> Vec<(&'static str, bool, String)> {
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.x.y"},
            "spec": {
                "group": "x.y", "scope": "Cluster", "names": {"kind": "Thing", "plural": "things"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
            },
        });
        let schemas = Schemas::builtin().with_crd(&definition).unwrap();
        let found = remarks(object, &schemas, &Scopes::of([&definition]));
        found.into_iter().map(|one| (one.code, one.is_error, one.path.join("."))).collect()
    }

    /// Rows of what people bring by mistake.
    #[test]
    fn slips_are_told() {
        let named = |version: &str, kind: &str, metadata: Value| {
            let mut object = json!({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}});
            json_patch::merge(&mut object["metadata"], &metadata);
            object
        };
        let doubt = |code, path: &str| vec![(code, false, path.to_owned())];
        let error = |code, path: &str| vec![(code, true, path.to_owned())];
        let none = || json!({});
        let rows = [
            (named("v1", "ConfigMap", none()), vec![]),
            (named("x.y/v1", "Thing", none()), vec![]),
            (named("v1", "Deployment", none()), doubt("k8s.kind_unknown", "kind")),
            (named("apps/v1beta1", "Deployment", none()), doubt("k8s.kind_unknown", "kind")),
            (named("nobody.io/v1", "Thing", none()), doubt("k8s.kind_unknown", "kind")),
            (named("a/b/c", "Thing", none()), error("k8s.api_version", "apiVersion")),
            (named("/v1", "ConfigMap", none()), error("k8s.api_version", "apiVersion")),
            (
                named("v1", "ConfigMap", json!({"namespace": "Not_A_NS"})),
                error("k8s.name_invalid", "metadata.namespace"),
            ),
            (named("v1", "ConfigMap", json!({"namespace": "${NS}"})), error("k8s.name_invalid", "metadata.namespace")),
            (named("v1", "Namespace", json!({"namespace": "b"})), doubt("k8s.scope", "metadata.namespace")),
            (named("x.y/v1", "Thing", json!({"namespace": "b"})), doubt("k8s.scope", "metadata.namespace")),
            (
                named("v1", "ConfigMap", json!({"generateName": "b-"})),
                doubt("k8s.generate_name", "metadata.generateName"),
            ),
            (named("v1", "ConfigMap", json!({"generation": 2})), doubt("k8s.server_field", "metadata.generation")),
            (named("v1", "ConfigMap", json!({"creationTimestamp": null})), vec![]),
        ];
        for (object, expected) in rows {
            assert_eq!(told(&object), expected, "{object}");
        }
        let mut secret = named("v1", "Secret", none());
        secret["data"] = json!({"k": "", "l": ""});
        secret["stringData"] = json!({"k": "", "m": ""});
        assert_eq!(told(&secret), doubt("k8s.secret_encoding", "stringData.k"));
        let mut dumped = named("apps/v1", "Deployment", none());
        dumped["status"] = json!({"replicas": 1});
        assert_eq!(told(&dumped), doubt("k8s.server_field", "status"));
        dumped["status"] = json!({});
        assert_eq!(told(&dumped), vec![]);
    }
}
