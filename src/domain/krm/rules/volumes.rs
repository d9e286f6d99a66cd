//! The rules of volumes and of the files that they project.
//!
//! Source: the answers of the API server to pods with odd volumes; `ValidateVolumes` of `pkg/apis/core/validation`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::containers::{PULLS, given};
use super::environment::{field_ref, resource_ref};
use super::kinds::{at, claim, is_missing, unsupported};
use super::{get, items, text};
use crate::domain::krm::Quantity;
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata;

/// What volumes come from, in the order in which the server looks for it, each with the texts that it needs.
const SOURCES: [(&str, &[&str]); 30] = [
    ("emptyDir", &[]),
    ("hostPath", &["path"]),
    ("gitRepo", &["repository"]),
    ("gcePersistentDisk", &[]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("secret", &["secretName"]),
    ("nfs", &["server", "path"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("glusterfs", &["endpoints", "path"]),
    ("flocker", &[]),
    ("persistentVolumeClaim", &["claimName"]),
    ("rbd", &["monitors", "image"]),
    ("cinder", &["volumeID"]),
    ("cephfs", &["monitors"]),
    ("quobyte", &[]),
    ("downwardAPI", &[]),
    ("fc", &[]),
    ("flexVolume", &["driver"]),
    ("configMap", &["name"]),
    ("azureFile", &["secretName", "shareName"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("storageos", &["volumeName"]),
    ("projected", &[]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("csi", &["driver"]),
    ("ephemeral", &["volumeClaimTemplate"]),
    ("image", &["reference"]),
];
const HOST_PATHS: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
/// What a file may hold of its pod.
const FILED: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

/// What is wrong with the sources and names of volumes.
pub(super) fn faults(pod: &Value, path: &str) -> Vec<Cause> {
    let path = format!("{path}.volumes");
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for (index, volume) in items(pod, &path).iter().enumerate() {
        found.extend(sources(volume, &format!("{path}[{index}]")));
        let (field, name) = (format!("{path}[{index}].name"), text(volume, "name"));
        if name.is_empty() {
            found.push(Cause::required(field, ""));
        } else if let Some(detail) = metadata::label_fault(name) {
            found.push(Cause::invalid(field, &json!(name), detail));
        } else if !names.insert(name) {
            found.push(Cause::duplicate(field, &json!(name)));
        }
    }
    found
}

/// A volume has one source, which is looked at; those behind it are too many.
pub(super) fn sources(volume: &Value, path: &str) -> Vec<Cause> {
    let mut present = SOURCES.into_iter().filter_map(|(name, needed)| Some((name, needed, given(volume, name)?)));
    let Some((name, needed, source)) = present.next() else { return Vec::new() };
    let mut found = of_one(name, needed, source, &format!("{path}.{name}"));
    let detail = "may not specify more than 1 volume type";
    found.extend(present.map(|(name, ..)| Cause::forbidden(format!("{path}.{name}"), detail)));
    found
}

/// Whether a volume comes from anywhere.
pub(super) fn has_source(volume: &Value) -> bool {
    SOURCES.into_iter().any(|(name, _)| given(volume, name).is_some())
}

fn of_one(name: &str, needed: &[&str], source: &Value, path: &str) -> Vec<Cause> {
    let lacks = |field: &&&str| is_missing(at(source, field));
    let mut found: Vec<Cause> =
        needed.iter().filter(lacks).map(|field| Cause::required(format!("{path}.{field}"), "")).collect();
    match name {
        "emptyDir" if Quantity::of(at(source, "sizeLimit")).is_some_and(|size| size.nanos() < 0) => {
            found.push(Cause::forbidden(
                format!("{path}.sizeLimit"),
                "SizeLimit field must be a valid resource quantity",
            ));
        }
        "hostPath" => found.extend(host_path(source, path)),
        "nfs" if !text(source, "path").starts_with('/') => {
            let field = format!("{path}.path");
            found.push(Cause::invalid(field, &json!(text(source, "path")), "must be an absolute path"));
        }
        "secret" | "configMap" => {
            // The mode is told behind the name.
            found.extend(mode(source, "defaultMode", path));
            found.extend(keys(source, path));
        }
        "downwardAPI" => {
            found.extend(mode(source, "defaultMode", path));
            found.extend(items(source, "items").iter().flat_map(|file| of_pod(file, path)));
        }
        "projected" => found.extend(projected(source, path)),
        "csi" => found.extend(csi(source, path)),
        "ephemeral" => {
            let template = given(source, "volumeClaimTemplate").map(claim).unwrap_or_default();
            let at = |cause: Cause| Cause { field: format!("{path}.volumeClaimTemplate.{}", cause.field), ..cause };
            found.extend(template.into_iter().map(at));
        }
        "image" => {
            let odd =
                get(source, "pullPolicy").filter(|policy| policy.as_str().is_some_and(|one| !PULLS.contains(&one)));
            found.extend(odd.map(|policy| unsupported(&format!("{path}.pullPolicy"), policy, &PULLS)));
        }
        _ => {}
    }
    found
}

fn host_path(source: &Value, path: &str) -> Vec<Cause> {
    let mut found = steps_back(text(source, "path"), &format!("{path}.path"));
    let odd = get(source, "type").filter(|kind| kind.as_str().is_some_and(|kind| !HOST_PATHS.contains(&kind)));
    found.extend(odd.map(|kind| unsupported(&format!("{path}.type"), kind, &HOST_PATHS)));
    found
}

fn csi(source: &Value, path: &str) -> Vec<Cause> {
    let driver = text(source, "driver");
    let fault = metadata::subdomain_fault(&driver.to_lowercase()).filter(|_| !driver.is_empty());
    let mut found: Vec<Cause> =
        fault.map(|detail| Cause::invalid(format!("{path}.driver"), &json!(driver), detail)).into_iter().collect();
    let nameless = given(source, "nodePublishSecretRef").filter(|secret| text(secret, "name").is_empty());
    found.extend(nameless.map(|_| Cause::required(format!("{path}.nodePublishSecretRef.name"), "")));
    found
}

/// What is wrong with the mode of files.
fn mode(source: &Value, name: &str, path: &str) -> Option<Cause> {
    let value = get(source, name)?;
    let detail = "must be a number between 0 and 0777 (octal), both inclusive";
    let odd = value.as_i64().is_some_and(|mode| !(0..=0o777).contains(&mode));
    odd.then(|| Cause::invalid(format!("{path}.{name}"), value, detail))
}

/// What is wrong with the keys that become files.
fn keys(source: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    for (index, item) in items(source, "items").iter().enumerate() {
        let path = format!("{path}.items[{index}]");
        let lacks = |name: &&str| text(item, name).is_empty();
        let missing = ["key", "path"].into_iter().filter(lacks);
        found.extend(missing.map(|name| Cause::required(format!("{path}.{name}"), "")));
        found.extend(below(text(item, "path"), &format!("{path}.path")));
        found.extend(mode(item, "mode", &path));
    }
    found
}

/// What is wrong with a file that holds something of its pod; the server leaves the position out.
fn of_pod(file: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    if text(file, "path").is_empty() {
        found.push(Cause::required(format!("{path}.path"), ""));
    }
    found.extend(below(text(file, "path"), &format!("{path}.path")));
    match (given(file, "fieldRef"), given(file, "resourceFieldRef")) {
        (Some(field), other) => {
            found.extend(field_ref(field, &FILED, &format!("{path}.fieldRef")));
            let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
            found.extend(other.map(|_| Cause::invalid(path, &json!("resource"), detail)));
        }
        (None, Some(amount)) => found.extend(resource_ref(amount, true, &format!("{path}.resourceFieldRef"))),
        (None, None) => found.push(Cause::required(path, "one of fieldRef and resourceFieldRef is required")),
    }
    found.extend(mode(file, "mode", path));
    found
}

fn projected(source: &Value, path: &str) -> Vec<Cause> {
    let mut found: Vec<Cause> = mode(source, "defaultMode", path).into_iter().collect();
    let mut paths = BTreeSet::new();
    let mut again = |file: &str, shown: &str| {
        let is_again = !file.is_empty() && !paths.insert(file.to_owned());
        is_again.then(|| Cause::invalid(path, &json!(shown), "conflicting duplicate paths"))
    };
    for (index, one) in items(source, "sources").iter().enumerate() {
        let at = format!("{path}.sources[{index}]");
        for name in ["secret", "configMap"] {
            let Some(keyed) = given(one, name) else { continue };
            let shown = text(keyed, "name");
            found.extend(shown.is_empty().then(|| Cause::required(format!("{at}.{name}.name"), "")));
            found.extend(keys(keyed, &format!("{at}.{name}")));
            found.extend(items(keyed, "items").iter().filter_map(|item| again(text(item, "path"), shown)));
        }
        for file in given(one, "downwardAPI").map(|files| items(files, "items")).unwrap_or_default() {
            found.extend(of_pod(file, &format!("{at}.downwardAPI")));
            let file = text(file, "path");
            found.extend(again(file, file));
        }
        if let Some(token) = given(one, "serviceAccountToken") {
            found.extend(lifetime(token, &format!("{at}.serviceAccountToken")));
            let file = text(token, "path");
            found.extend(file.is_empty().then(|| Cause::required(format!("{path}.path"), "")));
            found.extend(below(file, &format!("{path}.path")));
            found.extend(again(file, file));
        }
        let kinds = ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle"];
        let count = kinds.into_iter().filter(|name| given(one, name).is_some()).count();
        let detail = "may not specify more than 1 volume type per source";
        found.extend((count > 1).then(|| Cause::forbidden(at, detail)));
    }
    found
}

fn lifetime(token: &Value, path: &str) -> Option<Cause> {
    let value = get(token, "expirationSeconds")?;
    let detail = match value.as_i64()? {
        ..600 => "may not specify a duration less than 10 minutes",
        600..=0x1_0000_0000 => return None,
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    Some(Cause::invalid(format!("{path}.expirationSeconds"), value, detail))
}

fn steps_back(file: &str, field: &str) -> Vec<Cause> {
    let does = file.split('/').any(|step| step == "..");
    does.then(|| Cause::invalid(field, &json!(file), "must not contain '..'")).into_iter().collect()
}

/// What is wrong with the path of something that must stay below a place.
pub(super) fn descending(file: &str, field: &str) -> Vec<Cause> {
    let absolute = file.starts_with('/').then(|| Cause::invalid(field, &json!(file), "must be a relative path"));
    absolute.into_iter().chain(steps_back(file, field)).collect()
}

/// What is wrong with the path of a file of a volume; `..data` and the like are the server's own.
fn below(file: &str, field: &str) -> Vec<Cause> {
    let reserved = file.starts_with("..") && !file.starts_with("../");
    let reserved = reserved.then(|| Cause::invalid(field, &json!(file), "must not start with '..'"));
    descending(file, field).into_iter().chain(reserved).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_have_names_and_one_source() {
        let pod = json!({"spec": {"volumes": [{"name": "v"}, {"name": "v"}, {"name": "X"}, {}]}});
        assert_eq!(faults(&pod, "spec").len(), 3);
        let pod =
            json!({"spec": {"volumes": [{"name": "v", "configMap": {"name": "x"}, "emptyDir": {}, "secret": null}]}});
        let told: Vec<String> = faults(&pod, "spec").iter().map(ToString::to_string).collect();
        assert_eq!(told, ["spec.volumes[0].configMap: Forbidden: may not specify more than 1 volume type"]);
    }

    #[test]
    fn files_stay_below_their_volume() {
        let count = |path: &str| below(path, "f").len();
        assert_eq!(["a/b", "a/../b", "/a", "..data", "..", "../a"].map(count), [0, 1, 1, 1, 2, 1]);
    }
}
