//! The rules of security contexts.
//!
//! Source: the answers of the API server; `ValidatePodSecurityContext` and `ValidateSecurityContext` of
//! `pkg/apis/core/validation`.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value, json};

use super::containers::given;
use super::kinds::{Shown, at, invalid_text, unsupported};
use super::volumes::descending;
use super::{items, text};
use crate::domain::krm::cause::Cause;

const IDS: std::ops::RangeInclusive<i64> = 0..=i32::MAX as i64;
const ID: &str = "must be between 0 and 2147483647, inclusive";
const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];

fn id(value: Option<&Value>, field: String) -> Option<Cause> {
    let value = value?;
    let fits = value.as_i64().is_none_or(|number| IDS.contains(&number));
    (!fits).then(|| Cause::invalid(field, value, ID))
}

fn one_of(context: &Value, name: &str, known: &[&str], path: &str) -> Option<Cause> {
    let value = given(context, name)?;
    let odd = value.as_str().is_some_and(|value| !known.contains(&value));
    odd.then(|| unsupported(&format!("{path}.{name}"), value, known))
}

/// What is wrong with the security context of a pod, at a path.
pub(super) fn of_pod(pod: &Value, path: &str) -> Vec<Cause> {
    let context = at(pod, &format!("{path}.securityContext"));
    let set = |name: &str| at(pod, &format!("{path}.{name}")) == &Value::Bool(true);
    let path = format!("{path}.securityContext");
    let ids = ["fsGroup", "runAsUser", "runAsGroup"];
    let mut found: Vec<Cause> =
        ids.into_iter().filter_map(|name| id(context.get(name), format!("{path}.{name}"))).collect();
    let groups = items(context, "supplementalGroups").iter().enumerate();
    found.extend(groups.filter_map(|(at, group)| id(Some(group), format!("{path}.supplementalGroups[{at}]"))));
    if set("shareProcessNamespace") && set("hostPID") {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        found.push(Cause::invalid(format!("{path}.shareProcessNamespace"), &json!(true), detail));
    }
    found.extend(sysctls(context, &path));
    found.extend(one_of(context, "fsGroupChangePolicy", &["Always", "OnRootMismatch"], &path));
    found.extend(seccomp(context, &path));
    found.extend(app_armor(context, &path));
    found.extend(one_of(context, "supplementalGroupsPolicy", &["Merge", "Strict"], &path));
    found
}

fn sysctls(context: &Value, path: &str) -> Vec<Cause> {
    const PATTERN: &str = r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
    static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(PATTERN).ok());
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for (index, one) in items(context, "sysctls").iter().enumerate() {
        let (field, name) = (format!("{path}.sysctls[{index}].name"), text(one, "name"));
        let fits = name.len() <= 253 && NAME.as_ref().is_some_and(|pattern| pattern.is_match(name));
        if name.is_empty() {
            found.push(Cause::required(field, ""));
        } else if !fits {
            let detail = format!("must have at most 253 characters and match regex {PATTERN}");
            found.push(Cause::invalid(field, &json!(name), &detail));
        } else if !names.insert(name.replace('/', ".")) {
            found.push(Cause::duplicate(field, &json!(name)));
        }
    }
    found
}

fn seccomp(context: &Value, path: &str) -> Option<Cause> {
    let profile = given(context, "seccompProfile")?;
    let path = format!("{path}.seccompProfile");
    let (kind, local) = (text(profile, "type"), given(profile, "localhostProfile"));
    let field = format!("{path}.localhostProfile");
    if kind.is_empty() {
        return Some(Cause::required(format!("{path}.type"), "type is required when seccompProfile is set"));
    }
    if !PROFILES.contains(&kind) {
        return Some(unsupported(&format!("{path}.type"), &json!(kind), &PROFILES));
    }
    match local {
        Some(file) if kind == "Localhost" => descending(file.as_str()?, &field).into_iter().next(),
        None if kind == "Localhost" => Some(Cause::required(field, "must be set when seccomp type is Localhost")),
        Some(_) => {
            let detail = "can only be set when seccomp type is Localhost";
            Some(invalid_text(&field, &shown(profile, &["type", "localhostProfile"]), detail))
        }
        None => None,
    }
}

fn app_armor(context: &Value, path: &str) -> Option<Cause> {
    let profile = given(context, "appArmorProfile")?;
    let path = format!("{path}.appArmorProfile");
    let field = format!("{path}.localhostProfile");
    let kind = text(profile, "type");
    if kind.is_empty() {
        return Some(Cause::required(format!("{path}.type"), "type is required when appArmorProfile is set"));
    }
    if !PROFILES.contains(&kind) {
        return Some(unsupported(&format!("{path}.type"), &json!(kind), &PROFILES));
    }
    let local = profile.get("localhostProfile").and_then(Value::as_str);
    match (kind, local) {
        ("Localhost", None | Some("")) => Some(Cause::required(field, "must be set when AppArmor type is Localhost")),
        ("Localhost", Some(name)) if name.trim() != name => {
            Some(Cause::invalid(field, &json!(name), "must not be padded with whitespace"))
        }
        ("Localhost", Some(_)) | (_, None) => None,
        (_, Some(name)) => Some(Cause::invalid(field, &json!(name), "can only be set when AppArmor type is Localhost")),
    }
}

/// What is wrong with the security context of a container.
pub(super) fn of_container(container: &Value, host_users: bool, path: &str) -> Vec<Cause> {
    let Some(context) = given(container, "securityContext") else { return Vec::new() };
    let path = format!("{path}.securityContext");
    let ids = ["runAsUser", "runAsGroup"];
    let mut found: Vec<Cause> =
        ids.into_iter().filter_map(|name| id(context.get(name), format!("{path}.{name}"))).collect();
    found.extend(one_of(context, "procMount", &["Default", "Unmasked"], &path));
    if text(context, "procMount") == "Unmasked" && host_users {
        let detail = "`hostUsers` must be false to use `Unmasked`";
        found.push(Cause::invalid(format!("{path}.procMount"), &json!("Unmasked"), detail));
    }
    found.extend(seccomp(context, &path));
    if context.get("allowPrivilegeEscalation") == Some(&Value::Bool(false)) {
        let admin = items(context, "capabilities.add").contains(&json!("CAP_SYS_ADMIN"));
        let privileged = at(context, "privileged") == &Value::Bool(true);
        let details = [
            (privileged, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"),
            (admin, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"),
        ];
        let broken = details.into_iter().filter(|(is_broken, _)| *is_broken);
        found.extend(broken.map(|(_, detail)| invalid_text(&path, &whole(context), detail)));
    }
    found.extend(app_armor(context, &path));
    found
}

/// A security context as the server shows it: the structure as it is inside.
fn whole(context: &Value) -> String {
    const PARTS: [(&str, &[&str]); 12] = [
        ("capabilities", &["add", "drop"]),
        ("privileged", &[]),
        ("seLinuxOptions", &["user", "role", "type", "level"]),
        ("windowsOptions", &["gmsaCredentialSpecName", "gmsaCredentialSpec", "runAsUserName", "hostProcess"]),
        ("runAsUser", &[]),
        ("runAsGroup", &[]),
        ("runAsNonRoot", &[]),
        ("readOnlyRootFilesystem", &[]),
        ("allowPrivilegeEscalation", &[]),
        ("procMount", &[]),
        ("seccompProfile", &["type", "localhostProfile"]),
        ("appArmorProfile", &["type", "localhostProfile"]),
    ];
    let part = |(name, inner): (&str, &[&str])| {
        let value = at(context, name);
        let text = if value.is_null() || inner.is_empty() { value.to_string() } else { shown(value, inner) };
        format!("{:?}:{text}", exported(name))
    };
    format!("{{{}}}", PARTS.map(part).join(","))
}

fn shown(structure: &Value, names: &[&str]) -> String {
    let names: Vec<(String, Value)> = names.iter().map(|name| (exported(name), at(structure, name).clone())).collect();
    let fields: Vec<(&str, Value)> = names.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    Shown(&fields).to_string()
}

/// The name of a field inside of the server.
fn exported(name: &str) -> String {
    if let Some(rest) = name.strip_prefix("se").filter(|rest| rest.starts_with("Linux")) {
        return format!("SE{rest}");
    }
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fields;
    use super::*;

    #[test]
    fn identities_and_profiles_can_be() {
        let pod = json!({"spec": {"securityContext": {"runAsUser": -1, "supplementalGroups": [1, -1],
            "seccompProfile": {"type": "Localhost"}, "appArmorProfile": {"type": "RuntimeDefault"}}}});
        let expected = ["runAsUser", "supplementalGroups[1]", "seccompProfile.localhostProfile"];
        assert_eq!(fields(of_pod(&pod, "spec")), expected.map(|field| format!("spec.securityContext.{field}")));
        assert!(of_pod(&json!({"spec": {"securityContext": {"runAsUser": 0, "fsGroup": 1}}}), "spec").is_empty());
    }

    #[test]
    fn who_may_not_rise_is_not_privileged() {
        let of = |context: Value| of_container(&json!({"securityContext": context}), true, "c").len();
        assert_eq!(of(json!({"allowPrivilegeEscalation": false, "capabilities": {"add": ["NET_ADMIN"]}})), 0);
        assert_eq!(of(json!({"allowPrivilegeEscalation": false, "privileged": true})), 1);
        assert_eq!(of(json!({"procMount": "Unmasked"})), 1);
    }
}
