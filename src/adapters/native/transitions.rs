//! Moving revisions through their life. Every move is one push from the ids that were read; when a ref moved in
//! between, everything is read again, and the move is built anew only if the revision itself is as the caller saw it.

use super::Inner;
use crate::domain::id::{CommitId, PackageName, RevisionName, TreeId, WorkspaceName};
use crate::domain::lease::Claim;
use crate::domain::revision::message::{Annotation, compose, deletion};
use crate::domain::revision::{Lifecycle, names, refs};
use crate::ports::git::{GitError, NewCommit, Person, RefUpdate, Refs};
use crate::ports::revisions::{DraftContent, PackageRevision, RevisionError};

/// How often a move is built anew because a ref moved.
const REBUILDS: usize = 3;

pub(super) fn moved(name: &str, expected: Option<&CommitId>, new: Option<&CommitId>) -> RefUpdate {
    RefUpdate { name: name.to_owned(), expected: expected.cloned(), new: new.cloned() }
}

/// One step in the life of one revision.
pub(super) struct Move<'a> {
    pub(super) claim: Option<&'a Claim>,
    /// As the caller saw it.
    pub(super) revision: &'a PackageRevision,
    /// For people.
    pub(super) act: &'static str,
    /// From where the step may be taken.
    pub(super) from: &'a [Lifecycle],
}

impl Move<'_> {
    fn refused(&self, lifecycle: Lifecycle) -> RevisionError {
        RevisionError::Lifecycle { act: self.act, name: self.revision.name.to_string(), lifecycle }
    }
}

impl Inner {
    /// The branch that makes a revision what it is: draft, proposed, or the mark of a proposed deletion.
    pub(super) fn branch_of(&self, revision: &PackageRevision) -> String {
        refs::branch(revision.lifecycle, &self.directory, &revision.package, &version(revision))
    }

    fn is_placeholder(&self, revision: &PackageRevision) -> bool {
        revision.revision < 0 && self.branch_workspace().as_ref() == Some(&revision.workspace)
    }

    /// Reads, checks, builds and pushes; gives what `build` made beside the updates.
    pub(super) fn carry_out<T>(
        &self,
        step: &Move<'_>,
        build: impl Fn(&Refs) -> Result<(Vec<RefUpdate>, T), RevisionError>,
    ) -> Result<T, RevisionError> {
        if !step.from.contains(&step.revision.lifecycle) {
            return Err(step.refused(step.revision.lifecycle));
        }
        let mut rebuilds = 0;
        loop {
            let refs = self.git.fetch()?;
            self.unchanged(step, &refs)?;
            let (updates, result) = build(&refs)?;
            match self.git.push(step.claim, &updates) {
                Ok(()) => return Ok(result),
                Err(GitError::RefMoved { .. }) if rebuilds < REBUILDS => rebuilds += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether the revision still is as the caller saw it. A placeholder follows its branch, so its tree is what
    /// counts.
    fn unchanged(&self, step: &Move<'_>, refs: &Refs) -> Result<(), RevisionError> {
        let seen = step.revision;
        let now = self.list_package(refs, &seen.package)?.into_iter().find(|r| r.name == seen.name);
        let Some(now) = now else { return Err(RevisionError::NotFound(seen.name.to_string())) };
        if now.lifecycle != seen.lifecycle {
            return Err(step.refused(now.lifecycle));
        }
        let same = if self.is_placeholder(seen) { now.tree == seen.tree } else { now.commit == seen.commit };
        if same {
            return Ok(());
        }
        Err(RevisionError::Stale { name: seen.name.to_string(), expected: seen.commit.clone(), found: now.commit })
    }

    pub(super) fn commit(
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

    /// A commit on `parent` with the whole package replaced by `content`; gives the package's tree too.
    fn draft_commit(
        &self,
        parent: Option<&CommitId>,
        package: &PackageName,
        workspace: &WorkspaceName,
        content: &DraftContent,
    ) -> Result<(CommitId, TreeId), RevisionError> {
        let path = self.path(package);
        let base = parent.map(|id| self.git.commit(id)).transpose()?.map(|commit| commit.tree);
        let subtree = self.git.write_tree(&content.files)?;
        let tree = self.git.graft(base.as_ref(), &path, Some(&subtree))?;
        let annotation = Annotation {
            package: path,
            workspace: workspace.to_string(),
            revision: "0".to_owned(),
            task: content.task.clone(),
        };
        let message = compose(&content.subject, &annotation, &content.trailers);
        let commit = self.commit(tree, parent.cloned().into_iter().collect(), Self::committer(), &message)?;
        Ok((commit, subtree))
    }

    pub(super) fn create(
        &self,
        claim: Option<&Claim>,
        package: &PackageName,
        workspace: &WorkspaceName,
        content: &DraftContent,
    ) -> Result<PackageRevision, RevisionError> {
        let refs = self.git.fetch()?;
        let name = self.free_name(&refs, package, workspace)?;
        let (commit, tree) = self.draft_commit(refs.get(&self.branch), package, workspace, content)?;
        let branch = refs::branch(Lifecycle::Draft, &self.directory, package, workspace.as_str());
        match self.git.push(claim, &[moved(&branch, None, Some(&commit))]) {
            Err(GitError::RefMoved { .. }) => return Err(RevisionError::Exists(name.to_string())),
            other => other?,
        }
        Ok(PackageRevision {
            name,
            repository: self.repository.clone(),
            package: package.clone(),
            workspace: workspace.clone(),
            revision: 0,
            lifecycle: Lifecycle::Draft,
            latest: false,
            commit,
            tree,
        })
    }

    /// The name of a new revision, when it is free, readable, and its package lies beside all others.
    fn free_name(
        &self,
        refs: &Refs,
        package: &PackageName,
        workspace: &WorkspaceName,
    ) -> Result<RevisionName, RevisionError> {
        let refused = |reason: String| GitError::Refused {
            url: self.git.url().to_owned(),
            id: format!("package {package}"),
            path: format!("workspace {workspace}"),
            reason,
        };
        let name =
            names::checked_name(&self.repository, package, workspace).map_err(|error| refused(error.to_string()))?;
        if self.list_package(refs, package)?.iter().any(|r| r.name == name) {
            return Err(RevisionError::Exists(name.to_string()));
        }
        if self.branch_workspace().as_ref() == Some(workspace) {
            let reason = "placeholders of the registered branch have this name; take another workspace";
            return Err(refused(reason.to_owned()).into());
        }
        let found = self.classify(refs, &self.packages_on_branch(refs)?);
        match found.into_iter().find(|f| overlap(&f.package, package)) {
            Some(other) => {
                let reason = format!("package {} overlaps; a package holds no other package", other.package);
                Err(refused(reason).into())
            }
            None => Ok(name),
        }
    }

    pub(super) fn update(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        content: &DraftContent,
    ) -> Result<PackageRevision, RevisionError> {
        let step = Move { claim, revision, act: "update", from: &[Lifecycle::Draft] };
        self.carry_out(&step, |_| {
            let (package, workspace) = (&revision.package, &revision.workspace);
            let (commit, tree) = self.draft_commit(Some(&revision.commit), package, workspace, content)?;
            let update = moved(&self.branch_of(revision), Some(&revision.commit), Some(&commit));
            Ok((vec![update], PackageRevision { commit, tree, ..revision.clone() }))
        })
    }

    /// Draft to Proposed, or back.
    pub(super) fn rename(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        to: Lifecycle,
    ) -> Result<PackageRevision, RevisionError> {
        let (act, from) =
            if to == Lifecycle::Proposed { ("propose", Lifecycle::Draft) } else { ("reject", Lifecycle::Proposed) };
        let renamed = PackageRevision { lifecycle: to, ..revision.clone() };
        self.carry_out(&Move { claim, revision, act, from: &[from] }, |refs| {
            let mut updates = vec![moved(&self.branch_of(revision), Some(&revision.commit), None)];
            // A rename that broke off has left the other branch at the same commit.
            let new = self.branch_of(&renamed);
            if refs.get(&new) != Some(&revision.commit) {
                updates.push(moved(&new, None, Some(&revision.commit)));
            }
            Ok((updates, renamed.clone()))
        })
    }

    pub(super) fn propose_deletion(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
    ) -> Result<PackageRevision, RevisionError> {
        let leaving = PackageRevision { lifecycle: Lifecycle::DeletionProposed, ..revision.clone() };
        let step = Move { claim, revision, act: "propose to delete", from: &[Lifecycle::Published] };
        self.carry_out(&step, |_| {
            Ok((vec![moved(&self.branch_of(&leaving), None, Some(&revision.commit))], leaving.clone()))
        })
    }

    pub(super) fn restore(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
    ) -> Result<PackageRevision, RevisionError> {
        let step = Move { claim, revision, act: "restore", from: &[Lifecycle::DeletionProposed] };
        self.carry_out(&step, |refs| {
            let mark = self.branch_of(revision);
            let restored = PackageRevision { lifecycle: Lifecycle::Published, ..revision.clone() };
            Ok((vec![moved(&mark, refs.get(&mark), None)], restored))
        })
    }

    pub(super) fn delete(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        remove_from_branch: bool,
    ) -> Result<(), RevisionError> {
        let from = [Lifecycle::Draft, Lifecycle::Proposed, Lifecycle::DeletionProposed];
        let step = Move { claim, revision, act: "delete", from: &from };
        let gone = self.carry_out(&step, |refs| self.deletion(refs, revision, remove_from_branch))?;
        if let Some(tag) = gone {
            self.memory().set_tag(&tag, None);
        }
        Ok(())
    }

    /// The branch goes; with a published revision its tag, and with the last one, when asked, the package's directory.
    /// Deleting a placeholder is removing the directory.
    fn deletion(
        &self,
        refs: &Refs,
        revision: &PackageRevision,
        remove_from_branch: bool,
    ) -> Result<(Vec<RefUpdate>, Option<String>), RevisionError> {
        let branch = self.branch_of(revision);
        let mut updates = vec![moved(&branch, refs.get(&branch), None)];
        let placeholder = self.is_placeholder(revision);
        let tagged = revision.lifecycle == Lifecycle::DeletionProposed && !placeholder;
        let tag = tagged.then(|| refs::tag_named(&self.directory, &revision.package, &version(revision)));
        updates.extend(tag.iter().map(|tag| moved(tag, Some(&revision.commit), None)));
        let last = || -> Result<bool, RevisionError> {
            let all = self.list_package(refs, &revision.package)?;
            Ok(!all.iter().any(|other| other.revision > 0 && other.revision != revision.revision))
        };
        if placeholder || (remove_from_branch && revision.revision > 0 && last()?) {
            updates.extend(self.removal(refs, &revision.package)?);
        }
        Ok((updates, tag))
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
        let commit = self.commit(tree, vec![head.clone()], Self::committer(), &deletion(&path))?;
        Ok(Some(moved(&self.branch, Some(head), Some(&commit))))
    }
}

/// The last part of a revision's refs.
fn version(revision: &PackageRevision) -> String {
    if revision.revision > 0 { format!("v{}", revision.revision) } else { revision.workspace.to_string() }
}

/// Whether one package lies inside the other.
fn overlap(a: &PackageName, b: &PackageName) -> bool {
    let inside = |inner: &PackageName, outer: &PackageName| {
        inner.as_str().strip_prefix(outer.as_str()).is_some_and(|rest| rest.starts_with('/'))
    };
    inside(a, b) || inside(b, a)
}
