//! `list-setters`: says which setters a package has, with their values and how often they are used.

use std::collections::BTreeMap;

use serde_json::Value;

use super::setters::{Kind, Use, derived, names, uses};
use super::{Call, FunctionError, Native, at, is_kptfile, refs, short_name, text_at};
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
    for found in uses(call) {
        count(call, &found, &mut setters);
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
    file.value(0).ok().filter(Value::is_array).map(|list| texts(&list))
}

/// The items of a list as texts, sorted as upstream shows them.
fn texts(list: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut texts: Vec<String> = list.as_array().into_iter().flatten().map(text).collect();
    texts.sort();
    texts
}

/// Adds one use of a setter, or of several in one text.
fn count(call: &Call<'_>, found: &Use, setters: &mut BTreeMap<String, Setter>) {
    let value = call.resources.value(&found.place);
    let value = at(&value, &refs(&found.path)).unwrap_or(&Value::Null);
    let kind = kind_of_value(value);
    let used: Vec<(String, String)> = match &found.kind {
        Kind::Scalar(text) => derived(&found.pattern, text).into_iter().collect(),
        Kind::List => {
            let items = format!("[{}]", texts(value).join(", "));
            names(&found.pattern).into_iter().map(|name| (name.to_owned(), items.clone())).collect()
        }
    };
    for (name, value) in used {
        let setter = setters.entry(name).or_insert(Setter { value, kind, count: 0 });
        setter.count += 1;
        if setter.kind == "str" {
            setter.kind = kind;
        }
    }
}

fn kind_of_value(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "array",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        _ => "str",
    }
}
