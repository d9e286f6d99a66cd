//! Packages that are wrong, on the laptop: exit code 2, the file and what is wrong with it, and nothing is written.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/program.rs"]
mod program;

use std::path::Path;

use program::{Folder, Said};

/// A package made from the example `web`, changed by `spoil`; what `loggia VERB` says of it.
fn told(verb: &str, spoil: impl Fn(&Path)) -> String {
    let folder = Folder::new();
    let package = folder.example("web");
    spoil(&package);
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(&package).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let said = Said::of(folder.loggia().arg(verb).arg(&package).output().unwrap()).failed(&[]);
    assert!(said.out.is_empty(), "{verb} printed a result");
    assert_eq!(names(), before, "{verb} wrote something");
    said.err
}

fn replace(package: &Path, file: &str, old: &str, new: &str) {
    let path = package.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replacen(old, new, 1);
    assert_ne!(changed, text, "{old:?} is not in {file}");
    std::fs::write(path, changed).unwrap();
}

fn both(words: &[&str], spoil: impl Fn(&Path)) {
    for verb in ["render", "validate"] {
        let text = told(verb, &spoil);
        for word in words {
            assert!(text.contains(word), "{verb}: {word:?} is not in {text}");
        }
    }
}

#[test]
fn yaml_that_cannot_be_read_is_told_with_its_line() {
    both(&["service.yaml:"], |package| {
        std::fs::write(package.join("service.yaml"), "kind: Service\n  a: {\n").unwrap();
    });
    both(&["service.yaml:", "kind"], |package| {
        replace(package, "service.yaml", "kind: Service\n", "kind: Service\nkind: Service\n");
    });
}

#[test]
fn a_kptfile_says_what_it_does_not_know() {
    both(&["Kptfile:", "pipelin"], |package| replace(package, "Kptfile", "pipeline:", "pipelin:"));
    both(&["Kptfile", "frobnicate"], |package| replace(package, "Kptfile", "apply-setters", "frobnicate"));
}

#[test]
fn a_setter_without_a_value_is_named() {
    // `web:1` was not made from the pattern, so the other half cannot be read from it either.
    both(&["deployment.yaml:", "registry"], |package| {
        let path = package.join("deployment.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let line = text.lines().find(|line| line.contains("image:")).unwrap();
        let indent = &line[..line.len() - line.trim_start().len()];
        let spoiled = text.replace(line, &format!("{indent}image: web # kpt-set: ${{registry}}/${{image}}"));
        std::fs::write(&path, spoiled).unwrap();
    });
}

#[test]
fn nothing_outside_of_the_package_is_read() {
    both(&["Kptfile", "../secret.yaml"], |package| {
        replace(package, "Kptfile", "configPath: setters.yaml", "configPath: ../secret.yaml");
        std::fs::write(package.parent().unwrap().join("secret.yaml"), "kind: ConfigMap\n").unwrap();
    });
    both(&["link.yaml"], |package| {
        std::os::unix::fs::symlink("/etc/hostname", package.join("link.yaml")).unwrap();
    });
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    both(&["huge.yaml", "104857600 bytes", "limit"], |package| {
        std::fs::File::create(package.join("huge.yaml")).unwrap().set_len(100 << 20).unwrap();
    });
}
