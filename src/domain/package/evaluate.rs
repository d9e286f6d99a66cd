//! One built-in function on a `ResourceList` as other programs send it: what travels with resources stays on them, so
//! that the sender finds each again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::functions::{Catalog, FunctionResult};
use super::kptfile::Function;
use super::medium::{is_resource_file, joined};
use super::render::RenderError;
use super::rendering::{Rendering, Single, Turn};
use super::report;
use super::wire::{self, Item};
use crate::domain::krm::document::{EditError, Limits, YamlFile, to_yaml};
use crate::domain::source::{File, FileTree};

/// What a function answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// The `ResourceList` (`config.kubernetes.io/v1`), with the function's results.
    pub list: String,
    /// What it printed.
    pub log: String,
}

/// Why a function gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// There is no such function, or none under that tag.
    #[error("{image} is not built in; built in are {known}")]
    NotFound {
        /// The image.
        image: String,
        /// What is built in.
        known: String,
    },
    /// What was sent is no list of resources.
    #[error("the resources cannot be read: {0} [fn.input_invalid]")]
    Unreadable(String),
    /// The function failed.
    #[error("{error}")]
    Failed {
        /// Why.
        error: Box<RenderError>,
        /// What it printed.
        log: String,
    },
    /// What it made could not be written.
    #[error("the result cannot be written: {0}")]
    Unwritable(EditError),
}

/// Runs the function that an image names on a list.
///
/// # Errors
/// [`EvaluateError`].
pub fn evaluate(image: &str, list: &[u8]) -> Result<Evaluated, EvaluateError> {
    if Catalog.find(image, None).is_err() {
        let known = Catalog.names().join(", ");
        return Err(EvaluateError::NotFound { image: image.to_owned(), known });
    }
    let config = config(list)?;
    let tree = tree(list)?;
    let function = Function { image: image.to_owned(), ..Function::default() };
    let single = Single { function, config: config.map(|text| ("functionConfig".to_owned(), text)) };
    let failed = |error: RenderError, log: String| EvaluateError::Failed { error: Box::new(error), log };
    let mut rendering = Rendering::single(&tree, single, Catalog).map_err(|error| failed(error, String::new()))?;
    let turn = rendering.step();
    let run = rendering.runs().last();
    let log = run.map(|run| run.stderr.clone()).unwrap_or_default();
    match turn {
        Err(error) => Err(failed(error, log)),
        Ok(Turn::Waits(_)) => Err(failed(rendering.refusal(), log)),
        Ok(Turn::Ran | Turn::Done) => {
            let results = run.map(|run| run.results.as_slice()).unwrap_or_default();
            Ok(Evaluated { list: written(&rendering.tree(), results)?, log })
        }
    }
}

/// The function's configuration, as YAML.
fn config(list: &[u8]) -> Result<Option<String>, EvaluateError> {
    let limits = Limits { bytes: 64 << 20, nodes: 4_000_000, ..Limits::default() };
    let read = YamlFile::parse(list, &limits).and_then(|file| file.values());
    let values = read.map_err(|error| EvaluateError::Unreadable(error.to_string()))?;
    let config = values.first().and_then(|value| value.get("functionConfig")).filter(|config| config.is_object());
    Ok(config.map(to_yaml))
}

/// The resources as files, each text as it was sent.
fn tree(list: &[u8]) -> Result<FileTree, EvaluateError> {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (number, item) in wire::read(list).map_err(EvaluateError::Unreadable)?.items.into_iter().enumerate() {
        files.entry(path(&item, number)).or_default().push(wire::closed(&item.text));
    }
    let mut tree = FileTree::new();
    for (path, texts) in files {
        let bytes = joined(&path, &texts).map_err(|error| EvaluateError::Unreadable(error.to_string()))?;
        tree.insert(path, File::regular(bytes)).map_err(|error| EvaluateError::Unreadable(error.to_string()))?;
    }
    Ok(tree)
}

/// Where a resource says that it is; one that does not is in a file of its own.
fn path(item: &Item, number: usize) -> String {
    let told = [wire::PATH, wire::LEGACY_PATH].into_iter().find_map(|name| wire::annotation(&item.value, name));
    let told = told.map(|path| path.trim_start_matches("./")).filter(|path| is_resource_file(path));
    told.map_or_else(|| format!("resource-{number:06}.yaml"), str::to_owned)
}

fn written(tree: &FileTree, results: &[FunctionResult]) -> Result<String, EvaluateError> {
    let mut items = Vec::new();
    for (path, file) in tree.iter() {
        let texts = wire::read(&file.bytes).map_err(EvaluateError::Unreadable)?.items;
        for (index, item) in texts.into_iter().enumerate() {
            items.push(placed(path, index, &item).map_err(EvaluateError::Unwritable)?);
        }
    }
    let list = wire::write(&items, None);
    if results.is_empty() {
        return Ok(list);
    }
    let results: Vec<Value> = results.iter().map(report::result).collect();
    Ok(list + &to_yaml(&json!({ "results": results })))
}

/// A resource's text; one that the function added says where it is.
fn placed(path: &str, index: usize, item: &Item) -> Result<String, EditError> {
    let is_told = [wire::PATH, wire::LEGACY_PATH].iter().any(|name| wire::annotation(&item.value, name).is_some());
    if is_told || path.starts_with("resource-") {
        return Ok(item.text.clone());
    }
    wire::annotated(&item.text, &[(wire::PATH, path.to_owned()), (wire::INDEX, index.to_string())])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "apiVersion: config.kubernetes.io/v1
kind: ResourceList
items:
- apiVersion: v1
  kind: ConfigMap # kept
  metadata:
    name: a
    annotations:
      internal.config.kubernetes.io/path: 'a.yaml'
      internal.config.kubernetes.io/kpt-resource-id: '7'
- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}
functionConfig:
  apiVersion: v1
  kind: ConfigMap
  metadata: {name: c}
  data: {namespace: core}
";

    #[test]
    fn what_travels_stays() {
        let answer = evaluate("ghcr.io/kptdev/krm-functions-catalog/set-namespace:v0.4.1", LIST.as_bytes()).unwrap();
        let list = wire::read(answer.list.as_bytes()).unwrap();
        assert_eq!(list.items.len(), 2, "{}", answer.list);
        for item in &list.items {
            assert_eq!(item.value["metadata"]["namespace"], "core");
        }
        assert_eq!(wire::annotation(&list.items[0].value, wire::ID), Some("7"));
        assert!(answer.list.contains("kind: ConfigMap # kept"), "{}", answer.list);
        assert!(!list.results.is_empty(), "{}", answer.list);
    }

    #[test]
    fn what_goes_wrong_is_told_apart() {
        assert!(matches!(evaluate("nope", LIST.as_bytes()), Err(EvaluateError::NotFound { .. })));
        assert!(matches!(evaluate("set-namespace:v9", LIST.as_bytes()), Err(EvaluateError::NotFound { .. })));
        assert!(matches!(evaluate("set-namespace", b"a: ["), Err(EvaluateError::Unreadable(_))));
        let without = LIST.replace("namespace: core", "x: y");
        assert!(matches!(evaluate("set-namespace", without.as_bytes()), Err(EvaluateError::Failed { .. })));
    }

    #[test]
    fn what_is_added_says_where_it_is() {
        let config = "functionConfig: {apiVersion: v1, kind: Service, metadata: {name: s}}\n";
        let list = format!("{}{config}", LIST.split("functionConfig").next().unwrap());
        let answer = evaluate("upsert-resource", list.as_bytes()).unwrap();
        let list = wire::read(answer.list.as_bytes()).unwrap();
        let added = list.items.iter().find(|item| item.value["kind"] == "Service").unwrap();
        assert_eq!(wire::annotation(&added.value, wire::PATH), Some("service_s.yaml"), "{}", answer.list);
    }

    #[cfg(feature = "starlark")]
    #[test]
    fn programs_print_to_the_log() {
        let config = "functionConfig: {apiVersion: v1, kind: ConfigMap, data: {source: \"print('hi')\"}}\n";
        let list = format!("{}{config}", LIST.split("functionConfig").next().unwrap());
        assert_eq!(evaluate("starlark", list.as_bytes()).unwrap().log, "hi\n");
    }
}
