//! The four patches: JSON patch, merge patch, strategic merge patch, server-side apply.

use serde_json::Value;

use crate::apiserver::core::{Core, Writer, Written};
use crate::apiserver::decode::{self, FieldValidation};
use crate::apiserver::kinds::{Kind, Kinds, Resource};
use crate::apiserver::metadata;
use crate::apiserver::remarks::of_yaml;
use crate::apiserver::request::{Request, bare_json, configuration};
use crate::apiserver::route::{Part, Target};
use crate::apiserver::status::{ApiError, Cause};
use crate::apiserver::write::{Ownership, check_revision, reset};
use crate::apiserver::{convert, zero};
use crate::domain::krm::patch::{self, JsonPatch, JsonPatchError, MAX_OPERATIONS, StrategicError};
use crate::domain::krm::rules::keep_empties;
use crate::domain::krm::scalar::{self, FormatError};
use crate::domain::krm::validate::validate;
use crate::domain::krm::value::MAX_DEPTH;
use crate::domain::krm::{ApplyError, ApplyOptions, Schema, apply};

/// Media type of a server-side apply.
pub(super) const APPLY: &str = "application/apply-patch+yaml";
/// Media type of a JSON patch.
pub(super) const JSON_PATCH: &str = "application/json-patch+json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// How often an apply is tried again after somebody else changed the object.
const ATTEMPTS: usize = 10;

/// A patch other than an apply.
#[derive(Debug, Clone)]
pub(super) enum Patch {
    /// RFC 6902.
    Json(JsonPatch),
    /// RFC 7396.
    Merge(Value),
    /// Kubernetes' own.
    Strategic(Value),
    /// Something in the place of the whole.
    Whole(Value),
}

/// Reads a patch that is a map.
fn map(body: &[u8], prefix: &str) -> Result<Value, ApiError> {
    let value = bare_json(body).map_err(|error| error.told_as(|why| format!("{prefix}{why}")))?;
    if value.is_object() || value.is_null() {
        return Ok(value);
    }
    let found = decode::json_type(&value);
    let message = format!("{prefix}json: cannot unmarshal {found} into Go value of type map[string]interface {{}}");
    Err(ApiError::bad_request(message))
}

/// Reads the operations of a JSON patch.
fn operations(body: &[u8]) -> Result<JsonPatch, ApiError> {
    let refuse = |why: &str| ApiError::bad_request(format!("error decoding patch: {why}"));
    let of_go =
        |found: &str, wanted: &str| refuse(&format!("json: cannot unmarshal {found} into Go value of type {wanted}"));
    let value = bare_json(body).map_err(|error| error.told_as(|why| refuse(why).message))?;
    // Nothing is no operation.
    let value = if value.is_null() { Value::Array(Vec::new()) } else { value };
    JsonPatch::read(value).map_err(|error| match error {
        JsonPatchError::NotAList { found } => of_go(found, "[]handlers.jsonPatchOp"),
        JsonPatchError::NotAnOperation { found, .. } => of_go(found, "handlers.jsonPatchOp"),
        JsonPatchError::TooMany { given } => ApiError::too_many_operations(given, MAX_OPERATIONS),
        other => refuse(&other.to_string()),
    })
}

/// The code with which the server refuses a strategic merge patch.
fn unmerged(error: &StrategicError) -> ApiError {
    use StrategicError as E;
    match error {
        E::RetainedNotAList | E::NotRetained | E::DeletedFromNothing | E::OrderOfNothing => {
            ApiError::bad_request(error.to_string())
        }
        E::ListOfLists => ApiError::unprocessable(error.to_string()),
        _ => ApiError::unforeseen(error.to_string()),
    }
}

/// Refuses a patch of a type that the kind does not take.
///
/// # Errors
/// 415 with the types that it takes.
pub(super) fn check_type_of_patch(kind: &Kind, content_type: &str) -> Result<(), ApiError> {
    match content_type {
        JSON_PATCH | MERGE | APPLY => Ok(()),
        STRATEGIC if !kind.is_custom() => Ok(()),
        _ if kind.is_custom() => Err(ApiError::unsupported_media_type(&[JSON_PATCH, MERGE, APPLY])),
        _ => Err(ApiError::unknown_media_type()),
    }
}

impl Patch {
    /// Reads a patch of an object of a kind.
    fn of(kind: &Kind, request: &Request) -> Result<Self, ApiError> {
        match request.content_type.as_str() {
            STRATEGIC if !kind.is_custom() => match map(&request.body, "")? {
                Value::Null => Ok(Self::Strategic(Value::Object(serde_json::Map::new()))),
                patch => Ok(Self::Strategic(patch)),
            },
            other => {
                check_type_of_patch(kind, other)?;
                Self::of_plain(request)
            }
        }
    }

    /// Reads a patch of a part of an object of a kind, which has no lists.
    pub(super) fn of_part(kind: &Kind, request: &Request) -> Result<Self, ApiError> {
        check_type_of_patch(kind, &request.content_type)?;
        Self::of_plain(request)
    }

    /// Reads a patch of something without lists: there a strategic patch is a merge patch.
    fn of_plain(request: &Request) -> Result<Self, ApiError> {
        match request.content_type.as_str() {
            JSON_PATCH => operations(&request.body).map(Self::Json),
            MERGE | STRATEGIC => match map(&request.body, "error decoding patch: ")? {
                Value::Null => Err(ApiError::bad_request("Invalid JSON Patch")),
                patch => Ok(Self::Merge(patch)),
            },
            _ => Err(ApiError::unsupported_media_type(&[JSON_PATCH, MERGE, STRATEGIC])),
        }
    }

    /// What it makes of an object without a schema.
    pub(super) fn applied(&self, old: &Value) -> Result<Value, ApiError> {
        match self {
            Self::Json(patch) => {
                let rejected = "the server rejected our request due to an error in our request";
                patch.apply(old).map_err(|error| match error {
                    JsonPatchError::TooDeep { .. } => ApiError::too_deep(MAX_DEPTH),
                    _ => ApiError::unprocessable(rejected),
                })
            }
            Self::Merge(patch) | Self::Strategic(patch) => Ok(patch::merge(old, patch)),
            Self::Whole(whole) => Ok(whole.clone()),
        }
    }

    fn applied_to(&self, kinds: &Kinds, kind: &Kind, old: &Value) -> Result<Value, ApiError> {
        match self {
            Self::Strategic(patch) => {
                let node = kinds.merge_schema(&kind.gvk).node();
                patch::strategic(old, patch, node).map_err(|error| unmerged(&error))
            }
            _ => self.applied(old),
        }
    }
}

impl Core {
    /// Patches an object, or a part of it, as the media type says.
    ///
    /// # Errors
    /// As the API server: 400, 404, 409, 415, 422.
    pub(super) fn patch(
        &self,
        target: &Target,
        name: &str,
        request: &Request,
        writer: &Writer,
    ) -> Result<Written, ApiError> {
        if request.content_type == APPLY {
            let config = configuration(&request.body)?;
            return self.apply(target, name, &config, &strictly(writer)?).map(|written| written.told(&writer.remarks));
        }
        if self.store().get(&target.key(name)).is_none() {
            return Err(ApiError::not_found(&target.resource(), name));
        }
        let patch = Patch::of(&target.kind, request)?;
        let kinds = self.kinds();
        let edited = self.edit(target, name, writer, |old| {
            let mut new = patch.applied_to(&kinds, &target.kind, old)?;
            if !new.is_object() {
                return Err(ApiError::undecodable("", "", "", &ApiError::no_object(&new).message));
            }
            if matches!(patch, Patch::Strategic(_)) {
                check_words(&new)?;
                new["apiVersion"] = Value::String(target.kind.gvk.api_version());
                new["kind"] = Value::String(target.kind.gvk.kind.clone());
            }
            check_patched(&target.kind, name, &new, writer)?;
            if metadata::text(&new, "name").is_empty() {
                return Err(ApiError::nameless(name));
            }
            decode::check_envelope(&kinds, &target.kind, &mut new, target.namespace.as_deref(), Some(name))?;
            Ok(new)
        });
        edited.map_err(|error| error.of_patch(&String::from_utf8_lossy(&request.body)))
    }

    /// Applies a configuration (server-side apply); makes the object when it is not there.
    ///
    /// # Errors
    /// As the API server: 400, 404, 409 with every conflict, 422.
    pub fn apply(&self, target: &Target, name: &str, config: &Value, writer: &Writer) -> Result<Written, ApiError> {
        let kinds = self.kinds();
        let mut named = config.clone();
        check_type(config, (target.kind.gvk.api_version().as_str(), target.kind.gvk.kind.as_str()))?;
        check_unmanaged(config)?;
        if target.part != Part::Whole && self.store().get(&target.key(name)).is_none() {
            return Err(ApiError::not_found(&target.resource(), name));
        }
        decode::check_envelope(&kinds, &target.kind, &mut named, target.namespace.as_deref(), Some(name))?;
        // The messages are about the configuration as it came: without the name and the namespace of the path.
        check_formats(&target.kind, config, kinds.merge_schema(&target.kind.gvk))?;
        let violations = validate(config, kinds.merge_schema(&target.kind.gvk));
        if !violations.is_empty() {
            return Err(refused(&ApplyError::not_typed(config, violations)));
        }
        let config = named;
        let mut last = ApiError::modified(&target.resource(), name);
        for _ in 0..ATTEMPTS {
            match self.apply_once(target, name, &config, writer) {
                Err(error) if error.is_stale_write() && metadata::text(&config, "resourceVersion").is_empty() => {
                    last = error;
                }
                done => return done,
            }
        }
        Err(last)
    }

    fn apply_once(&self, target: &Target, name: &str, config: &Value, writer: &Writer) -> Result<Written, ApiError> {
        let stored = self.store().get(&target.key(name));
        let old = stored.as_deref().map(|stored| convert::shown(&target.kind, stored));
        if old.is_none() && target.part != Part::Whole {
            return Err(ApiError::not_found(&target.resource(), name));
        }
        let uid = metadata::text(config, "uid");
        match old.as_deref() {
            Some(old) => check_revision(target, name, old, config)?,
            None if uid.is_empty() => {}
            None => return Err(ApiError::conflict(&target.resource(), name, &no_such_uid(uid))),
        }
        let kinds = self.kinds();
        let reset = reset(&target.kind, old.as_deref(), config, &target.part);
        let blank = (!target.kind.is_custom()).then(|| zero::of(&target.kind.gvk));
        let options = ApplyOptions { blank: blank.as_ref(), ..self.options(writer, &target.part, &reset) };
        let applied = apply(old.as_deref(), config, &options, kinds.merge_schema(&target.kind.gvk));
        let mut new = applied.map_err(|error| refused(&error))?;
        if !uid.is_empty() {
            metadata::set(&mut new, "uid", Value::String(uid.to_owned()));
        }
        if target.kind.is_custom() {
            // Types have been checked above.
            let _known = decode::settle_metadata(&kinds, &target.kind, &mut new);
        }
        decode::fill_defaults(&kinds, &target.kind, &mut new);
        match old {
            None => self.insert(target, new, writer, Vec::new()),
            Some(old) => {
                keep_empties(&target.kind.gvk, &old, config, &mut new);
                self.finish(target, &old, new, writer, Ownership::Settled)
            }
        }
    }
}

/// Version and kind are texts.
fn check_words(object: &Value) -> Result<(), ApiError> {
    for field in ["apiVersion", "kind"] {
        if let Some(other) = object.get(field).filter(|value| !value.is_string() && !value.is_null()) {
            let found = decode::json_type(other);
            let why = format!("json: cannot unmarshal {found} into Go struct field .{field} of type string");
            let why = format!("couldn't get version/kind; json parse error: {why}");
            return Err(ApiError::undecodable("", "", "", &why));
        }
    }
    Ok(())
}

/// What a patch makes of an object still says of which kind it is.
fn check_patched(kind: &Kind, name: &str, new: &Value, writer: &Writer) -> Result<(), ApiError> {
    check_words(new)?;
    let text = |field: &str| new.get(field).and_then(Value::as_str).unwrap_or_default();
    let (version, word) = (text("apiVersion"), text("kind"));
    if !kind.is_custom() {
        return if version.is_empty() { Err(versionless(name, new, writer)) } else { Ok(()) };
    }
    if word.is_empty() {
        return Err(ApiError::undecodable("", "", "", &format!("Object 'Kind' is missing in '{new}'")));
    }
    if version.matches('/').count() > 1 {
        let why = format!("unexpected GroupVersion string: {version}");
        return Err(ApiError::undecodable("", "", "", &why));
    }
    if version.is_empty() {
        return Err(ApiError::internal("Object 'apiVersion' is missing in 'object has no apiVersion field'"));
    }
    let wanted = [("kind", word, kind.gvk.kind.clone()), ("apiVersion", version, kind.gvk.api_version())];
    let wrong = wanted.iter().filter(|(_, found, wanted)| found != wanted);
    let causes: Vec<Cause> = wrong
        .map(|(field, found, wanted)| Cause::invalid(*field, &Value::from(*found), &format!("must be {wanted}")))
        .collect();
    if causes.is_empty() {
        return Ok(());
    }
    let group = version.split_once('/').map_or("", |(group, _)| group);
    Err(ApiError::invalid_as(&Resource::new(group, word), metadata::text(new, "name"), causes))
}

/// Of an object without a version the server knows no field, not even its name.
fn versionless(name: &str, new: &Value, writer: &Writer) -> ApiError {
    let fields = new.as_object().into_iter().flatten().map(|(field, _)| field.as_str());
    let unknown: Vec<String> = fields
        .filter(|field| !matches!(*field, "apiVersion" | "kind"))
        .map(|field| format!("unknown field {field:?}"))
        .collect();
    match writer.validation {
        FieldValidation::Ignore => ApiError::nameless(name),
        FieldValidation::Warn => ApiError::nameless(name).with_warnings(&unknown),
        FieldValidation::Strict => {
            ApiError::undecodable("", "", "", &format!("strict decoding error: {}", unknown.join(", ")))
        }
    }
}

fn no_such_uid(uid: &str) -> String {
    format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found")
}

/// The writer of a configuration, unless there is something to be said about it that the writer does not want.
fn strictly(writer: &Writer) -> Result<Writer, ApiError> {
    if writer.validation != FieldValidation::Strict || writer.remarks.is_empty() {
        return Ok(writer.once_told());
    }
    let why = of_yaml(&writer.remarks);
    Err(ApiError::bad_request(format!("error strict decoding YAML: error converting YAML to JSON: {why}")))
}

/// Refuses a configuration of a built-in kind with a scalar that is not written as it must be.
fn check_formats(kind: &Kind, config: &Value, schema: &Schema) -> Result<(), ApiError> {
    let faults = scalar::faults(config, schema).into_iter().map(|(_, error)| error);
    let mut faults = faults.filter(FormatError::holds_for_configurations);
    let Some(error) = faults.next().filter(|_| !kind.is_custom()) else { return Ok(()) };
    let (group, version) = (&kind.gvk.group, &kind.gvk.version);
    let gvk = format!("{group}/{version}, Kind={}", kind.gvk.kind);
    let (namespace, name) = (metadata::text(config, "namespace"), metadata::text(config, "name"));
    let reader = if matches!(error, FormatError::Base64 { .. }) { "error decoding from json: " } else { "" };
    Err(ApiError::unforeseen(format!(
        "failed to convert new object ({namespace}/{name}; {gvk}) to proper version: unable to convert unstructured object \
         to {gvk}: {reader}{error}"
    )))
}

/// An apply says of which kind it is.
pub(super) fn check_type(config: &Value, wanted: (&str, &str)) -> Result<(), ApiError> {
    let text = |field: &str| config.get(field).and_then(Value::as_str).unwrap_or_default();
    let (version, name) = (text("apiVersion"), text("kind"));
    if (version, name) == wanted {
        return Ok(());
    }
    let slash = if version.contains('/') { "" } else { "/" };
    Err(ApiError::bad_request(format!("invalid object type: {slash}{version}, Kind={name}")))
}

/// An apply does not say who owns what: that is found out by it.
pub(super) fn check_unmanaged(config: &Value) -> Result<(), ApiError> {
    match config.pointer("/metadata/managedFields") {
        Some(Value::Array(_)) => Err(refused(&ApplyError::ManagedFieldsSet)),
        _ => Ok(()),
    }
}

pub(super) fn refused(error: &ApplyError) -> ApiError {
    match error {
        ApplyError::Conflicts(conflicts) => ApiError::apply_conflicts(error, conflicts),
        ApplyError::ManagedFieldsSet => ApiError::bad_request(error.to_string()),
        ApplyError::NotTyped { .. } => ApiError::unforeseen(error.to_string()),
        ApplyError::ManagedFields(_) => ApiError::internal(error),
    }
}
