//! Sessions with targets: a connection, live copies, inventories.

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{self, Arc, MutexGuard, PoisonError};
use std::time::Duration;

use kube::ResourceExt as _;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc};

use super::definitions::Known;
use super::gather::key;
use super::{EngineError, MANAGER};
use crate::cluster::{Apply, Cluster, ClusterError, Mirror, Scope};
use crate::domain::id::{NamespacedName, TargetName, UnitId};
use crate::domain::intent::Target;
use crate::domain::inventory::{self, Inventory};
use crate::domain::krm::{Gvk, Object, base64};
use crate::domain::lease::Claim;
use crate::domain::time::{SignedDuration, Timestamp};

/// How long a scope may take to be read whole, and a write to be seen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// How often a target is asked whether it answers still, and its Secret whether it is the same.
const CHECK: SignedDuration = SignedDuration::from_secs(30);

/// What a target answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Version of its API server.
    pub version: String,
    /// When to ask again.
    pub again: SignedDuration,
}

/// What a target told of itself, and when; no time: when it was connected to.
struct Told {
    version: String,
    at: Option<Timestamp>,
}

/// A live connection to one target.
pub struct Session {
    /// Its name.
    pub name: TargetName,
    /// The connection.
    pub cluster: Cluster,
    /// Live copies.
    pub mirror: Mirror,
    inventories: Mutex<BTreeMap<UnitId, Inventory>>,
    /// What pending proofs follow beside members, by unit.
    wanted: sync::Mutex<BTreeMap<UnitId, BTreeSet<Scope>>>,
    pub(super) definitions: Mutex<BTreeMap<Gvk, Known>>,
    fingerprint: String,
    /// Version of the Secret that it was made from; empty without one.
    secret: String,
    told: sync::Mutex<Told>,
}

/// All sessions. A target that changes gets a new one.
pub struct Targets {
    sessions: sync::Mutex<BTreeMap<NamespacedName, Arc<Session>>>,
    wake: mpsc::Sender<TargetName>,
}

fn config_map() -> Gvk {
    Gvk::new("", "v1", "ConfigMap")
}

impl Targets {
    /// No sessions yet; `wake` hears of targets on which something changed.
    #[must_use]
    pub fn new(wake: mpsc::Sender<TargetName>) -> Self {
        Self { sessions: sync::Mutex::default(), wake }
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<NamespacedName, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sessions of the moment.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.sessions().values().cloned().collect()
    }

    /// The session with a target as it is now, if there is one.
    #[must_use]
    pub fn known(&self, target: &NamespacedName) -> Option<Arc<Session>> {
        self.sessions().get(target).cloned()
    }

    /// Asks a target whether it answers still, and whether its Secret is the same, unless it was asked a moment ago.
    ///
    /// # Guarantees
    /// The session with a target that does not answer is forgotten, as is one that was made from another Secret. When
    /// the management cluster does not answer, nothing is known of the target, and its session stays.
    ///
    /// # Errors
    /// As [`Targets::session`].
    pub async fn check(&self, management: &Cluster, target: &Target, now: Timestamp) -> Result<Answer, EngineError> {
        let session = self.or_forget(target, self.session(management, target).await)?;
        if let Some(answer) = session.answer(now) {
            return Ok(answer);
        }
        let found = match secret(management, target).await {
            Err(error @ EngineError::Cluster(_)) => return Err(error),
            found => self.or_forget(target, found)?,
        };
        if session.secret != version_of(found.as_ref()) {
            self.sessions().remove(&key(target));
            return Ok(self.session(management, target).await?.told(now, None));
        }
        let version = self.or_forget(target, session.cluster.version().await.map_err(EngineError::from))?;
        Ok(session.told(now, Some(version)))
    }

    /// Forgets the session with a target for which something failed.
    fn or_forget<T>(&self, target: &Target, result: Result<T, EngineError>) -> Result<T, EngineError> {
        if result.is_err() {
            self.sessions().remove(&key(target));
        }
        result
    }

    /// Ends what is kept for Targets and for Syncs that are gone.
    pub fn retain(&self, target: impl Fn(&NamespacedName) -> bool, sync: impl Fn(&NamespacedName) -> bool) {
        self.sessions().retain(|name, _| target(name));
        for session in self.all() {
            session.retain(&sync);
        }
    }

    /// The session with a target; connects when there is none or when the Target changed. Who connects keeps nobody
    /// waiting who asks for another target.
    ///
    /// # Errors
    /// [`EngineError::Cluster`] when the target or its Secret is out of reach, [`EngineError::Reference`] when the
    /// Secret is not there.
    pub async fn session(&self, management: &Cluster, target: &Target) -> Result<Arc<Session>, EngineError> {
        let fingerprint =
            format!("{} {}", target.uid().unwrap_or_default(), target.metadata.generation.unwrap_or_default());
        let known = self.sessions().get(&key(target)).filter(|known| known.fingerprint == fingerprint).cloned();
        match known {
            Some(session) => Ok(session),
            None => Ok(self.keep(key(target), self.connect(management, target, fingerprint).await?)),
        }
    }

    /// A session that was connected; if somebody else was faster, theirs.
    fn keep(&self, target: NamespacedName, session: Session) -> Arc<Session> {
        let mut sessions = self.sessions();
        match sessions.get(&target) {
            Some(known) if known.fingerprint == session.fingerprint => known.clone(),
            _ => {
                let session = Arc::new(session);
                sessions.insert(target, session.clone());
                session
            }
        }
    }

    async fn connect(
        &self,
        management: &Cluster,
        target: &Target,
        fingerprint: String,
    ) -> Result<Session, EngineError> {
        let name = TargetName::new(target.name_any())?;
        let secret = secret(management, target).await?;
        let cluster = match &secret {
            Some(secret) => Cluster::from_kubeconfig(name.as_str(), &kubeconfig(target, secret)?, None, false).await?,
            None => management.clone(),
        };
        // One cheap question tells whether the target answers at all.
        let version = cluster.version().await?;
        let mirror = Mirror::new(cluster.clone());
        follow(&mirror, name.clone(), self.wake.clone());
        Ok(Session {
            name,
            cluster,
            mirror,
            inventories: Mutex::new(BTreeMap::new()),
            wanted: sync::Mutex::default(),
            definitions: Mutex::new(BTreeMap::new()),
            fingerprint,
            secret: version_of(secret.as_ref()),
            told: sync::Mutex::new(Told { version, at: None }),
        })
    }
}

fn follow(mirror: &Mirror, name: TargetName, wake: mpsc::Sender<TargetName>) {
    let mut changes = mirror.subscribe();
    tokio::spawn(async move {
        // Lagging means that there was more than one change; one wake-up covers them all.
        while !matches!(changes.recv().await, Err(tokio::sync::broadcast::error::RecvError::Closed)) {
            while changes.try_recv().is_ok() {}
            if wake.send(name.clone()).await.is_err() {
                return;
            }
        }
    });
}

fn missing(target: &Target) -> EngineError {
    let reference = target.spec.kubeconfig_secret.as_ref();
    EngineError::Reference {
        what: format!("Target {}", key(target)),
        kind: "Secret",
        name: reference.map_or_else(String::new, |found| format!("{} (key {})", found.name, found.key)),
    }
}

/// The Secret that lets us in to a target; `None` when it is the management cluster itself.
async fn secret(management: &Cluster, target: &Target) -> Result<Option<Object>, EngineError> {
    let Some(reference) = &target.spec.kubeconfig_secret else { return Ok(None) };
    let namespace = target.namespace().unwrap_or_default();
    let found = management.get(&Gvk::new("", "v1", "Secret"), &namespace, &reference.name).await?;
    found.ok_or_else(|| missing(target)).map(Some)
}

fn version_of(secret: Option<&Object>) -> String {
    secret.map(|secret| secret.resource_version().to_owned()).unwrap_or_default()
}

fn kubeconfig(target: &Target, secret: &Object) -> Result<String, EngineError> {
    let name = target.spec.kubeconfig_secret.as_ref().map(|reference| reference.key.as_str()).unwrap_or_default();
    let data = secret.value().get("data").and_then(|data| data.get(name)).and_then(Value::as_str);
    let text = data.and_then(base64::decode).and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| missing(target))
}

impl Session {
    /// What it told, unless that is too long ago.
    fn answer(&self, now: Timestamp) -> Option<Answer> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.duration_since(*told.at.get_or_insert(now)).max(SignedDuration::ZERO);
        (since < CHECK).then(|| Answer { version: told.version.clone(), again: CHECK - since })
    }

    /// Notes that it answered just now.
    fn told(&self, now: Timestamp, version: Option<String>) -> Answer {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.at = Some(now);
        if let Some(version) = version {
            told.version = version;
        }
        Answer { version: told.version.clone(), again: CHECK }
    }

    /// What a unit owns, read once and kept since; the lease makes us its only writer.
    ///
    /// # Errors
    /// [`EngineError::Object`] when it is damaged: it is never taken for empty.
    pub async fn inventory(&self, unit: &UnitId) -> Result<Inventory, EngineError> {
        let mut known = self.inventories.lock().await;
        if let Some(inventory) = known.get(unit) {
            return Ok(inventory.clone());
        }
        let name = inventory::object_name(unit);
        let found = self.cluster.get(&config_map(), inventory::NAMESPACE, &name).await?;
        let lines =
            found.as_ref().and_then(|o| o.value().pointer("/data/objects")).and_then(Value::as_str).unwrap_or_default();
        let inventory = Inventory::parse(lines).map_err(|error| EngineError::Object {
            what: format!("ConfigMap {name} on {}", self.name),
            reason: error.to_string(),
        })?;
        known.insert(unit.clone(), inventory.clone());
        Ok(inventory)
    }

    /// Stores what a unit owns; an empty inventory takes its object away.
    ///
    /// # Errors
    /// [`EngineError::Cluster`].
    pub async fn store_inventory(
        &self,
        claim: &Claim,
        unit: &UnitId,
        inventory: &Inventory,
    ) -> Result<(), EngineError> {
        let mut known = self.inventories.lock().await;
        if known.get(unit) == Some(inventory) && !inventory.is_empty() {
            return Ok(());
        }
        self.ensure_namespace(claim).await?;
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {
                "name": inventory::object_name(unit), "namespace": inventory::NAMESPACE,
                "labels": {inventory::APPLYSET_ID: inventory::applyset_id(unit), inventory::MARK: "true"},
                "annotations": {"applyset.kubernetes.io/tooling": "loggia/v1", "loggia.dev/unit": unit.to_string()}
            },
            "data": {"objects": inventory.lines()}
        });
        let object = Object::new(object)
            .map_err(|wrong| EngineError::Object { what: unit.to_string(), reason: wrong.to_string() })?;
        if inventory.is_empty() {
            self.cluster.delete(Some(claim), &config_map(), &object.id(), &crate::cluster::Delete::default()).await?;
        } else {
            self.cluster.apply(Some(claim), &object, &Apply::new(MANAGER).forced()).await?;
        }
        known.insert(unit.clone(), inventory.clone());
        Ok(())
    }

    /// Says which scopes beside members a unit wants from now on; what no unit wants any more is not kept.
    pub(super) fn want(&self, unit: &UnitId, scopes: BTreeSet<Scope>) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if scopes.is_empty() {
            wanted.remove(unit);
        } else {
            wanted.insert(unit.clone(), scopes);
        }
        // Under the lock: who wants a scope from now on ensures it afterwards, and finds it kept or begins it.
        self.mirror.retain(|scope| !scope.selector.is_empty() || wanted.values().any(|some| some.contains(scope)));
    }

    /// Ends the proofs of Syncs that are gone.
    fn retain(&self, sync: impl Fn(&NamespacedName) -> bool) {
        let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<UnitId> = wanted.keys().filter(|unit| !sync(&unit.sync)).cloned().collect();
        drop(wanted);
        for unit in gone {
            self.want(&unit, BTreeSet::new());
        }
    }

    async fn ensure_namespace(&self, claim: &Claim) -> Result<(), EngineError> {
        let kind = Gvk::new("", "v1", "Namespace");
        if self.cluster.get(&kind, "", inventory::NAMESPACE).await?.is_some() {
            return Ok(());
        }
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": inventory::NAMESPACE}});
        let namespace = Object::new(namespace).map_err(|wrong| EngineError::Object {
            what: inventory::NAMESPACE.to_owned(),
            reason: wrong.to_string(),
        })?;
        match self.cluster.create(Some(claim), &namespace).await {
            Ok(_) | Err(ClusterError::Changed { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The live copies of a kind's members.
    #[must_use]
    pub fn members(kind: &Gvk) -> Scope {
        Scope { kind: kind.clone(), namespace: String::new(), selector: inventory::PART_OF.to_owned() }
    }
}
