//! The `loggia` executable: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    loggia::cli::main()
}
