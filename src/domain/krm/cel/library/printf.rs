//! `format` of texts: `%s %d %f %e %b %x %X %o %%`.

use super::{convert, show};
use crate::domain::krm::cel::duration;
use crate::domain::krm::cel::eval::{Budget, Fail};
use crate::domain::krm::cel::value::Val;

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
        let (verb, digits, after) = verb(clause)?;
        let shown = one(verb, digits, arg, budget)?;
        budget.hold(shown.len() + before.len())?;
        out.push_str(&shown);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Verb, digits and what follows.
fn verb(clause: &str) -> Result<(char, Option<usize>, &str), Fail> {
    let (digits, rest) = match clause.strip_prefix('.') {
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let (digits, rest) = rest.split_at(end);
            let wrong = || Fail::error("could not parse formatting clause: error while parsing precision");
            (Some(digits.parse().ok().filter(|&digits| digits <= MOST_DIGITS).ok_or_else(wrong)?), rest)
        }
        None => (None, clause),
    };
    let verb = rest.chars().next().ok_or_else(|| Fail::error("unexpected end of string"))?;
    Ok((verb, digits, rest.get(verb.len_utf8()..).unwrap_or_default()))
}

fn one(verb: char, digits: Option<usize>, arg: &Val<'_>, budget: &Budget) -> Result<String, Fail> {
    let digits = digits.unwrap_or(DIGITS);
    let wrong = |clause: &str, wanted: &str| {
        let (name, kind) = (arg.type_name(), clause);
        Fail::error(format!("error during formatting: {kind} clause can only be used on {wanted}, was given {name}"))
    };
    Ok(match (verb, arg) {
        ('s', arg) => plain(arg, budget)?,
        ('d', Val::Int(_) | Val::Uint(_)) => show(arg),
        ('d', _) => return Err(wrong("decimal", "integers")),
        ('f', Val::Double(number)) => grouped(&format!("{number:.digits$}")),
        ('e', Val::Double(number)) => scientific(*number, digits),
        ('f', _) => return Err(wrong("fixed-point", "doubles")),
        ('e', _) => return Err(wrong("scientific", "doubles")),
        ('b', Val::Bool(value)) => u8::from(*value).to_string(),
        ('b', Val::Int(number)) => signed(*number, |number| format!("{number:b}")),
        ('b', Val::Uint(number)) => format!("{number:b}"),
        ('b', _) => return Err(wrong("binary", "integers and bools")),
        ('o', Val::Int(number)) => signed(*number, |number| format!("{number:o}")),
        ('o', Val::Uint(number)) => format!("{number:o}"),
        ('o', _) => return Err(wrong("octal", "integers")),
        ('x' | 'X', arg) => {
            let hex = match arg {
                Val::Int(number) => signed(*number, |number| format!("{number:x}")),
                Val::Uint(number) => format!("{number:x}"),
                Val::Text(text) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
                Val::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
                _ => return Err(wrong("hex", "integers, byte buffers, and strings")),
            };
            if verb == 'X' { hex.to_uppercase() } else { hex }
        }
        _ => {
            let why = format!("could not parse formatting clause: unrecognized formatting clause \"{verb}\"");
            return Err(Fail::error(why));
        }
    })
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
            let name = other.type_name();
            return Err(Fail::error(format!(
                "error during formatting: string clause can only be used on strings, bools, bytes, ints, doubles, maps, \
                 lists, types, durations, and timestamps, was given {name}"
            )));
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
