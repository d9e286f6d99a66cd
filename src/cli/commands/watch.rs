//! `--watch`: a verb again, whenever a file below a folder changes.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::super::Done;
use super::super::output::note;

/// How long an editor may take to write all of what it writes at once.
const GATHER: Duration = Duration::from_millis(50);

/// Runs `act` now and after every change below `path`, until the process is stopped. An error is told and does not end
/// it.
pub(super) fn watch(path: &Path, mut act: impl FnMut() -> anyhow::Result<Done>) -> anyhow::Result<Done> {
    let (_watcher, changes) = changes(path).with_context(|| format!("watching {}", path.display()))?;
    let mut last;
    loop {
        match act() {
            Ok(Done::Stopped(signal)) => return Ok(Done::Stopped(signal)),
            Ok(done) => last = Ok(done),
            Err(error) => {
                note(&format!("loggia: {error:#}"));
                last = Ok(Done::Problems);
            }
        }
        note(&format!("watching {} for changes", path.display()));
        if changes.recv().is_err() {
            return last;
        }
        std::thread::sleep(GATHER);
        // What came in the meantime is seen by the same run.
        let _ = changes.try_recv();
    }
}

fn changes(path: &Path) -> notify::Result<(RecommendedWatcher, Receiver<()>)> {
    let (tell, told) = sync_channel(1);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.map_or(true, |event| matters(&event)) {
            // A full channel already holds a change.
            let _ = tell.try_send(());
        }
    })?;
    watcher.watch(path, RecursiveMode::Recursive)?;
    Ok((watcher, told))
}

/// Whether an event may be a change of a package. One that says that others were lost names no file.
fn matters(event: &notify::Event) -> bool {
    let in_git = |path: &std::path::PathBuf| path.components().any(|part| part.as_os_str() == ".git");
    event.need_rescan() || (!matches!(event.kind, EventKind::Access(_)) && !event.paths.iter().all(in_git))
}

#[cfg(test)]
mod tests {
    use notify::Event;
    use notify::event::{AccessKind, Flag, ModifyKind};

    use super::*;

    #[test]
    fn lost_events_are_a_change() {
        let changed = || Event::new(EventKind::Modify(ModifyKind::Any));
        assert!(matters(&changed().add_path("p/a.yaml".into())));
        assert!(matters(&changed().add_path("p/.git/index".into()).add_path("p/a.yaml".into())));
        assert!(matters(&Event::new(EventKind::Other).set_flag(Flag::Rescan)));
        assert!(!matters(&changed().add_path("p/.git/index".into())));
        assert!(!matters(&Event::new(EventKind::Access(AccessKind::Any)).add_path("p/a.yaml".into())));
    }
}
