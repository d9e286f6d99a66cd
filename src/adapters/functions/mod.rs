//! Programs and containers as functions.

mod container;
mod generators;
mod process;
mod words;

use std::path::PathBuf;

use crate::domain::package::external::{Answer, Failure, Program, Request};
use crate::ports::function::FunctionRunner;

pub use container::{Containers, Pull};
pub use generators::Generators;
pub use process::Limits;

/// What may be run, and how.
#[derive(Debug, Clone, Default)]
pub struct LocalRunner {
    /// Whether programs may be run.
    pub programs: bool,
    /// How images are run; none when they are not.
    pub containers: Option<Containers>,
    /// How charts and overlays are rendered; by images when this is not set.
    pub generators: Option<Generators>,
    /// Time and output of one function.
    pub limits: Limits,
    /// Where programs run [default: where this process does].
    pub directory: Option<PathBuf>,
}

impl FunctionRunner for LocalRunner {
    fn run(&self, request: &Request) -> Result<Answer, Failure> {
        match &request.program {
            Program::Exec(_) if !self.programs => Err(Failure::new(
                "fn.exec_denied",
                format!(
                    "exec {:?} is not run: programs may do anything here; allow it with --allow-exec",
                    request.program.to_string()
                ),
            )),
            Program::Exec(command) => self.program(command, &request.list),
            Program::Image(image) => {
                let generated = self.generators.as_ref().and_then(|all| all.run(image, request, &self.limits));
                generated.unwrap_or_else(|| self.image(image, &request.list))
            }
        }
    }
}

impl LocalRunner {
    fn image(&self, image: &str, list: &str) -> Result<Answer, Failure> {
        match &self.containers {
            Some(containers) => containers.run(image, list, &self.limits),
            None => {
                let message = format!("{image} is not built in, and no containers are run here");
                Err(Failure::new("fn.no_runner", message))
            }
        }
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
        process::run(command, program, list, &self.limits)
    }
}

#[cfg(test)]
mod tests;
