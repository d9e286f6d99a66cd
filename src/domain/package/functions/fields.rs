//! Field specs: which fields of which kinds a function changes, as kustomize writes them (`spec/containers[]/image`).

use serde_json::Value;

use super::{group_of, kind_of, version_of};

/// A field of some kinds. What is not given matches all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldSpec {
    pub(super) group: Option<String>,
    pub(super) version: Option<String>,
    pub(super) kind: Option<String>,
    /// Steps between slashes; `[]` behind one says that it is a list, `\/` is a slash in a key.
    pub(super) path: String,
    /// Whether the field is made when it is absent.
    pub(super) create: bool,
}

impl FieldSpec {
    /// The places in `value` that are meant.
    pub(super) fn places(&self, value: &Value) -> Vec<Vec<String>> {
        let meant = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        if meant(&self.group, group_of(value))
            && meant(&self.version, version_of(value))
            && meant(&self.kind, kind_of(value))
        {
            expand(value, &self.path, self.create)
        } else {
            Vec::new()
        }
    }
}

/// All places in `value` that a path means. Lists on the way, and at its end, are entered with or without `[]`. With
/// `create`, an absent place is one too, unless it lies in a list that is absent.
pub(super) fn expand(value: &Value, path: &str, create: bool) -> Vec<Vec<String>> {
    let steps = steps(path);
    let mut found = Vec::new();
    walk(value, &steps, create, &mut Vec::new(), &mut found);
    found
}

fn steps(path: &str) -> Vec<String> {
    let mut steps = vec![String::new()];
    let mut chars = path.trim_matches('/').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next_if_eq(&'/').is_some() => steps.last_mut().into_iter().for_each(|step| step.push('/')),
            '/' => steps.push(String::new()),
            c => steps.last_mut().into_iter().for_each(|step| step.push(c)),
        }
    }
    steps
}

fn walk(value: &Value, steps: &[String], create: bool, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    if let Value::Array(items) = value {
        for (index, item) in items.iter().enumerate() {
            path.push(index.to_string());
            walk(item, steps, create, path, found);
            path.pop();
        }
        return;
    }
    let Some((step, rest)) = steps.split_first() else {
        found.push(path.clone());
        return;
    };
    let key = step.strip_suffix("[]").unwrap_or(step);
    match value.get(key) {
        Some(inner) if !inner.is_null() => {
            path.push(key.to_owned());
            walk(inner, rest, create, path, found);
            path.pop();
        }
        _ if create && (value.is_object() || value.is_null()) && !steps.iter().any(|step| step.ends_with("[]")) => {
            found.push(path.iter().chain(steps).cloned().collect());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_reach_into_lists_and_make_what_is_absent() {
        let value = json!({"apiVersion": "a.example/v1", "kind": "K", "spec": {"l": [{"i": 1}, {"i": 2}, {}], "e": null, "t": ["x", "y"]}});
        let shown = |path: &str, create| expand(&value, path, create).iter().map(|p| p.join(".")).collect::<Vec<_>>();
        assert_eq!(shown("spec/l[]/i", false), ["spec.l.0.i", "spec.l.1.i"]);
        assert_eq!(shown("spec/l/i", true), ["spec.l.0.i", "spec.l.1.i", "spec.l.2.i"]);
        assert_eq!(shown("spec/t", false), ["spec.t.0", "spec.t.1"]);
        assert_eq!(shown("spec/e/f", false), Vec::<String>::new());
        assert_eq!(shown("spec/e/f", true), ["spec.e.f"]);
        assert_eq!(shown("spec/none[]/i", true), Vec::<String>::new());
        assert_eq!(shown("metadata/annotations/a.b\\/c", true), ["metadata.annotations.a.b/c"]);
        assert_eq!(shown("kind/x", true), Vec::<String>::new());
    }

    #[test]
    fn kinds_are_told_apart() {
        let value = json!({"apiVersion": "a.example/v1", "kind": "K", "f": 1});
        let spec = |group: Option<&str>, version: Option<&str>, kind: Option<&str>| FieldSpec {
            group: group.map(str::to_owned),
            version: version.map(str::to_owned),
            kind: kind.map(str::to_owned),
            path: "f".to_owned(),
            create: false,
        };
        assert_eq!(spec(None, None, None).places(&value).len(), 1);
        assert_eq!(spec(Some("a.example"), Some("v1"), Some("K")).places(&value).len(), 1);
        assert!(spec(Some("b.example"), None, None).places(&value).is_empty());
        assert!(spec(None, Some("v2"), None).places(&value).is_empty());
        assert!(spec(None, None, Some("L")).places(&value).is_empty());
    }
}
