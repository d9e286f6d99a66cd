//! Images in real containers: with each engine that is here and answers. What they are not given is judged from inside.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says what it did not run"
)]

#[path = "support/program.rs"]
mod program;

use std::process::{Command, Stdio};
use std::time::Instant;

use program::{Folder, Said};

/// What a value asks for is done; what may be done here is said.
const FUNCTION: &str = r#"package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

func main() {
	input, _ := io.ReadAll(os.Stdin)
	list, links := string(input), []string{}
	interfaces, _ := net.Interfaces()
	for _, link := range interfaces {
		links = append(links, link.Name)
	}
	root, tmp := os.WriteFile("/file", nil, 0o600), os.WriteFile("/tmp/file", nil, 0o600)
	fmt.Fprintln(os.Stderr, "user", os.Getuid(), os.Getgid(), "links", links, "root", root != nil, "tmp", tmp == nil)
	switch {
	case strings.Contains(list, "value: sleep"):
		time.Sleep(time.Hour)
	case strings.Contains(list, "value: eat"):
		for eaten := [][]byte{}; ; {
			eaten = append(eaten, []byte(strings.Repeat("x", 1<<24)))
		}
	case strings.Contains(list, "value: talk"):
		for {
			fmt.Println(strings.Repeat("x", 1<<16))
		}
	case strings.Contains(list, "value: fail"):
		os.Exit(3)
	}
	fmt.Print(strings.ReplaceAll(list, "value: old", "value: new"))
}
"#;

const MAP: &str = "apiVersion: v1\nkind: ConfigMap # kept\nmetadata:\n  name: settings\ndata:\n  value: old\n";

/// An engine that runs containers here, and an image of one program.
struct Engine {
    name: &'static str,
    image: String,
    folder: Folder,
}

impl Engine {
    /// None when the engine is not here, or runs nothing.
    fn new(name: &'static str) -> Option<Self> {
        let folder = Folder::new();
        folder.write("main.go", FUNCTION);
        let go = Command::new("go")
            .args(["build", "-o", "function", "main.go"])
            .current_dir(folder.root())
            .envs([("CGO_ENABLED", "0"), ("GOTOOLCHAIN", "local"), ("GO111MODULE", "off")])
            .status();
        let image = format!("localhost/loggia-test-{}/function:v1", std::process::id());
        let engine = Self { name, image, folder };
        let tar = Command::new("tar").args(["-cf", "image.tar", "function"]).current_dir(engine.folder.root()).status();
        let is_made = go.is_ok_and(|status| status.success()) && tar.is_ok_and(|status| status.success());
        let imports = ["import", "--change", "ENTRYPOINT [\"/function\"]", "image.tar", &engine.image.clone()];
        // Whether it runs anything at all is not about Loggia.
        let runs = is_made && engine.does(&imports) && engine.does(&["run", "--rm", &engine.image]);
        if !runs {
            println!("not run: {name} runs no containers here");
        }
        runs.then_some(engine)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.name);
        command.args(arguments).current_dir(self.folder.root()).stdin(Stdio::null());
        command
    }

    fn does(&self, arguments: &[&str]) -> bool {
        self.command(arguments).output().is_ok_and(|output| output.status.success())
    }

    fn render(&self, value: &str, image: &str, flags: &[&str]) -> Said {
        let kptfile = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: pkg\npipeline:\n  mutators:\n";
        self.folder.write("pkg/Kptfile", &format!("{kptfile}  - image: {image}\n"));
        self.folder.write("pkg/map.yaml", &MAP.replace("old", value));
        let mut command = self.folder.loggia();
        command.args(["fn", "render", "pkg"]).args(flags).env("KRM_FN_RUNTIME", self.name);
        Said::after(&mut command, "")
    }

    fn containers(&self) -> String {
        let output = self.command(&["ps", "-a", "--format", "{{.Names}}"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.does(&["rmi", "-f", &self.image]);
    }
}

fn judge(name: &'static str) {
    let Some(engine) = Engine::new(name) else { return };
    let image = engine.image.clone();
    let said = engine.render("old", &image, &[]).fine();
    assert!(said.err.contains("user 65534 65534 links [lo] root true tmp true"), "{name}: {}", said.err);
    assert_eq!(engine.folder.read("pkg/map.yaml"), MAP.replace("old", "new"));

    let began = Instant::now();
    engine.render("sleep", &image, &["--function-timeout", "5s"]).failed(&["longer than 5s", "[fn.timeout]"]);
    assert!(began.elapsed().as_secs() < 60, "{name}");
    engine.render("eat", &image, &["--function-memory", "100Mi"]).failed(&["104857600 bytes", "[fn.memory_limit]"]);
    engine.render("talk", &image, &["--function-output", "1Mi"]).failed(&["1048576 bytes", "[fn.output_limit]"]);
    engine.render("fail", &image, &[]).failed(&["ended with exit code 3 [fn.failed]"]);
    let missing = image.replace("function:v1", "nothing:v1");
    engine.render("old", &missing, &["--image-pull-policy", "never"]).failed(&["exit code 125", "[fn.no_runner]"]);
    assert!(!engine.containers().contains("loggia-fn-"), "{name}: {}", engine.containers());
}

#[test]
fn podman_runs_functions_and_gives_them_nothing() {
    judge("podman");
}

#[test]
fn docker_runs_functions_and_gives_them_nothing() {
    judge("docker");
}
