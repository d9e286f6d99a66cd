//! Evaluation, within a budget.
//!
//! Costs are those of Kubernetes v1.36 (`cel-go` `interpreter/runtimecost.go`,
//! `k8s.io/apiserver/pkg/cel/library/cost.go`). Beside them all work and all memory that costs do not count is limited
//! too.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use regex::Regex;

use super::ast::{Entry, Expr, ExprKind, Fold, FoldKind, Select};
use super::collection::{Key, Map};
use super::library;
use super::pattern;
use super::value::{Text, Val};

/// Most steps of an evaluation, whatever they cost.
const MOST_WORK: usize = 5_000_000;
/// Most items and bytes that an evaluation makes.
const MOST_HELD: usize = 32_000_000;
/// Most patterns that are kept compiled.
const MOST_PATTERNS: usize = 64;

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fail {
    /// An error of the expression: `&&`, `||` and walks may absorb it.
    Error(String),
    /// The budget is spent: nothing absorbs it.
    Spent,
}

impl Fail {
    pub(super) fn error(message: impl Into<String>) -> Self {
        Self::Error(message.into())
    }

    pub(super) fn overload() -> Self {
        Self::error("no such overload")
    }
}

/// What an evaluation may cost.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u64,
    cost: Cell<u64>,
    work: Cell<usize>,
    held: Cell<usize>,
    patterns: RefCell<BTreeMap<String, Regex>>,
}

impl Budget {
    /// A budget of so many units of Kubernetes' cost.
    pub(super) fn new(limit: u64) -> Self {
        let (cost, work, held) = (Cell::new(0), Cell::new(0), Cell::new(0));
        Self { limit, cost, work, held, patterns: RefCell::default() }
    }

    /// What was spent.
    pub(super) fn cost(&self) -> u64 {
        self.cost.get()
    }

    pub(super) fn charge(&self, cost: u64) -> Result<(), Fail> {
        self.cost.set(self.cost.get().saturating_add(cost));
        self.work(1)?;
        if self.cost.get() > self.limit { Err(Fail::Spent) } else { Ok(()) }
    }

    /// Counts steps that cost nothing.
    pub(super) fn work(&self, steps: usize) -> Result<(), Fail> {
        self.work.set(self.work.get().saturating_add(steps));
        if self.work.get() > MOST_WORK { Err(Fail::Spent) } else { Ok(()) }
    }

    /// Counts items and bytes that are made.
    pub(super) fn hold(&self, size: usize) -> Result<(), Fail> {
        self.held.set(self.held.get().saturating_add(size));
        if self.held.get() > MOST_HELD { Err(Fail::Spent) } else { Ok(()) }
    }

    /// A pattern, compiled once.
    pub(super) fn pattern(&self, text: &str) -> Result<Regex, Fail> {
        if let Some(found) = self.patterns.borrow().get(text) {
            return Ok(found.clone());
        }
        self.work(text.len().saturating_mul(4))?;
        let compiled = pattern::compile(text).map_err(Fail::Error)?;
        let mut patterns = self.patterns.borrow_mut();
        if patterns.len() < MOST_PATTERNS {
            patterns.insert(text.to_owned(), compiled.clone());
        }
        Ok(compiled)
    }
}

/// Variables, the innermost first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'s, 'a> {
    name: &'s str,
    value: Option<&'s Val<'a>>,
    outer: Option<&'s Scope<'s, 'a>>,
}

impl<'s, 'a> Scope<'s, 'a> {
    /// One variable beside those of another scope.
    pub(super) const fn with(name: &'s str, value: &'s Val<'a>, outer: Option<&'s Self>) -> Self {
        Self { name, value: Some(value), outer }
    }

    fn get(&self, name: &str) -> Option<&'s Val<'a>> {
        let mut scope = Some(self);
        while let Some(here) = scope {
            if here.name == name {
                return here.value;
            }
            scope = here.outer;
        }
        None
    }
}

/// Evaluates an expression.
pub(super) fn eval<'a>(expr: &'a Expr, scope: &Scope<'_, 'a>, budget: &Budget) -> Result<Val<'a>, Fail> {
    budget.work(1)?;
    Ok(match &expr.kind {
        ExprKind::Null => Val::Null,
        ExprKind::Bool(value) => Val::Bool(*value),
        ExprKind::Int(number) => Val::Int(*number),
        ExprKind::Uint(number) => Val::Uint(*number),
        ExprKind::Double(number) => Val::Double(*number),
        ExprKind::Text(text) => Val::Text(Text::Borrowed(text)),
        ExprKind::Bytes(bytes) => Val::Bytes(bytes.as_slice().into()),
        ExprKind::Ident(name) => {
            budget.charge(1)?;
            variable(name, scope)?
        }
        ExprKind::Select { of, field, mode } => select(of, field, *mode, scope, budget)?,
        ExprKind::Index { of, index, optional } => {
            let (of, index) = (eval(of, scope, budget)?, eval(index, scope, budget)?);
            budget.charge(1)?;
            if *optional { optional_at(&of, &index)? } else { at(&of, &index)? }
        }
        ExprKind::Call { name, target, args } => {
            let mut values = Vec::new();
            for arg in target.iter().map(AsRef::as_ref).chain(args) {
                values.push(eval(arg, scope, budget)?);
            }
            library::call(name, target.is_some(), &values, budget)?
        }
        ExprKind::And(terms) => junction(terms, false, scope, budget)?,
        ExprKind::Or(terms) => junction(terms, true, scope, budget)?,
        ExprKind::Choice(parts) => {
            let [condition, yes, no] = parts.as_ref();
            match eval(condition, scope, budget)? {
                Val::Bool(true) => eval(yes, scope, budget)?,
                Val::Bool(false) => eval(no, scope, budget)?,
                _ => return Err(Fail::overload()),
            }
        }
        ExprKind::List(entries) => list(entries, scope, budget)?,
        ExprKind::Map(entries) => map(entries, scope, budget)?,
        ExprKind::Fold(fold) => walk(fold, scope, budget)?,
        ExprKind::OptMap { of, name, body, flat } => match eval(of, scope, budget)? {
            Val::Optional(None) => Val::Optional(None),
            Val::Optional(Some(inner)) => {
                let value = eval(body, &Scope::with(name, &inner, Some(scope)), budget)?;
                match (flat, value) {
                    (false, value) => Val::some(value),
                    (true, value @ Val::Optional(_)) => value,
                    (true, _) => return Err(Fail::overload()),
                }
            }
            _ => return Err(Fail::overload()),
        },
    })
}

fn variable<'a>(name: &str, scope: &Scope<'_, 'a>) -> Result<Val<'a>, Fail> {
    if let Some(value) = scope.get(name) {
        return Ok(value.clone());
    }
    let is_type = library::TYPES.into_iter().find(|word| *word == name).map(Val::Type);
    is_type.ok_or_else(|| Fail::error(format!("no such attribute(s): {name}")))
}

/// `&&` and `||`: one operand that decides beats errors of the others.
fn junction<'a>(terms: &'a [Expr], decides: bool, scope: &Scope<'_, 'a>, budget: &Budget) -> Result<Val<'a>, Fail> {
    let mut fault = None;
    for term in terms {
        match eval(term, scope, budget) {
            Ok(Val::Bool(value)) if value == decides => return Ok(Val::Bool(decides)),
            Ok(Val::Bool(_)) => {}
            Err(Fail::Spent) => return Err(Fail::Spent),
            Ok(_) => fault = fault.or_else(|| Some(Fail::overload())),
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    fault.map_or(Ok(Val::Bool(!decides)), Err)
}

/// Whether an expression reads from a variable, and so shares its cost.
const fn is_attribute(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Ident(_) | ExprKind::Select { .. } | ExprKind::Index { .. })
}

fn select<'a>(
    of: &'a Expr,
    field: &'a str,
    mode: Select,
    scope: &Scope<'_, 'a>,
    budget: &Budget,
) -> Result<Val<'a>, Fail> {
    let value = eval(of, scope, budget)?;
    budget.charge(if mode == Select::Test { 0 } else { 1 + u64::from(!is_attribute(of)) })?;
    let key = Key::Text(field.to_owned());
    match (mode, value) {
        (Select::Test, value) => Ok(Val::Bool(field_of(&value, &key)?.is_some())),
        (_, Val::Optional(None)) => Ok(Val::Optional(None)),
        (_, Val::Optional(Some(inner))) => Ok(field_of(&inner, &key)?.map_or(Val::Optional(None), Val::some)),
        (Select::Plain, value) => field_of(&value, &key)?.ok_or_else(|| Fail::error(format!("no such key: {field}"))),
        (Select::Optional, value) => Ok(field_of(&value, &key)?.map_or(Val::Optional(None), Val::some)),
    }
}

fn field_of<'a>(value: &Val<'a>, key: &Key) -> Result<Option<Val<'a>>, Fail> {
    match value {
        Val::Map(map) => map.get(key),
        Val::Optional(Some(inner)) => field_of(inner, key),
        // What has no fields has none of this name either.
        _ => Ok(None),
    }
}

/// `of[index]`.
fn at<'a>(of: &Val<'a>, index: &Val<'a>) -> Result<Val<'a>, Fail> {
    match of {
        Val::Optional(_) => optional_at(of, index),
        Val::List(list) => {
            let place = index.key()?;
            let place = if let Key::Number(place) = place { usize::try_from(place).ok() } else { None };
            let outside = || Fail::error(format!("index out of bounds: {}", library::show(index)));
            list.get(place.filter(|&place| place < list.len()).ok_or_else(outside)?)
        }
        Val::Map(map) => {
            let missing = || Fail::error(format!("no such key: {}", library::show(index)));
            map.get(&index.key()?)?.ok_or_else(missing)
        }
        _ => Err(Fail::overload()),
    }
}

/// `of[?index]`.
fn optional_at<'a>(of: &Val<'a>, index: &Val<'a>) -> Result<Val<'a>, Fail> {
    let found = match (of, index.key()?) {
        (Val::Optional(None), _) => None,
        (Val::Optional(Some(inner)), _) => return optional_at(inner, index),
        (Val::List(list), Key::Number(place)) => {
            let place = usize::try_from(place).ok().filter(|&place| place < list.len());
            place.map(|place| list.get(place)).transpose()?
        }
        (Val::Map(map), key) => map.get(&key)?,
        _ => return Err(Fail::overload()),
    };
    Ok(found.map_or(Val::Optional(None), Val::some))
}

/// The value of an entry; nothing when it is optional and empty.
fn entry<'a>(entry: &'a Entry, scope: &Scope<'_, 'a>, budget: &Budget) -> Result<Option<Val<'a>>, Fail> {
    match (eval(&entry.value, scope, budget)?, entry.optional) {
        (value, false) => Ok(Some(value)),
        (Val::Optional(inner), true) => Ok(inner.map(|inner| (*inner).clone())),
        (_, true) => Err(Fail::overload()),
    }
}

fn list<'a>(entries: &'a [Entry], scope: &Scope<'_, 'a>, budget: &Budget) -> Result<Val<'a>, Fail> {
    let mut items = Vec::new();
    for one in entries {
        items.extend(entry(one, scope, budget)?);
    }
    budget.charge(10)?;
    Ok(Val::list(items))
}

fn map<'a>(entries: &'a [(Expr, Entry)], scope: &Scope<'_, 'a>, budget: &Budget) -> Result<Val<'a>, Fail> {
    let mut found = BTreeMap::new();
    for (key, one) in entries {
        let key = eval(key, scope, budget)?.key()?;
        if let Some(value) = entry(one, scope, budget)? {
            found.insert(key, value);
        }
    }
    budget.charge(30)?;
    Ok(Val::map(found))
}

/// What a walk has found so far.
struct Found<'a> {
    items: Vec<Val<'a>>,
    entries: BTreeMap<Key, Val<'a>>,
    keys: Vec<Val<'a>>,
    count: usize,
    fault: Option<Fail>,
}

/// What a step and the end of a walk cost beside its parts: the accumulator is read, checked and joined.
const fn costs(kind: FoldKind) -> u64 {
    match kind {
        FoldKind::All => 3,
        FoldKind::Exists => 4,
        FoldKind::ExistsOne => 1,
        FoldKind::Map | FoldKind::Filter | FoldKind::SortBy => 12,
        FoldKind::Values | FoldKind::Entries => 2,
    }
}

fn walk<'a>(fold: &'a Fold, scope: &Scope<'_, 'a>, budget: &Budget) -> Result<Val<'a>, Fail> {
    let range = eval(&fold.range, scope, budget)?;
    let items = match &range {
        Val::List(list) => list.all(budget)?,
        Val::Map(map) => map.keys(budget)?,
        other => return Err(Fail::error(format!("got '{}', expected iterable type", go_type(other)))),
    };
    let mut found = Found { items: Vec::new(), entries: BTreeMap::new(), keys: Vec::new(), count: 0, fault: None };
    for (index, item) in items.into_iter().enumerate() {
        let (first, second) = match (&range, fold.names.len()) {
            (_, 1) => (item, Val::Null),
            (Val::Map(map), _) => {
                let value = map.get(&item.key()?)?.ok_or_else(Fail::overload)?;
                (item, value)
            }
            _ => (Val::Int(i64::try_from(index).unwrap_or(i64::MAX)), item),
        };
        let none = String::new();
        let outer = Scope::with(fold.names.get(1).unwrap_or(&none), &second, Some(scope));
        let inner = Scope::with(fold.names.first().unwrap_or(&none), &first, Some(&outer));
        budget.charge(costs(fold.kind))?;
        if let Some(decided) = step(fold, &first, &inner, budget, &mut found)? {
            return Ok(decided);
        }
    }
    budget.charge(1)?;
    finish(fold.kind, found)
}

/// What the real server calls a type within itself.
fn go_type(value: &Val<'_>) -> String {
    let name = value.type_name().rsplit('.').next().unwrap_or_default();
    let mut letters = name.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("types.{first}{}", letters.as_str())
}

/// One step of a walk; a value when the walk is decided.
fn step<'a>(
    fold: &'a Fold,
    item: &Val<'a>,
    scope: &Scope<'_, 'a>,
    budget: &Budget,
    found: &mut Found<'a>,
) -> Result<Option<Val<'a>>, Fail> {
    let holds = |expr: &'a Expr| match eval(expr, scope, budget)? {
        Val::Bool(value) => Ok(value),
        _ => Err(Fail::overload()),
    };
    if let Some(filter) = &fold.filter
        && !holds(filter)?
    {
        return Ok(None);
    }
    match fold.kind {
        FoldKind::All | FoldKind::Exists => {
            let decides = fold.kind == FoldKind::Exists;
            match holds(&fold.body) {
                Ok(value) if value == decides => return Ok(Some(Val::Bool(decides))),
                Ok(_) => {}
                Err(Fail::Spent) => return Err(Fail::Spent),
                Err(error) => found.fault = found.fault.take().or(Some(error)),
            }
        }
        FoldKind::ExistsOne => found.count += usize::from(holds(&fold.body)?),
        FoldKind::Filter => {
            if holds(&fold.body)? {
                budget.hold(1)?;
                found.items.push(item.clone());
            }
        }
        FoldKind::Map => {
            budget.hold(1)?;
            found.items.push(eval(&fold.body, scope, budget)?);
        }
        FoldKind::SortBy => {
            budget.hold(2)?;
            found.keys.push(eval(&fold.body, scope, budget)?);
            found.items.push(item.clone());
        }
        FoldKind::Values => {
            budget.hold(1)?;
            found.entries.insert(item.key()?, eval(&fold.body, scope, budget)?);
        }
        FoldKind::Entries => join_entries(eval(&fold.body, scope, budget)?, budget, &mut found.entries)?,
    }
    Ok(None)
}

fn join_entries<'a>(value: Val<'a>, budget: &Budget, entries: &mut BTreeMap<Key, Val<'a>>) -> Result<(), Fail> {
    let Val::Map(Map::Own(new)) = value else { return Err(Fail::overload()) };
    budget.hold(new.len())?;
    for (key, value) in new.iter() {
        if entries.insert(key.clone(), value.clone()).is_some() {
            let shown = match key {
                Key::Bool(value) => value.to_string(),
                Key::Number(number) => number.to_string(),
                Key::Text(text) => text.clone(),
            };
            return Err(Fail::error(format!("insert failed: key {shown} already exists")));
        }
    }
    Ok(())
}

fn finish(kind: FoldKind, found: Found<'_>) -> Result<Val<'_>, Fail> {
    if let Some(fault) = found.fault {
        return Err(fault);
    }
    Ok(match kind {
        FoldKind::All => Val::Bool(true),
        FoldKind::Exists => Val::Bool(false),
        FoldKind::ExistsOne => Val::Bool(found.count == 1),
        FoldKind::Map | FoldKind::Filter => Val::list(found.items),
        FoldKind::Values | FoldKind::Entries => Val::map(found.entries),
        FoldKind::SortBy => library::list::sorted_by(found.items, &found.keys)?,
    })
}
