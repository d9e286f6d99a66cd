//! What may become of a proposal: pure rules, whatever forge keeps it.

use crate::domain::id::{CommitId, PlanId};
use crate::domain::time::Timestamp;
use crate::ports::forge::{Comment, Decision, ForgeError, Proposal, ProposalContent, ProposalState};
use crate::ports::git::Person;

/// Newest remarks that are kept in a proposal.
const MAX_COMMENTS: usize = 200;

/// Most bytes of all remarks of a proposal: it is kept in one file, which is read for every list.
const COMMENTS_BYTES: usize = 256 << 10;

/// Largest remark in bytes, as much as GitHub takes in characters.
pub(super) const MAX_COMMENT_BYTES: usize = 64 << 10;

/// Whether an approval of `old` says nothing about `new`.
pub(super) fn binds_other(old: &ProposalContent, new: &ProposalContent) -> bool {
    old.plan != new.plan || old.head != new.head
}

/// A person said no to exactly this; asking again would only be noise.
pub(super) fn is_refused_already(last: &Proposal, content: &ProposalContent) -> bool {
    matches!(last.verdict, ProposalState::Rejected { .. })
        && last.content.kind == content.kind
        && !binds_other(&last.content, content)
}

/// What to remark when the plan or the head of `held` gives way to that of `new`.
pub(super) fn remark_on_change(held: &Proposal, new: &ProposalContent, what_changed: Option<&str>) -> Option<String> {
    let details = what_changed.map(|text| clipped(text, MAX_COMMENT_BYTES / 2));
    let ProposalState::Approved { by, .. } = &held.verdict else { return details };
    let old = &held.content;
    let summary = format!(
        "What changed since you approved, {by}: plan {} became {}, head {} became {}. The approval is taken back.",
        old.plan.short(),
        new.plan.short(),
        old.head.short(),
        new.head.short(),
    );
    Some(details.map_or_else(|| summary.clone(), |details| format!("{summary}\n\n{details}")))
}

/// Adds a remark; the oldest make room.
pub(super) fn remark_on(proposal: &mut Proposal, remark: Comment) {
    proposal.comments.push(remark);
    let mut bytes = 0;
    let fit = |comment: &&Comment| {
        bytes += comment.by.len() + comment.text.len();
        bytes <= COMMENTS_BYTES
    };
    // The newest is there in any case.
    let kept = proposal.comments.iter().rev().take_while(fit).take(MAX_COMMENTS).count().max(1);
    proposal.comments.drain(..proposal.comments.len() - kept);
}

/// Whether the same person already decided the same: a call that lost its answer may be repeated.
pub(super) fn is_decided_so(verdict: &ProposalState, decision: &Decision, who: &Person) -> bool {
    match (verdict, decision) {
        (ProposalState::Approved { by, email, plan, head, .. }, Decision::Approve { plan: read, head: seen }) => {
            *by == who.name && *email == who.email && plan == read && head == seen
        }
        (ProposalState::Rejected { by, reason, .. }, Decision::Reject { reason: said }) => {
            *by == who.name && reason == said
        }
        _ => false,
    }
}

/// What a decision makes of a proposal, and the verb for it.
pub(super) fn verdict(
    held: &Proposal,
    decision: &Decision,
    who: &Person,
    at: Timestamp,
) -> Result<(ProposalState, &'static str), ForgeError> {
    match decision {
        // Until it is carried out, a person may still say no to what was approved.
        Decision::Reject { .. } if !held.verdict.is_pending() => not_open("reject", held.number, &held.verdict),
        Decision::Reject { reason } => {
            Ok((ProposalState::Rejected { by: who.name.clone(), at, reason: reason.clone() }, "Reject"))
        }
        // A person may change their mind; what ended or was approved by somebody stays.
        Decision::Approve { .. } if !matches!(held.verdict, ProposalState::Open | ProposalState::Rejected { .. }) => {
            not_open("approve", held.number, &held.verdict)
        }
        Decision::Approve { plan, head } => Ok((approval(held, plan, head, who, at)?, "Approve")),
    }
}

/// An approval, if what the person read is what stands there.
fn approval(
    proposal: &Proposal,
    plan: &PlanId,
    head: &CommitId,
    who: &Person,
    at: Timestamp,
) -> Result<ProposalState, ForgeError> {
    let now = &proposal.content;
    if *plan != now.plan || *head != now.head {
        let shown = |plan: &PlanId, head: &CommitId| format!("{} of {}", plan.short(), head.short());
        let (number, read, now) = (proposal.number, shown(plan, head), shown(&now.plan, &now.head));
        return Err(ForgeError::Stale { number, read, now });
    }
    let (by, email, plan, head) = (who.name.clone(), who.email.clone(), plan.clone(), head.clone());
    Ok(ProposalState::Approved { by, email, at, plan, head })
}

/// The refusal of an act that comes too late.
pub(super) fn not_open<T>(act: &'static str, number: u64, state: &ProposalState) -> Result<T, ForgeError> {
    Err(ForgeError::NotOpen { act, number, state: state.word() })
}

/// White space of any kind becomes one blank, control characters too; at most 256 bytes.
pub(super) fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
    clipped(&words.collect::<Vec<_>>().join(" "), 256)
}

/// At most `limit` bytes, cut between characters and marked as cut.
pub(super) fn clipped(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}
