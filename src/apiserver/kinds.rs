//! The kinds that the server knows: the built-in ones, and those of custom resource definitions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::apiserver::builtin;
use crate::domain::krm::cel::Rules;
use crate::domain::krm::schema::CrdError;
use crate::domain::krm::{Gvk, Schema, Schemas};

/// What objects are stored under: a group and a plural, without a version. Shown as `deployments.apps` or `pods`, the
/// way Kubernetes names resources in its messages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: String,
    /// Plural in lower case.
    pub plural: String,
}

impl Resource {
    /// A resource from its parts.
    #[must_use]
    pub fn new(group: &str, plural: &str) -> Self {
        Self { group: group.to_owned(), plural: plural.to_owned() }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plural)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

/// How the scale of a kind is read and written: JSON paths with a leading dot, as in a CRD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalePaths {
    /// Wished replicas, such as `.spec.replicas`.
    pub spec_replicas: String,
    /// Observed replicas, such as `.status.replicas`.
    pub status_replicas: String,
    /// Selector of the pods (a label selector, or text), such as `.spec.selector`; empty when there is none.
    pub selector: String,
}

/// Which subresources a kind has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subresources {
    /// `/status`: writes to it change only status, writes to the object never do.
    pub status: bool,
    /// `/scale` as `autoscaling/v1` `Scale`.
    pub scale: Option<ScalePaths>,
}

/// A printer column of a custom resource (`additionalPrinterColumns`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Header.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub type_: String,
    /// Format of the type; often empty.
    pub format: String,
    /// What it shows; often empty.
    pub description: String,
    /// 0 is always shown, greater ones only when asked for (`-o wide`).
    pub priority: i32,
    /// Simple JSON path from the object, such as `.status.phase`.
    pub json_path: String,
}

/// What can be done with a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serving {
    /// Objects are stored: all verbs.
    Stored,
    /// A question that is answered and forgotten, such as `SelfSubjectAccessReview`: create only.
    CreateOnly,
}

/// How objects of a kind differ from the stored form of the same resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conversion {
    /// Only in `apiVersion`.
    Same,
    /// `events.k8s.io/v1` over the stored core event: renamed fields.
    Event,
}

/// A kind in one version.
#[derive(Debug, Clone)]
pub struct Kind {
    /// Group, version, kind.
    pub gvk: Gvk,
    /// Plural in lower case: the resource name in paths.
    pub plural: String,
    /// Singular in lower case.
    pub singular: String,
    /// Short names, such as `deploy`.
    pub short_names: Vec<String>,
    /// Categories, such as `all`.
    pub categories: Vec<String>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// What can be done.
    pub serving: Serving,
    /// Subresources.
    pub subresources: Subresources,
    /// Whether this is the version in which objects are stored.
    pub storage: bool,
    /// Where objects are stored; differs from the own resource for a second name of the same objects.
    pub stored_as: Resource,
    /// How the stored form differs.
    pub conversion: Conversion,
    /// Printer columns of a custom resource; empty for built-in kinds and for CRDs without any.
    pub columns: Vec<Column>,
    /// `openAPIV3Schema` of a custom resource; `None` for built-in kinds and CRDs without one.
    pub schema: Option<Arc<Value>>,
    /// What its users are warned of; `None` unless the version is deprecated.
    pub deprecation: Option<String>,
    /// The rules in CEL of that schema.
    pub rules: Option<Arc<Rules>>,
    /// Fields that field selectors may use beside `metadata.name` and `metadata.namespace`, with dots, such as
    /// `status.phase`.
    pub selectable: Vec<String>,
    /// Name of the CRD; `None` for built-in kinds.
    pub crd: Option<String>,
}

impl Kind {
    /// The resource as clients name it.
    #[must_use]
    pub fn resource(&self) -> Resource {
        Resource::new(&self.gvk.group, &self.plural)
    }

    /// The list kind, such as `DeploymentList`.
    #[must_use]
    pub fn list_kind(&self) -> String {
        format!("{}List", self.gvk.kind)
    }

    /// Whether it comes from a CRD.
    #[must_use]
    pub const fn is_custom(&self) -> bool {
        self.crd.is_some()
    }

    /// The verbs that discovery lists, in its order.
    #[must_use]
    pub fn verbs(&self) -> &'static [&'static str] {
        match self.serving {
            // Namespaces take their content along: nobody deletes several by mistake.
            Serving::Stored if self.gvk == Gvk::new("", "v1", "Namespace") => {
                &["create", "delete", "get", "list", "patch", "update", "watch"]
            }
            Serving::Stored => &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            Serving::CreateOnly => &["create"],
        }
    }
}

/// All known kinds, with the schemas that ownership and merging need. A value: the server replaces it as a whole.
#[derive(Debug, Clone)]
pub struct Kinds {
    kinds: BTreeMap<(String, String, String), Arc<Kind>>,
    schemas: Schemas,
}

impl Kinds {
    /// The built-in kinds.
    #[must_use]
    pub fn builtin() -> Self {
        let mut kinds = Self { kinds: BTreeMap::new(), schemas: Schemas::builtin() };
        builtin::kinds().for_each(|kind| kinds.insert(kind));
        kinds
    }

    fn insert(&mut self, kind: Kind) {
        let key = (kind.gvk.group.clone(), kind.gvk.version.clone(), kind.plural.clone());
        self.kinds.insert(key, Arc::new(kind));
    }

    /// Adds the served versions of a `CustomResourceDefinition`; what an older form of the same CRD served goes first.
    ///
    /// # Errors
    /// [`CrdError`] when it cannot be read; nothing is changed then.
    pub fn add_crd(&mut self, crd: &Value) -> Result<(), CrdError> {
        let mut next = self.clone();
        next.remove_crd(text(crd, "/metadata/name"));
        next.schemas.add_crd(crd)?;
        versions_of(crd).for_each(|kind| next.insert(kind));
        *self = next;
        Ok(())
    }

    /// Forgets all versions of the CRD of this name.
    pub fn remove_crd(&mut self, name: &str) {
        let gone = |kind: &Arc<Kind>| kind.crd.as_deref() == Some(name);
        for kind in self.kinds.values().filter(|kind| gone(kind)) {
            self.schemas.remove(&kind.gvk);
        }
        self.kinds.retain(|_, kind| !gone(kind));
    }

    /// The kind behind a path.
    #[must_use]
    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.kinds.get(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// The kind of an object.
    #[must_use]
    pub fn by_gvk(&self, gvk: &Gvk) -> Option<&Arc<Kind>> {
        self.kinds.values().find(|kind| kind.gvk == *gvk)
    }

    /// The storage version of a resource.
    #[must_use]
    pub fn stored(&self, resource: &Resource) -> Option<&Arc<Kind>> {
        self.kinds.values().find(|kind| kind.storage && kind.resource() == *resource)
    }

    /// The kind of an owner reference: of that group and kind, in the given version if it is served, else in any.
    #[must_use]
    pub fn by_kind(&self, gvk: &Gvk) -> Option<&Arc<Kind>> {
        let any = || self.kinds.values().find(|kind| kind.gvk.group == gvk.group && kind.gvk.kind == gvk.kind);
        self.by_gvk(gvk).or_else(any)
    }

    /// All kinds, by group, version and plural.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.values()
    }

    /// The kinds of one group and version, by plural.
    pub fn in_version<'a>(&'a self, group: &'a str, version: &'a str) -> impl Iterator<Item = &'a Arc<Kind>> {
        self.kinds.values().filter(move |kind| kind.gvk.group == group && kind.gvk.version == version)
    }

    /// The groups with their versions, the preferred one first. The core group is the empty one.
    #[must_use]
    pub fn groups(&self) -> BTreeMap<String, Vec<String>> {
        let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for kind in self.kinds.values() {
            groups.entry(kind.gvk.group.clone()).or_default().insert(kind.gvk.version.clone());
        }
        groups.into_iter().map(|(group, versions)| (group, by_preference(versions))).collect()
    }

    /// The schema of the metadata of any object.
    #[must_use]
    pub const fn metadata_schema(&self) -> &Schema {
        self.schemas.metadata()
    }

    /// The schema by which fields of a kind are merged and owned.
    #[must_use]
    pub fn merge_schema(&self, gvk: &Gvk) -> &Schema {
        self.schemas.lookup(gvk).0
    }
}

/// Versions in Kubernetes' order: stable before beta before alpha before others, greater numbers first.
fn by_preference(versions: BTreeSet<String>) -> Vec<String> {
    let mut versions: Vec<String> = versions.into_iter().collect();
    versions.sort_by_cached_key(|version| (std::cmp::Reverse(rank(version)), version.clone()));
    versions
}

/// Stability (3 stable, 2 beta, 1 alpha, 0 other), major and minor number of a version such as `v1beta2`.
fn rank(version: &str) -> (u8, u64, u64) {
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (major, stage) = rest.split_at(digits);
    let Ok(major) = major.parse() else { return (0, 0, 0) };
    let minor = |name: &str| stage.strip_prefix(name).and_then(|minor| minor.parse().ok());
    match (stage, minor("beta"), minor("alpha")) {
        ("", _, _) => (3, major, 0),
        (_, Some(minor), _) => (2, major, minor),
        (_, _, Some(minor)) => (1, major, minor),
        _ => (0, 0, 0),
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn texts(value: &Value, pointer: &str) -> Vec<String> {
    let items = value.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn flag(value: &Value, pointer: &str) -> bool {
    value.pointer(pointer).and_then(Value::as_bool).unwrap_or_default()
}

fn versions_of(crd: &Value) -> impl Iterator<Item = Kind> {
    let versions = crd.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    versions.filter(|version| flag(version, "/served")).map(|version| version_of(crd, version))
}

fn version_of(crd: &Value, version: &Value) -> Kind {
    let group = text(crd, "/spec/group");
    let kind = text(crd, "/spec/names/kind");
    let plural = text(crd, "/spec/names/plural");
    let singular = Some(text(crd, "/spec/names/singular")).filter(|name| !name.is_empty());
    let columns = version.get("additionalPrinterColumns").and_then(Value::as_array);
    let selectable = version.get("selectableFields").and_then(Value::as_array).into_iter().flatten();
    let schema = version.pointer("/schema/openAPIV3Schema").cloned().map(Arc::new);
    Kind {
        gvk: Gvk::new(group, text(version, "/name"), kind),
        plural: plural.to_owned(),
        singular: singular.map_or_else(|| kind.to_lowercase(), str::to_owned),
        short_names: texts(crd, "/spec/names/shortNames"),
        categories: texts(crd, "/spec/names/categories"),
        namespaced: text(crd, "/spec/scope") == "Namespaced",
        serving: Serving::Stored,
        subresources: subresources_of(version),
        storage: flag(version, "/storage"),
        stored_as: Resource::new(group, plural),
        conversion: Conversion::Same,
        columns: columns.into_iter().flatten().map(column_of).collect(),
        deprecation: flag(version, "/deprecated").then(|| deprecation(crd, version)),
        rules: schema.clone().map(|schema| Arc::new(Rules::of(schema))),
        schema,
        selectable: selectable.map(|f| text(f, "/jsonPath").trim_start_matches('.').to_owned()).collect(),
        crd: Some(text(crd, "/metadata/name").to_owned()),
    }
}

/// What the server warns of when somebody uses a deprecated version: what the definition says, else which version is
/// better.
fn deprecation(crd: &Value, version: &Value) -> String {
    if let Some(warning) = version.get("deprecationWarning").and_then(Value::as_str) {
        return warning.to_owned();
    }
    let (group, kind) = (text(crd, "/spec/group"), text(crd, "/spec/names/kind"));
    let name = text(version, "/name");
    let others = crd.pointer("/spec/versions").and_then(Value::as_array).into_iter().flatten();
    let lasting = others.filter(|other| flag(other, "/served") && !flag(other, "/deprecated"));
    let names = lasting.map(|other| text(other, "/name").to_owned()).chain([name.to_owned()]).collect();
    let best = by_preference(names).into_iter().next().filter(|best| best != name);
    let better = best.map(|best| format!("; use {group}/{best} {kind}")).unwrap_or_default();
    format!("{group}/{name} {kind} is deprecated{better}")
}

fn subresources_of(version: &Value) -> Subresources {
    let scale = version.pointer("/subresources/scale").map(|scale| ScalePaths {
        spec_replicas: text(scale, "/specReplicasPath").to_owned(),
        status_replicas: text(scale, "/statusReplicasPath").to_owned(),
        selector: text(scale, "/labelSelectorPath").to_owned(),
    });
    Subresources { status: version.pointer("/subresources/status").is_some(), scale }
}

fn column_of(column: &Value) -> Column {
    Column {
        name: text(column, "/name").to_owned(),
        type_: text(column, "/type").to_owned(),
        format: text(column, "/format").to_owned(),
        description: text(column, "/description").to_owned(),
        priority: column
            .get("priority")
            .and_then(Value::as_i64)
            .and_then(|p| i32::try_from(p).ok())
            .unwrap_or_default(),
        json_path: text(column, "/jsonPath").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn crd() -> Value {
        json!({
            "metadata": {"name": "syncs.loggia.dev"},
            "spec": {
                "group": "loggia.dev", "scope": "Namespaced",
                "names": {"kind": "Sync", "plural": "syncs", "shortNames": ["sy"]},
                "versions": [
                    {"name": "v1alpha1", "served": true, "storage": false},
                    {"name": "v1beta1", "served": true, "storage": true, "subresources": {"status": {}},
                     "schema": {"openAPIV3Schema": {"type": "object"}},
                     "additionalPrinterColumns": [{"name": "Ready", "type": "string", "jsonPath": ".status.ready", "priority": 1}]},
                    {"name": "v1", "served": false, "storage": false}
                ]
            }
        })
    }

    #[test]
    fn a_crd_adds_its_served_versions_and_takes_them_away() {
        let mut kinds = Kinds::builtin();
        let before = kinds.iter().count();
        kinds.add_crd(&crd()).unwrap();
        assert_eq!(kinds.iter().count(), before + 2);
        let kind = kinds.find("loggia.dev", "v1beta1", "syncs").unwrap();
        assert!(kind.storage && kind.namespaced && kind.subresources.status && kind.is_custom());
        assert_eq!((kind.singular.as_str(), kind.columns[0].priority), ("sync", 1));
        assert_eq!(kinds.groups()["loggia.dev"], ["v1beta1", "v1alpha1"]);
        assert_eq!(kinds.stored(&Resource::new("loggia.dev", "syncs")).unwrap().gvk.version, "v1beta1");
        kinds.remove_crd("syncs.loggia.dev");
        assert_eq!(kinds.iter().count(), before);
    }

    #[test]
    fn versions_are_preferred_as_kubernetes_prefers_them() {
        let versions =
            ["foo1", "v1", "v10", "v10beta3", "v11alpha2", "v11beta2", "v12alpha1", "v2", "v3beta1", "foo10"];
        let sorted = by_preference(versions.iter().map(|&v| v.to_owned()).collect());
        let expected =
            ["v10", "v2", "v1", "v11beta2", "v10beta3", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"];
        assert_eq!(sorted, expected);
    }

    #[test]
    fn builtin_kinds_are_found_by_path_and_by_kind() {
        let kinds = Kinds::builtin();
        let deployment = kinds.find("apps", "v1", "deployments").unwrap();
        assert_eq!(deployment.resource().to_string(), "deployments.apps");
        assert_eq!(kinds.by_gvk(&Gvk::new("", "v1", "Pod")).unwrap().resource().to_string(), "pods");
        assert!(kinds.iter().all(|kind| kinds.stored(&kind.stored_as).is_some()));
    }
}
