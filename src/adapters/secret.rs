//! Credentials in a Secret of the management cluster.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::Handle;

use crate::cluster::Cluster;
use crate::domain::credentials::{Door, SignIn, in_secret};
use crate::domain::error::Classify as _;
use crate::domain::id::NamespacedName;
use crate::domain::krm::Gvk;
use crate::ports::sign_in::{SignInError, SignIns};

/// The credentials in one Secret.
///
/// *Flow*: the Secret is read when credentials are wanted for the first time, and again when they were refused, so that
/// a rotation needs no restart and what is settled costs no request.
///
/// *Guarantees*: what was read is held in memory only, in a type that cannot be printed. The right to `get` this one
/// Secret is enough: Secrets are neither listed nor watched.
///
/// *Assumptions*: called outside async code (`spawn_blocking`).
pub struct SecretSignIns {
    cluster: Cluster,
    runtime: Handle,
    secret: NamespacedName,
    known: Mutex<Option<SignIn>>,
}

impl SecretSignIns {
    /// Reads nothing yet. `runtime` is that of the cluster's client.
    #[must_use]
    pub fn new(cluster: Cluster, runtime: Handle, secret: NamespacedName) -> Self {
        Self { cluster, runtime, secret, known: Mutex::new(None) }
    }

    fn read(&self, door: Door<'_>) -> Result<SignIn, SignInError> {
        let NamespacedName { namespace, name } = &self.secret;
        let kind = Gvk::new("", "v1", "Secret");
        let found = self.runtime.block_on(self.cluster.get(&kind, namespace, name)).map_err(|error| {
            let (reason, class) = (error.to_string(), error.class());
            SignInError::Read { secret: self.secret.clone(), reason, class }
        })?;
        let object = found.ok_or_else(|| SignInError::Missing(self.secret.clone()))?;
        in_secret(object.value(), door).map_err(|source| SignInError::Unfit { secret: self.secret.clone(), source })
    }

    fn remember(&self, new: Option<SignIn>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = new;
    }
}

impl SignIns for SecretSignIns {
    fn sign_in(&self, door: Door<'_>) -> Result<Option<SignIn>, SignInError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known.is_some() {
            return Ok(known);
        }
        let new = self.read(door)?;
        self.remember(Some(new.clone()));
        Ok(Some(new))
    }

    fn instead_of(&self, refused: &SignIn, door: Door<'_>) -> Result<Option<SignIn>, SignInError> {
        self.remember(None);
        let new = self.read(door)?;
        self.remember(Some(new.clone()));
        Ok(Some(new).filter(|new| new != refused))
    }
}
