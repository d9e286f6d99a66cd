//! Git repositories through gix: object database and refs only, never a work tree.

mod helpers;
mod local;
mod pack;
mod remote;
mod send_pack;
mod signature;
mod ssh;
mod tree;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::host::{is_ssh, without_credentials};
use crate::ports::git::{GitError, GitRepository};
use crate::ports::sign_in::SignIns;

pub use helpers::Helpers;
pub use local::LocalRepository;
pub use remote::RemoteRepository;
pub use signature::{SignatureError, Signers, TrustedKeys};
pub use ssh::Ssh;
pub use watch::{poll, watch_path};

/// Opens a repository on this machine by path or URL; for others there is [`open_cached`].
///
/// Paths and `file://` are used in place. Everything that could run a program (`ext::`, a leading `-`) is refused.
///
/// # Errors
/// [`GitError::Url`] for refused forms, [`GitError::Open`] when there is no repository.
pub fn open(url: &str) -> Result<Arc<dyn GitRepository>, GitError> {
    let path = local_path(url)?;
    Ok(Arc::new(LocalRepository::open(&path)?))
}

/// Makes a bare repository whose HEAD is `main`.
///
/// # Errors
/// [`GitError::Open`] when the directory cannot be made or holds something.
pub fn init(path: &Path) -> Result<Arc<dyn GitRepository>, GitError> {
    Ok(Arc::new(LocalRepository::init(path)?))
}

/// Opens a repository by path or URL, http(s) ones through a mirror below `cache_dir` (see [`RemoteRepository`]) and
/// with the credentials of `sign_ins`.
///
/// # Errors
/// [`GitError::Url`] for refused forms, [`GitError::Open`] when there is no repository or the mirror cannot be made.
pub fn open_cached(
    url: &str,
    cache_dir: &Path,
    sign_ins: Option<Arc<dyn SignIns>>,
) -> Result<Arc<dyn GitRepository>, GitError> {
    if url.starts_with("http://") || url.starts_with("https://") {
        let repository = RemoteRepository::open(url, cache_dir)?;
        Ok(Arc::new(match sign_ins {
            Some(sign_ins) => repository.with_sign_ins(sign_ins)?,
            None => repository,
        }))
    } else {
        open(url)
    }
}

/// Opens a repository behind ssh, through a mirror as [`open_cached`]; nothing is pushed to it.
///
/// # Errors
/// [`GitError::Url`] for what ssh could take for something else, [`GitError::Open`] when the mirror cannot be made.
pub fn open_over_ssh(url: &str, cache_dir: &Path, ssh: Ssh) -> Result<Arc<dyn GitRepository>, GitError> {
    Ok(Arc::new(RemoteRepository::over_ssh(url, cache_dir, ssh)?))
}

/// Where the objects of a repository are on this machine, for programs that read them: what [`open_cached`] and
/// [`open_over_ssh`] open.
///
/// # Errors
/// [`GitError::Url`] for refused forms.
pub fn directory(url: &str, cache_dir: &Path) -> Result<PathBuf, GitError> {
    if url.starts_with("http://") || url.starts_with("https://") || is_behind_ssh(url) {
        return Ok(remote::mirror_of(url, cache_dir));
    }
    let path = local_path(url)?;
    Ok(path.canonicalize().unwrap_or(path))
}

/// The path that a local URL names.
///
/// # Errors
/// [`GitError::Url`] when it names none.
pub fn local_path(url: &str) -> Result<PathBuf, GitError> {
    let refuse = |reason: &str| Err(GitError::Url { url: without_credentials(url), reason: reason.to_owned() });
    if url.is_empty() || url.starts_with('-') || url.chars().any(char::is_control) {
        return refuse("it is empty, starts with a dash or holds a control character [git.url_invalid]");
    }
    if let Some(path) = url.strip_prefix("file://") {
        return if path.starts_with('/') {
            Ok(PathBuf::from(path))
        } else {
            refuse("file:// needs an absolute path [git.url_invalid]")
        };
    }
    if is_behind_ssh(url) {
        return refuse(SSH);
    }
    if url.contains("::") {
        return refuse("remote helpers are not run; allowed are paths, file://, http:// and https:// [git.url_scheme]");
    }
    if url.contains("://") {
        return refuse(
            "allowed are paths and file://, and http:// and https:// where there is a cache folder [git.url_scheme]",
        );
    }
    Ok(PathBuf::from(url))
}

/// Whether a repository is behind ssh; a file of this machine may have a colon in its name.
#[must_use]
pub fn is_behind_ssh(url: &str) -> bool {
    is_ssh(url) && !Path::new(url).exists()
}

const SSH: &str = "only `loggia pkg` speaks ssh; name the repository by its https:// URL, for which a Secret in \
                   spec.git.secretRef lets in, or by the path of a clone [git.url_scheme]";

/// What gix says, with the code for bytes that were made to have the id of others.
fn with_code(reason: String) -> String {
    let is_collision = reason.contains("SHA-1 collision attack") && !reason.ends_with(COLLISION);
    if is_collision { reason + COLLISION } else { reason }
}

const COLLISION: &str = " [git.collision]";

#[cfg(test)]
mod tests;
