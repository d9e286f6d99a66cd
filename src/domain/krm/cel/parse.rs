//! From text to tree.
//!
//! Source: the grammar of the CEL specification (cel-spec, `doc/langdef.md`), with the optional syntax and the macros
//! that Kubernetes switches on (`has`, `all`, `exists`, `exists_one`, `map`, `filter`, their forms with two variables,
//! `optMap`, `optFlatMap`, `sortBy`).

use super::ast::{Entry, Expr, ExprKind, Fold, FoldKind, MAX_DEPTH, Select};
use super::lex::{Token, TokenKind, tokens};
use super::library;

/// Longest expression that is read, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Words that are no names.
const RESERVED: [&str; 19] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "null",
    "package",
    "namespace",
    "return",
    "true",
    "var",
];
/// How the server names what an expression may begin with.
const EXPRESSION: &str = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, \
                          BYTES, IDENTIFIER}";
/// First parts of function names with a dot.
const SPACES: [&str; 6] = ["format", "ip", "lists", "optional", "sets", "strings"];

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Position in characters, from 0.
    pub(super) at: usize,
    pub(super) message: String,
}

impl Fault {
    pub(super) const fn new(at: usize, message: String) -> Self {
        Self { at, message }
    }

    /// As CEL shows it: line and column from 1, the line, a mark below.
    pub(super) fn shown(&self, text: &str) -> String {
        let before: String = text.chars().take(self.at).collect();
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let shown = text.split('\n').nth(line).unwrap_or_default();
        format!("ERROR: <input>:{}:{}: {}\n | {shown}\n | {}^", line + 1, column + 1, self.message, ".".repeat(column))
    }
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expr, Fault> {
    if text.len() > MAX_BYTES {
        return Err(Fault::new(0, format!("expression code point size exceeds limit: size: {}", text.len())));
    }
    let mut parser = Parser { tokens: tokens(text)?, next: 0, depth: 0 };
    let expr = parser.expr()?;
    match parser.kind() {
        TokenKind::End => Ok(expr),
        _ => Err(parser.unexpected("<EOF>")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
}

fn node(at: usize, kind: ExprKind) -> Result<Expr, Fault> {
    let mut expr = Expr { at, depth: 0, kind };
    expr.depth = 1 + expr.children().iter().map(|child| child.depth).max().unwrap_or_default();
    if expr.depth > MAX_DEPTH { Err(too_deep(at)) } else { Ok(expr) }
}

fn too_deep(at: usize) -> Fault {
    Fault::new(at, format!("expression recursion limit exceeded: {MAX_DEPTH}"))
}

fn operator(at: usize, name: &str, args: Vec<Expr>) -> Result<Expr, Fault> {
    node(at, ExprKind::Call { name: name.to_owned(), target: None, args })
}

/// Precedence and name of a binary operator.
fn binary(kind: &TokenKind) -> Option<(u8, &'static str)> {
    Some(match kind {
        TokenKind::Sign("||") => (1, "||"),
        TokenKind::Sign("&&") => (2, "&&"),
        TokenKind::Sign("<") => (3, "_<_"),
        TokenKind::Sign("<=") => (3, "_<=_"),
        TokenKind::Sign(">") => (3, "_>_"),
        TokenKind::Sign(">=") => (3, "_>=_"),
        TokenKind::Sign("==") => (3, "_==_"),
        TokenKind::Sign("!=") => (3, "_!=_"),
        TokenKind::Ident(word) if word == "in" => (3, "@in"),
        TokenKind::Sign("+") => (4, "_+_"),
        TokenKind::Sign("-") => (4, "_-_"),
        TokenKind::Sign("*") => (5, "_*_"),
        TokenKind::Sign("/") => (5, "_/_"),
        TokenKind::Sign("%") => (5, "_%_"),
        _ => return None,
    })
}

impl Parser {
    fn kind(&self) -> &TokenKind {
        self.tokens.get(self.next).map_or(&TokenKind::End, |token| &token.kind)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).or(self.tokens.last()).map_or(0, |token| token.at)
    }

    fn take(&mut self) -> TokenKind {
        let kind = self.kind().clone();
        self.next = (self.next + 1).min(self.tokens.len());
        kind
    }

    fn accept(&mut self, sign: &str) -> bool {
        let found = matches!(self.kind(), TokenKind::Sign(found) if *found == sign);
        if found {
            self.next += 1;
        }
        found
    }

    fn expect(&mut self, sign: &str) -> Result<(), Fault> {
        if self.accept(sign) { Ok(()) } else { Err(self.unexpected(&format!("'{sign}'"))) }
    }

    /// The token as it is written.
    fn shown(&self) -> String {
        match self.kind() {
            TokenKind::End => "<EOF>".to_owned(),
            TokenKind::Ident(name) => name.clone(),
            TokenKind::Escaped(name) => format!("`{name}`"),
            TokenKind::Int(text) | TokenKind::Uint(text) | TokenKind::Double(text) => text.clone(),
            TokenKind::Text(text) => format!("'{text}'"),
            TokenKind::Bytes(_) => "bytes".to_owned(),
            TokenKind::Sign(sign) => (*sign).to_owned(),
        }
    }

    fn unexpected(&self, wanted: &str) -> Fault {
        let is_last = self.tokens.get(self.next + 1).is_some_and(|token| token.kind == TokenKind::End);
        let what = if is_last && wanted == "<EOF>" { "extraneous" } else { "mismatched" };
        Fault::new(self.at(), format!("Syntax error: {what} input '{}' expecting {wanted}", self.shown()))
    }

    /// One level deeper; the parser recurses only through here and [`Parser::unary`].
    fn expr(&mut self) -> Result<Expr, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(too_deep(self.at()));
        }
        let condition = self.binary(1)?;
        let at = self.at();
        let expr = if self.accept("?") {
            let yes = self.binary(1)?;
            self.expect(":")?;
            let no = self.expr()?;
            node(at, ExprKind::Choice(Box::new([condition, yes, no])))
        } else {
            Ok(condition)
        };
        self.depth -= 1;
        expr
    }

    fn binary(&mut self, least: u8) -> Result<Expr, Fault> {
        let mut left = self.unary()?;
        while let Some((precedence, name)) = binary(self.kind()).filter(|(precedence, _)| *precedence >= least) {
            let at = self.at();
            self.take();
            let right = self.binary(precedence + 1)?;
            left = match (name, left.kind) {
                ("&&", ExprKind::And(mut terms)) => {
                    terms.push(right);
                    node(left.at, ExprKind::And(terms))?
                }
                ("||", ExprKind::Or(mut terms)) => {
                    terms.push(right);
                    node(left.at, ExprKind::Or(terms))?
                }
                ("&&", kind) => node(at, ExprKind::And(vec![Expr { kind, ..left }, right]))?,
                ("||", kind) => node(at, ExprKind::Or(vec![Expr { kind, ..left }, right]))?,
                (name, kind) => operator(at, name, vec![Expr { kind, ..left }, right])?,
            };
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expr, Fault> {
        let at = self.at();
        for (sign, name) in [("!", "!_"), ("-", "-_")] {
            if !self.accept(sign) {
                continue;
            }
            if sign == "-" && matches!(self.kind(), TokenKind::Int(_) | TokenKind::Double(_)) {
                let number = self.number(true, at)?;
                return self.suffixes(number);
            }
            let mut count = 1;
            while self.accept(sign) {
                count += 1;
            }
            let operand = self.member()?;
            return if count % 2 == 0 { Ok(operand) } else { operator(at, name, vec![operand]) };
        }
        self.member()
    }

    fn member(&mut self) -> Result<Expr, Fault> {
        let primary = self.primary()?;
        self.suffixes(primary)
    }

    fn suffixes(&mut self, mut expr: Expr) -> Result<Expr, Fault> {
        loop {
            let at = self.at();
            if self.accept(".") {
                expr = self.selection(at, expr)?;
            } else if self.accept("[") {
                let optional = self.accept("?");
                let index = Box::new(self.expr()?);
                self.expect("]")?;
                expr = node(at, ExprKind::Index { of: Box::new(expr), index, optional })?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn selection(&mut self, at: usize, of: Expr) -> Result<Expr, Fault> {
        let mode = if self.accept("?") { Select::Optional } else { Select::Plain };
        let (place, shown) = (self.at(), self.shown());
        let field = match self.take() {
            TokenKind::Ident(name) if !matches!(name.as_str(), "in" | "true" | "false" | "null") => name,
            TokenKind::Escaped(_) => return Err(Fault::new(place, "unsupported syntax: '`'".to_owned())),
            _ => {
                let shown = if shown == "<EOF>" { String::new() } else { shown };
                return Err(Fault::new(place, format!("Syntax error: no viable alternative at input '.{shown}'")));
            }
        };
        let open = self.at();
        if mode == Select::Plain && self.accept("(") {
            let args = self.args()?;
            return member_call(open, field, of, args);
        }
        if let ExprKind::Ident(space) = &of.kind
            && library::TYPES.iter().any(|name| name.starts_with(&format!("{space}.{field}")))
        {
            return node(of.at, ExprKind::Ident(format!("{space}.{field}")));
        }
        node(at, ExprKind::Select { of: Box::new(of), field, mode })
    }

    fn args(&mut self) -> Result<Vec<Expr>, Fault> {
        let mut args = Vec::new();
        if self.accept(")") {
            return Ok(args);
        }
        loop {
            args.push(self.expr()?);
            if self.accept(")") {
                return Ok(args);
            }
            self.expect(",")?;
        }
    }

    fn primary(&mut self) -> Result<Expr, Fault> {
        let at = self.at();
        if self.accept("(") {
            let inner = self.expr()?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.accept("[") {
            return self.list(at);
        }
        if self.accept("{") {
            return self.map(at);
        }
        if matches!(self.kind(), TokenKind::Int(_) | TokenKind::Double(_)) {
            return self.number(false, at);
        }
        self.accept(".");
        let fault = self.unexpected(EXPRESSION);
        match self.take() {
            TokenKind::Ident(name) => self.named(at, name),
            TokenKind::Uint(digits) => {
                let number = whole(&digits, false).and_then(|number| u64::try_from(number).ok());
                let fault = || Fault::new(at, "invalid uint literal".to_owned());
                node(at, ExprKind::Uint(number.ok_or_else(fault)?))
            }
            TokenKind::Text(text) => node(at, ExprKind::Text(text)),
            TokenKind::Bytes(bytes) => node(at, ExprKind::Bytes(bytes)),
            _ => Err(fault),
        }
    }

    fn named(&mut self, at: usize, name: String) -> Result<Expr, Fault> {
        match name.as_str() {
            "in" => return Err(Fault::new(at, format!("Syntax error: mismatched input 'in' expecting {EXPRESSION}"))),
            "true" => return node(at, ExprKind::Bool(true)),
            "false" => return node(at, ExprKind::Bool(false)),
            "null" => return node(at, ExprKind::Null),
            word if RESERVED.contains(&word) => {
                return Err(Fault::new(at, format!("reserved identifier: {word}")));
            }
            _ => {}
        }
        let open = self.at();
        if !self.accept("(") {
            return node(at, ExprKind::Ident(name));
        }
        let mut args = self.args()?;
        if name != "has" || args.len() != 1 {
            return node(open, ExprKind::Call { name, target: None, args });
        }
        match args.pop().map(|arg| (arg.at, arg.kind)) {
            Some((_, ExprKind::Select { of, field, mode: Select::Plain })) => {
                node(open, ExprKind::Select { of, field, mode: Select::Test })
            }
            argument => {
                let at = argument.map_or(open, |(at, _)| at);
                Err(Fault::new(at, "invalid argument to has() macro".to_owned()))
            }
        }
    }

    fn number(&mut self, negative: bool, at: usize) -> Result<Expr, Fault> {
        let fault = |name: &str| Fault::new(at, format!("invalid {name} literal"));
        match self.take() {
            TokenKind::Int(digits) => {
                let number = whole(&digits, negative).and_then(|number| i64::try_from(number).ok());
                node(at, ExprKind::Int(number.ok_or_else(|| fault("int"))?))
            }
            TokenKind::Double(text) => {
                let number: f64 = text.parse().map_err(|_| fault("double"))?;
                if number.is_infinite() {
                    return Err(fault("double"));
                }
                node(at, ExprKind::Double(if negative { -number } else { number }))
            }
            _ => Err(self.unexpected("a number")),
        }
    }

    fn list(&mut self, at: usize) -> Result<Expr, Fault> {
        let mut entries = Vec::new();
        loop {
            if self.accept("]") || (self.accept(",") && self.closes("]")?) {
                return node(at, ExprKind::List(entries));
            }
            let optional = self.accept("?");
            entries.push(Entry { value: self.expr()?, optional });
            if !self.goes_on("]")? {
                return node(at, ExprKind::List(entries));
            }
        }
    }

    fn map(&mut self, at: usize) -> Result<Expr, Fault> {
        let mut entries = Vec::new();
        loop {
            if self.accept("}") || (self.accept(",") && self.closes("}")?) {
                return node(at, ExprKind::Map(entries));
            }
            let optional = self.accept("?");
            let key = self.expr()?;
            self.expect(":")?;
            entries.push((key, Entry { value: self.expr()?, optional }));
            if !self.goes_on("}")? {
                return node(at, ExprKind::Map(entries));
            }
        }
    }

    fn closes(&mut self, sign: &str) -> Result<bool, Fault> {
        self.expect(sign).map(|()| true)
    }

    /// Whether more entries follow; takes the comma, or the closing sign.
    fn goes_on(&mut self, close: &str) -> Result<bool, Fault> {
        if self.accept(close) {
            return Ok(false);
        }
        self.expect(",")?;
        Ok(!self.accept(close))
    }
}

fn whole(digits: &str, negative: bool) -> Option<i128> {
    let number = match digits.strip_prefix("0x") {
        Some(hex) => i128::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    number.ok().map(|number| if negative { -number } else { number })
}

/// A call of a method: a macro, a function of a name space, or a function with a receiver.
fn member_call(at: usize, name: String, of: Expr, args: Vec<Expr>) -> Result<Expr, Fault> {
    if let ExprKind::Ident(space) = &of.kind
        && SPACES.contains(&space.as_str())
        && library::is_known(&format!("{space}.{name}"))
    {
        return node(at, ExprKind::Call { name: format!("{space}.{name}"), target: None, args });
    }
    match (macro_of(&name, args.len()), name.as_str()) {
        (Some((kind, variables)), _) => fold(at, kind, variables, of, args),
        (None, "optMap" | "optFlatMap") if args.len() == 2 => {
            let [name_expr, body] = <[Expr; 2]>::try_from(args).map_err(|_| too_deep(at))?;
            let flat = name == "optFlatMap";
            let name = variable(name_expr)?;
            node(at, ExprKind::OptMap { of: Box::new(of), name, body: Box::new(body), flat })
        }
        _ => node(at, ExprKind::Call { name, target: Some(Box::new(of)), args }),
    }
}

/// The walk that a macro of this name and number of arguments stands for, and its number of variables.
fn macro_of(name: &str, args: usize) -> Option<(FoldKind, usize)> {
    Some(match (name, args) {
        ("all", 2) => (FoldKind::All, 1),
        ("all", 3) => (FoldKind::All, 2),
        ("exists", 2) => (FoldKind::Exists, 1),
        ("exists", 3) => (FoldKind::Exists, 2),
        ("exists_one", 2) => (FoldKind::ExistsOne, 1),
        ("exists_one" | "existsOne", 3) => (FoldKind::ExistsOne, 2),
        ("map", 2 | 3) => (FoldKind::Map, 1),
        ("filter", 2) => (FoldKind::Filter, 1),
        ("transformList", 3 | 4) => (FoldKind::Map, 2),
        ("transformMap", 3 | 4) => (FoldKind::Values, 2),
        ("transformMapEntry", 3 | 4) => (FoldKind::Entries, 2),
        ("sortBy", 2) => (FoldKind::SortBy, 1),
        _ => return None,
    })
}

fn variable(expr: Expr) -> Result<String, Fault> {
    match expr.kind {
        ExprKind::Ident(name) => Ok(name),
        _ => Err(Fault::new(expr.at, "argument must be a simple name".to_owned())),
    }
}

fn fold(at: usize, kind: FoldKind, variables: usize, range: Expr, mut args: Vec<Expr>) -> Result<Expr, Fault> {
    let mut rest = args.split_off(variables);
    let names = args.into_iter().map(variable).collect::<Result<Vec<_>, _>>()?;
    if names.first() == names.get(1) {
        return Err(Fault::new(at, "duplicate variable name".to_owned()));
    }
    let body = rest.pop().ok_or_else(|| too_deep(at))?;
    let filter = rest.pop();
    node(at, ExprKind::Fold(Box::new(Fold { kind, range, names, filter, body })))
}
