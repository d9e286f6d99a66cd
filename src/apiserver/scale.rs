//! The scale subresource: replicas of a kind as `autoscaling/v1` `Scale`.

use serde_json::{Value, json};

use crate::apiserver::convert;
use crate::apiserver::core::{Core, Writer, Written};
use crate::apiserver::kinds::{Kind, Resource, ScalePaths};
use crate::apiserver::metadata;
use crate::apiserver::patch::Patch;
use crate::apiserver::request::Request;
use crate::apiserver::route::Target;
use crate::apiserver::status::{ApiError, Cause};
use crate::domain::krm::{Path as FieldPath, managed};

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
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": number(&paths.spec_replicas)}, "status": status,
    })
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

/// Whether anybody owns the replicas of an object: a scale without owners, like any such object, gets none by an update.
pub(super) fn has_owner(kind: &Kind, object: &Value) -> bool {
    let Some(paths) = &kind.subresources.scale else { return false };
    let steps: Vec<&str> = paths.spec_replicas.trim_start_matches('.').split('.').collect();
    let path = FieldPath::fields(&steps);
    let owners = managed::read(object).unwrap_or_default();
    owners.iter().any(|entry| entry.fields.contains(path.elements()))
}

impl Core {
    /// Reads the scale of an object.
    ///
    /// # Errors
    /// 404 when there is no such object.
    pub(super) fn scale(&self, target: &Target, name: &str) -> Result<Value, ApiError> {
        let found = self.store().get(&target.key(name));
        let found = found.ok_or_else(|| ApiError::not_found(&target.resource(), name))?;
        Ok(scale_of(&convert::shown(&target.kind, &found), paths(target)?))
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
        let change = if request.method == http::Method::PUT {
            Patch::Merge(request.object()?)
        } else {
            Patch::of_plain(request)?
        };
        let written = self.edit(target, name, writer, |old| {
            let scale = change.applied(&scale_of(old, paths))?;
            let replicas = scale.pointer("/spec/replicas").cloned().unwrap_or_else(|| json!(0));
            if replicas.as_i64().is_none_or(|replicas| replicas < 0) {
                let cause = Cause::invalid("spec.replicas", &replicas, "must be greater than or equal to 0");
                return Err(ApiError::invalid_as(&Resource::new("autoscaling", "Scale"), name, vec![cause]));
            }
            let mut new = old.clone();
            set(&mut new, &paths.spec_replicas, replicas);
            let version = metadata::text(&scale, "resourceVersion").to_owned();
            metadata::set(&mut new, "resourceVersion", Value::String(version));
            Ok(new)
        })?;
        let object = scale_of(&convert::shown(&target.kind, &written.object), paths).into();
        Ok(Written { object, ..written })
    }
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
