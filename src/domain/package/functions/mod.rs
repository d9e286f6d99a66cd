//! The functions that are built in, one file each, under the names of the kpt catalogue.

mod apply_setters;
mod set_annotations;
mod set_image;
mod set_labels;
mod set_namespace;

use std::collections::BTreeMap;

use serde_json::Value;

use super::resources::{Place, Resources};
use crate::domain::krm::document::EditError;

/// A built-in function.
pub(super) type Native = fn(&mut Call<'_>) -> Result<(), FunctionError>;

/// What a function works on.
pub(super) struct Call<'a> {
    /// The package.
    pub(super) resources: &'a mut Resources,
    /// The resources it was given, in path and index order.
    pub(super) places: Vec<Place>,
    /// Its `functionConfig`.
    pub(super) config: Value,
    /// What it has to say.
    pub(super) results: Vec<FunctionResult>,
}

/// One remark of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionResult {
    /// The remark.
    pub message: String,
    /// `info`, `warning` or `error`.
    pub severity: &'static str,
    /// `file:line`, when it is about one.
    pub origin: Option<String>,
}

/// Why a function failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// Its configuration is wrong.
    #[error("its configuration is wrong: {0} [fn.config]")]
    Config(String),
    /// Setters that resources refer to have no value.
    #[error("values for setters {} must be provided (first used at {origin}) [fn.setter_missing]", names.join(", "))]
    SettersMissing {
        /// Which setters.
        names: Vec<String>,
        /// `file:line` of the first use.
        origin: String,
    },
    /// A value that a setter gave is not what its place needs.
    #[error("{origin}: {message} [fn.setter_value]")]
    SetterValue {
        /// `file:line`.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// A file could not be edited without changing something else.
    #[error("{file}: {source} [fn.edit]")]
    Edit {
        /// Which file.
        file: String,
        /// Why.
        source: EditError,
    },
}

/// The functions that packages may call.
#[derive(Debug, Clone, Default)]
pub struct Catalog;

/// Prefixes under which the catalogue is published.
const PREFIXES: [&str; 2] = ["ghcr.io/kptdev/krm-functions-catalog/", "gcr.io/kpt-fn/"];

const NATIVE: &[(&str, Native)] = &[
    ("apply-setters", apply_setters::run),
    ("set-annotations", set_annotations::run),
    ("set-image", set_image::run),
    ("set-labels", set_labels::run),
    ("set-namespace", set_namespace::run),
];

impl Catalog {
    /// Version of the built-in functions; part of every render's digest.
    pub const VERSION: &'static str = "1";

    /// Names of the functions.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        NATIVE.iter().map(|(name, _)| *name).collect()
    }

    /// Finds a function by image: short or with the catalogue's prefix, with any tag or digest.
    pub(super) fn find(image: &str) -> Option<Native> {
        let name = short_name(image);
        NATIVE.iter().find(|(known, _)| *known == name).map(|(_, native)| *native)
    }
}

/// The catalogue name of an image: `ghcr.io/kptdev/krm-functions-catalog/set-labels:v0.2.0` is `set-labels`.
#[must_use]
pub fn short_name(image: &str) -> &str {
    let bare = PREFIXES.iter().find_map(|prefix| image.strip_prefix(prefix)).unwrap_or(image);
    let bare = bare.split('@').next().unwrap_or(bare);
    match bare.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => bare,
    }
}

impl Call<'_> {
    /// `data` of a `ConfigMap` that configures the function, or of its own kind the map called `field`.
    fn data(&self, field: &str) -> Result<BTreeMap<String, String>, FunctionError> {
        let kind = self.config.get("kind").and_then(Value::as_str).unwrap_or_default();
        let map = if kind == "ConfigMap" { self.config.get("data") } else { self.config.get(field) };
        let Some(map) = map.and_then(Value::as_object) else {
            return Ok(BTreeMap::new());
        };
        map.iter()
            .map(|(key, value)| match value {
                Value::String(text) => Ok((key.clone(), text.clone())),
                other => Err(FunctionError::Config(format!("{key} is {other}, not text"))),
            })
            .collect()
    }

    fn set(&mut self, place: &Place, path: &[&str], value: &Value) -> Result<bool, FunctionError> {
        let file = place.file.clone();
        self.resources.set(place, path, value).map_err(|source| FunctionError::Edit { file, source })
    }

    fn info(&mut self, message: String) {
        self.results.push(FunctionResult { message, severity: "info", origin: None });
    }
}

/// Paths of pod templates in the kinds that have one; empty for a Pod itself.
fn pod_template(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "Pod" => Some(&[]),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" | "ReplicationController" => {
            Some(&["spec", "template"])
        }
        "CronJob" => Some(&["spec", "jobTemplate", "spec", "template"]),
        "PodTemplate" => Some(&["template"]),
        _ => None,
    }
}

fn kind_of(value: &Value) -> &str {
    value.get("kind").and_then(Value::as_str).unwrap_or_default()
}

fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        other => other.get(*part),
    })
}
