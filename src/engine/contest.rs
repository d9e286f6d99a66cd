//! What is done about a target that does not stay as it was made: it is written again, ever more rarely, and told.

use super::drift::blame;
use super::rollout::{Look, Rollout};
use crate::domain::id::{Digest, TargetName};
use crate::domain::plan::{Step, UnitPlan};
use crate::domain::rollout::Contest;

/// Most changes that are told.
const TOLD: usize = 3;

/// The identity of what a plan writes.
fn written(plan: &UnitPlan) -> Digest {
    let objects: Vec<String> =
        plan.steps().filter(|step| step.writes()).map(|step| format!("{}\n", step.object)).collect();
    Digest::of(objects.concat().as_bytes())
}

impl Rollout<'_> {
    /// What is known of the objects that a plan writes, when they were written not long ago.
    pub(super) fn contest(&self, target: &TargetName, look: &Look) -> Option<&Contest> {
        let contest = self.state.value.units.get(target)?.contest.as_ref()?;
        contest.is_about(&written(&look.plan), self.engine.now()).then_some(contest)
    }

    /// Notes that a plan was carried out.
    pub(super) fn note_contest(&mut self, target: &TargetName, look: &Look) {
        let now = self.engine.now();
        let unit = self.state.value.unit(target);
        unit.contest = Some(Contest::after(unit.contest.as_ref(), written(&look.plan), now));
    }

    /// Whether the target is left as it is until the next attempt.
    pub(super) fn rests(&mut self, target: &TargetName, look: &Look) -> bool {
        let lasting = self.contest(target, look).is_some_and(Contest::is_lasting);
        lasting && self.waits_for_its_turn(target, look)
    }

    /// Whether these objects were written too short a time ago; says so, and comes back when it is time.
    pub(super) fn waits_for_its_turn(&mut self, target: &TargetName, look: &Look) -> bool {
        let now = self.engine.now();
        let Some(contest) = self.contest(target, look).filter(|contest| now < contest.due()).cloned() else {
            return false;
        };
        self.soon(contest.due().duration_since(now));
        if contest.is_lasting() {
            self.say(target, &told(&contest, look));
        }
        true
    }
}

fn told(contest: &Contest, look: &Look) -> String {
    let steps: Vec<&Step> = look.plan.steps().filter(|step| step.writes()).collect();
    let shown = steps.iter().take(TOLD).map(|step| blame(step, look.observed.objects.get(&step.object)));
    let more = steps.len().saturating_sub(TOLD);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!(
        "what is applied does not stay so, {} times in a row: {}{more}; leave the fields to who writes them (spec.ignore), or \
         declare what the target makes of them; tried again at {}",
        contest.times,
        shown.collect::<Vec<_>>().join("; "),
        contest.due()
    )
}
