//! Declared kinds, one file each, their validation, and what they expand to.

pub mod cnf_deployment;
pub mod condition;
pub mod expand;
pub mod package_revision;
pub mod read;
pub mod repository;
pub mod sync;
pub mod target;
pub mod violation;

use kube::CustomResourceExt as _;
use serde_json::Value;

pub use cnf_deployment::CNFDeployment;
pub use expand::{Demand, ExpandError, annotation_violations, expand};
pub use package_revision::PackageRevision;
pub use repository::Repository;
pub use sync::Sync;
pub use target::Target;
pub use violation::Violation;

/// Finalizer of intents: the package is removed before the intent goes.
pub const FINALIZER: &str = "loggia.dev/intent";
/// Annotation on intents that came from Git: `repository:file:line`.
pub const SOURCE: &str = "loggia.dev/source";
/// Label on intents that came from Git: name of the Repository, to list them by.
pub const SOURCE_REPOSITORY: &str = "loggia.dev/intents";
/// Annotation on intents that came from Git: their Repository as `namespace/name`, which no label can hold. Only that
/// one speaks for them.
pub const SOURCE_OWNER: &str = "loggia.dev/intents-of";
/// Annotation on intents that came from Git: the commit that changed them last.
pub const SOURCE_COMMIT: &str = "loggia.dev/commit";

/// The custom resource definitions of all declared kinds with their file names, as they are applied and as `schemas/`
/// holds them.
#[must_use]
pub fn crds() -> Vec<(&'static str, Value)> {
    let all = [
        ("cnfdeployments.nephoran.com.yaml", CNFDeployment::crd()),
        ("packagerevisions.porch.kpt.dev.yaml", PackageRevision::crd()),
        ("repositories.config.porch.kpt.dev.yaml", Repository::crd()),
        ("syncs.loggia.dev.yaml", Sync::crd()),
        ("targets.loggia.dev.yaml", Target::crd()),
    ];
    all.into_iter().map(|(file, crd)| (file, structural(serde_json::to_value(crd).unwrap_or_default()))).collect()
}

/// Drops what a structural schema may not hold: integer formats that the API server does not know.
fn structural(mut crd: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(map) => {
                let unknown = |format: &str| format.starts_with("uint") || format == "int8" || format == "int16";
                if map.get("format").and_then(Value::as_str).is_some_and(unknown) {
                    map.remove("format");
                }
                map.values_mut().for_each(walk);
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut crd);
    if let Some(map) = crd.as_object_mut() {
        map.remove("status");
    }
    crd
}

#[cfg(test)]
mod tests;
