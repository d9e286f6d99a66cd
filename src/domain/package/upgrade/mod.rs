//! Bringing a package to another version of what it was made from: a three-way merge of trees, as kpt does it, plus a
//! report of what both sides changed.
//!
//! Source: kpt's `pkg update` (four strategies, identity by merge comment, updated wins). What kpt lacks is added: a
//! [`Conflict`] for each place that both sides changed, and a choice of who wins ([`OnConflict`]).

mod fields;
mod json;
mod kptfile;
mod links;
mod mark;
mod packages;
mod resources;
mod text;

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::Problem;
use super::chart::Charts;
use super::ignore::Ignored;
use crate::domain::source::FileTree;

pub use kptfile::{Lock, Source, fresh, record, source};
pub use links::escaping_links;
pub use mark::{line_before_mark, mark};

/// How an update treats what was changed locally.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Resource by resource and field by field; what only one side changed stays as that side has it.
    #[default]
    ResourceMerge,
    /// Only when nothing was changed locally.
    FastForward,
    /// Local changes are lost.
    ForceDeleteReplace,
    /// Files of the new version are copied over; files that only the package has stay. Unless upstream wins conflicts,
    /// what was changed locally stays, too.
    CopyMerge,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ResourceMerge, Self::FastForward, Self::ForceDeleteReplace, Self::CopyMerge];

    /// The word that a Kptfile has for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ResourceMerge => "resource-merge",
            Self::FastForward => "fast-forward",
            Self::ForceDeleteReplace => "force-delete-replace",
            Self::CopyMerge => "copy-merge",
        }
    }

    /// The strategy of a word; an empty or unknown one is [`Strategy::ResourceMerge`], as kpt has it.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self::ALL.into_iter().find(|strategy| strategy.name() == name).unwrap_or_default()
    }
}

/// Who wins where both sides changed the same field.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// The new version, as in kpt.
    #[default]
    Upstream,
    /// The local package.
    Local,
    /// Nobody: the update fails and names every conflict.
    Fail,
}

/// Three versions of a package.
#[derive(Debug, Clone, Copy)]
pub struct Trees<'a> {
    /// What the local package was made from.
    pub origin: &'a FileTree,
    /// What it shall follow now.
    pub updated: &'a FileTree,
    /// The package as it is.
    pub local: &'a FileTree,
}

/// An updated package.
#[derive(Debug, Clone, PartialEq)]
pub struct Upgraded {
    /// Its files.
    pub tree: FileTree,
    /// What both sides changed, in path order, and who won.
    pub conflicts: Vec<Conflict>,
    /// What a person may want to know, such as a subpackage that was left alone.
    pub notes: Vec<String>,
}

/// What one side has where both sides changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Held {
    /// A value.
    Value(Value),
    /// Something that is not shown: a whole object, a file, or part of a Secret.
    Changed,
    /// Nothing: it was removed.
    Nothing,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => f.write_str(&cut(&value.to_string(), 0)),
            Self::Changed => f.write_str("changed it"),
            Self::Nothing => f.write_str("removed it"),
        }
    }
}

/// Most characters of a value that are shown.
const SHOWN: usize = 120;
/// Characters before the first that differs.
const BEFORE: usize = 40;

/// A value cut to what fits on a line, from about a character of it on.
fn cut(text: &str, at: usize) -> String {
    let from = if at + BEFORE > SHOWN { at - BEFORE } else { 0 };
    let dots = |is_cut: bool| if is_cut { "..." } else { "" };
    let shown: String = text.chars().skip(from).take(SHOWN).collect();
    let is_whole = text.chars().nth(from + SHOWN).is_none();
    format!("has {}{shown}{}", dots(from > 0), dots(!is_whole))
}

/// Both sides, so that what differs is seen.
fn beside(local: &Held, upstream: &Held) -> [String; 2] {
    let (Held::Value(local), Held::Value(upstream)) = (local, upstream) else {
        return [local.to_string(), upstream.to_string()];
    };
    let (local, upstream) = (local.to_string(), upstream.to_string());
    let alike = local.chars().zip(upstream.chars()).take_while(|(a, b)| a == b).count();
    [cut(&local, alike), cut(&upstream, alike)]
}

/// One side of a conflict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// What it has.
    pub held: Held,
    /// File and line in that version of the package, such as `web.yaml:12`; of what is nearest when it was removed.
    pub at: String,
}

/// Whose version was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Taken {
    /// The new version.
    Upstream,
    /// The local package.
    Local,
}

/// Something that both sides changed, each in its own way.
///
/// A field goes to whom [`OnConflict`] names, and so does a whole file with [`Strategy::CopyMerge`]. With
/// [`Strategy::ResourceMerge`] a whole resource, subpackage or file that is no resource stays as the local package has
/// it, as in kpt.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conflict {
    /// The object, such as `Deployment.apps/shop/web`; else the file or the subpackage.
    pub object: String,
    /// The field, such as `.spec.replicas`; `None` when the object as a whole is meant.
    pub field: Option<String>,
    /// The local package.
    pub local: Side,
    /// The new version.
    pub upstream: Side,
    /// Who won.
    pub taken: Taken,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.object)?;
        if let Some(field) = &self.field {
            write!(f, " {field}")?;
        }
        let [local, upstream] = beside(&self.local.held, &self.upstream.held);
        write!(f, ": local {local} ({}), upstream {upstream} ({})", self.local.at, self.upstream.at)
    }
}

/// Why a package was not updated; nothing of it is kept then.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum UpgradeError {
    /// Files that cannot be read or told apart.
    #[error("{}", lines(problems))]
    Problems {
        /// What is wrong; the path begins with the version: `origin`, `updated` or `local`.
        problems: Vec<Problem>,
    },
    /// Something was changed locally, and the strategy does not allow it.
    #[error(
        "fast-forwarding the package: these files were changed since it was fetched: {} (use another --strategy)",
        files.join(", ")
    )]
    Modified {
        /// The files.
        files: Vec<String>,
    },
    /// Both sides have a new subpackage at the same place.
    #[error(
        "merging subpackage {directory}: it is new both in the local package and upstream (rename or remove the local one)"
    )]
    AddedTwice {
        /// Its directory.
        directory: String,
    },
    /// Both sides changed the same, and nobody shall win.
    #[error(
        "merging the package: both sides changed\n{}\n(choose with --on-conflict upstream or local: with copy-merge it decides about \
         files; else about fields, and what one side removed and files that are no resources stay as they are locally)",
        lines(conflicts)
    )]
    Conflicts {
        /// All conflicts.
        conflicts: Vec<Conflict>,
    },
    /// Local changes shall count, and the strategy loses them by definition.
    #[error(
        "replacing the package: with the strategy force-delete-replace local changes are lost, so there is nothing to \
         decide with --on-conflict local or fail (leave it out, or use resource-merge or copy-merge)"
    )]
    Undecidable,
}

fn lines<T: fmt::Display>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Updates a package.
///
/// The Kptfile keeps its name, namespace, `upstream`, `upstreamLock` and `status`; [`record`] writes where the package
/// comes from now.
///
/// # Errors
/// [`UpgradeError`].
pub fn upgrade(trees: &Trees<'_>, strategy: Strategy, on_conflict: OnConflict) -> Result<Upgraded, UpgradeError> {
    if strategy == Strategy::ForceDeleteReplace && on_conflict != OnConflict::Upstream {
        return Err(UpgradeError::Undecidable);
    }
    let upgraded = match strategy {
        Strategy::ResourceMerge => packages::resource_merge(trees, on_conflict),
        Strategy::FastForward => packages::fast_forward(trees),
        Strategy::ForceDeleteReplace => packages::replace(trees.updated, trees.local),
        Strategy::CopyMerge => packages::copy_merge(trees, on_conflict),
    };
    let upgraded = upgraded.map_err(|error| of_charts(trees, error))?;
    if on_conflict == OnConflict::Fail && !upgraded.conflicts.is_empty() {
        return Err(UpgradeError::Conflicts { conflicts: upgraded.conflicts });
    }
    Ok(upgraded)
}

/// Of files that cannot be read, those of charts are told as that.
fn of_charts(trees: &Trees<'_>, error: UpgradeError) -> UpgradeError {
    let UpgradeError::Problems { problems } = error else { return error };
    let mut charts = Charts::of(trees.local, &Ignored::read(trees.local));
    let mut told = |problem: Problem| {
        let Some((version, path)) = problem.file.split_once('/').map(|(v, p)| (v.to_owned(), p.to_owned())) else {
            return Some(problem);
        };
        let told = charts.told(Problem { file: path, ..problem })?;
        Some(Problem { file: format!("{version}/{}", told.file), ..told })
    };
    UpgradeError::Problems { problems: problems.into_iter().filter_map(&mut told).collect() }
}

#[cfg(test)]
mod tests;
