//! Operators. Arithmetic never wraps.

use std::cmp::Ordering;
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};

use super::{Given, traversal};
use crate::domain::krm::cel::eval::{Budget, Fail};
use crate::domain::krm::cel::value::Val;

fn overflow() -> Fail {
    Fail::error("integer overflow")
}

fn unsigned_overflow() -> Fail {
    Fail::error("unsigned integer overflow")
}

pub(super) fn call<'a>(name: &str, _: bool, args: &[Val<'a>], budget: &Budget) -> Given<'a> {
    let found = match (name, args) {
        ("!_", [Val::Bool(value)]) => Val::Bool(!value),
        ("-_", [Val::Int(number)]) => Val::Int(number.checked_neg().ok_or_else(overflow)?),
        ("-_", [Val::Double(number)]) => Val::Double(-number),
        ("_==_", [a, b]) => Val::Bool(equal(a, b, budget)?),
        ("_!=_", [a, b]) => Val::Bool(!equal(a, b, budget)?),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => Val::Bool(compare(name, a, b, budget)?),
        ("_+_", [a, b]) => add(a, b, budget)?,
        ("_-_", [a, b]) => subtract(a, b)?,
        ("_*_" | "_/_" | "_%_", [a, b]) => multiply(name, a, b)?,
        ("@in", [item, Val::List(list)]) => {
            budget.charge(list.len() as u64)?;
            Val::Bool(list.contains(item, budget)?)
        }
        ("@in", [key, Val::Map(map)]) => Val::Bool(map.get(&key.key()?)?.is_some()),
        _ => return Ok(None),
    };
    Ok(Some(found))
}

fn equal<'a>(a: &Val<'a>, b: &Val<'a>, budget: &Budget) -> Result<bool, Fail> {
    let simple =
        matches!(a, Val::Quantity(_) | Val::Ip(_) | Val::Cidr(..) | Val::Format(_) | Val::Url(_) | Val::Semver(_));
    budget.charge(if simple { 1 } else { traversal(a.size().min(b.size())) })?;
    a.equals(b, budget)
}

fn compare<'a>(name: &str, a: &Val<'a>, b: &Val<'a>, budget: &Budget) -> Result<bool, Fail> {
    let texts = matches!(a, Val::Text(_) | Val::Bytes(_));
    budget.charge(if texts { traversal(a.size().min(b.size())) } else { 1 })?;
    let order = a.compare(b)?;
    Ok(match name {
        "_<_" => order == Ordering::Less,
        "_<=_" => order != Ordering::Greater,
        "_>_" => order == Ordering::Greater,
        _ => order != Ordering::Less,
    })
}

pub(super) fn add<'a>(a: &Val<'a>, b: &Val<'a>, budget: &Budget) -> Result<Val<'a>, Fail> {
    Ok(match (a, b) {
        (Val::Int(a), Val::Int(b)) => Val::Int(a.checked_add(*b).ok_or_else(overflow)?),
        (Val::Uint(a), Val::Uint(b)) => Val::Uint(a.checked_add(*b).ok_or_else(unsigned_overflow)?),
        (Val::Double(a), Val::Double(b)) => Val::Double(a + b),
        (Val::Text(first), Val::Text(second)) => {
            budget.charge(traversal(a.size() + b.size()))?;
            budget.hold(first.len() + second.len())?;
            Val::text(format!("{}{}", &**first, &**second))
        }
        (Val::Bytes(first), Val::Bytes(second)) => {
            budget.charge(traversal(a.size() + b.size()))?;
            budget.hold(first.len() + second.len())?;
            Val::Bytes(Rc::from([&**first, &**second].concat()))
        }
        (Val::List(a), Val::List(b)) => Val::List(a.joined(b, budget)?),
        (Val::Duration(a), Val::Duration(b)) => {
            Val::Duration(a.checked_add(*b).ok_or_else(|| Fail::error("duration overflow"))?)
        }
        (Val::Timestamp(time), Val::Duration(nanos)) | (Val::Duration(nanos), Val::Timestamp(time)) => {
            Val::Timestamp(moved(*time, SignedDuration::from_nanos(*nanos))?)
        }
        _ => return Err(Fail::overload()),
    })
}

/// A time moved; years are those from 1 to 9999.
fn moved(time: Timestamp, by: SignedDuration) -> Result<Timestamp, Fail> {
    let moved = time.checked_add(by).ok().filter(|time| time.as_second() >= super::time::FIRST_SECOND);
    moved.ok_or_else(|| Fail::error("timestamp overflow"))
}

fn subtract<'a>(a: &Val<'a>, b: &Val<'a>) -> Result<Val<'a>, Fail> {
    Ok(match (a, b) {
        (Val::Int(a), Val::Int(b)) => Val::Int(a.checked_sub(*b).ok_or_else(overflow)?),
        (Val::Uint(a), Val::Uint(b)) => Val::Uint(a.checked_sub(*b).ok_or_else(unsigned_overflow)?),
        (Val::Double(a), Val::Double(b)) => Val::Double(a - b),
        (Val::Duration(a), Val::Duration(b)) => {
            Val::Duration(a.checked_sub(*b).ok_or_else(|| Fail::error("duration overflow"))?)
        }
        (Val::Timestamp(time), Val::Duration(nanos)) => {
            Val::Timestamp(moved(*time, -SignedDuration::from_nanos(*nanos))?)
        }
        (Val::Timestamp(a), Val::Timestamp(b)) => {
            let nanos = i64::try_from(a.as_nanosecond() - b.as_nanosecond());
            Val::Duration(nanos.map_err(|_| Fail::error("duration overflow"))?)
        }
        _ => return Err(Fail::overload()),
    })
}

fn multiply<'a>(name: &str, a: &Val<'a>, b: &Val<'a>) -> Result<Val<'a>, Fail> {
    let by_zero = || Fail::error(if name == "_/_" { "division by zero" } else { "modulus by zero" });
    Ok(match (name, a, b) {
        ("_*_", Val::Int(a), Val::Int(b)) => Val::Int(a.checked_mul(*b).ok_or_else(overflow)?),
        ("_*_", Val::Uint(a), Val::Uint(b)) => Val::Uint(a.checked_mul(*b).ok_or_else(unsigned_overflow)?),
        ("_*_", Val::Double(a), Val::Double(b)) => Val::Double(a * b),
        ("_/_", Val::Double(a), Val::Double(b)) => Val::Double(a / b),
        ("_/_" | "_%_", Val::Int(_), Val::Int(0)) | ("_/_" | "_%_", Val::Uint(_), Val::Uint(0)) => {
            return Err(by_zero());
        }
        ("_/_", Val::Int(a), Val::Int(b)) => Val::Int(a.checked_div(*b).ok_or_else(overflow)?),
        ("_%_", Val::Int(a), Val::Int(b)) => Val::Int(a.checked_rem(*b).ok_or_else(overflow)?),
        ("_/_", Val::Uint(a), Val::Uint(b)) => Val::Uint(a / b),
        ("_%_", Val::Uint(a), Val::Uint(b)) => Val::Uint(a % b),
        _ => return Err(Fail::overload()),
    })
}
