//! `fn render`: a package's pipeline, with the result in the package or where `-o` says.

use std::path::Path;

use anyhow::Context as _;

use super::super::super::args::{FnRender, Global};
use super::super::super::output::{note, print};
use super::super::super::{Done, files as disk, session};
use super::folder;
use super::run::{Teller, containers, drive, generators, others, stopped, told};
use crate::app::functions::{Ending, LocalRunner, runner};
use crate::domain::package::kptfile::FILE;
use crate::domain::package::report::{result_list, with_status};
use crate::domain::package::transfer::{unwrapped, written};
use crate::domain::package::{Catalog, RenderError, Rendering};
use crate::domain::source::FileTree;

pub(crate) fn render(global: &Global, args: &FnRender) -> anyhow::Result<Done> {
    let place = global.output.word();
    if let Some(folder) = place.filter(|place| !matches!(*place, "stdout" | "unwrap")) {
        folder::absent(Path::new(folder))?;
    }
    disk::present(&args.path)?;
    disk::directory(&args.path)?;
    let ending = Ending::default();
    session::end_with(&ending)?;
    let runner = runner(LocalRunner {
        ending: ending.clone(),
        programs: args.allow_exec,
        containers: Some(containers(&args.images, args.allow_network)),
        generators: Some(generators(args.allow_network)),
        ..others(global, &args.images)
    });
    let root = args.path.canonicalize().with_context(|| format!("cannot read {}", args.path.display()))?;
    let tree = disk::read(&root)?;
    let mut rendering = match Rendering::start(&tree, Catalog) {
        Ok(rendering) => rendering.with_prefix(&args.images.image_prefix),
        Err(error) => return Ok(refused(&args.path, &error)),
    };
    let package = root.file_name().map_or_else(|| "/".to_owned(), |name| name.to_string_lossy().into_owned());
    let teller = Teller { package: Some(package), quiet: global.quiet, truncate: args.shown.truncate_output };
    let outcome = drive(&mut rendering, runner.as_ref(), &teller);
    let _hold = ending.hold();
    if let Some(signal) = ending.told() {
        return Ok(stopped(signal));
    }
    if let Some(dir) = &args.results_dir {
        let path = folder::results(dir, &result_list(rendering.runs()))?;
        note(&format!("For complete results, see \"{}\"", path.display()));
    }
    let outcome = outcome.and_then(|()| rendering.check());
    if let Some(place) = place {
        return match outcome {
            Ok(()) => elsewhere(place, &rendering),
            Err(error) => Ok(refused(&args.path, &error)),
        };
    }
    in_place(&root, &tree, &rendering, outcome.as_ref().err(), args.render_status)?;
    Ok(match outcome {
        Ok(()) => {
            if !global.quiet {
                let (functions, packages) = (rendering.runs().len(), rendering.packages());
                note(&format!("Successfully executed {functions} function(s) in {packages} package(s)."));
            }
            Done::Fine
        }
        Err(error) => {
            summary(&rendering);
            refused(&args.path, &error)
        }
    })
}

/// Writes the package. After a failure only the Kptfile's status is written, unless the package asks to keep the rest.
fn in_place(
    root: &Path,
    old: &FileTree,
    rendering: &Rendering,
    error: Option<&RenderError>,
    is_told: bool,
) -> anyhow::Result<()> {
    let new = match error {
        Some(_) if !rendering.saves_on_failure() => old.clone(),
        _ => rendering.tree(),
    };
    let message = error.map(ToString::to_string);
    let new = match (with_status(&new, rendering.runs(), message.as_deref(), is_told), error) {
        // Why the rendering failed says more than that it could not be written down.
        (Err(unwritten), Some(_)) => {
            note(&format!("the status of {} was not written: {unwritten}", root.join(FILE).display()));
            new
        }
        (with_status, _) => with_status?,
    };
    disk::replace(root, old, &new)
}

fn summary(rendering: &Rendering) {
    let packages = rendering.packages();
    let done = rendering.runs().iter().filter(|run| !run.failed()).count();
    note(&match done {
        0 => format!("Failed to execute any functions in {packages} package(s)."),
        done => format!("Partially executed {done} function(s) in {packages} package(s)."),
    });
}

fn refused(path: &Path, error: &RenderError) -> Done {
    note(&told(path, error));
    Done::Problems
}

/// Writes the resources to the standard output, or to a new folder.
pub(super) fn elsewhere(place: &str, rendering: &Rendering) -> anyhow::Result<Done> {
    let list = rendering.list()?;
    match place {
        "stdout" => print(&list),
        "unwrap" => print(&unwrapped(list.as_bytes())?),
        folder => disk::create(Path::new(folder), &written(rendering)?)?,
    }
    Ok(Done::Fine)
}
