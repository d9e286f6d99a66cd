//! What the server itself keeps in `metadata`: identity, age, generation, and the way out.
//!
//! Source: apimachinery `ObjectMeta` and `registry/rest` (`BeforeCreate`, `BeforeUpdate`), apimachinery `validation`.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::apiserver::kinds::Kind;
use crate::apiserver::status::Cause;
use crate::domain::krm::metadata::named_faults;
pub(super) use crate::domain::krm::metadata::{finalizers, name_warning, naming_faults, text, validate_entries};
use crate::domain::krm::value::{is_void, same};
use crate::domain::time::{Timestamp, rfc3339_seconds};

/// Letters of generated name suffixes: no vowels, nothing that looks like another letter.
const SUFFIX_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
/// Longest base of a generated name, so that name and suffix fit a DNS label.
const MAX_GENERATED_BASE: usize = 58;
/// Kinds without a generation.
const WITHOUT_GENERATION: &[&str] = &[
    "ConfigMap",
    "Endpoints",
    "Event",
    "LimitRange",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ResourceQuota",
    "Secret",
    "Service",
    "ServiceAccount",
    "ControllerRevision",
    "HorizontalPodAutoscaler",
    "Lease",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "StorageClass",
];

/// The `metadata` of an object, made when it is missing; `None` for what is no object.
pub(super) fn of(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.as_object_mut()?.entry("metadata").or_insert_with(|| json!({})).as_object_mut()
}

/// Sets a part of `metadata`.
pub(super) fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(metadata) = of(object) {
        metadata.insert(name.to_owned(), value);
    }
}

/// Whether an object is on its way out.
#[must_use]
pub(super) fn is_terminating(object: &Value) -> bool {
    !text(object, "deletionTimestamp").is_empty()
}

/// Randomness without a source of it: every seed gives other bytes, the same seed the same ones.
#[must_use]
pub(super) fn bytes_of(seed: &str) -> [u8; 32] {
    Sha256::digest(seed.as_bytes()).into()
}

/// A version 4 UUID.
#[must_use]
pub(super) fn uid(seed: &str) -> String {
    let [a, b, c, d] = std::array::from_fn(|at| {
        let bytes = bytes_of(seed);
        u32::from_be_bytes(std::array::from_fn(|byte| bytes[4 * at + byte]))
    });
    let variant = 8 | (c >> 30);
    format!("{a:08x}-{:04x}-4{:03x}-{variant:x}{:03x}-{:04x}{d:08x}", b >> 16, b & 0xfff, (c >> 16) & 0xfff, c & 0xffff)
}

/// `base` with a suffix of five letters.
#[must_use]
pub(super) fn generated_name(base: &str, seed: &str) -> String {
    let base: String = base.chars().take(MAX_GENERATED_BASE).collect();
    let suffix: String = bytes_of(seed)[..5].iter().copied().map(suffix_letter).collect();
    base + &suffix
}

/// A letter of a generated name.
#[must_use]
pub(super) fn suffix_letter(byte: u8) -> char {
    char::from(SUFFIX_LETTERS[usize::from(byte) % SUFFIX_LETTERS.len()])
}

/// Gives a new object its identity. `uid` is fresh; what a client sets of the server's own fields is dropped.
pub(super) fn begin(kind: &Kind, object: &mut Value, uid: String, now: Timestamp) {
    let Some(metadata) = of(object) else { return };
    for name in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"] {
        metadata.remove(name);
    }
    metadata.insert("uid".to_owned(), Value::String(uid));
    metadata.insert("creationTimestamp".to_owned(), Value::String(rfc3339_seconds(now)));
    if has_generation(kind) {
        metadata.insert("generation".to_owned(), json!(1));
    }
}

/// Carries over what no update changes.
pub(super) fn carry_over(old: &Value, new: &mut Value) {
    let kept =
        ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "namespace", "name"];
    let Some(metadata) = of(new) else { return };
    metadata.remove("selfLink");
    // A uid that a patch sets is refused later.
    if metadata.get("uid").and_then(Value::as_str).is_none_or(str::is_empty) {
        metadata.insert("uid".to_owned(), json!(text(old, "uid")));
    }
    for name in kept.into_iter().chain(["generateName"]) {
        match old.get("metadata").and_then(|metadata| metadata.get(name)) {
            Some(value) => metadata.insert(name.to_owned(), value.clone()),
            None => metadata.remove(name),
        };
    }
}

/// Whether objects of the kind have a generation.
#[must_use]
pub(super) fn has_generation(kind: &Kind) -> bool {
    kind.is_custom() || !WITHOUT_GENERATION.contains(&kind.gvk.kind.as_str())
}

/// Counts the generation up when anything but metadata (and status, where it is a subresource) is different.
pub(super) fn count_generation(kind: &Kind, old: &Value, new: &mut Value) {
    // A priority class begins with a generation and stays at it.
    if !has_generation(kind) || kind.gvk.kind == "PriorityClass" {
        return;
    }
    if same(&declared(kind, old), &declared(kind, new)) && !marks_anew(kind, old, new) {
        return;
    }
    bump(new);
}

/// The annotations of a deployment count as declared: it hands them on to its replica sets.
fn marks_anew(kind: &Kind, old: &Value, new: &Value) -> bool {
    let annotations = |object: &Value| object.pointer("/metadata/annotations").filter(|all| !is_void(all)).cloned();
    let is_deployment = kind.gvk.group == "apps" && kind.gvk.kind == "Deployment";
    is_deployment && annotations(old) != annotations(new)
}

/// Counts the generation up.
pub(super) fn bump(object: &mut Value) {
    let generation = object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
    set(object, "generation", json!(generation + 1));
}

fn declared(kind: &Kind, object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("metadata");
        fields.remove("apiVersion");
        if kind.subresources.status {
            fields.remove("status");
        }
    }
    object
}

/// Marks an object as being on its way out.
pub(super) fn mark_terminating(object: &mut Value, now: Timestamp) {
    set(object, "deletionTimestamp", Value::String(rfc3339_seconds(now)));
    // A namespace goes when its content is gone, whenever that is.
    if object.get("kind").and_then(Value::as_str) != Some("Namespace") {
        set(object, "deletionGracePeriodSeconds", json!(0));
    }
    if object.pointer("/metadata/generation").is_some() {
        bump(object);
    }
}

/// Adds a finalizer unless it is there.
pub(super) fn add_finalizer(object: &mut Value, name: &str) {
    let list = of(object).map(|metadata| metadata.entry("finalizers").or_insert_with(|| json!([])));
    if let Some(list) = list.and_then(Value::as_array_mut).filter(|list| !list.contains(&json!(name))) {
        list.push(json!(name));
    }
}

/// Takes a finalizer away; no empty list stays.
pub(super) fn remove_finalizer(object: &mut Value, name: &str) {
    let Some(metadata) = of(object) else { return };
    let Some(list) = metadata.get_mut("finalizers").and_then(Value::as_array_mut) else { return };
    list.retain(|found| found != name);
    if list.is_empty() {
        metadata.remove("finalizers");
    }
}

/// What is wrong with the metadata of an object by itself.
#[must_use]
pub(super) fn validate(kind: &Kind, object: &Value) -> Vec<Cause> {
    let name = text(object, "name");
    let missing = name.is_empty().then(|| Cause::required("metadata.name", "name or generateName is required"));
    naming_faults(&kind.gvk, kind.is_custom(), object)
        .into_iter()
        .chain(missing)
        .chain(foreign_names(kind, object))
        .chain(validate_entries(object))
        .chain(plain_finalizers(kind, object))
        .collect()
}

/// Names of a definition that are not made of what it defines.
fn foreign_names(kind: &Kind, object: &Value) -> Vec<Cause> {
    if kind.is_custom() || kind.gvk.kind != "CustomResourceDefinition" {
        return Vec::new();
    }
    let part = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let wanted = format!("{}.{}", part("/spec/names/plural"), part("/spec/group"));
    let names = ["generateName", "name"].into_iter().map(|name| (name, text(object, name)));
    let foreign = names.filter(|(_, found)| !found.is_empty() && *found != wanted);
    let detail = "must be spec.names.plural+\".\"+spec.group";
    foreign.map(|(name, found)| Cause::invalid(format!("metadata.{name}"), &json!(found), detail)).collect()
}

/// What is wrong with the metadata of an object as a successor of another.
#[must_use]
pub(super) fn validate_update(old: &Value, new: &Value) -> Vec<Cause> {
    let late = is_terminating(old).then(|| late_finalizers(old, new)).flatten();
    let (uid, found) = (text(old, "uid"), text(new, "uid"));
    let renewed = uid != found && !uid.is_empty();
    let renewed = renewed.then(|| Cause::invalid("metadata.uid", &json!(found), "field is immutable"));
    late.into_iter().chain(renewed).chain(named_faults(new)).collect()
}

fn late_finalizers(old: &Value, new: &Value) -> Option<Cause> {
    let known = finalizers(old);
    let added: Vec<String> =
        finalizers(new).into_iter().filter(|name| !known.contains(name)).map(|n| format!("{n:?}")).collect();
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        added.join(", ")
    );
    (!added.is_empty()).then(|| Cause::forbidden("metadata.finalizers", &detail))
}

/// Finalizers that a built-in kind refuses: a custom resource may have them, with a warning.
#[must_use]
pub(super) fn plain_finalizers(kind: &Kind, object: &Value) -> Vec<Cause> {
    if kind.is_custom() || kind.gvk.kind == "CustomResourceDefinition" {
        return Vec::new();
    }
    let detail = "name is neither a standard finalizer name nor is it fully qualified";
    let names = finalizers(object).into_iter().enumerate().filter(|(_, name)| is_plain(name));
    names.map(|(at, name)| Cause::invalid(format!("metadata.finalizers[{at}]"), &json!(name), detail)).collect()
}

/// Whether a finalizer is neither one of Kubernetes' own nor has a domain.
fn is_plain(finalizer: &str) -> bool {
    !finalizer.contains('/') && !matches!(finalizer, "kubernetes" | "orphan" | "foregroundDeletion")
}

/// What the server warns of in the finalizers of a custom resource, when they are new.
#[must_use]
pub(super) fn finalizer_warnings(kind: &Kind, old: Option<&Value>, new: &Value) -> Vec<String> {
    if !kind.is_custom() {
        return Vec::new();
    }
    let known = old.map(finalizers).unwrap_or_default();
    let names = finalizers(new).into_iter().filter(|name| is_plain(name) && !known.contains(name));
    let warning = |name: &str| {
        format!(
            "metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name to avoid accidental conflicts with \
             other finalizer writers"
        )
    };
    names.map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::kinds::Kinds;
    use crate::domain::krm::Gvk;

    fn faults(kind: &str, object: &Value) -> Vec<String> {
        let kinds = Kinds::builtin();
        let kind = kinds.by_gvk(&Gvk::new("", "v1", kind)).unwrap();
        validate(kind, object).into_iter().map(|cause| cause.field + ": " + &cause.message).collect()
    }

    #[test]
    fn uids_are_version_4_and_differ() {
        let uid_a = uid("a");
        assert_eq!((uid_a.len(), &uid_a[14..15]), (36, "4"));
        assert!(matches!(&uid_a[19..20], "8" | "9" | "a" | "b"));
        assert_ne!(uid_a, uid("b"));
        assert_eq!(generated_name("upf-", "x").len(), 9);
    }

    #[test]
    fn names_and_labels_are_checked() {
        assert!(faults("Pod", &json!({"metadata": {"name": "a.b-c", "labels": {"a.io/b_C": "x.y"}}})).is_empty());
        let wrong = [
            ("Pod", json!({"name": "A"})),
            ("Pod", json!({"name": "a_b"})),
            ("Pod", json!({"name": "-a"})),
            ("Service", json!({"name": "a-"})),
            ("Namespace", json!({"name": "a.b"})),
            ("Pod", json!({"name": "a", "labels": {"a b": "c"}})),
            ("Pod", json!({"name": "a", "labels": {"a": "-"}})),
            ("Pod", json!({})),
        ];
        for (kind, metadata) in wrong {
            assert_eq!(faults(kind, &json!({"metadata": metadata})).len(), 1, "{kind} {metadata}");
        }
    }

    #[test]
    fn no_finalizer_comes_late() {
        let old = json!({"metadata": {"deletionTimestamp": "t", "finalizers": ["a"]}});
        assert!(validate_update(&old, &json!({"metadata": {"finalizers": []}})).is_empty());
        let causes = validate_update(&old, &json!({"metadata": {"finalizers": ["a", "b"]}}));
        assert!(causes[0].message.ends_with("found new finalizers []string{\"b\"}"));
    }
}
