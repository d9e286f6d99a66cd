//! Tokens into a tree, by recursive descent.
//!
//! Source: the grammar of <https://github.com/bazelbuild/starlark/blob/master/spec.md>, with what the published function
//! allows on top: statements of every kind outside of functions, `while`, recursion, names that are assigned again.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::ast::{Argument, Block, Clause, Comprehension, Expr, Function, Kind, Name, Param, ParamKind};
use super::ast::{Program, Statement, Target};
use super::fault::{Fault, Outcome, Spot};
use super::lexer::{Token, tokens};

/// Most expressions inside each other, and most operators in a row.
const MAX_DEPTH: usize = 80;
const MAX_CHAIN: usize = 250;
/// Most loops and tests of a comprehension.
const MAX_CLAUSES: usize = 20;

/// Binary operators by how tightly they bind, the loosest first.
const BINARY: [&[&str]; 9] = [
    &["or"],
    &["and"],
    &["==", "!=", "<", ">", "<=", ">=", "in", "not in"],
    &["|"],
    &["^"],
    &["&"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "//", "%"],
];
/// Where `not` stands among them, and the comparisons, which do not chain.
const NOT: usize = 2;
const COMPARISON: usize = 2;

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
struct Scope {
    locals: Vec<Name>,
    is_kept: bool,
    is_function: bool,
}

#[derive(Debug, Default)]
struct Parser {
    tokens: Vec<(Token, Spot)>,
    at: usize,
    names: Vec<Rc<str>>,
    numbers: BTreeMap<Rc<str>, Name>,
    /// Functions and comprehensions around here, the outermost first.
    scopes: Vec<Scope>,
    depth: usize,
    loops: usize,
    /// How many functions were read.
    functions: usize,
}

impl Parser {
    fn token(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn spot(&self) -> Spot {
        self.tokens.get(self.at).or(self.tokens.last()).map(|(_, spot)| *spot).unwrap_or_default()
    }

    fn is_end(&self) -> bool {
        *self.token() == Token::End
    }

    fn is(&self, op: &str) -> bool {
        matches!(self.token(), Token::Op(found) if *found == op)
    }

    fn take(&mut self, op: &str) -> bool {
        let found = self.is(op);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, op: &str) -> Outcome<()> {
        if self.take(op) { Ok(()) } else { Err(self.surprise(op)) }
    }

    fn surprise(&self, wanted: &str) -> Fault {
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

    fn name(&mut self) -> Outcome<Rc<str>> {
        let Token::Name(name) = self.token().clone() else { return Err(self.surprise("a name")) };
        self.at += 1;
        Ok(name)
    }

    fn number_of(&mut self, name: &Rc<str>) -> Name {
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

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
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
    fn target(&mut self, expr: Expr, in_function: bool) -> Outcome<Target> {
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
            let (own, member) = match self.token().clone() {
                Token::Text(member) => {
                    self.at += 1;
                    (member.clone(), member)
                }
                _ => {
                    let own = self.name()?;
                    self.expect("=")?;
                    let Token::Text(member) = self.token().clone() else { return Err(self.surprise("a text")) };
                    self.at += 1;
                    (own, member)
                }
            };
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
    fn loop_target(&mut self, in_function: bool) -> Outcome<Target> {
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
    fn function(
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

    fn params(&mut self, end: &str) -> Outcome<Vec<Param>> {
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

    // Expressions.

    /// One expression, or several with commas between them: a tuple.
    fn expressions(&mut self) -> Outcome<Expr> {
        let spot = self.spot();
        let first = self.test()?;
        if !self.is(",") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.take(",") && self.begins_expression() {
            parts.push(self.test()?);
        }
        Ok(Expr { kind: Kind::Tuple(parts), spot })
    }

    fn begins_expression(&self) -> bool {
        match self.token() {
            Token::Op(op) => matches!(*op, "(" | "[" | "{" | "-" | "+" | "~" | "not" | "lambda"),
            Token::Name(_) | Token::Int(_) | Token::Float(_) | Token::Text(_) => true,
            _ => false,
        }
    }

    fn test(&mut self) -> Outcome<Expr> {
        self.nested(|parser| {
            if parser.is("lambda") {
                return parser.lambda();
            }
            let value = parser.binary(0)?;
            let spot = parser.spot();
            if !parser.take("if") {
                return Ok(value);
            }
            let test = parser.binary(0)?;
            parser.expect("else")?;
            let otherwise = parser.test()?;
            Ok(Expr { kind: Kind::Choice(Box::new((test, value, otherwise))), spot })
        })
    }

    fn lambda(&mut self) -> Outcome<Expr> {
        let spot = self.spot();
        self.at += 1;
        let function = self.function("lambda".into(), ":", |parser| {
            parser.expect(":")?;
            let spot = parser.spot();
            let value = parser.test()?;
            Ok(vec![(Statement::Return(Some(value)), spot)])
        })?;
        Ok(Expr { kind: Kind::Lambda(Rc::new(function)), spot })
    }

    fn binary(&mut self, level: usize) -> Outcome<Expr> {
        if level == BINARY.len() {
            return self.unary();
        }
        if level == NOT && self.is("not") {
            let spot = self.spot();
            self.at += 1;
            let value = self.nested(|parser| parser.binary(NOT))?;
            return Ok(Expr { kind: Kind::Unary("not", Box::new(value)), spot });
        }
        let mut left = self.binary(level + 1)?;
        for count in 0.. {
            let spot = self.spot();
            let Some(operator) = self.operator(level) else { break };
            if count > 0 && level == COMPARISON {
                return Err(Fault::at("comparisons do not chain; write a < b and b < c", spot));
            }
            if count > MAX_CHAIN {
                return Err(Fault::at("there are too many operators in a row", spot));
            }
            let right = self.binary(level + 1)?;
            left = Expr { kind: Kind::Binary(operator, Box::new(left), Box::new(right)), spot };
        }
        Ok(left)
    }

    fn operator(&mut self, level: usize) -> Option<&'static str> {
        if level == COMPARISON && self.is("not") {
            let next = self.tokens.get(self.at + 1).map(|(token, _)| token);
            let found = next == Some(&Token::Op("in"));
            self.at += if found { 2 } else { 0 };
            return found.then_some("not in");
        }
        let operator = BINARY[level].iter().find(|operator| self.is(operator))?;
        self.at += 1;
        Some(operator)
    }

    fn unary(&mut self) -> Outcome<Expr> {
        let spot = self.spot();
        let Some(operator) = ["-", "+", "~"].into_iter().find(|operator| self.is(operator)) else {
            return self.primary();
        };
        self.at += 1;
        let value = self.nested(Self::unary)?;
        Ok(Expr { kind: Kind::Unary(operator, Box::new(value)), spot })
    }

    fn primary(&mut self) -> Outcome<Expr> {
        let mut value = self.nested(Self::operand)?;
        for count in 0.. {
            let spot = self.spot();
            let kind = if self.take(".") {
                Kind::Dot(Box::new(value), self.name()?)
            } else if self.take("(") {
                Kind::Call(Box::new(value), self.arguments()?)
            } else if self.take("[") {
                self.index(value)?
            } else {
                break;
            };
            if count > MAX_CHAIN {
                return Err(Fault::at("there are too many operators in a row", spot));
            }
            value = Expr { kind, spot };
        }
        Ok(value)
    }

    fn index(&mut self, value: Expr) -> Outcome<Kind> {
        let first = if self.is(":") { None } else { Some(self.expressions()?) };
        if let Some(index) = first {
            if self.take("]") {
                return Ok(Kind::Index(Box::new(value), Box::new(index)));
            }
            return self.slice(value, Some(index));
        }
        self.slice(value, None)
    }

    fn slice(&mut self, value: Expr, from: Option<Expr>) -> Outcome<Kind> {
        self.expect(":")?;
        let to = if self.is(":") || self.is("]") { None } else { Some(self.test()?) };
        let step = if self.take(":") && !self.is("]") { Some(self.test()?) } else { None };
        self.expect("]")?;
        Ok(Kind::Slice(Box::new(value), Box::new([from, to, step])))
    }

    fn arguments(&mut self) -> Outcome<Vec<Argument>> {
        let mut found = Vec::new();
        while !self.is(")") {
            let spot = self.spot();
            let argument = if self.take("*") {
                Argument::Rest(self.test()?)
            } else if self.take("**") {
                Argument::NamedRest(self.test()?)
            } else if matches!(self.tokens.get(self.at + 1), Some((Token::Op("="), _))) {
                let name = self.name()?;
                self.at += 1;
                Argument::Named(name, self.test()?)
            } else {
                Argument::Plain(self.test()?)
            };
            if matches!(argument, Argument::Plain(_))
                && found.iter().any(|argument| !matches!(argument, Argument::Plain(_)))
            {
                return Err(Fault::at("an argument without a name comes behind one with a name, * or **", spot));
            }
            found.push(argument);
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(found)
    }

    fn operand(&mut self) -> Outcome<Expr> {
        let spot = self.spot();
        let kind = match self.token().clone() {
            Token::Name(name) => Kind::Name(self.number_of(&name)),
            Token::Int(number) => Kind::Int(number),
            Token::Float(number) => Kind::Float(number),
            Token::Text(text) => Kind::Text(text),
            Token::Op("(") => return self.parenthesis(spot),
            Token::Op("[") => return self.list(spot),
            Token::Op("{") => return self.dict(spot),
            _ => return Err(self.surprise("an expression")),
        };
        self.at += 1;
        if matches!((&kind, self.token()), (Kind::Text(_), Token::Text(_))) {
            return Err(Fault::at("two texts stand side by side; put + between them", self.spot()));
        }
        Ok(Expr { kind, spot })
    }

    fn parenthesis(&mut self, spot: Spot) -> Outcome<Expr> {
        self.at += 1;
        if self.take(")") {
            return Ok(Expr { kind: Kind::Tuple(Vec::new()), spot });
        }
        let value = self.expressions()?;
        self.expect(")")?;
        Ok(value)
    }

    fn list(&mut self, spot: Spot) -> Outcome<Expr> {
        self.at += 1;
        let mut items = Vec::new();
        while !self.is("]") {
            let before = self.functions;
            let item = self.test()?;
            if items.is_empty() && self.is("for") {
                return self.comprehension((None, item), before, "]", spot);
            }
            items.push(item);
            if !self.take(",") {
                break;
            }
        }
        self.expect("]")?;
        Ok(Expr { kind: Kind::List(items), spot })
    }

    fn dict(&mut self, spot: Spot) -> Outcome<Expr> {
        self.at += 1;
        let mut entries = Vec::new();
        while !self.is("}") {
            let before = self.functions;
            let key = self.test()?;
            self.expect(":")?;
            let value = self.test()?;
            if entries.is_empty() && self.is("for") {
                return self.comprehension((Some(key), value), before, "}", spot);
            }
            entries.push((key, value));
            if !self.take(",") {
                break;
            }
        }
        self.expect("}")?;
        Ok(Expr { kind: Kind::Dict(entries), spot })
    }

    /// The loops behind an element; `before` is how many functions there were before the element.
    fn comprehension(
        &mut self,
        (key, value): (Option<Expr>, Expr),
        before: usize,
        end: &str,
        spot: Spot,
    ) -> Outcome<Expr> {
        self.scopes.push(Scope::default());
        let mut clauses = Vec::new();
        while self.is("for") || self.is("if") {
            if clauses.len() > MAX_CLAUSES {
                return Err(Fault::at("there are too many loops in this", self.spot()));
            }
            if self.take("if") {
                let test = if self.is("lambda") { self.lambda()? } else { self.binary(0)? };
                clauses.push(Clause::If(test));
                continue;
            }
            self.at += 1;
            let target = self.loop_target(false)?;
            self.expect("in")?;
            clauses.push(Clause::For(target, self.binary(0)?));
        }
        self.expect(end)?;
        let locals = self.scopes.pop().unwrap_or_default().locals.into();
        let is_kept = self.functions > before;
        let comprehension = Comprehension { key, value, clauses, locals, is_kept };
        Ok(Expr { kind: Kind::Comprehension(Box::new(comprehension)), spot })
    }
}
