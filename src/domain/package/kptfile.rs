//! Kptfile v1, read strictly: a field that kpt does not know is an error, as in kpt itself.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Problem;
use crate::domain::krm::document::{Limits, Node, NodeKind, YamlFile};
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
    /// Repository URL.
    pub repo: String,
    /// Directory in it.
    pub directory: String,
    /// Tag or branch that was asked for.
    pub reference: String,
    /// Commit it led to; empty when not locked.
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

/// Allowed fields by place; a place that ends in `*` holds free keys, `[]` stands for the items of a list.
const FIELDS: &[(&str, &[&str])] = &[
    ("", &["apiVersion", "kind", "metadata", "upstream", "upstreamLock", "info", "pipeline", "inventory", "status"]),
    ("metadata", &["name", "namespace", "labels", "annotations"]),
    ("upstream", &["type", "git", "oci", "generic", "updateStrategy"]),
    ("upstream.git", &["repo", "directory", "ref"]),
    ("upstream.oci", &["image", "directory"]),
    ("upstreamLock", &["type", "git", "oci", "generic"]),
    ("upstreamLock.oci", &["image", "directory", "digest"]),
    ("upstreamLock.git", &["repo", "directory", "ref", "commit"]),
    ("info", &["site", "emails", "license", "licenseFile", "description", "keywords", "man", "readinessGates"]),
    ("pipeline", &["mutators", "validators"]),
    ("pipeline.mutators[]", FUNCTION),
    ("pipeline.validators[]", FUNCTION),
    ("pipeline.mutators[].selectors[]", SELECTOR),
    ("pipeline.mutators[].exclude[]", SELECTOR),
    ("pipeline.validators[].selectors[]", SELECTOR),
    ("pipeline.validators[].exclude[]", SELECTOR),
    ("inventory", &["namespace", "name", "inventoryID", "labels", "annotations"]),
    ("status", &["conditions", "renderStatus"]),
];
const FUNCTION: &[&str] = &["image", "exec", "tag", "configMap", "configPath", "name", "selectors", "exclude"];
const SELECTOR: &[&str] = &["apiVersion", "kind", "name", "namespace", "labels", "annotations"];

impl Kptfile {
    /// Reads a Kptfile; every problem at once.
    ///
    /// # Errors
    /// All [`Problem`]s, with their lines; `file` is the path to name in them.
    pub fn parse(file: &str, bytes: &[u8]) -> Result<Self, Vec<Problem>> {
        let yaml =
            YamlFile::parse(bytes, &Limits::default()).map_err(|error| vec![Problem::unreadable(file, &error)])?;
        let value = yaml.value(0).map_err(|error| vec![Problem::unreadable(file, &error)])?;
        let Some(root) = yaml.documents().first().filter(|_| value.is_object()) else {
            return Err(vec![Problem::new("kptfile.version", file, 1, "the Kptfile is not a map")]);
        };
        let mut reader = Reader { file, root, problems: Vec::new() };
        let kptfile = reader.kptfile(&value);
        if reader.problems.is_empty() { Ok(kptfile) } else { Err(reader.problems) }
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
        self.check_fields(self.root, "", &mut Vec::new());
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
                problem.hint = Some("migrate it with kpt 1.0's `kpt pkg` or rewrite it as kpt.dev/v1".to_owned());
            }
        }
        if text(value, "/kind") != "Kptfile" {
            self.problem("kptfile.version", &["kind"], format!("kind is {:?}, not Kptfile", text(value, "/kind")));
        }
    }

    fn check_fields(&mut self, node: &Node, place: &str, path: &mut Vec<String>) {
        match &node.kind {
            NodeKind::Sequence { items, .. } => {
                for (index, item) in items.iter().enumerate() {
                    path.push(index.to_string());
                    self.check_fields(item, &format!("{place}[]"), path);
                    path.pop();
                }
            }
            NodeKind::Mapping { entries, .. } => {
                let Some((_, allowed)) = FIELDS.iter().find(|(known, _)| *known == place) else { return };
                for entry in entries {
                    path.push(entry.key.clone());
                    if allowed.contains(&entry.key.as_str()) {
                        let below = if place.is_empty() { entry.key.clone() } else { format!("{place}.{}", entry.key) };
                        self.check_fields(&entry.value, &below, path);
                    } else {
                        let message = format!("unknown field {:?}", entry.key);
                        let problem = Problem::new("kptfile.unknown_field", self.file, entry.key_node.line, message);
                        let hint = format!("allowed here: {}", allowed.join(", "));
                        self.problems.push(problem.field(path.join(".")).hint(hint));
                    }
                    path.pop();
                }
            }
            _ => {}
        }
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
        let exec = item.get("exec").and_then(Value::as_str).map(str::to_owned);
        match (image.is_empty(), exec.is_none()) {
            (false, false) => drop(self.problem("fn.ambiguous", &path, "both image and exec are given; give one")),
            (true, true) => drop(self.problem("fn.ambiguous", &path, "neither image nor exec is given")),
            _ => {}
        }
        let config_path = item.get("configPath").and_then(Value::as_str).map(str::to_owned);
        if let Some(config) = &config_path {
            if let Err(error) = check_path(config) {
                self.problem("path.escape", &at("configPath"), error.to_string());
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
            config_map: self.config_map(item, &at("configMap")),
            config_path,
            selectors: selectors(item, "selectors"),
            exclude: selectors(item, "exclude"),
            line: self.line(&path),
        }
    }

    fn config_map(&mut self, item: &Value, path: &[&str]) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        for (key, value) in item.get("configMap").and_then(Value::as_object).into_iter().flatten() {
            if let Some(text) = value.as_str() {
                map.insert(key.clone(), text.to_owned());
            } else {
                let full: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
                let hint = format!("write {key}: \"{value}\"");
                self.problem("kptfile.value", &full, "a configMap value must be text").hint = Some(hint);
            }
        }
        map
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(value: &Value, name: &str) -> BTreeMap<String, String> {
    let entries = value.get(name).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn upstream(value: &Value) -> Option<Upstream> {
    let place = if value.pointer("/upstreamLock/git").is_some() { "/upstreamLock/git" } else { "/upstream/git" };
    value.pointer(place)?;
    let field = |name: &str| text(value, &format!("{place}/{name}"));
    Some(Upstream {
        repo: field("repo"),
        directory: field("directory"),
        reference: field("ref"),
        commit: field("commit"),
    })
}

fn selectors(item: &Value, list: &str) -> Vec<Selector> {
    let one = |value: &Value| {
        let field = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        Selector {
            api_version: field("apiVersion"),
            kind: field("kind"),
            name: field("name"),
            namespace: field("namespace"),
            labels: texts(value, "labels"),
            annotations: texts(value, "annotations"),
        }
    };
    item.get(list).and_then(Value::as_array).into_iter().flatten().map(one).collect()
}
