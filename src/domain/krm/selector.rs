//! Label selectors, as objects and as text.
//!
//! Source: apimachinery `labels` (equality- and set-based requirements).

mod text;

use std::collections::BTreeSet;

use serde_json::Value;

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
    /// The server's words for the part that cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        text::parse(text).map(Self)
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

#[cfg(test)]
mod tests {
    use super::*;
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
            assert!(LabelSelector::parse(broken).is_err(), "{broken}");
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
}
