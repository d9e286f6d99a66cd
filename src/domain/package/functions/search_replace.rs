//! `search-replace`: finds fields by value, by pattern, by path and by file, and gives them another value or a comment.

use regex::Regex;
use serde_json::Value;

use super::glob::{self, Pattern};
use super::scalar::key_in;
use super::spots::{Spot, What, spots};
use super::{Call, FunctionError, Native, Opt, at, is_kptfile, refs};
use crate::domain::package::resources::Place;

const KEYS: &[&str] = &["by-value", "by-value-regex", "by-path", "by-file-path", "put-value", "put-comment"];

pub(super) const NATIVE: Native = Native {
    name: "search-replace",
    aliases: &[],
    families: &["v0.1", "v0.2"],
    summary: "finds fields by value, path and file, and sets their values or comments",
    kind: None,
    options: &[
        Opt { name: "by-value", required: false, text: "the value of a field" },
        Opt { name: "by-value-regex", required: false, text: "an RE2 pattern for the whole value; not with by-value" },
        Opt {
            name: "by-path",
            required: false,
            text: "path of the field: a.b[0].c, * for one step, ** for any, [*] for any item",
        },
        Opt {
            name: "by-file-path",
            required: false,
            text: "file, from the package's directory: *, **, ?, [class], {a,b}",
        },
        Opt { name: "put-value", required: false, text: "the new value; ${1} is the first group of by-value-regex" },
        Opt { name: "put-comment", required: false, text: "the new comment at the line's end; with groups too" },
    ],
    example: "pipeline:
  mutators:
  - image: search-replace:v0.2
    configMap:
      by-value-regex: something-(.*)
      put-value: my-${1}
",
    notes: "All that is given must match. A plain by-path (no *, no index, no value) with put-value makes the field. Without \
            put-value and put-comment the results list what matches. v0.1 and v0.2 match by-value-regex anywhere in a \
            value, as their images do; write ^...$ to mean all of it. The Kptfile is searched too; only what configures the \
            function itself is left as it is.",
    run,
};

struct Search {
    file: Option<Pattern>,
    value: Option<String>,
    regex: Option<Regex>,
    path: Option<String>,
    put_value: Option<String>,
    put_comment: Option<String>,
}

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let search = search(call)?;
    let mut count = 0;
    for place in call.places.clone() {
        if search.file.as_ref().is_some_and(|pattern| !is_file(call, pattern, &place)) {
            continue;
        }
        count += match search.made() {
            Some((path, text)) => make(call, &place, path, text)?,
            None => search.apply(call, &place)?,
        };
    }
    if count == 0 {
        call.info("no matches");
    }
    Ok(())
}

fn search(call: &Call<'_>) -> Result<Search, FunctionError> {
    let data = call.data()?;
    call.only(&["data"], KEYS)?;
    let given = |key: &str| data.get(key).filter(|text| !text.is_empty()).cloned();
    if given("by-value").is_some() && given("by-value-regex").is_some() {
        let message = "both by-value and by-value-regex are given";
        return Err(call.wrong(&["data", "by-value-regex"], message, "write one of them"));
    }
    let matchers = ["by-value", "by-value-regex", "by-path"];
    if matchers.iter().all(|key| given(key).is_none()) {
        let message = "nothing says which fields are meant";
        return Err(call.wrong(&["data"], message, format!("write one of {}", matchers.join(", "))));
    }
    let regex = given("by-value-regex").map(|pattern| {
        let pinned = call.version.is_one_of(&["v0.1", "v0.2"]);
        let whole = if pinned { pattern } else { format!("^(?:{pattern})$") };
        Regex::new(&whole).map_err(|error| {
            let why = error.to_string().lines().last().unwrap_or_default().to_owned();
            call.wrong(
                &["data", "by-value-regex"],
                format!("by-value-regex is no pattern: {why}"),
                "write an RE2 pattern",
            )
        })
    });
    Ok(Search {
        file: given("by-file-path").map(|pattern| file_pattern(call, &pattern)).transpose()?,
        value: given("by-value"),
        regex: regex.transpose()?,
        path: given("by-path"),
        put_value: given("put-value"),
        put_comment: given("put-comment"),
    })
}

fn file_pattern(call: &Call<'_>, pattern: &str) -> Result<Pattern, FunctionError> {
    Pattern::read(pattern).ok_or_else(|| {
        let message = format!("by-file-path {pattern:?} is no pattern");
        call.wrong(&["data", "by-file-path"], message, "close every [ and {")
    })
}

fn is_file(call: &Call<'_>, pattern: &Pattern, place: &Place) -> bool {
    let relative = place.file.strip_prefix(call.directory).map_or("", |rest| rest.trim_start_matches('/'));
    pattern.matches(&glob::names(relative))
}

/// Sets a field that need not be there.
fn make(call: &mut Call<'_>, place: &Place, path: &str, text: &str) -> Result<usize, FunctionError> {
    let value = call.resources.value(place);
    let path = meant(&value, path);
    let path = refs(&path);
    // A Kptfile with a field that Kptfiles do not have would be none.
    if is_kptfile(&value) && at(&value, &path).is_none() && path.first() != Some(&"metadata") {
        return Ok(0);
    }
    call.fill(place, &path, text)?;
    call.remark(place, &path, format!("Mutated field value to {text:?}"));
    Ok(1)
}

/// A plain path with the keys that the resource has.
fn meant(value: &Value, path: &str) -> Vec<String> {
    let mut here = Some(value);
    let mut key = |text: &str| {
        let key = here.and_then(Value::as_object).and_then(|map| key_in(map, text)).unwrap_or(text).to_owned();
        here = here.and_then(|value| value.get(&key));
        key
    };
    path.split('.').map(&mut key).collect()
}

impl Search {
    /// The path and the value to set there, when the path is plain and nothing else is asked.
    fn made(&self) -> Option<(&str, &str)> {
        let (path, text) = (self.path.as_deref()?, self.put_value.as_deref()?);
        let plain = !path.contains(['*', '[']) && path.split('.').all(|part| !part.is_empty());
        (plain && self.value.is_none() && self.regex.is_none()).then_some((path, text))
    }

    fn apply(&self, call: &mut Call<'_>, place: &Place) -> Result<usize, FunctionError> {
        let found = call.resources.document(place).map(spots).unwrap_or_default();
        let mut count = 0;
        let own = own(call, place);
        for spot in found.into_iter().filter(|spot| !own.as_ref().is_some_and(|own| spot.path.starts_with(own))) {
            let matched = match &spot.what {
                What::Scalar { text, .. } => self.scalar(call, place, &spot, text)?,
                What::List { .. } => self.list(call, place, &spot)?,
            };
            count += usize::from(matched);
        }
        Ok(count)
    }

    fn is_meant(&self, shown: &str, text: &str) -> bool {
        let value = self.value.as_deref().is_none_or(|value| value == text);
        let regex = self.regex.as_ref().is_none_or(|regex| regex.is_match(text));
        value && regex && self.path.as_deref().is_none_or(|path| path_matches(path, shown))
    }

    fn scalar(&self, call: &mut Call<'_>, place: &Place, spot: &Spot, text: &str) -> Result<bool, FunctionError> {
        if !self.is_meant(&spot.shown, text) {
            return Ok(false);
        }
        let path = refs(&spot.path);
        let mut told = text.to_owned();
        if let Some(pattern) = &self.put_value {
            told = self.resolved(call, "put-value", text, pattern)?;
            call.fill(place, &path, &told)?;
        }
        if let Some(pattern) = &self.put_comment {
            let comment = self.resolved(call, "put-comment", text, pattern)?;
            call.set_comment(place, &path, &comment)?;
            told = format!("{told} # {comment}");
        }
        let changed = self.put_value.is_some() || self.put_comment.is_some();
        let verb = if changed { "Mutated field value to" } else { "Matched field value" };
        call.remark(place, &path, format!("{verb} {told:?}"));
        Ok(true)
    }

    /// A list can be given a comment, by its path alone.
    fn list(&self, call: &mut Call<'_>, place: &Place, spot: &Spot) -> Result<bool, FunctionError> {
        let meant = self.path.as_deref().is_some_and(|path| path_matches(path, &spot.shown));
        let Some(comment) =
            self.put_comment.as_deref().filter(|_| meant && self.value.is_none() && self.regex.is_none())
        else {
            return Ok(false);
        };
        let path = refs(&spot.path);
        call.set_comment(place, &path, comment)?;
        call.remark(place, &path, format!("Mutated field value to {:?}", format!("# {comment}")));
        Ok(true)
    }

    /// The pattern with its `${n}` taken from the value.
    fn resolved(&self, call: &Call<'_>, key: &str, text: &str, pattern: &str) -> Result<String, FunctionError> {
        let Some(captures) = self.regex.as_ref().and_then(|regex| regex.captures(text)) else {
            return Ok(pattern.to_owned());
        };
        let mut resolved = pattern.to_owned();
        for (index, group) in captures.iter().enumerate().skip(1) {
            resolved = resolved.replace(&format!("${{{index}}}"), group.map_or("", |group| group.as_str()));
        }
        let numbered = |rest: &str| {
            rest.split_once('}').is_some_and(|(n, _)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        };
        if resolved.split("${").skip(1).any(numbered) {
            let message = format!("{key} {pattern:?} names a group that by-value-regex does not have");
            let hint = "put the part that is meant into parentheses in by-value-regex";
            return Err(call.wrong(&["data", key], message, hint));
        }
        Ok(resolved)
    }
}

/// Where in a resource the function's own configuration stands, which would otherwise be searched for what it says
/// itself.
fn own(call: &Call<'_>, place: &Place) -> Option<Vec<String>> {
    let at = Some(&call.config_at).filter(|at| at.place == *place)?;
    Some(match &at.function {
        Some(function) => [function.as_slice(), &["configMap".to_owned()]].concat(),
        None => vec!["data".to_owned()],
    })
}

/// Whether a path such as `a.b[0].c` is one that a pattern means.
fn path_matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('.').collect();
    let path: Vec<&str> = path.split('.').collect();
    glob::wild(&pattern, &path, |step| *step == "**", |wanted, step| step_matches(wanted, step))
}

fn step_matches(pattern: &str, step: &str) -> bool {
    if pattern == "*" || pattern == step {
        return true;
    }
    let (Some((name, index)), Some((wanted, wanted_index))) = (step.split_once('['), pattern.split_once('[')) else {
        return false;
    };
    (wanted == "*" || wanted == name) && (wanted_index == "*]" || wanted_index == index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_as_documented() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("a.b.c", &["a.b.c"], &["a.b", "a.b.c.d", "a.x.c"]),
            ("a.*.c", &["a.b1.c", "a.b2.c"], &["a.c", "a.b.x.c"]),
            ("a.**.c", &["a.b1.c", "a.b3.d[0].f.c", "a.c", "a.b3.d[1].f.g.c"], &["a.b.d", "b.c"]),
            ("a.b[1].c", &["a.b[1].c"], &["a.b[0].c", "a.b.c"]),
            ("a.b[*].c", &["a.b[0].c", "a.b[12].c"], &["a.c[0].c", "a.b.c"]),
            ("**.image", &["image", "spec.containers[0].image"], &["image.x"]),
        ];
        for (pattern, yes, no) in table {
            assert!(yes.iter().all(|path| path_matches(pattern, path)), "{pattern}");
            assert!(!no.iter().any(|path| path_matches(pattern, path)), "{pattern}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let path = vec!["a"; 255].join(".");
        assert!(!path_matches(&format!("{}b", "**.a.".repeat(20)), &path));
        assert!(path_matches(&format!("{}**", "**.a.".repeat(20)), &path));
    }
}
