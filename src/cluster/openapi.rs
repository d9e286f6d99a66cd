//! What a server says of its types.

use serde_json::Value;

use super::error::Asked;
use super::{Cluster, ClusterError};

impl Cluster {
    /// The OpenAPI v3 documents of every group and version that the server has, one after the other.
    ///
    /// # Errors
    /// [`ClusterError`] when one of them cannot be had: a part of them would look like the whole.
    pub async fn openapi(&self) -> Result<Vec<Value>, ClusterError> {
        let index = self.document("/openapi/v3").await?;
        let paths = index.get("paths").and_then(Value::as_object).into_iter().flatten();
        let addresses = paths.filter_map(|(_, at)| at.get("serverRelativeURL")?.as_str());
        let mut documents = Vec::new();
        for address in addresses {
            documents.push(self.document(address).await?);
        }
        Ok(documents)
    }

    async fn document(&self, path: &str) -> Result<Value, ClusterError> {
        let asked = Asked { cluster: self.name().to_owned(), act: "read the types of", what: path.to_owned() };
        self.call(asked, "GET", path, None, &[]).await
    }
}
