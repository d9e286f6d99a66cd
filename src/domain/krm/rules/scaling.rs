//! The rules of what autoscalers look at and how fast they scale.
//!
//! Source: the answers of the API server; `pkg/apis/autoscaling/validation`.

use serde_json::{Value, json};

use super::containers::given;
use super::kinds::{at, unsupported, word};
use super::{items, text};
use crate::domain::krm::Quantity;
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata::step_fault;

/// What is looked at, and the field that says it.
const SOURCES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];
const TARGETS: [&str; 3] = ["Utilization", "Value", "AverageValue"];
const SELECTS: [&str; 3] = ["Disabled", "Max", "Min"];
const POLICIES: [&str; 2] = ["Percent", "Pods"];
/// How far back the policies of an autoscaler may look, in seconds.
const PERIOD: i64 = 1800;
/// How long it may wait until things are stable, in seconds.
const WINDOW: i64 = 3600;

/// What is wrong with the metrics and the behavior of an autoscaler.
pub(super) fn faults(scaler: &Value) -> Vec<Cause> {
    let metrics = items(scaler, "spec.metrics");
    let mut found: Vec<Cause> =
        metrics.iter().enumerate().flat_map(|(at, one)| metric(one, &format!("spec.metrics[{at}]"))).collect();
    let wakes = metrics.iter().any(|one| matches!(text(one, "type"), "Object" | "External"));
    if at(scaler, "spec.minReplicas") == &json!(0) && !wakes {
        let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
        found.push(Cause::forbidden("spec.metrics", detail));
    }
    for way in ["scaleUp", "scaleDown"] {
        let path = format!("spec.behavior.{way}");
        found.extend(given(scaler, &path).map(|rules| behavior(rules, &path)).unwrap_or_default());
    }
    found
}

fn metric(metric: &Value, path: &str) -> Vec<Cause> {
    let kind = text(metric, "type");
    let field = format!("{path}.type");
    let own = SOURCES.into_iter().find(|(name, _)| *name == kind).map(|(_, source)| source);
    let unknown = || unsupported(&field, &json!(kind), &SOURCES.map(|(name, _)| name));
    let mut found = Vec::new();
    if kind.is_empty() {
        found.push(Cause::required(field.as_str(), "must specify a metric source type"));
    }
    if own.is_none() {
        found.push(unknown());
    }
    let order = ["object", "pods", "resource", "containerResource", "external"];
    for name in order {
        let Some(source) = given(metric, name) else { continue };
        found.extend(looked_at(name, source, &format!("{path}.{name}")));
    }
    let Some(own) = own else {
        found.push(unknown());
        return found;
    };
    if given(metric, own).is_none() {
        let detail = "must populate information for the given metric source";
        found.push(Cause::required(format!("{path}.{own}"), detail));
    }
    let others = order.into_iter().filter(|name| *name != own && given(metric, name).is_some());
    let detail = "must populate the given metric source only";
    found.extend(others.map(|name| Cause::forbidden(format!("{path}.{name}"), detail)));
    found
}

fn looked_at(name: &str, source: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    let mut need = |field: &str, detail: &str| {
        if word(source, field).is_empty() {
            found.push(Cause::required(format!("{path}.{field}"), detail));
        }
    };
    match name {
        "resource" => need("name", "must specify a resource name"),
        "containerResource" => {
            need("name", "must specify a resource name");
            need("container", "must specify a container");
        }
        "object" => {
            need("describedObject.kind", "");
            need("describedObject.name", "");
            need("metric.name", "must specify a metric name");
        }
        _ => need("metric.name", "must specify a metric name"),
    }
    found.extend(target(name, at(source, "target"), &format!("{path}.target")));
    found
}

fn target(name: &str, target: &Value, path: &str) -> Vec<Cause> {
    let kind = text(target, "type");
    let field = format!("{path}.type");
    let mut found = Vec::new();
    if kind.is_empty() {
        found.push(Cause::required(field.as_str(), "must specify a metric target type"));
    }
    if !TARGETS.contains(&kind) {
        found.push(Cause::invalid(field, &json!(kind), "must be either Utilization, Value, or AverageValue"));
    }
    for amount in ["value", "averageValue"] {
        let odd = given(target, amount).filter(|one| Quantity::of(one).is_some_and(|one| one.nanos() <= 0));
        found.extend(odd.map(|one| Cause::invalid(format!("{path}.{amount}"), one, "must be positive")));
    }
    let share = given(target, "averageUtilization");
    let odd = share.filter(|share| share.as_i64().is_some_and(|share| share < 1));
    found.extend(odd.map(|one| Cause::invalid(format!("{path}.averageUtilization"), one, "must be greater than 0")));
    let lacks = |fields: &[&str]| fields.iter().all(|field| given(target, field).is_none());
    let missing = match name {
        "resource" | "containerResource" if lacks(&["averageUtilization", "averageValue"]) => {
            Some(("averageUtilization", "must set either a target raw value or a target utilization"))
        }
        "pods" if lacks(&["averageValue"]) => Some(("averageValue", "must specify a positive target averageValue")),
        "object" | "external" if lacks(&["value", "averageValue"]) => {
            Some(("averageValue", "must set either a target value or averageValue"))
        }
        _ => None,
    };
    found.extend(missing.map(|(field, detail)| Cause::required(format!("{path}.{field}"), detail)));
    found
}

fn behavior(rules: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    if let Some(window) = given(rules, "stabilizationWindowSeconds") {
        let field = format!("{path}.stabilizationWindowSeconds");
        let seconds = window.as_i64().unwrap_or_default();
        let most = format!("must be less than or equal to {WINDOW}");
        found.extend(
            (seconds < 0).then(|| Cause::invalid(field.as_str(), window, "must be greater than or equal to zero")),
        );
        found.extend((seconds > WINDOW).then(|| Cause::invalid(field, window, &most)));
    }
    let select = given(rules, "selectPolicy").filter(|one| one.as_str().is_some_and(|one| !SELECTS.contains(&one)));
    found.extend(select.map(|one| unsupported(&format!("{path}.selectPolicy"), one, &SELECTS)));
    let policies = items(rules, "policies");
    if policies.is_empty() {
        found.push(Cause::required(format!("{path}.policies"), "must specify at least one Policy"));
    }
    found.extend(policies.iter().enumerate().flat_map(|(at, one)| policy(one, &format!("{path}.policies[{at}]"))));
    found
}

fn policy(policy: &Value, path: &str) -> Vec<Cause> {
    let kind = text(policy, "type");
    let mut found = Vec::new();
    if !POLICIES.contains(&kind) {
        found.push(unsupported(&format!("{path}.type"), &json!(kind), &POLICIES));
    }
    for name in ["value", "periodSeconds"] {
        let number = at(policy, name).as_i64().unwrap_or_default();
        let field = format!("{path}.{name}");
        if number < 1 {
            found.push(Cause::invalid(field, &json!(number), "must be greater than zero"));
        } else if name == "periodSeconds" && number > PERIOD {
            found.push(Cause::invalid(field, &json!(number), "must be less than or equal to 1800"));
        }
    }
    found
}

/// What is wrong with the names of what is scaled.
pub(super) fn names(scaler: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    for field in ["spec.scaleTargetRef.kind", "spec.scaleTargetRef.name"] {
        let name = word(scaler, field);
        if name.is_empty() {
            found.push(Cause::required(field, ""));
        } else if let Some(detail) = step_fault(name) {
            found.push(Cause::invalid(field, &json!(name), &detail));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(spec: &Value) -> Vec<String> {
        faults(&json!({"spec": spec})).into_iter().map(|cause| cause.field).collect()
    }

    #[test]
    fn a_metric_says_what_it_looks_at() {
        let target = json!({"type": "Utilization", "averageUtilization": 50});
        let fine = json!({"type": "Resource", "resource": {"name": "cpu", "target": target}});
        assert!(fields(&json!({"metrics": [fine]})).is_empty());
        assert_eq!(fields(&json!({"metrics": [{"type": "Pods"}]})), ["spec.metrics[0].pods"]);
        let empty =
            json!({"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Value"}}}]});
        assert_eq!(fields(&empty), ["spec.metrics[0].resource.target.averageUtilization"]);
    }

    #[test]
    fn nothing_is_scaled_to_nothing_by_what_runs() {
        assert_eq!(fields(&json!({"minReplicas": 0})), ["spec.metrics"]);
        let up = json!({"behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1801}]}}});
        assert_eq!(fields(&up), ["spec.behavior.scaleUp.policies[0].periodSeconds"]);
    }
}
