//! The status of a Deployment: counts, `Available`, and `Progressing` with its deadline.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::parts::{condition, instant, list, name, number, number_or, plus, text, transition, wished, without_zeros};
use crate::domain::time::rfc3339_seconds;

/// What a Deployment looks like to its controller.
pub(super) struct Observed<'a> {
    pub(super) deployment: &'a Value,
    pub(super) new: Option<&'a Value>,
    pub(super) old: &'a [&'a Value],
    pub(super) desired: i64,
    pub(super) max_unavailable: i64,
}

/// Whether all wished pods, and no others, run the present template and are available.
pub(super) fn is_complete(status: &Value, desired: i64) -> bool {
    ["/replicas", "/updatedReplicas", "/availableReplicas"].iter().all(|field| number(status, field) == desired)
}

impl Observed<'_> {
    /// The status, and when the deadline for progress ends.
    pub(super) fn status(&self, now: Timestamp) -> (Value, Option<Timestamp>) {
        let mut status = self.counts();
        let (progressing, again) = self.progressing(&status, now);
        let others = list(self.deployment, "/status/conditions");
        let kept = others.iter().filter(|c| !matches!(text(c, "/type"), "Available" | "Progressing")).cloned();
        let ours = [Some(self.available(&status, now)), progressing];
        status["conditions"] = kept.chain(ours.into_iter().flatten()).collect();
        (status, again)
    }

    fn counts(&self) -> Value {
        let all = || self.new.into_iter().chain(self.old.iter().copied());
        let sum = |field: &str| all().map(|set| number(set, field)).sum::<i64>();
        let wished: i64 = all().map(wished).sum();
        let available = sum("/status/availableReplicas");
        without_zeros(json!({
            "observedGeneration": number(self.deployment, "/metadata/generation"),
            "replicas": sum("/status/replicas"),
            "updatedReplicas": self.new.map_or(0, |new| number(new, "/status/replicas")),
            "readyReplicas": sum("/status/readyReplicas"),
            "availableReplicas": available,
            "unavailableReplicas": (wished.max(if self.new.is_none() { self.desired } else { 0 }) - available).max(0),
        }))
    }

    fn available(&self, status: &Value, now: Timestamp) -> Value {
        let enough = number(status, "/availableReplicas") >= self.desired - self.max_unavailable;
        let (reason, message) = if enough {
            ("MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        self.dated("Available", enough, reason, message, now)
    }

    /// A condition of a Deployment has a time of its last update too; it moves only when the condition says something
    /// else.
    fn dated(&self, kind: &str, status: bool, reason: &str, message: &str, now: Timestamp) -> Value {
        let mut next = transition(self.deployment, kind, status, reason, message, now);
        let before = condition(self.deployment, kind);
        let same = before.filter(|c| text(c, "/reason") == reason && text(c, "/message") == message);
        let same = same.filter(|c| c["status"] == next["status"]);
        let updated = same.map_or_else(|| rfc3339_seconds(now), |c| text(c, "/lastUpdateTime").to_owned());
        next["lastUpdateTime"] = json!(updated);
        next
    }

    fn progressing(&self, status: &Value, now: Timestamp) -> (Option<Value>, Option<Timestamp>) {
        let deadline = number_or(self.deployment, "/spec/progressDeadlineSeconds", 600);
        let before = condition(self.deployment, "Progressing");
        let paused = self.deployment.pointer("/spec/paused") == Some(&Value::Bool(true));
        let Some(new) = self.new else { return (before.cloned(), None) };
        if paused {
            let told = self.dated("Progressing", true, "DeploymentPaused", "Deployment is paused", now);
            return (Some(json!({"status": "Unknown"})).map(|unknown| merged(told, &unknown)), None);
        }
        let set = name(new);
        let say = |ok, reason, message: String| self.dated("Progressing", ok, reason, &message, now);
        let available = || format!("ReplicaSet \"{set}\" has successfully progressed.");
        if is_complete(status, self.desired) {
            return (Some(say(true, "NewReplicaSetAvailable", available())), None);
        }
        if before.is_some_and(|c| text(c, "/reason") == "NewReplicaSetAvailable" && text(c, "/message") == available())
        {
            return (before.cloned(), None);
        }
        let Some(before) = before.filter(|c| text(c, "/message").contains(&format!("\"{set}\""))) else {
            let created = say(true, "NewReplicaSetCreated", format!("Created new replica set \"{set}\""));
            return (Some(created), Some(plus(now, deadline)));
        };
        if self.moved(status) {
            let mut told = say(true, "ReplicaSetUpdated", format!("ReplicaSet \"{set}\" is progressing."));
            told["lastUpdateTime"] = json!(rfc3339_seconds(now));
            return (Some(told), Some(plus(now, deadline)));
        }
        let end = instant(before, "/lastUpdateTime").map_or(now, |at| plus(at, deadline));
        let late = text(before, "/reason") == "ProgressDeadlineExceeded";
        if late || end <= now {
            let message = format!("ReplicaSet \"{set}\" has timed out progressing.");
            return (Some(say(false, "ProgressDeadlineExceeded", message)), None);
        }
        (Some(before.clone()), Some(end))
    }

    /// Whether something got better since the last status.
    fn moved(&self, status: &Value) -> bool {
        let before = self.deployment.get("status").unwrap_or(&Value::Null);
        let outdated = |status: &Value| number(status, "/replicas") - number(status, "/updatedReplicas");
        let grew = |field: &str| number(status, field) > number(before, field);
        grew("/updatedReplicas")
            || outdated(status) < outdated(before)
            || grew("/readyReplicas")
            || grew("/availableReplicas")
    }
}

fn merged(mut base: Value, over: &Value) -> Value {
    if let (Some(base), Some(over)) = (base.as_object_mut(), over.as_object()) {
        base.extend(over.clone());
    }
    base
}
