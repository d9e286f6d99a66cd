//! Names of repositories in registries.

use std::fmt;

use super::{ArtifactError, SCHEME, refuse};
use crate::domain::host::port_fault;

/// A repository in a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName {
    /// Host, and a port where one is given.
    pub registry: String,
    /// Path of the repository there, such as `packages/web`.
    pub repository: String,
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)
    }
}

impl ImageName {
    /// Reads `HOST[:PORT]/REPOSITORY`, with `oci://` in front or without. The host is always given: there is no
    /// default.
    ///
    /// # Errors
    /// [`ArtifactError::Reference`].
    pub fn parse(text: &str) -> Result<Self, ArtifactError> {
        without_user(text)?;
        let name = text.strip_prefix(SCHEME).unwrap_or(text);
        let Some((registry, repository)) = name.split_once('/') else {
            return refuse(text, "give the registry's host and the repository, as in oci://HOST/REPOSITORY:TAG");
        };
        if let Some(fault) = port_fault(registry) {
            return refuse(text, fault);
        }
        if !is_host(registry) {
            return refuse(text, "it begins with no host of a registry");
        }
        if repository.len() > 255 || !repository.split('/').all(is_component) {
            return refuse(
                text,
                "a repository is lowercase letters, digits and . _ - between them, with / between its parts",
            );
        }
        Ok(Self { registry: registry.to_owned(), repository: repository.to_owned() })
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) if address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') => ("v6", port),
        Some(_) => return false,
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.len() <= 253 && host.split('.').all(is_label) && (port.is_empty() || port.starts_with(':'))
}

/// `[a-z0-9]+` with `.`, `_`, `__` or any number of `-` between.
fn is_component(text: &str) -> bool {
    let is_alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separators = text.split(is_alnum).filter(|part| !part.is_empty());
    text.starts_with(is_alnum)
        && text.ends_with(is_alnum)
        && separators.all(|part| matches!(part, "." | "_" | "__") || part.bytes().all(|b| b == b'-'))
}

/// Refuses `oci://USER:PASSWORD@HOST/REPOSITORY`. Behind the `@` of a digest or a range there is no `/`, but for a
/// directory that stands on the wrong side of it.
///
/// # Errors
/// [`ArtifactError::Credentials`].
pub fn without_user(text: &str) -> Result<(), ArtifactError> {
    let name = text.strip_prefix(SCHEME).unwrap_or(text);
    let is_host = |at: &usize| name[at + 1..].find('/').is_some_and(|slash| !name[at + 1 + slash..].starts_with("//"));
    match name.match_indices('@').map(|(at, _)| at).rfind(is_host) {
        Some(at) => Err(ArtifactError::Credentials { text: format!("{SCHEME}{}", &name[at + 1..]) }),
        None => Ok(()),
    }
}
