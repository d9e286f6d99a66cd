//! JSON patches (RFC 6902) as the API server applies them.
//!
//! Source: the behaviour of `evanphx/json-patch` v4, which differs from the RFC: `replace` of a missing field adds it, `test`
//! of a missing field against null holds, negative indices count from the end.

use serde_json::{Map, Value};

use crate::apiserver::decode::json_type;
use crate::apiserver::status::ApiError;

/// Most operations in one patch.
const MAX_OPERATIONS: usize = 10_000;

/// Operations to be done in order.
#[derive(Debug, Clone)]
pub(super) struct JsonPatch(Vec<Map<String, Value>>);

/// An operation that cannot be done; the server does not say why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed;

impl JsonPatch {
    /// Reads a patch.
    ///
    /// # Errors
    /// 400 for what is no list of operations, 413 for too many of them.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        let refuse = |why: &str| ApiError::bad_request(format!("error decoding patch: {why}"));
        let value: Value = serde_json::from_slice(bytes).map_err(|error| refuse(&error.to_string()))?;
        let found = json_type(&value);
        let Value::Array(items) = value else {
            return Err(refuse(&format!(
                "json: cannot unmarshal {found} into Go value of type []handlers.jsonPatchOp"
            )));
        };
        if items.len() > MAX_OPERATIONS {
            return Err(ApiError::too_many_operations(items.len(), MAX_OPERATIONS));
        }
        let operation = |item| match item {
            Value::Object(fields) => Ok(fields),
            other => Err(refuse(&format!(
                "json: cannot unmarshal {} into Go value of type handlers.jsonPatchOp",
                json_type(&other)
            ))),
        };
        items.into_iter().map(operation).collect::<Result<_, _>>().map(Self)
    }

    /// Does all operations, or says that one failed.
    ///
    /// # Errors
    /// [`Failed`] for an operation on a place that is not there, a `test` that does not hold, an unknown operation.
    pub(super) fn apply(&self, document: &mut Value) -> Result<(), Failed> {
        self.0.iter().try_for_each(|operation| step(document, operation))
    }
}

fn step(document: &mut Value, operation: &Map<String, Value>) -> Result<(), Failed> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str).ok_or(Failed);
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
            add(document, text("path")?, copied)
        }
        _ => Err(Failed),
    }
}

/// The container of a place, and the last step to it.
fn parent<'a>(document: &'a mut Value, path: &str) -> Result<(&'a mut Value, String), Failed> {
    let mut steps: Vec<String> = path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let last = steps.pop().filter(|_| !steps.is_empty()).ok_or(Failed)?;
    let found = steps.iter().skip(1).try_fold(document, |here, step| match here {
        Value::Object(fields) => fields.get_mut(step),
        Value::Array(items) => place(step, items.len()).and_then(|index| items.get_mut(index)),
        _ => None,
    });
    found.filter(|found| found.is_object() || found.is_array()).map(|found| (found, last)).ok_or(Failed)
}

/// An index into a list of this length; negative ones count from its end.
fn place(step: &str, length: usize) -> Option<usize> {
    let index: i64 = step.parse().ok()?;
    let index = if index < 0 { index + i64::try_from(length).ok()? } else { index };
    usize::try_from(index).ok().filter(|index| *index < length)
}

fn get(document: &mut Value, path: &str) -> Result<Value, Failed> {
    match parent(document, path)? {
        (Value::Object(fields), name) => Ok(fields.get(&name).cloned().unwrap_or_default()),
        (Value::Array(items), step) => place(&step, items.len()).map(|index| items[index].clone()).ok_or(Failed),
        _ => Err(Failed),
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), Failed> {
    match parent(document, path)? {
        (Value::Object(fields), name) => drop(fields.insert(name, value)),
        (Value::Array(items), step) if step == "-" => items.push(value),
        (Value::Array(items), step) => items.insert(place(&step, items.len() + 1).ok_or(Failed)?, value),
        _ => return Err(Failed),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Result<Value, Failed> {
    match parent(document, path)? {
        (Value::Object(fields), name) => fields.remove(&name).ok_or(Failed),
        (Value::Array(items), step) => place(&step, items.len()).map(|index| items.remove(index)).ok_or(Failed),
        _ => Err(Failed),
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), Failed> {
    match parent(document, path)? {
        (Value::Object(fields), name) => drop(fields.insert(name, value)),
        (Value::Array(items), step) => {
            let index = place(&step, items.len()).ok_or(Failed)?;
            items[index] = value;
        }
        _ => return Err(Failed),
    }
    Ok(())
}

fn test(document: &mut Value, path: &str, value: &Value) -> Result<(), Failed> {
    let found = get(document, path)?;
    if crate::domain::krm::value::same(&found, value) { Ok(()) } else { Err(Failed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(mut object: Value, patch: &Value) -> Result<Value, Failed> {
        JsonPatch::read(patch.to_string().as_bytes()).unwrap().apply(&mut object).map(|()| object)
    }

    #[test]
    fn operations_do_what_the_api_server_does() {
        let object = json!({"a": {"b": 1}, "l": [1, 2]});
        let table = [
            (json!({"op": "add", "path": "/a/c", "value": 2}), Some(json!({"a": {"b": 1, "c": 2}, "l": [1, 2]}))),
            (json!({"op": "add", "path": "/l/-", "value": 3}), Some(json!({"a": {"b": 1}, "l": [1, 2, 3]}))),
            (json!({"op": "add", "path": "/l/0", "value": 3}), Some(json!({"a": {"b": 1}, "l": [3, 1, 2]}))),
            (json!({"op": "add", "path": "/l/3", "value": 3}), None),
            (json!({"op": "add", "path": "/x/y", "value": 3}), None),
            (json!({"op": "replace", "path": "/a/c", "value": 2}), Some(json!({"a": {"b": 1, "c": 2}, "l": [1, 2]}))),
            (json!({"op": "replace", "path": "/l/-1", "value": 9}), Some(json!({"a": {"b": 1}, "l": [1, 9]}))),
            (json!({"op": "remove", "path": "/a/c"}), None),
            (json!({"op": "remove", "path": "/l/0"}), Some(json!({"a": {"b": 1}, "l": [2]}))),
            (json!({"op": "move", "from": "/a/b", "path": "/b"}), Some(json!({"a": {}, "b": 1, "l": [1, 2]}))),
            (json!({"op": "copy", "from": "/a/b", "path": "/b"}), Some(json!({"a": {"b": 1}, "b": 1, "l": [1, 2]}))),
            (json!({"op": "test", "path": "/a/b", "value": 1}), Some(object.clone())),
            (json!({"op": "test", "path": "/a/c", "value": null}), Some(object.clone())),
            (json!({"op": "test", "path": "/a/b", "value": 2}), None),
            (json!({"op": "jump", "path": "/a/b"}), None),
        ];
        for (operation, expected) in table {
            assert_eq!(patched(object.clone(), &json!([operation])).ok(), expected, "{operation}");
        }
    }

    #[test]
    fn what_is_no_list_of_operations_is_refused() {
        let wrong = |text: &str| JsonPatch::read(text.as_bytes()).unwrap_err();
        assert_eq!(
            wrong(r#"{"no":"list"}"#).message,
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        );
        assert_eq!((wrong("[1]").code, wrong("nonsense").code), (400, 400));
    }
}
