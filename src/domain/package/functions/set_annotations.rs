//! `set-annotations`: the same annotations on every resource and on everything in it that has metadata of its own.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::expand;
use super::{Call, FunctionError, Native, Opt, group_of, kind_of, refs};
use crate::domain::package::resources::Place;

const KINDS: &[&str] = &["SetAnnotations", "SetAnnotationConfig"];
const ADDITIONAL: &str = "additionalAnnotationFields";

pub(super) const NATIVE: Native = Native {
    name: "set-annotations",
    aliases: &["set-annotation"],
    families: &["v0.1"],
    summary: "sets annotations on every resource, on pod templates and on job templates",
    kind: Some("SetAnnotations"),
    options: &[
        Opt { name: "<annotation>", required: true, text: "in a ConfigMap: value of that annotation" },
        Opt { name: "annotations", required: true, text: "in SetAnnotations: the annotations" },
        Opt {
            name: ADDITIONAL,
            required: false,
            text: "in SetAnnotations: further fields {group, version, kind, path, create}; path as spec/a/annotations",
        },
    ],
    example: "pipeline:
  mutators:
  - image: set-annotations:v0.1
    configMap:
      fruit: apple
",
    notes: "Resources that are local configuration get them too, and so does the Kptfile.",
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let annotations = call.data_or(KINDS, "annotations")?;
    if call.config.get("kind").and_then(Value::as_str) != Some("ConfigMap") {
        call.only_own(&["annotations", ADDITIONAL, "fieldSpecs"])?;
    }
    if annotations.is_empty() {
        return Err(call.wrong(&["data"], "no annotations are given", "write at least one as key: value"));
    }
    let additional = call.field_specs(ADDITIONAL)?;
    let mut changed = false;
    for (place, value) in call.everything() {
        let defaults = paths(&value).iter().flat_map(|path| expand(&value, path, true));
        let mut homes: Vec<Vec<String>> =
            additional.iter().flat_map(|spec| spec.places(&value)).chain(defaults).collect();
        homes.sort();
        homes.dedup();
        for home in homes {
            annotate(call, &place, &home, &annotations)?;
            changed = true;
        }
    }
    if !changed {
        call.info("no annotations applied");
    }
    Ok(())
}

/// Where kinds have annotations.
fn paths(value: &Value) -> &'static [&'static str] {
    match (group_of(value), kind_of(value)) {
        (_, "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet")
        | ("", "ReplicationController")
        | ("batch", "Job") => &["metadata/annotations", "spec/template/metadata/annotations"],
        ("batch", "CronJob") => &[
            "metadata/annotations",
            "spec/jobTemplate/metadata/annotations",
            "spec/jobTemplate/spec/template/metadata/annotations",
        ],
        _ => &["metadata/annotations"],
    }
}

fn annotate(
    call: &mut Call<'_>,
    place: &Place,
    home: &[String],
    annotations: &BTreeMap<String, String>,
) -> Result<(), FunctionError> {
    let home = refs(home);
    for (key, text) in annotations {
        let path: Vec<&str> = home.iter().copied().chain([key.as_str()]).collect();
        call.set(place, &path, &Value::from(text.as_str()))?;
    }
    let list: serde_json::Map<String, Value> =
        annotations.iter().map(|(key, text)| (key.clone(), Value::from(text.as_str()))).collect();
    call.remark(place, &home, format!("set annotations: {}", Value::Object(list)));
    Ok(())
}
