//! Making a deployment's package from a blueprint: a clone with its upstream recorded and its pipeline configured.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::kptfile::{FILE, Function, Kptfile, Upstream};
use super::render::RenderError;
use super::{Problem, functions};
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
    put(&mut tree, FILE, &yaml, file);
    Ok(tree)
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

fn put(tree: &mut FileTree, path: &str, yaml: &YamlFile, old: &File) {
    // The path was in the tree, so it is a valid one.
    let _ = tree.insert(path, File { mode: old.mode, bytes: yaml.text().as_bytes().into() });
}

fn write_identity(yaml: &mut YamlFile, derivation: &Derivation) -> Result<(), EditError> {
    let upstream = &derivation.upstream;
    yaml.set(0, &["metadata", "name"], &json!(derivation.name))?;
    let git = json!({"repo": upstream.repo, "directory": upstream.directory, "ref": upstream.reference});
    yaml.set(0, &["upstream"], &json!({"type": "git", "git": git, "updateStrategy": "resource-merge"}))?;
    let mut locked = git;
    locked["commit"] = json!(upstream.commit);
    yaml.set(0, &["upstreamLock"], &json!({"type": "git", "git": locked}))?;
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
    let mut yaml = read(path, &file.bytes)?;
    for (key, value) in values {
        edit(path, yaml.set(0, &["data", key], &json!(value)))?;
    }
    put(tree, path, &yaml, &file);
    Ok(())
}

fn append(yaml: &mut YamlFile, name: &str, values: &BTreeMap<String, String>) -> Result<(), RenderError> {
    let whole = yaml.value(0).unwrap_or(Value::Null);
    let mut mutators = whole.pointer("/pipeline/mutators").and_then(Value::as_array).cloned().unwrap_or_default();
    mutators.push(json!({"image": format!("ghcr.io/kptdev/krm-functions-catalog/{name}:latest"), "configMap": values}));
    edit(FILE, yaml.set(0, &["pipeline", "mutators"], &Value::Array(mutators)))?;
    Ok(())
}
