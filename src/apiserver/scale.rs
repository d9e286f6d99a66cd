//! The scale subresource: replicas of a kind as `autoscaling/v1` `Scale`.

mod sent;

use std::cell::RefCell;

use serde_json::{Value, json};

use crate::apiserver::convert;
use crate::apiserver::core::{Core, Writer, Written};
use crate::apiserver::kinds::{Kind, Resource, ScalePaths};
use crate::apiserver::metadata;
use crate::apiserver::patch::{APPLY, Patch, check_unmanaged};
use crate::apiserver::request::{Request, configuration as read_configuration};
use crate::apiserver::route::Target;
use crate::apiserver::status::{ApiError, Cause};
use crate::domain::krm::fieldset::FieldSet;
use crate::domain::krm::managed::Operation;
use crate::domain::krm::{Path as FieldPath, managed};

/// Version and kind of a scale.
const SCALE: (&str, &str) = ("autoscaling/v1", "Scale");
/// Versions of which a scale once was.
const OLD_SCALES: [&str; 3] = ["apps/v1beta1", "apps/v1beta2", "extensions/v1beta1"];

fn paths(target: &Target) -> Result<&ScalePaths, ApiError> {
    target.kind.subresources.scale.as_ref().ok_or_else(ApiError::no_such_path)
}

fn pointer(path: &str) -> String {
    path.replace('.', "/")
}

/// The scale of an object.
#[must_use]
fn scale_of(object: &Value, paths: &ScalePaths) -> Value {
    let number = |path: &str| object.pointer(&pointer(path)).and_then(Value::as_i64).unwrap_or_default();
    let mut metadata = json!({});
    for name in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.get("metadata").and_then(|metadata| metadata.get(name)) {
            metadata[name] = value.clone();
        }
    }
    let mut status = json!({"replicas": number(&paths.status_replicas)});
    if let Some(selector) = object.pointer(&pointer(&paths.selector)).and_then(selector_text) {
        status["selector"] = json!(selector);
    }
    let replicas = number(&paths.spec_replicas);
    let spec = if replicas == 0 { json!({}) } else { json!({"replicas": replicas}) };
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

/// A selector as text: `a=b,c in (d,e)`.
fn selector_text(selector: &Value) -> Option<String> {
    if let Some(text) = selector.as_str() {
        return Some(text.to_owned());
    }
    let equal = |(key, value): (&String, &Value)| Some(format!("{key}={}", value.as_str()?));
    let labels = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten().filter_map(equal);
    let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
    let parts: Vec<String> = labels.chain(expressions.filter_map(expression_text)).collect();
    (!parts.is_empty()).then(|| parts.join(","))
}

fn expression_text(expression: &Value) -> Option<String> {
    let key = expression.get("key")?.as_str()?;
    let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
    let values = values.filter_map(Value::as_str).collect::<Vec<_>>().join(",");
    match expression.get("operator")?.as_str()? {
        "In" => Some(format!("{key} in ({values})")),
        "NotIn" => Some(format!("{key} notin ({values})")),
        "Exists" => Some(key.to_owned()),
        "DoesNotExist" => Some(format!("!{key}")),
        _ => None,
    }
}

fn replicas_of(kind: &Kind) -> Option<FieldPath> {
    let paths = kind.subresources.scale.as_ref()?;
    let steps: Vec<&str> = paths.spec_replicas.trim_start_matches('.').split('.').collect();
    Some(FieldPath::fields(&steps))
}

/// Gives those who own replicas by updates an entry for these alone, without a time: the real server names owners by
/// the version in which they wrote, which in a scale is another one, and so does not know them again.
pub(super) fn part_owners(kind: &Kind, object: &mut Value) {
    let (Some(path), Ok(entries)) = (replicas_of(kind), managed::read(object)) else { return };
    let mut parted = Vec::new();
    for mut entry in entries {
        if entry.operation == Operation::Update && entry.fields.contains(path.elements()) {
            let mut alone = FieldSet::new();
            alone.insert(path.elements());
            let rest = entry.fields.difference(&alone);
            parted.push(managed::Entry { fields: alone, time: None, ..entry.clone() });
            entry.fields = rest;
        }
        if !entry.fields.is_empty() {
            parted.push(entry);
        }
    }
    managed::write(object, parted);
}

/// Whether anybody owns the replicas of an object: a scale without owners, like any such object, gets none by an
/// update.
pub(super) fn has_owner(kind: &Kind, object: &Value) -> bool {
    let Some(path) = replicas_of(kind) else { return false };
    let owners = managed::read(object).unwrap_or_default();
    owners.iter().any(|entry| entry.fields.contains(path.elements()))
}

/// Replicas of a custom resource that no scale could show.
#[must_use]
pub(super) fn faults(kind: &Kind, object: &Value) -> Vec<Cause> {
    let Some(paths) = &kind.subresources.scale else { return Vec::new() };
    let counted = [&paths.spec_replicas, &paths.status_replicas];
    let replicas = counted.into_iter().filter_map(|path| Some((path, object.pointer(&pointer(path))?.as_i64()?)));
    let fault = |(path, count): (&String, i64)| {
        let most = i64::from(i32::MAX);
        let detail = match count {
            ..0 => "should be a non-negative integer".to_owned(),
            count if count > most => format!("should be less than or equal to {most}"),
            _ => return None,
        };
        Some(Cause::invalid(path, &json!(count), &detail))
    };
    replicas.filter_map(fault).collect()
}

/// A custom resource that says nothing of its replicas has no scale.
fn check_scaled(target: &Target, object: &Value, paths: &ScalePaths) -> Result<(), ApiError> {
    if !target.kind.is_custom() || object.pointer(&pointer(&paths.spec_replicas)).is_some() {
        return Ok(());
    }
    Err(ApiError::internal(format!("the spec replicas field {:?} does not exist", paths.spec_replicas)))
}

/// An object as its scale shows it: no replicas are none that anybody could own.
pub(super) fn shown(kind: &Kind, object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(paths) = &kind.subresources.scale
        && object.pointer(&pointer(&paths.spec_replicas)) == Some(&json!(0))
        && let Some((above, last)) = pointer(&paths.spec_replicas).rsplit_once('/')
        && let Some(fields) = object.pointer_mut(above).and_then(Value::as_object_mut)
    {
        fields.remove(last);
    }
    object
}

/// Gives an object the replicas of another.
pub(super) fn copy_replicas(kind: &Kind, from: &Value, to: &mut Value) {
    let Some(paths) = &kind.subresources.scale else { return };
    if let Some(replicas) = from.pointer(&pointer(&paths.spec_replicas)) {
        set(to, &paths.spec_replicas, replicas.clone());
    }
}

/// Takes the times off the entries of those who scaled.
pub(super) fn forget_times(object: &mut Value) {
    let entries = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut).into_iter().flatten();
    for entry in entries.filter(|entry| entry["subresource"] == "scale").filter_map(Value::as_object_mut) {
        entry.remove("time");
    }
}

/// A scale as a configuration of the object that is scaled.
fn configuration(target: &Target, name: &str, replicas: Option<i32>, paths: &ScalePaths) -> Value {
    let gvk = &target.kind.gvk;
    let mut config = json!({"apiVersion": gvk.api_version(), "kind": gvk.kind, "metadata": {"name": name}});
    if let Some(replicas) = replicas {
        set(&mut config, &paths.spec_replicas, json!(replicas));
    }
    config
}

impl Core {
    /// Reads the scale of an object.
    ///
    /// # Errors
    /// 404 when there is no such object.
    pub(super) fn scale(&self, target: &Target, name: &str) -> Result<Value, ApiError> {
        let found = self.store().get(&target.key(name));
        let found = found.ok_or_else(|| ApiError::not_found(&target.resource(), name))?;
        let (shown, paths) = (convert::shown(&target.kind, &found), paths(target)?);
        check_scaled(target, &shown, paths)?;
        Ok(scale_of(&shown, paths))
    }

    /// Replaces or patches the scale of an object; gives the new scale.
    ///
    /// # Errors
    /// 400, 404, 409, 422 as for any write.
    pub(super) fn rescale(
        &self,
        target: &Target,
        name: &str,
        request: &Request,
        writer: &Writer,
    ) -> Result<Written, ApiError> {
        let paths = paths(target)?;
        if request.content_type == APPLY {
            return self.apply_scale(target, name, &read_configuration(&request.body)?, writer);
        }
        let change = if request.method == http::Method::PUT {
            let scale = request.object_of(SCALE.1)?;
            sent::read(&target.kind, &scale, writer)?;
            check_name(&scale, name)?;
            Patch::Whole(scale)
        } else {
            Patch::of_part(&target.kind, request)?
        };
        let warnings = RefCell::new(Vec::new());
        let edited = self.edit(target, name, &writer.once_told(), |old| {
            let scale = change.applied(&scale_of(old, paths))?;
            check_name(&scale, name)?;
            *warnings.borrow_mut() = sent::read(&target.kind, &scale, writer).map_err(|error| {
                if matches!(change, Patch::Whole(_)) { error } else { error.of_patch(&scale.to_string()) }
            })?;
            let replicas = sent::replicas_in(&scale);
            check_replicas(&target.kind, name, &replicas)?;
            let mut new = old.clone();
            set(&mut new, &paths.spec_replicas, replicas);
            let version = metadata::text(&scale, "resourceVersion").to_owned();
            metadata::set(&mut new, "resourceVersion", Value::String(version));
            Ok(new)
        });
        let warnings = warnings.into_inner();
        let written = edited.map_err(|error| error.with_warnings(&warnings))?;
        let object = scale_of(&convert::shown(&target.kind, &written.object), paths).into();
        Ok(Written { object, ..written }.told(&warnings))
    }

    /// Applies the configuration of a scale; gives the new scale.
    fn apply_scale(&self, target: &Target, name: &str, scale: &Value, writer: &Writer) -> Result<Written, ApiError> {
        let paths = paths(target)?;
        check_unmanaged(scale)?;
        if self.store().get(&target.key(name)).is_none() {
            return Err(ApiError::not_found(&target.resource(), name));
        }
        sent::check_configuration(&target.kind, scale, name)?;
        let replicas = sent::configured(scale);
        check_replicas(&target.kind, name, &json!(replicas.unwrap_or_default()))?;
        let applied = self.apply(target, name, &configuration(target, name, replicas, paths), writer);
        let written = applied.map_err(|error| as_of_scale(error, &target.kind))?;
        let object = scale_of(&convert::shown(&target.kind, &written.object), paths).into();
        Ok(Written { object, ..written })
    }
}

/// Who owns the replicas of a scale owns them in its version, whatever it wrote in.
fn as_of_scale(mut error: ApiError, kind: &Kind) -> ApiError {
    let (own, shown) = (format!(" using {}", kind.gvk.api_version()), format!(" using {}", SCALE.0));
    if error.code == 409 {
        error.message = error.message.replace(&own, &shown);
        for cause in &mut error.details.causes {
            cause.message = cause.message.replace(&own, &shown);
        }
    }
    error
}

/// A scale is called like the object that is scaled.
fn check_name(scale: &Value, name: &str) -> Result<(), ApiError> {
    match metadata::text(scale, "name") {
        "" => Err(ApiError::nameless(name)),
        found if found != name => Err(ApiError::other_name(found, name)),
        _ => Ok(()),
    }
}

/// There are no fewer replicas than none. Those of a custom resource are looked at with the rest of it.
fn check_replicas(kind: &Kind, name: &str, replicas: &Value) -> Result<(), ApiError> {
    if kind.is_custom() || replicas.as_i64().is_some_and(|replicas| replicas >= 0) {
        return Ok(());
    }
    let cause = Cause::invalid("spec.replicas", replicas, "must be greater than or equal to 0");
    Err(ApiError::invalid_as(&Resource::new("autoscaling", "Scale"), name, vec![cause]))
}

fn set(object: &mut Value, path: &str, value: Value) {
    let mut steps = path.trim_start_matches('.').split('.').peekable();
    let mut here = object;
    while let Some(step) = steps.next() {
        let Some(fields) = here.as_object_mut() else { return };
        if steps.peek().is_none() {
            fields.insert(step.to_owned(), value);
            return;
        }
        here = fields.entry(step).or_insert_with(|| json!({}));
    }
}
