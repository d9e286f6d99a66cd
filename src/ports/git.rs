//! A bare git repository as an object database and refs that move by compare-and-swap. There is no work tree.
//!
//! Calls block; async callers go through `spawn_blocking`.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::error::{Class, Classify};
use crate::domain::id::{CommitId, TreeId};
use crate::domain::lease::Claim;
use crate::domain::source::{FileTree, PACKAGE_BYTES, PACKAGE_FILES};
use crate::domain::time::Timestamp;
use crate::ports::sign_in::SignInError;

/// Full ref names, such as `refs/heads/main`, with the commit they lead to (annotated tags are peeled).
pub type Refs = BTreeMap<String, CommitId>;

/// Author or committer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Name.
    pub name: String,
    /// E-mail.
    pub email: String,
}

/// A commit as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: CommitId,
    /// Its tree.
    pub tree: TreeId,
    /// Its parents, in order.
    pub parents: Vec<CommitId>,
    /// Who wrote it.
    pub author: Person,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// The whole message.
    pub message: String,
}

/// A commit to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// Its tree.
    pub tree: TreeId,
    /// Its parents, in order.
    pub parents: Vec<CommitId>,
    /// Who wrote it.
    pub author: Person,
    /// Who committed it.
    pub committer: Person,
    /// When, for both.
    pub at: Timestamp,
    /// The whole message.
    pub message: String,
}

/// One ref to move, from the id that was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// Full name.
    pub name: String,
    /// What the ref must point at now; `None`: it must not exist.
    pub expected: Option<CommitId>,
    /// What it shall point at; `None` deletes it.
    pub new: Option<CommitId>,
}

/// How much of a tree may be read into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeBudget {
    /// Largest number of files. Default 20,000.
    pub files: usize,
    /// Largest file in bytes. Default 64 MiB.
    pub file_bytes: u64,
    /// Largest sum of file sizes in bytes. Default 64 MiB.
    pub total_bytes: u64,
}

impl Default for TreeBudget {
    fn default() -> Self {
        Self { files: PACKAGE_FILES, file_bytes: PACKAGE_BYTES, total_bytes: PACKAGE_BYTES }
    }
}

/// What went wrong in a repository; each variant says which act failed on which repository.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The repository is not there, or is not a repository.
    #[error("cannot open git repository {url}: {reason}")]
    Open {
        /// Which repository.
        url: String,
        /// Why.
        reason: String,
    },
    /// The URL's scheme or form is refused.
    #[error("git repository URL {url:?} is refused: {reason}")]
    Url {
        /// The URL without credentials.
        url: String,
        /// Why.
        reason: String,
    },
    /// An object that should be there is not, or is damaged.
    #[error("{url}: object {id} cannot be read: {reason}")]
    Missing {
        /// Which repository.
        url: String,
        /// Which object.
        id: String,
        /// Why.
        reason: String,
    },
    /// A tree or blob breaks a limit or a rule.
    #[error("{url}: {path} in {id} is refused: {reason}")]
    Refused {
        /// Which repository.
        url: String,
        /// The tree that was read.
        id: String,
        /// The path in it.
        path: String,
        /// The rule or limit.
        reason: String,
    },
    /// A ref is not where it was last seen; nothing was changed.
    #[error("{url}: ref {name} moved: expected {expected}, found {found}")]
    RefMoved {
        /// Which repository.
        url: String,
        /// Which ref.
        name: String,
        /// The id that was expected, or `nothing`.
        expected: String,
        /// The id that is there, or `nothing`.
        found: String,
    },
    /// It is not signed by anybody who counts.
    #[error("{url}: {id} is not signed as spec.verify of its Repository demands: {reason} [git.signature]")]
    Unsigned {
        /// Which repository.
        url: String,
        /// The commit, and the tag that leads to it.
        id: String,
        /// What is wrong with its signatures.
        reason: String,
    },
    /// There are no credentials that could be tried.
    #[error("{url}: {source}")]
    SignIn {
        /// Which repository.
        url: String,
        /// Why.
        source: SignInError,
    },
    /// The server does not let us in.
    #[error("{url}: {act}: the server does not let us in: {reason} [git.auth]")]
    Denied {
        /// Which repository.
        url: String,
        /// What was tried.
        act: &'static str,
        /// What it was told, and what to do.
        reason: String,
    },
    /// It brings more than is taken.
    #[error("{url}: {act} failed: {reason}")]
    Limit {
        /// Which repository.
        url: String,
        /// What was tried.
        act: &'static str,
        /// Which limit.
        reason: String,
    },
    /// Our claim to write ran out; nothing was changed.
    #[error(transparent)]
    Claim(#[from] crate::domain::lease::ClaimExpired),
    /// The act failed for a reason outside us; it may work later.
    #[error("{url}: {act} failed: {reason}")]
    Io {
        /// Which repository.
        url: String,
        /// What was tried.
        act: &'static str,
        /// Why.
        reason: String,
    },
}

impl Classify for GitError {
    fn class(&self) -> Class {
        match self {
            Self::Open { .. } | Self::Io { .. } | Self::Claim(_) => Class::Transient,
            Self::Url { .. } | Self::Refused { .. } | Self::Unsigned { .. } | Self::Limit { .. } => Class::Invalid,
            Self::Missing { .. } => Class::NotFound,
            Self::RefMoved { .. } => Class::Conflict,
            Self::SignIn { source, .. } => source.class(),
            Self::Denied { .. } => Class::Denied,
        }
    }
}

/// Who must have signed what is read from a repository.
pub trait Signatures: Send + Sync {
    /// Whether a commit is signed, or the annotated tag `name` (without `refs/tags/`) that leads to it. Blocks.
    ///
    /// # Errors
    /// [`GitError::Unsigned`] when neither is; [`GitError::Io`] when that cannot be told.
    fn check(&self, commit: &CommitId, name: &str) -> Result<(), GitError>;
}

/// A bare repository.
///
/// Guarantees: reads see only what [`GitRepository::fetch`] (or, for local paths, the repository itself) holds;
/// [`GitRepository::push`] moves all refs or none, and only from the ids that the caller saw.
pub trait GitRepository: Send + Sync {
    /// The URL or path, without credentials.
    fn url(&self) -> &str;

    /// The refs at the remote now, by ls-refs; transfers no objects.
    ///
    /// # Errors
    /// [`GitError::Open`] or [`GitError::Io`].
    fn refs(&self) -> Result<Refs, GitError>;

    /// The branch that HEAD named when the remote was fetched last, as `refs/heads/NAME`; `None` when it named none.
    ///
    /// # Errors
    /// [`GitError::Io`].
    fn head(&self) -> Result<Option<String>, GitError>;

    /// Makes every object reachable from the remote's refs readable and returns those refs.
    ///
    /// # Errors
    /// [`GitError::Open`] or [`GitError::Io`].
    fn fetch(&self) -> Result<Refs, GitError>;

    /// Reads a commit.
    ///
    /// # Errors
    /// [`GitError::Missing`] when it is not there.
    fn commit(&self, id: &CommitId) -> Result<Commit, GitError>;

    /// Up to `limit` commits reachable from `from`, newest first, first parents before others.
    ///
    /// # Errors
    /// [`GitError::Missing`] when a commit is not there.
    fn log(&self, from: &CommitId, limit: usize) -> Result<Vec<Commit>, GitError>;

    /// Up to `limit` ids of commits reachable from any of `tips`, each once, newest first.
    ///
    /// # Errors
    /// [`GitError::Missing`] when a commit is not there.
    fn reachable(&self, tips: &BTreeSet<&CommitId>, limit: usize) -> Result<Vec<CommitId>, GitError>;

    /// Whether `ancestor` is reachable from `descendant` (a commit reaches itself).
    ///
    /// # Errors
    /// [`GitError::Missing`] when a commit is not there.
    fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, GitError>;

    /// The tree at directory `path` (empty: the root) of a commit; `None` when there is no such directory.
    ///
    /// # Errors
    /// [`GitError::Missing`] when the commit is not there.
    fn subtree(&self, commit: &CommitId, path: &str) -> Result<Option<TreeId>, GitError>;

    /// Directories below `path` that hold a regular file called `file`, in path order; the walk does not enter a
    /// directory that was found. This is how packages are discovered (`file` is `Kptfile`).
    ///
    /// # Errors
    /// [`GitError::Missing`] when the commit is not there.
    fn directories_with(&self, commit: &CommitId, path: &str, file: &str) -> Result<Vec<(String, TreeId)>, GitError>;

    /// Reads a whole tree into memory, within `budget`. Symlinks are returned as such; submodules are refused.
    ///
    /// # Errors
    /// [`GitError::Refused`] naming the path and the limit.
    fn read_tree(&self, tree: &TreeId, budget: &TreeBudget) -> Result<FileTree, GitError>;

    /// Writes files as blobs and trees.
    ///
    /// # Errors
    /// [`GitError::Io`].
    fn write_tree(&self, files: &FileTree) -> Result<TreeId, GitError>;

    /// A root tree equal to `base` (`None`: empty) with `subtree` at `path`; `None` removes what is there.
    ///
    /// # Errors
    /// [`GitError::Io`], [`GitError::Missing`].
    fn graft(&self, base: Option<&TreeId>, path: &str, subtree: Option<&TreeId>) -> Result<TreeId, GitError>;

    /// Writes a commit; no ref moves.
    ///
    /// # Errors
    /// [`GitError::Io`].
    fn write_commit(&self, commit: &NewCommit) -> Result<CommitId, GitError>;

    /// Moves refs at the remote: all of them from their expected ids, or none.
    ///
    /// `claim` is the proof of leadership for what the reconciler pushes; `None` is for what a person does by CLI.
    ///
    /// # Errors
    /// [`GitError::RefMoved`] when any ref is elsewhere; [`GitError::Claim`] when the claim ran out.
    fn push(&self, claim: Option<&Claim>, updates: &[RefUpdate]) -> Result<(), GitError>;
}
