//! Waking up when refs may have moved: at once for local repositories, now and then for others.

use std::path::Path;

use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::ports::git::GitError;

/// Wake-ups for a local bare repository; at most one is pending. The watch ends when the receiver is dropped.
///
/// # Errors
/// [`GitError::Io`] when the folder cannot be watched.
pub fn watch_path(path: &Path) -> Result<mpsc::Receiver<()>, GitError> {
    let failed = |error: notify::Error| GitError::Io {
        url: path.display().to_string(),
        act: "watching refs",
        reason: error.to_string(),
    };
    let (wake, wakes) = mpsc::channel(1);
    let sender = wake.clone();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let moved = event.is_ok_and(|event| {
            !event.kind.is_access() && event.paths.iter().any(|path| !path.to_string_lossy().ends_with(".lock"))
        });
        if moved {
            // A pending wake-up covers this one too.
            let _ = sender.try_send(());
        }
    })
    .map_err(failed)?;
    watcher.watch(&path.join("refs"), RecursiveMode::Recursive).map_err(failed)?;
    // packed-refs is replaced as a whole, so its folder is watched.
    watcher.watch(path, RecursiveMode::NonRecursive).map_err(failed)?;
    tokio::spawn(async move {
        wake.closed().await;
        drop(watcher);
    });
    Ok(wakes)
}
