//! The difference of two texts in the form that `diff -u` writes and `patch` reads.

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

fn aligned<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let head = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (rest_old, rest_new) = (&old[head..], &new[head..]);
    let tail = rest_old.iter().rev().zip(rest_new.iter().rev()).take_while(|(old, new)| old == new).count();
    let (middle_old, middle_new) = (&rest_old[..rest_old.len() - tail], &rest_new[..rest_new.len() - tail]);
    let mut lines: Vec<Line<'a>> = old[..head].iter().map(|text| Line::Both(text)).collect();
    if middle_old.len().saturating_mul(middle_new.len()) > MOST {
        lines.extend(middle_old.iter().map(|text| Line::Old(text)));
        lines.extend(middle_new.iter().map(|text| Line::New(text)));
    } else {
        lines.extend(common(middle_old, middle_new));
    }
    lines.extend(rest_old[rest_old.len() - tail..].iter().map(|text| Line::Both(text)));
    lines
}

/// Keeps a longest common part, found by the table of the lengths of those of all ends.
fn common<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let width = new.len() + 1;
    let mut lengths = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i * width + j] = if old[i] == new[j] {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(Line::Both(old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) {
            lines.push(Line::Old(old[i]));
            i += 1;
        } else {
            lines.push(Line::New(new[j]));
            j += 1;
        }
    }
    lines
}
