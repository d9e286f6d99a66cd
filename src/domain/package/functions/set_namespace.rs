//! `set-namespace`: every namespaced resource, and what refers to its namespace, moves to another one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Call, FunctionError, Native, Opt, at, group_of, is_kptfile, kind_of, name_of, namespace_of, refs, text_at,
};
use crate::domain::krm::scope::{is_builtin_group, is_cluster_scoped};
use crate::domain::package::resources::{Place, is_set_aside};

const ADDITIONAL: &str = "additionalNamespaceFields";
/// Annotation with the objects that must be applied first.
pub(super) const DEPENDS_ON: &str = "config.kubernetes.io/depends-on";
/// Annotation with the identity that a resource had in the package it came from: `group|kind|namespace|name`.
const ORIGIN: &str = "internal.kpt.dev/upstream-identifier";
/// Tags that do as kustomize does.
const FIRST: &[&str] = &["v0.1", "v0.2"];

pub(super) const NATIVE: Native = Native {
    name: "set-namespace",
    aliases: &[],
    families: &["v0.1", "v0.2", "v0.3", "v0.4"],
    summary: "moves every namespaced resource, and what refers to its namespace, to another namespace",
    kind: Some("SetNamespace"),
    options: &[
        Opt { name: "namespace", required: true, text: "the new namespace" },
        Opt { name: "namespaceMatcher", required: false, text: "change only what has this namespace now" },
        Opt { name: "name", required: false, text: "in the ConfigMap kptfile.kpt.dev: the new namespace" },
        Opt {
            name: ADDITIONAL,
            required: false,
            text: "in SetNamespace: further fields {group, version, kind, path, create}; path as spec/ref/namespace",
        },
    ],
    example: "pipeline:
  mutators:
  - image: set-namespace:v0.4
    configMap:
      namespace: core
",
    notes: "Namespaces are renamed; service accounts in bindings, webhook services of CRDs, services of APIServices and \
            depends-on annotations follow. A custom resource without namespace is taken for cluster-scoped. Local \
            configuration stays. Resources that come from several upstream namespaces need namespaceMatcher. v0.3 changes \
            only what has a namespace, and of that one namespace: namespaceMatcher's, that of the only Namespace, or the \
            only one that there is; when it cannot tell, it warns and changes nothing. v0.1 and v0.2 take custom resources \
            without namespace for namespaced, move local configuration too, leave depends-on annotations with a warning, \
            and move only service accounts in bindings that are called default (v0.2: or are in the package).",
    run,
};

/// Whether an object lives in a namespace, as far as it can be told without a cluster.
pub(super) fn is_namespaced(value: &Value) -> bool {
    if is_builtin_group(group_of(value)) { !is_cluster_scoped(kind_of(value)) } else { !namespace_of(value).is_empty() }
}

/// What is asked for, and what was done.
struct Move {
    to: String,
    only: Option<String>,
    /// Whether `only` is also meant by a resource that came from there.
    by_origin: bool,
    from: BTreeSet<String>,
    changed: usize,
}

fn run(call: &mut Call<'_>) -> Result<(), FunctionError> {
    let mut wanted = wanted(call)?;
    let additional = call.field_specs(ADDITIONAL)?;
    let first = call.version.is_one_of(FIRST);
    let values: Vec<(Place, Value)> =
        call.everything().into_iter().filter(|(_, value)| first || !is_set_aside(value)).collect();
    if call.version.is_one_of(&["v0.3"]) {
        match the_only_one(call, &values, wanted.only.take()) {
            Ok(only) => wanted.only = Some(only),
            Err(message) => {
                let origin = call.config_origin(&[]);
                call.warn(format!("{message}; nothing is changed, as set-namespace:v0.3 does"), Some(origin));
                return Ok(());
            }
        }
    } else if wanted.only.is_none() && !first {
        one_origin(call, &values)?;
    }
    for (place, value) in &values {
        for path in paths(call, value, &values) {
            wanted.apply(call, place, value, &path)?;
        }
        for path in additional.iter().flat_map(|spec| spec.places(value)) {
            wanted.apply(call, place, value, &path)?;
        }
    }
    let summary = wanted.summary("all matching namespaces are already", "namespace");
    call.info(summary);
    follow(call, &values, wanted)
}

/// `data.namespace`, `data.name` of the package context, or `namespace` of the function's own kind.
fn wanted(call: &mut Call<'_>) -> Result<Move, FunctionError> {
    let context = name_of(&call.config) == "kptfile.kpt.dev";
    let (path, matcher): (&[&str], &[&str]) = if !call.is_config_map(&["SetNamespace"])? {
        call.only_own(&["namespace", "namespaceMatcher", ADDITIONAL, "fieldSpecs"])?;
        (&["namespace"], &["namespaceMatcher"])
    } else if context && text_at(&call.config, &["data", "namespace"]).is_empty() {
        (&["data", "name"], &["data", "namespaceMatcher"])
    } else {
        call.only(&["data"], &["namespace", "namespaceMatcher", "name"])?;
        (&["data", "namespace"], &["data", "namespaceMatcher"])
    };
    let given = |path: &[&str]| match path.split_last() {
        Some((key, [home])) => Ok(call.texts(&[home])?.remove(*key).unwrap_or_default()),
        _ => Ok(text_at(&call.config, path).to_owned()),
    };
    let (to, only) = (given(path)?, given(matcher)?);
    if !crate::domain::id::is_dns_label(&to.to_ascii_lowercase()) {
        let message = if to.is_empty() {
            format!("{} is missing or empty", path.join("."))
        } else {
            format!("{} is {to:?}, which no namespace can be called", path.join("."))
        };
        return Err(call.wrong(path, message, "write up to 63 of a-z, 0-9 and -, such as core"));
    }
    // Upstream takes any text; in small letters it could be a name, so a package with it renders.
    if !crate::domain::id::is_dns_label(&to) {
        let origin = call.config_origin(path);
        call.warn(format!("no namespace can be called {to:?}: its letters must be small"), Some(origin));
    }
    let only = (!only.is_empty()).then_some(only);
    let by_origin = !call.version.is_one_of(&["v0.3"]);
    Ok(Move { to, only, by_origin, from: BTreeSet::new(), changed: 0 })
}

/// The namespace that a resource had upstream.
fn upstream(value: &Value) -> Option<&str> {
    let origin = text_at(value, &["metadata", "annotations", ORIGIN]);
    origin.split('|').nth(2).filter(|_| is_namespaced(value))
}

fn one_origin(call: &Call<'_>, values: &[(Place, Value)]) -> Result<(), FunctionError> {
    let origins: BTreeSet<&str> = values.iter().filter_map(|(_, value)| upstream(value)).collect();
    if origins.len() <= 1 {
        return Ok(());
    }
    let list: Vec<&str> = origins.into_iter().collect();
    let message = format!("the resources come from several upstream namespaces: {}", list.join(", "));
    Err(call.wrong(&["data"], message, "write namespaceMatcher: with the one to change"))
}

/// The namespace that v0.3 moves, or why it cannot be told.
fn the_only_one(call: &Call<'_>, values: &[(Place, Value)], given: Option<String>) -> Result<String, String> {
    let is_namespace = |value: &Value| group_of(value).is_empty() && kind_of(value) == "Namespace";
    let objects: Vec<&str> = values.iter().map(|(_, value)| value).filter(|v| is_namespace(v)).map(name_of).collect();
    let list = |names: &[&str]| names.join(", ");
    match (given, objects.as_slice()) {
        (Some(_), [_, ..]) => Err(format!("namespaceMatcher is given beside the Namespace {}", list(&objects))),
        (Some(given), []) => Ok(given),
        (None, [one]) => Ok((*one).to_owned()),
        (None, [_, ..]) => Err(format!("there are several Namespaces: {}", list(&objects))),
        (None, []) => {
            let all = values.iter().flat_map(|(_, value)| {
                paths(call, value, values)
                    .into_iter()
                    .filter_map(|path| at(value, &refs(&path)).and_then(Value::as_str))
            });
            let all: BTreeSet<&str> = all.filter(|name| !name.is_empty()).collect();
            match all.into_iter().collect::<Vec<_>>().as_slice() {
                [one] => Ok((*one).to_owned()),
                [] => Err("nothing has a namespace".to_owned()),
                several => Err(format!("there are several namespaces: {}", list(several))),
            }
        }
    }
}

/// Fields of a resource that hold its namespace or one that goes with it.
fn paths(call: &Call<'_>, value: &Value, all: &[(Place, Value)]) -> Vec<Vec<String>> {
    let path = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<String>>();
    let present = |parts: &[&str]| at(value, parts).is_some().then(|| path(parts));
    let mut paths = Vec::new();
    match (group_of(value), kind_of(value)) {
        ("", "Namespace") => paths.push(path(&["metadata", "name"])),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            paths.extend(present(&["spec", "conversion", "webhook", "clientConfig", "service", "namespace"]));
        }
        ("apiregistration.k8s.io", "APIService") => paths.extend(present(&["spec", "service", "namespace"])),
        ("rbac.authorization.k8s.io", "ClusterRoleBinding" | "RoleBinding") => paths.extend(subjects(call, value, all)),
        _ => {}
    }
    let has_one = if call.version.is_one_of(&["v0.3"]) {
        !namespace_of(value).is_empty()
    } else {
        let old = call.version.is_one_of(FIRST) && !is_cluster_scoped(kind_of(value)) && !is_kptfile(value);
        is_namespaced(value) || old
    };
    if has_one {
        paths.push(path(&["metadata", "namespace"]));
    }
    paths
}

fn subjects(call: &Call<'_>, value: &Value, all: &[(Place, Value)]) -> Vec<Vec<String>> {
    let looks = !call.version.is_one_of(&["v0.1"]);
    let is_here =
        |(_, other): &(Place, Value), name: &str| kind_of(other) == "ServiceAccount" && name_of(other) == name;
    let declared = |name: &str| name == "default" || (looks && all.iter().any(|other| is_here(other, name)));
    let strict = call.version.is_one_of(FIRST);
    let list = value.get("subjects").and_then(Value::as_array).into_iter().flatten().enumerate();
    list.filter(|(_, subject)| kind_of(subject) == "ServiceAccount" && subject.get("namespace").is_some())
        .filter(|(_, subject)| !strict || declared(text_at(subject, &["name"])))
        .map(|(index, _)| vec!["subjects".to_owned(), index.to_string(), "namespace".to_owned()])
        .collect()
}

impl Move {
    fn apply(
        &mut self,
        call: &mut Call<'_>,
        place: &Place,
        value: &Value,
        path: &[String],
    ) -> Result<(), FunctionError> {
        let now = at(value, &refs(path)).and_then(Value::as_str).filter(|text| !text.is_empty()).unwrap_or("default");
        let done = at(value, &refs(path)) == Some(&Value::from(self.to.as_str()));
        let meant =
            self.only.as_deref().is_none_or(|only| only == now || (self.by_origin && upstream(value) == Some(only)));
        if done || !meant {
            return Ok(());
        }
        call.write(place, &refs(path), &self.to)?;
        self.from.insert(now.to_owned());
        self.changed += 1;
        Ok(())
    }

    fn summary(&self, none: &str, some: &str) -> String {
        if self.changed == 0 {
            return format!("{none} {:?}. no value changed", self.to);
        }
        let from: Vec<&str> = self.from.iter().map(String::as_str).collect();
        format!("{some} [{}] updated to {:?}, {} value(s) changed", from.join(" "), self.to, self.changed)
    }
}

/// Annotations that name objects of the package which moved.
fn follow(call: &mut Call<'_>, values: &[(Place, Value)], mut wanted: Move) -> Result<(), FunctionError> {
    let name = |value: &Value| {
        format!("{}/namespaces/{}/{}/{}", group_of(value), namespace_of(value), kind_of(value), name_of(value))
    };
    let declared: BTreeSet<String> = values.iter().map(|(_, value)| name(value)).collect();
    wanted.from.clear();
    wanted.changed = 0;
    for (place, value) in values {
        let path = ["metadata", "annotations", DEPENDS_ON];
        let old = text_at(value, &path);
        let new: Vec<String> = old.split(',').map(|entry| wanted.entry(entry, &declared)).collect();
        if new.join(",") == old {
            continue;
        }
        if call.version.is_one_of(FIRST) {
            let origin = call.origin(place, &path);
            let message =
                "the annotation is left as it is, as set-namespace:v0.1 and v0.2 do; write set-namespace:v0.4";
            call.warn(message, Some(origin));
        } else {
            call.write(place, &path, &new.join(","))?;
        }
    }
    if call.version.is_one_of(FIRST) {
        return Ok(());
    }
    let summary = if wanted.changed == 0 {
        "all `depends-on` annotations are up-to-date. no `namespace` changed".to_owned()
    } else {
        wanted.summary("", "`depends-on` annotation namespace")
    };
    call.info(summary);
    Ok(())
}

impl Move {
    /// One `group/namespaces/namespace/Kind/name`, moved when it is about an object of the package.
    fn entry(&mut self, entry: &str, declared: &BTreeSet<String>) -> String {
        let mut parts: Vec<&str> = entry.trim().split('/').collect();
        let meant = parts.len() == 5
            && declared.contains(entry.trim())
            && parts[2] != self.to
            && self.only.as_deref().is_none_or(|only| only == parts[2]);
        if !meant {
            return entry.to_owned();
        }
        self.from.insert(parts[2].to_owned());
        self.changed += 1;
        let gap = &entry[..entry.len() - entry.trim_start().len()];
        let to = self.to.clone();
        parts[2] = &to;
        format!("{gap}{}", parts.join("/"))
    }
}
