//! Cells of workloads, storage, nodes, budgets, roles and events.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;
use super::read::{NONE, condition, entries, has, is_true, list, number, or_none, plain, text, texts};

/// `ready/wanted`; a workload that does not say how many it wants has one.
pub(super) fn ready_of_replicas(object: &Value, _: Timestamp) -> Value {
    let wanted = object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1);
    json!(format!("{}/{wanted}", number(object, "/status/readyReplicas")))
}

pub(super) fn job_status(job: &Value, _: Timestamp) -> Value {
    let named = |names: &[&'static str]| names.iter().copied().find(|name| is_true(job, name));
    let before = named(&["Complete", "Failed"]);
    let ending = has(job, "/metadata/deletionTimestamp").then_some("Terminating");
    let after = || named(&["Suspended", "FailureTarget", "SuccessCriteriaMet"]);
    json!(before.or(ending).or_else(after).unwrap_or("Running"))
}

pub(super) fn job_completions(job: &Value, _: Timestamp) -> Value {
    let done = number(job, "/status/succeeded");
    let parallel = number(job, "/spec/parallelism");
    match job.pointer("/spec/completions").and_then(Value::as_i64) {
        Some(wanted) => json!(format!("{done}/{wanted}")),
        None if parallel > 1 => json!(format!("{done}/1 of {parallel}")),
        None => json!(format!("{done}/1")),
    }
}

pub(super) fn job_duration(job: &Value, now: Timestamp) -> Value {
    let instant = |pointer| text(job, pointer).parse::<Timestamp>().ok();
    let Some(start) = instant("/status/startTime") else { return json!("") };
    json!(age::human(instant("/status/completionTime").unwrap_or(now).duration_since(start)))
}

pub(super) fn cron_time_zone(cron: &Value, _: Timestamp) -> Value {
    or_none(text(cron, "/spec/timeZone"))
}

pub(super) fn cron_suspend(cron: &Value, _: Timestamp) -> Value {
    json!(if cron.pointer("/spec/suspend") == Some(&Value::Bool(true)) { "True" } else { "False" })
}

pub(super) fn cron_active(cron: &Value, _: Timestamp) -> Value {
    json!(list(cron, "/status/active").len())
}

pub(super) fn cron_last(cron: &Value, now: Timestamp) -> Value {
    match text(cron, "/status/lastScheduleTime") {
        "" => json!(NONE),
        last => json!(age::since(last, now)),
    }
}

fn job_template(cron: &Value, field: &str) -> Value {
    let containers = list(cron, "/spec/jobTemplate/spec/template/spec/containers");
    json!(containers.iter().map(|c| text(c, field)).collect::<Vec<_>>().join(","))
}

pub(super) fn cron_containers(cron: &Value, _: Timestamp) -> Value {
    job_template(cron, "/name")
}

pub(super) fn cron_images(cron: &Value, _: Timestamp) -> Value {
    job_template(cron, "/image")
}

pub(super) fn cron_selector(cron: &Value, _: Timestamp) -> Value {
    or_none(&super::read::label_selector(cron.pointer("/spec/jobTemplate/spec/selector")))
}

pub(super) fn node_selector(object: &Value, _: Timestamp) -> Value {
    super::read::labels(object, "/spec/template/spec/nodeSelector")
}

pub(super) fn key_count(object: &Value, _: Timestamp) -> Value {
    json!(entries(object, "/data").count() + entries(object, "/binaryData").count())
}

pub(super) fn claim_status(claim: &Value, _: Timestamp) -> Value {
    let ending = has(claim, "/metadata/deletionTimestamp");
    json!(if ending { "Terminating" } else { text(claim, "/status/phase") })
}

fn if_bound<'v>(claim: &Value, shown: &'v str) -> &'v str {
    if text(claim, "/spec/volumeName").is_empty() { "" } else { shown }
}

pub(super) fn claim_capacity(claim: &Value, _: Timestamp) -> Value {
    json!(if_bound(claim, text(claim, "/status/capacity/storage")))
}

fn modes(object: &Value, pointer: &str) -> String {
    let short = |mode| match mode {
        "ReadWriteOnce" => "RWO",
        "ReadOnlyMany" => "ROX",
        "ReadWriteMany" => "RWX",
        "ReadWriteOncePod" => "RWOP",
        other => other,
    };
    texts(object, pointer).into_iter().map(short).collect::<Vec<_>>().join(",")
}

pub(super) fn claim_modes(claim: &Value, _: Timestamp) -> Value {
    json!(if_bound(claim, &modes(claim, "/status/accessModes")))
}

pub(super) fn attributes_class(claim: &Value, _: Timestamp) -> Value {
    let class = text(claim, "/spec/volumeAttributesClassName");
    json!(if class.is_empty() { "<unset>" } else { class })
}

pub(super) fn node_status(node: &Value, _: Timestamp) -> Value {
    let ready = match condition(node, "Ready") {
        Some(ready) if text(ready, "/status") == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let cordoned = node.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
    json!(if cordoned { format!("{ready},SchedulingDisabled") } else { ready.to_owned() })
}

pub(super) fn node_roles(node: &Value, _: Timestamp) -> Value {
    let role = |(key, value): (&String, &Value)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) if !role.is_empty() => Some(role.to_owned()),
        _ if key == "kubernetes.io/role" => value.as_str().map(str::to_owned),
        _ => None,
    };
    let roles: std::collections::BTreeSet<String> = entries(node, "/metadata/labels").filter_map(role).collect();
    or_none(&roles.into_iter().collect::<Vec<_>>().join(","))
}

fn node_address(node: &Value, kind: &str) -> Value {
    let found = list(node, "/status/addresses").iter().find(|a| text(a, "/type") == kind);
    or_none(found.map_or("", |a| text(a, "/address")))
}

/// A word about a node that its kubelet tells.
pub(super) fn node_info(node: &Value, name: &str) -> Value {
    let told = node.pointer("/status/nodeInfo").and_then(|info| info.get(name)).and_then(Value::as_str);
    json!(told.filter(|text| !text.is_empty()).unwrap_or("<unknown>"))
}

pub(super) fn node_internal_ip(node: &Value, _: Timestamp) -> Value {
    node_address(node, "InternalIP")
}

pub(super) fn node_external_ip(node: &Value, _: Timestamp) -> Value {
    node_address(node, "ExternalIP")
}

/// One side of a quota: requests and counts, or limits.
fn quota(quota: &Value, limits: bool) -> Value {
    let shown = |(name, hard): (&String, &Value)| {
        let used = quota.pointer("/status/used").and_then(|used| plain(used.get(name)));
        format!("{name}: {}/{}", used.as_deref().unwrap_or("0"), plain(Some(hard)).unwrap_or_default())
    };
    let side = entries(quota, "/status/hard").filter(|(name, _)| name.starts_with("limits") == limits);
    json!(side.map(shown).collect::<Vec<_>>().join(", "))
}

pub(super) fn quota_requests(object: &Value, _: Timestamp) -> Value {
    quota(object, false)
}

pub(super) fn quota_limits(object: &Value, _: Timestamp) -> Value {
    quota(object, true)
}

fn bound(budget: &Value, pointer: &str) -> Value {
    json!(plain(budget.pointer(pointer)).unwrap_or_else(|| "N/A".to_owned()))
}

pub(super) fn min_available(budget: &Value, _: Timestamp) -> Value {
    bound(budget, "/spec/minAvailable")
}

pub(super) fn max_unavailable(budget: &Value, _: Timestamp) -> Value {
    bound(budget, "/spec/maxUnavailable")
}

pub(super) fn scaler_reference(scaler: &Value, _: Timestamp) -> Value {
    json!(format!("{}/{}", text(scaler, "/spec/scaleTargetRef/kind"), text(scaler, "/spec/scaleTargetRef/name")))
}

/// Resource metrics with their current value when it is known; other kinds of metric are only named.
pub(super) fn scaler_targets(scaler: &Value, _: Timestamp) -> Value {
    let current = list(scaler, "/status/currentMetrics");
    let shown = |(index, metric): (usize, &Value)| {
        let kind = text(metric, "/type");
        if kind != "Resource" {
            return format!("{}: <unknown>", kind.to_lowercase());
        }
        let now = current.get(index).map_or(&Value::Null, |m| m.pointer("/resource/current").unwrap_or(&Value::Null));
        let target = metric.pointer("/resource/target").unwrap_or(&Value::Null);
        let unknown = || "<unknown>".to_owned();
        let (now, target) = (amount(now).unwrap_or_else(unknown), amount(target).unwrap_or_else(unknown));
        format!("{}: {now}/{target}", text(metric, "/resource/name"))
    };
    or_none(&list(scaler, "/spec/metrics").iter().enumerate().map(shown).collect::<Vec<_>>().join(", "))
}

fn amount(value: &Value) -> Option<String> {
    let percent = plain(value.get("averageUtilization")).map(|percent| format!("{percent}%"));
    percent.or_else(|| plain(value.get("averageValue")))
}

pub(super) fn scaler_min(scaler: &Value, _: Timestamp) -> Value {
    json!(plain(scaler.pointer("/spec/minReplicas")).unwrap_or_else(|| "<unset>".to_owned()))
}

pub(super) fn role(binding: &Value, _: Timestamp) -> Value {
    json!(format!("{}/{}", text(binding, "/roleRef/kind"), text(binding, "/roleRef/name")))
}

fn subjects(binding: &Value, kind: &str) -> Value {
    let named = |subject: &Value| match text(subject, "/namespace") {
        "" => text(subject, "/name").to_owned(),
        namespace => format!("{namespace}/{}", text(subject, "/name")),
    };
    let of_kind = list(binding, "/subjects").iter().filter(|s| text(s, "/kind") == kind);
    json!(of_kind.map(named).collect::<Vec<_>>().join(", "))
}

pub(super) fn users(binding: &Value, _: Timestamp) -> Value {
    subjects(binding, "User")
}

pub(super) fn groups(binding: &Value, _: Timestamp) -> Value {
    subjects(binding, "Group")
}

pub(super) fn service_accounts(binding: &Value, _: Timestamp) -> Value {
    subjects(binding, "ServiceAccount")
}

pub(super) fn volume_modes(volume: &Value, _: Timestamp) -> Value {
    json!(modes(volume, "/spec/accessModes"))
}

pub(super) fn volume_claim(volume: &Value, _: Timestamp) -> Value {
    let claim = |field: &str| text(volume, &format!("/spec/claimRef/{field}")).to_owned();
    json!(if has(volume, "/spec/claimRef") {
        format!("{}/{}", claim("namespace"), claim("name"))
    } else {
        String::new()
    })
}

pub(super) fn storage_class_name(class: &Value, _: Timestamp) -> Value {
    let annotation = text(class, "/metadata/annotations/storageclass.kubernetes.io~1is-default-class");
    let name = text(class, "/metadata/name");
    json!(if annotation == "true" { format!("{name} (default)") } else { name.to_owned() })
}

/// `statefulset.apps/db`, the object that a revision belongs to.
pub(super) fn revision_controller(revision: &Value, _: Timestamp) -> Value {
    let owner = list(revision, "/metadata/ownerReferences").iter().find(|owner| owner["controller"] == true);
    let shown = owner.map(|owner| {
        let group = text(owner, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
        let dot = if group.is_empty() { "" } else { "." };
        format!("{}{dot}{group}/{}", text(owner, "/kind").to_lowercase(), text(owner, "/name"))
    });
    or_none(&shown.unwrap_or_default())
}
