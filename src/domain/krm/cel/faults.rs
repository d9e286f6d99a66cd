//! What is wrong with the rules of a schema themselves.
//!
//! Source: `ValidateCustomResourceDefinitionOpenAPISchema` of `k8s.io/apiextensions-apiserver` v0.36.

use serde_json::{Value, json};

use super::rules::{Place, RuleFault, RuleFaultKind, Rules, field_path, rules_of};
use super::schema::{MAX_DEPTH, properties, word};

/// Reasons that a rule may give.
const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

impl Rules {
    /// What is wrong with the rules themselves; paths begin at the schema. Expressions are only looked at in places
    /// where nothing else is wrong, and only when the schema is `sound` otherwise.
    #[must_use]
    pub fn faults(&self, sound: bool) -> Vec<RuleFault> {
        let mut found = Vec::new();
        look(self.schema(), self.root().filter(|_| sound), "", None, MAX_DEPTH, &mut found);
        found
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// Gives whether something other than an expression is wrong at this place or below.
fn look(
    schema: &Value,
    place: Option<&Place>,
    path: &str,
    loose: Option<&str>,
    depth: usize,
    found: &mut Vec<RuleFault>,
) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    let mut faulty = false;
    let keyed = word(schema, "x-kubernetes-list-type") == "map";
    let below = loose.or_else(|| (!keyed).then_some(path));
    for (name, part) in properties(schema).into_iter().flatten() {
        let path = format!("{}[{name}]", join(path, "properties"));
        let place = place.and_then(|place| place.properties.get(name));
        faulty |= look(part, place, &path, loose, depth, found);
    }
    if let Some(part) = schema.get("additionalProperties") {
        let place = place.and_then(|place| place.additional.as_deref());
        faulty |= look(part, place, &join(path, "additionalProperties"), loose, depth, found);
    }
    if let Some(part) = schema.get("items") {
        let place = place.and_then(|place| place.items.as_deref());
        faulty |= look(part, place, &join(path, "items"), below, depth, found);
    }
    for (index, part) in schema.get("allOf").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let place = place.and_then(|place| place.all_of.get(index));
        faulty |= look(part, place, &format!("{}[{index}]", join(path, "allOf")), loose, depth, found);
    }
    for (index, rule) in rules_of(schema).enumerate() {
        let path = format!("{}[{index}]", join(path, "x-kubernetes-validations"));
        let before = found.len();
        shape_faults(rule, schema, &path, found);
        faulty |= found.len() > before;
    }
    if let Some(place) = place.filter(|_| !faulty) {
        expression_faults(place, schema, path, loose, found);
    }
    faulty
}

/// What is wrong with the expressions of a place.
fn expression_faults(place: &Place, schema: &Value, path: &str, loose: Option<&str>, found: &mut Vec<RuleFault>) {
    let all = join(path, "x-kubernetes-validations");
    if !place.rules.is_empty() && place.node.decl().is_none() {
        let why = "internal error: failed to construct type information for x-kubernetes-validations rules: unable to \
                   convert structural schema to CEL declarations";
        let (value, detail) = (String::new(), why.to_owned());
        found.push(RuleFault { path: all, kind: RuleFaultKind::Internal, value, detail });
        return;
    }
    for (index, (rule, declared)) in place.rules.iter().zip(rules_of(schema)).enumerate() {
        let mut refuse = |field: &str, value: String, detail: String| {
            let path = format!("{all}[{index}].{field}");
            found.push(RuleFault { path, kind: RuleFaultKind::Invalid, value, detail });
        };
        if let Err(why) = &rule.program {
            refuse("rule", shown(declared), why.clone());
        }
        if let Some(Err(why)) = &rule.message_program {
            refuse("messageExpression", shown(declared), why.clone());
        }
        let Ok(program) = &rule.program else { continue };
        match (program.is_transition, loose, declared.get("optionalOldSelf")) {
            (true, Some(within), _) => {
                let why = "oldSelf cannot be used on the uncorrelatable portion of the schema within";
                refuse("rule", json!(word(declared, "rule")).to_string(), format!("{why} \u{0}{within}"));
            }
            (false, _, Some(value)) => {
                let why = "may not be set if oldSelf is not used in rule";
                refuse("optionalOldSelf", value.to_string(), why.to_owned());
            }
            _ => {}
        }
    }
}

/// A rule as the server shows it: its parts in the order of their declaration, signs of HTML escaped.
fn shown(rule: &Value) -> String {
    let text = |name: &str| json!(word(rule, name)).to_string();
    let maybe = |name: &str| rule.get(name).unwrap_or(&Value::Null).to_string();
    let parts = [
        ("Rule", text("rule")),
        ("Message", text("message")),
        ("MessageExpression", text("messageExpression")),
        ("Reason", maybe("reason")),
        ("FieldPath", text("fieldPath")),
        ("OptionalOldSelf", maybe("optionalOldSelf")),
    ];
    let parts: Vec<String> = parts.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
    let escaped = parts.join(",").replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    format!("{{{escaped}}}")
}

fn shape_faults(rule: &Value, schema: &Value, path: &str, found: &mut Vec<RuleFault>) {
    let mut refuse = |field: &str, kind: RuleFaultKind, value: Value, detail: &str| {
        let (path, value) = (format!("{path}.{field}"), value.to_string());
        found.push(RuleFault { path, kind, value, detail: detail.to_owned() });
    };
    let (text, message, expression) = (word(rule, "rule"), word(rule, "message"), word(rule, "messageExpression"));
    let required = RuleFaultKind::Required;
    if text.trim().is_empty() {
        refuse("rule", required, Value::Null, "rule is not specified");
    } else if !message.is_empty() && message.trim().is_empty() {
        refuse("message", RuleFaultKind::Invalid, json!(message), "must be non-empty if specified");
    } else if message.trim().contains('\n') {
        refuse("message", RuleFaultKind::Invalid, json!(message), "must not contain line breaks");
    } else if text.trim().contains('\n') && message.trim().is_empty() {
        refuse("message", required, Value::Null, "message must be specified if rule contains line breaks");
    }
    if !expression.is_empty() && expression.trim().is_empty() {
        refuse("messageExpression", required, Value::Null, "messageExpression must be non-empty if specified");
    }
    if let Some(reason) = rule.get("reason").filter(|reason| !REASONS.iter().any(|known| *reason == known)) {
        let known: Vec<String> = REASONS.iter().map(|reason| format!("{reason:?}")).collect();
        refuse("reason", RuleFaultKind::NotSupported, reason.clone(), &known.join(", "));
    }
    let field = word(rule, "fieldPath");
    if !field.is_empty() && field.trim().is_empty() {
        refuse("fieldPath", RuleFaultKind::Invalid, json!(field), "must be non-empty if specified");
    }
    if field.contains('\n') {
        refuse("fieldPath", RuleFaultKind::Invalid, json!(field), "must not contain line breaks");
    }
    if !field.is_empty() && field_path(field, schema).is_none() {
        refuse("fieldPath", RuleFaultKind::Invalid, json!(field), "must be a valid path");
    }
}
