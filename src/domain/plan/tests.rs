use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::domain::approval::{Bind, Consent, Gate, Mode, gate_plan, gate_teardown, gate_unit, what_changed};
use crate::domain::id::{NamespacedName, TargetName, UnitId};
use crate::domain::inventory::{Inventory, PART_OF, applyset_id};
use crate::domain::krm::{Object, Schemas};
use crate::domain::rollout::{Applied, Hold, SyncState};
use crate::domain::time::Timestamp;

fn unit(target: &str) -> UnitId {
    UnitId {
        sync: NamespacedName { namespace: "core".into(), name: "upf".into() },
        target: TargetName::new(target).unwrap(),
    }
}

fn config_map(name: &str, data: &Value) -> Object {
    Object::new(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "core"}, "data": data}),
    )
    .unwrap()
}

fn deployment(replicas: i64) -> Object {
    let template =
        json!({"metadata": {"labels": {"app": "upf"}}, "spec": {"containers": [{"name": "a", "image": "a:1"}]}});
    Object::new(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "upf", "namespace": "core"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "upf"}}, "template": template}}))
    .unwrap()
}

fn rendered(objects: &[Object]) -> Vec<DeclaredObject> {
    objects.iter().map(|object| DeclaredObject { object: object.clone(), origin: "f.yaml:1".into() }).collect()
}

fn declared(target: &str, objects: &[Object]) -> Declared {
    declare(unit(target), 0, &rendered(objects))
}

/// What a server would hold after the unit applied these objects.
fn applied(target: &str, objects: &[Object]) -> Observed {
    let schemas = &Schemas::builtin();
    let live: Vec<Object> = declared(target, objects)
        .objects
        .iter()
        .map(|wanted| {
            let predicted = crate::domain::krm::predict(None, wanted.object.value(), "loggia", schemas).unwrap();
            let mut object = Object::new(predicted.object).unwrap();
            object.value_mut()["metadata"]["uid"] = json!("u");
            object
        })
        .collect();
    let inventory = Inventory::of(&live);
    Observed::whole(live, inventory, Timestamp::UNIX_EPOCH)
}

fn planned(declared: &Declared, observed: &Observed) -> UnitPlan {
    plan_unit(declared, observed, &Schemas::builtin(), &PlanPolicy::default())
}

fn told(plan: &UnitPlan) -> Vec<String> {
    plan.steps().map(|step| format!("{} {}", step.symbol(), step.object)).collect()
}

fn nothing() -> Observed {
    applied("edge-1", &[])
}

#[test]
fn what_is_missing_is_created_what_is_there_is_kept_what_left_is_deleted_last() {
    let (a, b) = (config_map("a", &json!({"k": "1"})), config_map("b", &json!({"k": "1"})));
    let fresh = planned(&declared("edge-1", &[deployment(2), a.clone()]), &nothing());
    assert_eq!(told(&fresh), ["+ ConfigMap/core/a", "+ Deployment.apps/core/upf"]);
    let settled = planned(&declared("edge-1", std::slice::from_ref(&a)), &applied("edge-1", std::slice::from_ref(&a)));
    assert!(settled.is_empty(), "{:?}", told(&settled));
    let moved = planned(&declared("edge-1", &[deployment(2)]), &applied("edge-1", &[a, b, deployment(2)]));
    assert_eq!(told(&moved), ["= Deployment.apps/core/upf", "- ConfigMap/core/b", "- ConfigMap/core/a"]);
    assert!(matches!(moved.guards[..], [Guard::PruneLimit { deletes: 2, owned: 3, .. }]), "{:?}", moved.guards);
}

#[test]
fn where_nothing_changes_there_is_no_diff_to_show() {
    let plan = planned(&declared("edge-1", &[deployment(2)]), &applied("edge-1", &[deployment(2)]));
    let text = markdown(&Plan::new(plan.declared.clone(), vec![plan]));
    assert!(text.contains("1 unchanged") && !text.contains("```"), "{text}");
}

#[test]
fn a_change_names_its_field_and_both_values() {
    let plan = planned(&declared("edge-1", &[deployment(3)]), &applied("edge-1", &[deployment(2)]));
    let text = text(&Plan::new(plan.declared.clone(), vec![plan]));
    assert!(text.contains("~ .spec.replicas: 2 -> 3") && text.contains("(f.yaml:1)"), "{text}");
    assert!(text.contains("0 to create, 1 to change, 0 to delete, 0 unchanged"), "{text}");
}

#[test]
fn an_empty_render_never_prunes_but_a_teardown_does() {
    let observed = applied("edge-1", &[config_map("a", &json!({}))]);
    let empty = planned(&declared("edge-1", &[]), &observed);
    assert!(!empty.steps().any(Step::writes), "{:?}", told(&empty));
    assert!(matches!(empty.guards[..], [Guard::EmptySet { owned: 1 }]), "{:?}", empty.guards);
    let teardown = Declared { teardown: true, ..declared("edge-1", &[]) };
    assert_eq!(told(&planned(&teardown, &observed)), ["- ConfigMap/core/a"]);
    assert!(planned(&teardown, &observed).guards.is_empty());
}

#[test]
fn an_object_that_needs_a_namespace_stops_before_approval() {
    let mut object = deployment(2).into_value();
    object["metadata"].as_object_mut().unwrap().remove("namespace");
    let object = Object::new(object).unwrap();
    let observed = Observed { without_namespace: BTreeSet::from([object.id()]), ..nothing() };
    let plan = planned(&declared("edge-1", &[object]), &observed);
    assert!(matches!(plan.guards[..], [Guard::NoNamespace { .. }]), "{:?}", plan.guards);
    assert!(!plan.guards[0].yields_to_approval());
}

#[test]
fn a_partial_view_never_prunes() {
    let observed = Observed {
        seen: Seen::Partial("no answer".into()),
        ..applied("edge-1", &[config_map("a", &json!({})), deployment(1)])
    };
    let plan = planned(&declared("edge-1", &[deployment(1)]), &observed);
    assert!(!plan.steps().any(Step::writes), "{:?}", told(&plan));
    assert!(matches!(plan.guards[..], [Guard::PartialView { .. }]));
}

#[test]
fn what_belongs_to_others_is_left_alone() {
    let a = config_map("a", &json!({"k": "1"}));
    let mut foreign = applied("edge-1", std::slice::from_ref(&a));
    for object in foreign.objects.values_mut() {
        object.set_label(PART_OF, &applyset_id(&unit("edge-9")));
    }
    let wanted = planned(&declared("edge-1", std::slice::from_ref(&a)), &foreign);
    assert_eq!(told(&wanted), ["! ConfigMap/core/a"]);
    assert!(matches!(wanted.guards[..], [Guard::ForeignOwner { .. }]));
    let unwanted = planned(&declared("edge-1", &[deployment(1)]), &foreign);
    assert_eq!(told(&unwanted), ["+ Deployment.apps/core/upf", "! ConfigMap/core/a"]);
    let mut kept = applied("edge-1", &[a]);
    for object in kept.objects.values_mut() {
        object.set_annotation("loggia.dev/prune", "disabled");
    }
    assert_eq!(
        told(&planned(&declared("edge-1", &[deployment(1)]), &kept)),
        ["+ Deployment.apps/core/upf", "! ConfigMap/core/a"]
    );
}

#[test]
fn secrets_never_show() {
    let secret = |value: &str| {
        Object::new(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "core"},
            "stringData": {"password": value}}))
        .unwrap()
    };
    let plan = planned(&declared("edge-1", &[secret("new-canary-1")]), &applied("edge-1", &[secret("old-canary-2")]));
    let whole = Plan::new(plan.declared.clone(), vec![plan]);
    let everything = format!("{} {} {}", text(&whole), markdown(&whole), serde_json::to_string(&whole).unwrap());
    assert!(everything.contains(".data"), "{everything}");
    for canary in ["canary", "bmV3LWNhbmFyeS0x", "b2xkLWNhbmFyeS0y"] {
        assert!(!everything.contains(canary), "{canary} shows: {everything}");
    }
}

/// A Secret with a value, and others that carry it: as it is, within an address, encoded, and a line of it.
fn leaking(secret: &str) -> Vec<Object> {
    let encoded = crate::domain::krm::base64::encode(secret.as_bytes());
    let line = secret.lines().last().unwrap();
    let metadata = json!({"name": "s", "namespace": "core"});
    let kept = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"pw": secret}});
    let data = json!({"url": format!("postgres://u:{line}@db"), "encoded": encoded, "whole": secret});
    vec![Object::new(kept).unwrap(), config_map("c", &data)]
}

#[test]
fn what_a_secret_holds_shows_in_no_other_object() {
    let (old, new) = ("first line\nTOPSECRET1", "first line\nOTHERSECRET2");
    let (declared, observed) = (declared("edge-1", &leaking(new)), applied("edge-1", &leaking(old)));
    let (schemas, answers) = (Schemas::builtin(), BTreeMap::new());
    let unit = planned(&declared, &observed);
    let whole: String = differences(&unit, &declared, &observed, &schemas, "loggia", &answers)
        .iter()
        .map(crate::domain::krm::ObjectDiff::unified)
        .collect();
    let refused = |reason: &str| Answer::Refused(format!("admission said {reason}"));
    let answers: BTreeMap<_, _> = declared.objects.iter().map(|wanted| (wanted.object.id(), refused(new))).collect();
    let confirmed = confirm(unit.clone(), &declared, &observed, &schemas, "loggia", &answers);
    for plan in [unit, confirmed] {
        let plan = Plan::new(plan.declared.clone(), vec![plan]);
        assert_eq!(plan.summary.change, 2, "{}", text(&plan));
        for shown in [text(&plan), markdown(&plan), serde_json::to_string(&plan).unwrap(), whole.clone()] {
            for secret in ["TOPSECRET1", "OTHERSECRET2"] {
                let encoded = crate::domain::krm::base64::encode(format!("first line\n{secret}").as_bytes());
                assert!(!shown.contains(secret) && !shown.contains(&encoded), "{shown}");
            }
        }
    }
}

#[test]
fn a_number_in_the_place_of_a_secret_shows_in_no_guard() {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "core"},
        "stringData": {"pin": 918_273_645}, "data": {"list": ["HUSH-HUSH"]}});
    let declared = declared("edge-1", &[Object::new(secret).unwrap()]);
    let plan = planned(&declared, &nothing());
    let reason = "expected string, got &value{918273645} and HUSH-HUSH".to_owned();
    let answers = BTreeMap::from([(declared.objects[0].object.id(), Answer::Refused(reason))]);
    let confirmed = confirm(plan.clone(), &declared, &nothing(), &Schemas::builtin(), "loggia", &answers);
    assert!(confirmed.guards.len() > plan.guards.len() && !plan.guards.is_empty());
    let told = format!("{:?}", confirmed.guards);
    assert!(!told.contains("918273645") && !told.contains("HUSH"), "{told}");
}

fn plan_of(objects: &[Object], observed: &[Object]) -> Plan {
    let units = ["edge-1", "edge-2"].map(|target| planned(&declared(target, objects), &applied(target, observed)));
    Plan::new(declared_digest(&rendered(objects)), units.to_vec())
}

#[test]
fn the_id_follows_what_will_be_done_and_nothing_else() {
    let plan = plan_of(&[deployment(3)], &[deployment(2)]);
    assert_eq!(plan, serde_json::from_value(serde_json::to_value(&plan).unwrap()).unwrap(), "it survives storage");
    let mut noisy = applied("edge-1", &[deployment(2)]);
    for object in noisy.objects.values_mut() {
        object.value_mut()["status"] = json!({"replicas": 1});
        object.value_mut()["metadata"]["resourceVersion"] = json!("99");
    }
    let again = planned(&declared("edge-1", &[deployment(3)]), &noisy);
    assert_eq!(Plan::new(plan.declared.clone(), vec![again, plan.units[1].clone()]).id, plan.id);
    assert_ne!(plan_of(&[deployment(3)], &[deployment(1)]).id, plan.id, "another value is replaced");
    assert_ne!(plan_of(&[deployment(4)], &[deployment(2)]).id, plan.id);
}

#[test]
fn equal_targets_are_told_once() {
    let text = text(&plan_of(&[deployment(3)], &[deployment(2)]));
    assert!(text.contains("edge-1 (wave 1), edge-2 (wave 1): the same on both"), "{text}");
    assert_eq!(text.matches(".spec.replicas").count(), 1, "{text}");
}

#[test]
fn an_approval_holds_for_its_plan_only() {
    let plan = plan_of(&[deployment(3)], &[deployment(2)]);
    let consent = Consent { plan: plan.clone() };
    assert_eq!(gate_plan(plan.clone(), None, Mode::Required, Bind::Plan), Gate::NeedsApproval);
    assert!(matches!(gate_plan(plan.clone(), Some(&consent), Mode::Required, Bind::Plan), Gate::Open(_)));
    assert!(matches!(gate_plan(plan.clone(), None, Mode::Automatic, Bind::Plan), Gate::Open(_)));
    let other = plan_of(&[deployment(3)], &[deployment(1)]);
    let Gate::Stale(news) = gate_plan(other.clone(), Some(&consent), Mode::Required, Bind::Plan) else {
        panic!("not stale")
    };
    assert!(news.iter().any(|line| line.contains("edge-1") && line.contains("does something else now")), "{news:?}");
    assert!(matches!(gate_plan(other.clone(), Some(&consent), Mode::Required, Bind::Declared), Gate::Open(_)));
    assert!(what_changed(&plan, &plan).is_empty());
    let walled =
        Plan::new(plan.declared.clone(), vec![planned(&declared("edge-1", &[]), &applied("edge-1", &[deployment(1)]))]);
    let consent = Consent { plan: walled.clone() };
    assert!(
        matches!(gate_plan(walled, Some(&consent), Mode::Required, Bind::Plan), Gate::Blocked(_)),
        "no approval opens a wall"
    );
}

#[test]
fn a_target_goes_on_only_with_steps_that_were_shown() {
    let plan = plan_of(&[deployment(3), config_map("a", &json!({}))], &[deployment(2)]);
    let consent = Consent { plan: plan.clone() };
    let digest = plan.declared.clone();
    let state = SyncState::default();
    let now = planned(
        &declared("edge-1", &[deployment(3), config_map("a", &json!({}))]),
        &applied("edge-1", &[deployment(2), config_map("a", &json!({}))]),
    );
    assert!(
        matches!(gate_unit(now, Some(&consent), &state, Mode::Required, Bind::Plan), Gate::Open(_)),
        "a part may be done already"
    );
    let other = planned(
        &declared("edge-1", &[deployment(3), config_map("a", &json!({}))]),
        &applied("edge-1", &[deployment(7)]),
    );
    assert!(matches!(gate_unit(other.clone(), Some(&consent), &state, Mode::Required, Bind::Plan), Gate::Stale(_)));
    assert_eq!(gate_unit(other.clone(), None, &state, Mode::Required, Bind::Plan), Gate::NeedsApproval);

    let mut begun = SyncState::default();
    let current = Applied { revision: 1, declared: digest.clone(), plan: plan.id, at: Timestamp::UNIX_EPOCH };
    begun.unit(&TargetName::new("edge-1").unwrap()).current = Some(current);
    assert!(
        matches!(gate_unit(other.clone(), None, &begun, Mode::Required, Bind::Plan), Gate::Open(_)),
        "drift needs no approval"
    );
    let (reason, by, at) = ("bad".to_owned(), "p".to_owned(), Timestamp::UNIX_EPOCH);
    let hold = Hold { reason, by, at, revision: "v1".to_owned(), reverted: false };
    begun.holds.insert(digest, hold);
    assert!(
        matches!(gate_unit(other, Some(&consent), &begun, Mode::Automatic, Bind::Plan), Gate::Blocked(_)),
        "a hold stops everything"
    );
}

#[test]
fn a_teardown_covers_what_was_agreed_to_and_shrinks() {
    let all = [deployment(1), config_map("a", &json!({}))];
    let down = |observed: &[Object]| {
        planned(&Declared { teardown: true, ..declared("edge-1", &[]) }, &applied("edge-1", observed))
    };
    let agreed = Plan::new(declared_digest(&[]), vec![down(&all)]);
    assert!(matches!(gate_teardown(down(&all[..1]), &agreed), Gate::Open(_)));
    assert!(matches!(gate_teardown(down(&[config_map("b", &json!({}))]), &agreed), Gate::Stale(_)));
}

#[test]
fn what_a_rollback_cannot_restore_is_said() {
    let claim = Object::new(
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "d", "namespace": "core"}}),
    )
    .unwrap();
    let plan = planned(&declared("edge-1", &[deployment(1)]), &applied("edge-1", &[deployment(1), claim]));
    assert!(plan.guards.iter().any(|guard| matches!(guard, Guard::DestroysData { .. })), "{:?}", plan.guards);
    let lines = irreversible(&Plan::new(plan.declared.clone(), vec![plan]));
    assert_eq!(lines, ["PersistentVolumeClaim/core/d: its data is gone once it is deleted"]);
}

#[test]
fn rules_of_a_crd_are_guards() {
    let rules = json!([
        {"rule": "self.min <= self.max", "messageExpression": "'min is above ' + self.name"},
        {"rule": "self.name == oldSelf.name", "message": "the name stays"}]);
    let spec = json!({"type": "object", "x-kubernetes-validations": rules, "properties": {
        "min": {"type": "integer"}, "max": {"type": "integer", "default": 3}, "name": {"type": "string", "maxLength": 9}}});
    let crd = json!({"metadata": {"name": "ranges.a.io"}, "spec": {"group": "a.io", "names": {"kind": "Range", "plural": "ranges"},
        "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}}]}});
    let schemas = Schemas::builtin().with_crd(&crd).unwrap();
    let range = |min: i64, name: &str| {
        Object::new(json!({"apiVersion": "a.io/v1", "kind": "Range", "metadata": {"name": "r", "namespace": "core"},
            "spec": {"min": min, "name": name}}))
        .unwrap()
    };
    let guards = |observed: &Observed, object: Object| {
        let plan = plan_unit(&declared("edge-1", &[object]), observed, &schemas, &PlanPolicy::default());
        plan.guards.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let nothing = applied("edge-1", &[]);
    assert!(guards(&nothing, range(3, "a")).is_empty(), "the default counts");
    let found = guards(&nothing, range(4, "a"));
    assert!(found.len() == 1 && found[0].contains("spec: Invalid value: min is above a"), "{found:?}");
    let live = applied("edge-1", &[range(3, "a")]);
    let found = guards(&live, range(3, "b"));
    assert!(found.len() == 1 && found[0].contains("spec: Invalid value: the name stays"), "{found:?}");
}

#[test]
fn names_and_scales_that_the_server_refuses_are_guards_in_its_words() {
    let told = |object: Value, live: bool| -> Vec<String> {
        let object = Object::new(object).unwrap();
        let mut observed = nothing();
        if live {
            observed.objects.insert(object.id(), object.clone());
        }
        let policy = PlanPolicy { take_back: true, ..PlanPolicy::default() };
        let plan = plan_unit(&declared("edge-1", &[object]), &observed, &Schemas::builtin(), &policy);
        plan.guards.iter().map(ToString::to_string).collect()
    };
    let service = |name: &str| {
        let metadata = json!({"name": name, "namespace": "core"});
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 80}]}})
    };
    let config =
        |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "core"}});
    assert!(told(service("9a"), false).is_empty());
    assert!(told(config("a.b"), false).is_empty());
    let found = told(service("a.b"), false);
    assert!(
        found.len() == 1 && found[0].contains(r#"metadata.name: Invalid value: "a.b": must not contain dots"#),
        "{found:?}"
    );
    let found = told(config("Upper"), false);
    assert!(found.len() == 1 && found[0].contains("a lowercase RFC 1123 subdomain must consist of"), "{found:?}");
    assert!(!told(service("a.b"), true).iter().any(|guard| guard.contains("must not contain dots")), "it is there");
    let schema = json!({"openAPIV3Schema": {"type": "object"}});
    let scale = json!({"specReplicasPath": ".size", "statusReplicasPath": ".status.size"});
    let version =
        json!({"name": "v1", "served": true, "storage": true, "schema": schema, "subresources": {"scale": scale}});
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "cells.a.io"}, "spec": {"group": "a.io", "scope": "Namespaced",
        "names": {"kind": "Cell", "plural": "cells"}, "versions": [version]}});
    let found = told(crd, false);
    let expected = r#"specReplicasPath: Invalid value: ".size": should be a json path under .spec"#;
    assert!(found.iter().any(|guard| guard.contains(expected)), "{found:?}");
}

/// The plan of one object beside what is there, under the schema of a kind `Cell`.
fn plan_of_cell(spec: &Value, live: Option<Value>, schema: &Value) -> UnitPlan {
    let crd = json!({"metadata": {"name": "cells.a.io"}, "spec": {"group": "a.io", "names": {"kind": "Cell", "plural": "cells"},
        "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": schema}}}}]}});
    let schemas = Schemas::builtin().with_crd(&crd).unwrap();
    let cell = |spec: &Value| {
        let metadata = json!({"name": "c", "namespace": "core"});
        Object::new(json!({"apiVersion": "a.io/v1", "kind": "Cell", "metadata": metadata, "spec": spec})).unwrap()
    };
    let mut observed = nothing();
    if let Some(live) = live.map(|spec| cell(&spec)) {
        observed.objects.insert(live.id(), live);
    }
    let policy = PlanPolicy { take_back: true, ..PlanPolicy::default() };
    plan_unit(&declared("edge-1", &[cell(spec)]), &observed, &schemas, &policy)
}

/// The guards in it.
fn guards_of_cell(spec: &Value, live: Option<Value>, schema: &Value) -> Vec<String> {
    let plan = plan_of_cell(spec, live, schema);
    let reason = |guard: &Guard| match guard {
        Guard::Refused { reason, .. } => reason.clone(),
        other => other.to_string(),
    };
    plan.guards.iter().map(reason).collect()
}

#[test]
fn what_is_not_there_yet_need_not_be_deleted() {
    let schema = json!({"type": "object", "properties": {"size": {"type": "integer", "maximum": 5}}});
    for (live, advice) in [(None, false), (Some(json!({"size": 1})), true)] {
        let plan = plan_of_cell(&json!({"size": 6}), live, &schema);
        let plan = Plan::new(plan.declared.clone(), vec![plan]);
        for shown in [text(&plan), markdown(&plan)] {
            assert!(shown.contains("change what is named"), "{shown}");
            assert_eq!(shown.contains("or delete the object so that it is created anew"), advice, "{shown}");
        }
    }
}

#[test]
fn what_the_schema_of_a_crd_refuses_is_a_guard_in_the_words_of_the_server() {
    let schema = json!({"type": "object", "required": ["size"], "properties": {
        "size": {"type": "integer", "maximum": 5}, "name": {"type": "string", "pattern": "^[a-z]+$"},
        "hosts": {"type": "array", "maxItems": 2, "x-kubernetes-list-type": "set", "items": {"type": "string", "maxLength": 3}},
        "at": {"type": "string", "format": "date"}}});
    let told = |spec: &Value, live: Option<Value>| guards_of_cell(spec, live, &schema);
    assert!(told(&json!({"size": 5, "name": "a", "hosts": ["a"], "at": "2026-01-31"}), None).is_empty());
    let faulty = json!({"size": 6, "name": "A", "hosts": ["a", "b", "long"], "at": "soon"});
    let expected = [
        r#"spec.at: Invalid value: "soon": spec.at in body must be of type date: "soon""#,
        "spec.hosts[2]: Too long: may not be more than 3 bytes",
        "spec.hosts: Too many: 3: must have at most 2 items",
        r#"spec.name: Invalid value: "A": spec.name in body should match '^[a-z]+$'"#,
        "spec.size: Invalid value: 6: spec.size in body should be less than or equal to 5",
    ];
    assert_eq!(told(&faulty, None), expected);
    assert_eq!(told(&json!({"name": "a"}), None), ["spec.size: Required value"]);
    // What was wrong before and stays as it is passes, and so does all of an object that is not written.
    let mut next = faulty.clone();
    next["at"] = json!("2026-01-31");
    assert!(told(&next, Some(faulty.clone())).is_empty());
    next["size"] = json!(7);
    assert_eq!(told(&next, Some(faulty.clone())).len(), 1);
    assert!(told(&faulty, Some(faulty.clone())).is_empty());
}

#[test]
fn what_cannot_be_read_hides_what_would_come_of_it() {
    let schema = json!({"type": "object", "properties": {"size": {"type": "integer"}, "name": {"type": "string", "maxLength": 1}}});
    let told = guards_of_cell(&json!({"size": "1", "name": "long"}), None, &schema);
    assert_eq!(told, [r#".spec.size: expected numeric (int or float), got "1""#]);
    let told = guards_of_cell(&json!({"other": 1, "name": "long"}), None, &schema);
    let unknown = "Cell.a.io/core/c has no field .spec.other in its schema";
    assert_eq!(told, [unknown, "spec.name: Too long: may not be more than 1 byte"]);
}

#[test]
fn scalars_of_built_in_kinds_are_read_as_the_server_reads_them() {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "core"},
        "data": {"a": "%hush", "b": "YQ=="}});
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "d", "namespace": "core"},
        "spec": {"resources": {"requests": {"storage": "1 Gib"}}}});
    let objects = [secret, claim].map(|object| Object::new(object).unwrap());
    let plan = planned(&declared("edge-1", &objects), &nothing());
    let told: Vec<String> = plan.guards.iter().map(ToString::to_string).collect();
    let formed = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    let expected = [
        "the target would refuse Secret/core/s: .data.a: illegal base64 data at input byte 0".to_owned(),
        format!("the target would refuse PersistentVolumeClaim/core/d: .spec.resources.requests.storage: {formed}"),
    ];
    assert_eq!(told, expected);
}
