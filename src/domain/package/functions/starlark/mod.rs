//! `starlark`: a program in the package that reads and changes the resources.
//!
//! The interpreter is our own, because what it is given comes from people whom a controller need not trust: steps,
//! memory, depth and output are counted and end a program, never the process, and the same program does the same on
//! every machine. It follows the published function, which is the Go interpreter with statements of every kind outside
//! of functions, `while`, recursion and sets.

mod ast;
mod bridge;
mod call;
mod containers;
mod eval;
mod expressions;
mod fault;
mod lexer;
mod modules;
mod ops;
mod parser;
mod program;
mod show;
mod text;
mod universe;
mod value;

use serde_json::{Value, json};

use super::{Call, FunctionError, Native, Opt, at};
use crate::domain::krm::document::to_yaml;
use crate::domain::package::absorb::absorb;
use crate::domain::package::handed::travelling;
use crate::domain::package::wire::{self, Item};
use fault::Fault;
use program::Ran;

const KIND: &str = "StarlarkRun";
const SOURCE: &str = "source";

pub(super) const NATIVE: Native = Native {
    name: "starlark",
    aliases: &[],
    families: &["v0.1", "v0.2", "v0.3", "v0.4", "v0.5"],
    summary: "runs a program in Starlark, a small Python, on the resources",
    kind: Some(KIND),
    options: &[
        Opt { name: SOURCE, required: true, text: "the program, in StarlarkRun or in a ConfigMap" },
        Opt { name: "params", required: false, text: "in StarlarkRun: anything, for the program to read" },
        Opt { name: "<name>", required: false, text: "in a ConfigMap: a text for the program to read" },
    ],
    example: "pipeline:
  mutators:
  - image: starlark:v0.5
    configMap:
      replicas: \"5\"
      source: |
        for r in ctx.resource_list[\"items\"]:
          if r[\"kind\"] == \"Deployment\":
            r[\"spec\"][\"replicas\"] = int(ctx.resource_list[\"functionConfig\"][\"data\"][\"replicas\"])
",
    notes: "ctx.resource_list holds items and functionConfig; what the program leaves in items is the result, in which \
            only what it changed is written anew, so that comments and order stay. print writes to the standard error \
            of the function; fail(...) and every error end it. load offers encoding/json.star, encoding/yaml.star, \
            encoding/base64.star, hash.star (sha1, sha256), re.star, math.star and krmfn.star. Not offered, because a \
            render depends on the package alone: ctx.environment, ctx.open_api, http.star, time.star; nor bsoup, \
            csv, geo, html, xlsx, zipfile. Whole numbers have 127 bits. A program may take 50 million steps, ask for \
            512 MiB in all, nest 300 calls and expressions, and print 1 MiB.",
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let (path, source) = source(call)?;
    let given: Vec<Value> = call.places.iter().enumerate().map(|(id, place)| item(call, id, place)).collect();
    let Ran { printed, outcome } = program::run(&source, &given, &call.config, &program::LIMITS);
    call.stderr = printed;
    let items = outcome.map_err(|fault| failed(call, &path, &fault))?;
    let items = items.into_iter().map(placed).map(|value| Item { text: to_yaml(&value), value }).collect();
    let (places, directory) = (call.places.clone(), call.directory);
    absorb(call.resources, &places, items, directory).map_err(|message| {
        let fault = Fault::new(format!("what the program made cannot be used: {message}"));
        failed(call, &path, &fault)
    })
}

/// A resource whose place is told in texts: programs write its index as a number.
fn placed(mut value: Value) -> Value {
    let home = value.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
    for (_, told) in
        home.into_iter().flatten().filter(|(key, _)| [wire::INDEX, wire::LEGACY_INDEX].contains(&key.as_str()))
    {
        if told.is_number() {
            *told = Value::String(told.to_string());
        }
    }
    value
}

/// Where the program stands in the configuration, and the program.
fn source(call: &Call<'_>) -> Result<(Vec<&'static str>, String), FunctionError> {
    let path = if call.is_config_map(&[KIND])? { vec!["data", SOURCE] } else { vec![SOURCE] };
    if path.len() == 1 {
        call.only_own(&[SOURCE, "params"])?;
    }
    match at(&call.config, &path) {
        Some(Value::String(source)) if !source.is_empty() => Ok((path, source.clone())),
        Some(Value::String(_)) | None => {
            Err(call.wrong(&path, "`source` must not be empty", "write source: | and the program below it"))
        }
        Some(_) => Err(call.wrong(&path, "source is no text", "write source: | and the program below it")),
    }
}

/// A resource as functions get it, with the annotations that say where it belongs.
fn item(call: &Call<'_>, id: usize, place: &crate::domain::package::resources::Place) -> Value {
    let mut value = call.resources.value(place);
    let annotations = travelling(call.resources, id, place);
    let metadata = value.as_object_mut().map(|map| map.entry("metadata").or_insert_with(|| json!({})));
    let home = metadata.and_then(Value::as_object_mut).map(|map| map.entry("annotations").or_insert_with(|| json!({})));
    if let Some(home) = home {
        if home.is_null() {
            *home = json!({});
        }
        if let Some(map) = home.as_object_mut() {
            map.extend(annotations.into_iter().map(|(key, text)| (key.to_owned(), Value::String(text))));
        }
    }
    value
}

/// The program failed: where in which file, as far as that can be said.
fn failed(call: &mut Call<'_>, path: &[&str], fault: &Fault) -> FunctionError {
    let (file, key_line, is_literal) = written(call, path);
    let fault = fault.told();
    let mut message = fault.message.clone();
    if !fault.calls.is_empty() {
        message = format!("{message} (in {})", fault.calls.join(", in "));
    }
    let line = match fault.spot {
        Some(spot) if is_literal => key_line + spot.line,
        Some(spot) => {
            message = format!("line {} of the program: {message}", spot.line);
            key_line
        }
        None => key_line,
    };
    let origin = format!("{file}:{line}");
    call.say("error", fault.message.clone(), Some(origin.clone()), None);
    FunctionError::Program { origin, message }
}

/// File, line of the key, and whether the lines below it are those of the program.
fn written(call: &Call<'_>, path: &[&str]) -> (String, usize, bool) {
    let place = &call.config_at.place;
    let path: Vec<&str> = match &call.config_at.function {
        None => path.to_vec(),
        Some(function) => function.iter().map(String::as_str).chain(["configMap", SOURCE]).collect(),
    };
    let line = call.resources.line_of(place, &path);
    let literal = call.resources.document(place).and_then(|found| {
        let text = found.file.text().lines().nth(line.checked_sub(found.lines_before + 1)?)?;
        Some(text.split_once("source:")?.1.trim_start().starts_with('|'))
    });
    let line = if call.config_at.function.is_some() { call.line_in_function(&["configMap", SOURCE]) } else { line };
    (place.file.clone(), line, literal.unwrap_or_default())
}

#[cfg(test)]
mod tests;
