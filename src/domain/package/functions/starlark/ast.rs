//! Programs as trees.

use std::rc::Rc;

use super::fault::Spot;

/// A name, as its number in [`Program::names`].
pub(super) type Name = usize;

/// A program that was read.
#[derive(Debug)]
pub(super) struct Program {
    /// Its statements.
    pub(super) block: Block,
    /// All names in it.
    pub(super) names: Vec<Rc<str>>,
}

/// Statements one after the other.
pub(super) type Block = Vec<(Statement, Spot)>;

/// What is done.
#[derive(Debug)]
pub(super) enum Statement {
    /// An expression for what it does.
    Do(Expr),
    /// `target = value`.
    Assign(Target, Expr),
    /// `target += value` and its like.
    Update(Target, &'static str, Expr),
    /// `def`.
    Define(Name, Rc<Function>),
    /// `if`, `elif`, `else`.
    If(Vec<(Expr, Block)>, Block),
    /// `for`.
    For(Target, Expr, Block),
    /// `while`.
    While(Expr, Block),
    /// `return`.
    Return(Option<Expr>),
    /// `break`.
    Break,
    /// `continue`.
    Continue,
    /// `pass`.
    Pass,
    /// `load`: module, and under which name each of its members is known here.
    Load(Rc<str>, Vec<(Name, Rc<str>)>),
}

/// What a value is given to.
#[derive(Debug)]
pub(super) enum Target {
    /// A name.
    Name(Name),
    /// `x[i]`.
    Item(Expr, Expr),
    /// Each of several.
    Several(Vec<Target>),
}

/// A function's definition.
#[derive(Debug)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: Rc<str>,
    /// What it takes.
    pub(super) params: Vec<Param>,
    /// What it does.
    pub(super) body: Block,
    /// Its own names, parameters first.
    pub(super) locals: Rc<[Name]>,
    /// Whether functions inside it may keep its names alive.
    pub(super) is_kept: bool,
}

/// One parameter.
#[derive(Debug)]
pub(super) struct Param {
    /// Its name.
    pub(super) name: Name,
    /// How it is given.
    pub(super) kind: ParamKind,
    /// Its value when it is not given.
    pub(super) default: Option<Expr>,
}

/// How a parameter is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParamKind {
    /// By its place or its name.
    Plain,
    /// By its name.
    Named,
    /// `*args`.
    Rest,
    /// `**kwargs`.
    NamedRest,
}

/// An expression and where it stands.
#[derive(Debug)]
pub(super) struct Expr {
    /// What it is.
    pub(super) kind: Kind,
    /// Where its operator, bracket or word is.
    pub(super) spot: Spot,
}

/// What an expression is.
#[derive(Debug)]
pub(super) enum Kind {
    /// A name.
    Name(Name),
    /// A whole number.
    Int(i128),
    /// A number with a point.
    Float(f64),
    /// A text.
    Text(Rc<str>),
    /// `[...]`.
    List(Vec<Expr>),
    /// `(..., ...)`.
    Tuple(Vec<Expr>),
    /// `{...}`.
    Dict(Vec<(Expr, Expr)>),
    /// `-x`, `+x`, `~x`, `not x`.
    Unary(&'static str, Box<Expr>),
    /// `x + y` and its like, `and` and `or` too.
    Binary(&'static str, Box<Expr>, Box<Expr>),
    /// `x if test else y`: test, x, y.
    Choice(Box<(Expr, Expr, Expr)>),
    /// `x.name`.
    Dot(Box<Expr>, Rc<str>),
    /// `x[i]`.
    Index(Box<Expr>, Box<Expr>),
    /// `x[from:to:step]`.
    Slice(Box<Expr>, Box<[Option<Expr>; 3]>),
    /// `f(...)`.
    Call(Box<Expr>, Vec<Argument>),
    /// `lambda`.
    Lambda(Rc<Function>),
    /// `[x for ...]`, or with a key `{k: v for ...}`.
    Comprehension(Box<Comprehension>),
}

/// One argument of a call.
#[derive(Debug)]
pub(super) enum Argument {
    /// `x`.
    Plain(Expr),
    /// `name=x`.
    Named(Rc<str>, Expr),
    /// `*x`.
    Rest(Expr),
    /// `**x`.
    NamedRest(Expr),
}

/// A list or a dict made by loops.
#[derive(Debug)]
pub(super) struct Comprehension {
    /// The key, for a dict.
    pub(super) key: Option<Expr>,
    /// Each element.
    pub(super) value: Expr,
    /// The loops and tests, the outermost first.
    pub(super) clauses: Vec<Clause>,
    /// Names of its loops.
    pub(super) locals: Rc<[Name]>,
    /// Whether functions inside it may keep its names alive.
    pub(super) is_kept: bool,
}

/// A loop or a test of a comprehension.
#[derive(Debug)]
pub(super) enum Clause {
    /// `for target in expr`.
    For(Target, Expr),
    /// `if expr`.
    If(Expr),
}
