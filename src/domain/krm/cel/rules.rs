//! The rules of a schema: read, and put to an object.
//!
//! Source: `k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel` of Kubernetes v1.36.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use super::escape::escape;
use super::program::{Program, Wanted};
use super::schema::{ListKind, MAX_DEPTH, Node, Shape, flag, properties, word};
use super::types::Type;

/// What an object breaks.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken {
    /// Where, such as `spec.ports[0].name`; empty for the object itself.
    pub path: String,
    /// How the rule says it is broken.
    pub reason: Reason,
    /// The value that is shown; objects and lists are not.
    pub value: Option<Value>,
    /// What is told, without the value.
    pub detail: String,
    /// The rule says nothing about changes, and what it looks at did not change: only a warning.
    pub ratcheted: bool,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.detail);
        }
        write!(f, "{}: {}", self.path, self.detail)
    }
}

/// `reason` of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `FieldValueInvalid`, the default.
    Invalid,
    /// `FieldValueForbidden`.
    Forbidden,
    /// `FieldValueRequired`.
    Required,
    /// `FieldValueDuplicate`.
    Duplicate,
}

/// What is wrong with a rule itself.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleFault {
    /// Where in the schema, such as `properties[spec].x-kubernetes-validations[0].rule`.
    pub path: String,
    /// How it is wrong.
    pub kind: RuleFaultKind,
    /// The value that is shown, as JSON; empty when none is.
    pub value: String,
    /// What is told; of [`RuleFaultKind::NotSupported`], the supported values. A NUL stands before a path below the
    /// schema.
    pub detail: String,
}

/// How a rule is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleFaultKind {
    /// Something is missing.
    Required,
    /// A value is not allowed.
    Invalid,
    /// A value is none of those that are.
    NotSupported,
    /// The schema cannot be seen by rules.
    Internal,
}

/// The rules of a schema, compiled when they are first needed.
#[derive(Debug)]
pub struct Rules {
    schema: Arc<Value>,
    /// Whether it describes a resource, with metadata of its own.
    resource: bool,
    root: OnceLock<Option<Place>>,
}

/// A place of the schema with rules, or with rules below it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) node: Arc<Node>,
    pub(super) rules: Vec<Rule>,
    pub(super) all_of: Vec<Place>,
    pub(super) properties: BTreeMap<String, Place>,
    pub(super) additional: Option<Box<Place>>,
    pub(super) items: Option<Box<Place>>,
    /// Keys of the items of a list of type `map`.
    pub(super) keys: Vec<String>,
}

/// A rule as it is declared, with its programs.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) program: Result<Program, String>,
    pub(super) message: String,
    pub(super) text: String,
    pub(super) message_program: Option<Result<Program, String>>,
    pub(super) reason: Reason,
    pub(super) field: String,
    pub(super) optional_old: bool,
}

impl Rules {
    /// The rules of an `openAPIV3Schema`.
    #[must_use]
    pub const fn of(schema: Arc<Value>) -> Self {
        Self { schema, resource: true, root: OnceLock::new() }
    }

    /// The rules of a part of a schema: of values without `apiVersion`, `kind` and `metadata`.
    #[must_use]
    pub const fn of_part(schema: Arc<Value>) -> Self {
        Self { schema, resource: false, root: OnceLock::new() }
    }

    /// Whether there is no rule at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root().is_none()
    }

    pub(super) fn schema(&self) -> &Value {
        &self.schema
    }

    pub(super) fn root(&self) -> Option<&Place> {
        self.root.get_or_init(|| place(&self.schema, self.resource)).as_ref()
    }
}

/// The rules of a schema of a resource.
fn place(schema: &Value, resource: bool) -> Option<Place> {
    if !has_rules(schema, MAX_DEPTH) {
        return None;
    }
    let node = Arc::new(Node::read(schema, resource, MAX_DEPTH));
    let kind = node.decl();
    read(schema, schema, &node, kind.as_ref(), MAX_DEPTH)
}

fn has_rules(schema: &Value, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    rules_of(schema).next().is_some() || parts(schema).into_iter().any(|part| has_rules(part, depth))
}

pub(super) fn rules_of(schema: &Value) -> impl Iterator<Item = &Value> {
    schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten()
}

fn parts(schema: &Value) -> Vec<&Value> {
    let all_of = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
    let fields = properties(schema).into_iter().flat_map(|fields| fields.values());
    let others = ["items", "additionalProperties"].into_iter().filter_map(|name| schema.get(name));
    all_of.chain(fields).chain(others).collect()
}

/// The rules of `schema`, which may be a part of an `allOf`, for values that `structure` describes.
fn read(schema: &Value, structure: &Value, node: &Arc<Node>, kind: Option<&Type>, depth: usize) -> Option<Place> {
    let depth = depth.checked_sub(1)?;
    let rules = rules_of(schema).map(|rule| Rule::read(rule, structure, kind)).collect();
    let mut place = Place {
        node: Arc::clone(node),
        rules,
        all_of: Vec::new(),
        properties: BTreeMap::new(),
        additional: None,
        items: None,
        keys: Vec::new(),
    };
    let all_of = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
    place.all_of = all_of.filter_map(|part| read(part, structure, node, kind, depth)).collect();
    let below = |name: &str| Some((schema.get(name)?, structure.get(name)?));
    match &node.shape {
        Shape::Object(nodes) => {
            for (name, part) in properties(schema).into_iter().flatten() {
                let (Some(node), Some(structure)) = (nodes.get(name), properties(structure).and_then(|f| f.get(name)))
                else {
                    continue;
                };
                let declared = match (escape(name), kind) {
                    (Some(name), Some(Type::Object(object))) => object.fields.get(&name).cloned(),
                    _ => node.decl(),
                };
                if let Some(found) = read(part, structure, node, declared.as_ref(), depth) {
                    place.properties.insert(name.clone(), found);
                }
            }
        }
        Shape::Map(node) => {
            let element = if let Some(Type::Map(_, value)) = kind { Some(&**value) } else { None };
            place.additional = below("additionalProperties")
                .and_then(|(part, structure)| read(part, structure, node, element, depth))
                .map(Box::new);
        }
        Shape::List(node, list) => {
            let element = if let Some(Type::List(item)) = kind { Some(&**item) } else { None };
            place.items =
                below("items").and_then(|(part, structure)| read(part, structure, node, element, depth)).map(Box::new);
            if let ListKind::Map(keys) = list {
                place.keys.clone_from(keys);
            }
        }
        _ => {}
    }
    let is_empty = place.rules.is_empty()
        && place.all_of.is_empty()
        && place.properties.is_empty()
        && place.additional.is_none()
        && place.items.is_none();
    (!is_empty).then_some(place)
}

impl Rule {
    fn read(rule: &Value, structure: &Value, kind: Option<&Type>) -> Self {
        let text = word(rule, "rule").trim().to_owned();
        let optional_old = flag(rule, "optionalOldSelf");
        let compile = |text: &str, wanted: &Wanted| match kind {
            Some(kind) => Program::compile(text, kind, optional_old, wanted),
            None => Err("failed to convert to declType for CEL validation rules".to_owned()),
        };
        let message = word(rule, "messageExpression");
        Self {
            program: compile(word(rule, "rule"), &Wanted::RULE),
            message: word(rule, "message").trim().to_owned(),
            message_program: Some(message)
                .filter(|message| !message.is_empty())
                .map(|message| compile(message, &Wanted::MESSAGE)),
            reason: match word(rule, "reason") {
                "FieldValueForbidden" => Reason::Forbidden,
                "FieldValueRequired" => Reason::Required,
                "FieldValueDuplicate" => Reason::Duplicate,
                _ => Reason::Invalid,
            },
            field: field_path(word(rule, "fieldPath"), structure).unwrap_or_default(),
            text,
            optional_old,
        }
    }

    /// What a rule is called in messages: its message, or its text.
    pub(super) fn shown(&self) -> &str {
        if self.message.is_empty() { &self.text } else { &self.message }
    }
}

/// The field that `.a.b` or `.a['b c']` names below a schema, as the server writes it; `None` when there is none.
pub(super) fn field_path(path: &str, schema: &Value) -> Option<String> {
    let mut out = String::new();
    let mut here = schema;
    let mut rest = path;
    while !rest.is_empty() {
        let (name, after) = if let Some(after) = rest.strip_prefix("['") {
            let end = after.find("']")?;
            (after.get(..end)?, after.get(end + 2..)?)
        } else {
            let after = rest.strip_prefix('.')?;
            after.split_at(after.find(['.', '[']).unwrap_or(after.len()))
        };
        let name = name.replace("\\'", "'").replace("\\\\", "\\");
        if let Some(fields) = properties(here) {
            here = fields.get(&name)?;
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(&name);
        } else {
            here = here.get("additionalProperties").filter(|element| element.is_object())?;
            out.push_str(&format!("[{name}]"));
        }
        rest = after;
    }
    (!out.is_empty()).then_some(out)
}
