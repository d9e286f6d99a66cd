//! A plan for people: text for a terminal, Markdown for a proposal. JSON is the value itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Action, Guard, Plan, Step, Summary, UnitPlan};

/// Targets that get the same steps, told once.
struct Group<'a> {
    units: Vec<&'a UnitPlan>,
}

impl<'a> Group<'a> {
    fn of(plan: &'a Plan) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for unit in &plan.units {
            // Not the digests of the steps: created objects carry a label that differs from target to target.
            let mut key = format!("{} {:?}\n", unit.declared, unit.guards);
            unit.steps().for_each(|step| step_markdown(&mut key, step));
            if let Some(&at) = seen.get(&key) {
                groups[at].units.push(unit);
            } else {
                seen.insert(key, groups.len());
                groups.push(Self { units: vec![unit] });
            }
        }
        groups
    }

    fn title(&self) -> String {
        let names: Vec<String> =
            self.units.iter().map(|unit| format!("{} (wave {})", unit.unit.target, unit.wave + 1)).collect();
        match names.len() {
            0 | 1 => names.join(""),
            2 => format!("{}: the same on both", names.join(", ")),
            n => format!("{}: the same on all {n}", names.join(", ")),
        }
    }

    /// Deletes, then changes, then creates, then what is left alone.
    fn steps(&self) -> Vec<&'a Step> {
        let rank = |step: &Step| match step.action {
            Action::Delete => 0,
            Action::Patch { .. } => 1,
            Action::Create { .. } => 2,
            Action::Skip { .. } => 3,
            Action::Keep => 4,
        };
        let mut steps: Vec<&Step> =
            self.units.first().into_iter().flat_map(|unit| unit.steps()).filter(|s| s.action != Action::Keep).collect();
        steps.sort_by_key(|step| rank(step));
        steps
    }

    fn guards(&self) -> impl Iterator<Item = (&UnitPlan, &Guard)> {
        self.units.first().into_iter().flat_map(|unit| unit.guards.iter().map(move |guard| (*unit, guard)))
    }

    fn unchanged(&self) -> usize {
        self.units.first().map_or(0, |unit| unit.steps().filter(|step| step.action == Action::Keep).count())
    }
}

/// What a person can do about a guard: what is only to be created cannot be deleted first.
fn advice(unit: &UnitPlan, guard: &Guard) -> &'static str {
    let is_new = |object: &str| {
        unit.steps().any(|step| matches!(step.action, Action::Create { .. }) && step.object.to_string() == object)
    };
    match guard {
        Guard::Refused { object, .. } if is_new(object) => "change what is named",
        other => other.advice(),
    }
}

/// The plan for a terminal: guards first, then deletes, changes, creates; equal targets are told once.
#[must_use]
pub fn text(plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "Plan {}  declared {}", plan.id.short(), plan.declared.short());
    for group in Group::of(plan) {
        let _ = writeln!(out, "\n{}", group.title());
        for (unit, guard) in group.guards() {
            let _ = writeln!(out, "  STOP {guard}\n       {}", advice(unit, guard));
        }
        for step in group.steps() {
            step_text(&mut out, step);
        }
        if group.unchanged() > 0 {
            let _ = writeln!(out, "  = {} unchanged", group.unchanged());
        }
    }
    let _ = writeln!(out, "\n{}", totals(&plan.summary));
    out
}

fn step_text(out: &mut String, step: &Step) {
    let origin = step.origin.as_deref().map(|origin| format!("  ({origin})")).unwrap_or_default();
    let _ = writeln!(out, "  {} {}{origin}", step.symbol(), step.object);
    match &step.action {
        Action::Patch { changes } => {
            for line in changes {
                let _ = writeln!(out, "      {line}");
            }
        }
        Action::Skip { reason } => {
            let _ = writeln!(out, "      left alone: {reason}");
        }
        _ => {}
    }
}

fn totals(summary: &Summary) -> String {
    let mut text = format!(
        "{} to create, {} to change, {} to delete, {} unchanged",
        summary.create, summary.change, summary.delete, summary.unchanged
    );
    if summary.skipped > 0 {
        let _ = write!(text, ", {} left alone", summary.skipped);
    }
    if summary.guards > 0 {
        let _ = write!(text, ", {} guard{}", summary.guards, if summary.guards == 1 { "" } else { "s" });
    }
    text
}

/// The plan for a proposal's body.
#[must_use]
pub fn markdown(plan: &Plan) -> String {
    let mut out = String::new();
    let targets = plan.units.len();
    let _ =
        writeln!(out, "**{}** on {targets} target{}.\n", totals(&plan.summary), if targets == 1 { "" } else { "s" });
    for group in Group::of(plan) {
        let _ = writeln!(out, "### {}\n", group.title());
        for (unit, guard) in group.guards() {
            let _ = writeln!(out, "> **Stop:** {guard} — {}\n", advice(unit, guard));
        }
        let mut diff = String::new();
        for step in group.steps() {
            step_markdown(&mut diff, step);
        }
        if !diff.is_empty() {
            let _ = writeln!(out, "```diff\n{diff}```\n");
        }
        if group.unchanged() > 0 {
            let _ = writeln!(out, "{} unchanged.\n", group.unchanged());
        }
    }
    grades(&mut out, plan);
    let lost = irreversible(plan);
    if lost.is_empty() {
        let _ = writeln!(out, "A rollback could restore all of this.\n");
    } else {
        let _ = writeln!(out, "A rollback could **not** restore:\n");
        for line in lost {
            let _ = writeln!(out, "- {line}");
        }
        out.push('\n');
    }
    let _ = writeln!(out, "Plan `{}`, declared `{}`.", plan.id, plan.declared.short());
    out
}

/// Diff syntax colours `+` and `-` lines on every forge.
fn step_markdown(out: &mut String, step: &Step) {
    let symbol = if matches!(step.action, Action::Patch { .. }) { '!' } else { step.symbol() };
    let origin = step.origin.as_deref().map(|origin| format!("  # {origin}")).unwrap_or_default();
    let _ = writeln!(out, "{symbol} {}{origin}", step.object);
    if let Action::Patch { changes } = &step.action {
        for line in changes {
            let _ = writeln!(out, "    {line}");
        }
    }
    if let Action::Skip { reason } = &step.action {
        let _ = writeln!(out, "    left alone: {reason}");
    }
}

fn grades(out: &mut String, plan: &Plan) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for step in plan.units.iter().flat_map(UnitPlan::steps).filter(|step| step.writes()) {
        *counts.entry(format!("{:?}", step.grade).to_lowercase()).or_default() += 1;
    }
    let told: Vec<String> = counts.iter().map(|(grade, count)| format!("{count} by {grade}")).collect();
    if !told.is_empty() {
        let _ = writeln!(out, "Predicted: {}.\n", told.join(", "));
    }
}

/// What a rollback of this plan could not bring back, one line each, without repeats over targets.
#[must_use]
pub fn irreversible(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for step in plan.units.iter().flat_map(UnitPlan::steps) {
        let reason = match (&step.action, step.kind.kind.as_str()) {
            (Action::Delete, "PersistentVolumeClaim" | "PersistentVolume") => "its data is gone once it is deleted",
            (Action::Delete, "Namespace") => "everything in it goes with it",
            (Action::Delete, "CustomResourceDefinition") => "all its custom resources go with it",
            (Action::Delete, "Secret") => "values that only the cluster held are gone",
            (Action::Create { .. } | Action::Patch { .. }, "Job") => "a job that has run cannot be unrun",
            (Action::Patch { .. }, "CustomResourceDefinition") => {
                "objects stored in a new version may not convert back"
            }
            _ => continue,
        };
        let line = format!("{}: {reason}", step.object);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}
