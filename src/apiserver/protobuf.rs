//! Bodies in protobuf, as the typed clients of the Go library send them: `kubectl create deployment` and its like.
//!
//! Source: "Kubernetes Protobuf encoding" of the Kubernetes API concepts, the wire format of protocol buffers, and the
//! `generated.proto` files of `k8s.io/api`, of which `protobuf/fields.txt` holds the numbers, names and types of
//! fields: a line with the name of a message, then a line for each field. `[]` before a type is a list, `{}` a map by
//! text, `=` a message whose fields are those of the one that it is in. Only what the embedded server serves is there;
//! answers are JSON.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use crate::domain::krm::Gvk;
use crate::domain::krm::base64;
use crate::domain::time::{Timestamp, rfc3339_micros, rfc3339_seconds};

/// The media type.
pub(super) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// What every body starts with.
const MAGIC: &[u8] = b"k8s\0";
/// Deepest nesting of messages that is read.
const MAX_DEPTH: usize = 64;
const FIELDS: &str = include_str!("protobuf/fields.txt");

/// A body that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProtobufError {
    /// It does not start as such a body does.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    NoMagic,
    /// The kind has no such form here.
    #[error("no kind {kind:?} is registered for version {version:?} in protobuf")]
    UnknownKind {
        /// The kind that the body names.
        kind: String,
        /// Its group and version.
        version: String,
    },
    /// It ends in the middle of something, or has a part of another type than it should.
    #[error("reading {message} in protobuf: {what}")]
    Malformed {
        /// The message that it is in.
        message: String,
        /// What is wrong.
        what: &'static str,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Many {
    One,
    List,
    Map,
    Inline,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    name: &'static str,
    many: Many,
    of: &'static str,
}

type Messages = BTreeMap<&'static str, BTreeMap<u64, Field>>;

fn messages() -> &'static Messages {
    static MESSAGES: OnceLock<Messages> = OnceLock::new();
    MESSAGES.get_or_init(|| {
        let (mut all, mut message) = (Messages::new(), "");
        for line in FIELDS.lines().filter(|line| !line.is_empty()) {
            if let Some((number, field)) = line.strip_prefix(' ').and_then(field) {
                all.entry(message).or_default().insert(number, field);
            } else {
                message = line;
                all.entry(message).or_default();
            }
        }
        all
    })
}

fn field(line: &'static str) -> Option<(u64, Field)> {
    let mut words = line.split(' ');
    let (number, name, of) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let forms = [("[]", Many::List), ("{}", Many::Map), ("=", Many::Inline)];
    let form = forms.into_iter().find_map(|(mark, many)| Some((of.strip_prefix(mark)?, many)));
    let (of, many) = form.unwrap_or((of, Many::One));
    Some((number, Field { name, many, of }))
}

/// The message of a kind: `apps.v1.Deployment`.
fn message_of(gvk: &Gvk) -> Option<&'static str> {
    let group = gvk.group.split('.').next().filter(|group| !group.is_empty()).unwrap_or("core");
    let meta = || messages().get_key_value(format!("meta.v1.{}", gvk.kind).as_str());
    let name = format!("{group}.{}.{}", gvk.version, gvk.kind);
    messages().get_key_value(name.as_str()).or_else(meta).map(|(name, _)| *name)
}

/// Reads a body into the JSON that it stands for.
///
/// # Errors
/// [`ProtobufError`] naming what cannot be read.
pub(super) fn read(body: &[u8]) -> Result<Value, ProtobufError> {
    let body = body.strip_prefix(MAGIC).ok_or(ProtobufError::NoMagic)?;
    let envelope = message(body, "runtime.Unknown", MAX_DEPTH)?;
    let text = |pointer: &str| envelope.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (version, kind) = (text("/typeMeta/apiVersion"), text("/typeMeta/kind"));
    let Some(name) = message_of(&Gvk::parse(&version, &kind)) else {
        return Err(ProtobufError::UnknownKind { kind, version });
    };
    let raw = base64::decode(&text("/raw")).unwrap_or_default();
    let mut object = message(&raw, name, MAX_DEPTH)?;
    object["apiVersion"] = json!(version);
    object["kind"] = json!(kind);
    Ok(object)
}

/// A value on the wire.
enum Wire<'a> {
    Number(u64),
    Double(f64),
    Bytes(&'a [u8]),
}

fn malformed(message: &str, what: &'static str) -> ProtobufError {
    ProtobufError::Malformed { message: message.to_owned(), what }
}

/// Takes a number off the front.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut out = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        out |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(out);
        }
    }
    None
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

/// Takes a field off the front: its number and its value.
fn next<'a>(bytes: &mut &'a [u8]) -> Option<(u64, Wire<'a>)> {
    let key = varint(bytes)?;
    let value = match key & 7 {
        0 => Wire::Number(varint(bytes)?),
        1 => Wire::Double(f64::from_le_bytes(take(bytes, 8)?.try_into().ok()?)),
        2 => {
            let length = usize::try_from(varint(bytes)?).ok()?;
            Wire::Bytes(take(bytes, length)?)
        }
        _ => return None,
    };
    Some((key >> 3, value))
}

fn message(mut bytes: &[u8], name: &str, depth: usize) -> Result<Value, ProtobufError> {
    let fields = messages().get(name).ok_or_else(|| malformed(name, "no such message is known"))?;
    let depth = depth.checked_sub(1).ok_or_else(|| malformed(name, "messages in messages without end"))?;
    let mut out = Map::new();
    while !bytes.is_empty() {
        let (number, wire) = next(&mut bytes).ok_or_else(|| malformed(name, "it ends too early"))?;
        if let Some(field) = fields.get(&number) {
            put(&mut out, field, &wire, name, depth)?;
        }
    }
    Ok(special(name, out))
}

fn put(
    out: &mut Map<String, Value>,
    field: &Field,
    wire: &Wire<'_>,
    name: &str,
    depth: usize,
) -> Result<(), ProtobufError> {
    match field.many {
        Many::One => drop(out.insert(field.name.to_owned(), value(wire, field.of, name, depth)?)),
        Many::List => {
            let item = value(wire, field.of, name, depth)?;
            if let Value::Array(items) = out.entry(field.name).or_insert_with(|| json!([])) {
                items.push(item);
            }
        }
        Many::Inline => {
            if let Value::Object(fields) = value(wire, field.of, name, depth)? {
                out.extend(fields);
            }
        }
        Many::Map => {
            let (key, entry) = entry(wire, field.of, name, depth)?;
            if let Value::Object(entries) = out.entry(field.name).or_insert_with(|| json!({})) {
                entries.insert(key, entry);
            }
        }
    }
    Ok(())
}

/// An entry of a map is a message of a key and a value.
fn entry(wire: &Wire<'_>, of: &str, name: &str, depth: usize) -> Result<(String, Value), ProtobufError> {
    let Wire::Bytes(mut bytes) = *wire else { return Err(malformed(name, "an entry of a map is no message")) };
    let (mut key, mut found) = (String::new(), None);
    while !bytes.is_empty() {
        match next(&mut bytes).ok_or_else(|| malformed(name, "an entry of a map ends too early"))? {
            (1, Wire::Bytes(text)) => key = String::from_utf8_lossy(text).into_owned(),
            (2, wire) => found = Some(value(&wire, of, name, depth)?),
            _ => {}
        }
    }
    // What is empty needs not be sent.
    let found = found.map_or_else(|| value(&Wire::Bytes(&[]), of, name, depth), Ok)?;
    Ok((key, found))
}

fn value(wire: &Wire<'_>, of: &str, name: &str, depth: usize) -> Result<Value, ProtobufError> {
    match (of, wire) {
        ("string", Wire::Bytes(bytes)) => Ok(json!(String::from_utf8_lossy(bytes))),
        ("bytes", Wire::Bytes(bytes)) => Ok(json!(base64::encode(bytes))),
        ("bool", Wire::Number(number)) => Ok(json!(*number != 0)),
        ("int32" | "int64", Wire::Number(number)) => Ok(json!(number.cast_signed())),
        ("double", Wire::Double(number)) => Ok(json!(number)),
        ("string" | "bytes" | "bool" | "int32" | "int64" | "double", _) => {
            Err(malformed(name, "a field has a value of another type"))
        }
        (message_name, Wire::Bytes(bytes)) => message(bytes, message_name, depth),
        _ => Err(malformed(name, "a field is no message")),
    }
}

/// Messages that are something else than a map in JSON.
fn special(name: &str, mut fields: Map<String, Value>) -> Value {
    if name == "meta.v1.ObjectMeta" {
        // Go sends all of it, and leaves what is empty out of JSON.
        fields.retain(|_, value| !matches!(value.as_str(), Some("")) && value.as_i64() != Some(0));
    }
    let number = |name: &str| fields.get(name).and_then(Value::as_i64).unwrap_or_default();
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let raw = |name: &str| base64::decode(text(name)).and_then(|bytes| serde_json::from_slice(&bytes).ok());
    match name {
        "meta.v1.Time" => time(number("seconds"), 0).map_or(Value::Null, |at| json!(rfc3339_seconds(at))),
        "meta.v1.MicroTime" => {
            time(number("seconds"), number("nanos")).map_or(Value::Null, |at| json!(rfc3339_micros(at)))
        }
        "intstr.IntOrString" if number("type") == 0 => json!(number("intVal")),
        "intstr.IntOrString" => json!(text("strVal")),
        "resource.Quantity" => json!(text("string")),
        "runtime.RawExtension" => raw("raw").unwrap_or_default(),
        "meta.v1.FieldsV1" => raw("Raw").unwrap_or_default(),
        name if name.ends_with(".ExtraValue") => fields.get("items").cloned().unwrap_or_else(|| json!([])),
        _ => Value::Object(fields),
    }
}

/// A moment; the first of them is none.
fn time(seconds: i64, nanos: i64) -> Option<Timestamp> {
    let at = Timestamp::new(seconds, i32::try_from(nanos).ok()?).ok();
    at.filter(|_| (seconds, nanos) != (0, 0))
}

#[cfg(test)]
mod tests;
