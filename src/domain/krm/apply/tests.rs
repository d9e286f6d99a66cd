use super::*;
use crate::domain::krm::{Gvk, Schemas};

/// Sequences of writes with the objects and errors that apimachinery v0.36.3's own field manager answered, over the
/// published OpenAPI v3 documents. Times are replaced by `T`.
const VECTORS: &str = include_str!("../testdata/apply_vectors.json");

fn options(manager: &str) -> ApplyOptions<'_> {
    ApplyOptions { manager, force: false, subresource: "", now: "2026-11-21T10:00:00Z".parse().unwrap(), reset: &[] }
}

fn schema_of(schemas: &Schemas, object: &Value) -> Schema {
    let gvk = Gvk::parse(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    schemas.lookup(&gvk).0.clone().keeping_nulls()
}

/// Ownership without times and with a field set in place of its JSON.
fn shown(object: &Value) -> (Value, Vec<Entry>) {
    let mut entries = managed::read(object).unwrap();
    for entry in &mut entries {
        entry.time = None;
    }
    entries.sort_by_key(Entry::owner);
    (managed::stripped(object), entries)
}

fn has_times(object: &Value) -> Vec<(String, bool)> {
    let entries = object.pointer("/metadata/managedFields").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut times: Vec<_> = entries
        .iter()
        .map(|entry| (format!("{} {}", entry["manager"], entry["operation"]), entry.get("time").is_some()))
        .collect();
    times.sort();
    times
}

#[test]
fn writes_lead_to_what_the_api_server_answers() {
    let schemas = Schemas::builtin();
    let cases: Vec<Value> = serde_json::from_str(&VECTORS.replace("\"T\"", "\"2026-11-21T09:00:00Z\"")).unwrap();
    for (number, case) in cases.iter().enumerate() {
        let mut live = case.get("start").filter(|start| !start.is_null()).cloned();
        for (step, record) in case["steps"].as_array().unwrap().iter().enumerate() {
            let input = &record["input"];
            let schema = schema_of(&schemas, input);
            let force = record["force"].as_bool().unwrap_or_default();
            let options = ApplyOptions { force, ..options(record["manager"].as_str().unwrap()) };
            let outcome = match record["op"].as_str().unwrap() {
                "apply" => apply(live.as_ref(), input, &options, &schema).map_err(|error| error.to_string()),
                _ => Ok(update(live.as_ref(), input, &options, &schema)),
            };
            let place = format!("case {number} step {step}: {record}\nlive: {live:?}");
            match (outcome, record.get("error").and_then(Value::as_str)) {
                (Ok(object), None) => {
                    assert_eq!(shown(&object), shown(&record["output"]), "{place}");
                    assert_eq!(has_times(&object), has_times(&record["output"]), "{place}");
                    live = Some(object);
                }
                (Err(error), Some(expected)) => assert_eq!(error, expected, "{place}"),
                (outcome, expected) => panic!("{outcome:?} in place of {expected:?} in {place}"),
            }
        }
    }
}
