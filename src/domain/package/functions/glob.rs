//! Path patterns: `*`, `?`, `[class]`, `{a,b}`, and `**` for any number of directories.

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::domain::package) struct Pattern {
    /// Without braces; any of them may match.
    alternatives: Vec<Vec<Step>>,
}

/// What one directory or file may be called.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// `**`.
    Any,
    Name(Vec<Sign>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Sign {
    /// `*`.
    Any,
    /// `?`.
    One,
    Char(char),
    /// What stands between the brackets.
    Class(Vec<char>),
}

/// The names on a `/`-separated path, as patterns look at them.
pub(in crate::domain::package) fn names(path: &str) -> Vec<Vec<char>> {
    path.split('/').map(|name| name.chars().collect()).collect()
}

impl Pattern {
    /// Reads a pattern; `None` when it is none: a bracket or a brace is not closed, or nothing is behind a backslash.
    pub(in crate::domain::package) fn read(pattern: &str) -> Option<Self> {
        let steps = |alternative: &String| alternative.split('/').map(step).collect::<Option<Vec<Step>>>();
        let alternatives = alternatives(pattern)?;
        Some(Self { alternatives: alternatives.iter().map(steps).collect::<Option<_>>()? })
    }

    /// Whether a path matches as a whole.
    pub(in crate::domain::package) fn matches(&self, path: &[Vec<char>]) -> bool {
        let is_any = |step: &Step| *step == Step::Any;
        let fits = |step: &Step, name: &Vec<char>| match step {
            Step::Any => true,
            Step::Name(signs) => wild(signs, name, |sign| *sign == Sign::Any, |sign, c| sign.fits(*c)),
        };
        self.alternatives.iter().any(|steps| wild(steps, path, is_any, fits))
    }
}

/// Whether items match a pattern as a whole, in which some entries stand for any number of items.
///
/// Only the last such entry that was met is ever tried with more items: whatever an earlier one could take instead, this
/// one can. So it takes the product of both lengths at most.
pub(in crate::domain::package) fn wild<P, T>(
    pattern: &[P],
    items: &[T],
    is_any: impl Fn(&P) -> bool,
    fits: impl Fn(&P, &T) -> bool,
) -> bool {
    let (mut at, mut item) = (0, 0);
    // Behind the last entry for any number: where the pattern and the items go on when it takes one more.
    let mut again: Option<(usize, usize)> = None;
    while item < items.len() {
        match pattern.get(at) {
            Some(entry) if is_any(entry) => {
                at += 1;
                again = Some((at, item));
            }
            Some(entry) if fits(entry, &items[item]) => {
                at += 1;
                item += 1;
            }
            _ => {
                let Some((behind, taken)) = again else { return false };
                again = Some((behind, taken + 1));
                (at, item) = (behind, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(is_any)
}

fn step(text: &str) -> Option<Step> {
    if text == "**" {
        return Some(Step::Any);
    }
    let mut signs = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        signs.push(match c {
            '*' => Sign::Any,
            '?' => Sign::One,
            '[' => Sign::Class(class(&mut rest)?),
            '\\' => Sign::Char(rest.next()?),
            c => Sign::Char(c),
        });
    }
    Some(Step::Name(signs))
}

/// What stands up to the bracket that closes; the first character of a class may be one.
fn class(rest: &mut std::str::Chars<'_>) -> Option<Vec<char>> {
    let mut class = vec![rest.next()?];
    loop {
        match rest.next()? {
            ']' => return Some(class),
            c => class.push(c),
        }
    }
}

/// A pattern without braces for every choice that its braces leave; at most 64.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    let mut open = vec![pattern.to_owned()];
    let mut done = Vec::new();
    while let Some(next) = open.pop() {
        let Some(start) = opening(&next) else {
            done.push(next);
            continue;
        };
        let end = start + next[start..].find('}')?;
        let choices: Vec<&str> = next[start + 1..end].split(',').collect();
        if open.len() + done.len() + choices.len() > 64 {
            return None;
        }
        open.extend(choices.iter().map(|choice| format!("{}{choice}{}", &next[..start], &next[end + 1..])));
    }
    Some(done)
}

/// The last opening brace that no backslash escapes: nothing is nested in it.
fn opening(pattern: &str) -> Option<usize> {
    let mut found = None;
    let mut escaped = false;
    for (at, c) in pattern.char_indices() {
        if c == '{' && !escaped {
            found = Some(at);
        }
        escaped = c == '\\' && !escaped;
    }
    found
}

impl Sign {
    fn fits(&self, c: char) -> bool {
        match self {
            Self::Any | Self::One => true,
            Self::Char(wanted) => *wanted == c,
            Self::Class(class) => holds(class, c),
        }
    }
}

fn holds(class: &[char], c: char) -> bool {
    let (negated, set) = match class {
        ['^' | '!', set @ ..] => (true, set),
        set => (false, set),
    };
    let mut rest = set;
    let mut inside = false;
    while let [first, ..] = rest {
        if let [from, '-', to, after @ ..] = rest {
            inside |= (*from..=*to).contains(&c);
            rest = after;
        } else {
            inside |= *first == c;
            rest = &rest[1..];
        }
    }
    inside != negated
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, path: &str) -> Option<bool> {
        Some(Pattern::read(pattern)?.matches(&names(path)))
    }

    #[test]
    fn the_documented_examples_hold() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("**/baz.yaml", &["foo/bar/baz.yaml", "bar/baz.yaml", "baz.yaml"], &["foo/bar/bat.yaml"]),
            (
                "foo/**/baz.yaml",
                &["foo/bar/baz.yaml", "foo/bar/bor/baz.yaml", "foo/baz.yaml"],
                &["bar/baz.yaml", "baz.yaml"],
            ),
            ("foo/*/baz.yaml", &["foo/bar/baz.yaml"], &["bar/baz.yaml", "foo/bar/bor/baz.yaml"]),
            ("foo/bar/*.yaml", &["foo/bar/baz.yaml", "foo/bar/bat.yaml"], &["bar/baz.yaml", "foo/bar/x/y.yaml"]),
            ("{a,b}?.yaml", &["ax.yaml", "by.yaml"], &["a.yaml", "cx.yaml"]),
            ("[a-c][!0-9].yaml", &["ax.yaml"], &["a1.yaml", "dx.yaml"]),
            ("a\\*.yaml", &["a*.yaml"], &["ab.yaml"]),
            ("path/to/**.txt", &["path/to/x.txt"], &["path/to/y/x.txt"]),
        ];
        for (pattern, yes, no) in table {
            for path in *yes {
                assert_eq!(matches(pattern, path), Some(true), "{pattern} {path}");
            }
            for path in *no {
                assert_eq!(matches(pattern, path), Some(false), "{pattern} {path}");
            }
        }
        for broken in ["a[b", "a{b", "a\\"] {
            assert_eq!(matches(broken, "x"), None, "{broken}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let name = "a".repeat(255);
        assert_eq!(matches(&format!("{}b", "*a".repeat(20)), &name), Some(false));
        assert_eq!(matches(&format!("{}*", "*a".repeat(20)), &name), Some(true));
        let path = vec!["a"; 255].join("/");
        assert_eq!(matches(&format!("{}b", "**/a/".repeat(20)), &path), Some(false));
        assert_eq!(matches(&format!("{}**", "**/a/".repeat(20)), &path), Some(true));
    }

    /// Every way in which the first step, or the first sign, of a pattern may match is tried.
    fn slow(pattern: &str, path: &str) -> bool {
        fn steps(pattern: &[&str], path: &[&str]) -> bool {
            let Some((first, rest)) = pattern.split_first() else { return path.is_empty() };
            if *first == "**" {
                return (0..=path.len()).any(|skipped| steps(rest, &path[skipped..]));
            }
            path.split_first().is_some_and(|(name, below)| signs(first, name) && steps(rest, below))
        }
        fn signs(pattern: &str, name: &str) -> bool {
            match pattern.as_bytes().first() {
                None => name.is_empty(),
                Some(b'*') => (0..=name.len()).any(|taken| signs(&pattern[1..], &name[taken..])),
                Some(b'[') => {
                    let end = pattern.find(']').unwrap();
                    let (set, is_negated) = (pattern[1..end].trim_start_matches('!'), pattern[1..].starts_with('!'));
                    let fits = |c: char| set.contains(c) != is_negated;
                    name.chars().next().is_some_and(fits) && signs(&pattern[end + 1..], &name[1..])
                }
                Some(b'\\') => name.starts_with(&pattern[1..2]) && signs(&pattern[2..], &name[1..]),
                Some(sign) => {
                    name.chars().next().is_some_and(|c| *sign == b'?' || char::from(*sign) == c)
                        && signs(&pattern[1..], &name[1..])
                }
            }
        }
        steps(&pattern.split('/').collect::<Vec<_>>(), &path.split('/').collect::<Vec<_>>())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn what_matches_is_what_matches_when_every_way_is_tried(
            pattern in r"(a|b|\*|\*|\?|/|/\*\*/|\[ab\]|\[!a\]|\\a|\\\*){0,8}",
            path in "[ab/*]{0,8}",
        ) {
            prop_assert_eq!(matches(&pattern, &path), Some(slow(&pattern, &path)));
        }
    }
}
