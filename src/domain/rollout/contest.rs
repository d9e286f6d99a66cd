//! A target that does not stay as it was made: an admission webhook, another controller, or a field of which was foretold
//! something else than the server does with it.

use serde::{Deserialize, Serialize};

use crate::domain::id::Digest;
use crate::domain::time::{SignedDuration, Timestamp};

/// After so many times in a row it is not chance, nor a person.
const LASTING: u32 = 3;
/// Longest pause between two attempts.
const LONGEST: SignedDuration = SignedDuration::from_mins(5);
/// What stayed for so long after it could have been written again is as good as settled.
const CALM: SignedDuration = SignedDuration::from_mins(1);

/// The same objects, written again and again. Each further attempt waits twice as long, from one second to five minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contest {
    /// Digest over the identities of the objects that were written.
    pub objects: Digest,
    /// How often in a row.
    pub times: u32,
    /// When they were written last.
    pub at: Timestamp,
}

impl Contest {
    /// What is known after objects were written.
    #[must_use]
    pub fn after(before: Option<&Self>, objects: Digest, now: Timestamp) -> Self {
        let before = before.filter(|before| before.is_about(&objects, now));
        Self { times: before.map_or(1, |before| before.times.saturating_add(1)), objects, at: now }
    }

    /// Whether these objects were written not long ago.
    #[must_use]
    pub fn is_about(&self, objects: &Digest, now: Timestamp) -> bool {
        self.objects == *objects && now <= later(self.due(), CALM)
    }

    /// When they may be written again.
    #[must_use]
    pub fn due(&self) -> Timestamp {
        let doubled = 1_i64.checked_shl(self.times.saturating_sub(1)).filter(|seconds| *seconds > 0);
        later(self.at, doubled.map_or(LONGEST, |seconds| SignedDuration::from_secs(seconds).min(LONGEST)))
    }

    /// Whether something on the target keeps making other of them: then they are taken as they are between two attempts.
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        self.times >= LASTING
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn each_attempt_waits_twice_as_long_as_the_one_before() {
        let objects = Digest::of(b"a");
        let (mut contest, mut now, mut pauses) = (None, at(0), Vec::new());
        for _ in 0..70 {
            let next = Contest::after(contest.as_ref(), objects.clone(), now);
            pauses.push(next.due().duration_since(now).as_secs());
            now = next.due();
            contest = Some(next);
        }
        assert_eq!(pauses[..11], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert!(pauses[11..].iter().all(|pause| *pause == 300));
    }

    #[test]
    fn what_stayed_for_a_while_or_is_about_others_begins_anew() {
        let (objects, others) = (Digest::of(b"a"), Digest::of(b"b"));
        let first = Contest::after(None, objects.clone(), at(0));
        let second = Contest::after(Some(&first), objects.clone(), at(61));
        assert_eq!((first.times, second.times, second.is_lasting()), (1, 2, false));
        assert!(Contest::after(Some(&second), objects.clone(), at(62)).is_lasting());
        assert_eq!(Contest::after(Some(&second), others, at(62)).times, 1);
        assert_eq!(Contest::after(Some(&second), objects, at(61 + 2 + 61)).times, 1);
    }
}
