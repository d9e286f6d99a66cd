//! Counts that may be percentages: how many pods may be missing or too many.
//!
//! Source: `ValidatePositiveIntOrPercent`, `IsNotMoreThan100Percent` and the rolling updates of
//! `pkg/apis/apps/validation`.

use serde_json::Value;

use super::get;
use super::kinds::{at, unsupported, word};
use crate::domain::krm::cause::Cause;

const PERCENT: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex \
                       used for validation is '[0-9]+%')";

fn percent(value: &Value) -> Option<u64> {
    let digits = value.as_str()?.strip_suffix('%')?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// What it counts to where zero matters: what is no number counts as none.
fn count(value: &Value) -> i64 {
    value.as_i64().or_else(|| percent(value).and_then(|percent| i64::try_from(percent).ok())).unwrap_or_default()
}

/// A count that is negative or no percentage.
fn amount(object: &Value, path: &str) -> Option<Cause> {
    let value = get(object, path).filter(|value| !value.is_null())?;
    match value.as_i64() {
        Some(number) if number < 0 => Some(Cause::invalid(path, value, "must be greater than or equal to 0")),
        None if percent(value).is_none() => Some(Cause::invalid(path, value, PERCENT)),
        _ => None,
    }
}

/// A percentage of more than all.
fn too_much(object: &Value, path: &str) -> Option<Cause> {
    let value = at(object, path);
    percent(value).filter(|&percent| percent > 100)?;
    Some(Cause::invalid(path, value, "must not be greater than 100%"))
}

/// What is wrong with the rolling update of a deployment: at least one pod must be free to come or go.
pub(super) fn rolling_update(object: &Value) -> Vec<Cause> {
    let [most, extra] = ["maxUnavailable", "maxSurge"].map(|name| format!("spec.strategy.rollingUpdate.{name}"));
    let mut found: Vec<Cause> = [amount(object, &most), amount(object, &extra)].into_iter().flatten().collect();
    if count(at(object, &most)) == 0 && count(at(object, &extra)) == 0 {
        found.push(Cause::invalid(most.as_str(), at(object, &most), "may not be 0 when `maxSurge` is 0"));
    }
    found.extend(too_much(object, &most));
    found
}

/// What is wrong with the rolling update of a daemon set: a pod either goes first or comes first.
pub(super) fn daemon_update(object: &Value) -> Vec<Cause> {
    let path = "spec.updateStrategy.rollingUpdate";
    let kind = word(object, "spec.updateStrategy.type");
    if !matches!(kind, "" | "RollingUpdate" | "OnDelete") && at(object, path).is_null() {
        // The server shows the structure as it is inside.
        let cause = unsupported("spec.updateStrategy", &Value::Null, &["RollingUpdate", "OnDelete"]);
        let shown = format!("{{\"Type\":{kind:?},\"RollingUpdate\":null}}");
        return vec![Cause { message: cause.message.replacen("null", &shown, 1), ..cause }];
    }
    if at(object, "spec.updateStrategy.type") != "RollingUpdate" || at(object, path).is_null() {
        return Vec::new();
    }
    let [most, extra] = ["maxUnavailable", "maxSurge"].map(|name| format!("{path}.{name}"));
    let faults = [amount(object, &most), too_much(object, &most), amount(object, &extra), too_much(object, &extra)];
    let mut found: Vec<Cause> = faults.into_iter().flatten().collect();
    match (count(at(object, &most)), count(at(object, &extra))) {
        (0, 0) => found.push(Cause::required(most, "cannot be 0 when maxSurge is 0")),
        (1.., 1..) => {
            let detail = "may not be set when maxUnavailable is non-zero";
            found.push(Cause::invalid(extra.as_str(), at(object, &extra), detail));
        }
        _ => {}
    }
    found
}

/// What is wrong with the counts of a disruption budget.
pub(super) fn budget(object: &Value) -> Vec<Cause> {
    let paths = ["spec.minAvailable", "spec.maxUnavailable"];
    paths.into_iter().flat_map(|path| amount(object, path).into_iter().chain(too_much(object, path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(faults: &[Cause]) -> Vec<String> {
        faults.iter().map(|cause| cause.to_string().chars().take(90).collect()).collect()
    }

    #[test]
    fn a_rolling_update_can_move() {
        let of = |most: Value, extra: Value| {
            let rolling = json!({"maxUnavailable": most, "maxSurge": extra});
            told(&rolling_update(&json!({"spec": {"strategy": {"rollingUpdate": rolling}}})))
        };
        assert!(of(json!(1), json!(0)).is_empty() && of(json!("0%"), json!("25%")).is_empty());
        let stuck = "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0";
        assert_eq!(of(json!(0), json!(0)), [&stuck[..90]]);
        assert_eq!(of(json!(-1), json!("x%")).len(), 2);
        assert_eq!(of(json!("101%"), json!(1)).len(), 1);
    }

    #[test]
    fn a_daemon_set_does_not_do_both() {
        let of = |most: Value, extra: Value| {
            let rolling = json!({"maxUnavailable": most, "maxSurge": extra});
            daemon_update(&json!({"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling}}}))
                .len()
        };
        assert_eq!((of(json!(1), json!(0)), of(json!(0), json!(0)), of(json!(1), json!(1))), (0, 1, 1));
    }

    #[test]
    fn budgets_are_counts_or_percentages() {
        let of = |least: Value| budget(&json!({"spec": {"minAvailable": least}})).len();
        assert_eq!([json!(0), json!("50%"), Value::Null].map(of), [0, 0, 0]);
        assert_eq!([json!(-1), json!("x"), json!("110%")].map(of), [1, 1, 1]);
    }
}
