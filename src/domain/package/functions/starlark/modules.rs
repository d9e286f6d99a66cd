//! Modules that a program may load, under the published names: those that need nothing but their arguments.

use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use regex::{Regex, RegexBuilder};
use sha2::Digest as _;

use super::call::Given;
use super::eval::Machine;
use super::fault::{Fault, Outcome};
use super::ops::float;
use super::text::{number, word};
use super::value::{Module, SIZE, Value, whole};
use crate::domain::hex::hex;
use crate::domain::krm::document::{Limits, YamlFile, to_yaml};

/// File, name and functions of each.
const MODULES: [(&str, &str, &[&str]); 7] = [
    ("encoding/json.star", "json", &["encode", "decode", "indent"]),
    ("encoding/yaml.star", "yaml", &["loads", "dumps"]),
    ("encoding/base64.star", "base64", &["encode", "decode"]),
    ("hash.star", "hash", &["sha1", "sha256"]),
    ("re.star", "re", &["findall", "match", "search", "split", "sub"]),
    ("krmfn.star", "krmfn", &["match_gvk", "match_name", "match_namespace"]),
    (
        "math.star",
        "math",
        &["ceil", "copysign", "exp", "fabs", "floor", "log", "mod", "pow", "round", "sqrt", "sin", "cos", "tan"],
    ),
];
/// Published modules that need more than their arguments, or that nobody uses on resources.
const ABSENT: [&str; 8] =
    ["bsoup.star", "encoding/csv.star", "geo.star", "html.star", "http.star", "time.star", "xlsx.star", "zipfile.star"];
/// Most that a pattern may become.
const PATTERN: usize = 1 << 20;

/// Why a name that the published function has is not here.
pub(super) fn why_not(module: &str, name: &str) -> &'static str {
    match (module, name) {
        ("ctx", "open_api" | "environment") => "; a render depends on nothing but the package",
        ("hash", "md5") => "; use hash.sha256",
        _ => "",
    }
}

impl Machine<'_> {
    /// What `load` gives.
    pub(super) fn load(file: &str, member: &str) -> Outcome<Value> {
        let Some((_, name, functions)) = MODULES.iter().find(|(found, ..)| *found == file) else {
            let known: Vec<&str> = MODULES.iter().map(|(file, ..)| *file).collect();
            let why = if ABSENT.contains(&file) { "is not offered here" } else { "does not exist" };
            return Err(Fault::new(format!("the module {file:?} {why}; there are {}", known.join(", "))));
        };
        if *name != member {
            return Err(Fault::new(format!("the module {file:?} has no {member}, but {name}")));
        }
        let mut members: BTreeMap<&'static str, Value> =
            functions.iter().map(|function| (*function, Value::Member(name, function))).collect();
        if *name == "math" {
            members.insert("pi", Value::Float(std::f64::consts::PI));
            members.insert("e", Value::Float(std::f64::consts::E));
        }
        Ok(Value::Module(Rc::new(Module { name, members })))
    }

    /// Calls a function of a module.
    pub(super) fn member(&mut self, module: &str, name: &'static str, given: Given) -> Outcome<Value> {
        match module {
            "json" => self.json(name, given),
            "yaml" => self.yaml(name, given),
            "base64" => self.base64(name, given),
            "hash" => {
                let [text] = given.take(name, ["string"], 1)?;
                let text = word(name, text)?;
                self.heap.step(text.len() / 8)?;
                let digest: Vec<u8> = match name {
                    "sha1" => sha1dc::digest(text.as_bytes())
                        .map(|digest| digest.as_ref().to_vec())
                        .map_err(|_| Fault::new("hash.sha1: this is made to collide with something else"))?,
                    _ => sha2::Sha256::digest(text.as_bytes()).to_vec(),
                };
                self.heap.text(hex(&digest))
            }
            "re" => self.re(name, given),
            "krmfn" => self.krmfn(name, given),
            _ => math(name, given),
        }
    }

    fn json(&mut self, name: &str, given: Given) -> Outcome<Value> {
        match name {
            "decode" => {
                let [text, default] = given.take(name, ["x", "default"], 1)?;
                let text = word(name, text)?;
                self.heap.step(text.len())?;
                self.heap.charge(text.len() * 8)?;
                match (serde_json::from_str(&text), default) {
                    (Ok(json), _) => self.take_in(&json),
                    (Err(_), Some(default)) => Ok(default),
                    (Err(error), None) => Err(Fault::new(format!("json.decode: {error}"))),
                }
            }
            "encode" => {
                let [value] = given.take(name, ["x"], 1)?;
                let json = self.give_out(&value.unwrap_or(Value::None))?;
                self.heap.text(sorted(&json).to_string())
            }
            _ => {
                let [text, prefix, indent] = given.take(name, ["x", "prefix", "indent"], 1)?;
                let json: serde_json::Value = serde_json::from_str(&word(name, text)?)
                    .map_err(|error| Fault::new(format!("json.indent: {error}")))?;
                let prefix = prefix.map_or_else(|| Ok("".into()), |prefix| word(name, Some(prefix)))?;
                let indent = indent.map_or_else(|| Ok("\t".into()), |indent| word(name, Some(indent)))?;
                let flat = json.to_string().len();
                self.heap.charge(flat.saturating_mul(1 + prefix.len() + 40 * indent.len()))?;
                self.heap.text(indented(&json, &indent)?.replace('\n', &format!("\n{prefix}")))
            }
        }
    }

    fn yaml(&mut self, name: &str, given: Given) -> Outcome<Value> {
        let [value] = given.take(name, ["x"], 1)?;
        if name == "dumps" {
            let json = self.give_out(&value.unwrap_or(Value::None))?;
            return self.heap.text(to_yaml(&json));
        }
        let text = word(name, value)?;
        self.heap.step(text.len())?;
        self.heap.charge(text.len() * 8)?;
        let file = YamlFile::parse(text.as_bytes(), &Limits::default());
        let values = file.and_then(|file| file.values()).map_err(|error| Fault::new(format!("yaml.loads: {error}")))?;
        values.first().map_or(Ok(Value::None), |json| self.take_in(json))
    }

    fn base64(&mut self, name: &str, given: Given) -> Outcome<Value> {
        let [text, encoding] = given.take(name, ["data", "encoding"], 1)?;
        let text = word(name, text)?;
        let encoding = encoding.map_or_else(|| Ok("standard".into()), |encoding| word(name, Some(encoding)))?;
        let engine = match &*encoding {
            "standard" => STANDARD,
            "standard_raw" => STANDARD_NO_PAD,
            "url" => URL_SAFE,
            "url_raw" => URL_SAFE_NO_PAD,
            other => return Err(Fault::new(format!("there is no encoding {other:?}"))),
        };
        self.heap.step(text.len() / 8)?;
        self.heap.charge(2 * text.len())?;
        if name == "encode" {
            return self.heap.text(engine.encode(text.as_bytes()));
        }
        let bytes = engine.decode(text.as_bytes()).map_err(|error| Fault::new(format!("base64.decode: {error}")))?;
        self.heap.text(String::from_utf8(bytes).map_err(|_| Fault::new("base64.decode: this is no text"))?)
    }

    fn re(&mut self, name: &str, given: Given) -> Outcome<Value> {
        let (pattern, replacement, text, most) = if name == "sub" {
            let [pattern, new, text, ..] = given.take(name, ["pattern", "repl", "string", "count", "flags"], 3)?;
            (pattern, Some(word(name, new)?), text, None)
        } else {
            let [pattern, text, most, _] = given.take(name, ["pattern", "string", "maxsplit", "flags"], 2)?;
            (pattern, None, text, most)
        };
        let (pattern, text) = (word(name, pattern)?, word(name, text)?);
        self.heap.step(10_000_usize.saturating_add(text.len()))?;
        let regex = RegexBuilder::new(&pattern).size_limit(PATTERN).dfa_size_limit(PATTERN).build();
        let regex = regex.map_err(|error| Fault::new(format!("re.{name}: {pattern:?} is no pattern: {error}")))?;
        match (name, replacement) {
            (_, Some(new)) => {
                let found = regex.find_iter(&text).count();
                let groups = new.matches('$').count();
                let each = new.len().saturating_add(groups.saturating_mul(text.len()));
                self.heap.charge(text.len().saturating_add(found.saturating_mul(each.min(new.len() + text.len()))))?;
                self.heap.text(regex.replace_all(&text, &*new).into_owned())
            }
            ("search", _) => match regex.find(&text) {
                None => Ok(Value::None),
                Some(found) => self.heap.list(vec![number(found.start()), number(found.end())]),
            },
            ("match", _) => self.matches(&regex, &text),
            ("findall", _) => {
                let parts = regex.find_iter(&text).map(|found| found.as_str());
                self.parts(parts)
            }
            _ => match most {
                Some(Value::Int(most)) if most > 0 => {
                    self.parts(regex.splitn(&text, usize::try_from(most).unwrap_or(usize::MAX)))
                }
                _ => self.parts(regex.split(&text)),
            },
        }
    }

    fn parts<'t>(&mut self, parts: impl Iterator<Item = &'t str>) -> Outcome<Value> {
        let parts: Outcome<Vec<Value>> = parts
            .map(|part| {
                self.heap.charge(SIZE)?;
                self.heap.text(part)
            })
            .collect();
        self.heap.tuple(parts?)
    }

    fn matches(&mut self, regex: &Regex, text: &str) -> Outcome<Value> {
        let mut rows = Vec::new();
        for found in regex.captures_iter(text) {
            self.heap.step(1)?;
            self.heap.charge(SIZE)?;
            rows.push(self.parts(found.iter().map(|group| group.map_or("", |group| group.as_str())))?);
        }
        self.heap.list(rows)
    }

    fn krmfn(&mut self, name: &str, given: Given) -> Outcome<Value> {
        let text = |value: &Value, path: &[&str]| {
            let found = path.iter().try_fold(value.clone(), |value, part| {
                let found = self.index(&value, &Value::Text((*part).into()));
                found.ok()
            });
            match found {
                Some(Value::Text(text)) => text,
                _ => "".into(),
            }
        };
        let found = if name == "match_gvk" {
            let [resource, version, kind] = given.take(name, ["resource", "api_version", "kind"], 3)?;
            let resource = resource.unwrap_or(Value::None);
            text(&resource, &["apiVersion"]) == word(name, version)? && text(&resource, &["kind"]) == word(name, kind)?
        } else {
            let [resource, wanted] = given.take(name, ["resource", "value"], 2)?;
            let field = if name == "match_name" { "name" } else { "namespace" };
            text(&resource.unwrap_or(Value::None), &["metadata", field]) == word(name, wanted)?
        };
        Ok(Value::Bool(found))
    }
}

/// The same with keys in order.
fn sorted(json: &serde_json::Value) -> serde_json::Value {
    match json {
        serde_json::Value::Object(map) => {
            let ordered: BTreeMap<&String, &serde_json::Value> = map.iter().collect();
            serde_json::Value::Object(ordered.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        serde_json::Value::Array(items) => serde_json::Value::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

fn indented(json: &serde_json::Value, indent: &str) -> Outcome<String> {
    use serde::Serialize as _;
    let mut bytes = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    let written = json.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, format));
    let text = written.ok().and_then(|()| String::from_utf8(bytes).ok());
    text.ok_or_else(|| Fault::new("json: this cannot be written"))
}

fn math(name: &str, given: Given) -> Outcome<Value> {
    let [x, y] = given.take(name, ["x", "y"], 1)?;
    let real = |value: Option<Value>| match value {
        Some(Value::Int(number)) => Ok(float(number)),
        Some(Value::Float(number)) => Ok(number),
        other => Err(Fault::new(format!("math.{name} takes numbers, not a {}", other.unwrap_or(Value::None).kind()))),
    };
    let integer = |number: f64| {
        whole(number).map(Value::Int).ok_or_else(|| Fault::new(format!("math.{name}: {number} is no whole number")))
    };
    let x = real(x)?;
    let found = match name {
        "ceil" => return integer(x.ceil()),
        "floor" => return integer(x.floor()),
        "copysign" => x.copysign(real(y)?),
        "exp" => x.exp(),
        "fabs" => x.abs(),
        "log" => match y {
            None => x.ln(),
            base => x.ln() / real(base)?.ln(),
        },
        "mod" => x % real(y)?,
        "pow" => x.powf(real(y)?),
        "round" => x.round(),
        "sqrt" => x.sqrt(),
        "sin" => x.sin(),
        "cos" => x.cos(),
        _ => x.tan(),
    };
    Ok(Value::Float(found))
}
