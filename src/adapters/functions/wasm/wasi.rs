//! WASI, preview 1: what a command needs that reads its input and writes its output.
//!
//! Source: <https://github.com/WebAssembly/WASI/blob/main/legacy/preview1/docs.md>. What is not here answers `nosys`.

use std::collections::BTreeSet;

use wasmi::{Caller, Error, ExternType, Linker, Module, Val, ValType};

use super::World;
use super::memory::View;

const MODULE: &str = "wasi_snapshot_preview1";
const MEMORY: &str = "memory";
/// Numbers of errors.
const OK: u32 = 0;
const BADF: u32 = 8;
const INVAL: u32 = 28;
const NOSYS: u32 = 52;
const SPIPE: u32 = 70;
/// Most parts of one read or write, and most events of one wait.
const PARTS: u32 = 1024;
/// Kind of file of a terminal or a pipe.
const CHARACTER_DEVICE: u8 = 2;

/// Offers a module what it imports.
pub(super) fn link(linker: &mut Linker<World>, module: &Module) -> Result<(), Error> {
    let mut known = BTreeSet::new();
    for import in module.imports().filter(|import| import.module() == MODULE) {
        let (ExternType::Func(kind), name) = (import.ty(), import.name().to_owned()) else { continue };
        // Go imports some of them twice.
        if !known.insert(name.clone()) {
            continue;
        }
        let told = name.clone();
        linker.func_new(MODULE, &told, kind.clone(), move |mut caller, given, answer| {
            let number = call(&mut caller, &name, given)?;
            match answer {
                [place] if place.ty() == ValType::I32 => *place = Val::I32(number.cast_signed()),
                _ => {}
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Calls one function; its answer is the number of an error.
fn call(caller: &mut Caller<'_, World>, name: &str, given: &[Val]) -> Result<u32, Error> {
    let number = |at: usize| match given.get(at) {
        Some(Val::I32(number)) => u64::from(number.cast_unsigned()),
        Some(Val::I64(number)) => number.cast_unsigned(),
        _ => 0,
    };
    if name == "proc_exit" {
        return Err(Error::i32_exit(u32::try_from(number(0)).unwrap_or(1).cast_signed()));
    }
    let mut view = View::of(caller, MEMORY)?;
    match name {
        "args_sizes_get" | "environ_sizes_get" => sizes(&mut view, name, number(0), number(1)),
        "args_get" => arguments(&mut view, number(0), number(1)),
        "environ_get" | "sched_yield" | "fd_close" | "fd_fdstat_set_flags" => Ok(OK),
        "clock_res_get" => view.write(number(1), &1_u64.to_le_bytes()).map(|()| OK),
        "clock_time_get" => {
            let now = view.caller.data_mut().now();
            view.write(number(2), &now.to_le_bytes()).map(|()| OK)
        }
        "random_get" => view.scatter(number(0), number(1)).map(|()| OK),
        "fd_read" => read(&mut view, number(0), (number(1), number(2)), number(3)),
        "fd_write" => write(&mut view, number(0), (number(1), number(2)), number(3)),
        "fd_seek" | "fd_tell" => Ok(if number(0) < 3 { SPIPE } else { BADF }),
        "fd_prestat_get" | "fd_prestat_dir_name" => Ok(BADF),
        "fd_fdstat_get" => state(&mut view, number(0), number(1), 24),
        "fd_filestat_get" => state(&mut view, number(0), number(1), 64),
        "poll_oneoff" => wait(&mut view, number(0), number(1), number(2), number(3)),
        _ => Ok(NOSYS),
    }
}

/// The name of the program, its only argument.
const ARGUMENT: &[u8] = b"function\0";

fn sizes(view: &mut View<'_, Caller<'_, World>>, name: &str, count: u64, bytes: u64) -> Result<u32, Error> {
    let (parts, size) = if name == "args_sizes_get" { (1_u32, ARGUMENT.len()) } else { (0, 0) };
    view.write(count, &parts.to_le_bytes())?;
    view.write(bytes, &u32::try_from(size).unwrap_or_default().to_le_bytes())?;
    Ok(OK)
}

fn arguments(view: &mut View<'_, Caller<'_, World>>, pointers: u64, bytes: u64) -> Result<u32, Error> {
    view.write(pointers, &u32::try_from(bytes).unwrap_or_default().to_le_bytes())?;
    view.write(bytes, ARGUMENT)?;
    Ok(OK)
}

/// Addresses and lengths of the parts of a read or write.
fn parts(view: &View<'_, Caller<'_, World>>, (list, count): (u64, u64)) -> Result<Option<Vec<(u64, u64)>>, Error> {
    if count > u64::from(PARTS) {
        return Ok(None);
    }
    let part = |index: u64| {
        let at = list.saturating_add(index * 8);
        Ok((u64::from(view.u32(at)?), u64::from(view.u32(at.saturating_add(4))?)))
    };
    (0..count).map(part).collect::<Result<Vec<_>, Error>>().map(Some)
}

fn read(view: &mut View<'_, Caller<'_, World>>, file: u64, list: (u64, u64), done: u64) -> Result<u32, Error> {
    if file != 0 {
        return Ok(BADF);
    }
    let Some(parts) = parts(view, list)? else { return Ok(INVAL) };
    let mut total = 0;
    for (at, count) in parts {
        total += view.fill(at, count)?;
    }
    view.write(done, &u32::try_from(total).unwrap_or_default().to_le_bytes())?;
    Ok(OK)
}

fn write(view: &mut View<'_, Caller<'_, World>>, file: u64, list: (u64, u64), done: u64) -> Result<u32, Error> {
    if !(1..=2).contains(&file) {
        return Ok(BADF);
    }
    let Some(parts) = parts(view, list)? else { return Ok(INVAL) };
    let mut total = 0;
    for (at, count) in parts {
        view.drain(file == 2, at, count)?;
        total += count;
    }
    view.write(done, &u32::try_from(total).unwrap_or_default().to_le_bytes())?;
    Ok(OK)
}

/// What kind of file one is, with all rights; the rest is 0.
fn state(view: &mut View<'_, Caller<'_, World>>, file: u64, at: u64, size: usize) -> Result<u32, Error> {
    if file > 2 {
        return Ok(BADF);
    }
    let mut state = vec![0; size];
    if size == 24 {
        state[0] = CHARACTER_DEVICE;
        state[8..].fill(0xff);
    } else {
        state[16] = CHARACTER_DEVICE;
    }
    view.write(at, &state).map(|()| OK)
}

/// Waits for nothing: files are always ready, and clocks move on at once.
fn wait(view: &mut View<'_, Caller<'_, World>>, asked: u64, told: u64, count: u64, done: u64) -> Result<u32, Error> {
    const CLOCK: u8 = 0;
    const ABSOLUTE: u8 = 1;
    if count == 0 || count > u64::from(PARTS) {
        return Ok(INVAL);
    }
    for index in 0..count {
        let at = asked.saturating_add(index * 48);
        let kind = view.bytes(at.saturating_add(8), 1)?[0];
        if kind == CLOCK {
            let time = view.u64(at.saturating_add(24))?;
            let absolute = view.bytes(at.saturating_add(40), 1)?[0] & ABSOLUTE != 0;
            let clock = &mut view.caller.data_mut().clock;
            *clock = if absolute { time.max(*clock) } else { clock.saturating_add(time) };
        }
        let mut event = [0; 32];
        event[..8].copy_from_slice(&view.u64(at)?.to_le_bytes());
        event[10] = kind;
        view.write(told.saturating_add(index * 32), &event)?;
    }
    view.write(done, &u32::try_from(count).unwrap_or_default().to_le_bytes())?;
    Ok(OK)
}
