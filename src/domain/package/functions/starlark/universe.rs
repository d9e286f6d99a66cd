//! What is there from the start.

use std::cmp::Ordering;
use std::rc::Rc;

use super::call::Given;
use super::containers::attributes;
use super::eval::Machine;
use super::fault::{Fault, Outcome};
use super::ops::{float, range};
use super::text::{number, word};
use super::value::{Dict, SIZE, Value, whole};

/// Functions by name.
const FUNCTIONS: [&str; 30] = [
    "abs",
    "all",
    "any",
    "bool",
    "chr",
    "dict",
    "dir",
    "enumerate",
    "fail",
    "float",
    "getattr",
    "hasattr",
    "hash",
    "int",
    "len",
    "list",
    "max",
    "min",
    "ord",
    "print",
    "range",
    "repr",
    "reversed",
    "set",
    "sorted",
    "str",
    "tuple",
    "type",
    "zip",
    "sum",
];

/// The value of a name that the program need not define.
pub(super) fn universe(name: &str) -> Option<Value> {
    match name {
        "None" => Some(Value::None),
        "True" => Some(Value::Bool(true)),
        "False" => Some(Value::Bool(false)),
        // Not in the published function either.
        "sum" => None,
        name => FUNCTIONS.iter().find(|function| **function == name).map(|function| Value::Builtin(function)),
    }
}

impl Machine<'_> {
    /// Calls a function that is there from the start.
    pub(super) fn builtin(&mut self, name: &'static str, given: Given) -> Outcome<Value> {
        match name {
            "print" | "fail" => return self.say(name, given),
            "dict" => {
                let made = self.heap.dict(Dict::default())?;
                if let Value::Dict(number) = made {
                    self.dict_update(number, given)?;
                }
                return Ok(made);
            }
            "zip" => return self.zip(&given.plain),
            "max" | "min" => return self.extreme(name, given),
            "sorted" => return self.sorted(given),
            "range" => return range_of(given),
            "int" => return int(given),
            "getattr" | "hasattr" => return Self::by_name(name, given),
            "enumerate" => return self.enumerate(given),
            _ => {}
        }
        let required = usize::from(!matches!(name, "bool" | "float" | "list" | "tuple" | "set" | "str"));
        let [value] = given.take(name, ["x"], required)?;
        match (name, value) {
            ("bool", None) => Ok(Value::Bool(false)),
            ("float", None) => Ok(Value::Float(0.0)),
            ("str", None) => self.heap.text(""),
            ("list", None) => self.heap.list(Vec::new()),
            ("tuple", None) => self.heap.tuple(Vec::new()),
            ("set", None) => self.heap.set(Dict::default()),
            (name, value) => self.of_one(name, &value.unwrap_or(Value::None)),
        }
    }

    fn of_one(&mut self, name: &str, value: &Value) -> Outcome<Value> {
        match (name, value) {
            ("abs", Value::Int(number)) => {
                number.checked_abs().map(Value::Int).ok_or_else(|| Fault::new("a whole number is too large"))
            }
            ("abs", Value::Float(number)) => Ok(Value::Float(number.abs())),
            ("all" | "any", value) => {
                let found = self.collect(value)?.iter().any(|item| self.truth(item) == (name == "any"));
                Ok(Value::Bool(found == (name == "any")))
            }
            ("bool", value) => Ok(Value::Bool(self.truth(value))),
            ("chr", Value::Int(code)) => {
                let found = u32::try_from(*code).ok().and_then(char::from_u32);
                self.heap.text(found.ok_or_else(|| Fault::new(format!("{code} is no character")))?.to_string())
            }
            ("ord", Value::Text(text)) => match (text.chars().next(), text.chars().count()) {
                (Some(one), 1) => Ok(Value::Int(u32::from(one).into())),
                (_, count) => Err(Fault::new(format!("ord takes one character, not {count}"))),
            },
            ("dir", value) => {
                let names = attributes(value).into_iter().map(|name| Value::Text(name.into())).collect();
                self.heap.list(names)
            }
            ("float", value) => to_float(value),
            ("hash", Value::Text(text)) => {
                let hash =
                    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
                Ok(Value::Int(hash.into()))
            }
            ("len", value) => self.length(value),
            ("list", value) => {
                let items = self.collect(value)?;
                self.heap.list(items)
            }
            ("tuple", value) => {
                let items = self.collect(value)?;
                self.heap.tuple(items)
            }
            ("set", value) => {
                let items = self.collect(value)?;
                let set = self.heap.set_of(items)?;
                self.heap.set(set)
            }
            ("repr", value) => self.repr(value).and_then(|text| self.heap.text(text)),
            ("str", value) => self.string(value).and_then(|text| self.heap.text(text)),
            ("reversed", value) => {
                let mut items = self.collect(value)?;
                items.reverse();
                self.heap.list(items)
            }
            ("type", value) => self.heap.text(value.kind()),
            (name, value) => Err(Fault::new(format!("{name} takes no {}", value.kind()))),
        }
    }

    fn length(&self, value: &Value) -> Outcome<Value> {
        Ok(match value {
            Value::Text(text) => number(text.len()),
            Value::List(_) | Value::Tuple(_) => number(self.heap.elements(value).unwrap_or_default().len()),
            Value::Dict(at) | Value::Set(at) => number(self.heap.dict_at(*at).len()),
            Value::Range(range) => Value::Int(range.count),
            other => return Err(Fault::new(format!("a {} has no length", other.kind()))),
        })
    }

    fn say(&mut self, name: &str, mut given: Given) -> Outcome<Value> {
        let at = given.named.iter().position(|(other, _)| **other == *"sep");
        let between = at.map_or_else(|| Ok(" ".into()), |at| word(name, Some(given.named.remove(at).1)))?;
        if let Some((other, _)) = given.named.first() {
            return Err(Fault::new(format!("{name} takes no {other}")));
        }
        let mut said = String::new();
        for (at, value) in given.plain.iter().enumerate() {
            said.push_str(if at > 0 { &between } else { "" });
            said.push_str(&self.string(value)?);
            self.heap.charge(between.len())?;
        }
        if name == "fail" {
            return Err(Fault::new(format!("fail: {said}")));
        }
        if self.printed.len() + said.len() + 1 > self.heap.limits().output {
            return Err(Fault::new(format!("more than {} bytes are printed", self.heap.limits().output)));
        }
        self.printed.push_str(&said);
        self.printed.push('\n');
        Ok(Value::None)
    }

    fn zip(&mut self, values: &[Value]) -> Outcome<Value> {
        let mut columns = Vec::new();
        for value in values {
            columns.push(self.collect(value)?);
        }
        let shortest = columns.iter().map(Vec::len).min().unwrap_or_default();
        let mut rows = Vec::new();
        for at in 0..shortest {
            self.heap.step(columns.len())?;
            self.heap.charge(SIZE)?;
            let row = columns.iter().map(|column| column[at].clone()).collect();
            rows.push(self.heap.tuple(row)?);
        }
        self.heap.list(rows)
    }

    fn enumerate(&mut self, given: Given) -> Outcome<Value> {
        let [items, start] = given.take("enumerate", ["iterable", "start"], 1)?;
        let start = match start {
            Some(Value::Int(start)) => start,
            _ => 0,
        };
        let items = self.collect(&items.unwrap_or(Value::None))?;
        let rows: Outcome<Vec<Value>> =
            (start..).zip(items).map(|(at, item)| self.heap.tuple(vec![Value::Int(at), item])).collect();
        self.heap.list(rows?)
    }

    fn by_name(function: &str, given: Given) -> Outcome<Value> {
        let [value, name, default] = given.take(function, ["x", "name", "default"], 2)?;
        let (value, name) = (value.unwrap_or(Value::None), word(function, name)?);
        let found = Self::attribute(&value, &name);
        match (function, found, default) {
            ("hasattr", found, _) => Ok(Value::Bool(found.is_ok())),
            (_, Err(_), Some(default)) => Ok(default),
            (_, found, _) => found,
        }
    }

    // Order.

    /// Takes the function that says what values are compared by.
    fn keys(&mut self, items: &[Value], key: Option<&Value>) -> Outcome<Vec<Value>> {
        match key {
            None | Some(Value::None) => Ok(items.to_vec()),
            Some(key) => items.iter().map(|item| self.call(key, Given::of(vec![item.clone()]))).collect(),
        }
    }

    fn extreme(&mut self, name: &str, mut given: Given) -> Outcome<Value> {
        let at = given.named.iter().position(|(other, _)| **other == *"key");
        let key = at.map(|at| given.named.remove(at).1);
        if let Some((other, _)) = given.named.first() {
            return Err(Fault::new(format!("{name} takes no {other}")));
        }
        let items = match given.plain.as_slice() {
            [one] => self.collect(one)?,
            _ => given.plain,
        };
        let keys = self.keys(&items, key.as_ref())?;
        let wanted = if name == "max" { Ordering::Greater } else { Ordering::Less };
        let mut best = 0;
        for at in 1..keys.len() {
            if self.compare(&keys[at], &keys[best])? == wanted {
                best = at;
            }
        }
        items.into_iter().nth(best).ok_or_else(|| Fault::new(format!("{name} of nothing")))
    }

    fn sorted(&mut self, given: Given) -> Outcome<Value> {
        let [items, key, reverse] = given.take("sorted", ["iterable", "key", "reverse"], 1)?;
        let reverse = reverse.is_some_and(|reverse| self.truth(&reverse));
        let items = self.collect(&items.unwrap_or(Value::None))?;
        self.heap.charge(2 * items.len() * SIZE)?;
        let keys = self.keys(&items, key.as_ref())?;
        let order = self.order(&keys, (0..keys.len()).collect(), reverse)?;
        let items = order.into_iter().map(|at| items[at].clone()).collect();
        self.heap.list(items)
    }

    /// The order of keys: equal ones stay as they were. A comparison may fail, which the sort of the library forbids.
    fn order(&self, keys: &[Value], places: Vec<usize>, reverse: bool) -> Outcome<Vec<usize>> {
        if places.len() < 2 {
            return Ok(places);
        }
        let (first, second) = places.split_at(places.len() / 2);
        let first = self.order(keys, first.to_vec(), reverse)?;
        let second = self.order(keys, second.to_vec(), reverse)?;
        let (mut first, mut second) = (first.into_iter().peekable(), second.into_iter().peekable());
        let mut merged = Vec::with_capacity(places.len());
        while let (Some(left), Some(right)) = (first.peek(), second.peek()) {
            let order = self.compare(&keys[*right], &keys[*left])?;
            let right_first = if reverse { order.is_gt() } else { order.is_lt() };
            merged.extend(if right_first { second.next() } else { first.next() });
        }
        merged.extend(first);
        merged.extend(second);
        Ok(merged)
    }
}

/// Largest number of a range.
const MOST_OF_RANGE: i128 = 1 << 64;

fn range_of(given: Given) -> Outcome<Value> {
    let [first, second, step] = given.take("range", ["start", "stop", "step"], 1)?;
    let whole = |value: Option<Value>| match value {
        None => Ok(None),
        Some(Value::Int(number)) => Ok(Some(number)),
        Some(other) => Err(Fault::new(format!("range takes whole numbers, not a {}", other.kind()))),
    };
    let (first, second, step) = (whole(first)?.unwrap_or(0), whole(second)?, whole(step)?.unwrap_or(1));
    if step == 0 {
        return Err(Fault::new("the step of a range cannot be 0"));
    }
    let (start, stop) = second.map_or((0, first), |second| (first, second));
    if [start, stop, step].iter().any(|number| number.abs() > MOST_OF_RANGE) {
        return Err(Fault::new("a range is too large"));
    }
    Ok(Value::Range(Rc::new(range(start, stop, step))))
}

fn int(given: Given) -> Outcome<Value> {
    let [value, base] = given.take("int", ["x", "base"], 1)?;
    match (value, base) {
        (Some(Value::Text(text)), base) => {
            let base = match base {
                None => 10,
                Some(Value::Int(base)) if base == 0 || (2..=36).contains(&base) => u32::try_from(base).unwrap_or(10),
                Some(_) => return Err(Fault::new("the base of a number is 0, or from 2 to 36")),
            };
            let wrong = || Fault::new(format!("{text:?} is no whole number of base {base}"));
            digits(&text, base).map(Value::Int).ok_or_else(wrong)
        }
        (_, Some(_)) => Err(Fault::new("only a text has a base")),
        (Some(Value::Int(number)), _) => Ok(Value::Int(number)),
        (Some(Value::Bool(value)), _) => Ok(Value::Int(value.into())),
        (Some(Value::Float(number)), _) => {
            whole(number.trunc()).map(Value::Int).ok_or_else(|| Fault::new(format!("{number} is no whole number")))
        }
        (other, _) => Err(Fault::new(format!("int takes no {}", other.unwrap_or(Value::None).kind()))),
    }
}

fn digits(text: &str, base: u32) -> Option<i128> {
    let (negative, bare) = match text.strip_prefix('-') {
        Some(bare) => (true, bare),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = bare.to_ascii_lowercase();
    let prefixed = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find_map(|(prefix, own)| {
        lower.strip_prefix(prefix).filter(|_| base == 0 || base == own).map(|rest| (rest, own))
    });
    let (bare, base) = match prefixed {
        Some(found) => found,
        None if base == 0 && lower.len() > 1 && lower.starts_with('0') => return None,
        None => (lower.as_str(), if base == 0 { 10 } else { base }),
    };
    let number = i128::from_str_radix(bare, base).ok().filter(|_| !bare.starts_with(['+', '-']))?;
    Some(if negative { -number } else { number })
}

fn to_float(value: &Value) -> Outcome<Value> {
    let found = match value {
        Value::Int(number) => Some(float(*number)),
        Value::Float(number) => Some(*number),
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    };
    found.map(Value::Float).ok_or_else(|| Fault::new(format!("this {} is no number", value.kind())))
}
