//! The functions that are built in, one file each, under the names of the kpt catalogue.
//!
//! An image without a version (`set-image`, `set-image:latest`) behaves as the catalogue documents it. A pinned one
//! (`set-image:v0.1`) behaves as the images published under that tag, slips included; where that leaves something
//! undone a result says so.

mod annotate_apply_time_mutations;
mod apply_replacements;
mod apply_setters;
mod bounds;
mod config;
mod create_setters;
mod delete_annotations;
mod ensure_name_substring;
mod fields;
mod format;
pub(super) mod glob;
mod guide;
mod kubeconform;
mod list_setters;
mod names;
mod remove_local_config_resources;
mod rename;
mod scalar;
mod search_replace;
mod set_annotations;
mod set_image;
mod set_labels;
mod set_name_prefix;
mod set_namespace;
mod setters;
mod spots;
#[cfg(feature = "starlark")]
mod starlark;
mod upsert_resource;

use serde::Serialize;
use serde_json::Value;

use super::external::Failure;
use super::resources::{Place, Resources};
use crate::domain::krm::document::{EditError, Node, YamlFile};
use crate::domain::krm::value::at;

pub(super) use config::ConfigAt;
pub use guide::Guide;
pub(super) use names::Version;
pub use names::{PREFIX, is_pinned, resolved, short_name};

/// A built-in function: how to call it, and what it does. This is also its documentation.
#[derive(Debug)]
pub struct Native {
    /// Name in the catalogue.
    pub name: &'static str,
    /// Names that older releases were published under.
    pub aliases: &'static [&'static str],
    /// Published tag families. `v0.1` stands for itself and for every `v0.1.x`.
    pub families: &'static [&'static str],
    /// What it does, in a line.
    pub summary: &'static str,
    /// Its own kind of configuration (`fn.kpt.dev/v1alpha1`), beside a `ConfigMap`.
    pub kind: Option<&'static str>,
    /// What it takes.
    pub options: &'static [Opt],
    /// A Kptfile's pipeline, and what else an example needs.
    pub example: &'static str,
    /// Behaviour to know of, and how tags differ.
    pub notes: &'static str,
    run: fn(&mut Call<'_>) -> Result<(), FunctionError>,
}

/// One thing that a function takes.
#[derive(Debug, Serialize)]
pub struct Opt {
    /// Key in the `ConfigMap`, or field of the function's own kind.
    pub name: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// What it means.
    pub text: &'static str,
}

/// What a function works on.
pub(super) struct Call<'a> {
    /// The package.
    pub(super) resources: &'a mut Resources,
    /// The directory of the package whose pipeline runs; empty for the root.
    pub(super) directory: &'a str,
    /// The resources it was given, in path and index order.
    pub(super) places: Vec<Place>,
    /// Its `functionConfig`.
    pub(super) config: Value,
    /// Where that is written.
    pub(super) config_at: ConfigAt,
    /// The version that the package asks for.
    version: Version,
    /// What it has to say.
    pub(super) results: Vec<FunctionResult>,
    /// What it printed.
    pub(super) stderr: String,
}

/// One remark of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FunctionResult {
    /// The remark.
    pub message: String,
    /// `info`, `warning` or `error`.
    pub severity: &'static str,
    /// `file:line`, when it is about one.
    pub origin: Option<String>,
    /// Field, when it is about one, such as `spec.containers[0].image`.
    pub field: Option<String>,
    /// The resource that it is about, when it is about one.
    #[serde(skip)]
    pub subject: Option<Subject>,
    /// The remark as a function that is not built in wrote it.
    #[serde(skip)]
    pub raw: Option<Value>,
}

/// What a remark is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// `apiVersion`, `kind`, `name` and `namespace`, those that it has.
    pub reference: Value,
    /// Which document of its file it is, from 0.
    pub index: usize,
}

impl Subject {
    fn new(value: &Value, index: usize) -> Self {
        let fields = [
            ("apiVersion", text_at(value, &["apiVersion"])),
            ("kind", kind_of(value)),
            ("name", name_of(value)),
            ("namespace", namespace_of(value)),
        ];
        let given = fields.into_iter().filter(|(_, text)| !text.is_empty());
        Self { reference: given.map(|(name, text)| (name.to_owned(), Value::from(text))).collect(), index }
    }
}

impl FunctionResult {
    /// Why a function failed that said nothing of it.
    pub(super) const fn error(message: String) -> Self {
        Self { message, severity: "error", origin: None, field: None, subject: None, raw: None }
    }
}

/// Why a function failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FunctionError {
    /// Its configuration is wrong.
    #[error("{origin}: {message} ({hint}) [fn.config]")]
    Config {
        /// `file:line`.
        origin: String,
        /// What is wrong.
        message: String,
        /// What to write instead.
        hint: String,
    },
    /// Setters that resources refer to have no value.
    #[error("values for setters {} must be provided (first used at {origin}) [fn.setter_missing]", names.join(", "))]
    SettersMissing {
        /// Which setters.
        names: Vec<String>,
        /// `file:line` of the first use.
        origin: String,
    },
    /// A value is not what its place needs.
    #[error("{origin}: {message} [fn.value]")]
    Value {
        /// `file:line`.
        origin: String,
        /// What is wrong.
        message: String,
    },
    /// A file could not be edited without changing something else.
    #[error("{origin}: {source} [fn.edit]")]
    Edit {
        /// `file:line`.
        origin: String,
        /// Why.
        source: EditError,
    },
    /// The program that it runs failed.
    #[error("{origin}: {message} [fn.program]")]
    Program {
        /// `file:line`.
        origin: String,
        /// Why.
        message: String,
    },
    /// A function that is not built in failed, or was not run.
    #[error("{0}")]
    External(Failure),
}

impl FunctionError {
    /// The line and the words for an error in `file`, whose name is not said again; those that were given when it is in
    /// another place.
    #[must_use]
    pub fn within(&self, file: &str, line: usize) -> (usize, String) {
        let told = self.to_string();
        let here = told.strip_prefix(file).and_then(|rest| rest.strip_prefix(':')?.split_once(": "));
        match here.and_then(|(line, why)| Some((line.parse().ok()?, why.to_owned()))) {
            Some(own) => own,
            None => (line, told),
        }
    }
}

/// The functions that packages may call.
#[derive(Debug, Clone, Copy, Default)]
pub struct Catalog;

/// Why an image calls none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotFound {
    /// There is no such function.
    Name,
    /// A digest pins the bytes of an image, which no built-in function is.
    Pinned,
    /// The function was never published under that tag; these are its families.
    Tag(String),
}

const NATIVE: &[Native] = &[
    annotate_apply_time_mutations::NATIVE,
    apply_replacements::NATIVE,
    apply_setters::NATIVE,
    create_setters::NATIVE,
    delete_annotations::NATIVE,
    ensure_name_substring::NATIVE,
    format::NATIVE,
    kubeconform::NATIVE,
    kubeconform::KUBEVAL,
    list_setters::NATIVE,
    remove_local_config_resources::NATIVE,
    search_replace::NATIVE,
    set_annotations::NATIVE,
    set_image::NATIVE,
    set_labels::NATIVE,
    set_name_prefix::NATIVE,
    set_namespace::NATIVE,
    #[cfg(feature = "starlark")]
    starlark::NATIVE,
    upsert_resource::NATIVE,
];

impl Catalog {
    /// Version of the built-in functions; part of every render's digest.
    pub const VERSION: &'static str = "6";

    /// The functions, by name.
    #[must_use]
    pub const fn functions(&self) -> &'static [Native] {
        NATIVE
    }

    /// What there is to read about every function, by name: those that are built in, and those that programs run.
    #[must_use]
    pub fn guides(&self) -> Vec<Guide> {
        let mut guides: Vec<Guide> = NATIVE.iter().map(Native::guide).chain(guide::PROGRAMS.iter().copied()).collect();
        guides.sort_by_key(|guide| guide.name);
        guides
    }

    /// What there is to read about the function that an image or a name means.
    #[must_use]
    pub fn guide(&self, image: &str) -> Option<Guide> {
        self.named(image).map(Native::guide).or_else(|| guide::of_program(image))
    }

    /// Names of the functions.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        NATIVE.iter().map(|native| native.name).collect()
    }

    /// The function whose name was perhaps meant by one that is not built in: at most two letters are others.
    #[must_use]
    pub fn similar(&self, image: &str) -> Option<&'static str> {
        let name = short_name(image);
        let distance = |native: &&Native| strsim::damerau_levenshtein(native.name, name);
        NATIVE.iter().min_by_key(distance).filter(|native| distance(native) <= 2).map(|native| native.name)
    }

    /// The function that an image or a name means, whatever its version.
    #[must_use]
    pub fn named(&self, image: &str) -> Option<&'static Native> {
        let name = short_name(image);
        NATIVE.iter().find(|native| native.name == name || native.aliases.contains(&name))
    }

    /// Finds a function by image: short or with a prefix of the catalogue, with a published tag or none. A digest is
    /// never ignored: what it pins is other code, so nothing is found. A `tag`, which may be a range of versions, takes
    /// the place of the image's.
    pub(super) fn find(self, image: &str, tag: Option<&str>) -> Result<(&'static Native, Version), NotFound> {
        let native = self.named(image).ok_or(NotFound::Name)?;
        if names::is_pinned(image, tag) {
            return Err(NotFound::Pinned);
        }
        let version = match tag {
            Some(tag) => names::version_of_tag(tag, native.families).or_else(|| names::newest(tag, native.families)),
            None => names::version(image, native.families),
        };
        version.map(|version| (native, version)).ok_or_else(|| NotFound::Tag(native.families.join(", ")))
    }

    /// The tag that stands for a function's `tag`: of a range, the newest published family in it.
    pub(super) fn tag<'t>(self, image: &str, tag: &'t str) -> &'t str {
        self.named(image).map_or(tag, |native| names::chosen(tag, native.families))
    }
}

impl Native {
    /// Runs the function.
    pub(super) fn call(&self, call: &mut Call<'_>) -> Result<(), FunctionError> {
        (self.run)(call)
    }
}

impl<'a> Call<'a> {
    /// A call that has done nothing yet.
    pub(super) fn new(
        resources: &'a mut Resources,
        directory: &'a str,
        places: Vec<Place>,
        (config, config_at): (Value, ConfigAt),
        version: Version,
    ) -> Self {
        Self { resources, directory, places, config, config_at, version, results: Vec::new(), stderr: String::new() }
    }

    /// Places with their values; the Kptfile is a resource among others, as kpt gives it to functions.
    fn everything(&self) -> Vec<(Place, Value)> {
        self.places.iter().map(|place| (place.clone(), self.resources.value(place))).collect()
    }

    /// Places with their values, without the Kptfile.
    fn values(&self) -> Vec<(Place, Value)> {
        self.everything().into_iter().filter(|(_, value)| !is_kptfile(value)).collect()
    }

    /// Edits the file of a resource; `path` is what an error is about.
    fn edit(
        &mut self,
        place: &Place,
        path: &[&str],
        edit: impl FnOnce(&mut YamlFile, usize) -> Result<bool, EditError>,
    ) -> Result<bool, FunctionError> {
        let origin = self.origin(place, path);
        self.resources.edit(place, edit).map_err(|source| FunctionError::Edit { origin, source })
    }

    fn set(&mut self, place: &Place, path: &[&str], value: &Value) -> Result<bool, FunctionError> {
        self.edit(place, path, |file, index| file.set(index, path, value))
    }

    fn remove(&mut self, place: &Place, path: &[&str]) -> Result<bool, FunctionError> {
        self.edit(place, path, |file, index| file.remove(index, path))
    }

    fn set_comment(&mut self, place: &Place, path: &[&str], comment: &str) -> Result<bool, FunctionError> {
        self.edit(place, path, |file, index| file.set_comment(index, path, comment))
    }

    /// Sets a list with its comment; see [`YamlFile::set_list`].
    fn set_list(
        &mut self,
        place: &Place,
        path: &[&str],
        items: &[Value],
        comment: &str,
    ) -> Result<bool, FunctionError> {
        self.edit(place, path, |file, index| file.set_list(index, path, items, comment))
    }

    /// Spells what was set as it was given, as far as it can stand so: what it means is there in either case.
    fn spell_like(&mut self, place: &Place, path: &[&str], given: &Node) {
        let _ = self.resources.edit(place, |file, index| file.spell_like(index, path, given));
    }

    /// `file:line` of a path in a resource.
    fn origin(&self, place: &Place, path: &[&str]) -> String {
        format!("{}:{}", place.file, self.resources.line_of(place, path))
    }

    fn say(
        &mut self,
        severity: &'static str,
        message: impl Into<String>,
        origin: Option<String>,
        field: Option<String>,
    ) {
        let subject = origin.as_deref().and_then(|origin| self.subject(origin));
        self.results.push(FunctionResult { message: message.into(), severity, origin, field, subject, raw: None });
    }

    /// The resource at `file:line`, as it is at the moment.
    fn subject(&self, origin: &str) -> Option<Subject> {
        let (file, line) = origin.rsplit_once(':')?;
        let place = self.resources.at_line(file, line.parse().ok()?)?;
        Some(Subject::new(&self.resources.value(&place), place.index))
    }

    fn info(&mut self, message: impl Into<String>) {
        self.say("info", message, None, None);
    }

    fn warn(&mut self, message: impl Into<String>, origin: Option<String>) {
        self.say("warning", message, origin, None);
    }

    /// A remark about a field.
    fn remark(&mut self, place: &Place, path: &[&str], message: impl Into<String>) {
        let field = shown(&self.resources.value(place), path);
        let origin = self.origin(place, path);
        self.say("info", message, Some(origin), Some(field));
    }
}

/// A path as people write it: `spec.containers[0].image`.
fn shown(value: &Value, path: &[&str]) -> String {
    let mut text = String::new();
    let mut here = Some(value);
    for part in path {
        if here.is_some_and(Value::is_array) {
            text.push_str(&format!("[{part}]"));
        } else {
            text.push_str(if text.is_empty() { "" } else { "." });
            text.push_str(part);
        }
        here = here.and_then(|value| at(value, &[part]));
    }
    text
}

fn refs(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

fn text_at<'v>(value: &'v Value, path: &[&str]) -> &'v str {
    at(value, path).and_then(Value::as_str).unwrap_or_default()
}

fn kind_of(value: &Value) -> &str {
    text_at(value, &["kind"])
}

/// The API group; empty for the core group.
fn group_of(value: &Value) -> &str {
    text_at(value, &["apiVersion"]).split_once('/').map_or("", |(group, _)| group)
}

fn version_of(value: &Value) -> &str {
    let version = text_at(value, &["apiVersion"]);
    version.split_once('/').map_or(version, |(_, version)| version)
}

fn name_of(value: &Value) -> &str {
    text_at(value, &["metadata", "name"])
}

fn namespace_of(value: &Value) -> &str {
    text_at(value, &["metadata", "namespace"])
}

fn is_kptfile(value: &Value) -> bool {
    kind_of(value) == "Kptfile" && group_of(value) == "kpt.dev"
}

/// Where the pod template of a built-in kind stands; empty for a Pod, which is one itself.
fn pod_template(value: &Value) -> Option<&'static [&'static str]> {
    match (group_of(value), kind_of(value)) {
        ("", "Pod") => Some(&[]),
        ("", "ReplicationController")
        | ("apps" | "extensions", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("batch", "Job") => Some(&["spec", "template"]),
        ("batch", "CronJob") => Some(&["spec", "jobTemplate", "spec", "template"]),
        ("", "PodTemplate") => Some(&["template"]),
        _ => None,
    }
}
