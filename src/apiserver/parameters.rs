//! The parameters of writes and deletions: what they say, and which ones a request cannot have.
//!
//! Source: `CreateOptions`, `UpdateOptions`, `PatchOptions` and `DeleteOptions` of the Kubernetes API reference, and
//! apimachinery's `meta/v1/validation`.

use http::Method;
use serde_json::{Value, json};

use crate::apiserver::core::Writer;
use crate::apiserver::decode::{FieldValidation, json_type};
use crate::apiserver::delete::{DeleteOptions, Propagation};
use crate::apiserver::patch::APPLY;
use crate::apiserver::remarks::{Sent, remarks};
use crate::apiserver::request::Request;
use crate::apiserver::status::{ApiError, Cause};

/// Longest name of a field manager, in bytes.
const MAX_MANAGER: usize = 128;
const POLICIES: [&str; 4] = ["Foreground", "Background", "Orphan", "nil"];
const VALIDATIONS: [&str; 4] = ["", "Ignore", "Strict", "Warn"];

impl Writer {
    /// What the parameters of a request to create, replace or patch say.
    ///
    /// # Errors
    /// 422 that names every parameter that the request cannot have.
    pub fn of(request: &Request) -> Result<Self, ApiError> {
        let kind = match request.method {
            Method::POST => "CreateOptions",
            Method::PUT => "UpdateOptions",
            _ => "PatchOptions",
        };
        let mut causes = Vec::new();
        causes.extend((kind == "PatchOptions").then(|| patch_fault(request)).flatten());
        causes.extend(manager_fault(request.query.text("fieldManager").unwrap_or_default()));
        let dry_run = request.query.texts("dryRun");
        causes.extend(dry_run_fault(&dry_run));
        let validation = match request.query.text("fieldValidation") {
            Some("Ignore") => FieldValidation::Ignore,
            None | Some("Warn") => FieldValidation::Warn,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                causes.push(Cause::not_supported("fieldValidation", &json!(other), &quoted(&VALIDATIONS)));
                FieldValidation::Strict
            }
        };
        if !causes.is_empty() {
            return Err(ApiError::invalid_options(kind, causes));
        }
        let force = request.query.flag("force");
        let remarks = if validation == FieldValidation::Ignore { Vec::new() } else { remarks(request) };
        let sent = if validation == FieldValidation::Ignore { None } else { Sent::of(request) };
        Ok(Self { manager: request.manager(), dry_run: !dry_run.is_empty(), validation, force, remarks, sent })
    }
}

fn patch_fault(request: &Request) -> Option<Cause> {
    if request.content_type == APPLY {
        let missing = request.query.text("fieldManager").is_none();
        return missing.then(|| Cause::required("fieldManager", "is required for apply patch"));
    }
    let given = request.query.text("force").is_some();
    given.then(|| Cause::forbidden("force", "may not be specified for non-apply patch"))
}

fn manager_fault(manager: &str) -> Option<Cause> {
    if manager.len() > MAX_MANAGER {
        return Some(Cause::too_long("fieldManager", MAX_MANAGER));
    }
    let (at, hidden) = manager.char_indices().find(|(_, letter)| letter.is_control())?;
    let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(hidden));
    Some(Cause::invalid("fieldManager", &json!(manager), &detail))
}

fn dry_run_fault(given: &[&str]) -> Option<Cause> {
    let fits = given.iter().all(|value| *value == "All");
    (!fits).then(|| Cause::not_supported("dryRun", &json!(given), &quoted(&["All"])))
}

fn quoted(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| format!("{word:?}")).collect()
}

impl DeleteOptions {
    /// What the body of a request says, or without one its parameters.
    ///
    /// # Errors
    /// 400 for a body that cannot be read, 422 that names what a deletion cannot have.
    pub fn of(request: &Request) -> Result<Self, ApiError> {
        let said = match request.optional_object()? {
            Some(said) => said,
            None => parameters(request)?,
        };
        Self::read(&said)
    }

    /// What an eviction says of how its pod goes.
    ///
    /// # Errors
    /// As [`DeleteOptions::of`].
    pub fn of_eviction(eviction: &Value, request: &Request) -> Result<Self, ApiError> {
        let said = eviction.get("deleteOptions").filter(|options| !options.is_null());
        let options = said.map_or_else(|| Ok(Self::default()), Self::read)?;
        let dry_run = options.dry_run || request.query.text("dryRun").is_some();
        Ok(Self { dry_run, ..options })
    }

    fn read(said: &Value) -> Result<Self, ApiError> {
        check_options(said)?;
        let text = |pointer: &str| said.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let policy = text("/propagationPolicy");
        let orphans = said.get("orphanDependents").and_then(Value::as_bool);
        let mut causes = Vec::new();
        if let Some(policy) = policy.as_ref().filter(|_| orphans.is_some()) {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            causes.push(Cause::invalid("propagationPolicy", &json!(policy), detail));
        }
        let propagation = match policy.as_deref() {
            None => orphans.map(|orphans| if orphans { Propagation::Orphan } else { Propagation::Background }),
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(other) => {
                causes.push(Cause::not_supported("propagationPolicy", &json!(other), &quoted(&POLICIES)));
                None
            }
        };
        let dry_run = said.get("dryRun").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let dry_run: Vec<&str> = dry_run.iter().filter_map(Value::as_str).collect();
        causes.extend(dry_run_fault(&dry_run));
        if !causes.is_empty() {
            return Err(ApiError::invalid_options("DeleteOptions", causes));
        }
        let (uid, resource_version) = (text("/preconditions/uid"), text("/preconditions/resourceVersion"));
        Ok(Self { uid, resource_version, propagation, by_default: None, dry_run: !dry_run.is_empty() })
    }
}

/// Refuses a body that does not hold the options of a deletion.
fn check_options(said: &Value) -> Result<(), ApiError> {
    if !said.is_object() {
        return Err(ApiError::no_object(said));
    }
    let text = |name: &str| said.get(name).and_then(Value::as_str).unwrap_or_default();
    let (kind, version) = (text("kind"), text("apiVersion"));
    if !matches!(kind, "" | "DeleteOptions") {
        let scheme = "in scheme \"pkg/runtime/scheme.go:111\"";
        return Err(ApiError::bad_request(format!("no kind {kind:?} is registered for version {version:?} {scheme}")));
    }
    let misfit = TYPES.iter().find_map(|(name, wanted, fits)| {
        let value = said.get(name).filter(|value| !value.is_null() && !fits(value))?;
        Some((name, wanted, json_type(value)))
    });
    match misfit {
        None => Ok(()),
        Some((name, wanted, found)) => {
            let field = format!("DeleteOptions.{name} of type {wanted}");
            Err(ApiError::bad_request(format!("json: cannot unmarshal {found} into Go struct field {field}")))
        }
    }
}

/// A field, its type as Go names it, and whether a value is of that type.
type Typed = (&'static str, &'static str, fn(&Value) -> bool);

/// The options of a deletion.
const TYPES: [Typed; 5] = [
    ("gracePeriodSeconds", "int64", Value::is_i64),
    ("preconditions", "v1.Preconditions", Value::is_object),
    ("orphanDependents", "bool", Value::is_boolean),
    ("propagationPolicy", "v1.DeletionPropagation", Value::is_string),
    ("dryRun", "[]string", |value| value.as_array().is_some_and(|all| all.iter().all(Value::is_string))),
];

/// The parameters of a deletion as the body that says the same.
fn parameters(request: &Request) -> Result<Value, ApiError> {
    let query = &request.query;
    // What it says is heeded by nobody here: containers that are simulated end at once.
    query.count("gracePeriodSeconds")?;
    let mut said = json!({"dryRun": query.texts("dryRun")});
    if let Some(policy) = query.text("propagationPolicy") {
        said["propagationPolicy"] = json!(policy);
    }
    if query.text("orphanDependents").is_some() {
        said["orphanDependents"] = json!(query.flag("orphanDependents"));
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::request::Query;
    use bytes::Bytes;

    fn request(method: Method, query: &str, content_type: &str, body: &'static str) -> Request {
        let (accept, user_agent) = (String::new(), "me/1".to_owned());
        let (query, body) = (Query::parse(query), Bytes::from_static(body.as_bytes()));
        let content_type = content_type.to_owned();
        Request { method, path: "/".to_owned(), query, accept, content_type, user_agent, body }
    }

    #[test]
    fn parameters_that_a_write_cannot_have_are_named() {
        let table = [
            (
                Method::POST,
                "dryRun=Some",
                "",
                r#"CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All""#,
            ),
            (
                Method::PATCH,
                "force=true",
                "",
                r#"PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch"#,
            ),
            (
                Method::PATCH,
                "",
                APPLY,
                r#"PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#,
            ),
        ];
        for (method, query, content_type, message) in table {
            let error = Writer::of(&request(method, query, content_type, "")).unwrap_err();
            assert_eq!((error.code, error.message.as_str()), (422, message));
        }
        let writer = Writer::of(&request(Method::PUT, "dryRun=All&fieldValidation=Strict", "", "")).unwrap();
        assert!(writer.dry_run && writer.manager == "me" && writer.validation == FieldValidation::Strict);
    }

    #[test]
    fn a_body_of_a_deletion_stands_for_its_parameters() {
        let of = |query: &str, body: &'static str| DeleteOptions::of(&request(Method::DELETE, query, "", body));
        assert_eq!(of("propagationPolicy=Orphan", "").unwrap().propagation, Some(Propagation::Orphan));
        assert_eq!(of("propagationPolicy=Orphan", r#"{"dryRun":["All"]}"#).unwrap().propagation, None);
        assert_eq!(of("propagationPolicy=Sideways", "").unwrap_err().code, 422);
        assert_eq!(of("gracePeriodSeconds=x", "").unwrap_err().code, 400);
        for wrong in [r#"{"dryRun":"All"}"#, r#"{"preconditions":"x"}"#, r#"{"gracePeriodSeconds":"1"}"#] {
            assert_eq!(of("", wrong).unwrap_err().code, 400, "{wrong}");
        }
        assert_eq!(of("", r#"{"propagationPolicy":"Orphan","orphanDependents":true}"#).unwrap_err().code, 422);
    }
}
