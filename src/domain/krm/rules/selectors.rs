//! The rules of label selectors within objects.
//!
//! Source: `ValidateLabelSelector` of apimachinery `apis/meta/v1/validation`.

use serde_json::{Value, json};

use super::{items, kinds::at, text};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata::{key_faults, label_value_fault};

/// What is wrong with a `metav1.LabelSelector` that stands at a path.
pub(super) fn faults(selector: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    let field = format!("{path}.matchLabels");
    for (key, value) in at(selector, "matchLabels").as_object().into_iter().flatten() {
        found.extend(key_faults(key).iter().map(|detail| Cause::invalid(field.as_str(), &json!(key), detail)));
        let fault = value.as_str().and_then(label_value_fault);
        found.extend(fault.map(|detail| Cause::invalid(field.as_str(), value, detail)));
    }
    let expressions = items(selector, "matchExpressions").iter().enumerate();
    let expression = |(at, one)| expression(one, &format!("{path}.matchExpressions[{at}]"));
    found.extend(expressions.flat_map(expression));
    found
}

fn expression(expression: &Value, path: &str) -> Vec<Cause> {
    let (operator, values) = (text(expression, "operator"), items(expression, "values"));
    let mut found = Vec::new();
    match operator {
        "In" | "NotIn" if values.is_empty() => {
            let detail = "must be specified when `operator` is 'In' or 'NotIn'";
            found.push(Cause::required(format!("{path}.values"), detail));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            found.push(Cause::forbidden(format!("{path}.values"), detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => {
            found.push(Cause::invalid(format!("{path}.operator"), &json!(operator), "not a valid selector operator"));
        }
    }
    let key = text(expression, "key");
    found.extend(key_faults(key).iter().map(|detail| Cause::invalid(format!("{path}.key"), &json!(key), detail)));
    for (index, value) in values.iter().enumerate() {
        let fault = value.as_str().and_then(label_value_fault);
        found.extend(fault.map(|detail| Cause::invalid(format!("{path}.values[{index}]"), value, detail)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_a_selector_is_looked_at() {
        let selector = json!({"matchLabels": {"a": "b c", "-": "d"}, "matchExpressions": [
            {"key": "a", "operator": "In"}, {"key": "a", "operator": "Exists", "values": ["x"]},
            {"key": "", "operator": "Has"}, {"key": "a", "operator": "NotIn", "values": ["ok", "not ok"]}]});
        let fields: Vec<String> = faults(&selector, "s").into_iter().map(|cause| cause.field).collect();
        let expected = [
            "s.matchLabels",
            "s.matchLabels",
            "s.matchExpressions[0].values",
            "s.matchExpressions[1].values",
            "s.matchExpressions[2].operator",
            "s.matchExpressions[2].key",
            "s.matchExpressions[2].key",
            "s.matchExpressions[3].values[1]",
        ];
        assert_eq!(fields, expected);
        assert!(faults(&json!({"matchLabels": {"a.io/b": ""}}), "s").is_empty());
    }
}
