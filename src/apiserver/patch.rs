//! The four patches: JSON patch, merge patch, strategic merge patch, server-side apply.

use serde_json::Value;

use crate::apiserver::core::{Core, Writer, Written};
use crate::apiserver::decode;
use crate::apiserver::kinds::{Kind, Kinds};
use crate::apiserver::metadata;
use crate::apiserver::request::{Request, json, yaml};
use crate::apiserver::route::{Part, Target};
use crate::apiserver::status::ApiError;
use crate::apiserver::validate::keep_empties;
use crate::apiserver::write::{Ownership, reset};
use crate::apiserver::{convert, zero};
use crate::domain::krm::patch::{self, JsonPatch, JsonPatchError, MAX_OPERATIONS, StrategicError};
use crate::domain::krm::validate::validate;
use crate::domain::krm::{ApplyError, ApplyOptions, apply};

/// Media type of a server-side apply.
pub(super) const APPLY: &str = "application/apply-patch+yaml";
const JSON_PATCH: &str = "application/json-patch+json";
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
    let value = json(body)?;
    if value.is_object() {
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
    let value = serde_json::from_slice(body).map_err(|error| refuse(&error.to_string()))?;
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
        E::RetainedNotAList | E::DeletedFromNothing | E::OrderOfNothing => ApiError::bad_request(error.to_string()),
        E::NotRetained | E::ListOfLists => ApiError::unprocessable(error.to_string()),
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
        _ => Err(ApiError::unsupported_media_type(&[JSON_PATCH, MERGE, STRATEGIC, APPLY])),
    }
}

impl Patch {
    /// Reads a patch of an object of a kind.
    fn of(kind: &Kind, request: &Request) -> Result<Self, ApiError> {
        match request.content_type.as_str() {
            STRATEGIC if !kind.is_custom() => map(&request.body, "").map(Self::Strategic),
            other => {
                check_type_of_patch(kind, other)?;
                Self::of_plain(request)
            }
        }
    }

    /// Reads a patch of something without lists: there a strategic patch is a merge patch.
    pub(super) fn of_plain(request: &Request) -> Result<Self, ApiError> {
        match request.content_type.as_str() {
            JSON_PATCH => operations(&request.body).map(Self::Json),
            MERGE | STRATEGIC => map(&request.body, "error decoding patch: ").map(Self::Merge),
            _ => Err(ApiError::unsupported_media_type(&[JSON_PATCH, MERGE, STRATEGIC])),
        }
    }

    /// What it makes of an object without a schema.
    pub(super) fn applied(&self, old: &Value) -> Result<Value, ApiError> {
        match self {
            Self::Json(patch) => {
                let rejected = "the server rejected our request due to an error in our request";
                patch.apply(old).map_err(|_| ApiError::unprocessable(rejected))
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
            return self.apply(target, name, &yaml(&request.body)?, writer);
        }
        let patch = Patch::of(&target.kind, request)?;
        let kinds = self.kinds();
        let edited = self.edit(target, name, writer, |old| {
            let mut new = patch.applied_to(&kinds, &target.kind, old)?;
            if metadata::text(&new, "name").is_empty() {
                return Err(ApiError::nameless(name));
            }
            if matches!(patch, Patch::Strategic(_)) {
                new["apiVersion"] = Value::String(target.kind.gvk.api_version());
                new["kind"] = Value::String(target.kind.gvk.kind.clone());
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
        check_type(&target.kind, config)?;
        if target.part != Part::Whole && self.store().get(&target.key(name)).is_none() {
            return Err(ApiError::not_found(&target.resource(), name));
        }
        decode::check_envelope(&kinds, &target.kind, &mut named, target.namespace.as_deref(), Some(name))?;
        // The message is about the configuration as it came: without the name and the namespace of the path.
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
        let version = metadata::text(config, "resourceVersion");
        let wanted = old.as_deref().map_or("", |old| metadata::text(old, "resourceVersion"));
        if !version.is_empty() && version != wanted {
            return Err(ApiError::modified(&target.resource(), name));
        }
        let kinds = self.kinds();
        let reset = reset(&target.kind, old.as_deref(), config, &target.part);
        let blank = (!target.kind.is_custom()).then(|| zero::of(&target.kind.gvk));
        let options = ApplyOptions { blank: blank.as_ref(), ..self.options(writer, &target.part, &reset) };
        let applied = apply(old.as_deref(), config, &options, kinds.merge_schema(&target.kind.gvk));
        let mut new = applied.map_err(|error| refused(&error))?;
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

/// An apply says of which kind it is.
fn check_type(kind: &Kind, config: &Value) -> Result<(), ApiError> {
    let text = |field: &str| config.get(field).and_then(Value::as_str).unwrap_or_default();
    let (version, name) = (text("apiVersion"), text("kind"));
    if version == kind.gvk.api_version() && name == kind.gvk.kind {
        return Ok(());
    }
    let slash = if version.contains('/') { "" } else { "/" };
    Err(ApiError::bad_request(format!("invalid object type: {slash}{version}, Kind={name}")))
}

fn refused(error: &ApplyError) -> ApiError {
    match error {
        ApplyError::Conflicts(conflicts) => ApiError::apply_conflicts(error, conflicts),
        ApplyError::ManagedFieldsSet => ApiError::bad_request(error.to_string()),
        ApplyError::NotTyped { .. } => ApiError::unforeseen(error.to_string()),
        ApplyError::ManagedFields(_) => ApiError::internal(error),
    }
}
