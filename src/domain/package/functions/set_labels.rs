//! `set-labels`: the same labels on every resource, on its pod templates, and in the selectors that must match them.

use serde_json::Value;

use super::{Call, FunctionError, at, kind_of, pod_template};
use crate::domain::package::resources::is_local;

/// A place that gets the labels.
struct Home {
    path: Vec<String>,
    /// Whether it is made when absent; selectors that are absent stay absent, because an absent one selects everything.
    create: bool,
}

impl Home {
    fn new(path: &[&str], create: bool) -> Self {
        Self { path: path.iter().map(|part| (*part).to_owned()).collect(), create }
    }
}

pub(super) fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let labels = call.data("labels")?;
    if labels.is_empty() {
        return Err(FunctionError::Config("no labels are given".to_owned()));
    }
    let mut changed = 0;
    for place in call.places.clone() {
        let value = call.resources.value(&place);
        if is_local(&value) {
            continue;
        }
        for home in homes(&value) {
            let path: Vec<&str> = home.path.iter().map(String::as_str).collect();
            if !home.create && at(&value, &path).is_none() {
                continue;
            }
            for (key, text) in &labels {
                let full: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
                changed += usize::from(call.set(&place, &full, &Value::from(text.as_str()))?);
            }
        }
    }
    call.info(format!("set {changed} labels"));
    Ok(())
}

fn homes(value: &Value) -> Vec<Home> {
    let kind = kind_of(value);
    let mut homes = vec![Home::new(&["metadata", "labels"], true)];
    if let Some(template) = pod_template(kind).filter(|template| !template.is_empty()) {
        homes.push(Home::new(&[template, &["metadata", "labels"]].concat(), at(value, template).is_some()));
    }
    match kind {
        "Service" | "ReplicationController" => homes.push(Home::new(&["spec", "selector"], true)),
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" => {
            homes.push(Home::new(&["spec", "selector", "matchLabels"], true));
        }
        "Job" | "PodDisruptionBudget" => homes.push(Home::new(&["spec", "selector", "matchLabels"], false)),
        "CronJob" => homes.push(Home::new(&["spec", "jobTemplate", "metadata", "labels"], true)),
        "NetworkPolicy" => homes.extend(network_policy(value)),
        _ => {}
    }
    let claims = at(value, &["spec", "volumeClaimTemplates"]).and_then(Value::as_array).map_or(0, Vec::len);
    for index in 0..claims {
        homes.push(Home::new(&["spec", "volumeClaimTemplates", &index.to_string(), "metadata", "labels"], true));
    }
    homes
}

/// Pod selectors of a policy, each only where it names labels already.
fn network_policy(value: &Value) -> Vec<Home> {
    let mut homes = vec![Home::new(&["spec", "podSelector", "matchLabels"], false)];
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        let list = at(value, &["spec", rules]).and_then(Value::as_array);
        for (rule, entry) in list.into_iter().flatten().enumerate() {
            let count = entry.get(peers).and_then(Value::as_array).map_or(0, Vec::len);
            for peer in 0..count {
                let (rule, peer) = (rule.to_string(), peer.to_string());
                homes.push(Home::new(&["spec", rules, &rule, peers, &peer, "podSelector", "matchLabels"], false));
            }
        }
    }
    homes
}
