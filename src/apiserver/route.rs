//! What a path means.
//!
//! Source: the URI scheme of the Kubernetes API (`/api/v1/...`, `/apis/GROUP/VERSION/...`).

use std::sync::Arc;

use http::Method;

use crate::apiserver::kinds::{Kind, Kinds, Resource, Serving};
use crate::apiserver::request::percent_decode;
use crate::apiserver::status::ApiError;
use crate::apiserver::store::Key;
use crate::domain::krm::metadata::step_fault;

/// Where a request goes.
#[derive(Debug, Clone)]
pub enum Route {
    /// `/version`.
    Version,
    /// `/healthz`, `/livez`, `/readyz`, with or without the name of one check.
    Health,
    /// `/api`, `/apis` and what lies below without a resource.
    Discovery(Discovery),
    /// `/openapi/v2`, `/openapi/v3` and below: the path after `/openapi/`.
    OpenApi(String),
    /// Objects.
    Objects(Target),
}

/// A discovery document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discovery {
    /// `/api`: the versions of the core group.
    Core,
    /// `/apis`: all groups.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1` (with an empty group) or `/apis/GROUP/VERSION`.
    Version(String, String),
}

/// What a request is about below a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The object itself.
    Whole,
    /// `/status`.
    Status,
    /// `/scale`.
    Scale,
    /// `/finalize` of a namespace.
    Finalize,
    /// `/token` of a service account.
    Token,
    /// `/eviction` of a pod.
    Eviction,
    /// `/log` of a pod.
    Log,
}

impl Part {
    /// The subresource as ownership records name it; empty for the object itself.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::Status => "status",
            Self::Scale => "scale",
            Self::Finalize => "finalize",
            Self::Token => "token",
            Self::Eviction => "eviction",
            Self::Log => "log",
        }
    }
}

/// A kind, and one object or all of them, in one namespace or all.
#[derive(Debug, Clone)]
pub struct Target {
    /// The kind.
    pub kind: Arc<Kind>,
    /// The namespace in the path; `None` for cluster-scoped kinds and over all namespaces.
    pub namespace: Option<String>,
    /// The name in the path.
    pub name: Option<String>,
    /// The subresource.
    pub part: Part,
}

impl Target {
    /// Where the object is stored.
    #[must_use]
    pub fn key(&self, name: &str) -> Key {
        Key::new(&self.kind.stored_as, self.namespace.as_deref().unwrap_or_default(), name)
    }

    /// The resource as clients name it.
    #[must_use]
    pub fn resource(&self) -> Resource {
        self.kind.resource()
    }
}

/// Kubernetes' word for what a request does: `get`, `list`, `watch`, `create`, `update`, `patch`, `apply`, `delete`,
/// `deletecollection`.
#[must_use]
pub fn verb(method: &Method, named: bool, watches: bool, applies: bool) -> &'static str {
    match (method.as_str(), named) {
        ("GET" | "HEAD", _) if watches => "watch",
        ("GET" | "HEAD", true) => "get",
        ("GET" | "HEAD", false) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) if applies => "apply",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => "other",
    }
}

/// Reads a path.
///
/// # Errors
/// 404 when there is nothing like it.
pub fn route(path: &str, kinds: &Kinds) -> Result<Route, ApiError> {
    // A slash is one however it is written.
    let path = percent_decode(path);
    if path.starts_with("//") || path.starts_with("/apis//") {
        return Err(ApiError::no_such_page());
    }
    // No namespace is all of them.
    let path = match path.split_once("/namespaces//") {
        Some((_, below)) if below.trim_end_matches('/').contains('/') => return Err(ApiError::without_namespace()),
        Some((version, below)) => format!("{version}/{below}"),
        None => path,
    };
    if path.contains("//") {
        return Err(ApiError::no_such_path());
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["version"] => Ok(Route::Version),
        ["healthz" | "livez" | "readyz", ..] => Ok(Route::Health),
        ["openapi", rest @ ..] => Ok(Route::OpenApi(rest.join("/"))),
        ["api"] => Ok(Route::Discovery(Discovery::Core)),
        ["apis"] => Ok(Route::Discovery(Discovery::Groups)),
        ["api", version] => versioned("", version, kinds),
        ["apis", group] => grouped(group, kinds),
        ["apis", group, version] => versioned(group, version, kinds),
        ["api", version, rest @ ..] => objects("", version, rest, kinds).map(Route::Objects),
        ["apis", group, version, rest @ ..] => objects(group, version, rest, kinds).map(Route::Objects),
        _ => Err(ApiError::no_such_page()),
    }
}

/// Whether every `%` of a path stands for a byte.
#[must_use]
pub fn is_escaped_well(path: &str) -> bool {
    let escapes = path.split('%').skip(1);
    escapes.map(str::as_bytes).all(|rest| rest.len() > 1 && rest[..2].iter().all(u8::is_ascii_hexdigit))
}

/// Whether a path of the real server takes no `HEAD`: built-in kinds do not, custom ones do.
#[must_use]
pub fn refuses_head(route: &Route) -> bool {
    match route {
        Route::Version | Route::Discovery(Discovery::Core) => true,
        Route::Discovery(Discovery::Version(group, _)) => !group.contains('.') || group.ends_with(".k8s.io"),
        Route::Objects(target) => !target.kind.is_custom(),
        _ => false,
    }
}

/// Below groups of its own the server answers as an API, elsewhere as a page.
fn lost(group: &str, kinds: &Kinds) -> ApiError {
    let own = kinds.iter().any(|kind| kind.gvk.group == group && !kind.is_custom());
    if own { ApiError::no_such_path() } else { ApiError::no_such_page() }
}

fn grouped(group: &str, kinds: &Kinds) -> Result<Route, ApiError> {
    let known = kinds.iter().any(|kind| kind.gvk.group == group);
    if known { Ok(Route::Discovery(Discovery::Group(group.to_owned()))) } else { Err(lost(group, kinds)) }
}

fn versioned(group: &str, version: &str, kinds: &Kinds) -> Result<Route, ApiError> {
    let known = kinds.in_version(group, version).next().is_some();
    let found = Discovery::Version(group.to_owned(), version.to_owned());
    if known { Ok(Route::Discovery(found)) } else { Err(lost(group, kinds)) }
}

fn objects(group: &str, version: &str, rest: &[&str], kinds: &Kinds) -> Result<Target, ApiError> {
    let (namespace, rest) = match rest {
        // The namespace itself, and its subresources.
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, rest),
        ["namespaces", namespace, below @ ..] if !below.is_empty() => (Some((*namespace).to_owned()), below),
        _ => (None, rest),
    };
    let (plural, name, part) = match rest {
        [plural] => (plural, None, ""),
        [plural, name] => (plural, Some((*name).to_owned()), ""),
        [plural, name, part] => (plural, Some((*name).to_owned()), *part),
        _ => return Err(ApiError::no_such_path()),
    };
    let kind = kinds.find(group, version, plural).ok_or_else(|| lost(group, kinds))?;
    let misplaced = if kind.namespaced { namespace.is_none() && name.is_some() } else { namespace.is_some() };
    if misplaced || (kind.serving == Serving::CreateOnly && name.is_some()) {
        return Err(ApiError::no_such_path());
    }
    let part = part_of(kind, part).ok_or_else(ApiError::no_such_path)?;
    if let Some(fault) = name.as_deref().and_then(step_fault) {
        return Err(ApiError::invalid_name(name.as_deref().unwrap_or_default(), &fault));
    }
    Ok(Target { kind: Arc::clone(kind), namespace, name, part })
}

fn part_of(kind: &Kind, name: &str) -> Option<Part> {
    match (name, kind.stored_as.to_string().as_str()) {
        ("", _) => Some(Part::Whole),
        ("status", _) if kind.subresources.status => Some(Part::Status),
        ("scale", _) if kind.subresources.scale.is_some() => Some(Part::Scale),
        ("finalize", "namespaces") => Some(Part::Finalize),
        ("token", "serviceaccounts") => Some(Part::Token),
        ("eviction", "pods") => Some(Part::Eviction),
        ("log", "pods") => Some(Part::Log),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_objects() {
        let kinds = Kinds::builtin();
        let table = [
            ("/api/v1/pods", "pods", None, None, ""),
            ("/api/v1/namespaces", "namespaces", None, None, ""),
            ("/api/v1/namespaces/core", "namespaces", None, Some("core"), ""),
            ("/api/v1/namespaces/core/finalize", "namespaces", None, Some("core"), "finalize"),
            ("/api/v1/namespaces/core/pods/a%2Eb", "pods", Some("core"), Some("a.b"), ""),
            ("/apis/apps/v1/namespaces/core/deployments/upf/scale", "deployments", Some("core"), Some("upf"), "scale"),
            ("/api/v1/nodes/n1/status", "nodes", None, Some("n1"), "status"),
        ];
        for (path, plural, namespace, name, part) in table {
            let Ok(Route::Objects(target)) = route(path, &kinds) else { panic!("{path}") };
            let found =
                (&*target.kind.plural, target.namespace.as_deref(), target.name.as_deref(), target.part.as_str());
            assert_eq!(found, (plural, namespace, name, part), "{path}");
        }
    }

    #[test]
    fn escapes_of_a_path_are_two_hex_digits() {
        for (path, expected) in
            [("/a", true), ("/a%2Eb", true), ("/%zz", false), ("/a%2", false), ("/%", false), ("/%2f%", false)]
        {
            assert_eq!(is_escaped_well(path), expected, "{path}");
        }
    }

    #[test]
    fn other_paths_lead_where_they_say_or_nowhere() {
        let kinds = Kinds::builtin();
        assert!(matches!(route("/healthz/ping", &kinds), Ok(Route::Health)));
        assert!(matches!(route("/apis/apps/v1", &kinds), Ok(Route::Discovery(Discovery::Version(..)))));
        assert!(matches!(route("/openapi/v3/apis/apps/v1", &kinds), Ok(Route::OpenApi(p)) if p == "v3/apis/apps/v1"));
        for path in [
            "/",
            "/apis/none",
            "//api/v1",
            "/api//v1",
            "/api/v1/namespaces/x/configmaps/a%2Fb",
            "/api/v1/namespaces/x//configmaps",
            "/apis/apps/v9",
            "/api/v1/widgets",
            "/api/v1/pods/a",
            "/api/v1/namespaces/x/nodes",
            "/api/v1/namespaces/x/configmaps/a/status",
            "/api/v1/namespaces/x/pods/a/b/c",
        ] {
            assert_eq!(route(path, &kinds).unwrap_err().code, 404, "{path}");
        }
    }
}
