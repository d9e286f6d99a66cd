//! A module's memory, as functions of the host see it: every address may be wrong.

use wasmi::{AsContextMut, Caller, Error, Extern, Memory, TrapCode};

use super::World;
use super::steps::charge;

/// The memory of the module that calls.
pub(super) struct View<'c, C> {
    /// The call.
    pub(super) caller: &'c mut C,
    memory: Memory,
}

impl<'c, 'w> View<'c, Caller<'w, World>> {
    /// The memory that the module exports under a name.
    pub(super) fn of(caller: &'c mut Caller<'w, World>, name: &str) -> Result<Self, Error> {
        match caller.get_export(name) {
            Some(Extern::Memory(memory)) => Ok(Self { caller, memory }),
            _ => Err(Error::new(format!("the module exports no memory {name:?}"))),
        }
    }
}

impl<'c, C: AsContextMut<Data = World>> View<'c, C> {
    /// A memory, from where it is called.
    pub(super) fn at(caller: &'c mut C, memory: Memory) -> Self {
        Self { caller, memory }
    }

    /// Bytes at an address.
    pub(super) fn bytes(&self, at: u64, count: u64) -> Result<&[u8], Error> {
        let range = range(at, count)?;
        self.memory.data(self.caller.as_context()).get(range).ok_or_else(outside)
    }

    /// Writes bytes.
    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        charge(&mut *self.caller, bytes.len() as u64)?;
        let range = range(at, bytes.len() as u64)?;
        let place = self.memory.data_mut(self.caller.as_context_mut()).get_mut(range).ok_or_else(outside)?;
        place.copy_from_slice(bytes);
        Ok(())
    }

    /// Writes what is left of the input into the memory; says how much that was.
    pub(super) fn fill(&mut self, at: u64, count: u64) -> Result<u64, Error> {
        charge(&mut *self.caller, count)?;
        let range = range(at, count)?;
        let (data, world) = self.memory.data_and_store_mut(self.caller.as_context_mut());
        let place = data.get_mut(range).ok_or_else(outside)?;
        let bytes = world.take(place.len());
        place[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len() as u64)
    }

    /// Takes bytes out of the memory as output, or as standard error.
    pub(super) fn drain(&mut self, to_stderr: bool, at: u64, count: u64) -> Result<(), Error> {
        charge(&mut *self.caller, count)?;
        let range = range(at, count)?;
        let (data, world) = self.memory.data_and_store_mut(self.caller.as_context_mut());
        let bytes = data.get(range).ok_or_else(outside)?;
        world.write(to_stderr, bytes)
    }

    /// Fills memory with what counts as random.
    pub(super) fn scatter(&mut self, at: u64, count: u64) -> Result<(), Error> {
        // Making a byte up takes longer than copying many.
        charge(&mut *self.caller, count.saturating_mul(64))?;
        let range = range(at, count)?;
        let (data, world) = self.memory.data_and_store_mut(self.caller.as_context_mut());
        data.get_mut(range).ok_or_else(outside)?.fill_with(|| world.random());
        Ok(())
    }

    /// A number of four bytes.
    pub(super) fn u32(&self, at: u64) -> Result<u32, Error> {
        self.bytes(at, 4).map(|bytes| bytes.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// A number of eight bytes.
    pub(super) fn u64(&self, at: u64) -> Result<u64, Error> {
        self.bytes(at, 8).map(|bytes| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

fn range(at: u64, count: u64) -> Result<std::ops::Range<usize>, Error> {
    let end = at.checked_add(count).ok_or_else(outside)?;
    let (Ok(start), Ok(end)) = (usize::try_from(at), usize::try_from(end)) else { return Err(outside()) };
    Ok(start..end)
}

fn outside() -> Error {
    TrapCode::MemoryOutOfBounds.into()
}
