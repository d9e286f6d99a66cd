//! What the reader of JSON of the API server says about a text that is none.
//!
//! Source: the messages of `encoding/json` of Go, observed.

/// What is expected next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    ValueOrEnd,
    Name,
    NameOrEnd,
    Colon,
    More,
}

/// Why a text is no JSON.
enum Fault {
    Ends,
    Has(u8, &'static str),
    /// A letter that is not the next one of a word.
    Misspelt(u8, &'static str, u8),
}

use Fault::{Ends, Has, Misspelt};

/// Where a text stops to be JSON, in Go's words; none for a text that is JSON.
#[must_use]
pub(super) fn complaint(text: &[u8]) -> Option<String> {
    let fault = Scan { text, at: 0, open: Vec::new() }.whole().err()?;
    Some(match fault {
        Ends => "unexpected end of JSON input".to_owned(),
        Has(letter, place) => format!("invalid character {} {place}", quoted(letter)),
        Misspelt(letter, word, wanted) => {
            format!("invalid character {} in literal {word} (expecting {})", quoted(letter), quoted(wanted))
        }
    })
}

/// A byte as Go quotes it.
fn quoted(letter: u8) -> String {
    match letter {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        b'\\' => r"'\\'".to_owned(),
        0x07 => r"'\a'".to_owned(),
        0x08 => r"'\b'".to_owned(),
        0x0b => r"'\v'".to_owned(),
        0x0c => r"'\f'".to_owned(),
        0..0x20 | 0x7f => format!(r"'\x{letter:02x}'"),
        0x80..0xa1 | 0xad => format!(r"'\u{:04x}'", u32::from(letter)),
        other => format!("'{}'", char::from(other)),
    }
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    /// How each list and map ends that is open.
    open: Vec<u8>,
}

impl Scan<'_> {
    fn take(&mut self) -> Result<u8, Fault> {
        let letter = self.text.get(self.at).copied().ok_or(Ends)?;
        self.at += 1;
        Ok(letter)
    }

    fn take_if(&mut self, wanted: impl Fn(u8) -> bool) -> bool {
        let found = self.text.get(self.at).is_some_and(|letter| wanted(*letter));
        self.at += usize::from(found);
        found
    }

    fn whole(&mut self) -> Result<(), Fault> {
        let mut next = Next::Value;
        loop {
            while self.take_if(|letter| matches!(letter, b' ' | b'\t' | b'\r' | b'\n')) {}
            if self.at == self.text.len() {
                return if next == Next::More && self.open.is_empty() { Ok(()) } else { Err(Ends) };
            }
            let letter = self.take()?;
            next = match next {
                Next::ValueOrEnd | Next::NameOrEnd | Next::More if Some(&letter) == self.open.last() => {
                    self.open.pop();
                    Next::More
                }
                Next::Value | Next::ValueOrEnd => self.value(letter)?,
                Next::Name | Next::NameOrEnd if letter == b'"' => self.string(Next::Colon)?,
                Next::Name | Next::NameOrEnd => return Err(Has(letter, "looking for beginning of object key string")),
                Next::Colon if letter == b':' => Next::Value,
                Next::Colon => return Err(Has(letter, "after object key")),
                Next::More => self.more(letter)?,
            };
        }
    }

    fn more(&self, letter: u8) -> Result<Next, Fault> {
        match (self.open.last(), letter) {
            (Some(b'}'), b',') => Ok(Next::Name),
            (Some(_), b',') => Ok(Next::Value),
            (Some(b'}'), _) => Err(Has(letter, "after object key:value pair")),
            (Some(_), _) => Err(Has(letter, "after array element")),
            (None, _) => Err(Has(letter, "after top-level value")),
        }
    }

    fn value(&mut self, letter: u8) -> Result<Next, Fault> {
        match letter {
            b'{' | b'[' => {
                let (end, next) = if letter == b'{' { (b'}', Next::NameOrEnd) } else { (b']', Next::ValueOrEnd) };
                self.open.push(end);
                Ok(next)
            }
            b'"' => self.string(Next::More),
            b'-' | b'0'..=b'9' => self.number(letter),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => Err(Has(letter, "looking for beginning of value")),
        }
    }

    fn string(&mut self, next: Next) -> Result<Next, Fault> {
        loop {
            match self.take()? {
                b'"' => return Ok(next),
                b'\\' => self.escape()?,
                letter @ 0..0x20 => return Err(Has(letter, "in string literal")),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match self.take()? {
            b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => Ok(()),
            b'u' => (0..4).try_for_each(|_| match self.take()? {
                letter if letter.is_ascii_hexdigit() => Ok(()),
                letter => Err(Has(letter, r"in \u hexadecimal character escape")),
            }),
            letter => Err(Has(letter, "in string escape code")),
        }
    }

    fn number(&mut self, first: u8) -> Result<Next, Fault> {
        let is_digit = |letter: u8| letter.is_ascii_digit();
        let first = if first == b'-' { self.digit("in numeric literal")? } else { first };
        while first != b'0' && self.take_if(is_digit) {}
        if self.take_if(|letter| letter == b'.') {
            self.digit("after decimal point in numeric literal")?;
            while self.take_if(is_digit) {}
        }
        if self.take_if(|letter| matches!(letter, b'e' | b'E')) {
            self.take_if(|letter| matches!(letter, b'+' | b'-'));
            self.digit("in exponent of numeric literal")?;
            while self.take_if(is_digit) {}
        }
        Ok(Next::More)
    }

    fn digit(&mut self, place: &'static str) -> Result<u8, Fault> {
        let letter = self.take()?;
        if letter.is_ascii_digit() { Ok(letter) } else { Err(Has(letter, place)) }
    }

    fn word(&mut self, word: &'static str) -> Result<Next, Fault> {
        for wanted in word.bytes().skip(1) {
            match self.take()? {
                letter if letter == wanted => {}
                letter => return Err(Misspelt(letter, word, wanted)),
            }
        }
        Ok(Next::More)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn faults_are_told_in_the_words_of_go() {
        let table = [
            ("", "unexpected end of JSON input"),
            ("{\"a\":", "unexpected end of JSON input"),
            ("{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("[1,]", "invalid character ']' looking for beginning of value"),
            ("not", "invalid character 'o' in literal null (expecting 'u')"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("{\"a\":01}", "invalid character '1' after object key:value pair"),
            ("[01]", "invalid character '1' after array element"),
            ("{\"a\" 1}", "invalid character '1' after object key"),
            (r#""\x""#, "invalid character 'x' in string escape code"),
            (r#""\u00g0""#, r"invalid character 'g' in \u hexadecimal character escape"),
            ("\"\n\"", r"invalid character '\n' in string literal"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("1e+x", "invalid character 'x' in exponent of numeric literal"),
            ("'a'", r"invalid character '\'' looking for beginning of value"),
            ("\u{e9}", "invalid character 'Ã' looking for beginning of value"),
        ];
        for (text, expected) in table {
            assert_eq!(complaint(text.as_bytes()).as_deref(), Some(expected), "{text}");
        }
    }

    proptest! {
        /// Another reader of JSON takes exactly what nothing is said about.
        #[test]
        fn what_is_json_is_not_complained_about(text in r#"([{}\[\],:"]|\\|u00e9|n|true|null|-|0|1|\.|e|E|\+| |\n|a){0,12}"#) {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(complaint(text.as_bytes()).is_none(), is_json, "{:?}", text);
        }
    }
}
