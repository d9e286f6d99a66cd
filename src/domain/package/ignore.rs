//! `.krmignore`: files of a package that are no resources, by patterns as in `.gitignore`.

use super::functions::glob;
use crate::domain::source::FileTree;

/// Name of the files with the patterns; each is about its own directory and what is below.
const FILE: &str = ".krmignore";

/// The patterns of a tree, those of outer directories first.
#[derive(Debug, Clone, Default)]
pub(super) struct Ignored {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    directory: String,
    pattern: String,
    /// `!pattern`: what an earlier pattern left out is taken in again.
    negated: bool,
    /// `pattern/`: only directories are meant.
    directories: bool,
}

impl Ignored {
    /// Reads every `.krmignore` of a tree.
    pub(super) fn read(tree: &FileTree) -> Self {
        let files = tree.iter().filter(|(path, _)| path.rsplit('/').next() == Some(FILE));
        let mut rules: Vec<Rule> = files.flat_map(|(path, file)| rules(path, &file.bytes)).collect();
        rules.sort_by_key(|rule| rule.directory.split('/').filter(|part| !part.is_empty()).count());
        Self { rules }
    }

    /// Whether a file is left out: it, or a directory that it is in.
    pub(super) fn holds(&self, path: &str) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        let directories = path.match_indices('/').map(|(at, _)| (&path[..at], true));
        directories.chain([(path, false)]).any(|(path, directory)| self.names(path, directory))
    }

    /// The last pattern that matches decides.
    fn names(&self, path: &str, directory: bool) -> bool {
        let meant = |rule: &&Rule| (directory || !rule.directories) && rule.matches(path);
        self.rules.iter().rev().find(meant).is_some_and(|rule| !rule.negated)
    }
}

fn rules(path: &str, bytes: &[u8]) -> Vec<Rule> {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let text = String::from_utf8_lossy(bytes).into_owned();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| rule(directory, line)).collect()
}

fn rule(directory: &str, line: &str) -> Rule {
    let (negated, line) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
    let (directories, line) = line.strip_suffix('/').map_or((false, line), |rest| (true, rest));
    // A pattern with a slash is about a path from its own directory, one without about names anywhere below.
    let pattern = if line.contains('/') { line.trim_start_matches('/').to_owned() } else { format!("**/{line}") };
    Rule { directory: directory.to_owned(), pattern, negated, directories }
}

impl Rule {
    fn matches(&self, path: &str) -> bool {
        let relative = match self.directory.as_str() {
            "" => Some(path),
            directory => path.strip_prefix(directory).and_then(|rest| rest.strip_prefix('/')),
        };
        relative.is_some_and(|relative| glob::matches(&self.pattern, relative) == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::source::File;

    /// From the words of gitignore(5).
    #[test]
    fn patterns_mean_what_they_mean_in_gitignore() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("tests/", &["tests/a.yaml", "x/tests/b.yaml"], &["tests", "tests.yaml"]),
            ("*.yml", &["a.yml", "x/b.yml"], &["a.yaml"]),
            ("/top.yaml", &["top.yaml"], &["x/top.yaml"]),
            ("x/*.yaml", &["x/a.yaml"], &["x/y/a.yaml", "y/x/a.yaml"]),
            ("x/**/a.yaml", &["x/a.yaml", "x/y/z/a.yaml"], &["a.yaml"]),
            ("*.yaml\n!keep.yaml", &["a.yaml"], &["keep.yaml", "x/keep.yaml"]),
            ("dir/\n!dir/keep.yaml", &["dir/keep.yaml"], &[]),
            ("# a comment\n\nname", &["name", "x/name/y.yaml"], &["names"]),
        ];
        for (patterns, ignored, kept) in table {
            let mut tree = FileTree::new();
            tree.insert(FILE, File::regular(patterns.as_bytes())).unwrap();
            let found = Ignored::read(&tree);
            for path in *ignored {
                assert!(found.holds(path), "{patterns:?} does not hold {path}");
            }
            for path in *kept {
                assert!(!found.holds(path), "{patterns:?} holds {path}");
            }
        }
    }

    #[test]
    fn a_file_is_about_its_own_directory() {
        let mut tree = FileTree::new();
        tree.insert("sub/.krmignore", File::regular(b"/a.yaml"[..].to_vec())).unwrap();
        let found = Ignored::read(&tree);
        assert!(found.holds("sub/a.yaml") && !found.holds("a.yaml") && !found.holds("subway/a.yaml"));
    }
}
