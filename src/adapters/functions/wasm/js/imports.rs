//! What Go's runtime and its package `syscall/js` import: functions that find what they are given on Go's stack, and
//! put their answers there.
//!
//! Source: the signatures in `syscall/js/js.go` and `runtime` of Go; arguments begin 8 bytes above the stack pointer,
//! each as Go lays out its type, and results follow them.

use std::collections::BTreeSet;
use std::rc::Rc;

use wasmi::{AsContextMut, Caller, Error, ExternType, FuncType, Linker, Module, Val, ValType};

use super::super::World;
use super::super::memory::View;
use super::calls::{Doors, Host, invoke};
use super::natives::{Outcome, construct, thrown};
use super::values::{Kind, ObjectId, Value, Values};
use crate::adapters::functions::wasm::steps;

/// What modules import that Go compiled for a JavaScript engine, by its present and its old name.
pub(in super::super) const MODULES: [&str; 2] = ["gojs", "go"];

/// Offers a module what it imports.
pub(super) fn link(linker: &mut Linker<World>, module: &Module) -> Result<(), Error> {
    let mut known = BTreeSet::new();
    let form = FuncType::new([ValType::I32], []);
    for import in module.imports().filter(|import| MODULES.contains(&import.module())) {
        let name = import.name().to_owned();
        let fits = matches!(import.ty(), ExternType::Func(kind) if *kind == form);
        if !fits || !known.insert((import.module(), name.clone())) {
            continue;
        }
        linker.func_new(import.module(), import.name(), form.clone(), move |caller, given, _| {
            let stack = given.first().and_then(Val::i32).unwrap_or_default().cast_unsigned();
            answer(caller, &name, stack)
        })?;
    }
    Ok(())
}

/// Answers one call, and takes steps for what that was.
fn answer(mut caller: Caller<'_, World>, name: &str, stack: u32) -> Result<(), Error> {
    let mut host = caller.as_context_mut();
    let realm = &mut host.data_mut().realm;
    realm.values.tidy();
    if name != "runtime.nanotime1" && name != "runtime.nanotime" {
        realm.busy();
    }
    let doors = realm.doors()?;
    let mut frame = Frame { host: &mut host, doors, stack: u64::from(stack) };
    match name.strip_prefix("syscall/js.") {
        Some(name) => frame.script(name)?,
        None => frame.runtime(name)?,
    }
    let work = host.data_mut().realm.values.work();
    steps::charge(host, work)
}

/// One call: where Go's stack is.
struct Frame<'f, 'h> {
    host: &'f mut Host<'h>,
    doors: Doors,
    stack: u64,
}

impl<'h> Frame<'_, 'h> {
    fn runtime(&mut self, name: &str) -> Result<(), Error> {
        match name {
            "runtime.wasmExit" => Err(Error::i32_exit(self.short(8)?)),
            "runtime.wasmWrite" => {
                let (at, length) = (self.long(16)?, u64::from(self.short(24)?.cast_unsigned()));
                self.view().drain(true, at, length)
            }
            "runtime.resetMemoryDataView" | "debug" => Ok(()),
            "runtime.nanotime1" | "runtime.nanotime" => {
                let now = self.host.data_mut().glance();
                self.put(8, now)
            }
            "runtime.walltime" | "runtime.walltime1" => {
                let now = self.host.data_mut().now();
                self.put(8, now / 1_000_000_000)?;
                self.put_short(16, u32::try_from(now % 1_000_000_000).unwrap_or_default().cast_signed())
            }
            "runtime.scheduleTimeoutEvent" => {
                let delay = self.long(8)?.saturating_mul(1_000_000);
                let world = self.host.data_mut();
                let number = world.realm.wait(world.clock.saturating_add(delay))?;
                self.put_short(16, number)
            }
            "runtime.clearTimeoutEvent" => {
                let number = self.short(8)?;
                self.host.data_mut().realm.wait_no_more(number);
                Ok(())
            }
            "runtime.getRandomData" => {
                let (at, length) = (self.long(8)?, self.long(16)?);
                self.view().scatter(at, length)
            }
            _ => Err(unknown(name)),
        }
    }

    fn script(&mut self, name: &str) -> Result<(), Error> {
        match name {
            "finalizeRef" => {
                let number = self.short(8)?.cast_unsigned();
                self.values().forget(number)
            }
            "stringVal" => {
                let text = self.text(8)?;
                self.name(24, &Value::Text(text))
            }
            "valueGet" => {
                let (id, name) = (self.object(8)?, self.text(16)?);
                let value = self.values().get(id, &name)?;
                self.name(32, &value)
            }
            "valueSet" => {
                let (id, name, value) = (self.object(8)?, self.text(16)?, self.value(32)?);
                self.values().set(id, &name, value)
            }
            "valueDelete" => {
                let (id, name) = (self.object(8)?, self.text(16)?);
                self.values().delete(id, &name)
            }
            "valueIndex" => {
                let (id, index) = (self.object(8)?, self.long(16)?.cast_signed());
                let value = self.values().index(id, index)?;
                self.name(24, &value)
            }
            "valueSetIndex" => {
                let (id, index, value) = (self.object(8)?, self.long(16)?.cast_signed(), self.value(24)?);
                self.values().set_index(id, index, value)
            }
            "valueLength" => {
                let id = self.object(8)?;
                let length = self.values().length(id)?;
                self.put(16, length.cast_unsigned())
            }
            "valueCall" => self.method(),
            "valueInvoke" => {
                let (function, given) = (self.value(8)?, self.list(16)?);
                let outcome = invoke(self.host, &function, Value::Undefined, given)?;
                self.outcome(40, outcome)
            }
            "valueNew" => self.made(),
            "valuePrepareString" => self.prepare(),
            "valueLoadString" => self.load(),
            "valueInstanceOf" => {
                let (value, of) = (self.value(8)?, self.value(16)?);
                let is = self.values().made_by(&value, &of);
                let is = is.ok_or_else(|| Error::new("it asks whether a value is of what is no constructor"))?;
                self.write(24, &[u8::from(is)])
            }
            "copyBytesToGo" => self.copy_out(),
            "copyBytesToJS" => self.copy_in(),
            _ => Err(unknown(name)),
        }
    }

    fn method(&mut self) -> Result<(), Error> {
        let (this, name, given) = (self.value(8)?, self.text(16)?, self.list(32)?);
        let function = match this {
            Value::Object(id) => self.values().get(id, &name)?,
            _ => Value::Undefined,
        };
        let outcome = invoke(self.host, &function, this, given)?;
        self.outcome(56, outcome)
    }

    fn made(&mut self) -> Result<(), Error> {
        let (of, given) = (self.value(8)?, self.list(16)?);
        let native = if let Some(Kind::Native(native)) = self.values().kind(&of) { Some(*native) } else { None };
        let outcome = match native {
            Some(native) => construct(self.host, native, &given)?,
            None => thrown(self.host, "it is not a constructor")?,
        };
        self.outcome(40, outcome)
    }

    /// Text as bytes, which are fetched then.
    fn prepare(&mut self) -> Result<(), Error> {
        let text = self.value(8)?.shown();
        self.values().room(text.len())?;
        let bytes = self.values().add(Kind::Bytes(text.as_bytes().to_vec()))?;
        self.name(16, &Value::Object(bytes))?;
        self.put(24, text.len() as u64)
    }

    fn load(&mut self) -> Result<(), Error> {
        let (from, at, room) = (self.value(8)?, self.long(16)?, self.long(24)?);
        self.fetch(&from, at, room)?.ok_or_else(|| Error::new("it loads a text that is none")).map(drop)
    }

    fn copy_out(&mut self) -> Result<(), Error> {
        let (at, room, from) = (self.long(8)?, self.long(16)?, self.value(32)?);
        let copied = self.fetch(&from, at, room)?;
        self.copied(copied)
    }

    /// Copies bytes into the memory, as many as there is room for; none when the value is no bytes.
    fn fetch(&mut self, from: &Value, at: u64, room: u64) -> Result<Option<u64>, Error> {
        let Some(Kind::Bytes(bytes)) = self.values().kind(from) else { return Ok(None) };
        let most = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
        let part = bytes[..most].to_vec();
        self.view().write(at, &part).map(|()| Some(part.len() as u64))
    }

    fn copy_in(&mut self) -> Result<(), Error> {
        let (to, at, length) = (self.value(8)?, self.long(16)?, self.long(24)?);
        let Some(Kind::Bytes(place)) = self.values().kind(&to) else { return self.copied(None) };
        let length = length.min(place.len() as u64);
        let fresh = self.bytes(at, length)?;
        if let (Value::Object(id), true) = (&to, length > 0)
            && let Kind::Bytes(place) = &mut self.values().object_mut(*id)?.kind
        {
            place[..fresh.len()].copy_from_slice(&fresh);
        }
        self.copied(Some(length))
    }

    /// How much was copied, if any could be.
    fn copied(&mut self, count: Option<u64>) -> Result<(), Error> {
        if let Some(count) = count {
            self.put(40, count)?;
        }
        self.write(48, &[u8::from(count.is_some())])
    }

    /// Puts how a call ended on the stack, which may be another one since.
    fn outcome(&mut self, offset: u64, outcome: Outcome) -> Result<(), Error> {
        let stack = steps::call(self.host.as_context_mut(), self.doors.stack, ())?;
        self.stack = u64::from(stack.cast_unsigned());
        let fine = outcome.is_ok();
        let (Ok(value) | Err(value)) = outcome;
        self.name(offset, &value)?;
        self.write(offset + 8, &[u8::from(fine)])
    }

    fn values(&mut self) -> &mut Values {
        &mut self.host.data_mut().realm.values
    }

    fn view(&mut self) -> View<'_, Host<'h>> {
        View::at(self.host, self.doors.memory)
    }

    /// Bytes of the memory.
    fn bytes(&mut self, at: u64, length: u64) -> Result<Vec<u8>, Error> {
        let room = usize::try_from(length).unwrap_or(usize::MAX);
        self.values().room(room)?;
        self.view().bytes(at, length).map(<[u8]>::to_vec)
    }

    fn long(&mut self, offset: u64) -> Result<u64, Error> {
        let at = self.stack + offset;
        self.view().u64(at)
    }

    fn short(&mut self, offset: u64) -> Result<i32, Error> {
        let at = self.stack + offset;
        self.view().u32(at).map(u32::cast_signed)
    }

    fn value(&mut self, offset: u64) -> Result<Value, Error> {
        let bits = self.long(offset)?;
        self.values().named(bits)
    }

    fn object(&mut self, offset: u64) -> Result<ObjectId, Error> {
        match self.value(offset)? {
            Value::Object(id) => Ok(id),
            other => Err(Error::new(format!("it takes {:?} for an object", other.shown()))),
        }
    }

    /// A text, by its address and length; what is no UTF-8 in it is replaced.
    fn text(&mut self, offset: u64) -> Result<Rc<str>, Error> {
        let (at, length) = (self.long(offset)?, self.long(offset + 8)?);
        let bytes = self.bytes(at, length)?;
        let text = String::from_utf8_lossy(&bytes);
        self.values().take(text.len())?;
        Ok(text.into())
    }

    /// Values, by the address and length of their list.
    fn list(&mut self, offset: u64) -> Result<Vec<Value>, Error> {
        let (at, length) = (self.long(offset)?, self.long(offset + 8)?);
        let bytes = self.bytes(at, length.saturating_mul(8))?;
        let numbers =
            bytes.chunks_exact(8).map(|part| part.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)));
        self.values().room(bytes.len().saturating_mul(4))?;
        numbers.map(|bits| self.values().named(bits)).collect()
    }

    fn put(&mut self, offset: u64, number: u64) -> Result<(), Error> {
        self.write(offset, &number.to_le_bytes())
    }

    fn put_short(&mut self, offset: u64, number: i32) -> Result<(), Error> {
        self.write(offset, &number.to_le_bytes())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let at = self.stack + offset;
        self.view().write(at, bytes)
    }

    /// Gives the module a value.
    fn name(&mut self, offset: u64, value: &Value) -> Result<(), Error> {
        let bits = self.values().name(value)?;
        self.put(offset, bits)
    }
}

fn unknown(name: &str) -> Error {
    Error::new(format!("it calls {name}, which is not known here"))
}
