//! Where credentials come from.

use crate::domain::credentials::{CredentialsError, Door, SignIn};
use crate::domain::error::{Class, Classify};
use crate::domain::id::NamespacedName;

/// Why there are no credentials. No variant holds any.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// A file of credentials cannot be read.
    #[error("reading the credentials of {registry} in {file}: {reason} [oci.auth]")]
    File {
        /// Which registry.
        registry: String,
        /// Which file.
        file: String,
        /// Why.
        reason: String,
    },
    /// There is no such Secret.
    #[error(
        "there is no Secret {0}, which secretRef of the Repository names; make it, or remove secretRef [ref.not_found]"
    )]
    Missing(NamespacedName),
    /// A Secret does not hold what it should.
    #[error("Secret {secret}, which secretRef of the Repository names, lets us in nowhere: {source}")]
    Unfit {
        /// Which Secret.
        secret: NamespacedName,
        /// Why.
        source: CredentialsError,
    },
    /// A Secret cannot be read.
    #[error("cannot read Secret {secret}, which secretRef of the Repository names: {reason}")]
    Read {
        /// Which Secret.
        secret: NamespacedName,
        /// Why.
        reason: String,
        /// What kind of failure it is.
        class: Class,
    },
}

impl Classify for SignInError {
    fn class(&self) -> Class {
        match self {
            Self::File { .. } => Class::Transient,
            Self::Missing(_) | Self::Unfit { .. } => Class::Denied,
            Self::Read { class, .. } => *class,
        }
    }
}

/// Credentials that are looked up when they are needed. Calls block.
pub trait SignIns: Send + Sync {
    /// What lets us in at a door; `None` when nobody gave anything for it. What was read may be remembered.
    ///
    /// # Errors
    /// [`SignInError`].
    fn sign_in(&self, door: Door<'_>) -> Result<Option<SignIn>, SignInError>;

    /// What to try after these were refused: the source is read anew. `None` when it holds the same still.
    ///
    /// # Errors
    /// [`SignInError`].
    fn instead_of(&self, refused: &SignIn, door: Door<'_>) -> Result<Option<SignIn>, SignInError>;
}
