//! Programs and what they print; `tests/starlark.rs` holds the same against the Go interpreter.

use serde_json::json;

use super::program::{LIMITS, run};
use super::value::Limits;

fn printed(source: &str) -> Result<String, String> {
    let ran = run(source, &[], &json!({}), &LIMITS);
    ran.outcome.map(|_| ran.printed).map_err(|fault| fault.message)
}

#[test]
fn hello() {
    assert_eq!(printed("print('a', 1, [1, 2.5, None], {'a': (1,)})"), Ok("a 1 [1, 2.5, None] {\"a\": (1,)}\n".into()));
    let _ = Limits { steps: 1, ..LIMITS };
}

#[test]
fn scratch() {
    let Ok(file) = std::env::var("STAR") else { return };
    let source = std::fs::read_to_string(&file).unwrap();
    let ran = run(&source, &[], &json!({}), &LIMITS);
    std::fs::write(format!("{file}.out"), ran.printed).unwrap();
    if let Err(fault) = ran.outcome {
        panic!("{fault:?}");
    }
}
