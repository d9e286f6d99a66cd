//! Reading label selectors that are written as text.
//!
//! Source: the grammar of apimachinery's `labels` package and its messages.

use std::collections::BTreeSet;

use serde_json::json;

use super::Test;
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata::{key_fault, label_value_fault};

/// A word or a sign of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Sign(&'static str),
    Other(String),
    End,
}

impl Token {
    fn text(&self) -> &str {
        match self {
            Self::Word(text) | Self::Other(text) => text,
            Self::Sign(sign) => sign,
            Self::End => "",
        }
    }
}

const SPECIAL: &str = "=!(),><";
const SIGNS: [&str; 9] = ["==", "!=", "=", "!", ">", "<", "(", ")", ","];

fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let length = if rest.starts_with(|letter| SPECIAL.contains(letter)) {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            found.push(sign.map_or_else(|| Token::Other(rest[..1].to_owned()), Token::Sign));
            sign.map_or(1, str::len)
        } else {
            let end = |letter: char| SPECIAL.contains(letter) || letter.is_ascii_whitespace();
            let length = rest.find(end).unwrap_or(rest.len());
            found.push(Token::Word(rest[..length].to_owned()));
            length
        };
        rest = rest[length..].trim_start();
    }
    found
}

/// Reads all requirements of a selector.
///
/// # Errors
/// The API server's words for the first thing that is wrong.
pub(super) fn parse(text: &str) -> Result<Vec<(String, Test)>, String> {
    let mut parser = Parser { tokens: tokens(text), at: 0 };
    let mut found = Vec::new();
    loop {
        match parser.look() {
            Token::Word(_) | Token::Sign("!") => {}
            Token::End => return Ok(found),
            other => return Err(expected(other, ", expected: !, identifier, or 'end of string'")),
        }
        found.push(parser.requirement().map_err(|why| format!("unable to parse requirement: {why}"))?);
        match parser.next() {
            Token::End => return Ok(found),
            Token::Sign(",") if matches!(parser.look(), Token::Word(_) | Token::Sign("!")) => {}
            Token::Sign(",") => return Err(expected(parser.look(), ", expected: identifier after ','")),
            other => return Err(expected(&other, ", expected: ',' or 'end of string'")),
        }
    }
}

fn expected(found: &Token, what: &str) -> String {
    format!("found '{}'{what}", found.text())
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn look(&self) -> &Token {
        self.tokens.get(self.at).unwrap_or(&Token::End)
    }

    fn next(&mut self) -> Token {
        let token = self.look().clone();
        self.at += 1;
        token
    }

    fn requirement(&mut self) -> Result<(String, Test), String> {
        let missing = *self.look() == Token::Sign("!");
        if missing {
            self.at += 1;
        }
        let key = match self.next() {
            Token::Word(key) => key,
            other => return Err(expected(&other, ", expected: identifier")),
        };
        if let Some(fault) = key_fault(&key) {
            return Err(Cause::invalid("<nil>", &json!(key), &fault).to_string());
        }
        if missing {
            return Ok((key, Test::Missing));
        }
        if matches!(self.look(), Token::End | Token::Sign(",")) {
            return Ok((key, Test::Exists));
        }
        let test = self.test(&key)?;
        Ok((key, test))
    }

    fn test(&mut self, key: &str) -> Result<Test, String> {
        let operator = self.next();
        let one = |values: BTreeSet<String>| values.into_iter().next().unwrap_or_default();
        match operator.text() {
            "in" => Ok(Test::In(known(key, self.values()?)?)),
            "notin" => Ok(Test::NotIn(known(key, self.values()?)?)),
            "=" | "==" => Ok(Test::In(known(key, self.value()?)?)),
            "!=" => Ok(Test::NotIn(known(key, self.value()?)?)),
            ">" => Ok(Test::Greater(number(&one(self.value()?))?)),
            "<" => Ok(Test::Less(number(&one(self.value()?))?)),
            _ => Err(expected(&operator, ", expected: in, notin, =, ==, !=, gt, lt")),
        }
    }

    fn value(&mut self) -> Result<BTreeSet<String>, String> {
        if matches!(self.look(), Token::End | Token::Sign(",")) {
            return Ok(BTreeSet::from([String::new()]));
        }
        match self.next() {
            Token::Word(value) => Ok(BTreeSet::from([value])),
            other => Err(expected(&other, ", expected: identifier")),
        }
    }

    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        let open = self.next();
        if open != Token::Sign("(") {
            return Err(expected(&open, " expected: '('"));
        }
        let values = match self.look() {
            Token::Word(_) | Token::Sign(",") => self.words()?,
            Token::Sign(")") => BTreeSet::new(),
            other => return Err(expected(other, ", expected: ',', ')' or identifier")),
        };
        let close = self.next();
        if close != Token::Sign(")") {
            return Err(expected(&close, ", expected: ')'"));
        }
        // Nothing between the parentheses is the empty word.
        Ok(if values.is_empty() { BTreeSet::from([String::new()]) } else { values })
    }

    /// Words with commas between them, up to the closing parenthesis; nothing between two commas is the empty word.
    fn words(&mut self) -> Result<BTreeSet<String>, String> {
        let mut values = BTreeSet::new();
        loop {
            match self.next() {
                Token::Word(word) => {
                    values.insert(word);
                    match self.look() {
                        Token::Sign(",") => {}
                        Token::Sign(")") => return Ok(values),
                        other => return Err(expected(other, ", expected: ',' or ')'")),
                    }
                }
                Token::Sign(",") => {
                    if values.is_empty() {
                        values.insert(String::new());
                    }
                    match self.look() {
                        Token::Sign(")") => {
                            values.insert(String::new());
                            return Ok(values);
                        }
                        Token::Sign(",") => {
                            self.at += 1;
                            values.insert(String::new());
                        }
                        _ => {}
                    }
                }
                other => return Err(expected(&other, ", expected: ',', or identifier")),
            }
        }
    }
}

fn known(key: &str, values: BTreeSet<String>) -> Result<BTreeSet<String>, String> {
    for (index, value) in values.iter().enumerate() {
        if let Some(fault) = label_value_fault(value) {
            return Err(Cause::invalid(format!("values[{index}][{key}]"), &json!(value), fault).to_string());
        }
    }
    Ok(values)
}

fn number(value: &str) -> Result<i64, String> {
    let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
    value.parse().map_err(|_| Cause::invalid("values[0]", &json!(value), detail).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named() {
        let table = [
            ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
            ("=a", "found '=', expected: !, identifier, or 'end of string'"),
            ("a,", "found '', expected: identifier after ','"),
            ("a in b", "unable to parse requirement: found 'b' expected: '('"),
            ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
            ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
            ("a=b c", "found 'c', expected: ',' or 'end of string'"),
            (
                "a>b",
                "unable to parse requirement: values[0]: Invalid value: \"b\": for 'Gt', 'Lt' operators, the value must be an integer",
            ),
        ];
        for (text, message) in table {
            assert_eq!(parse(text).unwrap_err(), message, "{text}");
        }
    }

    #[test]
    fn sets_may_hold_the_empty_word() {
        let values = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(parse("a in (,b)").unwrap(), [("a".to_owned(), Test::In(values(&["", "b"])))]);
        assert_eq!(parse("a=,b").unwrap()[0], ("a".to_owned(), Test::In(values(&[""]))));
        assert_eq!(parse("a notin (x, y),!c").unwrap().len(), 2);
    }
}
