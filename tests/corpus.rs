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
use loggia::domain::package::{Catalog, Rendered, Rendering, Turn, render};

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

/// What a function that is not built in gets, given back as it is or as JSON without a comment, changes no byte.
#[test]
fn every_package_comes_back_from_a_function_as_it_was() {
    let mut checked = 0;
    for case in cases::cases(PACKAGES) {
        let input = tree(&files(&case.join("input")));
        let function = Function { exec: Some("cat".to_owned()), ..Function::default() };
        let single = Single { function, ..Single::default() };
        let Ok(rendering) = Rendering::single(&input, single, Catalog) else { continue };
        let Ok(Turn::Waits(request)) = rendering.clone().step() else { continue };
        let whole = YamlFile::parse(request.list.as_bytes(), &Limits::default()).unwrap().value(0).unwrap();
        for list in [request.list.clone().into_bytes(), serde_json::to_vec(&whole).unwrap()] {
            let mut rendering = rendering.clone();
            rendering.resume(Ok(Answer { list, ..Answer::default() })).unwrap();
            assert_eq!(rendering.tree(), input, "{}", case.display());
        }
        checked += 1;
    }
    assert!(checked >= 60, "only {checked} packages were given to a function");
}
