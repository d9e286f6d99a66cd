//! Modules that Go makes for JavaScript (`GOOS=js`), as the alpha functions of kpt are, without a JavaScript engine:
//! the few values and functions that Go's runtime and `syscall/js` need, and nothing else.
//!
//! Such a module sets `processResourceList` among the global names: a function from the text of a `ResourceList` to the
//! text of the one that it answers. What it answers is no `ResourceList` when it failed, and
//! `processResourceListErrors`, which it may set too, tells more (kpt, `internal/fnruntime`; the catalogue's
//! functions).
//!
//! There are no files, no environment and no network: what asks for them is told `ENOSYS`, as by Go's own
//! `wasm_exec.js` in a browser. What is printed is told as standard error. Events happen in the order of the moments
//! that are waited for, on the clock of the module, which goes on to the next moment when nothing else is to be done.

mod calls;
mod imports;
mod natives;
mod objects;
mod values;

use std::rc::Rc;

use wasmi::{AsContextMut, Error, Instance, Linker, Module, Store};

use super::{End, World, steps};
use crate::domain::krm::document;
use calls::{Host, invoke, pass_time};
use values::{GLOBAL, Kind, Value};

pub(super) use calls::Realm;

/// What kpt calls, and what tells more when that failed.
const ENTRY: &str = "processResourceList";
const ERRORS: &str = "processResourceListErrors";
/// Where Go looks for its arguments, and the name of the program, its only one.
const ARGUMENTS: usize = 4096;
const ARGUMENT: &[u8; 16] = b"function\0\0\0\0\0\0\0\0";
/// Bytes of an answer that are told when it is no list.
const TOLD: usize = 4096;

/// Whether a module is one of these.
pub(super) fn is_script(module: &Module) -> bool {
    module.imports().any(|import| imports::MODULES.contains(&import.module()))
}

/// Offers a module what it imports.
pub(super) fn link(linker: &mut Linker<World>, module: &Module) -> Result<(), Error> {
    imports::link(linker, module)
}

/// Starts a module and has it process a list, which becomes its output.
pub(super) fn process(store: &mut Store<World>, instance: Instance, list: &str) -> Result<(), End> {
    begin(store, instance).map_err(|error| ended(&error, "before it could be called"))?;
    let mut host = store.as_context_mut();
    let answer = ask(&mut host, ENTRY, list).map_err(|error| ended(&error, "before it answered"))?;
    if !is_list(&answer) {
        let more = ask(&mut host, ERRORS, list).unwrap_or_default();
        return Err(End::Trap(refusal(&answer, &more)));
    }
    host.data_mut().write(false, answer.as_bytes()).map_err(|error| End::of(&error))
}

/// An end, which is one even when the module thought that all was well.
fn ended(error: &Error, when: &str) -> End {
    match End::of(error) {
        End::Exit(0) => End::Trap(format!("it ended {when}")),
        end => end,
    }
}

/// Runs a module until the function that is to be called is there, or nothing more can happen.
fn begin(store: &mut Store<World>, instance: Instance) -> Result<(), Error> {
    natives::install(&mut store.data_mut().realm.values)?;
    let memory = Realm::open(store, instance)?;
    let run = instance.get_typed_func::<(i32, i32), ()>(&*store, "run");
    let run = run.map_err(|_| Error::new("it was not made by Go: it exports no function run"))?;
    let place = ARGUMENTS..ARGUMENTS + ARGUMENT.len() + 24;
    let arguments = memory.data_mut(&mut *store).get_mut(place).ok_or_else(|| Error::new("its memory is too small"))?;
    let (name, pointers) = arguments.split_at_mut(ARGUMENT.len());
    name.copy_from_slice(ARGUMENT);
    // The address of the one argument, the end of the arguments, and that of an environment of nothing.
    pointers.fill(0);
    pointers[..8].copy_from_slice(&(ARGUMENTS as u64).to_le_bytes());
    let at = i32::try_from(ARGUMENTS + ARGUMENT.len()).unwrap_or_default();
    steps::call(&mut *store, run, (1, at))?;
    let mut host = store.as_context_mut();
    while host.data().realm.values.get(GLOBAL, ENTRY)? == Value::Undefined {
        if !pass_time(&mut host)? {
            return Err(Error::new(format!("it has no function {ENTRY}; kpt's functions set one")));
        }
    }
    Ok(())
}

/// Calls a global function with a text, and answers the text that it answers.
fn ask(host: &mut Host<'_>, name: &str, list: &str) -> Result<Rc<str>, Error> {
    let values = &mut host.data_mut().realm.values;
    values.take(list.len())?;
    let function = values.get(GLOBAL, name)?;
    if !matches!(values.kind(&function), Some(Kind::Go(_))) {
        return Err(Error::new(format!("its {name} is no function")));
    }
    match invoke(host, &function, Value::Undefined, vec![Value::text(list)])? {
        Ok(Value::Text(text)) => Ok(text),
        Ok(other) => Err(Error::new(format!("its {name} answered {}, not a text", other.shown()))),
        Err(_) => Err(Error::new(format!("its {name} threw an error"))),
    }
}

/// Whether a text is a `ResourceList`: one document of that kind.
fn is_list(text: &str) -> bool {
    document::read(text.as_bytes(), &document::Limits::default()).is_ok_and(
        |all| matches!(&all[..], [(_, value)] if value.get("kind").is_some_and(|kind| kind == "ResourceList")),
    )
}

fn refusal(answer: &str, more: &str) -> String {
    let mut told = format!("it answered no ResourceList but {:?}", start(answer));
    if !more.trim().is_empty() {
        told.push_str(": ");
        told.push_str(start(more.trim()));
    }
    told
}

/// The start of a text, which can be told.
fn start(text: &str) -> &str {
    &text[..text.floor_char_boundary(TOLD)]
}

#[cfg(test)]
mod tests;
