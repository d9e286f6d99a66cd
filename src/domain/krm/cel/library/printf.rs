//! `format` of texts: `%s %d %f %e %b %x %X %o %%`.

use super::{convert, show};
use crate::domain::hex;
use crate::domain::krm::cel::eval::{Budget, Fail};
use crate::domain::krm::cel::value::Val;
use crate::domain::krm::duration;

/// Digits after the point when none are asked for.
const DIGITS: usize = 6;
/// Most digits after the point.
const MOST_DIGITS: usize = 1_000;
/// Deepest nesting of lists and maps that is shown.
const MAX_DEPTH: usize = 64;

pub(super) fn format(text: &str, args: &[Val<'_>], budget: &Budget) -> Result<String, Fail> {
    let mut out = String::new();
    let mut rest = text;
    let mut args = args.iter().enumerate();
    let mut given = 0;
    while let Some(at) = rest.find('%') {
        let (before, clause) = rest.split_at(at);
        out.push_str(before);
        let clause = clause.get(1..).unwrap_or_default();
        if let Some(after) = clause.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let (_, arg) = args.next().ok_or_else(|| Fail::error(format!("index {given} out of range")))?;
        given += 1;
        let (verb, digits, after) = verb(clause).map_err(Fail::Error)?;
        let shown = one(verb, digits, arg, budget)?;
        budget.hold(shown.len() + before.len())?;
        out.push_str(&shown);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Verb, digits and what follows.
fn verb(clause: &str) -> Result<(char, Option<usize>, &str), String> {
    let wrong = |why: &str| format!("could not parse formatting clause: {why}");
    let (digits, rest) = match clause.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit());
            let end =
                end.ok_or_else(|| wrong("error while parsing precision: could not find end of precision specifier"))?;
            let (digits, rest) = rest.split_at(end);
            let digits = digits.parse().ok().filter(|&digits| digits <= MOST_DIGITS);
            (Some(digits.ok_or_else(|| wrong("error while parsing precision"))?), rest)
        }
        None => (None, clause),
    };
    let verb = rest.chars().next().ok_or_else(|| "unexpected end of string".to_owned())?;
    if !"sdfebxXo".contains(verb) {
        return Err(wrong(&format!("unrecognized formatting clause \"{verb}\"")));
    }
    Ok((verb, digits, rest.get(verb.len_utf8()..).unwrap_or_default()))
}

/// The verbs of a text.
pub(super) fn verbs(text: &str) -> Result<Vec<char>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let clause = rest.get(at + 1..).unwrap_or_default();
        rest = if let Some(after) = clause.strip_prefix('%') {
            after
        } else {
            let (verb, _, after) = verb(clause)?;
            found.push(verb);
            after
        };
    }
    Ok(found)
}

/// Why a verb cannot show values of a type, given by its name.
pub(super) fn misfit(verb: char, name: &str) -> Option<String> {
    const ANY: &str = "strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps";
    const SHOWN: [&str; 12] = [
        "string",
        "bool",
        "bytes",
        "int",
        "uint",
        "double",
        "map",
        "list",
        "type",
        "null_type",
        "google.protobuf.Duration",
        "google.protobuf.Timestamp",
    ];
    let (clause, wanted, fitting): (_, _, &[&str]) = match verb {
        's' => ("string", ANY, &SHOWN),
        'd' => ("decimal", "integers", &["int", "uint"]),
        'f' => ("fixed-point", "doubles", &["double"]),
        'e' => ("scientific", "doubles", &["double"]),
        'b' => ("binary", "integers and bools", &["int", "uint", "bool"]),
        'o' => ("octal", "integers", &["int", "uint"]),
        _ => ("hex", "integers, byte buffers, and strings", &["int", "uint", "string", "bytes"]),
    };
    let fits = name == "dyn" || fitting.contains(&name);
    (!fits).then(|| format!("error during formatting: {clause} clause can only be used on {wanted}, was given {name}"))
}

fn one(verb: char, digits: Option<usize>, arg: &Val<'_>, budget: &Budget) -> Result<String, Fail> {
    let digits = digits.unwrap_or(DIGITS);
    if let Some(why) = misfit(verb, arg.type_name()) {
        return Err(Fail::Error(why));
    }
    Ok(match (verb, arg) {
        ('d', arg) => show(arg),
        ('f', Val::Double(number)) => grouped(&format!("{number:.digits$}")),
        ('e', Val::Double(number)) => scientific(*number, digits),
        ('b', Val::Bool(value)) => u8::from(*value).to_string(),
        ('b', Val::Int(number)) => signed(*number, |number| format!("{number:b}")),
        ('b', Val::Uint(number)) => format!("{number:b}"),
        ('o', Val::Int(number)) => signed(*number, |number| format!("{number:o}")),
        ('o', Val::Uint(number)) => format!("{number:o}"),
        ('x', arg) => hex(arg),
        ('X', arg) => hex(arg).to_uppercase(),
        (_, arg) => plain(arg, budget)?,
    })
}

fn hex(arg: &Val<'_>) -> String {
    match arg {
        Val::Int(number) => signed(*number, |number| format!("{number:x}")),
        Val::Uint(number) => format!("{number:x}"),
        Val::Text(text) => hex::hex(text.as_bytes()),
        Val::Bytes(bytes) => hex::hex(bytes),
        _ => String::new(),
    }
}

fn signed(number: i64, show: impl Fn(u64) -> String) -> String {
    format!("{}{}", if number < 0 { "-" } else { "" }, show(number.unsigned_abs()))
}

/// Digits in groups of three, as the server's locale has them.
fn grouped(number: &str) -> String {
    let (sign, unsigned) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    if !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return number.replace("inf", "∞");
    }
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{out}{point}{fraction}")
}

fn scientific(number: f64, digits: usize) -> String {
    let shown = format!("{number:.digits$e}");
    let Some((mantissa, exponent)) = shown.split_once('e') else { return shown };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(("", exponent), |rest| ("⁻", rest));
    let raised: String = format!("{exponent:0>2}").chars().filter_map(raise).collect();
    format!("{mantissa}\u{202f}×\u{202f}10{sign}{raised}")
}

fn raise(digit: char) -> Option<char> {
    let place = usize::try_from(digit.to_digit(10)?).ok()?;
    "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(place)
}

/// What `%s` shows.
fn plain(arg: &Val<'_>, budget: &Budget) -> Result<String, Fail> {
    Ok(match arg {
        Val::Null => "null".to_owned(),
        Val::List(_) | Val::Map(_) => nested(arg, MAX_DEPTH, budget)?,
        Val::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Val::Timestamp(time) => time.to_string(),
        Val::Duration(nanos) => duration::show(*nanos),
        Val::Type(name) => (*name).to_owned(),
        Val::Bool(_) | Val::Int(_) | Val::Uint(_) | Val::Double(_) | Val::Text(_) => show(arg),
        other => {
            let why = misfit('s', other.type_name());
            return Err(why.map_or_else(Fail::overload, Fail::Error));
        }
    })
}

/// An item of a list or map, as an expression would say it.
fn nested(arg: &Val<'_>, depth: usize, budget: &Budget) -> Result<String, Fail> {
    let depth = depth.checked_sub(1).ok_or(Fail::Spent)?;
    Ok(match arg {
        Val::List(list) => {
            let items = list.all(budget)?;
            let items: Vec<_> = items.iter().map(|item| nested(item, depth, budget)).collect::<Result<_, _>>()?;
            budget.hold(items.iter().map(String::len).sum())?;
            format!("[{}]", items.join(", "))
        }
        Val::Map(map) => {
            let mut entries = Vec::new();
            for key in map.keys(budget)? {
                let value = map.get(&key.key()?)?.ok_or_else(Fail::overload)?;
                entries.push(format!("{}:{}", nested(&key, depth, budget)?, nested(&value, depth, budget)?));
            }
            entries.sort();
            budget.hold(entries.iter().map(String::len).sum())?;
            format!("{{{}}}", entries.join(", "))
        }
        Val::Text(text) => format!("{:?}", &**text),
        Val::Bytes(bytes) => format!("b{:?}", String::from_utf8_lossy(bytes)),
        Val::Double(number) if number.is_finite() => format!("{number:.DIGITS$}"),
        Val::Double(number) => format!("{:?}", convert::show_double(*number)),
        Val::Timestamp(_) => format!("timestamp({:?})", plain(arg, budget)?),
        Val::Duration(_) => format!("duration({:?})", plain(arg, budget)?),
        other => plain(other, budget)?,
    })
}
