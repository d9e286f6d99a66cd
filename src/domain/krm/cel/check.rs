//! Types of an expression, found before it runs.
//!
//! Source: the type checker of the CEL specification; wording of `cel-go` 0.26.

use std::sync::Arc;

use super::ast::{Entry, Expr, ExprKind, Fold, FoldKind, Select};
use super::library;
use super::parse::Fault;
use super::pattern;
use super::signatures::{self, Signature};
use super::types::Type;
use crate::domain::krm::duration;

/// The type of an expression, given its variables.
pub(super) fn check(expr: &Expr, variables: &[(&str, Type)]) -> Result<Type, Vec<Fault>> {
    let variables = variables.iter().map(|(name, kind)| ((*name).to_owned(), kind.clone())).collect();
    let mut checker = Checker { variables, open: Vec::new(), faults: Vec::new() };
    let found = checker.expr(expr);
    let found = checker.resolved(&found, true);
    checker.faults.sort_by_key(|fault| fault.at);
    if checker.faults.is_empty() { Ok(found) } else { Err(checker.faults) }
}

struct Checker {
    /// The innermost last.
    variables: Vec<(String, Type)>,
    /// What is known of open types.
    open: Vec<Option<Type>>,
    faults: Vec<Fault>,
}

impl Checker {
    /// Tells a fault; what is wrong has any type from there on.
    fn refuse(&mut self, at: usize, message: String) -> Type {
        self.faults.push(Fault::new(at, message));
        Type::Dyn
    }

    fn fresh(&mut self) -> Type {
        self.open.push(None);
        Type::Open(self.open.len() - 1)
    }

    /// A type with what is known of its open parts; the rest stays open, or is any type at the `end`.
    fn resolved(&self, kind: &Type, end: bool) -> Type {
        let inner = |kind: &Type| Box::new(self.resolved(kind, end));
        match kind {
            Type::Open(number) => match self.open.get(*number) {
                Some(Some(found)) => self.resolved(found, end),
                _ if end => Type::Dyn,
                _ => kind.clone(),
            },
            Type::List(item) => Type::List(inner(item)),
            Type::Map(key, value) => Type::Map(inner(key), inner(value)),
            Type::Optional(value) => Type::Optional(inner(value)),
            Type::Meta(value) => Type::Meta(inner(value)),
            other => other.clone(),
        }
    }

    fn mentions(&self, kind: &Type, number: usize) -> bool {
        match self.resolved(kind, false) {
            Type::Open(found) => found == number,
            Type::List(inner) | Type::Optional(inner) | Type::Meta(inner) => self.mentions(&inner, number),
            Type::Map(key, value) => self.mentions(&key, number) || self.mentions(&value, number),
            _ => false,
        }
    }

    /// Whether a value of one type may be where another is wanted; learns open types.
    fn fits(&mut self, given: &Type, wanted: &Type) -> bool {
        match (self.resolved(given, false), self.resolved(wanted, false)) {
            (Type::Open(a), Type::Open(b)) if a == b => true,
            (kind, Type::Open(number)) | (Type::Open(number), kind) => {
                if self.mentions(&kind, number) {
                    return false;
                }
                if let Some(place) = self.open.get_mut(number) {
                    *place = Some(kind);
                }
                true
            }
            (Type::Dyn, _) | (_, Type::Dyn) | (Type::Meta(_), Type::Meta(_)) => true,
            (Type::Null, other) | (other, Type::Null) => matches!(
                other,
                Type::Null | Type::Timestamp | Type::Duration | Type::Object(_) | Type::Optional(_) | Type::Library(_)
            ),
            (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => self.fits(&a, &b),
            (Type::Map(a, x), Type::Map(b, y)) => self.fits(&a, &b) && self.fits(&x, &y),
            (Type::Object(a), Type::Object(b)) => Arc::ptr_eq(&a, &b),
            (Type::Library(a), Type::Library(b)) => a == b,
            (a, b) => std::mem::discriminant(&a) == std::mem::discriminant(&b),
        }
    }

    fn expect(&mut self, expr: &Expr, wanted: &Type) -> Type {
        let found = self.expr(expr);
        if !self.fits(&found, wanted) {
            let (wanted, found) = (self.resolved(wanted, false), self.resolved(&found, false));
            return self.refuse(expr.at, format!("expected type '{wanted}' but found '{found}'"));
        }
        found
    }

    fn expr(&mut self, expr: &Expr) -> Type {
        match &expr.kind {
            ExprKind::Null => Type::Null,
            ExprKind::Bool(_) => Type::Bool,
            ExprKind::Int(_) => Type::Int,
            ExprKind::Uint(_) => Type::Uint,
            ExprKind::Double(_) => Type::Double,
            ExprKind::Text(_) => Type::Text,
            ExprKind::Bytes(_) => Type::Bytes,
            ExprKind::Ident(name) => self.ident(expr.at, name),
            ExprKind::Select { of, field, mode } => self.select(expr.at, of, field, *mode),
            ExprKind::Index { of, index, optional } => self.index(expr.at, of, index, *optional),
            ExprKind::Call { name, target, args } => self.call(expr, name, target.as_deref(), args),
            ExprKind::And(terms) | ExprKind::Or(terms) => {
                for term in terms {
                    self.expect(term, &Type::Bool);
                }
                Type::Bool
            }
            ExprKind::Choice(parts) => {
                let [condition, yes, no] = parts.as_ref();
                let condition = self.expr(condition);
                let (yes, no) = (self.expr(yes), self.expr(no));
                if self.fits(&condition, &Type::Bool) && self.fits(&no, &yes) {
                    return if matches!(self.resolved(&no, false), Type::Dyn) { Type::Dyn } else { yes };
                }
                let shown = [condition, yes, no].map(|kind| self.resolved(&kind, true).to_string()).join(", ");
                self.refuse(expr.at, format!("found no matching overload for '_?_:_' applied to '({shown})'"))
            }
            ExprKind::List(entries) => {
                let item = self.entries(entries);
                Type::List(Box::new(item))
            }
            ExprKind::Map(entries) => {
                let (mut keys, mut values) = (None, None);
                for (key, entry) in entries {
                    let kind = self.expr(key);
                    keys = Some(self.same(key.at, keys, kind));
                    let kind = self.entry(entry);
                    values = Some(self.same(entry.value.at, values, kind));
                }
                let (key, value) = (keys.unwrap_or_else(|| self.fresh()), values.unwrap_or_else(|| self.fresh()));
                Type::Map(Box::new(key), Box::new(value))
            }
            ExprKind::Fold(fold) => self.fold(expr.at, fold),
            ExprKind::OptMap { of, name, body, flat } => self.opt_map(expr.at, of, name, body, *flat),
        }
    }

    fn ident(&mut self, at: usize, name: &str) -> Type {
        if let Some((_, kind)) = self.variables.iter().rev().find(|(known, _)| known == name) {
            return kind.clone();
        }
        match Type::named(name) {
            Some(kind) => Type::Meta(Box::new(kind)),
            None => self.refuse(at, format!("undeclared reference to '{name}' (in container '')")),
        }
    }

    fn select(&mut self, at: usize, of: &Expr, field: &str, mode: Select) -> Type {
        let kind = self.expr(of);
        let kind = self.resolved(&kind, false);
        let (kind, optional) = match kind {
            Type::Optional(inner) => (self.resolved(&inner, false), true),
            other => (other, mode == Select::Optional),
        };
        let found = match &kind {
            Type::Map(_, value) => (**value).clone(),
            Type::Object(object) => match object.field(field) {
                Some(kind) => kind.clone(),
                None => self.refuse(at, format!("undefined field '{field}'")),
            },
            Type::Dyn => Type::Dyn,
            Type::Open(_) => {
                self.fits(&Type::Dyn, &kind);
                Type::Dyn
            }
            other => self.refuse(at, format!("type '{other}' does not support field selection")),
        };
        match mode {
            Select::Test => Type::Bool,
            _ if optional => Type::Optional(Box::new(found)),
            _ => found,
        }
    }

    fn index(&mut self, at: usize, of: &Expr, index: &Expr, optional: bool) -> Type {
        let (kind, index) = (self.expr(of), self.expr(index));
        let kind = self.resolved(&kind, false);
        let (inner, optional) = match &kind {
            Type::Optional(inner) => (self.resolved(inner, false), true),
            other => (other.clone(), optional),
        };
        let found = match &inner {
            Type::List(item) => self.fits(&index, &Type::Int).then(|| (**item).clone()),
            Type::Map(key, value) => self.fits(&index, key).then(|| (**value).clone()),
            Type::Dyn | Type::Open(_) => Some(Type::Dyn),
            _ => None,
        };
        let Some(found) = found else {
            let index = self.resolved(&index, true);
            let name = if optional { "_[?_]" } else { "_[_]" };
            return self.refuse(at, format!("found no matching overload for '{name}' applied to '({kind}, {index})'"));
        };
        if optional { Type::Optional(Box::new(found)) } else { found }
    }

    fn call(&mut self, expr: &Expr, name: &str, target: Option<&Expr>, args: &[Expr]) -> Type {
        let all: Vec<&Expr> = target.into_iter().chain(args).collect();
        let kinds: Vec<Type> = all.iter().map(|arg| self.argument(name, arg)).collect();
        self.check_literals(name, args.first());
        if let ("format", Some(Expr { kind: ExprKind::Text(text), .. }), [Expr { kind: ExprKind::List(entries), .. }]) =
            (name, target, args)
        {
            self.check_format(expr.at, text, entries);
        }
        let Some(signatures) = signatures::all().get(name) else {
            return self.refuse(expr.at, format!("undeclared reference to '{name}' (in container '')"));
        };
        let mut result: Option<Type> = None;
        for signature in signatures.iter().filter(|signature| signature.method == target.is_some()) {
            if let Some(found) = self.matched(signature, &kinds) {
                let same = result.as_ref().is_none_or(|known| known.to_string() == found.to_string());
                result = Some(if same { found } else { Type::Dyn });
            }
        }
        result.unwrap_or_else(|| self.mismatch(expr.at, name, target.is_some(), &kinds))
    }

    /// The items of the list that `format` takes may be of different types.
    fn argument(&mut self, name: &str, arg: &Expr) -> Type {
        match &arg.kind {
            ExprKind::List(entries) if name == "format" => {
                for entry in entries {
                    self.entry(entry);
                }
                Type::List(Box::new(Type::Dyn))
            }
            _ => self.expr(arg),
        }
    }

    fn mismatch(&mut self, at: usize, name: &str, method: bool, kinds: &[Type]) -> Type {
        let shown: Vec<String> = kinds.iter().map(|kind| self.resolved(kind, true).to_string()).collect();
        let shown = match (method, shown.split_first()) {
            (true, Some((target, args))) => format!("{target}.({})", args.join(", ")),
            _ => format!("({})", shown.join(", ")),
        };
        self.refuse(at, format!("found no matching overload for '{name}' applied to '{shown}'"))
    }

    /// What a function gives for these arguments, if it takes them.
    fn matched(&mut self, signature: &Signature, given: &[Type]) -> Option<Type> {
        if signature.params.len() != given.len() {
            return None;
        }
        let before = self.open.clone();
        let (a, b) = (self.fresh(), self.fresh());
        for (given, wanted) in given.iter().zip(&signature.params) {
            if !self.fits(given, &instance(wanted, &a, &b)) {
                self.open = before;
                return None;
            }
        }
        Some(self.resolved(&instance(&signature.result, &a, &b), false))
    }

    /// Literals that can be read beforehand.
    fn check_literals(&mut self, name: &str, first: Option<&Expr>) {
        let Some(Expr { kind, at, .. }) = first else { return };
        let fits = match (name, kind) {
            ("duration", ExprKind::Text(text)) => duration::parse(text).is_some(),
            ("duration", ExprKind::Int(_)) => false,
            ("timestamp", ExprKind::Text(text)) => library::is_time(text),
            ("matches" | "find" | "findAll", ExprKind::Text(text)) => pattern::compile(text).is_ok(),
            _ => true,
        };
        if !fits {
            self.refuse(*at, format!("invalid {name} argument"));
        }
    }

    /// Whether the clauses of a text to format fit the items that it is given.
    fn check_format(&mut self, at: usize, text: &str, entries: &[Entry]) {
        let verbs = match library::verbs(text) {
            Ok(verbs) => verbs,
            Err(why) => {
                self.refuse(at, why);
                return;
            }
        };
        if entries.len() > verbs.len() {
            let counts = format!("(expected {}, got {})", verbs.len(), entries.len());
            self.refuse(at, format!("too many arguments supplied to string.format {counts}"));
        }
        for (index, verb) in verbs.iter().enumerate() {
            let Some(entry) = entries.get(index) else {
                self.refuse(at, format!("index {index} out of range"));
                return;
            };
            // It was checked before: what is wrong with it has been told.
            let before = self.faults.len();
            let kind = self.entry(entry);
            self.faults.truncate(before);
            let kind = self.resolved(&kind, true);
            if let Some(why) = library::misfit(*verb, &kind) {
                self.refuse(entry.value.at, why);
            }
        }
    }

    /// The type of an entry; an optional one counts as what it holds.
    fn entry(&mut self, entry: &Entry) -> Type {
        let found = self.expr(&entry.value);
        if !entry.optional {
            return found;
        }
        let inner = self.fresh();
        if self.fits(&found, &Type::Optional(Box::new(inner.clone()))) {
            return inner;
        }
        let found = self.resolved(&found, true);
        self.refuse(entry.value.at, format!("expected type 'optional_type(dyn)' but found '{found}'"))
    }

    fn entries(&mut self, entries: &[Entry]) -> Type {
        let mut item = None;
        for entry in entries {
            let kind = self.entry(entry);
            item = Some(self.same(entry.value.at, item, kind));
        }
        item.unwrap_or_else(|| self.fresh())
    }

    /// All entries of a literal are of one type.
    fn same(&mut self, at: usize, before: Option<Type>, next: Type) -> Type {
        let Some(before) = before else { return next };
        if self.fits(&next, &before) {
            return before;
        }
        let (wanted, found) = (self.resolved(&before, true), self.resolved(&next, true));
        self.refuse(at, format!("expected type '{wanted}' but found '{found}'"))
    }

    fn fold(&mut self, at: usize, fold: &Fold) -> Type {
        let range = self.expr(&fold.range);
        let range = self.resolved(&range, false);
        let two = fold.names.len() == 2;
        let (first, second) = match &range {
            Type::List(item) if two => (Type::Int, (**item).clone()),
            Type::List(item) => ((**item).clone(), Type::Dyn),
            Type::Map(key, value) => ((**key).clone(), (**value).clone()),
            Type::Dyn | Type::Open(_) => (Type::Dyn, Type::Dyn),
            other => {
                let why = "cannot be range of a comprehension (must be list, map, or dynamic)";
                self.refuse(fold.range.at, format!("expression of type '{other}' {why}"));
                (Type::Dyn, Type::Dyn)
            }
        };
        let known = self.variables.len();
        let kinds = [first.clone(), second];
        self.variables.extend(fold.names.iter().cloned().zip(kinds));
        if let Some(filter) = &fold.filter {
            self.expect(filter, &Type::Bool);
        }
        let found = match fold.kind {
            FoldKind::All | FoldKind::Exists | FoldKind::ExistsOne => {
                self.expect(&fold.body, &Type::Bool);
                Type::Bool
            }
            FoldKind::Filter => {
                self.expect(&fold.body, &Type::Bool);
                Type::List(Box::new(first))
            }
            FoldKind::Map => Type::List(Box::new(self.expr(&fold.body))),
            FoldKind::Values => Type::Map(Box::new(first), Box::new(self.expr(&fold.body))),
            FoldKind::Entries => {
                let (key, value) = (self.fresh(), self.fresh());
                self.expect(&fold.body, &Type::Map(Box::new(key), Box::new(value)))
            }
            FoldKind::SortBy => {
                let key = self.expr(&fold.body);
                self.sortable(at, &key);
                if matches!(range, Type::List(_)) { range } else { Type::List(Box::new(Type::Dyn)) }
            }
        };
        self.variables.truncate(known);
        found
    }

    fn sortable(&mut self, at: usize, key: &Type) {
        let key = self.resolved(key, false);
        if matches!(key, Type::List(_) | Type::Map(..) | Type::Object(_) | Type::Optional(_) | Type::Null) {
            self.refuse(at, format!("found no matching overload for '@sortByAssociatedKeys' applied to 'list({key})'"));
        }
    }

    fn opt_map(&mut self, at: usize, of: &Expr, name: &str, body: &Expr, flat: bool) -> Type {
        let inner = self.fresh();
        let found = self.expr(of);
        if !self.fits(&found, &Type::Optional(Box::new(inner.clone()))) {
            let found = self.resolved(&found, true);
            return self.refuse(at, format!("found no matching overload for 'hasValue' applied to '{found}.()'"));
        }
        let inner = self.resolved(&inner, false);
        self.variables.push((name.to_owned(), inner));
        let found = if flat {
            let inner = self.fresh();
            self.expect(body, &Type::Optional(Box::new(inner)))
        } else {
            Type::Optional(Box::new(self.expr(body)))
        };
        self.variables.pop();
        found
    }
}

/// A type of a signature with its parameters filled in.
fn instance(kind: &Type, a: &Type, b: &Type) -> Type {
    let inner = |kind: &Type| Box::new(instance(kind, a, b));
    match kind {
        Type::Parameter('A') => a.clone(),
        Type::Parameter(_) => b.clone(),
        Type::List(item) => Type::List(inner(item)),
        Type::Map(key, value) => Type::Map(inner(key), inner(value)),
        Type::Optional(value) => Type::Optional(inner(value)),
        Type::Meta(value) => Type::Meta(inner(value)),
        other => other.clone(),
    }
}
