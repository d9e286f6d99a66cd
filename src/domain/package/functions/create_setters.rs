//! `create-setters`: writes the comments that `apply-setters` looks for, wherever a value is or holds a setter's.

use serde_json::Value;

use super::setters::MARK;
use super::spots::{What, spots};
use super::{Call, FunctionError, Native, Opt, at, refs};
use crate::domain::krm::document::{Limits, YamlFile};
use crate::domain::package::parts::Document;
use crate::domain::package::resources::Place;

pub(super) const NATIVE: Native = Native {
    name: "create-setters",
    aliases: &[],
    families: &["v0.1"],
    summary: "writes a setter comment behind every value that is or holds the value of a setter",
    kind: None,
    options: &[Opt {
        name: "<setter>",
        required: true,
        text: "the value to look for; a YAML list for lists, in any order",
    }],
    example: "pipeline:
  mutators:
  - image: create-setters:v0.1
    configMap:
      tag: 1.16.1
# image: nginx:1.16.1 gets the comment # kpt-set: nginx:${tag}
",
    notes: "Longer values go first. A list in brackets that matches gets a line for each item. Texts of several lines, the \
            Kptfile and the function's own configuration get no comments. Values that match nothing at all are an \
            error.",
    run,
};

struct Setters {
    /// Value and name; longer values first, then by name.
    scalars: Vec<(String, String)>,
    /// Sorted items and name.
    lists: Vec<(Vec<String>, String)>,
}

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let setters = setters(call)?;
    call.can_look(&["data"], setters.scalars.len() + setters.lists.len())?;
    let own = call.config_at.place.clone();
    let places: Vec<Place> = call.values().into_iter().map(|(place, _)| place).filter(|place| *place != own).collect();
    for place in &places {
        mark_lists(call, place, &setters)?;
        mark_scalars(call, place, &setters);
    }
    if call.results.is_empty() {
        let hint = "write values as they stand in the package";
        return Err(call.wrong(&["data"], "no matches for the input list of setters", hint));
    }
    Ok(())
}

fn setters(call: &Call<'_>) -> Result<Setters, FunctionError> {
    let data = call.data()?;
    if data.is_empty() {
        return Err(call.wrong(&["data"], "no setters are given", "write at least one as name: value"));
    }
    let mut setters = Setters { scalars: Vec::new(), lists: Vec::new() };
    for (name, text) in data {
        if text.is_empty() {
            return Err(call.wrong(
                &["data", &name],
                format!("setter {name} has no value"),
                "write the value to look for",
            ));
        }
        match list(&text) {
            Some(items) => setters.lists.push((items, name)),
            None => setters.scalars.push((text, name)),
        }
    }
    setters.scalars.sort_by(|(a, m), (b, n)| b.len().cmp(&a.len()).then_with(|| m.cmp(n)));
    Ok(setters)
}

/// The sorted texts of a YAML list.
fn list(text: &str) -> Option<Vec<String>> {
    let file = YamlFile::parse(format!("l:\n{text}").as_bytes(), &Limits::default())
        .or_else(|_| YamlFile::parse(format!("l: {text}").as_bytes(), &Limits::default()));
    let file = file.ok()?;
    spots(Document { file: &file, index: 0, lines_before: 0 }).into_iter().find_map(|spot| match spot.what {
        What::List { items, .. } if spot.shown == "l" => Some(sorted(&items)),
        _ => None,
    })
}

fn sorted(items: &[String]) -> Vec<String> {
    let mut items = items.to_vec();
    items.sort();
    items
}

impl Setters {
    /// The text with every setter's value replaced by its name; `None` when it holds none.
    fn pattern(&self, text: &str) -> Option<String> {
        let mut pattern = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if let Some((value, name)) = self.scalars.iter().find(|(value, _)| rest.starts_with(value.as_str())) {
                pattern.push_str(&format!("${{{name}}}"));
                rest = &rest[value.len()..];
            } else {
                pattern.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
        (pattern != text).then_some(pattern)
    }
}

fn mark_lists(call: &mut Call<'_>, place: &Place, setters: &Setters) -> Result<(), FunctionError> {
    let found = call.resources.document(place).map(spots).unwrap_or_default();
    for spot in found {
        let What::List { items, flow } = &spot.what else { continue };
        let name = setters.lists.iter().find(|(values, _)| *values == sorted(items)).map(|(_, name)| name);
        let open =
            *flow && !items.is_empty() && (name.is_some() || items.iter().any(|item| setters.pattern(item).is_some()));
        let path = refs(&spot.path);
        if open {
            in_lines(call, place, &path)?;
        }
        if let Some(name) = name {
            let comment = format!("{MARK} ${{{name}}}");
            let told = format!("Added line comment {comment:?} for field with value \"[{}]\"", sorted(items).join(" "));
            add(call, place, &path, &comment, told);
        }
    }
    Ok(())
}

/// Gives every item of a list in brackets its own line.
fn in_lines(call: &mut Call<'_>, place: &Place, path: &[&str]) -> Result<(), FunctionError> {
    let value = call.resources.value(place);
    let items = at(&value, path).and_then(Value::as_array).cloned().unwrap_or_default();
    let comment = call.resources.document(place).and_then(|found| {
        let node = found.at(path)?;
        found.file.comment(node.last_line).map(str::to_owned)
    });
    call.set_list(place, path, &items, &comment.unwrap_or_default()).map(|_| ())
}

fn mark_scalars(call: &mut Call<'_>, place: &Place, setters: &Setters) {
    let found = call.resources.document(place).map(spots).unwrap_or_default();
    for spot in found {
        let What::Scalar { text, .. } = &spot.what else { continue };
        let Some(pattern) = setters.pattern(text).filter(|_| !text.contains('\n')) else { continue };
        let comment = format!("{MARK} {pattern}");
        let told = format!("Added line comment {comment:?} for field with value {text:?}");
        add(call, place, &refs(&spot.path), &comment, told);
    }
}

/// A comment, or a warning where none can stand.
fn add(call: &mut Call<'_>, place: &Place, path: &[&str], comment: &str, told: String) {
    if call.set_comment(place, path, comment).is_ok() {
        call.remark(place, path, told);
    } else {
        let origin = call.origin(place, path);
        let message = format!("no comment {comment:?} can stand here; give the value a line of its own");
        call.warn(message, Some(origin));
    }
}
