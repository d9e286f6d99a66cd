//! Path patterns: `*`, `?`, `[class]`, `{a,b}`, and `**` for any number of directories.

/// Whether a `/`-separated path matches a pattern as a whole; `None` when the pattern is not one.
pub(in crate::domain::package) fn matches(pattern: &str, path: &str) -> Option<bool> {
    let alternatives = alternatives(pattern)?;
    let path: Vec<&str> = path.split('/').collect();
    let mut any = false;
    for alternative in alternatives {
        if !is_whole(&alternative) {
            return None;
        }
        let parts: Vec<Vec<char>> = alternative.split('/').map(|part| part.chars().collect()).collect();
        any |= directories(&parts, &path)?;
    }
    Some(any)
}

/// Whether every bracket is closed and every backslash has something behind it.
fn is_whole(pattern: &str) -> bool {
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let whole = match c {
            '\\' => chars.next().is_some(),
            // The first character of a class may be a bracket.
            '[' => chars.next().is_some() && chars.any(|c| c == ']'),
            _ => true,
        };
        if !whole {
            return false;
        }
    }
    true
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

fn directories(pattern: &[Vec<char>], path: &[&str]) -> Option<bool> {
    let Some((first, rest)) = pattern.split_first() else { return Some(path.is_empty()) };
    if first[..] == ['*', '*'] {
        for skipped in 0..=path.len() {
            if directories(rest, &path[skipped..])? {
                return Some(true);
            }
        }
        return Some(false);
    }
    match path.split_first() {
        Some((name, below)) => {
            let name: Vec<char> = name.chars().collect();
            Some(one(first, &name)? && directories(rest, below)?)
        }
        None => Some(false),
    }
}

fn one(pattern: &[char], name: &[char]) -> Option<bool> {
    let Some((first, rest)) = pattern.split_first() else { return Some(name.is_empty()) };
    match first {
        '*' => {
            for taken in 0..=name.len() {
                if one(rest, &name[taken..])? {
                    return Some(true);
                }
            }
            Some(false)
        }
        '[' => {
            let end = rest.iter().skip(1).position(|c| *c == ']')? + 1;
            let Some((c, below)) = name.split_first() else { return Some(false) };
            Some(class(&rest[..end], *c) && one(&rest[end + 1..], below)?)
        }
        '\\' => {
            let (literal, rest) = rest.split_first()?;
            name.split_first().map_or(Some(false), |(c, below)| Some(c == literal && one(rest, below)?))
        }
        c => name
            .split_first()
            .map_or(Some(false), |(found, below)| Some((*c == '?' || c == found) && one(rest, below)?)),
    }
}

fn class(class: &[char], c: char) -> bool {
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
    use super::*;

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
}
