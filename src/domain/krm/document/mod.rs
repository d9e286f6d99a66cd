//! YAML as Kubernetes reads it, with positions, and edited without touching a byte that was not meant.
//!
//! The event parser comes from a library; what the events mean is decided here, because it must be what the Go decoder
//! of Kubernetes makes of them: YAML 1.1 booleans, octal and underscored numbers, merge keys, duplicate keys refused.

mod edit;
mod emit;
mod lines;
mod manner;
mod node;
mod parse;
mod remark;
mod reshape;
mod resolve;
mod spell;
mod split;

use serde_json::Value;

pub use edit::EditError;
pub use emit::{scalar_text, to_yaml};
pub use lines::{line_end, line_start};
pub use manner::like;
pub use node::{Entry, Node, NodeKind};
use parse::Repeats;
pub use spell::{Scalar, closed, disputed_boolean, is_typed_by_chance};

/// How much a file may ask of us. Never unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a file. Default 4 MiB.
    pub bytes: usize,
    /// Documents in a file. Default 10,000.
    pub documents: usize,
    /// Nesting of maps and lists, the scalar in them included. Default 64.
    pub depth: usize,
    /// Nodes of a file as it is written, and of a document once aliases are followed. Default 1,000,000.
    pub nodes: usize,
    /// Aliases in a file. Default 10,000.
    pub aliases: usize,
}

impl Limits {
    /// For files that hold whole sets of definitions: 16 MiB, depth 128, 4,000,000 nodes. The API server stores at most
    /// 1.5 MiB an object, but projects ship all their CRDs in one file.
    pub const DEFINITIONS: Self =
        Self { bytes: 16 << 20, documents: 10_000, depth: 128, nodes: 4_000_000, aliases: 10_000 };

    /// [`Limits::DEFINITIONS`] for a file that speaks of a `CustomResourceDefinition`, the default for all others.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        const KIND: &[u8] = b"CustomResourceDefinition";
        if bytes.windows(KIND.len()).any(|window| window == KIND) { Self::DEFINITIONS } else { Self::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 4 << 20, documents: 10_000, depth: 64, nodes: 1_000_000, aliases: 10_000 }
    }
}

/// Why a file cannot be read; `line` and `column` count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {code}: {message}")]
pub struct DocumentError {
    /// Stable code, such as `yaml.duplicate_key`.
    pub code: &'static str,
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
    /// What is wrong, and what to do; it names the path.
    pub message: String,
    /// The field that was being read, such as `spec.containers[0].image`; of a key that is written twice, the map that
    /// holds it. Empty for the document itself.
    pub path: String,
}

impl DocumentError {
    fn new(code: &'static str, (line, column): (usize, usize), message: impl Into<String>) -> Self {
        Self { code, line, column, message: message.into(), path: String::new() }
    }

    /// The same error, seen from one step up: `name` or `[0]`.
    fn below(mut self, step: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{step}{dot}{}", self.path);
        self
    }

    /// With the path in the message, once all of it is known.
    fn told(mut self) -> Self {
        if !self.path.is_empty() {
            self.message = format!("{} (in {})", self.message, self.path);
        }
        self
    }
}

/// A key that its map has already, where it is written again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// Line on which the value begins, from 1.
    pub line: usize,
    /// The key as the decoder of Go shows it: a text in quotes.
    pub key: String,
}

impl std::fmt::Display for Again {
    /// In the words of the decoder of Go, `sigs.k8s.io/yaml`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: key {} already set in map", self.line, self.key)
    }
}

/// A YAML (or JSON) file: its text, and its documents as trees of positions into it.
#[derive(Debug, Clone)]
pub struct YamlFile {
    text: String,
    documents: Vec<Node>,
    comments: std::collections::BTreeMap<usize, String>,
    limits: Limits,
}

impl YamlFile {
    /// Reads a file. Empty documents are skipped, as the API machinery does.
    ///
    /// # Errors
    /// [`DocumentError`] with line and column.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, DocumentError> {
        let text = parse::text_of(bytes, limits)?;
        let read = parse::documents(&text, limits, Repeats::Refused);
        let (documents, comments) = read.map_err(DocumentError::told)?;
        Ok(Self { text, documents, comments, limits: *limits })
    }

    /// Reads a file as decoders do that are not strict: of a key that is written twice the last value counts. Gives
    /// each key that is written again, in the order in which Go's decoder tells them: what is in a value before its
    /// key.
    ///
    /// # Errors
    /// As [`YamlFile::parse`], but for keys that are written twice.
    pub fn parse_leniently(bytes: &[u8], limits: &Limits) -> Result<(Self, Vec<Again>), DocumentError> {
        let text = parse::text_of(bytes, limits)?;
        let mut again = Vec::new();
        let read = parse::documents(&text, limits, Repeats::Noted(&mut again));
        let (documents, comments) = read.map_err(DocumentError::told)?;
        Ok((Self { text, documents, comments, limits: *limits }, again))
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The documents in order.
    #[must_use]
    pub fn documents(&self) -> &[Node] {
        &self.documents
    }

    /// Comment at the end of `line` (from 1), without `#` and outer spaces.
    #[must_use]
    pub fn comment(&self, line: usize) -> Option<&str> {
        self.comments.get(&line).map(String::as_str)
    }

    /// Comment behind a scalar; of a text of several lines, behind the mark that it begins with.
    #[must_use]
    pub fn comment_of(&self, node: &Node) -> Option<&str> {
        let is_block = matches!(node.kind, NodeKind::Scalar { block: true, .. });
        let line = if is_block { lines::mark_line(&self.text, node.span.start, node.line).1 } else { node.last_line };
        self.comment(line)
    }

    /// The document's value as JSON.
    ///
    /// # Errors
    /// [`DocumentError`] when aliases grow beyond the limit or a merge key holds no map.
    pub fn value(&self, document: usize) -> Result<Value, DocumentError> {
        let Some(node) = self.documents.get(document) else { return Ok(Value::Null) };
        resolve::value(node, self.limits.nodes).map_err(DocumentError::told)
    }

    /// A document as JSON as kpt reads it, for whom `y`, `no`, `on` and their like are texts, also as keys.
    ///
    /// # Errors
    /// As [`YamlFile::value`].
    pub fn value_of_kpt(&self, document: usize) -> Result<Value, DocumentError> {
        let Some(node) = self.documents.get(document) else { return Ok(Value::Null) };
        resolve::value_of_kpt(node, self.limits.nodes).map_err(DocumentError::told)
    }

    /// All documents as JSON.
    ///
    /// # Errors
    /// As [`YamlFile::value`].
    pub fn values(&self) -> Result<Vec<Value>, DocumentError> {
        (0..self.documents.len()).map(|document| self.value(document)).collect()
    }
}

/// Reads all documents of a file as JSON with the line that each begins on.
///
/// # Errors
/// [`DocumentError`] with line and column.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<(usize, Value)>, DocumentError> {
    let file = YamlFile::parse(bytes, limits)?;
    file.values().map(|values| file.documents.iter().map(|node| node.line).zip(values).collect())
}

#[cfg(test)]
mod tests;
