//! The functions of JavaScript that Go's runtime and standard library call, and what stands for the rest of a system:
//! no files, no environment, no network.

use wasmi::Error;

use super::calls::{Host, invoke};
use super::objects::{count, whole};
use super::values::{GLOBAL, GO, Kind, ObjectId, Value, Values};

/// What a call comes to: a value, or one that is thrown.
pub(super) type Outcome = Result<Value, Value>;

/// A function of this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Native {
    Object,
    Array,
    Bytes,
    Error,
    Date,
    Function,
    Keys,
    IsArray,
    Time,
    Uptime,
    Offset,
    Random,
    Log,
    Nobody,
    Refused,
    Resolve,
    File,
    Sync,
    Write,
    WriteSync,
    Wrap,
}

/// Global functions.
const FUNCTIONS: [(&str, Native); 6] = [
    ("Object", Native::Object),
    ("Array", Native::Array),
    ("Uint8Array", Native::Bytes),
    ("Error", Native::Error),
    ("Date", Native::Date),
    ("Function", Native::Function),
];

/// Functions of global objects.
const METHODS: [(&str, &[&str], Native); 15] = [
    ("Object", &["keys"], Native::Keys),
    ("Array", &["isArray"], Native::IsArray),
    ("Date", &["now"], Native::Time),
    ("performance", &["now"], Native::Uptime),
    ("crypto", &["getRandomValues"], Native::Random),
    ("console", &["log", "info", "warn", "error", "debug"], Native::Log),
    ("process", &["getuid", "getgid", "geteuid", "getegid"], Native::Nobody),
    ("process", &["getgroups", "umask", "cwd", "chdir"], Native::Refused),
    ("path", &["resolve"], Native::Resolve),
    ("fs", &["chmod", "chown", "close", "fchmod", "fchown", "fstat", "ftruncate", "lchown"], Native::File),
    ("fs", &["link", "lstat", "mkdir", "open", "read", "readdir", "readlink", "rename"], Native::File),
    ("fs", &["rmdir", "stat", "symlink", "truncate", "unlink", "utimes"], Native::File),
    ("fs", &["fsync"], Native::Sync),
    ("fs", &["write"], Native::Write),
    ("fs", &["writeSync"], Native::WriteSync),
];

/// Names of flags of files, which open none.
const FLAGS: [&str; 7] = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_EXCL", "O_DIRECTORY"];

/// Puts the global names in place.
pub(super) fn install(values: &mut Values) -> Result<(), Error> {
    values.set(GLOBAL, "globalThis", Value::Object(GLOBAL))?;
    for (name, native) in FUNCTIONS {
        method(values, GLOBAL, name, native)?;
    }
    for (owner, names, native) in METHODS {
        let owner = match values.get(GLOBAL, owner)? {
            Value::Object(id) => id,
            _ => named(values, GLOBAL, owner)?,
        };
        names.iter().try_for_each(|name| method(values, owner, name, native))?;
    }
    if let Value::Object(files) = values.get(GLOBAL, "fs")? {
        let constants = named(values, files, "constants")?;
        FLAGS.iter().try_for_each(|name| values.set(constants, name, Value::Number(-1.0)))?;
    }
    if let Value::Object(process) = values.get(GLOBAL, "process")? {
        ["pid", "ppid"].iter().try_for_each(|name| values.set(process, name, Value::Number(-1.0)))?;
    }
    values.set(GO, "_pendingEvent", Value::Null)?;
    method(values, GO, "_makeFuncWrapper", Native::Wrap)
}

fn named(values: &mut Values, owner: ObjectId, name: &str) -> Result<ObjectId, Error> {
    let id = values.plain(&[])?;
    values.set(owner, name, Value::Object(id))?;
    Ok(id)
}

fn method(values: &mut Values, owner: ObjectId, name: &str, native: Native) -> Result<(), Error> {
    let id = values.add(Kind::Native(native))?;
    values.set(owner, name, Value::Object(id))
}

/// Calls one.
pub(super) fn call(host: &mut Host<'_>, native: Native, given: &[Value]) -> Result<Outcome, Error> {
    let world = host.data_mut();
    let values = &mut world.realm.values;
    let first = given.first().unwrap_or(&Value::Undefined);
    Ok(Ok(match native {
        Native::Object | Native::Array | Native::Error => return construct(host, native, given),
        Native::Bytes | Native::Date | Native::Function => return thrown(host, "it is called without new"),
        Native::Keys => keys(values, first)?,
        Native::IsArray => Value::Bool(matches!(values.kind(first), Some(Kind::Array(_)))),
        Native::Time => Value::Number(milliseconds(world.now()).floor()),
        Native::Uptime => Value::Number(milliseconds(world.now())),
        Native::Offset => Value::Number(0.0),
        Native::Nobody => Value::Number(-1.0),
        Native::Resolve => Value::Text(joined(values, given, "/")?.into()),
        Native::Log => {
            let line = joined(values, given, " ")? + "\n";
            world.write(true, line.as_bytes())?;
            Value::Undefined
        }
        Native::Random => return random(host, first),
        Native::Refused => return Ok(Err(not_here(values)?)),
        Native::File => {
            let error = not_here(values)?;
            return tell(host, given, vec![error]);
        }
        Native::Sync => return tell(host, given, vec![Value::Null]),
        Native::Write => return write(host, given),
        Native::WriteSync => match said(host, first, given.get(1)) {
            Some(done) => done?,
            None => return Ok(Err(not_here(&mut host.data_mut().realm.values)?)),
        },
        Native::Wrap => {
            let Value::Number(number) = first else { return thrown(host, "a function has no number") };
            Value::Object(values.add(Kind::Go(u32::try_from(whole(*number)).unwrap_or_default()))?)
        }
    }))
}

/// Calls one with `new`.
pub(super) fn construct(host: &mut Host<'_>, native: Native, given: &[Value]) -> Result<Outcome, Error> {
    let values = &mut host.data_mut().realm.values;
    let first = given.first().unwrap_or(&Value::Undefined);
    let id = match (native, first) {
        (Native::Object, Value::Object(id)) => *id,
        (Native::Object, _) => values.add(Kind::Plain)?,
        (Native::Array, Value::Number(number)) if given.len() == 1 => {
            let Some(length) = size(values, *number, 64)? else { return thrown(host, "Invalid array length") };
            values.add(Kind::Array(vec![Value::Undefined; length]))?
        }
        (Native::Array, _) => values.add(Kind::Array(given.to_vec()))?,
        (Native::Bytes, Value::Number(number)) => {
            let Some(length) = size(values, *number, 1)? else { return thrown(host, "Invalid typed array length") };
            values.add(Kind::Bytes(vec![0; length]))?
        }
        (Native::Bytes, Value::Object(id)) => copied(values, *id)?,
        (Native::Bytes, _) => values.add(Kind::Bytes(Vec::new()))?,
        (Native::Error, _) => {
            let message = if *first == Value::Undefined { "".into() } else { first.shown() };
            return values.error(&message).map(Ok);
        }
        (Native::Date, _) => {
            let date = values.add(Kind::Date)?;
            method(values, date, "getTimezoneOffset", Native::Offset)?;
            method(values, date, "getTime", Native::Time)?;
            date
        }
        _ => return thrown(host, "it is not a constructor"),
    };
    Ok(Ok(Value::Object(id)))
}

/// A length that was asked for, when it is one and there is room for it.
fn size(values: &mut Values, number: f64, each: usize) -> Result<Option<usize>, Error> {
    let length = usize::try_from(whole(number)).ok().filter(|_| number.fract() == 0.0);
    if let Some(length) = length {
        values.room(length.saturating_mul(each))?;
    }
    Ok(length)
}

/// The items of an object as bytes.
fn copied(values: &mut Values, from: ObjectId) -> Result<ObjectId, Error> {
    let length = usize::try_from(values.length(from)?).unwrap_or_default();
    values.room(length)?;
    let id = values.add(Kind::Bytes(vec![0; length]))?;
    for index in 0..i64::try_from(length).unwrap_or_default() {
        let item = values.index(from, index)?;
        values.handled(64);
        values.set_index(id, index, item)?;
    }
    Ok(id)
}

fn keys(values: &mut Values, of: &Value) -> Result<Value, Error> {
    let names: Vec<Value> = match of {
        Value::Object(id) => values.object(*id)?.properties.keys().cloned().map(Value::Text).collect(),
        _ => Vec::new(),
    };
    values.add(Kind::Array(names)).map(Value::Object)
}

fn random(host: &mut Host<'_>, into: &Value) -> Result<Outcome, Error> {
    let world = host.data_mut();
    let (Value::Object(id), Some(Kind::Bytes(bytes))) = (into, world.realm.values.kind(into)) else {
        return thrown(host, "it is no array of bytes");
    };
    let fresh: Vec<u8> = (0..bytes.len()).map(|_| world.random()).collect();
    world.realm.values.handled(fresh.len().saturating_mul(64));
    world.realm.values.object_mut(*id)?.kind = Kind::Bytes(fresh);
    Ok(Ok(into.clone()))
}

/// Writes to a file, and tells how much that was.
fn write(host: &mut Host<'_>, given: &[Value]) -> Result<Outcome, Error> {
    let [file, bytes, Value::Number(0.0), length, Value::Null, ..] = given else {
        let error = not_here(&mut host.data_mut().realm.values)?;
        return tell(host, given, vec![error]);
    };
    let answer = match said(host, file, Some(bytes)) {
        Some(done) => done.map(|done| if done == *length { vec![Value::Null, done] } else { Vec::new() })?,
        None => Vec::new(),
    };
    let answer = if answer.is_empty() { vec![not_here(&mut host.data_mut().realm.values)?] } else { answer };
    tell(host, given, answer)
}

/// Takes what is written to the standard output or error: neither is the answer, so both are told as the latter.
fn said(host: &mut Host<'_>, file: &Value, bytes: Option<&Value>) -> Option<Result<Value, Error>> {
    let world = host.data_mut();
    let (Value::Number(1.0 | 2.0), Kind::Bytes(bytes)) = (file, world.realm.values.kind(bytes?)?) else { return None };
    let bytes = bytes.clone();
    world.realm.values.handled(bytes.len());
    Some(world.write(true, &bytes).map(|()| count(bytes.len())))
}

/// Answers by the function that was given last. It is called at once: one that waits for it inside of a call keeps the
/// events of later from happening.
fn tell(host: &mut Host<'_>, given: &[Value], answer: Vec<Value>) -> Result<Outcome, Error> {
    let callback = given.last().cloned().unwrap_or(Value::Undefined);
    Ok(invoke(host, &callback, Value::Undefined, answer)?.map(|_| Value::Undefined))
}

/// The error of what there is not: as of a system without files.
fn not_here(values: &mut Values) -> Result<Value, Error> {
    let error = values.error("there are no files here")?;
    if let Value::Object(id) = error {
        values.set(id, "code", Value::text("ENOSYS"))?;
    }
    Ok(error)
}

/// Throws an error.
pub(super) fn thrown(host: &mut Host<'_>, message: &str) -> Result<Outcome, Error> {
    host.data_mut().realm.values.error(message).map(Err)
}

fn joined(values: &mut Values, given: &[Value], between: &str) -> Result<String, Error> {
    let parts: Vec<_> = given.iter().map(Value::shown).collect();
    values.room(parts.iter().fold(0, |size, part| size.saturating_add(part.len() + between.len())))?;
    Ok(parts.join(between))
}

#[allow(clippy::cast_precision_loss, reason = "a clock of floats is one of JavaScript")]
fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}
