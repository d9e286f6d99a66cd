//! Packages on disk: read with their modes and links, written whole or not at all.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};

use crate::app::packages::Scratch;
use crate::domain::package::is_resource_file;
use crate::domain::source::{File, FileMode, FileTree, InvalidPath, PACKAGE_BYTES, PACKAGE_FILES, check_path};

/// The bits setuid and setgid.
const OTHERS_RIGHTS: u32 = 0o6000;
/// Where an update puts files before they are moved, in the package.
const STAGE: &str = "update";

/// What is never part of a package: what git and Loggia keep there, and what a killed update left behind.
fn is_left_out(name: &str) -> bool {
    name == ".git" || name == ".loggia" || name.starts_with(&format!(".{STAGE}.loggia-"))
}

/// Refuses a path from a present directory that was deleted: there, everything looks empty.
pub(super) fn present(path: &Path) -> anyhow::Result<()> {
    if path.is_absolute() {
        return Ok(());
    }
    std::env::current_dir().map(drop).with_context(|| {
        let path = path.display();
        format!(
            "cannot use {path}: the present directory is gone; change to one that is there, or give an absolute path"
        )
    })
}

/// Refuses what is no directory.
pub(super) fn directory(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    if !path.exists() {
        bail!("there is no directory {shown}; is the path right, and from here? [package.missing]");
    }
    if !path.is_dir() {
        bail!("{shown} is not a directory; name the one that it is in [package.missing]");
    }
    Ok(())
}

/// Reads a package: all files but those of git and of Loggia itself, with exec bits; links as links. Hidden folders are
/// read as any other, as they are out of a repository.
pub(super) fn read(root: &Path) -> anyhow::Result<FileTree> {
    present(root)?;
    directory(root)?;
    let mut reading = Reading::new(root);
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        let told = || format!("cannot read {}", directory.display());
        let mut entries: Vec<_> = fs::read_dir(&directory).and_then(Iterator::collect).with_context(told)?;
        // What is wrong is told of the same file each time.
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            if is_left_out(&entry.file_name().to_string_lossy()) {
                continue;
            }
            if entry.file_type().with_context(told)?.is_dir() {
                open.push(entry.path());
                continue;
            }
            reading.take(&entry.path())?;
        }
    }
    Ok(reading.tree)
}

/// Reads what functions are given, a folder or one file of resources; and says in which folder that is.
pub(super) fn read_resources(path: &Path) -> anyhow::Result<(PathBuf, FileTree)> {
    present(path)?;
    if !path.is_file() {
        return Ok((path.to_owned(), read(path)?));
    }
    if !is_resource_file(&path.to_string_lossy()) {
        bail!("{} holds no resources: those are in *.yaml, *.yml, *.json and Kptfile", path.display());
    }
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut reading = Reading::new(folder);
    reading.take(path)?;
    Ok((folder.to_owned(), reading.tree))
}

/// A package that is being read, within the limits of one.
struct Reading<'a> {
    root: &'a Path,
    bytes: u64,
    tree: FileTree,
}

impl<'a> Reading<'a> {
    fn new(root: &'a Path) -> Self {
        Self { root, bytes: 0, tree: FileTree::new() }
    }

    /// Reads one file below the directory.
    fn take(&mut self, path: &Path) -> anyhow::Result<()> {
        let root = self.root;
        if self.tree.len() >= PACKAGE_FILES {
            bail!("{} holds more than {PACKAGE_FILES} files; name the directory of one package", root.display());
        }
        let Some(name) = path.strip_prefix(root).unwrap_or(path).to_str() else {
            bail!("cannot read {}: its name is not UTF-8; rename it [path.name_invalid]", shown(path))
        };
        let refused =
            |wrong: InvalidPath| anyhow!("cannot read {}: {}; rename it [{}]", shown(path), wrong.why, wrong.code);
        check_path(name).map_err(refused)?;
        let file = file(path, PACKAGE_BYTES - self.bytes)?;
        self.bytes = self.bytes.saturating_add(file.bytes.len() as u64).min(PACKAGE_BYTES);
        self.tree.insert(name, file).map_err(refused)
    }
}

/// A path on one line, whatever is in it.
fn shown(path: &Path) -> String {
    match path.to_str() {
        Some(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => path.as_os_str().as_encoded_bytes().escape_ascii().to_string(),
    }
}

fn file(path: &Path, left: u64) -> anyhow::Result<File> {
    let told = || format!("cannot read {}", path.display());
    let meta = fs::symlink_metadata(path).with_context(told)?;
    if meta.is_symlink() {
        let target = fs::read_link(path).with_context(told)?;
        return Ok(File { mode: FileMode::Symlink, bytes: target.to_string_lossy().as_bytes().into() });
    }
    if !meta.is_file() {
        bail!("{} is neither a file nor a directory nor a link; move it away [path.file_type]", path.display());
    }
    if meta.len() > left {
        bail!(
            "{} has {} bytes: with it, the package has more than {PACKAGE_BYTES}; move it out of the package \
             [package.size_limit]",
            path.display(),
            meta.len()
        );
    }
    let bits = meta.permissions().mode();
    if bits & OTHERS_RIGHTS != 0 {
        bail!(
            "{} runs with the rights of its owner or group; take them away with chmod ug-s [path.file_type]",
            path.display()
        );
    }
    let mode = if bits & 0o111 == 0 { FileMode::Regular } else { FileMode::Executable };
    Ok(File { mode, bytes: fs::read(path).with_context(told)?.into() })
}

fn write(path: &Path, file: &File) -> anyhow::Result<()> {
    let told = || format!("cannot write {}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(told)?;
    }
    if file.mode == FileMode::Symlink {
        return symlink(String::from_utf8_lossy(&file.bytes).as_ref(), path).with_context(told);
    }
    fs::write(path, &file.bytes).with_context(told)?;
    if file.mode == FileMode::Executable {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).with_context(told)?;
    }
    Ok(())
}

/// Gives a file the rights that the one before it had: who keeps a file for himself goes on to. Whether it may be run
/// is the package's.
fn keep_rights(old: &Path, new: &Path, mode: FileMode) -> anyhow::Result<()> {
    let Some(before) = fs::symlink_metadata(old).ok().filter(fs::Metadata::is_file) else { return Ok(()) };
    let told = || format!("cannot write {}", new.display());
    let bits = before.permissions().mode() & 0o777;
    let may_be_run = bits & 0o111 != 0;
    let bits = match mode {
        FileMode::Symlink => return Ok(()),
        // Whoever may read it may run it.
        FileMode::Executable if !may_be_run => bits | (bits & 0o444) >> 2,
        FileMode::Regular => bits & !0o111,
        FileMode::Executable => bits,
    };
    fs::set_permissions(new, fs::Permissions::from_mode(bits)).with_context(told)
}

/// Writes every file of a tree below a directory.
pub(super) fn write_all(root: &Path, tree: &FileTree) -> anyhow::Result<()> {
    fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
    tree.iter().try_for_each(|(path, file)| write(&root.join(path), file))
}

/// A directory beside or in another that is removed in the end.
fn stage(parent: &Path, name: &str) -> anyhow::Result<Scratch> {
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    Ok(Scratch::new(parent, &format!(".{name}.loggia-"))?)
}

/// Makes a directory with these files: beside its place first, then moved there.
pub(super) fn create(destination: &Path, tree: &FileTree) -> anyhow::Result<()> {
    present(destination)?;
    if fs::symlink_metadata(destination).is_ok() {
        bail!("{} is there already; name another directory", destination.display());
    }
    let parent = destination.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = destination.file_name().unwrap_or_default().to_string_lossy();
    let stage = stage(parent, &name)?;
    let draft = stage.path().join("package");
    write_all(&draft, tree)?;
    fs::rename(&draft, destination).with_context(|| format!("cannot make {}", destination.display()))
}

/// What an update does to one file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Change {
    /// Its path in the package.
    pub(super) path: String,
    /// `added`, `changed` or `removed`.
    pub(super) change: &'static str,
}

/// What differs between two trees, in path order.
pub(super) fn changes(old: &FileTree, new: &FileTree) -> Vec<Change> {
    let paths = old.iter().chain(new.iter()).map(|(path, _)| path).collect::<std::collections::BTreeSet<_>>();
    let change = |path: &str| match (old.get(path), new.get(path)) {
        (Some(old), Some(new)) if old == new => None,
        (Some(_), Some(_)) => Some("changed"),
        (Some(_), None) => Some("removed"),
        _ => Some("added"),
    };
    paths.into_iter().filter_map(|path| Some(Change { path: path.to_owned(), change: change(path)? })).collect()
}

/// Turns the package `old` on disk into `new`. All new files are written before the first old one is touched, and each
/// is moved into its place; when a move fails, all others are taken back.
pub(super) fn replace(root: &Path, old: &FileTree, new: &FileTree) -> anyhow::Result<()> {
    let changes = changes(old, new);
    if changes.is_empty() {
        return Ok(());
    }
    let stage = stage(root, STAGE)?;
    let (fresh, kept) = (stage.path().join("new"), stage.path().join("old"));
    for change in &changes {
        if let Some(file) = new.get(&change.path) {
            let path = fresh.join(&change.path);
            write(&path, file)?;
            keep_rights(&root.join(&change.path), &path, file.mode)?;
        }
    }
    let mut moved: Vec<(PathBuf, PathBuf)> = Vec::new();
    let done = moves(root, &changes, &fresh, &kept, &mut moved);
    if let Err(error) = done {
        for (from, to) in moved.iter().rev() {
            if let Err(undo) = move_file(to, from) {
                return Err(error.context(format!("taking back {}: {undo}; the package is half updated", to.display())));
            }
        }
        return Err(error.context("nothing was changed"));
    }
    Ok(())
}

fn moves(
    root: &Path,
    changes: &[Change],
    fresh: &Path,
    kept: &Path,
    moved: &mut Vec<(PathBuf, PathBuf)>,
) -> anyhow::Result<()> {
    let mut act = |from: PathBuf, to: PathBuf| -> anyhow::Result<()> {
        move_file(&from, &to)?;
        moved.push((from, to));
        Ok(())
    };
    for change in changes.iter().filter(|change| change.change != "added") {
        act(root.join(&change.path), kept.join(&change.path))?;
        let mut directory = Path::new(&change.path).parent();
        // An empty directory is no part of a package; one that is not empty stays.
        while let Some(path) = directory.filter(|path| !path.as_os_str().is_empty()) {
            if fs::remove_dir(root.join(path)).is_err() {
                break;
            }
            directory = path.parent();
        }
    }
    for change in changes.iter().filter(|change| change.change != "removed") {
        let to = root.join(&change.path);
        if fs::symlink_metadata(&to).is_ok() {
            bail!("{} is in the way", to.display());
        }
        act(fresh.join(&change.path), to)?;
    }
    Ok(())
}

fn move_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    let told = || format!("cannot move {} to {}", from.display(), to.display());
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).with_context(told)?;
    }
    fs::rename(from, to).with_context(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, FileMode, &str)]) -> FileTree {
        let mut tree = FileTree::new();
        for (path, mode, text) in files {
            tree.insert(*path, File { mode: *mode, bytes: text.as_bytes().into() }).unwrap();
        }
        tree
    }

    #[test]
    fn a_package_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let (regular, exec, link) = (FileMode::Regular, FileMode::Executable, FileMode::Symlink);
        let old = tree(&[
            ("Kptfile", regular, "k"),
            ("d/run.sh", exec, "x"),
            ("l", link, "d/run.sh"),
            (".hidden/a", regular, "h"),
        ]);
        let root = dir.path().join("deep/p");
        create(&root, &old).unwrap();
        assert_eq!(read(&root).unwrap(), old);
        assert!(create(&root, &old).is_err());
        fs::create_dir(root.join(".git")).unwrap();
        fs::write(root.join(".git/config"), "c").unwrap();
        // A directory becomes a file, a link becomes a directory.
        let new = tree(&[("Kptfile", exec, "k"), ("d", regular, "file"), ("l/x", regular, "1")]);
        replace(&root, &old, &new).unwrap();
        assert_eq!(read(&root).unwrap(), new);
        assert!(root.join(".git/config").exists());
        assert_eq!(fs::read_dir(root.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_package_has_one_limit() {
        let dir = tempfile::tempdir().unwrap();
        let large = fs::File::create(dir.path().join("a.bin")).unwrap();
        large.set_len(PACKAGE_BYTES).unwrap();
        assert_eq!(read(dir.path()).unwrap().len(), 1);
        fs::write(dir.path().join("b.txt"), "x").unwrap();
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("the package has more than 67108864") && error.contains("[package.size_limit]"),
            "{error}"
        );
    }

    #[test]
    fn a_failure_takes_everything_back() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("p");
        let old = tree(&[("a", FileMode::Regular, "1"), ("b", FileMode::Regular, "1")]);
        create(&root, &old).unwrap();
        let new = tree(&[("a", FileMode::Regular, "2"), ("z", FileMode::Regular, "2")]);
        // Somebody made `z` in the meantime.
        fs::write(root.join("z"), "theirs").unwrap();
        let error = replace(&root, &old, &new).unwrap_err();
        assert!(format!("{error:#}").contains("nothing was changed"), "{error:#}");
        let now =
            tree(&[("a", FileMode::Regular, "1"), ("b", FileMode::Regular, "1"), ("z", FileMode::Regular, "theirs")]);
        assert_eq!(read(&root).unwrap(), now);
    }

    #[test]
    fn an_update_leaves_who_may_read_a_file_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("p");
        let (regular, exec) = (FileMode::Regular, FileMode::Executable);
        let paths = ["secret", "own.sh", "becomes.sh", "was.sh", "moved"];
        let before = [regular, exec, regular, exec, regular];
        let after = [regular, exec, exec, regular, regular];
        let of = |modes: [FileMode; 5], text: &str| {
            let mut files = tree(&[]);
            for (path, mode) in paths.into_iter().zip(modes) {
                files.insert(path, File { mode, bytes: text.as_bytes().into() }).unwrap();
            }
            files
        };
        let (old, new) = (of(before, "1"), of(after, "2"));
        create(&root, &old).unwrap();
        let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o7777;
        for (path, bits) in paths.into_iter().zip([0o600, 0o700, 0o640, 0o750, 0o444]) {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(bits)).unwrap();
        }
        replace(&root, &old, &new).unwrap();
        assert_eq!(read(&root).unwrap(), new);
        assert_eq!(paths.map(mode), [0o600, 0o700, 0o750, 0o640, 0o444]);
    }

    #[test]
    fn what_a_killed_update_left_behind_stops_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("p");
        let old = tree(&[("a", FileMode::Regular, "1")]);
        let new = tree(&[("a", FileMode::Regular, "2")]);
        let made = dir.path().join("q");
        for left in [dir.path().join(".q"), root.join(".update")] {
            for number in ["", "-0", "-1"] {
                fs::create_dir_all(format!("{}.loggia-{}{number}", left.display(), std::process::id())).unwrap();
            }
        }
        create(&made, &old).unwrap();
        assert_eq!(read(&made).unwrap(), old);
        write_all(&root, &old).unwrap();
        replace(&root, &old, &new).unwrap();
        assert_eq!(read(&root).unwrap(), new);
    }
}
