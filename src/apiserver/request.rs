//! A request as the server reads it, and the parameters that Kubernetes gives it.

use std::num::{IntErrorKind, ParseIntError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use serde_json::Value;

use crate::apiserver::decode::json_type;
use crate::apiserver::protobuf::{self, PROTOBUF};
use crate::apiserver::status::{ApiError, Cause};
use crate::apiserver::syntax;
use crate::domain::krm::document::{Limits, Node, NodeKind, YamlFile};
use crate::domain::krm::value::{MAX_DEPTH, MAX_DEPTH_OWNED};

const YAML: &str = "application/yaml";

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
        let content_type = content_type.split(';').next().unwrap_or_default().trim().to_owned();
        let is_json = matches!(content_type.as_str(), "" | "*/*") || content_type.ends_with("json");
        Self {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            query: Query::parse(head.uri.query().unwrap_or_default()),
            accept: text(&head.headers, &header::ACCEPT),
            content_type,
            user_agent: text(&head.headers, &header::USER_AGENT),
            body: if is_json { mended(body) } else { body },
        }
    }

    /// The body: JSON, YAML or protobuf.
    ///
    /// # Errors
    /// 400 when it is none of them, 415 for another media type.
    pub fn object(&self) -> Result<Value, ApiError> {
        match self.content_type.as_str() {
            "" | "application/json" | "*/*" => json(&self.body),
            YAML => yaml(&self.body).map_err(|error| error.told_as(|why| format!("yaml: {why}"))),
            PROTOBUF => protobuf::read(&self.body).map_err(|error| ApiError::bad_request(error.to_string())),
            _ => Err(ApiError::unsupported_media_type(&["application/json", YAML, PROTOBUF])),
        }
    }

    /// The body as an object of a kind: nothing at all is one that says nothing.
    ///
    /// # Errors
    /// As [`Request::object`], with the kind and the beginning of the body.
    pub fn object_of(&self, kind: &str) -> Result<Value, ApiError> {
        let is_text = self.content_type != PROTOBUF;
        let known = |error: ApiError| {
            let is_read = error.code != 400 || !is_text || error.is_depth();
            if is_read { error } else { error.told_as(|why| unrecognized(kind, why, &self.body)) }
        };
        match self.object().map_err(known)? {
            Value::Null => Ok(Value::Object(serde_json::Map::new())),
            object @ Value::Object(_) => Ok(object),
            other => Err(known(ApiError::no_object(&other))),
        }
    }

    /// The body as JSON; `None` when there is none.
    ///
    /// # Errors
    /// As [`Request::object`].
    pub fn optional_object(&self) -> Result<Option<Value>, ApiError> {
        if self.body.is_empty() { Ok(None) } else { self.object().map(Some) }
    }

    /// Who writes: the parameter `fieldManager`, else what stands before the slash in the user agent. Empty when
    /// unknown.
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

/// JSON with U+FFFD for every escaped half of a surrogate pair without its other half, as the decoder of Go reads it.
fn mended(body: Bytes) -> Bytes {
    if !body.windows(3).any(|start| start.eq_ignore_ascii_case(b"\\ud")) {
        return body;
    }
    let code = |at: usize| {
        let hex = body.get(at..at + 6)?.strip_prefix(b"\\u").filter(|hex| hex.iter().all(u8::is_ascii_hexdigit))?;
        u16::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()
    };
    let mut out = body.to_vec();
    let mut at = 0;
    while at < body.len() {
        at += match (body[at], code(at)) {
            (b'\\', Some(0xD800..0xDC00)) if matches!(code(at + 6), Some(0xDC00..0xE000)) => 12,
            (b'\\', Some(0xD800..0xE000)) => {
                out[at..at + 6].copy_from_slice(b"\\ufffd");
                6
            }
            (b'\\', _) => 2,
            _ => 1,
        };
    }
    out.into()
}

fn text(headers: &HeaderMap, name: &header::HeaderName) -> String {
    let all: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    all.join(",")
}

/// Says of a body that nobody knows of which kind it is.
pub(super) fn unrecognized(kind: &str, why: &str, body: &[u8]) -> String {
    format!("the object provided is unrecognized (must be of type {kind}): {why} ({})", summary(body))
}

/// The beginning of a body as the server shows it: in hex when it does not look like JSON.
fn summary(body: &[u8]) -> String {
    const SHOWN: usize = 30;
    let start = &body[..body.len().min(SHOWN)];
    let more = if body.len() > SHOWN { " ..." } else { "" };
    if body.is_empty() {
        return "<empty>".to_owned();
    }
    if body.starts_with(b"{") {
        return format!("{}{more}", String::from_utf8_lossy(start));
    }
    let hex: String = start.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}{more}")
}

/// What is wrong with a text that cannot be read as JSON.
fn fault(bytes: &[u8], error: &serde_json::Error) -> ApiError {
    let told = error.to_string();
    let why = || ApiError::bad_request(syntax::complaint(bytes).unwrap_or_else(|| told.clone()));
    ApiError::of_depth(&told).unwrap_or_else(why)
}

/// Reads JSON.
///
/// # Errors
/// 400 that says where it is broken.
pub fn json(bytes: &[u8]) -> Result<Value, ApiError> {
    let told = |error: ApiError| error.told_as(|why| format!("couldn't get version/kind; json parse error: {why}"));
    bare_json(bytes).map_err(told)
}

/// Reads JSON of which nothing is expected.
///
/// # Errors
/// As [`json`], in fewer words.
pub fn bare_json(bytes: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| fault(bytes, &error))
}

/// Reads the configuration of an apply: YAML that holds a map, or nothing.
///
/// # Errors
/// 400 in the words of the server's decoder.
pub fn configuration(bytes: &[u8]) -> Result<Value, ApiError> {
    let told = |error: ApiError| {
        error.told_as(|why| format!("error decoding YAML: error converting YAML to JSON: yaml: {why}"))
    };
    match yaml(bytes).map_err(told)? {
        Value::Null => Ok(Value::Object(serde_json::Map::new())),
        object @ Value::Object(_) => Ok(object),
        other => Err(ApiError::bad_request(format!(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of \
             type map[string]interface {{}}",
            json_type(&other)
        ))),
    }
}

/// Reads YAML (JSON is YAML): of a field that it has twice the last value. Nothing at all is null.
///
/// # Errors
/// 400 that says where it is broken.
fn yaml(bytes: &[u8]) -> Result<Value, ApiError> {
    // Halves of characters are JSON, but not YAML.
    let halves = bytes.windows(3).any(|bytes| matches!(bytes, [b'\\', b'u', b'd' | b'D']));
    if let Some(value) = serde_json::from_slice(bytes).ok().filter(|_| !halves) {
        return Ok(value);
    }
    let limits = YAML_LIMITS;
    let broken = |why: &dyn std::fmt::Display| ApiError::bad_request(why.to_string());
    let (file, _) = YamlFile::parse_leniently(bytes, &limits).map_err(|error| match error.code {
        "yaml.depth_limit" => ApiError::too_deep(MAX_DEPTH),
        _ => broken(&error),
    })?;
    // The server reads no further than the first document.
    let Some(first) = file.documents().first() else { return Ok(Value::Null) };
    if !fits(first, limits.depth, &mut limits.nodes.clone()) {
        return Err(ApiError::too_deep(MAX_DEPTH));
    }
    file.value(0).map_err(|error| broken(&error))
}

/// How much a body in YAML may ask of us. A scalar counts as a level there.
pub(super) const YAML_LIMITS: Limits =
    Limits { bytes: MAX_BODY, documents: 10_000, depth: MAX_DEPTH_OWNED + 1, nodes: 1_000_000, aliases: 10_000 };

/// Whether a node stays within a depth, what its aliases stand for included. More nodes than `left` do not fit either.
fn fits(node: &Node, depth: usize, left: &mut usize) -> bool {
    if depth == 0 || *left == 0 {
        return false;
    }
    *left -= 1;
    match &node.kind {
        NodeKind::Scalar { .. } => true,
        NodeKind::Alias(target) => fits(target, depth, left),
        NodeKind::Sequence { items, .. } => items.iter().all(|item| fits(item, depth - 1, left)),
        NodeKind::Mapping { entries, .. } => entries.iter().all(|entry| fits(&entry.value, depth - 1, left)),
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

    /// All values of a parameter, be they empty.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<&str> {
        let values = self.0.iter().filter(|(found, _)| found == name);
        values.map(|(_, value)| value.as_str()).collect()
    }

    /// A parameter that is there and says neither `false` nor `0`.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        let said = self.0.iter().find(|(found, _)| found == name);
        said.is_some_and(|(_, value)| value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A number of things, where less than one means any; none when it is absent.
    ///
    /// # Errors
    /// 400 when it is no number.
    pub fn count(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let refuse = |text: &str| ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
        let count = self.text(name).map(|text| text.parse::<i64>().map_err(|_| refuse(text))).transpose()?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).filter(|&count| count > 0))
    }

    /// The parameter `resourceVersion`; 0 when it is absent.
    ///
    /// # Errors
    /// 500 when it is no number.
    pub fn revision(&self) -> Result<u64, ApiError> {
        let refuse = |text: &str, error: &ParseIntError| {
            let why = if *error.kind() == IntErrorKind::PosOverflow { "value out of range" } else { "invalid syntax" };
            let parsing = format!("strconv.ParseUint: parsing {text:?}: {why}");
            ApiError::unforeseen(Cause::invalid("resourceVersion", &Value::from(text), &parsing).to_string())
        };
        let text = self.text("resourceVersion").unwrap_or("0");
        text.parse().map_err(|error| refuse(text, &error))
    }

    /// How long a watch may last; none means until it is closed.
    ///
    /// # Errors
    /// 400 when it is no number.
    pub fn timeout(&self) -> Result<Option<Duration>, ApiError> {
        Ok(self.count("timeoutSeconds")?.map(Duration::from_secs))
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
    fn half_a_character_is_none() {
        let table = [
            (r#""x\ud800y""#, r#""x\ufffdy""#),
            (r#""\uDC00""#, r#""\ufffd""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud800\ud800""#, r#""\ufffd\ufffd""#),
            (r#""\ud800\u0041""#, r#""\ufffd\u0041""#),
            (r#""\\ud800""#, r#""\\ud800""#),
            (r#""\ud8"#, r#""\ud8"#),
        ];
        for (body, expected) in table {
            assert_eq!(mended(Bytes::from_static(body.as_bytes())), expected, "{body}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("labelSelector=app%3Dupf%2Ctier+in+%28a%29&watch=1&limit=5&empty=&bad=%zz");
        assert_eq!(query.text("labelSelector"), Some("app=upf,tier in (a)"));
        assert!(query.flag("watch") && query.flag("bad") && query.flag("empty"));
        assert!(!query.flag("none") && !Query::parse("a=False").flag("a") && !Query::parse("a=0").flag("a"));
        assert_eq!((query.count("limit").unwrap(), query.revision().unwrap()), (Some(5), 0));
        let message = |text: &str| Query::parse(&format!("resourceVersion={text}")).revision().unwrap_err().message;
        assert!(message("abc").ends_with("parsing \"abc\": invalid syntax"));
        assert!(message("99999999999999999999").ends_with("value out of range"));
        assert_eq!((query.text("empty"), query.text("bad")), (None, Some("%zz")));
        assert_eq!(Query::parse("limit=x").count("limit").unwrap_err().code, 400);
        assert_eq!(Query::parse("limit=-1").count("limit").unwrap(), None);
    }
}
