//! Arguments, one file per verb, output and exit codes.

use std::process::ExitCode;

/// Runs the command line and gives its exit code: 0 done or no difference, 1 differences, 2 error.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
