//! Rules in CEL and schemas of CRDs: what the real API server says, recorded, beside what ours says.
//!
//! `LOGGIA_RECORD=1 cargo test --test cel` with the real server at hand (`LOGGIA_KUBE_ASSETS`) writes the records anew; with
//! the real server and without `LOGGIA_RECORD` they are compared with it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise and says what it did not run"
)]

#[allow(dead_code, reason = "watches are not looked at here")]
#[path = "conformance/servers.rs"]
mod servers;

use std::collections::BTreeSet;
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
    serde_json::from_str(&read("tests/cel/cases.json")).unwrap()
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
                if kinds.body["resources"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == plural)) {
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
        let row = &case.rows[index];
        let kind = format!("/apis/cel.test/v1/{}s", case.name.replace('-', ""));
        let name = format!("x{index}");
        let whole = |part: &Value| {
            let mut object =
                json!({"apiVersion": "cel.test/v1", "kind": kind_of(&case.name), "metadata": {"name": name}});
            object.as_object_mut().unwrap().extend(part.as_object().cloned().unwrap_or_default());
            object
        };
        let by = row.by.as_deref().unwrap_or("put");
        if row.old.is_null() {
            return told(&self.ask("POST", kind, &whole(&row.new)).await);
        }
        let made = self.ask("POST", kind.clone(), &whole(&row.old)).await;
        if made.code != 201 {
            return json!({"old": told(&made)});
        }
        let path = format!("{kind}/{name}");
        if let Some(status) = row.old.get("status") {
            let set = json!({"status": status});
            let set = self.ask("PATCH", format!("{path}/status?patch=merge"), &set).await;
            if set.code != 200 {
                return json!({"old": told(&set)});
            }
        }
        let put = |object: Value| {
            let mut object = object;
            let version = made.body["metadata"]["resourceVersion"].clone();
            if row.old.get("status").is_none() {
                object["metadata"]["resourceVersion"] = version;
            }
            object
        };
        told(&match by {
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
}

/// Code and causes of an answer, in an order of their own: the real server has none.
fn told(answer: &Answer) -> Value {
    let causes = answer.body.pointer("/details/causes").and_then(Value::as_array).into_iter().flatten();
    let text = |cause: &Value, name: &str| steady(cause[name].as_str().unwrap_or_default());
    let causes: BTreeSet<[String; 3]> =
        causes.map(|cause| [text(cause, "field"), text(cause, "reason"), text(cause, "message")]).collect();
    let mut out = json!({"code": answer.code});
    if !causes.is_empty() {
        out["causes"] = json!(causes);
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
            for index in 0..case.rows.len() {
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
