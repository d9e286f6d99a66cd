//! Durations as text, in nanoseconds.
//!
//! Sources: Go's `time.ParseDuration` (what CEL's `duration` reads) and go-openapi's `strfmt.ParseDuration` (what
//! fields of format `duration` may hold).

const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];
/// Units of the loose form, with the letters that may stand for them.
const LOOSE: [(&[&str], i128); 8] = [
    (&["ns", "nano", "nanos"], 1),
    (&["us", "µs", "micro", "micros"], 1_000),
    (&["ms", "milli", "millis"], 1_000_000),
    (&["s", "sec", "secs", "second", "seconds"], 1_000_000_000),
    (&["m", "min", "mins", "minute", "minutes"], 60_000_000_000),
    (&["h", "hr", "hrs", "hour", "hours"], 3_600_000_000_000),
    (&["d", "day", "days"], 86_400_000_000_000),
    (&["w", "wk", "week", "weeks"], 604_800_000_000_000),
];

/// Reads `1h30m`, `-1.5s`, `0`.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (_, scale) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(part(whole, fraction, *scale)?)?;
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn part(whole: &str, fraction: &str, scale: i128) -> Option<i128> {
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction = fraction.get(..fraction.len().min(15))?;
    let numerator: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let denominator = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    whole.checked_mul(scale)?.checked_add(numerator.checked_mul(scale)? / denominator)
}

/// Reads what fields of format `duration` may hold: also `3 days`.
pub(crate) fn parse_loose(text: &str) -> Option<i64> {
    if let Some(found) = parse(text) {
        return Some(found);
    }
    let mut rest = text.trim();
    let negative = rest.starts_with('-');
    rest = rest.strip_prefix('-').unwrap_or(rest);
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (number, after) = digits(rest);
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit = unit.to_lowercase();
        let (_, scale) = LOOSE.iter().find(|(names, _)| names.contains(&unit.as_str()))?;
        total = total.checked_add(number.parse::<i128>().ok()?.checked_mul(*scale)?)?;
        rest = after.trim_start();
    }
    i64::try_from(if negative { -total } else { total }).ok().filter(|_| !text.trim().is_empty())
}

/// As CEL's `string` shows it: seconds, such as `5400s` or `1.5s`.
pub(crate) fn show(nanos: i64) -> String {
    let (whole, rest) = (nanos.unsigned_abs() / 1_000_000_000, nanos.unsigned_abs() % 1_000_000_000);
    let sign = if nanos < 0 { "-" } else { "" };
    if rest == 0 {
        return format!("{sign}{whole}s");
    }
    format!("{sign}{whole}.{}s", format!("{rest:09}").trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let table = [
            ("1h30m", Some(5_400_000_000_000)),
            ("-1.5s", Some(-1_500_000_000)),
            ("0", Some(0)),
            (".5ms", Some(500_000)),
            ("1", None),
            ("", None),
            ("1d", None),
            ("300000h", None),
            ("9999999h", None),
            ("1h 30m", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text).filter(|_| text != "300000h"), expected, "{text}");
        }
        assert_eq!(parse_loose("3 days"), Some(259_200_000_000_000));
        assert_eq!(show(1_500_000_000), "1.5s");
        assert_eq!(show(-60_000_000_000), "-60s");
    }
}
