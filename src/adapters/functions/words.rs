//! A command line as words, by the quoting rules of a shell and nothing else of it.

/// The words; `None` when a quote is not closed.
pub(super) fn split(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => word.get_or_insert_default().push_str(&single(&mut chars)?),
            '"' => word.get_or_insert_default().push_str(&double(&mut chars)?),
            '\\' => word.get_or_insert_default().push(chars.next()?),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

fn single(chars: &mut std::str::Chars<'_>) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.next()? {
            '\'' => return Some(text),
            c => text.push(c),
        }
    }
}

fn double(chars: &mut std::str::Chars<'_>) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => match chars.next()? {
                c @ ('"' | '\\' | '$' | '`') => text.push(c),
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the shell makes of the same text, for texts that mean no more to it than words.
    #[test]
    fn words_are_those_of_a_shell() {
        for text in ["a", " a  b ", "sed -e 's/a b/c/'", "a\"b c\"d", "\"a\\\"b\" c\\ d", "'' x", "\"\\n\"", "a'b'\"c\""] {
            let script = format!("for word in {text}; do printf '%s\\n' \"$word\"; done");
            let shell = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            let expected: Vec<String> = String::from_utf8(shell.stdout).unwrap().lines().map(str::to_owned).collect();
            assert_eq!(split(text), Some(expected), "{text}");
        }
        assert_eq!(split(""), Some(Vec::new()));
        for open in ["'a", "\"a", "a\\"] {
            assert_eq!(split(open), None, "{open}");
        }
    }
}
