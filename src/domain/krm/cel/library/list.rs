//! Functions of lists and maps: the standard ones, those of Kubernetes, the `lists` extension (version 3), `sets`,
//! optionals.

use std::cmp::Ordering;

use super::{Given, count, operator};
use crate::domain::krm::cel::collection::List;
use crate::domain::krm::cel::eval::{Budget, Fail};
use crate::domain::krm::cel::value::Val;

pub(super) fn call<'a>(name: &str, _: bool, args: &[Val<'a>], budget: &Budget) -> Given<'a> {
    let found = match (name, args) {
        ("size", [Val::List(list)]) => count(list.len()),
        ("size", [Val::Map(map)]) => count(map.len()),
        ("isSorted" | "sum" | "min" | "max" | "indexOf" | "lastIndexOf", [Val::List(list), rest @ ..]) => {
            budget.charge(list.len() as u64)?;
            return searched(name, &list.all(budget)?, rest, budget);
        }
        ("sets.contains" | "sets.equivalent" | "sets.intersects", [Val::List(a), Val::List(b)]) => {
            sets(name, a, b, budget)?
        }
        ("lists.range", [Val::Int(number)]) => {
            let number = usize::try_from(*number).unwrap_or_default();
            budget.hold(number)?;
            budget.charge(10 + number as u64)?;
            Val::list((0..number).map(count).collect())
        }
        (_, [Val::List(list), rest @ ..]) => return shaped(name, list, rest, budget),
        (_, _) => return optional(name, args),
    };
    Ok(Some(found))
}

fn optional<'a>(name: &str, args: &[Val<'a>]) -> Given<'a> {
    Ok(Some(match (name, args) {
        ("optional.of", [value]) => Val::some(value.clone()),
        ("optional.ofNonZeroValue", [value]) => {
            if is_zero(value) {
                Val::Optional(None)
            } else {
                Val::some(value.clone())
            }
        }
        ("optional.none", []) => Val::Optional(None),
        ("hasValue", [Val::Optional(inner)]) => Val::Bool(inner.is_some()),
        ("value", [Val::Optional(inner)]) => match inner {
            Some(inner) => (**inner).clone(),
            None => return Err(Fail::error("optional.none() dereference")),
        },
        ("orValue", [Val::Optional(inner), other]) => inner.as_ref().map_or(other, AsRef::as_ref).clone(),
        ("or", [first @ Val::Optional(inner), other @ Val::Optional(_)]) => {
            if inner.is_some() {
                first.clone()
            } else {
                other.clone()
            }
        }
        _ => return Ok(None),
    }))
}

fn is_zero(value: &Val<'_>) -> bool {
    match value {
        Val::Null => true,
        Val::Bool(value) => !value,
        Val::Int(number) => *number == 0,
        Val::Uint(number) => *number == 0,
        Val::Double(number) => *number == 0.0,
        Val::Text(text) => text.is_empty(),
        Val::Bytes(bytes) => bytes.is_empty(),
        Val::List(list) => list.len() == 0,
        Val::Map(map) => map.len() == 0,
        Val::Duration(nanos) => *nanos == 0,
        _ => false,
    }
}

fn searched<'a>(name: &str, items: &[Val<'a>], rest: &[Val<'a>], budget: &Budget) -> Given<'a> {
    let found = match (name, rest) {
        ("isSorted", []) => {
            for (before, after) in items.iter().zip(items.iter().skip(1)) {
                if before.compare(after)? == Ordering::Greater {
                    return Ok(Some(Val::Bool(false)));
                }
            }
            Val::Bool(true)
        }
        ("sum", []) => {
            let Some(first) = items.first() else { return Ok(Some(Val::Int(0))) };
            let mut sum = first.clone();
            for item in items.iter().skip(1) {
                sum = operator::add(&sum, item, budget)?;
            }
            sum
        }
        ("min" | "max", []) => {
            let wanted = if name == "min" { Ordering::Less } else { Ordering::Greater };
            let mut items = items.iter();
            let Some(mut best) = items.next() else {
                return Err(Fail::error(format!("{name} called on empty list")));
            };
            for item in items {
                if item.compare(best)? == wanted {
                    best = item;
                }
            }
            best.clone()
        }
        ("indexOf" | "lastIndexOf", [wanted]) => {
            let mut places = Vec::new();
            for (place, item) in items.iter().enumerate() {
                if item.equals(wanted, budget)? {
                    places.push(place);
                }
            }
            let place = if name == "indexOf" { places.first() } else { places.last() };
            place.map_or(Val::Int(-1), |&place| count(place))
        }
        _ => return Ok(None),
    };
    Ok(Some(found))
}

fn sets<'a>(name: &str, a: &List<'a>, b: &List<'a>, budget: &Budget) -> Result<Val<'a>, Fail> {
    budget.charge(1 + a.len() as u64 * b.len() as u64)?;
    let within = |part: &List<'a>, whole: &List<'a>| {
        for item in part.all(budget)? {
            if !whole.contains(&item, budget)? {
                return Ok(false);
            }
        }
        Ok(true)
    };
    Ok(Val::Bool(match name {
        "sets.contains" => within(b, a)?,
        "sets.equivalent" => within(a, b)? && within(b, a)?,
        _ => {
            for item in a.all(budget)? {
                if b.contains(&item, budget)? {
                    return Ok(Val::Bool(true));
                }
            }
            false
        }
    }))
}

fn shaped<'a>(name: &str, list: &List<'a>, rest: &[Val<'a>], budget: &Budget) -> Given<'a> {
    if !matches!(name, "slice" | "flatten" | "distinct" | "reverse" | "sort" | "first" | "last") {
        return Ok(None);
    }
    budget.charge(10 + list.len() as u64)?;
    budget.hold(list.len())?;
    let mut items = list.all(budget)?;
    let found = match (name, rest) {
        ("slice", [Val::Int(start), Val::Int(end)]) => Val::list(slice(&items, *start, *end)?),
        ("flatten", []) => Val::list(flatten(items, 1, budget)?),
        ("flatten", [Val::Int(levels)]) => {
            let levels = u64::try_from(*levels).map_err(|_| Fail::error("level must be non-negative"))?;
            Val::list(flatten(items, levels.min(64), budget)?)
        }
        ("distinct", []) => {
            let mut kept: Vec<Val<'a>> = Vec::new();
            'items: for item in items {
                for other in &kept {
                    if other.equals(&item, budget)? {
                        continue 'items;
                    }
                }
                kept.push(item);
            }
            Val::list(kept)
        }
        ("reverse", []) => {
            items.reverse();
            Val::list(items)
        }
        ("sort", []) => {
            let keys = items.clone();
            sorted_by(items, &keys)?
        }
        ("first", []) => items.first().map_or(Val::Optional(None), |item| Val::some(item.clone())),
        ("last", []) => items.last().map_or(Val::Optional(None), |item| Val::some(item.clone())),
        _ => return Ok(None),
    };
    Ok(Some(found))
}

fn slice<'a>(items: &[Val<'a>], start: i64, end: i64) -> Result<Vec<Val<'a>>, Fail> {
    let refuse = |why: &str| Fail::error(format!("cannot slice({start}, {end}), {why}"));
    let (Ok(from), Ok(to)) = (usize::try_from(start), usize::try_from(end)) else {
        return Err(refuse("negative indexes not supported"));
    };
    if from > to {
        return Err(refuse("start index must be less than or equal to end index"));
    }
    let part = items.get(from..to).ok_or_else(|| refuse(&format!("list is length {}", items.len())))?;
    Ok(part.to_vec())
}

fn flatten<'a>(items: Vec<Val<'a>>, levels: u64, budget: &Budget) -> Result<Vec<Val<'a>>, Fail> {
    let mut flat = Vec::new();
    for item in items {
        match item {
            Val::List(inner) if levels > 0 => flat.extend(flatten(inner.all(budget)?, levels - 1, budget)?),
            other => flat.push(other),
        }
        budget.hold(1)?;
    }
    Ok(flat)
}

/// Items in the order of their keys. A number that is none has no order, which is no error: it comes last. (The server
/// leaves it where its way to sort happens to put it.)
pub(in super::super) fn sorted_by<'a>(items: Vec<Val<'a>>, keys: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    let Some(first) = keys.first() else { return Ok(Val::list(items)) };
    let has_order = |key: &Val<'a>| key.compare(key).is_ok();
    if !has_order(first) && !matches!(first, Val::Double(_)) {
        return Err(Fail::error("list elements must be comparable"));
    }
    if keys.iter().any(|key| key.type_name() != first.type_name()) {
        return Err(Fail::error("list elements must have the same type"));
    }
    let mut pairs: Vec<(&Val<'a>, Val<'a>)> = keys.iter().zip(items).collect();
    let order = |a: &Val<'a>, b: &Val<'a>| a.compare(b).unwrap_or_else(|_| has_order(b).cmp(&has_order(a)));
    pairs.sort_by(|(a, _), (b, _)| order(a, b));
    Ok(Val::list(pairs.into_iter().map(|(_, item)| item).collect()))
}
