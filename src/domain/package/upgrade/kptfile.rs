//! The Kptfile in an update: what of it is merged, and what belongs to the package alone.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::fields::{ANY, Pick, Three, Walk, all_names, child};
use super::text::{Part, write};
use super::{Problem, Strategy, UpgradeError};
use crate::domain::krm::document::{EditError, Limits, YamlFile, to_yaml};
use crate::domain::krm::schema::{Node, Schemas};
use crate::domain::krm::value::same;
use crate::domain::package::artifact::SCHEME;
use crate::domain::package::kptfile::{FILE, misplaced};
use crate::domain::package::parts::{rewrite, rewritten};
use crate::domain::package::reference::{Location, ReferenceError};
use crate::domain::source::{File, FileTree};

/// Which package a Kptfile belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Package {
    /// The one that is updated: it knows best where it comes from.
    Root,
    /// A subpackage: where it comes from follows the new version.
    Sub,
}

/// Where a package says it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// URL or path of the repository; `oci://HOST/REPOSITORY` for one in a registry.
    pub repo: String,
    /// Directory in it, without slashes around; empty for the root.
    pub directory: String,
    /// Branch, tag, commit, digest or range that is followed.
    pub reference: String,
    /// How it is updated.
    pub strategy: Strategy,
    /// What it was made from; `None` when it was never fetched.
    pub lock: Option<Lock>,
}

/// The precise version that a package was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// URL or path of the repository; `oci://HOST/REPOSITORY` for one in a registry.
    pub repo: String,
    /// Directory in it, without slashes around.
    pub directory: String,
    /// Branch, tag, commit or digest that was asked for, or that a range led to.
    pub reference: String,
    /// The commit it led to, or the digest of its manifest.
    pub revision: String,
}

/// Where a package says it comes from; `None` when it comes from no git repository and no registry.
///
/// # Errors
/// The [`Problem`] when the Kptfile is missing or cannot be read.
pub fn source(tree: &FileTree) -> Result<Option<Source>, Problem> {
    let missing = || {
        Problem::new("kptfile.missing", FILE, 1, "there is no Kptfile")
            .hint("a package has one; `loggia pkg init` makes one")
    };
    let yaml = yaml_of(FILE, tree.get(FILE).ok_or_else(missing)?)?;
    let value = yaml.value(0).map_err(|error| Problem::unreadable(FILE, &error))?;
    if let Some(root) = yaml.documents().first()
        && let Some(problem) = misplaced(FILE, root, &value).into_iter().next()
    {
        return Err(problem);
    }
    let Some(upstream) = Place::read(&value, "upstream")? else { return Ok(None) };
    let lock = Place::read(&value, "upstreamLock")?.filter(|place| !place.revision.is_empty());
    let lock = lock.map(|Place { repo, directory, reference, revision }| Lock { repo, directory, reference, revision });
    let Place { repo, directory, reference, .. } = upstream;
    let strategy = value.pointer("/upstream/updateStrategy").and_then(Value::as_str).unwrap_or_default();
    Ok(Some(Source { repo, directory, reference, strategy: Strategy::of(strategy), lock }))
}

/// What `upstream` and `upstreamLock` have in common.
struct Place {
    repo: String,
    directory: String,
    reference: String,
    /// Empty in `upstream`.
    revision: String,
}

impl Place {
    fn read(value: &Value, part: &str) -> Result<Option<Self>, Problem> {
        let text = |pointer: &str| {
            value.pointer(&format!("/{part}/{pointer}")).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let directory = |kind: &str| text(&format!("{kind}/directory")).trim_matches('/').to_owned();
        if !text("git/repo").is_empty() {
            let (repo, reference, revision) = (text("git/repo"), text("git/ref"), text("git/commit"));
            return Ok(Some(Self { repo, directory: directory("git"), reference, revision }));
        }
        let image = text("oci/image");
        if image.is_empty() {
            return Ok(None);
        }
        let wrong = |error: ReferenceError| {
            Problem::new("oci.reference", FILE, 1, error.to_string()).field(format!("{part}.oci.image"))
        };
        let found = Location::parse(&format!("{SCHEME}{image}"), |_| false).map_err(wrong)?;
        let reference = found.reference.unwrap_or_default();
        Ok(Some(Self { repo: found.repo, directory: directory("oci"), reference, revision: text("oci/digest") }))
    }
}

/// Writes where a package comes from into its Kptfile, which is made when there is none.
///
/// `name`, when given, becomes its name. What comes from a registry is written as `type: oci` with the image's name,
/// and in the lock its digest beside it; git as kpt writes it.
///
/// # Errors
/// The [`Problem`] when the Kptfile cannot be read or edited.
pub fn record(tree: &mut FileTree, source: &Source, name: Option<&str>) -> Result<(), Problem> {
    let fresh = || File::regular(b"apiVersion: kpt.dev/v1\nkind: Kptfile\n".to_vec());
    let old = tree.get(FILE).cloned().unwrap_or_else(fresh);
    let mut yaml = yaml_of(FILE, &old)?;
    if let Some(name) = name {
        set_field(&mut yaml, &["metadata", "name"], &json!(name))?;
    }
    let kind = set_place(&mut yaml, "upstream", &source.repo, &source.directory, &source.reference)?;
    set_field(&mut yaml, &["upstream", "updateStrategy"], &json!(source.strategy.name()))?;
    if let Some(lock) = &source.lock {
        set_place(&mut yaml, "upstreamLock", &lock.repo, &lock.directory, &lock.reference)?;
        let field = if kind == "oci" { "digest" } else { "commit" };
        set_field(&mut yaml, &["upstreamLock", kind, field], &json!(lock.revision))?;
    }
    rewrite(tree, FILE, &old, yaml.text());
    Ok(())
}

/// Gives the kind of place.
fn set_place(
    yaml: &mut YamlFile,
    part: &str,
    repo: &str,
    directory: &str,
    reference: &str,
) -> Result<&'static str, Problem> {
    let (kind, other, fields) = match repo.strip_prefix(SCHEME) {
        None => (
            "git",
            "oci",
            vec![("repo", repo.to_owned()), ("directory", format!("/{directory}")), ("ref", reference.to_owned())],
        ),
        Some(name) => {
            let sign = if reference.starts_with("sha256:") { '@' } else { ':' };
            let mut fields = vec![("image", format!("{name}{sign}{reference}"))];
            fields.extend((!directory.is_empty()).then(|| ("directory", format!("/{directory}"))));
            ("oci", "git", fields)
        }
    };
    set_field(yaml, &[part, "type"], &json!(kind))?;
    yaml.remove(0, &[part, other]).map_err(|error| edit_failed(&error))?;
    fields.into_iter().try_for_each(|(field, value)| set_field(yaml, &[part, kind, field], &json!(value)))?;
    Ok(kind)
}

fn set_field(yaml: &mut YamlFile, path: &[&str], value: &Value) -> Result<(), Problem> {
    yaml.set(0, path, value).map(drop).map_err(|error| edit_failed(&error).field(path.join(".")))
}

fn edit_failed(error: &EditError) -> Problem {
    Problem::new("kptfile.edit", FILE, 1, error.to_string())
}

fn yaml_of(path: &str, file: &File) -> Result<YamlFile, Problem> {
    YamlFile::parse(&file.bytes, &Limits::default()).map_err(|error| Problem::unreadable(path, &error))
}

pub(super) fn value_of(path: &str, file: &File) -> Result<Value, Problem> {
    yaml_of(path, file)?.value(0).map_err(|error| Problem::unreadable(path, &error))
}

/// Lists of functions are keyed by name.
fn schemas() -> Schemas {
    let functions = json!({
        "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "properties": {"name": {"type": "string"}}, "x-kubernetes-preserve-unknown-fields": true}
    });
    let pipeline = json!({"type": "object", "properties": {"mutators": functions, "validators": functions}});
    let crd = json!({
        "metadata": {"name": "kptfiles.kpt.dev"},
        "spec": {"group": "kpt.dev", "names": {"kind": "Kptfile"}, "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"pipeline": pipeline}
        }}}]}
    });
    let mut schemas = Schemas::builtin();
    // A constant that a test reads; without it lists of functions are replaced.
    let _ = schemas.add_crd(&crd);
    schemas
}

/// Decides about a Kptfile. Name, namespace and status stay local; so does where the root comes from. Functions are
/// matched by name, or by image when none has a name and no image is there twice.
pub(super) fn decide(walk: &mut Walk, three: Three<'_>, package: Package) -> Pick {
    let named = [three.origin, three.updated, three.local].map(|value| value.cloned().unwrap_or_else(|| json!({})));
    let [origin, updated, local] = if named.iter().all(can_be_named) { named.map(with_names) } else { named };
    let three = Three { origin: three.origin.map(|_| &origin), updated: Some(&updated), local: Some(&local) };
    let schemas = schemas();
    let gvk = crate::domain::krm::Gvk::new("kpt.dev", "v1", "Kptfile");
    let node = schemas.lookup(&gvk).0.node();
    let fields = all_names(three);
    let picks = fields.into_iter().map(|field| (field.to_owned(), root_field(walk, three, node, field, package)));
    Pick::Map(picks.collect())
}

fn root_field(walk: &mut Walk, three: Three<'_>, node: Node<'_>, field: &str, package: Package) -> Pick {
    let below = three.field(field);
    match (field, package) {
        ("apiVersion" | "kind" | "status", _) | ("upstream" | "upstreamLock", Package::Root) => Pick::Local,
        ("upstream" | "upstreamLock", Package::Sub) => {
            if below.updated.is_some() {
                Pick::Updated
            } else {
                Pick::Local
            }
        }
        ("metadata", _) => walk.field(field, |walk| {
            let keys = all_names(below);
            let mut of = |key: &str| match key {
                "name" | "namespace" => Pick::Local,
                _ => walk.field(key, |walk| walk.decide(below.field(key), node.at(&ANY))),
            };
            Pick::Map(keys.into_iter().map(|key| (key.to_owned(), of(key))).collect())
        }),
        _ => walk.field(field, |walk| walk.decide(below, child(node, field))),
    }
}

const LISTS: [&str; 2] = ["mutators", "validators"];

fn functions<'v>(kptfile: &'v Value, list: &str) -> &'v [Value] {
    let found = kptfile.get("pipeline").and_then(|pipeline| pipeline.get(list)).and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

/// What a function is called when it has no name: its program, or its image without tag and digest.
fn made_name(function: &Value) -> String {
    let text = |field: &str| function.get(field).and_then(Value::as_str).unwrap_or_default();
    match text("exec") {
        "" => text("image").split([':', '@']).next().unwrap_or_default().to_owned(),
        exec => exec.to_owned(),
    }
}

fn can_be_named(kptfile: &Value) -> bool {
    LISTS.iter().all(|list| {
        let mut seen = BTreeSet::new();
        functions(kptfile, list)
            .iter()
            .all(|function| function.get("name").is_none() && seen.insert(made_name(function)))
    })
}

fn with_names(mut kptfile: Value) -> Value {
    for list in LISTS {
        let found = kptfile.pointer_mut(&format!("/pipeline/{list}")).and_then(Value::as_array_mut);
        for function in found.into_iter().flatten() {
            let name = format!("_kpt-merge_{}", made_name(function));
            if let Some(fields) = function.as_object_mut() {
                fields.insert("name".to_owned(), json!(name));
            }
        }
    }
    kptfile
}

/// A Kptfile without what does not count as a change: where it comes from, its name, what rendering said.
pub(super) fn without_own(mut kptfile: Value) -> Value {
    clear_render_status(&mut kptfile);
    let Some(fields) = kptfile.as_object_mut() else { return kptfile };
    fields.remove("upstream");
    fields.remove("upstreamLock");
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("name");
        if metadata.is_empty() {
            fields.remove("metadata");
        }
    }
    kptfile
}

fn clear_render_status(kptfile: &mut Value) {
    let Some(status) = kptfile.get_mut("status").and_then(Value::as_object_mut) else { return };
    status.remove("renderStatus");
    if let Some(Value::Array(conditions)) = status.get_mut("conditions") {
        conditions.retain(|condition| condition.get("type") != Some(&json!("Rendered")));
        if conditions.is_empty() {
            status.remove("conditions");
        }
    }
    if status.is_empty()
        && let Some(fields) = kptfile.as_object_mut()
    {
        fields.remove("status");
    }
}

/// Where a Kptfile gets its own fields from another: [`Pick::Updated`] means the other here.
fn own_fields(new: &Value, own: &Value) -> Pick {
    let names = |pointer: &str| -> BTreeSet<String> {
        let maps = [new, own].into_iter().filter_map(|value| value.pointer(pointer)?.as_object());
        maps.flat_map(|map| map.keys().cloned()).collect()
    };
    let metadata = names("/metadata").into_iter().map(|key| {
        let pick = if matches!(key.as_str(), "name" | "namespace") { Pick::Updated } else { Pick::Local };
        (key, pick)
    });
    let metadata = Pick::Map(metadata.collect());
    let fields = names("").into_iter().map(|key| {
        let pick = match key.as_str() {
            "upstream" | "upstreamLock" => Pick::Updated,
            "metadata" => metadata.clone(),
            _ => Pick::Local,
        };
        (key, pick)
    });
    Pick::Map(fields.collect())
}

/// The new Kptfile under the local name: what a replaced package gets.
pub(super) fn with_own(updated: &File, local: &File) -> Result<File, Problem> {
    let (new_path, own_path) = (format!("updated/{FILE}"), format!("local/{FILE}"));
    let (new, own) = (yaml_of(&new_path, updated)?, yaml_of(&own_path, local)?);
    let value = |path: &str, yaml: &YamlFile| yaml.value(0).map_err(|error| Problem::unreadable(path, &error));
    let (new_value, own_value) = (value(&new_path, &new)?, value(&own_path, &own)?);
    let unusual = || Problem::new("kptfile.edit", &own_path, 1, "the Kptfile is not a map with a line for each field");
    // The new file is the one whose layout is kept; what it gets comes from the local one.
    let (layout, given) =
        (Part::root(&new, &new_value).ok_or_else(unusual)?, Part::root(&own, &own_value).ok_or_else(unusual)?);
    let text = write(None, given, layout, &own_fields(&new_value, &own_value)).ok_or_else(unusual)?;
    let mut yaml = yaml_of(&new_path, &File::regular(text.into_bytes()))?;
    let mut old = value(&new_path, &yaml)?;
    let with_status = old.clone();
    clear_render_status(&mut old);
    if !same(&old, &with_status) {
        match old.get("status") {
            Some(status) => set_field(&mut yaml, &["status"], status)?,
            None => drop(yaml.remove(0, &["status"]).map_err(|error| edit_failed(&error))?),
        }
    }
    Ok(rewritten(updated, yaml.text()))
}

/// A Kptfile as `pkg init` writes it, in kpt's order of fields.
#[must_use]
pub fn fresh(name: &str, info: &[(&str, Value)]) -> String {
    let below = |yaml: String| yaml.lines().map(|line| format!("  {line}\n")).collect::<String>();
    let name = below(to_yaml(&json!({ "name": name })));
    let annotations = below(to_yaml(&json!({"annotations": {"config.kubernetes.io/local-config": "true"}})));
    let info: String = info.iter().map(|(field, value)| below(to_yaml(&json!({ *field: value })))).collect();
    format!("apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n{name}{annotations}info:\n{info}")
}

pub(super) fn problem(problem: Problem) -> UpgradeError {
    UpgradeError::Problems { problems: vec![problem] }
}
