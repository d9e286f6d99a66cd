//! The rules of single kinds.

use serde_json::{Value, json};

use super::{IMMUTABLE, amounts, get, items, scaling, selectors, storage, text};
use crate::domain::krm::base64;
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata::subdomain_fault;
use crate::domain::krm::value::{is_void, same};
use crate::domain::krm::{Gvk, Quantity};

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
        ("", "PersistentVolume") => storage::volume(object),
        ("storage.k8s.io", "StorageClass") => storage::class(object),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaler(object),
        ("policy", "PodDisruptionBudget") => budget(object),
        ("networking.k8s.io", "Ingress") => super::ingress::faults(object),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => {
            role_rules(object, gvk.kind == "Role").into_iter().chain(aggregation(object)).collect()
        }
        ("networking.k8s.io", "NetworkPolicy") => super::network::faults(object),
        ("rbac.authorization.k8s.io", "RoleBinding") => {
            [role_of(object, &["Role", "ClusterRole"]), subjects(object, true)].concat()
        }
        ("rbac.authorization.k8s.io", "ClusterRoleBinding") => {
            [role_of(object, &["ClusterRole"]), subjects(object, false)].concat()
        }
        ("coordination.k8s.io", "Lease") => lease(object),
        ("scheduling.k8s.io", "PriorityClass") => priority(object),
        ("networking.k8s.io", "IngressClass") => ingress_class(object),
        _ => Vec::new(),
    }
}

/// The group of roles and of those whom they are given to.
const RBAC: &str = "rbac.authorization.k8s.io";

fn role_of(object: &Value, known: &[&str]) -> Vec<Cause> {
    let group = get(object, "roleRef.apiGroup").filter(|group| group.as_str() != Some(RBAC));
    let group = group.map(|group| unsupported("roleRef.apiGroup", group, &[RBAC]));
    let kind = || {
        let value = get(object, "roleRef.kind")?;
        (!known.contains(&value.as_str()?)).then(|| unsupported("roleRef.kind", value, known))
    };
    group.into_iter().chain(kind()).chain(super::required(object, "roleRef.name")).collect()
}

/// Whom a binding is about. Service accounts without a namespace are those of the binding's own, where it has one.
fn subjects(object: &Value, is_namespaced: bool) -> Vec<Cause> {
    let faults = |(index, subject): (usize, &Value)| {
        let at = |field: &str| format!("subjects[{index}].{field}");
        let (name, group) = (text(subject, "name"), text(subject, "apiGroup"));
        let mut found: Vec<Cause> = name.is_empty().then(|| Cause::required(at("name"), "")).into_iter().collect();
        match text(subject, "kind") {
            "ServiceAccount" => {
                let fault = subdomain_fault(name).filter(|_| !name.is_empty());
                found.extend(fault.map(|detail| Cause::invalid(at("name"), &json!(name), detail)));
                found.extend((!group.is_empty()).then(|| unsupported(&at("apiGroup"), &json!(group), &[""])));
                let lost = !is_namespaced && text(subject, "namespace").is_empty();
                found.extend(lost.then(|| Cause::required(at("namespace"), "")));
            }
            "User" | "Group" => {
                found.extend((group != RBAC).then(|| unsupported(&at("apiGroup"), &json!(group), &[RBAC])));
            }
            other => found.push(unsupported(&at("kind"), &json!(other), &["ServiceAccount", "User", "Group"])),
        }
        found
    };
    super::items(object, "subjects").iter().enumerate().flat_map(faults).collect()
}

/// Most that people may give; what is beyond is the system's.
const MAX_PRIORITY: i64 = 1_000_000_000;
const OF_SYSTEM: [&str; 2] = ["system-node-critical", "system-cluster-critical"];

fn priority(object: &Value) -> Vec<Cause> {
    let name = word(object, "metadata.name");
    let mut found = Vec::new();
    if name.starts_with("system-") {
        let detail = format!(
            "priority class names with 'system-' prefix are reserved for system use only. error: {name} is not a known system \
             priority class"
        );
        found.extend((!OF_SYSTEM.contains(&name)).then(|| Cause::forbidden("metadata.name", &detail)));
    } else if at(object, "value").as_i64().is_some_and(|value| value > MAX_PRIORITY) {
        let detail = format!("maximum allowed value of a user defined priority is {MAX_PRIORITY}");
        found.push(Cause::forbidden("value", &detail));
    }
    let known = ["PreemptLowerPriority", "Never"];
    let odd = get(object, "preemptionPolicy").filter(|value| value.as_str().is_some_and(|one| !known.contains(&one)));
    found.extend(odd.map(|value| unsupported("preemptionPolicy", value, &known)));
    found
}

fn ingress_class(object: &Value) -> Vec<Cause> {
    let controller = word(object, "spec.controller");
    let mut found = Vec::new();
    if controller.is_empty() {
        found.push(Cause::required("spec.controller", ""));
    } else {
        found.extend(no_path_of_domain("spec.controller", controller));
    }
    if !at(object, "spec.parameters").is_null() {
        let parts = ["spec.parameters.kind", "spec.parameters.name"];
        found.extend(parts.into_iter().filter_map(|path| super::required(object, path)));
    }
    found
}

/// What is wrong with a name that begins with a domain.
pub(super) fn no_path_of_domain(path: &str, name: &str) -> Option<Cause> {
    let fits = name.split_once('/').is_some_and(|(domain, rest)| !domain.is_empty() && !rest.is_empty());
    (!fits).then(|| Cause::invalid(path, &json!(name), "must be a domain-prefixed path (such as \"acme.io/foo\")"))
}

fn lease(object: &Value) -> Vec<Cause> {
    let below = |field: &str, least: i64, detail: &str| {
        let value = get(object, field)?;
        (value.as_i64()? < least).then(|| Cause::invalid(field, value, detail))
    };
    let seconds = below("spec.leaseDurationSeconds", 1, "must be greater than 0");
    let transitions = below("spec.leaseTransitions", 0, "must be greater than or equal to 0");
    seconds.into_iter().chain(transitions).collect()
}

fn secret(object: &Value) -> Vec<Cause> {
    let data = |name: &str| get(object, "data").and_then(|data| data.get(name)?.as_str());
    let required = |name: &&str| Cause::required(format!("data[{name}]"), "");
    let absent =
        |names: &[&str]| -> Vec<Cause> { names.iter().filter(|name| data(name).is_none()).map(required).collect() };
    let account = "kubernetes.io/service-account.name";
    let mut found: Vec<Cause> = super::too_much_data(object, "data").into_iter().collect();
    found.extend(match word(object, "type") {
        "kubernetes.io/tls" => absent(&["tls.crt", "tls.key"]),
        "kubernetes.io/basic-auth" => {
            Some(absent(&["username", "password"])).filter(|all| all.len() == 2).unwrap_or_default()
        }
        "kubernetes.io/ssh-auth" if data("ssh-privatekey").is_none_or(str::is_empty) => {
            vec![required(&"ssh-privatekey")]
        }
        "kubernetes.io/dockercfg" => registry_keys(data(".dockercfg"), ".dockercfg"),
        "kubernetes.io/dockerconfigjson" => registry_keys(data(".dockerconfigjson"), ".dockerconfigjson"),
        "kubernetes.io/service-account-token"
            if at(object, "metadata.annotations").get(account).is_none_or(is_missing) =>
        {
            vec![Cause::required(format!("metadata.annotations[{account}]"), "")]
        }
        _ => Vec::new(),
    });
    found
}

/// What registries are logged in to with is JSON; what it is instead is not shown.
fn registry_keys(data: Option<&str>, name: &str) -> Vec<Cause> {
    let field = format!("data[{name}]");
    let Some(bytes) = data.map(|data| base64::decode(data).unwrap_or_default()) else {
        return vec![Cause::required(field, "")];
    };
    if serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes).is_ok() {
        return Vec::new();
    }
    let first = bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace()).map(char::from);
    let detail = first.map_or_else(
        || "unexpected end of JSON input".to_owned(),
        |first| format!("invalid character {first:?} looking for beginning of value"),
    );
    vec![Cause::invalid(field, &json!("<secret contents redacted>"), &detail)]
}

fn config_map(object: &Value) -> Vec<Cause> {
    let binary = at(object, "binaryData");
    let keys = at(object, "data").as_object().into_iter().flatten().map(|(key, _)| key);
    let twice = keys.filter(|key| binary.get(key.as_str()).is_some());
    let detail = "duplicate of key present in binaryData";
    let twice = twice.map(|key| Cause::invalid(format!("data[{key}]"), &json!(key), detail));
    twice.chain(super::too_much_data(object, "[]")).collect()
}

pub(super) const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

pub(super) fn claim(object: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    if items(object, "spec.accessModes").is_empty() {
        found.push(Cause::required("spec.accessModes", "at least 1 access mode is required"));
    }
    let modes = items(object, "spec.accessModes");
    let strange = modes.iter().filter(|mode| !mode.as_str().is_some_and(|mode| ACCESS_MODES.contains(&mode)));
    found.extend(strange.map(|mode| unsupported("spec.accessModes", mode, &ACCESS_MODES)));
    if modes.len() > 1 && modes.contains(&json!("ReadWriteOncePod")) {
        found.push(Cause::forbidden("spec.accessModes", "may not use ReadWriteOncePod with other access modes"));
    }
    let size = at(object, "spec.resources.requests.storage");
    if size.is_null() {
        found.push(Cause::required("spec.resources[storage]", ""));
    } else if Quantity::of(size).is_some_and(|size| size.nanos() <= 0) {
        found.push(Cause::invalid("spec.resources[storage]", size, "must be greater than zero"));
    }
    found.extend(selectors::faults(at(object, "spec.selector"), "spec.selector"));
    found.extend(storage::class_and_mode(object));
    found
}

pub(super) fn strategy(object: &Value) -> Vec<Cause> {
    match word(object, "spec.strategy.type") {
        "RollingUpdate" if !at(object, "spec.strategy.rollingUpdate").is_null() => amounts::rolling_update(object),
        _ => odd_strategy(object).into_iter().collect(),
    }
}

fn odd_strategy(object: &Value) -> Option<Cause> {
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
pub(super) struct Shown<'a>(pub &'a [(&'a str, Value)]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields = self.0.iter().map(|(name, value)| format!("{name:?}:{value}")).collect::<Vec<_>>();
        write!(f, "{{{}}}", fields.join(","))
    }
}

pub(super) fn invalid_text(path: &str, shown: &str, detail: &str) -> Cause {
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
    if let Some(least) = least.filter(|least| *least < 1) {
        found.push(Cause::invalid("spec.minReplicas", &json!(least), "must be greater than or equal to 1"));
    }
    if most < 1 {
        found.push(Cause::required("spec.maxReplicas", "must be set and greater than 0"));
    }
    if least.is_some_and(|least| most < least) {
        let detail = "must be greater than or equal to `minReplicas`";
        found.push(Cause::invalid("spec.maxReplicas", &json!(most), detail));
    }
    found.extend(scaling::names(object));
    let version = word(object, "spec.scaleTargetRef.apiVersion");
    // Of the core group only these can be scaled.
    if !version.contains('/') && word(object, "spec.scaleTargetRef.kind") != "ReplicationController" {
        let detail = "apiVersion must specify API group";
        found.push(Cause::invalid("spec.scaleTargetRef.apiVersion", &json!(version), detail));
    }
    found.extend(scaling::faults(object));
    found
}

fn budget(object: &Value) -> Vec<Cause> {
    let mut found: Vec<Cause> = both_counts(object).into_iter().chain(amounts::budget(object)).collect();
    found.extend(selectors::faults(at(object, "spec.selector"), "spec.selector"));
    let (policy, known) = ("spec.unhealthyPodEvictionPolicy", ["AlwaysAllow", "IfHealthyBudget"]);
    let odd = get(object, policy).filter(|value| value.as_str().is_some_and(|value| !known.contains(&value)));
    found.extend(odd.map(|value| unsupported(policy, value, &known)));
    found
}

fn both_counts(object: &Value) -> Option<Cause> {
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

fn role_rules(object: &Value, is_namespaced: bool) -> Vec<Cause> {
    let rules = items(object, "rules").iter().enumerate();
    rules.flat_map(|(at, rule)| rule_faults(rule, &format!("rules[{at}]"), is_namespaced)).collect()
}

fn rule_faults(rule: &Value, path: &str, is_namespaced: bool) -> Vec<Cause> {
    let lacks = |name: &str| items(rule, name).is_empty();
    let missing = |name: &str, detail: &str| lacks(name).then(|| Cause::required(format!("{path}.{name}"), detail));
    let mut found: Vec<Cause> = missing("verbs", "verbs must contain at least one value").into_iter().collect();
    if lacks("nonResourceURLs") {
        found.extend(missing("apiGroups", "resource rules must supply at least one api group"));
        found.extend(missing("resources", "resource rules must supply at least one resource"));
        return found;
    }
    let mut refuse = |detail: &str| {
        found.push(Cause::invalid(format!("{path}.nonResourceURLs"), at(rule, "nonResourceURLs"), detail));
    };
    if is_namespaced {
        refuse("namespaced rules cannot apply to non-resource URLs");
    }
    if !["apiGroups", "resources", "resourceNames"].into_iter().all(lacks) {
        refuse("rules cannot apply to both regular resources and non-resource URLs");
    }
    found
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
        // That there are none is told by itself.
        (changed(old, new, "spec.completions") && apart && !at(new, "spec.completions").is_null())
            .then(|| Cause::invalid("spec.completions", at(new, "spec.completions"), detail))
    } else {
        fixed(old, new, "spec.completions")
    };
    // Pods that still run were made from the template.
    let active = at(old, "status.active").as_i64().unwrap_or_default();
    let suspended = at(old, "spec.suspend") == &json!(true) && active == 0;
    let pod = |job: &Value| without_placement(at(job, "spec.template.spec"));
    let template = if suspended && same(&pod(old), &pod(new)) { None } else { fixed(old, new, "spec.template") };
    let selector = fixed(old, new, "spec.selector");
    completions.into_iter().chain(selector).chain(template).chain(fixed(old, new, "spec.completionMode")).collect()
}

/// The pod of a job without what may change before it starts: where it may run, and what it asks for there.
fn without_placement(pod: &Value) -> Value {
    let mut pod = pod.clone();
    let Some(fields) = pod.as_object_mut() else { return pod };
    for name in ["nodeSelector", "schedulingGates", "tolerations"] {
        fields.remove(name);
    }
    if let Some(affinity) = fields.get_mut("affinity").and_then(Value::as_object_mut) {
        affinity.remove("nodeAffinity");
        if affinity.is_empty() {
            fields.remove("affinity");
        }
    }
    for list in ["containers", "initContainers"] {
        let containers = fields.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for container in containers.filter_map(Value::as_object_mut) {
            container.remove("resources");
        }
    }
    pod
}

/// Whether a field that must be there says nothing.
pub(super) fn is_missing(value: &Value) -> bool {
    is_void(value) || value == ""
}
