//! Ranges of versions, as kpt reads the `tag` of a function and as people write behind a repository.
//!
//! Source: the documentation of Masterminds/semver, which kpt reads constraints with: `||` between alternatives, commas
//! or spaces between what must hold together, `=`, `!=`, `<`, `<=`, `>`, `>=`, `~`, `^`, `1.2 - 1.4` with both ends in
//! it, and `x` or `*` for any number. A version without an operator is that version.

use semver::{Comparator, Op, Prerelease, Version, VersionReq};

/// A range of versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    alternatives: Vec<Together>,
}

/// What must hold together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Together {
    within: VersionReq,
    /// What is behind `!=`.
    without: Vec<VersionReq>,
}

/// Operators, each before those that it begins with, and how they are written here.
const OPERATORS: [(&str, &str); 11] = [
    ("!=", "!="),
    (">=", ">="),
    ("=>", ">="),
    ("<=", "<="),
    ("=<", "<="),
    ("~>", "~"),
    ("=", "="),
    (">", ">"),
    ("<", "<"),
    ("~", "~"),
    ("^", "^"),
];

impl Versions {
    /// Reads a range; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let alternatives = text.split("||").map(Together::parse).collect::<Option<_>>()?;
        Some(Self { alternatives })
    }

    /// Reads what can only be a range, and not also the name of a tag or a branch.
    #[must_use]
    pub fn parse_marked(text: &str) -> Option<Self> {
        let is_open = matches!(text.rsplit_once('.'), Some((_, "x" | "X" | "*")));
        let is_marked = text.starts_with(['^', '~', '>', '<', '=', '*', '!']);
        let is_joined = text.contains(" - ") || text.contains("||");
        if is_open || is_marked || is_joined { Self::parse(text) } else { None }
    }

    /// Whether a version is in the range. One before a release (`1.2.0-rc.1`) is in those alone that name such a one,
    /// be it of other numbers: `>=1.0.0-0` holds all of them from there on.
    #[must_use]
    pub fn holds(&self, version: &Version) -> bool {
        self.alternatives.iter().any(|one| one.holds(version))
    }
}

impl Together {
    fn holds(&self, version: &Version) -> bool {
        if version.pre.is_empty() {
            return self.within.matches(version) && !self.without.iter().any(|without| without.matches(version));
        }
        let names_early = |range: &VersionReq| range.comparators.iter().any(|one| !one.pre.is_empty());
        let is_in = |range: &VersionReq| range.comparators.iter().all(|one| reaches(one, version));
        (names_early(&self.within) || self.without.iter().any(names_early))
            && is_in(&self.within)
            && !self.without.iter().any(is_in)
    }

    fn parse(text: &str) -> Option<Self> {
        let words = words(text);
        let mut found = Self::default();
        let mut within = Vec::new();
        for (operator, version) in ends_joined(&words)? {
            let version = version_of(version);
            match (operator, version.as_str()) {
                ("!=", "*") => return None,
                (_, "*") => within.push(version),
                ("!=", _) => found.without.push(VersionReq::parse(&format!("={version}")).ok()?),
                _ => within.push(format!("{operator}{version}")),
            }
        }
        if within.is_empty() && found.without.is_empty() {
            return None;
        }
        let within: Vec<String> = within.into_iter().filter(|comparator| comparator != "*").collect();
        found.within = if within.is_empty() { VersionReq::STAR } else { VersionReq::parse(&within.join(", ")).ok()? };
        Some(found)
    }
}

/// Whether a version before a release is where a comparator says, by the order of versions alone.
fn reaches(one: &Comparator, version: &Version) -> bool {
    let (Some(minor), Some(patch)) = (one.minor, one.patch) else {
        return one.matches(&Version { pre: Prerelease::EMPTY, ..version.clone() });
    };
    let end = Version { pre: one.pre.clone(), ..Version::new(one.major, minor, patch) };
    let order = version.cmp_precedence(&end);
    let is_near = |same: usize| {
        let [own, other] = [version, &end].map(|one| [one.major, one.minor, one.patch]);
        order.is_ge() && own[..same] == other[..same]
    };
    match one.op {
        Op::Exact => order.is_eq(),
        Op::Greater => order.is_gt(),
        Op::GreaterEq => order.is_ge(),
        Op::Less => order.is_lt(),
        Op::LessEq => order.is_le(),
        Op::Tilde => is_near(2),
        // The first number that is not 0 stays, and what is before it.
        Op::Caret => is_near([one.major, minor, 1].iter().position(|number| *number != 0).unwrap_or(2) + 1),
        _ => false,
    }
}

/// The operators and versions in a text; a dash alone is one word.
fn words(text: &str) -> Vec<(&'static str, &str)> {
    let mut words: Vec<(&'static str, &str)> = Vec::new();
    for word in text.split([',', ' ', '\t']).filter(|word| !word.is_empty()) {
        let known = OPERATORS.iter().find_map(|(written, means)| Some((*means, word.strip_prefix(written)?)));
        match (words.last_mut(), known) {
            (Some((_, version)), None) if version.is_empty() => *version = word,
            (_, known) => words.push(known.unwrap_or(("=", word))),
        }
    }
    words
}

/// With `1 - 2` as what it stands for.
fn ends_joined<'t>(words: &[(&'static str, &'t str)]) -> Option<Vec<(&'static str, &'t str)>> {
    let mut joined: Vec<(&'static str, &'t str)> = Vec::new();
    let mut words = words.iter();
    while let Some((operator, version)) = words.next() {
        if *version == "-" {
            let (first, last) = (joined.last_mut()?, words.next()?);
            if first.0 != "=" || last.0 != "=" {
                return None;
            }
            first.0 = ">=";
            joined.push(("<=", last.1));
        } else {
            joined.push((operator, version));
        }
    }
    Some(joined)
}

/// A version without `v`, and without the numbers that may be any.
fn version_of(text: &str) -> String {
    let text = text.strip_prefix('v').unwrap_or(text);
    let numbers: Vec<&str> = text.split('.').take_while(|part| !matches!(*part, "x" | "X" | "*")).collect();
    if numbers.is_empty() { "*".to_owned() } else { numbers.join(".") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_they_say() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("0.4.1 - 0.4.3", &["0.4.1", "0.4.3"], &["0.4.0", "0.4.4", "0.5.0"]),
            ("1.0 - 1.1", &["1.0.0", "1.1.9"], &["0.9.9", "1.2.0"]),
            ("v1.0.0 - v1.1.0", &["1.0.0", "1.1.0"], &["1.1.1"]),
            ("1 - 2, !=1.5.x", &["1.4.0", "2.9.9"], &["1.5.3", "3.0.0"]),
            ("!=0.4.1", &["0.4.0", "0.4.2", "7.0.0"], &["0.4.1"]),
            ("!= 0.4", &["0.3.0", "0.5.0"], &["0.4.0", "0.4.9"]),
            ("0.4.1", &["0.4.1"], &["0.4.2", "0.5.0"]),
            ("0.4", &["0.4.0", "0.4.7"], &["0.5.0"]),
            ("=v1.2.3", &["1.2.3"], &["1.2.4"]),
            ("~>1.2", &["1.2.9"], &["1.3.0"]),
            ("=>1.2, =<1.3", &["1.2.0", "1.3.9"], &["1.1.0", "1.4.0"]),
            (">= 1.2 < 2", &["1.2.0", "1.9.0"], &["2.0.0"]),
            (">1.2.x", &["1.3.0"], &["1.2.9"]),
            ("^1.2 || 3.x", &["1.9.0", "3.1.0"], &["2.0.0"]),
            ("*", &["0.0.1", "9.0.0"], &["9.0.0-rc.1"]),
            (">=2.0.0-rc.0", &["2.0.0-rc.1", "2.0.0"], &["1.0.0"]),
            // What Masterminds/semver v3.4.0 answers.
            (">=1.0.0-0", &["1.0.0-alpha", "1.2.0-rc.1", "2.0.0-rc.1", "1.5.0"], &["0.3.0-a"]),
            ("^1.2.0-0", &["1.2.0-rc.1", "1.9.0-rc.1", "1.5.0"], &["1.0.0-alpha", "2.0.0-rc.1"]),
            ("~1.2.0-0", &["1.2.0-rc.1", "1.2.5-rc.1"], &["1.3.0-rc.1", "1.5.0"]),
            ("^0.2.0-0", &["0.2.1-a"], &["0.3.0-a", "0.0.4-b"]),
            ("^0.0.3-0", &["0.0.3-b"], &["0.0.4-b", "0.2.1-a"]),
            (">=1.0.0-0 <2.0.0", &["1.9.0-rc.1", "2.0.0-rc.1"], &["2.0.0", "0.3.0-a"]),
            (">=1.0.0-0 <2.0.0-0", &["1.9.0-rc.1", "1.5.0"], &["2.0.0-rc.1"]),
            ("1.0.0-0 - 2.0.0-0", &["1.0.0-alpha", "1.9.0-rc.1"], &["2.0.0-rc.1"]),
            ("1.2.0-rc.1", &["1.2.0-rc.1"], &["1.2.5-rc.1", "1.2.0"]),
            (">1.2.0-rc.1", &["1.2.5-rc.1", "2.0.0-rc.1"], &["1.2.0-rc.1", "1.0.0-alpha"]),
            (">=1.0.0-0, !=1.5.0-rc.1", &["1.3.0-rc.1", "1.5.0"], &["1.5.0-rc.1"]),
            (">=1.0.0-0, !=1.5.0", &["1.5.0-rc.1"], &["1.5.0"]),
            ("!=1.2.0-rc.1", &["1.0.0-alpha", "0.3.0-a", "1.5.0"], &["1.2.0-rc.1"]),
        ];
        for (text, inside, outside) in table {
            let range = Versions::parse(text).unwrap_or_else(|| unreachable!("{text} is a range"));
            for (versions, expected) in [(inside, true), (outside, false)] {
                for version in *versions {
                    assert_eq!(range.holds(&Version::parse(version).unwrap()), expected, "{text}: {version}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_range_is_none() {
        for text in ["", "newest", "1 -", "- 1", "1 - >2", ">", "!=*", "1.2.3.4", "1 || ", "^"] {
            assert_eq!(Versions::parse(text), None, "{text:?}");
        }
        for text in ["v1.2.3", "main", "1.2", "a-b", "release-1.x-y"] {
            assert_eq!(Versions::parse_marked(text), None, "{text:?}");
        }
    }
}
