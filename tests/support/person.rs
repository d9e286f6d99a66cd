//! What a person does: plain git on checkouts of repositories made from the examples.

#![allow(dead_code, reason = "each test uses its own part of this")]

use std::path::{Path, PathBuf};

pub(crate) use super::git::git;

/// The three repositories and a person's checkouts of two of them.
pub(crate) struct Repositories {
    pub(crate) dir: tempfile::TempDir,
}

impl Repositories {
    /// Makes bare repositories from `examples-repo/`; every blueprint is published as `v1`.
    pub(crate) fn from_examples() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo");
        for name in ["intents", "blueprints", "deployments"] {
            git(dir.path(), &["init", "-q", "--bare", &format!("{name}.git")]);
            git(dir.path(), &["clone", "-q", &format!("{name}.git"), name]);
            copy(&examples.join(name), &dir.path().join(name));
            let work = dir.path().join(name);
            git(&work, &["add", "."]);
            git(&work, &["commit", "-qm", "Initial commit"]);
            git(&work, &["push", "-q", "origin", "HEAD:main"]);
        }
        let blueprints = dir.path().join("blueprints");
        for package in ["upf", "amf", "web"] {
            git(&blueprints, &["tag", &format!("{package}/v1")]);
        }
        git(&blueprints, &["push", "-q", "--tags", "origin"]);
        Self { dir }
    }

    pub(crate) fn bare(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.git"))
    }

    pub(crate) fn work(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Commits and pushes an intent of the walkthrough.
    pub(crate) fn commit_intent(&self, walkthrough: &str, message: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo/walkthrough").join(walkthrough);
        let work = self.work("intents");
        std::fs::create_dir_all(work.join("intents")).unwrap();
        std::fs::copy(from, work.join("intents/upf-edge.yaml")).unwrap();
        self.push_intents(message);
    }

    /// Commits an intent of the walkthrough with short windows, for reconcilers with the usual ones.
    pub(crate) fn commit_quick_intent(&self, walkthrough: &str, message: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo/walkthrough").join(walkthrough);
        let text = std::fs::read_to_string(from).unwrap();
        let quick =
            text.replace("  name: upf-edge\n", "  name: upf-edge\n  annotations: {loggia.dev/stable-for: 1s}\n");
        assert_ne!(quick, text);
        let work = self.work("intents");
        std::fs::create_dir_all(work.join("intents")).unwrap();
        std::fs::write(work.join("intents/upf-edge.yaml"), quick).unwrap();
        self.push_intents(message);
    }

    pub(crate) fn push_intents(&self, message: &str) {
        let work = self.work("intents");
        git(&work, &["add", "-A"]);
        git(&work, &["commit", "-q", "--allow-empty", "-m", message]);
        git(&work, &["push", "-q", "origin", "HEAD:main"]);
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}
