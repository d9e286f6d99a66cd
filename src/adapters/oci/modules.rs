//! WASM modules in registries, as kpt pushes functions: an image with one file in it, which an index names for
//! `js/wasm`.
//!
//! What a digest led to is kept in a folder, so that it is pulled once; a tag is asked for every time.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::{OciError, Registry};
use crate::domain::package::archive::Budget;
use crate::domain::package::artifact::{ArtifactError, ContentDigest, ImageName, OF_MODULES, Wanted};
use crate::domain::package::external::Failure;
use crate::domain::source::{File, FileMode, FileTree};
use crate::ports::function::{FoundModule, ModuleSource};
use crate::ports::sign_in::SignIns;

/// Most bytes of a module, and of the archive around it.
const MODULE: u64 = 128 << 20;
const ARCHIVE: u64 = MODULE + (1 << 20);

/// Modules out of registries.
///
/// *Guarantees*: those of [`Registry`]; what is read from the folder has the digest that was written beside it, or is
/// pulled again.
pub struct ModuleStore {
    sign_ins: Arc<dyn SignIns>,
    folder: PathBuf,
}

impl fmt::Debug for ModuleStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleStore").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl ModuleStore {
    /// Modules that are pulled with these credentials and kept in a folder, which is made when it is needed.
    #[must_use]
    pub fn new(sign_ins: Arc<dyn SignIns>, folder: PathBuf) -> Self {
        Self { sign_ins, folder }
    }

    fn pull(&self, image: &str) -> Result<FoundModule, OciError> {
        let (name, reference) = split(image);
        let wrong = |source: ArtifactError| OciError::Artifact { image: image.to_owned(), source };
        let (name, wanted) = (ImageName::parse(name).map_err(wrong)?, Wanted::parse(reference).map_err(wrong)?);
        if let Wanted::Digest(digest) = &wanted
            && let Some(bytes) = self.kept(digest)
        {
            return Ok(FoundModule { bytes, digest: digest.to_string() });
        }
        let registry = Registry::open(&name, &self.sign_ins)?;
        let found = registry.manifest(&registry.reference(&wanted)?)?;
        let digest = found.digest.clone();
        if let Some(bytes) = self.kept(&digest) {
            return Ok(FoundModule { bytes, digest: digest.to_string() });
        }
        let budget = Budget { file_bytes: MODULE, total_bytes: ARCHIVE, ..Budget::default() };
        let tree = registry.files(found, OF_MODULES, &budget)?;
        let bytes = only(&tree).map_err(|what| wrong(ArtifactError::MediaType { what }))?;
        // Without a place for it, it is pulled again next time.
        let _ = self.keep(&digest, &bytes);
        Ok(FoundModule { bytes, digest: digest.to_string() })
    }

    fn file(&self, digest: &ContentDigest) -> PathBuf {
        self.folder.join(format!("{}.module", digest.hex()))
    }

    /// What was kept for a manifest; the file begins with the digest of the rest.
    fn kept(&self, digest: &ContentDigest) -> Option<Vec<u8>> {
        let path = self.file(digest);
        if fs::metadata(&path).ok()?.len() > ARCHIVE {
            return None;
        }
        let file = fs::read(path).ok()?;
        let (hex, bytes) = file.split_at_checked(64)?;
        (ContentDigest::of(bytes).hex().as_bytes() == hex).then(|| bytes.to_vec())
    }

    fn keep(&self, digest: &ContentDigest, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let draft = self.folder.join(format!("{}.new-{}", digest.hex(), std::process::id()));
        fs::write(&draft, [ContentDigest::of(bytes).hex().as_bytes(), bytes].concat())?;
        fs::rename(draft, self.file(digest))
    }
}

impl ModuleSource for ModuleStore {
    fn find(&self, image: &str) -> Result<FoundModule, Failure> {
        self.pull(image).map_err(|error| {
            let message = format!(
                "{image} is not built in, and no WASM module is to be had for it: {error}; compile one (in Go with \
                 GOOS=wasip1 GOARCH=wasm, or GOOS=js as kpt does) and push it with `kpt alpha wasm push` or write exec: \
                 FILE.wasm, or leave out --allow-alpha-wasm to run it in a container"
            );
            Failure::new("fn.no_runner", message)
        })
    }
}

/// Name, and tag or digest; an image without either is its latest.
fn split(image: &str) -> (&str, &str) {
    let bare = image.split_once('@').map_or(image, |(name, _)| name);
    let end = bare.rfind(':').filter(|at| !bare[*at..].contains('/')).unwrap_or(bare.len());
    let reference = image[end..].trim_start_matches([':', '@']);
    (&image[..end], if reference.is_empty() { "latest" } else { reference })
}

/// The one file of an image, which has to be a module: kpt asks for no name.
fn only(tree: &FileTree) -> Result<Vec<u8>, String> {
    let files: Vec<(&str, &File)> = tree.iter().collect();
    match files.as_slice() {
        [(_, file)] if file.mode != FileMode::Symlink && file.bytes.starts_with(b"\0asm") => Ok(file.bytes.to_vec()),
        [(path, _)] => Err(format!("its file {path} is no WASM module")),
        several => Err(format!("it has {} files; the image of a WASM module has one", several.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_end_where_versions_begin() {
        for (image, name, reference) in [
            ("h.io/f:v1", "h.io/f", "v1"),
            ("h.io/f", "h.io/f", "latest"),
            ("127.0.0.1:5000/a/f", "127.0.0.1:5000/a/f", "latest"),
            ("127.0.0.1:5000/a/f:~0.2", "127.0.0.1:5000/a/f", "~0.2"),
            ("h.io/f@sha256:01", "h.io/f", "sha256:01"),
            ("h.io/f:v1@sha256:01", "h.io/f", "v1@sha256:01"),
        ] {
            assert_eq!(split(image), (name, reference), "{image}");
        }
    }
}
