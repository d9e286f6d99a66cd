//! Rules beside the recorded answers of the real server.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Rules;

/// An object with a field of every type, and its schema.
const SAMPLE: &str = include_str!("tests/sample.json");
/// Expressions over the sample with what the real server says: `holds`, `broken`, `error` or `refused`, and its words.
/// The test `cel` of the crate writes them.
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
    if let Some(fault) = rules.faults(true).first() {
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

/// An order that contradicts itself may end the program that sorts by it.
#[test]
fn numbers_that_are_none_come_last() {
    let items = (0..60).rev().map(|number| match number % 3 {
        0 => "double('NaN')".to_owned(),
        _ => format!("{number}.0"),
    });
    let list = format!("[{}]", items.collect::<Vec<_>>().join(", "));
    let rule = format!("{list}.sort().slice(0, 40) == {list}.filter(n, n == n).sort() && {list}.sort()[0] == 1.0");
    let (schema, object) = sample();
    assert_eq!(outcome(&rule, &schema, &object), ["holds"]);
}

fn spend(expression: &str, object: &Value) -> Vec<String> {
    let (schema, _) = sample();
    outcome(expression, &schema, object)
}

#[test]
fn a_budget_ends_what_runs_away() {
    let (_, object) = sample();
    let digits = "[0,1,2,3,4,5,6,7,8,9]";
    let nested = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let all = nested.iter().rev().fold("true".to_owned(), |body, name| format!("{digits}.all({name}, {body})"));
    let doubled = (0..60).fold("'ab'".to_owned(), |text, _| format!("[{text}].map(x, x + x)[0]"));
    let lists = (0..60).fold("[1]".to_owned(), |list, _| format!("[{list}].map(x, x + x)[0]"));
    let grown = "[1].map(x, 'a'.replace('', '".to_owned() + &"b".repeat(3000) + "')).size() == 1";
    let flat = "lists.range(1000000).map(x, lists.range(1000000)).size() == 1";
    let table = [all, format!("{doubled}.size() > 0"), format!("{lists}.size() > 0"), flat.to_owned()];
    for expression in table {
        let found = spend(&expression, &object);
        assert!(
            found.last().is_some_and(|text| text.contains("cost limit exceeded") || text.contains("recursion limit")),
            "{found:?}"
        );
    }
    assert_eq!(spend(&grown, &object), ["holds"]);
    let deep = format!("{}true{}", "(".repeat(500), ")".repeat(500));
    assert_eq!(spend(&deep, &object)[0], "refused");
    let wide = vec!["self.i == 3"; 500].join(" && ");
    assert_eq!(spend(&wide, &object), ["holds"]);
}

#[test]
fn the_rules_of_an_object_share_a_budget() {
    // A match costs by the lengths of text and pattern.
    let rule = format!("lists.range(90).all(x, !self.matches('{}'))", "[a-z]".repeat(20));
    let schema = json!({"type": "array", "items": {"type": "string", "x-kubernetes-validations": [{"rule": rule}]}});
    let rules = rules_of(&json!([]), schema);
    let found = rules.check(&json!({"spec": vec!["1".repeat(3000); 20]}), None);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].detail.contains("running out of cost budget"), "{found:?}");
}

/// Pieces that expressions are made of, well or badly.
const PIECES: &[&str] = &[
    "self",
    "oldSelf",
    ".",
    "?",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "+",
    "-",
    "*",
    "/",
    "%",
    "!",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    "in",
    "i",
    "n",
    "s",
    "l",
    "m",
    "o",
    "t",
    "d",
    "ml",
    "set",
    "ios",
    "1",
    "0",
    "-9223372036854775808",
    "2.5",
    "3u",
    "'a'",
    "'é'",
    "b'x'",
    "r'\\d'",
    "true",
    "null",
    "x",
    "all",
    "exists",
    "map",
    "filter",
    "has",
    "size",
    "matches",
    "format",
    "'%s %d'",
    "string",
    "int",
    "double",
    "duration",
    "timestamp",
    "quantity",
    "ip",
    "cidr",
    "url",
    "semver",
    "optional",
    "of",
    "none",
    "orValue",
    "optMap",
    "split",
    "replace",
    "substring",
    "sort",
    "sortBy",
    "flatten",
    "slice",
    "lists",
    "range",
    "sets",
    "contains",
    "type",
    "dyn",
    "join",
    "getHours",
    "'+26:99'",
    "transformMap",
    "y",
    "\"",
    "'",
    "\\",
];

proptest::proptest! {
    #[test]
    fn no_expression_panics(pieces in proptest::collection::vec(0..PIECES.len(), 0..14), spaced: bool) {
        let words: Vec<&str> = pieces.into_iter().filter_map(|index| PIECES.get(index).copied()).collect();
        let text = words.join(if spaced { " " } else { "" });
        let (_, object) = sample();
        spend(&text, &object);
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        let (_, object) = sample();
        spend(&text, &object);
    }

    #[test]
    fn no_recorded_expression_panics_on_other_values(seed: u64, which in 0..1000_usize) {
        let (schema, object) = sample();
        let rows: Vec<Vec<String>> = EXPRESSIONS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let expression = &rows[which % rows.len()][0];
        let values = [json!(null), json!(1), json!("x"), json!([]), json!({}), json!([1, "a"]), json!({"k": null}), json!(-0.5)];
        let mut other = object.as_object().unwrap().clone();
        let count = other.len();
        for (index, value) in other.values_mut().enumerate() {
            let roll = usize::try_from((seed >> (index % 50)) & 0xffff).unwrap();
            if roll.is_multiple_of(3) {
                *value = values[(roll / 3 + count) % values.len()].clone();
            }
        }
        outcome(expression, &schema, &Value::Object(other));
    }
}

#[test]
fn cutting_an_expression_anywhere_never_panics() {
    let (_, object) = sample();
    for line in EXPRESSIONS.lines().step_by(5) {
        let row: Vec<String> = serde_json::from_str(line).unwrap();
        for (at, _) in row[0].char_indices().step_by(3) {
            spend(&row[0][..at], &object);
        }
    }
}
