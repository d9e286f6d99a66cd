//! The built-in types as OpenAPI v3 schemas, from the same table of facts that server-side apply uses, with
//! descriptions of our own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use crate::domain::krm::Gvk;
use crate::domain::krm::schema::{Column, Line, Mark, TABLE, lines};

/// Descriptions: `Type text` and `Type.field text`; `.field text` is for that field of every type.
const WORDS: &str = include_str!("words.txt");

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// One type: where it is, and the types that it mentions.
struct Type {
    component: String,
    schema: Value,
    mentions: BTreeSet<String>,
}

/// The built-in types by their names in the table, and the names of the kinds.
pub(super) struct Types {
    types: BTreeMap<String, Type>,
    kinds: BTreeMap<Gvk, String>,
}

/// The types, read once.
pub(super) fn builtin() -> &'static Types {
    static TYPES: OnceLock<Types> = OnceLock::new();
    TYPES.get_or_init(Types::read)
}

/// The path of a component in a document.
pub(super) fn reference(component: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{component}")})
}

/// `ServiceReference.apiregistration.v1` is the component `io.k8s.apiregistration.v1.ServiceReference`: kubectl shows
/// what is last.
fn component(name: &str) -> String {
    match name.split_once('.') {
        Some((own, rest)) => format!("io.k8s.{rest}.{own}"),
        None => format!("io.k8s.{name}"),
    }
}

struct Words(BTreeMap<&'static str, &'static str>);

impl Words {
    fn read() -> Self {
        Self(WORDS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' ')).collect())
    }

    fn of_type(&self, name: &str) -> Option<&'static str> {
        self.0.get(name).copied()
    }

    fn of_field(&self, name: &str, field: &str) -> Option<&'static str> {
        let own = self.0.get(format!("{name}.{field}").as_str());
        own.or_else(|| self.0.get(format!(".{field}").as_str())).copied()
    }
}

impl Types {
    fn read() -> Self {
        let words = Words::read();
        let mut all = Self { types: BTreeMap::new(), kinds: BTreeMap::new() };
        for line in lines(TABLE) {
            all.add(&line, &words);
        }
        for (name, schema) in [
            (
                "Quantity",
                json!({"description": "An amount such as 500m, 2 or 1Gi.", "oneOf": [{"type": "string"}, {"type": "number"}]}),
            ),
            (
                "IntOrString",
                json!({"description": "A number or a text.", "format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
            ),
        ] {
            all.types.insert(name.to_owned(), Type { component: component(name), schema, mentions: BTreeSet::new() });
        }
        all
    }

    fn add(&mut self, line: &Line<'_>, words: &Words) {
        let mut reader = Reader { name: line.name, words, mentions: BTreeSet::new() };
        let properties: Map<String, Value> = line.fields.iter().map(|field| reader.field(field)).collect();
        let mut schema = json!({"type": "object", "properties": properties});
        let required = line.fields.iter().filter(|field| field.mark.required).map(|field| field.name);
        let required: Vec<&str> = required.collect();
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        if line.atomic {
            schema["x-kubernetes-map-type"] = json!("atomic");
        }
        if let Some(text) = words.of_type(line.name) {
            schema["description"] = json!(text);
        }
        if let Some(gvk) = &line.gvk {
            schema["x-kubernetes-group-version-kind"] = json!([super::gvk_json(gvk)]);
            self.kinds.insert(gvk.clone(), line.name.to_owned());
        }
        let mentions = reader.mentions;
        self.types.insert(line.name.to_owned(), Type { component: component(line.name), schema, mentions });
    }

    /// The component of a kind; none when the table does not hold it.
    pub(super) fn component_of(&self, gvk: &Gvk) -> Option<&str> {
        self.kinds.get(gvk).map(|name| self.types.get(name).map_or("", |found| &found.component))
    }

    /// The component of a type of the table.
    pub(super) fn named(name: &str) -> String {
        component(name)
    }

    /// The schemas of these kinds and types, and all that they mention.
    pub(super) fn closure<'a>(&self, kinds: impl Iterator<Item = &'a Gvk>, types: &[&str]) -> Map<String, Value> {
        let mut open: Vec<String> = kinds.filter_map(|gvk| self.kinds.get(gvk).cloned()).collect();
        open.extend(types.iter().map(|name| (*name).to_owned()));
        let mut seen = BTreeSet::new();
        let mut schemas = Map::new();
        while let Some(name) = open.pop() {
            let Some(found) = self.types.get(&name) else { continue };
            if seen.insert(name) {
                schemas.insert(found.component.clone(), found.schema.clone());
                open.extend(found.mentions.iter().cloned());
            }
        }
        schemas
    }
}

/// Reads the fields of one type.
struct Reader<'a> {
    name: &'a str,
    words: &'a Words,
    mentions: BTreeSet<String>,
}

impl Reader<'_> {
    fn field(&mut self, column: &Column<'_>) -> (String, Value) {
        let mut schema = self.shape(column.shape);
        tell(&mut schema, &column.mark);
        if let Some(text) = self.words.of_field(self.name, column.name) {
            schema = described(schema, text);
        }
        (column.name.to_owned(), schema)
    }

    fn shape(&mut self, shape: &str) -> Value {
        match shape {
            "s" => json!({"type": "string"}),
            "y" => json!({"type": "string", "format": "byte"}),
            "t" => json!({"type": "string", "format": "date-time"}),
            "i" => json!({"type": "integer", "format": "int32"}),
            "l" => json!({"type": "integer", "format": "int64"}),
            "d" => json!({"type": "number", "format": "double"}),
            "n" => json!({"type": "number"}),
            "b" => json!({"type": "boolean"}),
            "q" => self.mention("Quantity"),
            "x" => self.mention("IntOrString"),
            "?" => json!({PRESERVE: true}),
            "!" => json!({"type": "object", PRESERVE: true, "x-kubernetes-map-type": "atomic"}),
            other => self.container(other),
        }
    }

    fn container(&mut self, shape: &str) -> Value {
        if let Some((item, keys)) = shape.strip_prefix('[').and_then(|rest| rest.rsplit_once(']')) {
            let mut list = json!({"type": "array", "items": self.shape(item)});
            list["x-kubernetes-list-type"] = json!(match keys {
                "" => "atomic",
                "*" => "set",
                _ => "map",
            });
            if !matches!(keys, "" | "*") {
                list["x-kubernetes-list-map-keys"] = json!(keys.split(',').collect::<Vec<_>>());
            }
            return list;
        }
        let (atomic, rest) = shape.strip_prefix('!').map_or((false, shape), |rest| (true, rest));
        let mut map = match rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(item) => json!({"type": "object", "additionalProperties": self.shape(item)}),
            None if rest == shape && !shape.starts_with('&') => return self.mention(rest),
            None => aside(self.mention(rest.trim_start_matches('&'))),
        };
        let own = if atomic { Some("atomic") } else { shape.starts_with('&').then_some("granular") };
        if let Some(own) = own {
            map["x-kubernetes-map-type"] = json!(own);
        }
        map
    }

    fn mention(&mut self, name: &str) -> Value {
        self.mentions.insert(name.to_owned());
        reference(&component(name))
    }
}

/// Puts what else is known of a field into its schema.
fn tell(schema: &mut Value, mark: &Mark) {
    if mark.patch.is_some() || mark.default.is_some() {
        // A reference may have no neighbours.
        *schema = aside(schema.take());
    }
    if let Some(default) = &mark.default {
        schema["default"] = default.clone();
    }
    if !mark.values.is_empty() {
        let inner = ["items", "additionalProperties"].into_iter().find(|inner| schema.get(inner).is_some());
        let of = match inner {
            Some(inner) => &mut schema[inner],
            None => &mut *schema,
        };
        of["enum"] = json!(mark.values);
    }
    let Some(rule) = &mark.patch else { return };
    if let Some(key) = &rule.key {
        schema["x-kubernetes-patch-merge-key"] = json!(key);
    }
    let strategies = rule.strategies();
    if !strategies.is_empty() {
        schema["x-kubernetes-patch-strategy"] = json!(strategies);
    }
}

/// A schema that may have neighbours: a reference is wrapped.
fn aside(schema: Value) -> Value {
    if schema.get("$ref").is_some() { json!({"allOf": [schema]}) } else { schema }
}

/// The schema with a description.
pub(super) fn described(schema: Value, text: &str) -> Value {
    let mut schema = aside(schema);
    schema["description"] = json!(text);
    schema
}
