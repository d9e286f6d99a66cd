//! No input panics: YAML, field sets, schemas, patches, configurations, live objects, made of random pieces and of
//! files that were damaged. `LOGGIA_FUZZ_SECONDS=3600 cargo test --test krm_fuzz` goes on for an hour with seeds of its
//! own; without it a few hundred fixed seeds run. A finding names its seed, and `LOGGIA_SEED=N` runs that one alone.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test stops at the first surprise")]

#[path = "support/dice.rs"]
mod dice;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use dice::Dice;
use loggia::domain::krm::document::{Limits, YamlFile, to_yaml};
use loggia::domain::krm::normal::is_settled;
use loggia::domain::krm::patch::{JsonPatch, merge, strategic};
use loggia::domain::krm::schema::distil;
use loggia::domain::krm::{
    ApplyOptions, FieldSet, Gvk, Mask, PathElement, Quantity, Schemas, apply, changes, predict, render, update,
    validate,
};
use loggia::domain::time::Timestamp;
use serde_json::{Map, Value, json};

/// Runs a case for many seeds, each by itself, and names the seed of the first that panics.
fn fuzz(name: &str, cases: u64, case: impl Fn(&mut Dice)) {
    let one = |seed: u64| {
        let outcome = catch_unwind(AssertUnwindSafe(|| case(&mut Dice::new(seed))));
        assert!(outcome.is_ok(), "{name}: seed {seed} panics");
    };
    if let Ok(seed) = std::env::var("LOGGIA_SEED") {
        return one(seed.parse().unwrap());
    }
    let Ok(seconds) = std::env::var("LOGGIA_FUZZ_SECONDS") else { return (0..cases).for_each(one) };
    let (began, patience) = (Instant::now(), Duration::from_secs(seconds.parse().unwrap()));
    let first = u64::from(std::process::id()) << 32;
    let mut seed = first;
    while began.elapsed() < patience {
        one(seed);
        seed += 1;
    }
    println!("{name}: {} cases, no finding", seed - first);
}

const WORDS: [&str; 40] = [
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "name",
    "v1",
    "example.com/v1",
    "Thing",
    "Secret",
    "Deployment",
    "apps/v1",
    "containers",
    "template",
    "ports",
    "containerPort",
    "protocol",
    "TCP",
    "labels",
    "annotations",
    "managedFields",
    "data",
    "stringData",
    "",
    "f:spec",
    "k:{\"name\":\"a\"}",
    "v:1",
    "i:0",
    ".",
    "1Gi",
    "100m",
    "properties",
    "type",
    "object",
    "array",
    "items",
    "x-kubernetes-list-type",
    "map",
    "x-kubernetes-list-map-keys",
    "default",
    "kubectl.kubernetes.io/last-applied-configuration",
];

fn word(dice: &mut Dice) -> String {
    (*dice.pick(&WORDS)).to_owned()
}

fn value(dice: &mut Dice, depth: usize) -> Value {
    match dice.below(if depth > 5 { 6 } else { 9 }) {
        0 => Value::Null,
        1 => json!(dice.below(2) == 0),
        2 => json!(dice.pick(&[0, 1, -1, i64::MAX, i64::MIN, 80])),
        3 => json!(dice.pick(&[0.5, 1e300, -0.0])),
        4 | 5 => Value::from(word(dice)),
        6 => (0..dice.below(4)).map(|_| value(dice, depth + 1)).collect(),
        _ => Value::Object((0..dice.below(5)).map(|_| (word(dice), value(dice, depth + 1))).collect()),
    }
}

/// A value with some of its places exchanged for others.
fn damaged(dice: &mut Dice, whole: &Value, depth: usize) -> Value {
    if dice.percent(4) {
        return value(dice, depth);
    }
    match whole {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(|item| damaged(dice, item, depth + 1)).collect();
            if dice.percent(10) && !items.is_empty() {
                items.push(dice.pick(&items).clone());
            }
            Value::Array(items)
        }
        Value::Object(map) => {
            let mut fields = Map::new();
            for (name, field) in map {
                let name = if dice.percent(3) { word(dice) } else { name.clone() };
                if !dice.percent(3) {
                    fields.insert(name, damaged(dice, field, depth + 1));
                }
            }
            Value::Object(fields)
        }
        other => other.clone(),
    }
}

fn thing_crd() -> Value {
    serde_json::from_str(include_str!("../src/domain/krm/testdata/thing_crd.json")).unwrap()
}

fn thing() -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t", "labels": {"a": "b"}}, "spec": {
        "tags": ["a", "b"], "ports": [{"port": 80}, {"port": 80, "protocol": "UDP"}], "free": {"a": [1]}, "limit": "10%",
        "groups": {"one": {"size": 1}}, "selector": {"a": "b"}}})
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"replicas": 1,
        "selector": {"matchLabels": {"app": "d"}}, "template": {"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [
            {"name": "main", "image": "a:1", "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "1"}],
            "resources": {"limits": {"cpu": "1000m"}}}]}}}})
}

fn secret() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "annotations": {"a": "hunter22"}},
        "data": {"a": "aHVudGVyMjI="}, "stringData": {"b": "line one\nline two"}})
}

fn object(dice: &mut Dice) -> Value {
    let whole = match dice.below(4) {
        0 => thing(),
        1 => deployment(),
        2 => secret(),
        _ => return value(dice, 0),
    };
    damaged(dice, &whole, 0)
}

fn options(manager: &str) -> ApplyOptions<'_> {
    ApplyOptions { manager, force: true, subresource: "", now: Timestamp::UNIX_EPOCH, reset: &[], blank: None }
}

/// A live object that some managers wrote, and whose records may be damaged.
fn live(dice: &mut Dice, schemas: &Schemas) -> Value {
    let mut live = object(dice);
    for manager in ["one", "two"] {
        let config = object(dice);
        let (schema, _) = schemas.lookup(&kind_of(&config));
        if let Ok(applied) = apply(Some(&live), &config, &options(manager), schema) {
            live = applied;
        }
    }
    if dice.percent(30) { damaged(dice, &live, 0) } else { live }
}

fn kind_of(object: &Value) -> Gvk {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    Gvk::parse(text("apiVersion"), text("kind"))
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().any(has_null),
        Value::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}

fn text(dice: &mut Dice) -> Vec<u8> {
    const PIECES: [&str; 34] = [
        "a",
        "b: ",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        ": ",
        "|",
        ">-",
        "|+",
        "\"",
        "'",
        "{",
        "}",
        "[",
        "]",
        ", ",
        "&x ",
        "*x",
        "<<: ",
        "#",
        " # c",
        "---\n",
        "...\n",
        "!!str ",
        "!t ",
        "? ",
        "%YAML 1.1\n",
        "\t",
        "é",
        "\u{feff}",
        "\r\n",
        "0x1F",
        "\\ud83d",
    ];
    let mut bytes: Vec<u8> = match dice.below(3) {
        0 => (0..dice.below(60)).flat_map(|_| dice.pick(&PIECES).bytes().collect::<Vec<_>>()).collect(),
        1 => to_yaml(&object(dice)).into_bytes(),
        _ => include_bytes!("../examples-repo/blueprints/upf/deployment.yaml").to_vec(),
    };
    for _ in 0..dice.below(8) {
        let place = dice.below(bytes.len() + 1);
        match dice.below(4) {
            0 => bytes.truncate(place),
            1 => {
                let piece = dice.pick(&PIECES);
                drop(bytes.splice(place..place, piece.bytes()));
            }
            2 if place < bytes.len() => bytes[place] = u8::try_from(dice.below(256)).unwrap(),
            _ => {
                let end = (place + dice.below(20)).min(bytes.len());
                let copy: Vec<u8> = bytes[place..end].to_vec();
                let to = dice.below(bytes.len() + 1);
                drop(bytes.splice(to..to, copy));
            }
        }
    }
    bytes
}

#[test]
fn yaml() {
    fuzz("yaml", 400, |dice| {
        let Ok(mut file) = YamlFile::parse(&text(dice), &Limits::default()) else { return };
        let Ok(values) = file.values() else { return };
        for (document, value) in values.iter().enumerate() {
            let again = YamlFile::parse(to_yaml(value).as_bytes(), &Limits::default()).unwrap();
            assert_eq!(again.values().unwrap().first().unwrap_or(&Value::Null), value);
            let name = word(dice);
            let path = ["spec", name.as_str()];
            let new = object(dice);
            let _ = file.set(document, &path, &new);
            let _ = file.rename(document, &["spec"], &name);
            let _ = file.move_key(document, &["kind"], dice.below(4));
            let _ = file.insert_item(document, &["spec", "items"], dice.below(3), &new);
            let _ = file.move_item(document, &["spec", "template", "spec", "containers"], 0, dice.below(2));
            let _ = file.set_comment(document, &["kind"], "note");
            let _ = file.set_list(document, &["spec", "args"], &[new], "note");
            let _ = file.remove(document, &path);
            let _ = file.remove(document, &["0"]);
            let _ = file.values().unwrap();
        }
        let _ = file.clone().into_pieces();
        let _ = file.remove_document(dice.below(3));
    });
}

#[test]
fn field_sets() {
    fuzz("field sets", 2000, |dice| {
        let _ = PathElement::parse(&word(dice));
        let _ = word(dice).parse::<Quantity>();
        let (Ok(a), Ok(b)) = (FieldSet::from_fields_v1(&value(dice, 0)), FieldSet::from_fields_v1(&value(dice, 0)))
        else {
            return;
        };
        let again = FieldSet::from_fields_v1(&a.to_fields_v1()).unwrap();
        assert_eq!(again, a);
        assert_eq!(a.union(&b).difference(&b).intersection(&b), FieldSet::new());
        let _ = (a.recursive_difference(&b), a.leaves(), a.paths(), a.len());
    });
}

#[test]
fn schemas() {
    fuzz("schemas", 300, |dice| {
        let mut schemas = Schemas::builtin();
        let crd = if dice.percent(20) { value(dice, 0) } else { damaged(dice, &thing_crd(), 0) };
        let _ = distil(std::slice::from_ref(&crd), "");
        if schemas.add_crd(&crd).is_err() {
            return;
        }
        let mut object = damaged(dice, &thing(), 0);
        let kind = kind_of(&object);
        let (schema, _) = schemas.lookup(&kind);
        let _ = validate(&object, schema);
        let _ = predict(Some(&live(dice, &schemas)), &object, "one", &schemas);
        schemas.fill(&kind, &mut object);
    });
}

#[test]
fn applies_and_updates() {
    let schemas = Schemas::builtin().with_crd(&thing_crd()).unwrap();
    fuzz("applies and updates", 400, |dice| {
        let (live, config) = (live(dice, &schemas), object(dice));
        let (schema, _) = schemas.lookup(&kind_of(&config));
        let _ = validate(&config, schema);
        let _ = update(Some(&live), &config, &options("three"), schema);
        // Without a version no record can be read again; keys of items that are null are refused by validation later.
        let sound = !kind_of(&config).version.is_empty()
            && ![&live, &config].iter().any(|object| has_null(object))
            // A server spells quantities its own way before it stores them.
            && is_settled(&live, schema)
            // What no server holds may have owners of fields that it has not: they lose them by the second apply.
            && (is_settled(&config, schema) || validate(&live, schema).is_empty());
        if let Ok(applied) = apply(Some(&live), &config, &options("three"), schema)
            && sound
            // What nobody owns after one apply belongs to somebody before the next.
            && applied.pointer("/metadata/managedFields").is_some()
        {
            assert_eq!(apply(Some(&applied), &config, &options("three"), schema).unwrap(), applied, "applied twice");
        }
        if let Ok(foretold) = predict(Some(&live), &config, "three", &schemas) {
            let mut mask = Mask::opaque();
            mask.learn(&live);
            mask.learn(&config);
            let _ = render(&mask.changes(&config, &foretold.changes));
            let _ = render(&mask.changes(&config, &changes(&live, &foretold.object, schema)));
            let _ = mask.object(&foretold.object);
        }
    });
}

/// A place in a value as a JSON pointer; sometimes one that is not there.
fn pointer(dice: &mut Dice, whole: &Value) -> String {
    let (mut path, mut here) = (String::new(), Some(whole));
    while let Some(value) = here {
        let step = match value {
            _ if dice.percent(10) => {
                (*dice.pick(&["-", "-1", "9", "", "~1", "~", "spec", "18446744073709551616"])).to_owned()
            }
            Value::Object(fields) if !fields.is_empty() => {
                let names: Vec<&String> = fields.keys().collect();
                (*dice.pick(&names)).clone()
            }
            Value::Array(items) if !items.is_empty() => dice.below(items.len() + 1).to_string(),
            _ => break,
        };
        path = format!("{path}/{}", step.replace('~', "~0").replace('/', "~1"));
        if dice.percent(25) {
            break;
        }
        here = value.pointer(&path[path.rfind('/').unwrap()..]);
    }
    path
}

fn operation(dice: &mut Dice, whole: &Value) -> Value {
    let op = *dice.pick(&["add", "remove", "replace", "move", "copy", "copy", "test", "jump"]);
    let mut operation =
        json!({"op": op, "path": pointer(dice, whole), "from": pointer(dice, whole), "value": value(dice, 3)});
    if dice.percent(5) {
        operation = damaged(dice, &operation, 0);
    }
    operation
}

#[test]
fn json_patches() {
    fuzz("JSON patches", 1000, |dice| {
        let document = object(dice);
        let operations: Value = (0..dice.below(8)).map(|_| operation(dice, &document)).collect();
        let patch = if dice.percent(5) { value(dice, 0) } else { operations };
        let Ok(patch) = JsonPatch::read(patch) else { return };
        if let Ok(after) = patch.apply(&document) {
            let _ = patch.apply(&after);
        }
    });
}

#[test]
fn merge_patches() {
    fuzz("merge patches", 1000, |dice| {
        let (document, patch) = (object(dice), object(dice));
        let after = merge(&document, &patch);
        assert_eq!(merge(&after, &patch), after, "merged twice");
    });
}

/// Puts directives of strategic merge patches into a patch, most of them where they belong.
fn directed(dice: &mut Dice, patch: &mut Value) {
    match patch {
        Value::Array(items) => {
            for item in items.iter_mut() {
                directed(dice, item);
            }
            if dice.percent(8) {
                items.push(json!({"$patch": dice.pick(&["replace", "delete", "merge", ""])}));
            }
        }
        Value::Object(fields) => {
            for field in fields.values_mut() {
                directed(dice, field);
            }
            for (name, value) in fields.clone() {
                if dice.percent(10) && (value.is_array() || dice.percent(10)) {
                    let order = if dice.percent(80) { keys_only(&value) } else { self::value(dice, 4) };
                    fields.insert(format!("$setElementOrder/{name}"), order);
                }
                if dice.percent(4) {
                    fields.insert(format!("$deleteFromPrimitiveList/{name}"), value);
                }
            }
            if dice.percent(4) {
                let kept: Value = fields.keys().cloned().map(Value::from).collect();
                fields.insert("$retainKeys".to_owned(), if dice.percent(80) { kept } else { value(dice, 4) });
            }
            if dice.percent(4) {
                let word = json!(dice.pick(&["replace", "delete", "merge", "melt"]));
                fields.insert("$patch".to_owned(), if dice.percent(90) { word } else { value(dice, 4) });
            }
        }
        _ => {}
    }
}

/// The items of a list with nothing but what may identify them.
fn keys_only(list: &Value) -> Value {
    let key = |item: &Value| match item.as_object() {
        Some(fields) => {
            let keys = fields.iter().filter(|(name, _)| ["name", "containerPort"].contains(&name.as_str()));
            keys.map(|(name, key)| (name.clone(), key.clone())).collect()
        }
        None => item.clone(),
    };
    list.as_array().map_or_else(|| list.clone(), |items| items.iter().map(key).collect())
}

#[test]
fn strategic_merge_patches() {
    let schemas = Schemas::builtin().with_crd(&thing_crd()).unwrap();
    fuzz("strategic merge patches", 1000, |dice| {
        let whole = match dice.below(3) {
            0 => secret(),
            1 => thing(),
            _ => deployment(),
        };
        let node = schemas.lookup(&kind_of(&whole)).0.node();
        let document = damaged(dice, &whole, 0);
        let mut patch = if dice.percent(90) { damaged(dice, &whole, 0) } else { value(dice, 0) };
        directed(dice, &mut patch);
        if let Ok(after) = strategic(&document, &patch, node) {
            let _ = strategic(&after, &patch, node);
            let same = strategic(&document, &json!({}), node).unwrap();
            assert!(same == document || !document.is_object(), "an empty patch");
        }
    });
}
