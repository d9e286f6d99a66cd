//! Credentials as Docker keeps them.

use std::path::{Path, PathBuf};

use super::helper;
use crate::domain::credentials::{CredentialsError, Door, SignIn, helper_in_docker_config, in_docker_config};
use crate::ports::sign_in::{SignInError, SignIns};

/// Largest file of credentials that is read.
const FILE_BYTES: u64 = 1 << 20;

/// Where credentials are: Docker's `config.json`, which podman, helm, crane and oras read too, and the programs that
/// keep credentials for it (`credHelpers`, `credsStore`). What such a program has counts more than `auths`, as for
/// Docker.
#[derive(Debug, Clone, Default)]
pub struct Keychain {
    file: Option<PathBuf>,
    /// Where programs are looked for instead of on the `PATH`.
    programs: Option<PathBuf>,
}

impl Keychain {
    /// The file of credentials at a path; one that is not there holds none.
    #[must_use]
    pub fn at(file: &Path) -> Self {
        Self { file: Some(file.to_owned()), programs: None }
    }

    /// The same, with the programs that keep credentials in a folder instead of on the `PATH`.
    #[cfg(test)]
    pub(super) fn with_programs(self, folder: &Path) -> Self {
        Self { programs: Some(folder.to_owned()), ..self }
    }

    /// That of the user of this process: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
    #[must_use]
    pub fn of_user() -> Self {
        let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = named("DOCKER_CONFIG").or_else(|| Some(named("HOME")?.join(".docker")));
        Self { file: folder.map(|folder| folder.join("config.json")), programs: None }
    }

    /// The credentials of a registry; none when there are none.
    fn of(&self, registry: &str) -> Result<Option<SignIn>, SignInError> {
        let Some(file) = self.file.as_deref().filter(|file| file.exists()) else { return Ok(None) };
        let wrong = |reason: String| SignInError::File {
            registry: registry.to_owned(),
            file: file.display().to_string(),
            reason,
        };
        let size = std::fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
        if size > FILE_BYTES {
            return Err(wrong(format!("it has {size} bytes; the limit is {FILE_BYTES}")));
        }
        let text = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
        let helper = helper_in_docker_config(&text, registry).map_err(|error| wrong(error.to_string()))?;
        if let Some(name) = helper
            && let Some(kept) = helper::ask(&name, self.programs.as_deref(), registry).map_err(&wrong)?
        {
            return Ok(Some(kept));
        }
        match in_docker_config(&text, registry) {
            // Who keeps them has none.
            Err(CredentialsError::Helper(_)) => Ok(None),
            other => other.map_err(|error| wrong(error.to_string())),
        }
    }
}

impl SignIns for Keychain {
    fn sign_in(&self, door: Door<'_>) -> Result<Option<SignIn>, SignInError> {
        match door {
            Door::Registry(registry) => self.of(registry),
            Door::Git => Ok(None),
        }
    }

    fn instead_of(&self, refused: &SignIn, door: Door<'_>) -> Result<Option<SignIn>, SignInError> {
        Ok(self.sign_in(door)?.filter(|new| new != refused))
    }
}
