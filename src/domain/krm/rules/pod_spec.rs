//! The rules of what a pod says beside its name, in the order in which the server looks at them.
//!
//! Source: the answers of the API server; `ValidatePodSpec` of `pkg/apis/core/validation`.

use core::net::IpAddr;
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::containers::{Around, given};
use super::kinds::{at, unsupported, word};
use super::{containers, items, mounts, placement, resources, security, text, volumes};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata::{key_faults, label_fault, label_value_fault, subdomain_fault};

const POLICIES: [&str; 3] = ["Always", "OnFailure", "Never"];
const DNS_POLICIES: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const PREEMPTIONS: [&str; 2] = ["PreemptLowerPriority", "Never"];
const SYSTEMS: [&str; 2] = ["linux", "windows"];
/// Most servers of names that a pod asks.
const NAMESERVERS: usize = 3;
/// The seconds that a pod has to end when it does not say.
const GRACE: i64 = 30;

/// What is wrong with the spec of a pod at a path.
pub(super) fn faults(object: &Value, path: &str) -> Vec<Cause> {
    let is_set = |name: &str, value: bool| at(object, &format!("{path}.{name}")) == &Value::Bool(value);
    let claims = items(object, &format!("{path}.resourceClaims"));
    let around = Around {
        volumes: mounts::volumes(object, path),
        blocks: mounts::blocks(object, path),
        claims: claims.iter().map(|claim| text(claim, "name")).collect(),
        host_users: !is_set("hostUsers", false),
        grace: at(object, &format!("{path}.terminationGracePeriodSeconds")).as_i64().unwrap_or(GRACE),
    };
    let mut found = volumes::faults(object, path);
    found.extend(resource_claims(claims, &format!("{path}.resourceClaims")));
    found.extend(all_containers(object, &around, path));
    if is_set("hostNetwork", true) {
        found.extend(own_ports(object, &format!("{path}.containers")));
    }
    found.extend(one_of(object, &format!("{path}.restartPolicy"), &POLICIES));
    found.extend(one_of(object, &format!("{path}.dnsPolicy"), &DNS_POLICIES));
    found.extend(nodes(object, &format!("{path}.nodeSelector")));
    found.extend(security::of_pod(object, path));
    found.extend(placement::affinity(at(object, &format!("{path}.affinity")), &format!("{path}.affinity")));
    found.extend(dns(object, path));
    found.extend(gates(object, path));
    found.extend(placement::spread(object, path));
    if !around.host_users {
        found.extend(as_on_node(object, path));
    }
    found.extend(names(object, path));
    found.extend(placement::tolerations(object, path));
    found.extend(aliases(object, path));
    found.extend(classes(object, path));
    found
}

fn one_of(object: &Value, path: &str, known: &[&str]) -> Option<Cause> {
    let value = given(object, path)?;
    (!known.contains(&value.as_str()?)).then(|| unsupported(path, value, known))
}

fn all_containers(object: &Value, around: &Around<'_>, path: &str) -> Vec<Cause> {
    let [regular, first] = ["containers", "initContainers"].map(|name| format!("{path}.{name}"));
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    let all = items(object, &regular);
    if all.is_empty() {
        found.push(Cause::required(regular.as_str(), ""));
    }
    for (index, container) in all.iter().enumerate() {
        let path = format!("{regular}[{index}]");
        found.extend(containers::faults(container, around, &path));
        found.extend(again(container, &mut names, &path));
        found.extend(containers::probes(container, around, &path));
    }
    found.extend(containers::host_ports(all, &regular));
    for (index, container) in items(object, &first).iter().enumerate() {
        let path = format!("{first}[{index}]");
        found.extend(containers::faults(container, around, &path));
        found.extend(again(container, &mut names, &path));
        if text(container, "restartPolicy") == "Always" {
            found.extend(containers::probes(container, around, &path));
        } else {
            found.extend(containers::too_early(container, &path));
        }
    }
    found
}

/// A name that another container has.
fn again<'a>(container: &'a Value, names: &mut BTreeSet<&'a str>, path: &str) -> Option<Cause> {
    let name = text(container, "name");
    let is_again = !name.is_empty() && !names.insert(name);
    is_again.then(|| Cause::duplicate(format!("{path}.name"), &json!(name)))
}

/// Claims of resources come from somewhere.
fn resource_claims(claims: &[Value], path: &str) -> Vec<Cause> {
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for (index, claim) in claims.iter().enumerate() {
        let (path, name) = (format!("{path}[{index}]"), text(claim, "name"));
        if name.is_empty() {
            found.push(Cause::required(format!("{path}.name"), ""));
        } else if !names.insert(name) {
            found.push(Cause::duplicate(format!("{path}.name"), &json!(name)));
        } else if let Some(detail) = label_fault(name) {
            found.push(Cause::invalid(format!("{path}.name"), &json!(name), detail));
        }
        let sources = ["resourceClaimName", "resourceClaimTemplateName"];
        let shown = || {
            let [own, template] = sources.map(|source| at(claim, source).to_string());
            format!("{{\"Name\":{name:?},\"ResourceClaimName\":{own},\"ResourceClaimTemplateName\":{template}}}")
        };
        for source in sources {
            let fault = at(claim, source).as_str().and_then(|name| Some((name, subdomain_fault(name)?)));
            found.extend(fault.map(|(name, why)| Cause::invalid(format!("{path}.{source}"), &json!(name), why)));
        }
        let detail = match sources.into_iter().filter(|source| given(claim, source).is_some()).count() {
            0 => "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            1 => continue,
            _ => "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
        };
        found.push(super::kinds::invalid_text(&path, &shown(), detail));
    }
    found
}

/// On the network of its node, a container has the ports of the node.
fn own_ports(object: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    for (at, container) in items(object, path).iter().enumerate() {
        for (index, port) in items(container, "ports").iter().enumerate() {
            let (inner, outer) = (super::kinds::at(port, "containerPort"), super::kinds::at(port, "hostPort"));
            let differs = outer.as_i64().is_some_and(|number| number != 0) && outer != inner;
            let detail = "must match `containerPort` when `hostNetwork` is true";
            let field = || format!("{path}[{at}].ports[{index}].hostPort");
            found.extend(differs.then(|| Cause::invalid(field(), outer, detail)));
        }
    }
    found
}

/// What is wrong with the labels of nodes that a pod asks for.
fn nodes(object: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    for (key, value) in at(object, path).as_object().into_iter().flatten() {
        found.extend(key_faults(key).iter().map(|detail| Cause::invalid(path, &json!(key), detail)));
        let fault = value.as_str().and_then(label_value_fault);
        found.extend(fault.map(|detail| Cause::invalid(path, value, detail)));
    }
    found
}

/// What is wrong with an address, if it is none.
pub(super) fn no_address(text: &str) -> Option<&'static str> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            return Some("must not be an IPv4-mapped IPv6 address");
        }
        Ok(_) => return None,
        Err(_) => {}
    }
    // What leading zeros mean differs between readers.
    let part =
        |part: &str| Some(part.trim_start_matches('0')).map(|rest| if rest.is_empty() { "0" } else { rest }.to_owned());
    let plain: Option<Vec<String>> = text.split('.').map(part).collect();
    let is_padded = plain.is_some_and(|parts| parts.join(".").parse::<IpAddr>().is_ok());
    Some(if is_padded {
        "must not have leading 0s"
    } else {
        "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
    })
}

fn dns(object: &Value, path: &str) -> Vec<Cause> {
    let is_own = word(object, &format!("{path}.dnsPolicy")) == "None";
    let path = format!("{path}.dnsConfig");
    let Some(config) = given(object, &path) else {
        let detail = "must provide `dnsConfig` when `dnsPolicy` is None";
        return is_own.then(|| Cause::required(path, detail)).into_iter().collect();
    };
    let mut found = Vec::new();
    let (field, servers) = (format!("{path}.nameservers"), items(config, "nameservers"));
    if is_own && servers.is_empty() {
        let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        found.push(Cause::required(field.as_str(), detail));
    }
    if servers.len() > NAMESERVERS {
        found.push(Cause::invalid(field.as_str(), &json!(servers), "must not have more than 3 nameservers"));
    }
    for (index, server) in servers.iter().enumerate() {
        let fault = server.as_str().and_then(no_address);
        found.extend(fault.map(|detail| Cause::invalid(format!("{field}[{index}]"), server, detail)));
    }
    let options = items(config, "options").iter().enumerate().filter(|(_, option)| text(option, "name").is_empty());
    found.extend(options.map(|(at, _)| Cause::required(format!("{path}.options[{at}]"), "must not be empty")));
    found
}

/// What a pod waits for before it is ready or placed.
fn gates(object: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    for (index, gate) in items(object, &format!("{path}.readinessGates")).iter().enumerate() {
        let (field, kind) = (format!("{path}.readinessGates[{index}].conditionType"), text(gate, "conditionType"));
        found.extend(key_faults(kind).iter().map(|detail| Cause::invalid(field.as_str(), &json!(kind), detail)));
    }
    let mut names = BTreeSet::new();
    for (index, gate) in items(object, &format!("{path}.schedulingGates")).iter().enumerate() {
        let (field, name) = (format!("{path}.schedulingGates[{index}]"), text(gate, "name"));
        found.extend(key_faults(name).iter().map(|detail| Cause::invalid(field.as_str(), &json!(name), detail)));
        found.extend((!names.insert(name)).then(|| Cause::duplicate(field, &json!(name))));
    }
    found
}

/// A pod whose users are not those of its node has nothing else of it.
fn as_on_node(object: &Value, path: &str) -> Vec<Cause> {
    let detail = "when `hostUsers` is false";
    let shared = [("hostNetwork", "hostNetwork"), ("hostIPC", "HostIPC"), ("hostPID", "HostPID")];
    let shared = shared.into_iter().filter(|(name, _)| at(object, &format!("{path}.{name}")) == &Value::Bool(true));
    let mut found: Vec<Cause> = shared.map(|(_, shown)| Cause::forbidden(format!("{path}.{shown}"), detail)).collect();
    for (index, container) in items(object, &format!("{path}.containers")).iter().enumerate() {
        let has = !items(container, "volumeDevices").is_empty();
        found.extend(has.then(|| Cause::forbidden(format!("{path}.containers[{index}].volumeDevices"), detail)));
    }
    found
}

fn named(object: &Value, path: &str, fault: fn(&str) -> Option<&'static str>) -> Option<Cause> {
    let name = Some(word(object, path)).filter(|name| !name.is_empty())?;
    Some(Cause::invalid(path, &json!(name), fault(name)?))
}

/// What is wrong with the names that a pod says, and with how long it may last.
fn names(object: &Value, path: &str) -> Vec<Cause> {
    let at = |name: &str| format!("{path}.{name}");
    let deadline = given(object, &at("activeDeadlineSeconds"));
    let odd =
        deadline.filter(|value| value.as_i64().is_some_and(|number| !(1..=i64::from(i32::MAX)).contains(&number)));
    let detail = "must be between 1 and 2147483647, inclusive";
    let faults = [
        named(object, &at("serviceAccountName"), subdomain_fault),
        named(object, &at("nodeName"), subdomain_fault),
        odd.map(|value| Cause::invalid(at("activeDeadlineSeconds"), value, detail)),
        named(object, &at("hostname"), label_fault),
        named(object, &at("subdomain"), label_fault),
    ];
    faults.into_iter().flatten().collect()
}

fn aliases(object: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    for (index, alias) in items(object, &format!("{path}.hostAliases")).iter().enumerate() {
        let (path, ip) = (format!("{path}.hostAliases[{index}]"), text(alias, "ip"));
        found.extend(no_address(ip).map(|detail| Cause::invalid(format!("{path}.ip"), &json!(ip), detail)));
        for (at, name) in items(alias, "hostnames").iter().enumerate() {
            let fault = name.as_str().and_then(subdomain_fault);
            found.extend(fault.map(|detail| Cause::invalid(format!("{path}.hostnames[{at}]"), name, detail)));
        }
    }
    found
}

/// What is wrong with the classes that a pod says it is of.
fn classes(object: &Value, path: &str) -> Vec<Cause> {
    let at = |name: &str| format!("{path}.{name}");
    let mut found: Vec<Cause> = ["priorityClassName", "runtimeClassName"]
        .into_iter()
        .filter_map(|name| named(object, &at(name), subdomain_fault))
        .collect();
    found.extend(one_of(object, &at("preemptionPolicy"), &PREEMPTIONS));
    let field = format!("{path}.overhead.limits");
    let overhead = super::kinds::at(object, &at("overhead")).as_object().into_iter().flatten();
    found.extend(overhead.flat_map(|(name, value)| resources::amount(name, value, &field)));
    if let Some(os) = given(object, &at("os")) {
        match text(os, "name") {
            "" => found.push(Cause::required(at("os.name"), "")),
            name if SYSTEMS.contains(&name) => {}
            name => found.push(unsupported(&at("os"), &json!(name), &SYSTEMS)),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(spec: &Value) -> Vec<String> {
        let mut pod = json!({"spec": {"containers": [{"name": "a", "image": "i"}]}});
        for (name, value) in spec.as_object().unwrap() {
            pod["spec"][name] = value.clone();
        }
        faults(&pod, "spec").into_iter().map(|cause| cause.field).collect()
    }

    #[test]
    fn containers_of_a_pod_have_different_names() {
        let twice = json!({"initContainers": [{"name": "a", "image": "i"}]});
        assert_eq!(told(&twice), ["spec.initContainers[0].name"]);
    }

    #[test]
    fn what_runs_first_is_not_probed() {
        let first = json!({"initContainers": [{"name": "b", "image": "i", "livenessProbe": {}}]});
        assert_eq!(told(&first), ["spec.initContainers[0].livenessProbe"]);
    }

    #[test]
    fn addresses_and_names_are_looked_at() {
        let aliases = json!({"hostAliases": [{"ip": "1.2.3.4"}, {"ip": "01.2.3.4"}, {"ip": "::1"}, {}]});
        assert_eq!(told(&aliases), ["spec.hostAliases[1].ip", "spec.hostAliases[3].ip"]);
        assert_eq!(told(&json!({"dnsPolicy": "None"})), ["spec.dnsConfig"]);
        assert_eq!(told(&json!({"activeDeadlineSeconds": 0, "hostname": "a.b"})).len(), 2);
    }
}
