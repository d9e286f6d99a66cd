//! The defaults of pods, wherever their specification is.

use serde_json::{Map, Value, json};

use super::{Row, all, set};
use crate::domain::krm::value::text;

pub(super) const POD: &[Row<'_>] = &[
    ("restartPolicy", r#""Always""#),
    ("dnsPolicy", r#""ClusterFirst""#),
    ("schedulerName", r#""default-scheduler""#),
    ("securityContext", "{}"),
    ("terminationGracePeriodSeconds", "30"),
    ("?volumes.*.?secret.defaultMode", "420"),
    ("?volumes.*.?configMap.defaultMode", "420"),
    ("?volumes.*.?projected.defaultMode", "420"),
    ("?volumes.*.?downwardAPI.defaultMode", "420"),
    ("?volumes.*.?hostPath.type", r#""""#),
    ("?volumes.*.?azureDisk.readOnly", "false"),
    ("?volumes.*.?ephemeral.?volumeClaimTemplate.?spec.volumeMode", r#""Filesystem""#),
    ("?volumes.*.?downwardAPI.?items.*.?fieldRef.apiVersion", r#""v1""#),
    ("?volumes.*.?downwardAPI.?items.*.?resourceFieldRef.divisor", r#""0""#),
    ("?volumes.*.?projected.?sources.*.?downwardAPI.?items.*.?fieldRef.apiVersion", r#""v1""#),
    ("?volumes.*.?projected.?sources.*.?downwardAPI.?items.*.?resourceFieldRef.divisor", r#""0""#),
    ("?volumes.*.?projected.?sources.*.?serviceAccountToken.expirationSeconds", "3600"),
];

pub(super) const CONTAINER: &[Row<'_>] = &[
    ("terminationMessagePath", r#""/dev/termination-log""#),
    ("terminationMessagePolicy", r#""File""#),
    ("resources", "{}"),
    ("?env.*.?valueFrom.?fieldRef.apiVersion", r#""v1""#),
    ("?env.*.?valueFrom.?resourceFieldRef.divisor", r#""0""#),
    ("?lifecycle.?postStart.?httpGet.path", r#""/""#),
    ("?lifecycle.?postStart.?httpGet.scheme", r#""HTTP""#),
    ("?lifecycle.?preStop.?httpGet.path", r#""/""#),
    ("?lifecycle.?preStop.?httpGet.scheme", r#""HTTP""#),
];

pub(super) const PROBE: &[Row<'_>] = &[
    ("timeoutSeconds", "1"),
    ("periodSeconds", "10"),
    ("successThreshold", "1"),
    ("failureThreshold", "3"),
    ("?httpGet.path", r#""/""#),
    ("?httpGet.scheme", r#""HTTP""#),
    ("?grpc.service", r#""""#),
];

/// Of the pods that a template describes.
pub(super) fn template(template: Option<&mut Value>) {
    let Some(spec) = template.and_then(|template| template.get_mut("spec")) else { return };
    pod_spec(spec);
}

/// Of a pod itself.
pub(super) fn pod(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").filter(|spec| spec.is_object()) else { return };
    pod_spec(spec);
    all(spec, &[("enableServiceLinks", "true")]);
    let is_on_host = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for container in containers(spec) {
        requests_of_limits(container);
        if is_on_host {
            ports_of_host(container);
        }
    }
}

fn containers(spec: &mut Value) -> impl Iterator<Item = &mut Value> {
    let lists = spec.as_object_mut().into_iter().flatten();
    let lists = lists.filter(|(name, _)| matches!(name.as_str(), "containers" | "initContainers"));
    lists.filter_map(|(_, list)| list.as_array_mut()).flatten()
}

fn pod_spec(spec: &mut Value) {
    all(spec, POD);
    // The old name of the field follows the new one.
    if let Some(account) = spec.get("serviceAccountName").filter(|name| name.as_str().is_some_and(|n| !n.is_empty())) {
        spec["serviceAccount"] = account.clone();
    } else if let Some(account) = spec.get("serviceAccount").cloned() {
        spec["serviceAccountName"] = account;
    }
    let volumes = spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten();
    volumes.filter_map(Value::as_object_mut).for_each(volume);
    for container in containers(spec) {
        all(container, CONTAINER);
        pull_policy(container, "/image", "imagePullPolicy");
        for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
            if let Some(probe) = container.get_mut(probe) {
                all(probe, PROBE);
            }
        }
    }
}

/// A volume of nothing is an empty directory.
fn volume(volume: &mut Map<String, Value>) {
    if volume.iter().all(|(name, source)| name == "name" || source.is_null()) {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    if let Some(image) = volume.get_mut("image").filter(|image| image.is_object()) {
        pull_policy(image, "/reference", "pullPolicy");
    }
}

/// `Always` for the tag `latest` and for none, unless there is a digest. What is no name of an image has no tag to go
/// by.
fn pull_policy(object: &mut Value, image: &str, field: &str) {
    let image = text(object, image);
    let last = image.rsplit('/').next().unwrap_or_default();
    let latest = !image.contains('@') && (!last.contains(':') || last.ends_with(":latest")) && is_image(image);
    let policy = if latest { r#""Always""# } else { r#""IfNotPresent""# };
    all(object, &[(field, policy)]);
}

/// Whether a text may name an image: no spaces, and lower case but for the registry and the tag.
fn is_image(text: &str) -> bool {
    let path = text.split_once('/').filter(|(host, _)| host.contains(['.', ':', '[']) || *host == "localhost");
    let path = path.map_or(text, |(_, path)| path);
    let name = path.rsplit_once(':').map_or(path, |(name, _)| name);
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/".contains(&byte);
    !name.is_empty() && name.bytes().all(plain)
}

/// A limit without a request is the request, too.
fn requests_of_limits(container: &mut Value) {
    let Some(Value::Object(limits)) = container.pointer("/resources/limits").cloned() else { return };
    for (name, limit) in limits {
        let Some(resources) = container.get_mut("resources") else { return };
        set(resources, &["requests", &name], &limit);
    }
}

/// On the host's network a port of the container is one of the host.
fn ports_of_host(container: &mut Value) {
    for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(number) = port.get("containerPort").cloned() {
            set(port, &["hostPort"], &number);
        }
    }
}
