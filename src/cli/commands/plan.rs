//! `diff` and `plan`: the same plan as on the proposal, from the same function.

use std::path::Path;

use anyhow::bail;
use serde_json::json;

use super::super::args::{self, Format, Global};
use super::super::output::{machine, note, print};
use super::super::{Done, files, session};
use super::functions::functions;
use crate::app::functions::Ending;
use crate::domain::id::NamespacedName;
use crate::domain::intent::read::read_intents;
use crate::domain::krm::ObjectDiff;
use crate::domain::plan::{markdown, text};
use crate::engine::Engine;
use crate::engine::handle::{Judge, Preview};

pub(crate) async fn diff(global: &Global, args: &args::Plan) -> anyhow::Result<Done> {
    Ok(match show(global, args).await? {
        Shown::Problems => Done::Problems,
        Shown::Plans { differs: true } => Done::Differs,
        Shown::Plans { differs: false } => Done::Fine,
    })
}

pub(crate) async fn plan(global: &Global, args: &args::Plan) -> anyhow::Result<Done> {
    Ok(match show(global, args).await? {
        Shown::Problems => Done::Problems,
        Shown::Plans { .. } => Done::Fine,
    })
}

enum Shown {
    Problems,
    Plans { differs: bool },
}

async fn show(global: &Global, args: &args::Plan) -> anyhow::Result<Shown> {
    let ending = Ending::default();
    let functions = functions(global, &args.others, &ending);
    if args.others.is_any() {
        session::end_with(&ending)?;
    }
    let path = Path::new(&args.what);
    let judge = if args.server_side { Judge::Targets } else { Judge::Schemas };
    if path.is_file() {
        bail!("{} is a file; name the folder of intents, because what is not in it would be withdrawn", path.display());
    }
    let (engine, previews) = if path.is_dir() {
        let (declared, problems) = read_intents(&files::read(path)?, global.namespace());
        for problem in &problems {
            note(&format!("{}/{problem}", path.display()));
        }
        if !problems.is_empty() {
            return Ok(Shown::Problems);
        }
        let (engine, world) = session::look_with(global, &functions).await?;
        let previews = engine.preview(&world, global.namespace(), &declared, judge).await?;
        (engine, previews)
    } else {
        let (engine, world) = session::look_with(global, &functions).await?;
        let name = NamespacedName { namespace: global.namespace().to_owned(), name: args.what.clone() };
        let Some(sync) = engine.sync(&name).await? else {
            bail!("{} is neither a directory nor a Sync of namespace {}", args.what, global.namespace())
        };
        let preview = engine.preview_sync(&world, &sync, judge).await?;
        (engine, vec![preview])
    };
    print_all(global, &engine, &previews)?;
    if previews.iter().any(|preview| preview.plan.units.is_empty() && !preview.silent.is_empty()) {
        return Ok(Shown::Problems);
    }
    Ok(Shown::Plans { differs: previews.iter().any(|preview| !preview.plan.is_empty()) })
}

fn print_all(global: &Global, engine: &Engine, previews: &[Preview]) -> anyhow::Result<()> {
    let values: Vec<_> = previews
        .iter()
        .map(|preview| json!({"sync": preview.sync, "plan": preview.plan, "silent": preview.silent, "notes": preview.notes}))
        .collect();
    if let Some(out) = machine(global.output, &values)? {
        print(&out);
        return Ok(());
    }
    if previews.is_empty() {
        print("No intent, no difference.\n");
    }
    for preview in previews {
        match global.output {
            Format::Name => print(&format!("{}\n", preview.plan.id)),
            Format::Unified => print(&unified(engine, preview)),
            Format::Markdown => print(&format!("## {}\n\n{}", preview.sync, markdown(&preview.plan))),
            _ => print(&format!("{}\n{}", preview.sync, text(&preview.plan))),
        }
        for line in preview.silent.iter().chain(&preview.notes) {
            note(&format!("{}: {line}", preview.sync));
        }
    }
    Ok(())
}

/// Whole objects beside each other; where several targets get the same difference it is told once.
fn unified(engine: &Engine, preview: &Preview) -> String {
    let mut told: Vec<(Vec<&str>, String)> = Vec::new();
    let differing = engine.differences(preview);
    for (target, differences) in &differing {
        let text: String = differences.iter().map(ObjectDiff::unified).collect();
        match told.iter_mut().find(|(_, known)| *known == text) {
            Some((targets, _)) => targets.push(target.as_str()),
            None => told.push((vec![target.as_str()], text)),
        }
    }
    let told = told.iter().filter(|(_, text)| !text.is_empty());
    told.map(|(targets, text)| format!("# {} on {}\n{text}", preview.sync, targets.join(", "))).collect()
}
