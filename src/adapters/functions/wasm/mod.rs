//! WASM modules as functions: commands of WASI (preview 1), which read their input and write their output, interpreted by
//! wasmi, which counts what they do.
//!
//! A module sees its input and nothing else: no files, no network, no environment. Its clocks begin at the first second
//! of 1970 and move a little when they are read, and as far as it sleeps; what it gets as random is the same in every
//! run. So the same module answers the same to the same input. The published modules of the catalogue are of another
//! form, made for a JavaScript engine (`GOOS=js`), and are refused.

mod memory;
mod wasi;

use std::path::Path;
use std::time::Instant;

use wasmi::{
    Config, EnforcedLimits, Engine, Error, Instance, Linker, Module, Store, StoreLimits, StoreLimitsBuilder, TrapCode,
    TypedResumableCall,
};

use super::process::Limits;
use crate::domain::package::external::{Answer, Failure};

/// Most bytes of a module.
const MODULE: u64 = 128 << 20;
/// Steps after which the clock is looked at.
const SLICE: u64 = 20_000_000;
/// Most elements of a table.
const TABLE: usize = 1 << 20;

/// What modules import that Go compiled for a JavaScript engine, by its present and its old name.
const JAVASCRIPT: [&str; 2] = ["gojs", "go"];

/// What a module works with.
pub(super) struct World {
    /// Its standard input, and how much of it was read.
    input: Vec<u8>,
    read: usize,
    /// Its standard output.
    output: Vec<u8>,
    /// Its standard error.
    stderr: Vec<u8>,
    /// What it may write.
    limits: Limits,
    /// Nanoseconds on its clocks.
    clock: u64,
    /// State of what it gets as random.
    dice: u64,
    /// What it may grow to.
    growth: StoreLimits,
}

/// Why a module is stopped, told as an error of its call.
#[derive(Debug)]
enum Stop {
    /// It wrote too much.
    Output,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("it wrote too much")
    }
}

impl std::error::Error for Stop {}

impl wasmi::errors::HostError for Stop {}

/// Runs the module of a file on a list.
pub(super) fn run(path: &Path, name: &str, list: &str, limits: &Limits) -> Result<Answer, Failure> {
    let bytes = read(path, name)?;
    let mut config = Config::default();
    config.consume_fuel(true).enforced_limits(EnforcedLimits::default());
    let engine = Engine::new(&config);
    let failed = |error: &Error| Failure::new("fn.failed", format!("{name} is no module that can be run: {error}"));
    let module = Module::new(&engine, &bytes).map_err(|error| failed(&error))?;
    if module.imports().any(|import| JAVASCRIPT.contains(&import.module())) {
        let message = format!(
            "{name} is made for a JavaScript engine, which is not here; compile it for WASI, in Go with GOOS=wasip1"
        );
        return Err(Failure::new("fn.no_runner", message));
    }
    let mut store = Store::new(&engine, World::new(list, limits));
    store.limiter(|world| &mut world.growth);
    store.set_fuel(SLICE.min(limits.fuel)).map_err(|error| failed(&error))?;
    let mut linker = Linker::new(&engine);
    wasi::link(&mut linker, &module).map_err(|error| failed(&error))?;
    let mut call =
        Call { name, limits, left: limits.fuel.saturating_sub(SLICE), deadline: Instant::now() + limits.time };
    let ended = linker
        .instantiate_and_start(&mut store, &module)
        .map_err(|error| End::of(&error))
        .and_then(|instance| call.start(&mut store, instance));
    call.answer(ended, store.into_data())
}

fn read(path: &Path, name: &str) -> Result<Vec<u8>, Failure> {
    let failed = |why: String| Failure::new("fn.failed", format!("{name} cannot be read: {why}; is it there?"));
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > MODULE {
        return Err(failed(format!("it has {size} bytes, more than {MODULE}")));
    }
    std::fs::read(path).map_err(|error| failed(error.to_string()))
}

impl World {
    fn new(list: &str, limits: &Limits) -> Self {
        let growth =
            StoreLimitsBuilder::new().memory_size(limits.memory).table_elements(TABLE).instances(1).memories(1);
        Self {
            input: list.as_bytes().to_vec(),
            read: 0,
            output: Vec::new(),
            stderr: Vec::new(),
            limits: *limits,
            clock: 1_000_000_000,
            dice: 0x9e37_79b9_7f4a_7c15,
            growth: growth.build(),
        }
    }

    /// The next bytes of the input.
    fn take(&mut self, most: usize) -> &[u8] {
        let from = self.read;
        self.read = self.input.len().min(from.saturating_add(most));
        &self.input[from..self.read]
    }

    /// Takes what is written to the output or to the standard error, of which the surplus is dropped.
    fn write(&mut self, to_stderr: bool, bytes: &[u8]) -> Result<(), Error> {
        let (sink, most) =
            if to_stderr { (&mut self.stderr, self.limits.stderr) } else { (&mut self.output, self.limits.output) };
        let room = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(sink.len());
        sink.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if bytes.len() > room && !to_stderr { Err(Error::host(Stop::Output)) } else { Ok(()) }
    }

    /// The time, which moves on by a microsecond.
    fn now(&mut self) -> u64 {
        self.clock = self.clock.saturating_add(1000);
        self.clock
    }

    /// The next random number: xorshift.
    fn random(&mut self) -> u8 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice.to_le_bytes()[3]
    }
}

/// A call and what is left of what it may take.
struct Call<'c> {
    name: &'c str,
    limits: &'c Limits,
    left: u64,
    deadline: Instant,
}

/// How a call ended early.
enum End {
    Exit(i32),
    Fuel,
    Output,
    Trap(String),
}

impl End {
    fn of(error: &Error) -> Self {
        match (error.i32_exit_status(), error.as_trap_code()) {
            (Some(code), _) => Self::Exit(code),
            (_, Some(TrapCode::OutOfFuel)) => Self::Fuel,
            _ if error.downcast_ref::<Stop>().is_some() => Self::Output,
            _ => Self::Trap(error.to_string()),
        }
    }
}

impl Call<'_> {
    /// Runs a command from its start to its end.
    fn start(&mut self, store: &mut Store<World>, instance: Instance) -> Result<(), End> {
        let end = |error: Error| End::of(&error);
        let start = instance
            .get_typed_func::<(), ()>(&*store, "_start")
            .map_err(|error| End::Trap(format!("it is no command, as it has no function _start: {error}")))?;
        let mut call = start.call_resumable(&mut *store, ()).map_err(end)?;
        loop {
            call = match call {
                TypedResumableCall::Finished(()) => return Ok(()),
                TypedResumableCall::HostTrap(trap) => return Err(End::of(trap.host_error())),
                TypedResumableCall::OutOfFuel(paused) => {
                    let slice = SLICE.max(paused.required_fuel());
                    if self.left < slice || Instant::now() >= self.deadline {
                        return Err(End::Fuel);
                    }
                    self.left -= slice;
                    store.set_fuel(slice).map_err(end)?;
                    paused.resume(&mut *store).map_err(end)?
                }
            };
        }
    }

    fn answer(&self, ended: Result<(), End>, world: World) -> Result<Answer, Failure> {
        let stderr = String::from_utf8_lossy(&world.stderr).into_owned();
        let Limits { time, fuel, output, .. } = self.limits;
        let (code, exit_code, message) = match ended {
            Ok(()) | Err(End::Exit(0)) => return Ok(Answer { list: world.output, stderr }),
            Err(End::Exit(code)) => ("fn.failed", Some(code), format!("ended with exit code {code}")),
            Err(End::Fuel) if Instant::now() >= self.deadline => {
                ("fn.timeout", None, format!("was stopped: it took longer than {time:?}"))
            }
            Err(End::Fuel) => ("fn.timeout", None, format!("was stopped: it took more than {fuel} steps")),
            Err(End::Output) => ("fn.output_limit", None, format!("was stopped: it wrote more than {output} bytes")),
            Err(End::Trap(why)) => ("fn.failed", None, format!("failed: {why}")),
        };
        Err(Failure { stderr, exit_code, list: world.output, ..Failure::new(code, format!("{} {message}", self.name)) })
    }
}

#[cfg(test)]
mod tests;
