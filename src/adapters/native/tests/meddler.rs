//! A repository that counts what is read and lets somebody else act just before a push.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::domain::id::TreeId;
use crate::ports::git::{Commit, NewCommit, RefUpdate, Refs};

pub(super) struct Meddler {
    inner: LocalRepository,
    before_push: Box<dyn Fn(usize) + Send + Sync>,
    pub(super) pushes: AtomicUsize,
    pub(super) reads: AtomicUsize,
}

impl Meddler {
    /// `before_push` is told how many pushes came before.
    pub(super) fn new(bare: &Path, before_push: impl Fn(usize) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            inner: LocalRepository::open(bare).unwrap(),
            before_push: Box::new(before_push),
            pushes: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
        })
    }

    fn reading(&self) -> &LocalRepository {
        self.reads.fetch_add(1, Ordering::SeqCst);
        &self.inner
    }
}

impl GitRepository for Meddler {
    fn url(&self) -> &str {
        self.inner.url()
    }
    fn refs(&self) -> Result<Refs, GitError> {
        self.inner.refs()
    }
    fn head(&self) -> Result<Option<String>, GitError> {
        self.inner.head()
    }

    fn fetch(&self) -> Result<Refs, GitError> {
        self.inner.fetch()
    }
    fn commit(&self, id: &CommitId) -> Result<Commit, GitError> {
        self.reading().commit(id)
    }
    fn log(&self, from: &CommitId, limit: usize) -> Result<Vec<Commit>, GitError> {
        self.reading().log(from, limit)
    }
    fn reachable(&self, tips: &BTreeSet<&CommitId>, limit: usize) -> Result<Vec<CommitId>, GitError> {
        self.reading().reachable(tips, limit)
    }
    fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, GitError> {
        self.reading().is_ancestor(ancestor, descendant)
    }
    fn subtree(&self, commit: &CommitId, path: &str) -> Result<Option<TreeId>, GitError> {
        self.reading().subtree(commit, path)
    }
    fn directories_with(&self, commit: &CommitId, path: &str, file: &str) -> Result<Vec<(String, TreeId)>, GitError> {
        self.reading().directories_with(commit, path, file)
    }
    fn read_tree(&self, tree: &TreeId, budget: &TreeBudget) -> Result<FileTree, GitError> {
        self.reading().read_tree(tree, budget)
    }
    fn write_tree(&self, files: &FileTree) -> Result<TreeId, GitError> {
        self.inner.write_tree(files)
    }
    fn graft(&self, base: Option<&TreeId>, path: &str, subtree: Option<&TreeId>) -> Result<TreeId, GitError> {
        self.inner.graft(base, path, subtree)
    }
    fn write_commit(&self, commit: &NewCommit) -> Result<CommitId, GitError> {
        self.inner.write_commit(commit)
    }
    fn push(&self, claim: Option<&Claim>, updates: &[RefUpdate]) -> Result<(), GitError> {
        (self.before_push)(self.pushes.fetch_add(1, Ordering::SeqCst));
        self.inner.push(claim, updates)
    }
}
