//! Helm charts in a package: what they hold is named like resources, and is none.

use std::collections::BTreeMap;

use super::Problem;
use super::ignore::Ignored;
use super::layout::is_below;
use crate::domain::source::FileTree;

/// What makes a directory a chart, beside `templates/`.
const FILE: &str = "Chart.yaml";

/// The charts of a tree by their directories.
#[derive(Debug, Clone, Default)]
pub(super) struct Charts(BTreeMap<String, Chart>);

#[derive(Debug, Clone)]
struct Chart {
    /// Directory of the package around it.
    home: String,
    /// Whether it was told already that its files are no resources: what mends one of them mends all.
    is_told: bool,
}

impl Charts {
    /// Finds them by their `Chart.yaml` beside `templates/`.
    pub(super) fn of(tree: &FileTree, ignored: &Ignored) -> Self {
        let is_chart = |it: &str| tree.iter().any(|(path, _)| path.starts_with(&format!("{it}templates/")));
        let found = tree.iter().filter_map(|(path, _)| {
            let directory = path.strip_suffix(FILE).filter(|it| it.is_empty() || it.ends_with('/'))?;
            let chart = Chart { home: ignored.home(path).to_owned(), is_told: false };
            is_chart(directory).then(|| (directory.trim_end_matches('/').to_owned(), chart))
        });
        Self(found.collect())
    }

    /// What to tell of a file that is no resource: when it belongs to a chart, that, and nothing of the chart's others.
    pub(super) fn told(&mut self, wrong: Problem) -> Option<Problem> {
        // The outermost comes first.
        let Some((directory, chart)) = self.0.iter_mut().find(|(chart, _)| is_below(&wrong.file, chart)) else {
            return Some(wrong);
        };
        let is_new = !std::mem::replace(&mut chart.is_told, true);
        is_new.then(|| problem(directory, &chart.home, wrong))
    }
}

fn problem(directory: &str, home: &str, wrong: Problem) -> Problem {
    let place = if directory.is_empty() { "the package's own directory" } else { directory };
    let message = format!(
        "{}; the file belongs to the Helm chart in {place} ({FILE} beside templates/), and the files of a chart are no \
         resources",
        wrong.message
    );
    let ignore = if home.is_empty() { ".krmignore".to_owned() } else { format!("{home}/.krmignore") };
    let hint = match directory.strip_prefix(home).map_or(directory, |rest| rest.trim_start_matches('/')) {
        "" => format!("lines /{FILE}, /values.yaml and /templates/ in {ignore} keep them out"),
        below => format!("a line /{below}/ in {ignore} keeps them out"),
    };
    Problem { code: "package.chart", message, ..wrong }.hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::source::File;

    /// What is told of two files that cannot be read, in a package with these files.
    fn told(files: &[&str], wrong: [&str; 2]) -> Vec<String> {
        let mut tree = FileTree::new();
        for path in files.iter().chain(&wrong) {
            tree.insert(*path, File::regular(b"".to_vec())).unwrap();
        }
        let mut charts = Charts::of(&tree, &Ignored::read(&tree));
        let told = wrong.map(|path| charts.told(Problem::new("yaml.syntax", path, 1, "m")));
        told.into_iter().flatten().map(|told| told.hint.unwrap_or_else(|| told.code.to_owned())).collect()
    }

    #[test]
    fn what_to_do_names_the_real_folder_once() {
        let root = "lines /Chart.yaml, /values.yaml and /templates/ in .krmignore keep them out";
        let sub = "lines /Chart.yaml, /values.yaml and /templates/ in s/.krmignore keep them out";
        let table: [(&[&str], [&str; 2], &[&str]); 6] = [
            (
                &["a/b/Chart.yaml", "a/b/charts/c/Chart.yaml"],
                ["a/b/templates/x.yaml", "a/b/charts/c/templates/y.yaml"],
                &["a line /a/b/ in .krmignore keeps them out"],
            ),
            (
                &["s/Kptfile", "s/b/Chart.yaml"],
                ["s/b/templates/x.yaml", "y.yaml"],
                &["a line /b/ in s/.krmignore keeps them out", "yaml.syntax"],
            ),
            (&["Chart.yaml"], ["templates/x.yaml", "templates/y.yaml"], &[root]),
            (&["s/Chart.yaml", "s/Kptfile"], ["s/templates/x.yaml", "s/values.yaml"], &[sub]),
            (&["a/Chart.yaml"], ["a/x.yaml", "a/y.yaml"], &["yaml.syntax", "yaml.syntax"]),
            (&["a/MyChart.yaml"], ["a/templates/x.yaml", "b.yaml"], &["yaml.syntax", "yaml.syntax"]),
        ];
        for (files, wrong, expected) in table {
            assert_eq!(told(files, wrong), expected, "{files:?}");
        }
    }
}
