//! The rules of volumes of the cluster and of their classes.
//!
//! Source: the answers of the API server; `ValidatePersistentVolume` of `pkg/apis/core/validation` and
//! `pkg/apis/storage/validation`.

use serde_json::{Value, json};

use super::containers::given;
use super::kinds::{ACCESS_MODES, at, unsupported, word};
use super::{items, placement, text, volumes};
use crate::domain::krm::Quantity;
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata::{key_faults, subdomain_fault};

const RECLAIMS: [&str; 3] = ["Delete", "Recycle", "Retain"];
const CLASS_RECLAIMS: [&str; 2] = ["Delete", "Retain"];
const MODES: [&str; 2] = ["Block", "Filesystem"];
const BINDINGS: [&str; 2] = ["Immediate", "WaitForFirstConsumer"];

fn one_of(object: &Value, path: &str, known: &[&str]) -> Option<Cause> {
    let value = given(object, path)?;
    (!known.contains(&value.as_str()?)).then(|| unsupported(path, value, known))
}

/// The class and the mode that a volume or a claim says.
pub(super) fn class_and_mode(object: &Value) -> Vec<Cause> {
    let class = word(object, "spec.storageClassName");
    let fault = subdomain_fault(class).filter(|_| !class.is_empty());
    let fault = fault.map(|detail| Cause::invalid("spec.storageClassName", &json!(class), detail));
    fault.into_iter().chain(one_of(object, "spec.volumeMode", &MODES)).collect()
}

/// What is wrong with a volume of the cluster.
pub(super) fn volume(volume: &Value) -> Vec<Cause> {
    let spec = at(volume, "spec");
    let mut found = Vec::new();
    let modes = items(spec, "accessModes");
    if modes.is_empty() {
        found.push(Cause::required("spec.accessModes", ""));
    }
    let strange = modes.iter().filter(|mode| !mode.as_str().is_some_and(|mode| ACCESS_MODES.contains(&mode)));
    found.extend(strange.map(|mode| unsupported("spec.accessModes", mode, &ACCESS_MODES)));
    found.extend(capacity(at(spec, "capacity")));
    found.extend(one_of(volume, "spec.persistentVolumeReclaimPolicy", &RECLAIMS));
    if let Some(nodes) = given(spec, "nodeAffinity") {
        found.extend(placement::nodes_of_volume(nodes, "spec.nodeAffinity"));
    }
    found.extend(source(spec));
    found.extend(class_and_mode(volume));
    found
}

fn capacity(capacity: &Value) -> Vec<Cause> {
    let is_storage = |fields: &serde_json::Map<String, Value>| fields.len() == 1 && fields.contains_key("storage");
    let fields = capacity.as_object();
    let mut found = Vec::new();
    if fields.is_none_or(serde_json::Map::is_empty) {
        found.push(Cause::required("spec.capacity", ""));
    }
    if !fields.is_some_and(is_storage) {
        found.push(unsupported("spec.capacity", capacity, &["storage"]));
    }
    let size = capacity.get("storage");
    if let Some(size) = size.filter(|size| Quantity::of(size).is_some_and(|size| size.nanos() <= 0)) {
        found.push(Cause::invalid("spec.capacity[storage]", size, "must be greater than zero"));
    }
    found
}

fn source(spec: &Value) -> Vec<Cause> {
    let mut found = volumes::sources(spec, "spec");
    let local = given(spec, "local");
    if let Some(local) = local {
        if text(local, "path").is_empty() {
            found.push(Cause::required("spec.local.path", ""));
        }
        if given(spec, "nodeAffinity").is_none() {
            found.push(Cause::required("spec.nodeAffinity", "Local volume requires node affinity"));
        }
    }
    if given(spec, "csi").is_some_and(|csi| text(csi, "volumeHandle").is_empty()) {
        found.push(Cause::required("spec.csi.volumeHandle", ""));
    }
    if local.is_none() && !volumes::has_source(spec) {
        found.push(Cause::required("spec", "must specify a volume type"));
    }
    if word(spec, "hostPath.path") == "/" && text(spec, "persistentVolumeReclaimPolicy") == "Recycle" {
        let detail = "may not be 'recycle' for a hostPath mount of '/'";
        found.push(Cause::forbidden("spec.persistentVolumeReclaimPolicy", detail));
    }
    found
}

/// What is wrong with a class of volumes.
pub(super) fn class(class: &Value) -> Vec<Cause> {
    let provisioner = text(class, "provisioner");
    let mut found = Vec::new();
    if provisioner.is_empty() {
        found.push(Cause::required("provisioner", ""));
    } else {
        let shown = provisioner.to_lowercase();
        found.extend(key_faults(&shown).iter().map(|detail| Cause::invalid("provisioner", &json!(shown), detail)));
    }
    if at(class, "parameters").get("").is_some() {
        found.push(Cause::invalid("parameters", &json!(""), "field can not be empty."));
    }
    found.extend(one_of(class, "reclaimPolicy", &CLASS_RECLAIMS));
    found.extend(one_of(class, "volumeBindingMode", &BINDINGS));
    for (index, term) in items(class, "allowedTopologies").iter().enumerate() {
        for (at, one) in items(term, "matchLabelExpressions").iter().enumerate() {
            let path = format!("allowedTopologies[{index}].matchLabelExpressions[{at}]");
            if items(one, "values").is_empty() {
                found.push(Cause::required(format!("{path}.values"), ""));
            }
            let key = text(one, "key");
            let faults = key_faults(key);
            found.extend(faults.iter().map(|detail| Cause::invalid(format!("{path}.key"), &json!(key), detail)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::fields;
    use super::*;

    #[test]
    fn a_volume_is_somewhere() {
        let mut spec = json!({"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]});
        assert_eq!(fields(volume(&json!({"spec": spec}))), ["spec"]);
        spec["local"] = json!({"path": "/a"});
        assert_eq!(fields(volume(&json!({"spec": spec}))), ["spec.nodeAffinity"]);
        spec["local"] = Value::Null;
        spec["csi"] = json!({"driver": "d", "volumeHandle": "h"});
        assert!(volume(&json!({"spec": spec})).is_empty());
    }

    #[test]
    fn a_class_says_who_makes_its_volumes() {
        assert_eq!(fields(class(&json!({"reclaimPolicy": "Recycle"}))), ["provisioner", "reclaimPolicy"]);
    }
}
