//! What can be asked of objects: their properties, their items, and of which kind they are.

use std::rc::Rc;

use wasmi::Error;

use super::natives::Native;
use super::values::{Kind, ObjectId, Value, Values};

/// Bytes that one property or item counts for, beside its name.
const CELL: usize = 64;

impl Values {
    /// A new object with these properties.
    pub(super) fn plain(&mut self, properties: &[(&str, Value)]) -> Result<ObjectId, Error> {
        let id = self.add(Kind::Plain)?;
        properties.iter().try_for_each(|(name, value)| self.set(id, name, value.clone()))?;
        Ok(id)
    }

    /// A new error, as one that is thrown or told.
    pub(super) fn error(&mut self, message: &str) -> Result<Value, Error> {
        let id = self.add(Kind::Error)?;
        self.set(id, "message", Value::text(message))?;
        Ok(Value::Object(id))
    }

    /// A property of an object; `undefined` when it has no such.
    pub(super) fn get(&self, id: ObjectId, name: &str) -> Result<Value, Error> {
        let object = self.object(id)?;
        let own = match (&object.kind, name) {
            (Kind::Array(items), "length") => Some(count(items.len())),
            (Kind::Bytes(bytes), "length" | "byteLength") => Some(count(bytes.len())),
            (Kind::Array(_) | Kind::Bytes(_), _) => match name.parse() {
                Ok(index) => Some(self.index(id, index)?),
                Err(_) => None,
            },
            _ => None,
        };
        Ok(own.or_else(|| object.properties.get(name).cloned()).unwrap_or(Value::Undefined))
    }

    /// Sets a property of an object.
    pub(super) fn set(&mut self, id: ObjectId, name: &str, value: Value) -> Result<(), Error> {
        if let (Ok(index), Kind::Array(_) | Kind::Bytes(_)) = (name.parse(), &self.object(id)?.kind) {
            return self.set_index(id, index, value);
        }
        self.take(CELL + name.len())?;
        self.object_mut(id)?.properties.insert(Rc::from(name), value);
        Ok(())
    }

    /// Takes a property away.
    pub(super) fn delete(&mut self, id: ObjectId, name: &str) -> Result<(), Error> {
        self.object_mut(id)?.properties.remove(name);
        Ok(())
    }

    /// An item of an object; `undefined` where there is none.
    pub(super) fn index(&self, id: ObjectId, index: i64) -> Result<Value, Error> {
        let place = usize::try_from(index).ok();
        let item = match &self.object(id)?.kind {
            Kind::Array(items) => place.and_then(|at| items.get(at).cloned()),
            Kind::Bytes(bytes) => place.and_then(|at| bytes.get(at)).map(|byte| Value::Number(f64::from(*byte))),
            _ => return self.get(id, &index.to_string()),
        };
        Ok(item.unwrap_or(Value::Undefined))
    }

    /// Sets an item of an object; an array grows as far.
    pub(super) fn set_index(&mut self, id: ObjectId, index: i64, value: Value) -> Result<(), Error> {
        let length = match &self.object(id)?.kind {
            Kind::Array(items) => items.len(),
            Kind::Bytes(bytes) => bytes.len(),
            _ => return self.set(id, &index.to_string(), value),
        };
        let Ok(at) = usize::try_from(index) else { return Ok(()) };
        let grown = at.saturating_add(1).saturating_sub(length);
        if grown > 0 && matches!(self.object(id)?.kind, Kind::Array(_)) {
            self.take(grown.saturating_mul(CELL))?;
        }
        match &mut self.object_mut(id)?.kind {
            Kind::Array(items) => {
                items.resize(length + grown, Value::Undefined);
                items[at] = value;
            }
            Kind::Bytes(bytes) => {
                if let Some(place) = bytes.get_mut(at) {
                    *place = byte(&value);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Its property `length`; 0 when that is no number.
    pub(super) fn length(&self, id: ObjectId) -> Result<i64, Error> {
        Ok(if let Value::Number(number) = self.get(id, "length")? { whole(number) } else { 0 })
    }

    /// Whether a value was made by a constructor, or would have been; none when it is no constructor.
    pub(super) fn made_by(&self, value: &Value, constructor: &Value) -> Option<bool> {
        let kind = self.kind(value);
        Some(match self.kind(constructor)? {
            Kind::Native(Native::Object) => kind.is_some(),
            Kind::Native(Native::Array) => matches!(kind, Some(Kind::Array(_))),
            Kind::Native(Native::Bytes) => matches!(kind, Some(Kind::Bytes(_))),
            Kind::Native(Native::Error) => matches!(kind, Some(Kind::Error)),
            Kind::Native(Native::Date) => matches!(kind, Some(Kind::Date)),
            Kind::Native(Native::Function) => matches!(kind, Some(Kind::Native(_) | Kind::Go(_))),
            Kind::Native(_) | Kind::Go(_) => false,
            _ => return None,
        })
    }
}

/// A count as a number.
#[allow(clippy::cast_precision_loss, reason = "nothing here has 2^53 items")]
pub(super) fn count(number: usize) -> Value {
    Value::Number(number as f64)
}

/// A number without its fraction, within bounds.
#[allow(clippy::cast_possible_truncation, reason = "a cast of a float ends at the bounds")]
pub(super) fn whole(number: f64) -> i64 {
    number as i64
}

/// A value as an item of a `Uint8Array`: without its fraction, modulo 256; 0 for what is no number.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and 255")]
fn byte(value: &Value) -> u8 {
    let number = match value {
        Value::Number(number) if number.is_finite() => *number,
        Value::Bool(true) => 1.0,
        Value::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()).unwrap_or(0.0),
        _ => 0.0,
    };
    number.trunc().rem_euclid(256.0) as u8
}
