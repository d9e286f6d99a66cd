//! Making a deployment's package from a blueprint: a clone with its upstream recorded and its pipeline configured.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::artifact::SCHEME;
use super::kptfile::{FILE, Function, Kptfile, Upstream};
use super::parts::rewrite;
use super::render::RenderError;
use super::{Problem, functions, medium};
use crate::domain::krm::document::{EditError, Limits, YamlFile};
use crate::domain::source::{File, FileTree};

/// What the derived package shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Derivation {
    /// Its name.
    pub name: String,
    /// Where it is made from.
    pub upstream: Upstream,
    /// Values of setters. Those that the blueprint does not use are left out.
    pub params: BTreeMap<String, String>,
    /// Namespace of every resource.
    pub namespace: String,
    /// Labels of every resource.
    pub labels: BTreeMap<String, String>,
}

/// Clones a blueprint and configures its pipeline: `apply-setters`, `set-namespace` and `set-labels` get the values of
/// the derivation and are added, in this order, where the blueprint has none.
///
/// # Errors
/// [`RenderError`] naming the file.
pub fn derive(blueprint: &FileTree, derivation: &Derivation) -> Result<FileTree, RenderError> {
    let file = blueprint.get(FILE).ok_or_else(missing)?;
    let kptfile = Kptfile::parse(FILE, &file.bytes).map_err(|problems| RenderError::Problems { problems })?;
    let mut tree = blueprint.clone();
    let mut yaml = read(FILE, &file.bytes)?;
    edit(FILE, write_identity(&mut yaml, derivation))?;
    let known = setters(blueprint);
    let used = |(name, _): &(&String, &String)| known.contains(*name);
    let values = derivation.params.iter().filter(used).map(|(name, value)| (name.clone(), value.clone())).collect();
    configure(&mut yaml, &mut tree, &kptfile, "apply-setters", &values)?;
    let namespace = BTreeMap::from([("namespace".to_owned(), derivation.namespace.clone())]);
    configure(&mut yaml, &mut tree, &kptfile, "set-namespace", &namespace)?;
    configure(&mut yaml, &mut tree, &kptfile, "set-labels", &derivation.labels)?;
    rewrite(&mut tree, FILE, file, yaml.text());
    Ok(tree)
}

/// What a derived package was derived with, as its own Kptfile and setters tell: deriving with it again gives the
/// package as it was before somebody changed anything else in it. Values of setters that somebody changed are among it.
///
/// `None` for a package that was not derived.
///
/// # Errors
/// [`RenderError`] naming the file that cannot be read.
pub fn derived_with(package: &FileTree) -> Result<Option<Derivation>, RenderError> {
    let file = package.get(FILE).ok_or_else(missing)?;
    let kptfile = Kptfile::parse(FILE, &file.bytes).map_err(|problems| RenderError::Problems { problems })?;
    let Some(upstream) = kptfile.upstream.clone() else { return Ok(None) };
    let params = configured(package, &kptfile, "apply-setters")?;
    let mut namespace = configured(package, &kptfile, "set-namespace")?;
    let labels = configured(package, &kptfile, "set-labels")?;
    let namespace = namespace.remove("namespace").unwrap_or_default();
    Ok(Some(Derivation { name: kptfile.name, upstream, params, namespace, labels }))
}

/// The values that one function has.
fn configured(package: &FileTree, kptfile: &Kptfile, name: &str) -> Result<BTreeMap<String, String>, RenderError> {
    let found = kptfile.mutators.iter().find(|function| functions::short_name(&function.image) == name);
    let Some(function) = found else { return Ok(BTreeMap::new()) };
    let Some(path) = &function.config_path else { return Ok(function.config_map.clone()) };
    let Some(file) = package.get(path) else { return Ok(BTreeMap::new()) };
    let value = read(path, &file.bytes)?.value(0).unwrap_or(Value::Null);
    let data = value.get("data").and_then(Value::as_object).into_iter().flatten();
    Ok(data.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect())
}

/// Writes a derivation's name and where it comes from into the Kptfile of a package.
///
/// # Errors
/// [`RenderError`] when the Kptfile is missing or cannot be edited.
pub fn identify(package: &mut FileTree, derivation: &Derivation) -> Result<(), RenderError> {
    let file = package.get(FILE).ok_or_else(missing)?.clone();
    let mut yaml = read(FILE, &file.bytes)?;
    edit(FILE, write_identity(&mut yaml, derivation))?;
    rewrite(package, FILE, &file, yaml.text());
    Ok(())
}

fn missing() -> RenderError {
    RenderError::Problems { problems: vec![Problem::new("kptfile.missing", FILE, 1, "the blueprint has no Kptfile")] }
}

fn read(path: &str, bytes: &[u8]) -> Result<YamlFile, RenderError> {
    YamlFile::parse(bytes, &Limits::default())
        .map_err(|error| RenderError::Problems { problems: vec![Problem::unreadable(path, &error)] })
}

fn edit<T>(path: &str, result: Result<T, EditError>) -> Result<T, RenderError> {
    result
        .map_err(|error| RenderError::Problems { problems: vec![Problem::new("fn.edit", path, 1, error.to_string())] })
}

fn write_identity(yaml: &mut YamlFile, derivation: &Derivation) -> Result<(), EditError> {
    yaml.set(0, &["metadata", "name"], &json!(derivation.name))?;
    let Upstream { repo, directory, reference, commit } = &derivation.upstream;
    let (kind, place, lock) = match repo.strip_prefix(SCHEME) {
        Some(name) => ("oci", json!({"image": format!("{name}:{reference}")}), "digest"),
        None => ("git", json!({"repo": repo, "directory": directory, "ref": reference}), "commit"),
    };
    let mut locked = place.clone();
    locked[lock] = json!(commit);
    yaml.set(0, &["upstream"], &json!({"type": kind, kind: place, "updateStrategy": "resource-merge"}))?;
    yaml.set(0, &["upstreamLock"], &json!({"type": kind, kind: locked}))?;
    Ok(())
}

/// The setters that the comments of a package name.
#[must_use]
pub fn setters(package: &FileTree) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, file) in package.iter() {
        let text = String::from_utf8_lossy(&file.bytes);
        let patterns = text.lines().filter_map(|line| line.split_once("kpt-set:")).map(|(_, pattern)| pattern);
        found.extend(patterns.flat_map(names));
    }
    found
}

/// The names in a setter's pattern: `registry/${image}:${tag}` has two.
fn names(pattern: &str) -> impl Iterator<Item = String> {
    pattern.split("${").skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name.to_owned())
}

/// Gives one function its values: in the file of its `configPath`, in its `configMap`, or as a new function.
fn configure(
    yaml: &mut YamlFile,
    tree: &mut FileTree,
    kptfile: &Kptfile,
    name: &str,
    values: &BTreeMap<String, String>,
) -> Result<(), RenderError> {
    if values.is_empty() {
        return Ok(());
    }
    let found = kptfile.mutators.iter().position(|function| functions::short_name(&function.image) == name);
    match found.map(|index| (index, &kptfile.mutators[index])) {
        Some((_, Function { config_path: Some(path), .. })) => configure_file(tree, path, values),
        Some((index, _)) => {
            let index = index.to_string();
            for (key, value) in values {
                let place = ["pipeline", "mutators", &index, "configMap", key];
                edit(FILE, yaml.set(0, &place, &json!(value)))?;
            }
            Ok(())
        }
        None => append(yaml, name, values),
    }
}

fn configure_file(tree: &mut FileTree, path: &str, values: &BTreeMap<String, String>) -> Result<(), RenderError> {
    let absent = || {
        let problem = Problem::new("fn.config_missing", FILE, 1, format!("there is no {path}")).field("configPath");
        RenderError::Problems { problems: vec![problem] }
    };
    let file = tree.get(path).ok_or_else(absent)?.clone();
    let mut parts = medium::read(path, &file.bytes)
        .map_err(|error| RenderError::Problems { problems: vec![Problem::unreadable(path, &error)] })?;
    for (key, value) in values {
        edit(path, parts.edit(0, |yaml, index| yaml.set(index, &["data", key], &json!(value))))?;
    }
    let bytes = medium::written(path, &parts, &file.bytes);
    // The path was in the tree, so it is a valid one.
    let _ = tree.insert(path, File { mode: file.mode, bytes: bytes.into() });
    Ok(())
}

fn append(yaml: &mut YamlFile, name: &str, values: &BTreeMap<String, String>) -> Result<(), RenderError> {
    let image = format!("ghcr.io/kptdev/krm-functions-catalog/{name}:latest");
    edit(FILE, yaml.push_item(0, &["pipeline", "mutators"], &json!({"image": image, "configMap": values})))
}
