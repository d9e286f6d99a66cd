//! Object names of package revisions: `<repository>.<path with dots>.<package>.<workspace>`.

use crate::domain::id::{InvalidId, PackageName, RepositoryName, RevisionName, WorkspaceName};

/// The object name of a revision. Names are never parsed back: they are ambiguous by construction.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_become_dots() {
        let name = revision_name(
            &RepositoryName::new("deployments").unwrap(),
            &PackageName::new("edge/upf").unwrap(),
            &WorkspaceName::new("v1").unwrap(),
        );
        assert_eq!(name.unwrap().as_str(), "deployments.edge.upf.v1");
    }
}
