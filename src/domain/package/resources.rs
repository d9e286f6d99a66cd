//! The resources of a package while its pipeline runs: files with their documents, edited in place.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Problem;
use super::chart::Charts;
use super::ignore::Ignored;
use super::kptfile::Selector;
use super::layout::is_below;
use super::medium::{self, is_resource_file};
use super::parts::{Document, Parts};
use super::upgrade::escaping_links;
use crate::domain::krm::document::{DocumentError, EditError, YamlFile};
use crate::domain::source::{File, FileMode, FileTree};

/// Annotation that keeps a resource from being applied.
pub(super) const LOCAL_CONFIG: &str = "config.kubernetes.io/local-config";

/// Most objects in a package.
const MAX_OBJECTS: usize = 10_000;

/// Most bytes of documents that are read again to make sure of edits: some minutes.
const EDITED: usize = 10_000_000_000;

/// Where a resource stands: file, and which document of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// File, relative to the package's root.
    pub(super) file: String,
    /// Document in it, from 0.
    pub(super) index: usize,
}

/// The files of a package that hold resources.
#[derive(Debug, Clone, Default)]
pub(super) struct Resources {
    files: BTreeMap<String, Parts>,
    /// Files whose last resource was taken out.
    removed: BTreeSet<String>,
    /// Directories of packages, each behind those in it.
    packages: Vec<String>,
    /// For each resource of a file, where it stands in the row of all: the number of a package, and one that counts.
    ranks: BTreeMap<String, Vec<Rank>>,
    /// Package whose function works.
    at_work: usize,
    /// What was counted up to.
    counted: usize,
    /// What configures a function without being in the package.
    aside: BTreeMap<String, Parts>,
    charts: Charts,
    /// Bytes of the documents that were edited, counted with each edit.
    edited: usize,
}

/// Where a resource stands in the row of those that functions see.
pub(super) type Rank = (usize, usize);

/// A resource that is a link: what it leads to would be there twice, or not be seen.
fn resource_link(path: &str, file: &File) -> Problem {
    let target = String::from_utf8_lossy(&file.bytes);
    let problem = Problem::new("path.symlink", path, 1, format!("it is a symbolic link to {target:?}"));
    problem.hint("resources are no links; put the file itself there")
}

impl Resources {
    /// Reads every file of resources that is not left out; all problems at once. Links inside of the package are kept
    /// as they are, as long as they are no resources.
    pub(super) fn read(tree: &FileTree, ignored: &Ignored) -> Result<Self, Vec<Problem>> {
        let (found, problems) = Self::survey(tree, ignored);
        if problems.is_empty() { Ok(found) } else { Err(problems) }
    }

    /// Reads every file that can be read, and says what is wrong with the others.
    pub(super) fn survey(tree: &FileTree, ignored: &Ignored) -> (Self, Vec<Problem>) {
        let mut found = Self { charts: Charts::of(tree, ignored), ..Self::default() };
        let mut problems = escaping_links(tree);
        problems.extend(ignored.problem().cloned());
        let mut count = 0;
        let out: BTreeSet<String> = problems.iter().map(|problem| problem.file.clone()).collect();
        for (path, file) in tree.iter() {
            if !is_resource_file(path) || ignored.holds(path) {
                continue;
            }
            if file.mode == FileMode::Symlink {
                if !out.contains(path) {
                    problems.push(resource_link(path, file));
                }
                continue;
            }
            match medium::read(path, &file.bytes) {
                Ok(yaml) => {
                    count += yaml.len();
                    found.files.insert(path.to_owned(), yaml);
                }
                Err(error) => problems.extend(found.charts.told(Problem::unreadable(path, &error))),
            }
            // What comes after it is not even read.
            if count > MAX_OBJECTS {
                let message = format!("the package has more than {MAX_OBJECTS} objects, counted up to here");
                let problem = Problem::new("package.object_limit", path, 1, message);
                problems.push(problem.hint("divide it, or leave files out by .krmignore"));
                break;
            }
        }
        found.line_up();
        (found, problems)
    }

    /// Says which packages there are, each behind those in it.
    pub(super) fn set_packages(&mut self, packages: Vec<String>) {
        self.packages = packages;
        self.line_up();
    }

    /// The row in the beginning: what is in a package is before its own resources; in each, directories in order of
    /// their names.
    fn line_up(&mut self) {
        let mut files: Vec<(&String, &Parts)> = self.files.iter().collect();
        files.sort_by_cached_key(|(path, _)| {
            (self.package_of(path), path.split('/').map(str::to_owned).collect::<Vec<_>>())
        });
        let ranks = files.into_iter().scan(0, |counted, (path, file)| {
            let first = *counted;
            *counted += file.len();
            let package = self.package_of(path);
            Some((path.clone(), (first..*counted).map(|number| (package, number)).collect()))
        });
        self.ranks = ranks.collect();
        self.counted = self.ranks.values().map(Vec::len).sum();
    }

    /// From now on a function of this package works: what it adds stands behind all that it sees.
    pub(super) fn enter(&mut self, directory: &str) {
        self.at_work = self.packages.iter().position(|package| package == directory).unwrap_or_default();
    }

    /// The end of the row that the function at work sees.
    pub(super) const fn next_rank(&mut self) -> Rank {
        self.counted += 1;
        (self.at_work, self.counted)
    }

    /// Where a resource stands.
    pub(super) fn rank(&self, place: &Place) -> Rank {
        self.ranks.get(&place.file).and_then(|ranks| ranks.get(place.index)).copied().unwrap_or_default()
    }

    /// Puts a resource somewhere else in the row.
    pub(super) fn set_rank(&mut self, place: &Place, rank: Rank) {
        if let Some(own) = self.ranks.get_mut(&place.file).and_then(|ranks| ranks.get_mut(place.index)) {
            *own = rank;
        }
    }

    /// The charts among the files.
    pub(super) const fn charts(&self) -> &Charts {
        &self.charts
    }

    /// Puts a document beside the package, where a function's configuration may be read.
    pub(super) fn put_aside(&mut self, name: &str, text: &str) -> Result<(), DocumentError> {
        self.aside.insert(name.to_owned(), Parts::read(text.as_bytes())?);
        Ok(())
    }

    /// All places in path and index order.
    pub(super) fn all(&self) -> Vec<Place> {
        self.files.iter().flat_map(places_of).collect()
    }

    /// All places that a pipeline of `directory` sees, in the order in which it does: those of its subpackages, then
    /// the package's own, or as the last function that was not told to choose has left them.
    ///
    /// Source: kpt 1.0.0-beta.56, whose `fn render` hands on the list that a function answers with.
    pub(super) fn places(&self, directory: &str) -> Vec<Place> {
        let files = self.files.iter().filter(|(path, _)| is_below(path, directory));
        let mut places: Vec<Place> = files.flat_map(places_of).collect();
        places.sort_by_cached_key(|place| self.rank(place));
        places
    }

    /// Which package a file belongs to: the innermost around it.
    fn package_of(&self, path: &str) -> usize {
        let around = self.packages.iter().enumerate().filter(|(_, directory)| is_below(path, directory));
        around.max_by_key(|(_, directory)| directory.len()).map_or(0, |(package, _)| package)
    }

    /// Directory of the innermost package around a file.
    pub(super) fn home(&self, path: &str) -> &str {
        self.packages.get(self.package_of(path)).map_or("", String::as_str)
    }

    /// Whether a directory is a package's.
    pub(super) fn is_package(&self, directory: &str) -> bool {
        self.packages.iter().any(|package| package == directory)
    }

    /// How many resources a file holds.
    pub(super) fn count(&self, path: &str) -> usize {
        self.files.get(path).map_or(0, Parts::len)
    }

    /// The text of a resource as YAML, with its comments; empty when there is none.
    pub(super) fn text(&self, place: &Place) -> String {
        self.parts(&place.file).map(|file| file.document_text(place.index)).unwrap_or_default()
    }

    /// The value at a place; null when there is nothing.
    pub(super) fn value(&self, place: &Place) -> Value {
        self.parts(&place.file).map_or(Value::Null, |file| file.value(place.index))
    }

    /// What configures a function, as kpt reads it: nothing but functions sees it.
    pub(super) fn config(&self, place: &Place) -> Value {
        self.parts(&place.file).map_or(Value::Null, |file| file.value_of_kpt(place.index))
    }

    /// The resource of a place, to be read with its comments.
    pub(super) fn document(&self, place: &Place) -> Option<Document<'_>> {
        self.parts(&place.file)?.document(place.index)
    }

    fn parts(&self, file: &str) -> Option<&Parts> {
        self.files.get(file).or_else(|| self.aside.get(file))
    }

    /// The resource that a line of a file is of.
    pub(super) fn at_line(&self, file: &str, line: usize) -> Option<Place> {
        let index = self.parts(file)?.at_line(line)?;
        Some(Place { file: file.to_owned(), index })
    }

    /// Line of a path in a place, or of what is nearest to it.
    pub(super) fn line(&self, place: &Place, path: &[&str]) -> usize {
        let found = self.document(place).and_then(|found| Some(found.lines_before + found.root()?.nearest(path).line));
        found.unwrap_or(1)
    }

    /// Line to name for a path in a place: of the deepest key on it that exists.
    pub(super) fn line_of(&self, place: &Place, path: &[&str]) -> usize {
        let found = self.document(place).and_then(|found| Some(found.lines_before + found.root()?.line_of(path)));
        found.unwrap_or(1)
    }

    /// Puts the text of another resource in the place of one.
    pub(super) fn replace(&mut self, place: &Place, text: &str) -> Result<bool, EditError> {
        self.edit(place, |file, index| file.replace_document(index, text))
    }

    /// Takes a resource out; what is behind it in its file moves up. A file without resources goes.
    pub(super) fn remove_document(&mut self, place: &Place) -> Result<bool, EditError> {
        let Some(file) = self.files.get_mut(&place.file) else { return Ok(false) };
        let removed = file.remove(place.index)?;
        if let Some(ranks) = self.ranks.get_mut(&place.file).filter(|ranks| removed && place.index < ranks.len()) {
            ranks.remove(place.index);
        }
        if removed && file.len() == 0 {
            self.files.remove(&place.file);
            self.removed.insert(place.file.clone());
        }
        Ok(removed)
    }

    /// Adds a resource behind those of a file, which is made when there is none.
    pub(super) fn append(&mut self, path: &str, text: &str) -> Result<(), EditError> {
        let rank = self.next_rank();
        self.append_at(path, text, rank)
    }

    /// Adds a resource behind those of a file, with its place in the row.
    pub(super) fn append_at(&mut self, path: &str, text: &str, rank: Rank) -> Result<(), EditError> {
        if let Some(file) = self.files.get_mut(path) {
            file.append(text)?;
        } else {
            let mut file = Parts::read(b"")?;
            file.append(text)?;
            self.files.insert(path.to_owned(), file);
        }
        let count = self.count(path);
        self.ranks.entry(path.to_owned()).or_default().resize(count, rank);
        self.removed.remove(path);
        Ok(())
    }

    /// Makes a file of resources anew, each with its place in the row.
    pub(super) fn rebuild(&mut self, path: &str, all: &[(Rank, String)]) -> Result<(), EditError> {
        let mut file = Parts::read(b"")?;
        all.iter().try_for_each(|(_, text)| file.append(text))?;
        self.files.insert(path.to_owned(), file);
        self.ranks.insert(path.to_owned(), all.iter().map(|(rank, _)| *rank).collect());
        self.removed.remove(path);
        Ok(())
    }

    /// Edits the file of a place, of which it is the numbered document; `false` when there is nothing to edit.
    pub(super) fn edit(
        &mut self,
        place: &Place,
        edit: impl FnOnce(&mut YamlFile, usize) -> Result<bool, EditError>,
    ) -> Result<bool, EditError> {
        let Some(file) = self.files.get_mut(&place.file) else { return Ok(false) };
        self.edited = self.edited.saturating_add(file.size(place.index));
        if self.edited > EDITED {
            return Err(EditError::TooMuch { limit: EDITED });
        }
        file.edit(place.index, edit)
    }

    /// The tree with every edited file in it.
    pub(super) fn written(&self, tree: &FileTree) -> FileTree {
        let mut written = tree.clone();
        for path in &self.removed {
            written.remove(path);
        }
        for (path, parts) in &self.files {
            let old = tree.get(path);
            let bytes = medium::written(path, parts, old.map_or(&[], |old| &old.bytes));
            if old.is_none_or(|old| *old.bytes != *bytes) {
                let mode = old.map_or(FileMode::Regular, |old| old.mode);
                // The path was in the tree, or was checked when the file was made.
                let _ = written.insert(path.clone(), File { mode, bytes: bytes.into() });
            }
        }
        written
    }
}

fn places_of((path, file): (&String, &Parts)) -> impl Iterator<Item = Place> + use<> {
    let path = path.clone();
    (0..file.len()).map(move |index| Place { file: path.clone(), index })
}

/// Whether a file configures kustomize: what it holds has no name, and is not applied.
pub(super) fn is_kustomization(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("kustomization.yaml" | "kustomization.yml"))
}

/// Whether a resource is only for the package itself.
pub(super) fn is_local(value: &Value) -> bool {
    is_set_aside(value) || value.get("kind").and_then(Value::as_str) == Some("Kptfile")
}

/// Whether a resource is an inventory of kpt: it names what was applied, and is not applied with it.
pub(super) fn is_inventory(value: &Value) -> bool {
    let is = |pointer: &str, text: &str| value.pointer(pointer).and_then(Value::as_str) == Some(text);
    is("/kind", "ResourceGroup") && is("/apiVersion", "kpt.dev/v1alpha1")
}

/// Whether a resource says that it is only for the package.
pub(super) fn is_set_aside(value: &Value) -> bool {
    let annotation = value.pointer("/metadata/annotations").and_then(|map| map.get(LOCAL_CONFIG));
    annotation.and_then(Value::as_str).is_some_and(|text| text != "false")
}

/// Whether a resource is among those that a function asked for.
pub(super) fn is_selected(value: &Value, selectors: &[Selector], exclude: &[Selector]) -> bool {
    (selectors.is_empty() || selectors.iter().any(|selector| matches(value, selector)))
        && !exclude.iter().any(|selector| matches(value, selector))
}

fn matches(value: &Value, selector: &Selector) -> bool {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let equal =
        |wanted: &Option<String>, pointer: &str| wanted.as_deref().is_none_or(|wanted| text(pointer) == Some(wanted));
    let all = |wanted: &BTreeMap<String, String>, pointer: &str| {
        let found = value.pointer(pointer);
        wanted.iter().all(|(key, text)| found.and_then(|map| map.get(key)).and_then(Value::as_str) == Some(text))
    };
    equal(&selector.api_version, "/apiVersion")
        && equal(&selector.kind, "/kind")
        && equal(&selector.name, "/metadata/name")
        && equal(&selector.namespace, "/metadata/namespace")
        && all(&selector.labels, "/metadata/labels")
        && all(&selector.annotations, "/metadata/annotations")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_have_an_end() {
        let mut resources = Resources::default();
        resources.append("a.yaml", "a: 1\n").unwrap();
        let place = Place { file: "a.yaml".to_owned(), index: 0 };
        let mut edit = |edited: usize, value: u8| {
            resources.edited = edited;
            resources.edit(&place, |file, index| file.set(index, &["a"], &serde_json::json!(value)))
        };
        assert_eq!(edit(EDITED - 5, 2), Ok(true));
        assert_eq!(edit(EDITED - 4, 3), Err(EditError::TooMuch { limit: EDITED }));
    }
}
