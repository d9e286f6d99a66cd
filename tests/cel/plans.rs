//! Plans beside what servers say: what a server refuses of an apply is what the plan of it has told.

use std::collections::BTreeSet;

use loggia::domain::id::{NamespacedName, TargetName, UnitId};
use loggia::domain::inventory::Inventory;
use loggia::domain::krm::{Object, Schemas};
use loggia::domain::plan::{DeclaredObject, Guard, Observed, PlanPolicy, UnitPlan, declare, plan_unit};
use loggia::domain::time::Timestamp;
use serde_json::{Value, json};

use super::{CRDS, Case, Server, anchor, cases, definition, steady};

/// A plan for one object, and that object as it is applied.
fn plan(live: Option<Value>, config: Value, schemas: &Schemas) -> (UnitPlan, Value) {
    let sync = NamespacedName { namespace: "default".to_owned(), name: "test".to_owned() };
    let unit = UnitId { sync, target: TargetName::new("here").unwrap() };
    let object = Object::new(config).unwrap();
    let declared = declare(unit, 0, &[DeclaredObject { object, origin: "test.yaml:1".to_owned() }]);
    let live = live.map(|live| Object::new(live).unwrap());
    let observed = Observed::whole(live, Inventory::default(), Timestamp::UNIX_EPOCH);
    let policy = PlanPolicy { take_back: true, ..PlanPolicy::default() };
    (plan_unit(&declared, &observed, schemas, &policy), declared.objects[0].object.value().clone())
}

/// What the causes of an answer say.
fn causes(body: &Value) -> BTreeSet<String> {
    let causes = body.pointer("/details/causes").and_then(Value::as_array).into_iter().flatten();
    let text = |cause: &Value, name: &str| cause[name].as_str().unwrap_or_default().to_owned();
    causes.map(|cause| steady(&format!("{}: {}", text(cause, "field"), text(cause, "message")))).collect()
}

fn refusals(plan: &UnitPlan) -> BTreeSet<String> {
    let reason = |guard: &Guard| match guard {
        Guard::Refused { reason, .. } => steady(reason),
        other => other.to_string(),
    };
    plan.guards.iter().map(reason).collect()
}

impl Server {
    /// Plans and applies the object of a row; a line when the two do not agree.
    async fn foretold(&self, case: &Case, index: usize, schemas: &Schemas) -> Option<String> {
        let row = &case.rows[index];
        if !row.new.is_object() {
            return None;
        }
        let path = format!("{}/x{index}", case.path());
        let live = self.ask("GET", path.clone(), &Value::Null).await;
        let live = (live.code == 200).then_some(live.body);
        let (plan, applied) = plan(live, case.whole(index, &row.new), schemas);
        let query = "patch=apply&fieldManager=loggia&force=true";
        let answer = self.ask("PATCH", format!("{path}?{query}"), &applied).await;
        let (told, real) = (refusals(&plan), causes(&answer.body));
        let agree = match answer.code {
            200 | 201 => told.is_empty(),
            422 => told == real,
            // What cannot be read as one of its kind has no causes.
            _ => !told.is_empty(),
        };
        let message = answer.body["message"].as_str().unwrap_or_default();
        (!agree).then(|| {
            format!("{}[{index}]\n  server: {} {message}\n  {real:#?}\n  plan: {told:#?}", case.name, answer.code)
        })
    }

    /// Plans and applies the rows of a case; a line for each that do not agree.
    async fn foretold_all(&self, case: &Case) -> Vec<String> {
        if self.define(&case.name, &case.schema).await["code"] != 201 {
            return Vec::new();
        }
        let mut made = Vec::new();
        for index in 0..case.rows.len() {
            made.push(self.make(case, index).await.is_ok());
        }
        let schema = case.then.as_ref().unwrap_or(&case.schema);
        if case.then.is_some() {
            self.redefine(case, schema).await;
        }
        let schemas = Schemas::builtin().with_crd(&definition(&case.name, schema)).unwrap();
        let mut found = Vec::new();
        for index in (0..case.rows.len()).filter(|index| made[*index]) {
            found.extend(self.foretold(case, index, &schemas).await);
        }
        self.forget(&case.name).await;
        found
    }

    /// Gives a kind another schema.
    pub(super) async fn redefine(&self, case: &Case, schema: &Value) {
        let path = format!("{CRDS}/{}s.cel.test", case.name.replace('-', ""));
        let patch = json!([{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": schema}]);
        let changed = self.ask("PATCH", format!("{path}?patch=json"), &patch).await;
        assert_eq!(changed.code, 200, "{:?}", changed.body);
        if matches!(self, Self::Real(_)) {
            // Nothing tells when the new schema is in force.
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        }
    }
}

/// Places at which plans say something else than the server, with the reason.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// Asserts that every row of every case is foretold.
pub(super) async fn are_foretold(server: &Server) {
    anchor(server).await;
    let mut found = Vec::new();
    for case in cases() {
        found.extend(server.foretold_all(&case).await);
    }
    found.retain(|line| !EXCEPTIONS.iter().any(|(place, _)| line.starts_with(&format!("{place}\n"))));
    assert!(found.is_empty(), "{} plans foretell something else:\n{}", found.len(), found.join("\n"));
}
