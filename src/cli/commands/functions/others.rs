//! Functions that are not built in, for verbs that only print.

use super::super::super::args::{Global, NotBuiltIn};
use super::super::super::session;
use super::run::{containers, generators, others};
use crate::app::functions::{Ending, LocalRunner, runner};
use crate::domain::package::Catalog;
use crate::domain::package::external::{Answer, Failure, Program, Request};
use crate::ports::function::FunctionRunner;

/// What runs them, as far as flags allow it.
pub(crate) struct Others {
    /// None when no flag allows any.
    runner: Option<Box<dyn FunctionRunner>>,
    ending: Ending,
    /// Whether programs are run.
    programs: bool,
    /// Whether anything is asked for images.
    images: bool,
}

impl Others {
    pub(crate) fn new(global: &Global, flags: &NotBuiltIn) -> anyhow::Result<Self> {
        let ending = Ending::default();
        if !flags.is_any() {
            return Ok(Self { runner: None, ending, programs: false, images: false });
        }
        session::end_with(&ending)?;
        let containers = flags.allow_containers.then(|| containers(&flags.images, flags.allow_network));
        let local = LocalRunner {
            ending: ending.clone(),
            programs: flags.allow_exec,
            containers,
            generators: flags.allow_exec.then(|| generators(flags.allow_network)),
            ..others(global, &flags.images)
        };
        let (programs, images) = (local.programs, flags.runs_images());
        Ok(Self { runner: Some(runner(local)), ending, programs, images })
    }

    /// Runs a function; `None` when no flag allows it.
    pub(crate) fn run(&self, request: &Request) -> Option<Result<Answer, Failure>> {
        let by_programs = match &request.program {
            Program::Image(image) => Catalog.guide(image).is_some_and(|guide| !guide.programs.is_empty()),
            // What may be a module is for the runner to judge.
            Program::Exec(_) => return Some(with_last_words(self.runner.as_ref()?.run(request))),
        };
        let is_allowed = self.images || (by_programs && self.programs);
        self.runner.as_ref().filter(|_| is_allowed).map(|runner| with_last_words(runner.run(request)))
    }

    /// The signal that told this process to end.
    pub(crate) fn told(&self) -> Option<u8> {
        self.ending.told()
    }
}

/// Most letters of what a function said last.
const SHOWN: usize = 300;

/// What it said last tells mostly why a function failed; here nothing else of its standard error is shown.
fn with_last_words(answer: Result<Answer, Failure>) -> Result<Answer, Failure> {
    answer.map_err(|mut failure| {
        let last = failure.stderr.lines().map(str::trim).rfind(|line| !line.is_empty());
        if let Some(last) = last.filter(|last| !failure.message.contains(last)) {
            // No codes for terminals among them.
            let shown: String = last.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect();
            failure.message = format!("{}: {shown}", failure.message);
        }
        failure
    })
}
