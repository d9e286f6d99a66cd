//! Tokens of the Common Expression Language.
//!
//! Source: the lexical rules of the CEL specification (cel-spec, `doc/langdef.md`).

use super::parse::Fault;

/// A token and where it begins, in characters from 0.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: TokenKind,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    Ident(String),
    /// A name in backticks.
    Escaped(String),
    Int(String),
    Uint(String),
    Double(String),
    Text(String),
    Bytes(Vec<u8>),
    Sign(&'static str),
    End,
}

/// Operators and brackets, the longer ones first.
const SIGNS: [&str; 25] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?", ":", "+", "*",
    "/", "%", "=",
];

/// Splits a text into tokens; the last one is [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0 };
    let mut found = Vec::new();
    loop {
        lexer.skip_space();
        let at = lexer.at;
        let kind = lexer.token()?;
        let is_end = kind == TokenKind::End;
        found.push(Token { at, kind });
        if is_end {
            return Ok(found);
        }
    }
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn starts_with(&self, sign: &str) -> bool {
        sign.chars().enumerate().all(|(index, c)| self.peek(index) == Some(c))
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> String {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let taken: String = rest.iter().take_while(|c| fits(**c)).collect();
        self.at += taken.chars().count();
        taken
    }

    fn skip_space(&mut self) {
        loop {
            self.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{c}'));
            if !self.starts_with("//") {
                return;
            }
            self.take_while(|c| c != '\n');
        }
    }

    fn token(&mut self) -> Result<TokenKind, Fault> {
        let Some(first) = self.peek(0) else { return Ok(TokenKind::End) };
        if let Some(prefix) = self.string_prefix() {
            return self.string(prefix);
        }
        if first.is_ascii_digit() || (first == '.' && self.peek(1).is_some_and(|c| c.is_ascii_digit())) {
            return Ok(self.number());
        }
        if first.is_ascii_alphabetic() || first == '_' {
            return Ok(TokenKind::Ident(self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')));
        }
        if first == '`' {
            return self.escaped();
        }
        let sign = SIGNS.into_iter().find(|sign| *sign != "=" && self.starts_with(sign));
        let sign = sign.ok_or_else(|| self.unknown(self.at, 1))?;
        self.at += sign.len();
        Ok(TokenKind::Sign(sign))
    }

    fn unknown(&self, at: usize, count: usize) -> Fault {
        let rest = self.chars.get(at..).unwrap_or_default();
        let shown: String = rest.iter().take(count).collect();
        Fault::new(at, format!("Syntax error: token recognition error at: '{shown}'"))
    }

    fn escaped(&mut self) -> Result<TokenKind, Fault> {
        let start = self.at;
        self.at += 1;
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || "_.-/ ".contains(c));
        if name.is_empty() || self.peek(0) != Some('`') {
            return Err(self.unknown(start, name.len() + 1));
        }
        self.at += 1;
        Ok(TokenKind::Escaped(name))
    }

    fn number(&mut self) -> TokenKind {
        if self.peek(0) == Some('0') && self.peek(1) == Some('x') && self.peek(2).is_some_and(|c| c.is_ascii_hexdigit())
        {
            self.at += 2;
            let digits = format!("0x{}", self.take_while(|c| c.is_ascii_hexdigit()));
            return self.maybe_unsigned(digits);
        }
        let mut text = self.take_while(|c| c.is_ascii_digit());
        let mut double = false;
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
            text = format!("{text}.{}", self.take_while(|c| c.is_ascii_digit()));
            double = true;
        }
        let sign = usize::from(matches!(self.peek(1), Some('+' | '-')));
        if matches!(self.peek(0), Some('e' | 'E')) && self.peek(1 + sign).is_some_and(|c| c.is_ascii_digit()) {
            let minus = if self.peek(1) == Some('-') { "-" } else { "" };
            self.at += 1 + sign;
            text = format!("{text}e{minus}{}", self.take_while(|c| c.is_ascii_digit()));
            double = true;
        }
        if double { TokenKind::Double(text) } else { self.maybe_unsigned(text) }
    }

    fn maybe_unsigned(&mut self, digits: String) -> TokenKind {
        if matches!(self.peek(0), Some('u' | 'U')) {
            self.at += 1;
            return TokenKind::Uint(digits);
        }
        TokenKind::Int(digits)
    }

    /// Raw, bytes, and how many characters say so, when a string begins here.
    fn string_prefix(&self) -> Option<(bool, bool, usize)> {
        let is_quote = |ahead| matches!(self.peek(ahead), Some('"' | '\''));
        let is = |ahead, c: char| self.peek(ahead).is_some_and(|found| found.eq_ignore_ascii_case(&c));
        match () {
            () if is_quote(0) => Some((false, false, 0)),
            () if is(0, 'r') && is_quote(1) => Some((true, false, 1)),
            () if is(0, 'b') && is_quote(1) => Some((false, true, 1)),
            () if is(0, 'b') && is(1, 'r') && is_quote(2) => Some((true, true, 2)),
            () => None,
        }
    }

    fn string(&mut self, (raw, bytes, prefix): (bool, bool, usize)) -> Result<TokenKind, Fault> {
        let start = self.at;
        self.at += prefix;
        let quote = self.peek(0).unwrap_or('"');
        let long = self.peek(1) == Some(quote) && self.peek(2) == Some(quote);
        let width = if long { 3 } else { 1 };
        self.at += width;
        let mut out = Vec::new();
        loop {
            let closes = (0..width).all(|ahead| self.peek(ahead) == Some(quote));
            match self.peek(0) {
                None => return Err(self.unknown(start, self.at - start)),
                Some(_) if closes => break,
                Some('\n' | '\r') if !long => return Err(self.unknown(start, self.at - start)),
                Some('\\') if !raw => self.escape(bytes, &mut out)?,
                Some(c) => {
                    self.at += 1;
                    out.extend(c.encode_utf8(&mut [0; 4]).bytes());
                }
            }
        }
        self.at += width;
        if bytes {
            return Ok(TokenKind::Bytes(out));
        }
        String::from_utf8(out).map(TokenKind::Text).map_err(|_| self.unknown(start, self.at - start))
    }

    fn escape(&mut self, bytes: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = self.at;
        let kind = self.peek(1);
        self.at += 2;
        let simple = match kind {
            Some('a') => Some(7),
            Some('b') => Some(8),
            Some('f') => Some(12),
            Some('n') => Some(10),
            Some('r') => Some(13),
            Some('t') => Some(9),
            Some('v') => Some(11),
            Some(c @ ('"' | '\'' | '\\' | '?' | '`')) => u8::try_from(c).ok(),
            _ => None,
        };
        if let Some(byte) = simple {
            out.push(byte);
            return Ok(());
        }
        let (digits, radix, is_rune) = match kind {
            Some('x' | 'X') => (2, 16, false),
            Some('u') => (4, 16, true),
            Some('U') => (8, 16, true),
            Some('0'..='3') => {
                self.at -= 1;
                (3, 8, false)
            }
            _ => return Err(self.unknown(start, 2)),
        };
        let text: String = self.chars.get(self.at..self.at + digits).unwrap_or_default().iter().collect();
        let code = if text.len() == digits { u32::from_str_radix(&text, radix).ok() } else { None };
        self.at += digits;
        let code = code.ok_or_else(|| self.unknown(start, self.at - start))?;
        match (bytes, u8::try_from(code), char::from_u32(code)) {
            (true, Ok(byte), _) if !is_rune => out.push(byte),
            (false, _, Some(rune)) => out.extend(rune.encode_utf8(&mut [0; 4]).bytes()),
            _ => return Err(self.unknown(start, self.at - start)),
        }
        Ok(())
    }
}
