//! Programs that keep credentials: they read a question on their standard input and print an answer.
//!
//! `git credential` and Docker's credential helpers are such. They may ask a person, so they get time, and not for ever.

use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use super::program::{self, Bounds};

/// How long a program may take.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// Most bytes of an answer; what is more is not read.
const ANSWER: u64 = 64 << 10;

/// Asks a program; gives how it ended and what it printed, or nothing when it took longer than `patience` and was
/// killed. Its standard error is not read.
///
/// # Errors
///
/// It cannot be started or waited for. No error holds a word of the question or of the answer.
pub(super) fn ask(
    command: &mut Command,
    question: &str,
    patience: Duration,
) -> io::Result<Option<(ExitStatus, Vec<u8>)>> {
    let bounds = Bounds { patience, bytes: ANSWER };
    let said = program::ask(command.stderr(Stdio::null()), question, bounds)?;
    Ok(said.map(|said| (said.status, said.stdout)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, question: &str, patience: Duration) -> Option<(Option<i32>, Vec<u8>)> {
        let answer = ask(Command::new("sh").args(["-c", script]), question, patience).unwrap();
        answer.map(|(status, answer)| (status.code(), answer))
    }

    #[test]
    fn the_answer_comes_with_how_it_ended() {
        assert_eq!(shell("cat; echo b; exit 3", "a\n", PATIENCE), Some((Some(3), b"a\nb\n".to_vec())));
        let much = "x".repeat(1 << 20);
        assert_eq!(shell("exit 0", &much, PATIENCE), Some((Some(0), Vec::new())), "the question need not be read");
        let (status, answer) = shell("yes", "", PATIENCE).unwrap();
        assert!(status != Some(0) && answer.len() as u64 == ANSWER, "its pipe was closed: {status:?}");
        ask(&mut Command::new("loggia-has-no-such-program"), "", PATIENCE).unwrap_err();
    }

    #[test]
    fn nobody_is_waited_for_for_ever() {
        let patience = Duration::from_millis(100);
        assert_eq!(shell("exec sleep 3600", "", patience), None);
        assert_eq!(shell("exec sleep 3600 >&-", "", patience), None, "it closed its output and did not end");
        assert_eq!(shell("sleep 20 & exit 0", "", patience), None, "somebody else holds its output");
    }
}
