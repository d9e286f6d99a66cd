//! `.krmignore`: files of a package that are no resources, by patterns as in `.gitignore`.
//!
//! As in kpt, the file of a package stands beside its Kptfile, and is about the package's own files: neither those of
//! its subpackages nor whether these are there. Where a folder is read as one, for a single function, it may leave out
//! whole subpackages.

use std::collections::BTreeSet;

use super::Problem;
use super::functions::glob::{Pattern, names};
use super::kptfile;
use super::layout::is_below;
use crate::domain::source::{File, FileTree};

/// Name of the files with the patterns.
const FILE: &str = ".krmignore";
/// Most patterns of a package, and most bytes of them together: every file is held against each.
const MAX_PATTERNS: usize = 1000;
const MAX_BYTES: usize = 64 << 10;

/// The patterns of a tree.
#[derive(Debug, Clone, Default)]
pub(super) struct Ignored {
    rules: Vec<Rule>,
    /// The directories of packages, the root among them.
    packages: BTreeSet<String>,
    /// Whether a package leaves out subpackages.
    is_folder: bool,
    /// There are more patterns than are read.
    excess: Option<Problem>,
}

#[derive(Debug, Clone)]
struct Rule {
    /// How many directories lead to the file that it stands in, and their path.
    depth: usize,
    directory: String,
    pattern: Pattern,
    /// `!pattern`: what an earlier pattern left out is taken in again.
    negated: bool,
    /// `pattern/`: only directories are meant.
    directories: bool,
}

impl Ignored {
    /// The patterns of a tree that is read as one folder.
    pub(super) fn of_folder(tree: &FileTree) -> Self {
        Self { is_folder: true, ..Self::read(tree) }
    }

    /// The patterns of a package and its subpackages.
    pub(super) fn read(tree: &FileTree) -> Self {
        let directory =
            |(path, _): (&str, &File)| path.strip_suffix(kptfile::FILE)?.strip_suffix('/').map(str::to_owned);
        let packages = tree.iter().filter_map(directory).chain([String::new()]).collect();
        let mut found = Self { packages, ..Self::default() };
        let (mut count, mut bytes) = (0, 0);
        for (path, number, line) in
            tree.iter().filter(|(path, _)| found.is_meant(path)).flat_map(lines).collect::<Vec<_>>()
        {
            (count, bytes) = (count + 1, bytes + line.len());
            if count > MAX_PATTERNS || bytes > MAX_BYTES {
                found.excess = Some(excess(path, number));
                break;
            }
            // What is no pattern matches nothing, as in git.
            found.rules.extend(rule(path.rsplit_once('/').map_or("", |(directory, _)| directory), &line));
        }
        found
    }

    /// Whether a file has the patterns of a package.
    fn is_meant(&self, path: &str) -> bool {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        name == FILE && self.packages.contains(directory)
    }

    /// The directory of the package that something is in, which may be the directory of a package itself.
    pub(super) fn home<'p>(&self, path: &'p str) -> &'p str {
        let mut directory = path;
        while let Some((around, _)) = directory.rsplit_once('/') {
            if self.packages.contains(around) {
                return around;
            }
            directory = around;
        }
        ""
    }

    /// What is wrong with the patterns themselves.
    pub(super) const fn problem(&self) -> Option<&Problem> {
        self.excess.as_ref()
    }

    /// Whether a file is left out: it, or a directory that it is in.
    pub(super) fn holds(&self, path: &str) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        let home = self.home(path);
        self.leaves_out(home, path, false) || (self.is_folder && self.is_without(home))
    }

    /// Whether a package, or one around it, is left out by the package that it is in.
    fn is_without(&self, package: &str) -> bool {
        let home = self.home(package);
        !package.is_empty() && (self.leaves_out(home, package, true) || self.is_without(home))
    }

    /// Whether the package in `home` leaves something of its own out, or a directory that it is in.
    fn leaves_out(&self, home: &str, path: &str, is_directory: bool) -> bool {
        let own: Vec<&Rule> = self.rules.iter().filter(|rule| rule.directory == home && is_below(path, home)).collect();
        let names = names(path);
        !own.is_empty()
            && (1..=names.len()).any(|count| is_left_out(&own, &names[..count], is_directory || count < names.len()))
    }
}

/// The patterns of a file, each with its line.
fn lines<'t>((path, file): (&'t str, &File)) -> Vec<(&'t str, usize, String)> {
    let text = String::from_utf8_lossy(&file.bytes);
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(index, line)| (path, index + 1, line.to_owned())).collect()
}

/// The last pattern that matches decides.
fn is_left_out(rules: &[&Rule], names: &[Vec<char>], directory: bool) -> bool {
    let meant = |rule: &&&Rule| {
        let below = names.get(rule.depth..).filter(|below| !below.is_empty());
        (directory || !rule.directories) && below.is_some_and(|below| rule.pattern.matches(below))
    };
    rules.iter().rev().find(meant).is_some_and(|rule| !rule.negated)
}

fn excess(path: &str, line: usize) -> Problem {
    let message = format!(
        "the package has more than {MAX_PATTERNS} patterns of files to leave out, or more than {MAX_BYTES} bytes of \
         them, counted up to here"
    );
    Problem::new("package.ignore_limit", path, line, message).hint("name directories instead of files")
}

fn rule(directory: &str, line: &str) -> Option<Rule> {
    let (negated, line) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest));
    let (directories, line) = line.strip_suffix('/').map_or((false, line), |rest| (true, rest));
    // A pattern with a slash is about a path from its own directory, one without about names anywhere below.
    let pattern = if line.contains('/') { line.trim_start_matches('/').to_owned() } else { format!("**/{line}") };
    // What is below a directory is not the directory, which would take all of it along for good.
    let pattern = if pattern.ends_with("/**") { format!("{pattern}/*") } else { pattern };
    let pattern = pattern.replace('{', "\\{").replace('}', "\\}");
    let depth = directory.split('/').filter(|part| !part.is_empty()).count();
    Some(Rule { depth, directory: directory.to_owned(), pattern: Pattern::read(&pattern)?, negated, directories })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            ("dir/**\n!dir/keep.yaml", &["dir/a.yaml", "dir/x/a.yaml"], &["dir/keep.yaml", "dir"]),
            ("{a,b}.yaml", &["{a,b}.yaml"], &["a.yaml", "b.yaml"]),
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

    /// Patterns by directory, and what they leave out of a render and of a folder.
    type Row<'t> = (&'t [(&'t str, &'t str)], &'t str, &'t str);

    /// What `kpt fn render` and `kpt fn eval` of 1.0.0-beta.56 give to functions.
    #[test]
    fn a_file_is_about_its_own_package() {
        let paths = ["Kptfile", "a.yaml", "dir/a.yaml", "sub/Kptfile", "sub/a.yaml", "sub/b.yaml", "sub/plain/a.yaml"];
        let table: &[Row<'_>] = &[
            (&[("", "a.yaml")], "a.yaml dir/a.yaml", "a.yaml dir/a.yaml"),
            (&[("", "sub")], "", "sub/Kptfile sub/a.yaml sub/b.yaml sub/plain/a.yaml"),
            (&[("", "sub/a.yaml")], "", ""),
            (&[("sub/", "b.yaml")], "sub/b.yaml", "sub/b.yaml"),
            (&[("sub/", "/a.yaml")], "sub/a.yaml", "sub/a.yaml"),
            (&[("dir/", "a.yaml")], "", ""),
            (&[("", "dir/")], "dir/a.yaml", "dir/a.yaml"),
            (&[("sub/", "plain/")], "sub/plain/a.yaml", "sub/plain/a.yaml"),
            (&[("", "a.yaml"), ("sub/", "!a.yaml")], "a.yaml dir/a.yaml", "a.yaml dir/a.yaml"),
            (&[("", "Kptfile")], "Kptfile", "Kptfile"),
        ];
        for (files, rendered, evaluated) in table {
            let mut tree = FileTree::new();
            for path in paths {
                tree.insert(path, File::regular(b"".to_vec())).unwrap();
            }
            for (directory, patterns) in *files {
                tree.insert(format!("{directory}{FILE}"), File::regular(patterns.as_bytes())).unwrap();
            }
            let left_out = |ignored: &Ignored| {
                let left_out: Vec<&str> = paths.into_iter().filter(|path| ignored.holds(path)).collect();
                left_out.join(" ")
            };
            assert_eq!(left_out(&Ignored::read(&tree)), *rendered, "{files:?}");
            assert_eq!(left_out(&Ignored::of_folder(&tree)), *evaluated, "{files:?}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let mut tree = FileTree::new();
        tree.insert(FILE, File::regular(b"*a*a*a*a*a*a*a*a*a*a*a*a*b\n"[..].to_vec())).unwrap();
        assert!(!Ignored::read(&tree).holds(&["a".repeat(255), "a".repeat(255)].join("/")));
    }

    #[test]
    fn patterns_are_counted() {
        let text = |count: usize| (0..count).map(|n| format!("x{n}\n")).collect::<String>();
        let read = |text: &str| {
            let mut tree = FileTree::new();
            tree.insert("a/.krmignore", File::regular(text.as_bytes())).unwrap();
            tree.insert("a/Kptfile", File::regular(b"".to_vec())).unwrap();
            Ignored::read(&tree)
        };
        let found = read(&text(MAX_PATTERNS));
        assert!(found.problem().is_none() && found.holds("a/x999"));
        let found = read(&text(MAX_PATTERNS + 1));
        let told = found.problem().unwrap();
        assert_eq!((told.file.as_str(), told.line, told.code), ("a/.krmignore", 1001, "package.ignore_limit"));
        assert!(found.holds("a/x999") && !found.holds("a/x1000"));
        assert!(read(&"x".repeat(MAX_BYTES + 1)).problem().is_some());
    }
}
