//! The rules of where pods may run: affinities, spread, tolerations.
//!
//! Source: the answers of the API server; `validateAffinity`, `validateTopologySpreadConstraints` and
//! `ValidateTolerations` of `pkg/apis/core/validation`.

use serde_json::{Value, json};

use super::containers::given;
use super::kinds::{at, unsupported};
use super::{items, selectors, text};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata::{key_faults, label_fault, label_value_faults, subdomain_fault};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const EMPTY: &str = "can not be empty";
const NO_OPERATOR: &str = "not a valid selector operator";
const UNSATISFIABLE: [&str; 2] = ["DoNotSchedule", "ScheduleAnyway"];
const POLICIES: [&str; 2] = ["Honor", "Ignore"];
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

fn key(name: &str, field: &str) -> Vec<Cause> {
    key_faults(name).iter().map(|detail| Cause::invalid(field, &json!(name), detail)).collect()
}

/// What is wrong with the affinities of a pod.
pub(super) fn affinity(affinity: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    if let Some(nodes) = given(affinity, "nodeAffinity") {
        found.extend(node_affinity(nodes, &format!("{path}.nodeAffinity")));
    }
    for name in ["podAffinity", "podAntiAffinity"] {
        if let Some(pods) = given(affinity, name) {
            found.extend(pod_affinity(pods, &format!("{path}.{name}")));
        }
    }
    found
}

fn node_affinity(nodes: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    if let Some(required) = given(nodes, REQUIRED) {
        found.extend(terms(required, &format!("{path}.{REQUIRED}")));
    }
    for (index, one) in items(nodes, PREFERRED).iter().enumerate() {
        let path = format!("{path}.{PREFERRED}[{index}]");
        found.extend(weight(one, &path));
        found.extend(node_term(at(one, "preference"), false, &format!("{path}.preference")));
    }
    found
}

/// What is wrong with the nodes that a volume can be reached from.
pub(super) fn nodes_of_volume(nodes: &Value, path: &str) -> Vec<Cause> {
    let Some(required) = given(nodes, "required") else { return vec![Cause::required(format!("{path}.required"), "")] };
    terms(required, &format!("{path}.required"))
}

fn terms(required: &Value, path: &str) -> Vec<Cause> {
    let field = format!("{path}.nodeSelectorTerms");
    let terms = items(required, "nodeSelectorTerms");
    let missing =
        terms.is_empty().then(|| Cause::required(field.as_str(), "must have at least one node selector term"));
    let of_term = |(index, term): (usize, &Value)| node_term(term, true, &format!("{field}[{index}]"));
    missing.into_iter().chain(terms.iter().enumerate().flat_map(of_term)).collect()
}

fn weight(one: &Value, path: &str) -> Option<Cause> {
    let weight = at(one, "weight").as_i64().unwrap_or_default();
    let fits = (1..=100).contains(&weight);
    (!fits).then(|| Cause::invalid(format!("{path}.weight"), &json!(weight), "must be in the range 1-100"))
}

fn node_term(term: &Value, is_required: bool, path: &str) -> Vec<Cause> {
    let labels = items(term, "matchExpressions").iter().enumerate();
    let labels = labels.flat_map(|(at, one)| label_term(one, is_required, &format!("{path}.matchExpressions[{at}]")));
    let fields = items(term, "matchFields").iter().enumerate();
    let fields = fields.flat_map(|(at, one)| field_term(one, &format!("{path}.matchFields[{at}]")));
    labels.chain(fields).collect()
}

/// A label of nodes. What is only preferred may ask for values that no label can have.
fn label_term(one: &Value, is_required: bool, path: &str) -> Vec<Cause> {
    let (operator, values) = (text(one, "operator"), items(one, "values"));
    let field = format!("{path}.values");
    let mut found = Vec::new();
    match operator {
        "In" | "NotIn" if values.is_empty() => {
            found.push(Cause::required(field.as_str(), "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            found.push(Cause::forbidden(field.as_str(), detail));
        }
        "Gt" | "Lt" if values.len() != 1 => {
            let detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
            found.push(Cause::required(field.as_str(), detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
        _ => found.push(Cause::invalid(format!("{path}.operator"), &json!(operator), NO_OPERATOR)),
    }
    found.extend(key(text(one, "key"), &format!("{path}.key")));
    if is_required {
        for (index, value) in values.iter().enumerate() {
            let faults = value.as_str().map(label_value_faults).unwrap_or_default();
            found.extend(faults.into_iter().map(|detail| Cause::invalid(format!("{field}[{index}]"), value, detail)));
        }
    }
    found
}

/// A field of nodes; there is one.
fn field_term(one: &Value, path: &str) -> Vec<Cause> {
    let (operator, values, name) = (text(one, "operator"), items(one, "values"), text(one, "key"));
    let mut found = Vec::new();
    match operator {
        "In" | "NotIn" if values.len() != 1 => {
            let detail = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            found.push(Cause::required(format!("{path}.values"), detail));
        }
        "In" | "NotIn" => {}
        _ => found.push(Cause::invalid(format!("{path}.operator"), &json!(operator), NO_OPERATOR)),
    }
    if name != "metadata.name" {
        found.push(Cause::invalid(format!("{path}.key"), &json!(name), "not a valid field selector key"));
        return found;
    }
    for (index, value) in values.iter().enumerate() {
        let fault = value.as_str().and_then(subdomain_fault);
        found.extend(fault.map(|detail| Cause::invalid(format!("{path}.values[{index}]"), value, detail)));
    }
    found
}

fn pod_affinity(pods: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    for (index, term) in items(pods, REQUIRED).iter().enumerate() {
        found.extend(pod_term(term, &format!("{path}.{REQUIRED}[{index}]")));
    }
    for (index, one) in items(pods, PREFERRED).iter().enumerate() {
        let path = format!("{path}.{PREFERRED}[{index}]");
        found.extend(weight(one, &path));
        found.extend(pod_term(at(one, "podAffinityTerm"), &format!("{path}.podAffinityTerm")));
    }
    found
}

fn pod_term(term: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    for name in ["labelSelector", "namespaceSelector"] {
        found.extend(selectors::faults(at(term, name), &format!("{path}.{name}")));
    }
    for name in items(term, "namespaces") {
        let fault = name.as_str().and_then(label_fault);
        found.extend(fault.map(|detail| Cause::invalid(format!("{path}.namespace"), name, detail)));
    }
    found.extend(label_keys(term, "matchLabelKeys", path));
    found.extend(label_keys(term, "mismatchLabelKeys", path));
    let others = items(term, "mismatchLabelKeys");
    let both = items(term, "matchLabelKeys").iter().enumerate().filter(|(_, key)| others.contains(key));
    let detail = "exists in both matchLabelKeys and mismatchLabelKeys";
    found.extend(both.map(|(at, key)| Cause::invalid(format!("{path}.matchLabelKeys[{at}]"), key, detail)));
    let (topology, field) = (text(term, "topologyKey"), format!("{path}.topologyKey"));
    if topology.is_empty() {
        found.push(Cause::required(field.as_str(), EMPTY));
    }
    found.extend(key(topology, &field));
    found
}

/// Keys of labels whose values are those of the pod itself.
fn label_keys(term: &Value, name: &str, path: &str) -> Vec<Cause> {
    let (keys, path) = (items(term, name), format!("{path}.{name}"));
    if !keys.is_empty() && given(term, "labelSelector").is_none() {
        return vec![Cause::forbidden(path, "must not be specified when labelSelector is not set")];
    }
    let of_key = |(at, one): (usize, &Value)| key(one.as_str().unwrap_or_default(), &format!("{path}[{at}]"));
    keys.iter().enumerate().flat_map(of_key).collect()
}

/// What is wrong with how pods are spread.
pub(super) fn spread(pod: &Value, path: &str) -> Vec<Cause> {
    let path = format!("{path}.topologySpreadConstraints");
    let all = items(pod, &path);
    let pair = |one: &Value| format!("{{{}, {}}}", text(one, "topologyKey"), text(one, "whenUnsatisfiable"));
    let mut found = Vec::new();
    for (index, one) in all.iter().enumerate() {
        let path = format!("{path}[{index}]");
        let way = text(one, "whenUnsatisfiable");
        found.extend(positive(&json!(at(one, "maxSkew").as_i64().unwrap_or_default()), &format!("{path}.maxSkew")));
        if text(one, "topologyKey").is_empty() {
            found.push(Cause::required(format!("{path}.topologyKey"), EMPTY));
        }
        if !UNSATISFIABLE.contains(&way) {
            found.push(unsupported(&format!("{path}.whenUnsatisfiable"), &json!(way), &UNSATISFIABLE));
        }
        let shown = pair(one);
        if all.iter().skip(index + 1).any(|other| pair(other) == shown) {
            found.push(Cause::duplicate(format!("{path}.{{topologyKey, whenUnsatisfiable}}"), &json!(shown)));
        }
        if let Some(least) = given(one, "minDomains") {
            let field = format!("{path}.minDomains");
            found.extend(positive(least, &field));
            let detail = format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {way}");
            found.extend((way != "DoNotSchedule").then(|| Cause::invalid(field, least, &detail)));
        }
        for name in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            let odd = given(one, name).filter(|policy| !policy.as_str().is_some_and(|one| POLICIES.contains(&one)));
            found.extend(odd.map(|policy| unsupported(&format!("{path}.{name}"), policy, &POLICIES)));
        }
        found.extend(label_keys(one, "matchLabelKeys", &path));
        found.extend(selectors::faults(at(one, "labelSelector"), &format!("{path}.labelSelector")));
    }
    found
}

fn positive(value: &Value, field: &str) -> Option<Cause> {
    let is_not = value.as_i64().is_some_and(|number| number < 1);
    is_not.then(|| Cause::invalid(field, value, "must be greater than zero"))
}

/// What is wrong with the taints that a pod tolerates.
pub(super) fn tolerations(pod: &Value, path: &str) -> Vec<Cause> {
    let path = format!("{path}.tolerations");
    let all = items(pod, &path).iter().enumerate();
    all.flat_map(|(index, one)| toleration(one, &format!("{path}[{index}]"))).collect()
}

fn toleration(one: &Value, path: &str) -> Vec<Cause> {
    let (name, operator, value) = (text(one, "key"), text(one, "operator"), text(one, "value"));
    let field = format!("{path}.operator");
    let mut found = Vec::new();
    if !name.is_empty() {
        found.extend(key(name, &format!("{path}.key")));
    } else if operator != "Exists" {
        let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
        found.push(Cause::invalid(field.as_str(), &json!(operator), detail));
    }
    let effect = text(one, "effect");
    if given(one, "tolerationSeconds").is_some() && effect != "NoExecute" {
        let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        found.push(Cause::invalid(format!("{path}.effect"), &json!(effect), detail));
    }
    match operator {
        "" | "Equal" => {
            let faults = label_value_faults(value).join(";");
            found.extend((!faults.is_empty()).then(|| Cause::invalid(field, &json!(value), &faults)));
        }
        "Exists" => {
            let detail = "value must be empty when `operator` is 'Exists'";
            found.extend((!value.is_empty()).then(|| Cause::invalid(field, &json!(value), detail)));
        }
        // What is only known behind a gate is among those that could be.
        "Lt" | "Gt" => found.push(unsupported(&field, &json!(operator), &["Equal", "Exists", "Lt", "Gt"])),
        _ => found.push(unsupported(&field, &json!(operator), &["Equal", "Exists"])),
    }
    if !effect.is_empty() && !EFFECTS.contains(&effect) {
        found.push(unsupported(&format!("{path}.effect"), &json!(effect), &EFFECTS));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::fields;
    use super::*;

    #[test]
    fn a_term_says_in_what_topology() {
        let terms = json!({"podAntiAffinity": {REQUIRED: [{"labelSelector": {}, "topologyKey": "a.io/zone"}, {}]}});
        let field = format!("a.podAntiAffinity.{REQUIRED}[1].topologyKey");
        assert_eq!(fields(affinity(&terms, "a")), [field.as_str(), &field, &field]);
    }

    #[test]
    fn pods_are_spread_once_in_each_way() {
        let one = json!({"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"});
        let mut pod = json!({"spec": {"topologySpreadConstraints": [one]}});
        assert!(spread(&pod, "spec").is_empty());
        pod["spec"]["topologySpreadConstraints"] = json!([one, one, {}]);
        assert_eq!(spread(&pod, "spec").len(), 4);
    }

    #[test]
    fn a_toleration_can_be_met() {
        let of = |one: Value| toleration(&one, "t").len();
        assert_eq!((of(json!({"operator": "Exists"})), of(json!({"key": "a"})), of(json!({}))), (0, 0, 1));
        assert_eq!(of(json!({"key": "a", "operator": "Exists", "value": "b", "tolerationSeconds": 1})), 2);
    }
}
