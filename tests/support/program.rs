//! The program as a person runs it: in a folder of its own, with what it said.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test uses its own part of this, and stops at the first surprise"
)]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

#[path = "script.rs"]
mod script;

/// A folder that goes away with the test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Writes a file, its folders too.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a program that may be run.
    pub(crate) fn program(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        script::script(&path, text);
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Replaces what a file must hold, once.
    pub(crate) fn edit(&self, path: &str, old: &str, new: &str) {
        let text = self.read(path);
        assert!(text.contains(old), "{old:?} is not in {text}");
        fs::write(self.path(path), text.replacen(old, new, 1)).unwrap();
    }

    /// A copy of an example package, here.
    pub(crate) fn example(&self, name: &str) -> PathBuf {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo/blueprints").join(name);
        fs::create_dir(self.path(name)).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, self.path(name).join(path.file_name().unwrap())).unwrap();
        }
        self.path(name)
    }

    /// Loggia, started here, with a cache of its own and nothing of this machine's settings.
    pub(crate) fn loggia(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loggia"));
        command.current_dir(self.root()).env("XDG_CACHE_HOME", self.path("cache"));
        let own = std::env::vars_os().map(|(name, _)| name);
        for setting in own.filter(|name| name.as_encoded_bytes().starts_with(b"LOGGIA_")) {
            command.env_remove(setting);
        }
        for setting in [
            "KUBECONFIG",
            "DOCKER_CONFIG",
            "POD_NAME",
            "KRM_FN_RUNTIME",
            "KPT_FN_RUNTIME",
            "KPT_CACHE_DIR",
            "KPT_IMAGE_PREFIX",
            "KPT_EXTERNAL_DIFF",
            "KPT_EXTERNAL_DIFF_OPTS",
        ] {
            command.env_remove(setting);
        }
        command
    }
}

/// What the program said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Runs a command with an input.
    pub(crate) fn after(command: &mut Command, input: &str) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_owned();
        let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Self::of(output)
    }

    /// It has to have succeeded.
    pub(crate) fn fine(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    /// It has to have failed, with these words.
    pub(crate) fn failed(self, words: &[&str]) -> Self {
        assert_eq!(self.code, 2, "{}{}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in {}", self.err);
        }
        self
    }
}
