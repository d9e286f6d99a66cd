//! The rules that custom resource definitions must keep.
//!
//! Source: `pkg/apis/apiextensions/validation` of `k8s.io/apiextensions-apiserver` v0.36; the schemas are looked at in
//! `schemas`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::scales::scale_faults;
use super::schemas;
use super::{get, items, required};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::formats;
use crate::domain::krm::structural;

/// Deepest nesting of schemas that is looked at.
const MAX_DEPTH: usize = 64;
/// The annotation by which Kubernetes' own groups are approved.
const APPROVAL: &str = "api-approved.kubernetes.io";

/// What is wrong with a definition by itself.
#[must_use]
pub(super) fn faults(object: &Value) -> Vec<Cause> {
    let text = |path: &str| get(object, path).and_then(Value::as_str).unwrap_or_default();
    let mut found = Vec::new();
    found.extend(required(object, "spec.group"));
    found.extend(required(object, "spec.scope"));
    if !matches!(text("spec.scope"), "Cluster" | "Namespaced" | "") {
        let allowed = ["\"Cluster\"".to_owned(), "\"Namespaced\"".to_owned()];
        found.push(Cause::not_supported("spec.scope", &json!(text("spec.scope")), &allowed));
    }
    found.extend(versions(object));
    found.extend(schemas::faults(object));
    found.extend(scale_faults(object));
    found.extend(
        ["plural", "singular", "kind", "listKind"]
            .iter()
            .filter_map(|name| required(object, &format!("spec.names.{name}"))),
    );
    if get(object, "spec.conversion").is_some_and(|conversion| !conversion.is_null()) {
        found.extend(required(object, "spec.conversion.strategy"));
    }
    found
}

/// What is warned of in the schemas of a definition: formats that nobody heeds, unless they were there before.
#[must_use]
pub fn warnings(old: Option<&Value>, new: &Value) -> Vec<String> {
    let formats = |definition: &Value| {
        let mut found = BTreeSet::new();
        for version in items(definition, "spec.versions") {
            if let Some(schema) = version.pointer("/schema/openAPIV3Schema") {
                unheeded(schema, MAX_DEPTH, &mut found);
            }
        }
        found
    };
    let known = old.map(formats).unwrap_or_default();
    formats(new).difference(&known).map(|format| format!("unrecognized format {format:?}")).collect()
}

fn unheeded(schema: &Value, depth: usize, found: &mut BTreeSet<String>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let format = schema.get("format").and_then(Value::as_str).filter(|format| !format.is_empty());
    found.extend(format.filter(|_| structural::format_of(schema).is_empty()).map(str::to_owned));
    let below = |name: &str| schema.get(name).into_iter();
    let named = below("properties").filter_map(Value::as_object).flat_map(|all| all.values());
    let listed = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(below).filter_map(Value::as_array).flatten();
    let single = ["items", "additionalProperties", "not"].into_iter().flat_map(below);
    named.chain(listed).chain(single).for_each(|schema| unheeded(schema, depth, found));
}

/// Versions in which objects may still be stored, though the definition does not have them any more.
#[must_use]
pub fn stored_versions(object: &Value) -> Vec<Cause> {
    if items(object, "status.storedVersions").is_empty() {
        let detail = "must have at least one stored version";
        return vec![Cause::invalid("status.storedVersions", &Value::Null, detail)];
    }
    let versions = items(object, "spec.versions");
    let stored = items(object, "status.storedVersions").iter().enumerate();
    let lost = stored.filter(|(_, stored)| versions.iter().all(|version| version.get("name") != Some(stored)));
    let cause = |(at, stored): (usize, &Value)| {
        let name = stored.as_str().unwrap_or_default();
        let detail = format!(
            "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a \
             storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
        );
        Cause::invalid(format!("status.storedVersions[{at}]"), stored, &detail)
    };
    lost.map(cause).collect()
}

fn versions(object: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    let versions = items(object, "spec.versions");
    let name = |version: &Value| version.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (index, version) in versions.iter().enumerate() {
        if version.pointer("/schema/openAPIV3Schema").is_none() {
            let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
            found.push(Cause::required(field, "schemas are required"));
        }
    }
    let misnamed = |(field, version): (String, &Value)| {
        let name = name(version);
        structural::dns_1035_fault(&name).map(|detail| Cause::invalid(field, &json!(name), &detail))
    };
    let places = (0..versions.len()).map(|index| format!("spec.versions[{index}].name"));
    found.extend(places.zip(versions).filter_map(misnamed));
    if versions.iter().map(name).collect::<BTreeSet<_>>().len() != versions.len() {
        found.push(together(versions, "must contain unique version names"));
    }
    let stored = versions.iter().filter(|version| version.get("storage") == Some(&Value::Bool(true))).count();
    if stored != 1 {
        let detail = "must have exactly one version marked as storage version";
        found.push(together(versions, detail));
    }
    // The first version is also the only one of an older form of definitions.
    found.extend(versions.first().and_then(|first| misnamed(("spec.version".to_owned(), first))));
    found
}

/// What is wrong with all versions, which are shown as the server has them inside when they share what they have beside
/// their names.
fn together(versions: &[Value], detail: &str) -> Cause {
    let shown = |version: &Value| {
        let flag = |name: &str| version.get(name) == Some(&Value::Bool(true));
        let value = |name: &str| version.get(name).unwrap_or(&Value::Null);
        format!(
            "{{\"Name\":{},\"Served\":{},\"Storage\":{},\"Deprecated\":{},\"DeprecationWarning\":{},\"Schema\":null,\
             \"Subresources\":null,\"AdditionalPrinterColumns\":null,\"SelectableFields\":null}}",
            value("name"),
            flag("served"),
            flag("storage"),
            flag("deprecated"),
            value("deprecationWarning")
        )
    };
    let shown: Vec<String> = versions.iter().map(shown).collect();
    let shown = if shown.is_empty() { "null".to_owned() } else { format!("[{}]", shown.join(",")) };
    let message = format!("Invalid value: {shown}: {detail}");
    Cause { reason: "FieldValueInvalid", message, field: "spec.versions".to_owned() }
}

/// Whether a definition in a group of Kubernetes is approved; a state that was there before stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Approval {
    Missing,
    Invalid,
    Given,
    Bypassed,
}

impl Approval {
    fn of(object: &Value) -> Self {
        let text = approval_text(object);
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let is_url = !rest.is_empty() && !rest.starts_with('/') && formats::fits("uri", text) == Some(true);
        match text {
            "" => Self::Missing,
            _ if text.starts_with("unapproved") => Self::Bypassed,
            _ if is_url => Self::Given,
            _ => Self::Invalid,
        }
    }
}

fn approval_text(object: &Value) -> &str {
    let annotations = object.pointer("/metadata/annotations");
    annotations.and_then(|all| all.get(APPROVAL)).and_then(Value::as_str).unwrap_or_default()
}

/// The approval that a definition in a group of Kubernetes must have.
#[must_use]
pub fn approval(old: Option<&Value>, new: &Value) -> Option<Cause> {
    let group = get(new, "spec.group").and_then(Value::as_str).unwrap_or_default();
    let is_protected = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|domain| group.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    let state = Approval::of(new);
    if !is_protected || old.is_some_and(|old| Approval::of(old) == state) {
        return None;
    }
    let field = format!("metadata.annotations[{APPROVAL}]");
    let wanted = format!("protected groups must have approval annotation {APPROVAL:?}");
    let reference = "see https://github.com/kubernetes/enhancements/pull/1111";
    match state {
        Approval::Given | Approval::Bypassed => None,
        Approval::Missing => Some(Cause::required(field, &format!("{wanted}, {reference}"))),
        Approval::Invalid => {
            let detail = format!("{wanted} with either a URL or a reason starting with \"unapproved\", {reference}");
            Some(Cause::invalid(field, &json!(approval_text(new)), &detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_kubernetes_need_an_approval() {
        let crd = |group: &str, approval: &str| json!({"metadata": {"annotations": {APPROVAL: approval}}, "spec": {"group": group}});
        let fault = |group: &str, text: &str| approval(None, &crd(group, text)).map(|cause| cause.reason);
        assert_eq!(fault("z.k8s.io", ""), Some("FieldValueRequired"));
        assert_eq!(fault("kubernetes.io", "bad"), Some("FieldValueInvalid"));
        assert_eq!(fault("z.k8s.io", "https://github.com/kubernetes/enhancements/pull/1111"), None);
        assert_eq!(fault("z.k8s.io", "unapproved, experimental"), None);
        assert_eq!(fault("notk8s.io", ""), None);
        assert_eq!(approval(Some(&crd("z.k8s.io", "")), &crd("z.k8s.io", "")), None, "what was so stays so");
    }
}
