//! The packages of `tests/packages`, rendered and compared byte for byte with what is expected of them.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/cases.rs"]
mod cases;

use std::path::Path;

use cases::{Files, all_hold, files, text, tree};
use loggia::domain::krm::document::{Limits, YamlFile};
use loggia::domain::package::external::Answer;
use loggia::domain::package::kptfile::Function;
use loggia::domain::package::rendering::Single;
use loggia::domain::package::transfer::{self, source};
use loggia::domain::package::{Catalog, Rendered, Rendering, Turn, render};
use loggia::domain::source::FileTree;

const PACKAGES: &str = "tests/packages";

/// Files of `expected/` that are about the rendering and not of it.
const ABOUT: [&str; 4] = ["removed.txt", "results.txt", "error.txt", "changes-again.txt"];

fn results(rendered: &Rendered) -> String {
    let line = |origin: &Option<String>| origin.clone().unwrap_or_else(|| "-".to_owned());
    let told = rendered.results.iter();
    told.map(|told| format!("{} {} {}: {}\n", told.severity, line(&told.origin), line(&told.field), told.message))
        .collect()
}

/// What is wrong with a case.
fn check(case: &Path) -> Vec<String> {
    let input = files(&case.join("input"));
    let expected = files(&case.join("expected"));
    let wanted = |name: &str| expected.get(name).map(|bytes| text(bytes));
    let rendered = match (render(&tree(&input), &Catalog), wanted("error.txt")) {
        (Err(error), Some(wanted)) if format!("{error}\n") == wanted => return Vec::new(),
        (Err(error), wanted) => return vec![format!("failed with\n{error}\nexpected\n{}", wanted.unwrap_or_default())],
        (Ok(_), Some(wanted)) => return vec![format!("did not fail with\n{wanted}")],
        (Ok(rendered), None) => rendered,
    };
    let mut wrong = differences(&input, &expected, &rendered);
    if let Some(wanted) = wanted("results.txt").filter(|wanted| *wanted != results(&rendered)) {
        wrong.push(format!("said\n{}expected\n{wanted}", results(&rendered)));
    }
    match (render(&rendered.tree, &Catalog), expected.contains_key("changes-again.txt")) {
        (Ok(again), changes) if (again.tree != rendered.tree) == changes => {}
        (Ok(_), true) => wrong.push("rendering it again changes nothing, though changes-again.txt says so".to_owned()),
        (Ok(_), false) => wrong.push("rendering it again changes it".to_owned()),
        (Err(error), _) => wrong.push(format!("rendering it again fails: {error}")),
    }
    wrong
}

fn differences(input: &Files, expected: &Files, rendered: &Rendered) -> Vec<String> {
    let mut wanted = input.clone();
    wanted.extend(
        expected.iter().filter(|(name, _)| !ABOUT.contains(&name.as_str())).map(|(n, b)| (n.clone(), b.clone())),
    );
    for name in expected.get("removed.txt").map(|bytes| text(bytes)).unwrap_or_default().lines() {
        assert!(wanted.remove(name).is_some(), "{name} is in removed.txt, but not in the input");
    }
    cases::differences(&wanted, &rendered.tree)
}

#[test]
fn every_package_renders_to_what_is_expected() {
    all_hold(PACKAGES, 40, check);
}

/// Every built-in function has a case, so that a new one is not forgotten.
#[test]
fn every_function_has_a_case() {
    let kptfiles: String = cases::cases(PACKAGES)
        .iter()
        .flat_map(|case| files(&case.join("input")))
        .filter(|(n, _)| n.ends_with("Kptfile"))
        .map(|(_, b)| text(&b))
        .collect();
    for native in Catalog.functions() {
        assert!(kptfiles.contains(native.name), "no case calls {}", native.name);
        for alias in native.aliases {
            assert!(kptfiles.contains(&format!("{alias}:")), "no case calls {alias}");
        }
    }
}

/// Files as people write them, of which a function or a pipe could make something else.
const WRITTEN: [(&str, &str); 6] = [
    (
        "texts.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: texts\n  labels: {enabled: \"y\", other: 'off'}\ndata:\n  \
         \"n\": x\n  flag: \"n\"\n  'yes': \"no\"\n  hash: \"1e3\" # of a commit\n  mode: '0644'\n  version: \"1.10\"\n  \
         day: '08'\n  seven: \"0o7\"\n  list: \"on\"\n  spoken: \"True\"\n",
    ),
    (
        "booleans.yaml",
        "apiVersion: a.example/v1\nkind: K # kind\nmetadata:\n  name: booleans\nspec:\n  # above\n  enabled: yes # as \
         Kubernetes reads it\n  n: off\n  list: [y, \"y\", n, {on: No}]\n  items:\n  - on\n  - \"on\"\n",
    ),
    (
        "keep.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: first\ndata:\n  x: |+\n    a\n\n\n---\napiVersion: v1\nkind: \
         ConfigMap\nmetadata:\n  name: second\ndata:\n  x: >+\n    a\n    b\n\n\n---\napiVersion: v1\nkind: \
         ConfigMap\nmetadata:\n  name: third\ndata:\n  list: |\n    a\n  x: |+ # all of it\n    a\n\n\n",
    ),
    ("open.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: open\ndata:\n  x: |\n    a\n    b"),
    ("ended.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ended\ndata:\n  x: a\n...\n# behind it\n"),
    (
        "texts.json",
        "{\"apiVersion\": \"v1\",   \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"json\"},\n\"data\": {\"n\": \
         \"N\", \"x\": \"1\", \"y\": \"on\"}}\n",
    ),
];

/// A package of files that a function could make something else of.
fn written() -> FileTree {
    let files = WRITTEN.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    tree(&files.into_iter().collect())
}

/// What functions may give back that change nothing: what they were given, JSON without a comment, and what the
/// libraries of other languages write, which leave texts such as `y`, or `1e3`, bare.
fn unchanged(list: &str) -> Vec<Vec<u8>> {
    let whole = YamlFile::parse(list.as_bytes(), &Limits::default()).unwrap().value(0).unwrap();
    let bare: serde_yaml::Value = serde_yaml::from_str(list).unwrap();
    let by_chance = list.replace("\"1e3\"", "1e3").replace("'08'", "08").replace("\"0o7\"", "0o7");
    let mut lists = vec![list.as_bytes().to_vec(), serde_json::to_vec(&whole).unwrap(), by_chance.into_bytes()];
    // A library that reads other values, such as a text for the number 05, changes them.
    if serde_json::to_value(&bare).unwrap() == whole {
        lists.push(serde_yaml::to_string(&bare).unwrap().into_bytes());
    }
    lists
}

/// What a function that is not built in gets, given back without a change, changes no byte.
#[test]
fn every_package_comes_back_from_a_function_as_it_was() {
    let (mut checked, mut bare) = (0, 0);
    let packages = cases::cases(PACKAGES).into_iter().map(|case| (tree(&files(&case.join("input"))), case));
    for (input, case) in packages.chain([(written(), "files as people write them".into())]) {
        let function = Function { exec: Some("cat".to_owned()), ..Function::default() };
        let single = Single { function, ..Single::default() };
        let Ok(rendering) = Rendering::single(&input, single, Catalog) else { continue };
        let Ok(Turn::Waits(request)) = rendering.clone().step() else { continue };
        for list in unchanged(&request.list) {
            let mut rendering = rendering.clone();
            let answer = String::from_utf8(list.clone()).unwrap();
            rendering.resume(Ok(Answer { list, ..Answer::default() })).unwrap();
            for (path, file) in input.iter() {
                let now = rendering.tree();
                let now = now.get(path).map(|file| text(&file.bytes));
                assert_eq!(now, Some(text(&file.bytes)), "{}/{path} after\n{answer}", case.display());
            }
            assert_eq!(rendering.tree(), input, "{}", case.display());
        }
        checked += 1;
        bare += usize::from(unchanged(&request.list).len() == 4);
    }
    assert!(checked >= 60, "only {checked} packages were given to a function");
    assert!(bare >= 60, "only {bare} packages were given to a function that leaves texts bare");
}

/// Every value of the files of a package, as Kubernetes reads it.
fn values(tree: &FileTree) -> Vec<(String, Vec<serde_json::Value>)> {
    let read = |bytes: &[u8]| YamlFile::parse(bytes, &Limits::default()).unwrap().values().unwrap();
    tree.iter().map(|(path, file)| (path.to_owned(), read(&file.bytes))).collect()
}

/// Resources that go through a pipe are read as they were, and stand as they were where their files end as usual.
#[test]
fn pipes_keep_what_kubernetes_reads() {
    let input = written();
    let list = source(&input, None).unwrap();
    let whole = YamlFile::parse(list.as_bytes(), &Limits::default()).unwrap().value(0).unwrap();
    for list in [list.clone().into_bytes(), serde_json::to_vec(&whole).unwrap()] {
        let output = transfer::files(&list).unwrap();
        assert_eq!(values(&output), values(&input), "{}", text(&list));
    }
    let output = transfer::files(list.as_bytes()).unwrap();
    for path in ["texts.yaml", "booleans.yaml", "keep.yaml"] {
        let now = output.get(path).map(|file| text(&file.bytes));
        assert_eq!(now.as_deref(), WRITTEN.iter().find(|(name, _)| *name == path).map(|(_, text)| *text));
    }
    let documents = transfer::unwrapped(list.as_bytes()).unwrap();
    let sorted = |mut values: Vec<serde_json::Value>| {
        values.sort_by_key(|value| value["metadata"]["name"].to_string());
        values
    };
    let read = YamlFile::parse(documents.as_bytes(), &Limits::default()).unwrap().values().unwrap();
    assert_eq!(
        sorted(read),
        sorted(values(&input).into_iter().flat_map(|(_, values)| values).collect()),
        "{documents}"
    );
}
