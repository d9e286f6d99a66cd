//! Reading an object of a request: is it of this kind, does it hold only known fields of the right types.
//!
//! Source: field validation (`fieldValidation=Ignore|Warn|Strict`) and decoding errors of the API server.

use serde_json::Value;

use crate::apiserver::core::Writer;
use crate::apiserver::kinds::{Kind, Kinds, Resource};
use crate::apiserver::remarks::strictly;
use crate::apiserver::request::unrecognized;
use crate::apiserver::status::{ApiError, Cause};
use crate::apiserver::{metadata, zero};
use crate::domain::krm::Gvk;
use crate::domain::krm::defaults;
use crate::domain::krm::normal::{drop_zeros, normalise};
use crate::domain::krm::scalar::{self, FormatError};
use crate::domain::krm::schema::{Format, Node, Shape};
use crate::domain::krm::structural;
pub(super) use crate::domain::krm::value::json_type;
use crate::domain::krm::value::{MAX_DEPTH, MAX_DEPTH_OWNED, depth};

/// What to do about fields that a kind does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// Drop them silently.
    Ignore,
    /// Drop them and say so in a `Warning` header.
    #[default]
    Warn,
    /// Refuse the request.
    Strict,
}

/// Reads an object of a request: its type, its fields, then its place, a namespace and a name where the path says them.
/// Gives the warnings.
///
/// # Errors
/// 400 that names what is wrong, in the order in which the server reads.
pub fn read(
    kinds: &Kinds,
    kind: &Kind,
    object: &mut Value,
    place: (Option<&str>, Option<&str>),
    writer: &Writer,
) -> Result<Vec<String>, ApiError> {
    check_form(kinds, kind, object)?;
    let warnings = settle(kinds, kind, object, writer)?;
    check_place(kind, object, place.0, place.1).map_err(|error| error.with_warnings(&warnings))?;
    Ok(warnings)
}

/// Checks that an object is of this kind, in this namespace and of this name (where the path says so), and fills in the
/// namespace.
///
/// # Errors
/// 400 that names the difference.
pub fn check_envelope(
    kinds: &Kinds,
    kind: &Kind,
    object: &mut Value,
    namespace: Option<&str>,
    name: Option<&str>,
) -> Result<(), ApiError> {
    check_form(kinds, kind, object)?;
    check_place(kind, object, namespace, name)
}

fn check_form(kinds: &Kinds, kind: &Kind, object: &mut Value) -> Result<(), ApiError> {
    if !object.is_object() {
        return Err(ApiError::no_object(object));
    }
    check_depth(object)?;
    if object.get("metadata").is_some_and(|metadata| !metadata.is_object() && !metadata.is_null()) {
        return Err(misplaced_metadata(kind, object));
    }
    if object.get("metadata").is_none_or(Value::is_null) {
        object["metadata"] = serde_json::json!({});
    }
    check_type(kinds, kind, object)
}

/// Metadata that are no map.
fn misplaced_metadata(kind: &Kind, object: &Value) -> ApiError {
    let (version, name) = (&kind.gvk.version, &kind.gvk.kind);
    let found = object.get("metadata").map_or("null", json_type);
    let why = format!("json: cannot unmarshal {found} into Go struct field {name}.metadata of type v1.ObjectMeta");
    ApiError::undecodable(name, version, name, &why)
}

/// Refuses an object that does not say rightly of which kind and version it is: what a built-in one does not say, its
/// path says. `body` is what was sent.
///
/// # Errors
/// 400 in the words of the server's decoder.
pub fn check_sent(kind: &Kind, object: &Value, body: &[u8]) -> Result<(), ApiError> {
    let unrecognized = |why: &str| Err(ApiError::bad_request(unrecognized(&kind.gvk.kind, why, body)));
    for field in ["apiVersion", "kind"] {
        if let Some(other) = object.get(field).filter(|value| !value.is_string() && !value.is_null()) {
            let found = json_type(other);
            let why = format!("json: cannot unmarshal {found} into Go struct field .{field} of type string");
            return unrecognized(&format!("couldn't get version/kind; json parse error: {why}"));
        }
    }
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let version = text("apiVersion");
    if version.matches('/').count() > 1 {
        return unrecognized(&format!("unexpected GroupVersion string: {version}"));
    }
    if !kind.is_custom() {
        return Ok(());
    }
    if text("kind").is_empty() {
        return unrecognized(&format!("Object 'Kind' is missing in '{}'", String::from_utf8_lossy(body)));
    }
    check_version(version, &kind.gvk.api_version())
}

/// Refuses a version other than the wanted one.
///
/// # Errors
/// 400 that names both.
pub(super) fn check_version(found: &str, wanted: &str) -> Result<(), ApiError> {
    if found == wanted {
        return Ok(());
    }
    let why = format!("the API version in the data ({found}) does not match the expected API version ({wanted})");
    Err(ApiError::bad_request(why))
}

/// Refuses a new custom resource of another kind of the same version.
///
/// # Errors
/// 422 about the kind.
pub fn check_new(kind: &Kind, object: &Value) -> Result<(), ApiError> {
    let found = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    if !kind.is_custom() || found == kind.gvk.kind {
        return Ok(());
    }
    let cause = Cause::invalid("kind", &Value::from(found), &format!("must be {}", kind.gvk.kind));
    let about = Resource::new(&kind.gvk.group, found);
    Err(ApiError::invalid_as(&about, metadata::text(object, "name"), vec![cause]))
}

/// Refuses an object that is nested so deep that it could not be read again once it is stored.
fn check_depth(object: &Value) -> Result<(), ApiError> {
    let whole = depth(object);
    let is_fit = whole <= MAX_DEPTH || (whole <= MAX_DEPTH_OWNED && depth_without_owners(object) <= MAX_DEPTH);
    if is_fit { Ok(()) } else { Err(ApiError::too_deep(MAX_DEPTH)) }
}

fn depth_without_owners(object: &Value) -> usize {
    let fields = |value: &Value, left_out: &str| {
        let kept = value.as_object().into_iter().flatten().filter(|(name, _)| *name != left_out);
        kept.map(|(_, value)| depth(value)).max().unwrap_or_default()
    };
    let metadata = object.get("metadata").map_or(0, |metadata| 1 + fields(metadata, "managedFields"));
    1 + fields(object, "metadata").max(metadata)
}

fn check_place(kind: &Kind, object: &mut Value, namespace: Option<&str>, name: Option<&str>) -> Result<(), ApiError> {
    match (kind.namespaced, metadata::text(object, "namespace")) {
        (true, "") => metadata::set(object, "namespace", namespace.unwrap_or_default().into()),
        (true, found) if namespace.is_none_or(|wanted| wanted == found) => {}
        (false, "") => {}
        (true, _) => {
            return Err(ApiError::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        (false, _) => drop(metadata::of(object).and_then(|metadata| metadata.remove("namespace"))),
    }
    match (name, metadata::text(object, "name")) {
        (Some(wanted), "") => metadata::set(object, "name", wanted.into()),
        (Some(wanted), found) if found != wanted => {
            return Err(ApiError::other_name(found, wanted));
        }
        _ => {}
    }
    Ok(())
}

fn check_type(kinds: &Kinds, kind: &Kind, object: &mut Value) -> Result<(), ApiError> {
    for (field, wanted) in [("apiVersion", kind.gvk.api_version()), ("kind", kind.gvk.kind.clone())] {
        if object.get(field).and_then(Value::as_str).unwrap_or_default().is_empty() {
            object[field] = Value::String(wanted);
        }
    }
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let found = Gvk::parse(text("apiVersion"), text("kind"));
    if found == kind.gvk {
        return Ok(());
    }
    let package = |gvk: &Gvk| gvk.group.split('.').next().filter(|name| !name.is_empty()).unwrap_or("core").to_owned();
    let why = if kinds.by_gvk(&found).is_some() {
        let (from, to) = (&found.version, package(&kind.gvk));
        format!("converting ({from}.{}) to ({to}.{}): unknown conversion", found.kind, kind.gvk.kind)
    } else {
        let (name, version) = (&found.kind, found.api_version());
        format!("no kind {name:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\"")
    };
    Err(ApiError::undecodable(&found.kind, &found.version, &kind.gvk.kind, &why))
}

/// Drops unknown fields, checks types, fills in defaults. Gives the warnings.
///
/// # Errors
/// 400 in the words of the server's decoder.
pub fn settle(kinds: &Kinds, kind: &Kind, object: &mut Value, writer: &Writer) -> Result<Vec<String>, ApiError> {
    let refuse = |why: &str| {
        let (version, kind) = (&kind.gvk.version, &kind.gvk.kind);
        ApiError::undecodable(kind, version, kind, why)
    };
    let unknown = if kind.is_custom() {
        let unknown = kind.schema.as_deref().map(|schema| structural::prune(object, schema)).unwrap_or_default();
        let known = settle_metadata(kinds, kind, object).map_err(|why| refuse(&why))?;
        let embedded = kind.schema.as_deref().map(|schema| settle_embedded(kinds, object, schema)).transpose();
        [known, unknown, embedded.map_err(|why| refuse(&why))?.unwrap_or_default()].concat()
    } else {
        let schema = kinds.merge_schema(&kind.gvk);
        let mut walk = Walk { unknown: Vec::new(), wrong: None, kind: &kind.gvk.kind };
        walk.value(object, schema.node(), "", MAX_DEPTH);
        if let Some(wrong) = walk.wrong {
            return Err(refuse(&wrong));
        }
        let owners = object.pointer("/metadata/managedFields").cloned();
        *object = normalise(object, schema);
        keep_owners(object.get_mut("metadata"), owners);
        walk.unknown
    };
    let warnings = tell(writer, &unknown, !kind.is_custom(), refuse)?;
    fill_defaults(kinds, kind, object);
    Ok(warnings)
}

/// What a writer is told who sent fields that are not known: warnings. `is_ordered` tells kinds of which it is told in
/// the order of the fields that were sent.
///
/// # Errors
/// What `refuse` makes of it, when the writer wants no such fields.
pub(super) fn tell(
    writer: &Writer,
    unknown: &[String],
    is_ordered: bool,
    refuse: impl FnOnce(&str) -> ApiError,
) -> Result<Vec<String>, ApiError> {
    let mut named = told(&writer.remarks, unknown);
    if let Some(sent) = writer.sent.as_ref().filter(|_| is_ordered) {
        sent.sort(&mut named);
    }
    match writer.validation {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(named),
        FieldValidation::Strict if named.is_empty() => Ok(named),
        FieldValidation::Strict => Err(refuse(&format!("strict decoding error: {}", strictly(&named)))),
    }
}

/// What is said about an object: remarks about what it holds, then what it should not hold, about which there is no
/// more to say.
fn told(remarks: &[String], unknown: &[String]) -> Vec<String> {
    let is_below = |remark: &&String| {
        let place = remark.strip_prefix("duplicate field \"");
        let below = |path: &String| place.and_then(|place| place.strip_prefix(path.as_str()));
        unknown.iter().filter_map(below).any(|rest| rest.starts_with(['"', '.', '[']))
    };
    let remarks = remarks.iter().filter(|remark| !is_below(remark)).cloned();
    remarks.chain(unknown.iter().map(|path| format!("unknown field {path:?}"))).collect()
}

/// The metadata of a custom resource is read as that of any object, whatever its schema says. Gives unknown fields.
///
/// # Errors
/// The decoder's words for a wrong type.
pub(super) fn settle_metadata(kinds: &Kinds, kind: &Kind, object: &mut Value) -> Result<Vec<String>, String> {
    let Some(metadata) = object.get_mut("metadata") else { return Ok(Vec::new()) };
    let schema = kinds.metadata_schema();
    let mut walk = Walk { unknown: Vec::new(), wrong: None, kind: &kind.gvk.kind };
    walk.value(metadata, schema.node(), "metadata", MAX_DEPTH);
    if let Some(wrong) = walk.wrong {
        return Err(wrong);
    }
    let owners = metadata.get("managedFields").cloned();
    *metadata = normalise(metadata, schema);
    keep_owners(Some(metadata), owners.filter(|owners| owners.as_array().is_some_and(|list| !list.is_empty())));
    Ok(walk.unknown)
}

/// The type and the metadata of resources within a custom resource are read as those of any object. Gives unknown
/// fields.
///
/// # Errors
/// The decoder's words for a wrong type.
fn settle_embedded(kinds: &Kinds, object: &mut Value, schema: &Value) -> Result<Vec<String>, String> {
    let mut unknown = Vec::new();
    let mut see = |resource: &mut Value, path: &str| {
        for name in ["apiVersion", "kind"] {
            if let Some(value) = resource.get(name).filter(|value| !value.is_string()) {
                return Err(format!("{path}.{name}: Invalid value: {value}: must be a string"));
            }
        }
        let Some(metadata) = resource.get_mut("metadata") else { return Ok(()) };
        let sent = metadata.to_string();
        let mut walk = Walk { unknown: Vec::new(), wrong: None, kind: "ObjectMeta" };
        walk.value(metadata, kinds.metadata_schema().node(), "metadata", MAX_DEPTH);
        if let Some(wrong) = walk.wrong {
            return Err(format!("{path}.metadata: Invalid value: {sent}: {wrong}"));
        }
        unknown.extend(walk.unknown.iter().map(|name| format!("{path}.{name}")));
        *metadata = normalise(metadata, kinds.metadata_schema());
        Ok(())
    };
    structural::visit_embedded(object, schema, &mut see)?;
    Ok(unknown)
}

/// An empty list of owners says something: that there are none.
fn keep_owners(metadata: Option<&mut Value>, owners: Option<Value>) {
    if let (Some(metadata), Some(owners @ Value::Array(_))) = (metadata.and_then(Value::as_object_mut), owners) {
        metadata.insert("managedFields".to_owned(), owners);
    }
}

/// Leaves out what is zero and fills in the defaults of a kind.
pub fn fill_defaults(kinds: &Kinds, kind: &Kind, object: &mut Value) {
    match kind.schema.as_deref() {
        Some(schema) => defaults::fill_structural(object, schema),
        None if kind.is_custom() => {}
        None => {
            let node = kinds.merge_schema(&kind.gvk).node();
            drop_zeros(object, node);
            zero::fill(&kind.gvk, object);
            defaults::fill(&kind.gvk, object, node);
        }
    }
}

/// A walk over an object of a built-in kind.
struct Walk<'a> {
    unknown: Vec<String>,
    wrong: Option<String>,
    kind: &'a str,
}

impl Walk<'_> {
    fn value(&mut self, value: &mut Value, node: Node<'_>, path: &str, depth: usize) {
        if depth == 0 {
            self.refuse("object", path, "a value of less depth");
            return;
        }
        match (node.shape(), &mut *value) {
            (_, Value::Null) | (Shape::Any | Shape::Opaque | Shape::Named(_), _) => {}
            (Shape::Map(map), Value::Object(fields)) => fields.retain(|name, value| {
                let here = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let Some(shape) = map.fields.get(name).or(map.element.as_deref()) else {
                    self.unknown.push(here);
                    return false;
                };
                self.value(value, node.at(shape), &here, depth - 1);
                true
            }),
            (Shape::List(list), Value::Array(items)) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(item, node.at(&list.element), &format!("{path}[{index}]"), depth - 1);
                }
            }
            (Shape::Scalar(format), value) if fits(*format, value) => self.form(*format, value, path),
            (shape, value) => self.refuse(json_type(value), path, go_type(shape)),
        }
    }

    /// A scalar of the right type may still not be written as it must be.
    fn form(&mut self, format: Format, value: &Value, path: &str) {
        let field = path.rsplit('.').next().unwrap_or_default();
        match scalar::fault(format, field, value) {
            None => {}
            Some(FormatError::Integer { wanted, .. } | FormatError::OutOfRange { wanted, .. }) => {
                self.refuse(&format!("number {value}"), path, wanted);
            }
            Some(error) => {
                self.wrong.get_or_insert(error.to_string());
            }
        }
    }

    fn refuse(&mut self, found: &str, path: &str, wanted: &str) {
        let message =
            format!("json: cannot unmarshal {found} into Go struct field {}.{path} of type {wanted}", self.kind);
        self.wrong.get_or_insert(message);
    }
}

fn fits(format: Format, value: &Value) -> bool {
    match format {
        Format::Text | Format::Bytes | Format::Time | Format::Duration | Format::Formatted => value.is_string(),
        Format::Number | Format::Int32 | Format::Int64 => value.is_number(),
        Format::Bool => value.is_boolean(),
        Format::IntOrString => value.is_string() || value.is_number(),
        // What it is not is told by its form.
        Format::Quantity => value.is_string() || value.is_number() || value.is_boolean(),
    }
}

const fn go_type(shape: &Shape) -> &'static str {
    match shape {
        Shape::Scalar(Format::Text | Format::Bytes | Format::Time | Format::Duration | Format::Formatted) => "string",
        Shape::Scalar(Format::Int32) => "int32",
        Shape::Scalar(Format::Int64) => "int64",
        Shape::Scalar(Format::Number) => "float64",
        Shape::Scalar(Format::Bool) => "bool",
        Shape::Scalar(Format::Quantity) => "resource.Quantity",
        Shape::Scalar(Format::IntOrString) => "intstr.IntOrString",
        Shape::List(_) => "slice",
        _ => "struct",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(object: &mut Value, validation: FieldValidation) -> Result<Vec<String>, ApiError> {
        let kinds = Kinds::builtin();
        let kind = kinds.by_gvk(&Gvk::new("apps", "v1", "Deployment")).unwrap();
        check_envelope(&kinds, kind, object, Some("core"), None)?;
        settle(&kinds, kind, object, &Writer { validation, ..Writer::named("me") })
    }

    #[test]
    fn nothing_more_is_said_about_what_is_unknown() {
        let remarks = ["a", "x", "x.b", "x[0].b", "xy"].map(|path| format!("duplicate field {path:?}"));
        let expected = [r#"duplicate field "a""#, r#"duplicate field "xy""#, r#"unknown field "x""#];
        assert_eq!(told(&remarks, &["x".to_owned()]), expected);
    }

    #[test]
    fn unknown_fields_are_dropped_told_or_refused() {
        let object = json!({"metadata": {"name": "a"}, "spec": {"replicas": 2, "replica": 1, "template": {"spec": {"containers": [{"name": "a", "img": "x"}]}}}});
        let mut dropped = object.clone();
        let warnings = read(&mut dropped, FieldValidation::Warn).unwrap();
        assert_eq!(
            warnings,
            [r#"unknown field "spec.replica""#, r#"unknown field "spec.template.spec.containers[0].img""#]
        );
        assert_eq!((dropped["spec"].get("replica"), &dropped["metadata"]["namespace"]), (None, &json!("core")));
        let error = read(&mut object.clone(), FieldValidation::Strict).unwrap_err();
        assert!(error.message.starts_with(r#"Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec.replica""#));
    }

    #[test]
    fn wrong_types_kinds_names_and_namespaces_are_refused() {
        let table = [
            json!({"spec": {"replicas": "two"}}),
            json!({"kind": "Pod"}),
            json!({"apiVersion": "apps/v2"}),
            json!({"metadata": {"namespace": "edge"}}),
            json!({"metadata": 3}),
            json!([]),
        ];
        for mut object in table {
            assert_eq!(read(&mut object, FieldValidation::Warn).unwrap_err().code, 400, "{object}");
        }
    }
}
