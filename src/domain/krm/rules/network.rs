//! The rules of network policies.
//!
//! Source: `ValidateNetworkPolicySpec` of `pkg/apis/networking/validation`.

use serde_json::{Value, json};

use super::containers::port_or_name;
use super::kinds::{at, unsupported};
use super::{get, items, port_fault, selectors, text};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::formats;

const TYPES: [&str; 2] = ["Ingress", "Egress"];
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// What is wrong with a network policy.
pub(super) fn faults(policy: &Value) -> Vec<Cause> {
    let mut found = selectors::faults(at(policy, "spec.podSelector"), "spec.podSelector");
    for (rules, peers) in [("spec.ingress", "from"), ("spec.egress", "to")] {
        for (index, rule) in items(policy, rules).iter().enumerate() {
            let path = format!("{rules}[{index}]");
            let ports = items(rule, "ports").iter().enumerate();
            found.extend(ports.flat_map(|(at, one)| port(one, &format!("{path}.ports[{at}]"))));
            let all = items(rule, peers).iter().enumerate();
            found.extend(all.flat_map(|(at, one)| peer(one, &format!("{path}.{peers}[{at}]"))));
        }
    }
    found.extend(types(policy));
    found
}

fn types(policy: &Value) -> Vec<Cause> {
    let path = "spec.policyTypes";
    let types = items(policy, path);
    if types.len() > TYPES.len() {
        return vec![Cause::invalid(path, &json!(types), "may not specify more than two policyTypes")];
    }
    let strange = types.iter().enumerate().filter(|(_, one)| one.as_str().is_none_or(|one| !TYPES.contains(&one)));
    strange.map(|(at, one)| unsupported(&format!("{path}[{at}]"), one, &TYPES)).collect()
}

fn port(port: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    let protocol = at(port, "protocol");
    if protocol.as_str().is_some_and(|protocol| !PROTOCOLS.contains(&protocol)) {
        found.push(unsupported(&format!("{path}.protocol"), protocol, &PROTOCOLS));
    }
    let (number, last) = (at(port, "port"), at(port, "endPort"));
    let field = format!("{path}.endPort");
    if number.is_null() {
        let detail = "may not be specified when `port` is not specified";
        found.extend((!last.is_null()).then(|| Cause::invalid(field, last, detail)));
        return found;
    }
    if number.is_string() {
        let detail = "may not be specified when `port` is non-numeric";
        found.extend((!last.is_null()).then(|| Cause::invalid(field, last, detail)));
        found.extend(port_or_name(Some(number), &format!("{path}.port")));
        return found;
    }
    found.extend(port_fault(Some(number), &format!("{path}.port")));
    if !last.is_null() {
        let is_before = last.as_i64() < number.as_i64();
        let detail = "must be greater than or equal to `port`";
        found.extend(is_before.then(|| Cause::invalid(field.as_str(), number, detail)));
        found.extend(port_fault(Some(last), &field));
    }
    found
}

fn peer(peer: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    let mut count = 0;
    for name in ["podSelector", "namespaceSelector"] {
        if let Some(selector) = get(peer, name).filter(|selector| !selector.is_null()) {
            count += 1;
            found.extend(selectors::faults(selector, &format!("{path}.{name}")));
        }
    }
    let block = get(peer, "ipBlock").filter(|block| !block.is_null());
    found.extend(block.and_then(|block| cidr(block, &format!("{path}.ipBlock.cidr"))));
    match (count, block) {
        (0, None) => found.push(Cause::required(path, "must specify a peer")),
        (1.., Some(_)) => found.push(Cause::forbidden(path, "may not specify both ipBlock and another peer")),
        _ => {}
    }
    found
}

fn cidr(block: &Value, path: &str) -> Option<Cause> {
    let written = text(block, "cidr");
    if written.is_empty() {
        return Some(Cause::required(path, ""));
    }
    let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    let fits = formats::fits("cidr", written).unwrap_or(true);
    (!fits).then(|| Cause::invalid(path, &json!(written), detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_have_ports_and_peers_that_can_be() {
        let policy = json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Any"], "ingress": [
            {"ports": [{"port": 0}, {"port": "No_"}, {"port": 80, "endPort": 79}, {"endPort": 1}, {"protocol": "ICMP"}],
             "from": [{}, {"ipBlock": {"cidr": "10.0.0.0/33"}}, {"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}]}});
        let fields: Vec<String> = faults(&policy).into_iter().map(|cause| cause.field).collect();
        let ports = ["0].port", "1].port", "2].endPort", "3].endPort", "4].protocol"];
        let ports = ports.map(|rest| format!("spec.ingress[0].ports[{rest}"));
        let peers = ["0]", "1].ipBlock.cidr", "2]"].map(|rest| format!("spec.ingress[0].from[{rest}"));
        let expected: Vec<String> = ports.into_iter().chain(peers).chain(["spec.policyTypes[1]".to_owned()]).collect();
        assert_eq!(fields, expected);
    }
}
