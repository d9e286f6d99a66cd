//! A file as its resources: each in its own piece, so that an edit reads no more than the resource it is about.

use serde_json::Value;

use crate::domain::krm::document::{DocumentError, EditError, Limits, Node, YamlFile};

/// The pieces of a file, in order; together they are its text.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pieces: Vec<YamlFile>,
}

/// One resource in its piece.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document<'a> {
    /// The piece.
    pub(super) file: &'a YamlFile,
    /// Which document of it.
    pub(super) index: usize,
    /// Lines of the file before the piece.
    pub(super) lines_before: usize,
}

impl<'a> Document<'a> {
    /// The root of its tree.
    pub(super) fn root(self) -> Option<&'a Node> {
        self.file.documents().get(self.index)
    }

    /// The node at a path.
    pub(super) fn at(self, path: &[&str]) -> Option<&'a Node> {
        self.root()?.at(path)
    }
}

impl Parts {
    /// Reads a file; every value must be readable too.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, DocumentError> {
        let whole = YamlFile::parse(bytes, &Limits::default())?;
        whole.values()?;
        Ok(Self { pieces: whole.into_pieces() })
    }

    /// How many resources there are.
    pub(super) fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.documents().len()).sum()
    }

    /// The text of the file.
    pub(super) fn text(&self) -> String {
        self.pieces.iter().map(YamlFile::text).collect()
    }

    /// Piece, and document in it.
    fn locate(&self, index: usize) -> Option<(usize, usize)> {
        let mut left = index;
        for (piece, file) in self.pieces.iter().enumerate() {
            match left.checked_sub(file.documents().len()) {
                Some(rest) => left = rest,
                None => return Some((piece, left)),
            }
        }
        None
    }

    /// A resource.
    pub(super) fn document(&self, index: usize) -> Option<Document<'_>> {
        let (piece, index) = self.locate(index)?;
        let breaks = |file: &YamlFile| file.text().bytes().filter(|byte| *byte == b'\n').count();
        let lines_before = self.pieces[..piece].iter().map(breaks).sum();
        Some(Document { file: &self.pieces[piece], index, lines_before })
    }

    /// The value of a resource; null when there is none.
    pub(super) fn value(&self, index: usize) -> Value {
        let found = self.locate(index).and_then(|(piece, index)| self.pieces[piece].value(index).ok());
        found.unwrap_or(Value::Null)
    }

    /// Edits the piece of a resource.
    pub(super) fn edit<T: Default>(
        &mut self,
        index: usize,
        edit: impl FnOnce(&mut YamlFile, usize) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        match self.locate(index) {
            Some((piece, index)) => edit(&mut self.pieces[piece], index),
            None => Ok(T::default()),
        }
    }

    /// Takes a resource out, with its `---`.
    pub(super) fn remove(&mut self, index: usize) -> Result<bool, EditError> {
        let Some((piece, inner)) = self.locate(index) else { return Ok(false) };
        if self.pieces[piece].documents().len() > 1 {
            return self.pieces[piece].remove_document(inner);
        }
        let removed = self.pieces.remove(piece);
        // The first document has no mark of its own: the next one's goes with it.
        if piece == 0
            && !removed.text().starts_with("---")
            && let Some(rest) = self.pieces.first().and_then(|next| next.text().strip_prefix("---\n"))
        {
            self.pieces[0] = YamlFile::parse(rest.as_bytes(), &Limits::default())?;
        }
        Ok(true)
    }

    /// Adds a resource behind the others.
    pub(super) fn append(&mut self, text: &str) -> Result<(), EditError> {
        let limits = Limits::default();
        if let Some(last) = self.pieces.last_mut().filter(|last| last.documents().is_empty()) {
            return last.append_document(text);
        }
        if let Some(last) = self.pieces.last_mut().filter(|last| !last.text().ends_with('\n')) {
            *last = YamlFile::parse(format!("{}\n", last.text()).as_bytes(), &limits)?;
        }
        let mark = if self.pieces.is_empty() { "" } else { "---\n" };
        self.pieces.push(YamlFile::parse(format!("{mark}{}\n", text.trim_end()).as_bytes(), &limits)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# head\n---\n# one\na: 1\n---\n---\n# two\nb: |\n  x\n--- # three\nc: 3\n---\n# end\n";

    #[test]
    fn pieces_are_the_file() {
        let parts = Parts::read(TEXT.as_bytes()).unwrap();
        assert_eq!((parts.len(), parts.text().as_str()), (3, TEXT));
        let texts: Vec<&str> = parts.pieces.iter().map(YamlFile::text).collect();
        assert_eq!(
            texts,
            ["# head\n---\n# one\na: 1\n", "---\n---\n# two\nb: |\n  x\n", "--- # three\nc: 3\n---\n# end\n"]
        );
        let lines: Vec<usize> = (0..3)
            .map(|index| parts.document(index).map(|d| d.lines_before + d.root().unwrap().line).unwrap())
            .collect();
        assert_eq!(lines, [4, 8, 11]);
        for text in ["", "# nothing\n", "a: 1\n", "%YAML 1.2\n---\na: 1\n---\nb: 2\n", "a: 1\n...\n---\nb: 2\n"] {
            assert_eq!(Parts::read(text.as_bytes()).unwrap().text(), text);
        }
    }

    #[test]
    fn resources_come_and_go() {
        let mut parts = Parts::read(b"a: 1\n---\nb: 2\n---\nc: 3").unwrap();
        parts.append("d: 4\n\n").unwrap();
        assert_eq!(parts.text(), "a: 1\n---\nb: 2\n---\nc: 3\n---\nd: 4\n");
        assert!(parts.remove(0).unwrap() && parts.remove(1).unwrap() && !parts.remove(7).unwrap());
        assert_eq!(parts.text(), "b: 2\n---\nd: 4\n");
        assert!(parts.remove(1).unwrap() && parts.remove(0).unwrap());
        assert_eq!((parts.len(), parts.text().as_str()), (0, ""));
        parts.append("x: 1").unwrap();
        assert_eq!(parts.text(), "x: 1\n");
    }
}
