//! The lines of watch events: each is encoded once for all watches that show it alike.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::apiserver::kinds::Kind;
use crate::apiserver::negotiate::Form;

/// Most lines that are kept.
const MOST: usize = 256;
/// Most bytes of all lines that are kept: 16 MiB.
const MOST_BYTES: usize = 16 << 20;

/// What a line shows.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    /// The revision of the object, which no other object has.
    pub(super) revision: u64,
    /// `ADDED`, `MODIFIED`, `DELETED`.
    pub(super) event: &'static str,
    /// The kind as which the object is shown. A definition that changes makes another kind of the same name.
    pub(super) kind: Arc<Kind>,
    /// How much of it.
    pub(super) form: Form,
}

impl PartialEq for Shown {
    fn eq(&self, other: &Self) -> bool {
        (self.revision, self.event, self.form) == (other.revision, other.event, other.form)
            && Arc::ptr_eq(&self.kind, &other.kind)
    }
}

/// The last lines, oldest first.
#[derive(Debug, Default)]
pub(super) struct Lines(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<(Shown, Bytes)>,
    bytes: usize,
}

impl Lines {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What a panic leaves here is at worst a line less.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The line that shows this; encodes it when no other watch did lately.
    pub(super) fn line(&self, shown: &Shown, encode: impl FnOnce() -> Bytes) -> Bytes {
        let found = self.kept().lines.iter().rev().find(|(other, _)| other == shown).map(|(_, line)| line.clone());
        found.unwrap_or_else(|| {
            let line = encode();
            self.kept().keep(shown.clone(), line.clone());
            line
        })
    }

    /// Forgets all lines: nobody asks any more for those of kinds that have changed.
    pub(super) fn clear(&self) {
        *self.kept() = Kept::default();
    }
}

impl Kept {
    fn keep(&mut self, shown: Shown, line: Bytes) {
        self.bytes += line.len();
        self.lines.push_back((shown, line));
        while self.lines.len() > MOST || self.bytes > MOST_BYTES {
            let Some((_, oldest)) = self.lines.pop_front() else { return };
            self.bytes -= oldest.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::kinds::Kinds;
    use crate::apiserver::negotiate::Meta;

    fn kind() -> Arc<Kind> {
        Arc::clone(Kinds::builtin().find("", "v1", "configmaps").unwrap())
    }

    fn shown(kind: &Arc<Kind>, revision: u64) -> Shown {
        Shown { revision, event: "ADDED", kind: Arc::clone(kind), form: Form::Objects }
    }

    #[test]
    fn a_line_is_encoded_once_for_those_who_show_it_alike() {
        let (lines, kind, changed) = (Lines::default(), kind(), kind());
        let one = shown(&kind, 1);
        let never = || -> Bytes { panic!("it is there") };
        lines.line(&one, || Bytes::from_static(b"one"));
        assert_eq!(lines.line(&one, never), "one");
        for other in [
            shown(&kind, 2),
            Shown { event: "MODIFIED", ..one.clone() },
            Shown { kind: changed, ..one.clone() },
            Shown { form: Form::Metadata(Meta::V1), ..one.clone() },
        ] {
            assert_eq!(lines.line(&other, || Bytes::from_static(b"other")), "other");
        }
        lines.clear();
        assert_eq!(lines.line(&one, || Bytes::from_static(b"again")), "again");
    }

    #[test]
    fn no_more_is_kept_than_was_said() {
        let (lines, kind) = (Lines::default(), kind());
        let kept = || {
            let kept = lines.kept();
            (kept.lines.len(), kept.bytes)
        };
        for revision in 0..1000 {
            lines.line(&shown(&kind, revision), || Bytes::from_static(b"x"));
        }
        assert_eq!(kept(), (MOST, MOST));
        lines.line(&shown(&kind, 1000), || Bytes::from(vec![0; MOST_BYTES]));
        assert_eq!(kept(), (1, MOST_BYTES));
        lines.line(&shown(&kind, 1001), || Bytes::from(vec![0; MOST_BYTES + 1]));
        assert_eq!(kept(), (0, 0));
    }
}
