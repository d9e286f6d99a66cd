//! What a round tells the world: the status of a Sync.

use super::Outcome;
use super::propose::Asked;
use super::reconcile::Round;
use crate::domain::intent::Sync;
use crate::domain::intent::condition::{Says, folded};
use crate::domain::intent::sync::{SyncStatus, TargetRow};
use crate::domain::rollout::Proof;
use crate::domain::time::{Timestamp, rfc3339_seconds};

/// The status after a round. Times move only when what they are about does, so an unchanged status is an equal one.
#[must_use]
pub(super) fn sync_status(sync: &Sync, round: &Round, now: Timestamp) -> SyncStatus {
    let old = sync.status.clone().unwrap_or_default();
    let generation = sync.metadata.generation.unwrap_or_default();
    let rows = rows(&old, round, now);
    let proposal = match &round.asked {
        Asked::Waiting { number, .. } | Asked::Rejected { number, .. } => Some(*number),
        _ => None,
    };
    let plan = match &round.asked {
        Asked::Waiting { plan, .. } => Some(plan.clone()),
        _ => None,
    };
    let good = round.state.units.values().filter_map(|unit| unit.known_good.as_ref()).map(|good| good.revision).min();
    SyncStatus {
        conditions: folded(&old.conditions, &conditions(round), generation, now),
        observed_generation: Some(generation),
        revision: (round.revision > 0).then(|| format!("v{}", round.revision)),
        declared: round.rollout.declared.as_ref().map(|digest| digest.short().to_owned()),
        plan,
        known_good: good.map(|revision| format!("v{revision}")),
        held: round.state.holds.iter().map(|(digest, hold)| format!("{} ({})", digest.short(), hold.told())).collect(),
        proposal,
        summary: Some(summary(round)),
        targets: rows,
    }
}

fn rows(old: &SyncStatus, round: &Round, now: Timestamp) -> Vec<TargetRow> {
    if round.rollout.targets.is_empty() && !round.gone {
        // On its way out, or suspended: what was learnt last, with its time.
        return old.targets.clone();
    }
    round
        .rollout
        .targets
        .iter()
        .map(|report| {
            let health = match (&report.proof, report.reachable) {
                (_, false) => "Unreachable",
                (Proof::NotApplied, _) => "NotApplied",
                (Proof::Waiting { .. }, _) => "Waiting",
                (Proof::Failed { .. }, _) => "Failed",
                (Proof::Healthy, _) if !report.sound => "Degraded",
                (Proof::Healthy, _) => "Healthy",
            };
            let mut row = TargetRow {
                name: report.target.to_string(),
                wave: report.wave + 1,
                revision: if report.revision > 0 { format!("v{}", report.revision) } else { String::new() },
                health: health.to_owned(),
                objects: report.objects,
                message: report.message.clone(),
                observed_at: String::new(),
            };
            let same = old.targets.iter().find(|old| TargetRow { observed_at: String::new(), ..(*old).clone() } == row);
            row.observed_at = same.map_or_else(|| rfc3339_seconds(now), |old| old.observed_at.clone());
            row
        })
        .collect()
}

fn rolled_back(round: &Round) -> Vec<String> {
    round.state.units.iter().filter(|(_, unit)| unit.rolled_back).map(|(target, _)| target.to_string()).collect()
}

/// One short sentence: what waits for whom, or how it is.
fn summary(round: &Round) -> String {
    let back = rolled_back(round);
    let suffix = if back.is_empty() { String::new() } else { format!("; {} rolled back", back.join(", ")) };
    let astray =
        if round.astray { "; the branch holds what is neither published nor proposed, it is not used" } else { "" };
    let head = match (&round.outcome, &round.asked) {
        (_, Asked::Waiting { number, .. }) => format!("proposal {number} waits for you"),
        (Outcome::Settled, Asked::Rejected { number, reason }) => {
            format!("settled; proposal {number} was rejected: {reason}")
        }
        (Outcome::Settled, _) => "settled".to_owned(),
        (Outcome::Waiting { reason, .. } | Outcome::Blocked { reason }, _) => reason.clone(),
    };
    format!("{head}{suffix}{astray}").chars().take(200).collect()
}

fn conditions(round: &Round) -> Vec<Says> {
    let (settled, blocked, reason) = match &round.outcome {
        Outcome::Settled => (true, false, "everything is as declared".to_owned()),
        Outcome::Waiting { reason, .. } => (false, false, reason.clone()),
        Outcome::Blocked { reason } => (false, true, reason.clone()),
    };
    let targets = &round.rollout.targets;
    let healthy =
        !targets.is_empty() && targets.iter().all(|row| row.proof == Proof::Healthy && row.message.is_empty());
    let faults: Vec<String> = targets
        .iter()
        .filter(|row| !row.message.is_empty())
        .map(|row| format!("{}: {}", row.target, row.message))
        .collect();
    let silent = targets.iter().any(|row| !row.reachable);
    let back = rolled_back(round);
    let approved = !matches!(round.asked, Asked::Waiting { .. } | Asked::Rejected { .. });
    let word = if settled {
        "Settled"
    } else if blocked {
        "Blocked"
    } else {
        "Waiting"
    };
    let health = if silent {
        Says::unknown("Healthy", "Unreachable", faults.join("; "))
    } else {
        Says::new("Healthy", healthy, if healthy { "StayedHealthy" } else { "NotProved" }, faults.join("; "))
    };
    vec![
        Says::new("Ready", settled, word, reason.clone()),
        Says::new("Reconciling", !settled && !blocked, word, reason.clone()),
        Says::new("Stalled", blocked, word, if blocked { reason } else { String::new() }),
        Says::new("Approved", approved, if approved { "Approved" } else { "WaitsForApproval" }, ""),
        health,
        Says::new("Drifted", targets.iter().any(|row| row.drifted), "Compared", ""),
        Says::new(
            "RolledBack",
            !back.is_empty(),
            if back.is_empty() { "None" } else { "HealthFailed" },
            back.join(", "),
        ),
    ]
}
