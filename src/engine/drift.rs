//! Telling who changed a field.

use crate::domain::krm::{Object, managed};
use crate::domain::plan::{Action, Step};

/// `Deployment.apps/core/upf .spec.replicas: 5 -> 2 (last written by kubectl)`.
pub(super) fn blame(step: &Step, live: Option<&Object>) -> String {
    let Action::Patch { changes } = &step.action else { return format!("{} {}", step.symbol(), step.object) };
    let told: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let others = live.map(writers).unwrap_or_default();
    let who = if others.is_empty() { String::new() } else { format!(" (last written by {})", others.join(", ")) };
    format!("{} {}{who}", step.object, told.join(", "))
}

/// Managers other than ourselves that wrote the object itself, the newest first.
fn writers(live: &Object) -> Vec<String> {
    let entries = managed::read(live.value()).unwrap_or_default();
    let mut others: Vec<_> =
        entries.into_iter().filter(|entry| entry.manager != super::MANAGER && entry.subresource != "status").collect();
    others.sort_by_key(|entry| std::cmp::Reverse(entry.time));
    others.into_iter().map(|entry| entry.manager).collect()
}
