//! The part of kubectl's `JSONPath` that printer columns and ignore rules use, and JSON pointers.
//!
//! `.field`, `['field']` (a dot in a name is escaped: `['a\.b/c']`; without the backslash it separates fields, as in
//! client-go), `[3]`, `[-1]`, `[*]`, `.*` and filters `[?(@.field=="text")]` with `==`, `!=`, `<`, `<=`, `>`, `>=` or
//! existence. No recursion, no slices, no unions: such a path is refused.

use std::cmp::Ordering;

use serde_json::Value;

/// Longest path that is read, in bytes.
const MAX_LENGTH: usize = 1024;

/// A path that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading JSONPath {path:?}: {why} at byte {at}")]
pub struct PathError {
    /// The path, cut to 120 characters.
    pub path: String,
    /// The rule it breaks.
    pub why: &'static str,
    /// Where.
    pub at: usize,
}

/// A parsed path.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath(Vec<Step>);

/// One step down to a place in a document that exists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Into a field.
    Field(String),
    /// Into an item, from 0.
    Index(usize),
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    /// Of a pointer: a field of an object, the position in a list.
    Token(String),
    Index(i64),
    All,
    Filter {
        path: Vec<Step>,
        test: Option<(Op, Value)>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl JsonPath {
    /// Reads a path, with or without the surrounding braces.
    ///
    /// # Errors
    /// [`PathError`] saying where the path leaves the supported part.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let inner = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text.trim());
        let mut reader = Reader { text: inner, at: 0 };
        // It stands for the whole document and may be left out, as in client-go.
        let _ = reader.take("$");
        let steps = if inner.len() > MAX_LENGTH { Err("it is longer than 1024 bytes") } else { reader.steps() };
        let at = reader.at;
        steps.map(Self).map_err(|why| PathError { path: text.chars().take(120).collect(), why, at })
    }

    /// Reads a path of ignore rules: a JSON pointer (RFC 6901) when it begins with `/`, else as [`JsonPath::parse`].
    ///
    /// # Errors
    /// [`PathError`] saying where it cannot be read.
    pub fn parse_any(text: &str) -> Result<Self, PathError> {
        if text.len() > MAX_LENGTH || !text.starts_with('/') {
            return Self::parse(text);
        }
        let token = |token: &str| Step::Token(token.replace("~1", "/").replace("~0", "~"));
        Ok(Self(text.split('/').skip(1).map(token).collect()))
    }

    /// The values at the path, in document order.
    #[must_use]
    pub fn find<'v>(&self, root: &'v Value) -> Vec<&'v Value> {
        walk(&self.0, root).into_iter().map(|(_, value)| value).collect()
    }

    /// Where the values at the path are, in document order.
    #[must_use]
    pub fn places(&self, root: &Value) -> Vec<Vec<Place>> {
        walk(&self.0, root).into_iter().map(|(places, _)| places).collect()
    }
}

type Found<'v> = (Vec<Place>, &'v Value);

fn walk<'v>(steps: &[Step], root: &'v Value) -> Vec<Found<'v>> {
    let below = |(places, value): Found<'v>, step: &Step| -> Vec<Found<'v>> {
        let further = |(place, value)| ([places.as_slice(), &[place]].concat(), value);
        step.apply(value).into_iter().map(further).collect()
    };
    steps
        .iter()
        .fold(vec![(Vec::new(), root)], |found, step| found.into_iter().flat_map(|one| below(one, step)).collect())
}

impl Step {
    fn apply<'v>(&self, value: &'v Value) -> Vec<(Place, &'v Value)> {
        match self {
            Self::Token(token) if value.is_array() => position(token).and_then(|i| at(value, i)).into_iter().collect(),
            Self::Field(name) | Self::Token(name) => field(value, name).into_iter().collect(),
            Self::Index(index) => at(value, *index).into_iter().collect(),
            Self::All => children(value),
            Self::Filter { path, test } => {
                children(value).into_iter().filter(|(_, child)| passes(child, path, test.as_ref())).collect()
            }
        }
    }
}

/// The position that a token of a pointer means: digits only.
fn position(token: &str) -> Option<i64> {
    token.bytes().all(|byte| byte.is_ascii_digit()).then(|| token.parse().ok())?
}

fn field<'v>(value: &'v Value, name: &str) -> Option<(Place, &'v Value)> {
    Some((Place::Field(name.to_owned()), value.as_object()?.get(name)?))
}

fn at(value: &Value, index: i64) -> Option<(Place, &Value)> {
    let items = value.as_array()?;
    let length = i64::try_from(items.len()).ok()?;
    let index = usize::try_from(if index < 0 { index + length } else { index }).ok()?;
    Some((Place::Index(index), items.get(index)?))
}

fn children(value: &Value) -> Vec<(Place, &Value)> {
    match value {
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (Place::Index(index), item)).collect(),
        Value::Object(map) => map.iter().map(|(name, value)| (Place::Field(name.clone()), value)).collect(),
        _ => Vec::new(),
    }
}

fn passes(child: &Value, path: &[Step], test: Option<&(Op, Value)>) -> bool {
    let found = walk(path, child);
    match test {
        None => !found.is_empty(),
        Some((op, expected)) => found.first().is_some_and(|(_, value)| op.holds(value, expected)),
    }
}

impl Op {
    fn holds(self, left: &Value, right: &Value) -> bool {
        match self {
            Self::Eq => left == right,
            Self::Ne => left != right,
            Self::Lt => order(left, right) == Some(Ordering::Less),
            Self::Le => matches!(order(left, right), Some(Ordering::Less | Ordering::Equal)),
            Self::Gt => order(left, right) == Some(Ordering::Greater),
            Self::Ge => matches!(order(left, right), Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Number(left), Value::Number(right)) => left.as_f64()?.partial_cmp(&right.as_f64()?),
        _ => None,
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn until(&mut self, end: &str, missing: &'static str) -> Result<&'a str, &'static str> {
        let length = self.rest().find(end).ok_or(missing)?;
        let text = self.rest().get(..length).unwrap_or_default();
        self.at += length + end.len();
        Ok(text)
    }

    fn steps(&mut self) -> Result<Vec<Step>, &'static str> {
        let mut steps = Vec::new();
        while !self.rest().is_empty() {
            if self.take("..") {
                return Err("recursion is not supported");
            } else if self.take(".") {
                steps.extend(self.field()?);
            } else if self.take("[") {
                steps.extend(self.bracket()?);
            } else {
                return Err("expected . or [");
            }
        }
        Ok(steps)
    }

    /// After a dot; a path that is only a dot means the whole document.
    fn field(&mut self) -> Result<Option<Step>, &'static str> {
        if self.take("*") {
            return Ok(Some(Step::All));
        }
        let name = self.name();
        match (name.is_empty(), self.rest()) {
            (false, _) => Ok(Some(Step::Field(name))),
            (true, "") => Ok(None),
            (true, rest) if rest.starts_with('[') => Ok(None),
            _ => Err("a field name is missing"),
        }
    }

    /// A field name up to the next unescaped separator; a backslash takes the next character as it is.
    fn name(&mut self) -> String {
        let mut name = String::new();
        let mut escaped = false;
        for character in self.rest().chars() {
            if !escaped && matches!(character, '.' | '[' | ']' | '=' | '!' | '<' | '>' | ')' | ' ') {
                break;
            }
            self.at += character.len_utf8();
            escaped = !escaped && character == '\\';
            if !escaped {
                name.push(character);
            }
        }
        name
    }

    fn bracket(&mut self) -> Result<Vec<Step>, &'static str> {
        if self.take("?(") {
            return Ok(vec![self.filter()?]);
        }
        if self.take("'") {
            let quoted = self.until("']", "the closing '] is missing")?;
            return Reader { text: &format!(".{quoted}"), at: 0 }.steps();
        }
        let inner = self.until("]", "the closing ] is missing")?.trim();
        let step = if inner == "*" { Some(Step::All) } else { inner.parse().ok().map(Step::Index) };
        step.map(|step| vec![step]).ok_or("expected a number, *, a quoted name or a filter")
    }

    fn filter(&mut self) -> Result<Step, &'static str> {
        let text = self.until(")]", "the closing )] is missing")?.trim();
        let path_text = text.strip_prefix('@').ok_or("a filter begins with @")?;
        let mut inner = Reader { text: path_text, at: 0 };
        let operator = OPERATORS.iter().filter_map(|(sign, op)| Some((path_text.find(sign)?, *sign, *op)));
        let Some((at, sign, op)) = operator.min_by_key(|(at, sign, _)| (*at, usize::MAX - sign.len())) else {
            return Ok(Step::Filter { path: inner.steps()?, test: None });
        };
        let (left, right) = path_text.split_at(at);
        let path = Reader { text: left.trim(), at: 0 }.steps()?;
        let expected = literal(right.strip_prefix(sign).unwrap_or_default().trim())?;
        Ok(Step::Filter { path, test: Some((op, expected)) })
    }
}

const OPERATORS: [(&str, Op); 6] =
    [("==", Op::Eq), ("!=", Op::Ne), ("<=", Op::Le), (">=", Op::Ge), ("<", Op::Lt), (">", Op::Gt)];

fn literal(text: &str) -> Result<Value, &'static str> {
    let quoted = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    match quoted('\'').or_else(|| quoted('"')) {
        Some(inner) => Ok(Value::String(inner.to_owned())),
        None => serde_json::from_str(text).map_err(|_| "expected a quoted text, a number or a boolean"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(path: &str, value: &Value) -> Vec<Value> {
        JsonPath::parse(path).unwrap().find(value).into_iter().cloned().collect()
    }

    #[test]
    fn paths_of_printer_columns_find_their_values() {
        let value = json!({
            "metadata": {"annotations": {"a.b/c": "yes"}},
            "spec": {"list": ["a", "b"], "n": 3, "deep": {"x": 1}},
            "status": {"conditions": [{"type": "A", "status": "False", "n": 1}, {"type": "Ready", "status": "True", "n": 2}]}
        });
        for (path, expected) in [
            (".spec.n", json!([3])),
            ("{.spec.n}", json!([3])),
            ("$.spec.n", json!([3])),
            ("{$.spec.list[0]}", json!(["a"])),
            (".spec.list", json!([["a", "b"]])),
            (".spec.list[*]", json!(["a", "b"])),
            (".spec.list[0]", json!(["a"])),
            (".spec.list[-1]", json!(["b"])),
            (".spec.list[9]", json!([])),
            (".spec['deep'].x", json!([1])),
            (".spec['deep.x']", json!([1])),
            (r".metadata.annotations.a\.b/c", json!(["yes"])),
            (r".metadata.annotations['a\.b/c']", json!(["yes"])),
            (".metadata.annotations['a.b/c']", json!([])),
            (r#".status.conditions[?(@.type=="Ready")].status"#, json!(["True"])),
            (r".status.conditions[?(@.type == 'Ready')].status", json!(["True"])),
            (r#".status.conditions[?(@.type!="Ready")].status"#, json!(["False"])),
            (".status.conditions[?(@.n>=2)].type", json!(["Ready"])),
            (".status.conditions[?(@.n<2)].type", json!(["A"])),
            (".status.conditions[?(@.n)].type", json!(["A", "Ready"])),
            (".nothing.at.all", json!([])),
        ] {
            assert_eq!(Value::Array(found(path, &value)), expected, "{path}");
        }
    }

    #[test]
    fn what_is_not_supported_is_refused_with_its_place() {
        for path in ["spec", "..x", ".a[", ".a[1:2]", ".a[?(x)]", ".a..b", ".a['b'", ".a[?(@.x==y)]"] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
        let error = JsonPath::parse(".ab[x]").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"reading JSONPath ".ab[x]": expected a number, *, a quoted name or a filter at byte 6"#
        );
    }

    #[test]
    fn pointers_lead_through_maps_and_lists() {
        let value = json!({"a/b": {"~": [{"c": 1}, {"c": 2}]}, "7": "seven"});
        for (path, expected) in [
            ("/a~1b/~0/1/c", json!([2])),
            ("/7", json!(["seven"])),
            ("/a~1b/~0/2", json!([])),
            ("/a~1b/~0/-1", json!([])),
            ("/nothing", json!([])),
        ] {
            let found: Vec<Value> = JsonPath::parse_any(path).unwrap().find(&value).into_iter().cloned().collect();
            assert_eq!(Value::Array(found), expected, "{path}");
        }
        let places = JsonPath::parse_any(".['a/b'].~[?(@.c==2)].c").unwrap().places(&value);
        let field = |name: &str| Place::Field(name.to_owned());
        assert_eq!(places, [vec![field("a/b"), field("~"), Place::Index(1), field("c")]]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_fall(text in r#"[.\[\]'"?(@)=<>a-c0-2\\*{}-]{0,24}"#) {
            let value = json!({"a": [{"b": 1}, {"c": "a"}], "b": {"a": 1}});
            if let Ok(path) = JsonPath::parse(&text) {
                let _ = path.find(&value);
            }
        }
    }
}
