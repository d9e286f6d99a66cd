//! Programs that are asked something, for a limited time and with a limited answer.

use std::io::{self, Read, Write as _};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::family::{self, Rest};

/// What a program may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How long.
    pub(super) patience: Duration,
    /// Most bytes of its output, and of its standard error where that is piped; what is more is not kept.
    pub(super) bytes: u64,
}

/// Asks a program; gives how it ended and what it printed, or nothing when it took longer than it may and was killed.
///
/// # Errors
///
/// It cannot be started or waited for. No error holds a word of the question or of the answer.
pub(super) fn ask(command: &mut Command, question: &str, bounds: Bounds) -> io::Result<Option<Output>> {
    let mut child = piped(command).spawn()?;
    let answer = converse(&mut child, question.to_owned(), bounds.bytes).recv_timeout(bounds.patience).ok();
    if answer.is_none() {
        // It may have ended by itself.
        let _ = child.kill();
    }
    // It has ended, or was killed: this does not wait for long.
    let status = child.wait()?;
    Ok(answer.map(|(stdout, stderr)| Output { status, stdout, stderr }))
}

/// Asks a program that leads a group of its own, of which nothing is left.
///
/// # Errors
///
/// As [`ask`].
pub(super) fn ask_apart(command: &mut Command, question: &str, bounds: Bounds) -> io::Result<Option<Output>> {
    let mut child = family::start(piped(command))?;
    let answer = converse(&mut child, question.to_owned(), bounds.bytes).recv_timeout(bounds.patience).ok();
    let status = family::end(&mut child, Rest::Killed)?;
    Ok(answer.map(|(stdout, stderr)| Output { status, stdout, stderr }))
}

fn piped(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::piped()).stdout(Stdio::piped())
}

/// Says the question; the answer comes when the program has closed what it writes to and ended.
fn converse(child: &mut Child, question: String, most: u64) -> Receiver<(Vec<u8>, Vec<u8>)> {
    let (stdin, stdout, pid) = (child.stdin.take(), child.stdout.take(), Pid::from_child(child));
    let complaint = child.stderr.take().map(|stderr| listen(stderr, most));
    let (say, heard) = sync_channel(1);
    std::thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            // Whoever ended without reading says so by its exit code.
            let _ = stdin.write_all(question.as_bytes());
        }
        let mut answer = Vec::new();
        if let Some(stdout) = stdout {
            // Whoever broke off says so by its exit code, too.
            let _ = stdout.take(most).read_to_end(&mut answer);
        }
        let complaint = complaint.and_then(|complaint| complaint.join().ok()).unwrap_or_default();
        // Its number stays its own: whoever started it asks how it ended.
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        say.send((answer, complaint))
    });
    heard
}

fn listen(mut stderr: impl Read + Send + 'static, most: u64) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let _ = stderr.by_ref().take(most).read_to_end(&mut kept);
        // What is more is read all the same, or the program would wait for ever.
        let _ = io::copy(&mut stderr, &mut io::sink());
        kept
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    fn shell(script: &str, bounds: Bounds) -> Option<Output> {
        let mut command = Command::new("sh");
        ask_apart(command.args(["-c", script]).stderr(Stdio::piped()), "", bounds).unwrap()
    }

    #[test]
    fn both_that_it_writes_are_bounded() {
        let bounds = Bounds { patience: PATIENCE, bytes: 10 };
        let said = shell("echo out; yes | head -c 1000000 >&2; exit 3", bounds).unwrap();
        assert_eq!((said.status.code(), said.stdout, said.stderr), (Some(3), b"out\n".to_vec(), b"y\n".repeat(5)));
        let said = shell("yes", bounds).unwrap();
        assert!(!said.status.success() && said.stdout.len() == 10, "its pipe was closed: {said:?}");
    }

    #[test]
    fn what_it_started_ends_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!("sleep 3600 & echo $! > {}; wait", pid.display());
        // A busy machine is slow to start a program.
        let started = [0.3, 3.0, 30.0].into_iter().any(|seconds| {
            let bounds = Bounds { patience: Duration::from_secs_f64(seconds), bytes: 10 };
            assert!(shell(&script, bounds).is_none());
            std::fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n'))
        });
        let child = std::fs::read_to_string(&pid).unwrap();
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
        let is_gone = || {
            let state = state();
            state.is_empty() || state.contains(") Z ")
        };
        let pause = || std::thread::sleep(Duration::from_millis(20));
        assert!(
            started
                && (0..3000).any(|_| is_gone() || {
                    pause();
                    false
                }),
            "{}",
            state()
        );
    }

    #[test]
    fn nobody_takes_it_for_what_another_left_behind() {
        let bounds = Bounds { patience: PATIENCE, bytes: 10 };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert!(shell("setsid sleep 60 >&- 2>&- & exit 0", bounds).is_some());
                }
            });
            for _ in 0..50 {
                let said = shell("sleep 0.02; echo out", bounds);
                assert_eq!(said.map(|said| said.stdout), Some(b"out\n".to_vec()));
            }
        });
    }
}
