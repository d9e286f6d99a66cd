//! `apply-replacements`: copies a field of one resource into fields of others, as kustomize's replacements do.

mod paths;

use serde_json::Value;

use super::scalar::guess;
use super::{
    Call, FunctionError, Native, Opt, at, group_of, kind_of, name_of, namespace_of, refs, text_at, version_of,
};
use crate::domain::krm::document::{Node, NodeKind};
use crate::domain::krm::scope::is_cluster_scoped;
use crate::domain::package::edits::bring;
use crate::domain::package::resources::Place;

use paths::{Step, grown, resolve, split};

pub(super) const NATIVE: Native = Native {
    name: "apply-replacements",
    aliases: &[],
    families: &["v0.1"],
    summary: "copies a field of one resource into fields of others",
    kind: Some("ApplyReplacements"),
    options: &[
        Opt {
            name: "replacements[].source",
            required: true,
            text: "one resource: group, version, kind, name, namespace, and fieldPath (metadata.name)",
        },
        Opt {
            name: "replacements[].source.options",
            required: false,
            text: "delimiter and index: take one part of the text",
        },
        Opt { name: "replacements[].sourceValue", required: false, text: "a text, instead of source" },
        Opt {
            name: "replacements[].targets[].select",
            required: true,
            text: "group, version, kind, name, namespace; labelSelector, annotationSelector",
        },
        Opt {
            name: "replacements[].targets[].reject",
            required: false,
            text: "a list of the same, for what is not meant",
        },
        Opt {
            name: "replacements[].targets[].fieldPaths",
            required: false,
            text: "fields: a.b.[name=x].c, * for every item, 0 for the first, a.[b.c/d] for keys with dots",
        },
        Opt {
            name: "replacements[].targets[].options",
            required: false,
            text: "delimiter and index: replace one part (below 0: put before, beyond the end: put behind); create: make the field",
        },
    ],
    example: "pipeline:
  mutators:
  - image: apply-replacements:v0.1
    configPath: replacements.yaml
# replacements.yaml:
# apiVersion: fn.kpt.dev/v1alpha1
# kind: ApplyReplacements
# metadata:
#   name: replacements
#   annotations:
#     config.kubernetes.io/local-config: \"true\"
# replacements:
# - source: {kind: ConfigMap, name: env, fieldPath: data.zone}
#   targets:
#   - select: {kind: Deployment}
#     fieldPaths: [spec.template.metadata.labels.zone]
#     options: {create: true}
",
    notes: "A text that replaces a text stays one. A source that selects none or several resources is an error, as is a \
            target field that is absent without create.",
    run,
};

const SELECTOR: &[&str] = &["group", "version", "kind", "name", "namespace"];

/// What is copied.
#[derive(Clone)]
enum Copied {
    /// A scalar as it is written, without quotes, and what it means.
    Scalar(String, Value),
    /// A list or a map, and how it is written.
    Whole(Value, Option<Node>),
}

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    if call.is_config_map(&["ApplyReplacements"])? {
        let hint = "write configPath: with a file that holds a fn.kpt.dev/v1alpha1 ApplyReplacements";
        return Err(call.wrong(&[], "replacements do not fit into a ConfigMap", hint));
    }
    call.only_own(&["replacements"])?;
    let list = call.config.get("replacements").and_then(Value::as_array).cloned().unwrap_or_default();
    if list.is_empty() {
        return Err(call.wrong(&["replacements"], "no replacements are given", "write - source: and targets:"));
    }
    let targets = |replacement: &Value| replacement.get("targets").and_then(Value::as_array).map_or(0, Vec::len);
    call.can_look(&["replacements"], list.iter().map(|replacement| 1 + targets(replacement)).sum())?;
    for index in 0..list.len() {
        let index = index.to_string();
        replace(call, &["replacements", &index], &list[index.parse::<usize>().unwrap_or_default()])?;
    }
    Ok(())
}

fn replace(call: &mut Call<'_>, here: &[&str], replacement: &Value) -> Result<(), FunctionError> {
    call.only(here, &["source", "sourceValue", "targets"])?;
    let copied = source(call, here, replacement)?;
    let targets = replacement.get("targets").and_then(Value::as_array).filter(|targets| !targets.is_empty());
    let Some(targets) = targets.cloned() else {
        return Err(call.wrong(here, "there are no targets", "write targets: with - select: and fieldPaths:"));
    };
    for (index, target) in targets.iter().enumerate() {
        let index = index.to_string();
        let here = [here, &["targets", &index]].concat();
        Target::read(call, &here, target)?.apply(call, &here, &copied)?;
    }
    Ok(())
}

fn source(call: &Call<'_>, here: &[&str], replacement: &Value) -> Result<Copied, FunctionError> {
    let at_source = [here, &["source"]].concat();
    let source = match (replacement.get("source"), replacement.get("sourceValue").and_then(Value::as_str)) {
        (Some(_), Some(_)) => {
            return Err(call.wrong(here, "both source and sourceValue are given", "write one of them"));
        }
        (None, Some(text)) => {
            return Ok(Copied::Scalar(text.to_owned(), guess(text)));
        }
        (Some(source), None) => source,
        (None, None) => {
            return Err(call.wrong(here, "there is no source", "write source: with kind, name and fieldPath"));
        }
    };
    call.only(&at_source, &[SELECTOR, &["fieldPath", "options"]].concat())?;
    let is_source = |value: &Value| {
        SELECTOR.iter().all(|field| {
            let wanted = text_at(source, &[field]);
            wanted.is_empty() || wanted == part(value, field)
        })
    };
    let found: Vec<(Place, Value)> = call.everything().into_iter().filter(|(_, value)| is_source(value)).collect();
    let (place, value) = match &found[..] {
        [one] => one,
        [] => return Err(call.wrong(&at_source, "the source selects nothing", "name a resource of the package")),
        [first, second, ..] => {
            let places = [first, second].map(|(place, _)| call.origin(place, &[])).join(" and ");
            let message = format!("the source selects several resources, such as {places}");
            return Err(call.wrong(&at_source, message, "say kind, name and namespace"));
        }
    };
    let field = match text_at(source, &["fieldPath"]) {
        "" => "metadata.name",
        field => field,
    };
    let paths = resolve(value, &split(field), false).unwrap_or_default();
    let Some(path) = paths.first().filter(|path| at(value, &refs(path)).is_some_and(|found| !found.is_null())) else {
        let message = format!("{field} is missing in the source {}", call.origin(place, &[]));
        return Err(call.wrong(&[at_source.as_slice(), &["fieldPath"]].concat(), message, "name a field that it has"));
    };
    refined(call, &at_source, source, copied(call, place, value, path))
}

fn part<'v>(value: &'v Value, field: &str) -> &'v str {
    match field {
        "group" => group_of(value),
        "version" => version_of(value),
        "kind" => kind_of(value),
        "name" => name_of(value),
        // What has a namespace and does not say which is in this one.
        _ => match namespace_of(value) {
            "" if !is_cluster_scoped(kind_of(value)) => "default",
            namespace => namespace,
        },
    }
}

fn copied(call: &Call<'_>, place: &Place, value: &Value, path: &[String]) -> Copied {
    let meaning = at(value, &refs(path)).cloned().unwrap_or(Value::Null);
    let node = call.resources.document(place).and_then(|found| found.at(&refs(path)));
    match node.map(|node| &node.kind) {
        Some(NodeKind::Scalar { text, .. }) => Copied::Scalar(text.clone(), meaning),
        _ => Copied::Whole(meaning, node.cloned()),
    }
}

/// One part of the source's text, when its options ask for it.
fn refined(call: &Call<'_>, here: &[&str], source: &Value, copied: Copied) -> Result<Copied, FunctionError> {
    let here = [here, &["options"]].concat();
    call.only(&here, &["delimiter", "index", "create", "encoding"])?;
    let delimiter = text_at(source, &["options", "delimiter"]);
    if delimiter.is_empty() {
        return Ok(copied);
    }
    let index = at(source, &["options", "index"]).and_then(Value::as_i64).unwrap_or_default();
    let Copied::Scalar(text, _) = copied else {
        return Err(call.wrong(&here, "the source is no scalar, so it cannot be split", "take the delimiter away"));
    };
    let parts: Vec<&str> = text.split(delimiter).collect();
    if let Some(part) = usize::try_from(index).ok().and_then(|index| parts.get(index)) {
        return Ok(Copied::Scalar((*part).to_owned(), guess(part)));
    }
    let message = format!("index {index} is out of bounds: {text:?} has {} parts", parts.len());
    Err(call.wrong(&[here.as_slice(), &["index"]].concat(), message, format!("write 0 to {}", parts.len() - 1)))
}

/// Where it is copied to.
struct Target {
    select: Selector,
    reject: Vec<Selector>,
    fields: Vec<String>,
    delimiter: String,
    index: i64,
    create: bool,
}

/// Which resources are meant.
///
/// Source: the catalogue's v0.1, which has kustomize 0.11 to 0.19: names and kinds are compared as they are. From
/// 0.21 on kustomize itself takes them for patterns.
struct Selector {
    fields: Vec<(&'static str, String)>,
    labels: Vec<(&'static str, String)>,
}

impl Selector {
    fn read(call: &Call<'_>, here: &[&str], selector: &Value) -> Result<Self, FunctionError> {
        call.only(here, &[SELECTOR, &["labelSelector", "annotationSelector"]].concat())?;
        let fields = SELECTOR.iter().map(|field| (*field, text_at(selector, &[field]).to_owned()));
        let fields = fields.filter(|(_, wanted)| !wanted.is_empty()).collect();
        let labels = [("labels", "labelSelector"), ("annotations", "annotationSelector")];
        let labels = labels.map(|(map, field)| (map, text_at(selector, &[field]).to_owned()));
        Ok(Self { fields, labels: labels.into_iter().filter(|(_, text)| !text.is_empty()).collect() })
    }

    fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.labels.is_empty()
    }

    fn matches(&self, value: &Value) -> bool {
        let is_it = self.fields.iter().all(|(field, wanted)| part(value, field) == wanted);
        is_it && self.labels.iter().all(|(map, text)| text.split(',').all(|term| has(value, map, term.trim())))
    }
}

/// `key=value`, `key==value`, `key!=value`, `key` or `!key`.
fn has(value: &Value, map: &str, term: &str) -> bool {
    let found = |key: &str| at(value, &["metadata", map, key.trim()]).and_then(Value::as_str);
    if let Some((key, wanted)) = term.split_once("!=") {
        found(key) != Some(wanted.trim())
    } else if let Some((key, wanted)) = term.split_once('=') {
        found(key) == Some(wanted.trim_start_matches('=').trim())
    } else if let Some(key) = term.strip_prefix('!') {
        found(key).is_none()
    } else {
        found(term).is_some()
    }
}

impl Target {
    fn read(call: &Call<'_>, here: &[&str], target: &Value) -> Result<Self, FunctionError> {
        call.only(here, &["select", "reject", "fieldPaths", "options"])?;
        let options = [here, &["options"]].concat();
        call.only(&options, &["delimiter", "index", "create", "encoding"])?;
        let Some(select) = target.get("select") else {
            return Err(call.wrong(here, "the target has no select", "write select: with kind or name"));
        };
        let select = Selector::read(call, &[here, &["select"]].concat(), select)?;
        let mut reject = Vec::new();
        for (index, selector) in target.get("reject").and_then(Value::as_array).into_iter().flatten().enumerate() {
            reject.push(Selector::read(call, &[here, &["reject", &index.to_string()]].concat(), selector)?);
        }
        let list = target.get("fieldPaths").and_then(Value::as_array).into_iter().flatten();
        let mut fields: Vec<String> = list.filter_map(Value::as_str).map(str::to_owned).collect();
        if fields.is_empty() {
            fields.push("metadata.name".to_owned());
        }
        Ok(Self {
            select,
            reject,
            fields,
            delimiter: text_at(target, &["options", "delimiter"]).to_owned(),
            index: at(target, &["options", "index"]).and_then(Value::as_i64).unwrap_or_default(),
            create: at(target, &["options", "create"]).and_then(Value::as_bool).unwrap_or_default(),
        })
    }

    fn apply(&self, call: &mut Call<'_>, here: &[&str], copied: &Copied) -> Result<(), FunctionError> {
        for (place, value) in call.everything() {
            let rejected = self.reject.iter().any(|reject| !reject.is_empty() && reject.matches(&value));
            if !self.select.matches(&value) || rejected {
                continue;
            }
            for (index, field) in self.fields.iter().enumerate() {
                let steps = split(field);
                let paths = self.paths(call, &[here, &["fieldPaths", &index.to_string()]].concat(), &place, &steps)?;
                for path in paths {
                    self.put(call, here, &place, &path, copied)?;
                    call.remark(&place, &refs(&path), "replaced field value");
                }
            }
        }
        Ok(())
    }

    /// Where a path leads in a resource; with `create`, once the items of lists that it names are there.
    fn paths(
        &self,
        call: &mut Call<'_>,
        here: &[&str],
        place: &Place,
        steps: &[Step],
    ) -> Result<Vec<Vec<String>>, FunctionError> {
        let mut value = call.resources.value(place);
        // One item at most for each step: the next is below the last.
        for _ in steps.iter().filter(|_| self.create) {
            let Some(made) = grown(&value, steps) else { break };
            call.edit(place, &[], |file, index| Ok(bring(file, index, &made, Value::clone)))?;
            value = call.resources.value(place);
        }
        let found = resolve(&value, steps, self.create).unwrap_or_default();
        if found.is_empty() {
            let field: Vec<String> = steps.iter().map(ToString::to_string).collect();
            let message = format!("the target {} has no field {}", call.origin(place, &[]), field.join("."));
            return Err(call.wrong(here, message, "name a field that it has, or write options: {create: true}"));
        }
        Ok(found)
    }

    fn put(
        &self,
        call: &mut Call<'_>,
        here: &[&str],
        place: &Place,
        path: &[String],
        copied: &Copied,
    ) -> Result<(), FunctionError> {
        let value = call.resources.value(place);
        let path = refs(path);
        let old = at(&value, &path).filter(|old| !old.is_null());
        let (text, meaning) = match copied {
            Copied::Whole(whole, given) => return whole_put(call, place, &path, whole, given.as_ref()),
            Copied::Scalar(text, meaning) => (text, meaning),
        };
        let Some(old) = old else {
            return call.put(place, &path, text, meaning).map(|_| ());
        };
        if old.is_object() || old.is_array() {
            if !self.delimiter.is_empty() {
                return Err(call.wrong(
                    here,
                    "the target is no scalar, so it cannot be split",
                    "take the delimiter away",
                ));
            }
            return call.set(place, &path, meaning).map(|_| ());
        }
        let text = self.joined(&old_text(call, place, &path), text);
        call.fill(place, &path, &text).map(|_| ())
    }

    /// The target's text with the part that is meant replaced.
    fn joined(&self, old: &str, new: &str) -> String {
        if self.delimiter.is_empty() {
            return new.to_owned();
        }
        let mut parts: Vec<&str> = old.split(self.delimiter.as_str()).collect();
        match usize::try_from(self.index) {
            Err(_) => parts.insert(0, new),
            Ok(index) if index < parts.len() => parts[index] = new,
            Ok(_) => parts.push(new),
        }
        parts.join(&self.delimiter)
    }
}

fn whole_put(
    call: &mut Call<'_>,
    place: &Place,
    path: &[&str],
    whole: &Value,
    given: Option<&Node>,
) -> Result<(), FunctionError> {
    let changed = call.set(place, path, whole)?;
    if let Some(given) = given.filter(|_| changed) {
        call.spell_like(place, path, given);
    }
    Ok(())
}

fn old_text(call: &Call<'_>, place: &Place, path: &[&str]) -> String {
    let node = call.resources.document(place).and_then(|found| found.at(path));
    match node.map(|node| &node.kind) {
        Some(NodeKind::Scalar { text, .. }) => text.clone(),
        _ => String::new(),
    }
}
