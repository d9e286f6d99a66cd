//! The definitions of custom kinds, as a target has them: what is foretold of their objects goes by them.

use std::collections::BTreeSet;

use super::EngineError;
use super::targets::Session;
use crate::cluster::ClusterError;
use crate::domain::krm::schema::Grade;
use crate::domain::krm::{Gvk, Object, Schemas};
use crate::domain::plan::{Declared, brings_kind};
use crate::domain::time::{SignedDuration, Timestamp};

/// How long a definition is believed to be as it was read.
const FRESH: SignedDuration = SignedDuration::from_mins(10);

/// A definition that was read, or that there was none to read.
#[derive(Debug, Clone)]
pub(super) struct Known {
    at: Timestamp,
    object: Option<Object>,
}

/// The definitions of the custom kinds of which objects are declared without theirs. A definition that is declared is
/// the one that will be there, so that of the target does not count.
///
/// # Guarantees
/// Each kind is asked for once in ten minutes at most; built-in kinds never.
///
/// # Errors
/// [`EngineError::Cluster`] when the target does not answer. What we may not read is not known, and no error.
pub(super) async fn definitions(
    session: &Session,
    declared: &Declared,
    builtin: &Schemas,
    now: Timestamp,
) -> Result<Vec<Object>, EngineError> {
    let kinds: BTreeSet<Gvk> = declared.objects.iter().map(|wanted| wanted.object.gvk()).collect();
    let asked = kinds.iter().filter(|kind| builtin.lookup(kind).1 == Grade::None && !brings_kind(declared, kind));
    let mut found = Vec::new();
    for kind in asked {
        found.extend(session.definition(kind, now).await?);
    }
    Ok(found)
}

impl Session {
    async fn definition(&self, kind: &Gvk, now: Timestamp) -> Result<Option<Object>, EngineError> {
        let mut known = self.definitions.lock().await;
        if let Some(known) = known.get(kind).filter(|known| now.duration_since(known.at) < FRESH) {
            return Ok(known.object.clone());
        }
        let object = self.read_definition(kind).await?;
        known.insert(kind.clone(), Known { at: now, object: object.clone() });
        Ok(object)
    }

    async fn read_definition(&self, kind: &Gvk) -> Result<Option<Object>, EngineError> {
        let Some(resource) = self.cluster.resource(kind).await? else { return Ok(None) };
        let definition = Gvk::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
        match self.cluster.get(&definition, "", &format!("{}.{}", resource.plural, kind.group)).await {
            Err(ClusterError::Forbidden { .. }) => Ok(None),
            found => Ok(found?),
        }
    }
}
