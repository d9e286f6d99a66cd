//! `delete-annotations`: takes annotations off every resource.

use std::collections::BTreeSet;

use super::{Call, FunctionError, Native, Opt, at, name_of};

pub(super) const NATIVE: Native = Native {
    name: "delete-annotations",
    aliases: &[],
    families: &["v0.1"],
    summary: "takes annotations off every resource",
    kind: None,
    options: &[Opt { name: "annotationKeys", required: true, text: "the annotations, separated by commas" }],
    example: "pipeline:
  mutators:
  - image: gcr.io/kpt-fn-contrib/delete-annotations:v0.1.0
    configMap:
      annotationKeys: example.com/a,example.com/b
",
    notes: "The map of annotations goes with its last one.",
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let data = call.data()?;
    call.only(&["data"], &["annotationKeys"])?;
    let keys: BTreeSet<&str> = data
        .get("annotationKeys")
        .into_iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|key| !key.is_empty())
        .collect();
    if keys.is_empty() {
        let hint = "write annotationKeys: a.example/b,c.example/d";
        return Err(call.wrong(&["data"], "annotationKeys is missing or empty", hint));
    }
    let home = ["metadata", "annotations"];
    let mut said = Vec::new();
    let mut found = Vec::new();
    // What is removed is told with the line that it stood on.
    for (place, value) in call.everything() {
        let Some(map) = at(&value, &home).and_then(serde_json::Value::as_object) else { continue };
        let gone: Vec<&str> = keys.iter().copied().filter(|key| map.contains_key(*key)).collect();
        for key in &gone {
            let origin = call.origin(&place, &[home[0], home[1], key]);
            said.push((format!("annotation {key} removed from {}", name_of(&value)), origin));
        }
        if !gone.is_empty() {
            found.push((place, gone.len() == map.len(), gone));
        }
    }
    let touched = found.len();
    for (place, all, gone) in found {
        if all {
            call.remove(&place, &home)?;
        } else {
            for key in gone {
                call.remove(&place, &[home[0], home[1], key])?;
            }
        }
    }
    if said.is_empty() {
        call.info("None of the resources had the provided annotations to delete");
        return Ok(());
    }
    call.info(format!("The provided annotations were deleted from {touched} resource(s)"));
    for (message, origin) in said {
        call.say("info", message, Some(origin), None);
    }
    Ok(())
}
