//! Folders that are written all at once: everything is put beside its place first, then moved there.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::domain::source::FileTree;

/// Makes a folder that held `old` hold `new`; what is the same is not touched.
pub(super) fn update(root: &Path, old: &FileTree, new: &FileTree) -> anyhow::Result<()> {
    let changed = new.iter().filter(|(path, file)| old.get(path) != Some(*file));
    let mut staged = Vec::new();
    for (path, file) in changed {
        match stage(&root.join(path), &file.bytes) {
            Ok(moved) => staged.push(moved),
            Err(error) => {
                for (temporary, _) in &staged {
                    let _ = std::fs::remove_file(temporary);
                }
                return Err(error.context("nothing was changed"));
            }
        }
    }
    for (temporary, path) in &staged {
        std::fs::rename(temporary, path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    for (path, _) in old.iter().filter(|(path, _)| new.get(path).is_none()) {
        let path = root.join(path);
        std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

/// Writes a file beside its place, with the rights of the one that is there.
fn stage(path: &Path, bytes: &[u8]) -> anyhow::Result<(PathBuf, PathBuf)> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.loggia-{}", std::process::id()));
    let write = || {
        std::fs::write(&temporary, bytes)?;
        match std::fs::metadata(path) {
            Ok(old) => std::fs::set_permissions(&temporary, old.permissions()),
            Err(_) => Ok(()),
        }
    };
    if let Err(error) = write() {
        let _ = std::fs::remove_file(&temporary);
        return Err(error).with_context(|| format!("cannot write {}", path.display()));
    }
    Ok((temporary, path.to_owned()))
}

/// Refuses a folder that is there already.
pub(super) fn absent(path: &Path) -> anyhow::Result<()> {
    if std::fs::symlink_metadata(path).is_ok() {
        bail!("{} is there already; name a new folder, or delete it first", path.display());
    }
    Ok(())
}

/// Makes a new folder, whole or not at all.
pub(super) fn create(path: &Path, tree: &FileTree) -> anyhow::Result<()> {
    absent(path)?;
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(above).with_context(|| format!("cannot make {}", above.display()))?;
    let name = path.file_name().with_context(|| format!("{} names no folder", path.display()))?.to_string_lossy();
    let temporary = above.join(format!(".{name}.loggia-{}", std::process::id()));
    let made = fill(&temporary, tree)
        .and_then(|()| std::fs::rename(&temporary, path).with_context(|| format!("cannot make {}", path.display())));
    if made.is_err() {
        let _ = std::fs::remove_dir_all(&temporary);
    }
    made
}

fn fill(root: &Path, tree: &FileTree) -> anyhow::Result<()> {
    std::fs::create_dir(root).with_context(|| format!("cannot make {}", root.display()))?;
    for (path, file) in tree.iter() {
        let path = root.join(path);
        let folder = path.parent().unwrap_or(root);
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        std::fs::write(&path, &file.bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Writes `results.yaml` to a folder, which is made when it is not there.
pub(super) fn results(folder: &Path, text: &str) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join("results.yaml");
    let (temporary, path) = stage(&path, text.as_bytes())?;
    std::fs::rename(&temporary, &path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
