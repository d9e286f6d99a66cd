//! Which targets a package goes to, and in which waves.

use std::collections::BTreeMap;

use crate::domain::id::TargetName;
use crate::domain::intent::sync::TargetsSpec;

/// A target as placement sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetFacts {
    /// Its name.
    pub name: TargetName,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Where a package goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// Targets with their wave, from 0 without gaps; by wave, then by name.
    pub targets: Vec<(TargetName, usize)>,
    /// What did not work out, in words; a placement without targets always has a reason.
    pub reasons: Vec<String>,
}

/// Chooses targets by name or selector and puts each into the first wave that matches it; what no wave matches comes
/// last. `maxUnavailable` splits a wave into parts that follow each other.
#[must_use]
pub fn choose(spec: &TargetsSpec, facts: &[TargetFacts]) -> Placement {
    let mut facts = facts.to_vec();
    facts.sort();
    let mut reasons = Vec::new();
    for name in &spec.names {
        if !facts.iter().any(|target| target.name.as_str() == name) {
            reasons.push(format!("there is no Target {name}"));
        }
    }
    let chosen: Vec<&TargetFacts> = facts.iter().filter(|target| is_chosen(spec, target)).collect();
    if chosen.is_empty() {
        reasons.push("no Target is selected".to_owned());
    }
    let mut waves: Vec<Vec<&TargetFacts>> = vec![Vec::new(); spec.waves.len() + 1];
    for target in chosen {
        let wave = spec.waves.iter().position(|wave| matches(&wave.match_labels, &target.labels));
        waves[wave.unwrap_or(spec.waves.len())].push(target);
    }
    let mut targets = Vec::new();
    let mut number = 0;
    for (index, members) in waves.iter().enumerate() {
        let limit = spec.waves.get(index).and_then(|wave| wave.max_unavailable.as_deref());
        for part in members.chunks(part_size(limit, members.len())) {
            targets.extend(part.iter().map(|target| (target.name.clone(), number)));
            number += 1;
        }
    }
    Placement { targets, reasons }
}

fn is_chosen(spec: &TargetsSpec, target: &TargetFacts) -> bool {
    let named = spec.names.iter().any(|name| name == target.name.as_str());
    let selected = spec.selector.as_ref().is_some_and(|selector| matches(&selector.match_labels, &target.labels));
    named || selected || (spec.names.is_empty() && spec.selector.is_none())
}

fn matches(wanted: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// A count, or a percentage rounded up; at least one, at most all.
fn part_size(limit: Option<&str>, of: usize) -> usize {
    let all = of.max(1);
    let Some(limit) = limit else { return all };
    let size = match limit.strip_suffix('%') {
        Some(percent) => percent.parse::<usize>().map_or(all, |percent| (of * percent).div_ceil(100)),
        None => limit.parse().unwrap_or(all),
    };
    size.clamp(1, all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::intent::sync::{Selector, Wave};

    fn facts(pairs: &[(&str, &str)]) -> Vec<TargetFacts> {
        pairs
            .iter()
            .map(|(name, label)| TargetFacts {
                name: TargetName::new(*name).unwrap(),
                labels: label.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect(),
            })
            .collect()
    }

    fn told(spec: &TargetsSpec, facts: &[TargetFacts]) -> String {
        let placement = choose(spec, facts);
        let targets: Vec<String> = placement.targets.iter().map(|(name, wave)| format!("{name}:{wave}")).collect();
        format!("{}|{}", targets.join(" "), placement.reasons.join("; "))
    }

    fn labels(pair: &str) -> BTreeMap<String, String> {
        pair.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect()
    }

    #[test]
    fn waves_are_filled_in_order_and_the_rest_comes_last() {
        let world = facts(&[("edge-2", ""), ("edge-1", "canary=true"), ("edge-3", "")]);
        let canary = Wave { match_labels: labels("canary=true"), max_unavailable: None };
        let spec = TargetsSpec { waves: vec![canary.clone()], ..TargetsSpec::default() };
        assert_eq!(told(&spec, &world), "edge-1:0 edge-2:1 edge-3:1|");
        let split = Wave { match_labels: BTreeMap::new(), max_unavailable: Some("50%".into()) };
        let spec = TargetsSpec { waves: vec![canary, split], ..TargetsSpec::default() };
        assert_eq!(told(&spec, &world), "edge-1:0 edge-2:1 edge-3:2|");
        let absent = Wave { match_labels: labels("x=y"), max_unavailable: None };
        let spec = TargetsSpec { waves: vec![absent], ..TargetsSpec::default() };
        assert_eq!(told(&spec, &world), "edge-1:0 edge-2:0 edge-3:0|", "an empty wave leaves no gap");
    }

    #[test]
    fn what_is_missing_is_said() {
        let world = facts(&[("edge-1", "a=b")]);
        let spec = TargetsSpec { names: vec!["edge-1".into(), "edge-9".into()], ..TargetsSpec::default() };
        assert_eq!(told(&spec, &world), "edge-1:0|there is no Target edge-9");
        let none = Selector { match_labels: labels("a=c") };
        let spec = TargetsSpec { selector: Some(none), ..TargetsSpec::default() };
        assert_eq!(told(&spec, &world), "|no Target is selected");
    }
}
