//! `pkg tree`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::name_of;
use crate::cli::Done;
use crate::cli::args::{Global, PkgTree};
use crate::cli::files;
use crate::cli::output::{plain, print};
use crate::domain::krm::document::{Limits, read};
use crate::domain::package::is_resource_file;
use crate::domain::package::kptfile::FILE;
use crate::domain::source::{FileMode, FileTree};

pub(super) fn tree(_: &Global, args: &PkgTree) -> anyhow::Result<Done> {
    let files = files::read(&args.directory)?;
    print(&plain(&told(&files, &name_of(&args.directory))));
    Ok(Done::Fine)
}

/// A directory: its lines, then its directories.
#[derive(Debug, Default)]
struct Folder {
    lines: Vec<String>,
    folders: BTreeMap<String, Folder>,
}

/// A package as kpt draws it: resources by file, namespace and name, then other files, then directories.
fn told(files: &FileTree, name: &str) -> String {
    let mut root = Folder::default();
    for (directory, lines) in lines(files) {
        let parts = directory.split('/').filter(|part| !part.is_empty());
        let folder = parts.fold(&mut root, |folder, part| folder.folders.entry(part.to_owned()).or_default());
        folder.lines = lines;
    }
    let mut out = format!("{}\n", title(files, "", name));
    draw(&root, files, "", "", &mut out);
    out
}

fn title(files: &FileTree, directory: &str, name: &str) -> String {
    let kptfile = if directory.is_empty() { FILE.to_owned() } else { format!("{directory}/{FILE}") };
    if files.get(&kptfile).is_some() { format!("Package {name:?}") } else { name.to_owned() }
}

fn draw(folder: &Folder, files: &FileTree, directory: &str, margin: &str, out: &mut String) {
    let count = folder.lines.len() + folder.folders.len();
    let branch = |number: usize| if number + 1 == count { ("└── ", "    ") } else { ("├── ", "│   ") };
    for (number, line) in folder.lines.iter().enumerate() {
        out.push_str(&format!("{margin}{}{line}\n", branch(number).0));
    }
    for (number, (name, below)) in folder.folders.iter().enumerate() {
        let (arm, bar) = branch(folder.lines.len() + number);
        let path = if directory.is_empty() { name.clone() } else { format!("{directory}/{name}") };
        out.push_str(&format!("{margin}{arm}{}\n", title(files, &path, name)));
        draw(below, files, &path, &format!("{margin}{bar}"), out);
    }
}

/// The lines of each directory.
fn lines(files: &FileTree) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, (Vec<[String; 4]>, Vec<String>)> = BTreeMap::new();
    for (path, file) in files.iter().filter(|(_, file)| file.mode != FileMode::Symlink) {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let resources = if is_resource_file(name) { resources(name, &file.bytes) } else { Vec::new() };
        // Functions change resources wherever they are.
        if resources.is_empty() && path.split('/').any(|part| part.starts_with('.')) {
            continue;
        }
        let (known, others) = found.entry(directory.to_owned()).or_default();
        if resources.is_empty() {
            others.push(name.to_owned());
        }
        known.extend(resources);
    }
    let line = |[file, namespace, name, kind]: [String; 4]| {
        let full = if namespace.is_empty() { name } else { format!("{namespace}/{name}") };
        format!("[{file}]  {kind} {full}")
    };
    let all = found.into_iter().map(|(directory, (mut known, others))| {
        known.sort();
        (directory, known.into_iter().map(line).chain(others).collect())
    });
    all.collect()
}

/// File, namespace, name and kind of each resource; none of a file that cannot be read.
fn resources(file: &str, bytes: &[u8]) -> Vec<[String; 4]> {
    let text =
        |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let values = read(bytes, &Limits::default()).unwrap_or_default().into_iter().map(|(_, value)| value);
    let resources = values.filter(|value| !text(value, "/kind").is_empty());
    resources
        .map(|value| {
            let [namespace, name, kind] =
                ["/metadata/namespace", "/metadata/name", "/kind"].map(|pointer| text(&value, pointer));
            [file.to_owned(), namespace, name, kind]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::source::File;

    #[test]
    fn a_package_is_drawn_as_kpt_draws_it() {
        let mut files = FileTree::new();
        let object = |kind: &str, name: &str| format!("apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n");
        for (path, text) in [
            ("Kptfile", object("Kptfile", "web")),
            ("a.yaml", format!("{}  namespace: shop\n---\n{}", object("Service", "web"), object("ConfigMap", "c"))),
            ("db/Kptfile", object("Kptfile", "db")),
            ("db/b.yaml", object("Pod", "p")),
            ("docs/x/notes.txt", "x".to_owned()),
            ("values.yaml", "a: 1\n".to_owned()),
            (".krmignore", "x\n".to_owned()),
            (".hidden/a.yaml", object("Pod", "hidden")),
            (".hidden/b.txt", "x".to_owned()),
            (".other/values.yaml", "a: 1\n".to_owned()),
            (".dot.yaml", object("Pod", "dot")),
        ] {
            files.insert(path, File::regular(text.into_bytes())).unwrap();
        }
        files.insert("link", File { mode: FileMode::Symlink, bytes: b"a.yaml"[..].into() }).unwrap();
        let wanted = "Package \"web\"
├── [.dot.yaml]  Pod dot
├── [Kptfile]  Kptfile web
├── [a.yaml]  ConfigMap c
├── [a.yaml]  Service shop/web
├── values.yaml
├── .hidden
│   └── [a.yaml]  Pod hidden
├── Package \"db\"
│   ├── [Kptfile]  Kptfile db
│   └── [b.yaml]  Pod p
└── docs
    └── x
        └── notes.txt
";
        assert_eq!(told(&files, "web"), wanted);
    }
}
