//! What operators do.

use std::cmp::Ordering;
use std::rc::Rc;

use super::eval::Machine;
use super::fault::{Fault, Outcome};
use super::value::{Dict, ENTRY, MAX_NESTING, Range, SIZE, Value, too_deep, whole};

/// What happens to numbers.
const OVERFLOW: &str = "a whole number is larger than 127 bits hold";

impl Machine<'_> {
    /// Whether a value counts as true.
    pub(super) fn truth(&self, value: &Value) -> bool {
        match value {
            Value::None => false,
            Value::Bool(value) => *value,
            Value::Int(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::Tuple(_) | Value::List(_) => self.heap.elements(value).is_some_and(|items| !items.is_empty()),
            Value::Dict(number) | Value::Set(number) => self.heap.dict_at(*number).len() > 0,
            Value::Range(range) => range.count > 0,
            _ => true,
        }
    }

    /// Whether two values are the same.
    pub(super) fn equal(&self, left: &Value, right: &Value) -> Outcome<bool> {
        self.equal_within(left, right, 0)
    }

    fn equal_within(&self, left: &Value, right: &Value, depth: usize) -> Outcome<bool> {
        if depth > MAX_NESTING {
            return Err(too_deep());
        }
        self.heap.step(1)?;
        Ok(match (left, right) {
            (Value::None, Value::None) => true,
            (Value::Bool(left), Value::Bool(right)) => left == right,
            (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
                numbers(left, right) == Some(Ordering::Equal)
            }
            (Value::Text(left), Value::Text(right)) => {
                self.heap.step(left.len().min(right.len()) / 64)?;
                left == right
            }
            (Value::Tuple(_), Value::Tuple(_)) | (Value::List(_), Value::List(_)) => {
                let (left, right) = self.pair(left, right);
                if left.len() != right.len() {
                    return Ok(false);
                }
                for (left, right) in left.iter().zip(right) {
                    if !self.equal_within(left, right, depth + 1)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Dict(left), Value::Dict(right)) | (Value::Set(left), Value::Set(right)) => {
                return self.equal_dicts(self.heap.dict_at(*left), self.heap.dict_at(*right), depth);
            }
            (Value::Range(left), Value::Range(right)) => {
                left.count == right.count
                    && (left.count == 0 || left.start == right.start)
                    && (left.count < 2 || left.step == right.step)
            }
            (Value::Function(left), Value::Function(right)) => left == right,
            (Value::Builtin(left), Value::Builtin(right)) => left == right,
            (Value::Member(a, left), Value::Member(b, right)) => (a, left) == (b, right),
            (Value::Module(left), Value::Module(right)) => Rc::ptr_eq(left, right),
            (Value::Method(left), Value::Method(right)) => Rc::ptr_eq(left, right),
            _ => false,
        })
    }

    fn pair<'v>(&'v self, left: &Value, right: &Value) -> (&'v [Value], &'v [Value]) {
        (self.heap.elements(left).unwrap_or_default(), self.heap.elements(right).unwrap_or_default())
    }

    fn equal_dicts(&self, left: &Dict, right: &Dict, depth: usize) -> Outcome<bool> {
        if left.len() != right.len() {
            return Ok(false);
        }
        for (name, value) in left.entries() {
            let Some(other) = right.get(&self.heap.key(name)?) else { return Ok(false) };
            if !self.equal_within(value, other, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Which of two values comes first.
    pub(super) fn compare(&self, left: &Value, right: &Value) -> Outcome<Ordering> {
        self.compare_within(left, right, 0)
    }

    fn compare_within(&self, left: &Value, right: &Value, depth: usize) -> Outcome<Ordering> {
        if depth > MAX_NESTING {
            return Err(too_deep());
        }
        self.heap.step(1)?;
        match (left, right) {
            (Value::Bool(left), Value::Bool(right)) => Ok(left.cmp(right)),
            (Value::Text(left), Value::Text(right)) => {
                self.heap.step(left.len().min(right.len()) / 64)?;
                Ok(left.cmp(right))
            }
            (Value::Tuple(_), Value::Tuple(_)) | (Value::List(_), Value::List(_)) => {
                let (left, right) = self.pair(left, right);
                for (left, right) in left.iter().zip(right) {
                    if !self.equal_within(left, right, depth + 1)? {
                        return self.compare_within(left, right, depth + 1);
                    }
                }
                Ok(left.len().cmp(&right.len()))
            }
            _ => numbers(left, right)
                .ok_or_else(|| Fault::new(format!("a {} and a {} cannot be compared", left.kind(), right.kind()))),
        }
    }

    /// `-x` and its like.
    pub(super) fn unary(&self, operator: &str, value: &Value) -> Outcome<Value> {
        match (operator, value) {
            ("not", value) => Ok(Value::Bool(!self.truth(value))),
            ("-", Value::Int(number)) => number.checked_neg().map(Value::Int).ok_or_else(|| Fault::new(OVERFLOW)),
            ("-", Value::Float(number)) => Ok(Value::Float(-number)),
            ("+", Value::Int(_) | Value::Float(_)) => Ok(value.clone()),
            ("~", Value::Int(number)) => Ok(Value::Int(!number)),
            _ => Err(Fault::new(format!("there is no {operator} for a {}", value.kind()))),
        }
    }

    /// `x += y`: lists and dicts are changed where they are.
    pub(super) fn updated(&mut self, operator: &'static str, left: &Value, right: &Value) -> Outcome<Value> {
        match (operator, left, right) {
            (
                "+",
                Value::List(number),
                Value::List(_) | Value::Tuple(_) | Value::Dict(_) | Value::Set(_) | Value::Range(_),
            ) => {
                let items = self.collect(right)?;
                self.heap.list_mut(*number)?.extend(items);
                Ok(left.clone())
            }
            ("|", Value::Dict(number), Value::Dict(_)) => {
                self.heap.dict_mut(*number)?;
                self.put_all(*number, right)?;
                Ok(left.clone())
            }
            _ => self.binary(operator, left, right),
        }
    }

    /// Puts all of one dict into another.
    pub(super) fn put_all(&mut self, into: usize, from: &Value) -> Outcome<()> {
        let Value::Dict(from) = from else { return Ok(()) };
        self.heap.charge(self.heap.dict_at(*from).len() * ENTRY)?;
        let entries: Vec<_> = self.heap.dict_at(*from).entries().cloned().collect();
        entries.into_iter().try_for_each(|(name, value)| self.heap.put(into, name, value))
    }

    /// `x + y` and its like.
    pub(super) fn binary(&mut self, operator: &'static str, left: &Value, right: &Value) -> Outcome<Value> {
        match operator {
            "==" => self.equal(left, right).map(Value::Bool),
            "!=" => self.equal(left, right).map(|equal| Value::Bool(!equal)),
            "<" | "<=" | ">" | ">=" if matches!((left, right), (Value::Set(_), Value::Set(_))) => {
                Ok(Value::Bool(self.holds(operator, left, right)))
            }
            "<" => self.compare(left, right).map(|order| Value::Bool(order.is_lt())),
            "<=" => self.compare(left, right).map(|order| Value::Bool(order.is_le())),
            ">" => self.compare(left, right).map(|order| Value::Bool(order.is_gt())),
            ">=" => self.compare(left, right).map(|order| Value::Bool(order.is_ge())),
            "in" => self.contains(right, left).map(Value::Bool),
            "not in" => self.contains(right, left).map(|found| Value::Bool(!found)),
            "+" => self.plus(left, right),
            "*" => self.times(left, right),
            "%" if matches!(left, Value::Text(_)) => self.percent(left, right),
            "|" | "&" | "^" | "-" if matches!((left, right), (Value::Set(_), Value::Set(_))) => {
                self.sets(operator, left, right)
            }
            "|" if matches!((left, right), (Value::Dict(_), Value::Dict(_))) => {
                let made = self.heap.dict(Dict::default())?;
                if let Value::Dict(number) = made {
                    self.put_all(number, left)?;
                    self.put_all(number, right)?;
                }
                Ok(made)
            }
            _ => arithmetic(operator, left, right),
        }
    }

    /// Whether one set is part of another.
    fn holds(&self, operator: &str, left: &Value, right: &Value) -> bool {
        let (part, whole) = if operator.starts_with('<') { (left, right) } else { (right, left) };
        let (Value::Set(part), Value::Set(whole)) = (part, whole) else { return false };
        let (part, whole) = (self.heap.dict_at(*part), self.heap.dict_at(*whole));
        part.keys().all(|key| whole.has(key)) && (operator.ends_with('=') || part.len() < whole.len())
    }

    /// Whether a value is in another.
    pub(super) fn contains(&self, container: &Value, part: &Value) -> Outcome<bool> {
        match (container, part) {
            (Value::Text(whole), Value::Text(part)) => {
                self.heap.step(whole.len() / 64)?;
                Ok(whole.contains(&**part))
            }
            (Value::List(_) | Value::Tuple(_), part) => {
                for item in self.heap.elements(container).unwrap_or_default() {
                    if self.equal(item, part)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            (Value::Dict(number) | Value::Set(number), part) => {
                // What cannot be a key is none.
                Ok(self.heap.key(part).is_ok_and(|key| self.heap.dict_at(*number).has(&key)))
            }
            (Value::Range(_), Value::Float(number)) => {
                whole(*number).map_or(Ok(false), |number| self.contains(container, &Value::Int(number)))
            }
            (Value::Range(range), Value::Int(number)) => {
                let (index, rest) = ((number - range.start) / range.step, (number - range.start) % range.step);
                Ok(rest == 0 && (0..range.count).contains(&index))
            }
            _ => Err(Fault::new(format!("a {} cannot be in a {}", part.kind(), container.kind()))),
        }
    }

    fn plus(&mut self, left: &Value, right: &Value) -> Outcome<Value> {
        match (left, right) {
            (Value::Text(left), Value::Text(right)) => {
                self.heap.charge(left.len() + right.len())?;
                self.heap.text([&**left, &**right].concat())
            }
            (Value::List(_), Value::List(_)) | (Value::Tuple(_), Value::Tuple(_)) => {
                let (first, second) = self.pair(left, right);
                self.heap.charge((first.len() + second.len()) * SIZE)?;
                let items = [first, second].concat();
                if matches!(left, Value::List(_)) { self.heap.list(items) } else { self.heap.tuple(items) }
            }
            _ => arithmetic("+", left, right),
        }
    }

    fn times(&mut self, left: &Value, right: &Value) -> Outcome<Value> {
        let (value, count) = match (left, right) {
            (Value::Text(_) | Value::List(_) | Value::Tuple(_), Value::Int(count)) => (left, *count),
            (Value::Int(count), Value::Text(_) | Value::List(_) | Value::Tuple(_)) => (right, *count),
            _ => return arithmetic("*", left, right),
        };
        let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
        if let Value::Text(text) = value {
            self.heap.charge(text.len().saturating_mul(count))?;
            return self.heap.text(if text.is_empty() { String::new() } else { text.repeat(count) });
        }
        let items = self.heap.elements(value).unwrap_or_default();
        self.heap.charge(items.len().saturating_mul(count).saturating_mul(SIZE))?;
        let items: Vec<Value> = if items.is_empty() {
            Vec::new()
        } else {
            items.iter().cycle().take(items.len() * count).cloned().collect()
        };
        if matches!(value, Value::List(_)) { self.heap.list(items) } else { self.heap.tuple(items) }
    }

    fn sets(&mut self, operator: &str, left: &Value, right: &Value) -> Outcome<Value> {
        let (Value::Set(first), Value::Set(second)) = (left, right) else { return Ok(Value::None) };
        let (first, second) = (self.heap.dict_at(*first), self.heap.dict_at(*second));
        self.heap.step(first.len() + second.len())?;
        self.heap.charge((first.len() + second.len()) * ENTRY)?;
        let mut made = Dict::default();
        let keep_first = |found: bool| operator == "|" || found == (operator == "&");
        for (name, _) in first.entries() {
            let key = self.heap.key(name)?;
            if keep_first(second.has(&key)) {
                made.insert(key, name.clone(), Value::None);
            }
        }
        if matches!(operator, "|" | "^") {
            for (name, _) in second.entries() {
                let key = self.heap.key(name)?;
                if !first.has(&key) {
                    made.insert(key, name.clone(), Value::None);
                }
            }
        }
        self.heap.set(made)
    }

    // Elements.

    /// `x[i]`.
    pub(super) fn index(&self, value: &Value, index: &Value) -> Outcome<Value> {
        match (value, index) {
            (Value::Dict(number), index) => {
                let found = self.heap.dict_at(*number).get(&self.heap.key(index)?).cloned();
                match found {
                    Some(value) => Ok(value),
                    None => Err(Fault::new(format!("the key {} is not in the dict", self.repr(index)?))),
                }
            }
            (Value::List(_) | Value::Tuple(_), Value::Int(at)) => {
                let items = self.heap.elements(value).unwrap_or_default();
                Ok(items[place(*at, items.len())?].clone())
            }
            (Value::Text(text), Value::Int(at)) => {
                let at = place(*at, text.len())?;
                self.heap.text(text.get(at..=at).ok_or_else(cuts)?)
            }
            (Value::Range(range), Value::Int(at)) => {
                let at = if *at < 0 { at + range.count } else { *at };
                let message = || Fault::new(format!("the index {at} is outside of a range of {}", range.count));
                (0..range.count).contains(&at).then(|| Value::Int(range.at(at))).ok_or_else(message)
            }
            _ => Err(Fault::new(format!("a {} has no element at a {}", value.kind(), index.kind()))),
        }
    }

    /// `x[i] = y`.
    pub(super) fn set_item(&mut self, object: &Value, index: Value, value: Value) -> Outcome<()> {
        match (object, index) {
            (Value::Dict(number), index) => self.heap.put(*number, index, value),
            (Value::List(number), Value::Int(at)) => {
                let at = place(at, self.heap.lists[*number].items.len())?;
                self.heap.list_mut(*number)?[at] = value;
                Ok(())
            }
            (object, index) => {
                Err(Fault::new(format!("an element at a {} of a {} cannot be set", index.kind(), object.kind())))
            }
        }
    }

    /// `x[from:to:step]`.
    pub(super) fn slice(&mut self, value: &Value, bounds: [Option<i128>; 3]) -> Outcome<Value> {
        let length = match value {
            Value::Text(text) => text.len(),
            Value::List(_) | Value::Tuple(_) => self.heap.elements(value).unwrap_or_default().len(),
            Value::Range(range) => {
                let numbers = indices(bounds, range.count)?;
                let start = range.at(numbers.start);
                let stop = range.at(numbers.stop);
                let step = range.step.saturating_mul(numbers.step);
                let range = Range { start, count: numbers.count, step, stop };
                return Ok(Value::Range(Rc::new(range)));
            }
            other => return Err(Fault::new(format!("a {} has no parts", other.kind()))),
        };
        let numbers = indices(bounds, i128::try_from(length).unwrap_or_default())?;
        let count = usize::try_from(numbers.count).unwrap_or_default();
        self.heap.step(count / 16)?;
        let places = (0..numbers.count).filter_map(|at| usize::try_from(numbers.at(at)).ok());
        if let Value::Text(text) = value {
            self.heap.charge(count)?;
            let bytes: Vec<u8> = places.map(|at| text.as_bytes()[at]).collect();
            return self.heap.text(String::from_utf8(bytes).map_err(|_| cuts())?);
        }
        self.heap.charge(count * SIZE)?;
        let items = self.heap.elements(value).unwrap_or_default();
        let items = places.map(|at| items[at].clone()).collect();
        if matches!(value, Value::List(_)) { self.heap.list(items) } else { self.heap.tuple(items) }
    }
}

fn cuts() -> Fault {
    Fault::new("this cuts a character that is more than one byte")
}

/// An index from the front, of one that may count from the back.
fn place(at: i128, length: usize) -> Outcome<usize> {
    let size = i128::try_from(length).unwrap_or(i128::MAX);
    let from_front = if at < 0 { at + size } else { at };
    let found = usize::try_from(from_front).ok().filter(|at| *at < length);
    found.ok_or_else(|| Fault::new(format!("the index {at} is outside of {length} elements")))
}

/// The indices that `[from:to:step]` means.
fn indices([from, to, step]: [Option<i128>; 3], length: i128) -> Outcome<Range> {
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(Fault::new("a step cannot be 0"));
    }
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let bound = |bound: Option<i128>, default: i128| {
        bound.map_or(default, |at| if at < 0 { at.saturating_add(length) } else { at }.clamp(low, high))
    };
    let (first, last) = if step > 0 { (low, high) } else { (high, low) };
    Ok(range(bound(from, first), bound(to, last), step))
}

/// The numbers from one to before another; `step` is not 0.
pub(super) fn range(start: i128, stop: i128, step: i128) -> Range {
    let far = stop.saturating_sub(start);
    let count = if (far > 0) == (step > 0) && far != 0 { (far - step.signum()) / step + 1 } else { 0 };
    Range { start, count, step, stop }
}

/// How two numbers compare; `None` when one is no number. A number that is none (NaN) is the largest.
fn numbers(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Int(left), Value::Float(right)) => Some(mixed(*left, *right)),
        (Value::Float(left), Value::Int(right)) => Some(mixed(*right, *left).reverse()),
        (Value::Float(left), Value::Float(right)) => {
            Some(left.partial_cmp(right).unwrap_or_else(|| left.is_nan().cmp(&right.is_nan())))
        }
        _ => None,
    }
}

fn mixed(left: i128, right: f64) -> Ordering {
    match whole(right) {
        Some(right) => left.cmp(&right),
        None => float(left).partial_cmp(&right).unwrap_or(Ordering::Less),
    }
}

/// A whole number as one with a point.
#[allow(clippy::cast_precision_loss, reason = "that is what the language says")]
pub(super) fn float(number: i128) -> f64 {
    number as f64
}

fn arithmetic(operator: &'static str, left: &Value, right: &Value) -> Outcome<Value> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) if operator != "/" => integers(operator, *a, *b).map(Value::Int),
        (Value::Int(a), Value::Int(b)) => floats(operator, float(*a), float(*b)).map(Value::Float),
        (Value::Int(a), Value::Float(b)) => floats(operator, float(*a), *b).map(Value::Float),
        (Value::Float(a), Value::Int(b)) => floats(operator, *a, float(*b)).map(Value::Float),
        (Value::Float(a), Value::Float(b)) => floats(operator, *a, *b).map(Value::Float),
        _ => Err(unknown(operator, left.kind(), right.kind())),
    }
}

fn unknown(operator: &str, left: &str, right: &str) -> Fault {
    Fault::new(format!("there is no {operator} for a {left} and a {right}"))
}

fn integers(operator: &str, a: i128, b: i128) -> Outcome<i128> {
    let shift = || u32::try_from(b).map_err(|_| Fault::new("a number cannot be shifted this far"));
    let found = match operator {
        "+" => a.checked_add(b),
        "-" => a.checked_sub(b),
        "*" => a.checked_mul(b),
        "//" | "%" if b == 0 => return Err(Fault::new("division by zero")),
        "//" => a.checked_div(b).map(|found| if a % b != 0 && (a < 0) != (b < 0) { found - 1 } else { found }),
        "%" => a.checked_rem(b).map(|rest| if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest }),
        "&" => Some(a & b),
        "|" => Some(a | b),
        "^" => Some(a ^ b),
        "<<" => a.checked_shl(shift()?).filter(|found| found.checked_shr(shift().unwrap_or(0)) == Some(a)),
        ">>" => Some(a.checked_shr(shift()?).unwrap_or(if a < 0 { -1 } else { 0 })),
        _ => return Err(unknown(operator, "int", "int")),
    };
    found.ok_or_else(|| Fault::new(OVERFLOW))
}

fn floats(operator: &str, a: f64, b: f64) -> Outcome<f64> {
    match operator {
        "+" => Ok(a + b),
        "-" => Ok(a - b),
        "*" => Ok(a * b),
        "/" | "//" | "%" if b == 0.0 => Err(Fault::new("division by zero")),
        "/" => Ok(a / b),
        "//" => Ok((a / b).floor()),
        "%" => {
            let rest = a % b;
            Ok(if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest })
        }
        _ => Err(unknown(operator, "float", "float")),
    }
}
