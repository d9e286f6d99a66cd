//! Where `fn` writes beside packages: new folders, and the file of results.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::super::super::files;

/// Refuses a folder that is there already, before any function runs.
pub(super) fn absent(path: &Path) -> anyhow::Result<()> {
    files::present(path)?;
    if std::fs::symlink_metadata(path).is_ok() {
        bail!("{} is there already; name a new folder, or delete it first", path.display());
    }
    Ok(())
}

/// Writes `results.yaml` to a folder, which is made when it is not there.
pub(super) fn results(folder: &Path, text: &str) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join("results.yaml");
    let draft = folder.join(format!(".results.yaml.loggia-{}", std::process::id()));
    let told = || format!("cannot write {}", path.display());
    std::fs::write(&draft, text).with_context(told)?;
    std::fs::rename(&draft, &path).with_context(told)?;
    Ok(path)
}
