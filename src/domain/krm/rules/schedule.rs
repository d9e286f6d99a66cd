//! Whether a text is the schedule of a cron job.
//!
//! Source: the standard format of `robfig/cron` v3, in its words.

/// The fields of a schedule: their least and greatest numbers, and names for numbers from the least on.
const FIELDS: [(u32, u32, &[&str]); 5] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    (0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];
const NAMES: [&str; 7] = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/// Why a text is no schedule; `None` when it is one.
pub(super) fn fault(text: &str) -> Option<String> {
    if text.contains("TZ") {
        return Some("cannot use TZ or CRON_TZ in schedule, use timeZone field instead".to_owned());
    }
    if text.starts_with('@') {
        return descriptor_fault(text);
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Some(format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" ")));
    }
    fields.iter().zip(FIELDS).find_map(|(field, bounds)| field.split(',').find_map(|part| range_fault(part, bounds)))
}

fn descriptor_fault(text: &str) -> Option<String> {
    if NAMES.contains(&text) {
        return None;
    }
    let Some(every) = text.strip_prefix("@every ") else { return Some(format!("unrecognized descriptor: {text}")) };
    let why = if every.is_empty() { "invalid duration" } else { duration_fault(every)? };
    Some(format!("failed to parse duration {text}: time: {why} {every:?}"))
}

/// A duration as Go writes it: numbers with units.
fn duration_fault(text: &str) -> Option<&'static str> {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        if number.trim_matches('.').is_empty() {
            return Some("invalid duration");
        }
        let unit = behind.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(behind.len());
        match &behind[..unit] {
            "ns" | "us" | "µs" | "ms" | "s" | "m" | "h" => rest = &behind[unit..],
            "" => return Some("missing unit in duration"),
            _ => return Some("invalid duration"),
        }
    }
    None
}

fn range_fault(part: &str, bounds: (u32, u32, &[&str])) -> Option<String> {
    check_range(part, bounds).err()
}

fn check_range(part: &str, (least, most, names): (u32, u32, &[&str])) -> Result<(), String> {
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    let (low, high) = range.split_once('-').map_or((range, None), |(low, high)| (low, Some(high)));
    if high.is_some_and(|high| high.contains('-')) {
        return Err(format!("too many hyphens: {part}"));
    }
    if step.is_some_and(|step| step.contains('/')) {
        return Err(format!("too many slashes: {part}"));
    }
    let (start, mut end) = if matches!(low, "*" | "?") {
        (least, most)
    } else {
        let start = number(low, least, names)?;
        (start, high.map_or(Ok(start), |high| number(high, least, names))?)
    };
    let step = step.map(|step| number(step, 0, &[])).transpose()?;
    if high.is_none() && step.is_some() {
        end = most;
    }
    if start < least {
        return Err(format!("beginning of range ({start}) below minimum ({least}): {part}"));
    }
    if end > most {
        return Err(format!("end of range ({end}) above maximum ({most}): {part}"));
    }
    if start > end {
        return Err(format!("beginning of range ({start}) beyond end of range ({end}): {part}"));
    }
    if step == Some(0) { Err(format!("step of range should be a positive number: {part}")) } else { Ok(()) }
}

fn number(text: &str, least: u32, names: &[&str]) -> Result<u32, String> {
    if let Some(place) = names.iter().position(|name| name.eq_ignore_ascii_case(text)) {
        return Ok(least + u32::try_from(place).unwrap_or_default());
    }
    let refuse = || format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax");
    let number: i64 = text.parse().map_err(|_| refuse())?;
    u32::try_from(number).map_err(|_| format!("negative number ({number}) not allowed: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_told_from_other_texts() {
        for text in ["* * * * *", "*/5 0-6 1,15 jan-MAR sun", "@hourly", "@every 1h30m", "0 0 ? * 6", "5/15 * * * *"] {
            assert_eq!(fault(text), None, "{text}");
        }
        let table = [
            ("x", "expected exactly 5 fields, found 1: [x]"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
            ("@every x", "failed to parse duration @every x: time: invalid duration \"x\""),
            ("@never", "unrecognized descriptor: @never"),
        ];
        for (text, expected) in table {
            assert_eq!(fault(text).as_deref(), Some(expected), "{text}");
        }
    }
}
