//! From a request to a response.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use futures::StreamExt;
use http::{HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::apiserver::convert;
use crate::apiserver::core::{Core, Writer, Written};
use crate::apiserver::counts::Counts;
use crate::apiserver::decode;
use crate::apiserver::delete::{DeleteOptions, Propagation};
use crate::apiserver::discovery::{self, Aggregated};
use crate::apiserver::kinds::{Kind, Kinds, Resource, Serving};
use crate::apiserver::metadata;
use crate::apiserver::negotiate;
use crate::apiserver::openapi;
use crate::apiserver::patch::{APPLY, check_type_of_patch};
use crate::apiserver::request::Request;
use crate::apiserver::route::{Discovery, Part, Route, Target, is_escaped_well, refuses_head, route, verb};
use crate::apiserver::status::{ApiError, Cause, Details, success};
use crate::apiserver::view::View;
use crate::apiserver::watch::watch;

/// The version that the server says it has.
const VERSION: (&str, &str, &str) = ("1", "36", "v1.36.3");

/// What answers requests: the core with HTTP around it.
#[derive(Debug)]
pub(super) struct Handler {
    pub(super) core: Arc<Core>,
    pub(super) counts: Counts,
    pub(super) closing: CancellationToken,
}

type Reply = Response<Body>;

/// The real server leaves the pods of a job alone unless it is told otherwise, and says so.
const ORPHANED_PODS: &str = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background \
                             to remove them or set propagationPolicy=Orphan to suppress this warning";

const ENDPOINTS_ARE_OLD: &str = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice";

/// Leaves the pods of a deleted job alone; gives the warning.
fn keep_pods(target: &Target, options: &mut DeleteOptions) -> Vec<String> {
    if options.propagation.is_some() || target.kind.resource() != Resource::new("batch", "jobs") {
        return Vec::new();
    }
    options.by_default = Some(Propagation::Orphan);
    vec![ORPHANED_PODS.to_owned()]
}

/// Kinds of which a deletion shows the object that was, in place of a status.
fn shows_deleted(kind: &Kind) -> bool {
    match kind.gvk.group.as_str() {
        "" => matches!(
            kind.plural.as_str(),
            "persistentvolumeclaims" | "persistentvolumes" | "pods" | "resourcequotas" | "serviceaccounts" | "services"
        ),
        "storage.k8s.io" => kind.plural == "storageclasses",
        _ => false,
    }
}

impl Handler {
    /// Answers one request; every failure is a `Status`.
    pub(super) fn answer(&self, request: &Request) -> Reply {
        if !is_escaped_well(&request.path) {
            let mut reply = text("400 Bad Request");
            *reply.status_mut() = StatusCode::BAD_REQUEST;
            return reply;
        }
        let kinds = self.core.kinds();
        let found = route(&request.path, &kinds);
        self.count(request, found.as_ref().ok());
        let is_head = request.method == Method::HEAD;
        let is_read = is_head || request.method == Method::GET;
        let answered = found.and_then(|route| match route {
            route if is_head && refuses_head(&route) => Err(ApiError::method_not_allowed()),
            Route::Version | Route::Discovery(Discovery::Version(..)) if !is_read => {
                Err(ApiError::method_not_allowed())
            }
            Route::Version => Ok(reply(200, &version())),
            Route::Health => Ok(text("ok")),
            Route::Discovery(discovery) => discover(&kinds, &discovery, &request.accept),
            Route::OpenApi(path) => open_api(&kinds, &path, request),
            Route::Objects(target) => self.objects(&target, request),
        });
        let mut reply = answered.unwrap_or_else(|error| failed(&error));
        if is_head {
            *reply.body_mut() = Body::empty();
        }
        reply
    }

    fn count(&self, request: &Request, route: Option<&Route>) {
        let applies = request.content_type == APPLY;
        let (lease, verb) = match route {
            Some(Route::Objects(target)) => {
                let verb = verb(&request.method, target.name.is_some(), request.query.flag("watch"), applies);
                (target.kind.gvk.kind == "Lease", verb)
            }
            _ => (false, "other"),
        };
        self.counts.add(&request.user_agent, lease, verb);
    }

    fn objects(&self, target: &Target, request: &Request) -> Result<Reply, ApiError> {
        let is_old = target.kind.resource() == Resource::new("", "endpoints");
        let warning: Vec<String> = is_old
            .then(|| ENDPOINTS_ARE_OLD.to_owned())
            .or_else(|| target.kind.deprecation.clone())
            .into_iter()
            .collect();
        let mut answered = self.answer_about(target, request);
        match &mut answered {
            Ok(reply) => warn(reply, &warning),
            Err(error) => error.warnings.extend(warning),
        }
        answered
    }

    fn answer_about(&self, target: &Target, request: &Request) -> Result<Reply, ApiError> {
        if target.kind.serving == Serving::CreateOnly {
            return self.question(target, request);
        }
        match (&request.method, &target.part, target.name.as_deref()) {
            (&Method::GET | &Method::HEAD, Part::Whole, name) if name.is_none() || request.query.flag("watch") => {
                self.list(target, request)
            }
            (&Method::GET | &Method::HEAD, Part::Scale, Some(name)) => {
                let scale = self.core.scale(target, name)?;
                Ok(reply(200, &Self::view(request)?.scale(&scale, self.core.now())))
            }
            (&Method::GET | &Method::HEAD, Part::Log, Some(name)) => self.log(target, name),
            (&Method::GET | &Method::HEAD, Part::Whole | Part::Status, Some(name)) => self.get(target, name, request),
            (&Method::POST, Part::Whole, None) => self.create(target, request),
            // The name in the path says nothing there.
            (&Method::POST, Part::Whole, Some(_)) if target.kind.is_custom() => {
                self.create(&Target { name: None, ..target.clone() }, request)
            }
            (&Method::POST, Part::Token, Some(name)) => self.token(target, name, request),
            (&Method::PUT | &Method::PATCH, Part::Scale, Some(name)) => {
                let written = self.core.rescale(target, name, request, &Writer::of(request)?)?;
                let mut reply = reply(200, &Self::view(request)?.scale(&written.object, self.core.now()));
                warn(&mut reply, &written.warnings);
                Ok(reply)
            }
            (&Method::PUT, Part::Whole | Part::Status | Part::Finalize, Some(_)) => {
                let writer = Writer::of(request)?;
                let object = request.object_of(&target.kind.gvk.kind)?;
                decode::check_sent(&target.kind, &object, &request.body)?;
                let written = self.core.replace(target, &object, &writer)?;
                self.written(target, &written, request)
            }
            (&Method::PATCH, Part::Whole | Part::Status, Some(name)) => {
                check_type_of_patch(&target.kind, &request.content_type)?;
                let written = self.core.patch(target, name, request, &Writer::of(request)?)?;
                self.written(target, &written, request)
            }
            (&Method::DELETE, Part::Whole, Some(name)) => self.delete(target, name, request),
            (&Method::POST, Part::Eviction, Some(name)) => self.evict(target, name, request),
            (&Method::DELETE, Part::Whole, None) if target.kind.verbs().contains(&"deletecollection") => {
                self.delete_collection(target, request)
            }
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    fn view(request: &Request) -> Result<View, ApiError> {
        View::of(negotiate::form(&request.accept)?, &request.query)
    }

    fn list(&self, target: &Target, request: &Request) -> Result<Reply, ApiError> {
        let view = Self::view(request)?;
        if request.query.flag("watch") {
            negotiate::check_stream(&request.accept)?;
            let lines = watch(&self.core, target, &request.query, view, self.closing.clone())?;
            return Ok(with_body(200, Body::from_stream(lines.map(Ok::<_, Infallible>))));
        }
        let page = self.core.list(target, &request.query)?;
        Ok(with_body(200, view.list(&target.kind, &page, self.core.now())?.into()))
    }

    fn get(&self, target: &Target, name: &str, request: &Request) -> Result<Reply, ApiError> {
        let view = Self::view(request)?;
        let (asked, current) = (request.query.revision()?, self.core.store().revision());
        if asked > current {
            return Err(ApiError::too_new(asked, current));
        }
        let found = self.core.store().get(&target.key(name));
        let found = found.ok_or_else(|| ApiError::not_found(&target.resource(), name))?;
        let shown = convert::shown(&target.kind, &found);
        Ok(reply(200, &view.object(&target.kind, &shown, self.core.now())))
    }

    /// Simulated containers write nothing, and those of a pod without a node have not begun.
    fn log(&self, target: &Target, name: &str) -> Result<Reply, ApiError> {
        let found = self.core.store().get(&target.key(name));
        found.map(|_| text("")).ok_or_else(|| ApiError::not_found(&target.resource(), name))
    }

    fn create(&self, target: &Target, request: &Request) -> Result<Reply, ApiError> {
        if target.kind.namespaced && target.namespace.is_none() {
            return Err(ApiError::method_not_allowed());
        }
        let writer = Writer::of(request)?;
        let object = request.object_of(&target.kind.gvk.kind)?;
        decode::check_sent(&target.kind, &object, &request.body)?;
        decode::check_new(&target.kind, &object)?;
        let written = self.core.create_in(target, object, &writer)?;
        self.written(target, &written, request)
    }

    fn written(&self, target: &Target, written: &Written, request: &Request) -> Result<Reply, ApiError> {
        let view = Self::view(request)?;
        let shown = convert::shown(&target.kind, &written.object);
        let code = if written.created { 201 } else { 200 };
        let mut reply = reply(code, &view.object(&target.kind, &shown, self.core.now()));
        warn(&mut reply, &written.warnings);
        Ok(reply)
    }

    fn delete(&self, target: &Target, name: &str, request: &Request) -> Result<Reply, ApiError> {
        let view = Self::view(request)?;
        let mut options = DeleteOptions::of(request)?;
        let warnings = keep_pods(target, &mut options);
        let deleted = self.core.delete(target, name, &options).map_err(|error| error.with_warnings(&warnings))?;
        if !deleted.gone || shows_deleted(&target.kind) {
            let shown = convert::shown(&target.kind, &deleted.object);
            let mut reply = reply(200, &view.object(&target.kind, &shown, self.core.now()));
            warn(&mut reply, &warnings);
            return Ok(reply);
        }
        let resource = target.resource();
        let uid = crate::apiserver::metadata::text(&deleted.object, "uid").to_owned();
        let details =
            Details { name: name.to_owned(), group: resource.group, kind: resource.plural, uid, ..Details::default() };
        Ok(reply(200, &success(&details)))
    }

    fn delete_collection(&self, target: &Target, request: &Request) -> Result<Reply, ApiError> {
        let view = Self::view(request)?;
        let mut options = DeleteOptions::of(request)?;
        let warnings = keep_pods(target, &mut options);
        let page = self.core.list(target, &request.query)?;
        for object in &page.objects {
            match self.core.delete_object(object, &options) {
                // Somebody else was faster: it is gone, as asked for.
                Err(error) if error.code == 404 => {}
                done => drop(done?),
            }
        }
        let mut reply = with_body(200, view.list(&target.kind, &page, self.core.now())?.into());
        warn(&mut reply, &warnings);
        Ok(reply)
    }

    /// Lets a pod go. Nothing keeps it here: budgets are kept by controllers.
    fn evict(&self, target: &Target, name: &str, request: &Request) -> Result<Reply, ApiError> {
        let eviction = request.object_of("Eviction")?;
        let text = |field: &str| eviction.get(field).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if !kind.is_empty() && (kind != "Eviction" || !matches!(version, "policy/v1" | "policy/v1beta1")) {
            let why = format!("converting ({version}.{kind}) to (policy.Eviction): unknown conversion");
            let message = format!("{kind} in version {version:?} cannot be handled as a Eviction: {why}");
            return Err(ApiError::bad_request(message));
        }
        if metadata::text(&eviction, "name") != name {
            return Err(ApiError::bad_request("name in URL does not match name in Eviction object".to_owned()));
        }
        self.core.delete(target, name, &DeleteOptions::of_eviction(&eviction, request)?)?;
        Ok(reply(201, &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})))
    }

    /// Who am I, and may I: everybody is the one user, who may do everything.
    fn question(&self, target: &Target, request: &Request) -> Result<Reply, ApiError> {
        if request.method != Method::POST {
            return Err(ApiError::method_not_allowed());
        }
        let writer = Writer::of(request)?;
        let mut review = request.object_of(&target.kind.gvk.kind)?;
        decode::check_envelope(&self.core.kinds(), &target.kind, &mut review, None, None)?;
        if target.kind.gvk.kind == "SelfSubjectAccessReview" {
            check_question(&target.kind, &review)?;
        }
        let mut review = self.core.owned(&target.kind, None, &review, &Part::Whole, &writer);
        let every = json!(["*"]);
        review["status"] = match target.kind.gvk.kind.as_str() {
            "SelfSubjectReview" => {
                json!({"userInfo": {"username": "admin", "groups": ["system:masters", "system:authenticated"]}})
            }
            "SelfSubjectRulesReview" => json!({
                "resourceRules": [{"verbs": every, "apiGroups": every, "resources": every}],
                "nonResourceRules": [{"verbs": every, "nonResourceURLs": every}], "incomplete": false,
            }),
            _ => json!({"allowed": true}),
        };
        Ok(reply(201, &review))
    }

    /// A token for a service account. The server does not check who asks, so any text will do.
    fn token(&self, target: &Target, name: &str, request: &Request) -> Result<Reply, ApiError> {
        let found = self.core.store().get(&target.key(name));
        let account = found.ok_or_else(|| ApiError::not_found(&target.resource(), name))?;
        let mut review = request.object()?;
        let seconds =
            review.pointer("/spec/expirationSeconds").and_then(Value::as_i64).unwrap_or(3600).clamp(600, 1 << 32);
        let expires = self.core.now() + jiff::SignedDuration::from_secs(seconds);
        let token =
            crate::apiserver::metadata::uid(&format!("token/{}", crate::apiserver::metadata::text(&account, "uid")));
        review["status"] =
            json!({"token": token, "expirationTimestamp": crate::domain::time::rfc3339_seconds(expires)});
        Ok(reply(201, &review))
    }
}

/// Whether somebody may do something is about either a resource or a path.
fn check_question(kind: &Kind, review: &Value) -> Result<(), ApiError> {
    let part = |name: &str| review.get("spec").and_then(|spec| spec.get(name)).filter(|part| !part.is_null());
    let cause = match (part("resourceAttributes"), part("nonResourceAttributes")) {
        (None, None) => {
            let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            Cause::invalid("spec.resourceAttributes", &Value::Null, detail)
        }
        (Some(_), Some(path)) => {
            let text = |name: &str| path.get(name).and_then(Value::as_str).unwrap_or_default();
            let shown = json!({"Path": text("path"), "Verb": text("verb")});
            let detail = "cannot be specified in combination with resourceAttributes";
            Cause::invalid("spec.nonResourceAttributes", &shown, detail)
        }
        _ => return Ok(()),
    };
    Err(ApiError::invalid_as(&Resource::new(&kind.gvk.group, ""), "", vec![cause]))
}

fn version() -> Value {
    let (major, minor, git) = VERSION;
    json!({
        "major": major, "minor": minor, "gitVersion": git, "gitCommit": "", "gitTreeState": "clean", "buildDate": "",
        "goVersion": "", "compiler": "", "platform": "loggia/embedded",
    })
}

fn discover(kinds: &Kinds, discovery: &Discovery, accept: &str) -> Result<Reply, ApiError> {
    let aggregated = Aggregated::accepted(accept);
    let document = match (discovery, aggregated) {
        (Discovery::Core | Discovery::Groups, Some(form)) => {
            let mut reply = reply(200, &discovery::aggregated(kinds, *discovery == Discovery::Core, form));
            if let Ok(kind) = HeaderValue::from_str(form.content_type()) {
                reply.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            return Ok(reply);
        }
        (Discovery::Core, None) => Some(discovery::core_versions("")),
        (Discovery::Groups, None) => Some(discovery::group_list(kinds)),
        (Discovery::Group(group), _) => discovery::group(kinds, group),
        (Discovery::Version(group, version), _) => discovery::resource_list(kinds, group, version),
    };
    document.map(|document| reply(200, &document)).ok_or_else(ApiError::no_such_path)
}

fn open_api(kinds: &Kinds, path: &str, request: &Request) -> Result<Reply, ApiError> {
    if let Some((media, document)) = openapi::v2_in_protobuf(&request.accept).filter(|_| path == "v2") {
        let mut reply = with_body(200, document.into());
        reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        return Ok(reply);
    }
    if !openapi::accepts_json(&request.accept) {
        return Err(ApiError::not_acceptable(&["application/json"]));
    }
    let parts: Vec<&str> = path.split('/').collect();
    let document = match parts.as_slice() {
        ["v2"] => Some(openapi::v2()),
        ["v3"] => Some(openapi::index(kinds)),
        ["v3", "api", version] => openapi::document(kinds, "", version),
        ["v3", "apis", group, version] => openapi::document(kinds, group, version),
        _ => None,
    };
    document.map(|document| reply(200, &document)).ok_or_else(ApiError::no_such_path)
}

/// Most letters of all warnings of an answer; of more each is cut. Source: `pkg/endpoints/filters/warning.go` of
/// apiserver.
const WARNED: usize = 4 * 1024;
/// Most letters of a warning that is cut.
const WARNED_EACH: usize = 256;

/// Warnings as they are told: each once, and not too many of them.
fn told(warnings: &[String]) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let once: Vec<&String> = warnings.iter().filter(|warning| !warning.is_empty() && seen.insert(*warning)).collect();
    let letters = |text: &str| text.chars().count();
    if once.iter().map(|warning| letters(warning)).sum::<usize>() <= WARNED {
        return once.into_iter().cloned().collect();
    }
    let mut written = 0;
    let cut = once.into_iter().map(|warning| warning.chars().take(WARNED_EACH).collect::<String>());
    let fits = |warning: &String| {
        let before = written;
        written += letters(warning);
        before < WARNED
    };
    cut.take_while(fits).collect()
}

fn warn(reply: &mut Reply, warnings: &[String]) {
    for warning in told(warnings) {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            reply.headers_mut().append(header::WARNING, value);
        }
    }
}

/// A failure as a response.
pub(super) fn failed(error: &ApiError) -> Reply {
    if error.is_page() {
        let mut reply = text("404 page not found\n");
        *reply.status_mut() = StatusCode::NOT_FOUND;
        return reply;
    }
    let mut reply = reply(error.code, &error.to_json());
    warn(&mut reply, &error.warnings);
    if error.details.retry_after > 0 {
        reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(error.details.retry_after));
    }
    reply
}

fn reply(code: u16, value: &Value) -> Reply {
    with_body(code, value.to_string().into())
}

fn with_body(code: u16, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

fn text(text: &'static str) -> Reply {
    let mut reply = with_body(200, text.into());
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    reply
}
