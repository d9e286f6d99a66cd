//! Types of expressions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::escape::{escape, unescape};

/// A type; parameters stand for any type, the same one wherever they appear in a signature.
#[derive(Debug, Clone)]
pub(super) enum Type {
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Bytes,
    Timestamp,
    Duration,
    /// The type of a type.
    Meta(Box<Type>),
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Optional(Box<Type>),
    /// An object of the schema: the same type only as itself.
    Object(Arc<ObjectType>),
    /// A type of a library, by its name.
    Library(&'static str),
    /// A parameter of a signature.
    Parameter(char),
    /// A type that is still to be found out.
    Open(usize),
}

/// The fields of an object, by their escaped names.
#[derive(Debug, Default)]
pub(super) struct ObjectType {
    pub(super) fields: BTreeMap<String, Type>,
}

impl ObjectType {
    /// The type of a field by its name in an expression: escaped, or a word that only CEL's successors keep for
    /// themselves.
    pub(super) fn field(&self, name: &str) -> Option<&Type> {
        self.fields.get(name).or_else(|| self.fields.get(&escape(&unescape(name)?)?))
    }
}

/// Names of types in signatures that stand for themselves.
const SIMPLE: [(&str, Type); 17] = [
    ("dyn", Type::Dyn),
    ("null", Type::Null),
    ("bool", Type::Bool),
    ("int", Type::Int),
    ("uint", Type::Uint),
    ("double", Type::Double),
    ("string", Type::Text),
    ("bytes", Type::Bytes),
    ("timestamp", Type::Timestamp),
    ("duration", Type::Duration),
    ("url", Type::Library("kubernetes.URL")),
    ("ip", Type::Library("net.IP")),
    ("cidr", Type::Library("net.CIDR")),
    ("quantity", Type::Library("kubernetes.Quantity")),
    ("semver", Type::Library("kubernetes.Semver")),
    ("format", Type::Library("kubernetes.NamedFormat")),
    ("A", Type::Parameter('A')),
];

impl Type {
    /// Reads the text of a signature, such as `map<A, list<string>>`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some((_, simple)) = SIMPLE.iter().find(|(name, _)| *name == text) {
            return Some(simple.clone());
        }
        if text == "B" {
            return Some(Self::Parameter('B'));
        }
        let (kind, inner) = text.strip_suffix('>')?.split_once('<')?;
        let inner = || Self::parse(inner).map(Box::new);
        match kind {
            "list" => inner().map(Self::List),
            "optional" => inner().map(Self::Optional),
            "type" => inner().map(Self::Meta),
            "map" => {
                let (key, value) = text.get(4..text.len() - 1)?.split_once(',')?;
                Some(Self::Map(Box::new(Self::parse(key)?), Box::new(Self::parse(value)?)))
            }
            _ => None,
        }
    }

    fn is_library(&self, name: &str) -> bool {
        matches!(self, Self::Library(found) if *found == name)
    }

    /// What values of it are called at run time.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Dyn | Self::Parameter(_) | Self::Open(_) => "dyn",
            Self::Null => "null_type",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::Text => "string",
            Self::Bytes => "bytes",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::Duration => "google.protobuf.Duration",
            Self::Meta(_) => "type",
            Self::List(_) => "list",
            Self::Map(..) => "map",
            Self::Optional(_) => "optional_type",
            Self::Object(_) => "object",
            Self::Library(name) => name,
        }
    }

    /// The type that a name in an expression stands for.
    pub(super) fn named(name: &str) -> Option<Self> {
        let any = || Box::new(Self::Dyn);
        Some(match name {
            "bool" => Self::Bool,
            "int" => Self::Int,
            "uint" => Self::Uint,
            "double" => Self::Double,
            "string" => Self::Text,
            "bytes" => Self::Bytes,
            "list" => Self::List(any()),
            "map" => Self::Map(any(), any()),
            "null_type" => Self::Null,
            "type" => Self::Meta(any()),
            "optional_type" => Self::Optional(any()),
            "google.protobuf.Timestamp" => Self::Timestamp,
            "google.protobuf.Duration" => Self::Duration,
            other => return SIMPLE.into_iter().map(|(_, kind)| kind).find(|kind| kind.is_library(other)),
        })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::Text => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::Meta(inner) => write!(f, "type({inner})"),
            Self::List(inner) => write!(f, "list({inner})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Optional(inner) => write!(f, "optional_type({inner})"),
            Self::Object(_) => f.write_str("object"),
            Self::Library(name) => f.write_str(name),
            Self::Parameter(name) => write!(f, "{name}"),
            Self::Open(number) => write!(f, "_var{number}"),
        }
    }
}
