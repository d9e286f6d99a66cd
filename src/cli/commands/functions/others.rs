//! Functions that are not built in, for verbs that only print.

use super::super::super::args::{Global, NotBuiltIn};
use super::super::super::session;
use super::run::allowed;
use crate::app::functions::{Ending, runner};
use crate::domain::package::external::{Answer, Failure, Request};
use crate::ports::function::FunctionRunner;

/// What runs them, as far as flags allow it.
pub(crate) struct Others {
    /// None when no flag allows any.
    runner: Option<Box<dyn FunctionRunner>>,
    ending: Ending,
}

impl Others {
    pub(crate) fn new(global: &Global, flags: &NotBuiltIn) -> anyhow::Result<Self> {
        let ending = Ending::default();
        let local = allowed(global, flags, &ending);
        if local.is_some() {
            session::end_with(&ending)?;
        }
        Ok(Self { runner: local.map(runner), ending })
    }

    /// Runs a function; `None` when no flag allows it.
    pub(crate) fn run(&self, request: &Request) -> Option<Result<Answer, Failure>> {
        self.runner.as_ref()?.answer(request)
    }

    /// The signal that told this process to end.
    pub(crate) fn told(&self) -> Option<u8> {
        self.ending.told()
    }
}
