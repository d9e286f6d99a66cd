//! What a round needs to know: objects of the management cluster, revisions, proposals, sessions.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::ResourceExt as _;
use serde::de::DeserializeOwned;

use super::agenda::{Agenda, Wanted};
use super::targets::Session;
use super::{Engine, EngineError};
use crate::cluster::Cluster;
use crate::domain::id::{NamespacedName, PackageName, RepositoryName, TargetName};
use crate::domain::intent::repository::{CONTENT, violations};
use crate::domain::intent::{Repository, Sync, Target};
use crate::domain::krm::Gvk;
use crate::domain::placement::{Placement, TargetFacts, choose};
use crate::ports::forge::Forge;
use crate::ports::repositories::Location;
use crate::ports::revisions::PackageStore;

/// Objects of the management cluster that every round looks at. The controllers keep them by watch, the command line
/// reads them once.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Repositories by namespace and name.
    pub repositories: BTreeMap<NamespacedName, Repository>,
    /// Targets by namespace and name.
    pub targets: BTreeMap<NamespacedName, Target>,
    /// Syncs, in no order.
    pub syncs: Vec<Arc<Sync>>,
}

/// Reads all objects of a kind in a namespace (empty: all) as their type.
///
/// # Errors
/// [`EngineError::Object`] for an object that is not what its kind says.
pub async fn all<T: DeserializeOwned>(cluster: &Cluster, kind: &Gvk, namespace: &str) -> Result<Vec<T>, EngineError> {
    let listing = cluster.list(kind, namespace, "").await?;
    listing
        .objects
        .into_iter()
        .map(|object| {
            let what = object.id().to_string();
            serde_json::from_value(object.into_value())
                .map_err(|error| EngineError::Object { what, reason: error.to_string() })
        })
        .collect()
}

/// Namespace and name of an object.
#[must_use]
pub fn key<K: kube::Resource>(object: &K) -> NamespacedName {
    NamespacedName { namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
}

impl World {
    /// Reads the world once.
    ///
    /// # Errors
    /// [`EngineError`] when the management cluster cannot be read.
    pub async fn read(management: &Cluster, namespace: &str) -> Result<Self, EngineError> {
        let repositories: Vec<Repository> =
            all(management, &Gvk::new("config.porch.kpt.dev", "v1alpha1", "Repository"), namespace).await?;
        let targets: Vec<Target> = all(management, &Gvk::new("loggia.dev", "v1alpha1", "Target"), namespace).await?;
        let syncs: Vec<Sync> = all(management, &Gvk::new("loggia.dev", "v1alpha1", "Sync"), namespace).await?;
        Ok(Self {
            repositories: repositories.into_iter().map(|object| (key(&object), object)).collect(),
            targets: targets.into_iter().map(|object| (key(&object), object)).collect(),
            syncs: syncs.into_iter().map(Arc::new).collect(),
        })
    }

    /// Where a Repository is.
    ///
    /// # Errors
    /// [`EngineError::Reference`] when there is none of that name.
    pub fn location(&self, who: &str, namespace: &str, name: &str) -> Result<Location, EngineError> {
        let missing = || EngineError::Reference { what: who.to_owned(), kind: "Repository", name: name.to_owned() };
        let key = NamespacedName { namespace: namespace.to_owned(), name: name.to_owned() };
        location(self.repositories.get(&key).ok_or_else(missing)?)
    }

    /// The Sync that a package belongs to, when that is another one: the oldest of those that are about it. A package
    /// has one open proposal and is deleted as a whole, so two Syncs would take both from each other. What a registry
    /// holds is only read.
    #[must_use]
    pub fn taken_by(&self, sync: &Sync) -> Option<NamespacedName> {
        let place = self.place_of(sync)?;
        let age = |sync: &Sync| {
            let created = sync.metadata.creation_timestamp.clone();
            // One that is not stored yet is the youngest.
            (created.is_none(), created, key(sync))
        };
        let same = |other: &&Arc<Sync>| other.spec.package.name == sync.spec.package.name;
        let older =
            self.syncs.iter().filter(same).filter(|other| key(other.as_ref()) != key(sync) && age(other) < age(sync));
        let rivals = older.filter(|other| self.place_of(other) == Some(place.clone()));
        rivals.min_by_key(|other| age(other)).map(|other| key(other.as_ref()))
    }

    /// Repository, branch and directory of a Sync's package, when it can be written.
    fn place_of(&self, sync: &Sync) -> Option<(String, String, String)> {
        let location = self.location("", &key(sync).namespace, &sync.spec.package.repository).ok()?;
        (!location.is_registry()).then_some((location.url, location.branch, location.directory))
    }

    /// Targets of a namespace as placement sees them.
    ///
    /// # Errors
    /// [`EngineError::Id`] for a name that is none.
    pub fn place(&self, sync: &Sync) -> Result<Placement, EngineError> {
        let namespace = sync.namespace().unwrap_or_default();
        let facts: Result<Vec<TargetFacts>, EngineError> = self
            .targets
            .iter()
            .filter(|(key, target)| key.namespace == namespace && target.metadata.deletion_timestamp.is_none())
            .map(|(key, target)| {
                Ok(TargetFacts { name: TargetName::new(key.name.clone())?, labels: target.labels().clone() })
            })
            .collect();
        Ok(choose(&sync.spec.targets, &facts?))
    }
}

/// Where a Repository is.
///
/// # Errors
/// [`EngineError::Object`] naming everything that is wrong with it.
pub fn location(repository: &Repository) -> Result<Location, EngineError> {
    let (name, spec) = (repository.name_any(), &repository.spec);
    let wrong = violations(spec, holds_intents(repository));
    if !wrong.is_empty() {
        let reason = wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        return Err(EngineError::Object { what: format!("Repository {name}"), reason });
    }
    let id = RepositoryName::new(name)?;
    let namespace = repository.namespace().unwrap_or_default();
    let secret = spec.secret().map(|name| NamespacedName { namespace, name: name.to_owned() });
    if let (Some(url), Some(oci)) = (spec.registry(), &spec.oci) {
        let packages = oci.packages.iter().map(|name| PackageName::new(name.as_str())).collect::<Result<_, _>>()?;
        return Ok(Location {
            name: id,
            url,
            branch: String::new(),
            directory: String::new(),
            packages,
            keys: spec.keys(),
            secret,
        });
    }
    let place = spec.git.as_ref().map(|git| Location::git(id.clone(), &git.repo, &git.branch, &git.directory));
    let missing = || EngineError::Object { what: format!("Repository {id}"), reason: "spec.git is missing".to_owned() };
    Ok(Location { keys: spec.keys(), secret, ..place.ok_or_else(missing)? })
}

/// Whether a Repository holds intents, not packages.
#[must_use]
pub fn holds_intents(repository: &Repository) -> bool {
    repository.annotations().get(CONTENT).is_some_and(|content| content == "intents")
}

/// One target of a Sync: its wave, and its session or why there is none.
pub struct Seat {
    /// The target.
    pub name: TargetName,
    /// Its wave, from 0.
    pub wave: usize,
    /// The connection.
    pub session: Result<Arc<Session>, EngineError>,
}

/// Everything a round over a Sync needs.
pub struct Situation {
    /// Namespace and name of the Sync.
    pub key: NamespacedName,
    /// The Sync.
    pub sync: Sync,
    /// Where its package is.
    pub location: Location,
    /// Its package.
    pub package: PackageName,
    /// The package's revisions.
    pub packages: Arc<dyn PackageStore>,
    /// Where its proposals are.
    pub forge: Arc<dyn Forge>,
    /// What is to be dealt with.
    pub agenda: Agenda,
    /// Its targets in wave order.
    pub seats: Vec<Seat>,
    /// Targets that hold the package and are none of its targets any more.
    pub leaving: Vec<Seat>,
    /// What placement had to say.
    pub reasons: Vec<String>,
    /// The other Sync that the package belongs to.
    pub taken_by: Option<NamespacedName>,
}

/// Why nothing is done about a package that belongs to another Sync.
#[must_use]
pub fn taken(package: &str, by: &NamespacedName) -> String {
    format!(
        "package {package} belongs to Sync {by}; a package has one Sync, so name another package or all targets there"
    )
}

impl Engine {
    /// Gathers what a round over a Sync needs.
    ///
    /// # Errors
    /// [`EngineError`] when a repository or the package cannot be read; a target that does not answer is a seat without
    /// a session.
    pub async fn gather(&self, sync: &Sync, world: &World) -> Result<Situation, EngineError> {
        let key = key(sync);
        let who = format!("Sync {key}");
        let location = world.location(&who, &key.namespace, &sync.spec.package.repository)?;
        let package = PackageName::new(sync.spec.package.name.clone())?;
        let packages = self.repositories.packages(&location)?;
        let forge = self.repositories.forge(&location)?;
        let revisions = packages.list().await?;
        let agenda = Agenda::of(&revisions, &package, &Wanted::parse(&sync.spec.package.revision));
        let placement = world.place(sync)?;
        let holders = self.state_of(&key).await?.holders();
        let behind = placement.targets.iter().map(|(_, wave)| wave + 1).max().unwrap_or(0);
        let left = holders.into_iter().filter(|name| !placement.targets.iter().any(|(known, _)| known == name));
        let left: Vec<(TargetName, usize)> = left.map(|name| (name, behind)).collect();
        let seats = self.seats(&who, &key.namespace, world, placement.targets).await;
        let leaving = self.seats(&who, &key.namespace, world, left).await;
        Ok(Situation {
            key,
            sync: sync.clone(),
            location,
            package,
            packages,
            forge,
            agenda,
            seats,
            leaving,
            reasons: placement.reasons,
            taken_by: world.taken_by(sync),
        })
    }

    /// Connections to targets; one that is gone or does not answer is a seat without a session.
    async fn seats(&self, who: &str, namespace: &str, world: &World, targets: Vec<(TargetName, usize)>) -> Vec<Seat> {
        let mut seats = Vec::new();
        for (name, wave) in targets {
            let target = NamespacedName { namespace: namespace.to_owned(), name: name.to_string() };
            let session = match world.targets.get(&target) {
                Some(target) => self.targets.session(&self.management, target).await,
                None => Err(EngineError::Reference { what: who.to_owned(), kind: "Target", name: name.to_string() }),
            };
            seats.push(Seat { name, wave, session });
        }
        seats
    }
}
