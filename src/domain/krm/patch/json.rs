//! JSON patches (RFC 6902) as the API server applies them.
//!
//! Source: the behaviour of `evanphx/json-patch` v4, which differs from the RFC: `replace` of a missing field adds it
//! and is the only operation on the whole document, `test` of a missing field against null holds, negative indices
//! count from the end.

use serde_json::{Map, Value};

use crate::domain::krm::value::{MAX_DEPTH_OWNED, depth, json_type, same};

/// Most operations in one patch; the API server's limit.
pub const MAX_OPERATIONS: usize = 10_000;

/// Most bytes, as JSON, that the `copy` operations of one patch may add; the API server's limit.
pub const MAX_COPIED: usize = 3 * 1024 * 1024;

/// Operations to be done in order.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPatch(Vec<Map<String, Value>>);

/// A patch that cannot be read, or not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonPatchError {
    /// It is no list of operations.
    #[error("reading a JSON patch: it is of type {found}, not a list of operations")]
    NotAList {
        /// The type that it has.
        found: &'static str,
    },
    /// An item is no operation.
    #[error("reading a JSON patch: operation {index} is of type {found}, not a map")]
    NotAnOperation {
        /// Position, from 0.
        index: usize,
        /// The type that it has.
        found: &'static str,
    },
    /// It has too many operations.
    #[error("reading a JSON patch: it has {given} operations, and {MAX_OPERATIONS} are allowed")]
    TooMany {
        /// How many.
        given: usize,
    },
    /// An operation on a place that is not there, a `test` that does not hold, or an unknown operation.
    #[error("applying a JSON patch: operation {index} cannot be done")]
    Failed {
        /// Position, from 0.
        index: usize,
    },
    /// Copies of copies would grow beyond any measure.
    #[error("applying a JSON patch: with operation {index} more than {MAX_COPIED} bytes are copied")]
    TooMuchCopied {
        /// Position, from 0.
        index: usize,
    },
    /// Values put into one another would nest beyond any measure.
    #[error(
        "applying a JSON patch: with operation {index} the document is nested deeper than {MAX_DEPTH_OWNED} levels"
    )]
    TooDeep {
        /// Position, from 0.
        index: usize,
    },
}

/// Why an operation was not done.
enum Refused {
    Impossible,
    TooMuch,
    TooDeep,
}

use Refused::Impossible;

impl JsonPatch {
    /// Reads a patch.
    ///
    /// # Errors
    /// [`JsonPatchError`] for what is no list of maps, and for too many of them.
    pub fn read(value: Value) -> Result<Self, JsonPatchError> {
        let found = json_type(&value);
        let Value::Array(items) = value else { return Err(JsonPatchError::NotAList { found }) };
        if items.len() > MAX_OPERATIONS {
            return Err(JsonPatchError::TooMany { given: items.len() });
        }
        let operation = |(index, item)| match item {
            Value::Object(fields) => Ok(fields),
            other => Err(JsonPatchError::NotAnOperation { index, found: json_type(&other) }),
        };
        items.into_iter().enumerate().map(operation).collect::<Result<_, _>>().map(Self)
    }

    /// The document after all operations.
    ///
    /// # Errors
    /// [`JsonPatchError`] with the first operation that cannot be done.
    pub fn apply(&self, document: &Value) -> Result<Value, JsonPatchError> {
        let mut document = document.clone();
        let mut left = MAX_COPIED;
        for (index, operation) in self.0.iter().enumerate() {
            step(&mut document, operation, &mut left).map_err(|refused| match refused {
                Refused::Impossible => JsonPatchError::Failed { index },
                Refused::TooMuch => JsonPatchError::TooMuchCopied { index },
                Refused::TooDeep => JsonPatchError::TooDeep { index },
            })?;
        }
        Ok(document)
    }
}

/// Does one operation; `left` is how many bytes may still be copied.
fn step(document: &mut Value, operation: &Map<String, Value>, left: &mut usize) -> Result<(), Refused> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str).ok_or(Impossible);
    let value = || operation.get("value").cloned().unwrap_or_default();
    match text("op")? {
        "add" => add(document, text("path")?, value()),
        "remove" => remove(document, text("path")?).map(drop),
        "replace" => replace(document, text("path")?, value()),
        "test" => test(document, text("path")?, &value()),
        "move" => {
            let moved = remove(document, text("from")?)?;
            add(document, text("path")?, moved)
        }
        "copy" => {
            let copied = get(document, text("from")?)?;
            *left = left.checked_sub(copied.to_string().len()).ok_or(Refused::TooMuch)?;
            add(document, text("path")?, copied)
        }
        _ => Err(Impossible),
    }
}

/// The container of a place, and the last step to it.
fn parent<'a>(document: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), Refused> {
    let mut steps: Vec<String> = path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let last = steps.pop().filter(|_| !steps.is_empty()).ok_or(Impossible)?;
    let found = steps.iter().skip(1).try_fold(document, |here, step| match here {
        Value::Object(fields) => fields.get_mut(step),
        Value::Array(items) => place(step, items.len()).and_then(|index| items.get_mut(index)),
        _ => None,
    });
    found.filter(|found| found.is_object() || found.is_array()).map(|found| (found, last)).ok_or(Impossible)
}

/// An index into a list of this length; negative ones count from its end.
fn place(step: &str, length: usize) -> Option<usize> {
    let index: i64 = step.parse().ok()?;
    let index = if index < 0 { index + i64::try_from(length).ok()? } else { index };
    usize::try_from(index).ok().filter(|index| *index < length)
}

fn get(document: &mut Value, path: &str) -> Result<Value, Refused> {
    match parent(document, path)? {
        (Value::Object(fields), name) => Ok(fields.get(&name).cloned().unwrap_or_default()),
        (Value::Array(items), step) => place(&step, items.len()).map(|index| items[index].clone()).ok_or(Impossible),
        _ => Err(Impossible),
    }
}

/// A value may stand at a place where it does not nest too deep.
fn check_depth(path: &str, value: &Value) -> Result<(), Refused> {
    let above = path.matches('/').count();
    if above + depth(value) > MAX_DEPTH_OWNED { Err(Refused::TooDeep) } else { Ok(()) }
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), Refused> {
    check_depth(path, &value)?;
    match parent(document, path)? {
        (Value::Object(fields), name) => drop(fields.insert(name, value)),
        (Value::Array(items), step) if step == "-" => items.push(value),
        (Value::Array(items), step) => items.insert(place(&step, items.len() + 1).ok_or(Impossible)?, value),
        _ => return Err(Impossible),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Result<Value, Refused> {
    match parent(document, path)? {
        (Value::Object(fields), name) => fields.remove(&name).ok_or(Impossible),
        (Value::Array(items), step) => place(&step, items.len()).map(|index| items.remove(index)).ok_or(Impossible),
        _ => Err(Impossible),
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), Refused> {
    check_depth(path, &value)?;
    // The one operation that the whole document may be the place of.
    if path.is_empty() && (value.is_object() || value.is_array()) {
        *document = value;
        return Ok(());
    }
    match parent(document, path)? {
        (Value::Object(fields), name) => drop(fields.insert(name, value)),
        (Value::Array(items), step) => {
            let index = place(&step, items.len()).ok_or(Impossible)?;
            items[index] = value;
        }
        _ => return Err(Impossible),
    }
    Ok(())
}

fn test(document: &mut Value, path: &str, value: &Value) -> Result<(), Refused> {
    let found = get(document, path)?;
    if same(&found, value) { Ok(()) } else { Err(Impossible) }
}
