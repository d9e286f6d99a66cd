//! The rules of pods and of what makes them.

use serde_json::{Value, json};

use super::kinds::{self, unsupported};
use super::pod_spec::faults as pod_spec;
use super::{amounts, get, items, jobs, required, schedule, selectors, stateful, text};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata;
use crate::domain::krm::selector::LabelSelector;
use crate::domain::krm::value::is_void;

/// What is wrong with a workload of `apps`.
pub(super) fn workload(kind: &str, object: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    match kind {
        "DaemonSet" => {
            found.extend(unmatched(object));
            found.extend(empty_selector(object, "daemonset"));
        }
        "StatefulSet" => {
            found.extend(kinds::update_strategy(object));
            found.extend(stateful::faults(object));
            found.extend(negative(object, "spec.replicas"));
            found.extend(negative(object, "spec.minReadySeconds"));
            found.extend(selector(object, "statefulset"));
        }
        _ => {
            found.extend(negative(object, "spec.replicas"));
            if kind == "ReplicaSet" {
                found.extend(negative(object, "spec.minReadySeconds"));
            }
            found.extend(selector(object, "deployment"));
        }
    }
    let strange = selectors::faults(kinds::at(object, "spec.selector"), "spec.selector");
    if !strange.is_empty() {
        // What cannot be selected is not looked at.
        found.retain(|cause| cause.field != "spec.template.metadata.labels");
        found.extend(strange);
        if kind != "DaemonSet" {
            let selector = kinds::at(object, "spec.selector");
            found.push(Cause::invalid("spec.selector", selector, "invalid label selector"));
            return found;
        }
    }
    found.extend(labels_of_template(object));
    // A stateful set names the hosts of its pods itself.
    let own = |cause: &Cause| kind == "StatefulSet" && cause.field.ends_with(".hostname");
    let named = |cause: &Cause| kind == "StatefulSet" && cause.field.ends_with(".subdomain");
    found.extend(template(object, "spec.template.spec").into_iter().filter(|cause| !own(cause) && !named(cause)));
    found.extend(lasting(object));
    found.extend(unending(object, kind));
    match kind {
        "Deployment" => {
            found.extend(kinds::strategy(object));
            found.extend(negative(object, "spec.minReadySeconds"));
            found.extend(negative(object, "spec.revisionHistoryLimit"));
            found.extend(too_hasty(object));
        }
        "DaemonSet" => {
            found.extend(negative(object, "spec.minReadySeconds"));
            found.extend(amounts::daemon_update(object));
            found.extend(negative(object, "spec.revisionHistoryLimit"));
        }
        _ => {}
    }
    found
}

/// A deployment must not fail before its pods can be ready.
fn too_hasty(object: &Value) -> Option<Cause> {
    let number = |path: &str| kinds::at(object, path).as_i64();
    let deadline = number("spec.progressDeadlineSeconds")?;
    let path = "spec.progressDeadlineSeconds";
    if deadline < 0 {
        return negative(object, path);
    }
    let is_hasty = deadline <= number("spec.minReadySeconds").unwrap_or_default();
    is_hasty.then(|| Cause::invalid(path, &json!(deadline), "must be greater than minReadySeconds"))
}

fn selector(object: &Value, word: &str) -> Vec<Cause> {
    let missing = get(object, "spec.selector").is_none_or(Value::is_null);
    let missing = missing.then(|| Cause::required("spec.selector", ""));
    missing.into_iter().chain(empty_selector(object, word)).chain(unmatched(object)).collect()
}

/// What is wrong with a pod.
pub(super) fn pod(object: &Value) -> Vec<Cause> {
    let ephemeral = no_ephemeral(object, "spec", "cannot be set on create");
    let held = !items(object, "spec.schedulingGates").is_empty() && !kinds::word(object, "spec.nodeName").is_empty();
    let detail = "cannot be set until all schedulingGates have been cleared";
    let held = held.then(|| Cause::forbidden("spec.nodeName", detail));
    pod_spec(object, "spec").into_iter().chain(padded_images(object)).chain(ephemeral).chain(held).collect()
}

/// Spaces around the image of a container. A template may have them, as it always could.
fn padded_images(pod: &Value) -> Vec<Cause> {
    let detail = "must not have leading or trailing whitespace";
    let padded = |list: &'static str| {
        let images = items(pod, list).iter().map(|container| text(container, "image")).enumerate();
        let padded = images.filter(|(_, image)| image.trim() != *image);
        padded.map(move |(at, image)| Cause::invalid(format!("{list}[{at}].image"), &json!(image), detail))
    };
    ["spec.containers", "spec.initContainers"].into_iter().flat_map(padded).collect()
}

/// What is wrong with a template of pods whose spec is at a path.
fn template(object: &Value, path: &str) -> Vec<Cause> {
    let ephemeral = no_ephemeral(object, path, "ephemeral containers not allowed in pod template");
    pod_spec(object, path).into_iter().chain(ephemeral).collect()
}

/// What is wrong with a template of pods that stands alone.
pub(super) fn pod_template(object: &Value) -> Vec<Cause> {
    let labels = kinds::at(object, "template.metadata.labels").as_object().into_iter().flatten();
    let mut found = Vec::new();
    for (key, value) in labels {
        let keys = metadata::key_faults(key);
        found.extend(keys.iter().map(|detail| Cause::invalid("template.labels", &json!(key), detail)));
        let fault = value.as_str().and_then(metadata::label_value_fault);
        found.extend(fault.map(|detail| Cause::invalid("template.labels", value, detail)));
    }
    found.extend(template(object, "template.spec"));
    found
}

/// Containers that come late come to a pod that is there.
fn no_ephemeral(object: &Value, path: &str, detail: &str) -> Option<Cause> {
    let path = format!("{path}.ephemeralContainers");
    (!items(object, &path).is_empty()).then(|| Cause::forbidden(path, detail))
}

/// What is wrong with a job.
pub(super) fn job(object: &Value) -> Vec<Cause> {
    let mut found = job_spec(object, "spec");
    let missing = get(object, "spec.selector").is_none_or(Value::is_null);
    found.extend(missing.then(|| Cause::required("spec.selector", "")));
    found.extend(unmatched(object));
    found
}

/// What is wrong with a cron job.
pub(super) fn cron_job(object: &Value) -> Vec<Cause> {
    let mut found: Vec<Cause> = schedule_fault(object).into_iter().collect();
    found.extend(negative(object, "spec.startingDeadlineSeconds"));
    found.extend(kinds::concurrency(object));
    found.extend(jobs::time_zone(object));
    found.extend(job_spec(object, "spec.jobTemplate.spec"));
    let limits = ["spec.successfulJobsHistoryLimit", "spec.failedJobsHistoryLimit"];
    found.extend(limits.into_iter().filter_map(|path| negative(object, path)));
    found
}

fn schedule_fault(object: &Value) -> Option<Cause> {
    let path = "spec.schedule";
    required(object, path).or_else(|| {
        let schedule = get(object, path)?;
        Some(Cause::invalid(path, schedule, &schedule::fault(schedule.as_str()?)?))
    })
}

fn job_spec(object: &Value, path: &str) -> Vec<Cause> {
    let counts = ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"];
    let mut found: Vec<Cause> =
        counts.into_iter().filter_map(|name| negative(object, &format!("{path}.{name}"))).collect();
    found.extend(uncounted(object, path));
    found.extend(jobs::faults(object, path));
    found.extend(template(object, &format!("{path}.template.spec")));
    found.extend(restarts(object, &format!("{path}.template.spec.restartPolicy")));
    found
}

/// A job whose pods have an index says how many there are.
fn uncounted(object: &Value, path: &str) -> Option<Cause> {
    let is_indexed = kinds::word(object, &format!("{path}.completionMode")) == "Indexed";
    let field = format!("{path}.completions");
    let is_missing = kinds::at(object, &field).is_null();
    (is_indexed && is_missing).then(|| Cause::required(field, "when completion mode is Indexed"))
}

/// A job that finds its pods by its uid gives them labels that say so.
#[must_use]
pub fn labels_of_pods(job: &Value) -> Vec<Cause> {
    let manual = get(job, "spec.manualSelector") == Some(&Value::Bool(true));
    if manual || get(job, "spec.selector").is_none_or(Value::is_null) {
        return Vec::new();
    }
    let (uid, name) = (metadata::text(job, "uid"), metadata::text(job, "name"));
    let wanted = [
        ("controller-uid", uid),
        ("job-name", name),
        ("batch.kubernetes.io/controller-uid", uid),
        ("batch.kubernetes.io/job-name", name),
    ];
    let labels = get(job, "spec.template.metadata.labels");
    let fault = |(label, wanted): (&str, &str)| {
        let field = format!("spec.template.metadata.labels[{label}]");
        match labels.and_then(|labels| labels.get(label)).and_then(Value::as_str) {
            None => Some(Cause::required(field, &format!("must be '{wanted}'"))),
            Some(found) if found != wanted => {
                let shown = labels.cloned().unwrap_or_default();
                Some(Cause::invalid(field, &shown, &format!("must be '{wanted}'")))
            }
            Some(_) => None,
        }
    };
    wanted.into_iter().filter_map(fault).collect()
}

fn negative(object: &Value, path: &str) -> Option<Cause> {
    let value = get(object, path)?;
    let detail = "must be greater than or equal to 0";
    value.as_i64().filter(|&number| number < 0).map(|_| Cause::invalid(path, value, detail))
}

/// The labels of a template must be what the selector selects.
fn unmatched(object: &Value) -> Option<Cause> {
    let selector = get(object, "spec.selector");
    let template = get(object, "spec.template").cloned().unwrap_or_default();
    // No selector selects nothing, an empty one everything.
    if selector.is_some_and(|selector| !selector.is_null() && LabelSelector::of(selector).matches(&template)) {
        return None;
    }
    let labels = template.pointer("/metadata/labels").cloned().unwrap_or(Value::Null);
    Some(Cause::invalid("spec.template.metadata.labels", &labels, "`selector` does not match template `labels`"))
}

/// A selector that selects everything is none for a workload.
fn empty_selector(object: &Value, word: &str) -> Option<Cause> {
    let selector = get(object, "spec.selector").filter(|selector| selector.is_object())?;
    let empty = ["matchLabels", "matchExpressions"].iter().all(|name| selector.get(name).is_none_or(is_void));
    empty.then(|| Cause::invalid("spec.selector", selector, &format!("empty selector is invalid for {word}")))
}

/// What is kept running has pods that restart for ever.
fn lasting(object: &Value) -> Option<Cause> {
    let path = "spec.template.spec.restartPolicy";
    let value = get(object, path)?;
    (value != "Always").then(|| unsupported(path, value, &["Always"]))
}

/// What is wrong with the labels and annotations of the pods of a workload; the server leaves the metadata out of the
/// field.
fn labels_of_template(object: &Value) -> Vec<Cause> {
    let part = |name: &str| kinds::at(object, &format!("spec.template.metadata.{name}")).as_object();
    let mut found = Vec::new();
    for (key, value) in part("labels").into_iter().flatten() {
        let keys = metadata::key_faults(key);
        found.extend(keys.iter().map(|detail| Cause::invalid("spec.template.labels", &json!(key), detail)));
        let fault = value.as_str().and_then(metadata::label_value_fault);
        found.extend(fault.map(|detail| Cause::invalid("spec.template.labels", value, detail)));
    }
    for (key, _) in part("annotations").into_iter().flatten() {
        let faults = metadata::key_faults(&key.to_lowercase());
        found.extend(faults.iter().map(|detail| Cause::invalid("spec.template.annotations", &json!(key), detail)));
    }
    found
}

/// What is kept running has no deadline.
fn unending(object: &Value, kind: &str) -> Option<Cause> {
    let path = "spec.template.spec.activeDeadlineSeconds";
    let kind = if kind == "Deployment" { "ReplicaSet" } else { kind };
    let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
    (!kinds::at(object, path).is_null()).then(|| Cause::forbidden(path, &detail))
}

/// A job ends, so its pods do not restart for ever. `Always` is what a template has that says nothing.
fn restarts(object: &Value, path: &str) -> Option<Cause> {
    let forever = get(object, path)?.as_str() == Some("Always");
    forever.then(|| Cause::required(path, "valid values: \"OnFailure\", \"Never\""))
}
