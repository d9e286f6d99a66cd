//! The rules of ingresses.
//!
//! Source: `ValidateIngressSpec` of Kubernetes v1.36.

use core::net::IpAddr;

use serde_json::{Value, json};

use super::kinds::{at, unsupported, word};
use super::{get, items};
use crate::domain::krm::cause::Cause;
use crate::domain::krm::metadata;

const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must \
                        consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character \
                        (e.g. '*.example.com', regex used for validation is \
                        '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
/// What a path must not hold, and what it must not end with.
const TRICKS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const TRICKY_ENDS: [&str; 2] = ["/..", "/."];

/// What is wrong with an ingress.
pub(super) fn faults(object: &Value) -> Vec<Cause> {
    let (rules, default) = (items(object, "spec.rules"), at(object, "spec.defaultBackend"));
    let mut found = Vec::new();
    if rules.is_empty() && default.is_null() {
        let detail = "either `defaultBackend` or `rules` must be specified";
        found.push(Cause::invalid("spec", &Value::Null, detail));
    }
    if !default.is_null() {
        found.extend(backend(default, "spec.defaultBackend"));
    }
    found.extend(rules.iter().enumerate().flat_map(|(at, value)| rule(value, &format!("spec.rules[{at}]"))));
    for (at, tls) in items(object, "spec.tls").iter().enumerate() {
        let hosts = items(tls, "hosts").iter().enumerate();
        found.extend(hosts.filter_map(|(index, name)| host(name, &format!("spec.tls[{at}].hosts[{index}]"))));
        found.extend(named(tls, "secretName", &format!("spec.tls[{at}].secretName")));
    }
    found.extend(named(at(object, "spec"), "ingressClassName", "spec.ingressClassName"));
    found
}

fn named(holder: &Value, name: &str, path: &str) -> Option<Cause> {
    let text = Some(word(holder, name)).filter(|text| !text.is_empty())?;
    Some(Cause::invalid(path, &json!(text), metadata::subdomain_fault(text)?))
}

fn host(name: &Value, path: &str) -> Option<Cause> {
    let text = name.as_str().filter(|name| !name.is_empty())?;
    if text.parse::<IpAddr>().is_ok() {
        return Some(Cause::invalid(path, name, "must be a DNS name, not an IP address"));
    }
    // A wildcard stands for the first part of a name.
    let fault = metadata::subdomain_fault(text.strip_prefix("*.").unwrap_or(text))?;
    Some(Cause::invalid(path, name, if text.contains('*') { WILDCARD } else { fault }))
}

fn rule(rule: &Value, path: &str) -> Vec<Cause> {
    let mut found: Vec<Cause> = host(at(rule, "host"), &format!("{path}.host")).into_iter().collect();
    let Some(http) = get(rule, "http").filter(|http| !http.is_null()) else { return found };
    let paths = items(http, "paths");
    if paths.is_empty() {
        found.push(Cause::required(format!("{path}.http.paths"), ""));
    }
    let place = |index: usize| format!("{path}.http.paths[{index}]");
    found.extend(paths.iter().enumerate().flat_map(|(index, value)| http_path(value, &place(index))));
    found
}

fn http_path(value: &Value, path: &str) -> Vec<Cause> {
    let (text, field) = (word(value, "path"), format!("{path}.path"));
    let absolute = || (!text.starts_with('/')).then(|| wrong_path(&field, text, "must be an absolute path"));
    let mut found: Vec<Cause> = match get(value, "pathType").and_then(Value::as_str) {
        None => return vec![Cause::required(format!("{path}.pathType"), "pathType must be specified")],
        Some("Exact" | "Prefix") => absolute().into_iter().chain(tricks(&field, text)).collect(),
        Some("ImplementationSpecific") => absolute().filter(|_| !text.is_empty()).into_iter().collect(),
        Some(_) => {
            let known = ["Exact", "ImplementationSpecific", "Prefix"];
            vec![unsupported(&format!("{path}.pathType"), at(value, "pathType"), &known)]
        }
    };
    found.extend(backend(at(value, "backend"), &format!("{path}.backend")));
    found
}

fn wrong_path(field: &str, text: &str, detail: &str) -> Cause {
    Cause::invalid(field, &json!(text), detail)
}

fn tricks(field: &str, text: &str) -> Vec<Cause> {
    let inside =
        TRICKS.iter().filter(|trick| text.contains(**trick)).map(|trick| format!("must not contain '{trick}'"));
    let ends = TRICKY_ENDS.iter().filter(|end| text.ends_with(**end)).map(|end| format!("cannot end with '{end}'"));
    inside.chain(ends).map(|detail| wrong_path(field, text, &detail)).collect()
}

/// A backend is a resource or a port of a service.
fn backend(backend: &Value, path: &str) -> Vec<Cause> {
    let odd = |detail: &str| vec![Cause::invalid(path, &json!(""), detail)];
    match (at(backend, "resource").is_null(), at(backend, "service")) {
        (false, Value::Null) => {
            let missing = |name: &str| word(backend, &format!("resource.{name}")).is_empty();
            let missing = ["kind", "name"].into_iter().filter(|name| missing(name));
            missing.map(|name| Cause::required(format!("{path}.resource.{name}"), "")).collect()
        }
        (false, _) => odd("cannot set both resource and service backends"),
        (true, Value::Null) => odd("resource or service backend is required"),
        (true, service) => service_port(service, path),
    }
}

fn service_port(service: &Value, path: &str) -> Vec<Cause> {
    let mut found = Vec::new();
    let name = word(service, "name");
    let field = format!("{path}.service.name");
    if name.is_empty() {
        found.push(Cause::required(field, ""));
    } else if let Some(detail) = metadata::label_fault(name) {
        found.push(Cause::invalid(field, &json!(name), detail));
    }
    let (name, number) = (word(service, "port.name"), at(service, "port.number").as_i64().unwrap_or_default());
    match (name.is_empty(), number) {
        (false, 0) => {}
        (false, _) => found.push(Cause::invalid(path, &json!(""), "cannot set both port name & port number")),
        (true, 0) => found.push(Cause::required(path, "port name or number is required")),
        (true, _) => found.extend(super::port_fault(Some(&json!(number)), &format!("{path}.service.port.number"))),
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(spec: &Value) -> Vec<String> {
        faults(&json!({"spec": spec})).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_backend_is_a_resource_or_a_port_of_a_service() {
        let default = |backend: Value| told(&json!({"defaultBackend": backend}));
        let missing = "spec.defaultBackend: Invalid value: \"\": resource or service backend is required";
        assert_eq!(default(json!({})), [missing]);
        let service = default(json!({"service": {"port": {"name": "http"}}}));
        assert_eq!(service, ["spec.defaultBackend.service.name: Required value"]);
        let port = default(json!({"service": {"name": "s", "port": {}}}));
        assert_eq!(port, ["spec.defaultBackend: Required value: port name or number is required"]);
        assert!(default(json!({"service": {"name": "s", "port": {"number": 80}}})).is_empty());
    }

    #[test]
    fn paths_are_absolute_and_without_tricks() {
        let path = |path: &str, kind: &str| {
            let backend = json!({"service": {"name": "s", "port": {"number": 80}}});
            told(&json!({"rules": [{"http": {"paths": [{"path": path, "pathType": kind, "backend": backend}]}}]}))
        };
        let at = "spec.rules[0].http.paths[0].path";
        assert_eq!(path("x", "Exact"), [format!("{at}: Invalid value: \"x\": must be an absolute path")]);
        assert_eq!(path("/a//b", "Prefix"), [format!("{at}: Invalid value: \"/a//b\": must not contain '//'")]);
        assert!(path("", "ImplementationSpecific").is_empty());
        assert!(path("/a", "Odd")[0].starts_with(&format!("{at}Type: Unsupported value: \"Odd\"")));
    }
}
