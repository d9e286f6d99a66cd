//! From bytes to trees.

use std::collections::BTreeMap;
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, Placement, ScalarStyle, Span, StructureStyle, Tag};

use super::node::{Entry, Node, NodeKind};
use super::{DocumentError, Limits, resolve};

fn error(code: &'static str, line: usize, column: usize, message: impl Into<String>) -> DocumentError {
    DocumentError { code, line, column, message: message.into() }
}

/// Checks size and encoding.
pub(super) fn text_of(bytes: &[u8], limits: &Limits) -> Result<String, DocumentError> {
    if bytes.len() > limits.bytes {
        let message = format!("the file has {} bytes; the limit is {}", bytes.len(), limits.bytes);
        return Err(error("yaml.size_limit", 1, 1, message));
    }
    let utf16 =
        bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) || bytes.iter().take(64).any(|b| *b == 0);
    if utf16 {
        return Err(error("yaml.encoding", 1, 1, "the file is not UTF-8 (UTF-16?); save it as UTF-8"));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(bad) => {
            let before = &bytes[..bad.valid_up_to()];
            let line = before.split(|byte| *byte == b'\n').count();
            let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            Err(error("yaml.encoding", line, column, format!("byte {} is not UTF-8", bad.valid_up_to())))
        }
    }
}

type Comments = BTreeMap<usize, String>;

/// Parses all documents and the comments at line ends.
pub(super) fn documents(text: &str, limits: &Limits) -> Result<(Vec<Node>, Comments), DocumentError> {
    let parser = Parser::new_from_str_with_options(text, Options::default());
    let mut builder =
        Builder { text, limits, events: parser, anchors: BTreeMap::new(), comments: Comments::new(), depth: 0 };
    let mut documents = Vec::new();
    while let Some((event, span)) = builder.next()? {
        if !matches!(event, Event::DocumentStart(..)) {
            continue;
        }
        builder.anchors.clear();
        let (event, span) = builder.expect_next(&span)?;
        let root = builder.node(event, span)?;
        let empty = matches!(&root.kind, NodeKind::Scalar { text, plain: true, .. } if resolve::is_null(text));
        if !empty {
            documents.push(root);
        }
        if documents.len() > limits.documents {
            let message = format!("there are more than {} documents", limits.documents);
            return Err(error("yaml.document_limit", span.start.line(), 1, message));
        }
    }
    Ok((documents, builder.comments))
}

struct Builder<'a> {
    text: &'a str,
    limits: &'a Limits,
    events: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: BTreeMap<usize, Arc<Node>>,
    comments: Comments,
    depth: usize,
}

impl<'a> Builder<'a> {
    /// The next event that is not a comment.
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, DocumentError> {
        loop {
            match self.events.next_event() {
                None => return Ok(None),
                Some(Err(scan)) => return Err(self.syntax(&scan)),
                Some(Ok((Event::Comment(text, placement), span))) => {
                    if placement == Placement::Right {
                        self.comments.insert(span.start.line(), text.trim().to_owned());
                    }
                }
                Some(Ok(event)) => return Ok(Some(event)),
            }
        }
    }

    fn expect_next(&mut self, at: &Span) -> Result<(Event<'a>, Span), DocumentError> {
        let cut = error("yaml.syntax", at.start.line(), at.start.col() + 1, "the document ends too early");
        self.next()?.ok_or(cut)
    }

    fn syntax(&self, scan: &granit_parser::ScanError) -> DocumentError {
        let (line, column) = (scan.marker().line(), scan.marker().col() + 1);
        let written = self.text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let indented_by_tab = written.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t');
        let hint = if indented_by_tab { "; indent with spaces, not tabs" } else { "" };
        let info = scan.info();
        let code = if info.contains("alias") || info.contains("anchor") {
            "yaml.alias"
        } else if info.contains("nesting") || info.contains("recursion") {
            "yaml.depth_limit"
        } else {
            "yaml.syntax"
        };
        error(code, line, column, format!("{info}{hint}"))
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, DocumentError> {
        self.depth += 1;
        if self.depth > self.limits.depth {
            let message = format!("it is nested deeper than {}", self.limits.depth);
            return Err(error("yaml.depth_limit", span.start.line(), span.start.col() + 1, message));
        }
        let node = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let kind = scalar(text.into_owned(), style, tag.as_deref(), &span)?;
                self.anchored(anchor, place(kind, &span, &span))
            }
            Event::SequenceStart(style, anchor, tag) => {
                refuse_tag(tag.as_deref(), "seq", &span)?;
                let node = self.sequence(style == StructureStyle::Flow, &span)?;
                self.anchored(anchor, node)
            }
            Event::MappingStart(style, anchor, tag) => {
                refuse_tag(tag.as_deref(), "map", &span)?;
                let node = self.mapping(style == StructureStyle::Flow, &span)?;
                self.anchored(anchor, node)
            }
            Event::Alias(id) => {
                let unknown =
                    error("yaml.alias", span.start.line(), span.start.col() + 1, "the alias has no anchor before it");
                let target = self.anchors.get(&id).cloned().ok_or(unknown)?;
                place(NodeKind::Alias(target), &span, &span)
            }
            _ => return Err(error("yaml.syntax", span.start.line(), span.start.col() + 1, "a value is missing")),
        };
        self.depth -= 1;
        Ok(node)
    }

    fn anchored(&mut self, anchor: usize, node: Node) -> Node {
        if anchor > 0 {
            self.anchors.insert(anchor, Arc::new(node.clone()));
        }
        node
    }

    fn sequence(&mut self, flow: bool, start: &Span) -> Result<Node, DocumentError> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.expect_next(start)?;
            if event == Event::SequenceEnd {
                return Ok(place(NodeKind::Sequence { items, flow }, start, &span));
            }
            items.push(self.node(event, span)?);
        }
    }

    fn mapping(&mut self, flow: bool, start: &Span) -> Result<Node, DocumentError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        loop {
            let (event, span) = self.expect_next(start)?;
            if event == Event::MappingEnd {
                return Ok(place(NodeKind::Mapping { entries, flow }, start, &span));
            }
            let key_node = self.node(event, span)?;
            let key = resolve::key(&key_node)?;
            if let Some(first) = seen.insert(key.clone(), key_node.line) {
                let message = format!("key {key:?} is written twice: on lines {first} and {}", key_node.line);
                return Err(error("yaml.duplicate_key", key_node.line, key_node.column, message));
            }
            let (event, span) = self.expect_next(&span)?;
            let value = self.node(event, span)?;
            entries.push(Entry { key, key_node, value });
        }
    }
}

fn place(kind: NodeKind, start: &Span, end: &Span) -> Node {
    let byte = |marker: &granit_parser::Marker| marker.byte_offset().unwrap_or_else(|| marker.index());
    let span = byte(&start.start)..byte(&end.end).max(byte(&start.start));
    // A block collection's end event has no bytes of its own; an absent value neither.
    let last_line =
        if end.end.col() == 0 && end.end.line() > start.start.line() { end.end.line() - 1 } else { end.end.line() };
    Node { kind, span, line: start.start.line(), column: start.start.col() + 1, last_line }
}

fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>, span: &Span) -> Result<NodeKind, DocumentError> {
    let tag = tag.map(|tag| core_tag(tag, span)).transpose()?.flatten();
    let plain = style == ScalarStyle::Plain;
    let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    Ok(NodeKind::Scalar { text, plain, block, tag })
}

/// `str`, `int`, `float`, `bool`, `null`, `binary`; `!` means text. Everything else could make a reader run code.
fn core_tag(tag: &Tag, span: &Span) -> Result<Option<String>, DocumentError> {
    let whole = tag.to_string();
    let name = whole.rsplit([':', '!']).next().unwrap_or_default().to_owned();
    let core = whole.contains("yaml.org,2002:") || whole.starts_with("!!");
    match name.as_str() {
        "" if !core => Ok(Some("str".to_owned())),
        "str" | "int" | "float" | "bool" | "null" | "binary" | "timestamp" if core => Ok(Some(name)),
        _ => Err(error(
            "yaml.tag_not_allowed",
            span.start.line(),
            span.start.col() + 1,
            format!("tag {whole} is not allowed"),
        )),
    }
}

fn refuse_tag(tag: Option<&Tag>, own: &str, span: &Span) -> Result<(), DocumentError> {
    match tag {
        Some(tag) if !tag.to_string().ends_with(own) => Err(error(
            "yaml.tag_not_allowed",
            span.start.line(),
            span.start.col() + 1,
            format!("tag {tag} is not allowed"),
        )),
        _ => Ok(()),
    }
}
