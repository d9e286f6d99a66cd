//! `pkg update`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use serde_json::json;

use super::get::shown;
use super::{Local, fetched, origin, progress, refuse_links, trusted, upstream};
use crate::cli::Done;
use crate::cli::args::{self, Global, PkgUpdate};
use crate::cli::files::{self, Change};
use crate::cli::output::{machine, print};
use crate::domain::package::kptfile::FILE;
use crate::domain::package::reference::Location;
use crate::domain::package::upgrade::{
    Conflict, Lock, OnConflict, Source, Strategy, Taken, Trees, UpgradeError, Upgraded, line_before_mark, mark, record,
    source, upgrade,
};
use crate::domain::source::FileTree;

/// An update while it goes from a package to its subpackages.
struct Update<'a> {
    global: &'a Global,
    args: &'a PkgUpdate,
    root: &'a Local,
    tree: FileTree,
    packages: usize,
    conflicts: Vec<Conflict>,
}

pub(super) fn update(global: &Global, args: &PkgUpdate) -> anyhow::Result<Done> {
    let local = Local::read(&args.package)?;
    refuse_links(&local.tree).with_context(|| format!("reading package {}", local.root.display()))?;
    let tree = local.tree.clone();
    let mut update = Update { global, args, root: &local, tree, packages: 0, conflicts: Vec::new() };
    update.all()?;
    let tree = mark(&update.tree);
    refuse_links(&tree).context("updating the package")?;
    let changes = files::changes(&local.tree, &tree);
    if !args.dry_run {
        let told = || format!("writing package {}", local.root.display());
        files::replace(&local.root, &local.tree, &tree).with_context(told)?;
    }
    tell(global, args, &update, &changes)?;
    Ok(if args.dry_run && !changes.is_empty() { Done::Differs } else { Done::Fine })
}

fn tell(global: &Global, args: &PkgUpdate, update: &Update<'_>, changes: &[Change]) -> anyhow::Result<()> {
    let report = json!({"packages": update.packages, "changes": changes, "conflicts": update.conflicts});
    if let Some(text) = machine(global.output, &report)? {
        print(&text);
        return Ok(());
    }
    for conflict in &update.conflicts {
        print(&format!("conflict: {conflict}; {}\n", taken(args.on_conflict, conflict.taken)));
    }
    // What goes is told by name, also when it goes.
    for Change { path, change } in changes.iter().filter(|change| args.dry_run || change.change == "removed") {
        print(&format!("{change} {path}\n"));
    }
    let done = if args.dry_run { "Would update" } else { "Updated" };
    progress(global, &format!("\n{done} {} package(s).", update.packages));
    Ok(())
}

/// Who won, and why it was not the one who is to win.
const fn taken(on_conflict: args::OnConflict, taken: Taken) -> &'static str {
    match (on_conflict, taken) {
        (_, Taken::Upstream) => "took upstream",
        (args::OnConflict::Upstream, Taken::Local) => {
            "kept local (--on-conflict decides about fields; what is taken as a whole stays)"
        }
        (_, Taken::Local) => "kept local",
    }
}

/// The tree with other files below a directory.
pub(super) fn with_below(tree: &FileTree, directory: &str, below: &FileTree) -> FileTree {
    if directory.is_empty() {
        return below.clone();
    }
    let mut whole = FileTree::new();
    let prefix = format!("{directory}/");
    let others = tree.iter().filter(|(path, _)| !path.starts_with(&prefix));
    let others = others.map(|(path, file)| (path.to_owned(), file));
    for (path, file) in others.chain(below.iter().map(|(path, file)| (format!("{prefix}{path}"), file))) {
        // Both come from trees.
        let _ = whole.insert(path, file.clone());
    }
    whole
}

impl Update<'_> {
    /// The package, then every subpackage in it that has an upstream of its own, from the top down.
    fn all(&mut self) -> anyhow::Result<()> {
        let mut open = self.subpackages();
        open.insert(String::new());
        let mut seen = BTreeSet::new();
        while let Some(directory) = open.pop_first() {
            let tree = self.tree.below(&directory);
            let found =
                source(&tree).map_err(|problem| anyhow!("{}/{directory}: {problem}", self.root.root.display()))?;
            if let Some(source) = found {
                self.one(&directory, &tree, &source)?;
                // The new version may have others.
                seen.insert(directory);
                open = &self.subpackages() - &seen;
            } else {
                seen.insert(directory);
            }
        }
        Ok(())
    }

    /// The directories of the subpackages.
    fn subpackages(&self) -> BTreeSet<String> {
        let kptfiles = self.tree.iter().filter_map(|(path, _)| path.strip_suffix(FILE)?.strip_suffix('/'));
        kptfiles.map(str::to_owned).collect()
    }

    /// The version that a package shall follow: a subpackage follows another one with its parent when both follow the
    /// same version of the same repository, as in kpt.
    fn asked(&self, directory: &str, source: &Source) -> (Option<String>, Strategy) {
        let root = &self.root.source;
        let goes_along = directory.is_empty()
            || (source.repo == root.repo
                && source.reference == root.reference
                && (root.directory.is_empty() || source.directory.starts_with(&root.directory)));
        if !goes_along {
            return (None, source.strategy);
        }
        (self.root.reference.clone(), self.args.strategy.map_or(source.strategy, Into::into))
    }

    fn one(&mut self, directory: &str, local: &FileTree, from: &Source) -> anyhow::Result<()> {
        let name = if directory.is_empty() { self.root.name() } else { directory.to_owned() };
        let (reference, strategy) = self.asked(directory, from);
        let step = Step {
            name: &name,
            place: &self.root.root.join(directory),
            from,
            reference: reference.as_deref(),
            strategy,
            on_conflict: self.args.on_conflict.into(),
            signed_by: self.args.signed_by.as_deref(),
        };
        let done = step.take(self.global, local)?;
        self.tree = with_below(&self.tree, directory, &done.tree);
        self.packages += 1;
        self.conflicts.extend(done.conflicts.into_iter().map(|conflict| below(directory, conflict)));
        Ok(())
    }
}

/// One package on its way to another version.
pub(super) struct Step<'a> {
    /// What it is called.
    pub(super) name: &'a str,
    /// Its directory.
    pub(super) place: &'a Path,
    /// Where it comes from.
    pub(super) from: &'a Source,
    /// The version to go to; `None` for the one that it follows.
    pub(super) reference: Option<&'a str>,
    /// How to treat local changes.
    pub(super) strategy: Strategy,
    /// Who wins.
    pub(super) on_conflict: OnConflict,
    /// File with who must have signed the new version. The origin need not be signed: nothing of it gets into the
    /// package, its commit or digest is in the package's own Kptfile, and what nobody signed could else never be left
    /// behind.
    pub(super) signed_by: Option<&'a Path>,
}

impl Step<'_> {
    /// Fetches what is needed and merges it; the result says in its Kptfile where it comes from.
    pub(super) fn take(&self, global: &Global, local: &FileTree) -> anyhow::Result<Upgraded> {
        let Self { name, from, strategy, .. } = self;
        progress(global, &format!("Package \"{name}\":"));
        let location = upstream(from, self.reference);
        let version = location.reference.clone().unwrap_or_else(|| "its default branch".to_owned());
        progress(global, &format!("Fetching upstream from {} at {version}", shown(&location.repo)));
        let updated = trusted(global, &location, self.signed_by)?;
        let before = match &from.lock {
            Some(lock) => {
                progress(global, &format!("Fetching origin from {} at {}", shown(&lock.repo), lock.revision));
                fetched(global, &origin(lock))?.tree
            }
            None => FileTree::new(),
        };
        progress(global, &format!("Updating package \"{name}\" with strategy \"{}\".", strategy.name()));
        let mut done = merged(&before, &updated.tree, local, *strategy, self.on_conflict)
            .map_err(|error| self.placed(error, &location, &updated.resolved))
            .with_context(|| format!("updating package {name} to {}", updated.resolved))?;
        let followed = location.reference.unwrap_or_else(|| updated.resolved.clone());
        let lock = Lock {
            repo: location.repo,
            directory: location.directory,
            reference: updated.resolved,
            revision: updated.revision,
        };
        let source = Source { reference: followed, strategy: *strategy, lock: Some(lock), ..(*from).clone() };
        record(&mut done.tree, &source, None).map_err(|problem| anyhow!("{name}: {problem}"))?;
        for note in &done.notes {
            progress(global, &format!("Note: {note}."));
        }
        Ok(done)
    }
}

impl Step<'_> {
    /// An error about files by where each of them really is.
    fn placed(&self, error: UpgradeError, upstream: &Location, version: &str) -> UpgradeError {
        let UpgradeError::Problems { mut problems } = error else { return error };
        for problem in &mut problems {
            let fetched = |path: &str, from: &Location, version: &str| {
                Path::new(&from.repo).join(&from.directory).join(format!("{path}@{version}"))
            };
            let found = match (problem.file.split_once('/'), &self.from.lock) {
                (Some(("local", path)), _) => self.place.join(path),
                (Some(("updated", path)), _) => fetched(path, upstream, version),
                (Some(("origin", path)), Some(lock)) => fetched(path, &origin(lock), &lock.revision),
                _ => continue,
            };
            problem.file = shown(&found.display().to_string());
        }
        UpgradeError::Problems { problems }
    }
}

/// Merge comments are added to all versions first, so that they are no difference.
fn merged(
    origin: &FileTree,
    updated: &FileTree,
    local: &FileTree,
    strategy: Strategy,
    on_conflict: OnConflict,
) -> Result<Upgraded, UpgradeError> {
    let marked = [origin, updated, local].map(mark);
    let trees = Trees { origin: &marked[0], updated: &marked[1], local: &marked[2] };
    let found = |mut conflict: Conflict| {
        conflict.upstream.at = before_mark(&conflict.upstream.at, updated, trees.updated);
        conflict.local.at = before_mark(&conflict.local.at, local, trees.local);
        conflict
    };
    match upgrade(&trees, strategy, on_conflict) {
        Ok(mut done) => {
            done.conflicts = done.conflicts.into_iter().map(found).collect();
            Ok(done)
        }
        Err(UpgradeError::Conflicts { conflicts }) => {
            Err(UpgradeError::Conflicts { conflicts: conflicts.into_iter().map(found).collect() })
        }
        Err(error) => Err(error),
    }
}

/// A place in a file as it was before it got merge comments.
fn before_mark(at: &str, before: &FileTree, marked: &FileTree) -> String {
    let parts = at.rsplit_once(':').and_then(|(path, line)| Some((path, line.parse::<usize>().ok()?)));
    let Some((path, line)) = parts else { return at.to_owned() };
    match (before.get(path), marked.get(path)) {
        (Some(before), Some(marked)) => format!("{path}:{}", line_before_mark(&before.bytes, &marked.bytes, line)),
        _ => at.to_owned(),
    }
}

/// A conflict of a subpackage, with its directory in front of the files.
fn below(directory: &str, mut conflict: Conflict) -> Conflict {
    if !directory.is_empty() {
        for side in [&mut conflict.local, &mut conflict.upstream] {
            side.at = format!("{directory}/{}", side.at);
        }
    }
    conflict
}
