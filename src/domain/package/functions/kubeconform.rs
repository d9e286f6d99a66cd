//! `kubeconform` and its forerunner `kubeval`: whether every resource fits the schema of its kind.

use serde_json::Value;

use super::{Call, FunctionError, Native, Opt, kind_of, text_at};
use crate::domain::krm::schema::{Grade, missing, unlisted};
use crate::domain::krm::validate::{UNDECLARED, Violation, around, validate};
use crate::domain::krm::{Gvk, PathElement, Schema, Schemas, structural, without_value};
use crate::domain::package::resources::{Place, is_kustomization, is_local};

const STRICT: &str = "strict";
const IGNORE: &str = "ignore_missing_schemas";
const SKIP: &str = "skip_kinds";
const LOCATIONS: [&str; 2] = ["schema_location", "additional_schema_locations"];

const OPTIONS: &[Opt] = &[
    Opt { name: STRICT, required: false, text: "\"true\": fields that the schema does not have are errors too" },
    Opt { name: IGNORE, required: false, text: "\"true\": resources of unknown kinds are left out" },
    Opt { name: SKIP, required: false, text: "kinds, or group/version/Kind, to leave out, with commas between them" },
];

const NOTES: &str = "Schemas are those of the stable kinds of Kubernetes 1.36 and of the CRDs in the package; \
                     schema_location and additional_schema_locations are refused. Types, quantities, list keys, \
                     required fields, enumerations and, with strict, unknown fields are judged; of kinds of CRDs patterns, formats, \
                     lengths, ranges and allOf, anyOf, oneOf, not, too. Rules in CEL are not. Local configuration of an \
                     unknown kind, the Kptfile and kustomization.yaml are left out.";

pub(super) const NATIVE: Native = Native {
    name: "kubeconform",
    aliases: &[],
    families: &["v0.1"],
    summary: "judges whether every resource fits the schema of its kind",
    kind: None,
    options: OPTIONS,
    example: "pipeline:
  validators:
  - image: kubeconform:v0.1
    configMap:
      strict: \"true\"
      ignore_missing_schemas: \"true\"
",
    notes: NOTES,
    run,
};

pub(super) const KUBEVAL: Native = Native {
    name: "kubeval",
    families: &["v0.1", "v0.2", "v0.3"],
    example: "pipeline:
  validators:
  - image: kubeval:v0.3
    configMap:
      strict: \"true\"
",
    ..NATIVE
};

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let data = call.data()?;
    if let Some(location) = LOCATIONS.iter().find(|key| data.contains_key(**key)) {
        let hint = "leave it out: schemas are built in, and CRDs of the package are used";
        return Err(call.wrong(&["data", location], format!("{location} is not supported"), hint));
    }
    call.only(&["data"], &[STRICT, IGNORE, SKIP])?;
    let asks = |key: &str| data.get(key).is_some_and(|text| text.eq_ignore_ascii_case("true") || text == "1");
    let skipped: Vec<&str> = data.get(SKIP).map(|kinds| kinds.split(',').map(str::trim).collect()).unwrap_or_default();
    let values: Vec<(Place, Value)> = call
        .values()
        .into_iter()
        .filter(|(place, value)| !is_kustomization(&place.file) && !is_skipped(value, &skipped))
        .collect();
    let schemas = schemas(&values);
    let mut first = None;
    let mut count = 0;
    for (place, value) in &values {
        for (path, message) in judged(&schemas, value, asks(STRICT), asks(IGNORE)) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let (origin, field) = (call.origin(place, &path), super::shown(value, &path));
            first.get_or_insert_with(|| (origin.clone(), format!("{field}: {message}")));
            count += 1;
            call.say("error", message, Some(origin), Some(field));
        }
    }
    match first {
        None => Ok(()),
        Some((origin, message)) if count == 1 => Err(FunctionError::Value { origin, message }),
        Some((origin, message)) => {
            Err(FunctionError::Value { origin, message: format!("{message} (and {} more)", count - 1) })
        }
    }
}

fn is_skipped(value: &Value, skipped: &[&str]) -> bool {
    let whole = format!("{}/{}", text_at(value, &["apiVersion"]), kind_of(value));
    skipped.iter().any(|skipped| *skipped == kind_of(value) || *skipped == whole)
}

/// The built-in kinds, and those of the package's own CRDs.
fn schemas(values: &[(Place, Value)]) -> Schemas {
    let mut schemas = Schemas::builtin();
    for (_, crd) in values.iter().filter(|(_, value)| kind_of(value) == "CustomResourceDefinition") {
        // What is wrong with the CRD is told when it is judged itself.
        let _ = schemas.add_crd(crd);
    }
    schemas
}

/// Path and words of everything that is wrong.
fn judged(schemas: &Schemas, value: &Value, strict: bool, ignore: bool) -> Vec<(Vec<String>, String)> {
    let gvk = Gvk::parse(text_at(value, &["apiVersion"]), kind_of(value));
    let (schema, grade) = schemas.lookup(&gvk);
    if grade == Grade::None {
        let known = ignore || is_local(value);
        let message = format!("there is no schema for {} {}", gvk.api_version(), kind_of(value));
        return if known { Vec::new() } else { vec![(vec!["kind".to_owned()], message)] };
    }
    let meant = |violation: &Violation| strict || violation.message != UNDECLARED;
    violations(value, schema)
        .into_iter()
        .filter(meant)
        .map(|found| (place_of(value, &found), without_value(value, &found.message).to_owned()))
        .collect()
}

/// What a reader of the schema says; defaults are not filled in for it.
fn violations(value: &Value, schema: &Schema) -> Vec<Violation> {
    let Some(structural) = schema.structural() else {
        return [validate(value, schema), missing(value, schema), unlisted(value, schema)].concat();
    };
    let causes =
        [structural::validate(value, None, structural), structural::duplicates(value, None, structural)].concat();
    around(value, schema).into_iter().chain(causes.into_iter().map(|cause| Violation::of(cause, value))).collect()
}

/// The path of a violation with the indices of list items, as far as it leads.
fn place_of(value: &Value, violation: &Violation) -> Vec<String> {
    let mut path = Vec::new();
    let mut here = Some(value);
    for element in violation.path.elements() {
        let items = here.and_then(Value::as_array);
        let key = match element {
            PathElement::Field(name) => name.clone(),
            PathElement::Index(index) => index.to_string(),
            PathElement::Key(keys) => {
                // A key that an item does not name has its default.
                let is = |item: &Value| {
                    keys.iter().all(|(name, wanted)| item.get(name).is_none_or(|found| *found == wanted.0))
                };
                let Some(index) = items.and_then(|items| items.iter().position(is)) else { break };
                index.to_string()
            }
            PathElement::Value(wanted) => {
                let Some(index) = items.and_then(|items| items.iter().position(|item| *item == wanted.0)) else {
                    break;
                };
                index.to_string()
            }
        };
        here = here.and_then(|value| super::at(value, &[&key]));
        path.push(key);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn violations_are_placed_in_lists() {
        let value = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [
            {"name": "a"}, {"name": "b", "image": 5, "extra": true}]}});
        let told = |strict| judged(&Schemas::builtin(), &value, strict, false);
        let image = (
            vec!["spec".to_owned(), "containers".into(), "1".into(), "image".into()],
            "expected string, got 5".to_owned(),
        );
        assert_eq!(told(false), std::slice::from_ref(&image));
        assert!(told(true).contains(&image) && told(true).len() == 2, "{:?}", told(true));
        let spec = json!({"type": "object", "required": ["mode"], "properties": {"mode": {"type": "string"},
            "port": {"type": "integer", "maximum": 9}, "name": {"type": "string", "pattern": "^a"},
            "names": {"type": "array", "items": {"type": "string", "minLength": 2}}}});
        let crd = json!({"metadata": {"name": "zs.x.y"}, "spec": {"group": "x.y", "names": {"kind": "Z"}, "versions": [
            {"name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}]}});
        let schemas = Schemas::builtin().with_crd(&crd).unwrap();
        let custom = json!({"apiVersion": "x.y/v1", "kind": "Z", "metadata": {"name": "p"},
            "spec": {"port": 10, "name": "b", "names": ["aa", "a"], "more": 1}});
        let told: Vec<String> = judged(&schemas, &custom, true, false)
            .into_iter()
            .map(|(path, message)| format!("{}: {message}", path.join(".")))
            .collect();
        let expected = [
            "spec.more: field not declared in schema",
            r#"spec.name: Invalid value: "b": spec.name in body should match '^a'"#,
            r#"spec.names.1: Invalid value: "a": spec.names[1] in body should be at least 2 chars long"#,
            "spec.port: Invalid value: 10: spec.port in body should be less than or equal to 9",
            "spec.mode: Required value",
        ];
        assert_eq!(told, expected);
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [
            {"port": 1}, {"port": "eighty"}, {"port": 2, "protocol": "UDP", "targetPort": []}]}});
        let told: Vec<String> =
            judged(&Schemas::builtin(), &service, false, false).into_iter().map(|(path, _)| path.join(".")).collect();
        assert_eq!(told, ["spec.ports.1.port", "spec.ports.2.targetPort"]);
        let unknown = json!({"apiVersion": "x.y/v1", "kind": "Z", "metadata": {"name": "p"}});
        assert_eq!(judged(&Schemas::builtin(), &unknown, true, true), []);
        assert_eq!(judged(&Schemas::builtin(), &unknown, true, false)[0].1, "there is no schema for x.y/v1 Z");
    }
}
