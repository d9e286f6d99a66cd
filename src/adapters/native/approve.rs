//! Approval: one commit on the registered branch, its tag, and the end of the proposed branch, in one push.

use super::transitions::{Move, moved};
use super::{HISTORY, Inner};
use crate::domain::id::CommitId;
use crate::domain::lease::Claim;
use crate::domain::revision::message::{Annotation, approval_subject, compose};
use crate::domain::revision::{Lifecycle, number, refs};
use crate::ports::git::{Person, RefUpdate, Refs};
use crate::ports::revisions::{ApprovalNote, PackageRevision, RevisionError};

impl Inner {
    pub(super) fn approve(
        &self,
        claim: Option<&Claim>,
        revision: &PackageRevision,
        note: &ApprovalNote,
    ) -> Result<PackageRevision, RevisionError> {
        let step = Move { claim, revision, act: "approve", from: &[Lifecycle::Proposed] };
        let published = self.carry_out(&step, |refs| self.approval(refs, revision, note))?;
        let tag = refs::tag(&self.directory, &published.package, published.revision);
        self.memory().set_tag(&tag, Some(&published.commit));
        Ok(published)
    }

    fn approval(
        &self,
        refs: &Refs,
        revision: &PackageRevision,
        note: &ApprovalNote,
    ) -> Result<(Vec<RefUpdate>, PackageRevision), RevisionError> {
        let taken = self.numbers(refs, revision);
        let next = number::next(taken);
        let commit = self.approval_commit(refs, revision, next, note)?;
        let updates = vec![
            moved(&self.branch, refs.get(&self.branch), Some(&commit)),
            moved(&refs::tag(&self.directory, &revision.package, next), None, Some(&commit)),
            moved(&self.branch_of(revision), Some(&revision.commit), None),
        ];
        let published = PackageRevision {
            revision: next,
            lifecycle: Lifecycle::Published,
            latest: true,
            commit,
            ..revision.clone()
        };
        Ok((updates, published))
    }

    /// The numbers that tags of the package hold, whether or not anything can be read at them.
    fn numbers(&self, refs: &Refs, revision: &PackageRevision) -> Vec<i64> {
        let found = self.classify(refs, &std::collections::BTreeMap::new()).into_iter();
        found.filter(|f| f.package == revision.package).map(|f| f.version.number()).collect()
    }

    /// The branch with the package replaced by the draft's. When the branch holds the draft already, because a person
    /// merged it, the draft is no second parent again.
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
        let tree = self.git.graft(base.as_ref(), &path, Some(&revision.tree))?;
        let merged = match head {
            Some(head) => self.git.is_ancestor(&revision.commit, head)? || self.merged_into(head, revision)?.is_some(),
            None => false,
        };
        let draft = (!merged).then(|| revision.commit.clone());
        let parents = head.cloned().into_iter().chain(draft).collect();
        let subject = approval_subject(&path, number);
        let annotation = Annotation {
            package: path,
            workspace: revision.workspace.to_string(),
            revision: number.to_string(),
            task: None,
        };
        self.commit(tree, parents, note.approver.clone(), &compose(&subject, &annotation, &note.trailers))
    }

    pub(super) fn merged_by(&self, revision: &PackageRevision) -> Result<Option<(Person, CommitId)>, RevisionError> {
        let refs = self.git.fetch()?;
        refs.get(&self.branch).map_or(Ok(None), |head| self.merged_into(head, revision))
    }

    /// The newest commit of the branch that brought the proposed content, while the branch still holds it: the content
    /// is in its tree and not in that of its first parent. A branch that was fast-forwarded was brought by the draft.
    fn merged_into(
        &self,
        head: &CommitId,
        revision: &PackageRevision,
    ) -> Result<Option<(Person, CommitId)>, RevisionError> {
        let path = self.path(&revision.package);
        let holds = |commit: &CommitId| -> Result<bool, RevisionError> {
            Ok(self.git.subtree(commit, &path)?.as_ref() == Some(&revision.tree))
        };
        if !holds(head)? {
            return Ok(None);
        }
        let mut at = head.clone();
        for _ in 0..HISTORY {
            let commit = self.git.commit(&at)?;
            if at == revision.commit {
                return Ok(Some((commit.author, at)));
            }
            match commit.parents.first() {
                Some(parent) if holds(parent)? => at = parent.clone(),
                _ => return Ok(self.brought_after(&at, revision)?.then_some((commit.author, at))),
            }
        }
        Ok(None)
    }

    /// Whether a commit is younger than the place where the proposal left the branch: content that was there before
    /// the proposal began was not merged from it.
    fn brought_after(&self, commit: &CommitId, revision: &PackageRevision) -> Result<bool, RevisionError> {
        Ok(self.git.is_ancestor(&revision.commit, commit)? || !self.git.is_ancestor(commit, &revision.commit)?)
    }
}
