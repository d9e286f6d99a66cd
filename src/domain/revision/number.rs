//! Numbers of published revisions and the workspaces they came from.

use std::collections::BTreeMap;

use crate::domain::id::{PackageName, WorkspaceName};

use super::message::Annotation;

/// The number after `taken`: 1 when nothing is published. What was deleted is not counted, as in Porch, so the number
/// of a deleted newest revision is given again.
#[must_use]
pub fn next(taken: impl IntoIterator<Item = i64>) -> i64 {
    taken.into_iter().max().unwrap_or(0).max(0).saturating_add(1)
}

/// The latest number of each package: the highest published one, by the package's full path, so that packages whose
/// last parts are equal do not disturb each other. Placeholders and drafts never count; a proposed deletion still does.
#[must_use]
pub fn latest<'r>(all: impl IntoIterator<Item = (&'r PackageName, i64)>) -> BTreeMap<PackageName, i64> {
    let mut highest: BTreeMap<PackageName, i64> = BTreeMap::new();
    for (package, number) in all.into_iter().filter(|(_, number)| *number > 0) {
        let known = highest.entry(package.clone()).or_default();
        *known = (*known).max(number);
    }
    highest
}

/// Whether an annotation says that number `number` of a package was approved. `path` is the package's path in the
/// repository; older commits carry the path below the repository's directory, and numbers such as `v2`.
#[must_use]
pub fn approves(annotation: &Annotation, path: &str, package: &PackageName, number: i64) -> bool {
    let package_fits = annotation.package == path || annotation.package == package.as_str();
    let text = annotation.revision.as_str();
    package_fits && text.strip_prefix('v').unwrap_or(text) == number.to_string()
}

/// The workspace that an approval of this number names, when it is a workspace name.
#[must_use]
pub fn workspace(annotations: &[Annotation], path: &str, package: &PackageName, number: i64) -> Option<WorkspaceName> {
    let mut fitting = annotations.iter().filter(|annotation| approves(annotation, path, package, number));
    fitting.find_map(|annotation| WorkspaceName::new(annotation.workspace.as_str()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_highest() {
        for (taken, expected) in [(vec![], 1), (vec![-1, 0], 1), (vec![2, 7, 3], 8), (vec![i64::MAX], i64::MAX)] {
            assert_eq!(next(taken.clone()), expected, "{taken:?}");
        }
    }

    #[test]
    fn the_latest_is_found_by_full_path() {
        let name = |text: &str| PackageName::new(text).unwrap();
        let (net, edge, draft) = (name("net/upf"), name("edge/upf"), name("draft"));
        let all = [(&net, 2), (&net, 10), (&edge, 1), (&edge, -1), (&draft, 0)];
        assert_eq!(latest(all), BTreeMap::from([(net.clone(), 10), (edge.clone(), 1)]));
    }

    #[test]
    fn the_workspace_is_that_of_the_same_package_and_number() {
        let said = |package: &str, workspace: &str, revision: &str| Annotation {
            package: package.to_owned(),
            workspace: workspace.to_owned(),
            revision: revision.to_owned(),
            task: None,
        };
        let package = PackageName::new("upf").unwrap();
        let annotations = [
            said("d/upf", "draft", "0"),
            said("other/upf", "others", "2"),
            said("d/upf", "Not A Workspace", "2"),
            said("d/upf", "w2", "2"),
            said("upf", "w3", "v3"),
        ];
        let found = |number| workspace(&annotations, "d/upf", &package, number).map(|w| w.to_string());
        assert_eq!([found(1), found(2), found(3)], [None, Some("w2".to_owned()), Some("w3".to_owned())]);
    }
}
