//! `annotate-apply-time-mutations`: writes the annotation that fills fields from other objects while they are applied,
//! from comments and from `ApplyTimeMutation` resources.

use regex::Regex;
use serde_json::{Map, Value, json};

use super::spots::{What, spots};
use super::{Call, FunctionError, Native, at, group_of, kind_of, name_of, namespace_of, refs, text_at};
use crate::domain::krm::document::to_yaml;
use crate::domain::package::resources::Place;

const ANNOTATION: &str = "config.kubernetes.io/apply-time-mutation";
const MARK: &str = "apply-time-mutation:";
/// `${group/[version/][namespaces/namespace/]Kind/name:path}`.
const SOURCE: &str = r"\$\{([^/}]*)/(?:([^/}]+)/)??(?:namespaces/([^/}]+)/)?([^/}]+)/([^/:}]+):([^}]+)\}";

pub(super) const NATIVE: Native = Native {
    name: "annotate-apply-time-mutations",
    aliases: &[],
    families: &["v0.1"],
    summary: "writes apply-time-mutation annotations from comments and from ApplyTimeMutation resources",
    kind: None,
    options: &[],
    example: "pipeline:
  mutators:
  - image: gcr.io/kpt-fn-contrib/annotate-apply-time-mutations:v0.1.0
# in a resource:
#   member: x # apply-time-mutation: sa-${a.example/namespaces/ns/Project/p:$.status.number}@b.example
",
    notes: "A comment with text around its reference gives the field that text with a token ${ref0}, ${ref1}, ...; a bare \
            reference replaces the whole field when it is applied. An ApplyTimeMutation (fn.kpt.dev/v1alpha1) names \
            spec.targetRef and spec.substitutions; mark it with config.kubernetes.io/local-config.",
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    call.only(&["data"], &[])?;
    let values = call.values();
    for (place, value) in &values {
        if (group_of(value), kind_of(value)) == ("fn.kpt.dev", "ApplyTimeMutation") {
            from_resource(call, place, value, &values)?;
        }
    }
    for (place, _) in &values {
        from_comments(call, place)?;
    }
    if call.results.is_empty() {
        call.info("no mutations found");
    }
    Ok(())
}

fn wrong(call: &Call<'_>, place: &Place, path: &[&str], message: String) -> FunctionError {
    FunctionError::Value { origin: call.origin(place, path), message }
}

fn from_resource(
    call: &mut Call<'_>,
    place: &Place,
    value: &Value,
    all: &[(Place, Value)],
) -> Result<(), FunctionError> {
    let target = at(value, &["spec", "targetRef"]).cloned().unwrap_or(Value::Null);
    let list = at(value, &["spec", "substitutions"]).and_then(Value::as_array).filter(|list| !list.is_empty());
    if text_at(&target, &["kind"]).is_empty() || text_at(&target, &["name"]).is_empty() {
        let message = "spec.targetRef needs kind and name (and group and namespace where the object has them)";
        return Err(wrong(call, place, &["spec", "targetRef"], message.to_owned()));
    }
    let Some(list) = list else {
        let message = "spec.substitutions is missing or empty (write - sourceRef, sourcePath and targetPath)";
        return Err(wrong(call, place, &["spec", "substitutions"], message.to_owned()));
    };
    let version = text_at(&target, &["apiVersion"]);
    let is_target = |other: &Value| {
        let group = if version.is_empty() {
            group_of(other) == text_at(&target, &["group"])
        } else {
            text_at(other, &["apiVersion"]) == version
        };
        group
            && kind_of(other) == text_at(&target, &["kind"])
            && name_of(other) == text_at(&target, &["name"])
            && namespace_of(other) == text_at(&target, &["namespace"])
    };
    for (target, _) in all.iter().filter(|(_, other)| is_target(other)) {
        annotate(call, target, &Value::Array(list.clone()))?;
    }
    Ok(())
}

fn from_comments(call: &mut Call<'_>, place: &Place) -> Result<(), FunctionError> {
    let found = call.resources.document(place).map(spots).unwrap_or_default();
    let mut list = Vec::new();
    for spot in found {
        let What::Scalar { comment: Some(comment), .. } = &spot.what else { continue };
        let Some(pattern) = comment.strip_prefix(MARK) else { continue };
        let path = refs(&spot.path);
        let pattern = pattern.trim().trim_matches('"');
        let (mut substitution, text) = substitution(pattern, list.len()).ok_or_else(|| {
            let hint = "write ${group/[version/][namespaces/namespace/]Kind/name:$.path}";
            wrong(call, place, &path, format!("the comment {pattern:?} names no source ({hint})"))
        })?;
        substitution.insert("targetPath".to_owned(), Value::from(json_path(&call.resources.value(place), &path)));
        if let Some(text) = text {
            call.write(place, &path, &text)?;
        }
        list.push(Value::Object(substitution));
    }
    if list.is_empty() { Ok(()) } else { annotate(call, place, &Value::Array(list)) }
}

fn annotate(call: &mut Call<'_>, place: &Place, list: &Value) -> Result<(), FunctionError> {
    let path = ["metadata", "annotations", ANNOTATION];
    call.set(place, &path, &Value::from(to_yaml(list)))?;
    call.remark(place, &path, "Wrote apply-time-mutation annotation");
    Ok(())
}

/// One substitution without its target, and the field's new text when it has a token.
fn substitution(pattern: &str, index: usize) -> Option<(Map<String, Value>, Option<String>)> {
    let regex = Regex::new(SOURCE).ok()?;
    let found = regex.captures(pattern)?;
    let group = |index: usize| found.get(index).map_or("", |group| group.as_str());
    let mut source = Map::new();
    if group(2).is_empty() {
        source.insert("group".to_owned(), Value::from(group(1)));
    } else {
        let version = [group(1), group(2)].join("/");
        source.insert("apiVersion".to_owned(), Value::from(version.trim_start_matches('/')));
    }
    for (key, value) in [("namespace", group(3)), ("kind", group(4)), ("name", group(5))] {
        source.insert(key.to_owned(), Value::from(value));
    }
    source.retain(|_, value| value != "");
    let mut substitution = Map::new();
    substitution.insert("sourceRef".to_owned(), Value::Object(source));
    substitution.insert("sourcePath".to_owned(), json!(group(6)));
    if group(0) == pattern {
        return Some((substitution, None));
    }
    let token = format!("${{ref{index}}}");
    substitution.insert("token".to_owned(), json!(token));
    Some((substitution, Some(regex.replace_all(pattern, regex::NoExpand(&token)).into_owned())))
}

/// `$.spec.list[0]["a.b/c"]`.
fn json_path(value: &Value, path: &[&str]) -> String {
    let mut text = "$".to_owned();
    let mut here = Some(value);
    for part in path {
        let simple = !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if here.is_some_and(Value::is_array) {
            text.push_str(&format!("[{part}]"));
        } else if simple {
            text.push_str(&format!(".{part}"));
        } else {
            text.push_str(&format!("[{}]", Value::from(*part)));
        }
        here = here.and_then(|value| at(value, &[part]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_in_all_their_forms() {
        let source = |pattern: &str| substitution(pattern, 2).map(|(map, text)| (map["sourceRef"].clone(), text));
        let table = [
            (
                "${a.example/namespaces/n/K/x:$.s}",
                json!({"group": "a.example", "namespace": "n", "kind": "K", "name": "x"}),
                None,
            ),
            (
                "${a.example/v1/namespaces/n/K/x:$.s}",
                json!({"apiVersion": "a.example/v1", "namespace": "n", "kind": "K", "name": "x"}),
                None,
            ),
            ("${a.example/K/x:$.s}", json!({"group": "a.example", "kind": "K", "name": "x"}), None),
            ("${/namespaces/n/ConfigMap/x:$.s}", json!({"namespace": "n", "kind": "ConfigMap", "name": "x"}), None),
            (
                "p-${a.example/v1/K/x:$.s}-q",
                json!({"apiVersion": "a.example/v1", "kind": "K", "name": "x"}),
                Some("p-${ref2}-q"),
            ),
        ];
        for (pattern, expected, text) in table {
            let (found, told) = source(pattern).unwrap();
            assert_eq!((found, told.as_deref()), (expected, text), "{pattern}");
        }
        assert!(source("${K}").is_none() && source("none").is_none());
    }
}
