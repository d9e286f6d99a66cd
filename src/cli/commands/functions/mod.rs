//! `fn`: the functions that are built in, and running functions.

mod eval;
mod folder;
mod pipe;
mod render;
mod run;
mod serve;

use anyhow::{anyhow, bail};

use super::super::Done;
use super::super::args::{Format, Function, FunctionVerb, Global};
use super::super::output::{Table, machine, print};
use crate::domain::package::Catalog;
use crate::domain::package::functions::Native;

pub(crate) fn function(global: &Global, args: &Function) -> anyhow::Result<Done> {
    if let (Format::Place(word), FunctionVerb::List | FunctionVerb::Doc { .. }) = (global.output, &args.verb) {
        bail!("there is no output format {word:?}; there are text, json, yaml and name");
    }
    match &args.verb {
        FunctionVerb::Render(args) => render::render(global, args),
        FunctionVerb::Eval(args) => eval::eval(global, args),
        FunctionVerb::Source(args) => pipe::source(global, args),
        FunctionVerb::Sink(args) => pipe::sink(args),
        FunctionVerb::Serve(args) => serve::serve(global, args),
        FunctionVerb::List => list(global),
        FunctionVerb::Doc { name } => doc(global, name),
    }
}

fn list(global: &Global) -> anyhow::Result<Done> {
    let functions = Catalog.functions();
    if let Some(text) = machine(global.output, &functions)? {
        print(&text);
        return Ok(Done::Fine);
    }
    if global.output == Format::Name {
        for native in functions {
            print(&format!("{}\n", native.name));
        }
        return Ok(Done::Fine);
    }
    let mut table = Table::new(&["NAME", "TAGS", "WHAT IT DOES"]);
    for native in functions {
        table.row(vec![native.name.to_owned(), native.families.join(" "), native.summary.to_owned()]);
    }
    print(&table.text());
    Ok(Done::Fine)
}

fn doc(global: &Global, name: &str) -> anyhow::Result<Done> {
    let native = Catalog
        .named(name)
        .ok_or_else(|| anyhow!("function {name} is not built in; built in are {}", Catalog.names().join(", ")))?;
    match machine(global.output, native)? {
        Some(text) => print(&text),
        None => print(&told(native)),
    }
    Ok(Done::Fine)
}

/// A function's documentation as a page of text.
fn told(native: &Native) -> String {
    let mut text = format!("{}: {}\n\n", native.name, native.summary);
    let mut facts = Table::new(&["Tags", &format!("{}, latest", native.families.join(", "))]);
    if !native.aliases.is_empty() {
        facts.row(vec!["Also called".to_owned(), native.aliases.join(", ")]);
    }
    if let Some(kind) = native.kind {
        facts.row(vec!["Own kind".to_owned(), format!("{kind} (fn.kpt.dev/v1alpha1)")]);
    }
    text.push_str(&facts.text());
    text.push_str("\nTakes\n");
    if native.options.is_empty() {
        text.push_str("  nothing\n");
    }
    for option in native.options {
        let must = if option.required { " (required)" } else { "" };
        text.push_str(&format!("  {}{must}\n      {}\n", option.name, option.text));
    }
    text.push_str(&format!("\nNotes\n  {}\n\nExample\n", native.notes));
    text.extend(native.example.lines().map(|line| format!("  {line}\n")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::package::{kptfile, render};
    use crate::domain::source::{File, FileTree};

    #[test]
    fn every_function_is_told_whole() {
        for native in Catalog.functions() {
            let page = told(native);
            assert!(page.starts_with(native.name) && page.contains(native.summary), "{page}");
            for option in native.options {
                assert!(page.contains(option.name) && page.contains(option.text), "{page}");
            }
            assert!(native.example.starts_with("pipeline:\n"), "{}", native.name);
        }
    }

    /// The pipeline of every example is one: it runs, or asks for the file that its `configPath` names.
    #[test]
    fn every_example_is_a_pipeline() {
        for native in Catalog.functions() {
            let mut tree = FileTree::new();
            let text = format!("apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: p\n{}", native.example);
            tree.insert(kptfile::FILE, File::regular(text.into_bytes())).unwrap();
            match render(&tree, &Catalog) {
                Ok(_) => {}
                Err(error) => assert!(error.to_string().contains("fn.config_missing"), "{}: {error}", native.name),
            }
        }
    }
}
