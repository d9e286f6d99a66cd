//! Running a package's pipeline, in kpt's order: subpackages first, then the package itself; mutators one after the
//! other, then validators on copies. A pure function of tree and catalogue; nothing is kept when it fails.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Problem;
use super::functions::{Call, Catalog, ConfigAt, FunctionError, FunctionResult, NotFound};
use super::kptfile::{self, Function, Kptfile};
use super::resources::{Place, Resources, is_local, is_selected};
use crate::domain::id::Digest;
use crate::domain::krm::{Object, ObjectId};
use crate::domain::plan::DeclaredObject;
use crate::domain::source::FileTree;

/// Deepest nesting of subpackages.
const MAX_DEPTH: usize = 32;
/// Most functions in one pipeline.
const MAX_FUNCTIONS: usize = 100;

/// A rendered package.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The package after its pipeline; files that no function changed are the same bytes.
    pub tree: FileTree,
    /// What is to be applied, in path and index order.
    pub objects: Vec<DeclaredObject>,
    /// What the functions said.
    pub results: Vec<FunctionResult>,
    /// Digest over the tree that went in and the version of the functions.
    pub digest: Digest,
}

/// Why a package does not render.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Files are wrong; all of it at once.
    #[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Problems {
        /// What is wrong.
        problems: Vec<Problem>,
    },
    /// A function that is not built in.
    #[error("{file}:{line}: function {image} is not built in (built in: {known}) [fn.unknown]")]
    UnknownFunction {
        /// The Kptfile.
        file: String,
        /// Line of the function.
        line: usize,
        /// What it asks for.
        image: String,
        /// What there is.
        known: String,
    },
    /// A function under a tag that was never published.
    #[error(
        "{file}:{line}: {image} was never published (known tags: {known}, each with or without a patch, and latest) [fn.unknown_tag]"
    )]
    UnknownTag {
        /// The Kptfile.
        file: String,
        /// Line of the function.
        line: usize,
        /// What it asks for.
        image: String,
        /// The published families.
        known: String,
    },
    /// A function failed.
    #[error("{file}:{line}: {image}: {source}")]
    Function {
        /// The Kptfile.
        file: String,
        /// Line of the function.
        line: usize,
        /// The function.
        image: String,
        /// Why.
        source: FunctionError,
    },
}

fn problem(problem: Problem) -> RenderError {
    RenderError::Problems { problems: vec![problem] }
}

/// Renders a package.
///
/// # Errors
/// [`RenderError`]; nothing is kept then.
pub fn render(tree: &FileTree, catalog: &Catalog) -> Result<Rendered, RenderError> {
    let packages = packages(tree)?;
    let mut resources = Resources::read(tree).map_err(|problems| RenderError::Problems { problems })?;
    let mut results = Vec::new();
    for (directory, kptfile) in &packages {
        run_pipeline(&mut resources, directory, kptfile, catalog, &mut results)?;
    }
    let objects = applied(&resources, tree)?;
    let digest = Digest::of(format!("{} {}", tree.digest(), Catalog::VERSION).as_bytes());
    Ok(Rendered { tree: resources.written(tree), objects, results, digest })
}

/// The objects of a package that was rendered already: its pipeline is not run again.
///
/// # Errors
/// [`RenderError::Problems`].
pub fn objects(tree: &FileTree) -> Result<Vec<DeclaredObject>, RenderError> {
    packages(tree)?;
    let resources = Resources::read(tree).map_err(|problems| RenderError::Problems { problems })?;
    applied(&resources, tree)
}

fn join(directory: &str, file: &str) -> String {
    if directory.is_empty() { file.to_owned() } else { format!("{directory}/{file}") }
}

/// Every directory with a Kptfile, deepest first, then by path.
fn packages(tree: &FileTree) -> Result<Vec<(String, Kptfile)>, RenderError> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for (path, file) in tree.iter() {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if name != kptfile::FILE {
            if name.eq_ignore_ascii_case(kptfile::FILE) {
                problems.push(Problem::new("kptfile.ambiguous", path, 1, "the file must be called Kptfile"));
            }
            continue;
        }
        match Kptfile::parse(path, &file.bytes) {
            Ok(parsed) => found.push((directory.to_owned(), parsed)),
            Err(mut wrong) => problems.append(&mut wrong),
        }
    }
    let depth = |directory: &str| directory.split('/').filter(|part| !part.is_empty()).count();
    if !problems.is_empty() {
        return Err(RenderError::Problems { problems });
    }
    if !found.iter().any(|(directory, _)| directory.is_empty()) {
        let missing = Problem::new("kptfile.missing", kptfile::FILE, 1, "the package has no Kptfile");
        return Err(problem(missing.hint("a directory becomes a package with a Kptfile")));
    }
    if let Some((directory, _)) = found.iter().find(|(directory, _)| depth(directory) > MAX_DEPTH) {
        let message = format!("subpackages are nested deeper than {MAX_DEPTH}");
        return Err(problem(Problem::new("package.depth_limit", directory, 1, message)));
    }
    found.sort_by(|(a, _), (b, _)| depth(b).cmp(&depth(a)).then_with(|| a.cmp(b)));
    Ok(found)
}

fn run_pipeline(
    resources: &mut Resources,
    directory: &str,
    kptfile: &Kptfile,
    catalog: &Catalog,
    results: &mut Vec<FunctionResult>,
) -> Result<(), RenderError> {
    let file = join(directory, kptfile::FILE);
    if kptfile.mutators.len() + kptfile.validators.len() > MAX_FUNCTIONS {
        let message = format!("the pipeline has more than {MAX_FUNCTIONS} functions");
        return Err(problem(Problem::new("fn.limit", &file, 1, message).field("pipeline")));
    }
    for (index, function) in kptfile.mutators.iter().enumerate() {
        let step = Step { directory, file: &file, list: "mutators", index, function };
        results.extend(step.run(resources, catalog)?);
    }
    for (index, function) in kptfile.validators.iter().enumerate() {
        let step = Step { directory, file: &file, list: "validators", index, function };
        results.extend(step.run(&mut resources.clone(), catalog)?);
    }
    Ok(())
}

/// One function of a pipeline.
struct Step<'a> {
    directory: &'a str,
    file: &'a str,
    list: &'static str,
    index: usize,
    function: &'a Function,
}

impl Step<'_> {
    fn run(&self, resources: &mut Resources, catalog: &Catalog) -> Result<Vec<FunctionResult>, RenderError> {
        let (line, file, function) = (self.function.line, self.file.to_owned(), self.function);
        if let Some(exec) = &function.exec {
            let denied = Problem::new("fn.exec_denied", &file, line, format!("exec {exec:?} is not run"));
            return Err(problem(denied.hint("use a function that is built in")));
        }
        let image = function.image.clone();
        let (native, version) = match catalog.find(&image, function.tag.as_deref()) {
            Ok(found) => found,
            Err(NotFound::Name) => {
                return Err(RenderError::UnknownFunction { file, line, image, known: catalog.names().join(", ") });
            }
            Err(NotFound::Tag(known)) => {
                let image = function.tag.as_ref().map_or(image.clone(), |tag| format!("{image} with tag {tag}"));
                return Err(RenderError::UnknownTag { file, line, image, known });
            }
        };
        let config = self.config(resources)?;
        let places: Vec<Place> = resources
            .places(self.directory)
            .into_iter()
            .filter(|place| is_selected(&resources.value(place), &function.selectors, &function.exclude))
            .collect();
        let mut call = Call::new(resources, self.directory, places, config, version);
        native.call(&mut call).map_err(|source| RenderError::Function { file, line, image, source })?;
        Ok(call.results)
    }

    /// `configMap` as it stands, or the resource at `configPath`, as earlier functions left it; and where it is.
    fn config(&self, resources: &Resources) -> Result<(Value, ConfigAt), RenderError> {
        let Some(path) = &self.function.config_path else {
            let data: BTreeMap<&String, &String> = self.function.config_map.iter().collect();
            let value = serde_json::json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "function-input"}, "data": data
            });
            let function = ["pipeline", self.list, &self.index.to_string()].map(str::to_owned).to_vec();
            let place = Place { file: self.file.to_owned(), index: 0 };
            return Ok((value, ConfigAt { place, function: Some(function) }));
        };
        let place = Place { file: join(self.directory, path), index: 0 };
        match resources.value(&place) {
            Value::Null => {
                let line = self.function.line;
                let missing = Problem::new("fn.config_missing", self.file, line, format!("there is no {path}"));
                Err(problem(missing.field("configPath")))
            }
            value => Ok((value, ConfigAt { place, function: None })),
        }
    }
}

/// What is to be applied: everything but Kptfiles, local configuration and what `.krmignore` names.
fn applied(resources: &Resources, tree: &FileTree) -> Result<Vec<DeclaredObject>, RenderError> {
    let ignored = ignored(tree);
    let mut objects: Vec<DeclaredObject> = Vec::new();
    let mut problems = Vec::new();
    let mut seen: BTreeMap<ObjectId, String> = BTreeMap::new();
    for place in resources.places("") {
        let value = resources.value(&place);
        if is_local(&value) || ignored.iter().any(|pattern| is_ignored(&place.file, pattern)) {
            continue;
        }
        let line = resources.line(&place, &[]);
        match Object::new(value) {
            Err(wrong) => problems.push(Problem::new("k8s.identity_missing", &place.file, line, wrong.to_string())),
            Ok(object) => {
                let origin = format!("{}:{line}", place.file);
                if let Some(first) = seen.insert(object.id(), origin.clone()) {
                    let message = format!("{} is declared twice: here and at {first}", object.id());
                    problems.push(Problem::new("k8s.duplicate_object", &place.file, line, message));
                }
                objects.push(DeclaredObject { object, origin });
            }
        }
    }
    if problems.is_empty() { Ok(objects) } else { Err(RenderError::Problems { problems }) }
}

fn ignored(tree: &FileTree) -> BTreeSet<String> {
    let file = tree.get(".krmignore").map(|file| String::from_utf8_lossy(&file.bytes).into_owned()).unwrap_or_default();
    file.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

/// A plain name anywhere, a path from the root, a directory with everything below it, or `*.extension`.
fn is_ignored(path: &str, pattern: &str) -> bool {
    let pattern = pattern.trim_start_matches('/').trim_end_matches('/');
    let name = path.rsplit('/').next().unwrap_or(path);
    pattern.strip_prefix('*').is_some_and(|end| name.ends_with(end))
        || path == pattern
        || path.strip_prefix(pattern).is_some_and(|rest| rest.starts_with('/'))
        || (!pattern.contains('/') && path.split('/').any(|part| part == pattern))
}
