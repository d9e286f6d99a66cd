//! Conversions between types.

use std::rc::Rc;

use jiff::Timestamp;

use super::{Given, time, traversal};
use crate::domain::krm::cel::eval::{Budget, Fail};
use crate::domain::krm::cel::value::Val;
use crate::domain::krm::duration;

pub(super) fn call<'a>(name: &str, method: bool, args: &[Val<'a>], budget: &Budget) -> Given<'a> {
    let [value] = args else { return Ok(None) };
    if method {
        return Ok(None);
    }
    let found = match name {
        "dyn" => value.clone(),
        "type" => Val::Type(value.type_name()),
        "bool" => to_bool(value)?,
        "int" => to_int(value)?,
        "uint" => to_uint(value)?,
        "double" => to_double(value)?,
        "string" => return to_text(value, budget),
        "bytes" => match value {
            Val::Text(text) => {
                budget.charge(traversal(text.len() as u64))?;
                Val::Bytes(Rc::from(text.as_bytes()))
            }
            Val::Bytes(_) => value.clone(),
            _ => return Ok(None),
        },
        "duration" => match value {
            Val::Text(text) => {
                Val::Duration(duration::parse(text).ok_or_else(|| wrong("string", "google.protobuf.Duration"))?)
            }
            Val::Int(nanos) => Val::Duration(*nanos),
            Val::Duration(_) => value.clone(),
            _ => return Ok(None),
        },
        "timestamp" => match value {
            Val::Text(text) => {
                Val::Timestamp(time::parse(text).ok_or_else(|| wrong("string", "google.protobuf.Timestamp"))?)
            }
            Val::Int(seconds) => {
                let time = Timestamp::from_second(*seconds).ok().filter(|t| t.as_second() >= time::FIRST_SECOND);
                Val::Timestamp(time.ok_or_else(|| Fail::error("timestamp overflow"))?)
            }
            Val::Timestamp(_) => value.clone(),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    Ok(Some(found))
}

fn wrong(from: &str, to: &str) -> Fail {
    Fail::error(format!("type conversion error from '{from}' to '{to}'"))
}

fn to_bool<'a>(value: &Val<'a>) -> Result<Val<'a>, Fail> {
    match value {
        Val::Bool(_) => Ok(value.clone()),
        Val::Text(text) => match &**text {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Val::Bool(true)),
            "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(Val::Bool(false)),
            _ => Err(wrong("string", "bool")),
        },
        other => Err(wrong(other.type_name(), "bool")),
    }
}

/// A double without its fraction, if it fits.
fn whole(number: f64) -> Option<i128> {
    let fits = number.is_finite() && number.abs() < 1.9e19;
    fits.then(|| format!("{:.0}", number.trunc()).parse().ok()).flatten()
}

fn to_int<'a>(value: &Val<'a>) -> Result<Val<'a>, Fail> {
    let overflow = || Fail::error("integer overflow");
    Ok(Val::Int(match value {
        Val::Int(number) => *number,
        Val::Uint(number) => i64::try_from(*number).map_err(|_| overflow())?,
        Val::Double(number) => {
            // The greatest integers have no exact double.
            let inside = number.abs() < 9.223_372_036_854_775e18;
            whole(*number).filter(|_| inside).and_then(|number| i64::try_from(number).ok()).ok_or_else(overflow)?
        }
        Val::Text(text) => text.parse().map_err(|_| wrong("string", "int"))?,
        Val::Timestamp(time) => time.as_second(),
        Val::Duration(nanos) => *nanos,
        other => return Err(wrong(other.type_name(), "int")),
    }))
}

fn to_uint<'a>(value: &Val<'a>) -> Result<Val<'a>, Fail> {
    let overflow = || Fail::error("unsigned integer overflow");
    Ok(Val::Uint(match value {
        Val::Uint(number) => *number,
        Val::Int(number) => u64::try_from(*number).map_err(|_| overflow())?,
        Val::Double(number) => whole(*number).and_then(|number| u64::try_from(number).ok()).ok_or_else(overflow)?,
        Val::Text(text) => {
            let plain = !text.starts_with('+');
            text.parse().ok().filter(|_| plain).ok_or_else(|| wrong("string", "uint"))?
        }
        other => return Err(wrong(other.type_name(), "uint")),
    }))
}

#[allow(clippy::cast_precision_loss, reason = "the conversion is asked for")]
fn to_double<'a>(value: &Val<'a>) -> Result<Val<'a>, Fail> {
    Ok(Val::Double(match value {
        Val::Double(number) => *number,
        Val::Int(number) => *number as f64,
        Val::Uint(number) => *number as f64,
        Val::Text(text) => text.parse().map_err(|_| wrong("string", "double"))?,
        other => return Err(wrong(other.type_name(), "double")),
    }))
}

fn to_text<'a>(value: &Val<'a>, budget: &Budget) -> Given<'a> {
    Ok(Some(Val::text(match value {
        Val::Text(_) => return Ok(Some(value.clone())),
        Val::Bool(value) => value.to_string(),
        Val::Int(number) => number.to_string(),
        Val::Uint(number) => number.to_string(),
        Val::Double(number) => show_double(*number),
        Val::Bytes(bytes) => {
            budget.charge(traversal(bytes.len() as u64))?;
            let invalid = |_| Fail::error("invalid UTF-8 in bytes, cannot convert to string");
            String::from_utf8(bytes.to_vec()).map_err(invalid)?
        }
        Val::Timestamp(time) => time.to_string(),
        Val::Duration(nanos) => duration::show(*nanos),
        _ => return Ok(None),
    })))
}

/// The shortest text of a double, with an exponent where Go's `%g` has one.
pub(super) fn show_double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return format!("{number}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}
