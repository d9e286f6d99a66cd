//! `list-setters`: says which setters a package has, with their values and how often they are used.

use std::collections::BTreeMap;

use serde_json::Value;

use super::setters::{MARK, derived, names};
use super::spots::{What, spots};
use super::{Call, FunctionError, Native, at, is_kptfile, short_name, text_at};
use crate::domain::krm::document::{Limits, YamlFile};
use crate::domain::package::resources::Place;

pub(super) const NATIVE: Native = Native {
    name: "list-setters",
    aliases: &[],
    families: &["v0.1"],
    summary: "lists the setters of a package: name, value, type and how often each is used",
    kind: None,
    options: &[],
    example: "pipeline:
  validators:
  - image: list-setters:v0.1
# says: Name: replicas, Value: 4, Type: int, Count: 1
",
    notes: "Values come from the apply-setters functions of the Kptfile, and for other setters from the fields that use \
            them. Nothing is changed.",
    run,
};

/// What is known of a setter.
struct Setter {
    value: String,
    kind: &'static str,
    count: usize,
}

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    call.only(&["data"], &[])?;
    let mut setters: BTreeMap<String, Setter> = BTreeMap::new();
    for (name, text) in declared(call) {
        let setter = match items(&text) {
            Some(items) => Setter { value: format!("[{}]", items.join(", ")), kind: "array", count: 0 },
            None => Setter { value: text, kind: "str", count: 0 },
        };
        setters.insert(name, setter);
    }
    for place in call.places.clone() {
        count(call, &place, &mut setters);
    }
    if setters.is_empty() {
        call.warn("no setters found", None);
    }
    for (name, Setter { value, kind, count }) in setters {
        call.info(format!("Name: {name}, Value: {value}, Type: {kind}, Count: {count}"));
    }
    Ok(())
}

/// Values in the pipeline of the package; later functions win.
fn declared(call: &Call<'_>) -> BTreeMap<String, String> {
    let path =
        |file: &str| if call.directory.is_empty() { file.to_owned() } else { format!("{}/{file}", call.directory) };
    let kptfile = call.resources.value(&Place { file: path("Kptfile"), index: 0 });
    let mutators = at(&kptfile, &["pipeline", "mutators"]).and_then(Value::as_array);
    let mut values = BTreeMap::new();
    for function in mutators.into_iter().flatten().filter(|_| is_kptfile(&kptfile)) {
        if short_name(text_at(function, &["image"])) != "apply-setters" {
            continue;
        }
        let file = call.resources.value(&Place { file: path(text_at(function, &["configPath"])), index: 0 });
        let data = function.get("configMap").or_else(|| file.get("data")).and_then(Value::as_object);
        let texts =
            data.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        values.extend(texts);
    }
    values
}

fn items(text: &str) -> Option<Vec<String>> {
    let file = YamlFile::parse(text.as_bytes(), &Limits::default()).ok()?;
    let list = file.value(0).ok()?;
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    list.as_array().map(|items| items.iter().map(text).collect())
}

fn count(call: &Call<'_>, place: &Place, setters: &mut BTreeMap<String, Setter>) {
    let Some(file) = call.resources.file(place) else { return };
    let root = file.documents().get(place.index);
    for spot in spots(file, place.index) {
        match spot.what {
            What::Scalar { text, comment: Some(comment), kind }
                if !spot.shown.ends_with(']') || !in_brackets(root, &spot.path) =>
            {
                let Some(pattern) = comment.strip_prefix(MARK) else { continue };
                for (name, value) in derived(pattern.trim(), &text) {
                    let setter = setters.entry(name).or_insert(Setter { value, kind, count: 0 });
                    setter.count += 1;
                    if setter.kind == "str" {
                        setter.kind = kind;
                    }
                }
            }
            What::List { items, flow } => {
                let node = root.and_then(|root| root.at(&super::refs(&spot.path)));
                let key_line = root.map(|root| root.line_of(&super::refs(&spot.path)));
                let line = if flow { node.map(|node| node.last_line) } else { key_line };
                let pattern = line.and_then(|line| file.comment(line)).and_then(|text| text.strip_prefix(MARK));
                for name in pattern.map(names).unwrap_or_default() {
                    let fresh = || Setter { value: format!("[{}]", items.join(", ")), kind: "array", count: 0 };
                    setters.entry(name.to_owned()).or_insert_with(fresh).count += 1;
                }
            }
            What::Scalar { .. } => {}
        }
    }
}

/// Whether an item stands in a list in brackets, whose comment is not its own.
fn in_brackets(root: Option<&crate::domain::krm::document::Node>, path: &[String]) -> bool {
    use crate::domain::krm::document::NodeKind;
    let parent = path.split_last().and_then(|(_, parent)| root?.at(&super::refs(parent)));
    parent.is_some_and(|parent| matches!(parent.kind, NodeKind::Sequence { flow: true, .. }))
}
