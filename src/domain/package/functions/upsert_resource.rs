//! `upsert-resource`: puts a resource into the package, in the place of the one it has or as a new one.

use serde_json::Value;

use super::{Call, FunctionError, Native, Opt, at, group_of, kind_of, name_of, namespace_of, text_at};
use crate::domain::krm::document::{EditError, Limits, NodeKind, YamlFile, line_end};
use crate::domain::package::resources::{LOCAL_CONFIG, Place};
use crate::domain::source::check_path;

/// Annotation that says which file a new resource goes to, and which one an old one is looked for in.
const TARGET: &str = "config.kubernetes.io/target-path";

/// Annotations that are not meant for the package.
const DROPPED: &[&str] = &[
    TARGET,
    LOCAL_CONFIG,
    "config.kubernetes.io/function",
    "config.k8s.io/function",
    "config.kubernetes.io/path",
    "config.kubernetes.io/index",
    "internal.config.kubernetes.io/path",
    "internal.config.kubernetes.io/index",
];

pub(super) const NATIVE: Native = Native {
    name: "upsert-resource",
    aliases: &[],
    families: &["v0.1", "v0.2"],
    summary: "puts a resource, or each of a List, in the place of the one with its group, kind, namespace and name, or adds it",
    kind: None,
    options: &[Opt {
        name: "configPath",
        required: true,
        text: "the resource itself, or a v1 List of them; mark it with config.kubernetes.io/local-config so that it is \
               not applied too",
    }],
    example: "pipeline:
  mutators:
  - image: upsert-resource:v0.2
    configPath: service.yaml
# service.yaml:
# apiVersion: v1
# kind: Service
# metadata:
#   name: web
#   annotations:
#     config.kubernetes.io/local-config: \"true\"
# spec:
#   selector: {app: web}
#   ports: [{port: 80}]
",
    notes: "A new resource goes to the file in its annotation config.kubernetes.io/target-path, else to \
            NAMESPACE/KIND_NAME.yaml; with that annotation only a resource in that file is replaced. The annotations \
            local-config and target-path stay behind.",
    run,
};

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    if call.config_at.function.is_some() {
        let hint = "write configPath: with a file that holds the resource";
        return Err(call.wrong(&[], "a configMap is no resource to put into the package", hint));
    }
    let place = call.config_at.place.clone();
    for text in wanted(call, &place) {
        upsert(call, &place, &text)?;
    }
    Ok(())
}

/// The texts of the resources, with their comments.
fn wanted(call: &Call<'_>, place: &Place) -> Vec<String> {
    let Some(found) = call.resources.document(place) else { return Vec::new() };
    let file = found.file;
    if kind_of(&call.config) != "List" {
        return vec![file.document_text(found.index).to_owned()];
    }
    let items = found.at(&["items"]);
    let Some(NodeKind::Sequence { items, .. }) = items.map(|items| &items.kind) else { return Vec::new() };
    let text = |node: &crate::domain::krm::document::Node| {
        let margin = " ".repeat(node.column - 1);
        let end = line_end(file.text(), node.end());
        let text = &file.text()[node.span.start..end];
        text.replace(&format!("\n{margin}"), "\n")
    };
    items.iter().map(text).collect()
}

fn upsert(call: &mut Call<'_>, config: &Place, text: &str) -> Result<(), FunctionError> {
    let edit = |source| FunctionError::Edit { origin: call.origin(config, &[]), source };
    let mut new = YamlFile::parse(text.as_bytes(), &Limits::default()).map_err(EditError::from).map_err(edit)?;
    let value = new.value(0).map_err(EditError::from).map_err(edit)?;
    if [name_of(&value), kind_of(&value)].contains(&"") {
        let message = "the resource has no kind or no metadata.name";
        return Err(call.wrong(&[], message, "write apiVersion, kind and metadata.name"));
    }
    let target = text_at(&value, &["metadata", "annotations", TARGET]).to_owned();
    strip(&mut new, &value).map_err(edit)?;
    let new = new.text().to_owned();
    let same: Vec<Place> = call
        .values()
        .into_iter()
        .filter(|(place, old)| place != config && is_same(call, (&value, &target), place, old))
        .map(|(place, _)| place)
        .collect();
    for place in &same {
        let origin = call.origin(place, &[]);
        call.resources.replace(place, &new).map_err(|source| FunctionError::Edit { origin: origin.clone(), source })?;
        call.say("info", format!("replaced {} {}", kind_of(&value), name_of(&value)), Some(origin), None);
    }
    if same.is_empty() { add(call, config, &value, &target, &new) } else { Ok(()) }
}

fn strip(file: &mut YamlFile, value: &Value) -> Result<(), EditError> {
    let home = ["metadata", "annotations"];
    let Some(map) = at(value, &home).and_then(Value::as_object) else { return Ok(()) };
    let dropped: Vec<&str> = DROPPED.iter().copied().filter(|key| map.contains_key(*key)).collect();
    if dropped.len() == map.len() {
        return file.remove(0, &home).map(|_| ());
    }
    dropped.into_iter().try_for_each(|key| file.remove(0, &[home[0], home[1], key]).map(|_| ()))
}

fn is_same(call: &Call<'_>, (new, target): (&Value, &str), place: &Place, old: &Value) -> bool {
    let identity =
        |value: &Value| [group_of(value), kind_of(value), namespace_of(value), name_of(value)].map(str::to_owned);
    let here = place.file.strip_prefix(call.directory).map_or("", |rest| rest.trim_start_matches('/'));
    identity(new) == identity(old) && (target.is_empty() || target == here)
}

fn add(call: &mut Call<'_>, config: &Place, value: &Value, target: &str, text: &str) -> Result<(), FunctionError> {
    let name = format!("{}_{}.yaml", kind_of(value).to_lowercase(), name_of(value));
    let file = match (target, namespace_of(value)) {
        ("", "") => name,
        ("", namespace) => format!("{namespace}/{name}"),
        (target, _) => target.to_owned(),
    };
    let extension = file.rsplit_once('.').map(|(_, extension)| extension);
    if check_path(&file).is_err() || !matches!(extension, Some("yaml" | "yml")) {
        let message = format!("{TARGET} is {file:?}, which names no YAML file in the package");
        return Err(call.wrong(
            &["metadata", "annotations", TARGET],
            message,
            "write a relative path that ends with .yaml",
        ));
    }
    let path = if call.directory.is_empty() { file } else { format!("{}/{file}", call.directory) };
    let origin = call.origin(config, &[]);
    call.resources.append(&path, text).map_err(|source| FunctionError::Edit { origin, source })?;
    call.say("info", format!("added {} {}", kind_of(value), name_of(value)), Some(format!("{path}:1")), None);
    Ok(())
}
