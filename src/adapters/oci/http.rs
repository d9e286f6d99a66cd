//! Requests to one registry: authentication, redirects, limits and a bounded number of tries.

use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LINK, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use reqwest::{StatusCode, Url};
use serde::Deserialize;

use super::auth::{Challenge, challenge, realm, token};
use super::{OciError, authorities};
use crate::adapters::reach::unanswered;
use crate::domain::credentials::{Door, SignIn};
use crate::domain::host::{is_loopback, is_private, without_port};
use crate::domain::package::artifact::ImageName;
use crate::ports::sign_in::SignIns;

/// How long one answer may take, all of it; and how long a connection is awaited.
const PATIENCE: Duration = Duration::from_mins(5);
const CONNECT: Duration = Duration::from_secs(20);
/// Tries of one request, and the pause before the second one.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);
/// Longest pause that a registry may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Redirects that are followed.
const HOPS: usize = 5;
/// Largest answer that tells an error or a token.
const WORDS: u64 = 64 << 10;

/// What kind of answer is wanted.
#[derive(Debug, Clone)]
pub(super) enum Accept {
    Json,
    Manifest(String),
    Any,
}

/// A good answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// What the registry says its digest is.
    pub(super) digest: Option<String>,
    /// Path of the next page.
    pub(super) next: Option<String>,
}

/// Requests about one repository.
pub(super) struct Exchange {
    client: Client,
    image: String,
    /// What a token is asked for.
    scope: String,
    base: Url,
    /// As it is written in image names.
    registry: String,
    sign_ins: Arc<dyn SignIns>,
    /// What let us in last.
    known: Mutex<Option<SignIn>>,
}

impl Exchange {
    pub(super) fn new(image: &ImageName, sign_ins: Arc<dyn SignIns>) -> Result<Self, OciError> {
        // Whoever comes first installs the one TLS provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let unreachable = |reason: String| OciError::Unreachable {
            image: image.to_string(),
            act: "preparing to ask".to_owned(),
            reason,
        };
        let authorities = authorities::of(&image.registry).map_err(unreachable)?;
        let is_plain = is_loopback(without_port(&image.registry)) && !authorities.are_kept;
        let scheme = if is_plain { "http" } else { "https" };
        let host = if image.registry == "docker.io" { "registry-1.docker.io" } else { &image.registry };
        let base = Url::parse(&format!("{scheme}://{host}/")).map_err(|error| unreachable(error.to_string()))?;
        let client = Client::builder()
            .user_agent("loggia")
            .timeout(PATIENCE)
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_merge(authorities.certificates)
            .build()
            .map_err(|error| unreachable(said(&error)))?;
        let (registry, scope) = (image.registry.clone(), pull(&image.repository));
        Ok(Self { client, image: image.to_string(), scope, base, registry, sign_ins, known: Mutex::new(None) })
    }

    /// Requests about another repository of the same registry, over the same connections.
    pub(super) fn beside(&self, image: &ImageName) -> Self {
        self.with_scope(image.to_string(), pull(&image.repository))
    }

    /// Requests about the registry itself.
    pub(super) fn of_catalogue(&self) -> Self {
        self.with_scope(self.image.clone(), "registry:catalog:*".to_owned())
    }

    fn with_scope(&self, image: String, scope: String) -> Self {
        let (client, base, registry) = (self.client.clone(), self.base.clone(), self.registry.clone());
        Self { client, image, scope, base, registry, sign_ins: self.sign_ins.clone(), known: Mutex::new(None) }
    }

    /// Asks for what is at `path` of the registry, at most `limit` bytes of it.
    pub(super) fn get(&self, path: &str, act: &str, accept: &Accept, limit: u64) -> Result<Answer, OciError> {
        let url = self.base.join(path).map_err(|error| self.unreachable(act, error.to_string()))?;
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let first = self.follow(&url, act, accept, known.as_ref())?;
        let answer = match first.status() {
            StatusCode::UNAUTHORIZED => {
                self.signed_in(first.headers(), |known| self.follow(&url, act, accept, known), act)?
            }
            _ => first,
        };
        self.read(answer, act, limit)
    }

    /// Asks with credentials; when they are refused, once more with what is there instead of them by now.
    fn signed_in(
        &self,
        wanted: &HeaderMap,
        ask: impl Fn(Option<&SignIn>) -> Result<Response, OciError>,
        act: &str,
    ) -> Result<Response, OciError> {
        let door = Door::Registry(&self.registry);
        let sign_in = self.sign_ins.sign_in(door)?;
        match (self.ask_as(sign_in.as_ref(), wanted, &ask, act), sign_in) {
            (Err(denied @ OciError::Auth { .. }), Some(refused)) => match self.sign_ins.instead_of(&refused, door)? {
                Some(other) => self.ask_as(Some(&other), wanted, &ask, act),
                None => Err(denied),
            },
            (other, _) => other,
        }
    }

    fn ask_as(
        &self,
        sign_in: Option<&SignIn>,
        wanted: &HeaderMap,
        ask: impl Fn(Option<&SignIn>) -> Result<Response, OciError>,
        act: &str,
    ) -> Result<Response, OciError> {
        let authorization = self.authorization(wanted, sign_in, act)?;
        let answer = ask(Some(&authorization))?;
        match answer.status() {
            StatusCode::UNAUTHORIZED => {
                Err(self.denied(act, "the registry takes neither these credentials nor a token for them"))
            }
            StatusCode::FORBIDDEN => Err(self.failed(answer, act)),
            _ => {
                *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(authorization);
                Ok(answer)
            }
        }
    }

    fn unreachable(&self, act: &str, reason: String) -> OciError {
        OciError::Unreachable { image: self.image.clone(), act: act.to_owned(), reason }
    }

    fn denied(&self, act: &str, reason: impl Into<String>) -> OciError {
        OciError::Auth { image: self.image.clone(), act: act.to_owned(), reason: reason.into() }
    }

    /// Follows redirects; whoever is not the registry gets no `Authorization`.
    fn follow(&self, url: &Url, act: &str, accept: &Accept, as_whom: Option<&SignIn>) -> Result<Response, OciError> {
        let authorization = self.header_of(as_whom, act)?;
        let mut url = url.clone();
        for _ in 0..=HOPS {
            let own = url.origin() == self.base.origin();
            let answer = self.send(act, || {
                let request = self.client.get(url.clone());
                let request = match accept {
                    Accept::Json => request.header(ACCEPT, "application/json"),
                    Accept::Manifest(kinds) => request.header(ACCEPT, kinds),
                    Accept::Any => request,
                };
                match authorization.as_ref().filter(|_| own) {
                    Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
                    None => request,
                }
            })?;
            if !answer.status().is_redirection() {
                return Ok(answer);
            }
            let to = header(answer.headers(), LOCATION).and_then(|to| url.join(&to).ok());
            let to = to.ok_or_else(|| self.unreachable(act, "it redirects to what is no URL".to_owned()))?;
            self.check_redirect(&url, &to)?;
            url = to;
        }
        Err(self.unreachable(act, format!("it redirects more than {HOPS} times")))
    }

    fn check_redirect(&self, from: &Url, to: &Url) -> Result<(), OciError> {
        let host = |url: &Url| url.host_str().unwrap_or_default().to_owned();
        let on_this_machine = is_loopback(&host(&self.base));
        let why = match to.scheme() {
            "https" | "http" if on_this_machine && is_loopback(&host(to)) => return Ok(()),
            "https" if is_private(&host(to)) && host(to) != host(&self.base) => "an address that is not public",
            "https" => return Ok(()),
            _ => "which is not https",
        };
        Err(OciError::Redirect { image: self.image.clone(), from: host(from), to: host(to), why })
    }

    /// Sends a request, again after a moment when that may help.
    fn send(&self, act: &str, request: impl Fn() -> RequestBuilder) -> Result<Response, OciError> {
        let mut pause = PAUSE;
        for left in (0..TRIES).rev() {
            match request().send() {
                Ok(answer) if left > 0 && may_pass(answer.status()) => {
                    let asked = header(answer.headers(), RETRY_AFTER).and_then(|text| text.parse().ok());
                    std::thread::sleep(asked.map_or(pause, Duration::from_secs).min(LONGEST_PAUSE));
                }
                Ok(answer) => return Ok(answer),
                Err(error) if left > 0 && error.is_connect() => std::thread::sleep(pause),
                Err(error) => return Err(self.unreachable(act, unanswered(&error).unwrap_or_else(|| said(&error)))),
            }
            pause *= 4;
        }
        Err(self.unreachable(act, "it was asked often enough".to_owned()))
    }

    /// What the registry wants to see.
    fn authorization(&self, headers: &HeaderMap, sign_in: Option<&SignIn>, act: &str) -> Result<SignIn, OciError> {
        let told: Vec<&str> =
            headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).collect();
        match challenge(&told) {
            Some(Challenge::Basic) => match sign_in {
                Some(SignIn::Identity(_)) => {
                    Err(self.denied(act, "the registry wants a user and a password, not an identity token"))
                }
                Some(sign_in) => Ok(sign_in.clone()),
                None => Err(self.denied(act, "the registry wants a user and a password")),
            },
            Some(Challenge::Bearer { realm, service }) => self.token(&realm, service.as_deref(), sign_in, act),
            None => Err(self.denied(act, "the registry wants what is not supported: neither a password nor a token")),
        }
    }

    /// The header for credentials; nothing that prints requests shows it.
    fn header_of(&self, sign_in: Option<&SignIn>, act: &str) -> Result<Option<HeaderValue>, OciError> {
        let Some(authorization) = sign_in.and_then(SignIn::authorization) else { return Ok(None) };
        let mut value = HeaderValue::from_str(&authorization)
            .map_err(|_| self.denied(act, "the credentials fit into no header"))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    fn token(
        &self,
        place: &str,
        service: Option<&str>,
        sign_in: Option<&SignIn>,
        act: &str,
    ) -> Result<SignIn, OciError> {
        let authorization = self.header_of(sign_in, act)?;
        let url = realm(place, &self.base).map_err(|why| OciError::Realm {
            image: self.image.clone(),
            realm: Url::parse(place).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default(),
            why,
        })?;
        let answer = self.send(act, || {
            let request = self.token_request(&url, service, sign_in).header(ACCEPT, "application/json");
            match &authorization {
                Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
                None => request,
            }
        })?;
        let status = answer.status();
        if !status.is_success() {
            return Err(self.denied(act, format!("no token is given: {}", status.as_u16())));
        }
        let body = self.body(answer, act, WORDS)?;
        let found = token(&body).ok_or_else(|| self.denied(act, "the answer of its realm holds no token"))?;
        Ok(SignIn::Token(found))
    }

    /// Asks for a token; with an identity token as OAuth 2 does, of which Docker wrote down what registries take.
    fn token_request(&self, realm: &Url, service: Option<&str>, sign_in: Option<&SignIn>) -> RequestBuilder {
        // Only what is needed is asked for, whatever the registry proposes.
        let mut pairs: Vec<(&str, &str)> = service.map(|service| ("service", service)).into_iter().collect();
        pairs.push(("scope", &self.scope));
        let mut url = realm.clone();
        let Some(SignIn::Identity(identity)) = sign_in else {
            url.query_pairs_mut().extend_pairs(pairs);
            return self.client.get(url);
        };
        pairs.extend([("grant_type", "refresh_token"), ("client_id", "loggia"), ("refresh_token", identity)]);
        url.query_pairs_mut().clear().extend_pairs(pairs);
        let form = url.query().unwrap_or_default().to_owned();
        self.client.post(realm.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
    }

    fn read(&self, answer: Response, act: &str, limit: u64) -> Result<Answer, OciError> {
        let status = answer.status();
        if !status.is_success() {
            return Err(self.failed(answer, act));
        }
        let digest =
            answer.headers().get("docker-content-digest").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let next = header(answer.headers(), LINK).and_then(|link| next_page(&link));
        let body = self.body(answer, act, limit)?;
        Ok(Answer { body, digest, next })
    }

    fn failed(&self, answer: Response, act: &str) -> OciError {
        let status = answer.status();
        let words = self.body(answer, act, WORDS).unwrap_or_default();
        let (image, act, said) = (self.image.clone(), act.to_owned(), told(&words));
        match status {
            StatusCode::NOT_FOUND => OciError::NotFound { image, act, said },
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => {
                OciError::Auth { image, act, reason: format!("the registry denies it{said}") }
            }
            _ => OciError::Answer { image, act, status: status.as_u16(), said },
        }
    }

    fn body(&self, answer: Response, act: &str, limit: u64) -> Result<Vec<u8>, OciError> {
        let mut body = Vec::new();
        let read = answer.take(limit.saturating_add(1)).read_to_end(&mut body);
        read.map_err(|error| self.unreachable(act, format!("the answer breaks off: {error}")))?;
        if body.len() as u64 > limit {
            let what = act.strip_prefix("reading ").unwrap_or(act).to_owned();
            return Err(OciError::Limit { image: self.image.clone(), what, limit });
        }
        Ok(body)
    }
}

/// What a token for reading a repository is for.
fn pull(repository: &str) -> String {
    format!("repository:{repository}:pull")
}

fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502..=504)
}

fn header(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The path of `<PATH>; rel="next"`; only a path of the same registry is one.
fn next_page(link: &str) -> Option<String> {
    let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = parameters.contains("rel=\"next\"") || parameters.contains("rel=next");
    (is_next && target.starts_with('/') && !target.starts_with("//")).then(|| target.to_owned())
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<RegistryError>,
}

#[derive(Deserialize)]
struct RegistryError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The first error that a registry tells, fit for a line of text.
fn told(body: &[u8]) -> String {
    let errors = serde_json::from_slice::<Errors>(body).map(|errors| errors.errors).unwrap_or_default();
    let Some(first) = errors.first() else { return String::new() };
    let text: String =
        format!(": {} {}", first.code, first.message).chars().filter(|c| !c.is_control()).take(300).collect();
    text.trim_end().to_owned()
}

/// An error with its causes, without the URL.
fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let this = error.to_string();
        if !text.contains(&this) {
            text = if text.is_empty() { this } else { format!("{text}: {this}") };
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lets_us_in_is_not_printed() {
        let image = ImageName::parse("oci://registry.example/a").unwrap();
        let exchange = Exchange::new(&image, Arc::new(super::super::Keychain::default())).unwrap();
        let sign_in = SignIn::Token("s3cret".to_owned());
        let request = exchange.client.get("https://registry.example/v2/");
        let header = exchange.header_of(Some(&sign_in), "asking").unwrap().unwrap();
        assert_eq!(header.to_str().unwrap(), "Bearer s3cret");
        let shown = format!("{:?}", request.header(AUTHORIZATION, header).build().unwrap());
        assert!(shown.contains("authorization") && !shown.contains("s3cret"), "{shown}");
        let wrong = exchange.header_of(Some(&SignIn::Token("a\nb".to_owned())), "asking").unwrap_err();
        assert!(wrong.to_string().contains("fit into no header"), "{wrong}");
    }

    #[test]
    fn pages_are_of_the_same_registry() {
        let table = [
            ("</v2/a/tags/list?last=b&n=2>; rel=\"next\"", Some("/v2/a/tags/list?last=b&n=2")),
            ("</v2/a>; rel=prev", None),
            ("<https://elsewhere/v2/a>; rel=\"next\"", None),
            ("<//elsewhere/v2/a>; rel=\"next\"", None),
            ("junk", None),
        ];
        for (link, expected) in table {
            assert_eq!(next_page(link).as_deref(), expected, "{link}");
        }
    }

    #[test]
    fn what_a_registry_says_is_one_line() {
        let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"not\nknown\u001b[31m"}]}"#;
        assert_eq!(told(body), ": MANIFEST_UNKNOWN notknown[31m");
        assert_eq!(told(b"<html>"), "");
    }
}
