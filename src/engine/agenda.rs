//! What of a package a round has to deal with: the revision that shall run, the one that asks to follow it, and whether
//! the package is on its way out.

use crate::domain::id::{CommitId, PackageName};
use crate::domain::revision::Lifecycle;
use crate::ports::revisions::PackageRevision;

/// Which revision a Sync asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The highest published number.
    Latest,
    /// A number, written `v3`.
    Number(i64),
    /// A workspace.
    Workspace(String),
}

impl Wanted {
    /// Reads `latest`, `v3` or a workspace.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix('v').and_then(|digits| digits.parse().ok()) {
            _ if text == "latest" || text.is_empty() => Self::Latest,
            Some(number) => Self::Number(number),
            None => Self::Workspace(text.to_owned()),
        }
    }
}

/// What a round has to deal with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agenda {
    /// What shall run; it may wait for its deletion to be approved.
    pub published: Option<PackageRevision>,
    /// A Draft or Proposed revision of the same package, when the Sync follows the latest.
    pub candidate: Option<PackageRevision>,
    /// All published revisions of the package.
    pub all_published: Vec<PackageRevision>,
    /// What the branch holds, when the Sync follows the latest.
    pub branch: Option<PackageRevision>,
}

impl Agenda {
    /// Picks from all revisions of a repository.
    #[must_use]
    pub fn of(revisions: &[PackageRevision], package: &PackageName, wanted: &Wanted) -> Self {
        let mine = || revisions.iter().filter(|revision| revision.package == *package);
        let all_published: Vec<PackageRevision> = mine().filter(|revision| revision.revision > 0).cloned().collect();
        let published = match wanted {
            Wanted::Latest => all_published.iter().max_by_key(|revision| revision.revision),
            Wanted::Number(number) => all_published.iter().find(|revision| revision.revision == *number),
            Wanted::Workspace(name) => all_published.iter().find(|revision| revision.workspace.as_str() == name),
        };
        let follows = *wanted == Wanted::Latest;
        let pending = |lifecycle| mine().filter(move |r| follows && r.lifecycle == lifecycle && r.revision == 0);
        let candidate = pending(Lifecycle::Proposed).next().or_else(|| pending(Lifecycle::Draft).next());
        let branch = mine().find(|revision| follows && revision.revision < 0);
        Self { published: published.cloned(), candidate: candidate.cloned(), branch: branch.cloned(), all_published }
    }

    /// Whether the package waits for its deletion, or for the rest of it.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        !self.all_published.is_empty()
            && self.all_published.iter().all(|revision| revision.lifecycle == Lifecycle::DeletionProposed)
    }

    /// Whether the branch holds what was neither published nor proposed, such as a merge with something added to it.
    #[must_use]
    pub fn is_astray(&self) -> bool {
        let known = |tree| self.all_published.iter().chain(&self.candidate).any(|revision| revision.tree == tree);
        self.branch.as_ref().is_some_and(|branch| !known(branch.tree.clone()))
    }

    /// The published revision with this number.
    #[must_use]
    pub fn numbered(&self, number: i64) -> Option<&PackageRevision> {
        self.all_published.iter().find(|revision| revision.revision == number)
    }

    /// The commit that a proposal is made on top of, as far as this package is concerned.
    #[must_use]
    pub fn base(&self) -> Option<CommitId> {
        self.published.as_ref().map(|revision| revision.commit.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{RepositoryName, RevisionName, TreeId, WorkspaceName};

    fn revision(package: &str, workspace: &str, number: i64, lifecycle: Lifecycle) -> PackageRevision {
        PackageRevision {
            name: RevisionName::new(format!("r.{package}.{workspace}")).unwrap(),
            repository: RepositoryName::new("r").unwrap(),
            package: PackageName::new(package).unwrap(),
            workspace: WorkspaceName::new(workspace).unwrap(),
            revision: number,
            lifecycle,
            latest: false,
            commit: CommitId::new("a".repeat(40)).unwrap(),
            tree: TreeId::new("b".repeat(40)).unwrap(),
        }
    }

    fn numbers(agenda: &Agenda) -> (Option<i64>, Option<String>) {
        (agenda.published.as_ref().map(|r| r.revision), agenda.candidate.as_ref().map(|r| r.workspace.to_string()))
    }

    #[test]
    fn latest_takes_the_highest_number_and_a_proposed_candidate_before_a_draft() {
        use Lifecycle::{Draft, Proposed, Published};
        let revisions = [
            revision("upf", "main", -1, Published),
            revision("upf", "a", 1, Published),
            revision("upf", "b", 2, Published),
            revision("upf", "c", 0, Draft),
            revision("upf", "d", 0, Proposed),
            revision("amf", "e", 9, Published),
        ];
        let package = PackageName::new("upf").unwrap();
        assert_eq!(numbers(&Agenda::of(&revisions, &package, &Wanted::Latest)), (Some(2), Some("d".to_owned())));
        assert_eq!(numbers(&Agenda::of(&revisions, &package, &Wanted::parse("v1"))), (Some(1), None));
        assert_eq!(numbers(&Agenda::of(&revisions, &package, &Wanted::parse("b"))), (Some(2), None));
    }

    #[test]
    fn a_package_leaves_only_when_every_revision_does() {
        let package = PackageName::new("upf").unwrap();
        let one = revision("upf", "a", 1, Lifecycle::DeletionProposed);
        let two = revision("upf", "b", 2, Lifecycle::Published);
        assert!(!Agenda::of(&[one.clone(), two], &package, &Wanted::Latest).is_leaving());
        assert!(Agenda::of(&[one], &package, &Wanted::Latest).is_leaving());
        assert!(!Agenda::default().is_leaving());
    }
}
