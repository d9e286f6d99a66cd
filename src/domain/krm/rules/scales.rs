//! What a `CustomResourceDefinition` may say of the scale of its objects.
//!
//! Source: `ValidateCustomResourceDefinitionSubresources` of `k8s.io/apiextensions-apiserver` v0.36.

use serde_json::{Value, json};

use crate::domain::krm::cause::Cause;

/// What is wrong with the place where a part of a scale is found: `roots` are where it may be.
fn path_fault(scale: &Value, at: &str, name: &str, roots: &[&str]) -> Option<Cause> {
    let path = scale.get(name).and_then(Value::as_str).unwrap_or_default();
    let field = format!("{at}.{name}");
    let is_below = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.starts_with('.'));
    if path.is_empty() {
        return Some(Cause::required(field, ""));
    }
    if !path.starts_with('.') {
        return Some(Cause::invalid(field, &json!(path), "must be a simple json path starting with ."));
    }
    let either = if roots.len() > 1 { "either " } else { "" };
    let detail = format!("should be a json path under {either}{}", roots.join(" or "));
    (!roots.iter().any(|root| is_below(root))).then(|| Cause::invalid(field, &json!(path), &detail))
}

fn faults_of(scale: &Value, at: &str) -> Vec<Cause> {
    let selector = scale.get("labelSelectorPath").and_then(Value::as_str).is_some_and(|path| !path.is_empty());
    let counts = [("specReplicasPath", ".spec"), ("statusReplicasPath", ".status")];
    let counts = counts.into_iter().filter_map(|(name, root)| path_fault(scale, at, name, &[root]));
    let selector = selector.then(|| path_fault(scale, at, "labelSelectorPath", &[".spec", ".status"])).flatten();
    counts.chain(selector).collect()
}

/// What is wrong with the scales of a definition. What all of its versions say alike is told once, at the place where
/// an older form of definitions has it.
#[must_use]
pub(super) fn scale_faults(definition: &Value) -> Vec<Cause> {
    let versions = definition.pointer("/spec/versions").and_then(Value::as_array).map(Vec::as_slice);
    let versions = versions.unwrap_or_default();
    let subresources = |version: &Value| version.get("subresources").cloned();
    let is_shared = versions.iter().zip(versions.iter().skip(1)).all(|(a, b)| subresources(a) == subresources(b));
    let count = if is_shared { 1 } else { versions.len() };
    let told = versions.iter().take(count).enumerate().flat_map(|(index, version)| {
        let place = if is_shared { String::new() } else { format!(".versions[{index}]") };
        let scale = version.pointer("/subresources/scale").filter(|scale| scale.is_object());
        scale.map(|scale| faults_of(scale, &format!("spec{place}.subresources.scale"))).unwrap_or_default()
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_found_where_they_may_be() {
        let told = |scale: Value| -> Vec<String> {
            let definition = json!({"spec": {"versions": [{"name": "v1", "subresources": {"scale": scale}}]}});
            scale_faults(&definition).iter().map(ToString::to_string).collect()
        };
        let at = |spec: &str, status: &str| json!({"specReplicasPath": spec, "statusReplicasPath": status});
        assert!(told(at(".spec.replicas", ".status.replicas")).is_empty());
        let place = "spec.subresources.scale";
        assert_eq!(
            told(json!({})),
            ["specReplicasPath", "statusReplicasPath"].map(|name| format!("{place}.{name}: Required value"))
        );
        let invalid = |name: &str, path: &str, why: &str| format!("{place}.{name}: Invalid value: {path:?}: {why}");
        let table = [
            (
                at("spec.a", ".status.a"),
                invalid("specReplicasPath", "spec.a", "must be a simple json path starting with ."),
            ),
            (at(".spec", ".status.a"), invalid("specReplicasPath", ".spec", "should be a json path under .spec")),
            (
                at(".spec.a", ".specs.a"),
                invalid("statusReplicasPath", ".specs.a", "should be a json path under .status"),
            ),
        ];
        for (scale, expected) in table {
            assert_eq!(told(scale), [expected]);
        }
        let mut scale = at(".spec.a", ".status.a");
        scale["labelSelectorPath"] = json!(".foo.bar");
        let why = "should be a json path under either .spec or .status";
        assert_eq!(told(scale), [invalid("labelSelectorPath", ".foo.bar", why)]);
    }
}
