//! The Job controller: pods until enough of them succeeded, or too many failed.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::parts::{
    MAX_PODS, instant, is_active, is_terminating, is_true, name, number_or, plus, pod_from, ready_since, suffix, text,
    transition, uid, without_zeros,
};
use super::write::{Steps, Write};
use crate::domain::time::rfc3339_seconds;

/// Most pods that one step creates.
const BURST: i64 = 500;
const UID_LABEL: &str = "batch.kubernetes.io/controller-uid";
const NAME_LABEL: &str = "batch.kubernetes.io/job-name";

/// Runs up to `parallelism` pods, and finishes: `Complete` after `completions` (default 1) successes,
/// `Failed` after more than `backoffLimit` (default 6) failures or `activeDeadlineSeconds`; then waits out its time to
/// live.
#[must_use]
pub fn step(job: &Value, pods: &[&Value], now: Timestamp) -> Steps {
    if is_terminating(job) {
        return Steps::default();
    }
    if ["Complete", "Failed"].iter().any(|kind| is_true(job, kind)) {
        return expired(job, now);
    }
    let mut writes = Vec::new();
    let in_phase = |phase: &str| {
        i64::try_from(pods.iter().filter(|p| text(p, "/status/phase") == phase).count()).unwrap_or(i64::MAX)
    };
    let (succeeded, failed) = (in_phase("Succeeded"), in_phase("Failed"));
    let active: Vec<&Value> = pods.iter().copied().filter(|pod| is_active(pod)).collect();
    let verdict = verdict(job, succeeded, failed, now);
    let suspended = job.pointer("/spec/suspend") == Some(&Value::Bool(true));
    let mut counts = json!({"succeeded": succeeded, "failed": failed});
    if verdict.is_some() || suspended {
        writes.extend(active.iter().map(|pod| Write::delete(pod)));
    } else {
        let missing = wished(job, succeeded) - i64::try_from(active.len()).unwrap_or(i64::MAX);
        writes.extend((0..missing.clamp(0, BURST)).map(|index| Write::Create(pod(job, index))));
        counts["active"] = json!(active.len());
        counts["ready"] = json!(active.iter().filter(|pod| ready_since(pod).is_some()).count());
    }
    let status = status(job, without_zeros(counts), verdict, suspended, now);
    writes.extend(Write::status_of(job, status));
    Steps { writes, again: deadline(job) }
}

fn completions(job: &Value) -> i64 {
    number_or(job, "/spec/completions", 1).clamp(0, i64::from(i32::MAX))
}

fn wished(job: &Value, succeeded: i64) -> i64 {
    number_or(job, "/spec/parallelism", 1).clamp(0, MAX_PODS).min(completions(job) - succeeded)
}

fn deadline(job: &Value) -> Option<Timestamp> {
    let seconds = job.pointer("/spec/activeDeadlineSeconds").and_then(Value::as_i64)?;
    instant(job, "/status/startTime").map(|at| plus(at, seconds))
}

/// How the Job ended: whether well, the reason, the message.
fn verdict(job: &Value, succeeded: i64, failed: i64, now: Timestamp) -> Option<(bool, &'static str, &'static str)> {
    if succeeded >= completions(job) {
        return Some((true, "CompletionsReached", "Reached expected number of succeeded pods"));
    }
    if failed > number_or(job, "/spec/backoffLimit", 6) {
        return Some((false, "BackoffLimitExceeded", "Job has reached the specified backoff limit"));
    }
    let late = deadline(job).is_some_and(|end| end <= now);
    late.then_some((false, "DeadlineExceeded", "Job was active longer than specified deadline"))
}

fn status(
    job: &Value,
    mut status: Value,
    verdict: Option<(bool, &str, &str)>,
    suspended: bool,
    now: Timestamp,
) -> Value {
    let start = Some(text(job, "/status/startTime")).filter(|at| !at.is_empty());
    if !suspended {
        status["startTime"] = json!(start.map_or_else(|| rfc3339_seconds(now), str::to_owned));
    }
    let told = |kind: &str, reason, message| transition(job, kind, true, reason, message, now);
    match verdict {
        Some((true, reason, message)) => {
            status["conditions"] =
                json!([told("SuccessCriteriaMet", reason, message), told("Complete", reason, message)]);
            status["completionTime"] = json!(rfc3339_seconds(now));
        }
        Some((false, reason, message)) => {
            status["conditions"] = json!([told("FailureTarget", reason, message), told("Failed", reason, message)]);
        }
        None if suspended => status["conditions"] = json!([told("Suspended", "JobSuspended", "Job suspended")]),
        None => {}
    }
    status
}

fn pod(job: &Value, index: i64) -> Value {
    let seed = format!("{}/{}/{index}", uid(job), text(job, "/metadata/resourceVersion"));
    let labels =
        [(UID_LABEL, uid(job)), (NAME_LABEL, name(job)), ("controller-uid", uid(job)), ("job-name", name(job))];
    pod_from(&job["spec"]["template"], job, &format!("{}-{}", name(job), suffix(&seed)), &labels)
}

/// A finished Job goes after `ttlSecondsAfterFinished`.
fn expired(job: &Value, now: Timestamp) -> Steps {
    let Some(seconds) = job.pointer("/spec/ttlSecondsAfterFinished").and_then(Value::as_i64) else {
        return Steps::default();
    };
    let ended = ["Complete", "Failed"].iter().find_map(|kind| {
        super::parts::condition(job, kind).and_then(|condition| instant(condition, "/lastTransitionTime"))
    });
    let Some(end) = ended.map(|at| plus(at, seconds)) else { return Steps::default() };
    if end <= now { vec![Write::delete(job)].into() } else { Steps { writes: Vec::new(), again: Some(end) } }
}
