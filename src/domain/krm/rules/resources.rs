//! The rules of what containers ask for and may have at most.
//!
//! Source: the answers of the API server; `ValidateContainerResourceRequirements` of `pkg/apis/core/validation`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::kinds::at;
use super::{items, text};
use crate::domain::krm::Quantity;
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata;

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";
/// Billionths in one.
const ONE: i128 = 1_000_000_000;
/// What containers may ask for, and what else has a name of its own.
const OF_CONTAINERS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const STANDARD: [&str; 11] = [
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
    "storage",
    "requests.storage",
];
const HUGE: &str = "hugepages-";

/// What is wrong with the resources of a container, which may claim those that its pod has.
pub(super) fn faults(container: &Value, claims: &BTreeSet<&str>, path: &str) -> Vec<Cause> {
    let path = format!("{path}.resources");
    let limits = at(container, "resources.limits");
    let mut found = Vec::new();
    for part in ["limits", "requests"] {
        let field = format!("{path}.{part}");
        for (name, value) in amounts(container, part) {
            found.extend(name_faults(name).iter().map(|detail| entry(&field, name, &json!(name), detail)));
            found.extend(number(name, value, &field));
            if part == "requests" {
                found.extend(beside_limit(name, value, limits.get(name), &path));
            }
            found.extend(pages(name, value, &field));
        }
    }
    let names = || ["limits", "requests"].into_iter().flat_map(|part| amounts(container, part)).map(|(name, _)| name);
    if names().any(|name| name.starts_with(HUGE)) && !names().any(|name| name == "cpu" || name == "memory") {
        found.push(Cause::forbidden(path.as_str(), "HugePages require cpu or memory"));
    }
    found.extend(claimed(container, claims, &path));
    found
}

fn amounts<'a>(container: &'a Value, part: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    at(container, &format!("resources.{part}")).as_object().into_iter().flatten()
}

/// What is wrong with one amount by itself.
pub(super) fn amount(name: &str, value: &Value, field: &str) -> Vec<Cause> {
    let names = name_faults(name).into_iter().map(|detail| entry(field, name, &json!(name), &detail));
    names.chain(number(name, value, field)).chain(pages(name, value, field)).collect()
}

fn entry(field: &str, name: &str, value: &Value, detail: &str) -> Cause {
    Cause::invalid(format!("{field}[{name}]"), value, detail)
}

fn number(name: &str, value: &Value, field: &str) -> Vec<Cause> {
    let entry = |value: &Value, detail: &str| entry(field, name, value, detail);
    let mut found = Vec::new();
    let Some(quantity) = Quantity::of(value) else { return found };
    if quantity.nanos() < 0 {
        found.push(entry(value, NOT_NEGATIVE));
    }
    if is_extended(name) && quantity.nanos() % ONE != 0 {
        found.push(entry(value, "must be an integer"));
    }
    found
}

/// Large pages are not divided.
fn pages(name: &str, value: &Value, field: &str) -> Option<Cause> {
    let quantity = Quantity::of(value)?;
    let size = name.strip_prefix(HUGE)?.parse::<Quantity>().ok().filter(|size| size.nanos() > 0);
    let fits = size.is_some_and(|size| quantity.nanos() % size.nanos() == 0);
    let detail = format!("{quantity} is not positive integer multiple of {name}");
    (!fits).then(|| entry(field, name, value, &detail))
}

/// What cannot be shared out twice is asked for exactly as it is limited.
fn beside_limit(name: &str, value: &Value, limit: Option<&Value>, path: &str) -> Option<Cause> {
    let is_shared = is_native(name) && !name.starts_with(HUGE);
    let Some(limit) = limit.and_then(Quantity::of) else {
        let detail = "Limit must be set for non overcommitable resources";
        return (!is_shared).then(|| Cause::required(format!("{path}.limits"), detail));
    };
    let asked = Quantity::of(value)?;
    let relation = if is_shared { "less than or equal" } else { "equal" };
    let fits = if is_shared { asked <= limit } else { asked == limit };
    let detail = format!("must be {relation} to {name} limit of {limit}");
    (!fits).then(|| Cause::invalid(format!("{path}.requests"), value, &detail))
}

fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.")
}

fn name_faults(name: &str) -> Vec<String> {
    let key = metadata::key_faults(name);
    if !key.is_empty() {
        return key;
    }
    let fits_container = OF_CONTAINERS.contains(&name) || name.starts_with(HUGE);
    let quota = name.strip_prefix("requests.").or_else(|| name.strip_prefix("limits."));
    let is_standard =
        fits_container || STANDARD.contains(&name) || quota.is_some_and(|name| OF_CONTAINERS.contains(&name));
    let is_plain = !name.contains('/');
    let rules = [
        (is_plain && !is_standard, "must be a standard resource type or fully qualified"),
        (is_plain && !fits_container, "must be a standard resource for containers"),
        (!is_native(name) && !is_extended(name), "doesn't follow extended resource name standard"),
    ];
    rules.into_iter().filter(|(is_broken, _)| *is_broken).map(|(_, detail)| detail.to_owned()).collect()
}

/// A container uses claims that its pod has.
fn claimed(container: &Value, claims: &BTreeSet<&str>, path: &str) -> Vec<Cause> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (index, one) in items(container, "resources.claims").iter().enumerate() {
        let (field, name) = (format!("{path}.claims[{index}]"), text(one, "name"));
        if name.is_empty() {
            found.push(Cause::required(field, ""));
            continue;
        }
        if !seen.insert((name, text(one, "request"))) {
            found.push(Cause::duplicate(field.as_str(), &json!(name)));
        }
        if !claims.contains(name) {
            let known = if claims.is_empty() { " which is empty" } else { "" };
            let message = format!("Not found: {name:?}: must be one of the names in pod.spec.resourceClaims{known}");
            found.push(Cause { reason: "FieldValueNotFound", message, field });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(resources: &Value) -> Vec<String> {
        faults(&json!({"resources": resources}), &BTreeSet::new(), "c").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn nobody_asks_for_more_than_is_allowed() {
        let asked = json!({"limits": {"cpu": "1", "a.io/b": "1"}, "requests": {"cpu": "1500m", "memory": "1Gi"}});
        assert_eq!(
            told(&asked),
            [r#"c.resources.requests: Invalid value: "1500m": must be less than or equal to cpu limit of 1"#]
        );
        assert_eq!(told(&json!({"limits": {"cpu": "-1", "nope": "1"}})).len(), 3);
        assert!(told(&json!({"requests": {"cpu": "1"}, "limits": {"cpu": "1000m"}})).is_empty());
    }

    #[test]
    fn devices_are_whole_and_not_shared_out_twice() {
        assert_eq!(
            told(&json!({"limits": {"a.io/b": "1500m"}})),
            [r#"c.resources.limits[a.io/b]: Invalid value: "1500m": must be an integer"#]
        );
        assert_eq!(told(&json!({"requests": {"a.io/b": "1"}})).len(), 1);
        assert_eq!(told(&json!({"limits": {"a.io/b": "2"}, "requests": {"a.io/b": "1"}})).len(), 1);
        assert_eq!(told(&json!({"limits": {"hugepages-2Mi": "3Mi"}})).len(), 2);
    }
}
