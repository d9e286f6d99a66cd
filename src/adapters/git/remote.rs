//! A repository behind http(s) or ssh: a bare mirror in a cache folder answers every read; asking and fetching are gix,
//! pushing is ours.

mod meter;
mod signed;
mod turn;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gix::ObjectId;
use gix::progress::Discard;
use gix::protocol::handshake::Ref;
use gix::refs::transaction::{Change, PreviousValue, RefEdit, RefLog};
use gix::remote::fetch::Tags;
use gix::remote::{Direction, ref_map};

use self::meter::{Limits, Meter};
use self::turn::Turn;
use super::local::{LocalRepository, object_id};
use super::pack::pack;
use super::send_pack::{Command, Offer, Receiver, said};
use super::ssh::{Ssh, check as check_ssh_url};
use crate::domain::credentials::SignIn;
use crate::domain::host::{authority, is_link_local, port_fault, without_credentials};
use crate::domain::id::{CommitId, Digest, TreeId};
use crate::domain::lease::Claim;
use crate::domain::source::FileTree;
use crate::domain::time::Timestamp;
use crate::ports::git::{Commit, GitError, GitRepository, NewCommit, RefUpdate, Refs, TreeBudget};
use crate::ports::sign_in::SignIns;

/// What is mirrored. Forges hold a ref for each pull request that ever was; those are nobody's package.
const MIRRORED: [&str; 3] = ["refs/heads/", "refs/tags/", "refs/loggia/"];

/// How long the objects of one fetch may take to arrive; a silent server is given up after 30 s already.
const FETCH_DEADLINE: Duration = Duration::from_mins(30);

/// A repository behind http(s), or behind ssh for reading only.
///
/// *Flow*: `refs` asks the remote; `fetch` asks and transfers only when an id moved; reads are answered by the mirror,
/// `<cache folder>/<digest of the URL without credentials>.git`; `push` compares every expected id with what the remote
/// has, and lets the remote compare again while it moves all refs as one.
///
/// *Guarantees*: but for ssh no program is run, and no git configuration, credential helper or prompt of the user is
/// consulted; user and password come from the URL or from [`RemoteRepository::with_sign_ins`], are sent over https
/// only, and appear in no error. Redirects are followed as git follows them, but not those of pushes and of requests
/// that carry credentials from elsewhere than the URL.
///
/// *Assumptions*: called outside async code (`spawn_blocking`). Whoever shares a cache folder shares what is in it.
pub struct RemoteRepository {
    url: String,
    full: String,
    dir: PathBuf,
    mirror: LocalRepository,
    shared: gix::ThreadSafeRepository,
    fetching: Mutex<()>,
    sign_ins: Option<Arc<dyn SignIns>>,
    limits: Limits,
    /// For one behind ssh.
    ssh: Option<Ssh>,
}

/// A ref at the remote: its own id, and the one that a tag leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Advertised {
    own: ObjectId,
    peeled: ObjectId,
}

type Advertisement = BTreeMap<String, Advertised>;

impl RemoteRepository {
    /// Prepares the mirror of `url` below `cache_dir`; does not ask the remote yet.
    ///
    /// # Errors
    /// [`GitError::Url`] unless it is a plain http or https URL, [`GitError::Open`] when the mirror cannot be made.
    pub fn open(url: &str, cache_dir: &Path) -> Result<Self, GitError> {
        Self::limited(url, cache_dir, Limits::DEFAULT)
    }

    /// Prepares the mirror of a repository behind ssh, as [`RemoteRepository::open`] does. The user's `ssh` is run for
    /// what is asked and fetched; nothing is pushed.
    ///
    /// # Errors
    /// As for [`RemoteRepository::open`].
    pub fn over_ssh(url: &str, cache_dir: &Path, ssh: Ssh) -> Result<Self, GitError> {
        check_ssh_url(url)?;
        Ok(Self { ssh: Some(ssh), ..Self::mirrored_at(url, cache_dir, Limits::DEFAULT)? })
    }

    fn limited(url: &str, cache_dir: &Path, limits: Limits) -> Result<Self, GitError> {
        check_url(url)?;
        Self::mirrored_at(url, cache_dir, limits)
    }

    fn mirrored_at(url: &str, cache_dir: &Path, limits: Limits) -> Result<Self, GitError> {
        let printable = without_credentials(url);
        let dir = mirror_of(url, cache_dir);
        let failed = |reason: String| GitError::Open { url: printable.clone(), reason };
        if !dir.exists() {
            make_mirror(&dir).map_err(|error| failed(format!("making the mirror {}: {error}", dir.display())))?;
        }
        let damaged = |reason: String| failed(format!("{reason}; remove {} to fetch again", dir.display()));
        let mirror = LocalRepository::open(&dir).map_err(|error| damaged(error.to_string()))?;
        // What the server says of an object's size is believed up to here.
        let bounded = [format!("gitoxide.objects.allocLimit={}", limits.object)];
        let options = gix::open::Options::isolated().config_overrides(bounded);
        let shared = gix::open_opts(&dir, options).map_err(|error| damaged(said(&error)))?.into_sync();
        // gix and reqwest share one TLS provider; whoever comes first installs the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (full, fetching) = (url.to_owned(), Mutex::new(()));
        Ok(Self { url: printable, full, dir, mirror, shared, fetching, sign_ins: None, limits, ssh: None })
    }

    fn failed(&self, act: &'static str) -> impl Fn(String) -> GitError + '_ {
        move |reason| GitError::Io { url: self.url.clone(), act, reason: self.scrubbed(&reason) }
    }

    /// Libraries print URLs in their errors.
    fn scrubbed(&self, reason: &str) -> String {
        let reason = reason.replace(&self.full, &self.url);
        let password = reqwest::Url::parse(&self.full).ok().and_then(|url| url.password().map(str::to_owned));
        match password.filter(|password| !password.is_empty()) {
            Some(password) => reason.replace(&password, "***"),
            None => reason,
        }
    }

    fn remote<'repo>(&self, repo: &'repo gix::Repository) -> gix::Result<gix::Remote<'repo>> {
        let specs = MIRRORED.map(|prefix| format!("+{prefix}*:{prefix}*"));
        let remote = repo.remote_at_without_url_rewrite(self.full.as_str())?;
        Ok(remote.with_refspecs(specs.iter().map(gix::bstr::BStr::new), Direction::Fetch)?.with_fetch_tags(Tags::None))
    }

    fn ask(&self, sign_in: Option<&SignIn>, asked: &Cell<bool>) -> gix::Result<Advertisement> {
        let repo = self.local(sign_in)?;
        let remote = self.remote(&repo)?;
        let connection = remote.connect(Direction::Fetch)?.with_credentials(|_| {
            asked.set(true);
            Ok(None)
        });
        let (map, _) = connection.ref_map(Discard, ref_map::Options::default())?;
        Ok(advertisement(&map.remote_refs))
    }

    fn bring(&self, sign_in: Option<&SignIn>, asked: &Cell<bool>) -> gix::Result<Advertisement> {
        let mut repo = self.local(sign_in)?;
        repo.committer_or_set_generic_fallback()?;
        let remote = self.remote(&repo)?;
        let connection = remote.connect(Direction::Fetch)?.with_credentials(|_| {
            asked.set(true);
            Ok(None)
        });
        // Asked for beside what is mirrored, to know which branch it names.
        let head = gix::refspec::parse(gix::bstr::BStr::new("HEAD"), gix::refspec::parse::Operation::Fetch)?.to_owned();
        let options = ref_map::Options { extra_refspecs: vec![head], ..ref_map::Options::default() };
        let fetch = connection.prepare_fetch(Discard, options)?;
        let head = named_by_head(&fetch.ref_map().remote_refs);
        let there = advertisement(&fetch.ref_map().remote_refs);
        let here = mirrored(&repo)?;
        if !is_mirrored(&here, &there) {
            // First, because a branch `a` that is gone stands in the way of a branch `a/b`.
            let gone = here.keys().filter(|name| !there.contains_key(*name));
            let committer = repo.committer().transpose()?;
            repo.edit_references_as(gone.filter_map(|name| deletion(name)), committer)?;
            within(FETCH_DEADLINE, |stop| {
                let meter = Meter::new(self.limits, stop.clone());
                let witness = meter.witness();
                fetch.receive(meter, stop).map_err(|error| witness.told(error))
            })?;
            if let Some((name, _)) = there.iter().find(|(_, at)| !repo.has_object(at.own)) {
                return Err(meter::lacking(name));
            }
        }
        let head = head.unwrap_or_else(|| "refs/heads/main".to_owned());
        if repo.head_name()?.is_none_or(|own| own.as_bstr() != head.as_str()) {
            let committer = repo.committer().transpose()?;
            repo.edit_references_as(leading("HEAD", &head), committer)?;
        }
        Ok(there)
    }

    /// Only commits are revisions; what a tag leads to is known once it was fetched.
    fn commits(&self, there: &Advertisement) -> Result<Refs, GitError> {
        let repo = self.shared.to_thread_local();
        let is_other = |id| repo.find_header(id).is_ok_and(|header| header.kind() != gix::object::Kind::Commit);
        let commits = there.iter().filter(|(_, at)| !is_other(at.peeled));
        commits.map(|(name, at)| Ok((name.clone(), self.commit_id(at.peeled)?))).collect()
    }

    fn commit_id(&self, id: ObjectId) -> Result<CommitId, GitError> {
        CommitId::new(id.to_string()).map_err(|error| self.failed("reading refs")(error.to_string()))
    }

    /// What to tell the remote, or which ref is not where it was expected.
    fn command(&self, offer: &Offer, update: &RefUpdate) -> Result<Command, GitError> {
        let null = ObjectId::null(gix::hash::Kind::Sha1);
        let there = offer.refs.get(&update.name).copied();
        let peeled = there.map(|own| self.commit_id(self.peeled(own))).transpose()?;
        if peeled != update.expected {
            let name = |id: Option<&CommitId>| id.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            return Err(GitError::RefMoved {
                url: self.url.clone(),
                name: update.name.clone(),
                expected: name(update.expected.as_ref()),
                found: name(peeled.as_ref()),
            });
        }
        let new = update.new.as_ref().map(|id| object_id(id.as_str())).transpose()?;
        Ok(Command { name: update.name.clone(), old: there.unwrap_or(null), new: new.unwrap_or(null) })
    }

    fn peeled(&self, own: ObjectId) -> ObjectId {
        let repo = self.shared.to_thread_local();
        let commit = repo.find_object(own).ok().and_then(|object| object.peel_to_commit().ok());
        commit.map_or(own, |commit| commit.id)
    }

    fn commands(&self, offer: &Offer, updates: &[RefUpdate]) -> Result<Vec<Command>, GitError> {
        updates.iter().map(|update| self.command(offer, update)).collect()
    }

    fn pack(&self, offer: &Offer, commands: &[Command]) -> Result<Vec<u8>, GitError> {
        let wanted: Vec<ObjectId> = commands.iter().map(|command| command.new).filter(|id| !id.is_null()).collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let present: Vec<ObjectId> = offer.refs.values().copied().collect();
        let repo = self.shared.to_thread_local();
        pack(&repo, &wanted, &present).map_err(|error| self.failed("packing objects")(said(&*error)))
    }

    /// Which ref moved in the meantime, else what the remote has against the push.
    fn refused(&self, receiver: &Receiver, updates: &[RefUpdate], refusals: &[String]) -> GitError {
        let looked = receiver.offer().map_err(self.failed("looking after a refused push"));
        if let Err(error) = looked.and_then(|offer| self.commands(&offer, updates)) {
            return error;
        }
        let reason = format!("the remote moved no ref: {}", refusals.join("; "));
        if !refusals.iter().any(|refusal| is_rule(refusal)) {
            return self.failed("pushing")(reason);
        }
        let path = updates.iter().map(|update| update.name.as_str()).collect::<Vec<_>>().join(", ");
        let id = updates.iter().find_map(|update| update.new.as_ref()).map(ToString::to_string);
        let (url, id) = (self.url.clone(), id.unwrap_or_else(|| "a deletion".to_owned()));
        GitError::Refused { url, id, path, reason: self.scrubbed(&reason) }
    }
}

/// Whether a refusal comes from a hook or a setting, so that the same push fails again. These are the words of git
/// and of the forges; other refusals, such as a ref that was locked, may pass.
fn is_rule(refusal: &str) -> bool {
    ["declined", "prohibited", "denied", "not allowed", "protected", "deny"].iter().any(|word| refusal.contains(word))
}

/// Runs `act`, which is asked to stop when `limit` has passed.
fn within<T>(limit: Duration, act: impl FnOnce(&Arc<AtomicBool>) -> T) -> T {
    let stop = Arc::new(AtomicBool::new(false));
    let (done, finished) = channel::<()>();
    std::thread::scope(|scope| {
        let flag = &stop;
        scope.spawn(move || {
            if finished.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                flag.store(true, Ordering::Relaxed);
            }
        });
        let result = act(&stop);
        drop(done);
        result
    })
}

fn check_url(url: &str) -> Result<(), GitError> {
    let refuse = |shown: String, reason: &str| Err(GitError::Url { url: shown, reason: reason.to_owned() });
    let shown = without_credentials(url);
    if let Some(fault) = port_fault(authority(&shown)) {
        return refuse(shown, &format!("{fault} [git.url_invalid]"));
    }
    let Ok(parsed) = reqwest::Url::parse(url) else {
        // Nobody can tell where the password ends in what is no URL.
        let why = "it is no URL; special characters in a password are percent-encoded [git.url_invalid]";
        return refuse("(not shown)".to_owned(), why);
    };
    if !(url.starts_with("https://") || url.starts_with("http://")) {
        return refuse(shown, "only http:// and https:// are fetched [git.url_scheme]");
    }
    // Parsers of URLs on the web would take the path's first part for the host.
    if url.split_once("://").is_none_or(|(_, rest)| rest.starts_with('/')) {
        return refuse(shown, "it names no host [git.url_invalid]");
    }
    if parsed.query().is_some() || parsed.fragment().is_some() || url.chars().any(char::is_control) {
        return refuse(shown, "it holds a query, a fragment or a control character [git.url_invalid]");
    }
    let lower = url.to_ascii_lowercase();
    if ["%0", "%1", "%7f"].iter().any(|control| lower.contains(control)) {
        return refuse(shown, "it holds a control character that is percent-encoded [git.url_invalid]");
    }
    if parsed.username().starts_with('-') {
        return refuse(shown, "its user begins with a dash [git.url_invalid]");
    }
    if parsed.scheme() == "http" && !(parsed.username().is_empty() && parsed.password().is_none()) {
        return refuse(shown, "user and password are not sent in clear text; use https [git.url_credentials]");
    }
    if parsed.host_str().is_some_and(is_link_local) {
        return refuse(shown, "link-local addresses are those of a machine's own services [net.denied]");
    }
    Ok(())
}

/// The place of a mirror.
pub(super) fn mirror_of(url: &str, cache_dir: &Path) -> PathBuf {
    cache_dir.join(format!("{}.git", Digest::of(without_credentials(url).as_bytes())))
}

/// Made beside its place and then moved there, so that nobody opens half of one.
fn make_mirror(dir: &Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let parent = dir.parent().unwrap_or(dir);
    std::fs::create_dir_all(parent).map_err(text)?;
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let draft = parent.join(format!("{name}.new-{}", std::process::id()));
    if draft.exists() {
        std::fs::remove_dir_all(&draft).map_err(text)?;
    }
    LocalRepository::init(&draft).map_err(|error| error.to_string())?;
    match std::fs::rename(&draft, dir) {
        Ok(()) => Ok(()),
        // Somebody else was faster.
        Err(_) if dir.exists() => std::fs::remove_dir_all(&draft).map_err(text),
        Err(error) => Err(error.to_string()),
    }
}

fn advertisement(refs: &[Ref]) -> Advertisement {
    let entries = refs.iter().filter_map(|at| {
        let (name, own, peeled) = match at {
            Ref::Direct { full_ref_name, object } => (full_ref_name, *object, *object),
            Ref::Peeled { full_ref_name, tag, object } => (full_ref_name, *tag, *object),
            Ref::Symbolic { full_ref_name, tag, object, .. } => (full_ref_name, tag.unwrap_or(*object), *object),
            Ref::Unborn { .. } => return None,
        };
        Some((name.to_string(), Advertised { own, peeled }))
    });
    entries.filter(|(name, _)| MIRRORED.iter().any(|prefix| name.starts_with(prefix))).collect()
}

/// The branch that a remote's HEAD names.
fn named_by_head(refs: &[Ref]) -> Option<String> {
    refs.iter().find_map(|at| match at {
        Ref::Symbolic { full_ref_name, target, .. } if full_ref_name == "HEAD" => Some(target.to_string()),
        _ => None,
    })
}

/// Lets one ref lead to another.
fn leading(name: &str, target: &str) -> Option<RefEdit> {
    let log = gix::refs::transaction::LogChange::default();
    let new = gix::refs::Target::Symbolic(target.try_into().ok()?);
    let change = Change::Update { log, expected: PreviousValue::Any, new };
    Some(RefEdit { change, name: name.try_into().ok()?, deref: false })
}

fn mirrored(repo: &gix::Repository) -> gix::Result<BTreeMap<String, ObjectId>> {
    let mut here = BTreeMap::new();
    for reference in repo.references()?.all()? {
        let reference = reference?;
        if let Some(id) = reference.try_id() {
            here.insert(reference.name().as_bstr().to_string(), id.detach());
        }
    }
    Ok(here)
}

fn is_mirrored(here: &BTreeMap<String, ObjectId>, there: &Advertisement) -> bool {
    here.len() == there.len() && there.iter().all(|(name, at)| here.get(name) == Some(&at.own))
}

fn deletion(name: &str) -> Option<RefEdit> {
    let change = Change::Delete { expected: PreviousValue::Any, log: RefLog::AndReference };
    Some(RefEdit { change, name: name.try_into().ok()?, deref: false })
}

impl GitRepository for RemoteRepository {
    fn url(&self) -> &str {
        &self.url
    }

    fn refs(&self) -> Result<Refs, GitError> {
        let run = |sign_in: Option<&SignIn>| Self::request(|asked| self.ask(sign_in, asked));
        self.commits(&self.signed("listing refs", run)?)
    }

    fn head(&self) -> Result<Option<String>, GitError> {
        self.mirror.head()
    }

    fn fetch(&self) -> Result<Refs, GitError> {
        let _one_at_a_time = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let _turn =
            Turn::take(&self.dir).map_err(|error| self.failed("taking turns at the mirror")(error.to_string()))?;
        let run = |sign_in: Option<&SignIn>| Self::request(|asked| self.bring(sign_in, asked));
        self.commits(&self.signed("fetching", run)?)
    }

    fn commit(&self, id: &CommitId) -> Result<Commit, GitError> {
        self.mirror.commit(id)
    }

    fn log(&self, from: &CommitId, limit: usize) -> Result<Vec<Commit>, GitError> {
        self.mirror.log(from, limit)
    }

    fn reachable(&self, tips: &BTreeSet<&CommitId>, limit: usize) -> Result<Vec<CommitId>, GitError> {
        self.mirror.reachable(tips, limit)
    }

    fn is_ancestor(&self, ancestor: &CommitId, descendant: &CommitId) -> Result<bool, GitError> {
        self.mirror.is_ancestor(ancestor, descendant)
    }

    fn subtree(&self, commit: &CommitId, path: &str) -> Result<Option<TreeId>, GitError> {
        self.mirror.subtree(commit, path)
    }

    fn directories_with(&self, commit: &CommitId, path: &str, file: &str) -> Result<Vec<(String, TreeId)>, GitError> {
        self.mirror.directories_with(commit, path, file)
    }

    fn read_tree(&self, tree: &TreeId, budget: &TreeBudget) -> Result<FileTree, GitError> {
        self.mirror.read_tree(tree, budget)
    }

    fn write_tree(&self, files: &FileTree) -> Result<TreeId, GitError> {
        self.mirror.write_tree(files)
    }

    fn graft(&self, base: Option<&TreeId>, path: &str, subtree: Option<&TreeId>) -> Result<TreeId, GitError> {
        self.mirror.graft(base, path, subtree)
    }

    fn write_commit(&self, commit: &NewCommit) -> Result<CommitId, GitError> {
        self.mirror.write_commit(commit)
    }

    fn push(&self, claim: Option<&Claim>, updates: &[RefUpdate]) -> Result<(), GitError> {
        let check = || claim.map_or(Ok(()), |claim| claim.check(Timestamp::now()));
        let failed = self.failed("pushing");
        check()?;
        if updates.iter().map(|update| &update.name).collect::<BTreeSet<_>>().len() != updates.len() {
            return Err(failed("the same ref is named twice".to_owned()));
        }
        if updates.is_empty() {
            return Ok(());
        }
        if self.ssh.is_some() {
            return Err(failed("nothing is pushed over ssh; name the repository by its https:// URL".to_owned()));
        }
        let (receiver, offer) = self.signed("pushing", |sign_in| self.offered(sign_in))?;
        let commands = self.commands(&offer, updates)?;
        let pack = self.pack(&offer, &commands)?;
        // Asking and packing took time; the claim has to hold now.
        check()?;
        let refusals = receiver.send(&commands, &offer, &pack).map_err(&failed)?;
        if refusals.is_empty() { Ok(()) } else { Err(self.refused(&receiver, updates, &refusals)) }
    }
}

#[cfg(test)]
mod tests;
