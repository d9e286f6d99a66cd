//! Ages as kubectl prints them.

use jiff::{SignedDuration, Timestamp};

/// The age of something that began at `then`, an RFC 3339 text: `<unknown>` when there is none, `<invalid>` when it
/// cannot be read.
#[must_use]
pub(super) fn since(then: &str, now: Timestamp) -> String {
    if then.is_empty() {
        return "<unknown>".to_owned();
    }
    then.parse::<Timestamp>().map_or_else(|_| "<invalid>".to_owned(), |then| human(now.duration_since(then)))
}

/// A duration in at most two units, coarser the longer it is: `119s`, `9m59s`, `179m`, `7h59m`, `47h`, `7d23h`, `729d`,
/// `7y364d`.
///
/// The steps are those of `k8s.io/apimachinery/pkg/util/duration.HumanDuration`; up to a second in the future counts as
/// now.
#[must_use]
pub fn human(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(years, 'y', days % 365, 'd'),
        _ => format!("{years}y"),
    }
}

fn two(major: i64, major_unit: char, minor: i64, minor_unit: char) -> String {
    if minor == 0 { format!("{major}{major_unit}") } else { format!("{major}{major_unit}{minor}{minor_unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_change_their_units_at_the_known_steps() {
        const DAY: i64 = 86_400;
        let table = [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (599, "9m59s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (28_799, "7h59m"),
            (28_800, "8h"),
            (2 * DAY - 1, "47h"),
            (2 * DAY, "2d"),
            (8 * DAY - 1, "7d23h"),
            (8 * DAY, "8d"),
            (730 * DAY - 1, "729d"),
            (730 * DAY, "2y"),
            (731 * DAY, "2y1d"),
            (8 * 365 * DAY, "8y"),
        ];
        for (seconds, text) in table {
            assert_eq!(human(SignedDuration::from_secs(seconds)), text, "{seconds} s");
        }
    }
}
