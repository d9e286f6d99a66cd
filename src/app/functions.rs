//! What runs functions that are not built in, on the machine of the one who asks for it. Controllers run none.

pub use crate::adapters::functions::{Containers, Generators, Limits, LocalRunner, Pull, serve};
use crate::ports::function::FunctionRunner;

/// A runner as it was configured.
#[must_use]
pub fn runner(local: LocalRunner) -> Box<dyn FunctionRunner> {
    Box::new(local)
}
