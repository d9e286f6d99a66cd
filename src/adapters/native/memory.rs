//! What a store remembers between calls. Everything but the first sight of tags follows from immutable commits.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::id::{CommitId, PackageName, TreeId, WorkspaceName};
use crate::ports::git::Refs;

/// Largest number of entries of each kind, about 25 MB; when facts are full they are forgotten and read anew, when
/// tags are full further ones are not remembered.
const REMEMBERED: usize = 100_000;

/// A package's path, a commit, and the number for which it is read (0 for drafts, -1 for other tags).
pub(super) type Place = (String, CommitId, i64);

/// What a commit says about a package: its tree and, for a number, its workspace. `None`: no package is there.
pub(super) type Fact = Option<(TreeId, Option<WorkspaceName>)>;

/// The caches of one store.
#[derive(Default)]
pub(super) struct Memory {
    facts: BTreeMap<Place, Fact>,
    branch: Option<(CommitId, BTreeMap<PackageName, TreeId>)>,
    first_seen: BTreeMap<String, CommitId>,
    verified: BTreeSet<(String, CommitId)>,
}

impl Memory {
    pub(super) fn fact(&self, place: &Place) -> Option<Fact> {
        self.facts.get(place).cloned()
    }

    pub(super) fn learn(&mut self, place: Place, fact: Fact) {
        if self.facts.len() >= REMEMBERED {
            self.facts.clear();
        }
        self.facts.insert(place, fact);
    }

    /// The packages on the branch when its head still is `head`.
    pub(super) fn on_branch(&self, head: &CommitId) -> Option<BTreeMap<PackageName, TreeId>> {
        self.branch.as_ref().filter(|(known, _)| known == head).map(|(_, packages)| packages.clone())
    }

    /// The head at which the branch was read last.
    pub(super) fn branch_head(&self) -> Option<CommitId> {
        self.branch.as_ref().map(|(head, _)| head.clone())
    }

    /// What was verified against the branch has to be verified again.
    pub(super) fn doubt(&mut self) {
        self.verified.clear();
    }

    pub(super) fn learn_branch(&mut self, head: CommitId, packages: BTreeMap<PackageName, TreeId>) {
        self.branch = Some((head, packages));
    }

    /// Remembers where tags are first seen and forgets those that are gone: their numbers may be given again.
    pub(super) fn see_tags<'r>(&mut self, refs: &Refs, tags: impl Iterator<Item = (String, &'r CommitId)>) {
        self.first_seen.retain(|name, _| refs.contains_key(name));
        for (name, commit) in tags {
            if self.first_seen.len() >= REMEMBERED {
                return;
            }
            self.first_seen.entry(name).or_insert_with(|| commit.clone());
        }
    }

    /// Where a tag was when it was first seen.
    pub(super) fn first_seen(&self, tag: &str) -> Option<&CommitId> {
        self.first_seen.get(tag)
    }

    /// A tag that this store sets, or with `None` removes.
    pub(super) fn set_tag(&mut self, tag: &str, commit: Option<&CommitId>) {
        match commit {
            Some(commit) if self.first_seen.len() < REMEMBERED => {
                self.first_seen.insert(tag.to_owned(), commit.clone());
            }
            _ => drop(self.first_seen.remove(tag)),
        }
    }

    pub(super) fn is_verified(&self, tag: &str, commit: &CommitId) -> bool {
        self.verified.contains(&(tag.to_owned(), commit.clone()))
    }

    pub(super) fn verify(&mut self, tag: String, commit: CommitId) {
        if self.verified.len() >= REMEMBERED {
            self.verified.clear();
        }
        self.verified.insert((tag, commit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_went_is_forgotten() {
        let commit = |digit: &str| CommitId::new(digit.repeat(40)).unwrap();
        let (a, b, name) = (commit("a"), commit("b"), "refs/tags/upf/v1".to_owned());
        let with = |id: &CommitId| Refs::from([(name.clone(), id.clone())]);
        let mut memory = Memory::default();
        memory.see_tags(&with(&a), [(name.clone(), &a)].into_iter());
        memory.see_tags(&with(&b), [(name.clone(), &b)].into_iter());
        assert_eq!(memory.first_seen(&name), Some(&a), "the first sight stays");
        memory.see_tags(&Refs::new(), [].into_iter());
        assert_eq!(memory.first_seen(&name), None);
        memory.see_tags(&with(&b), [(name.clone(), &b)].into_iter());
        assert_eq!(memory.first_seen(&name), Some(&b));
    }

    #[test]
    fn the_branch_is_known_for_one_head() {
        let commit = |digit: &str| CommitId::new(digit.repeat(40)).unwrap();
        let mut memory = Memory::default();
        memory.learn_branch(commit("a"), BTreeMap::new());
        assert!(memory.on_branch(&commit("a")).is_some() && memory.on_branch(&commit("b")).is_none());
    }
}
