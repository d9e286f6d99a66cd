//! Tables against what a real API server (v1.36.3) answered for the same objects.

use serde_json::{Value, json};

use super::*;
use crate::apiserver::kinds::Kinds;
use crate::domain::krm::Gvk;

/// One line per kind: columns, objects, rows and the instant of the answer, recorded from kube-apiserver v1.36.3.
const RECORDED: &str = include_str!("recorded.json");

fn recorded() -> Vec<Value> {
    serde_json::from_str(RECORDED).unwrap()
}

fn columns_of(kind: &Value, all: &[Value]) -> Columns {
    let crds = all.iter().find(|k| k["kind"] == "CustomResourceDefinition").unwrap();
    let mut known = Kinds::builtin();
    crds["objects"].as_array().unwrap().iter().for_each(|crd| known.add_crd(crd).unwrap());
    let gvk = Gvk::parse(kind["apiVersion"].as_str().unwrap(), kind["kind"].as_str().unwrap());
    Columns::of(known.by_gvk(&gvk).unwrap())
}

fn config_map() -> Columns {
    Columns::of(Kinds::builtin().by_gvk(&Gvk::new("", "v1", "ConfigMap")).unwrap())
}

fn made(kind: &Value, columns: &Columns, offset: i64) -> Value {
    let now: Timestamp = kind["now"].as_str().unwrap().parse().unwrap();
    let now = now.checked_add(jiff::SignedDuration::from_secs(offset)).unwrap();
    let objects = kind["objects"].as_array().unwrap();
    table(columns, objects, &json!({}), Header::Shown, Include::Nothing, now)
}

/// Descriptions are our own words; everything else is compared.
fn without_descriptions(definitions: &Value) -> Vec<Value> {
    let plain = |column: &Value| {
        let mut column = column.clone();
        column.as_object_mut().unwrap().remove("description");
        column
    };
    definitions.as_array().unwrap().iter().map(plain).collect()
}

#[test]
fn columns_are_those_of_the_real_server() {
    let all = recorded();
    for kind in &all {
        let table = made(kind, &columns_of(kind, &all), 0);
        let expected = kind["columns"].as_array().unwrap();
        assert_eq!(&without_descriptions(&table["columnDefinitions"]), expected, "{}", kind["kind"]);
    }
}

#[test]
fn cells_are_those_of_the_real_server() {
    let all = recorded();
    assert!(all.len() > 25);
    for kind in &all {
        let columns = columns_of(kind, &all);
        // The answer took a moment: an age may be a second older than the instant before the request.
        let (early, late) = (made(kind, &columns, 0), made(kind, &columns, 1));
        for (index, row) in kind["rows"].as_array().unwrap().iter().enumerate() {
            let (early, late) = (&early["rows"][index], &late["rows"][index]);
            for (column, cell) in row["cells"].as_array().unwrap().iter().enumerate() {
                let (a, b) = (&early["cells"][column], &late["cells"][column]);
                assert!(a == cell || b == cell, "{} {row}: column {column}: {a} or {b}, not {cell}", kind["kind"]);
            }
            assert_eq!(early["conditions"], row["conditions"], "{row}");
        }
    }
}

#[test]
fn rows_carry_what_was_asked_for() {
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}});
    let columns = config_map();
    let row = |include| {
        let metadata = json!({"resourceVersion": "7"});
        table(&columns, [&object], &metadata, Header::Omitted, include, Timestamp::UNIX_EPOCH)
    };
    assert_eq!(row(Include::Nothing)["rows"][0], json!({"cells": ["a", 1, "<unknown>"]}));
    assert_eq!(row(Include::Metadata)["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(row(Include::Metadata)["rows"][0]["object"]["metadata"], object["metadata"]);
    assert_eq!(row(Include::Object)["rows"][0]["object"], object);
    assert_eq!(row(Include::Object)["columnDefinitions"], Value::Null);
    assert_eq!(row(Include::Object)["metadata"]["resourceVersion"], "7");
}

#[test]
fn include_object_is_read_as_the_parameter_spells_it() {
    let words = [None, Some(""), Some("Metadata"), Some("None"), Some("Object"), Some("object")];
    let read: Vec<_> = words.into_iter().map(Include::parse).collect();
    let metadata = Some(Include::Metadata);
    assert_eq!(read, [metadata, metadata, metadata, Some(Include::Nothing), Some(Include::Object), None]);
}

#[test]
fn a_custom_kind_without_columns_has_name_and_age() {
    let now: Timestamp = "2026-11-21T06:00:30Z".parse().unwrap();
    let object = json!({"metadata": {"name": "x", "creationTimestamp": "2026-11-21T06:00:00Z"}});
    let table = table(
        &Columns(Source::Custom(custom::columns(&[]))),
        [object],
        &json!({}),
        Header::Shown,
        Include::Nothing,
        now,
    );
    assert_eq!(table["rows"][0]["cells"], json!(["x", "30s"]));
    assert_eq!(table["columnDefinitions"][1]["type"], "date");
}

#[test]
fn init_containers_tell_how_far_they_are() {
    let pod = |status: Value| {
        let spec = json!({"containers": [{"name": "a"}], "initContainers": [{"name": "i"}, {"name": "j"}]});
        json!({"metadata": {"name": "p"}, "spec": spec, "status": {"phase": "Pending", "initContainerStatuses": [status]}})
    };
    for (state, shown) in [
        (json!({"waiting": {"reason": "PodInitializing"}}), "Init:0/2"),
        (json!({"waiting": {"reason": "ImagePullBackOff"}}), "Init:ImagePullBackOff"),
        (json!({"terminated": {"exitCode": 2}}), "Init:ExitCode:2"),
        (json!({"terminated": {"exitCode": 2, "signal": 9}}), "Init:Signal:9"),
        (json!({"terminated": {"exitCode": 2, "reason": "Error"}}), "Init:Error"),
        (json!({"running": {}}), "Init:0/2"),
        (json!({"terminated": {"exitCode": 0}}), "Pending"),
    ] {
        let object = pod(json!({"name": "i", "state": state}));
        assert_eq!(pod::status(&object, Timestamp::UNIX_EPOCH), shown, "{state}");
    }
}

/// Two containers of a running pod, each Completed, Error, eXit 3, exit Zero, Waiting, Pod initializing or Running, and
/// the status that kube-apiserver v1.36.3 printed.
const PAIRS: &str = "
    cc Completed        ce Error            cp Completed        cr NotReady         cw Completed        cx ExitCode:3       cz Completed
    ec Error            ee Error            ep Error            er Error            ew Error            ex Error            ez Error
    pc PodInitializing  pe PodInitializing  pp PodInitializing  pr PodInitializing  pw PodInitializing  px PodInitializing  pz PodInitializing
    rc NotReady         re Error            rp PodInitializing  rr Running          rw CrashLoopBackOff rx ExitCode:3       rz ExitCode:0
    wc CrashLoopBackOff we CrashLoopBackOff wp CrashLoopBackOff wr CrashLoopBackOff ww CrashLoopBackOff wx CrashLoopBackOff wz CrashLoopBackOff
    xc ExitCode:3       xe ExitCode:3       xp ExitCode:3       xr ExitCode:3       xw ExitCode:3       xx ExitCode:3       xz ExitCode:3
    zc ExitCode:0       ze ExitCode:0       zp ExitCode:0       zr ExitCode:0       zw ExitCode:0       zx ExitCode:0       zz ExitCode:0";

#[test]
fn two_containers_speak_in_the_recorded_order() {
    let state = |letter: char| match letter {
        'c' => json!({"terminated": {"exitCode": 0, "reason": "Completed"}}),
        'e' => json!({"terminated": {"exitCode": 1, "reason": "Error"}}),
        'x' => json!({"terminated": {"exitCode": 3}}),
        'z' => json!({"terminated": {"exitCode": 0}}),
        'w' => json!({"waiting": {"reason": "CrashLoopBackOff"}}),
        'p' => json!({"waiting": {"reason": "PodInitializing"}}),
        _ => json!({"running": {}}),
    };
    let words: Vec<&str> = PAIRS.split_whitespace().collect();
    assert_eq!(words.len(), 98);
    for pair in words.chunks(2) {
        let statuses: Vec<Value> = pair[0].chars().map(|c| json!({"state": state(c), "ready": c == 'r'})).collect();
        let object = json!({"status": {"phase": "Running", "containerStatuses": statuses}});
        assert_eq!(pod::status(&object, Timestamp::UNIX_EPOCH), pair[1], "{}", pair[0]);
    }
}
