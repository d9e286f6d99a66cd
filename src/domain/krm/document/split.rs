//! Whole documents of a file: their text, taken out, put in, exchanged.

use std::ops::Range;

use serde_json::Value;

use super::YamlFile;
use super::edit::{EditError, Splice};
use super::spell::closed;

/// One part of a file: from the line that begins it to the next such line.
struct Part {
    /// With its beginning line.
    whole: Range<usize>,
    /// Without it.
    body: Range<usize>,
}

/// Length of a document marker with its line, when the line is one and holds nothing else.
fn marker(line: &str) -> Option<usize> {
    let rest = line.strip_prefix("---")?;
    let blank = rest.trim().is_empty() || (rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#'));
    match (blank, rest.starts_with([' ', '\t'])) {
        (true, _) => Some(line.len()),
        (false, true) => Some(4),
        (false, false) => None,
    }
}

fn parts(text: &str) -> Vec<Part> {
    let mut parts = vec![Part { whole: 0..text.len(), body: 0..text.len() }];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(length) = marker(line) {
            if let Some(last) = parts.last_mut() {
                last.whole.end = at;
                last.body.end = at;
            }
            parts.push(Part { whole: at..text.len(), body: at + length..text.len() });
        }
        at += line.len();
    }
    parts
}

impl YamlFile {
    fn part(&self, document: usize) -> Option<Part> {
        let start = self.documents.get(document)?.span.start;
        parts(&self.text).into_iter().rev().find(|part| part.whole.start <= start)
    }

    /// The file in pieces that together are its text, cut before the `---` lines; every piece but that of a file
    /// without documents holds at least one.
    #[must_use]
    pub fn into_pieces(self) -> Vec<Self> {
        let cuts: Vec<usize> = self.documents.iter().map(|document| document.span.start).collect();
        let parts = parts(&self.text);
        let holds = |part: &Part| {
            cuts.partition_point(|start| *start < part.whole.end)
                > cuts.partition_point(|start| *start < part.whole.start)
        };
        let mut pieces: Vec<Range<usize>> = Vec::new();
        let mut start = 0;
        for part in parts.iter().filter(|part| holds(part)) {
            pieces.push(start..part.whole.end);
            start = part.whole.end;
        }
        if let Some(last) = pieces.last_mut() {
            last.end = self.text.len();
        }
        let read = |range: &Range<usize>| Self::parse(self.text[range.clone()].as_bytes(), &self.limits).ok();
        match pieces.iter().map(read).collect::<Option<Vec<Self>>>() {
            Some(pieces)
                if pieces.iter().map(|piece| piece.documents.len()).sum::<usize>() == cuts.len()
                    && pieces.len() > 1 =>
            {
                pieces
            }
            // Something reaches over a cut, such as a directive: the file stays in one piece.
            _ => vec![self],
        }
    }

    /// Text of a document with its comments, without the `---` that begins it.
    #[must_use]
    pub fn document_text(&self, document: usize) -> &str {
        self.part(document).map_or("", |part| &self.text[part.body])
    }

    /// Takes a document out, with its comments and its `---`; returns whether it was there.
    ///
    /// # Errors
    /// [`EditError`]; the file is then unchanged.
    pub fn remove_document(&mut self, document: usize) -> Result<bool, EditError> {
        let Some(part) = self.part(document) else { return Ok(false) };
        let mut expected = self.values()?;
        expected.remove(document);
        let mut range = part.whole.clone();
        // The first document has no mark of its own: the next one's goes with it.
        if part.whole.start == part.body.start
            && let Some(next) = self.text[range.end..].split_inclusive('\n').next()
            && next.trim_end() == "---"
        {
            range.end += next.len();
        }
        self.commit(Splice { range, text: String::new() }, &expected, &[])?;
        Ok(true)
    }

    /// Adds a document behind the others.
    ///
    /// # Errors
    /// [`EditError`]; the file is then unchanged.
    pub fn append_document(&mut self, text: &str) -> Result<(), EditError> {
        let mut expected = self.values()?;
        expected.extend(parsed(text, self)?);
        let end = self.text.len();
        let break_before = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { "\n" };
        let mark = if self.documents.is_empty() { "" } else { "---\n" };
        let text = format!("{break_before}{mark}{}", closed(text, &self.limits));
        self.commit(Splice { range: end..end, text }, &expected, &[])
    }

    /// Puts another document in the place of one; its `---` stays.
    ///
    /// # Errors
    /// [`EditError`]; the file is then unchanged.
    pub fn replace_document(&mut self, document: usize, text: &str) -> Result<bool, EditError> {
        let Some(part) = self.part(document) else { return Ok(false) };
        let mut expected = self.values()?;
        let new = parsed(text, self)?;
        expected.splice(document..=document, new);
        let text = closed(text, &self.limits).into_owned();
        if self.text[part.body.clone()] == text {
            return Ok(false);
        }
        self.commit(Splice { range: part.body, text }, &expected, &[])?;
        Ok(true)
    }
}

fn parsed(text: &str, file: &YamlFile) -> Result<Vec<Value>, EditError> {
    Ok(YamlFile::parse(text.as_bytes(), &file.limits)?.values()?)
}
