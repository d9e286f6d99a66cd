//! Asking people: proposals that carry the plan, and what follows from their answers.

use super::gather::Situation;
use super::planning::{bind, mode};
use super::rollout::RolloutReport;
use super::{Engine, EngineError, MANAGER};
use crate::domain::approval::{Consent, Gate, gate_plan, gate_teardown, what_changed};
use crate::domain::id::{CommitId, Digest};
use crate::domain::lease::Claim;
use crate::domain::package::kptfile::{FILE, Kptfile, Upstream};
use crate::domain::plan::{DeclaredObject, Plan, UnitPlan, declared_digest, markdown};
use crate::domain::revision::Lifecycle;
use crate::domain::rollout::{Record, SyncState};
use crate::domain::source::FileTree;
use crate::ports::forge::{Proposal, ProposalContent, ProposalKey, ProposalKind, ProposalState};
use crate::ports::git::Person;
use crate::ports::revisions::{ApprovalNote, PackageRevision};
use crate::ports::state::Versioned;

/// Trailer on the commit of a revert: why it is one.
pub(super) const REVERTS: &str = "Loggia-Reverts";

/// Trailer on the commit of a draft: what both the intent or its blueprint and a person changed.
pub(super) const CONFLICTS: &str = "Loggia-Conflicts";
/// What stands before each of them.
pub(super) const CONFLICT: &str = "Changed in the deployment and by the intent or its blueprint, whose value is taken:";

/// What became of a candidate in this round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// There is none.
    Nothing,
    /// A proposal waits for a person.
    Waiting {
        /// Its number.
        number: u64,
        /// Its plan, shortened.
        plan: String,
    },
    /// It was published; the rollout starts with the next round.
    Published {
        /// Its number as a revision.
        revision: i64,
    },
    /// A person said no; it holds until the content changes.
    Rejected {
        /// The proposal.
        number: u64,
        /// Why.
        reason: String,
    },
    /// It is not asked for, or cannot be approved as it is.
    Stopped {
        /// Why.
        reason: String,
    },
}

/// Asking about one Sync.
pub(super) struct Asking<'a> {
    pub(super) engine: &'a Engine,
    pub(super) claim: &'a Claim,
    pub(super) situation: &'a Situation,
    pub(super) state: &'a mut Versioned<SyncState>,
    pub(super) proposals: &'a [Proposal],
}

impl Asking<'_> {
    fn pending(&self) -> Option<&Proposal> {
        let key = self.key();
        self.proposals.iter().find(|proposal| proposal.verdict.is_pending() && proposal.content.key == key)
    }

    fn key(&self) -> ProposalKey {
        ProposalKey {
            repository: self.situation.location.name.clone(),
            base: self.situation.location.branch.clone(),
            package: self.situation.package.clone(),
        }
    }

    /// Deals with the candidate: proposes it, refreshes its proposal, publishes it once it is approved or merged.
    pub(super) async fn candidate(&mut self, candidate: &PackageRevision) -> Result<Asked, EngineError> {
        let tree = self.situation.packages.content(candidate).await?;
        let objects = crate::domain::package::objects(&tree)
            .map_err(|source| EngineError::Render { package: candidate.name.to_string(), source })?;
        let digest = declared_digest(&objects);
        if let Some(hold) = self.state.value.holds.get(&digest) {
            return Ok(Asked::Stopped { reason: format!("digest {} is {}", digest.short(), hold.told()) });
        }
        if let Some(rejected) = self.rejected(&candidate.commit) {
            return Ok(rejected);
        }
        let (plan, silent) = self.plan(Some(&objects)).await?;
        if plan.units.is_empty() {
            return Ok(Asked::Stopped { reason: silent.join("; ") });
        }
        self.decide(candidate, plan, &silent).await
    }

    async fn plan(&self, objects: Option<&[DeclaredObject]>) -> Result<(Plan, Vec<String>), EngineError> {
        self.engine.plan(self.situation, objects).await
    }

    /// Whether exactly this head was rejected.
    fn rejected(&self, head: &CommitId) -> Option<Asked> {
        let key = self.key();
        let last = self.proposals.iter().rev().find(|proposal| proposal.content.key == key)?;
        match &last.verdict {
            ProposalState::Rejected { reason, .. } if last.content.head == *head => {
                Some(Asked::Rejected { number: last.number, reason: reason.clone() })
            }
            _ => None,
        }
    }

    async fn decide(
        &mut self,
        candidate: &PackageRevision,
        plan: Plan,
        silent: &[String],
    ) -> Result<Asked, EngineError> {
        let spec = &self.situation.sync.spec;
        let pending = self.pending().cloned();
        if candidate.lifecycle == Lifecycle::Proposed
            && let Some((person, commit)) = self.situation.packages.merged_by(candidate).await?
        {
            let note = self.note(&person, pending.as_ref(), &plan);
            let outcome = format!("merged by {} as {}", person.name, commit.short());
            return self.publish(candidate, &note, pending.as_ref(), &plan, &outcome).await;
        }
        let approved = pending.as_ref().filter(|proposal| proposal.content.head == candidate.commit);
        let consent =
            approved.filter(|proposal| matches!(proposal.verdict, ProposalState::Approved { .. })).and_then(consent);
        match gate_plan(plan.clone(), consent.as_ref(), mode(spec), bind(spec)) {
            Gate::Open(_) => {
                let person = pending.as_ref().and_then(approver).unwrap_or_else(policy);
                let proposed = self.proposed(candidate).await?;
                let note = self.note(&person, pending.as_ref(), &plan);
                let outcome = format!("approved by {}", person.name);
                self.publish(&proposed, &note, pending.as_ref(), &plan, &outcome).await
            }
            Gate::Blocked(walls) => {
                let proposed = self.proposed(candidate).await?;
                let asked = self.open(&proposed, &plan, pending.as_ref(), silent).await?;
                let Asked::Waiting { number, .. } = asked else { return Ok(asked) };
                Ok(Asked::Stopped {
                    reason: format!("proposal {number} cannot be carried out as it is: {}", walls.join("; ")),
                })
            }
            Gate::NeedsApproval | Gate::Stale(_) => {
                let proposed = self.proposed(candidate).await?;
                self.open(&proposed, &plan, pending.as_ref(), silent).await
            }
        }
    }

    async fn proposed(&self, candidate: &PackageRevision) -> Result<PackageRevision, EngineError> {
        match candidate.lifecycle {
            Lifecycle::Draft => Ok(self.situation.packages.propose(Some(self.claim), candidate).await?),
            _ => Ok(candidate.clone()),
        }
    }

    async fn open(
        &mut self,
        candidate: &PackageRevision,
        plan: &Plan,
        pending: Option<&Proposal>,
        silent: &[String],
    ) -> Result<Asked, EngineError> {
        let trailers = self.situation.packages.trailers(candidate).await?;
        let reverts = trailers.get(REVERTS);
        let package = &self.situation.package;
        let (kind, title) = match reverts {
            Some(_) => (ProposalKind::Revert, format!("Revert {package}: {}", headline(plan))),
            None => (ProposalKind::Publish, format!("Publish {package}: {}", headline(plan))),
        };
        let evidence = reverts.map(|text| format!("This reverts what failed: {text}\n\n")).unwrap_or_default();
        let conflicts = trailers.get(CONFLICTS).map(|text| format!("> {CONFLICT} {text}\n\n")).unwrap_or_default();
        let origin = made_from(&self.situation.packages.content(candidate).await?);
        let body = format!("{evidence}{conflicts}{origin}{}", body(plan, silent, candidate, BY_NUMBER_OR_MERGE));
        let branch = crate::domain::revision::refs::branch(
            Lifecycle::Proposed,
            &self.situation.location.directory,
            package,
            candidate.workspace.as_str(),
        );
        self.open_with(kind, title, body, &branch, candidate.commit.clone(), plan, pending).await
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of a proposal, each from another place")]
    async fn open_with(
        &mut self,
        kind: ProposalKind,
        title: String,
        body: String,
        head_ref: &str,
        head: CommitId,
        plan: &Plan,
        pending: Option<&Proposal>,
    ) -> Result<Asked, EngineError> {
        let of_a_kind =
            |pending: &&Proposal| (pending.content.kind == ProposalKind::Delete) == (kind == ProposalKind::Delete);
        if let Some(other) = pending.filter(|pending| !of_a_kind(pending)) {
            // Whoever read the one must not agree to the other by its number.
            let reason = "something else is asked for instead".to_owned();
            let state = ProposalState::Withdrawn { reason, at: self.engine.now() };
            self.situation.forge.conclude(self.claim, other.number, state).await?;
        }
        let pending = pending.filter(of_a_kind);
        let base_commit = self.situation.agenda.base().unwrap_or_else(|| head.clone());
        let plan_json = serde_json::to_value(plan)
            .map_err(|error| EngineError::Object { what: "the plan".to_owned(), reason: error.to_string() })?;
        let content = ProposalContent {
            key: self.key(),
            kind,
            title,
            body,
            head_ref: head_ref.to_owned(),
            head,
            base_commit,
            plan: plan.id.clone(),
            plan_json,
        };
        let before = pending.and_then(consent);
        let news = before.map(|before| what_changed(&before.plan, plan)).filter(|news| !news.is_empty());
        let news = news.map(|lines| lines.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n"));
        let now = self.engine.now();
        let proposal = self.situation.forge.open_or_update(self.claim, &content, news.as_deref(), now).await?;
        if pending.is_none() && kind != ProposalKind::Delete && self.is_gone(&content.head).await? {
            // It was taken away while it was being proposed; nobody would look at the proposal again.
            let state = ProposalState::Withdrawn { reason: "its revision is gone".to_owned(), at: self.engine.now() };
            self.situation.forge.conclude(self.claim, proposal.number, state).await?;
            return Ok(Asked::Nothing);
        }
        if pending.is_none() {
            self.record("proposed", 0, Some(&plan.declared), Some(plan), &format!("proposal {}", proposal.number));
        } else if let Some(news) = news {
            self.record("proposal refreshed", 0, Some(&plan.declared), Some(plan), &news);
        }
        Ok(Asked::Waiting { number: proposal.number, plan: plan.id.short().to_owned() })
    }

    async fn is_gone(&self, head: &CommitId) -> Result<bool, EngineError> {
        let revisions = self.situation.packages.list().await?;
        Ok(!revisions.iter().any(|revision| revision.commit == *head))
    }

    fn note(&self, person: &Person, pending: Option<&Proposal>, plan: &Plan) -> ApprovalNote {
        let mut trailers = vec![
            ("Loggia-Sync".to_owned(), self.situation.key.to_string()),
            ("Loggia-Declared".to_owned(), plan.declared.to_string()),
            ("Loggia-Plan".to_owned(), pending.map_or(&plan.id, |proposal| &proposal.content.plan).to_string()),
        ];
        if let Some(proposal) = pending {
            trailers.push(("Loggia-Proposal".to_owned(), proposal.number.to_string()));
        }
        ApprovalNote { approver: person.clone(), trailers }
    }

    async fn publish(
        &mut self,
        candidate: &PackageRevision,
        note: &ApprovalNote,
        pending: Option<&Proposal>,
        plan: &Plan,
        outcome: &str,
    ) -> Result<Asked, EngineError> {
        let published = self.situation.packages.approve(Some(self.claim), candidate, note).await?;
        if let Some(proposal) = pending {
            let outcome = format!("published as v{}, {outcome}", published.revision);
            self.conclude(proposal, &outcome).await?;
        }
        self.record("published", published.revision, Some(&plan.declared), Some(plan), outcome);
        Ok(Asked::Published { revision: published.revision })
    }

    async fn conclude(&self, proposal: &Proposal, outcome: &str) -> Result<(), EngineError> {
        let state = ProposalState::Done { outcome: outcome.to_owned(), at: self.engine.now() };
        self.situation.forge.conclude(self.claim, proposal.number, state).await?;
        Ok(())
    }

    /// A pending proposal whose candidate is gone: it was published just before a kill, or is not wanted any more. The
    /// same for a deletion that was carried out just before a kill, or is not wanted any more.
    pub(super) async fn tidy(&mut self, report: &RolloutReport) -> Result<(), EngineError> {
        let Some(pending) = self.pending().cloned() else { return Ok(()) };
        if self.situation.agenda.all_published.is_empty() {
            let situation = self.situation;
            return self.engine.forget(self.claim, &situation.location, &situation.package, &situation.key).await;
        }
        let number = pending.number.to_string();
        if let Some(published) = &self.situation.agenda.published {
            let trailers = self.situation.packages.trailers(published).await?;
            if trailers.get("Loggia-Proposal") == Some(&number) {
                return self.conclude(&pending, &format!("published as v{}", published.revision)).await;
            }
            if pending.content.head == published.commit && pending.content.kind != ProposalKind::Delete {
                return self.tidy_targets(&pending, report).await;
            }
        }
        let reason = match pending.content.kind {
            ProposalKind::Delete => "nobody asks to delete it any more",
            _ => "its revision is gone",
        };
        let state = ProposalState::Withdrawn { reason: reason.to_owned(), at: self.engine.now() };
        self.situation.forge.conclude(self.claim, pending.number, state).await?;
        Ok(())
    }

    /// A plan for targets that what is published had not reached, or that it leaves: the rollout found nothing more to
    /// ask.
    async fn tidy_targets(&self, pending: &Proposal, report: &RolloutReport) -> Result<(), EngineError> {
        if matches!(pending.verdict, ProposalState::Approved { .. }) {
            return self.conclude(pending, "approved; applied").await;
        }
        // A target that does not answer may still need it.
        if report.targets.is_empty() || report.targets.iter().any(|row| !row.reachable) {
            return Ok(());
        }
        let state =
            ProposalState::Withdrawn { reason: "nothing of it is left to do".to_owned(), at: self.engine.now() };
        self.situation.forge.conclude(self.claim, pending.number, state).await?;
        Ok(())
    }

    /// Asks for the plans of targets that the approval of a published revision did not cover.
    pub(super) async fn unapproved(
        &mut self,
        published: &PackageRevision,
        units: &[UnitPlan],
    ) -> Result<Asked, EngineError> {
        let Some(first) = units.first() else { return Ok(Asked::Nothing) };
        let plan = Plan::new(first.declared.clone(), units.to_vec());
        let pending = self.pending().cloned();
        if let Some(approved) = pending.as_ref().filter(|p| matches!(p.verdict, ProposalState::Approved { .. }))
            && approved.content.plan == plan.id
        {
            self.conclude(approved, "approved; applying").await?;
            return Ok(Asked::Published { revision: published.revision });
        }
        if let Some(rejected) = self.rejected(&published.commit) {
            return Ok(rejected);
        }
        let title = format!("Apply {} v{}: {}", self.situation.package, published.revision, headline(&plan));
        let tag = crate::domain::revision::refs::tag(
            &self.situation.location.directory,
            &published.package,
            published.revision,
        );
        let text = body(&plan, &[], published, BY_NUMBER);
        self.open_with(ProposalKind::Publish, title, text, &tag, published.commit.clone(), &plan, pending.as_ref())
            .await
    }

    /// Asks to delete the package; gives the plan that a person agreed to, once it covers all that is left to do.
    pub(super) async fn deletion(&mut self, published: &PackageRevision) -> Result<Result<Plan, Asked>, EngineError> {
        let (plan, silent) = self.plan(None).await?;
        let pending = self.pending().cloned();
        let agreed = pending
            .as_ref()
            .filter(|p| p.content.kind == ProposalKind::Delete && matches!(p.verdict, ProposalState::Approved { .. }));
        if let Some(Consent { plan: agreed }) = agreed.and_then(consent) {
            // Pruning makes the plan shrink; what was agreed to covers every part of it, target by target.
            let is_new = |unit: &UnitPlan| matches!(gate_teardown(unit.clone(), &agreed), Gate::Stale(_));
            if !plan.units.iter().any(is_new) {
                return Ok(Ok(agreed));
            }
        }
        if let Some(rejected) = self.rejected(&published.commit) {
            return Ok(Err(rejected));
        }
        let title = format!("Delete {}: {}", self.situation.package, headline(&plan));
        let branch = crate::domain::revision::refs::branch(
            Lifecycle::DeletionProposed,
            &self.situation.location.directory,
            &published.package,
            &format!("v{}", published.revision),
        );
        let text = body(&plan, &silent, published, BY_NUMBER);
        let asked = self.open_with(
            ProposalKind::Delete,
            title,
            text,
            &branch,
            published.commit.clone(),
            &plan,
            pending.as_ref(),
        );
        Ok(Err(asked.await?))
    }

    fn record(&mut self, event: &str, revision: i64, declared: Option<&Digest>, plan: Option<&Plan>, message: &str) {
        self.state.value.record(Record {
            at: self.engine.now(),
            event: event.to_owned(),
            target: None,
            revision,
            declared: declared.cloned(),
            plan: plan.map(|plan| plan.id.clone()),
            by: MANAGER.to_owned(),
            message: message.to_owned(),
        });
    }
}

fn consent(proposal: &Proposal) -> Option<Consent> {
    serde_json::from_value(proposal.content.plan_json.clone()).ok().map(|plan| Consent { plan })
}

fn approver(proposal: &Proposal) -> Option<Person> {
    match &proposal.verdict {
        ProposalState::Approved { by, email, .. } => Some(Person { name: by.clone(), email: email.clone() }),
        _ => None,
    }
}

/// Who approves when the policy says `automatic`.
fn policy() -> Person {
    Person { name: "Loggia (approval: automatic)".to_owned(), email: "loggia@localhost".to_owned() }
}

fn headline(plan: &Plan) -> String {
    let summary = &plan.summary;
    let parts = [(summary.create, "create"), (summary.change, "change"), (summary.delete, "delete")];
    let told: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, verb)| format!("{verb} {count}")).collect();
    if told.is_empty() { "no change".to_owned() } else { told.join(", ") }
}

/// How to agree to what no branch could be merged for: a deletion, or targets that a published revision did not cover.
const BY_NUMBER: &str = "Approve it by its number with `loggia approve`.";
/// How to agree to a candidate.
const BY_NUMBER_OR_MERGE: &str =
    "Approve it by its number with `loggia approve`, or merge the branch with git and push.";

/// Which version of which blueprint a package was made from; empty when it was made from none.
fn made_from(tree: &FileTree) -> String {
    let kptfile = tree.get(FILE).and_then(|file| Kptfile::parse(FILE, &file.bytes).ok());
    let upstream = kptfile.and_then(|kptfile| kptfile.upstream).filter(|upstream| !upstream.commit.is_empty());
    let told = upstream.map(|Upstream { repo, reference, commit, .. }| {
        format!("Made from `{reference}` of {repo} at `{commit}`.\n\n")
    });
    told.unwrap_or_default()
}

fn body(plan: &Plan, silent: &[String], revision: &PackageRevision, how: &str) -> String {
    let silent: String = silent.iter().map(|line| format!("> {line}. It is not part of this plan.\n\n")).collect();
    let commit = revision.commit.short();
    format!("{silent}{}\nHead `{commit}` ({}). {how}\n", markdown(plan), revision.name)
}
