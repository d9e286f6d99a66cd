//! Flags that kpt takes for all its commands, as `fn` and `pkg` are given them.

use std::ffi::OsString;

/// The verbs that kpt has too.
const VERBS: [&str; 3] = ["fn", "functions", "pkg"];

/// The words of a command line, without what only kpt means by them: `-v LEVEL` becomes `-v`, or nothing for level 0.
pub(super) fn understood(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let words: Vec<OsString> = words.into_iter().collect();
    let verb = words.iter().skip(1).find(|word| !word.as_encoded_bytes().starts_with(b"-"));
    if !verb.and_then(|verb| verb.to_str()).is_some_and(|verb| VERBS.contains(&verb)) {
        return words;
    }
    let mut kept = Vec::new();
    let mut rest = words.into_iter().peekable();
    while let Some(word) = rest.next() {
        if word == "--" {
            kept.push(word);
            kept.extend(rest);
            return kept;
        }
        let next = rest.peek().and_then(|next| next.to_str()).filter(|_| word == "-v" || word == "--v");
        let own = word.to_str().and_then(attached);
        let separate = next.and_then(|next| next.parse::<u8>().ok());
        if own.is_none() && separate.is_some() {
            rest.next();
        }
        match own.or(separate) {
            None => kept.push(word),
            // It may be given once.
            Some(level) if level == 0 || kept.iter().any(|kept| kept == "-v") => {}
            Some(_) => kept.push("-v".into()),
        }
    }
    kept
}

/// The level of `-v=3`, `-v3` and `--v=3`.
fn attached(word: &str) -> Option<u8> {
    let level = word.strip_prefix("--v=").or_else(|| {
        let rest = word.strip_prefix("-v")?;
        Some(rest.strip_prefix('=').unwrap_or(rest))
    })?;
    level.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_taken_as_kpt_takes_them() {
        for (line, expected) in [
            ("fn render -v 3", "fn render -v"),
            ("fn render -v 3 pkg", "fn render -v pkg"),
            ("fn render -v3 pkg", "fn render -v pkg"),
            ("fn render -v=3 --v=2 --v 1 pkg", "fn render -v pkg"),
            ("-v0 functions render", "functions render"),
            ("pkg get -v 4 repo dir", "pkg get -v repo dir"),
            ("fn render -v pkg", "fn render -v pkg"),
            ("fn eval -i f -- -v 3", "fn eval -i f -- -v 3"),
            ("render -v 3", "render -v 3"),
        ] {
            let words = |line: &str| -> Vec<OsString> {
                ["loggia"].into_iter().chain(line.split(' ')).map(OsString::from).collect()
            };
            assert_eq!(understood(words(line)), words(expected), "{line}");
        }
    }
}
