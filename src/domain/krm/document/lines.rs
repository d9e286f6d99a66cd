//! Where lines begin and end.

/// The first byte of the line that the byte `at` stands on.
#[must_use]
pub fn line_start(text: &str, at: usize) -> usize {
    text[..text.floor_char_boundary(at)].rfind('\n').map_or(0, |found| found + 1)
}

/// The byte behind the last one of the line that what ends at `at` ends on, without the line break. What ends with a
/// line break, as texts of several lines do, ends on the line before it.
#[must_use]
pub fn line_end(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at);
    let from = if text[..at].ends_with('\n') { at - 1 } else { at };
    text[from..].find('\n').map_or(text.len(), |found| from + found)
}

/// The line with the mark that a text of several lines begins with, without line break, and its number; the text itself
/// begins at the byte `start` of line `line`.
pub(super) fn mark_line(text: &str, start: usize, line: usize) -> (&str, usize) {
    let before = &text[..text.floor_char_boundary(start)];
    let head = before.trim_end();
    (&head[line_start(head, head.len())..], line.saturating_sub(before[head.len()..].matches('\n').count()))
}
