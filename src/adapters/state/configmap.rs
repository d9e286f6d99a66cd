//! History and holds in one `ConfigMap` beside each Sync, written by compare-and-swap.

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::cluster::{Cluster, ClusterError, Delete};
use crate::domain::id::NamespacedName;
use crate::domain::krm::{Gvk, Object, ObjectId};
use crate::domain::lease::Claim;
use crate::domain::rollout::SyncState;
use crate::ports::state::{StateError, StateStore, Versioned};

/// Largest state that is stored; an object may have about 1.5 MiB in all.
const LIMIT: usize = 900 << 10;

/// The key that the state is under.
const KEY: &str = "state.json";

/// State in the management cluster.
pub struct ConfigMapState {
    cluster: Cluster,
}

impl ConfigMapState {
    /// State kept in `cluster`.
    #[must_use]
    pub const fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }

    fn kind() -> Gvk {
        Gvk::new("", "v1", "ConfigMap")
    }

    fn name(sync: &NamespacedName) -> String {
        format!("loggia-state-{}", sync.name)
    }
}

fn io(act: &'static str, sync: &NamespacedName, error: &ClusterError) -> StateError {
    match error {
        ClusterError::Changed { .. } => StateError::Conflict(sync.clone()),
        ClusterError::Claim(expired) => StateError::Claim(expired.clone()),
        other => StateError::Io { act, sync: sync.clone(), reason: other.to_string() },
    }
}

/// State as JSON; the oldest history goes first when it would not fit.
fn serialised(state: &SyncState, sync: &NamespacedName) -> Result<String, StateError> {
    let mut state = state.clone();
    loop {
        let text = serde_json::to_string(&state)
            .map_err(|error| StateError::Damaged { sync: sync.clone(), reason: error.to_string() })?;
        if text.len() <= LIMIT || state.history.is_empty() {
            return Ok(text);
        }
        let half = state.history.len().div_ceil(2);
        state.history.drain(..half);
    }
}

/// The state that a `ConfigMap` holds. Without its key it is damaged: to take it for an empty one would lift every hold.
fn read(map: &Value) -> Result<SyncState, String> {
    let Some(text) = map.pointer(&format!("/data/{KEY}")).and_then(Value::as_str) else {
        return Err(format!("its ConfigMap has no key {KEY}"));
    };
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[async_trait]
impl StateStore for ConfigMapState {
    async fn get(&self, sync: &NamespacedName) -> Result<Versioned<SyncState>, StateError> {
        let found = self.cluster.get(&Self::kind(), &sync.namespace, &Self::name(sync)).await;
        let Some(object) = found.map_err(|error| io("reading", sync, &error))? else {
            return Ok(Versioned { value: SyncState::default(), version: String::new() });
        };
        let value = read(object.value()).map_err(|reason| StateError::Damaged { sync: sync.clone(), reason })?;
        Ok(Versioned { value, version: object.resource_version().to_owned() })
    }

    async fn put(
        &self,
        claim: Option<&Claim>,
        sync: &NamespacedName,
        state: &Versioned<SyncState>,
    ) -> Result<String, StateError> {
        let mut object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": Self::name(sync), "namespace": sync.namespace, "labels": {"loggia.dev/state": "sync"}},
            "data": {KEY: serialised(&state.value, sync)?}
        });
        if !state.version.is_empty() {
            object["metadata"]["resourceVersion"] = json!(state.version);
        }
        let damaged = |error: crate::domain::krm::object::NotAnObject| StateError::Damaged {
            sync: sync.clone(),
            reason: error.to_string(),
        };
        let object = Object::new(object).map_err(damaged)?;
        let written = if state.version.is_empty() {
            self.cluster.create(claim, &object).await
        } else {
            self.cluster.replace(claim, &object).await
        };
        Ok(written.map_err(|error| io("writing", sync, &error))?.resource_version().to_owned())
    }

    async fn delete(&self, claim: &Claim, sync: &NamespacedName) -> Result<(), StateError> {
        let id = ObjectId {
            group: String::new(),
            kind: "ConfigMap".to_owned(),
            namespace: sync.namespace.clone(),
            name: Self::name(sync),
        };
        let deleted = self.cluster.delete(Some(claim), &Self::kind(), &id, &Delete::default()).await;
        deleted.map(drop).map_err(|error| io("deleting", sync, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_is_not_there_is_not_an_empty_one() {
        let written = serialised(
            &SyncState::default(),
            &NamespacedName { namespace: "default".to_owned(), name: "a".to_owned() },
        )
        .unwrap();
        assert_eq!(read(&json!({"data": {"state.json": written}})), Ok(SyncState::default()));
        for damaged in [json!({}), json!({"data": {}}), json!({"data": {"other": "{}"}}), json!({"binaryData": {}})] {
            assert!(read(&damaged).unwrap_err().contains("state.json"), "{damaged}");
        }
        assert!(read(&json!({"data": {"state.json": "{"}})).is_err());
    }
}
