//! Moving revisions through their life. Every move is one push from the ids that were seen.

use super::{HISTORY, Inner};
use crate::domain::id::{CommitId, PackageName, TreeId, WorkspaceName};
use crate::domain::lease::Claim;
use crate::domain::revision::message::{Annotation, compose};
use crate::domain::revision::{Lifecycle, names, refs};
use crate::ports::git::{GitError, NewCommit, Person, RefUpdate, Refs};
use crate::ports::revisions::{ApprovalNote, DraftContent, PackageRevision, RevisionError};

/// How often an approval is built anew because the branch moved.
const ATTEMPTS: usize = 3;

fn moved(name: &str, expected: Option<&CommitId>, new: Option<&CommitId>) -> RefUpdate {
    RefUpdate { name: name.to_owned(), expected: expected.cloned(), new: new.cloned() }
}

impl Inner {
    fn branch_of(&self, revision: &PackageRevision) -> String {
        let version = match revision.lifecycle {
            Lifecycle::DeletionProposed if revision.revision > 0 => format!("v{}", revision.revision),
            _ => revision.workspace.to_string(),
        };
        refs::branch(revision.lifecycle, &self.directory, &revision.package, &version)
    }

    fn require(revision: &PackageRevision, allowed: bool, act: &'static str) -> Result<(), RevisionError> {
        if allowed && revision.revision >= 0 {
            return Ok(());
        }
        Err(RevisionError::Lifecycle { act, name: revision.name.to_string(), lifecycle: revision.lifecycle })
    }

    /// The same revision under its new state.
    fn again(&self, package: &PackageName, workspace: &WorkspaceName) -> Result<PackageRevision, RevisionError> {
        let found =
            self.list()?.into_iter().find(|r| r.package == *package && r.workspace == *workspace && r.revision >= 0);
        found.ok_or_else(|| RevisionError::NotFound(format!("{package} {workspace}")))
    }

    /// A push that failed because the revision's own branch moved is a stale revision.
    fn push(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        updates: &[RefUpdate],
    ) -> Result<(), RevisionError> {
        self.git.push(claim, updates).map_err(|error| match (&error, self.git.refs()) {
            (GitError::RefMoved { .. }, Ok(refs)) if refs.get(&self.branch_of(revision)) != Some(&revision.commit) => {
                self.stale(revision, &refs)
            }
            _ => error.into(),
        })
    }

    fn stale(&self, revision: &PackageRevision, refs: &Refs) -> RevisionError {
        match refs.get(&self.branch_of(revision)) {
            Some(found) => RevisionError::Stale {
                name: revision.name.to_string(),
                expected: revision.commit.clone(),
                found: found.clone(),
            },
            None => RevisionError::NotFound(revision.name.to_string()),
        }
    }

    fn draft_commit(
        &self,
        base: Option<&CommitId>,
        parents: Vec<CommitId>,
        package: &PackageName,
        workspace: &WorkspaceName,
        content: &DraftContent,
    ) -> Result<CommitId, RevisionError> {
        let path = self.path(package);
        let base = base.map(|id| self.git.commit(id)).transpose()?.map(|commit| commit.tree);
        let subtree = self.git.write_tree(&content.files)?;
        let tree = self.git.graft(base.as_ref(), &path, Some(&subtree))?;
        let annotation = Annotation {
            package: path,
            workspace: workspace.to_string(),
            revision: "0".to_owned(),
            task: content.task.clone(),
        };
        self.commit(tree, parents, Self::committer(), &compose(&content.subject, &annotation, &content.trailers))
    }

    fn commit(
        &self,
        tree: TreeId,
        parents: Vec<CommitId>,
        author: Person,
        message: &str,
    ) -> Result<CommitId, RevisionError> {
        let commit = NewCommit {
            tree,
            parents,
            author,
            committer: Self::committer(),
            at: self.clock.now(),
            message: message.to_owned(),
        };
        Ok(self.git.write_commit(&commit)?)
    }

    pub(super) fn create(
        &self,
        claim: Option<&Claim>,
        package: &PackageName,
        workspace: &WorkspaceName,
        content: &DraftContent,
    ) -> Result<PackageRevision, RevisionError> {
        let refs = self.git.fetch()?;
        let name = names::revision_name(&self.repository, package, workspace)
            .map_err(|error| RevisionError::NotFound(error.to_string()))?;
        let taken =
            self.list_of(&refs)?.iter().any(|r| r.package == *package && r.workspace == *workspace && r.revision >= 0);
        if taken {
            return Err(RevisionError::Exists(name.to_string()));
        }
        let head = refs.get(&self.branch);
        let commit = self.draft_commit(head, head.cloned().into_iter().collect(), package, workspace, content)?;
        let branch = refs::branch(Lifecycle::Draft, &self.directory, package, workspace.as_str());
        match self.git.push(claim, &[moved(&branch, None, Some(&commit))]) {
            Err(GitError::RefMoved { .. }) => Err(RevisionError::Exists(name.to_string())),
            Err(error) => Err(error.into()),
            Ok(()) => self.again(package, workspace),
        }
    }

    pub(super) fn update(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        content: &DraftContent,
    ) -> Result<PackageRevision, RevisionError> {
        Self::require(revision, revision.lifecycle == Lifecycle::Draft, "update")?;
        let parents = vec![revision.commit.clone()];
        let (package, workspace) = (&revision.package, &revision.workspace);
        let commit = self.draft_commit(Some(&revision.commit), parents, package, workspace, content)?;
        self.push(claim, revision, &[moved(&self.branch_of(revision), Some(&revision.commit), Some(&commit))])?;
        self.again(package, workspace)
    }

    fn rename(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        to: Lifecycle,
    ) -> Result<PackageRevision, RevisionError> {
        let new = refs::branch(to, &self.directory, &revision.package, revision.workspace.as_str());
        let updates =
            [moved(&new, None, Some(&revision.commit)), moved(&self.branch_of(revision), Some(&revision.commit), None)];
        self.push(claim, revision, &updates)?;
        self.again(&revision.package, &revision.workspace)
    }

    pub(super) fn propose(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
    ) -> Result<PackageRevision, RevisionError> {
        Self::require(revision, revision.lifecycle == Lifecycle::Draft, "propose")?;
        self.rename(claim, revision, Lifecycle::Proposed)
    }

    pub(super) fn reject(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
    ) -> Result<PackageRevision, RevisionError> {
        Self::require(revision, revision.lifecycle == Lifecycle::Proposed, "reject")?;
        self.rename(claim, revision, Lifecycle::Draft)
    }

    pub(super) fn approve(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        note: &ApprovalNote,
    ) -> Result<PackageRevision, RevisionError> {
        Self::require(revision, revision.lifecycle == Lifecycle::Proposed, "approve")?;
        let mut attempt = 1;
        loop {
            let refs = self.git.fetch()?;
            if refs.get(&self.branch_of(revision)) != Some(&revision.commit) {
                return Err(self.stale(revision, &refs));
            }
            let number = self.next_number(&refs, &revision.package)?;
            let commit = self.approval_commit(&refs, revision, number, note)?;
            let updates = [
                moved(&self.branch, refs.get(&self.branch), Some(&commit)),
                moved(&refs::tag(&self.directory, &revision.package, number), None, Some(&commit)),
                moved(&self.branch_of(revision), Some(&revision.commit), None),
            ];
            match self.git.push(claim, &updates) {
                Ok(()) => return self.again(&revision.package, &revision.workspace),
                Err(GitError::RefMoved { .. }) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn next_number(&self, refs: &Refs, package: &PackageName) -> Result<i64, RevisionError> {
        let numbers = self.list_of(refs)?.into_iter().filter(|r| r.package == *package).map(|r| r.revision);
        Ok(numbers.max().unwrap_or(0).max(0) + 1)
    }

    /// The branch with the package replaced by the draft's. When a person merged the very content already, the tree is
    /// the branch's own and the draft is no second parent again.
    fn approval_commit(
        &self,
        refs: &Refs,
        revision: &PackageRevision,
        number: i64,
        note: &ApprovalNote,
    ) -> Result<CommitId, RevisionError> {
        let head = refs.get(&self.branch);
        let path = self.path(&revision.package);
        let base = head.map(|id| self.git.commit(id)).transpose()?.map(|commit| commit.tree);
        let there = head.map(|id| self.git.subtree(id, &path)).transpose()?.flatten();
        let merged = there.as_ref() == Some(&revision.tree) && self.merged_by(revision)?.is_some();
        let tree = self.git.graft(base.as_ref(), &path, Some(&revision.tree))?;
        let draft = (!merged).then(|| revision.commit.clone());
        let parents = head.cloned().into_iter().chain(draft).collect();
        let annotation = Annotation {
            package: path.clone(),
            workspace: revision.workspace.to_string(),
            revision: number.to_string(),
            task: None,
        };
        let subject = format!("Approving package revision {path}/{number}");
        self.commit(tree, parents, note.approver.clone(), &compose(&subject, &annotation, &note.trailers))
    }

    pub(super) fn merged_by(&self, revision: &PackageRevision) -> Result<Option<(Person, CommitId)>, RevisionError> {
        let refs = self.git.fetch()?;
        let Some(head) = refs.get(&self.branch) else { return Ok(None) };
        let path = self.path(&revision.package);
        if self.git.subtree(head, &path)?.as_ref() != Some(&revision.tree) {
            return Ok(None);
        }
        // The newest commit of the branch that brought the content: its first parent does not hold it.
        let mut at = head.clone();
        for _ in 0..HISTORY {
            let commit = self.git.commit(&at)?;
            let Some(parent) = commit.parents.first() else { return Ok(Some((commit.author, at))) };
            if self.git.subtree(parent, &path)?.as_ref() != Some(&revision.tree) {
                return Ok(self.brought_after(&at, revision)?.then_some((commit.author, at)));
            }
            at = parent.clone();
        }
        Ok(None)
    }

    /// Whether a commit is younger than the place where the proposal left the branch: content that was there before
    /// the proposal began was not merged from it.
    fn brought_after(&self, commit: &CommitId, revision: &PackageRevision) -> Result<bool, RevisionError> {
        if self.git.is_ancestor(&revision.commit, commit)? {
            return Ok(true);
        }
        Ok(!self.git.is_ancestor(commit, &revision.commit)?)
    }

    pub(super) fn propose_deletion(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
    ) -> Result<PackageRevision, RevisionError> {
        let published = revision.lifecycle == Lifecycle::Published && revision.revision > 0;
        Self::require(revision, published, "propose to delete")?;
        let branch = refs::branch(
            Lifecycle::DeletionProposed,
            &self.directory,
            &revision.package,
            &format!("v{}", revision.revision),
        );
        self.git.push(claim, &[moved(&branch, None, Some(&revision.commit))])?;
        self.again(&revision.package, &revision.workspace)
    }

    pub(super) fn restore(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
    ) -> Result<PackageRevision, RevisionError> {
        Self::require(revision, revision.lifecycle == Lifecycle::DeletionProposed, "restore")?;
        self.git.push(claim, &[moved(&self.branch_of(revision), Some(&revision.commit), None)])?;
        self.again(&revision.package, &revision.workspace)
    }

    pub(super) fn delete(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        remove_from_branch: bool,
    ) -> Result<(), RevisionError> {
        Self::require(revision, revision.lifecycle.may_be_deleted(), "delete")?;
        let mut updates = vec![moved(&self.branch_of(revision), Some(&revision.commit), None)];
        if revision.lifecycle == Lifecycle::DeletionProposed {
            let tag = refs::tag(&self.directory, &revision.package, revision.revision);
            updates.push(moved(&tag, Some(&revision.commit), None));
            let refs = self.git.fetch()?;
            let others = self.list_of(&refs)?.into_iter().any(|other| {
                other.package == revision.package && other.revision > 0 && other.revision != revision.revision
            });
            if remove_from_branch && !others {
                updates.extend(self.removal(&refs, &revision.package)?);
            }
        }
        self.push(claim, revision, &updates)
    }

    /// A commit that takes the package off the branch, when it is on it.
    fn removal(&self, refs: &Refs, package: &PackageName) -> Result<Option<RefUpdate>, RevisionError> {
        let Some(head) = refs.get(&self.branch) else { return Ok(None) };
        let path = self.path(package);
        if self.git.subtree(head, &path)?.is_none() {
            return Ok(None);
        }
        let base = self.git.commit(head)?.tree;
        let tree = self.git.graft(Some(&base), &path, None)?;
        let commit = self.commit(tree, vec![head.clone()], Self::committer(), &format!("Delete {path}\n"))?;
        Ok(Some(moved(&self.branch, Some(head), Some(&commit))))
    }
}
