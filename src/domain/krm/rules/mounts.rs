//! The rules of what containers mount.
//!
//! Source: the answers of the API server; `ValidateVolumeMounts` and `ValidateVolumeDevices` of
//! `pkg/apis/core/validation`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::containers::{Around, given};
use super::kinds::{at, unsupported};
use super::volumes::descending;
use super::{items, text};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata;

const PROPAGATIONS: [&str; 3] = ["Bidirectional", "HostToContainer", "None"];
const READ_ONLY: [&str; 3] = ["Disabled", "Enabled", "IfPossible"];
const BLOCK: &str = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
const UNIQUE: &str = "must be unique";

/// The volumes that a container may mount: those of the pod, and those that a stateful set claims.
pub(super) fn volumes<'a>(object: &'a Value, path: &str) -> BTreeSet<&'a str> {
    let own = items(object, &format!("{path}.volumes")).iter().map(|volume| text(volume, "name"));
    let claimed = items(object, "spec.volumeClaimTemplates").iter().map(|claim| metadata::text(claim, "name"));
    own.chain(claimed).collect()
}

/// The volumes that can be devices: claims.
pub(super) fn blocks<'a>(object: &'a Value, path: &str) -> BTreeSet<&'a str> {
    let is_claim =
        |volume: &&Value| ["persistentVolumeClaim", "ephemeral"].iter().any(|kind| given(volume, kind).is_some());
    let own = items(object, &format!("{path}.volumes")).iter().filter(is_claim).map(|volume| text(volume, "name"));
    let claimed = items(object, "spec.volumeClaimTemplates").iter().map(|claim| metadata::text(claim, "name"));
    own.chain(claimed).collect()
}

fn parts<'a>(container: &'a Value, list: &str, name: &'a str) -> BTreeSet<&'a str> {
    items(container, list).iter().map(|one| text(one, name)).collect()
}

fn lost(name: &str, field: &str) -> Cause {
    Cause { reason: "FieldValueNotFound", message: format!("Not found: {name:?}"), field: field.to_owned() }
}

/// What is wrong with the mounts and devices of a container.
pub(super) fn faults(container: &Value, around: &Around<'_>, path: &str) -> Vec<Cause> {
    mounts(container, &around.volumes, path).into_iter().chain(devices(container, around, path)).collect()
}

fn mounts(container: &Value, volumes: &BTreeSet<&str>, path: &str) -> Vec<Cause> {
    let names = parts(container, "volumeDevices", "name");
    let paths = parts(container, "volumeDevices", "devicePath");
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (index, mount) in items(container, "volumeMounts").iter().enumerate() {
        let at = |field: &str| format!("{path}.volumeMounts[{index}].{field}");
        let (name, place) = (text(mount, "name"), text(mount, "mountPath"));
        let refuse = |field: &str, value: &str, detail: &str| Cause::invalid(at(field), &json!(value), detail);
        found.extend(name.is_empty().then(|| Cause::required(at("name"), "")));
        found.extend((!volumes.contains(name)).then(|| lost(name, &at("name"))));
        found.extend(place.is_empty().then(|| Cause::required(at("mountPath"), "")));
        found.extend((!seen.insert(place)).then(|| refuse("mountPath", place, UNIQUE)));
        let taken = names.contains(name) && !name.is_empty();
        found.extend(taken.then(|| refuse("name", name, "must not already exist in volumeDevices")));
        let detail = "must not already exist as a path in volumeDevices";
        found.extend(paths.contains(place).then(|| refuse("mountPath", place, detail)));
        // The server leaves the position out of what follows.
        let path = format!("{path}.volumeMounts");
        let (part, pattern) = (text(mount, "subPath"), text(mount, "subPathExpr"));
        found.extend(descending(part, &format!("{path}.subPath")));
        let detail = "subPathExpr and subPath are mutually exclusive";
        let both = !part.is_empty() && !pattern.is_empty();
        found.extend(both.then(|| refuse("subPathExpr", pattern, detail)));
        found.extend(descending(pattern, &format!("{path}.subPathExpr")));
        found.extend(propagation(mount, container, &format!("{path}.mountPropagation")));
        found.extend(read_only(mount, &format!("{path}.recursiveReadOnly")));
    }
    found
}

fn propagation(mount: &Value, container: &Value, field: &str) -> Option<Cause> {
    let way = given(mount, "mountPropagation")?;
    let is_privileged = at(container, "securityContext.privileged") == &Value::Bool(true);
    let detail = "Bidirectional mount propagation is available only to privileged containers";
    match way.as_str()? {
        "Bidirectional" if !is_privileged => Some(Cause::forbidden(field, detail)),
        known if PROPAGATIONS.contains(&known) => None,
        _ => Some(unsupported(field, way, &PROPAGATIONS)),
    }
}

fn read_only(mount: &Value, field: &str) -> Vec<Cause> {
    let Some(value) = given(mount, "recursiveReadOnly") else { return Vec::new() };
    match value.as_str().unwrap_or_default() {
        "Disabled" => Vec::new(),
        "Enabled" | "IfPossible" => {
            let rules = [
                (at(mount, "readOnly") != &Value::Bool(true), "may only be specified when readOnly is true"),
                (
                    !matches!(text(mount, "mountPropagation"), "" | "None"),
                    "may only be specified when mountPropagation is None or not specified",
                ),
            ];
            rules.into_iter().filter(|(is_broken, _)| *is_broken).map(|(_, why)| Cause::forbidden(field, why)).collect()
        }
        _ => vec![unsupported(field, value, &READ_ONLY)],
    }
}

fn devices(container: &Value, around: &Around<'_>, path: &str) -> Vec<Cause> {
    let names = parts(container, "volumeMounts", "name");
    let paths = parts(container, "volumeMounts", "mountPath");
    let (mut seen, mut places) = (BTreeSet::new(), BTreeSet::new());
    let mut found = Vec::new();
    for (index, device) in items(container, "volumeDevices").iter().enumerate() {
        let at = |field: &str| format!("{path}.volumeDevices[{index}].{field}");
        let refuse = |field: &str, value: &str, detail: &str| Cause::invalid(at(field), &json!(value), detail);
        let (name, place) = (text(device, "name"), text(device, "devicePath"));
        if name.is_empty() {
            found.push(Cause::required(at("name"), ""));
        } else if !seen.insert(name) {
            found.push(refuse("name", name, UNIQUE));
        }
        if !around.volumes.contains(name) {
            found.push(lost(name, &at("name")));
        } else if !around.blocks.contains(name) {
            found.push(refuse("name", name, BLOCK));
        }
        found.extend(place.is_empty().then(|| Cause::required(at("devicePath"), "")));
        found.extend(places.contains(place).then(|| refuse("devicePath", place, UNIQUE)));
        if place.split('/').any(|step| step == "..") {
            found.push(refuse("devicePath", place, "can not contain backsteps ('..')"));
        } else {
            places.insert(place);
        }
        if names.contains(name) && !name.is_empty() {
            found.push(refuse("name", name, "must not already exist in volumeMounts"));
        } else if paths.contains(place) {
            found.push(refuse("devicePath", place, "must not already exist as a path in volumeMounts"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mount_has_a_place_of_its_own() {
        let count = |mounts: Value| super::mounts(&json!({"volumeMounts": mounts}), &BTreeSet::from(["v"]), "c").len();
        assert_eq!(count(json!([{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}])), 0);
        assert_eq!(count(json!([{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"}])), 1);
        assert_eq!(count(json!([{"name": "w", "mountPath": "/a", "subPath": "/x"}])), 2);
    }
}
