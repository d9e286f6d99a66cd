//! Writing objects. Every write asks for the claim first.

use serde_json::{Value, json};

use super::read::escape;
use super::{Cluster, ClusterError};
use crate::domain::krm::{Gvk, Object, ObjectId};
use crate::domain::lease::Claim;
use crate::domain::time::Timestamp;

/// How to apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apply {
    /// Field manager.
    pub manager: String,
    /// Only ask what would happen.
    pub dry_run: bool,
    /// Take over fields of others; only for objects that are ours alone, such as status.
    pub force: bool,
    /// Subresource, such as `status`; empty for the object itself.
    pub subresource: &'static str,
}

impl Apply {
    /// Applies as `manager`, for real, without force.
    #[must_use]
    pub fn new(manager: &str) -> Self {
        Self { manager: manager.to_owned(), dry_run: false, force: false, subresource: "" }
    }

    /// Takes over fields of others.
    #[must_use]
    pub const fn forced(mut self) -> Self {
        self.force = true;
        self
    }

    /// Writes the status.
    #[must_use]
    pub const fn status(mut self) -> Self {
        self.subresource = "/status";
        self
    }
}

/// What must hold for an object to be deleted, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delete {
    /// It is still this one.
    pub uid: Option<String>,
    /// It did not change since.
    pub resource_version: Option<String>,
}

impl Cluster {
    fn check(claim: Option<&Claim>) -> Result<(), ClusterError> {
        // Wall time is what the Lease is measured in; this is the last place before the wire.
        claim.map_or(Ok(()), |claim| claim.check(Timestamp::now())).map_err(ClusterError::from)
    }

    /// Server-side apply; gives the object as the server holds it then.
    ///
    /// # Errors
    /// [`ClusterError::Conflict`] with every field and manager; [`ClusterError::Invalid`] with the server's causes.
    pub async fn apply(&self, claim: Option<&Claim>, object: &Object, how: &Apply) -> Result<Object, ClusterError> {
        Self::check(claim)?;
        let resource = self.served(&object.gvk(), "apply").await?;
        let path = format!(
            "{}{}?fieldManager={}&force={}&fieldValidation=Strict{}",
            resource.path(object.namespace(), Some(object.name())),
            how.subresource,
            escape(&how.manager),
            how.force,
            if how.dry_run { "&dryRun=All" } else { "" }
        );
        let headers = [("content-type", "application/apply-patch+yaml")];
        let answer =
            self.call(self.asked("apply", &object.id()), "PATCH", &path, Some(object.value()), &headers).await?;
        self.object(answer, "apply", &object.id())
    }

    /// Creates an object.
    ///
    /// # Errors
    /// [`ClusterError::Changed`] when it exists.
    pub async fn create(&self, claim: Option<&Claim>, object: &Object) -> Result<Object, ClusterError> {
        Self::check(claim)?;
        let resource = self.served(&object.gvk(), "create").await?;
        let path = format!("{}?fieldManager=loggia", resource.path(object.namespace(), None));
        let headers = [("content-type", "application/json")];
        let answer =
            self.call(self.asked("create", &object.id()), "POST", &path, Some(object.value()), &headers).await?;
        self.object(answer, "create", &object.id())
    }

    /// Replaces an object; with `metadata.resourceVersion` only when it did not change since.
    ///
    /// # Errors
    /// [`ClusterError::Changed`] when it did.
    pub async fn replace(&self, claim: Option<&Claim>, object: &Object) -> Result<Object, ClusterError> {
        Self::check(claim)?;
        let resource = self.served(&object.gvk(), "update").await?;
        let path = format!("{}?fieldManager=loggia", resource.path(object.namespace(), Some(object.name())));
        let headers = [("content-type", "application/json")];
        let answer =
            self.call(self.asked("update", &object.id()), "PUT", &path, Some(object.value()), &headers).await?;
        self.object(answer, "update", &object.id())
    }

    /// Merges a patch into an object (RFC 7386).
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn merge(
        &self,
        claim: Option<&Claim>,
        kind: &Gvk,
        id: &ObjectId,
        subresource: &str,
        patch: &Value,
    ) -> Result<Object, ClusterError> {
        Self::check(claim)?;
        let resource = self.served(kind, "patch").await?;
        let path = format!("{}{subresource}?fieldManager=loggia", resource.path(&id.namespace, Some(&id.name)));
        let headers = [("content-type", "application/merge-patch+json")];
        let answer = self.call(self.asked("patch", id), "PATCH", &path, Some(patch), &headers).await?;
        self.object(answer, "patch", id)
    }

    /// Deletes an object in the background. Absence is success: `false` says that it was gone already.
    ///
    /// # Errors
    /// [`ClusterError::Changed`] when the object is another one by now.
    pub async fn delete(
        &self,
        claim: Option<&Claim>,
        kind: &Gvk,
        id: &ObjectId,
        when: &Delete,
    ) -> Result<bool, ClusterError> {
        Self::check(claim)?;
        let Some(resource) = self.resource(kind).await? else { return Ok(false) };
        let mut body = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
        if let Some(uid) = &when.uid {
            body["preconditions"]["uid"] = json!(uid);
        }
        if let Some(version) = &when.resource_version {
            body["preconditions"]["resourceVersion"] = json!(version);
        }
        let headers = [("content-type", "application/json")];
        let path = resource.path(&id.namespace, Some(&id.name));
        match self.call(self.asked("delete", id), "DELETE", &path, Some(&body), &headers).await {
            Ok(_) => Ok(true),
            Err(ClusterError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn object(&self, answer: Value, act: &'static str, id: &ObjectId) -> Result<Object, ClusterError> {
        Object::new(answer).map_err(|wrong| ClusterError::Busy {
            cluster: self.name().to_owned(),
            act,
            what: id.to_string(),
            reason: format!("the answer is not an object: {wrong}"),
            retry_after_seconds: None,
        })
    }
}
