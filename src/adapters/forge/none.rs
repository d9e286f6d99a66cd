//! No forge: a registry has no proposals and takes none.

use async_trait::async_trait;

use crate::domain::lease::Claim;
use crate::domain::time::Timestamp;
use crate::ports::forge::{Decision, Forge, ForgeError, Proposal, ProposalContent, ProposalState};
use crate::ports::git::GitError;

/// A place that people cannot be asked at.
#[derive(Debug, Clone)]
pub struct NoForge {
    url: String,
}

impl NoForge {
    /// The place at a URL.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    fn refused(&self) -> ForgeError {
        let reason = "a registry takes no proposals; set spec.approval.mode: automatic on the Sync, or derive a deployment in \
                      git from the package";
        ForgeError::Git(GitError::Url { url: self.url.clone(), reason: reason.to_owned() })
    }
}

#[async_trait]
impl Forge for NoForge {
    async fn list(&self) -> Result<Vec<Proposal>, ForgeError> {
        Ok(Vec::new())
    }

    async fn get(&self, number: u64) -> Result<Proposal, ForgeError> {
        Err(ForgeError::NotFound(number))
    }

    async fn open_or_update(
        &self,
        _: &Claim,
        _: &ProposalContent,
        _: Option<&str>,
        _: Timestamp,
    ) -> Result<Proposal, ForgeError> {
        Err(self.refused())
    }

    async fn decide(&self, number: u64, _: Decision, _: &str, _: &str, _: Timestamp) -> Result<Proposal, ForgeError> {
        Err(ForgeError::NotFound(number))
    }

    async fn comment(&self, number: u64, _: &str, _: &str, _: Timestamp) -> Result<Proposal, ForgeError> {
        Err(ForgeError::NotFound(number))
    }

    async fn conclude(&self, _: &Claim, number: u64, _: ProposalState) -> Result<Proposal, ForgeError> {
        Err(ForgeError::NotFound(number))
    }
}
