//! From the OpenAPI v3 documents of an API server to the table of built-in kinds.
//!
//! What OpenAPI does not tell is carried over from a table that knows it: whether the server leaves a field out while
//! it is empty, zero or false (the mark `-`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::notation::{Column, HEAD, Line, lines};
use super::{Mark, PatchRule};
use crate::domain::krm::Gvk;

/// Whether a map is owned as a whole.
const MAP_TYPE: &str = "x-kubernetes-map-type";
/// A kind that cannot be written.
const LEFT_OUT: &str = "ComponentStatus";

/// OpenAPI documents that make no table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DistilError {
    /// No document declares a kind.
    #[error(
        "distilling the schema: none of the {documents} OpenAPI documents declares a kind; are they those of /openapi/v3?"
    )]
    NoKinds {
        /// How many there are.
        documents: usize,
    },
    /// A type refers to one that is in no document.
    #[error("distilling the schema: {from} refers to {to}, which is in none of the documents")]
    Dangling {
        /// The component that refers.
        from: String,
        /// The component that is missing.
        to: String,
    },
}

/// The table of the kinds that the documents of `/openapi/v3/...` declare, in the notation that its own first lines
/// explain. Marks that OpenAPI does not tell come from `known`, a table of the same notation.
///
/// # Errors
/// [`DistilError`] when there are no kinds, or a reference leads nowhere.
pub fn distil(documents: &[Value], known: &str) -> Result<String, DistilError> {
    let mut components = BTreeMap::new();
    for document in documents {
        let schemas = document.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten();
        for (name, schema) in schemas {
            components.entry(name.as_str()).or_insert(schema);
        }
    }
    let source = Source::new(&components, known)?;
    if source.kinds.is_empty() {
        return Err(DistilError::NoKinds { documents: documents.len() });
    }
    let mut lines: Vec<String> = source.names.keys().map(|component| source.line(component)).collect();
    lines.sort();
    Ok(format!("{HEAD}{}\n", lines.join("\n")))
}

type Components<'a> = BTreeMap<&'a str, &'a Value>;

struct Source<'a> {
    components: &'a Components<'a>,
    kinds: BTreeMap<&'a str, Gvk>,
    /// Components that get a line, with its name.
    names: BTreeMap<&'a str, String>,
    terse: BTreeSet<(&'a str, &'a str)>,
}

/// A text of a schema; empty when there is none.
pub(super) fn text<'v>(schema: &'v Value, field: &str) -> &'v str {
    schema.get(field).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn texts<'v>(schema: &'v Value, field: &str) -> impl Iterator<Item = &'v str> {
    schema.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// What the schema of a field tells of it beyond its shape.
pub(super) fn mark(schema: &Value) -> Mark {
    let values = [Some(schema), schema.get("items"), schema.get("additionalProperties")];
    let values = values.into_iter().flatten().flat_map(|part| texts(part, "enum")).map(str::to_owned);
    let tell = |field: &str| schema.get(field).and_then(Value::as_str);
    Mark {
        terse: false,
        required: false,
        values: values.collect(),
        patch: PatchRule::of(tell("x-kubernetes-patch-strategy"), tell("x-kubernetes-patch-merge-key")),
        default: schema.get("default").cloned(),
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

/// The component that a schema refers to, by itself or as the only part of `allOf`.
fn reference(schema: &Value) -> Option<&str> {
    let target = schema.pointer("/allOf/0/$ref").or_else(|| schema.get("$ref"))?.as_str()?;
    target.rsplit('/').next()
}

/// All components that a schema mentions at any depth.
fn mentioned<'v>(schema: &'v Value, found: &mut BTreeSet<&'v str>) {
    found.extend(reference(schema));
    for part in ["items", "additionalProperties"] {
        schema.get(part).into_iter().for_each(|part| mentioned(part, found));
    }
    properties(schema).for_each(|(_, field)| mentioned(field, found));
}

/// The kind that a component is, when people apply objects of it: stable, stored, and one kind only.
fn kind(name: &str, schema: &Value, components: &Components<'_>) -> Option<Gvk> {
    let [kind] = schema.get("x-kubernetes-group-version-kind")?.as_array()?.as_slice() else { return None };
    let gvk = Gvk::new(text(kind, "group"), text(kind, "version"), text(kind, "kind"));
    let stable = gvk.version.strip_prefix('v').is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()));
    let has_metadata = schema.pointer("/properties/metadata").is_some();
    let stored = has_metadata && components.contains_key(format!("{name}List").as_str());
    (stable && stored && gvk.kind != LEFT_OUT).then_some(gvk)
}

impl<'a> Source<'a> {
    fn new(components: &'a Components<'a>, known: &'a str) -> Result<Self, DistilError> {
        let kinds: BTreeMap<&str, Gvk> =
            components.iter().filter_map(|(name, schema)| Some((*name, kind(name, schema, components)?))).collect();
        let reached = reached(components, kinds.keys().copied())?;
        let terse = lines(known).flat_map(|line| {
            let Line { name, fields, .. } = line;
            fields.into_iter().filter(|field| field.mark.terse).map(move |field| (name, field.name))
        });
        Ok(Self { components, kinds, names: names(reached), terse: terse.collect() })
    }

    fn line(&self, component: &str) -> String {
        let (schema, name) = (self.components[component], &self.names[component]);
        let required: BTreeSet<&str> = texts(schema, "required").collect();
        let shapes: Vec<String> = properties(schema).map(|(_, field)| self.shape(field)).collect();
        let column = |((field, schema), shape)| {
            let terse = self.terse.contains(&(name.as_str(), field));
            Column { name: field, shape, mark: Mark { terse, required: required.contains(field), ..mark(schema) } }
        };
        let fields = properties(schema).map(|(field, schema)| (field.as_str(), schema));
        let fields = fields.zip(shapes.iter().map(String::as_str)).map(column).collect();
        let atomic = text(schema, MAP_TYPE) == "atomic";
        Line { name, atomic, gvk: self.kinds.get(component).cloned(), fields }.to_string()
    }

    fn shape(&self, schema: &Value) -> String {
        if let Some(target) = reference(schema) {
            return self.referred(target, text(schema, MAP_TYPE));
        }
        match (text(schema, "type"), text(schema, "format")) {
            ("string", "byte") => "y".to_owned(),
            ("string", "date-time") => "t".to_owned(),
            ("string", _) => "s".to_owned(),
            ("integer", "int32") => "i".to_owned(),
            ("integer", _) => "l".to_owned(),
            ("number", "double") => "d".to_owned(),
            ("number", _) => "n".to_owned(),
            ("boolean", _) => "b".to_owned(),
            ("array", _) => self.list(schema),
            ("object", _) => {
                let atomic = if text(schema, MAP_TYPE) == "atomic" { "!" } else { "" };
                let entry = schema.get("additionalProperties").map(|entry| self.shape(entry));
                entry.map_or_else(|| "?".to_owned(), |entry| format!("{atomic}{{{entry}}}"))
            }
            _ => "?".to_owned(),
        }
    }

    fn list(&self, schema: &Value) -> String {
        let item = schema.get("items").map_or_else(|| "?".to_owned(), |item| self.shape(item));
        let keys = texts(schema, "x-kubernetes-list-map-keys");
        match text(schema, "x-kubernetes-list-type") {
            "set" => format!("[{item}]*"),
            "map" => format!("[{item}]{}", keys.collect::<Vec<_>>().join(",")),
            _ => format!("[{item}]"),
        }
    }

    /// Another component; a field may say otherwise than the component itself whether it is owned as a whole.
    fn referred(&self, target: &str, own: &str) -> String {
        let Some(name) = self.names.get(target) else { return self.unnamed(target) };
        let is_atomic = self.components.get(target).is_some_and(|schema| text(schema, MAP_TYPE) == "atomic");
        match (is_atomic, own) {
            (true, "granular") => format!("&{name}"),
            (false, "atomic") => format!("!{name}"),
            _ => name.clone(),
        }
    }

    /// A component without fields: a scalar by another name, or anything.
    fn unnamed(&self, component: &str) -> String {
        let Some(schema) = self.components.get(component) else { return "?".to_owned() };
        match last_word(component) {
            "Quantity" => "q".to_owned(),
            // What somebody else's encoder wrote is one thing.
            "RawExtension" => "!".to_owned(),
            _ if text(schema, "format") == "int-or-string" => "x".to_owned(),
            _ => self.shape(schema),
        }
    }
}

/// The components that have fields and that some kind leads to.
fn reached<'a>(
    components: &Components<'a>,
    kinds: impl Iterator<Item = &'a str>,
) -> Result<BTreeSet<&'a str>, DistilError> {
    let mut reached = BTreeSet::new();
    let mut ahead: Vec<&str> = kinds.collect();
    while let Some(name) = ahead.pop() {
        let Some(schema) = components.get(name).filter(|_| reached.insert(name)) else { continue };
        let mut next = BTreeSet::new();
        mentioned(schema, &mut next);
        if let Some(to) = next.iter().find(|next| !components.contains_key(*next)) {
            return Err(DistilError::Dangling { from: name.to_owned(), to: (*to).to_owned() });
        }
        ahead.extend(next);
    }
    reached.retain(|name| components.get(name).is_some_and(|schema| properties(schema).next().is_some()));
    Ok(reached)
}

fn last_word(component: &str) -> &str {
    component.rsplit('.').next().unwrap_or(component)
}

/// The last word of a component's name; with group and version where several types share it.
fn names(reached: BTreeSet<&str>) -> BTreeMap<&str, String> {
    let mut shared: BTreeMap<&str, usize> = BTreeMap::new();
    for component in &reached {
        *shared.entry(last_word(component)).or_default() += 1;
    }
    let name = |component: &str| {
        let words: Vec<&str> = component.rsplitn(4, '.').collect();
        match words.as_slice() {
            [word, version, group, ..] if shared.get(word) > Some(&1) => format!("{word}.{group}.{version}"),
            _ => last_word(component).to_owned(),
        }
    };
    reached.into_iter().map(|component| (component, name(component))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document() -> Value {
        let string = json!({"type": "string", "default": ""});
        json!({"components": {"schemas": {
            "io.k8s.api.core.v1.Thing": {"type": "object", "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Thing"}],
                "properties": {
                    "kind": {"type": "string"}, "metadata": {"default": {}, "allOf": [{"$ref": "#/components/schemas/a.meta.v1.Meta"}]},
                    "ports": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.Port"}]},
                        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                        "x-kubernetes-patch-merge-key": "port", "x-kubernetes-patch-strategy": "merge"},
                    "tags": {"type": "array", "items": {"type": "string", "enum": ["a b", "c"]}, "x-kubernetes-list-type": "set"},
                    "strategy": {"allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.Port"}], "x-kubernetes-patch-strategy": "replace"},
                    "shared": {"allOf": [{"$ref": "#/components/schemas/io.k8s.api.core.v1.Port"}], "x-kubernetes-map-type": "granular"},
                    "whole": {"allOf": [{"$ref": "#/components/schemas/a.meta.v1.Meta"}], "x-kubernetes-map-type": "atomic"},
                    "data": {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}},
                    "ratio": {"type": "number", "format": "double"},
                    "args": {"type": "array", "items": string},
                    "labels": {"type": "object", "additionalProperties": string, "x-kubernetes-map-type": "atomic"},
                    "size": {"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.api.resource.Quantity"},
                    "limit": {"$ref": "#/components/schemas/io.k8s.IntOrString"},
                    "count": {"type": "integer", "format": "int32"}, "on": {"type": "boolean"}, "any": {"type": "object"},
                    "raw": {"$ref": "#/components/schemas/io.k8s.RawExtension"}}},
            "io.k8s.api.core.v1.ThingList": {"type": "object"},
            "io.k8s.api.core.v1.Port": {"type": "object", "x-kubernetes-map-type": "atomic", "required": ["port"], "properties": {
                "port": {"type": "integer", "default": 0}, "protocol": {"type": "string", "default": "TCP", "enum": ["TCP", "UDP"]}, "note": {"type": "string", "default": "x"}}},
            "a.meta.v1.Meta": {"type": "object", "properties": {"name": {"type": "string"}, "made": {"$ref": "#/components/schemas/io.k8s.Time"}, "other": {"$ref": "#/components/schemas/b.meta.v2.Port"}}},
            "b.meta.v2.Port": {"type": "object", "properties": {"x": {"type": "number"}}},
            "io.k8s.apimachinery.pkg.api.resource.Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
            "io.k8s.IntOrString": {"format": "int-or-string"},
            "io.k8s.RawExtension": {"type": "object"},
            "io.k8s.Time": {"type": "string", "format": "date-time"},
            "io.k8s.api.core.v1alpha1.Early": {"type": "object", "x-kubernetes-group-version-kind": [{"group": "", "version": "v1alpha1", "kind": "Early"}],
                "properties": {"kind": {"type": "string"}}},
            "io.k8s.api.core.v1alpha1.EarlyList": {"type": "object"},
        }}})
    }

    #[test]
    fn kinds_and_what_they_lead_to_get_a_line() {
        let table = distil(&[document()], "Meta name- other:Port.meta.v2\n").unwrap();
        let lines: Vec<&str> = table.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "Meta made:t name- other:Port.meta.v2",
            "Port.core.v1! note=x port:l+=0 protocol(TCP|UDP)=TCP",
            "Port.meta.v2 x:n",
            "Thing@v1/Thing any:? args:[s] count:i data:{y} kind labels:!{s} limit:x metadata:Meta={} on:b ports:[Port.core.v1]port,protocol~merge/port ratio:d raw:! shared:&Port.core.v1 size:q strategy:Port.core.v1~replace tags:[s]*(a%20b|c) whole:!Meta",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn documents_without_kinds_and_references_to_nothing_are_refused() {
        assert_eq!(distil(&[json!({}), json!([])], ""), Err(DistilError::NoKinds { documents: 2 }));
        let mut dangling = document();
        dangling["components"]["schemas"].as_object_mut().unwrap().remove("b.meta.v2.Port");
        let error = distil(&[dangling], "").unwrap_err().to_string();
        assert!(error.contains("a.meta.v1.Meta") && error.contains("b.meta.v2.Port"), "{error}");
    }
}
