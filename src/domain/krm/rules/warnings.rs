//! What the server warns of in pods and in templates of pods: it stores them, but they will not do what they say.
//!
//! Source: the answers of the API server; `pkg/api/pod/warnings.go`.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::containers::given;
use super::kinds::{at, word};
use super::{items, text};
use crate::domain::krm::metadata::label_value_faults;
use crate::domain::krm::value::same;
use crate::domain::krm::{Gvk, Quantity};

/// Billionths in one.
const ONE: i128 = 1_000_000_000;
const NO_PODS: &str = "a null labelSelector results in matching no pod";
/// Labels of nodes that have another name by now.
const OLD_LABELS: [(&str, &str, &str); 5] = [
    ("beta.kubernetes.io/arch", "v1.14", "kubernetes.io/arch"),
    ("beta.kubernetes.io/instance-type", "v1.17", "node.kubernetes.io/instance-type"),
    ("beta.kubernetes.io/os", "v1.14", "kubernetes.io/os"),
    ("failure-domain.beta.kubernetes.io/region", "v1.17", "topology.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "v1.17", "topology.kubernetes.io/zone"),
];
/// Sources of volumes that are on their way out, as they are shown.
const OLD_SOURCES: [(&str, &str, &str); 9] = [
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// What the writer of an object is warned of. Pods are changed by machines, whom nobody warns; templates are looked at
/// when anything changes that the object asks for.
#[must_use]
pub fn warnings(gvk: &Gvk, old: Option<&Value>, new: &Value) -> Vec<String> {
    let path = match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Service") => return service(new),
        ("", "Pod") if old.is_none() => "spec",
        ("", "ReplicationController")
        | ("apps", "DaemonSet" | "Deployment" | "ReplicaSet" | "StatefulSet")
        | ("batch", "Job") => "spec.template.spec",
        ("batch", "CronJob") => "spec.jobTemplate.spec.template.spec",
        ("", "PodTemplate") => "template.spec",
        _ => return Vec::new(),
    };
    let part = if gvk.kind == "PodTemplate" { "template" } else { "spec" };
    if old.is_some_and(|old| same(at(old, part), at(new, part))) {
        return Vec::new();
    }
    if gvk.kind == "StatefulSet" && at(new, "spec.revisionHistoryLimit").as_i64().is_some_and(|limit| limit < 0) {
        let why = "a negative value retains all historical revisions; a value >= 0 is recommended";
        return std::iter::once(format!("spec.revisionHistoryLimit: {why}")).chain(pod(new, path)).collect();
    }
    let mut found: Vec<String> = if gvk.kind == "Job" { many_indexes(new) } else { Vec::new() };
    found.extend(pod(new, path));
    found
}

/// What a service says in vain.
fn service(service: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if !items(service, "spec.externalIPs").is_empty() {
        found.push("spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned());
    }
    if word(service, "spec.type") != "ExternalName" && !word(service, "spec.externalName").is_empty() {
        found.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    found
}

fn many_indexes(job: &Value) -> Vec<String> {
    let number = |name: &str| at(job, &format!("spec.{name}")).as_i64().unwrap_or_default();
    let is_indexed = word(job, "spec.completionMode") == "Indexed";
    let many = is_indexed && number("completions") > 100_000 && number("parallelism") > 10_000;
    let warning = "spec: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
                   Kubernetes might not be able to track completedIndexes when a big number of indexes fail";
    many.then(|| warning.to_owned()).into_iter().collect()
}

fn pod(object: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (key, _) in at(object, &format!("{path}.nodeSelector")).as_object().into_iter().flatten() {
        found.extend(renamed(key).map(|why| format!("{path}.nodeSelector[{key}]: {why}")));
    }
    let affinity = at(object, &format!("{path}.affinity"));
    found.extend(nodes(affinity, &format!("{path}.affinity.nodeAffinity")));
    found.extend(spread(object, path));
    found.extend(volumes(object, path));
    found.extend(pull_secrets(object, path));
    found.extend(aliases(object, path));
    let lists = ["initContainers", "containers"].map(|name| format!("{path}.{name}"));
    let all: Vec<(String, &Value)> = lists
        .iter()
        .flat_map(|list| items(object, list).iter().enumerate().map(move |(at, one)| (format!("{list}[{at}]"), one)))
        .collect();
    for (path, container) in &all {
        found.extend(fractions(container, path));
        found.extend(hidden(container, path));
    }
    found.extend(ports(&all));
    found.extend(port_names(&all));
    found.extend(pods(affinity, &format!("{path}.affinity")));
    found
}

fn renamed(label: &str) -> Option<String> {
    let (_, since, new) = OLD_LABELS.into_iter().find(|(old, ..)| *old == label)?;
    Some(format!("deprecated since {since}; use {new:?} instead"))
}

fn nodes(affinity: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let required = "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    for (index, term) in items(affinity, &format!("nodeAffinity.{required}")).iter().enumerate() {
        found.extend(expressions(term, false, &format!("{path}.{required}[{index}]")));
    }
    for (index, one) in items(affinity, &format!("nodeAffinity.{preferred}")).iter().enumerate() {
        let path = format!("{path}.{preferred}[{index}].preference");
        found.extend(expressions(at(one, "preference"), true, &path));
    }
    found
}

fn expressions(term: &Value, looks_at_values: bool, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (index, one) in items(term, "matchExpressions").iter().enumerate() {
        let (path, key) = (format!("{path}.matchExpressions[{index}]"), text(one, "key"));
        found.extend(renamed(key).map(|why| format!("{path}.key: {key} is {why}")));
        for (at, value) in items(one, "values").iter().enumerate().filter(|_| looks_at_values) {
            let value = value.as_str().unwrap_or_default();
            let faults = label_value_faults(value);
            found.extend(faults.into_iter().map(|why| format!("{path}.values[{at}]: {value} is invalid, {why}")));
        }
    }
    found
}

fn spread(object: &Value, path: &str) -> Vec<String> {
    let path = format!("{path}.topologySpreadConstraints");
    let mut found = Vec::new();
    for (index, one) in items(object, &path).iter().enumerate() {
        let key = text(one, "topologyKey");
        found.extend(renamed(key).map(|why| format!("{path}[{index}].topologyKey: {key} is {why}")));
        if given(one, "labelSelector").is_none() {
            found.push(format!("{path}[{index}].labelSelector: {NO_PODS}"));
        }
    }
    found
}

fn volumes(object: &Value, path: &str) -> Vec<String> {
    let path = format!("{path}.volumes");
    let all = items(object, &path);
    let mut found = Vec::new();
    for (index, volume) in all.iter().enumerate() {
        let old = OLD_SOURCES.into_iter().filter(|(source, ..)| given(volume, source).is_some());
        found.extend(old.map(|(_, shown, why)| format!("{path}[{index}].{shown}: {why}")));
    }
    found.extend(all.iter().flat_map(overlaps));
    found
}

/// Files of a volume that lie in each other's way.
fn overlaps(volume: &Value) -> Vec<String> {
    let sources = [
        ("configMap", "ConfigMap", Some("name")),
        ("secret", "Secret", Some("secretName")),
        ("downwardAPI", "DownwardAPI", None),
    ];
    let name = text(volume, "name");
    let mut found = Vec::new();
    for (source, kind, named) in sources {
        let Some(source) = given(volume, source) else { continue };
        let kind = named.map_or_else(|| kind.to_owned(), |field| format!("{kind} {:?}", text(source, field)));
        let paths: Vec<&str> =
            items(source, "items").iter().map(|item| text(item, "path").trim_end_matches('/')).collect();
        for (index, file) in paths.iter().enumerate() {
            let before = paths[..index].iter().filter(|other| covers(other, file) || covers(file, other));
            found.extend(
                before.map(|other| format!("volume {name:?} ({kind}): overlapping paths: {file:?} with {other:?}")),
            );
        }
    }
    let is_nothing = |source: &&Value| source.as_object().is_some_and(|fields| fields.values().all(Value::is_null));
    if items(volume, "projected.sources").iter().any(|source| is_nothing(&source)) {
        found.push(format!("volume {name:?} (Projected) has no sources provided"));
    }
    found
}

fn covers(directory: &str, file: &str) -> bool {
    file.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn pull_secrets(object: &Value, path: &str) -> Vec<String> {
    let path = format!("{path}.imagePullSecrets");
    let names: Vec<&str> = items(object, &path).iter().map(|secret| text(secret, "name")).collect();
    let mut seen = BTreeSet::new();
    let again = names.iter().enumerate().filter(|(_, name)| !seen.insert(**name));
    let again = again.map(|(index, name)| format!("{path}[{index}].name: duplicate name {name:?}"));
    let mut found: Vec<String> = again.collect();
    let empty = names.iter().enumerate().filter(|(_, name)| name.is_empty());
    found.extend(empty.map(|(index, name)| format!("{path}[{index}].name: invalid empty name {name:?}")));
    found
}

fn aliases(object: &Value, path: &str) -> Vec<String> {
    let path = format!("{path}.hostAliases");
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (index, alias) in items(object, &path).iter().enumerate() {
        let ip = text(alias, "ip");
        if !seen.insert(ip) {
            found.push(format!("{path}[{index}].ip: duplicate ip {ip:?}"));
        }
        if let Ok(IpAddr::V6(address)) = ip.parse()
            && address.to_string() != ip
        {
            let short = address.to_string();
            found.push(format!(
                "{path}[{index}].ip: IPv6 address {ip:?} should be in RFC 5952 canonical format ({short:?})"
            ));
        }
    }
    found
}

/// Parts of bytes.
fn fractions(container: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for name in ["memory", "ephemeral-storage"] {
        for part in ["limits", "requests"] {
            let Some(value) = at(container, &format!("resources.{part}")).get(name) else { continue };
            let quantity = Quantity::of(value).filter(|quantity| quantity.nanos() % ONE != 0);
            let shown = quantity.map(|quantity| value.as_str().map_or_else(|| quantity.to_string(), str::to_owned));
            let field = format!("{path}.resources.{part}[{name}]");
            found.extend(
                shown.map(|shown| format!("{field}: fractional byte value {shown:?} is invalid, must be an integer")),
            );
        }
    }
    found
}

/// Variables that are set again, unless to something that holds what they were.
fn hidden(container: &Value, path: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (index, variable) in items(container, "env").iter().enumerate() {
        let (name, value) = (text(variable, "name"), text(variable, "value"));
        if seen.insert(name) {
            continue;
        }
        let itself = format!("$({name})");
        if given(variable, "valueFrom").is_some() || value == itself || !value.contains(&itself) {
            let why = "which may be dropped when using apply";
            found.push(format!("{path}.env[{index}]: hides previous definition of {name:?}, {why}"));
        }
    }
    found
}

struct Port<'a> {
    field: String,
    host: i64,
    ip: &'a str,
}

/// Ports that are the same, or that nobody can tell apart.
fn ports(containers: &[(String, &Value)]) -> Vec<String> {
    let mut known: BTreeMap<(i64, &str), Vec<Port<'_>>> = BTreeMap::new();
    let mut found = Vec::new();
    for (path, container) in containers {
        for (index, port) in items(container, "ports").iter().enumerate() {
            let number = |name: &str| at(port, name).as_i64().unwrap_or_default();
            let one =
                Port { field: format!("{path}.ports[{index}]"), host: number("hostPort"), ip: text(port, "hostIP") };
            let (inside, protocol) = (number("containerPort"), text(port, "protocol"));
            if !one.ip.is_empty() && one.host == 0 {
                let (field, name, ip) = (&one.field, text(port, "name"), one.ip);
                let shown =
                    format!("{{Name:{name} HostPort:0 ContainerPort:{inside} Protocol:{protocol} HostIP:{ip}}}");
                found.push(format!("{field}: hostIP set without hostPort: {shown}"));
            }
            let others = known.entry((inside, protocol)).or_default();
            for other in others.iter() {
                let how = match () {
                    () if one.ip == other.ip && one.host == other.host => "duplicate",
                    () if one.host == 0 || other.host == 0 => "overlapping",
                    () if one.host == other.host && (one.ip.is_empty() || other.ip.is_empty()) => {
                        "dangerously ambiguous"
                    }
                    () => continue,
                };
                found.push(format!("{}: {how} port definition with {}", one.field, other.field));
            }
            others.push(one);
        }
    }
    found
}

fn port_names(containers: &[(String, &Value)]) -> Vec<String> {
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    let mut found = Vec::new();
    for (path, container) in containers {
        for (index, port) in items(container, "ports").iter().enumerate() {
            let (field, name) = (format!("{path}.ports[{index}]"), text(port, "name"));
            match known.get(name) {
                _ if name.is_empty() => {}
                Some(first) => found.push(format!(
                    "{field}: duplicate port name {name:?} with {first}, services and probes that select ports by name will use {first}"
                )),
                None => drop(known.insert(name, field)),
            }
        }
    }
    found
}

/// Terms about other pods that match none.
fn pods(affinity: &Value, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for kind in ["podAffinity", "podAntiAffinity"] {
        for (way, term) in [("required", ""), ("preferred", ".podAffinityTerm")] {
            let list = format!("{kind}.{way}DuringSchedulingIgnoredDuringExecution");
            for (index, one) in items(affinity, &list).iter().enumerate() {
                let selector = if term.is_empty() { "labelSelector" } else { "podAffinityTerm.labelSelector" };
                if given(one, selector).is_none() {
                    found.push(format!("{path}.{list}[{index}]{term}.labelSelector: {NO_PODS}"));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(spec: &Value) -> Vec<String> {
        warnings(&Gvk::new("", "v1", "Pod"), None, &json!({"spec": spec}))
    }

    #[test]
    fn what_is_set_again_is_hidden_unless_it_is_built_upon() {
        let env = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}, {"name": "A", "value": "3"}]);
        let spec = json!({"containers": [{"env": env}]});
        assert_eq!(
            told(&spec),
            [r#"spec.containers[0].env[2]: hides previous definition of "A", which may be dropped when using apply"#]
        );
    }

    #[test]
    fn ports_are_compared_across_containers() {
        let one = json!({"ports": [{"containerPort": 80, "protocol": "TCP"}]});
        let spec = json!({"containers": [one, one, {"ports": [{"containerPort": 80, "protocol": "UDP"}]}]});
        let expected = "spec.containers[1].ports[0]: duplicate port definition with spec.containers[0].ports[0]";
        assert_eq!(told(&spec), [expected]);
    }

    #[test]
    fn only_what_changes_is_told_again() {
        let set = json!({"spec": {"template": {"spec": {"imagePullSecrets": [{}]}}}});
        let of = |old: Option<&Value>| warnings(&Gvk::new("apps", "v1", "Deployment"), old, &set).len();
        assert_eq!((of(None), of(Some(&set)), of(Some(&json!({"spec": {"replicas": 1}})))), (1, 0, 1));
    }
}
