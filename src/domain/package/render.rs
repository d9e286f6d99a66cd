//! Running a package's pipeline, in kpt's order: subpackages first, then the package itself; mutators one after the
//! other, then validators on copies. A pure function of tree and catalogue; nothing is kept when it fails.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Problem;
use super::external::{Answer, Failure, Request};
use super::functions::{Catalog, FunctionError, FunctionResult, PREFIX};
use super::ignore::Ignored;
use super::layout::Layout;
use super::rendering::{Rendering, Turn};
use super::resources::{Place, Resources, is_inventory, is_kustomization, is_local};
use crate::domain::id::Digest;
use crate::domain::krm::scope::Scopes;
use crate::domain::krm::value::text;
use crate::domain::krm::{Gvk, Object, ObjectId};
use crate::domain::plan::DeclaredObject;
use crate::domain::source::FileTree;

/// A rendered package.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The package after its pipeline; files that no function changed are the same bytes.
    pub tree: FileTree,
    /// What is to be applied, in path and index order.
    pub objects: Vec<DeclaredObject>,
    /// What the functions said.
    pub results: Vec<FunctionResult>,
    /// Digest over the tree that went in, the version of the built-in functions, and what other functions answered.
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
    #[error("{file}:{line}: function {image} is not built in ({known}) [fn.unknown]")]
    UnknownFunction {
        /// The Kptfile.
        file: String,
        /// Line of the function.
        line: usize,
        /// What it asks for.
        image: String,
        /// What was perhaps meant, and what there is.
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
    #[error("{file}:{}", failure(file, *line, image, source))]
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

impl RenderError {
    /// The same as problems, each with its code.
    #[must_use]
    pub fn into_problems(self) -> Vec<Problem> {
        let problem = match self {
            Self::Problems { problems } => return problems,
            Self::UnknownFunction { file, line, image, known } => {
                let problem = Problem::new("fn.unknown", &file, line, format!("function {image} is not built in"));
                problem.hint(known)
            }
            Self::UnknownTag { file, line, image, known } => {
                let problem = Problem::new("fn.unknown_tag", &file, line, format!("{image} was never published"));
                problem.hint(format!("known tags: {known}"))
            }
            Self::Function { file, line, image, source: FunctionError::External(failure) } => {
                Problem::new(failure.code, &file, line, format!("{image}: {}", failure.message))
            }
            Self::Function { file, line, image, source } => {
                let (line, why) = source.within(&file, line);
                Problem::new("fn.failed", &file, line, format!("{image}: {why}"))
            }
        };
        vec![problem]
    }
}

/// `LINE: IMAGE: WHY` of a function that failed. What is wrong in the Kptfile itself names its own line, once.
fn failure(file: &str, line: usize, image: &str, source: &FunctionError) -> String {
    let (line, why) = source.within(file, line);
    format!("{line}: {image}: {why}")
}

/// Renders a package with the functions that are built in.
///
/// # Errors
/// [`RenderError`]; nothing is kept then.
pub fn render(tree: &FileTree, catalog: &Catalog) -> Result<Rendered, RenderError> {
    render_with(tree, *catalog, PREFIX, &mut |_| None)
}

/// Renders a package with the functions that are built in, and with what `run` answers for others, `None` for those
/// that it does not run; their short names stand for images behind `prefix`.
///
/// # Errors
/// [`RenderError`]; nothing is kept then.
pub fn render_with(
    tree: &FileTree,
    catalog: Catalog,
    prefix: &str,
    run: &mut dyn FnMut(&Request) -> Option<Result<Answer, Failure>>,
) -> Result<Rendered, RenderError> {
    let mut rendering = Rendering::start(tree, catalog)?.with_prefix(prefix);
    loop {
        match rendering.step()? {
            Turn::Ran => {}
            Turn::Done => return rendering.finish(),
            Turn::Waits(request) => match run(&request) {
                Some(answer) => rendering.resume(answer)?,
                None => return Err(rendering.refusal()),
            },
        }
    }
}

/// The objects of a package that was rendered already: its pipeline is not run again.
///
/// # Errors
/// [`RenderError::Problems`].
pub fn objects(tree: &FileTree) -> Result<Vec<DeclaredObject>, RenderError> {
    let ignored = Ignored::read(tree);
    Layout::read(tree)?;
    let resources = Resources::read(tree, &ignored).map_err(|problems| RenderError::Problems { problems })?;
    applied(&resources)
}

/// What is to be applied: everything but Kptfiles, kpt's inventories, local configuration and what configures
/// kustomize.
pub(super) fn applied(resources: &Resources) -> Result<Vec<DeclaredObject>, RenderError> {
    let (objects, problems) = declared(resources);
    if problems.is_empty() { Ok(objects) } else { Err(RenderError::Problems { problems }) }
}

/// Fields by which a server knows its own copy: an apply that brings them is refused, or is about another object.
const SERVERS_OWN: [&str; 3] = ["managedFields", "resourceVersion", "uid"];

fn servers_own(resources: &Resources, place: &Place, value: &Value) -> Vec<Problem> {
    let is_there = |field: &&str| value.pointer(&format!("/metadata/{field}")).is_some_and(|value| !value.is_null());
    let problem = |field: &str| {
        let message = format!("metadata.{field} is for the server to say; take it away");
        let line = resources.line(place, &["metadata", field]);
        Problem::new("k8s.server_field", &place.file, line, message).field(format!("metadata.{field}"))
    };
    SERVERS_OWN.into_iter().filter(is_there).map(problem).collect()
}

/// An object of a kind without namespaces is in none, whatever is written: kubectl does not send it either.
fn leave_namespace(scopes: &Scopes, value: &mut Value) {
    let gvk = Gvk::parse(text(value, "/apiVersion"), text(value, "/kind"));
    if scopes.is_cluster_scoped(&gvk.group, &gvk.kind)
        && let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut)
    {
        metadata.remove("namespace");
    }
}

/// What is to be applied, and what cannot be.
pub(super) fn declared(resources: &Resources) -> (Vec<DeclaredObject>, Vec<Problem>) {
    let mut objects: Vec<DeclaredObject> = Vec::new();
    let mut problems = Vec::new();
    let mut seen: BTreeMap<ObjectId, String> = BTreeMap::new();
    let applied: Vec<(Place, Value)> = resources
        .all()
        .into_iter()
        .map(|place| (place.clone(), resources.value(&place)))
        .filter(|(place, value)| !(is_local(value) || is_inventory(value) || is_kustomization(&place.file)))
        .collect();
    let mut charts = resources.charts().clone();
    let scopes = Scopes::of(applied.iter().map(|(_, value)| value));
    for (place, mut value) in applied {
        let line = resources.line(&place, &[]);
        problems.extend(servers_own(resources, &place, &value));
        leave_namespace(&scopes, &mut value);
        match Object::new(value) {
            Err(wrong) => {
                let line = resources.line(&place, &wrong.path());
                problems.extend(charts.told(Problem::new(wrong.code(), &place.file, line, wrong.to_string())));
            }
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
    (objects, problems)
}
