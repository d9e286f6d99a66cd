//! Telling who changed a field.

use crate::domain::krm::{Object, managed};
use crate::domain::plan::{Action, FieldChange, Step};

/// `Deployment.apps/core/upf ~ .spec.replicas: 5 -> 2 (kubectl)`: each change with who owns the field now.
pub(super) fn blame(step: &Step, live: Option<&Object>) -> String {
    let Action::Patch { changes } = &step.action else { return format!("{} {}", step.symbol(), step.object) };
    let told: Vec<String> = changes.iter().map(|change| told(change, live)).collect();
    format!("{} {}", step.object, told.join(", "))
}

fn told(change: &FieldChange, live: Option<&Object>) -> String {
    let owners = live.map(|live| owners(live, &change.path)).unwrap_or_default();
    if owners.is_empty() { change.to_string() } else { format!("{change} (written by {})", owners.join(", ")) }
}

/// Managers other than ourselves that own a field or something below it, the newest first.
fn owners(live: &Object, path: &str) -> Vec<String> {
    let is_there =
        |owned: &str| owned.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    let mut owners: Vec<_> = managed::read(live.value())
        .unwrap_or_default()
        .into_iter()
        .filter(|entry| entry.manager != super::MANAGER && entry.subresource != "status")
        .filter(|entry| entry.fields.paths().iter().any(|owned| is_there(&owned.to_string())))
        .collect();
    owners.sort_by_key(|entry| std::cmp::Reverse(entry.time));
    owners.into_iter().map(|entry| entry.manager).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::krm::{Grade, Gvk};

    #[test]
    fn only_who_owns_the_field_is_named() {
        let entry = |manager: &str, fields: serde_json::Value| json!({"manager": manager, "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields});
        let container = json!({"k:{\"name\":\"upf\"}": {"f:image": {}}});
        let live = Object::new(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "upf", "namespace": "core", "managedFields": [
                entry("kubectl-annotate", json!({"f:metadata": {"f:annotations": {"f:zz": {}}}})),
                entry("kubectl-set", json!({"f:spec": {"f:template": {"f:spec": {"f:containers": container}}}})),
                entry("kubectl-scale", json!({"f:spec": {"f:replicas": {}}})),
                entry("loggia", json!({"f:spec": {"f:replicas": {}}}))
            ]}
        }))
        .unwrap();
        let change = |path: &str| FieldChange { path: path.to_owned(), before: Some(json!(1)), after: Some(json!(2)) };
        let step = Step {
            object: live.id(),
            kind: Gvk::new("apps", "v1", "Deployment"),
            action: Action::Patch {
                changes: vec![
                    change(".spec.replicas"),
                    change(".spec.template.spec.containers[name=\"upf\"].image"),
                    change(".spec.paused"),
                ],
            },
            grade: Grade::Schema,
            origin: None,
        };
        assert_eq!(
            blame(&step, Some(&live)),
            "Deployment.apps/core/upf ~ .spec.replicas: 1 -> 2 (written by kubectl-scale), \
             ~ .spec.template.spec.containers[name=\"upf\"].image: 1 -> 2 (written by kubectl-set), ~ .spec.paused: 1 -> 2"
        );
    }
}
