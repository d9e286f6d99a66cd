//! A scale as it is sent: whether it is one, and what it says.

use serde_json::Value;

use super::{OLD_SCALES, SCALE};
use crate::apiserver::core::Writer;
use crate::apiserver::decode::{self, json_type};
use crate::apiserver::kinds::{Kind, Kinds};
use crate::apiserver::metadata;
use crate::apiserver::patch::{check_type, refused};
use crate::apiserver::status::ApiError;
use crate::domain::krm::validate::{UNDECLARED, Violation};
use crate::domain::krm::value::same;
use crate::domain::krm::{ApplyError, Gvk, Path};

/// The fields of a scale, and those of its parts.
const FIELDS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
const PARTS: [(&str, &[&str]); 2] = [("spec", &["replicas"]), ("status", &["replicas", "selector"])];
const SCHEME: &str = "in scheme \"pkg/runtime/scheme.go:111\"";

/// The fields that a scale does not have, in the order of their names.
fn unknown(scale: &Value) -> Vec<String> {
    let names = |value: &Value, known: &[&str]| -> Vec<String> {
        let fields = value.as_object().into_iter().flatten();
        fields.map(|(name, _)| name.clone()).filter(|name| !known.contains(&name.as_str())).collect()
    };
    let mut found = names(scale, &FIELDS);
    for (part, known) in PARTS {
        let below = scale.get(part).map(|value| names(value, known)).unwrap_or_default();
        found.extend(below.into_iter().map(|name| format!("{part}.{name}")));
    }
    found
}

/// Refuses what is sent as a scale and says that it is something else. What it does not say, its path says.
fn check_kind(kind: &Kind, scale: &Value) -> Result<(), ApiError> {
    let text = |field: &str, unsaid| {
        scale.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()).unwrap_or(unsaid)
    };
    let (version, found) = (text("apiVersion", SCALE.0), text("kind", SCALE.1));
    if (version, found) == SCALE {
        return Ok(());
    }
    if kind.is_custom() {
        return Err(unregistered());
    }
    if found == SCALE.1 && OLD_SCALES.contains(&version) {
        return decode::check_version(version, SCALE.0);
    }
    let short = version.rsplit('/').next().unwrap_or_default();
    let why = if Kinds::builtin().by_gvk(&Gvk::parse(version, found)).is_some() {
        format!("converting ({short}.{found}) to (autoscaling.Scale): unknown conversion")
    } else {
        format!("no kind {found:?} is registered for version {version:?} {SCHEME}")
    };
    Err(ApiError::undecodable(found, short, SCALE.1, &why))
}

/// What the server says of a custom kind's scale that it cannot read.
fn unregistered() -> ApiError {
    ApiError::bad_request(format!("no kind is registered for the type v1.Scale {SCHEME}"))
}

/// What is of a wrong type in a scale, as the decoder tells it.
fn misfit(scale: &Value) -> Option<String> {
    let wrong = |value: &Value, field: &str, wanted: &str| {
        let found = if value.is_number() { format!("number {value}") } else { json_type(value).to_owned() };
        format!("json: cannot unmarshal {found} into Go struct field {field} of type {wanted}")
    };
    for (part, wanted) in [("metadata", "v1.ObjectMeta"), ("spec", "v1.ScaleSpec"), ("status", "v1.ScaleStatus")] {
        if let Some(value) = scale.get(part).filter(|value| !value.is_object() && !value.is_null()) {
            return Some(wrong(value, &format!("Scale.{part}"), wanted));
        }
    }
    let replicas = scale.pointer("/spec/replicas").filter(|replicas| !replicas.is_null())?;
    let fits = replicas.as_i64().is_some_and(|count| i32::try_from(count).is_ok());
    (!fits).then(|| wrong(replicas, "ScaleSpec.spec.replicas", "int32"))
}

/// The replicas that a scale says; none are none at all.
pub(super) fn replicas_in(scale: &Value) -> Value {
    scale.pointer("/spec/replicas").filter(|replicas| !replicas.is_null()).cloned().unwrap_or_else(|| Value::from(0))
}

/// Reads a scale; gives the warnings.
///
/// # Errors
/// 400 for what is none, or has fields that a strict writer does not want.
pub(super) fn read(kind: &Kind, scale: &Value, writer: &Writer) -> Result<Vec<String>, ApiError> {
    check_kind(kind, scale)?;
    let refuse = |why: &str| ApiError::undecodable(SCALE.1, "v1", SCALE.1, why);
    match misfit(scale) {
        None => decode::tell(writer, &unknown(scale), true, refuse),
        Some(_) if kind.is_custom() && writer.sent.is_some() => Err(unregistered()),
        Some(why) => Err(refuse(&why)),
    }
}

/// Checks the configuration of a scale, for an apply of that name.
///
/// # Errors
/// 400 for what is no scale or of another name, 500 for what does not fit the schema of scales.
pub(super) fn check_configuration(kind: &Kind, scale: &Value, name: &str) -> Result<(), ApiError> {
    check_type(scale, SCALE)?;
    match metadata::text(scale, "name") {
        "" => {}
        found if found == name => {}
        found => return Err(ApiError::other_name(found, name)),
    }
    let violations = violations(scale);
    if !violations.is_empty() {
        return Err(refused(&ApplyError::not_typed(scale, violations)));
    }
    if !kind.is_custom() {
        return Ok(());
    }
    let (namespace, version) = (metadata::text(scale, "namespace"), SCALE.0);
    Err(ApiError::unforeseen(format!(
        "failed to convert new object ({namespace}/{}; {version}, Kind={}) to proper version: request to convert CR to an invalid \
         group/version: {version}",
        metadata::text(scale, "name"),
        SCALE.1
    )))
}

fn violations(scale: &Value) -> Vec<Violation> {
    let at =
        |place: &str, message: String| Violation { path: Path::fields(&place.split('.').collect::<Vec<_>>()), message };
    let mut found: Vec<Violation> = unknown(scale).iter().map(|place| at(place, UNDECLARED.to_owned())).collect();
    for (part, _) in PARTS {
        if let Some(value) = scale.get(part).filter(|value| !value.is_object() && !value.is_null()) {
            found.push(at(part, format!("expected map, got &{{{value}}}")));
        }
    }
    if let Some(replicas) = scale.pointer("/spec/replicas").filter(|value| !value.is_number() && !value.is_null()) {
        found.push(at("spec.replicas", format!("expected numeric (int or float), got {}", json_type(replicas))));
    }
    found
}

/// The replicas that a configuration says, of which the server keeps the low 32 bits; none when it says nothing.
pub(super) fn configured(scale: &Value) -> Option<i32> {
    let replicas = scale.pointer("/spec/replicas").filter(|replicas| !same(replicas, &Value::Null))?;
    let low = u32::try_from(replicas.as_i64()? & i64::from(u32::MAX)).ok()?;
    Some(i32::from_ne_bytes(low.to_ne_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scales_are_read_as_such() {
        let kinds = Kinds::builtin();
        let kind = kinds.find("apps", "v1", "deployments").unwrap();
        let warnings = |scale: Value| {
            read(kind, &scale, &Writer { validation: decode::FieldValidation::Warn, ..Writer::named("me") })
        };
        let told = warnings(json!({"foo": 1, "spec": {"bar": 1, "replicas": 2}})).unwrap();
        assert_eq!(told, [r#"unknown field "foo""#, r#"unknown field "spec.bar""#]);
        for wrong in
            [json!({"spec": "x"}), json!({"spec": {"replicas": "x"}}), json!({"kind": "Other"}), json!({"metadata": 3})]
        {
            assert_eq!(warnings(wrong.clone()).unwrap_err().code, 400, "{wrong}");
        }
    }

    #[test]
    fn configurations_of_scales_keep_to_their_schema() {
        let kinds = Kinds::builtin();
        let kind = kinds.find("apps", "v1", "deployments").unwrap();
        let scale = |spec: Value| json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": spec});
        let code = |scale: &Value| check_configuration(kind, scale, "a").err().map(|error| error.code);
        assert_eq!(code(&scale(json!({"replicas": 3}))), None);
        for spec in [json!({"replicas": "three"}), json!({"foo": 1}), json!("x")] {
            assert_eq!(code(&scale(spec)), Some(500));
        }
        assert_eq!(code(&json!({"apiVersion": "apps/v1", "kind": "Deployment"})), Some(400));
        assert_eq!(configured(&scale(json!({"replicas": 99_999_999_999_i64}))), Some(1_215_752_191));
    }
}
