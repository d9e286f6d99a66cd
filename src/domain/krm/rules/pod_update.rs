//! What of a pod may change once it is there: images, the deadline, more tolerations, fewer scheduling gates.
//!
//! Source: `ValidatePodUpdate` of Kubernetes v1.36.

use serde_json::{Value, json};

use super::items;
use super::kinds::at;
use crate::domain::krm::cause::Cause;
use crate::domain::krm::value::same;

const LISTS: [&str; 2] = ["spec.containers", "spec.initContainers"];
const DEADLINE: &str = "spec.activeDeadlineSeconds";

/// What is wrong with a pod as a successor of another.
pub(super) fn faults(old: &Value, new: &Value) -> Vec<Cause> {
    let counted = |list: &&str| items(old, list).len() != items(new, list).len();
    if let Some(list) = LISTS.into_iter().find(counted) {
        return vec![Cause::forbidden(list, "pod updates may not add or remove containers")];
    }
    if let Some(raised) = raised_deadline(old, new) {
        return vec![raised];
    }
    let found = [lost_deadline(old, new), changed_toleration(old, new), changed_spec(old, new)];
    found.into_iter().flatten().collect()
}

fn raised_deadline(old: &Value, new: &Value) -> Option<Cause> {
    let (before, now) = (at(old, DEADLINE).as_i64()?, at(new, DEADLINE).as_i64()?);
    (now > before).then(|| Cause::invalid(DEADLINE, &json!(now), "must be less than or equal to previous value"))
}

fn lost_deadline(old: &Value, new: &Value) -> Option<Cause> {
    let lost = !at(old, DEADLINE).is_null() && at(new, DEADLINE).is_null();
    lost.then(|| Cause::invalid(DEADLINE, &Value::Null, "must not update from a positive integer to nil value"))
}

/// A toleration stays, though perhaps for another time.
fn changed_toleration(old: &Value, new: &Value) -> Option<Cause> {
    let path = "spec.tolerations";
    let timeless = |toleration: &Value| {
        let mut toleration = toleration.clone();
        toleration.as_object_mut().map(|fields| fields.remove("tolerationSeconds"));
        toleration
    };
    let is_kept = |old: &Value| items(new, path).iter().any(|new| same(&timeless(old), &timeless(new)));
    let detail = "existing toleration can not be modified except its tolerationSeconds";
    (!items(old, path).iter().all(is_kept)).then(|| Cause::forbidden(path, detail))
}

fn changed_spec(old: &Value, new: &Value) -> Option<Cause> {
    let detail = "pod updates may not change fields other than \
                  `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                  `spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` \
                  (allow it to be set to 1 if it was previously negative)";
    (!same(&fixed(old), &fixed(new))).then(|| Cause::forbidden("spec", detail))
}

/// The part of the spec that stays as it is.
fn fixed(pod: &Value) -> Value {
    let mut spec = pod.get("spec").cloned().unwrap_or_default();
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            container["image"] = Value::Null;
        }
    }
    for name in ["activeDeadlineSeconds", "tolerations", "nodeName", "schedulingGates"] {
        spec[name] = Value::Null;
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tolerations_are_only_added_and_deadlines_only_lowered() {
        let pod = |deadline: Value, tolerations: Value| json!({"spec": {"activeDeadlineSeconds": deadline, "tolerations": tolerations}});
        let (a, longer) = (json!({"key": "a"}), json!({"key": "a", "tolerationSeconds": 5}));
        let old = pod(json!(5), json!([a]));
        let told = |new: &Value| faults(&old, new).iter().map(|cause| cause.field.clone()).collect::<Vec<_>>();
        assert!(told(&pod(json!(4), json!([longer, {"key": "b"}]))).is_empty());
        assert_eq!(told(&pod(json!(5), json!([{"key": "b"}]))), ["spec.tolerations"]);
        assert_eq!(told(&pod(Value::Null, Value::Null)), [DEADLINE, "spec.tolerations"]);
        assert_eq!(told(&pod(json!(6), Value::Null)), [DEADLINE], "a raised deadline is all that is told");
    }
}
