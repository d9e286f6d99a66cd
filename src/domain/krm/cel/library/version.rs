//! Semantic versions.

use std::cmp::Ordering;

use semver::Version;

use super::{Given, traversal};
use crate::domain::krm::cel::eval::{Budget, Fail};
use crate::domain::krm::cel::value::Val;

/// Reads a version; a lenient reading takes a leading `v`, leading zeros, and one or two numbers alone.
fn parse(text: &str, lenient: bool) -> Result<Version, String> {
    let refuse = |_| fault(text);
    if !lenient {
        return Version::parse(text).map_err(refuse);
    }
    let text = text.strip_prefix('v').unwrap_or(text);
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(end);
    let mut numbers: Vec<String> = numbers
        .split('.')
        .map(|number| if number.is_empty() { String::new() } else { format!("{:0>1}", number.trim_start_matches('0')) })
        .collect();
    // A version with a suffix must be whole.
    while numbers.len() < 3 && rest.is_empty() {
        numbers.push("0".to_owned());
    }
    Version::parse(&format!("{}{rest}", numbers.join("."))).map_err(refuse)
}

/// Why a text is no version.
fn fault(text: &str) -> String {
    let numbers = text.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = text.splitn(3, '.').collect();
    if text.is_empty() {
        return "Version string empty".to_owned();
    }
    let [major, minor, _] = parts.as_slice() else { return "No Major.Minor.Patch elements found".to_owned() };
    let patch = numbers.splitn(3, '.').nth(2).unwrap_or_default();
    for (name, number) in [("major", *major), ("minor", *minor), ("patch", patch)] {
        if number.bytes().any(|byte| !byte.is_ascii_digit()) {
            return format!("Invalid character(s) found in {name} number {number:?}");
        }
        if number.len() > 1 && number.starts_with('0') {
            let (first, rest) = name.split_at(1);
            return format!("{}{rest} number must not contain leading zeroes {number:?}", first.to_uppercase());
        }
    }
    format!("Invalid version {text:?}")
}

pub(super) fn call<'a>(name: &str, _: bool, args: &[Val<'a>], budget: &Budget) -> Given<'a> {
    let (text, lenient) = match args {
        [Val::Text(text)] => (text, false),
        [Val::Text(text), Val::Bool(lenient)] => (text, *lenient),
        [Val::Semver(version), rest @ ..] => return Ok(of_version(name, version, rest)),
        _ => return Ok(None),
    };
    if !matches!(name, "semver" | "isSemver") {
        return Ok(None);
    }
    budget.charge(traversal(text.len() as u64))?;
    let version = parse(text, lenient);
    if name == "isSemver" {
        return Ok(Some(Val::Bool(version.is_ok())));
    }
    Ok(Some(Val::Semver(version.map_err(Fail::error)?.into())))
}

fn of_version<'a>(name: &str, version: &Version, rest: &[Val<'a>]) -> Option<Val<'a>> {
    let number = |number: u64| Val::Int(i64::try_from(number).unwrap_or(i64::MAX));
    Some(match (name, rest) {
        ("major", []) => number(version.major),
        ("minor", []) => number(version.minor),
        ("patch", []) => number(version.patch),
        ("isGreaterThan", [Val::Semver(other)]) => Val::Bool(version.cmp_precedence(other).is_gt()),
        ("isLessThan", [Val::Semver(other)]) => Val::Bool(version.cmp_precedence(other).is_lt()),
        ("compareTo", [Val::Semver(other)]) => Val::Int(match version.cmp_precedence(other) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }),
        _ => return None,
    })
}
