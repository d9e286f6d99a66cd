//! Programs for tests: small shell scripts.

#![allow(clippy::unwrap_used, reason = "a test that cannot write its files has nothing to say")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a program that may be run.
///
/// Another process writes it. What this process has open for writing while another of its threads starts a program is
/// open in that program too for a moment, and Linux runs no file that somebody has open for writing ("text file busy").
pub(crate) fn script(path: &Path, text: &str) {
    let mut writer = Command::new("sh");
    writer.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(path).stdin(Stdio::piped());
    let mut child = writer.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{text}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{} was not written", path.display());
}
