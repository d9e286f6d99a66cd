//! What a registry asks for before it answers: `WWW-Authenticate` and tokens.

use std::net::IpAddr;

use reqwest::Url;
use serde::Deserialize;

use crate::domain::host::is_loopback;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password.
    Basic,
    /// A token from elsewhere.
    Bearer {
        /// Where.
        realm: String,
        /// For whom.
        service: Option<String>,
    },
}

/// Reads the header; of several challenges the token is preferred.
pub(super) fn challenge(headers: &[&str]) -> Option<Challenge> {
    let bearer = headers.iter().find_map(|header| {
        let (scheme, rest) = header.trim().split_once(' ')?;
        let parameters = parameters(rest).filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
        let value = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        Some(Challenge::Bearer { realm: value("realm")?, service: value("service") })
    });
    let is_basic = |header: &&&str| header.trim().get(..5).is_some_and(|word| word.eq_ignore_ascii_case("basic"));
    bearer.or_else(|| headers.iter().find(is_basic).map(|_| Challenge::Basic))
}

/// `key="value",key=value`, with backslashes in quotes.
fn parameters(text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = if let Some(quoted) = after.strip_prefix('"') {
            unquoted(quoted)?
        } else {
            let end = after.find(',').unwrap_or(after.len());
            (after[..end].trim().to_owned(), &after[end..])
        };
        found.push((key.trim().to_ascii_lowercase(), value));
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    Some(found)
}

fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// Where a token may be asked for: the registry's own site, by https unless the registry is on this machine.
pub(super) fn realm(realm: &str, registry: &Url) -> Result<Url, &'static str> {
    let url = Url::parse(realm).map_err(|_| "is no URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or a password");
    }
    let (Some(host), Some(own)) = (url.host_str(), registry.host_str()) else { return Err("has no host") };
    if is_loopback(host) && is_loopback(own) && matches!(url.scheme(), "http" | "https") {
        return Ok(url);
    }
    if url.scheme() != "https" {
        return Err("is not https");
    }
    if is_of_one_site(host, own) { Ok(url) } else { Err("is not of the registry's own site") }
}

/// Whether a host is the registry's own, or one of the domain that the registry is in: `auth.docker.io` for
/// `registry-1.docker.io`, `packages.example.com` for `registry.packages.example.com`.
fn is_of_one_site(host: &str, own: &str) -> bool {
    let parent = own.split_once('.').map_or("", |(_, parent)| parent);
    let below = |domain: &str| host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    let is_address = own.parse::<IpAddr>().is_ok();
    below(own) || (!is_address && parent.contains('.') && below(parent))
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    access_token: String,
}

/// The token in the answer of a realm.
pub(super) fn token(body: &[u8]) -> Option<String> {
    let answer: Token = serde_json::from_slice(body).ok()?;
    let token = if answer.token.is_empty() { answer.access_token } else { answer.token };
    (!token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic())).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        let table: [(&[&str], Option<Challenge>); 7] = [
            (&["Basic realm=\"x\""], Some(Challenge::Basic)),
            (&["Bearer realm=\"https://a/t\",service=\"a, b\",scope=x"], bearer("https://a/t", Some("a, b"))),
            (&["Basic realm=x", "bearer Realm=https://a/t"], bearer("https://a/t", None)),
            (&["Bearer realm=\"a\\\"b\""], bearer("a\"b", None)),
            (&["Bearer realm=\"open"], None),
            (&["Bearer service=x"], None),
            (&["Negotiate"], None),
        ];
        for (headers, expected) in table {
            assert_eq!(challenge(headers), expected, "{headers:?}");
        }
    }

    #[test]
    fn tokens_come_from_the_registrys_own_site() {
        let table = [
            ("https://registry-1.docker.io", "https://auth.docker.io/token", true),
            ("https://images.example.org", "https://example.org/token", true),
            ("https://ghcr.io", "https://ghcr.io/token", true),
            ("https://ghcr.io", "https://auth.ghcr.io/token", true),
            ("https://ghcr.io", "https://other.io/token", false),
            ("https://ghcr.io", "https://evilghcr.io/token", false),
            ("https://ghcr.io", "http://ghcr.io/token", false),
            ("https://ghcr.io", "https://169.254.169.254/token", false),
            ("https://10.0.0.1", "https://9.0.0.1/token", false),
            ("https://ghcr.io", "https://u:p@ghcr.io/token", false),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", true),
            ("http://127.0.0.1:5000", "http://ghcr.io/token", false),
            ("https://ghcr.io", "not a url", false),
        ];
        for (registry, url, allowed) in table {
            assert_eq!(realm(url, &Url::parse(registry).unwrap()).is_ok(), allowed, "{registry} {url}");
        }
    }

    #[test]
    fn a_token_is_one_word() {
        assert_eq!(token(br#"{"token":"a","access_token":"b"}"#).as_deref(), Some("a"));
        assert_eq!(token(br#"{"access_token":"b"}"#).as_deref(), Some("b"));
        for wrong in [&br#"{"token":""}"#[..], br#"{"token":"a\nb"}"#, b"[]"] {
            assert_eq!(token(wrong), None);
        }
    }
}
