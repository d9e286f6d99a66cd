//! Values of expressions. Those of the object are read when they are needed, by their schema.

use core::net::IpAddr;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::rc::Rc;

use jiff::Timestamp;
use serde_json::Value;

use super::collection::{Items, Key, List, Map};
use super::eval::{Budget, Fail};
use super::library::Format;
use super::library::url::Url;
use super::schema::{ListKind, Node, Shape, TextFormat};
use crate::domain::krm::Quantity;
use crate::domain::krm::base64;
use crate::domain::krm::duration;
use crate::domain::krm::value::same;

/// A value; `'a` is the object, its schema and the expression.
#[derive(Debug, Clone)]
pub(super) enum Val<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Text<'a>),
    Bytes(Rc<[u8]>),
    List(List<'a>),
    Map(Map<'a>),
    Timestamp(Timestamp),
    /// In nanoseconds.
    Duration(i64),
    Type(&'static str),
    Optional(Option<Rc<Val<'a>>>),
    /// Data without schema: it can only be compared.
    Preserved(&'a Value),
    Url(Rc<Url>),
    Ip(IpAddr),
    Cidr(IpAddr, u8),
    Quantity(Quantity),
    Semver(Rc<semver::Version>),
    Format(&'static Format),
}

/// A text, of the object or made on the way.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Owned(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Owned(text) => text,
        }
    }
}

impl<'a> Val<'a> {
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(Text::Owned(text.into()))
    }

    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(List { items: Items::Own(items.into()), kind: &ListKind::Atomic })
    }

    pub(super) fn map(entries: BTreeMap<Key, Self>) -> Self {
        Self::Map(Map::Own(Rc::new(entries)))
    }

    pub(super) fn some(value: Self) -> Self {
        Self::Optional(Some(Rc::new(value)))
    }

    /// Reads a part of an object by its schema.
    pub(super) fn read(value: &'a Value, node: &'a Node) -> Result<Self, Fail> {
        let wrong = |wanted: &str| Fail::error(format!("invalid data, expected {wanted}"));
        if value.is_null() {
            let fault = || Fail::error("invalid data, got null for schema with nullable=false");
            return if node.nullable { Ok(Self::Null) } else { Err(fault()) };
        }
        Ok(match (&node.shape, value) {
            (Shape::IntOrString | Shape::Text(TextFormat::Plain), Value::String(text)) => {
                Self::Text(Text::Borrowed(text))
            }
            (Shape::IntOrString | Shape::Integer, Value::Number(number)) => {
                Self::Int(number.as_i64().ok_or_else(|| wrong("int, got float64"))?)
            }
            (Shape::Number, Value::Number(number)) => Self::Double(number.as_f64().ok_or_else(|| wrong("float"))?),
            (Shape::Bool, Value::Bool(value)) => Self::Bool(*value),
            (Shape::Object(_) | Shape::Map(_) | Shape::Bare, Value::Object(fields)) => {
                Self::Map(Map::Json(fields, node))
            }
            (Shape::List(element, kind), Value::Array(items)) => {
                Self::List(List { items: Items::Json(items, element), kind })
            }
            (Shape::Text(format), Value::String(text)) => Self::read_text(text, *format)?,
            (Shape::Preserved, value) => Self::Preserved(value),
            _ => return Err(wrong(if node.word.is_empty() { "a declared type" } else { &node.word })),
        })
    }

    fn read_text(text: &'a str, format: TextFormat) -> Result<Self, Fail> {
        let wrong = |what: &str| Fail::error(format!("Invalid {what} {text}"));
        match format {
            TextFormat::Plain => Ok(Self::Text(Text::Borrowed(text))),
            TextFormat::Byte => {
                base64::decode(text).map(|b| Self::Bytes(b.into())).ok_or_else(|| wrong("byte formatted string"))
            }
            TextFormat::Duration => duration::parse_loose(text).map(Self::Duration).ok_or_else(|| wrong("duration")),
            TextFormat::Date => {
                format!("{text}T00:00:00Z").parse().map(Self::Timestamp).map_err(|_| wrong("date formatted string"))
            }
            TextFormat::DateTime => text.parse().map(Self::Timestamp).map_err(|_| wrong("date-time formatted string")),
        }
    }

    /// The name of the type at run time.
    pub(super) const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::Type(_) => "type",
            Self::Optional(_) => "optional_type",
            Self::Preserved(_) => "unknown",
            Self::Url(_) => "kubernetes.URL",
            Self::Ip(_) => "net.IP",
            Self::Cidr(..) => "net.CIDR",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Semver(_) => "kubernetes.Semver",
            Self::Format(_) => "kubernetes.NamedFormat",
        }
    }

    /// As a key of a map.
    pub(super) fn key(&self) -> Result<Key, Fail> {
        match self {
            Self::Bool(value) => Ok(Key::Bool(*value)),
            Self::Int(number) => Ok(Key::Number(i128::from(*number))),
            Self::Uint(number) => Ok(Key::Number(i128::from(*number))),
            // A double is the same key as the whole number that it is.
            Self::Double(number) if number.fract() == 0.0 && number.abs() < 9.0e18 => {
                format!("{number:.0}").parse().map(Key::Number).map_err(|_| Fail::overload())
            }
            Self::Text(text) => Ok(Key::Text(text.to_string())),
            _ => Err(Fail::overload()),
        }
    }

    /// What its cost is counted by: length of texts, lists and maps, 1 for everything else.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Text(text) => text.chars().count() as u64,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::List(list) => list.len() as u64,
            Self::Map(map) => map.len() as u64,
            Self::Optional(Some(inner)) => inner.size(),
            Self::Ip(ip) | Self::Cidr(ip, _) => {
                if ip.is_ipv4() {
                    4
                } else {
                    16
                }
            }
            _ => 1,
        }
    }

    /// Whether two values are equal; values of different types are not, but numbers are compared by what they are
    /// worth.
    pub(super) fn equals(&self, other: &Self, budget: &Budget) -> Result<bool, Fail> {
        budget.work(1)?;
        Ok(match (self, other) {
            (Self::Null, Self::Null) | (Self::Optional(None), Self::Optional(None)) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => {
                budget.work(a.len() / 64)?;
                **a == **b
            }
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => a.equals(b, budget)?,
            (Self::Map(a), Self::Map(b)) => a.equals(b, budget)?,
            (Self::Timestamp(a), Self::Timestamp(b)) => a == b,
            (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::Type(a), Self::Type(b)) => a == b,
            (Self::Optional(Some(a)), Self::Optional(Some(b))) => a.equals(b, budget)?,
            (Self::Preserved(a), Self::Preserved(b)) => same(a, b),
            (Self::Url(a), Self::Url(b)) => a == b,
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Cidr(a, bits), Self::Cidr(b, others)) => a == b && bits == others,
            (Self::Quantity(a), Self::Quantity(b)) => a == b,
            (Self::Semver(a), Self::Semver(b)) => a.cmp_precedence(b).is_eq(),
            (Self::Format(a), Self::Format(b)) => std::ptr::eq(*a, *b),
            _ => self.compare_numbers(other) == Some(Ordering::Equal),
        })
    }

    fn compare_numbers(&self, other: &Self) -> Option<Ordering> {
        let whole = |value: &Self| match value {
            Self::Int(number) => Some(i128::from(*number)),
            Self::Uint(number) => Some(i128::from(*number)),
            _ => None,
        };
        match (self, other) {
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Double(a), b) => compare_mixed(*a, whole(b)?),
            (a, Self::Double(b)) => compare_mixed(*b, whole(a)?).map(Ordering::reverse),
            (a, b) => Some(whole(a)?.cmp(&whole(b)?)),
        }
    }

    /// The order of two values.
    pub(super) fn compare(&self, other: &Self) -> Result<Ordering, Fail> {
        let nan = |value: &Self| matches!(value, Self::Double(number) if number.is_nan());
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Ok(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Ok(a.as_bytes().cmp(b.as_bytes())),
            (Self::Bytes(a), Self::Bytes(b)) => Ok(a.cmp(b)),
            (Self::Timestamp(a), Self::Timestamp(b)) => Ok(a.cmp(b)),
            (Self::Duration(a), Self::Duration(b)) => Ok(a.cmp(b)),
            (a, b) if nan(a) || nan(b) => Err(Fail::error("NaN values cannot be ordered")),
            (a, b) => a.compare_numbers(b).ok_or_else(Fail::overload),
        }
    }
}

/// A double beside a whole number, without rounding the whole number.
#[allow(clippy::cast_possible_truncation, reason = "the double is whole and within the range of 128 bits")]
fn compare_mixed(double: f64, whole: i128) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    if double.abs() > 1.0e20 {
        return Some(if double > 0.0 { Ordering::Greater } else { Ordering::Less });
    }
    let floor = double.floor();
    let order = (floor as i128).cmp(&whole);
    Some(if order.is_eq() && double > floor { Ordering::Greater } else { order })
}
