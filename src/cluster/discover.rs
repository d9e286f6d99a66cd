//! Which kinds a server has, and where; asked once a group and version.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::Asked;
use super::{Cluster, ClusterError, Resource};
use crate::domain::krm::Gvk;

/// Answers so far: group and version to kinds. A group that was not there is asked for again.
#[derive(Debug, Default)]
pub(super) struct Resources(BTreeMap<String, BTreeMap<String, Resource>>);

impl Cluster {
    /// Where a kind is served; `None` when the server does not have it.
    ///
    /// # Errors
    /// [`ClusterError`] when the server cannot be asked.
    pub async fn resource(&self, kind: &Gvk) -> Result<Option<Resource>, ClusterError> {
        let mut known = self.resources.lock().await;
        let group = kind.api_version();
        if let Some(found) = known.0.get(&group).and_then(|kinds| kinds.get(&kind.kind)) {
            return Ok(Some(found.clone()));
        }
        let fresh = self.group(kind).await?;
        let found = fresh.get(&kind.kind).cloned();
        known.0.insert(group, fresh);
        Ok(found)
    }

    /// Forgets where the kinds of a group and version are, so that they are asked for anew.
    pub(super) async fn forget(&self, kind: &Gvk) {
        self.resources.lock().await.0.remove(&kind.api_version());
    }

    /// The versions that a group is served in, those first that the server prefers; none when it has no such group.
    ///
    /// # Errors
    /// [`ClusterError`] when the server cannot be asked.
    pub async fn versions(&self, group: &str) -> Result<Vec<String>, ClusterError> {
        let path = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        let answer = match self.call(self.asked("discover", group), "GET", &path, None, &[]).await {
            Ok(answer) => answer,
            Err(ClusterError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let entries = answer.get("versions").and_then(Value::as_array).into_iter().flatten();
        // The core group lists its versions as they are, the others say where each is.
        let name = |entry: &Value| entry.as_str().or_else(|| entry.get("version")?.as_str()).map(str::to_owned);
        Ok(entries.filter_map(name).collect())
    }

    async fn group(&self, kind: &Gvk) -> Result<BTreeMap<String, Resource>, ClusterError> {
        let path = if kind.group.is_empty() {
            format!("/api/{}", kind.version)
        } else {
            format!("/apis/{}/{}", kind.group, kind.version)
        };
        let asked = Asked { cluster: self.name().to_owned(), act: "discover", what: kind.api_version() };
        match self.call(asked, "GET", &path, None, &[]).await {
            Ok(list) => Ok(kinds(&list, kind)),
            Err(ClusterError::NotFound { .. }) => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        }
    }
}

fn kinds(list: &Value, of: &Gvk) -> BTreeMap<String, Resource> {
    let entries = list.get("resources").and_then(Value::as_array).into_iter().flatten();
    entries
        .filter_map(|entry| {
            let text = |field: &str| entry.get(field).and_then(Value::as_str);
            let plural = text("name").filter(|name| !name.contains('/'))?;
            let kind = Gvk::new(&of.group, &of.version, text("kind")?);
            let namespaced = entry.get("namespaced").and_then(Value::as_bool).unwrap_or_default();
            Some((kind.kind.clone(), Resource { kind, plural: plural.to_owned(), namespaced }))
        })
        .collect()
}
