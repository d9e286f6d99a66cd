//! The context of a package: a `ConfigMap` with the package's name, which functions such as `set-namespace` read.
//!
//! Source: kpt's `builtins/gen-pkg-context`.

use serde_json::{Value, json};

use super::Problem;
use super::ignore::Ignored;
use super::layout::Layout;
use super::render::RenderError;
use super::resources::{Place, Resources};
use crate::domain::krm::document::to_yaml;
use crate::domain::source::{File, FileTree};

/// Its file.
pub const FILE: &str = "package-context.yaml";
/// Its name.
const NAME: &str = "kptfile.kpt.dev";

/// The name in the context of a package that is not deployed.
pub const ABSTRACT: &str = "example";

/// The context of a package of this name, as kpt writes it.
#[must_use]
pub fn of(name: &str) -> String {
    let head = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {NAME}\n  annotations:\n");
    let data = to_yaml(&json!({"data": {"name": name}}));
    format!("{head}    config.kubernetes.io/local-config: \"true\"\n{data}")
}

/// The package as one that is deployed, as `kpt pkg get --for-deployment` writes it: it and each of its subpackages
/// have a context of their own.
///
/// # Errors
/// [`RenderError::Problems`], all of them.
pub fn for_deployment(tree: &FileTree) -> Result<FileTree, RenderError> {
    let wrong = |problems| RenderError::Problems { problems };
    let layout = Layout::read(tree)?;
    let mut resources = Resources::read(tree, &Ignored::read(tree)).map_err(wrong)?;
    let old: Vec<Place> = resources.all().into_iter().filter(|place| is_context(&resources.value(place))).collect();
    for place in old.iter().rev() {
        let failed = |error: crate::domain::krm::document::EditError| {
            wrong(vec![Problem::new("fn.edit", &place.file, 1, error.to_string())])
        };
        resources.remove_document(place).map_err(failed)?;
    }
    let mut tree = resources.written(tree);
    for package in layout.inner_first() {
        let directory = &package.directory;
        let path = if directory.is_empty() { FILE.to_owned() } else { format!("{directory}/{FILE}") };
        // A constant that is allowed, in a directory of the tree.
        let _ = tree.insert(path, File::regular(of(&package.kptfile.name).into_bytes()));
    }
    Ok(tree)
}

fn is_context(value: &Value) -> bool {
    let is = |pointer: &str, text: &str| value.pointer(pointer).and_then(Value::as_str) == Some(text);
    is("/apiVersion", "v1") && is("/kind", "ConfigMap") && is("/metadata/name", NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_its_own_context() {
        let kptfile = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: mine\n";
        let other = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: other # stays\n";
        let old = of("example");
        let files = [
            ("Kptfile", kptfile.to_owned()),
            (FILE, old.clone()),
            ("both.yaml", format!("{old}---\n{other}")),
            ("sub/Kptfile", kptfile.replace("mine", "inner")),
            ("bare/Kptfile", kptfile.replace("mine", "bare")),
            ("sub/package-context.yaml", old),
        ];
        let mut tree = FileTree::new();
        for (path, text) in files {
            tree.insert(path, File::regular(text.into_bytes())).unwrap();
        }
        let done = for_deployment(&tree).unwrap();
        let paths: Vec<&str> = done.iter().map(|(path, _)| path).collect();
        let of_bare = "bare/package-context.yaml";
        let of_sub = "sub/package-context.yaml";
        assert_eq!(paths, ["Kptfile", "bare/Kptfile", of_bare, "both.yaml", FILE, "sub/Kptfile", of_sub]);
        for (file, name) in [(FILE, "mine"), (of_bare, "bare"), (of_sub, "inner")] {
            assert_eq!(done.get(file).unwrap().bytes.as_ref(), of(name).as_bytes());
        }
        assert_eq!(done.get("both.yaml").unwrap().bytes.as_ref(), other.as_bytes());
        assert!(for_deployment(&FileTree::new()).is_err());
    }
}
