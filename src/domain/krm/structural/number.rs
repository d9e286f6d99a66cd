//! Numbers held against their schema.
//!
//! Source: kube-openapi `validation/validate` (`numberValidator`): integers are compared as integers, with bounds cut
//! to whole numbers.

use serde_json::{Number, Value, json};

use crate::domain::krm::cause::Cause;

/// The greatest whole number that every float below it can tell from its neighbours.
const MOST_WHOLE: f64 = 9_007_199_254_740_991.0;

/// Whether a number is an integer to the server: written as one, or a float without a fraction.
pub(super) fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.as_f64().is_some_and(|float| is_whole_float(float) && number.as_u64().is_none())
}

fn is_whole_float(float: f64) -> bool {
    float.fract() == 0.0 && float.abs() <= MOST_WHOLE
}

/// All that is wrong with a number: range, step, least, most.
pub(super) fn faults(number: &Number, schema: &Value, path: &str) -> Vec<Cause> {
    let range = Range::of(schema, path);
    let mut found: Vec<Cause> = range.fault("Checked", number).into_iter().collect();
    for bound in [Bound::Step, Bound::Least, Bound::Most] {
        let Some(limit) = schema.get(bound.keyword()).and_then(Value::as_number) else { continue };
        let outside = range.fault(bound.title(), limit);
        let limit = Limit::of(number, limit, outside.is_none());
        found.extend(outside);
        let strict = schema.get(bound.strict()).and_then(Value::as_bool).unwrap_or_default();
        if let Some(why) = bound.broken(number, &limit, strict) {
            found.push(if bound == Bound::Step && limit.float <= 0.0 {
                let why = format!("{limit}: factor MultipleOf declared for {path} must be positive: {limit}");
                Cause { reason: "FieldValueInvalid", message: format!("Invalid value: {why}"), field: path.to_owned() }
            } else {
                Cause::invalid(path, &json!(number), &format!("{path} in body should be {why}{limit}"))
            });
        }
    }
    found
}

/// The numbers that a type and a format can hold.
struct Range<'a> {
    kind: &'a str,
    format: &'a str,
    path: &'a str,
}

impl<'a> Range<'a> {
    fn of(schema: &'a Value, path: &'a str) -> Self {
        let text = |name: &str| schema.get(name).and_then(Value::as_str).unwrap_or_default();
        let (kind, format) = (text("type"), text("format"));
        let is_known = matches!((kind, format), ("integer", "int32" | "int64") | ("number", "float" | "double"));
        Self { kind, format: if is_known { format } else { "" }, path }
    }

    fn fault(&self, what: &str, number: &Number) -> Option<Cause> {
        let float = number.as_f64().unwrap_or_default();
        let fits = match (self.kind, self.format) {
            ("integer", "int32") => float.fract() == 0.0 && (-2_147_483_648.0..=2_147_483_647.0).contains(&float),
            ("integer", _) => number.is_i64() || is_whole(number),
            ("number", "float") => float.abs() <= f64::from(f32::MAX),
            _ => true,
        };
        let format =
            if self.format.is_empty() { "(default format)".to_owned() } else { format!("with format {}", self.format) };
        let why = format!("{what} value must be of type {} {format} in {}", self.kind, self.path);
        (!fits).then(|| Cause::invalid("<nil>", &json!(""), &why))
    }
}

/// A limit as a number is compared with it.
struct Limit {
    float: f64,
}

impl Limit {
    /// An integer is compared with a whole number, unless the type could not hold the limit.
    fn of(number: &Number, limit: &Number, fits: bool) -> Self {
        let float = limit.as_f64().unwrap_or_default();
        Self { float: if number.is_i64() && fits { float.trunc() } else { float } }
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.float.abs() < 1e21 { write!(f, "{}", self.float) } else { write!(f, "{:e}", self.float) }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Step,
    Least,
    Most,
}

impl Bound {
    const fn keyword(self) -> &'static str {
        match self {
            Self::Step => "multipleOf",
            Self::Least => "minimum",
            Self::Most => "maximum",
        }
    }

    const fn strict(self) -> &'static str {
        match self {
            Self::Step => "",
            Self::Least => "exclusiveMinimum",
            Self::Most => "exclusiveMaximum",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Step => "MultipleOf",
            Self::Least => "Minimum boundary",
            Self::Most => "Maximum boundary",
        }
    }

    /// What the number should be, when it is not.
    fn broken(self, number: &Number, limit: &Limit, strict: bool) -> Option<&'static str> {
        let float = number.as_f64().unwrap_or_default();
        let (fits, text) = match (self, strict) {
            (Self::Step, _) => (is_multiple(number, limit.float), "a multiple of "),
            (Self::Least, true) => (float > limit.float, "greater than "),
            (Self::Least, false) => (float >= limit.float, "greater than or equal to "),
            (Self::Most, true) => (float < limit.float, "less than "),
            (Self::Most, false) => (float <= limit.float, "less than or equal to "),
        };
        (!fits).then_some(text)
    }
}

/// Whether a number is so many steps, as the server reckons: a step below one is turned over before it is multiplied.
fn is_multiple(number: &Number, step: f64) -> bool {
    let float = number.as_f64().unwrap_or_default();
    let count = if step < 1.0 { 1.0 / step * float } else { float / step };
    step > 0.0 && (is_whole_float(count) || is_close(count))
}

/// What the server takes for a whole number in spite of the last bits of a float.
fn is_close(float: f64) -> bool {
    let distance = (float - float.trunc()).abs();
    let relative = distance / (float.abs() + float.trunc().abs()).min(f64::MAX);
    float.abs() <= MOST_WHOLE && relative < 1e-9
}
