//! Whether a scalar is written as its format asks: bytes in base64, quantities, times, integers. In the words of the
//! API server's decoder, which refuses an object with anything else.
//!
//! Sources: Go's `encoding/base64` and `time`, apimachinery's `resource.ParseQuantity`, `Time` and `MicroTime`.

use serde_json::{Number, Value};

use crate::domain::krm::path::{Path, PathElement};
use crate::domain::krm::quantity::Quantity;
use crate::domain::krm::schema::{Format, Node, Schema, Shape};

/// A scalar of the right JSON type that its format does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Bytes that are not base64.
    #[error("illegal base64 data at input byte {at}")]
    Base64 {
        /// Where it stops being base64, in bytes.
        at: usize,
    },
    /// A text that is no quantity.
    #[error("{0}")]
    Quantity(&'static str),
    /// A text that is no time.
    #[error("parsing time {text:?}{why}")]
    Time {
        /// The text.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// A number that is no integer of its size.
    #[error("cannot convert float64 to {wanted}")]
    Integer {
        /// The size, such as `int32`.
        wanted: &'static str,
        /// Whether it is whole, as `80.0` is.
        is_whole: bool,
    },
    /// A whole number that its size cannot hold.
    #[error("{number} is out of the range of {wanted}")]
    OutOfRange {
        /// The size, such as `int32`.
        wanted: &'static str,
        /// The number, as it is written.
        number: String,
    },
}

impl FormatError {
    /// Whether it is one in a configuration that is applied, too: there a float that is whole is as good as an integer.
    #[must_use]
    pub const fn holds_for_configurations(&self) -> bool {
        !matches!(self, Self::Integer { is_whole: true, .. })
    }
}

/// Fields of Kubernetes whose times have exactly six digits of a second's fraction.
const MICRO_TIMES: [&str; 5] = ["acquireTime", "eventTime", "lastObservedTime", "pingTime", "renewTime"];

const RFC_3339: &[Part] = &[
    Part::Digits("2006", 4),
    Part::Mark("-"),
    Part::Ranged("01", 1, 12, "month"),
    Part::Mark("-"),
    Part::Digits("02", 2),
    Part::Mark("T"),
    Part::Ranged("15", 0, 23, "hour"),
    Part::Mark(":"),
    Part::Ranged("04", 0, 59, "minute"),
    Part::Mark(":"),
    Part::Ranged("05", 0, 59, "second"),
];

/// A part of a time.
enum Part {
    Digits(&'static str, usize),
    Mark(&'static str),
    Ranged(&'static str, u32, u32, &'static str),
}

/// Every scalar of a value whose format does not allow it, with its place; values of a wrong JSON type are not looked
/// at.
#[must_use]
pub fn faults(value: &Value, schema: &Schema) -> Vec<(Path, FormatError)> {
    let mut found = Vec::new();
    look(value, schema.node(), &mut Path::default(), "", &mut found);
    found
}

fn look(value: &Value, node: Node<'_>, path: &mut Path, field: &str, found: &mut Vec<(Path, FormatError)>) {
    match (node.shape(), value) {
        (Shape::Map(map), Value::Object(fields)) => {
            for (name, value) in fields {
                let Some(shape) = map.field(name) else { continue };
                path.push(PathElement::field(name));
                look(value, node.at(shape), path, name, found);
                path.pop();
            }
        }
        (Shape::List(list), Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                path.push(PathElement::Index(index));
                look(item, node.at(&list.element), path, field, found);
                path.pop();
            }
        }
        (Shape::Scalar(format), value) => found.extend(fault(*format, field, value).map(|error| (path.clone(), error))),
        _ => {}
    }
}

/// Why the format of a field does not allow a scalar; `None` too for null, and for what is not of its JSON type.
#[must_use]
pub fn fault(format: Format, field: &str, value: &Value) -> Option<FormatError> {
    match (format, value) {
        (Format::Bytes, Value::String(text)) => not_base64(text.as_bytes()).map(|at| FormatError::Base64 { at }),
        (Format::Quantity, Value::String(text)) => quantity(text.trim()).map(FormatError::Quantity),
        (Format::Quantity, Value::Bool(_)) => quantity("true").map(FormatError::Quantity),
        (Format::Time, Value::String(text)) => time(text, MICRO_TIMES.contains(&field)),
        (Format::Int64, Value::Number(number)) => number.as_i64().is_none().then(|| not_integer("int64", number)),
        (Format::Int32 | Format::IntOrString, Value::Number(number)) => {
            let fits = number.as_i64().is_some_and(|number| i32::try_from(number).is_ok());
            (!fits).then(|| not_integer("int32", number))
        }
        _ => None,
    }
}

fn not_integer(wanted: &'static str, number: &Number) -> FormatError {
    let float = number.as_f64().unwrap_or(f64::INFINITY);
    let limit = if wanted == "int32" { 2f64.powi(31) } else { 2f64.powi(63) };
    if !(-limit..limit).contains(&float) {
        return FormatError::OutOfRange { wanted, number: number.to_string() };
    }
    FormatError::Integer { wanted, is_whole: float.fract() == 0.0 }
}

/// Where a text stops being padded base64; line breaks do not count, and bits that are left over may be anything.
fn not_base64(text: &[u8]) -> Option<usize> {
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let mut quantum = 0;
    for (at, &byte) in text.iter().enumerate().filter(|(_, byte)| !is_break(byte)) {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/') {
            quantum = (quantum + 1) % 4;
        } else if byte == b'=' && quantum >= 2 {
            return bad_padding(text, at, quantum);
        } else {
            return Some(at);
        }
    }
    (quantum > 0).then(|| text.len() - quantum)
}

/// What is wrong behind the first sign of padding, when there are so many letters before it.
fn bad_padding(text: &[u8], first: usize, letters: usize) -> Option<usize> {
    let next = |from: usize| (from..text.len()).find(|&at| !matches!(text[at], b'\n' | b'\r'));
    let mut end = first + 1;
    if letters == 2 {
        match next(end) {
            None => return Some(text.len()),
            Some(at) if text[at] != b'=' => return Some(at - 1),
            Some(at) => end = at + 1,
        }
    }
    next(end)
}

fn quantity(text: &str) -> Option<&'static str> {
    if text.parse::<Quantity>().is_ok() {
        return None;
    }
    let digits = |text: &str| text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let after = |text: &str| text.len() - digits(text);
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let number = after(unsigned);
    let fraction = unsigned[number..].strip_prefix('.').map_or(0, |rest| 1 + after(rest));
    let suffix = &unsigned[number + fraction..];
    let rest = suffix.trim_start_matches(|c: char| "eEinumkKMGTP".contains(c));
    let rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
    let is_formed = !text.is_empty() && digits(rest) == 0 && unsigned.len() > suffix.len();
    Some(if is_formed {
        "unable to parse quantity's suffix"
    } else {
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    })
}

fn time(text: &str, is_micro: bool) -> Option<FormatError> {
    let layout = if is_micro { "2006-01-02T15:04:05.000000Z07:00" } else { "2006-01-02T15:04:05Z07:00" };
    let fault = parse_time(text, is_micro).err()?;
    let why = match fault {
        TimeFault::Unparsed(rest, part) => format!(" as {layout:?}: cannot parse {rest:?} as {part:?}"),
        TimeFault::OutOfRange(part) => format!(": {part} out of range"),
        TimeFault::Extra(rest) => format!(": extra text: {rest:?}"),
    };
    Some(FormatError::Time { text: text.to_owned(), why })
}

enum TimeFault<'a> {
    Unparsed(&'a str, &'static str),
    OutOfRange(&'static str),
    Extra(&'a str),
}

fn parse_time(text: &str, is_micro: bool) -> Result<(), TimeFault<'_>> {
    let mut rest = text;
    let mut numbers = Vec::new();
    for part in RFC_3339 {
        let unparsed = |name| TimeFault::Unparsed(rest, name);
        rest = match part {
            Part::Mark(mark) => rest.strip_prefix(mark).ok_or_else(|| unparsed(mark))?,
            Part::Digits(name, width) => {
                let (number, rest) = leading(rest, *width).ok_or_else(|| unparsed(name))?;
                numbers.push(number);
                rest
            }
            Part::Ranged(name, least, most, what) => {
                let (number, rest) = leading(rest, 2).ok_or_else(|| unparsed(name))?;
                if !(*least..=*most).contains(&number) {
                    return Err(TimeFault::OutOfRange(what));
                }
                numbers.push(number);
                rest
            }
        };
    }
    rest = zone(fraction(rest, is_micro)?)?;
    if !rest.is_empty() {
        return Err(TimeFault::Extra(rest));
    }
    let day = numbers.get(2).copied().unwrap_or_default();
    if (1..=days(&numbers)).contains(&day) { Ok(()) } else { Err(TimeFault::OutOfRange("day")) }
}

fn leading(text: &str, width: usize) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(width)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    Some((digits.parse().ok()?, rest))
}

/// The days of the month that comes second, in the year that comes first.
fn days(numbers: &[u32]) -> u32 {
    match numbers {
        [year, 2, ..] if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        [_, 2, ..] => 28,
        [_, 4 | 6 | 9 | 11, ..] => 30,
        _ => 31,
    }
}

fn fraction(text: &str, is_micro: bool) -> Result<&str, TimeFault<'_>> {
    let digits = text.strip_prefix(['.', ',']);
    if is_micro {
        let rest = digits.and_then(|digits| leading(digits, 6)).map(|(_, rest)| rest);
        return rest.ok_or(TimeFault::Unparsed(text, ".000000"));
    }
    let is_digit = |c: char| c.is_ascii_digit();
    Ok(digits.filter(|digits| digits.starts_with(is_digit)).map_or(text, |digits| digits.trim_start_matches(is_digit)))
}

fn zone(text: &str) -> Result<&str, TimeFault<'_>> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Ok(rest);
    }
    let parsed = text.strip_prefix(['+', '-']).and_then(|rest| {
        let (hours, rest) = leading(rest, 2)?;
        let (minutes, rest) = leading(rest.strip_prefix(':')?, 2)?;
        Some((hours, minutes, rest))
    });
    match parsed.ok_or(TimeFault::Unparsed(text, "Z07:00"))? {
        (25.., ..) => Err(TimeFault::OutOfRange("time zone offset hour")),
        (_, 61.., _) => Err(TimeFault::OutOfRange("time zone offset minute")),
        (.., rest) => Ok(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::krm::{Gvk, Schemas, base64};
    use proptest::prelude::*;
    use serde_json::json;

    fn told(format: Format, field: &str, value: &Value) -> Option<String> {
        fault(format, field, value).map(|error| error.to_string())
    }

    #[test]
    fn whole_numbers_fit_their_size() {
        let held = |format, number: Value| {
            let fault = fault(format, "", &number);
            fault.filter(FormatError::holds_for_configurations).map(|error| error.to_string())
        };
        let beyond = |number: &str, wanted: &str| Some(format!("{number} is out of the range of {wanted}"));
        assert_eq!(held(Format::Int32, json!(i32::MAX)), None);
        assert_eq!(held(Format::Int32, json!(i32::MIN)), None);
        assert_eq!(held(Format::Int32, json!(80.0)), None);
        assert_eq!(held(Format::Int32, json!(2_147_483_648_i64)), beyond("2147483648", "int32"));
        assert_eq!(held(Format::Int32, json!(-3_000_000_000_i64)), beyond("-3000000000", "int32"));
        assert_eq!(held(Format::IntOrString, json!(3_000_000_000_i64)), beyond("3000000000", "int32"));
        assert_eq!(held(Format::Int64, json!(i64::MIN)), None);
        assert_eq!(held(Format::Int64, json!(u64::MAX)), beyond("18446744073709551615", "int64"));
        assert_eq!(held(Format::Int64, json!(1e30)), beyond("1e+30", "int64"));
        assert_eq!(held(Format::Int64, json!(1.5)), Some("cannot convert float64 to int64".to_owned()));
    }

    /// What kube-apiserver 1.36.3 says.
    #[test]
    fn what_is_wrong_is_told_as_the_server_tells_it() {
        let formed = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        let at = |at: usize| format!("illegal base64 data at input byte {at}");
        let layout = "2006-01-02T15:04:05Z07:00";
        let table = [
            (Format::Bytes, "", "not base64!", at(3)),
            (Format::Bytes, "", "YWJ", at(0)),
            (Format::Bytes, "", "YWJj=", at(4)),
            (Format::Bytes, "", "%%%", at(0)),
            (Format::Quantity, "", "abc", formed.to_owned()),
            (Format::Quantity, "", "", formed.to_owned()),
            (Format::Quantity, "", "1x", formed.to_owned()),
            (Format::Time, "", "bad", format!(r#"parsing time "bad" as "{layout}": cannot parse "bad" as "2006""#)),
            (
                Format::Time,
                "",
                "2020-01-01",
                format!(r#"parsing time "2020-01-01" as "{layout}": cannot parse "" as "T""#),
            ),
            (
                Format::Time,
                "",
                "2020-13-01T00:00:00Z",
                r#"parsing time "2020-13-01T00:00:00Z": month out of range"#.to_owned(),
            ),
            (
                Format::Time,
                "renewTime",
                "2020-01-01T00:00:00Z",
                r#"parsing time "2020-01-01T00:00:00Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000""#
                    .to_owned(),
            ),
        ];
        for (format, field, text, expected) in table {
            assert_eq!(told(format, field, &json!(text)), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_the_server_takes_has_no_fault() {
        let table = [
            (Format::Bytes, "", json!("YW\nJj")),
            (Format::Bytes, "", json!("YWR=")),
            (Format::Bytes, "", json!("YQ=\n=\n")),
            (Format::Quantity, "", json!("1 ")),
            (Format::Quantity, "", json!(1.5)),
            (Format::Time, "", json!("2020-02-29T00:00:00.5+02:00")),
            (Format::Time, "renewTime", json!("2020-01-01T00:00:00.123456Z")),
            (Format::Int32, "", json!(2_147_483_647)),
            (Format::IntOrString, "", json!("x")),
            (Format::Int64, "", Value::Null),
        ];
        for (format, field, value) in table {
            assert_eq!(told(format, field, &value), None, "{value}");
        }
        assert!(told(Format::Int32, "", &json!(2_147_483_648_i64)).is_some());
        assert!(told(Format::Int64, "", &json!(80.0)).is_some());
    }

    #[test]
    fn every_fault_of_an_object_has_its_place() {
        let schemas = Schemas::builtin();
        let (schema, _) = schemas.lookup(&Gvk::new("", "v1", "Secret"));
        let secret =
            json!({"metadata": {"creationTimestamp": "x"}, "data": {"a": "YQ==", "b": "%"}, "stringData": {"c": "%"}});
        let places: Vec<String> = faults(&secret, schema).iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(places, [".data.b", ".metadata.creationTimestamp"]);
    }

    proptest! {
        /// Those that are told from base64 by a real decoder; bits that are left over are the one difference.
        #[test]
        fn base64_is_what_a_decoder_takes(text in "[aA=\n+]{0,9}") {
            let has_fault = told(Format::Bytes, "", &json!(text)).is_some();
            prop_assert!(base64::decode(&text).is_none() || !has_fault);
        }

        #[test]
        fn times_are_what_a_parser_takes(text in "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-5][0-9](\\.[0-9]{1,6})?Z") {
            let expected = text.parse::<jiff::Timestamp>().is_err();
            prop_assert_eq!(told(Format::Time, "", &json!(text)).is_some(), expected);
        }
    }
}
