//! `pkg init`.

use anyhow::bail;
use serde_json::{Map, json};

use super::{name_of, progress};
use crate::cli::Done;
use crate::cli::args::{Global, PkgInit};
use crate::cli::files;
use crate::domain::package::context;
use crate::domain::package::kptfile::FILE;
use crate::domain::package::upgrade::fresh;
use crate::domain::source::{File, FileTree};

pub(super) fn init(global: &Global, args: &PkgInit) -> anyhow::Result<Done> {
    let root = &args.directory;
    if !root.is_dir() {
        bail!("{} is not a directory; make it first", root.display());
    }
    if root.join(FILE).exists() {
        bail!("{} is a package already: it has a Kptfile", root.display());
    }
    let name = name_of(root);
    let mut info = Map::new();
    info.insert("description".to_owned(), json!(args.description));
    let keywords: Vec<&String> = args.keywords.iter().filter(|word| !word.is_empty()).collect();
    if !keywords.is_empty() {
        info.insert("keywords".to_owned(), json!(keywords));
    }
    if let Some(site) = &args.site {
        info.insert("site".to_owned(), json!(site));
    }
    let mut tree = FileTree::new();
    let made = [
        (FILE, fresh(&name, &info.into())),
        ("README.md", readme(&name, &args.description)),
        (context::FILE, context::of(&name)),
    ];
    for (path, text) in made {
        if root.join(path).exists() {
            continue;
        }
        progress(global, &format!("writing {}", root.join(path).display()));
        tree.insert(path, File::regular(text.into_bytes()))?;
    }
    files::replace(root, &FileTree::new(), &tree)?;
    Ok(Done::Fine)
}

fn readme(name: &str, description: &str) -> String {
    format!(
        "# {name}\n\n## Description\n\n{description}\n\n## Usage\n\n    loggia pkg get REPO[/DIR]/{name}[@VERSION] {name}\n    loggia pkg tree {name}\n    loggia render {name}\n"
    )
}
