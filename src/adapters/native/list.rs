//! Listing revisions: refs first, then only what refs do not tell, once for each commit.

use std::collections::{BTreeMap, BTreeSet};

use super::memory::Fact;
use super::{HISTORY, Inner};
use crate::domain::id::{CommitId, PackageName, TreeId, WorkspaceName};
use crate::domain::revision::classify::{Found, OnBranch, Version, classify};
use crate::domain::revision::{message, names, number, refs};
use crate::ports::git::Refs;
use crate::ports::revisions::{PackageRevision, RevisionError};

/// The file that makes a directory a package.
const KPTFILE: &str = "Kptfile";

impl Inner {
    pub(super) fn list(&self) -> Result<Vec<PackageRevision>, RevisionError> {
        let refs = self.git.fetch()?;
        let placeholders = self.packages_on_branch(&refs)?;
        let found = self.classify(&refs, &placeholders);
        let tags = found.iter().filter(|f| matches!(f.version, Version::Number(_)));
        let named = tags.map(|f| (refs::tag(&self.directory, &f.package, f.version.number()), &f.commit));
        self.memory().see_tags(&refs, named);
        self.resolve(found, &placeholders)
    }

    /// The revisions of one package.
    pub(super) fn list_package(
        &self,
        refs: &Refs,
        package: &PackageName,
    ) -> Result<Vec<PackageRevision>, RevisionError> {
        let placeholder = match refs.get(&self.branch) {
            Some(head) => self.package_at(head, package)?,
            None => None,
        };
        let placeholders = placeholder.map(|tree| (package.clone(), tree)).into_iter().collect();
        let mut found = self.classify(refs, &placeholders);
        found.retain(|f| f.package == *package);
        self.resolve(found, &placeholders)
    }

    pub(super) fn classify(&self, refs: &Refs, placeholders: &BTreeMap<PackageName, TreeId>) -> Vec<Found> {
        let on_branch = refs.get(&self.branch).zip(self.branch_workspace()).map(|(head, workspace)| OnBranch {
            workspace,
            head: head.clone(),
            packages: placeholders.keys().cloned().collect(),
        });
        classify(refs, &self.directory, on_branch.as_ref())
    }

    /// The registered branch's name as the workspace of placeholders; `None` when it cannot be one.
    pub(super) fn branch_workspace(&self) -> Option<WorkspaceName> {
        WorkspaceName::new(self.branch.trim_start_matches("refs/heads/").replace('/', "-")).ok()
    }

    /// Packages on the registered branch; the tree is walked once for each head.
    pub(super) fn packages_on_branch(&self, refs: &Refs) -> Result<BTreeMap<PackageName, TreeId>, RevisionError> {
        let Some(head) = refs.get(&self.branch) else { return Ok(BTreeMap::new()) };
        if let Some(known) = self.memory().on_branch(head) {
            return Ok(known);
        }
        let before = self.memory().branch_head();
        // A branch that was rewritten may have lost what vouched for its tags.
        if let Some(before) = before
            && !self.git.is_ancestor(&before, head).unwrap_or(false)
        {
            self.memory().doubt();
        }
        let all = self.git.directories_with(head, &self.directory, KPTFILE)?;
        let named = all.into_iter().filter_map(|(path, tree)| Some((PackageName::new(path).ok()?, tree)));
        let packages: BTreeMap<PackageName, TreeId> = named.collect();
        self.memory().learn_branch(head.clone(), packages.clone());
        Ok(packages)
    }

    /// The package's tree at a commit when there is a Kptfile in it.
    fn package_at(&self, commit: &CommitId, package: &PackageName) -> Result<Option<TreeId>, RevisionError> {
        let found = self.git.directories_with(commit, &self.path(package), KPTFILE)?;
        Ok(found.into_iter().next().filter(|(below, _)| below.is_empty()).map(|(_, tree)| tree))
    }

    /// Adds what refs do not tell. A revision whose commit does not hold its package, or whose name is too long, is
    /// none.
    fn resolve(
        &self,
        found: Vec<Found>,
        placeholders: &BTreeMap<PackageName, TreeId>,
    ) -> Result<Vec<PackageRevision>, RevisionError> {
        let mut all = Vec::with_capacity(found.len());
        for found in found {
            let fact = match &found.version {
                Version::Branch(_) => placeholders.get(&found.package).map(|tree| (tree.clone(), None)),
                _ => self.fact(&found)?,
            };
            let Some((tree, told)) = fact else { continue };
            let workspace = match (told, &found.version) {
                (Some(workspace), _) => workspace,
                (None, Version::Workspace(name) | Version::Tag(name) | Version::Branch(name)) => name.clone(),
                (None, Version::Number(_)) => match WorkspaceName::new(found.version.text()) {
                    Ok(workspace) => workspace,
                    Err(_) => continue,
                },
            };
            all.extend(self.describe(found, workspace, tree));
        }
        one_for_each_name(&mut all);
        let latest = number::latest(all.iter().map(|r| (&r.package, r.revision)));
        for revision in &mut all {
            revision.latest = latest.get(&revision.package) == Some(&revision.revision);
        }
        all.sort_by(|a, b| (&a.package, a.revision, &a.workspace).cmp(&(&b.package, b.revision, &b.workspace)));
        Ok(all)
    }

    fn describe(&self, found: Found, workspace: WorkspaceName, tree: TreeId) -> Option<PackageRevision> {
        Some(PackageRevision {
            name: names::revision_name(&self.repository, &found.package, &workspace).ok()?,
            repository: self.repository.clone(),
            revision: found.version.number(),
            package: found.package,
            workspace,
            lifecycle: found.lifecycle,
            latest: false,
            commit: found.commit,
            tree,
        })
    }

    /// The tree of a revision and, for a number, its workspace.
    fn fact(&self, found: &Found) -> Result<Fact, RevisionError> {
        let place = (self.path(&found.package), found.commit.clone(), found.version.number());
        if let Some(known) = self.memory().fact(&place) {
            return Ok(known);
        }
        let fact = self.read_fact(found)?;
        self.memory().learn(place, fact.clone());
        Ok(fact)
    }

    /// A draft or an approval is a package whatever it holds; a tag that a person set is one when it holds a Kptfile.
    fn read_fact(&self, found: &Found) -> Result<Fact, RevisionError> {
        let path = self.path(&found.package);
        let Some(tree) = self.git.subtree(&found.commit, &path)? else { return Ok(None) };
        if let Version::Number(number) = found.version {
            let told = |message: &str| number::workspace(&message::annotations(message), &path, &found.package, number);
            if let Some(workspace) = told(&self.git.commit(&found.commit)?.message) {
                return Ok(Some((tree, Some(workspace))));
            }
            let package = self.package_at(&found.commit, &found.package)?;
            let older =
                || Ok::<_, RevisionError>(self.git.log(&found.commit, HISTORY)?.iter().find_map(|c| told(&c.message)));
            return package.map(|_| Ok((tree, older()?))).transpose();
        }
        let draft = matches!(found.version, Version::Workspace(_));
        let package = draft || self.package_at(&found.commit, &found.package)?.is_some();
        Ok(package.then_some((tree, None)))
    }
}

/// Names are unique: a branch that stayed behind when its revision was published is hidden by what was published, and a
/// tag or placeholder by a draft of the same name.
fn one_for_each_name(all: &mut Vec<PackageRevision>) {
    all.reverse();
    all.sort_by_key(|r| std::cmp::Reverse((r.revision > 0, r.revision == 0)));
    let mut seen = BTreeSet::new();
    all.retain(|r| seen.insert(r.name.clone()) || r.revision > 0);
}
