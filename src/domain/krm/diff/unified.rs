//! The difference of two texts in the form that `diff -u` writes and `patch` reads.

use crate::domain::krm::align::align;

/// Lines around a difference.
const AROUND: usize = 3;
/// Most comparisons of lines; beyond it everything between the first and the last difference is one difference.
const MOST: usize = 4_000_000;

/// A line: in both texts, or in one.
#[derive(Clone, Copy, PartialEq)]
enum Line<'a> {
    Both(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// The difference of two texts, without anything when there is none. The texts end with a line break, or are empty.
pub(super) fn unified(name: &str, old: &str, new: &str) -> String {
    let lines = aligned(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    let mut out = String::new();
    for (start, end) in hunks(&lines) {
        if out.is_empty() {
            out = format!("--- live/{name}\n+++ planned/{name}\n");
        }
        let count = |lines: &[Line<'_>], skip: fn(&Line<'_>) -> bool| lines.iter().filter(|line| !skip(line)).count();
        let is_new = |line: &Line<'_>| matches!(line, Line::New(_));
        let is_old = |line: &Line<'_>| matches!(line, Line::Old(_));
        let (olds, news) = (count(&lines[start..end], is_new), count(&lines[start..end], is_old));
        // A side without lines is told by the line in front of it.
        let first = |before: usize, lines: usize| if lines == 0 { before } else { before + 1 };
        let (from, to) = (count(&lines[..start], is_new), count(&lines[..start], is_old));
        out += &format!("@@ -{},{olds} +{},{news} @@\n", first(from, olds), first(to, news));
        for line in &lines[start..end] {
            match line {
                Line::Both(text) => out += &format!(" {text}\n"),
                Line::Old(text) => out += &format!("-{text}\n"),
                Line::New(text) => out += &format!("+{text}\n"),
            }
        }
    }
    out
}

/// Where differences begin and end, with the lines around them; those that touch are one.
fn hunks(lines: &[Line<'_>]) -> Vec<(usize, usize)> {
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    for (at, _) in lines.iter().enumerate().filter(|(_, line)| !matches!(line, Line::Both(_))) {
        let (start, end) = (at.saturating_sub(AROUND), (at + 1 + AROUND).min(lines.len()));
        match hunks.last_mut() {
            Some(last) if start <= last.1 => last.1 = end,
            _ => hunks.push((start, end)),
        }
    }
    hunks
}

/// The lines of both texts in one row; of those that differ the old ones first.
fn aligned<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let (mut from, mut to, mut lines) = (0, 0, Vec::new());
    let pairs = align(old.len(), new.len(), |i, j| old[i] == new[j], MOST);
    for (old_end, new_end) in pairs.into_iter().chain([(old.len(), new.len())]) {
        lines.extend(old[from..old_end].iter().map(|text| Line::Old(text)));
        lines.extend(new[to..new_end].iter().map(|text| Line::New(text)));
        lines.extend(old.get(old_end).map(|text| Line::Both(text)));
        (from, to) = (old_end + 1, new_end + 1);
    }
    lines
}
