//! Counting requests by verb, as a layer under every client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::{Method, Request};
use tower::{Layer, Service};

/// Requests by verb: get, list, watch, create, update, patch, apply, delete, discovery; those for Leases as `lease`.
#[derive(Debug, Clone, Default)]
pub struct RequestCounts(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl RequestCounts {
    /// A copy of the counts.
    #[must_use]
    pub fn snapshot(&self) -> BTreeMap<&'static str, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All requests but watches and those for Leases.
    #[must_use]
    pub fn active(&self) -> u64 {
        self.snapshot().iter().filter(|(verb, _)| !matches!(**verb, "watch" | "lease")).map(|(_, count)| count).sum()
    }

    fn count<B>(&self, request: &Request<B>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(verb(request)).or_default() += 1;
    }
}

fn verb<B>(request: &Request<B>) -> &'static str {
    let path = request.uri().path();
    let query = request.uri().query().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let rest = match parts.first() {
        Some(&"api") => parts.get(2..),
        Some(&"apis") => parts.get(3..),
        _ => None,
    };
    let Some(rest) = rest.filter(|rest| !rest.is_empty()) else { return "discovery" };
    let named = if rest[0] == "namespaces" && rest.len() > 2 { rest.len() > 3 } else { rest.len() > 1 };
    let content = request.headers().get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    match *request.method() {
        _ if parts.contains(&"leases") => "lease",
        Method::GET if query.contains("watch=true") || query.contains("watch=1") => "watch",
        Method::GET if named => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH if content.contains("apply-patch") => "apply",
        Method::PATCH => "patch",
        _ => "delete",
    }
}

/// Counts what passes.
#[derive(Debug, Clone)]
pub(super) struct CountLayer(pub(super) RequestCounts);

impl<S> Layer<S> for CountLayer {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, counts: self.0.clone() }
    }
}

/// A service whose requests are counted.
#[derive(Debug, Clone)]
pub(super) struct Counted<S> {
    inner: S,
    counts: RequestCounts,
}

impl<S, B> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.counts.count(&request);
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_follow_from_method_and_path() {
        let table = [
            ("GET", "/api/v1/namespaces/a/pods/b", "", "get"),
            ("GET", "/api/v1/namespaces/a/pods", "", "list"),
            ("GET", "/api/v1/namespaces/a", "", "get"),
            ("GET", "/api/v1/pods?watch=true", "", "watch"),
            ("GET", "/apis/apps/v1/deployments", "", "list"),
            ("GET", "/apis/apps/v1", "", "discovery"),
            ("GET", "/version", "", "discovery"),
            ("PATCH", "/apis/apps/v1/namespaces/a/deployments/b", "application/apply-patch+yaml", "apply"),
            ("PATCH", "/apis/apps/v1/namespaces/a/deployments/b/status", "application/merge-patch+json", "patch"),
            ("PUT", "/apis/coordination.k8s.io/v1/namespaces/a/leases/b", "", "lease"),
            ("DELETE", "/api/v1/namespaces/a/pods/b", "", "delete"),
        ];
        for (method, uri, content, expected) in table {
            let request = Request::builder().method(method).uri(uri).header("content-type", content).body(()).unwrap();
            assert_eq!(verb(&request), expected, "{method} {uri}");
        }
    }
}
