//! Discovery: which groups, versions and resources there are, as plain lists and as the aggregated documents of
//! `apidiscovery.k8s.io/v2` and `v2beta1`. Pure functions from the kinds to JSON.

use serde_json::{Value, json};

use super::kinds::{Kind, Kinds, Serving};

/// A form of the aggregated discovery document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregated {
    /// `apidiscovery.k8s.io/v2`.
    V2,
    /// `apidiscovery.k8s.io/v2beta1`: the same content under its older name.
    V2Beta1,
}

/// What a media type asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// An aggregated document.
    Form(Aggregated),
    /// The plain list.
    Plain,
    /// Something that we do not serve.
    Unknown,
}

impl Aggregated {
    /// Reads an `Accept` header: the first form that both sides know, none when the client wants the plain list first
    /// or only.
    #[must_use]
    pub fn accepted(accept: &str) -> Option<Self> {
        let mut answers = accept.split(',').map(Self::of_media_type);
        answers.find(|answer| *answer != Answer::Unknown).and_then(|answer| match answer {
            Answer::Form(form) => Some(form),
            Answer::Plain | Answer::Unknown => None,
        })
    }

    fn of_media_type(media: &str) -> Answer {
        let mut parts = media.split(';').map(str::trim);
        if !matches!(parts.next(), Some("application/json" | "*/*" | "application/*")) {
            return Answer::Unknown;
        }
        let parameters: Vec<&str> = parts.collect();
        let has = |parameter: &str| parameters.contains(&parameter);
        if !parameters.iter().any(|parameter| parameter.starts_with("as=")) {
            return Answer::Plain;
        }
        let known = has("g=apidiscovery.k8s.io") && has("as=APIGroupDiscoveryList");
        match (known, has("v=v2"), has("v=v2beta1")) {
            (true, true, _) => Answer::Form(Self::V2),
            (true, _, true) => Answer::Form(Self::V2Beta1),
            _ => Answer::Unknown,
        }
    }

    /// The content type of the answer.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::V2 => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            Self::V2Beta1 => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
        }
    }

    const fn api_version(self) -> &'static str {
        match self {
            Self::V2 => "apidiscovery.k8s.io/v2",
            Self::V2Beta1 => "apidiscovery.k8s.io/v2beta1",
        }
    }
}

/// `GET /api`: the versions of the core group. `address` is the server's own, such as `127.0.0.1:6443`.
#[must_use]
pub fn core_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `GET /apis`: all groups but the core group.
#[must_use]
pub fn group_list(kinds: &Kinds) -> Value {
    let named = kinds.groups().into_iter().filter(|(group, _)| !group.is_empty());
    let groups: Vec<Value> = named.map(|(group, versions)| group_of(&group, &versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `GET /apis/GROUP`; none when there is no such group.
#[must_use]
pub fn group(kinds: &Kinds, group: &str) -> Option<Value> {
    let groups = kinds.groups();
    let mut found = group_of(group, groups.get(group).filter(|_| !group.is_empty())?);
    found["kind"] = json!("APIGroup");
    found["apiVersion"] = json!("v1");
    Some(found)
}

fn group_of(group: &str, versions: &[String]) -> Value {
    let version = |version: &String| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({
        "name": group,
        "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(version),
    })
}

/// `GET /api/v1` and `GET /apis/GROUP/VERSION`; none when there is no such version.
#[must_use]
pub fn resource_list(kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let resources: Vec<Value> = kinds.in_version(group, version).flat_map(|kind| resources(kind)).collect();
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let list = json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources,
    });
    (!resources.is_empty()).then_some(list)
}

/// A kind and its subresources as `APIResource`s.
fn resources(kind: &Kind) -> Vec<Value> {
    let mut own = json!({
        "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced, "kind": kind.gvk.kind,
        "verbs": kind.verbs(),
    });
    add_names(&mut own, kind);
    let inner = subresources(kind).into_iter().map(|inner| {
        let mut resource = json!({
            "name": format!("{}/{}", kind.plural, inner.name), "singularName": "", "namespaced": kind.namespaced,
            "kind": inner.kind, "verbs": ["get", "patch", "update"],
        });
        if let Some((group, version)) = inner.group_version {
            resource["group"] = json!(group);
            resource["version"] = json!(version);
        }
        resource
    });
    std::iter::once(own).chain(inner).collect()
}

fn add_names(resource: &mut Value, kind: &Kind) {
    for (field, names) in [("shortNames", &kind.short_names), ("categories", &kind.categories)] {
        if !names.is_empty() {
            resource[field] = json!(names);
        }
    }
}

/// A subresource with its kind; the group and version only when they are not the parent's.
struct Subresource<'a> {
    name: &'static str,
    kind: &'a str,
    group_version: Option<(&'static str, &'static str)>,
}

fn subresources(kind: &Kind) -> Vec<Subresource<'_>> {
    let scale = Subresource { name: "scale", kind: "Scale", group_version: Some(("autoscaling", "v1")) };
    let status = Subresource { name: "status", kind: &kind.gvk.kind, group_version: None };
    let scale = kind.subresources.scale.is_some().then_some(scale);
    let status = kind.subresources.status.then_some(status);
    scale.into_iter().chain(status).collect()
}

/// `GET /api` (`core`) or `GET /apis` in the aggregated form.
#[must_use]
pub fn aggregated(kinds: &Kinds, core: bool, form: Aggregated) -> Value {
    let groups = kinds.groups().into_iter().filter(|(group, _)| group.is_empty() == core);
    let items: Vec<Value> = groups.map(|(group, versions)| aggregated_group(kinds, &group, &versions)).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": form.api_version(), "metadata": {}, "items": items})
}

fn aggregated_group(kinds: &Kinds, group: &str, versions: &[String]) -> Value {
    let version = |version: &String| {
        let resources: Vec<Value> = kinds.in_version(group, version).map(|kind| aggregated_resource(kind)).collect();
        json!({"version": version, "resources": resources, "freshness": "Current"})
    };
    let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
    json!({"metadata": metadata, "versions": versions.iter().map(version).collect::<Vec<_>>()})
}

fn aggregated_resource(kind: &Kind) -> Value {
    let response = |group: &str, version: &str, name: &str| json!({"group": group, "version": version, "kind": name});
    let own = |name: &str| response(&kind.gvk.group, &kind.gvk.version, name);
    let mut resource = json!({
        "resource": kind.plural, "responseKind": own(&kind.gvk.kind), "singularResource": kind.singular,
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" }, "verbs": kind.verbs(),
    });
    add_names(&mut resource, kind);
    let inner = subresources(kind).into_iter().map(|inner| {
        let response = inner.group_version.map_or_else(|| own(inner.kind), |(g, v)| response(g, v, inner.kind));
        json!({"subresource": inner.name, "responseKind": response, "verbs": ["get", "patch", "update"]})
    });
    let inner: Vec<Value> = inner.collect();
    if kind.serving == Serving::Stored && !inner.is_empty() {
        resource["subresources"] = json!(inner);
    }
    resource
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_chosen_as_clients_prefer_it() {
        let v2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        for (accept, form) in [
            (format!("{v2},{beta},application/json"), Some(Aggregated::V2)),
            (format!("application/vnd.kubernetes.protobuf,{beta},application/json"), Some(Aggregated::V2Beta1)),
            (format!("application/json, {v2}"), None),
            ("application/json;g=x;v=v9;as=Other, application/json".to_owned(), None),
            ("application/json".to_owned(), None),
            ("*/*".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(Aggregated::accepted(&accept), form, "{accept}");
        }
    }

    #[test]
    fn plain_and_aggregated_documents_say_the_same() {
        let kinds = Kinds::builtin();
        let both = [aggregated(&kinds, true, Aggregated::V2), aggregated(&kinds, false, Aggregated::V2Beta1)];
        let mut count = 0;
        for item in both.iter().flat_map(|document| document["items"].as_array().unwrap()) {
            let name = item["metadata"]["name"].as_str().unwrap_or_default();
            for version in item["versions"].as_array().unwrap() {
                let plain = resource_list(&kinds, name, version["version"].as_str().unwrap()).unwrap();
                let plain: Vec<&str> =
                    plain["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
                let mut aggregated = Vec::new();
                for resource in version["resources"].as_array().unwrap() {
                    let own = resource["resource"].as_str().unwrap();
                    aggregated.push(own.to_owned());
                    let inner = resource["subresources"].as_array();
                    aggregated.extend(
                        inner.into_iter().flatten().map(|i| format!("{own}/{}", i["subresource"].as_str().unwrap())),
                    );
                }
                assert_eq!(plain, aggregated);
                count += 1;
            }
        }
        assert!(count > 10);
        assert!(
            resource_list(&kinds, "apps", "v9").is_none()
                && group(&kinds, "").is_none()
                && group(&kinds, "no").is_none()
        );
        assert_eq!(group(&kinds, "apps").unwrap()["preferredVersion"]["groupVersion"], "apps/v1");
        let named: Vec<Value> = group_list(&kinds)["groups"].as_array().unwrap().clone();
        assert_eq!(named.len(), both[1]["items"].as_array().unwrap().len());
    }

    #[test]
    fn scale_answers_in_its_own_group() {
        let kinds = Kinds::builtin();
        let list = resource_list(&kinds, "apps", "v1").unwrap();
        let scale =
            list["resources"].as_array().unwrap().iter().find(|r| r["name"] == "deployments/scale").unwrap().clone();
        assert_eq!(
            (&scale["group"], &scale["version"], &scale["kind"]),
            (&json!("autoscaling"), &json!("v1"), &json!("Scale"))
        );
    }
}
