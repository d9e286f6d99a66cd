//! What is written about a rendering: the list of all results, the status in the Kptfile, a function put into a
//! pipeline.

use serde_json::{Map, Value, json};

use super::Problem;
use super::external::Program;
use super::functions::{FunctionResult, resolved};
use super::kptfile::{FILE, Function, Selector};
use super::parts::rewrite;
use super::render::RenderError;
use super::rendering::Run;
use crate::domain::krm::document::{EditError, Limits, YamlFile, to_yaml};
use crate::domain::source::FileTree;

/// Type of the condition that says how the last rendering went.
const CONDITION: &str = "Rendered";

/// All runs as a `FunctionResultList` (`kpt.dev/v1`), as kpt writes it to `results.yaml`.
#[must_use]
pub fn result_list(runs: &[Run]) -> String {
    let items: Vec<Value> = runs.iter().map(|run| Value::Object(step(run, false))).collect();
    let failed = i32::from(runs.iter().any(Run::failed));
    let mut list = json!({
        "apiVersion": "kpt.dev/v1", "kind": "FunctionResultList", "metadata": {"name": "fnresults"}, "exitCode": failed
    });
    if !items.is_empty() {
        list["items"] = Value::Array(items);
    }
    to_yaml(&list)
}

impl Run {
    /// Whether the function failed.
    #[must_use]
    pub const fn failed(&self) -> bool {
        self.exit_code != 0
    }
}

/// A run as the results' list shows it, and, with its name and its errors apart, as the Kptfile's status does.
fn step(run: &Run, in_status: bool) -> Map<String, Value> {
    let mut step = Map::new();
    let mut put = |key: &str, value: Value| drop(step.insert(key.to_owned(), value));
    match &run.about.program {
        Program::Image(image) => put("image", json!(image)),
        Program::Exec(exec) => put("exec", json!(exec)),
    }
    put("exitCode", json!(run.exit_code));
    let stderr = run.stderr.trim_end();
    if !stderr.is_empty() {
        put("stderr", json!(stderr));
    }
    let results: Vec<Value> = run.results.iter().map(result).collect();
    if in_status {
        if let Some(name) = &run.about.name {
            put("name", json!(name));
        }
        if let Some(error) = &run.error {
            put("executionError", json!(error));
        }
        let errors: Vec<&Value> = results.iter().filter(|result| result["severity"] == "error").collect();
        if !errors.is_empty() {
            put("errorResults", json!(errors));
        }
    }
    if !results.is_empty() {
        put("results", Value::Array(results));
    }
    step
}

/// A remark as `kpt.dev/v1` has it.
pub(super) fn result(result: &FunctionResult) -> Value {
    if let Some(raw) = &result.raw {
        return raw.clone();
    }
    let mut value = json!({"message": result.message, "severity": result.severity});
    if let Some(origin) = &result.origin {
        value["file"] = json!({"path": origin.rsplit_once(':').map_or(origin.as_str(), |(path, _)| path)});
    }
    if let Some(field) = &result.field {
        value["field"] = json!({"path": field});
    }
    if let Some(subject) = &result.subject {
        value["resourceRef"] = subject.reference.clone();
        // The first document is not told, as kpt does.
        if subject.index > 0 {
            value["file"]["index"] = json!(subject.index);
        }
    }
    value
}

fn wrong(error: &EditError) -> RenderError {
    RenderError::Problems { problems: vec![Problem::new("fn.edit", FILE, 1, error.to_string())] }
}

fn edited(tree: &FileTree, edit: impl FnOnce(&mut YamlFile) -> Result<(), EditError>) -> Result<FileTree, RenderError> {
    let mut tree = tree.clone();
    if let Some(old) = tree.get(FILE).cloned() {
        let mut file =
            YamlFile::parse(&old.bytes, &Limits::default()).map_err(|error| wrong(&EditError::Document(error)))?;
        edit(&mut file).map_err(|error| wrong(&error))?;
        rewrite(&mut tree, FILE, &old, file.text());
    }
    Ok(tree)
}

/// Writes how a rendering went into the status of the root Kptfile: the condition `Rendered`, and what each function
/// said when `is_told`; what was told of it before goes otherwise. kpt up to 1.0.0-beta.56 knows the condition and
/// reads no Kptfile with the other. A tree without a Kptfile stays as it is.
///
/// # Errors
/// [`RenderError::Problems`] when the Kptfile cannot be edited.
pub fn with_status(tree: &FileTree, runs: &[Run], error: Option<&str>, is_told: bool) -> Result<FileTree, RenderError> {
    let condition = match error {
        None => json!({"type": CONDITION, "status": "True", "reason": "RenderSuccess"}),
        Some(error) => {
            json!({"type": CONDITION, "status": "False", "reason": "RenderFailed", "message": error})
        }
    };
    let status = render_status(runs, error.is_some());
    edited(tree, |file| {
        set_condition(file, &condition)?;
        match status.as_ref().filter(|_| is_told) {
            Some(status) => file.set(0, &["status", "renderStatus"], status).map(|_| ()),
            None => file.remove(0, &["status", "renderStatus"]).map(|_| ()),
        }
    })
}

fn set_condition(file: &mut YamlFile, condition: &Value) -> Result<(), EditError> {
    let value = file.value(0)?;
    let old = value.pointer("/status/conditions").and_then(Value::as_array);
    match old.and_then(|old| old.iter().position(|old| old["type"] == CONDITION)) {
        Some(index) => file.set(0, &["status", "conditions", &index.to_string()], condition).map(|_| ()),
        None => file.push_item(0, &["status", "conditions"], condition),
    }
}

fn render_status(runs: &[Run], failed: bool) -> Option<Value> {
    if runs.is_empty() {
        return None;
    }
    let steps = |validator: bool| -> Vec<Value> {
        let some = runs.iter().filter(|run| run.about.validator == validator);
        some.map(|run| Value::Object(step(run, true))).collect()
    };
    let mut status = Map::new();
    for (field, steps) in [("mutationSteps", steps(false)), ("validationSteps", steps(true))] {
        if !steps.is_empty() {
            status.insert(field.to_owned(), Value::Array(steps));
        }
    }
    if failed {
        let summary: Vec<String> = runs.iter().filter(|run| run.failed()).map(summary).collect();
        status.insert("errorSummary".to_owned(), json!(summary.join("\n")));
    }
    Some(Value::Object(status))
}

fn summary(run: &Run) -> String {
    let name = run.about.name.clone().unwrap_or_else(|| run.about.program.to_string());
    match &run.error {
        Some(error) => format!("{name}: {error}"),
        None => format!("{name}: exit code {}", run.exit_code),
    }
}

/// Puts a function into the pipeline of the root Kptfile: in the place of the one with the same image or program, or
/// behind the others. Says whether one was replaced.
///
/// # Errors
/// [`RenderError::Problems`] when the Kptfile cannot be edited.
pub fn with_function(
    tree: &FileTree,
    function: &Function,
    validator: bool,
    prefix: &str,
) -> Result<(FileTree, bool), RenderError> {
    let list = if validator { "validators" } else { "mutators" };
    let new = entry(function, prefix);
    let mut replaced = false;
    let tree = edited(tree, |file| {
        let value = file.value(0)?;
        let old = value.pointer(&format!("/pipeline/{list}")).and_then(Value::as_array);
        let same = old.and_then(|old| old.iter().position(|old| is_same(old, function, prefix)));
        let index = same.or(old.map(Vec::len)).unwrap_or_default().to_string();
        let path = ["pipeline", list, &index];
        if let Some(same) = same {
            replaced = true;
            let gone = old.and_then(|old| old[same].as_object()).into_iter().flat_map(Map::keys);
            for key in gone.filter(|key| new.iter().all(|(field, _)| field != *key)) {
                file.remove(0, &[&path, &[key.as_str()][..]].concat())?;
            }
        } else {
            file.push_item(0, &path[..2], &new.iter().take(1).cloned().collect())?;
        }
        put(file, &path, &new)
    })?;
    Ok((tree, replaced))
}

/// Sets fields in their order.
fn put(file: &mut YamlFile, path: &[&str], fields: &[(String, Value)]) -> Result<(), EditError> {
    fields.iter().try_for_each(|(key, value)| file.set(0, &[path, &[key.as_str()]].concat(), value).map(|_| ()))
}

fn is_same(old: &Value, function: &Function, prefix: &str) -> bool {
    let text = |field: &str| old.get(field).and_then(Value::as_str).unwrap_or_default();
    if let Some(exec) = &function.exec {
        return text("exec") == exec;
    }
    let image = text("image");
    !image.is_empty() && resolved(image, None, prefix) == resolved(&function.image, None, prefix)
}

/// The fields of a function in the order in which kpt has them; an image by its whole name.
fn entry(function: &Function, prefix: &str) -> Vec<(String, Value)> {
    let mut entry = Vec::new();
    let mut put = |key: &str, value: Value| entry.push((key.to_owned(), value));
    match &function.exec {
        Some(exec) => put("exec", json!(exec)),
        None => put("image", json!(resolved(&function.image, None, prefix))),
    }
    if let Some(tag) = &function.tag {
        put("tag", json!(tag));
    }
    if !function.config_map.is_empty() {
        put("configMap", json!(function.config_map));
    }
    if let Some(path) = &function.config_path {
        put("configPath", json!(path));
    }
    for (field, selectors) in [("selectors", &function.selectors), ("exclude", &function.exclude)] {
        if !selectors.is_empty() {
            put(field, selectors.iter().map(selector).collect());
        }
    }
    entry
}

fn selector(selector: &Selector) -> Value {
    let texts = [
        ("apiVersion", &selector.api_version),
        ("kind", &selector.kind),
        ("name", &selector.name),
        ("namespace", &selector.namespace),
    ];
    let mut map: Map<String, Value> =
        texts.iter().filter_map(|(key, text)| Some(((*key).to_owned(), json!(text.as_ref()?)))).collect();
    for (key, texts) in [("labels", &selector.labels), ("annotations", &selector.annotations)] {
        if !texts.is_empty() {
            map.insert(key.to_owned(), json!(texts));
        }
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use super::super::Catalog;
    use super::super::functions::Subject;
    use super::super::rendering::{About, Rendering, Turn};
    use super::*;
    use crate::domain::source::File;

    const KPTFILE: &str = "apiVersion: kpt.dev/v1
kind: Kptfile
metadata:
  name: p
pipeline:
  mutators:
  # the first
  - image: set-labels:v0.2 # pinned
    configMap: {a: b}
info:
  description: d
";

    fn tree(kptfile: &str) -> FileTree {
        let mut tree = FileTree::new();
        tree.insert(FILE, File::regular(kptfile.as_bytes().to_vec())).unwrap();
        tree
    }

    fn text(tree: &FileTree) -> String {
        String::from_utf8(tree.get(FILE).unwrap().bytes.to_vec()).unwrap()
    }

    fn runs(kptfile: &str) -> Vec<Run> {
        let mut rendering = Rendering::start(&tree(kptfile), Catalog).unwrap();
        while let Ok(Turn::Ran) = rendering.step() {}
        rendering.runs().to_vec()
    }

    #[test]
    fn the_status_tells_how_it_went_and_nothing_else_moves() {
        let done = with_status(&tree(KPTFILE), &runs(KPTFILE), None, true).unwrap();
        let expected = format!(
            "{KPTFILE}status:
  conditions:
  - reason: RenderSuccess
    status: \"True\"
    type: Rendered
  renderStatus:
    mutationSteps:
    - exitCode: 0
      image: ghcr.io/kptdev/krm-functions-catalog/set-labels:v0.2
      results:
      - message: set 1 labels in total
        severity: info
"
        );
        assert_eq!(text(&done), expected);
        let again = with_status(&done, &runs(KPTFILE), None, true).unwrap();
        assert_eq!(again, done, "the same rendering, the same status");
        let short = with_status(&done, &runs(KPTFILE), None, false).unwrap();
        assert_eq!(text(&short), expected.split_once("  renderStatus").unwrap().0, "what is not wanted goes");
        let failed = with_status(&done, &[], Some("no"), true).unwrap();
        assert!(
            text(&failed).contains("message: \"no\"") && !text(&failed).contains("renderStatus"),
            "{}",
            text(&failed)
        );
    }

    #[test]
    fn what_functions_print_is_written_again_and_again() {
        let printed = |stderr: &str| {
            let mut runs = runs(KPTFILE);
            runs[0].exit_code = i32::from(!stderr.is_empty());
            runs[0].stderr = stderr.to_owned();
            runs
        };
        let mut status = tree(KPTFILE);
        for stderr in ["one\ntwo\n", "", "one\ntwo", "a: |\n  b\n\n", "x"] {
            status = with_status(&status, &printed(stderr), Some("it failed:\n  here\n"), true).unwrap();
            let told = YamlFile::parse(text(&status).as_bytes(), &Limits::default()).unwrap().value(0).unwrap();
            let step = &told["status"]["renderStatus"]["mutationSteps"][0];
            assert_eq!(step["stderr"].as_str().unwrap_or_default().trim_end(), stderr.trim_end());
            assert!(text(&status).ends_with('\n'), "{}", text(&status));
        }
    }

    #[test]
    fn other_conditions_stay() {
        let other = format!("{KPTFILE}status:\n  conditions:\n  # kept\n  - type: Other\n    status: \"False\"\n");
        let done = with_status(&tree(&other), &runs(KPTFILE), None, false).unwrap();
        let expected = format!("{other}  - reason: RenderSuccess\n    status: \"True\"\n    type: Rendered\n");
        assert_eq!(text(&done), expected);
    }

    #[test]
    fn functions_are_added_or_replaced() {
        let function = Function { image: "set-image".into(), ..Function::default() };
        let (added, replaced) =
            with_function(&tree(KPTFILE), &function, false, super::super::functions::PREFIX).unwrap();
        assert!(!replaced);
        let expected =
            KPTFILE.replace("{a: b}\n", "{a: b}\n  - image: ghcr.io/kptdev/krm-functions-catalog/set-image:latest\n");
        assert_eq!(text(&added), expected);
        let (again, replaced) = with_function(&added, &function, false, super::super::functions::PREFIX).unwrap();
        assert!(replaced && again == added);
        let (validator, _) = with_function(&added, &function, true, super::super::functions::PREFIX).unwrap();
        assert!(
            text(&validator)
                .contains("  validators:\n  - image: ghcr.io/kptdev/krm-functions-catalog/set-image:latest\n"),
            "{}",
            text(&validator)
        );
    }

    #[test]
    fn the_list_of_results_is_the_one_of_kpt() {
        let about = About {
            directory: String::new(),
            validator: true,
            name: None,
            program: Program::Exec("./check x".into()),
            selected: None,
        };
        let said = FunctionResult {
            message: "bad".into(),
            severity: "error",
            origin: Some("a.yaml:7".into()),
            field: Some("spec.x".into()),
            subject: Some(Subject { reference: json!({"apiVersion": "v1", "kind": "A", "name": "a"}), index: 2 }),
            raw: None,
        };
        let run = Run { about, results: vec![said], stderr: "e\n".into(), exit_code: 3, error: None };
        let expected = "apiVersion: kpt.dev/v1
exitCode: 1
items:
- exec: ./check x
  exitCode: 3
  results:
  - field:
      path: spec.x
    file:
      index: 2
      path: a.yaml
    message: bad
    resourceRef:
      apiVersion: v1
      kind: A
      name: a
    severity: error
  stderr: e
kind: FunctionResultList
metadata:
  name: fnresults
";
        assert_eq!(result_list(&[run]), expected);
        assert!(result_list(&[]).contains("exitCode: 0\n"));
    }
}
