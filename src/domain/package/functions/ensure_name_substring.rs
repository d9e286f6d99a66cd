//! `ensure-name-substring`: every name begins or ends with a text, unless it has it somewhere already.

use serde_json::Value;

use super::rename::{Rename, rename};
use super::{Call, FunctionError, Native, Opt, at, kind_of, name_of, refs, text_at};

const ADDITIONAL: &str = "additionalNameFields";

pub(super) const NATIVE: Native = Native {
    name: "ensure-name-substring",
    aliases: &[],
    families: &["v0.1", "v0.2"],
    summary: "puts a text before or behind every resource name that does not have it, and into what refers to it",
    kind: Some("EnsureNameSubstring"),
    options: &[
        Opt { name: "prepend", required: false, text: "in a ConfigMap: the text to put before names; this or append" },
        Opt { name: "append", required: false, text: "in a ConfigMap: the text to put behind names; this or prepend" },
        Opt { name: "substring", required: true, text: "in EnsureNameSubstring: the text" },
        Opt { name: "editMode", required: false, text: "in EnsureNameSubstring: prepend (default) or append" },
        Opt {
            name: ADDITIONAL,
            required: false,
            text: "in EnsureNameSubstring: further fields {group, version, kind, path, create}; path as spec/name",
        },
    ],
    example: "pipeline:
  mutators:
  - image: ensure-name-substring:v0.2
    configMap:
      prepend: dev-
",
    notes: "CustomResourceDefinition, Namespace, APIService and Kptfile keep their names. References and depends-on \
            annotations follow.",
    run,
};

struct Edit {
    text: String,
    append: bool,
}

impl Edit {
    /// The name with the text; `None` when it has it.
    fn of(&self, name: &str) -> Option<String> {
        let with = || if self.append { format!("{name}{}", self.text) } else { format!("{}{name}", self.text) };
        (!name.contains(&self.text)).then(with)
    }
}

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let edit = edit(call)?;
    let additional = call.field_specs(ADDITIONAL)?;
    let mut renames = Vec::new();
    for (place, value) in call.values() {
        if matches!(kind_of(&value), "CustomResourceDefinition" | "Namespace" | "APIService") {
            continue;
        }
        if let Some(to) = edit.of(name_of(&value)) {
            renames.push(Rename::new(&place, &value, to));
        }
        for path in additional.iter().flat_map(|spec| spec.places(&value)) {
            let name = at(&value, &refs(&path)).and_then(Value::as_str).unwrap_or_default();
            if let Some(to) = edit.of(name) {
                call.write(&place, &refs(&path), &to)?;
            }
        }
    }
    rename(call, &renames)
}

fn edit(call: &Call<'_>) -> Result<Edit, FunctionError> {
    if !call.is_config_map(&["EnsureNameSubstring"])? {
        return own_edit(call);
    }
    let data = call.texts(&["data"])?;
    call.only(&["data"], &["prepend", "append"])?;
    let mut entries = data.into_iter();
    match (entries.next(), entries.next()) {
        (Some((key, text)), None) if !text.is_empty() => Ok(Edit { text, append: key == "append" }),
        (Some((key, _)), None) => {
            Err(call.wrong(&["data", &key], format!("{key} is empty"), format!("write {key}: dev-")))
        }
        (None, _) => Err(call.wrong(&["data"], "neither prepend nor append is given", "write prepend: dev-")),
        _ => Err(call.wrong(&["data", "prepend"], "both prepend and append are given", "write one of them")),
    }
}

fn own_edit(call: &Call<'_>) -> Result<Edit, FunctionError> {
    call.only_own(&["substring", "editMode", ADDITIONAL, "fieldSpecs"])?;
    let text = text_at(&call.config, &["substring"]).to_owned();
    if text.is_empty() {
        return Err(call.wrong(&["substring"], "substring is missing or empty", "write substring: dev-"));
    }
    let append = match text_at(&call.config, &["editMode"]) {
        "" | "prepend" => false,
        "append" => true,
        other => {
            let message = format!("editMode is {other:?}");
            return Err(call.wrong(&["editMode"], message, "write prepend or append"));
        }
    };
    Ok(Edit { text, append })
}
