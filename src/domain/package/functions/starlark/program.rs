//! One program on one list of resources.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::bridge::settled;
use super::eval::Machine;
use super::fault::{Fault, Outcome};
use super::parser::parse;
use super::universe::universe;
use super::value::{Limits, Module, Value};

/// What a program may use.
pub(super) const LIMITS: Limits = Limits { steps: 50_000_000, memory: 512 << 20, depth: 300, output: 1 << 20 };

/// What a program did.
pub(super) struct Ran {
    /// What it printed.
    pub(super) printed: String,
    /// The resources that it left, or why it ended early.
    pub(super) outcome: Outcome<Vec<Json>>,
}

/// Runs a program on resources and a configuration.
pub(super) fn run(source: &str, items: &[Json], config: &Json, limits: &Limits) -> Ran {
    let program = match parse(source) {
        Ok(program) => program,
        Err(fault) => return Ran { printed: String::new(), outcome: Err(fault) },
    };
    let mut machine = Machine::new(&program, *limits, universe);
    let list = json!({
        "apiVersion": "config.kubernetes.io/v1", "kind": "ResourceList", "items": items, "functionConfig": config,
    });
    let outcome = machine.take_in(&list).and_then(|list| {
        let members = BTreeMap::from([("resource_list", list.clone())]);
        machine.give("ctx", &Value::Module(Rc::new(Module { name: "ctx", members })));
        machine.run(&program)?;
        left(&machine, &list, items)
    });
    Ran { printed: machine.printed, outcome }
}

/// The resources in `items` when the program has ended.
fn left(machine: &Machine<'_>, list: &Value, old: &[Json]) -> Outcome<Vec<Json>> {
    let items = machine.index(list, &Value::Text("items".into()))?;
    let Json::Array(items) = machine.give_out(&items)? else {
        return Err(Fault::new("the program left no list in ctx.resource_list[\"items\"]"));
    };
    let id = |value: &Json| {
        let id = value.pointer("/metadata/annotations")?.get("internal.config.kubernetes.io/kpt-resource-id")?;
        id.as_str()?.parse::<usize>().ok()
    };
    Ok(items
        .into_iter()
        .map(|item| {
            let before = id(&item).and_then(|id| old.get(id));
            settled(item, before)
        })
        .collect())
}
