//! Git is the forge: a proposal is a ref in the bare repository whose commits are its history. `git fetch origin
//! 'refs/loggia/*:refs/loggia/*'` brings all of it to anybody.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::domain::id::{CommitId, PlanId};
use crate::domain::lease::Claim;
use crate::domain::source::{File, FileTree};
use crate::domain::time::Timestamp;
use crate::ports::forge::{
    Comment, Decision, Forge, ForgeError, Proposal, ProposalContent, ProposalKey, ProposalKind, ProposalState,
};
use crate::ports::git::{GitError, GitRepository, NewCommit, Person, RefUpdate, Refs, TreeBudget};

/// Where proposals live.
const REFS: &str = "refs/loggia/proposals/";
/// Our part of a body stands between these; what people write around it stays.
const BEGIN: &str = "<!-- loggia:begin -->";
const END: &str = "<!-- loggia:end -->";
/// How often a number is tried again because somebody else took it.
const ATTEMPTS: usize = 10;

/// Proposals as refs of a repository.
#[derive(Clone)]
pub struct LocalForge {
    git: Arc<dyn GitRepository>,
}

/// `proposal.json`: everything but the body and the plan, which are files of their own.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    number: u64,
    key: ProposalKey,
    kind: ProposalKind,
    title: String,
    head_ref: String,
    head: CommitId,
    base_commit: CommitId,
    plan: PlanId,
    verdict: ProposalState,
    opened_at: Timestamp,
    comments: Vec<Comment>,
}

impl LocalForge {
    /// A forge over a repository.
    #[must_use]
    pub fn new(git: Arc<dyn GitRepository>) -> Self {
        Self { git }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, ForgeError> + Send + 'static,
    ) -> Result<T, ForgeError> {
        let forge = self.clone();
        let url = self.git.url().to_owned();
        tokio::task::spawn_blocking(move || work(&forge)).await.unwrap_or_else(|error| {
            let reason = format!("the task ended: {error}");
            Err(ForgeError::Git(GitError::Io { url, act: "handling proposals", reason }))
        })
    }

    fn numbers(refs: &Refs) -> Vec<(u64, CommitId)> {
        let mut numbers: Vec<(u64, CommitId)> = refs
            .iter()
            .filter_map(|(name, commit)| Some((name.strip_prefix(REFS)?.parse().ok()?, commit.clone())))
            .collect();
        numbers.sort_unstable();
        numbers
    }

    fn read(&self, number: u64, commit: &CommitId) -> Result<Proposal, ForgeError> {
        let damaged = |reason: String| ForgeError::Damaged { number, reason };
        let tree = self.git.commit(commit)?.tree;
        let files = self.git.read_tree(&tree, &TreeBudget { file_bytes: 64 << 20, ..TreeBudget::default() })?;
        let file = |name: &str| {
            files.get(name).map(|file| file.bytes.clone()).ok_or_else(|| damaged(format!("{name} is missing")))
        };
        let stored: Stored =
            serde_json::from_slice(&file("proposal.json")?).map_err(|error| damaged(error.to_string()))?;
        let plan_json = serde_json::from_slice(&file("plan.json")?).map_err(|error| damaged(error.to_string()))?;
        let content = ProposalContent {
            key: stored.key,
            kind: stored.kind,
            title: stored.title,
            body: String::from_utf8_lossy(&file("body.md")?).into_owned(),
            head_ref: stored.head_ref,
            head: stored.head,
            base_commit: stored.base_commit,
            plan: stored.plan,
            plan_json,
        };
        Ok(Proposal {
            number,
            content,
            verdict: stored.verdict,
            opened_at: stored.opened_at,
            comments: stored.comments,
        })
    }

    fn all(&self, refs: &Refs) -> Result<Vec<(Proposal, CommitId)>, ForgeError> {
        Self::numbers(refs).into_iter().map(|(number, commit)| Ok((self.read(number, &commit)?, commit))).collect()
    }

    fn one(&self, number: u64) -> Result<(Proposal, CommitId), ForgeError> {
        let refs = self.git.fetch()?;
        let commit = refs.get(&format!("{REFS}{number}")).ok_or(ForgeError::NotFound(number))?;
        Ok((self.read(number, commit)?, commit.clone()))
    }

    /// Writes a proposal as the next commit of its ref.
    fn write(
        &self,
        claim: Option<&Claim>,
        proposal: &Proposal,
        previous: Option<&CommitId>,
        subject: &str,
        author: &Person,
        at: Timestamp,
    ) -> Result<(), ForgeError> {
        let damaged = |reason: String| ForgeError::Damaged { number: proposal.number, reason };
        let content = &proposal.content;
        let stored = Stored {
            number: proposal.number,
            key: content.key.clone(),
            kind: content.kind,
            title: content.title.clone(),
            head_ref: content.head_ref.clone(),
            head: content.head.clone(),
            base_commit: content.base_commit.clone(),
            plan: content.plan.clone(),
            verdict: proposal.verdict.clone(),
            opened_at: proposal.opened_at,
            comments: proposal.comments.clone(),
        };
        let json = |value: serde_json::Result<Vec<u8>>| value.map_err(|error| damaged(error.to_string()));
        let mut files = FileTree::new();
        for (name, bytes) in [
            ("proposal.json", json(serde_json::to_vec_pretty(&stored))?),
            ("plan.json", json(serde_json::to_vec_pretty(&content.plan_json))?),
            ("body.md", content.body.clone().into_bytes()),
        ] {
            files.insert(name, File::regular(bytes)).map_err(|error| damaged(error.to_string()))?;
        }
        let commit = NewCommit {
            tree: self.git.write_tree(&files)?,
            parents: previous.cloned().into_iter().collect(),
            author: author.clone(),
            committer: loggia(),
            at,
            message: format!("{subject}\n"),
        };
        let id = self.git.write_commit(&commit)?;
        let name = format!("{REFS}{}", proposal.number);
        Ok(self.git.push(claim, &[RefUpdate { name, expected: previous.cloned(), new: Some(id) }])?)
    }

    fn open(&self, claim: &Claim, content: &ProposalContent, now: Timestamp) -> Result<Proposal, ForgeError> {
        let mut attempt = 1;
        loop {
            let refs = self.git.fetch()?;
            // Whoever was faster may have opened the very proposal.
            if let Some((found, _)) =
                self.all(&refs)?.into_iter().find(|(p, _)| p.verdict.is_pending() && p.content.key == content.key)
            {
                return Ok(found);
            }
            let number = Self::numbers(&refs).last().map_or(1, |(last, _)| last + 1);
            let mut content = content.clone();
            content.body = marked(&content.body);
            let proposal =
                Proposal { number, content, verdict: ProposalState::Open, opened_at: now, comments: Vec::new() };
            match self.write(Some(claim), &proposal, None, &format!("Open proposal {number}"), &loggia(), now) {
                Ok(()) => return Ok(proposal),
                Err(ForgeError::Git(GitError::RefMoved { .. })) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    fn refresh(
        &self,
        claim: &Claim,
        (mut proposal, commit): (Proposal, CommitId),
        content: &ProposalContent,
        what_changed: Option<&str>,
        now: Timestamp,
    ) -> Result<Proposal, ForgeError> {
        let mut fresh = content.clone();
        fresh.body = refreshed(&proposal.content.body, &content.body);
        if fresh == proposal.content {
            return Ok(proposal);
        }
        let rebound = fresh.plan != proposal.content.plan || fresh.head != proposal.content.head;
        proposal.content = fresh;
        if rebound {
            let taken_back = !matches!(proposal.verdict, ProposalState::Open);
            proposal.verdict = ProposalState::Open;
            let text = match (what_changed, taken_back) {
                (Some(text), true) => format!("What changed since you approved:\n\n{text}"),
                (Some(text), false) => format!("What changed:\n\n{text}"),
                (None, _) => "The content changed.".to_owned(),
            };
            proposal.comments.push(Comment { by: "loggia".to_owned(), at: now, text });
        }
        let subject = format!("Refresh proposal {}", proposal.number);
        self.write(Some(claim), &proposal, Some(&commit), &subject, &loggia(), now)?;
        Ok(proposal)
    }

    fn decide_now(
        &self,
        number: u64,
        decision: Decision,
        by: &str,
        email: &str,
        now: Timestamp,
    ) -> Result<Proposal, ForgeError> {
        let (mut proposal, commit) = self.one(number)?;
        let person = Person { name: by.to_owned(), email: email.to_owned() };
        let (verdict, act) = match decision {
            Decision::Approve { plan, head } => {
                if plan != proposal.content.plan || head != proposal.content.head {
                    let now = proposal.content.plan.short().to_owned();
                    return Err(ForgeError::Stale { number, read: plan.short().to_owned(), now });
                }
                if matches!(&proposal.verdict, ProposalState::Approved { by: who, .. } if who == by) {
                    return Ok(proposal);
                }
                (ProposalState::Approved { by: by.to_owned(), email: email.to_owned(), at: now, plan, head }, "approve")
            }
            Decision::Reject { reason } => (ProposalState::Rejected { by: by.to_owned(), at: now, reason }, "reject"),
        };
        let undecided = matches!(proposal.verdict, ProposalState::Open)
            || (act == "reject" && matches!(proposal.verdict, ProposalState::Approved { .. }));
        if !undecided {
            return Err(ForgeError::NotOpen { act, number, state: proposal.verdict.word() });
        }
        proposal.verdict = verdict;
        let subject =
            if act == "approve" { format!("Approve proposal {number}") } else { format!("Reject proposal {number}") };
        self.write(None, &proposal, Some(&commit), &subject, &person, now)?;
        Ok(proposal)
    }
}

fn loggia() -> Person {
    Person { name: "Loggia".to_owned(), email: "loggia@localhost".to_owned() }
}

fn marked(body: &str) -> String {
    format!("{BEGIN}\n{}\n{END}\n", body.trim_end())
}

/// `old` with our part replaced; what stands around it stays.
fn refreshed(old: &str, new: &str) -> String {
    match (old.find(BEGIN), old.find(END)) {
        (Some(begin), Some(end)) if begin < end => {
            format!("{}{}{}", &old[..begin], marked(new).trim_end(), &old[end + END.len()..])
        }
        _ => marked(new),
    }
}

#[async_trait]
impl Forge for LocalForge {
    async fn list(&self) -> Result<Vec<Proposal>, ForgeError> {
        self.run(|forge| Ok(forge.all(&forge.git.fetch()?)?.into_iter().map(|(proposal, _)| proposal).collect())).await
    }

    async fn get(&self, number: u64) -> Result<Proposal, ForgeError> {
        self.run(move |forge| Ok(forge.one(number)?.0)).await
    }

    async fn open_or_update(
        &self,
        claim: &Claim,
        content: &ProposalContent,
        what_changed: Option<&str>,
        now: Timestamp,
    ) -> Result<Proposal, ForgeError> {
        let (claim, content, what_changed) = (claim.clone(), content.clone(), what_changed.map(str::to_owned));
        self.run(move |forge| {
            let refs = forge.git.fetch()?;
            let pending =
                forge.all(&refs)?.into_iter().find(|(p, _)| p.verdict.is_pending() && p.content.key == content.key);
            match pending {
                Some(found) => forge.refresh(&claim, found, &content, what_changed.as_deref(), now),
                None => forge.open(&claim, &content, now),
            }
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
        let (by, email) = (by.to_owned(), email.to_owned());
        self.run(move |forge| forge.decide_now(number, decision, &by, &email, now)).await
    }

    async fn comment(&self, number: u64, by: &str, text: &str, now: Timestamp) -> Result<Proposal, ForgeError> {
        let comment = Comment { by: by.to_owned(), at: now, text: text.to_owned() };
        self.run(move |forge| {
            let (mut proposal, commit) = forge.one(number)?;
            let author = Person { name: comment.by.clone(), email: "loggia@localhost".to_owned() };
            proposal.comments.push(comment);
            forge.write(None, &proposal, Some(&commit), &format!("Comment on proposal {number}"), &author, now)?;
            Ok(proposal)
        })
        .await
    }

    async fn conclude(&self, claim: &Claim, number: u64, state: ProposalState) -> Result<Proposal, ForgeError> {
        let claim = claim.clone();
        self.run(move |forge| {
            let (mut proposal, commit) = forge.one(number)?;
            if !proposal.verdict.is_pending() {
                return Ok(proposal);
            }
            let at = match &state {
                ProposalState::Done { at, .. } | ProposalState::Withdrawn { at, .. } => *at,
                _ => proposal.opened_at,
            };
            proposal.verdict = state;
            let subject = format!("Conclude proposal {number}");
            forge.write(Some(&claim), &proposal, Some(&commit), &subject, &loggia(), at)?;
            Ok(proposal)
        })
        .await
    }
}

#[cfg(test)]
mod tests;
