//! Running functions that are not built in.

use crate::domain::package::external::{Answer, Failure, Request};

/// Runs one function: hands it a `ResourceList`, brings back the one that it answers with.
///
/// Calls block; asynchronous callers put them on a thread of their own. A call that ended leaves no process behind.
/// Nothing is tried twice.
pub trait FunctionRunner: Send + Sync {
    /// Runs a function to its end, within the limits of time and of output that the runner has.
    ///
    /// # Errors
    /// [`Failure`] with its code: `fn.no_runner` and `fn.exec_denied` when nothing here may run it (the message says how
    /// to get what does), `fn.timeout`, `fn.output_limit`, and `fn.failed` for a function that could not be started or
    /// ended with another code than 0.
    fn run(&self, request: &Request) -> Result<Answer, Failure>;
}
