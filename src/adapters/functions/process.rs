//! One process: text in, text out, within limits, and nothing of it left when it is over.

use std::io::{Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::interpreter::unstarted;
use super::{Ending, memory};
use crate::adapters::family;
use crate::adapters::family::Rest;
use crate::domain::package::external::{Answer, Failure};

/// What one function may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long it may take. Default 5 min.
    pub time: Duration,
    /// Bytes that it may write to its standard output. Default 64 MiB.
    pub output: u64,
    /// Bytes of its standard error that are kept. Default 1 MiB; what is more is dropped.
    pub stderr: u64,
    /// Bytes of memory of a WASM module. Default 512 MiB.
    pub memory: usize,
    /// Bytes of memory of a container, and of each process of a program. Default 2 GiB; with 0 they have what their
    /// system gives them. Helm and kustomize need 96 MiB for the smallest of packages.
    pub program_memory: u64,
    /// Steps of a WASM module. Default 100 thousand million.
    pub fuel: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_mins(5),
            output: 64 << 20,
            stderr: 1 << 20,
            memory: 512 << 20,
            program_memory: 2 << 30,
            fuel: 100_000_000_000,
        }
    }
}

/// How often it is asked whether a process that closed its output has ended.
const PAUSE: Duration = Duration::from_millis(5);
/// How often it is asked whether this process is to end.
const ASK: Duration = Duration::from_millis(20);

/// What a reading thread says when it is done.
enum Heard {
    Output(Vec<u8>),
    Stderr(Vec<u8>),
    TooMuch,
}

/// Runs a command; nothing that it started is left when this returns, with the exceptions of [`family`] and of what is
/// to be left as its rest.
pub(super) fn run(
    mut command: Command,
    name: &str,
    input: &str,
    (limits, ending): (&Limits, &Ending),
    rest: Rest,
) -> Result<Answer, Failure> {
    let _hold = ending.hold();
    let deadline = Instant::now() + limits.time;
    if ending.told().is_some() {
        return Err(stopped(name, &Stop::Ending, limits));
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = family::start(&mut command).map_err(|error| {
        Failure::new("fn.failed", format!("{name} cannot be started: {}", unstarted(&command, &error)))
    })?;
    // What the engine of containers starts is bounded by the engine.
    let most = Some(limits.program_memory).filter(|most| *most > 0 && rest == Rest::Killed);
    if let Some(Err(error)) = most.map(|most| memory::bound(&child, most)) {
        let _ = family::end(&mut child, rest);
        return Err(Failure::new("fn.failed", format!("{name} was stopped: its memory cannot be bounded: {error}")));
    }
    let heard = converse(&mut child, input, limits);
    let outcome = ended(&child, &heard, deadline, ending);
    let status = family::end(&mut child, rest);
    let (output, stderr) = outcome.map_err(|stop| stopped(name, &stop, limits))?;
    let lost = |error| Failure::new("fn.failed", format!("how {name} ended is not known: {error}"));
    answer(name, status.map_err(lost)?, output, &stderr, most)
}

fn stopped(name: &str, stop: &Stop, limits: &Limits) -> Failure {
    match stop {
        Stop::Time => {
            let message = format!("{name} was stopped: it took longer than {:?} (--function-timeout)", limits.time);
            Failure::new("fn.timeout", message)
        }
        Stop::Output => {
            let message = format!("{name} was stopped: it wrote more than {} bytes (--function-output)", limits.output);
            Failure::new("fn.output_limit", message)
        }
        Stop::Ending => Ending::stopped(name),
    }
}

/// Threads that write and read; each ends when its pipe does.
fn converse(child: &mut Child, input: &str, limits: &Limits) -> Receiver<Heard> {
    // Each of the two who say something says it once.
    let (say, heard) = sync_channel(2);
    if let Some(mut stdin) = child.stdin.take() {
        let input = input.to_owned();
        // A function need not read its input: a closed pipe is no error.
        std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    }
    if let Some(stdout) = child.stdout.take() {
        let (say, most) = (say.clone(), limits.output);
        std::thread::spawn(move || {
            let mut output = Vec::new();
            let read = stdout.take(most + 1).read_to_end(&mut output);
            let fits = read.is_ok() && output.len() as u64 <= most;
            say.send(if fits { Heard::Output(output) } else { Heard::TooMuch })
        });
    }
    if let Some(stderr) = child.stderr.take() {
        listen(stderr, limits.stderr, say);
    }
    heard
}

fn listen(mut stderr: impl Read + Send + 'static, most: u64, say: SyncSender<Heard>) {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let _ = stderr.by_ref().take(most).read_to_end(&mut kept);
        // What is more is read all the same, or the function would wait for ever.
        let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        say.send(Heard::Stderr(kept))
    });
}

/// Why a process is stopped.
enum Stop {
    Time,
    Output,
    Ending,
}

/// Waits until both pipes are closed and the process has ended; gives what it wrote.
fn ended(
    child: &Child,
    heard: &Receiver<Heard>,
    deadline: Instant,
    ending: &Ending,
) -> Result<(Vec<u8>, Vec<u8>), Stop> {
    let (mut output, mut stderr) = (None, None);
    while output.is_none() || stderr.is_none() {
        match heard.recv_timeout(ASK) {
            Ok(Heard::Output(bytes)) => output = Some(bytes),
            Ok(Heard::Stderr(bytes)) => stderr = Some(bytes),
            Ok(Heard::TooMuch) => return Err(Stop::Output),
            Err(RecvTimeoutError::Timeout) => go_on(deadline, ending)?,
            Err(RecvTimeoutError::Disconnected) => return Err(Stop::Time),
        }
    }
    while !is_over(child) {
        go_on(deadline, ending)?;
        std::thread::sleep(PAUSE);
    }
    Ok((output.unwrap_or_default(), stderr.unwrap_or_default()))
}

fn go_on(deadline: Instant, ending: &Ending) -> Result<(), Stop> {
    match ending.told() {
        Some(_) => Err(Stop::Ending),
        None if Instant::now() >= deadline => Err(Stop::Time),
        None => Ok(()),
    }
}

/// Whether the process has ended. No note of it is taken yet: its number stays its own until its group was killed.
fn is_over(child: &Child) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(Pid::from_child(child)), options), Ok(None))
}

/// Signals that also end programs that got no memory and do not say so: abort, bus error, kill, segmentation fault.
const OF_WANT: [i32; 4] = [6, 7, 9, 11];

fn answer(name: &str, status: ExitStatus, list: Vec<u8>, stderr: &[u8], most: Option<u64>) -> Result<Answer, Failure> {
    let stderr = String::from_utf8_lossy(stderr).into_owned();
    if status.success() {
        return Ok(Answer { list, stderr, ..Answer::default() });
    }
    let ended = match (status.code(), status.signal()) {
        (Some(code), _) => format!("{name} ended with exit code {code}"),
        (None, signal) => format!("{name} was ended by signal {}", signal.unwrap_or_default()),
    };
    let may_want = status.signal().is_some_and(|signal| OF_WANT.contains(&signal));
    let failure = match (most, memory::complaint(&stderr)) {
        (Some(most), Some(said)) => want(&ended, most, said),
        (Some(most), None) if may_want => {
            let why = format!("perhaps for want of memory, of which it may have {most} bytes (--function-memory)");
            Failure::new("fn.failed", format!("{ended}, {why}"))
        }
        _ => Failure::new("fn.failed", ended),
    };
    Err(Failure { stderr, exit_code: Some(status.code().unwrap_or(1)), list, ..failure })
}

/// A function that ended for want of memory.
pub(super) fn want(ended: &str, most: u64, why: &str) -> Failure {
    let message = format!("{ended} for want of memory, of which it may have {most} bytes (--function-memory): {why}");
    Failure::new("fn.memory_limit", message)
}
