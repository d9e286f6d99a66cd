//! What names, keys and values of labels look like, and which kinds hold names to which rule.
//!
//! Source: apimachinery `util/validation` and `api/validation/path`, and the `ValidateName` functions of `pkg/apis` of
//! Kubernetes v1.36.

use crate::domain::krm::Gvk;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                         must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
                         '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
                     end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const KEY: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
                   character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                   '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
                           must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', \
                           regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
/// Longest label of a host name, value of a label and name in its key, in bytes.
const MAX_LABEL: usize = 63;
/// Longest name of a host, in bytes.
const MAX_SUBDOMAIN: usize = 253;
/// Longest name of a cron job, in bytes: what it names its jobs is longer.
const MAX_CRON_JOB: usize = 52;

/// How the objects of a kind may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Like a host.
    Subdomain,
    /// Like one label of a host's name.
    Label,
    /// Like a step of a path.
    Step,
    /// It is told elsewhere.
    Elsewhere,
}

/// How objects of built-in kinds may be called, but for [`Rule::Subdomain`].
const RULES: &[(&str, &[&str], Rule)] = &[
    // Services had to start with a letter until v1.36.
    ("", &["Namespace", "Service"], Rule::Label),
    ("", &["Event"], Rule::Step),
    ("apps", &["StatefulSet"], Rule::Label),
    ("events.k8s.io", &["Event"], Rule::Step),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"], Rule::Step),
    // Of what it defines its name is made.
    ("apiextensions.k8s.io", &["CustomResourceDefinition"], Rule::Elsewhere),
];

fn rule(kind: &Gvk, is_custom: bool) -> Rule {
    let here = |row: &&(&str, &[&str], Rule)| row.0 == kind.group && row.1.contains(&kind.kind.as_str());
    let built_in = || RULES.iter().find(here).map_or(Rule::Subdomain, |row| row.2);
    if is_custom { Rule::Subdomain } else { built_in() }
}

/// What is wrong with the name of an object of a kind, in the API server's words. `is_custom` tells a kind that a
/// definition brings from a built-in one.
#[must_use]
pub fn name_faults(kind: &Gvk, is_custom: bool, name: &str) -> Vec<String> {
    let own = |faults: Vec<&str>| faults.into_iter().map(str::to_owned).collect();
    match rule(kind, is_custom) {
        Rule::Subdomain => own(subdomain_faults(name)),
        Rule::Label => own(label_faults(name)),
        Rule::Step => step_faults(name),
        Rule::Elsewhere => Vec::new(),
    }
}

/// What is wrong with the name of a new object of a built-in kind that this kind alone looks at.
pub(super) fn own_name_fault(kind: &Gvk, name: &str) -> Option<String> {
    let too_long = kind.group == "batch" && kind.kind == "CronJob" && name.len() > MAX_CRON_JOB;
    too_long.then(|| format!("must be no more than {MAX_CRON_JOB} characters"))
}

/// What a name of a built-in kind may surprise with that is taken all the same: pods are hosts, and are called like
/// those who make them.
#[must_use]
pub fn name_warning(kind: &Gvk, name: &str) -> Option<String> {
    let use_of_it = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => "in the Pod's hostname",
        ("", "ReplicationController") | ("apps", "Deployment" | "ReplicaSet") | ("batch", "CronJob" | "Job") => {
            "in Pod names and hostnames"
        }
        _ => return None,
    };
    let faults = label_faults(name);
    (!faults.is_empty()).then(|| {
        format!(
            "metadata.name: this is used {use_of_it}, which can result in surprising behavior; a DNS label is recommended: [{}]",
            faults.join(" ")
        )
    })
}

/// Why a text is no step of a path.
fn step_faults(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    ['/', '%'].into_iter().filter(|c| name.contains(*c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// What first is wrong with a text as a step of a path.
#[must_use]
pub fn step_fault(name: &str) -> Option<String> {
    step_faults(name).into_iter().next()
}

/// What is wrong with a text as the name of a host.
fn subdomain_faults(text: &str) -> Vec<&'static str> {
    let long = (text.len() > MAX_SUBDOMAIN).then_some("must be no more than 253 characters");
    long.into_iter().chain((!is_subdomain(text)).then_some(SUBDOMAIN)).collect()
}

/// What first is wrong with a text as the name of a host.
#[must_use]
pub fn subdomain_fault(text: &str) -> Option<&'static str> {
    subdomain_faults(text).first().copied()
}

/// What is wrong with a text as a label of a host name.
fn label_faults(text: &str) -> Vec<&'static str> {
    let long = (text.len() > MAX_LABEL).then_some("must be no more than 63 characters");
    let wrong = if is_subdomain(text) { "must not contain dots" } else { LABEL };
    long.into_iter().chain((!is_label(text)).then_some(wrong)).collect()
}

/// What first is wrong with a text as a label of a host name.
#[must_use]
pub fn label_fault(text: &str) -> Option<&'static str> {
    label_faults(text).first().copied()
}

/// Whether a text is a label of a host name, but for its length.
#[must_use]
pub fn is_label(text: &str) -> bool {
    framed(text, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(), b"-")
}

/// Whether a text is the name of a host, but for its length.
fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// Whether a text begins and ends with the one class of bytes and holds only these and some others.
fn framed(text: &str, inner: fn(&u8) -> bool, others: &[u8]) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(inner)
        && bytes.last().is_some_and(inner)
        && bytes.iter().all(|byte| inner(byte) || others.contains(byte))
}

/// What is wrong with a text as the key of a label.
#[must_use]
pub fn key_faults(key: &str) -> Vec<String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if name.contains('/') {
        let whole = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
        return vec![format!("a valid label key {KEY} {whole}")];
    }
    let mut found = prefix.map(prefix_faults).unwrap_or_default();
    let mut see = |is_wrong: bool, fault: &str| found.extend(is_wrong.then(|| format!("name part {fault}")));
    see(name.is_empty(), "must be non-empty");
    see(name.len() > MAX_LABEL, "must be no more than 63 bytes");
    see(!framed(name, u8::is_ascii_alphanumeric, b"-_."), KEY);
    found
}

fn prefix_faults(prefix: &str) -> Vec<String> {
    if prefix.is_empty() {
        return vec!["prefix part must be non-empty".to_owned()];
    }
    let long = (prefix.len() > MAX_SUBDOMAIN).then_some("must be no more than 253 bytes");
    let faults = long.into_iter().chain((!is_subdomain(prefix)).then_some(SUBDOMAIN));
    faults.map(|fault| format!("prefix part {fault}")).collect()
}

/// The first of [`key_faults`].
#[must_use]
pub fn key_fault(key: &str) -> Option<String> {
    key_faults(key).into_iter().next()
}

/// What is wrong with a text as the value of a label.
#[must_use]
pub fn label_value_faults(value: &str) -> Vec<&'static str> {
    let long = (value.len() > MAX_LABEL).then_some("must be no more than 63 bytes");
    let fits = value.is_empty() || framed(value, u8::is_ascii_alphanumeric, b"-_.");
    long.into_iter().chain((!fits).then_some(LABEL_VALUE)).collect()
}

/// The first of [`label_value_faults`].
#[must_use]
pub fn label_value_fault(value: &str) -> Option<&'static str> {
    label_value_faults(value).first().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(group: &str, kind: &str, name: &str) -> usize {
        name_faults(&Gvk::new(group, "v1", kind), false, name).len()
    }

    #[test]
    fn kinds_hold_names_to_their_rules() {
        let long = "a".repeat(64);
        let table = [
            ("", "ConfigMap", "a.b", 0),
            ("", "ConfigMap", long.as_str(), 0),
            ("", "ConfigMap", "A", 1),
            ("", "Service", "9a", 0),
            ("", "Service", "a.b", 1),
            ("", "Namespace", &format!("{long}.b"), 2),
            ("apps", "StatefulSet", long.as_str(), 1),
            ("apps", "Deployment", long.as_str(), 0),
            ("", "Event", "A b", 0),
            ("rbac.authorization.k8s.io", "Role", "system:a", 0),
            ("rbac.authorization.k8s.io", "Role", "a/b%c", 2),
            ("rbac.authorization.k8s.io", "Role", "..", 1),
            ("example.com", "Service", "a.b", 0),
        ];
        for (group, kind, name, expected) in table {
            assert_eq!(faults(group, kind, name), expected, "{kind} {name}");
        }
        assert_eq!(name_faults(&Gvk::new("", "v1", "Service"), true, "a.b").len(), 0, "a custom kind of that name");
        assert_eq!(label_faults("a.b"), ["must not contain dots"]);
    }

    #[test]
    fn all_that_is_wrong_with_a_key_is_told() {
        let long = "a".repeat(64);
        let table =
            [("a", 0), ("a.io/b_C", 0), ("/x", 1), ("", 2), ("a b/c d", 2), ("a/b/c", 1), (&format!("{long}-"), 2)];
        for (key, expected) in table {
            assert_eq!(key_faults(key).len(), expected, "{key}");
        }
        assert_eq!(label_value_faults(&format!("{long}-")).len(), 2);
    }

    #[test]
    fn names_of_hosts_are_recommended() {
        let warning = |kind: &str, name: &str| name_warning(&Gvk::new("batch", "v1", kind), name);
        assert!(warning("Job", "a.b").unwrap().ends_with("a DNS label is recommended: [must not contain dots]"));
        assert_eq!((warning("Job", "a-b"), warning("Other", "a.b")), (None, None));
    }
}
