//! The values of JavaScript that a module can hold, and the numbers by which it names them.
//!
//! A module names a value by eight bytes: a number by itself, `undefined` by 0, and all else by a NaN with the number
//! of a value and its kind (`syscall/js`, type `ref`). It counts its own references. What is kept here for it is
//! bounded, and objects that nothing leads to any more are given up.

use std::collections::BTreeMap;
use std::rc::Rc;

use wasmi::Error;

use super::super::Stop;
use super::natives::Native;

/// An object, by its place.
pub(super) type ObjectId = u32;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    Text(Rc<str>),
    Object(ObjectId),
}

impl Value {
    /// A text.
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// As `String(value)` writes it.
    pub(super) fn shown(&self) -> Rc<str> {
        match self {
            Self::Undefined => "undefined".into(),
            Self::Null => "null".into(),
            Self::Bool(is) => is.to_string().into(),
            Self::Number(number) => number_text(*number).into(),
            Self::Text(text) => Rc::clone(text),
            Self::Object(_) => "[object Object]".into(),
        }
    }

    /// Bytes that holding it takes.
    fn size(&self) -> usize {
        CELL + if let Self::Text(text) = self { text.len() } else { 0 }
    }
}

/// A number as JavaScript writes it: the fewest digits that tell it, with an exponent when it is far from 1
/// (ECMA-262, `Number::toString`).
fn number_text(number: f64) -> String {
    match number.abs() {
        size if number.is_nan() || size == 0.0 => if number.is_nan() { "NaN" } else { "0" }.to_owned(),
        size if size.is_infinite() => format!("{}Infinity", if number < 0.0 { "-" } else { "" }),
        size if (1e-6..1e21).contains(&size) => number.to_string(),
        _ => {
            let text = format!("{number:e}");
            if text.contains("e-") { text } else { text.replace('e', "e+") }
        }
    }
}

/// What an object is.
#[derive(Debug)]
pub(super) enum Kind {
    Plain,
    Error,
    Date,
    Array(Vec<Value>),
    /// A `Uint8Array`.
    Bytes(Vec<u8>),
    /// A function of this side.
    Native(Native),
    /// A function of the module.
    Go(u32),
}

/// An object, with the properties that were set.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) kind: Kind,
    pub(super) properties: BTreeMap<Rc<str>, Value>,
}

impl Object {
    fn size(&self) -> usize {
        let own = match &self.kind {
            Kind::Array(items) => items.iter().map(Value::size).sum(),
            Kind::Bytes(bytes) => bytes.len(),
            _ => 0,
        };
        OBJECT + own + self.properties.iter().map(|(name, value)| CELL + name.len() + value.size()).sum::<usize>()
    }
}

/// Bytes that an object and a cell of one count for.
const OBJECT: usize = 128;
const CELL: usize = 32;
/// Bytes that may be taken before objects are looked through the first time.
const FLOOR: usize = 1 << 20;

/// The bits of a NaN that say that the rest is the number of a value.
const NAN: u64 = 0x7ff8_0000 << 32;
/// Kinds of values beside their numbers.
const OBJECT_FLAG: u64 = 1 << 32;
const TEXT_FLAG: u64 = 2 << 32;
const FUNCTION_FLAG: u64 = 4 << 32;

/// What a module holds: a value and how often.
#[derive(Debug)]
struct Reference {
    value: Value,
    count: u64,
}

/// Values whose reference a module finds by what they are.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Text(Rc<str>),
    Object(ObjectId),
}

/// All objects and references.
#[derive(Debug)]
pub(super) struct Values {
    objects: Vec<Option<Object>>,
    vacant: Vec<ObjectId>,
    references: Vec<Option<Reference>>,
    returned: Vec<u32>,
    numbers: BTreeMap<Key, u32>,
    /// Objects that are in use here.
    held: Vec<ObjectId>,
    /// Bytes in use when it was last looked, bytes taken since, and the most of both.
    used: usize,
    taken: usize,
    most: usize,
    /// Bytes that were handled and not yet accounted for as work.
    work: u64,
}

/// The object whose properties are the global names.
pub(super) const GLOBAL: ObjectId = 0;
/// The object by which Go's runtime and this side talk.
pub(super) const GO: ObjectId = 1;
/// References that are there from the start, which are never given up: NaN, 0, null, true, false and the two objects.
const FIXED: u32 = 7;

impl Values {
    /// The two objects and their references; at most so many bytes.
    pub(super) fn new(most: usize) -> Self {
        let fixed = [
            Value::Number(f64::NAN),
            Value::Number(0.0),
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            Value::Object(GLOBAL),
            Value::Object(GO),
        ];
        let object = || Some(Object { kind: Kind::Plain, properties: BTreeMap::new() });
        Self {
            objects: vec![object(), object()],
            vacant: Vec::new(),
            references: fixed.map(|value| Some(Reference { value, count: 0 })).into(),
            returned: Vec::new(),
            numbers: [(Key::Object(GLOBAL), 5), (Key::Object(GO), 6)].into(),
            held: Vec::new(),
            used: 0,
            taken: 0,
            most,
            work: 0,
        }
    }

    /// Takes note of bytes that are about to be taken.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Error> {
        self.room(bytes)?;
        self.taken = self.taken.saturating_add(bytes);
        Ok(())
    }

    /// Makes sure that there is room for bytes, which will be handled.
    pub(super) fn room(&mut self, bytes: usize) -> Result<(), Error> {
        self.handled(bytes);
        let wanted = self.used.saturating_add(self.taken).saturating_add(bytes);
        if wanted > self.most { Err(Error::host(Stop::Values)) } else { Ok(()) }
    }

    /// Takes note of bytes that are handled.
    pub(super) fn handled(&mut self, bytes: usize) {
        self.work = self.work.saturating_add(bytes as u64);
    }

    /// What was handled since this was last asked.
    pub(super) fn work(&mut self) -> u64 {
        std::mem::take(&mut self.work)
    }

    /// A new object.
    pub(super) fn add(&mut self, kind: Kind) -> Result<ObjectId, Error> {
        let object = Object { kind, properties: BTreeMap::new() };
        self.take(object.size())?;
        if let Some(id) = self.vacant.pop() {
            self.objects[id as usize] = Some(object);
            return Ok(id);
        }
        let id = u32::try_from(self.objects.len()).map_err(|_| Error::host(Stop::Values))?;
        self.objects.push(Some(object));
        Ok(id)
    }

    /// An object.
    pub(super) fn object(&self, id: ObjectId) -> Result<&Object, Error> {
        self.objects.get(id as usize).and_then(Option::as_ref).ok_or_else(lost)
    }

    /// An object, to be changed.
    pub(super) fn object_mut(&mut self, id: ObjectId) -> Result<&mut Object, Error> {
        self.objects.get_mut(id as usize).and_then(Option::as_mut).ok_or_else(lost)
    }

    /// The object that a value is.
    pub(super) fn kind(&self, value: &Value) -> Option<&Kind> {
        let Value::Object(id) = value else { return None };
        self.object(*id).ok().map(|object| &object.kind)
    }

    /// Keeps an object while it is in use here.
    pub(super) fn hold(&mut self, id: ObjectId) {
        self.held.push(id);
    }

    /// Lets go of what was last kept.
    pub(super) fn release(&mut self) {
        self.held.pop();
    }

    /// How many objects are kept.
    pub(super) fn depth(&self) -> usize {
        self.held.len()
    }

    /// The value that eight bytes name.
    pub(super) fn named(&self, bits: u64) -> Result<Value, Error> {
        let number = f64::from_bits(bits);
        if number == 0.0 {
            return Ok(Value::Undefined);
        }
        if !number.is_nan() {
            return Ok(Value::Number(number));
        }
        let reference = self.references.get((bits & 0xffff_ffff) as usize).and_then(Option::as_ref);
        reference.map(|reference| reference.value.clone()).ok_or_else(lost)
    }

    /// The eight bytes that name a value from now on, one reference more.
    pub(super) fn name(&mut self, value: &Value) -> Result<u64, Error> {
        let (key, flag) = match value {
            Value::Undefined => return Ok(0),
            Value::Number(number) if number.is_nan() => return Ok(NAN),
            Value::Number(0.0) => return Ok(NAN | 1),
            Value::Number(number) => return Ok(number.to_bits()),
            Value::Null => return Ok(NAN | 2),
            Value::Bool(true) => return Ok(NAN | 3),
            Value::Bool(false) => return Ok(NAN | 4),
            Value::Text(text) => {
                self.handled(text.len());
                (Key::Text(Rc::clone(text)), TEXT_FLAG)
            }
            Value::Object(id) => {
                let function = matches!(self.object(*id)?.kind, Kind::Native(_) | Kind::Go(_));
                (Key::Object(*id), if function { FUNCTION_FLAG } else { OBJECT_FLAG })
            }
        };
        let number = match self.numbers.get(&key) {
            Some(number) => *number,
            None => self.refer(key, value)?,
        };
        if let Some(Some(reference)) = self.references.get_mut(number as usize) {
            reference.count += 1;
        }
        Ok(NAN | flag | u64::from(number))
    }

    fn refer(&mut self, key: Key, value: &Value) -> Result<u32, Error> {
        self.take(CELL * 2)?;
        let reference = Some(Reference { value: value.clone(), count: 0 });
        let number = if let Some(number) = self.returned.pop() {
            self.references[number as usize] = reference;
            number
        } else {
            self.references.push(reference);
            u32::try_from(self.references.len() - 1).map_err(|_| Error::host(Stop::Values))?
        };
        self.numbers.insert(key, number);
        Ok(number)
    }

    /// Takes back one reference.
    pub(super) fn forget(&mut self, number: u32) -> Result<(), Error> {
        if number < FIXED {
            return Ok(());
        }
        let place = self.references.get_mut(number as usize).ok_or_else(lost)?;
        let reference = place.as_mut().ok_or_else(lost)?;
        reference.count = reference.count.saturating_sub(1);
        if reference.count > 0 {
            return Ok(());
        }
        let key = match place.take().map(|reference| reference.value) {
            Some(Value::Text(text)) => Key::Text(text),
            Some(Value::Object(id)) => Key::Object(id),
            _ => return Ok(()),
        };
        self.numbers.remove(&key);
        self.returned.push(number);
        Ok(())
    }

    /// Gives up the objects that nothing leads to, when enough was taken since the last time that it is worth it. Only
    /// objects that the module names, that lead from the global names, or that are held are kept: no other may be in
    /// use.
    pub(super) fn tidy(&mut self) {
        if self.taken < FLOOR.max(self.used).min(self.most / 4) {
            return;
        }
        let mut reached = vec![false; self.objects.len()];
        let mut next: Vec<ObjectId> = self.held.clone();
        self.used = 0;
        for reference in self.references.iter().flatten() {
            self.used += reference.value.size();
            next.extend(id_of(&reference.value));
        }
        while let Some(id) = next.pop() {
            let Some(Some(object)) = self.objects.get(id as usize) else { continue };
            if std::mem::replace(&mut reached[id as usize], true) {
                continue;
            }
            self.used += object.size();
            next.extend(object.properties.values().filter_map(id_of));
            if let Kind::Array(items) = &object.kind {
                next.extend(items.iter().filter_map(id_of));
            }
        }
        self.vacant.clear();
        for (id, (place, reached)) in (0..).zip(self.objects.iter_mut().zip(reached)) {
            if !reached {
                *place = None;
                self.vacant.push(id);
            }
        }
        self.taken = 0;
    }
}

fn id_of(value: &Value) -> Option<ObjectId> {
    if let Value::Object(id) = value { Some(*id) } else { None }
}

fn lost() -> Error {
    Error::new("it names a value that is not there")
}
