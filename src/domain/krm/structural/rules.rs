//! Rules in CEL that a custom resource breaks, in the words of the API server.

use serde_json::Value;

use crate::domain::krm::cause::{Cause, ITSELF};
use crate::domain::krm::cel::{Broken, Reason, Rules};

/// Faults beside which rules are not looked at.
const BLOCKING: [&str; 5] =
    ["FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"];

/// What an object breaks as it is, and as the successor of `old`, unless it is so wrong `already` that nobody looks.
#[must_use]
pub fn broken(rules: &Rules, old: Option<&Value>, new: &Value, already: &[Cause]) -> Vec<Cause> {
    if rules.is_empty() {
        return Vec::new();
    }
    if already.iter().any(|cause| BLOCKING.contains(&cause.reason)) {
        let why = "some validation rules were not checked because the object was invalid; correct the existing errors to \
                   complete validation";
        return vec![Cause::invalid(ITSELF, &Value::Null, why)];
    }
    rules.check(new, old).into_iter().filter(|broken| !broken.ratcheted).map(cause).collect()
}

fn cause(broken: Broken) -> Cause {
    let field = if broken.path.is_empty() { ITSELF.to_owned() } else { broken.path.clone() };
    worded(field, broken)
}

/// What a value below a path breaks.
#[must_use]
pub fn cause_at(path: &str, broken: Broken) -> Cause {
    let field = match broken.path.as_str() {
        "" => path.to_owned(),
        below if below.starts_with('[') => format!("{path}{below}"),
        below => format!("{path}.{below}"),
    };
    worded(field, broken)
}

fn worded(field: String, broken: Broken) -> Cause {
    let shown = broken.value.map(|value| format!(": {value}")).unwrap_or_default();
    match broken.reason {
        Reason::Forbidden => Cause::forbidden(field, &broken.detail),
        Reason::Required => Cause::required(field, &broken.detail),
        Reason::Duplicate => Cause { reason: "FieldValueDuplicate", message: format!("Duplicate value{shown}"), field },
        Reason::Invalid => {
            let message = format!("Invalid value{shown}: {}", broken.detail);
            Cause { reason: "FieldValueInvalid", message, field }
        }
    }
}
