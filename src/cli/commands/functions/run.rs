//! Running the functions of a rendering one after the other, and telling how each went, in the words of kpt.

use std::time::{Duration, Instant};

use super::super::super::Done;
use super::super::super::args::{FnLimits, Global, Images, NotBuiltIn, PullPolicy};
use super::super::super::output::note;
use super::super::pkg::cache;
use crate::app::functions::{
    Containers, Ending, Functions, Generators, ImageRules, Limits, LocalRunner, Pull, modules,
};
use crate::domain::package::functions::FunctionResult;
use crate::domain::package::rendering::{About, Run};
use crate::domain::package::{RenderError, Rendering, Turn};
use crate::ports::function::FunctionRunner;

/// Lines of a function's standard error, and results, that are shown unless all of them are asked for.
const SHOWN: usize = 4;

/// How what functions do is told.
#[derive(Debug, Clone)]
pub(super) struct Teller {
    /// Name of the root package; `None` when no package is meant.
    pub(super) package: Option<String>,
    /// Whether only failures are told.
    pub(super) quiet: bool,
    /// Whether long texts are cut.
    pub(super) truncate: bool,
}

/// Runs every function that is left.
pub(super) fn drive(
    rendering: &mut Rendering,
    runner: &dyn FunctionRunner,
    teller: &Teller,
) -> Result<(), RenderError> {
    let mut package = None;
    while let Some(about) = rendering.upcoming() {
        if package.as_ref() != Some(&about.directory) {
            teller.package(&about.directory);
            package = Some(about.directory.clone());
        }
        teller.running(&about);
        let began = Instant::now();
        let known = rendering.runs().len();
        let outcome = match rendering.step() {
            Ok(Turn::Waits(request)) => rendering.resume(runner.run(&request)),
            other => other.map(|_| ()),
        };
        let run = rendering.runs().get(known);
        match &outcome {
            Ok(()) => teller.passed(&about, began.elapsed(), run),
            Err(_) => teller.failed(&about, began.elapsed(), run),
        }
        outcome?;
    }
    Ok(())
}

impl Teller {
    fn package(&self, directory: &str) {
        if let (Some(root), false) = (&self.package, self.quiet) {
            let name = if directory.is_empty() { root.clone() } else { format!("{root}/{directory}") };
            note(&format!("Package \"{name}\":"));
        }
    }

    fn running(&self, about: &About) {
        if !self.quiet {
            let some = about.selected.map(|count| format!(" on {count} resource(s)")).unwrap_or_default();
            note(&format!("[RUNNING] \"{}\"{some}", about.program));
        }
    }

    fn passed(&self, about: &About, took: Duration, run: Option<&Run>) {
        if !self.quiet {
            note(&format!("[PASS] \"{}\" in {}", about.program, shown(took)));
            self.said(run);
        }
    }

    fn failed(&self, about: &About, took: Duration, run: Option<&Run>) {
        note(&format!("[FAIL] \"{}\" in {}", about.program, shown(took)));
        self.said(run);
        if let Some(run) = run.filter(|run| run.error.is_none()) {
            note(&format!("  Exit code: {}", run.exit_code));
        }
    }

    fn said(&self, run: Option<&Run>) {
        let Some(run) = run else { return };
        let most = if self.truncate { SHOWN } else { usize::MAX };
        let results: Vec<String> = run.results.iter().map(result).collect();
        if !results.is_empty() {
            note(&block("[Results]", &results, most));
        }
        let stderr: Vec<String> = run.stderr.lines().map(str::to_owned).collect();
        if !stderr.is_empty() {
            note(&block("Stderr", &stderr, most));
        }
    }
}

/// Whole milliseconds, as Go writes them.
fn shown(took: Duration) -> String {
    match u64::try_from(took.as_millis()).unwrap_or(u64::MAX) {
        0 => "0s".to_owned(),
        millis => format!("{:?}", Duration::from_millis(millis)),
    }
}

/// A title with one line behind it, or several below.
fn block(title: &str, lines: &[String], most: usize) -> String {
    if let [line] = lines {
        return format!("  {title}: {line}");
    }
    let mut text = format!("  {title}:");
    for line in lines.iter().take(most) {
        text.push_str(&format!("\n    {line}"));
    }
    let left = lines.len().saturating_sub(most);
    if left > 0 {
        text.push_str(&format!("\n    ...({left} line(s) truncated, use '--truncate-output=false' to see them)"));
    }
    text
}

fn result(result: &FunctionResult) -> String {
    let reference = result.raw.as_ref().and_then(|raw| raw.get("resourceRef"));
    let part = |field: &str| reference.and_then(|reference| reference.get(field)?.as_str()).map(str::to_owned);
    let identity: Vec<String> = ["apiVersion", "kind", "namespace", "name"].into_iter().filter_map(part).collect();
    let about: Vec<String> =
        [Some(identity.join("/")).filter(|text| !text.is_empty()), result.origin.clone(), result.field.clone()]
            .into_iter()
            .flatten()
            .collect();
    let about = if about.is_empty() { String::new() } else { format!(" {}", about.join(" ")) };
    format!("[{}]{about}: {}", result.severity, result.message)
}

/// The name of the engine, under kpt's two names of the variable, the newer one first.
const ENGINE: [&str; 2] = ["KRM_FN_RUNTIME", "KPT_FN_RUNTIME"];

/// How images are run, from the flags and the environment.
pub(super) fn containers(images: &Images, network: bool) -> Containers {
    Containers {
        engine: ENGINE
            .into_iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|engine| !engine.is_empty())
            .map(|engine| engine.to_lowercase()),
        path: std::env::var_os("PATH").unwrap_or_default(),
        pull: match images.image_pull_policy {
            PullPolicy::Always => Pull::Always,
            PullPolicy::IfNotPresent => Pull::IfNotPresent,
            PullPolicy::Never => Pull::Never,
        },
        network,
        ..Containers::default()
    }
}

/// What flags allow to run that is not built in; none when they allow nothing.
pub(super) fn allowed(global: &Global, flags: &NotBuiltIn, ending: &Ending) -> Option<LocalRunner> {
    flags.is_any().then(|| LocalRunner {
        ending: ending.clone(),
        programs: flags.allow_exec,
        containers: flags.allow_containers.then(|| containers(&flags.images, flags.allow_network)),
        generators: flags.allow_exec.then(|| generators(flags.allow_network)),
        ..others(global, &flags.images)
    })
}

/// What flags allow an engine to run that is not built in.
pub(crate) fn functions(global: &Global, flags: &NotBuiltIn, ending: &Ending) -> Functions {
    let local = allowed(global, flags, ending);
    local.map_or_else(Functions::default, |local| Functions::new(local, &flags.images.image_prefix))
}

/// What runs functions, apart from programs, containers and generators.
pub(super) fn others(global: &Global, images: &Images) -> LocalRunner {
    LocalRunner {
        wasm: images.allow_alpha_wasm,
        modules: images.allow_alpha_wasm.then(|| modules(&cache(global))),
        evaluator: images.function_runner.clone(),
        images: ImageRules { allowed: images.allow_image.clone(), digests: images.require_image_digests },
        limits: limits(&images.limits),
        ..LocalRunner::default()
    }
}

fn limits(flags: &FnLimits) -> Limits {
    let FnLimits { time, memory, output } = *flags;
    let known = Limits { time, output, ..Limits::default() };
    match memory {
        None => known,
        Some(0) => Limits { memory: usize::MAX, program_memory: 0, ..known },
        Some(most) => Limits { memory: usize::try_from(most).unwrap_or(usize::MAX), program_memory: most, ..known },
    }
}

/// How charts and overlays are rendered: by the programs on the `PATH`.
pub(super) fn generators(network: bool) -> Generators {
    Generators { path: std::env::var_os("PATH").unwrap_or_default(), network }
}

/// Tells that the word to end came before anything was written.
pub(super) fn stopped(signal: u8) -> Done {
    note(&format!("loggia: told to end by signal {signal}; nothing was written"));
    Done::Stopped(signal)
}

/// An error of a package with the package's path in front of each line.
pub(super) fn told(path: &std::path::Path, error: &RenderError) -> String {
    let prefix = path.display();
    error.to_string().lines().map(|line| format!("{prefix}/{line}")).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        let lines: Vec<String> = (1..=6).map(|line| line.to_string()).collect();
        assert_eq!(block("Stderr", &lines[..1], 4), "  Stderr: 1");
        let cut = "  Stderr:\n    1\n    2\n    3\n    4\n    ...(2 line(s) truncated, use '--truncate-output=false' to see them)";
        assert_eq!(block("Stderr", &lines, 4), cut);
        assert_eq!(block("Stderr", &lines[..2], usize::MAX), "  Stderr:\n    1\n    2");
    }
}
