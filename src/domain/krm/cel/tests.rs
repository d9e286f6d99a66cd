//! Rules beside the recorded answers of the real server.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Rules;

/// An object with a field of every type, and its schema.
const SAMPLE: &str = include_str!("tests/sample.json");
/// Expressions over the sample with what the real server says: `holds`, `broken`, `error` or `refused`, and its words. The
/// test `cel` of the crate writes them.
const EXPRESSIONS: &str = include_str!("tests/expressions.jsonl");

fn sample() -> (Value, Value) {
    let sample: Value = serde_json::from_str(SAMPLE).unwrap();
    (sample["schema"].clone(), sample["object"].clone())
}

fn rules_of(rules: &Value, mut schema: Value) -> Rules {
    schema["x-kubernetes-validations"] = rules.clone();
    Rules::of(Arc::new(json!({"type": "object", "properties": {"spec": schema}})))
}

/// What becomes of an expression, as it is recorded.
fn outcome(expression: &str, schema: &Value, object: &Value) -> Vec<String> {
    let rules = rules_of(&json!([{"rule": expression, "message": "#"}]), schema.clone());
    if let Some(fault) = rules.faults().first() {
        return vec!["refused".to_owned(), fault.detail.clone()];
    }
    match rules.check(&json!({"spec": object}), None).first() {
        None => vec!["holds".to_owned()],
        Some(broken) if broken.detail == "#" => vec!["broken".to_owned()],
        Some(broken) => vec!["error".to_owned(), broken.detail.clone()],
    }
}

#[test]
fn expressions_are_judged_as_the_real_server_judges_them() {
    let (schema, object) = sample();
    let mut found = Vec::new();
    for line in EXPRESSIONS.lines() {
        let row: Vec<String> = serde_json::from_str(line).unwrap();
        let (expression, expected) = row.split_first().unwrap();
        let given = outcome(expression, &schema, &object);
        // Those are worded by the machinery of a generated parser.
        let syntax = |row: &[String]| row.get(1).is_some_and(|text| text.contains("Syntax error"));
        if given != expected && !(syntax(&given) && syntax(expected)) {
            found.push(format!("{expression}\n  real: {expected:?}\n  ours: {given:?}"));
        }
    }
    assert!(found.is_empty(), "{} expressions are judged differently:\n{}", found.len(), found.join("\n"));
}
