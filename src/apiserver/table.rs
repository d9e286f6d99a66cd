//! `meta.k8s.io/v1` Table: what `kubectl get` asks for instead of the objects.
//!
//! Built-in kinds have the columns of Kubernetes v1.36; custom kinds those of `additionalPrinterColumns`, or name and
//! age. Everything here is a function of the objects and of `now`.

mod age;
mod builtin;
mod custom;
mod event;
mod network;
mod pod;
mod read;
mod workload;

use std::borrow::Borrow;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::age::human;
use super::kinds;

/// How much of each object goes with its row: the query parameter `includeObject`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Include {
    /// `None`: only the cells.
    Nothing,
    /// `Metadata`, the default: a `PartialObjectMetadata`.
    #[default]
    Metadata,
    /// `Object`: the whole object.
    Object,
}

impl Include {
    /// Reads the parameter; absent or empty means [`Include::Metadata`], an unknown word is `None`.
    #[must_use]
    pub fn parse(parameter: Option<&str>) -> Option<Self> {
        match parameter {
            Some("None") => Some(Self::Nothing),
            None | Some("" | "Metadata") => Some(Self::Metadata),
            Some("Object") => Some(Self::Object),
            Some(_) => None,
        }
    }
}

/// Whether the column definitions are sent: once for a list, with the first event of a watch only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// With definitions.
    Shown,
    /// `columnDefinitions` is null.
    Omitted,
}

/// The columns of one kind.
#[derive(Debug, Clone)]
pub struct Columns(Source);

#[derive(Debug, Clone)]
enum Source {
    Builtin { columns: &'static [builtin::Builtin], is_pod: bool },
    Custom(Vec<custom::Column>),
}

impl Columns {
    /// The columns of a kind. A column of a custom kind whose path cannot be read has empty cells.
    #[must_use]
    pub fn of(kind: &kinds::Kind) -> Self {
        let is_pod = kind.gvk.group.is_empty() && kind.gvk.kind == "Pod";
        if kind.is_custom() {
            return Self(Source::Custom(custom::columns(&kind.columns)));
        }
        Self(Source::Builtin { columns: builtin::columns(&kind.gvk), is_pod })
    }

    /// The columns of a scale.
    #[must_use]
    pub const fn of_scale() -> Self {
        Self(Source::Builtin { columns: builtin::SCALE, is_pod: false })
    }

    fn definitions(&self) -> Vec<Value> {
        match &self.0 {
            Source::Builtin { columns, .. } => {
                columns.iter().map(|c| definition(c.0, c.1, "", c.0, i64::from(c.2))).collect()
            }
            Source::Custom(columns) => columns.iter().map(custom::Column::definition).collect(),
        }
    }

    fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        match &self.0 {
            Source::Builtin { columns, .. } => columns.iter().map(|column| column.3.cell(object, now)).collect(),
            Source::Custom(columns) => columns.iter().map(|column| column.cell(object, now)).collect(),
        }
    }

    fn row(&self, object: &Value, include: Include, now: Timestamp) -> Value {
        let mut row = json!({"cells": self.cells(object, now)});
        if let Some(included) = included(object, include) {
            row["object"] = included;
        }
        if let Source::Builtin { is_pod: true, .. } = self.0
            && let Some(condition) = pod::row_condition(object)
        {
            row["conditions"] = json!([condition]);
        }
        row
    }
}

/// One column definition; the column `Name` has the format `name`.
fn definition(name: &str, kind: &str, format: &str, description: &str, priority: i64) -> Value {
    let format = if name == "Name" && format.is_empty() { "name" } else { format };
    json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority})
}

fn included(object: &Value, include: Include) -> Option<Value> {
    match include {
        Include::Nothing => None,
        Include::Object => Some(object.clone()),
        Include::Metadata => Some(partial(object)),
    }
}

/// `meta.k8s.io/v1` `PartialObjectMetadata` of an object; also what a client that asks `as=PartialObjectMetadata` gets.
#[must_use]
pub fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.get("metadata")})
}

/// A table of objects.
///
/// `metadata` is the list's metadata (`resourceVersion`, `continue`, `remainingItemCount`); for a single object or a
/// watch event it holds the object's `resourceVersion`.
#[must_use]
pub fn table<O: Borrow<Value>>(
    columns: &Columns,
    objects: impl IntoIterator<Item = O>,
    metadata: &Value,
    header: Header,
    include: Include,
    now: Timestamp,
) -> Value {
    let rows: Vec<Value> = objects.into_iter().map(|object| columns.row(object.borrow(), include, now)).collect();
    let definitions = (header == Header::Shown).then(|| columns.definitions());
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

#[cfg(test)]
mod tests;
