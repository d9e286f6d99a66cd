//! Symbolic links of a package.

use super::Problem;
use crate::domain::source::{FileMode, FileTree};

/// Most links that one link leads through, as in Linux.
const HOPS: usize = 40;

/// Where a link leads in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Inside,
    Outside,
    Nowhere,
}

/// Links that lead out of the package, or in circles, each as a problem. A link inside of it is kept.
///
/// A link may lead through others: `a` to `.` and `b` to `a/../x` lead out, though neither path alone does.
#[must_use]
pub fn escaping_links(tree: &FileTree) -> Vec<Problem> {
    let links = tree.iter().filter(|(_, file)| file.mode == FileMode::Symlink);
    let wrong = links.filter_map(|(path, file)| {
        let why = match end(tree, path) {
            End::Inside => return None,
            End::Outside => "which is outside of the package",
            End::Nowhere => "which leads in circles",
        };
        let target = String::from_utf8_lossy(&file.bytes);
        let message = format!("it is a symbolic link to {target:?}, {why}");
        Some(Problem::new("path.symlink", path, 1, message).hint("put the file itself there"))
    });
    wrong.collect()
}

/// Follows a link as a file system does, part by part.
fn end(tree: &FileTree, path: &str) -> End {
    let mut place: Vec<String> = Vec::new();
    let mut open: Vec<String> = parts(path);
    let mut hops = 0;
    while let Some(part) = open.pop() {
        match part.as_str() {
            "" | "." => {}
            ".." => {
                if place.pop().is_none() {
                    return End::Outside;
                }
            }
            _ => {
                place.push(part);
                let Some(target) = target(tree, &place.join("/")) else { continue };
                hops += 1;
                if target.is_empty() || target.starts_with('/') {
                    return End::Outside;
                }
                if hops > HOPS {
                    return End::Nowhere;
                }
                place.pop();
                open.extend(parts(&target));
            }
        }
    }
    End::Inside
}

/// The parts of a path, the first one last.
fn parts(path: &str) -> Vec<String> {
    path.split('/').rev().map(str::to_owned).collect()
}

fn target(tree: &FileTree, path: &str) -> Option<String> {
    let link = tree.get(path).filter(|file| file.mode == FileMode::Symlink)?;
    Some(String::from_utf8_lossy(&link.bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::source::File;

    fn told(links: &[(&str, &str)]) -> Vec<String> {
        let mut tree = FileTree::new();
        for (path, target) in links {
            let bytes = target.as_bytes().into();
            tree.insert(*path, File { mode: FileMode::Symlink, bytes }).unwrap();
        }
        escaping_links(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_links_inside_are_kept() {
        let table = [
            ("a", "b", false),
            ("d/a", "../b", false),
            ("d/a", "../../b", true),
            ("a", "/etc/passwd", true),
            ("a", "d/../../b", true),
            ("a", "", true),
            ("d/e/a", "./../../b", false),
            ("a", ".", false),
        ];
        for (path, target, out) in table {
            let expected = format!(
                "{path}:1: it is a symbolic link to {target:?}, which is outside of the package (put the file itself \
                 there) [path.symlink]"
            );
            let expected = if out { vec![expected] } else { Vec::new() };
            assert_eq!(told(&[(path, target)]), expected);
        }
    }

    #[test]
    fn links_lead_through_links() {
        let outside = |path: &str, target: &str| {
            format!(
                "{path}:1: it is a symbolic link to {target:?}, which is outside of the package (put the file itself \
                 there) [path.symlink]"
            )
        };
        assert_eq!(told(&[("a", "."), ("b", "a/../x")]), [outside("b", "a/../x")]);
        assert_eq!(told(&[("a", "/etc"), ("b", "a/passwd")]), [outside("a", "/etc"), outside("b", "a/passwd")]);
        assert_eq!(told(&[("a", "x/y/z"), ("b", "a/../w")]), [""; 0]);
        let circle = |path: &str, target: &str| {
            format!(
                "{path}:1: it is a symbolic link to {target:?}, which leads in circles (put the file itself there) \
                 [path.symlink]"
            )
        };
        assert_eq!(told(&[("self", "self")]), [circle("self", "self")]);
        assert_eq!(told(&[("a", "b"), ("b", "a")]), [circle("a", "b"), circle("b", "a")]);
    }
}
