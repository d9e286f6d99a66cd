//! A file as its resources: each in its own piece, so that an edit reads no more than the resource it is about.

use serde_json::Value;

use crate::domain::krm::document::{DocumentError, EditError, Limits, Node, YamlFile, closed, like, to_yaml};
use crate::domain::source::{File, FileTree};

/// Mark at the beginning of a text, which JSON does not allow.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// The pieces of a file, in order; together they are its text.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pieces: Vec<Piece>,
    /// Whether the pieces are JSON as it was found; an edit makes YAML of them.
    is_json: bool,
}

/// A piece, and what is asked of all of them often.
#[derive(Debug, Clone)]
struct Piece {
    file: YamlFile,
    documents: usize,
    lines: usize,
}

fn breaks(file: &YamlFile) -> usize {
    file.text().bytes().filter(|byte| *byte == b'\n').count()
}

impl Piece {
    fn new(file: YamlFile) -> Self {
        Self { documents: file.documents().len(), lines: breaks(&file), file }
    }

    fn parse(text: &str) -> Result<Self, EditError> {
        Ok(Self::new(YamlFile::parse(text.as_bytes(), &Limits::of(text.as_bytes()))?))
    }

    fn edit<T>(&mut self, edit: impl FnOnce(&mut YamlFile) -> Result<T, EditError>) -> Result<T, EditError> {
        let done = edit(&mut self.file)?;
        self.documents = self.file.documents().len();
        self.lines = breaks(&self.file);
        Ok(done)
    }
}

/// A file with another text, in the manner of the old one.
pub(super) fn rewritten(old: &File, text: &str) -> File {
    File { mode: old.mode, bytes: like(&old.bytes, text).into() }
}

/// Puts another text in the place of a file of a tree, in the manner of the old one.
pub(super) fn rewrite(tree: &mut FileTree, path: &str, old: &File, text: &str) {
    // The path was in a tree, or is a constant that is allowed.
    let _ = tree.insert(path, rewritten(old, text));
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
        let whole = YamlFile::parse(bytes, &Limits::of(bytes))?;
        whole.values()?;
        Ok(Self { pieces: whole.into_pieces().into_iter().map(Piece::new).collect(), is_json: false })
    }

    /// Reads a file of JSON, which is YAML but for some escapes of characters; several values may stand in it as
    /// documents do.
    pub(super) fn read_json(bytes: &[u8]) -> Result<Self, DocumentError> {
        let exact: Option<Value> = serde_json::from_slice(bytes.strip_prefix(BOM).unwrap_or(bytes)).ok();
        let found = match (Self::read(bytes), exact) {
            (Ok(found), Some(exact)) if found.value(0) != exact => Self::read(to_yaml(&exact).as_bytes())?,
            (Err(error), Some(exact)) if error.code == "yaml.syntax" => Self::read(to_yaml(&exact).as_bytes())?,
            (found, _) => found?,
        };
        Ok(Self { is_json: true, ..found })
    }

    /// The text of a resource, as YAML; empty when there is none.
    pub(super) fn document_text(&self, index: usize) -> String {
        match self.document(index) {
            Some(_) if self.is_json => to_yaml(&self.value(index)),
            Some(found) => found.file.document_text(found.index).to_owned(),
            None => String::new(),
        }
    }

    /// JSON has no comments and another shape than what is put into it.
    fn made_yaml(&mut self) -> Result<(), EditError> {
        if self.is_json {
            let texts: Vec<String> = (0..self.len()).map(|index| to_yaml(&self.value(index))).collect();
            *self = Self::read(texts.join("---\n").as_bytes())?;
        }
        Ok(())
    }

    /// How many resources there are.
    pub(super) fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.documents).sum()
    }

    /// The text of the file.
    pub(super) fn text(&self) -> String {
        self.pieces.iter().map(|piece| piece.file.text()).collect()
    }

    /// Bytes of the piece that a resource is in.
    pub(super) fn size(&self, index: usize) -> usize {
        self.locate(index).map_or(0, |(piece, _)| self.pieces[piece].file.text().len())
    }

    /// Piece, and document in it.
    fn locate(&self, index: usize) -> Option<(usize, usize)> {
        let mut left = index;
        for (at, piece) in self.pieces.iter().enumerate() {
            match left.checked_sub(piece.documents) {
                Some(rest) => left = rest,
                None => return Some((at, left)),
            }
        }
        None
    }

    /// A resource.
    pub(super) fn document(&self, index: usize) -> Option<Document<'_>> {
        let (piece, index) = self.locate(index)?;
        let lines_before = self.pieces[..piece].iter().map(|piece| piece.lines).sum();
        Some(Document { file: &self.pieces[piece].file, index, lines_before })
    }

    /// Which resource a line is of, from 1: the last that begins before it.
    pub(super) fn at_line(&self, line: usize) -> Option<usize> {
        let (mut lines, mut documents, mut found) = (0, 0, None);
        for piece in &self.pieces {
            let begun = piece.file.documents().iter().take_while(|root| lines + root.line <= line).count();
            found = (begun > 0).then(|| documents + begun - 1).or(found);
            lines += piece.lines;
            documents += piece.documents;
            if lines >= line {
                break;
            }
        }
        found
    }

    /// The value of a resource; null when there is none.
    pub(super) fn value(&self, index: usize) -> Value {
        let found = self.locate(index).and_then(|(piece, index)| self.pieces[piece].file.value(index).ok());
        found.unwrap_or(Value::Null)
    }

    /// The value of a resource as kpt reads it; null when there is none.
    pub(super) fn value_of_kpt(&self, index: usize) -> Value {
        let found = self.locate(index).and_then(|(piece, index)| self.pieces[piece].file.value_of_kpt(index).ok());
        found.unwrap_or(Value::Null)
    }

    /// Edits the piece of a resource.
    pub(super) fn edit<T: Default>(
        &mut self,
        index: usize,
        edit: impl FnOnce(&mut YamlFile, usize) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        self.made_yaml()?;
        match self.locate(index) {
            Some((piece, index)) => self.pieces[piece].edit(|file| edit(file, index)),
            None => Ok(T::default()),
        }
    }

    /// Takes a resource out, with its `---`.
    pub(super) fn remove(&mut self, index: usize) -> Result<bool, EditError> {
        self.made_yaml()?;
        let Some((piece, inner)) = self.locate(index) else { return Ok(false) };
        if self.pieces[piece].documents > 1 {
            return self.pieces[piece].edit(|file| file.remove_document(inner));
        }
        let removed = self.pieces.remove(piece);
        // The first document has no mark of its own: the next one's goes with it.
        if piece == 0
            && !removed.file.text().starts_with("---")
            && let Some((mark, rest)) = self.pieces.first().and_then(|next| next.file.text().split_once('\n'))
            && mark.trim_end() == "---"
        {
            self.pieces[0] = Piece::parse(rest)?;
        }
        Ok(true)
    }

    /// Adds a resource behind the others.
    pub(super) fn append(&mut self, text: &str) -> Result<(), EditError> {
        self.made_yaml()?;
        if let Some(last) = self.pieces.last_mut().filter(|last| last.documents == 0) {
            return last.edit(|file| file.append_document(text));
        }
        if let Some(last) = self.pieces.last_mut().filter(|last| !last.file.text().ends_with('\n')) {
            *last = Piece::parse(&format!("{}\n", last.file.text()))?;
        }
        let mark = if self.pieces.is_empty() { "" } else { "---\n" };
        self.pieces.push(Piece::parse(&format!("{mark}{}", closed(text, &Limits::of(text.as_bytes()))))?);
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
        let texts: Vec<&str> = parts.pieces.iter().map(|piece| piece.file.text()).collect();
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
    fn lines_are_of_resources() {
        let parts = Parts::read(TEXT.as_bytes()).unwrap();
        let found: Vec<Option<usize>> = [1, 3, 4, 7, 8, 10, 11, 13].map(|line| parts.at_line(line)).to_vec();
        assert_eq!(found, [None, None, Some(0), Some(0), Some(1), Some(1), Some(2), Some(2)]);
    }

    #[test]
    fn definitions_may_be_deeper_than_anything_else() {
        let deep = |kind: &str| format!("kind: {kind}\nspec: {}1{}\n", "[".repeat(100), "]".repeat(100));
        assert_eq!(Parts::read(deep("CustomResourceDefinition").as_bytes()).unwrap().len(), 1);
        let refused = Parts::read(deep("ConfigMap").as_bytes()).unwrap_err();
        assert_eq!(refused.code, "yaml.depth_limit");
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
