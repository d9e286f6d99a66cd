//! Limits on what a fetch brings: gix tells how far it is, and is asked to stop where that is too far.

use std::error::Error;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use gix::progress::{Id, MessageLevel, Step, StepShared, UNKNOWN, Unit};
use gix::{Count, NestedProgress, Progress};

use super::super::send_pack::said;
use super::super::with_code;

/// What gix calls the bytes of a pack as they arrive, its objects, and the bytes in them.
///
/// Source: `ProgressId` of `bundle::write` and `index::write` in gix-pack.
const PACKED: Id = *b"BWRB";
const OBJECTS: Id = *b"IWIO";
const UNPACKED: Id = *b"IWDB";

/// How much one fetch may bring.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of the pack.
    pub(super) packed: usize,
    /// Its objects.
    pub(super) objects: usize,
    /// Bytes of all of them, of which some are differences to others.
    pub(super) unpacked: usize,
    /// Bytes of one.
    pub(super) object: usize,
}

impl Limits {
    pub(super) const DEFAULT: Self =
        Self { packed: 512 << 20, objects: 1_000_000, unpacked: 16 << 30, object: 256 << 20 };

    fn of(&self, id: Id) -> Option<(usize, &'static str)> {
        match id {
            PACKED => Some((self.packed, "bytes")),
            OBJECTS => Some((self.objects, "objects")),
            UNPACKED => Some((self.unpacked, "bytes in its objects")),
            _ => None,
        }
    }
}

/// What all meters of one fetch know.
#[derive(Debug)]
struct Fetch {
    limits: Limits,
    stop: Arc<AtomicBool>,
    /// Whether a pack came at all.
    began: AtomicBool,
    exceeded: OnceLock<String>,
}

/// Counts one thing, and has others beside it.
#[derive(Debug)]
pub(super) struct Meter {
    fetch: Arc<Fetch>,
    id: Id,
    steps: StepShared,
}

impl Meter {
    /// Sets `stop` as soon as a limit is exceeded.
    pub(super) fn new(limits: Limits, stop: Arc<AtomicBool>) -> Self {
        let fetch = Fetch { limits, stop, began: AtomicBool::new(false), exceeded: OnceLock::new() };
        Self::part(&Arc::new(fetch), UNKNOWN)
    }

    fn part(fetch: &Arc<Fetch>, id: Id) -> Self {
        Self { fetch: fetch.clone(), id, steps: Arc::new(AtomicUsize::new(0)) }
    }

    /// The same fetch, to be asked what went wrong once the meter is given away.
    pub(super) fn witness(&self) -> Self {
        Self::part(&self.fetch, UNKNOWN)
    }

    fn check(&self, steps: usize) {
        if let Some((limit, what)) = self.fetch.limits.of(self.id).filter(|(limit, _)| steps > *limit) {
            self.fetch.exceeded.get_or_init(|| format!("it has more than {limit} {what}"));
            self.fetch.stop.store(true, Ordering::Relaxed);
        }
    }

    /// The error of the fetch, with what is wrong with the pack when it is the pack.
    pub(super) fn told(&self, error: gix::Error) -> gix::Error {
        let reason = said(&error);
        if let Some(exceeded) = self.fetch.exceeded.get() {
            return Excess::told(exceeded);
        }
        if !self.fetch.began.load(Ordering::Relaxed) || is_of_the_way(&error) {
            return error;
        }
        if error.is_resource_exhausted() {
            let limit = self.fetch.limits.object;
            return Excess::told(&format!("one of its objects, or their list, has more than {limit} bytes"));
        }
        let reason = with_code(format!("the server's pack is damaged: {reason}"));
        told(if reason.ends_with(']') { reason } else { format!("{reason} [git.pack_invalid]") })
    }
}

/// A pack that is refused for its size: the next one is no smaller.
#[derive(Debug, thiserror::Error)]
#[error("the server's pack is refused: {0} [git.pack_limit]")]
pub(super) struct Excess(String);

impl Excess {
    fn told(exceeded: &str) -> gix::Error {
        gix::Error::from_error(Self(exceeded.to_owned()))
    }
}

/// A pack without what was asked for.
pub(super) fn lacking(name: &str) -> gix::Error {
    told(format!("the server's pack is damaged: what {name} leads to is not in it [git.pack_invalid]"))
}

fn told(reason: String) -> gix::Error {
    gix::Error::from_error(std::io::Error::other(reason))
}

/// Whether the connection or this machine failed, not the pack.
fn is_of_the_way(error: &gix::Error) -> bool {
    let own = [ErrorKind::UnexpectedEof, ErrorKind::InvalidData, ErrorKind::InvalidInput];
    let fails = |error: &(dyn Error + 'static)| match error.downcast_ref::<std::io::Error>() {
        Some(error) if error.kind() == ErrorKind::Other => {
            error.get_ref().and_then(|inner| inner.downcast_ref::<reqwest::Error>()).is_some()
        }
        Some(error) => !own.contains(&error.kind()),
        None => error.is::<reqwest::Error>(),
    };
    error.iter_errors().any(fails)
}

impl Count for Meter {
    fn set(&self, step: Step) {
        self.steps.store(step, Ordering::Relaxed);
        self.check(step);
    }

    fn step(&self) -> Step {
        self.steps.load(Ordering::Relaxed)
    }

    fn inc_by(&self, step: Step) {
        self.check(self.steps.fetch_add(step, Ordering::Relaxed).saturating_add(step));
    }

    fn counter(&self) -> StepShared {
        self.steps.clone()
    }
}

impl Progress for Meter {
    /// How many objects there are is known before the first is read.
    fn init(&mut self, max: Option<Step>, _: Option<Unit>) {
        if self.id == OBJECTS {
            self.check(max.unwrap_or_default());
        }
    }

    fn set_name(&mut self, _: String) {}

    fn name(&self) -> Option<String> {
        None
    }

    fn id(&self) -> Id {
        self.id
    }

    fn message(&self, _: MessageLevel, _: String) {}
}

impl NestedProgress for Meter {
    type SubProgress = Self;

    fn add_child(&mut self, name: impl Into<String>) -> Self {
        self.add_child_with_id(name, UNKNOWN)
    }

    fn add_child_with_id(&mut self, _: impl Into<String>, id: Id) -> Self {
        if id == PACKED {
            self.fetch.began.store(true, Ordering::Relaxed);
        }
        Self::part(&self.fetch, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of an error while a pack arrives, or before one does.
    fn said_of(error: std::io::Error, arrives: bool) -> String {
        let mut meter = Meter::new(Limits::DEFAULT, Arc::default());
        let witness = meter.witness();
        if arrives {
            meter.add_child_with_id("", PACKED);
        }
        said(&witness.told(gix::Error::from_error(error)))
    }

    #[test]
    fn a_line_that_breaks_is_no_damage() {
        let broken = |kind: ErrorKind| std::io::Error::new(kind, "why");
        assert_eq!(said_of(broken(ErrorKind::UnexpectedEof), false), "why");
        for kind in [ErrorKind::ConnectionReset, ErrorKind::TimedOut, ErrorKind::StorageFull, ErrorKind::Interrupted] {
            assert_eq!(said_of(broken(kind), true), "why", "{kind}");
        }
        for kind in [ErrorKind::UnexpectedEof, ErrorKind::InvalidData, ErrorKind::Other] {
            assert_eq!(said_of(broken(kind), true), "the server's pack is damaged: why [git.pack_invalid]", "{kind}");
        }
        let collision = std::io::Error::other("Detected SHA-1 collision attack with digest 1");
        assert!(said_of(collision, true).ends_with("with digest 1 [git.collision]"));
    }
}
