//! How many requests came, by verb and by client.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Most user agents told apart; the requests of all others are counted together.
const MOST_AGENTS: usize = 64;
/// The name under which the others are counted.
const OTHERS: &str = "others";

/// What a count is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// Who asked: the user agent up to the slash, `others` when there are too many.
    pub agent: String,
    /// Whether it was about a Lease.
    pub lease: bool,
    /// Kubernetes' verb, such as `list` or `apply`; `other` for paths without objects.
    pub verb: &'static str,
}

/// Counters of one server.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<BTreeMap<Counted, u64>>);

impl Counts {
    pub(super) fn add(&self, agent: &str, lease: bool, verb: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let agent = agent.split('/').next().unwrap_or_default();
        let is_known = counts.keys().any(|counted| counted.agent == agent);
        let agents = || counts.keys().map(|counted| &counted.agent).collect::<std::collections::BTreeSet<_>>().len();
        let agent = if is_known || agents() < MOST_AGENTS { agent } else { OTHERS };
        *counts.entry(Counted { agent: agent.to_owned(), lease, verb }).or_default() += 1;
    }

    pub(super) fn all(&self) -> BTreeMap<Counted, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_apart_up_to_a_limit() {
        let counts = Counts::default();
        for n in 0..100 {
            counts.add(&format!("agent{n}/1.0 (linux)"), false, "get");
        }
        counts.add("agent0/2.0", true, "update");
        let all = counts.all();
        assert_eq!(all[&Counted { agent: "others".to_owned(), lease: false, verb: "get" }], 100 - 64);
        assert_eq!(all[&Counted { agent: "agent0".to_owned(), lease: true, verb: "update" }], 1);
    }
}
