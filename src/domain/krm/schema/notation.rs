//! The notation of the table of built-in kinds: one type a line. The first lines of the table explain it.

use std::fmt;

use serde_json::Value;

use super::{Mark, PatchRule, PatchWay};
use crate::domain::krm::Gvk;

/// What the first lines of a table explain.
pub(super) const HEAD: &str = "\
# The built-in kinds of Kubernetes: facts that its published OpenAPI tells, stable versions only.
# Written by `loggia schema --kubernetes`; the marks `-` are facts of the Go types that OpenAPI does not tell.
# One type a line: NAME[!][@GROUP/VERSION/KIND] FIELD...   `!` marks an atomic map, `@` a kind that can be looked up.
# FIELD is NAME[:SHAPE][-][+][(VALUE|VALUE...)][~STRATEGY[/KEY]][=DEFAULT]; without SHAPE it is a text.
#   -   the server leaves it out while it is empty, zero or false (its Go type is a value marked `omitempty`)
#   +   an object must have it
#   ()  the values that it, its items or its entries may have
#   ~   how strategic merge patches treat it: merge, replace, retainKeys, merge,retainKeys; lists of maps by KEY
#   =   what it is when it is left out: a text as it is, everything else as JSON; zeros are what the server writes then
# SHAPE is one of
#   s text   y base64   t time   i int32   l int64   d double   n number   b bool   q quantity   x int-or-string
#   ? anything, maps granular, lists atomic   ! anything, atomic
#   Name another line, atomic or granular as it says   !Name atomic here   &Name granular here
#   {S} map of S   !{S} atomic map of S   [S] atomic list   [S]* set   [S]k1,k2 list keyed by fields
# Spaces and the signs of the notation in values are written as %HEX.
";

/// One type of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// Its name: the last word of the OpenAPI component, with `.group.version` where several share it.
    pub name: &'a str,
    /// Whether values of the type are owned as a whole.
    pub atomic: bool,
    /// The kind that it is, when objects of it can be stored.
    pub gvk: Option<Gvk>,
    /// Its fields, in the order of the line.
    pub fields: Vec<Column<'a>>,
}

/// One field of a type.
#[derive(Debug, Clone, PartialEq)]
pub struct Column<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its shape, as the head of the table explains.
    pub shape: &'a str,
    /// All other facts.
    pub mark: Mark,
}

/// The types of a table; comments and empty lines are none.
pub fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines().filter(|line| !line.starts_with('#')).filter_map(line)
}

fn line(text: &str) -> Option<Line<'_>> {
    let mut words = text.split_ascii_whitespace();
    let head = words.next()?;
    let (name, gvk) = head.split_once('@').map_or((head, None), |(name, kind)| (name, kind.rsplit_once('/')));
    Some(Line {
        name: name.trim_end_matches('!'),
        atomic: name.ends_with('!'),
        gvk: gvk.map(|(api_version, kind)| Gvk::parse(api_version, kind)),
        fields: words.map(column).collect(),
    })
}

/// The text before a sign, and what follows it.
fn cut(text: &str, sign: char) -> (&str, Option<&str>) {
    text.split_once(sign).map_or((text, None), |(text, rest)| (text, Some(rest)))
}

/// The text without a sign at its end, and whether it was there.
fn flag(text: &str, sign: char) -> (&str, bool) {
    text.strip_suffix(sign).map_or((text, false), |text| (text, true))
}

fn column(text: &str) -> Column<'_> {
    let (text, default) = cut(text, '=');
    let (text, rule) = cut(text, '~');
    let (text, values) = cut(text, '(');
    let (text, required) = flag(text, '+');
    let (text, terse) = flag(text, '-');
    let (name, shape) = text.split_once(':').unwrap_or((text, "s"));
    let values = values.map(|values| values.trim_end_matches(')').split('|').map(unescaped).collect());
    let default = default.map(|default| value(shape, default));
    let mark = Mark { terse, required, values: values.unwrap_or_default(), patch: rule.map(patch_rule), default };
    Column { name, shape, mark }
}

/// Whether values of a shape are written as they are, not as JSON.
fn is_text(shape: &str) -> bool {
    matches!(shape, "s" | "y" | "t")
}

fn value(shape: &str, text: &str) -> Value {
    let text = unescaped(text);
    if is_text(shape) {
        return Value::String(text);
    }
    serde_json::from_str(&text).unwrap_or_default()
}

fn patch_rule(text: &str) -> PatchRule {
    let (strategies, key) = cut(text, '/');
    let has = |strategy: &str| strategies.split(',').any(|one| one == strategy);
    let way = has("merge").then_some(PatchWay::Merge).or_else(|| has("replace").then_some(PatchWay::Replace));
    PatchRule { way, retain_keys: has("retainKeys"), key: key.map(str::to_owned) }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, if self.atomic { "!" } else { "" })?;
        if let Some(gvk) = &self.gvk {
            write!(f, "@{}/{}", gvk.api_version(), gvk.kind)?;
        }
        self.fields.iter().try_for_each(|field| write!(f, " {field}"))
    }
}

impl fmt::Display for Column<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        // Text is the usual shape, and not written.
        if self.shape != "s" {
            write!(f, ":{}", self.shape)?;
        }
        f.write_str(if self.mark.terse { "-" } else { "" })?;
        f.write_str(if self.mark.required { "+" } else { "" })?;
        if !self.mark.values.is_empty() {
            let values: Vec<String> = self.mark.values.iter().map(|value| escaped(value)).collect();
            write!(f, "({})", values.join("|"))?;
        }
        if let Some(rule) = &self.mark.patch {
            write!(f, "~{rule}")?;
        }
        match &self.mark.default {
            Some(Value::String(text)) if is_text(self.shape) => write!(f, "={}", escaped(text)),
            Some(default) => write!(f, "={}", escaped(&default.to_string())),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PatchRule {
    /// As OpenAPI spells the strategies, then the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.strategies())?;
        self.key.iter().try_for_each(|key| write!(f, "/{key}"))
    }
}

impl PatchRule {
    /// The strategies as OpenAPI spells them, such as `merge,retainKeys`.
    #[must_use]
    pub fn strategies(&self) -> String {
        let way = match self.way {
            Some(PatchWay::Merge) => "merge",
            Some(PatchWay::Replace) => "replace",
            None => "",
        };
        let all = [way, if self.retain_keys { "retainKeys" } else { "" }];
        all.into_iter().filter(|one| !one.is_empty()).collect::<Vec<_>>().join(",")
    }

    /// The rule of `x-kubernetes-patch-strategy` and `x-kubernetes-patch-merge-key`; none when a field has neither.
    #[must_use]
    pub fn of(strategies: Option<&str>, key: Option<&str>) -> Option<Self> {
        (strategies.is_some() || key.is_some())
            .then(|| Self { key: key.map(str::to_owned), ..patch_rule(strategies.unwrap_or_default()) })
    }
}

/// Signs that a value in a table may not hold.
const SIGNS: &[char] = &[' ', '%', '|', '(', ')', '=', '~', '\n', '\t', '\r'];

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in text.chars() {
        if SIGNS.contains(&sign) {
            out.push_str(&format!("%{:02X}", u32::from(sign)));
        } else {
            out.push(sign);
        }
    }
    out
}

fn unescaped(text: &str) -> String {
    let mut parts = text.split('%');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let sign = part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match sign {
            Some(sign) => {
                out.push(char::from(sign));
                out.push_str(&part[2..]);
            }
            None => out.push_str(part),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_line_tells_all_its_facts() {
        let text = "Port!@apps/v1/Port name-+ usages:[s](cert%20sign|any) ports:[Port]port~merge,retainKeys/port strategy:Port~retainKeys protocol(TCP|UDP)=TCP size:i-=0 meta:Port={} note=";
        let [line] = lines(text).collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(line.to_string(), text);
        assert!(line.atomic && line.gvk == Some(Gvk::new("apps", "v1", "Port")));
        let [name, usages, ports, strategy, protocol, size, meta, note] = line.fields.try_into().unwrap();
        assert!(name.mark.terse && name.mark.required && name.shape == "s");
        assert_eq!(usages.mark.values, ["cert sign", "any"]);
        let rule = ports.mark.patch.unwrap();
        assert_eq!((rule.way, rule.retain_keys, rule.key.as_deref()), (Some(PatchWay::Merge), true, Some("port")));
        assert_eq!(strategy.mark.patch.unwrap().way, None);
        let defaults = [protocol, size, meta, note].map(|column| column.mark.default.unwrap());
        assert_eq!(defaults, [json!("TCP"), json!(0), json!({}), json!("")]);
    }

    proptest! {
        #[test]
        fn values_come_back(text in "[ -~éü|()=~%]{0,12}") {
            prop_assert_eq!(unescaped(&escaped(&text)), text);
        }
    }
}
