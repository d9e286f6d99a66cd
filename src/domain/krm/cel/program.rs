//! A compiled expression.

use super::ast::{Expr, ExprKind};
use super::check::check;
use super::eval::{Budget, Fail, Scope, eval};
use super::parse::{Fault, parse};
use super::types::Type;
use super::value::Val;

/// An expression over `self` and `oldSelf`, ready to run.
#[derive(Debug)]
pub(super) struct Program {
    expr: Expr,
    /// Whether it reads `oldSelf`: then it says something about a change.
    pub(super) is_transition: bool,
}

impl Program {
    /// Reads an expression over a value of type `this`; `oldSelf` is of the same type, or an optional of it. The result
    /// must be of the type `wanted`.
    ///
    /// # Errors
    /// The server's words.
    pub(super) fn compile(text: &str, this: &Type, optional: bool, wanted: &Wanted) -> Result<Self, String> {
        let prefix = wanted.prefix;
        let shown = |faults: Vec<Fault>| {
            let lines: Vec<String> = faults.iter().map(|fault| fault.shown(text)).collect();
            format!("{prefix}compilation failed: {}", lines.join("\n"))
        };
        let expr = parse(text).map_err(|fault| shown(vec![fault]))?;
        let old = if optional { Type::Optional(Box::new(this.clone())) } else { this.clone() };
        let found = check(&expr, &[("self", this.clone()), ("oldSelf", old)]).map_err(shown)?;
        if std::mem::discriminant(&found) != std::mem::discriminant(&wanted.kind) {
            return Err(wanted.otherwise.to_owned());
        }
        fold_constants(&expr).map_err(|why| format!("{prefix}program instantiation failed: {why}"))?;
        let is_transition = expr.mentions("oldSelf");
        Ok(Self { expr, is_transition })
    }

    /// Runs it.
    pub(super) fn run<'a>(&'a self, this: &Val<'a>, old: Option<&Val<'a>>, budget: &Budget) -> Result<Val<'a>, Fail> {
        let own = Scope::with("self", this, None);
        match old {
            Some(old) => eval(&self.expr, &Scope::with("oldSelf", old, Some(&own)), budget),
            None => eval(&self.expr, &own, budget),
        }
    }
}

/// Conversions of literals are tried beforehand.
fn fold_constants(expr: &Expr) -> Result<(), String> {
    const CONVERSIONS: [&str; 8] = ["bool", "bytes", "double", "duration", "int", "string", "timestamp", "uint"];
    if let ExprKind::Call { name, target: None, args } = &expr.kind
        && CONVERSIONS.contains(&name.as_str())
        && args.iter().all(|arg| arg.depth == 1 && !matches!(arg.kind, ExprKind::Ident(_) | ExprKind::List(_)))
        && let Err(Fail::Error(why)) = eval(expr, &Scope::with("", &Val::Null, None), &Budget::new(1_000))
    {
        return Err(why);
    }
    expr.children().into_iter().try_for_each(fold_constants)
}

/// What an expression must give.
pub(super) struct Wanted {
    kind: Type,
    prefix: &'static str,
    otherwise: &'static str,
}

impl Wanted {
    /// Of a rule: whether it holds.
    pub(super) const RULE: Self =
        Self { kind: Type::Bool, prefix: "", otherwise: "cel expression must evaluate to a bool" };
    /// Of a message: its text.
    pub(super) const MESSAGE: Self = Self {
        kind: Type::Text,
        prefix: "messageExpression ",
        otherwise: "messageExpression must evaluate to a string",
    };
}
