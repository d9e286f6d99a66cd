//! All revisions of a repository from its refs alone: no commit and no tree is opened.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::{CommitId, PackageName, WorkspaceName};

use super::Lifecycle;
use super::refs::{self, RefMeaning};

/// What tells one revision of a package from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// A Draft or Proposed revision under its workspace.
    Workspace(WorkspaceName),
    /// Tag `vN`; the workspace stands in the approval's commit message.
    Number(i64),
    /// A tag of any other form, which stands for the workspace too.
    Tag(WorkspaceName),
    /// What the registered branch holds; the branch's name stands for the workspace.
    Branch(WorkspaceName),
}

impl Version {
    /// The number as Porch gives it: 0 unpublished, N published, -1 everything that Porch does not number.
    #[must_use]
    pub const fn number(&self) -> i64 {
        match self {
            Self::Workspace(_) => 0,
            Self::Number(number) => *number,
            Self::Tag(_) | Self::Branch(_) => -1,
        }
    }

    /// The last part of the ref: `vN`, the tag or the workspace.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Number(number) => format!("v{number}"),
            Self::Workspace(name) | Self::Tag(name) | Self::Branch(name) => name.to_string(),
        }
    }
}

/// One revision as the refs tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The package, by its full path.
    pub package: PackageName,
    /// Which of its revisions.
    pub version: Version,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// The commit of its ref; for a placeholder the branch's head.
    pub commit: CommitId,
}

/// What the registered branch holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnBranch {
    /// The branch's name as a workspace.
    pub workspace: WorkspaceName,
    /// Its head.
    pub head: CommitId,
    /// The packages in its tree.
    pub packages: Vec<PackageName>,
}

/// The revisions that `refs` and the registered branch hold below `directory`, ordered by package, number and version.
///
/// When the branches of a Draft and a Proposed revision exist under the same name, as a rename that broke off leaves
/// them, the revision is Proposed. A `deletionProposed` branch only marks what a tag or the registered branch holds.
#[must_use]
pub fn classify(refs: &BTreeMap<String, CommitId>, directory: &str, on_branch: Option<&OnBranch>) -> Vec<Found> {
    let mut leaving = BTreeSet::new();
    let mut found: BTreeMap<(PackageName, i64, Version), (Lifecycle, CommitId)> = BTreeMap::new();
    let mut add = |package: PackageName, version: Version, lifecycle, commit: &CommitId| {
        let known = found.entry((package, version.number(), version)).or_insert((lifecycle, commit.clone()));
        if known.0 < lifecycle {
            *known = (lifecycle, commit.clone());
        }
    };
    for (name, commit) in refs {
        match refs::meaning(name, directory) {
            Some(RefMeaning::DeletionProposed(package, version)) => drop(leaving.insert((package, version))),
            Some(RefMeaning::Unpublished(lifecycle, package, workspace)) => {
                add(package, Version::Workspace(workspace), lifecycle, commit);
            }
            Some(RefMeaning::Published(package, number)) => {
                add(package, Version::Number(number), Lifecycle::Published, commit);
            }
            Some(RefMeaning::Tagged(package, tag)) => add(package, Version::Tag(tag), Lifecycle::Published, commit),
            None => {}
        }
    }
    for (branch, package) in on_branch.iter().flat_map(|b| b.packages.iter().map(move |package| (b, package))) {
        add(package.clone(), Version::Branch(branch.workspace.clone()), Lifecycle::Published, &branch.head);
    }
    found
        .into_iter()
        .map(|((package, _, version), (lifecycle, commit))| {
            let marked = lifecycle == Lifecycle::Published && leaving.contains(&(package.clone(), version.text()));
            let lifecycle = if marked { Lifecycle::DeletionProposed } else { lifecycle };
            Found { package, version, lifecycle, commit }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(digit: char) -> CommitId {
        CommitId::new(digit.to_string().repeat(40)).unwrap()
    }

    fn lines(names: &[&str], directory: &str, on_branch: Option<&OnBranch>) -> Vec<String> {
        let refs = names.iter().map(|name| ((*name).to_owned(), commit('a'))).collect();
        let show = |f: Found| format!("{} {} {} {}", f.package, f.version.number(), f.version.text(), f.lifecycle);
        classify(&refs, directory, on_branch).into_iter().map(show).collect()
    }

    #[test]
    fn refs_become_revisions() {
        let branch = OnBranch {
            workspace: WorkspaceName::new("main").unwrap(),
            head: commit('b'),
            packages: vec![PackageName::new("net/upf").unwrap(), PackageName::new("edge/upf").unwrap()],
        };
        let names = [
            "refs/heads/main",
            "refs/heads/drafts/net/upf/w3",
            "refs/heads/proposed/net/upf/w4",
            "refs/tags/net/upf/v1",
            "refs/tags/net/upf/v2",
            "refs/tags/net/upf/v10",
            "refs/tags/net/upf/v2.0.0",
            "refs/tags/edge/upf/v1",
            "refs/tags/release",
            "refs/heads/deletionProposed/net/upf/v2",
            "refs/heads/deletionProposed/edge/upf/main",
            "refs/heads/deletionProposed/gone/v1",
        ];
        assert_eq!(
            lines(&names, "", Some(&branch)),
            [
                "edge/upf -1 main DeletionProposed",
                "edge/upf 1 v1 Published",
                "net/upf -1 v2.0.0 Published",
                "net/upf -1 main Published",
                "net/upf 0 w3 Draft",
                "net/upf 0 w4 Proposed",
                "net/upf 1 v1 Published",
                "net/upf 2 v2 DeletionProposed",
                "net/upf 10 v10 Published",
            ]
        );
    }

    #[test]
    fn a_rename_that_broke_off_is_one_proposed_revision() {
        let names = ["refs/heads/drafts/upf/w", "refs/heads/proposed/upf/w"];
        assert_eq!(lines(&names, "", None), ["upf 0 w Proposed"]);
    }

    #[test]
    fn only_the_directory_counts() {
        let names = ["refs/tags/d/upf/v1", "refs/tags/other/upf/v9", "refs/tags/dd/upf/v9", "refs/heads/drafts/d/w"];
        assert_eq!(lines(&names, "/d/", None), ["upf 1 v1 Published"]);
    }
}
