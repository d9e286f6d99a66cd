//! The rules of single kinds.

use serde_json::{Value, json};

use super::{IMMUTABLE, get, items};
use crate::apiserver::status::Cause;
use crate::domain::krm::Gvk;
use crate::domain::krm::value::{is_void, same};

pub(super) fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    static NULL: Value = Value::Null;
    get(object, path).unwrap_or(&NULL)
}

pub(super) fn word<'a>(object: &'a Value, path: &str) -> &'a str {
    at(object, path).as_str().unwrap_or_default()
}

pub(super) fn unsupported(path: &str, value: &Value, supported: &[&str]) -> Cause {
    let supported: Vec<String> = supported.iter().map(|word| format!("{word:?}")).collect();
    Cause::not_supported(path, value, &supported)
}

/// What is wrong with an object beyond what its table says.
pub(super) fn faults(gvk: &Gvk, object: &Value) -> Vec<Cause> {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Secret") => secret(object),
        ("", "ConfigMap") => config_map(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(object),
        ("policy", "PodDisruptionBudget") => budget(object).into_iter().collect(),
        ("networking.k8s.io", "Ingress") => super::ingress::faults(object),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => {
            verbs(object).into_iter().chain(aggregation(object)).collect()
        }
        ("rbac.authorization.k8s.io", "RoleBinding") => role_of(object, &["Role", "ClusterRole"]),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => role_of(object, &["ClusterRole"]),
        _ => Vec::new(),
    }
}

fn role_of(object: &Value, known: &[&str]) -> Vec<Cause> {
    let kind = || {
        let value = get(object, "roleRef.kind")?;
        (!known.contains(&value.as_str()?)).then(|| unsupported("roleRef.kind", value, known))
    };
    kind().into_iter().chain(super::required(object, "roleRef.name")).collect()
}

fn secret(object: &Value) -> Vec<Cause> {
    let missing = |name: &&str| get(object, "data").and_then(|data| data.get(*name)).is_none();
    let required = |names: &[&str]| {
        names
            .iter()
            .filter(|name| missing(name))
            .map(|name| Cause::required(format!("data[{name}]"), ""))
            .collect::<Vec<_>>()
    };
    match word(object, "type") {
        "kubernetes.io/tls" => required(&["tls.crt", "tls.key"]),
        "kubernetes.io/basic-auth" if ["username", "password"].iter().all(missing) => {
            required(&["username", "password"])
        }
        _ => Vec::new(),
    }
}

fn config_map(object: &Value) -> Vec<Cause> {
    let binary = at(object, "binaryData");
    let keys = at(object, "data").as_object().into_iter().flatten().map(|(key, _)| key);
    let twice = keys.filter(|key| binary.get(key.as_str()).is_some());
    let detail = "duplicate of key present in binaryData";
    twice.map(|key| Cause::invalid(format!("data[{key}]"), &json!(key), detail)).collect()
}

fn claim(object: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    if items(object, "spec.accessModes").is_empty() {
        found.push(Cause::required("spec.accessModes", "at least 1 access mode is required"));
    }
    if at(object, "spec.resources.requests.storage").is_null() {
        found.push(Cause::required("spec.resources[storage]", ""));
    }
    found
}

pub(super) fn service_type(object: &Value) -> Option<Cause> {
    let known = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    let value = get(object, "spec.type")?;
    (!known.contains(&value.as_str()?)).then(|| unsupported("spec.type", value, &known))
}

pub(super) fn strategy(object: &Value) -> Option<Cause> {
    let rolling = at(object, "spec.strategy.rollingUpdate");
    match word(object, "spec.strategy.type") {
        "" | "RollingUpdate" => None,
        "Recreate" => {
            let detail = "may not be specified when strategy `type` is 'Recreate'";
            (!rolling.is_null()).then(|| Cause::forbidden("spec.strategy.rollingUpdate", detail))
        }
        other => {
            // The server shows the structure as it is inside.
            let part = |name: &str| rolling.get(name).cloned().unwrap_or_else(|| json!(0));
            let parts = [("MaxUnavailable", part("maxUnavailable")), ("MaxSurge", part("maxSurge"))];
            let rolling = if rolling.is_null() { "null".to_owned() } else { Shown(&parts).to_string() };
            let shown = format!("{{\"Type\":{other:?},\"RollingUpdate\":{rolling}}}");
            Some(unsupported_text("spec.strategy", &shown, &["Recreate", "RollingUpdate"]))
        }
    }
}

fn unsupported_text(path: &str, shown: &str, supported: &[&str]) -> Cause {
    let cause = unsupported(path, &Value::Null, supported);
    Cause { message: cause.message.replacen("null", shown, 1), ..cause }
}

/// A structure with its fields in the order of its declaration.
struct Shown<'a>(&'a [(&'a str, Value)]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields = self.0.iter().map(|(name, value)| format!("{name:?}:{value}")).collect::<Vec<_>>();
        write!(f, "{{{}}}", fields.join(","))
    }
}

fn invalid_text(path: &str, shown: &str, detail: &str) -> Cause {
    let cause = Cause::invalid(path, &Value::Null, detail);
    Cause { message: cause.message.replacen("null", shown, 1), ..cause }
}

pub(super) fn update_strategy(object: &Value) -> Option<Cause> {
    let path = "spec.updateStrategy.rollingUpdate";
    let rolling = at(object, path);
    if word(object, "spec.updateStrategy.type") == "RollingUpdate" || rolling.is_null() {
        return None;
    }
    let partition = rolling.get("partition").cloned().unwrap_or_else(|| json!(0));
    let unavailable = rolling.get("maxUnavailable").cloned().unwrap_or_default();
    let shown = Shown(&[("Partition", partition), ("MaxUnavailable", unavailable)]).to_string();
    Some(invalid_text(path, &shown, "only allowed for updateStrategy 'RollingUpdate'"))
}

pub(super) fn concurrency(object: &Value) -> Option<Cause> {
    let known = ["Allow", "Forbid", "Replace"];
    let value = get(object, "spec.concurrencyPolicy")?;
    (!known.contains(&value.as_str()?)).then(|| unsupported("spec.concurrencyPolicy", value, &known))
}

fn autoscaler(object: &Value) -> Vec<Cause> {
    let most = at(object, "spec.maxReplicas").as_i64().unwrap_or_default();
    let least = at(object, "spec.minReplicas").as_i64();
    let mut found = Vec::new();
    if most < 1 {
        found.push(Cause::required("spec.maxReplicas", "must be set and greater than 0"));
    }
    if least.is_some_and(|least| most < least) {
        let detail = "must be greater than or equal to `minReplicas`";
        found.push(Cause::invalid("spec.maxReplicas", &json!(most), detail));
    }
    found.extend(super::required(object, "spec.scaleTargetRef.kind"));
    found.extend(super::required(object, "spec.scaleTargetRef.name"));
    if word(object, "spec.scaleTargetRef.apiVersion").is_empty() {
        let detail = "apiVersion must specify API group";
        found.push(Cause::invalid("spec.scaleTargetRef.apiVersion", &json!(""), detail));
    }
    found
}

fn budget(object: &Value) -> Option<Cause> {
    let part = |name: &str| at(object, &format!("spec.{name}")).clone();
    let (least, most) = (part("minAvailable"), part("maxUnavailable"));
    if least.is_null() || most.is_null() {
        return None;
    }
    let fields = [
        ("MinAvailable", least),
        ("Selector", part("selector")),
        ("MaxUnavailable", most),
        ("UnhealthyPodEvictionPolicy", part("unhealthyPodEvictionPolicy")),
    ];
    Some(invalid_text("spec", &Shown(&fields).to_string(), "minAvailable and maxUnavailable cannot be both set"))
}

fn verbs(object: &Value) -> Vec<Cause> {
    let rules = items(object, "rules").iter().enumerate();
    let silent = rules.filter(|(_, rule)| items(rule, "verbs").is_empty());
    silent
        .map(|(at, _)| Cause::required(format!("rules[{at}].verbs"), "verbs must contain at least one value"))
        .collect()
}

/// A role that is put together from others says from which.
fn aggregation(role: &Value) -> Option<Cause> {
    let rule = get(role, "aggregationRule").filter(|rule| !rule.is_null())?;
    let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
    let selectors = "clusterRoleSelectors";
    items(rule, selectors).is_empty().then(|| Cause::required(format!("aggregationRule.{selectors}"), detail))
}

/// What is wrong with an object as a successor of another, beyond what its table says.
pub(super) fn update_faults(gvk: &Gvk, old: &Value, new: &Value) -> Vec<Cause> {
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Pod") => super::pod_update::faults(old, new),
        ("", "PersistentVolumeClaim") => claim_update(old, new),
        ("", "Service") => balancer(new).into_iter().collect(),
        ("batch", "Job") => job_update(old, new),
        ("scheduling.k8s.io", "PriorityClass") => priority_update(old, new),
        _ => Vec::new(),
    }
}

fn changed(old: &Value, new: &Value, path: &str) -> bool {
    !same(at(old, path), at(new, path))
}

fn fixed(old: &Value, new: &Value, path: &str) -> Option<Cause> {
    changed(old, new, path).then(|| Cause::invalid(path, at(new, path), IMMUTABLE))
}

fn priority_update(old: &Value, new: &Value) -> Vec<Cause> {
    let value = changed(old, new, "value").then(|| Cause::forbidden("value", "may not be changed in an update."));
    value.into_iter().chain(fixed(old, new, "preemptionPolicy")).collect()
}

fn balancer(service: &Value) -> Option<Cause> {
    let path = "status.loadBalancer.ingress";
    let odd = word(service, "spec.type") != "LoadBalancer" && !items(service, path).is_empty();
    odd.then(|| Cause::forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'"))
}

fn claim_update(old: &Value, new: &Value) -> Vec<Cause> {
    let rest = |claim: &Value| {
        let mut spec = at(claim, "spec").clone();
        if word(old, "spec.volumeName").is_empty() {
            spec["volumeName"] = Value::Null;
        }
        if at(old, "spec.storageClassName").is_null() {
            spec["storageClassName"] = Value::Null;
        }
        if word(old, "status.phase") == "Bound" {
            if at(new, "spec.resources.requests").is_object() {
                spec["resources"]["requests"]["storage"] = Value::Null;
            }
            spec["volumeAttributesClassName"] = Value::Null;
        }
        spec
    };
    let detail =
        "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
    let spec = (!same(&rest(old), &rest(new))).then(|| Cause::forbidden("spec", detail));
    let mode = fixed(old, new, "spec.volumeMode").map(|cause| Cause { field: "volumeMode".to_owned(), ..cause });
    let path = "spec.resources.requests.storage";
    let shrunk = at(new, path).is_null() && !at(old, path).is_null();
    let size = shrunk.then(|| Cause::forbidden(path, "field can not be less than status.capacity"));
    [spec, size, mode].into_iter().flatten().collect()
}

fn job_update(old: &Value, new: &Value) -> Vec<Cause> {
    let indexed = word(new, "spec.completionMode") == "Indexed";
    let completions = if indexed {
        let apart = !same(at(new, "spec.completions"), at(new, "spec.parallelism"));
        let detail = "can only be modified in tandem with spec.parallelism";
        (changed(old, new, "spec.completions") && apart)
            .then(|| Cause::invalid("spec.completions", at(new, "spec.completions"), detail))
    } else {
        fixed(old, new, "spec.completions")
    };
    let suspended = at(old, "spec.suspend") == &json!(true);
    let template = if suspended { "spec.template.spec" } else { "spec.template" };
    let others = ["spec.selector", template, "spec.completionMode"];
    completions.into_iter().chain(others.into_iter().filter_map(|path| fixed(old, new, path))).collect()
}

/// Whether a field that must be there says nothing.
pub(super) fn is_missing(value: &Value) -> bool {
    is_void(value) || value == ""
}
