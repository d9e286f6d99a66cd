//! Statements: tokens into a tree, by recursive descent.
//!
//! Source: the grammar of <https://github.com/bazelbuild/starlark/blob/master/spec.md>, with what the published
//! function allows on top: statements of every kind outside of functions, `while`, recursion, names that are assigned
//! again.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::ast::{Block, Expr, Function, Kind, Name, Param, ParamKind};
use super::ast::{Program, Statement, Target};
use super::fault::{Fault, Outcome, Spot};
use super::lexer::{Token, tokens};

/// Most expressions and blocks inside each other.
const MAX_DEPTH: usize = 80;

/// Assignments that are also an operation.
const UPDATES: [(&str, &str); 10] = [
    ("+=", "+"),
    ("-=", "-"),
    ("*=", "*"),
    ("/=", "/"),
    ("//=", "//"),
    ("%=", "%"),
    ("&=", "&"),
    ("|=", "|"),
    ("^=", "^"),
    ("<<=", "<<"),
];

/// Reads a program.
pub(super) fn parse(source: &str) -> Outcome<Program> {
    let tokens = tokens(source)?;
    let mut parser = Parser { tokens, ..Parser::default() };
    let mut block = Vec::new();
    while !parser.is_end() {
        parser.statement(&mut block)?;
    }
    Ok(Program { block, names: parser.names })
}

/// The names that a function, or a comprehension, has of its own.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// Its names.
    pub(super) locals: Vec<Name>,
    is_kept: bool,
    is_function: bool,
}

/// A program that is being read.
#[derive(Debug, Default)]
pub(super) struct Parser {
    /// What is read.
    pub(super) tokens: Vec<(Token, Spot)>,
    /// The next token.
    pub(super) at: usize,
    names: Vec<Rc<str>>,
    numbers: BTreeMap<Rc<str>, Name>,
    /// Functions and comprehensions around here, the outermost first.
    pub(super) scopes: Vec<Scope>,
    depth: usize,
    loops: usize,
    /// How many functions were read.
    pub(super) functions: usize,
}

impl Parser {
    pub(super) fn token(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    pub(super) fn spot(&self) -> Spot {
        self.tokens.get(self.at).or(self.tokens.last()).map(|(_, spot)| *spot).unwrap_or_default()
    }

    fn is_end(&self) -> bool {
        *self.token() == Token::End
    }

    pub(super) fn is(&self, op: &str) -> bool {
        matches!(self.token(), Token::Op(found) if *found == op)
    }

    pub(super) fn take(&mut self, op: &str) -> bool {
        let found = self.is(op);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, op: &str) -> Outcome<()> {
        if self.take(op) { Ok(()) } else { Err(self.surprise(op)) }
    }

    pub(super) fn surprise(&self, wanted: &str) -> Fault {
        let found = match self.token() {
            Token::Name(name) => name.to_string(),
            Token::Op(op) => (*op).to_owned(),
            Token::Int(number) => number.to_string(),
            Token::Float(number) => number.to_string(),
            Token::Text(_) => "a text".to_owned(),
            Token::Newline => "the end of the line".to_owned(),
            Token::Indent => "a block".to_owned(),
            Token::Dedent => "the end of the block".to_owned(),
            Token::End => "the end of the program".to_owned(),
        };
        Fault::at(format!("{found} is not expected here, but {wanted}"), self.spot())
    }

    pub(super) fn name(&mut self) -> Outcome<Rc<str>> {
        let Token::Name(name) = self.token().clone() else { return Err(self.surprise("a name")) };
        self.at += 1;
        Ok(name)
    }

    pub(super) fn number_of(&mut self, name: &Rc<str>) -> Name {
        let next = self.names.len();
        let number = *self.numbers.entry(name.clone()).or_insert(next);
        if number == next {
            self.names.push(name.clone());
        }
        number
    }

    /// Takes note that a name is assigned here.
    fn bind(&mut self, name: Name, in_function: bool) {
        let scope = self.scopes.iter_mut().rev().find(|scope| scope.is_function || !in_function);
        if let Some(scope) = scope.filter(|scope| !scope.locals.contains(&name)) {
            scope.locals.push(name);
        }
    }

    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::at("this is nested too deeply", self.spot()));
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    // Statements.

    fn statement(&mut self, block: &mut Block) -> Outcome<()> {
        let spot = self.spot();
        let Token::Op(word) = *self.token() else { return self.simple_line(block) };
        let statement = match word {
            "def" => self.define()?,
            "if" => self.choice()?,
            "for" => self.for_loop()?,
            "while" => {
                self.at += 1;
                Statement::While(self.test()?, self.loop_body()?)
            }
            _ => return self.simple_line(block),
        };
        block.push((statement, spot));
        Ok(())
    }

    fn simple_line(&mut self, block: &mut Block) -> Outcome<()> {
        loop {
            let spot = self.spot();
            let statement = self.simple()?;
            block.push((statement, spot));
            let more = self.take(";");
            if *self.token() == Token::Newline {
                self.at += 1;
                return Ok(());
            }
            if !more {
                return Err(self.surprise("the end of the line"));
            }
        }
    }

    fn simple(&mut self) -> Outcome<Statement> {
        let spot = self.spot();
        if let Token::Op(word @ ("return" | "break" | "continue" | "pass" | "load")) = *self.token() {
            self.at += 1;
            let outside = match word {
                "break" | "continue" => self.loops == 0,
                "return" => !self.scopes.iter().any(|scope| scope.is_function),
                _ => false,
            };
            if outside {
                return Err(Fault::at(format!("{word} is not possible here"), spot));
            }
            return match word {
                "break" => Ok(Statement::Break),
                "continue" => Ok(Statement::Continue),
                "load" => self.load(),
                "return" if *self.token() != Token::Newline && !self.is(";") => {
                    Ok(Statement::Return(Some(self.expressions()?)))
                }
                "return" => Ok(Statement::Return(None)),
                _ => Ok(Statement::Pass),
            };
        }
        let left = self.expressions()?;
        if self.take("=") {
            let target = self.target(left, true)?;
            return Ok(Statement::Assign(target, self.expressions()?));
        }
        let update = UPDATES.iter().chain(&[(">>=", ">>")]).find(|(word, _)| self.is(word));
        let Some((_, operator)) = update else { return Ok(Statement::Do(left)) };
        self.at += 1;
        if matches!(left.kind, Kind::Tuple(_) | Kind::List(_)) {
            return Err(Fault::at("several things cannot be updated at once", left.spot));
        }
        let target = self.target(left, true)?;
        Ok(Statement::Update(target, operator, self.expressions()?))
    }

    /// What an expression on the left of `=` means.
    pub(super) fn target(&mut self, expr: Expr, in_function: bool) -> Outcome<Target> {
        match expr.kind {
            Kind::Name(name) => {
                self.bind(name, in_function);
                Ok(Target::Name(name))
            }
            Kind::Index(value, index) => Ok(Target::Item(*value, *index)),
            Kind::Tuple(parts) | Kind::List(parts) => {
                let parts: Outcome<Vec<Target>> =
                    parts.into_iter().map(|part| self.target(part, in_function)).collect();
                Ok(Target::Several(parts?))
            }
            _ => Err(Fault::at("nothing can be assigned to this", expr.spot)),
        }
    }

    fn load(&mut self) -> Outcome<Statement> {
        self.expect("(")?;
        let Token::Text(module) = self.token().clone() else { return Err(self.surprise("the name of a module")) };
        self.at += 1;
        let mut names = Vec::new();
        while self.take(",") && !self.is(")") {
            let own = if let Token::Name(own) = self.token().clone() {
                self.at += 1;
                self.expect("=")?;
                Some(own)
            } else {
                None
            };
            let Token::Text(member) = self.token().clone() else { return Err(self.surprise("a text")) };
            self.at += 1;
            let own = own.unwrap_or_else(|| member.clone());
            let own = self.number_of(&own);
            self.bind(own, true);
            names.push((own, member));
        }
        self.expect(")")?;
        Ok(Statement::Load(module, names))
    }

    fn block(&mut self) -> Outcome<Block> {
        self.expect(":")?;
        let mut block = Vec::new();
        if *self.token() != Token::Newline {
            self.simple_line(&mut block)?;
            return Ok(block);
        }
        self.at += 1;
        if *self.token() != Token::Indent {
            return Err(self.surprise("an indented block"));
        }
        self.at += 1;
        while *self.token() != Token::Dedent {
            if self.is_end() {
                return Err(self.surprise("the end of the block"));
            }
            self.nested(|parser| parser.statement(&mut block))?;
        }
        self.at += 1;
        Ok(block)
    }

    fn loop_body(&mut self) -> Outcome<Block> {
        self.loops += 1;
        let block = self.block();
        self.loops -= 1;
        block
    }

    fn choice(&mut self) -> Outcome<Statement> {
        let mut cases = Vec::new();
        loop {
            self.at += 1;
            let test = self.test()?;
            cases.push((test, self.block()?));
            if !self.is("elif") {
                break;
            }
        }
        let otherwise = if self.take("else") { self.block()? } else { Vec::new() };
        Ok(Statement::If(cases, otherwise))
    }

    fn for_loop(&mut self) -> Outcome<Statement> {
        self.at += 1;
        let target = self.loop_target(true)?;
        self.expect("in")?;
        let items = self.expressions()?;
        Ok(Statement::For(target, items, self.loop_body()?))
    }

    /// `x`, `x, y`, `(x, y)` before `in`.
    pub(super) fn loop_target(&mut self, in_function: bool) -> Outcome<Target> {
        let spot = self.spot();
        let first = self.primary()?;
        if !self.is(",") {
            return self.target(first, in_function);
        }
        let mut parts = vec![first];
        while self.take(",") && !self.is("in") {
            parts.push(self.primary()?);
        }
        self.target(Expr { kind: Kind::Tuple(parts), spot }, in_function)
    }

    fn define(&mut self) -> Outcome<Statement> {
        self.at += 1;
        let name = self.name()?;
        let number = self.number_of(&name);
        self.bind(number, true);
        self.expect("(")?;
        let function = self.function(name, ")", |parser| {
            parser.expect(")")?;
            parser.block()
        })?;
        Ok(Statement::Define(number, Rc::new(function)))
    }

    /// Parameters up to `end`, and what comes behind them.
    pub(super) fn function(
        &mut self,
        name: Rc<str>,
        end: &str,
        body: impl FnOnce(&mut Self) -> Outcome<Block>,
    ) -> Outcome<Function> {
        let loops = std::mem::take(&mut self.loops);
        let params = self.params(end)?;
        self.functions += 1;
        for scope in &mut self.scopes {
            scope.is_kept = true;
        }
        let locals = params.iter().map(|param| param.name).collect();
        self.scopes.push(Scope { locals, is_kept: false, is_function: true });
        let body = self.nested(body)?;
        let scope = self.scopes.pop().unwrap_or_default();
        self.loops = loops;
        Ok(Function { name, params, body, locals: scope.locals.into(), is_kept: scope.is_kept })
    }

    pub(super) fn params(&mut self, end: &str) -> Outcome<Vec<Param>> {
        let mut params: Vec<Param> = Vec::new();
        let mut only_named = false;
        while !self.is(end) {
            let spot = self.spot();
            let star = self.take("*");
            if star && (self.is(",") || self.is(end)) {
                only_named = true;
            } else {
                let kind = match (star, self.take("**")) {
                    (true, _) => ParamKind::Rest,
                    (_, true) => ParamKind::NamedRest,
                    _ if only_named => ParamKind::Named,
                    _ => ParamKind::Plain,
                };
                let name = self.name()?;
                let name = self.number_of(&name);
                let with_default = matches!(kind, ParamKind::Plain | ParamKind::Named) && self.take("=");
                let default = if with_default { Some(self.test()?) } else { None };
                let wrong = match params.last() {
                    _ if params.iter().any(|other| other.name == name) => Some("two parameters have this name"),
                    Some(last) if last.kind == ParamKind::NamedRest => Some("nothing comes behind the ** parameter"),
                    Some(last) if kind == ParamKind::Plain && last.default.is_some() && default.is_none() => {
                        Some("a parameter without a default comes behind one with a default")
                    }
                    _ if star && only_named => Some("there are two * parameters"),
                    _ => None,
                };
                if let Some(wrong) = wrong {
                    return Err(Fault::at(wrong, spot));
                }
                only_named |= star;
                params.push(Param { name, kind, default });
            }
            if !self.take(",") {
                break;
            }
        }
        Ok(params)
    }
}
