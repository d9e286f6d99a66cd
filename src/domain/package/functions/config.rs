//! Reading a function's configuration, and saying what is wrong with it, where, and what to write instead.

use std::collections::BTreeMap;

use serde_json::Value;

use super::fields::FieldSpec;
use super::{Call, FunctionError, at};
use crate::domain::package::resources::Place;

/// Where a configuration is written.
#[derive(Debug, Clone)]
pub(crate) struct ConfigAt {
    /// The Kptfile, or the resource at `configPath`.
    pub(crate) place: Place,
    /// In the Kptfile: the path of the function; its `configMap` is the data.
    pub(crate) function: Option<Vec<String>>,
    /// Line of the function in the Kptfile as people wrote it: earlier functions may have put lines in front of it.
    pub(crate) line: usize,
}

/// API version of the functions' own kinds.
const API_VERSION: &str = "fn.kpt.dev/v1alpha1";

impl Call<'_> {
    /// `file:line` of a path in the configuration.
    pub(super) fn config_origin(&self, path: &[&str]) -> String {
        let place = &self.config_at.place;
        let line = if self.config_at.function.is_none() {
            self.resources.line_of(place, path)
        } else {
            let inner = path.split_first().map_or(&[][..], |(_, inner)| inner);
            self.line_in_function(&[&["configMap"], inner].concat())
        };
        format!("{}:{line}", place.file)
    }

    /// Line of a field of the function in the Kptfile.
    pub(super) fn line_in_function(&self, inner: &[&str]) -> usize {
        let function: Vec<&str> = self.config_at.function.iter().flatten().map(String::as_str).collect();
        let line = |path: &[&str]| self.resources.line_of(&self.config_at.place, path);
        self.config_at.line + line(&[&function, inner].concat()).saturating_sub(line(&function))
    }

    /// The configuration is wrong at `path`; `hint` says what to write instead.
    pub(super) fn wrong(&self, path: &[&str], message: impl Into<String>, hint: impl Into<String>) -> FunctionError {
        FunctionError::Config { origin: self.config_origin(path), message: message.into(), hint: hint.into() }
    }

    /// Whether the configuration is a `ConfigMap`; otherwise it is one of the function's own kinds.
    pub(super) fn is_config_map(&self, own: &[&str]) -> Result<bool, FunctionError> {
        let text = |field: &str| self.config.get(field).and_then(Value::as_str).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if version == "v1" && kind == "ConfigMap" {
            return Ok(true);
        }
        if own.contains(&kind) && version == API_VERSION {
            return Ok(false);
        }
        let allowed: Vec<String> = own.first().map(|kind| format!("{API_VERSION} {kind}")).into_iter().collect();
        let hint = [vec!["v1 ConfigMap".to_owned()], allowed].concat().join(" or ");
        Err(self.wrong(
            &["kind"],
            format!("a {version} {kind} does not configure this function"),
            format!("write a {hint}"),
        ))
    }

    /// The texts of a map in the configuration; empty when there is none. The `data` of a `ConfigMap` is read as kpt
    /// reads it and as it is read in a Kptfile: what is written is the text, whatever else it may mean.
    pub(super) fn texts(&self, path: &[&str]) -> Result<BTreeMap<String, String>, FunctionError> {
        let map = match at(&self.config, path) {
            None | Some(Value::Null) => return Ok(BTreeMap::new()),
            Some(Value::Object(map)) => map,
            Some(_) => {
                return Err(self.wrong(path, format!("{} is not a map", path.join(".")), "write key: value lines"));
            }
        };
        map.iter()
            .map(|(key, value)| match value {
                Value::String(text) => Ok((key.clone(), text.clone())),
                other => {
                    let full: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
                    if let Some(text) = self.written(&full, other).filter(|_| *path == ["data"]) {
                        return Ok((key.clone(), text));
                    }
                    Err(self.wrong(&full, format!("{key} is {other}, not text"), format!("write {key}: \"{other}\"")))
                }
            })
            .collect()
    }

    /// How a number or a boolean of the configuration is written; empty for null.
    fn written(&self, path: &[&str], value: &Value) -> Option<String> {
        match value {
            Value::Object(_) | Value::Array(_) => None,
            Value::Null => Some(String::new()),
            _ => {
                let found =
                    self.resources.document(&self.config_at.place).filter(|_| self.config_at.function.is_none());
                let text = found.and_then(|found| found.at(path)?.scalar().map(str::to_owned));
                Some(text.unwrap_or_else(|| value.to_string()))
            }
        }
    }

    /// `data` of a `ConfigMap`, or the map `field` of the function's own kind.
    pub(super) fn data_or(&self, own: &[&str], field: &str) -> Result<BTreeMap<String, String>, FunctionError> {
        if self.is_config_map(own)? { self.texts(&["data"]) } else { self.texts(&[field]) }
    }

    /// `data` of the `ConfigMap` that is the only way to configure the function.
    pub(super) fn data(&self) -> Result<BTreeMap<String, String>, FunctionError> {
        self.is_config_map(&[])?;
        self.texts(&["data"])
    }

    /// Refuses keys below `path` that mean nothing.
    pub(super) fn only(&self, path: &[&str], allowed: &[&str]) -> Result<(), FunctionError> {
        let map = at(&self.config, path).and_then(Value::as_object);
        match map.into_iter().flatten().find(|(key, _)| !allowed.contains(&key.as_str())) {
            None => Ok(()),
            Some((key, _)) => {
                let full: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
                Err(self.wrong(&full, format!("unknown field {key:?}"), allowed_here(allowed)))
            }
        }
    }

    /// Refuses fields of the function's own kind that mean nothing.
    pub(super) fn only_own(&self, fields: &[&str]) -> Result<(), FunctionError> {
        self.only(&[], &[&["apiVersion", "kind", "metadata"], fields].concat())
    }

    /// A list of field specs, under its present name or the deprecated `fieldSpecs`.
    pub(super) fn field_specs(&self, field: &str) -> Result<Vec<FieldSpec>, FunctionError> {
        let old = self.config.get("fieldSpecs");
        let name = match (self.config.get(field), old) {
            (Some(_), Some(_)) => {
                let message = format!("both {field} and the deprecated fieldSpecs are given");
                return Err(self.wrong(&["fieldSpecs"], message, format!("put all of them into {field}")));
            }
            (None, Some(_)) => "fieldSpecs",
            _ => field,
        };
        let list = match self.config.get(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(_) => {
                return Err(self.wrong(&[name], format!("{name} is not a list"), "write - path: a/b, with kind"));
            }
        };
        list.iter().enumerate().map(|(index, item)| self.field_spec(name, index, item)).collect()
    }

    fn field_spec(&self, name: &str, index: usize, item: &Value) -> Result<FieldSpec, FunctionError> {
        let index = index.to_string();
        self.only(&[name, &index], &["group", "version", "kind", "path", "create"])?;
        let text = |field: &str| item.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        let path = text("path").ok_or_else(|| {
            self.wrong(&[name, &index], format!("{name}[{index}] has no path"), "write path: spec/some/field")
        })?;
        let create = match item.get("create") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(create)) => *create,
            Some(other) => {
                let message = format!("create is {other}, not a boolean");
                return Err(self.wrong(&[name, &index, "create"], message, "write create: true or false"));
            }
        };
        let own = |field: &str| text(field).map(str::to_owned);
        Ok(FieldSpec { group: own("group"), version: own("version"), kind: own("kind"), path: path.to_owned(), create })
    }
}

fn allowed_here(allowed: &[&str]) -> String {
    if allowed.is_empty() {
        "nothing is taken here".to_owned()
    } else {
        format!("allowed here: {}", allowed.join(", "))
    }
}
