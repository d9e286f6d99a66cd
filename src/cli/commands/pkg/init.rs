//! `pkg init`.

use anyhow::bail;
use serde_json::{Value, json};

use super::{name_of, progress};
use crate::cli::Done;
use crate::cli::args::{Global, PkgInit};
use crate::cli::files;
use crate::domain::package::context;
use crate::domain::package::kptfile::FILE;
use crate::domain::package::upgrade::fresh;
use crate::domain::source::{File, FileTree};

/// Makes a directory a package; like kpt, it asks for the directory, and leaves what is there already as it is.
pub(super) fn init(global: &Global, args: &PkgInit) -> anyhow::Result<Done> {
    let root = &args.directory;
    files::present(root)?;
    if !root.exists() {
        bail!("{} does not exist; make it first: mkdir -p {:?}", root.display(), root.display().to_string());
    }
    if !root.is_dir() {
        bail!("{} is not a directory; name one", root.display());
    }
    let name = name_of(root);
    let mut tree = FileTree::new();
    let made = [
        (FILE, fresh(&name, &info(args))),
        ("README.md", readme(&name, &args.description)),
        (context::FILE, context::of(context::ABSTRACT)),
    ];
    for (path, text) in made {
        if std::fs::symlink_metadata(root.join(path)).is_ok() {
            continue;
        }
        progress(global, &format!("writing {}", root.join(path).display()));
        tree.insert(path, File::regular(text.into_bytes()))?;
    }
    files::replace(root, &FileTree::new(), &tree)?;
    Ok(Done::Fine)
}

/// Fields of `info`, in the order in which kpt has them.
fn info(args: &PkgInit) -> Vec<(&'static str, Value)> {
    let keywords: Vec<&String> = args.keywords.iter().filter(|word| !word.is_empty()).collect();
    let site = args.site.as_ref().map(|site| ("site", json!(site)));
    let keywords = (!keywords.is_empty()).then(|| ("keywords", json!(keywords)));
    site.into_iter().chain([("description", json!(args.description))]).chain(keywords).collect()
}

fn readme(name: &str, description: &str) -> String {
    format!(
        "# {name}\n\n## Description\n\n{description}\n\n## Usage\n\n    loggia pkg get REPO[/DIR]/{name}[@VERSION] {name}\n    loggia pkg tree {name}\n    loggia render {name}\n"
    )
}
