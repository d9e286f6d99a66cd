//! Which packages a tree has, and in which order their pipelines run.

use super::Problem;
use super::kptfile::{self, Kptfile};
use super::render::RenderError;
use crate::domain::source::FileTree;

/// Deepest nesting of subpackages.
const MAX_DEPTH: usize = 32;

/// A package and those that are directly in it.
#[derive(Debug, Clone)]
pub(super) struct Package {
    /// Directory; empty for the root.
    pub(super) directory: String,
    /// What its Kptfile says.
    pub(super) kptfile: Kptfile,
    /// Indices of its subpackages, by path.
    children: Vec<usize>,
}

/// The packages of a tree; the first is the root.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    packages: Vec<Package>,
}

fn depth(directory: &str) -> usize {
    directory.split('/').filter(|part| !part.is_empty()).count()
}

/// Whether a path is in a directory, at any depth; everything is in the root.
pub(super) fn is_below(path: &str, directory: &str) -> bool {
    directory.is_empty() || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

impl Layout {
    /// Reads every Kptfile; as in kpt, `.krmignore` leaves none out.
    ///
    /// # Errors
    /// [`RenderError::Problems`], all of them.
    pub(super) fn read(tree: &FileTree) -> Result<Self, RenderError> {
        let (found, problems) = Self::survey(tree);
        if problems.is_empty() { Ok(found) } else { Err(RenderError::Problems { problems }) }
    }

    /// Reads what can be read of every Kptfile, and says what is wrong with them; without a root it is empty.
    pub(super) fn survey(tree: &FileTree) -> (Self, Vec<Problem>) {
        let mut found = Vec::new();
        let mut problems = Vec::new();
        for (path, file) in tree.iter() {
            let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
            if name != kptfile::FILE {
                if name.eq_ignore_ascii_case(kptfile::FILE) {
                    problems.push(Problem::new("kptfile.ambiguous", path, 1, "the file must be called Kptfile"));
                }
                continue;
            }
            match Kptfile::survey(path, &file.bytes) {
                Ok((kptfile, mut wrong)) => {
                    problems.append(&mut wrong);
                    found.push(Package { directory: directory.to_owned(), kptfile, children: Vec::new() });
                }
                Err(mut wrong) => problems.append(&mut wrong),
            }
        }
        found.sort_by(|a, b| a.directory.cmp(&b.directory));
        match Self::nested(found) {
            Ok(layout) => (layout, problems),
            Err(problem) => {
                // A Kptfile that cannot be read is not missing.
                if problems.is_empty() {
                    problems.push(problem);
                }
                (Self { packages: Vec::new() }, problems)
            }
        }
    }

    fn nested(mut packages: Vec<Package>) -> Result<Self, Problem> {
        if packages.first().is_none_or(|first| !first.directory.is_empty()) {
            let missing = Problem::new("kptfile.missing", kptfile::FILE, 1, "the package has no Kptfile");
            return Err(missing.hint("a directory becomes a package with a Kptfile"));
        }
        if let Some(deep) = packages.iter().find(|package| depth(&package.directory) > MAX_DEPTH) {
            let message = format!("subpackages are nested deeper than {MAX_DEPTH}");
            return Err(Problem::new("package.depth_limit", &deep.directory, 1, message));
        }
        for index in 1..packages.len() {
            let directory = &packages[index].directory;
            let around = packages
                .iter()
                .enumerate()
                .filter(|(other, package)| *other != index && is_below(directory, &package.directory));
            let parent = around.max_by_key(|(_, package)| package.directory.len()).map_or(0, |(parent, _)| parent);
            packages[parent].children.push(index);
        }
        Ok(Self { packages })
    }

    /// The root's Kptfile.
    pub(super) fn root(&self) -> Option<&Kptfile> {
        self.packages.first().map(|root| &root.kptfile)
    }

    /// How many packages there are.
    pub(super) const fn len(&self) -> usize {
        self.packages.len()
    }

    /// Every package, those in it before a package: the order of pipelines, and of the resources that they see.
    pub(super) fn inner_first(&self) -> Vec<&Package> {
        let mut order = Vec::new();
        self.visit(0, &mut order);
        order
    }

    /// Every package, level by level: the order of pipelines under `kpt.dev/bfs-rendering`.
    pub(super) fn by_level(&self) -> Vec<&Package> {
        let mut order: Vec<usize> = (0..self.packages.len().min(1)).collect();
        let mut next = 0;
        while let Some(&package) = order.get(next) {
            order.extend(&self.packages[package].children);
            next += 1;
        }
        order.into_iter().map(|package| &self.packages[package]).collect()
    }

    fn visit<'a>(&'a self, at: usize, order: &mut Vec<&'a Package>) {
        let Some(package) = self.packages.get(at) else { return };
        for child in &package.children {
            self.visit(*child, order);
        }
        order.push(package);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::source::File;

    fn layout(directories: &[&str]) -> Layout {
        let mut tree = FileTree::new();
        for directory in directories {
            let path = if directory.is_empty() { "Kptfile".to_owned() } else { format!("{directory}/Kptfile") };
            let text = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: p\n";
            tree.insert(path, File::regular(text.as_bytes().to_vec())).unwrap();
        }
        Layout::read(&tree).unwrap()
    }

    fn names(packages: &[&Package]) -> Vec<String> {
        packages.iter().map(|package| package.directory.clone()).collect()
    }

    #[test]
    fn pipelines_run_in_the_order_of_kpt() {
        let layout = layout(&["b", "", "a/x/y", "a", "a-b", "c/deep/d", "b/z"]);
        assert_eq!(names(&layout.inner_first()), ["a/x/y", "a", "a-b", "b/z", "b", "c/deep/d", ""]);
        assert_eq!(names(&layout.by_level()), ["", "a", "a-b", "b", "c/deep/d", "a/x/y", "b/z"]);
    }
}
