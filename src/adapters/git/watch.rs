//! Wake-ups: "look again". They carry nothing, may come once too often, and never replace looking.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::ports::git::GitError;

/// How long changes are gathered before one wake-up. A push moves several refs, and a folder that was just made is
/// not watched from its first moment.
const GATHER: Duration = Duration::from_millis(50);

/// How often it is looked whether the repository is still the same one: a system that watches a folder does not tell
/// what becomes of its path.
const RENEW: Duration = Duration::from_secs(2);

/// Shortest interval of [`poll`].
const SHORTEST: Duration = Duration::from_secs(1);

/// Wakes when refs of the repository at `path` (bare, or a checkout with its `.git`) move, whoever moves them.
///
/// *Guarantees*: a change is followed by a wake-up at least 50 ms later; changes in between share it, and at most one
/// waits unread. Reading the repository wakes nobody. A repository that is moved away, deleted or put back wakes within
/// two seconds, and is watched again. Dropping the receiver ends the watch.
///
/// *Assumptions*: called in a tokio runtime. Network file systems do not tell about others' changes: use [`poll`].
///
/// # Errors
/// [`GitError::Open`] when no repository is there, [`GitError::Io`] when the system refuses to watch.
pub fn watch_path(path: &Path) -> Result<mpsc::Receiver<()>, GitError> {
    let root = git_dir(path)?;
    let failed = |reason: String| GitError::Io { url: path.display().to_string(), act: "watching", reason };
    let runtime = Handle::try_current().map_err(|error| failed(error.to_string()))?;
    let (tell, told) = mpsc::channel(1);
    let (wake, wakes) = mpsc::channel(1);
    let watch = Watch::begin(&root, &tell).map_err(|error| failed(error.to_string()))?;
    runtime.spawn(relay(root, watch, tell, told, wake));
    Ok(wakes)
}

/// A watch on one repository, as long as it is the same one.
struct Watch {
    identity: Identity,
    _watcher: RecommendedWatcher,
}

/// Device and inode of a repository and of its refs.
type Identity = [(u64, u64); 2];

impl Watch {
    fn begin(root: &Path, tell: &mpsc::Sender<()>) -> notify::Result<Self> {
        let identity = identity(root).map_err(notify::Error::io)?;
        let mut watcher = watcher(root.to_owned(), tell.clone())?;
        // packed-refs is replaced, not written: only its folder can be watched.
        watcher.watch(root, RecursiveMode::NonRecursive)?;
        watcher.watch(&root.join("refs"), RecursiveMode::Recursive)?;
        Ok(Self { identity, _watcher: watcher })
    }
}

fn identity(root: &Path) -> std::io::Result<Identity> {
    let of = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino()));
    Ok([of(root)?, of(&root.join("refs"))?])
}

/// Wakes every `interval` (at least one second), first after one `interval`, until the receiver is dropped. At most
/// one wake-up waits unread.
///
/// *Assumptions*: called in a tokio runtime.
#[must_use]
pub fn poll(interval: Duration) -> mpsc::Receiver<()> {
    let (wake, wakes) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(interval.max(SHORTEST));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            tokio::select! {
                biased;
                () = wake.closed() => return,
                _ = ticks.tick() => wake_once(&wake),
            }
        }
    });
    wakes
}

fn git_dir(path: &Path) -> Result<PathBuf, GitError> {
    [path.to_owned(), path.join(".git")].into_iter().find(|root| root.join("refs").is_dir()).ok_or_else(|| {
        GitError::Open { url: path.display().to_string(), reason: "there is no folder refs in it".to_owned() }
    })
}

fn watcher(root: PathBuf, tell: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // A failure to watch may have hidden a change: look.
        if event.map_or(true, |event| matters(&root, &event)) {
            wake_once(&tell);
        }
    })
}

/// Holds the watch for as long as somebody listens, and renews it when the repository is another one.
async fn relay(
    root: PathBuf,
    watch: Watch,
    tell: mpsc::Sender<()>,
    mut told: mpsc::Receiver<()>,
    wake: mpsc::Sender<()>,
) {
    let mut watch = Some(watch);
    let mut ticks = tokio::time::interval(RENEW);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = wake.closed() => return,
            _ = told.recv() => {}
            _ = ticks.tick() => {
                let known = watch.as_ref().map(|watch| watch.identity);
                if identity(&root).ok() == known {
                    continue;
                }
                // A refusal to watch is tried again at the next tick.
                watch = Watch::begin(&root, &tell).ok();
            }
        }
        tokio::time::sleep(GATHER).await;
        // What was noticed while we waited is told by the same wake-up.
        let _ = told.try_recv();
        wake_once(&wake);
    }
}

/// A full channel already holds a wake-up; a closed one has nobody to wake.
fn wake_once(wake: &mpsc::Sender<()>) {
    let _ = wake.try_send(());
}

/// Whether an event can mean that a ref moved.
fn matters(root: &Path, event: &notify::Event) -> bool {
    event.need_rescan() || (is_write(event.kind) && event.paths.iter().any(|path| is_ref(root, path)))
}

fn is_write(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

fn is_ref(root: &Path, path: &Path) -> bool {
    let Ok(below) = path.strip_prefix(root) else { return false };
    let is_lock = below.extension().is_some_and(|extension| extension == "lock");
    !is_lock && (below == Path::new("packed-refs") || below.starts_with("refs"))
}

#[cfg(test)]
mod tests {
    use notify::Event;
    use notify::event::{CreateKind, Flag, ModifyKind, RemoveKind, RenameMode};

    use super::*;
    use crate::adapters::git::LocalRepository;
    use crate::adapters::person::git;
    use crate::ports::git::GitRepository as _;

    /// Waits long enough for any machine; a watch that works never takes that long.
    async fn woken(wakes: &mut mpsc::Receiver<()>, why: &str) {
        let woken = tokio::time::timeout(Duration::from_mins(1), wakes.recv()).await;
        assert_eq!(woken, Ok(Some(())), "{why}");
    }

    #[tokio::test]
    async fn what_git_does_to_refs_wakes() {
        let dir = tempfile::tempdir().unwrap();
        let bare = dir.path().join("r.git");
        LocalRepository::init(&bare).unwrap();
        git(dir.path(), &["clone", "-q", "r.git", "work"]);
        let work = dir.path().join("work");
        let mut wakes = watch_path(&bare).unwrap();
        for branch in ["main", "feature/deep/one", "main"] {
            git(&work, &["commit", "-q", "--allow-empty", "-m", "x"]);
            git(&work, &["push", "-q", "origin", &format!("HEAD:refs/heads/{branch}")]);
            woken(&mut wakes, branch).await;
        }
        git(&bare, &["pack-refs", "--all"]);
        woken(&mut wakes, "packing").await;
        git(&work, &["push", "-q", "origin", ":refs/heads/feature/deep/one"]);
        woken(&mut wakes, "deleting a packed ref").await;
    }

    #[tokio::test]
    async fn a_new_ref_in_a_new_folder_is_seen_by_who_looks_when_woken() {
        let dir = tempfile::tempdir().unwrap();
        let repo = LocalRepository::init(&dir.path().join("r.git")).unwrap();
        git(dir.path(), &["clone", "-q", "r.git", "work"]);
        git(&dir.path().join("work"), &["commit", "-q", "--allow-empty", "-m", "x"]);
        let mut wakes = watch_path(&dir.path().join("r.git")).unwrap();
        for n in 0..5 {
            git(&dir.path().join("work"), &["push", "-q", "origin", &format!("HEAD:refs/heads/a{n}/b/c/d")]);
            while repo.refs().unwrap().len() <= n {
                woken(&mut wakes, "the new branch").await;
            }
        }
    }

    /// Deleted and copied back, moved away and moved back: each is told, and pushes after it wake as before.
    #[tokio::test]
    async fn a_repository_that_is_put_back_is_watched_again() {
        let dir = tempfile::tempdir().unwrap();
        let (bare, aside, work) = (dir.path().join("r.git"), dir.path().join("aside.git"), dir.path().join("work"));
        let repo = LocalRepository::init(&bare).unwrap();
        git(dir.path(), &["clone", "-q", "r.git", "work"]);
        let mut wakes = watch_path(&bare).unwrap();
        for copied in [true, false] {
            if copied {
                git(dir.path(), &["clone", "-q", "--mirror", "r.git", "aside.git"]);
                std::fs::remove_dir_all(&bare).unwrap();
            } else {
                std::fs::rename(&bare, &aside).unwrap();
            }
            while repo.refs().is_ok() {
                woken(&mut wakes, "it is gone").await;
            }
            std::fs::rename(&aside, &bare).unwrap();
            while repo.refs().is_err() {
                woken(&mut wakes, "it is back").await;
            }
            // What is still unread from before accounts for one of the wake-ups, not for three.
            for _ in 0..3 {
                git(&work, &["commit", "-q", "--allow-empty", "-m", "x"]);
                git(&work, &["push", "-q", "origin", "HEAD:main"]);
                woken(&mut wakes, "a push after it was put back").await;
            }
        }
    }

    #[tokio::test]
    async fn no_repository_is_an_error_and_a_checkout_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let error = watch_path(dir.path()).unwrap_err().to_string();
        assert!(error.contains("there is no folder refs in it"), "{error}");
        git(dir.path(), &["init", "-q"]);
        watch_path(dir.path()).unwrap();
    }

    #[test]
    fn only_moved_refs_matter() {
        let root = Path::new("/r.git");
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        let opened = EventKind::Access(AccessKind::Open(AccessMode::Any));
        let read = EventKind::Access(AccessKind::Close(AccessMode::Read));
        let table = [
            (renamed, "/r.git/refs/heads/main", true),
            (renamed, "/r.git/packed-refs", true),
            (EventKind::Create(CreateKind::Folder), "/r.git/refs/heads/feature", true),
            (EventKind::Remove(RemoveKind::File), "/r.git/refs/tags/v1", true),
            (EventKind::Access(AccessKind::Close(AccessMode::Write)), "/r.git/refs/heads/main", true),
            (opened, "/r.git/refs/heads", false),
            (read, "/r.git/refs/heads/main", false),
            (EventKind::Create(CreateKind::File), "/r.git/refs/heads/main.lock", false),
            (renamed, "/r.git/packed-refs.lock", false),
            (renamed, "/r.git/HEAD", false),
            (EventKind::Create(CreateKind::Folder), "/r.git/objects", false),
            (renamed, "/other.git/refs/heads/main", false),
        ];
        for (kind, path, expected) in table {
            let event = Event::new(kind).add_path(path.into());
            assert_eq!(matters(root, &event), expected, "{kind:?} {path}");
        }
        assert!(matters(root, &Event::new(EventKind::Other).set_flag(Flag::Rescan)), "lost events");
    }

    #[tokio::test(start_paused = true)]
    async fn polling_wakes_each_interval_and_does_not_pile_up() {
        let start = tokio::time::Instant::now();
        let mut wakes = poll(Duration::from_mins(1));
        wakes.recv().await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 60);
        tokio::time::sleep(Duration::from_mins(10)).await;
        wakes.recv().await.unwrap();
        assert!(wakes.try_recv().is_err(), "ten missed intervals are one wake-up");
        let mut eager = poll(Duration::ZERO);
        let start = tokio::time::Instant::now();
        eager.recv().await.unwrap();
        assert_eq!(start.elapsed(), SHORTEST);
    }
}
