//! Kptfile v1, read strictly: a field that kpt does not know is an error, as in kpt itself.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Problem;
use super::artifact::SCHEME;
use super::reference::{self, Location};
use super::versions::Versions;
use crate::domain::id::CommitId;
use crate::domain::krm::document::{Entry, Limits, Node, NodeKind, YamlFile};
use crate::domain::source::check_path;

/// Name of the file that makes a directory a package.
pub const FILE: &str = "Kptfile";

/// What Loggia needs of a Kptfile. The file itself stays the truth and is edited in place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kptfile {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `upstream` and `upstreamLock`, when the package was made from another.
    pub upstream: Option<Upstream>,
    /// `pipeline.mutators`.
    pub mutators: Vec<Function>,
    /// `pipeline.validators`.
    pub validators: Vec<Function>,
}

/// Annotation: pipelines run level by level, outer packages first.
const BREADTH_FIRST: &str = "kpt.dev/bfs-rendering";
/// Annotation: what was done before a function failed is kept.
const SAVE_ON_FAILURE: &str = "kpt.dev/save-on-render-failure";

impl Kptfile {
    /// Whether pipelines run level by level, outer packages first; asked of the root.
    #[must_use]
    pub fn is_breadth_first(&self) -> bool {
        self.is_on(BREADTH_FIRST)
    }

    /// Whether what was done before a function failed is kept; asked of the root.
    #[must_use]
    pub fn saves_on_failure(&self) -> bool {
        self.is_on(SAVE_ON_FAILURE)
    }

    fn is_on(&self, annotation: &str) -> bool {
        self.annotations.get(annotation).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

/// Where a package was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Repository URL; `oci://HOST/REPOSITORY` for one in a registry.
    pub repo: String,
    /// Directory in it.
    pub directory: String,
    /// Tag or branch that was asked for.
    pub reference: String,
    /// Commit it led to, or digest of its manifest as `sha256:HEX`; empty when not locked.
    pub commit: String,
}

/// One step of the pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Function {
    /// Its own name in the pipeline.
    pub name: Option<String>,
    /// Image; empty for `exec`.
    pub image: String,
    /// A version or a range of versions (`~0.2`) that takes the place of the image's tag.
    pub tag: Option<String>,
    /// Program to run instead of an image.
    pub exec: Option<String>,
    /// `configMap`.
    pub config_map: BTreeMap<String, String>,
    /// `configPath`, relative to the package.
    pub config_path: Option<String>,
    /// Only resources that match one of these.
    pub selectors: Vec<Selector>,
    /// But none that matches one of these.
    pub exclude: Vec<Selector>,
    /// Line of the function in the Kptfile.
    pub line: usize,
}

/// Exact matches; all given fields must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// `apiVersion`.
    pub api_version: Option<String>,
    /// `kind`.
    pub kind: Option<String>,
    /// `name`.
    pub name: Option<String>,
    /// `namespace`.
    pub namespace: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
}

/// What may stand at a place.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// A text. Numbers, booleans and dates are the text that they are written as: so kpt reads them.
    Text,
    /// Free keys, each with a text; nothing is an empty text. Keys are as they are written: `n` is a name here.
    Texts,
    /// A list.
    List,
    /// A map with these fields.
    Map(&'static [&'static str]),
    /// Whatever its writer thinks of.
    Any,
}

/// Shapes by place; `[]` stands for the items of a list, and what is not here is a text.
const SHAPES: &[(&str, Shape)] = &[
    (
        "",
        Shape::Map(&[
            "apiVersion",
            "kind",
            "metadata",
            "upstream",
            "upstreamLock",
            "info",
            "pipeline",
            "inventory",
            "status",
        ]),
    ),
    ("metadata", Shape::Map(&["name", "namespace", "labels", "annotations"])),
    ("metadata.labels", Shape::Texts),
    ("metadata.annotations", Shape::Texts),
    ("upstream", Shape::Map(&["type", "git", "oci", "generic", "updateStrategy"])),
    ("upstream.git", Shape::Map(&["repo", "directory", "ref"])),
    ("upstream.oci", Shape::Map(&["image", "directory"])),
    ("upstream.generic", Shape::Any),
    ("upstreamLock", Shape::Map(&["type", "git", "oci", "generic"])),
    ("upstreamLock.git", Shape::Map(&["repo", "directory", "ref", "commit"])),
    ("upstreamLock.oci", Shape::Map(&["image", "directory", "digest"])),
    ("upstreamLock.generic", Shape::Any),
    (
        "info",
        Shape::Map(&["site", "emails", "license", "licenseFile", "description", "keywords", "man", "readinessGates"]),
    ),
    ("info.emails", Shape::List),
    ("info.keywords", Shape::List),
    ("info.readinessGates", Shape::List),
    ("info.readinessGates[]", Shape::Map(&["conditionType"])),
    ("pipeline", Shape::Map(&["mutators", "validators"])),
    ("pipeline.mutators", Shape::List),
    ("pipeline.mutators[]", FUNCTION),
    ("pipeline.mutators[].configMap", Shape::Texts),
    ("pipeline.mutators[].selectors", Shape::List),
    ("pipeline.mutators[].selectors[]", SELECTOR),
    ("pipeline.mutators[].selectors[].labels", Shape::Texts),
    ("pipeline.mutators[].selectors[].annotations", Shape::Texts),
    ("pipeline.mutators[].exclude", Shape::List),
    ("pipeline.mutators[].exclude[]", SELECTOR),
    ("pipeline.mutators[].exclude[].labels", Shape::Texts),
    ("pipeline.mutators[].exclude[].annotations", Shape::Texts),
    ("inventory", Shape::Map(&["namespace", "name", "inventoryID", "labels", "annotations"])),
    ("inventory.labels", Shape::Texts),
    ("inventory.annotations", Shape::Texts),
    ("status", Shape::Map(&["conditions", "renderStatus"])),
    ("status.conditions", Shape::List),
    ("status.conditions[]", Shape::Map(&["type", "status", "reason", "message"])),
    ("status.renderStatus", Shape::Any),
];
const FUNCTION: Shape =
    Shape::Map(&["image", "exec", "tag", "configMap", "configPath", "name", "selectors", "exclude"]);
const SELECTOR: Shape = Shape::Map(&["apiVersion", "kind", "name", "namespace", "labels", "annotations"]);

/// What may stand at a place; validators are as mutators.
fn shape(place: &str) -> Shape {
    let place = place.replace("pipeline.validators", "pipeline.mutators");
    SHAPES.iter().find(|(known, _)| *known == place).map_or(Shape::Text, |(_, shape)| *shape)
}

impl Kptfile {
    /// Reads a Kptfile; every problem at once.
    ///
    /// # Errors
    /// All [`Problem`]s, with their lines; `file` is the path to name in them.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let (kptfile, problems) = Self::survey(file, bytes)?;
        if problems.is_empty() { Ok(kptfile) } else { Err(problems) }
    }

    /// Reads a Kptfile with what is wrong in it: what is not may still be used.
    pub(super) fn survey(file: &str, bytes: &[u8]) -> Result<(Self, Vec<Problem>), Vec<Problem>> {
        let yaml =
            YamlFile::parse(bytes, &Limits::default()).map_err(|error| vec![Problem::unreadable(file, &error)])?;
        let value = yaml.value(0).map_err(|error| vec![Problem::unreadable(file, &error)])?;
        let Some(root) = yaml.documents().first().filter(|_| value.is_object()) else {
            return Err(vec![Problem::new("kptfile.version", file, 1, "the Kptfile is not a map")]);
        };
        let mut reader = Reader { file, root, problems: Vec::new() };
        if let Some(second) = yaml.documents().get(1) {
            let message = "the Kptfile holds more than one document";
            let problem = Problem::new("kptfile.ambiguous", file, second.line, message);
            reader
                .problems
                .push(problem.hint("a package has one Kptfile; put other resources into files of their own"));
        }
        let kptfile = reader.kptfile(&value);
        Ok((kptfile, reader.problems))
    }
}

struct Reader<'a> {
    file: &'a str,
    root: &'a Node,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn line(&self, path: &[&str]) -> usize {
        self.root.line_of(path)
    }

    fn problem(&mut self, code: &'static str, path: &[&str], message: impl Into<String>) -> &mut Problem {
        let problem = Problem::new(code, self.file, self.line(path), message).field(path.join("."));
        self.problems.push(problem);
        let last = self.problems.len() - 1;
        &mut self.problems[last]
    }

    fn kptfile(&mut self, value: &Value) -> Kptfile {
        self.check_version(value);
        let value = &self.typed(self.root, value, "", &mut Vec::new());
        self.problems.extend(misplaced(self.file, self.root, value));
        let name = text(value, "/metadata/name");
        if name.is_empty() {
            self.problem("kptfile.name", &["metadata", "name"], "the package has no name");
        }
        Kptfile {
            name,
            annotations: texts(value.get("metadata").unwrap_or(&Value::Null), "annotations"),
            upstream: upstream(value),
            mutators: self.functions(value, "mutators"),
            validators: self.functions(value, "validators"),
        }
    }

    fn check_version(&mut self, value: &Value) {
        let version = text(value, "/apiVersion");
        if version != "kpt.dev/v1" {
            let problem =
                self.problem("kptfile.version", &["apiVersion"], format!("apiVersion is {version:?}, not kpt.dev/v1"));
            if version.starts_with("kpt.dev/v1alpha") {
                problem.hint =
                    Some("rewrite it as kpt.dev/v1, as https://kpt.dev/installation/migration says".to_owned());
            }
        }
        if text(value, "/kind") != "Kptfile" {
            self.problem("kptfile.version", &["kind"], format!("kind is {:?}, not Kptfile", text(value, "/kind")));
        }
    }

    /// What stands at a place, in the shape that it must have there; what has another one is a problem, and is not
    /// there.
    fn typed(&mut self, node: &Node, value: &Value, place: &str, path: &mut Vec<String>) -> Value {
        if let NodeKind::Alias(target) = &node.kind {
            return self.typed(target, value, place, path);
        }
        match (shape(place), &node.kind) {
            _ if value.is_null() => Value::Null,
            (Shape::Any, _) => value.clone(),
            (Shape::Text, NodeKind::Scalar { text, .. }) => text.clone().into(),
            (Shape::List, NodeKind::Sequence { items, .. }) => {
                let below = format!("{place}[]");
                let items = items.iter().enumerate();
                items.map(|(index, item)| self.step(item, &value[index], &below, index.to_string(), path)).collect()
            }
            (Shape::Texts, NodeKind::Mapping { entries, .. }) => {
                entries.iter().map(|entry| self.labelled(entry, &value[entry.key_of_kpt()], path)).collect()
            }
            (Shape::Map(allowed), NodeKind::Mapping { entries, .. }) => {
                let known = entries.iter().filter(|entry| self.is_known(entry, allowed, path)).collect::<Vec<_>>();
                let dot = if place.is_empty() { "" } else { "." };
                let field = |reader: &mut Self, entry: &Entry, path: &mut Vec<String>| {
                    let below = format!("{place}{dot}{}", entry.key);
                    reader.step(&entry.value, &value[entry.key_of_kpt()], &below, entry.key.clone(), path)
                };
                known.into_iter().map(|entry| (entry.key.clone(), field(self, entry, path))).collect()
            }
            (wanted, found) => {
                self.misshapen(&wanted, found, path);
                Value::Null
            }
        }
    }

    fn step(&mut self, node: &Node, value: &Value, place: &str, name: String, path: &mut Vec<String>) -> Value {
        path.push(name);
        let typed = self.typed(node, value, place, path);
        path.pop();
        typed
    }

    fn misshapen(&mut self, wanted: &Shape, found: &NodeKind, path: &[String]) {
        let wanted = match wanted {
            Shape::List => "a list",
            Shape::Map(_) | Shape::Texts => "a map",
            Shape::Text | Shape::Any => "a text",
        };
        let found = match found {
            NodeKind::Sequence { .. } => "a list",
            NodeKind::Mapping { .. } => "a map",
            NodeKind::Scalar { .. } | NodeKind::Alias(_) => "a single value",
        };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        self.problem("kptfile.value", &path, format!("it must be {wanted}, not {found}"));
    }

    /// A key with its text.
    fn labelled(&mut self, entry: &Entry, value: &Value, path: &[String]) -> (String, Value) {
        let name = entry.key_node.scalar().unwrap_or(&entry.key);
        let text = match entry.value.scalar() {
            _ if value.is_null() => String::new(),
            Some(text) => text.to_owned(),
            None => {
                let field = path.last().map(String::as_str).unwrap_or_default();
                let file = if field == "configMap" { ", or give a file with configPath" } else { "" };
                let hint = format!("write {name}: \"...\"{file}");
                let message = format!("a {field} value must be text, a number or a boolean, not a map or a list");
                let full: Vec<&str> = path.iter().map(String::as_str).chain([entry.key.as_str()]).collect();
                self.problem("kptfile.value", &full, message).hint = Some(hint);
                String::new()
            }
        };
        (name.to_owned(), text.into())
    }

    fn is_known(&mut self, entry: &Entry, allowed: &[&str], path: &[String]) -> bool {
        let is_known = allowed.contains(&entry.key.as_str());
        if !is_known {
            let field = path.iter().chain([&entry.key]).cloned().collect::<Vec<_>>().join(".");
            let message = format!("unknown field {:?}", entry.key);
            let problem = Problem::new("kptfile.unknown_field", self.file, entry.key_node.line, message);
            self.problems.push(problem.field(field).hint(format!("allowed here: {}", allowed.join(", "))));
        }
        is_known
    }

    fn functions(&mut self, value: &Value, list: &str) -> Vec<Function> {
        let Some(items) = value.pointer(&format!("/pipeline/{list}")).and_then(Value::as_array) else {
            return Vec::new();
        };
        items.iter().enumerate().map(|(index, item)| self.function(item, list, index)).collect()
    }

    fn function(&mut self, item: &Value, list: &str, index: usize) -> Function {
        let index = index.to_string();
        let path = ["pipeline", list, index.as_str()];
        let at = |field| [path[0], path[1], path[2], field];
        let image = text(item, "/image");
        let exec = item.get("exec").and_then(Value::as_str).filter(|exec| !exec.is_empty()).map(str::to_owned);
        match (image.is_empty(), exec.is_none()) {
            (false, false) => drop(self.problem("fn.ambiguous", &path, "both image and exec are given; give one")),
            (true, true) => drop(self.problem("fn.ambiguous", &path, "neither image nor exec is given")),
            _ => {}
        }
        let config_path = item.get("configPath").and_then(Value::as_str).map(without_dots);
        if let Some(config) = &config_path {
            if let Err(error) = check_path(config) {
                self.problem(error.code, &at("configPath"), error.to_string());
            }
            if item.get("configMap").is_some() {
                self.problem("fn.ambiguous", &path, "both configMap and configPath are given; give one");
            }
        }
        Function {
            name: item.get("name").and_then(Value::as_str).map(str::to_owned),
            image,
            tag: item.get("tag").and_then(Value::as_str).filter(|tag| !tag.is_empty()).map(str::to_owned),
            exec,
            config_map: texts(item, "configMap"),
            config_path,
            selectors: selectors(item, "selectors"),
            exclude: self.excluded(item, &at("exclude")),
            line: self.line(&path),
        }
    }

    /// Every resource fits an empty selector: a function that excludes by one is given nothing, which nobody means.
    fn excluded(&mut self, item: &Value, path: &[&str; 4]) -> Vec<Selector> {
        let selectors = selectors(item, path[3]);
        for (index, _) in selectors.iter().enumerate().filter(|(_, selector)| **selector == Selector::default()) {
            let index = index.to_string();
            let path = [path.as_slice(), &[index.as_str()]].concat();
            let hint = "give one of apiVersion, kind, name, namespace, labels and annotations, or take it away";
            self.problem("kptfile.value", &path, "it is empty, and would exclude everything").hint =
                Some(hint.to_owned());
        }
        selectors
    }
}

fn selectors(item: &Value, name: &str) -> Vec<Selector> {
    item.get(name).and_then(Value::as_array).into_iter().flatten().map(selector).collect()
}

/// An empty text asks for nothing, as one that is not there.
fn selector(value: &Value) -> Selector {
    let field = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    Selector {
        api_version: field("apiVersion"),
        kind: field("kind"),
        name: field("name"),
        namespace: field("namespace"),
        labels: texts(value, "labels"),
        annotations: texts(value, "annotations"),
    }
}

/// What is wrong with where a package says it comes from: a directory outside of the repository, a version or a commit
/// that is none.
pub(super) fn misplaced(file: &str, root: &Node, value: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    for place in [["upstream", "git"], ["upstream", "oci"], ["upstreamLock", "git"], ["upstreamLock", "oci"]] {
        let path = [place[0], place[1], "directory"];
        let directory = text(value, &format!("/{}", path.join("/")));
        let inner = directory.trim_matches('/');
        if let Err(error) = if inner.is_empty() { Ok(()) } else { check_path(inner) } {
            let problem = Problem::new(error.code, file, root.line_of(&path), error.to_string());
            problems.push(problem.field(path.join(".")).hint("name a directory of the repository"));
        }
    }
    for path in [["upstream", "git", "ref"], ["upstreamLock", "git", "ref"]] {
        let reference = text(value, &format!("/{}", path.join("/")));
        let is_range = reference.is_empty() || Versions::parse_marked(&reference).is_some();
        if let Some(error) = reference::check(&reference).err().filter(|_| !is_range) {
            let message = error.to_string();
            let message = message.strip_suffix(&format!(" [{}]", error.code())).unwrap_or(&message);
            problems.push(Problem::new(error.code(), file, root.line_of(&path), message).field(path.join(".")));
        }
    }
    let path = ["upstreamLock", "git", "commit"];
    let commit = text(value, "/upstreamLock/git/commit");
    if !commit.is_empty() && CommitId::new(commit.as_str()).is_err() {
        let problem =
            Problem::new("kptfile.lock_invalid", file, root.line_of(&path), format!("{commit:?} is no commit"));
        let hint =
            "give the whole id, 40 or 64 hexadecimal digits, or take upstreamLock away and fetch the package again";
        problems.push(problem.field(path.join(".")).hint(hint));
    }
    problems
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(value: &Value, name: &str) -> BTreeMap<String, String> {
    let entries = value.get(name).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn upstream(value: &Value) -> Option<Upstream> {
    let places = ["/upstreamLock/git", "/upstream/git", "/upstreamLock/oci", "/upstream/oci"];
    let place = places.into_iter().find(|place| value.pointer(place).is_some())?;
    let field = |name: &str| text(value, &format!("{place}/{name}"));
    if place.ends_with("git") {
        let (repo, directory, reference, commit) = (field("repo"), field("directory"), field("ref"), field("commit"));
        return Some(Upstream { repo, directory, reference, commit });
    }
    let found = Location::parse(&format!("{SCHEME}{}", field("image")), |_| false).ok()?;
    let (reference, commit) = (found.reference.unwrap_or_default(), field("digest"));
    Some(Upstream { repo: found.repo, directory: field("directory"), reference, commit })
}

/// A path without parts that lead to where they are.
fn without_dots(path: &str) -> String {
    path.split('/').filter(|part| *part != ".").collect::<Vec<_>>().join("/")
}
