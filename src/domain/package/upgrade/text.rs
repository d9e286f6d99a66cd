//! Writing what was decided: the text of the local package with the text of the new version put in where it won.
//! Comments follow the new version where only that changed them; all other bytes of the local package stay.
//!
//! A map or list in block style is cut into blocks, one for each entry, with the comments above it. Whatever is not
//! written that way (braces, aliases) is edited as a value. In the end the text is read: it has to mean what was
//! decided.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::edits::bring;
use super::super::kin::kin;
use super::fields::{Item, Pick, picked};
use crate::domain::krm::document::{Entry, Limits, Node, NodeKind, YamlFile, line_end, line_start, to_yaml};
use crate::domain::krm::value::same;

/// A part of a document: its node and what it means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    text: &'a str,
    node: &'a Node,
    value: &'a Value,
    /// Byte before which no line belongs to its first entry.
    floor: usize,
}

/// An entry or item as it is written: the lines above it, and from its first to its last byte.
#[derive(Debug, Clone, PartialEq)]
struct Block {
    head: String,
    body: String,
    /// Column of the body's first byte, from 0.
    column: usize,
}

/// Something in three versions.
#[derive(Debug, Clone, Copy)]
struct Three<T> {
    origin: Option<T>,
    updated: Option<T>,
    local: Option<T>,
}

impl<'a> Part<'a> {
    /// The only document of a piece of a file, when it is a map in block style.
    pub(super) fn root(file: &'a YamlFile, value: &'a Value) -> Option<Self> {
        let [node] = file.documents() else { return None };
        let whole = Self { text: file.text(), node, value, floor: 0 };
        let first = whole.entries()?.first()?.key_node.span.start;
        Some(Self { floor: line_start(whole.text, first), ..whole })
    }

    fn entries(self) -> Option<&'a [Entry]> {
        match &self.node.kind {
            NodeKind::Mapping { entries, flow: false } if !entries.is_empty() => Some(entries),
            _ => None,
        }
    }

    fn items(self) -> Option<&'a [Node]> {
        match &self.node.kind {
            NodeKind::Sequence { items, flow: false } if !items.is_empty() => Some(items),
            _ => None,
        }
    }

    /// Where an entry or item begins and ends, with its dash and the comment behind it.
    fn span(self, index: usize) -> Option<(usize, usize)> {
        if let Some(entry) = self.entries().and_then(|entries| entries.get(index)) {
            let key = &entry.key_node.span;
            return Some((key.start, line_end(self.text, entry.end())));
        }
        let item = self.items()?.get(index)?;
        Some((self.text.get(..item.span.start)?.rfind('-')?, line_end(self.text, item.end())))
    }

    fn block(self, index: usize) -> Option<Block> {
        let (start, end) = self.span(index)?;
        let line = line_start(self.text, start);
        let above = match index.checked_sub(1) {
            Some(before) => (self.span(before)?.1 + 1).min(line),
            None => self.floor.min(line),
        };
        let inline = !self.text.get(line..start)?.trim().is_empty();
        // Behind a dash only the first entry of a map can stand.
        if inline && index > 0 {
            return None;
        }
        let head = if inline { "" } else { self.text.get(above..line)? };
        Some(Block { head: head.to_owned(), body: self.text.get(start..end)?.to_owned(), column: start - line })
    }

    fn index_of(self, key: &str) -> Option<usize> {
        self.entries()?.iter().position(|entry| entry.key == key)
    }

    fn entry(self, key: &str) -> Option<Self> {
        let entry = &self.entries()?[self.index_of(key)?];
        let floor = line_end(self.text, entry.key_node.span.end) + 1;
        Some(Self { text: self.text, node: &entry.value, value: self.value.get(key)?, floor })
    }

    fn item(self, index: usize) -> Option<Self> {
        let node = self.items()?.get(index)?;
        Some(Self { text: self.text, node, value: self.value.get(index)?, floor: node.span.start })
    }

    /// Column of the first entry or dash.
    fn column(self) -> Option<usize> {
        let (start, _) = self.span(0)?;
        Some(start - line_start(self.text, start))
    }

    /// What stands behind a value on its last line.
    fn rest_of_line(self) -> &'a str {
        let end = self.node.span.end;
        self.text.get(end..line_end(self.text, end)).unwrap_or_default()
    }

    /// Whether it is a scalar on one line.
    fn is_plain_line(self) -> bool {
        matches!(self.node.kind, NodeKind::Scalar { block: false, .. })
            && !self.node.is_absent()
            && self.text.get(self.node.span.clone()).is_some_and(|text| !text.contains('\n'))
    }
}

/// Moves lines from one column to another; the first one only when it begins at a column too.
fn shifted(text: &str, from: usize, to: usize, first_too: bool) -> String {
    if from == to {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.trim().is_empty() || (number == 0 && !first_too) {
            out.push_str(line);
        } else if to > from {
            out.extend(std::iter::repeat_n(' ', to - from));
            out.push_str(line);
        } else {
            let spaces = line.len() - line.trim_start_matches(' ').len();
            out.push_str(&line[spaces.min(from - to)..]);
        }
    }
    out
}

/// Blocks under each other at a column; the first one behind a dash, when there is one.
fn joined(blocks: &[Block], column: usize, behind_dash: bool) -> String {
    let mut lines = Vec::new();
    for (number, block) in blocks.iter().enumerate() {
        let body = shifted(&block.body, block.column, column, false);
        if behind_dash && number == 0 {
            lines.push(body);
        } else {
            let head = shifted(&block.head, block.column, column, true);
            lines.push(format!("{head}{}{body}", " ".repeat(column)));
        }
    }
    lines.join("\n")
}

/// Text that goes by its own history: the new version's where only that changed it, else the local one, as in kpt.
fn follow<'t>(texts: &Three<&'t str>) -> Option<&'t str> {
    match (texts.origin, texts.updated, texts.local) {
        (Some(origin), Some(updated), Some(local)) if is_upstreams(origin, updated, local) => Some(updated),
        (_, Some(updated), None) => Some(updated),
        (_, _, local) => local,
    }
}

/// Whether the new version changed a text, and the local package did not.
fn is_upstreams(origin: &str, updated: &str, local: &str) -> bool {
    origin.trim() != updated.trim() && origin.trim() == local.trim()
}

impl<T: Copy> Three<T> {
    fn map<U>(self, read: impl Fn(T) -> Option<U>) -> Three<U> {
        let Self { origin, updated, local } = self;
        Three { origin: origin.and_then(&read), updated: updated.and_then(&read), local: local.and_then(&read) }
    }

    fn all(self) -> Option<[T; 3]> {
        Some([self.origin?, self.updated?, self.local?])
    }

    /// The local one, else the new one: whose layout is kept.
    fn mine(self) -> Option<T> {
        self.local.or(self.updated)
    }
}

impl<'a> Three<Part<'a>> {
    fn item(self, item: &Item) -> Self {
        let below = |side: Option<Part<'a>>, index: Option<usize>| side.zip(index).and_then(|(part, at)| part.item(at));
        Self {
            origin: below(self.origin, item.origin),
            updated: below(self.updated, item.updated),
            local: below(self.local, item.local),
        }
    }

    fn picked(self, pick: &Pick) -> Option<Value> {
        picked(pick, self.updated.map(|part| part.value), self.local.map(|part| part.value))
    }

    /// What a pick of one side means where the versions are written differently: a pick for each part, so that
    /// comments find their way.
    fn apart(self, pick: &Pick) -> Option<Pick> {
        let [origin, updated, local] = self.all()?;
        if matches!(pick, Pick::Map(_) | Pick::List(_)) {
            return Some(pick.clone());
        }
        if let (Some(a), Some(b), Some(c)) = (origin.entries(), updated.entries(), local.entries()) {
            let unchanged = |key: &str| match (updated.value.get(key), local.value.get(key)) {
                (Some(updated), Some(local)) => same(updated, local),
                _ => false,
            };
            let of = |key: &str| if unchanged(key) { Pick::Local } else { pick.clone() };
            return Some(Pick::Map([a, b, c].into_iter().flatten().map(|e| (e.key.clone(), of(&e.key))).collect()));
        }
        if *pick == Pick::Updated && same(origin.value, local.value) {
            return Self::followed(origin, updated);
        }
        let count = local.items()?.len();
        let alike = origin.items()?.len() == count && updated.items()?.len() == count;
        let item = |at| Item { origin: Some(at), updated: Some(at), local: Some(at), pick: pick.clone() };
        alike.then(|| Pick::List((0..count).map(item).collect()))
    }

    /// A list of which only upstream changed items: each that stayed keeps what is written around it locally.
    fn followed(origin: Part<'a>, updated: Part<'a>) -> Option<Pick> {
        let (origin, updated) =
            (origin.items().and(origin.value.as_array())?, updated.items().and(updated.value.as_array())?);
        let from: BTreeMap<usize, usize> = kin(origin, updated).into_iter().map(|(mine, to)| (to, mine)).collect();
        let item = |at: usize| {
            let mine = from.get(&at).copied();
            let unchanged = mine.is_some_and(|mine| same(&origin[mine], &updated[at]));
            let pick = if unchanged { Pick::Local } else { Pick::Updated };
            Item { origin: mine, updated: Some(at), local: mine, pick }
        };
        Some(Pick::List((0..updated.len()).map(item).collect()))
    }

    /// Keys in the local order; those that only the new version has stand where it has them.
    fn keys(self) -> Vec<&'a str> {
        let keys = |side: Option<Part<'a>>| {
            side.and_then(Part::entries).unwrap_or_default().iter().map(|entry| entry.key.as_str())
        };
        let mut order: Vec<&str> = keys(self.local).collect();
        let mut place = 0;
        for key in keys(self.updated) {
            if let Some(at) = order.iter().position(|other| *other == key) {
                place = at + 1;
            } else {
                order.insert(place, key);
                place += 1;
            }
        }
        order
    }

    fn entry_blocks(self, picks: &BTreeMap<String, Pick>) -> Option<Vec<Block>> {
        let mut blocks = Vec::new();
        for key in self.keys() {
            let pick = picks.get(key).unwrap_or(&Pick::Local);
            let parts = self.map(|part| part.entry(key));
            if parts.picked(pick).is_some() {
                let written = self.map(|part| part.block(part.index_of(key)?));
                blocks.push(
                    parts.block(pick, written, |pick, mine| parts.behind_key(pick, mine, written_lines(self, key)))?,
                );
            }
        }
        Some(blocks)
    }

    fn item_blocks(self, items: &[Item]) -> Option<Vec<Block>> {
        let block =
            |side: Option<Part<'a>>, index: Option<usize>| side.zip(index).and_then(|(part, at)| part.block(at));
        let one = |item: &Item| {
            let parts = self.item(item);
            let written = Three {
                origin: block(self.origin, item.origin),
                updated: block(self.updated, item.updated),
                local: block(self.local, item.local),
            };
            parts.block(&item.pick, written, |pick, mine| parts.behind_dash(pick, mine))
        };
        items.iter().map(one).collect()
    }

    /// The block of an entry or item. `compose` writes one whose parts have picks of their own.
    fn block(
        self,
        pick: &Pick,
        written: Three<Block>,
        compose: impl Fn(&Pick, &Block) -> Option<String>,
    ) -> Option<Block> {
        let Three { origin, updated, local } = written;
        let head = follow(&Three {
            origin: origin.as_ref().map(|block| block.head.as_str()),
            updated: updated.as_ref().map(|block| block.head.as_str()),
            local: local.as_ref().map(|block| block.head.as_str()),
        });
        let head = head.unwrap_or_default().to_owned();
        let whole = match (pick, &origin, &updated, &local) {
            (Pick::Local, Some(origin), Some(updated), Some(_)) => origin.body == updated.body,
            (Pick::Updated, Some(origin), Some(_), Some(local)) => origin.body == local.body,
            (Pick::Local | Pick::Updated, ..) => true,
            _ => false,
        };
        let base = if *pick == Pick::Updated {
            updated.as_ref().or(local.as_ref())
        } else {
            local.as_ref().or(updated.as_ref())
        };
        let base = base?.clone();
        let mine = local.or(updated)?;
        if whole {
            return Some(Block { head, ..base });
        }
        let apart = match pick {
            Pick::Map(_) | Pick::List(_) => Some(pick.clone()),
            _ => self.apart(pick),
        };
        match apart {
            Some(apart) => Some(Block { head, body: compose(&apart, &mine)?, ..mine }),
            None => Some(Block { head, body: self.with_own_comment(pick, &base.body), ..base }),
        }
    }

    /// A scalar of one side with the comment behind it, which goes by its own history; where both sides changed that,
    /// it goes with the value.
    fn with_own_comment(self, pick: &Pick, body: &str) -> String {
        let rests = self.map(|part| part.is_plain_line().then(|| part.rest_of_line()));
        let own = if *pick == Pick::Updated { rests.updated } else { rests.local };
        let by_both =
            |[origin, updated, local]: [&str; 3]| origin.trim() != updated.trim() && origin.trim() != local.trim();
        match (rests.all(), follow(&rests), own.and_then(|own| body.strip_suffix(own))) {
            (Some(all), Some(rest), Some(value)) if !by_both(all) => format!("{value}{rest}"),
            _ => body.to_owned(),
        }
    }

    /// A map or list below its key; `line` is the key's.
    fn behind_key(self, pick: &Pick, mine: &Block, line: Option<String>) -> Option<String> {
        let inner = match pick {
            Pick::Map(picks) => self.map_text(picks),
            Pick::List(items) => self.list_text(items),
            _ => None,
        };
        match (inner.filter(|inner| !inner.is_empty()), line) {
            (Some(inner), Some(line)) => Some(format!("{line}\n{inner}")),
            _ => self.edited(pick, mine),
        }
    }

    /// A map behind a dash.
    fn behind_dash(self, pick: &Pick, mine: &Block) -> Option<String> {
        let Pick::Map(picks) = pick else { return None };
        let column = self.mine()?.column()?;
        let dash = mine.body.get(..column.checked_sub(mine.column)?)?;
        let blocks = self.entry_blocks(picks)?;
        let is_dash = dash.strip_prefix('-').is_some_and(|rest| rest.trim().is_empty() && !rest.contains('\n'));
        (is_dash && !blocks.is_empty()).then(|| format!("{dash}{}", joined(&blocks, column, true)))
    }

    fn map_text(self, picks: &BTreeMap<String, Pick>) -> Option<String> {
        let column = self.mine()?.column()?;
        let in_blocks = |side: Option<Part<'a>>| side.is_none_or(|part| part.entries().is_some());
        if !in_blocks(self.updated) || !in_blocks(self.local) {
            return None;
        }
        Some(joined(&self.entry_blocks(picks)?, column, false))
    }

    fn list_text(self, items: &[Item]) -> Option<String> {
        let column = self.mine()?.column()?;
        Some(joined(&self.item_blocks(items)?, column, false))
    }

    /// What is not written in blocks, edited as a value.
    fn edited(self, pick: &Pick, mine: &Block) -> Option<String> {
        let new = self.picked(pick)?;
        let text = shifted(&mine.body, mine.column, 0, false);
        let mut file = YamlFile::parse(text.as_bytes(), &Limits::default()).ok()?;
        let key = file.value(0).ok()?.as_object()?.keys().next()?.clone();
        let wanted = Value::Object(std::iter::once((key, new)).collect());
        let text = if bring(&mut file, 0, &wanted, Value::clone) { file.text().to_owned() } else { to_yaml(&wanted) };
        Some(shifted(text.trim_end(), 0, mine.column, false))
    }
}

/// The line of a key whose value is below it.
fn written_lines(parts: Three<Part<'_>>, key: &str) -> Option<String> {
    let line = |part: Part<'_>| {
        let block = part.block(part.index_of(key)?)?;
        block.body.split_once('\n').map(|(line, _)| line.to_owned())
    };
    let lines = parts.map(line);
    follow(&Three { origin: lines.origin.as_deref(), updated: lines.updated.as_deref(), local: lines.local.as_deref() })
        .map(str::to_owned)
}

/// The piece of a file that a merged document becomes; the `---` that begins the local piece stays.
pub(super) fn write(origin: Option<Part<'_>>, updated: Part<'_>, local: Part<'_>, pick: &Pick) -> Option<String> {
    let parts = Three { origin, updated: Some(updated), local: Some(local) };
    let wanted = parts.picked(pick)?;
    let means = |text: String| {
        let read = YamlFile::parse(text.as_bytes(), &Limits::default()).ok()?;
        (read.documents().len() == 1 && same(&read.value(0).ok()?, &wanted)).then_some(text)
    };
    parts.whole(pick).and_then(means).or_else(|| means(reencoded(local, &wanted)?))
}

/// The local text edited as a value, when no better way was found.
fn reencoded(local: Part<'_>, wanted: &Value) -> Option<String> {
    let mut file = YamlFile::parse(local.text.as_bytes(), &Limits::default()).ok()?;
    let done = bring(&mut file, 0, wanted, Value::clone);
    Some(if done { file.text().to_owned() } else { format!("{}{}", marker(local.text), to_yaml(wanted)) })
}

/// The `---` line that begins a piece.
pub(super) fn marker(text: &str) -> &str {
    let line = text.split_inclusive('\n').next().unwrap_or_default();
    if line.trim_end() == "---" || line.starts_with("--- #") { line } else { "" }
}

impl Three<Part<'_>> {
    /// A whole piece.
    fn whole(self, pick: &Pick) -> Option<String> {
        let (updated, local) = (self.updated?, self.local?);
        let blocks = match pick {
            Pick::Map(picks) => self.entry_blocks(picks)?,
            pick => match self.apart(pick) {
                Some(Pick::Map(picks)) => self.entry_blocks(&picks)?,
                _ => return Some(if *pick == Pick::Updated { updated.text } else { local.text }.to_owned()),
            },
        };
        let above = self.map(|part| part.text.get(marker(part.text).len()..part.floor));
        let below = self.map(|part| part.text.get(part.span(part.entries()?.len() - 1)?.1..));
        let (above, below) = (follow(&above)?, follow(&below)?);
        Some(format!("{}{above}{}{below}", marker(local.text), joined(&blocks, local.column()?, false)))
    }
}
