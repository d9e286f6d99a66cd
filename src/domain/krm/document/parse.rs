//! From bytes to trees.

use std::collections::BTreeMap;
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, Placement, ScalarStyle, Span, StructureStyle, Tag};

use super::lines::{line_start, mark_line};
use super::node::{Entry, Node, NodeKind};
use super::{Again, DocumentError, Limits, resolve};

fn error(code: &'static str, line: usize, column: usize, message: impl Into<String>) -> DocumentError {
    DocumentError::new(code, (line, column), message)
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

/// What becomes of a key that a map has already.
#[derive(Debug)]
pub(super) enum Repeats<'a> {
    /// The file is refused.
    Refused,
    /// It is noted, and both stay.
    Noted(&'a mut Vec<Again>),
}

/// Parses all documents and the comments at line ends.
pub(super) fn documents(
    text: &str,
    limits: &Limits,
    repeats: Repeats<'_>,
) -> Result<(Vec<Node>, Comments), DocumentError> {
    let parser = Parser::new_from_str_with_options(text, Options::default());
    let mut builder = Builder {
        text,
        limits,
        events: parser,
        anchors: BTreeMap::new(),
        height: 0,
        read: 0,
        comments: Comments::new(),
        depth: 0,
        braces: 0,
        nodes: 0,
        aliases: 0,
        repeats,
    };
    let (mut documents, mut begun) = (Vec::new(), 0);
    while let Some((event, span)) = builder.next()? {
        if !matches!(event, Event::DocumentStart(..)) {
            continue;
        }
        begun += 1;
        builder.anchors.clear();
        let (event, span) = builder.expect_next(&span)?;
        let root = builder.node(event, span)?;
        let empty =
            matches!(&root.kind, NodeKind::Scalar { text, plain: true, tag: None, .. } if resolve::is_null(text));
        if !empty {
            documents.push(root);
        }
        if begun > limits.documents {
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
    /// Nodes with an anchor, and how many levels each has.
    anchors: BTreeMap<usize, (Arc<Node>, usize)>,
    /// How many levels the node has that was read last, aliases followed.
    height: usize,
    /// How many bytes the events take that came so far.
    read: usize,
    comments: Comments,
    depth: usize,
    /// How many `[` and `{` are open.
    braces: usize,
    nodes: usize,
    aliases: usize,
    repeats: Repeats<'a>,
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
                Some(Ok((event, span))) => {
                    self.read = self.read.max(byte(&span.end));
                    return Ok(Some((event, span)));
                }
            }
        }
    }

    fn expect_next(&mut self, at: &Span) -> Result<(Event<'a>, Span), DocumentError> {
        self.next()?.ok_or_else(|| self::at("yaml.syntax", at, "the document ends too early"))
    }

    fn syntax(&self, scan: &granit_parser::ScanError) -> DocumentError {
        let (line, column) = (scan.marker().line(), scan.marker().col() + 1);
        if (scan.info().contains("quoted scalar") || scan.info().contains("unclosed quote"))
            && let Some((start, opened)) = self.open_quote(byte(scan.marker()))
        {
            let message = format!("the quote that opens here is not closed: {} on line {line}", scan.info());
            return error("yaml.syntax", start, opened, message);
        }
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
        if code == "yaml.depth_limit" {
            return error(code, line, column, format!("it is nested deeper than {}", self.limits.depth));
        }
        error(code, line, column, format!("{info}{hint}"))
    }

    /// Line and column of the first quote behind what was read that is not closed before a place; comments are left
    /// out.
    fn open_quote(&self, until: usize) -> Option<(usize, usize)> {
        let mut at = self.read;
        let mut last = ' ';
        while let Some(letter) = self.text.get(at..)?.chars().next() {
            let rest = &self.text[at..];
            let length = match letter {
                '#' if last.is_whitespace() => rest.find('\n').unwrap_or(rest.len()),
                '"' | '\'' => match quoted(rest).filter(|length| at + length <= until) {
                    Some(length) => length,
                    None => return Some(place_of(self.text, at)),
                },
                other => other.len_utf8(),
            };
            last = letter;
            at += length;
        }
        None
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, DocumentError> {
        self.depth += 1;
        if self.depth > self.limits.depth {
            let message = format!("it is nested deeper than {}", self.limits.depth);
            return Err(at("yaml.depth_limit", &span, message));
        }
        self.spend(1, &span)?;
        self.refuse_tabs(&span)?;
        let node = match event {
            Event::Scalar(text, style, anchor, tag) => {
                if style == ScalarStyle::DoubleQuoted {
                    self.refuse_surrogates(&span)?;
                }
                let text = self.as_written(text.into_owned(), style, &span);
                self.note_behind_mark(style, &span);
                let kind = scalar(text, style, tag.as_deref(), &span)?;
                self.height = 1;
                let node = self.ended(place(kind, &span, &span));
                self.anchored(anchor, node, &span)?
            }
            Event::SequenceStart(style, anchor, tag) => {
                refuse_tag(tag.as_deref(), "seq", &span)?;
                let node = self.braced(style, |builder, flow| builder.sequence(flow, &span))?;
                self.anchored(anchor, node, &span)?
            }
            Event::MappingStart(style, anchor, tag) => {
                refuse_tag(tag.as_deref(), "map", &span)?;
                let node = self.braced(style, |builder, flow| builder.mapping(flow, &span))?;
                self.anchored(anchor, node, &span)?
            }
            Event::Alias(id) => self.alias(id, &span)?,
            _ => return Err(at("yaml.syntax", &span, "a value is missing")),
        };
        self.depth -= 1;
        Ok(node)
    }

    fn alias(&mut self, id: usize, span: &Span) -> Result<Node, DocumentError> {
        self.aliases += 1;
        if self.aliases > self.limits.aliases {
            let message = format!("there are more than {} aliases", self.limits.aliases);
            return Err(at("yaml.alias_limit", span, message));
        }
        let unknown = at("yaml.alias", span, "the alias has no anchor before it");
        let (target, height) = self.anchors.get(&id).cloned().ok_or(unknown)?;
        if self.depth + height > self.limits.depth + 1 {
            let message = format!("with what it stands for, it is nested deeper than {}", self.limits.depth);
            return Err(at("yaml.depth_limit", span, message));
        }
        self.height = height;
        Ok(place(NodeKind::Alias(target), span, span))
    }

    fn braced(
        &mut self,
        style: StructureStyle,
        read: impl FnOnce(&mut Self, bool) -> Result<Node, DocumentError>,
    ) -> Result<Node, DocumentError> {
        let flow = style == StructureStyle::Flow;
        self.braces += usize::from(flow);
        let node = read(self, flow)?;
        self.braces -= usize::from(flow);
        Ok(node)
    }

    fn spend(&mut self, nodes: usize, span: &Span) -> Result<(), DocumentError> {
        self.nodes += nodes;
        if self.nodes > self.limits.nodes {
            let message = format!("the file has more than {} values, anchored ones counted twice", self.limits.nodes);
            return Err(at("yaml.node_limit", span, message));
        }
        Ok(())
    }

    /// Tabs do not indent. The parser lets them pass where nothing depends on their width; Kubernetes does not.
    fn refuse_tabs(&self, span: &Span) -> Result<(), DocumentError> {
        let start = byte(&span.start).min(self.text.len());
        let before = &self.text[line_start(self.text, start)..start];
        let indents = self.braces == 0 && span.start != span.end && before.trim().is_empty();
        if indents && before.contains('\t') {
            return Err(at("yaml.syntax", span, "a tab indents it; indent with spaces, not tabs"));
        }
        Ok(())
    }

    /// Half a character is none. The parser puts two halves together; Kubernetes does not.
    fn refuse_surrogates(&self, span: &Span) -> Result<(), DocumentError> {
        let written = self.text.get(byte(&span.start)..byte(&span.end)).unwrap_or_default();
        let mut rest = written;
        while let Some((_, escape)) = rest.split_once('\\') {
            let digits = match escape.as_bytes().first() {
                Some(b'u') => escape.get(1..5),
                Some(b'U') => escape.get(1..9),
                _ => None,
            };
            let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
            if code.is_some_and(|code| (0xD800..0xE000).contains(&code)) {
                let message =
                    "found invalid Unicode character escape code: half of a surrogate pair; write the character";
                return Err(at("yaml.syntax", span, message));
            }
            rest = escape.get(1..).unwrap_or_default();
        }
        Ok(())
    }

    /// A text of several lines whose last line has no line break has none at its end either: the parser adds one.
    fn as_written(&self, mut text: String, style: ScalarStyle, span: &Span) -> String {
        let block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        if block && byte(&span.end) >= self.text.len() && text.ends_with('\n') && is_cut_off(self.text, span.indent) {
            text.pop();
        }
        text
    }

    /// Behind the mark that a text of several lines begins with, the parser tells of no comment.
    fn note_behind_mark(&mut self, style: ScalarStyle, span: &Span) {
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            let (head, line) = mark_line(self.text, byte(&span.start), span.start.line());
            let behind = |at| head[at..].trim_start_matches(|c: char| "|>+-".contains(c) || c.is_ascii_digit());
            let mut notes =
                head.match_indices(['|', '>']).filter_map(|(at, _)| behind(at).trim_start().strip_prefix('#'));
            if let Some(note) = notes.next() {
                self.comments.insert(line, note.trim().to_owned());
            }
        }
    }

    /// A text of several lines ends behind its last line break: the parser reads on to where the next line begins.
    fn ended(&self, mut node: Node) -> Node {
        if let NodeKind::Scalar { block: true, .. } = node.kind
            && let Some(text) = self.text.get(node.span.clone())
        {
            let behind = text.len() - text.trim_end_matches(' ').len();
            if behind > 0 && text[..text.len() - behind].ends_with('\n') {
                node.span.end -= behind;
                node.last_line -= usize::from(node.last_line > node.line);
            }
        }
        node
    }

    fn anchored(&mut self, anchor: usize, node: Node, span: &Span) -> Result<Node, DocumentError> {
        if anchor > 0 {
            self.spend(size(&node), span)?;
            self.anchors.insert(anchor, (Arc::new(node.clone()), self.height));
        }
        Ok(node)
    }

    fn sequence(&mut self, flow: bool, start: &Span) -> Result<Node, DocumentError> {
        let (mut items, mut tallest) = (Vec::new(), 0);
        loop {
            let (event, span) = self.expect_next(start)?;
            if event == Event::SequenceEnd {
                self.height = tallest + 1;
                return Ok(place(NodeKind::Sequence { items, flow }, start, &span));
            }
            let item = self.node(event, span).map_err(|error| error.below(&format!("[{}]", items.len())))?;
            tallest = tallest.max(self.height);
            items.push(item);
        }
    }

    fn mapping(&mut self, flow: bool, start: &Span) -> Result<Node, DocumentError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut tallest = 0;
        loop {
            let (event, span) = self.expect_next(start)?;
            if event == Event::MappingEnd {
                self.height = tallest + 1;
                return Ok(place(NodeKind::Mapping { entries, flow }, start, &span));
            }
            let key_node = self.node(event, span)?;
            let key = resolve::key(&key_node)?;
            let first = seen.insert(key.clone(), key_node.line);
            if let (Some(first), Repeats::Refused) = (first, &self.repeats) {
                let message = format!("key {key:?} is written twice: on lines {first} and {}", key_node.line);
                return Err(error("yaml.duplicate_key", key_node.line, key_node.column, message));
            }
            let (event, span) = self.expect_next(&span).map_err(|error| error.below(&key))?;
            let value = self.node(event, span).map_err(|error| error.below(&key))?;
            if let (Some(_), Repeats::Noted(noted)) = (first, &mut self.repeats) {
                noted.push(Again { line: value.line, key: resolve::shown_key(&key_node) });
            }
            tallest = tallest.max(self.height);
            entries.push(Entry { key, key_node, value });
        }
    }
}

/// How many bytes a quoted text takes that begins here; `None` when it does not end.
fn quoted(text: &str) -> Option<usize> {
    let mut letters = text.char_indices();
    let (_, quote) = letters.next()?;
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' if quote == '"' => drop(letters.next()),
            '\'' if quote == '\'' && text[at + 1..].starts_with('\'') => drop(letters.next()),
            letter if letter == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Line and column of a byte.
fn place_of(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
    (before.matches('\n').count() + 1, column)
}

fn at(code: &'static str, span: &Span, message: impl Into<String>) -> DocumentError {
    error(code, span.start.line(), span.start.col() + 1, message)
}

fn byte(marker: &granit_parser::Marker) -> usize {
    marker.byte_offset().unwrap_or_else(|| marker.index())
}

/// Whether the last line of a file is one of the text of several lines that ends with it, and not only blanks behind
/// it.
fn is_cut_off(file: &str, indent: Option<usize>) -> bool {
    let last = file.rsplit('\n').next().unwrap_or_default();
    match indent {
        Some(indent) => !last.trim().is_empty() || last.len() > indent,
        // All of it is blank: its lines are those behind its header.
        None => !last.is_empty() && file[file.trim_end().len()..].matches('\n').count() == 1,
    }
}

/// Nodes that a copy of the node has.
fn size(node: &Node) -> usize {
    match &node.kind {
        NodeKind::Sequence { items, .. } => 1 + items.iter().map(size).sum::<usize>(),
        NodeKind::Mapping { entries, .. } => 1 + entries.iter().map(|entry| 1 + size(&entry.value)).sum::<usize>(),
        NodeKind::Scalar { .. } | NodeKind::Alias(_) => 1,
    }
}

fn place(kind: NodeKind, start: &Span, end: &Span) -> Node {
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
    let (whole, name, core) = parts_of(tag);
    match name.as_str() {
        "" if !core => Ok(Some("str".to_owned())),
        "str" | "int" | "float" | "bool" | "null" | "binary" | "timestamp" if core => Ok(Some(name)),
        _ => Err(at("yaml.tag_not_allowed", span, format!("tag {whole} is not allowed"))),
    }
}

/// A tag as it is written, its last part, and whether it is one of YAML itself.
fn parts_of(tag: &Tag) -> (String, String, bool) {
    let whole = tag.to_string();
    let name = whole.rsplit([':', '!']).next().unwrap_or_default().to_owned();
    let core = whole.contains("yaml.org,2002:") || whole.starts_with("!!");
    (whole, name, core)
}

/// Maps and lists have no tag but their own.
fn refuse_tag(tag: Option<&Tag>, own: &str, span: &Span) -> Result<(), DocumentError> {
    match tag.map(parts_of) {
        Some((whole, name, core)) if !core || name != own => {
            Err(at("yaml.tag_not_allowed", span, format!("tag {whole} is not allowed")))
        }
        _ => Ok(()),
    }
}
