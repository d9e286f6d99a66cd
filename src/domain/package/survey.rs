//! Everything that is wrong with a package at once: one stage that fails does not hide what the others find.

use super::check::{Findings, findings};
use super::external::{Answer, Failure, Request};
use super::functions::{Catalog, PREFIX};
use super::ignore::Ignored;
use super::inventory::conflicts;
use super::render::declared;
use super::rendering::{Rendering, Turn};
use crate::domain::source::FileTree;

/// What a survey of a package found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// What is wrong, and what is doubtful.
    pub findings: Findings,
    /// How many objects there are to apply.
    pub objects: usize,
}

/// Reads a package, runs its pipelines with the functions that are built in, and checks every object of it; a function
/// that fails, or is not run, leaves the resources to the next as they were.
#[must_use]
pub fn survey(tree: &FileTree, catalog: Catalog) -> Survey {
    survey_with(tree, catalog, PREFIX, &mut |_| None)
}

/// The same, with what `run` answers for functions that are not built in, `None` for those that it does not run; their
/// short names stand for images behind `prefix`.
pub fn survey_with(
    tree: &FileTree,
    catalog: Catalog,
    prefix: &str,
    run: &mut dyn FnMut(&Request) -> Option<Result<Answer, Failure>>,
) -> Survey {
    let (rendering, mut errors) = Rendering::survey(tree, catalog);
    let mut rendering = rendering.with_prefix(prefix);
    loop {
        let refused = match rendering.step() {
            Ok(Turn::Done) => break,
            Ok(Turn::Ran) => continue,
            Ok(Turn::Waits(request)) => match run(&request).map(|answer| rendering.resume(answer)) {
                None => rendering.refusal(),
                Some(Ok(())) => continue,
                Some(Err(error)) => error,
            },
            Err(error) => error,
        };
        errors.extend(refused.into_problems());
        rendering.skip();
    }
    let (objects, wrong) = declared(rendering.resources());
    let found = findings(rendering.resources());
    let mut told = Vec::new();
    let shared = conflicts(tree, &Ignored::read(tree));
    for problem in errors.into_iter().chain(shared).chain(wrong).chain(found.errors) {
        if !told.contains(&problem) {
            told.push(problem);
        }
    }
    Survey { findings: Findings { errors: told, warnings: found.warnings }, objects: objects.len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::source::File;

    #[test]
    fn no_stage_hides_what_another_finds() {
        let kptfile = "apiVersion: kpt.dev/v1
kind: Kptfile
metadata:
  name: p
infos: {}
pipeline:
  mutators:
  - image: nosuchfn:v1
  - image: set-labels:v0.9
  - image: set-labels
    configPath: missing.yaml
  - image: set-image
  - image: kustomize
  - exec: ./program
  - image: set-annotations
    configMap: {a: b}
";
        let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\n";
        let files = [
            ("Kptfile", kptfile),
            ("a.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: d\nspec:\n  replica: 1\n"),
            ("b.yaml", map),
            ("c.yaml", map),
            ("d.yaml", "a: [\n"),
        ];
        let mut tree = FileTree::new();
        for (path, text) in files {
            tree.insert(path, File::regular(text.as_bytes().to_vec())).unwrap();
        }
        let told = survey(&tree, Catalog).findings.errors;
        let place = |file: &str, code: &str| told.iter().any(|told| told.file == file && told.code == code);
        for (file, code) in [
            ("Kptfile", "kptfile.unknown_field"),
            ("Kptfile", "fn.unknown"),
            ("Kptfile", "fn.unknown_tag"),
            ("Kptfile", "fn.config_missing"),
            ("Kptfile", "fn.failed"),
            ("Kptfile", "fn.no_runner"),
            ("Kptfile", "fn.exec_denied"),
            ("a.yaml", "k8s.schema"),
            ("c.yaml", "k8s.duplicate_object"),
            ("d.yaml", "yaml.syntax"),
        ] {
            assert!(place(file, code), "{file} {code} is not in {told:#?}");
        }
    }

    #[test]
    fn a_folder_without_a_readable_kptfile_is_told_once() {
        for (text, code) in [(None, "kptfile.missing"), (Some("a: [\n"), "yaml.syntax")] {
            let mut tree = FileTree::new();
            if let Some(text) = text {
                tree.insert("Kptfile", File::regular(text.as_bytes().to_vec())).unwrap();
            }
            let told = survey(&tree, Catalog).findings.errors;
            assert_eq!(told.iter().map(|told| told.code).collect::<Vec<_>>(), [code]);
        }
    }
}
