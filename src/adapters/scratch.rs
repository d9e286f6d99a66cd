//! Folders for work that is not to be seen.

use std::fs::DirBuilder;
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Most folders that were left behind under the same name. A process in a container has the same number each time, so
/// what was killed before left its name taken.
const LEFT_BEHIND: usize = 1000;

/// A new folder that only this user may look into, removed when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    is_kept: bool,
}

impl Scratch {
    /// Makes a folder in `parent`, which is there; its name is `prefix` and numbers.
    ///
    /// # Errors
    /// It cannot be made; the error names it.
    pub fn new(parent: &Path, prefix: &str) -> io::Result<Self> {
        let mut taken = None;
        for number in 0..LEFT_BEHIND {
            let path = parent.join(format!("{prefix}{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path, is_kept: false }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => taken = Some(named(&path, &error)),
                Err(error) => return Err(named(&path, &error)),
            }
        }
        Err(taken.unwrap_or_else(|| ErrorKind::AlreadyExists.into()))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it there, for somebody who wants to look.
    pub const fn keep(&mut self) {
        self.is_kept = true;
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{} cannot be made: {error}", path.display()))
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_kept {
            // What is left behind is named as ours and harmless.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn names_that_are_taken_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let first = Scratch::new(dir.path(), "a-").unwrap();
        let mut second = Scratch::new(dir.path(), "a-").unwrap();
        assert_ne!(first.path(), second.path());
        assert_eq!(std::fs::metadata(first.path()).unwrap().permissions().mode() & 0o777, 0o700);
        std::fs::write(first.path().join("x"), "x").unwrap();
        let (gone, kept) = (first.path().to_owned(), second.path().to_owned());
        second.keep();
        drop((first, second));
        assert!(!gone.exists() && kept.exists());
    }

    #[test]
    fn it_is_not_tried_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let all: Vec<Scratch> = (0..LEFT_BEHIND).map(|_| Scratch::new(dir.path(), "a-").unwrap()).collect();
        let error = Scratch::new(dir.path(), "a-").unwrap_err();
        assert!(error.kind() == ErrorKind::AlreadyExists && error.to_string().contains("cannot be made"), "{error}");
        drop(all);
        Scratch::new(dir.path(), "a-").unwrap();
        let error = Scratch::new(&dir.path().join("none"), "a-").unwrap_err();
        assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("none/a-"), "{error}");
    }
}
