//! Listing revisions from refs; content is not read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use super::{HISTORY, Inner, REMEMBERED};
use crate::domain::id::{CommitId, PackageName, WorkspaceName};
use crate::domain::revision::refs::RefMeaning;
use crate::domain::revision::{Lifecycle, message, names, refs};
use crate::ports::git::Refs;
use crate::ports::revisions::{PackageRevision, RevisionError};

impl Inner {
    pub(super) fn list(&self) -> Result<Vec<PackageRevision>, RevisionError> {
        let refs = self.git.fetch()?;
        self.list_of(&refs)
    }

    pub(super) fn list_of(&self, refs: &Refs) -> Result<Vec<PackageRevision>, RevisionError> {
        let mut leaving: BTreeSet<(PackageName, String)> = BTreeSet::new();
        let mut found = Vec::new();
        for (name, commit) in refs {
            match refs::meaning(name, &self.directory) {
                Some(RefMeaning::DeletionProposed(package, version)) => drop(leaving.insert((package, version))),
                Some(RefMeaning::Unpublished(lifecycle, package, workspace)) => {
                    found.extend(self.revision(&package, workspace, 0, lifecycle, commit)?);
                }
                Some(RefMeaning::Published(package, number)) => {
                    self.remember_tag(name, commit);
                    let workspace = self.workspace_of(&package, number, commit)?;
                    found.extend(self.revision(&package, workspace, number, Lifecycle::Published, commit)?);
                }
                Some(RefMeaning::Tagged(package, workspace)) => {
                    found.extend(self.revision(&package, workspace, -1, Lifecycle::Published, commit)?);
                }
                None => {}
            }
        }
        found.extend(self.placeholders(refs)?);
        for revision in &mut found {
            let version =
                if revision.revision > 0 { format!("v{}", revision.revision) } else { revision.workspace.to_string() };
            if revision.lifecycle == Lifecycle::Published && leaving.contains(&(revision.package.clone(), version)) {
                revision.lifecycle = Lifecycle::DeletionProposed;
            }
        }
        mark_latest(&mut found);
        found.sort_by(|a, b| (&a.package, a.revision, &a.workspace).cmp(&(&b.package, b.revision, &b.workspace)));
        Ok(found)
    }

    /// Packages on the registered branch.
    fn placeholders(&self, refs: &Refs) -> Result<Vec<PackageRevision>, RevisionError> {
        let Some(head) = refs.get(&self.branch) else { return Ok(Vec::new()) };
        let short = self.branch.trim_start_matches("refs/heads/").replace('/', "-");
        let Ok(workspace) = WorkspaceName::new(short) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for (path, _) in self.git.directories_with(head, &self.directory, "Kptfile")? {
            if let Ok(package) = PackageName::new(path) {
                found.extend(self.revision(&package, workspace.clone(), -1, Lifecycle::Published, head)?);
            }
        }
        Ok(found)
    }

    /// A revision at a commit; `None` when the commit does not hold the package, or the name is too long.
    pub(super) fn revision(
        &self,
        package: &PackageName,
        workspace: WorkspaceName,
        number: i64,
        lifecycle: Lifecycle,
        commit: &CommitId,
    ) -> Result<Option<PackageRevision>, RevisionError> {
        let Some(tree) = self.git.subtree(commit, &self.path(package))? else { return Ok(None) };
        let Ok(name) = names::revision_name(&self.repository, package, &workspace) else { return Ok(None) };
        Ok(Some(PackageRevision {
            name,
            repository: self.repository.clone(),
            package: package.clone(),
            workspace,
            revision: number,
            lifecycle,
            latest: false,
            commit: commit.clone(),
            tree,
        }))
    }

    /// The workspace of a published revision: from the newest commit whose annotation names the package and number,
    /// else the newest that names the package, else `vN`.
    fn workspace_of(
        &self,
        package: &PackageName,
        number: i64,
        commit: &CommitId,
    ) -> Result<WorkspaceName, RevisionError> {
        let key = (format!("{package}@{number}"), commit.clone());
        if let Some(known) = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(known.clone());
        }
        let path = self.path(package);
        let own = self.git.commit(commit)?;
        let fits = |text: &str, strict: bool| {
            let annotations = message::annotations(text).into_iter();
            annotations
                .filter(|a| a.package == path || a.package == package.as_str())
                .find(|a| !strict || a.revision == number.to_string())
                .and_then(|a| WorkspaceName::new(a.workspace).ok())
        };
        let found = match fits(&own.message, true) {
            Some(found) => Some(found),
            None => self.git.log(commit, HISTORY)?.iter().find_map(|commit| fits(&commit.message, false)),
        };
        let workspace = match found {
            Some(found) => found,
            None => WorkspaceName::new(format!("v{number}")).map_err(|e| RevisionError::NotFound(e.to_string()))?,
        };
        let mut known = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(key, workspace.clone());
        Ok(workspace)
    }

    fn remember_tag(&self, name: &str, commit: &CommitId) {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        if tags.len() < REMEMBERED {
            tags.entry(name.to_owned()).or_insert_with(|| commit.clone());
        }
    }

    /// A published revision stays where it was first seen; a tag that moved is refused.
    pub(super) fn check_tag(&self, revision: &PackageRevision) -> Result<(), RevisionError> {
        if revision.revision < 1 {
            return Ok(());
        }
        let tag = refs::tag(&self.directory, &revision.package, revision.revision);
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        match tags.get(&tag) {
            Some(was) if *was != revision.commit => Err(RevisionError::TagMoved {
                repository: self.git.url().to_owned(),
                tag,
                was: was.clone(),
                now: revision.commit.clone(),
            }),
            _ => Ok(()),
        }
    }
}

fn mark_latest(revisions: &mut [PackageRevision]) {
    let mut highest: BTreeMap<PackageName, i64> = BTreeMap::new();
    for revision in revisions.iter().filter(|revision| revision.revision > 0) {
        let number = highest.entry(revision.package.clone()).or_default();
        *number = (*number).max(revision.revision);
    }
    for revision in revisions {
        revision.latest = highest.get(&revision.package) == Some(&revision.revision);
    }
}
