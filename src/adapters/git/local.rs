//! A bare repository on this machine, used in place: objects go straight into its object database, refs move in one
//! transaction that locks them all and checks every expected id.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};
use gix::refs::{FullName, Target};

use super::{tree, with_code};
use crate::domain::id::{CommitId, TreeId};
use crate::domain::lease::Claim;
use crate::domain::source::FileTree;
use crate::domain::time::Timestamp;
use crate::ports::git::{Commit, GitError, GitRepository, NewCommit, Person, RefUpdate, Refs, TreeBudget};

/// Keeps decoded trees and commits at hand: reading thousands of Kptfiles at a tag gets seven times faster.
const OBJECT_CACHE: usize = 32 << 20;

/// Largest commit or tag that is read: its parents and its message.
pub(super) const OBJECT_BYTES: u64 = 1 << 20;

/// A repository in place.
pub struct LocalRepository {
    url: String,
    path: PathBuf,
    shared: gix::ThreadSafeRepository,
}

impl LocalRepository {
    /// Opens the repository at `path`; a bare one, or the `.git` of a checkout.
    ///
    /// # Errors
    /// [`GitError::Open`] when there is none.
    pub fn open(path: &Path) -> Result<Self, GitError> {
        let url = path.display().to_string();
        let shared = gix::open_opts(path, gix::open::Options::isolated())
            .map_err(|error| GitError::Open { url: url.clone(), reason: unopened(path, &error.to_string()) })?
            .into_sync();
        Ok(Self { url, path: path.to_owned(), shared })
    }

    /// Makes a bare repository whose HEAD is `refs/heads/main`.
    ///
    /// # Errors
    /// [`GitError::Open`] when the folder cannot be made.
    pub fn init(path: &Path) -> Result<Self, GitError> {
        let failed = |reason: String| GitError::Open { url: path.display().to_string(), reason };
        std::fs::create_dir_all(path).map_err(|error| failed(error.to_string()))?;
        gix::init_bare(path).map_err(|error| failed(error.to_string()))?;
        std::fs::write(path.join("HEAD"), "ref: refs/heads/main\n").map_err(|error| failed(error.to_string()))?;
        Self::open(path)
    }

    fn list_refs(&self) -> Result<Refs, GitError> {
        let repo = self.repo()?;
        let failed = self.io("listing refs");
        let platform = repo.references().map_err(|error| failed(error.to_string()))?;
        let mut refs = Refs::new();
        for reference in platform.all().map_err(|error| failed(error.to_string()))? {
            let mut reference = reference.map_err(|error| failed(error.to_string()))?;
            let name = reference.name().as_bstr().to_string();
            // What cannot be read now may be a revision all the same: without it, the list would be another.
            let unreadable = |error: &dyn std::fmt::Display| failed(format!("{name}: {error}"));
            // One that points to a reference which is not there points to nothing, as in a fresh clone.
            if let gix::refs::TargetRef::Symbolic(target) = reference.target()
                && repo.try_find_reference(target).map_err(|error| unreadable(&error))?.is_none()
            {
                continue;
            }
            let id = reference.peel_to_id().map_err(|error| unreadable(&error))?;
            let header = repo.find_header(id).map_err(|error| unreadable(&error))?;
            // Tags of trees or blobs are nobody's revision.
            if header.kind() == gix::object::Kind::Commit {
                refs.insert(name, commit_id(id.detach())?);
            }
        }
        Ok(refs)
    }

    fn repo(&self) -> Result<gix::Repository, GitError> {
        if !self.path.exists() {
            return Err(GitError::Open { url: self.url.clone(), reason: "the folder is gone".to_owned() });
        }
        let mut repo = self.shared.to_thread_local();
        repo.object_cache_size(OBJECT_CACHE);
        Ok(repo)
    }

    fn io(&self, act: &'static str) -> impl Fn(String) -> GitError + '_ {
        move |reason| GitError::Io { url: self.url.clone(), act, reason: with_code(reason) }
    }

    fn missing(&self, id: &dyn std::fmt::Display, reason: String) -> GitError {
        GitError::Missing { url: self.url.clone(), id: id.to_string(), reason: with_code(reason) }
    }

    fn read_commit(&self, repo: &gix::Repository, id: ObjectId) -> Result<Commit, GitError> {
        let failed = |reason: String| self.missing(&id, reason);
        let size = repo.find_header(id).map_err(|error| failed(error.to_string()))?.size();
        if size > OBJECT_BYTES {
            let reason = format!("it has {size} bytes; the limit is {OBJECT_BYTES} [git.object_limit]");
            return Err(GitError::Refused {
                url: self.url.clone(),
                id: id.to_string(),
                path: "the commit".into(),
                reason,
            });
        }
        let malformed = |error: String| failed(format!("it is no proper commit: {error} [git.object_malformed]"));
        let commit = repo.find_commit(id).map_err(|error| failed(error.to_string()))?;
        let decoded = commit.decode().map_err(|error| malformed(error.to_string()))?;
        let author = decoded.author().map_err(|error| malformed(error.to_string()))?;
        let committer = decoded.committer().map_err(|error| malformed(error.to_string()))?;
        let written = |by: &gix::actor::SignatureRef<'_>| written_at(by).map_err(|why| malformed(why.to_owned()));
        let (_, committed_at) = (written(&author)?, written(&committer)?);
        Ok(Commit {
            id: commit_id(id)?,
            tree: tree_id(decoded.tree())?,
            parents: decoded.parents().map(commit_id).collect::<Result<_, _>>()?,
            author: Person { name: author.name.to_string(), email: author.email.to_string() },
            committed_at,
            message: decoded.message.to_string(),
        })
    }

    /// Answers which ref is not where it was expected; the transaction itself is what decides.
    fn moved_ref(&self, updates: &[RefUpdate]) -> Result<Option<GitError>, GitError> {
        let now = self.refs()?;
        let name = |id: Option<&CommitId>| id.map_or_else(|| "nothing".to_owned(), ToString::to_string);
        Ok(updates.iter().find(|update| now.get(&update.name) != update.expected.as_ref()).map(|update| {
            GitError::RefMoved {
                url: self.url.clone(),
                name: update.name.clone(),
                expected: name(update.expected.as_ref()),
                found: name(now.get(&update.name)),
            }
        }))
    }

    fn edit(&self, repo: &gix::Repository, update: &RefUpdate) -> Result<RefEdit, GitError> {
        let failed = self.io("moving refs");
        let name = FullName::try_from(update.name.as_str()).map_err(|error| failed(error.to_string()))?;
        // The ref is checked against its own id: an annotated tag's id is the tag's, not the commit's.
        let expected = match &update.expected {
            None => PreviousValue::MustNotExist,
            Some(expected) => PreviousValue::MustExistAndMatch(Target::Object(own_id(repo, &update.name, expected)?)),
        };
        let change = match &update.new {
            Some(new) => Change::Update {
                log: LogChange { mode: RefLog::AndReference, force_create_reflog: false, message: "loggia".into() },
                expected,
                new: Target::Object(object_id(new.as_str())?),
            },
            None => Change::Delete { expected, log: RefLog::AndReference },
        };
        Ok(RefEdit { change, name, deref: false })
    }
}

/// When somebody says to have written a commit. Zones are as old programs wrote them, and tell nothing here.
fn written_at(by: &gix::actor::SignatureRef<'_>) -> Result<Timestamp, &'static str> {
    if [by.name, by.email].iter().any(|text| text.contains(&0)) {
        return Err("an author or a committer has a NUL in the name");
    }
    let seconds = by.time.trim().split(' ').next().and_then(|seconds| seconds.parse().ok());
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.ok_or("an author or a committer has a date that is none")
}

fn own_id(repo: &gix::Repository, name: &str, peeled: &CommitId) -> Result<ObjectId, GitError> {
    let direct = repo.try_find_reference(name).ok().flatten().and_then(|r| r.try_id().map(gix::Id::detach));
    let peeled = object_id(peeled.as_str())?;
    let leads_there = |id: ObjectId| {
        id == peeled || repo.find_object(id).ok().and_then(|o| o.peel_to_commit().ok()).is_some_and(|c| c.id == peeled)
    };
    Ok(direct.filter(|id| leads_there(*id)).unwrap_or(peeled))
}

/// Reads hex; our id types have been checked, so this fails only on a hash kind that gix was not built for.
pub(super) fn object_id(hex: &str) -> Result<ObjectId, GitError> {
    ObjectId::from_hex(hex.as_bytes()).map_err(|error| GitError::Missing {
        url: String::new(),
        id: hex.to_owned(),
        reason: error.to_string(),
    })
}

fn commit_id(id: ObjectId) -> Result<CommitId, GitError> {
    CommitId::new(id.to_string()).map_err(|error| GitError::Missing {
        url: String::new(),
        id: id.to_string(),
        reason: error.to_string(),
    })
}

pub(super) fn tree_id(id: ObjectId) -> Result<TreeId, GitError> {
    TreeId::new(id.to_string()).map_err(|error| GitError::Missing {
        url: String::new(),
        id: id.to_string(),
        reason: error.to_string(),
    })
}

/// An error with its causes: the last one says what happened.
fn told(error: impl std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

/// How often refs are listed at most while somebody else takes them away.
const LISTINGS: usize = 5;

/// How old a lock file of a ref has to be to be taken for left behind. Git holds one for milliseconds.
const STALE_LOCK: std::time::Duration = std::time::Duration::from_secs(10);

/// Removes lock files that a killed process left on these refs; tells whether there were any.
fn remove_stale_locks(directory: &Path, updates: &[RefUpdate]) -> bool {
    let names = updates.iter().map(|update| update.name.as_str()).chain(["packed-refs"]);
    let locks = names.map(|name| directory.join(format!("{name}.lock")));
    let is_stale = |lock: &PathBuf| {
        let age = std::fs::metadata(lock).and_then(|meta| meta.modified()).ok().and_then(|time| time.elapsed().ok());
        age.is_some_and(|age| age > STALE_LOCK)
    };
    let stale: Vec<PathBuf> = locks.filter(is_stale).collect();
    stale.iter().filter(|lock| std::fs::remove_file(lock).is_ok()).count() > 0
}

/// Why a repository is not opened, and what to do.
fn unopened(path: &Path, reason: &str) -> String {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            "there is no such directory; is its path right? [git.missing]".to_owned()
        }
        Err(error) => format!("{error}; may it be read? [git.missing]"),
        Ok(_) => format!("{reason}; name the directory of a repository, or make one with `git init` [git.missing]"),
    }
}

impl GitRepository for LocalRepository {
    fn url(&self) -> &str {
        &self.url
    }

    fn head(&self) -> Result<Option<String>, GitError> {
        let repo = self.shared.to_thread_local();
        let named = repo.head_name().map_err(|error| GitError::Io {
            url: self.url.clone(),
            act: "reading HEAD",
            reason: error.to_string(),
        })?;
        Ok(named.map(|name| name.as_bstr().to_string()))
    }

    fn refs(&self) -> Result<Refs, GitError> {
        let mut listed = self.list_refs();
        // A ref that goes away between being found and being read fails the listing; skipping it would lose one that
        // was only packed.
        for _ in 1..LISTINGS {
            if listed.is_ok() {
                break;
            }
            listed = self.list_refs();
        }
        listed
    }

    fn fetch(&self) -> Result<Refs, GitError> {
        self.refs()
    }

    fn commit(&self, id: &CommitId) -> Result<Commit, GitError> {
        self.read_commit(&self.repo()?, object_id(id.as_str())?)
    }

    fn log(&self, from: &CommitId, limit: usize) -> Result<Vec<Commit>, GitError> {
        let repo = self.repo()?;
        let failed = |reason: String| self.missing(from, reason);
        let sorting =
            gix::revision::walk::Sorting::ByCommitTime(gix::traverse::commit::simple::CommitTimeOrder::NewestFirst);
        let walk = repo.rev_walk([object_id(from.as_str())?]).sorting(sorting);
        walk.all()
            .map_err(|error| failed(error.to_string()))?
            .take(limit)
            .map(|info| self.read_commit(&repo, info.map_err(|error| failed(error.to_string()))?.id))
            .collect()
    }

    fn reachable(&self, tips: &BTreeSet<&CommitId>, limit: usize) -> Result<Vec<CommitId>, GitError> {
        let repo = self.repo()?;
        let failed = self.io("reading the history");
        let tips = tips.iter().map(|tip| object_id(tip.as_str())).collect::<Result<Vec<_>, _>>()?;
        let sorting =
            gix::revision::walk::Sorting::ByCommitTime(gix::traverse::commit::simple::CommitTimeOrder::NewestFirst);
        let walk = repo.rev_walk(tips).sorting(sorting).all().map_err(|error| failed(error.to_string()))?;
        walk.take(limit).map(|info| commit_id(info.map_err(|error| failed(error.to_string()))?.id)).collect()
    }

    fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, GitError> {
        let repo = self.repo()?;
        let wanted = object_id(ancestor.as_str())?;
        let failed = |reason: String| self.missing(descendant, reason);
        let walk = repo.rev_walk([object_id(descendant.as_str())?]).all().map_err(|error| failed(error.to_string()))?;
        for info in walk {
            if info.map_err(|error| failed(error.to_string()))?.id == wanted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn subtree(&self, commit: &CommitId, path: &str) -> Result<Option<TreeId>, GitError> {
        let repo = self.repo()?;
        let root = object_id(self.commit(commit)?.tree.as_str())?;
        tree::at(&repo, root, path).map_err(|reason| self.missing(commit, reason))?.map(tree_id).transpose()
    }

    fn directories_with(&self, commit: &CommitId, path: &str, file: &str) -> Result<Vec<(String, TreeId)>, GitError> {
        let Some(start) = self.subtree(commit, path)? else { return Ok(Vec::new()) };
        let repo = self.repo()?;
        let mut found = Vec::new();
        tree::directories_with(&repo, object_id(start.as_str())?, "", file, &mut found)
            .map_err(|reason| self.missing(commit, reason))?;
        found.into_iter().map(|(path, id)| Ok((path, tree_id(id)?))).collect()
    }

    fn read_tree(&self, tree: &TreeId, budget: &TreeBudget) -> Result<FileTree, GitError> {
        let repo = self.repo()?;
        tree::read(&repo, object_id(tree.as_str())?, budget).map_err(|refusal| match refusal {
            tree::Failure::Refused { path, reason } => {
                GitError::Refused { url: self.url.clone(), id: tree.to_string(), path, reason }
            }
            tree::Failure::Missing(reason) => self.missing(tree, reason),
        })
    }

    fn write_tree(&self, files: &FileTree) -> Result<TreeId, GitError> {
        let repo = self.repo()?;
        tree_id(tree::write(&repo, files).map_err(self.io("writing files"))?)
    }

    fn graft(&self, base: Option<&TreeId>, path: &str, subtree: Option<&TreeId>) -> Result<TreeId, GitError> {
        let repo = self.repo()?;
        let base = base.map(|id| object_id(id.as_str())).transpose()?;
        let subtree = subtree.map(|id| object_id(id.as_str())).transpose()?;
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let root = tree::graft(&repo, base, &parts, subtree).map_err(self.io("writing a tree"))?;
        tree_id(root.unwrap_or_else(|| ObjectId::empty_tree(repo.object_hash())))
    }

    fn write_commit(&self, commit: &NewCommit) -> Result<CommitId, GitError> {
        let repo = self.repo()?;
        let signature = |person: &Person| gix::actor::Signature {
            name: person.name.as_str().into(),
            email: person.email.as_str().into(),
            time: gix::date::Time { seconds: commit.at.as_second(), offset: 0 },
        };
        let parents = commit.parents.iter().map(|id| object_id(id.as_str())).collect::<Result<_, _>>()?;
        let object = gix::objs::Commit {
            tree: object_id(commit.tree.as_str())?,
            parents,
            author: signature(&commit.author),
            committer: signature(&commit.committer),
            encoding: None,
            message: commit.message.as_str().into(),
            extra_headers: Vec::new(),
        };
        let id = repo.write_object(&object).map_err(|error| self.io("writing a commit")(error.to_string()))?;
        commit_id(id.detach())
    }

    fn push(&self, claim: Option<&Claim>, updates: &[RefUpdate]) -> Result<(), GitError> {
        if let Some(claim) = claim {
            claim.check(Timestamp::now())?;
        }
        let names: BTreeSet<&str> = updates.iter().map(|update| update.name.as_str()).collect();
        if names.len() != updates.len() {
            return Err(self.io("moving refs")("the same ref is named twice".to_owned()));
        }
        if let Some(moved) = self.moved_ref(updates)? {
            return Err(moved);
        }
        let repo = self.repo()?;
        let attempt = || -> Result<(), String> {
            let edits =
                updates.iter().map(|update| self.edit(&repo, update)).collect::<Result<Vec<_>, _>>().map_err(told)?;
            let committer =
                gix::actor::SignatureRef { name: "loggia".into(), email: "loggia@localhost".into(), time: "0 +0000" };
            repo.edit_references_as(edits, Some(committer)).map(drop).map_err(told)
        };
        let mut done = attempt();
        if done.is_err() && remove_stale_locks(repo.common_dir(), updates) {
            done = attempt();
        }
        match done {
            Ok(()) => Ok(()),
            // Somebody else won the race between the look and the lock: tell which ref it was.
            Err(reason) => Err(self.moved_ref(updates)?.unwrap_or_else(|| self.io("moving refs")(reason))),
        }
    }
}
