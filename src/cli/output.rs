//! Printing: tables a person can read at 80 columns, and machine formats.

use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::sync::OnceLock;

use serde::Serialize;

use super::args::Format;
use crate::domain::krm::document::to_yaml;

/// Rows under a head; the last column takes what is left.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        Self { rows: vec![head.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows.len() <= 1
    }

    /// The table for standard output: on a terminal its cells fold so that lines fit, elsewhere a row is a line for
    /// each line of its cells.
    pub(super) fn text(&self) -> String {
        self.indented(0)
    }

    /// As [`Table::text`], for lines that begin behind `indent` columns.
    pub(super) fn indented(&self, indent: usize) -> String {
        self.fitted(terminal_width().map(|width| width.saturating_sub(indent)))
    }

    fn fitted(&self, room: Option<usize>) -> String {
        let widths = self.widths(room);
        let mut out = String::new();
        for row in &self.rows {
            let cells: Vec<Vec<String>> = row.iter().zip(&widths).map(|(cell, width)| folded(cell, *width)).collect();
            for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
                let mut text = String::new();
                for (lines, width) in cells.iter().zip(&widths) {
                    let part = lines.get(line).map_or("", String::as_str);
                    text.push_str(part);
                    text.extend(std::iter::repeat_n(' ', width - part.chars().count() + GAP));
                }
                out.push_str(text.trim_end());
                out.push('\n');
            }
        }
        out
    }

    /// Width of each column; the widest give way first when there is not room for all.
    fn widths(&self, room: Option<usize>) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let longest = |cell: &String| cell.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        let widest = |column: usize| self.rows.iter().filter_map(|row| row.get(column)).map(longest).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..columns).map(widest).collect();
        let Some(room) = room else { return widths };
        let gaps = GAP * columns.saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > room {
            match widths.iter_mut().max().filter(|width| **width > NARROWEST) {
                Some(width) => *width -= 1,
                None => break,
            }
        }
        widths
    }
}

/// Spaces between columns.
const GAP: usize = 3;
/// No column folds to less.
const NARROWEST: usize = 10;

fn terminal_width() -> Option<usize> {
    let size = || terminal_size::terminal_size().map_or(80, |(width, _)| usize::from(width.0));
    std::io::stdout().is_terminal().then(size)
}

/// A cell as lines of at most `width` characters, broken behind spaces and the marks of paths where there are any.
fn folded(cell: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in cell.lines() {
        let mut rest: Vec<char> = line.chars().collect();
        while rest.len() > width.max(1) {
            let mark = |end: &usize| matches!(rest[*end - 1], ' ' | '/' | '.' | '-' | ',' | ':' | ';');
            let end = (width / 2 + 1..=width.max(1)).rev().find(mark).unwrap_or(width.max(1));
            let tail = rest.split_off(end);
            lines.push(rest.iter().collect::<String>().trim_end().to_owned());
            rest = tail;
        }
        lines.push(rest.iter().collect());
    }
    lines
}

/// `1 intent`, `2 intents`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Why something could not be printed, the first time.
static UNPRINTED: OnceLock<String> = OnceLock::new();

/// Writes to standard output; a closed pipe is the reader's choice, not an error. Any other failure is kept for the
/// end.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => drop(UNPRINTED.set(error.to_string())),
        _ => {}
    }
}

/// Why something could not be printed, such as a full disk.
pub(super) fn unprinted() -> Option<&'static str> {
    UNPRINTED.get().map(String::as_str)
}

/// Writes a line to standard error. What packages and functions say reaches a terminal without its escape codes.
pub(super) fn note(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "{}", plain(text));
}

/// A text with control characters written out, but for line ends and tabs.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let is_code = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if !text.contains(is_code) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if is_code(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

/// A value in a machine format; `None` when the format is one for people.
pub(super) fn machine(format: Format, value: &impl Serialize) -> anyhow::Result<Option<String>> {
    let value = serde_json::to_value(value)?;
    Ok(match format {
        Format::Json => Some(format!("{}\n", serde_json::to_string_pretty(&value)?)),
        Format::Yaml => Some(to_yaml(&value)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_folds_and_nothing_of_it_is_lost() {
        let mut table = Table::new(&["NAME", "REVISION", "MESSAGE"]);
        let message = "edge-1: the image registry.example/upf:1.4.2 cannot be pulled, and nobody knows why it is so";
        let name = "deployments.core.upf-edge.intent-1-with-a-name-that-is-long";
        table.row(vec![name.to_owned(), "1".to_owned(), message.to_owned()]);
        table.row(vec!["short".to_owned(), "2".to_owned(), "one\ntwo".to_owned()]);
        let text = table.fitted(Some(80));
        assert!(text.lines().all(|line| line.chars().count() <= 80 && !line.ends_with(' ')), "{text}");
        let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        let column = |from: usize, to: usize| {
            let cut = |line: &str| line.chars().skip(from).take(to - from).collect::<String>();
            text.lines().skip(1).map(cut).collect::<String>()
        };
        let (second, third) = (text.find("REVISION").unwrap(), text.find("MESSAGE").unwrap());
        assert_eq!(letters(&column(0, second)), format!("{name}short"));
        assert_eq!(letters(&column(third, 80)), format!("{}onetwo", letters(message)));
        assert_eq!(table.fitted(None).lines().count(), 4, "without a terminal only lines of cells are lines");
        let narrow = table.fitted(Some(5));
        assert!(letters(&narrow).contains("onetwo"), "{narrow}");
    }

    #[test]
    fn columns_line_up_and_lines_end_clean() {
        let mut table = Table::new(&["NAME", "STATUS"]);
        table.row(vec!["upf-edge".into(), "settled".into()]);
        table.row(vec!["a".into(), String::new()]);
        assert_eq!(table.text(), "NAME       STATUS\nupf-edge   settled\na\n");
    }
}
