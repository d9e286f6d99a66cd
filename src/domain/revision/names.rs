//! Object names of package revisions, `<repository>.<path with dots>.<package>.<workspace>`, and the stable uids that
//! follow from them (facts: Porch's naming rules).
//!
//! Reading a name back is a guess, because dots part everything. [`checked_name`] therefore refuses a workspace whose
//! name would be read as another revision's; whoever has the object at hand never parses.

use crate::domain::id::{InvalidId, PackageName, RepositoryName, RevisionName, WorkspaceName};

/// Namespace of the version 5 UUIDs that Porch gives to package revisions.
const UID_NAMESPACE: [u8; 16] =
    [0xaa, 0xc7, 0x1d, 0x91, 0x5c, 0x67, 0x45, 0x6f, 0x8f, 0xd2, 0x90, 0x2e, 0xf6, 0xda, 0x82, 0x0e];

/// Why a revision gets no name or no uid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The whole is longer than a DNS subdomain may be.
    #[error(transparent)]
    Invalid(#[from] InvalidId),
    /// The name would be read as another revision's.
    #[error(
        "workspace {workspace} of package {package} is ambiguous: {name} does not read back as these two; \
         take a workspace without dots or a version such as v1.2"
    )]
    Ambiguous {
        /// The package.
        package: PackageName,
        /// The refused workspace.
        workspace: WorkspaceName,
        /// The name that they would get.
        name: RevisionName,
    },
    /// The text was made to collide under SHA-1.
    #[error("cannot derive a uid from {0:?}: it carries a SHA-1 collision attack")]
    Collision(String),
}

/// The object name of a revision that exists already, ambiguous or not.
///
/// # Errors
/// [`InvalidId`] when the whole is longer than a DNS subdomain may be.
pub fn revision_name(
    repository: &RepositoryName,
    package: &PackageName,
    workspace: &WorkspaceName,
) -> Result<RevisionName, InvalidId> {
    RevisionName::new(format!("{repository}.{}.{workspace}", package.as_str().replace('/', ".")))
}

/// The object name of a revision to create: [`parse`] gives its parts back.
///
/// # Errors
/// [`NameError::Invalid`] when it is too long, [`NameError::Ambiguous`] when it reads back differently.
pub fn checked_name(
    repository: &RepositoryName,
    package: &PackageName,
    workspace: &WorkspaceName,
) -> Result<RevisionName, NameError> {
    let name = revision_name(repository, package, workspace)?;
    let read = parse(&name);
    if read.as_ref().is_some_and(|(r, p, w)| (r, p, w) == (repository, package, workspace)) {
        return Ok(name);
    }
    Err(NameError::Ambiguous { package: package.clone(), workspace: workspace.clone(), name })
}

/// Reads a name as Porch does: the first label is the repository; the workspace is the last label, or the whole tail
/// when the name ends like a version (`.v2.0.0`); between them is the package. `None` when no package is left.
#[must_use]
pub fn parse(name: &RevisionName) -> Option<(RepositoryName, PackageName, WorkspaceName)> {
    let labels: Vec<&str> = name.as_str().split('.').collect();
    let (repository, rest) = labels.split_first()?;
    let (package, workspace) = rest.split_at_checked(workspace_start(rest)?)?;
    Some((
        RepositoryName::new(*repository).ok()?,
        PackageName::new(package.join("/")).ok()?,
        WorkspaceName::new(workspace.join(".")).ok()?,
    ))
}

/// Where the workspace begins: at `vN` when only numbers follow it, else at the last label.
fn workspace_start(labels: &[&str]) -> Option<usize> {
    let last = labels.len().checked_sub(1)?;
    let before_numbers = labels.iter().rposition(|label| !is_number(label));
    let version = before_numbers.filter(|&at| at < last && labels[at].strip_prefix('v').is_some_and(is_digits));
    Some(version.unwrap_or(last))
}

fn is_number(label: &&str) -> bool {
    !label.is_empty() && is_digits(label)
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// The uid that Porch gives to a package revision: a version 5 UUID (RFC 9562) over API version, namespace and name. It
/// survives restarts, and a revision that is deleted and made again has the same.
///
/// # Errors
/// [`NameError::Collision`] when the text carries a SHA-1 attack.
pub fn uid(api_version: &str, namespace: &str, name: &RevisionName) -> Result<String, NameError> {
    let text = format!("packagerevision:{}/{namespace}/{name}", api_version.to_lowercase());
    uuid_v5(UID_NAMESPACE, text)
}

fn uuid_v5(namespace: [u8; 16], text: String) -> Result<String, NameError> {
    let Ok(digest) = sha1dc::digest(&[&namespace, text.as_bytes()].concat()) else {
        return Err(NameError::Collision(text));
    };
    let sha1: [u8; 20] = digest.into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&sha1[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x50;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = format!("{:032x}", u128::from_be_bytes(bytes));
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(package: &str, workspace: &str) -> (RepositoryName, PackageName, WorkspaceName) {
        (
            RepositoryName::new("deployments").unwrap(),
            PackageName::new(package).unwrap(),
            WorkspaceName::new(workspace).unwrap(),
        )
    }

    #[test]
    fn names_that_read_back_are_allowed() {
        let table = [
            ("edge/upf", "v1", "deployments.edge.upf.v1"),
            ("upf", "v2.0.0", "deployments.upf.v2.0.0"),
            ("upf", "7", "deployments.upf.7"),
            ("v1", "v2", "deployments.v1.v2"),
            ("v1/2", "main", "deployments.v1.2.main"),
        ];
        for (package, workspace, name) in table {
            let (r, p, w) = ids(package, workspace);
            assert_eq!(checked_name(&r, &p, &w).unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_that_read_back_differently_are_refused() {
        for (package, workspace) in [("upf", "a.b"), ("v2", "3"), ("edge/v2", "0.1"), ("upf", "1.v2"), ("upf", "x1.2")]
        {
            let (r, p, w) = ids(package, workspace);
            let error = checked_name(&r, &p, &w).unwrap_err();
            assert!(matches!(error, NameError::Ambiguous { .. }), "{package} {workspace}: {error}");
            assert!(revision_name(&r, &p, &w).is_ok(), "what exists already still has a name");
        }
    }

    #[test]
    fn a_name_without_a_package_is_none() {
        for name in ["r", "r.w", "r.v1.2"] {
            assert_eq!(parse(&RevisionName::new(name).unwrap()), None, "{name}");
        }
    }

    #[test]
    fn a_name_has_a_limit() {
        let (r, p, w) = ids(&["a123456789"; 26].join("/"), "w");
        assert!(matches!(checked_name(&r, &p, &w), Err(NameError::Invalid(_))));
    }

    /// The known answers come from RFC 9562 (appendix A.4) and from an independent UUID implementation.
    #[test]
    fn uids_are_version_5_uuids() {
        let dns = [0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];
        assert_eq!(uuid_v5(dns, "www.example.com".to_owned()).unwrap(), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
        let name = RevisionName::new("deployments.edge.upf.v1").unwrap();
        assert_eq!(uid("Porch.kpt.dev/v1alpha1", "default", &name).unwrap(), "db2873ec-c89a-5218-a15a-62a0f3fe3b72");
    }

    proptest! {
        #[test]
        fn every_allowed_name_reads_back(
            repository in "[a-z][a-z0-9-]{0,5}[a-z0-9]",
            package in "(v?[0-9]{1,2}|[a-z][a-z0-9]{0,4})(/(v?[0-9]{1,2}|[a-z][a-z0-9]{0,4})){0,2}",
            workspace in "(v?[0-9]{1,2}|[a-z][a-z0-9]{0,4})(\\.(v?[0-9]{1,2}|[a-z]{1,3})){0,2}",
        ) {
            let all = (
                RepositoryName::new(repository).unwrap(),
                PackageName::new(package).unwrap(),
                WorkspaceName::new(workspace).unwrap(),
            );
            let read = parse(&revision_name(&all.0, &all.1, &all.2).unwrap());
            let allowed = checked_name(&all.0, &all.1, &all.2).is_ok();
            prop_assert_eq!(read == Some(all), allowed);
        }

        #[test]
        fn a_plain_workspace_is_refused_only_behind_a_version(package in "[a-z][a-z0-9]{0,5}", workspace in "[a-z0-9]{1,8}") {
            let (r, p, w) = ids(&package, &workspace);
            let version_like = package.starts_with('v') && is_digits(&package[1..]) && is_digits(&workspace);
            prop_assert_eq!(checked_name(&r, &p, &w).is_err(), version_like);
        }
    }
}
