//! Resource quantities: `1000m` is `1`, `1Gi` is `1024Mi`.
//!
//! Source: `Quantity` of the Kubernetes API reference. The smallest unit is one billionth; finer values are rounded
//! away from zero, as the API server does.

use std::fmt;

use serde_json::Value;

/// Billionths in one.
const ONE: i128 = 1_000_000_000;

/// Billionths in a thousandth.
const THOUSANDTH: i128 = 1_000_000;

/// Decimal suffixes with their powers of ten.
const DECIMAL: [(&str, u32); 10] =
    [("n", 0), ("u", 3), ("m", 6), ("", 9), ("k", 12), ("M", 15), ("G", 18), ("T", 21), ("P", 24), ("E", 27)];

/// Binary suffixes in order; each is 1024 times the one before, from 1024.
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/// The family of suffixes in which a quantity was written, and so is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Decimal,
    Binary,
    Exponent,
}

/// A fixed-point number; equality, order and hash-like use go by value, not by spelling.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nanos: i128,
    family: Family,
}

/// Text that is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "reading the quantity {0:?}: it is not a number with one of the suffixes n u m k M G T P E Ki Mi Gi Ti Pi Ei or an exponent"
)]
pub struct InvalidQuantity(
    /// The text, cut to 60 characters.
    pub String,
);

impl std::str::FromStr for Quantity {
    type Err = InvalidQuantity;

    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        parse(text).ok_or_else(|| InvalidQuantity(text.chars().take(60).collect()))
    }
}

impl Quantity {
    /// The quantity that a JSON string or number spells; space around it does not count.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => text.trim().parse().ok(),
            // Go writes great floats with all their digits.
            Value::Number(number) if number.is_f64() => match number.as_f64()? {
                float if float.abs() < 1e21 => float.to_string().parse().ok(),
                _ => number.to_string().parse().ok(),
            },
            Value::Number(number) => number.to_string().parse().ok(),
            _ => None,
        }
    }

    /// What the server keeps of a text: the text itself where it says the canonical number and suffix, if with a sign,
    /// leading zeros, a bare point or a spelled out exponent; else the canonical form.
    #[must_use]
    pub fn kept(self, text: &str) -> String {
        let (text, canonical) = (text.trim(), self.to_string());
        if self.nanos != 0 && plain(text).as_deref() == Some(canonical.as_str()) { text.to_owned() } else { canonical }
    }

    /// The value in billionths.
    #[must_use]
    pub const fn nanos(self) -> i128 {
        self.nanos
    }

    /// The nearest quantity in whole thousandths, away from zero: what the server holds of an amount of a resource.
    #[must_use]
    pub const fn in_thousandths(self) -> Self {
        Self { nanos: divide_away(self.nanos, THOUSANDTH) * THOUSANDTH, family: self.family }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl fmt::Display for Quantity {
    /// The canonical form: no fraction, the largest suffix that allows it, in the family it was written in; binary
    /// suffixes only of whole numbers from 1024 on.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family {
            Family::Binary if self.nanos.abs() >= 1024 * ONE && self.nanos % ONE == 0 => {
                f.write_str(&binary(self.nanos / ONE))
            }
            Family::Binary | Family::Decimal => {
                let (number, power) = scaled(self.nanos);
                let suffix = DECIMAL.iter().find(|(_, p)| *p == power).map_or("", |(suffix, _)| suffix);
                write!(f, "{number}{suffix}")
            }
            Family::Exponent => match scaled(self.nanos) {
                (number, 9) => write!(f, "{number}"),
                (number, power) => write!(f, "{number}e{}", i64::from(power) - 9),
            },
        }
    }
}

/// The number without fraction at the largest power of thousand, and that power of ten over billionths.
fn scaled(nanos: i128) -> (i128, u32) {
    if nanos == 0 {
        return (0, 9);
    }
    let fits = |power: u32| nanos % 10_i128.pow(power) == 0;
    let power = DECIMAL.iter().map(|(_, power)| *power).rev().find(|power| fits(*power)).unwrap_or_default();
    (nanos / 10_i128.pow(power), power)
}

fn binary(mut number: i128) -> String {
    let mut suffix = "";
    for next in BINARY {
        if number % 1024 != 0 {
            break;
        }
        number /= 1024;
        suffix = next;
    }
    format!("{number}{suffix}")
}

/// A text without what says nothing.
fn plain(text: &str) -> Option<String> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let end = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (number, suffix) = (number.trim_start_matches('0'), suffix.strip_prefix('.').unwrap_or(suffix));
    let suffix = match suffix.strip_prefix(['e', 'E']).and_then(|power| power.parse::<i32>().ok()) {
        Some(power) => format!("e{power}"),
        None => suffix.to_owned(),
    };
    (!number.is_empty()).then(|| format!("{sign}{number}{suffix}"))
}

/// Division that rounds away from zero.
const fn divide_away(number: i128, by: i128) -> i128 {
    number / by + if number % by == 0 { 0 } else { number.signum() }
}

fn parse(text: &str) -> Option<Quantity> {
    let negative = text.starts_with('-');
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let (unit, mut shift, family) = unit(suffix)?;
    // At most 30 digits after the point: what is finer cannot change the rounding of any unit.
    let fraction = fraction.get(..30).unwrap_or(fraction);
    let digits: i128 = match format!("{whole}{fraction}").trim_start_matches('0') {
        "" => 0,
        digits => digits.parse().ok()?,
    };
    shift -= i32::try_from(fraction.len()).ok()?;
    let scaled = digits.checked_mul(unit)?;
    let power = 10_i128.checked_pow(shift.unsigned_abs());
    let nanos = match (shift < 0, power) {
        _ if scaled == 0 => 0,
        (false, power) => scaled.checked_mul(power?)?,
        (true, Some(power)) => divide_away(scaled, power),
        (true, None) => 1,
    };
    // What is counted in powers of two ends where 64 bits do.
    let most = i128::from(i64::MAX) * ONE;
    let nanos = if family == Family::Binary { nanos.min(most) } else { nanos };
    Some(Quantity { nanos: if negative { -nanos } else { nanos }, family })
}

/// A suffix as factor over billionths, power of ten on top, and family.
fn unit(suffix: &str) -> Option<(i128, i32, Family)> {
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Some((1, i32::try_from(*power).ok()?, Family::Decimal));
    }
    if let Some(position) = BINARY.iter().position(|name| *name == suffix) {
        let exponent = u32::try_from(position).ok()? + 1;
        return Some((1024_i128.pow(exponent) * ONE, 0, Family::Binary));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    (-1000..=1000).contains(&exponent).then_some((1, exponent + 9, Family::Exponent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(text: &str) -> String {
        text.parse::<Quantity>().unwrap().to_string()
    }

    #[test]
    fn canonical_forms_are_those_of_the_api_server() {
        let table = [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5", "1500m"),
            ("100m", "100m"),
            ("0.1m", "100u"),
            ("1024Mi", "1Gi"),
            ("1Gi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("1.1Gi", "1181116006400m"),
            ("1.1Ki", "1126400m"),
            ("-1.1Ki", "-1126400m"),
            ("0.1Ki", "102400m"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("12345k", "12345k"),
            ("2000k", "2M"),
            ("0", "0"),
            ("0Mi", "0"),
            ("-5m", "-5m"),
            ("+1", "1"),
            ("1e3", "1e3"),
            ("1E3", "1e3"),
            ("12e5", "1200e3"),
            ("1E", "1E"),
            ("1e-3", "1e-3"),
            (".5", "500m"),
            ("5.", "5"),
            ("0.0000000001", "1n"),
            ("129e6", "129e6"),
        ];
        for (text, expected) in table {
            assert_eq!(canonical(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_nearly_canonical_is_kept_as_it_is_written() {
        let kept = |text: &str| text.parse::<Quantity>().unwrap().kept(text);
        for text in ["00012", "1.", "+1", "001k", "01Ki", "0012m", "1e03", "1e+3", "1", "-5m"] {
            assert_eq!(kept(text), text);
        }
        let table =
            [("1000", "1k"), ("0.5", "500m"), ("1E2", "100"), ("1.0", "1"), ("-0", "0"), ("00", "0"), ("1e4", "10e3")];
        for (text, expected) in table {
            assert_eq!(kept(text), expected, "{text}");
        }
        assert_eq!(kept("8Ei"), "9223372036854775807");
        assert_eq!(Quantity::of(&serde_json::json!(1e16)).unwrap().to_string(), "10P");
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in
            ["", "m", "1 Gi", "1gi", "1.2.3", "1e", "1e3e", "--1", "Ki", "1KiB", "99999999999999999999999999E99"]
        {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }

    #[test]
    fn spelling_does_not_matter_for_equality() {
        let read = |text: &str| text.parse::<Quantity>().unwrap();
        assert_eq!(read("1Gi"), read("1024Mi"));
        assert_eq!(Quantity::of(&serde_json::json!(1)), Some(read("1000m")));
        assert_eq!(Quantity::of(&serde_json::json!(0.5)), Some(read("500m")));
        assert!(read("1G") < read("1Gi"));
        assert!(read("-1") < read("1n"));
    }

    proptest! {
        #[test]
        fn canonical_form_keeps_the_value(number in -1_000_000_i64..1_000_000, unit in 0..16_usize) {
            let suffixes: Vec<&str> = DECIMAL.iter().map(|(s, _)| *s).chain(BINARY).collect();
            let text = format!("{number}{}", suffixes[unit]);
            let quantity: Quantity = text.parse().unwrap();
            let again: Quantity = quantity.to_string().parse().unwrap();
            prop_assert_eq!(quantity, again);
            prop_assert_eq!(again.to_string(), quantity.to_string());
        }
    }
}
