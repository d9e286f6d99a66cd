//! The rules of stateful sets beside those of their pods.
//!
//! Source: the answers of the API server; `ValidateStatefulSetSpec` of `pkg/apis/apps/validation`.

use serde_json::{Value, json};

use super::containers::given;
use super::items;
use super::kinds::{Shown, at, claim, invalid_text, unsupported, word};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata::label_fault;

const RETENTIONS: [&str; 2] = ["Retain", "Delete"];

/// What is wrong with a stateful set beside its selector and its pods.
pub(super) fn faults(object: &Value) -> Vec<Cause> {
    let mut found: Vec<Cause> = order(object).into_iter().chain(updates(object)).collect();
    let partition = "spec.updateStrategy.rollingUpdate.partition";
    found.extend([partition, "spec.ordinals.start"].into_iter().filter_map(|path| negative(object, path)));
    for name in ["whenDeleted", "whenScaled"] {
        let path = format!("spec.persistentVolumeClaimRetentionPolicy.{name}");
        let odd = given(object, &path).filter(|value| value.as_str().is_some_and(|one| !RETENTIONS.contains(&one)));
        found.extend(odd.map(|value| unsupported(&path, value, &RETENTIONS)));
    }
    let service = word(object, "spec.serviceName");
    let fault = label_fault(service).filter(|_| !service.is_empty());
    found.extend(fault.map(|detail| Cause::invalid("spec.serviceName", &json!(service), detail)));
    for (index, template) in items(object, "spec.volumeClaimTemplates").iter().enumerate() {
        let at = |cause: Cause| Cause { field: format!("spec.volumeClaimTemplates[{index}].{}", cause.field), ..cause };
        found.extend(claim(template).into_iter().map(at));
    }
    found
}

fn negative(object: &Value, path: &str) -> Option<Cause> {
    let value = given(object, path).filter(|value| value.as_i64().is_some_and(|number| number < 0))?;
    Some(Cause::invalid(path, value, "must be greater than or equal to 0"))
}

fn order(object: &Value) -> Option<Cause> {
    let path = "spec.podManagementPolicy";
    let policy = given(object, path).filter(|policy| !matches!(policy.as_str(), Some("OrderedReady" | "Parallel")))?;
    Some(Cause::invalid(path, policy, "must be 'OrderedReady' or 'Parallel'"))
}

/// A way to update that there is not; the server shows the structure as it is inside.
fn updates(object: &Value) -> Option<Cause> {
    let path = "spec.updateStrategy";
    let kind = word(object, "spec.updateStrategy.type");
    if matches!(kind, "" | "RollingUpdate" | "OnDelete") || !at(object, "spec.updateStrategy.rollingUpdate").is_null() {
        return None;
    }
    let shown = Shown(&[("Type", json!(kind)), ("RollingUpdate", Value::Null)]).to_string();
    Some(invalid_text(path, &shown, "must be 'RollingUpdate' or 'OnDelete'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stateful_set_goes_in_one_of_two_ways() {
        let fields = |spec: Value| -> Vec<String> {
            faults(&json!({"spec": spec})).into_iter().map(|cause| cause.field).collect()
        };
        assert!(fields(json!({"podManagementPolicy": "Parallel", "updateStrategy": {"type": "OnDelete"}})).is_empty());
        assert_eq!(fields(json!({"podManagementPolicy": "Random"})), ["spec.podManagementPolicy"]);
        assert_eq!(fields(json!({"updateStrategy": {"type": "Now"}})), ["spec.updateStrategy"]);
        assert_eq!(fields(json!({"volumeClaimTemplates": [{}]})).len(), 2);
    }
}
