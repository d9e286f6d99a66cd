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

/// How long a scope may take to be read whole, and a write to be seen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

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

    /// Forgets a session, so that the next one reads the Secret again.
    pub fn forget(&self, target: &NamespacedName) {
        self.sessions().remove(target);
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
        let cluster = connect(management, target, &name).await?;
        // One cheap question tells whether the target answers at all.
        cluster.version().await?;
        let mirror = Mirror::new(cluster.clone());
        follow(&mirror, name.clone(), self.wake.clone());
        let (inventories, definitions) = (Mutex::new(BTreeMap::new()), Mutex::new(BTreeMap::new()));
        let wanted = sync::Mutex::default();
        Ok(Session { name, cluster, mirror, inventories, wanted, definitions, fingerprint })
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

async fn connect(management: &Cluster, target: &Target, name: &TargetName) -> Result<Cluster, EngineError> {
    let Some(reference) = &target.spec.kubeconfig_secret else { return Ok(management.clone()) };
    let namespace = target.namespace().unwrap_or_default();
    let missing = || EngineError::Reference {
        what: format!("Target {namespace}/{name}"),
        kind: "Secret",
        name: format!("{} (key {})", reference.name, reference.key),
    };
    let secret =
        management.get(&Gvk::new("", "v1", "Secret"), &namespace, &reference.name).await?.ok_or_else(missing)?;
    let data = secret.value().get("data").and_then(|data| data.get(&reference.key)).and_then(Value::as_str);
    let text = data.and_then(base64::decode).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(missing)?;
    Ok(Cluster::from_kubeconfig(name.as_str(), &text, None, false).await?)
}

impl Session {
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
