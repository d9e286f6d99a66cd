//! Resources between programs: a folder as a `ResourceList` or as plain documents, and either as files again.

use std::collections::BTreeMap;

use super::absorb::{check_new, default_path};
use super::bare;
use super::handed::list;
use super::ignore::Ignored;
use super::medium::joined;
use super::render::RenderError;
use super::rendering::Rendering;
use super::resources::Resources;
use super::wire::{self, Item};
use crate::domain::krm::value::text;
use crate::domain::source::{File, FileTree};

/// Why what was read is no list of resources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// It is no list of resources.
    #[error(
        "the resources cannot be read: {0} (give a ResourceList, or YAML documents with --- between them) \
         [fn.input_invalid]"
    )]
    Unreadable(String),
    /// There is no file that a resource may go to.
    #[error("the resources cannot be written: {0} [fn.input_invalid]")]
    Unwritable(String),
}

/// The resources of a folder as a `ResourceList`, with the paths of their files; and with a function's configuration.
///
/// # Errors
/// [`RenderError::Problems`], all of them.
pub fn source(tree: &FileTree, config: Option<&str>) -> Result<String, RenderError> {
    let resources =
        Resources::read(tree, &Ignored::of_folder(tree)).map_err(|problems| RenderError::Problems { problems })?;
    let list = list(&resources)?;
    Ok(match config {
        None => list,
        Some(config) => list + wire::write(&[], Some(config)).split_once("items: []\n").map_or("", |(_, rest)| rest),
    })
}

/// An item's text without what only travels with it.
fn plain(item: &Item) -> String {
    bare::unwrapped(wire::plain(item))
}

/// Resources as plain documents, without what travels with them.
///
/// # Errors
/// [`TransferError`].
pub fn unwrapped(list: &[u8]) -> Result<String, TransferError> {
    let items = wire::read(list).map_err(TransferError::Unreadable)?.items;
    Ok(items.iter().map(plain).collect::<Vec<_>>().join("---\n"))
}

/// Resources as files: each where its path says, in the order of the indices; one without a path goes to
/// `NAMESPACE/KIND_NAME.yaml`. Without the files that it came from, a bare `y` is left as it is, as kpt does, and is
/// what Kubernetes makes of it.
///
/// # Errors
/// [`TransferError`] for what cannot be read and for paths that may not be.
pub fn files(list: &[u8]) -> Result<FileTree, TransferError> {
    let mut files = Files::new();
    for (number, item) in (1..).zip(wire::read(list).map_err(TransferError::Unreadable)?.items) {
        let has = |pointer: &str| !text(&item.value, pointer).is_empty();
        // kpt names a file by the kind or the name alone, too.
        if !(wire::has_path(&item.value) || has("/kind") || has("/metadata/name")) {
            check_new(number, &item.value).map_err(TransferError::Unwritable)?;
        }
        let (path, index) = position(&item);
        files.entry(path).or_default().push((index, plain(&item)));
    }
    put(files)
}

/// The resources of a rendering as files, each text as it stands there.
///
/// # Errors
/// [`TransferError`] for what cannot be written in the form of its file.
pub fn written(rendering: &Rendering) -> Result<FileTree, TransferError> {
    let resources = rendering.resources();
    let mut files = Files::new();
    for place in resources.all() {
        let text = wire::plain(&Item { value: resources.value(&place), text: resources.text(&place) });
        files.entry(place.file).or_default().push((place.index, text));
    }
    put(files)
}

/// Texts of resources with their indices, by file.
type Files = BTreeMap<String, Vec<(usize, String)>>;

fn put(files: Files) -> Result<FileTree, TransferError> {
    let mut tree = FileTree::new();
    for (path, mut texts) in files {
        texts.sort_by_key(|(index, _)| *index);
        let texts: Vec<String> = texts.into_iter().map(|(_, text)| text).collect();
        let bytes = joined(&path, &texts).map_err(|error| TransferError::Unwritable(error.to_string()))?;
        tree.insert(path, File::regular(bytes)).map_err(|error| TransferError::Unwritable(error.to_string()))?;
    }
    Ok(tree)
}

fn position(item: &Item) -> (String, usize) {
    let either = |new: &str, old: &str| {
        wire::annotation(&item.value, new).or_else(|| wire::annotation(&item.value, old)).map(str::to_owned)
    };
    let path = either(wire::PATH, wire::LEGACY_PATH).unwrap_or_else(|| default_path(&item.value));
    let index = either(wire::INDEX, wire::LEGACY_INDEX).and_then(|index| index.parse().ok());
    (path.trim_start_matches("./").to_owned(), index.unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::Catalog;
    use super::super::rendering::Single;
    use super::*;

    fn tree(files: &[(&str, &str)]) -> FileTree {
        let mut tree = FileTree::new();
        for (path, text) in files {
            tree.insert(*path, File::regular(text.as_bytes().to_vec())).unwrap();
        }
        tree
    }

    #[test]
    fn files_come_back_as_they_were() {
        let one = "apiVersion: v1\nkind: A # c\nmetadata:\n  name: a\n";
        let two = format!("{one}---\n{}", one.replace("name: a", "name: b\n  annotations:\n    x: y"));
        let tree =
            tree(&[("a.yaml", one), ("sub/b.yaml", two.as_str()), ("Kptfile", &one.replace("A #", "Kptfile #"))]);
        assert_eq!(files(source(&tree, None).unwrap().as_bytes()).unwrap(), tree);
    }

    #[test]
    fn what_is_rendered_elsewhere_stays_as_it_is() {
        let head = "apiVersion: v1\nkind: A\nmetadata:\n  name: a\n";
        let tree = tree(&[
            ("a.yaml", &format!("{head}spec: {{on: yes, n: \"n\"}}\n---\n{head}  x: |+\n    x\n\n\n")),
            ("b.yaml", &format!("{head}  x: >+\n    x\n\n")),
            ("c.json", "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"A\",\n  \"n\": \"y\"\n}\n"),
        ]);
        let rendering = Rendering::single(&tree, Single::default(), Catalog).unwrap();
        assert_eq!(written(&rendering).unwrap(), tree);
    }

    #[test]
    fn the_configuration_travels_along() {
        let text = source(&tree(&[]), Some("kind: C\n")).unwrap();
        assert!(text.ends_with("items: []\nfunctionConfig:\n  kind: C\n"), "{text}");
    }

    #[test]
    fn what_has_no_path_gets_one() {
        let text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: core}\n---\napiVersion: v1\nkind: B\nmetadata: {name: b}\n";
        let files = files(text).unwrap();
        assert_eq!(files.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["b_b.yaml", "core/configmap_a.yaml"]);
        assert_eq!(unwrapped(text).unwrap().as_bytes(), text);
    }

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        for path in ["../x.yaml", "/etc/x.yaml", "a/../../x.yaml", ".git/config"] {
            let text = format!(
                "apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  annotations:\n    config.kubernetes.io/path: '{path}'\n"
            );
            assert!(files(text.as_bytes()).is_err(), "{path}");
        }
    }

    /// As kpt 1.0.0-beta.56, which says "missing Resource metadata".
    #[test]
    fn what_no_file_can_be_named_by_is_refused() {
        let told = |item: &str| {
            let list = format!("apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems:\n- {item}\n");
            files(list.as_bytes()).map(|tree| tree.iter().map(|(path, _)| path.to_owned()).collect::<String>())
        };
        assert_eq!(told("{apiVersion: v1, kind: A}").unwrap(), "a_.yaml");
        assert_eq!(told("{apiVersion: v1, metadata: {name: x}}").unwrap(), "_x.yaml");
        let own = "{data: {}, metadata: {annotations: {config.kubernetes.io/path: own.yaml}}}";
        assert_eq!(told(own).unwrap(), "own.yaml");
        for (item, why) in [
            ("{data: {a: b}}", "item 1 of the list has no apiVersion, and no annotation "),
            ("{metadata: {name: ''}}", "item 1 of the list has no apiVersion, and no annotation "),
            ("[1]", "item 1 of the list is no map, and so no resource"),
            ("{apiVersion: v1, metadata: {}}", "item 1 of the list has no kind, and no annotation "),
        ] {
            let error = told(item).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
