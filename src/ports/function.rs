//! Running functions that are not built in.

use std::fmt::Debug;

use crate::domain::package::external::{Answer, Failure, Program, Request};

/// Runs one function: hands it a `ResourceList`, brings back the one that it answers with.
///
/// Calls block; asynchronous callers put them on a thread of their own. A call that ended leaves no process behind.
/// Nothing is tried twice.
pub trait FunctionRunner: Send + Sync {
    /// Whether anything here runs such a function. Where nothing does, a rendering that waits for it says what would.
    fn runs(&self, program: &Program) -> bool;

    /// Runs a function to its end, within the limits of time, memory and output that the runner has.
    ///
    /// # Errors
    /// [`Failure`] with its code: `fn.no_runner` and `fn.exec_denied` when nothing here may run it (the message says
    /// how to get what does), `fn.image_denied` and `fn.image_not_pinned` when it is not allowed to, `fn.timeout`,
    /// `fn.memory_limit`, `fn.output_limit`, `fn.stopped` when this process was told to end, and
    /// `fn.failed` for a function that could not be started or ended with another code than 0.
    fn run(&self, request: &Request) -> Result<Answer, Failure>;

    /// Runs a function where anything here does, for those who show nothing else of its standard error than what it said
    /// last; `None` otherwise.
    fn answer(&self, request: &Request) -> Option<Result<Answer, Failure>> {
        self.runs(&request.program).then(|| self.run(request).map_err(Failure::with_last_words))
    }
}

/// A WASM module as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundModule {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The digest that its name led to, as `sha256:HEX`: it finds the same bytes for ever.
    pub digest: String,
}

/// Where WASM modules are found by the name of an image. Calls block.
pub trait ModuleSource: Debug + Send + Sync {
    /// The module of an image, given by its whole name with a tag, a range of tags or a digest.
    ///
    /// # Errors
    /// [`Failure`] with `fn.no_runner` when there is no such image or no module in it.
    fn find(&self, image: &str) -> Result<FoundModule, Failure>;
}
