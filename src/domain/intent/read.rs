//! Reading intents from files: strictly, and every problem at once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::cnf_deployment::{self, CnfDeploymentSpec};
use super::sync::{self, SyncSpec};
use super::{CNFDeployment, Sync, annotation_violations, violation::Violation};
use crate::domain::krm::document::{Limits, YamlFile};
use crate::domain::krm::{Object, ObjectId, Schemas};
use crate::domain::package::Problem;
use crate::domain::source::{FileMode, FileTree};

/// An intent and where it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// File.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// The object, with its namespace filled in.
    pub object: Object,
}

/// Kinds that people may commit.
const KINDS: &[(&str, &str)] = &[("nephoran.com/v1", "CNFDeployment"), ("loggia.dev/v1alpha1", "Sync")];

/// Reads every YAML or JSON file below `intents/`, or of the whole tree when there is no such directory.
///
/// Objects without a namespace get `namespace`. A file with problems gives none of its objects.
#[must_use]
pub fn read_intents(files: &FileTree, namespace: &str) -> (Vec<Declared>, Vec<Problem>) {
    let nested = files.iter().any(|(path, _)| path.starts_with("intents/"));
    let mut reader = Reader { namespace, schemas: schemas(), declared: Vec::new(), problems: Vec::new() };
    for (path, file) in files.iter() {
        let wanted = !nested || path.starts_with("intents/");
        let extension = path.rsplit_once('.').map(|(_, extension)| extension);
        let hidden = path.split('/').any(|part| part.starts_with('.'));
        if !wanted || hidden || !matches!(extension, Some("yaml" | "yml" | "json")) {
            continue;
        }
        if file.mode == FileMode::Symlink {
            reader.problems.push(Problem::new("path.symlink", path, 1, "it is a symbolic link"));
        } else {
            reader.file(path, &file.bytes);
        }
    }
    let duplicates = duplicates(&reader.declared);
    reader.problems.extend(duplicates);
    (reader.declared, reader.problems)
}

fn schemas() -> Schemas {
    let mut schemas = Schemas::builtin();
    for (_, crd) in super::crds() {
        // Our own definitions are structural; a test reads each of them.
        let _ = schemas.add_crd(&crd);
    }
    schemas
}

struct Reader<'a> {
    namespace: &'a str,
    schemas: Schemas,
    declared: Vec<Declared>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn file(&mut self, path: &str, bytes: &[u8]) {
        let before = self.problems.len();
        let kept = self.declared.len();
        match YamlFile::parse(bytes, &Limits::default()).and_then(|yaml| yaml.values().map(|values| (yaml, values))) {
            Err(error) => self.problems.push(Problem::unreadable(path, &error)),
            Ok((yaml, values)) => {
                for (index, value) in values.into_iter().enumerate() {
                    self.document(path, &yaml, index, value);
                }
            }
        }
        if self.problems.len() > before {
            self.declared.truncate(kept);
        }
    }

    fn document(&mut self, path: &str, yaml: &YamlFile, index: usize, value: Value) {
        let root = &yaml.documents()[index];
        let line = root.line;
        let mut object = match Object::new(value) {
            Ok(object) => object,
            Err(wrong) => {
                let line = root.line_of(&wrong.path());
                return self.problems.push(Problem::new(wrong.code(), path, line, wrong.to_string()));
            }
        };
        let written = (object.gvk().api_version(), object.kind().to_owned());
        if !KINDS.iter().any(|(version, kind)| written == ((*version).to_owned(), (*kind).to_owned())) {
            let known: Vec<String> = KINDS.iter().map(|(version, kind)| format!("{version} {kind}")).collect();
            let message = format!("{} {} is not an intent", written.0, written.1);
            let problem = Problem::new("k8s.kind_unknown", path, root.line_of(&["kind"]), message);
            return self.problems.push(problem.field("kind").hint(format!("known here: {}", known.join(", "))));
        }
        if object.namespace().is_empty()
            && let Some(metadata) = object.value_mut().get_mut("metadata").and_then(Value::as_object_mut)
        {
            metadata.insert("namespace".to_owned(), Value::from(self.namespace));
        }
        let found = self.violations(&object);
        for violation in found {
            let parts: Vec<&str> = violation.field.split('.').collect();
            let mut problem =
                Problem::new("intent.invalid", path, root.line_of(&parts), violation.message).field(violation.field);
            problem.hint = violation.hint;
            self.problems.push(problem);
        }
        self.declared.push(Declared { file: path.to_owned(), line, object });
    }

    fn violations(&self, object: &Object) -> Vec<Violation> {
        let mut found = name_violations(object);
        let (schema, _) = self.schemas.lookup(&object.gvk());
        let shape = crate::domain::krm::validate(object.value(), schema);
        found.extend(shape.iter().map(|violation| {
            let path = violation.path.to_string();
            Violation::new(path.trim_start_matches('.').to_owned(), violation.message.clone())
        }));
        // Fields that nobody knows are told above; the rules look at the others.
        let known = crate::domain::krm::validate::declared_only(object.value(), schema);
        if object.kind() == "CNFDeployment" {
            let resources = json!({"cpu": "1000", "memory": "1000Ti"});
            let stand_in =
                json!({"cnfType": "Custom", "deploymentStrategy": "GitOps", "function": "", "resources": resources});
            found.extend(typed::<CnfDeploymentSpec>(&known, &stand_in, cnf_deployment::violations));
            found.extend(annotation_violations(&annotations(object)));
        } else {
            let stand_in = json!({"package": {"repository": "any", "name": "any"}});
            found.extend(typed::<SyncSpec>(&known, &stand_in, sync::violations));
        }
        dedup(found)
    }
}

/// The annotations that are texts; others are told by the schema.
fn annotations(object: &Object) -> BTreeMap<String, String> {
    let all = object.value().pointer("/metadata/annotations").and_then(Value::as_object);
    let texts = all.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    texts.collect()
}

fn name_violations(object: &Object) -> Vec<Violation> {
    if crate::domain::id::is_dns_subdomain(object.name()) {
        return Vec::new();
    }
    vec![Violation::new(
        "metadata.name",
        format!("{:?} is not a DNS subdomain of at most 253 characters", object.name()),
    )]
}

/// Most fields of one spec that are told to have a wrong value.
const MISFITS: usize = 50;

/// Reads the spec as its type and runs its own rules. A field that cannot be read is told and set aside: `stand_in`, a
/// spec that no rule minds, lends its own, so that one wrong field hides no other.
fn typed<T: serde::de::DeserializeOwned>(
    object: &Value,
    stand_in: &Value,
    rules: fn(&T) -> Vec<Violation>,
) -> Vec<Violation> {
    let mut spec = object.get("spec").cloned().unwrap_or(Value::Null);
    let mut found: Vec<Violation> = Vec::new();
    while found.len() < MISFITS {
        let error = match serde_path_to_error::deserialize::<_, T>(&spec) {
            Ok(read) => {
                let rest = rules(&read);
                let is_aside = |rule: &Violation| found.iter().any(|misfit| misfit.field == rule.field);
                let rest: Vec<Violation> = rest.into_iter().filter(|rule| !is_aside(rule)).collect();
                found.extend(rest);
                return found;
            }
            Err(error) => error,
        };
        let message = error.inner().to_string();
        let mut path = steps(error.path());
        path.extend(missing(&message));
        let field = std::iter::once("spec").chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join(".");
        let again = found.iter().any(|misfit| misfit.field == field);
        found.push(Violation::new(field, message));
        if again || !lend(&mut spec, stand_in, &path) {
            break;
        }
    }
    found
}

fn steps(path: &serde_path_to_error::Path) -> Vec<String> {
    use serde_path_to_error::Segment;
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

/// The field that is not there, when that is what is wrong.
fn missing(message: &str) -> Option<String> {
    Some(message.strip_prefix("missing field `")?.split('`').next()?.to_owned())
}

/// Puts what the stand-in has at a path there, or takes away what stands there; whether that could be done.
fn lend(spec: &mut Value, stand_in: &Value, path: &[String]) -> bool {
    let Some((last, above)) = path.split_last() else { return false };
    let lent = path.iter().try_fold(stand_in, |value, step| value.get(step)).cloned();
    let holder = above.iter().try_fold(spec, |value, step| match value {
        Value::Array(items) => step.parse().ok().and_then(|index: usize| items.get_mut(index)),
        other => other.get_mut(step),
    });
    match (holder, lent) {
        (Some(Value::Object(fields)), Some(lent)) => {
            fields.insert(last.clone(), lent);
            true
        }
        (Some(Value::Object(fields)), None) => fields.remove(last).is_some(),
        (Some(Value::Array(items)), _) => match last.parse::<usize>() {
            Ok(index) if index < items.len() => {
                items.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

/// One line a field: what its schema says comes before what reading it says.
fn dedup(found: Vec<Violation>) -> Vec<Violation> {
    let mut kept: Vec<Violation> = Vec::new();
    for violation in found {
        let said = kept.iter().any(|other| {
            other.field == violation.field
                && (other.message == violation.message || violation.message.starts_with("invalid type"))
        });
        if !said {
            kept.push(violation);
        }
    }
    kept
}

fn duplicates(declared: &[Declared]) -> Vec<Problem> {
    let mut seen: BTreeMap<ObjectId, &Declared> = BTreeMap::new();
    let mut problems = Vec::new();
    for intent in declared {
        if let Some(first) = seen.insert(intent.object.id(), intent) {
            let message =
                format!("{} is declared twice: here and at {}:{}", intent.object.id(), first.file, first.line);
            problems.push(Problem::new("k8s.duplicate_object", &intent.file, intent.line, message));
        }
    }
    problems
}

/// The intents that are `CNFDeployment`s.
///
/// # Errors
/// The reason, for an object that was not read by [`read_intents`].
pub fn cnf_deployment(object: &Object) -> Result<CNFDeployment, String> {
    serde_json::from_value(object.value().clone()).map_err(|error| error.to_string())
}

/// The intents that are Syncs.
///
/// # Errors
/// As [`cnf_deployment()`].
pub fn sync_of(object: &Object) -> Result<Sync, String> {
    serde_json::from_value(object.value().clone()).map_err(|error| error.to_string())
}
