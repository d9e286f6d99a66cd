//! Values held against their schema, in the server's words and order.
//!
//! Source: kube-openapi `validation/validate` and `validation/errors`, and the ratcheting of `apiextensions-apiserver`
//! (KEP-4008). Of the alternatives of `anyOf` and `oneOf` the one with most passed checks is told of: they are counted
//! as the server does.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::past::Past;
use super::{MAX_DEPTH, flag, join, number, schema_of};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::cel::pattern_matches;
use crate::domain::krm::formats;
use crate::domain::krm::value::same;

/// What is wrong with an object; with what it was before, only what is new in it.
#[must_use]
pub fn validate(object: &Value, old: Option<&Value>, schema: &Value) -> Vec<Cause> {
    let past = old.map(|old| Past::new(old, object, schema));
    once(checked(Place { value: object, path: "", depth: MAX_DEPTH }, schema, past).faults)
}

/// What is wrong with the status of an object, which the server takes for the root.
#[must_use]
pub fn validate_status(object: &Value, old: &Value, schema: &Value) -> Vec<Cause> {
    let (Some(status), Some(below)) = (object.get("status"), schema_of(schema, "status")) else { return Vec::new() };
    let past = Past::new(old, object, schema).field("status");
    let found = checked(Place { value: status, path: "", depth: MAX_DEPTH }, below, past).faults;
    let within = |cause: Cause| match cause.field.as_str() {
        "<nil>" | "" => Cause { field: "status".to_owned(), ..cause },
        field => Cause { field: join("status", field), ..cause },
    };
    once(found).into_iter().map(within).collect()
}

/// Each fault once: alternatives may find the same.
fn once(faults: Vec<Cause>) -> Vec<Cause> {
    let mut seen = BTreeSet::new();
    let is_new: Vec<bool> =
        faults.iter().map(|Cause { reason, message, field }| seen.insert((field, reason, message))).collect();
    faults.into_iter().zip(is_new).filter_map(|(fault, is_new)| is_new.then_some(fault)).collect()
}

/// What is looked at.
#[derive(Clone, Copy)]
struct Place<'a> {
    value: &'a Value,
    path: &'a str,
    depth: usize,
}

impl<'a> Place<'a> {
    fn below(self, value: &'a Value, path: &'a str) -> Self {
        Self { value, path, depth: self.depth.saturating_sub(1) }
    }
}

/// What a look found, and how many checks it took.
#[derive(Debug, Default)]
struct Found {
    faults: Vec<Cause>,
    checks: usize,
}

impl Found {
    fn of(faults: impl IntoIterator<Item = Cause>, checks: usize) -> Self {
        Self { faults: faults.into_iter().collect(), checks }
    }

    fn add(&mut self, faults: impl IntoIterator<Item = Cause>) {
        self.faults.extend(faults);
    }

    fn merge(&mut self, other: Self) {
        self.checks += other.checks;
        self.add(other.faults);
    }

    fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

/// All that is wrong at a place, or nothing when it was so before.
fn checked(place: Place<'_>, schema: &Value, past: Option<Past<'_>>) -> Found {
    let found = look(place, schema, past);
    if found.is_clean() || !past.is_some_and(Past::is_unchanged) {
        return found;
    }
    Found { faults: Vec::new(), checks: found.checks }
}

fn look(place: Place<'_>, schema: &Value, past: Option<Past<'_>>) -> Found {
    if place.depth == 0 {
        return Found::default();
    }
    let mut found = Found::default();
    let typed = wrong_type(place, schema);
    if place.value.is_null() {
        found.add(typed.into_iter().chain(wrong_choice(place, schema)));
        return found;
    }
    if schema.get("type").is_some() || flag(schema, "x-kubernetes-int-or-string") || !format_of(schema).is_empty() {
        let checks = if typed.is_none() { 2 } else { 1 };
        found.merge(Found::of(typed, checks));
    }
    found.merge(junctors(place, schema));
    found.checks += 1;
    match place.value {
        Value::String(text) => {
            let checks = 1 + usize::from(formats::is_known(format_of(schema)));
            found.merge(Found::of(text_faults(text, schema, place.path), checks));
        }
        Value::Number(number) => found.merge(Found::of(number::faults(number, schema, place.path), 2)),
        Value::Array(items) => found.merge(items_of(place, items, schema, past)),
        _ => {}
    }
    found.merge(Found::of(wrong_choice(place, schema), 1));
    if let Value::Object(fields) = place.value {
        found.merge(fields_of(place, fields, schema, past));
    }
    found.checks += 1;
    found
}

/// The format of a schema, as far as the server heeds it: strings, integers and numbers have other ones.
#[must_use]
pub fn format_of(schema: &Value) -> &str {
    let text = |name: &str| schema.get(name).and_then(Value::as_str).unwrap_or_default();
    let format = text("format");
    let is_heeded = match text("type") {
        "" | "string" => formats::is_known(format),
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        _ => false,
    };
    if is_heeded { format } else { "" }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The format that the server tells a value to have.
fn own_format(value: &Value) -> &'static str {
    match value {
        Value::Number(number) if number.is_i64() => "int64",
        Value::Number(_) => "float64",
        _ => "",
    }
}

fn wrong_type(place: Place<'_>, schema: &Value) -> Option<Cause> {
    let found = type_of(place.value);
    let wanted: &[&str] = match schema.get("type").and_then(Value::as_str) {
        _ if flag(schema, "x-kubernetes-int-or-string") => &["integer", "string"],
        Some(wanted) => &[wanted],
        None => &[],
    };
    let format = format_of(schema);
    let refuse = |wanted: &str, found: &str| {
        let detail = format!("{} in body must be of type {wanted}: {}", place.path, json!(found));
        Some(Cause::wrong_type(place.path, &json!(found), &detail))
    };
    if place.value.is_null() {
        let fits = wanted.is_empty() || flag(schema, "nullable");
        return if fits { None } else { refuse(&wanted.join(","), found) };
    }
    let is_numeric = wanted.contains(&"number") || wanted.contains(&"integer");
    let is_whole = place.value.as_number().is_some_and(number::is_whole) && is_numeric;
    let fits = wanted.contains(&found) || is_whole || (found == "integer" && wanted.contains(&"number"));
    let is_loose = matches!(place.value, Value::String(_) | Value::Array(_));
    match (format, is_loose) {
        _ if fits => None,
        // A list passes for a text of any format: the server looks at formats of texts alone.
        (format, true) if !format.is_empty() && !is_numeric => None,
        (format, false) if !format.is_empty() => refuse(format, own_format(place.value)),
        _ if wanted.is_empty() => None,
        _ => refuse(&wanted.join(","), found),
    }
}

fn wrong_choice(place: Place<'_>, schema: &Value) -> Option<Cause> {
    let allowed = schema.get("enum").and_then(Value::as_array).filter(|allowed| !allowed.is_empty())?;
    if !place.value.is_null() && allowed.iter().any(|one| same(one, place.value)) {
        return None;
    }
    let shown = |one: &Value| json!(one.as_str().map_or_else(|| one.to_string(), str::to_owned)).to_string();
    let allowed: Vec<String> = allowed.iter().map(shown).collect();
    Some(Cause::not_supported(place.path, place.value, &allowed))
}

fn limit(schema: &Value, name: &str) -> Option<u64> {
    schema.get(name).and_then(Value::as_u64)
}

fn too_few(count: usize, least: Option<u64>, what: &str, path: &str) -> Option<Cause> {
    let least = least.filter(|&least| (count as u64) < least)?;
    let detail = format!("{path} in body should have at least {least} {what}");
    Some(Cause::invalid(path, &json!(count), &detail))
}

fn too_many(count: usize, most: Option<u64>, path: &str) -> Option<Cause> {
    let most = most.filter(|&most| (count as u64) > most)?;
    Some(Cause::too_many(path, count, most))
}

fn fields_of(place: Place<'_>, fields: &Map<String, Value>, schema: &Value, past: Option<Past<'_>>) -> Found {
    let mut found = Found::of(None, 1);
    found.add(too_few(fields.len(), limit(schema, "minProperties"), "properties", place.path));
    found.add(too_many(fields.len(), limit(schema, "maxProperties"), place.path));
    for (name, value) in fields {
        let Some(below) = schema_of(schema, name).filter(|below| below.is_object()) else { continue };
        let path = join(place.path, name);
        // Both versions of an object have been converted to one: what its type was cannot be told.
        let is_type = place.path.is_empty() && matches!(name.as_str(), "apiVersion" | "kind");
        let past = past.filter(|_| !is_type).and_then(|past| past.field(name));
        found.merge(checked(place.below(value, &path), below, past));
    }
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let missing = required.filter_map(Value::as_str).filter(|name| !fields.contains_key(*name));
    found.add(missing.map(|name| Cause::required(join(place.path, name), "")));
    found
}

fn items_of(place: Place<'_>, items: &[Value], schema: &Value, past: Option<Past<'_>>) -> Found {
    let mut found = Found::of(None, 2);
    if let Some(below) = schema.get("items") {
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}[{index}]", place.path);
            found.merge(checked(place.below(item, &path), below, past.and_then(|past| past.item(index))));
        }
    }
    found.add(too_few(items.len(), limit(schema, "minItems"), "items", place.path));
    found.add(too_many(items.len(), limit(schema, "maxItems"), place.path));
    found
}

/// The first thing that is wrong with the length or the letters of a text, and what is wrong with its format.
fn text_faults(text: &str, schema: &Value, path: &str) -> Vec<Cause> {
    let count = text.chars().count() as u64;
    let refuse = |detail: String| Cause::invalid(path, &json!(text), &format!("{path} in body should {detail}"));
    let pattern = schema.get("pattern").and_then(Value::as_str).filter(|pattern| !pattern.is_empty());
    let form = if let Some(most) = limit(schema, "maxLength").filter(|&most| count > most) {
        Some(Cause::too_long(path, usize::try_from(most).unwrap_or(usize::MAX)))
    } else if let Some(least) = limit(schema, "minLength").filter(|&least| count < least) {
        Some(refuse(format!("be at least {least} chars long")))
    } else {
        let pattern = pattern.filter(|pattern| !pattern_matches(pattern, text));
        pattern.map(|pattern| refuse(format!("match '{pattern}'")))
    };
    let format = format_of(schema);
    let misfit = formats::fits(format, text) == Some(false);
    let detail = || format!("{path} in body must be of type {format}: {}", json!(text));
    form.into_iter().chain(misfit.then(|| Cause::wrong_type(path, &json!(text), &detail()))).collect()
}

/// How the server tells of a junctor: without a field, and without the value.
fn unfit(path: &str, detail: &str) -> Cause {
    Cause::invalid("<nil>", &json!(""), &format!("{path:?} must {detail}"))
}

/// Nothing below a junctor is looked at beside what it was.
fn junctors(place: Place<'_>, schema: &Value) -> Found {
    let all = |name: &str| schema.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let looks = |name: &str| -> Vec<Found> {
        all(name).iter().map(|one| look(place.below(place.value, place.path), one, None)).collect()
    };
    let mut found = Found::of(None, 1);
    found.merge(any_of(looks("anyOf"), place.path));
    found.merge(one_of(looks("oneOf"), place.path));
    found.merge(all_of(looks("allOf"), place.path));
    if let Some(not) = schema.get("not")
        && look(place.below(place.value, place.path), not, None).is_clean()
    {
        found.add([unfit(place.path, "not validate the schema (not)")]);
    }
    found
}

/// The one of several misfits that fits best; the first of equals.
fn best(misfits: Vec<Found>) -> Found {
    let better = |best: Found, next: Found| if next.checks > best.checks { next } else { best };
    misfits.into_iter().reduce(better).unwrap_or_default()
}

fn any_of(mut looks: Vec<Found>, path: &str) -> Found {
    if looks.is_empty() {
        return Found::default();
    }
    if let Some(fitting) = looks.iter().position(Found::is_clean) {
        return looks.swap_remove(fitting);
    }
    let mut found = Found::of([unfit(path, "validate at least one schema (anyOf)")], 0);
    found.merge(best(looks));
    found
}

fn one_of(looks: Vec<Found>, path: &str) -> Found {
    if looks.is_empty() {
        return Found::default();
    }
    let (mut fitting, misfits): (Vec<Found>, Vec<Found>) = looks.into_iter().partition(Found::is_clean);
    let why = match fitting.len() {
        1 => return fitting.remove(0),
        0 => "Found none valid".to_owned(),
        count => format!("Found {count} valid alternatives"),
    };
    let mut found = Found::of([unfit(path, &format!("validate one and only one schema (oneOf). {why}"))], 0);
    if fitting.is_empty() {
        found.merge(best(misfits));
    }
    found
}

fn all_of(looks: Vec<Found>, path: &str) -> Found {
    let misfits = looks.iter().filter(|look| !look.is_clean()).count();
    let none = if misfits == looks.len() { ". None validated" } else { "" };
    let mut found = Found::default();
    for look in looks {
        found.merge(look);
    }
    if misfits > 0 {
        found.add([unfit(path, &format!("validate all the schemas (allOf){none}"))]);
    }
    found
}
