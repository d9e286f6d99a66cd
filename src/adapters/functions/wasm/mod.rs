//! WASM modules as functions: commands of WASI (preview 1), which read their input and write their output, and modules
//! that Go makes for JavaScript, as kpt's own are; interpreted by wasmi, which counts what they do.
//!
//! A module sees its input and nothing else: no files, no network, no environment. Its clocks begin at the first second
//! of 1970 and move a little when they are read, and as far as it sleeps; what it gets as random is the same in every
//! run. So the same module answers the same to the same input.

mod js;
mod memory;
mod steps;
mod wasi;

use std::path::Path;

use wasmi::errors::{ErrorKind, InstantiationError, MemoryError};
use wasmi::{
    Config, EnforcedLimits, Engine, Error, Instance, Linker, Module, Store, StoreLimits, StoreLimitsBuilder, TrapCode,
};

use super::{Ending, Limits};
use js::Realm;
use steps::Steps;

use crate::domain::package::external::{Answer, Failure};

/// Most bytes of a module.
const MODULE: u64 = 128 << 20;
/// Most functions that have called each other, and the bytes of what they work with: Go's frames are calls here.
const RECURSION: usize = 50_000;
const STACK: usize = 8 << 20;
/// Most elements of a table.
const TABLE: usize = 1 << 20;

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
    /// What it may still do.
    steps: Steps,
    /// The values of JavaScript that it holds.
    realm: Realm,
}

/// Why a module is stopped, told as an error of its call.
#[derive(Debug, Clone, Copy)]
enum Stop {
    /// It wrote too much.
    Output,
    /// It took all steps, or all the time.
    Steps,
    /// Its values of JavaScript take too much.
    Values,
    /// This process is to end.
    Ending,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Output => "it wrote too much",
            Self::Steps => "it took too long",
            Self::Values => "its values take too much",
            Self::Ending => "loggia was told to end",
        })
    }
}

impl std::error::Error for Stop {}

impl wasmi::errors::HostError for Stop {}

/// Runs the module of a file on a list.
pub(super) fn run(path: &Path, name: &str, list: &str, bounds: (&Limits, &Ending)) -> Result<Answer, Failure> {
    run_bytes(&read(path, name)?, name, list, bounds)
}

/// Runs a module on a list.
pub(super) fn run_bytes(bytes: &[u8], name: &str, list: &str, bounds: (&Limits, &Ending)) -> Result<Answer, Failure> {
    let mut config = Config::default();
    config.consume_fuel(true).enforced_limits(EnforcedLimits::default());
    config.set_max_recursion_depth(RECURSION).set_max_stack_height(STACK);
    let engine = Engine::new(&config);
    let failed = |error: &Error| Failure::new("fn.failed", format!("{name} is no module that can be run: {error}"));
    let module = Module::new(&engine, bytes).map_err(|error| failed(&error))?;
    let script = js::is_script(&module);
    let mut store = Store::new(&engine, World::new(list, bounds));
    store.limiter(|world| &mut world.growth);
    let first = store.data_mut().steps.first();
    store.set_fuel(first).map_err(|error| failed(&error))?;
    let mut linker = Linker::new(&engine);
    let link = if script { js::link } else { wasi::link };
    link(&mut linker, &module).map_err(|error| failed(&error))?;
    let instance = linker.instantiate_and_start(&mut store, &module).map_err(|error| End::of(&error));
    let ended =
        instance.and_then(
            |instance| {
                if script { js::process(&mut store, instance, list) } else { command(&mut store, instance) }
            },
        );
    answer(name, ended, store.into_data())
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
    fn new(list: &str, (limits, ending): (&Limits, &Ending)) -> Self {
        let growth =
            StoreLimitsBuilder::new().memory_size(limits.memory).table_elements(TABLE).instances(1).memories(1);
        // Where growth is refused a module may fail in any way: that it was for want of memory is said here.
        let growth = growth.trap_on_grow_failure(true);
        Self {
            input: list.as_bytes().to_vec(),
            read: 0,
            output: Vec::new(),
            stderr: Vec::new(),
            limits: *limits,
            clock: 1_000_000_000,
            dice: 0x9e37_79b9_7f4a_7c15,
            growth: growth.build(),
            steps: Steps::of(limits, ending),
            realm: Realm::new(limits.memory),
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

/// How a call ended early.
enum End {
    Exit(i32),
    Fuel,
    Output,
    Memory,
    Values,
    Ending,
    Trap(String),
}

impl End {
    fn of(error: &Error) -> Self {
        match (error.i32_exit_status(), error.as_trap_code()) {
            (Some(code), _) => Self::Exit(code),
            (_, Some(TrapCode::OutOfFuel)) => Self::Fuel,
            (_, Some(TrapCode::GrowthOperationLimited)) => Self::Memory,
            _ => match error.downcast_ref::<Stop>() {
                Some(Stop::Output) => Self::Output,
                Some(Stop::Steps) => Self::Fuel,
                Some(Stop::Values) => Self::Values,
                Some(Stop::Ending) => Self::Ending,
                None if is_too_large(error) => Self::Memory,
                None => Self::Trap(error.to_string()),
            },
        }
    }
}

/// Whether a module asks for more memory to begin with than it may have.
fn is_too_large(error: &Error) -> bool {
    use InstantiationError::FailedToInstantiateMemory as Failed;
    matches!(error.kind(), ErrorKind::Instantiation(Failed(MemoryError::ResourceLimiterDeniedAllocation)))
}

/// Runs a command from its start to its end.
fn command(store: &mut Store<World>, instance: Instance) -> Result<(), End> {
    let start = instance
        .get_typed_func::<(), ()>(&*store, "_start")
        .map_err(|error| End::Trap(format!("it is no command, as it has no function _start: {error}")))?;
    steps::call(store, start, ()).map_err(|error| End::of(&error))
}

fn answer(name: &str, ended: Result<(), End>, world: World) -> Result<Answer, Failure> {
    let stderr = String::from_utf8_lossy(&world.stderr).into_owned();
    let Limits { time, fuel, output, memory, .. } = world.limits;
    let (code, exit_code, message) = match ended {
        Ok(()) | Err(End::Exit(0)) => return Ok(Answer { list: world.output, stderr, ..Answer::default() }),
        Err(End::Exit(code)) => ("fn.failed", Some(code), format!("ended with exit code {code}")),
        Err(End::Ending) => ("fn.stopped", None, "was stopped: loggia was told to end".to_owned()),
        Err(End::Fuel) if world.steps.late() => {
            ("fn.timeout", None, format!("was stopped: it took longer than {time:?}"))
        }
        Err(End::Fuel) => ("fn.timeout", None, format!("was stopped: it took more than {fuel} steps")),
        Err(End::Output) => ("fn.output_limit", None, format!("was stopped: it wrote more than {output} bytes")),
        Err(End::Memory) => {
            ("fn.memory_limit", None, format!("was stopped: it asked for more than {memory} bytes of memory"))
        }
        Err(End::Values) => {
            ("fn.memory_limit", None, format!("was stopped: its JavaScript values took more than {memory} bytes"))
        }
        Err(End::Trap(why)) => ("fn.failed", None, format!("failed: {why}")),
    };
    Err(Failure { stderr, exit_code, list: world.output, ..Failure::new(code, format!("{name} {message}")) })
}

#[cfg(test)]
mod tests;
