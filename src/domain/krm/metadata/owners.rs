//! Which owners an object may name.
//!
//! Source: `ValidateOwnerReferences` of apimachinery's `api/validation`.

use serde_json::{Value, json};

use crate::domain::krm::cause::Cause;

const PATH: &str = "metadata.ownerReferences";
/// The fields of a reference in the order in which the server shows them.
const FIELDS: [&str; 6] = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];

/// What is wrong with the owners of an object.
pub(super) fn faults(object: &Value) -> Vec<Cause> {
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let owners = owners.map(Vec::as_slice).unwrap_or_default();
    let mut found = Vec::new();
    let mut first: Option<String> = None;
    for owner in owners {
        found.extend(faults_of(owner));
        if owner.get("controller") != Some(&json!(true)) {
            continue;
        }
        let name = format!("{}/{}", text(owner, "kind"), text(owner, "name"));
        match &first {
            None => first = Some(name),
            Some(first) => found.push(second_controller(owners, first, &name)),
        }
    }
    found
}

fn text<'a>(owner: &'a Value, name: &str) -> &'a str {
    owner.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn second_controller(owners: &[Value], first: &str, second: &str) -> Cause {
    let shown = owners.iter().map(shown).collect::<Vec<_>>().join(",");
    let detail = format!(
        "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"
    );
    invalid(&format!("[{shown}]"), &detail)
}

fn faults_of(owner: &Value) -> Vec<Cause> {
    let version = text(owner, "apiVersion");
    let nameless = version.is_empty() || version.matches('/').count() > 1;
    let empty = |name: &&str| text(owner, name).is_empty();
    let field = |name: &str| format!("{PATH}.{name}");
    let mut found = Vec::new();
    if nameless {
        found.push(Cause::invalid(field("apiVersion"), &json!(version), "version must not be empty"));
    }
    let missing = ["kind", "name", "uid"].into_iter().filter(empty);
    found.extend(missing.map(|name| Cause::invalid(field(name), &json!(""), "must not be empty")));
    if (version, text(owner, "kind")) == ("v1", "Event") {
        found.push(invalid(&shown(owner), "/v1, Kind=Event is disallowed from being an owner"));
    }
    found
}

fn shown(owner: &Value) -> String {
    let fields = FIELDS.iter().filter_map(|name| Some(format!("{name:?}:{}", owner.get(*name)?)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

fn invalid(shown: &str, detail: &str) -> Cause {
    let message = format!("Invalid value: {shown}: {detail}");
    Cause { reason: "FieldValueInvalid", message, field: PATH.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(owners: &Value) -> Vec<String> {
        faults(&json!({"metadata": {"ownerReferences": owners}})).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn owners_are_whole_and_one_of_them_controls() {
        let owner = |name: &str| json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": name});
        let controller = |name: &str| {
            let mut owner = owner(name);
            owner["controller"] = json!(true);
            owner
        };
        assert!(told(&json!([owner("a"), controller("b")])).is_empty());
        assert_eq!(
            told(&json!([controller("a"), controller("b")])),
            [
                r#"metadata.ownerReferences: Invalid value: [{"apiVersion":"v1","kind":"Pod","name":"a","uid":"a","controller":true},{"apiVersion":"v1","kind":"Pod","name":"b","uid":"b","controller":true}]: Only one reference can have Controller set to true. Found "true" in references for Pod/a and Pod/b"#
            ]
        );
        assert_eq!(told(&json!([{}])).len(), 4);
        assert_eq!(
            told(&json!([{"apiVersion": "a/b/c", "kind": "X", "name": "b", "uid": "c"}])),
            [r#"metadata.ownerReferences.apiVersion: Invalid value: "a/b/c": version must not be empty"#]
        );
        assert!(
            told(&json!([{"apiVersion": "v1", "kind": "Event", "name": "b", "uid": "c"}]))[0].ends_with("an owner")
        );
    }
}
