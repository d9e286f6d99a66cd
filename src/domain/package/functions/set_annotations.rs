//! `set-annotations`: the same annotations on every resource and on every pod template.

use serde_json::Value;

use super::{Call, FunctionError, at, kind_of, pod_template};
use crate::domain::package::resources::is_local;

pub(super) fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let annotations = call.data("annotations")?;
    if annotations.is_empty() {
        return Err(FunctionError::Config("no annotations are given".to_owned()));
    }
    let mut changed = 0;
    for place in call.places.clone() {
        let value = call.resources.value(&place);
        if is_local(&value) {
            continue;
        }
        let mut homes: Vec<Vec<&str>> = vec![vec!["metadata", "annotations"]];
        if let Some(template) = pod_template(kind_of(&value)).filter(|template| !template.is_empty())
            && at(&value, template).is_some()
        {
            homes.push([template, &["metadata", "annotations"]].concat());
        }
        for home in homes {
            for (key, text) in &annotations {
                let path: Vec<&str> = home.iter().copied().chain([key.as_str()]).collect();
                changed += usize::from(call.set(&place, &path, &Value::from(text.as_str()))?);
            }
        }
    }
    call.info(format!("set {changed} annotations"));
    Ok(())
}
