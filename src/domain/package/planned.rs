//! The calls of pipelines, each with what it is given and how it is configured.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Problem;
use super::absorb::check_identity;
use super::external::Program;
use super::functions::{Catalog, ConfigAt, FunctionError, Native, NotFound, Version, resolved};
use super::kptfile::{self, Function};
use super::layout::{Package, is_below};
use super::render::RenderError;
use super::resources::{Place, Resources, is_selected};
use super::versions::Versions;
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
pub(super) fn pipeline(package: &Package) -> Result<Vec<Planned>, Problem> {
    let file = join(&package.directory, kptfile::FILE);
    let (mutators, validators) = (&package.kptfile.mutators, &package.kptfile.validators);
    if mutators.len() + validators.len() > MAX_FUNCTIONS {
        let message = format!("the pipeline has more than {MAX_FUNCTIONS} functions");
        return Err(Problem::new("fn.limit", &file, 1, message).field("pipeline"));
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

/// A configuration is one resource: with an apiVersion, a kind and a name.
pub(super) fn one_resource(file: &str, count: usize, value: &Value) -> Result<(), Box<Problem>> {
    let wrong = |message: String| {
        let problem = Problem::new("fn.config", file, 1, message);
        Err(Box::new(problem.hint("a function is configured by one resource with apiVersion, kind and metadata.name")))
    };
    if count != 1 {
        return wrong(format!("the configuration {file} must be one resource, not {count}"));
    }
    check_identity(file, value).or_else(wrong)
}

/// Why an image with a digest is no built-in function, and what to do about it.
const PINNED: &str = "a digest pins the bytes of an image, and the built-in function of that name is other code";
const UNPIN: &str = "leave the digest out to run the built-in function, whose behaviour the tag chooses; or render with \
                     `loggia fn render` where docker, podman or nerdctl is, which runs exactly that image";

/// Who runs what is not built in.
const RUN: &str = "`loggia fn render` runs others in containers; other commands, controllers too, with --allow-containers or --function-runner";

impl Planned {
    /// The built-in function that is meant, when there is one.
    pub(super) fn native(&self, catalog: Catalog) -> Option<(&'static Native, Version)> {
        let function = &self.function;
        if function.exec.is_some() {
            return None;
        }
        catalog.find(&function.image, function.tag.as_deref()).ok()
    }

    /// Whether a built-in function is asked for in a range of versions in which it has none.
    pub(super) fn has_no_version(&self, catalog: Catalog) -> bool {
        let Function { exec: None, image, tag: Some(tag), .. } = &self.function else { return false };
        Versions::parse_marked(tag).is_some() && matches!(catalog.find(image, Some(tag)), Err(NotFound::Tag(_)))
    }

    /// What is to be run, by its whole name.
    pub(super) fn program(&self, prefix: &str) -> Program {
        let Function { exec, image, tag, .. } = &self.function;
        let tag = tag.as_deref().map(|tag| Catalog.tag(image, tag));
        exec.clone().map_or_else(|| Program::Image(resolved(image, tag, prefix)), Program::Exec)
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
            return one(denied.hint("programs may do anything where they run; allow it with --allow-exec, for controllers and for `diff`, too"));
        }
        let image = function.image.clone();
        if let Some(guide) = catalog.guide(&image).filter(|guide| !guide.programs.is_empty()) {
            let programs = guide.programs.join(" or ");
            let message = format!("{image} is not run here: it is no built-in function, but the work of {programs}");
            let problem = Problem::new("fn.no_runner", &file, line, message);
            return one(problem.hint(format!(
                "`loggia fn render` runs it; other commands, controllers too, with --allow-exec; with {programs} on the PATH"
            )));
        }
        match catalog.find(&image, function.tag.as_deref()) {
            Err(NotFound::Tag(known)) => {
                let image = function.tag.as_ref().map_or(image.clone(), |tag| format!("{image} with tag {tag}"));
                RenderError::UnknownTag { file, line, image, known }
            }
            Err(NotFound::Pinned) => {
                let pinned = Problem::new("fn.image_pinned", &file, line, format!("{image}: {PINNED}"));
                one(pinned.field("image").hint(UNPIN))
            }
            _ => {
                let meant = catalog.similar(&image).map(|name| format!("did you mean {name}? ")).unwrap_or_default();
                let known = format!("{meant}built in: {}; {RUN}", catalog.names().join(", "));
                RenderError::UnknownFunction { file, line, image, known }
            }
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
            return Ok((self.config_map(), ConfigAt { place, function: Some(function), line: self.function.line }));
        };
        let value = resources.config(&place);
        self.check_config(resources, &place, &value)?;
        Ok((value, ConfigAt { place, function: None, line: self.function.line }))
    }

    fn check_config(&self, resources: &Resources, place: &Place, value: &Value) -> Result<(), RenderError> {
        let path = self.function.config_path.as_deref().unwrap_or(&place.file);
        let missing = |message: String| {
            Problem::new("fn.config_missing", &self.file, self.function.line, message).field("configPath")
        };
        if value.is_null() {
            let is_directory = resources.all().iter().any(|other| is_below(&other.file, &place.file));
            let directory = || format!("{path} is a directory; name a file in it");
            return Err(one(missing(if is_directory { directory() } else { format!("there is no {path}") })));
        }
        if self.aside.is_some() {
            return Ok(());
        }
        let home = resources.home(&place.file);
        if home != self.directory {
            let problem = missing(format!("{path} is part of the subpackage {home}"));
            return Err(one(problem.hint("put the configuration into the package whose pipeline uses it")));
        }
        one_resource(&place.file, resources.count(&place.file), value).map_err(|problem| one(*problem))
    }

    fn config_map(&self) -> Value {
        let data: BTreeMap<&String, &String> = self.function.config_map.iter().collect();
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "function-input"}, "data": data})
    }

    /// The configuration as a function that is not built in gets it; when nothing is configured none, or one without
    /// data: what kpt sends depends on the command.
    pub(super) fn config_text(&self, resources: &Resources, always: bool) -> Result<Option<String>, RenderError> {
        if !always && self.config_place().is_none() && self.function.config_map.is_empty() {
            return Ok(None);
        }
        let (value, at) = self.config(resources)?;
        Ok(Some(if at.function.is_some() { to_yaml(&value) } else { resources.text(&at.place) }))
    }
}
