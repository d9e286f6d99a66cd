//! The packages of `tests/upgrades`, updated and compared byte for byte with what is expected of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use loggia::domain::package::upgrade::{OnConflict, Strategy, Taken, Trees, upgrade};
use loggia::domain::source::{File, FileTree};

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrades");
    let mut cases: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.is_dir());
    cases.sort();
    cases
}

fn files(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn tree(root: &Path) -> FileTree {
    let mut tree = FileTree::new();
    for (path, text) in files(root) {
        tree.insert(path, File::regular(text.into_bytes())).unwrap();
    }
    tree
}

fn how(case: &Path) -> (Strategy, OnConflict) {
    let text = fs::read_to_string(case.join("how.txt")).unwrap_or_default();
    let said = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim().to_owned();
    let on_conflict = match said("on-conflict:").as_str() {
        "local" => OnConflict::Local,
        "fail" => OnConflict::Fail,
        "" | "upstream" => OnConflict::Upstream,
        other => panic!("{}: {other}", case.display()),
    };
    let strategy = said("strategy:");
    assert!(strategy.is_empty() || Strategy::of(&strategy).name() == strategy, "{}", case.display());
    (Strategy::of(&strategy), on_conflict)
}

/// What is wrong with a case.
fn check(case: &Path) -> Vec<String> {
    let wanted = |name: &str| fs::read_to_string(case.join(name)).ok();
    let [origin, updated, local] = ["origin", "updated", "local"].map(|version| tree(&case.join(version)));
    let (strategy, on_conflict) = how(case);
    let trees = Trees { origin: &origin, updated: &updated, local: &local };
    let done = match (upgrade(&trees, strategy, on_conflict), wanted("error.txt")) {
        (Err(error), Some(wanted)) if format!("{error}\n") == wanted => return Vec::new(),
        (Err(error), wanted) => return vec![format!("failed with\n{error}\nexpected\n{}", wanted.unwrap_or_default())],
        (Ok(_), Some(wanted)) => return vec![format!("did not fail with\n{wanted}")],
        (Ok(done), None) => done,
    };
    let mut wrong = differences(&files(&case.join("expected")), &done.tree);
    let took = |taken: Taken| if taken == Taken::Upstream { "took upstream" } else { "kept local" };
    let conflicts: String = done.conflicts.iter().map(|it| format!("{it}; {}\n", took(it.taken))).collect();
    let notes: String = done.notes.iter().map(|note| format!("{note}\n")).collect();
    for (name, told) in [("conflicts.txt", conflicts), ("notes.txt", notes)] {
        let wanted = wanted(name).unwrap_or_default();
        if told != wanted {
            wrong.push(format!("{name} is\n{told}expected\n{wanted}"));
        }
    }
    wrong
}

fn differences(wanted: &BTreeMap<String, String>, tree: &FileTree) -> Vec<String> {
    let found: BTreeMap<String, String> =
        tree.iter().map(|(path, file)| (path.to_owned(), String::from_utf8(file.bytes.to_vec()).unwrap())).collect();
    let names: std::collections::BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let shown = |text: Option<&String>| text.map_or("(no such file)\n", String::as_str).to_owned();
    names
        .into_iter()
        .filter(|name| wanted.get(*name) != found.get(*name))
        .map(|name| format!("{name} is\n{}expected\n{}", shown(found.get(name)), shown(wanted.get(name))))
        .collect()
}

#[test]
fn every_package_is_updated_to_what_is_expected() {
    let cases = cases();
    assert!(cases.len() >= 40, "only {} cases were found", cases.len());
    let mut wrong = String::new();
    for case in cases {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        for problem in check(&case) {
            wrong.push_str(&format!("== {name}: {problem}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Every strategy has a case, so that none is forgotten.
#[test]
fn every_strategy_has_a_case() {
    for strategy in Strategy::ALL {
        assert!(cases().iter().any(|case| how(case).0 == strategy), "{}", strategy.name());
    }
}
