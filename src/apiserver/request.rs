//! A request as the server reads it, and the parameters that Kubernetes gives it.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use serde_json::Value;

use crate::apiserver::protobuf::{self, PROTOBUF};
use crate::apiserver::status::ApiError;
use crate::domain::krm::document::{self, Limits};

/// Largest body that is read, in bytes: the limit of Kubernetes.
pub const MAX_BODY: usize = 3 * 1024 * 1024;

/// One request, body included.
#[derive(Debug, Clone)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// Path, percent-encoded as it came.
    pub path: String,
    /// Query.
    pub query: Query,
    /// `Accept`; empty when absent.
    pub accept: String,
    /// Media type of the body, without parameters; empty when absent.
    pub content_type: String,
    /// `User-Agent`; empty when absent.
    pub user_agent: String,
    /// Body, at most [`MAX_BODY`].
    pub body: Bytes,
}

impl Request {
    /// Puts head and body together.
    #[must_use]
    pub fn new(head: &http::request::Parts, body: Bytes) -> Self {
        let content_type = text(&head.headers, &header::CONTENT_TYPE);
        Self {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            query: Query::parse(head.uri.query().unwrap_or_default()),
            accept: text(&head.headers, &header::ACCEPT),
            content_type: content_type.split(';').next().unwrap_or_default().trim().to_owned(),
            user_agent: text(&head.headers, &header::USER_AGENT),
            body,
        }
    }

    /// The body: JSON, YAML or protobuf.
    ///
    /// # Errors
    /// 400 when it is none of them, 415 for another media type.
    pub fn object(&self) -> Result<Value, ApiError> {
        match self.content_type.as_str() {
            "" | "application/json" | "*/*" => json(&self.body),
            "application/yaml" => yaml(&self.body),
            PROTOBUF => protobuf::read(&self.body).map_err(|error| ApiError::bad_request(error.to_string())),
            _ => Err(ApiError::unsupported_media_type(&["application/json", "application/yaml", PROTOBUF])),
        }
    }

    /// The body as JSON; `None` when there is none.
    ///
    /// # Errors
    /// As [`Request::object`].
    pub fn optional_object(&self) -> Result<Option<Value>, ApiError> {
        if self.body.is_empty() { Ok(None) } else { self.object().map(Some) }
    }

    /// Who writes: the parameter `fieldManager`, else what stands before the slash in the user agent. Empty when unknown.
    #[must_use]
    pub fn manager(&self) -> String {
        let agent = || self.user_agent.split('/').next().unwrap_or_default().to_owned();
        let mut manager = self.query.text("fieldManager").map_or_else(agent, str::to_owned);
        if manager.is_empty() {
            "unknown".clone_into(&mut manager);
        }
        manager
    }
}

fn text(headers: &HeaderMap, name: &header::HeaderName) -> String {
    let all: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    all.join(",")
}

/// Reads JSON.
///
/// # Errors
/// 400 that says where it is broken.
pub fn json(bytes: &[u8]) -> Result<Value, ApiError> {
    let broken = |error| ApiError::bad_request(format!("couldn't get version/kind; json parse error: {error}"));
    serde_json::from_slice(bytes).map_err(broken)
}

/// Reads YAML (JSON is YAML).
///
/// # Errors
/// 400 that says where it is broken.
pub fn yaml(bytes: &[u8]) -> Result<Value, ApiError> {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    let broken = |why: &dyn std::fmt::Display| ApiError::bad_request(format!("error converting YAML to JSON: {why}"));
    let documents = document::read(bytes, &Limits::default()).map_err(|error| broken(&error))?;
    match <[_; 1]>::try_from(documents) {
        Ok([(_, value)]) => Ok(value),
        Err(documents) => Err(broken(&format!("{} documents where one is expected", documents.len()))),
    }
}

/// Decoded query parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads `a=b&c=d%20e`.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let decode = |text: &str| percent_decode(&text.replace('+', " "));
        Self(
            pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (decode(k), decode(v))).collect(),
        )
    }

    /// The first value of a parameter; none when it is absent or empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// All values of a parameter that are not empty.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<&str> {
        let values = self.0.iter().filter(|(found, value)| found == name && !value.is_empty());
        values.map(|(_, value)| value.as_str()).collect()
    }

    /// A parameter that is `true` or `1`.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), Some("true" | "1" | "True"))
    }

    /// A number; none when it is absent.
    ///
    /// # Errors
    /// 400 when it is no number.
    pub fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let refuse =
            |text: &str| ApiError::bad_request(format!("invalid value {text:?} of parameter {name}: not a number"));
        self.text(name).map(|text| text.parse().map_err(|_| refuse(text))).transpose()
    }

    /// How long a watch may last; none means until it is closed.
    ///
    /// # Errors
    /// 400 when it is no number.
    pub fn timeout(&self) -> Result<Option<Duration>, ApiError> {
        Ok(self.number("timeoutSeconds")?.filter(|&seconds| seconds > 0).map(Duration::from_secs))
    }
}

/// Decodes `%41` to `A`; what is no valid escape stays.
#[must_use]
pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let decoded = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        out.push(decoded.unwrap_or(byte));
        at += if decoded.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("labelSelector=app%3Dupf%2Ctier+in+%28a%29&watch=1&limit=5&empty=&bad=%zz");
        assert_eq!(query.text("labelSelector"), Some("app=upf,tier in (a)"));
        assert!(query.flag("watch"));
        assert_eq!(query.number("limit").unwrap(), Some(5));
        assert_eq!((query.text("empty"), query.text("bad")), (None, Some("%zz")));
        assert_eq!(Query::parse("limit=x").number("limit").unwrap_err().code, 400);
    }
}
