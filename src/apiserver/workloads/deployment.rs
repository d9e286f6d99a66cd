//! The `Deployment` controller: one `ReplicaSet` per pod template, moved from the old to the new within `maxSurge` and
//! `maxUnavailable`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::event;
use super::parts::{
    MAX_PODS, controller_of, is_terminating, name, namespace, number, number_or, put, template_hash, text, wished,
    with_status,
};
use super::progress;
use super::write::{Steps, Write};

pub(super) const HASH: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// A replica set with the size that this step gives it.
struct Sizing<'a> {
    set: &'a Value,
    size: i64,
}

impl Sizing<'_> {
    fn was(&self) -> i64 {
        wished(self.set)
    }

    fn available(&self) -> i64 {
        number(self.set, "/status/availableReplicas")
    }
}

/// How many pods there may be during an update.
struct Limits {
    desired: i64,
    surge: i64,
    unavailable: i64,
    recreate: bool,
}

/// One round: the new replica set exists with its revision, sizes move, old ones beyond the history go, status is told.
#[must_use]
pub fn step(deployment: &Value, sets: &[&Value], now: Timestamp) -> Steps {
    if is_terminating(deployment) {
        return Steps::default();
    }
    let limits = Limits::of(deployment);
    let (new, old) = split(deployment, sets);
    let revision = old.iter().map(|set| revision_of(set)).max().unwrap_or_default() + 1;
    let revision = new.map_or(revision, |new| revision_of(new).max(revision));
    let mut writes = Vec::new();
    let paused = deployment.pointer("/spec/paused") == Some(&Value::Bool(true));
    match new {
        None if paused => {}
        None => writes.extend(created(deployment, &old, &limits, revision, now)),
        Some(new) => writes.extend(moved(deployment, new, &old, &limits, revision, paused, now)),
    }
    let told =
        progress::Observed { deployment, new, old: &old, desired: limits.desired, max_unavailable: limits.unavailable };
    let (status, again) = told.status(now);
    if progress::is_complete(&status, limits.desired) {
        writes.extend(forgotten(deployment, &old));
    }
    writes.extend(revised(deployment, revision, status));
    Steps { writes, again }
}

impl Limits {
    fn of(deployment: &Value) -> Self {
        let desired = wished(deployment);
        let recreate = text(deployment, "/spec/strategy/type") == "Recreate";
        let part = |field: &str| deployment.pointer(&format!("/spec/strategy/rollingUpdate/{field}"));
        let surge = resolve(part("maxSurge"), desired, true);
        let unavailable = resolve(part("maxUnavailable"), desired, false);
        let unavailable = if surge == 0 && unavailable == 0 { 1 } else { unavailable.min(desired) };
        if recreate {
            return Self { desired, surge: 0, unavailable: 0, recreate };
        }
        Self { desired, surge, unavailable, recreate }
    }
}

/// A number or a percentage (of `desired`; the default is 25%), rounded up or down.
fn resolve(value: Option<&Value>, desired: i64, up: bool) -> i64 {
    let percent = |percent: i64| (desired * percent + if up { 99 } else { 0 }) / 100;
    match value {
        Some(Value::Number(number)) => number.as_i64().unwrap_or_default().clamp(0, MAX_PODS),
        Some(Value::String(text)) => {
            text.strip_suffix('%').and_then(|p| p.parse::<i32>().ok()).map_or(0, |p| percent(i64::from(p)))
        }
        _ => percent(25),
    }
}

/// The replica set of the present template (the oldest when there are more), and all others, oldest first.
fn split<'a>(deployment: &Value, sets: &[&'a Value]) -> (Option<&'a Value>, Vec<&'a Value>) {
    let mut sets: Vec<&Value> = sets.to_vec();
    sets.sort_by_key(|set| (text(set, "/metadata/creationTimestamp").to_owned(), name(set).to_owned()));
    let wanted = bare(&deployment["spec"]["template"]);
    let new = sets.iter().position(|set| !is_terminating(set) && bare(&set["spec"]["template"]) == wanted);
    let new = new.map(|at| sets.remove(at));
    (new, sets)
}

/// A template without the hash label and the empty instant that some clients add.
fn bare(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
        if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
            labels.remove(HASH);
        }
    }
    template
}

fn revision_of(object: &Value) -> i64 {
    object["metadata"]["annotations"][REVISION].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Sets an annotation; says whether that changed it.
fn annotate(object: &mut Value, key: &str, value: &str) -> bool {
    let changed = object["metadata"]["annotations"][key] != value;
    if changed {
        put(object, &["metadata", "annotations", key], json!(value));
    }
    changed
}

/// The write that tells the status. The revision goes with it: an annotation by itself would count as a new generation.
fn revised(deployment: &Value, revision: i64, status: Value) -> Option<Write> {
    let mut next = deployment.clone();
    if annotate(&mut next, REVISION, &revision.to_string()) {
        return Some(Write::Status(with_status(&next, status)));
    }
    Write::status_of(deployment, status)
}

fn created(deployment: &Value, old: &[&Value], limits: &Limits, revision: i64, now: Timestamp) -> Vec<Write> {
    let old_pods: i64 = old.iter().map(|set| wished(set)).sum();
    let hash = template_hash(&bare(&deployment["spec"]["template"]));
    let mut template = deployment["spec"]["template"].clone();
    put(&mut template, &["metadata", "labels", HASH], json!(hash));
    let mut selector = deployment["spec"]["selector"].clone();
    put(&mut selector, &["matchLabels", HASH], json!(hash));
    let size = if limits.recreate && old_pods > 0 { 0 } else { grown(0, old_pods, limits) };
    let mut set = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": format!("{}-{hash}", name(deployment)),
            "namespace": namespace(deployment),
            "labels": template["metadata"]["labels"],
            "annotations": {
                REVISION: revision.to_string(),
                DESIRED: limits.desired.to_string(),
                MAX: (limits.desired + limits.surge).to_string(),
            },
            "ownerReferences": controller_of(deployment),
        },
        "spec": {"replicas": size, "selector": selector, "template": template},
    });
    if let Some(seconds) = deployment.pointer("/spec/minReadySeconds") {
        set["spec"]["minReadySeconds"] = seconds.clone();
    }
    let event = (size > 0).then(|| scaled(deployment, &set, 0, size, now));
    std::iter::once(Write::Create(set)).chain(event).collect()
}

/// The size of the new replica set, as large as the surge lets it be beside `others` pods.
fn grown(size: i64, others: i64, limits: &Limits) -> i64 {
    if size >= limits.desired || limits.recreate {
        return limits.desired;
    }
    let room = limits.desired + limits.surge - size - others;
    size + room.min(limits.desired - size).max(0)
}

fn moved(
    deployment: &Value,
    new: &Value,
    old: &[&Value],
    limits: &Limits,
    revision: i64,
    paused: bool,
    now: Timestamp,
) -> Vec<Write> {
    let size = |set| Sizing { set, size: wished(set) };
    let (mut new, mut old) = (size(new), old.iter().map(|set| size(set)).collect::<Vec<_>>());
    if paused {
        resize_paused(&mut new, &old, limits);
    } else if limits.recreate {
        for set in &mut old {
            set.size = 0;
        }
        if old.iter().all(|set| number(set.set, "/status/replicas") == 0 && set.was() == 0) {
            new.size = limits.desired;
        }
    } else {
        new.size = grown(new.size, old.iter().map(Sizing::was).sum(), limits);
        if new.size == new.was() {
            shrink(&new, &mut old, limits);
        }
    }
    let new_write = resized(deployment, &new, limits, Some(revision), now);
    let old_writes = old.iter().flat_map(|set| resized(deployment, set, limits, None, now));
    new_write.into_iter().chain(old_writes).collect()
}

/// While a rollout is paused only a change of the wished size matters, and it goes to the only set that runs.
fn resize_paused(new: &mut Sizing<'_>, old: &[Sizing<'_>], limits: &Limits) {
    if old.iter().all(|set| set.was() == 0) {
        new.size = limits.desired;
    }
}

/// Takes pods from the old sets: first those that are not available, then as many as the available ones of all sets
/// allow.
fn shrink(new: &Sizing<'_>, old: &mut [Sizing<'_>], limits: &Limits) {
    let old_pods: i64 = old.iter().map(Sizing::was).sum();
    let least = limits.desired - limits.unavailable;
    let mut spare = new.was() + old_pods - least - (new.was() - new.available()).max(0);
    if spare <= 0 {
        return;
    }
    for set in old.iter_mut() {
        let sick = (set.size - set.available()).max(0).min(spare);
        set.size -= sick;
        spare -= sick;
    }
    let healthy = |set: &Sizing<'_>| set.available().min(set.size);
    let mut room = new.available() + old.iter().map(healthy).sum::<i64>() - least;
    for set in old.iter_mut() {
        let taken = set.size.min(room).max(0);
        set.size -= taken;
        room -= taken;
    }
}

/// The write that gives a replica set its size, annotations and, for the new one, its revision; none when it has them.
fn resized(deployment: &Value, set: &Sizing<'_>, limits: &Limits, revision: Option<i64>, now: Timestamp) -> Vec<Write> {
    let mut next = set.set.clone();
    let scaled_now = set.size != set.was();
    put(&mut next, &["spec", "replicas"], json!(set.size));
    let mut changed = scaled_now;
    if let Some(revision) = revision {
        changed |= annotate(&mut next, REVISION, &revision.to_string());
    }
    if set.size > 0 {
        changed |= annotate(&mut next, DESIRED, &limits.desired.to_string());
        changed |= annotate(&mut next, MAX, &(limits.desired + limits.surge).to_string());
    }
    let min_ready = deployment.pointer("/spec/minReadySeconds");
    if revision.is_some() && next.pointer("/spec/minReadySeconds") != min_ready {
        changed = true;
        put(&mut next, &["spec", "minReadySeconds"], min_ready.cloned().unwrap_or(json!(0)));
    }
    let event = scaled_now.then(|| scaled(deployment, set.set, set.was(), set.size, now));
    changed.then_some(Write::Update(next)).into_iter().chain(event).collect()
}

fn scaled(deployment: &Value, set: &Value, from: i64, to: i64, now: Timestamp) -> Write {
    let direction = if to > from { "up" } else { "down" };
    let message = format!("Scaled {direction} replica set {} from {from} to {to}", name(set));
    event::of(deployment, event::NORMAL, "ScalingReplicaSet", &message, "deployment-controller", now)
}

/// Empty old replica sets beyond `revisionHistoryLimit` (default 10), lowest revision first.
fn forgotten(deployment: &Value, old: &[&Value]) -> Vec<Write> {
    let empty = |set: &&&Value| wished(set) == 0 && number(set, "/status/replicas") == 0 && !is_terminating(set);
    let mut empty: Vec<&Value> = old.iter().filter(empty).copied().collect();
    empty.sort_by_key(|set| revision_of(set));
    let limit = usize::try_from(number_or(deployment, "/spec/revisionHistoryLimit", 10)).unwrap_or_default();
    let count = empty.len().saturating_sub(limit);
    empty.into_iter().take(count).map(Write::delete).collect()
}
