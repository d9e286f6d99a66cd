//! One process: text in, text out, within limits, and nothing of it left when it is over.

use std::io::{Read, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

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
    /// Bytes of memory of a WASM module. Default 512 MiB; a program and a container have what their system gives them.
    pub memory: usize,
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
            fuel: 100_000_000_000,
        }
    }
}

/// How often it is asked whether a process that closed its output has ended.
const PAUSE: Duration = Duration::from_millis(5);

/// What a reading thread says when it is done.
enum Heard {
    Output(Vec<u8>),
    Stderr(Vec<u8>),
    TooMuch,
}

/// Runs a command in a process group of its own; the group is killed when a limit is reached.
pub(super) fn run(mut command: Command, name: &str, input: &str, limits: &Limits) -> Result<Answer, Failure> {
    let deadline = Instant::now() + limits.time;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().map_err(|error| {
        Failure::new("fn.failed", format!("{name} cannot be started: {error}; is it there, and may it be run?"))
    })?;
    let heard = converse(&mut child, input, limits);
    match ended(&mut child, &heard, deadline) {
        Ok((status, output, stderr)) => answer(name, status, output, &stderr),
        Err(Stop::Time) => {
            kill(&mut child);
            Err(Failure::new("fn.timeout", format!("{name} was stopped: it took longer than {:?}", limits.time)))
        }
        Err(Stop::Output) => {
            kill(&mut child);
            let message = format!("{name} was stopped: it wrote more than {} bytes", limits.output);
            Err(Failure::new("fn.output_limit", message))
        }
    }
}

/// Threads that write and read; each ends when its pipe does.
fn converse(child: &mut Child, input: &str, limits: &Limits) -> Receiver<Heard> {
    let (say, heard) = channel();
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

fn listen(mut stderr: impl Read + Send + 'static, most: u64, say: Sender<Heard>) {
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
}

/// Waits until both pipes are closed and the process has ended.
fn ended(
    child: &mut Child,
    heard: &Receiver<Heard>,
    deadline: Instant,
) -> Result<(ExitStatus, Vec<u8>, Vec<u8>), Stop> {
    let (mut output, mut stderr) = (None, None);
    while output.is_none() || stderr.is_none() {
        match heard.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Heard::Output(bytes)) => output = Some(bytes),
            Ok(Heard::Stderr(bytes)) => stderr = Some(bytes),
            Ok(Heard::TooMuch) => return Err(Stop::Output),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Err(Stop::Time),
        }
    }
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Ok((status, output.unwrap_or_default(), stderr.unwrap_or_default()));
        }
        if Instant::now() >= deadline {
            return Err(Stop::Time);
        }
        std::thread::sleep(PAUSE);
    }
}

/// Kills the process and those that it started, and takes note of its end.
fn kill(child: &mut Child) {
    let group = format!("-{}", child.id());
    let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
    let _ = child.kill();
    let _ = child.wait();
}

fn answer(name: &str, status: ExitStatus, list: Vec<u8>, stderr: &[u8]) -> Result<Answer, Failure> {
    let stderr = String::from_utf8_lossy(stderr).into_owned();
    if status.success() {
        return Ok(Answer { list, stderr });
    }
    let message = match (status.code(), status.signal()) {
        (Some(code), _) => format!("{name} ended with exit code {code}"),
        (None, signal) => format!("{name} was ended by signal {}", signal.unwrap_or_default()),
    };
    Err(Failure { stderr, exit_code: Some(status.code().unwrap_or(1)), list, ..Failure::new("fn.failed", message) })
}
