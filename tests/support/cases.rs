//! Cases kept as directories: a folder per case, its files, and what differs between files that were made and those
//! expected.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses its own part of this, and stops at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use loggia::domain::source::{File, FileTree};

/// Contents by path.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// The cases below a folder of this repository, by name.
pub(crate) fn cases(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut cases: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.is_dir());
    cases.sort();
    cases
}

/// Every file below a directory; none when there is no such directory.
pub(crate) fn files(root: &Path) -> Files {
    let mut found = Files::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

pub(crate) fn tree(files: &Files) -> FileTree {
    let mut tree = FileTree::new();
    for (path, bytes) in files {
        tree.insert(path.clone(), File::regular(bytes.clone())).unwrap();
    }
    tree
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Each file that is not as it is wanted, with both contents.
pub(crate) fn differences(wanted: &Files, tree: &FileTree) -> Vec<String> {
    let found: Files = tree.iter().map(|(path, file)| (path.to_owned(), file.bytes.to_vec())).collect();
    let names: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let shown = |bytes: Option<&Vec<u8>>| bytes.map_or_else(|| "(no such file)\n".to_owned(), |bytes| text(bytes));
    names
        .into_iter()
        .filter(|name| wanted.get(*name) != found.get(*name))
        .map(|name| format!("{name} is\n{}expected\n{}", shown(found.get(name)), shown(wanted.get(name))))
        .collect()
}

/// Checks every case of a folder, at least `least` of them; fails with every problem of all of them.
pub(crate) fn all_hold(folder: &str, least: usize, check: impl Fn(&Path) -> Vec<String>) {
    let cases = cases(folder);
    assert!(cases.len() >= least, "only {} cases were found", cases.len());
    let mut wrong = String::new();
    for case in cases {
        let name = case.file_name().unwrap().to_str().unwrap().to_owned();
        for problem in check(&case) {
            wrong.push_str(&format!("== {name}: {problem}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
