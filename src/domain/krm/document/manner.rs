//! How the bytes of a file are written: the mark that it begins with, and how its lines end.

use std::borrow::Cow;

/// The mark of UTF-8, as some editors write it.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// The bytes of an edited file, in the manner of those that it had before: a byte order mark stays, and where all lines
/// ended the same way, with LF or with CR and LF, all lines do. Lines of a file that mixes both stay as they are.
#[must_use]
pub fn like(before: &[u8], text: &str) -> Vec<u8> {
    let text: Cow<'_, str> = match is_windows(before) {
        Some(true) => Cow::Owned(text.replace("\r\n", "\n").replace('\n', "\r\n")),
        Some(false) if text.contains("\r\n") => Cow::Owned(text.replace("\r\n", "\n")),
        _ => Cow::Borrowed(text),
    };
    let mark = if before.starts_with(MARK) { MARK } else { &[] };
    [mark, text.as_bytes()].concat()
}

/// Whether all lines end with CR and LF; `None` when some do, or no line ends.
fn is_windows(bytes: &[u8]) -> Option<bool> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let mut pairs = ends.map(|(at, _)| at.checked_sub(1).is_some_and(|before| bytes[before] == b'\r'));
    let first = pairs.next()?;
    pairs.all(|pair| pair == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_manner() {
        for (before, text, after) in [
            ("a: 1\n", "a: 1\nb: 2\n", "a: 1\nb: 2\n"),
            ("a: 1", "a: 1\nb: 2\n", "a: 1\nb: 2\n"),
            ("a: 1\r\n", "a: 1\r\nb: 2\n", "a: 1\r\nb: 2\r\n"),
            ("\u{feff}a: 1\r\n", "a: 1\r\nb: 2", "\u{feff}a: 1\r\nb: 2"),
            ("\u{feff}a: 1\n", "a: 2\n", "\u{feff}a: 2\n"),
            ("a: 1\r\nb: 2\n", "a: 1\r\nb: 2\nc: 3\n", "a: 1\r\nb: 2\nc: 3\n"),
            ("\n", "a: 1\n", "a: 1\n"),
            ("a: 1\n", "a: 1\nb: 2\r\n", "a: 1\nb: 2\n"),
            ("a: 1", "a: 1\r\n", "a: 1\r\n"),
        ] {
            assert_eq!(String::from_utf8(like(before.as_bytes(), text)).unwrap(), after, "{before:?}");
        }
    }
}
