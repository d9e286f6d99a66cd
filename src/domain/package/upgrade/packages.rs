//! Packages and their subpackages in three versions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::ignore::Ignored;
use super::super::medium::{is_resource_file, is_yaml_file};
use super::kptfile::{self, Package, problem};
use super::resources::{Merge, Merged, Versions};
use super::{Conflict, Held, OnConflict, Side, Taken, Trees, UpgradeError, Upgraded};
use crate::domain::krm::Schemas;
use crate::domain::krm::document::{Limits, like, read};
use crate::domain::krm::value::same;
use crate::domain::package::kptfile::FILE;
use crate::domain::source::{File, FileMode, FileTree};

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn directory_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

fn kptfile_path(directory: &str) -> String {
    if directory.is_empty() { FILE.to_owned() } else { format!("{directory}/{FILE}") }
}

/// Directories with a Kptfile in any version, and the root, in path order.
fn directories(trees: &Trees<'_>) -> BTreeSet<String> {
    let paths = [trees.origin, trees.updated, trees.local].into_iter().flat_map(FileTree::iter);
    let with_kptfile = paths.filter(|(path, _)| name_of(path) == FILE).map(|(path, _)| directory_of(path).to_owned());
    with_kptfile.chain([String::new()]).collect()
}

/// The package that a file belongs to.
fn owner<'d>(directories: &'d BTreeSet<String>, path: &str) -> &'d str {
    let mut directory = directory_of(path);
    loop {
        match directories.get(directory) {
            Some(found) => return found,
            None => directory = directory_of(directory),
        }
    }
}

/// Built-in kinds and those of CRDs in the package; the new version's come last and win.
fn schemas(trees: &Trees<'_>) -> Schemas {
    let mut schemas = Schemas::builtin();
    for tree in [trees.origin, trees.local, trees.updated] {
        for (path, file) in tree.iter() {
            let limits = Limits::of(&file.bytes);
            if !is_yaml_file(path) || file.mode == FileMode::Symlink || limits != Limits::DEFINITIONS {
                continue;
            }
            for (_, value) in read(&file.bytes, &limits).unwrap_or_default() {
                if value.get("kind").and_then(Value::as_str) == Some("CustomResourceDefinition") {
                    // One that cannot be read keys no lists; validation is what tells about it.
                    let _ = schemas.add_crd(&value);
                }
            }
        }
    }
    schemas
}

/// What happens to a package as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Merge,
    Keep,
}

pub(super) fn resource_merge(trees: &Trees<'_>, on_conflict: OnConflict) -> Result<Upgraded, UpgradeError> {
    let directories = directories(trees);
    let mut notes = Vec::new();
    let mut fates: BTreeMap<&str, Fate> = BTreeMap::new();
    let schemas = schemas(trees);
    let ignored = Ignored::read(trees.local);
    let mut merge = Merge { schemas: &schemas, ignored: &ignored, on_conflict, conflicts: Vec::new() };
    for directory in &directories {
        let above = owner(&directories, directory);
        let inherited = if directory.is_empty() { None } else { fates.get(above).filter(|fate| **fate == Fate::Keep) };
        let fate = match inherited {
            Some(fate) => *fate,
            None => fate(trees, directory, &directories, &mut notes, &mut merge.conflicts)?,
        };
        fates.insert(directory, fate);
    }
    let paths: BTreeSet<&str> =
        [trees.origin, trees.updated, trees.local].into_iter().flat_map(FileTree::iter).map(|(path, _)| path).collect();
    let mut tree = FileTree::new();
    for path in paths {
        let directory = owner(&directories, path);
        let merged = match fates.get(directory) {
            Some(Fate::Keep) => trees.local.get(path).cloned(),
            _ => merge_file(trees, path, &mut merge)?,
        };
        if let Some(file) = merged {
            // The path comes from a tree.
            let _ = tree.insert(path, file);
        }
    }
    merge.conflicts.extend(one_of_each(&mut tree, trees, Taken::Local));
    Ok(Upgraded { tree, conflicts: merge.conflicts, notes })
}

/// Takes away what cannot be beside what is kept: a path is either a file or a folder.
fn one_of_each(tree: &mut FileTree, trees: &Trees<'_>, taken: Taken) -> Vec<Conflict> {
    let kept = if taken == Taken::Local { trees.local } else { trees.updated };
    let around = |path: &str| path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>();
    let both = |path: &str| around(path).into_iter().find(|folder| tree.get(folder).is_some());
    let pairs: Vec<(String, String)> =
        tree.iter().filter_map(|(path, _)| Some((both(path)?, path.to_owned()))).collect();
    let mut conflicts = Vec::new();
    for (file, below) in pairs {
        tree.remove(if kept.get(&file).is_some() { &below } else { &file });
        let (local, upstream) = if trees.local.get(&file).is_some() { (&file, &below) } else { (&below, &file) };
        let side = |path: &str| Side { held: Held::Changed, at: format!("{path}:1") };
        let (local, upstream) = (side(local), side(upstream));
        conflicts.push(Conflict { object: file, field: None, local, upstream, taken });
    }
    conflicts
}

/// The files of a package without those of its subpackages.
fn files<'t>(tree: &'t FileTree, directory: &str, directories: &BTreeSet<String>) -> BTreeMap<&'t str, &'t File> {
    tree.iter().filter(|(path, _)| owner(directories, path) == directory).collect()
}

fn fate(
    trees: &Trees<'_>,
    directory: &str,
    directories: &BTreeSet<String>,
    notes: &mut Vec<String>,
    conflicts: &mut Vec<Conflict>,
) -> Result<Fate, UpgradeError> {
    if directory.is_empty() {
        return Ok(Fate::Merge);
    }
    let kptfile = kptfile_path(directory);
    let files = |tree| files(tree, directory, directories);
    match (trees.origin.get(&kptfile), trees.updated.get(&kptfile), trees.local.get(&kptfile)) {
        (None, Some(_), Some(_)) if files(trees.updated) != files(trees.local) => {
            Err(UpgradeError::AddedTwice { directory: directory.to_owned() })
        }
        (Some(_), updated, None) => {
            if updated.is_some() && files(trees.origin) != files(trees.updated) {
                notes.push(format!("subpackage {directory} was deleted locally; its changes upstream are left out"));
            }
            Ok(Fate::Keep)
        }
        (Some(_), None, Some(_)) if files(trees.origin) != files(trees.local) => {
            notes
                .push(format!("subpackage {directory} was deleted upstream; it stays, because it was changed locally"));
            conflicts.push(Conflict {
                object: directory.to_owned(),
                field: None,
                local: Side { held: Held::Changed, at: format!("{kptfile}:1") },
                upstream: Side { held: Held::Nothing, at: format!("{kptfile}:1") },
                taken: Taken::Local,
            });
            Ok(Fate::Keep)
        }
        (Some(origin), Some(_), Some(local)) => {
            let upstream = |version: &str, file: &File| {
                let value = kptfile::value_of(&format!("{version}/{kptfile}"), file).map_err(problem)?;
                let of = |kind: &str| value.pointer(&format!("/upstream/{kind}")).cloned().unwrap_or_default();
                Ok::<_, UpgradeError>([of("git"), of("oci")])
            };
            let (was, is) = (upstream("origin", origin)?, upstream("local", local)?);
            if was.iter().zip(&is).all(|(was, is)| same(was, is)) {
                return Ok(Fate::Merge);
            }
            notes.push(format!("subpackage {directory} follows an upstream of its own; it is left to that"));
            Ok(Fate::Keep)
        }
        _ => Ok(Fate::Merge),
    }
}

fn merge_file(trees: &Trees<'_>, path: &str, merge: &mut Merge<'_>) -> Result<Option<File>, UpgradeError> {
    let (origin, updated, local) = (trees.origin.get(path), trees.updated.get(path), trees.local.get(path));
    if origin == updated || updated == local {
        return Ok(local.cloned());
    }
    let package = (name_of(path) == FILE).then(|| if path == FILE { Package::Root } else { Package::Sub });
    let is_gone = updated.is_none() && package == Some(Package::Sub);
    if origin == local && (package.is_none() || is_gone) {
        return Ok(updated.cloned());
    }
    let is_link = [origin, updated, local].into_iter().flatten().any(|file| file.mode == FileMode::Symlink);
    if is_resource_file(path) && !is_link && !merge.ignored.holds(path) {
        let bytes = |file: Option<&'_ File>| file.map(|file| file.bytes.clone());
        let (origin_bytes, updated_bytes, local_bytes) = (bytes(origin), bytes(updated), bytes(local));
        let versions = Versions {
            path,
            origin: origin_bytes.as_deref(),
            updated: updated_bytes.as_deref(),
            local: local_bytes.as_deref(),
        };
        let merged = merge.file(&versions, package).map_err(|problems| UpgradeError::Problems { problems })?;
        if let Merged::Text(text) = merged {
            return Ok(text.map(|text| written(&text, origin, updated, local)));
        }
    }
    if origin == local {
        return Ok(updated.cloned());
    }
    merge.conflicts.push(whole_file(path, updated, local));
    Ok(local.cloned())
}

/// The merged text as a file; a version that says the same gives its bytes, a mode goes by its own history.
fn written(text: &str, origin: Option<&File>, updated: Option<&File>, local: Option<&File>) -> File {
    let mode = |file: Option<&File>| file.map(|file| file.mode);
    let chosen = if mode(updated).is_none() || mode(updated) == mode(origin) {
        mode(local).or(mode(updated))
    } else if mode(local) == mode(origin) || mode(local).is_none() {
        mode(updated)
    } else {
        mode(local)
    };
    let manner = local.or(updated).map_or(&[][..], |file| &file.bytes);
    File { mode: chosen.unwrap_or(FileMode::Regular), bytes: like(manner, text).into() }
}

fn whole_file(path: &str, updated: Option<&File>, local: Option<&File>) -> Conflict {
    let side = |file: Option<&File>| Side {
        held: if file.is_some() { Held::Changed } else { Held::Nothing },
        at: format!("{path}:1"),
    };
    Conflict { object: path.to_owned(), field: None, local: side(local), upstream: side(updated), taken: Taken::Local }
}

pub(super) fn replace(updated: &FileTree, local: &FileTree) -> Result<Upgraded, UpgradeError> {
    let mut tree = updated.clone();
    let kptfile = match (updated.get(FILE), local.get(FILE)) {
        (Some(updated), Some(local)) => Some(kptfile::with_own(updated, local).map_err(problem)?),
        (None, local) => local.cloned(),
        (updated, None) => updated.cloned(),
    };
    if let Some(file) = kptfile {
        // A constant that is allowed.
        let _ = tree.insert(FILE, file);
    }
    Ok(Upgraded { tree, conflicts: Vec::new(), notes: Vec::new() })
}

pub(super) fn fast_forward(trees: &Trees<'_>) -> Result<Upgraded, UpgradeError> {
    let paths: BTreeSet<&str> =
        [trees.origin, trees.local].into_iter().flat_map(FileTree::iter).map(|(path, _)| path).collect();
    let mut files = Vec::new();
    for path in paths {
        let (origin, local) = (trees.origin.get(path), trees.local.get(path));
        if origin != local && !(path == FILE && is_own_kptfile(origin, local)?) {
            files.push(path.to_owned());
        }
    }
    if files.is_empty() { replace(trees.updated, trees.local) } else { Err(UpgradeError::Modified { files }) }
}

/// Whether a Kptfile differs from its origin only in what belongs to the package itself.
fn is_own_kptfile(origin: Option<&File>, local: Option<&File>) -> Result<bool, UpgradeError> {
    let Some(local) = local else { return Ok(false) };
    let local = kptfile::without_own(kptfile::value_of(&format!("local/{FILE}"), local).map_err(problem)?);
    let origin = match origin {
        Some(origin) => kptfile::without_own(kptfile::value_of(&format!("origin/{FILE}"), origin).map_err(problem)?),
        // One that `pkg get` made, because there was none.
        None => serde_json::json!({"apiVersion": "kpt.dev/v1", "kind": "Kptfile"}),
    };
    Ok(same(&origin, &local))
}

pub(super) fn copy_merge(trees: &Trees<'_>, on_conflict: OnConflict) -> Result<Upgraded, UpgradeError> {
    let mut tree = trees.local.clone();
    let schemas = Schemas::builtin();
    let ignored = Ignored::read(trees.local);
    let mut merge = Merge { schemas: &schemas, ignored: &ignored, on_conflict, conflicts: Vec::new() };
    if let Some(file) = merge_file(trees, FILE, &mut merge)? {
        // A constant that is allowed.
        let _ = tree.insert(FILE, file);
    }
    let taken = if on_conflict == OnConflict::Local { Taken::Local } else { Taken::Upstream };
    let paths: BTreeSet<&str> =
        [trees.origin, trees.updated].into_iter().flat_map(FileTree::iter).map(|it| it.0).collect();
    for path in paths.into_iter().filter(|path| *path != FILE) {
        let (origin, updated, local) = (trees.origin.get(path), trees.updated.get(path), trees.local.get(path));
        if origin != updated && origin != local && updated != local && !(origin.is_none() && local.is_none()) {
            merge.conflicts.push(Conflict { taken, ..whole_file(path, updated, local) });
        }
        // Who wants nothing of the own lost keeps what upstream did not change, too.
        if origin != local && on_conflict != OnConflict::Upstream {
            continue;
        }
        tree.remove(path);
        if let Some(file) = updated {
            // The path comes from a tree.
            let _ = tree.insert(path, file.clone());
        }
    }
    merge.conflicts.extend(one_of_each(&mut tree, trees, taken));
    Ok(Upgraded { tree, conflicts: merge.conflicts, notes: Vec::new() })
}
