//! Credentials as Docker keeps them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::OciError;

/// Largest file of credentials that is read.
const FILE_BYTES: u64 = 1 << 20;

/// Where credentials are: Docker's `config.json`, which podman, helm, crane and oras read too. Programs that keep
/// credentials (`credHelpers`, `credsStore`) are not run.
#[derive(Debug, Clone, Default)]
pub struct Keychain {
    file: Option<PathBuf>,
}

/// A user and a password; never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
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

impl Keychain {
    /// The file of credentials at a path; one that is not there holds none.
    #[must_use]
    pub fn at(file: &Path) -> Self {
        Self { file: Some(file.to_owned()) }
    }

    /// That of the user of this process: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
    #[must_use]
    pub fn of_user() -> Self {
        let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = named("DOCKER_CONFIG").or_else(|| Some(named("HOME")?.join(".docker")));
        Self { file: folder.map(|folder| folder.join("config.json")) }
    }

    /// The credentials of a registry; none when there are none.
    pub(super) fn of(&self, registry: &str) -> Result<Option<Credentials>, OciError> {
        let Some(file) = self.file.as_deref().filter(|file| file.exists()) else { return Ok(None) };
        let wrong = |reason: String| OciError::Keychain {
            registry: registry.to_owned(),
            file: file.display().to_string(),
            reason,
        };
        let size = std::fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
        if size > FILE_BYTES {
            return Err(wrong(format!("it has {size} bytes; the limit is {FILE_BYTES}")));
        }
        let text = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
        // An error of the parser could hold a part of a password.
        let config: Config = serde_json::from_slice(&text)
            .map_err(|error| wrong(format!("it is not Docker's config.json: line {}", error.line())))?;
        match config.auths.iter().find(|(key, _)| host(key) == registry) {
            Some((_, auth)) if !is_empty(auth) => credentials(auth).map(Some).map_err(wrong),
            _ => match config.cred_helpers.get(registry) {
                Some(helper) => Err(wrong(format!(
                    "they are kept by the program docker-credential-{helper}, which is not run; sign in without it"
                ))),
                None => Ok(None),
            },
        }
    }
}

fn is_empty(auth: &Auth) -> bool {
    auth.encoded.is_empty() && auth.username.is_empty() && auth.identitytoken.is_empty()
}

/// The host of a key, which may be a URL.
fn host(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    key.split('/').next().unwrap_or(key)
}

fn credentials(auth: &Auth) -> Result<Credentials, String> {
    if !auth.identitytoken.is_empty() {
        return Err("an identity token is not supported; sign in with user and password".to_owned());
    }
    if auth.encoded.is_empty() {
        return Ok(Credentials { user: auth.username.clone(), password: auth.password.clone() });
    }
    let text = STANDARD.decode(auth.encoded.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let pair = text.as_deref().and_then(|text| text.split_once(':'));
    let (user, password) = pair.ok_or("the field auth is not base64 of user:password")?;
    Ok(Credentials { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() })
}
