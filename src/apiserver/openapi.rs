//! `/openapi/v3` and a minimal `/openapi/v2`: what kubectl needs for `explain`, `apply`, `diff` and validation.
//!
//! Custom kinds have the schemas of their CRDs; built-in kinds are modest but true: all fields with their types and how
//! they merge, and words for the main ones.

mod types;

use serde_json::{Map, Value, json};

use self::types::{Types, builtin, described, reference};
use super::kinds::{Kind, Kinds, Serving};
use crate::domain::id::Digest;
use crate::domain::krm::Gvk;

/// Query parameters of writes. kubectl asks the server to validate or to run dry only when they are listed.
const WRITE_PARAMETERS: &[(&str, &str, &str)] = &[
    ("dryRun", "string", "All: everything happens but the storing."),
    ("fieldManager", "string", "Who writes; recorded as the owner of the fields."),
    ("fieldValidation", "string", "What to do about unknown and repeated fields: Ignore, Warn or Strict."),
];

/// `GET /openapi/v3`: the documents by path, each with a hash that changes when it does.
#[must_use]
pub fn index(kinds: &Kinds) -> Value {
    let versions = kinds
        .groups()
        .into_iter()
        .flat_map(|(group, versions)| versions.into_iter().map(move |version| (group.clone(), version)));
    let entry = |(group, version): (String, String)| {
        let path = path(&group, &version);
        let url = format!("/openapi/v3/{path}?hash={}", hash(kinds, &group, &version));
        (path, json!({"serverRelativeURL": url}))
    };
    json!({"paths": versions.map(entry).collect::<Map<_, _>>()})
}

/// `api/v1` or `apis/GROUP/VERSION`: the path of a version, in the index and in URLs.
fn path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The hash of a document, without making it: built-in kinds change only with this program.
#[must_use]
pub fn hash(kinds: &Kinds, group: &str, version: &str) -> String {
    let part = |kind: &Kind| {
        let schema = kind.schema.as_deref().map(Value::to_string).unwrap_or_default();
        format!("{}/{}/{:?}/{schema}\n", kind.gvk, kind.plural, kind.subresources)
    };
    let parts: String = kinds.in_version(group, version).map(|kind| part(kind)).collect();
    let text = format!("{}\n{parts}", env!("CARGO_PKG_VERSION"));
    Digest::of(text.as_bytes()).as_str().to_uppercase()
}

/// `GET /openapi/v3/api/v1` and `/openapi/v3/apis/GROUP/VERSION`; none when there is no such version.
#[must_use]
pub fn document(kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let found: Vec<&Kind> = kinds.in_version(group, version).map(AsRef::as_ref).collect();
    if found.is_empty() {
        return None;
    }
    let paths: Map<String, Value> = found.iter().flat_map(|kind| paths(kind)).collect();
    let mut schemas = builtin().closure(found.iter().map(|kind| &kind.gvk), &["ObjectMeta"]);
    for kind in &found {
        if builtin().component_of(&kind.gvk).is_none() {
            schemas.insert(component(&kind.gvk), custom(kind));
        }
        schemas.insert(format!("{}List", component(&kind.gvk)), list(kind));
    }
    Some(json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.36.0"}, "paths": paths,
        "components": {"schemas": schemas},
    }))
}

/// `GET /openapi/v2` as JSON: no definitions. Clients that can read v3 do not look here.
#[must_use]
pub fn v2() -> Value {
    json!({"swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.36.0"}, "paths": {}, "definitions": {}})
}

/// How clients name `/openapi/v2` in protobuf.
const V2_MEDIA: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
];

/// `GET /openapi/v2` in protobuf (gnostic's `openapi.v2.Document`) for clients that read nothing else, with its media
/// type: as empty as the one in JSON. kubectl looks here for kinds that v3 does not have, such as `List`.
#[must_use]
pub fn v2_in_protobuf(accept: &str) -> Option<(&'static str, Vec<u8>)> {
    if accepts_json(accept) || !accept.split(',').any(|part| V2_MEDIA.contains(&part.trim())) {
        return None;
    }
    let field = |number: u8, bytes: &[u8]| -> Vec<u8> {
        // Less than 128 bytes each: the length is one byte.
        let length = u8::try_from(bytes.len()).unwrap_or_default();
        [&[number << 3 | 2, length], bytes].concat()
    };
    let info = [field(1, b"Kubernetes"), field(2, b"v1.36.0")].concat();
    Some((V2_MEDIA[0], [field(1, b"2.0"), field(2, &info), field(8, b"")].concat()))
}

/// Whether a client that sends this `Accept` header can read JSON; the answer to others is 406.
#[must_use]
pub fn accepts_json(accept: &str) -> bool {
    let media = |part: &str| part.split(';').next().unwrap_or_default().trim().to_owned();
    let json = |part: &str| matches!(media(part).as_str(), "" | "*/*" | "application/*" | "application/json");
    accept.is_empty() || accept.split(',').any(json)
}

fn gvk_json(gvk: &Gvk) -> Value {
    json!({"group": gvk.group, "version": gvk.version, "kind": gvk.kind})
}

/// The component of a kind: that of the table, or `dev.loggia.v1alpha1.Sync` for `loggia.dev/v1alpha1` `Sync`.
fn component(gvk: &Gvk) -> String {
    let reversed = || gvk.group.split('.').rev().collect::<Vec<_>>().join(".");
    builtin().component_of(gvk).map_or_else(|| format!("{}.{}.{}", reversed(), gvk.version, gvk.kind), str::to_owned)
}

/// The schema of a kind that the table does not hold: what its CRD says, with the metadata that every object has.
fn custom(kind: &Kind) -> Value {
    let anything = || json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let mut schema = kind.schema.as_deref().cloned().filter(Value::is_object).unwrap_or_else(anything);
    if !schema.get("properties").is_some_and(Value::is_object) {
        schema["properties"] = json!({});
    }
    let properties = &mut schema["properties"];
    properties["apiVersion"] = described(json!({"type": "string"}), "Group and version of the kind.");
    properties["kind"] = described(json!({"type": "string"}), "Name of the kind.");
    let metadata = reference(&Types::named("ObjectMeta"));
    properties["metadata"] = described(metadata, "Name, namespace, labels and what the server keeps about the object.");
    schema["x-kubernetes-group-version-kind"] = json!([gvk_json(&kind.gvk)]);
    schema
}

fn list(kind: &Kind) -> Value {
    let gvk = Gvk { kind: kind.list_kind(), ..kind.gvk.clone() };
    json!({
        "type": "object",
        "description": format!("A list of {} objects.", kind.gvk.kind),
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "items": {"type": "array", "items": reference(&component(&kind.gvk))},
        },
        "x-kubernetes-group-version-kind": [gvk_json(&gvk)],
    })
}

/// The paths of a kind: the collection in all namespaces and in one, an object, its subresources.
fn paths(kind: &Kind) -> Vec<(String, Value)> {
    let root = format!("/{}", path(&kind.gvk.group, &kind.gvk.version));
    let everywhere = format!("{root}/{}", kind.plural);
    let collection =
        if kind.namespaced { format!("{root}/namespaces/{{namespace}}/{}", kind.plural) } else { everywhere.clone() };
    if kind.serving == Serving::CreateOnly {
        return vec![(collection, operations(kind, &["post"], false))];
    }
    let object = format!("{collection}/{{name}}");
    let mut paths = vec![
        (collection, operations(kind, &["get", "post"], kind.namespaced)),
        (object.clone(), operations(kind, &["get", "put", "patch", "delete"], kind.namespaced)),
    ];
    if kind.namespaced {
        paths.push((everywhere, operations(kind, &["get"], false)));
    }
    if kind.subresources.status {
        paths.push((format!("{object}/status"), operations(kind, &["get", "put", "patch"], kind.namespaced)));
    }
    paths
}

fn operations(kind: &Kind, verbs: &[&str], in_namespace: bool) -> Value {
    let mut item: Map<String, Value> = verbs.iter().map(|verb| ((*verb).to_owned(), operation(kind, verb))).collect();
    let mut parameters = Vec::new();
    for (name, wanted) in [("name", verbs.contains(&"put")), ("namespace", in_namespace)] {
        if wanted {
            parameters.push(json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}));
        }
    }
    if !parameters.is_empty() {
        item.insert("parameters".to_owned(), json!(parameters));
    }
    Value::Object(item)
}

fn operation(kind: &Kind, verb: &str) -> Value {
    let schema = reference(&component(&kind.gvk));
    let content = json!({"application/json": {"schema": schema}});
    let mut operation = json!({
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": verb,
        "x-kubernetes-group-version-kind": gvk_json(&kind.gvk),
    });
    let parameter = |(name, kind, text): &(&str, &str, &str)| json!({"name": name, "in": "query", "description": text, "schema": {"type": kind, "uniqueItems": true}});
    let mut parameters: Vec<Value> = WRITE_PARAMETERS.iter().map(parameter).collect();
    match verb {
        "get" => return operation,
        "delete" => parameters.truncate(1),
        "patch" => {
            parameters.push(parameter(&("force", "boolean", "Takes fields over that other appliers own.")));
            operation["requestBody"] = json!({"required": true, "content": patch_content(kind)});
        }
        _ => operation["requestBody"] = json!({"required": true, "content": content}),
    }
    operation["parameters"] = json!(parameters);
    operation
}

/// The forms of a patch. Custom kinds have no strategic merge patch.
fn patch_content(kind: &Kind) -> Map<String, Value> {
    let strategic = (!kind.is_custom()).then_some("application/strategic-merge-patch+json");
    let forms = ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
    let body = || json!({"schema": {"type": "object"}});
    forms.into_iter().chain(strategic).map(|form| (form.to_owned(), body())).collect()
}

#[cfg(test)]
mod tests;
