//! What of two answers must be the same.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use crate::servers::{Answer, Request};

/// Fields that two servers tell differently: identities, times, revisions. What stands in them is only that there is a
/// text.
const BLURRED: [&str; 8] = [
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
    "time",
    "lastTransitionTime",
    "lastUpdateTime",
    "continue",
];

/// A reviewed difference: why, and how both answers are made the same.
struct Exception {
    #[expect(dead_code, reason = "for readers: no exception without a reason")]
    reason: &'static str,
    rewrite: fn(&mut Value),
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        reason: "a message repeats its causes in their order; they are compared themselves",
        rewrite: cut_list,
    },
    Exception {
        reason: "types that the decoder of Go names: it knows structs and sizes of integers, a schema does not",
        rewrite: |body| cut_after(body, "json: cannot unmarshal"),
    },
    Exception {
        reason: "what a reader of YAML does not understand is told in its own words",
        rewrite: |body| {
            cut_after(body, "error converting YAML to JSON: yaml: ");
            let unread =
                body["message"].as_str().is_some_and(|message| message.contains("): yaml: ") && body["code"] == 400);
            if unread {
                cut_after(body, "): yaml: ");
            }
        },
    },
    Exception {
        reason: "a field that there is not is told with the structure of Go that does not have it",
        rewrite: |body| {
            let about =
                body["message"].as_str().unwrap_or_default().split(" for the json field ").nth(1).map(str::to_owned);
            if let Some(field) = about.filter(|_| body["code"] == 500) {
                body["message"] = json!(format!("unable to find api field {field}"));
            }
        },
    },
    Exception {
        reason: "the age of an object in a table depends on when it is asked for, and its columns are described by prose",
        rewrite: hide_ages,
    },
    Exception {
        reason: "the update of a pod is told as a textual diff of Go structures",
        rewrite: |body| cut_after(body, "(allow it to be set to 1 if it was previously negative)"),
    },
    Exception {
        reason: "an object that a patch made and that cannot be read is shown in the order of Go's structures or as a Go map",
        rewrite: cut_patched,
    },
    Exception {
        reason: "a value of a wrong type in an apply is shown as a Go structure; what is wrong with the fields of a map comes \
                 in the order of Go's maps",
        rewrite: cut_values_of_apply,
    },
    Exception {
        reason: "the template of a job that may not change is shown as a Go structure",
        rewrite: |body| {
            cut_after(body, "spec.template: Invalid value: ");
            cut_after(body, "spec.template.spec: Invalid value: ");
            let is_template =
                |cause: &&mut Value| cause["field"] == "spec.template" || cause["field"] == "spec.template.spec";
            for cause in causes(body).filter(is_template) {
                cause["message"] = json!("");
            }
        },
    },
    Exception {
        reason: "changes of a claim are told as a textual diff of Go structures",
        rewrite: |body| cut_after(body, "volumeAttributesClassName for bound claims"),
    },
    Exception {
        reason: "the real server runs without the admission of service accounts, which needs a controller",
        rewrite: forget_account,
    },
    Exception { reason: "the order of entries follows their times, which are blurred", rewrite: sort_owners },
    Exception {
        reason: "Go visits the entries of a map in another order each time: labels, annotations, data, stored versions, the \
                 fields of a custom resource, the managers of a conflict. Causes about neighbours in one map are compared as a set",
        rewrite: sort_neighbours,
    },
    Exception {
        reason: "labels that a patch took the last one of are an empty map of Go or none, by the way of the patch",
        rewrite: |body| replace_in_messages(body, "Invalid value: {}: `selector`", "Invalid value: null: `selector`"),
    },
    Exception { reason: "addresses of services are drawn by chance", rewrite: hide_addresses },
];

/// Takes out of a watch of the real server what changed nothing. It fills some defaults in as it reads what it stored:
/// the labels of a job, the phase of a claim; and it stores the empty labels and finalizers that an apply gives a
/// custom resource, to leave them out when it reads them. The first write afterwards stores what was read, whatever it
/// says; there is no such write in ours, and no answer but the events shows it.
fn forget_empty_changes(events: &mut Vec<Value>) {
    const LAZY: [&str; 3] = ["Job", "PersistentVolumeClaim", "Thing"];
    let is_lazy = |event: &Value| event["object"]["kind"].as_str().is_some_and(|kind| LAZY.contains(&kind));
    let mut kept: Vec<Value> = Vec::new();
    for event in events.drain(..) {
        let name = &event["object"]["metadata"]["name"];
        let last = kept.iter().rev().find(|one| one["object"]["metadata"]["name"] == *name);
        let is_empty = event["type"] == "MODIFIED" && last.is_some_and(|last| last["object"] == event["object"]);
        if !(is_lazy(&event) && is_empty) {
            kept.push(event);
        }
    }
    *events = kept;
}

/// Cuts the messages of a failure behind a text.
fn cut_after(body: &mut Value, text: &str) {
    let cut = |message: &mut Value| {
        let found = message.as_str().and_then(|message| Some(message[..message.find(text)? + text.len()].to_owned()));
        if let Some(short) = found {
            *message = json!(short);
        }
    };
    if body["kind"] != "Status" {
        return;
    }
    cut(&mut body["message"]);
    causes(body).for_each(|cause| cut(&mut cause["message"]));
}

fn replace_in_messages(body: &mut Value, from: &str, to: &str) {
    let replace = |message: &mut Value| {
        if let Some(text) = message.as_str() {
            *message = json!(text.replace(from, to));
        }
    };
    if body["kind"] == "Status" {
        replace(&mut body["message"]);
        causes(body).for_each(|cause| replace(&mut cause["message"]));
    }
}

fn causes(body: &mut Value) -> impl Iterator<Item = &mut Value> {
    body.pointer_mut("/details/causes").and_then(Value::as_array_mut).into_iter().flatten()
}

fn cut_values_of_apply(body: &mut Value) {
    const UNDECLARED: &str = "field not declared in schema";
    const WANTED: [&str; 5] = ["string", "numeric (int or float)", "boolean", "map", "list"];
    let message = body["message"].as_str().unwrap_or_default();
    if !message.starts_with("failed to create typed patch object") {
        return;
    }
    // The real server looks no further in a map at the first field that is not declared: what else it tells is chance.
    if message.contains(UNDECLARED) {
        let about = message.split_once("): ").map_or(message, |(about, _)| about);
        body["message"] = json!(format!("{about}): {UNDECLARED}"));
        return;
    }
    let (head, told) = message.split_once("errors:\n").unwrap_or(("", message));
    let cut = |line: &str| {
        let mut marks = WANTED.iter().map(|wanted| format!("expected {wanted}, got "));
        let found = marks.find_map(|mark| Some(line.find(&mark)? + mark.len()));
        line[..found.unwrap_or(line.len())].to_owned()
    };
    let mut lines: Vec<String> = told.lines().map(cut).collect();
    lines.sort();
    body["message"] = json!(format!("{head}{}", lines.join("\n")));
}

fn hide_ages(body: &mut Value) {
    static AGE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\d+[smh](\d+s)?$").unwrap());
    if body["kind"] != "Table" {
        return;
    }
    let columns = body["columnDefinitions"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut);
    columns.for_each(|column| drop(column.remove("description")));
    walk(body, &mut |_, value| {
        if value.as_str().is_some_and(|text| AGE.is_match(text)) {
            *value = json!("some age");
        }
    });
}

fn cut_patched(body: &mut Value) {
    if body.pointer("/details/causes/0/field") == Some(&json!("patch")) {
        cut_after(body, "Invalid value: ");
    }
}

/// Cuts a message that repeats several causes (each once) in front of them.
fn cut_list(body: &mut Value) {
    let mut told: Vec<String> = Vec::new();
    for cause in causes(body) {
        let text = |name: &str| cause[name].as_str().unwrap_or_default();
        let line = format!("{}: {}", text("field"), text("message"));
        if !told.contains(&line) {
            told.push(line);
        }
    }
    let told = format!("[{}]", told.join(", "));
    if let Some(before) = body["message"].as_str().and_then(|message| message.strip_suffix(&told)) {
        body["message"] = json!(before);
    }
}

fn forget_account(body: &mut Value) {
    let forget = |pod: &mut Value| {
        if let Some(spec) = pod.get_mut("spec").and_then(Value::as_object_mut) {
            spec.retain(|name, value| !(name.starts_with("serviceAccount") && value == "default"));
        }
    };
    match body["kind"].as_str() {
        Some("Pod") => forget(body),
        Some("PodList") => body["items"].as_array_mut().into_iter().flatten().for_each(forget),
        _ => {}
    }
}

/// Sorts causes within each run of causes that stem from the entries of one map.
fn sort_neighbours(body: &mut Value) {
    let group = body.pointer("/details/group").and_then(Value::as_str).unwrap_or_default();
    let is_custom = group.ends_with("loggia.dev");
    let Some(causes) = body.pointer_mut("/details/causes").and_then(Value::as_array_mut) else { return };
    for run in causes.chunk_by_mut(|a, b| map_of(a, is_custom).is_some_and(|map| map_of(b, is_custom) == Some(map))) {
        run.sort_by_key(ToString::to_string);
    }
}

/// The map that a cause is about an entry of; none for causes with a fixed place.
fn map_of(cause: &Value, is_custom: bool) -> Option<&str> {
    let text = |name: &str| cause[name].as_str().unwrap_or_default();
    let field = text("field");
    let entry = field.split_once('[').map_or("", |(map, _)| map);
    match text("reason") {
        "FieldManagerConflict" => Some("managers"),
        _ if matches!(field, "metadata.labels" | "metadata.annotations") => Some(field),
        "FieldValueInvalid" if matches!(entry, "data" | "binaryData" | "status.storedVersions") => Some(entry),
        _ if !is_custom || field.starts_with('.') || field.starts_with("metadata") => None,
        "FieldValueDuplicate" => Some("duplicates"),
        _ => Some("schema"),
    }
}

fn sort_owners(body: &mut Value) {
    let sort = |object: &mut Value| {
        if let Some(owners) = object.pointer_mut("/metadata/managedFields").and_then(Value::as_array_mut) {
            let text = |owner: &Value, name: &str| owner[name].as_str().unwrap_or_default().to_owned();
            owners.sort_by_key(|owner| {
                ["operation", "manager", "subresource", "apiVersion"].map(|name| text(owner, name))
            });
        }
    };
    sort(body);
    body.pointer_mut("/items").and_then(Value::as_array_mut).into_iter().flatten().for_each(sort);
}

fn hide_addresses(body: &mut Value) {
    static GIVEN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^10\.96\.\d+\.\d+$").unwrap());
    walk(body, &mut |name, value| match value {
        Value::String(text) if GIVEN.is_match(text) => *value = json!("some address"),
        Value::Number(number)
            if matches!(name, "nodePort" | "healthCheckNodePort") && number.as_u64() >= Some(30_000) =>
        {
            *value = json!("some port");
        }
        _ => {}
    });
}

/// Visits every scalar with the name of the field that it is in.
fn walk(value: &mut Value, visit: &mut impl FnMut(&str, &mut Value)) {
    fn below(name: &str, value: &mut Value, visit: &mut impl FnMut(&str, &mut Value)) {
        match value {
            Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| below(name, value, visit)),
            Value::Array(items) => items.iter_mut().for_each(|value| below(name, value, visit)),
            scalar => visit(name, scalar),
        }
    }
    below("", value, visit);
}

/// An answer without what two servers may tell differently; one of the real server without what only it does.
pub(crate) fn blurred(request: &Request, answer: &Answer, is_real: bool) -> Value {
    static INSIDE: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
        let regex = |text: &str| Regex::new(text).unwrap();
        [
            (regex("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UID"),
            (regex(r"current: \d+"), "current: RV"),
            (regex("made-[a-z0-9]{5}"), "made-SUFFIX"),
            (regex(r"(ResourceVersion in (?:the )?(?:record|precondition|object meta)?:? ?\(?)\d+"), "${1}RV"),
        ]
    });
    let mut body = answer.body.clone();
    let objects: Vec<&mut Value> = match &mut body {
        Value::Array(events) => events.iter_mut().filter_map(|event| event.get_mut("object")).collect(),
        body => vec![body],
    };
    for object in objects {
        for exception in EXCEPTIONS {
            (exception.rewrite)(object);
        }
    }
    let base = serde_json::from_str::<Value>(&request.body).ok();
    let base = base.and_then(|body| Some(body.pointer("/metadata/generateName")?.as_str()?.to_owned()));
    let generated = base.map(|base| Regex::new(&format!("{}[a-z0-9]{{5}}", regex::escape(&base))).unwrap());
    walk(&mut body, &mut |name, value| {
        let Some(text) = value.as_str() else { return };
        if BLURRED.contains(&name) {
            *value = json!("some");
            return;
        }
        let mut text = text.to_owned();
        for (pattern, word) in INSIDE.iter() {
            text = pattern.replace_all(&text, *word).into_owned();
        }
        if let Some(generated) = &generated {
            text = generated.replace_all(&text, "GENERATED").into_owned();
        }
        *value = json!(text);
    });
    if let (Value::Array(events), true) = (&mut body, is_real) {
        forget_empty_changes(events);
    }
    json!({"code": answer.code, "warnings": answer.warnings, "body": body})
}

/// Where the real answer and ours differ, as lines; none when they are the same.
pub(crate) fn differences(request: &Request, real: &Answer, ours: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    compare("", Some(&blurred(request, real, true)), Some(&blurred(request, ours, false)), &mut found);
    found
}

/// Where a recorded answer and one as it would be recorded differ, as lines.
pub(crate) fn compare_recorded(recorded: &Value, found: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", Some(recorded), Some(found), &mut lines);
    lines
}

fn compare(path: &str, real: Option<&Value>, ours: Option<&Value>, found: &mut Vec<String>) {
    match (real, ours) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for name in names {
                compare(&format!("{path}.{name}"), a.get(name), b.get(name), found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{path}[{index}]"), Some(a), Some(b), found);
            }
        }
        (a, b) if a == b => {}
        (a, b) => {
            let show = |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            found.push(format!("    {path}:\n      real {}\n      ours {}", show(a), show(b)));
        }
    }
}
