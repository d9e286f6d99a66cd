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
