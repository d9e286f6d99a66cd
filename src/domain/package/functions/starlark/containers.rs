//! Methods of lists, dicts and sets, and where methods are found.

use std::rc::Rc;

use super::call::Given;
use super::eval::Machine;
use super::fault::{Fault, Outcome};
use super::text;
use super::value::{Dict, ENTRY, SIZE, Value};

const LIST: [&str; 7] = ["append", "clear", "extend", "index", "insert", "pop", "remove"];
const DICT: [&str; 9] = ["clear", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"];
const SET: [&str; 12] = [
    "add",
    "clear",
    "difference",
    "discard",
    "intersection",
    "issubset",
    "issuperset",
    "pop",
    "remove",
    "symmetric_difference",
    "union",
    "update",
];

/// Names of a value's attributes.
pub(super) fn attributes(value: &Value) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = match value {
        Value::Text(_) => text::METHODS.to_vec(),
        Value::List(_) => LIST.to_vec(),
        Value::Dict(_) => DICT.to_vec(),
        Value::Set(_) => SET.to_vec(),
        Value::Module(module) => module.members.keys().copied().collect(),
        _ => Vec::new(),
    };
    names.sort_unstable();
    names
}

impl Machine<'_> {
    /// `x.name`.
    pub(super) fn attribute(value: &Value, name: &Rc<str>) -> Outcome<Value> {
        if let Value::Module(module) = value {
            let missing =
                || Fault::new(format!("{} has no {name}{}", module.name, super::modules::why_not(module.name, name)));
            return module.members.get(&**name).cloned().ok_or_else(missing);
        }
        if attributes(value).contains(&&**name) {
            return Ok(Value::Method(Rc::new((value.clone(), name.clone()))));
        }
        Err(Fault::new(format!("a {} has no .{name}", value.kind())))
    }

    /// Calls a method.
    pub(super) fn method(&mut self, value: &Value, name: &str, given: Given) -> Outcome<Value> {
        match value {
            Value::Text(text) => self.text_method(text, name, given),
            Value::List(number) => self.list_method(*number, name, given),
            Value::Dict(number) => self.dict_method(*number, name, given),
            Value::Set(number) => self.set_method(value, *number, name, given),
            other => Err(Fault::new(format!("a {} has no .{name}", other.kind()))),
        }
    }

    fn list_method(&mut self, number: usize, name: &str, given: Given) -> Outcome<Value> {
        match name {
            "append" => {
                let [value] = given.take(name, ["object"], 1)?;
                self.heap.charge(SIZE)?;
                self.heap.list_mut(number)?.extend(value);
            }
            "clear" => self.heap.list_mut(number)?.clear(),
            "extend" => {
                let [items] = given.take(name, ["iterable"], 1)?;
                let items = self.collect(&items.unwrap_or(Value::None))?;
                self.heap.list_mut(number)?.extend(items);
            }
            "insert" => {
                let [at, value] = given.take(name, ["index", "object"], 2)?;
                let length = self.heap.lists[number].items.len();
                let at = match at {
                    Some(Value::Int(at)) if at < 0 => length.saturating_sub(usize::try_from(-at).unwrap_or(usize::MAX)),
                    Some(Value::Int(at)) => usize::try_from(at).unwrap_or(usize::MAX).min(length),
                    _ => return Err(Fault::new("insert takes a whole number first")),
                };
                self.heap.charge(SIZE)?;
                self.heap.step(1 + length / 64)?;
                self.heap.list_mut(number)?.insert(at, value.unwrap_or(Value::None));
            }
            "pop" => {
                let [at] = given.take(name, ["index"], 0)?;
                let length = self.heap.lists[number].items.len();
                self.heap.step(1 + length / 64)?;
                let at = at.unwrap_or(Value::Int(-1));
                let value = self.index(&Value::List(number), &at)?;
                let Value::Int(at) = at else { return Ok(value) };
                let place =
                    if at < 0 { length - usize::try_from(-at).unwrap_or(0) } else { usize::try_from(at).unwrap_or(0) };
                self.heap.list_mut(number)?.remove(place);
                return Ok(value);
            }
            _ => {
                let [value, from, to] = given.take(name, ["value", "start", "end"], 1)?;
                let at = self.position(number, &value.unwrap_or(Value::None), from, to)?;
                if name == "index" {
                    return Ok(text::number(at));
                }
                self.heap.list_mut(number)?.remove(at);
            }
        }
        Ok(Value::None)
    }

    fn position(&self, number: usize, value: &Value, from: Option<Value>, to: Option<Value>) -> Outcome<usize> {
        let items = &self.heap.lists[number].items;
        let size = i128::try_from(items.len()).unwrap_or(i128::MAX);
        let bound = |value: Option<Value>, default: i128| match value {
            Some(Value::Int(at)) => if at < 0 { at.saturating_add(size) } else { at }.clamp(0, size),
            _ => default,
        };
        let (from, to) = (bound(from, 0), bound(to, size));
        for at in from..to {
            let at = usize::try_from(at).unwrap_or_default();
            if self.equal(&items[at], value)? {
                return Ok(at);
            }
        }
        Err(Fault::new(format!("{} is not in the list", self.repr(value)?)))
    }

    fn dict_method(&mut self, number: usize, name: &str, given: Given) -> Outcome<Value> {
        match name {
            "clear" => {
                self.heap.dict_mut(number)?.clear();
                Ok(Value::None)
            }
            "get" | "setdefault" | "pop" => {
                let [key, default] = given.take(name, ["key", "default"], 1)?;
                self.dict_entry(number, name, key.unwrap_or(Value::None), default)
            }
            "popitem" => {
                given.take(name, [], 0)?;
                let Some((first, _)) = self.heap.dict_at(number).key_from(0) else {
                    return Err(Fault::new("popitem: the dict is empty"));
                };
                let key = self.heap.key(&first)?;
                let (name, value) = self.heap.dict_mut(number)?.remove(&key).unwrap_or((first, Value::None));
                self.heap.tuple(vec![name, value])
            }
            "update" => self.dict_update(number, given),
            _ => {
                given.take(name, [], 0)?;
                self.heap.step(self.heap.dict_at(number).len())?;
                self.heap.charge(self.heap.dict_at(number).len() * 2 * SIZE)?;
                let entries: Vec<(Value, Value)> = self.heap.dict_at(number).entries().cloned().collect();
                let parts: Outcome<Vec<Value>> = entries
                    .into_iter()
                    .map(|(key, value)| match name {
                        "keys" => Ok(key),
                        "values" => Ok(value),
                        _ => self.heap.tuple(vec![key, value]),
                    })
                    .collect();
                self.heap.list(parts?)
            }
        }
    }

    fn dict_entry(&mut self, number: usize, name: &str, key: Value, default: Option<Value>) -> Outcome<Value> {
        let found = self.heap.key(&key)?;
        let value = self.heap.dict_at(number).get(&found).cloned();
        match (name, value) {
            ("pop", Some(value)) => {
                self.heap.dict_mut(number)?.remove(&found);
                Ok(value)
            }
            ("pop", None) if default.is_none() => {
                Err(Fault::new(format!("pop: the key {} is not in the dict", self.repr(&key)?)))
            }
            (_, Some(value)) => Ok(value),
            ("setdefault", None) => {
                let value = default.unwrap_or(Value::None);
                self.heap.put(number, key, value.clone())?;
                Ok(value)
            }
            (_, None) => Ok(default.unwrap_or(Value::None)),
        }
    }

    /// Puts pairs, and values with names, into a dict.
    pub(super) fn dict_update(&mut self, number: usize, given: Given) -> Outcome<Value> {
        let Given { plain, named } = given;
        match plain.as_slice() {
            [] => {}
            [from @ Value::Dict(_)] => self.put_all(number, from)?,
            [pairs] => {
                for pair in self.collect(pairs)? {
                    let pair = self.collect(&pair)?;
                    let Ok([name, value]) = <[Value; 2]>::try_from(pair) else {
                        return Err(Fault::new("a dict is made of pairs"));
                    };
                    self.heap.put(number, name, value)?;
                }
            }
            _ => return Err(Fault::new("a dict is made of one value and of values with names")),
        }
        for (name, value) in named {
            self.heap.put(number, Value::Text(name), value)?;
        }
        Ok(Value::None)
    }

    fn set_method(&mut self, own: &Value, number: usize, name: &str, given: Given) -> Outcome<Value> {
        match name {
            "clear" => {
                self.heap.dict_mut(number)?.clear();
                Ok(Value::None)
            }
            "add" => {
                let [value] = given.take(name, ["elem"], 1)?;
                self.heap.put(number, value.unwrap_or(Value::None), Value::None)?;
                Ok(Value::None)
            }
            "discard" | "remove" => {
                let [value] = given.take(name, ["elem"], 1)?;
                let value = value.unwrap_or(Value::None);
                let key = self.heap.key(&value)?;
                if self.heap.dict_mut(number)?.remove(&key).is_none() && name == "remove" {
                    return Err(Fault::new(format!("remove: {} is not in the set", self.repr(&value)?)));
                }
                Ok(Value::None)
            }
            "pop" => {
                given.take(name, [], 0)?;
                let Some((first, _)) = self.heap.dict_at(number).key_from(0) else {
                    return Err(Fault::new("pop: the set is empty"));
                };
                let key = self.heap.key(&first)?;
                self.heap.dict_mut(number)?.remove(&key);
                Ok(first)
            }
            "update" => {
                for items in given.plain {
                    for item in self.collect(&items)? {
                        self.heap.put(number, item, Value::None)?;
                    }
                }
                Ok(Value::None)
            }
            _ => self.set_against(own, number, name, given),
        }
    }

    /// What compares a set with other values.
    fn set_against(&mut self, own: &Value, number: usize, name: &str, given: Given) -> Outcome<Value> {
        let mut result = own.clone();
        let count = given.plain.len();
        for items in given.plain {
            let items = self.collect(&items)?;
            let other = self.heap.set_of(items)?;
            if name.starts_with("iss") {
                let own = self.heap.dict_at(number);
                let (part, whole) = if name == "issubset" { (own, &other) } else { (&other, own) };
                return Ok(Value::Bool(part.keys().all(|key| whole.has(key))));
            }
            let other = self.heap.set(other)?;
            let operator = match name {
                "union" => "|",
                "intersection" => "&",
                "difference" => "-",
                _ => "^",
            };
            result = self.binary(operator, &result, &other)?;
        }
        if count > 0 { Ok(result) } else { self.copied_set(number) }
    }

    fn copied_set(&mut self, number: usize) -> Outcome<Value> {
        self.heap.charge(self.heap.dict_at(number).len() * ENTRY)?;
        let items = self.heap.dict_at(number).entries().map(|(name, _)| name.clone()).collect();
        let copy: Dict = self.heap.set_of(items)?;
        self.heap.set(copy)
    }
}
