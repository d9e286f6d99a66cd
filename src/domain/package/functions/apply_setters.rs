//! `apply-setters`: values of named setters go where a comment `# kpt-set: ${name}` asks for them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::setters::{Kind, Use, derived, names, uses};
use super::{Call, FunctionError, Native, Opt};
use crate::domain::krm::document::{Limits, Node, Scalar, YamlFile, disputed_boolean};

const NO_MATCHES: &str = "no matches for input setter(s)";

pub(super) const NATIVE: Native = Native {
    name: "apply-setters",
    aliases: &[],
    families: &["v0.1", "v0.2"],
    summary: "puts the values of setters where a comment `# kpt-set: ${name}` asks for them",
    kind: None,
    options: &[Opt {
        name: "<setter>",
        required: false,
        text: "value of that setter; a YAML list for a list. Setters that are not given are read from the present text",
    }],
    example: "pipeline:
  mutators:
  - image: apply-setters:v0.2
    configMap:
      replicas: \"3\"
      tag: 1.16.2
# in a resource:
#   replicas: 1 # kpt-set: ${replicas}
#   image: nginx:1.0 # kpt-set: nginx:${tag}
#   zones: # kpt-set: ${zones}
#   - a
",
    notes: "What was written in quotes stays in quotes, and a text stays a text: a value that Kubernetes would take for a \
            number or a boolean gets quotes there. Numbers are spelled as they are given. An empty list becomes [] with its comment behind it. v0.1 \
            fails when no field uses any of the setters.",
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let values = call.data()?;
    let mut applied: Vec<Use> = Vec::new();
    for found in uses(call) {
        // What a list that was set held is gone.
        let gone = |list: &Use| list.place == found.place && found.path.starts_with(&list.path);
        if !applied.iter().any(gone) && apply(call, &found, &values)? {
            applied.push(found);
        }
    }
    if !applied.is_empty() {
        return Ok(());
    }
    if call.version.is_one_of(&["v0.1"]) {
        return Err(call.wrong(&["data"], NO_MATCHES, "take the function out, or write apply-setters:v0.2"));
    }
    call.info(NO_MATCHES);
    Ok(())
}

fn apply(call: &mut Call<'_>, found: &Use, values: &BTreeMap<String, String>) -> Result<bool, FunctionError> {
    let names = names(&found.pattern);
    // As upstream: a place is touched when at least one of its setters is given.
    if !names.iter().any(|name| values.contains_key(*name)) {
        return Ok(false);
    }
    match &found.kind {
        Kind::Scalar(current) => scalar(call, found, current, &names, values)?,
        Kind::List => list(call, found, &names, values)?,
    }
    Ok(true)
}

fn origin(found: &Use) -> String {
    format!("{}:{}", found.place.file, found.line)
}

fn scalar(
    call: &mut Call<'_>,
    found: &Use,
    current: &str,
    names: &[&str],
    values: &BTreeMap<String, String>,
) -> Result<(), FunctionError> {
    let derived = derived(&found.pattern, current);
    let mut text = found.pattern.clone();
    let mut missing = BTreeSet::new();
    for name in names {
        match values.get(*name).or_else(|| derived.get(*name)) {
            Some(value) => text = text.replace(&format!("${{{name}}}"), value),
            None => drop(missing.insert((*name).to_owned())),
        }
    }
    if !missing.is_empty() {
        return Err(FunctionError::SettersMissing { names: missing.into_iter().collect(), origin: origin(found) });
    }
    let path: Vec<&str> = found.path.iter().map(String::as_str).collect();
    call.fill(&found.place, &path, &text)?;
    call.remark(&found.place, &path, format!("set field value to {text:?}"));
    Ok(())
}

fn list(
    call: &mut Call<'_>,
    found: &Use,
    names: &[&str],
    values: &BTreeMap<String, String>,
) -> Result<(), FunctionError> {
    let wrong = |message: String| FunctionError::Value { origin: origin(found), message };
    let name = match names {
        [name] if found.pattern == format!("${{{name}}}") => *name,
        _ => {
            return Err(wrong(format!(
                "a list takes one setter and nothing else, not {:?} (write ${{name}})",
                found.pattern
            )));
        }
    };
    let text = values.get(name).map_or("", String::as_str);
    let (items, given) = if text.trim().is_empty() {
        (Vec::new(), None)
    } else {
        let hint = "write it as [a, b] or as lines that begin with a dash";
        parse_list(text)
            .ok_or_else(|| wrong(format!("the value of setter {name} is {text:?}, not a YAML list ({hint})")))?
    };
    let path: Vec<&str> = found.path.iter().map(String::as_str).collect();
    let changed = call.set_list(&found.place, &path, &items, &format!("kpt-set: {}", found.pattern))?;
    if let Some(given) = given.filter(|_| changed) {
        call.spell_like(&found.place, &path, &given);
    }
    call.remark(&found.place, &path, format!("set field value to {text:?}"));
    Ok(())
}

/// The items of a list, and how they are written; `y` and `on` are texts, as in the value of one scalar.
fn parse_list(text: &str) -> Option<(Vec<Value>, Option<Node>)> {
    let parse = |text: &str| YamlFile::parse(text.as_bytes(), &Limits::default()).ok();
    let quoted = |scalar: &Scalar<'_>| disputed_boolean(scalar.text).map(|_| format!("\"{}\"", scalar.text));
    let file = parse(&parse(text)?.respelled(quoted))?;
    match file.value(0).ok()? {
        Value::Array(items) => Some((items, file.documents().first().cloned())),
        _ => None,
    }
}
