//! Verbs that need no cluster.

use anyhow::Context as _;
use clap::CommandFactory as _;
use serde_json::json;

use super::super::args::{self, Cli, Format, Global};
use super::super::output::{counted, machine, note, print};
use super::super::{Done, files, session};
use super::functions::Others;
use super::watch::watch;
use crate::domain::intent::read::read_intents;
use crate::domain::krm::document::to_yaml;
use crate::domain::krm::schema::{TABLE, distil};
use crate::domain::package::check::Findings;
use crate::domain::package::survey::survey_with;
use crate::domain::package::{Catalog, Problem, RenderError, kptfile, render_with};
use crate::domain::source::FileTree;

pub(crate) fn version(global: &Global) -> Done {
    let version = env!("CARGO_PKG_VERSION");
    match machine(global.output, &json!({"version": version})) {
        Ok(Some(text)) => print(&text),
        _ => print(&format!("loggia {version}\n")),
    }
    Done::Fine
}

pub(crate) fn completions(args: &args::Completions) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "loggia", &mut script);
    print(&String::from_utf8_lossy(&script));
    Done::Fine
}

pub(crate) fn schema(args: &args::Schema) -> anyhow::Result<Done> {
    let dir = args.dir.join("crds");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    for (file, crd) in crate::domain::intent::crds() {
        let path = dir.join(file);
        std::fs::write(&path, to_yaml(&crd)).with_context(|| format!("cannot write {}", path.display()))?;
        print(&format!("{}\n", path.display()));
    }
    let path = args.dir.join("configuration.schema.json");
    std::fs::write(&path, format!("{:#}\n", crate::config::schema()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    print(&format!("{}\n", path.display()));
    Ok(Done::Fine)
}

pub(crate) async fn kubernetes_schema(global: &Global, args: &args::Schema) -> anyhow::Result<Done> {
    let cluster = session::connect(global, &global.data_dir()).await?;
    let table = distil(&cluster.openapi().await?, TABLE)?;
    let dir = args.dir.join("kubernetes");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let path = dir.join("builtin.txt");
    std::fs::write(&path, table).with_context(|| format!("cannot write {}", path.display()))?;
    print(&format!("{}\n", path.display()));
    Ok(Done::Fine)
}

pub(crate) fn render(global: &Global, args: &args::Render) -> anyhow::Result<Done> {
    let others = Others::new(global, &args.others)?;
    let once = || render_once(global, args, &others);
    if args.watch { watch(&args.path, once) } else { once() }
}

fn render_once(global: &Global, args: &args::Render, others: &Others) -> anyhow::Result<Done> {
    let tree = files::read(&args.path)?;
    let outcome = render_with(&tree, Catalog, &args.others.images.image_prefix, &mut |request| others.run(request));
    if let Some(signal) = others.told() {
        return Ok(Done::Stopped(signal));
    }
    let rendered = match outcome {
        Ok(rendered) => rendered,
        Err(error) => {
            note(&told(&args.path, &error));
            return Ok(Done::Problems);
        }
    };
    let values: Vec<_> = rendered.objects.iter().map(|object| object.object.value().clone()).collect();
    match global.output {
        Format::Json => print(&format!("{}\n", serde_json::to_string_pretty(&values)?)),
        Format::Name => {
            for object in &rendered.objects {
                print(&format!("{}\n", object.object.id()));
            }
        }
        _ => {
            for object in &rendered.objects {
                print(&format!("---\n# {}\n{}", object.origin, to_yaml(object.object.value())));
            }
        }
    }
    Ok(Done::Fine)
}

/// An error of a package with the package's path in front of each line.
fn told(path: &std::path::Path, error: &RenderError) -> String {
    let prefix = path.display();
    error.to_string().lines().map(|line| format!("{prefix}/{line}")).collect::<Vec<_>>().join("\n")
}

pub(crate) fn validate(global: &Global, args: &args::Validate) -> anyhow::Result<Done> {
    let others = Others::new(global, &args.others)?;
    let once = || validate_once(global, args, &others);
    if args.watch { watch(&args.path, once) } else { once() }
}

fn validate_once(global: &Global, args: &args::Validate, others: &Others) -> anyhow::Result<Done> {
    let tree = files::read(&args.path)?;
    let prefix = &args.others.images.image_prefix;
    let is_package = tree.get(kptfile::FILE).is_some();
    let (found, checked) = if is_package { package(&tree, prefix, others) } else { intents(&tree, global) };
    if let Some(signal) = others.told() {
        return Ok(Done::Stopped(signal));
    }
    let Findings { errors, warnings } = found;
    let values = |severity: &'static str, all: &[Problem]| -> Vec<_> {
        all.iter().map(|problem| json_of(severity, problem)).collect()
    };
    if let Some(text) = machine(global.output, &[values("error", &errors), values("warning", &warnings)].concat())? {
        print(&text);
    } else {
        for problem in &errors {
            note(&format!("{}/{problem}", args.path.display()));
        }
        for problem in warnings.iter().filter(|_| !global.quiet) {
            note(&format!("warning: {}/{problem}", args.path.display()));
        }
        if errors.is_empty() && !global.quiet {
            print(&format!("{checked}: no problem\n"));
        }
    }
    Ok(if errors.is_empty() { Done::Fine } else { Done::Problems })
}

fn package(tree: &FileTree, prefix: &str, others: &Others) -> (Findings, String) {
    let found = survey_with(tree, Catalog, prefix, &mut |request| others.run(request));
    (found.findings, counted(found.objects, "object"))
}

fn intents(tree: &FileTree, global: &Global) -> (Findings, String) {
    let (declared, errors) = read_intents(tree, global.namespace());
    if declared.is_empty() && errors.is_empty() {
        note("warning: there is neither a Kptfile nor an intent here");
    } else if declared.is_empty() {
        note("warning: without a Kptfile it is read as a folder of intents; `loggia pkg init` makes it a package");
    }
    (Findings { errors, ..Findings::default() }, counted(declared.len(), "intent"))
}

fn json_of(severity: &str, problem: &Problem) -> serde_json::Value {
    json!({
        "severity": severity, "code": problem.code, "file": problem.file, "line": problem.line, "field": problem.field,
        "message": problem.message, "hint": problem.hint
    })
}
