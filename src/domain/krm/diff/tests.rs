use super::*;
use crate::domain::krm::predict::changes;
use crate::domain::krm::{Gvk, Schemas};
use serde_json::json;

const KEY: &[u8] = b"0123456789abcdef";

fn secret(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": data})
}

#[test]
fn lines_show_path_and_values() {
    let change = |names: &[&str], before: Option<Value>, after: Option<Value>| Change {
        path: Path::fields(names),
        before,
        after,
    };
    let text = render(&[
        change(&["spec", "replicas"], Some(json!(2)), Some(json!(3))),
        change(&["metadata", "labels", "a"], None, Some(json!("x\u{1b}[31m"))),
        change(&["spec", "paused"], Some(json!(true)), None),
    ]);
    assert_eq!(text, "~ .spec.replicas: 2 -> 3\n+ .metadata.labels.a: \"x\\u001b[31m\"\n- .spec.paused: true\n");
    let long = render(&[change(&["data"], None, Some(json!("é".repeat(500))))]);
    assert!(long.ends_with("... (502 characters)\n") && long.len() < 500);
}

#[test]
fn plain_and_encoded_values_have_one_fingerprint_and_show_nowhere() {
    let mut object = secret(&json!({"password": base64::encode(b"hunter22")}));
    object["metadata"]["annotations"] = json!({"note": "the password is hunter22", "raw": base64::encode(b"hunter22")});
    let mut sent = secret(&json!({}));
    sent["stringData"] = json!({"password": "hunter22"});
    let (masked, other) = (mask_secrets(&object, KEY), mask_secrets(&sent, KEY));
    let text = format!("{masked}{other}");
    assert!(!text.contains("hunter22") && !text.contains(&base64::encode(b"hunter22")), "{text}");
    assert_eq!(masked["data"]["password"], other["stringData"]["password"]);
    assert_ne!(mask_secrets(&object, b"another key")["data"], masked["data"]);
}

#[test]
fn changes_of_a_secret_tell_that_and_not_what() {
    let schemas = Schemas::builtin();
    let (schema, _) = schemas.lookup(&Gvk::new("", "v1", "Secret"));
    let (old, new) = (secret(&json!({"a": "MQ==", "b": "Mg=="})), secret(&json!({"a": "Mw==", "b": "Mg=="})));
    let mut mask = Mask::new(KEY);
    mask.learn(&old);
    mask.learn(&new);
    let shown = render(&mask.changes(&new, &changes(&old, &new, schema)));
    assert!(shown.starts_with("~ .data.a: \"*** ("), "{shown}");
    assert!(!shown.contains("MQ==") && !shown.contains("Mw=="));
    let created = render(&mask.changes(&new, &changes(&Value::Null, &new, schema)));
    assert!(!created.contains("Mw=="), "{created}");
}

#[test]
fn other_kinds_are_left_alone() {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "MQ=="}});
    assert_eq!(mask_secrets(&object, KEY), object);
}

fn pod(containers: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "7"},
        "spec": {"containers": containers}})
}

fn shown(old: &Value, new: &Value) -> ObjectDiff {
    let schemas = Schemas::builtin();
    ObjectDiff::new(old, new, schemas.lookup(&Gvk::new("", "v1", "Pod")).0, &Mask::opaque())
}

#[test]
fn meaning_counts_and_not_spelling() {
    let cpu = |text: &Value| pod(&json!([{"name": "a", "resources": {"limits": {"cpu": text}}}]));
    for (old, new) in [(json!("1000m"), json!("1")), (json!("1"), json!(1)), (json!("0.5"), json!("500m"))] {
        let diff = shown(&cpu(&old), &cpu(&new));
        assert!(diff.is_empty() && diff.unified().is_empty() && diff.markdown().is_empty(), "{}", diff.dotted());
    }
    assert_eq!(
        shown(&cpu(&json!("1")), &cpu(&json!("1m"))).dotted(),
        "~ .spec.containers[name=\"a\"].resources.limits.cpu: \"1\" -> \"1m\"\n"
    );
    let port = |port: Value| pod(&json!([{"name": "a", "readinessProbe": {"httpGet": {"port": port}}}]));
    let typed = shown(&port(json!(80)), &port(json!("80")));
    assert_eq!(typed.dotted(), "~ .spec.containers[name=\"a\"].readinessProbe.httpGet.port: 80 -> \"80\"\n");
}

#[test]
fn items_that_only_move_are_told_as_that() {
    let named = |names: &[&str]| pod(&names.iter().map(|name| json!({"name": name})).collect());
    let table: [(&[&str], &[&str], &str); 5] = [
        (&["a", "b", "c"], &["c", "a", "b"], "> .spec.containers[name=\"c\"]: from 2 to 0\n"),
        (&["a", "b"], &["b", "a"], "> .spec.containers[name=\"a\"]: from 0 to 1\n"),
        (&["a", "b"], &["x", "a", "b"], "+ .spec.containers[name=\"x\"]: {\"name\":\"x\"}\n"),
        (&["a", "b", "c"], &["a", "c"], "- .spec.containers[name=\"b\"]: {\"name\":\"b\"}\n"),
        (&["a", "b"], &["a", "b"], ""),
    ];
    for (old, new, expected) in table {
        let told = shown(&named(old), &named(new)).dotted();
        // Of two items that change places either may be told.
        let either = expected.replace("\"a\"]: from 0 to 1", "\"b\"]: from 1 to 0");
        assert!(told == expected || told == either, "{old:?} {new:?}: {told}");
    }
}

#[test]
fn one_difference_reads_the_same_in_every_form() {
    let (old, new) = (pod(&json!([{"name": "a", "image": "x:1"}])), pod(&json!([{"name": "a", "image": "x:2"}])));
    let diff = shown(&old, &new);
    assert_eq!(diff.dotted(), "~ .spec.containers[name=\"a\"].image: \"x:1\" -> \"x:2\"\n");
    let unified = "--- live/Pod ns/p\n+++ planned/Pod ns/p\n@@ -5,5 +5,5 @@\n   namespace: ns\n spec:\n   containers:\n-  - image: x:1\n+  - image: x:2\n     name: a\n";
    assert_eq!(diff.unified(), unified);
    assert_eq!(diff.markdown(), format!("#### Pod ns/p\n\n```diff\n{unified}```\n"));
    let json = serde_json::to_value(&diff).unwrap();
    let path = ".spec.containers[name=\"a\"].image";
    assert_eq!(
        json,
        json!({"object": "Pod ns/p", "changes": [{"path": path, "before": "x:1", "after": "x:2"}], "moved": []})
    );
    let created = shown(&Value::Null, &new);
    assert!(
        created.unified().starts_with("--- live/Pod ns/p\n+++ planned/Pod ns/p\n@@ -0,0 +1,9 @@\n+apiVersion"),
        "{}",
        created.unified()
    );
}

mod laws {
    use super::*;
    use proptest::prelude::*;

    /// A secret that no word of ours holds.
    fn value() -> impl Strategy<Value = String> {
        let line = "[A-Z0-9]{8}[\"\\\\ {}é$:#-]{0,3}[A-Z0-9]{2,8}";
        prop_oneof![
            line.prop_map(String::from),
            proptest::collection::vec(line, 2..4).prop_map(|lines| lines.join("\n"))
        ]
    }

    /// The forms in which nobody may read a secret.
    fn forms(secret: &str) -> Vec<String> {
        let whole = [secret.to_owned(), base64::encode(secret.as_bytes())];
        whole
            .into_iter()
            .chain(secret.lines().map(|line| line.trim().to_owned()))
            .flat_map(|form| [escaped(&form), form])
            .collect()
    }

    /// Objects that tell the secret wherever a careless author can put it.
    fn careless(secret: &str) -> Value {
        json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t", "annotations": {
            "note": format!("the password is {secret}!"), "document": json!({"stringData": {"a": secret}}).to_string()}},
            "spec": {"tags": [secret], "map": {secret: base64::encode(secret.as_bytes())}, "lines": secret.lines().collect::<Vec<_>>(),
                "items": [{"name": secret, "value": secret}]}})
    }

    proptest! {
        #[test]
        fn no_rendering_tells_a_secret(secret in value(), opaque: bool, plain: bool) {
            let mut holder = super::secret(&json!({"password": base64::encode(secret.as_bytes())}));
            if plain {
                holder = super::secret(&json!({}));
                holder["stringData"] = json!({"password": secret});
            }
            let mut mask = if opaque { Mask::opaque() } else { Mask::new(KEY) };
            mask.learn(&holder);
            let thing = careless(&secret);
            let crd = json!({"metadata": {"name": "t"}, "spec": {"group": "example.com", "names": {"kind": "Thing"}, "versions": [{
                "name": "v1", "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
                    "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                    "items": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                        "items": {"type": "object", "properties": {"name": {"type": "string"}, "value": {"type": "string"}}}},
                    "map": {"type": "object", "additionalProperties": {"type": "string"}},
                    "lines": {"type": "array", "items": {"type": "string"}}}}}}}}]}});
            let schemas = Schemas::builtin().with_crd(&crd).unwrap();
            let mut told = String::new();
            for object in [&holder, &thing] {
                let text = |field: &str| object[field].as_str().unwrap();
                let (schema, _) = schemas.lookup(&Gvk::parse(text("apiVersion"), text("kind")));
                let bare = json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": {"name": object["metadata"]["name"]},
                    "spec": {"tags": ["other"], "items": [{"name": "other"}]}});
                for (old, new) in [(&bare, object), (object, &bare), (&Value::Null, object)] {
                    let masked = mask.changes(object, &changes(old, new, schema));
                    told += &render(&masked);
                    let shown = ObjectDiff::new(old, new, schema, &mask);
                    told += &(shown.dotted() + &shown.unified() + &shown.markdown() + &serde_json::to_string(&shown).unwrap());
                    told += &serde_json::to_string(&masked).unwrap();
                }
                told += &mask.object(object).to_string();
                told += &mask.text(&object.to_string());
            }
            for form in forms(&secret) {
                prop_assert!(!told.contains(&form), "{:?} in\n{}", form, told);
            }
        }
    }
}
