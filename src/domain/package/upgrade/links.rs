//! Symbolic links of a package.

use super::Problem;
use crate::domain::source::{FileMode, FileTree};

/// Links that lead out of the package, each as a problem. A link inside of it is kept.
#[must_use]
pub fn escaping_links(tree: &FileTree) -> Vec<Problem> {
    let links = tree.iter().filter(|(_, file)| file.mode == FileMode::Symlink);
    let wrong = links.filter_map(|(path, file)| {
        let target = String::from_utf8_lossy(&file.bytes).into_owned();
        leads_out(path, &target).then(|| {
            let message = format!("it is a symbolic link to {target:?}, which is outside of the package");
            Problem::new("path.symlink", path, 1, message).hint("put the file itself there")
        })
    });
    wrong.collect()
}

fn leads_out(path: &str, target: &str) -> bool {
    if target.is_empty() || target.starts_with('/') {
        return true;
    }
    let mut depth = path.matches('/').count();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return true,
            },
            _ => depth += 1,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ];
        for (path, target, out) in table {
            assert_eq!(leads_out(path, target), out, "{path} -> {target}");
        }
    }
}
