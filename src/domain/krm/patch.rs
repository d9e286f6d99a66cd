//! Patches of objects as the API server applies them.
//!
//! | patch | source |
//! |---|---|
//! | [`JsonPatch`] | RFC 6902, with the liberties that the API server takes |
//! | [`merge`] | RFC 7396 |
//! | [`strategic()`] | "Strategic Merge Patch" of the Kubernetes API conventions |
//!
//! Server-side apply is [`super::apply()`].

mod json;
mod strategic;

use serde_json::Value;

pub use json::{JsonPatch, JsonPatchError, MAX_COPIED, MAX_OPERATIONS};
pub use strategic::{StrategicError, strategic};

/// `value` after a JSON merge patch: maps are merged, null removes a field, everything else takes the place of what was
/// there.
#[must_use]
pub fn merge(value: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut fields = value.as_object().cloned().unwrap_or_default();
    for (name, part) in patch {
        let old = fields.remove(name).unwrap_or_default();
        if !part.is_null() {
            fields.insert(name.clone(), merge(&old, part));
        }
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests;
