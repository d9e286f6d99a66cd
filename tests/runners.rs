//! Functions that are not native, as a script runs them: WASM modules, and function runners over gRPC.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "support/program.rs"]
mod program;
#[path = "support/registry.rs"]
mod registry;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use program::{Folder, Said};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap # kept\nmetadata:\n  name: settings\ndata:\n  level: \"info\"\n";

/// A command that copies its input to its output, in the text form of WASM.
const COPY: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (block $done (loop $more
      (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 8192))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br_if $done (i32.eqz (i32.load (i32.const 8))))
      (i32.store (i32.const 4) (i32.load (i32.const 8)))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br $more)))))"#;

/// A function as people write it in Go: it sets a value, and says so.
const GO: &str = r#"package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	list, err := io.ReadAll(os.Stdin)
	if err != nil || len(os.Environ()) > 0 {
		fmt.Fprintln(os.Stderr, "unexpected", err, os.Environ())
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, "changed", strings.Count(string(list), "level"))
	fmt.Print(strings.ReplaceAll(string(list), "info", "debug"))
}
"#;

/// A package with one function, `exec` or `image`.
fn package(function: &str) -> Folder {
    let folder = Folder::new();
    let kptfile = format!(
        "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: pkg\npipeline:\n  mutators:\n  - {function}\n"
    );
    folder.write("pkg/Kptfile", &kptfile);
    folder.write("pkg/map.yaml", MAP);
    folder
}

fn render(folder: &Folder, flags: &[&str]) -> Said {
    let mut command = folder.loggia();
    command.args(["fn", "render", "pkg"]).args(flags).env("PATH", "/nowhere").env_remove("LOGGIA_FUNCTION_RUNNER");
    Said::after(&mut command, "")
}

#[test]
fn a_wasm_module_is_run_by_its_file() {
    let folder = package("exec: copy.wasm");
    std::fs::write(folder.path("copy.wasm"), wat::parse_str(COPY).unwrap()).unwrap();
    render(&folder, &["--allow-alpha-wasm"]).fine();
    assert_eq!(folder.read("pkg/map.yaml"), MAP);
    render(&folder, &[]).failed(&["fn.exec_denied"]);
    let trap = "(module (memory (export \"memory\") 1) (func (export \"_start\") unreachable))";
    std::fs::write(folder.path("copy.wasm"), wat::parse_str(trap).unwrap()).unwrap();
    render(&folder, &["--allow-alpha-wasm"]).failed(&["pkg/Kptfile:7: copy.wasm: it failed: ", "[fn.failed]"]);
    std::fs::remove_file(folder.path("copy.wasm")).unwrap();
    render(&folder, &["--allow-alpha-wasm"]).failed(&["copy.wasm: it cannot be read"]);
}

#[test]
fn a_wasm_image_says_how_to_get_it() {
    let folder = package("image: 127.0.0.1:1/wasm/f:v1");
    let words = [
        "127.0.0.1:1/wasm/f:v1 is not built in",
        "[oci.unreachable]",
        "GOOS=wasip1",
        "kpt alpha wasm push",
        "[fn.no_runner]",
    ];
    render(&folder, &["--allow-alpha-wasm"]).failed(&words);
}

#[test]
fn a_function_in_go_runs_as_wasm() {
    let folder = package("exec: go.wasm");
    folder.write("main.go", GO);
    let built = Command::new("go")
        .args(["build", "-o", "go.wasm", "main.go"])
        .current_dir(folder.root())
        .envs([("GOOS", "wasip1"), ("GOARCH", "wasm"), ("GOTOOLCHAIN", "local"), ("GO111MODULE", "off")])
        .status();
    if !built.is_ok_and(|status| status.success()) {
        println!("not run: no go that builds for wasip1 is on the PATH");
        return;
    }
    let said = render(&folder, &["--allow-alpha-wasm"]).fine();
    assert!(said.err.contains("Stderr: changed 1"), "{}", said.err);
    assert_eq!(folder.read("pkg/map.yaml"), MAP.replace("\"info\"", "debug"));
}

/// `loggia fn serve`, ended with the test.
struct Runner {
    child: Child,
    address: String,
}

impl Runner {
    fn start(folder: &Folder) -> Self {
        let mut command = folder.loggia();
        command.args(["fn", "serve", "--listen", "127.0.0.1:0"]).stderr(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split(" on ").nth(1).and_then(|rest| rest.split(';').next());
        Self { address: address.unwrap_or_else(|| panic!("{line}")).to_owned(), child }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_function_runner_is_asked_before_containers() {
    let folder = package("image: example.com/f:v1");
    let runner = Runner::start(&folder);
    // It does not have that function either, and containers are next.
    let lacks = format!("the function runner {} does not have example.com/f:v1; ", runner.address);
    let words = [lacks.as_str(), "example.com/f:v1 is not built in", "docker, podman, nerdctl is not on the PATH"];
    render(&folder, &["--function-runner", &runner.address]).failed(&words);
    let gone = runner.address.clone();
    drop(runner);
    render(&folder, &["--function-runner", &gone]).failed(&["cannot be reached", "[fn.no_runner]"]);
}

/// Google's gRPC as the other side: `tests/tools/packages/evaluator`.
struct Judge {
    child: Child,
    address: String,
}

impl Judge {
    fn start() -> Option<Self> {
        let mut command = Command::new(registry::tool("evaluator")?);
        let mut child = command.arg("serve").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Some(Self { child, address: line.trim().to_owned() })
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn a_runner_that_others_wrote_is_understood() {
    let Some(judge) = Judge::start() else { return };
    let runner = ["--function-runner", &judge.address];
    let folder = package("image: example.com/replace:v1");
    let said = render(&folder, &runner).fine();
    assert!(said.err.contains("Stderr: replaced 1"), "{}", said.err);
    assert_eq!(folder.read("pkg/map.yaml"), MAP.replace("\"info\"", "debug"));
    let fails = package("image: example.com/fail:v1");
    render(&fails, &runner).failed(&["the function example.com/fail:v1 failed: no level", "(Internal)", "[fn.failed]"]);
    let other = package("image: example.com/other:v1");
    render(&other, &runner)
        .failed(&["example.com/other:v1 is not built in", "docker, podman, nerdctl is not on the PATH"]);
    // Larger than what gRPC takes unless it is told otherwise: 4 MiB.
    let large = package("image: example.com/replace:v1");
    for number in 0..6 {
        let text = MAP.replace("settings", &format!("large{number}"));
        let text = text.replace("info", &format!("info{}", "x".repeat(1 << 20)));
        large.write(&format!("pkg/large{number}.yaml"), &text);
    }
    render(&large, &runner).fine();
    assert!(large.read("pkg/large5.yaml").contains("debugx"));
}

#[test]
fn our_runner_is_understood_by_others() {
    let Some(program) = registry::tool("evaluator") else { return };
    let folder = Folder::new();
    let runner = Runner::start(&folder);
    let ask = |arguments: &[&str], input: &str| Said::after(Command::new(&program).args(arguments), input);
    let list = |data: &str| {
        format!(
            "apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n- apiVersion: v1\n  kind: ConfigMap # kept\n  \
             metadata:\n    name: a\nfunctionConfig: {{apiVersion: v1, kind: ConfigMap, data: {{{data}}}}}\n"
        )
    };
    let call = |image: &str, data: &str| ask(&["call", &runner.address, image], &list(data));
    let done = call("ghcr.io/kptdev/krm-functions-catalog/set-labels:v0.2.0", "tier: edge").fine();
    assert!(done.out.contains("kind: ConfigMap # kept\n") && done.out.contains("tier: edge"), "{}", done.out);
    for (image, data, words) in
        [("example.com/f:v1", "a: b", "NotFound: example.com/f:v1 is not built in"), ("set-labels", "", "Internal: ")]
    {
        let said = call(image, data);
        assert!(said.code == 1 && said.err.starts_with(words), "{}", said.err);
    }
    let said = ask(&["call", &runner.address, "set-labels"], "a: [");
    assert!(said.code == 1 && said.err.starts_with("InvalidArgument: "), "{}", said.err);
    assert_eq!(ask(&["health", &runner.address], "").fine().out, "SERVING\n");
}
