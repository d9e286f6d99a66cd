//! The calls of pipelines, each with what it is given and how it is configured.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Problem;
use super::external::Program;
use super::functions::{Catalog, ConfigAt, FunctionError, Native, NotFound, Version, resolved};
use super::kptfile::{self, Function};
use super::layout::Package;
use super::render::RenderError;
use super::resources::{Place, Resources, is_selected};
use crate::domain::krm::document::to_yaml;

/// Most functions in one pipeline.
const MAX_FUNCTIONS: usize = 100;

fn one(problem: Problem) -> RenderError {
    RenderError::Problems { problems: vec![problem] }
}

fn join(directory: &str, file: &str) -> String {
    if directory.is_empty() { file.to_owned() } else { format!("{directory}/{file}") }
}

/// A call of a pipeline.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    /// Directory of the package; empty for the root.
    pub(super) directory: String,
    /// Where the function is written down, for people.
    pub(super) file: String,
    /// Whether it only judges.
    pub(super) validator: bool,
    /// Which function of its list it is.
    pub(super) index: usize,
    /// The function.
    pub(super) function: Function,
    /// A document beside the package that configures the function.
    pub(super) aside: Option<String>,
}

/// The calls of a package's own pipeline.
pub(super) fn pipeline(package: &Package) -> Result<Vec<Planned>, RenderError> {
    let file = join(&package.directory, kptfile::FILE);
    let (mutators, validators) = (&package.kptfile.mutators, &package.kptfile.validators);
    if mutators.len() + validators.len() > MAX_FUNCTIONS {
        let message = format!("the pipeline has more than {MAX_FUNCTIONS} functions");
        return Err(one(Problem::new("fn.limit", &file, 1, message).field("pipeline")));
    }
    let planned = |validator: bool| {
        let (directory, file) = (package.directory.clone(), file.clone());
        move |(index, function): (usize, &Function)| Planned {
            directory: directory.clone(),
            file: file.clone(),
            validator,
            index,
            function: function.clone(),
            aside: None,
        }
    };
    let mutators = mutators.iter().enumerate().map(planned(false));
    Ok(mutators.chain(validators.iter().enumerate().map(planned(true))).collect())
}

impl Planned {
    /// The built-in function that is meant, when there is one.
    pub(super) fn native(&self, catalog: Catalog) -> Option<(&'static Native, Version)> {
        let function = &self.function;
        if function.exec.is_some() {
            return None;
        }
        catalog.find(&function.image, function.tag.as_deref()).ok()
    }

    /// What is to be run, by its whole name.
    pub(super) fn program(&self, prefix: &str) -> Program {
        match &self.function.exec {
            Some(exec) => Program::Exec(exec.clone()),
            None => Program::Image(resolved(&self.function.image, self.function.tag.as_deref(), prefix)),
        }
    }

    /// The resources that the function is given.
    pub(super) fn places(&self, resources: &Resources) -> Vec<Place> {
        let (selectors, exclude) = (&self.function.selectors, &self.function.exclude);
        let mut places = resources.places(&self.directory);
        if !(selectors.is_empty() && exclude.is_empty()) {
            places.retain(|place| is_selected(&resources.value(place), selectors, exclude));
        }
        places
    }

    /// The function failed.
    pub(super) fn failed(&self, source: FunctionError) -> RenderError {
        let image = self.function.exec.clone().unwrap_or_else(|| self.function.image.clone());
        RenderError::Function { file: self.file.clone(), line: self.function.line, image, source }
    }

    /// Why the function is not run, where only built-in functions are.
    pub(super) fn refusal(&self, catalog: Catalog) -> RenderError {
        let (file, line, function) = (self.file.clone(), self.function.line, &self.function);
        if let Some(exec) = &function.exec {
            let denied = Problem::new("fn.exec_denied", &file, line, format!("exec {exec:?} is not run"));
            return one(denied.hint("use a function that is built in"));
        }
        let image = function.image.clone();
        match catalog.find(&image, function.tag.as_deref()) {
            Err(NotFound::Tag(known)) => {
                let image = function.tag.as_ref().map_or(image.clone(), |tag| format!("{image} with tag {tag}"));
                RenderError::UnknownTag { file, line, image, known }
            }
            _ => RenderError::UnknownFunction { file, line, image, known: catalog.names().join(", ") },
        }
    }

    /// Where the configuration stands when it is a document: at `configPath`, or beside the package.
    fn config_place(&self) -> Option<Place> {
        let in_package = self.function.config_path.as_ref().map(|path| join(&self.directory, path));
        self.aside.clone().or(in_package).map(|file| Place { file, index: 0 })
    }

    /// `configMap` as it stands, or the resource at `configPath`, as earlier functions left it; and where it is.
    pub(super) fn config(&self, resources: &Resources) -> Result<(Value, ConfigAt), RenderError> {
        let Some(place) = self.config_place() else {
            let list = if self.validator { "validators" } else { "mutators" };
            let function = ["pipeline", list, &self.index.to_string()].map(str::to_owned).to_vec();
            let place = Place { file: self.file.clone(), index: 0 };
            return Ok((self.config_map(), ConfigAt { place, function: Some(function) }));
        };
        match resources.value(&place) {
            Value::Null => {
                let path = self.function.config_path.as_deref().unwrap_or(&place.file);
                let missing =
                    Problem::new("fn.config_missing", &self.file, self.function.line, format!("there is no {path}"));
                Err(one(missing.field("configPath")))
            }
            value => Ok((value, ConfigAt { place, function: None })),
        }
    }

    fn config_map(&self) -> Value {
        let data: BTreeMap<&String, &String> = self.function.config_map.iter().collect();
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "function-input"}, "data": data})
    }

    /// The configuration as a function that is not built in gets it; none when nothing is configured.
    pub(super) fn config_text(&self, resources: &Resources) -> Result<Option<String>, RenderError> {
        if self.config_place().is_none() && self.function.config_map.is_empty() {
            return Ok(None);
        }
        let (value, at) = self.config(resources)?;
        Ok(Some(if at.function.is_some() { to_yaml(&value) } else { resources.text(&at.place) }))
    }
}
