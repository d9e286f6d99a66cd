//! Credentials: what lets us in at a registry or a git server, and the forms in which people keep it.
//!
//! Sources: Docker's `config.json`; Kubernetes' Secrets of type `kubernetes.io/dockerconfigjson` and
//! `kubernetes.io/basic-auth`; Porch's Secret with the key `bearerToken`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::krm::base64;

/// What lets us in. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub enum SignIn {
    /// A user and a password, or a token in the place of one.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token alone.
    Token(String),
    /// An identity token of `docker login`: it is sent to nobody but the one who gives tokens for it.
    Identity(String),
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignIn(..)")
    }
}

impl SignIn {
    /// The value of the header `Authorization`: RFC 7617 for a password, RFC 6750 for a token. To be sent, never to be
    /// told. An identity token goes into none.
    #[must_use]
    pub fn authorization(&self) -> Option<String> {
        match self {
            Self::Password { user, password } => {
                Some(format!("Basic {}", base64::encode(format!("{user}:{password}").as_bytes())))
            }
            Self::Token(token) => Some(format!("Bearer {token}")),
            Self::Identity(_) => None,
        }
    }

    /// What must not appear in any text.
    #[must_use]
    pub fn secret(&self) -> &str {
        match self {
            Self::Password { password, .. } => password,
            Self::Token(token) | Self::Identity(token) => token,
        }
    }
}

/// Where we want to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door<'a> {
    /// A registry, `HOST[:PORT]`.
    Registry(&'a str),
    /// A git server, of which a Secret says no name.
    Git,
}

/// Why a file or a Secret holds no credentials. No variant holds what was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialsError {
    /// A Secret of another type.
    #[error("its type is {found:?}; {wanted} [ref.not_found]")]
    Type {
        /// Its type.
        found: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// A Secret without its key.
    #[error("it has no key {0}, or an empty one [ref.key_missing]")]
    Key(&'static str),
    /// What no header can hold.
    #[error("its key {0} is not a line of text [ref.key_missing]")]
    Text(&'static str),
    /// A Secret with credentials for others.
    #[error("its {DOCKER_KEY} holds no credentials for {0}; add them under auths [ref.key_missing]")]
    Elsewhere(String),
    /// What is not Docker's `config.json`.
    #[error("it is not Docker's config.json: line {0}")]
    Docker(usize),
    /// Credentials that a program keeps.
    #[error("they are kept by the program docker-credential-{0}, which is not run here; sign in without it")]
    Helper(String),
    /// What such a program does not say.
    #[error("its answer holds no Username and Secret")]
    Kept,
    /// A damaged pair.
    #[error("the field auth is not base64 of user:password")]
    Auth,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    #[serde(rename = "auth")]
    encoded: String,
    username: String,
    password: String,
    identitytoken: String,
}

/// The program that keeps the credentials of a registry, by Docker's `config.json`: that of `credHelpers`, else that of
/// `credsStore`, as `NAME` of `docker-credential-NAME`.
///
/// # Errors
/// [`CredentialsError::Docker`].
pub fn helper_in_docker_config(text: &[u8], registry: &str) -> Result<Option<String>, CredentialsError> {
    let mut config: Config = serde_json::from_slice(text).map_err(|error| CredentialsError::Docker(error.line()))?;
    let own = config.cred_helpers.remove(registry).unwrap_or(config.creds_store);
    Ok(Some(own).filter(|name| !name.is_empty()))
}

/// Docker's own registry, and what it was called before: its credentials are kept under the old name, as a URL.
///
/// Source: `IndexServer` in `registry/config.go` of Docker.
const DOCKER: &str = "docker.io";
const DOCKER_INDEX: &str = "index.docker.io";
const DOCKER_INDEX_URL: &str = "https://index.docker.io/v1/";

/// What a registry is called where Docker's programs keep its credentials.
#[must_use]
pub fn docker_key(registry: &str) -> &str {
    if registry == DOCKER { DOCKER_INDEX_URL } else { registry }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    username: String,
    secret: String,
}

/// What a program that keeps credentials answered to `get`.
///
/// # Errors
/// [`CredentialsError::Kept`].
pub fn in_helper_answer(text: &[u8]) -> Result<SignIn, CredentialsError> {
    // An error of the parser could hold a part of a password.
    let kept: Kept = serde_json::from_slice(text).map_err(|_| CredentialsError::Kept)?;
    if kept.username == "<token>" {
        return Ok(SignIn::Identity(kept.secret));
    }
    Ok(SignIn::Password { user: kept.username, password: kept.secret })
}

/// The credentials of a registry in Docker's `config.json`; none when there are none.
///
/// # Errors
/// [`CredentialsError`].
pub fn in_docker_config(text: &[u8], registry: &str) -> Result<Option<SignIn>, CredentialsError> {
    // An error of the parser could hold a part of a password.
    let config: Config = serde_json::from_slice(text).map_err(|error| CredentialsError::Docker(error.line()))?;
    match config.auths.iter().find(|(key, _)| host(key) == registry) {
        Some((_, auth)) if !is_empty(auth) => pair(auth).map(Some),
        _ => match config.cred_helpers.get(registry) {
            Some(helper) => Err(CredentialsError::Helper(helper.clone())),
            None => Ok(None),
        },
    }
}

fn is_empty(auth: &Auth) -> bool {
    auth.encoded.is_empty() && auth.username.is_empty() && auth.identitytoken.is_empty()
}

/// The host of a key, which may be a URL.
fn host(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = key.split('/').next().unwrap_or(key);
    if host == DOCKER_INDEX { DOCKER } else { host }
}

fn pair(auth: &Auth) -> Result<SignIn, CredentialsError> {
    if !auth.identitytoken.is_empty() {
        return Ok(SignIn::Identity(auth.identitytoken.clone()));
    }
    if auth.encoded.is_empty() {
        return Ok(SignIn::Password { user: auth.username.clone(), password: auth.password.clone() });
    }
    let text = base64::decode(auth.encoded.trim()).and_then(|bytes| String::from_utf8(bytes).ok());
    let (user, password) = text.as_deref().and_then(|text| text.split_once(':')).ok_or(CredentialsError::Auth)?;
    Ok(SignIn::Password { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() })
}

const DOCKER_TYPE: &str = "kubernetes.io/dockerconfigjson";
const DOCKER_KEY: &str = ".dockerconfigjson";
const BASIC_TYPE: &str = "kubernetes.io/basic-auth";

/// The credentials in a Secret, as the API server gives it.
///
/// For a registry: type `kubernetes.io/dockerconfigjson`, as `kubectl create secret docker-registry` makes it. For git:
/// type `kubernetes.io/basic-auth` with the keys `username` and `password`, or `Opaque` with the key `bearerToken`.
///
/// # Errors
/// [`CredentialsError`].
pub fn in_secret(secret: &Value, door: Door<'_>) -> Result<SignIn, CredentialsError> {
    let kind = secret.get("type").and_then(Value::as_str).unwrap_or("Opaque");
    let wrong = |wanted| Err(CredentialsError::Type { found: kind.to_owned(), wanted });
    match (door, kind) {
        (Door::Registry(registry), DOCKER_TYPE) => {
            let found = in_docker_config(&bytes(secret, DOCKER_KEY)?, registry)?;
            found.ok_or_else(|| CredentialsError::Elsewhere(registry.to_owned()))
        }
        (Door::Registry(_), _) => wrong(
            "a registry needs kubernetes.io/dockerconfigjson, which `kubectl create secret docker-registry` makes",
        ),
        (Door::Git, BASIC_TYPE) => {
            let (user, password) = (line(secret, "username")?, line(secret, "password")?);
            Ok(SignIn::Password { user, password })
        }
        (Door::Git, "Opaque") => Ok(SignIn::Token(line(secret, "bearerToken")?)),
        (Door::Git, _) => wrong("git needs kubernetes.io/basic-auth, or Opaque with the key bearerToken"),
    }
}

fn bytes(secret: &Value, key: &'static str) -> Result<Vec<u8>, CredentialsError> {
    let text = secret.get("data").and_then(|data| data.get(key)).and_then(Value::as_str);
    let text = text.filter(|text| !text.is_empty()).ok_or(CredentialsError::Key(key))?;
    base64::decode(text).ok_or(CredentialsError::Text(key))
}

/// A value as one line; the line feed that an editor leaves at its end is no part of it.
fn line(secret: &Value, key: &'static str) -> Result<String, CredentialsError> {
    let text = String::from_utf8(bytes(secret, key)?).map_err(|_| CredentialsError::Text(key))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(CredentialsError::Key(key));
    }
    if text.chars().any(char::is_control) {
        return Err(CredentialsError::Text(key));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(kind: &str, data: &[(&str, &str)]) -> Value {
        let data: BTreeMap<_, _> = data.iter().map(|(key, value)| (*key, base64::encode(value.as_bytes()))).collect();
        json!({"kind": "Secret", "type": kind, "data": data})
    }

    fn password(user: &str, password: &str) -> SignIn {
        SignIn::Password { user: user.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn the_key_of_a_registry_leads_back_to_it() {
        for registry in [DOCKER, "r.example", "r.example:5000", "localhost"] {
            assert_eq!(host(docker_key(registry)), registry);
        }
        assert_eq!(docker_key(DOCKER), DOCKER_INDEX_URL);
    }

    #[test]
    fn secrets_are_read_as_their_types_say() {
        let docker = r#"{"auths":{"r.example:5000":{"auth":"c29tZW9uZTpzZWNyZXQ="}}}"#;
        let pull = secret(DOCKER_TYPE, &[(DOCKER_KEY, docker)]);
        assert_eq!(in_secret(&pull, Door::Registry("r.example:5000")), Ok(password("someone", "secret")));
        let basic = secret(BASIC_TYPE, &[("username", "u"), ("password", "p:w\n")]);
        assert_eq!(in_secret(&basic, Door::Git), Ok(password("u", "p:w")));
        let token = secret("Opaque", &[("bearerToken", "t")]);
        assert_eq!(in_secret(&token, Door::Git), Ok(SignIn::Token("t".to_owned())));
        let table = [
            (pull.clone(), Door::Registry("other.example"), "holds no credentials for other.example"),
            (pull, Door::Git, "git needs kubernetes.io/basic-auth"),
            (basic, Door::Registry("r.example"), "a registry needs kubernetes.io/dockerconfigjson"),
            (secret(BASIC_TYPE, &[("username", "u")]), Door::Git, "no key password"),
            (secret(BASIC_TYPE, &[("username", "u"), ("password", "\n")]), Door::Git, "no key password"),
            (secret("Opaque", &[("token", "t")]), Door::Git, "no key bearerToken"),
            (secret("Opaque", &[("bearerToken", "hid\r\nden: x")]), Door::Git, "bearerToken is not a line"),
            (secret(DOCKER_TYPE, &[]), Door::Registry("r"), "no key .dockerconfigjson"),
            (secret(DOCKER_TYPE, &[(DOCKER_KEY, "[\"hidden\"]")]), Door::Registry("r"), "not Docker's config.json"),
            (json!({"type": "Opaque", "data": {"bearerToken": "hidden!"}}), Door::Git, "bearerToken is not a line"),
        ];
        for (secret, door, words) in table {
            let error = in_secret(&secret, door).unwrap_err();
            assert!(error.to_string().contains(words), "{words}: {error}");
            assert!(!format!("{error} {error:?}").contains("hid"), "{error:?}");
        }
    }

    #[test]
    fn credentials_are_sent_and_not_shown() {
        assert_eq!(password("u", "p").authorization().as_deref(), Some("Basic dTpw"));
        assert_eq!(SignIn::Token("t".to_owned()).authorization().as_deref(), Some("Bearer t"));
        assert_eq!(SignIn::Identity("t".to_owned()).authorization(), None);
        assert_eq!(format!("{:?}", SignIn::Identity("t".to_owned())), "SignIn(..)");
        assert_eq!(format!("{:?}", password("u", "p")), "SignIn(..)");
    }
}
