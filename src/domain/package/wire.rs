//! `ResourceList` (`config.kubernetes.io/v1`), the form in which functions take and give resources: written so that
//! comments and order survive, read in every shape that functions are known to write.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::functions::FunctionResult;
use crate::domain::krm::document::{self, DocumentError, EditError, Limits, Node, NodeKind, Scalar, YamlFile};
use crate::domain::krm::document::{disputed_boolean, is_typed_by_chance, to_yaml};

/// File of a resource, relative to its package.
pub(super) const PATH: &str = "internal.config.kubernetes.io/path";
/// Which document of the file it is, from 0.
pub(super) const INDEX: &str = "internal.config.kubernetes.io/index";
/// [`PATH`] as older functions know it.
pub(super) const LEGACY_PATH: &str = "config.kubernetes.io/path";
/// [`INDEX`] as older functions know it.
pub(super) const LEGACY_INDEX: &str = "config.kubernetes.io/index";
/// Which of the resources that a function was given one is.
pub(super) const ID: &str = "internal.config.kubernetes.io/kpt-resource-id";
/// The package that a path is relative to: `/` and its directory.
pub(super) const PACKAGE: &str = "internal.config.kubernetes.io/package-path";

/// How far the lists of a file are indented: `wide` or `compact`.
pub(super) const LISTS: &str = "internal.config.kubernetes.io/seqindent";

/// Annotations that travel with resources and are never part of a file.
pub(super) const TRAVELLING: &[&str] = &[
    PATH,
    INDEX,
    LEGACY_PATH,
    LEGACY_INDEX,
    ID,
    PACKAGE,
    LISTS,
    "internal.config.kubernetes.io/id",
    "internal.config.kubernetes.io/annotations-migration-resource-id",
    "config.k8s.io/id",
];

/// Where annotations stand.
const ANNOTATIONS: [&str; 2] = ["metadata", "annotations"];

/// Most that is read: bytes of all resources together, and as deep as definitions are in a list.
const LIMITS: Limits = Limits { bytes: 64 << 20, depth: Limits::DEFINITIONS.depth + 6, ..Limits::DEFINITIONS };

/// One resource of a list.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Its value.
    pub(super) value: Value,
    /// Its text, with its comments.
    pub(super) text: String,
}

/// A list that was read.
#[derive(Debug, Clone, Default)]
pub(super) struct List {
    /// Its resources.
    pub(super) items: Vec<Item>,
    /// Its results.
    pub(super) results: Vec<FunctionResult>,
}

/// Writes a list; items and configuration are YAML documents.
pub(super) fn write(items: &[String], config: Option<&str>) -> String {
    let mut text = "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n".to_owned();
    text.push_str(if items.is_empty() { "items: []\n" } else { "items:\n" });
    for item in items {
        text.push_str(&indented("- ", item));
    }
    if let Some(config) = config {
        text.push_str("functionConfig:\n");
        text.push_str(&indented("  ", config));
    }
    text
}

/// How the first list below a key is written: `wide` when it is indented by two, `compact` in any other case.
pub(super) fn lists_of(text: &str) -> &'static str {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let mut key = "";
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')) {
        if line.trim_start().starts_with("- ") && !key.is_empty() && !key.contains(['|', '>']) {
            return if indent(line) == indent(key) + 2 { "wide" } else { "compact" };
        }
        key = line;
    }
    "compact"
}

fn indented(first: &str, text: &str) -> String {
    let text = closed(text);
    let lines = text.trim_start_matches(['\n', '\r']).lines().enumerate();
    let line = |(number, line): (usize, &str)| match (number, line) {
        (0, line) => format!("{first}{line}\n"),
        (_, "") => "\n".to_owned(),
        (_, line) => format!("  {line}\n"),
    };
    lines.map(line).collect()
}

/// A resource's text, ended so that more may follow.
pub(super) fn closed(text: &str) -> String {
    document::closed(text, &LIMITS).into_owned()
}

/// A resource's text with its booleans as all readers know them. Functions read YAML as kyaml does, or in yet another
/// way: what Kubernetes reads as true is no text `yes` to any of them. In a Kptfile it is one to all of them.
pub(super) fn spelled_out(text: &str) -> Result<String, EditError> {
    let file = YamlFile::parse(text.as_bytes(), &LIMITS)?;
    let is_kptfile = file.documents().first().is_some_and(Node::is_kptfile);
    let spelled = |scalar: &Scalar<'_>| match (disputed_boolean(scalar.text)?, scalar.is_key) {
        _ if is_kptfile => Some(format!("\"{}\"", scalar.text)),
        (value, true) => Some(format!("\"{value}\"")),
        (value, false) => Some(value.to_string()),
    };
    Ok(file.respelled(spelled).into_owned())
}

/// A resource that a function gave back, read by what it was: programs leave texts such as `1e3` bare that their own
/// libraries take for texts. One that means a number spells it as a number is spelled.
pub(super) fn read_by(item: Item, old: &YamlFile) -> Item {
    let by_chance = |scalar: &Scalar<'_>| is_typed_by_chance(scalar.text);
    let (plain, texts): (Vec<_>, Vec<_>) = old.scalars().into_iter().filter(by_chance).partition(|old| old.is_plain);
    let plain: BTreeSet<&str> = plain.into_iter().map(|scalar| scalar.text).collect();
    let texts: BTreeSet<&str> =
        texts.into_iter().map(|scalar| scalar.text).filter(|text| !plain.contains(text)).collect();
    let quoted = |scalar: &Scalar<'_>| texts.contains(scalar.text).then(|| json!(scalar.text).to_string());
    let read = || {
        let text = YamlFile::parse(item.text.as_bytes(), &LIMITS).ok()?.respelled(quoted).into_owned();
        let value = YamlFile::parse(text.as_bytes(), &LIMITS).ok()?.value(0).ok()?;
        Some(Item { value, text })
    };
    let read = if texts.is_empty() { None } else { read() };
    read.unwrap_or(item)
}

/// A resource's text with annotations added to it.
pub(super) fn annotated(text: &str, annotations: &[(&str, String)]) -> Result<String, EditError> {
    let mut file = YamlFile::parse(text.as_bytes(), &LIMITS)?;
    let old = file.value(0)?;
    let has = old.pointer("/metadata/annotations").and_then(Value::as_object).is_some_and(|map| !map.is_empty());
    if has {
        for (key, value) in annotations {
            file.set(0, &[ANNOTATIONS[0], ANNOTATIONS[1], key], &json!(value))?;
        }
    } else {
        let map: Map<String, Value> =
            annotations.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
        file.set(0, &ANNOTATIONS, &Value::Object(map))?;
    }
    Ok(file.text().to_owned())
}

/// A resource's text without the annotations that only travel.
pub(super) fn plain(item: &Item) -> String {
    let cleaned = without_travelling(item).unwrap_or_else(|_| to_yaml(&stripped(&item.value)));
    closed(&cleaned)
}

fn without_travelling(item: &Item) -> Result<String, EditError> {
    let Some(map) = item.value.pointer("/metadata/annotations").and_then(Value::as_object) else {
        return Ok(item.text.clone());
    };
    let mut file = YamlFile::parse(item.text.as_bytes(), &LIMITS)?;
    let alone = item.value.get("metadata").and_then(Value::as_object).is_some_and(|metadata| metadata.len() == 1);
    if alone && map.keys().all(|key| TRAVELLING.contains(&key.as_str())) {
        file.remove(0, &ANNOTATIONS[..1])?;
    } else if map.keys().all(|key| TRAVELLING.contains(&key.as_str())) {
        file.remove(0, &ANNOTATIONS)?;
    } else {
        for key in TRAVELLING.iter().filter(|key| map.contains_key(**key)) {
            file.remove(0, &[ANNOTATIONS[0], ANNOTATIONS[1], key])?;
        }
    }
    Ok(file.text().to_owned())
}

/// A value without the annotations that only travel.
pub(super) fn stripped(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
        if let Some(Value::Object(map)) = metadata.get_mut("annotations") {
            map.retain(|key, _| !TRAVELLING.contains(&key.as_str()));
        }
        if matches!(metadata.get("annotations"), Some(Value::Null)) || is_empty_map(metadata.get("annotations")) {
            metadata.remove("annotations");
        }
    }
    if let (true, Some(map)) = (is_empty_map(value.get("metadata")), value.as_object_mut()) {
        map.remove("metadata");
    }
    value
}

fn is_empty_map(value: Option<&Value>) -> bool {
    value.and_then(Value::as_object).is_some_and(Map::is_empty)
}

/// An annotation of a resource; empty ones say nothing.
pub(super) fn annotation<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    let map = value.pointer("/metadata/annotations")?;
    map.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Whether a resource says which file it belongs to.
pub(super) fn has_path(value: &Value) -> bool {
    [PATH, LEGACY_PATH].into_iter().any(|key| annotation(value, key).is_some())
}

/// Comments at the ends of lines, and how often each is there.
pub(super) fn comments(text: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    if let Ok(file) = YamlFile::parse(text.as_bytes(), &LIMITS) {
        for comment in (1..=text.lines().count()).filter_map(|line| file.comment(line)) {
            *found.entry(comment.to_owned()).or_default() += 1;
        }
    }
    found
}

/// Reads what a function wrote, as kyaml reads it: `y`, `no`, `on` and their like are texts, also as keys. They get
/// quotes, so that Kubernetes, which takes them for booleans, reads them as texts too.
///
/// The specification of functions asks for a list even where nothing is left. kpt takes an empty output for one without
/// items, and all that the function was given goes; here it is refused, because a program that ends too early writes
/// just that. A list without items is one.
pub(super) fn read_answer(bytes: &[u8]) -> Result<List, String> {
    // Keys such as `n` and `no` are the same one only in YAML 1.1; any others that are written twice are refused below.
    let (file, _) = YamlFile::parse_leniently(bytes, &LIMITS).map_err(|error| no_yaml(&error))?;
    if file.documents().is_empty() {
        return Err("it wrote no ResourceList (write one with items: [] to take every resource away)".to_owned());
    }
    let quoted = |scalar: &Scalar<'_>| disputed_boolean(scalar.text).map(|_| format!("\"{}\"", scalar.text));
    read(file.respelled(quoted).as_bytes())
}

/// Reads a `ResourceList`, a `List`, or plain documents, as Kubernetes reads them; what it is not is said.
pub(super) fn read(bytes: &[u8]) -> Result<List, String> {
    let file = YamlFile::parse(bytes, &LIMITS).map_err(|error| no_yaml(&error))?;
    let values = file.values().map_err(|error| no_yaml(&error))?;
    let mut list = List::default();
    for (index, (node, value)) in file.documents().iter().zip(values).enumerate() {
        if is_list(&value) {
            unwrap(&file, node, &value, &mut list)?;
        } else {
            let text = file.document_text(index).to_owned();
            let text = if values_equal(&text, &value) { text } else { to_yaml(&value) };
            list.items.push(Item { value, text });
        }
    }
    Ok(list)
}

fn no_yaml(error: &DocumentError) -> String {
    format!("it is not YAML: {error}")
}

fn is_list(value: &Value) -> bool {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    (text("kind") == "ResourceList" && text("apiVersion").starts_with("config.kubernetes.io/"))
        || (text("kind") == "List" && text("apiVersion") == "v1")
}

fn unwrap(file: &YamlFile, node: &Node, value: &Value, list: &mut List) -> Result<(), String> {
    let values = match value.get("items") {
        None | Some(Value::Null) => &Vec::new(),
        Some(Value::Array(values)) => values,
        Some(_) => return Err("its items are not a list".to_owned()),
    };
    let nodes = match node.at(&["items"]).map(|items| &items.kind) {
        Some(NodeKind::Sequence { items, flow: false }) => items.as_slice(),
        // Between brackets, an item has no lines of its own that could be a document.
        _ => &[],
    };
    for (index, value) in values.iter().enumerate() {
        let text = nodes.get(index).map(|node| closed(&text_of(file, node)));
        let text = text.filter(|text| values_equal(text, value));
        list.items.push(Item { value: value.clone(), text: text.unwrap_or_else(|| to_yaml(value)) });
    }
    list.results.extend(results(value.get("results")));
    Ok(())
}

/// The text of an item of a list, as a document of its own, with the comments above its first key.
fn text_of(file: &YamlFile, node: &Node) -> String {
    let text = file.text();
    let end = node.end();
    let rest = text.get(end..).unwrap_or_default();
    let ended = text[..end].ends_with('\n');
    let end = if ended { end } else { end + rest.find('\n').unwrap_or(rest.len()) };
    let margin = " ".repeat(node.column.saturating_sub(1));
    let start = comments_above(&text[..node.span.start], node.column).unwrap_or(node.span.start);
    text[start..end].replace(&format!("\n{margin}"), "\n")
}

/// Where the comments begin that stand between the dash of an item and its first key.
fn comments_above(before: &str, column: usize) -> Option<usize> {
    let dash = format!("\n{}- ", " ".repeat(column.checked_sub(3)?));
    let start = before.rfind(&dash)? + dash.len();
    let is_comment = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    before[start..].lines().all(is_comment).then_some(start)
}

fn values_equal(text: &str, value: &Value) -> bool {
    let read = YamlFile::parse(text.as_bytes(), &LIMITS).and_then(|file| file.values());
    read.is_ok_and(|values| matches!(values.as_slice(), [one] if one == value))
}

/// Results are a list, or one below `items`.
fn results(value: Option<&Value>) -> Vec<FunctionResult> {
    let value = value.unwrap_or(&Value::Null);
    let list = value.get("items").unwrap_or(value);
    list.as_array().into_iter().flatten().map(result).collect()
}

fn result(value: &Value) -> FunctionResult {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let severity = match text("/severity").as_deref() {
        Some("error") => "error",
        Some("warning") => "warning",
        _ => "info",
    };
    FunctionResult {
        message: text("/message").unwrap_or_default(),
        severity,
        origin: text("/file/path"),
        field: text("/field/path"),
        subject: None,
        raw: Some(as_of_today(value.clone())),
    }
}

/// Older functions put the identity below `resourceRef.metadata`, and `suggestedValue` for `proposedValue`.
fn as_of_today(mut value: Value) -> Value {
    if let Some(Value::Object(field)) = value.get_mut("field")
        && let Some(old) = field.remove("suggestedValue")
    {
        field.entry("proposedValue").or_insert(old);
    }
    if let Some(Value::Object(reference)) = value.get_mut("resourceRef")
        && let Some(Value::Object(metadata)) = reference.remove("metadata")
    {
        for (key, text) in metadata.into_iter().filter(|(key, _)| key == "name" || key == "namespace") {
            reference.entry(key).or_insert(text);
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCE: &str = "# head\nkind: A # one\napiVersion: v1\nmetadata:\n  name: a\ndata:\n  text: |\n    x\n\n    y\n  list:\n  - 1\n  # above\n  - 2\n";

    #[test]
    fn what_is_written_is_read_with_its_comments() {
        let sent = annotated(RESOURCE, &[(PATH, "a.yaml".to_owned()), (INDEX, "0".to_owned())]).unwrap();
        let flow = "{apiVersion: v1, kind: B, metadata: {name: b}}\n".to_owned();
        let list = write(&[sent, flow.clone()], Some("apiVersion: v1\nkind: ConfigMap\ndata: {a: \"1\"} # c\n"));
        let read = read(list.as_bytes()).unwrap();
        assert_eq!(read.items.len(), 2, "{list}");
        assert_eq!(annotation(&read.items[0].value, INDEX), Some("0"));
        let whole = YamlFile::parse(list.as_bytes(), &LIMITS).unwrap().value(0).unwrap();
        assert_eq!(whole["functionConfig"]["data"]["a"], "1");
        assert_eq!(plain(&read.items[0]), RESOURCE);
        assert_eq!(plain(&read.items[1]), flow);
    }

    #[test]
    fn lists_are_wide_or_compact() {
        let table = [
            ("a: 1\n", "compact"),
            ("a:\n- 1\n", "compact"),
            ("a:\n  - 1\nb:\n- 2\n", "wide"),
            ("a:\n  # why\n\n  - 1\n", "wide"),
            ("a: |\n  - 1\nb:\n- 2\n", "compact"),
            ("a:\n    - 1\n", "compact"),
        ];
        for (text, expected) in table {
            assert_eq!(lists_of(text), expected, "{text}");
        }
    }

    #[test]
    fn lists_come_in_many_shapes() {
        let item = "{\"apiVersion\": \"v1\", \"kind\": \"A\", \"metadata\": {\"name\": \"a\"}}";
        let shapes = [
            format!("apiVersion: config.kubernetes.io/v1alpha1\nkind: ResourceList\nitems: [{item}]\n"),
            format!("{{\"apiVersion\": \"config.kubernetes.io/v1\", \"kind\": \"ResourceList\", \"items\": [{item}]}}"),
            format!("apiVersion: v1\nkind: List\nitems:\n- {item}\n"),
            format!("---\n{item}\n---\n"),
        ];
        for shape in shapes {
            let list = read(shape.as_bytes()).unwrap();
            assert_eq!(list.items.len(), 1, "{shape}");
            assert_eq!(list.items[0].value["metadata"]["name"], "a");
        }
        assert_eq!(read(b"").unwrap().items.len(), 0);
        assert!(read(b"a: [").unwrap_err().contains("not YAML"));
        assert!(read(b"apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: 5\n").is_err());
    }

    #[test]
    fn old_and_new_results_read_the_same() {
        let new = "- message: m\n  severity: warning\n  field: {path: a.b, proposedValue: x}\n  file: {path: f.yaml}\n  resourceRef: {name: n}\n";
        let old = "items:\n- message: m\n  severity: warning\n  field: {path: a.b, suggestedValue: x}\n  file: {path: f.yaml}\n  resourceRef: {metadata: {name: n}}\n";
        let value = |text: &str| YamlFile::parse(text.as_bytes(), &LIMITS).unwrap().value(0).unwrap();
        let (new, old) = (results(Some(&value(new))), results(Some(&value(old))));
        assert_eq!(new, old);
        assert_eq!(
            (new[0].severity, new[0].field.as_deref(), new[0].origin.as_deref()),
            ("warning", Some("a.b"), Some("f.yaml"))
        );
    }
}
