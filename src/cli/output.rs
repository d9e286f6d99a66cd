//! Printing: tables a person can read at 80 columns, and machine formats.

use std::io::Write as _;

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

    pub(super) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                line.push_str(cell);
                if column + 1 < row.len() {
                    line.extend(std::iter::repeat_n(' ', widths[column] - cell.chars().count() + 3));
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// `1 intent`, `2 intents`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Writes to standard output; a closed pipe is the reader's choice, not an error.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Writes a line to standard error.
pub(super) fn note(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "{text}");
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
    fn columns_line_up_and_lines_end_clean() {
        let mut table = Table::new(&["NAME", "STATUS"]);
        table.row(vec!["upf-edge".into(), "settled".into()]);
        table.row(vec!["a".into(), String::new()]);
        assert_eq!(table.text(), "NAME       STATUS\nupf-edge   settled\na\n");
    }
}
