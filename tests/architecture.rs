//! The direction of dependencies is a test: every source file is parsed, every `crate::` and `super::` path is
//! resolved, and an edge that the table does not hold fails, as do effects inside `domain`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// Layer, and the layers it may name besides itself. Engine and adapters never meet.
const ALLOWED: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["app", "serve", "engine", "config", "domain", "ports", "cluster", "telemetry"]),
    ("app", &["adapters", "apiserver", "cluster", "config", "domain", "engine", "ports", "serve", "telemetry"]),
    ("serve", &["engine", "telemetry", "domain"]),
    ("engine", &["ports", "cluster", "telemetry", "domain"]),
    ("adapters", &["ports", "cluster", "domain"]),
    ("cluster", &["domain"]),
    ("ports", &["domain"]),
    ("apiserver", &["domain"]),
    ("telemetry", &["domain"]),
    ("config", &["domain"]),
    ("domain", &[]),
];

/// Paths that make a decision depend on anything but its arguments.
const EFFECTS: &[&str] = &[
    "tokio",
    "kube::Client",
    "kube::client",
    "kube::runtime",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::time::SystemTime",
    "std::time::Instant",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "tracing",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "Timestamp::now",
    "SystemTime::now",
    "Instant::now",
];

struct File {
    path: PathBuf,
    module: Vec<String>,
}

fn files() -> Vec<File> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| {
            let relative = path.strip_prefix(&root).unwrap().with_extension("");
            let mut module: Vec<String> = relative.iter().map(|p| p.to_str().unwrap().to_owned()).collect();
            if module.last().is_some_and(|last| last == "mod") {
                module.pop();
            }
            File { path, module }
        })
        .collect()
}

/// Collects paths as written in `use` trees, expressions and types, with the module they stand in.
struct Paths {
    module: Vec<String>,
    in_test: usize,
    found: BTreeSet<Vec<String>>,
}

impl Paths {
    fn add(&mut self, path: Vec<String>) {
        if self.in_test == 0 {
            let absolute = self.absolute(path);
            self.found.insert(absolute);
        }
    }

    fn absolute(&self, mut path: Vec<String>) -> Vec<String> {
        let mut base = self.module.clone();
        if path.first().is_some_and(|p| p == "self") {
            path.remove(0);
            return prefixed(base, path);
        }
        if path.first().is_some_and(|p| p == "super") {
            while path.first().is_some_and(|p| p == "super") {
                path.remove(0);
                base.pop();
            }
            return prefixed(base, path);
        }
        path
    }

    fn use_tree(&mut self, prefix: &[String], tree: &syn::UseTree) {
        let mut path = prefix.to_vec();
        match tree {
            syn::UseTree::Path(p) => {
                path.push(p.ident.to_string());
                self.use_tree(&path, &p.tree);
            }
            syn::UseTree::Name(n) => {
                path.push(n.ident.to_string());
                self.add(path);
            }
            syn::UseTree::Rename(r) => {
                path.push(r.ident.to_string());
                self.add(path);
            }
            syn::UseTree::Glob(_) => self.add(path),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.use_tree(&path, item)),
        }
    }
}

fn prefixed(base: Vec<String>, path: Vec<String>) -> Vec<String> {
    std::iter::once("crate".to_owned()).chain(base).chain(path).collect()
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes
        .iter()
        .any(|a| a.path().is_ident("cfg") && a.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test")))
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.in_test += usize::from(is_test(&item.attrs));
        self.use_tree(&[], &item.tree);
        self.in_test -= usize::from(is_test(&item.attrs));
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.in_test += usize::from(is_test(&item.attrs));
        if item.content.is_some() {
            self.module.push(item.ident.to_string());
            syn::visit::visit_item_mod(self, item);
            self.module.pop();
        }
        self.in_test -= usize::from(is_test(&item.attrs));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add(path.segments.iter().map(|s| s.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }
}

/// A file that only tests use, such as `foo/tests.rs` behind `#[cfg(test)] mod tests;`.
fn only_for_tests(module: &[String]) -> bool {
    module.iter().any(|part| part == "tests" || part == "testing")
}

fn paths_of(file: &File) -> BTreeSet<Vec<String>> {
    let text = fs::read_to_string(&file.path).unwrap();
    let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.path.display()));
    let mut paths = Paths { module: file.module.clone(), in_test: 0, found: BTreeSet::new() };
    paths.visit_file(&parsed);
    paths.found
}

#[test]
fn dependencies_point_inwards() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in files().iter().filter(|f| f.module != ["lib"] && !only_for_tests(&f.module)) {
        let layer = file.module[0].as_str();
        let may = allowed.get(layer).unwrap_or_else(|| panic!("{layer} is in no layer of the table"));
        for path in paths_of(file) {
            let Some(target) = path.strip_prefix(["crate".to_owned()].as_slice()).and_then(|rest| rest.first()) else {
                continue;
            };
            seen += 1;
            if target != layer && allowed.contains_key(target.as_str()) && !may.contains(&target.as_str()) {
                wrong.push(format!("{}: {layer} may not name {}", file.path.display(), path.join("::")));
            }
        }
    }
    assert!(seen > 100, "the test looked at {seen} paths only: it does not see the code");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Modules beside the adapters that are none: what several of them need of this machine. They may name no adapter
/// either.
const SHARED: &[&str] = &["family", "keeper", "program", "reach", "scratch"];

#[test]
fn adapters_never_import_each_other() {
    let mut wrong = Vec::new();
    for file in files().iter().filter(|f| f.module.len() > 1 && f.module[0] == "adapters" && !only_for_tests(&f.module))
    {
        for path in paths_of(file) {
            let other = path.get(2).filter(|_| path[0] == "crate" && path.get(1).is_some_and(|p| p == "adapters"));
            if other.is_some_and(|other| *other != file.module[1] && !SHARED.contains(&other.as_str())) {
                wrong.push(format!("{}: {}", file.path.display(), path.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_domain_is_pure() {
    let mut wrong = Vec::new();
    for file in files().iter().filter(|f| f.module[0] == "domain" && !only_for_tests(&f.module)) {
        for path in paths_of(file) {
            let text = path.join("::");
            if EFFECTS.iter().any(|effect| text == *effect || text.starts_with(&format!("{effect}::"))) {
                wrong.push(format!("{}: {text}", file.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_test_file_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in files() {
        let stem = file.path.file_stem().unwrap();
        if stem != "tests" {
            continue;
        }
        let parent = file.path.parent().unwrap();
        let owners = [parent.join("mod.rs"), parent.with_extension("rs")];
        let declared = owners.iter().filter_map(|p| fs::read_to_string(p).ok()).any(|text| text.contains("mod tests;"));
        assert!(declared, "{} belongs to no module", file.path.strip_prefix(root).unwrap().display());
    }
}
