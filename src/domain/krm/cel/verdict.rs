//! Puts the rules of a schema to an object.

use serde_json::{Value, json};

use super::eval::{Budget, Fail};
use super::rules::{Broken, Place, Reason, Rule, Rules};
use super::value::Val;
use crate::domain::krm::value::same;

/// What one expression may cost, in Kubernetes' units.
const CALL_LIMIT: u64 = 1_000_000;
/// What all the rules of an object may cost together.
const OBJECT_LIMIT: u64 = 10_000_000;
/// Longest message that an expression may give, in bytes.
const MAX_MESSAGE: usize = 5 * 1024;

impl Rules {
    /// What an object breaks, and what it breaks as the successor of `old`.
    #[must_use]
    pub fn check(&self, object: &Value, old: Option<&Value>) -> Vec<Broken> {
        let Some(root) = self.root() else { return Vec::new() };
        let mut walk = Walk { left: OBJECT_LIMIT, over: false, found: Vec::new() };
        let pair = Pair { new: object, old, here: old.map(|old| (object, old)), above: None };
        walk.place(root, "", pair);
        walk.found
    }
}

/// A value beside what it was.
#[derive(Clone, Copy)]
struct Pair<'a> {
    new: &'a Value,
    /// `oldSelf`.
    old: Option<&'a Value>,
    /// The value and what it was, where the two can be told to be the same thing.
    here: Option<(&'a Value, &'a Value)>,
    /// The nearest value above with what it was.
    above: Option<(&'a Value, &'a Value)>,
}

impl<'a> Pair<'a> {
    /// Nothing that the value shows has changed.
    fn is_unchanged(&self) -> bool {
        self.here.or(self.above).is_some_and(|(new, old)| same(new, old))
    }

    fn below(&self, new: &'a Value, old: Option<&'a Value>, correlated: Option<&'a Value>) -> Self {
        match self.here {
            None => Self { new, old, ..*self },
            Some(here) => Self { new, old, here: correlated.map(|old| (new, old)), above: Some(here) },
        }
    }

    fn field(&self, name: &str, new: &'a Value) -> Self {
        let old = self.old.and_then(|old| old.get(name));
        if self.above.is_none() && matches!(name, "apiVersion" | "kind") {
            return Self { new, old, here: None, above: None };
        }
        self.below(new, old, self.here.and_then(|(_, old)| old.get(name)))
    }

    fn item(&self, new: &'a Value, keys: &[String]) -> Self {
        let find = |list: Option<&'a Value>| {
            let items = list.and_then(Value::as_array).filter(|_| !keys.is_empty())?;
            items.iter().find(|item| keys.iter().all(|key| item.get(key) == new.get(key)))
        };
        self.below(new, find(self.old), find(self.here.map(|(_, old)| old)))
    }
}

struct Walk {
    left: u64,
    /// No further rules run.
    over: bool,
    found: Vec<Broken>,
}

impl Walk {
    fn place(&mut self, place: &Place, path: &str, pair: Pair<'_>) {
        if pair.new.is_null() || self.over {
            return;
        }
        self.rules(place, path, pair);
        for part in &place.all_of {
            self.place(part, path, Pair { here: None, ..pair });
        }
        match pair.new {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    if let Some(below) = &place.items {
                        self.place(below, &format!("{path}[{index}]"), pair.item(item, &place.keys));
                    }
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    if let Some(below) = &place.additional {
                        self.place(below, &format!("{path}[{name}]"), pair.field(name, value));
                    }
                    if let Some(below) = place.properties.get(name) {
                        self.place(below, &join(path, name), pair.field(name, value));
                    }
                }
            }
            _ => {}
        }
    }

    fn rules(&mut self, place: &Place, path: &str, pair: Pair<'_>) {
        for rule in &place.rules {
            if self.over {
                return;
            }
            self.rule(place, rule, path, pair);
        }
    }

    /// An error of a rule: it is told with the type of the value instead of the value.
    fn error(&mut self, place: &Place, path: &str, detail: String) {
        let value = Some(json!(place.node.word));
        let path = path.to_owned();
        self.found.push(Broken { path, reason: Reason::Invalid, value, detail, ratcheted: false });
    }

    fn stop(&mut self, place: &Place, path: &str, detail: String) {
        self.over = true;
        self.error(place, path, detail);
    }

    fn rule(&mut self, place: &Place, rule: &Rule, path: &str, pair: Pair<'_>) {
        if rule.text.is_empty() {
            return;
        }
        if self.left == 0 {
            return self.spent(place, path);
        }
        let program = match &rule.program {
            Ok(program) => program,
            Err(why) => return self.error(place, path, format!("rule compile error: {why}")),
        };
        if program.is_transition && pair.old.is_none() && !rule.optional_old {
            return;
        }
        let budget = Budget::new(CALL_LIMIT);
        let outcome = Val::read(pair.new, &place.node).and_then(|this| {
            let old = pair.old.map(|old| Val::read(old, &place.node)).transpose()?;
            let old = if rule.optional_old { Some(old.map_or(Val::Optional(None), Val::some)) } else { old };
            match program.run(&this, old.as_ref(), &budget)? {
                Val::Bool(holds) => Ok(holds),
                _ => Err(Fail::overload()),
            }
        });
        self.left = match self.left.checked_sub(budget.cost()) {
            Some(left) => left,
            None => return self.spent(place, path),
        };
        let told = rule.shown();
        match outcome {
            Ok(true) => {}
            Ok(false) => self.broken(rule, path, pair, place, program.is_transition),
            Err(Fail::Spent) => {
                let why = "'operation cancelled: actual cost limit exceeded': no further validation rules will be run \
                           due to call cost exceeds limit for rule";
                self.stop(place, path, format!("{why}: {told}"));
            }
            Err(Fail::Error(error)) if error.starts_with("no such overload") => {
                let why = "call arguments did not match a supported operator, function or macro signature for rule";
                self.error(place, path, format!("'{error}': {why}: {told}"));
            }
            Err(Fail::Error(error)) => self.error(place, path, format!("{error} evaluating rule: {told}")),
        }
    }

    fn spent(&mut self, place: &Place, path: &str) {
        let why = "validation failed due to running out of cost budget, no further validation rules will be run";
        self.stop(place, path, why.to_owned());
    }

    fn broken(&mut self, rule: &Rule, path: &str, pair: Pair<'_>, place: &Place, is_transition: bool) {
        let otherwise = || match rule.message.as_str() {
            "" => format!("failed rule: {}", rule.text),
            message => message.to_owned(),
        };
        let detail = match self.message(rule, pair, place) {
            Ok(message) => message.unwrap_or_else(otherwise),
            Err(why) => {
                let path = at(path, &rule.field);
                return self.stop(place, &path, why);
            }
        };
        let is_compound = matches!(place.node.word.as_str(), "object" | "array");
        self.found.push(Broken {
            path: at(path, &rule.field),
            reason: rule.reason,
            value: (!is_compound).then(|| pair.new.clone()),
            detail,
            ratcheted: !is_transition && pair.is_unchanged(),
        });
    }

    /// What the expression of a message gives; nothing when it gives no message.
    ///
    /// # Errors
    /// The words to stop with when the budget is spent.
    fn message(&mut self, rule: &Rule, pair: Pair<'_>, place: &Place) -> Result<Option<String>, String> {
        let Some(Ok(program)) = &rule.message_program else { return Ok(None) };
        let budget = Budget::new(CALL_LIMIT);
        let outcome = Val::read(pair.new, &place.node).and_then(|this| {
            let old = pair.old.map(|old| Val::read(old, &place.node)).transpose()?;
            match program.run(&this, old.as_ref(), &budget)? {
                Val::Text(text) => Ok(text.trim().to_owned()),
                _ => Err(Fail::overload()),
            }
        });
        self.left = self.left.checked_sub(budget.cost()).ok_or_else(|| {
            "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run"
                .to_owned()
        })?;
        match outcome {
            Ok(text) => Ok(Some(text).filter(|t| !t.is_empty() && t.len() <= MAX_MESSAGE && !t.contains('\n'))),
            Err(Fail::Error(_)) => Ok(None),
            Err(Fail::Spent) => {
                let why =
                    "no further validation rules will be run due to call cost exceeds limit for messageExpression";
                Err(format!("{why}: {:?}", rule.text))
            }
        }
    }
}

fn at(path: &str, field: &str) -> String {
    if field.is_empty() { path.to_owned() } else { join(path, field) }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
