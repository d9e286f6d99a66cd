//! Inventories of kpt: what a package applied is remembered under an id, and what is no longer in it is pruned.
//!
//! Source: kpt's `inventory.inventoryID` of a Kptfile, and the label of its `ResourceGroup`. Loggia applies neither.

use std::collections::BTreeMap;

use super::Problem;
use super::ignore::Ignored;
use super::kptfile;
use super::layout::is_below;
use super::medium::is_resource_file;
use super::resources::is_inventory;
use crate::domain::krm::document::{Limits, YamlFile};
use crate::domain::krm::value::at;
use crate::domain::source::{FileMode, FileTree};

const IN_KPTFILE: &[&str] = &["inventory", "inventoryID"];
const IN_GROUP: &[&str] = &["metadata", "labels", "cli-utils.sigs.k8s.io/inventory-id"];

/// An id and where it stands.
struct Id<'t> {
    package: &'t str,
    file: &'t str,
    line: usize,
    field: String,
    text: String,
}

/// Packages that say the id of another one: each would prune what the other applied. The outermost one, or else the
/// first by path, is the owner.
pub(super) fn conflicts(tree: &FileTree, ignored: &Ignored) -> Vec<Problem> {
    let files: Vec<&str> = tree.iter().map(|(path, _)| path).filter(|path| !ignored.holds(path)).collect();
    let packages: Vec<&str> = files.iter().filter_map(|path| package(path)).collect();
    let around = |path: &str| {
        let of_it = packages.iter().copied().filter(|package| is_below(path, package));
        of_it.max_by_key(|package| package.len()).unwrap_or_default()
    };
    let mut ids: Vec<Id<'_>> = files.into_iter().flat_map(|path| ids_in(tree, path, around(path))).collect();
    ids.sort_by_key(|id| (id.package, id.file));
    let mut owners: BTreeMap<&str, &Id<'_>> = BTreeMap::new();
    let mut problems = twice(&ids);
    for id in &ids {
        let owner = owners.entry(id.text.as_str()).or_insert(id);
        if owner.package != id.package {
            let message = format!("the id {:?} is that of the inventory in {}:{}", id.text, owner.file, owner.line);
            let problem = Problem::new("inventory.conflict", id.file, id.line, message).field(id.field.clone());
            problems.push(problem.hint("give each package an id of its own; kpt would prune what the other applied"));
        }
    }
    problems
}

/// Inventories that stand beside that of the Kptfile of their package: kpt takes neither then.
fn twice(ids: &[Id<'_>]) -> Vec<Problem> {
    let in_kptfile = |id: &&Id<'_>| package(id.file).is_some();
    let beside = |id: &Id<'_>| {
        let other = ids.iter().filter(in_kptfile).find(|other| other.package == id.package)?;
        let message = format!("the package has an inventory in {}:{}, too", other.file, other.line);
        let problem = Problem::new("inventory.conflict", id.file, id.line, message).field(id.field.clone());
        Some(problem.hint("keep one of the two; kpt refuses a package with both"))
    };
    ids.iter().filter(|id| !in_kptfile(id)).filter_map(beside).collect()
}

/// The directory that a Kptfile makes a package.
fn package(path: &str) -> Option<&str> {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    (name == kptfile::FILE).then_some(directory)
}

/// What cannot be read has no id; others tell what is wrong with it.
fn ids_in<'t>(tree: &FileTree, path: &'t str, package: &'t str) -> Vec<Id<'t>> {
    let is_kptfile = self::package(path).is_some();
    let file = tree.get(path).filter(|file| file.mode != FileMode::Symlink);
    let Some(file) = file.filter(|_| is_kptfile || is_resource_file(path)) else { return Vec::new() };
    // Most files hold none and are not read again.
    let marks: [&[u8]; 2] = [b"inventoryID", b"inventory-id"];
    if !marks.iter().any(|mark| file.bytes.windows(mark.len()).any(|part| part == *mark)) {
        return Vec::new();
    }
    let Ok(yaml) = YamlFile::parse(&file.bytes, &Limits::default()) else { return Vec::new() };
    let read = |(index, node): (usize, &crate::domain::krm::document::Node)| {
        let value = yaml.value(index).ok()?;
        let steps = if is_kptfile { IN_KPTFILE } else { IN_GROUP };
        let text = at(&value, steps)?.as_str().filter(|text| !text.is_empty())?.to_owned();
        let id = Id { package, file: path, line: node.line_of(steps), field: steps.join("."), text };
        (is_kptfile || is_inventory(&value)).then_some(id)
    };
    yaml.documents().iter().enumerate().filter_map(read).collect()
}
