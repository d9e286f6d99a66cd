//! `set-labels`: the same labels on every resource, on its pod templates, and in the selectors that must match them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::{FieldSpec, expand};
use super::{Call, FunctionError, Native, Opt, at, group_of, kind_of, pod_template, version_of};
use crate::domain::package::resources::{Place, is_set_aside};

const KINDS: &[&str] = &["SetLabels", "SetLabelConfig"];
const ADDITIONAL: &str = "additionalLabelFields";

pub(super) const NATIVE: Native = Native {
    name: "set-labels",
    aliases: &["set-label"],
    families: &["v0.1", "v0.2"],
    summary: "sets labels on every resource, on pod templates, and in the selectors that must match them",
    kind: Some("SetLabels"),
    options: &[
        Opt { name: "<label>", required: true, text: "in a ConfigMap: value of that label" },
        Opt { name: "labels", required: true, text: "in SetLabels: the labels" },
        Opt {
            name: ADDITIONAL,
            required: false,
            text: "in SetLabels: further fields {group, version, kind, path, create}; path as spec/selector/labels",
        },
    ],
    example: "pipeline:
  mutators:
  - image: set-labels:v0.2
    configMap:
      app: web
",
    notes: "Selectors of Service, ReplicationController, Deployment, ReplicaSet, DaemonSet and StatefulSet get the labels; \
            those of Job, PodDisruptionBudget, NetworkPolicy, spread constraints and affinity terms only where they name \
            the label already (v0.1: where they name any label). v0.2 leaves affinity terms alone, as its images do. \
            Local configuration gets no labels; the Kptfile does.",
    run,
};

/// When a place gets a label.
#[derive(Clone, Copy, PartialEq)]
enum When {
    /// Always; the map is made.
    Always,
    /// When the map is there.
    MapIsThere,
    /// When the label is there, with another value.
    LabelIsThere,
}

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let labels = call.data_or(KINDS, "labels")?;
    if kind_of(&call.config) != "ConfigMap" {
        call.only_own(&["labels", ADDITIONAL, "fieldSpecs"])?;
    }
    let values: Vec<(Place, Value)> = call.everything().into_iter().filter(|(_, value)| !is_set_aside(value)).collect();
    if values.is_empty() {
        call.info("no input resources");
        return Ok(());
    }
    if labels.is_empty() {
        return none_given(call);
    }
    let additional = call.field_specs(ADDITIONAL)?;
    let rules = Rules {
        narrow: if call.version.is_one_of(&["v0.1"]) { When::MapIsThere } else { When::LabelIsThere },
        affinity: !call.version.is_one_of(&["v0.2"]),
    };
    let mut count = 0;
    for (place, value) in values {
        for (path, when) in rules.homes(&value, &additional) {
            count += label(call, &place, &path, when, &labels)?;
        }
    }
    call.info(format!("set {count} labels in total"));
    Ok(())
}

/// A `SetLabels` may have an empty map, as upstream; a configuration that says nothing is a mistake.
fn none_given(call: &mut Call<'_>) -> Result<(), FunctionError> {
    if kind_of(&call.config) == "ConfigMap" {
        return Err(call.wrong(&["data"], "no labels are given", "write at least one as key: value"));
    }
    let origin = call.config_origin(&["labels"]);
    call.warn("no labels are given", Some(origin));
    Ok(())
}

/// Sets the labels in one map; how many of them it has now.
fn label(
    call: &mut Call<'_>,
    place: &Place,
    home: &[String],
    when: When,
    labels: &BTreeMap<String, String>,
) -> Result<usize, FunctionError> {
    let mut count = 0;
    for (key, text) in labels {
        let path: Vec<&str> = home.iter().map(String::as_str).chain([key.as_str()]).collect();
        if when == When::LabelIsThere && at(&call.resources.value(place), &path).is_none() {
            continue;
        }
        call.set(place, &path, &Value::from(text.as_str()))?;
        count += 1;
    }
    Ok(count)
}

/// How versions differ.
struct Rules {
    /// When a selector that selects by itself gets a label.
    narrow: When,
    /// Whether affinity terms do.
    affinity: bool,
}

impl Rules {
    fn homes(&self, value: &Value, additional: &[FieldSpec]) -> Vec<(Vec<String>, When)> {
        let mut homes = Vec::new();
        let mut add = |path: &str, when: When| {
            homes.extend(expand(value, path, when == When::Always).into_iter().map(|path| (path, when)));
        };
        add("metadata/labels", When::Always);
        if let Some((path, when)) = selector(value, self.narrow) {
            add(path, when);
        }
        self.of_templates(value, &mut add);
        if (group_of(value), kind_of(value)) == ("networking.k8s.io", "NetworkPolicy") {
            for path in ["spec/podSelector", "spec/ingress/from/podSelector", "spec/egress/to/podSelector"] {
                add(&format!("{path}/matchLabels"), self.narrow);
            }
        }
        homes.extend(additional.iter().flat_map(|spec| spec.places(value)).map(|path| (path, When::Always)));
        homes
    }

    /// Pod templates, job templates and volume claims, and what selects pods in them.
    fn of_templates(&self, value: &Value, add: &mut impl FnMut(&str, When)) {
        let templates = pod_template(value).filter(|template| !template.is_empty() && at(value, template).is_some());
        if let Some(template) = templates.filter(|_| kind_of(value) != "PodTemplate") {
            let template = template.join("/");
            add(&format!("{template}/metadata/labels"), When::Always);
            add(&format!("{template}/spec/topologySpreadConstraints/labelSelector/matchLabels"), self.narrow);
            for affinity in ["podAffinity", "podAntiAffinity"].iter().filter(|_| self.affinity) {
                let base = format!("{template}/spec/affinity/{affinity}");
                let preferred = "preferredDuringSchedulingIgnoredDuringExecution/podAffinityTerm";
                for terms in [preferred, "requiredDuringSchedulingIgnoredDuringExecution"] {
                    add(&format!("{base}/{terms}/labelSelector/matchLabels"), self.narrow);
                }
            }
        }
        if (group_of(value), kind_of(value)) == ("batch", "CronJob") && at(value, &["spec", "jobTemplate"]).is_some() {
            add("spec/jobTemplate/metadata/labels", When::Always);
            add("spec/jobTemplate/spec/selector/matchLabels", self.narrow);
        }
        if (group_of(value), kind_of(value)) == ("apps", "StatefulSet") {
            add_claims(value, add);
        }
    }
}

fn add_claims(value: &Value, add: &mut impl FnMut(&str, When)) {
    if at(value, &["spec", "volumeClaimTemplates"]).is_some_and(Value::is_array) {
        add("spec/volumeClaimTemplates/metadata/labels", When::Always);
    }
}

/// The selector of a kind that selects pods, and when it gets a label.
fn selector(value: &Value, narrow: When) -> Option<(&'static str, When)> {
    let whole = "spec/selector/matchLabels";
    match (group_of(value), kind_of(value), version_of(value)) {
        ("", "Service" | "ReplicationController", "v1") => Some(("spec/selector", When::Always)),
        (_, "Deployment" | "ReplicaSet" | "DaemonSet", _) | ("apps", "StatefulSet", _) => Some((whole, When::Always)),
        ("batch", "Job", _) | ("policy", "PodDisruptionBudget", _) => Some((whole, narrow)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::refs;
    use super::*;
    use serde_json::json;

    #[test]
    fn the_places_of_a_stateful_set() {
        let value = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {
            "template": {"spec": {"topologySpreadConstraints": [{"labelSelector": {"matchLabels": {"a": "b"}}}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "d"}}]}});
        let rules = Rules { narrow: When::LabelIsThere, affinity: true };
        let homes: Vec<String> = rules.homes(&value, &[]).iter().map(|(path, _)| refs(path).join(".")).collect();
        let expected = [
            "metadata.labels",
            "spec.selector.matchLabels",
            "spec.template.metadata.labels",
            "spec.template.spec.topologySpreadConstraints.0.labelSelector.matchLabels",
            "spec.volumeClaimTemplates.0.metadata.labels",
        ];
        assert_eq!(homes, expected);
    }
}
