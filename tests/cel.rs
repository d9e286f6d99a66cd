//! Rules in CEL and schemas of CRDs: what the real API server says, recorded, beside what ours says.
//!
//! `LOGGIA_RECORD=1 cargo test --test cel` with the real server at hand (`LOGGIA_KUBE_ASSETS`) writes the records anew;
//! with the real server and without `LOGGIA_RECORD` they are compared with it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise and says what it did not run"
)]

#[path = "cel/plans.rs"]
mod plans;
#[allow(dead_code, reason = "watches are not looked at here")]
#[path = "conformance/servers.rs"]
mod servers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use servers::{Answer, Embedded, Real, Request};

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// A schema and objects that are put to it.
#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    schema: Value,
    /// The schema that replaces it before anything is made of what was.
    #[serde(default)]
    then: Option<Value>,
    rows: Vec<Row>,
}

/// What an object was, and what somebody makes of it.
#[derive(Debug, Deserialize)]
struct Row {
    old: Value,
    new: Value,
    /// `put`, `merge`, `apply`, `json`, `status`.
    #[serde(default)]
    by: Option<String>,
}

/// A schema that may be refused.
#[derive(Debug, Deserialize)]
struct Definition {
    name: String,
    schema: Value,
}

fn place(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(place(name)).unwrap()
}

fn cases() -> Vec<Case> {
    let files = ["tests/cel/cases.json", "tests/cel/schemas.json"];
    files.into_iter().flat_map(|file| serde_json::from_str::<Vec<Case>>(&read(file)).unwrap()).collect()
}

fn definitions() -> Vec<Definition> {
    serde_json::from_str(&read("tests/cel/definitions.json")).unwrap()
}

/// The kind of a case: no two may share one.
fn kind_of(name: &str) -> String {
    let plain = name.replace('-', "");
    let (first, rest) = plain.split_at(1);
    format!("{}{rest}", first.to_uppercase())
}

fn definition(name: &str, schema: &Value) -> Value {
    let plural = format!("{}s", name.replace('-', ""));
    let kind = kind_of(name);
    let version = json!({"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": schema}});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.cel.test")},
        "spec": {"group": "cel.test", "scope": "Cluster", "versions": [version],
            "names": {"plural": plural, "singular": name.replace('-', ""), "kind": kind, "listKind": format!("{kind}List")}}})
}

fn request(method: &str, path: String, body: &Value) -> Request {
    Request { method: method.to_owned(), path, body: if body.is_null() { String::new() } else { body.to_string() } }
}

/// One of the two servers.
enum Server {
    Real(Box<Real>),
    Ours(Embedded),
}

impl Server {
    async fn ask(&self, method: &str, path: String, body: &Value) -> Answer {
        let request = request(method, path, body);
        match self {
            Self::Real(real) => real.ask(&request).await,
            Self::Ours(ours) => ours.ask(&request).await,
        }
    }

    /// Creates a CRD; when it is taken, waits until it is served.
    async fn define(&self, name: &str, schema: &Value) -> Value {
        let wanted = definition(name, schema);
        let answer = self.ask("POST", CRDS.to_owned(), &wanted).await;
        if answer.code == 201 {
            self.wait_for(wanted["spec"]["names"]["plural"].as_str().unwrap()).await;
        }
        told(&answer)
    }

    /// Waits until discovery names a kind of ours; before the first of them it does not even know the group.
    async fn wait_for(&self, plural: &str) {
        for _ in 0..200 {
            let groups = self.ask("GET", "/apis".to_owned(), &Value::Null).await;
            if groups.body["groups"].as_array().unwrap().iter().any(|group| group["name"] == "cel.test") {
                let kinds = self.ask("GET", "/apis/cel.test/v1".to_owned(), &Value::Null).await;
                let is_known =
                    kinds.body["resources"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == plural));
                // Known is not served yet.
                if is_known && self.ask("GET", format!("/apis/cel.test/v1/{plural}"), &Value::Null).await.code == 200 {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{plural} is not served");
    }

    /// Deletes a CRD and what is left of it.
    async fn forget(&self, name: &str) {
        self.ask("DELETE", format!("{CRDS}/{}s.cel.test", name.replace('-', "")), &Value::Null).await;
    }

    async fn play(&self, case: &Case, index: usize) -> Value {
        match self.make(case, index).await {
            Ok(made) => self.change(case, index, &made).await,
            Err(refused) => refused,
        }
    }

    /// Makes what a row begins with, if it begins with anything; gives it.
    async fn make(&self, case: &Case, index: usize) -> Result<Value, Value> {
        let old = &case.rows[index].old;
        if old.is_null() {
            return Ok(Value::Null);
        }
        let made = self.ask("POST", case.path(), &case.whole(index, old)).await;
        if made.code != 201 {
            return Err(json!({"old": told(&made)}));
        }
        if let Some(status) = old.get("status") {
            let set = json!({"status": status});
            let set = self.ask("PATCH", format!("{}/x{index}/status?patch=merge", case.path()), &set).await;
            if set.code != 200 {
                return Err(json!({"old": told(&set)}));
            }
        }
        Ok(made.body)
    }

    async fn change(&self, case: &Case, index: usize, made: &Value) -> Value {
        let row = &case.rows[index];
        let whole = |part: &Value| case.whole(index, part);
        if made.is_null() {
            return told(&self.ask("POST", case.path(), &whole(&row.new)).await);
        }
        let path = format!("{}/x{index}", case.path());
        let put = |object: Value| {
            let mut object = object;
            let version = made["metadata"]["resourceVersion"].clone();
            if row.old.get("status").is_none() {
                object["metadata"]["resourceVersion"] = version;
            }
            object
        };
        told(&match row.by.as_deref().unwrap_or("put") {
            "merge" => self.ask("PATCH", format!("{path}?patch=merge"), &row.new).await,
            "json" => self.ask("PATCH", format!("{path}?patch=json"), &row.new).await,
            "apply" => {
                let query = "patch=apply&fieldManager=other&force=true";
                self.ask("PATCH", format!("{path}?{query}"), &whole(&row.new)).await
            }
            "status" => self.ask("PATCH", format!("{path}/status?patch=merge"), &row.new).await,
            _ if row.old.get("status").is_some() => self.ask("PATCH", format!("{path}?patch=merge"), &row.new).await,
            _ => self.ask("PUT", path, &put(whole(&row.new))).await,
        })
    }

    /// Gives a kind another schema when there is something of it, and plays what becomes of that.
    async fn play_after(&self, case: &Case, then: &Value) -> Vec<Value> {
        let mut all_made = Vec::new();
        for index in 0..case.rows.len() {
            all_made.push(self.make(case, index).await);
        }
        self.redefine(case, then).await;
        let mut rows = Vec::new();
        for (index, made) in all_made.into_iter().enumerate() {
            rows.push(match made {
                Ok(made) => self.change(case, index, &made).await,
                Err(refused) => refused,
            });
        }
        rows
    }
}

impl Case {
    fn path(&self) -> String {
        format!("/apis/cel.test/v1/{}s", self.name.replace('-', ""))
    }

    fn whole(&self, index: usize, part: &Value) -> Value {
        let name = format!("x{index}");
        let mut object = json!({"apiVersion": "cel.test/v1", "kind": kind_of(&self.name), "metadata": {"name": name}});
        let part = part.as_object().cloned().unwrap_or_default();
        for (field, value) in part {
            match (field.as_str(), value) {
                ("metadata", Value::Object(more)) => object["metadata"].as_object_mut().unwrap().extend(more),
                (_, value) => object[field] = value,
            }
        }
        object
    }
}

/// Code, warnings and causes of an answer, in an order of their own: the real server has none; and what is in the
/// object.
fn told(answer: &Answer) -> Value {
    let causes = answer.body.pointer("/details/causes").and_then(Value::as_array).into_iter().flatten();
    let text = |cause: &Value, name: &str| steady(cause[name].as_str().unwrap_or_default());
    let causes: BTreeSet<[String; 3]> =
        causes.map(|cause| [text(cause, "field"), text(cause, "reason"), text(cause, "message")]).collect();
    let mut out = json!({"code": answer.code});
    if !causes.is_empty() {
        out["causes"] = json!(causes);
    }
    let warnings: BTreeSet<&String> = answer.warnings.iter().collect();
    if !warnings.is_empty() {
        out["warnings"] = json!(warnings);
    }
    let is_definition = answer.body["kind"] == "CustomResourceDefinition";
    if let (200 | 201, Some(spec), false) = (answer.code, answer.body.get("spec"), is_definition) {
        out["spec"] = spec.clone();
    }
    out
}

/// A text without the names that the server makes up for types.
fn steady(text: &str) -> String {
    let type_name = regex::Regex::new(r"selfType\d+[.\w@]*").unwrap();
    type_name.replace_all(text, "object").into_owned()
}

/// A kind that stays, so that its group does.
async fn anchor(server: &Server) {
    let answer = server.define("anchor", &json!({"type": "object"})).await;
    assert!(matches!(answer["code"].as_u64(), Some(201 | 409)), "{answer}");
}

async fn play_all(server: &Server) -> Value {
    let mut all = Map::new();
    anchor(server).await;
    for case in cases() {
        let defined = server.define(&case.name, &case.schema).await;
        let mut rows = Vec::new();
        if defined["code"] == 201 {
            if let Some(then) = &case.then {
                rows = server.play_after(&case, then).await;
            }
            for index in rows.len()..case.rows.len() {
                rows.push(server.play(&case, index).await);
            }
            server.forget(&case.name).await;
        }
        all.insert(case.name, json!({"definition": defined, "rows": rows}));
    }
    Value::Object(all)
}

async fn define_all(server: &Server) -> Value {
    let mut all = Map::new();
    anchor(server).await;
    for one in definitions() {
        let answer = server.define(&one.name, &one.schema).await;
        if answer["code"] == 201 {
            server.forget(&one.name).await;
        }
        all.insert(one.name, answer);
    }
    Value::Object(all)
}

/// One line for each place at which two records differ.
fn differences(real: &Value, ours: &Value, path: &str, found: &mut Vec<String>) {
    match (real, ours) {
        (Value::Object(a), Value::Object(b)) if !a.contains_key("code") => {
            for name in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                differences(&real[name], &ours[name], &format!("{path}/{name}"), found);
            }
        }
        (Value::Array(a), Value::Array(b)) if path.ends_with("rows") => {
            for index in 0..a.len().max(b.len()) {
                let (a, b) = (a.get(index), b.get(index));
                differences(a.unwrap_or(&Value::Null), b.unwrap_or(&Value::Null), &format!("{path}[{index}]"), found);
            }
        }
        _ if real != ours => found.push(format!("{path}\n  real: {real}\n  ours: {ours}")),
        _ => {}
    }
}

fn recorded(name: &str) -> Value {
    serde_json::from_str(&read(name)).unwrap()
}

fn write(name: &str, value: &Value) {
    std::fs::write(place(name), format!("{}\n", serde_json::to_string_pretty(value).unwrap())).unwrap();
}

const EXPRESSIONS: &str = "src/domain/krm/cel/tests/expressions.jsonl";
/// So many rules together stay within what the rules of one definition may cost.
const TOGETHER: usize = 20;

/// What the server says of expressions over the sample, each a rule of a field of its own: the lines of
/// [`EXPRESSIONS`].
async fn judge_expressions(server: &Server, expressions: &[String], name: &str) -> Vec<Vec<String>> {
    let sample: Value = serde_json::from_str(&read("src/domain/krm/cel/tests/sample.json")).unwrap();
    let schema = |taken: &[usize]| {
        let field = |&index: &usize| {
            let mut field = sample["schema"].clone();
            field["x-kubernetes-validations"] = json!([{"rule": expressions[index], "message": "#"}]);
            (format!("e{index}"), field)
        };
        let fields: Map<String, Value> = taken.iter().map(field).collect();
        json!({"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}})
    };
    let all: Vec<usize> = (0..expressions.len()).collect();
    let refused = causes_by_index(&server.define(name, &schema(&all)).await);
    let taken: Vec<usize> = all.iter().copied().filter(|index| !refused.contains_key(index)).collect();
    if !refused.is_empty() {
        assert_eq!(server.define(name, &schema(&taken)).await["code"], 201, "{refused:?}");
    }
    let fields: Map<String, Value> =
        taken.iter().map(|index| (format!("e{index}"), sample["object"].clone())).collect();
    let case = Case {
        name: name.to_owned(),
        schema: Value::Null,
        then: None,
        rows: vec![Row { old: Value::Null, new: json!({"spec": fields}), by: None }],
    };
    let faults = causes_by_index(&server.play(&case, 0).await);
    server.forget(name).await;
    let line = |index: usize| {
        let mut line = vec![expressions[index].clone()];
        match (refused.get(&index), faults.get(&index)) {
            (Some(why), _) => line.extend(["refused".to_owned(), why.clone()]),
            (None, Some(why)) if why == "#" => line.push("broken".to_owned()),
            (None, Some(why)) => line.extend(["error".to_owned(), why.clone()]),
            (None, None) => line.push("holds".to_owned()),
        }
        line
    };
    all.into_iter().map(line).collect()
}

/// The details of causes by the number of the field `eN` that they are about.
fn causes_by_index(answer: &Value) -> BTreeMap<usize, String> {
    let number = regex::Regex::new(r"\be(\d+)\b").unwrap();
    let causes: Vec<[String; 3]> =
        answer.get("causes").map(|causes| serde_json::from_value(causes.clone()).unwrap()).unwrap_or_default();
    let of = |[field, _, message]: &[String; 3]| {
        let index = number.captures(field).unwrap_or_else(|| panic!("{field}: {message}"))[1].parse().unwrap();
        (index, detail(message).to_owned())
    };
    causes.iter().map(of).collect()
}

/// A message without what all of its kind begin with, and without the value that is told.
fn detail(message: &str) -> &str {
    let text = message.strip_prefix("Invalid value: ").unwrap_or(message);
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let told = values.next().is_some_and(|value| value.is_ok());
    text.get(values.byte_offset()..).filter(|_| told).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_expressions_are_what_the_real_server_says() {
    let Some(real) = Real::start().await else { return };
    let real = Server::Real(Box::new(real));
    anchor(&real).await;
    let recorded: Vec<Vec<String>> =
        read(EXPRESSIONS).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expressions: Vec<String> = recorded.iter().map(|row| row[0].clone()).collect();
    let mut told = Vec::new();
    for (number, part) in expressions.chunks(TOGETHER).enumerate() {
        told.extend(judge_expressions(&real, part, &format!("expressions{number}")).await);
    }
    if std::env::var_os("LOGGIA_RECORD").is_some() {
        let lines = told.iter().map(|row| format!("{}\n", serde_json::to_string(row).unwrap()));
        return std::fs::write(place(EXPRESSIONS), lines.collect::<String>()).unwrap();
    }
    let stale = told.iter().zip(&recorded).filter(|(real, recorded)| real != recorded);
    let stale: Vec<String> =
        stale.map(|(real, recorded)| format!("  real: {real:?}\n  recorded: {recorded:?}")).collect();
    assert!(stale.is_empty(), "{} expressions are out of date:\n{}", stale.len(), stale.join("\n"));
}

const ANSWERS: &str = "tests/cel/answers.json";
const VERDICTS: &str = "tests/cel/verdicts.json";

#[tokio::test(flavor = "multi_thread")]
async fn the_records_are_what_the_real_server_says() {
    let Some(real) = Real::start().await else { return };
    let real = Server::Real(Box::new(real));
    let (answers, verdicts) = (play_all(&real).await, define_all(&real).await);
    if std::env::var_os("LOGGIA_RECORD").is_some() {
        write(ANSWERS, &answers);
        write(VERDICTS, &verdicts);
        return;
    }
    let mut found = Vec::new();
    differences(&recorded(ANSWERS), &answers, "answers", &mut found);
    differences(&recorded(VERDICTS), &verdicts, "verdicts", &mut found);
    assert!(found.is_empty(), "{} records are out of date:\n{}", found.len(), found.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_answered_as_recorded() {
    if std::env::var_os("LOGGIA_RECORD").is_some() {
        return;
    }
    let ours = Server::Ours(Embedded::start());
    let mut found = Vec::new();
    differences(&recorded(ANSWERS), &play_all(&ours).await, "", &mut found);
    found.retain(|line| !EXCEPTIONS.iter().any(|(place, _)| line.starts_with(&format!("{place}\n"))));
    assert!(found.is_empty(), "{} answers differ:\n{}", found.len(), found.join("\n"));
}

/// Answers that are others than those of the real server, with the reason.
const EXCEPTIONS: &[(&str, &str)] =
    &[("/optional-old/rows[3]", "an object that is replaced by the same one is not looked at again")];

#[tokio::test(flavor = "multi_thread")]
async fn definitions_are_answered_as_recorded() {
    if std::env::var_os("LOGGIA_RECORD").is_some() {
        return;
    }
    let ours = Server::Ours(Embedded::start());
    let mut found = Vec::new();
    differences(&recorded(VERDICTS), &define_all(&ours).await, "", &mut found);
    assert!(found.is_empty(), "{} definitions are answered differently:\n{}", found.len(), found.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_foretell_what_the_embedded_server_refuses() {
    plans::are_foretold(&Server::Ours(Embedded::start())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_foretell_what_the_real_server_refuses() {
    let Some(real) = Real::start().await else { return };
    plans::are_foretold(&Server::Real(Box::new(real))).await;
}
