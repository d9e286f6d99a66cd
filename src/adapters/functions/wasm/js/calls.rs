//! Calls from this side into the module: of its functions, and of what waits for a time.

use std::collections::BTreeMap;

use wasmi::{AsContextMut, Error, Instance, Memory, Store, StoreContextMut, TypedFunc};

use super::super::{World, steps};
use super::natives::{self, Outcome, thrown};
use super::values::{GO, Kind, Value, Values};

/// Where a call is made from.
pub(super) type Host<'h> = StoreContextMut<'h, World>;

/// How deep calls may go back and forth.
const DEPTH: usize = 64;
/// Bytes of work that going on to a moment counts for.
const PASSING: u64 = 1 << 16;
/// Most moments that are waited for.
const TIMEOUTS: usize = 1 << 16;
/// How often the clock is looked at, and nothing else done, before it goes on to the next moment that is waited for.
const GLANCES: u32 = 64;

/// The world of JavaScript that a module sees.
pub(in super::super) struct Realm {
    /// All values.
    pub(super) values: Values,
    /// Moments that are waited for, by their number, as the clock tells them.
    timeouts: BTreeMap<i32, u64>,
    last: i32,
    /// How often the clock was looked at since something else was done.
    glances: u32,
    /// What the module offers; none while it is put together.
    doors: Option<Doors>,
}

/// What a module offers to this side.
#[derive(Clone, Copy)]
pub(super) struct Doors {
    pub(super) memory: Memory,
    pub(super) stack: TypedFunc<(), i32>,
    resume: TypedFunc<(), ()>,
}

impl Realm {
    /// A world that is empty; its values may take so many bytes.
    pub(in super::super) fn new(most: usize) -> Self {
        Self { values: Values::new(most), timeouts: BTreeMap::new(), last: 0, glances: 0, doors: None }
    }

    /// Takes note of what a module offers.
    pub(super) fn open(store: &mut Store<World>, instance: Instance) -> Result<Memory, Error> {
        let missing = |name: &str| Error::new(format!("it was not made by Go: it exports no {name}"));
        let doors = Doors {
            memory: instance.get_memory(&*store, "mem").ok_or_else(|| missing("memory mem"))?,
            stack: instance.get_typed_func(&*store, "getsp").map_err(|_| missing("function getsp"))?,
            resume: instance.get_typed_func(&*store, "resume").map_err(|_| missing("function resume"))?,
        };
        store.data_mut().realm.doors = Some(doors);
        Ok(doors.memory)
    }

    /// What the module offers.
    pub(super) fn doors(&self) -> Result<Doors, Error> {
        self.doors.ok_or_else(|| Error::new("it calls functions before it is put together"))
    }

    /// Waits for a moment; its number.
    pub(super) fn wait(&mut self, until: u64) -> Result<i32, Error> {
        if self.timeouts.len() >= TIMEOUTS {
            return Err(Error::new(format!("it waits for more than {TIMEOUTS} moments")));
        }
        self.last = self.last.wrapping_add(1);
        self.timeouts.insert(self.last, until);
        Ok(self.last)
    }

    /// Waits for a moment no longer.
    pub(super) fn wait_no_more(&mut self, number: i32) {
        self.timeouts.remove(&number);
    }

    /// Takes note that something is done that is not looking at the clock.
    pub(super) fn busy(&mut self) {
        self.glances = 0;
    }
}

impl World {
    /// The time, for a module that may be doing nothing but wait for it.
    pub(super) fn glance(&mut self) -> u64 {
        self.realm.glances = self.realm.glances.saturating_add(1);
        let next = self.realm.timeouts.values().filter(|until| **until > self.clock).min();
        if let (Some(next), true) = (next, self.realm.glances >= GLANCES) {
            self.clock = *next;
            self.realm.glances = 0;
        }
        self.now()
    }
}

/// Goes on to the next moment that the module waits for; whether there is one.
pub(super) fn pass_time(host: &mut Host<'_>) -> Result<bool, Error> {
    let world = host.data_mut();
    let Some(next) = world.realm.timeouts.values().min() else { return Ok(false) };
    // A millisecond more: it asks to be called again when it finds that its moment has not come.
    world.clock = world.clock.max(*next).saturating_add(1_000_000);
    let resume = world.realm.doors()?.resume;
    // Going on is work too, even when the module does nothing with it.
    steps::charge(host.as_context_mut(), PASSING)?;
    steps::call(host, resume, ())?;
    Ok(true)
}

/// Calls a function.
pub(super) fn invoke(host: &mut Host<'_>, function: &Value, this: Value, given: Vec<Value>) -> Result<Outcome, Error> {
    match host.data().realm.values.kind(function) {
        Some(Kind::Native(native)) => natives::call(host, *native, &given),
        Some(Kind::Go(number)) => enter(host, *number, this, given),
        _ => thrown(host, "it is not a function"),
    }
}

/// Calls a function of the module: an event that it finds, with the answer in it afterwards.
fn enter(host: &mut Host<'_>, number: u32, this: Value, given: Vec<Value>) -> Result<Outcome, Error> {
    let realm = &mut host.data_mut().realm;
    if realm.values.depth() >= DEPTH {
        return Err(Error::new(format!("its calls go back and forth more than {DEPTH} deep")));
    }
    let resume = realm.doors()?.resume;
    let given = Value::Object(realm.values.add(Kind::Array(given))?);
    let event = [("id", Value::Number(f64::from(number))), ("this", this), ("args", given)];
    let event = realm.values.plain(&event)?;
    realm.values.set(GO, "_pendingEvent", Value::Object(event))?;
    realm.values.hold(event);
    steps::call(host.as_context_mut(), resume, ())?;
    let values = &mut host.data_mut().realm.values;
    values.release();
    values.get(event, "result").map(Ok)
}
