//! Structural schemas of CRDs, read with the rules of the API server's own conversion (kube-openapi `schemaconv`).

use std::sync::Arc;

use serde_json::Value;

use super::distil::{mark, text, texts};
use super::{Format, ListKey, ListKind, ListShape, MapShape, Mark, OPAQUE, Shape};
use crate::domain::krm::Gvk;

/// Deepest nesting that is read; the API server's own limit on stored objects is far below it.
const MAX_DEPTH: usize = 64;

/// A CRD that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CrdError {
    /// A field without which there is no kind.
    #[error("reading CRD {name:?}: {field} is missing")]
    FieldMissing {
        /// `metadata.name`.
        name: String,
        /// The field.
        field: &'static str,
    },
    /// The schema is nested too deeply.
    #[error("reading the schema of CRD {name:?}: it is nested deeper than {MAX_DEPTH} levels")]
    TooDeep {
        /// `metadata.name`.
        name: String,
    },
    /// A list of type `map` without keys.
    #[error("reading the schema of CRD {name:?}: a list of type map has no x-kubernetes-list-map-keys")]
    KeysMissing {
        /// `metadata.name`.
        name: String,
    },
}

/// A kind, its root shape, and its schema as it is declared.
type Declared = (Gvk, Shape, Option<Arc<Value>>);

/// The kinds of a CRD.
pub(super) fn read(crd: &Value, object_meta: &Shape) -> Result<Vec<Declared>, CrdError> {
    let name = crd.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let reader = Reader { name, object_meta };
    let group = reader.text(crd, "/spec/group", "spec.group")?;
    let kind = reader.text(crd, "/spec/names/kind", "spec.names.kind")?;
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array);
    let versions = versions.ok_or_else(|| reader.missing("spec.versions"))?;
    let preserve = crd.pointer("/spec/preserveUnknownFields") == Some(&Value::Bool(true));
    let read = |version: &Value| {
        let gvk = Gvk::new(group, reader.text(version, "/name", "spec.versions.name")?, kind);
        let schema = version.pointer("/schema/openAPIV3Schema");
        Ok((gvk, reader.root(schema, preserve)?, schema.cloned().map(Arc::new)))
    };
    versions.iter().map(read).collect()
}

struct Reader<'a> {
    name: &'a str,
    object_meta: &'a Shape,
}

impl Reader<'_> {
    fn missing(&self, field: &'static str) -> CrdError {
        CrdError::FieldMissing { name: self.name.to_owned(), field }
    }

    fn text<'v>(&self, value: &'v Value, pointer: &str, field: &'static str) -> Result<&'v str, CrdError> {
        value.pointer(pointer).and_then(Value::as_str).ok_or_else(|| self.missing(field))
    }

    fn root(&self, schema: Option<&Value>, preserve: bool) -> Result<Shape, CrdError> {
        let shape = schema.map(|schema| self.shape(schema, preserve, MAX_DEPTH)).transpose()?;
        let mut map = match shape {
            Some(Shape::Map(map)) => map,
            _ => MapShape { element: Some(Box::new(Shape::Any)), ..MapShape::default() },
        };
        self.add_object_fields(&mut map);
        Ok(Shape::Map(map))
    }

    fn add_object_fields(&self, map: &mut MapShape) {
        map.fields.insert("apiVersion".to_owned(), Shape::Scalar(Format::Text));
        map.fields.insert("kind".to_owned(), Shape::Scalar(Format::Text));
        map.fields.insert("metadata".to_owned(), self.object_meta.clone());
    }

    fn shape(&self, schema: &Value, preserve: bool, depth: usize) -> Result<Shape, CrdError> {
        let depth = depth.checked_sub(1).ok_or_else(|| CrdError::TooDeep { name: self.name.to_owned() })?;
        let preserve = preserve || flag(schema, "x-kubernetes-preserve-unknown-fields");
        if flag(schema, "x-kubernetes-int-or-string") {
            return Ok(Shape::Scalar(Format::IntOrString));
        }
        match schema.get("type").and_then(Value::as_str) {
            Some("object") => self.map(schema, preserve, depth),
            Some("array") => self.list(schema, preserve, depth),
            Some("integer") if text(schema, "format") == "int32" => Ok(Shape::Scalar(Format::Int32)),
            Some("integer") => Ok(Shape::Scalar(Format::Int64)),
            Some("number") => Ok(Shape::Scalar(Format::Number)),
            Some("boolean") => Ok(Shape::Scalar(Format::Bool)),
            Some("string") if text(schema, "format") == "duration" => Ok(Shape::Scalar(Format::Duration)),
            Some("string") if !matches!(text(schema, "format"), "" | "byte") => Ok(Shape::Scalar(Format::Formatted)),
            Some(_) => Ok(Shape::Scalar(Format::Text)),
            None if schema.get("properties").is_some() => self.map(schema, preserve, depth),
            None => Ok(Shape::Any),
        }
    }

    fn map(&self, schema: &Value, preserve: bool, depth: usize) -> Result<Shape, CrdError> {
        let mut map = MapShape { atomic: text(schema, "x-kubernetes-map-type") == "atomic", ..MapShape::default() };
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            map.fields.insert(name.clone(), self.shape(field, preserve, depth)?);
            let mark = Mark { values: mark(field).values, ..Mark::default() };
            if !mark.values.is_empty() {
                map.marks.insert(name.clone(), mark);
            }
        }
        for name in texts(schema, "required") {
            map.marks.entry(name.to_owned()).or_default().required = true;
        }
        map.element = match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => None,
            Some(Value::Bool(true)) => Some(Box::new(Shape::Any)),
            Some(element) => Some(Box::new(self.shape(element, preserve, depth)?)),
            None if preserve || map.fields.is_empty() => Some(Box::new(Shape::Any)),
            None => None,
        };
        if flag(schema, "x-kubernetes-embedded-resource") {
            self.add_object_fields(&mut map);
        }
        Ok(Shape::Map(map))
    }

    fn list(&self, schema: &Value, preserve: bool, depth: usize) -> Result<Shape, CrdError> {
        let items = schema.get("items");
        let element = items.map_or(Ok(OPAQUE.clone()), |items| self.shape(items, preserve, depth))?;
        let kind = match text(schema, "x-kubernetes-list-type") {
            "set" => ListKind::Set,
            "map" => ListKind::Keyed(self.keys(schema)?),
            _ => ListKind::Atomic,
        };
        Ok(Shape::List(ListShape { element: Box::new(element), kind }))
    }

    fn keys(&self, schema: &Value) -> Result<Vec<ListKey>, CrdError> {
        let names = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten();
        let properties = schema.pointer("/items/properties");
        let key = |name: &str| ListKey {
            name: name.to_owned(),
            default: properties.and_then(|fields| fields.get(name)?.get("default")).cloned(),
        };
        let keys: Vec<ListKey> = names.filter_map(Value::as_str).map(key).collect();
        if keys.is_empty() { Err(CrdError::KeysMissing { name: self.name.to_owned() }) } else { Ok(keys) }
    }
}

fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or_default()
}
