//! Modules written by hand, and one that Go compiles where Go is.

use std::path::PathBuf;
use std::time::Duration;

use super::*;

#[path = "../../../../tests/support/wasm.rs"]
mod wasm;

use wasm::COPY;

/// A command with this body, which has a line to say.
fn command(body: &str) -> String {
    wasm::command("said\\n", body)
}

fn ran(bytes: &[u8], list: &str, limits: &Limits) -> Result<Answer, Failure> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f.wasm");
    std::fs::write(&path, bytes).unwrap();
    run(&path, "f.wasm", list, (limits, &Ending::default()))
}

fn text(source: &str, list: &str, limits: &Limits) -> Result<Answer, Failure> {
    ran(&wat::parse_str(source).unwrap(), list, limits)
}

#[test]
fn a_command_answers_what_it_writes() {
    let list = "kind: ResourceList\n".repeat(500);
    let answer = text(&command(COPY), &list, &Limits::default()).unwrap();
    assert_eq!((String::from_utf8(answer.list).unwrap(), answer.stderr.as_str()), (list, "said\n"));
}

#[test]
fn a_command_that_fails_says_why() {
    let table = [
        ("(call $exit (i32.const 3))", "fn.failed", "f.wasm ended with exit code 3"),
        ("unreachable", "fn.failed", "f.wasm failed: wasm `unreachable` instruction executed"),
        ("(drop (i32.load (i32.const 99999999)))", "fn.failed", "f.wasm failed: out of bounds memory access"),
        ("(drop (i32.div_u (i32.const 1) (i32.const 0)))", "fn.failed", "f.wasm failed: integer divide by zero"),
        (
            "(drop (call $write (i32.const 1) (i32.const -8) (i32.const 1) (i32.const 8)))",
            "fn.failed",
            "f.wasm failed: out of bounds memory access",
        ),
        ("(loop $l (br $l))", "fn.timeout", "f.wasm was stopped: it took more than 1000000 steps"),
    ];
    let limits = Limits { fuel: 1_000_000, ..Limits::default() };
    for (body, code, message) in table {
        let failure = text(&command(body), "", &limits).unwrap_err();
        assert_eq!((failure.code, failure.message.as_str()), (code, message), "{body}");
    }
    assert!(text(&command("(call $exit (i32.const 0))"), "", &limits).unwrap().list.is_empty());
    let failure =
        text(&command("(drop (call $sock (i32.const 0) (i32.const 0) (i32.const 0))) unreachable"), "", &limits);
    assert!(failure.unwrap_err().message.contains("unreachable"), "what is not offered is no trap");
}

#[test]
fn time_memory_and_output_have_limits() {
    let failure = text(&command("(loop $l (br $l))"), "", &Limits { time: Duration::ZERO, ..Limits::default() });
    assert_eq!(failure.unwrap_err().code, "fn.timeout");
    let grow = "(if (i32.ne (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable))";
    let little = Limits { memory: 1 << 20, ..Limits::default() };
    let told = "f.wasm was stopped: it asked for more than 1048576 bytes of memory [fn.memory_limit]";
    assert_eq!(text(&command(grow), "", &little).unwrap_err().to_string(), told);
    assert!(text(&command(grow), "", &Limits::default()).is_err(), "growth is allowed");
    let big = command(COPY).replace("\"memory\") 1", "\"memory\") 1000");
    assert_eq!(text(&big, "", &little).unwrap_err().to_string(), told);
    let failure = text(&command(COPY), &"x".repeat(5000), &Limits { output: 4000, ..Limits::default() }).unwrap_err();
    assert_eq!((failure.code, failure.stderr.as_str()), ("fn.output_limit", "said\n"));
    assert_eq!(failure.list.len(), 4000);
}

#[test]
fn what_is_no_command_is_refused() {
    let fails = |source: &str| text(source, "", &Limits::default()).unwrap_err().message;
    assert!(ran(b"#!/bin/sh\n", "", &Limits::default()).unwrap_err().message.contains("is no module that can be run"));
    let without_start = fails("(module (memory (export \"memory\") 1))");
    assert!(without_start.contains("_start"), "{without_start}");
    assert!(fails("(module (import \"env\" \"f\" (func)) (func (export \"_start\")))").contains("env"));
    assert!(fails("(module (func $f) (start $f) (func (export \"_start\") unreachable))").contains("unreachable"));
    let failure =
        run(&PathBuf::from("/no/such.wasm"), "such.wasm", "", (&Limits::default(), &Ending::default())).unwrap_err();
    assert!(failure.message.starts_with("such.wasm cannot be read: "), "{failure}");
}

#[test]
fn a_module_ends_with_this_process() {
    let ending = Ending::default();
    let word = ending.clone();
    let bytes = wat::parse_str(command("(loop $l (br $l))")).unwrap();
    let limits = Limits { fuel: u64::MAX, ..Limits::default() };
    let running = std::thread::spawn(move || run_bytes(&bytes, "f.wasm", "", (&limits, &ending)));
    word.tell(15);
    let failure = running.join().unwrap().unwrap_err();
    assert_eq!((failure.code, failure.message.as_str()), ("fn.stopped", "f.wasm was stopped: loggia was told to end"));
}

#[test]
fn a_start_function_cannot_run_for_ever() {
    let source = "(module (func $f (loop $l (br $l))) (start $f) (func (export \"_start\")))";
    let limits = Limits { fuel: 1_000_000, ..Limits::default() };
    assert_eq!(text(source, "", &limits).unwrap_err().code, "fn.timeout");
}
