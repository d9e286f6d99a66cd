//! A Kubernetes object as a JSON value with the accessors that every decision needs. Objects stay JSON: typed structs
//! would drop fields that we do not know.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::id::Digest;

/// Group, version and kind. The core group is the empty string.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Gvk {
    /// API group; empty for the core group.
    pub group: String,
    /// Version within the group.
    pub version: String,
    /// Kind, in `CamelCase`.
    pub kind: String,
}

impl Gvk {
    /// A kind from its parts.
    #[must_use]
    pub fn new(group: &str, version: &str, kind: &str) -> Self {
        Self { group: group.to_owned(), version: version.to_owned(), kind: kind.to_owned() }
    }

    /// Reads `apiVersion` and `kind` as manifests spell them.
    #[must_use]
    pub fn parse(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self::new(group, version, kind)
    }

    /// `version` or `group/version`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
}

impl fmt::Display for Gvk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.api_version(), self.kind)
    }
}

/// Identity of an object across API versions. The order is group, kind, namespace, name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectId {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
}

/// A text on one line: line breaks and codes for terminals are written out, so that what is told about one object does
/// not look as if it were about two.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let shown =
        |letter: char| if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() };
    Cow::Owned(text.chars().map(shown).collect())
}

impl fmt::Display for ObjectId {
    /// `Kind/namespace/name`, `Kind.group/namespace/name` outside the core group, without namespace when it has none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible(&self.kind))?;
        if !self.group.is_empty() {
            write!(f, ".{}", visible(&self.group))?;
        }
        if !self.namespace.is_empty() {
            write!(f, "/{}", visible(&self.namespace))?;
        }
        write!(f, "/{}", visible(&self.name))
    }
}

/// What an object needs to be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnObject {
    /// The document is a list or a scalar.
    #[error("the document is {0}, not an object")]
    NotAMap(&'static str),
    /// `apiVersion`, `kind` or `metadata.name` is missing or empty.
    #[error("{0} is missing or empty")]
    IdentityMissing(&'static str),
    /// One of them is there, and is no text: YAML reads `y`, `no` and `12` as something else.
    #[error("{field} is {found}, not a text; write it in quotes")]
    NotText {
        /// The field.
        field: &'static str,
        /// Its value, as JSON, when it is a single one.
        found: String,
    },
    /// It has a `metadata.generateName` in place of a name.
    #[error("metadata.generateName makes another object with every apply; give metadata.name")]
    Generated,
    /// It is a `List`.
    #[error("a List has no name and is not taken apart; write its items as documents of their own")]
    List,
}

impl NotAnObject {
    /// Short code for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAMap(_) | Self::IdentityMissing(_) | Self::NotText { .. } => "k8s.identity_missing",
            Self::Generated => "k8s.generate_name",
            Self::List => "k8s.list",
        }
    }

    /// The field that it is about, where there is something.
    #[must_use]
    pub fn path(&self) -> Vec<&'static str> {
        match self {
            Self::NotText { field, .. } => field.split('.').collect(),
            Self::Generated => vec!["metadata", "generateName"],
            Self::List => vec!["kind"],
            Self::NotAMap(_) | Self::IdentityMissing(_) => Vec::new(),
        }
    }
}

/// Why an object has no such field.
fn without(field: &'static str, value: &Value) -> NotAnObject {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match field {
        "metadata.name" if !text("/metadata/generateName").is_empty() => NotAnObject::Generated,
        "metadata.name" if text("/kind") == "List" => NotAnObject::List,
        _ => NotAnObject::IdentityMissing(field),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
        other => other.to_string(),
    }
}

/// A Kubernetes object: a JSON map that has `apiVersion`, `kind` and `metadata.name`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Object(Value);

impl Object {
    /// Takes a JSON value that identifies itself.
    ///
    /// # Errors
    /// [`NotAnObject`] naming what is missing.
    pub fn new(value: Value) -> Result<Self, NotAnObject> {
        let map = match &value {
            Value::Object(map) => map,
            Value::Array(_) => return Err(NotAnObject::NotAMap("a list")),
            _ => return Err(NotAnObject::NotAMap("a scalar")),
        };
        for (field, text) in [
            ("apiVersion", map.get("apiVersion")),
            ("kind", map.get("kind")),
            ("metadata.name", map.get("metadata").and_then(|m| m.get("name"))),
        ] {
            match text {
                Some(Value::String(text)) if !text.is_empty() => {}
                None | Some(Value::Null | Value::String(_)) => return Err(without(field, &value)),
                Some(other) => return Err(NotAnObject::NotText { field, found: shown(other) }),
            }
        }
        Ok(Self(value))
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// Group, version and kind.
    #[must_use]
    pub fn gvk(&self) -> Gvk {
        Gvk::parse(self.text("/apiVersion"), self.kind())
    }

    /// `kind`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// `metadata.namespace`, empty when absent.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    /// `metadata.uid`, empty before the server set it.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }

    /// `metadata.resourceVersion`, empty before the server set it.
    #[must_use]
    pub fn resource_version(&self) -> &str {
        self.text("/metadata/resourceVersion")
    }

    /// `metadata.generation`, 0 when absent.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.0.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default()
    }

    /// Whether the object waits for its finalizers.
    #[must_use]
    pub fn is_terminating(&self) -> bool {
        self.0.pointer("/metadata/deletionTimestamp").is_some_and(|v| !v.is_null())
    }

    /// Identity across versions.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        let gvk = self.gvk();
        ObjectId {
            group: gvk.group,
            kind: gvk.kind,
            namespace: self.namespace().to_owned(),
            name: self.name().to_owned(),
        }
    }

    /// One label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata_entry("labels", key)
    }

    /// One annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata_entry("annotations", key)
    }

    fn metadata_entry(&self, map: &str, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get(map)?.get(key)?.as_str()
    }

    /// All labels that are text.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.0.pointer("/metadata/labels").and_then(Value::as_object);
        labels
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect()
    }

    /// Sets a label, creating the map.
    pub fn set_label(&mut self, key: &str, value: &str) {
        self.set_metadata_entry("labels", key, value);
    }

    /// Sets an annotation, creating the map.
    pub fn set_annotation(&mut self, key: &str, value: &str) {
        self.set_metadata_entry("annotations", key, value);
    }

    fn set_metadata_entry(&mut self, map: &str, key: &str, value: &str) {
        let Some(metadata) = self.0.get_mut("metadata").and_then(Value::as_object_mut) else { return };
        let entries = metadata.entry(map).or_insert_with(|| Value::Object(Map::new()));
        if !entries.is_object() {
            *entries = Value::Object(Map::new());
        }
        if let Value::Object(entries) = entries {
            entries.insert(key.to_owned(), Value::String(value.to_owned()));
        }
    }

    /// The JSON.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.0
    }

    /// The JSON, to change in place; the identity must stay.
    pub const fn value_mut(&mut self) -> &mut Value {
        &mut self.0
    }

    /// Gives the JSON away.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.0
    }

    /// Digest over the canonical JSON: keys sorted, no whitespace.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.to_string().as_bytes())
    }
}
