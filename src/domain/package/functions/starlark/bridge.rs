//! Values of the outside, as values of a program and back.

use serde_json::{Map, Number, Value as Json};

use super::eval::Machine;
use super::fault::{Fault, Outcome};
use super::value::{Dict, MAX_NESTING, Value, too_deep, whole};

impl Machine<'_> {
    /// A value of the outside for the program.
    pub(super) fn take_in(&mut self, json: &Json) -> Outcome<Value> {
        self.heap.step(1)?;
        match json {
            Json::Null => Ok(Value::None),
            Json::Bool(value) => Ok(Value::Bool(*value)),
            Json::Number(number) => Ok(number_of(number)),
            Json::String(text) => self.heap.text(text.as_str()),
            Json::Array(items) => {
                let items: Outcome<Vec<Value>> = items.iter().map(|item| self.take_in(item)).collect();
                self.heap.list(items?)
            }
            Json::Object(map) => {
                let made = self.heap.dict(Dict::default())?;
                if let Value::Dict(number) = made {
                    for (name, json) in map {
                        let name = self.heap.text(name.as_str())?;
                        let value = self.take_in(json)?;
                        self.heap.put(number, name, value)?;
                    }
                }
                Ok(made)
            }
        }
    }

    /// A value of the program for the outside.
    pub(super) fn give_out(&self, value: &Value) -> Outcome<Json> {
        self.give_out_within(value, 0)
    }

    fn give_out_within(&self, value: &Value, depth: usize) -> Outcome<Json> {
        if depth > MAX_NESTING {
            return Err(too_deep());
        }
        self.heap.step(1)?;
        self.heap.charge(super::value::ENTRY)?;
        match value {
            Value::None => Ok(Json::Null),
            Value::Bool(value) => Ok(Json::Bool(*value)),
            Value::Int(number) => json_number(*number),
            Value::Float(number) => Number::from_f64(*number)
                .map(Json::Number)
                .ok_or_else(|| Fault::new(format!("{number} is no number that can be written"))),
            Value::Text(text) => {
                self.heap.charge(text.len())?;
                Ok(Json::String(text.to_string()))
            }
            Value::List(_) | Value::Tuple(_) => {
                let items = self.heap.elements(value).unwrap_or_default();
                items
                    .iter()
                    .map(|item| self.give_out_within(item, depth + 1))
                    .collect::<Outcome<Vec<Json>>>()
                    .map(Json::Array)
            }
            Value::Dict(number) => {
                let mut map = Map::new();
                for (name, value) in self.heap.dict_at(*number).entries() {
                    let Value::Text(name) = name else {
                        let text = self.repr(name)?;
                        return Err(Fault::new(format!("the key {text} is no text, and only texts can be written")));
                    };
                    self.heap.charge(name.len())?;
                    map.insert(name.to_string(), self.give_out_within(value, depth + 1)?);
                }
                Ok(Json::Object(map))
            }
            other => Err(Fault::new(format!("a {} cannot be written", other.kind()))),
        }
    }
}

fn number_of(number: &Number) -> Value {
    let whole = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    whole.map_or_else(|| Value::Float(number.as_f64().unwrap_or_default()), Value::Int)
}

fn json_number(number: i128) -> Outcome<Json> {
    let found = i64::try_from(number).map(Number::from).or_else(|_| u64::try_from(number).map(Number::from));
    found.map(Json::Number).map_err(|_| Fault::new(format!("{number} is too large to be written")))
}

/// A value that a program gave back, with its numbers as they were where they mean the same, and without a point where
/// they have no fraction.
pub(super) fn settled(new: Json, old: Option<&Json>) -> Json {
    match (new, old) {
        (Json::Object(map), old) => Json::Object(
            map.into_iter()
                .map(|(key, value)| {
                    let old = old.and_then(|old| old.get(&key));
                    (key, settled(value, old))
                })
                .collect(),
        ),
        (Json::Array(items), old) => {
            let items = items.into_iter().enumerate();
            Json::Array(items.map(|(at, item)| settled(item, old.and_then(|old| old.get(at)))).collect())
        }
        (Json::Number(number), Some(Json::Number(old))) if number.as_f64() == old.as_f64() && number.is_f64() => {
            Json::Number(old.clone())
        }
        (Json::Number(number), _) if number.is_f64() => {
            let found = number.as_f64().and_then(whole).and_then(|number| json_number(number).ok());
            found.unwrap_or(Json::Number(number))
        }
        (other, _) => other,
    }
}
