//! The tree of an expression. Macros are nodes of their own.

/// Deepest tree that is built; the walks over a tree recurse.
pub(super) const MAX_DEPTH: usize = 100;

/// A part of an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Expr {
    /// Where the parser reports it: position in characters, from 0. Of a selection, a call, an operator: its sign.
    pub(super) at: usize,
    /// Height of the tree below.
    pub(super) depth: usize,
    pub(super) kind: ExprKind,
}

/// What a part of an expression does.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ExprKind {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// A variable, or a type by its name.
    Ident(String),
    /// `of.field`, `of.?field`, `has(of.field)`.
    Select {
        of: Box<Expr>,
        field: String,
        mode: Select,
    },
    /// `of[index]`, `of[?index]`.
    Index {
        of: Box<Expr>,
        index: Box<Expr>,
        optional: bool,
    },
    /// A function, or an operator by its name, such as `_+_`.
    Call {
        name: String,
        target: Option<Box<Expr>>,
        args: Vec<Expr>,
    },
    /// `a && b && c`.
    And(Vec<Expr>),
    /// `a || b || c`.
    Or(Vec<Expr>),
    /// `if ? then : else`.
    Choice(Box<[Expr; 3]>),
    /// `[a, ?b]`.
    List(Vec<Entry>),
    /// `{k: v, ?k: v}`.
    Map(Vec<(Expr, Entry)>),
    /// A walk over a list or a map.
    Fold(Box<Fold>),
    /// `opt.optMap(name, body)`, `opt.optFlatMap(name, body)`.
    OptMap {
        of: Box<Expr>,
        name: String,
        body: Box<Expr>,
        flat: bool,
    },
}

/// How a field is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Select {
    /// It must be there.
    Plain,
    /// It may be absent: the result is an optional.
    Optional,
    /// Whether it is there.
    Test,
}

/// An entry of a list or map; an optional one is left out when it is empty.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) value: Expr,
    pub(super) optional: bool,
}

/// A walk over the items of a list or the entries of a map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fold {
    pub(super) kind: FoldKind,
    pub(super) range: Expr,
    /// Item, or index (or key) and value.
    pub(super) names: Vec<String>,
    pub(super) filter: Option<Expr>,
    pub(super) body: Expr,
}

/// What a walk computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FoldKind {
    All,
    Exists,
    ExistsOne,
    /// `map`, `transformList`.
    Map,
    Filter,
    /// `transformMap`.
    Values,
    /// `transformMapEntry`.
    Entries,
    SortBy,
}

impl Expr {
    /// The expressions directly below.
    pub(super) fn children(&self) -> Vec<&Self> {
        match &self.kind {
            ExprKind::Select { of, .. } => vec![of],
            ExprKind::Index { of, index, .. } => vec![of, index],
            ExprKind::Call { target, args, .. } => target.iter().map(AsRef::as_ref).chain(args).collect(),
            ExprKind::And(terms) | ExprKind::Or(terms) => terms.iter().collect(),
            ExprKind::Choice(parts) => parts.iter().collect(),
            ExprKind::List(entries) => entries.iter().map(|entry| &entry.value).collect(),
            ExprKind::Map(entries) => entries.iter().flat_map(|(key, entry)| [key, &entry.value]).collect(),
            ExprKind::Fold(fold) => [&fold.range].into_iter().chain(&fold.filter).chain([&fold.body]).collect(),
            ExprKind::OptMap { of, body, .. } => vec![of, body],
            _ => Vec::new(),
        }
    }

    /// Whether a variable of this name is read anywhere, however it is bound.
    pub(super) fn mentions(&self, name: &str) -> bool {
        matches!(&self.kind, ExprKind::Ident(found) if found == name)
            || self.children().into_iter().any(|child| child.mentions(name))
    }
}
