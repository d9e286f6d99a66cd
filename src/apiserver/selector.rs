//! Label and field selectors.
//!
//! Source: apimachinery `labels` (equality- and set-based requirements) and `fields` (equality only).

use std::collections::BTreeSet;

use serde_json::Value;

use crate::apiserver::kinds::Kind;
use crate::apiserver::labels;
use crate::apiserver::status::ApiError;

/// What a label must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    /// One of these.
    In(BTreeSet<String>),
    /// None of these, or missing.
    NotIn(BTreeSet<String>),
    /// There.
    Exists,
    /// Not there.
    Missing,
    /// A greater number.
    Greater(i64),
    /// A smaller number.
    Less(i64),
}

impl Test {
    fn holds(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::In(values) => value.is_some_and(|value| values.contains(value)),
            Self::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
            Self::Exists => value.is_some(),
            Self::Missing => value.is_none(),
            Self::Greater(than) => number().is_some_and(|number| number > *than),
            Self::Less(than) => number().is_some_and(|number| number < *than),
        }
    }
}

/// Requirements on labels; without any it matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<(String, Test)>);

impl LabelSelector {
    /// Reads `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1`.
    ///
    /// # Errors
    /// 400 that names the part that cannot be read.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        labels::parse(text).map(Self).map_err(ApiError::bad_request)
    }

    /// Reads a `metav1.LabelSelector` with `matchLabels` and `matchExpressions`. What cannot be read matches nothing.
    #[must_use]
    pub fn of(selector: &Value) -> Self {
        let labels = selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten();
        let equal =
            labels.map(|(key, value)| (key.clone(), Test::In(value.as_str().map(str::to_owned).into_iter().collect())));
        let expressions = selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten();
        Self(equal.chain(expressions.map(expression)).collect())
    }

    /// Whether an object has such labels.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        let value = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
        self.0.iter().all(|(key, test)| test.holds(value(key)))
    }

    /// Whether it asks for nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn expression(expression: &Value) -> (String, Test) {
    let text = |name: &str| expression.get(name).and_then(Value::as_str).unwrap_or_default();
    let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
    let values: BTreeSet<String> = values.filter_map(Value::as_str).map(str::to_owned).collect();
    let wanted = match text("operator") {
        "NotIn" => Test::NotIn(values),
        "Exists" => Test::Exists,
        "DoesNotExist" => Test::Missing,
        _ => Test::In(values),
    };
    (text("key").to_owned(), wanted)
}

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
    fn labels_are_selected_as_kubernetes_selects_them() {
        let object = json!({"metadata": {"labels": {"app": "upf", "tier": "core", "n": "5", "a.io/x": ""}}});
        let table = [
            ("", true),
            ("app=upf", true),
            ("app==upf,tier!=edge", true),
            ("app = amf", false),
            ("app in (amf, upf)", true),
            ("app in(upf)", true),
            ("app notin (amf,smf),tier", true),
            ("missing notin (x)", true),
            ("missing!=x", true),
            ("!missing", true),
            ("!app", false),
            ("n>4", true),
            ("n<5", false),
            ("a.io/x=", true),
        ];
        for (text, expected) in table {
            assert_eq!(LabelSelector::parse(text).unwrap().matches(&object), expected, "{text}");
        }
        for broken in ["=x", "a in x", "a b", "n>x", "a in (x"] {
            assert_eq!(LabelSelector::parse(broken).unwrap_err().code, 400, "{broken}");
        }
    }

    #[test]
    fn label_selector_objects_hold_both_forms() {
        let selector = LabelSelector::of(&json!({
            "matchLabels": {"app": "upf"},
            "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["edge"]}, {"key": "x", "operator": "DoesNotExist"}]
        }));
        assert!(selector.matches(&json!({"metadata": {"labels": {"app": "upf"}}})));
        assert!(!selector.matches(&json!({"metadata": {"labels": {"app": "upf", "x": "1"}}})));
        assert!(!selector.matches(&json!({"metadata": {"labels": {"app": "upf", "tier": "edge"}}})));
    }

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
