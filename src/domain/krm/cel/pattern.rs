//! Regular expressions as Go reads them (RE2), with the `regex` crate.

use regex::{Regex, RegexBuilder};

/// Most memory of a compiled pattern, in bytes.
const MOST_BYTES: usize = 10 << 20;

/// Compiles a pattern.
///
/// # Errors
/// What is wrong with it, in words after those of Go.
pub(super) fn compile(text: &str) -> Result<Regex, String> {
    let shown = |error: &regex::Error| {
        format!(
            "error parsing regexp: {}: `{}`",
            reason(&error.to_string()),
            text.chars().take(200).collect::<String>()
        )
    };
    RegexBuilder::new(&translate(text)).size_limit(MOST_BYTES).nest_limit(100).build().map_err(|error| shown(&error))
}

/// What Go says of a fault that the crate words otherwise.
fn reason(error: &str) -> &'static str {
    const REASONS: [(&str, &str); 7] = [
        ("unclosed group", "missing closing )"),
        ("unopened group", "unexpected )"),
        ("unclosed character class", "missing closing ]"),
        ("repetition operator missing expression", "missing argument to repetition operator"),
        ("invalid character class range", "invalid character class range"),
        ("escape", "invalid escape sequence"),
        ("size", "expression too large"),
    ];
    REASONS.iter().find(|(word, _)| error.contains(word)).map_or("invalid syntax", |(_, reason)| reason)
}

/// The same pattern in the words of the crate: its classes `\d`, `\w`, `\s` know all of Unicode where those of Go know
/// ASCII, and within brackets it reads `[`, `&&`, `--` and `~~` as operators where Go reads letters.
fn translate(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '\\' => escaped(rest, false, &mut out),
            '[' => class(rest, &mut out),
            other => {
                out.push(other);
                other.len_utf8()
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}

fn push(out: &mut String, text: &str, taken: usize) -> usize {
    out.push_str(text);
    taken
}

/// A class: members, each a letter, a named class or a range; a bracket directly after its beginning is a letter. Gives
/// its length.
fn class(text: &str, out: &mut String) -> usize {
    let mut taken =
        push(out, if text.starts_with("[^") { "[^" } else { "[" }, if text.starts_with("[^") { 2 } else { 1 });
    let begin = taken;
    while let Some(rest) = text.get(taken..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(']') && taken > begin {
            return taken + push(out, "]", 1);
        }
        taken += member(rest, out);
        let rest = text.get(taken..).unwrap_or_default();
        let ends = rest.starts_with("-]") || rest == "-";
        if rest.starts_with('-') && !ends && !text.get(..taken).is_some_and(ends_with_class) {
            taken += push(out, "-", 1);
            taken += member(text.get(taken..).unwrap_or_default(), out);
        }
    }
    taken
}

/// Whether a text ends with a class such as `\d` or `[:alpha:]`, which begins no range.
fn ends_with_class(text: &str) -> bool {
    let letter = text.strip_suffix(['d', 'D', 'w', 'W', 's', 'S']);
    text.ends_with(":]") || letter.is_some_and(|before| (before.len() - before.trim_end_matches('\\').len()) % 2 == 1)
}

fn member(rest: &str, out: &mut String) -> usize {
    match rest.chars().next() {
        Some('\\') => escaped(rest, true, out),
        Some('[') if rest.starts_with("[:") => class_name(rest, out),
        Some(letter @ ('[' | ']' | '&' | '~' | '-' | '^')) => push(out, &format!("\\{letter}"), 1),
        Some(letter) => {
            out.push(letter);
            letter.len_utf8()
        }
        None => 0,
    }
}

fn class_name(rest: &str, out: &mut String) -> usize {
    match rest.find(":]") {
        Some(end) => push(out, rest.get(..end + 2).unwrap_or_default(), end + 2),
        None => push(out, "\\[", 1),
    }
}

fn escaped(rest: &str, within: bool, out: &mut String) -> usize {
    let classes = [('d', "0-9"), ('w', "0-9A-Za-z_"), ('s', "\\t\\n\\x0C\\r ")];
    let Some(kind) = rest.chars().nth(1) else { return push(out, "\\", 1) };
    let class = classes.iter().find(|(letter, _)| letter.eq_ignore_ascii_case(&kind)).map(|(_, class)| class);
    match (kind, class) {
        (_, Some(class)) => {
            let negated = if kind.is_ascii_uppercase() { "^" } else { "" };
            out.push_str(&if within && negated.is_empty() {
                (*class).to_owned()
            } else {
                format!("[{negated}{class}]")
            });
            2
        }
        ('b' | 'B', _) => {
            out.push_str(&format!("(?-u:\\{kind})"));
            2
        }
        ('Q', _) => {
            let quoted = rest.get(2..).unwrap_or_default();
            let (quoted, taken) =
                quoted.find("\\E").map_or((quoted, rest.len()), |end| (quoted.get(..end).unwrap_or_default(), end + 4));
            push(out, &regex::escape(quoted), taken)
        }
        _ => {
            out.push('\\');
            out.push(kind);
            1 + kind.len_utf8()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_to_go() {
        let table = [
            (r"^\d+$", "12", true),
            (r"^\d+$", "١٢", false),
            (r"^[\w-]+$", "a-b_1", true),
            (r"^[^\D]+$", "12", true),
            (r"^[[]$", "[", true),
            (r"^[a&&b]+$", "&a", true),
            (r"^[]a]+$", "]a", true),
            (r"^[^]a]+$", "]", false),
            (r"^[+--]+$", ",-+", true),
            (r"^[\d-z]+$", "5-z", true),
            (r"^[\d-f]+$", "e", false),
            (r"^[a-]+$", "-a", true),
            (r"^[^[\]]+$", "a[b", false),
            (r"^[é-ü]+$", "é", true),
            (r"^[[:alpha:]]+$", "ab", true),
            (r"\Qa.b\E$", "a.b", true),
            (r"\Qa.b\E$", "axb", false),
            (r"(?i)^ab$", "AB", true),
            (r"\bfoo\b", "a foo b", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(compile(pattern).unwrap().is_match(text), expected, "{pattern} {text}");
        }
        assert!(compile("(").is_err());
        assert!(compile("((a{1000}){1000}){1000}").is_err());
    }
}
