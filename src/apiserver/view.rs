//! Objects in the form that a client asked for: whole, metadata only, or as rows of a table.

use std::borrow::{Borrow, Cow};

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Value, json};

use crate::apiserver::kinds::Kind;
use crate::apiserver::list::Page;
use crate::apiserver::negotiate::{Form, Meta};
use crate::apiserver::request::Query;
use crate::apiserver::status::ApiError;
use crate::apiserver::table::{self, Columns, Header, Include};
use crate::domain::time::Timestamp;

/// How answers of one request look.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    form: Form,
    include: Include,
    header: Header,
}

impl View {
    /// The form that was negotiated, with the parameter `includeObject`.
    ///
    /// # Errors
    /// 400 for an unknown value of `includeObject`.
    pub(super) fn of(form: Form, query: &Query) -> Result<Self, ApiError> {
        let refuse = || ApiError::bad_request("invalid value of parameter includeObject: use None, Metadata or Object");
        let include = match form {
            Form::Table(_) => Include::parse(query.text("includeObject")).ok_or_else(refuse)?,
            Form::Objects | Form::Metadata(_) => Include::Metadata,
        };
        Ok(Self { form, include, header: Header::Shown })
    }

    /// One object.
    #[must_use]
    pub(super) fn object(self, kind: &Kind, object: &Value, now: Timestamp) -> Value {
        self.one(|| Columns::of(kind), object, now)
    }

    /// The scale of an object.
    #[must_use]
    pub(super) fn scale(self, scale: &Value, now: Timestamp) -> Value {
        self.one(Columns::of_scale, scale, now)
    }

    fn one(self, columns: impl FnOnce() -> Columns, object: &Value, now: Timestamp) -> Value {
        match self.form {
            Form::Objects => object.clone(),
            Form::Metadata(meta) => dated(meta, table::partial(object)),
            Form::Table(meta) => {
                let metadata = json!({"resourceVersion": object.pointer("/metadata/resourceVersion")});
                dated(meta, table::table(&columns(), [object], &metadata, self.header, self.include, now))
            }
        }
    }

    /// The form, when an object looks the same to everybody who asked for it: a row has an age, and the first one a
    /// header.
    #[must_use]
    pub(super) fn shared(self) -> Option<Form> {
        (!matches!(self.form, Form::Table(_))).then_some(self.form)
    }

    /// The object of a watch event. Only the first table of a watch has a header.
    pub(super) fn event(&mut self, kind: &Kind, object: &Value, now: Timestamp) -> Value {
        let shown = self.object(kind, object, now);
        self.header = Header::Omitted;
        shown
    }

    /// A bookmark.
    #[must_use]
    pub(super) fn bookmark(self, object: Value) -> Value {
        match self.form {
            Form::Objects => object,
            Form::Metadata(meta) => dated(meta, table::partial(&object)),
            Form::Table(meta) => {
                let metadata = object.get("metadata");
                let table = json!({
                    "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": null,
                    "rows": null,
                });
                dated(meta, table)
            }
        }
    }

    /// A list as JSON text.
    ///
    /// # Errors
    /// 500 when it cannot be written, which does not happen to JSON.
    pub(super) fn list(self, kind: &Kind, page: &Page, now: Timestamp) -> Result<Vec<u8>, ApiError> {
        let metadata = page.metadata(kind);
        let bytes = match self.form {
            Form::Objects => {
                let items = Items { objects: page.shown(kind).collect(), bare: !kind.is_custom() };
                serde_json::to_vec(&List {
                    kind: &kind.list_kind(),
                    api_version: &kind.gvk.api_version(),
                    metadata,
                    items,
                })
            }
            Form::Metadata(meta) => {
                let items: Vec<Value> = page.shown(kind).map(|object| table::partial(&object)).collect();
                let list = json!({
                    "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                    "items": items,
                });
                serde_json::to_vec(&dated(meta, list))
            }
            Form::Table(meta) => {
                let objects: Vec<Cow<'_, Value>> = page.shown(kind).collect();
                let objects = objects.iter().map(Borrow::<Value>::borrow);
                let table = table::table(&Columns::of(kind), objects, &metadata, self.header, self.include, now);
                serde_json::to_vec(&dated(meta, table))
            }
        };
        bytes.map_err(ApiError::internal)
    }
}

/// The same in the version of `meta.k8s.io` that was asked for: it, its items, and what its rows include of that group.
fn dated(meta: Meta, mut shown: Value) -> Value {
    const NOW: &str = "meta.k8s.io/v1";
    let date = |value: &mut Value| {
        if value.get("apiVersion").and_then(Value::as_str) == Some(NOW) {
            value["apiVersion"] = json!("meta.k8s.io/v1beta1");
        }
    };
    if meta == Meta::V1 {
        return shown;
    }
    date(&mut shown);
    shown.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().for_each(date);
    let rows = shown.get_mut("rows").and_then(Value::as_array_mut).into_iter().flatten();
    rows.filter_map(|row| row.get_mut("object")).for_each(date);
    shown
}

/// A list object, written without copying its items.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    kind: &'a str,
    api_version: &'a str,
    metadata: Value,
    items: Items<'a>,
}

struct Items<'a> {
    objects: Vec<Cow<'a, Value>>,
    /// Without `apiVersion` and `kind`, as the API server lists built-in kinds.
    bare: bool,
}

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut items = serializer.serialize_seq(Some(self.objects.len()))?;
        for object in &self.objects {
            if self.bare { items.serialize_element(&Bare(object))? } else { items.serialize_element(object)? }
        }
        items.end()
    }
}

struct Bare<'a>(&'a Value);

impl Serialize for Bare<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.0.as_object().into_iter().flatten();
        let kept = fields.filter(|(name, _)| !matches!(name.as_str(), "apiVersion" | "kind"));
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in kept {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
