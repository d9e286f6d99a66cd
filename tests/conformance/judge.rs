//! What of two answers must be the same.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use crate::servers::{Answer, Request};

/// Fields that two servers tell differently: identities, times, revisions. What stands in them is only that there is a text.
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
        reason: "types that the decoder of Go names: it knows structs and sizes of integers, a schema does not",
        rewrite: |body| cut_after(body, "json: cannot unmarshal"),
    },
    Exception {
        reason: "the update of a pod is told as a textual diff of Go structures",
        rewrite: |body| cut_after(body, "(allow it to be set to 1 if it was previously negative)"),
    },
    Exception {
        reason: "the order of causes about entries of maps and about managers is that of Go's maps, another one each time",
        rewrite: sort_causes,
    },
    Exception { reason: "addresses of services are drawn by chance", rewrite: hide_addresses },
];

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
    for cause in body.pointer_mut("/details/causes").and_then(Value::as_array_mut).into_iter().flatten() {
        cut(&mut cause["message"]);
    }
}

/// Sorts several causes. A message that repeats them in their order is cut in front of them.
fn sort_causes(body: &mut Value) {
    let Some(causes) = body.pointer("/details/causes").and_then(Value::as_array).filter(|all| all.len() > 1) else {
        return;
    };
    let text = |cause: &Value, name: &str| cause[name].as_str().unwrap_or_default().to_owned();
    let told: Vec<String> = causes.iter().map(|c| format!("{}: {}", text(c, "field"), text(c, "message"))).collect();
    let told = format!("[{}]", told.join(", "));
    if let Some(before) = body["message"].as_str().and_then(|message| message.strip_suffix(&told)) {
        body["message"] = json!(before);
    }
    let causes = body.pointer_mut("/details/causes").and_then(Value::as_array_mut).unwrap();
    causes.sort_by_key(ToString::to_string);
}

fn hide_addresses(body: &mut Value) {
    static GIVEN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^10\.96\.\d+\.\d+$").unwrap());
    walk(body, &mut |name, value| match value {
        Value::String(text) if GIVEN.is_match(text) => *value = json!("some address"),
        Value::Number(number) if name == "nodePort" && number.as_u64() >= Some(30_000) => *value = json!("some port"),
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

/// An answer without what two servers may tell differently.
fn blurred(request: &Request, answer: &Answer) -> Value {
    static INSIDE: LazyLock<[(Regex, &str); 3]> = LazyLock::new(|| {
        let regex = |text: &str| Regex::new(text).unwrap();
        [
            (regex("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UID"),
            (regex(r"current: \d+"), "current: RV"),
            (regex(r"(ResourceVersion in (?:the )?(?:record|precondition|object meta)?:? ?\(?)\d+"), "${1}RV"),
        ]
    });
    let mut body = answer.body.clone();
    for exception in EXCEPTIONS {
        (exception.rewrite)(&mut body);
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
    json!({"code": answer.code, "warnings": answer.warnings, "body": body})
}

/// Where the real answer and ours differ, as lines; none when they are the same.
pub(crate) fn differences(request: &Request, real: &Answer, ours: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    compare("", Some(&blurred(request, real)), Some(&blurred(request, ours)), &mut found);
    found
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
