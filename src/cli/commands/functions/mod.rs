//! `fn`: the functions that are built in, and running functions.

mod eval;
mod folder;
mod others;
mod pipe;
mod render;
mod run;
mod serve;

pub(super) use others::Others;
pub(super) use run::functions;

use anyhow::{anyhow, bail};

use super::super::Done;
use super::super::args::{FnDoc, Format, Function, FunctionVerb, Global};
use super::super::output::{Table, machine, print};
use crate::domain::package::Catalog;
use crate::domain::package::functions::Guide;

pub(crate) fn function(global: &Global, args: &Function) -> anyhow::Result<Done> {
    if let (Format::Place(word), FunctionVerb::List | FunctionVerb::Doc(_)) = (global.output, &args.verb) {
        bail!("there is no output format {word:?}; there are text, json, yaml and name");
    }
    match &args.verb {
        FunctionVerb::Render(args) => render::render(global, args),
        FunctionVerb::Eval(args) => eval::eval(global, args),
        FunctionVerb::Source(args) => pipe::source(global, args),
        FunctionVerb::Sink(args) => pipe::sink(args),
        FunctionVerb::Serve(args) => serve::serve(global, args),
        FunctionVerb::List => list(global),
        FunctionVerb::Doc(args) => doc(global, args),
    }
}

fn list(global: &Global) -> anyhow::Result<Done> {
    let functions = Catalog.guides();
    if let Some(text) = machine(global.output, &functions)? {
        print(&text);
        return Ok(Done::Fine);
    }
    if global.output == Format::Name {
        for guide in functions {
            print(&format!("{}\n", guide.name));
        }
        return Ok(Done::Fine);
    }
    let mut table = Table::new(&["NAME", "TAGS", "RUN BY", "WHAT IT DOES"]);
    for guide in functions {
        let by = if guide.programs.is_empty() { "loggia".to_owned() } else { guide.programs.join(" or ") };
        table.row(vec![guide.name.to_owned(), guide.families.join(" "), by, guide.summary.to_owned()]);
    }
    print(&table.text());
    Ok(Done::Fine)
}

fn doc(global: &Global, args: &FnDoc) -> anyhow::Result<Done> {
    let Some(name) = args.name.as_ref().or(args.image.as_ref()) else {
        bail!("which function? Name one of {}", names());
    };
    let short = name.strip_prefix(&args.image_prefix).map_or(name.as_str(), |rest| rest.trim_start_matches('/'));
    let guide = Catalog.guide(short).ok_or_else(|| {
        anyhow!(
            "function {name} is not built in; built in are {}. An image of somebody else may tell by itself what it \
             takes: `docker run --rm -i {name} --help`",
            names()
        )
    })?;
    match machine(global.output, &guide)? {
        Some(text) => print(&text),
        None => print(&told(&guide)),
    }
    Ok(Done::Fine)
}

fn names() -> String {
    Catalog.guides().iter().map(|guide| guide.name).collect::<Vec<_>>().join(", ")
}

/// What holds for every function.
const PINNED: &str =
    "An image with a digest is never replaced by what is built in: it is run in a container, or refused.";

/// A function's documentation as a page of text.
fn told(guide: &Guide) -> String {
    let mut text = format!("{}: {}\n\n", guide.name, guide.summary);
    let tags =
        if guide.families.is_empty() { "any".to_owned() } else { format!("{}, latest", guide.families.join(", ")) };
    let mut facts = Table::new(&["Tags", &tags]);
    if !guide.aliases.is_empty() {
        facts.row(vec!["Also called".to_owned(), guide.aliases.join(", ")]);
    }
    if let Some(kind) = guide.kind {
        facts.row(vec!["Own kind".to_owned(), format!("{kind} (fn.kpt.dev/v1alpha1)")]);
    }
    if !guide.programs.is_empty() {
        facts.row(vec!["Run by".to_owned(), format!("{}, on the PATH", guide.programs.join(" or "))]);
    }
    text.push_str(&facts.text());
    text.push_str("\nTakes\n");
    if guide.options.is_empty() {
        text.push_str("  nothing\n");
    }
    for option in guide.options {
        let must = if option.required { " (required)" } else { "" };
        text.push_str(&format!("  {}{must}\n      {}\n", option.name, option.text));
    }
    text.push_str(&format!("\nNotes\n  {}\n  {PINNED}\n\nExample\n", guide.notes));
    text.extend(guide.example.lines().map(|line| format!("  {line}\n")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::package::{kptfile, render};
    use crate::domain::source::{File, FileTree};

    #[test]
    fn every_function_is_told_whole() {
        for guide in Catalog.guides() {
            let page = told(&guide);
            assert!(page.starts_with(guide.name) && page.contains(guide.summary), "{page}");
            for option in guide.options {
                assert!(page.contains(option.name) && page.contains(option.text), "{page}");
            }
            assert!(guide.example.starts_with("pipeline:\n"), "{}", guide.name);
        }
    }

    /// What examples are about.
    const RESOURCES: [(&str, &str); 4] = [
        (
            "deployment.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 1\n  selector:\n    \
             matchLabels:\n      app: web\n  template:\n    metadata:\n      labels:\n        app: web\n    spec:\n      \
             containers:\n      - name: web\n        image: nginx:1.16.1\n",
        ),
        ("env.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: env\ndata:\n  zone: z1\n"),
        (
            "upf.yaml",
            "apiVersion: v1\nkind: ConfigMap\ndata:\n  name: something-good\nmetadata:\n  name: upf\n  annotations:\n    \
             example.com/a: x\n",
        ),
        (
            "local.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: local\n  annotations:\n    \
             config.kubernetes.io/local-config: \"true\"\n",
        ),
    ];

    /// The example of every function that is built in runs, and a mutator's changes something. Those that programs run
    /// are in `tests/helm.rs`.
    #[test]
    fn every_example_runs() {
        for native in Catalog.functions() {
            let mut tree = FileTree::new();
            let mut insert = |path: &str, text: String| tree.insert(path, File::regular(text.into_bytes())).unwrap();
            for (path, text) in RESOURCES {
                insert(path, text.to_owned());
            }
            for (path, text) in files(native.example) {
                insert(&path, text);
            }
            let head = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: p\n";
            insert(kptfile::FILE, format!("{head}{}", native.example));
            let rendered = render(&tree, &Catalog).unwrap_or_else(|error| panic!("{}: {error}", native.name));
            let is_mutator = native.example.contains("mutators:");
            assert_eq!(rendered.tree != tree, is_mutator, "{}: {:?}", native.name, rendered.results);
        }
    }

    /// The files that an example has as comments: a line with a name and a colon, then its text; or what stands in a
    /// resource. Other comments are remarks.
    fn files(example: &str) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        for line in example.lines().filter_map(|line| line.strip_prefix("# ")) {
            match line.strip_suffix(':').filter(|name| matches!(name.rsplit_once('.'), Some((_, "yaml")))) {
                Some(name) => found.push((name.to_owned(), String::new())),
                None if line == "in a resource:" => {
                    let head = "apiVersion: example.com/v1\nkind: Any\nmetadata:\n  name: any\nspec:\n";
                    found.push(("any.yaml".to_owned(), head.to_owned()));
                }
                None => found.iter_mut().for_each(|(_, text)| text.push_str(&format!("{line}\n"))),
            }
        }
        found
    }
}
