//! The rules of how jobs count and fail.
//!
//! Source: the answers of the API server; `validateJobSpec` of `pkg/apis/batch/validation`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::containers::given;
use super::kinds::{at, invalid_text, no_path_of_domain, unsupported, word};
use super::{items, text};
use crate::domain::krm::cause::Cause;

const MODES: [&str; 2] = ["NonIndexed", "Indexed"];
const REPLACEMENTS: [&str; 2] = ["Failed", "TerminatingOrFailed"];
const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
const OPERATORS: [&str; 2] = ["In", "NotIn"];

/// What is wrong with how the job at a path counts its pods and takes their failures.
pub(super) fn faults(object: &Value, path: &str) -> Vec<Cause> {
    let spec = at(object, path);
    let is_indexed = text(spec, "completionMode") == "Indexed";
    let mut found = Vec::new();
    for (name, known) in [("completionMode", MODES), ("podReplacementPolicy", REPLACEMENTS)] {
        let odd = given(spec, name).filter(|value| value.as_str().is_some_and(|value| !known.contains(&value)));
        found.extend(odd.map(|value| unsupported(&format!("{path}.{name}"), value, &known)));
    }
    if given(spec, "maxFailedIndexes").is_some() && given(spec, "backoffLimitPerIndex").is_none() {
        let detail = "when maxFailedIndexes is specified";
        found.push(Cause::required(format!("{path}.backoffLimitPerIndex"), detail));
    }
    for name in ["backoffLimitPerIndex", "maxFailedIndexes"].into_iter().filter(|_| !is_indexed) {
        let value = given(spec, name);
        found.extend(
            value.map(|value| Cause::invalid(format!("{path}.{name}"), value, "requires indexed completion mode")),
        );
    }
    let manager = text(spec, "managedBy");
    found.extend(no_path_of_domain(&format!("{path}.managedBy"), manager).filter(|_| !manager.is_empty()));
    for (index, rule) in items(spec, "podFailurePolicy.rules").iter().enumerate() {
        found.extend(failure(rule, &format!("{path}.podFailurePolicy.rules[{index}]")));
    }
    found
}

fn failure(rule: &Value, path: &str) -> Vec<Cause> {
    let (action, field) = (text(rule, "action"), format!("{path}.action"));
    let mut found = Vec::new();
    if action.is_empty() {
        let known = ACTIONS.map(|action| format!("{action:?}")).join(" ");
        found.push(Cause::required(field, &format!("valid values: [{known}]")));
    } else if !ACTIONS.contains(&action) {
        found.push(unsupported(&field, &json!(action), &ACTIONS));
    }
    let codes = given(rule, "onExitCodes");
    if let Some(codes) = codes {
        found.extend(exit_codes(codes, &format!("{path}.onExitCodes")));
    }
    let why = match (codes.is_some(), !items(rule, "onPodConditions").is_empty()) {
        (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return found,
    };
    // The server shows the detail in the place of the value.
    let cause = invalid_text(path, why, "");
    found.push(Cause { message: format!("Invalid value: {why}"), ..cause });
    found
}

fn exit_codes(codes: &Value, path: &str) -> Vec<Cause> {
    let (operator, values) = (text(codes, "operator"), items(codes, "values"));
    let mut found = Vec::new();
    if !OPERATORS.contains(&operator) {
        found.push(unsupported(&format!("{path}.operator"), &json!(operator), &OPERATORS));
    }
    if values.is_empty() {
        found.push(Cause::invalid(format!("{path}.values"), &json!([]), "at least one value is required"));
    }
    let mut seen = BTreeSet::new();
    for (index, value) in values.iter().enumerate() {
        let (field, code) = (format!("{path}.values[{index}]"), value.as_i64().unwrap_or_default());
        if !seen.insert(code) {
            found.push(Cause::duplicate(field.as_str(), value));
        }
        if code == 0 && operator == "In" {
            found.push(Cause::invalid(field, value, "must not be 0 for the In operator"));
        }
    }
    found
}

/// What is wrong with the time zone of a cron job, but for zones that nobody knows.
pub(super) fn time_zone(object: &Value) -> Option<Cause> {
    let field = "spec.timeZone";
    let zone = given(object, field)?;
    let detail = match word(object, field) {
        "" => "timeZone must be nil or non-empty string",
        name if name.eq_ignore_ascii_case("local") => {
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        }
        _ => return None,
    };
    Some(Cause::invalid(field, zone, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(spec: &Value) -> Vec<String> {
        faults(&json!({"spec": spec}), "spec").into_iter().map(|cause| cause.field).collect()
    }

    #[test]
    fn only_jobs_with_indexes_count_by_them() {
        assert!(fields(&json!({"completionMode": "Indexed", "backoffLimitPerIndex": 1})).is_empty());
        assert_eq!(fields(&json!({"backoffLimitPerIndex": 1})), ["spec.backoffLimitPerIndex"]);
        assert_eq!(fields(&json!({"completionMode": "Foo"})), ["spec.completionMode"]);
    }

    #[test]
    fn a_failure_is_met_by_codes_or_by_conditions() {
        let rule = |rule: Value| fields(&json!({"podFailurePolicy": {"rules": [rule]}})).len();
        assert_eq!(rule(json!({"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}})), 0);
        assert_eq!((rule(json!({})), rule(json!({"action": "Ignore"}))), (2, 1));
    }
}
