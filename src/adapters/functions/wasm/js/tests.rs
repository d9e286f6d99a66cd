//! Modules that Go makes, judged by a real JavaScript engine where there is one, and modules written by hand that do
//! what Go never does.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tempfile::NamedTempFile;

use super::super::run;
use crate::adapters::functions::{Ending, Limits};
use crate::domain::package::external::{Answer, Failure};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/adapters/functions/wasm/js/testdata");

/// A module of this name, by Go; none where Go is not.
fn module(name: &str) -> Option<NamedTempFile> {
    static MODULES: OnceLock<Option<BTreeMap<&str, Vec<u8>>>> = OnceLock::new();
    let modules = MODULES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        ["function", "silent", "late", "short"]
            .map(|name| Some((name, compiled(folder.path(), name)?)))
            .into_iter()
            .collect()
    });
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &modules.as_ref()?[name]).unwrap();
    Some(file)
}

fn compiled(folder: &Path, name: &str) -> Option<Vec<u8>> {
    let module = folder.join(format!("{name}.wasm"));
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&module)
        .arg(format!("{DATA}/{name}.go"))
        .envs([("GOOS", "js"), ("GOARCH", "wasm"), ("GOTOOLCHAIN", "local"), ("GO111MODULE", "off")])
        .output();
    let fine = built.is_ok_and(|built| built.status.success());
    if !fine {
        println!("not run: no go that builds for js is on the PATH");
    }
    fine.then(|| std::fs::read(module).unwrap())
}

fn list(word: &str) -> String {
    format!("kind: ResourceList\ndo: {word}\nvalue: old old\ntext: \"gr\u{fc}n \u{1f600}\"\n")
}

fn ran(module: &Path, word: &str, limits: &Limits) -> Result<Answer, Failure> {
    run(module, "f.wasm", &list(word), (limits, &Ending::default()))
}

fn asked(word: &str) -> Option<Result<Answer, Failure>> {
    Some(ran(module("function")?.path(), word, &Limits::default()))
}

/// What node makes of it, with Go's own host; none where it is not.
fn judged(module: &Path, word: &str) -> Option<Json> {
    let root = Command::new("go").args(["env", "GOROOT"]).output().ok()?;
    let runtime = PathBuf::from(String::from_utf8(root.stdout).ok()?.trim()).join("lib/wasm/wasm_exec.js");
    let mut node = Command::new("node");
    node.arg("--stack-size=50000").arg(format!("{DATA}/host.js")).arg(runtime).arg(module);
    let mut node = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    node.stdin.take()?.write_all(list(word).as_bytes()).ok()?;
    Some(serde_json::from_slice(&node.wait_with_output().ok()?.stdout).unwrap())
}

fn lines(stderr: &str) -> Vec<&str> {
    stderr.lines().collect()
}

#[test]
fn a_javascript_engine_gives_the_same_answers() {
    let Some(function) = module("function") else { return };
    let function = function.path();
    let words = "echo change print goroutines file zone absent script deep nested garbage";
    for word in words.split_whitespace() {
        let Some(judged) = judged(function, word) else { return println!("not run: no node is on the PATH") };
        let answer = ran(function, word, &Limits::default()).unwrap_or_else(|failure| panic!("{word}: {failure:?}"));
        let told = json!({"answer": String::from_utf8(answer.list).unwrap(), "log": lines(&answer.stderr)});
        assert_eq!(told, judged, "{word}");
    }
    for word in ["panic", "exit", "call-absent", "get-of-nothing", "deadlock"] {
        let failure = ran(function, word, &Limits::default()).unwrap_err();
        let judged = judged(function, word).unwrap();
        assert_eq!(json!(failure.exit_code), judged["exit"], "{word}: {failure:?}");
        let said: Vec<&str> = judged["log"].as_array().unwrap().iter().take(2).filter_map(Json::as_str).collect();
        assert_eq!(lines(&failure.stderr).into_iter().take(2).collect::<Vec<_>>(), said, "{word}");
    }
}

#[test]
fn a_function_answers_and_what_it_prints_is_told() {
    let Some(echo) = asked("echo") else { return };
    assert_eq!(String::from_utf8(echo.unwrap().list).unwrap(), list("echo"));
    let changed = asked("change").unwrap().unwrap();
    assert!(String::from_utf8(changed.list).unwrap().contains("value: new-7 new-7\n"));
    let printed = asked("print").unwrap().unwrap();
    assert_eq!(printed.stderr, "begun [function] 0\none\ntwo\nthree 4 true\n");
}

#[test]
fn a_function_that_fails_says_why() {
    let table = [
        ("panic", Some(2), "f.wasm ended with exit code 2", "assignment to entry in nil map"),
        ("exit", Some(7), "f.wasm ended with exit code 7", "begun"),
        ("leave", None, "f.wasm failed: it ended before it answered", "begun"),
        ("fail", None, "f.wasm failed: it answered no ResourceList but \"cannot do it\": no such thing", "begun"),
        ("number", None, "f.wasm failed: its processResourceList answered 1.5, not a text", "begun"),
        ("nothing", None, "f.wasm failed: its processResourceList answered null, not a text", "begun"),
        ("deadlock", Some(2), "f.wasm ended with exit code 2", "all goroutines are asleep"),
        ("call-absent", Some(2), "f.wasm ended with exit code 2", "property nowhere is not a function, got undefined"),
        ("get-of-nothing", Some(2), "f.wasm ended with exit code 2", "call of Value.Get on undefined"),
        ("bottomless", None, "f.wasm failed: its calls go back and forth more than 64 deep", "begun"),
    ];
    for (word, exit_code, message, said) in table {
        let Some(answer) = asked(word) else { return };
        let failure = answer.unwrap_err();
        assert_eq!((failure.code, failure.exit_code), ("fn.failed", exit_code), "{word}");
        assert_eq!(failure.message, message, "{word}");
        assert!(failure.stderr.contains(said), "{word}: {}", failure.stderr);
    }
}

#[test]
fn a_module_that_cannot_be_called_says_so() {
    let Some(silent) = module("silent") else { return };
    let failure = ran(silent.path(), "echo", &Limits::default()).unwrap_err();
    assert_eq!(failure.message, "f.wasm failed: it has no function processResourceList; kpt's functions set one");
    assert_eq!(failure.stderr, "here, but not for you\n");
    let failure = ran(module("short").unwrap().path(), "echo", &Limits::default()).unwrap_err();
    assert_eq!(failure.message, "f.wasm failed: it ended before it could be called");
    let late = ran(module("late").unwrap().path(), "echo", &Limits::default()).unwrap();
    assert_eq!(String::from_utf8(late.list).unwrap(), list("echo"));
}

#[test]
fn steps_time_memory_values_and_output_have_limits() {
    let Some(function) = module("function") else { return };
    let function = function.path();
    let limits = Limits { memory: 64 << 20, fuel: 2_000_000_000, ..Limits::default() };
    let failure = ran(function, "spin", &Limits { fuel: 400_000_000, ..limits }).unwrap_err();
    assert_eq!((failure.code, failure.message.contains("more than 400000000 steps")), ("fn.timeout", true));
    let failure = ran(function, "spin", &Limits { time: Duration::ZERO, ..limits }).unwrap_err();
    assert_eq!((failure.code, failure.message.contains("longer than")), ("fn.timeout", true));
    let failure = ran(function, "memory", &limits).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "f.wasm was stopped: it asked for more than 67108864 bytes of memory [fn.memory_limit]"
    );
    let failure = ran(function, "values", &limits).unwrap_err();
    assert_eq!(failure.message, "f.wasm was stopped: its JavaScript values took more than 67108864 bytes");
    let failure = ran(function, "echo", &Limits { output: 10, ..limits }).unwrap_err();
    assert_eq!((failure.code, failure.list.len()), ("fn.output_limit", 10));
}

#[test]
fn nothing_of_the_world_comes_in() {
    let Some(slept) = asked("sleep") else { return };
    let text = |answer: Answer| serde_json::from_slice::<Json>(&answer.list).unwrap()["answer"].clone();
    assert_eq!(text(slept.unwrap()), json!(true), "days pass at once");
    let (first, second) = (text(asked("rand").unwrap().unwrap()), text(asked("rand").unwrap().unwrap()));
    assert_eq!(first, second, "the same answer twice");
    assert_eq!(first[3], json!(1970));
    assert_ne!(first[0], json!([0_u8; 16].to_vec()));
    let file = text(asked("file").unwrap().unwrap());
    assert_eq!(file, json!([[true, true, true], "open /etc/passwd: ENOSYS", -1]));
}

const DATA_OF_CALL: &str = "(data (i32.const 1024) \"Object\")";

/// A module that calls one import with this stack pointer and these numbers on its stack, and does no more.
fn one_call(from: &str, import: &str, stack: i32, numbers: &[(u64, u64)]) -> String {
    let stores: String = numbers
        .iter()
        .map(|(offset, number)| format!("(i64.store (i32.const {}) (i64.const {number}))\n", 8192 + offset))
        .collect();
    format!(
        "(module
          (import \"{from}\" \"{import}\" (func $call (param i32)))
          (memory (export \"mem\") 1)
          {DATA_OF_CALL}
          (func (export \"run\") (param i32 i32) {stores} (call $call (i32.const {stack})))
          (func (export \"resume\"))
          (func (export \"getsp\") (result i32) (i32.const 8192)))"
    )
}

fn by_hand(text: &str) -> Failure {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), wat::parse_str(text).unwrap()).unwrap();
    ran(file.path(), "echo", &Limits { fuel: 30_000_000, ..Limits::default() }).unwrap_err()
}

/// The bits that name a value of this number.
const fn reference(number: u64) -> u64 {
    0x7ff8_0001 << 32 | number
}

/// Where the global object is, a number that is none, and one that is past everything.
const GLOBAL: u64 = reference(5);
const ONE: u64 = 0x3ff0_0000_0000_0000;
const FAR: u64 = 1 << 62;

/// An import, the stack pointer, what is on the stack, and what is said.
type Row<'r> = (&'r str, i32, &'r [(u64, u64)], &'r str);

#[test]
fn broken_addresses_and_values_are_errors() {
    let outside = "out of bounds memory access";
    let lost = "it names a value that is not there";
    let much = "was stopped: its JavaScript values took more than 536870912 bytes";
    let fine = "it has no function processResourceList";
    let table: &[Row] = &[
        ("syscall/js.valueGet", -8, &[], outside),
        ("syscall/js.valueGet", 65530, &[], outside),
        ("syscall/js.valueGet", 8192, &[(8, reference(4_000_000_000))], lost),
        ("syscall/js.valueGet", 8192, &[(8, reference(7))], lost),
        ("syscall/js.valueGet", 8192, &[(8, ONE)], "it takes \"1\" for an object"),
        ("syscall/js.valueGet", 8192, &[(8, 0)], "it takes \"undefined\" for an object"),
        ("syscall/js.valueGet", 8192, &[(8, GLOBAL), (16, 65530), (24, 7)], outside),
        ("syscall/js.valueGet", 8192, &[(8, GLOBAL), (16, 1024), (24, FAR)], much),
        ("syscall/js.valueGet", 8192, &[(8, GLOBAL), (16, u64::MAX), (24, 2)], outside),
        ("syscall/js.valueGet", 8192, &[(8, GLOBAL), (16, 1024), (24, 6)], fine),
        ("syscall/js.valueSet", 8192, &[(8, GLOBAL), (16, 1024), (24, 6), (32, reference(99))], lost),
        ("syscall/js.valueDelete", 8192, &[(8, GLOBAL), (16, 1024), (24, 6)], fine),
        ("syscall/js.valueIndex", 8192, &[(8, GLOBAL), (16, u64::MAX)], fine),
        ("syscall/js.valueSetIndex", 8192, &[(8, GLOBAL), (16, FAR), (24, ONE)], fine),
        ("syscall/js.valueLength", 8192, &[(8, GLOBAL)], fine),
        ("syscall/js.valueLength", 8192, &[(8, ONE)], "it takes \"1\" for an object"),
        ("syscall/js.valueCall", 8192, &[(8, GLOBAL), (16, 1024), (24, 6), (40, FAR)], much),
        ("syscall/js.valueCall", 8192, &[(8, GLOBAL), (16, 1024), (24, 6), (32, 65535), (40, 1)], outside),
        ("syscall/js.valueCall", 8192, &[(8, ONE), (16, 1024), (24, 6)], fine),
        ("syscall/js.valueInvoke", 8192, &[(8, ONE)], fine),
        ("syscall/js.valueNew", 8192, &[(8, GLOBAL)], fine),
        ("syscall/js.valuePrepareString", 8192, &[(8, ONE)], fine),
        ("syscall/js.valueLoadString", 8192, &[(8, ONE)], "it loads a text that is none"),
        ("syscall/js.valueInstanceOf", 8192, &[(8, ONE), (16, ONE)], "of what is no constructor"),
        ("syscall/js.copyBytesToGo", 8192, &[(8, FAR), (16, FAR), (32, ONE)], fine),
        ("syscall/js.copyBytesToJS", 8192, &[(8, GLOBAL), (16, FAR), (24, FAR)], fine),
        ("syscall/js.stringVal", 8192, &[(8, FAR), (16, 1)], outside),
        ("syscall/js.finalizeRef", 8192, &[(8, reference(4_000_000_000))], lost),
        ("syscall/js.finalizeRef", 8192, &[(8, GLOBAL)], fine),
        ("syscall/js.valueFly", 8192, &[], "it calls valueFly, which is not known here"),
        ("runtime.fly", 8192, &[], "it calls runtime.fly, which is not known here"),
        ("runtime.wasmWrite", 8192, &[(8, 1), (16, 0), (24, 0xffff_ffff)], "took more than 30000000 steps"),
        ("runtime.getRandomData", 8192, &[(8, 0), (16, 100_000)], outside),
        ("runtime.getRandomData", 8192, &[(8, 0), (16, FAR)], "took more than 30000000 steps"),
        ("runtime.scheduleTimeoutEvent", 8192, &[(8, u64::MAX)], "took more than 30000000 steps"),
        ("runtime.clearTimeoutEvent", 8192, &[(8, 77)], fine),
        ("runtime.walltime", 65528, &[], outside),
        ("runtime.wasmExit", 8192, &[(8, 3)], "f.wasm ended with exit code 3"),
        ("debug", 8192, &[], fine),
    ];
    for (import, stack, numbers, message) in table {
        let failure = by_hand(&one_call("gojs", import, *stack, numbers));
        assert!(failure.message.contains(message), "{import} {stack} {numbers:?}: {failure}");
        let old = by_hand(&one_call("go", import, *stack, numbers));
        assert_eq!(old.message, failure.message, "{import} by the old name");
    }
}

#[test]
fn what_go_did_not_make_is_refused() {
    let import = "(import \"gojs\" \"debug\" (func $call (param i32)))";
    let table = [
        (format!("(module {import})"), "it exports no memory mem"),
        (format!("(module {import} (memory (export \"mem\") 1))"), "it exports no function getsp"),
        (one_call("gojs", "debug", 0, &[]).replace("\"resume\"", "\"other\""), "it exports no function resume"),
        (one_call("gojs", "debug", 0, &[]).replace("\"run\"", "\"other\""), "it exports no function run"),
        (
            one_call("gojs", "debug", 0, &[]).replace("\"mem\") 1", "\"mem\") 0").replace(DATA_OF_CALL, ""),
            "its memory is too small",
        ),
        (format!("(module {import} (func $f (call $call (i32.const 0))) (start $f))"), "before it is put together"),
        ("(module (import \"gojs\" \"debug\" (func (param i64))))".to_owned(), "debug"),
        (format!("(module {import} (import \"env\" \"f\" (func)))"), "env"),
    ];
    for (text, message) in table {
        let failure = by_hand(&text);
        assert!(failure.message.starts_with("f.wasm failed: ") && failure.message.contains(message), "{failure}");
    }
}
