//! Proposals as refs of a git repository: `refs/loggia/proposals/N` leads to a commit whose tree is the proposal; every
//! change is one more commit on that ref, so `git log refs/loggia/proposals/N` tells who did what.
//!
//! Numbers and changes are taken by compare-and-swap on the ref; whoever loses looks again and decides again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::rules::{
    MAX_COMMENT_BYTES, binds_other, is_decided_so, is_refused_already, not_open, one_line, remark_on, remark_on_change,
    verdict,
};
use super::{body, stored};
use crate::domain::id::CommitId;
use crate::domain::lease::Claim;
use crate::domain::source::FileTree;
use crate::domain::time::Timestamp;
use crate::ports::forge::{
    Comment, Decision, Forge, ForgeError, Proposal, ProposalContent, ProposalKey, ProposalState,
};
use crate::ports::git::{GitError, GitRepository, NewCommit, Person, RefUpdate};

const PREFIX: &str = "refs/loggia/proposals/";

/// How often a lost race is run again. Each loss means that somebody else got on.
const ATTEMPTS: usize = 16;

/// A forge without a forge: proposals are refs of the repository that they would change.
///
/// *Guarantees*: at most one pending proposal per key. Should two ever stand (a listing that raced with a repack), the
/// lower number is the one, and the next [`Forge::open_or_update`] withdraws the other. A change is one atomic move of
/// one ref.
///
/// *Assumptions*: it runs in a tokio runtime, whose blocking pool does the git work.
#[derive(Clone)]
pub struct LocalForge {
    desk: Arc<Desk>,
}

impl LocalForge {
    /// A forge whose proposals live in `git`.
    #[must_use]
    pub fn new(git: Arc<dyn GitRepository>) -> Self {
        Self { desk: Arc::new(Desk { git, glances: Mutex::default() }) }
    }

    async fn at_the_desk<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Desk) -> Result<T, ForgeError> + Send + 'static,
    ) -> Result<T, ForgeError> {
        let desk = Arc::clone(&self.desk);
        let url = desk.git.url().to_owned();
        tokio::task::spawn_blocking(move || act(&desk)).await.unwrap_or_else(|error| {
            Err(GitError::Io { url, act: "working on proposals", reason: error.to_string() }.into())
        })
    }
}

/// The blocking half.
struct Desk {
    git: Arc<dyn GitRepository>,
    /// What a tip says, by its commit; holds an entry for each proposal ref and no more.
    glances: Mutex<BTreeMap<CommitId, Glance>>,
}

/// Enough of a proposal to find the right one without reading them all again.
#[derive(Clone)]
struct Glance {
    key: ProposalKey,
    pending: bool,
}

/// Proposal refs by number.
type Tips = BTreeMap<u64, CommitId>;

/// A proposal as read, with what is needed to write the next commit.
struct Held {
    tip: CommitId,
    proposal: Proposal,
    files: FileTree,
}

/// The next state of a proposal and how its commit tells it.
struct Change {
    proposal: Proposal,
    files: FileTree,
    verb: &'static str,
    author: Person,
    at: Timestamp,
}

/// What to open or refresh.
struct Request<'a> {
    claim: &'a Claim,
    content: &'a ProposalContent,
    what_changed: Option<&'a str>,
    now: Timestamp,
}

impl Desk {
    fn tips(&self) -> Result<Tips, ForgeError> {
        let refs = self.git.fetch()?;
        let tips = refs.into_iter().filter_map(|(name, tip)| Some((number_of(&name)?, tip)));
        Ok(tips.collect())
    }

    fn read(&self, number: u64, tip: &CommitId) -> Result<Held, ForgeError> {
        let tree = self.git.commit(tip)?.tree;
        let files = self.git.read_tree(&tree, &stored::BUDGET)?;
        Ok(Held { tip: tip.clone(), proposal: stored::proposal(number, &files)?, files })
    }

    fn get(&self, number: u64) -> Result<Held, ForgeError> {
        let tips = self.tips()?;
        self.read(number, tips.get(&number).ok_or(ForgeError::NotFound(number))?)
    }

    fn list(&self) -> Result<Vec<Proposal>, ForgeError> {
        self.tips()?.iter().map(|(number, tip)| Ok(self.read(*number, tip)?.proposal)).collect()
    }

    /// A glance at each proposal; only tips that are new since the last time are read.
    fn glances(&self, tips: &Tips) -> Result<BTreeMap<u64, Glance>, ForgeError> {
        let known = self.glances.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut now = BTreeMap::new();
        let mut by_number = BTreeMap::new();
        for (number, tip) in tips {
            let glance = match known.get(tip) {
                Some(glance) => glance.clone(),
                None => glance_at(self.read(*number, tip)?.proposal),
            };
            now.insert(tip.clone(), glance.clone());
            by_number.insert(*number, glance);
        }
        *self.glances.lock().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(by_number)
    }

    /// Proposals of `key`, oldest first, with whether they are pending.
    fn of_key(&self, tips: &Tips, key: &ProposalKey) -> Result<Vec<(u64, bool)>, ForgeError> {
        let glances = self.glances(tips)?;
        Ok(glances
            .into_iter()
            .filter(|(_, glance)| glance.key == *key)
            .map(|(n, glance)| (n, glance.pending))
            .collect())
    }

    fn open_or_update(&self, request: &Request<'_>) -> Result<Proposal, ForgeError> {
        until_no_race(|| self.try_open_or_update(request))
    }

    fn try_open_or_update(&self, request: &Request<'_>) -> Result<Proposal, ForgeError> {
        let tips = self.tips()?;
        let of_key = self.of_key(&tips, &request.content.key)?;
        let pending: Vec<u64> = of_key.iter().filter(|(_, pending)| *pending).map(|(number, _)| *number).collect();
        if let Some((first, doubles)) = pending.split_first() {
            doubles.iter().try_for_each(|double| self.withdraw_double(*double, *first, request))?;
            return self.refresh(&self.read(*first, &tips[first])?, request);
        }
        if let Some((last, _)) = of_key.last() {
            let last = self.read(*last, &tips[last])?.proposal;
            if is_refused_already(&last, request.content) {
                return Ok(last);
            }
        }
        self.create(&tips, request)
    }

    fn create(&self, tips: &Tips, request: &Request<'_>) -> Result<Proposal, ForgeError> {
        let last = tips.keys().next_back().copied().unwrap_or(0);
        let number = last.checked_add(1).ok_or_else(|| self.out_of_numbers())?;
        let proposal = Proposal {
            number,
            content: tidy(request.content, None),
            verdict: ProposalState::Open,
            opened_at: request.now,
            comments: Vec::new(),
        };
        let files = stored::files(&proposal)?;
        let change = Change { proposal, files, verb: "Open", author: loggia(), at: request.now };
        let opened = self.write(Some(request.claim), None, change)?;
        let tips = self.tips()?;
        if self.of_key(&tips, &request.content.key)?.iter().filter(|(_, pending)| *pending).count() > 1 {
            return self.try_open_or_update(request);
        }
        Ok(opened)
    }

    fn refresh(&self, held: &Held, request: &Request<'_>) -> Result<Proposal, ForgeError> {
        let mut proposal = held.proposal.clone();
        proposal.content = tidy(request.content, Some(&held.proposal.content.body));
        if binds_other(&held.proposal.content, &proposal.content) {
            let remark = remark_on_change(&held.proposal, &proposal.content, request.what_changed);
            proposal.verdict = ProposalState::Open;
            if let Some(text) = remark {
                remark_on(&mut proposal, Comment { by: "loggia".to_owned(), at: request.now, text });
            }
        }
        let files = stored::over(&held.files, &proposal)?;
        if files == held.files {
            return Ok(held.proposal.clone());
        }
        let change = Change { proposal, files, verb: "Refresh", author: loggia(), at: request.now };
        self.write(Some(request.claim), Some(&held.tip), change)
    }

    fn withdraw_double(&self, double: u64, first: u64, request: &Request<'_>) -> Result<(), ForgeError> {
        let reason = format!("proposal {first} is about the same package");
        self.conclude(request.claim, double, &ProposalState::Withdrawn { reason, at: request.now }).map(drop)
    }

    fn decide(&self, number: u64, decision: &Decision, who: &Person, now: Timestamp) -> Result<Proposal, ForgeError> {
        self.change(None, number, |held| {
            if is_decided_so(&held.proposal.verdict, decision, who) {
                return Ok(None);
            }
            let (verdict, verb) = verdict(&held.proposal, decision, who, now)?;
            with_facts(held, |proposal| proposal.verdict = verdict.clone(), verb, who.clone(), now).map(Some)
        })
    }

    fn comment(&self, number: u64, by: &str, text: &str, now: Timestamp) -> Result<Proposal, ForgeError> {
        if text.len() > MAX_COMMENT_BYTES {
            let reason = format!("it has {} bytes; the limit is {MAX_COMMENT_BYTES} a remark", text.len());
            let (url, id) = (self.git.url().to_owned(), format!("proposal {number}"));
            return Err(GitError::Refused { url, id, path: "the remark".to_owned(), reason }.into());
        }
        let remark = Comment { by: by.to_owned(), at: now, text: text.to_owned() };
        let author = Person { name: by.to_owned(), email: String::new() };
        self.change(None, number, |held| {
            with_facts(held, |to| remark_on(to, remark.clone()), "Comment on", author.clone(), now).map(Some)
        })
    }

    fn conclude(&self, claim: &Claim, number: u64, end: &ProposalState) -> Result<Proposal, ForgeError> {
        self.change(Some(claim), number, |held| {
            let (verb, at) = match end {
                ProposalState::Done { at, .. } => ("Finish", *at),
                ProposalState::Withdrawn { at, .. } => ("Withdraw", *at),
                other => return not_open("conclude without an outcome", number, other),
            };
            // What has ended stays as it ended: the call may be one that lost its answer.
            if !held.proposal.verdict.is_pending() {
                return Ok(None);
            }
            with_facts(held, |proposal| proposal.verdict = end.clone(), verb, loggia(), at).map(Some)
        })
    }

    /// Reads, lets `next` decide, writes; from the start again when somebody else was faster. `None` writes nothing.
    fn change(
        &self,
        claim: Option<&Claim>,
        number: u64,
        next: impl Fn(&Held) -> Result<Option<Change>, ForgeError>,
    ) -> Result<Proposal, ForgeError> {
        until_no_race(|| {
            let held = self.get(number)?;
            match next(&held)? {
                Some(change) => self.write(claim, Some(&held.tip), change),
                None => Ok(held.proposal),
            }
        })
    }

    fn write(&self, claim: Option<&Claim>, tip: Option<&CommitId>, change: Change) -> Result<Proposal, ForgeError> {
        let proposal = change.proposal;
        stored::check_size(proposal.number, self.git.url(), &change.files)?;
        let commit = NewCommit {
            tree: self.git.write_tree(&change.files)?,
            parents: tip.cloned().into_iter().collect(),
            author: printable(&change.author),
            committer: loggia(),
            at: change.at,
            message: message(change.verb, &proposal),
        };
        let new = self.git.write_commit(&commit)?;
        let name = format!("{PREFIX}{}", proposal.number);
        self.git.push(claim, &[RefUpdate { name, expected: tip.cloned(), new: Some(new) }])?;
        Ok(proposal)
    }

    fn out_of_numbers(&self) -> ForgeError {
        let (url, act) = (self.git.url().to_owned(), "numbering a proposal");
        GitError::Io { url, act, reason: format!("{PREFIX}{} is taken, no number is left", u64::MAX) }.into()
    }
}

/// The next state of a proposal whose text and plan stay.
fn with_facts(
    held: &Held,
    edit: impl FnOnce(&mut Proposal),
    verb: &'static str,
    author: Person,
    at: Timestamp,
) -> Result<Change, ForgeError> {
    let mut proposal = held.proposal.clone();
    edit(&mut proposal);
    let files = stored::with_facts(held.files.clone(), &proposal)?;
    Ok(Change { proposal, files, verb, author, at })
}

/// The number in a ref's name; other spellings of a number are nobody's proposal.
fn number_of(name: &str) -> Option<u64> {
    let text = name.strip_prefix(PREFIX)?;
    text.parse().ok().filter(|number: &u64| *number > 0 && number.to_string() == text)
}

fn glance_at(proposal: Proposal) -> Glance {
    Glance { pending: proposal.verdict.is_pending(), key: proposal.content.key }
}

fn until_no_race<T>(act: impl Fn() -> Result<T, ForgeError>) -> Result<T, ForgeError> {
    for _ in 1..ATTEMPTS {
        match act() {
            Err(ForgeError::Git(GitError::RefMoved { .. })) => {}
            other => return other,
        }
    }
    act()
}

/// What is asked for, with its text merged into the one that is held and a title that fits one line.
fn tidy(content: &ProposalContent, held_body: Option<&str>) -> ProposalContent {
    let title = one_line(&content.title);
    ProposalContent { title, body: body::merge(held_body, &content.body), ..content.clone() }
}

fn message(verb: &str, proposal: &Proposal) -> String {
    let content = &proposal.content;
    format!(
        "{verb} proposal {}\n\n{}\n\nLoggia-Package: {}\nLoggia-Base: {}\nLoggia-Head: {}\nLoggia-Plan: {}\n",
        proposal.number, content.title, content.key.package, content.base_commit, content.head, content.plan,
    )
}

fn loggia() -> Person {
    Person { name: "Loggia".to_owned(), email: "loggia@localhost".to_owned() }
}

/// A name that git takes: no angle brackets, one line, not empty.
fn printable(person: &Person) -> Person {
    let clean = |text: &str| one_line(&text.replace(['<', '>'], ""));
    let name = Some(clean(&person.name)).filter(|name| !name.is_empty()).unwrap_or_else(|| "unknown".to_owned());
    Person { name, email: clean(&person.email) }
}

#[async_trait]
impl Forge for LocalForge {
    async fn list(&self) -> Result<Vec<Proposal>, ForgeError> {
        self.at_the_desk(Desk::list).await
    }

    async fn get(&self, number: u64) -> Result<Proposal, ForgeError> {
        self.at_the_desk(move |desk| Ok(desk.get(number)?.proposal)).await
    }

    async fn open_or_update(
        &self,
        claim: &Claim,
        content: &ProposalContent,
        what_changed: Option<&str>,
        now: Timestamp,
    ) -> Result<Proposal, ForgeError> {
        let (claim, content, what_changed) = (claim.clone(), content.clone(), what_changed.map(str::to_owned));
        self.at_the_desk(move |desk| {
            let (claim, content) = (&claim, &content);
            desk.open_or_update(&Request { claim, content, what_changed: what_changed.as_deref(), now })
        })
        .await
    }

    async fn decide(
        &self,
        number: u64,
        decision: Decision,
        by: &str,
        email: &str,
        now: Timestamp,
    ) -> Result<Proposal, ForgeError> {
        let who = Person { name: by.to_owned(), email: email.to_owned() };
        self.at_the_desk(move |desk| desk.decide(number, &decision, &who, now)).await
    }

    async fn comment(&self, number: u64, by: &str, text: &str, now: Timestamp) -> Result<Proposal, ForgeError> {
        let (by, text) = (by.to_owned(), text.to_owned());
        self.at_the_desk(move |desk| desk.comment(number, &by, &text, now)).await
    }

    async fn conclude(&self, claim: &Claim, number: u64, state: ProposalState) -> Result<Proposal, ForgeError> {
        let claim = claim.clone();
        self.at_the_desk(move |desk| desk.conclude(&claim, number, &state)).await
    }
}
