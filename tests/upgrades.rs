//! The packages of `tests/upgrades`, updated and compared byte for byte with what is expected of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "support/cases.rs"]
mod cases;

use std::fs;
use std::path::Path;

use cases::{all_hold, differences, files, tree};
use loggia::domain::package::upgrade::{OnConflict, Strategy, Taken, Trees, upgrade};

const UPGRADES: &str = "tests/upgrades";

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
    let [origin, updated, local] = ["origin", "updated", "local"].map(|version| tree(&files(&case.join(version))));
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

#[test]
fn every_package_is_updated_to_what_is_expected() {
    all_hold(UPGRADES, 40, check);
}

/// Every strategy has a case, so that none is forgotten.
#[test]
fn every_strategy_has_a_case() {
    for strategy in Strategy::ALL {
        assert!(cases::cases(UPGRADES).iter().any(|case| how(case).0 == strategy), "{}", strategy.name());
    }
}
