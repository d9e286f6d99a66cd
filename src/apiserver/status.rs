//! Failures as Kubernetes words them: `Status` objects with reason, details and causes.
//!
//! Source: apimachinery `api/errors` and `util/validation/field`.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::apiserver::kinds::{Kind, Resource};
use crate::apiserver::store::StoreError;
pub use crate::domain::krm::cause::Cause;
use crate::domain::krm::value::{MAX_DEPTH, json_type};
use crate::domain::krm::{ApplyError, Conflict};

/// A failed request: what becomes a `Status` with `status: Failure`.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable, such as `NotFound`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Which object, why in detail, when to try again; boxed because most errors are small.
    pub details: Box<Details>,
    /// For an expired list: where to go on, without consistency.
    pub continue_: String,
    /// What the client should be warned of although its request failed.
    pub warnings: Vec<String>,
}

/// The `details` of a [`ApiError`]; empty parts are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Details {
    /// Name of the object.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Its resource (or its kind, for invalid objects).
    pub kind: String,
    /// Its uid.
    pub uid: String,
    /// All causes.
    pub causes: Vec<Cause>,
    /// Seconds after which to try again; 0 says nothing.
    pub retry_after: u32,
}

impl Details {
    fn of(resource: &Resource, name: &str) -> Self {
        let (group, kind) = (resource.group.clone(), resource.plural.clone());
        Self { name: name.to_owned(), group, kind, ..Self::default() }
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        for (name, text) in [("name", &self.name), ("group", &self.group), ("kind", &self.kind), ("uid", &self.uid)] {
            if !text.is_empty() {
                out.insert(name.to_owned(), json!(text));
            }
        }
        if !self.causes.is_empty() {
            out.insert("causes".to_owned(), self.causes.iter().map(Cause::to_json).collect());
        }
        if self.retry_after > 0 {
            out.insert("retryAfterSeconds".to_owned(), json!(self.retry_after));
        }
        Value::Object(out)
    }
}

const UNKNOWN_TYPE: &str = "415: Unsupported Media Type";
const TOO_DEEP: &str = "the object is nested deeper than";

impl ApiError {
    fn new(code: u16, reason: &'static str, message: String) -> Self {
        Self { code, reason, message, details: Box::default(), continue_: String::new(), warnings: Vec::new() }
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        *self.details = Details::of(resource, name);
        self
    }

    fn caused_by(mut self, causes: Vec<Cause>) -> Self {
        self.details.causes = causes;
        self
    }

    /// 404: no such object.
    #[must_use]
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{resource} {name:?} not found")).about(resource, name)
    }

    /// 404: no such path.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource".to_owned())
    }

    /// 404: no such path, nor anything near it; told to people, not to clients.
    #[must_use]
    pub fn no_such_page() -> Self {
        Self::new(404, "", "page not found".to_owned())
    }

    /// 400: an object that lives in a namespace, without one in the path.
    #[must_use]
    pub fn without_namespace() -> Self {
        Self::bad_request("Namespace parameter required.".to_owned())
    }

    /// 400: a name in the path that can be none.
    #[must_use]
    pub fn invalid_name(name: &str, fault: &str) -> Self {
        Self::bad_request(format!("Name parameter invalid: {name:?}: {fault}"))
    }

    /// Whether it is [`ApiError::no_such_page`].
    #[must_use]
    pub const fn is_page(&self) -> bool {
        self.code == 404 && self.reason.is_empty()
    }

    /// 405: the path exists and does not take this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message.to_owned())
    }

    /// 409: the name is taken.
    #[must_use]
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{resource} {name:?} already exists")).about(resource, name)
    }

    /// The same about an object whose name is still taken because it is on its way out.
    #[must_use]
    pub fn while_leaving(self) -> Self {
        if self.reason != "AlreadyExists" {
            return self;
        }
        Self { message: format!("object is being deleted: {}", self.message), ..self }
    }

    /// 409: the object is not in the state that the writer expects.
    #[must_use]
    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
        Self::new(409, "Conflict", message).about(resource, name)
    }

    /// 409: somebody else wrote first.
    #[must_use]
    pub fn modified(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    /// 409: other field managers own what an apply sets.
    #[must_use]
    pub fn apply_conflicts(error: &ApplyError, conflicts: &[Conflict]) -> Self {
        let cause = |conflict: &Conflict| Cause {
            reason: "FieldManagerConflict",
            message: conflict.message(),
            field: conflict.field.to_string(),
        };
        Self::new(409, "Conflict", error.to_string()).caused_by(conflicts.iter().map(cause).collect())
    }

    /// 422: the object breaks the rules of its kind.
    #[must_use]
    pub fn invalid(kind: &Kind, name: &str, causes: Vec<Cause>) -> Self {
        Self::invalid_as(&Resource::new(&kind.gvk.group, &kind.gvk.kind), name, causes)
    }

    /// 422 as [`ApiError::invalid`], about what the server names by a group and a word of its own.
    #[must_use]
    pub fn invalid_as(about: &Resource, name: &str, causes: Vec<Cause>) -> Self {
        // Causes may be told several times, the message tells each once.
        let mut told: Vec<String> = Vec::new();
        for cause in causes.iter().map(ToString::to_string) {
            if !told.contains(&cause) {
                told.push(cause);
            }
        }
        let listed = if told.len() == 1 { told.concat() } else { format!("[{}]", told.join(", ")) };
        let message = format!("{about} {name:?} is invalid: {listed}");
        Self::new(422, "Invalid", message).about(about, name).caused_by(causes)
    }

    /// 422: parameters that a request of this kind (`PatchOptions`, `DeleteOptions`) cannot have.
    #[must_use]
    pub fn invalid_options(kind: &str, causes: Vec<Cause>) -> Self {
        Self::invalid_as(&Resource::new("meta.k8s.io", kind), "", causes)
    }

    /// 400: an object that cannot be read as one of a kind.
    #[must_use]
    pub fn undecodable(found: &str, version: &str, wanted: &str, why: &str) -> Self {
        Self::bad_request(format!("{found} in version {version:?} cannot be handled as a {wanted}: {why}"))
    }

    /// The failure of a patch that makes an object of which nothing can be read: 422 in place of
    /// [`ApiError::undecodable`].
    #[must_use]
    pub fn of_patch(self, patched: &str) -> Self {
        let why = self.message.split_once(" cannot be handled as a ").and_then(|(_, rest)| rest.split_once(": "));
        let Some((_, why)) = why.filter(|_| self.code == 400) else { return self };
        let cause = Cause::invalid("patch", &json!(patched), why);
        Self { warnings: self.warnings, ..Self::invalid_as(&Resource::new("", ""), "", vec![cause]) }
    }

    /// The same with warnings.
    #[must_use]
    pub fn with_warnings(self, warnings: &[String]) -> Self {
        Self { warnings: [warnings, &self.warnings].concat(), ..self }
    }

    /// 400: the name of the object is not the one in the path.
    #[must_use]
    pub fn other_name(found: &str, wanted: &str) -> Self {
        Self::bad_request(format!("the name of the object ({found}) does not match the name on the URL ({wanted})"))
    }

    /// 400: the name of the object is in the path only.
    #[must_use]
    pub fn nameless(name: &str) -> Self {
        Self::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ))
    }

    /// 400: the request cannot be understood.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message.into())
    }

    /// 400: the body is no object.
    #[must_use]
    pub fn no_object(body: &Value) -> Self {
        let found = json_type(body);
        let wanted =
            r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;
        let why = format!("json: cannot unmarshal {found} into Go value of type {wanted}");
        Self::bad_request(format!("couldn't get version/kind; json parse error: {why}"))
    }

    /// 422 without causes: a patch that cannot be applied to the object.
    #[must_use]
    pub fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(422, "Invalid", message.into())
    }

    /// 500 without a reason: what the server refuses by an error that it did not foresee.
    #[must_use]
    pub fn unforeseen(message: impl Into<String>) -> Self {
        Self::new(500, "", message.into())
    }

    /// 401: no or a wrong token.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized".to_owned())
    }

    /// 403: not allowed, with what it is about and why.
    #[must_use]
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let quoted = if name.is_empty() { String::new() } else { format!(" {name:?}") };
        Self::new(403, "Forbidden", format!("{resource}{quoted} is forbidden: {why}")).about(resource, name)
    }

    /// 403: nothing new goes into a namespace on its way out.
    #[must_use]
    pub fn namespace_terminating(resource: &Resource, name: &str, namespace: &str) -> Self {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let cause = Cause {
            reason: "NamespaceTerminating",
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".to_owned(),
        };
        Self::forbidden(resource, name, &why).caused_by(vec![cause])
    }

    /// 406: nothing that the client accepts can be given.
    #[must_use]
    pub fn not_acceptable(given: &[&str]) -> Self {
        let message = format!("only the following media types are accepted: {}", given.join(", "));
        Self::new(406, "NotAcceptable", message)
    }

    /// 415: a body of an unknown type.
    #[must_use]
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let known = accepted.join(", ");
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {known}");
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 415: a patch of a built-in kind of an unknown type.
    #[must_use]
    pub fn unknown_media_type() -> Self {
        Self::new(415, "UnsupportedMediaType", UNKNOWN_TYPE.to_owned())
    }

    /// 413: more operations in one patch than are taken.
    #[must_use]
    pub fn too_many_operations(given: usize, most: usize) -> Self {
        let message =
            format!("Request entity too large: The allowed maximum operations in a JSON patch is {most}, got {given}");
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 413: a body over the limit, in bytes.
    #[must_use]
    pub fn too_large(limit: usize) -> Self {
        Self::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"))
    }

    /// 400: an object that is nested deeper than so many levels.
    #[must_use]
    pub fn too_deep(limit: usize) -> Self {
        Self::bad_request(format!("{TOO_DEEP} {limit} levels of maps and lists: make it flatter"))
    }

    /// The same for what a reader of JSON says about a text that is nested deeper than it goes; none for other
    /// complaints.
    #[must_use]
    pub fn of_depth(complaint: &str) -> Option<Self> {
        complaint.starts_with("recursion limit exceeded").then(|| Self::too_deep(MAX_DEPTH))
    }

    /// Whether it is [`ApiError::too_deep`].
    #[must_use]
    pub fn is_depth(&self) -> bool {
        self.message.starts_with(TOO_DEEP)
    }

    /// The same in other words, unless it is about a depth, which is always told alike.
    #[must_use]
    pub fn told_as(self, words: impl FnOnce(&str) -> String) -> Self {
        if self.is_depth() {
            return self;
        }
        Self { message: words(&self.message), ..self }
    }

    /// 410: a watch from too long ago.
    #[must_use]
    pub fn expired(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    /// 410: a list that cannot be continued as it was begun, and how to go on with what is there now.
    #[must_use]
    pub fn continue_expired(go_on: String) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a \
                       new list without the continue parameter, or use the continue token in this response to retrieve \
                       the remainder of the results. Continuing with the provided token results in an inconsistent \
                       list - objects that were created, modified, or deleted between the time the first chunk was \
                       returned and now may show up in the list.";
        Self { continue_: go_on, ..Self::new(410, "Expired", message.to_owned()) }
    }

    /// 504: a revision that the server has not reached.
    #[must_use]
    pub fn too_new(asked: u64, current: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let cause = Cause {
            reason: "ResourceVersionTooLarge",
            message: "Too large resource version".to_owned(),
            field: String::new(),
        };
        let mut error = Self::new(504, "Timeout", message).caused_by(vec![cause]);
        error.details.retry_after = 1;
        error
    }

    /// 500: our own defect, or a disk that fails.
    #[must_use]
    pub fn internal(what: impl fmt::Display) -> Self {
        let mut error = Self::new(500, "InternalError", format!("Internal error occurred: {what}"));
        error.details.causes = vec![Cause { reason: "", message: what.to_string(), field: String::new() }];
        error
    }

    /// What a store refuses, about an object of this resource as the client names it.
    #[must_use]
    pub fn from_store(error: StoreError, resource: &Resource, name: &str) -> Self {
        match error {
            StoreError::NotFound(_) => Self::not_found(resource, name),
            StoreError::Exists(_) => Self::already_exists(resource, name),
            StoreError::Stale { .. } => Self::modified(resource, name),
            StoreError::NoNamespace(namespace) => Self::not_found(&Resource::new("", "namespaces"), &namespace),
            StoreError::NamespaceTerminating(namespace) => Self::namespace_terminating(resource, name, &namespace),
            StoreError::TooOld { asked, oldest } => Self::expired(asked, oldest),
            StoreError::Journal { .. } => Self::internal(error),
        }
    }

    /// Whether the same request can succeed on the object as it is now.
    #[must_use]
    pub fn is_stale_write(&self) -> bool {
        self.code == 409 && self.message.contains("the object has been modified")
    }

    /// The `Status` object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut metadata = Map::new();
        if !self.continue_.is_empty() {
            metadata.insert("continue".to_owned(), json!(self.continue_));
        }
        let mut out = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            out["reason"] = json!(self.reason);
        }
        if *self.details != Details::default() {
            out["details"] = self.details.to_json();
        } else if matches!(self.code, 404 | 405 | 422) || self.message == UNKNOWN_TYPE {
            out["details"] = json!({});
        }
        out
    }
}

/// The `Status` of a success, such as a deletion.
#[must_use]
pub fn success(details: &Details) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details.to_json()})
}
