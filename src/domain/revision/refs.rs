//! How revisions map to refs, exactly as Porch lays them out.

use crate::domain::id::{PackageName, WorkspaceName};

use super::Lifecycle;

/// What a ref says about a package revision.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefMeaning {
    /// `refs/heads/drafts/P/<workspace>` or `refs/heads/proposed/P/<workspace>`.
    Unpublished(Lifecycle, PackageName, WorkspaceName),
    /// `refs/tags/P/vN`.
    Published(PackageName, i64),
    /// `refs/tags/P/<anything else>`: a version that Porch does not number.
    Tagged(PackageName, WorkspaceName),
    /// `refs/heads/deletionProposed/P/<version>`.
    DeletionProposed(PackageName, String),
}

/// The path of a package in the repository: its directory in front.
#[must_use]
pub fn path(directory: &str, package: &PackageName) -> String {
    let directory = directory.trim_matches('/');
    if directory.is_empty() { package.to_string() } else { format!("{directory}/{package}") }
}

/// Branch of a Draft or Proposed revision.
#[must_use]
pub fn branch(lifecycle: Lifecycle, directory: &str, package: &PackageName, version: &str) -> String {
    let folder = match lifecycle {
        Lifecycle::Draft => "drafts",
        Lifecycle::Proposed | Lifecycle::Published => "proposed",
        Lifecycle::DeletionProposed => "deletionProposed",
    };
    format!("refs/heads/{folder}/{}/{version}", path(directory, package))
}

/// Tag of a published revision.
#[must_use]
pub fn tag(directory: &str, package: &PackageName, number: i64) -> String {
    tag_named(directory, package, &format!("v{number}"))
}

/// Tag of a published revision under its last part, such as `v3` or `v2.0.0`.
#[must_use]
pub fn tag_named(directory: &str, package: &PackageName, version: &str) -> String {
    format!("refs/tags/{}/{version}", path(directory, package))
}

/// Reads a ref; `None` for refs that are no revision of this directory.
#[must_use]
pub fn meaning(name: &str, directory: &str) -> Option<RefMeaning> {
    let unpublished = |rest: &str, lifecycle| {
        let (package, version) = split(rest, directory)?;
        Some(RefMeaning::Unpublished(lifecycle, package, WorkspaceName::new(version).ok()?))
    };
    if let Some(rest) = name.strip_prefix("refs/heads/drafts/") {
        return unpublished(rest, Lifecycle::Draft);
    }
    if let Some(rest) = name.strip_prefix("refs/heads/proposed/") {
        return unpublished(rest, Lifecycle::Proposed);
    }
    if let Some(rest) = name.strip_prefix("refs/heads/deletionProposed/") {
        let (package, version) = split(rest, directory)?;
        return Some(RefMeaning::DeletionProposed(package, version.to_owned()));
    }
    let (package, version) = split(name.strip_prefix("refs/tags/")?, directory)?;
    Some(match number(version) {
        Some(number) => RefMeaning::Published(package, number),
        None => RefMeaning::Tagged(package, WorkspaceName::new(version).ok()?),
    })
}

/// `v12` is 12; leading zeros and other forms are no number.
#[must_use]
pub fn number(version: &str) -> Option<i64> {
    let digits = version.strip_prefix('v')?;
    let number: i64 = digits.parse().ok().filter(|number| *number > 0)?;
    (number.to_string() == digits).then_some(number)
}

fn split<'r>(rest: &'r str, directory: &str) -> Option<(PackageName, &'r str)> {
    let directory = directory.trim_matches('/');
    let rest = if directory.is_empty() { rest } else { rest.strip_prefix(directory)?.strip_prefix('/')? };
    let (package, version) = rest.rsplit_once('/')?;
    Some((PackageName::new(package).ok()?, version))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_ref_reads_back(
            directory in "(|d|/d/e/)",
            package in "[a-z][a-z0-9-]{0,4}[a-z0-9](/[a-z0-9]{1,3}){0,2}",
            version in "(v[0-9]{1,3}|[a-z0-9]{1,5}(\\.[a-z0-9]{1,2}){0,2})",
        ) {
            let package = PackageName::new(package).unwrap();
            let workspace = WorkspaceName::new(version.as_str()).unwrap();
            for lifecycle in [Lifecycle::Draft, Lifecycle::Proposed] {
                let name = branch(lifecycle, &directory, &package, &version);
                let expected = RefMeaning::Unpublished(lifecycle, package.clone(), workspace.clone());
                prop_assert_eq!(meaning(&name, &directory), Some(expected));
            }
            let leaving = branch(Lifecycle::DeletionProposed, &directory, &package, &version);
            let expected = RefMeaning::DeletionProposed(package.clone(), version.clone());
            prop_assert_eq!(meaning(&leaving, &directory), Some(expected));
            let expected = match number(&version) {
                Some(number) => RefMeaning::Published(package.clone(), number),
                None => RefMeaning::Tagged(package.clone(), workspace),
            };
            prop_assert_eq!(meaning(&tag_named(&directory, &package, &version), &directory), Some(expected));
        }
    }

    fn package(name: &str) -> PackageName {
        PackageName::new(name).unwrap()
    }

    #[test]
    fn refs_are_read_and_written_alike() {
        let workspace = WorkspaceName::new("w1").unwrap();
        let table = [
            (
                "refs/heads/drafts/net/upf/w1",
                "",
                Some(RefMeaning::Unpublished(Lifecycle::Draft, package("net/upf"), workspace.clone())),
            ),
            (
                "refs/heads/proposed/d/upf/w1",
                "d",
                Some(RefMeaning::Unpublished(Lifecycle::Proposed, package("upf"), workspace)),
            ),
            ("refs/tags/net/upf/v3", "", Some(RefMeaning::Published(package("net/upf"), 3))),
            ("refs/tags/upf/v03", "", Some(RefMeaning::Tagged(package("upf"), WorkspaceName::new("v03").unwrap()))),
            (
                "refs/tags/upf/v2.0.0",
                "",
                Some(RefMeaning::Tagged(package("upf"), WorkspaceName::new("v2.0.0").unwrap())),
            ),
            (
                "refs/heads/deletionProposed/upf/v3",
                "",
                Some(RefMeaning::DeletionProposed(package("upf"), "v3".to_owned())),
            ),
            ("refs/tags/v1", "", None),
            ("refs/tags/other/upf/v1", "d", None),
            ("refs/heads/main", "", None),
        ];
        for (name, directory, expected) in table {
            assert_eq!(meaning(name, directory), expected, "{name}");
        }
        assert_eq!(tag("d", &package("net/upf"), 3), "refs/tags/d/net/upf/v3");
        assert_eq!(branch(Lifecycle::Draft, "", &package("upf"), "w1"), "refs/heads/drafts/upf/w1");
        assert_eq!(
            branch(Lifecycle::DeletionProposed, "", &package("upf"), "v1"),
            "refs/heads/deletionProposed/upf/v1"
        );
    }
}
