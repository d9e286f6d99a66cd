//! Reading objects.

use std::time::Duration;

use http::Request;
use serde_json::Value;

use super::error::Asked;
use super::{Cluster, ClusterError};
use crate::domain::krm::{Gvk, Object, ObjectId};

/// How long any call but a watch may take.
const DEADLINE_SECONDS: u64 = 30;
/// Objects a page.
const PAGE: usize = 500;

/// A kind and where it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The kind.
    pub kind: Gvk,
    /// Its name in paths.
    pub plural: String,
    /// Whether its objects have a namespace.
    pub namespaced: bool,
}

impl Resource {
    /// The path of one object, or of the collection without a name.
    #[must_use]
    pub fn path(&self, namespace: &str, name: Option<&str>) -> String {
        let root = if self.kind.group.is_empty() {
            format!("/api/{}", self.kind.version)
        } else {
            format!("/apis/{}/{}", self.kind.group, self.kind.version)
        };
        let scope =
            if self.namespaced && !namespace.is_empty() { format!("/namespaces/{namespace}") } else { String::new() };
        let name = name.map(|name| format!("/{name}")).unwrap_or_default();
        format!("{root}{scope}/{}{name}", self.plural)
    }
}

/// All objects of a kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The objects, sorted by namespace and name.
    pub objects: Vec<Object>,
    /// The version of the whole.
    pub resource_version: String,
}

impl Cluster {
    /// Sends one request within the deadline; gives the answer as JSON.
    pub(super) async fn call(
        &self,
        asked: Asked,
        method: &str,
        path_and_query: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Value, ClusterError> {
        let mut request = Request::builder().method(method).uri(path_and_query);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request = request.body(bytes).map_err(|error| ClusterError::Connect {
            cluster: self.name().to_owned(),
            reason: format!("{} {} makes no valid request: {error}", asked.act, asked.what),
        })?;
        let answer = tokio::time::timeout(Duration::from_secs(DEADLINE_SECONDS), self.client.request::<Value>(request));
        match answer.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(asked.failed(error)),
            Err(_) => Err(asked.timed_out(DEADLINE_SECONDS)),
        }
    }

    pub(super) fn asked(&self, act: &'static str, what: &(impl ToString + ?Sized)) -> Asked {
        Asked { cluster: self.name().to_owned(), act, what: what.to_string() }
    }

    /// Where a kind is served.
    ///
    /// # Errors
    /// [`ClusterError::NotFound`] when the server does not have it.
    pub async fn served(&self, kind: &Gvk, act: &'static str) -> Result<Resource, ClusterError> {
        self.resource(kind).await?.ok_or_else(|| ClusterError::NotFound {
            cluster: self.name().to_owned(),
            act,
            what: kind.to_string(),
            reason: "the server does not have this kind".to_owned(),
        })
    }

    /// One object; `None` when it, or its kind, is not there.
    ///
    /// # Errors
    /// [`ClusterError`] for everything but absence.
    pub async fn get(&self, kind: &Gvk, namespace: &str, name: &str) -> Result<Option<Object>, ClusterError> {
        let Some(resource) = self.resource(kind).await? else { return Ok(None) };
        let id = ObjectId {
            group: kind.group.clone(),
            kind: kind.kind.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        match self.call(self.asked("get", &id), "GET", &resource.path(namespace, Some(name)), None, &[]).await {
            Ok(value) => Ok(Object::new(value).ok()),
            Err(ClusterError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects of a kind, page by page; an empty namespace means all, an empty selector everything.
    ///
    /// # Errors
    /// [`ClusterError`]; a listing is whole or an error.
    pub async fn list(&self, kind: &Gvk, namespace: &str, selector: &str) -> Result<Listing, ClusterError> {
        let resource = self.served(kind, "list").await?;
        let mut objects = Vec::new();
        let mut token = String::new();
        loop {
            let query = format!("?limit={PAGE}&labelSelector={}&continue={token}", escape(selector));
            let path = format!("{}{query}", resource.path(namespace, None));
            let page = self.call(self.asked("list", kind), "GET", &path, None, &[]).await?;
            objects.extend(items(&page, kind));
            let text = |pointer: &str| page.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            token = escape(&text("/metadata/continue"));
            if token.is_empty() {
                objects.sort_by_cached_key(Object::id);
                return Ok(Listing { objects, resource_version: text("/metadata/resourceVersion") });
            }
        }
    }

    /// Version of the server, such as `v1.36.3`.
    ///
    /// # Errors
    /// [`ClusterError`] when it does not answer.
    pub async fn version(&self) -> Result<String, ClusterError> {
        let version = self.call(self.asked("ask the version of", self.name()), "GET", "/version", None, &[]).await?;
        Ok(version.get("gitVersion").and_then(Value::as_str).unwrap_or("unknown").to_owned())
    }
}

/// Items of a list do not repeat their kind.
fn items(page: &Value, kind: &Gvk) -> Vec<Object> {
    let entries = page.get("items").and_then(Value::as_array).into_iter().flatten();
    entries
        .filter_map(|entry| {
            let mut entry = entry.clone();
            let map = entry.as_object_mut()?;
            map.insert("apiVersion".to_owned(), Value::from(kind.api_version()));
            map.insert("kind".to_owned(), Value::from(kind.kind.as_str()));
            Object::new(entry).ok()
        })
        .collect()
}

/// Percent-encodes for a query.
pub(super) fn escape(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
