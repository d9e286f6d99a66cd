//! `get`: lists.

use serde_json::{Value, json};

use super::super::args::{self, Format, Global, Kind};
use super::super::output::{Table, machine, note, print};
use super::super::{Done, session};
use crate::domain::krm::{Gvk, Object};

pub(crate) async fn get(global: &Global, args: &args::Get) -> anyhow::Result<Done> {
    let (engine, world) = session::look(global).await?;
    let wanted = |name: &str| args.name.as_deref().is_none_or(|wanted| wanted == name);
    let mut table;
    let mut values = Vec::new();
    match args.kind {
        Kind::Proposals => {
            table = Table::new(&["NUMBER", "STATE", "PLAN", "TITLE"]);
            for found in engine.proposals(&world, global.namespace()).await? {
                let proposal = &found.proposal;
                if wanted(&proposal.number.to_string()) {
                    table.row(vec![
                        proposal.number.to_string(),
                        proposal.verdict.word().to_owned(),
                        proposal.content.plan.short().to_owned(),
                        proposal.content.title.clone(),
                    ]);
                    values.push((proposal.number.to_string(), serde_json::to_value(proposal)?));
                }
            }
        }
        Kind::Revisions => {
            table = Table::new(&["NAME", "PACKAGE", "REVISION", "LATEST", "LIFECYCLE", "REPOSITORY"]);
            for revision in engine.revisions(&world, global.namespace()).await? {
                if wanted(revision.name.as_str()) {
                    table.row(vec![
                        revision.name.to_string(),
                        revision.package.to_string(),
                        revision.revision.to_string(),
                        revision.latest.to_string(),
                        revision.lifecycle.to_string(),
                        revision.repository.to_string(),
                    ]);
                    let value = json!({
                        "name": revision.name, "package": revision.package, "workspace": revision.workspace,
                        "revision": revision.revision, "latest": revision.latest,
                        "lifecycle": revision.lifecycle.to_string(), "repository": revision.repository,
                        "commit": revision.commit, "tree": revision.tree
                    });
                    values.push((revision.name.to_string(), value));
                }
            }
        }
        Kind::Syncs | Kind::Targets | Kind::Repositories | Kind::Intents => {
            let (kind, head, columns) = objects(args.kind);
            table = Table::new(head);
            for object in engine.management.list(&kind, global.namespace(), "").await?.objects {
                if wanted(object.name()) {
                    table.row(
                        std::iter::once(object.name().to_owned())
                            .chain(columns.iter().map(|path| cell(&object, path)))
                            .collect(),
                    );
                    values.push((object.name().to_owned(), object.into_value()));
                }
            }
        }
    }
    show(global, args, &table, values)
}

fn show(global: &Global, args: &args::Get, table: &Table, values: Vec<(String, Value)>) -> anyhow::Result<Done> {
    if let (Some(name), true) = (&args.name, values.is_empty()) {
        anyhow::bail!(
            "there is no {name} in namespace {}; the same command without a name lists what there is",
            global.namespace()
        );
    }
    match global.output {
        Format::Name => values.iter().for_each(|(name, _)| print(&format!("{name}\n"))),
        Format::Text | Format::Markdown if args.kind == Kind::Proposals && args.name.is_some() => {
            for (_, value) in &values {
                let body = value["body"].as_str().unwrap_or_default();
                // The marks of our part of the text are for the forge.
                body.lines().filter(|line| !line.starts_with("<!--")).for_each(|line| print(&format!("{line}\n")));
            }
        }
        Format::Text | Format::Markdown if table.is_empty() => {
            note(&format!("nothing in namespace {}", global.namespace()));
        }
        Format::Text | Format::Markdown => print(&table.text()),
        Format::Json | Format::Yaml | Format::Unified | Format::Place(_) => {
            let values: Vec<Value> = values.into_iter().map(|(_, value)| value).collect();
            print(&machine(global.output, &values)?.unwrap_or_default());
        }
    }
    Ok(Done::Fine)
}

/// Kind, head and columns of what is kept as objects. A column is a JSON pointer, the first of several that leads to
/// something, or the name of a condition.
fn objects(kind: Kind) -> (Gvk, &'static [&'static str], &'static [&'static str]) {
    match kind {
        Kind::Targets => (
            Gvk::new("loggia.dev", "v1alpha1", "Target"),
            &["NAME", "READY", "VERSION", "MESSAGE"],
            &["Ready", "/status/version", "Ready:message"],
        ),
        Kind::Repositories => (
            Gvk::new("config.porch.kpt.dev", "v1alpha1", "Repository"),
            &["NAME", "READY", "PACKAGES", "ADDRESS", "MESSAGE"],
            &["Ready", "/status/packageCount", "/spec/git/repo|/spec/oci/registry", "Ready:message"],
        ),
        Kind::Intents => (
            Gvk::new("nephoran.com", "v1", "CNFDeployment"),
            &["NAME", "FUNCTION", "PHASE", "REVISION", "MESSAGE"],
            &["/spec/function", "/status/phase", "/status/packageRevision", "/status/message"],
        ),
        _ => (
            Gvk::new("loggia.dev", "v1alpha1", "Sync"),
            &["NAME", "REVISION", "READY", "HEALTHY", "STATUS"],
            &["/status/revision", "Ready", "Healthy", "/status/summary"],
        ),
    }
}

fn cell(object: &Object, column: &str) -> String {
    let found = if column.starts_with('/') {
        column.split('|').find_map(|pointer| object.value().pointer(pointer).cloned())
    } else {
        let (name, field) = column.split_once(':').unwrap_or((column, "status"));
        let conditions = object.value().pointer("/status/conditions").and_then(Value::as_array);
        let condition = conditions.into_iter().flatten().find(|entry| entry["type"] == name);
        condition.and_then(|entry| entry.get(field)).cloned()
    };
    match found {
        Some(Value::String(text)) => text,
        Some(Value::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    }
}
