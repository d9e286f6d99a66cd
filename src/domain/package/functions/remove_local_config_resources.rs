//! `remove-local-config-resources`: drops what is only for the package itself.

use super::{Call, FunctionError, Native, name_of, text_at};
use crate::domain::package::resources::LOCAL_CONFIG;

pub(super) const NATIVE: Native = Native {
    name: "remove-local-config-resources",
    aliases: &[],
    families: &["v0.1"],
    summary: "drops every resource with the annotation config.kubernetes.io/local-config: \"true\"",
    kind: None,
    options: &[],
    example: "pipeline:
  mutators:
  - image: remove-local-config-resources:v0.1
",
    notes: "A file that is left empty is removed. The Kptfile stays. Let it be the last function: later ones would not find \
            their configPath.",
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    call.only(&["data"], &[])?;
    let mut gone = Vec::new();
    for (place, value) in call.values() {
        let local = text_at(&value, &["metadata", "annotations", LOCAL_CONFIG]);
        if local.eq_ignore_ascii_case("true") {
            let origin = call.origin(&place, &[]);
            gone.push((place, format!("Resource name: [{}]", name_of(&value)), origin));
        }
    }
    if gone.is_empty() {
        call.warn("Found no resources to prune with the local config annotation", None);
        return Ok(());
    }
    call.info(format!("Number of resources pruned: {}", gone.len()));
    for (_, message, origin) in &gone {
        call.say("info", message.clone(), Some(origin.clone()), None);
    }
    // From the last to the first: what is behind a document moves up.
    for (place, _, origin) in gone.into_iter().rev() {
        call.resources.remove_document(&place).map_err(|source| FunctionError::Edit { origin, source })?;
    }
    Ok(())
}
