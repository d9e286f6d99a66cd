//! Functions of texts: the standard ones, the `strings` extension (version 2), regular expressions.

use std::rc::Rc;

use super::{Given, count, matching, printf, traversal};
use crate::domain::krm::cel::eval::{Budget, Fail};
use crate::domain::krm::cel::value::Val;

pub(super) fn call<'a>(name: &str, method: bool, args: &[Val<'a>], budget: &Budget) -> Given<'a> {
    let Some(Val::Text(text)) = args.first() else { return joined(name, args, budget) };
    let rest = args.get(1..).unwrap_or_default();
    if let Some(found) = simple(name, text, rest, budget)? {
        return Ok(Some(found));
    }
    if !method {
        return Ok(None);
    }
    let found = match (name, rest) {
        ("charAt", [Val::Int(index)]) => {
            let letters = letters(text, budget)?;
            let place = place(*index, letters.len())?;
            Val::text(letters.get(place).map(ToString::to_string).unwrap_or_default())
        }
        ("indexOf" | "lastIndexOf", [Val::Text(wanted)]) => index_of(name == "indexOf", text, wanted, None, budget)?,
        ("indexOf" | "lastIndexOf", [Val::Text(wanted), Val::Int(offset)]) => {
            index_of(name == "indexOf", text, wanted, Some(*offset), budget)?
        }
        ("substring", [Val::Int(start)]) => {
            let letters = letters(text, budget)?;
            substring(&letters, *start, i64::try_from(letters.len()).unwrap_or(i64::MAX), false)?
        }
        ("substring", [Val::Int(start), Val::Int(end)]) => substring(&letters(text, budget)?, *start, *end, true)?,
        ("replace", [Val::Text(from), Val::Text(to)]) => replace(text, from, to, None, budget)?,
        ("replace", [Val::Text(from), Val::Text(to), Val::Int(most)]) => {
            replace(text, from, to, usize::try_from(*most).ok(), budget)?
        }
        ("split", [Val::Text(by)]) => split(text, by, None, budget)?,
        ("split", [Val::Text(by), Val::Int(most)]) => split(text, by, Some(*most), budget)?,
        ("format", [Val::List(values)]) => {
            budget.charge(traversal(text.len() as u64))?;
            Val::text(printf::format(text, &values.all(budget)?, budget)?)
        }
        ("find", [Val::Text(pattern)]) => {
            budget.charge(matching(text, pattern))?;
            Val::text(budget.pattern(pattern)?.find(text).map_or("", |found| found.as_str()))
        }
        ("findAll", [Val::Text(pattern)]) => find_all(text, pattern, None, budget)?,
        ("findAll", [Val::Text(pattern), Val::Int(most)]) => {
            find_all(text, pattern, usize::try_from(*most).ok(), budget)?
        }
        _ => return Ok(None),
    };
    Ok(Some(found))
}

fn simple<'a>(name: &str, text: &str, rest: &[Val<'a>], budget: &Budget) -> Given<'a> {
    let length = text.len() as u64;
    let lowered = |change: fn(&str) -> String| {
        budget.charge(traversal(length))?;
        budget.hold(text.len())?;
        Ok(Val::text(change(text)))
    };
    Ok(Some(match (name, rest) {
        ("size", []) => {
            budget.work(text.len() / 16)?;
            count(text.chars().count())
        }
        ("lowerAscii", []) => lowered(str::to_ascii_lowercase)?,
        ("upperAscii", []) => lowered(str::to_ascii_uppercase)?,
        ("trim", []) => lowered(|text| text.trim().to_owned())?,
        ("strings.quote", []) => lowered(quote)?,
        ("startsWith" | "endsWith", [Val::Text(part)]) => {
            budget.charge(traversal(length))?;
            Val::Bool(if name == "startsWith" { text.starts_with(&**part) } else { text.ends_with(&**part) })
        }
        ("contains", [Val::Text(part)]) => {
            budget.charge(traversal(length) * traversal(part.len() as u64))?;
            Val::Bool(text.contains(&**part))
        }
        ("matches", [Val::Text(pattern)]) => {
            budget.charge(matching(text, pattern))?;
            Val::Bool(budget.pattern(pattern)?.is_match(text))
        }
        _ => return Ok(None),
    }))
}

fn joined<'a>(name: &str, args: &[Val<'a>], budget: &Budget) -> Given<'a> {
    match (name, args) {
        ("size", [Val::Bytes(bytes)]) => Ok(Some(count(bytes.len()))),
        ("join", [Val::List(list)]) => join(&list.all(budget)?, "", budget).map(Some),
        ("join", [Val::List(list), Val::Text(by)]) => join(&list.all(budget)?, by, budget).map(Some),
        _ => Ok(None),
    }
}

fn letters(text: &str, budget: &Budget) -> Result<Vec<char>, Fail> {
    budget.charge(traversal(text.len() as u64))?;
    Ok(text.chars().collect())
}

fn place(index: i64, most: usize) -> Result<usize, Fail> {
    let place = usize::try_from(index).ok().filter(|&place| place <= most);
    place.ok_or_else(|| Fail::error(format!("index out of range: {index}")))
}

fn substring<'a>(letters: &[char], start: i64, end: i64, ranged: bool) -> Result<Val<'a>, Fail> {
    if ranged && start > end {
        return Err(Fail::error(format!("invalid substring range. start: {start}, end: {end}")));
    }
    let (from, to) = (place(start, letters.len())?, place(end, letters.len())?);
    let part = letters.get(from..to).ok_or_else(|| Fail::error(format!("index out of range: {start}")))?;
    Ok(Val::text(part.iter().collect::<String>()))
}

fn index_of<'a>(first: bool, text: &str, wanted: &str, offset: Option<i64>, budget: &Budget) -> Result<Val<'a>, Fail> {
    let (letters, wanted) = (letters(text, budget)?, wanted.chars().collect::<Vec<_>>());
    let length = i64::try_from(letters.len()).unwrap_or(i64::MAX);
    if wanted.is_empty() {
        return Ok(Val::Int(offset.unwrap_or(if first { 0 } else { length })));
    }
    let offset = offset.unwrap_or(if first { 0 } else { (length - 1).max(0) });
    let start = usize::try_from(offset).map_err(|_| Fail::error(format!("index out of range: {offset}")))?;
    if start >= letters.len() || wanted.len() > letters.len() {
        return Ok(Val::Int(-1));
    }
    budget.work(letters.len())?;
    let last = letters.len() - wanted.len();
    let fits = |&at: &usize| letters.get(at..).is_some_and(|rest| rest.starts_with(&wanted));
    let found = if first { (start..=last).find(fits) } else { (0..=start.min(last)).rev().find(fits) };
    Ok(found.map_or(Val::Int(-1), count))
}

fn replace<'a>(text: &str, from: &str, to: &str, most: Option<usize>, budget: &Budget) -> Result<Val<'a>, Fail> {
    budget.charge(traversal(text.len() as u64 * 2))?;
    let places = if from.is_empty() { text.chars().count() + 1 } else { text.matches(from).count() };
    budget.hold(text.len() + places.min(most.unwrap_or(usize::MAX)).saturating_mul(to.len()))?;
    Ok(Val::text(most.map_or_else(|| text.replace(from, to), |most| text.replacen(from, to, most))))
}

fn split<'a>(text: &str, by: &str, most: Option<i64>, budget: &Budget) -> Result<Val<'a>, Fail> {
    budget.charge(traversal(text.len() as u64 * 2))?;
    budget.hold(text.len())?;
    let most = match most {
        Some(0) => return Ok(Val::list(Vec::new())),
        Some(most) => usize::try_from(most).unwrap_or(usize::MAX),
        None => usize::MAX,
    };
    let parts: Vec<Rc<str>> = if by.is_empty() {
        let mut parts: Vec<Rc<str>> = Vec::new();
        let mut rest = text.chars();
        while parts.len() + 1 < most
            && let Some(letter) = rest.next()
        {
            parts.push(letter.to_string().into());
        }
        if !rest.as_str().is_empty() {
            parts.push(rest.as_str().into());
        }
        parts
    } else {
        text.splitn(most, by).map(Into::into).collect()
    };
    Ok(Val::list(parts.into_iter().map(Val::text).collect()))
}

fn find_all<'a>(text: &str, pattern: &str, most: Option<usize>, budget: &Budget) -> Result<Val<'a>, Fail> {
    budget.charge(matching(text, pattern))?;
    budget.hold(text.len())?;
    let pattern = budget.pattern(pattern)?;
    let found = pattern.find_iter(text).take(most.unwrap_or(usize::MAX));
    Ok(Val::list(found.map(|found| Val::text(found.as_str())).collect()))
}

fn join<'a>(parts: &[Val<'a>], by: &str, budget: &Budget) -> Result<Val<'a>, Fail> {
    let mut out = String::new();
    for (index, part) in parts.iter().enumerate() {
        let Val::Text(part) = part else { return Err(Fail::error("join: invalid input")) };
        if index > 0 {
            out.push_str(by);
        }
        out.push_str(part);
        budget.hold(by.len() + part.len())?;
    }
    budget.charge(traversal(out.chars().count() as u64 * 2))?;
    Ok(Val::text(out))
}

/// The text in double quotes.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
