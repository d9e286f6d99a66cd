//! Quantities.

use std::cmp::Ordering;

use super::{Given, traversal};
use crate::domain::krm::Quantity;
use crate::domain::krm::cel::eval::{Budget, Fail};
use crate::domain::krm::cel::value::Val;

/// Billionths in one.
const ONE: i128 = 1_000_000_000;

fn parse(text: &str) -> Option<Quantity> {
    text.parse().ok()
}

pub(super) fn call<'a>(name: &str, _: bool, args: &[Val<'a>], budget: &Budget) -> Given<'a> {
    Ok(Some(match (name, args) {
        ("quantity", [Val::Text(text)]) => {
            budget.charge(traversal(text.len() as u64))?;
            let invalid = "quantities must match the regular expression \
                           '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
            Val::Quantity(parse(text).ok_or_else(|| Fail::error(invalid))?)
        }
        ("isQuantity", [Val::Text(text)]) => {
            budget.charge(traversal(text.len() as u64))?;
            Val::Bool(parse(text).is_some())
        }
        (_, [Val::Quantity(quantity), rest @ ..]) => return of_quantity(name, *quantity, rest),
        _ => return Ok(None),
    }))
}

fn of_quantity<'a>(name: &str, quantity: Quantity, rest: &[Val<'a>]) -> Given<'a> {
    let whole = (quantity.nanos() % ONE == 0).then(|| i64::try_from(quantity.nanos() / ONE).ok()).flatten();
    Ok(Some(match (name, rest) {
        ("sign", []) => Val::Int(i64::try_from(quantity.nanos().signum()).unwrap_or_default()),
        ("isInteger", []) => Val::Bool(whole.is_some()),
        ("asInteger", []) => Val::Int(whole.ok_or_else(|| Fail::error("cannot convert value to integer"))?),
        ("asApproximateFloat", []) => Val::Double(approximate(quantity)),
        ("isGreaterThan", [Val::Quantity(other)]) => Val::Bool(quantity > *other),
        ("isLessThan", [Val::Quantity(other)]) => Val::Bool(quantity < *other),
        ("compareTo", [Val::Quantity(other)]) => Val::Int(match quantity.cmp(other) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }),
        ("add" | "sub", [other]) => {
            let other = match other {
                Val::Quantity(other) => other.nanos(),
                Val::Int(number) => i128::from(*number) * ONE,
                _ => return Ok(None),
            };
            let sum =
                if name == "add" { quantity.nanos().checked_add(other) } else { quantity.nanos().checked_sub(other) };
            let sum = sum.ok_or_else(|| Fail::error("quantity overflow"))?;
            let sum = format!("{sum}n").parse().map_err(|_| Fail::error("quantity overflow"))?;
            Val::Quantity(sum)
        }
        _ => return Ok(None),
    }))
}

fn approximate(quantity: Quantity) -> f64 {
    let (whole, rest) = (quantity.nanos() / ONE, (quantity.nanos() % ONE).abs());
    let sign = if quantity.nanos() < 0 && whole == 0 { "-" } else { "" };
    format!("{sign}{whole}.{rest:09}").parse().unwrap_or_default()
}
