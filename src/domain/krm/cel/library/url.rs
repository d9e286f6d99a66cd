//! URLs, read as Go's `net/url` reads the target of a request: absolute ones and absolute paths.

use std::collections::BTreeMap;

use super::{Given, traversal};
use crate::domain::krm::cel::collection::Key;
use crate::domain::krm::cel::eval::{Budget, Fail};
use crate::domain::krm::cel::value::Val;

/// The parts of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Url {
    scheme: String,
    host: String,
    path: String,
    query: String,
}

impl Url {
    /// Reads a URL; the error says why it is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| format!("parse {text:?}: {why}");
        if text.is_empty() {
            return Err(refuse("empty url"));
        }
        if text.chars().any(|c| c.is_ascii_control()) {
            return Err(refuse("net/url: invalid control character in URL"));
        }
        let (scheme, rest) = scheme(text).map_err(refuse)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        if !rest.starts_with('/') {
            // A scheme with something opaque, such as `mailto:a`.
            return if scheme.is_empty() {
                Err(refuse("invalid URI for request"))
            } else {
                Ok(Self { scheme, host: String::new(), path: String::new(), query: query.to_owned() })
            };
        }
        let (authority, path) = match rest.strip_prefix("//").filter(|_| !scheme.is_empty() || !rest.starts_with("///"))
        {
            Some(rest) if !scheme.is_empty() => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            _ => ("", rest),
        };
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        check_host(host).map_err(|why| refuse(&why))?;
        check_escapes(path).map_err(|why| refuse(&why))?;
        Ok(Self { scheme, host: host.to_owned(), path: escaped_path(path), query: query.to_owned() })
    }

    fn hostname(&self) -> &str {
        if let Some(end) = self.host.strip_prefix('[').and_then(|rest| rest.find(']')) {
            return self.host.get(1..=end).unwrap_or_default();
        }
        self.host.rsplit_once(':').map_or(&self.host, |(host, _)| host)
    }

    fn port(&self) -> &str {
        let after = self.host.rfind(']').map_or(0, |end| end + 1);
        let rest = self.host.get(after..).unwrap_or_default();
        rest.rsplit_once(':').map_or("", |(_, port)| port)
    }
}

fn scheme(text: &str) -> Result<(String, &str), &'static str> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(text.len());
    if !text.get(end..).is_some_and(|rest| rest.starts_with(':')) {
        return Ok((String::new(), text));
    }
    if end == 0 {
        return Err("missing protocol scheme");
    }
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return if text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
            Err("first path segment in URL cannot contain colon")
        } else {
            Ok((String::new(), text))
        };
    }
    let (scheme, rest) = text.split_at(end);
    Ok((scheme.to_lowercase(), rest.get(1..).unwrap_or_default()))
}

fn check_host(host: &str) -> Result<(), String> {
    let after = match host.strip_prefix('[') {
        Some(rest) => rest.find(']').and_then(|end| rest.get(end + 1..)).ok_or("missing ']' in host")?,
        None => host.find(':').and_then(|at| host.get(at..)).unwrap_or_default(),
    };
    let port = after.strip_prefix(':').unwrap_or_default();
    if !after.is_empty() && (!after.starts_with(':') || !port.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(format!("invalid port {after:?} after host"));
    }
    match host.chars().find(|c| " <>\"\\^`{|}".contains(*c)) {
        Some(letter) => Err(format!("invalid character {:?} in host name", letter.to_string())),
        None => check_escapes(host),
    }
}

fn check_escapes(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('%') {
        let code: String = text.get(at..).unwrap_or_default().chars().take(3).collect();
        if code.len() != 3 || !code.chars().skip(1).all(|c| c.is_ascii_hexdigit()) {
            return Err(format!("invalid URL escape {code:?}"));
        }
    }
    Ok(())
}

/// The path with everything escaped that must be.
fn escaped_path(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@!'()*%[]".contains(&byte);
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let code = [rest.next()?, rest.next()?];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&code).ok()?, 16).ok()?);
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

fn query<'a>(text: &str) -> Val<'a> {
    let mut found: BTreeMap<Key, Vec<Val<'a>>> = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let (Some(name), Some(value)) = (decoded(name), decoded(value)) {
            found.entry(Key::Text(name)).or_default().push(Val::text(value));
        }
    }
    Val::map(found.into_iter().map(|(name, values)| (name, Val::list(values))).collect())
}

pub(super) fn call<'a>(name: &str, _: bool, args: &[Val<'a>], budget: &Budget) -> Given<'a> {
    Ok(Some(match (name, args) {
        ("url", [Val::Text(text)]) => {
            budget.charge(traversal(text.len() as u64))?;
            let refuse = |why| Fail::error(format!("URL parse error during conversion from string: {why}"));
            Val::Url(Url::parse(text).map_err(refuse)?.into())
        }
        ("isURL", [Val::Text(text)]) => {
            budget.work(text.len() / 16)?;
            Val::Bool(Url::parse(text).is_ok())
        }
        ("getScheme", [Val::Url(url)]) => Val::text(url.scheme.as_str()),
        ("getHost", [Val::Url(url)]) => Val::text(url.host.as_str()),
        ("getHostname", [Val::Url(url)]) => Val::text(url.hostname()),
        ("getPort", [Val::Url(url)]) => Val::text(url.port()),
        ("getEscapedPath", [Val::Url(url)]) => Val::text(url.path.as_str()),
        ("getQuery", [Val::Url(url)]) => {
            budget.hold(url.query.len())?;
            query(&url.query)
        }
        _ => return Ok(None),
    }))
}
