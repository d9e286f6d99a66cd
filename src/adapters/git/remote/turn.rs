//! Taking turns at a mirror that several processes share.

use std::fs::File;
use std::io;
use std::path::Path;

/// Keeps other processes from the refs of a mirror. Given back when it is dropped, and by the system when its holder
/// dies.
pub(super) struct Turn {
    _held: File,
}

impl Turn {
    /// Waits for the turn, then removes the lock files that a killed holder left on refs: whoever has the turn is the
    /// only one who takes them, so each that is there was left behind.
    ///
    /// # Errors
    /// The file beside the refs cannot be locked, or what was left cannot be removed.
    pub(super) fn take(mirror: &Path) -> io::Result<Self> {
        let held = File::options().create(true).truncate(false).write(true).open(mirror.join("loggia.turn"))?;
        held.lock()?;
        remove(&mirror.join("packed-refs.lock"))?;
        remove_locks(&mirror.join("refs"))?;
        Ok(Self { _held: held })
    }
}

/// A ref's name never ends in `.lock` (git-check-ref-format), so nothing else is removed.
fn remove_locks(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_locks(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "lock") {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
