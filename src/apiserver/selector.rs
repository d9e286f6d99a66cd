//! Field selectors.
//!
//! Source: apimachinery `fields` (equality only).

use serde_json::Value;

use crate::apiserver::kinds::Kind;
use crate::apiserver::status::ApiError;

/// Equality requirements on fields; without any it matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<(String, String, bool)>);

impl FieldSelector {
    /// Reads `metadata.name=a,status.phase!=Running` for a kind.
    ///
    /// # Errors
    /// 400 when it cannot be read or names a field by which objects of the kind cannot be selected.
    pub fn parse(text: &str, kind: &Kind) -> Result<Self, ApiError> {
        let parts = text.split(',').filter(|part| !part.is_empty());
        parts.map(|part| field_requirement(part, kind)).collect::<Result<_, _>>().map(Self)
    }

    /// Whether an object has such fields; a missing field is the empty text.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|(field, value, equal)| (field_text(object, field) == *value) == *equal)
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name, when it asks for exactly one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.iter().find(|(field, _, equal)| field == "metadata.name" && *equal).map(|(_, name, _)| name.as_str())
    }
}

fn field_requirement(part: &str, kind: &Kind) -> Result<(String, String, bool), ApiError> {
    let not_equal = part.split_once("!=").map(|(field, value)| (field, value, false));
    let equal = || part.split_once("==").or_else(|| part.split_once('=')).map(|(field, value)| (field, value, true));
    let (field, value, is_equal) = not_equal
        .or_else(equal)
        .ok_or_else(|| ApiError::bad_request(format!("invalid selector: '{part}'; can't understand '{part}'")))?;
    let always = field == "metadata.name" || (field == "metadata.namespace" && kind.namespaced);
    if always || kind.selectable.iter().any(|known| known == field) {
        return Ok((field.to_owned(), unescape(value), is_equal));
    }
    Err(ApiError::bad_request(unknown_field(field, kind)))
}

/// Kinds with fields of their own and custom ones have other words for a field that is none of them.
fn unknown_field(field: &str, kind: &Kind) -> String {
    if kind.gvk.kind == "Job" && !kind.is_custom() {
        return format!("field label {field:?} not supported for Job");
    }
    if kind.is_custom() || !kind.selectable.is_empty() {
        return format!("field label not supported: {field}");
    }
    format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
}

/// `\\`, `\,` and `\=` stand for themselves.
fn unescape(value: &str) -> String {
    let mut letters = value.chars();
    let mut out = String::new();
    while let Some(letter) = letters.next() {
        out.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    out
}

fn field_text(object: &Value, field: &str) -> String {
    // The event's source is a struct that selectors know by its component.
    let field = if field == "source" { "source.component" } else { field };
    let pointer = format!("/{}", field.replace('.', "/"));
    match object.pointer(&pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::kinds::Kinds;
    use crate::domain::krm::Gvk;
    use serde_json::json;

    #[test]
    fn fields_are_selected_when_the_kind_allows_it() {
        let kinds = Kinds::builtin();
        let pod = kinds.by_gvk(&Gvk::new("", "v1", "Pod")).unwrap();
        let object = json!({"metadata": {"name": "a"}, "status": {"phase": "Running"}});
        let selector = FieldSelector::parse("status.phase!=Pending,metadata.name=a,spec.nodeName=", pod).unwrap();
        assert!(selector.matches(&object));
        assert_eq!(selector.name(), Some("a"));
        let error = FieldSelector::parse("spec.foo=a", pod).unwrap_err();
        assert_eq!(error.message, "field label not supported: spec.foo");
    }
}
