//! What the body of a request says twice: JSON keeps the last of several fields of one name, and the client is told.
//!
//! Source: the strict decoders of the API server (`sigs.k8s.io/json`, `sigs.k8s.io/yaml`), observed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use http::Method;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::apiserver::patch::{APPLY, JSON_PATCH};
use crate::apiserver::protobuf::PROTOBUF;
use crate::apiserver::request::{Request, YAML_LIMITS};
use crate::domain::krm::document::YamlFile;

/// Most remarks about one body; the limit of the API server.
const MOST: usize = 100;
/// The fields of an operation of a JSON patch.
const OPERATION: [&str; 4] = ["from", "op", "path", "value"];

/// What is to be said about the body of a write: fields that it has twice, fields of its operations that mean nothing.
/// Nothing about a body that cannot be read, which its reader tells.
#[must_use]
pub(super) fn remarks(request: &Request) -> Vec<String> {
    match request.content_type.as_str() {
        PROTOBUF => Vec::new(),
        JSON_PATCH => read(&request.body, true).into_iter().map(|remark| format!("json patch {remark}")).collect(),
        APPLY | YAML if is_plain(&request.body) => Vec::new(),
        APPLY | YAML => lines(&request.body),
        _ => read(&request.body, false),
    }
}

const YAML: &str = "application/yaml";

/// Whether a body is JSON that says nothing twice.
fn is_plain(body: &[u8]) -> bool {
    let mut found = Found::new(false);
    found.look(body).is_ok() && found.remarks.is_empty()
}

/// What is read as YAML is told by its lines instead of paths.
fn lines(body: &[u8]) -> Vec<String> {
    let read = YamlFile::parse_leniently(body, &YAML_LIMITS);
    read.map(|(_, again)| again.iter().map(ToString::to_string).collect()).unwrap_or_default()
}

fn read(body: &[u8], is_patch: bool) -> Vec<String> {
    let mut found = Found::new(is_patch);
    if found.look(body).is_err() {
        return Vec::new();
    }
    found.remarks
}

/// Remarks as one text, as strict decoders put them together: those about lines are one.
#[must_use]
pub(super) fn strictly(remarks: &[String]) -> String {
    let (lines, others): (Vec<&str>, Vec<&str>) =
        remarks.iter().map(String::as_str).partition(|remark| remark.starts_with("line "));
    let lines: Option<String> = (!lines.is_empty()).then(|| of_yaml(&lines));
    lines.into_iter().chain(others.into_iter().map(str::to_owned)).collect::<Vec<_>>().join(", ")
}

/// What the decoder of YAML says about lines.
#[must_use]
pub(super) fn of_yaml<T: AsRef<str>>(lines: &[T]) -> String {
    let lines: String = lines.iter().map(|line| format!("\n  {}", line.as_ref())).collect();
    format!("yaml: unmarshal errors:{lines}")
}

/// A whole object of JSON as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent(Bytes);

impl Sent {
    /// What a request sends, unless it is a patch or no JSON.
    pub(super) fn of(request: &Request) -> Option<Self> {
        let is_whole = matches!(request.method, Method::POST | Method::PUT);
        let is_json = matches!(request.content_type.as_str(), "" | "*/*" | "application/json");
        (is_whole && is_json).then(|| Self(request.body.clone()))
    }

    /// Brings remarks into the order of the fields that they are about.
    pub(super) fn sort(&self, remarks: &mut [String]) {
        if remarks.len() < 2 {
            return;
        }
        let mut found = Found::new(false);
        found.order = Some(BTreeMap::new());
        // What has been read once is JSON.
        let _read = found.look(&self.0);
        let order = found.order.unwrap_or_default();
        remarks.sort_by_key(|remark| order.get(remark).copied());
    }
}

struct Found {
    remarks: Vec<String>,
    is_patch: bool,
    /// The place in the body of every remark that could be made.
    order: Option<BTreeMap<String, usize>>,
}

impl Found {
    const fn new(is_patch: bool) -> Self {
        Self { remarks: Vec::new(), is_patch, order: None }
    }

    fn look(&mut self, body: &[u8]) -> serde_json::Result<()> {
        Look { found: self, here: &Place::Root }.deserialize(&mut serde_json::Deserializer::from_slice(body))
    }

    /// Counts a field, again or for the first time.
    fn count(&mut self, place: &Place<'_>, is_again: bool) {
        if let Some(order) = &mut self.order {
            let what = if is_again { "duplicate" } else { "unknown" };
            let next = order.len();
            order.entry(format!("{what} field {:?}", place.to_string())).or_insert(next);
        }
    }

    fn note(&mut self, what: &str, place: &Place<'_>) {
        let remark = format!("{what} field {:?}", place.to_string());
        if self.remarks.len() < MOST && !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }
}

/// A place in a body, told as `spec.containers[0].name`.
enum Place<'a> {
    Root,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(above, name) => write!(f, "{above}.{name}"),
            Self::Item(above, index) => write!(f, "{above}[{index}]"),
        }
    }
}

/// A look at one value.
struct Look<'a> {
    found: &'a mut Found,
    here: &'a Place<'a>,
}

impl<'de> DeserializeSeed<'de> for Look<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Look<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        let is_operation = self.found.is_patch && matches!(self.here, Place::Item(Place::Root, _));
        while let Some(name) = fields.next_key::<String>()? {
            let here = Place::Field(self.here, &name);
            if is_operation && !OPERATION.contains(&name.as_str()) {
                self.found.note("unknown", &here);
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            let is_again = seen.contains(&name);
            self.found.count(&here, is_again);
            if is_again {
                self.found.note("duplicate", &here);
            }
            fields.next_value_seed(Look { found: &mut *self.found, here: &here })?;
            seen.insert(name);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        while items.next_element_seed(Look { found: &mut *self.found, here: &Place::Item(self.here, index) })?.is_some()
        {
            index += 1;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_twice_is_told_once_with_its_place() {
        let body = br#"{"metadata":{"name":"a","name":"b"},"data":{"a":"1","a":"2","a":3.5},"spec":[{"x":null,"x":[{"y":1,"y":-1}]}]}"#;
        let expected = ["metadata.name", "data.a", "spec[0].x", "spec[0].x[0].y"];
        assert_eq!(read(body, false), expected.map(|place| format!("duplicate field {place:?}")));
        assert!(read(br#"{"a":1,"a""#, false).is_empty());
    }

    #[test]
    fn operations_have_but_four_fields() {
        let body = br#"[{"op":"add","path":"/a","foo":{"x":1,"x":1},"value":{"x":1,"x":2}},{"op":"add","op":"add"}]"#;
        let expected =
            [r#"unknown field "[0].foo""#, r#"duplicate field "[0].value.x""#, r#"duplicate field "[1].op""#];
        assert_eq!(read(body, true), expected);
    }

    #[test]
    fn yaml_is_told_by_its_lines() {
        let body = b"{\"data\":{\n\"z\":\"1\",\n\"z\":\"2\"}}";
        assert_eq!(lines(body), ["line 3: key \"z\" already set in map"]);
        let told = lines(b"a:\n  b: 1\na:\n  b: 1\n  b: 2\n1: x\n1: y\n");
        let expected = [
            "line 5: key \"b\" already set in map",
            "line 4: key \"a\" already set in map",
            "line 7: key 1 already set in map",
        ];
        assert_eq!(told, expected);
        let unknown = "unknown field \"c\"".to_owned();
        let strict = strictly(&[told[0].clone(), told[1].clone(), unknown]);
        assert_eq!(
            strict,
            format!("yaml: unmarshal errors:\n  {}\n  {}, unknown field \"c\"", expected[0], expected[1])
        );
    }

    #[test]
    fn remarks_come_in_the_order_of_fields() {
        let sent = Sent(Bytes::from_static(br#"{"z":1,"a":{"y":1,"y":2,"b":1}}"#));
        let mut remarks =
            [r#"duplicate field "a.y""#, r#"unknown field "a.b""#, r#"unknown field "z""#].map(str::to_owned);
        sent.sort(&mut remarks);
        assert_eq!(remarks, [r#"unknown field "z""#, r#"duplicate field "a.y""#, r#"unknown field "a.b""#]);
    }
}
