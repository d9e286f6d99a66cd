//! Expressions: tokens into a tree.

use std::rc::Rc;

use super::ast::{Argument, Clause, Comprehension, Expr, Kind, Statement};
use super::fault::{Fault, Outcome, Spot};
use super::lexer::Token;
use super::parser::{Parser, Scope};

/// Most operators in a row.
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

impl Parser {
    /// One expression, or several with commas between them: a tuple.
    pub(super) fn expressions(&mut self) -> Outcome<Expr> {
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

    pub(super) fn test(&mut self) -> Outcome<Expr> {
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

    pub(super) fn lambda(&mut self) -> Outcome<Expr> {
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

    pub(super) fn binary(&mut self, level: usize) -> Outcome<Expr> {
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

    pub(super) fn primary(&mut self) -> Outcome<Expr> {
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
