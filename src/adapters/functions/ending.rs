//! Word that this process is to end, for what it must not leave behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use crate::domain::package::external::Failure;

/// Whether this process was told to end. Programs that run for it are killed then, and no other is started; clones
/// share one word.
#[derive(Debug, Clone, Default)]
pub struct Ending(Arc<Word>);

#[derive(Debug, Default)]
struct Word {
    /// The number of the signal; 0 when none came.
    signal: AtomicU8,
    holds: AtomicUsize,
}

impl Ending {
    /// Passes the word on: the number of the signal that told it, not 0.
    pub fn tell(&self, signal: u8) {
        self.0.signal.store(signal, Ordering::SeqCst);
    }

    /// The signal that told it.
    #[must_use]
    pub fn told(&self) -> Option<u8> {
        Some(self.0.signal.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
    }

    /// The failure of a function that was stopped by it.
    pub(super) fn stopped(name: &str) -> Failure {
        Failure::new("fn.stopped", format!("{name} was stopped: loggia was told to end"))
    }

    /// Says that something is being done that has to be cleared away, or brought to its end, before the process ends.
    ///
    /// Hold first, ask [`Self::told`] then: so the word is never missed by both sides.
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.0.holds.fetch_add(1, Ordering::SeqCst);
        Hold(self.clone())
    }

    /// Whether somebody holds.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.holds.load(Ordering::SeqCst) > 0
    }
}

/// Holds until it is dropped.
#[derive(Debug)]
pub struct Hold(Ending);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.0.holds.fetch_sub(1, Ordering::SeqCst);
    }
}
