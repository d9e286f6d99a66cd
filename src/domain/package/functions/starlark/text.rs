//! Methods of texts. Positions are bytes, as in the published function.

use super::call::Given;
use super::eval::Machine;
use super::fault::{Fault, Outcome};
use super::value::{SIZE, Value};

/// Their names.
pub(super) const METHODS: [&str; 34] = [
    "capitalize",
    "codepoints",
    "count",
    "elems",
    "endswith",
    "find",
    "format",
    "index",
    "isalnum",
    "isalpha",
    "isdigit",
    "islower",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "title",
    "upper",
    "codepoint_ords",
];

/// Bytes that a part of a text takes beside its own.
const PART: usize = SIZE + 32;

impl Machine<'_> {
    /// Calls a method of a text.
    pub(super) fn text_method(&mut self, text: &str, name: &str, given: Given) -> Outcome<Value> {
        self.heap.step(1 + text.len() / 64)?;
        match name {
            "format" => return self.format(text, &given),
            "join" => {
                let [items] = given.take(name, ["iterable"], 1)?;
                return self.join(text, &items.unwrap_or(Value::None));
            }
            "replace" => return self.replace(text, given),
            "split" | "rsplit" => return self.split(text, name == "rsplit", given),
            "splitlines" => {
                let [ends] = given.take(name, ["keepends"], 0)?;
                let keep = ends.is_some_and(|ends| self.truth(&ends));
                self.heap.charge(text.matches('\n').count() * PART)?;
                let lines = text
                    .split_inclusive('\n')
                    .map(|line| if keep { line } else { line.strip_suffix('\n').unwrap_or(line) });
                return self.texts(lines.map(str::to_owned).collect());
            }
            "startswith" | "endswith" => return self.begins(text, name, given),
            "count" | "find" | "rfind" | "index" | "rindex" => return find(text, name, given),
            "partition" | "rpartition" => return self.partition(text, name, given),
            "strip" | "lstrip" | "rstrip" => return self.strip(text, name, given),
            "removeprefix" | "removesuffix" => {
                let [part] = given.take(name, ["affix"], 1)?;
                let part = word(name, part)?;
                let left = if name == "removeprefix" { text.strip_prefix(&*part) } else { text.strip_suffix(&*part) };
                return self.heap.text(left.unwrap_or(text));
            }
            _ => {}
        }
        given.take(name, [], 0)?;
        match name {
            "elems" | "codepoints" => {
                self.heap.charge(text.len() * PART)?;
                let parts = text.chars().map(String::from).collect();
                self.texts(parts)
            }
            "codepoint_ords" => {
                let codes = text.chars().map(|c| Value::Int(u32::from(c).into())).collect();
                self.heap.list(codes)
            }
            "lower" | "upper" | "capitalize" | "title" => {
                self.heap.charge(3 * text.len())?;
                self.heap.text(cased(text, name))
            }
            _ => is(text, name).map(Value::Bool),
        }
    }

    fn texts(&mut self, parts: Vec<String>) -> Outcome<Value> {
        let parts: Outcome<Vec<Value>> = parts.into_iter().map(|part| self.heap.text(part)).collect();
        self.heap.list(parts?)
    }

    fn join(&mut self, text: &str, items: &Value) -> Outcome<Value> {
        let mut joined = String::new();
        for (at, item) in self.collect(items)?.into_iter().enumerate() {
            let Value::Text(part) = item else {
                return Err(Fault::new(format!("join takes texts; element {at} is a {}", item.kind())));
            };
            let between = if at > 0 { text } else { "" };
            self.heap.charge(between.len() + part.len())?;
            joined.push_str(between);
            joined.push_str(&part);
        }
        self.heap.text(joined)
    }

    fn replace(&mut self, text: &str, given: Given) -> Outcome<Value> {
        let [old, new, count] = given.take("replace", ["old", "new", "count"], 2)?;
        let (old, new) = (word("replace", old)?, word("replace", new)?);
        let most = match count {
            Some(Value::Int(count)) if count >= 0 => usize::try_from(count).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let found = text.matches(&*old).count().min(most);
        self.heap.charge(text.len().saturating_add(found.saturating_mul(new.len())))?;
        self.heap.text(text.replacen(&*old, &new, found))
    }

    fn split(&mut self, text: &str, from_end: bool, given: Given) -> Outcome<Value> {
        let [separator, most] = given.take("split", ["sep", "maxsplit"], 0)?;
        let most = match most {
            Some(Value::Int(most)) if most >= 0 => usize::try_from(most).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let parts: Vec<String> = match separator {
            None | Some(Value::None) => {
                self.heap.charge(text.len() + text.split_whitespace().count() * PART)?;
                words(text, most, from_end)
            }
            Some(Value::Text(separator)) if separator.is_empty() => {
                return Err(Fault::new("split takes no empty separator"));
            }
            Some(Value::Text(separator)) => {
                self.heap.charge(text.len() + text.matches(&*separator).count() * PART)?;
                let all = most.saturating_add(1);
                if from_end {
                    let mut parts: Vec<String> = text.rsplitn(all, &*separator).map(str::to_owned).collect();
                    parts.reverse();
                    parts
                } else {
                    text.splitn(all, &*separator).map(str::to_owned).collect()
                }
            }
            Some(other) => return Err(Fault::new(format!("split takes a text, not a {}", other.kind()))),
        };
        self.texts(parts)
    }

    fn begins(&mut self, text: &str, name: &str, given: Given) -> Outcome<Value> {
        let [part, from, to] = given.take(name, ["affix", "start", "end"], 1)?;
        let Some(text) = within(text, from.as_ref(), to.as_ref())? else { return Ok(Value::Bool(false)) };
        let parts = match &part {
            Some(tuple @ Value::Tuple(_)) => self.heap.elements(tuple).unwrap_or_default().to_vec(),
            other => vec![other.clone().unwrap_or(Value::None)],
        };
        for part in parts {
            let part = word(name, Some(part))?;
            if if name == "startswith" { text.starts_with(&*part) } else { text.ends_with(&*part) } {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }

    fn partition(&mut self, text: &str, name: &str, given: Given) -> Outcome<Value> {
        let [separator] = given.take(name, ["sep"], 1)?;
        let separator = word(name, separator)?;
        if separator.is_empty() {
            return Err(Fault::new(format!("{name} takes no empty separator")));
        }
        let parts = if name == "partition" { text.split_once(&*separator) } else { text.rsplit_once(&*separator) };
        let parts = match (parts, name) {
            (Some((before, after)), _) => [before, &separator, after],
            (None, "partition") => [text, "", ""],
            (None, _) => ["", "", text],
        };
        let parts: Outcome<Vec<Value>> = parts.into_iter().map(|part| self.heap.text(part)).collect();
        self.heap.tuple(parts?)
    }

    fn strip(&mut self, text: &str, name: &str, given: Given) -> Outcome<Value> {
        let [cut] = given.take(name, ["cutset"], 0)?;
        let cut = match cut {
            None | Some(Value::None) => None,
            some => Some(word(name, some)?),
        };
        let cut = |c: char| cut.as_ref().map_or(c.is_whitespace(), |cut| cut.contains(c));
        self.heap.text(match name {
            "strip" => text.trim_matches(cut),
            "lstrip" => text.trim_start_matches(cut),
            _ => text.trim_end_matches(cut),
        })
    }
}

fn find(text: &str, name: &str, given: Given) -> Outcome<Value> {
    let [part, from, to] = given.take(name, ["sub", "start", "end"], 1)?;
    let part = word(name, part)?;
    let before = within_start(text, from.as_ref());
    let found = within(text, from.as_ref(), to.as_ref())?;
    if name == "count" {
        return Ok(number(found.map_or(0, |text| text.matches(&*part).count())));
    }
    let at = found.and_then(|text| if name.starts_with('r') { text.rfind(&*part) } else { text.find(&*part) });
    match at {
        Some(at) => Ok(number(at + before)),
        None if name.ends_with("find") => Ok(Value::Int(-1)),
        None => Err(Fault::new(format!("{name}: the text is not there"))),
    }
}

/// A count as a value.
pub(super) fn number(count: usize) -> Value {
    Value::Int(i128::try_from(count).unwrap_or(i128::MAX))
}

/// An argument that is a text.
pub(super) fn word(function: &str, value: Option<Value>) -> Outcome<std::rc::Rc<str>> {
    match value {
        Some(Value::Text(text)) => Ok(text),
        other => {
            let kind = other.map_or("nothing", |other| other.kind());
            Err(Fault::new(format!("{function} takes a text, not a {kind}")))
        }
    }
}

fn bound(value: Option<&Value>, default: usize, length: usize) -> usize {
    let Some(Value::Int(at)) = value else { return default };
    let size = i128::try_from(length).unwrap_or(i128::MAX);
    usize::try_from(if *at < 0 { at.saturating_add(size) } else { *at }.clamp(0, size)).unwrap_or(length)
}

fn within_start(text: &str, from: Option<&Value>) -> usize {
    bound(from, 0, text.len())
}

/// The part of a text between two positions; `None` when they stand the wrong way round.
fn within<'t>(text: &'t str, from: Option<&Value>, to: Option<&Value>) -> Outcome<Option<&'t str>> {
    let (from, to) = (within_start(text, from), bound(to, text.len(), text.len()));
    if from > to {
        return Ok(None);
    }
    let cuts = || Fault::new("this cuts a character that is more than one byte");
    text.get(from..to).map(Some).ok_or_else(cuts)
}

/// Words between white space; what is behind the last split stays whole.
fn words(text: &str, most: usize, from_end: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && found.len() < most {
        let (word, more) = if from_end {
            rest.rsplit_once(char::is_whitespace).map_or((rest, ""), |(more, word)| (word, more.trim_end()))
        } else {
            rest.split_once(char::is_whitespace).map_or((rest, ""), |(word, more)| (word, more.trim_start()))
        };
        found.push(word.to_owned());
        rest = more;
    }
    if !rest.is_empty() {
        found.push(rest.to_owned());
    }
    if from_end {
        found.reverse();
    }
    found
}

fn cased(text: &str, name: &str) -> String {
    match name {
        "lower" => text.to_lowercase(),
        "upper" => text.to_uppercase(),
        _ => {
            let mut begins = true;
            let mut made = String::new();
            for c in text.chars() {
                if begins {
                    made.extend(c.to_uppercase());
                } else {
                    made.extend(c.to_lowercase());
                }
                begins = name == "title" && !c.is_alphabetic();
            }
            made
        }
    }
}

fn is(text: &str, name: &str) -> Outcome<bool> {
    let all = |test: fn(char) -> bool| !text.is_empty() && text.chars().all(test);
    let cased = text.chars().any(|c| c.is_lowercase() || c.is_uppercase());
    Ok(match name {
        "isalnum" => all(char::is_alphanumeric),
        "isalpha" => all(char::is_alphabetic),
        "isdigit" => all(char::is_numeric),
        "isspace" => all(char::is_whitespace),
        "islower" => cased && !text.chars().any(char::is_uppercase),
        "isupper" => cased && !text.chars().any(char::is_lowercase),
        "istitle" => {
            let mut before = false;
            let fits = text.chars().all(|c| {
                let fits = if c.is_uppercase() { !before } else { before || !c.is_lowercase() };
                before = c.is_uppercase() || c.is_lowercase();
                fits
            });
            cased && fits
        }
        _ => return Err(Fault::new(format!("a string has no method {name}"))),
    })
}
