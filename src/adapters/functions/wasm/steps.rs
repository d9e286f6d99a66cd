//! What a module may still do: its steps are counted in slices, and the clock is looked at between two.

use std::time::Instant;

use wasmi::{AsContextMut, Error, TypedFunc, TypedResumableCall, WasmParams, WasmResults};

use super::{Stop, World};
use crate::adapters::functions::{Ending, Limits};

/// Steps after which the clock is looked at.
const SLICE: u64 = 20_000_000;

/// What is left, for all calls together.
pub(super) struct Steps {
    left: u64,
    deadline: Instant,
    ending: Ending,
}

impl Steps {
    /// All that a module may do.
    pub(super) fn of(limits: &Limits, ending: &Ending) -> Self {
        Self { left: limits.fuel, deadline: Instant::now() + limits.time, ending: ending.clone() }
    }

    /// The first slice.
    pub(super) fn first(&mut self) -> u64 {
        let slice = SLICE.min(self.left);
        self.left -= slice;
        slice
    }

    /// Whether the time is over.
    pub(super) fn late(&self) -> bool {
        Instant::now() >= self.deadline
    }
}

/// Calls a function of the module, to its end or until nothing is left.
pub(super) fn call<P: WasmParams, R: WasmResults>(
    mut context: impl AsContextMut<Data = World>,
    function: TypedFunc<P, R>,
    given: P,
) -> Result<R, Error> {
    let mut call = function.call_resumable(&mut context, given)?;
    loop {
        call = match call {
            TypedResumableCall::Finished(answer) => return Ok(answer),
            TypedResumableCall::HostTrap(trap) => return Err(again(trap.host_error())),
            TypedResumableCall::OutOfFuel(paused) => {
                refuel(&mut context, paused.required_fuel())?;
                paused.resume(&mut context)?
            }
        }
    }
}

/// The error of a function of this side once more, as it cannot be taken out of the call that it ended.
fn again(error: &Error) -> Error {
    match (error.i32_exit_status(), error.as_trap_code(), error.downcast_ref::<Stop>()) {
        (Some(code), ..) => Error::i32_exit(code),
        (_, Some(trap), _) => trap.into(),
        (.., Some(stop)) => Error::host(*stop),
        _ => Error::new(error.to_string()),
    }
}

/// Takes steps for what is done here on behalf of the module: one for each 64 bytes.
pub(super) fn charge(mut context: impl AsContextMut<Data = World>, bytes: u64) -> Result<(), Error> {
    let steps = bytes / 64;
    if context.as_context().get_fuel()? < steps {
        refuel(&mut context, steps)?;
    }
    let fuel = context.as_context().get_fuel()?;
    context.as_context_mut().set_fuel(fuel.saturating_sub(steps))
}

fn refuel(mut context: impl AsContextMut<Data = World>, needed: u64) -> Result<(), Error> {
    let mut context = context.as_context_mut();
    let steps = &mut context.data_mut().steps;
    let slice = SLICE.max(needed);
    if steps.ending.told().is_some() {
        return Err(Error::host(Stop::Ending));
    }
    if steps.left < slice || steps.late() {
        return Err(Error::host(Stop::Steps));
    }
    steps.left -= slice;
    context.set_fuel(slice)
}
