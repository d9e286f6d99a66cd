//! What the unified form of a difference says is what git makes of it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "support/dice.rs"]
mod dice;

use std::process::Command;

use dice::Dice;
use loggia::domain::krm::document::to_yaml;
use loggia::domain::krm::{Gvk, Mask, ObjectDiff, Schemas};
use serde_json::{Value, json};

fn object(dice: &mut Dice) -> Value {
    let mut data = serde_json::Map::new();
    for number in 0..30 {
        if dice.percent(85) {
            let value = if dice.percent(80) { json!("same") } else { json!(format!("v{}\nw", dice.below(3))) };
            data.insert(format!("key{number:02}"), value);
        }
    }
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data})
}

#[test]
fn git_applies_it() {
    let schemas = Schemas::builtin();
    let (schema, _) = schemas.lookup(&Gvk::new("", "v1", "ConfigMap"));
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let (old, new) = (object(&mut dice), object(&mut dice));
        let unified = ObjectDiff::new(&old, &new, schema, &Mask::opaque()).unified();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), to_yaml(&old)).unwrap();
        let patch: String = unified.lines().skip(2).map(|line| format!("{line}\n")).collect();
        std::fs::write(dir.path().join("patch"), format!("--- a/file\n+++ b/file\n{patch}")).unwrap();
        let done = Command::new("git").args(["apply", "patch"]).current_dir(dir.path()).output().unwrap();
        assert!(done.status.success(), "seed {seed}: {}\n{unified}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(std::fs::read_to_string(dir.path().join("file")).unwrap(), to_yaml(&new), "seed {seed}\n{unified}");
    }
}
