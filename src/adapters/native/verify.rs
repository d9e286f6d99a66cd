//! Published revisions never change: content is read only from a tag that stands where it was approved.

use super::{HISTORY, Inner};
use crate::domain::id::CommitId;
use crate::domain::revision::{message, number, refs};
use crate::ports::git::{Commit, GitError};
use crate::ports::revisions::{PackageRevision, RevisionError};

impl Inner {
    /// Refuses a revision that moved, or that is not signed where that is demanded.
    pub(super) fn vouch(&self, revision: &PackageRevision) -> Result<(), RevisionError> {
        self.verify(revision)?;
        let Some(signatures) = &self.signatures else { return Ok(()) };
        let tag = refs::tag(&self.directory, &revision.package, revision.revision.max(0));
        Ok(signatures.check(&revision.commit, tag.trim_start_matches("refs/tags/"))?)
    }

    /// Refuses the content of a number whose tag moved since it was first seen, or stands elsewhere than the branch's
    /// history says. An approval that is part of the branch vouches for itself; a tag that a person set counts as long
    /// as it is part of the branch and the history knows no approval of that number, as Porch reads it.
    pub(super) fn verify(&self, revision: &PackageRevision) -> Result<(), RevisionError> {
        if revision.revision < 1 {
            return Ok(());
        }
        let tag = refs::tag(&self.directory, &revision.package, revision.revision);
        let was = self.memory().first_seen(&tag).filter(|was| **was != revision.commit).cloned();
        if let Some(was) = was {
            return Err(self.moved_tag(tag, was, revision));
        }
        if !self.memory().is_verified(&tag, &revision.commit) {
            self.compare_with_branch(&tag, revision)?;
            self.memory().verify(tag, revision.commit.clone());
        }
        Ok(())
    }

    fn compare_with_branch(&self, tag: &str, revision: &PackageRevision) -> Result<(), RevisionError> {
        let refs = self.git.fetch()?;
        let Some(head) = refs.get(&self.branch) else { return Ok(()) };
        let reached = self.git.is_ancestor(&revision.commit, head)?;
        if reached && self.approves(&self.git.commit(&revision.commit)?, revision) {
            return Ok(());
        }
        let history = self.git.log(head, HISTORY)?;
        let elsewhere = history.iter().find(|c| c.id != revision.commit && self.approves(c, revision));
        match elsewhere {
            Some(approval) => Err(self.moved_tag(tag.to_owned(), approval.id.clone(), revision)),
            None if reached => Ok(()),
            None => Err(self.stray_tag(tag, revision).into()),
        }
    }

    fn approves(&self, commit: &Commit, revision: &PackageRevision) -> bool {
        let path = self.path(&revision.package);
        let annotations = message::annotations(&commit.message);
        annotations.iter().any(|a| number::approves(a, &path, &revision.package, revision.revision))
    }

    fn moved_tag(&self, tag: String, was: CommitId, revision: &PackageRevision) -> RevisionError {
        RevisionError::TagMoved { repository: self.git.url().to_owned(), tag, was, now: revision.commit.clone() }
    }

    /// Nobody knows where the tag was, so it cannot be said to have moved.
    fn stray_tag(&self, tag: &str, revision: &PackageRevision) -> GitError {
        GitError::Refused {
            url: self.git.url().to_owned(),
            id: revision.commit.to_string(),
            path: tag.to_owned(),
            reason: format!(
                "the commit is no part of {}, where published revisions live; merge it or set the tag on its approval",
                self.branch
            ),
        }
    }
}
