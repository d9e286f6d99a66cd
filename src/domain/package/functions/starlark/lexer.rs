//! Text into tokens: the words of Starlark, with lines and indentation as tokens of their own.
//!
//! Source: the lexical elements of <https://github.com/bazelbuild/starlark/blob/master/spec.md>. Not taken: bytes.

use std::rc::Rc;

use super::fault::{Fault, Spot};

/// One word.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name.
    Name(Rc<str>),
    /// A whole number.
    Int(i128),
    /// A number with a point or an exponent.
    Float(f64),
    /// A text.
    Text(Rc<str>),
    /// A keyword, an operator or a bracket.
    Op(&'static str),
    /// End of a statement's line.
    Newline,
    /// A block begins.
    Indent,
    /// A block ends.
    Dedent,
    /// End of the program.
    End,
}

/// Words that are part of the grammar.
const KEYWORDS: [&str; 16] = [
    "and", "break", "continue", "def", "elif", "else", "for", "if", "in", "lambda", "load", "not", "or", "pass",
    "return", "while",
];
/// Words that may not be names.
const RESERVED: [&str; 14] = [
    "as", "class", "del", "except", "finally", "from", "global", "import", "is", "nonlocal", "raise", "try", "with",
    "yield",
];
/// Longest first, so that the first that fits is the right one.
const OPERATORS: [&str; 41] = [
    "//=", "<<=", ">>=", "**", "//", "<<", ">>", "==", "!=", "<=", ">=", "+=", "-=", "*=", "/=", "%=", "&=", "|=",
    "^=", "+", "-", "*", "/", "%", "&", "|", "^", "~", "<", ">", "=", ".", ",", ";", ":", "(", ")", "[", "]", "{", "}",
];
/// Most blocks inside each other.
const MAX_BLOCKS: usize = 60;

/// The tokens of a program, each with where it begins.
pub(super) fn tokens(source: &str) -> Result<Vec<(Token, Spot)>, Fault> {
    let mut lexer = Lexer { rest: source, spot: Spot { line: 1, column: 1 }, blocks: vec![0], open: 0, found: vec![] };
    lexer.all()?;
    Ok(lexer.found)
}

struct Lexer<'s> {
    rest: &'s str,
    spot: Spot,
    /// Columns of the blocks that are open.
    blocks: Vec<usize>,
    /// How many brackets are open; lines do not count in them.
    open: usize,
    found: Vec<(Token, Spot)>,
}

impl Lexer<'_> {
    fn all(&mut self) -> Result<(), Fault> {
        loop {
            if self.at_line_start() {
                self.indentation()?;
            }
            self.blanks();
            let spot = self.spot;
            let Some(next) = self.peek() else { break };
            match next {
                '\n' => self.newline(),
                '0'..='9' => self.number()?,
                '.' if self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => self.number()?,
                '"' | '\'' => self.text(false)?,
                'r' if self.rest[1..].starts_with(['"', '\'']) => {
                    self.bump();
                    self.text(true)?;
                }
                c if c == '_' || c.is_alphabetic() => self.name()?,
                _ => self.operator()?,
            }
            debug_assert!(spot != self.spot);
        }
        if self.open > 0 {
            return Err(Fault::at("a bracket is not closed", self.spot));
        }
        self.end();
        Ok(())
    }

    fn push(&mut self, token: Token, spot: Spot) {
        self.found.push((token, spot));
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        if next == '\n' {
            self.spot = Spot { line: self.spot.line + 1, column: 1 };
        } else {
            self.spot.column += 1;
        }
        Some(next)
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.bump();
        }
    }

    fn at_line_start(&self) -> bool {
        self.open == 0
            && self.spot.column == 1
            && !matches!(self.found.last(), Some((Token::Indent | Token::Dedent, spot)) if *spot == self.spot)
    }

    /// Opens and closes blocks; lines with nothing but a comment say nothing about them.
    fn indentation(&mut self) -> Result<(), Fault> {
        let mut column = 0;
        while let Some(next @ (' ' | '\t' | '\r')) = self.peek() {
            column = if next == '\t' { (column / 8 + 1) * 8 } else { column + 1 };
            self.bump();
        }
        if matches!(self.peek(), None | Some('\n' | '#')) {
            return Ok(());
        }
        let spot = self.spot;
        if self.blocks.last().is_some_and(|block| column > *block) {
            if self.blocks.len() > MAX_BLOCKS {
                return Err(Fault::at("blocks are nested too deeply", spot));
            }
            self.blocks.push(column);
            self.push(Token::Indent, spot);
        }
        while self.blocks.last().is_some_and(|block| column < *block) {
            self.blocks.pop();
            self.push(Token::Dedent, spot);
        }
        match self.blocks.last() {
            Some(block) if *block == column => Ok(()),
            _ => Err(Fault::at("the indentation fits no block around it", spot)),
        }
    }

    fn blanks(&mut self) {
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' | '\r' => drop(self.bump()),
                '\n' if self.open > 0 => drop(self.bump()),
                '\\' if self.rest[1..].starts_with('\n') => self.skip(2),
                '\\' if self.rest[1..].starts_with("\r\n") => self.skip(3),
                '#' => {
                    let line = self.rest.find('\n').unwrap_or(self.rest.len());
                    self.spot.column += line;
                    self.rest = &self.rest[line..];
                }
                _ => return,
            }
        }
    }

    fn newline(&mut self) {
        let spot = self.spot;
        self.bump();
        if !matches!(self.found.last(), None | Some((Token::Newline | Token::Indent | Token::Dedent, _))) {
            self.push(Token::Newline, spot);
        }
    }

    fn end(&mut self) {
        let spot = self.spot;
        if !matches!(self.found.last(), None | Some((Token::Newline, _))) {
            self.push(Token::Newline, spot);
        }
        for _ in 1..self.blocks.len() {
            self.push(Token::Dedent, spot);
        }
        self.push(Token::End, spot);
    }

    fn name(&mut self) -> Result<(), Fault> {
        let spot = self.spot;
        let end = self.rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(self.rest.len());
        let name = &self.rest[..end];
        if RESERVED.contains(&name) {
            return Err(Fault::at(format!("{name} is a reserved word"), spot));
        }
        let keyword = KEYWORDS.iter().find(|keyword| **keyword == name);
        let token = keyword.map_or_else(|| Token::Name(name.into()), |keyword| Token::Op(keyword));
        let count = name.chars().count();
        self.skip(count);
        self.push(token, spot);
        Ok(())
    }

    fn operator(&mut self) -> Result<(), Fault> {
        let spot = self.spot;
        let found = OPERATORS.iter().find(|operator| self.rest.starts_with(**operator));
        let Some(operator) = found else {
            let message = format!("{:?} means nothing here", self.peek().unwrap_or_default());
            return Err(Fault::at(message, spot));
        };
        match *operator {
            "(" | "[" | "{" => self.open += 1,
            ")" | "]" | "}" => {
                self.open = self.open.checked_sub(1).ok_or_else(|| Fault::at("no bracket is open here", spot))?;
            }
            _ => {}
        }
        self.skip(operator.len());
        self.push(Token::Op(operator), spot);
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        let spot = self.spot;
        let (digits, radix) = match self.rest.get(..2).unwrap_or_default() {
            "0x" | "0X" => (&self.rest[2..], 16),
            "0o" | "0O" => (&self.rest[2..], 8),
            "0b" | "0B" => (&self.rest[2..], 2),
            _ => return self.decimal(),
        };
        let end = digits.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(digits.len());
        let number = i128::from_str_radix(&digits[..end], radix)
            .map_err(|_| Fault::at(format!("{} is no number", &self.rest[..end + 2]), spot))?;
        self.skip(end + 2);
        self.push(Token::Int(number), spot);
        Ok(())
    }

    fn decimal(&mut self) -> Result<(), Fault> {
        let (spot, bytes) = (self.spot, self.rest.as_bytes());
        let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut end = digits(0);
        let whole = end;
        if bytes.get(end) == Some(&b'.') {
            end += 1 + digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            end += 1 + sign + digits(end + 1 + sign);
        }
        let text = &self.rest[..end];
        let wrong = || Fault::at(format!("{text} is no number, or too large"), spot);
        let octal = whole == end && whole > 1 && text.starts_with('0') && text.contains(|c| c != '0');
        let token = if octal {
            return Err(Fault::at(format!("{text} begins with 0; write 0o for an octal number"), spot));
        } else if whole == end {
            Token::Int(text.parse().map_err(|_| wrong())?)
        } else {
            Token::Float(text.parse().map_err(|_| wrong())?)
        };
        self.skip(end);
        self.push(token, spot);
        Ok(())
    }

    fn text(&mut self, raw: bool) -> Result<(), Fault> {
        let spot = self.spot;
        let quote = if self.rest.starts_with('"') { "\"" } else { "'" };
        let long = self.rest.starts_with(&quote.repeat(3));
        let end = quote.repeat(if long { 3 } else { 1 });
        self.skip(end.len());
        let mut text = String::new();
        while !self.rest.starts_with(&end) {
            match self.bump() {
                None => return Err(Fault::at("a text is not closed", spot)),
                Some('\n') if !long => return Err(Fault::at("a text is not closed on its line", spot)),
                Some('\r') => {}
                Some('\\') if raw => {
                    text.push('\\');
                    text.extend(self.bump());
                }
                Some('\\') => self.escape(&mut text)?,
                Some(next) => text.push(next),
            }
        }
        self.skip(end.len());
        self.push(Token::Text(text.into()), spot);
        Ok(())
    }

    fn escape(&mut self, text: &mut String) -> Result<(), Fault> {
        let spot = self.spot;
        let Some(next) = self.bump() else { return Err(Fault::at("a text is not closed", spot)) };
        match next {
            '\n' => {}
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'a' => text.push('\u{7}'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'v' => text.push('\u{b}'),
            '\\' | '\'' | '"' => text.push(next),
            'x' => text.push(self.coded(2, 16, 0x7f)?),
            'u' => text.push(self.coded(4, 16, u32::MAX)?),
            'U' => text.push(self.coded(8, 16, u32::MAX)?),
            '0'..='7' => {
                let more = self.rest.chars().take(2).take_while(|c| ('0'..='7').contains(c)).count();
                let code = u32::from_str_radix(&format!("{next}{}", &self.rest[..more]), 8).unwrap_or(u32::MAX);
                self.skip(more);
                text.push(char::from_u32(code).filter(char::is_ascii).ok_or_else(|| no_character(spot))?);
            }
            other => return Err(Fault::at(format!("\\{other} means nothing in a text; write \\\\{other}"), spot)),
        }
        Ok(())
    }

    fn coded(&mut self, digits: usize, radix: u32, most: u32) -> Result<char, Fault> {
        let spot = self.spot;
        let code = self.rest.get(..digits).and_then(|text| u32::from_str_radix(text, radix).ok());
        self.skip(digits);
        code.filter(|code| *code <= most).and_then(char::from_u32).ok_or_else(|| no_character(spot))
    }
}

fn no_character(spot: Spot) -> Fault {
    Fault::at("this escape is no character", spot)
}
