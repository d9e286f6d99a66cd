//! Programs, WASM modules, containers and function runners as functions.

mod container;
mod ending;
mod evaluator;
mod generators;
mod images;
mod interpreter;
mod memory;
mod process;
mod wasm;
mod words;

use std::path::PathBuf;
use std::sync::Arc;

use super::family::Rest;
use crate::domain::package::Catalog;
use crate::domain::package::external::{Answer, Failure, Program, Request};
use crate::domain::package::functions::Guide;
use crate::ports::function::{FunctionRunner, ModuleSource};

use container::is_program;
pub use container::{Containers, Pull};
pub use ending::{Ending, Hold};
pub use evaluator::serve;
pub use generators::Generators;
pub use images::ImageRules;
pub use process::Limits;

/// What a function is called in messages, which stand behind its name.
const IT: &str = "it";

/// What may be run, and how.
#[derive(Debug, Clone, Default)]
pub struct LocalRunner {
    /// Whether programs may be run.
    pub programs: bool,
    /// How images are run; none when they are not.
    pub containers: Option<Containers>,
    /// How charts and overlays are rendered; by images when this is not set.
    pub generators: Option<Generators>,
    /// Whether functions are WASM modules, which may do nothing here: files that `exec` names, and images.
    pub wasm: bool,
    /// Where the modules of images are found; without it, images are no modules.
    pub modules: Option<Arc<dyn ModuleSource>>,
    /// Where a function runner is, as `host:port`: it is asked for images before containers are run.
    pub evaluator: Option<String>,
    /// Which images may be run at all.
    pub images: ImageRules,
    /// Time, memory and output of one function.
    pub limits: Limits,
    /// Where programs run [default: where this process does].
    pub directory: Option<PathBuf>,
    /// Whether this process is to end, and with it the programs that run.
    pub ending: Ending,
}

impl FunctionRunner for LocalRunner {
    fn runs(&self, program: &Program) -> bool {
        match program {
            Program::Exec(command) => self.programs || (self.wasm && is_module(command)),
            Program::Image(image) => {
                let is_generator = Catalog.guide(image).is_some_and(|guide| !guide.programs.is_empty());
                let runs_images = self.wasm || self.containers.is_some() || self.evaluator.is_some();
                runs_images || (is_generator && self.generators.is_some())
            }
        }
    }

    fn run(&self, request: &Request) -> Result<Answer, Failure> {
        match &request.program {
            Program::Exec(command) if self.wasm && is_module(command) => self.module(command, &request.list),
            Program::Exec(_) if !self.programs => Err(Failure::new(
                "fn.exec_denied",
                format!("{IT} is not run: programs may do anything here; allow it with --allow-exec"),
            )),
            Program::Exec(command) => self.program(command, &request.list),
            Program::Image(image) => {
                let generated =
                    self.generators.as_ref().and_then(|all| all.run(image, request, &self.limits, &self.ending));
                generated.unwrap_or_else(|| {
                    self.image(image, &request.list).map_err(|failure| self.explained(image, failure))
                })
            }
        }
    }
}

/// A failure of an image that may be misspelt.
fn hinted(image: &str, failure: Failure) -> Failure {
    let is_ours = |guide: &Guide| guide.programs.is_empty() && !guide.families.is_empty() && !image.contains('@');
    if let Some(guide) = Catalog.guide(image).filter(is_ours) {
        let (name, tags) = (guide.name, guide.families.join(", "));
        let message = format!("{name} is built in under other tags: {tags}, latest; {}", failure.message);
        return Failure { message, ..failure };
    }
    match Catalog.similar(image) {
        // First, for what an engine says of an image that it cannot find is long.
        Some(name) => {
            Failure { message: format!("did you mean {name}, which is built in? {}", failure.message), ..failure }
        }
        None => failure,
    }
}

impl LocalRunner {
    /// A failure of an image that was not run at all: what could have been run instead is told first.
    fn explained(&self, image: &str, failure: Failure) -> Failure {
        let guide = Catalog.guide(image).filter(|guide| !guide.programs.is_empty());
        let (Some(all), Some(guide), "fn.no_runner") = (&self.generators, guide, failure.code) else {
            return hinted(image, failure);
        };
        let is_there = |program: &&str| std::env::split_paths(&all.path).any(|dir| is_program(&dir.join(program)));
        if guide.programs.iter().any(is_there) {
            return failure;
        }
        let (name, programs) = (guide.name, guide.programs.join(" or "));
        let message = format!(
            "{name} needs {programs}, which is not on the PATH: install it (no container runs it instead: {})",
            failure.message
        );
        Failure { message, ..failure }
    }

    fn image(&self, image: &str, list: &str) -> Result<Answer, Failure> {
        self.images.judge(image)?;
        let Some(address) = &self.evaluator else { return self.local(image, list) };
        let asked = evaluator::run(address, image, list, (&self.limits, &self.ending));
        asked.unwrap_or_else(|| {
            self.local(image, list).map_err(|failure| match failure.code {
                "fn.no_runner" => {
                    let message = format!("the function runner {address} does not have {image}; {}", failure.message);
                    Failure { message, ..failure }
                }
                _ => failure,
            })
        })
    }

    /// Runs an image on this machine.
    fn local(&self, image: &str, list: &str) -> Result<Answer, Failure> {
        match &self.containers {
            _ if self.wasm => self.pulled(image, list),
            Some(containers) => containers.run(image, list, &self.limits, &self.ending),
            None => {
                let message = format!(
                    "{image} is not built in, and no containers are run here: `loggia fn render` runs it in one, other \
                     commands with --allow-containers"
                );
                Err(Failure::new("fn.no_runner", message))
            }
        }
    }

    fn pulled(&self, image: &str, list: &str) -> Result<Answer, Failure> {
        let Some(modules) = &self.modules else {
            let message = format!("{image} is not built in, and no WASM modules are pulled here");
            return Err(Failure::new("fn.no_runner", message));
        };
        let found = modules.find(image)?;
        let answer = wasm::run_bytes(&found.bytes, IT, list, (&self.limits, &self.ending))?;
        Ok(Answer { by: found.digest, ..answer })
    }

    fn module(&self, command: &str, list: &str) -> Result<Answer, Failure> {
        let path = self.directory.as_ref().map_or_else(|| PathBuf::from(command), |directory| directory.join(command));
        wasm::run(&path, IT, list, (&self.limits, &self.ending))
    }

    fn program(&self, command: &str, list: &str) -> Result<Answer, Failure> {
        let words = words::split(command).ok_or_else(|| {
            Failure::new("fn.failed", format!("exec {command:?} is no command: a quote is not closed"))
        })?;
        let Some((program, arguments)) = words.split_first() else {
            return Err(Failure::new("fn.failed", "exec names no program"));
        };
        let mut command = std::process::Command::new(program);
        command.args(arguments);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        process::run(command, IT, list, (&self.limits, &self.ending), Rest::Killed)
    }
}

/// Whether `exec` names a WASM module.
fn is_module(command: &str) -> bool {
    std::path::Path::new(command).extension().is_some_and(|extension| extension == "wasm")
}

#[cfg(test)]
mod tests;
