//! Functions and operators.

mod convert;
mod format;
pub(super) mod list;
mod net;
mod operator;
mod printf;
mod quantity;
mod text;
mod time;
pub(super) mod url;
mod version;

use super::eval::{Budget, Fail};
use super::signatures;
use super::types::Type;
use super::value::Val;

pub(super) use format::Format;

/// Types by their names: in expressions, and as `type` gives them.
pub(super) const TYPES: [&str; 19] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
    "optional_type",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "net.IP",
    "net.CIDR",
    "kubernetes.URL",
    "kubernetes.Quantity",
    "kubernetes.Semver",
    "kubernetes.NamedFormat",
];

/// What a function gives; `None` says that there is none for these arguments.
type Given<'a> = Result<Option<Val<'a>>, Fail>;

/// Whether there is a function of this name, with or without receiver.
pub(super) fn is_known(name: &str) -> bool {
    signatures::all().contains_key(name)
}

/// Calls a function; the receiver of a method is its first argument.
pub(super) fn call<'a>(name: &str, method: bool, args: &[Val<'a>], budget: &Budget) -> Result<Val<'a>, Fail> {
    type Part = for<'a> fn(&str, bool, &[Val<'a>], &Budget) -> Given<'a>;
    const PARTS: [Part; 10] = [
        operator::call,
        text::call,
        list::call,
        convert::call,
        time::call,
        url::call,
        net::call,
        quantity::call,
        version::call,
        format::call,
    ];
    let before = budget.cost();
    for part in PARTS {
        if let Some(value) = part(name, method, args, budget)? {
            if budget.cost() == before {
                budget.charge(1)?;
            }
            return Ok(value);
        }
    }
    Err(Fail::overload())
}

/// The verbs of a text to format.
///
/// # Errors
/// What is wrong with it.
pub(super) fn verbs(text: &str) -> Result<Vec<char>, String> {
    printf::verbs(text)
}

/// Why a verb cannot show values of a type.
pub(super) fn misfit(verb: char, kind: &Type) -> Option<String> {
    printf::misfit(verb, kind.word())
}

/// The cost of a walk over texts of a length.
fn traversal(length: u64) -> u64 {
    length.div_ceil(10)
}

/// The cost of a match of a pattern on a text.
fn matching(text: &str, pattern: &str) -> u64 {
    (1 + text.chars().count() as u64).div_ceil(10) * (pattern.len() as u64).div_ceil(4)
}

/// A number of items or letters as CEL has it.
fn count<'a>(count: usize) -> Val<'a> {
    Val::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

/// A value as Go prints it in messages.
pub(super) fn show(value: &Val<'_>) -> String {
    match value {
        Val::Null => "<nil>".to_owned(),
        Val::Bool(value) => value.to_string(),
        Val::Int(number) => number.to_string(),
        Val::Uint(number) => number.to_string(),
        Val::Double(number) => convert::show_double(*number),
        Val::Text(text) => text.to_string(),
        other => other.type_name().to_owned(),
    }
}

/// Whether a text is a time of RFC 3339.
pub(super) fn is_time(text: &str) -> bool {
    time::parse(text).is_some()
}
