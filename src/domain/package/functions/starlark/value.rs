//! Values, and the store that those live in which can be changed or hold others. Nothing in it is given back before the
//! program ends: what a program may use is counted as it asks for it, values that hold themselves do no harm, and no
//! chain of values is ever taken apart link by link.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::ast::{Function, Name};
use super::fault::{Fault, Outcome};

/// A value.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a point.
    Float(f64),
    /// A text.
    Text(Rc<str>),
    /// A tuple, in the store.
    Tuple(usize),
    /// A list, in the store.
    List(usize),
    /// A dict, in the store.
    Dict(usize),
    /// A set, in the store.
    Set(usize),
    /// What `range` gives.
    Range(Rc<Range>),
    /// A function of the program, in the store.
    Function(usize),
    /// A function that is there from the start.
    Builtin(&'static str),
    /// A method of a value.
    Method(Rc<(Value, Rc<str>)>),
    /// A function of a module.
    Member(&'static str, &'static str),
    /// A module, or `ctx`: a name and its members.
    Module(Rc<Module>),
}

/// Named values that are fixed.
#[derive(Debug)]
pub(super) struct Module {
    /// Its name.
    pub(super) name: &'static str,
    /// Its members.
    pub(super) members: BTreeMap<&'static str, Value>,
}

/// Numbers at equal distances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// The first.
    pub(super) start: i128,
    /// How many.
    pub(super) count: i128,
    /// How far apart.
    pub(super) step: i128,
    /// What they end before.
    pub(super) stop: i128,
}

/// A value as a key of dicts and sets: 1 and 1.0 are one key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// `None`.
    None,
    /// A bool.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Another number, by its bits.
    Float(u64),
    /// A text.
    Text(Rc<str>),
    /// A tuple.
    Tuple(Vec<Key>),
    /// A function.
    Function(usize),
    /// A function that is there from the start.
    Builtin(&'static str),
}

/// A list and how many loops go over it.
#[derive(Debug, Default)]
pub(super) struct List {
    /// Its elements.
    pub(super) items: Vec<Value>,
    /// Loops that go over it; it cannot be changed meanwhile.
    pub(super) loops: usize,
}

/// A dict, or a set, whose values are then `None`; in the order in which keys came.
#[derive(Debug, Default)]
pub(super) struct Dict {
    slots: Vec<Option<(Value, Value)>>,
    places: BTreeMap<Key, usize>,
    /// Loops that go over it; it cannot be changed meanwhile.
    pub(super) loops: usize,
}

impl Dict {
    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &Key) -> Option<&Value> {
        self.slots.get(*self.places.get(key)?)?.as_ref().map(|(_, value)| value)
    }

    /// Puts a value under a key; a key that is there keeps its place. Says whether it is new.
    pub(super) fn insert(&mut self, key: Key, name: Value, value: Value) -> bool {
        if let Some(Some((_, old))) = self.places.get(&key).and_then(|place| self.slots.get_mut(*place)) {
            *old = value;
            return false;
        }
        self.places.insert(key, self.slots.len());
        self.slots.push(Some((name, value)));
        true
    }

    /// Takes a key out.
    pub(super) fn remove(&mut self, key: &Key) -> Option<(Value, Value)> {
        let taken = self.slots.get_mut(self.places.remove(key)?)?.take();
        if self.slots.len() > 32 && self.slots.len() > 2 * self.places.len() {
            self.close_gaps();
        }
        taken
    }

    fn close_gaps(&mut self) {
        let mut moved = vec![0; self.slots.len()];
        let mut next = 0;
        for (place, slot) in self.slots.iter().enumerate() {
            moved[place] = next;
            next += usize::from(slot.is_some());
        }
        self.slots.retain(Option::is_some);
        self.places.values_mut().for_each(|place| *place = moved[*place]);
    }

    /// Takes everything out.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.places.clear();
    }

    /// Keys and values in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &(Value, Value)> {
        self.slots.iter().flatten()
    }

    /// The first key at or behind a slot, and the slot behind it.
    pub(super) fn key_from(&self, slot: usize) -> Option<(Value, usize)> {
        let found = self.slots.iter().enumerate().skip(slot).find_map(|(at, slot)| Some((at, slot.as_ref()?)))?;
        Some((found.1.0.clone(), found.0 + 1))
    }

    /// Whether a key is there.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.places.contains_key(key)
    }

    /// The keys.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.places.keys()
    }
}

/// A function with what it sees.
#[derive(Debug, Clone)]
pub(super) struct Closure {
    /// Its definition.
    pub(super) function: Rc<Function>,
    /// Defaults of its parameters, in order; `None` for those without.
    pub(super) defaults: Rc<[Option<Value>]>,
    /// The names around it.
    pub(super) around: Option<usize>,
}

/// Names with values: those of one call.
#[derive(Debug)]
pub(super) struct Frame {
    /// Which names.
    pub(super) names: Rc<[Name]>,
    /// Their values.
    pub(super) values: Vec<Option<Value>>,
    /// The names around it.
    pub(super) around: Option<usize>,
}

/// What one program may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Steps: expressions, statements and elements that are gone through.
    pub(super) steps: usize,
    /// Bytes that are asked for in all.
    pub(super) memory: usize,
    /// Expressions and calls inside each other.
    pub(super) depth: usize,
    /// Bytes that are printed.
    pub(super) output: usize,
}

/// Where values live that can be changed or hold others.
#[derive(Debug)]
pub(super) struct Heap {
    /// Lists.
    pub(super) lists: Vec<List>,
    /// Dicts and sets.
    pub(super) dicts: Vec<Dict>,
    /// Tuples.
    pub(super) tuples: Vec<Rc<[Value]>>,
    /// Functions.
    pub(super) closures: Vec<Closure>,
    /// Names of calls.
    pub(super) frames: Vec<Frame>,
    limits: Limits,
    steps: Cell<usize>,
    memory: Cell<usize>,
}

/// Bytes that a value takes with what surrounds it.
pub(super) const SIZE: usize = 32;
/// Bytes that a dict's entry takes.
pub(super) const ENTRY: usize = 160;
/// Bytes that a list, a dict or a frame takes by itself.
const OBJECT: usize = 64;
/// How deep values are looked into.
pub(super) const MAX_NESTING: usize = 100;

impl Heap {
    /// An empty store.
    pub(super) fn new(limits: Limits) -> Self {
        let (lists, dicts, tuples) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            lists,
            dicts,
            tuples,
            closures: Vec::new(),
            frames: Vec::new(),
            limits,
            steps: Cell::default(),
            memory: Cell::default(),
        }
    }

    /// What may be used.
    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Counts steps.
    pub(super) fn step(&self, count: usize) -> Outcome<()> {
        self.steps.set(self.steps.get().saturating_add(count));
        if self.steps.get() > self.limits.steps {
            return Err(Fault::new(format!("the program takes more than {} steps", self.limits.steps)));
        }
        Ok(())
    }

    /// Counts bytes, before they are asked for.
    pub(super) fn charge(&self, bytes: usize) -> Outcome<()> {
        self.memory.set(self.memory.get().saturating_add(bytes));
        if self.memory.get() > self.limits.memory {
            return Err(Fault::new(format!("the program asks for more than {} bytes of memory", self.limits.memory)));
        }
        Ok(())
    }

    /// A new list.
    pub(super) fn list(&mut self, items: Vec<Value>) -> Outcome<Value> {
        self.charge(OBJECT + items.len() * SIZE)?;
        self.lists.push(List { items, loops: 0 });
        Ok(Value::List(self.lists.len() - 1))
    }

    /// A new tuple.
    pub(super) fn tuple(&mut self, items: Vec<Value>) -> Outcome<Value> {
        self.charge(OBJECT + items.len() * SIZE)?;
        self.tuples.push(items.into());
        Ok(Value::Tuple(self.tuples.len() - 1))
    }

    /// A new dict.
    pub(super) fn dict(&mut self, dict: Dict) -> Outcome<Value> {
        self.charge(OBJECT + dict.len() * ENTRY)?;
        self.dicts.push(dict);
        Ok(Value::Dict(self.dicts.len() - 1))
    }

    /// A new set.
    pub(super) fn set(&mut self, set: Dict) -> Outcome<Value> {
        self.dict(set)?;
        Ok(Value::Set(self.dicts.len() - 1))
    }

    /// A set of values.
    pub(super) fn set_of(&self, items: Vec<Value>) -> Outcome<Dict> {
        let mut set = Dict::default();
        for item in items {
            self.charge(ENTRY)?;
            self.step(1)?;
            set.insert(self.key(&item)?, item, Value::None);
        }
        Ok(set)
    }

    /// A new text.
    pub(super) fn text(&self, text: impl Into<Rc<str>>) -> Outcome<Value> {
        let text = text.into();
        self.charge(OBJECT + text.len())?;
        Ok(Value::Text(text))
    }

    /// A new function.
    pub(super) fn closure(&mut self, closure: Closure) -> Outcome<Value> {
        self.charge(OBJECT + closure.defaults.len() * SIZE)?;
        self.closures.push(closure);
        Ok(Value::Function(self.closures.len() - 1))
    }

    /// Names of a new call.
    pub(super) fn frame(&mut self, names: Rc<[Name]>, around: Option<usize>) -> usize {
        let values = vec![None; names.len()];
        self.frames.push(Frame { names, values, around });
        self.frames.len() - 1
    }

    /// Gives up the names of a call that nothing keeps.
    pub(super) fn drop_frame(&mut self, frame: usize, is_kept: bool) -> Outcome<()> {
        if !is_kept && frame + 1 == self.frames.len() {
            self.frames.pop();
            return Ok(());
        }
        self.charge(OBJECT + self.frames.get(frame).map_or(0, |frame| frame.values.len()) * SIZE)
    }

    /// A dict with this number; every number that is given out is one.
    pub(super) fn dict_at(&self, number: usize) -> &Dict {
        &self.dicts[number]
    }

    /// A list's or tuple's elements.
    pub(super) fn elements(&self, value: &Value) -> Option<&[Value]> {
        match value {
            Value::List(number) => Some(&self.lists[*number].items),
            Value::Tuple(number) => Some(&self.tuples[*number]),
            _ => None,
        }
    }

    /// A list that may be changed; one that a loop goes over may not.
    pub(super) fn list_mut(&mut self, number: usize) -> Outcome<&mut Vec<Value>> {
        let list = &mut self.lists[number];
        if list.loops > 0 {
            return Err(Fault::new("a list cannot be changed while a loop goes over it"));
        }
        Ok(&mut list.items)
    }

    /// A dict or set that may be changed; one that a loop goes over may not.
    pub(super) fn dict_mut(&mut self, number: usize) -> Outcome<&mut Dict> {
        let dict = &mut self.dicts[number];
        if dict.loops > 0 {
            return Err(Fault::new("a dict or set cannot be changed while a loop goes over it"));
        }
        Ok(dict)
    }

    /// Puts a value under a key.
    pub(super) fn put(&mut self, dict: usize, name: Value, value: Value) -> Outcome<()> {
        let key = self.key(&name)?;
        let is_new = !self.dicts[dict].has(&key);
        if is_new {
            self.charge(ENTRY)?;
            self.dict_mut(dict)?;
        }
        // Giving a key that is there another value disturbs no loop.
        self.dicts[dict].insert(key, name, value);
        Ok(())
    }

    /// A value as a key.
    pub(super) fn key(&self, value: &Value) -> Outcome<Key> {
        self.key_within(value, 0)
    }

    fn key_within(&self, value: &Value, depth: usize) -> Outcome<Key> {
        if depth > MAX_NESTING {
            return Err(too_deep());
        }
        self.step(1)?;
        Ok(match value {
            Value::None => Key::None,
            Value::Bool(value) => Key::Bool(*value),
            Value::Int(number) => Key::Int(*number),
            Value::Float(number) => whole(*number).map_or(Key::Float(number.to_bits()), Key::Int),
            Value::Text(text) => Key::Text(text.clone()),
            Value::Tuple(number) => {
                let keys = self.tuples[*number].iter().map(|item| self.key_within(item, depth + 1));
                Key::Tuple(keys.collect::<Outcome<Vec<Key>>>()?)
            }
            Value::Function(number) => Key::Function(*number),
            Value::Builtin(name) => Key::Builtin(name),
            other => return Err(Fault::new(format!("a {} cannot be a key", other.kind()))),
        })
    }
}

/// What is wrong with a value that goes on inside for too long.
pub(super) fn too_deep() -> Fault {
    Fault::new(format!("a value is nested more than {MAX_NESTING} deep, or holds itself"))
}

/// A number without a fraction as a whole one.
pub(super) fn whole(number: f64) -> Option<i128> {
    const MOST: f64 = 1e37;
    #[allow(clippy::cast_possible_truncation, reason = "the bound is below that of i128, and there is no fraction")]
    (number.fract() == 0.0 && number.abs() < MOST).then_some(number as i128)
}

impl Value {
    /// The name of its type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "string",
            Self::Tuple(_) => "tuple",
            Self::List(_) => "list",
            Self::Dict(_) => "dict",
            Self::Set(_) => "set",
            Self::Range(_) => "range",
            Self::Function(_) => "function",
            Self::Builtin(_) | Self::Method(_) | Self::Member(..) => "builtin_function_or_method",
            Self::Module(module) if module.name == "ctx" => "struct",
            Self::Module(_) => "module",
        }
    }
}

impl Range {
    /// The number at an index that is in it.
    pub(super) fn at(&self, index: i128) -> i128 {
        self.start + index * self.step
    }
}
